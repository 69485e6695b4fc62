//! Credentials besides JWTs, and which verifier each is for.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use portcullis::gateway::Gateway;
use portcullis::jwks::key::JwsAlgorithm;
use portcullis::pipeline::authenticate::CompiledVerifiers;
use portcullis::token::credential::Credential;
use portcullis::token::error::TokenError;
use portcullis::token::principal::{CredentialKind, SelectedClaims, Subject};
use portcullis::token::verified::VerifiedToken;
use portcullis::token::verifier::{Evidence, TokenVerifier, Verification};
use serde_json::{Value, json};
use sha2::Sha256;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::world::NOON;
use crate::support::{
    Claims, ISSUER, Key, PUBLIC, RESOURCE, Reply, Request, TestSecrets, World, document_with, open, open_with, token,
    token_with_header,
};

pub const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const JSON: &str = "application/json";
const ENDPOINT: &str = "https://login.example/introspect";

/// A record of an API key with this secret.
fn hash(secret: &str) -> String {
    let salt = b"sixteen bytes ok";
    let mut mac = Hmac::<Sha256>::new_from_slice(salt).expect("any length");
    mac.update(secret.as_bytes());
    let digest = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("hmac-sha256${}${digest}", URL_SAFE_NO_PAD.encode(salt))
}

pub fn record(id: &str) -> Value {
    json!({ "id": id, "label": format!("{id} of ops"), "hash": hash(SECRET), "scopes": ["mcp:tools"] })
}

/// One resource with these members, and tables beside it.
fn one_resource(resource: Value, tables: Value) -> Value {
    let mut document = json!({
        "public_url": PUBLIC,
        "resources": [{ "path": "/mcp", "origin": "https://tools.example/mcp", "scopes": ["mcp:tools"] }],
    });
    for (into, from) in [(&mut document["resources"][0], resource)] {
        for (name, value) in from.as_object().expect("a table") {
            into[name] = value.clone();
        }
    }
    for (name, value) in tables.as_object().expect("a table") {
        document[name] = value.clone();
    }
    document
}

fn api_keys() -> Value {
    one_resource(
        json!({ "api_keys": ["pk"] }),
        json!({ "api_keys": [{ "prefix": "pk", "kv": "KEYS", "cache_seconds": 60, "keys": [record("robot")] }] }),
    )
}

fn verdict(world: &World, reply: &Reply) -> (u16, String) {
    (reply.status, world.last_request()["reason"].as_str().unwrap_or_default().to_owned())
}

#[wasm_bindgen_test(unsupported = test)]
fn an_api_key_of_configuration_opens_and_is_named_by_its_label() {
    let (world, gateway) = (World::new(), open(api_keys()).expect("right"));
    let key = format!("pk_robot_{SECRET}");
    for request in [Request::post("/mcp").bearer(&key), Request::post("/mcp").field("x-api-key", &key)] {
        assert_eq!(world.call(&gateway, request).status, 200);
        let line = world.last_request();
        assert_eq!(
            (&line["credential"], &line["label"], &line["issuer"]),
            (&json!("api_key"), &json!("robot of ops"), &json!("pk"))
        );
    }
    assert_eq!(world.last_request()["token_cache"], "hit");
    let sent = world.sent();
    assert_eq!(sent[0].fields.get("x-portcullis-subject"), Some("apikey:pk:robot"));
    assert_eq!(sent[0].fields.get("x-api-key"), None, "the key stops here");
    assert!(world.reads().is_empty(), "configuration has it");
    assert!(!world.lines().iter().any(|line| line.to_string().contains(SECRET)));
}

