//! Lists of several servers that callers share: what one caller does must not change what another one gets.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::modern;
use crate::support::world::Sent;
use crate::support::{Claims, Reply, TestSecrets, World, document_with, open_with};

const SECRET: &str = "new-0123456789abcdef0123456789abcdef";

fn gate(more: Value) -> Rc<Gateway> {
    let servers = json!([
        { "name": "files", "origin": "https://files.example/mcp", "era": "modern" },
        { "name": "hr", "origin": "https://hr.example/mcp", "era": "modern" },
    ]);
    let mut resource = json!({ "path": "/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"], "servers": servers });
    for (key, value) in more.as_object().expect("an object") {
        resource[key] = value.clone();
    }
    let document = document_with(
        json!({ "resources": [resource], "sessions": { "secrets": ["NEW"] }, "decision_log": { "console": true } }),
    );
    open_with(document, &TestSecrets(vec![("NEW", SECRET.to_owned())])).expect("the document is right")
}

fn host(sent: &Sent) -> &str {
    sent.url.trim_start_matches("https://").split('.').next().unwrap_or_default()
}

fn body(sent: &Sent) -> Value {
    serde_json::from_slice(&sent.body).expect("JSON")
}

/// Servers with one tool each, whose lists `list` can change; `None` is a server that does not answer.
fn world(list: impl Fn(&Sent, &mut Value) -> Option<()> + 'static) -> World {
    let world = World::new();
    world.serve_by(move |sent| {
        let asked = body(sent);
        let server = host(sent);
        let result = match asked["method"].as_str() {
            Some("server/discover") => json!({
                "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private", "instructions": format!("Use {server}."),
                "capabilities": { "tools": {} },
            }),
            _ => {
                let tools = json!([{ "name": "read" }]);
                let mut result = json!({ "tools": tools, "prompts": [], "ttlMs": 60_000, "cacheScope": "public" });
                result["resultType"] = json!("complete");
                list(sent, &mut result)?;
                result
            }
        };
        Some((200, "application/json", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
    });
    world
}

fn ask_as(world: &World, gateway: &Rc<Gateway>, claims: Claims, method: &str, capabilities: Value) -> Reply {
    let meta = json!({ "io.modelcontextprotocol/clientCapabilities": capabilities });
    world.call(gateway, modern(claims, method, json!({ "_meta": meta })))
}

fn ask(world: &World, gateway: &Rc<Gateway>, name: &str) -> Reply {
    ask_as(world, gateway, Claims::good().with("sub", json!(name)), "tools/list", json!({}))
}

fn names(reply: &Reply) -> Vec<String> {
    let items = reply.json()["result"]["tools"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["name"].as_str().expect("text").to_owned()).collect()
}

fn left_out(reply: &Reply) -> Value {
    reply.json()["result"]["_meta"]["portcullis/left-out"].clone()
}

fn asked(world: &World, server: &str) -> usize {
    world.sent().iter().filter(|sent| host(sent) == server).count()
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_client_says_of_itself_decides_its_own_list_only() {
    let gateway = gate(json!({ "cache_lists": true }));
    let world = world(|sent, result| {
        let capabilities = &body(sent)["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        if capabilities["elicitation"].is_object() {
            result["tools"] = json!([{ "name": "read" }, { "name": "ask" }]);
        }
        Some(())
    });
    let list = |name: &str, capabilities: Value| {
        let claims = Claims::good().with("sub", json!(name));
        names(&ask_as(&world, &gateway, claims, "tools/list", capabilities)).len()
    };
    assert_eq!(list("eve", json!({})), 2);
    assert_eq!(list("ada", json!({ "elicitation": {} })), 4);
    assert_eq!((list("bob", json!({})), world.sent().len()), (2, 4), "the same for clients that are alike");
    // The trace and the progress token are of one request.
    let meta = json!({
        "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": 9, "traceparent": "00-11112222333344445555666677778888-1111222233334444-01",
    });
    world.call(&gateway, modern(Claims::good(), "tools/list", json!({ "_meta": meta })));
    assert_eq!(world.sent().len(), 4);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_list_that_does_not_fit_is_not_kept() {
    let odd = [
        ("nextCursor", json!(5)),
        ("nextCursor", json!("x".repeat(5_000))),
        ("resultType", json!("input_required")),
        ("tools", json!({})),
        ("tools", Value::Null),
    ];
    for (member, value) in odd {
        let gateway = gate(json!({ "cache_lists": true }));
        let (first, value) = (std::cell::Cell::new(true), value.clone());
        let world = world(move |sent, result| {
            if host(sent) == "hr" && first.replace(false) {
                result[member] = value.clone();
            }
            Some(())
        });
        ask(&world, &gateway, "ada");
        let reply = ask(&world, &gateway, "ada");
        assert_eq!(names(&reply), ["files_read", "hr_read"], "{member}: {}", reply.body);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_that_hangs_rests_for_a_while() {
    let (gateway, world) = (gate(json!({})), world(|sent, _| (host(sent) != "hr").then_some(())));
    ask(&world, &gateway, "ada");
    assert_eq!(asked(&world, "hr"), 1);
    assert_eq!(left_out(&ask(&world, &gateway, "ada")), json!(["hr"]));
    assert_eq!(asked(&world, "hr"), 1);
    world.pass(16);
    ask(&world, &gateway, "ada");
    assert_eq!(asked(&world, "hr"), 2);
    // For a few callers it may be their own fault; not for several.
    for name in ["bob", "eve", "joe", "kim"] {
        assert_eq!(left_out(&ask(&world, &gateway, name)), json!(["hr"]));
    }
    assert_eq!(asked(&world, "hr"), 4);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_that_hangs_for_one_caller_answers_the_others() {
    let gateway = gate(json!({ "strict_servers": true }));
    let world = world(|sent, _| {
        let is_eve = sent.fields.get("x-portcullis-subject") == Some("eve");
        (!(is_eve && host(sent) == "hr")).then_some(())
    });
    assert_eq!(ask(&world, &gateway, "eve").status, 502);
    assert_eq!(names(&ask(&world, &gateway, "ada")), ["files_read", "hr_read"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_that_hangs_is_in_lists_that_are_kept() {
    let gateway = gate(json!({ "cache_lists": true }));
    let world = world(|sent, result| {
        // Only the list of tools is answered, and that of `files` is private.
        if host(sent) == "files" {
            result["cacheScope"] = json!("private");
        }
        (host(sent) != "hr" || body(sent)["method"] == "tools/list").then_some(())
    });
    assert_eq!(names(&ask(&world, &gateway, "ada")), ["files_read", "hr_read"]);
    let claims = Claims::good().with("sub", json!("ada"));
    assert_eq!(left_out(&ask_as(&world, &gateway, claims, "prompts/list", json!({}))), json!(["hr"]));
    assert_eq!(names(&ask(&world, &gateway, "ada")), ["files_read", "hr_read"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_without_anything_for_a_caller_does_not_exist_for_it() {
    let rules = json!([
        { "effect": "deny", "tools": ["hr_fire"] },
        { "effect": "allow", "tools": ["hr_*"], "when": { "roles": ["hr"] } },
        { "effect": "allow", "tools": ["files_*"] },
    ]);
    let gateway = gate(json!({ "rules": rules, "strict_servers": true }));
    let world = world(|sent, _| (host(sent) != "hr").then_some(()));
    let of_hr = || Claims::good().with("roles", json!(["hr"]));
    let ask = |claims: Claims, method: &str| ask_as(&world, &gateway, claims, method, json!({}));
    let list = ask(Claims::good(), "tools/list");
    assert_eq!((list.status, names(&list), left_out(&list)), (200, vec!["files_read".to_owned()], Value::Null));
    assert_eq!(ask(of_hr(), "tools/list").status, 502);
    let says = |claims: Claims| ask(claims, "server/discover").json()["result"]["instructions"].clone();
    assert_eq!(says(Claims::good()), json!("files: Use files."));
    assert_eq!(asked(&world, "hr"), 1);
    world.pass(16);
    assert_eq!(says(of_hr()), json!("files: Use files.\n\nhr: Use hr."));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_rules_may_permit_of_a_server() {
    let cases = [
        (json!([{ "effect": "allow" }]), true),
        (json!([{ "effect": "allow", "tools": ["*"] }]), true),
        (json!([{ "effect": "allow", "tools": ["h*"] }]), true),
        (json!([{ "effect": "allow", "tools": ["hr_read"] }]), true),
        (json!([{ "effect": "allow", "resources": ["hr+file:///*"] }]), true),
        (json!([{ "effect": "allow", "resources": ["ui://hr/*"] }]), true),
        (json!([{ "effect": "allow", "methods": ["tools/call"] }]), true),
        (json!([{ "effect": "deny", "tools": ["hr_*"] }, { "effect": "allow" }]), true),
        (json!([{ "effect": "allow", "tools": ["files_*"] }]), false),
        (json!([{ "effect": "allow", "tools": ["hr_*"], "when": { "roles": ["hr"] } }]), false),
        (json!([{ "effect": "deny", "tools": ["hr_*"] }, { "effect": "allow", "tools": ["*"] }]), false),
    ];
    for (rules, is_open) in cases {
        let (gateway, world) = (gate(json!({ "rules": rules, "cache_lists": false })), world(|_, _| Some(())));
        ask(&world, &gateway, "ada");
        assert_eq!(asked(&world, "hr") == 1, is_open, "{rules}");
    }
}

/// The parts of a merged list stay in memory with it.
#[wasm_bindgen_test(unsupported = test)]
fn merged_lists_are_bounded_with_their_parts() {
    let gateway = gate(json!({ "cache_lists": true }));
    let world = world(|_, result| {
        result["_meta"] = json!({ "filler": "x".repeat(300_000) });
        Some(())
    });
    for at in 0..20 {
        let claims = Claims::good().with("sub", json!(format!("caller-{at}")));
        let capabilities = json!({ "experimental": { "n": at } });
        for _ in 0..2 {
            ask_as(&world, &gateway, claims.clone(), "tools/list", capabilities.clone());
        }
    }
    assert!(gateway.merged_lists_bytes() <= 4 * 1024 * 1024, "{}", gateway.merged_lists_bytes());
}
