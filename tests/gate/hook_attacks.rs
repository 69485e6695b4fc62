//! Ways around hooks, and around budgets and guards with them, that were open once.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::guards::{logged, opened, opened_with_sessions, text};
use crate::policy::{message, modern};
use crate::support::keys::token as sign;
use crate::support::{Claims, Reply, Request, World};

const URL: &str = "https://hook.example/ask";

fn gate(hook: Value, resource: Value) -> Rc<Gateway> {
    let mut all = json!({ "hooks": [{ "id": "check", "url": URL }] });
    for (into, changes) in [(0, hook), (1, resource)] {
        for (key, value) in changes.as_object().expect("an object") {
            if into == 0 { all["hooks"][0][key] = value.clone() } else { all[key] = value.clone() }
        }
    }
    opened(all).expect("the document is right")
}

/// A hook that denies whatever has the word in it, and a server that answers every call with `ok`.
fn denying(what: &'static str) -> World {
    let world = World::new();
    world.serve_by(|sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        let result = json!({ "content": [{ "type": "text", "text": "ok" }] });
        Some((200, "application/json", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
    });
    world.answer_by(move |asked, _| {
        let action = if asked.body.contains(what) { "deny" } else { "pass" };
        (200, json!({ "action": action }).to_string())
    });
    world
}

fn post(world: &World, gateway: &Rc<Gateway>, body: &Value, version: &str) -> Reply {
    let request = Request::post("/mcp").bearer(&sign(&Claims::good())).field("mcp-protocol-version", version);
    world.call(gateway, request.body(body.to_string().as_bytes()))
}

fn call(world: &World, gateway: &Rc<Gateway>, tool: &str, arguments: Value) -> Reply {
    world.call(gateway, message(Claims::good(), "tools/call", json!({ "name": tool, "arguments": arguments })))
}

fn pay(arguments: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "pay", "arguments": arguments } })
}

#[wasm_bindgen_test(unsupported = test)]
fn a_batch_of_one_is_a_batch() {
    for on_failure in ["deny", "pass"] {
        let gateway = gate(json!({ "on": ["arguments"], "on_failure": on_failure }), json!({}));
        let world = denying("5000");
        let mut call = pay(&json!({ "amount": 5000 }));
        for _ in 0..2 {
            let reply = post(&world, &gateway, &json!([call]), "2025-03-26");
            assert_eq!((reply.status, world.last_request()["reason"].clone()), (200, json!("hook_failed")));
            assert!(reply.body.contains("send each call alone"), "{}", reply.body);
            // What stands beside the params is nothing that a server reads.
            call["arguments"] = json!({ "amount": 1 });
        }
        let reply = post(&world, &gateway, &call, "2025-11-25");
        assert_eq!(text(&reply), "The gateway did not forward this call. A check of the operator denies it.");
        assert!(world.sent().is_empty());
    }
    // Arguments are held to their schema there, too.
    let tool =
        json!({ "name": "pay", "inputSchema": { "type": "object", "properties": { "amount": { "maximum": 100 } } } });
    let locked = json!({ "tools": { "pay": { "digest": "x", "definition": tool } } });
    let bounds = json!([{ "schema": "enforce" }]);
    let gateway = opened(json!({ "lock": {}, "locked": locked, "bounds": bounds })).expect("the document is right");
    let world = denying("nothing");
    let mut call = pay(&json!({ "amount": 5000 }));
    call["arguments"] = json!({ "amount": 1 });
    assert_eq!(post(&world, &gateway, &json!([call]), "2025-03-26").json()["result"]["isError"], true);
    assert!(world.sent().is_empty());
}

/// An answer in bytes to a call.
fn answered(gateway: &Rc<Gateway>, kind: &'static str, body: &[u8]) -> (Reply, World) {
    let world = World::new();
    world.answer_by(|asked, _| {
        let action = if asked.body.contains("SECRET") { "deny" } else { "pass" };
        (200, json!({ "action": action }).to_string())
    });
    world.origin(Ok((200, &[("content-type", kind)])));
    world.origin_body(body, 7);
    let reply = call(&world, gateway, "pay", json!({}));
    (reply, world)
}

