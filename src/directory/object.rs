//! What the object that keeps a directory is asked, and what it answers. It handles one question after another.

use serde::{Deserialize, Serialize};

use super::answer::{Answer, answer};
use super::links::{LinkedTables, MatchedBy, PendingChange, note};
use super::person::{PersonKey, find_person, person_of};
use super::request::{RawRequest, ScimRequest};
use super::tables::{TablesError, UserSelection, one_user};
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
        /// The name.
        name: String,
        /// The subject.
        subject: String,
        /// The second.
        until: u64,
    },
    /// Who signed in with a subject.
    Subject(String),
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

/// A user, as a login needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownPerson {
    /// Whether the user has access.
    pub active: bool,
    /// The names of the user's groups.
    pub groups: Vec<String>,
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
        /// Changes that are not applied yet, the oldest first.
        pending: Vec<PendingChange>,
    },
    /// The user, if the directory has one, and changes about the user that are not applied yet.
    Person(Option<KnownPerson>, Vec<PendingChange>),
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
            let key = match by {
                MatchedBy::ExternalId => PersonKey::ExternalId(&name),
                MatchedBy::UserName => PersonKey::UserName(&name),
                MatchedBy::Email => PersonKey::Email(&name),
            };
            let found = find_person(tables.tables(), key)?;
            match &found {
                Some(person) => tables.link(&subject, &person.id, (until, now))?,
                None => tables.unlink(&subject)?,
            }
            // What changed before this login is no matter of it.
            let known = found.map(|person| KnownPerson { active: person.active, groups: person.groups });
            DirectoryAnswer::Person(known, Vec::new())
        }
        DirectoryQuestion::Subject(subject) => {
            let pending = tables.pending(Some(&subject), SCIM_EFFECTS)?;
            let user = match tables.linked(&subject)? {
                Some(id) => one_user(tables.tables(), UserSelection::Id(&id))?,
                None => None,
            };
            let known = match user {
                Some(user) => Some(person_of(tables.tables(), user)?),
                None => None,
            };
            let known = known.map(|person| KnownPerson { active: person.active, groups: person.groups });
            DirectoryAnswer::Person(known, pending)
        }
        DirectoryQuestion::Applied(number) => {
            tables.applied(number)?;
            DirectoryAnswer::Done
        }
    };
    serde_json::to_string(&answered).map_err(|error| TablesError(error.to_string()))
}

fn scim(tables: &mut dyn LinkedTables, asked: &ScimQuestion, now: u64) -> Result<DirectoryAnswer, TablesError> {
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
    Ok(DirectoryAnswer::Scim { status, body, location, pending: tables.pending(None, SCIM_EFFECTS)? })
}