#[wasm_bindgen_test(unsupported = test)]
fn api_keys_that_open_nothing() {
    let (world, gateway) = (World::new(), open(api_keys()).expect("right"));
    let good = format!("pk_robot_{SECRET}");
    let wrong = format!("pk_robot_{}", SECRET.to_lowercase());
    for (key, status, reason) in [
        (wrong.as_str(), 401, "api_key_unknown"),
        (&format!("pk_nobody_{SECRET}"), 401, "api_key_unknown"),
        ("pk_robot_short", 401, "api_key_unknown"),
        ("pk_robot", 401, "api_key_unknown"),
        (&format!("{good}x"), 401, "api_key_unknown"),
        (&format!("pk_{}_{SECRET}", "r".repeat(33)), 401, "api_key_unknown"),
        (&format!("qk_robot_{SECRET}"), 401, "token_malformed"),
    ] {
        let reply = world.call(&gateway, Request::post("/mcp").bearer(key));
        assert_eq!(verdict(&world, &reply), (status, reason.to_owned()), "{key}");
    }
    for (name, value) in [("authorization", format!("Bearer {good}")), ("authorization", "Bearer x.y.z".to_owned())] {
        let two = Request::post("/mcp").field("x-api-key", &good).field(name, &value);
        let reply = world.call(&gateway, two);
        assert_eq!(verdict(&world, &reply), (400, "malformed_credentials".to_owned()));
    }
    let reply = world.call(&gateway, Request::post("/mcp").field("x-api-key", "qk_robot_x"));
    assert_eq!(verdict(&world, &reply), (401, "api_key_unknown".to_owned()));
}

#[wasm_bindgen_test(unsupported = test)]
fn api_keys_of_a_store_are_read_once_while_they_are_fresh() {
    let (world, gateway) = (World::new(), open(api_keys()).expect("right"));
    world.put("KEYS", "apikey:pk:stored", Ok(&record("stored").to_string()));
    let call = || world.call(&gateway, Request::post("/mcp").bearer(&format!("pk_stored_{SECRET}"))).status;
    for _ in 0..3 {
        assert_eq!(call(), 200);
    }
    assert_eq!(world.reads(), ["KEYS/apikey:pk:stored"]);
    // Withdrawn: it dies within its time.
    world.put("KEYS", "apikey:pk:stored", Err("gone"));
    assert_eq!(call(), 200);
    world.pass(61);
    assert_eq!(call(), 503, "a store that fails says nothing of the key");
    assert_eq!(world.last_request()["reason"], "api_keys_unavailable");
    world.put("KEYS", "apikey:pk:stored", Ok(&record("other").to_string()));
    assert_eq!(call(), 503, "a record of another key is a mistake of the store");
    for broken in ["", "{}", "[1]", "{\"id\":\"stored\",\"id\":\"stored\"}"] {
        world.put("KEYS", "apikey:pk:stored", Ok(broken));
        assert_eq!(call(), 503, "{broken:?}");
    }
    let mut ended = record("stored");
    ended["expires"] = json!("2026-11-23T11:59:59Z");
    world.put("KEYS", "apikey:pk:stored", Ok(&ended.to_string()));
    assert_eq!(call(), 401);
    assert_eq!(world.last_request()["reason"], "token_expired");
}

#[wasm_bindgen_test(unsupported = test)]
fn unknown_api_keys_are_remembered_as_unknown() {
    let (world, gateway) = (World::new(), open(api_keys()).expect("right"));
    let call = || world.call(&gateway, Request::post("/mcp").bearer(&format!("pk_nobody_{SECRET}"))).status;
    for _ in 0..3 {
        assert_eq!(call(), 401);
    }
    assert_eq!(world.reads().len(), 1);
    world.pass(61);
    assert_eq!(call(), 401);
    assert_eq!(world.reads().len(), 2);
}

/// Opaque tokens of the issuer are asked about; the rest of the table is `changes`.
fn introspecting(changes: Value) -> Rc<Gateway> {
    let mut asked = json!({ "endpoint": ENDPOINT, "client_id": "gate:1", "secret": "CLIENT_SECRET" });
    for (name, value) in changes.as_object().expect("a table") {
        asked[name] = value.clone();
    }
    let document = one_resource(
        json!({ "issuers": ["idp"] }),
        json!({ "issuers": [{ "name": "idp", "issuer": ISSUER, "introspection": asked, "algorithms": ["EdDSA", "RS256"] }] }),
    );
    let key = Key::P256.private_jwk().to_string();
    let secrets = TestSecrets(vec![("CLIENT_SECRET", "s3cr%t+ ä".to_owned()), ("CLIENT_KEY", key)]);
    open_with(document, &secrets).expect("right")
}

fn active() -> Value {
    json!({ "active": true, "sub": "ada", "client_id": "c1", "scope": "mcp:tools x", "aud": RESOURCE, "exp": NOON + 600 })
}

fn ask(world: &World, gateway: &Rc<Gateway>, token: &str) -> Reply {
    world.call(gateway, Request::post("/mcp").bearer(token))
}

