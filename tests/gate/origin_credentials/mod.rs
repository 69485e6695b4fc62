//! Credentials toward origin servers: what they get in place of the caller's token, and what happens if there is none.

mod exchanged;
mod mistakes;
mod own_tokens;
#[cfg(not(target_family = "wasm"))]
mod property;

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis::gateway::Gateway;
use portcullis::jwks::key::JwsAlgorithm;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::credentials::{JSON, record, verdict};
use crate::support::world::NOON;
use crate::support::{Claims, Key, PUBLIC, Request, TestSecrets, World, document_with, open_with, token};

const TOKENS: &str = "https://tokens.example/token";
const SERVER_TOKENS: &str = "https://server.example/token";

fn secrets() -> TestSecrets {
    TestSecrets(vec![
        ("CURRENT", "current-secret".to_owned()),
        ("NEXT", " next-secret\n".to_owned()),
        ("CLIENT", "client-secret".to_owned()),
        ("KEY", Key::P256.private_jwk().to_string()),
        ("ASSERTION", Key::Ed25519.private_jwk().to_string()),
        ("SAME", "current-secret".to_owned()),
        ("PAIR", "user:password".to_owned()),
        ("WHOLE", "Bearer x".to_owned()),
        ("EMPTY", " ".to_owned()),
        ("LINES", "a\nb".to_owned()),
    ])
}

fn with_resource(changes: Value) -> Value {
    let mut resource =
        json!({ "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"] });
    for (name, value) in changes.as_object().expect("a table") {
        resource[name] = value.clone();
    }
    document_with(json!({ "resources": [resource] }))
}

fn with(credential: Value) -> Value {
    with_resource(json!({ "credential": credential }))
}

fn opened(document: Value) -> (World, Rc<Gateway>) {
    (World::new(), open_with(document, &secrets()).expect("right"))
}

/// Claims of a token that outlives every test.
fn lasting() -> Claims {
    Claims::good().with("exp", json!(NOON + 200_000))
}

fn good() -> Request {
    Request::post("/mcp").bearer(&token(&lasting()))
}

fn client() -> Value {
    json!({ "token_endpoint": TOKENS, "client_id": "gate", "secret": "CLIENT" })
}

fn own_token(changes: Value) -> Value {
    let mut table = json!({ "client": client(), "scopes": ["api:read"] });
    for (name, value) in changes.as_object().expect("a table") {
        table[name] = value.clone();
    }
    with(json!({ "client_credentials": table }))
}

fn exchange(changes: Value) -> Value {
    let mut table = json!({ "client": client() });
    for (name, value) in changes.as_object().expect("a table") {
        table[name] = value.clone();
    }
    with(json!({ "token_exchange": table }))
}

fn enterprise() -> Value {
    let mut server = client();
    server["token_endpoint"] = json!(SERVER_TOKENS);
    server["issuer"] = json!("https://server.example");
    server["client_id"] = json!("gate-at-server");
    with(json!({ "enterprise": { "provider": client(), "server": server, "scopes": ["api:read"] } }))
}

const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// A token endpoint whose tokens have the number of the request.
fn numbered(world: &World, lifetime: u64) {
    world.answer_by(move |_, before| {
        let body =
            json!({ "access_token": format!("issued-{before}"), "token_type": "bearer", "expires_in": lifetime });
        (200, body.to_string())
    });
}

fn authorizations(world: &World) -> Vec<String> {
    world.sent().iter().map(|sent| sent.fields.get("authorization").unwrap_or("none").to_owned()).collect()
}

