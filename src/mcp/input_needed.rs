//! Answers that ask a client to have its user open a URL: `input_required` with URL mode elicitation (2026-07-28), or words.

use serde_json::{Value, json};

use crate::mcp::envelope::{RequestId, error_body};
use crate::mcp::era::{Era, FIRST_MODERN};
use crate::mcp::method::{CALL_TOOL, DISCOVER, INITIALIZE};
use crate::strict_json;

/// The methods whose result may be `input_required`.
const MAY_NEED_INPUT: [&str; 3] = [CALL_TOOL, "prompts/get", "resources/read"];

/// The name of the question that has a user approve a call.
pub const APPROVAL: &str = "approval";

/// The member of `_meta` in which a client declares what it can do.
pub(super) const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// `URLElicitationRequiredError` of MCP 2025-11-25. It does not exist in the modern era.
const URL_NEEDED: i32 = -32042;

/// What a request asks for, as far as such an answer depends on it. The default is for a request whose message is not at hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    id: RequestId,
    method: String,
    opens_urls: bool,
}

/// Whether capabilities of a client have URL mode elicitation.
pub(super) fn opens_urls(capabilities: &Value) -> bool {
    capabilities.get("elicitation").and_then(|elicitation| elicitation.get("url")).is_some_and(Value::is_object)
}

impl Asked {
    /// Whether the client declares in it that it can open URLs.
    #[must_use]
    pub fn opens_urls(&self) -> bool {
        self.opens_urls
    }

    /// Reads a request; `None` if the body is no single request.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let Value::Object(message) = strict_json::parse(body).ok()? else { return None };
        let id = RequestId::read(message.get("id")?)?;
        let method = message.get("method")?.as_str()?.to_owned();
        let params = message.get("params");
        let modern = params.and_then(|params| params.get("_meta")?.get(CAPABILITIES));
        // In the legacy era a client declares what it can do once, in the request that begins a session.
        let legacy = params.filter(|_| method == INITIALIZE).and_then(|params| params.get("capabilities"));
        let opens_urls = modern.or(legacy).is_some_and(opens_urls);
        Some(Self { id, method, opens_urls })
    }

    /// The id of the request.
    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// The same, of a client whose session says that it can open URLs.
    #[must_use]
    pub fn of_session(self, opens_urls: bool) -> Self {
        Self { opens_urls: self.opens_urls || opens_urls, ..self }
    }

    /// The status and the body of the answer to a call that a person has to approve. `state` is the `requestState` that the client brings
    /// back, and `id` identifies the question.
    #[must_use]
    pub fn approval(&self, era: Era, (message, url): (&str, &str), (state, id): (&str, &str)) -> (u16, String) {
        let request: Value = strict_json::parse(self.id.to_json().as_bytes()).unwrap_or(Value::Null);
        let body = match era {
            Era::Modern if self.opens_urls => {
                let elicitation = json!({
                    "method": "elicitation/create",
                    "params": { "mode": "url", "message": message, "url": url },
                });
                let questions = json!({ APPROVAL: elicitation });
                let result =
                    json!({ "resultType": "input_required", "inputRequests": questions, "requestState": state });
                json!({ "jsonrpc": "2.0", "id": request, "result": result }).to_string()
            }
            Era::Legacy if self.opens_urls => {
                let elicitation = json!({ "mode": "url", "elicitationId": id, "url": url, "message": message });
                let error = json!({
                    "code": URL_NEEDED, "message": format!("{message} {url}"), "data": { "elicitations": [elicitation] },
                });
                json!({ "jsonrpc": "2.0", "id": request, "error": error }).to_string()
            }
            _ => {
                let words = format!("{message} {url} Then call the tool again with the same arguments.");
                let content = json!([{ "type": "text", "text": words }]);
                let result = match era {
                    Era::Modern => json!({ "resultType": "complete", "content": content, "isError": true }),
                    Era::Legacy => json!({ "content": content, "isError": true }),
                };
                json!({ "jsonrpc": "2.0", "id": request, "result": result }).to_string()
            }
        };
        (200, body)
    }

    /// The status and the body of the answer. An answer that is no result has the status 403, which never makes a client take the
    /// gateway for a server of another era.
    #[must_use]
    pub fn answer(&self, era: Era, message: &str, url: &str, request: &str) -> (u16, String) {
        let words = format!("{message} {url}");
        let id: Value = strict_json::parse(self.id.to_json().as_bytes()).unwrap_or(Value::Null);
        let result = |result: Value| (200, json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string());
        if era == Era::Modern && self.opens_urls && MAY_NEED_INPUT.contains(&self.method.as_str()) {
            let elicitation = json!({
                "method": "elicitation/create",
                "params": { "mode": "url", "message": message, "url": url },
            });
            return result(json!({ "resultType": "input_required", "inputRequests": { "connect": elicitation } }));
        }
        if era == Era::Modern && self.method == DISCOVER {
            // Clients show their users nothing of a 403 to this request, and take another error for a sign of a legacy server. What
            // the server has is not known before the user is connected, only that the answer will be another one then.
            return result(json!({
                "resultType": "complete",
                "supportedVersions": [FIRST_MODERN],
                "capabilities": { "tools": {} },
                "instructions": words,
                "ttlMs": 0,
                "cacheScope": "private",
            }));
        }
        if era == Era::Legacy && self.opens_urls && self.method == INITIALIZE {
            let elicitation = json!({ "mode": "url", "elicitationId": request, "url": url, "message": message });
            let error = json!({ "code": URL_NEEDED, "message": words, "data": { "elicitations": [elicitation] } });
            return (200, json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string());
        }
        if self.method == CALL_TOOL {
            let content = json!([{ "type": "text", "text": words }]);
            return result(match era {
                Era::Modern => json!({ "resultType": "complete", "content": content, "isError": true }),
                Era::Legacy => json!({ "content": content, "isError": true }),
            });
        }
        (403, error_body(&self.id, 403, &words, request))
    }
}
