//! Credentials besides JWTs, and which verifier each is for.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use portcullis::gateway::Gateway;
use portcullis::jwks::key::JwsAlgorithm;
use serde_json::{Value, json};
use sha2::Sha256;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{
    Claims, ISSUER, Key, PUBLIC, Reply, Request, TestSecrets, World, document_with, open, open_with, token,
    token_with_header,
};

pub const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
pub const ENDPOINT: &str = "https://login.example/introspect";
pub const JSON: &str = "application/json";

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
pub fn one_resource(resource: Value, tables: Value) -> Value {
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

pub fn ask(world: &World, gateway: &Rc<Gateway>, token: &str) -> Reply {
    world.call(gateway, Request::post("/mcp").bearer(token))
}

pub fn api_keys() -> Value {
    one_resource(
        json!({ "api_keys": ["pk"] }),
        json!({ "api_keys": [{ "prefix": "pk", "kv": "KEYS", "cache_seconds": 60, "keys": [record("robot")] }] }),
    )
}

pub fn verdict(world: &World, reply: &Reply) -> (u16, String) {
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
