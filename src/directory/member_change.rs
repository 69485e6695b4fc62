//! Changes of the members of a group, and what they come to. The members are loaded only if a change replaces or selects them.

use std::collections::BTreeSet;

use super::error::{ScimError, quote};
use super::failure::Failure;
use super::filter::{Fact, Filter};
use super::schema::Key;
use super::tables::{Tables, UserKeys};
use crate::limits::{SCIM_GROUP_MEMBERS, SCIM_MEMBER_SCANS, SCIM_MEMBERS_PER_REQUEST};

/// A change of the members of a group, by the ids of users.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberChange {
    /// Adds users.
    Add(Vec<String>),
    /// Removes users.
    Remove(Vec<String>),
    /// Removes all, and adds users.
    Replace(Vec<String>),
    /// Removes the members that a filter selects.
    RemoveMatching(Filter),
}

/// What changes of the members come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberDelta {
    /// Users who become members.
    pub added: Vec<UserKeys>,
    /// Members who are members no more.
    pub removed: Vec<UserKeys>,
}

impl MemberDelta {
    /// Whether no membership changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// Writes the changes.
    ///
    /// # Errors
    /// If the store fails.
    pub fn write(&self, tables: &mut dyn Tables, group: &str) -> Result<(), Failure> {
        let ids = |keys: &[UserKeys]| keys.iter().map(|keys| keys.id.clone()).collect::<Vec<_>>();
        if !self.removed.is_empty() {
            tables.remove_members(group, &ids(&self.removed))?;
        }
        if !self.added.is_empty() {
            tables.add_members(group, &ids(&self.added))?;
        }
        Ok(())
    }
}

/// What changes come to, in their order. A user to add who does not exist is an error: a group that is short of a member without
/// notice would refuse a user whom the provider counts as a member, and the provider would not send the member again. Okta and Entra ID
/// push only members whom they provisioned.
///
/// # Errors
/// If a user to add does not exist, the group would have too many members, or the store fails.
pub fn resolve_members(tables: &dyn Tables, group: &str, changes: &[MemberChange]) -> Result<MemberDelta, Failure> {
    let whole = |change: &&MemberChange| matches!(change, MemberChange::Replace(_) | MemberChange::RemoveMatching(_));
    if changes.iter().filter(whole).count() > SCIM_MEMBER_SCANS {
        let detail = format!("a PATCH replaces or selects members at most {SCIM_MEMBER_SCANS} times");
        return Err(ScimError::too_many(detail).into());
    }
    let mut loaded: Option<BTreeSet<String>> = None;
    let (mut added, mut removed) = (BTreeSet::new(), BTreeSet::new());
    for change in changes {
        match change {
            MemberChange::Add(ids) => {
                for id in ids {
                    removed.remove(id);
                    added.insert(id.clone());
                }
            }
            MemberChange::Remove(ids) => {
                for id in ids {
                    added.remove(id);
                    removed.insert(id.clone());
                }
            }
            MemberChange::Replace(ids) => {
                removed.extend(load(tables, group, &mut loaded)?.iter().cloned());
                added = ids.iter().cloned().collect();
                removed.retain(|id| !added.contains(id));
            }
            MemberChange::RemoveMatching(filter) => {
                let selected = |id: &&String| matches_member(filter, id);
                let before = load(tables, group, &mut loaded)?;
                let gone: Vec<String> = before.iter().chain(&added).filter(selected).cloned().collect();
                for id in gone {
                    added.remove(&id);
                    removed.insert(id);
                }
            }
        }
    }
    if added.len() > SCIM_MEMBERS_PER_REQUEST {
        let detail = format!("a request names at most {SCIM_MEMBERS_PER_REQUEST} members: send several PATCH requests");
        return Err(ScimError::too_large(detail).into());
    }
    let members = if let Some(members) = loaded {
        members
    } else {
        let mentioned: Vec<String> = added.union(&removed).cloned().collect();
        tables.members_among(group, &mentioned)?.into_iter().collect()
    };
    let new: Vec<String> = added.difference(&members).cloned().collect();
    let gone: Vec<String> = removed.intersection(&members).cloned().collect();
    let delta = MemberDelta { added: tables.user_keys(&new)?, removed: tables.user_keys(&gone)? };
    let known: BTreeSet<&str> = delta.added.iter().map(|keys| keys.id.as_str()).collect();
    if let Some(unknown) = new.iter().find(|id| !known.contains(id.as_str())) {
        let detail = format!("members.value is {}: there is no such user; provision the user first", quote(unknown));
        return Err(ScimError::invalid_value(detail).into());
    }
    let size = |ids: &[UserKeys]| u64::try_from(ids.len()).unwrap_or(u64::MAX);
    let after = (tables.count_members(group)? + size(&delta.added)).saturating_sub(size(&delta.removed));
    if after > SCIM_GROUP_MEMBERS && !delta.added.is_empty() {
        return Err(ScimError::invalid_value(format!("a group has at most {SCIM_GROUP_MEMBERS} members")).into());
    }
    Ok(delta)
}

fn load<'a>(
    tables: &dyn Tables,
    group: &str,
    loaded: &'a mut Option<BTreeSet<String>>,
) -> Result<&'a BTreeSet<String>, Failure> {
    if loaded.is_none() {
        *loaded = Some(tables.members(group)?.into_iter().collect());
    }
    Ok(loaded.get_or_insert_default())
}

fn matches_member(filter: &Filter, id: &str) -> bool {
    filter.matches_element(&|key| match key {
        Key::MemberValue => Some(Fact::text(id)),
        Key::MemberType => Some(Fact::text("User")),
        _ => None,
    })
}
