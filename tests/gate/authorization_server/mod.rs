//! The authorization server as a whole, with the identity provider, the records and the clock in memory.

mod approvals;
mod assertions;
mod authorize;
mod bound_tokens;
mod clients;
mod connection_faults;
mod connections;
mod devices;
mod grants;
mod logins;
mod provider;
mod recheck;
mod records;
mod revocation;
mod scim;
mod sign_in;
mod signals;
mod tokens;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::authorization_server::authorize::challenge_of;
use portcullis::gateway::Gateway;
use portcullis::jwks::key::JwsAlgorithm;
use portcullis::oauth::form::{Form, Parameters};
use portcullis::transport::head::Method;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::world::NOON;
use crate::support::{ISSUER, Key, PUBLIC, RESOURCE, Reply, Request, TestSecrets, World, open_with, token_with_header};

const SECRET: &str = "a secret of thirty-two characters or more";
const VERIFIER: &str = "a-verifier-that-has-forty-three-characters-or-more";
const WEB: &str = "https://app.example/callback";
const LOOPBACK: &str = "http://127.0.0.1:9/callback";
const TOKEN_ENDPOINT: &str = "https://login.example/token";
const DOCUMENT: &str = "https://client.example/oauth/client.json";

fn secrets() -> TestSecrets {
    let key = |key: Key| key.private_jwk().to_string();
    TestSecrets(vec![
        ("KEY", key(Key::Ed25519)),
        ("OLD_KEY", key(Key::P256)),
        ("SEAL", SECRET.to_owned()),
        ("NEW_SEAL", format!("another {SECRET}")),
        ("IDP", "what the provider knows".to_owned()),
        ("ADMIN", SECRET.to_owned()),
        ("MACHINE", SECRET.to_owned()),
        ("STREAM", "stream-token".to_owned()),
    ])
}

fn document(server: Value, login: Value) -> Value {
    let mut table = json!({
        "key_secrets": ["KEY"],
        "secrets": ["SEAL"],
        "binding": "AUTHORIZATION",
        "registration": "open",
        "admin_secret": "ADMIN",
        "scopes": { "mcp:tools": "Use the tools", "files:write": "Change your files" },
        "login": { "issuer": ISSUER, "client_id": "gate", "secret": "IDP", "anyone": true },
    });
    for (into, changes) in [(&mut table, server)] {
        for (name, value) in changes.as_object().expect("a table") {
            into[name] = value.clone();
        }
    }
    for (name, value) in login.as_object().expect("a table") {
        table["login"][name] = value.clone();
    }
    json!({
        "public_url": PUBLIC,
        "authorization_server": table,
        "resources": [{
            "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["portcullis"], "scopes": ["mcp:tools"],
        }],
    })
}

/// A gateway, the world around it, and one browser.
struct Scene {
    world: World,
    gateway: Rc<Gateway>,
    cookies: RefCell<BTreeMap<String, String>>,
    /// Who logs in.
    user: RefCell<Value>,
}

impl Scene {
    fn new() -> Self {
        Self::with(json!({}), json!({}))
    }

