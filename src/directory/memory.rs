//! The tables in memory, for tests on the host.

use std::collections::{BTreeMap, BTreeSet};

use super::group::Group;
use super::links::{Change, Link, LinkedTables, PendingChange, Which};
use super::tables::{GroupSelection, Page, Tables, TablesError, UserKeys, UserSelection};
use super::user::User;
use crate::strict_json::fold;

#[derive(Debug, Clone, PartialEq, Eq)]
struct KeptLink {
    link: Link,
    is_retired: bool,
    until: u64,
}

/// The tables in memory. Resources have numbers in the order of their creation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryTables {
    next: u64,
    users: BTreeMap<u64, User>,
    user_numbers: BTreeMap<String, u64>,
    groups: BTreeMap<u64, Group>,
    group_numbers: BTreeMap<String, u64>,
    members: BTreeMap<String, BTreeSet<String>>,
    groups_of_members: BTreeMap<String, BTreeSet<String>>,
    links: BTreeMap<String, KeptLink>,
    pending: Vec<PendingChange>,
    changes: u64,
}

impl LinkedTables for MemoryTables {
    fn tables(&mut self) -> &mut dyn Tables {
        self
    }

    fn link(&mut self, subject: &str, link: &Link, seconds: (u64, u64)) -> Result<(), TablesError> {
        let (until, now) = seconds;
        self.links.retain(|_, kept| now < kept.until);
        self.links.insert(subject.to_owned(), KeptLink { link: link.clone(), is_retired: false, until });
        Ok(())
    }

    fn retire(&mut self, subject: &str) -> Result<(), TablesError> {
        if let Some(kept) = self.links.get_mut(subject) {
            kept.is_retired = true;
        }
        Ok(())
    }

    fn linked(&self, subject: &str) -> Result<Option<Link>, TablesError> {
        Ok(self.links.get(subject).filter(|kept| !kept.is_retired).map(|kept| kept.link.clone()))
    }

    fn subjects(&self, user: &str) -> Result<Vec<String>, TablesError> {
        let own = self.links.iter().filter(|(_, kept)| kept.link.user.as_deref() == Some(user));
        Ok(own.map(|(subject, _)| subject.clone()).collect())
    }

    fn waiting(&self, name: &str) -> Result<Vec<String>, TablesError> {
        let is = |kept: &KeptLink| kept.link.user.is_none() && !kept.is_retired && kept.link.name == name;
        Ok(self.links.iter().filter(|(_, kept)| is(kept)).map(|(subject, _)| subject.clone()).collect())
    }

    fn newest(&self) -> Result<u64, TablesError> {
        Ok(self.changes)
    }

    fn push(&mut self, subject: &str, change: Change, at: u64) -> Result<(), TablesError> {
        self.changes += 1;
        self.pending.retain(|other| other.subject != subject || other.change != change);
        self.pending.push(PendingChange { number: self.changes, subject: subject.to_owned(), change, at });
        Ok(())
    }

    fn pending(&self, which: Which<'_>, limit: usize) -> Result<Vec<PendingChange>, TablesError> {
        let mut found: Vec<&PendingChange> = match which {
            Which::Of(subject) => self.pending.iter().filter(|pending| pending.subject == subject).collect(),
            Which::After(_) => self.pending.iter().collect(),
        };
        if let Which::After(number) = which {
            found.sort_by_key(|it| (!it.change.is_urgent(), it.number <= number, it.number));
        }
        Ok(found.into_iter().take(limit).cloned().collect())
    }

    fn applied(&mut self, number: u64) -> Result<(), TablesError> {
        self.pending.retain(|pending| pending.number != number);
        Ok(())
    }
}

impl MemoryTables {
    fn user(&self, id: &str) -> Option<&User> {
        self.user_numbers.get(id).and_then(|number| self.users.get(number))
    }

    fn is_member(&self, group: &str, user: &str) -> bool {
        self.members.get(group).is_some_and(|members| members.contains(user))
    }

