//! The fields that may hold a credential, a line each: Authorization, X-API-Key, Cf-Access-Jwt-Assertion, DPoP.
#![no_main]

use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;
use portcullis::gateway::Gateway;
use portcullis::transport::head::Fields;
use portcullis_fuzz::{gateway, walk};

thread_local! {
    static GATE: OnceCell<Gateway> = const { OnceCell::new() };
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut fields = Fields::new();
    fields.set("content-type", "application/json");
    for (name, value) in
        ["authorization", "x-api-key", "cf-access-jwt-assertion", "dpop"].into_iter().zip(text.split('\n'))
    {
        if !value.is_empty() {
            fields.set(name, value);
        }
    }
    GATE.with(|gate| walk(gate.get_or_init(gateway), fields));
});
