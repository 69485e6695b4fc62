//! Callers without credentials, where a resource opens methods to them.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use portcullis::limits::LIMIT_COUNTERS;
use portcullis::ports::OriginFailure;
use portcullis::transport::head::Method;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::lists::{JSON, listed};
use crate::policy::{message, modern, with_rules};
use crate::support::{Claims, Key, Request, TestSecrets, World, document, document_with, open, open_with};

/// A gateway whose resource opens these methods, without rules.
fn opening(methods: Value) -> Rc<Gateway> {
    let mut document = document();
    document["resources"][0]["anonymous"] = methods;
    open(document).expect("the document is right")
}

fn without_credentials(mut request: Request) -> Request {
    request.head.fields.remove("authorization");
    request
}

fn legacy(method: &str) -> Request {
    without_credentials(message(Claims::good(), method, json!({})))
}

fn of_2026(method: &str) -> Request {
    without_credentials(modern(Claims::good(), method, json!({})))
}

/// The status, whether the answer has a challenge, and whether the origin server got a request.
fn outcome(gateway: &Rc<Gateway>, request: Request) -> (u16, bool, bool) {
    let world = World::new();
    let reply = world.call(gateway, request);
    (reply.status, reply.fields.get("www-authenticate").is_some(), !world.sent().is_empty())
}

const FORWARDED: (u16, bool, bool) = (200, false, true);
const CHALLENGED: (u16, bool, bool) = (401, true, false);

#[wasm_bindgen_test(unsupported = test)]
fn open_methods_pass_and_all_others_are_challenged() {
    let gateway = opening(json!(["initialize", "server/discover", "tools/list"]));
    for method in ["initialize", "notifications/initialized", "server/discover", "tools/list"] {
        assert_eq!(outcome(&gateway, legacy(method)), FORWARDED, "legacy {method}");
        assert_eq!(outcome(&gateway, of_2026(method)), FORWARDED, "modern {method}");
    }
    for method in ["ping", "tools/call", "prompts/list", "resources/read", "logging/setLevel", "no/such", "Tools/List"]
    {
        assert_eq!(outcome(&gateway, legacy(method)), CHALLENGED, "legacy {method}");
        assert_eq!(outcome(&gateway, of_2026(method)), CHALLENGED, "modern {method}");
    }
    let notifying = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
    assert_eq!(outcome(&gateway, legacy("x").body(notifying.as_bytes())), FORWARDED);
    // Streams and the end of a session are for known callers.
    for method in [Method::Get, Method::Delete] {
        let request = Request::new(method, "/mcp").field("accept", "text/event-stream");
        assert_eq!(outcome(&gateway, request), CHALLENGED, "{method:?}");
    }
    assert_eq!(outcome(&gateway, legacy("tools/list").target("/mcp/admin")), CHALLENGED, "another resource");
    assert_eq!(outcome(&opening(json!(["ping"])), legacy("notifications/initialized")), CHALLENGED);
    assert_eq!(outcome(&opening(json!([])), legacy("ping")), CHALLENGED);
}

