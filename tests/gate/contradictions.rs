//! Configuration that can never work is a mistake that names the key and the cure; what may work is none.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::credentials::record;
use crate::policy::with_rules;
use crate::support::{Key, TestSecrets, document_with, open_with};

const LONG: &str = "a secret of thirty-two characters or more";

fn secrets() -> TestSecrets {
    TestSecrets(vec![
        ("LONG", LONG.to_owned()),
        ("KEY", Key::Ed25519.private_jwk().to_string()),
        ("IDP", "what the provider knows".to_owned()),
    ])
}

fn mistakes(document: Value) -> String {
    open_with(document, &secrets()).err().map(|mistakes| mistakes.lines().join("\n")).unwrap_or_default()
}

/// The gateway as its own authorization server, with changes to its table, its login and its resource.
fn own(server: Value, login: Value, resource: Value) -> Value {
    let merged = |mut into: Value, changes: Value| {
        for (name, value) in changes.as_object().expect("a table") {
            into[name] = value.clone();
        }
        into
    };
    let login = merged(
        json!({ "issuer": "https://login.example", "client_id": "gate", "secret": "IDP", "anyone": true }),
        login,
    );
    let mut server = merged(
        json!({ "key_secrets": ["KEY"], "secrets": ["LONG"], "binding": "AUTHORIZATION", "login": login }),
        server,
    );
    server["login"] = login;
    json!({
        "public_url": "https://gate.example",
        "authorization_server": server,
        "resources": [merged(
            json!({ "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["portcullis"], "scopes": ["mcp:tools"] }),
            resource,
        )],
    })
}

fn issuer(changes: Value) -> Value {
    let mut issuer = json!({ "name": "idp", "issuer": "https://login.example" });
    for (name, value) in changes.as_object().expect("a table") {
        issuer[name] = value.clone();
    }
    document_with(json!({ "issuers": [issuer] }))
}

fn keys(resource: Value, key: Value) -> Value {
    let mut entry = record("robot");
    for (name, value) in key.as_object().expect("a table") {
        entry[name] = value.clone();
    }
    let mut document = with_rules(json!([{ "effect": "allow" }]), resource);
    document["api_keys"] = json!([{ "prefix": "pk", "keys": [entry] }]);
    document["resources"][0]["api_keys"] = json!(["pk"]);
    document
}

/// A rule with these conditions, for callers with API keys alone.
fn key_rule(when: Value) -> Value {
    let mut document = keys(json!({}), json!({}));
    document["resources"][0]["rules"] = json!([{ "effect": "allow", "when": when }]);
    document["resources"][0].as_object_mut().expect("a table").remove("issuers");
    document.as_object_mut().expect("a table").remove("issuers");
    document
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(Value, &'static str)> {
    let metrics = |more: Value| {
        let mut document = document_with(more);
        document["metrics"] = json!({ "secret": "LONG" });
        document
    };
    let resource =
        |path: &str| json!({ "resources": [{ "path": path, "origin": "https://t.example", "issuers": ["idp"] }] });
    let rule = |rule: Value| with_rules(json!([rule]), json!({}));
    let client = |client: Value| own(json!({ "clients": [client] }), json!({}), json!({}));
    let login = |login: Value| own(json!({}), login, json!({}));
    vec![
        (metrics(resource("/metrics")), "resources[0].path: \"/metrics\" is where the counters are"),
        (
            metrics(json!({ "public_paths": [{ "path": "/metrics", "origin": "https://t.example/m" }] })),
            "public_paths[0].path: \"/metrics\" is where the counters are",
        ),
        (
            own(json!({}), json!({}), json!({ "audiences": ["x"] })),
            "resources[0].audiences: must have \"https://gate.example/mcp\" too",
        ),
        (
            own(json!({}), json!({}), json!({ "scope_prefix": "api/" })),
            "resources[0].scope_prefix: must be left out with \"portcullis\"",
        ),
        (
            issuer(json!({ "token_types": ["none"] })),
            "issuers[0].token_types[0]: must be \"absent\" to accept tokens without typ, got \"none\"",
        ),
        (
            issuer(json!({ "token_types": ["Absent"] })),
            "issuers[0].token_types[0]: must be \"absent\" to accept tokens without typ",
        ),
        (
            issuer(json!({ "issuer": "https://login.example/.well-known/openid-configuration" })),
            "issuers[0].issuer: must be the issuer identifier, \"https://login.example\"",
        ),
        (
            issuer(json!({ "issuer": "https://login.microsoftonline.com/common/v2.0", "profile": "entra_id" })),
            "issuers[0].issuer: must have the id of the tenant",
        ),
        (
            issuer(json!({ "issuer": "https://accounts.google.com/", "profile": "google" })),
            "issuers[0].issuer: must not end in a slash",
        ),
        (issuer(json!({ "claims": { "": ["x"] } })), "issuers[0].claims: must name each claim"),
        (
            document_with(json!({
                "issuers": [{ "name": "idp", "issuer": "https://accounts.google.com", "profile": "google", "claims": { "hd": ["acme.example"] } }],
                "resources": [{ "path": "/mcp", "origin": "https://t.example", "issuers": ["idp"], "scopes": ["mcp:tools"], "audiences": ["x"] }],
            })),
            "issuers[0].grant_scopes: tokens of \"idp\" have no scopes of their own",
        ),
        (
            key_rule(json!({ "groups": ["g"] })),
            "resources[0].rules[0].when.groups: can never match: API keys have no groups",
        ),
        (
            key_rule(json!({ "roles": ["g"] })),
            "resources[0].rules[0].when.roles: can never match: API keys have no roles",
        ),
        (
            key_rule(json!({ "claims": { "tid": ["1"] } })),
            "resources[0].rules[0].when.claims: can never match: API keys have no claims",
        ),
        (
            own(
                json!({}),
                json!({}),
                json!({ "rules": [{ "effect": "deny", "when": { "groups": ["g"] } }, { "effect": "allow" }] }),
            ),
            "resources[0].rules[0].when.groups: can never match: tokens of \"portcullis\" carry no \"groups\"; add it to authorization_server.token_claims",
        ),
        (
            rule(json!({ "effect": "allow", "when": { "asns": [0] } })),
            "when.asns: must be numbers of autonomous systems",
        ),
        (
            rule(json!({ "effect": "allow", "when": { "countries": ["UK"] } })),
            "when.countries[0]: the United Kingdom is \"GB\"",
        ),
        (
            rule(json!({ "effect": "allow", "tools": ["a\u{200b}b"] })),
            "rules[0].tools[0]: can never match: it has the invisible character U+200B",
        ),
        (
            rule(json!({ "effect": "allow", "when": { "arguments": { "x": { "one_of": [] } } } })),
            "when.arguments.x: can never hold: one_of names no value",
        ),
        (
            rule(json!({ "effect": "allow", "when": { "arguments": { "x": { "one_of": ["a"], "like": "b*" } } } })),
            "when.arguments.x: can never hold: no value of one_of matches like",
        ),
        (
            with_rules(json!([{ "effect": "allow" }]), json!({ "parameter_fields": { "Region": "" } })),
            "parameter_fields.Region: must name an argument",
        ),
        (
            with_rules(
                json!([{ "effect": "allow" }]),
                json!({ "limits": [
                { "by": ["subject"], "requests": 1, "seconds": 10, "binding": "L" }, { "by": ["client"], "requests": 2, "seconds": 10, "binding": "L" },
            ] }),
            ),
            "limits[1].binding: is also the binding of limits[0], which has another limit or period",
        ),
        (
            client(json!({ "client_id": "c", "redirect_uris": ["https://c.example/*"] })),
            "clients[0].redirect_uris[0]: must be https with a path before /*",
        ),
        (
            client(json!({ "client_id": "c", "redirect_uris": ["https://c.example/x"], "scopes": [] })),
            "clients[0].scopes: must name at least one scope",
        ),
        (
            client(json!({ "client_id": "c", "redirect_uris": ["https://c.example/x"], "scopes": ["none"] })),
            "clients[0].scopes: names no scope of any resource",
        ),
        (
            client(
                json!({ "client_id": "c", "token_endpoint_auth_method": "client_secret_basic", "secret": "LONG", "grant_types": ["client_credentials"] }),
            ),
            "clients[0].scopes: is required with client_credentials",
        ),
        (
            client(
                json!({ "client_id": "c", "redirect_uris": ["https://c.example/x"], "grant_types": ["refresh_token"] }),
            ),
            "clients[0].grant_types: refresh_token needs authorization_code",
        ),
        (
            client(
                json!({ "client_id": "c", "redirect_uris": ["https://c.example/x"], "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://10.0.0.1/keys" }),
            ),
            "clients[0].jwks_uri: must be on a public host",
        ),
        (
            own(json!({ "entitlements": [{ "scopes": ["mcp:tolos"], "groups": ["g"] }] }), json!({}), json!({})),
            "entitlements[0].scopes: \"mcp:tolos\" is a scope of no resource",
        ),
        (
            own(json!({ "entitlements": [{ "scopes": [], "groups": ["g"] }] }), json!({}), json!({})),
            "entitlements[0].scopes: must name at least one scope",
        ),
        (
            own(json!({ "client_document_domains": [] }), json!({}), json!({})),
            "client_document_domains: must name at least one domain",
        ),
        (
            own(json!({ "client_document_domains": ["*.v.example"] }), json!({}), json!({})),
            "client_document_domains[0]: must be a domain in lower case",
        ),
        (
            login(json!({ "issuer": "https://login.example/.well-known/openid-configuration" })),
            "login.issuer: must be the issuer identifier",
        ),
        (
            issuer(json!({ "issuer": "https://login.example/x/.well-known" })),
            "issuers[0].issuer: must be the issuer identifier, \"https://login.example/x\"",
        ),
        (
            login(json!({ "profile": "entra_id", "issuer": "https://login.microsoftonline.com/common/v2.0" })),
            "login.issuer: must have the id of the tenant, or {tenantid} with tenants and metadata_url: no ID token is from \"common\"",
        ),
        (
            login(json!({ "profile": "google", "issuer": "https://accounts.google.com/" })),
            "login.issuer: must not end in a slash",
        ),
        (login(json!({ "parameters": { "request_uri": "x" } })), "login.parameters.request_uri: must be left out"),
        (
            login(json!({ "anyone": null, "allowed_domains": ["acme.example."] })),
            "login.allowed_domains[0]: must be a domain",
        ),
        (login(json!({ "scopes": ["profile"] })), "login.scopes: must have openid"),
        (login(json!({ "parameters": { "state": "x" } })), "login.parameters.state: must be left out"),
        (
            login(json!({ "parameters": { "response_mode": "form_post" } })),
            "login.parameters.response_mode: must be query",
        ),
        (login(json!({ "client_id": "" })), "login.client_id: must not be empty"),
        (
            login(json!({ "anyone": null, "allowed_domains": ["@acme.example"] })),
            "login.allowed_domains[0]: must be a domain",
        ),
        (
            login(json!({ "profile": "google", "anyone": null, "allowed_domains": ["gmail.com"] })),
            "login.allowed_domains[0]: \"gmail.com\" is no domain of Google Workspace",
        ),
        (
            login(json!({ "profile": "google", "anyone": null, "allowed_groups": ["g"] })),
            "login: Google sends no groups",
        ),
        (
            login(json!({ "profile": "entra_id", "anyone": null, "allowed_users": ["a@acme.example"] })),
            "login: Entra ID does not verify email addresses",
        ),
        (
            login(json!({ "profile": "github", "issuer": null, "anyone": null, "allowed_users": ["octocat"] })),
            "login: must be an email address or the numeric id",
        ),
        (
            login(json!({ "profile": "github", "issuer": null, "anyone": null, "allowed_groups": ["acme/team"] })),
            "login: must be an organization",
        ),
    ]
}

#[wasm_bindgen_test(unsupported = test)]
fn what_can_never_work_is_a_mistake() {
    for (document, named) in cases() {
        let text = mistakes(document);
        assert!(text.contains(named), "{named} is not in\n{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_may_work_is_none() {
    let metrics = |path: &str| {
        let mut document = document_with(
            json!({ "resources": [{ "path": path, "origin": "https://t.example", "issuers": ["idp"] }] }),
        );
        document["metrics"] = json!({ "secret": "LONG" });
        document
    };
    let mut both = key_rule(json!({ "groups": ["g"] }));
    both["issuers"] = json!([{ "name": "idp", "issuer": "https://login.example" }]);
    both["resources"][0]["issuers"] = json!(["idp"]);
    for document in [
        document_with(
            json!({ "resources": [{ "path": "/metrics", "origin": "https://t.example", "issuers": ["idp"] }] }),
        ),
        metrics("/metrics/x"),
        metrics("/Metrics"),
        own(json!({}), json!({}), json!({ "dpop": "optional" })),
        own(json!({}), json!({}), json!({ "audiences": ["x", "https://gate.example/mcp"] })),
        own(
            json!({ "token_claims": ["/realm/groups"] }),
            json!({}),
            json!({ "rules": [{ "effect": "allow", "when": { "groups": ["g"] } }] }),
        ),
        own(json!({}), json!({}), json!({ "rules": [{ "effect": "allow", "when": { "claims": { "sub": ["a"] } } }] })),
        own(json!({ "entitlements": [{ "scopes": ["mcp:tools"], "groups": ["g"] }] }), json!({}), json!({})),
        own(
            json!({ "scopes": { "extra": "More" }, "entitlements": [{ "scopes": ["extra"], "users": ["a@b.example"] }] }),
            json!({}),
            json!({}),
        ),
        own(
            json!({ "clients": [{ "client_id": "c", "redirect_uris": ["https://c.example/x"], "scopes": ["mcp:tools", "later"] }] }),
            json!({}),
            json!({}),
        ),
        own(json!({}), json!({ "parameters": { "prompt": "select_account", "response_mode": "query" } }), json!({})),
        issuer(json!({ "token_types": ["absent", "JWT"] })),
        issuer(json!({ "issuer": "https://login.example/" })),
        keys(json!({}), json!({ "expires": "2020-01-01T00:00:00Z" })),
        both,
    ] {
        assert_eq!(mistakes(document.clone()), "", "{document}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_that_no_resource_lets_in_is_said_loudly() {
    let warned = |scopes: Value| {
        let gateway = open_with(keys(json!({}), json!({ "scopes": scopes })), &secrets()).expect("it may be meant");
        gateway.warnings().iter().any(|warning| warning.starts_with("API key \"robot\" of \"pk\" has no scope"))
    };
    assert!(warned(json!(["other"])) && !warned(json!(["mcp:tools"])));
}

#[wasm_bindgen_test(unsupported = test)]
fn token_claims_that_no_token_could_carry() {
    let text = |claims: Value, login: Value| mistakes(own(json!({ "token_claims": claims }), login, json!({})));
    for (claims, login, said) in [
        (
            json!(["roles"]),
            json!({ "groups_claim": "roles" }),
            "token_claims[0]: must be \"groups\", the name of the user's groups",
        ),
        (json!(["sub"]), json!({}), "token_claims[0]: must not be \"sub\", which the gateway sets itself"),
        (json!(["/x/client_id"]), json!({}), "token_claims[0]: must not be \"client_id\""),
        (json!(["/x/"]), json!({}), "token_claims[0]: must be the name of a claim"),
        (json!(["tid", "/x/tid"]), json!({}), "token_claims[1]: must be named once: tokens have \"tid\" already"),
    ] {
        assert!(text(claims.clone(), login).contains(said), "{claims}");
    }
    assert_eq!(text(json!(["groups", "email", "https://acme.example/roles"]), json!({ "groups_claim": "roles" })), "");
    let rule = |claim: &str| json!({ "rules": [{ "effect": "allow", "when": { "claims": { claim: ["a"] } } }] });
    let claims = json!({ "token_claims": ["https://acme.example/tier"] });
    assert!(
        mistakes(own(claims.clone(), json!({}), rule("https://acme.example/tier")))
            .contains("tokens of \"portcullis\" carry \"https://acme.example/tier\" as \"tier\"")
    );
    assert_eq!(mistakes(own(claims, json!({}), rule("tier"))), "");
}

#[wasm_bindgen_test(unsupported = test)]
fn entitlements_may_be_wildcards_and_what_scopes_include() {
    let scopes = json!({ "files:*": "All files", "files:write": "Change files" });
    for entry in ["files:*", "files:write", "files:delete"] {
        let server = json!({ "scopes": scopes, "entitlements": [{ "scopes": [entry], "groups": ["g"] }] });
        assert_eq!(mistakes(own(server, json!({}), json!({}))), "", "{entry}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn no_list_of_patterns_has_invisible_characters() {
    let hidden = "read\u{200b}_a";
    for (resource, at) in [
        (json!({ "rules": [{ "effect": "allow", "methods": [hidden] }] }), "rules[0].methods[0]"),
        (json!({ "labels": { "x": [hidden] }, "rules": [{ "effect": "allow", "labels": ["x"] }] }), "labels.x[0]"),
        (
            json!({ "limits": [{ "by": ["subject"], "requests": 1, "seconds": 60, "tools": [hidden] }] }),
            "limits[0].tools[0]",
        ),
    ] {
        let text = mistakes(own(json!({}), json!({}), resource));
        assert!(text.contains(&format!("{at}: can never match: it has the invisible character U+200B")), "{text}");
    }
}
