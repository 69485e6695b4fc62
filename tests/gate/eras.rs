//! Several servers behind one resource, with clients and servers of both eras.

use std::cell::RefCell;
use std::rc::Rc;

use portcullis::gateway::Gateway;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{message, modern};
use crate::support::world::{Sent, ServerAnswer};
use crate::support::{Claims, Reply, Request, TestSecrets, World, document_with, open_with, token};

const SECRET: &str = "new-0123456789abcdef0123456789abcdef";

/// What the servers have seen and what they do.
#[derive(Default)]
struct Servers {
    opened: u32,
    /// Sessions that the servers know.
    known: Vec<String>,
    /// Servers that answer 503.
    down: Vec<&'static str>,
}

fn gate(more: Value) -> Rc<Gateway> {
    let servers = json!([
        { "name": "old", "origin": "https://old.example/mcp" },
        { "name": "new", "origin": "https://new.example/mcp" },
        { "name": "both", "origin": "https://both.example/mcp" },
    ]);
    let mut resource = json!({ "path": "/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"], "servers": servers });
    for (key, value) in more.as_object().expect("an object") {
        resource[key] = value.clone();
    }
    let document = document_with(
        json!({ "resources": [resource], "sessions": { "secrets": ["NEW"], "seconds": 600 }, "decision_log": { "console": true } }),
    );
    let known = TestSecrets(vec![("NEW", SECRET.to_owned())]);
    open_with(document, &known).unwrap_or_else(|mistakes| panic!("{}", mistakes.lines().join("\n")))
}

fn host(sent: &Sent) -> &str {
    sent.url.trim_start_matches("https://").split('.').next().unwrap_or_default()
}

fn body(sent: &Sent) -> Value {
    serde_json::from_slice(&sent.body).unwrap_or_default()
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a server of the world returns")]
fn json_answer(status: u16, more: Option<(&'static str, String)>, message: &Value) -> Option<ServerAnswer> {
    let fields = [("content-type", "application/json".to_owned())].into_iter().chain(more).collect();
    Some((status, fields, if message.is_null() { String::new() } else { message.to_string() }))
}

fn result(sent: &Sent, result: &Value) -> Option<ServerAnswer> {
    json_answer(200, None, &json!({ "jsonrpc": "2.0", "id": body(sent)["id"], "result": result }))
}

fn error(sent: &Sent, status: u16, code: i32, data: &Value) -> Option<ServerAnswer> {
    let error = json!({ "code": code, "message": "no", "data": data });
    json_answer(status, None, &json!({ "jsonrpc": "2.0", "id": body(sent)["id"], "error": error }))
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a server of the world returns")]
fn events(messages: &[Value]) -> Option<ServerAnswer> {
    let text: String = messages.iter().enumerate().map(|(at, it)| format!("id: e{at}\ndata: {it}\n\n")).collect();
    Some((200, vec![("content-type", "text/event-stream".to_owned())], text))
}

/// A server of the legacy era, as the clients and servers of 2025-11-25 are: with sessions.
fn legacy(state: &RefCell<Servers>, sent: &Sent) -> Option<ServerAnswer> {
    let (asked, server) = (body(sent), host(sent).to_owned());
    let method = asked["method"].as_str().unwrap_or_default();
    let session = sent.fields.get("mcp-session-id").map(str::to_owned);
    if method != "server/discover" {
        assert_eq!(sent.fields.get("mcp-method"), None, "{method}");
    }
    if method == "initialize" {
        assert_eq!(session, None);
        let mut state = state.borrow_mut();
        state.opened += 1;
        let id = format!("{server}-{}", state.opened);
        state.known.push(id.clone());
        let version = asked["params"]["protocolVersion"].clone();
        let said = json!({
            "protocolVersion": version, "instructions": format!("Use {server}."), "serverInfo": { "name": server, "version": "1" },
            "capabilities": { "tools": { "listChanged": true }, "logging": {}, "tasks": { "list": {}, "requests": { "tools": { "call": {} } } } },
        });
        return json_answer(
            200,
            Some(("mcp-session-id", id)),
            &json!({ "jsonrpc": "2.0", "id": asked["id"], "result": said }),
        );
    }
    let Some(session) = session else { return error(sent, 400, -32000, &json!(null)) };
    if !state.borrow().known.contains(&session) {
        return error(sent, 404, -32001, &json!(null));
    }
    assert!(sent.fields.get("mcp-protocol-version").is_some_and(|version| version < "2026"));
    for modern in ["protocolVersion", "clientInfo", "clientCapabilities"] {
        assert_eq!(asked["params"]["_meta"][format!("io.modelcontextprotocol/{modern}")], Value::Null);
    }
    match method {
        "tools/list" => result(sent, &json!({ "tools": [{ "name": "ask" }, { "name": "run" }] })),
        "resources/list" => result(sent, &json!({ "resources": [{ "uri": "file:///a", "name": "a" }] })),
        "resources/read" => result(sent, &json!({ "contents": [{ "uri": asked["params"]["uri"], "text": "x" }] })),
        "tools/call" if asked["params"]["name"] == "ask" => {
            let elicitation =
                json!({ "mode": "form", "message": "Who?", "requestedSchema": { "type": "object", "properties": {} } });
            events(&[
                json!({ "method": "elicitation/create", "params": elicitation, "jsonrpc": "2.0", "id": 0 }),
                json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": asked["params"]["_meta"]["progressToken"], "progress": 1 } }),
                json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "x" } }),
                json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }),
                json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 0 } }),
                json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "content": [{ "type": "text", "text": "done" }] } }),
            ])
        }
        "tools/call" => result(
            sent,
            &json!({ "content": [{ "type": "text", "text": format!("{session} {}", asked["params"]["name"]) }], "resultType": "odd" }),
        ),
        "logging/setLevel" => result(sent, &json!({})),
        "" if sent.method == "GET" && sent.fields.get("last-event-id").is_none() => events(&[
            json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }),
            json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": "file:///a" } }),
        ]),
        _ if asked["id"].is_null() || asked.get("result").is_some() => json_answer(202, None, &Value::Null),
        _ => error(sent, 200, -32601, &json!(null)),
    }
}

