//! What an isolate remembers of credentials, and what it must not.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use portcullis::limits::{INACTIVE_ENTRIES, LOOKUPS, VERIFIED_BYTES, VERIFIED_ENTRIES};
use portcullis::oauth::scope::ScopeSet;
use portcullis::time::UnixMillis;
use portcullis::token::cache::TokenCache;
use portcullis::token::error::TokenError;
use portcullis::token::lookups::{CredentialLookups, LookupStart, LookupTarget};
use portcullis::token::principal::{CredentialKind, SelectedClaims, Subject};
use portcullis::token::revocation::list::{RevocationList, Revocations};
use portcullis::token::verified::VerifiedToken;
use portcullis::token::verifier_id::VerifierId;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::world::NOON;
use crate::support::{Claims, Key, Request, World, document_with, gateway, open, token};

fn call(world: &World, gateway: &Rc<Gateway>, token: &str) -> (u16, String, Value) {
    let reply = world.call(gateway, Request::post("/mcp").bearer(token));
    let line = world.last_request();
    (reply.status, line["reason"].as_str().unwrap_or_default().to_owned(), line["token_cache"].clone())
}

fn subject(name: &str) -> Subject {
    Subject {
        issuer: "https://login.example".to_owned(),
        subject: name.to_owned(),
        client: Some("client".to_owned()),
        scopes: ScopeSet::of_text("mcp:tools"),
        kind: CredentialKind::Jwt,
        label: None,
        rights: SelectedClaims::default(),
    }
}

const ASKED: LookupTarget = LookupTarget::Verifier(VerifierId::Custom(0));

fn digest(at: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&at.to_be_bytes());
    digest
}

#[wasm_bindgen_test(unsupported = test)]
fn a_repeat_caller_is_known_and_judged_anew() {
    let (world, gateway) = (World::new(), gateway());
    let good = token(&Claims::good());
    assert_eq!(call(&world, &gateway, &good), (200, "forwarded".to_owned(), json!("miss")));
    assert_eq!(call(&world, &gateway, &good), (200, "forwarded".to_owned(), json!("hit")));
    // The same token is not enough elsewhere: audience and scopes are those of each resource.
    let reply = world.call(&gateway, Request::post("/mcp/admin").bearer(&good));
    assert_eq!((reply.status, world.last_request()["reason"].clone()), (401, json!("token_audience")));
    assert_eq!(world.last_request()["token_cache"], "hit");
    world.pass(600 + 29);
    assert_eq!(call(&world, &gateway, &good).0, 200, "29 seconds of skew");
    world.pass(2);
    assert_eq!(call(&world, &gateway, &good).1, "token_expired", "31 are too many");
    assert_eq!(world.checks().len(), 1, "its signature was checked once");
    let (counts, _) = gateway.token_cache();
    assert_eq!((counts.hits, counts.misses), (4, 1));
}

