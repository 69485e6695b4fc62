//! Task ids, `requestState` and the URIs of Apps are their callers' own.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{message, modern, scope, with_rules};
use crate::support::{Claims, Reply, Request, TestSecrets, World, open_with, token};

const SECRET: &str = "new-0123456789abcdef0123456789abcdef";
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[("content-type", "text/event-stream")];
const RELATED: &str = "io.modelcontextprotocol/related-task";

fn gate_with(rules: Value, more: Value) -> Rc<Gateway> {
    let known = TestSecrets(vec![("NEW", SECRET.to_owned()), ("OLD", format!("old-{SECRET}"))]);
    let mut document = with_rules(rules, json!({}));
    if document["resources"][0]["rules"].is_null() {
        document["resources"][0].as_object_mut().expect("an object").remove("rules");
    }
    document["sessions"] = json!({ "secrets": ["NEW"], "seconds": 3600 });
    for (key, value) in more.as_object().expect("an object") {
        document[key] = value.clone();
    }
    open_with(document, &known).expect("the document is right")
}

fn gate() -> Rc<Gateway> {
    gate_with(json!(null), json!({}))
}

fn answers(world: &World, result: Value) {
    world.origin(Ok((200, JSON)));
    world.origin_body(json!({ "jsonrpc": "2.0", "id": 7, "result": result }).to_string().as_bytes(), 5);
}

/// Calls a tool that begins the task `t-1`; the id of the task as the caller has it.
fn begin(world: &World, gateway: &Rc<Gateway>, claims: Claims, tool: &str) -> String {
    answers(world, json!({ "resultType": "task", "taskId": "t-1", "status": "working", "ttlMs": null }));
    let reply = world.call(gateway, modern(claims, "tools/call", json!({ "name": tool, "arguments": { "a": 1 } })));
    let id = reply.json()["result"]["taskId"].as_str().expect("a task").to_owned();
    assert!(id.len() > 40 && !id.contains("t-1"), "{id}");
    id
}

fn get(claims: Claims, id: &str) -> Request {
    let declared = json!({ "io.modelcontextprotocol/clientCapabilities": {
        "extensions": { "io.modelcontextprotocol/tasks": {} }
    } });
    modern(claims, "tasks/get", json!({ "taskId": id, "_meta": declared }))
}

fn error(reply: &Reply) -> (u16, Value) {
    (reply.status, reply.json()["error"]["code"].clone())
}

/// What reached the origin server last, if it is newer than `before`.
fn body_of_last(world: &World) -> Value {
    serde_json::from_slice(&world.sent().pop().expect("it was forwarded").body).expect("JSON")
}

#[wasm_bindgen_test(unsupported = test)]
fn a_task_is_its_callers_own() {
    let gateway = gate();
    let world = World::new();
    let id = begin(&world, &gateway, Claims::good(), "slow");
    // The origin server gets its own id, in the body and in the field, and the caller keeps the one that it has.
    answers(
        &world,
        json!({ "resultType": "complete", "taskId": "t-1", "status": "completed", "result": { "taskId": "t-1" } }),
    );
    let reply = world.call(&gateway, get(Claims::good(), &id));
    assert_eq!(reply.json()["result"]["taskId"], json!(id));
    assert_eq!(reply.json()["result"]["result"], json!({ "taskId": "t-1" }), "the tool's own result stays as it is");
    assert_eq!(body_of_last(&world)["params"]["taskId"], json!("t-1"));
    assert_eq!(world.sent().pop().expect("forwarded").fields.get("mcp-name"), Some("t-1"));
    // A new token of the same caller goes on.
    assert_eq!(world.call(&gateway, get(Claims::good().with("jti", json!("2")), &id)).status, 200);
    // Another caller, another client and another resource have no such task, and what was changed is none.
    let before = world.sent().len();
    for claims in [Claims::good().with("sub", json!("eve")), Claims::good().with("client_id", json!("client-2"))] {
        assert_eq!(error(&world.call(&gateway, get(claims, &id))), (200, json!(-32602)));
    }
    for method in ["tasks/get", "tasks/update", "tasks/cancel", "tasks/result"] {
        for wrong in ["t-1", "", "x", &id[..40], &format!("{id}A"), &"A".repeat(9_000)] {
            let reply = world.call(&gateway, message(Claims::good(), method, json!({ "taskId": wrong })));
            assert_eq!(error(&reply), (200, json!(-32602)), "{method} {wrong}");
        }
    }
    for at in 0..id.len() {
        let mut changed = id.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("text");
        assert_eq!(error(&world.call(&gateway, get(Claims::good(), &changed))), (200, json!(-32602)), "{at}");
    }
    assert_eq!(world.sent().len(), before, "none of these reached the origin server");
    // It ends with the time that the configuration gives.
    let later = || Claims::good().with("exp", json!(crate::support::world::NOON + 9_000));
    world.pass(3_599);
    assert_eq!(world.call(&gateway, get(later(), &id)).status, 200);
    assert_eq!(world.sent().len(), before + 1);
    world.pass(1);
    assert_eq!(error(&world.call(&gateway, get(later(), &id))), (200, json!(-32602)));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_task_of_another_resource_or_an_old_key_is_none() {
    let world = World::new();
    let more = |secrets: Value| json!({ "sessions": { "secrets": secrets } });
    let id = begin(&world, &gate_with(json!(null), more(json!(["OLD"]))), Claims::good(), "slow");
    let ask = |secrets: Value| {
        answers(&world, json!({ "taskId": "t-1" }));
        world.call(&gate_with(json!(null), more(secrets)), get(Claims::good(), &id)).json()["error"]["code"].clone()
    };
    assert_eq!(ask(json!(["NEW", "OLD"])), json!(null));
    assert_eq!(ask(json!(["NEW"])), json!(-32602));
    let mut document = with_rules(json!([{ "effect": "allow" }]), json!({}));
    let mut other = document["resources"][0].clone();
    other["path"] = json!("/other");
    document["resources"].as_array_mut().expect("an array").push(other);
    document["sessions"] = json!({ "secrets": ["NEW"] });
    let known = TestSecrets(vec![("NEW", SECRET.to_owned())]);
    let gateway = open_with(document, &known).expect("the document is right");
    let id = begin(&world, &gateway, Claims::good(), "slow");
    let elsewhere = Claims::good().with("aud", json!("https://gate.example/other"));
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tasks/get", "params": { "taskId": id } }).to_string();
    let request = |path: &str, claims: &Claims| {
        Request::post(path).bearer(&token(claims)).field("mcp-protocol-version", "2025-11-25").body(body.as_bytes())
    };
    assert_eq!(error(&world.call(&gateway, request("/other", &elsewhere))), (200, json!(-32602)));
    answers(&world, json!({ "taskId": "t-1" }));
    assert_eq!(world.call(&gateway, request("/mcp", &Claims::good())).json()["result"]["taskId"], json!(id));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_without_tasks_learns_what_it_has_to_declare() {
    let gateway = gate();
    let reply = World::new().call(&gateway, modern(Claims::good(), "tasks/cancel", json!({ "taskId": "any" })));
    assert_eq!(error(&reply), (400, json!(-32021)));
    let data = &reply.json()["error"]["data"];
    assert_eq!(data["requiredCapabilities"], json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } }));
    assert!(data["request"].is_string());
    // In the legacy era there is no such declaration.
    let reply = World::new().call(&gateway, message(Claims::good(), "tasks/cancel", json!({ "taskId": "any" })));
    assert_eq!(error(&reply), (200, json!(-32602)));
}

