//! What calls and results contain: guards that find secrets and personal data, and bounds by tool.

pub mod alphabet;
pub mod bound;
pub mod credentials;
pub mod examined;
pub mod fault;
pub mod filter;
pub mod finder;
pub mod guard;
pub mod hook;
pub mod in_flight;
pub mod numbers;
pub mod report;
pub mod scanner;
pub mod schema;
pub mod text;
mod utf8;

use std::rc::Rc;

use bound::{Bound, Bounds};
use guard::{Direction, Guard, Guards, is_about};
use hook::Hook;

use crate::mcp::operation::Operation;
use crate::policy::condition::{Condition, Fact};
use schema::Schemas;

/// The guards and bounds of a resource.
#[derive(Debug, Default)]
pub struct Content {
    /// The guards.
    pub guards: Guards,
    /// The bounds.
    pub bounds: Vec<Bound>,
    /// The hooks, in order.
    pub hooks: Vec<Rc<Hook>>,
    /// The schemas that were compiled.
    pub schemas: Schemas,
}

impl Content {
    /// What conditions of guards and hooks read about callers.
    pub fn facts(&self) -> impl Iterator<Item = Fact<'_>> {
        let of_hooks = self.hooks.iter().flat_map(|hook| hook.when.conditions.iter().map(Condition::reads));
        self.guards.facts().chain(of_hooks)
    }

    /// Whether anything looks at the results of an operation, for some caller.
    #[must_use]
    pub fn looks_at_results_of(&self, operation: &Operation) -> bool {
        let of_guards = self
            .guards
            .iter()
            .any(|guard| guard.on.contains(&Direction::Results) && is_about(&guard.targets, operation));
        let of_hooks =
            self.hooks.iter().any(|hook| hook.on.contains(&Direction::Results) && is_about(&hook.targets, operation));
        of_guards || of_hooks || Bounds::strictest(&self.bounds, Some(std::slice::from_ref(operation))).holds_results()
    }

    /// Guards, bounds and hooks.
    #[must_use]
    pub fn new(guards: Vec<Guard>, bounds: Vec<Bound>, hooks: Vec<Hook>) -> Self {
        let hooks = hooks.into_iter().map(Rc::new).collect();
        Self { guards: Guards::new(guards), bounds, hooks, schemas: Schemas::default() }
    }
}
