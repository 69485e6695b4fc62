//! The JSON-RPC 2.0 envelope: the ids of requests, and the error bodies that the gateway sends.

use serde_json::{Value, json};

use crate::mcp::era::supported_versions;

/// A JSON-RPC id (string or number); it is `null` in JSON if the id could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestId(Option<Value>);

impl RequestId {
    /// An unknown id.
    #[must_use]
    pub fn unknown() -> Self {
        Self(None)
    }

    /// The id in a message, if it is a string or an integer.
    #[must_use]
    pub fn read(id: &Value) -> Option<Self> {
        let fits = match id {
            Value::String(_) => true,
            Value::Number(number) => number.is_i64() || number.is_u64(),
            _ => false,
        };
        fits.then(|| Self(Some(id.clone())))
    }

    /// Whether the id is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// The id as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = self.0.as_ref().and_then(|id| serde_json::to_string(id).ok());
        json.unwrap_or_else(|| "null".to_owned())
    }
}

/// The response to a request with a result that says nothing.
#[must_use]
pub fn empty_result(id: &RequestId) -> String {
    json!({ "jsonrpc": "2.0", "id": id.0, "result": {} }).to_string()
}

/// The body of a rejection: a JSON-RPC error response (T32), with the id of the request if that is known.
///
/// `code` is the code that MCP defines for the error, or else the HTTP status. JSON-RPC reserves -32768..-32000, and
/// MCP defines codes in that range; a code that the gateway invented there could be taken for one of MCP's.
#[must_use]
pub fn error_body(id: &RequestId, code: i32, message: &str, request: &str) -> String {
    error_with(id, (code, message), &json!({ "request": request }))
}

/// What a JSON-RPC error says besides code and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorData {
    /// Only the id of the request in the log.
    None,
    /// The extension that the client has to declare (T21).
    RequiredExtension(&'static str),
    /// The versions of MCP that are supported (T28), and the one that the client asked for.
    SupportedVersions(String),
}

/// The body of a rejection that says more.
#[must_use]
pub fn error_body_with(id: &RequestId, error: (i32, &str), data: ErrorData, request: &str) -> String {
    let data = match data {
        ErrorData::None => json!({ "request": request }),
        ErrorData::RequiredExtension(extension) => {
            let capabilities = json!({ "extensions": { extension: {} } });
            json!({ "request": request, "requiredCapabilities": capabilities })
        }
        ErrorData::SupportedVersions(requested) => {
            json!({ "request": request, "supported": supported_versions(), "requested": requested })
        }
    };
    error_with(id, error, &data)
}

fn error_with(id: &RequestId, (code, message): (i32, &str), data: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id.0, "error": { "code": code, "message": message, "data": data } }).to_string()
}