#[wasm_bindgen_test(unsupported = test)]
fn methods_that_no_sealed_id_fits_are_closed() {
    let gateway = gate();
    let asked = |request| {
        let world = World::new();
        let reply = world.call(&gateway, request);
        assert!(world.sent().is_empty());
        error(&reply)
    };
    // A list would show the tasks of all callers.
    assert_eq!(asked(message(Claims::good(), "tasks/list", json!({}))), (200, json!(-32601)));
    assert_eq!(asked(modern(Claims::good(), "tasks/list", json!({}))), (404, json!(-32601)));
    assert_eq!(asked(modern(Claims::good(), "tasks/result", json!({ "taskId": "t-1" }))), (404, json!(-32601)));
    assert_eq!(asked(message(Claims::good(), "tasks/result", json!({}))), (200, json!(-32602)));
    assert_eq!(asked(message(Claims::good(), "tasks/get", json!({ "taskId": 7 }))), (200, json!(-32602)));
}

#[wasm_bindgen_test(unsupported = test)]
fn tasks_follow_the_rules_of_the_tool_that_began_them() {
    let after = |rules: Value, claims: Claims| {
        let world = World::new();
        let gateway = gate_with(json!([{ "effect": "allow" }]), json!({}));
        let id = begin(&world, &gateway, claims.clone(), "pay");
        let gateway = gate_with(rules, json!({ "decision_log": { "console": true } }));
        let before = world.sent().len();
        let reply = world.call(&gateway, get(claims, &id));
        let decision: Value = serde_json::from_str(&world.decisions().pop().unwrap_or_default()).unwrap_or_default();
        (world.sent().len() > before, reply, decision)
    };
    let allowed = |rules: Value| after(rules, Claims::good()).0;
    assert!(allowed(json!([{ "effect": "allow", "tools": ["pay"] }])));
    assert!(allowed(json!([{ "effect": "allow", "methods": ["tools/call"] }])));
    assert!(allowed(json!([{ "effect": "allow" }])));
    assert!(allowed(
        json!([{ "effect": "allow", "tools": ["pay"], "when": { "arguments": { "a": { "at_most": 5 } } } }])
    ));
    // What lets the method through lets no other tool's tasks through, and a rule can deny the method.
    assert!(!allowed(json!([{ "effect": "allow", "methods": ["tasks/*"] }])));
    assert!(!allowed(json!([{ "effect": "deny", "methods": ["tasks/get"] }, { "effect": "allow" }])));
    assert!(!allowed(json!([{ "effect": "deny", "tools": ["PAY"] }, { "effect": "allow" }])));
    assert!(!allowed(json!([{ "effect": "allow", "tools": ["read"] }])));
    let (_, reply, decision) = after(json!([{ "effect": "allow", "tools": ["read"] }]), Claims::good());
    assert_eq!(error(&reply), (200, json!(-32602)), "like a task that does not exist");
    assert_eq!(decision["mcp_method"], json!("tasks/get"));
    assert_eq!(
        (&decision["tool"], &decision["name"], &decision["verdict"]),
        (&json!("pay"), &json!(null), &json!("deny"))
    );
    let step_up = json!([{ "effect": "step_up", "scopes": ["money"], "tools": ["pay"] }]);
    let (_, reply, _) = after(step_up.clone(), Claims::good());
    assert_eq!(reply.status, 403);
    assert!(reply.field("www-authenticate").contains("money"));
    assert!(after(step_up, scope("mcp:tools money")).0);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_log_has_no_task_ids() {
    let gateway = gate_with(json!([{ "effect": "allow" }]), json!({ "decision_log": { "console": true } }));
    let world = World::new();
    let id = begin(&world, &gateway, Claims::good(), "slow");
    answers(&world, json!({ "taskId": "t-1" }));
    world.call(&gateway, get(Claims::good(), &id));
    world.call(&gateway, get(Claims::good().with("sub", json!("eve")), &id));
    let lines: Vec<String> = world.lines().iter().map(Value::to_string).chain(world.decisions()).collect();
    assert!(lines.iter().any(|line| line.contains("tasks/get")));
    assert!(!lines.iter().any(|line| line.contains(&id)), "{lines:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn polling_does_not_count_as_calling() {
    let known = TestSecrets(vec![("NEW", SECRET.to_owned())]);
    let mut document = with_rules(
        json!([{ "effect": "allow" }]),
        json!({
            "limits": [{ "by": ["subject", "tool"], "requests": 1, "seconds": 60, "tools": ["*"] }]
        }),
    );
    document["sessions"] = json!({ "secrets": ["NEW"] });
    let gateway = open_with(document, &known).expect("the document is right");
    let world = World::new();
    let id = begin(&world, &gateway, Claims::good(), "slow");
    for _ in 0..5 {
        answers(&world, json!({ "taskId": "t-1" }));
        assert_eq!(world.call(&gateway, get(Claims::good(), &id)).status, 200);
    }
}

const ASKS: &str = "{\"resultType\":\"input_required\",\"inputRequests\":{},\"requestState\":\"s:1\"}";

#[wasm_bindgen_test(unsupported = test)]
fn a_request_state_is_its_callers_and_its_requests_own() {
    let gateway = gate();
    let world = World::new();
    let ask = |claims: Claims, method: &str, params: Value| world.call(&gateway, modern(claims, method, params));
    answers(&world, serde_json::from_str(ASKS).expect("JSON"));
    let params = json!({ "name": "pay", "arguments": { "to": "bob", "amount": 5 } });
    let reply = ask(Claims::good(), "tools/call", params.clone());
    let state = reply.json()["result"]["requestState"].as_str().expect("a state").to_owned();
    assert!(!state.contains("s:1"));
    let again = |claims: Claims, method: &str, params: Value, state: &str| {
        let mut params = params;
        params["requestState"] = json!(state);
        params["inputResponses"] = json!({ "ok": { "action": "accept" } });
        let before = world.sent().len();
        let reply = ask(claims, method, params);
        (world.sent().len() > before, reply)
    };
    answers(&world, json!({ "content": [] }));
    assert!(again(Claims::good(), "tools/call", params.clone(), &state).0);
    assert_eq!(body_of_last(&world)["params"]["requestState"], json!("s:1"));
    assert_eq!(body_of_last(&world)["params"]["arguments"], params["arguments"]);
    // Arguments that are written differently are the same.
    let raw = r#"{"amount": 5,"to":"b\u006fb"}"#;
    let text = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
        "name": "pay", "arguments": "ARGUMENTS", "requestState": state,
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } } });
    let text = text.to_string().replace("\"ARGUMENTS\"", raw);
    let request = modern(Claims::good(), "tools/call", json!({ "name": "pay" })).body(text.as_bytes());
    assert_eq!(world.call(&gateway, request).json()["error"], json!(null));
    // Everything else is unknown: another caller, tool, method or argument, and what the origin server itself has.
    let refused = |(sent, reply): (bool, Reply)| {
        assert!(!sent);
        assert_eq!(error(&reply), (200, json!(-32602)));
    };
    refused(again(Claims::good().with("sub", json!("eve")), "tools/call", params.clone(), &state));
    refused(again(
        Claims::good(),
        "tools/call",
        json!({ "name": "pay", "arguments": { "to": "eve", "amount": 5 } }),
        &state,
    ));
    refused(again(Claims::good(), "tools/call", json!({ "name": "pay" }), &state));
    refused(again(
        Claims::good(),
        "tools/call",
        json!({ "name": "show", "arguments": { "to": "bob", "amount": 5 } }),
        &state,
    ));
    refused(again(Claims::good(), "prompts/get", params.clone(), &state));
    for wrong in ["s:1", "", &state[1..]] {
        refused(again(Claims::good(), "tools/call", params.clone(), wrong));
    }
    refused((
        false,
        ask(
            Claims::good(),
            "completion/complete",
            json!({
                "ref": { "type": "ref/prompt", "name": "p" }, "requestState": "s:1"
            }),
        ),
    ));
    let number = ask(Claims::good(), "tools/call", json!({ "name": "pay", "requestState": 7 }));
    assert_eq!(error(&number), (400, json!(-32602)));
    world.pass(3_600);
    refused(again(
        Claims::good().with("exp", json!(crate::support::world::NOON + 9_000)),
        "tools/call",
        params,
        &state,
    ));
}