/// A server of the modern era.
fn modern_server(sent: &Sent) -> Option<ServerAnswer> {
    let asked = body(sent);
    if sent.fields.get("mcp-protocol-version") != Some("2026-07-28") {
        return error(sent, 400, -32022, &json!({ "supported": ["2026-07-28"] }));
    }
    assert_eq!(sent.fields.get("mcp-session-id"), None);
    let meta = &asked["params"]["_meta"];
    assert_eq!(sent.fields.get("mcp-method"), asked["method"].as_str());
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], json!("2026-07-28"));
    let name = asked["params"]["name"].as_str().or(asked["params"]["uri"].as_str());
    assert_eq!(sent.fields.get("mcp-name"), name);
    match asked["method"].as_str().unwrap_or_default() {
        "server/discover" => result(
            sent,
            &json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {}, "extensions": { "io.modelcontextprotocol/tasks": {} } },
                "instructions": format!("Use {}.", host(sent)), "ttlMs": 5, "cacheScope": "public",
            }),
        ),
        "subscriptions/listen" => {
            let meta = json!({ "io.modelcontextprotocol/subscriptionId": asked["id"] });
            let notify = |what: &str, params: Value| {
                let mut params = params;
                params["_meta"] = meta.clone();
                json!({ "jsonrpc": "2.0", "method": format!("notifications/{what}"), "params": params })
            };
            events(&[
                notify("subscriptions/acknowledged", json!({ "notifications": { "toolsListChanged": true } })),
                notify("tools/list_changed", json!({})),
                notify("resources/updated", json!({ "uri": "file:///a" })),
                json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "resultType": "complete" } }),
            ])
        }
        "tools/list" => result(
            sent,
            &json!({ "resultType": "complete", "tools": [{ "name": "ask" }, { "name": "run" }], "ttlMs": 60000, "cacheScope": "public" }),
        ),
        "tools/call" if asked["params"]["name"] == "ask" => result(
            sent,
            &json!({
                "resultType": "input_required", "inputRequests": {}, "requestState": "s",
            }),
        ),
        "tools/call" => result(
            sent,
            &json!({ "resultType": "complete", "content": [{ "type": "text", "text": format!("modern {}", meta["io.modelcontextprotocol/clientCapabilities"]) }] }),
        ),
        _ => error(sent, 404, -32601, &json!(null)),
    }
}

