//! Hidden names answer like absent ones, however they are written and wherever they stand.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{call, forwarded, gate, message, modern};
use crate::support::{Claims, Reply, Request, World, token};

#[wasm_bindgen_test(unsupported = test)]
fn what_is_hidden_and_what_is_not_there_answer_alike() {
    let gateway = gate(json!([
        { "effect": "deny", "tools": ["hidden_by_rule"] },
        { "effect": "allow", "tools": ["mine"], "when": { "roles": ["admin"] } },
        { "effect": "allow", "tools": ["yours"] },
    ]));
    let answers = |request: fn(Claims, &str, Value) -> Request, method: &str, key: &str, names: &[&str]| {
        let replies: Vec<Reply> = names
            .iter()
            .map(|name| World::new().call(&gateway, request(Claims::good(), method, json!({ key: name }))))
            .collect();
        for reply in &replies {
            assert_eq!(reply.status, replies[0].status);
            let fields = |reply: &Reply| reply.fields.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
            assert_eq!(fields(reply), fields(&replies[0]));
            assert_eq!(reply.body, replies[0].body, "byte for byte: random ids are the same in the world of tests");
        }
        (replies[0].status, replies[0].json()["error"]["code"].clone(), replies[0].json()["id"].clone())
    };
    let long = "x".repeat(10_000);
    let tools = ["hidden_by_rule", "mine", "nothing", " yours", "yours\u{0}", "y\u{43e}urs", long.as_str()];
    assert_eq!(answers(message, "tools/call", "name", &tools), (200, json!(-32602), json!(7)));
    assert_eq!(
        answers(modern, "tools/call", "name", &["hidden_by_rule", "mine", "nothing"]),
        (200, json!(-32602), json!(7))
    );
    assert_eq!(answers(message, "prompts/get", "name", &["a", "b"]), (200, json!(-32602), json!(7)));
    assert_eq!(answers(message, "resources/read", "uri", &["a:b", "c:d"]), (200, json!(-32002), json!(7)));
    assert_eq!(answers(modern, "resources/read", "uri", &["a:b", "c:d"]), (200, json!(-32602), json!(7)));
    assert_eq!(answers(message, "tasks/get", "x", &["a"]), (200, json!(-32601), json!(7)));
    assert_eq!(answers(modern, "tasks/get", "x", &["a"]), (404, json!(-32601), json!(7)));
}