#[wasm_bindgen_test(unsupported = test)]
fn handles_are_sealed_in_event_streams_too() {
    let gateway = gate();
    let read = |chunk: usize| {
        let world = World::new();
        world.origin(Ok((200, EVENTS)));
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": {
            "progress": 1, "_meta": { RELATED: { "taskId": "t-1" } } } });
        let created =
            json!({ "jsonrpc": "2.0", "id": 7, "result": { "task": { "taskId": "t-1", "status": "working" } } });
        let status = json!({ "jsonrpc": "2.0", "params": { "taskId": "t-1", "status": "working" }, "method": "notifications/tasks/status" });
        let asked =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": { "taskId": "of-the-client" } });
        let stream =
            format!("event: message\ndata: {created}\n\ndata: {progress}\n\ndata: {asked}\n\ndata: {status}\n\n");
        world.origin_body(stream.as_bytes(), chunk);
        let reply = world.call(&gateway, message(Claims::good(), "tools/call", json!({ "name": "slow", "task": {} })));
        let events =
            reply.body.split("\n\n").filter_map(|event| event.split_once("data: ").map(|(_, data)| data.to_owned()));
        events.map(|event| serde_json::from_str::<Value>(&event).expect("JSON")).collect::<Vec<_>>()
    };
    let events = read(1_000);
    assert_eq!(read(1), events, "wherever it is cut");
    let id = events[0]["result"]["task"]["taskId"].clone();
    assert!(id.as_str().expect("text").len() > 40);
    assert_eq!(events[1]["params"]["_meta"][RELATED]["taskId"], id);
    assert_eq!(events[2]["params"]["taskId"], json!("of-the-client"), "a server asks for a task of the client");
    assert_eq!(events[3]["params"]["taskId"], id);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stream_that_a_client_opened_names_the_tasks_that_this_isolate_sealed() {
    let gateway = gate();
    let world = World::new();
    let begin = |claims: Claims| {
        answers(&world, json!({ "task": { "taskId": "t-1", "status": "working" } }));
        let reply = world.call(&gateway, message(claims, "tools/call", json!({ "name": "slow", "task": {} })));
        reply.json()["result"]["task"]["taskId"].as_str().expect("a task").to_owned()
    };
    let listen = |claims: Claims| {
        let asked = json!({ "method": "elicitation/create", "params": { "message": "?", "_meta": { RELATED: { "taskId": "t-1" } } }, "jsonrpc": "2.0", "id": 0 });
        let status = json!({ "jsonrpc": "2.0", "method": "notifications/tasks/status", "params": { "taskId": "t-1" } });
        world.origin(Ok((200, EVENTS)));
        world.origin_body(format!("event: message\ndata: {asked}\n\ndata: {status}\n\n").as_bytes(), 7);
        let request = Request::get("/mcp").bearer(&token(&claims)).field("accept", "text/event-stream");
        world.call(&gateway, request.field("mcp-protocol-version", "2025-11-25")).body
    };
    assert_eq!(listen(Claims::good()).matches("\"t-1\"").count(), 2, "unknown so far, and of no use to the client");
    let id = begin(Claims::good());
    let read = listen(Claims::good());
    assert_eq!((read.matches(&id).count(), read.matches("\"t-1\"").count()), (2, 0), "{read}");
    // Another caller does not get the id, and begins a task of its own.
    assert_eq!(listen(Claims::good().with("sub", json!("eve"))).matches(&id).count(), 0);
    let of_eve = begin(Claims::good().with("sub", json!("eve")));
    assert_ne!(of_eve, id);
    assert_eq!(listen(Claims::good()).matches(&id).count(), 2);
}

