//! What the identity assertion says about the request that the origin server gets.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::gateway::Gateway;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{message, modern, with_rules};
use crate::support::{Claims, Key, Request, TestSecrets, World, document, open_with};

fn gate(mut document: Value, table: Value) -> Rc<Gateway> {
    document["identity_assertion"] = table;
    let secrets = TestSecrets(vec![("KEY", Key::Ed25519.private_jwk().to_string())]);
    open_with(document, &secrets).expect("the document is right")
}

fn always() -> Rc<Gateway> {
    gate(document(), json!({ "key_secrets": ["KEY"], "operation": true }))
}

/// The claims `mcp_method`, `mcp_name` and `arguments_sha256`, and the body that the origin server gets.
fn asserted(gateway: &Rc<Gateway>, request: Request) -> ([Value; 3], String) {
    let world = World::new();
    world.call(gateway, request);
    let sent = world.sent().pop().expect("it was forwarded");
    let assertion = sent.fields.get("x-portcullis-assertion").expect("an assertion");
    let claims = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).expect("claims")).expect("base64url");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    let named = ["mcp_method", "mcp_name", "arguments_sha256"].map(|name| claims[name].clone());
    (named, String::from_utf8(sent.body).expect("text"))
}

fn sha256(text: &str) -> Value {
    json!(URL_SAFE_NO_PAD.encode(Sha256::digest(text)))
}

fn called(arguments: &str) -> Request {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"search","arguments":{arguments}}}}}"#
    );
    message(Claims::good(), "x", json!({})).body(body.as_bytes())
}

#[wasm_bindgen_test(unsupported = test)]
fn it_names_method_item_and_arguments() {
    let gateway = always();
    for (method, params, name, digest) in [
        (
            "tools/call",
            json!({ "name": "search", "arguments": { "b": 1, "a": "x" } }),
            json!("search"),
            sha256(r#"{"a":"x","b":1}"#),
        ),
        ("tools/call", json!({ "name": "Zoë" }), json!("Zoë"), sha256("{}")),
        ("prompts/get", json!({ "name": "hello", "arguments": {} }), json!("hello"), sha256("{}")),
        ("resources/read", json!({ "uri": "file:///a" }), json!("file:///a"), Value::Null),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "p" }, "argument": {} }),
            json!("p"),
            Value::Null,
        ),
        ("tools/list", json!({}), Value::Null, Value::Null),
        ("initialize", json!({}), Value::Null, Value::Null),
        ("their/own", json!({ "name": "x", "arguments": { "a": 1 } }), Value::Null, Value::Null),
    ] {
        let expected = [json!(method), name, digest];
        assert_eq!(asserted(&gateway, message(Claims::good(), method, params)).0, expected, "{method}");
    }
    let request = modern(Claims::good(), "tools/call", json!({ "name": "search", "arguments": { "q": [] } }));
    assert_eq!(asserted(&gateway, request).0, [json!("tools/call"), json!("search"), sha256(r#"{"q":[]}"#)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn arguments_have_the_canonical_form_of_rfc_8785() {
    let gateway = always();
    for (sent, canonical) in [
        // RFC 8785 §3.2.2 and §3.2.3.
        (
            r#"{"numbers":[333333333.33333329,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#,
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#,
        ),
        (
            r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#,
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}",
        ),
        // Appendix B.
        (
            r#"{"n":[-0.0,0,5e-324,9007199254740991,-9007199254740991,1e-7,0.000001,333333333.33333325,1424953923781206.2]}"#,
            r#"{"n":[0,0,5e-324,9007199254740991,-9007199254740991,1e-7,0.000001,333333333.33333325,1424953923781206.2]}"#,
        ),
    ] {
        assert_eq!(asserted(&gateway, called(sent)).0[2], sha256(canonical), "{sent}");
    }
    // Two readers may differ about these, so they have no digest, and a server that checks it rejects them.
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(80), "]".repeat(80));
    let too_large = [r#"{"a":9007199254740992}"#, r#"{"a":[{"b":1E30}]}"#, r#"{"a":-295147905179352825856}"#];
    for sent in [r#"{"a":{"b":1,"b":2}}"#, deep.as_str()].into_iter().chain(too_large) {
        let expected = [json!("tools/call"), json!("search"), Value::Null];
        assert_eq!(asserted(&gateway, called(sent)).0, expected, "{sent}");
    }
    let repeated = World::new().call(&gateway, called(r#"{"a":1,"a":2}"#));
    assert_eq!(repeated.status, 400, "{}", repeated.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_gateway_does_not_read_is_not_named() {
    let request = || message(Claims::good(), "tools/call", json!({ "name": "search", "arguments": {} }));
    let none = [Value::Null, Value::Null, Value::Null];
    for table in [json!({ "key_secrets": ["KEY"] }), json!({ "key_secrets": ["KEY"], "operation": false })] {
        assert_eq!(asserted(&gate(document(), table), request()).0, none);
    }
    // Rules make the gateway read messages.
    let ruled = gate(
        with_rules(json!([{ "effect": "allow", "tools": ["search"] }]), json!({})),
        json!({ "key_secrets": ["KEY"] }),
    );
    assert_eq!(asserted(&ruled, request()).0, [json!("tools/call"), json!("search"), sha256("{}")]);
    let gateway = always();
    let one = r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"a":1}}}]"#;
    let two = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]"#;
    for batch in [one, &format!(" \n{one}"), two] {
        let request = message(Claims::good(), "x", json!({})).field("mcp-protocol-version", "2025-03-26");
        assert_eq!(asserted(&gateway, request.body(batch.as_bytes())).0, none, "{batch}");
    }
    let response = message(Claims::good(), "x", json!({})).body(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert_eq!(asserted(&gateway, response).0, none);
    assert_eq!(asserted(&gateway, Request::get("/mcp").bearer(&crate::support::token(&Claims::good()))).0, none);
}

#[wasm_bindgen_test(unsupported = test)]
fn it_is_about_the_message_that_the_origin_server_gets() {
    let rules = json!([{ "effect": "deny", "tools": ["admin"] }, { "effect": "allow", "tools": ["*"] }]);
    let gateway = gate(with_rules(rules, json!({})), json!({ "key_secrets": ["KEY"] }));
    let (claims, body) =
        asserted(&gateway, message(Claims::good(), "tools/call", json!({ "name": "admin", "arguments": { "a": 1 } })));
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_ne!(body["params"]["name"], json!("admin"), "a decoy");
    assert_eq!(claims, [json!("tools/call"), body["params"]["name"].clone(), sha256(r#"{"a":1}"#)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn bodies_are_bounded_where_every_message_is_read() {
    let mut document = document();
    document["resources"][0]["body_bytes"] = json!(20_000_000);
    document["identity_assertion"] = json!({ "key_secrets": ["KEY"], "operation": true });
    let secrets = TestSecrets(vec![("KEY", Key::Ed25519.private_jwk().to_string())]);
    let mistakes = open_with(document, &secrets).expect_err("a mistake").to_string();
    assert!(
        mistakes.contains("resources[0].body_bytes: must be at most 8388608 where messages are read"),
        "{mistakes}"
    );
}
