//! Messages, rules, lists and event streams, and how their cost grows with what there is of them.

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use portcullis::config::{Configuration, Secrets};
use portcullis::mcp::kind::Kind;
use portcullis::mcp::known_items::KnownItems;
use portcullis::mcp::list_filter::ListFilter;
use portcullis::mcp::list_item::{FilterOptions, ItemDecision, ItemPolicy};
use portcullis::mcp::message::parse;
use portcullis::mcp::operation::Operation;
use portcullis::mcp::sse::SseFilter;
use portcullis::oauth::scope::ScopeSet;
use portcullis::policy::caller::Caller;
use portcullis::policy::decide::Policy;
use portcullis::policy::verdict::Arguments;
use portcullis::time::UnixMillis;
use portcullis::token::cache::TokenCache;
use portcullis::token::principal::{CredentialKind, SelectedClaims, Subject};
use portcullis::token::verified::VerifiedToken;
use portcullis::transport::connection::ConnectionFacts;
use serde_json::{Value, json};

struct NoSecrets;

impl Secrets for NoSecrets {
    fn secret(&self, _: &str) -> Option<String> {
        None
    }
}

/// Rules of which the last alone is about what is called; the others name tools that nobody calls.
fn policy(count: usize) -> Rc<Policy> {
    let mut rules: Vec<Value> =
        (1..count).map(|at| json!({ "effect": "deny", "tools": [format!("other_{at}_*")] })).collect();
    rules.push(json!({ "effect": "allow", "tools": ["read_*"] }));
    let document = json!({
        "public_url": "https://gate.example",
        "issuers": [{ "name": "idp", "issuer": "https://login.example" }],
        "resources": [{ "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"], "rules": rules }],
    });
    let config = Configuration::load(document, &NoSecrets).expect("the document is right").settings;
    Rc::clone(config.resources[0].policy.as_ref().expect("it has rules"))
}

fn subject(name: &str) -> Subject {
    Subject {
        issuer: "https://login.example".to_owned(),
        subject: name.to_owned(),
        client: Some("client".to_owned()),
        scopes: ScopeSet::of_text("mcp:tools"),
        kind: CredentialKind::Jwt,
        label: None,
        rights: SelectedClaims::default(),
    }
}

fn rules(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide, by rules");
    let caller =
        Caller { subject: Rc::new(subject("ada")), source: Some("idp".into()), facts: ConnectionFacts::default(), now: 0 };
    let operation = Operation::on("tools/call", Kind::Tool, "read_file");
    for count in [1, 10, 1_000, 10_000] {
        let policy = policy(count);
        group.bench_with_input(BenchmarkId::from_parameter(count), &policy, |bencher, policy| {
            bencher.iter(|| policy.decide(black_box(&operation), &caller, Arguments::Known(None)));
        });
    }
    group.finish();
}

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse a message, by bytes of arguments");
    for bytes in [100, 1_000, 100_000] {
        let arguments = json!({ "text": "x".repeat(bytes / 2), "deep": vec![json!({ "a": 1 }); bytes / 16] });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "read", "arguments": arguments } });
        let body = body.to_string();
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(bytes), &body, |bencher, body| {
            bencher.iter(|| parse(black_box(body.as_bytes()), false).expect("a message"));
        });
    }
    group.finish();
}

/// Every other tool stays.
struct Half(bool);

impl ItemPolicy for Half {
    fn decide(&mut self, _: Kind, _: &str) -> ItemDecision {
        self.0 = !self.0;
        if self.0 { ItemDecision::Keep } else { ItemDecision::Drop }
    }

    fn depends_on_caller(&self, _: Kind, _: bool) -> bool {
        true
    }
}

fn list(count: usize) -> String {
    let tool = |at| json!({ "name": format!("tool_{at}"), "description": "x".repeat(60), "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } } });
    json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": (0..count).map(tool).collect::<Vec<_>>() } }).to_string()
}

fn lists(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filter a list, by tools");
    for count in [10, 200, 5_000] {
        let body = list(count);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(count), &body, |bencher, body| {
            bencher.iter(|| {
                let mut out = Vec::with_capacity(body.len());
                let mut filter = ListFilter::new(Half(false), FilterOptions::default());
                body.as_bytes().chunks(65_536).for_each(|part| filter.push(part, &mut out).expect("a list"));
                filter.finish(&mut out).expect("whole");
                out
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("filter a list that has not changed, by tools");
    for count in [10, 200, 5_000] {
        let body = list(count);
        group.throughput(Throughput::Bytes(body.len() as u64));
        let memory = Rc::new(RefCell::new(KnownItems::default()));
        group.bench_with_input(BenchmarkId::from_parameter(count), &body, |bencher, body| {
            bencher.iter(|| {
                let mut out = Vec::with_capacity(body.len());
                let mut filter =
                    ListFilter::new(Half(false), FilterOptions::default()).with_memory(0, Rc::clone(&memory));
                body.as_bytes().chunks(65_536).for_each(|part| filter.push(part, &mut out).expect("a list"));
                filter.finish(&mut out).expect("whole");
                out
            });
        });
    }
    group.finish();
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filter an event stream, by events");
    for count in [1, 100] {
        let event = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":1,\"message\":\"The quick brown fox jumps over the lazy dog.\"}}\n\n";
        let stream = event.repeat(count);
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(count), &stream, |bencher, stream| {
            bencher.iter(|| {
                let mut out = Vec::with_capacity(stream.len());
                SseFilter::new(Some(ListFilter::new(Half(false), FilterOptions::default())), None, None)
                    .push(stream.as_bytes(), &mut out)
                    .expect("a stream");
                out
            });
        });
    }
    group.finish();
}

fn cache(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("find a verified token, by tokens");
    let digest = |at: u64| {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        digest
    };
    for count in [10, 1_000, 5_000] {
        let mut cache = TokenCache::default();
        for at in 0..count {
            cache.keep(digest(at), Rc::new(VerifiedToken::new(subject(&at.to_string()))));
        }
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| cache.verified(black_box(&digest(count / 2)), UnixMillis(1)));
        });
    }
    group.finish();
}

criterion_group!(gate, rules, messages, lists, events, cache);
criterion_main!(gate);