#[test]
fn what_an_isolate_knows_of_tasks_is_bounded() {
    use portcullis::mcp::known_tasks::KnownTasks;
    use portcullis::mcp::session::Holder;
    let mut known = KnownTasks::default();
    let of = |subject: &str, work: &mut dyn FnMut(Holder<'_>)| {
        work(Holder { issuer: "i", subject, client: None, resource: "r" });
    };
    of("ada", &mut |holder| known.keep("t-1", "sealed", holder));
    for task in 0..1_000 {
        of("eve", &mut |holder| known.keep(&format!("task {task}"), &"s".repeat(200), holder));
    }
    of("ada", &mut |holder| {
        assert_eq!(known.get("t-1", holder), Some("sealed"), "one caller does not push out another");
    });
    of("eve", &mut |holder| {
        assert_eq!(known.get("task 0", holder), None);
        assert!(known.get("task 999", holder).is_some());
    });
    assert!(known.size().1 < 9_000);
    for caller in 0..2_000 {
        of(&caller.to_string(), &mut |holder| known.keep("t", "s", holder));
    }
    assert_eq!(known.size().0, portcullis::limits::KNOWN_TASK_CALLERS);
}

#[wasm_bindgen_test(unsupported = test)]
fn subscriptions_to_tasks_are_translated_and_judged() {
    let world = World::new();
    let gateway = gate_with(json!([{ "effect": "allow", "tools": ["slow"] }]), json!({}));
    let id = begin(&world, &gateway, Claims::good(), "slow");
    let listen = |gateway: &Rc<Gateway>, claims: Claims, ids: Value| {
        let acknowledged = json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
            "params": { "notifications": { "taskIds": ["t-1"], "toolsListChanged": true } } });
        let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tasks", "params": { "taskId": "t-1", "status": "working" } });
        world.origin(Ok((200, EVENTS)));
        world.origin_body(format!("data: {acknowledged}\n\ndata: {changed}\n\n").as_bytes(), 9);
        let params = json!({ "notifications": { "toolsListChanged": true, "taskIds": ids } });
        let before = world.sent().len();
        let reply = world.call(gateway, modern(claims, "subscriptions/listen", params));
        (world.sent().len() > before, reply)
    };
    let (sent, reply) = listen(&gateway, Claims::good(), json!([id]));
    assert!(sent);
    assert_eq!(
        body_of_last(&world)["params"]["notifications"],
        json!({ "toolsListChanged": true, "taskIds": ["t-1"] })
    );
    assert_eq!(reply.body.matches(&id).count(), 2, "{}", reply.body);
    assert!(!reply.body.contains("t-1\""), "{}", reply.body);
    for (claims, ids) in [
        (Claims::good(), json!(["t-1"])),
        (Claims::good(), json!([id, "t-1"])),
        (Claims::good().with("sub", json!("eve")), json!([id])),
    ] {
        let (sent, reply) = listen(&gateway, claims, ids);
        assert!(!sent && reply.json()["error"].is_object());
    }
    let (sent, reply) = listen(&gateway, Claims::good(), json!("t-1"));
    assert!(!sent && error(&reply) == (400, json!(-32602)));
    let today = gate_with(json!([{ "effect": "allow", "tools": ["read"] }]), json!({}));
    let (sent, reply) = listen(&today, Claims::good(), json!([id]));
    assert!(!sent && error(&reply) == (200, json!(-32602)));
}

