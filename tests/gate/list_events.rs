//! Lists in event streams, and what some clients read otherwise.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::lists::{EVENTS, every_chunking, list, listed, rules};
use crate::policy::{gate, message};
use crate::support::{Claims, Reply, Request, World, token};

#[wasm_bindgen_test(unsupported = test)]
fn lists_in_events() {
    let gateway = gate(rules());
    let one = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"none"},{"name":"read_a"}]}}"#;
    let kept = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read_a"}]}}"#;
    for end in ["\n", "\r", "\r\n"] {
        let stream = format!(
            "\u{feff}: hello{end}id: 1{end}data:{end}{end}retry: 5{end}event: message{end}data: {one}{end}id: 2{end}{end}data:{}{end}{end}data: {{\"method\":\"notifications/x\"}}{end}{end}event: ping{end}data: not json{end}data: at all{end}{end}data: unfinished",
            one.replace(',', &format!(",{end}data: ")),
        );
        let reply = every_chunking(&gateway, &list("tools/list"), EVENTS, &stream);
        assert_eq!(
            reply.body,
            format!(
                ": hello\nid: 1\ndata:\n\nretry: 5\nevent: message\ndata: {kept}\nid: 2\n\ndata: {kept}\n\ndata: {{\"method\":\"notifications/x\"}}\n\nevent: ping\ndata: not json\ndata: at all\n\n"
            )
        );
    }
    // What an old-era stream carries was asked for elsewhere.
    let get = Request::get("/mcp").bearer(&token(&Claims::good()));
    assert_eq!(every_chunking(&gateway, &get, EVENTS, &format!("data: {one}\n\n")).body, format!("data: {kept}\n\n"));
    // Other answers are nobody's business.
    let call = message(Claims::good(), "tools/call", json!({ "name": "read_a" }));
    assert_eq!(listed(&gateway, call, EVENTS, &format!("data: {one}\r\n\r\n"), 5).body, format!("data: {one}\r\n\r\n"));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_event_stream_that_cannot_be_judged_ends_with_an_error_at_once() {
    let gateway = gate(rules());
    let bad = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":{"none":{"name":"none"}}}}"#;
    for (before, chunk) in [
        (String::new(), 3),
        (": hello\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n".to_owned(), 1000),
    ] {
        let world = World::new();
        world.origin(Ok((200, &[("content-type", "text/event-stream")])));
        world.origin_body(format!("{before}data: {bad}\n\ndata: {{\"more\":1}}\n\n").as_bytes(), chunk);
        let reply = world.call(&gateway, list("tools/list"));
        assert_eq!(reply.status, 200);
        let rest = reply.body.strip_prefix(&before).expect("what came before passes");
        let data =
            rest.strip_prefix("event: message\ndata: ").and_then(|rest| rest.strip_suffix("\n\n")).expect("one event");
        let error: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!((&error["id"], &error["error"]["code"]), (&json!(7), &json!(502)), "the client gets it at once");
        assert!(!reply.body.contains("none") && !reply.body.contains("more"));
        assert!(world.lines().iter().any(|line| line["reason"] == "list_malformed"), "and the log says why");
    }
    // A large event of which a part went on is ended first.
    let items: Vec<String> =
        (0..2_000).map(|at| format!("{{\"name\":\"read_{at}\",\"x\":\"{}\"}}", "x".repeat(60))).collect();
    let large = format!(
        "data: {{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{{\"tools\":[{}],\"tools\":[]}}}}\n\n",
        items.join(",")
    );
    let world = World::new();
    world.origin(Ok((200, &[("content-type", "text/event-stream")])));
    world.origin_body(large.as_bytes(), 4_096);
    let body = world.call(&gateway, list("tools/list")).body;
    let (broken, error) = body.split_once("\n\n").expect("the broken event ends");
    assert!(broken.starts_with("data: {") && error.starts_with("event: message\ndata: {\"error\""), "{}", &error[..80]);
    // The same where it turns out at its end that it is cut short.
    let world = World::new();
    world.origin(Ok((200, &[("content-type", "text/event-stream")])));
    world.origin_body(large.replace("],\"tools\":[]}}", "").as_bytes(), 4_096);
    let body = world.call(&gateway, list("tools/list")).body;
    let (_, error) = body.split_once("\n\n").expect("the broken event ends");
    assert!(error.starts_with("event: message\ndata: {\"error\""), "{}", &error[..80]);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_some_clients_read_otherwise_is_refused_under_rules() {
    let gateway = gate(rules());
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"none"},{"name":"read_a"}]}}"#;
    let events = format!("data: {body}\n\n");
    let ask = |request: Request, fields: &[(&'static str, &str)], status: u16, body: &str| {
        let world = World::new();
        world.origin(Ok((status, fields)));
        world.origin_body(body.as_bytes(), 64);
        world.call(&gateway, request)
    };
    let stream = || Request::get("/mcp").bearer(&token(&Claims::good())).field("mcp-protocol-version", "2025-11-25");
    for media_type in [
        "text/event-stream; charset=utf-7",
        "text/event-stream; charset=\"utf-16le\"",
        "text/event-stream;CHARSET=cp037",
        "text/event-streamx",
        "text/event-stream, text/plain",
    ] {
        for request in [list("tools/list"), stream()] {
            let reply = ask(request, &[("content-type", media_type)], 200, &events);
            assert!(reply.status == 502 && !reply.body.contains("none"), "{media_type}: {}", reply.body);
        }
    }
    let reply = ask(list("tools/list"), &[("content-type", "text/event-stream; charset=UTF-8")], 200, &events);
    assert!(reply.status == 200 && !reply.body.contains("none"), "{}", reply.body);
    // JSON under other names and other statuses of success is read by some.
    for (media_type, status) in [("application/jsonx", 200), ("application/json-seq", 201), ("text/plain", 203)] {
        let reply = ask(list("tools/list"), &[("content-type", media_type)], status, body);
        assert!(!reply.body.contains("none"), "{media_type} {status}: {}", reply.body);
    }
    // A content coding that the platform does not decode (RFC 9110 §8.4).
    for coding in ["deflate", "zstd", "GZIP", "gzip, br"] {
        let coded = [("content-type", "application/json"), ("content-encoding", coding)];
        let reply = ask(list("tools/list"), &coded, 200, body);
        assert_eq!((reply.status, reply.json()["id"].clone()), (502, json!(7)), "{coding}");
        let call = message(Claims::good(), "tools/call", json!({ "name": "read_a" }));
        let reply = ask(call, &coded, 200, "coded");
        assert_eq!((reply.status, reply.field("content-encoding"), reply.body.as_str()), (200, coding, "coded"));
    }
    for coding in ["gzip", "br"] {
        let coded = [("content-type", "application/json"), ("content-encoding", coding), ("content-length", "5")];
        let reply = ask(list("tools/list"), &coded, 200, body);
        assert_eq!((reply.status, reply.field("content-encoding"), reply.field("content-length")), (200, "", ""));
    }
}

