//! Custom verifiers: behind a service binding, and compiled in.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use portcullis::token::compiled::CompiledVerifiers;
use portcullis::token::credential::Credential;
use portcullis::token::error::TokenError;
use portcullis::token::principal::{CredentialKind, SelectedClaims, Subject};
use portcullis::token::verified::VerifiedToken;
use portcullis::token::verifier::{Evidence, TokenVerifier, Verification};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::credentials::{JSON, ask, one_resource, verdict};
use crate::support::{PUBLIC, RESOURCE, Request, TestSecrets, World, open};

fn custom(verifier: Value) -> Rc<Gateway> {
    let document = one_resource(json!({ "verifiers": ["own"] }), json!({ "verifiers": [verifier] }));
    open(document).expect("right")
}

#[wasm_bindgen_test(unsupported = test)]
fn a_verifier_behind_a_service_binding() {
    let gateway = custom(json!({ "name": "own", "service": "VERIFIER", "cache_seconds": 30, "timeout_seconds": 2 }));
    let world = World::new();
    let answer = json!({ "active": true, "sub": "robot-7", "scope": "mcp:tools", "label": "seven" });
    world.answer("VERIFIER", Ok((200, JSON, &answer.to_string())));
    for _ in 0..2 {
        assert_eq!(ask(&world, &gateway, "anything").status, 200);
    }
    let asked = world.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].service.as_deref(), asked[0].seconds), (Some("VERIFIER"), 2));
    let body: Value = serde_json::from_str(&asked[0].body).expect("JSON");
    assert_eq!(body, json!({ "version": 1, "token": "anything", "resource": RESOURCE }));
    let line = world.last_request();
    assert_eq!(
        (&line["credential"], &line["issuer"], &line["label"]),
        (&json!("custom"), &json!("own"), &json!("seven"))
    );
    assert_eq!(world.sent()[0].fields.get("x-portcullis-issuer"), Some(PUBLIC));

    world.answer("VERIFIER", Ok((200, JSON, "{\"active\":false}")));
    assert_eq!(ask(&world, &gateway, "other").status, 401);
    for answer in [Err("slow"), Ok((200, JSON, "nonsense")), Ok((418, JSON, "{\"active\":true}"))] {
        world.answer("VERIFIER", answer);
        let reply = ask(&world, &gateway, "third");
        assert_eq!(verdict(&world, &reply), (503, "verifier_unavailable".to_owned()));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_verifier_is_asked_for_each_resource() {
    let mut document = one_resource(
        json!({ "verifiers": ["own"] }),
        json!({ "verifiers": [{ "name": "own", "service": "V", "cache_seconds": 60 }] }),
    );
    let mut other = document["resources"][0].clone();
    other["path"] = json!("/other");
    document["resources"].as_array_mut().expect("an array").push(other);
    let (world, gateway) = (World::new(), open(document).expect("right"));
    world.answer("V", Ok((200, JSON, "{\"active\":true,\"sub\":\"a\",\"scope\":\"mcp:tools\"}")));
    assert_eq!(ask(&world, &gateway, "x").status, 200);
    world.answer("V", Ok((200, JSON, "{\"active\":false}")));
    assert_eq!(world.call(&gateway, Request::post("/other").bearer("x")).status, 401);
}

struct Password;

impl TokenVerifier for Password {
    fn verify(&self, credential: &Credential, _: &Evidence<'_>) -> Verification {
        if credential.token.expose() != "open-sesame" {
            return Verification::Refused(TokenError::Inactive);
        }
        Verification::Verified(Box::new(VerifiedToken::new(Subject {
            issuer: PUBLIC.to_owned(),
            subject: "ali".to_owned(),
            client: None,
            scopes: portcullis::oauth::scope::ScopeSet::of_text("mcp:tools"),
            kind: CredentialKind::Custom,
            label: None,
            rights: SelectedClaims::default(),
        })))
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_verifier_that_is_compiled_in() {
    let document = || {
        one_resource(
            json!({ "verifiers": ["sesame"] }),
            json!({ "verifiers": [{ "name": "sesame", "compiled": true }] }),
        )
    };
    let secrets = TestSecrets::default();
    let gateway = Gateway::open(document(), &secrets, [1; 32], CompiledVerifiers::default().with("sesame", Password));
    let (world, gateway) = (World::new(), Rc::new(gateway.expect("right")));
    assert_eq!(ask(&world, &gateway, "open-sesame").status, 200);
    assert_eq!(ask(&world, &gateway, "open-barley").status, 401);
    let missing = open(document()).expect_err("nothing of that name is there");
    assert_eq!(missing.lines(), ["verifiers[0].compiled: no verifier \"sesame\" is compiled into this Worker"]);
}