#[wasm_bindgen_test(unsupported = test)]
fn skew_of_29_seconds_is_allowed_and_of_31_is_not() {
    for (claim, at, reason) in [
        ("exp", NOON - 29, "forwarded"),
        ("exp", NOON - 30, "token_expired"),
        ("exp", NOON - 31, "token_expired"),
        ("nbf", NOON + 30, "forwarded"),
        ("iat", NOON + 30, "forwarded"),
        ("nbf", NOON + 29, "forwarded"),
        ("nbf", NOON + 31, "token_not_yet_valid"),
        ("iat", NOON + 29, "forwarded"),
        ("iat", NOON + 31, "token_issued_in_future"),
    ] {
        let token = token(&Claims::good().with(claim, json!(at)));
        assert_eq!(call(&World::new(), &gateway(), &token).1, reason, "{claim} {at}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_was_verified_with_a_key_dies_with_it() {
    let (world, gateway) = (World::new(), gateway());
    world.publish(&json!({ "keys": Key::ALL.map(Key::public_jwk) }).to_string(), Some("max-age=60"));
    let good = token(&Claims::good().with("exp", json!(NOON + 100_000)));
    assert_eq!(call(&world, &gateway, &good).0, 200);
    world.publish(&json!({ "keys": [Key::Rsa.public_jwk()] }).to_string(), Some("max-age=60"));
    world.pass(61);
    assert_eq!(call(&world, &gateway, &good).2, "hit", "until the keys were refreshed");
    world.run_background();
    assert_eq!(call(&world, &gateway, &good).1, "token_key_unknown");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_was_verified_is_no_use_while_nobody_vouches_for_its_key() {
    let (world, gateway) = (World::new(), gateway());
    let good = token(&Claims::good().with("exp", json!(NOON + 100_000)));
    assert_eq!(call(&world, &gateway, &good).0, 200);
    world.provider_down();
    world.pass(15 * 60 + 60 * 60 - 1);
    assert_eq!(call(&world, &gateway, &good).0, 200, "stale, and still served");
    world.pass(2);
    assert_eq!(call(&world, &gateway, &good).1, "issuer_unavailable", "too old: fail closed, though it is known");
    world.publish(&json!({ "keys": Key::ALL.map(Key::public_jwk) }).to_string(), None);
    world.pass(10);
    assert_eq!(call(&world, &gateway, &good).0, 200, "and back without a restart");
}

#[wasm_bindgen_test(unsupported = test)]
fn refusals_of_strangers_are_not_kept() {
    let (world, gateway) = (World::new(), gateway());
    for _ in 0..3 {
        assert_eq!(call(&world, &gateway, "x.y.z").2, Value::Null, "not even looked for");
    }
    let unsigned = {
        let good = token(&Claims::good());
        format!("{}{}", &good[..good.len() - 8], "AAAAAAAA")
    };
    for _ in 0..2 {
        assert_eq!(call(&world, &gateway, &unsigned).2, "miss");
    }
    assert_eq!(gateway.token_cache().1.0, 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_million_tokens_stay_within_the_bounds() {
    let mut cache = TokenCache::default();
    let now = UnixMillis(NOON * 1000);
    let small = Rc::new(VerifiedToken::new(subject("ada")));
    let large = Rc::new(VerifiedToken::new(subject(&"a".repeat(4_000))));
    for at in 0..1_000_000 {
        cache.keep(digest(at), Rc::clone(if at % 7 == 0 { &large } else { &small }));
        cache.keep_inactive(digest(at), TokenError::Inactive, 10, now);
        if at % 50_000 == 0 {
            let (entries, bytes) = cache.size();
            assert!(entries <= VERIFIED_ENTRIES && bytes <= VERIFIED_BYTES, "{entries} entries, {bytes} bytes");
            assert!(cache.inactive_len() <= INACTIVE_ENTRIES);
        }
        // Who calls again and again stays.
        cache.keep(digest(u64::MAX), Rc::clone(&small));
        assert!(cache.verified(&digest(u64::MAX), now).is_some());
    }
    let huge = Rc::new(VerifiedToken::new(subject(&"a".repeat(VERIFIED_BYTES))));
    cache.keep(digest(5), huge);
    assert!(cache.size().1 <= VERIFIED_BYTES);
}

#[wasm_bindgen_test(unsupported = test)]
fn questions_are_asked_one_at_a_time_and_not_too_many_in_all() {
    let mut questions = CredentialLookups::default();
    let now = UnixMillis(NOON * 1000);
    assert_eq!(questions.begin(&digest(0), ASKED, 5, now), LookupStart::Start);
    assert_eq!(questions.begin(&digest(0), ASKED, 5, now), LookupStart::InProgress);
    questions.done(&digest(0));
    assert_eq!(questions.begin(&digest(0), ASKED, 5, now), LookupStart::Start);
    assert_eq!(questions.begin(&digest(0), ASKED, 5, now.plus_seconds(5)), LookupStart::Start, "who asked is gone");
    let many = u64::try_from(LOOKUPS).expect("small");
    for at in 1..many {
        assert_eq!(questions.begin(&digest(at), ASKED, 5, now), LookupStart::Start);
    }
    assert_eq!(questions.begin(&digest(many), ASKED, 5, now), LookupStart::TooMany);
    assert_eq!(
        questions.begin(&digest(many), ASKED, 5, now.plus_seconds(5)),
        LookupStart::Start,
        "lost ones leave their place"
    );
}

fn revoking(seconds: u64) -> Rc<Gateway> {
    open(document_with(json!({ "revocation": { "kv": "LISTS", "seconds": seconds } }))).expect("right")
}

#[wasm_bindgen_test(unsupported = test)]
fn an_open_stream_ends_when_the_list_names_its_credential() {
    let gateway = revoking(60);
    let world = World::new();
    world.put("LISTS", "revocations", Ok(r#"{"version":1}"#));
    world.serve_by(|_| Some((200, "text/event-stream", String::new())));
    assert_eq!(world.call(&gateway, Request::post("/mcp").bearer(&token(&Claims::good()))).status, 200);
    assert_eq!(world.streams_may_go_on(), [true]);
    world.put("LISTS", "revocations", Ok(r#"{"version":1,"sub":["ada"]}"#));
    assert_eq!(world.streams_may_go_on(), [true], "the copy is new enough");
    world.pass(61);
    assert_eq!(world.streams_may_go_on(), [false]);
    world.put("LISTS", "revocations", Err("KV is down"));
    world.pass(61);
    assert_eq!(world.streams_may_go_on(), [true], "it cannot be known for a moment");
    world.pass(61);
    assert_eq!(world.streams_may_go_on(), [false]);
}

fn publish(world: &World, list: &Value) {
    world.put("LISTS", "revocations", Ok(&list.to_string()));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_revoked_opens_nothing_within_the_configured_seconds() {
    let good = token(&Claims::good());
    for list in [
        json!({ "version": 1, "jti": ["1"] }),
        json!({ "version": 1, "sub": ["x", "ada"] }),
        json!({ "version": 1, "client_id": ["client-1"] }),
        json!({ "version": 1, "issued_before": [{ "before": NOON }] }),
        json!({ "version": 1, "issued_before": [{ "before": NOON, "sub": "ada", "client_id": "client-1", "iss": "https://login.example" }] }),
    ] {
        let (world, gateway) = (World::new(), revoking(60));
        publish(&world, &json!({ "version": 1 }));
        assert_eq!(call(&world, &gateway, &good).0, 200);
        publish(&world, &list);
        // 60 seconds, of which KV's own cache may take 30.
        world.pass(30);
        assert_eq!(call(&world, &gateway, &good), (401, "token_revoked".to_owned(), json!("hit")), "{list}");
        assert_eq!(gateway.token_cache().1.0, 0, "and memory has forgotten it");
        assert_eq!(call(&world, &gateway, &good).1, "token_revoked");
        publish(&world, &json!({ "version": 1 }));
        world.pass(30);
        assert_eq!(call(&world, &gateway, &good).0, 200, "and back");
    }
    for list in [
        json!({ "version": 1, "jti": ["2"], "sub": ["eve", "https://login.example|ada"], "client_id": ["client"] }),
        json!({ "version": 1, "issued_before": [{ "before": NOON - 10 }, { "before": NOON, "sub": "eve" }, { "before": NOON, "iss": "https://x.example" }] }),
    ] {
        let (world, gateway) = (World::new(), revoking(60));
        publish(&world, &list);
        assert_eq!(call(&world, &gateway, &good).0, 200, "{list}");
    }
    // A token that does not say when it was issued is older than any moment.
    let (world, gateway) = (World::new(), revoking(60));
    publish(&world, &json!({ "version": 1, "issued_before": [{ "before": 1 }] }));
    assert_eq!(call(&world, &gateway, &token(&Claims::good().without("iat"))).1, "token_revoked");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_list_that_cannot_be_read_lets_nobody_pass() {
    let good = token(&Claims::good());
    let cases: Vec<Result<&str, &str>> = vec![
        Err("KV is down"),
        Ok(""),
        Ok("[]"),
        Ok("{}"),
        Ok("{\"version\":2}"),
        Ok("{\"version\":1,\"subject\":[\"ada\"]}"),
        Ok("{\"version\":1,\"sub\":\"ada\"}"),
        Ok("{\"version\":1,\"sub\":[],\"sub\":[\"ada\"]}"),
        Ok("{\"version\":1,\"issued_before\":[{\"sub\":\"ada\"}]}"),
        Ok("{\"version\":1,\"issued_before\":[{\"before\":\"2026-01-01\"}]}"),
    ];
    for list in cases {
        let (world, gateway) = (World::new(), revoking(60));
        world.put("LISTS", "revocations", list);
        let (status, reason, _) = call(&world, &gateway, &good);
        assert_eq!((status, reason.as_str()), (503, "revocations_unavailable"), "{list:?}");
        publish(&world, &json!({ "version": 1 }));
        assert_eq!(call(&world, &gateway, &good).0, 503, "not asked again at once");
        assert_eq!(world.reads().len(), 1);
        world.pass(2);
        assert_eq!(call(&world, &gateway, &good).0, 200, "{list:?}");
    }
    let (world, gateway) = (World::new(), revoking(60));
    assert_eq!(call(&world, &gateway, &good).1, "revocations_unavailable", "a key that is not there is a mistake");
    // A list that was there serves on while it is new enough, and no longer.
    let (world, gateway) = (World::new(), revoking(120));
    publish(&world, &json!({ "version": 1 }));
    assert_eq!(call(&world, &gateway, &good).0, 200);
    world.put("LISTS", "revocations", Err("KV is down"));
    world.pass(50);
    assert_eq!(call(&world, &gateway, &good).0, 200);
    world.run_background();
    assert_eq!(world.reads().len(), 2, "it was read again in the background");
    world.pass(39);
    assert_eq!(call(&world, &gateway, &good).0, 200);
    world.pass(1);
    assert_eq!(call(&world, &gateway, &good).0, 503);
}

#[wasm_bindgen_test(unsupported = test)]
fn strangers_do_not_have_the_list_read() {
    let (world, gateway) = (World::new(), revoking(60));
    assert_eq!(call(&world, &gateway, "x.y.z").0, 401);
    assert!(world.reads().is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn an_older_list_does_not_replace_a_newer_one() {
    let list = |text: &str| RevocationList::parse(text.as_bytes()).expect("a list");
    let token = VerifiedToken::new(subject("ada"));
    let mut revocations = Revocations::default();
    assert!(revocations.revokes(&token), "without a list everything is revoked");
    revocations.stored(list("{\"version\":1,\"sub\":[\"ada\"]}"), UnixMillis(2_000));
    revocations.stored(list("{\"version\":1}"), UnixMillis(1_000));
    assert!(revocations.revokes(&token));
}

#[wasm_bindgen_test(unsupported = test)]
fn isolates_of_one_place_share_keys() {
    let (world, one) = (World::new(), gateway());
    let good = token(&Claims::good().with("exp", json!(NOON + 100_000)));
    assert_eq!(call(&world, &one, &good).0, 200);
    world.run_background();
    let fetched = world.fetched().len();
    let two = gateway();
    assert_eq!(call(&world, &two, &good).0, 200);
    assert_eq!(world.fetched().len(), fetched, "the second asks nobody");
    // What is shared grows old as everywhere.
    world.pass(15 * 60);
    let three = gateway();
    assert_eq!(call(&world, &three, &good).0, 200);
    assert!(world.fetched().len() > fetched);
    // A new key is looked for at the issuer.
    let four = gateway();
    assert_eq!(call(&world, &four, &good).0, 200);
    let mut rotated = Key::Rsa.public_jwk();
    rotated["kid"] = json!("ed25519");
    world.publish(&json!({ "keys": [Key::P256.public_jwk()] }).to_string(), None);
    let shared = world.shared();
    assert_eq!(shared.len(), 1);
    // And garbage there is as good as nothing.
    let (name, _) = shared.iter().next().expect("one");
    for garbage in [
        "",
        "{}",
        "{\"jwks\":\"x\",\"fresh_until\":99999999999999}",
        "{\"jwks\":\"{\\\"keys\\\":[]}\",\"fresh_until\":99999999999999}",
    ] {
        let world = World::new();
        world.share([(name.clone(), garbage.as_bytes().to_vec())].into_iter().collect());
        assert_eq!(call(&world, &gateway(), &good).0, 200, "{garbage}");
        assert!(!world.fetched().is_empty());
    }
    // Another configuration has another name for them.
    let moved = open(document_with(json!({ "issuers": [{
        "name": "idp", "issuer": "https://login.example", "jwks_uri": "https://login.example/jwks", "algorithms": ["EdDSA"],
    }] })))
    .expect("right");
    assert_eq!(call(&world, &moved, &good).1, "token_key_unknown");
    world.run_background();
    assert_eq!(world.shared().len(), 2);
}
