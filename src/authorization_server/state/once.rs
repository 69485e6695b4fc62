//! A value that may be used only once: the `jti` of a client assertion.

use serde::{Deserialize, Serialize};

use super::RecordStateMachine;

/// The value was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Once {
    until: u64,
}

impl RecordStateMachine for Once {
    const KIND: &'static str = "once";
    /// The second from which the value is not accepted anyway.
    type Question = u64;
    /// Whether this was its first use.
    type Answer = bool;

    fn answer(record: Option<Self>, until: u64, _: u64) -> (bool, Option<Self>) {
        (record.is_none(), record.or(Some(Self { until })))
    }

    fn until(&self) -> u64 {
        self.until
    }
}
