//! What the directory needs from its store. Each method is one or two statements of SQL, and none loads more than it returns.
//!
//! Text in a selection is as its index has it: names and addresses are folded with [`crate::strict_json::fold`], so a store keeps
//! `UserData::user_name_key`, `GroupData::display_name_key`, the folded `displayName` of users and `Email::key` in indexed columns.
//! Lists are in the order in which resources were created, so that pages fit together (RFC 7644 §3.4.2.4).

use std::fmt;

use super::group::Group;
use super::user::User;

/// The store failed. The text is for the log of an operator, and never part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablesError(pub String);

impl fmt::Display for TablesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TablesError {}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many to leave out at the start.
    pub offset: u64,
    /// How many at most.
    pub limit: u64,
}

/// Which users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserSelection<'a> {
    /// All.
    All,
    /// The one with an id.
    Id(&'a str),
    /// The one with a user name, folded.
    UserName(&'a str),
    /// The one with an identifier of the provider.
    ExternalId(&'a str),
    /// Those with a name for display, folded.
    DisplayName(&'a str),
    /// Those with an e-mail address, folded.
    Email(&'a str),
    /// The members of the group with an id.
    InGroup(&'a str),
}

/// Which groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupSelection<'a> {
    /// All.
    All,
    /// The one with an id.
    Id(&'a str),
    /// The one with a name, folded.
    DisplayName(&'a str),
    /// The one with an identifier of the provider.
    ExternalId(&'a str),
    /// Those that the user with an id belongs to.
    OfMember(&'a str),
}

/// The names of a user by which others know the user: what a login or a token can name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserKeys {
    /// The id of the user.
    pub id: String,
    /// The identifier of the user at the provider.
    pub external_id: Option<String>,
    /// The user name, as the provider wrote it.
    pub user_name: String,
    /// The e-mail addresses, as the provider wrote them.
    pub emails: Vec<String>,
}

/// The store of the directory.
///
/// A request may write several times. The caller runs it in a transaction, and rolls back if a method fails.
pub trait Tables {
    /// The users of a selection, in the order of their creation.
    ///
    /// # Errors
    /// If the store fails.
    fn users(&self, selection: UserSelection<'_>, page: Page) -> Result<Vec<User>, TablesError>;

    /// How many users a selection has.
    ///
    /// # Errors
    /// If the store fails.
    fn count_users(&self, selection: UserSelection<'_>) -> Result<u64, TablesError>;

    /// The keys of those users of these ids that exist, in the order of their ids.
    ///
    /// # Errors
    /// If the store fails.
    fn user_keys(&self, ids: &[String]) -> Result<Vec<UserKeys>, TablesError>;

    /// Adds a user. The id, the user name and the external id are new.
    ///
    /// # Errors
    /// If the store fails.
    fn insert_user(&mut self, user: &User) -> Result<(), TablesError>;

    /// Replaces a user that exists. The place in the order stays.
    ///
    /// # Errors
    /// If the store fails.
    fn update_user(&mut self, user: &User) -> Result<(), TablesError>;

    /// Deletes a user, and the user's memberships.
    ///
    /// # Errors
    /// If the store fails.
    fn delete_user(&mut self, id: &str) -> Result<(), TablesError>;

    /// The groups of a selection, in the order of their creation.
    ///
    /// # Errors
    /// If the store fails.
    fn groups(&self, selection: GroupSelection<'_>, page: Page) -> Result<Vec<Group>, TablesError>;

    /// How many groups a selection has.
    ///
    /// # Errors
    /// If the store fails.
    fn count_groups(&self, selection: GroupSelection<'_>) -> Result<u64, TablesError>;

    /// Adds a group without members. The id and the names are new.
    ///
    /// # Errors
    /// If the store fails.
    fn insert_group(&mut self, group: &Group) -> Result<(), TablesError>;

    /// Replaces a group that exists. The place in the order and the members stay.
    ///
    /// # Errors
    /// If the store fails.
    fn update_group(&mut self, group: &Group) -> Result<(), TablesError>;

    /// Deletes a group, and its memberships.
    ///
    /// # Errors
    /// If the store fails.
    fn delete_group(&mut self, id: &str) -> Result<(), TablesError>;

    /// The ids of the members of a group, in their own order.
    ///
    /// # Errors
    /// If the store fails.
    fn members(&self, group: &str) -> Result<Vec<String>, TablesError>;

    /// How many members a group has.
    ///
    /// # Errors
    /// If the store fails.
    fn count_members(&self, group: &str) -> Result<u64, TablesError>;

    /// Those of these ids that are members of a group, in their own order.
    ///
    /// # Errors
    /// If the store fails.
    fn members_among(&self, group: &str, ids: &[String]) -> Result<Vec<String>, TablesError>;

    /// Adds members to a group. They are users that exist; one that is a member already stays one.
    ///
    /// # Errors
    /// If the store fails.
    fn add_members(&mut self, group: &str, users: &[String]) -> Result<(), TablesError>;

    /// Removes members from a group.
    ///
    /// # Errors
    /// If the store fails.
    fn remove_members(&mut self, group: &str, users: &[String]) -> Result<(), TablesError>;
}

impl UserKeys {
    /// The keys of a user.
    #[must_use]
    pub fn of(user: &User) -> Self {
        Self {
            id: user.id.clone(),
            external_id: user.data.external_id.clone(),
            user_name: user.data.user_name.clone(),
            emails: user.data.emails.iter().map(|email| email.value.clone()).collect(),
        }
    }
}

/// The one user of a selection that has at most one.
///
/// # Errors
/// If the store fails.
pub fn one_user(tables: &dyn Tables, selection: UserSelection<'_>) -> Result<Option<User>, TablesError> {
    Ok(tables.users(selection, Page { offset: 0, limit: 1 })?.pop())
}

/// The one group of a selection that has at most one.
///
/// # Errors
/// If the store fails.
pub fn one_group(tables: &dyn Tables, selection: GroupSelection<'_>) -> Result<Option<Group>, TablesError> {
    Ok(tables.groups(selection, Page { offset: 0, limit: 1 })?.pop())
}

/// All groups of a user.
///
/// # Errors
/// If the store fails.
pub fn groups_of(tables: &dyn Tables, user: &str) -> Result<Vec<Group>, TablesError> {
    tables.groups(GroupSelection::OfMember(user), Page { offset: 0, limit: u64::from(u32::MAX) })
}
