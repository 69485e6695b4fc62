//! Recorded decisions, decided again: everything that the caller would notice counts, and what the record lacks is unknown.

use portcullis::config::Configuration;
use portcullis::observe::replay::{Replay, Replayed};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{message, scope, with_rules};
use crate::support::{Claims, Request, TestSecrets, World, open};

/// The decision of one request under some rules, as it is recorded.
fn recorded(document: &Value, request: Request) -> String {
    let mut document = document.clone();
    document["decision_log"] = json!({});
    let gateway = open(document).expect("the document is right");
    let world = World::new();
    world.call(&gateway, request);
    world.decisions().pop().expect("a decision was recorded")
}

fn replayed(line: &str, document: &Value) -> Replayed {
    let config =
        Configuration::load(document.clone(), &TestSecrets::default()).expect("the document is right").settings;
    Replay::default().line(1, line, &config)
}

fn rules(rules: Value) -> Value {
    with_rules(rules, json!({}))
}

fn call(claims: Claims, tool: &str, arguments: Value) -> Request {
    message(claims, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

fn change(replayed: Replayed) -> (String, String) {
    match replayed {
        Replayed::Changed(change) => (change.then.0, change.now.0),
        other => panic!("{other:?}"),
    }
}

fn unknown(replayed: Replayed) -> String {
    match replayed {
        Replayed::Unknown(why) => why,
        other => panic!("{other:?}"),
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn callers_without_credentials_are_decided_as_such() {
    let with = |rules: Value| with_rules(rules, json!({ "anonymous": ["tools/list", "ping"] }));
    let allowing = with(json!([{ "effect": "allow", "tools": ["*"] }]));
    let mut request = message(Claims::good(), "tools/list", json!({}));
    request.head.fields.remove("authorization");
    let line = recorded(&allowing, request);
    assert!(line.contains("\"verdict\":\"allow\"") && !line.contains("challenge"), "{line}");
    // Their requests need no scope of the resource, and hold no condition on callers.
    let other = with(json!([
        { "effect": "deny", "methods": ["tools/list"], "when": { "scopes": ["mcp:tools"] } },
        { "effect": "deny", "methods": ["tools/list"], "when": { "issuers": ["idp"] } },
    ]));
    assert_eq!(replayed(&line, &other), Replayed::Same);
    let denying = with(json!([{ "effect": "deny", "methods": ["tools/list"] }]));
    assert_eq!(change(replayed(&line, &denying)), ("allow".to_owned(), "deny".to_owned()));
    let step_up = with(json!([{ "effect": "step_up", "scopes": ["w"], "methods": ["tools/list"] }]));
    assert_eq!(change(replayed(&line, &step_up)), ("allow".to_owned(), "step_up (w)".to_owned()));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_same_rules_decide_the_same() {
    let document = rules(json!([
        { "effect": "allow", "tools": ["pay"], "when": { "arguments": { "amount": { "at_most": 10 } } } },
        { "effect": "step_up", "scopes": ["w"], "tools": ["write"], "when": { "roles": ["r"] } },
    ]));
    let claims = || Claims::good().with("roles", json!(["r"]));
    for (tool, arguments) in [("pay", json!({ "amount": 5 })), ("pay", json!({ "amount": 50 })), ("write", json!({}))] {
        let line = recorded(&document, call(claims(), tool, arguments));
        assert_eq!(replayed(&line, &document), Replayed::Same, "{line}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_step_up_for_other_scopes_is_a_change() {
    let step_up = |scopes: Value| rules(json!([{ "effect": "step_up", "scopes": scopes, "tools": ["write"] }]));
    let line = recorded(&step_up(json!(["a"])), call(Claims::good(), "write", json!({})));
    assert_eq!(
        change(replayed(&line, &step_up(json!(["b"])))),
        ("step_up (a mcp:tools)".to_owned(), "step_up (b mcp:tools)".to_owned())
    );
    // The caller lacks the same scope, and is challenged for others.
    let line = recorded(&step_up(json!(["a", "b"])), call(scope("mcp:tools a"), "write", json!({})));
    change(replayed(&line, &step_up(json!(["b"]))));
    // What a line of an earlier release has: only what was lacking.
    let line = recorded(&step_up(json!(["a"])), call(Claims::good(), "write", json!({})));
    let mut old: Value = serde_json::from_str(&line).expect("JSON");
    old.as_object_mut().expect("an object").remove("challenge");
    old["policy"] = json!("0");
    assert_eq!(replayed(&old.to_string(), &step_up(json!(["a"]))), Replayed::Same);
    change(replayed(&old.to_string(), &step_up(json!(["b"]))));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_depends_on_arguments_is_unknown_where_they_could_matter() {
    let at_most = |most: u32| {
        rules(
            json!([{ "id": "pay", "effect": "allow", "tools": ["pay"], "when": { "arguments": { "amount": { "at_most": most } } } }]),
        )
    };
    let line = recorded(&at_most(10), call(Claims::good(), "pay", json!({ "amount": 5 })));
    let why = unknown(replayed(&line, &at_most(1)));
    assert_eq!(why, "tools/call pay: the record does not have what when.arguments.amount of rule \"pay\" reads");
    // Where every outcome is the same, arguments do not matter.
    let both = rules(json!([
        { "effect": "allow", "tools": ["pay"], "when": { "arguments": { "amount": { "at_most": 1 } } } },
        { "effect": "allow", "tools": ["*"] },
    ]));
    assert_eq!(replayed(&line, &both), Replayed::Same);
    let none = rules(json!([{ "effect": "allow", "tools": ["other"] }]));
    assert_eq!(change(replayed(&line, &none)), ("allow".to_owned(), "deny".to_owned()));
}

#[wasm_bindgen_test(unsupported = test)]
fn facts_that_were_not_recorded_are_unknown() {
    let before = rules(json!([{ "effect": "allow", "tools": ["t"] }]));
    let line = recorded(&before, call(Claims::good().with("roles", json!(["r"])), "t", json!({})));
    for (when, key) in [
        (json!({ "roles": ["r"] }), "roles"),
        (json!({ "groups": ["g"] }), "groups"),
        (json!({ "claims": { "tid": ["1"] } }), "claims"),
        (json!({ "countries": ["DE"] }), "countries"),
        (json!({ "asns": [1] }), "asns"),
        (json!({ "mtls": true }), "mtls"),
    ] {
        let now = rules(json!([{ "id": "new", "effect": "allow", "tools": ["t"], "when": when }]));
        let why = unknown(replayed(&line, &now));
        assert!(why.ends_with(&format!("when.{key} of rule \"new\" reads")), "{why}");
    }
    // These are in every record.
    for when in [json!({ "scopes": ["x"] }), json!({ "subjects": ["bob"] }), json!({ "clients": ["c"] })] {
        change(replayed(&line, &rules(json!([{ "effect": "allow", "tools": ["t"], "when": when }]))));
    }
    let read = rules(json!([{ "effect": "allow", "tools": ["t"], "when": { "roles": ["r"] } }]));
    let line = recorded(&read, call(Claims::good().with("roles", json!(["r"])), "t", json!({})));
    change(replayed(&line, &rules(json!([{ "effect": "allow", "tools": ["t"], "when": { "roles": ["s"] } }]))));
}

#[wasm_bindgen_test(unsupported = test)]
fn scopes_of_the_resource_and_modes_are_noticed() {
    let allow = json!([{ "effect": "allow", "tools": ["t"] }]);
    let line = recorded(&rules(allow.clone()), call(Claims::good(), "t", json!({})));
    let more = with_rules(allow.clone(), json!({ "scopes": ["mcp:tools", "more"] }));
    assert_eq!(change(replayed(&line, &more)), ("allow".to_owned(), "step_up (mcp:tools more)".to_owned()));
    // What a policy that only observed would have denied was forwarded.
    let deny = json!([{ "effect": "deny", "tools": ["t"] }]);
    let observed = with_rules(deny.clone(), json!({ "rules_mode": "observe" }));
    let line = recorded(&observed, call(Claims::good(), "t", json!({})));
    assert_eq!(change(replayed(&line, &rules(deny))), ("allow".to_owned(), "deny".to_owned()));
    let line = recorded(&rules(allow), call(Claims::good(), &"t".repeat(400), json!({})));
    let why = unknown(replayed(&line, &rules(json!([{ "effect": "allow", "tools": ["*"] }]))));
    assert_eq!(why, "the record has only the beginning of the name");
}