fn world() -> (World, Rc<RefCell<Servers>>) {
    let state = Rc::new(RefCell::new(Servers::default()));
    let (world, servers) = (World::new(), Rc::clone(&state));
    world.serve_with(move |sent| {
        if servers.borrow().down.contains(&host(sent)) {
            return json_answer(503, None, &json!({}));
        }
        match host(sent) {
            "old" => legacy(&servers, sent),
            "new" => modern_server(sent),
            _ if sent.fields.get("mcp-protocol-version") == Some("2026-07-28") => modern_server(sent),
            _ => legacy(&servers, sent),
        }
    });
    (world, state)
}

fn ask(world: &World, gateway: &Rc<Gateway>, method: &str, mut params: Value) -> Reply {
    if params["_meta"]["io.modelcontextprotocol/clientCapabilities"].is_null() {
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    }
    world.call(gateway, modern(Claims::good(), method, params))
}

/// A client of the legacy era with a session.
fn connect(world: &World, gateway: &Rc<Gateway>) -> (String, Value) {
    let params = json!({
        "protocolVersion": "2025-06-18", "clientInfo": { "name": "test", "version": "1" }, "capabilities": { "elicitation": {} },
    });
    let reply = world.call(gateway, message(Claims::good(), "initialize", params));
    assert_eq!(reply.status, 200, "{}", reply.body);
    let session = reply.field("mcp-session-id").to_owned();
    (session, reply.json()["result"].clone())
}

fn say(session: &str, method: &str, params: Value) -> Request {
    message(Claims::good(), method, params).field("mcp-protocol-version", "2025-06-18").field("mcp-session-id", session)
}

fn notify(session: &str, method: &str) -> Request {
    let body = json!({ "jsonrpc": "2.0", "method": method, "params": { "requestId": 7 } }).to_string();
    say(session, method, json!({})).body(body.as_bytes())
}

fn names(reply: &Reply) -> Vec<String> {
    let items = reply.json()["result"]["tools"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["name"].as_str().expect("text").to_owned()).collect()
}

fn text(reply: &Reply) -> String {
    reply.json()["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{}", reply.body)).to_owned()
}

/// What the servers were asked since the last time, as `host method`.
fn asked(world: &World, seen: &mut usize) -> Vec<String> {
    let all = world.sent();
    let new = all.get(*seen..).unwrap_or_default().iter();
    *seen = all.len();
    new.map(|sent| format!("{} {}", host(sent), body(sent)["method"].as_str().unwrap_or("-"))).collect()
}

