//! Tokens that are bound to a key or a certificate.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::gateway::Gateway;
use portcullis::jwks::key::{JwsAlgorithm, VerificationKey};
use portcullis::time::UnixMillis;
use portcullis::token::binding::nonce::NonceKey;
use portcullis::token::binding::proof::SingleUse;
use portcullis::token::binding::replay::{ReplayMemory, Use};
use portcullis::token::compiled::CompiledVerifiers;
use portcullis::transport::certificate::ClientCertificate;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::world::NOON;
use crate::support::{
    Claims, Key, RESOURCE, Reply, Request, TestSecrets, World, document_with, open_with, token, token_with_header,
};

/// The key of the caller, who is not the provider.
const CALLER: Key = Key::P256;

fn jkt(key: Key) -> String {
    VerificationKey::parse(&key.public_jwk()).expect("a key").thumbprint().to_owned()
}

fn public(key: Key) -> Value {
    let mut jwk = key.public_jwk();
    let members = jwk.as_object_mut().expect("an object");
    members.remove("kid");
    members.remove("use");
    jwk
}

/// A token that is bound to the caller's key.
fn bound() -> String {
    token(&Claims::good().with("cnf", json!({ "jkt": jkt(CALLER) })))
}

/// A proof, and what may be wrong with it.
struct Proof {
    header: Value,
    claims: Value,
    key: Key,
    algorithm: JwsAlgorithm,
}

impl Proof {
    fn new(token: &str, jti: &str) -> Self {
        Self {
            header: json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public(CALLER) }),
            claims: json!({
                "jti": jti, "htm": "POST", "htu": RESOURCE, "iat": NOON,
                "ath": URL_SAFE_NO_PAD.encode(Sha256::digest(token)),
            }),
            key: CALLER,
            algorithm: JwsAlgorithm::Es256,
        }
    }

    fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    fn header(mut self, name: &str, value: Value) -> Self {
        self.header[name] = value;
        self
    }

    fn without(mut self, name: &str) -> Self {
        for part in [&mut self.header, &mut self.claims] {
            part.as_object_mut().expect("an object").remove(name);
        }
        self
    }

    fn sign(&self) -> String {
        token_with_header(&self.header.to_string(), &self.claims.to_string(), self.key, self.algorithm)
    }
}

fn document_of(requirement: &str, dpop: Value) -> Value {
    let mut document = document_with(json!({}));
    document["resources"][0]["dpop"] = json!(requirement);
    if !dpop.is_null() {
        document["dpop"] = dpop;
    }
    document
}

fn gate(requirement: &str, dpop: Value) -> Rc<Gateway> {
    open_with(
        document_of(requirement, dpop),
        &TestSecrets(vec![("NONCES", "0123456789abcdef0123456789abcdef".to_owned())]),
    )
    .expect("right")
}

fn call(world: &World, gateway: &Rc<Gateway>, token: &str, proof: &str) -> Reply {
    world.call(gateway, Request::post("/mcp").field("authorization", &format!("DPoP {token}")).field("dpop", proof))
}

