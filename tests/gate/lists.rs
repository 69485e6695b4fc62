//! Lists show what their reader may use, whole or in pieces, as JSON and as events.

use std::cell::RefCell;
use std::rc::Rc;

use portcullis::gateway::Gateway;
use portcullis::limits::{KNOWN_ITEMS_BYTES, KNOWN_LIST_BYTES};
use portcullis::mcp::kind::Kind;
use portcullis::mcp::known_items::KnownItems;
use portcullis::mcp::list_filter::{FilterOptions, ItemDecision, ItemPolicy, ListFilter};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{gate, message, modern, scope, with_rules};
use crate::support::{Claims, Reply, Request, World, open, token};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[("content-type", "text/event-stream")];

fn rules() -> Value {
    json!([
        { "effect": "allow", "tools": ["read_*"], "prompts": ["hello"], "resources": ["file:///docs/*"] },
        { "effect": "step_up", "scopes": ["files:write"], "tools": ["write_*"] },
        { "effect": "allow", "tools": ["admin"], "when": { "roles": ["admin"] } },
    ])
}

/// What a caller gets of an answer that comes in pieces of so many bytes.
fn listed(gateway: &Rc<Gateway>, request: Request, fields: &'static [(&str, &str)], body: &str, chunk: usize) -> Reply {
    let world = World::new();
    world.origin(Ok((200, fields)));
    world.origin_body(body.as_bytes(), chunk);
    world.call(gateway, request)
}

fn list(method: &str) -> Request {
    message(Claims::good(), method, json!({}))
}

fn every_chunking(gateway: &Rc<Gateway>, request: &Request, fields: &'static [(&str, &str)], body: &str) -> Reply {
    let whole = listed(gateway, request.clone(), fields, body, body.len());
    for chunk in 1..24 {
        let pieces = listed(gateway, request.clone(), fields, body, chunk);
        assert_eq!((pieces.status, &pieces.body), (whole.status, &whole.body), "in pieces of {chunk}");
    }
    whole
}

#[wasm_bindgen_test(unsupported = test)]
fn items_that_may_be_used_and_no_others() {
    let gateway = gate(rules());
    let body = r#" { "jsonrpc" : "2.0", "id":7, "result": { "tools": [
        {"name":"admin","inputSchema":{"name":"read_x"}}, {"name":"read_a","x":1.0,"big":123456789012345678901234567890,"_meta":{"a":[1, 2]}},
        {"inputSchema":{"type":"object"},"name":"write_b"} , {"n\u0061me":"read_\u0062"}], "nextCursor":"c\"]}", "_meta":{"tools":[{"name":"admin"}]}, "ttlMs":5,
        "unknown":[{"tools":[1]}] } }
"#;
    let reply = every_chunking(&gateway, &list("tools/list"), JSON, body);
    let expected = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read_a","x":1.0,"big":123456789012345678901234567890,"_meta":{"a":[1, 2]}},{"n\u0061me":"read_\u0062"}],"nextCursor":"c\"]}","_meta":{"tools":[{"name":"admin"}]},"ttlMs":5,"unknown":[{"tools":[1]}]}}"#;
    assert_eq!(reply.body, expected);
    for (method, body, kept) in [
        ("prompts/list", r#"{"prompts":[{"name":"hello"},{"name":"secret"}]}"#, r#"{"prompts":[{"name":"hello"}]}"#),
        (
            "resources/list",
            r#"{"resources":[{"uri":"file:///etc/x","name":"hello"},{"uri":"file:///docs/x"}]}"#,
            r#"{"resources":[{"uri":"file:///docs/x"}]}"#,
        ),
        (
            "resources/templates/list",
            r#"{"resourceTemplates":[{"uriTemplate":"file:///{x}"},{"uriTemplate":"file:///docs/{x}"}]}"#,
            r#"{"resourceTemplates":[{"uriTemplate":"file:///docs/{x}"}]}"#,
        ),
        ("tools/list", r#"{"tools":[]}"#, r#"{"tools":[]}"#),
        ("tools/list", r#"{"tools":[{"name":"x"}]}"#, r#"{"tools":[]}"#),
    ] {
        let whole = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#);
        assert_eq!(every_chunking(&gateway, &list(method), JSON, &whole(body)).body, whole(kept), "{method}");
    }
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no tools"}}"#;
    assert_eq!(every_chunking(&gateway, &list("tools/list"), JSON, error).body, error);
}

/// What comes before changes nothing of what comes now: items are only known where they are the same.
#[wasm_bindgen_test(unsupported = test)]
fn a_list_that_changes_is_that_of_now() {
    let tool = |name: &str, text: &str| format!(r#"{{"name":"{name}","description":"{text}"}}"#);
    let tools: Vec<String> = (0..40).map(|at| tool(&format!("read_{at}"), "as it was")).collect();
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut tools = tools.clone();
        change(&mut tools);
        tools
    };
    let hidden = tool("hidden", "as it was");
    let lists = [
        tools.clone(),
        tools.clone(),
        changed(&|tools| drop(tools.remove(3))),
        changed(&|tools| tools.insert(3, hidden.clone())),
        changed(&|tools| tools[3] = tool("read_3", "another")),
        changed(&|tools| tools[3] = tool("hidden", "as it was")),
        // The same bytes and more: the end of what is known is not the end of what came.
        changed(&|tools| tools[3] = tools[3].replace('}', r#","x":{}}"#)),
        changed(&|tools| drop(tools.drain(5..35))),
        changed(&|tools| tools.reverse()),
        changed(&|tools| tools.extend([hidden.clone(), hidden.clone()])),
        Vec::new(),
        changed(&|tools| tools.rotate_left(20)),
        tools.clone(),
    ];
    let gateway = gate(rules());
    for (at, tools) in lists.iter().enumerate() {
        for separator in [",", " ,\n "] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{}]}}}}"#, tools.join(separator));
            for chunk in [body.len(), 100, 7] {
                let fresh = listed(&gate(rules()), list("tools/list"), JSON, &body, body.len());
                let known = listed(&gateway, list("tools/list"), JSON, &body, chunk);
                assert_eq!((known.status, &known.body), (200, &fresh.body), "list {at} in pieces of {chunk}");
                assert!(!known.body.contains("hidden"), "list {at}");
            }
        }
    }
    // What is half known and then no JSON is none.
    let broken = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{} {}]}}}}"#, tools[0], tools[1]);
    for gateway in [&gate(rules()), &gateway] {
        assert_eq!(listed(gateway, list("tools/list"), JSON, &broken, broken.len()).status, 502);
    }
}

