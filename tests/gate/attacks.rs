//! What attacks on the credentials found, so that it stays found.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use portcullis::jwks::key::JwsAlgorithm;
use portcullis::token::compiled::CompiledVerifiers;
use portcullis::token::lookups::{CredentialLookups, LookupStart, LookupTarget};
use portcullis::token::verifier_id::VerifierId;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::world::NOON;
use crate::support::{
    Claims, ISSUER, Key, RESOURCE, Request, TestSecrets, World, document_with, open_with, token, token_with_header,
};

const ENDPOINT: &str = "https://login.example/introspect";
const JSON: &str = "application/json";

fn introspecting(issuer: Value) -> Rc<Gateway> {
    let mut entry = json!({ "name": "idp", "issuer": ISSUER, "introspection": { "endpoint": ENDPOINT, "client_id": "g", "secret": "S" } });
    for (key, value) in issuer.as_object().expect("a table") {
        entry[key] = value.clone();
    }
    let resource = json!({
        "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"],
        "audiences": [RESOURCE],
    });
    let secrets = TestSecrets(vec![("S", "secret".to_owned())]);
    open_with(document_with(json!({ "issuers": [entry], "resources": [resource] })), &secrets).expect("right")
}

fn answer(changes: Value) -> String {
    let mut answer = json!({ "active": true, "sub": "ada", "scope": "mcp:tools", "aud": RESOURCE, "exp": NOON + 600 });
    for (key, value) in changes.as_object().expect("a table") {
        answer[key] = value.clone();
    }
    answer.to_string()
}

fn asked(gateway: &Rc<Gateway>, answer: &str) -> (u16, Value) {
    let world = World::new();
    world.answer(ENDPOINT, Ok((200, JSON, answer)));
    // Each answer is about a token of its own.
    let name: String = answer.bytes().map(|byte| format!("{byte:02x}")).collect();
    let status = world.call(gateway, Request::post("/mcp").bearer(&name)).status;
    (status, world.last_request()["reason"].clone())
}

#[wasm_bindgen_test(unsupported = test)]
fn what_an_issuers_tokens_must_be_holds_for_introspected_ones_too() {
    let claims = introspecting(json!({ "claims": { "hd": ["acme.example"] } }));
    assert_eq!(asked(&claims, &answer(json!({ "hd": "acme.example" }))).0, 200);
    assert_eq!(asked(&claims, &answer(json!({ "hd": "evil" }))), (401, json!("token_claim_not_accepted")));
    assert_eq!(asked(&claims, &answer(json!({}))), (401, json!("token_claim_not_accepted")));
    let many = "https://login.example/{tenantid}/v2.0";
    let tenants = introspecting(json!({ "issuer": many, "profile": "entra_id", "tenants": ["good"] }));
    let of = |iss: &str, tid: &str| {
        asked(&tenants, &answer(json!({ "iss": format!("https://login.example/{iss}/v2.0"), "tid": tid })))
    };
    assert_eq!(of("good", "good").0, 200);
    assert_eq!(of("evil", "evil"), (401, json!("token_tenant")));
    assert_eq!(of("good", "evil"), (401, json!("token_tenant")));
    assert_eq!(asked(&tenants, &answer(json!({ "tid": "good" }))), (503, json!("introspection_unavailable")));
}