#[wasm_bindgen_test(unsupported = test)]
fn whatever_else_is_sent_without_credentials_is_challenged_as_before() {
    let gateway = opening(json!(["tools/list", "initialize"]));
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"[]",
        b"null",
        br#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#,
        br#"{"jsonrpc":"2.0","id":1,"Method":"tools/list"}"#,
        br#"{"jsonrpc":"2.0","id":{},"method":"tools/list"}"#,
        &vec![b' '; 70_000],
    ];
    for body in bodies {
        assert_eq!(outcome(&gateway, legacy("x").body(body)), CHALLENGED, "{}", String::from_utf8_lossy(body));
    }
    // One message that is not open closes the batch.
    let batch = |second: &str| {
        let body = json!([
            { "jsonrpc": "2.0", "id": 1, "method": "tools/list" }, { "jsonrpc": "2.0", "id": 2, "method": second },
        ]);
        legacy("x").field("mcp-protocol-version", "2025-03-26").body(body.to_string().as_bytes())
    };
    assert_eq!(outcome(&gateway, batch("initialize")), FORWARDED);
    assert_eq!(outcome(&gateway, batch("tools/call")), CHALLENGED);
    // In the modern era, field and body have to agree.
    assert_eq!(outcome(&gateway, of_2026("tools/call").field("mcp-method", "tools/list")), CHALLENGED);
    assert_eq!(outcome(&gateway, of_2026("tools/list").field("mcp-method", "tools/call")), CHALLENGED);
    // A body that does not arrive, or is too large.
    for failure in
        [OriginFailure::BodyTooLarge, OriginFailure::BodyCutShort, OriginFailure::Timeout { streamed: false }]
    {
        let world = World::new();
        world.body_fails(failure);
        assert_eq!(world.call(&gateway, legacy("tools/list")).status, 401);
    }
    // Credentials that are not accepted do not make a caller anonymous.
    for credential in ["Bearer wrong", "Bearer", "Basic YTpi", "wrong", "Bearer a, Bearer b"] {
        let (status, _, forwarded) = outcome(&gateway, legacy("tools/list").field("authorization", credential));
        assert!(matches!(status, 400 | 401) && !forwarded, "{credential}: {status}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_list_shows_an_anonymous_caller_what_every_caller_may_use() {
    let rules = json!([
        { "effect": "deny", "tools": ["admin_*"] },
        { "effect": "allow", "tools": ["read_*"] },
        { "effect": "allow", "tools": ["office_*"], "when": { "countries": ["DE"] } },
        { "effect": "step_up", "scopes": ["files:write"], "tools": ["write_*"] },
        { "effect": "allow", "tools": ["*"], "when": { "scopes": ["mcp:tools"] } },
        { "effect": "allow", "tools": ["*"], "when": { "issuers": ["idp"] } },
        { "effect": "deny", "methods": ["prompts/list"], "when": { "mtls": false } },
        { "effect": "step_up", "scopes": ["more"], "methods": ["resources/list"] },
    ]);
    let open_methods = json!({ "anonymous": ["tools/list", "prompts/list", "resources/list"] });
    let gateway = open(with_rules(rules.clone(), open_methods.clone())).expect("right");
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"admin_a"},{"name":"read_a"},{"name":"office_a"},{"name":"write_a"},{"name":"other"}]}}"#;
    let names = |request: Request| {
        let reply = listed(&gateway, request, JSON, body, 64);
        let tools = reply.json()["result"]["tools"].as_array().cloned().unwrap_or_default();
        tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(names(legacy("tools/list")), ["read_a"]);
    assert_eq!(names(of_2026("tools/list")), ["read_a"]);
    let mut in_germany = legacy("tools/list");
    in_germany.head.country = Some("DE".to_owned());
    assert_eq!(names(in_germany), ["read_a", "office_a"]);
    assert_eq!(names(message(Claims::good(), "tools/list", json!({}))), ["read_a", "office_a", "other"]);
    // A method that the rules deny, or open only after a step-up, may be open after a login.
    for method in ["prompts/list", "resources/list"] {
        assert_eq!(outcome(&gateway, legacy(method)), CHALLENGED, "{method}");
        assert_eq!(outcome(&gateway, of_2026(method)), CHALLENGED, "{method}");
    }
    let mut observed = open_methods;
    observed["rules_mode"] = json!("observe");
    let observing = open(with_rules(rules, observed)).expect("right");
    for method in ["prompts/list", "resources/list"] {
        assert_eq!(outcome(&observing, legacy(method)), FORWARDED, "{method}");
    }
    assert_eq!(outcome(&observing, legacy("tools/call")), CHALLENGED);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_anonymous_caller_has_no_identity_anywhere() {
    let mut document = document_with(json!({ "identity_assertion": { "key_secrets": ["KEY"] } }));
    document["resources"][0]["anonymous"] = json!(["tools/list"]);
    document["resources"][0]["identity_claims"] = json!(["email", "groups"]);
    let secrets = TestSecrets(vec![("KEY", Key::Ed25519.private_jwk().to_string())]);
    let gateway = open_with(document, &secrets).expect("right");
    let world = World::new();
    let forged = legacy("tools/list").field("x-portcullis-subject", "ada").field("x-portcullis-assertion", "a.b.c");
    assert_eq!(world.call(&gateway, forged).status, 200);
    let sent = world.sent().pop().expect("it was forwarded");
    let named: Vec<&str> =
        sent.fields.iter().map(|(name, _)| name).filter(|it| it.starts_with("x-portcullis")).collect();
    assert_eq!(named, Vec::<&str>::new());
    let line = world.last_request();
    assert_eq!((&line["credential"], &line["subject"]), (&json!("anonymous"), &Value::Null));
    assert_eq!((&line["reason"], &line["mcp_method"]), (&json!("forwarded"), &json!("tools/list")));
    // The log says of a challenge that there were no credentials.
    world.call(&gateway, legacy("tools/call"));
    let line = world.last_request();
    assert_eq!((&line["reason"], &line["mcp_method"]), (&json!("no_credentials"), &Value::Null));
    // What it writes is not for the log.
    for request in [
        of_2026("PASSWORD=hunter2").field("mcp-name", "hunter3"),
        legacy("PASSWORD=hunter2"),
        of_2026("tools/list").field("mcp-name", "hunter3"),
    ] {
        let world = World::new();
        world.call(&gateway, request);
        let lines: String = world.lines().iter().map(Value::to_string).collect();
        assert!(!lines.contains("hunter"), "{lines}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn limits_count_anonymous_callers_by_their_network() {
    let more = json!({ "anonymous": ["tools/list"], "limits": [{ "by": ["subject"], "requests": 2, "seconds": 60 }] });
    let gateway = open(with_rules(json!([{ "effect": "allow", "tools": ["*"] }]), more)).expect("right");
    let world = World::new();
    let body = br#"{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}"#;
    world.origin_body(body, body.len());
    let from = |address: &str| world.call(&gateway, legacy("tools/list").field("cf-connecting-ip", address)).status;
    assert_eq!([from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.1")], [200, 200, 429]);
    assert_eq!([from("192.0.2.2"), from("2001:db8::1"), from("2001:db8::2")], [200; 3]);
    assert_eq!([from("2001:db8::3"), from("2001:db8:0:1::3")], [429, 200], "an IPv6 network is one caller");
    assert_eq!(world.call(&gateway, message(Claims::good(), "tools/list", json!({}))).status, 200);
    // Limits that known callers share are not for others to use up, nor are the tables of counters.
    for by in [json!([]), json!(["tool"]), json!(["client"])] {
        let more = json!({ "anonymous": ["tools/list"], "limits": [{ "by": by, "requests": 3, "seconds": 60 }] });
        let gateway = open(with_rules(json!([{ "effect": "allow", "tools": ["*"] }]), more)).expect("right");
        let status = |request: Request| world.call(&gateway, request).status;
        let anonymous = || status(legacy("tools/list").field("cf-connecting-ip", "192.0.2.1"));
        assert_eq!([anonymous(), anonymous(), anonymous(), anonymous()], [200, 200, 200, 429], "{by}");
        let known = || status(message(Claims::good(), "tools/list", json!({})));
        assert_eq!([known(), known(), known(), known()], [200, 200, 200, 429], "{by}");
        for network in 0..LIMIT_COUNTERS + 10 {
            let address = format!("2001:db8:{:x}:{:x}::1", network >> 16, network & 0xffff);
            status(legacy("tools/list").field("cf-connecting-ip", &address));
        }
        assert_eq!(known(), 429, "{by}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_empty_name_in_a_rule_is_no_anonymous_caller() {
    let rules = json!([{ "effect": "allow", "tools": ["*"], "when": { "subjects": [""] } }]);
    let mistakes = open(with_rules(rules, json!({ "anonymous": ["tools/list"] }))).expect_err("a mistake").to_string();
    assert!(mistakes.contains("resources[0].rules[0].when.subjects[0]: must not be empty"), "{mistakes}");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_without_credentials_belongs_to_callers_without_credentials() {
    const KEY: &str = "key-0123456789abcdef0123456789abcdef";
    let mut document = document_with(json!({ "sessions": { "secrets": ["KEY"], "seconds": 3600 } }));
    document["resources"][0]["anonymous"] = json!(["initialize", "tools/list"]);
    let gateway = open_with(document, &TestSecrets(vec![("KEY", KEY.to_owned())])).expect("right");
    let world = World::new();
    world.origin(Ok((200, &[("content-type", "application/json"), ("mcp-session-id", "origin-1")])));
    let session = world.call(&gateway, legacy("initialize")).field("mcp-session-id").to_owned();
    assert!(!session.contains("origin-1") && !session.is_empty());
    let status =
        |request: Request, session: &str| world.call(&gateway, request.field("mcp-session-id", session)).status;
    assert_eq!(status(legacy("tools/list"), &session), 200);
    assert_eq!(world.sent().pop().expect("sent").fields.get("mcp-session-id"), Some("origin-1"));
    assert_eq!(status(legacy("tools/list"), "origin-1"), 404);
    // After a login the session is another caller's: the client begins a new one (L8).
    assert_eq!(status(message(Claims::good(), "tools/list", json!({})), &session), 404);
    // A known caller's session opens nothing without credentials, and the challenge comes first.
    let known =
        world.call(&gateway, message(Claims::good(), "initialize", json!({}))).field("mcp-session-id").to_owned();
    assert_eq!(status(legacy("tools/list"), &known), 404);
    assert_eq!(status(legacy("tools/call"), &known), 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn only_methods_that_act_on_no_item_can_be_open() {
    for (methods, part) in [
        (json!(["tools/call"]), "anonymous[0]: must be one of initialize, server/discover, ping, tools/list,"),
        (json!(["ping", "logging/setLevel"]), "anonymous[1]: must be one of"),
        (json!(["*"]), "got \"*\""),
        (json!(["subscriptions/listen"]), "must be one of"),
        (json!(["notifications/initialized"]), "must be one of"),
        (json!(["ping", "ping"]), "anonymous[1]: is there twice"),
    ] {
        let mut document = document();
        document["resources"][0]["anonymous"] = methods.clone();
        let mistakes = open(document).expect_err("a mistake").to_string();
        assert!(mistakes.contains(part), "{methods}: {mistakes}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cached_list_depends_on_the_fields_that_the_resource_forwards() {
    let more = json!({ "anonymous": ["tools/list"], "cache_lists": true, "forward_fields": ["X-MCP-Readonly"] });
    let gateway = open(with_rules(json!([{ "effect": "allow", "tools": ["*"] }]), more)).expect("right");
    let world = World::new();
    let listing = |tools: &str| {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{tools}],"ttlMs":60000,"cacheScope":"public"}}}}"#);
        world.origin_body(body.as_bytes(), body.len());
    };
    listing(r#"{"name":"read"}"#);
    let reduced = world.call(&gateway, of_2026("tools/list").field("x-mcp-readonly", "1"));
    assert!(!reduced.body.contains("write"), "{}", reduced.body);
    listing(r#"{"name":"read"},{"name":"write"}"#);
    for request in [of_2026("tools/list"), modern(Claims::good(), "tools/list", json!({}))] {
        let whole = world.call(&gateway, request);
        assert!(whole.body.contains("write"), "{}", whole.body);
    }
    assert_eq!(world.sent().len(), 2, "and it is cached");
    for name in
        ["accept", "accept-language", "last-event-id", "mcp-param-x", "mcp-session-id", "user-agent", "x-mcp-readonly"]
    {
        let before = world.sent().len();
        world.call(&gateway, of_2026("tools/list").field(name, "other"));
        assert_eq!(world.sent().len(), before + 1, "{name}: the server gets it, and may answer otherwise");
    }
}
