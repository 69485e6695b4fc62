//! Who of the directory has signed in, and what a change of the directory means for them. A change is stored with what it means, so
//! that nothing is lost where the gateway ends before it has applied it.

use serde::{Deserialize, Serialize};

use super::answer::Effect;
use super::tables::{Tables, TablesError, UserKeys};

/// By what a login finds its user in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MatchedBy {
    /// The identifier of the user at the provider.
    ExternalId,
    /// The user name.
    UserName,
    /// An e-mail address.
    Email,
}

impl MatchedBy {
    /// The name of a login, in the form in which it is stored: names and addresses in ASCII lower case.
    #[must_use]
    pub fn key(self, name: &str) -> String {
        match self {
            Self::ExternalId => name.to_owned(),
            Self::UserName | Self::Email => name.to_ascii_lowercase(),
        }
    }

    /// The names of a user by which a login finds it.
    #[must_use]
    pub fn names(self, keys: &UserKeys) -> Vec<String> {
        let names: Vec<&String> = match self {
            Self::ExternalId => keys.external_id.iter().collect(),
            Self::UserName => vec![&keys.user_name],
            Self::Email => keys.emails.iter().collect(),
        };
        names.into_iter().map(|name| self.key(name)).collect()
    }
}

/// What a change means for a user who has signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Change {
    /// The groups are others.
    Groups,
    /// The name by which the login found the user is another user's, or no user's.
    Name,
    /// The user has no access any more.
    Deactivated,
    /// The user is deleted.
    Deleted,
}

impl Change {
    /// Whether it ends access: such changes are applied first.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        self != Self::Groups
    }
}

/// A change that is not applied yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingChange {
    /// Its number.
    pub number: u64,
    /// The subject of the user.
    pub subject: String,
    /// What has changed.
    pub change: Change,
    /// The second at which it changed.
    pub at: u64,
}

/// Who signed in with a subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// The id of the user; `None` if the directory did not have the user then.
    pub user: Option<String>,
    /// The name by which the login looked for the user, as [`MatchedBy::key`] has it; empty if it had none.
    pub name: String,
}

/// Which pending changes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// Those of a subject.
    Of(&'a str),
    /// All: those that end access first, then those after this number, then the others.
    After(u64),
}

/// The store of the directory, with those who have signed in.
pub trait LinkedTables: Tables {
    /// The tables without that.
    fn tables(&mut self) -> &mut dyn Tables;

    /// Notes who signed in with a subject. It is forgotten at the second `seconds.0`; `seconds.1` is now.
    ///
    /// # Errors
    /// If the store fails.
    fn link(&mut self, subject: &str, link: &Link, seconds: (u64, u64)) -> Result<(), TablesError>;

    /// Notes that a subject does not belong to its user any more. What is still kept for the subject is deleted with the user.
    ///
    /// # Errors
    /// If the store fails.
    fn retire(&mut self, subject: &str) -> Result<(), TablesError>;

    /// Who signed in with a subject, unless it is retired.
    ///
    /// # Errors
    /// If the store fails.
    fn linked(&self, subject: &str) -> Result<Option<Link>, TablesError>;

    /// The subjects of a user, those that are retired included.
    ///
    /// # Errors
    /// If the store fails.
    fn subjects(&self, user: &str) -> Result<Vec<String>, TablesError>;

    /// The subjects of those who signed in by a name when the directory did not have it.
    ///
    /// # Errors
    /// If the store fails.
    fn waiting(&self, name: &str) -> Result<Vec<String>, TablesError>;

    /// The number of the newest change.
    ///
    /// # Errors
    /// If the store fails.
    fn newest(&self) -> Result<u64, TablesError>;

    /// Stores a change that is not applied yet. It stands in for an equal one.
    ///
    /// # Errors
    /// If the store fails.
    fn push(&mut self, subject: &str, change: Change, at: u64) -> Result<(), TablesError>;

    /// The changes that are not applied yet, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    fn pending(&self, which: Which<'_>, limit: usize) -> Result<Vec<PendingChange>, TablesError>;

    /// Forgets a change that is applied.
    ///
    /// # Errors
    /// If the store fails.
    fn applied(&mut self, number: u64) -> Result<(), TablesError>;
}

/// Stores what an effect means for those who have signed in.
///
/// # Errors
/// If the store fails.
pub fn note(tables: &mut dyn LinkedTables, effect: &Effect, by: MatchedBy, now: u64) -> Result<(), TablesError> {
    let (keys, change) = match effect {
        Effect::UserDeactivated(keys) => (keys, Change::Deactivated),
        Effect::UserDeleted(keys) => (keys, Change::Deleted),
        Effect::UserRenamed { before, after } if has_lost_name(before, after, by) => (before, Change::Name),
        Effect::UserActivated(_) | Effect::UserRenamed { .. } => return Ok(()),
        Effect::GroupsChanged(keys) => (keys, Change::Groups),
    };
    let mut subjects = tables.subjects(&keys.id)?;
    // Those who signed in before they were provisioned are found by their name.
    for name in by.names(keys) {
        subjects.extend(tables.waiting(&name)?);
    }
    for subject in subjects {
        tables.push(&subject, change, now)?;
        if matches!(change, Change::Name | Change::Deleted) {
            tables.retire(&subject)?;
        }
    }
    Ok(())
}

fn has_lost_name(before: &UserKeys, after: &UserKeys, by: MatchedBy) -> bool {
    let now = by.names(after);
    by.names(before).iter().any(|name| !now.contains(name))
}
