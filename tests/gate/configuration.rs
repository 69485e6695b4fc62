//! The configuration document: every mistake at once, each with its path and what would be right.

use portcullis::config::renamed::{NewValue, RenamedKey};
use portcullis::config::{Configuration, Mistakes};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::with_rules;
use crate::support::{Key, TestSecrets, document, document_with, open};

fn mistakes(document: Value) -> Vec<String> {
    mistakes_with(document, &TestSecrets::default())
}

fn mistakes_with(document: Value, secrets: &TestSecrets) -> Vec<String> {
    Configuration::load(document, secrets).err().map_or_else(Vec::new, |mistakes: Mistakes| mistakes.lines().to_vec())
}

/// The document with one change has exactly this mistake.
fn one(changes: Value, mistake: &str) {
    assert_eq!(mistakes(document_with(changes)), [mistake]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_right_document() {
    assert_eq!(mistakes(document()), Vec::<String>::new());
}

#[wasm_bindgen_test(unsupported = test)]
fn every_mistake_of_form_at_once() {
    let found = mistakes(json!({
        "public_url": 7,
        "developement": true,
        "allowed_hosts": "a",
        "issuers": [{ "name": "a" }, { "name": "b", "issuer": "https://b.example", "algoritms": [], "leeway_seconds": -1 }],
        "resources": [{ "path": "/mcp", "origin": "https://o.example", "issuers": ["a"], "scopes": ["x", 7] }],
    }));
    let expected = [
        "public_url: must be a string, got 7",
        "developement: unknown key; did you mean `development`? known here: public_url, development, allowed_hosts, allowed_origins, issuers, api_keys, verifiers, resources, public_paths, scope_includes, dpop, authorization_server, revocation, identity_assertion, sessions, decision_log, public_page, operator, metrics, log, stored",
        "allowed_hosts: must be an array, got \"a\"",
        "issuers[0].issuer: is required",
        "issuers[1].algoritms: unknown key; did you mean `algorithms`? known here: name, issuer, profile, tenants, claims, grant_scopes, introspection, jwks_uri, public_key, algorithms, token_types, leeway_seconds, ignore_key_headers",
        "issuers[1].leeway_seconds: must be a whole number, got -1",
        "resources[0].scopes[1]: must be a string, got 7",
    ];
    for mistake in expected {
        assert!(found.iter().any(|found| found == mistake), "{mistake}\nnot in\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
}

#[wasm_bindgen_test(unsupported = test)]
fn every_mistake_of_meaning_at_once() {
    let found = mistakes(json!({
        "public_url": "http://gate.example",
        "allowed_hosts": ["a b"],
        "allowed_origins": ["*"],
        "issuers": [
            { "name": "a", "issuer": "http://a.example" },
            { "name": "b c", "issuer": "https://b.example?x", "algorithms": ["HS256"], "leeway_seconds": 121 },
        ],
        "resources": [{ "path": "mcp", "origin": "http://o.example", "issuers": ["z"], "scopes": ["a b"] }],
        "public_paths": [{ "path": "/healthz", "origin": "https://o.example" }],
    }));
    let expected = [
        "public_url: must be https, got \"http://gate.example\"",
        "issuers[0].issuer: must be https, got \"http://a.example\"",
        "issuers[1].name: must be 1 to 64 letters, digits, -, _ or ., got \"b c\"",
        "issuers[1].issuer: must not have a query (RFC 8414 §2)",
        "issuers[1].algorithms[0]: must be one of ES256, ES384, ES512, EdDSA, Ed25519, PS256, PS384, PS512, RS256, RS384, RS512, got \"HS256\"",
        "issuers[1].leeway_seconds: must be 0 to 120, got 121",
        "resources[0].path: must begin with /, got \"mcp\"",
        "resources[0].origin: must be https, got \"http://o.example\"",
        "resources[0].issuers[0]: no usable issuer has the name \"z\"",
        "resources[0].scopes[0]: must be a scope token (RFC 6749 §3.3: no space, quote or backslash), got \"a b\"",
        "public_paths[0].path: is reserved for the gateway itself: \"/healthz\"",
    ];
    for mistake in expected {
        assert!(found.iter().any(|found| found == mistake), "{mistake}\nnot in\n{}", found.join("\n"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_mistake_of_form_does_not_hide_those_of_meaning() {
    let found = mistakes(json!({
        "public_url": "http://gate.example",
        "developement": true,
        "allowed_origins": "*",
        "issuers": [{ "name": "a", "issuer": "http://a.example", "algoritms": ["RS256"], "leeway_seconds": "30" }],
        "resources": [{ "path": "mcp", "origin": "https://o.example", "issuers": ["a"] }],
    }));
    let paths: Vec<&str> = found.iter().filter_map(|line| line.split(": ").next()).collect();
    for path in [
        "developement",
        "allowed_origins",
        "issuers[0].algoritms",
        "issuers[0].leeway_seconds",
        "public_url",
        "issuers[0].issuer",
        "resources[0].path",
    ] {
        assert_eq!(paths.iter().filter(|found| **found == path).count(), 1, "{path} in {paths:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn texts_that_are_no_document() {
    for text in ["", "{", "[]", "7", "{\"public_url\":1,\"public_url\":2}", &"[".repeat(10_000)] {
        let found = mistakes(Value::String(text.to_owned()));
        assert!(!found.is_empty() && found.iter().all(|found| found.contains(": ")), "{text:.20}: {found:?}");
    }
    assert_eq!(mistakes(Value::Null), ["PORTCULLIS: must be a table, got null"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn public_urls() {
    let at = |url: &str| mistakes(document_with(json!({ "public_url": url }))).first().cloned().unwrap_or_default();
    assert!(at("https://gate.example/").contains("must be scheme and host alone, \"https://gate.example\""));
    assert!(at("https://gate.example/x").contains("must be scheme and host alone"));
    assert!(at("https://Gate.example").contains("must be in canonical form, \"https://gate.example\""));
    assert!(at("https://gate.example:443").contains("must be in canonical form"));
    assert!(at("https://user@gate.example").contains("user information"));
    assert_eq!(at("https://gate.example:8443"), "");
}

#[wasm_bindgen_test(unsupported = test)]
fn development_is_for_loopback_alone() {
    one(json!({ "development": true }), "development: must be false where public_url is not on a loopback host");
    let loopback = json!({ "public_url": "http://127.0.0.1:8787" });
    assert_eq!(mistakes(document_with(loopback)), ["public_url: must be https, got \"http://127.0.0.1:8787\""]);
    let development = json!({ "public_url": "http://127.0.0.1:8787", "development": true });
    assert_eq!(mistakes(document_with(development)), Vec::<String>::new());
    let outside = json!({ "public_url": "http://localhost:1", "development": true, "issuers": [{ "name": "idp", "issuer": "http://login.example" }] });
    assert!(mistakes(document_with(outside))[0].contains("issuers[0].issuer: must be https (http only for loopback)"));
}

#[wasm_bindgen_test(unsupported = test)]
fn names_that_mean_two_things() {
    let issuer = |name: &str, issuer: &str| json!({ "name": name, "issuer": issuer });
    let twice = json!({ "issuers": [issuer("idp", "https://a.example"), issuer("idp", "https://b.example")] });
    assert!(mistakes(document_with(twice))[0].starts_with("issuers[1].name: \"idp\" is the name of another issuer"));
    let same = json!({ "issuers": [issuer("idp", "https://a.example"), issuer("b", "https://a.example")] });
    assert!(
        mistakes(document_with(same))[0].starts_with("issuers[1].issuer: \"https://a.example\" is configured twice")
    );
    let unused = json!({ "issuers": [issuer("idp", "https://a.example"), issuer("b", "https://b.example")] });
    one(unused, "issuers[1]: no resource accepts \"b\": remove it, or name it in one");
    let resource = |path: &str| json!({ "path": path, "origin": "https://o.example", "issuers": ["idp"] });
    for (one, other) in [("/mcp", "/mcp"), ("/mcp", "/MCP"), ("/mcp", "/mcp;x")] {
        let found = mistakes(document_with(json!({ "resources": [resource(one), resource(other)] })));
        assert!(found[0].starts_with("resources[1].path:"), "{found:?}");
    }
    let public = json!({ "public_paths": [{ "path": "/MCP", "origin": "https://o.example" }] });
    one(public, "public_paths[0].path: \"/MCP\" is a resource or public path already");
}

#[wasm_bindgen_test(unsupported = test)]
fn paths_in_canonical_form() {
    let at = |path: &str| {
        let resource = json!({ "path": path, "origin": "https://o.example", "issuers": ["idp"] });
        mistakes(document_with(json!({ "resources": [resource] }))).first().cloned().unwrap_or_default()
    };
    assert!(at("/%6dcp").contains("must be in canonical form, \"/mcp\""));
    assert!(at("/mcp/").contains("must not end in a slash"));
    assert!(at("/a//b").contains("has an empty segment"));
    assert!(at("/.well-known/x").contains("is reserved for the gateway itself"));
    assert!(at("/HEALTHZ").contains("is reserved for the gateway itself"));
    assert_eq!((at("/"), at("/a/b")), (String::new(), String::new()));
}

#[wasm_bindgen_test(unsupported = test)]
fn destinations() {
    let resource = |more: Value| {
        let mut resource = json!({ "path": "/mcp", "issuers": ["idp"] });
        for (name, value) in more.as_object().into_iter().flatten() {
            resource[name] = value.clone();
        }
        mistakes(document_with(json!({ "resources": [resource] }))).first().cloned().unwrap_or_default()
    };
    assert!(resource(json!({})).starts_with("resources[0].origin: is required (or service"));
    assert_eq!(resource(json!({ "service": "TOOLS" })), "");
    assert_eq!(resource(json!({ "service": "TOOLS", "origin": "https://o.example/mcp" })), "");
    assert!(resource(json!({ "service": "" })).starts_with("resources[0].service: must be the name"));
    assert!(resource(json!({ "origin": "https://o.example/?x" })).contains("must not have a query"));
    assert!(
        resource(json!({ "origin": "https://o.example", "issuers": [] }))
            .starts_with("resources[0].issuers: must name at least one")
    );
    assert!(resource(json!({ "origin": "https://o.example", "issuers": ["idp", "idp"] })).contains("is named twice"));
    assert!(resource(json!({ "origin": "https://o.example", "audiences": [] })).contains("at least one audience"));
    assert!(resource(json!({ "origin": "https://o.example", "scopes": ["offline_access"] })).contains("(R11)"));
    for limit in ["response_timeout_seconds", "idle_timeout_seconds", "body_bytes"] {
        assert!(
            resource(json!({ "origin": "https://o.example", limit: 0 }))
                .starts_with(&format!("resources[0].{limit}: must be 1 to"))
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn static_keys() {
    let issuer = |more: Value| {
        let mut issuer = json!({ "name": "idp", "issuer": "https://a.example" });
        for (name, value) in more.as_object().into_iter().flatten() {
            issuer[name] = value.clone();
        }
        mistakes(document_with(json!({ "issuers": [issuer] }))).first().cloned().unwrap_or_default()
    };
    let jwk = Key::P256.public_jwk().to_string();
    assert_eq!(issuer(json!({ "public_key": jwk })), "");
    assert!(issuer(json!({ "public_key": jwk, "jwks_uri": "https://a.example/jwks" })).contains("excludes jwks_uri"));
    assert!(
        issuer(json!({ "public_key": jwk, "algorithms": ["RS256"] }))
            .contains("names no algorithm that fits public_key")
    );
    assert!(
        issuer(json!({ "public_key": Key::P256.private_jwk().to_string() })).contains("is a private or symmetric key")
    );
    assert!(issuer(json!({ "public_key": Key::WeakRsa.public_jwk().to_string() })).contains("below 2048"));
    assert!(
        issuer(json!({ "public_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----" }))
            .contains("keep that one secret")
    );
    assert!(issuer(json!({ "public_key": "nonsense" })).contains("must be a public key in PEM"));
}

#[wasm_bindgen_test(unsupported = test)]
fn secrets_that_are_missing_or_unfit() {
    let mut document = document();
    document["identity_assertion"] = json!({ "key_secrets": ["KEY"] });
    let with = |value: Option<String>| {
        mistakes_with(document.clone(), &TestSecrets(value.map(|value| ("KEY", value)).into_iter().collect()))
            .join("\n")
    };
    assert_eq!(
        with(None),
        "identity_assertion.key_secrets[0]: there is no Worker secret \"KEY\": `wrangler secret put KEY` sets it"
    );
    assert_eq!(with(Some(Key::P256.private_jwk().to_string())), "");
    assert!(with(Some(Key::P256.public_jwk().to_string())).contains("must be the private one"));
    assert!(with(Some(Key::Rsa.private_jwk().to_string())).contains("must be an EC P-256 or OKP Ed25519 key"));
    assert!(with(Some("x".to_owned())).contains("must be a private JWK as JSON"));
    let mut document = crate::support::document();
    document["log"] = json!({ "pseudonym_secret": "S" });
    let short = TestSecrets(vec![("S", "short".to_owned())]);
    let too_short = ["log.pseudonym_secret: the secret must have 32 characters or more"];
    assert_eq!(mistakes_with(document.clone(), &short), too_short);
    assert_eq!(mistakes_with(document, &TestSecrets(vec![("S", String::new())])), too_short);
}

#[wasm_bindgen_test(unsupported = test)]
fn no_mistake_shows_a_password() {
    let document = json!({
        "public_url": "https://a:hidden@gate.example",
        "issuers": [{ "name": "idp", "issuer": "https://a:hidden@a.example", "jwks_uri": "ftp://a:hidden@a.example" }],
        "resources": [{ "path": "/mcp", "origin": "http://a:hidden@a.example", "issuers": ["idp"] }],
    });
    let found = mistakes(document).join("\n");
    assert!(found.lines().count() >= 4 && !found.contains("hidden"), "{found}");
}

#[wasm_bindgen_test(unsupported = test)]
fn no_mistake_shows_a_secret() {
    let secret = Key::Rsa.private_jwk();
    let mut document = document();
    document["identity_assertion"] = json!({ "key_secrets": ["KEY"] });
    document["issuers"][0]["public_key"] = json!(secret.to_string());
    let found = mistakes_with(document, &TestSecrets(vec![("KEY", secret.to_string())])).join("\n");
    assert!(
        !found.is_empty()
            && !found.contains(secret["d"].as_str().expect("d"))
            && !found.contains(secret["n"].as_str().expect("n"))
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_off_is_said_loudly() {
    let gateway = open(document()).expect("right");
    assert!(gateway.warnings().iter().any(|warning| warning.starts_with("identity_assertion is off")));
}

#[cfg(not(target_family = "wasm"))]
#[test]
fn the_schema_and_the_reference_are_current() {
    let schema = portcullis::config::reference::schema();
    let reference = portcullis::config::reference::markdown(&schema);
    let schema = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
    for (path, text) in [("docs/portcullis.schema.json", schema), ("docs/configuration.md", reference)] {
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &text).expect("the file can be written");
        }
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(there, text, "{path} is not current: `UPDATE=1 npm run test:unit` writes it");
    }
}

/// The schema has the default and the range of each number, from the constants that the readers use; the text of each says the
/// same.
#[cfg(not(target_family = "wasm"))]
#[test]
fn numbers_have_the_default_and_range_that_their_text_says() {
    let schema = portcullis::config::reference::schema();
    let mut checked = 0;
    let definitions = schema["$defs"].as_object().expect("definitions").values();
    for definition in definitions.chain([&schema]) {
        for (key, property) in definition["properties"].as_object().into_iter().flatten() {
            // What an argument is compared with may be any number.
            if property["type"] != json!(["integer", "null"]) || matches!(key.as_str(), "at_least" | "at_most") {
                continue;
            }
            let text = property["description"].as_str().unwrap_or_default();
            let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
            let numbers: &[&str] = match key.as_str() {
                "body_bytes" => &["default", "maximum"],
                // Off by default.
                "idle_timeout_seconds" | "keep_alive_seconds" | "max_age" => &["minimum", "maximum"],
                "request_bytes" | "response_bytes" | "depth" | "items" | "answer_seconds" | "in_flight" | "warn_at" => {
                    &["minimum", "maximum"]
                }
                _ => &["default", "minimum", "maximum"],
            };
            for number in numbers {
                let value = property[number].to_string();
                assert!(words.contains(&value.as_str()), "{key}: the text does not say {number} {value}: {text}");
            }
            let (least, most) = (property["minimum"].as_u64(), property["maximum"].as_u64());
            let default = property["default"].as_u64().or(least);
            assert!(least <= default && default <= most, "{key}");
            checked += 1;
        }
    }
    assert_eq!(checked, 41);
}

/// The library that reads the document drops such entries without an error: a rule would have lost a condition.
#[wasm_bindgen_test(unsupported = test)]
fn no_entry_of_a_table_is_dropped() {
    let with = |when: Value| with_rules(json!([{ "effect": "allow", "when": when }]), json!({}));
    let mut includes = with(json!({}));
    includes["scope_includes"] = json!({ "admin": "read" });
    let mut claims = with(json!({}));
    claims["issuers"][0]["claims"] = json!({ "tid": 7 });
    let resource = |key: &str, value: Value| {
        let mut document = with(json!({}));
        document["resources"][0][key] = value;
        document
    };
    for (document, expected) in [
        (with(json!({ "claims": { "tid": 7 } })), "resources[0].rules[0].when.claims.tid: must be"),
        (with(json!({ "claims": { "tid": "7", "ok": ["1"] } })), "resources[0].rules[0].when.claims.tid: must be"),
        (
            with(json!({ "arguments": { "a": { "at_mots": 5 } } })),
            "resources[0].rules[0].when.arguments.a.at_mots: unknown",
        ),
        (with(json!({ "arguments": { "a": 5 } })), "resources[0].rules[0].when.arguments.a: must be"),
        (includes, "scope_includes.admin: must be"),
        (claims, "issuers[0].claims.tid: must be"),
        (resource("labels", json!({ "l": "delete_*" })), "resources[0].labels.l: must be"),
        (resource("parameter_fields", json!({ "a": 5 })), "resources[0].parameter_fields.a: must be"),
    ] {
        let mistakes = open(document).expect_err(expected);
        assert!(mistakes.lines().iter().any(|line| line.starts_with(expected)), "{expected}: {:?}", mistakes.lines());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_renamed_key_is_found_in_its_table_alone() {
    let key = |table| RenamedKey { table, old: "old", new: "new", value: NewValue::Same };
    for (table, path) in [
        ("", ""),
        ("identity_assertion", "identity_assertion"),
        ("resources[].rules[]", "resources[0].rules[12]"),
        ("resources[].credential", "resources[3].credential"),
    ] {
        assert!(key(table).is_in(path), "{table} {path}");
    }
    for (table, path) in [
        ("", "resources[0]"),
        ("resources[].rules[]", "resources[0].rules"),
        ("resources[].rules", "resources[0].rules[1]"),
        ("resources[]", "issuers[0]"),
        ("identity_assertion", "identity_assertions"),
    ] {
        assert!(!key(table).is_in(path), "{table} {path}");
    }
}
