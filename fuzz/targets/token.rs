//! Access tokens: whatever is sent, nobody passes, and what was parsed is what was sent.
#![no_main]

use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;
use portcullis::gateway::Gateway;
use portcullis::token::untrusted::UntrustedToken;
use portcullis::transport::head::Fields;
use portcullis_fuzz::{gateway, walk};

thread_local! {
    static GATE: OnceCell<Gateway> = const { OnceCell::new() };
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(token) = UntrustedToken::parse(text) {
        assert!(text.starts_with(token.signing_input()), "what was signed is what was sent");
        assert!(!token.signature().is_empty());
        assert_eq!(text.matches('.').count(), 2);
        assert!(!format!("{token:?}").contains(text.split('.').nth(1).unwrap_or("?")) || text.len() < 40);
    }
    let mut fields = Fields::new();
    fields.set("content-type", "application/json");
    fields.set("authorization", format!("Bearer {text}"));
    GATE.with(|gate| walk(gate.get_or_init(gateway), fields));
});
