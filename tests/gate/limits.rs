//! Rate limits: what counts, and that no caller can use up what others need.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use portcullis::limits::{COUNTERS_OF_ONE_CALLER, LIMIT_COUNTERS};
use portcullis::policy::counters::{AddressLimit, CounterName, Counters, Rate, RateCounters};
use portcullis::time::UnixMillis;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{message, with_rules};
use crate::support::{Claims, Request, World, open, token};

fn gate(rules: Value, more: Value) -> Rc<Gateway> {
    open(with_rules(rules, more)).expect("the document is right")
}

fn sub(name: &str) -> Claims {
    Claims::good().with("sub", json!(name))
}

fn call(claims: Claims, tool: &str) -> Request {
    message(claims, "tools/call", json!({ "name": tool, "arguments": {} }))
}

/// A batch of 64 calls of tools that were not named before.
fn batch(claims: &Claims, number: usize) -> Request {
    let calls: Vec<Value> = (0..64)
        .map(|at| json!({ "jsonrpc": "2.0", "id": at, "method": "tools/call", "params": { "name": format!("t{number}_{at}") } }))
        .collect();
    let body = serde_json::to_vec(&calls).expect("JSON");
    Request::post("/mcp").bearer(&token(claims)).field("mcp-protocol-version", "2025-03-26").body(&body)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_caller_who_floods_the_counters_locks_nobody_else_out() {
    let gateway = gate(
        json!([{ "effect": "allow", "tools": ["*"] }]),
        json!({ "limits": [{ "by": ["tool"], "requests": 1000, "seconds": 60 }] }),
    );
    let world = World::new();
    // 260 batches name 16,640 tools; the table has room for 16,384 counters.
    for number in 0..260 {
        world.call(&gateway, batch(&sub("mallory"), number));
    }
    let reply = world.call(&gateway, call(sub("ada"), "search"));
    assert_eq!(reply.status, 200, "a caller who never called before is served: {}", reply.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn beyond_its_share_a_callers_new_names_count_together() {
    let gateway = gate(
        json!([{ "effect": "allow", "tools": ["*"] }]),
        json!({ "limits": [{ "by": ["tool"], "requests": 3, "seconds": 60 }] }),
    );
    let world = World::new();
    let status = |who: &str, tool: &str| world.call(&gateway, call(sub(who), tool)).status;
    assert_eq!([status("mallory", "search"), status("mallory", "search"), status("mallory", "search")], [200; 3]);
    for number in 0..COUNTERS_OF_ONE_CALLER {
        status("mallory", &format!("junk{number}"));
    }
    assert_eq!(status("mallory", "search"), 429, "other names reset no counter");
    let more: Vec<u16> = (0..8).map(|number| status("mallory", &format!("more{number}"))).collect();
    assert_eq!(more.iter().filter(|status| **status == 200).count(), 2, "they share one counter: {more:?}");
    assert_eq!([status("ada", "more9"), status("ada", "fetch")], [200, 200]);
    assert_eq!(status("ada", "search"), 429, "the limit of a tool counts all callers");
}

#[wasm_bindgen_test(unsupported = test)]
fn expired_counters_leave_first_and_then_the_oldest() {
    let rate = Rate { requests: 1, seconds: 60 };
    let name = |at: usize| CounterName {
        key: format!("k{at}"),
        shared: format!("s{}", at / 100),
        owner: format!("o{}", at / 100),
    };
    let now = UnixMillis(60_000_000);
    let mut counters = Counters::new(1_000);
    for at in 0..1_000 {
        assert_eq!(counters.count(&name(at), rate, now), Ok(()));
    }
    assert_eq!(counters.count(&name(1_000), rate, now), Ok(()), "a new caller always finds room");
    assert_eq!(counters.len(), 1_000);
    assert_eq!(counters.count(&name(0), rate, now), Ok(()), "the oldest counter left");
    assert_eq!(counters.count(&name(999), rate, now), Err(60), "a younger one did not");
    let later = now.plus_seconds(60);
    assert_eq!(counters.count(&name(2_000), rate, later), Ok(()));
    assert_eq!(counters.len(), 1, "all others expired");
    let mut one = Counters::new(LIMIT_COUNTERS);
    for at in 0..10_000 {
        let name = CounterName { key: format!("k{at}"), shared: "shared".to_owned(), owner: "one".to_owned() };
        let _ = one.count(&name, Rate { requests: 20_000, seconds: 60 }, now);
    }
    assert_eq!(one.len(), COUNTERS_OF_ONE_CALLER + 1);
    // Names of one message that find no room count in the shared counter before any of them is counted.
    let mut batch = Counters::new(LIMIT_COUNTERS);
    let rate = Rate { requests: 3, seconds: 60 };
    let names = |from: usize, count: usize| -> Vec<(CounterName, Rate)> {
        let name = |at| CounterName { key: format!("k{at}"), shared: "shared".to_owned(), owner: "one".to_owned() };
        (from..from + count).map(|at| (name(at), rate)).collect()
    };
    assert_eq!(batch.count_all(&names(0, COUNTERS_OF_ONE_CALLER - 1), now), Ok(()));
    assert_eq!(batch.count_all(&names(1_000, 5), now), Err((4, 60)), "one has room, three share");
    assert_eq!(batch.count_all(&names(1_000, 4), now), Ok(()));
}

#[wasm_bindgen_test(unsupported = test)]
fn each_purpose_has_its_own_table() {
    let mut counters = RateCounters::default();
    let now = UnixMillis(60_000_000);
    for limit in [AddressLimit::ClientKeys, AddressLimit::Document, AddressLimit::Login, AddressLimit::Registration] {
        for at in 0..20_000 {
            let name = CounterName::of_caller(format!("{at}"));
            assert_eq!(counters.of_addresses(limit).count(&name, limit.rate(), now), Ok(()));
        }
        assert!(counters.of_addresses(limit).len() < 10_000);
        let name = CounterName::of_caller("19999".to_owned());
        let within = (1..limit.rate().requests + 5)
            .filter(|_| counters.of_addresses(limit).count(&name, limit.rate(), now).is_ok());
        assert_eq!(within.count() as u64, limit.rate().requests - 1);
    }
    assert!(counters.resources.is_empty() && counters.refusals.is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_rules_refuse_counts_for_no_limit() {
    let gateway = gate(
        json!([{ "effect": "allow", "tools": ["deploy"], "when": { "roles": ["admin"] } }]),
        json!({ "limits": [{ "by": ["tool"], "requests": 2, "seconds": 60 }] }),
    );
    let world = World::new();
    for _ in 0..10 {
        let reply = world.call(&gateway, call(sub("mallory"), "deploy"));
        assert_eq!((reply.status, reply.json()["error"]["code"].clone()), (200, json!(-32602)));
    }
    let admin = || call(sub("ada").with("roles", json!(["admin"])), "deploy");
    let status = || world.call(&gateway, admin()).status;
    assert_eq!([status(), status(), status()], [200, 200, 429]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_hidden_name_counts_as_one_that_does_not_exist() {
    let gateway = gate(
        json!([
            { "effect": "allow", "tools": ["drop_*"], "when": { "roles": ["admin"] } },
            { "effect": "deny", "tools": ["drop_*"] },
            { "effect": "allow", "tools": ["*"] },
        ]),
        json!({ "limits": [{ "by": ["tool"], "requests": 2, "seconds": 60 }] }),
    );
    let world = World::new();
    let statuses = |tool: &str| {
        let status = |_| world.call(&gateway, call(sub("mallory"), tool)).status;
        (0..4).map(status).collect::<Vec<_>>()
    };
    assert_eq!(statuses("drop_table"), statuses("no_such_tool"), "a limit does not tell them apart");
    let admin = call(sub("ada").with("roles", json!(["admin"])), "drop_table");
    assert_eq!(world.call(&gateway, admin).status, 200, "and it uses up nothing of those who may");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_limit_on_tools_counts_names_in_any_case() {
    let gateway = gate(
        json!([{ "effect": "allow", "tools": ["*"] }]),
        json!({ "limits": [{ "by": ["subject"], "requests": 2, "seconds": 60, "tools": ["search_*"] }] }),
    );
    let world = World::new();
    let status = |tool: &str| world.call(&gateway, call(sub("ada"), tool)).status;
    assert_eq!([status("search_a"), status("Search_a"), status("SEARCH_A"), status("other")], [200, 200, 429, 200]);
}

#[wasm_bindgen_test(unsupported = test)]
fn refusals_of_one_caller_are_limited_before_rules_are_evaluated() {
    let gateway = gate(
        json!([{ "effect": "allow", "tools": ["read"] }, { "effect": "step_up", "scopes": ["w"], "tools": ["write"] }]),
        json!({ "refusals_per_minute": 10 }),
    );
    let world = World::new();
    let status = |who: &str, tool: &str| world.call(&gateway, call(sub(who), tool)).status;
    for at in 0..10 {
        assert_eq!(
            status("mallory", if at % 2 == 0 { "nothing" } else { "write" }),
            if at % 2 == 0 { 200 } else { 403 }
        );
    }
    let reply = world.call(&gateway, call(sub("mallory"), "read"));
    assert_eq!(reply.status, 429);
    assert!(reply.field("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=60).contains(&seconds)));
    // The request by which clients tell eras gets no 4xx.
    assert_eq!(world.call(&gateway, message(sub("mallory"), "initialize", json!({}))).status, 503);
    assert_eq!(status("ada", "read"), 200, "others notice nothing");
    world.pass(60);
    assert_eq!(status("mallory", "read"), 200);
    assert_eq!(status("ada", "read"), 200, "what is permitted counts for no refusal");
}

#[wasm_bindgen_test(unsupported = test)]
fn the_limit_of_refusals_has_bounds() {
    let mistakes = |value: u64| {
        let document = with_rules(json!([{ "effect": "allow" }]), json!({ "refusals_per_minute": value }));
        open(document).err().map(|mistakes| mistakes.lines().join("\n"))
    };
    assert_eq!(mistakes(10), None);
    let text = "resources[0].refusals_per_minute: must be 10 to 1000000, got 9";
    assert_eq!(mistakes(9).as_deref(), Some(text));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_batch_that_is_refused_counts_for_nothing() {
    let gateway = gate(
        json!([{ "effect": "allow", "tools": ["*"] }]),
        json!({ "limits": [
            { "by": ["tool"], "requests": 100, "seconds": 60 },
            { "by": ["subject"], "requests": 10, "seconds": 60, "tools": ["write"] },
        ] }),
    );
    let world = World::new();
    let batch = |who: &str, tools: &[(&str, usize)]| {
        let calls = tools.iter().flat_map(|(name, count)| std::iter::repeat_n(*name, *count)).enumerate();
        let calls: Vec<Value> = calls
            .map(|(at, name)| json!({ "jsonrpc": "2.0", "id": at, "method": "tools/call", "params": { "name": name } }))
            .collect();
        let request = Request::post("/mcp").bearer(&token(&sub(who))).field("mcp-protocol-version", "2025-03-26");
        world.call(&gateway, request.body(&serde_json::to_vec(&calls).expect("JSON"))).status
    };
    // The last of its calls is one too many: 40 calls of `search` must not be gone for everyone.
    for _ in 0..5 {
        assert_eq!(batch("mallory", &[("search", 40), ("write", 11)]), 429);
    }
    assert_eq!(batch("ada", &[("search", 50), ("write", 10)]), 200);
    assert_eq!(batch("ada", &[("search", 51)]), 429, "a message counts with all of its calls");
    assert_eq!([batch("grace", &[("search", 50)]), batch("grace", &[("search", 1)])], [200, 429]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_limit_of_each_tool_counts_its_name_in_any_case() {
    let gateway = gate(
        json!([
            { "effect": "allow", "tools": ["search", "Search", "SEARCH"] },
            { "effect": "deny", "tools": ["secret"] },
            { "effect": "allow", "tools": ["*"] },
        ]),
        json!({ "limits": [{ "by": ["tool"], "requests": 2, "seconds": 60 }] }),
    );
    let world = World::new();
    let statuses = |names: [&str; 3]| names.map(|name| world.call(&gateway, call(sub("ada"), name)).status);
    assert_eq!(statuses(["search", "Search", "SEARCH"]), [200, 200, 429]);
    assert_eq!(statuses(["secret", "Secret", "SECRET"]), statuses(["nothing", "Nothing", "NOTHING"]));
}

#[wasm_bindgen_test(unsupported = test)]
fn another_client_of_the_same_user_has_no_share_of_its_own() {
    let gateway = gate(json!([{ "effect": "allow", "tools": ["read"] }]), json!({ "refusals_per_minute": 10 }));
    let world = World::new();
    let with = |client: usize| sub("mallory").with("client_id", json!(format!("client {client}")));
    for client in 0..10 {
        assert_eq!(world.call(&gateway, call(with(client), "nothing")).status, 200);
    }
    assert_eq!(world.call(&gateway, call(with(11), "read")).status, 429);
}

#[wasm_bindgen_test(unsupported = test)]
fn callers_without_a_client_share_no_counter() {
    let gateway = gate(
        json!([{ "effect": "allow", "tools": ["*"] }]),
        json!({ "limits": [{ "by": ["client"], "requests": 2, "seconds": 60 }] }),
    );
    let world = World::new();
    let status = |claims: Claims| world.call(&gateway, call(claims, "read")).status;
    let none = |who: &str| sub(who).without("client_id");
    assert_eq!([status(none("mallory")), status(none("mallory")), status(none("mallory"))], [200, 200, 429]);
    assert_eq!(status(none("ada")), 200);
    let of = |who: &str| sub(who).with("client_id", json!("editor"));
    assert_eq!(
        [status(of("a")), status(of("b")), status(of("c"))],
        [200, 200, 429],
        "a client counts for all its users"
    );
}