#[wasm_bindgen_test(unsupported = test)]
fn where_any_name_passes_a_hidden_one_gets_the_servers_own_words() {
    let gateway = gate(json!([
        { "id": "no", "effect": "deny", "tools": ["secret_tool"], "prompts": ["secret"], "resources": ["a:secret"] },
        { "effect": "allow", "tools": ["*"], "prompts": ["*"], "resources": ["*"] },
    ]));
    // A server that repeats the name, as the ones that people use do.
    let ask = |request: Request, chunk: usize| {
        let world = World::new();
        world.origin_body(b"none", 1);
        world.call(&gateway, request.clone());
        let sent = world.sent().pop().expect("something was asked for");
        let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        let name = body["params"]["name"].as_str().or(body["params"]["uri"].as_str()).expect("a name").to_owned();
        if let Some(field) = sent.fields.get("mcp-name") {
            assert_eq!(field, name);
        }
        let answer = json!({ "jsonrpc": "2.0", "id": 7, "error": { "code": -32602, "message": format!("Tool {name} not found: {name}") } });
        let world = World::new();
        world.origin_body(answer.to_string().as_bytes(), chunk);
        let reply = world.call(&gateway, request);
        (
            name,
            reply.status,
            reply.body,
            world.last_request()["reason"].clone(),
            world.last_request()["decision"].clone(),
        )
    };
    for chunk in [1, 3, 7, 1_000] {
        let (name, status, body, reason, decision) = ask(call(Claims::good(), "secret_tool"), chunk);
        assert!(name.starts_with("portcullis-hidden-"), "{name}");
        let (absent_name, absent_status, absent_body, ..) = ask(call(Claims::good(), "not_a_tool"), chunk);
        assert_eq!((absent_name.as_str(), absent_status), ("not_a_tool", status));
        assert_eq!(body.replace("secret_tool", "not_a_tool"), absent_body);
        assert_eq!((reason, decision), (json!("not_permitted"), json!("deny")));
    }
    let (name, _, body, ..) =
        ask(modern(Claims::good(), "tools/call", json!({ "name": "secret_tool", "arguments": { "x": 1 } })), 5);
    assert!(name != "secret_tool" && body.contains("Tool secret_tool not found"), "{body}");
    let (name, _, body, ..) = ask(message(Claims::good(), "resources/read", json!({ "uri": "a:secret" })), 5);
    assert!(name != "a:secret" && body.contains("Tool a:secret not found"), "{body}");
    // Nor by another status.
    for status in [202, 400, 404, 409] {
        let told = |name: &str| {
            let world = World::new();
            world.origin(Ok((status, &[("content-type", "text/plain")])));
            let request = call(Claims::good(), name);
            world.call(&gateway, request.clone());
            let sent = world.sent().pop().expect("something was asked for");
            let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
            let asked = body["params"]["name"].as_str().expect("a name").to_owned();
            world.origin_body(format!("Unknown tool: {asked}").as_bytes(), 3);
            let reply = world.call(&gateway, request);
            (reply.status, reply.body)
        };
        assert_eq!(told("secret_tool"), (status, "Unknown tool: secret_tool".to_owned()));
        assert_eq!(told("not_a_tool"), (status, "Unknown tool: not_a_tool".to_owned()));
        let world = World::new();
        world.origin(Ok((status, &[("content-type", "application/json")])));
        world.origin_body(b"{\"result\":{\"tools\":[{\"name\":\"secret_tool\"}]}}", 9);
        let reply = world.call(&gateway, message(Claims::good(), "tools/list", json!({})));
        assert!(!reply.body.contains("secret_tool"), "{status}");
        world.origin_body(b"", 1);
        let empty = world.call(&gateway, message(Claims::good(), "tools/list", json!({})));
        assert_eq!((empty.status, empty.body.as_str()), (status, ""));
    }
    // In lists it is not there, and a batch with it is refused whole.
    let world = World::new();
    world.origin_body(br#"{"id":7,"result":{"tools":[{"name":"secret_tool"},{"name":"b"}]}}"#, 9);
    let list = world.call(&gateway, message(Claims::good(), "tools/list", json!({})));
    assert!(!list.body.contains("secret_tool"));
    // Where only a step-up opens what nobody has heard of, that is what is answered.
    let stepping = gate(json!([
        { "effect": "deny", "tools": ["hidden"] },
        { "effect": "step_up", "scopes": ["more"], "tools": ["*"] },
    ]));
    let answer = |tool: &str| {
        let world = World::new();
        let reply = world.call(&stepping, call(Claims::good(), tool));
        (reply.status, reply.field("www-authenticate").to_owned(), reply.body, world.sent().len())
    };
    assert_eq!(answer("hidden"), answer("nothing"));
    assert_eq!(answer("hidden").0, 403);
}

#[wasm_bindgen_test(unsupported = test)]
fn uris_are_judged_by_every_reading() {
    let gateway = gate(json!([
        { "effect": "deny", "resources": ["file:///secret/*"] },
        { "effect": "allow", "resources": ["file:///docs/*", "repo://*", "file:///x/*"] },
    ]));
    let may = |uri: &str| forwarded(&gateway, message(Claims::good(), "resources/read", json!({ "uri": uri })));
    for uri in [
        "file:///docs/a",
        "file:///docs/a%20b",
        "repo://o/r/contents/a%2Fb",
        "repo://o/r?x=../y#z",
        "file:///docs/a//b",
    ] {
        assert!(may(uri), "{uri}");
    }
    for uri in [
        "file:///docs/../etc/passwd",
        "file:///docs/%2e%2e/etc/passwd",
        "file:///docs/%252e%252e/etc/passwd",
        "file:///docs\\..\\..\\etc",
        "file:///docs/..%2fsecret/a",
        "file:///x/../secret/a",
        "file:///x/..//secret/a",
        "file:///x/%2525252525252e",
        "file:///docs/%ff",
        "file:///docs/../secret/a?x",
        "FILE:///secret/a",
    ] {
        assert!(!may(uri), "{uri}");
    }
    let open_but_one = gate(json!([
        { "effect": "deny", "resources": ["file:///secret/*"] },
        { "effect": "allow", "resources": ["*"] },
    ]));
    let may = |uri: &str| forwarded(&open_but_one, message(Claims::good(), "resources/read", json!({ "uri": uri })));
    assert!(may("file:///other/a") && may("custom:thing"));
    for uri in [
        "file:///x/../secret/a",
        "file:///%73ecret/a",
        "file:///./secret/a",
        "file:////secret/a",
        "file://localhost/secret/a",
        "file:/secret/a",
        "FILE:///secret/a",
        "file:///secret/a?x",
    ] {
        assert!(!may(uri), "{uri}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn hidden_names_in_batches_and_on_other_streams() {
    let gateway = gate(json!([
        { "effect": "deny", "tools": ["drop_table"] },
        { "effect": "allow", "tools": ["drop_*", "*_all"] },
    ]));
    let ask = |names: &[&str]| {
        let calls: Vec<Value> = names
            .iter()
            .enumerate()
            .map(|(id, name)| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": name } }))
            .collect();
        let request = message(Claims::good(), "x", json!({}))
            .field("mcp-protocol-version", "2025-03-26")
            .body(json!(calls).to_string().as_bytes());
        let world = World::new();
        world.call(&gateway, request.clone());
        let sent: Vec<Value> = serde_json::from_slice(&world.sent().pop().expect("forwarded").body).expect("JSON");
        let answers: Vec<Value> = sent.iter().map(|call| json!({ "id": call["id"], "error": { "message": format!("no {}", call["params"]["name"].as_str().expect("a name")) } })).collect();
        let world = World::new();
        world.origin_body(json!(answers).to_string().as_bytes(), 3);
        let reply = world.call(&gateway, request);
        (sent[0]["params"]["name"].clone(), reply.status, reply.body)
    };
    let (name, status, body) = ask(&["drop_table", "drop_it", "delete_all"]);
    assert_eq!((name, status), (json!("drop_portcullis-hidden-7461626c65-"), 200));
    assert_eq!(body, ask(&["drop_nothing", "drop_it", "delete_all"]).2.replace("nothing", "table"));
    // The answer may come over a stream that was opened before.
    let world = World::new();
    world.origin(Ok((200, &[("content-type", "text/event-stream")])));
    world
        .origin_body(b"data: {\"id\":1,\"error\":{\"message\":\"no drop_portcullis-hidden-7461626c65- here\"}}\n\n", 5);
    let reply = world.call(&gateway, Request::get("/mcp").bearer(&token(&Claims::good())));
    assert_eq!(reply.body, "data: {\"id\":1,\"error\":{\"message\":\"no drop_table here\"}}\n\n");
}
