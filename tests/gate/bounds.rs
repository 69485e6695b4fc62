//! Bounds: how large calls and results may be, how long they may take, how many run at once, and whether they fit the schemas of tools.

use std::rc::Rc;

use portcullis::content::in_flight::InFlight;
use portcullis::content::schema::{Unchecked, unchecked, why_unusable};
use portcullis::gateway::Gateway;
use portcullis::time::UnixMillis;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::guards::opened;
use crate::policy::{message, modern};
use crate::support::{Claims, Reply, World};

fn gate(bounds: Value) -> Rc<Gateway> {
    opened(json!({ "bounds": bounds })).expect("the document is right")
}

/// A server whose every result is this.
fn giving(result: Value) -> World {
    let world = World::new();
    world.serve_by(move |sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        let body = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result });
        Some((200, "application/json", body.to_string()))
    });
    world
}

fn call(world: &World, gateway: &Rc<Gateway>, tool: &str, arguments: Value) -> Reply {
    world.call(gateway, message(Claims::good(), "tools/call", json!({ "name": tool, "arguments": arguments })))
}

/// What the model reads, if the call failed.
fn refusal(reply: &Reply) -> String {
    let result = &reply.json()["result"];
    let text = result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    if result["isError"] == json!(true) { text } else { String::new() }
}

