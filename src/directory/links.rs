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

/// The store of the directory, with those who have signed in.
pub trait LinkedTables: Tables {
    /// The tables without that.
    fn tables(&mut self) -> &mut dyn Tables;

    /// Notes that the user with an id signed in with a subject. It is forgotten at the second `seconds.0`; `seconds.1` is now.
    ///
    /// # Errors
    /// If the store fails.
    fn link(&mut self, subject: &str, user: &str, seconds: (u64, u64)) -> Result<(), TablesError>;

    /// Forgets a subject.
    ///
    /// # Errors
    /// If the store fails.
    fn unlink(&mut self, subject: &str) -> Result<(), TablesError>;

    /// The id of the user who signed in with a subject.
    ///
    /// # Errors
    /// If the store fails.
    fn linked(&self, subject: &str) -> Result<Option<String>, TablesError>;

    /// The subjects of a user.
    ///
    /// # Errors
    /// If the store fails.
    fn subjects(&self, user: &str) -> Result<Vec<String>, TablesError>;

    /// Stores changes that are not applied yet.
    ///
    /// # Errors
    /// If the store fails.
    fn push(&mut self, subject: &str, change: Change, at: u64) -> Result<(), TablesError>;

    /// The oldest changes that are not applied yet: those of a subject, or of all.
    ///
    /// # Errors
    /// If the store fails.
    fn pending(&self, subject: Option<&str>, limit: usize) -> Result<Vec<PendingChange>, TablesError>;

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
    for subject in tables.subjects(&keys.id)? {
        tables.push(&subject, change, now)?;
        if matches!(change, Change::Name | Change::Deleted) {
            tables.unlink(&subject)?;
        }
    }
    Ok(())
}

fn has_lost_name(before: &UserKeys, after: &UserKeys, by: MatchedBy) -> bool {
    match by {
        MatchedBy::ExternalId => before.external_id != after.external_id,
        MatchedBy::UserName => before.user_name != after.user_name,
        MatchedBy::Email => before.emails.iter().any(|email| !after.emails.contains(email)),
    }
}
