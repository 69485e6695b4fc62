//! Known items of lists: what the gateway remembers of a list, for how many lists, and public lists that it caches.

use std::cell::RefCell;
use std::rc::Rc;

use portcullis::gateway::Gateway;
use portcullis::limits::{KNOWN_ITEMS_BYTES, KNOWN_LIST_BYTES};
use portcullis::mcp::kind::Kind;
use portcullis::mcp::known_items::KnownItems;
use portcullis::mcp::list_filter::ListFilter;
use portcullis::mcp::list_item::{FilterOptions, ItemDecision, ItemPolicy};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::lists::{EVENTS, JSON, list, listed, rules};
use crate::policy::{gate, modern, scope, with_rules};
use crate::support::{Claims, World, open};

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
    fn decide(&mut self, _: Kind, _: &str) -> ItemDecision {
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