/// The parameters of a form.
fn form(body: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| text.replace('+', " ").replace("%3A", ":").replace("%2F", "/");
    body.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn parameter(body: &str, name: &str) -> Option<String> {
    form(body).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn claims_of(jwt: &str) -> Value {
    let part = jwt.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

fn mistakes(document: Value) -> Vec<String> {
    open_with(document, &secrets()).err().map(|mistakes| mistakes.lines().to_vec()).unwrap_or_default()
}

fn detail(world: &World) -> String {
    world.last_request()["detail"].as_str().unwrap_or_default().to_owned()
}

#[wasm_bindgen_test(unsupported = test)]
fn without_a_table_the_origin_server_gets_no_credential() {
    let (world, gateway) = opened(with_resource(json!({})));
    assert_eq!(world.call(&gateway, good()).status, 200);
    assert_eq!(authorizations(&world), ["none"]);
    assert_eq!(world.last_request().get("origin_credential"), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn static_fields_take_the_place_of_the_callers_token() {
    let table = json!({ "static": [
        { "secrets": ["CURRENT"] },
        { "field": "X-Api-Key", "secrets": ["NEXT"] },
        { "field": "X-Basic", "scheme": "Basic", "secrets": ["CLIENT"] },
    ] });
    let (world, gateway) = opened(with(table));
    assert_eq!(world.call(&gateway, good()).status, 200);
    let sent = world.sent().remove(0).fields;
    assert_eq!(sent.get("authorization"), Some("Bearer current-secret"));
    assert_eq!(sent.get("x-api-key"), Some("next-secret"), "white space around a secret is not part of it");
    assert_eq!(sent.get("x-basic"), Some("Basic client-secret"));
    let line = world.last_request();
    assert_eq!((&line["origin_credential"], line.get("origin_credential_age")), (&json!("static"), None));
    let raw = with(json!({ "static": [{ "scheme": "", "secrets": ["CURRENT"] }] }));
    let (world, gateway) = opened(raw);
    assert_eq!(world.call(&gateway, good()).status, 200);
    assert_eq!(authorizations(&world), ["current-secret"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn another_partys_server_does_not_learn_who_calls() {
    let names = |changes: Value| {
        let mut resource = json!({ "credential": { "static": [{ "secrets": ["CURRENT"] }] } });
        for (name, value) in changes.as_object().expect("a table") {
            resource[name] = value.clone();
        }
        let mut document = with_resource(resource);
        document["identity_assertion"] = json!({ "key_secrets": ["ASSERTION"] });
        let (world, gateway) = opened(document);
        assert_eq!(world.call(&gateway, good()).status, 200);
        let fields = world.sent().remove(0).fields;
        let named = fields.iter().filter(|(name, _)| name.starts_with("x-portcullis-")).count();
        assert_eq!(fields.get("x-portcullis-assertion").is_some(), named > 0);
        named > 0
    };
    assert!(!names(json!({})));
    assert!(names(json!({ "identity": "forward" })));
    assert!(names(json!({ "service": "TOOLS" })), "a service binding leads to the operator's own Worker");
    assert!(!names(json!({ "service": "TOOLS", "identity": "none" })));
    assert!(names(json!({ "credential": null })));
    assert!(!names(json!({ "credential": null, "identity": "none" })));
}

#[wasm_bindgen_test(unsupported = test)]
fn during_a_rotation_a_request_is_repeated_with_the_other_secret() {
    let table =
        json!({ "static": [{ "secrets": ["CURRENT", "NEXT"] }, { "field": "x-tenant-key", "secrets": ["CLIENT"] }] });
    let (world, gateway) = opened(with(table));
    world.origin_by(|sent| if sent.fields.get("authorization") == Some("Bearer next-secret") { 200 } else { 401 });
    for _ in 0..2 {
        assert_eq!(world.call(&gateway, good()).status, 200);
    }
    assert_eq!(authorizations(&world), ["Bearer current-secret", "Bearer next-secret", "Bearer next-secret"]);
    assert!(world.sent().iter().all(|sent| sent.body == good().body), "the same message");
    assert!(world.sent().iter().all(|sent| sent.fields.get("x-tenant-key") == Some("client-secret")));
    // Back again, without a restart.
    world.origin_by(|sent| if sent.fields.get("authorization") == Some("Bearer current-secret") { 200 } else { 401 });
    assert_eq!(world.call(&gateway, good()).status, 200);
    world.origin_by(|_| 401);
    let before = world.sent().len();
    let reply = world.call(&gateway, good());
    assert_eq!(verdict(&world, &reply), (502, "origin_unauthorized".to_owned()));
    assert_eq!(reply.field("www-authenticate"), "", "the challenge of the origin server is not the caller's");
    assert_eq!(detail(&world), "the origin server refused the static credential, and another one too");
    assert_eq!(world.sent().len() - before, 2, "it is repeated once");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refused_secret_without_another_one_is_a_502_that_says_so() {
    let (world, gateway) = opened(with(json!({ "static": [{ "secrets": ["CURRENT"] }] })));
    world.origin_by(|_| 401);
    for (request, why) in [
        (good(), "and the message was passed on as a stream, so the request was not repeated"),
        (Request::get("/mcp").bearer(&token(&lasting())), "and there is no other one"),
    ] {
        let reply = world.call(&gateway, request);
        assert_eq!(verdict(&world, &reply), (502, "origin_unauthorized".to_owned()));
        assert_eq!(detail(&world), format!("the origin server refused the static credential, {why}"));
    }
    assert_eq!(world.sent().len(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_remembered_decision_ends_with_its_credential() {
    let (world, gateway) = opened(own_token(json!({})));
    numbered(&world, 300);
    for _ in 0..4 {
        assert_eq!(world.call_remembering(&gateway, good()).status, 200);
    }
    assert!(world.recalled() > 0, "a kept token does not keep a decision from being remembered");
    let recalled = world.recalled();
    world.pass(240);
    assert_eq!(world.call_remembering(&gateway, good()).status, 200);
    assert_eq!(world.recalled(), recalled, "the token has to be renewed");
    world.run_background();
    assert_eq!(world.call_remembering(&gateway, good()).status, 200);
    assert_eq!(authorizations(&world).last().map(String::as_str), Some("Bearer issued-1"));
    for _ in 0..3 {
        world.call_remembering(&gateway, good());
    }
    assert!(world.recalled() > recalled);
    // A refusal that a repeated request gets counts too.
    world.pass(10);
    world.origin_by(|sent| if sent.fields.get("authorization") == Some("Bearer issued-1") { 401 } else { 200 });
    let recalled = world.recalled();
    let reply = world.call_remembering(&gateway, good());
    assert_eq!((world.recalled(), verdict(&world, &reply)), (recalled + 1, (502, "origin_unauthorized".to_owned())));
    assert_eq!(world.call_remembering(&gateway, good()).status, 200);
    assert_eq!(authorizations(&world).last().map(String::as_str), Some("Bearer issued-2"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_credential_goes_to_the_origin_server_of_its_resource_alone() {
    let kinds = [
        (json!({ "static": [{ "secrets": ["CURRENT"] }] }), "current-secret"),
        (json!({ "client_credentials": { "client": client() } }), "issued"),
        (json!({ "token_exchange": { "client": client() } }), "issued"),
        (enterprise()["resources"][0]["credential"].clone(), "issued"),
    ];
    for (credential, secret) in kinds {
        let mut document = with(credential.clone());
        document["resources"].as_array_mut().expect("an array").push(json!({
            "path": "/other", "origin": "https://other.example/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"],
            "audiences": ["https://gate.example/mcp"],
        }));
        let (world, gateway) = opened(document);
        world.answer_by(|asked, _| {
            let assertion = asked.body.contains("id-jag");
            let kind = if assertion { "N_A" } else { "Bearer" };
            let token = if assertion { "the.identity.assertion" } else { "issued" };
            let mut body = json!({ "access_token": token, "token_type": kind });
            if assertion {
                body["issued_token_type"] = json!(ID_JAG);
            }
            (200, body.to_string())
        });
        let presented = token(&Claims::good());
        for target in ["/mcp", "/other", "/mcp/below", "/status"] {
            let request =
                if target == "/status" { Request::get(target) } else { Request::post(target).bearer(&presented) };
            assert_eq!(world.call(&gateway, request).status, 200, "{target}");
        }
        for sent in world.sent() {
            let has = sent.fields.iter().any(|(_, value)| value.contains(secret));
            assert_eq!(has, sent.url.starts_with("https://tools.example/mcp"), "{}: {credential}", sent.url);
            assert!(sent.fields.iter().all(|(_, value)| !value.contains(&presented)));
        }
        for asked in world.asked() {
            assert!([TOKENS, SERVER_TOKENS].contains(&asked.url.as_str()));
            assert!(asked.url == TOKENS || !asked.body.contains(&presented), "the caller's token goes to one endpoint");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn decisions_are_recorded_with_the_credential() {
    let mut document = own_token(json!({}));
    document["resources"][0]["rules"] = json!([{ "effect": "allow", "methods": ["*"], "tools": ["*"] }]);
    document["decision_log"] = json!({});
    let (world, gateway) = opened(document);
    numbered(&world, 3600);
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "add" } }).to_string();
    for _ in 0..2 {
        assert_eq!(world.call(&gateway, good().body(call.as_bytes())).status, 200);
        world.pass(3);
    }
    let lines: Vec<Value> =
        world.decisions().iter().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let recorded = lines.iter().map(|line| (&line["origin_credential"], &line["origin_credential_age"]));
    let kind = json!("client_credentials");
    assert_eq!(recorded.collect::<Vec<_>>(), [(&kind, &json!(0)), (&kind, &json!(3))]);
    assert!(world.decisions().iter().all(|line| !line.contains("issued-")));
}

const AT: &str = "resources[0].credential";

#[wasm_bindgen_test(unsupported = test)]
fn rules_can_read_the_kind_of_credential() {
    let rules = json!([
        { "id": "shared", "effect": "deny", "tools": ["delete_*"],
          "when": { "origin_credentials": ["static", "client_credentials"] } },
        { "id": "none", "effect": "deny", "tools": ["read_*"], "when": { "origin_credentials": ["none"] } },
        { "id": "rest", "effect": "allow" },
    ]);
    let with_rules = |mut document: Value| {
        document["resources"][0]["rules"] = rules.clone();
        document["decision_log"] = json!({});
        document
    };
    let fixed = with(json!({ "static": [{ "secrets": ["CURRENT"] }] }));
    let cases = [
        (fixed, ["shared", "rest"]),
        (own_token(json!({})), ["shared", "rest"]),
        (exchange(json!({})), ["rest", "rest"]),
        (enterprise(), ["rest", "rest"]),
        (with_resource(json!({})), ["rest", "none"]),
    ];
    let mut hashes = std::collections::BTreeSet::new();
    for (document, expected) in cases {
        let (world, gateway) = opened(with_rules(document.clone()));
        for (tool, rule) in ["delete_all", "read_one"].into_iter().zip(expected) {
            world.call(&gateway, crate::policy::call(lasting(), tool));
            let line: Value = serde_json::from_str(world.decisions().last().expect("a line")).expect("JSON");
            assert_eq!(line["rule"], rule, "{tool}: {document}");
        }
        hashes.extend(gateway.settings().resources[0].policy.iter().map(|policy| policy.hash.clone()));
    }
    assert_eq!(hashes.len(), 5, "a record names the rules that decided: with another kind they decide otherwise");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_rule_about_kinds_that_do_not_exist_is_a_mistake() {
    for (value, why) in [
        (json!([]), "resources[0].rules[0].when.origin_credentials: must not be empty: the rule could never match"),
        (
            json!(["basic"]),
            "resources[0].rules[0].when.origin_credentials[0]: must be one of none, static, client_credentials",
        ),
    ] {
        let document =
            with_resource(json!({ "rules": [{ "effect": "allow", "when": { "origin_credentials": value } }] }));
        let mistakes = open_with(document, &secrets()).expect_err("wrong");
        assert!(mistakes.lines()[0].starts_with(why), "{:?}", mistakes.lines());
    }
}