#[wasm_bindgen_test(unsupported = test)]
fn answers_of_a_client_name_its_task_by_the_servers_id() {
    let gateway = gate();
    let world = World::new();
    let id = begin(&world, &gateway, Claims::good(), "slow");
    let response = |id: &str| {
        let body = json!({ "jsonrpc": "2.0", "id": 3, "result": { "action": "accept", "_meta": { RELATED: { "taskId": id } } } });
        let request = message(Claims::good(), "x", json!({})).body(body.to_string().as_bytes());
        assert_eq!(world.call(&gateway, request).status, 200);
        body_of_last(&world)["result"]["_meta"][RELATED]["taskId"].clone()
    };
    assert_eq!(response(&id), json!("t-1"));
    assert_eq!(response("of-the-client"), json!("of-the-client"));
}

#[wasm_bindgen_test(unsupported = test)]
fn modern_task_methods_mirror_the_task_id() {
    // Also where the ids are not bound: the gateway reads the message for the rules (T13).
    let gateway = crate::policy::gate(json!([{ "effect": "allow" }]));
    let ask = |field: Option<&str>| {
        let world = World::new();
        let mut request = modern(Claims::good(), "tasks/get", json!({ "taskId": "t-1" }));
        request.head.fields.remove("mcp-name");
        let request = field.map_or(request.clone(), |value| request.field("mcp-name", value));
        world.call(&gateway, request)
    };
    assert_eq!(ask(Some("t-1")).status, 200);
    assert_eq!(ask(Some("=?base64?dC0x?=")).status, 200);
    assert_eq!(error(&ask(Some("t-2"))), (400, json!(-32020)));
    assert_eq!(error(&ask(None)), (400, json!(-32020)));
}

fn app(uri: &str) -> Value {
    json!({ "name": "chart", "description": "x", "_meta": { "ui": { "resourceUri": uri, "visibility": ["model"] }, "ui/resourceUri": uri } })
}

#[wasm_bindgen_test(unsupported = test)]
fn user_interfaces_follow_the_tool_that_declares_them() {
    let rules = json!([{ "effect": "allow", "tools": ["chart"], "when": { "roles": ["analyst"] } }, { "effect": "allow", "tools": ["other"] }]);
    let gateway = gate_with(rules.clone(), json!({}));
    let analyst = || Claims::good().with("roles", json!(["analyst"]));
    let list = |gateway: &Rc<Gateway>, claims: Claims| {
        let world = World::new();
        answers(
            &world,
            json!({ "tools": [app("ui://charts/a.html"), { "name": "other", "_meta": { "x": "ui://no" } }] }),
        );
        world.call(gateway, modern(claims, "tools/list", json!({}))).json()["result"]["tools"].clone()
    };
    let tools = list(&gateway, analyst());
    let uri = tools[0]["_meta"]["ui"]["resourceUri"].as_str().expect("a URI").to_owned();
    assert!(uri.starts_with("ui://charts/a.html?portcullis-tool="), "{uri}");
    assert_eq!(
        tools[0]["_meta"],
        json!({ "ui": { "resourceUri": uri, "visibility": ["model"] }, "ui/resourceUri": uri })
    );
    assert_eq!(tools[1]["_meta"], json!({ "x": "ui://no" }));
    let read = |gateway: &Rc<Gateway>, claims: Claims, uri: &str| {
        let world = World::new();
        let csp = json!({ "ui": { "csp": { "connectDomains": ["https://a.example"] } } });
        answers(
            &world,
            json!({ "contents": [{ "uri": "ui://charts/a.html", "mimeType": "text/html;profile=mcp-app", "text": "<p>", "_meta": csp }] }),
        );
        let reply = world.call(gateway, modern(claims, "resources/read", json!({ "uri": uri })));
        (world.sent().pop(), reply)
    };
    let (sent, reply) = read(&gateway, analyst(), &uri);
    let sent = sent.expect("it was forwarded");
    assert_eq!(sent.fields.get("mcp-name"), Some("ui://charts/a.html"));
    assert_eq!(
        serde_json::from_slice::<Value>(&sent.body).expect("JSON")["params"]["uri"],
        json!("ui://charts/a.html")
    );
    let content = &reply.json()["result"]["contents"][0];
    assert_eq!(content["uri"], json!(uri), "the caller knows the resource by the URI that it asked for");
    assert_eq!(content["_meta"]["ui"]["csp"]["connectDomains"], json!(["https://a.example"]));
    // Another caller with the same URI follows its own rights, and no URI of another tool or resource opens.
    for (claims, uri) in [
        (Claims::good(), uri.clone()),
        (analyst(), "ui://charts/a.html".to_owned()),
        (analyst(), uri.replace("a.html", "b.html")),
        (analyst(), format!("{uri}A")),
        (analyst(), uri.replace("portcullis-tool", "x")),
    ] {
        let (sent, reply) = read(&gateway, claims, &uri);
        assert!(sent.is_none(), "{uri}");
        assert_eq!(error(&reply), (200, json!(-32602)));
    }
    // A rule about the resource itself comes first, and the list of another caller does not show the tool.
    let closed = json!([{ "effect": "deny", "resources": ["ui://*"] }, { "effect": "allow", "tools": ["chart"] }]);
    assert!(read(&gate_with(closed, json!({})), analyst(), &uri).0.is_none());
    let open = json!([{ "effect": "allow", "resources": ["ui://*"] }]);
    assert!(read(&gate_with(open, json!({})), analyst(), &uri).0.is_some());
    assert_eq!(list(&gateway, Claims::good()).as_array().map(Vec::len), Some(1));
    // Without rules nothing is hidden, and nothing is marked.
    assert_eq!(list(&gate(), analyst())[0]["_meta"]["ui"]["resourceUri"], json!("ui://charts/a.html"));
}

