//! `subscriptions/listen` (T26) at several servers: the gateway acknowledges it, because a client reads one acknowledgment.

use serde_json::{Map, Value, json};

use crate::mcp::envelope::RequestId;
use crate::mcp::method::LISTEN_ACKNOWLEDGED;
use crate::strict_json;

/// The member of `_meta` that says which `subscriptions/listen` a notification belongs to.
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// The members of `params.notifications` that ask for every change of a list, of any server.
const LISTS: [&str; 3] = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];

/// The members that name what they ask for.
const NAMED: [&str; 2] = ["resourceSubscriptions", "taskIds"];

/// What a client asks to be notified of.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked(Map<String, Value>);

impl Asked {
    /// Reads a request; `None` if it has no `params.notifications`.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let message: Value = strict_json::part(std::str::from_utf8(body).ok()?)?;
        let asked = message.get("params")?.get("notifications")?.as_object()?;
        let known = asked.iter().filter(|(name, value)| {
            let name = name.as_str();
            LISTS.contains(&name) && **value == Value::Bool(true) || NAMED.contains(&name)
        });
        Some(Self(known.map(|(name, value)| (name.clone(), value.clone())).collect()))
    }

    /// Whether every server may have something to say.
    #[must_use]
    pub fn concerns_all(&self) -> bool {
        LISTS.iter().any(|name| self.0.contains_key(*name))
    }

    /// The event that acknowledges the request.
    #[must_use]
    pub fn acknowledgment(&self, id: &RequestId) -> String {
        acknowledgment(&self.0, id)
    }
}

fn acknowledgment(asked: &Map<String, Value>, id: &RequestId) -> String {
    let params = json!({ "notifications": asked, "_meta": { SUBSCRIPTION: json_of(id) } });
    event(&json!({ "jsonrpc": "2.0", "method": LISTEN_ACKNOWLEDGED, "params": params }))
}

/// The event that acknowledges that there will be no notifications.
#[must_use]
pub fn nothing_acknowledged(id: &RequestId) -> String {
    acknowledgment(&Map::new(), id)
}

/// The event that ends the stream.
#[must_use]
pub fn ended(id: &RequestId) -> String {
    let id = json_of(id);
    let result = json!({ "resultType": "complete", "_meta": { SUBSCRIPTION: id } });
    event(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

fn json_of(id: &RequestId) -> Value {
    strict_json::parse(id.to_json().as_bytes()).unwrap_or_default()
}

fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}
