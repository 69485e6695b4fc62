//! What callers get to see: statuses, challenges and bodies.

use portcullis::ports::OriginFailure;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{Claims, Request, World, gateway, token};

const METADATA: &str = "https://gate.example/.well-known/oauth-protected-resource/mcp";

#[wasm_bindgen_test(unsupported = test)]
fn no_credentials_get_a_challenge_without_an_error_code() {
    for request in [
        Request::post("/mcp"),
        Request::get("/mcp"),
        Request::post("/mcp").field("authorization", "Basic YTpi"),
        Request::post("/mcp").field("authorization", "Digest a=\"b\", c=\"d\""),
    ] {
        let reply = World::new().call(&gateway(), request);
        assert_eq!(reply.status, 401);
        assert_eq!(
            reply.field("www-authenticate"),
            format!("Bearer scope=\"mcp:tools\", resource_metadata=\"{METADATA}\"")
        );
        assert_eq!(reply.field("content-type"), "application/json");
        let body = reply.json();
        assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &Value::Null));
        assert_eq!(body["error"]["code"], 401);
        assert_eq!(body["error"]["data"]["request"], reply.field("x-request-id"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_bad_token_gets_invalid_token() {
    let reply = World::new().call(&gateway(), Request::post("/mcp").bearer("e30.e30.AAAA"));
    assert_eq!(reply.status, 401);
    assert_eq!(
        reply.field("www-authenticate"),
        format!(
            "Bearer error=\"invalid_token\", error_description=\"The access token is not accepted here.\", \
             scope=\"mcp:tools\", resource_metadata=\"{METADATA}\""
        )
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn malformed_credentials_get_invalid_request() {
    let good = token(&Claims::good());
    let fields = [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer a b".to_owned(),
        "Bearer \u{e4}".to_owned(),
        "Bearer =".to_owned(),
        format!("Bearer {good}, Bearer {good}"),
        format!("Bearer {good},"),
        format!("Basic YTpi, Bearer {good}"),
        format!("Digest a=\"b\", c=\"d\", bearer {good}"),
    ];
    for field in fields {
        let reply = World::new().call(&gateway(), Request::post("/mcp").field("authorization", &field));
        assert_eq!(reply.status, 400, "{field}");
        let challenge = reply.field("www-authenticate");
        assert!(challenge.contains("error=\"invalid_request\"") && !challenge.contains(" scope="), "{challenge}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_scheme_in_any_case() {
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let field = format!("{scheme} {}", token(&Claims::good()));
        assert_eq!(World::new().call(&gateway(), Request::post("/mcp").field("authorization", &field)).status, 200);
    }
    // RFC 9110 §11.4 has one or more spaces there.
    let field = format!("Bearer   {}", token(&Claims::good()));
    assert_eq!(World::new().call(&gateway(), Request::post("/mcp").field("authorization", &field)).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn missing_scopes_are_named_all_at_once_with_the_requests_id() {
    let claims = Claims::good().with("scope", json!("other")).with("aud", json!("https://gate.example/mcp"));
    let world = World::new();
    let reply = world.call(&gateway(), Request::post("/mcp").bearer(&token(&claims)));
    assert_eq!(reply.status, 403);
    assert_eq!(
        reply.field("www-authenticate"),
        format!(
            "Bearer error=\"insufficient_scope\", error_description=\"The access token lacks a scope that this needs.\", \
             scope=\"mcp:tools\", resource_metadata=\"{METADATA}\""
        )
    );
    assert_eq!(reply.json()["id"], 7);
    assert_eq!(world.last_request()["detail"], "missing: mcp:tools");
}

#[wasm_bindgen_test(unsupported = test)]
fn ids_that_cannot_be_known_are_null() {
    let id = |body: &str| {
        let token = token(&Claims::good().without("scope"));
        let reply = World::new().call(&gateway(), Request::post("/mcp").bearer(&token).body(body.as_bytes()));
        assert_eq!(reply.status, 403);
        reply.json()["id"].clone()
    };
    assert_eq!(id(r#"{"jsonrpc":"2.0","id":"seven","method":"ping"}"#), "seven");
    assert_eq!(id(r#"{"jsonrpc":"2.0","id":-7,"method":"ping"}"#), -7);
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"x\",\"params\":{}{}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let large = format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"x\",\"params\":[\"{}\"]}}", "x".repeat(70_000));
    let unknown = [
        "",
        "{",
        "null",
        "[]",
        "7",
        "\"x\"",
        r#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#,
        r#"{"id":7,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":7}"#,
        r#"{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","method":"ping"}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"} trailing",
        "\u{feff}{}",
        deep.as_str(),
        large.as_str(),
    ];
    for body in unknown {
        assert_eq!(id(body), Value::Null, "{body:.60}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn strangers_cannot_make_the_gateway_read_their_bodies() {
    let reply = World::new().call(&gateway(), Request::post("/mcp"));
    assert_eq!((reply.status, &reply.json()["id"]), (401, &Value::Null));
}

#[wasm_bindgen_test(unsupported = test)]
fn failures_of_origin_servers() {
    type Answer = Result<(u16, &'static [(&'static str, &'static str)]), OriginFailure>;
    let cases: [(Answer, u16, &str); 12] = [
        (Err(OriginFailure::Unreachable { streamed: false }), 502, "origin_unreachable"),
        (Err(OriginFailure::Timeout { streamed: false }), 504, "origin_timeout"),
        (Err(OriginFailure::ClientDisconnected), 499, "caller_gone"),
        (Err(OriginFailure::BodyCutShort), 400, "body_cut_short"),
        (Err(OriginFailure::BodyTooLarge), 413, "body_too_large"),
        (Ok((301, &[("location", "https://evil.example")])), 502, "origin_redirected"),
        (Ok((304, &[])), 502, "origin_redirected"),
        (Ok((401, &[("www-authenticate", "Bearer realm=\"inside\"")])), 502, "origin_unauthorized"),
        (Ok((407, &[])), 502, "origin_unauthorized"),
        (Ok((500, &[("x-stack", "secret")])), 502, "origin_failed"),
        (Ok((503, &[])), 502, "origin_failed"),
        (Ok((101, &[])), 502, "origin_failed"),
    ];
    for (answer, status, reason) in cases {
        let world = World::new();
        world.origin(answer);
        let reply = world.call(&gateway(), Request::post("/mcp").bearer(&token(&Claims::good())));
        assert_eq!((reply.status, world.last_request()["reason"].as_str()), (status, Some(reason)));
        assert_eq!(reply.json()["id"], 7, "{reason}");
        assert_eq!(reply.json()["error"]["code"], status);
        assert!(reply.fields.get("www-authenticate").is_none() && reply.fields.get("location").is_none());
        assert!(!reply.body.contains("from the origin"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn answers_of_origin_servers_that_are_no_failure_pass() {
    for status in [200, 202, 204, 400, 403, 404, 405, 429] {
        let world = World::new();
        world.origin(Ok((status, &[("content-type", "application/json")])));
        let reply = world.call(&gateway(), Request::post("/mcp").bearer(&token(&Claims::good())));
        assert_eq!((reply.status, reply.body.as_str()), (status, "from the origin"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_log_names_what_an_operator_looks_for() {
    let detail = |world: &World| world.last_request()["detail"].as_str().unwrap_or_default().to_owned();
    let good = token(&Claims::good());
    let ask = |request: Request| {
        let world = World::new();
        world.call(&gateway(), request);
        detail(&world)
    };
    assert_eq!(ask(Request::post("/mcp")), "");
    assert_eq!(
        ask(Request::post("/mcp").field("authorization", &good)),
        "the Authorization field has no scheme: it must be Bearer and the token"
    );
    for other in ["Basic dXNlcjpwYXNz", "DPoP x", "Token x"] {
        let said = ask(Request::post("/mcp").field("authorization", other));
        assert_eq!(said, "the scheme of the Authorization field is not accepted here", "{other}");
    }
    let large = Request::post("/mcp").bearer(&good).field("content-length", "4194305");
    assert_eq!(ask(large), "more than 4194304 bytes: see body_bytes");
    for (location, shown) in [
        ("/login?code=secret#x", "status 302, to /login"),
        ("https://user:secret@other.example/a?b", "status 302, to other.example/a"),
        ("https://other.example/a", "status 302, to https://other.example/a"),
    ] {
        let world = World::new();
        world.origin(Ok((302, &[("location", location)])));
        world.call(&gateway(), Request::post("/mcp").bearer(&good));
        assert_eq!(
            (world.last_request()["reason"].clone(), detail(&world).as_str()),
            (json!("origin_redirected"), shown)
        );
        assert!(!world.last_request().to_string().contains("secret"));
    }
    let world = World::new();
    world.origin(Ok((302, &[])));
    world.call(&gateway(), Request::post("/mcp").bearer(&good));
    assert_eq!(detail(&world), "status 302");
    let world = World::new();
    world.origin(Err(OriginFailure::BodyTooLarge));
    world.call(&gateway(), Request::post("/mcp").bearer(&good));
    assert_eq!(detail(&world), "more than 4194304 bytes: see body_bytes");
}
