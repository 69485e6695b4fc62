//! What calls and results contain: guards that find secrets and personal data, and bounds by tool.

pub mod alphabet;
pub mod bound;
pub mod credentials;
pub mod examined;
pub mod fault;
pub mod filter;
pub mod finder;
pub mod guard;
pub mod in_flight;
pub mod numbers;
pub mod report;
pub mod scanner;
pub mod schema;
pub mod text;

use bound::Bound;
use guard::{Guard, Guards};
use schema::Schemas;

/// The guards and bounds of a resource.
#[derive(Debug, Default)]
pub struct Content {
    /// The guards.
    pub guards: Guards,
    /// The bounds.
    pub bounds: Vec<Bound>,
    /// The schemas that were compiled.
    pub schemas: Schemas,
}

impl Content {
    /// Guards and bounds.
    #[must_use]
    pub fn new(guards: Vec<Guard>, bounds: Vec<Bound>) -> Self {
        Self { guards: Guards::new(guards), bounds, schemas: Schemas::default() }
    }
}
