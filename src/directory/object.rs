//! What the object that keeps a directory is asked, and what it answers. It handles one question after another.

use serde::{Deserialize, Serialize};

use super::answer::{Answer, answer};
use super::links::{Link, LinkedTables, MatchedBy, PendingChange, Which, note};
use super::person::{Found, Person, PersonKey, find, person_of};
use super::request::{RawRequest, ScimRequest};
use super::tables::{Tables, TablesError, UserSelection, one_user};
use crate::limits::SCIM_EFFECTS;
use crate::strict_json;

/// A question.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum DirectoryQuestion {
    /// A SCIM request.
    Scim(Box<ScimQuestion>),
    /// Who signs in with a subject, by a name; the user and the subject belong together until this second.
    SignIn {
        /// By what.
        by: MatchedBy,
        /// The name, if the login has one.
        name: Option<String>,
        /// The subject.
        subject: String,
        /// The second.
        until: u64,
    },
    /// Who signed in with a subject.
    Subject {
        /// By what.
        by: MatchedBy,
        /// The subject.
        subject: String,
    },
    /// The change with this number is applied.
    Applied(u64),
}

/// A SCIM request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScimQuestion {
    /// The HTTP method.
    pub method: String,
    /// The path below the base URL, as it was sent.
    pub path: String,
    /// What follows `?`, as it was sent.
    pub query: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The body.
    pub body: String,
    /// The base URL.
    pub base_url: String,
    /// The id of a new resource.
    pub new_id: String,
    /// By what a login finds its user.
    pub matched_by: MatchedBy,
}

/// What the directory knows of who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum KnownPerson {
    /// Nothing.
    Unknown,
    /// Several users have the name.
    Several,
    /// The user.
    User {
        /// Whether the user has access.
        active: bool,
        /// The names of the user's groups.
        groups: Vec<String>,
    },
}

impl From<Person> for KnownPerson {
    fn from(person: Person) -> Self {
        Self::User { active: person.active, groups: person.groups }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum DirectoryAnswer {
    /// To a SCIM request.
    Scim {
        /// The status.
        status: u16,
        /// The body.
        body: Option<String>,
        /// `Location`.
        location: Option<String>,
        /// Changes that are not applied yet: those that end access first.
        pending: Vec<PendingChange>,
        /// Those after this number are of this request.
        since: u64,
    },
    /// Who signs in, and changes about the user that are not applied yet.
    Person(KnownPerson, Vec<PendingChange>),
    /// Done.
    Done,
}

/// Answers a question in JSON.
///
/// # Errors
/// If the question cannot be read, or the store fails.
pub fn handle(tables: &mut dyn LinkedTables, question: &str, now: u64) -> Result<String, TablesError> {
    let question: DirectoryQuestion =
        strict_json::read(question.as_bytes()).map_err(|error| TablesError(error.to_string()))?;
    let answered = match question {
        DirectoryQuestion::Scim(asked) => scim(tables, &asked, now)?,
        DirectoryQuestion::SignIn { by, name, subject, until } => {
            // What changed before this login is no matter of it.
            DirectoryAnswer::Person(sign_in(tables, by, name.as_deref(), (&subject, until, now))?, Vec::new())
        }
        DirectoryQuestion::Subject { by, subject } => {
            let pending = tables.pending(Which::Of(&subject), SCIM_EFFECTS)?;
            DirectoryAnswer::Person(signed_in(tables, by, &subject)?, pending)
        }
        DirectoryQuestion::Applied(number) => {
            tables.applied(number)?;
            DirectoryAnswer::Done
        }
    };
    serde_json::to_string(&answered).map_err(|error| TablesError(error.to_string()))
}

/// Finds the user of a login by a name.
fn find_by(tables: &dyn Tables, by: MatchedBy, name: &str) -> Result<Found, TablesError> {
    find(
        tables,
        match by {
            MatchedBy::ExternalId => PersonKey::ExternalId(name),
            MatchedBy::UserName => PersonKey::UserName(name),
            MatchedBy::Email => PersonKey::Email(name),
        },
    )
}

/// Who signs in. A user who is not active stays that, whatever name the login has now.
fn sign_in(
    tables: &mut dyn LinkedTables,
    by: MatchedBy,
    name: Option<&str>,
    (subject, until, now): (&str, u64, u64),
) -> Result<KnownPerson, TablesError> {
    let before = match tables.linked(subject)?.and_then(|link| link.user) {
        Some(id) => one_user(tables.tables(), UserSelection::Id(&id))?,
        None => None,
    };
    if before.as_ref().is_some_and(|user| !user.data.is_active()) {
        return Ok(KnownPerson::User { active: false, groups: Vec::new() });
    }
    let found = match name {
        Some(name) => find_by(tables.tables(), by, name)?,
        None => Found::None,
    };
    let name = name.map(|name| by.key(name)).unwrap_or_default();
    match (found, before) {
        (Found::Several, _) => Ok(KnownPerson::Several),
        (Found::One(person), _) => {
            tables.link(subject, &Link { user: Some(person.id.clone()), name }, (until, now))?;
            Ok((*person).into())
        }
        (Found::None, Some(user)) => Ok(person_of(tables.tables(), user)?.into()),
        (Found::None, None) => {
            tables.link(subject, &Link { user: None, name }, (until, now))?;
            Ok(KnownPerson::Unknown)
        }
    }
}

/// Who signed in before.
fn signed_in(tables: &mut dyn LinkedTables, by: MatchedBy, subject: &str) -> Result<KnownPerson, TablesError> {
    let Some(link) = tables.linked(subject)? else { return Ok(KnownPerson::Unknown) };
    let Some(id) = link.user else {
        // The provider may have provisioned the user since.
        let found = if link.name.is_empty() { Found::None } else { find_by(tables.tables(), by, &link.name)? };
        return Ok(match found {
            Found::None => KnownPerson::Unknown,
            Found::Several => KnownPerson::Several,
            Found::One(person) => (*person).into(),
        });
    };
    match one_user(tables.tables(), UserSelection::Id(&id))? {
        Some(user) => Ok(person_of(tables.tables(), user)?.into()),
        None => Ok(KnownPerson::Unknown),
    }
}

fn scim(tables: &mut dyn LinkedTables, asked: &ScimQuestion, now: u64) -> Result<DirectoryAnswer, TablesError> {
    let since = tables.newest()?;
    let segments: Vec<&str> = asked.path.split('/').filter(|segment| !segment.is_empty()).collect();
    let raw = RawRequest {
        method: &asked.method,
        segments: &segments,
        query: asked.query.as_deref(),
        content_type: asked.content_type.as_deref(),
        body: asked.body.as_bytes(),
    };
    let answered = match ScimRequest::read(raw) {
        Ok(request) => answer(tables.tables(), request, &asked.base_url, now, || asked.new_id.clone())?,
        Err(error) => Answer::from(error),
    };
    for effect in &answered.effects {
        note(tables, effect, asked.matched_by, now)?;
    }
    let Answer { status, body, location, .. } = answered;
    let pending = tables.pending(Which::After(since), SCIM_EFFECTS)?;
    Ok(DirectoryAnswer::Scim { status, body, location, pending, since })
}
