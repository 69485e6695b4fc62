//! DPoP proofs: one that is read is about this request, this token and this key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::token::binding::proof::{Expected, Proof};
use portcullis::transport::url::HttpUrl;
use portcullis_fuzz::NOW;

/// The thumbprint of the key of RFC 9449's examples.
const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let urls = [HttpUrl::parse("https://gate.example/mcp").expect("a URL")];
    let expected =
        Expected { method: "POST", urls: &urls, token: Some("token"), jkt: Some(JKT), window: 300, now: NOW };
    if let Ok(proof) = Proof::read(Some(text), &expected) {
        assert_eq!(proof.single_use(("https://issuer.example", "subject")).jkt, JKT);
        let _ = proof.signature(None);
        let _ = proof.nonce();
    }
});
