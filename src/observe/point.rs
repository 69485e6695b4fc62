//! A request as a data point of Analytics Engine, which aggregates over all isolates.

use crate::observe::event::Outcome;
use crate::pipeline::context::RequestContext;
use crate::time::UnixMillis;

/// The version of the order of blobs and doubles.
const VERSION: &str = "1";
/// Most bytes of an index (a limit of Analytics Engine).
const INDEX_BYTES: usize = 96;

/// A data point.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The sampling key: the path of the resource.
    pub index: String,
    /// From `blob1` on: version, resource, decision, reason, issuer, era, MCP method, name, `hit` or `miss`, HTTP
    /// method.
    pub blobs: Vec<String>,
    /// From `double1` on: status; milliseconds in total, milliseconds for the credential, milliseconds until the origin
    /// server's head; seconds for which the issuer's keys are still fresh. -1 if there is no such value.
    pub doubles: Vec<f64>,
}

impl Point {
    /// The data point of a finished request. `fresh` is the seconds for which the keys of its issuer are still fresh.
    #[must_use]
    pub fn of(
        context: &RequestContext,
        outcome: &Outcome<'_>,
        status: u16,
        fresh: Option<u64>,
        now: UnixMillis,
    ) -> Self {
        let resource = context.resource.as_ref().map_or("", |resource| resource.path.as_str());
        let index = resource.char_indices().take_while(|(at, char)| at + char.len_utf8() <= INDEX_BYTES);
        let known = match context.audit.entries().cache_hit {
            Some(true) => "hit",
            Some(false) => "miss",
            None => "",
        };
        let blobs = [
            VERSION,
            resource,
            if outcome.is_allowed() { "allow" } else { "deny" },
            outcome.reason(),
            context.audit.entries().issuer.as_deref().unwrap_or_default(),
            context.audit.entries().era.map(crate::mcp::era::Era::as_str).unwrap_or_default(),
            context.audit.entries().mcp_method.as_deref().unwrap_or_default(),
            context.audit.entries().mcp_name.as_deref().unwrap_or_default(),
            known,
            context.method.as_str(),
        ];
        let number =
            |value: Option<u64>| value.map_or(-1.0, |value| f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
        Self {
            index: index.map(|(_, char)| char).collect(),
            blobs: blobs.map(str::to_owned).to_vec(),
            doubles: vec![
                f64::from(status),
                number(Some(now.since(context.received))),
                number(context.audit.entries().credential.is_some().then_some(context.authentication_ms)),
                number(context.origin_ms),
                number(fresh),
            ],
        }
    }
}
