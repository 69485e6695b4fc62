//! Access tokens: what is accepted, and why each other one is not.

use portcullis::jwks::key::JwsAlgorithm;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::world::NOON;
use crate::support::{
    Claims, ISSUER, Key, RESOURCE, Request, World, document_with, gateway, open, token, token_with_header,
};

/// Status and reason of a request with this token.
fn verdict(token: &str) -> (u16, String) {
    let world = World::new();
    let reply = world.call(&gateway(), Request::post("/mcp").bearer(token));
    let line = world.last_request();
    assert_eq!(line["status"], reply.status);
    (reply.status, line["reason"].as_str().unwrap_or_default().to_owned())
}

fn refused(token: &str, reason: &str) {
    // Logging in again gives the same token again.
    let status = if reason == "token_too_long" { 403 } else { 401 };
    assert_eq!(verdict(token), (status, reason.to_owned()));
}

fn signed(header: &Value, claims: &Claims) -> String {
    token_with_header(&header.to_string(), &claims.0.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa)
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "ed25519" })
}

#[wasm_bindgen_test(unsupported = test)]
fn every_algorithm_is_verified() {
    for key in Key::ALL {
        for &algorithm in key.algorithms() {
            let header = json!({ "alg": algorithm.as_str(), "typ": "at+jwt", "kid": key.name() }).to_string();
            let token = token_with_header(&header, &Claims::good().0.to_string(), key, algorithm);
            assert_eq!(verdict(&token), (200, "forwarded".to_owned()), "{algorithm:?}");
            let flipped = format!("{}{}", &token[..token.len() - 6], "AAAAAA");
            assert_eq!(verdict(&flipped).0, 401, "{algorithm:?}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn every_changed_bit_of_a_token_is_noticed() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let token = token(&Claims::good());
    let parts: Vec<Vec<u8>> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url")).collect();
    for part in 0..3 {
        for bit in (0..parts[part].len() * 8).step_by(5) {
            let mut changed = parts.clone();
            changed[part][bit / 8] ^= 1 << (bit % 8);
            let changed: Vec<String> = changed.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
            assert_eq!(verdict(&changed.join(".")).0, 401, "part {part}, bit {bit}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn malformed_tokens() {
    for token in
        ["x", "a.b", "a.b.c.d", "....", "..", "!.!.!", "e30.e30.", "e30.e30.e30=", "e30.e30.e31", "e30.e3 0.e30"]
    {
        let (status, reason) = verdict(token);
        assert!(matches!(status, 400 | 401), "{token}: {status}");
        assert!(
            matches!(reason.as_str(), "token_malformed" | "token_algorithm" | "malformed_credentials" | "token_issuer"),
            "{token}: {reason}"
        );
    }
    refused(&format!("{}.e30.AAAA", "e".repeat(17_000)), "token_too_long");
}

#[wasm_bindgen_test(unsupported = test)]
fn headers_that_would_choose_how_they_are_verified() {
    for member in ["crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"] {
        let mut header = header();
        header[member] = json!("https://evil.example");
        refused(&signed(&header, &Claims::good()), "token_forbidden_header");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn key_headers_are_ignored_where_the_issuer_says_so() {
    let mut document = crate::support::document();
    document["issuers"][0]["ignore_key_headers"] = json!(true);
    let gateway = open(document).expect("the configuration is right");
    let world = World::new();
    let call = |token: &str| {
        let reply = world.call(&gateway, Request::post("/mcp").bearer(token));
        (reply.status, world.last_request()["reason"].as_str().unwrap_or_default().to_owned())
    };
    // The members point to keys of an attacker, in every form that they can have.
    let mut foreign = Key::OtherRsa.public_jwk();
    foreign["kid"] = json!("ed25519");
    for (member, value) in [
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("jwk", foreign.clone()),
        ("jku", json!(7)),
    ] {
        let mut header = header();
        header[member] = value;
        assert_eq!(call(&signed(&header, &Claims::good())).0, 200, "{member}");
        // A token that the attacker's own key signed.
        header["alg"] = json!("RS256");
        let forged =
            token_with_header(&header.to_string(), &Claims::good().0.to_string(), Key::OtherRsa, JwsAlgorithm::Rs256);
        assert_eq!(call(&forged), (401, "token_key_does_not_fit".to_owned()), "{member}");
    }
    assert!(world.fetched().iter().all(|url| !url.contains("evil")), "{:?}", world.fetched());
    for member in ["crit", "b64", "zip"] {
        let mut header = header();
        header[member] = json!("x");
        assert_eq!(call(&signed(&header, &Claims::good())), (401, "token_forbidden_header".to_owned()), "{member}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn headers_that_are_not_strict_json() {
    let claims = Claims::good().0.to_string();
    let deep = format!("{{\"alg\":\"EdDSA\",\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let many: String = (0..20).map(|at| format!(",\"m{at}\":1")).collect();
    let cases = [
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"ed25519","alg":"none"}"#.to_owned(),
        r#"["EdDSA"]"#.to_owned(),
        r#"{"alg":"EdDSA","typ":1}"#.to_owned(),
        r#"{"alg":"EdDSA","kid":7}"#.to_owned(),
        r#"{"alg":"EdDSA"} x"#.to_owned(),
        format!("{{\"alg\":\"EdDSA\"{many}}}"),
    ];
    for header in &cases {
        refused(&token_with_header(header, &claims, Key::Ed25519, JwsAlgorithm::EdDsa), "token_header_malformed");
    }
    // Longer than any token; refused before it is parsed.
    refused(&token_with_header(&deep, &claims, Key::Ed25519, JwsAlgorithm::EdDsa), "token_too_long");
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_that_are_not_strict_json() {
    let header = header().to_string();
    let deep = format!("{{\"iss\":{}{}}}", "[".repeat(4_000), "]".repeat(4_000));
    let many: String = (0..200).map(|at| format!(",\"c{at}\":1")).collect();
    let good = Claims::good().0.to_string();
    let twice = good.replacen('{', "{\"sub\":\"eve\",", 1);
    let sign = |claims: &str| token_with_header(&header, claims, Key::Ed25519, JwsAlgorithm::EdDsa);
    refused(&sign(&twice), "token_claims_not_json");
    refused(&sign(&deep), "token_claims_not_json");
    refused(&sign("{"), "token_claims_not_json");
    refused(&sign("[]"), "token_claim_malformed");
    refused(&sign(&good.replacen('}', &format!("{many}}}"), 1)), "token_claims_too_many");
}

#[wasm_bindgen_test(unsupported = test)]
fn algorithms_that_are_not_allowed() {
    for alg in ["none", "None", "HS256", "HS512", "ES256K", "RS1", "eddsa", "rs256", ""] {
        let mut header = header();
        header["alg"] = json!(alg);
        refused(&signed(&header, &Claims::good()), "token_algorithm");
    }
    let mut header = header();
    header.as_object_mut().expect("an object").remove("alg");
    refused(&signed(&header, &Claims::good()), "token_algorithm");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_algorithm_of_another_issuer_does_not_help() {
    let gateway =
        open(document_with(json!({ "issuers": [{ "name": "idp", "issuer": ISSUER, "algorithms": ["RS256"] }] })))
            .expect("the document is right");
    let world = World::new();
    let reply = world.call(&gateway, Request::post("/mcp").bearer(&token(&Claims::good())));
    assert_eq!((reply.status, world.last_request()["reason"].as_str()), (401, Some("token_algorithm")));
    assert!(world.fetched().is_empty(), "no key was touched");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_serves_the_algorithms_of_its_kind_alone() {
    // Every pair of a key and an algorithm of another kind of key.
    for named in Key::ALL {
        for signer in Key::ALL.into_iter().filter(|signer| *signer != named) {
            for &algorithm in signer.algorithms() {
                let header = json!({ "alg": algorithm.as_str(), "typ": "at+jwt", "kid": named.name() }).to_string();
                let token = token_with_header(&header, &Claims::good().0.to_string(), signer, algorithm);
                refused(&token, "token_key_does_not_fit");
            }
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_signature_of_another_key() {
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": "rsa" }).to_string();
    let token = token_with_header(&header, &Claims::good().0.to_string(), Key::OtherRsa, JwsAlgorithm::Rs256);
    refused(&token, "token_signature");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_without_kid_needs_exactly_one_key_that_fits() {
    let mut header = header();
    header.as_object_mut().expect("an object").remove("kid");
    assert_eq!(verdict(&signed(&header, &Claims::good())).0, 200, "there is one Ed25519 key");
    let world = World::new();
    let mut second = Key::OtherRsa.public_jwk();
    second["kid"] = json!("second");
    world.publish(&json!({ "keys": [Key::Rsa.public_jwk(), second] }).to_string(), None);
    let header = json!({ "alg": "RS256", "typ": "at+jwt" }).to_string();
    let token = token_with_header(&header, &Claims::good().0.to_string(), Key::Rsa, JwsAlgorithm::Rs256);
    world.call(&gateway(), Request::post("/mcp").bearer(&token));
    assert_eq!(world.last_request()["reason"], "token_key_ambiguous");
}

#[wasm_bindgen_test(unsupported = test)]
fn types_that_are_no_access_token() {
    for typ in [json!("JWT"), json!("dpop+jwt"), json!("logout+jwt"), json!("")] {
        let mut header = header();
        header["typ"] = typ;
        refused(&signed(&header, &Claims::good()), "token_type");
    }
    let mut absent = header();
    absent.as_object_mut().expect("an object").remove("typ");
    refused(&signed(&absent, &Claims::good()), "token_type");
    for typ in ["AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        let mut header = header();
        header["typ"] = json!(typ);
        assert_eq!(verdict(&signed(&header, &Claims::good())).0, 200, "{typ}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn configured_types_are_accepted_and_id_tokens_still_are_not() {
    let gateway = open(document_with(
        json!({ "issuers": [{ "name": "idp", "issuer": ISSUER, "token_types": ["JWT", "absent"] }] }),
    ))
    .expect("the document is right");
    let check = |header: Value, claims: Claims| {
        let world = World::new();
        world.call(&gateway, Request::post("/mcp").bearer(&signed(&header, &claims)));
        world.last_request()["reason"].as_str().unwrap_or_default().to_owned()
    };
    let jwt = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "ed25519" });
    let absent = json!({ "alg": "EdDSA", "kid": "ed25519" });
    assert_eq!(check(jwt.clone(), Claims::good()), "forwarded");
    assert_eq!(check(absent, Claims::good()), "forwarded");
    assert_eq!(check(header(), Claims::good()), "token_type", "at+jwt is not on that list");
    for claim in ["nonce", "at_hash", "c_hash", "s_hash"] {
        assert_eq!(check(jwt.clone(), Claims::good().with(claim, json!("x"))), "token_is_id_token");
    }
    assert_eq!(check(jwt.clone(), Claims::good().with("token_use", json!("id"))), "token_is_id_token");
    assert_eq!(check(jwt, Claims::good().with("typ", json!("ID"))), "token_is_id_token");
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_bound_to_a_key_are_no_bearer_tokens() {
    for cnf in [json!({ "jkt": "x" }), json!({ "x5t#S256": "x" }), json!({}), json!(null)] {
        refused(&token(&Claims::good().with("cnf", cnf)), "token_sender_constrained");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_that_do_not_hold() {
    let cases: Vec<(Claims, &str)> = vec![
        (Claims::good().with("exp", json!(NOON - 31)), "token_expired"),
        (Claims::good().without("exp"), "token_claim_missing"),
        (Claims::good().with("nbf", json!(NOON + 31)), "token_not_yet_valid"),
        (Claims::good().with("iat", json!(NOON + 31)), "token_issued_in_future"),
        (Claims::good().with("iss", json!("https://login.example/")), "token_issuer"),
        (Claims::good().with("iss", json!("https://LOGIN.example")), "token_issuer"),
        (Claims::good().with("iss", json!(["https://login.example"])), "token_issuer"),
        (Claims::good().without("iss"), "token_issuer"),
        (Claims::good().without("sub"), "token_claim_missing"),
        (Claims::good().with("sub", json!("")), "token_claim_missing"),
        (Claims::good().with("sub", json!(7)), "token_claim_malformed"),
        (Claims::good().without("aud"), "token_claim_missing"),
        (Claims::good().with("aud", json!("https://gate.example/mcp/")), "token_audience"),
        (Claims::good().with("aud", json!("https://gate.example")), "token_audience"),
        (Claims::good().with("aud", json!([])), "token_audience"),
        (Claims::good().with("aud", json!(["a", "b"])), "token_audience"),
        (Claims::good().with("aud", json!({})), "token_claim_malformed"),
        (Claims::good().with("aud", json!([7])), "token_claim_malformed"),
        (Claims::good().with("scope", json!(7)), "token_claim_malformed"),
    ];
    for (claims, reason) in cases {
        refused(&token(&claims), reason);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn dates_that_are_none() {
    for claim in ["exp", "nbf", "iat"] {
        for value in [
            json!("1795435200"),
            json!(-1),
            json!(1e300),
            json!(-8e12),
            json!(253_402_300_800_i64),
            json!(null),
            json!([]),
        ] {
            refused(&token(&Claims::good().with(claim, value)), "token_claim_malformed");
        }
    }
    assert_eq!(verdict(&token(&Claims::good().with("exp", json!(NOON as f64 + 0.5)))).0, 200, "fractions are numbers");
}

#[wasm_bindgen_test(unsupported = test)]
fn leeway_to_the_second() {
    let at = |seconds: u64, claims: Claims| {
        let world = World::new();
        world.pass(seconds);
        world.call(&gateway(), Request::post("/mcp").bearer(&token(&claims))).status
    };
    let expires = || Claims::good().with("exp", json!(NOON + 100));
    assert_eq!(at(100, expires()), 200);
    assert_eq!(at(129, expires()), 200);
    assert_eq!(at(130, expires()), 401, "on exp itself it is over (RFC 7519 §4.1.4)");
    let begins = || Claims::good().with("nbf", json!(NOON + 100)).with("exp", json!(NOON + 900));
    assert_eq!(at(69, begins()), 401);
    assert_eq!(at(70, begins()), 200);
    let issued = || Claims::good().with("iat", json!(NOON + 100)).with("exp", json!(NOON + 900));
    assert_eq!(at(69, issued()), 401);
    assert_eq!(at(70, issued()), 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn scopes_and_clients_as_providers_write_them() {
    let seen = |claims: Claims| {
        let world = World::new();
        let reply = world.call(&gateway(), Request::post("/mcp").bearer(&token(&claims)));
        let sent = world.sent().pop();
        let field = |name: &str| sent.as_ref().and_then(|sent| sent.fields.get(name)).unwrap_or_default().to_owned();
        (reply.status, field("x-portcullis-scopes"), field("x-portcullis-client"))
    };
    let good = |claims: Claims| seen(claims.without("client_id").with("azp", json!("c")));
    assert_eq!(good(Claims::good().with("scope", json!("b mcp:tools a"))), (200, "a b mcp:tools".into(), "c".into()));
    assert_eq!(good(Claims::good().with("scope", json!(["a", "mcp:tools"]))), (200, "a mcp:tools".into(), "c".into()));
    let scp = || Claims::good().without("scope");
    assert_eq!(good(scp().with("scp", json!("mcp:tools x"))), (200, "mcp:tools x".into(), "c".into()));
    assert_eq!(good(scp().with("scp", json!(["mcp:tools", "x"]))), (200, "mcp:tools x".into(), "c".into()));
    assert_eq!(good(scp()).0, 403);
    // Where both are there, `scope` is the one that RFC 9068 defines.
    assert_eq!(good(Claims::good().with("scope", json!("other")).with("scp", json!("mcp:tools"))).0, 403);
}

#[wasm_bindgen_test(unsupported = test)]
fn audiences_of_configuration_replace_the_resource() {
    let resource = json!({ "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"], "audiences": ["api://one", "two"] });
    let gateway = open(document_with(json!({ "resources": [resource] }))).expect("the document is right");
    let status = |aud: Value| {
        let world = World::new();
        world.call(&gateway, Request::post("/mcp").bearer(&token(&Claims::good().with("aud", aud)))).status
    };
    assert_eq!(status(json!("api://one")), 200);
    assert_eq!(status(json!(["x", "two"])), 200);
    assert_eq!(status(json!(RESOURCE)), 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_for_one_resource_does_not_open_another() {
    let world = World::new();
    let claims = Claims::good().with("scope", json!("everything"));
    let reply = world.call(&gateway(), Request::post("/mcp/admin").bearer(&token(&claims)));
    assert_eq!((reply.status, world.last_request()["reason"].as_str()), (401, Some("token_audience")));
}

#[wasm_bindgen_test(unsupported = test)]
fn fractions_of_seconds_never_widen_the_time_of_a_token() {
    let status = |name: &str, value: f64| {
        let request = Request::post("/mcp").bearer(&token(&Claims::good().with(name, json!(value))));
        World::new().call(&gateway(), request).status
    };
    let now = NOON as f64;
    // The leeway is 30 seconds.
    assert_eq!([status("nbf", now + 30.0), status("nbf", now + 29.5)], [200, 200]);
    assert_eq!([status("nbf", now + 30.1), status("nbf", now + 30.9)], [401, 401]);
    assert_eq!([status("iat", now + 30.0), status("iat", now + 30.1)], [200, 401]);
    assert_eq!([status("exp", now - 28.5), status("exp", now - 29.5), status("exp", now - 30.0)], [200, 401, 401]);
}
