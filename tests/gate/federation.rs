//! Several servers behind one resource.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::modern;
use crate::support::world::Sent;
use crate::support::{Claims, Reply, Request, TestSecrets, World, document_with, open_with, token};

const SECRET: &str = "new-0123456789abcdef0123456789abcdef";

fn servers() -> Value {
    json!([
        { "name": "files", "origin": "https://files.example/mcp", "era": "modern" },
        { "name": "issues", "origin": "https://issues.example/mcp", "era": "modern", "aliases": { "create": "new_issue" }, "hidden": ["debug_*"] },
        { "name": "memo", "origin": "https://memo.example/mcp", "era": "modern", "prefix": "m." },
    ])
}

fn document(servers: Value, more: Value) -> Value {
    let mut resource = json!({ "path": "/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"], "servers": servers });
    for (key, value) in more.as_object().expect("an object") {
        resource[key] = value.clone();
    }
    document_with(
        json!({ "resources": [resource], "sessions": { "secrets": ["NEW"], "seconds": 3600 }, "decision_log": { "console": true } }),
    )
}

fn opened(document: Value) -> Result<Rc<Gateway>, String> {
    let known = TestSecrets(vec![("NEW", SECRET.to_owned())]);
    open_with(document, &known).map_err(|mistakes| mistakes.lines().join("\n"))
}

fn gate(more: Value) -> Rc<Gateway> {
    opened(document(servers(), more)).expect("the document is right")
}

fn host(sent: &Sent) -> &str {
    sent.url.trim_start_matches("https://").split('.').next().unwrap_or_default()
}

