//! What guards found in a message. It never contains what they found, only of which form it was, and how often.

use std::collections::BTreeMap;

use crate::content::finder::Category;
use crate::content::guard::{Action, Direction, Guard};

/// What one guard found, or one hook did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The id of the guard or hook.
    pub guard: String,
    /// What it did.
    pub action: &'static str,
    /// Where it found it.
    pub direction: Direction,
    /// How often it found each form.
    pub forms: BTreeMap<&'static str, u64>,
}

impl Found {
    /// What a hook did.
    #[must_use]
    pub fn of_hook(hook: &str, action: &'static str, direction: Direction) -> Self {
        Self { guard: hook.to_owned(), action, direction, forms: BTreeMap::new() }
    }

    /// The forms and how often each was found, as text.
    #[must_use]
    pub fn forms_as_text(&self) -> String {
        let forms: Vec<String> = self.forms.iter().map(|(form, count)| format!("{form} {count}")).collect();
        forms.join(", ")
    }
}

/// What guards found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    found: Vec<Found>,
    denied: Option<Category>,
}

impl Report {
    /// Notes that a guard found something.
    pub(super) fn note(&mut self, guard: &Guard, direction: Direction, (category, form): (Category, &'static str)) {
        if guard.action == Action::Deny {
            self.denied.get_or_insert(category);
        }
        let at = self.found.iter().position(|found| found.guard == guard.id).unwrap_or_else(|| {
            let (guard, action) = (guard.id.clone(), guard.action.as_str());
            self.found.push(Found { guard, action, direction, forms: BTreeMap::new() });
            self.found.len() - 1
        });
        if let Some(found) = self.found.get_mut(at) {
            *found.forms.entry(form).or_default() += 1;
        }
    }

    /// Adds what was found in another part of the same message: what guards found there that found nothing so far, and what is denied.
    pub(crate) fn add(&mut self, other: Self) {
        self.denied = self.denied.or(other.denied);
        let is_new = |found: &Found| self.found.iter().all(|known| known.guard != found.guard);
        let new: Vec<Found> = other.found.into_iter().filter(is_new).collect();
        self.found.extend(new);
    }

    /// What a guard denies that was found.
    #[must_use]
    pub fn denied(&self) -> Option<Category> {
        self.denied
    }

    /// What each guard found.
    #[must_use]
    pub fn found(&self) -> &[Found] {
        &self.found
    }
}
