//! How often callers may call.

use crate::mcp::operation::Operation;
use crate::policy::caller::Caller;
use crate::policy::counters::Rate;
use crate::policy::pattern::{Pattern, fold};

/// What requests are counted together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitKey {
    /// Issuer and subject.
    Subject,
    /// Client.
    Client,
    /// Tool.
    Tool,
}

/// A limit of a resource.
#[derive(Debug, Clone)]
pub struct Limit {
    /// What is counted together.
    pub by: Vec<LimitKey>,
    /// So many requests.
    pub requests: u64,
    /// In so many seconds.
    pub seconds: u64,
    /// Tools whose calls count; all requests do where there are none.
    pub tools: Option<Vec<Pattern>>,
    /// The binding that counts for all isolates of a place.
    pub binding: Option<String>,
}

impl Limit {
    /// What it counts, as text: limits that count otherwise must not share counters, whatever their order.
    #[must_use]
    pub fn terms(&self) -> String {
        let tools = self.tools.as_ref().map(|tools| tools.iter().map(Pattern::as_str).collect::<Vec<_>>());
        format!("{:?} {} {} {tools:?}", self.by, self.requests, self.seconds)
    }

    /// How many requests, in how long.
    #[must_use]
    pub fn rate(&self) -> Rate {
        Rate { requests: self.requests, seconds: self.seconds }
    }

    /// Whether it has to be known which tool is called.
    #[must_use]
    pub fn asks_for_tools(&self) -> bool {
        self.tools.is_some() || self.by.contains(&LimitKey::Tool)
    }

    /// Whether an operation counts. A limit on tools counts as a server that ignores case would read the name: what limits
    /// must not be evaded by capitals.
    #[must_use]
    pub fn counts(&self, operation: Option<&Operation>) -> bool {
        let Some(patterns) = &self.tools else { return true };
        let tool = operation.and_then(Operation::tool).map(fold);
        tool.is_some_and(|tool| patterns.iter().any(|pattern| pattern.matches_folded(&tool)))
    }

    /// The parts of the counter's name for a call of a tool, named in folded letters, or for a request that calls none.
    /// A caller without a client counts by its subject, so that it shares no counter with others of the kind.
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