fn body(sent: &Sent) -> Value {
    serde_json::from_slice(&sent.body).expect("JSON")
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a server of the world returns")]
fn response(sent: &Sent, result: &Value) -> Option<(u16, &'static str, String)> {
    let text = json!({ "jsonrpc": "2.0", "id": body(sent)["id"], "result": result }).to_string();
    Some((200, "application/json", text))
}

/// Servers that have these tools and answer every call with what they got.
fn world() -> World {
    let world = World::new();
    world.serve_by(|sent| {
        let asked = body(sent);
        let server = host(sent).to_owned();
        match asked["method"].as_str().expect("a method") {
            "tools/list" => {
                let names = match server.as_str() {
                    "files" => vec!["read", "write"],
                    "issues" => vec!["create", "close", "debug_dump"],
                    _ => vec!["add"],
                };
                let tools: Vec<Value> = names.iter().map(|name| json!({ "name": name, "title": server })).collect();
                response(sent, &json!({ "resultType": "complete", "tools": tools, "ttlMs": 1000 * server.len(), "cacheScope": "public" }))
            }
            "resources/list" => response(sent, &json!({ "resources": [{ "uri": "file:///a", "name": "a" }, { "uri": "ui://x/y", "name": "b" }] })),
            "prompts/list" if server == "files" => response(sent, &json!({ "prompts": [{ "name": "sum" }] })),
            "prompts/list" => {
                let text = json!({ "jsonrpc": "2.0", "id": asked["id"], "error": { "code": -32601, "message": "no" } });
                Some((404, "application/json", text.to_string()))
            }
            "server/discover" => response(sent, &json!({
                "supportedVersions": ["2026-07-28"], "ttlMs": 5000, "cacheScope": "public", "instructions": format!("Use {server}."),
                "capabilities": { "tools": { "listChanged": true }, server.clone(): {}, "resources": { "subscribe": true } },
            })),
            _ => response(sent, &json!({ "content": [
                { "type": "text", "text": format!("{server} {} {}", asked["method"], asked["params"]["name"]) },
                { "type": "resource_link", "uri": "file:///made", "name": "made" },
                { "type": "resource", "resource": { "uri": "file:///inner", "text": "file:///kept" } },
            ], "contents": [{ "uri": asked["params"]["uri"], "text": "x" }] })),
        }
    });
    world
}

fn ask(world: &World, gateway: &Rc<Gateway>, method: &str, mut params: Value) -> Reply {
    if params["_meta"]["io.modelcontextprotocol/clientCapabilities"].is_null() {
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    }
    world.call(gateway, modern(Claims::good(), method, params))
}

fn names(reply: &Reply, member: &str, key: &str) -> Vec<String> {
    let items = reply.json()["result"][member].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item[key].as_str().expect("text").to_owned()).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_are_merged_under_names_with_one_owner() {
    let (gateway, world) = (gate(json!({})), world());
    let reply = ask(&world, &gateway, "tools/list", json!({}));
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(names(&reply, "tools", "name"), ["files_read", "files_write", "new_issue", "issues_close", "m.add"]);
    let result = &reply.json()["result"];
    assert_eq!(result["tools"][2]["title"], json!("issues"), "the rest of an item stays");
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(4000), &json!("public")), "the smallest");
    assert_eq!(reply.json()["id"], json!(7));
    assert_eq!(names(&ask(&world, &gateway, "prompts/list", json!({})), "prompts", "name"), ["files_sum"]);
    let uris = names(&ask(&world, &gateway, "resources/list", json!({})), "resources", "uri");
    assert_eq!(uris[..3], ["files+file:///a", "ui://files/x/y", "issues+file:///a"]);
    let hosts: Vec<String> = world.sent().iter().map(|sent| host(sent).to_owned()).collect();
    assert_eq!(hosts, ["files", "issues", "memo", "files", "issues", "memo", "files", "issues", "memo"]);
    // One line in the log for each request of a client.
    assert_eq!(world.lines().iter().filter(|line| line["event"] == "request").count(), 3);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_call_goes_to_its_owner_under_its_own_name() {
    let (gateway, world) = (gate(json!({})), world());
    let call = |name: &str| {
        let before = world.sent().len();
        let reply = ask(&world, &gateway, "tools/call", json!({ "name": name, "arguments": { "name": "files_read" } }));
        let sent = world.sent().get(before).cloned();
        let sent = sent.map(|sent| {
            assert_eq!(sent.fields.get("mcp-name"), body(&sent)["params"]["name"].as_str());
            assert_eq!(body(&sent)["params"]["arguments"], json!({ "name": "files_read" }));
            format!("{} {}", host(&sent), body(&sent)["params"]["name"].as_str().expect("a name"))
        });
        (reply, sent)
    };
    let owner = |name: &str| call(name).1;
    assert_eq!(owner("files_read").as_deref(), Some("files read"));
    assert_eq!(owner("new_issue").as_deref(), Some("issues create"));
    assert_eq!(owner("m.add").as_deref(), Some("memo add"));
    assert_eq!(owner("files_m.add").as_deref(), Some("files m.add"), "a name that holds another prefix");
    let content = call("files_read").0.json()["result"]["content"].clone();
    assert_eq!(content[1]["uri"], json!("files+file:///made"));
    assert_eq!(content[2]["resource"], json!({ "uri": "files+file:///inner", "text": "file:///kept" }));
    for absent in ["read", "memo_add", "Files_read", "files_", "m.", "nothing", "files_ read"] {
        let (reply, sent) = call(absent);
        assert!(sent.is_none(), "{absent}");
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (200, &json!(-32602)), "{absent}");
    }
    // What clients do not see answers as the server answers for what it does not have.
    for hidden in ["issues_create", "issues_debug_dump", "issues_DEBUG_dump", "issues_CREATE"] {
        let (reply, sent) = call(hidden);
        let (server, name) = sent
            .map(|sent| sent.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("two"))
            .expect("sent");
        assert!(server == "issues" && name.starts_with("portcullis-hidden-"), "{name}");
        assert!(
            reply.body.contains(hidden.trim_start_matches("issues_")) && !reply.body.contains("portcullis-hidden"),
            "{}",
            reply.body
        );
    }
    let read = ask(&world, &gateway, "resources/read", json!({ "uri": "issues+file:///a" }));
    assert_eq!(read.json()["result"]["contents"][0]["uri"], json!("issues+file:///a"));
    let sent = world.sent().pop().expect("forwarded");
    assert_eq!((host(&sent), sent.fields.get("mcp-name")), ("issues", Some("file:///a")));
    for absent in ["file:///a", "other+file:///a", "ui://x/y", "files+", "files+ui://x/y", "ui://issues"] {
        let before = world.sent().len();
        let reply = ask(&world, &gateway, "resources/read", json!({ "uri": absent }));
        assert_eq!((reply.status, world.sent().len()), (200, before), "{absent}");
        assert_eq!(reply.json()["error"]["code"], json!(-32602));
    }
    let complete =
        json!({ "ref": { "type": "ref/prompt", "name": "files_sum" }, "argument": { "name": "a", "value": "b" } });
    ask(&world, &gateway, "completion/complete", complete);
    let sent = world.sent().pop().expect("forwarded");
    assert_eq!((host(&sent), &body(&sent)["params"]["ref"]["name"]), ("files", &json!("sum")));
}

