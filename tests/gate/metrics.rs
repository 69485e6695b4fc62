//! Counters, for who has the secret.

use portcullis::transport::head::Method;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{Claims, Request, TestSecrets, World, document_with, gateway, open_with, token};

const SECRET: &str = "a secret of thirty-two characters or more";

#[wasm_bindgen_test(unsupported = test)]
fn requests_are_counted_for_who_has_the_secret() {
    let world = World::new();
    let secrets = TestSecrets(vec![("METRICS", SECRET.to_owned())]);
    let gateway = open_with(document_with(json!({ "metrics": { "secret": "METRICS" } })), &secrets).expect("right");
    world.call(&gateway, Request::post("/mcp"));
    for _ in 0..3 {
        world.call(&gateway, Request::post("/mcp").bearer(&token(&Claims::good())));
    }
    let ask = |token: &str| world.call(&gateway, Request::get("/metrics").bearer(token));
    assert_eq!(ask("wrong").status, 404);
    assert_eq!(world.call(&gateway, Request::get("/metrics")).status, 404);
    for method in [Method::Post, Method::Head, Method::Delete] {
        assert_eq!(world.call(&gateway, Request::new(method, "/metrics")).status, 404, "nobody else learns of it");
    }
    let reply = ask("a-secret-of-thirty-two-characters");
    assert_eq!(reply.status, 404);
    let reply = world.call(&gateway, Request::get("/metrics").field("authorization", &format!("Bearer {SECRET}")));
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.field("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    for line in [
        "portcullis_requests_total{resource=\"/mcp\",decision=\"allow\",reason=\"forwarded\"} 3",
        "portcullis_requests_total{resource=\"/mcp\",decision=\"deny\",reason=\"no_credentials\"} 1",
        "portcullis_origin_seconds_bucket{resource=\"/mcp\",le=\"0.005\"} 3",
        "portcullis_origin_seconds_bucket{resource=\"/mcp\",le=\"+Inf\"} 3",
        "portcullis_credentials_total{cache=\"hit\"} 2",
        "portcullis_credentials_total{cache=\"miss\"} 1",
        "portcullis_cached_credentials 1",
        "portcullis_keys_fresh_seconds{issuer=\"idp\"} 900",
    ] {
        assert!(reply.body.lines().any(|known| known == line), "{line} is not in\n{}", reply.body);
    }
    assert!(reply.body.ends_with("# EOF\n"));
    for family in reply.body.lines().filter(|line| line.starts_with("# TYPE")) {
        assert_eq!(reply.body.matches(family).count(), 1, "{family}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn without_a_secret_there_are_none() {
    let (world, gateway) = (World::new(), gateway());
    assert_eq!(world.call(&gateway, Request::get("/metrics")).status, 404);
    let short = TestSecrets(vec![("METRICS", "short".to_owned())]);
    let document = document_with(json!({ "metrics": { "secret": "METRICS" } }));
    let mistakes = open_with(document, &short).err().map(|it| it.to_string()).unwrap_or_default();
    assert!(mistakes.contains("metrics.secret: the secret must have 32 characters"), "{mistakes}");
}
