//! The JSON-RPC 2.0 envelope: what a message asks for, and the error bodies that the gate answers with.

use serde_json::{Value, json};

/// A JSON-RPC id (string or number); `null` stands for one that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestId(Option<Value>);

impl RequestId {
    /// An id that is not known.
    #[must_use]
    pub fn unknown() -> Self {
        Self(None)
    }

    /// An id as a message has it: a string or a whole number.
    #[must_use]
    pub fn read(id: &Value) -> Option<Self> {
        let fits = match id {
            Value::String(_) => true,
            Value::Number(number) => number.is_i64() || number.is_u64(),
            _ => false,
        };
        fits.then(|| Self(Some(id.clone())))
    }

    /// Whether it is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// The id as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.0.as_ref().map_or_else(|| "null".to_owned(), Value::to_string)
    }
}

/// The body of a refusal: a JSON-RPC error response (T32) with the request's id where that is known.
///
/// `code` is one of MCP's where it defines one, and the HTTP status else: JSON-RPC reserves -32768..-32000, MCP defines codes there, and a code of ours among
/// them would be taken for one of those.
#[must_use]
pub fn error_body(id: &RequestId, code: i32, message: &str, request: &str) -> String {
    json!({
        "jsonrpc": "2.0",
        "id": id.0,
        "error": { "code": code, "message": message, "data": { "request": request } }
    })
    .to_string()
}