#[wasm_bindgen_test(unsupported = test)]
fn an_opaque_token_is_asked_about_once_and_used_again_while_it_may_be() {
    let (world, gateway) = (World::new(), introspecting(json!({ "cache_seconds": 60 })));
    world.answer(ENDPOINT, Ok((200, JSON, &active().to_string())));
    for hit in ["miss", "hit", "hit"] {
        assert_eq!(ask(&world, &gateway, "opaque-1").status, 200);
        let line = world.last_request();
        assert_eq!((&line["token_cache"], &line["credential"]), (&json!(hit), &json!("introspection")));
    }
    let asked = world.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].url.as_str(), asked[0].seconds), (ENDPOINT, 5));
    assert_eq!(asked[0].body, "token=opaque-1&token_type_hint=access_token");
    // RFC 6749 §2.3.1: form-encoded, then joined.
    let basic = STANDARD.encode("gate%3A1:s3cr%25t%2B+%C3%A4");
    assert_eq!(asked[0].field("authorization"), format!("Basic {basic}"));
    assert_eq!(asked[0].field("content-type"), "application/x-www-form-urlencoded");
    world.pass(60);
    assert_eq!(ask(&world, &gateway, "opaque-1").status, 200);
    assert_eq!(world.asked().len(), 2, "no longer than cache_seconds");
    assert_eq!(world.sent().len(), 4);
    assert_eq!(world.sent()[0].fields.get("x-portcullis-scopes"), Some("mcp:tools x"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_is_never_used_longer_than_it_lives() {
    let (world, gateway) = (World::new(), introspecting(json!({ "cache_seconds": 3600 })));
    let mut answer = active();
    answer["exp"] = json!(NOON + 10);
    world.answer(ENDPOINT, Ok((200, JSON, &answer.to_string())));
    assert_eq!(ask(&world, &gateway, "short").status, 200);
    world.pass(10 + 31);
    let reply = ask(&world, &gateway, "short");
    assert_eq!(verdict(&world, &reply), (401, "token_expired".to_owned()));
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_authenticate_as_configured() {
    let (world, gateway) = (World::new(), introspecting(json!({ "authentication": "client_secret_post" })));
    world.answer(ENDPOINT, Ok((200, JSON, &active().to_string())));
    assert_eq!(ask(&world, &gateway, "o").status, 200);
    let asked = &world.asked()[0];
    assert!(asked.body.ends_with("&client_id=gate%3A1&client_secret=s3cr%25t%2B+%C3%A4"), "{}", asked.body);
    assert_eq!(asked.field("authorization"), "");

    let signed = json!({ "authentication": "private_key_jwt", "secret": "CLIENT_KEY" });
    let (world, gateway) = (World::new(), introspecting(signed));
    world.answer(ENDPOINT, Ok((200, JSON, &active().to_string())));
    assert_eq!(ask(&world, &gateway, "o").status, 200);
    let asked = &world.asked()[0];
    let assertion = asked.body.split("client_assertion=").nth(1).expect("an assertion");
    let parts: Vec<&str> = assertion.split('.').collect();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).expect("base64url")).expect("JSON");
    assert_eq!((&claims["iss"], &claims["sub"], &claims["aud"]), (&json!("gate:1"), &json!("gate:1"), &json!(ISSUER)));
    assert_eq!(claims["exp"], json!(NOON + 60));
    let key = serde_json::from_value(Key::P256.public_jwk()).expect("a JWK");
    let input = format!("{}.{}", parts[0], parts[1]);
    let signature = URL_SAFE_NO_PAD.decode(parts[2]).expect("base64url");
    assert_eq!(portcullis::portable::verify(&key, JwsAlgorithm::Es256, input.as_bytes(), &signature), Ok(true));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_endpoint_is_found_in_the_metadata_and_looked_for_again_after_a_failure() {
    let asked = json!({ "client_id": "gate", "secret": "S" });
    let document = one_resource(
        json!({ "issuers": ["idp"] }),
        json!({ "issuers": [{ "name": "idp", "issuer": ISSUER, "introspection": asked }] }),
    );
    let gateway = open_with(document, &TestSecrets(vec![("S", "s".to_owned())])).expect("right");
    let world = World::new();
    let metadata = format!("{ISSUER}/.well-known/oauth-authorization-server");
    let publish = |endpoint: &str| {
        world.document(&metadata, Ok(&json!({ "issuer": ISSUER, "introspection_endpoint": endpoint }).to_string()));
    };
    publish(ENDPOINT);
    world.answer(ENDPOINT, Ok((200, JSON, &active().to_string())));
    assert_eq!(ask(&world, &gateway, "o1").status, 200);
    assert_eq!(ask(&world, &gateway, "o2").status, 200);
    assert_eq!(world.fetched().as_slice(), std::slice::from_ref(&metadata));
    world.answer(ENDPOINT, Ok((404, JSON, "{}")));
    assert_eq!(ask(&world, &gateway, "o3").status, 503);
    publish("https://login.example/moved");
    world.answer("https://login.example/moved", Ok((200, JSON, &active().to_string())));
    assert_eq!(ask(&world, &gateway, "o3").status, 200);
    // Not where a stranger's document could send the client's secret (P8).
    for elsewhere in [
        "http://login.example/i",
        "https://10.0.0.8/i",
        "https://169.254.169.254/i",
        "https://[::1]/i",
        "https://vault.internal/i",
    ] {
        let world = World::new();
        world.document(&metadata, Ok(&json!({ "issuer": ISSUER, "introspection_endpoint": elsewhere }).to_string()));
        let gateway = {
            let asked = json!({ "client_id": "gate", "secret": "S" });
            let tables = json!({ "issuers": [{ "name": "idp", "issuer": ISSUER, "introspection": asked }] });
            let document = one_resource(json!({ "issuers": ["idp"] }), tables);
            open_with(document, &TestSecrets(vec![("S", "s".to_owned())])).expect("right")
        };
        assert_eq!(ask(&world, &gateway, "o").status, 503, "{elsewhere}");
        assert!(world.asked().is_empty());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn no_provider_is_asked_about_what_is_longer_than_any_token() {
    let (world, gateway) = (World::new(), introspecting(json!({})));
    let reply = ask(&world, &gateway, &"x".repeat(16 * 1024 + 1));
    assert_eq!(verdict(&world, &reply), (403, "token_too_long".to_owned()));
    assert!(world.asked().is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn answers_that_say_nothing_of_the_token_are_503() {
    let cases: Vec<(&str, Result<(u16, &str, &str), &str>)> = vec![
        ("down", Err("connection refused")),
        ("500", Ok((500, JSON, "{\"active\":true}"))),
        ("401", Ok((401, JSON, "{}"))),
        ("302", Ok((302, JSON, ""))),
        ("no type", Ok((200, "", "{\"active\":true}"))),
        ("html", Ok((200, "text/html", "{\"active\":true}"))),
        ("a signed answer nobody asked for", Ok((200, "application/token-introspection+jwt", "a.b.c"))),
        ("half", Ok((200, JSON, "{\"active\":true,"))),
        ("empty", Ok((200, JSON, ""))),
        ("an array", Ok((200, JSON, "[true]"))),
        ("nothing said", Ok((200, JSON, "{}"))),
        ("a string", Ok((200, JSON, "{\"active\":\"true\",\"sub\":\"ada\"}"))),
        ("a number", Ok((200, JSON, "{\"active\":1,\"sub\":\"ada\"}"))),
        ("null", Ok((200, JSON, "{\"active\":null}"))),
        ("twice", Ok((200, JSON, "{\"active\":false,\"active\":true}"))),
        ("a strange audience", Ok((200, JSON, "{\"active\":true,\"sub\":\"ada\",\"aud\":7}"))),
        ("a strange end", Ok((200, JSON, "{\"active\":true,\"sub\":\"ada\",\"aud\":\"x\",\"exp\":\"soon\"}"))),
        (
            "an end in milliseconds",
            Ok((200, JSON, "{\"active\":true,\"sub\":\"ada\",\"aud\":\"x\",\"exp\":1795435800000}")),
        ),
        ("strange scopes", Ok((200, JSON, "{\"active\":true,\"sub\":\"ada\",\"aud\":\"x\",\"scope\":{}}"))),
        ("of another issuer", Ok((200, JSON, "{\"active\":true,\"sub\":\"ada\",\"iss\":\"https://evil.example\"}"))),
    ];
    for (what, answer) in cases {
        let (world, gateway) = (World::new(), introspecting(json!({})));
        world.answer(ENDPOINT, answer);
        let reply = ask(&world, &gateway, "opaque-token-text");
        assert_eq!(verdict(&world, &reply), (503, "introspection_unavailable".to_owned()), "{what}");
        assert_eq!(reply.field("retry-after"), "1");
        assert!(!world.lines().iter().any(|line| line.to_string().contains("opaque-token-text")), "{what}");
        // And the next one is better.
        world.answer(ENDPOINT, Ok((200, JSON, &active().to_string())));
        assert_eq!(ask(&world, &gateway, "opaque-token-text").status, 200, "{what}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_that_are_not_good_are_refused_for_a_while_without_asking() {
    let mut cases = vec![(json!({ "active": false }), "token_inactive")];
    for (member, value, reason) in [
        ("aud", json!("https://other.example"), "token_audience"),
        ("exp", json!(NOON - 31), "token_expired"),
        ("nbf", json!(NOON + 31), "token_not_yet_valid"),
        ("cnf", json!({ "jkt": "x" }), "token_sender_constrained"),
        ("token_type", json!("refresh_token"), "token_type"),
        ("token_type", json!(7), "token_type"),
        ("token_use", json!("refresh_token"), "token_type"),
        ("token_use", json!("id"), "token_type"),
        ("typ", json!("Refresh"), "token_type"),
        ("typ", json!("ID"), "token_type"),
    ] {
        let mut answer = active();
        answer[member] = value;
        cases.push((answer, reason));
    }
    for missing in ["aud", "sub"] {
        let mut answer = active();
        let members = answer.as_object_mut().expect("an object");
        members.remove(missing);
        members.remove("client_id");
        cases.push((answer, "token_claim_missing"));
    }
    for (answer, reason) in cases {
        let (world, gateway) = (World::new(), introspecting(json!({ "negative_cache_seconds": 10 })));
        world.answer(ENDPOINT, Ok((200, JSON, &answer.to_string())));
        for _ in 0..3 {
            let reply = ask(&world, &gateway, "o");
            assert_eq!(verdict(&world, &reply), (401, reason.to_owned()), "{answer}");
        }
        assert_eq!(world.asked().len(), 1, "{answer}");
    }
    let (world, gateway) = (World::new(), introspecting(json!({ "negative_cache_seconds": 10 })));
    world.answer(ENDPOINT, Ok((200, JSON, "{\"active\":false}")));
    assert_eq!(ask(&world, &gateway, "o").status, 401);
    world.answer(ENDPOINT, Ok((200, JSON, &active().to_string())));
    world.pass(10);
    assert_eq!(ask(&world, &gateway, "o").status, 200, "and no longer");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_without_an_audience_is_taken_where_configuration_says_so() {
    let mut answer = active();
    answer.as_object_mut().expect("an object").remove("aud");
    let (world, gateway) = (World::new(), introspecting(json!({ "allow_missing_audience": true })));
    world.answer(ENDPOINT, Ok((200, JSON, &answer.to_string())));
    assert_eq!(ask(&world, &gateway, "o").status, 200);
    assert!(gateway.warnings().iter().any(|warning| warning.contains("aud")));
}

#[wasm_bindgen_test(unsupported = test)]
fn jwts_are_asked_about_where_configuration_says_so() {
    let (world, gateway) = (World::new(), introspecting(json!({ "tokens": "all" })));
    world.answer(ENDPOINT, Ok((200, JSON, "{\"active\":false}")));
    let reply = ask(&world, &gateway, &token(&Claims::good()));
    assert_eq!(verdict(&world, &reply), (401, "token_inactive".to_owned()));
    let (world, gateway) = (World::new(), introspecting(json!({ "tokens": "opaque" })));
    assert_eq!(ask(&world, &gateway, &token(&Claims::good())).status, 200);
    assert!(world.asked().is_empty());
    let reply = ask(&world, &gateway, &token(&Claims::good().with("iss", json!("https://evil.example"))));
    assert_eq!(verdict(&world, &reply), (401, "token_issuer".to_owned()));
    assert!(world.asked().is_empty(), "a JWT of somebody else is nobody's opaque token");
}

fn signed_answer(claims: &Value, typ: &str) -> String {
    let header = json!({ "alg": "EdDSA", "typ": typ, "kid": "ed25519" });
    token_with_header(&header.to_string(), &claims.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa)
}

#[wasm_bindgen_test(unsupported = test)]
fn signed_answers_are_verified_and_no_others_taken() {
    const SIGNED: &str = "application/token-introspection+jwt";
    const TYPE: &str = "token-introspection+jwt";
    let claims = json!({ "iss": ISSUER, "aud": "gate:1", "iat": NOON, "token_introspection": active() });
    let change = |member: &str, value: Value| {
        let mut claims = claims.clone();
        claims[member] = value;
        signed_answer(&claims, TYPE)
    };
    let good = signed_answer(&claims, TYPE);
    let world = World::new();
    let gateway = introspecting(json!({ "signed_response": true }));
    world.answer(ENDPOINT, Ok((200, SIGNED, &good)));
    assert_eq!(ask(&world, &gateway, "o").status, 200);
    assert_eq!(world.asked()[0].field("accept"), SIGNED);
    let inactive = change("token_introspection", json!({ "active": false }));
    world.answer(ENDPOINT, Ok((200, SIGNED, &inactive)));
    assert_eq!(ask(&world, &gateway, "p").status, 401);
    let wrong = [
        (SIGNED, change("aud", json!("another client"))),
        (SIGNED, change("iss", json!("https://evil.example"))),
        (SIGNED, change("token_introspection", json!("x"))),
        (SIGNED, signed_answer(&claims, "at+jwt")),
        (SIGNED, format!("{}AAAAAAAA", &good[..good.len() - 8])),
        (SIGNED, "x".to_owned()),
        (JSON, active().to_string()),
        (JSON, good.clone()),
    ];
    for (content_type, answer) in wrong {
        let (world, gateway) = (World::new(), introspecting(json!({ "signed_response": true })));
        world.answer(ENDPOINT, Ok((200, content_type, &answer)));
        let reply = ask(&world, &gateway, "o");
        assert_eq!(verdict(&world, &reply), (503, "introspection_unavailable".to_owned()), "{answer}");
    }
}

fn custom(verifier: Value) -> Rc<Gateway> {
    let document = one_resource(json!({ "verifiers": ["own"] }), json!({ "verifiers": [verifier] }));
    open(document).expect("right")
}

#[wasm_bindgen_test(unsupported = test)]
fn a_verifier_behind_a_service_binding() {
    let gateway = custom(json!({ "name": "own", "service": "VERIFIER", "cache_seconds": 30, "timeout_seconds": 2 }));
    let world = World::new();
    let answer = json!({ "active": true, "sub": "robot-7", "scope": "mcp:tools", "label": "seven" });
    world.answer("VERIFIER", Ok((200, JSON, &answer.to_string())));
    for _ in 0..2 {
        assert_eq!(ask(&world, &gateway, "anything").status, 200);
    }
    let asked = world.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].service.as_deref(), asked[0].seconds), (Some("VERIFIER"), 2));
    let body: Value = serde_json::from_str(&asked[0].body).expect("JSON");
    assert_eq!(body, json!({ "version": 1, "token": "anything", "resource": RESOURCE }));
    let line = world.last_request();
    assert_eq!(
        (&line["credential"], &line["issuer"], &line["label"]),
        (&json!("custom"), &json!("own"), &json!("seven"))
    );
    assert_eq!(world.sent()[0].fields.get("x-portcullis-issuer"), Some(PUBLIC));

    world.answer("VERIFIER", Ok((200, JSON, "{\"active\":false}")));
    assert_eq!(ask(&world, &gateway, "other").status, 401);
    for answer in [Err("slow"), Ok((200, JSON, "nonsense")), Ok((418, JSON, "{\"active\":true}"))] {
        world.answer("VERIFIER", answer);
        let reply = ask(&world, &gateway, "third");
        assert_eq!(verdict(&world, &reply), (503, "verifier_unavailable".to_owned()));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_verifier_is_asked_for_each_resource() {
    let mut document = one_resource(
        json!({ "verifiers": ["own"] }),
        json!({ "verifiers": [{ "name": "own", "service": "V", "cache_seconds": 60 }] }),
    );
    let mut other = document["resources"][0].clone();
    other["path"] = json!("/other");
    document["resources"].as_array_mut().expect("an array").push(other);
    let (world, gateway) = (World::new(), open(document).expect("right"));
    world.answer("V", Ok((200, JSON, "{\"active\":true,\"sub\":\"a\",\"scope\":\"mcp:tools\"}")));
    assert_eq!(ask(&world, &gateway, "x").status, 200);
    world.answer("V", Ok((200, JSON, "{\"active\":false}")));
    assert_eq!(world.call(&gateway, Request::post("/other").bearer("x")).status, 401);
}

struct Password;

impl TokenVerifier for Password {
    fn verify(&self, credential: &Credential, _: &Evidence<'_>) -> Verification {
        if credential.token.expose() != "open-sesame" {
            return Verification::Refused(TokenError::Inactive);
        }
        Verification::Verified(Box::new(VerifiedToken::new(Subject {
            issuer: PUBLIC.to_owned(),
            subject: "ali".to_owned(),
            client: None,
            scopes: portcullis::oauth::scope::ScopeSet::of_text("mcp:tools"),
            kind: CredentialKind::Custom,
            label: None,
            rights: SelectedClaims::default(),
        })))
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_verifier_that_is_compiled_in() {
    let document = || {
        one_resource(
            json!({ "verifiers": ["sesame"] }),
            json!({ "verifiers": [{ "name": "sesame", "compiled": true }] }),
        )
    };
    let secrets = TestSecrets::default();
    let gateway = Gateway::open(document(), &secrets, [1; 32], CompiledVerifiers::default().with("sesame", Password));
    let (world, gateway) = (World::new(), Rc::new(gateway.expect("right")));
    assert_eq!(ask(&world, &gateway, "open-sesame").status, 200);
    assert_eq!(ask(&world, &gateway, "open-barley").status, 401);
    let missing = open(document()).expect_err("nothing of that name is there");
    assert_eq!(missing.lines(), ["verifiers[0].compiled: no verifier \"sesame\" is compiled into this Worker"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn several_verifiers_of_one_resource_never_see_each_others_credentials() {
    let asked = json!({ "endpoint": ENDPOINT, "client_id": "gate", "secret": "S", "token_prefix": "idp_" });
    let document = one_resource(
        json!({ "issuers": ["idp"], "api_keys": ["pk"], "verifiers": ["own"] }),
        json!({
            "issuers": [{ "name": "idp", "issuer": ISSUER, "introspection": asked, "algorithms": ["EdDSA"] }],
            "api_keys": [{ "prefix": "pk", "keys": [record("robot")] }],
            "verifiers": [{ "name": "own", "service": "V" }],
        }),
    );
    let gateway = open_with(document, &TestSecrets(vec![("S", "s".to_owned())])).expect("right");
    let world = World::new();
    world.answer(ENDPOINT, Ok((200, JSON, "{\"active\":false}")));
    world.answer("V", Ok((200, JSON, "{\"active\":false}")));
    let places =
        || world.asked().iter().map(|asked| asked.service.clone().unwrap_or(asked.url.clone())).collect::<Vec<_>>();
    assert_eq!(ask(&world, &gateway, &format!("pk_robot_{SECRET}")).status, 200);
    assert_eq!(ask(&world, &gateway, &format!("pk_robot_{}", SECRET.to_lowercase())).status, 401);
    assert_eq!(ask(&world, &gateway, &token(&Claims::good())).status, 200);
    assert_eq!(ask(&world, &gateway, &token(&Claims::good().with("iss", json!("https://x.example")))).status, 401);
    assert!(places().is_empty());
    assert_eq!(ask(&world, &gateway, "idp_1").status, 401);
    assert_eq!(ask(&world, &gateway, "other").status, 401);
    assert_eq!(places(), [ENDPOINT, "V"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_plainly_for_another_resource_is_shown_to_nobody() {
    let asked = json!({ "endpoint": ENDPOINT, "client_id": "gate", "secret": "S", "token_prefix": "op-" });
    let mut document = one_resource(
        json!({ "verifiers": ["own"] }),
        json!({
            "issuers": [{ "name": "idp", "issuer": ISSUER, "introspection": asked, "algorithms": ["EdDSA"] }],
            "api_keys": [{ "prefix": "pk", "keys": [record("robot")] }],
            "verifiers": [{ "name": "own", "service": "V" }, { "name": "other", "service": "W", "token_prefix": "w-" }],
        }),
    );
    document["resources"].as_array_mut().expect("an array").push(json!({
        "path": "/other", "origin": "https://tools.example/other", "issuers": ["idp"], "api_keys": ["pk"],
        "verifiers": ["other"],
    }));
    let gateway = open_with(document, &TestSecrets(vec![("S", "s".to_owned())])).expect("right");
    let world = World::new();
    world.answer("V", Ok((200, JSON, "{\"active\":true,\"sub\":\"x\",\"scope\":\"mcp:tools\"}")));
    let key = format!("pk_robot_{SECRET}");
    let jwt = token(&Claims::good());
    for (credential, reason) in [
        (key.as_str(), "token_not_for_this_resource"),
        ("op-1", "token_not_for_this_resource"),
        ("w-1", "token_not_for_this_resource"),
        (&jwt, "token_issuer"),
    ] {
        let reply = ask(&world, &gateway, credential);
        assert_eq!(verdict(&world, &reply), (401, reason.to_owned()), "{credential}");
    }
    assert!(world.asked().is_empty());
    assert_eq!(ask(&world, &gateway, "anything else").status, 400);
    assert_eq!(ask(&world, &gateway, "anything-else").status, 200);
    // A JWT of somebody whom configuration does not know is opaque here.
    assert_eq!(ask(&world, &gateway, &token(&Claims::good().with("iss", json!("https://x.example")))).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_assertion_of_cloudflare_access() {
    let team = "https://acme.cloudflareaccess.com";
    let aud = "f00dfacef00dfacef00dfacef00dface";
    let document = one_resource(
        json!({ "issuers": ["access"], "audiences": [aud] }),
        json!({ "issuers": [{
            "name": "access", "issuer": team, "profile": "cloudflare_access", "grant_scopes": ["mcp:tools"],
            "algorithms": ["EdDSA"],
        }] }),
    );
    let (world, gateway) = (World::new(), open(document).expect("right"));
    world.document(
        &format!("{team}/cdn-cgi/access/certs"),
        Ok(&json!({ "keys": [Key::Ed25519.public_jwk()] }).to_string()),
    );
    let sign = |claims: &Claims| {
        let header = json!({ "alg": "EdDSA", "kid": "ed25519" });
        token_with_header(&header.to_string(), &claims.0.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa)
    };
    let claims = || Claims::good().with("iss", json!(team)).with("aud", json!([aud])).without("scope");
    let assertion = |token: &str| Request::post("/mcp").field("cf-access-jwt-assertion", token);
    assert_eq!(world.call(&gateway, assertion(&sign(&claims()))).status, 200);
    assert_eq!(world.last_request()["credential"], "cloudflare_access");
    let service = claims().with("sub", json!("")).with("common_name", json!("bot.access"));
    assert_eq!(world.call(&gateway, assertion(&sign(&service))).status, 200);
    assert_eq!(world.sent()[1].fields.get("x-portcullis-subject"), Some("bot.access"));
    for (request, reason) in [
        (assertion(&sign(&claims().with("aud", json!(["other"])))), "token_audience"),
        (assertion("x"), "token_malformed"),
        (assertion(&token(&Claims::good())), "token_issuer"),
        // It is no access token, and not taken as one.
        (Request::post("/mcp").bearer(&sign(&claims())), "token_issuer"),
        (Request::post("/mcp"), "no_credentials"),
    ] {
        let reply = world.call(&gateway, request);
        assert_eq!(verdict(&world, &reply), (401, reason.to_owned()));
    }
    for place in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"] {
        assert_eq!(world.call(&gateway, Request::get(place)).status, 404, "no client can be sent there (R6)");
    }
    let challenge = world.call(&gateway, Request::post("/mcp")).field("www-authenticate").to_owned();
    assert_eq!(challenge, "Bearer scope=\"mcp:tools\", realm=\"https://gate.example/mcp\"");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_field_that_no_resource_takes_changes_nothing() {
    let (world, gateway) = (World::new(), open(document_with(json!({}))).expect("right"));
    let good = token(&Claims::good());
    for name in ["x-api-key", "cf-access-jwt-assertion", "dpop"] {
        assert_eq!(world.call(&gateway, Request::post("/mcp").bearer(&good).field(name, "x")).status, 200);
        assert_eq!(world.call(&gateway, Request::post("/mcp").field(name, &good)).status, 401);
        assert_eq!(world.last_request()["reason"], "no_credentials");
    }
}