#[wasm_bindgen_test(unsupported = test)]
fn rules_and_decisions_know_both_names() {
    let gateway = gate(json!({ "rules": [
        { "id": "no", "effect": "deny", "tools": ["files_write"] },
        { "id": "yes", "effect": "allow", "tools": ["files_*", "new_issue"], "resources": ["files+file:///*"] },
    ] }));
    let world = world();
    let reply = ask(&world, &gateway, "tools/list", json!({}));
    assert_eq!(names(&reply, "tools", "name"), ["files_read", "new_issue"]);
    assert_eq!(names(&ask(&world, &gateway, "resources/list", json!({})), "resources", "uri"), ["files+file:///a"]);
    let before = world.sent().len();
    ask(&world, &gateway, "tools/call", json!({ "name": "new_issue" }));
    let decision: Value = serde_json::from_str(&world.decisions().pop().expect("a decision")).expect("JSON");
    assert_eq!(
        [&decision["name"], &decision["server"], &decision["original"], &decision["verdict"]],
        [&json!("new_issue"), &json!("issues"), &json!("create"), &json!("allow")],
    );
    for (name, rule) in [("m.add", "(default)"), ("issues_close", "(default)")] {
        let reply = ask(&world, &gateway, "tools/call", json!({ "name": name }));
        assert_eq!(reply.json()["error"]["code"], json!(-32602));
        let decision: Value = serde_json::from_str(&world.decisions().pop().expect("a decision")).expect("JSON");
        assert_eq!(decision["rule"], json!(rule));
    }
    assert_eq!(world.sent().len(), before + 1);
    // A hidden name answers like one that its server does not have.
    ask(&world, &gateway, "tools/call", json!({ "name": "files_write" }));
    let sent = world.sent().pop().expect("a stand-in was sent");
    let name = body(&sent)["params"]["name"].as_str().expect("a name").to_owned();
    assert!(host(&sent) == "files" && name.starts_with("portcullis-hidden-"), "{name}");
    assert_eq!(sent.fields.get("mcp-name"), Some(name.as_str()));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_servers_say_of_themselves_is_joined() {
    let (gateway, world) = (gate(json!({ "name": "All tools" })), world());
    let result = ask(&world, &gateway, "server/discover", json!({})).json()["result"].clone();
    assert_eq!(result["supportedVersions"][0], json!("2026-07-28"));
    assert_eq!(
        result["capabilities"],
        json!({ "tools": { "listChanged": true }, "resources": { "subscribe": true } }),
        "and no capability that the gateway does not know"
    );
    assert_eq!(result["instructions"], json!("files: Use files.\n\nissues: Use issues.\n\nmemo: Use memo."));
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(5000), &json!("private")));
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], json!("All tools"));
}

