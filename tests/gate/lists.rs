//! Lists show what their reader may use, whole or in pieces, as JSON and as events.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{gate, message, modern, scope, with_rules};
use crate::support::{Claims, Reply, Request, World, open, token};

pub const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
pub const EVENTS: &[(&str, &str)] = &[("content-type", "text/event-stream")];

pub fn rules() -> Value {
    json!([
        { "effect": "allow", "tools": ["read_*"], "prompts": ["hello"], "resources": ["file:///docs/*"] },
        { "effect": "step_up", "scopes": ["files:write"], "tools": ["write_*"] },
        { "effect": "allow", "tools": ["admin"], "when": { "roles": ["admin"] } },
    ])
}

/// What a caller gets of an answer that comes in pieces of so many bytes.
pub fn listed(
    gateway: &Rc<Gateway>,
    request: Request,
    fields: &'static [(&str, &str)],
    body: &str,
    chunk: usize,
) -> Reply {
    let world = World::new();
    world.origin(Ok((200, fields)));
    world.origin_body(body.as_bytes(), chunk);
    world.call(gateway, request)
}

pub fn list(method: &str) -> Request {
    message(Claims::good(), method, json!({}))
}

pub fn every_chunking(gateway: &Rc<Gateway>, request: &Request, fields: &'static [(&str, &str)], body: &str) -> Reply {
    let whole = listed(gateway, request.clone(), fields, body, body.len());
    for chunk in 1..24 {
        let pieces = listed(gateway, request.clone(), fields, body, chunk);
        assert_eq!((pieces.status, &pieces.body), (whole.status, &whole.body), "in pieces of {chunk}");
    }
    whole
}

#[wasm_bindgen_test(unsupported = test)]
fn items_that_may_be_used_and_no_others() {
    let gateway = gate(rules());
    let body = r#" { "jsonrpc" : "2.0", "id":7, "result": { "tools": [
        {"name":"admin","inputSchema":{"name":"read_x"}}, {"name":"read_a","x":1.0,"big":123456789012345678901234567890,"_meta":{"a":[1, 2]}},
        {"inputSchema":{"type":"object"},"name":"write_b"} , {"n\u0061me":"read_\u0062"}], "nextCursor":"c\"]}", "_meta":{"tools":[{"name":"admin"}]}, "ttlMs":5,
        "unknown":[{"tools":[1]}] } }
