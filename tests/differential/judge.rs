//! The portable implementation's opinion of tokens, for `npm run differential`: reads a line of JSON for each token,
//! writes one for its verdict. `{"jwks": …}` begins a gateway anew.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    unused_imports,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::type_complexity,
    reason = "a test program: what goes wrong should stop it at once"
)]

#[path = "../gate/support/mod.rs"]
mod support;

use std::io::{BufRead as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use support::{Request, World, gateway};

fn main() {
    let (mut world, mut gate) = (World::new(), gateway());
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        if let Some(jwks) = line.get("jwks") {
            (world, gate) = (World::new(), gateway());
            world.publish(&jwks.to_string(), None);
            continue;
        }
        let before = world.checks().len();
        let reply = world.call(&gate, Request::post("/mcp").bearer(line["token"].as_str().expect("a token")));
        let reason = world.last_request()["reason"].clone();
        let check = world.checks().get(before).map(|(check, good)| {
            json!({
                "jwk": serde_json::to_value(check.key.jwk()).expect("JSON"),
                "alg": check.algorithm.as_str(),
                "input": check.signing_input,
                "signature": URL_SAFE_NO_PAD.encode(&check.signature),
                "good": good.clone().ok(),
            })
        });
        let verdict = json!({ "accepted": reply.status == 200, "reason": reason, "check": check });
        writeln!(output, "{verdict}").expect("a reader");
    }
}
