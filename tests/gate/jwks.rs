//! Keys of issuers: where they come from, how long they serve, and what happens when they do not.

use std::rc::Rc;

use portcullis::gateway::{Action, ActiveRequest, Gateway, Inquiry};
use portcullis::jwks::freshness::lifetime;
use portcullis::jwks::key::{JwsAlgorithm, KeyError, VerificationKey};
use portcullis::jwks::key_set::{KeySet, NoKey};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{
    Claims, ISSUER, Key, Reply, Request, World, document_with, gateway, open, token, token_with_header,
};

fn call(world: &World, gateway: &Rc<Gateway>) -> Reply {
    world.call(gateway, Request::post("/mcp").bearer(&token(&Claims::good().with("exp", json!(9_999_999_999_i64)))))
}

fn call_with_kid(world: &World, gateway: &Rc<Gateway>, kid: &str) -> Reply {
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": kid }).to_string();
    let claims = Claims::good().with("exp", json!(9_999_999_999_i64)).0.to_string();
    world.call(
        gateway,
        Request::post("/mcp").bearer(&token_with_header(&header, &claims, Key::Ed25519, JwsAlgorithm::EdDsa)),
    )
}

fn reason(world: &World) -> Value {
    world.last_request()["reason"].clone()
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_are_found_by_rfc_8414_and_kept() {
    let (world, gateway) = (World::new(), gateway());
    assert_eq!(call(&world, &gateway).status, 200);
    assert_eq!(world.fetched(), [format!("{ISSUER}/.well-known/oauth-authorization-server"), format!("{ISSUER}/jwks")]);
    assert_eq!(call(&world, &gateway).status, 200);
    assert_eq!(world.fetched().len(), 2, "a second request fetches nothing");
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_are_found_by_openid_discovery_below_a_path() {
    let issuer = "https://login.example/tenant/";
    let gateway = open(document_with(json!({ "issuers": [{ "name": "idp", "issuer": issuer }] }))).expect("right");
    let world = World::new();
    let metadata = json!({ "issuer": issuer, "jwks_uri": format!("{ISSUER}/jwks") }).to_string();
    world.document("https://login.example/tenant/.well-known/openid-configuration", Ok(&metadata));
    let reply = world.call(&gateway, Request::post("/mcp").bearer(&token(&Claims::good().with("iss", json!(issuer)))));
    assert_eq!(reply.status, 200);
    assert_eq!(world.fetched()[0], "https://login.example/.well-known/oauth-authorization-server/tenant");
}

#[wasm_bindgen_test(unsupported = test)]
fn metadata_that_must_not_be_believed() {
    let documents = [
        json!({ "issuer": "https://evil.example", "jwks_uri": format!("{ISSUER}/jwks") }).to_string(),
        json!({ "issuer": format!("{ISSUER}/"), "jwks_uri": format!("{ISSUER}/jwks") }).to_string(),
        json!({ "issuer": ISSUER, "jwks_uri": "http://login.example/jwks" }).to_string(),
        json!({ "issuer": ISSUER, "jwks_uri": "ftp://login.example/jwks" }).to_string(),
        json!({ "issuer": ISSUER }).to_string(),
        format!("{{\"issuer\":\"{ISSUER}\",\"issuer\":\"{ISSUER}\",\"jwks_uri\":\"{ISSUER}/jwks\"}}"),
        "<html>login</html>".to_owned(),
    ];
    for document in documents {
        let (world, gateway) = (World::new(), gateway());
        world.document(&format!("{ISSUER}/.well-known/oauth-authorization-server"), Ok(&document));
        let reply = call(&world, &gateway);
        assert_eq!((reply.status, reason(&world)), (503, json!("issuer_unavailable")), "{document}");
        assert_eq!(reply.field("retry-after"), "10");
        let places = ["oauth-authorization-server", "openid-configuration"];
        assert_eq!(world.fetched(), places.map(|place| format!("{ISSUER}/.well-known/{place}")), "no key is fetched");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn key_sets_that_hold_no_usable_key() {
    let sets = [
        "<html>".to_owned(),
        "{}".to_owned(),
        r#"{"keys":{}}"#.to_owned(),
        r#"{"keys":[]}"#.to_owned(),
        json!({ "keys": [Key::WeakRsa.public_jwk()] }).to_string(),
        json!({ "keys": [Key::Ed25519.private_jwk()] }).to_string(),
        json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] }).to_string(),
        format!("{{\"keys\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)),
    ];
    for set in sets {
        let (world, gateway) = (World::new(), gateway());
        world.publish(&set, None);
        assert_eq!(call(&world, &gateway).status, 503, "{set:.80}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_weak_key_does_not_take_the_strong_ones_with_it() {
    let (world, gateway) = (World::new(), gateway());
    world.publish(&json!({ "keys": [Key::WeakRsa.public_jwk(), Key::Ed25519.public_jwk()] }).to_string(), None);
    assert_eq!(call(&world, &gateway).status, 200);
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": "weak_rsa" }).to_string();
    let token = token_with_header(&header, &Claims::good().0.to_string(), Key::OtherRsa, JwsAlgorithm::Rs256);
    world.call(&gateway, Request::post("/mcp").bearer(&token));
    assert_eq!(reason(&world), "token_key_unusable");
    let lines = world.lines();
    let fetched = lines.iter().find(|line| line["reason"] == "keys_fetched").expect("a line");
    let detail = fetched["detail"].as_str().expect("text");
    assert!(detail.starts_with("issuer \"idp\": 1 keys, 1 skipped (is an RSA key below 2048"), "{detail}");
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_meant_for_something_else_are_not_used() {
    let spoil: [(&str, Value); 5] = [
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
        ("alg", json!("ES256")),
        ("alg", json!("HS256")),
        ("x", json!("AAAA")),
    ];
    for (member, value) in spoil {
        let (world, gateway) = (World::new(), gateway());
        let mut key = Key::Ed25519.public_jwk();
        key[member] = value.clone();
        world.publish(&json!({ "keys": [key, Key::Rsa.public_jwk()] }).to_string(), None);
        assert_eq!(call(&world, &gateway).status, 401, "{member} {value}");
        assert_eq!(reason(&world), "token_key_unusable", "{member} {value}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_serve_on_while_the_provider_is_down_and_then_fail_closed() {
    let (world, gateway) = (World::new(), gateway());
    assert_eq!(call(&world, &gateway).status, 200);
    world.provider_down();
    world.pass(15 * 60);
    let before = world.fetched().len();
    assert_eq!(call(&world, &gateway).status, 200, "stale keys serve");
    assert_eq!(world.fetched().len(), before, "and nobody waits for the provider");
    world.run_background();
    assert_eq!(world.fetched().len(), before + 1, "one refresh goes out");
    assert_eq!(call(&world, &gateway).status, 200);
    world.run_background();
    assert_eq!(world.fetched().len(), before + 1, "and none right after it failed");
    world.pass(10);
    call(&world, &gateway);
    world.run_background();
    // The first failure forgot where the metadata said that the keys are, so this looks at both places again.
    assert_eq!(world.fetched().len(), before + 3, "the next goes out when its time has come");
    world.pass(60 * 60 - 11);
    assert_eq!(call(&world, &gateway).status, 200, "a second before the bound");
    world.run_background();
    world.pass(11);
    let reply = call(&world, &gateway);
    assert_eq!((reply.status, reason(&world)), (503, json!("issuer_unavailable")), "at the bound");
    assert_eq!(reply.field("www-authenticate"), "", "a 401 would make clients log in again");
    world.publish(&json!({ "keys": [Key::Ed25519.public_jwk()] }).to_string(), None);
    world.pass(10);
    assert_eq!(call(&world, &gateway).status, 200, "and it recovers by itself");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_provider_that_is_down_at_start_is_asked_again_after_a_pause() {
    let (world, gateway) = (World::new(), gateway());
    world.provider_down();
    assert_eq!(call(&world, &gateway).status, 503);
    let asked = world.fetched().len();
    world.pass(3);
    let reply = call(&world, &gateway);
    assert_eq!((reply.status, reply.field("retry-after")), (503, "7"));
    assert_eq!(world.fetched().len(), asked, "within the pause nobody asks");
    world.publish(&json!({ "keys": [Key::Ed25519.public_jwk()] }).to_string(), None);
    world.pass(7);
    assert_eq!(call(&world, &gateway).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn lifetimes_have_a_floor_and_a_ceiling() {
    for (cache_control, fresh) in [
        (Some("no-store"), 60),
        (Some("max-age=5"), 60),
        (Some("max-age=600"), 600),
        (None, 900),
        (Some("max-age=99999999"), 86_400),
    ] {
        let (world, gateway) = (World::new(), gateway());
        world.publish(&json!({ "keys": [Key::Ed25519.public_jwk()] }).to_string(), cache_control);
        call(&world, &gateway);
        let asked = world.fetched().len();
        world.pass(fresh - 1);
        call(&world, &gateway);
        world.run_background();
        assert_eq!(world.fetched().len(), asked, "{cache_control:?}: fresh at {} s", fresh - 1);
        world.pass(1);
        call(&world, &gateway);
        world.run_background();
        assert_eq!(world.fetched().len(), asked + 1, "{cache_control:?}: refreshed at {fresh} s");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn lifetimes_as_caches_write_them() {
    assert_eq!(lifetime(Some("public, max-age=300, stale-if-error=60"), None), Some(300));
    assert_eq!(lifetime(Some("Max-Age=\"300\""), Some("100")), Some(200));
    assert_eq!(lifetime(Some("max-age=10"), Some("100")), Some(0));
    assert_eq!(lifetime(Some("max-age=600, no-cache"), None), Some(0));
    assert_eq!(lifetime(Some("max-age=nonsense"), None), None);
    assert_eq!(lifetime(None, Some("5")), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_rotated_key_is_fetched_at_once_even_where_keys_were_fetched_just_now() {
    let (world, gateway) = (World::new(), gateway());
    call(&world, &gateway);
    let mut rotated = Key::Ed25519.public_jwk();
    rotated["kid"] = json!("new");
    world.publish(&json!({ "keys": [rotated] }).to_string(), None);
    assert_eq!(call_with_kid(&world, &gateway, "new").status, 200);
    assert_eq!(call(&world, &gateway).status, 503, "for a key that left the set the provider may be asked in a while");
    world.pass(30);
    assert_eq!(call(&world, &gateway).status, 401, "and then it is dead");
}

#[wasm_bindgen_test(unsupported = test)]
fn ten_thousand_unknown_kids_in_a_minute_cost_three_fetches() {
    let (world, gateway) = (World::new(), gateway());
    call(&world, &gateway);
    let asked = world.fetched().len();
    for at in 0..10_000 {
        if at % 1_000 == 999 {
            world.pass(6);
        }
        let status = call_with_kid(&world, &gateway, &format!("unknown-{at}")).status;
        assert!(matches!(status, 401 | 503), "{status}");
    }
    assert_eq!(world.fetched().len(), asked + 3, "one at once, and one each 30 seconds");
    assert_eq!(call(&world, &gateway).status, 200, "whoever has a good token does not notice");
}

#[wasm_bindgen_test(unsupported = test)]
fn unknown_kids_cannot_make_the_gateway_ask_without_end() {
    let (world, gateway) = (World::new(), gateway());
    call(&world, &gateway);
    world.pass(60);
    let asked = world.fetched().len();
    assert_eq!(call_with_kid(&world, &gateway, "unknown-0").status, 401);
    assert_eq!(reason(&world), "token_key_unknown");
    for at in 1..1000 {
        let reply = call_with_kid(&world, &gateway, &format!("unknown-{at}"));
        assert_eq!((reply.status, reply.field("retry-after")), (503, "30"), "nobody has looked for this one");
    }
    assert_eq!(world.fetched().len(), asked + 1, "one fetch for a thousand");
    assert_eq!(call_with_kid(&world, &gateway, "unknown-0").status, 401, "and that one is remembered");
    world.pass(30);
    call_with_kid(&world, &gateway, "unknown-0");
    assert_eq!(world.fetched().len(), asked + 1, "and none for one that is remembered");
    call_with_kid(&world, &gateway, "unknown-1");
    assert_eq!(world.fetched().len(), asked + 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_unknown_kid_is_not_called_wrong_while_nobody_can_say() {
    let (world, gateway) = (World::new(), gateway());
    call(&world, &gateway);
    world.provider_down();
    world.pass(31);
    assert_eq!(call_with_kid(&world, &gateway, "new").status, 503);
    assert_eq!(call_with_kid(&world, &gateway, "newer").status, 503);
    assert_eq!(call(&world, &gateway).status, 200, "known keys serve on");
}

/// Steps the machine by hand: the first caller asks for keys and never comes back for them.
#[wasm_bindgen_test(unsupported = test)]
fn callers_who_leave_while_keys_are_fetched_keep_nobody_out() {
    let (world, gateway) = (World::new(), gateway());
    for _ in 0..3 {
        let request = Request::post("/mcp").bearer(&token(&Claims::good()));
        let action = ActiveRequest::new(&gateway, &world, &request.head).begin(request.head);
        assert!(matches!(action, Action::Inquire(Inquiry::Keys(_), _)));
    }
    assert_eq!(call(&world, &gateway).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn refreshes_that_came_back_do_not_count_as_on_their_way() {
    let (world, gateway) = (World::new(), gateway());
    for _ in 0..20 {
        assert_eq!(call(&world, &gateway).status, 200);
        world.run_background();
        world.pass(15 * 60);
    }
    call(&world, &gateway);
    world.run_background();
    assert_eq!(call_with_kid(&world, &gateway, "unknown").status, 401, "it is looked for at once");
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_that_let_anybody_sign_are_refused() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    for (first, last) in [(0, 0), (1, 0), (1, 0x80), (0xec, 0x7f), (0xed, 0xff)] {
        let mut point = [if first > 1 { 0xff } else { 0 }; 32];
        (point[0], point[31]) = (first, last);
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "small", "x": URL_SAFE_NO_PAD.encode(point) });
        assert!(matches!(VerificationKey::parse(&key), Err(KeyError::Weak)), "{first} {last}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_static_key_is_never_fetched() {
    let jwk = Key::Ed25519.public_jwk().to_string();
    let pem = "-----BEGIN PUBLIC KEY-----\n".to_owned() + &spki_ed25519() + "\n-----END PUBLIC KEY-----\n";
    for key in [jwk, pem] {
        let gateway = open(document_with(
            json!({ "issuers": [{ "name": "idp", "issuer": ISSUER, "public_key": key, "algorithms": ["EdDSA"] }] }),
        ))
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let world = World::new();
        world.pass(100 * 24 * 60 * 60);
        // A PEM has no id, and there is but one key: the token's does not matter. A JWK's does.
        let kid = if key.starts_with('{') { "ed25519" } else { "any" };
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": kid });
        let claims = Claims::good().with("exp", json!(9_999_999_999_i64)).0.to_string();
        let token = token_with_header(&header.to_string(), &claims, Key::Ed25519, JwsAlgorithm::EdDsa);
        assert_eq!(world.call(&gateway, Request::post("/mcp").bearer(&token)).status, 200);
        call_with_kid(&world, &gateway, "another");
        assert!(world.fetched().is_empty());
        let warnings = gateway.warnings().join("\n");
        assert!(warnings.contains("static key"), "{warnings}");
    }
}

/// The SubjectPublicKeyInfo of the Ed25519 test key: a fixed prefix and the 32 bytes (RFC 8410 §4).
fn spki_ed25519() -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let x = Key::Ed25519.public_jwk()["x"].as_str().and_then(|x| URL_SAFE_NO_PAD.decode(x).ok()).expect("x");
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    STANDARD.encode([prefix.as_slice(), &x].concat())
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_listed_twice_is_one_key_for_each_of_its_algorithms() {
    let under = |kid: &str, alg: &str| {
        let mut jwk = Key::Rsa.public_jwk();
        jwk["kid"] = json!(kid);
        jwk["alg"] = json!(alg);
        jwk
    };
    let set = |keys: Value| KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).expect("a key set");
    let twice = set(json!([under("a", "RS256"), under("a", "PS256"), under("a", "RS256")]));
    for algorithm in [JwsAlgorithm::Rs256, JwsAlgorithm::Ps256] {
        assert!(twice.select(Some("a"), algorithm).is_ok(), "{algorithm:?}");
        assert!(twice.select(None, algorithm).is_ok(), "{algorithm:?} without an id");
    }
    assert_eq!(twice.select(Some("a"), JwsAlgorithm::Rs384).err(), Some(NoKey::DoesNotFit));
    let mut other = Key::OtherRsa.public_jwk();
    other["kid"] = json!("a");
    let two = set(json!([under("a", "RS256"), other]));
    assert_eq!(two.select(Some("a"), JwsAlgorithm::Rs256).err(), Some(NoKey::Several), "two keys of one id");
}

#[wasm_bindgen_test(unsupported = test)]
fn metadata_of_another_issuer_leads_to_the_next_location() {
    let issuer = "https://login.example/oauth2/aus1";
    let gateway = open(document_with(json!({ "issuers": [{ "name": "idp", "issuer": issuer }] }))).expect("right");
    let world = World::new();
    // As Okta answers: the organization's metadata below the path of a custom server.
    let first = "https://login.example/.well-known/oauth-authorization-server/oauth2/aus1";
    let other = json!({ "issuer": "https://login.example", "jwks_uri": "https://login.example/other" });
    world.document(first, Ok(&other.to_string()));
    let right = json!({ "issuer": issuer, "jwks_uri": format!("{ISSUER}/jwks") });
    world.document(&format!("{issuer}/.well-known/openid-configuration"), Ok(&right.to_string()));
    let request = || Request::post("/mcp").bearer(&token(&Claims::good().with("iss", json!(issuer))));
    assert_eq!(world.call(&gateway, request()).status, 200);
    assert!(!world.fetched().iter().any(|url| url.ends_with("/other")), "RFC 8414 §3.3: it must not be used");
    // A document that is right but has no keys leads on too.
    let world = World::new();
    world.document(first, Ok(&json!({ "issuer": issuer }).to_string()));
    world.document(&format!("{issuer}/.well-known/openid-configuration"), Ok(&right.to_string()));
    let gateway = open(document_with(json!({ "issuers": [{ "name": "idp", "issuer": issuer }] }))).expect("right");
    assert_eq!(world.call(&gateway, request()).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_set_of_another_media_type_is_taken_and_the_log_says_so() {
    let (world, gateway) = (World::new(), gateway());
    world.content_type(&format!("{ISSUER}/jwks"), Some("text/plain"));
    assert_eq!(call(&world, &gateway).status, 200);
    let line =
        world.lines().into_iter().find(|line| line["reason"] == "provider_content_type").expect("the log says so");
    assert!(line["detail"].as_str().is_some_and(|detail| detail.contains("\"text/plain\"")), "{line}");
    let world = World::new();
    world.document(&format!("{ISSUER}/jwks"), Ok("<html>not found</html>"));
    assert_eq!(call(&world, &crate::support::gateway()).status, 503);
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_that_are_not_read_are_in_the_log() {
    let key = Key::ALL.map(Key::public_jwk);
    let mut keys: Vec<Value> = key.to_vec();
    keys.extend((0..64).map(|at| {
        let mut more = Key::P256.public_jwk();
        more["kid"] = json!(format!("more{at}"));
        more
    }));
    let (world, gateway) = (World::new(), gateway());
    world.publish(&json!({ "keys": keys }).to_string(), None);
    assert_eq!(call(&world, &gateway).status, 200);
    let line = world.lines().into_iter().find(|line| line["reason"] == "keys_fetched").expect("keys were fetched");
    let detail = line["detail"].as_str().unwrap_or_default();
    assert!(detail.ends_with(&format!("{} beyond the first 64 not read", key.len())), "{detail}");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_rsa_key_of_the_faulty_library_is_refused() {
    // Two primes k * M + (65537^a mod M), M the product of the first 126 primes: as Nemec et al. describe them (CVE-2017-15361).
    let n = "yTaZjYIF88a6qf1sikVzmfGZhIAqsx1gFQevsffSc8JHye8TGBitnmWopFRo-jRqfG9gfKASwPgN3rchCfbYAuYKZpojgPyShXC9k3tGKOMT6REK\
             TNJH7nog8tPP6WGB84lUGCH4njO4pqtzdff5kZeQpHnMJK3-fVbxjulLo48AhTvDuaNreCCChQcg6TgHM-jMpGU7zRVVLcNiekD5i4w_TBlcfeDe\
             QNZyXPjf067cy0A8OBA4J_FjOJoUPf0pDNFi4XyCxrnQOuSvZCdwYFhs3bv8PDxIBt6AVSiT_zKcwGLE7LatOZ6y1GgHUc47otlF0-CereKAyDK7\
             zh0Qkw";
    let key = json!({ "kty": "RSA", "n": n, "e": "AQAB" });
    assert_eq!(VerificationKey::parse(&key).err(), Some(KeyError::Roca));
    for key in [Key::Rsa, Key::OtherRsa] {
        assert!(VerificationKey::parse(&key.public_jwk()).is_ok());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn operations_of_a_key_are_named_once() {
    let with = |operations: Value| {
        let mut key = Key::P256.public_jwk();
        key.as_object_mut().expect("an object").remove("use");
        key["key_ops"] = operations;
        VerificationKey::parse(&key).err()
    };
    assert_eq!(with(json!(["verify"])), None);
    assert_eq!(with(json!(["verify", "verify"])), Some(KeyError::Malformed));
    assert_eq!(with(json!(["sign", "verify", "sign"])), Some(KeyError::Malformed));
    assert_eq!(with(json!(["verify", 1])), Some(KeyError::Malformed));
    assert_eq!(with(json!([])), Some(KeyError::NotForSignatures));
}