/// The messages in an event stream.
fn messages(reply: &Reply) -> Vec<Value> {
    let data = reply.body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|text| serde_json::from_str(text).expect("JSON")).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_of_the_modern_era_reaches_servers_of_both() {
    let (gateway, (world, state), mut seen) = (gate(json!({})), world(), 0);
    let reply = ask(&world, &gateway, "tools/list", json!({}));
    assert_eq!(names(&reply), ["old_ask", "old_run", "new_ask", "new_run", "both_ask", "both_run"], "{}", reply.body);
    assert_eq!(reply.json()["result"]["ttlMs"], json!(0), "lists of the legacy era may not be kept");
    let first = [
        "old server/discover",
        "old initialize",
        "old notifications/initialized",
        "old tools/list",
        "new server/discover",
        "new tools/list",
        "both server/discover",
        "both tools/list",
    ];
    assert_eq!(asked(&world, &mut seen), first);
    let reply = ask(&world, &gateway, "tools/call", json!({ "name": "old_run", "_meta": { "progressToken": 1 } }));
    assert_eq!(text(&reply), "old-1 \"run\"");
    assert_eq!(reply.json()["result"]["resultType"], json!("complete"), "as every result of the modern era has");
    assert_eq!(reply.body.matches("resultType").count(), 1);
    assert!(text(&ask(&world, &gateway, "tools/call", json!({ "name": "both_run" }))).starts_with("modern"));
    assert_eq!(asked(&world, &mut seen), ["old tools/call", "both tools/call"], "what is known is not asked again");
    let sent = world.sent().into_iter().rev().find(|sent| host(sent) == "old").expect("it was sent");
    let meta = body(&sent)["params"]["_meta"].clone();
    assert!(meta["progressToken"].is_string() && meta.as_object().is_some_and(|it| it.len() == 1), "{meta}");
    let read = ask(&world, &gateway, "resources/read", json!({ "uri": "old+file:///a" }));
    assert_eq!(read.json()["result"]["contents"][0]["uri"], json!("old+file:///a"));
    assert_eq!((&read.json()["result"]["ttlMs"], &read.json()["result"]["cacheScope"]), (&json!(0), &json!("private")));
    // Another caller has another session.
    let other = modern(Claims::good().with("sub", json!("eve")), "tools/call", json!({ "name": "old_run" }));
    assert_eq!(text(&world.call(&gateway, other)), "old-2 \"run\"");
    // The server forgets the session: the gateway opens another one, and the client does not notice.
    state.borrow_mut().known.clear();
    assert_eq!(text(&ask(&world, &gateway, "tools/call", json!({ "name": "old_run" }))), "old-3 \"run\"");
    asked(&world, &mut seen);
    assert_eq!(text(&ask(&world, &gateway, "tools/call", json!({ "name": "old_run" }))), "old-3 \"run\"");
    assert_eq!(asked(&world, &mut seen), ["old tools/call"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_of_the_legacy_era_reaches_servers_of_both() {
    let (gateway, (world, state), mut seen) = (gate(json!({})), world(), 0);
    let (session, said) = connect(&world, &gateway);
    assert_eq!(said["protocolVersion"], json!("2025-06-18"));
    let tasks = json!({ "requests": { "tools": { "call": {} } } });
    assert_eq!(said["capabilities"], json!({ "tools": { "listChanged": true }, "logging": {}, "tasks": tasks }));
    assert_eq!(said["instructions"], json!("old: Use old.\n\nnew: Use new.\n\nboth: Use both."));
    let first = [
        "old initialize",
        "old notifications/initialized",
        "new initialize",
        "new server/discover",
        "new server/discover",
        "both initialize",
        "both notifications/initialized",
    ];
    assert_eq!(asked(&world, &mut seen), first);
    let sent = world.sent();
    assert_eq!(body(&sent[0])["params"]["capabilities"], json!({ "elicitation": {} }), "what the client can do");
    assert_eq!(body(&sent[0])["params"]["protocolVersion"], json!("2025-06-18"));
    assert_eq!(world.call(&gateway, notify(&session, "notifications/initialized")).status, 202);
    assert_eq!(world.call(&gateway, say(&session, "ping", json!({}))).json()["result"], json!({}));
    assert!(asked(&world, &mut seen).is_empty());
    let list = world.call(&gateway, say(&session, "tools/list", json!({})));
    assert_eq!(names(&list).len(), 6, "{}", list.body);
    for modern in ["ttlMs", "resultType", "cacheScope"] {
        assert!(!list.body.contains(modern), "{modern}");
    }
    let call =
        |gateway: &Rc<Gateway>, name: &str| world.call(gateway, say(&session, "tools/call", json!({ "name": name })));
    assert_eq!(text(&call(&gateway, "old_run")), "old-1 \"run\"");
    assert_eq!(text(&call(&gateway, "both_run")), "both-2 \"run\"", "the era of the client comes first");
    assert_eq!(text(&call(&gateway, "new_run")), "modern {}", "it cannot answer what such a server asks");
    let needs = call(&gateway, "new_ask");
    assert_eq!(needs.status, 200);
    assert!(needs.json()["error"]["message"].as_str().is_some_and(|it| it.contains("input")), "{}", needs.body);
    let absent = world.call(&gateway, say(&session, "resources/read", json!({ "uri": "new+file:///x" })));
    assert_eq!(
        (absent.status, &absent.json()["error"]["code"]),
        (200, &json!(-32601)),
        "such clients read errors at 200"
    );
    // Another isolate knows nothing but what the client brings.
    let other = gate(json!({}));
    asked(&world, &mut seen);
    assert_eq!(text(&call(&other, "old_run")), "old-1 \"run\"");
    assert_eq!(asked(&world, &mut seen), ["old tools/call"]);
    state.borrow_mut().known.clear();
    assert_eq!(text(&call(&other, "old_run")), "old-3 \"run\"", "a session that the server forgot");
    assert_eq!(text(&call(&other, "old_run")), "old-3 \"run\"");
    // No other caller has the session.
    let theirs =
        message(Claims::good().with("sub", json!("eve")), "tools/list", json!({})).field("mcp-session-id", &session);
    assert_eq!(world.call(&gateway, theirs).status, 404);
    assert_eq!(world.call(&gateway, say("made-up", "tools/list", json!({}))).status, 404);
    world.pass(601);
    assert_eq!(world.call(&gateway, say(&session, "tools/list", json!({}))).status, 404);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_of_a_server_reaches_its_client_and_the_answer_its_server() {
    let (gateway, (world, _), mut seen) = (gate(json!({})), world(), 0);
    let (session, _) = connect(&world, &gateway);
    let asked_by = |server: &str| {
        let reply = world.call(
            &gateway,
            say(&session, "tools/call", json!({ "name": format!("{server}_ask"), "_meta": { "progressToken": 1 } })),
        );
        messages(&reply)
    };
    let (old, both) = (asked_by("old"), asked_by("both"));
    assert_eq!(old.len(), 6, "all of them reach a client of the same era: {old:?}");
    let id = old[0]["id"].as_str().expect("a sealed id");
    assert_eq!(old[4]["params"]["requestId"], json!(id), "a server can cancel its request");
    assert_ne!(old[0]["id"], both[0]["id"], "both servers gave it the id 0");
    assert_eq!(old[0]["params"]["message"], json!("Who?"));
    let respond = |claims: Claims, id: &Value| {
        let answer =
            json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept", "content": { "name": "Ada" } } });
        let request = Request::post("/mcp").bearer(&token(&claims)).field("mcp-protocol-version", "2025-06-18");
        world.call(&gateway, request.field("mcp-session-id", &session).body(answer.to_string().as_bytes()))
    };
    asked(&world, &mut seen);
    assert_eq!(respond(Claims::good(), &both[0]["id"]).status, 202);
    let sent = world.sent();
    let sent = sent.last().expect("it was sent");
    assert_eq!((host(sent), &body(sent)["id"]), ("both", &json!(0)), "under the id that the server gave it");
    assert_eq!(sent.fields.get("mcp-session-id"), Some("both-2"));
    assert_eq!(body(sent)["result"]["content"]["name"], json!("Ada"));
    asked(&world, &mut seen);
    for (claims, id) in [
        (Claims::good(), json!(0)),
        (Claims::good(), json!("made-up")),
        (Claims::good().with("sub", json!("eve")), both[0]["id"].clone()),
    ] {
        assert!(matches!(respond(claims, &id).status, 400 | 404));
    }
    assert!(asked(&world, &mut seen).is_empty(), "no server gets what it did not ask for");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_client_of_the_modern_era_gets_of_a_legacy_stream() {
    let (gateway, (world, _)) = (gate(json!({})), world());
    let of = |mut meta: Value| {
        meta["progressToken"] = json!(1);
        messages(&ask(&world, &gateway, "tools/call", json!({ "name": "old_ask", "_meta": meta })))
    };
    let methods =
        |all: &[Value]| all.iter().map(|it| it["method"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>();
    let plain = of(json!({}));
    assert_eq!(methods(&plain), ["notifications/progress", "-"], "no requests, and nothing that it did not ask for");
    assert_eq!(plain[0]["params"]["progressToken"], json!(1));
    assert_eq!((&plain[1]["result"]["resultType"], &plain[1]["id"]), (&json!("complete"), &json!(7)));
    let logged = of(json!({ "io.modelcontextprotocol/logLevel": "info" }));
    assert_eq!(methods(&logged), ["notifications/progress", "notifications/message", "-"]);
    let opened = world.sent().into_iter().find(|sent| body(sent)["method"] == "initialize").expect("a session");
    assert_eq!(body(&opened)["params"]["capabilities"], json!({}), "a server cannot ask such a client on the way");
}

#[wasm_bindgen_test(unsupported = test)]
fn notifications_and_the_end_of_a_session_reach_the_servers_that_it_concerns() {
    let (gateway, (world, _), mut seen) = (gate(json!({})), world(), 0);
    let (session, _) = connect(&world, &gateway);
    asked(&world, &mut seen);
    for method in ["notifications/cancelled", "notifications/roots/list_changed"] {
        assert_eq!(world.call(&gateway, notify(&session, method)).status, 202);
        assert_eq!(asked(&world, &mut seen), [format!("old {method}"), format!("both {method}")]);
    }
    let level = world.call(&gateway, say(&session, "logging/setLevel", json!({ "level": "debug" })));
    assert_eq!(level.json()["result"], json!({}));
    assert_eq!(asked(&world, &mut seen), ["old logging/setLevel", "both logging/setLevel"]);
    let batch = say(&session, "ping", json!({})).field("mcp-protocol-version", "2025-03-26");
    let batch = batch.body(br#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]"#);
    assert_eq!(world.call(&gateway, batch).status, 400);
    let mut end = Request::get("/mcp").bearer(&token(&Claims::good())).field("mcp-session-id", &session);
    end.head.method = portcullis::transport::head::Method::Delete;
    assert_eq!(world.call(&gateway, end).status, 200);
    assert_eq!(asked(&world, &mut seen), ["old -", "both -"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stream_that_broke_off_resumes_at_its_server() {
    let (gateway, (world, _), mut seen) = (gate(json!({})), world(), 0);
    let (session, _) = connect(&world, &gateway);
    let reply = world.call(&gateway, say(&session, "tools/call", json!({ "name": "both_ask" })));
    let id = reply.body.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id").to_owned();
    asked(&world, &mut seen);
    let resume = |session: &str, id: &str| {
        let get = Request::get("/mcp").bearer(&token(&Claims::good())).field("accept", "text/event-stream");
        world.call(&gateway, get.field("mcp-session-id", session).field("last-event-id", id)).status
    };
    resume(&session, &id);
    let sent = world.sent();
    let sent = sent.last().expect("it was sent");
    assert_eq!((host(sent), sent.fields.get("last-event-id")), ("both", Some("e0")));
    assert_eq!(sent.fields.get("mcp-session-id"), Some("both-2"));
    asked(&world, &mut seen);
    assert_eq!(resume(&session, "e0"), 404, "an id that the gateway did not mark");
    let (other, _) = connect(&world, &gateway);
    asked(&world, &mut seen);
    assert_eq!(resume(&other, &id), 404, "an id of another session");
    assert!(asked(&world, &mut seen).is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_that_fails_does_not_lose_its_era() {
    let (gateway, (world, state), mut seen) = (gate(json!({})), world(), 0);
    state.borrow_mut().down = vec!["old"];
    let reply = ask(&world, &gateway, "tools/list", json!({}));
    assert_eq!(reply.json()["result"]["_meta"]["portcullis/left-out"], json!(["old"]));
    assert_eq!(ask(&world, &gateway, "tools/call", json!({ "name": "old_run" })).status, 502);
    state.borrow_mut().down.clear();
    assert_eq!(names(&ask(&world, &gateway, "tools/list", json!({}))).len(), 6);
    state.borrow_mut().down = vec!["old", "new"];
    let (session, said) = connect(&world, &gateway);
    assert_eq!(said["_meta"]["portcullis/left-out"], json!(["old", "new"]));
    state.borrow_mut().down.clear();
    // A server that was not there when the client began is opened when it is needed.
    let reply = world.call(&gateway, say(&session, "tools/call", json!({ "name": "old_run" })));
    assert!(text(&reply).starts_with("old-"), "{}", reply.body);
    asked(&world, &mut seen);
    // What is known of eras is asked again after ten minutes.
    world.pass(601);
    ask(&world, &gateway, "tools/call", json!({ "name": "new_run" }));
    assert_eq!(asked(&world, &mut seen), ["new server/discover", "new tools/call"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_configuration_can_name_the_era() {
    let servers = json!([{ "name": "both", "origin": "https://both.example/mcp", "era": "legacy" }]);
    let (gateway, (world, _), mut seen) = (gate(json!({ "servers": servers })), world(), 0);
    assert_eq!(text(&ask(&world, &gateway, "tools/call", json!({ "name": "both_run" }))), "both-1 \"run\"");
    assert_eq!(asked(&world, &mut seen), ["both initialize", "both notifications/initialized", "both tools/call"]);
    let wrong = json!([{ "name": "both", "origin": "https://both.example/mcp", "era": "modern" }]);
    let (gateway, (session, _)) =
        (gate(json!({ "servers": wrong.clone() })), connect(&world, &gate(json!({ "servers": wrong }))));
    asked(&world, &mut seen);
    let reply = world.call(&gateway, say(&session, "tools/call", json!({ "name": "both_run" })));
    assert_eq!(text(&reply), "modern {}");
    assert_eq!(asked(&world, &mut seen), ["both tools/call"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn sessions_of_servers_are_bounded() {
    let servers = json!([{ "name": "old", "origin": "https://old.example/mcp", "era": "legacy" }]);
    let (gateway, (world, _)) = (gate(json!({ "servers": servers })), world());
    let call = |subject: &str, client: &str| {
        let claims = Claims::good().with("sub", json!(subject));
        let meta = json!({ "io.modelcontextprotocol/clientInfo": { "name": client, "version": "1" } });
        text(&world.call(&gateway, modern(claims, "tools/call", json!({ "name": "old_run", "_meta": meta }))))
    };
    let first = call("ada", "first");
    assert_eq!(call("ada", "second"), first, "clients of one caller share a session: a name is not worth a new one");
    let eves = call("eve", "first");
    for _ in 0..200 {
        let params = json!({ "protocolVersion": "2025-06-18", "clientInfo": {}, "capabilities": {} });
        let claims = Claims::good().with("sub", json!("eve"));
        assert_eq!(world.call(&gateway, message(claims, "initialize", params)).status, 200);
    }
    assert_eq!(call("ada", "first"), first, "one caller does not cost another one its sessions");
    assert_ne!(call("eve", "first"), eves, "the oldest one was forgotten");
}

#[wasm_bindgen_test(unsupported = test)]
fn one_stream_has_the_notifications_of_all_servers() {
    let (gateway, (world, _), mut seen) = (gate(json!({})), world(), 0);
    let (session, _) = connect(&world, &gateway);
    asked(&world, &mut seen);
    let get = || Request::get("/mcp").bearer(&token(&Claims::good())).field("accept", "text/event-stream");
    let stream = world.call(&gateway, get().field("mcp-session-id", &session));
    assert_eq!((stream.status, stream.field("content-type")), (200, "text/event-stream"), "{}", stream.body);
    let all = messages(&stream);
    let what: Vec<String> = all.iter().map(|it| format!("{} {}", it["method"], it["params"]["uri"])).collect();
    let changed = r#""notifications/tools/list_changed" null"#;
    let updated = |server: &str| format!(r#""notifications/resources/updated" "{server}+file:///a""#);
    assert_eq!(what, [changed, &updated("old"), changed, &updated("both")], "servers of the era of the client");
    assert_eq!(asked(&world, &mut seen), ["old -", "both -"]);
    assert!(stream.body.lines().filter_map(|it| it.strip_prefix("id: ")).all(|id| id.contains('.')), "marked ids");
    assert_eq!(world.call(&gateway, get()).status, 405, "without a session there is nothing to listen to");

    let listen =
        |notifications: Value| ask(&world, &gateway, "subscriptions/listen", json!({ "notifications": notifications }));
    let lists = json!({ "toolsListChanged": true, "resourceSubscriptions": ["new+file:///a", "both+file:///b"] });
    let stream = listen(lists.clone());
    let all = messages(&stream);
    assert_eq!(all[0]["method"], json!("notifications/subscriptions/acknowledged"), "{}", stream.body);
    assert_eq!((&all[0]["params"]["notifications"], &all[0]["id"]), (&lists, &Value::Null));
    let subscription = |it: &Value| it["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
    assert!(all[..5].iter().all(|it| subscription(it) == json!(7)), "{all:?}");
    assert_eq!(all.len(), 6, "one acknowledgment, and one response at the end: {all:?}");
    assert_eq!((&all[5]["id"], &all[5]["result"]["resultType"]), (&json!(7), &json!("complete")));
    assert_eq!(all[2]["params"]["uri"], json!("new+file:///a"));
    let sent: Vec<Sent> =
        world.sent().into_iter().filter(|sent| body(sent)["method"] == "subscriptions/listen").collect();
    let uris: Vec<Value> =
        sent.iter().map(|sent| body(sent)["params"]["notifications"]["resourceSubscriptions"].clone()).collect();
    assert_eq!(uris, [json!(["file:///a"]), json!(["file:///b"])], "each server learns of its own resources");
    asked(&world, &mut seen);
    listen(json!({ "resourceSubscriptions": ["both+file:///b"] }));
    assert_eq!(asked(&world, &mut seen), ["both subscriptions/listen"], "only whom it concerns");
    let nothing = messages(&listen(json!({ "resourceSubscriptions": ["none+file:///b"] })));
    assert_eq!((nothing.len(), &nothing[0]["params"]["notifications"]), (2, &json!({})), "and then it ends");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_every_server_would_refuse_reaches_none() {
    let (gateway, (world, _)) = (gate(json!({})), world());
    let without = modern(Claims::good(), "tools/list", json!({}));
    let reply = world.call(&gateway, without);
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32602)), "no capabilities (T20)");
    for version in ["2024-01-01", "latest", "2025-11-26"] {
        let unknown = message(Claims::good(), "tools/list", json!({})).field("mcp-protocol-version", version);
        let reply = world.call(&gateway, unknown);
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32022)), "{version}");
    }
    assert!(world.sent().is_empty());
}
