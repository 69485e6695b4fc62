//! What is asked for: strict messages, and modern fields that agree with them.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{gate, message, modern, with_rules};
use crate::support::{Claims, Request, World, open, token};

fn raw(body: &[u8]) -> Request {
    message(Claims::good(), "x", json!({})).body(body)
}

fn refused(request: Request) -> (u16, Value, Value) {
    let gateway = gate(json!([{ "effect": "allow", "tools": ["*"], "prompts": ["*"], "resources": ["*"] }]));
    let world = World::new();
    let reply = world.call(&gateway, request);
    assert!(world.sent().is_empty(), "it was forwarded");
    (reply.status, reply.json()["error"]["code"].clone(), reply.json()["id"].clone())
}

#[wasm_bindgen_test(unsupported = test)]
fn bodies_that_are_no_message() {
    let cases: [(&[u8], i32); 24] = [
        (b"", -32700),
        (b"{", -32700),
        (b"{}x", -32700),
        (b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"method\":\"tools/list\"}", -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"name\":\"b\"}}", -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"n\\u0061me\":\"b\"}}", -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"arguments\":{\"x\":1,\"x\":2}}}", -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\\ud83d\"}}", -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"arguments\":{\"x\":NaN}}}", -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"arguments\":{\"x\":\"\xff\"}}}", -32700),
        (b"\xff", -32700),
        (b"7", -32600),
        (b"null", -32600),
        (b"[7]", -32600),
        (b"[]", -32600),
        (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600),
        (b"{\"id\":1,\"method\":\"ping\"}", -32600),
        (b"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"ping\"}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"result\":{}}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", -32600),
    ];
    for (body, code) in cases {
        let (status, found, _) = refused(raw(body));
        assert_eq!((status, found), (400, json!(code)), "{}", String::from_utf8_lossy(body));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn params_that_are_not_as_the_method_has_them() {
    for params in [
        json!(null),
        json!([]),
        json!("x"),
        json!({}),
        json!({ "name": 7 }),
        json!({ "name": null }),
        json!({ "name": ["a"] }),
        json!({ "name": "a", "arguments": [] }),
    ] {
        let found = refused(message(Claims::good(), "tools/call", params.clone()));
        assert_eq!(found, (400, json!(-32602), json!(7)), "{params}");
    }
    let missing = json!({ "jsonrpc": "2.0", "id": "q", "method": "prompts/get" }).to_string();
    assert_eq!(refused(raw(missing.as_bytes())), (400, json!(-32602), json!("q")));
    assert_eq!(refused(message(Claims::good(), "resources/read", json!({ "name": "a" }))).1, json!(-32602));
    assert_eq!(
        refused(message(Claims::good(), "completion/complete", json!({ "ref": { "type": "ref/tool" } }))).1,
        json!(-32602)
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn batches_are_judged_one_by_one_in_the_one_revision_that_has_them() {
    let gateway = gate(json!([{ "effect": "allow", "tools": ["a"] }]));
    let batch = |names: &[&str]| {
        let calls: Vec<Value> = names
            .iter()
            .enumerate()
            .map(|(id, name)| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": name } }))
            .collect();
        raw(json!(calls).to_string().as_bytes())
    };
    let status = |request: Request| World::new().call(&gateway, request).status;
    let old = |request: Request| request.field("mcp-protocol-version", "2025-03-26");
    assert_eq!(status(old(batch(&["a", "a"]))), 200);
    let world = World::new();
    world.call(&gateway, old(batch(&["a", "b"])));
    assert!(world.sent().is_empty());
    assert_eq!(status(old(batch(&vec!["a"; 65]))), 400);
    assert_eq!(status(batch(&["a"])), 400);
    let mut unsaid = batch(&["a"]);
    unsaid.head.fields.remove("mcp-protocol-version");
    assert_eq!(status(unsaid), 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn modern_fields_agree_with_the_body() {
    let good = || modern(Claims::good(), "tools/call", json!({ "name": "a", "arguments": {} }));
    let gateway = gate(json!([{ "effect": "allow", "tools": ["*"] }]));
    assert_eq!(World::new().call(&gateway, good()).status, 200);
    let mismatch = (400, json!(-32020), json!(7));
    assert_eq!(refused(good().field("mcp-name", "b")), mismatch);
    assert_eq!(refused(good().field("mcp-method", "tools/list")), mismatch);
    assert_eq!(refused(good().field("mcp-name", "A")), mismatch);
    for missing in ["mcp-name", "mcp-method"] {
        let mut request = good();
        request.head.fields.remove(missing);
        assert_eq!(refused(request), mismatch, "{missing}");
    }
    let other = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "a",
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-08-01" } } });
    assert_eq!(refused(good().body(other.to_string().as_bytes())), mismatch);
    let none = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "a" } });
    assert_eq!(refused(good().body(none.to_string().as_bytes())), (400, json!(-32602), json!(7)), "T20");
    // The sentinel of base64, whose marks' case matters.
    let umlaut = || modern(Claims::good(), "tools/call", json!({ "name": "\u{e4}", "arguments": {} }));
    assert_eq!(World::new().call(&gateway, umlaut().field("mcp-name", "=?base64?w6Q=?=")).status, 200);
    for wrong in ["=?base64?w6Q?=", "=?BASE64?w6Q=?=", "=?base64?w6R=?=", "=?base64?!?=", "=?base64?/w==?="] {
        assert_eq!(refused(umlaut().field("mcp-name", wrong)), mismatch, "{wrong}");
    }
    // White space around a value is none of it.
    assert_eq!(World::new().call(&gateway, good().field("mcp-name", " a\t")).status, 200);
    // Answers of clients are not of this era; notifications need no fields.
    let answer = json!({ "jsonrpc": "2.0", "id": 7, "result": {} }).to_string();
    assert_eq!(refused(good().body(answer.as_bytes())).1, json!(-32600));
}

#[wasm_bindgen_test(unsupported = test)]
fn fields_that_mirror_arguments() {
    let more = json!({ "parameter_fields": { "Region": "region", "Count": "count" } });
    let gateway = open(with_rules(json!([{ "effect": "allow", "tools": ["*"] }]), more)).expect("right");
    let call = |arguments: Value, fields: &[(&'static str, &str)]| {
        let request = modern(Claims::good(), "tools/call", json!({ "name": "a", "arguments": arguments }));
        let request = fields.iter().fold(request, |request, (name, value)| request.field(name, value));
        World::new().call(&gateway, request).status
    };
    assert_eq!(call(json!({ "region": "eu" }), &[("mcp-param-region", "eu")]), 200);
    assert_eq!(call(json!({ "count": 42 }), &[("mcp-param-count", "42.0")]), 200);
    assert_eq!(call(json!({ "count": 42.0 }), &[("mcp-param-count", "42")]), 200);
    assert_eq!(call(json!({ "count": true }), &[("mcp-param-count", "true")]), 200);
    assert_eq!(call(json!({ "count": null }), &[]), 200);
    assert_eq!(call(json!({}), &[("mcp-param-unknown", "x")]), 200);
    assert_eq!(call(json!({ "region": "eu" }), &[("mcp-param-region", "us")]), 400);
    assert_eq!(call(json!({ "region": "eu" }), &[]), 400);
    assert_eq!(call(json!({}), &[("mcp-param-region", "eu")]), 400);
    assert_eq!(call(json!({ "count": 9_007_199_254_740_993_u64 }), &[("mcp-param-count", "9007199254740992")]), 400);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_old_client_is_judged_by_its_body_alone() {
    let gateway = gate(json!([{ "effect": "allow", "tools": ["good"] }]));
    let world = World::new();
    let sneaky = message(Claims::good(), "tools/call", json!({ "name": "evil" }))
        .field("mcp-method", "tools/call")
        .field("mcp-name", "good");
    world.call(&gateway, sneaky);
    assert!(world.sent().is_empty());
    let clumsy = message(Claims::good(), "tools/call", json!({ "name": "good" }))
        .field("mcp-method", "tools/list")
        .field("mcp-name", "evil");
    assert_eq!(world.call(&gateway, clumsy).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn subscriptions_are_judged_by_their_uris() {
    let gateway = gate(json!([{ "effect": "allow", "resources": ["a:*"] }]));
    let listen = |uris: Value| {
        modern(
            Claims::good(),
            "subscriptions/listen",
            json!({ "notifications": { "toolsListChanged": true, "resourceSubscriptions": uris } }),
        )
    };
    let status = |request| World::new().call(&gateway, request).json()["error"]["code"].clone();
    assert_eq!(status(listen(json!(["a:1", "a:2"]))), Value::Null);
    assert_eq!(status(listen(json!(["a:1", "b:2"]))), json!(-32602));
    assert_eq!(status(listen(json!("a:1"))), json!(-32602));
}

#[wasm_bindgen_test(unsupported = test)]
fn without_rules_bodies_are_nobodys_business() {
    let world = World::new();
    let request = Request::post("/mcp").bearer(&token(&Claims::good())).body(b"{\"any\": 1, \"any\": 2}");
    assert_eq!(world.call(&crate::support::gateway(), request).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn arguments_that_no_rule_tests_may_be_odd() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let odd = [
        r#"{"x":"half a pair \ud83d"}"#.to_owned(),
        r#"{"x":{"y":1,"y":2}}"#.to_owned(),
        r#"{"x":["\ud83d",{"\udc00":1e999}],"z":-1.5E+400}"#.to_owned(),
        format!(r#"{{"x":{deep}}}"#),
    ];
    let call = |arguments: &str| {
        raw(format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"t","arguments":{arguments},"more":{arguments}}},"other":1}}"#
        )
        .as_bytes())
    };
    let free = gate(json!([{ "effect": "allow", "tools": ["*"] }]));
    for arguments in &odd {
        let (world, request) = (World::new(), call(arguments));
        let sent = request.body.clone();
        assert_eq!(world.call(&free, request).status, 200, "{}", arguments.get(..60).unwrap_or(arguments));
        assert_eq!(world.sent()[0].body, sent, "byte for byte");
    }
    // What a rule tests must be read as the server reads it.
    let tested = |effect: &str, test: Value| {
        gate(json!([
            { "effect": effect, "tools": ["t"], "when": { "arguments": { "x": test } } },
            { "effect": "allow", "tools": ["t"] },
        ]))
    };
    for (effect, test) in [("deny", json!({ "one_of": ["a"] })), ("allow", json!({ "present": true }))] {
        for (arguments, status) in [(&odd[0], 400), (&odd[2], 200), (&r#"{"x":1e999}"#.to_owned(), 400)] {
            let world = World::new();
            let reply = world.call(&tested(effect, test.clone()), call(arguments));
            assert_eq!(
                (reply.status, reply.json()["id"].clone()),
                (status, if status == 200 { Value::Null } else { json!(7) })
            );
        }
    }
    // A refusal still names the request.
    let none = gate(json!([{ "effect": "allow", "tools": ["other"] }]));
    let reply = World::new().call(&none, call(&odd[1]));
    assert_eq!((reply.status, &reply.json()["id"], &reply.json()["error"]["code"]), (200, &json!(7), &json!(-32602)));
}

#[wasm_bindgen_test(unsupported = test)]
fn members_in_other_letters_are_read_by_some() {
    for body in [
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","Params":{"name":"b"},"params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","METHOD":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"a:b","URI":"c:d"}}"#,
    ] {
        let (status, code, _) = refused(raw(body.as_bytes()));
        assert!(status == 400 && (code == json!(-32700) || code == json!(-32600)), "{body}: {status} {code}");
    }
    // An argument that a rule tests, in letters that a server may take for it.
    let gateway =
        gate(json!([{ "effect": "allow", "tools": ["a"], "when": { "arguments": { "path": { "one_of": ["x"] } } } }]));
    let status = |arguments: Value| {
        let world = World::new();
        let reply =
            world.call(&gateway, message(Claims::good(), "tools/call", json!({ "name": "a", "arguments": arguments })));
        (reply.json()["error"]["code"].clone(), world.sent().len())
    };
    assert_eq!(status(json!({ "path": "x", "other": 1 })), (Value::Null, 1));
    assert_eq!(status(json!({ "path": "x", "Path": "y" })), (json!(-32602), 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn names_that_lie_deeper_are_in_their_own_letters_too() {
    for (method, params) in [
        ("completion/complete", json!({ "ref": { "type": "ref/prompt", "name": "a", "Name": "b" } })),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "TYPE": "ref/resource", "name": "a", "uri": "b:c" } }),
        ),
    ] {
        assert_eq!(refused(message(Claims::good(), method, params.clone())).1, json!(-32602), "{params}");
    }
    let notifications = json!({ "resourceSubscriptions": ["a:b"], "ResourceSubscriptions": ["c:d"] });
    let listen = modern(Claims::good(), "subscriptions/listen", json!({ "notifications": notifications }));
    assert_eq!(refused(listen).1, json!(-32602));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_policy_that_is_only_observed_refuses_no_argument() {
    let rules =
        json!([{ "effect": "allow", "tools": ["a"], "when": { "arguments": { "path": { "one_of": ["x"] } } } }]);
    let mut observed = rules.clone();
    observed[0]["mode"] = json!("observe");
    observed.as_array_mut().expect("rules").push(json!({ "effect": "allow", "tools": ["a"] }));
    for gateway in [open(with_rules(rules, json!({ "rules_mode": "observe" }))).expect("right"), gate(observed)] {
        let world = World::new();
        let reply = world.call(
            &gateway,
            message(Claims::good(), "tools/call", json!({ "name": "a", "arguments": { "Path": "y" } })),
        );
        assert_eq!((reply.status, world.sent().len()), (200, 1), "{}", reply.body);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn many_names_and_arguments_are_looked_at_once() {
    let gateway = gate(json!([
        { "effect": "allow", "resources": ["*"], "when": { "arguments": { "path": { "one_of": ["x"] } } } },
        { "effect": "allow", "tools": ["*"] },
    ]));
    let arguments: serde_json::Map<String, Value> = (0..40_000).map(|at| (format!("a{at}"), json!(at))).collect();
    let uris: Vec<String> = (0..20_000).map(|at| format!("x:{at}")).collect();
    // Each name with each argument would be 800 million comparisons.
    let params = json!({ "notifications": { "resourceSubscriptions": uris }, "arguments": arguments });
    let reply = World::new().call(&gateway, modern(Claims::good(), "subscriptions/listen", params));
    assert_eq!(reply.json()["error"]["code"], json!(-32602), "{}", reply.body);
}
