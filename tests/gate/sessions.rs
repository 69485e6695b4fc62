//! Old-era sessions are their callers' own.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{message, modern};
use crate::support::{Claims, Request, TestSecrets, World, document_with, open_with, token};

const OLD: &str = "old-0123456789abcdef0123456789abcdef";
const NEW: &str = "new-0123456789abcdef0123456789abcdef";

fn gate(secrets: Value, more: Value) -> Rc<Gateway> {
    let known = TestSecrets(vec![("OLD", OLD.to_owned()), ("NEW", NEW.to_owned())]);
    let mut document = document_with(json!({ "sessions": { "secrets": secrets, "seconds": 3600 } }));
    for (key, value) in more.as_object().expect("an object") {
        document[key] = value.clone();
    }
    open_with(document, &known).expect("the document is right")
}

const BEGUN: &[(&str, &str)] = &[("content-type", "application/json"), ("mcp-session-id", "origin-session-1")];

/// Begins a session; its id as the caller knows it.
fn begin(world: &World, gateway: &Rc<Gateway>, claims: Claims) -> String {
    world.origin(Ok((200, BEGUN)));
    let mut request = message(claims, "initialize", json!({}));
    request.head.fields.remove("mcp-protocol-version");
    world.call(gateway, request).field("mcp-session-id").to_owned()
}

