//! What the authorization server asks the directory: who a login is about, and whether that user has access.

use super::tables::{Page, Tables, TablesError, UserSelection, groups_of};
use super::user::User;
use crate::strict_json::fold;

/// What a login or a token says of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonKey<'a> {
    /// The identifier at the provider, such as `sub` or `oid`.
    ExternalId(&'a str),
    /// The user name, in any case.
    UserName(&'a str),
    /// An e-mail address that the provider has verified, in any case.
    Email(&'a str),
}

/// A user, as authorization sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The id in the directory.
    pub id: String,
    /// Whether the user has access.
    pub active: bool,
    /// The names of the user's groups.
    pub groups: Vec<String>,
    /// The user name.
    pub user_name: String,
    /// The identifier at the provider.
    pub external_id: Option<String>,
}

/// Finds the one user of a key. An address that several users have names none of them.
///
/// # Errors
/// If the store fails.
pub fn find_person(tables: &dyn Tables, key: PersonKey<'_>) -> Result<Option<Person>, TablesError> {
    let folded = match key {
        PersonKey::ExternalId(id) => id.to_owned(),
        PersonKey::UserName(name) | PersonKey::Email(name) => fold(name),
    };
    if folded.is_empty() {
        return Ok(None);
    }
    let selection = match key {
        PersonKey::ExternalId(_) => UserSelection::ExternalId(&folded),
        PersonKey::UserName(_) => UserSelection::UserName(&folded),
        PersonKey::Email(_) => UserSelection::Email(&folded),
    };
    let mut found = tables.users(selection, Page { offset: 0, limit: 2 })?;
    let (Some(user), None) = (found.pop(), found.pop()) else { return Ok(None) };
    person_of(tables, user).map(Some)
}

/// A user, with the groups.
///
/// # Errors
/// If the store fails.
pub fn person_of(tables: &dyn Tables, user: User) -> Result<Person, TablesError> {
    let groups = groups_of(tables, &user.id)?.into_iter().map(|group| group.data.display_name).collect();
    Ok(Person {
        active: user.data.is_active(),
        groups,
        user_name: user.data.user_name,
        external_id: user.data.external_id,
        id: user.id,
    })
}
