//! Who may do what: rules, step-up, what does not exist for a caller, and the record of decisions.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use portcullis::observe::decision::{DecisionLine, follows};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{Claims, Request, TestSecrets, World, document_with, open, open_with, token};

/// A document whose one resource has these rules, and these keys besides.
pub fn with_rules(rules: Value, more: Value) -> Value {
    let mut resource = json!({
        "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"], "rules": rules,
    });
    for (key, value) in more.as_object().expect("an object") {
        resource[key] = value.clone();
    }
    document_with(json!({ "resources": [resource] }))
}

pub fn gate(rules: Value) -> Rc<Gateway> {
    open(with_rules(rules, json!({}))).expect("the document is right")
}

/// A legacy message of a caller with these claims besides the usual.
pub fn message(claims: Claims, method: &str, params: Value) -> Request {
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
    Request::post("/mcp").bearer(&token(&claims)).field("mcp-protocol-version", "2025-11-25").body(body.as_bytes())
}

/// The same in the modern era, with its fields.
pub fn modern(claims: Claims, method: &str, mut params: Value) -> Request {
    if !params["_meta"].is_object() {
        params["_meta"] = json!({});
    }
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    let name = params["name"].as_str().or(params["uri"].as_str()).or(params["taskId"].as_str()).map(str::to_owned);
    let request =
        message(claims, method, params).field("mcp-protocol-version", "2026-07-28").field("mcp-method", method);
    name.map_or(request.clone(), |name| request.field("mcp-name", &name))
}

pub fn call(claims: Claims, tool: &str) -> Request {
    message(claims, "tools/call", json!({ "name": tool, "arguments": {} }))
}

pub fn scope(scopes: &str) -> Claims {
    Claims::good().with("scope", json!(scopes))
}

pub fn forwarded(gateway: &Rc<Gateway>, request: Request) -> bool {
    let world = World::new();
    world.call(gateway, request);
    // What stands in for a hidden name is not the call that was asked for.
    world.sent().iter().any(|sent| !String::from_utf8_lossy(&sent.body).contains("portcullis-hidden-"))
}