"#;
    let reply = every_chunking(&gateway, &list("tools/list"), JSON, body);
    let expected = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read_a","x":1.0,"big":123456789012345678901234567890,"_meta":{"a":[1, 2]}},{"n\u0061me":"read_\u0062"}],"nextCursor":"c\"]}","_meta":{"tools":[{"name":"admin"}]},"ttlMs":5,"unknown":[{"tools":[1]}]}}"#;
    assert_eq!(reply.body, expected);
    for (method, body, kept) in [
        ("prompts/list", r#"{"prompts":[{"name":"hello"},{"name":"secret"}]}"#, r#"{"prompts":[{"name":"hello"}]}"#),
        (
            "resources/list",
            r#"{"resources":[{"uri":"file:///etc/x","name":"hello"},{"uri":"file:///docs/x"}]}"#,
            r#"{"resources":[{"uri":"file:///docs/x"}]}"#,
        ),
        (
            "resources/templates/list",
            r#"{"resourceTemplates":[{"uriTemplate":"file:///{x}"},{"uriTemplate":"file:///docs/{x}"}]}"#,
            r#"{"resourceTemplates":[{"uriTemplate":"file:///docs/{x}"}]}"#,
        ),
        ("tools/list", r#"{"tools":[]}"#, r#"{"tools":[]}"#),
        ("tools/list", r#"{"tools":[{"name":"x"}]}"#, r#"{"tools":[]}"#),
    ] {
        let whole = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#);
        assert_eq!(every_chunking(&gateway, &list(method), JSON, &whole(body)).body, whole(kept), "{method}");
    }
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no tools"}}"#;
    assert_eq!(every_chunking(&gateway, &list("tools/list"), JSON, error).body, error);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_admin_sees_more_and_a_mark_says_what_a_step_up_would_open() {
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"admin"},{"name":"write_a"},{"name":"write_b","_meta":{}},{"name":"write_c","_meta":{"x":1}},{"name":"none"}]}}"#;
    let hiding = gate(rules());
    let admin = || Claims::good().with("roles", json!(["admin"]));
    let names = |reply: &Reply| -> Vec<String> {
        reply.json()["result"]["tools"]
            .as_array()
            .expect("tools")
            .iter()
            .map(|tool| tool["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    let seen = |gateway: &Rc<Gateway>, claims: Claims| {
        every_chunking(gateway, &message(claims, "tools/list", json!({})), JSON, body)
    };
    assert_eq!(names(&seen(&hiding, Claims::good())), Vec::<String>::new());
    assert_eq!(names(&seen(&hiding, admin())), ["admin"]);
    assert_eq!(names(&seen(&hiding, scope("mcp:tools files:write"))), ["write_a", "write_b", "write_c"]);
    let marking = open(with_rules(rules(), json!({ "step_up_in_lists": "mark" }))).expect("right");
    let reply = seen(&marking, Claims::good());
    assert_eq!(names(&reply), ["write_a", "write_b", "write_c"]);
    let tools = &reply.json()["result"]["tools"];
    for at in 0..3 {
        assert_eq!(tools[at]["_meta"]["portcullis/step-up"], json!({ "scopes": ["files:write"] }));
    }
    assert_eq!(tools[2]["_meta"]["x"], json!(1));
    // What the server says under that name is not believed, whichever way it writes it.
    let forged = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[
        {"name":"write_a","_meta":{"portcullis/step-up":{"scopes":["none"]},"x":1}},
        {"name":"read_a","_meta":{"portcullis\/step\u002dup":{"scopes":["all"]},"y":[1, 2]}}]}}"#;
    let reply = every_chunking(&marking, &message(Claims::good(), "tools/list", json!({})), JSON, forged);
    assert_eq!(reply.body.matches("step").count(), 1, "{}", reply.body);
    let tools = &reply.json()["result"]["tools"];
    assert_eq!(tools[0]["_meta"], json!({ "portcullis/step-up": { "scopes": ["files:write"] }, "x": 1 }));
    assert_eq!(tools[1]["_meta"], json!({ "y": [1, 2] }));
    assert!(!seen(&marking, scope("mcp:tools files:write")).body.contains("step-up"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_list_is_private_exactly_where_it_depends_on_its_reader() {
    let gateway = gate(rules());
    let scope_of = |tools: &str, more: &str, params: Value| {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"cacheScope":"public","tools":{tools}{more},"ttlMs":0}}}}"#);
        let reply = every_chunking(&gateway, &modern(Claims::good(), "tools/list", params), JSON, &body);
        reply.json()["result"]["cacheScope"].clone()
    };
    // Nobody may use `none`, and everybody `read_a`: whoever asks gets the same.
    assert_eq!(scope_of(r#"[{"name":"read_a"},{"name":"none"}]"#, "", json!({})), json!("public"));
    // An admin would have got another list, and so would who has more scopes.
    assert_eq!(scope_of(r#"[{"name":"read_a"},{"name":"admin"}]"#, "", json!({})), json!("private"));
    assert_eq!(scope_of(r#"[{"name":"write_a"}]"#, "", json!({})), json!("private"));
    // All pages have one scope, whatever is on this one.
    assert_eq!(scope_of(r#"[{"name":"read_a"}]"#, r#","nextCursor":"2""#, json!({})), json!("private"));
    assert_eq!(scope_of(r#"[{"name":"read_a"}]"#, "", json!({ "cursor": "2" })), json!("private"));
    let private = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[],"cacheScope":"private"}}"#;
    assert_eq!(every_chunking(&gateway, &list("tools/list"), JSON, private).body, private);
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_that_are_none_are_refused() {
    let gateway = gate(rules());
    let item = |item: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{item}]}}}}"#);
    let huge = item(&format!("{{\"name\":\"read_a\",\"x\":\"{}\"}}", "x".repeat(1_100_000)));
    let bodies = [
        "not json".to_owned(),
        "<html>".to_owned(),
        String::new(),
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read_a"}"#.to_owned(),
        r#"{"result":{"tools":[{"name":"read_a"}],"tools":[{"name":"none"}]}}"#.to_owned(),
        r#"{"result":{"tools":[]},"result":{"tools":[{"name":"none"}]}}"#.to_owned(),
        r#"{"result":{"tools":[]},"res\u0075lt":{"tools":[{"name":"none"}]}}"#.to_owned(),
        r#"{"result":{"tools":[]}}{"result":{"tools":[{"name":"none"}]}}"#.to_owned(),
        r#"{"result":{"tools":{"none":{"name":"none"}}}}"#.to_owned(),
        r#"{"result":{"tools":{"0":{"name":"none"},"length":1}}}"#.to_owned(),
        r#"{"result":{"tools":"none"}}"#.to_owned(),
        r#"{"result":{"tools":null}}"#.to_owned(),
        r#"{"result":{"t\u006fols":{"none":{"name":"none"}}}}"#.to_owned(),
        item(r#"{"name":"read_a"},"#),
        item(r#"{"name":"read_a"} {"name":"read_b"}"#),
        r#"{"result":{"tools":[{"name":"read_a"}],"cacheScope":pub"lic}}"#.to_owned(),
        r#"["a",{"result":{"tools":[{"name":"none"}]}}"#.to_owned(),
        huge,
    ];
    for body in bodies {
        let chunk = body.len().max(1);
        let reply = listed(&gateway, list("tools/list"), JSON, &body, chunk);
        let shown = body.get(..80).unwrap_or(&body);
        if reply.status == 200 {
            assert!(!reply.body.contains("none"), "{shown}");
            assert!(serde_json::from_str::<Value>(&reply.body).is_err(), "{shown} became {}", reply.body);
        } else {
            assert_eq!((reply.status, reply.json()["id"].clone()), (502, json!(7)), "{shown}");
        }
    }
    let many: Vec<String> =
        (0..9_000).map(|at| format!("{{\"name\":\"read_{at}\",\"description\":\"{}\"}}", "x".repeat(2_000))).collect();
    assert_eq!(listed(&gateway, list("tools/list"), JSON, &item(&many.join(",")), 65_536).status, 502, "18 MB");
    let many = many[..5_000].join(",");
    assert_eq!(listed(&gateway, list("tools/list"), JSON, &item(&many), 65_536).body, item(&many));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_batch_of_answers() {
    let gateway = gate(rules());
    let ask = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "tools/list" }, { "jsonrpc": "2.0", "id": 2, "method": "ping" },
    ]);
    let request = list("x").field("mcp-protocol-version", "2025-03-26").body(ask.to_string().as_bytes());
    let body = r#"[{"id":1,"result":{"tools":[{"name":"none"},{"name":"read_a"}]}},{"id":2,"result":{}}]"#;
    let reply = every_chunking(&gateway, &request, JSON, body);
    assert_eq!(reply.body, r#"[{"id":1,"result":{"tools":[{"name":"read_a"}]}},{"id":2,"result":{}}]"#);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_list_and_not_meant_as_one() {
    let gateway = gate(rules());
    let answered = |status: u16, fields: &'static [(&str, &str)], body: &str| {
        let world = World::new();
        world.origin(Ok((status, fields)));
        world.origin_body(body.as_bytes(), 100);
        let reply = world.call(&gateway, list("tools/list"));
        (reply.status, reply.body)
    };
    // An error is the origin server's to word: a client that hears of a lost session begins anew (L5).
    let text: &[(&str, &str)] = &[("content-type", "text/plain")];
    assert_eq!(answered(404, text, "Session not found"), (404, "Session not found".to_owned()));
    assert_eq!(answered(202, text, ""), (202, String::new()));
    for none in [
        "<html>none</html>",
        "none",
        "\"tools\":none",
        "\"none\"",
        "{\"result\":none}",
        "[none]",
        "{\"result\":{\"x\":no ne}}",
    ] {
        assert_eq!(answered(200, JSON, none).0, 502, "{none}");
    }
    let mark = open(with_rules(rules(), json!({ "step_up_in_lists": "mark" }))).expect("right");
    let world = World::new();
    world.origin_body(br#"{"id":7,"result":{"tools":[{"name":"write_a","_meta":null,"x":1}]}}"#, 6);
    let reply = world.call(&mark, list("tools/list"));
    assert_eq!(
        reply.json()["result"]["tools"][0]["_meta"],
        json!({ "portcullis/step-up": { "scopes": ["files:write"] } })
    );
    // Whatever version a stream is opened with, lists may come over it.
    let world = World::new();
    world.origin(Ok((200, EVENTS)));
    world.origin_body(b"data: {\"result\":{\"tools\":[{\"name\":\"none\"}]}}\n\n", 6);
    let get = Request::get("/mcp").bearer(&token(&Claims::good())).field("mcp-protocol-version", "2026-07-28");
    assert_eq!(world.call(&gateway, get).body, "data: {\"result\":{\"tools\":[]}}\n\n");
}

/// An item whose name is certain, with what strict readers refuse.
pub fn odd_items() -> Vec<String> {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    vec![
        r#"{"name":"read_a","description":"half a pair \ud83d"}"#.to_owned(),
        r#"{"description":"\udc00","n\u0061me":"read_b"}"#.to_owned(),
        r#"{"name":"read_c","\ud83d":1}"#.to_owned(),
        r#"{"name":"read_d","inputSchema":{"x":1,"x":2},"description":"a","description":"b"}"#.to_owned(),
        format!(r#"{{"name":"read_e","inputSchema":{}}}"#, deep(500)),
        r#"{"name":"read_f","x":[1e999,-0.5E+3,123456789012345678901234567890,true,null,"\\\"\/"]}"#.to_owned(),
    ]
}

/// Items whose names cannot be read for certain.
pub fn unreadable_items() -> Vec<&'static str> {
    vec![
        r#"{"name":"read_a","name":"none"}"#,
        r#"{"name":"none","n\u0061me":"read_a"}"#,
        r#"{"title":"none"}"#,
        r#"{"name":7,"title":"none"}"#,
        r#"{"name":null,"title":"none"}"#,
        r#"{"name":{"name":"read_a"},"title":"none"}"#,
        r#"{"name":"none\ud83d"}"#,
        r#"[{"name":"read_a","title":"none"}]"#,
        r#""none""#,
        "7",
        "null",
        r#"{"name":"read_a","title":"none",}"#,
        r#"{"name":"read_a","x":NaN,"title":"none"}"#,
        r#"{"name":"read_a","x":01,"title":"none"}"#,
        r#"{"name":"read_a","x":"\x","title":"none"}"#,
        r#"{"name":"read_a" "title":"none"}"#,
        r#"{'name':"read_a","title":"none"}"#,
    ]
}

#[wasm_bindgen_test(unsupported = test)]
fn one_odd_item_does_not_cost_the_others() {
    let gateway = gate(rules());
    let list_of = |items: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{{"name":"read_x"}},{items},{{"name":"read_y"}}]}}}}"#)
    };
    for item in odd_items() {
        let body = list_of(&item);
        assert_eq!(every_chunking(&gateway, &list("tools/list"), JSON, &body).body, body, "byte for byte");
        // A rule hides it by the same name.
        let hidden = gate(json!([{ "effect": "allow", "tools": ["read_x", "read_y"] }]));
        let reply = listed(&hidden, list("tools/list"), JSON, &body, 7);
        assert_eq!(reply.body, r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read_x"},{"name":"read_y"}]}}"#);
    }
    for item in unreadable_items() {
        let world = World::new();
        world.origin_body(list_of(item).as_bytes(), 11);
        let reply = world.call(&gateway, list("tools/list"));
        assert_eq!(reply.status, 200, "{item}");
        assert_eq!(reply.body, r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read_x"},{"name":"read_y"}]}}"#);
        let line = world.lines().into_iter().find(|line| line["reason"] == "list_items_dropped");
        let detail = line.unwrap_or_default()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(": 1 left out"), "{item}: {detail}");
        assert!(!detail.contains("none"), "the log has nothing of the item");
    }
    // Marked ones, too, and those that cannot be marked are left out.
    let marking = open(with_rules(
        json!([{ "effect": "step_up", "scopes": ["w"], "tools": ["read_*"] }]),
        json!({ "step_up_in_lists": "mark" }),
    ))
    .expect("right");
    let reply = listed(&marking, list("tools/list"), JSON, &list_of(&odd_items()[0]), 5);
    assert!(
        reply.body.contains(r#""description":"half a pair \ud83d","_meta":{"portcullis/step-up""#),
        "{}",
        reply.body
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn members_in_other_letters_are_read_by_some() {
    let gateway = gate(rules());
    for result in [
        r#"{"Tools":[{"name":"none"}]}"#,
        r#"{"tools":[{"name":"read_a"}],"TOOLS":[{"name":"none"}]}"#,
        "{\"tool\u{17f}\":[{\"name\":\"none\"}]}",
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#);
        let reply = every_chunking(&gateway, &list("tools/list"), JSON, &body);
        assert!(reply.status == 502 && !reply.body.contains("none"), "{result}: {}", reply.body);
    }
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read_a","NAME":"none"},{"name":"read_b"}]}}"#;
    let reply = every_chunking(&gateway, &list("tools/list"), JSON, body);
    assert_eq!(reply.json()["result"]["tools"], json!([{ "name": "read_b" }]));
}
