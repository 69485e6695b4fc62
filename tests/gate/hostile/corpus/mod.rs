//! Makes the corpus. Native alone: the tests in WebAssembly read the file.

mod claims;
mod form;
mod keys;
mod signatures;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::jwks::key::JwsAlgorithm;
use serde_json::{Value, json};

use super::stored;
use crate::support::world::NOON;
use crate::support::{ISSUER, Key, RESOURCE, token_with_header};

/// The end of the tokens of the corpus: the year 2100, so that it can be replayed for a while.
const END: u64 = 4_102_444_800;

/// One token, the keys of its issuer where they are not the usual ones, and what must become of it.
struct Case {
    name: String,
    token: String,
    keys: Option<Value>,
    reason: &'static str,
}

/// Collects cases.
#[derive(Default)]
struct Corpus(Vec<Case>);

impl Corpus {
    fn add(&mut self, name: impl Into<String>, token: String, reason: &'static str) {
        self.0.push(Case { name: name.into(), token, keys: None, reason });
    }

    fn add_with_keys(&mut self, name: impl Into<String>, token: String, keys: Value, reason: &'static str) {
        self.0.push(Case { name: name.into(), token, keys: Some(json!({ "keys": keys })), reason });
    }
}

fn good_claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "ada", "aud": RESOURCE, "client_id": "client-1", "scope": "mcp:tools",
        "iat": NOON - 10, "exp": END, "jti": "1",
    })
}

/// The header of a token that is good: of the Ed25519 key, the fastest of them.
fn good_header() -> Value {
    json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "ed25519" })
}

/// A token with this text as header and as claims, signed with the Ed25519 key.
fn signed(header: &str, claims: &str) -> String {
    token_with_header(header, claims, Key::Ed25519, JwsAlgorithm::EdDsa)
}

/// A token of these bytes, with the signature that the Ed25519 key makes of them.
fn signed_bytes(header: &[u8], claims: &[u8]) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(Key::Ed25519.sign(JwsAlgorithm::EdDsa, &input)))
}

fn good() -> String {
    signed(&good_header().to_string(), &good_claims().to_string())
}

fn corpus() -> Vec<Case> {
    let mut corpus = Corpus::default();
    corpus.add("a good token", good(), "forwarded");
    form::add(&mut corpus);
    claims::add(&mut corpus);
    keys::add(&mut corpus);
    signatures::add(&mut corpus);
    corpus.0
}

#[test]
fn the_corpus_is_written_down() {
    let cases = corpus();
    if std::env::var_os("UPDATE").is_some() {
        let cases: Vec<Value> = cases
            .iter()
            .map(|case| {
                let mut entry = json!({ "name": case.name, "token": case.token, "reason": case.reason });
                if let Some(keys) = &case.keys {
                    entry["jwks"] = keys.clone();
                }
                entry
            })
            .collect();
        let file = json!({
            "about": "Made by tests/gate/hostile: see PROVENANCE.md.",
            "issuer": ISSUER,
            "audience": RESOURCE,
            "jwks": { "keys": Key::ALL.map(Key::public_jwk) },
            "cases": cases,
        });
        let text = serde_json::to_string_pretty(&file).expect("JSON") + "\n";
        std::fs::write("tests/vectors/hostile.json", text).expect("the file can be written");
        return;
    }
    assert!(cases.len() >= 300, "{}", cases.len());
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "each has a name of its own");
    // Signatures of some algorithms are different each time; everything else must be as it is made here.
    let stored = stored();
    assert_eq!(stored.len(), cases.len(), "UPDATE=1 npm run test:unit writes the corpus");
    for (case, stored) in cases.iter().zip(&stored) {
        assert_eq!((json!(case.name), json!(case.reason)), (stored["name"].clone(), stored["reason"].clone()));
    }
}
