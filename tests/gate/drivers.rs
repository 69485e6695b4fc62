//! Who meets the needs of a request, the driver or a shell that takes steps, changes nothing: not the answer, not the log,
//! not what reaches the origin server.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use portcullis::transport::head::Method;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{Claims, Key, Request, TestSecrets, World, document, open_with, token};

const LIST: &[u8] = br#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;

fn call(tool: &str) -> Vec<u8> {
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": tool } }).to_string().into_bytes()
}

fn documents() -> Vec<(&'static str, Value)> {
    let rules = json!([{ "effect": "allow", "tools": ["read_*"] }, { "effect": "allow", "methods": ["tools/list"] }]);
    let mut with_rules = document();
    with_rules["resources"][0]["rules"] = rules;
    with_rules["decision_log"] = json!({});
    let mut with_assertion = with_rules.clone();
    with_assertion["identity_assertion"] = json!({ "key_secrets": ["ASSERTION_KEY"] });
    vec![("plain", document()), ("rules", with_rules), ("rules and assertion", with_assertion)]
}

fn requests() -> Vec<(&'static str, Request)> {
    let good = || Request::post("/mcp").bearer(&token(&Claims::good()));
    let expired = Claims::good().with("exp", json!(1));
    vec![
        ("a token for the first time", good().body(&call("read_file"))),
        ("a token again", good().body(&call("read_file"))),
        ("a tool that is not allowed", good().body(&call("write_file"))),
        ("a list", good().body(LIST)),
        ("no message", good().body(b"{")),
        ("no token", Request::post("/mcp")),
        ("an expired token", Request::post("/mcp").bearer(&token(&expired))),
        ("no scope", Request::post("/mcp").bearer(&token(&Claims::good().without("scope")))),
        ("a public document", Request::get("/.well-known/oauth-protected-resource/mcp")),
        ("no such path", Request::get("/elsewhere")),
        ("a method that is not taken", Request::new(Method::Delete, "/mcp").bearer(&token(&Claims::good()))),
    ]
}

fn open(document: &Value) -> Rc<Gateway> {
    let secrets = TestSecrets(vec![("ASSERTION_KEY", Key::Ed25519.private_jwk().to_string())]);
    open_with(document.clone(), &secrets).expect("right")
}

#[wasm_bindgen_test(unsupported = test)]
fn both_drivers_agree() {
    for (configuration, document) in documents() {
        let (driven, stepped) = (World::new(), World::new());
        let (one, other) = (open(&document), open(&document));
        for (what, request) in requests() {
            let a = driven.call(&one, request.clone());
            let b = stepped.call_in_steps(&other, request);
            let what = format!("{configuration}: {what}");
            assert_eq!((a.status, &a.fields, &a.body), (b.status, &b.fields, &b.body), "{what}");
            assert_eq!(driven.lines(), stepped.lines(), "{what}");
            let sent =
                |world: &World| world.sent().iter().map(|it| (it.url.clone(), it.fields.clone())).collect::<Vec<_>>();
            assert_eq!(sent(&driven), sent(&stepped), "{what}");
        }
    }
}