    fn with(server: Value, login: Value) -> Self {
        let world = World::new();
        let metadata = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example/authorize",
            "token_endpoint": TOKEN_ENDPOINT,
            "jwks_uri": format!("{ISSUER}/jwks"),
            "authorization_response_iss_parameter_supported": true,
        });
        world.document(&format!("{ISSUER}/.well-known/openid-configuration"), Ok(&metadata.to_string()));
        let gateway = open_with(document(server, login), &secrets()).expect("the document is right");
        let user = RefCell::new(json!({ "sub": "ada", "email": "ada@acme.example", "email_verified": true }));
        Self { world, gateway, cookies: RefCell::default(), user }
    }

    /// A gateway whose scopes include others.
    fn with_includes(server: Value, includes: Value) -> Self {
        let mut document = document(server, json!({}));
        document["scope_includes"] = includes;
        let gateway = open_with(document, &secrets()).expect("the document is right");
        Self { gateway, ..Self::new() }
    }

    /// A client that shares this world with another browser.
    fn other_browser(&self) -> Self {
        Self {
            world: self.world.clone(),
            gateway: Rc::clone(&self.gateway),
            cookies: RefCell::default(),
            user: self.user.clone(),
        }
    }

    /// Another isolate: it shares this world, and remembers nothing.
    fn other_isolate(&self, server: Value) -> Self {
        let gateway = open_with(document(server, json!({})), &secrets()).expect("the document is right");
        Self { gateway, ..self.other_browser() }
    }

    fn call(&self, request: Request) -> Reply {
        self.world.call(&self.gateway, request)
    }

    /// What a browser does: it has cookies.
    fn browse(&self, request: Request) -> Reply {
        let cookies: Vec<String> =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = if cookies.is_empty() { request } else { request.field("cookie", &cookies.join("; ")) };
        let reply = self.call(request);
        if let Some((name, value)) = reply.fields.get("set-cookie").and_then(|field| field.split_once('=')) {
            assert!(name.starts_with("__Host-"), "{name}");
            for part in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
                assert!(value.contains(part), "{part} is missing");
            }
            let value = value.split(';').next().unwrap_or_default().to_owned();
            self.cookies.borrow_mut().insert(name.to_owned(), value);
        }
        reply
    }

    fn register(&self, metadata: Value) -> Reply {
        let body = metadata.to_string();
        self.call(
            Request::new(Method::Post, "/register").field("content-type", "application/json").body(body.as_bytes()),
        )
    }

    /// A public client with this redirect URI.
    fn client(&self, redirect_uri: &str) -> String {
        let reply = self.register(json!({
            "client_name": "Claude <b>", "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        }));
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.json()["client_id"].as_str().expect("an id").to_owned()
    }

    fn authorize(&self, client: &str, redirect_uri: &str, changes: &[(&str, Option<&str>)]) -> Reply {
        self.browse(Request::get(&authorization(client, redirect_uri, changes)))
    }

    fn answer(&self, page: &Reply, decision: &str) -> Reply {
        self.browse(Self::form(page, decision))
    }

    fn form(page: &Reply, decision: &str) -> Request {
        let sealed = between(&page.body, "name=\"request\" value=\"", "\"");
        post("/consent", &[("request", &sealed), ("decision", decision)]).field("origin", PUBLIC)
    }

    /// The provider's answer to a login that began with this page or redirect.
    fn come_back(&self, begun: &Reply) -> Request {
        let url = onward(begun);
        let asked = Parameters::parse(url.split_once('?').expect("a query").1).expect("a form");
        assert_eq!(asked.get("client_id"), Some("gate"));
        assert_eq!(asked.get("redirect_uri"), Some("https://gate.example/callback"));
        assert_eq!(asked.get("resource"), None, "providers refuse what they do not know");
        self.provide(&self.id_token(asked.get("nonce").expect("a nonce"), &json!({})));
        callback(asked.get("state").expect("a state"), &[("code", "theirs"), ("iss", ISSUER)])
    }

    fn provide(&self, id_token: &str) {
        let tokens = json!({ "access_token": "theirs", "refresh_token": "theirs too", "id_token": id_token });
        self.world.answer(TOKEN_ENDPOINT, Ok((200, "application/json", &tokens.to_string())));
    }

    fn id_token(&self, nonce: &str, changes: &Value) -> String {
        let now = self.world.time().seconds();
        let mut claims = self.user.borrow().clone();
        for (name, value) in [
            ("iss", json!(ISSUER)),
            ("aud", json!("gate")),
            ("nonce", json!(nonce)),
            ("iat", json!(now)),
            ("exp", json!(now + 60)),
        ] {
            claims[name] = value;
        }
        for (name, value) in changes.as_object().expect("a table") {
            claims[name] = value.clone();
        }
        let header = json!({ "alg": "EdDSA", "kid": "ed25519" });
        token_with_header(&header.to_string(), &claims.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa)
    }

    /// From the authorization request to the code.
    fn code(&self, client: &str, redirect_uri: &str, changes: &[(&str, Option<&str>)]) -> String {
        let page = self.authorize(client, redirect_uri, changes);
        assert_eq!(page.status, 200, "{}", page.body);
        let begun = self.answer(&page, "allow");
        let back = self.browse(self.come_back(&begun));
        code_of(&back).unwrap_or_else(|| panic!("no code: {} {}", back.status, back.field("location")))
    }

    fn token(&self, parameters: &[(&str, &str)]) -> Reply {
        self.call(post("/token", parameters))
    }

    fn redeem(&self, client: &str, code: &str) -> Reply {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("code_verifier", VERIFIER),
        ])
    }

    fn refresh(&self, client: &str, token: &str) -> Reply {
        self.token(&[("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)])
    }

    /// A client with tokens.
    fn logged_in(&self) -> (String, Value) {
        let client = self.client(LOOPBACK);
        let code = self.code(&client, LOOPBACK, &[]);
        let reply = self.redeem(&client, &code);
        assert_eq!(reply.status, 200, "{}", reply.body);
        (client, reply.json())
    }

    /// The status of a call with an access token.
    fn use_it(&self, tokens: &Value) -> u16 {
        self.call(Request::post("/mcp").bearer(tokens["access_token"].as_str().expect("a token"))).status
    }

    /// The reason in the log of the last request.
    fn reason(&self) -> String {
        self.world.last_request()["reason"].as_str().unwrap_or_default().to_owned()
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// What an access token says.
fn claims_of(tokens: &Value) -> Value {
    let part = text(tokens, "access_token").split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
    rest.split_once(after).expect("an end").0.replace("&amp;", "&")
}

/// Where a page or a redirect leads.
fn onward(reply: &Reply) -> String {
    match reply.fields.get("location") {
        Some(location) => location.to_owned(),
        None => between(&reply.body, "content=\"0;url=", "\""),
    }
}

fn answered(reply: &Reply) -> Parameters {
    let url = onward(reply);
    Parameters::parse(url.split_once('?').expect("a query").1).expect("a form")
}

fn code_of(reply: &Reply) -> Option<String> {
    reply.fields.get("location")?;
    answered(reply).get("code").map(str::to_owned)
}

fn authorization(client: &str, redirect_uri: &str, changes: &[(&str, Option<&str>)]) -> String {
    let challenge = challenge_of(VERIFIER).expect("a verifier");
    let mut parameters: Vec<(&str, &str)> = vec![
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", redirect_uri),
        ("scope", "mcp:tools"),
        ("state", "the client's"),
        ("resource", RESOURCE),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        parameters.retain(|(known, _)| known != name);
        parameters.extend(value.map(|value| (*name, value)));
    }
    format!("/authorize?{}", form(&parameters))
}

fn form(parameters: &[(&str, &str)]) -> String {
    let mut form = Form::default();
    for (name, value) in parameters {
        form.add(name, value);
    }
    form.into_text()
}

fn post(path: &str, parameters: &[(&str, &str)]) -> Request {
    let body = form(parameters);
    Request::new(Method::Post, path).field("content-type", "application/x-www-form-urlencoded").body(body.as_bytes())
}

fn callback(state: &str, more: &[(&str, &str)]) -> Request {
    let parameters: Vec<_> = [("state", state)].iter().chain(more).copied().collect();
    Request::get(&format!("/callback?{}", form(&parameters)))
}

#[wasm_bindgen_test(unsupported = test)]
fn a_login_from_registration_to_the_tool() {
    let scene = Scene::new();
    let client = scene.client(LOOPBACK);

    let page = scene.authorize(&client, LOOPBACK, &[]);
    assert_eq!((page.status, scene.reason().as_str()), (200, "consent_asked"));
    for shown in ["Claude &lt;b&gt;", "127.0.0.1:9", "Use the tools", RESOURCE, "login.example", "your own computer"] {
        assert!(page.body.contains(shown), "{shown} is not shown");
    }
    assert!(!page.body.contains("<b>") && !page.body.contains("<script"));
    let policy = page.field("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{part}");
    }
    assert_eq!(page.field("x-frame-options"), "DENY");
    assert_eq!(page.field("cache-control"), "no-store");
    assert!(page.field("set-cookie").starts_with("__Host-portcullis-form="), "no login yet (P6)");
    assert!(scene.world.asked().is_empty(), "nobody is asked before the user has said yes (P2)");

    let begun = scene.answer(&page, "allow");
    assert!(onward(&begun).starts_with("https://login.example/authorize?"), "{}", onward(&begun));
    assert!(begun.field("set-cookie").starts_with("__Host-portcullis-login="));
    let back = scene.browse(scene.come_back(&begun));
    assert_eq!(back.status, 302);
    assert!(back.field("location").starts_with(&format!("{LOOPBACK}?")));
    let answer = answered(&back);
    assert_eq!((answer.get("state"), answer.get("iss")), (Some("the client's"), Some(PUBLIC)));
    let asked = scene.world.asked();
    let redeemed = Parameters::parse(&asked[0].body).expect("a form");
    let sent = Parameters::parse(onward(&begun).split_once('?').expect("a query").1).expect("a form");
    assert_eq!(challenge_of(redeemed.get("code_verifier").expect("PKCE")).as_deref(), sent.get("code_challenge"));
    assert!(asked[0].field("authorization").starts_with("Basic "));

    let reply = scene.redeem(&client, answer.get("code").expect("a code"));
    assert_eq!((reply.status, reply.field("cache-control")), (200, "no-store"));
    assert_eq!(reply.field("access-control-allow-origin"), "*");
    let tokens = reply.json();
    assert_eq!((text(&tokens, "token_type"), text(&tokens, "scope")), ("Bearer", "mcp:tools"));
    assert_eq!(tokens["expires_in"], 600);
    let parts: Vec<&str> = text(&tokens, "access_token").split('.').collect();
    let decode = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    };
    assert_eq!(decode(parts[0])["typ"], "at+jwt");
    let claims = decode(parts[1]);
    for (name, value) in [
        ("iss", json!(PUBLIC)),
        ("sub", json!("ada")),
        ("aud", json!(RESOURCE)),
        ("client_id", json!(client)),
        ("exp", json!(NOON + 600)),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    let before = scene.world.fetched().len();
    assert_eq!(scene.use_it(&tokens), 200);
    assert_eq!(scene.world.fetched().len(), before, "its own keys are looked up nowhere");
    scene.world.pass(600);
    assert_eq!(scene.use_it(&tokens), 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn metadata_says_what_there_is_under_one_issuer() {
    for (server, issuer, places) in [
        (
            json!({}),
            PUBLIC.to_owned(),
            vec!["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"],
        ),
        (
            json!({ "path": "/login" }),
            format!("{PUBLIC}/login"),
            vec![
                "/.well-known/oauth-authorization-server/login",
                "/.well-known/openid-configuration/login",
                "/login/.well-known/openid-configuration",
            ],
        ),
    ] {
        let scene = Scene::with(server, json!({}));
        for place in places {
            let reply = scene.call(Request::get(place));
            let metadata = reply.json();
            assert_eq!((reply.status, text(&metadata, "issuer")), (200, issuer.as_str()), "{place}");
            assert_eq!(text(&metadata, "token_endpoint"), format!("{issuer}/token"));
            assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
            assert_eq!(reply.field("access-control-allow-origin"), "*");
        }
        let protected = scene.call(Request::get("/.well-known/oauth-protected-resource/mcp")).json();
        assert_eq!(protected["authorization_servers"], json!([issuer]));
    }
    let scene = Scene::with(json!({ "key_secrets": ["KEY", "OLD_KEY"], "registration": "off" }), json!({}));
    let keys = scene.call(Request::get("/jwks")).json();
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2));
    assert!(keys["keys"].as_array().into_iter().flatten().all(|key| key.get("d").is_none()));
    let metadata = scene.call(Request::get("/.well-known/oauth-authorization-server")).json();
    assert_eq!(metadata.get("registration_endpoint"), None);
    assert_eq!(scene.register(json!({ "redirect_uris": [WEB] })).status, 403);
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_in_the_table_are_all_named() {
    let document = document(
        json!({
            "path": "/login/", "key_secrets": ["NONE"], "secrets": [], "registration": "initial_access_token",
            "redirect_schemes": ["javascript"], "access_token_seconds": 7, "grant_days": 0,
            "entitlements": [{ "scopes": ["a b"] }],
            "clients": [
                { "client_id": "a b" },
                { "client_id": "c", "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": [WEB] },
                { "client_id": "d", "grant_types": ["client_credentials"] },
                { "client_id": "e", "redirect_uris": ["http://x.example"] },
            ],
        }),
        json!({ "anyone": false, "client_id": null, "secret": null, "issuer": null }),
    );
    let mistakes = open_with(document, &secrets()).err().map(|mistakes| mistakes.to_string()).unwrap_or_default();
    for named in [
        "authorization_server.path: must be a path",
        "authorization_server.key_secrets[0]: there is no Worker secret",
        "authorization_server.secrets: must name at least one",
        "authorization_server.initial_access_token_secret: is required",
        "authorization_server.redirect_schemes[0]: must be",
        "authorization_server.access_token_seconds: must be 60 to 3600, got 7",
        "authorization_server.grant_days: must be 1 to 365, got 0",
        "authorization_server.entitlements[0].scopes[0]",
        "authorization_server.entitlements[0]: must name groups or users",
        "authorization_server.clients[0].client_id",
        "authorization_server.clients[1].secret: is required",
        "authorization_server.clients[2].token_endpoint_auth_method: must not be none",
        "authorization_server.clients[3]: a redirect URI must be https",
        "authorization_server.login.anyone: must be true",
        "authorization_server.login.authorization_endpoint: is required without issuer",
        "authorization_server.login.client_id: is required",
    ] {
        assert!(mistakes.contains(named), "{named} is not in\n{mistakes}");
    }
}
