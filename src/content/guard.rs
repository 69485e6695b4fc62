//! Guards: what they look for, where, and what they do when they find it.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::content::finder::{Category, Finder};
use crate::mcp::method::{McpMethod, Target};
use crate::mcp::operation::Operation;
use crate::oauth::scope::ScopeHierarchy;
use crate::policy::caller::Caller;
use crate::policy::condition::{Condition, Fact};
use crate::policy::rule::{Targets, When};

/// What a guard does with what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Nothing: the log says what it found.
    Observe,
    /// It puts a mask in its place.
    Mask,
    /// It does not let the message pass.
    Deny,
}

impl Action {
    /// The action as the configuration has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Mask => "mask",
            Self::Deny => "deny",
        }
    }
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the origin server: the arguments of a call, and the answers of a client to questions of the server.
    Arguments,
    /// To the client: results, and everything else that a server sends with them.
    Results,
}

impl Direction {
    /// The direction as the configuration has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arguments => "arguments",
            Self::Results => "results",
        }
    }
}

/// A guard.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Its id in the log.
    pub id: String,
    /// What it looks for.
    pub finds: Vec<Category>,
    /// What it does then.
    pub action: Action,
    /// The directions in which it looks.
    pub on: Vec<Direction>,
    /// The operations that it is about.
    pub targets: Targets,
    /// The callers that it is about. It tests no arguments.
    pub when: When,
}

/// The operations of a message, if it is known to which tools they belong: a task whose id the gateway did not seal may be of any.
#[must_use]
pub fn known(operations: &[Operation]) -> Option<&[Operation]> {
    let is_task = |method: &str| McpMethod::find(method).is_some_and(|known| known.target == Target::Task);
    let is_unknown = |operation: &Operation| is_task(&operation.method) && operation.follows.is_none();
    if operations.iter().any(is_unknown) { None } else { Some(operations) }
}

/// Whether something with these targets is about an operation. Without targets, that is everything but the messages of the protocol
/// itself. A caller must not evade a guard or a bound by the spelling of a name.
#[must_use]
pub fn is_about(targets: &Targets, operation: &Operation) -> bool {
    let names_method = targets.is_about_method(&operation.method);
    targets.may_fit(operation) && (names_method || !operation.is_protocol())
}

/// The guards of a resource.
#[derive(Debug, Default)]
pub struct Guards {
    all: Vec<Rc<Guard>>,
    /// A finder for each set of categories that was needed.
    finders: [OnceCell<Rc<Finder>>; 16],
}

/// The guards that look at a message in one direction.
#[derive(Debug, Clone)]
pub struct Looking {
    /// What finds the categories: those that guards treat alike together, and others apart, so that none hides another.
    pub(super) finders: Vec<Rc<Finder>>,
    pub(super) guards: Vec<Rc<Guard>>,
    pub(super) direction: Direction,
}

impl Looking {
    /// What they look with.
    #[must_use]
    pub fn finders(&self) -> &[Rc<Finder>] {
        &self.finders
    }

    /// Whether one of them does not let a message pass in which it finds something.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.guards.iter().any(|guard| guard.action == Action::Deny)
    }
}

impl Guards {
    /// The guards of a resource.
    #[must_use]
    pub fn new(guards: Vec<Guard>) -> Self {
        Self { all: guards.into_iter().map(Rc::new).collect(), finders: Default::default() }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Guard> {
        self.all.iter().map(|guard| &**guard)
    }

    /// What their conditions read about callers.
    pub fn facts(&self) -> impl Iterator<Item = Fact<'_>> {
        self.iter().flat_map(|guard| guard.when.conditions.iter().map(Condition::reads))
    }

    /// The guards that look at a message of a caller, which belongs to one of these operations; `None` if it is not known to which.
    #[must_use]
    pub fn looking(
        &self,
        direction: Direction,
        operations: Option<&[Operation]>,
        (caller, scopes): (&Caller, &ScopeHierarchy),
    ) -> Option<Looking> {
        let looks = |guard: &&Rc<Guard>| {
            let is_about = |operation| is_about(&guard.targets, operation);
            guard.on.contains(&direction)
                && operations.is_none_or(|operations| operations.iter().any(is_about))
                && guard.when.fails_for(caller, scopes).is_none()
        };
        let guards: Vec<Rc<Guard>> = self.all.iter().filter(looks).cloned().collect();
        let categories: Vec<Category> =
            Category::ALL.into_iter().filter(|one| guards.iter().any(|guard| guard.finds.contains(one))).collect();
        if categories.is_empty() {
            return None;
        }
        let mut groups: Vec<(Vec<Action>, Vec<Category>)> = Vec::new();
        for category in categories {
            let finds = guards.iter().filter(|guard| guard.finds.contains(&category));
            let mut actions: Vec<Action> = finds.map(|guard| guard.action).collect();
            actions.sort_unstable();
            actions.dedup();
            match groups.iter_mut().find(|(known, _)| *known == actions) {
                Some((_, group)) => group.push(category),
                None => groups.push((actions, vec![category])),
            }
        }
        let finders: Option<Vec<_>> = groups.iter().map(|(_, group)| self.finder(group)).collect();
        Some(Looking { finders: finders?, guards, direction })
    }

    fn finder(&self, categories: &[Category]) -> Option<Rc<Finder>> {
        let which: usize =
            Category::ALL.iter().enumerate().map(|(at, one)| usize::from(categories.contains(one)) << at).sum();
        self.finders.get(which).map(|finder| Rc::clone(finder.get_or_init(|| Rc::new(Finder::new(categories)))))
    }
}
