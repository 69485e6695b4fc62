//! Providers and their habits.

use portcullis::jwks::key::JwsAlgorithm;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::world::NOON;
use crate::support::{Key, PUBLIC, Request, World, open, token_with_header};

/// What a provider's tokens are like, and what is made of them.
struct Provider {
    issuer: Value,
    resource: Value,
    jwks_at: &'static str,
    typ: Option<&'static str>,
    claims: Value,
}

impl Provider {
    /// Reason, and the fields that the origin server gets: subject, client, scopes.
    fn verdict(&self, changes: Value) -> (String, [String; 3]) {
        let mut claims = self.claims.clone();
        for (name, value) in changes.as_object().expect("a table") {
            match value {
                Value::Null => drop(claims.as_object_mut().expect("a table").remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        self.judge(self.typ, &claims)
    }

    fn judge(&self, typ: Option<&str>, claims: &Value) -> (String, [String; 3]) {
        let mut issuer = self.issuer.clone();
        issuer["name"] = json!("idp");
        let mut resource = json!({ "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"] });
        for (name, value) in self.resource.as_object().expect("a table") {
            resource[name] = value.clone();
        }
        let document = json!({ "public_url": PUBLIC, "issuers": [issuer], "resources": [resource] });
        let gateway = open(document).expect("the document is right");
        let world = World::new();
        world.document(self.jwks_at, Ok(&json!({ "keys": [Key::Rsa.public_jwk()] }).to_string()));
        let identifier = self.issuer["issuer"].as_str().expect("a text");
        let metadata = json!({ "issuer": identifier, "jwks_uri": self.jwks_at }).to_string();
        let root = identifier.trim_end_matches('/');
        world.document(&format!("{root}/.well-known/openid-configuration"), Ok(&metadata));
        let mut header = json!({ "alg": "RS256", "kid": "rsa" });
        if let Some(typ) = typ {
            header["typ"] = json!(typ);
        }
        let token = token_with_header(&header.to_string(), &claims.to_string(), Key::Rsa, JwsAlgorithm::Rs256);
        world.call(&gateway, Request::post("/mcp").bearer(&token));
        let reason = world.last_request()["reason"].as_str().unwrap_or_default().to_owned();
        let sent = world.sent();
        let field = |name: &str| sent.first().and_then(|sent| sent.fields.get(name)).unwrap_or_default().to_owned();
        (reason, ["x-portcullis-subject", "x-portcullis-client", "x-portcullis-scopes"].map(field))
    }

    fn passes(&self, changes: Value, subject: &str, client: &str, scopes: &str) {
        let (reason, fields) = self.verdict(changes.clone());
        assert_eq!((reason.as_str(), fields), ("forwarded", [subject, client, scopes].map(str::to_owned)), "{changes}");
    }

    fn refuses(&self, changes: Value, reason: &str) {
        assert_eq!(self.verdict(changes.clone()).0, reason, "{changes}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn entra_id_of_one_tenant() {
    let tenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let entra = Provider {
        issuer: json!({ "issuer": issuer, "profile": "entra_id" }),
        resource: json!({ "audiences": ["6e74172b-be56-4843-9ff4-e66a39bb12e3"] }),
        jwks_at: "https://login.microsoftonline.com/tenant/discovery/v2.0/keys",
        typ: Some("JWT"),
        claims: json!({
            "iss": issuer, "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "sub": "AAAA", "oid": "1", "tid": tenant,
            "azp": "72f988bf", "scp": "Tools.Use Files.Read", "ver": "2.0", "iat": NOON, "nbf": NOON, "exp": NOON + 3600,
        }),
    };
    entra.passes(json!({}), "AAAA", "72f988bf", "Files.Read Tools.Use");
    entra.passes(json!({ "azp": null, "appid": "v1-app" }), "AAAA", "v1-app", "Files.Read Tools.Use");
    entra.passes(json!({ "scp": null, "roles": ["Tools.Use.All"] }), "AAAA", "72f988bf", "Tools.Use.All");
    // Where a user delegates, roles are the user's and not the client's.
    entra.passes(json!({ "roles": ["Everything"] }), "AAAA", "72f988bf", "Files.Read Tools.Use");
    entra.refuses(json!({ "aud": "https://gate.example/mcp" }), "token_audience");
    entra.refuses(json!({ "azp": null }), "token_is_id_token");
    entra.refuses(json!({ "nonce": "x" }), "token_is_id_token");
    entra.refuses(json!({ "iss": "https://login.microsoftonline.com/other/v2.0" }), "token_issuer");
    assert_eq!(entra.judge(Some("at+jwt"), &entra.claims).0, "token_type");
}

#[wasm_bindgen_test(unsupported = test)]
fn entra_id_of_many_tenants() {
    let (one, two, stranger) = ("11111111-1111-1111-1111-111111111111", "2222", "3333");
    let of = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let entra = Provider {
        issuer: json!({ "issuer": of("{tenantid}"), "profile": "entra_id", "tenants": [one, two] }),
        resource: json!({ "audiences": ["api"] }),
        jwks_at: "https://login.microsoftonline.com/common/discovery/v2.0/keys",
        typ: Some("JWT"),
        claims: json!({
            "iss": of(one), "aud": "api", "sub": "A", "tid": one, "azp": "app", "scp": "x", "exp": NOON + 3600,
        }),
    };
    entra.passes(json!({}), "A", "app", "x");
    entra.passes(json!({ "iss": of(two), "tid": two }), "A", "app", "x");
    entra.refuses(json!({ "iss": of(stranger), "tid": stranger }), "token_tenant");
    entra.refuses(json!({ "tid": two }), "token_tenant");
    entra.refuses(json!({ "tid": null }), "token_tenant");
    entra.refuses(json!({ "iss": of("a/b") }), "token_issuer");
    entra.refuses(json!({ "iss": of("") }), "token_issuer");
    entra.refuses(json!({ "iss": of("{tenantid}"), "tid": "{tenantid}" }), "token_issuer");
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_of_one_tenant_sign_for_no_other() {
    // Entra ID publishes each key with the issuers that it serves.
    let (mine, yours) = ("mine", "yours");
    let of = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let document = json!({
        "public_url": PUBLIC,
        "issuers": [{ "name": "idp", "issuer": of("{tenantid}"), "profile": "entra_id", "tenants": [mine, yours] }],
        "resources": [{ "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"], "audiences": ["api"] }],
    });
    for (key_of, reason) in [(of(mine), "forwarded"), (of("{tenantid}"), "forwarded"), (of(yours), "token_tenant")] {
        let world = World::new();
        let mut jwk = Key::Rsa.public_jwk();
        jwk["issuer"] = json!(key_of);
        let keys = json!({ "keys": [jwk] }).to_string();
        world.document("https://login.microsoftonline.com/common/discovery/v2.0/keys", Ok(&keys));
        let claims =
            json!({ "iss": of(mine), "aud": "api", "sub": "A", "tid": mine, "azp": "app", "exp": NOON + 3600 });
        let header = json!({ "alg": "RS256", "kid": "rsa", "typ": "JWT" });
        let token = token_with_header(&header.to_string(), &claims.to_string(), Key::Rsa, JwsAlgorithm::Rs256);
        world.call(&open(document.clone()).expect("right"), Request::post("/mcp").bearer(&token));
        assert_eq!(world.last_request()["reason"], reason, "{key_of}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn auth0() {
    let auth0 = Provider {
        issuer: json!({ "issuer": "https://acme.eu.auth0.com/", "profile": "auth0" }),
        resource: json!({}),
        jwks_at: "https://acme.eu.auth0.com/.well-known/jwks.json",
        typ: Some("at+jwt"),
        claims: json!({
            "iss": "https://acme.eu.auth0.com/", "sub": "auth0|1", "aud": ["https://gate.example/mcp", "https://acme.eu.auth0.com/userinfo"],
            "azp": "app", "scope": "openid mcp:tools", "permissions": ["files:read"], "iat": NOON, "exp": NOON + 60,
        }),
    };
    auth0.passes(json!({}), "auth0%7C1".replace("%7C", "|").as_str(), "app", "mcp:tools openid");
    auth0.passes(
        json!({ "permissions": null, "azp": null, "client_id": "app2" }),
        "auth0|1",
        "app2",
        "mcp:tools openid",
    );
    assert_eq!(auth0.judge(Some("JWT"), &auth0.claims).0, "forwarded", "its own dialect");
    auth0.refuses(json!({ "aud": "https://acme.eu.auth0.com/userinfo" }), "token_audience");
    auth0.refuses(json!({ "at_hash": "x" }), "token_is_id_token");
    auth0.refuses(json!({ "iss": "https://acme.eu.auth0.com" }), "token_issuer");
}

#[wasm_bindgen_test(unsupported = test)]
fn okta() {
    let okta = Provider {
        issuer: json!({ "issuer": "https://acme.okta.com/oauth2/default", "profile": "okta" }),
        resource: json!({ "audiences": ["api://default"] }),
        jwks_at: "https://acme.okta.com/oauth2/default/v1/keys",
        typ: None,
        claims: json!({
            "iss": "https://acme.okta.com/oauth2/default", "aud": "api://default", "sub": "ada@acme.example", "uid": "1",
            "cid": "app", "scp": ["openid", "mcp:tools"], "ver": 1, "iat": NOON, "exp": NOON + 60,
        }),
    };
    okta.passes(json!({}), "ada@acme.example", "app", "mcp:tools openid");
    assert_eq!(okta.judge(Some("application/okta-internal-at+jwt"), &okta.claims).0, "token_type");
    okta.refuses(json!({ "cid": null }), "token_is_id_token");
    okta.refuses(json!({ "scp": 7 }), "token_claim_malformed");
}

#[wasm_bindgen_test(unsupported = test)]
fn keycloak() {
    let issuer = "https://sso.acme.example/realms/main";
    let keycloak = Provider {
        issuer: json!({ "issuer": issuer, "profile": "keycloak" }),
        resource: json!({}),
        jwks_at: "https://sso.acme.example/realms/main/protocol/openid-connect/certs",
        typ: Some("JWT"),
        claims: json!({
            "iss": issuer, "aud": ["https://gate.example/mcp", "account"], "sub": "1", "typ": "Bearer", "azp": "app",
            "scope": "openid mcp:tools", "iat": NOON, "exp": NOON + 60, "nonce": "of older versions",
        }),
    };
    keycloak.passes(json!({}), "1", "app", "mcp:tools openid");
    for typ in ["ID", "Refresh", "Offline", "Logout"] {
        keycloak.refuses(json!({ "typ": typ }), "token_is_id_token");
    }
    keycloak.passes(json!({ "typ": "DPoP" }), "1", "app", "mcp:tools openid");
    assert_eq!(keycloak.judge(Some("at+jwt"), &keycloak.claims).0, "forwarded", "a client's switch");
    keycloak.refuses(json!({ "typ": null }), "token_is_id_token");
    keycloak.refuses(json!({ "aud": "account" }), "token_audience");
}

#[wasm_bindgen_test(unsupported = test)]
fn google() {
    let client = "123-abc.apps.googleusercontent.com";
    let google = Provider {
        issuer: json!({
            "issuer": "https://accounts.google.com", "profile": "google", "claims": { "hd": ["acme.example"] },
            "grant_scopes": ["mcp:tools"],
        }),
        resource: json!({ "audiences": [client] }),
        jwks_at: "https://www.googleapis.com/oauth2/v3/certs",
        typ: Some("JWT"),
        claims: json!({
            "iss": "https://accounts.google.com", "aud": client, "azp": client, "sub": "110", "hd": "acme.example",
            "email": "ada@acme.example", "email_verified": true, "at_hash": "x", "nonce": "y", "iat": NOON, "exp": NOON + 60,
        }),
    };
    google.passes(json!({}), "110", client, "mcp:tools");
    google.refuses(json!({ "hd": "evil.example" }), "token_claim_not_accepted");
    google.refuses(json!({ "hd": null }), "token_claim_not_accepted");
    google.refuses(json!({ "hd": ["evil.example"] }), "token_claim_not_accepted");
    google.refuses(json!({ "aud": "another.apps.googleusercontent.com" }), "token_audience");
}

#[wasm_bindgen_test(unsupported = test)]
fn cognito() {
    let issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc";
    let cognito = Provider {
        issuer: json!({ "issuer": issuer, "profile": "cognito" }),
        resource: json!({ "audiences": ["app-client", "https://gate.example/mcp"] }),
        jwks_at: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc/.well-known/jwks.json",
        typ: None,
        claims: json!({
            "iss": issuer, "sub": "1", "client_id": "app-client", "token_use": "access", "scope": "mcp/tools", "version": 2,
            "iat": NOON, "exp": NOON + 60, "jti": "j",
        }),
    };
    cognito.passes(json!({}), "1", "app-client", "mcp/tools");
    cognito.passes(json!({ "client_id": "other", "aud": "https://gate.example/mcp" }), "1", "other", "mcp/tools");
    cognito.refuses(json!({ "client_id": "other" }), "token_audience");
    cognito.refuses(json!({ "client_id": null }), "token_audience");
    cognito.refuses(json!({ "token_use": "id" }), "token_is_id_token");
    cognito.refuses(json!({ "token_use": null }), "token_is_id_token");
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_that_must_hold() {
    let provider = |claims: Value| Provider {
        issuer: json!({ "issuer": "https://login.example", "claims": claims, "algorithms": ["RS256"] }),
        resource: json!({}),
        jwks_at: "https://login.example/keys",
        typ: Some("at+jwt"),
        claims: json!({
            "iss": "https://login.example", "aud": "https://gate.example/mcp", "sub": "ada", "client_id": "c",
            "exp": NOON + 60, "org": "acme", "groups": ["staff", "admin"], "level": 3, "mfa": true, "deep": [["x"]],
        }),
    };
    for claims in [
        json!({ "org": ["acme"] }),
        json!({ "org": ["x", "acme"], "groups": ["admin"] }),
        json!({ "level": ["3"], "mfa": ["true"] }),
    ] {
        assert_eq!(provider(claims.clone()).verdict(json!({})).0, "forwarded", "{claims}");
    }
    for claims in [
        json!({ "org": ["ACME"] }),
        json!({ "org": ["acme"], "groups": ["root"] }),
        json!({ "level": ["3.0"] }),
        json!({ "mfa": ["True"] }),
        json!({ "deep": ["x"] }),
        json!({ "none": ["x"] }),
        // Cyrillic а: what looks alike is not alike.
        json!({ "org": ["\u{430}cme"] }),
    ] {
        assert_eq!(provider(claims.clone()).verdict(json!({})).0, "token_claim_not_accepted", "{claims}");
    }
}

/// A logout token (OpenID Connect Back-Channel Logout §2.4) has the issuer, the audience and often the `typ` of other tokens.
#[wasm_bindgen_test(unsupported = test)]
fn logout_tokens_are_refused_under_every_profile() {
    let event = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    for profile in ["generic", "auth0", "cognito", "google", "keycloak", "okta"] {
        let provider = Provider {
            issuer: json!({
                "issuer": "https://login.example", "profile": profile, "algorithms": ["RS256"], "token_types": ["JWT"],
                "jwks_uri": "https://login.example/keys",
            }),
            resource: json!({ "audiences": ["https://gate.example/mcp"] }),
            jwks_at: "https://login.example/keys",
            typ: Some("JWT"),
            claims: json!({
                "iss": "https://login.example", "aud": "https://gate.example/mcp", "sub": "ada", "exp": NOON + 60, "typ": "Bearer",
                "token_use": "access", "cid": "app", "client_id": "app", "azp": "app",
            }),
        };
        assert_eq!(provider.verdict(json!({})).0, "forwarded", "{profile}");
        assert_eq!(provider.verdict(json!({ "events": event.clone() })).0, "token_is_id_token", "{profile}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn scopes_as_a_string_or_as_an_array() {
    let generic = Provider {
        issuer: json!({ "issuer": "https://login.example", "algorithms": ["RS256"] }),
        resource: json!({}),
        jwks_at: "https://login.example/keys",
        typ: Some("at+jwt"),
        claims: json!({ "iss": "https://login.example", "aud": "https://gate.example/mcp", "sub": "ada", "exp": NOON + 60 }),
    };
    generic.passes(json!({ "scope": "b a" }), "ada", "", "a b");
    generic.passes(json!({ "scope": ["a", "b"] }), "ada", "", "a b");
    generic.passes(json!({ "scp": ["a b", "c"] }), "ada", "", "a b c");
    generic.passes(json!({ "scope": "a", "scp": "b" }), "ada", "", "a");
    generic.passes(json!({ "azp": "app" }), "ada", "app", "");
    generic.passes(json!({ "roles": ["a"], "permissions": ["b"] }), "ada", "", "");
    generic.refuses(json!({ "scope": { "a": true } }), "token_claim_malformed");
    generic.refuses(json!({ "scope": ["a", 1] }), "token_claim_malformed");
}
