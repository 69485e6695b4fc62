//! Decisions that are remembered for requests with the same head: they change nothing but what a request costs.

use std::rc::Rc;

use portcullis::gateway::{Gateway, LookUp};
use portcullis::limits::{FIELDS_BYTES, FIELDS_COUNT, REMEMBERED_SETS, REMEMBERED_WAYS};
use portcullis::ports::OriginFailure;
use portcullis::transport::head::Method;
use portcullis::transport::head_text::{PER_REQUEST, fingerprint, read_head};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::credentials::{ENDPOINT, JSON, SECRET, one_resource, record};
use crate::support::world::{NOON, text_of};
use crate::support::{
    Claims, ISSUER, Key, RESOURCE, Request, TestSecrets, World, document, document_with, open, open_with, token,
};

const KEY: [u8; 16] = [7; 16];

fn good() -> Request {
    Request::post("/mcp").bearer(&token(&Claims::good()))
}

/// Sends a request until it would be recalled, and returns whether the next one is.
fn is_recalled(world: &World, gateway: &Rc<Gateway>, warm: &Request, next: Request) -> (bool, u16) {
    for _ in 0..3 {
        world.call_remembering(gateway, warm.clone());
    }
    let before = world.recalled();
    let reply = world.call_remembering(gateway, next);
    (world.recalled() > before, reply.status)
}

fn fresh(document: Value) -> (World, Rc<Gateway>) {
    (World::new(), open(document).expect("right"))
}

