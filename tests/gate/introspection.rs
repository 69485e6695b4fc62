//! Token introspection (RFC 7662, RFC 9701).

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis::gateway::Gateway;
use portcullis::jwks::key::JwsAlgorithm;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::credentials::{ENDPOINT, JSON, ask, one_resource, verdict};
use crate::support::world::NOON;
use crate::support::{Claims, ISSUER, Key, RESOURCE, TestSecrets, World, open_with, token, token_with_header};

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
    answer["aud"] = json!([]);
    world.answer(ENDPOINT, Ok((200, JSON, &answer.to_string())));
    assert_eq!(ask(&world, &gateway, "empty").status, 200, "an empty list states no audience");
    answer["aud"] = json!(["https://other.example"]);
    world.answer(ENDPOINT, Ok((200, JSON, &answer.to_string())));
    assert_eq!(ask(&world, &gateway, "other").status, 401, "another audience");
    let (strict, by_default) = (World::new(), introspecting(json!({})));
    answer["aud"] = json!([]);
    strict.answer(ENDPOINT, Ok((200, JSON, &answer.to_string())));
    assert_eq!(ask(&strict, &by_default, "empty").status, 401);
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

#[wasm_bindgen_test(unsupported = test)]
fn the_subject_is_the_member_that_configuration_names() {
    let mut answer = active();
    answer["username"] = json!("ada@acme.example");
    let subject = |changes: Value, answer: &Value| {
        let (world, gateway) = (World::new(), introspecting(changes));
        world.answer(ENDPOINT, Ok((200, JSON, &answer.to_string())));
        let status = ask(&world, &gateway, "opaque-1").status;
        let sent = world.sent().pop().and_then(|sent| sent.fields.get("x-portcullis-subject").map(str::to_owned));
        (status, sent)
    };
    assert_eq!(subject(json!({}), &answer), (200, Some("ada".to_owned())));
    let by_name = json!({ "subject_claim": "username" });
    assert_eq!(subject(by_name.clone(), &answer), (200, Some("ada@acme.example".to_owned())));
    // Without the member the user is unknown, and must not become the client or another user.
    for missing in [Value::Null, json!(""), json!(7), json!(["ada"])] {
        let mut answer = answer.clone();
        answer["username"] = missing.clone();
        assert_eq!(subject(by_name.clone(), &answer), (401, None), "{missing}");
    }
    // By default, an answer without `sub` is about the client.
    answer["sub"] = Value::Null;
    assert_eq!(subject(json!({}), &answer), (200, Some("c1".to_owned())));
}
