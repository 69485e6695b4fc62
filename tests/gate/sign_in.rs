//! Rules that require a recent sign-in, or one of a certain kind (RFC 9470): the challenge, lists, records and configuration.

use portcullis::config::Configuration;
use portcullis::observe::replay::{Replay, Replayed};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{call, forwarded, gate, message, modern, scope, with_rules};
use crate::support::world::NOON;
use crate::support::{Claims, TestSecrets, World, open};

fn rules() -> Value {
    json!([
        { "effect": "step_up", "sign_in": { "max_age": 300 }, "tools": ["pay"] },
        { "effect": "step_up", "sign_in": { "acr": ["gold", "silver"], "amr": ["hwk", "mfa"] }, "tools": ["sign"] },
        { "effect": "step_up", "scopes": ["files:write"], "sign_in": { "max_age": 60, "acr": ["gold"] }, "tools": ["drop"] },
        { "effect": "allow", "tools": ["read"] },
    ])
}

fn signed_in(seconds_ago: u64) -> Claims {
    Claims::good().with("auth_time", json!(NOON - seconds_ago))
}

#[wasm_bindgen_test(unsupported = test)]
fn a_sign_in_that_is_too_old_is_challenged() {
    let gateway = gate(rules());
    for (claims, passes) in [
        (signed_in(0), true),
        (signed_in(300), true),
        (signed_in(301), false),
        (Claims::good(), false),
        (Claims::good().with("auth_time", json!(NOON + 30)), true),
        (Claims::good().with("auth_time", json!(NOON + 31)), false),
        (Claims::good().with("auth_time", json!(NOON.to_string())), false),
        (Claims::good().with("auth_time", json!(-1)), false),
        (Claims::good().with("auth_time", json!([NOON])), false),
        (Claims::good().with("auth_time", Value::Null), false),
    ] {
        let world = World::new();
        let reply = world.call(&gateway, call(claims, "pay"));
        if passes {
            assert_eq!(reply.status, 200, "{}", reply.body);
            continue;
        }
        assert_eq!(reply.status, 401, "{}", reply.body);
        let challenge = reply.field("www-authenticate");
        for part in [
            "Bearer error=\"insufficient_user_authentication\"",
            "max_age=\"300\"",
            "scope=\"mcp:tools\"",
            "resource_metadata=\"https://gate.example/.well-known/oauth-protected-resource/mcp\"",
        ] {
            assert!(challenge.contains(part), "{part}: {challenge}");
        }
        assert!(!challenge.contains("acr_values"), "{challenge}");
        assert_eq!(world.last_request()["reason"], json!("sign_in_not_enough"));
        assert_eq!(world.last_request()["detail"], json!("not fulfilled: max_age"));
        assert_eq!(world.sent().len(), 0);
    }
    // A tool that needs none, and one that does not exist for this caller.
    assert!(forwarded(&gateway, call(Claims::good(), "read")));
    let world = World::new();
    assert_eq!(world.call(&gateway, call(Claims::good(), "other")).status, 200);
    // In the modern era, too.
    let reply = World::new().call(&gateway, modern(signed_in(301), "tools/call", json!({ "name": "pay" })));
    assert_eq!(reply.status, 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn classes_and_methods_of_a_sign_in() {
    let gateway = gate(rules());
    let with = |acr: Value, amr: Value| Claims::good().with("acr", acr).with("amr", amr);
    for (claims, lacks) in [
        (with(json!("gold"), json!(["pwd", "mfa"])), ""),
        (with(json!("silver"), json!(["hwk"])), ""),
        (with(json!("bronze"), json!(["hwk"])), "acr"),
        (with(json!("gold silver"), json!(["hwk"])), "acr"),
        (with(json!(["gold"]), json!(["hwk"])), "acr"),
        (with(json!("gold"), json!(["pwd"])), "amr"),
        (with(json!("gold"), json!([])), "amr"),
        (with(json!("gold"), json!({ "mfa": true })), "amr"),
        (Claims::good(), "acr, amr"),
    ] {
        let world = World::new();
        let reply = world.call(&gateway, call(claims, "sign"));
        if lacks.is_empty() {
            assert_eq!(reply.status, 200, "{}", reply.body);
            continue;
        }
        assert_eq!(reply.status, 401);
        assert!(reply.field("www-authenticate").contains("acr_values=\"gold silver\""));
        assert_eq!(world.last_request()["detail"], json!(format!("not fulfilled: {lacks}")));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn one_challenge_names_everything_that_a_call_needs() {
    let gateway = gate(rules());
    let reply = World::new().call(&gateway, call(signed_in(61), "drop"));
    let challenge = reply.field("www-authenticate");
    assert_eq!(reply.status, 401);
    for part in ["scope=\"files:write mcp:tools\"", "acr_values=\"gold\"", "max_age=\"60\""] {
        assert!(challenge.contains(part), "{part}: {challenge}");
    }
    // With the sign-in alone, the scopes are what is missing.
    let signed_in = signed_in(1).with("acr", json!("gold"));
    assert_eq!(World::new().call(&gateway, call(signed_in.clone(), "drop")).status, 403);
    assert!(forwarded(&gateway, call(signed_in.with("scope", json!("mcp:tools files:write")), "drop")));
    // The calls of a batch have one challenge for all of them.
    let calls = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "drop", "arguments": {} } },
        { "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "pay", "arguments": {} } },
    ]);
    let request = call(scope("mcp:tools files:write"), "pay").field("mcp-protocol-version", "2025-03-26");
    let reply = World::new().call(&gateway, request.body(calls.to_string().as_bytes()));
    let challenge = reply.field("www-authenticate");
    assert_eq!(reply.status, 401, "{}", reply.body);
    assert!(challenge.contains("max_age=\"60\"") && challenge.contains("acr_values=\"gold\""), "{challenge}");
    // A caller who may not do it at all learns of no sign-in.
    let denied = gate(json!([
        { "effect": "deny", "tools": ["pay"], "when": { "scopes": ["mcp:tools"] } },
        { "effect": "step_up", "sign_in": { "max_age": 300 }, "tools": ["pay"] },
    ]));
    let reply = World::new().call(&denied, call(Claims::good(), "pay"));
    assert!(reply.status == 200 && reply.field("www-authenticate").is_empty(), "{}", reply.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_show_what_needs_another_sign_in() {
    let gateway = gate(rules());
    let world = World::new();
    let tools = json!({ "jsonrpc": "2.0", "id": 7, "result": { "tools": [
        { "name": "pay", "inputSchema": {} }, { "name": "sign", "inputSchema": {} },
        { "name": "drop", "inputSchema": {} }, { "name": "other", "inputSchema": {} },
    ] } });
    world.origin(Ok((200, &[("content-type", "application/json")])));
    world.origin_body(tools.to_string().as_bytes(), 1024);
    let reply = world.call(&gateway, message(Claims::good(), "tools/list", json!({})));
    let shown: Vec<&str> = ["pay", "sign", "drop", "other"]
        .into_iter()
        .filter(|name| reply.body.contains(&format!("\"{name}\"")))
        .collect();
    // `drop` needs a scope, too.
    assert_eq!(shown, ["pay", "sign"], "{}", reply.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_recorded_decision_about_a_sign_in_is_decided_again() {
    let document = with_rules(rules(), json!({}));
    let recorded = |claims: Claims, tool: &str| {
        let mut document = document.clone();
        document["decision_log"] = json!({});
        let world = World::new();
        world.call(&open(document).expect("the document is right"), call(claims, tool));
        world.decisions().pop().expect("a decision was recorded")
    };
    let replayed = |line: &str, document: &Value| {
        let config = Configuration::load(document.clone(), &TestSecrets::default()).expect("right").settings;
        Replay::default().line(1, line, &config)
    };
    let old = recorded(signed_in(301), "pay");
    let line: Value = serde_json::from_str(&old).expect("JSON");
    assert_eq!((&line["verdict"], &line["sign_in"]), (&json!("step_up"), &json!(["max_age"])));
    assert_eq!((&line["auth_age"], &line["missing"]), (&json!(301), &json!("")));
    let new = recorded(signed_in(300), "pay");
    let future = recorded(Claims::good().with("auth_time", json!(NOON + 31)), "pay");
    let missing = recorded(Claims::good(), "pay");
    let both = recorded(signed_in(61), "drop");
    for line in [&old, &new, &future, &missing, &both] {
        assert_eq!(replayed(line, &document), Replayed::Same, "{line}");
    }
    let mut longer = document.clone();
    longer["resources"][0]["rules"][0]["sign_in"]["max_age"] = json!(301);
    assert_eq!(replayed(&new, &longer), Replayed::Same);
    match replayed(&old, &longer) {
        Replayed::Changed(change) => {
            assert_eq!((change.then.0.as_str(), change.now.0.as_str()), ("step_up (sign_in: max_age)", "allow"));
        }
        other => panic!("{other:?}"),
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_in_what_a_sign_in_must_be() {
    let wrong = |rule: Value, at: &str, why: &str| {
        let document = with_rules(json!([rule]), json!({}));
        let mistakes = Configuration::load(document, &TestSecrets::default()).expect_err("wrong").to_string();
        assert!(mistakes.contains(&format!("resources[0].rules[0].{at}")) && mistakes.contains(why), "{mistakes}");
    };
    let step_up = |sign_in: Value| json!({ "effect": "step_up", "tools": ["x"], "sign_in": sign_in });
    wrong(step_up(json!({})), "sign_in", "must have max_age, acr or amr");
    wrong(step_up(json!({ "max_age": 9 })), "sign_in.max_age", "10");
    wrong(step_up(json!({ "max_age": 31_536_001 })), "sign_in.max_age", "31536000");
    wrong(step_up(json!({ "max_age": "300" })), "sign_in.max_age", "");
    wrong(step_up(json!({ "acr": [] })), "sign_in.acr", "must not be empty");
    wrong(step_up(json!({ "acr": ["two words"] })), "sign_in.acr[0]", "visible ASCII");
    wrong(step_up(json!({ "acr": ["quo\"te"] })), "sign_in.acr[0]", "visible ASCII");
    wrong(step_up(json!({ "acr": vec!["x".repeat(200); 6] })), "sign_in.acr", "1024");
    wrong(step_up(json!({ "amr": ["mfa"] })), "sign_in.amr", "a challenge cannot name methods");
    wrong(step_up(json!({ "age": 300 })), "sign_in", "age");
    wrong(json!({ "effect": "step_up", "tools": ["x"] }), "scopes", "or name sign_in");
    let allow = json!({ "effect": "allow", "tools": ["x"], "sign_in": { "max_age": 300 } });
    wrong(allow, "sign_in", "is only for step_up");
}