#[wasm_bindgen_test(unsupported = test)]
fn a_head_is_recalled_once_it_has_passed_twice_with_a_known_token() {
    let (world, gateway) = fresh(document());
    let recalled: Vec<usize> = (0..4)
        .map(|_| {
            let reply = world.call_remembering(&gateway, good());
            assert_eq!((reply.status, reply.field("x-content-type-options")), (200, "nosniff"));
            world.recalled()
        })
        .collect();
    assert_eq!(recalled, [0, 0, 1, 2]);
    assert_eq!(gateway.token_cache().0.hits, 3, "each of them found the token");
    let sent = world.sent();
    let bare = |at: usize| {
        let mut fields = sent[at].fields.clone();
        fields.remove("traceparent");
        (sent[at].url.clone(), fields, sent[at].body.clone())
    };
    for at in 1..4 {
        assert_eq!(bare(at), bare(0), "the server gets the same");
        assert_ne!(sent[at].fields.get("traceparent"), sent[at - 1].fields.get("traceparent"));
    }
    let lines: Vec<Value> = world.lines().into_iter().filter(|line| line["event"] == "request").collect();
    let ids: Vec<_> = lines.iter().map(|line| &line["request_id"]).collect();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    for line in &lines[1..] {
        for member in ["decision", "reason", "subject", "client", "issuer", "token_cache", "resource", "era", "status"]
        {
            assert_eq!(line[member], lines[1][member], "{member}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn fields_that_differ_in_every_request_do_not_keep_a_head_from_being_recalled() {
    let (world, gateway) = fresh(document());
    for name in PER_REQUEST {
        let value = if name == "content-length" { "3" } else { "x" };
        assert_eq!(is_recalled(&world, &gateway, &good(), good().field(name, value)), (true, 200), "{name}");
    }
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = || good().field("traceparent", parent).field("tracestate", "a=1");
    assert_eq!(is_recalled(&world, &gateway, &traced(), traced().field("tracestate", "b=2")), (true, 200));
    let last = || world.sent().pop().expect("it was sent").fields;
    assert_eq!(last().get("tracestate"), Some("b=2"));
    assert!(last().get("traceparent").is_some_and(|field| field.starts_with("00-0af7651916cd43dd8448eb211c80319c-")));
    assert_eq!(world.last_request()["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(is_recalled(&world, &gateway, &traced(), good()), (true, 200));
    assert_eq!(last().get("tracestate"), None, "the state of one trace is not for another");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_head_that_differs_in_anything_else_is_decided() {
    let others: Vec<(&str, Request, u16)> = vec![
        ("another token", Request::post("/mcp").bearer(&token(&Claims::good().with("sub", json!("bob")))), 200),
        ("no token", Request::post("/mcp"), 401),
        ("a token cut short", Request::post("/mcp").bearer(token(&Claims::good()).trim_end_matches(|c| c != '.')), 401),
        (
            "another scheme",
            Request::post("/mcp").field("authorization", &format!("bearer {}", token(&Claims::good()))),
            200,
        ),
        ("another path", good().target("/mcp/admin"), 401),
        ("a path below", good().target("/mcp/x"), 200),
        ("a query", good().target("/mcp?x=1"), 200),
        ("a token in the query", good().target("/mcp?access_token=x"), 400),
        ("another method", Request::new(Method::Get, "/mcp").bearer(&token(&Claims::good())), 200),
        ("a foreign page", good().field("origin", "https://evil.example"), 403),
        ("a page", good().field("origin", "https://app.example"), 200),
        ("another host", good().field("host", "evil.example"), 403),
        ("another media type", good().field("content-type", "text/plain"), 415),
        ("another era", good().modern(), 200),
        ("a field that the gateway drops", good().field("x-other", "1"), 200),
        ("a proof", good().field("dpop", "x"), 200),
        ("an address", good().field("cf-connecting-ip", "192.0.2.7"), 200),
    ];
    for (what, other, status) in others {
        let (world, gateway) = fresh(document());
        assert_eq!(is_recalled(&world, &gateway, &good(), other), (false, status), "{what}");
    }
    for length in ["5000000", "1e3", "-1", "", "99999999999999999999999"] {
        let (world, gateway) = fresh(document());
        let (recalled, status) = is_recalled(&world, &gateway, &good(), good().field("content-length", length));
        assert!(!recalled && matches!(status, 400 | 413), "{length:?}: {status}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_decision_depends_on_beside_its_head_keeps_it_from_being_remembered() {
    let resource = |changes: Value| {
        let mut resource = document()["resources"][0].clone();
        for (name, value) in changes.as_object().expect("members") {
            resource[name] = value.clone();
        }
        document_with(json!({ "resources": [resource] }))
    };
    let cases = [
        ("rules", resource(json!({ "rules": [{ "effect": "allow" }] }))),
        ("limits", resource(json!({ "limits": [{ "requests": 100, "seconds": 60, "by": ["subject"] }] }))),
        ("anonymous methods", resource(json!({ "rules": [{ "effect": "allow" }], "anonymous": ["ping"] }))),
        ("DPoP", resource(json!({ "dpop": "optional" }))),
        ("certificates", resource(json!({ "certificate_bound": "optional" }))),
        ("a forwarded field", resource(json!({ "forward_fields": ["baggage"] }))),
        ("sessions", document_with(json!({ "sessions": { "secrets": ["SESSION"] } }))),
        ("assertions", document_with(json!({ "identity_assertion": { "key_secrets": ["ASSERTION_KEY"] } }))),
    ];
    for (what, document) in cases {
        let secrets = TestSecrets(vec![
            ("SESSION", "a secret of thirty-two characters or more".to_owned()),
            ("ASSERTION_KEY", Key::Ed25519.private_jwk().to_string()),
        ]);
        let (world, gateway) =
            (World::new(), open_with(document, &secrets).unwrap_or_else(|mistakes| panic!("{what}: {mistakes:?}")));
        world.origin_body(br#"{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}"#, 100);
        assert_eq!(is_recalled(&world, &gateway, &good(), good()), (false, 200), "{what}");
    }
    let (world, gateway) = fresh(resource(json!({ "forward_fields": ["x-other"] })));
    assert_eq!(is_recalled(&world, &gateway, &good(), good()), (true, 200), "a field that is part of the head");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_changes_ends_what_is_remembered() {
    let short = || Request::post("/mcp").bearer(&token(&Claims::good()));
    let (world, gateway) = fresh(document());
    assert_eq!(is_recalled(&world, &gateway, &short(), short()), (true, 200));
    world.pass(3600 * 24);
    assert_eq!(is_recalled(&world, &gateway, &short(), short()), (false, 401), "expired");

    let (world, gateway) = fresh(document());
    assert_eq!(is_recalled(&world, &gateway, &good(), good()), (true, 200));
    world.back(3600 * 24);
    assert!(!is_recalled(&world, &gateway, &good(), good()).0, "not valid yet");

    let (world, gateway) = fresh(document_with(json!({ "revocation": { "kv": "KV", "seconds": 60 } })));
    world.put("KV", "revocations", Ok(r#"{"version":1}"#));
    assert_eq!(is_recalled(&world, &gateway, &good(), good()), (true, 200));
    world.put("KV", "revocations", Ok(r#"{"version":1,"sub":["ada"]}"#));
    world.pass(61);
    assert_eq!(is_recalled(&world, &gateway, &good(), good()), (false, 401), "revoked");

    let (world, gateway) = fresh(document_with(json!({ "revocation": { "kv": "KV", "seconds": 60 } })));
    world.put("KV", "revocations", Ok(r#"{"version":1}"#));
    assert_eq!(is_recalled(&world, &gateway, &good(), good()), (true, 200));
    world.put("KV", "revocations", Err("KV is down"));
    world.pass(61);
    assert_eq!(is_recalled(&world, &gateway, &good(), good()), (false, 503), "it cannot be known");

    let (world, gateway) = fresh(document());
    world.publish(&json!({ "keys": Key::ALL.map(Key::public_jwk) }).to_string(), Some("max-age=60"));
    assert_eq!(is_recalled(&world, &gateway, &good(), good()), (true, 200));
    world.publish(&json!({ "keys": [Key::P384.public_jwk()] }).to_string(), None);
    world.pass(61);
    assert_eq!(world.call_remembering(&gateway, good()).status, 200, "this request begins the refresh");
    world.run_background();
    let before = world.recalled();
    assert_eq!(world.call_remembering(&gateway, good()).status, 401, "the key is gone");
    assert_eq!(world.recalled(), before);

    let (world, gateway) = fresh(document());
    assert_eq!(is_recalled(&world, &gateway, &good(), good()), (true, 200));
    world.origin(Err(OriginFailure::Unreachable { streamed: false }));
    assert_eq!(world.call_remembering(&gateway, good()).status, 502);
    world.origin(Ok((200, &[])));
    let before = world.recalled();
    world.call_remembering(&gateway, good());
    assert_eq!(world.recalled(), before, "a full request records that the server answers again");
    world.call_remembering(&gateway, good());
    assert_eq!(world.recalled(), before + 1);
}

/// A credential may be verified again with another result: what was decided with the first one does not apply any more.
#[wasm_bindgen_test(unsupported = test)]
fn a_credential_that_is_verified_anew_is_decided_anew() {
    let asked = json!({ "endpoint": ENDPOINT, "client_id": "gate", "secret": "CLIENT_SECRET", "cache_seconds": 10 });
    let documents = [
        (
            "introspection",
            one_resource(
                json!({ "issuers": ["idp"] }),
                json!({ "issuers": [{ "name": "idp", "issuer": ISSUER, "introspection": asked }] }),
            ),
        ),
        (
            "a verifier",
            one_resource(
                json!({ "verifiers": ["own"] }),
                json!({ "verifiers": [{ "name": "own", "service": "VERIFIER", "cache_seconds": 10 }] }),
            ),
        ),
        (
            "API keys",
            one_resource(
                json!({ "api_keys": ["pk"] }),
                json!({ "api_keys": [{ "prefix": "pk", "kv": "KEYS", "cache_seconds": 10 }] }),
            ),
        ),
    ];
    for (what, document) in documents {
        let secrets = TestSecrets(vec![("CLIENT_SECRET", "secret".to_owned())]);
        let gateway = open_with(document, &secrets).unwrap_or_else(|mistakes| panic!("{what}: {mistakes:?}"));
        let world = World::new();
        let says = |scope: &str| {
            let answer = json!({ "active": true, "sub": "ada", "scope": scope, "client_id": "c", "aud": RESOURCE, "exp": NOON + 600 });
            world.answer(ENDPOINT, Ok((200, JSON, &answer.to_string())));
            world.answer(
                "VERIFIER",
                Ok((200, JSON, &json!({ "active": true, "sub": "ada", "scope": scope }).to_string())),
            );
            let mut stored = record("stored");
            stored["scopes"] = scope.split(' ').collect();
            world.put("KEYS", "apikey:pk:stored", Ok(&stored.to_string()));
        };
        let key = format!("pk_stored_{SECRET}");
        let send = || world.call_remembering(&gateway, Request::post("/mcp").bearer(&key)).status;
        says("mcp:tools first");
        assert_eq!([send(), send(), send(), send()], [200; 4], "{what}: {:?}", world.last_request());
        assert_eq!(world.recalled(), 2, "{what}");
        says("mcp:tools second");
        world.pass(11);
        for _ in 0..4 {
            assert_eq!(send(), 200, "{what}");
            let fields = world.sent().pop().expect("it was sent").fields;
            assert_eq!(fields.get("x-portcullis-scopes"), Some("mcp:tools second"), "{what}");
        }
        assert!(world.recalled() > 2, "{what}: the new decision is remembered");
        says("other");
        world.pass(11);
        assert_eq!([send(), send(), send(), send()], [403; 4], "{what}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_caller_that_was_rejected_too_often_is_not_recalled() {
    let mut document = document();
    document["resources"][0]["refusals_per_minute"] = json!(10);
    let (world, gateway) = fresh(document);
    let narrow = || Request::post("/mcp").bearer(&token(&Claims::good().without("scope")));
    assert_eq!(is_recalled(&world, &gateway, &good(), good()), (true, 200));
    for _ in 0..10 {
        assert_eq!(world.call_remembering(&gateway, narrow()).status, 403);
    }
    let before = world.recalled();
    assert_eq!(world.call_remembering(&gateway, good()).status, 503);
    assert_eq!(world.last_request()["reason"], "rate_limited");
    assert_eq!(world.recalled(), before);
    world.pass(60);
    assert_eq!(world.call_remembering(&gateway, good()).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn rejections_are_not_remembered() {
    let (world, gateway) = fresh(document());
    let bad = [Request::post("/mcp"), Request::post("/mcp").bearer("x"), good().target("/elsewhere")];
    for request in bad {
        let statuses: Vec<u16> = (0..5).map(|_| world.call_remembering(&gateway, request.clone()).status).collect();
        assert!(statuses.iter().all(|status| *status >= 400), "{statuses:?}");
    }
    assert_eq!(world.recalled(), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_answer_to_a_repeated_request_is_judged_as_any_other() {
    let answers: [(u16, &[(&'static str, &str)]); 9] = [
        (
            200,
            &[
                ("content-type", "application/json"),
                ("set-cookie", "a=1"),
                ("server", "x"),
                ("cache-control", "public"),
            ],
        ),
        (202, &[]),
        (204, &[]),
        (302, &[("location", "https://evil.example")]),
        (400, &[("content-type", "application/json")]),
        (401, &[("www-authenticate", "Bearer")]),
        (404, &[]),
        (500, &[]),
        (200, &[("content-type", "text/event-stream"), ("content-encoding", "gzip"), ("content-length", "5")]),
    ];
    for (status, fields) in answers {
        let (plain, other) = (fresh(document()), fresh(document()));
        for _ in 0..4 {
            plain.0.call(&plain.1, good());
            other.0.call_remembering(&other.1, good());
        }
        assert_eq!(other.0.recalled(), 2);
        plain.0.origin(Ok((status, fields)));
        other.0.origin(Ok((status, fields)));
        let (expected, got) = (plain.0.call(&plain.1, good()), other.0.call_remembering(&other.1, good()));
        assert_eq!(other.0.recalled(), 3, "{status}");
        assert_eq!((expected.status, &expected.fields), (got.status, &got.fields), "{status}");
        assert_eq!(expected.body, got.body, "{status}");
        assert_eq!(plain.0.last_request(), other.0.last_request(), "{status}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_table_stays_within_its_limits_and_clients_whose_heads_all_differ_fill_nothing() {
    let (world, gateway) = fresh(document());
    for n in 0..200 {
        world.call_remembering(&gateway, good().field("x-n", &n.to_string()));
        world.call_remembering(&gateway, good().field("x-n", &format!("{n} again")));
    }
    assert_eq!(world.recalled(), 0);
    let many = REMEMBERED_SETS * REMEMBERED_WAYS / 4;
    for n in 0..many {
        for _ in 0..2 {
            world.call_remembering(&gateway, good().field("x-m", &n.to_string()));
        }
    }
    let known = (0..many).filter(|n| {
        let text = text_of(&good().field("x-m", &n.to_string()).head);
        matches!(gateway.look_up(&world, &text), LookUp::Recalled(_))
    });
    let known = known.count();
    assert!(known > many * 9 / 10, "{known} of {many}");
    assert_eq!(known, world.planned().len(), "the shell keeps what the core remembers, and nothing else");
}

#[wasm_bindgen_test(unsupported = test)]
fn long_heads_evict_others() {
    let (world, gateway) = fresh(document());
    let long = |n: usize| good().field("x-long", &format!("{n}{}", "x".repeat(20_000)));
    for n in 0..3_000 {
        for _ in 0..2 {
            world.call_remembering(&gateway, long(n));
        }
    }
    // Of heads of 20 KB, a set of 128 KB holds six.
    let kept = world.planned().len();
    assert!(kept > REMEMBERED_SETS && kept <= REMEMBERED_SETS * 6, "{kept}");
    let known = (0..3_000).filter(|n| matches!(gateway.look_up(&world, &text_of(&long(*n).head)), LookUp::Recalled(_)));
    assert_eq!(known.count(), world.planned().len(), "the shell keeps what the core remembers, and nothing else");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fingerprint_depends_on_all_that_is_not_left_out() {
    let head = "POST\nhttps://gate.example/mcp\n\n;\naccept,a\ncontent-length,3\nhost,gate.example";
    let of = |text: &str| fingerprint(text, &KEY).map(|(head, _)| head);
    let same = [
        head.replace("content-length,3", "content-length,4"),
        head.replace("\ncontent-length,3", ""),
        format!("{head}\ntracestate,a=1"),
        head.replace("content-length,3", "cf-ray,1\ncontent-length,3"),
    ];
    for text in &same {
        assert_eq!(of(text), of(head), "{text}");
    }
    let other = [
        head.replace("POST", "GET"),
        head.replace("/mcp", "/mcq"),
        head.replace("\n\n;", "\nSUCCESS;0;aa\n;"),
        head.replace("\n;", "\nDE;1"),
        head.replace("accept,a", "accept,b"),
        head.replace("accept,a", "accept,"),
        head.replace("accept,a\n", ""),
        format!("{head}\nzz,1"),
        format!("{head}\ncontent-lengths,1"),
        // What looks like one of those fields in another place is none.
        head.replace("\n\n;", "\ncf-ray,x\n;"),
        head.replace("accept,a", "accept,cf-ray,1"),
    ];
    let mut all: Vec<_> = other.iter().map(|text| of(text)).chain([of(head)]).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), other.len() + 1);
    assert_ne!(of(head), fingerprint(head, &[8; 16]).map(|(head, _)| head), "it depends on the key");
    assert_eq!(of(&format!("{head}\nx,{}", "x".repeat(FIELDS_BYTES))), None);
    let many: String = (0..FIELDS_COUNT).map(|n| format!("\nx-{n},1")).collect();
    assert_eq!(of(&format!("{head}{many}")), None);
    let (_, left_out) = fingerprint(head, &KEY).expect("it is small");
    assert_eq!((left_out.content_length, left_out.traceparent), (Some("3"), None));
    assert_eq!(read_head(head).fields.get("host"), Some("gate.example"));
}

#[cfg(not(target_family = "wasm"))]
mod property {
    use proptest::prelude::*;

    use super::*;

    /// One step of a sequence.
    #[derive(Debug, Clone)]
    enum Step {
        Request { caller: usize, variant: usize },
        Pass(u64),
        Back(u64),
        Keys(usize),
        Revoke(usize),
        RevocationsDown,
        Origin(usize),
        Background,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => (0..4_usize, 0..8_usize).prop_map(|(caller, variant)| Step::Request { caller, variant }),
            2 => prop::sample::select(vec![1, 30, 61, 299, 600, 3600]).prop_map(Step::Pass),
            1 => prop::sample::select(vec![1, 61, 600]).prop_map(Step::Back),
            1 => (0..3_usize).prop_map(Step::Keys),
            1 => (0..3_usize).prop_map(Step::Revoke),
            1 => Just(Step::RevocationsDown),
            2 => (0..5_usize).prop_map(Step::Origin),
            2 => Just(Step::Background),
        ]
    }

    fn request(caller: usize, variant: usize) -> Request {
        let claims = match caller {
            0 => Claims::good(),
            1 => Claims::good().with("sub", json!("bob")),
            2 => Claims::good().without("scope"),
            _ => Claims::good().with("exp", json!(1_795_435_200 + 90)),
        };
        let good = Request::post("/mcp").bearer(&token(&claims));
        match variant {
            0 => good,
            1 => good.modern(),
            2 => good.field("origin", "https://app.example"),
            3 => good.target("/mcp?x=1"),
            4 => good.field("content-length", "5000000"),
            5 => good
                .field("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
                .field("tracestate", "a=1"),
            6 => Request::new(Method::Get, "/mcp").bearer(&token(&claims)),
            _ => good.field("origin", "https://evil.example"),
        }
    }

    fn apply(world: &World, step: &Step) {
        match step {
            Step::Request { .. } => unreachable!("it is sent"),
            Step::Pass(seconds) => world.pass(*seconds),
            Step::Back(seconds) => world.back(*seconds),
            Step::Keys(which) => {
                let keys: Vec<Value> = match which {
                    0 => Key::ALL.map(Key::public_jwk).to_vec(),
                    1 => vec![Key::P384.public_jwk()],
                    _ => vec![Key::Rsa.public_jwk(), Key::Ed25519.public_jwk()],
                };
                world.publish(&json!({ "keys": keys }).to_string(), Some("max-age=60"));
            }
            Step::Revoke(which) => {
                let list = [
                    json!({ "version": 1 }),
                    json!({ "version": 1, "sub": ["ada"] }),
                    json!({ "version": 1, "sub": ["bob"] }),
                ];
                world.put("KV", "revocations", Ok(&list[*which].to_string()));
            }
            Step::RevocationsDown => world.put("KV", "revocations", Err("KV is down")),
            Step::Origin(which) => match which {
                0 => world.origin(Err(OriginFailure::Unreachable { streamed: false })),
                1 => world.origin(Ok((500, &[]))),
                2 => world.origin(Ok((202, &[]))),
                _ => world.origin(Ok((200, &[("content-type", "application/json"), ("cache-control", "public")]))),
            },
            Step::Background => world.run_background(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(64), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_sequence_gives_the_same_decisions_with_and_without_it(steps in prop::collection::vec((step(), 1..5_usize), 1..40)) {
            let mut document = document_with(json!({ "revocation": { "kv": "KV", "seconds": 60 } }));
            document["resources"][0]["refusals_per_minute"] = json!(10);
            let (one, other) = (fresh(document.clone()), fresh(document));
            for (world, _) in [&one, &other] {
                apply(world, &Step::Keys(0));
                apply(world, &Step::Revoke(0));
            }
            for _ in 0..4 {
                one.0.call(&one.1, request(0, 0));
                other.0.call_remembering(&other.1, request(0, 0));
            }
            prop_assert_eq!(other.0.recalled(), 2);
            for (step, times) in &steps {
                let Step::Request { caller, variant } = step else {
                    apply(&one.0, step);
                    apply(&other.0, step);
                    continue;
                };
                for _ in 0..*times {
                    let expected = one.0.call(&one.1, request(*caller, *variant));
                    let got = other.0.call_remembering(&other.1, request(*caller, *variant));
                    prop_assert_eq!((expected.status, &expected.fields, &expected.body), (got.status, &got.fields, &got.body));
                }
            }
            prop_assert_eq!(one.0.lines(), other.0.lines());
            prop_assert_eq!(one.0.fetched(), other.0.fetched());
            prop_assert_eq!(one.0.reads(), other.0.reads());
            prop_assert_eq!(one.1.token_cache().0, other.1.token_cache().0);
            let sent = |world: &World| world.sent().iter().map(|it| (it.url.clone(), it.fields.clone(), it.body.clone())).collect::<Vec<_>>();
            // The shell sends the fields of a remembered request in another order.
            let sorted = |world: &World| sent(world).into_iter().map(|(url, fields, body)| {
                let mut fields: Vec<(String, String)> = fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                fields.sort();
                (url, fields, body)
            }).collect::<Vec<_>>();
            prop_assert_eq!(sorted(&one.0), sorted(&other.0));
        }

        /// The same where a credential is looked up, and its answer changes.
        #[test]
        fn every_sequence_of_answers_about_a_credential_gives_the_same_decisions(
            steps in prop::collection::vec((0..6_usize, 1..5_usize), 1..40),
        ) {
            let asked = json!({ "endpoint": ENDPOINT, "client_id": "gate", "secret": "S", "cache_seconds": 10 });
            let issuers = json!({ "issuers": [{ "name": "idp", "issuer": ISSUER, "introspection": asked }] });
            let document = one_resource(json!({ "issuers": ["idp"] }), issuers);
            let open = || open_with(document.clone(), &TestSecrets(vec![("S", "secret".to_owned())])).expect("right");
            let (one, other) = ((World::new(), open()), (World::new(), open()));
            let answers = ["mcp:tools a", "mcp:tools b", "none"];
            for (step, times) in std::iter::once(&(0, 1)).chain(&steps) {
                for (world, _) in [&one, &other] {
                    match step {
                        3 => world.pass(4),
                        4 | 5 => {}
                        which => {
                            let answer = json!({ "active": true, "sub": "ada", "scope": answers[*which], "aud": RESOURCE, "exp": NOON + 60 });
                            world.answer(ENDPOINT, Ok((200, JSON, &answer.to_string())));
                        }
                    }
                }
                for _ in 0..*times {
                    let request = || Request::post("/mcp").bearer("opaque");
                    let (expected, got) = (one.0.call(&one.1, request()), other.0.call_remembering(&other.1, request()));
                    prop_assert_eq!((expected.status, &expected.fields, &expected.body), (got.status, &got.fields, &got.body));
                }
            }
            let scopes = |world: &World| world.sent().iter().map(|it| it.fields.get("x-portcullis-scopes").map(str::to_owned)).collect::<Vec<_>>();
            prop_assert_eq!(scopes(&one.0), scopes(&other.0));
        }
    }
}