/// The second server answers with this; the others as usual.
fn with_second(answer: impl Fn(&Sent) -> Option<(u16, &'static str, String)> + 'static) -> World {
    let usual = world();
    let world = World::new();
    world.serve_by(move |sent| {
        if host(sent) == "issues" {
            return answer(sent);
        }
        let tools = json!({ "tools": [{ "name": "t" }], "ttlMs": 9_000, "cacheScope": "public" });
        let _ = &usual;
        response(sent, &tools)
    });
    world
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_that_fails_is_left_out_and_takes_no_other_with_it() {
    let cases: Vec<(&str, World)> = vec![
        ("status", with_second(|_| Some((500, "application/json", "{}".to_owned())))),
        ("hangs", with_second(|_| None)),
        ("garbage", with_second(|_| Some((200, "application/json", "{\"jsonrpc\":".to_owned())))),
        ("text", with_second(|_| Some((200, "text/html", "<p>hello".to_owned())))),
        ("redirect", with_second(|_| Some((302, "text/html", String::new())))),
        ("no list", with_second(|sent| response(sent, &json!({ "tools": "none" })))),
        (
            "other id",
            with_second(|_| Some((200, "application/json", json!({ "id": 8, "result": { "tools": [] } }).to_string()))),
        ),
        (
            "error",
            with_second(|sent| {
                let text = json!({ "jsonrpc": "2.0", "id": body(sent)["id"], "error": { "code": -32603, "message": "broken" } });
                Some((200, "application/json", text.to_string()))
            }),
        ),
        (
            "too large",
            with_second(|sent| {
                response(
                    sent,
                    &json!({ "tools": [{ "name": "a", "x": "y".repeat(900_000) }, { "name": "b", "x": "y".repeat(900_000) }, { "name": "c", "x": "y".repeat(900_000) }, { "name": "d", "x": "y".repeat(900_000) }, { "name": "e", "x": "y".repeat(900_000) }] }),
                )
            }),
        ),
    ];
    for (what, world) in cases {
        let gateway = gate(json!({}));
        let reply = ask(&world, &gateway, "tools/list", json!({}));
        assert_eq!(names(&reply, "tools", "name"), ["files_t", "m.t"], "{what}: {}", reply.body);
        let result = &reply.json()["result"];
        assert_eq!(result["_meta"]["portcullis/left-out"], json!(["issues"]), "{what}");
        assert_eq!(
            (&result["ttlMs"], &result["cacheScope"]),
            (&json!(0), &json!("private")),
            "{what}: no client keeps it"
        );
        let strict = ask(&world, &gate(json!({ "strict_servers": true })), "tools/list", json!({}));
        assert_eq!(strict.status, 502, "{what}");
        let line = world.lines().into_iter().rfind(|line| line["event"] == "request").expect("a line");
        assert_eq!((&line["reason"], &line["detail"]), (&json!("servers_left_out"), &json!("issues")), "{what}");
    }
    // If all fail, there is no list.
    let world = World::new();
    world.serve_by(|_| Some((500, "application/json", "{}".to_owned())));
    assert_eq!(ask(&world, &gate(json!({})), "tools/list", json!({})).status, 502);
    assert_eq!(world.lines().iter().filter(|line| line["reason"] == "server_left_out").count(), 3);
}

#[wasm_bindgen_test(unsupported = test)]
fn forty_servers_of_which_some_hang_and_some_answer_garbage() {
    let servers: Vec<Value> = (0..40)
        .map(|at| json!({ "name": format!("s{at:02}"), "era": "modern", "origin": format!("https://s{at:02}.example/mcp") }))
        .collect();
    let gateway = opened(document(json!(servers), json!({}))).expect("the document is right");
    let world = World::new();
    world.serve_by(|sent| match host(sent)[1..].parse::<u32>().expect("a number") {
        0..10 => None,
        10..15 => Some((200, "application/json", "[[[".to_owned())),
        _ => response(sent, &json!({ "tools": [{ "name": "t" }] })),
    });
    let reply = ask(&world, &gateway, "tools/list", json!({}));
    assert_eq!(names(&reply, "tools", "name").len(), 25);
    assert_eq!(reply.json()["result"]["_meta"]["portcullis/left-out"].as_array().map(Vec::len), Some(15));
    let (more, _) = (document(json!([servers.clone(), servers].concat()), json!({})), 0);
    assert!(opened(more).expect_err("too many").contains("must have 1 to 40 entries"));
}

#[wasm_bindgen_test(unsupported = test)]
fn pages_have_sealed_cursors_without_state() {
    let paged = || {
        let world = World::new();
        world.serve_by(|sent| {
            let cursor = body(sent)["params"]["cursor"].clone();
            match (host(sent), cursor.as_str()) {
                ("files", None) => response(
                    sent,
                    &json!({ "tools": [{ "name": "a" }], "nextCursor": "f-2", "cacheScope": "public", "ttlMs": 5 }),
                ),
                ("files", Some("f-2")) => response(sent, &json!({ "tools": [{ "name": "b" }] })),
                ("issues", None) => response(sent, &json!({ "tools": [{ "name": "c" }], "nextCursor": "i-2" })),
                ("issues", Some("i-2")) => response(sent, &json!({ "tools": [{ "name": "d" }], "nextCursor": "i-3" })),
                ("issues", Some("i-3")) => response(sent, &json!({ "tools": [] })),
                ("memo", None) => response(sent, &json!({ "tools": [{ "name": "e" }] })),
                other => panic!("{other:?}"),
            }
        });
        world
    };
    let (gateway, world) = (gate(json!({})), paged());
    let first = ask(&world, &gateway, "tools/list", json!({}));
    assert_eq!(names(&first, "tools", "name"), ["files_a", "issues_c", "m.e"]);
    assert_eq!(first.json()["result"]["cacheScope"], json!("private"));
    let cursor = first.json()["result"]["nextCursor"].as_str().expect("more").to_owned();
    assert!(!cursor.contains("f-2"));
    let second = ask(&world, &gateway, "tools/list", json!({ "cursor": cursor }));
    assert_eq!(names(&second, "tools", "name"), ["files_b", "issues_d"]);
    let last = second.json()["result"]["nextCursor"].as_str().expect("more").to_owned();
    let third = ask(&world, &gateway, "tools/list", json!({ "cursor": last }));
    assert_eq!((names(&third, "tools", "name").len(), &third.json()["result"]["nextCursor"]), (0, &json!(null)));
    // Another caller, another list, a cut one, an old one and one from before a change of the servers.
    let refused = |gateway: &Rc<Gateway>, claims: Claims, method: &str, cursor: &str| {
        let before = world.sent().len();
        let meta = json!({ "io.modelcontextprotocol/clientCapabilities": {} });
        let reply = world.call(gateway, modern(claims, method, json!({ "cursor": cursor, "_meta": meta })));
        assert_eq!((reply.status, &reply.json()["error"]["code"], world.sent().len()), (200, &json!(-32602), before));
    };
    refused(&gateway, Claims::good().with("sub", json!("eve")), "tools/list", &cursor);
    refused(&gateway, Claims::good(), "prompts/list", &cursor);
    for wrong in ["", "f-2", &cursor[1..], &format!("{cursor}A")] {
        refused(&gateway, Claims::good(), "tools/list", wrong);
    }
    let mut changed = servers();
    changed[2]["prefix"] = json!("memo.");
    refused(&opened(document(changed, json!({}))).expect("right"), Claims::good(), "tools/list", &cursor);
    world.pass(3_600);
    refused(&gateway, Claims::good().with("exp", json!(crate::support::world::NOON + 9_000)), "tools/list", &cursor);
}

#[wasm_bindgen_test(unsupported = test)]
fn public_lists_of_servers_are_kept_for_as_long_as_each_says() {
    let rules = json!([
        { "effect": "deny", "tools": ["*_write"], "when": { "roles": ["guest"] } },
        { "effect": "allow", "tools": ["*"] },
    ]);
    let (gateway, world) = (gate(json!({ "cache_lists": true, "rules": rules })), world());
    let listed = |claims: Claims| {
        let meta = json!({ "io.modelcontextprotocol/clientCapabilities": {} });
        let reply = world.call(&gateway, modern(claims, "tools/list", json!({ "_meta": meta })));
        let names = names(&reply, "tools", "name");
        (names, reply.json()["result"]["ttlMs"].as_u64(), reply.json()["id"].clone())
    };
    let all = ["files_read", "files_write", "new_issue", "issues_close", "m.add"];
    let first = listed(Claims::good());
    assert_eq!((first.0.as_slice(), first.1), (all.map(str::to_owned).as_slice(), Some(4_000)));
    assert_eq!(world.sent().len(), 3);
    world.pass(1);
    let again = listed(Claims::good());
    assert_eq!((again.0, again.1, again.2), (first.0, Some(3_000), json!(7)), "what is left of the smallest");
    for _ in 0..2 {
        let guest = listed(Claims::good().with("sub", json!("eve")).with("roles", json!(["guest"]))).0;
        assert_eq!(guest, ["files_read", "new_issue", "issues_close", "m.add"], "filtered for each caller");
        let merged = listed(Claims::good());
        assert_eq!((merged.0.as_slice(), merged.1), (all.map(str::to_owned).as_slice(), Some(3_000)));
    }
    assert_eq!(world.sent().len(), 3, "no server was asked again");
    // `memo` and `files` call their lists fresh for 4 and 5 seconds, `issues` for 6.
    world.pass(4);
    listed(Claims::good());
    let asked: Vec<String> = world.sent()[3..].iter().map(|sent| host(sent).to_owned()).collect();
    assert_eq!(asked, ["files", "memo"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_may_come_as_event_streams() {
    let world = World::new();
    world.serve_by(|sent| {
        let response = json!({ "jsonrpc": "2.0", "id": body(sent)["id"], "result": { "tools": [{ "name": "t" }] } });
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progress": 1 } });
        Some((
            200,
            "text/event-stream",
            format!(": hello\r\n\r\ndata: {progress}\r\n\r\nid: 1\r\ndata: {response}\r\n\r\n"),
        ))
    });
    assert_eq!(
        names(&ask(&world, &gate(json!({})), "tools/list", json!({})), "tools", "name"),
        ["files_t", "issues_t", "m.t"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn tasks_and_states_lead_back_to_their_server() {
    let (gateway, world) = (gate(json!({})), World::new());
    world.serve_by(|sent| match body(sent)["method"].as_str() {
        Some("tools/call") if body(sent)["params"]["requestState"].is_null() => {
            response(sent, &json!({ "resultType": "input_required", "inputRequests": {}, "requestState": "s:1" }))
        }
        Some("tools/call") => response(sent, &json!({ "resultType": "task", "taskId": "t-1", "status": "working" })),
        _ => response(
            sent,
            &json!({ "resultType": "complete", "taskId": "t-1", "status": "completed", "result": {
            "taskId": "t-1", "content": [{ "type": "resource_link", "uri": "file:///made", "name": "made" }]
        } }),
        ),
    });
    let state =
        ask(&world, &gateway, "tools/call", json!({ "name": "new_issue" })).json()["result"]["requestState"].clone();
    let created = ask(&world, &gateway, "tools/call", json!({ "name": "new_issue", "requestState": state }));
    let sent = world.sent().pop().expect("forwarded");
    assert_eq!((host(&sent), &body(&sent)["params"]["requestState"]), ("issues", &json!("s:1")));
    let id = created.json()["result"]["taskId"].as_str().expect("a task").to_owned();
    let declared = json!({ "io.modelcontextprotocol/clientCapabilities": { "extensions": { "io.modelcontextprotocol/tasks": {} } } });
    let reply = ask(&world, &gateway, "tasks/get", json!({ "taskId": id, "_meta": declared }));
    let sent = world.sent().pop().expect("forwarded");
    assert_eq!((host(&sent), sent.fields.get("mcp-name")), ("issues", Some("t-1")));
    assert_eq!(reply.json()["result"]["taskId"], json!(id));
    let inner = &reply.json()["result"]["result"];
    assert_eq!((&inner["content"][0]["uri"], &inner["taskId"]), (&json!("issues+file:///made"), &json!("t-1")));
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_of_an_unknown_revision_learn_which_versions_there_are() {
    let (gateway, world) = (gate(json!({})), world());
    let mut asked = modern(Claims::good(), "tools/list", json!({}));
    let body = String::from_utf8(asked.body.clone()).expect("text").replace("2026-07-28", "2027-01-01");
    asked = asked.field("mcp-protocol-version", "2027-01-01").body(body.as_bytes());
    let reply = world.call(&gateway, asked);
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32022)), "{}", reply.body);
    let supported = &reply.json()["error"]["data"]["supported"];
    assert_eq!((&supported[0], &supported[1]), (&json!("2026-07-28"), &json!("2025-11-25")));
    assert!(world.sent().is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_resource_of_several_servers_does_not_have() {
    let (gateway, world) = (gate(json!({})), world());
    let get = Request::get("/mcp").bearer(&token(&Claims::good()));
    assert_eq!(world.call(&gateway, get).status, 405);
    let below = Request::post("/mcp/x").bearer(&token(&Claims::good())).modern().body(b"{}");
    assert!(world.call(&gateway, below).status >= 400);
    for method in ["foo/bar", "ping", "initialize", "logging/setLevel"] {
        let reply = ask(&world, &gateway, method, json!({ "notifications": {} }));
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (404, &json!(-32601)), "{method}");
    }
    assert!(world.sent().is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn no_server_sees_the_credential_of_another() {
    let known = TestSecrets(vec![
        ("NEW", SECRET.to_owned()),
        ("KEY_A", "secret-of-a".to_owned()),
        ("KEY_B", "secret-of-b".to_owned()),
    ]);
    let servers = json!([
        { "name": "a", "era": "modern", "origin": "https://a.example/mcp", "credential": { "static": [{ "secrets": ["KEY_A"] }] } },
        { "name": "b", "era": "modern", "origin": "https://b.example/mcp", "credential": { "static": [{ "field": "X-Key", "secrets": ["KEY_B"] }] }, "identity": "forward" },
        { "name": "c", "era": "modern", "origin": "https://c.example/mcp" },
    ]);
    let gateway = open_with(document(servers, json!({})), &known).map_err(|it| it.lines().join("\n")).expect("right");
    let world = World::new();
    world.serve_by(|sent| response(sent, &json!({ "tools": [{ "name": "t" }] })));
    ask(&world, &gateway, "tools/list", json!({}));
    for name in ["a_t", "b_t", "c_t"] {
        ask(&world, &gateway, "tools/call", json!({ "name": name }));
    }
    for sent in world.sent() {
        let (key, header) = (sent.fields.get("authorization"), sent.fields.get("x-key"));
        let subject = sent.fields.get("x-portcullis-subject").is_some();
        match host(&sent) {
            "a" => assert_eq!((key, header, subject), (Some("Bearer secret-of-a"), None, false)),
            "b" => assert_eq!((key, header, subject), (None, Some("secret-of-b"), true)),
            _ => assert_eq!((key, header, subject), (None, None, true)),
        }
    }
    assert_eq!(world.sent().len(), 6);
}

#[wasm_bindgen_test(unsupported = test)]
fn names_that_could_change_their_owner_are_refused() {
    let refused = |servers: Value, says: &str| {
        let mistakes = opened(document(servers, json!({}))).err().unwrap_or_default();
        assert!(mistakes.contains(says), "{says}: {mistakes}");
    };
    let server = |name: &str, more: Value| {
        let mut server = json!({ "name": name, "origin": format!("https://{name}.example/mcp") });
        for (key, value) in more.as_object().expect("an object") {
            server[key] = value.clone();
        }
        server
    };
    refused(
        json!([server("a", json!({})), server("a-b", json!({ "prefix": "a_b_" }))]),
        "must not begin with the prefix \"a_\" of the server \"a\"",
    );
    refused(json!([server("a", json!({})), server("a", json!({ "prefix": "x_" }))]), "is there twice: \"a\"");
    refused(
        json!([server("a", json!({ "prefix": "x_" })), server("b", json!({ "prefix": "x_" }))]),
        "must not begin with the prefix",
    );
    refused(
        json!([server("a", json!({ "aliases": { "t": "b_t" } })), server("b", json!({}))]),
        "aliases.t: must not begin with the prefix \"b_\"",
    );
    refused(json!([server("a", json!({ "aliases": { "t": "n", "u": "n" } }))]), "is there twice: \"n\"");
    refused(json!([server("a", json!({ "aliases": { "t": "a b" } }))]), "SEP-986");
    let prompts = json!({ "prompt_aliases": { "p": "b_p" } });
    refused(json!([server("a", prompts), server("b", json!({}))]), "prompt_aliases.p: must not begin with");
    for wrong in ["", "file", "File:///", "ui://x/", ":x"] {
        refused(json!([server("a", json!({ "keep_uris": [wrong] }))]), "keep_uris[0]: must begin with a scheme");
    }
    let (one, other) = (json!({ "keep_uris": ["docs://a"] }), json!({ "keep_uris": ["docs://ab"] }));
    refused(json!([server("a", one), server("b", other)]), "must not begin with \"docs://a\" of another server");
    refused(
        json!([server("a", json!({ "keep_uris": ["b+file:///"] })), server("b", json!({}))]),
        "must not begin as the URIs of the server \"b\"",
    );
    refused(json!([server("a", json!({ "descriptions": { "t": "" } }))]), "descriptions.t: must be 1 to 1024");
    refused(json!([server("A", json!({}))]), "lower-case letters");
    refused(json!([server("a", json!({ "prefix": "" }))]), "prefix");
    refused(json!([]), "must have 1 to 40 entries");
    refused(json!([server("a", json!({ "credential": { "per_user": {} } }))]), "per_user");
    let beside = |more: Value, says: &str| {
        let mistakes = opened(document(servers(), more)).err().unwrap_or_default();
        assert!(mistakes.contains(says), "{says}: {mistakes}");
    };
    beside(json!({ "origin": "https://x.example/mcp" }), "resources[0].origin: must not be set beside servers");
    beside(json!({ "anonymous": ["tools/list"] }), "must be empty with servers");
    let mut without = document(servers(), json!({}));
    without.as_object_mut().expect("an object").remove("sessions");
    assert!(opened(without).err().unwrap_or_default().contains("needs sessions"));
}

#[wasm_bindgen_test(unsupported = test)]
fn names_can_stay_as_they_are() {
    let servers = json!([
        { "name": "a", "era": "modern", "origin": "https://files.example/mcp", "prompt_aliases": { "sum": "summary" },
          "keep_uris": ["file:///"], "descriptions": { "read": "Reads." } },
        { "name": "b", "era": "modern", "origin": "https://memo.example/mcp", "keep_uris": ["memo:"] },
    ]);
    let (gateway, world) = (opened(document(servers, json!({}))).expect("it is right"), world());
    assert_eq!(names(&ask(&world, &gateway, "prompts/list", json!({})), "prompts", "name"), ["summary"]);
    let uris = names(&ask(&world, &gateway, "resources/list", json!({})), "resources", "uri");
    assert_eq!(uris, ["file:///a", "ui://a/x/y", "b+file:///a", "ui://b/x/y"]);
    let listed = ask(&world, &gateway, "tools/list", json!({})).json()["result"]["tools"].clone();
    assert_eq!((&listed[0]["description"], &listed[1]["description"]), (&json!("Reads."), &Value::Null));
    let host_of = |method: &str, params: Value| {
        let before = world.sent().len();
        ask(&world, &gateway, method, params);
        world.sent().get(before).map(|sent| format!("{} {}", host(sent), sent.fields.get("mcp-name").unwrap_or("-")))
    };
    assert_eq!(host_of("prompts/get", json!({ "name": "summary" })).as_deref(), Some("files sum"));
    assert_eq!(host_of("resources/read", json!({ "uri": "file:///a" })).as_deref(), Some("files file:///a"));
    assert_eq!(host_of("resources/read", json!({ "uri": "b+file:///a" })).as_deref(), Some("memo file:///a"));
    for absent in ["a+file:///a", "FILE:///a", "b+memo:x"] {
        assert_eq!(host_of("resources/read", json!({ "uri": absent })), None, "{absent} has one name only");
    }
    let hidden = host_of("prompts/get", json!({ "name": "a_sum" })).expect("it is sent");
    assert!(hidden.starts_with("files ") && hidden != "files sum", "{hidden}");
}

#[wasm_bindgen_test(unsupported = test)]
fn no_spelling_gets_around_rules_and_hidden_items() {
    let mut servers = servers();
    servers[0]["hidden"] = json!(["file:///secret/*", "admin_*"]);
    let reaches = |rules: Value, method: &str, params: Value| {
        let gateway = opened(document(servers.clone(), json!({ "rules": rules }))).expect("the document is right");
        let world = world();
        ask(&world, &gateway, method, params);
        let sent = world.sent().pop();
        sent.is_some_and(|sent| !String::from_utf8_lossy(&sent.body).contains("portcullis-hidden-"))
    };
    let everything = || json!([{ "effect": "allow", "tools": ["*"], "resources": ["*"] }]);
    let read = |rules: Value, uri: &str| reaches(rules, "resources/read", json!({ "uri": uri }));
    assert!(read(everything(), "files+file:///a"));
    for uri in [
        "files+ file:///a",
        "files+\tfile:///a",
        "files+UI://x/y",
        "files+ui:/x",
        "files+ ui://x",
        "files+",
        "files+file:///a ",
        "files+file:///secret/a",
        "files+file:///x/../secret/a",
        "files+file:///%73ecret/a",
        "files+file:///SECRET/a",
        "files+FILE:///secret/a",
        "files+file:////secret/a",
        "ui://files/x/y",
    ] {
        assert!(!read(everything(), uri), "{uri}");
    }
    let denied = || json!([{ "effect": "deny", "resources": ["files+file:///a"], "tools": ["files_drop"] }, { "effect": "allow", "tools": ["*"], "resources": ["*"] }]);
    for uri in ["files+file:///a", "files+ file:///a", "files+FILE:///a", "files+file:///./a"] {
        assert!(!read(denied(), uri), "{uri}");
    }
    for name in ["files_drop", "files_ drop", "files_DROP", "files_ADMIN_x", "files_admin_x", "issues_CREATE"] {
        assert!(!reaches(denied(), "tools/call", json!({ "name": name })), "{name}");
    }
    assert!(reaches(denied(), "tools/call", json!({ "name": "files_read" })));
}

#[wasm_bindgen_test(unsupported = test)]
fn tasks_and_states_stay_at_their_server_when_names_move() {
    let of = |x: &str, y: &str| {
        opened(document(
            json!([
                { "name": "a", "era": "modern", "origin": "https://a.example/mcp", "prefix": x },
                { "name": "b", "era": "modern", "origin": "https://b.example/mcp", "prefix": y },
            ]),
            json!({}),
        ))
        .expect("the document is right")
    };
    let world = World::new();
    world.serve_by(|sent| match body(sent)["params"]["name"].as_str() {
        Some("ask") => {
            response(sent, &json!({ "resultType": "input_required", "inputRequests": {}, "requestState": "s" }))
        }
        _ => response(sent, &json!({ "resultType": "task", "taskId": "t-1", "status": "working" })),
    });
    let before = of("x_", "y_");
    let task = ask(&world, &before, "tools/call", json!({ "name": "x_run" })).json()["result"]["taskId"].clone();
    let state = ask(&world, &before, "tools/call", json!({ "name": "x_ask" })).json()["result"]["requestState"].clone();
    let declared = json!({ "io.modelcontextprotocol/clientCapabilities": { "extensions": { "io.modelcontextprotocol/tasks": {} } } });
    for (gateway, reaches) in [(of("x_", "y_"), true), (of("y_", "x_"), false)] {
        let sent = world.sent().len();
        ask(&world, &gateway, "tasks/get", json!({ "taskId": task, "_meta": declared }));
        ask(&world, &gateway, "tools/call", json!({ "name": "x_ask", "requestState": state }));
        assert_eq!(world.sent().len() - sent, if reaches { 2 } else { 0 });
    }
    // A task of one server is not for another one, in `_meta` neither.
    let related = json!({ "name": "y_run", "_meta": { "io.modelcontextprotocol/related-task": { "taskId": task } } });
    ask(&world, &before, "tools/call", related);
    let sent = world.sent().pop().expect("forwarded");
    assert!(host(&sent) == "b" && !String::from_utf8_lossy(&sent.body).contains("t-1"));
}

#[wasm_bindgen_test(unsupported = test)]
fn ids_of_one_server_are_not_those_of_another() {
    let (gateway, world) = (gate(json!({})), World::new());
    world.serve_by(|sent| {
        let asked = body(sent);
        if host(sent) == "files" {
            return response(sent, &json!({ "resultType": "task", "taskId": "task-1", "status": "working" }));
        }
        let status = json!({ "jsonrpc": "2.0", "method": "notifications/tasks", "params": { "taskId": "task-1", "status": "completed" } });
        let done = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "content": [] } });
        Some((200, "text/event-stream", format!("data: {status}\n\ndata: {done}\n\n")))
    });
    let id = ask(&world, &gateway, "tools/call", json!({ "name": "files_t" })).json()["result"]["taskId"]
        .as_str()
        .expect("a task")
        .to_owned();
    let read = ask(&world, &gateway, "tools/call", json!({ "name": "m.t" })).body;
    assert!(read.contains("\"task-1\"") && !read.contains(&id), "{read}");
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_are_bounded_together() {
    let servers: Vec<Value> = (10..30)
        .map(|at| json!({ "name": format!("s{at}"), "era": "modern", "origin": format!("https://s{at}.example/mcp") }))
        .collect();
    let gateway = opened(document(json!(servers), json!({}))).expect("the document is right");
    let world = World::new();
    world.serve_by(|sent| response(sent, &json!({ "tools": [{ "name": "t", "x": "y".repeat(900_000) }] })));
    let reply = ask(&world, &gateway, "tools/list", json!({}));
    assert_eq!(names(&reply, "tools", "name").len(), 9);
    assert!(reply.body.len() < 8 * 1024 * 1024 + 4_096);
    assert!(
        world
            .lines()
            .iter()
            .any(|line| line["detail"].as_str().is_some_and(|text| text.contains("too large together")))
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn bindings_of_all_servers_and_limits_are_listed() {
    let servers =
        json!([{ "name": "a", "service": "A" }, { "name": "b", "service": "B", "origin": "https://b.example/mcp" }]);
    let limits = json!([{ "by": ["subject"], "requests": 10, "seconds": 60, "binding": "LIMIT" }]);
    let gateway = opened(document(servers, json!({ "limits": limits }))).expect("the document is right");
    let bindings: Vec<String> = gateway.bindings().into_iter().map(|(name, _, at)| format!("{name} {at}")).collect();
    for expected in [
        "A resources[0].servers[0].service",
        "B resources[0].servers[1].service",
        "LIMIT resources[0].limits[0].binding",
    ] {
        assert!(bindings.iter().any(|binding| binding == expected), "{expected}: {bindings:?}");
    }
}