#[wasm_bindgen_test(unsupported = test)]
fn the_first_rule_that_matches_decides_and_what_none_matches_is_denied() {
    let gateway = gate(json!([
        { "effect": "deny", "tools": ["read_secret"] },
        { "effect": "allow", "tools": ["read_*"] },
        { "effect": "step_up", "scopes": ["files:write"], "tools": ["write_*"] },
        { "effect": "allow", "prompts": ["hello"], "resources": ["file:///docs/*"] },
    ]));
    let may = |request| forwarded(&gateway, request);
    let tools = |name: &str| may(call(Claims::good(), name));
    assert!(tools("read_file") && tools("read_"));
    for name in
        ["read_secret", "READ_SECRET", "Read_secret", "write_file", "delete_all", "Read_file", "rea", "read", ""]
    {
        assert!(!tools(name), "{name}");
    }
    assert!(may(call(scope("mcp:tools files:write"), "write_file")));
    assert!(may(message(Claims::good(), "prompts/get", json!({ "name": "hello" }))));
    assert!(!may(message(Claims::good(), "prompts/get", json!({ "name": "other" }))));
    let read = |uri: &str| may(message(Claims::good(), "resources/read", json!({ "uri": uri })));
    assert!(read("file:///docs/a") && !read("file:///etc/passwd") && !read("FILE:///docs/a"));
    let complete = |reference: Value| may(message(Claims::good(), "completion/complete", json!({ "ref": reference })));
    assert!(complete(json!({ "type": "ref/prompt", "name": "hello" })));
    assert!(!complete(json!({ "type": "ref/prompt", "name": "secret" })));
    assert!(!complete(json!({ "type": "ref/resource", "uri": "file:///etc/{x}" })));
    for method in ["initialize", "ping", "tools/list", "prompts/list", "resources/templates/list", "logging/setLevel"] {
        assert!(may(message(Claims::good(), method, json!({}))), "{method}");
    }
    assert!(!may(message(Claims::good(), "tasks/list", json!({}))));
    assert!(may(Request::get("/mcp").bearer(&token(&Claims::good()))));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refused_notification_is_an_error_of_http() {
    let gateway = gate(json!([{ "effect": "allow", "tools": ["a"] }]));
    let world = World::new();
    let body = json!({ "jsonrpc": "2.0", "method": "notifications/tasks/status" }).to_string();
    let reply = world.call(&gateway, message(Claims::good(), "x", json!({})).body(body.as_bytes()));
    assert_eq!((reply.status, world.sent().len()), (403, 0));
    // In the modern era an unknown method is 404 (T5).
    let request = Request::post("/mcp").bearer(&token(&Claims::good()));
    let request = request.field("mcp-protocol-version", "2026-07-28").field("mcp-method", "notifications/tasks/status");
    let reply = world.call(&gateway, request.body(body.as_bytes()));
    assert_eq!((reply.status, world.sent().len()), (404, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_step_up_names_all_scopes_of_the_operation_at_once() {
    let rules =
        json!([{ "id": "w", "effect": "step_up", "scopes": ["files:write", "files:delete"], "tools": ["drop"] }]);
    let mut document = with_rules(rules, json!({}));
    document["scope_includes"] = json!({ "files:admin": ["files:write", "files:delete"] });
    let gateway = open(document).expect("right");
    let world = World::new();
    let reply = world.call(&gateway, call(scope("mcp:tools files:write"), "drop"));
    assert_eq!(reply.status, 403);
    let challenge = reply.field("www-authenticate");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"files:delete files:write mcp:tools\""), "{challenge}");
    assert!(challenge.contains("resource_metadata=\"https://gate.example/.well-known/oauth-protected-resource/mcp\""));
    assert_eq!(world.last_request()["detail"], json!("missing: files:delete"));
    // Who lacks what the resource itself asks for learns all of it too.
    let reply = world.call(&gateway, call(scope("other"), "drop"));
    assert!(reply.field("www-authenticate").contains("scope=\"files:delete files:write mcp:tools\""));
    // But nothing about what does not exist.
    let reply = world.call(&gateway, call(scope("other"), "nothing"));
    assert!(reply.field("www-authenticate").contains("scope=\"mcp:tools\""));
    for scopes in ["mcp:tools files:admin", "mcp:tools files:*"] {
        assert!(forwarded(&gateway, call(scope(scopes), "drop")), "{scopes}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn conditions_about_the_caller() {
    let cases = [
        (json!({ "scopes": ["a", "b"] }), scope("mcp:tools a b"), scope("mcp:tools a")),
        (json!({ "roles": ["admin", "ops"] }), Claims::good().with("roles", json!(["ops"])), Claims::good()),
        (
            json!({ "roles": ["ops"] }),
            Claims::good().with("roles", json!("ops")),
            Claims::good().with("roles", json!(7)),
        ),
        (
            json!({ "groups": ["g"] }),
            Claims::good().with("groups", json!(["f", "g"])),
            Claims::good().with("groups", json!([["g"]])),
        ),
        (
            json!({ "claims": { "tid": ["1"] } }),
            Claims::good().with("tid", json!(1)),
            Claims::good().with("tid", json!("2")),
        ),
        (
            json!({ "claims": { "/realm/roles": ["x"] } }),
            Claims::good().with("realm", json!({ "roles": ["x"] })),
            Claims::good().with("/realm/roles", json!(["x"])),
        ),
        (
            json!({ "claims": { "https://acme.example/tier": ["gold"] } }),
            Claims::good().with("https://acme.example/tier", json!("gold")),
            Claims::good().with("https://acme.example/tier", json!("golden")),
        ),
        (json!({ "subjects": ["ada"] }), Claims::good(), Claims::good().with("sub", json!("Ada"))),
        (json!({ "clients": ["client-1"] }), Claims::good(), Claims::good().without("client_id")),
        (
            json!({ "issuers": ["idp"], "clients": ["client-1"] }),
            Claims::good(),
            Claims::good().with("client_id", json!("x")),
        ),
    ];
    for (when, good, bad) in cases {
        let gateway = gate(json!([{ "effect": "allow", "tools": ["t"], "when": when.clone() }]));
        assert!(forwarded(&gateway, call(good, "t")), "{when}");
        assert!(!forwarded(&gateway, call(bad, "t")), "{when}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn conditions_about_the_connection() {
    let request = |country: Option<&str>, asn: Option<u64>, certificate: bool| {
        let mut request = call(Claims::good(), "t");
        (request.head.country, request.head.asn) = (country.map(str::to_owned), asn);
        // One that no trusted CA issued is none for a rule.
        if certificate { request.certificate([1; 32]) } else { request.certificate_of([1; 32], None) }
    };
    let allows = |when: Value, request: Request| {
        forwarded(&gate(json!([{ "effect": "allow", "tools": ["t"], "when": when }])), request)
    };
    assert!(allows(json!({ "countries": ["DE", "FR"] }), request(Some("FR"), None, false)));
    assert!(!allows(json!({ "countries": ["DE"] }), request(Some("US"), None, false)));
    assert!(!allows(json!({ "countries": ["DE"] }), request(None, None, false)));
    assert!(allows(json!({ "asns": [64496] }), request(None, Some(64_496), false)));
    assert!(!allows(json!({ "asns": [64496] }), request(None, None, false)));
    assert!(allows(json!({ "mtls": true }), request(None, None, true)));
    assert!(!allows(json!({ "mtls": true }), request(None, None, false)));
    assert!(allows(json!({ "mtls": false }), request(None, None, false)));
    // A rule about everything closes the streams of the old era too.
    let closed = gate(json!([{ "effect": "deny", "when": { "mtls": false } }, { "effect": "allow", "tools": ["t"] }]));
    assert!(!forwarded(&closed, Request::get("/mcp").bearer(&token(&Claims::good()))));
    assert!(!forwarded(&closed, message(Claims::good(), "ping", json!({}))));
    assert!(forwarded(&closed, request(None, None, true)));
}

#[wasm_bindgen_test(unsupported = test)]
fn tests_on_arguments() {
    let with = |arguments: Value| message(Claims::good(), "tools/call", json!({ "name": "t", "arguments": arguments }));
    let cases = [
        (
            json!({ "p": { "like": "/tmp/*" } }),
            json!({ "p": "/tmp/x" }),
            vec![json!({ "p": "/etc" }), json!({}), json!({ "p": ["/tmp/x"] })],
        ),
        (json!({ "p": { "one_of": ["a", "b"] } }), json!({ "p": "b" }), vec![json!({ "p": "c" }), json!({ "P": "a" })]),
        (
            json!({ "n": { "at_least": 1, "at_most": 10 } }),
            json!({ "n": 10.0 }),
            vec![
                json!({ "n": 10.5 }),
                json!({ "n": "5" }),
                json!({ "n": u64::MAX }),
                json!({ "n": 0 }),
                json!({ "n": null }),
            ],
        ),
        (
            json!({ "b": { "is": false } }),
            json!({ "b": false }),
            vec![json!({ "b": true }), json!({ "b": "false" }), json!({})],
        ),
        (json!({ "x": { "present": false } }), json!({ "x": null }), vec![json!({ "x": 0 }), json!({ "x": {} })]),
        (json!({ "x": { "present": true } }), json!({ "x": { "deep": 1 } }), vec![json!({}), json!({ "x": null })]),
    ];
    for (arguments, good, bad) in cases {
        let gateway = gate(json!([{ "effect": "allow", "tools": ["t"], "when": { "arguments": arguments.clone() } }]));
        assert!(forwarded(&gateway, with(good.clone())), "{arguments} {good}");
        for bad in bad {
            assert!(!forwarded(&gateway, with(bad.clone())), "{arguments} {bad}");
        }
    }
    // What is denied for some arguments alone is judged with the body, in the modern era too.
    let gateway = gate(json!([
        { "effect": "deny", "tools": ["t"], "when": { "arguments": { "force": { "is": true } } } },
        { "effect": "allow", "tools": ["t"] },
    ]));
    let forced =
        |force: bool| modern(Claims::good(), "tools/call", json!({ "name": "t", "arguments": { "force": force } }));
    assert!(forwarded(&gateway, forced(false)) && !forwarded(&gateway, forced(true)));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_only_observed_decides_nothing_and_is_recorded() {
    let observed = json!([
        { "id": "soon", "effect": "deny", "tools": ["t"], "mode": "observe" },
        { "id": "now", "effect": "allow", "tools": ["*"] },
    ]);
    let mut document = with_rules(observed, json!({}));
    document["decision_log"] = json!({});
    let world = World::new();
    let gateway = open(document).expect("right");
    assert_eq!(world.call(&gateway, call(Claims::good(), "t")).status, 200);
    let line: Value = serde_json::from_str(&world.decisions()[0]).expect("JSON");
    assert_eq!(
        (&line["verdict"], &line["rule"], &line["would"], &line["would_rule"]),
        (&json!("allow"), &json!("now"), &json!("deny"), &json!("soon"))
    );
    let mut document = with_rules(json!([{ "effect": "allow", "tools": ["a"] }]), json!({ "rules_mode": "observe" }));
    document["decision_log"] = json!({});
    let world = World::new();
    world.origin_body(br#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"a"},{"name":"b"}]}}"#, 10);
    let gateway = open(document).expect("right");
    assert!(world.call(&gateway, message(Claims::good(), "tools/list", json!({}))).body.contains("\"b\""));
    assert_eq!(world.call(&gateway, call(Claims::good(), "b")).status, 200);
    let line: Value = serde_json::from_str(&world.decisions()[1]).expect("JSON");
    assert_eq!(
        (&line["verdict"], &line["enforced"], &line["rule"]),
        (&json!("deny"), &json!(false), &json!("(default)"))
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn the_record_is_bound_line_by_line_and_names_nobody() {
    let mut document = with_rules(
        json!([{ "id": "t", "effect": "allow", "tools": ["t"], "when": { "groups": ["g"], "claims": { "tid": ["1"] } } }]),
        json!({}),
    );
    document["decision_log"] = json!({});
    document["log"] = json!({ "pseudonym_secret": "P" });
    let secrets = TestSecrets(vec![("P", "0123456789abcdef0123456789abcdef".to_owned())]);
    let gateway = open_with(document, &secrets).expect("right");
    let world = World::new();
    let claims =
        || Claims::good().with("groups", json!(["g"])).with("tid", json!("1")).with("email", json!("ada@acme.example"));
    let secret_call =
        |secret: &str| message(claims(), "tools/call", json!({ "name": "t", "arguments": { "card": secret } }));
    for secret in ["4111-1111", "4111-1111", "5500-0000"] {
        world.call(&gateway, secret_call(secret));
    }
    let lines = world.decisions();
    let parsed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut last = None;
    for (at, line) in lines.iter().enumerate() {
        let mut said = parsed[at].clone();
        // Any letters may stand in a digest.
        for digest in ["hash", "prev"] {
            said.as_object_mut().expect("an object").remove(digest);
        }
        let said = said.to_string();
        assert!(!said.contains("4111") && !said.contains("ada"), "{line}");
        assert_eq!(parsed[at]["seq"], json!(at));
        last = Some(follows(line, last.as_deref()).expect("it follows the line before"));
    }
    assert_eq!(follows(&lines[2], parsed[0]["hash"].as_str()), None, "a gap shows");
    assert_eq!(follows(&lines[1].replace("allow", "deny "), None), None, "a change shows");
    assert_eq!(parsed[0]["arguments"], parsed[1]["arguments"]);
    assert_ne!(parsed[0]["arguments"], parsed[2]["arguments"]);
    assert_eq!(parsed[0]["groups"], json!(["g"]));
    assert_eq!(parsed[0]["claims"], json!({ "tid": "1" }));
    assert_eq!(parsed[0]["policy"].as_str().map(str::len), Some(32));
}

#[wasm_bindgen_test(unsupported = test)]
fn limits_count_each_caller_apart() {
    let document = with_rules(
        json!([{ "effect": "allow", "tools": ["*"] }]),
        json!({ "limits": [
            { "by": ["subject"], "requests": 3, "seconds": 10 },
            { "by": ["subject", "tool"], "requests": 1, "seconds": 60, "tools": ["slow_*"] },
        ] }),
    );
    let gateway = open(document).expect("right");
    let world = World::new();
    let of = |sub: &str, tool: &str| world.call(&gateway, call(Claims::good().with("sub", json!(sub)), tool));
    assert_eq!([of("a", "x").status, of("a", "x").status, of("a", "x").status], [200; 3]);
    let reply = of("a", "x");
    assert_eq!((reply.status, reply.field("retry-after")), (429, "10"));
    assert_eq!(reply.json()["id"], json!(7));
    assert_eq!(of("b", "slow_x").status, 200);
    assert_eq!(of("b", "slow_x").status, 429);
    assert_eq!(of("b", "slow_y").status, 200);
    world.pass(10);
    assert_eq!(of("a", "x").status, 200);
    // The request by which clients tell eras gets no 4xx.
    let probe = |method: &str| world.call(&gateway, message(Claims::good().with("sub", json!("c")), method, json!({})));
    for _ in 0..3 {
        assert_eq!(probe("ping").status, 200);
    }
    assert_eq!((probe("initialize").status, probe("ping").status), (503, 429));
}

#[wasm_bindgen_test(unsupported = test)]
fn limits_by_a_binding_and_without_it() {
    let document = with_rules(
        json!([{ "effect": "allow", "tools": ["*"] }]),
        json!({ "limits": [{ "by": ["client"], "requests": 1, "seconds": 10, "binding": "LIMITER" }] }),
    );
    let gateway = open(document).expect("right");
    let world = World::new();
    world.limiter("LIMITER", 2);
    let status = || world.call(&gateway, call(Claims::good(), "t")).status;
    assert_eq!([status(), status(), status()], [200, 200, 429]);
    assert!(world.asked_turns().iter().all(|key| key.len() == 32 && !key.contains("client-1")));
    // Where it cannot say, the isolate counts.
    let world = World::new();
    let status = || world.call(&gateway, call(Claims::good(), "t")).status;
    assert_eq!([status(), status()], [200, 429]);
}

#[wasm_bindgen_test(unsupported = test)]
fn methods_in_other_letters_and_steps_up_in_other_letters() {
    let gateway = gate(json!([
        { "effect": "deny", "tools": ["drop_*"] },
        { "effect": "step_up", "scopes": ["w"], "tools": ["write_*"] },
        { "effect": "allow" },
    ]));
    for method in ["tools/call ", "TOOLS/CALL", "tools/call\u{0}", "Tools/List", "tools/list ", "t\u{f6}ols/call"] {
        let world = World::new();
        let reply = world.call(&gateway, message(Claims::good(), method, json!({ "name": "drop_table" })));
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"], world.sent().len()),
            (400, &json!(-32600), 0),
            "{method:?}"
        );
    }
    let status = |tool: &str| World::new().call(&gateway, call(Claims::good(), tool)).status;
    assert_eq!([status("write_a"), status("WRITE_a"), status("Write_A"), status("read")], [403, 403, 403, 200]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_line_that_is_too_large_for_a_data_point_is_left_out_of_it() {
    let line = |bytes: usize| DecisionLine {
        json: "x".repeat(bytes),
        verdict: "allow",
        by: "rule-1".to_owned(),
        resource: "/mcp".to_owned(),
        method: "tools/call".to_owned(),
        name: "add".to_owned(),
        subject: "0123456789abcdef".to_owned(),
    };
    let (blobs, whole) = line(1_000).blobs();
    assert!(whole);
    assert_eq!(blobs[..7], ["1", "/mcp", "tools/call", "add", "allow", "rule-1", "0123456789abcdef"]);
    assert_eq!(blobs[7].len(), 1_000);
    let (blobs, whole) = line(15 * 1024).blobs();
    assert!(!whole && blobs[7].is_empty());
    assert!(blobs.iter().map(String::len).sum::<usize>() < 15 * 1024);
}
