//! What the authorization server asks the directory: who a login is about, and whether that user has access.

use super::tables::{Page, Tables, TablesError, UserSelection, groups_of};
use super::user::User;
use crate::limits::SCIM_PAGE;
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

/// What a key finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No user.
    None,
    /// Several users, of whom it names none.
    Several,
    /// This user.
    One(Box<Person>),
}

/// Finds the one user of a key.
///
/// # Errors
/// If the store fails.
pub fn find_person(tables: &dyn Tables, key: PersonKey<'_>) -> Result<Option<Person>, TablesError> {
    Ok(match find(tables, key)? {
        Found::One(person) => Some(*person),
        Found::None | Found::Several => None,
    })
}

/// Finds the user of a key. The index has names in a form that takes more letters for the same than a login may: the name of a login
/// is the user's only if it is the same but for ASCII case.
///
/// # Errors
/// If the store fails.
pub fn find(tables: &dyn Tables, key: PersonKey<'_>) -> Result<Found, TablesError> {
    let folded = match key {
        PersonKey::ExternalId(id) => id.to_owned(),
        PersonKey::UserName(name) | PersonKey::Email(name) => fold(name),
    };
    if folded.is_empty() {
        return Ok(Found::None);
    }
    let selection = match key {
        PersonKey::ExternalId(_) => UserSelection::ExternalId(&folded),
        PersonKey::UserName(_) => UserSelection::UserName(&folded),
        PersonKey::Email(_) => UserSelection::Email(&folded),
    };
    let is_same = |user: &User| match key {
        PersonKey::ExternalId(_) => true,
        PersonKey::UserName(name) => user.data.user_name.eq_ignore_ascii_case(name),
        PersonKey::Email(address) => user.data.emails.iter().any(|email| email.value.eq_ignore_ascii_case(address)),
    };
    let mut found = tables.users(selection, Page { offset: 0, limit: SCIM_PAGE })?;
    found.retain(is_same);
    match (found.pop(), found.pop()) {
        (None, _) => Ok(Found::None),
        (Some(user), None) => Ok(Found::One(Box::new(person_of(tables, user)?))),
        (Some(_), Some(_)) => Ok(Found::Several),
    }
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
