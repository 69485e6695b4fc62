//! Hooks: services of the operator that are asked about calls and results.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use portcullis::mcp::events::{EventSplitter, data_of, with_data};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::guards::{logged, opened, text};
use crate::policy::{message, modern};
use crate::support::keys::token as sign;
use crate::support::{Claims, Reply, Request, World};

const URL: &str = "https://hook.example/ask";

fn gate(hooks: Value) -> Rc<Gateway> {
    opened(json!({ "hooks": hooks })).expect("the document is right")
}

fn one(more: Value) -> Rc<Gateway> {
    let mut hook = json!({ "id": "check", "url": URL });
    for (key, value) in more.as_object().expect("an object") {
        hook[key] = value.clone();
    }
    gate(json!([hook]))
}

/// A server that answers with what it was called with, and a hook that says what `says` gives for a question.
fn world(says: impl Fn(&Value) -> (u16, String) + 'static) -> World {
    let world = World::new();
    world.serve_by(|sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        let text = asked["params"]["arguments"].to_string();
        let result = json!({ "content": [{ "type": "text", "text": text }] });
        Some((200, "application/json", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
    });
    world.answer_by(move |asked, _| says(&serde_json::from_str(&asked.body).unwrap_or_default()));
    world
}

fn saying(answer: Value) -> World {
    world(move |_| (200, answer.to_string()))
}

fn call(world: &World, gateway: &Rc<Gateway>, arguments: Value) -> Reply {
    world.call(gateway, message(Claims::good(), "tools/call", json!({ "name": "pay", "arguments": arguments })))
}

#[wasm_bindgen_test(unsupported = test)]
fn a_hook_learns_who_calls_what() {
    let gateway = one(json!({}));
    let world = saying(json!({ "action": "pass" }));
    assert_eq!(text(&call(&world, &gateway, json!({ "amount": 5 }))), r#"{"amount":5}"#);
    let asked = world.asked();
    let [before, after] = asked.as_slice() else { panic!("two questions") };
    let (before, after): (Value, Value) =
        (serde_json::from_str(&before.body).expect("JSON"), serde_json::from_str(&after.body).expect("JSON"));
    for (question, phase) in [(&before, "arguments"), (&after, "results")] {
        assert_eq!((&question["version"], &question["phase"]), (&json!(1), &json!(phase)));
        assert_eq!(
            (&question["resource"], &question["method"], &question["name"]),
            (&json!("/mcp"), &json!("tools/call"), &json!("pay"))
        );
        assert_eq!(question["caller"]["issuer"], json!("https://login.example"), "{question}");
        assert!(question["request"].as_str().is_some_and(|id| id.len() == 32));
    }
    assert_eq!(before["arguments"], json!({ "amount": 5 }));
    assert_eq!(after["message"]["result"]["content"][0]["text"], json!(r#"{"amount":5}"#));
    assert!(!world.asked().iter().any(|asked| asked.body.contains("eyJ")), "no token");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_hook_denies_and_replaces() {
    let world = saying(json!({ "action": "deny", "reason": "Not before nine." }));
    let reply = call(&world, &one(json!({ "on": ["arguments"] })), json!({}));
    assert_eq!(text(&reply), "The gateway did not forward this call. Not before nine.");
    assert_eq!(reply.json()["result"]["isError"], json!(true));
    assert!(world.sent().is_empty());
    assert!(!world.lines().iter().any(|line| line.to_string().contains("nine")), "the log has none of its words");
    let reply = call(&world, &one(json!({ "on": ["results"] })), json!({}));
    assert_eq!(text(&reply), "The gateway holds back the result of this call. Not before nine.");
    assert_eq!(reply.json()["id"], json!(7));
    let prompt = world.call(&one(json!({})), message(Claims::good(), "prompts/get", json!({ "name": "p" })));
    assert_eq!(prompt.json()["error"]["code"], json!(-32602));

    let world = saying(json!({ "action": "replace", "arguments": { "amount": 1 } }));
    let request = modern(Claims::good(), "tools/call", json!({ "name": "pay", "arguments": { "amount": 5 } }))
        .field("mcp-param-amount", "5");
    let reply = world.call(&one(json!({ "on": ["arguments"] })), request);
    assert_eq!(text(&reply), r#"{"amount":1}"#);
    assert_eq!(world.sent()[0].fields.get("mcp-param-amount"), None, "a field that mirrors other arguments");
    let world = world_replacing(|message| message["result"]["content"][0]["text"] = json!("mine"));
    let reply = call(&world, &one(json!({ "on": ["results"] })), json!({}));
    assert_eq!((text(&reply), &reply.json()["id"]), ("mine".to_owned(), &json!(7)));
    assert!(logged(&world, "hook_acted")[0].ends_with("hook \"check\", replace: results"));
    let line: Value = serde_json::from_str(&world.decisions().pop().expect("a line")).expect("JSON");
    assert_eq!((&line["event"], &line["guard"], &line["action"]), (&json!("hook"), &json!("check"), &json!("replace")));
}

fn world_replacing(change: impl Fn(&mut Value) + 'static) -> World {
    world(move |question| {
        let mut message = question["message"].clone();
        change(&mut message);
        (200, json!({ "action": "replace", "message": message }).to_string())
    })
}

#[wasm_bindgen_test(unsupported = test)]
fn hooks_are_asked_in_order() {
    let hook = |id: &str| json!({ "id": id, "url": format!("https://{id}.example/"), "on": ["arguments"] });
    let gateway = gate(json!([hook("first"), hook("second"), hook("third")]));
    let world = World::new();
    world.serve_by(|sent| Some((200, "application/json", String::from_utf8(sent.body.clone()).expect("UTF-8"))));
    world.answer_by(|asked, _| {
        let question: Value = serde_json::from_str(&asked.body).expect("JSON");
        let seen = question["arguments"]["n"].as_u64().unwrap_or_default();
        let answer = match asked.url.as_str() {
            "https://third.example/" => json!({ "action": "pass" }),
            _ => json!({ "action": "replace", "arguments": { "n": seen + 1 } }),
        };
        (200, answer.to_string())
    });
    let reply = call(&world, &gateway, json!({ "n": 1 }));
    assert_eq!(reply.json()["params"]["arguments"], json!({ "n": 3 }), "{}", reply.body);
    let asked: Vec<String> = world.asked().iter().map(|asked| asked.url.clone()).collect();
    assert_eq!(asked, ["https://first.example/", "https://second.example/", "https://third.example/"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_answer_is_a_failure() {
    let answers = [
        (500, "{}".to_owned()),
        (200, "<html>".to_owned()),
        (200, "[]".to_owned()),
        (200, "{}".to_owned()),
        (200, json!({ "action": "allow" }).to_string()),
        (200, json!({ "action": "pass", "arguments": {} }).to_string()),
        (200, json!({ "action": "replace" }).to_string()),
        (200, json!({ "action": "replace", "arguments": [1] }).to_string()),
        (200, json!({ "action": "replace", "arguments": {}, "message": {} }).to_string()),
        (200, json!({ "action": "deny", "reason": 5 }).to_string()),
        (200, r#"{"action":"deny","action":"pass"}"#.to_owned()),
    ];
    for (status, body) in answers {
        let said = body.clone();
        let world = world(move |_| (status, said.clone()));
        let reply = call(&world, &one(json!({ "on": ["arguments"] })), json!({ "a": 1 }));
        let refused = "The gateway did not forward this call. A check of the operator did not answer. Try again.";
        assert_eq!(text(&reply), refused, "{status} {body}");
        assert!(world.sent().is_empty());
        assert_eq!(logged(&world, "hook_failed").len(), 2, "{body}");
        let reply = call(&world, &one(json!({ "on": ["arguments"], "on_failure": "pass" })), json!({ "a": 1 }));
        assert_eq!(text(&reply), r#"{"a":1}"#, "{status} {body}");
    }
    for change in [
        |message: &mut Value| message["id"] = json!(8),
        |message: &mut Value| message["method"] = json!("ping"),
        |message: &mut Value| drop(message.as_object_mut().map(|members| members.remove("result"))),
    ] {
        let reply = call(&world_replacing(change), &one(json!({ "on": ["results"] })), json!({}));
        assert!(text(&reply).contains("did not answer") && reply.json()["id"] == json!(7), "{}", reply.body);
    }
    let small = one(json!({ "on": ["arguments"], "bytes": 10 }));
    let world = saying(json!({ "action": "pass" }));
    assert!(text(&call(&world, &small, json!({ "a": "long enough" }))).contains("more than 10 bytes"));
    assert!(world.asked().is_empty());
    let body = json!([{ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "pay" } },
        { "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "pay" } }]);
    let batch = Request::post("/mcp").bearer(&sign(&Claims::good())).body(body.to_string().as_bytes());
    assert_eq!(world.call(&one(json!({ "on": ["arguments"] })), batch).status, 403);
}

#[wasm_bindgen_test(unsupported = test)]
fn each_message_of_a_stream_is_asked_about() {
    for chunk in [1, 5, 10_000] {
        let gateway = one(json!({ "on": ["results"] }));
        let world = World::new();
        world.serve_by(|sent| {
            let asked: Value = serde_json::from_slice(&sent.body).ok()?;
            let note = |text: &str| json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": text } });
            let end = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "content": [{ "type": "text", "text": "bad" }] } });
            let body = format!(": hello\r\n\r\nid: 1\ndata: {}\n\nid: 2\ndata: {}\n\ndata: {end}\n\n", note("good"), note("bad"));
            Some((200, "text/event-stream", body))
        });
        world.origin_body(b"", chunk);
        world.answer_by(|asked, _| {
            let question: Value = serde_json::from_str(&asked.body).expect("JSON");
            let is_bad = question["message"].to_string().contains("bad");
            let answer = if is_bad { json!({ "action": "deny" }) } else { json!({ "action": "pass" }) };
            (200, answer.to_string())
        });
        let reply = call(&world, &gateway, json!({}));
        assert!(
            reply.body.contains(": hello") && reply.body.contains("good") && !reply.body.contains("bad"),
            "{}",
            reply.body
        );
        assert!(
            reply.body.contains("A check of the operator denies it.") && reply.body.contains("\"id\":7"),
            "{}",
            reply.body
        );
        assert_eq!(world.asked().len(), 3);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn targets_and_conditions_choose_what_is_asked_about() {
    let gateway = one(json!({ "tools": ["send_*"], "when": { "groups": ["contractors"] }, "on": ["arguments"] }));
    let world = saying(json!({ "action": "deny" }));
    assert_eq!(text(&call(&world, &gateway, json!({}))), "{}");
    let of = |claims: Claims, tool: &str| {
        world.call(&gateway, message(claims, "tools/call", json!({ "name": tool, "arguments": {} })))
    };
    assert_eq!(text(&of(Claims::good(), "send_mail")), "{}");
    let contractor = || Claims::good().with("groups", json!(["contractors"]));
    assert!(text(&of(contractor(), "send_mail")).contains("denies it"));
    assert!(text(&of(contractor(), "SEND_mail")).contains("denies it"), "letter case is no way around it");
    let list = world.call(&gateway, message(contractor(), "tools/list", json!({})));
    assert_eq!(list.status, 200);
    assert_eq!(world.asked().len(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn wrong_hooks_are_mistakes() {
    let refused = |hooks: Value, says: &str| {
        let mistakes = opened(json!({ "hooks": hooks })).err().unwrap_or_default();
        assert!(mistakes.contains(says), "{says}: {mistakes}");
    };
    refused(json!([]), "resources[0].hooks: must have 1 to 8 entries");
    refused(json!([{ "id": "a" }]), "hooks[0]: needs url or service");
    refused(json!([{ "url": "http://hook.example/" }]), "hooks[0].url: must be https");
    refused(json!([{ "url": URL, "secret": "NOTHING" }]), "hooks[0].secret: there is no Worker secret");
    refused(json!([{ "url": URL, "on": [] }]), "hooks[0].on: must not be empty");
    refused(json!([{ "url": URL, "timeout_seconds": 31 }]), "hooks[0].timeout_seconds: must be 1 to 30");
    refused(json!([{ "url": URL, "bytes": 0 }]), "hooks[0].bytes: must be 1 to 1048576");
    refused(json!([{ "url": URL, "on_failure": "open" }]), "hooks[0].on_failure");
    refused(
        json!([{ "id": "a", "url": URL }, { "id": "a", "url": URL }]),
        "hooks[1].id: \"a\" is the id of another hook too",
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn events_are_split_as_they_are_written() {
    let stream = ": c\r\n\r\ndata: {\"a\":\rdata: 1}\r\rid: 1\nevent: message\ndata:{}\n\n";
    for chunk in [1, 3, 100] {
        let mut splitter = EventSplitter::default();
        let events: Vec<Vec<u8>> = stream.as_bytes().chunks(chunk).flat_map(|part| splitter.push(part)).collect();
        assert_eq!(events.concat(), stream.as_bytes(), "{chunk}");
        let data: Vec<_> = events.iter().filter_map(|event| data_of(event).expect("UTF-8")).collect();
        assert_eq!(data, ["{\"a\":\n1}", "{}"]);
        let last = events.last().expect("an event");
        assert_eq!(String::from_utf8(with_data(last, "[]")).expect("UTF-8"), "id: 1\nevent: message\ndata: []\n\n");
    }
}
