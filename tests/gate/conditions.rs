//! Every condition about the caller: a list that depends on it is private, and a cached reading of it serves no other caller.

use portcullis::policy::condition::Condition;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::credentials::{SECRET, record};
use crate::policy::with_rules;
use crate::support::{Claims, Request, World, open, token};

/// The keys of `when` that read nothing about the caller.
const NOT_OF_CALLERS: [&str; 2] = ["arguments", "origin_credentials"];

/// Each condition, with a request for whom it holds and one for whom it does not.
fn cases() -> Vec<(&'static str, Value, Request, Request)> {
    let list = |claims: Claims| {
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list",
            "params": { "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } } });
        Request::post("/mcp").modern().bearer(&token(&claims)).body(body.to_string().as_bytes())
    };
    let usual = || list(Claims::good());
    let with = |name: &str, value: Value| list(Claims::good().with(name, value));
    let from = |country: &str, asn: u64| {
        let mut request = usual();
        (request.head.country, request.head.asn) = (Some(country.to_owned()), Some(asn));
        request
    };
    let certified = usual().certificate([1; 32]);
    vec![
        ("scopes", json!({ "scopes": ["x"] }), with("scope", json!("mcp:tools x")), usual()),
        ("roles", json!({ "roles": ["r"] }), with("roles", json!(["r"])), usual()),
        ("groups", json!({ "groups": ["g"] }), with("groups", json!(["g"])), usual()),
        ("claims", json!({ "claims": { "tid": ["1"] } }), with("tid", json!("1")), usual()),
        ("subjects", json!({ "subjects": ["ada"] }), with("sub", json!("ada")), with("sub", json!("bob"))),
        ("clients", json!({ "clients": ["c"] }), with("client_id", json!("c")), with("client_id", json!("d"))),
        ("issuers", json!({ "issuers": ["idp"] }), usual(), list_of_other()),
        ("countries", json!({ "countries": ["DE"] }), from("DE", 1), from("FR", 1)),
        ("asns", json!({ "asns": [64500] }), from("DE", 64500), from("DE", 64501)),
        ("mtls", json!({ "mtls": true }), certified, usual()),
    ]
}

/// A list for a caller with an API key.
fn list_of_other() -> Request {
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list",
        "params": { "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } } });
    Request::post("/mcp").modern().bearer(&format!("pk_robot_{SECRET}")).body(body.to_string().as_bytes())
}

fn document(when: &Value) -> Value {
    let mut document = with_rules(
        json!([{ "effect": "allow", "tools": ["mine"], "when": when }, { "effect": "allow", "tools": ["ours"] }]),
        json!({ "api_keys": ["pk"] }),
    );
    document["api_keys"] = json!([{ "prefix": "pk", "keys": [record("robot")] }]);
    document
}

#[wasm_bindgen_test(unsupported = test)]
fn a_list_that_depends_on_any_condition_is_private_and_serves_no_other_caller() {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "result": { "resultType": "complete", "tools": [{ "name": "mine" }, { "name": "ours" }],
        "cacheScope": "public", "ttlMs": 60_000 } })
    .to_string();
    let names = |reply: &Value| -> Vec<String> {
        let tools = reply["result"]["tools"].as_array().into_iter().flatten();
        tools.filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect()
    };
    let mut seen = Vec::new();
    for (name, when, holds, fails) in cases() {
        let gateway = open(document(&when)).unwrap_or_else(|mistakes| panic!("{name}: {:?}", mistakes.lines()));
        let world = World::new();
        world.origin_body(body.as_bytes(), 64);
        // The first comes from the origin server, the second out of memory.
        for _ in 0..2 {
            let one = world.call(&gateway, holds.clone());
            assert_eq!(one.status, 200, "{name}: {}", one.body);
            assert_eq!(names(&one.json()), ["mine", "ours"], "{name}");
            assert_eq!(one.json()["result"]["cacheScope"], "private", "{name}");
            let other = world.call(&gateway, fails.clone());
            assert_eq!(names(&other.json()), ["ours"], "{name}: a reading served another caller");
            assert_eq!(other.json()["result"]["cacheScope"], "private", "{name}");
        }
        assert_eq!(world.sent().len(), 1, "{name}: the list is cached");
        seen.extend(
            gateway.settings().resources[0].policy.iter().flat_map(|policy| {
                policy.rules().iter().flat_map(|rule| rule.when.conditions.iter().map(Condition::key))
            }),
        );
    }
    // A condition that is added has to be here too.
    seen.sort_unstable();
    let schema = include_str!("../../docs/portcullis.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("the schema is JSON");
    let keys = schema["$defs"]["WhenDocument"]["properties"].as_object().expect("the keys of when");
    let keys: Vec<&str> = keys.keys().map(String::as_str).filter(|key| !NOT_OF_CALLERS.contains(key)).collect();
    assert_eq!(seen, keys);
}
