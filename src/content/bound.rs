//! Bounds: how large calls of a tool and their results may be, how long they may take, and how many may run at once.

use crate::content::guard::is_about;
use crate::mcp::operation::Operation;
use crate::policy::rule::Targets;

/// Whether something is held to the schemas of its tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaMode {
    /// What does not fit does not pass.
    Enforce,
    /// The log says what does not fit.
    Observe,
}

/// The bounds for some operations. What is `None` has no bound.
#[derive(Debug, Clone, Default)]
pub struct Bound {
    /// The operations.
    pub targets: Targets,
    /// The bounds.
    pub bounds: Bounds,
}

/// Bounds. What is `None` has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Most bytes of the message with the call.
    pub request_bytes: Option<u64>,
    /// Most bytes of the message with the result.
    pub response_bytes: Option<u64>,
    /// Deepest nesting of the arguments, and of the result: an object or array without others in it has depth 1.
    pub depth: Option<u64>,
    /// Most members and elements of the arguments, and of the result, at all levels.
    pub items: Option<u64>,
    /// Seconds until the answer has to be complete.
    pub seconds: Option<u64>,
    /// Most calls of one caller at the same time, in each isolate.
    pub in_flight: Option<u64>,
    /// Whether arguments and structured results have to fit the schemas of the tool in the lock.
    pub schema: Option<SchemaMode>,
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Bounds {
    /// The strictest of all bounds for a message that belongs to one of these operations; `None` if it is not known to which.
    #[must_use]
    pub fn strictest(all: &[Bound], operations: Option<&[Operation]>) -> Self {
        let is_about = |bound: &&Bound| {
            operations.is_none_or(|them| them.iter().any(|operation| is_about(&bound.targets, operation)))
        };
        all.iter().filter(is_about).fold(Self::default(), |sum, bound| sum.with(&bound.bounds))
    }

    /// How many calls at the same time each bound permits for these operations, by the index of the bound, and how many of them are such
    /// calls.
    #[must_use]
    pub fn at_once(all: &[Bound], operations: &[Operation]) -> Vec<(usize, u64, usize)> {
        let of_each = all.iter().enumerate().filter_map(|(index, bound)| {
            let count = operations.iter().filter(|operation| is_about(&bound.targets, operation)).count();
            bound.bounds.in_flight.filter(|_| count > 0).map(|most| (index, most, count))
        });
        of_each.collect()
    }

    fn with(self, other: &Self) -> Self {
        let Self { request_bytes, response_bytes, depth, items, seconds, in_flight, schema } = *other;
        Self {
            request_bytes: least(self.request_bytes, request_bytes),
            response_bytes: least(self.response_bytes, response_bytes),
            depth: least(self.depth, depth),
            items: least(self.items, items),
            seconds: least(self.seconds, seconds),
            in_flight: least(self.in_flight, in_flight),
            schema: match (self.schema, schema) {
                (Some(SchemaMode::Enforce), _) | (_, Some(SchemaMode::Enforce)) => Some(SchemaMode::Enforce),
                (one, other) => one.or(other),
            },
        }
    }

    /// Whether something has to be known of the whole result before any of it passes.
    #[must_use]
    pub fn holds_results(&self) -> bool {
        self.response_bytes.is_some() || self.depth.is_some() || self.items.is_some()
    }
}