    fn select_users<'a>(&'a self, selection: UserSelection<'a>) -> Box<dyn Iterator<Item = &'a User> + 'a> {
        match selection {
            UserSelection::All => Box::new(self.users.values()),
            UserSelection::Id(id) => Box::new(self.user(id).into_iter()),
            UserSelection::UserName(key) => {
                Box::new(self.users.values().filter(move |user| user.data.user_name_key() == key))
            }
            UserSelection::ExternalId(id) => {
                Box::new(self.users.values().filter(move |user| user.data.external_id.as_deref() == Some(id)))
            }
            UserSelection::DisplayName(key) => Box::new(
                self.users
                    .values()
                    .filter(move |user| user.data.display_name.as_deref().is_some_and(|name| fold(name) == key)),
            ),
            UserSelection::Email(key) => Box::new(
                self.users.values().filter(move |user| user.data.emails.iter().any(|email| email.key() == key)),
            ),
            UserSelection::InGroup(group) => {
                Box::new(self.users.values().filter(move |user| self.is_member(group, &user.id)))
            }
        }
    }

    fn select_groups<'a>(&'a self, selection: GroupSelection<'a>) -> Box<dyn Iterator<Item = &'a Group> + 'a> {
        match selection {
            GroupSelection::All => Box::new(self.groups.values()),
            GroupSelection::Id(id) => {
                Box::new(self.group_numbers.get(id).and_then(|number| self.groups.get(number)).into_iter())
            }
            GroupSelection::DisplayName(key) => {
                Box::new(self.groups.values().filter(move |group| group.data.display_name_key() == key))
            }
            GroupSelection::ExternalId(id) => {
                Box::new(self.groups.values().filter(move |group| group.data.external_id.as_deref() == Some(id)))
            }
            GroupSelection::OfMember(user) => {
                let groups = self.groups_of_members.get(user).into_iter().flatten();
                let mut numbers: Vec<_> = groups.filter_map(|group| self.group_numbers.get(group)).collect();
                numbers.sort_unstable();
                Box::new(numbers.into_iter().filter_map(|number| self.groups.get(number)))
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

fn page_of<'a, T: Clone + 'a>(all: impl Iterator<Item = &'a T>, page: Page) -> Vec<T> {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    all.skip(size(page.offset)).take(size(page.limit)).cloned().collect()
}

fn count(all: impl Iterator) -> u64 {
    u64::try_from(all.count()).unwrap_or(u64::MAX)
}

fn missing(what: &str) -> TablesError {
    TablesError(format!("there is no such {what}"))
}

impl Tables for MemoryTables {
    fn users(&self, selection: UserSelection<'_>, page: Page) -> Result<Vec<User>, TablesError> {
        Ok(page_of(self.select_users(selection), page))
    }

    fn count_users(&self, selection: UserSelection<'_>) -> Result<u64, TablesError> {
        Ok(count(self.select_users(selection)))
    }

    fn user_keys(&self, ids: &[String]) -> Result<Vec<UserKeys>, TablesError> {
        let ids: BTreeSet<&String> = ids.iter().collect();
        Ok(ids.into_iter().filter_map(|id| self.user(id)).map(UserKeys::of).collect())
    }

    fn insert_user(&mut self, user: &User) -> Result<(), TablesError> {
        let number = self.number();
        self.user_numbers.insert(user.id.clone(), number);
        self.users.insert(number, user.clone());
        Ok(())
    }

    fn update_user(&mut self, user: &User) -> Result<(), TablesError> {
        let number = self.user_numbers.get(&user.id).ok_or_else(|| missing("user"))?;
        self.users.insert(*number, user.clone());
        Ok(())
    }

    fn delete_user(&mut self, id: &str) -> Result<(), TablesError> {
        let number = self.user_numbers.remove(id).ok_or_else(|| missing("user"))?;
        self.users.remove(&number);
        for group in self.groups_of_members.remove(id).into_iter().flatten() {
            if let Some(members) = self.members.get_mut(&group) {
                members.remove(id);
            }
        }
        Ok(())
    }

    fn groups(&self, selection: GroupSelection<'_>, page: Page) -> Result<Vec<Group>, TablesError> {
        Ok(page_of(self.select_groups(selection), page))
    }

    fn count_groups(&self, selection: GroupSelection<'_>) -> Result<u64, TablesError> {
        Ok(count(self.select_groups(selection)))
    }

    fn insert_group(&mut self, group: &Group) -> Result<(), TablesError> {
        let number = self.number();
        self.group_numbers.insert(group.id.clone(), number);
        self.groups.insert(number, group.clone());
        Ok(())
    }

    fn update_group(&mut self, group: &Group) -> Result<(), TablesError> {
        let number = self.group_numbers.get(&group.id).ok_or_else(|| missing("group"))?;
        self.groups.insert(*number, group.clone());
        Ok(())
    }

    fn delete_group(&mut self, id: &str) -> Result<(), TablesError> {
        let members = self.members(id)?;
        self.remove_members(id, &members)?;
        let number = self.group_numbers.remove(id).ok_or_else(|| missing("group"))?;
        self.groups.remove(&number);
        self.members.remove(id);
        Ok(())
    }

    fn members(&self, group: &str) -> Result<Vec<String>, TablesError> {
        Ok(self.members.get(group).into_iter().flatten().cloned().collect())
    }

    fn count_members(&self, group: &str) -> Result<u64, TablesError> {
        Ok(count(self.members.get(group).into_iter().flatten()))
    }

    fn members_among(&self, group: &str, ids: &[String]) -> Result<Vec<String>, TablesError> {
        let ids: BTreeSet<&String> = ids.iter().collect();
        Ok(ids.into_iter().filter(|id| self.is_member(group, id)).cloned().collect())
    }

    fn add_members(&mut self, group: &str, users: &[String]) -> Result<(), TablesError> {
        for user in users {
            if self.user(user).is_none() {
                return Err(missing("user"));
            }
            self.members.entry(group.to_owned()).or_default().insert(user.clone());
            self.groups_of_members.entry(user.clone()).or_default().insert(group.to_owned());
        }
        Ok(())
    }

    fn remove_members(&mut self, group: &str, users: &[String]) -> Result<(), TablesError> {
        for user in users {
            if let Some(members) = self.members.get_mut(group) {
                members.remove(user);
            }
            if let Some(groups) = self.groups_of_members.get_mut(user) {
                groups.remove(group);
            }
        }
        Ok(())
    }
}
