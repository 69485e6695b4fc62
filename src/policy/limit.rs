//! Rate limits: how often a caller may call.

use crate::mcp::operation::Operation;
use crate::policy::caller::Caller;
use crate::policy::counters::Rate;
use crate::policy::pattern::{Pattern, fold};

/// What requests are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitKey {
    /// Issuer and subject.
    Subject,
    /// Issuer and client.
    Client,
    /// Tool.
    Tool,
}

/// A rate limit of a resource.
#[derive(Debug, Clone)]
pub struct Limit {
    /// What requests are grouped by: each group has its own counter.
    pub by: Vec<LimitKey>,
    /// Maximum number of requests in a period.
    pub requests: u64,
    /// Length of the period in seconds.
    pub seconds: u64,
    /// The tools whose calls count; `None` if all requests count.
    pub tools: Option<Vec<Pattern>>,
    /// The rate-limiting binding, which counts for all isolates of a data center (colo).
    pub binding: Option<String>,
}

impl Limit {
    /// What the limit counts, as text: limits that count differently must not share counters, whatever their order.
    #[must_use]
    pub fn terms(&self) -> String {
        let tools = self.tools.as_ref().map(|tools| tools.iter().map(Pattern::as_str).collect::<Vec<_>>());
        format!("{:?} {} {} {tools:?}", self.by, self.requests, self.seconds)
    }

    /// What counts together in a budget, as text. A budget that is raised keeps what it has counted.
    #[must_use]
    pub fn group(&self) -> String {
        let mut tools: Vec<&str> = self.tools.iter().flatten().map(Pattern::as_str).collect();
        tools.sort_unstable();
        format!("{:?} {tools:?}", self.by)
    }

    /// The maximum rate.
    #[must_use]
    pub fn rate(&self) -> Rate {
        Rate { requests: self.requests, seconds: self.seconds }
    }

    /// Whether the limit depends on which tool a request calls.
    #[must_use]
    pub fn asks_for_tools(&self) -> bool {
        self.tools.is_some() || self.by.contains(&LimitKey::Tool)
    }

    /// Whether an operation counts. The patterns for tools ignore letter case, because some servers do: a caller must
    /// not evade a limit by changing the case of a name.
    #[must_use]
    pub fn counts(&self, operation: Option<&Operation>) -> bool {
        let Some(patterns) = &self.tools else { return true };
        let Some(operation) = operation.filter(|operation| operation.tool().is_some()) else { return false };
        // A name about which readers disagree may be that of any tool.
        if !operation.has_valid_name() {
            return true;
        }
        operation.tool().map(fold).is_some_and(|tool| patterns.iter().any(|pattern| pattern.matches_folded(&tool)))
    }

    /// The parts of the counter's key, for a call of a tool (with its folded name) or for a request that calls none. A
    /// caller without a client counts by its subject, so that it shares no counter with other such callers.
    #[must_use]
    pub fn parts<'a>(&self, tool: Option<&'a str>, caller: &'a Caller) -> Vec<&'a str> {
        let subject = &caller.subject;
        let parts = self.by.iter().flat_map(|key| match key {
            LimitKey::Subject => ["subject", &subject.issuer, &subject.subject],
            LimitKey::Client => match &subject.client {
                Some(client) => ["client", &subject.issuer, client],
                None => ["subject", &subject.issuer, &subject.subject],
            },
            LimitKey::Tool => ["tool", tool.unwrap_or_default(), ""],
        });
        parts.collect()
    }
}
