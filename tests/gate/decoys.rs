//! What is hidden cannot be told from what is not there: what stands in for it has its form.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{gate, message, modern};
use crate::support::world::Sent;
use crate::support::{Claims, Request, World};

/// What reaches the origin server, and what its caller gets where that server repeats it.
fn asked(gateway: &Rc<Gateway>, request: &Request, place: &str) -> (Sent, String, Value) {
    let world = World::new();
    world.origin_body(b"{}", 1);
    world.call(gateway, request.clone());
    let sent = world.sent().pop().expect("something was asked for");
    let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
    let name = body.pointer(place).and_then(Value::as_str).expect("a name").to_owned();
    let answer = json!({ "jsonrpc": "2.0", "id": 7, "error": { "code": -32602, "message": format!("no {name}"), "data": { "uri": name } } });
    let world = World::new();
    world.origin_body(answer.to_string().as_bytes(), 5);
    let reply = world.call(gateway, request.clone());
    (sent, name, reply.json())
}

#[wasm_bindgen_test(unsupported = test)]
fn what_stands_in_for_a_uri_is_a_uri_of_its_form() {
    let gateway = gate(json!([
        { "effect": "deny", "resources": ["file:///etc/*", "users://7*", "urn:isbn:*", "https://h.example/a?x=1", "https://h.example/b/c/", "secret", "note:"] },
        { "effect": "allow", "resources": ["*"] },
    ]));
    for (hidden, before) in [
        // Where the rule denies all of a folder, no name in it may stand in.
        ("file:///etc/passwd", "file:///portcullis-hidden-"),
        ("users://7/profile", "users://portcullis-hidden-"),
        ("users://7", "users://portcullis-hidden-"),
        ("urn:isbn:12", "urn:portcullis-hidden-"),
        ("https://h.example/a?x=1", "https://h.example/portcullis-hidden-"),
        ("https://h.example/b/c/", "https://h.example/b/c/portcullis-hidden-"),
        ("secret", "portcullis-hidden-"),
        ("note:", "note:portcullis-hidden-"),
    ] {
        let request = message(Claims::good(), "resources/read", json!({ "uri": hidden }));
        let (_, name, answer) = asked(&gateway, &request, "/params/uri");
        assert!(name.starts_with(before), "{hidden}: {name}");
        assert_eq!(answer["error"]["message"], json!(format!("no {hidden}")), "under the name that was asked for");
        assert_eq!(answer["error"]["data"]["uri"], json!(hidden));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_stands_in_for_a_uri_of_a_template_is_of_that_template() {
    let gateway = gate(json!([
        { "effect": "deny", "resources": ["users://7/profile", "repo://a/b/files/secret/x.md", "odd://x"] },
        { "effect": "allow", "resources": ["*"] },
    ]));
    let world = World::new();
    let templates = json!({ "jsonrpc": "2.0", "id": 7, "result": { "resourceTemplates": [
        { "uriTemplate": "users://{id}/profile" }, { "uriTemplate": "repo://{owner}/{name}/files/{+path}.md" },
        { "uriTemplate": "odd://{" }, { "uriTemplate": "odd://x{?q}" }, { "uriTemplate": "{" },
    ] } });
    world.origin_body(templates.to_string().as_bytes(), 100);
    assert_eq!(world.call(&gateway, message(Claims::good(), "resources/templates/list", json!({}))).status, 200);
    for (hidden, form) in [
        ("users://7/profile", ("users://portcullis-hidden-", "-/profile")),
        ("repo://a/b/files/secret/x.md", ("repo://a/b/files/portcullis-hidden-", "-.md")),
        ("odd://x", ("odd://portcullis-hidden-", "-")),
    ] {
        let request = message(Claims::good(), "resources/read", json!({ "uri": hidden }));
        let (_, name, answer) = asked(&gateway, &request, "/params/uri");
        assert!(name.starts_with(form.0) && name.ends_with(form.1), "{hidden}: {name}");
        assert_eq!(answer["error"]["message"], json!(format!("no {hidden}")));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_hidden_method_gets_the_servers_own_words() {
    let gateway = gate(json!([
        { "effect": "deny", "methods": ["tasks/*"] }, { "effect": "allow", "methods": ["*"] },
    ]));
    let (sent, name, answer) =
        asked(&gateway, &message(Claims::good(), "tasks/get", json!({ "taskId": "1", "x": "\u{e4}" })), "/method");
    assert!(name.starts_with("portcullis-hidden-"), "{name}");
    assert_eq!(answer["error"]["message"], json!("no tasks/get"));
    let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!((&body["params"], &body["id"]), (&json!({ "taskId": "1", "x": "\u{e4}" }), &json!(7)));
    // Fields agree with the body (T12).
    let (sent, name, _) = asked(&gateway, &modern(Claims::good(), "tasks/get", json!({ "taskId": "1" })), "/method");
    assert_eq!(sent.fields.get("mcp-method"), Some(name.as_str()));
    // One that no rule denies goes as it is, and where no rule lets unknown methods through all are refused alike.
    let (_, name, _) = asked(&gateway, &message(Claims::good(), "foo/bar", json!({})), "/method");
    assert_eq!(name, "foo/bar");
    let closed = gate(json!([{ "effect": "allow", "tools": ["*"] }]));
    let reply = |method: &str| World::new().call(&closed, message(Claims::good(), method, json!({}))).body;
    assert_eq!(reply("tasks/get"), reply("foo/bar"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_body_that_no_strict_reader_takes_is_stood_in_for_too() {
    let gateway = gate(json!([{ "effect": "deny", "tools": ["secret"] }, { "effect": "allow", "tools": ["*"] }]));
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"secret","arguments":{"x":"\ud83d","y":{"a":1,"a":2}}}}"#;
    let world = World::new();
    let request = message(Claims::good(), "x", json!({})).body(body.as_bytes());
    assert_eq!(world.call(&gateway, request).status, 200);
    let sent = String::from_utf8(world.sent().pop().expect("it was asked for").body).expect("text");
    assert!(sent.contains("portcullis-hidden-") && !sent.contains("\"secret\""), "{sent}");
    assert!(sent.contains(r#""arguments":{"x":"\ud83d","y":{"a":1,"a":2}}"#), "{sent}");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_scheme_that_is_denied_stays_a_scheme() {
    let gateway =
        gate(json!([{ "effect": "deny", "resources": ["file:*"] }, { "effect": "allow", "resources": ["*"] }]));
    let request = message(Claims::good(), "resources/read", json!({ "uri": "file:///etc/passwd" }));
    let (_, name, answer) = asked(&gateway, &request, "/params/uri");
    assert_eq!(name, "portcullis-hidden-66696c65-:///etc/passwd");
    assert_eq!(answer["error"]["message"], json!("no file:///etc/passwd"));
}

#[wasm_bindgen_test(unsupported = test)]
fn every_pattern_that_fits_is_tried() {
    let gateway = gate(json!([
        { "effect": "deny", "tools": ["admin_*", "*_admin_drop"] },
        { "effect": "allow", "tools": ["admin_*", "*_drop", "*"] },
    ]));
    let request = message(Claims::good(), "tools/call", json!({ "name": "admin_x_drop" }));
    let (_, name, answer) = asked(&gateway, &request, "/params/name");
    assert!(name.starts_with("portcullis-hidden-"), "{name}");
    assert_eq!(answer["error"]["message"], json!("no admin_x_drop"));
    // What another rule lets through may be what is left.
    let gateway = gate(json!([
        { "effect": "deny", "tools": ["admin_*"], "when": { "issuers": ["idp"] } },
        { "effect": "allow", "tools": ["admin_*"] },
        { "effect": "allow", "tools": ["*_drop"] },
    ]));
    let (_, name, _) = asked(&gateway, &request, "/params/name");
    assert!(name.starts_with("portcullis-hidden-") && name.ends_with("_drop"), "{name}");
}

#[wasm_bindgen_test(unsupported = test)]
fn long_names_can_be_stood_in_for() {
    let gateway = gate(json!([
        { "effect": "deny", "tools": ["secret*"], "resources": ["file:///secret*"] },
        { "effect": "allow", "tools": ["*"], "resources": ["*"] },
    ]));
    for (method, member, hidden, unknown) in [
        ("tools/call", "name", format!("secret{}", "x".repeat(1018)), "y".repeat(1024)),
        (
            "resources/read",
            "uri",
            format!("file:///secret{}", "x".repeat(4082)),
            format!("file:///{}", "y".repeat(4088)),
        ),
    ] {
        let ask = |name: &str| message(Claims::good(), method, json!({ member: name }));
        let place = format!("/params/{member}");
        let (_, name, answer) = asked(&gateway, &ask(&hidden), &place);
        assert!(name.contains("portcullis-hidden-"), "{name}");
        assert_eq!(answer["error"]["message"], json!(format!("no {hidden}")));
        assert_eq!(asked(&gateway, &ask(&unknown), &place).1, unknown);
        // One byte more, and neither is a name.
        let reply = |name: &str| World::new().call(&gateway, ask(name)).json()["error"]["code"].clone();
        assert_eq!(reply(&format!("{hidden}x")), reply(&format!("{unknown}y")));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_method_that_is_denied_is_none_whatever_it_is_done_to() {
    let gateway = gate(json!([
        { "effect": "deny", "methods": ["resources/subscribe"] }, { "effect": "allow", "methods": ["*"] },
    ]));
    let request = message(Claims::good(), "resources/subscribe", json!({ "uri": "file:///a" }));
    let (sent, name, answer) = asked(&gateway, &request, "/method");
    assert!(name.starts_with("portcullis-hidden-"), "{name}");
    assert_eq!(answer["error"]["message"], json!("no resources/subscribe"));
    let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!(body["params"]["uri"], json!("file:///a"));
    // Where no tool may be called, tools are what does not exist.
    let gateway = gate(json!([{ "effect": "deny", "tools": ["*"] }, { "effect": "allow", "methods": ["*"] }]));
    let reply = World::new().call(&gateway, message(Claims::good(), "tools/call", json!({ "name": "x" })));
    assert_eq!(reply.json()["error"]["code"], json!(-32602));
}

#[wasm_bindgen_test(unsupported = test)]
fn templates_that_came_as_events_are_known_too() {
    let gateway = gate(json!([
        { "effect": "deny", "resources": ["users://7/profile"] }, { "effect": "allow", "resources": ["*"] },
    ]));
    let world = World::new();
    world.origin(Ok((200, &[("content-type", "text/event-stream")])));
    let list = json!({ "jsonrpc": "2.0", "id": 7, "result": { "resourceTemplates": [{ "uriTemplate": "users://{id}/profile" }] } });
    world.origin_body(format!("data: {list}\n\n").as_bytes(), 9);
    assert_eq!(world.call(&gateway, message(Claims::good(), "resources/templates/list", json!({}))).status, 200);
    let request = message(Claims::good(), "resources/read", json!({ "uri": "users://7/profile" }));
    let (_, name, _) = asked(&gateway, &request, "/params/uri");
    assert_eq!(name, "users://portcullis-hidden-37-/profile");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_denied_subscription_is_not_hidden_in_a_message_of_another_method() {
    let gateway = gate(json!([
        { "effect": "deny", "methods": ["resources/subscribe"] }, { "effect": "allow", "methods": ["*"] },
    ]));
    let listen = |uris: Value| {
        let world = World::new();
        let params = json!({ "notifications": { "resourceSubscriptions": uris } });
        world.call(&gateway, modern(Claims::good(), "subscriptions/listen", params));
        world.sent().len()
    };
    assert_eq!(listen(json!([])), 1);
    assert_eq!(listen(json!(["docs://secret"])), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn in_a_batch_each_message_has_its_own_stand_in() {
    let gateway = gate(json!([
        { "effect": "allow", "tools": ["echo"] },
        { "effect": "deny", "methods": ["tools/call"] },
        { "effect": "allow", "methods": ["*"] },
    ]));
    let call =
        |id: u8, name: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": name } });
    let body = json!([call(1, "echo"), call(2, "x"), call(3, "echo")]);
    let request = message(Claims::good(), "x", json!({})).body(body.to_string().as_bytes());
    let world = World::new();
    world.call(&gateway, request.field("mcp-protocol-version", "2025-03-26"));
    let sent = world.sent().pop().expect("it was asked for");
    let sent: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!((&sent[0]["method"], &sent[2]["method"]), (&json!("tools/call"), &json!("tools/call")));
    assert!(sent[1]["method"].as_str().is_some_and(|method| method.starts_with("portcullis-hidden-")));
}

#[wasm_bindgen_test(unsupported = test)]
fn names_in_other_letters_are_stood_in_for_where_a_step_up_fits_them() {
    let gateway = gate(json!([
        { "effect": "deny", "tools": ["admin_secret"], "resources": ["files://secret*"] },
        { "effect": "step_up", "scopes": ["mcp:tools"], "tools": ["admin_*"], "resources": ["files://*"] },
    ]));
    for (method, member, hidden, before) in [
        ("tools/call", "name", "ADMIN_SECRET", "ADMIN_portcullis-hidden-"),
        ("resources/read", "uri", "FILES://secret/a", "FILES://"),
    ] {
        let request = message(Claims::good(), method, json!({ member: hidden }));
        let (_, name, answer) = asked(&gateway, &request, &format!("/params/{member}"));
        assert!(name.starts_with(before) && name.contains("portcullis-hidden-"), "{name}");
        assert_eq!(answer["error"]["message"], json!(format!("no {hidden}")));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn odd_arguments_tell_nothing_of_a_hidden_tool() {
    let rules = |effect: Value| {
        gate(json!([
            { "effect": "allow", "tools": ["delete_db"], "when": { "roles": ["admin"], "arguments": { "name": { "one_of": ["x"] } } } },
            effect,
        ]))
    };
    let world = World::new();
    for gateway in [rules(json!({ "effect": "deny" })), rules(json!({ "effect": "allow", "tools": ["read"] }))] {
        let answer = |claims: Claims, tool: &str, arguments: &str| {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
            );
            let reply = world.call(&gateway, message(claims, "x", json!({})).body(body.as_bytes()));
            (reply.status, reply.json()["error"]["code"].clone(), reply.body.contains("cannot be read"))
        };
        for odd in [r#"{"NAME":"x"}"#, r#"{"name":1e999}"#, r#"{"name":"x","Name":"y"}"#] {
            assert_eq!(answer(Claims::good(), "delete_db", odd), answer(Claims::good(), "delete_xx", odd), "{odd}");
            let admin = Claims::good().with("roles", json!(["admin"]));
            assert_eq!(answer(admin, "delete_db", odd).0, 400, "who may call it hears why");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn odd_arguments_are_those_of_a_name_that_does_not_exist() {
    let path = json!({ "arguments": { "path": { "one_of": ["x"] } } });
    for rules in [
        json!([{ "effect": "deny", "tools": ["secret"] }, { "effect": "allow", "tools": ["*"], "when": path }]),
        json!([
            { "effect": "deny", "tools": ["secret"] },
            { "effect": "step_up", "scopes": ["w"], "tools": ["*"], "when": path },
        ]),
        json!([
            { "effect": "deny", "tools": ["secret"], "when": path },
            { "effect": "deny", "tools": ["secret"] },
            { "effect": "allow", "tools": ["*"], "when": { "arguments": { "mode": { "one_of": ["ok"] } } } },
        ]),
        json!([
            { "effect": "allow", "tools": ["*"], "when": { "arguments": { "mode": { "one_of": ["ok"] } } } },
            { "effect": "deny", "tools": ["secret"] },
            { "effect": "allow", "tools": ["*"], "when": path },
        ]),
    ] {
        let gateway = gate(rules.clone());
        let answer = |tool: &str, arguments: &str| {
            let world = World::new();
            world.origin_body(b"{}", 2);
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
            );
            let reply = world.call(&gateway, message(Claims::good(), "x", json!({})).body(body.as_bytes()));
            (reply.status, reply.json()["error"]["code"].clone(), world.sent().len())
        };
        for arguments in [
            "{}",
            r#"{"path":"x"}"#,
            r#"{"PATH":"x"}"#,
            r#"{"path":1e999}"#,
            r#"{"Path":"x","mode":"bad"}"#,
            r#"{"path":"x","MODE":"ok"}"#,
            r#"{"mode":"ok","Path":1}"#,
        ] {
            assert_eq!(answer("secret", arguments), answer("absent", arguments), "{rules} {arguments}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_long_name_takes_no_long_time() {
    let gateway = gate(json!([
        { "effect": "allow", "tools": ["*"] },
        { "effect": "step_up", "scopes": ["mcp:tools"], "tools": ["*delete*"], "resources": ["*delete*x*"] },
    ]));
    let gateways = [gateway, gate(json!([{ "effect": "step_up", "scopes": ["w"], "tools": ["*delete*x*"] }]))];
    for gateway in gateways {
        let name = format!("{}DELETE", "a".repeat(3_000_000));
        let reply = World::new().call(&gateway, message(Claims::good(), "tools/call", json!({ "name": name })));
        assert_eq!(reply.json()["error"]["code"], json!(-32602));
    }
}
