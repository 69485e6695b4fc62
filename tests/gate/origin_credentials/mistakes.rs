//! Mistakes in the configuration of credentials for origin servers.

use portcullis::config::{Configuration, Secrets};

use super::*;

/// Each document has a mistake that begins so, after the path of the table.
fn assert_mistakes(cases: Vec<(Value, &str)>) {
    for (document, expected) in cases {
        let found = mistakes(document);
        let expected = expected.replace('@', AT);
        assert!(found.iter().any(|line| line.starts_with(&expected)), "{expected}\n{found:?}");
    }
}

fn on(key: &str, value: Value, credential: Value) -> Value {
    with_resource(json!({ key: value, "credential": credential }))
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_in_static_fields() {
    let of = |entry: Value| with(json!({ "static": [entry] }));
    let one = || json!({ "static": [{ "secrets": ["CURRENT"] }] });
    let twice = json!({ "static": [{ "secrets": ["CURRENT"] }, { "field": "authorization", "secrets": ["NEXT"] }] });
    let tenant = json!({ "static": [{ "field": "x_tenant-id", "secrets": ["CURRENT"] }] });
    let rotating = json!({ "static": [{ "secrets": ["CURRENT", "NEXT"] }] });
    assert_mistakes(vec![
        (with(json!({ "static": [] })), "@.static: must have 1 to 8 entries"),
        (of(json!({ "secrets": [] })), "@.static[0].secrets: must name one secret"),
        (of(json!({ "secrets": ["CURRENT", "NEXT", "CLIENT"] })), "@.static[0].secrets: must name one secret"),
        (of(json!({ "secrets": ["CURRENT", "CURRENT"] })), "@.static[0].secrets[1]: is there twice"),
        (of(json!({ "secrets": ["NONE"] })), "@.static[0].secrets[0]: there is no Worker secret \"NONE\""),
        (of(json!({ "secrets": ["EMPTY"] })), "@.static[0].secrets[0]: the secret must be visible ASCII"),
        (of(json!({ "secrets": ["LINES"] })), "@.static[0].secrets[0]: the secret must be visible ASCII"),
        (of(json!({ "field": "Host", "secrets": ["CURRENT"] })), "@.static[0].field: cannot have a credential"),
        (of(json!({ "field": "Mcp-Name", "secrets": ["CURRENT"] })), "@.static[0].field: cannot have a credential"),
        // Some servers read an underscore as a hyphen.
        (
            of(json!({ "field": "mcp_session_id", "secrets": ["CURRENT"] })),
            "@.static[0].field: cannot have a credential",
        ),
        (
            of(json!({ "field": "X_Portcullis_Subject", "secrets": ["CURRENT"] })),
            "@.static[0].field: cannot have a credential",
        ),
        (of(json!({ "field": "x y", "secrets": ["CURRENT"] })), "@.static[0].field: must be the name of a field"),
        (
            of(json!({ "scheme": "Bear er", "secrets": ["CURRENT"] })),
            "@.static[0].scheme: must be the name of a scheme",
        ),
        (with(twice), "@.static[1].field: is there twice"),
        (of(json!({ "scheme": "Basic", "secrets": ["PAIR"] })), "@.static[0].secrets[0]: the secret must be base64"),
        (of(json!({ "secrets": ["WHOLE"] })), "@.static[0].secrets[0]: the secret must not begin with the scheme"),
        (of(json!({ "secrets": ["CURRENT", "SAME"] })), "@.static[0].secrets[1]: the secret has the same value"),
        (on("forward_fields", json!(["X-Tenant-Id"]), tenant), "@.static[0].field: is in forward_fields too"),
        (on("body_bytes", json!(9_000_000), rotating), "resources[0].body_bytes: must be at most 8388608"),
        (on("identity_claims", json!(["email"]), one()), "resources[0].identity_claims: must be empty"),
    ]);
}

/// What the command line has in place of secrets.
struct Placeholders;

impl Secrets for Placeholders {
    fn secret(&self, _: &str) -> Option<String> {
        Some(Key::P256.private_jwk().to_string())
    }

    fn are_placeholders(&self) -> bool {
        true
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn placeholders_of_secrets_are_not_mistakes() {
    for credential in [
        json!({ "static": [{ "secrets": ["CURRENT", "NEXT"] }] }),
        json!({ "static": [{ "scheme": "Basic", "secrets": ["PAIR"] }] }),
    ] {
        let mut document = with(credential);
        document["identity_assertion"] = json!({ "key_secrets": ["ONE", "TWO"] });
        let read = Configuration::load(document, &Placeholders);
        assert!(read.is_ok(), "{:?}", read.err().map(|mistakes| mistakes.lines().to_vec()));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_secret_that_is_there_twice_is_one_mistake() {
    let found = mistakes(with(json!({ "static": [{ "secrets": ["CURRENT", "CURRENT"] }] })));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_in_accounts_of_users_that_are_not_texts_or_empty() {
    let of = |table: Value| with(json!({ "per_user": table }));
    assert_mistakes(vec![
        (of(json!({ "parameters": { "max_age": 3 } })), "@.per_user.parameters.max_age: must be a string, got"),
        (of(json!({ "parameters": { "a": { "b": "c" } } })), "@.per_user.parameters.a: must be a string, got"),
        (of(json!({ "client_id": "", "issuer": "https://a.example" })), "@.per_user.client_id: must not be empty"),
        (of(json!({ "send_resource": false })), "@.per_user.scopes: is required with send_resource = false"),
    ]);
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_in_clients_and_targets() {
    let client_with = |changes: Value| {
        let mut client = client();
        for (name, value) in changes.as_object().expect("a table") {
            client[name] = value.clone();
        }
        own_token(json!({ "client": client }))
    };
    let at = "@.client_credentials.client";
    let in_client = [
        (json!({ "token_endpoint": "http://tokens.example/token" }), "token_endpoint: must be https"),
        (json!({ "token_endpoint": "https://u:p@tokens.example/" }), "token_endpoint: "),
        (json!({ "client_id": "" }), "client_id: must not be empty"),
        (json!({ "client_id": null }), "client_id: is required"),
        (json!({ "secret": null }), "secret: is required"),
        (json!({ "secret": "NONE" }), "secret: there is no Worker secret"),
        (json!({ "secret": "EMPTY" }), "secret: the secret is empty"),
        (json!({ "authentication": "private_key_jwt" }), "secret: "),
        (json!({ "timeout_seconds": 31 }), "timeout_seconds: must be 1 to 30, got 31"),
        (json!({ "issuer": "tokens" }), "issuer: "),
    ];
    for (changes, expected) in in_client {
        assert_mistakes(vec![(client_with(changes), &format!("{at}.{expected}"))]);
    }
    let fragment = json!({ "resource": "https://tools.example/#x" });
    assert_mistakes(vec![
        (own_token(json!({ "resource": "tools" })), "@.client_credentials.resource: must be an absolute URI"),
        (own_token(json!({ "resource": ":" })), "@.client_credentials.resource: must be an absolute URI"),
        (own_token(json!({ "resource": "urn:x y" })), "@.client_credentials.resource: must be an absolute URI"),
        (own_token(fragment), "@.client_credentials.resource: must be an absolute URI"),
        (own_token(json!({ "audience": "" })), "@.client_credentials.audience: must not be empty"),
        (own_token(json!({ "scopes": ["a b"] })), "@.client_credentials.scopes[0]: "),
    ]);
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_in_kinds_and_exchanges() {
    let exchanged = || json!({ "token_exchange": { "client": client() } });
    let two = json!({ "static": [{ "secrets": ["CURRENT"] }], "token_exchange": { "client": client() } });
    let entra = |more: Value| {
        let mut table = json!({ "profile": "entra_on_behalf_of", "scopes": ["x"] });
        for (name, value) in more.as_object().expect("a table") {
            table[name] = value.clone();
        }
        exchange(table)
    };
    let without_id = json!({ "client": { "token_endpoint": TOKENS, "secret": "CLIENT" } });
    let without_secret = json!({ "client": { "token_endpoint": TOKENS, "authentication": "private_key_jwt" } });
    let mut keys = on("api_keys", json!(["pk"]), exchanged());
    keys["api_keys"] = json!([{ "prefix": "pk", "keys": [record("robot")] }]);
    let mut without_issuer = enterprise();
    without_issuer["resources"][0]["credential"]["enterprise"]["server"]["issuer"] = json!(null);
    assert_mistakes(vec![
        (with(json!({})), "@: must have exactly one of"),
        (with(two), "@: must have exactly one of"),
        (with(json!({ "basic": {} })), "@.basic: unknown key"),
        (exchange(json!({ "actor": true })), "@.token_exchange.actor: needs identity_assertion"),
        (
            exchange(json!({ "subject_token_type": "jwt" })),
            "@.token_exchange.subject_token_type: must be a token type URI",
        ),
        (
            exchange(json!({ "requested_token_type": "urn:ietf:params:oauth:token-type:id_token" })),
            "@.token_exchange.requested_token_type: must be the type of access tokens",
        ),
        (exchange(without_id), "@.token_exchange.client.client_id: is required"),
        (exchange(without_secret), "@.token_exchange.client.authentication: needs secret"),
        (entra(json!({ "scopes": null })), "@.token_exchange.scopes: is required"),
        (entra(json!({ "audience": "y" })), "@.token_exchange.audience: is not for entra_on_behalf_of"),
        (entra(json!({ "client": { "token_endpoint": TOKENS } })), "@.token_exchange.client.client_id: is required"),
        (
            on("anonymous", json!(["tools/list"]), exchanged()),
            "resources[0].anonymous: must be empty with credential.token_exchange",
        ),
        (keys, "resources[0].api_keys: must be empty with credential"),
        (without_issuer, "@.enterprise.server.issuer: is required"),
    ]);
}