fn reason(world: &World) -> String {
    world.last_request()["reason"].as_str().unwrap_or_default().to_owned()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_bound_token_opens_with_a_proof_for_this_request() {
    for requirement in ["optional", "required"] {
        let (world, gateway) = (World::new(), gate(requirement, Value::Null));
        let token = bound();
        for jti in ["a", "b"] {
            let reply = call(&world, &gateway, &token, &Proof::new(&token, jti).sign());
            assert_eq!(reply.status, 200, "{}", reason(&world));
        }
        assert_eq!(world.last_request()["token_cache"], "hit", "each time with a proof of its own");
        assert!(world.sent().iter().all(|sent| sent.fields.get("dpop").is_none()));
        // Query and fragment of htu do not count, and neither does the spelling of host and port (RFC 9449 §4.3).
        for (at, htu) in ["https://gate.example/mcp?x#y", "https://GATE.example:443/mcp"].into_iter().enumerate() {
            let proof = Proof::new(&token, &format!("c{at}")).claim("htu", json!(htu));
            assert_eq!(call(&world, &gateway, &token, &proof.sign()).status, 200, "{htu}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn proofs_that_prove_nothing() {
    let token = bound();
    let good = || Proof::new(&token, "1");
    let private = Key::P256.private_jwk();
    let mut other_curve = public(Key::P384);
    other_curve["crv"] = json!("P-256");
    let cases: Vec<(&str, String)> = vec![
        ("proof_missing", String::new()),
        ("proof_missing", format!("{}, {}", good().sign(), good().claim("jti", json!("2")).sign())),
        ("proof_malformed", "x".to_owned()),
        ("proof_malformed", good().header("typ", json!("at+jwt")).sign()),
        ("proof_malformed", good().without("typ").sign()),
        ("proof_malformed", good().without("jwk").sign()),
        ("proof_malformed", good().header("crit", json!(["x"])).sign()),
        ("proof_malformed", good().header("x", json!("y".repeat(9_000))).sign()),
        ("proof_algorithm", good().header("alg", json!("none")).sign()),
        ("proof_algorithm", good().header("alg", json!("HS256")).sign()),
        ("proof_algorithm", good().header("alg", json!("ES384")).sign()),
        ("proof_algorithm", good().header("alg", json!("es256")).sign()),
        ("proof_key", good().header("jwk", private).sign()),
        ("proof_key", good().header("jwk", other_curve).sign()),
        ("proof_key", good().header("jwk", json!({ "kty": "oct", "k": "AAAA" })).sign()),
        ("proof_key", good().header("jwk", json!("x")).sign()),
        ("proof_other_key", good().header("alg", json!("EdDSA")).header("jwk", public(Key::Ed25519)).sign()),
        ("proof_method", good().claim("htm", json!("GET")).sign()),
        ("proof_method", good().claim("htm", json!("post")).sign()),
        ("proof_url", good().claim("htu", json!("https://gate.example/")).sign()),
        ("proof_url", good().claim("htu", json!("https://gate.example/mcp/admin")).sign()),
        ("proof_url", good().claim("htu", json!("http://gate.example/mcp")).sign()),
        ("proof_url", good().claim("htu", json!("https://evil.example/mcp")).sign()),
        ("proof_url", good().claim("htu", json!("/mcp")).sign()),
        ("proof_url", good().claim("htu", json!("https://gate.example@evil.example/mcp")).sign()),
        ("proof_claims", good().claim("htu", json!(7)).sign()),
        ("proof_claims", good().without("htm").sign()),
        ("proof_claims", good().without("iat").sign()),
        ("proof_claims", good().claim("iat", json!(NOON.to_string())).sign()),
        ("proof_claims", good().claim("iat", json!(1e300)).sign()),
        ("proof_claims", good().claim("iat", json!(-5)).sign()),
        ("proof_claims", good().without("jti").sign()),
        ("proof_claims", good().claim("jti", json!("")).sign()),
        ("proof_claims", good().claim("jti", json!("x".repeat(257))).sign()),
        ("proof_claims", good().without("ath").sign()),
        ("proof_expired", good().claim("iat", json!(NOON - 301)).sign()),
        ("proof_expired", good().claim("iat", json!(NOON + 301)).sign()),
        ("proof_access_token_hash", good().claim("ath", json!(URL_SAFE_NO_PAD.encode(Sha256::digest("other")))).sign()),
        ("proof_signature", {
            let proof = good().sign();
            format!("{}{}", &proof[..proof.len() - 8], "AAAAAAAA")
        }),
        ("proof_signature", format!("{}.AAAA", good().sign().rsplit_once('.').expect("dots").0)),
    ];
    for (expected, proof) in cases {
        let (world, gateway) = (World::new(), gate("optional", Value::Null));
        let request = Request::post("/mcp").field("authorization", &format!("DPoP {token}"));
        let request = if proof.is_empty() { request } else { request.field("dpop", &proof) };
        let reply = world.call(&gateway, request);
        assert_eq!((reply.status, reason(&world).as_str()), (401, expected), "{proof}");
        let challenge = reply.field("www-authenticate");
        assert!(challenge.contains("DPoP error=\"invalid_dpop_proof\""), "{challenge}");
        assert!(challenge.contains("algs=\"ES256 ES384 ES512 EdDSA Ed25519"), "{challenge}");
        assert!(world.sent().is_empty());
        assert_eq!(call(&world, &gateway, &token, &good().sign()).status, 200, "and the next is judged by itself");
    }
    for (iat, window) in [(NOON - 300, 300), (NOON + 300, 300), (NOON - 5, 5)] {
        let (world, gateway) = (World::new(), gate("optional", json!({ "window_seconds": window })));
        assert_eq!(call(&world, &gateway, &token, &good().claim("iat", json!(iat)).sign()).status, 200, "{iat}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_proof_is_used_once() {
    let token = bound();
    let proof = Proof::new(&token, "once").sign();
    let (world, gateway) = (World::new(), gate("required", Value::Null));
    assert_eq!(call(&world, &gateway, &token, &proof).status, 200);
    assert_eq!(call(&world, &gateway, &token, &proof).status, 401);
    assert_eq!(reason(&world), "proof_replayed");
    // The same jti signed anew is the same proof, and one of a refused request was not used.
    assert_eq!(
        call(&world, &gateway, &token, &Proof::new(&token, "once").claim("iat", json!(NOON + 1)).sign()).status,
        401
    );
    assert_eq!(reason(&world), "proof_replayed");
    world.pass(299);
    assert_eq!(call(&world, &gateway, &token, &proof).status, 401, "as long as it is not too old");
    world.pass(2);
    assert_eq!(call(&world, &gateway, &token, &proof).status, 401);
    assert_eq!(reason(&world), "proof_expired");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_window_that_is_widened_makes_no_used_proof_good_again() {
    let token = bound();
    let proof = Proof::new(&token, "once").sign();
    let (world, narrow) = (World::new(), gate("required", json!({ "window_seconds": 5 })));
    assert_eq!(call(&world, &narrow, &token, &proof).status, 200);
    world.pass(31);
    assert_eq!(call(&world, &narrow, &token, &proof).status, 401);
    assert_eq!(reason(&world), "proof_expired");
    let wide = document_of("required", json!({ "window_seconds": 300 }));
    let wide = narrow.after(wide, &TestSecrets::default(), CompiledVerifiers::default()).expect("right");
    assert_eq!(call(&world, &Rc::new(wide), &token, &proof).status, 401);
    assert_eq!(reason(&world), "proof_replayed");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_proof_is_used_once_in_all_isolates_where_they_share_a_memory() {
    let token = bound();
    let proof = Proof::new(&token, "once").sign();
    let shared = json!({ "replay_binding": "REPLAYS" });
    let (world, one, two) = (World::new(), gate("required", shared.clone()), gate("required", shared.clone()));
    assert_eq!(call(&world, &one, &token, &proof).status, 200);
    assert_eq!(call(&world, &two, &token, &proof).status, 401);
    assert_eq!(reason(&world), "proof_replayed");
    let (world, gateway) = (World::new(), gate("required", shared));
    world.guard_down();
    let reply = call(&world, &gateway, &token, &proof);
    assert_eq!((reply.status, reason(&world).as_str()), (503, "replay_memory_unavailable"));
    // Without it each has its own, and the log says so at start.
    assert!(gate("optional", Value::Null).warnings().iter().any(|warning| warning.contains("replay_binding")));
}

#[wasm_bindgen_test(unsupported = test)]
fn bound_or_not_is_as_the_resource_asks() {
    let plain = token(&Claims::good());
    let bound = bound();
    let proof = || Proof::new(&bound, "1").sign();
    let bearer = |token: &str| Request::post("/mcp").bearer(token);
    let dpop = |token: &str, proof: &str| {
        Request::post("/mcp").field("authorization", &format!("DPoP {token}")).field("dpop", proof)
    };
    for (requirement, request, status, expected) in [
        ("off", bearer(&plain), 200, "forwarded"),
        ("off", bearer(&bound), 401, "token_sender_constrained"),
        ("off", dpop(&bound, &proof()), 401, "no_credentials"),
        ("optional", bearer(&plain), 200, "forwarded"),
        ("optional", bearer(&bound), 401, "token_bound_under_bearer"),
        ("optional", bearer(&bound).field("dpop", &proof()), 401, "token_bound_under_bearer"),
        ("optional", dpop(&plain, &Proof::new(&plain, "1").sign()), 401, "token_not_bound"),
        ("required", bearer(&plain), 401, "token_not_bound"),
        ("required", dpop(&plain, &Proof::new(&plain, "1").sign()), 401, "token_not_bound"),
        ("required", Request::post("/mcp"), 401, "no_credentials"),
    ] {
        let (world, gateway) = (World::new(), gate(requirement, Value::Null));
        let reply = world.call(&gateway, request);
        assert_eq!((reply.status, reason(&world).as_str()), (status, expected), "{requirement}");
        if status == 401 {
            let challenge = reply.field("www-authenticate");
            assert_eq!(challenge.contains("Bearer "), requirement != "required", "{challenge}");
            assert_eq!(challenge.contains("DPoP "), requirement != "off", "{challenge}");
        }
    }
    for cnf in [json!({}), json!({ "jwk": {} }), json!({ "jkt": 7 }), json!({ "jkt": jkt(CALLER), "x": 1 }), json!("x")]
    {
        let token = token(&Claims::good().with("cnf", cnf));
        let (world, gateway) = (World::new(), gate("optional", Value::Null));
        call(&world, &gateway, &token, &Proof::new(&token, "1").sign());
        assert_eq!(reason(&world), "token_sender_constrained", "a binding that nobody here can check");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn nonces() {
    let token = bound();
    let (world, gateway) = (World::new(), gate("required", json!({ "nonce_secret": "NONCES" })));
    let reply = call(&world, &gateway, &token, &Proof::new(&token, "1").sign());
    assert_eq!((reply.status, reason(&world).as_str()), (401, "proof_nonce"));
    assert!(reply.field("www-authenticate").contains("error=\"use_dpop_nonce\""));
    let nonce = reply.field("dpop-nonce").to_owned();
    assert!(!nonce.is_empty());
    let with = |nonce: &str, jti: &str| Proof::new(&token, jti).claim("nonce", json!(nonce)).sign();
    let reply = call(&world, &gateway, &token, &with(&nonce, "1"));
    assert_eq!((reply.status, reply.field("dpop-nonce")), (200, nonce.as_str()), "the next one comes along");
    // A refusal for the nonce alone uses the proof up no more than any other refusal.
    assert_eq!(call(&world, &gateway, &token, &with(&nonce, "2")).status, 200);
    let made_up = URL_SAFE_NO_PAD.encode([7; 24]);
    for other in ["", "x", &made_up, &nonce[1..]] {
        assert_eq!(call(&world, &gateway, &token, &with(other, "3")).status, 401, "{other}");
        assert_eq!(reason(&world), "proof_nonce");
    }
    let key = NonceKey::new("0123456789abcdef0123456789abcdef");
    let at = |second: u64| UnixMillis(second * 1000);
    let nonce = key.issue(at(NOON));
    assert!(key.accepts(&nonce, at(NOON)));
    assert!(key.accepts(&nonce, at(NOON + 200)));
    assert!(!key.accepts(&nonce, at(NOON + 301)), "too old");
    assert!(!key.accepts(&nonce, at(NOON - 100)), "of the future");
    assert!(!NonceKey::new("another key of 32 characters or more").accepts(&nonce, at(NOON)));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_memory_of_proofs_is_bounded_and_forgets_nothing_too_early() {
    let single = |key: &str, id: u64, until: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&id.to_be_bytes());
        SingleUse { jkt: key.to_owned(), owner: Sha256::digest(key).into(), id: bytes, until }
    };
    let now = UnixMillis(1_000_000);
    let mut memory = ReplayMemory::default();
    for id in 0..8_192 {
        assert_eq!(memory.use_once(&single("greedy", id, 1_300), now), Use::First);
    }
    assert_eq!(memory.use_once(&single("greedy", 9_000, 1_300), now), Use::Full, "one caller cannot take it all");
    assert_eq!(memory.use_once(&single("greedy", 5, 1_300), now), Use::Again);
    for id in 10_000..200_000 {
        memory.use_once(&single(&format!("key {}", id / 8_000), id, 1_300), now);
    }
    assert_eq!(memory.len(), 65_536);
    assert_eq!(memory.use_once(&single("fresh", 1_000_000, 1_300), now), Use::Full);
    assert_eq!(memory.use_once(&single("fresh", 1_000_000, 1_700), UnixMillis(1_300_000)), Use::First);
    assert_eq!(memory.len(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_bound_to_a_certificate() {
    let digest: [u8; 32] = Sha256::digest("certificate").into();
    let bound = token(&Claims::good().with("cnf", json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(digest) })));
    let plain = token(&Claims::good());
    for (requirement, token, presented, expected) in [
        ("off", &bound, Some(digest), "token_sender_constrained"),
        ("off", &plain, Some(digest), "forwarded"),
        ("optional", &bound, Some(digest), "forwarded"),
        ("optional", &bound, None, "token_certificate"),
        ("optional", &bound, Some([7; 32]), "token_certificate"),
        ("optional", &plain, None, "forwarded"),
        ("required", &bound, Some(digest), "forwarded"),
        ("required", &plain, Some(digest), "token_not_bound"),
        ("required", &plain, None, "token_not_bound"),
    ] {
        let mut document = document_with(json!({}));
        document["resources"][0]["certificate_bound"] = json!(requirement);
        let gateway = open_with(document, &TestSecrets::default()).expect("right");
        let world = World::new();
        let request = presented.into_iter().fold(Request::post("/mcp").bearer(token), Request::certificate);
        world.call(&gateway, request);
        assert_eq!(reason(&world), expected, "{requirement}");
        assert_eq!(gateway.settings().asks_for_certificates(), requirement != "off");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_platform_says_of_a_certificate() {
    let hex = "ab".repeat(32);
    let read = |text: &str| ClientCertificate::read(text).map(|it| (it.digest, it.is_verified, it.subject));
    let name = "CN=agent,O=Acme; Inc";
    let expected = |is_verified| Some(([0xab; 32], is_verified, name.to_owned()));
    assert_eq!(read(&format!("SUCCESS;0;{hex};{name}")), expected(true));
    assert_eq!(read(&format!("SUCCESS;0;{};{name}", hex.to_uppercase())), expected(true));
    assert_eq!(read(&format!("FAILED:self signed certificate;0;{hex};{name}")), expected(false));
    assert_eq!(read(&format!("FAILED:unable to get local issuer certificate;0;{hex};{name}")), expected(false));
    for text in [
        String::new(),
        "undefined;undefined;undefined;".to_owned(),
        format!("NONE;0;{hex};"),
        format!("FAILED;0;{hex};"),
        format!("FAILED:certificate has expired;0;{hex};"),
        format!("FAILED:certificate is not yet valid;0;{hex};"),
        format!("FAILED:self signed certificate;1;{hex};"),
        format!("SUCCESS;1;{hex};"),
        format!("SUCCESS;0;{};", &hex[2..]),
        format!("SUCCESS;0;{hex}ab;"),
        format!("SUCCESS;0;{hex}"),
        format!("SUCCESS;0;+a{};", &hex[2..]),
        format!("success;0;{hex};"),
    ] {
        assert_eq!(read(&text), None, "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn names_of_certificates() {
    let is_of = |is_verified, own: &str, expected: &str| {
        ClientCertificate { digest: [0; 32], is_verified, subject: own.to_owned() }.is_of(expected)
    };
    for (own, expected, same) in [
        ("CN=agent,O=Acme", "CN=agent,O=Acme", true),
        ("CN=agent,O=Acme", "cn=agent, o=Acme", true),
        ("CN=agent,O=Acme", "CN=Agent,O=Acme", false),
        ("CN=agent,O=Acme", "O=Acme,CN=agent", false),
        ("CN=agent,O=Acme", "CN=agent", false),
        ("CN=a\\,O=Acme", "CN=a,O=Acme", false),
        ("CN=a\\, b,O=Acme", "CN=a\\, b, O=Acme", true),
        ("CN=a\\ ,O=Acme", "CN=a,O=Acme", false),
        ("", "", false),
    ] {
        assert_eq!(is_of(true, own, expected), same, "{own} {expected}");
        assert!(!is_of(false, own, expected), "no CA says who it is");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn metadata_says_what_a_resource_asks_for() {
    for (requirement, required) in [("optional", false), ("required", true)] {
        let world = World::new();
        let gateway = gate(requirement, Value::Null);
        let metadata = world.call(&gateway, Request::get("/.well-known/oauth-protected-resource/mcp")).json();
        assert_eq!(metadata["dpop_bound_access_tokens_required"], json!(required));
        assert!(
            metadata["dpop_signing_alg_values_supported"].as_array().is_some_and(|algs| algs.contains(&json!("ES256")))
        );
        assert_eq!(metadata.get("tls_client_certificate_bound_access_tokens"), None);
        let other = world.call(&gateway, Request::get("/.well-known/oauth-protected-resource/mcp/admin")).json();
        assert_eq!(other.get("dpop_bound_access_tokens_required"), None);
    }
}