#[wasm_bindgen_test(unsupported = test)]
fn answers_without_handles_pass_as_they_are() {
    let gateway = gate();
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let text = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"\\ud83d taskId\"}}],\"tools\":\"mine\",\"structuredContent\":{{\"taskId\":\"t-1\",\"requestState\":\"x\",\"deep\":{deep},\"a\":1,\"a\":2}},\"taskId\":7}}}}"
    );
    let world = World::new();
    world.origin(Ok((200, JSON)));
    world.origin_body(text.as_bytes(), 100);
    assert_eq!(world.call(&gateway, modern(Claims::good(), "tools/call", json!({ "name": "x" }))).body, text);
    // Larger than a list may be.
    let large = "x".repeat(17 * 1024 * 1024);
    let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{{\"content\":\"{large}\"}}}}");
    world.origin_body(text.as_bytes(), 1_000_000);
    assert_eq!(
        world.call(&gateway, modern(Claims::good(), "tools/call", json!({ "name": "x" }))).body.len(),
        text.len()
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn revocation_ends_tasks() {
    let gateway = gate_with(json!(null), json!({ "revocation": { "kv": "KV" } }));
    let world = World::new();
    world.put("KV", "revocations", Ok(r#"{"version":1}"#));
    let now = crate::support::world::NOON;
    let fresh = || Claims::good().with("iat", json!(world.time().seconds())).with("exp", json!(now + 9_000));
    let id = begin(&world, &gateway, Claims::good(), "slow");
    answers(&world, json!({ "taskId": "t-1" }));
    assert_eq!(world.call(&gateway, get(fresh(), &id)).json()["error"], json!(null));
    world.pass(60);
    let revoked = json!({ "version": 1, "issued_before": [{ "sub": "ada", "before": now + 30 }] });
    world.put("KV", "revocations", Ok(&revoked.to_string()));
    world.pass(60);
    assert_eq!(error(&world.call(&gateway, get(fresh(), &id))), (200, json!(-32602)));
}

/// The answer to a call of `tool`, as an event stream with these messages.
fn streamed(world: &World, gateway: &Rc<Gateway>, request: Request, messages: &[Value]) -> String {
    let text: String = messages.iter().map(|message| format!("data: {message}\n\n")).collect();
    world.origin(Ok((200, EVENTS)));
    world.origin_body(text.as_bytes(), 11);
    world.call(gateway, request).body
}

#[wasm_bindgen_test(unsupported = test)]
fn only_the_result_of_a_call_makes_a_handle() {
    let gateway = gate();
    let world = World::new();
    let status = json!({ "jsonrpc": "2.0", "method": "notifications/tasks/status", "params": { "taskId": "of-ada" } });
    let eve = || Claims::good().with("sub", json!("eve"));
    // A server that broadcasts the status of tasks, or that repeats what the caller sent.
    let call = message(eve(), "tools/call", json!({ "name": "greet" }));
    let echoed =
        json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [], "_meta": { RELATED: { "taskId": "of-ada" } } } });
    let body = streamed(&world, &gateway, call, &[status.clone(), echoed]);
    assert_eq!(body.matches("\"of-ada\"").count(), 2, "{body}");
    let own = begin(&world, &gateway, eve(), "greet");
    let listen = modern(eve(), "subscriptions/listen", json!({ "notifications": { "taskIds": [own] } }));
    let other = json!({ "jsonrpc": "2.0", "method": "notifications/tasks", "params": { "taskId": "of-ada" } });
    assert!(streamed(&world, &gateway, listen, &[other]).contains("\"of-ada\""));
    answers(&world, json!({ "taskId": "of-ada", "status": "working" }));
    assert_eq!(world.call(&gateway, get(eve(), &own)).json()["result"]["taskId"], json!("of-ada"));
    // A batch belongs to a revision without tasks: the tool of one message is not that of another.
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": { "taskId": own } },
        { "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "danger" } },
    ]);
    let answer = json!([{ "jsonrpc": "2.0", "id": 2, "result": { "task": { "taskId": "of-danger" } } }]);
    world.origin(Ok((200, JSON)));
    world.origin_body(answer.to_string().as_bytes(), 7);
    let request = Request::post("/mcp").bearer(&token(&eve())).body(batch.to_string().as_bytes());
    assert!(world.call(&gateway, request).body.contains("\"of-danger\""));
}

