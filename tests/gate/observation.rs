//! Log lines and traces.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{Claims, Key, Request, TestSecrets, World, document, document_with, gateway, open_with, token};

#[wasm_bindgen_test(unsupported = test)]
fn one_line_for_each_request_with_the_same_members() {
    let world = World::new();
    let gateway = gateway();
    let good = Request::post("/mcp")
        .modern()
        .field("mcp-method", "tools/call")
        .field("mcp-name", "add")
        .bearer(&token(&Claims::good()));
    world.call(&gateway, good);
    world.call(&gateway, Request::post("/mcp").modern().bearer(&token(&Claims::good().without("scope"))));
    let lines: Vec<Value> = world.lines().into_iter().filter(|line| line["event"] == "request").collect();
    let names =
        |line: &Value| line.as_object().map(|line| line.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    assert_eq!(lines.len(), 2);
    let line = &lines[0];
    assert_eq!(line["time"], "2026-11-23T12:00:00.000Z");
    for (member, value) in [
        ("v", json!(1)),
        ("method", json!("POST")),
        ("resource", json!("/mcp")),
        ("era", json!("modern")),
        ("mcp_method", json!("tools/call")),
        ("mcp_name", json!("add")),
        ("issuer", json!("idp")),
        ("client", json!("client-1")),
        ("decision", json!("allow")),
        ("reason", json!("forwarded")),
        ("status", json!(200)),
    ] {
        assert_eq!(line[member], value, "{member}");
    }
    assert_eq!(
        (lines[1]["decision"].as_str(), lines[1]["reason"].as_str()),
        (Some("deny"), Some("insufficient_scope"))
    );
    let shared = [
        "v",
        "event",
        "time",
        "request_id",
        "trace_id",
        "method",
        "resource",
        "era",
        "issuer",
        "client",
        "subject",
        "decision",
        "reason",
        "status",
        "duration_ms",
    ];
    for line in &lines {
        assert!(shared.iter().all(|member| names(line).iter().any(|name| name == member)), "{line}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn requests_that_pass_can_go_without_a_line() {
    let world = World::new();
    let mut document = document();
    document["log"] = json!({ "requests": "refused" });
    let gateway = open_with(document, &TestSecrets::default()).expect("right");
    let call = |claims: &Claims| world.call(&gateway, Request::post("/mcp").modern().bearer(&token(claims)));
    assert_eq!(call(&Claims::good()).status, 200);
    assert_eq!(call(&Claims::good().without("scope")).status, 403);
    let lines: Vec<Value> = world.lines().into_iter().filter(|line| line["event"] == "request").collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["reason"], "insufficient_scope");
}

#[wasm_bindgen_test(unsupported = test)]
fn subjects_are_pseudonyms_that_their_key_decides() {
    let subject = |sub: &str, secret: Option<&str>| {
        let mut document = document();
        let mut secrets = TestSecrets::default();
        if let Some(secret) = secret {
            document["log"] = json!({ "pseudonym_secret": "PSEUDONYMS" });
            secrets.0.push(("PSEUDONYMS", secret.to_owned()));
        }
        let gateway = open_with(document, &secrets).expect("right");
        let world = World::new();
        world.call(&gateway, Request::post("/mcp").bearer(&token(&Claims::good().with("sub", json!(sub)))));
        world.last_request()["subject"].as_str().unwrap_or_default().to_owned()
    };
    let one = "a secret of more than thirty-two characters";
    assert_eq!(subject("ada", None), subject("ada", None));
    assert_ne!(subject("ada", None), subject("eve", None));
    assert_ne!(subject("ada", None), subject("ada", Some(one)));
    assert!(!subject("ada", None).contains("ada"));
    assert_eq!(subject("ada", None).len(), 16);
}

#[wasm_bindgen_test(unsupported = test)]
fn no_token_and_no_key_is_ever_in_a_line_or_an_answer() {
    let world = World::new();
    let gateway = gateway();
    let good = token(&Claims::good());
    let tokens = [good.clone(), token(&Claims::good().without("exp")), format!("{}x", &good[..good.len() - 1])];
    let mut answers = String::new();
    for token in &tokens {
        for request in [
            Request::post("/mcp").bearer(token),
            Request::post(&format!("/mcp?access_token={token}")),
            Request::get(&format!("/{token}")),
            Request::post("/mcp").field("authorization", &format!("Bearer {token}, x")),
        ] {
            let reply = world.call(&gateway, request);
            answers += &format!("{:?}{}", reply.fields, reply.body);
        }
    }
    let log = serde_json::to_string(&world.lines()).expect("JSON");
    for token in &tokens {
        let signature = token.rsplit('.').next().unwrap_or_default();
        assert!(!log.contains(signature) && !answers.contains(signature));
    }
    let secrets = TestSecrets(vec![("K", Key::P256.private_jwk().to_string())]);
    let mut document = document();
    document["identity_assertion"] = json!({ "key_secrets": ["K"] });
    let gateway = open_with(document, &secrets).expect("right");
    let secret = Key::P256.private_jwk()["d"].as_str().expect("d").to_owned();
    assert!(!format!("{gateway:?}").contains(&secret));
}

#[wasm_bindgen_test(unsupported = test)]
fn text_of_callers_is_bounded() {
    let world = World::new();
    let request = Request::post("/mcp").modern().field("mcp-name", &"x".repeat(10_000)).bearer(&token(&Claims::good()));
    world.call(&gateway(), request);
    assert_eq!(world.last_request()["mcp_name"].as_str().map(str::len), Some(256));
}

#[wasm_bindgen_test(unsupported = test)]
fn traces_are_continued_or_begun() {
    let sent = |traceparent: Option<&str>| {
        let world = World::new();
        let mut request = Request::post("/mcp").bearer(&token(&Claims::good())).field("tracestate", "v=1");
        if let Some(traceparent) = traceparent {
            request = request.field("traceparent", traceparent);
        }
        world.call(&gateway(), request);
        let sent = world.sent().pop().expect("forwarded");
        let field = |name: &str| sent.fields.get(name).unwrap_or_default().to_owned();
        (
            field("traceparent"),
            field("tracestate"),
            world.last_request()["trace_id"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let id = "0af7651916cd43dd8448eb211c80319c";
    let (parent, state, logged) = sent(Some(&format!("00-{id}-b7ad6b7169203331-01")));
    assert!(
        parent.starts_with(&format!("00-{id}-")) && parent.ends_with("-01") && !parent.contains("b7ad6b7169203331")
    );
    assert_eq!((state.as_str(), logged.as_str()), ("v=1", id));
    let malformed = [
        format!("00-{id}-b7ad6b7169203331"),
        format!("00-{id}-b7ad6b7169203331-01-x"),
        format!("ff-{id}-b7ad6b7169203331-01"),
        format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
        format!("00-{id}-{}-01", "0".repeat(16)),
        format!("00-{}-b7ad6b7169203331-01", id.to_uppercase()),
        String::new(),
    ];
    for malformed in malformed.iter().map(|text| Some(text.as_str())).chain([None]) {
        let (parent, state, logged) = sent(malformed);
        assert_eq!((parent.len(), state.as_str(), logged.len()), (55, "", 32), "{malformed:?}");
        assert_ne!(logged, id);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn durations_are_shown_in_development_alone() {
    let reply = World::new().call(&gateway(), Request::post("/mcp").bearer(&token(&Claims::good())));
    assert_eq!(reply.field("server-timing"), "");
}

#[wasm_bindgen_test(unsupported = test)]
fn each_request_is_a_data_point_where_somebody_counts_them() {
    let world = World::new();
    let document = document_with(json!({ "log": { "requests": "refused", "analytics_engine": "REQUESTS" } }));
    let gateway = open_with(document, &TestSecrets::default()).expect("right");
    let call = |claims: Claims| {
        let request = Request::post("/mcp").modern().field("mcp-method", "tools/call").field("mcp-name", "add");
        world.call(&gateway, request.bearer(&token(&claims)));
    };
    call(Claims::good());
    call(Claims::good());
    call(Claims::good().without("scope"));
    world.call(&gateway, Request::get("/healthz"));
    let points = world.points();
    assert!(points.iter().all(|(binding, _)| binding == "REQUESTS"));
    let points: Vec<_> = points.into_iter().map(|(_, point)| point).collect();
    assert_eq!(points.len(), 4, "also where there is no line");
    let allowed = ["1", "/mcp", "allow", "forwarded", "idp", "modern", "tools/call", "add", "miss", "POST"];
    assert_eq!(points[0].blobs, allowed);
    assert_eq!(points[0].index, "/mcp");
    assert_eq!(points[0].doubles, [200.0, 0.0, 0.0, 0.0, 900.0]);
    assert_eq!(points[1].blobs[8], "hit");
    assert_eq!(points[2].blobs[2..5], ["deny", "insufficient_scope", "idp"]);
    assert_eq!(points[2].doubles, [403.0, 0.0, 0.0, -1.0, 900.0]);
    assert_eq!(points[3].blobs[1..4], ["", "allow", "public_document"]);
    assert_eq!(points[3].doubles, [200.0, 0.0, -1.0, -1.0, -1.0]);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_trace_is_told_in_the_words_of_the_conventions() {
    let (world, gateway) = (World::new(), gateway());
    let modern = |method: &str, name: &str| {
        Request::post("/mcp")
            .modern()
            .field("mcp-method", method)
            .field("mcp-name", name)
            .bearer(&token(&Claims::good()))
    };
    world.call(&gateway, modern("tools/call", "add"));
    world.call(&gateway, modern("resources/read", "file:///a"));
    world.call(&gateway, Request::post("/mcp"));
    world.call(&gateway, Request::get("/nothing"));
    let spans = world.spans();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["tools/call add", "resources/read", "POST /mcp", "GET"]);
    let has = |at: usize, name: &str| {
        spans[at].attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    for (at, name, value) in [
        (0, "http.request.method", Some("POST")),
        (0, "http.route", Some("/mcp")),
        (0, "mcp.method.name", Some("tools/call")),
        (0, "gen_ai.tool.name", Some("add")),
        (0, "gen_ai.operation.name", Some("execute_tool")),
        (0, "portcullis.decision", Some("allow")),
        (0, "error.type", None),
        (1, "mcp.resource.uri", Some("file:///a")),
        (1, "gen_ai.operation.name", None),
        (2, "error.type", Some("no_credentials")),
        (2, "portcullis.subject", None),
    ] {
        assert_eq!(has(at, name).as_deref(), value, "{at} {name}");
    }
    assert_eq!(spans.iter().map(|span| span.status).collect::<Vec<_>>(), [200, 200, 401, 404]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_line_names_the_path_of_what_is_no_resource() {
    let gateway = gateway();
    for (path, logged) in [
        ("/.well-known/oauth-protected-resource/mcp", json!("/.well-known/oauth-protected-resource/mcp")),
        ("/healthz", json!("/healthz")),
        ("/status", json!("/status")),
        ("/", json!("/")),
        ("/my-secret-path", Value::Null),
        ("/mcp", Value::Null),
        ("/metrics", Value::Null),
    ] {
        let world = World::new();
        world.call(&gateway, Request::get(path));
        assert_eq!(world.last_request()["path"], logged, "{path}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_line_says_that_the_subject_is_the_client() {
    let line = |claims: Claims| {
        let world = World::new();
        world.call(&gateway(), Request::post("/mcp").bearer(&token(&claims)));
        world.last_request()
    };
    assert_eq!(line(Claims::good())["subject_is_client"], Value::Null);
    assert_eq!(line(Claims::good().with("sub", json!("client-1")))["subject_is_client"], json!(true));
}
