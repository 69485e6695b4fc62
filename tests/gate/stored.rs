//! Configuration in KV: looked for in time, taken only where it is right, and what outlives a change.

use std::rc::Rc;

use portcullis::config::{DocumentLocation, Mistakes, StoredDocument};
use portcullis::gateway::{ConfigState, Gateway, ReloadOutcome, StoredGateway, version};
use portcullis::time::UnixMillis;
use portcullis::token::compiled::CompiledVerifiers;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{Claims, Request, TestSecrets, World, document, document_with, token};

const BEGIN: u64 = 1_800_000_000_000;

fn place(variable: Value) -> Result<DocumentLocation, Vec<String>> {
    DocumentLocation::of(variable).map_err(|mistakes| mistakes.lines().to_vec())
}

fn stored() -> StoredDocument {
    StoredDocument { kv: "CONFIGURATION".to_owned(), key: "portcullis".to_owned(), seconds: 30 }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_variable_holds_the_document_or_says_where_it_is() {
    assert_eq!(place(document()), Ok(DocumentLocation::Here(document())));
    assert_eq!(place(Value::String(document().to_string())), Ok(DocumentLocation::Here(document())));
    let pointer = json!({ "stored": { "kv": "CONFIGURATION" } });
    assert_eq!(place(pointer.clone()), Ok(DocumentLocation::Stored(stored())));
    assert_eq!(place(Value::String(pointer.to_string())), Ok(DocumentLocation::Stored(stored())));
    let slow = json!({ "stored": { "kv": "A", "key": "b", "seconds": 90 } });
    assert_eq!(
        place(slow),
        Ok(DocumentLocation::Stored(StoredDocument { kv: "A".to_owned(), key: "b".to_owned(), seconds: 60 }))
    );
    for (stored, mistake) in [
        (json!(7), "stored: must be a table, got 7"),
        (json!({}), "stored.kv: is required"),
        (json!({ "kv": "" }), "stored.kv: must be the name of a binding"),
        (json!({ "kv": "A", "key": "" }), "stored.key: must be 1 to 400 bytes"),
        (json!({ "kv": "A", "seconds": 5 }), "stored.seconds: must be 60 to 3600, got 5"),
        (
            json!({ "kv": "A", "seconsd": 5 }),
            "stored.seconsd: unknown key; did you mean `seconds`? known here: kv, key, seconds",
        ),
    ] {
        assert_eq!(place(json!({ "stored": stored })), Err(vec![mistake.to_owned()]));
    }
    let beside = json!({ "stored": { "kv": "A" }, "public_url": "https://a.example", "development": true });
    let mistake = "stored: must be the only key: development, public_url belong in the stored document";
    assert_eq!(place(beside), Err(vec![mistake.to_owned()]));
    assert_eq!(place(Value::String("{".to_owned())).map_err(|lines| lines.len()), Err(1));
}

struct Kv {
    world: World,
    gateway: StoredGateway,
    secrets: TestSecrets,
}

impl Kv {
    fn new() -> Self {
        Self { world: World::new(), gateway: StoredGateway::new(stored(), [7; 32]), secrets: TestSecrets::default() }
    }

    fn look(&mut self, seconds: u64) -> ConfigState {
        self.gateway.due(UnixMillis(BEGIN + seconds * 1000))
    }

    fn found(&mut self, document: &str, seconds: u64) -> ReloadOutcome {
        let found = Ok(Some(document.as_bytes().to_vec()));
        self.gateway.apply_document(
            found,
            (&self.secrets, CompiledVerifiers::default()),
            &|_| Ok(()),
            UnixMillis(BEGIN + seconds * 1000),
        )
    }

    fn activated(&mut self, document: &Value, seconds: u64) -> Rc<Gateway> {
        match self.found(&document.to_string(), seconds) {
            ReloadOutcome::Activated(gateway, version_of) => {
                assert_eq!(version_of, version(document.to_string().as_bytes()));
                gateway
            }
            other => panic!("{other:?}"),
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_passes_before_there_is_a_document() {
    let mut kv = Kv::new();
    assert!(matches!(kv.look(0), ConfigState::Missing));
    assert!(matches!(kv.look(0), ConfigState::Missing), "nobody waits for another's question");
    for failure in [Ok(None), Err("no answer in time".into())] {
        let taken = kv.gateway.apply_document(
            failure,
            (&kv.secrets, CompiledVerifiers::default()),
            &|_| Ok(()),
            UnixMillis(BEGIN),
        );
        let ReloadOutcome::Unavailable(why) = taken else { panic!("{taken:?}") };
        assert!(why.starts_with("KV \"CONFIGURATION\", key \"portcullis\": "), "{why}");
        assert!(kv.gateway.current().is_none());
    }
    assert!(matches!(kv.look(1), ConfigState::Unavailable));
    assert!(matches!(kv.look(2), ConfigState::Missing));
    let ReloadOutcome::Refused(mistakes, _) = kv.found(r#"{ "public_url": "https://a.example" }"#, 2) else { panic!() };
    assert_eq!(mistakes.lines(), ["resources: is required"]);
    assert!(matches!(kv.look(3), ConfigState::Unavailable));
    assert!(matches!(kv.look(4), ConfigState::Missing), "it may be mended any moment");
    for text in
        ["", "{", "[]", "{\"public_url\":\"https://a.example\",\"public_url\":\"https://b.example\"}", "\u{feff}{}"]
    {
        assert!(matches!(kv.found(text, 4), ReloadOutcome::Refused(..)), "{text}");
    }
    kv.activated(&document(), 5);
    assert!(matches!(kv.look(6), ConfigState::Current(_)));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_change_is_looked_for_by_one_and_taken_only_where_it_is_right() {
    let mut kv = Kv::new();
    kv.activated(&document(), 0);
    assert!(matches!(kv.look(29), ConfigState::Current(_)));
    assert!(matches!(kv.look(30), ConfigState::ReloadDue(_)));
    assert!(matches!(kv.look(30), ConfigState::Current(_)), "one is enough");
    assert!(matches!(kv.found(&document().to_string(), 31), ReloadOutcome::Same));
    assert!(matches!(kv.look(60), ConfigState::Current(_)));

    let wrong = json!({ "public_url": "https://gate.example", "resources": [], "issuer": [] }).to_string();
    assert!(matches!(kv.look(61), ConfigState::ReloadDue(_)));
    let ReloadOutcome::Refused(mistakes, version_of) = kv.found(&wrong, 61) else { panic!() };
    assert!(mistakes.lines()[0].starts_with("issuer: unknown key; did you mean `issuers`?"), "{mistakes}");
    assert_eq!(version_of, version(wrong.as_bytes()));
    assert!(kv.gateway.current().is_some(), "the old one is kept");
    assert!(matches!(kv.found(&wrong, 91), ReloadOutcome::Same), "said once");

    let lacking = document_with(json!({ "public_page": false })).to_string();
    let fits = |_: &Gateway| Err(Mistakes::of("resources[0].service", "the Worker has no such binding \"TOOLS\""));
    let found = Ok(Some(lacking.as_bytes().to_vec()));
    let taken = kv.gateway.apply_document(
        found,
        (&kv.secrets, CompiledVerifiers::default()),
        &fits,
        UnixMillis(BEGIN + 92_000),
    );
    assert!(matches!(taken, ReloadOutcome::Refused(..)), "what the Worker lacks is a mistake too");

    let pointer = json!({ "stored": { "kv": "ELSEWHERE" } }).to_string();
    assert!(matches!(kv.found(&pointer, 92), ReloadOutcome::Refused(..)), "it does not lead on");

    let down = kv.gateway.apply_document(
        Err("down".into()),
        (&kv.secrets, CompiledVerifiers::default()),
        &|_| Ok(()),
        UnixMillis(BEGIN + 93_000),
    );
    assert!(matches!(down, ReloadOutcome::Unavailable(_)));
    assert!(matches!(kv.look(94), ConfigState::Current(_)));
    assert!(matches!(kv.look(95), ConfigState::ReloadDue(_)), "asked again soon");
    assert!(kv.gateway.current().is_some());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_change_is_in_force_for_tokens_that_were_known() {
    let mut kv = Kv::new();
    let old = kv.activated(&document(), 0);
    let call = |world: &World, gateway: &Rc<Gateway>| {
        world.call(gateway, Request::post("/mcp").bearer(&token(&Claims::good()))).status
    };
    assert_eq!(call(&kv.world, &old), 200);
    let strict = document_with(json!({ "resources": [
        { "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"], "scopes": ["mcp:more"] },
    ] }));
    let new = kv.activated(&strict, 1);
    assert_eq!(call(&kv.world, &new), 403);
    assert_eq!(call(&kv.world, &old), 200, "what was on its way ends as it began");
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_and_counts_outlive_a_change_and_the_record_goes_on() {
    let mut kv = Kv::new();
    let with = |page: bool| {
        document_with(json!({ "public_page": page, "decision_log": {}, "resources": [
            { "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"],
              "rules": [{ "effect": "allow", "methods": ["*"] }],
              "limits": [{ "requests": 3, "seconds": 60, "by": ["subject"] }] },
        ] }))
    };
    let call = |world: &World, gateway: &Rc<Gateway>| {
        let request = Request::post("/mcp").bearer(&token(&Claims::good()));
        world
            .call(gateway, request.body(br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#))
            .status
    };
    let old = kv.activated(&with(true), 0);
    assert_eq!([call(&kv.world, &old), call(&kv.world, &old)], [200, 200]);
    kv.world.provider_down();
    kv.world.share(std::collections::HashMap::new());
    let new = kv.activated(&with(false), 1);
    assert_eq!([call(&kv.world, &new), call(&kv.world, &new)], [200, 429]);
    let numbers = kv.world.decisions().into_iter().map(|line| {
        let line: Value = serde_json::from_str(&line).expect("JSON");
        (line["run"].clone(), line["seq"].as_u64())
    });
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.len() >= 3 && numbers.iter().all(|(run, _)| *run == numbers[0].0), "{numbers:?}");
    assert!(numbers.windows(2).all(|pair| pair[1].1 == pair[0].1.map(|seq| seq + 1)), "{numbers:?}");

    let mut other = with(true);
    other["resources"][0]["limits"] = json!([
        { "requests": 4, "seconds": 60, "by": ["subject"] },
        { "requests": 3, "seconds": 60, "by": ["subject"] },
    ]);
    let other = kv.activated(&other, 2);
    assert_eq!(call(&kv.world, &other), 429, "in another order it is the same limit");
    let mut fresh = with(true);
    fresh["resources"][0]["limits"] = json!([{ "requests": 1, "seconds": 60, "by": ["subject"] }]);
    let fresh = kv.activated(&fresh, 2);
    assert_eq!(call(&kv.world, &fresh), 200, "what another limit counted is not this one's");

    let moved = document_with(json!({ "issuers": [{ "name": "idp", "issuer": "https://login.example",
        "jwks_uri": "https://elsewhere.example/keys" }] }));
    let moved = kv.activated(&moved, 2);
    assert_eq!(call(&kv.world, &moved), 503, "keys of another place are asked for");
}
