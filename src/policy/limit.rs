//! How often callers may call: counters of fixed periods, as the rate-limiting binding of Workers has them.

use std::collections::BTreeMap;

use crate::limits::LIMIT_COUNTERS;
use crate::policy::caller::Caller;
use crate::policy::operation::{Kind, Operation};
use crate::policy::pattern::Pattern;
use crate::time::UnixMillis;

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

/// What is to be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Index into the limits of the resource.
    pub limit: usize,
    /// Names the counter: a digest, as subjects are nobody else's business.
    pub key: String,
}

impl Limit {
    /// What it counts, as text: limits that count otherwise must not share counters, whatever their order.
    #[must_use]
    pub fn terms(&self) -> String {
        let tools = self.tools.as_ref().map(|tools| tools.iter().map(Pattern::as_str).collect::<Vec<_>>());
        format!("{:?} {} {} {tools:?}", self.by, self.requests, self.seconds)
    }

    /// Whether it has to be known which tool is called.
    #[must_use]
    pub fn asks_for_tools(&self) -> bool {
        self.tools.is_some() || self.by.contains(&LimitKey::Tool)
    }

    /// The parts of the counter's name for an operation; nothing where that does not count.
    #[must_use]
    pub fn parts(&self, operation: Option<&Operation>, caller: &Caller) -> Option<Vec<String>> {
        let tool = operation.and_then(|operation| match &operation.target {
            Some((Kind::Tool, name)) => Some(name.as_str()),
            _ => None,
        });
        if let Some(patterns) = &self.tools
            && !tool.is_some_and(|tool| patterns.iter().any(|pattern| pattern.matches(tool)))
        {
            return None;
        }
        let subject = &caller.subject;
        Some(
            self.by
                .iter()
                .flat_map(|key| match key {
                    LimitKey::Subject => vec![subject.issuer.clone(), subject.subject.clone()],
                    LimitKey::Client => vec![subject.client.clone().unwrap_or_default()],
                    LimitKey::Tool => vec![tool.unwrap_or_default().to_owned()],
                })
                .collect(),
        )
    }
}

/// The counters of this isolate.
#[derive(Debug, Default)]
pub struct Counters {
    counts: BTreeMap<String, (u64, u64)>,
}

impl Counters {
    /// Counts one request of a period.
    ///
    /// # Errors
    /// The seconds until the next period, where it is one too many.
    pub fn count(&mut self, key: &str, limit: &Limit, now: UnixMillis) -> Result<(), u64> {
        let period = now.seconds() / limit.seconds;
        if self.counts.len() >= LIMIT_COUNTERS && !self.counts.contains_key(key) {
            let before = |until: u64| until <= now.seconds();
            self.counts.retain(|_, (_, until)| !before(*until));
            if self.counts.len() >= LIMIT_COUNTERS {
                // Too many callers to tell apart: whoever is new has to wait rather than go uncounted.
                return Err(limit.seconds);
            }
        }
        let until = (period + 1) * limit.seconds;
        let entry = self.counts.entry(key.to_owned()).or_insert((0, until));
        if entry.1 != until {
            *entry = (0, until);
        }
        if entry.0 >= limit.requests {
            return Err(until.saturating_sub(now.seconds()).max(1));
        }
        entry.0 += 1;
        Ok(())
    }
}