#[wasm_bindgen_test(unsupported = test)]
fn raw_ids_do_not_reach_the_server_in_requests() {
    let gateway = gate();
    let refused = |request: Request| {
        let world = World::new();
        let reply = world.call(&gateway, request);
        assert!(world.sent().is_empty(), "{}", reply.body);
        error(&reply)
    };
    let related = json!({ "name": "echo", "_meta": { RELATED: { "taskId": "of-ada" } } });
    assert_eq!(refused(message(Claims::good(), "tools/call", related)), (200, json!(-32602)));
    assert_eq!(refused(message(Claims::good(), "tasks/delete", json!({ "taskId": "t-1" }))), (200, json!(-32601)));
    // A client reports the status of a task of its own.
    let world = World::new();
    world.call(&gateway, message(Claims::good(), "notifications/tasks/status", json!({ "taskId": "of-the-client" })));
    assert_eq!(world.sent().len(), 1);
    let world = World::new();
    let request =
        message(Claims::good(), "ping", json!({})).field("mcp-method", "Tasks/Cancel").field("mcp-name", "t-1");
    world.call(&gateway, request);
    let sent = world.sent().pop().expect("forwarded");
    assert_eq!((sent.fields.get("mcp-method"), sent.fields.get("mcp-name")), (None, None));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_mirrored_name_stays_that_of_the_method() {
    let gateway = gate_with(json!([{ "effect": "allow" }]), json!({}));
    let world = World::new();
    let id = begin(&world, &gateway, Claims::good(), "slow");
    answers(&world, json!({ "tools": [app("ui://charts/a.html")] }));
    let tools = world.call(&gateway, modern(Claims::good(), "tools/list", json!({}))).json();
    let marked = tools["result"]["tools"][0]["_meta"]["ui"]["resourceUri"].clone();
    for (method, params) in [
        (
            "resources/read",
            json!({ "uri": "file:///a", "notifications": { "resourceSubscriptions": [marked], "taskIds": [id] } }),
        ),
        ("tools/call", json!({ "name": "other", "uri": marked, "taskId": id })),
    ] {
        answers(&world, json!({}));
        world.call(&gateway, modern(Claims::good(), method, params.clone()));
        let sent = world.sent().pop().expect("forwarded");
        let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        let name = params["uri"].as_str().filter(|_| method == "resources/read").or(params["name"].as_str());
        assert_eq!(sent.fields.get("mcp-name"), name);
        assert_eq!(body["params"]["uri"], params["uri"], "and no other member is opened");
        assert_eq!(body["params"]["taskId"], params["taskId"]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_user_interface_without_a_mark_needs_a_rule_that_names_it() {
    let read = |rules: Value, uri: &str| {
        let world = World::new();
        world.call(&gate_with(rules, json!({})), modern(Claims::good(), "resources/read", json!({ "uri": uri })));
        world.sent().iter().any(|sent| String::from_utf8_lossy(&sent.body).contains("chart"))
    };
    let everything = || json!([{ "effect": "deny", "tools": ["chart"] }, { "effect": "allow" }]);
    assert!(!read(everything(), "ui://chart/v.html") && !read(everything(), "UI://chart/v.html"));
    assert!(!read(json!([{ "effect": "allow", "resources": ["*"] }]), "ui://chart/v.html"));
    assert!(!read(json!([{ "effect": "allow", "methods": ["resources/read"] }]), "ui://chart/v.html"));
    assert!(read(json!([{ "effect": "allow", "resources": ["ui://chart/*"] }]), "ui://chart/v.html"));
    assert!(read(everything(), "file:///chart"));
    // Without sessions there are no marks.
    let world = World::new();
    let gateway = crate::policy::gate(json!([{ "effect": "allow" }]));
    world.call(&gateway, modern(Claims::good(), "resources/read", json!({ "uri": "ui://chart/v.html" })));
    assert_eq!(world.sent().len(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn marks_are_made_however_a_server_writes_its_tools() {
    let rules = json!([{ "effect": "allow", "tools": ["*"] }]);
    let listed = |gateway: &Rc<Gateway>, item: &str| {
        let world = World::new();
        world.origin(Ok((200, JSON)));
        world.origin_body(format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{item}]}}}}"#).as_bytes(), 13);
        world.call(gateway, modern(Claims::good(), "tools/list", json!({}))).body
    };
    let gateway = gate_with(rules.clone(), json!({}));
    for item in [
        r#"{"name":"chart","_meta":{"ui":{"resourceUri":"ui:\/\/chart\/v.html"}}}"#,
        r#"{"name":"chart","_meta":{"openai/outputTemplate":"ui://chart/v.html"}}"#,
        r#"{"name":"chart","_meta":{"ui/resourceUri":"ui://chart/v.html?v=1"}}"#,
    ] {
        assert!(listed(&gateway, item).contains("portcullis-tool="), "{item}");
    }
    // Also where the rules only observe, so that the log says what they would decide.
    let mut document = with_rules(rules, json!({ "rules_mode": "observe" }));
    document["sessions"] = json!({ "secrets": ["NEW"] });
    let known = TestSecrets(vec![("NEW", SECRET.to_owned())]);
    let gateway = open_with(document, &known).expect("the document is right");
    assert!(
        listed(&gateway, r#"{"name":"chart","_meta":{"ui":{"resourceUri":"ui://chart/v.html"}}}"#)
            .contains("portcullis-tool=")
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_message_passes_as_it_is() {
    let gateway = gate();
    let call = || modern(Claims::good(), "tools/call", json!({ "name": "x" }));
    let passes = |status: u16, fields: &[(&'static str, &str)], body: &str| {
        for chunk in [1, 1_000] {
            let world = World::new();
            world.origin(Ok((status, fields)));
            world.origin_body(body.as_bytes(), chunk);
            let reply = world.call(&gateway, call());
            assert_eq!((reply.status, reply.body.as_str()), (status, body));
        }
    };
    passes(404, JSON, "\"Session not found\"");
    passes(404, JSON, "Session not found");
    passes(400, JSON, "null");
    passes(200, JSON, "");
    passes(200, &[("content-type", "text/plain")], "hello {");
    passes(200, &[("content-type", "application/json"), ("content-encoding", "deflate")], "x");
    passes(200, JSON, "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":NaN,\"b\":1e999},\"ID\":8,\"id\":7}");
    passes(200, JSON, "  \n {\"id\":7,\"result\":{}}");
    passes(200, EVENTS, "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\ndata: [DONE]\n\n");
    passes(200, EVENTS, "event: x\nid: 1\ndata: {not json}\n\ndata: {\"id\":7,\"result\":{}}\n\n");
    passes(200, EVENTS, "event: x\ndata: {\"a\":\ndata: 1\n\ndata: {\"cut\n\ndata: {\"id\":7,\"result\":{}}\n\n");
    let large = format!("data: {{\"id\":7,\"result\":{{\"content\":\"{}\"}}}}\n\n", "x".repeat(300_000));
    passes(200, EVENTS, &large);
    // A handle behind a byte order mark is sealed nevertheless.
    let world = World::new();
    world.origin(Ok((200, JSON)));
    world.origin_body("\u{feff}{\"id\":7,\"result\":{\"taskId\":\"t-1\"}}".as_bytes(), 5);
    assert!(!world.call(&gateway, call()).body.contains("t-1"));
}

#[wasm_bindgen_test(unsupported = test)]
fn handles_that_cannot_be_sealed_pass_and_open_nothing() {
    let gateway = gate();
    let result = |text: &str| {
        let world = World::new();
        world.origin(Ok((200, JSON)));
        world.origin_body(format!("{{\"id\":7,\"result\":{text}}}").as_bytes(), 100_000);
        world.call(&gateway, modern(Claims::good(), "tools/call", json!({ "name": "x" }))).body
    };
    for text in [
        format!("{{\"taskId\":\"{}\"}}", "t".repeat(1_025)),
        format!("{{\"requestState\":\"{}\"}}", "s".repeat(300_000)),
        format!("{{\"requestState\":\"{}\"}}", "s".repeat(3_000_000)),
        "{\"taskId\":\"a\\ud800b\"}".to_owned(),
        "{\"taskId\":7,\"requestState\":null}".to_owned(),
    ] {
        assert!(result(&text).contains(&text), "{}", &text[..30]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_state_is_bound_to_every_digit_and_to_the_task() {
    let gateway = gate();
    let world = World::new();
    let with = |number: &str, state: Option<&str>| {
        let text = format!(r#"{{"name":"pay","arguments":{{"n":{number}}}}}"#);
        let mut params: Value = serde_json::from_str(&text.replace(number, "0")).expect("JSON");
        if let Some(state) = state {
            params["requestState"] = json!(state);
        }
        let request = modern(Claims::good(), "tools/call", params);
        let body =
            String::from_utf8(request.body.clone()).expect("text").replace("\"n\":0", &format!("\"n\":{number}"));
        request.body(body.as_bytes())
    };
    answers(&world, serde_json::from_str(ASKS).expect("JSON"));
    let state = world.call(&gateway, with("100000000000000000000001", None)).json()["result"]["requestState"].clone();
    let state = state.as_str().expect("a state");
    assert_eq!(error(&world.call(&gateway, with("100000000000000000000002", Some(state)))), (200, json!(-32602)));
    answers(&world, json!({}));
    assert_eq!(world.call(&gateway, with("100000000000000000000001", Some(state))).json()["error"], json!(null));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_response_to_another_request_gives_no_handle() {
    let gateway = gate();
    let world = World::new();
    let foreign = [
        json!({ "id": 99, "jsonrpc": "2.0", "result": { "resultType": "task", "taskId": "of-ada" } }),
        json!({ "jsonrpc": "2.0", "result": { "resultType": "task", "taskId": "of-ada" } }),
    ];
    let own = json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [] } });
    for message in foreign {
        let call = modern(Claims::good(), "tools/call", json!({ "name": "greet" }));
        let events = streamed(&world, &gateway, call, &[message.clone(), own.clone()]);
        let read: Vec<&str> = events.split("\n\n").filter(|event| !event.is_empty()).collect();
        assert_eq!(read.len(), 1, "it is left out: {events}");
        world.origin(Ok((200, JSON)));
        world.origin_body(message.to_string().as_bytes(), 5);
        let reply = world.call(&gateway, modern(Claims::good(), "tools/call", json!({ "name": "greet" })));
        assert!(reply.status == 502 && !reply.body.contains("taskId"), "{}", reply.body);
        // Nor does the isolate take it for a task of this caller.
        let status = json!({ "jsonrpc": "2.0", "method": "notifications/tasks", "params": { "taskId": "of-ada" } });
        let call = modern(Claims::good(), "tools/call", json!({ "name": "greet" }));
        assert!(streamed(&world, &gateway, call, &[status, own.clone()]).contains("\"of-ada\""));
    }
    // A server's own request has an id of its own.
    let asked = json!({ "jsonrpc": "2.0", "id": 0, "method": "elicitation/create", "params": { "message": "?" } });
    let call = message(Claims::good(), "tools/call", json!({ "name": "greet", "task": {} }));
    assert!(streamed(&world, &gateway, call, &[asked, own]).contains("elicitation/create"));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_broken_message_names_is_no_task_of_the_caller() {
    let gateway = gate();
    let world = World::new();
    let own = json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [] } });
    let status = json!({ "jsonrpc": "2.0", "method": "notifications/tasks", "params": { "taskId": "of-ada" } });
    for broken in ["{\"result\":{\"taskId\":\"of-ada\"},\"id\":99", "{\"result\":{\"taskId\":\"of-ada\"} x"] {
        let text = format!("data: {broken}\n\ndata: {own}\n\ndata: {status}\n\n");
        world.origin(Ok((200, EVENTS)));
        world.origin_body(text.as_bytes(), 11);
        let reply = world.call(&gateway, modern(Claims::good(), "tools/call", json!({ "name": "greet" })));
        assert_eq!(reply.body.matches("\"of-ada\"").count(), 2, "{}", reply.body);
    }
}