/// Keeps everything, so that what comes out is what came.
struct KeepAll;

impl ItemPolicy for KeepAll {
    fn judge(&mut self, _: Kind, _: &str) -> ItemDecision {
        ItemDecision::Keep
    }

    fn depends_on_caller(&self, _: Kind, _: bool) -> bool {
        false
    }
}

type Memory = Rc<RefCell<KnownItems>>;

fn remembering(resource: usize, memory: &Memory) -> ListFilter<KeepAll> {
    ListFilter::new(KeepAll, FilterOptions::default()).with_memory(resource, Rc::clone(memory))
}

/// A list of so many tools of some thousand bytes.
fn tools(count: usize) -> String {
    let tool = |at| format!(r#"{{"name":"tool_{at}","description":"{}"}}"#, "x".repeat(1000));
    format!(r#"{{"result":{{"tools":[{}]}}}}"#, (0..count).map(tool).collect::<Vec<_>>().join(","))
}

fn pass(resource: usize, memory: &Memory, body: &str, chunk: usize) {
    let (mut out, mut filter) = (Vec::new(), remembering(resource, memory));
    body.as_bytes().chunks(chunk).for_each(|part| filter.push(part, &mut out).expect("a list"));
    filter.finish(&mut out).expect("whole");
    assert_eq!(out, body.as_bytes());
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_remembered_of_lists_is_bounded() {
    let (memory, body) = (Memory::default(), tools(700));
    for resource in 0..40 {
        for chunk in [body.len(), 65_536] {
            pass(resource, &memory, &body, chunk);
        }
        let (lists, bytes) = memory.borrow().size();
        assert!((1..=resource + 1).contains(&lists) && bytes <= KNOWN_ITEMS_BYTES, "{lists} lists, {bytes} bytes");
        assert!(bytes <= lists * KNOWN_LIST_BYTES, "{lists} lists, {bytes} bytes");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_that_fit_stay_whoever_of_them_changes() {
    let memory = Memory::default();
    for round in 0..3 {
        for resource in 0..8 {
            // In parts that cut items, and a little different each time.
            pass(resource, &memory, &tools(450 + round), 5_000);
            assert_eq!(memory.borrow().size().0, if round == 0 { resource + 1 } else { 8 });
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn one_reader_learns_a_list_and_the_others_hold_nothing() {
    let (memory, body) = (Memory::default(), tools(100));
    let (half, rest) = body.as_bytes().split_at(50_000);
    let mut out = Vec::new();
    let mut begun: Vec<_> = (0..150).map(|at| remembering(at / 10, &memory)).collect();
    for filter in &mut begun {
        filter.push(half, &mut out).expect("a list");
    }
    let lists = KNOWN_ITEMS_BYTES / KNOWN_LIST_BYTES;
    assert_eq!(memory.borrow().learning(), lists, "of 15 lists, each read by 10");
    // Who learned leaves in the middle, and so do all of another list; the rest come to the end.
    begun.drain(..1);
    begun.drain(19..29);
    for filter in &mut begun {
        filter.push(rest, &mut out).expect("a list");
        filter.finish(&mut out).expect("whole");
    }
    drop(begun);
    assert_eq!((memory.borrow().learning(), memory.borrow().size().0), (0, lists - 2));
    pass(0, &memory, &body, body.len());
    assert_eq!(memory.borrow().size().0, lists - 1, "and the next one learns it");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_admin_sees_more_and_a_mark_says_what_a_step_up_would_open() {
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"admin"},{"name":"write_a"},{"name":"write_b","_meta":{}},{"name":"write_c","_meta":{"x":1}},{"name":"none"}]}}"#;
    let hiding = gate(rules());
    let admin = || Claims::good().with("roles", json!(["admin"]));
    let names = |reply: &Reply| -> Vec<String> {
        reply.json()["result"]["tools"]
            .as_array()
            .expect("tools")
            .iter()
            .map(|tool| tool["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    let seen = |gateway: &Rc<Gateway>, claims: Claims| {
        every_chunking(gateway, &message(claims, "tools/list", json!({})), JSON, body)
    };
    assert_eq!(names(&seen(&hiding, Claims::good())), Vec::<String>::new());
    assert_eq!(names(&seen(&hiding, admin())), ["admin"]);
    assert_eq!(names(&seen(&hiding, scope("mcp:tools files:write"))), ["write_a", "write_b", "write_c"]);
    let marking = open(with_rules(rules(), json!({ "step_up_in_lists": "mark" }))).expect("right");
    let reply = seen(&marking, Claims::good());
    assert_eq!(names(&reply), ["write_a", "write_b", "write_c"]);
    let tools = &reply.json()["result"]["tools"];
    for at in 0..3 {
        assert_eq!(tools[at]["_meta"]["portcullis/step-up"], json!({ "scopes": ["files:write"] }));
    }
    assert_eq!(tools[2]["_meta"]["x"], json!(1));
    // What the server says under that name is not believed, whichever way it writes it.
    let forged = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[
        {"name":"write_a","_meta":{"portcullis/step-up":{"scopes":["none"]},"x":1}},
        {"name":"read_a","_meta":{"portcullis\/step\u002dup":{"scopes":["all"]},"y":[1, 2]}}]}}"#;
    let reply = every_chunking(&marking, &message(Claims::good(), "tools/list", json!({})), JSON, forged);
    assert_eq!(reply.body.matches("step").count(), 1, "{}", reply.body);
    let tools = &reply.json()["result"]["tools"];
    assert_eq!(tools[0]["_meta"], json!({ "portcullis/step-up": { "scopes": ["files:write"] }, "x": 1 }));
    assert_eq!(tools[1]["_meta"], json!({ "y": [1, 2] }));
    assert!(!seen(&marking, scope("mcp:tools files:write")).body.contains("step-up"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_list_is_private_exactly_where_it_depends_on_its_reader() {
    let gateway = gate(rules());
    let scope_of = |tools: &str, more: &str, params: Value| {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"cacheScope":"public","tools":{tools}{more},"ttlMs":0}}}}"#);
        let reply = every_chunking(&gateway, &modern(Claims::good(), "tools/list", params), JSON, &body);
        reply.json()["result"]["cacheScope"].clone()
    };
    // Nobody may use `none`, and everybody `read_a`: whoever asks gets the same.
    assert_eq!(scope_of(r#"[{"name":"read_a"},{"name":"none"}]"#, "", json!({})), json!("public"));
    // An admin would have got another list, and so would who has more scopes.
    assert_eq!(scope_of(r#"[{"name":"read_a"},{"name":"admin"}]"#, "", json!({})), json!("private"));
    assert_eq!(scope_of(r#"[{"name":"write_a"}]"#, "", json!({})), json!("private"));
    // All pages have one scope, whatever is on this one.
    assert_eq!(scope_of(r#"[{"name":"read_a"}]"#, r#","nextCursor":"2""#, json!({})), json!("private"));
    assert_eq!(scope_of(r#"[{"name":"read_a"}]"#, "", json!({ "cursor": "2" })), json!("private"));
    let private = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[],"cacheScope":"private"}}"#;
    assert_eq!(every_chunking(&gateway, &list("tools/list"), JSON, private).body, private);
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_in_events() {
    let gateway = gate(rules());
    let one = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"none"},{"name":"read_a"}]}}"#;
    let kept = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read_a"}]}}"#;
    for end in ["\n", "\r", "\r\n"] {
        let stream = format!(
            "\u{feff}: hello{end}id: 1{end}data:{end}{end}retry: 5{end}event: message{end}data: {one}{end}id: 2{end}{end}data:{}{end}{end}data: {{\"method\":\"notifications/x\"}}{end}{end}event: ping{end}data: not json{end}data: at all{end}{end}data: unfinished",
            one.replace(',', &format!(",{end}data: ")),
        );
        let reply = every_chunking(&gateway, &list("tools/list"), EVENTS, &stream);
        assert_eq!(
            reply.body,
            format!(
                ": hello\nid: 1\ndata:\n\nretry: 5\nevent: message\ndata: {kept}\nid: 2\n\ndata: {kept}\n\ndata: {{\"method\":\"notifications/x\"}}\n\nevent: ping\ndata: not json\ndata: at all\n\n"
            )
        );
    }
    // What an old-era stream carries was asked for elsewhere.
    let get = Request::get("/mcp").bearer(&token(&Claims::good()));
    assert_eq!(every_chunking(&gateway, &get, EVENTS, &format!("data: {one}\n\n")).body, format!("data: {kept}\n\n"));
    // Other answers are nobody's business.
    let call = message(Claims::good(), "tools/call", json!({ "name": "read_a" }));
    assert_eq!(listed(&gateway, call, EVENTS, &format!("data: {one}\r\n\r\n"), 5).body, format!("data: {one}\r\n\r\n"));
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_that_are_none_are_refused() {
    let gateway = gate(rules());
    let item = |item: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{item}]}}}}"#);
    let huge = item(&format!("{{\"name\":\"read_a\",\"x\":\"{}\"}}", "x".repeat(1_100_000)));
    let bodies = [
        "not json".to_owned(),
        "<html>".to_owned(),
        String::new(),
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read_a"}"#.to_owned(),
        r#"{"result":{"tools":[{"name":"read_a"}],"tools":[{"name":"none"}]}}"#.to_owned(),
        r#"{"result":{"tools":[]},"result":{"tools":[{"name":"none"}]}}"#.to_owned(),
        r#"{"result":{"tools":[]},"res\u0075lt":{"tools":[{"name":"none"}]}}"#.to_owned(),
        r#"{"result":{"tools":[]}}{"result":{"tools":[{"name":"none"}]}}"#.to_owned(),
        r#"{"result":{"tools":{"none":{"name":"none"}}}}"#.to_owned(),
        r#"{"result":{"tools":{"0":{"name":"none"},"length":1}}}"#.to_owned(),
        r#"{"result":{"tools":"none"}}"#.to_owned(),
        r#"{"result":{"tools":null}}"#.to_owned(),
        r#"{"result":{"t\u006fols":{"none":{"name":"none"}}}}"#.to_owned(),
        item(r#"{"name":"read_a"},"#),
        item(r#"{"name":"read_a"} {"name":"read_b"}"#),
        r#"{"result":{"tools":[{"name":"read_a"}],"cacheScope":pub"lic}}"#.to_owned(),
        r#"["a",{"result":{"tools":[{"name":"none"}]}}"#.to_owned(),
        huge,
    ];
    for body in bodies {
        let chunk = body.len().max(1);
        let reply = listed(&gateway, list("tools/list"), JSON, &body, chunk);
        let shown = body.get(..80).unwrap_or(&body);
        if reply.status == 200 {
            assert!(!reply.body.contains("none"), "{shown}");
            assert!(serde_json::from_str::<Value>(&reply.body).is_err(), "{shown} became {}", reply.body);
        } else {
            assert_eq!((reply.status, reply.json()["id"].clone()), (502, json!(7)), "{shown}");
        }
    }
    let many: Vec<String> =
        (0..9_000).map(|at| format!("{{\"name\":\"read_{at}\",\"description\":\"{}\"}}", "x".repeat(2_000))).collect();
    assert_eq!(listed(&gateway, list("tools/list"), JSON, &item(&many.join(",")), 65_536).status, 502, "18 MB");
    let many = many[..5_000].join(",");
    assert_eq!(listed(&gateway, list("tools/list"), JSON, &item(&many), 65_536).body, item(&many));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_batch_of_answers() {
    let gateway = gate(rules());
    let ask = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "tools/list" }, { "jsonrpc": "2.0", "id": 2, "method": "ping" },
    ]);
    let request = list("x").field("mcp-protocol-version", "2025-03-26").body(ask.to_string().as_bytes());
    let body = r#"[{"id":1,"result":{"tools":[{"name":"none"},{"name":"read_a"}]}},{"id":2,"result":{}}]"#;
    let reply = every_chunking(&gateway, &request, JSON, body);
    assert_eq!(reply.body, r#"[{"id":1,"result":{"tools":[{"name":"read_a"}]}},{"id":2,"result":{}}]"#);
}

#[wasm_bindgen_test(unsupported = test)]
fn public_lists_are_kept_and_filtered_for_each_reader() {
    let gateway = gate(rules());
    let world = World::new();
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_a"},{"name":"admin"}],"ttlMs":60000,"cacheScope":"public","resultType":"complete"}}"#;
    world.origin_body(body.as_bytes(), 50);
    let admin = || Claims::good().with("roles", json!(["admin"])).with("sub", json!("root"));
    let ask = |gateway: &Rc<Gateway>, claims: Claims, id: Value, params: Value| {
        let mut request = modern(claims, "tools/list", params);
        let mut body: Value = serde_json::from_slice(&request.body).expect("JSON");
        body["id"] = id;
        request = request.body(body.to_string().as_bytes());
        world.call(gateway, request).json()
    };
    let first = ask(&gateway, Claims::good(), json!(1), json!({}));
    assert_eq!(first["result"]["tools"], json!([{ "name": "read_a" }]));
    assert_eq!((world.sent().len(), &first["result"]["cacheScope"]), (1, &json!("private")));
    // The next reader gets it from memory: its own id, what is left of the time, and what it may use.
    world.pass(20);
    let second = ask(&gateway, admin(), json!("two"), json!({}));
    assert_eq!(second["result"]["tools"], json!([{ "name": "read_a" }, { "name": "admin" }]));
    assert_eq!((&second["id"], &second["result"]["ttlMs"]), (&json!("two"), &json!(40_000)));
    assert_eq!((world.sent().len(), world.last_request()["reason"].clone()), (1, json!("cached_list")));
    // Another isolate gets it from the cache of the place.
    world.run_background();
    let other = gate(rules());
    assert_eq!(ask(&other, Claims::good(), json!(3), json!({}))["result"]["tools"], json!([{ "name": "read_a" }]));
    assert_eq!(world.sent().len(), 1);
    // Another page, and whatever continues an exchange, are asked for.
    ask(&gateway, Claims::good(), json!(4), json!({ "cursor": "2" }));
    ask(&gateway, Claims::good(), json!(5), json!({ "requestState": "x" }));
    ask(&gateway, Claims::good(), json!(6), json!({ "filter": "x" }));
    assert_eq!(world.sent().len(), 4);
    world.call(&gateway, list("tools/list"));
    assert_eq!(world.sent().len(), 5, "the old era has no such word");
    // Each path, query and argument in a field may have a list of its own.
    for (at, request) in [
        modern(Claims::good(), "tools/list", json!({})).field("mcp-param-region", "eu"),
        modern(Claims::good(), "tools/list", json!({})).target("/mcp/tenant-b"),
        modern(Claims::good(), "tools/list", json!({})).target("/mcp?org=2"),
    ]
    .into_iter()
    .enumerate()
    {
        world.call(&gateway, request);
        assert_eq!(world.sent().len(), 6 + at);
    }
    let asked = world.sent().len();
    // It ends when its time is over.
    world.pass(40);
    ask(&gateway, Claims::good(), json!(7), json!({}));
    assert_eq!(world.sent().len(), asked + 1);
    // Nobody without the right gets it.
    assert_eq!(ask(&gateway, scope("other"), json!(8), json!({}))["error"]["code"], json!(403));
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_that_are_not_public_are_not_kept() {
    let result =
        |members: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{{"name":"read_a"}}]{members}}}}}"#);
    for (body, fields) in [
        (result(r#","ttlMs":60000,"cacheScope":"private""#), JSON),
        (result(r#","ttlMs":60000"#), JSON),
        (result(r#","cacheScope":"public""#), JSON),
        (result(r#","ttlMs":60000,"cacheScope":"public""#).replace("\"id\":7,", ""), JSON),
        (result(r#","ttlMs":60000,"cacheScope":"public""#).replace("\"id\":7,", "\"id\":7,\"error\":{},"), JSON),
        (result(r#","ttlMs":0,"cacheScope":"public""#), JSON),
        (result(r#","ttlMs":"60000","cacheScope":"public""#), JSON),
        (format!("data: {}\n\n", result(r#","ttlMs":60000,"cacheScope":"public""#)), EVENTS),
        (r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"x"}}"#.to_owned(), JSON),
    ] {
        let (gateway, world) = (gate(rules()), World::new());
        world.origin(Ok((200, fields)));
        world.origin_body(body.as_bytes(), 50);
        for _ in 0..2 {
            assert_eq!(world.call(&gateway, modern(Claims::good(), "tools/list", json!({}))).status, 200);
        }
        assert_eq!(world.sent().len(), 2, "{body}");
        world.run_background();
        assert!(world.shared().keys().all(|name| !name.starts_with("list/")));
    }
    let gateway = open(with_rules(rules(), json!({ "cache_lists": false }))).expect("right");
    let world = World::new();
    world.origin_body(result(r#","ttlMs":60000,"cacheScope":"public""#).as_bytes(), 50);
    for _ in 0..2 {
        world.call(&gateway, modern(Claims::good(), "tools/list", json!({})));
    }
    assert_eq!(world.sent().len(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_list_and_not_meant_as_one() {
    let gateway = gate(rules());
    let answered = |status: u16, fields: &'static [(&str, &str)], body: &str| {
        let world = World::new();
        world.origin(Ok((status, fields)));
        world.origin_body(body.as_bytes(), 100);
        let reply = world.call(&gateway, list("tools/list"));
        (reply.status, reply.body)
    };
    // An error is the origin server's to word: a client that hears of a lost session begins anew (L5).
    let text: &[(&str, &str)] = &[("content-type", "text/plain")];
    assert_eq!(answered(404, text, "Session not found"), (404, "Session not found".to_owned()));
    assert_eq!(answered(202, text, ""), (202, String::new()));
    for none in [
        "<html>none</html>",
        "none",
        "\"tools\":none",
        "\"none\"",
        "{\"result\":none}",
        "[none]",
        "{\"result\":{\"x\":no ne}}",
    ] {
        assert_eq!(answered(200, JSON, none).0, 502, "{none}");
    }
    let mark = open(with_rules(rules(), json!({ "step_up_in_lists": "mark" }))).expect("right");
    let world = World::new();
    world.origin_body(br#"{"id":7,"result":{"tools":[{"name":"write_a","_meta":null,"x":1}]}}"#, 6);
    let reply = world.call(&mark, list("tools/list"));
    assert_eq!(
        reply.json()["result"]["tools"][0]["_meta"],
        json!({ "portcullis/step-up": { "scopes": ["files:write"] } })
    );
    // Whatever version a stream is opened with, lists may come over it.
    let world = World::new();
    world.origin(Ok((200, EVENTS)));
    world.origin_body(b"data: {\"result\":{\"tools\":[{\"name\":\"none\"}]}}\n\n", 6);
    let get = Request::get("/mcp").bearer(&token(&Claims::good())).field("mcp-protocol-version", "2026-07-28");
    assert_eq!(world.call(&gateway, get).body, "data: {\"result\":{\"tools\":[]}}\n\n");
}

/// An item whose name is certain, with what strict readers refuse.
fn odd_items() -> Vec<String> {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    vec![
        r#"{"name":"read_a","description":"half a pair \ud83d"}"#.to_owned(),
        r#"{"description":"\udc00","n\u0061me":"read_b"}"#.to_owned(),
        r#"{"name":"read_c","\ud83d":1}"#.to_owned(),
        r#"{"name":"read_d","inputSchema":{"x":1,"x":2},"description":"a","description":"b"}"#.to_owned(),
        format!(r#"{{"name":"read_e","inputSchema":{}}}"#, deep(500)),
        r#"{"name":"read_f","x":[1e999,-0.5E+3,123456789012345678901234567890,true,null,"\\\"\/"]}"#.to_owned(),
    ]
}

/// Items whose names cannot be read for certain.
fn unreadable_items() -> Vec<&'static str> {
    vec![
        r#"{"name":"read_a","name":"none"}"#,
        r#"{"name":"none","n\u0061me":"read_a"}"#,
        r#"{"title":"none"}"#,
        r#"{"name":7,"title":"none"}"#,
        r#"{"name":null,"title":"none"}"#,
        r#"{"name":{"name":"read_a"},"title":"none"}"#,
        r#"{"name":"none\ud83d"}"#,
        r#"[{"name":"read_a","title":"none"}]"#,
        r#""none""#,
        "7",
        "null",
        r#"{"name":"read_a","title":"none",}"#,
        r#"{"name":"read_a","x":NaN,"title":"none"}"#,
        r#"{"name":"read_a","x":01,"title":"none"}"#,
        r#"{"name":"read_a","x":"\x","title":"none"}"#,
        r#"{"name":"read_a" "title":"none"}"#,
        r#"{'name':"read_a","title":"none"}"#,
    ]
}

#[wasm_bindgen_test(unsupported = test)]
fn one_odd_item_does_not_cost_the_others() {
    let gateway = gate(rules());
    let list_of = |items: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{{"name":"read_x"}},{items},{{"name":"read_y"}}]}}}}"#)
    };
    for item in odd_items() {
        let body = list_of(&item);
        assert_eq!(every_chunking(&gateway, &list("tools/list"), JSON, &body).body, body, "byte for byte");
        // A rule hides it by the same name.
        let hidden = gate(json!([{ "effect": "allow", "tools": ["read_x", "read_y"] }]));
        let reply = listed(&hidden, list("tools/list"), JSON, &body, 7);
        assert_eq!(reply.body, r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read_x"},{"name":"read_y"}]}}"#);
    }
    for item in unreadable_items() {
        let world = World::new();
        world.origin_body(list_of(item).as_bytes(), 11);
        let reply = world.call(&gateway, list("tools/list"));
        assert_eq!(reply.status, 200, "{item}");
        assert_eq!(reply.body, r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read_x"},{"name":"read_y"}]}}"#);
        let line = world.lines().into_iter().find(|line| line["reason"] == "list_items_dropped");
        let detail = line.unwrap_or_default()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(": 1 left out"), "{item}: {detail}");
        assert!(!detail.contains("none"), "the log has nothing of the item");
    }
    // Marked ones, too, and those that cannot be marked are left out.
    let marking = open(with_rules(
        json!([{ "effect": "step_up", "scopes": ["w"], "tools": ["read_*"] }]),
        json!({ "step_up_in_lists": "mark" }),
    ))
    .expect("right");
    let reply = listed(&marking, list("tools/list"), JSON, &list_of(&odd_items()[0]), 5);
    assert!(
        reply.body.contains(r#""description":"half a pair \ud83d","_meta":{"portcullis/step-up""#),
        "{}",
        reply.body
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn an_event_stream_that_cannot_be_judged_ends_with_an_error_at_once() {
    let gateway = gate(rules());
    let bad = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":{"none":{"name":"none"}}}}"#;
    for (before, chunk) in [
        (String::new(), 3),
        (": hello\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n".to_owned(), 1000),
    ] {
        let world = World::new();
        world.origin(Ok((200, &[("content-type", "text/event-stream")])));
        world.origin_body(format!("{before}data: {bad}\n\ndata: {{\"more\":1}}\n\n").as_bytes(), chunk);
        let reply = world.call(&gateway, list("tools/list"));
        assert_eq!(reply.status, 200);
        let rest = reply.body.strip_prefix(&before).expect("what came before passes");
        let data =
            rest.strip_prefix("event: message\ndata: ").and_then(|rest| rest.strip_suffix("\n\n")).expect("one event");
        let error: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!((&error["id"], &error["error"]["code"]), (&json!(7), &json!(502)), "the client gets it at once");
        assert!(!reply.body.contains("none") && !reply.body.contains("more"));
        assert!(world.lines().iter().any(|line| line["reason"] == "list_malformed"), "and the log says why");
    }
    // A large event of which a part went on is ended first.
    let items: Vec<String> =
        (0..2_000).map(|at| format!("{{\"name\":\"read_{at}\",\"x\":\"{}\"}}", "x".repeat(60))).collect();
    let large = format!(
        "data: {{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{{\"tools\":[{}],\"tools\":[]}}}}\n\n",
        items.join(",")
    );
    let world = World::new();
    world.origin(Ok((200, &[("content-type", "text/event-stream")])));
    world.origin_body(large.as_bytes(), 4_096);
    let body = world.call(&gateway, list("tools/list")).body;
    let (broken, error) = body.split_once("\n\n").expect("the broken event ends");
    assert!(broken.starts_with("data: {") && error.starts_with("event: message\ndata: {\"error\""), "{}", &error[..80]);
    // The same where it turns out at its end that it is cut short.
    let world = World::new();
    world.origin(Ok((200, &[("content-type", "text/event-stream")])));
    world.origin_body(large.replace("],\"tools\":[]}}", "").as_bytes(), 4_096);
    let body = world.call(&gateway, list("tools/list")).body;
    let (_, error) = body.split_once("\n\n").expect("the broken event ends");
    assert!(error.starts_with("event: message\ndata: {\"error\""), "{}", &error[..80]);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_some_clients_read_otherwise_is_refused_under_rules() {
    let gateway = gate(rules());
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"none"},{"name":"read_a"}]}}"#;
    let events = format!("data: {body}\n\n");
    let ask = |request: Request, fields: &[(&'static str, &str)], status: u16, body: &str| {
        let world = World::new();
        world.origin(Ok((status, fields)));
        world.origin_body(body.as_bytes(), 64);
        world.call(&gateway, request)
    };
    let stream = || Request::get("/mcp").bearer(&token(&Claims::good())).field("mcp-protocol-version", "2025-11-25");
    for media_type in [
        "text/event-stream; charset=utf-7",
        "text/event-stream; charset=\"utf-16le\"",
        "text/event-stream;CHARSET=cp037",
        "text/event-streamx",
        "text/event-stream, text/plain",
    ] {
        for request in [list("tools/list"), stream()] {
            let reply = ask(request, &[("content-type", media_type)], 200, &events);
            assert!(reply.status == 502 && !reply.body.contains("none"), "{media_type}: {}", reply.body);
        }
    }
    let reply = ask(list("tools/list"), &[("content-type", "text/event-stream; charset=UTF-8")], 200, &events);
    assert!(reply.status == 200 && !reply.body.contains("none"), "{}", reply.body);
    // JSON under other names and other statuses of success is read by some.
    for (media_type, status) in [("application/jsonx", 200), ("application/json-seq", 201), ("text/plain", 203)] {
        let reply = ask(list("tools/list"), &[("content-type", media_type)], status, body);
        assert!(!reply.body.contains("none"), "{media_type} {status}: {}", reply.body);
    }
    // A content coding that the platform does not decode (RFC 9110 §8.4).
    for coding in ["deflate", "zstd", "GZIP", "gzip, br"] {
        let coded = [("content-type", "application/json"), ("content-encoding", coding)];
        let reply = ask(list("tools/list"), &coded, 200, body);
        assert_eq!((reply.status, reply.json()["id"].clone()), (502, json!(7)), "{coding}");
        let call = message(Claims::good(), "tools/call", json!({ "name": "read_a" }));
        let reply = ask(call, &coded, 200, "coded");
        assert_eq!((reply.status, reply.field("content-encoding"), reply.body.as_str()), (200, coding, "coded"));
    }
    for coding in ["gzip", "br"] {
        let coded = [("content-type", "application/json"), ("content-encoding", coding), ("content-length", "5")];
        let reply = ask(list("tools/list"), &coded, 200, body);
        assert_eq!((reply.status, reply.field("content-encoding"), reply.field("content-length")), (200, "", ""));
    }
}

fn opened(gateway: &Rc<Gateway>, status: u16, media_type: &str, body: &str, chunk: usize) -> Reply {
    let world = World::new();
    world.origin(Ok((status, &[("content-type", media_type)])));
    world.origin_body(body.as_bytes(), chunk);
    let request = Request::get("/mcp").bearer(&token(&Claims::good())).field("mcp-protocol-version", "2025-11-25");
    world.call(gateway, request)
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_get_brings_is_a_stream_of_events_or_nothing() {
    let gateway = gate(rules());
    let event = "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[{\"name\":\"none\"}]}}\n\n";
    for media_type in ["application/octet-stream", "text/plain", "application/json", "text/html"] {
        for status in [200, 201, 206] {
            let reply = opened(&gateway, status, media_type, event, 16);
            assert!(reply.status == 502 && !reply.body.contains("none"), "{media_type}: {}", reply.body);
        }
    }
    assert_eq!(opened(&gateway, 405, "application/json", "{}", 16).status, 405, "most servers have none");
}

#[wasm_bindgen_test(unsupported = test)]
fn one_bad_event_does_not_end_a_stream_of_others() {
    let gateway = gate(rules());
    let good = |id: usize| {
        format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"tools\":[{{\"name\":\"read_a\"}}]}}}}\n\n")
    };
    for (bad, id) in [
        (
            r#"{"jsonrpc":"2.0","id":"x","result":{"tools":[{"name":"none"}],"tools":[{"name":"none"}]}}"#,
            Some(json!("x")),
        ),
        (r#"{"jsonrpc":"2.0","id":8,"result":{"tools":{"none":1}}}"#, Some(json!(8))),
        (r#"{"jsonrpc":"2.0","id":8,"result":{"Tools":[{"name":"none"}]}}"#, Some(json!(8))),
        (r#"{"jsonrpc":"2.0","id":8,"id":9,"result":{"tools":{"none":1}}}"#, None),
        (r#"{"none":"#, None),
        // It asks for something itself, and its id is another's.
        (r#"{"jsonrpc":"2.0","id":8,"method":"x","result":{"tools":{"none":1}}}"#, None),
        ("\u{feff}{\"none\":1}", None),
    ] {
        let stream = format!("{}data: {bad}\n\n{}", good(1), good(2));
        for chunk in [1, 7, stream.len()] {
            let reply = opened(&gateway, 200, "text/event-stream", &stream, chunk);
            assert_eq!(reply.status, 200);
            assert!(!reply.body.contains("none"), "{bad}: {}", reply.body);
            let events: Vec<Value> =
                reply.body.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
            let ids: Vec<&Value> = events.iter().map(|event| &event["id"]).collect();
            let expected: Vec<Value> = std::iter::once(json!(1)).chain(id.clone()).chain([json!(2)]).collect();
            assert_eq!(ids, expected.iter().collect::<Vec<_>>(), "{bad} in pieces of {chunk}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn members_in_other_letters_are_read_by_some() {
    let gateway = gate(rules());
    for result in [
        r#"{"Tools":[{"name":"none"}]}"#,
        r#"{"tools":[{"name":"read_a"}],"TOOLS":[{"name":"none"}]}"#,
        "{\"tool\u{17f}\":[{\"name\":\"none\"}]}",
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#);
        let reply = every_chunking(&gateway, &list("tools/list"), JSON, &body);
        assert!(reply.status == 502 && !reply.body.contains("none"), "{result}: {}", reply.body);
    }
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read_a","NAME":"none"},{"name":"read_b"}]}}"#;
    let reply = every_chunking(&gateway, &list("tools/list"), JSON, body);
    assert_eq!(reply.json()["result"]["tools"], json!([{ "name": "read_b" }]));
}