#[wasm_bindgen_test(unsupported = test)]
fn answers_with_null_members_and_bound_tokens_without_a_binding() {
    let gateway = introspecting(json!({}));
    let nulls = json!({ "jti": null, "client_id": null, "nbf": null, "iss": null, "cnf": null, "token_type": null, "label": null });
    assert_eq!(asked(&gateway, &answer(nulls)).0, 200);
    assert_eq!(asked(&gateway, &answer(json!({ "token_type": "DPoP" }))), (401, json!("token_sender_constrained")));
    assert_eq!(asked(&gateway, &answer(json!({ "token_type": "dpop", "cnf": { "x5t#S256": "x" } }))).0, 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn past_its_end_a_token_is_asked_about_again() {
    let (world, gateway) = (World::new(), introspecting(json!({})));
    world.answer(ENDPOINT, Ok((200, JSON, &answer(json!({ "exp": NOON + 20 })))));
    let call = || world.call(&gateway, Request::post("/mcp").bearer("opaque")).status;
    assert_eq!((call(), world.asked().len()), (200, 1));
    world.pass(19);
    assert_eq!((call(), world.asked().len()), (200, 1));
    world.pass(1);
    assert_eq!((call(), world.asked().len()), (200, 2), "within the leeway, and asked about");
}

fn with_kid(kid: &str) -> Request {
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": kid }).to_string();
    let claims = Claims::good().with("exp", json!(NOON + 100_000)).0.to_string();
    Request::post("/mcp").bearer(&token_with_header(&header, &claims, Key::Ed25519, JwsAlgorithm::EdDsa))
}

fn key(kid: &str) -> Value {
    let mut key = Key::Ed25519.public_jwk();
    key["kid"] = json!(kid);
    key
}

#[wasm_bindgen_test(unsupported = test)]
fn shared_keys_do_not_hide_newer_ones() {
    let (world, one) = (World::new(), crate::support::gateway());
    world.publish(&json!({ "keys": [key("k1")] }).to_string(), None);
    assert_eq!(world.call(&one, with_kid("k1")).status, 200);
    world.run_background();
    world.publish(&json!({ "keys": [key("k1"), key("k2")] }).to_string(), None);
    assert_eq!(world.call(&crate::support::gateway(), with_kid("k2")).status, 200, "a new isolate asks the issuer");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_that_is_used_a_moment_before_it_is_published_is_found_soon() {
    let (world, gateway) = (World::new(), crate::support::gateway());
    world.publish(&json!({ "keys": [key("k1")] }).to_string(), Some("max-age=3600"));
    assert_eq!(world.call(&gateway, with_kid("k1")).status, 200);
    assert_eq!(world.call(&gateway, with_kid("k2")).status, 401);
    world.publish(&json!({ "keys": [key("k1"), key("k2")] }).to_string(), Some("max-age=3600"));
    world.pass(59);
    assert_eq!(world.call(&gateway, with_kid("k2")).status, 401);
    world.pass(1);
    assert_eq!(world.call(&gateway, with_kid("k2")).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_new_isolate_serves_on_with_shared_keys_while_the_provider_is_down() {
    let world = World::new();
    assert_eq!(world.call(&crate::support::gateway(), with_kid("ed25519")).status, 200);
    world.run_background();
    world.provider_down();
    world.pass(15 * 60 + 3_599);
    assert_eq!(world.call(&crate::support::gateway(), with_kid("ed25519")).status, 200, "stale, and bounded");
    world.pass(1);
    assert_eq!(world.call(&crate::support::gateway(), with_kid("ed25519")).status, 503);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_slow_verifier_takes_nobody_elses_questions() {
    let mut questions = CredentialLookups::default();
    let digest = |at: u8| [at; 32];
    let now = portcullis::time::UnixMillis(0);
    let slow = LookupTarget::Verifier(VerifierId::Introspection(0));
    for at in 0..64 {
        assert_eq!(questions.begin(&digest(at), slow, 30, now), LookupStart::Start);
    }
    assert_eq!(questions.begin(&digest(100), slow, 30, now), LookupStart::TooMany);
    assert_eq!(
        questions.begin(&digest(101), LookupTarget::Verifier(VerifierId::ApiKeys(0)), 30, now),
        LookupStart::Start
    );
    assert_eq!(questions.begin(&digest(102), LookupTarget::Revocations, 30, now), LookupStart::Start);
}

#[wasm_bindgen_test(unsupported = test)]
fn one_tenants_rules_hold_beside_a_template() {
    let issuers = json!([
        { "name": "many", "issuer": "https://login.example/{tenantid}/v2.0", "tenants": ["x"], "jwks_uri": format!("{ISSUER}/jwks") },
        { "name": "one", "issuer": "https://login.example/x/v2.0", "claims": { "groups": ["admins"] } },
    ]);
    let resource = json!({ "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["many", "one"], "audiences": [RESOURCE] });
    let gateway =
        crate::support::open(document_with(json!({ "issuers": issuers, "resources": [resource] }))).expect("right");
    let world = World::new();
    let metadata =
        json!({ "issuer": "https://login.example/x/v2.0", "jwks_uri": format!("{ISSUER}/jwks") }).to_string();
    world.document("https://login.example/.well-known/oauth-authorization-server/x/v2.0", Ok(&metadata));
    let claims = Claims::good().with("iss", json!("https://login.example/x/v2.0")).with("tid", json!("x"));
    world.call(&gateway, Request::post("/mcp").bearer(&token(&claims)));
    assert_eq!(world.last_request()["reason"], json!("token_claim_not_accepted"));
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_that_closed_or_opened_doors_in_silence() {
    let mistakes = |document: Value| -> Vec<String> {
        let secrets = TestSecrets(vec![("S", "secret".to_owned())]);
        let opened = Gateway::open(document, &secrets, [0; 32], CompiledVerifiers::default());
        opened.err().map_or_else(Vec::new, |mistakes| mistakes.lines().to_vec())
    };
    for prefix in ["e", "ey", "eyJ", "x"] {
        let verifier = json!({ "name": "v", "service": "V", "token_prefix": prefix });
        let resource =
            json!({ "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"], "verifiers": ["v"] });
        let found = mistakes(document_with(json!({ "verifiers": [verifier], "resources": [resource] })));
        assert!(found[0].starts_with("verifiers[0].token_prefix: must have 2 characters or more"), "{found:?}");
    }
    let found = mistakes(document_with(
        json!({ "issuers": [{ "name": "idp", "issuer": "https://login.example/{tenantId}/v2.0" }] }),
    ));
    assert!(
        found.iter().any(|line| line.starts_with("issuers[0].issuer: must have {tenantid} in place of the tenant")),
        "{found:?}"
    );
    for audience in ["", "*", "https://*.example"] {
        let resource = json!({ "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"], "audiences": [audience] });
        let found = mistakes(document_with(json!({ "resources": [resource] })));
        assert!(found[0].starts_with("resources[0].audiences[0]: must be one complete value of aud"), "{found:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_revoked_token_that_is_active_is_not_asked_about_each_time() {
    let secrets = TestSecrets(vec![("S", "secret".to_owned())]);
    let entry = json!({ "name": "idp", "issuer": ISSUER, "introspection": { "endpoint": ENDPOINT, "client_id": "g", "secret": "S" } });
    let resource = json!({ "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"] });
    let document = document_with(json!({ "issuers": [entry], "resources": [resource], "revocation": { "kv": "KV" } }));
    let (world, gateway) = (World::new(), open_with(document, &secrets).expect("right"));
    world.put("KV", "revocations", Ok(r#"{"version":1,"sub":["ada"]}"#));
    world.answer(ENDPOINT, Ok((200, JSON, &answer(json!({})))));
    for _ in 0..20 {
        assert_eq!(world.call(&gateway, Request::post("/mcp").bearer("opaque")).status, 401);
    }
    assert_eq!(
        (world.last_request()["reason"].clone(), world.asked().len()),
        (json!("token_revoked"), 2),
        "once before the list was read, and once after"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn scopes_are_asked_for_as_the_provider_wants_them() {
    let resource = json!({
        "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"], "scopes": ["Tools.Use"],
        "scope_prefix": "https://gate.example/mcp/",
    });
    let gateway = crate::support::open(document_with(json!({ "resources": [resource] }))).expect("right");
    let world = World::new();
    let reply = world.call(&gateway, Request::post("/mcp"));
    assert!(reply.field("www-authenticate").contains("scope=\"https://gate.example/mcp/Tools.Use\""));
    let metadata = world.call(&gateway, Request::get("/.well-known/oauth-protected-resource/mcp")).json();
    assert_eq!(metadata["scopes_supported"], json!(["https://gate.example/mcp/Tools.Use"]));
    let good = Claims::good().with("scope", json!("Tools.Use"));
    assert_eq!(world.call(&gateway, Request::post("/mcp").bearer(&token(&good))).status, 200);
}
