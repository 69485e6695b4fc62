//! JSON-RPC messages: names and ids are those that any reader finds in what is taken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::mcp::message::{Message, arguments, parse};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(messages) = parse(bytes, true) else { return };
    // Half a surrogate pair, or more levels than this reader takes, decide nothing.
    let Ok(whole) = serde_json::from_slice::<Value>(bytes) else { return };
    let each = match &whole {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    };
    assert_eq!(each.len(), messages.len());
    for (value, message) in each.into_iter().zip(&messages) {
        let Some(call) = message.call() else {
            assert!(value.get("method").is_none());
            continue;
        };
        assert_eq!(value["method"], Value::from(call.method.as_str()));
        let params = &value["params"];
        assert_eq!(params["name"].as_str(), call.params.name.as_deref());
        assert_eq!(params["uri"].as_str(), call.params.uri.as_deref());
        if let Message::Request { id, .. } = message {
            assert_eq!(id.to_json(), value["id"].to_string());
        }
        let kept = call.params.arguments.as_ref();
        let unreadable = call.params.unreadable.len();
        assert_eq!(kept.map(|kept| kept.len() + unreadable), params["arguments"].as_object().map(serde_json::Map::len));
        for operation in call.operations().unwrap_or_default() {
            let _ = operation.has_valid_name();
        }
    }
    if let Some(text) = arguments(bytes) {
        assert_eq!(serde_json::from_slice::<Value>(&text).expect("JSON"), whole["params"]["arguments"]);
    }
});