fn opened(gateway: &Rc<Gateway>, status: u16, media_type: &str, body: &str, chunk: usize) -> Reply {
    let world = World::new();
    world.origin(Ok((status, &[("content-type", media_type)])));
    world.origin_body(body.as_bytes(), chunk);
    let request = Request::get("/mcp").bearer(&token(&Claims::good())).field("mcp-protocol-version", "2025-11-25");
    world.call(gateway, request)
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_get_brings_is_a_stream_of_events_or_nothing() {
    let gateway = gate(rules());
    let event = "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[{\"name\":\"none\"}]}}\n\n";
    for media_type in ["application/octet-stream", "text/plain", "application/json", "text/html"] {
        for status in [200, 201, 206] {
            let reply = opened(&gateway, status, media_type, event, 16);
            assert!(reply.status == 502 && !reply.body.contains("none"), "{media_type}: {}", reply.body);
        }
    }
    assert_eq!(opened(&gateway, 405, "application/json", "{}", 16).status, 405, "most servers have none");
}

#[wasm_bindgen_test(unsupported = test)]
fn one_bad_event_does_not_end_a_stream_of_others() {
    let gateway = gate(rules());
    let good = |id: usize| {
        format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"tools\":[{{\"name\":\"read_a\"}}]}}}}\n\n")
    };
    for (bad, id) in [
        (
            r#"{"jsonrpc":"2.0","id":"x","result":{"tools":[{"name":"none"}],"tools":[{"name":"none"}]}}"#,
            Some(json!("x")),
        ),
        (r#"{"jsonrpc":"2.0","id":8,"result":{"tools":{"none":1}}}"#, Some(json!(8))),
        (r#"{"jsonrpc":"2.0","id":8,"result":{"Tools":[{"name":"none"}]}}"#, Some(json!(8))),
        (r#"{"jsonrpc":"2.0","id":8,"id":9,"result":{"tools":{"none":1}}}"#, None),
        (r#"{"none":"#, None),
        // It asks for something itself, and its id is another's.
        (r#"{"jsonrpc":"2.0","id":8,"method":"x","result":{"tools":{"none":1}}}"#, None),
        ("\u{feff}{\"none\":1}", None),
    ] {
        let stream = format!("{}data: {bad}\n\n{}", good(1), good(2));
        for chunk in [1, 7, stream.len()] {
            let reply = opened(&gateway, 200, "text/event-stream", &stream, chunk);
            assert_eq!(reply.status, 200);
            assert!(!reply.body.contains("none"), "{bad}: {}", reply.body);
            let events: Vec<Value> =
                reply.body.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
            let ids: Vec<&Value> = events.iter().map(|event| &event["id"]).collect();
            let expected: Vec<Value> = std::iter::once(json!(1)).chain(id.clone()).chain([json!(2)]).collect();
            assert_eq!(ids, expected.iter().collect::<Vec<_>>(), "{bad} in pieces of {chunk}");
        }
    }
}