fn go_on(world: &World, gateway: &Rc<Gateway>, claims: Claims, session: &str) -> (u16, Option<String>) {
    let before = world.sent().len();
    let status = world.call(gateway, message(claims, "tools/list", json!({})).field("mcp-session-id", session)).status;
    let sent = world.sent().get(before).map(|sent| sent.fields.get("mcp-session-id").unwrap_or_default().to_owned());
    (status, sent)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_is_its_callers_own() {
    let gateway = gate(json!(["NEW"]), json!({}));
    let world = World::new();
    let session = begin(&world, &gateway, Claims::good());
    assert!(!session.contains("origin-session-1") && session.bytes().all(|b| b.is_ascii_graphic()));
    assert_eq!(go_on(&world, &gateway, Claims::good(), &session), (200, Some("origin-session-1".to_owned())));
    // A new token of the same caller, with other scopes, goes on.
    let refreshed = Claims::good().with("jti", json!("2")).with("scope", json!("mcp:tools more"));
    assert_eq!(go_on(&world, &gateway, refreshed, &session).0, 200);
    // Nobody else does.
    for (claim, value) in [("sub", "eve"), ("client_id", "client-2")] {
        assert_eq!(go_on(&world, &gateway, Claims::good().with(claim, json!(value)), &session), (404, None), "{claim}");
    }
    assert_eq!(go_on(&world, &gateway, Claims::good().without("client_id"), &session), (404, None));
    // Nor is it one anywhere else, or when it was changed in any place.
    let admin = Claims::good().with("aud", json!("https://gate.example/mcp/admin")).with("scope", json!("admin"));
    let elsewhere = Request::post("/mcp/admin").bearer(&token(&admin)).field("mcp-session-id", &session);
    assert_eq!(world.call(&gateway, elsewhere).status, 404);
    for at in 0..session.len() {
        let mut changed = session.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("text");
        assert_eq!(go_on(&world, &gateway, Claims::good(), &changed), (404, None), "{at}");
    }
    for wrong in ["origin-session-1", "", "x", &session[..40], &format!("{session}A"), &"A".repeat(9_000)] {
        assert_eq!(go_on(&world, &gateway, Claims::good(), wrong), (404, None), "{wrong}");
    }
    // It ends as configuration says, and DELETE ends it at the origin server.
    let delete = |world: &World| {
        let mut request = message(Claims::good(), "x", json!({})).field("mcp-session-id", &session);
        request.head.method = portcullis::transport::head::Method::Delete;
        world.call(&gateway, request).status
    };
    assert_eq!(delete(&world), 200);
    let sent = world.sent().pop().expect("forwarded");
    assert_eq!((sent.method, sent.fields.get("mcp-session-id")), ("DELETE", Some("origin-session-1")));
    let later = || Claims::good().with("exp", json!(crate::support::world::NOON + 9_000));
    world.pass(3_599);
    assert_eq!(go_on(&world, &gateway, later(), &session).0, 200);
    world.pass(1);
    assert_eq!(go_on(&world, &gateway, later(), &session), (404, None));
}

#[wasm_bindgen_test(unsupported = test)]
fn secrets_rotate_without_ending_sessions() {
    let world = World::new();
    let session = begin(&world, &gate(json!(["OLD"]), json!({})), Claims::good());
    assert_eq!(go_on(&world, &gate(json!(["NEW", "OLD"]), json!({})), Claims::good(), &session).0, 200);
    assert_eq!(go_on(&world, &gate(json!(["NEW"]), json!({})), Claims::good(), &session).0, 404);
    let other = begin(&world, &gate(json!(["NEW", "OLD"]), json!({})), Claims::good());
    assert_eq!(go_on(&world, &gate(json!(["OLD"]), json!({})), Claims::good(), &other).0, 404);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_modern_era_has_none() {
    let gateway = gate(json!(["NEW"]), json!({}));
    let world = World::new();
    world.origin(Ok((200, BEGUN)));
    let reply = world.call(&gateway, modern(Claims::good(), "tools/list", json!({})).field("mcp-session-id", "any"));
    assert_eq!((reply.status, reply.field("mcp-session-id")), (200, ""));
    assert_eq!(world.sent()[0].fields.get("mcp-session-id"), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn revocation_ends_sessions() {
    let gateway = gate(json!(["NEW"]), json!({ "revocation": { "kv": "KV" } }));
    let world = World::new();
    world.put("KV", "revocations", Ok(r#"{"version":1}"#));
    let session = begin(&world, &gateway, Claims::good());
    let now = crate::support::world::NOON;
    let fresh =
        |world: &World| Claims::good().with("iat", json!(world.time().seconds())).with("exp", json!(now + 9_000));
    assert_eq!(go_on(&world, &gateway, fresh(&world), &session).0, 200);
    world.pass(60);
    let revoked = json!({ "version": 1, "issued_before": [{ "sub": "ada", "before": now + 30 }] });
    world.put("KV", "revocations", Ok(&revoked.to_string()));
    world.pass(60);
    // A token from after that moment is good, the session from before it is not.
    assert_eq!(go_on(&world, &gateway, fresh(&world), &session), (404, None));
    let again = begin(&world, &gateway, fresh(&world));
    assert_eq!(go_on(&world, &gateway, fresh(&world), &again).0, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_transport_of_2024_stays_behind_the_gate() {
    let gateway = gate(json!(["NEW"]), json!({}));
    let open = |data: &str| {
        let world = World::new();
        world.origin(Ok((200, &[("content-type", "text/event-stream")])));
        world.origin_body(
            format!("event: endpoint\ndata: {data}\n\nevent: message\ndata: {{\"x\":1}}\n\n").as_bytes(),
            3,
        );
        let reply = world.call(&gateway, Request::get("/mcp").bearer(&token(&Claims::good())));
        (reply.status, reply.body)
    };
    let post = |target: &str, claims: Claims| {
        let world = World::new();
        let mut request = message(claims, "tools/list", json!({}));
        request.head.url = format!("https://gate.example{target}");
        (world.call(&gateway, request).status, world.sent().pop().map(|sent| sent.url))
    };
    for (said, goes_to) in [
        ("/messages?sessionId=abc", "https://tools.example/messages?sessionId=abc"),
        ("https://tools.example/messages?s=1", "https://tools.example/messages?s=1"),
        ("messages", "https://tools.example/messages"),
        ("?s=1", "https://tools.example/mcp?s=1"),
    ] {
        let (status, body) = open(said);
        assert_eq!(status, 200);
        let data = body.lines().nth(1).and_then(|line| line.strip_prefix("data: ")).expect("the endpoint").to_owned();
        assert!(data.starts_with("/mcp?portcullis-endpoint=") && !data.contains("messages"), "{data}");
        assert!(body.ends_with("\n\nevent: message\ndata: {\"x\":1}\n\n"), "{body}");
        assert_eq!(post(&data, Claims::good()), (200, Some(goes_to.to_owned())));
        assert_eq!(post(&data, Claims::good().with("sub", json!("eve"))), (404, None));
        assert_eq!(post(&format!("{data}A"), Claims::good()), (404, None));
    }
    for elsewhere in [
        "https://evil.example/messages",
        "//evil.example/x",
        "http://tools.example/x",
        "/a/../b",
        "/a%2f..%2fb",
        "javascript:alert(1)",
        "/a\\b",
        "https://tools.example.evil.example/x",
    ] {
        assert_eq!(open(elsewhere).1, "", "{elsewhere}: the stream ends before the event");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_that_repeats_the_id_does_not_renew_the_session() {
    let gateway = gate(json!(["NEW"]), json!({}));
    let world = World::new();
    let session = begin(&world, &gateway, Claims::good());
    world.pass(3_000);
    let later = || Claims::good().with("exp", json!(crate::support::world::NOON + 9_000));
    let reply = world.call(&gateway, message(later(), "ping", json!({})).field("mcp-session-id", &session));
    assert_eq!(reply.field("mcp-session-id"), session);
    world.pass(600);
    assert_eq!(go_on(&world, &gateway, later(), &session), (404, None));
}

/// What a stream of events looks like to its caller, and what reaches the origin server when the caller comes back for more.
#[wasm_bindgen_test(unsupported = test)]
fn ids_of_events_are_their_callers_own() {
    let gateway = gate(json!(["NEW", "OLD"]), json!({}));
    let world = World::new();
    let session = begin(&world, &gateway, Claims::good());
    world.origin(Ok((200, &[("content-type", "text/event-stream")])));
    let stream =
        "id: 17\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\n\ndata:{}}\n\n: ping\n\nid\ndata: x\n\nid: 18\ndata:\n\n";
    let reads = |chunk: usize| {
        world.origin_body(stream.as_bytes(), chunk);
        let request = message(Claims::good(), "ping", json!({})).field("mcp-session-id", &session);
        world.call(&gateway, request).body
    };
    let body = reads(1_000);
    assert_eq!(reads(1), body, "wherever it is cut");
    let ids: Vec<&str> = body.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    let expected = stream.replace("id: 17", &format!("id: {}", ids[0])).replace("id: 18", &format!("id: {}", ids[1]));
    assert_eq!(body, expected.replace("data:{}}", "data: {}}"), "nothing else changes");
    assert!(ids[0].ends_with(".17") && ids[0].len() == 25 && ids[1].ends_with(".18"), "{ids:?}");
    let resume = |claims: Claims, session: Option<&str>, id: &str| {
        let before = world.sent().len();
        let mut request = Request::get("/mcp")
            .bearer(&token(&claims))
            .field("mcp-protocol-version", "2025-11-25")
            .field("accept", "text/event-stream")
            .field("last-event-id", id);
        if let Some(session) = session {
            request = request.field("mcp-session-id", session);
        }
        let status = world.call(&gateway, request).status;
        (status, world.sent().get(before).map(|sent| sent.fields.get("last-event-id").map(str::to_owned)))
    };
    assert_eq!(resume(Claims::good(), Some(&session), ids[0]), (200, Some(Some("17".to_owned()))));
    // A new token of the same caller goes on; no other caller, no other session, no id that was not given out.
    let refreshed = Claims::good().with("jti", json!("2"));
    assert_eq!(resume(refreshed, Some(&session), ids[1]), (200, Some(Some("18".to_owned()))));
    let eve = || Claims::good().with("sub", json!("eve"));
    let hers = begin(&world, &gateway, eve());
    world.origin(Ok((200, &[("content-type", "text/event-stream")])));
    assert_eq!(resume(eve(), Some(&hers), ids[0]), (404, None));
    assert_eq!(resume(Claims::good(), None, ids[0]), (404, None));
    for id in ["17", ".17", &format!("{}8", ids[0]), &ids[0].replace(".17", ".18"), &ids[0][1..]] {
        assert_eq!(resume(Claims::good(), Some(&session), id), (404, None), "{id}");
    }
    assert_eq!(resume(Claims::good(), Some(&session), ""), (200, Some(None)), "none is named");
}

/// Clients of the transport of 2024-11-05 give their connection up where a POST is refused.
#[wasm_bindgen_test(unsupported = test)]
fn a_refusal_in_the_transport_of_2024_comes_as_an_answer() {
    let known = TestSecrets(vec![("NEW", NEW.to_owned())]);
    let mut document = crate::policy::with_rules(
        json!([
            { "effect": "allow", "tools": ["read"] },
            { "effect": "step_up", "scopes": ["files:write"], "tools": ["write"] },
        ]),
        json!({}),
    );
    document["sessions"] = json!({ "secrets": ["NEW"] });
    let gateway = open_with(document, &known).expect("right");
    let world = World::new();
    world.origin(Ok((200, &[("content-type", "text/event-stream")])));
    world.origin_body(b"event: endpoint\ndata: /messages?s=1\n\n", 100);
    let stream = world.call(&gateway, Request::get("/mcp").bearer(&token(&Claims::good()))).body;
    let endpoint = stream.lines().nth(1).and_then(|line| line.strip_prefix("data: ")).expect("the endpoint").to_owned();
    world.origin(Ok((202, &[])));
    world.origin_body(b"", 1);
    let post = |body: Value| {
        let before = world.sent().len();
        let request = message(Claims::good(), "x", json!({})).target(&endpoint).body(body.to_string().as_bytes());
        let status = world.call(&gateway, request).status;
        let sent = world.sent().get(before).map(|sent| serde_json::from_slice::<Value>(&sent.body).expect("JSON"));
        (status, sent, world.last_request()["reason"].clone())
    };
    let call = |tool: &str| json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": { "name": tool } });
    let refused = json!({ "jsonrpc": "2.0", "id": "a", "method": "portcullis/refused" });
    assert_eq!(post(call("read")), (202, Some(call("read")), json!("forwarded")));
    assert_eq!(post(call("write")), (202, Some(refused.clone()), json!("insufficient_scope")));
    assert_eq!(world.last_request()["decision"], "deny");
    assert_eq!(post(call("none")), (202, Some(refused), json!("not_permitted")));
    let unknown = json!({ "jsonrpc": "2.0", "method": "notifications/none" });
    let instead = json!({ "jsonrpc": "2.0", "method": "notifications/portcullis-refused" });
    assert_eq!(post(unknown), (202, Some(instead), json!("not_permitted")));
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
    assert_eq!(post(answer.clone()), (202, Some(answer), json!("forwarded")));
}
