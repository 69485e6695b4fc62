//! The corpus of hostile tokens and keys: what attackers send, with the verdict and the reason that each must get.
//!
//! `UPDATE=1 cargo test` writes `vectors/hostile.json` from what is made here. The tests read the file, so that other
//! implementations (the Worker in the end-to-end tests, npm `jose` in the differential) are held to the same bytes.

#[cfg(not(target_family = "wasm"))]
mod corpus;

use serde_json::Value;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{Request, World, gateway};

fn stored() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../../vectors/hostile.json")).expect("the corpus is JSON");
    file["cases"].as_array().expect("cases").clone()
}

#[wasm_bindgen_test(unsupported = test)]
fn every_hostile_token_gets_its_verdict_and_its_reason() {
    let mut wrong = Vec::new();
    for case in stored() {
        let world = World::new();
        if let Some(keys) = case.get("jwks") {
            world.publish(&keys.to_string(), None);
        }
        let token = case["token"].as_str().expect("a text");
        let reply = world.call(&gateway(), Request::post("/mcp").bearer(token));
        let line = world.last_request();
        let passes = case["reason"] == "forwarded";
        if line["reason"] != case["reason"] || passes != (reply.status == 200) {
            wrong.push(format!("{}: {} {} {}", case["name"], reply.status, line["reason"], line["detail"]));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}
