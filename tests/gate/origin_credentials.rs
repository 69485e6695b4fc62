//! Credentials toward origin servers: what they get in place of the caller's token, and what happens if there is none.

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
fn the_gateways_own_token_is_kept_and_renewed_in_the_background() {
    let (world, gateway) = opened(own_token(json!({ "resource": "https://tools.example/mcp", "audience": "tools" })));
    numbered(&world, 3600);
    for _ in 0..3 {
        assert_eq!(world.call(&gateway, good()).status, 200);
    }
    assert_eq!(authorizations(&world), vec!["Bearer issued-0"; 3]);
    let asked = world.asked();
    assert_eq!((asked.len(), asked[0].url.as_str(), asked[0].seconds), (1, TOKENS, 5));
    assert_eq!(
        asked[0].body,
        "grant_type=client_credentials&scope=api%3Aread&resource=https%3A%2F%2Ftools.example%2Fmcp&audience=tools"
    );
    assert_eq!(asked[0].field("authorization"), format!("Basic {}", STANDARD.encode("gate:client-secret")));
    // Of 3600 s, the token is not sent in the last 5, and renewed in the 60 before.
    world.pass(3534);
    assert_eq!(world.call(&gateway, good()).status, 200);
    world.run_background();
    assert_eq!(world.asked().len(), 1);
    assert_eq!(world.last_request()["origin_credential_age"], json!(3534));
    world.pass(1);
    for _ in 0..3 {
        assert_eq!(world.call(&gateway, good()).status, 200);
    }
    assert_eq!(world.asked().len(), 1, "no request waits for the renewal");
    world.run_background();
    assert_eq!(world.asked().len(), 2, "one renewal at a time");
    assert_eq!(world.call(&gateway, good()).status, 200);
    assert_eq!(authorizations(&world).last().map(String::as_str), Some("Bearer issued-1"));
    assert_eq!(world.last_request()["origin_credential"], json!("client_credentials"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_that_cannot_be_renewed_is_used_until_its_end_and_not_after() {
    let (world, gateway) = opened(own_token(json!({})));
    numbered(&world, 3600);
    assert_eq!(world.call(&gateway, good()).status, 200);
    world.answer_by(|_, _| (500, "<html>".to_owned()));
    world.pass(3540);
    for _ in 0..5 {
        assert_eq!(world.call(&gateway, good()).status, 200);
        world.run_background();
    }
    assert_eq!(world.asked().len(), 2, "a failure is not repeated at once");
    assert!(world.lines().iter().any(|line| line["reason"] == "origin_credential_refresh_failed"));
    world.pass(54);
    assert_eq!(world.call(&gateway, good()).status, 200);
    world.pass(1);
    let reply = world.call(&gateway, good());
    assert_eq!(verdict(&world, &reply), (503, "origin_credential_unavailable".to_owned()));
    assert_eq!(reply.field("retry-after"), "2");
    assert_eq!(reply.field("www-authenticate"), "");
}

#[wasm_bindgen_test(unsupported = test)]
fn isolates_share_the_gateways_token_sealed() {
    let (world, gateway) = opened(own_token(json!({})));
    numbered(&world, 3600);
    assert_eq!(world.call(&gateway, good()).status, 200);
    let shared = world.shared();
    let sealed: Vec<_> = shared.iter().filter(|(name, _)| name.starts_with("origin-token/")).collect();
    assert_eq!(sealed.len(), 1);
    assert!(!String::from_utf8_lossy(sealed[0].1).contains("issued-0"));
    let another = |document: Value, secrets: &TestSecrets| {
        let (world, gateway) = (World::new(), open_with(document, secrets).expect("right"));
        world.share(shared.clone());
        world.answer_by(|_, _| (200, json!({ "access_token": "other", "token_type": "Bearer" }).to_string()));
        assert_eq!(world.call(&gateway, good()).status, 200);
        authorizations(&world).remove(0)
    };
    assert_eq!(another(own_token(json!({})), &secrets()), "Bearer issued-0");
    let rotated = TestSecrets(vec![("CLIENT", "another-secret".to_owned())]);
    assert_eq!(another(own_token(json!({})), &rotated), "Bearer other", "another secret does not open it");
    for other in
        [json!({ "scopes": ["api:write"] }), json!({ "resource": "https://x.example" }), json!({ "audience": "x" })]
    {
        assert_eq!(another(own_token(other.clone()), &secrets()), "Bearer other", "{other}");
    }
    // What lies there may be anything.
    for junk in [&b"x"[..], b"", b"\xff", "A".repeat(200).as_bytes()] {
        let (world, gateway) = opened(own_token(json!({})));
        world.share(shared.keys().map(|name| (name.clone(), junk.to_vec())).collect());
        numbered(&world, 60);
        assert_eq!(world.call(&gateway, good()).status, 200);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refused_token_is_replaced_and_the_request_repeated_where_its_message_is_at_hand() {
    let (world, gateway) = opened(own_token(json!({})));
    numbered(&world, 3600);
    let get = || Request::get("/mcp").bearer(&token(&lasting()));
    assert_eq!(world.call(&gateway, get()).status, 200);
    world.pass(10);
    world.origin_by(|sent| if sent.fields.get("authorization") == Some("Bearer issued-0") { 401 } else { 200 });
    assert_eq!(world.call(&gateway, get()).status, 200);
    assert_eq!(authorizations(&world), ["Bearer issued-0", "Bearer issued-0", "Bearer issued-1"]);
    assert_eq!(world.asked().len(), 2, "the refused token is not taken from the cache of the data center again");
    // A message that was passed on as a stream is lost; the next one has another token.
    world.pass(10);
    world.origin_by(|sent| if sent.fields.get("authorization") == Some("Bearer issued-1") { 401 } else { 200 });
    let reply = world.call(&gateway, good());
    assert_eq!(verdict(&world, &reply), (502, "origin_unauthorized".to_owned()));
    assert!(detail(&world).contains("passed on as a stream"), "{}", detail(&world));
    assert_eq!(world.call(&gateway, good()).status, 200);
    // With rules the gateway has read the message.
    let mut document = own_token(json!({}));
    document["resources"][0]["rules"] = json!([{ "effect": "allow", "methods": ["*"], "tools": ["*"] }]);
    document["resources"][0]["cache_lists"] = json!(false);
    let (world, gateway) = opened(document);
    numbered(&world, 3600);
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "add" } }).to_string();
    let call = || good().body(call.as_bytes());
    assert_eq!(world.call(&gateway, call()).status, 200);
    world.pass(10);
    world.origin_by(|sent| if sent.fields.get("authorization") == Some("Bearer issued-0") { 401 } else { 200 });
    assert_eq!(world.call(&gateway, call()).status, 200);
    assert_eq!(world.sent().iter().filter(|sent| sent.body == call().body).count(), 3);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_that_refuses_every_token_does_not_make_the_gateway_ask_for_one_each_time() {
    let (world, gateway) = opened(own_token(json!({})));
    numbered(&world, 3600);
    world.origin_by(|_| 401);
    let get = || Request::get("/mcp").bearer(&token(&lasting()));
    for _ in 0..20 {
        let reply = world.call(&gateway, get());
        assert_eq!(verdict(&world, &reply), (502, "origin_unauthorized".to_owned()));
    }
    assert_eq!((world.asked().len(), world.sent().len()), (1, 20));
    world.pass(10);
    for _ in 0..20 {
        world.call(&gateway, get());
    }
    assert_eq!((world.asked().len(), world.sent().len()), (2, 41), "one more, and one repetition");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_token_endpoint_may_answer() {
    let ok = |more: Value| {
        let mut body = json!({ "access_token": "abc", "token_type": "Bearer", "expires_in": 60 });
        for (name, value) in more.as_object().expect("a table") {
            body[name] = value.clone();
        }
        Ok((200, JSON, body.to_string()))
    };
    let failed = |error: &str, status| Ok((status, JSON, json!({ "error": error }).to_string()));
    let raw = |status, body: &str| Ok((status, JSON, body.to_owned()));
    let cases = [
        (ok(json!({})), 200, ""),
        (ok(json!({ "token_type": "bEARER" })), 200, ""),
        (ok(json!({ "expires_in": "60" })), 200, ""),
        (ok(json!({ "expires_in": null })), 200, ""),
        (ok(json!({ "expires_in": 1 })), 200, ""),
        (ok(json!({ "expires_in": u64::MAX })), 200, ""),
        (ok(json!({ "expires_in": 0 })), 502, "expires_in"),
        (ok(json!({ "expires_in": -1 })), 502, "expires_in"),
        (ok(json!({ "expires_in": 1.5 })), 502, "expires_in"),
        (ok(json!({ "expires_in": "soon" })), 502, "expires_in"),
        (ok(json!({ "expires_in": "-60" })), 502, "expires_in"),
        (ok(json!({ "expires_in": [60] })), 502, "expires_in"),
        (ok(json!({ "token_type": "DPoP" })), 502, "token_type"),
        (ok(json!({ "token_type": null })), 502, "token_type"),
        (ok(json!({ "token_type": 7 })), 502, "token_type"),
        (ok(json!({ "access_token": "" })), 502, "access_token"),
        (ok(json!({ "access_token": "a b" })), 502, "access_token"),
        (ok(json!({ "access_token": "a\r\nx-evil: 1" })), 502, "access_token"),
        (ok(json!({ "access_token": "ä" })), 502, "access_token"),
        (ok(json!({ "access_token": null })), 502, "access_token"),
        (ok(json!({ "access_token": "a".repeat(16 * 1024 + 1) })), 502, "access_token"),
        (
            ok(json!({ "issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token" })),
            502,
            "issued_token_type",
        ),
        (raw(200, "[]"), 502, "not a JSON object"),
        (raw(200, "<html>"), 502, "not JSON"),
        (raw(200, r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#), 502, "not JSON"),
        (raw(302, ""), 502, "status 302"),
        (raw(404, "<html>"), 502, "status 404"),
        (raw(429, ""), 503, "status 429"),
        (raw(500, "<html>"), 503, "status 500"),
        (raw(503, "{}"), 503, "status 503"),
        (Err("connection refused"), 503, "connection refused"),
        (failed("invalid_client", 401), 502, "invalid_client (status 401)"),
        (failed("invalid_scope", 400), 502, "invalid_scope"),
        (failed("temporarily_unavailable", 400), 503, "temporarily_unavailable"),
        (failed("slow_down", 429), 503, "slow_down"),
        (failed("invalid_client", 200), 502, "invalid_client (status 200)"),
        (failed("a\u{202e}b c\n", 400), 502, ": an error code that is none of OAuth (status 400)"),
        (ok(json!({ "expires_in": 60.0 })), 200, ""),
    ];
    for (answer, status, why) in cases {
        let (world, gateway) = opened(own_token(json!({})));
        let told = answer.as_ref().map(|(status, kind, body)| (*status, *kind, body.as_str())).map_err(|error| *error);
        world.answer(TOKENS, told);
        let reply = world.call(&gateway, good());
        assert_eq!(reply.status, status, "{told:?}");
        assert!(detail(&world).contains(why), "{told:?}: {}", detail(&world));
        let reason = match status {
            200 => "forwarded",
            502 => "origin_credential_failed",
            _ => "origin_credential_unavailable",
        };
        assert_eq!(world.last_request()["reason"], json!(reason), "{told:?}");
        assert_eq!(world.sent().len(), usize::from(status == 200), "nothing is sent without the credential");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_failure_is_remembered_for_a_while_and_then_tried_again() {
    for (status, body, seconds, expected) in [(500, "{}", 2, 503), (400, "{\"error\":\"invalid_client\"}", 10, 502)] {
        let (world, gateway) = opened(own_token(json!({})));
        world.answer(TOKENS, Ok((status, JSON, body)));
        for _ in 0..10 {
            assert_eq!(world.call(&gateway, good()).status, expected);
        }
        assert_eq!(world.asked().len(), 1);
        world.pass(seconds);
        world.answer(TOKENS, Ok((200, JSON, r#"{"access_token":"a","token_type":"Bearer"}"#)));
        assert_eq!(world.call(&gateway, good()).status, 200);
        assert_eq!(world.asked().len(), 2);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_of_unknown_lifetime_is_kept_for_five_minutes_and_none_for_more_than_a_day() {
    for (lifetime, kept) in [(json!(null), 295), (json!(8), 6), (json!(1_000_000), 86_395)] {
        for (seconds, asked) in [(kept - 1, 1), (kept, 2)] {
            let (world, gateway) = opened(own_token(json!({})));
            let body = json!({ "access_token": "a", "token_type": "Bearer", "expires_in": lifetime }).to_string();
            world.answer(TOKENS, Ok((200, JSON, &body)));
            assert_eq!(world.call(&gateway, good()).status, 200);
            world.pass(seconds);
            assert_eq!(world.call(&gateway, good()).status, 200);
            assert_eq!(world.asked().len(), asked, "{lifetime} after {seconds} s");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn narrower_scopes_than_requested_are_logged() {
    let (world, gateway) = opened(own_token(json!({ "scopes": ["api:read", "api:write"] })));
    let body = json!({ "access_token": "a", "token_type": "Bearer", "scope": "api:read" }).to_string();
    world.answer(TOKENS, Ok((200, JSON, &body)));
    assert_eq!(world.call(&gateway, good()).status, 200);
    let lines = world.lines();
    let line = lines.iter().find(|line| line["reason"] == "origin_credential_scopes").expect("a line");
    assert_eq!(line["detail"], json!("resource \"/mcp\", client_credentials: the token lacks api:write"));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_client_authenticates_as_configured() {
    let of = |changes: Value| {
        let mut client = client();
        for (name, value) in changes.as_object().expect("a table") {
            client[name] = value.clone();
        }
        let (world, gateway) = opened(own_token(json!({ "client": client })));
        numbered(&world, 60);
        assert_eq!(world.call(&gateway, good()).status, 200);
        world.asked().remove(0)
    };
    let posted = of(json!({ "authentication": "client_secret_post", "timeout_seconds": 9 }));
    assert_eq!((posted.field("authorization"), posted.seconds), ("", 9));
    assert_eq!(parameter(&posted.body, "client_secret").as_deref(), Some("client-secret"));
    for (issuer, audience) in [(json!(null), TOKENS), (json!("https://tokens.example"), "https://tokens.example")] {
        let signed = of(json!({ "authentication": "private_key_jwt", "secret": "KEY", "issuer": issuer }));
        let assertion = parameter(&signed.body, "client_assertion").expect("an assertion");
        let claims = claims_of(&assertion);
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&json!("gate"), &json!("gate"), &json!(audience))
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_callers_token_is_exchanged_and_goes_nowhere_else() {
    let (world, gateway) = opened(exchange(json!({
        "scopes": ["api:read"], "resource": "https://tools.example/mcp", "audience": "tools",
        "requested_token_type": "urn:ietf:params:oauth:token-type:jwt",
    })));
    numbered(&world, 3600);
    let (ada, bob) = (token(&Claims::good()), token(&Claims::good().with("sub", json!("bob"))));
    for presented in [&ada, &bob, &ada, &bob] {
        assert_eq!(world.call(&gateway, Request::post("/mcp").bearer(presented)).status, 200);
    }
    assert_eq!(authorizations(&world), ["Bearer issued-0", "Bearer issued-1", "Bearer issued-0", "Bearer issued-1"]);
    let asked = world.asked();
    assert_eq!(asked.len(), 2);
    let expected = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", ada.as_str()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("scope", "api:read"),
        ("resource", "https://tools.example/mcp"),
        ("audience", "tools"),
    ];
    assert_eq!(form(&asked[0].body), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(asked.iter().all(|asked| asked.url == TOKENS));
    let sent = world.sent();
    assert!(
        sent.iter().all(|sent| sent.fields.iter().all(|(_, value)| !value.contains(&ada) && !value.contains(&bob)))
    );
    assert!(sent[0].fields.get("x-portcullis-subject").is_some(), "a server of the same organization learns who calls");
    assert!(world.shared().keys().all(|name| !name.starts_with("origin-token/")), "tokens of callers are not shared");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_exchange_can_do_without_a_client() {
    for (client, id) in [
        (json!({ "token_endpoint": TOKENS }), None),
        (json!({ "token_endpoint": TOKENS, "client_id": "gate" }), Some("gate".to_owned())),
    ] {
        let (world, gateway) = opened(exchange(json!({ "client": client })));
        numbered(&world, 60);
        assert_eq!(world.call(&gateway, good()).status, 200);
        let asked = world.asked().remove(0);
        assert_eq!((asked.field("authorization"), parameter(&asked.body, "client_id")), ("", id));
        assert_eq!(parameter(&asked.body, "client_secret"), None);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_exchanged_token_ends_with_the_callers() {
    let (world, gateway) = opened(exchange(json!({})));
    numbered(&world, 3600);
    let short = Request::post("/mcp").bearer(&token(&Claims::good().with("exp", json!(NOON + 20))));
    assert_eq!(world.call(&gateway, short.clone()).status, 200);
    world.pass(19);
    assert_eq!(world.call(&gateway, short.clone()).status, 200);
    assert_eq!(world.asked().len(), 1);
    // The gateway accepts the caller's token within its leeway of 30 s.
    world.pass(30);
    assert_eq!(world.call(&gateway, short.clone()).status, 200);
    assert_eq!(world.asked().len(), 1);
    world.pass(1);
    assert_eq!(world.call(&gateway, short).status, 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_gateway_names_itself_as_the_actor() {
    let mut document = exchange(json!({ "actor": true, "client": {
        "token_endpoint": TOKENS, "client_id": "gate", "secret": "CLIENT", "issuer": "https://tokens.example",
    } }));
    document["identity_assertion"] = json!({ "key_secrets": ["ASSERTION"] });
    let (world, gateway) = opened(document);
    numbered(&world, 60);
    assert_eq!(world.call(&gateway, good()).status, 200);
    let body = world.asked().remove(0).body;
    assert_eq!(parameter(&body, "actor_token_type").as_deref(), Some("urn:ietf:params:oauth:token-type:jwt"));
    let actor = parameter(&body, "actor_token").expect("an actor");
    let claims = claims_of(&actor);
    assert_eq!(
        (&claims["iss"], &claims["sub"], &claims["aud"], &claims["exp"]),
        (&json!(PUBLIC), &json!(PUBLIC), &json!("https://tokens.example"), &json!(NOON + 60))
    );
    let (input, signature) = actor.rsplit_once('.').expect("three parts");
    let key = serde_json::from_value(Key::Ed25519.public_jwk()).expect("a JWK");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    assert_eq!(portcullis::portable::verify(&key, JwsAlgorithm::EdDsa, input.as_bytes(), &signature), Ok(true));
}

#[wasm_bindgen_test(unsupported = test)]
fn on_behalf_of_in_the_form_of_entra() {
    let (world, gateway) =
        opened(exchange(json!({ "profile": "entra_on_behalf_of", "scopes": ["api://tools/.default"] })));
    numbered(&world, 60);
    let presented = token(&Claims::good());
    assert_eq!(world.call(&gateway, Request::post("/mcp").bearer(&presented)).status, 200);
    let expected = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", presented.as_str()),
        ("requested_token_use", "on_behalf_of"),
        ("scope", "api://tools/.default"),
    ];
    assert_eq!(form(&world.asked()[0].body), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_caller_that_gets_no_token_is_refused_without_a_challenge() {
    let presented = token(&Claims::good());
    let echoing = format!("no: {presented}");
    let cases = [
        ("invalid_grant", 400, "AADSTS50013: assertion failed signature validation", 403),
        ("access_denied", 403, "x", 403),
        ("interaction_required", 400, echoing.as_str(), 403),
        ("invalid_request", 400, "x", 403),
        ("invalid_client", 401, "x", 502),
        ("invalid_target", 400, "x", 502),
        ("server_error", 500, "x", 503),
    ];
    for (error, status, description, expected) in cases {
        let (world, gateway) = opened(exchange(json!({})));
        let body = json!({ "error": error, "error_description": description }).to_string();
        world.answer(TOKENS, Ok((status, JSON, &body)));
        for _ in 0..3 {
            let reply = world.call(&gateway, Request::post("/mcp").bearer(&presented));
            assert_eq!(reply.status, expected, "{error}");
            assert_eq!(reply.field("www-authenticate"), "", "a new login gives the client the same token");
        }
        assert_eq!(world.asked().len(), 1, "{error}");
        assert!(detail(&world).starts_with(&format!("{TOKENS}: {error} (status {status})")), "{}", detail(&world));
        assert!(!detail(&world).contains(&presented));
        // Another caller is not concerned.
        world.answer(TOKENS, Ok((200, JSON, r#"{"access_token":"a","token_type":"Bearer"}"#)));
        let bob = token(&Claims::good().with("sub", json!("bob")));
        assert_eq!(world.call(&gateway, Request::post("/mcp").bearer(&bob)).status, 200, "{error}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_log_has_nothing_that_a_token_endpoint_may_repeat() {
    let cases = [
        (
            "invalid_client",
            "AADSTS7000215: the secret client-secret of ada.lovelace@example.com is wrong",
            "invalid_client (status 401) AADSTS7000215",
        ),
        ("client-secret", "x", "an error code that is none of OAuth (status 401)"),
        ("Aa1Bb2", "XX12 XXXX12345678901 aadsts50013", "an error code that is none of OAuth (status 401)"),
    ];
    for (error, description, expected) in cases {
        let client =
            json!({ "token_endpoint": format!("{TOKENS}?key=of-the-url"), "client_id": "gate", "secret": "CLIENT" });
        let (world, gateway) = opened(own_token(json!({ "client": client })));
        let body = json!({ "error": error, "error_description": description });
        world.answer_by(move |_, _| (401, body.to_string()));
        world.call(&gateway, good());
        assert_eq!(detail(&world), format!("{TOKENS}: {expected}"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_that_comes_back_from_the_exchange_is_not_sent() {
    let (world, gateway) = opened(exchange(json!({})));
    world.answer_by(|asked, _| {
        let token = parameter(&asked.body, "subject_token");
        (200, json!({ "access_token": token, "token_type": "Bearer" }).to_string())
    });
    let reply = world.call(&gateway, good());
    assert_eq!(verdict(&world, &reply), (502, "origin_credential_failed".to_owned()));
    assert!(world.sent().is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_of_one_caller_are_not_kept_for_others_by_default() {
    let kept = |credential: Value| {
        let rules = json!([{ "effect": "allow", "methods": ["*"], "tools": ["*"] }]);
        let document = with_resource(json!({ "credential": credential, "rules": rules }));
        let gateway = open_with(document, &secrets()).expect("right");
        gateway.settings().resources[0].cache_lists
    };
    assert!(kept(json!(null)));
    assert!(kept(json!({ "static": [{ "secrets": ["CURRENT"] }] })));
    assert!(!kept(json!({ "token_exchange": { "client": client() } })));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_without_a_message_is_repeated_although_others_before_it_were_the_same() {
    let (world, gateway) = opened(own_token(json!({})));
    numbered(&world, 3600);
    let get = || Request::get("/mcp").bearer(&token(&lasting()));
    for _ in 0..5 {
        assert_eq!(world.call_remembering(&gateway, get()).status, 200);
    }
    world.pass(10);
    world.origin_by(|sent| if sent.fields.get("authorization") == Some("Bearer issued-0") { 401 } else { 200 });
    assert_eq!(world.call_remembering(&gateway, get()).status, 200);
}

fn enterprise() -> Value {
    let mut server = client();
    server["token_endpoint"] = json!(SERVER_TOKENS);
    server["issuer"] = json!("https://server.example");
    server["client_id"] = json!("gate-at-server");
    with(json!({ "enterprise": { "provider": client(), "server": server, "scopes": ["api:read"] } }))
}

const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

#[wasm_bindgen_test(unsupported = test)]
fn enterprise_managed_authorization_takes_two_steps() {
    let (world, gateway) = opened(enterprise());
    world.answer_by(|asked, _| {
        let body = if asked.url == TOKENS {
            json!({ "access_token": "the.identity.assertion", "token_type": "N_A", "issued_token_type": ID_JAG, "expires_in": 300 })
        } else {
            json!({ "access_token": "for-ada", "token_type": "Bearer", "expires_in": 3600 })
        };
        (200, body.to_string())
    });
    let presented = token(&Claims::good());
    for _ in 0..2 {
        assert_eq!(world.call(&gateway, Request::post("/mcp").bearer(&presented)).status, 200);
    }
    assert_eq!(authorizations(&world), vec!["Bearer for-ada"; 2]);
    let asked = world.asked();
    assert_eq!(asked.iter().map(|asked| asked.url.as_str()).collect::<Vec<_>>(), [TOKENS, SERVER_TOKENS]);
    let first = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", ID_JAG),
        ("audience", "https://server.example"),
        ("subject_token", presented.as_str()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("scope", "api:read"),
        ("resource", "https://tools.example/mcp"),
    ];
    assert_eq!(form(&asked[0].body), first.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let second = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", "the.identity.assertion"),
        ("scope", "api:read"),
    ];
    assert_eq!(form(&asked[1].body), second.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_identity_assertion_is_recognized_by_its_types() {
    for (members, why) in [
        (json!({ "token_type": "Bearer", "issued_token_type": ID_JAG }), "token_type"),
        (json!({ "token_type": "N_A" }), "issued_token_type"),
        (
            json!({ "token_type": "N_A", "issued_token_type": "urn:ietf:params:oauth:token-type:jwt" }),
            "issued_token_type",
        ),
    ] {
        let (world, gateway) = opened(enterprise());
        let mut body = members.clone();
        body["access_token"] = json!("a.b.c");
        world.answer(TOKENS, Ok((200, JSON, &body.to_string())));
        let reply = world.call(&gateway, good());
        assert_eq!(verdict(&world, &reply), (502, "origin_credential_failed".to_owned()), "{members}");
        assert!(detail(&world).contains(why), "{}", detail(&world));
        assert_eq!(world.asked().len(), 1, "nothing goes to the other server");
    }
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

/// Each document has a mistake that begins so, after the path of the table.
fn assert_mistakes(cases: Vec<(Value, &str)>) {
    for (document, expected) in cases {
        let found = mistakes(document);
        let expected = expected.replace('@', AT);
        assert!(found.iter().any(|line| line.starts_with(&expected)), "{expected}\n{found:?}");
    }
}

fn on(key: &str, value: Value, credential: Value) -> Value {
    with_resource(json!({ key: value, "credential": credential }))
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_in_static_fields() {
    let of = |entry: Value| with(json!({ "static": [entry] }));
    let one = || json!({ "static": [{ "secrets": ["CURRENT"] }] });
    let twice = json!({ "static": [{ "secrets": ["CURRENT"] }, { "field": "authorization", "secrets": ["NEXT"] }] });
    let tenant = json!({ "static": [{ "field": "x_tenant-id", "secrets": ["CURRENT"] }] });
    let rotating = json!({ "static": [{ "secrets": ["CURRENT", "NEXT"] }] });
    assert_mistakes(vec![
        (with(json!({ "static": [] })), "@.static: must have 1 to 8 entries"),
        (of(json!({ "secrets": [] })), "@.static[0].secrets: must name one secret"),
        (of(json!({ "secrets": ["CURRENT", "NEXT", "CLIENT"] })), "@.static[0].secrets: must name one secret"),
        (of(json!({ "secrets": ["CURRENT", "CURRENT"] })), "@.static[0].secrets[1]: is there twice"),
        (of(json!({ "secrets": ["NONE"] })), "@.static[0].secrets[0]: there is no Worker secret \"NONE\""),
        (of(json!({ "secrets": ["EMPTY"] })), "@.static[0].secrets[0]: the secret must be visible ASCII"),
        (of(json!({ "secrets": ["LINES"] })), "@.static[0].secrets[0]: the secret must be visible ASCII"),
        (of(json!({ "field": "Host", "secrets": ["CURRENT"] })), "@.static[0].field: cannot have a credential"),
        (of(json!({ "field": "Mcp-Name", "secrets": ["CURRENT"] })), "@.static[0].field: cannot have a credential"),
        (of(json!({ "field": "x y", "secrets": ["CURRENT"] })), "@.static[0].field: must be the name of a field"),
        (
            of(json!({ "scheme": "Bear er", "secrets": ["CURRENT"] })),
            "@.static[0].scheme: must be the name of a scheme",
        ),
        (with(twice), "@.static[1].field: is there twice"),
        (of(json!({ "scheme": "Basic", "secrets": ["PAIR"] })), "@.static[0].secrets[0]: the secret must be base64"),
        (of(json!({ "secrets": ["WHOLE"] })), "@.static[0].secrets[0]: the secret must not begin with the scheme"),
        (of(json!({ "secrets": ["CURRENT", "SAME"] })), "@.static[0].secrets[1]: the secret has the same value"),
        (on("forward_fields", json!(["X-Tenant-Id"]), tenant), "@.static[0].field: is in forward_fields too"),
        (on("body_bytes", json!(9_000_000), rotating), "resources[0].body_bytes: must be at most 8388608"),
        (on("identity_claims", json!(["email"]), one()), "resources[0].identity_claims: must be empty"),
    ]);
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_in_clients_and_targets() {
    let client_with = |changes: Value| {
        let mut client = client();
        for (name, value) in changes.as_object().expect("a table") {
            client[name] = value.clone();
        }
        own_token(json!({ "client": client }))
    };
    let at = "@.client_credentials.client";
    let in_client = [
        (json!({ "token_endpoint": "http://tokens.example/token" }), "token_endpoint: must be https"),
        (json!({ "token_endpoint": "https://u:p@tokens.example/" }), "token_endpoint: "),
        (json!({ "client_id": "" }), "client_id: must not be empty"),
        (json!({ "client_id": null }), "client_id: is required"),
        (json!({ "secret": null }), "secret: is required"),
        (json!({ "secret": "NONE" }), "secret: there is no Worker secret"),
        (json!({ "secret": "EMPTY" }), "secret: the secret is empty"),
        (json!({ "authentication": "private_key_jwt" }), "secret: "),
        (json!({ "timeout_seconds": 31 }), "timeout_seconds: must be 1 to 30, got 31"),
        (json!({ "issuer": "tokens" }), "issuer: "),
    ];
    for (changes, expected) in in_client {
        assert_mistakes(vec![(client_with(changes), &format!("{at}.{expected}"))]);
    }
    let fragment = json!({ "resource": "https://tools.example/#x" });
    assert_mistakes(vec![
        (own_token(json!({ "resource": "tools" })), "@.client_credentials.resource: must be an absolute URI"),
        (own_token(json!({ "resource": ":" })), "@.client_credentials.resource: must be an absolute URI"),
        (own_token(json!({ "resource": "urn:x y" })), "@.client_credentials.resource: must be an absolute URI"),
        (own_token(fragment), "@.client_credentials.resource: must be an absolute URI"),
        (own_token(json!({ "audience": "" })), "@.client_credentials.audience: must not be empty"),
        (own_token(json!({ "scopes": ["a b"] })), "@.client_credentials.scopes[0]: "),
    ]);
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_in_kinds_and_exchanges() {
    let exchanged = || json!({ "token_exchange": { "client": client() } });
    let two = json!({ "static": [{ "secrets": ["CURRENT"] }], "token_exchange": { "client": client() } });
    let entra = |more: Value| {
        let mut table = json!({ "profile": "entra_on_behalf_of", "scopes": ["x"] });
        for (name, value) in more.as_object().expect("a table") {
            table[name] = value.clone();
        }
        exchange(table)
    };
    let without_id = json!({ "client": { "token_endpoint": TOKENS, "secret": "CLIENT" } });
    let without_secret = json!({ "client": { "token_endpoint": TOKENS, "authentication": "private_key_jwt" } });
    let mut keys = on("api_keys", json!(["pk"]), exchanged());
    keys["api_keys"] = json!([{ "prefix": "pk", "keys": [record("robot")] }]);
    let mut without_issuer = enterprise();
    without_issuer["resources"][0]["credential"]["enterprise"]["server"]["issuer"] = json!(null);
    assert_mistakes(vec![
        (with(json!({})), "@: must have exactly one of"),
        (with(two), "@: must have exactly one of"),
        (with(json!({ "basic": {} })), "@.basic: unknown key"),
        (exchange(json!({ "actor": true })), "@.token_exchange.actor: needs identity_assertion"),
        (
            exchange(json!({ "subject_token_type": "jwt" })),
            "@.token_exchange.subject_token_type: must be a token type URI",
        ),
        (
            exchange(json!({ "requested_token_type": "urn:ietf:params:oauth:token-type:id_token" })),
            "@.token_exchange.requested_token_type: must be the type of access tokens",
        ),
        (exchange(without_id), "@.token_exchange.client.client_id: is required"),
        (exchange(without_secret), "@.token_exchange.client.authentication: needs secret"),
        (entra(json!({ "scopes": null })), "@.token_exchange.scopes: is required"),
        (entra(json!({ "audience": "y" })), "@.token_exchange.audience: is not for entra_on_behalf_of"),
        (entra(json!({ "client": { "token_endpoint": TOKENS } })), "@.token_exchange.client.client_id: is required"),
        (
            on("anonymous", json!(["tools/list"]), exchanged()),
            "resources[0].anonymous: must be empty with credential.token_exchange",
        ),
        (keys, "resources[0].api_keys: must be empty with credential"),
        (without_issuer, "@.enterprise.server.issuer: is required"),
    ]);
}

#[cfg(not(target_family = "wasm"))]
mod property {
    use proptest::prelude::*;

    use super::*;

    /// One step of a sequence.
    #[derive(Debug, Clone)]
    enum Step {
        Request {
            caller: usize,
            get: bool,
        },
        Pass(u64),
        Background,
        /// The origin server refuses tokens whose number is not the remainder.
        Refuse(usize),
        Endpoint(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => (0..5_usize, any::<bool>()).prop_map(|(caller, get)| Step::Request { caller, get }),
            3 => prop::sample::select(vec![1, 11, 61, 200, 290]).prop_map(Step::Pass),
            2 => Just(Step::Background),
            1 => (0..4_usize).prop_map(Step::Refuse),
            1 => (0..4_usize).prop_map(Step::Endpoint),
        ]
    }

    fn answer(subject: &str, before: usize, mode: usize) -> (u16, String) {
        match mode {
            2 => (500, String::new()),
            3 => (400, json!({ "error": "invalid_grant" }).to_string()),
            _ => {
                let token = format!("for-{subject}-{before}");
                (200, json!({ "access_token": token, "token_type": "Bearer", "expires_in": 300 }).to_string())
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(64), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_token_for_one_caller_never_reaches_a_request_of_another(steps in prop::collection::vec(step(), 1..60)) {
            let (world, gateway) = opened(exchange(json!({})));
            let issue = |mode: usize| {
                world.answer_by(move |asked, before| {
                    let subject = parameter(&asked.body, "subject_token").map(|token| claims_of(&token)["sub"].clone());
                    answer(subject.as_ref().and_then(Value::as_str).unwrap_or_default(), before, mode)
                });
            };
            issue(0);
            for step in steps {
                let asked = world.asked().len();
                match step {
                    Step::Request { caller, get } => {
                        let presented = token(&lasting().with("sub", json!(format!("caller{caller}"))));
                        let request = if get { Request::get("/mcp") } else { Request::post("/mcp") }.bearer(&presented);
                        let reply = world.call_remembering(&gateway, request);
                        prop_assert!([200, 403, 502, 503].contains(&reply.status), "{}", reply.status);
                        let asked = world.asked().len() - asked;
                        prop_assert!(asked <= 2, "a request asks once, and once more if it is repeated");
                    }
                    Step::Pass(seconds) => world.pass(seconds),
                    Step::Background => world.run_background(),
                    Step::Refuse(rest) => world.origin_by(move |sent| {
                        let token = sent.fields.get("authorization").unwrap_or_default();
                        let number: usize = token.rsplit('-').next().and_then(|end| end.parse().ok()).unwrap_or(0);
                        if rest > 0 && number % 4 == rest { 401 } else { 200 }
                    }),
                    Step::Endpoint(mode) => issue(mode),
                }
            }
            for sent in world.sent() {
                let subject = sent.fields.get("x-portcullis-subject").unwrap_or_default();
                let token = sent.fields.get("authorization").unwrap_or_default();
                prop_assert!(token.starts_with(&format!("Bearer for-{subject}-")), "{subject} with {token}");
            }
        }
    }
}
