//! What rate limits count.

use crate::mcp::operation::Operation;

/// A permitted operation, as rate limits count it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitedCall {
    /// What the caller asked for; `None` if the gateway did not read the message.
    pub operation: Option<Operation>,
    /// The tool that the call counts for.
    pub tool: LimitedTool,
    /// The index of its message in a batch.
    pub at: usize,
    /// The operation that the origin server gets in its place, if a decoy replaces it.
    pub instead: Option<Operation>,
}

impl LimitedCall {
    /// The operation as all but the rules see it: a hidden name counts, and is examined, as a name that does not exist.
    #[must_use]
    pub fn seen(&self) -> Option<&Operation> {
        self.instead.as_ref().or(self.operation.as_ref())
    }
}

/// The tool that a call counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitedTool {
    /// The tool that the operation names, if any.
    Itself,
    /// A hidden name, which a decoy replaces. It counts as a name that does not exist, and never as the tool.
    StandIn,
    /// A name that no rule permits, under a policy that is only observed. All such names of a caller are counted
    /// together.
    Unknown,
}