#[wasm_bindgen_test(unsupported = test)]
fn what_clients_read_is_asked_about_however_it_is_encoded() {
    let result = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"SECRET"#;
    let whole = |middle: &[u8]| [result.as_bytes(), middle, br#""}]}}"#].concat();
    let event = |begin: &[u8], message: Vec<u8>| [begin, b"data: ", &message, b"\n\n"].concat();
    for on_failure in ["deny", "pass"] {
        let gateway = gate(json!({ "on": ["results"], "on_failure": on_failure }), json!({}));
        for (kind, body) in [
            ("text/event-stream", event(b"", whole(b" \xff"))),
            ("text/event-stream", event(b"\xef\xbb\xbf", whole(b""))),
            ("text/event-stream", event(b"\xef\xbb\xbf: hello\n\n", whole(b""))),
            ("application/json", whole(b" \xff")),
            ("application/json", whole(br#"","text":"harmless"#)),
            ("text/event-stream", event(b"", whole(br#"","text":"harmless"#))),
            ("application/json", [whole(b"").as_slice(), br#","caller":{"subject":"root"}"#].concat()),
            ("application/json", b"<h1>SECRET</h1>".to_vec()),
        ] {
            let (reply, world) = answered(&gateway, kind, &body);
            let shown = String::from_utf8_lossy(&body).into_owned();
            assert!(!reply.body.contains("SECRET"), "{shown}: {}", reply.body);
            assert!(reply.body.contains("\"id\":7"), "{shown}: {}", reply.body);
            for asked in world.asked() {
                let question: Value = serde_json::from_str(&asked.body).expect("JSON");
                assert_eq!((&question["phase"], &question["name"]), (&json!("results"), &json!("pay")));
            }
        }
    }
    // A guard reads no more than a client does.
    let guards = json!([{ "find": ["email"], "action": "mask", "on": ["results"] }]);
    let gateway = opened(json!({ "guards": guards })).expect("the document is right");
    for kind in ["text/event-stream", "application/json"] {
        let body = if kind == "application/json" { whole(b" \xff") } else { event(b"", whole(b" \xff")) };
        assert!(!answered(&gateway, kind, &body).0.body.contains("SECRET \u{fffd}"), "{kind}");
        let good = if kind == "application/json" {
            whole("é€😀".as_bytes())
        } else {
            event(b"", whole("é€😀".as_bytes()))
        };
        assert!(answered(&gateway, kind, &good).0.body.contains("é€😀"), "{kind}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn answers_that_are_no_messages_are_not_asked_about() {
    let gateway = gate(json!({ "on": ["results"] }), json!({}));
    for (status, kind, body) in
        [(202, "text/plain", ""), (405, "text/html", "<h1>no</h1>"), (404, "text/plain", "Not Found")]
    {
        let world = denying("never");
        world.serve_by(move |_| Some((status, kind, body.to_owned())));
        call(&world, &gateway, "pay", json!({}));
        assert!(world.asked().is_empty(), "{status}");
        assert!(logged(&world, "hook_failed").is_empty());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cached_list_brings_nothing_back() {
    let list = json!({
        "resultType": "complete", "ttlMs": 60_000, "cacheScope": "public",
        "tools": [{ "name": "secret_tool", "description": "ask bob@mail.example", "inputSchema": { "type": "object" } }],
    });
    let serve = |world: &World| {
        let list = list.clone();
        world.serve_by(move |sent| {
            let asked: Value = serde_json::from_slice(&sent.body).ok()?;
            let body = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": list });
            Some((200, "application/json", body.to_string()))
        });
    };
    let hook = gate(json!({ "on": ["results"], "methods": ["tools/list"] }), json!({ "cache_lists": true }));
    let guards = json!([{ "find": ["email"], "action": "mask", "on": ["results"], "methods": ["tools/list"] }]);
    let guard = opened(json!({ "guards": guards, "cache_lists": true })).expect("the document is right");
    for (gateway, shown) in [(hook, "secret_tool"), (guard, "bob@mail.example")] {
        let world = denying("secret_tool");
        serve(&world);
        for round in 0..3 {
            let reply = world.call(&gateway, modern(Claims::good(), "tools/list", json!({})));
            assert!(!reply.body.contains(shown), "{round}: {}", reply.body);
        }
        assert_eq!(world.sent().len(), 3);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_hidden_tool_is_nothing_to_hooks_and_budgets() {
    let rules = json!([
        { "tools": ["transfer"], "effect": "allow", "when": { "scopes": ["mcp:admin"] } },
        { "tools": ["transfer"], "effect": "deny" },
        { "tools": ["*"], "effect": "allow" },
    ]);
    let budgets = json!([{ "by": [], "tools": ["transfer"], "calls": 2, "binding": "BUDGETS" }]);
    let gateway = gate(json!({ "tools": ["transfer"] }), json!({ "rules": rules, "budgets": budgets }));
    let world = denying("transfer");
    for _ in 0..4 {
        let (hidden, unknown) =
            (call(&world, &gateway, "transfer", json!({})), call(&world, &gateway, "nosuch", json!({})));
        assert_eq!((text(&hidden), text(&unknown)), ("ok".to_owned(), "ok".to_owned()), "the server answers both");
    }
    assert!(world.asked().is_empty(), "no hook is asked about a call that the rules deny");
    let admin = || Claims::good().with("scope", json!("mcp:tools mcp:admin"));
    let reply = world.call(&gateway, message(admin(), "tools/call", json!({ "name": "transfer", "arguments": {} })));
    assert!(text(&reply).contains("denies it"), "{}", reply.body);
    // A hook for everything gets the name that the server gets.
    let rules = json!([{ "tools": ["transfer"], "effect": "deny" }, { "tools": ["*"], "effect": "allow" }]);
    let all = gate(json!({ "on": ["arguments"] }), json!({ "rules": rules }));
    let world = denying("\"transfer\"");
    assert_eq!(text(&call(&world, &all, "transfer", json!({}))), "ok");
    assert!(world.asked()[0].body.contains("portcullis-hidden-"), "{}", world.asked()[0].body);
}

#[wasm_bindgen_test(unsupported = test)]
fn everything_that_a_client_sends_is_asked_about() {
    let gateway = gate(json!({ "on": ["arguments"] }), json!({}));
    let question = |world: &World| -> Value {
        serde_json::from_str(&world.asked().last().expect("a question").body).expect("JSON")
    };
    let world = denying("SECRET");
    // An answer to a question of the server.
    let answer = json!({ "jsonrpc": "2.0", "id": 9, "result": { "action": "accept", "content": { "x": "SECRET" } } });
    assert_eq!(post(&world, &gateway, &answer, "2025-11-25").status, 403);
    assert_eq!((&question(&world)["message"], &question(&world)["name"]), (&answer, &Value::Null));
    // A call that goes on.
    let more = json!({
        "name": "pay", "arguments": { "a": 1 }, "requestState": "s", "inputResponses": { "q": { "content": "SECRET" } },
    });
    let reply = world.call(&gateway, modern(Claims::good(), "tools/call", more));
    assert!(text(&reply).contains("denies it"), "{}", reply.body);
    assert_eq!(question(&world)["message"]["params"]["inputResponses"]["q"]["content"], "SECRET");
    // Methods without arguments.
    for (method, params) in [
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "a", "value": "SECRET" } }),
        ),
        ("other/method", json!({ "x": "SECRET" })),
    ] {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        post(&world, &gateway, &body, "2025-11-25");
        assert_eq!(question(&world)["message"]["params"], params, "{method}");
    }
    assert!(world.sent().is_empty());
    // A plain call has its arguments alone, and nothing replaces what has none.
    let world = denying("SECRET");
    assert_eq!(text(&call(&world, &gateway, "pay", json!({ "a": 1 }))), "ok");
    assert_eq!(question(&world).get("message"), None);
    world.answer_by(|_, _| (200, json!({ "action": "replace", "arguments": { "b": 2 } }).to_string()));
    assert_eq!(post(&world, &gateway, &answer, "2025-11-25").status, 403);
    assert_eq!(world.sent().len(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn no_spelling_of_a_name_avoids_a_target() {
    let read = |uri: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": { "uri": uri } });
    let hook = gate(json!({ "on": ["arguments"], "resources": ["file:///secret/*"] }), json!({}));
    let world = denying("secret");
    world.answer_by(|_, _| (200, json!({ "action": "deny" }).to_string()));
    for uri in [
        "file:///secret/a",
        "file:///x/../secret/a",
        "file:///%73ecret/a",
        "file:////secret/a",
        "file://localhost/secret/a",
        "FILE:///secret/a",
    ] {
        post(&world, &hook, &read(uri), "2025-11-25");
        assert!(world.sent().is_empty(), "{uri}");
    }
    post(&world, &hook, &read("file:///open/a"), "2025-11-25");
    assert_eq!(world.sent().len(), 1);
    // A name about which readers disagree may be any.
    let budgets = json!([{ "by": [], "tools": ["rare"], "calls": 1, "binding": "BUDGETS" }]);
    let gateway = opened(json!({ "budgets": budgets })).expect("the document is right");
    let world = denying("nothing");
    for (name, said) in [(" rare", "ok"), ("rare\u{200b}", "budget of 1"), ("RARE", "budget of 1"), ("other", "ok")] {
        assert!(text(&call(&world, &gateway, name, json!({}))).contains(said), "{name:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn sizes_are_no_way_around_a_hook() {
    let world = denying("SECRET");
    let padded = json!({ "text": format!("SECRET{}", " ".repeat(300_000)) });
    for on_failure in ["deny", "pass"] {
        let gateway = gate(json!({ "on": ["arguments"], "on_failure": on_failure }), json!({}));
        let reply = call(&world, &gateway, "pay", padded.clone());
        assert_eq!(text(&reply), "The gateway did not forward this call. It has more than 262144 bytes.");
    }
    assert!(world.sent().is_empty());
    // The server's answers are large as they are: the configuration says what happens.
    let large = "x".repeat(300_000);
    for (on_failure, passes) in [("deny", false), ("pass", true)] {
        for kind in ["application/json", "text/event-stream"] {
            let gateway = gate(json!({ "on": ["results"], "on_failure": on_failure }), json!({}));
            let result = json!({ "content": [{ "type": "text", "text": large }] });
            let body = json!({ "jsonrpc": "2.0", "id": 7, "result": result }).to_string();
            let body = if kind == "application/json" { body } else { format!("data: {body}\n\n") };
            let (reply, world) = answered(&gateway, kind, body.as_bytes());
            assert_eq!(reply.body.contains(&large), passes, "{kind} {on_failure}: {}", reply.body.len());
            assert_eq!(reply.body.contains("It has more than 262144 bytes."), !passes);
            assert!(logged(&world, "hook_failed")[0].ends_with("it is asked about at most 262144 bytes"));
        }
    }
    let endless = format!("data: {}", "x".repeat(5_000_000));
    let gateway = gate(json!({ "on": ["results"], "on_failure": "pass" }), json!({}));
    let world = denying("SECRET");
    world.origin_body(b"", 100_000);
    world.serve_by(move |_| Some((200, "text/event-stream", endless.clone())));
    let reply = call(&world, &gateway, "pay", json!({}));
    assert!(reply.body.contains("more than 4194304 bytes") && reply.body.len() < 1_000, "{}", reply.body.len());
}

#[wasm_bindgen_test(unsupported = test)]
fn refusals_of_hooks_and_budgets_count() {
    let hook = gate(json!({ "on": ["arguments"] }), json!({ "refusals_per_minute": 10 }));
    let budgets = json!([{ "by": [], "calls": 1, "binding": "BUDGETS" }]);
    let budget = opened(json!({ "budgets": budgets, "refusals_per_minute": 10 })).expect("the document is right");
    for (gateway, before) in [(hook, 0), (budget, 1)] {
        let world = denying("pay");
        let statuses: Vec<u16> =
            (0..before + 13).map(|_| call(&world, &gateway, "pay", json!({})).status).skip(before).collect();
        assert_eq!(statuses, [[200; 10].as_slice(), &[429; 3]].concat());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_binding_throws_is_not_logged() {
    let hooks = json!([{ "id": "bound", "service": "HOOK", "on": ["arguments"] }]);
    let gateway = opened(json!({ "hooks": hooks })).expect("the document is right");
    let world = World::new();
    world.answer("HOOK", Err("oops {\"amount\":5}"));
    let reply = call(&world, &gateway, "pay", json!({ "amount": 5 }));
    assert!(text(&reply).contains("did not answer"));
    assert!(world.lines().iter().all(|line| !line.to_string().contains("oops")), "{:?}", world.lines());
}

/// A guard that masks, and a server that asks back: the client sends its arguments again as it sent them before.
#[wasm_bindgen_test(unsupported = test)]
fn masked_arguments_go_on_with_their_state() {
    let guards = json!([{ "find": ["email"], "action": "mask", "on": ["arguments"] }]);
    let gateway = opened_with_sessions(json!({ "guards": guards })).expect("the document is right");
    let world = World::new();
    world.serve_by(|sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        let result = match asked["params"].get("requestState") {
            None => json!({ "resultType": "input_required", "inputRequests": {}, "requestState": "one" }),
            Some(_) => json!({ "resultType": "complete", "content": [{ "type": "text", "text": asked["params"].to_string() }] }),
        };
        Some((200, "application/json", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
    });
    let params = json!({ "name": "send", "arguments": { "to": "bob@mail.example" } });
    let first = world.call(&gateway, modern(Claims::good(), "tools/call", params.clone())).json();
    let mut again = params;
    again["requestState"] = first["result"]["requestState"].clone();
    let reply = world.call(&gateway, modern(Claims::good(), "tools/call", again));
    assert!(text(&reply).contains("[masked email]") && text(&reply).contains("\"one\""), "{}", reply.body);
}

/// In the transport of 2024-11-05 a client waits for an answer on its stream.
#[wasm_bindgen_test(unsupported = test)]
fn a_denial_reaches_clients_of_the_transport_of_2024() {
    let hooks = json!([{ "id": "check", "url": URL, "on": ["arguments"] }]);
    let gateway = opened_with_sessions(json!({ "hooks": hooks })).expect("the document is right");
    let world = World::new();
    world.answer_by(|_, _| (200, json!({ "action": "deny" }).to_string()));
    world.origin(Ok((200, &[("content-type", "text/event-stream")])));
    world.origin_body(b"event: endpoint\ndata: /messages?s=1\n\n", 100);
    let stream = world.call(&gateway, Request::get("/mcp").bearer(&sign(&Claims::good()))).body;
    let endpoint = stream.lines().nth(1).and_then(|line| line.strip_prefix("data: ")).expect("the endpoint").to_owned();
    world.origin(Ok((202, &[])));
    world.origin_body(b"", 1);
    let body = pay(&json!({})).to_string();
    let request = Request::post("/mcp").bearer(&sign(&Claims::good())).target(&endpoint).body(body.as_bytes());
    assert_eq!(world.call(&gateway, request).status, 202);
    let sent: Value = serde_json::from_slice(&world.sent().last().expect("a message").body).expect("JSON");
    assert_eq!(sent["method"], "portcullis/refused");
    assert_eq!(world.last_request()["reason"], "hook_denied");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_caller_takes_nothing_from_what_others_share() {
    let budgets = |calls: u64| {
        json!([
            { "by": [], "tools": ["a", "b"], "calls": calls, "binding": "BUDGETS" },
            { "by": ["subject"], "calls": 2, "warn_at": 2, "binding": "BUDGETS" },
        ])
    };
    let gateway = opened(json!({ "budgets": budgets(3) })).expect("the document is right");
    let world = denying("nothing");
    let of = |gateway: &Rc<Gateway>, subject: &str| {
        let claims = Claims::good().with("sub", json!(subject));
        text(&world.call(gateway, message(claims, "tools/call", json!({ "name": "a", "arguments": {} }))))
    };
    for _ in 0..2 {
        assert_eq!(of(&gateway, "mallory"), "ok");
    }
    // What a caller has spent is asked first, so nothing of the shared budget is taken and given back.
    let before = world.budget_calls();
    assert!(of(&gateway, "mallory").contains("budget of 2"));
    assert_eq!(world.budget_calls(), before, "no counter was changed");
    assert_eq!(logged(&world, "budget_warning").len(), 1);
    assert_eq!(of(&gateway, "alice"), "ok");
    assert!(of(&gateway, "bob").contains("budget of 3"));
    // A budget that is raised keeps what it has counted, whatever the order of its tools.
    let mut raised = budgets(4);
    raised[0]["tools"] = json!(["b", "a"]);
    let gateway = opened(json!({ "budgets": raised })).expect("the document is right");
    assert_eq!(of(&gateway, "bob"), "ok");
    assert!(of(&gateway, "carol").contains("budget of 4"));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_answer_in_place_of_a_refused_one_is_read() {
    let gateway = gate(json!({ "on": ["results"] }), json!({}));
    for (status, kind) in [(422, "application/json"), (200, "text/plain"), (404, "application/json")] {
        let world = denying("secret");
        world.serve_by(move |sent| {
            let asked: Value = serde_json::from_slice(&sent.body).ok()?;
            let result = json!({ "content": [{ "type": "text", "text": "secret" }] });
            Some((status, kind, json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
        });
        let reply = call(&world, &gateway, "pay", json!({}));
        assert_eq!((reply.status, reply.field("content-type")), (200, "application/json"), "{status} {kind}");
        assert_eq!(reply.json()["result"]["isError"], json!(true));
    }
}