fn logged(world: &World, reason: &str) -> Vec<String> {
    let lines = world.lines();
    let lines = lines.iter().filter(|line| line["reason"] == reason);
    lines.map(|line| line["detail"].as_str().unwrap_or_default().to_owned()).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn calls_have_most_bytes_depth_and_items() {
    let gateway = gate(json!([
        { "tools": ["small"], "request_bytes": 200 },
        { "tools": ["flat", "both"], "depth": 2 },
        { "tools": ["short", "both"], "items": 4 },
    ]));
    let world = giving(json!({ "content": [] }));
    let large = json!({ "text": "x".repeat(300) });
    assert_eq!(
        refusal(&call(&world, &gateway, "small", large.clone())),
        "The gateway did not forward this call. It has more than 200 bytes."
    );
    assert_eq!(refusal(&call(&world, &gateway, "other", large)), "");
    assert_eq!(refusal(&call(&world, &gateway, "flat", json!({ "a": [1] }))), "");
    assert_eq!(
        refusal(&call(&world, &gateway, "flat", json!({ "a": [[1]] }))),
        "The gateway did not forward this call. Its arguments are nested deeper than 2 levels."
    );
    assert_eq!(refusal(&call(&world, &gateway, "short", json!({ "a": [1, 2, "x"] }))), "");
    let many = "The gateway did not forward this call. Its arguments have more than 4 members and elements.";
    assert_eq!(refusal(&call(&world, &gateway, "short", json!({ "a": [1, 2, { "b": null }] }))), many);
    assert_eq!(refusal(&call(&world, &gateway, "SHORT", json!({ "a": [1, 2, 3, 4] }))), many, "in any letter case");
    assert_eq!(
        refusal(&call(&world, &gateway, "short", json!({ "a": 1_234_567_890, "b": [-1.5e10] }))),
        "",
        "digits are no items"
    );
    assert!(refusal(&call(&world, &gateway, "both", json!({ "a": [[1]] }))).contains("2 levels"));
    assert_eq!(refusal(&call(&world, &gateway, "both", json!({ "a": [1, 2, 3, 4] }))), many);
    assert_eq!(world.sent().len(), 4);
    assert!(logged(&world, "bound_exceeded").contains(&"arguments: more than 200 bytes".to_owned()));
    let prompt = json!({ "name": "short", "arguments": { "a": "1", "b": "2", "c": "3", "d": "4", "e": "5" } });
    assert!(world.call(&gateway, message(Claims::good(), "prompts/get", prompt)).json()["error"].is_null(), "no tool");
}

#[wasm_bindgen_test(unsupported = test)]
fn results_have_most_bytes_depth_and_items() {
    let gateway = gate(json!([
        { "tools": ["small"], "response_bytes": 1000 },
        { "tools": ["flat"], "depth": 3 },
        { "tools": ["short"], "items": 5 },
    ]));
    let large = giving(json!({ "content": [{ "type": "text", "text": "x".repeat(2_000) }] }));
    assert_eq!(
        refusal(&call(&large, &gateway, "small", json!({}))),
        "The gateway holds back the result of this call. It has more than 1000 bytes."
    );
    assert_eq!(refusal(&call(&large, &gateway, "other", json!({}))), "");
    assert_eq!(refusal(&call(&large, &gateway, "flat", json!({}))), "", "result, content and its part are 3 levels");
    assert_eq!(refusal(&call(&large, &gateway, "short", json!({}))), "");
    let deep = giving(json!({ "content": [{ "type": "text", "text": "", "annotations": {} }] }));
    assert!(refusal(&call(&deep, &gateway, "flat", json!({}))).contains("nested deeper than 3 levels"));
    let many = giving(json!({ "content": [], "structuredContent": [1, 2, 3, 4] }));
    assert!(refusal(&call(&many, &gateway, "short", json!({}))).contains("more than 5 members and elements"));
    assert_eq!(logged(&many, "bound_exceeded").len(), 1);
    let huge = giving(json!({ "content": [{ "type": "text", "text": "x".repeat(6_000_000) }] }));
    assert_eq!(call(&huge, &gateway, "small", json!({})).status, 502, "the gateway does not read it all");
}

#[wasm_bindgen_test(unsupported = test)]
fn each_message_of_a_stream_is_held_to_bounds() {
    let gateway = gate(json!([{ "tools": ["a"], "response_bytes": 300 }]));
    let world = World::new();
    world.serve_by(|sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        let note = |size: usize| json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": "n".repeat(size) } });
        let end = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "content": [{ "text": "x".repeat(400) }] } });
        Some((200, "text/event-stream", format!("data: {}\n\ndata: {}\n\ndata: {end}\n\n", note(100), note(400))))
    });
    let reply = call(&world, &gateway, "a", json!({}));
    assert!(reply.body.contains("nnnn") && !reply.body.contains(&"n".repeat(200)), "{}", reply.body);
    assert!(reply.body.contains("It has more than 300 bytes.") && !reply.body.contains("xxxx"), "{}", reply.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn calls_of_one_caller_at_the_same_time_are_counted() {
    let running = InFlight::default();
    let at = UnixMillis(1_000_000);
    let first = running.begin("a", 2, None, at).expect("the first");
    let _second = running.begin("a", 2, Some(5), at).expect("the second");
    assert!(running.begin("a", 2, None, at).is_none());
    assert!(running.begin("b", 2, None, at).is_some(), "another caller");
    drop(first);
    let third = running.begin("a", 2, Some(1_000), at).expect("one has ended");
    assert!(running.begin("a", 2, None, at).is_none());
    // A call whose end the platform did not report counts until its time is over.
    let later = UnixMillis(at.0 + 20_000);
    let fourth = running.begin("a", 2, None, later).expect("the second is over");
    drop((third, fourth));

    let gateway = gate(json!([{ "tools": ["a"], "in_flight": 1, "answer_seconds": 60 }]));
    let world = giving(json!({ "content": [] }));
    for _ in 0..3 {
        assert_eq!(call(&world, &gateway, "a", json!({})).status, 200, "each has ended before the next");
    }
}

/// Counting calls changes no answer, also none that guards could not read.
#[wasm_bindgen_test(unsupported = test)]
fn counting_changes_no_answer() {
    let gateway = gate(json!([{ "tools": ["a"], "in_flight": 1, "answer_seconds": 60 }]));
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    let odd = [
        format!("data: {{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{deep}}}\n\n"),
        format!(": {}\n\ndata: no message\n\n", "x".repeat(100_000)),
        format!("data: {{\"a\":\"{}\"}}\n\n", "x".repeat(5_000_000)),
        "data: {\"jsonrpc\":\"2.0\",\"id\":1,\ndata: \"result\":{\"text\":\"a\nb\"}}\n\n".to_owned(),
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"id\":1}\n\ndata: half".to_owned(),
    ];
    for stream in odd {
        let world = World::new();
        let text = stream.clone();
        world.serve_by(move |_| Some((200, "text/event-stream", text.clone())));
        for _ in 0..2 {
            let reply = call(&world, &gateway, "a", json!({}));
            assert_eq!(reply.status, 200);
            assert!(reply.body == stream, "{}", reply.body.chars().take(200).collect::<String>());
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_call_has_most_seconds() {
    let gateway = gate(json!([{ "tools": ["a"], "answer_seconds": 7 }]));
    let world = giving(json!({ "content": [] }));
    call(&world, &gateway, "a", json!({}));
    call(&world, &gateway, "b", json!({}));
    let timeouts: Vec<_> = world.sent().iter().map(|sent| (sent.response_timeout, sent.total_timeout)).collect();
    assert_eq!(timeouts, [(7, Some(7)), (100, None)]);
}

fn locked_tool() -> Value {
    json!({
        "name": "pay",
        "inputSchema": {
            "type": "object",
            "properties": {
                "to": { "type": "string", "pattern": "^[A-Z]{2}[0-9]+$" },
                "amount": { "type": "integer", "minimum": 1, "maximum": 100 },
                "currency": { "enum": ["EUR", "USD"] },
            },
            "required": ["to", "amount"],
            "additionalProperties": false,
        },
        "outputSchema": {
            "type": "object", "properties": { "paid": { "type": "boolean" } }, "required": ["paid"], "additionalProperties": false,
        },
    })
}

fn with_schema(mode: &str, tool: &Value, others: Value) -> Rc<Gateway> {
    let mut resource = json!({
        "lock": {},
        "locked": { "tools": { "pay": { "digest": "x", "definition": tool }, "any": { "digest": "x", "definition": { "name": "any" } } } },
        "bounds": [{ "schema": mode }],
    });
    for (key, value) in others.as_object().expect("an object") {
        resource[key] = value.clone();
    }
    opened(resource).expect("the document is right")
}

#[wasm_bindgen_test(unsupported = test)]
fn arguments_are_held_to_the_schema_in_the_lock() {
    let gateway = with_schema("enforce", &locked_tool(), json!({}));
    let world = giving(json!({ "content": [], "structuredContent": { "paid": true } }));
    assert_eq!(refusal(&call(&world, &gateway, "pay", json!({ "to": "DE12", "amount": 5, "currency": "EUR" }))), "");
    let begin = "The gateway did not forward this call. Its arguments do not fit the input schema of the tool:";
    let wrong = [
        (json!({}), r#"/: lacks "to", "amount""#),
        (json!({ "to": "DE12", "amount": "5" }), "/amount: want integer, but got string"),
        (json!({ "to": "secret value", "amount": 5 }), r#"/to: must match "^[A-Z]{2}[0-9]+$""#),
        (json!({ "to": "DE12", "amount": 101 }), "/amount: must be at most 100"),
        (json!({ "to": "DE12", "amount": 1.5 }), "/amount: want integer, but got number"),
        (json!({ "to": "DE12", "amount": 5, "currency": "CHF" }), r#"/currency: must be one of "EUR", "USD""#),
        (json!({ "to": "DE12", "amount": 5, "note": 1 }), r#"/: must not have "note""#),
    ];
    for (arguments, what) in wrong {
        let reply = call(&world, &gateway, "pay", arguments.clone());
        assert_eq!(refusal(&reply), format!("{begin} {what}."), "{arguments}");
    }
    let none = world.call(&gateway, message(Claims::good(), "tools/call", json!({ "name": "pay" })));
    assert!(refusal(&none).contains("lacks"), "without arguments");
    assert_eq!(
        refusal(&call(&world, &gateway, "any", json!({ "a": 1 }))),
        "",
        "a tool without schemas accepts everything"
    );
    assert_eq!(world.sent().len(), 2);
    assert!(world.lines().iter().all(|line| !line.to_string().contains("secret value")), "no value is in the log");
}

#[wasm_bindgen_test(unsupported = test)]
fn structured_results_are_held_to_the_schema_in_the_lock() {
    let gateway = with_schema("enforce", &locked_tool(), json!({}));
    let good = json!({ "to": "DE12", "amount": 5 });
    let of = |result: Value| {
        let world = giving(result);
        let reply = call(&world, &gateway, "pay", good.clone());
        (refusal(&reply), logged(&world, "schema_mismatch"))
    };
    let held = "The gateway holds back the result of this call. It does not fit the output schema of the tool.";
    let (said, lines) = of(json!({ "content": [], "structuredContent": { "paid": "yes", "secret": 1 } }));
    assert_eq!(said, held);
    assert!(lines[0].ends_with(r#"/paid: want boolean, but got string; /: must not have "secret""#), "{lines:?}");
    assert_eq!(of(json!({ "content": [] })).0, held, "structured content is required where there is a schema");
    assert_eq!(of(json!({ "content": [{ "type": "text", "text": "no" }], "isError": true })).0, "no");
    assert_eq!(of(json!({ "resultType": "input_required", "inputRequests": {} })), (String::new(), Vec::new()));
    assert_eq!(of(json!({ "content": [], "structuredContent": { "paid": true } })).0, "");
    let wrong = json!({ "n": 99 });
    assert_eq!(of(json!({ "content": [], "structuredContent": wrong, "resultType": "x" })).0, held);
    assert_eq!(of(json!({ "content": [], "structuredContent": wrong, "task": 1 })).0, held);
    assert_eq!(of(json!({ "content": [], "structuredContent": { "paid": true }, "StructuredContent": wrong })).0, held);
    for odd in [
        r#"{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{"n":99},"structuredContent":{"paid":true}}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"text":"\ud800"}],"structuredContent":{"n":99}}}"#,
        r#"[{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{"n":99}}}]"#,
    ] {
        for kind in ["application/json", "text/event-stream"] {
            let world = World::new();
            let body = if kind == "application/json" { odd.to_owned() } else { format!("data: {odd}\n\n") };
            world.serve_by(move |_| Some((200, kind, body.clone())));
            let reply = call(&world, &gateway, "pay", good.clone());
            assert!(!reply.body.contains("99") && reply.body.contains(held), "{odd} {kind}: {}", reply.body);
        }
    }

    let observing = with_schema("observe", &locked_tool(), json!({}));
    let world = giving(json!({ "content": [] }));
    assert_eq!(refusal(&call(&world, &observing, "pay", json!({}))), "");
    let lines = logged(&world, "schema_mismatch");
    let large = giving(json!({ "content": [{ "type": "text", "text": "x".repeat(2_000_000) }] }));
    assert_eq!(
        refusal(&call(&large, &observing, "pay", json!({}))),
        "",
        "what is only observed passes, large as it may be"
    );
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.ends_with("(observed, not enforced)")), "{lines:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn one_of_several_servers_is_held_to_its_own_schemas() {
    let servers = json!([
        { "name": "bank", "origin": "https://bank.example/mcp", "era": "modern" },
        { "name": "shop", "origin": "https://shop.example/mcp", "era": "modern" },
    ]);
    let of = |tool: &Value| json!({ "tools": { "pay": { "digest": "x", "definition": tool } } });
    let open = json!({ "name": "pay", "inputSchema": { "type": "object" } });
    let resource = json!({
        "origin": null, "servers": servers, "lock": {}, "locked": { "servers": { "bank": of(&locked_tool()), "shop": of(&open) } },
        "bounds": [{ "tools": ["bank_*", "shop_*"], "schema": "enforce" }],
    });
    let gateway = crate::guards::opened_with_sessions(resource).expect("the document is right");
    let world = World::new();
    world.serve_by(|sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        let result = json!({ "resultType": "complete", "content": [], "structuredContent": { "paid": true } });
        Some((200, "application/json", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
    });
    let call = |tool: &str| {
        world.call(&gateway, modern(Claims::good(), "tools/call", json!({ "name": tool, "arguments": { "x": 1 } })))
    };
    assert!(refusal(&call("bank_pay")).contains("lacks \"to\""), "{}", call("bank_pay").body);
    assert_eq!(refusal(&call("shop_pay")), "");
}

#[wasm_bindgen_test(unsupported = test)]
fn schemas_cannot_make_the_gateway_read_or_compute_without_end() {
    let refused = |schema: Value| why_unusable(&schema).unwrap_or_default();
    assert!(refused(json!({ "$ref": "https://evil.example/s.json" })).contains("another document"));
    assert!(refused(json!({ "$ref": "file:///etc/passwd" })).contains("another document"));
    assert!(refused(json!({ "$schema": "https://x.example/s" })).contains("another document"));
    assert!(
        refused(json!({ "patternProperties": { "^(?=a)b": {} } })).contains("no valid schema"),
        "linear patterns have no lookahead"
    );
    assert!(refused(json!({ "type": "strin" })).contains("no valid schema"));
    assert!(!refused(json!({ "pattern": "^(\\w{1000}){1000}$" })).is_empty(), "a pattern has a largest size");
    assert_eq!(refused(json!({ "$ref": "#" })), "");

    let tool = |schema: Value| json!({ "name": "pay", "inputSchema": schema });
    let world = giving(json!({ "content": [] }));
    let said = |schema: Value, arguments: Value| {
        refusal(&call(&world, &with_schema("enforce", &tool(schema), json!({})), "pay", arguments))
    };
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" }),
        json!({ "anyOf": [{ "$ref": "#" }] }),
        json!({ "$dynamicAnchor": "x", "$dynamicRef": "#x" }),
    ] {
        assert!(said(schema, json!({})).contains("its schema refers to itself"));
    }
    let slow = json!({ "properties": { "a": { "pattern": "^(a+)+$" } } });
    assert!(said(slow, json!({ "a": format!("{}b", "a".repeat(50_000)) })).contains("/a: must match"));
    let many: serde_json::Map<String, Value> =
        (0..20_000).map(|at| (format!("p{at}"), json!({ "type": "string" }))).collect();
    assert!(said(json!({ "properties": many }), json!({ "p19999": 1 })).contains("/p19999: want string"));
    assert!(said(json!({ "$ref": "https://evil.example/s.json" }), json!({})).contains("cannot be used"), "closed");
    // Libraries write such patterns for e-mail addresses. The rest of the schema counts nevertheless.
    let ahead = json!({ "properties": { "to": { "type": "string", "pattern": "^(?!x)a", "maxLength": 3 }, "n": { "pattern": "^(?=y)y" } } });
    assert_eq!(said(ahead.clone(), json!({ "to": "xab", "n": "no" })), "");
    assert!(said(ahead.clone(), json!({ "to": "abcd" })).contains("/to: must have at most 3 characters"));
    let places = unchecked(tool(ahead).as_object().expect("an object"));
    let of = |name: &str| Unchecked::Pattern(format!("inputSchema/properties/{name}/pattern"));
    assert!(places.len() == 2 && places.contains(&of("to")) && places.contains(&of("n")), "{places:?}");
    let nested = (0..60).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(
        said(
            json!({ "additionalProperties": { "items": { "$ref": "#/additionalProperties" } } }),
            json!({ "a": nested })
        ),
        ""
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn rules_come_first_and_hidden_tools_say_nothing() {
    let more = json!({ "rules": [{ "effect": "allow", "tools": ["any"] }] });
    let gateway = with_schema("enforce", &locked_tool(), more);
    let world = giving(json!({ "content": [] }));
    let reply = call(&world, &gateway, "pay", json!({ "wrong": 1 }));
    assert_eq!(reply.json()["error"]["message"], json!("Unknown tool."));
}

#[wasm_bindgen_test(unsupported = test)]
fn wrong_bounds_are_mistakes() {
    let refused = |bounds: Value, says: &str| {
        let mistakes = opened(json!({ "bounds": bounds })).err().unwrap_or_default();
        assert!(mistakes.contains(says), "{says}: {mistakes}");
    };
    refused(json!([]), "resources[0].bounds: must have 1 to 64 entries");
    refused(json!([{ "tools": ["a"] }]), "resources[0].bounds[0]: bounds nothing: set request_bytes");
    refused(json!([{ "request_bytes": 0 }]), "bounds[0].request_bytes: must be 1 to 8388608, got 0");
    refused(json!([{ "response_bytes": 5_000_000 }]), "bounds[0].response_bytes: must be 1 to 4194304");
    refused(json!([{ "depth": 101 }]), "bounds[0].depth: must be 1 to 100");
    refused(json!([{ "answer_seconds": 0 }]), "bounds[0].answer_seconds: must be 1 to 3600");
    refused(json!([{ "in_flight": 0 }]), "bounds[0].in_flight: must be 1 to 1000");
    refused(json!([{ "in_flight": 1 }]), "bounds[0].in_flight: needs answer_seconds");
    refused(json!([{ "schema": "enforce" }]), "bounds[0].schema: needs lock");
    refused(json!([{ "bytes": 1 }]), "bounds[0].bytes: unknown key");
}

fn with_budgets(budgets: Value) -> Rc<Gateway> {
    opened(json!({ "budgets": budgets })).expect("the document is right")
}

#[wasm_bindgen_test(unsupported = test)]
fn a_day_has_so_many_calls() {
    let gateway = with_budgets(json!([{ "by": ["subject"], "calls": 3, "warn_at": 2, "binding": "BUDGETS" }]));
    let world = giving(json!({ "content": [] }));
    let of = |subject: &str, tool: &str| {
        let claims = Claims::good().with("sub", json!(subject));
        world.call(&gateway, message(claims, "tools/call", json!({ "name": tool, "arguments": {} })))
    };
    for tool in ["a", "b", "a"] {
        assert_eq!(refusal(&of("alice", tool)), "");
    }
    let spent = "The gateway did not forward this call. The budget of 3 calls for today is spent. The next day begins at 00:00 UTC.";
    let reply = of("alice", "a");
    assert_eq!((reply.status, refusal(&reply)), (200, spent.to_owned()));
    assert_eq!(refusal(&of("bob", "a")), "", "another caller");
    assert_eq!(logged(&world, "budget_warning").len(), 1);
    assert!(logged(&world, "budget_spent").contains(&"arguments: more than 3 calls in a day".to_owned()));
    let list = world.call(&gateway, message(Claims::good().with("sub", json!("alice")), "tools/list", json!({})));
    assert_eq!(list.status, 200, "only calls count");
    world.pass(86_400);
    assert_eq!(refusal(&of("alice", "a")), "", "a new day");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_not_forwarded_costs_nothing() {
    let gateway = opened(json!({
        "rules": [{ "effect": "allow", "tools": ["a", "b"] }],
        "guards": [{ "find": ["cards"], "action": "deny" }],
        "budgets": [
            { "by": ["subject"], "calls": 2, "binding": "BUDGETS" },
            { "by": ["subject", "tool"], "tools": ["b"], "calls": 1, "binding": "BUDGETS" },
        ],
    }))
    .expect("the document is right");
    let world = giving(json!({ "content": [] }));
    for _ in 0..5 {
        assert!(!refusal(&call(&world, &gateway, "a", json!({ "n": 4_111_111_111_111_111_u64 }))).is_empty());
        assert!(call(&world, &gateway, "hidden", json!({})).json()["error"].is_object());
    }
    assert_eq!(refusal(&call(&world, &gateway, "b", json!({}))), "");
    assert!(refusal(&call(&world, &gateway, "b", json!({}))).contains("budget of 1 calls"));
    assert!(refusal(&call(&world, &gateway, "B", json!({}))).is_empty(), "the server does not have this tool");
    assert_eq!(refusal(&call(&world, &gateway, "a", json!({}))), "", "the first budget got the call back");
    assert!(refusal(&call(&world, &gateway, "a", json!({}))).contains("budget of 2 calls"));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_cannot_be_counted_does_not_pass() {
    let gateway = with_budgets(json!([{ "by": [], "calls": 3, "binding": "DOWN" }]));
    let world = giving(json!({ "content": [] }));
    let said = refusal(&call(&world, &gateway, "a", json!({})));
    assert_eq!(said, "The gateway did not forward this call. The gateway cannot count it at the moment. Try again.");
    assert!(world.sent().is_empty());
    assert_eq!(logged(&world, "budget_unavailable"), ["arguments: the object is gone"]);

    let refused = |budgets: Value, says: &str| {
        let mistakes = opened(json!({ "budgets": budgets })).err().unwrap_or_default();
        assert!(mistakes.contains(says), "{says}: {mistakes}");
    };
    refused(json!([]), "resources[0].budgets: must have 1 to 8 entries");
    refused(json!([{ "by": [], "calls": 0, "binding": "B" }]), "budgets[0].calls: must be 1 to 1000000000, got 0");
    refused(json!([{ "by": [], "calls": 5, "binding": "B", "warn_at": 6 }]), "budgets[0].warn_at: must be 1 to calls");
    refused(json!([{ "by": [], "calls": 5, "binding": "" }]), "budgets[0].binding: must be the name");
    refused(
        json!([{ "by": ["tool"], "calls": 5, "binding": "B" }, { "by": ["tool"], "calls": 5, "binding": "C" }]),
        "budgets[1]: counts the same as budgets[0]",
    );
}
