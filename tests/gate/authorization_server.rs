//! The authorization server as a whole, with the identity provider, the records and the clock in memory.

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

    /// A client that shares this world with another browser.
    fn other_browser(&self) -> Self {
        Self {
            world: self.world.clone(),
            gateway: Rc::clone(&self.gateway),
            cookies: RefCell::default(),
            user: self.user.clone(),
        }
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
        ("auth_time", json!(NOON)),
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
fn a_code_is_good_once_for_its_client_and_verifier() {
    let scene = Scene::new();
    let client = scene.client(LOOPBACK);
    let code = scene.code(&client, LOOPBACK, &[]);
    let tokens = scene.redeem(&client, &code).json();
    let again = scene.redeem(&client, &code);
    assert_eq!((again.status, text(&again.json(), "error")), (400, "invalid_grant"));
    // A second use ends what the first has given.
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 400);

    let other = scene.client(LOOPBACK);
    let code = scene.code(&client, LOOPBACK, &[]);
    assert_eq!(text(&scene.redeem(&other, &code).json(), "error"), "invalid_grant");
    assert_eq!(text(&scene.redeem(&client, &code).json(), "error"), "invalid_grant", "whoever tried, it is over");

    let code = scene.code(&client, LOOPBACK, &[]);
    let wrong = [
        ("grant_type", "authorization_code"),
        ("client_id", client.as_str()),
        ("code", code.as_str()),
        ("code_verifier", "another-verifier-of-forty-three-characters-at-least"),
    ];
    assert_eq!(text(&scene.token(&wrong).json(), "error"), "invalid_grant");
    assert_eq!(scene.redeem(&client, &code).status, 400);

    let code = scene.code(&client, LOOPBACK, &[]);
    let elsewhere = [
        ("grant_type", "authorization_code"),
        ("client_id", client.as_str()),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
        ("redirect_uri", "http://127.0.0.1:9/other"),
    ];
    assert_eq!(text(&scene.token(&elsewhere).json(), "error"), "invalid_grant");

    let code = scene.code(&client, LOOPBACK, &[]);
    scene.world.pass(60);
    assert_eq!(text(&scene.redeem(&client, &code).json(), "error"), "invalid_grant", "it is too old");

    // One that differs in a letter is asked about nowhere.
    let code = scene.code(&client, LOOPBACK, &[]);
    let forged = format!("{}A", &code[..code.len() - 1]);
    assert_eq!(text(&scene.redeem(&client, &forged).json(), "error"), "invalid_grant");
    assert_eq!(scene.redeem(&client, &code).status, 200, "a forgery ends nothing");
}

#[wasm_bindgen_test(unsupported = test)]
fn refresh_tokens_rotate_and_survive_a_lost_answer() {
    let scene = Scene::new();
    let (client, tokens) = scene.logged_in();
    let first = text(&tokens, "refresh_token").to_owned();
    let second = scene.refresh(&client, &first).json();
    assert_ne!(text(&second, "refresh_token"), first);
    assert_eq!(scene.use_it(&second), 200);

    // The answer was lost, or another process of the client asked at the same time: all get the same.
    for _ in 0..3 {
        scene.world.pass(10);
        let again = scene.refresh(&client, &first).json();
        assert_eq!(text(&again, "refresh_token"), text(&second, "refresh_token"));
        assert_eq!(scene.use_it(&again), 200);
    }
    // Later it is a theft: nothing of the family is good any more.
    scene.world.pass(31);
    assert_eq!(text(&scene.refresh(&client, &first).json(), "error"), "invalid_grant");
    assert_eq!(scene.world.last_request()["decision"], "deny");
    assert_eq!(scene.refresh(&client, text(&second, "refresh_token")).status, 400);

    // So it is at once where the successor was used already: whoever has it has not lost the answer.
    let (client, tokens) = scene.logged_in();
    let first = text(&tokens, "refresh_token").to_owned();
    let second = text(&scene.refresh(&client, &first).json(), "refresh_token").to_owned();
    let third = text(&scene.refresh(&client, &second).json(), "refresh_token").to_owned();
    assert_eq!(scene.refresh(&client, &first).status, 400);
    assert_eq!(scene.refresh(&client, &third).status, 400);

    // Another client's is nobody's.
    let (_, tokens) = scene.logged_in();
    let other = scene.client(LOOPBACK);
    assert_eq!(scene.refresh(&other, text(&tokens, "refresh_token")).status, 400);
}

#[wasm_bindgen_test(unsupported = test)]
fn refresh_tokens_end_unused_and_at_the_end_of_their_grant() {
    let scene = Scene::with(json!({ "refresh_token_days": 1, "grant_days": 2 }), json!({}));
    let day = 86_400;
    let (client, tokens) = scene.logged_in();
    scene.world.pass(day - 1);
    let second = scene.refresh(&client, text(&tokens, "refresh_token")).json();
    scene.world.pass(day - 1);
    let third = scene.refresh(&client, text(&second, "refresh_token"));
    assert_eq!(third.status, 200);
    scene.world.pass(3);
    assert_eq!(scene.refresh(&client, text(&third.json(), "refresh_token")).status, 400, "the grant is over");

    let (client, tokens) = scene.logged_in();
    scene.world.pass(day);
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 400, "it was not used");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refresh_can_ask_for_less_and_not_for_more() {
    let scene = Scene::new();
    let client = scene.client(LOOPBACK);
    let code = scene.code(&client, LOOPBACK, &[("scope", Some("mcp:tools files:write nonsense"))]);
    let tokens = scene.redeem(&client, &code).json();
    assert_eq!(text(&tokens, "scope"), "files:write mcp:tools");
    let refresh = |token: &Value, scope: &str| {
        scene.token(&[
            ("grant_type", "refresh_token"),
            ("client_id", &client),
            ("refresh_token", text(token, "refresh_token")),
            ("scope", scope),
        ])
    };
    let less = refresh(&tokens, "mcp:tools").json();
    assert_eq!(text(&less, "scope"), "mcp:tools");
    let more = refresh(&less, "mcp:tools admin");
    assert_eq!((more.status, text(&more.json(), "error")), (400, "invalid_scope"));
    let all = refresh(&less, "files:write mcp:tools").json();
    assert_eq!(text(&all, "scope"), "files:write mcp:tools", "a refusal uses nothing up");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_wrong_with_a_request_goes_to_the_user_or_the_client() {
    let scene = Scene::new();
    let client = scene.client(WEB);
    for (changes, what) in [
        (vec![("client_id", None)], "no client"),
        (vec![("client_id", Some("pc-unknown"))], "unknown client"),
        (vec![("redirect_uri", Some("https://app.example/callback/"))], "another path"),
        (vec![("redirect_uri", Some("https://app.example/callback?x=1"))], "a query"),
        (vec![("redirect_uri", Some("https://app.example.evil.example/callback"))], "another host"),
        (vec![("redirect_uri", Some("https://user@app.example/callback"))], "user information"),
        (vec![("redirect_uri", Some("https://app.example/callback#x"))], "a fragment"),
        (vec![("redirect_uri", Some("https://app.example/%63allback"))], "an escape"),
        (vec![("redirect_uri", Some("https://app.example\\@evil.example/callback"))], "a backslash"),
        (vec![("redirect_uri", Some("https://xn--pp-oia.example/callback"))], "punycode"),
        (vec![("redirect_uri", Some("javascript:alert(1)"))], "a script"),
        (vec![("redirect_uri", Some("http://app.example/callback"))], "plain text"),
        (vec![("redirect_uri", Some("//evil.example"))], "no scheme"),
    ] {
        let reply = scene.authorize(&client, WEB, &changes);
        assert_eq!((reply.status, reply.fields.get("location")), (400, None), "{what}");
        assert!(!reply.body.contains("evil"), "{what}: nothing of it is shown");
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", authorization(&client, WEB, &[]));
    assert_eq!(scene.browse(Request::get(&twice)).status, 400);

    for (changes, error) in [
        (vec![("response_type", Some("token"))], "unsupported_response_type"),
        (vec![("response_type", None)], "invalid_request"),
        (vec![("response_mode", Some("fragment"))], "invalid_request"),
        (vec![("code_challenge", None)], "invalid_request"),
        (vec![("code_challenge", Some("short"))], "invalid_request"),
        (vec![("code_challenge_method", Some("plain"))], "invalid_request"),
        (vec![("code_challenge_method", None)], "invalid_request"),
        (vec![("resource", Some("https://other.example/mcp"))], "invalid_target"),
        (vec![("scope", Some("nonsense"))], "invalid_scope"),
        (vec![("prompt", Some("none"))], "interaction_required"),
        (vec![("request", Some("ey"))], "request_not_supported"),
        (vec![("request_uri", Some("https://x.example"))], "request_uri_not_supported"),
    ] {
        let reply = scene.authorize(&client, WEB, &changes);
        // Whoever registered could have made the link: the user decides whether to go there.
        assert_eq!((reply.status, reply.fields.get("location")), (400, None), "{error}");
        let back = between(&reply.body, "href=\"", "\"");
        let told = Parameters::parse(back.split_once('?').expect("a query").1).expect("a form");
        assert!(back.starts_with(WEB), "{back}");
        assert_eq!((told.get("error"), told.get("iss")), (Some(error), Some(PUBLIC)));
        assert_eq!(told.get("state"), Some("the client's"));
    }
    let twice = format!("{}&scope=x", authorization(&client, WEB, &[]));
    assert_eq!(scene.browse(Request::get(&twice)).status, 400);

    let configured = Scene::with(json!({ "clients": [{ "client_id": "known", "redirect_uris": [WEB] }] }), json!({}));
    let reply = configured.authorize("known", WEB, &[("response_type", Some("token"))]);
    assert_eq!((reply.status, answered(&reply).get("error")), (302, Some("unsupported_response_type")));
    // Without a word: the only resource, and what it asks of everybody.
    let page = configured.authorize("known", WEB, &[("resource", None), ("scope", None), ("state", None)]);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("mcp:tools"));
}

#[wasm_bindgen_test(unsupported = test)]
fn consent_is_the_users_own() {
    let scene = Scene::new();
    let client = scene.client(WEB);
    let page = scene.authorize(&client, WEB, &[]);

    let other = scene.other_browser();
    assert_eq!(other.browse(Scene::form(&page, "allow")).status, 400, "a browser without the cookie");
    other.authorize(&client, WEB, &[]);
    assert_eq!(other.browse(Scene::form(&page, "allow")).status, 400, "a browser with another one");
    for origin in ["https://evil.example", "null", "https://app.example"] {
        let reply = scene.browse(Scene::form(&page, "allow").field("origin", origin));
        assert_eq!((reply.status, scene.reason().as_str()), (403, "foreign_form"), "{origin}");
    }
    let cross = Scene::form(&page, "allow").field("sec-fetch-site", "cross-site");
    assert_eq!(scene.browse(cross).status, 403);
    assert_eq!(scene.answer(&page, "perhaps").status, 400);
    let sealed = between(&page.body, "name=\"request\" value=\"", "\"");
    let changed = format!("{}A", &sealed[..sealed.len() - 1]);
    let forged = post("/consent", &[("request", &changed), ("decision", "allow")]).field("origin", PUBLIC);
    assert_eq!(scene.browse(forged).status, 400);

    let denied = scene.answer(&page, "deny");
    assert_eq!(answered(&denied).get("error"), Some("access_denied"));
    assert!(onward(&denied).starts_with(WEB));
    assert!(scene.world.asked().is_empty());

    scene.world.pass(600);
    assert_eq!(scene.answer(&page, "allow").status, 400, "the page is too old");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_login_belongs_to_the_browser_that_began_it() {
    let scene = Scene::new();
    let client = scene.client(WEB);
    let begun = scene.answer(&scene.authorize(&client, WEB, &[]), "allow");
    let back = scene.come_back(&begun);

    let victim = scene.other_browser();
    assert_eq!(victim.browse(back.clone()).status, 400, "no cookie");
    let page = victim.authorize(&client, WEB, &[]);
    victim.answer(&page, "allow");
    let swapped = victim.browse(back.clone());
    assert_eq!((swapped.status, scene.reason().as_str()), (400, "login_stale"), "a login of its own");

    assert!(code_of(&scene.browse(back.clone())).is_some(), "nobody else could end it");
    assert_eq!(scene.browse(back).status, 400, "it is good once");
    assert_eq!(scene.browse(callback("made-up", &[("code", "x"), ("iss", ISSUER)])).status, 400);

    let begun = scene.authorize(&client, WEB, &[]);
    let late = scene.come_back(&begun);
    scene.world.pass(600);
    assert_eq!(scene.browse(late).status, 400, "it took too long");
}

#[wasm_bindgen_test(unsupported = test)]
fn the_provider_must_be_the_one_that_was_asked_about_the_one_who_asks() {
    let scene = Scene::new();
    let client = scene.client(WEB);
    let begin = || {
        let page = scene.authorize(&client, WEB, &[("state", Some("s")), ("prompt", Some("login"))]);
        let page = if page.status == 200 { scene.answer(&page, "allow") } else { page };
        let asked = Parameters::parse(onward(&page).split_once('?').expect("a query").1.to_owned().as_str());
        let asked = asked.expect("a form");
        assert_eq!(asked.get("prompt"), Some("login"));
        (asked.get("state").expect("a state").to_owned(), asked.get("nonce").expect("a nonce").to_owned())
    };
    let outcome = |reply: &Reply| answered(reply).get("error").unwrap_or("none").to_owned();
    for (more, error) in [
        (vec![("code", "x"), ("iss", "https://evil.example")], "server_error"),
        (vec![("code", "x")], "server_error"),
        (vec![("error", "access_denied"), ("iss", ISSUER)], "access_denied"),
        (vec![("error", "<script>"), ("iss", ISSUER)], "server_error"),
    ] {
        let (state, nonce) = begin();
        scene.provide(&scene.id_token(&nonce, &json!({})));
        assert_eq!(outcome(&scene.browse(callback(&state, &more))), error, "{more:?}");
    }
    let good = |state: &str| callback(state, &[("code", "x"), ("iss", ISSUER)]);
    for (changes, what) in [
        (json!({ "iss": "https://evil.example" }), "another issuer"),
        (json!({ "aud": "another" }), "another client"),
        (json!({ "aud": ["gate", "another"] }), "several clients without azp"),
        (json!({ "azp": "another" }), "given to another"),
        (json!({ "nonce": "another" }), "another login"),
        (json!({ "exp": NOON - 61 }), "over"),
        (json!({ "iat": NOON + 3600 }), "from later"),
        (json!({ "sub": "" }), "nobody"),
        (json!({ "sub": "client:machine" }), "a name that clients have"),
    ] {
        let (state, nonce) = begin();
        scene.provide(&scene.id_token(&nonce, &changes));
        let error = outcome(&scene.browse(good(&state)));
        assert!(matches!(error.as_str(), "server_error" | "access_denied"), "{what}: {error}");
    }
    let (state, nonce) = begin();
    let token = scene.id_token(&nonce, &json!({}));
    let (input, signature) = token.rsplit_once('.').expect("a JWS");
    scene.provide(&format!("{input}.{}", signature.chars().rev().collect::<String>()));
    assert_eq!(outcome(&scene.browse(good(&state))), "server_error", "another signature");
    for answer in [
        Ok((400, "application/json", "{\"error\":\"invalid_grant\"}")),
        Ok((200, "application/json", "{\"error\":\"bad_verification_code\"}")),
        Ok((200, "application/json", "{\"access_token\":\"a\"}")),
        Ok((200, "application/json", "not JSON")),
        Err("connection refused"),
    ] {
        let (state, _) = begin();
        scene.world.answer(TOKEN_ENDPOINT, answer);
        assert_eq!(outcome(&scene.browse(good(&state))), "server_error", "{answer:?}");
    }
    let (state, nonce) = begin();
    scene.provide(&scene.id_token(&nonce, &json!({})));
    assert!(code_of(&scene.browse(good(&state))).is_some(), "and then it works");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_user_is_asked_once_and_again_only_for_what_is_new() {
    let scene = Scene::new();
    let client = scene.client(WEB);
    scene.code(&client, WEB, &[]);
    // Approved: straight to the provider, who says who it is this time.
    let known = scene.authorize(&client, WEB, &[]);
    assert_eq!((known.status, scene.reason().as_str()), (302, "login_begun"));
    assert!(code_of(&scene.browse(scene.come_back(&known))).is_some());

    let page = scene.authorize(&client, WEB, &[("scope", Some("mcp:tools files:write"))]);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("more than you allowed before") && page.body.contains("Change your files"));
    let back = scene.browse(scene.come_back(&scene.answer(&page, "allow")));
    assert!(code_of(&back).is_some());
    assert_eq!(scene.authorize(&client, WEB, &[("scope", Some("mcp:tools files:write"))]).status, 302);

    // Another client, another place of the same one, or an answer that stays on the machine: asked each time.
    let other = scene.client(WEB);
    assert_eq!(scene.authorize(&other, WEB, &[]).status, 200);
    let local = scene.client(LOOPBACK);
    scene.code(&local, LOOPBACK, &[]);
    assert_eq!(scene.authorize(&local, LOOPBACK, &[]).status, 200);

    // Somebody else signs in at the provider: Grace has approved nothing.
    let known = scene.authorize(&client, WEB, &[]);
    scene.user.replace(json!({ "sub": "grace" }));
    let back = scene.browse(scene.come_back(&known));
    assert_eq!((back.status, code_of(&back)), (302, None));
    let again = back.field("location").strip_prefix(PUBLIC).expect("here").to_owned();
    let page = scene.browse(Request::get(&again));
    assert_eq!((page.status, scene.reason().as_str()), (200, "consent_asked"));
    assert!(code_of(&scene.browse(scene.come_back(&scene.answer(&page, "allow")))).is_some());
}

#[wasm_bindgen_test(unsupported = test)]
fn only_who_may_come_in_gets_what_they_may_have() {
    let server = json!({
        "entitlements": [{ "scopes": ["files:write"], "groups": ["writers"] }],
        "token_claims": ["groups", "email", "department", "sub", "exp"],
    });
    let scene = Scene::with(
        server,
        json!({ "anyone": false, "allowed_domains": ["acme.example"], "allowed_users": ["grace"] }),
    );
    let client = scene.client(LOOPBACK);
    let attempt = |user: Value| {
        scene.user.replace(user);
        let page = scene.authorize(&client, LOOPBACK, &[("scope", Some("mcp:tools files:write"))]);
        scene.browse(scene.come_back(&scene.answer(&page, "allow")))
    };
    for user in [
        json!({ "sub": "1", "email": "eve@evil.example", "email_verified": true }),
        json!({ "sub": "2", "email": "eve@acme.example" }),
        json!({ "sub": "3", "email": "eve@acme.example", "email_verified": false }),
        json!({ "sub": "4", "email": "eve@acme.example.evil.example", "email_verified": true }),
        json!({ "sub": "5", "name": "grace" }),
    ] {
        assert_eq!(answered(&attempt(user.clone())).get("error"), Some("access_denied"), "{user}");
    }
    let back = attempt(json!({ "sub": "grace" }));
    let tokens = scene.redeem(&client, &code_of(&back).expect("a code")).json();
    assert_eq!(text(&tokens, "scope"), "mcp:tools", "she is no writer");
    let back = attempt(json!({
        "sub": "7", "email": "Ada@ACME.example", "email_verified": true, "groups": ["writers"], "department": "tools",
    }));
    let tokens = scene.redeem(&client, &code_of(&back).expect("a code")).json();
    assert_eq!(text(&tokens, "scope"), "files:write mcp:tools");
    let claims = claims_of(&tokens);
    assert_eq!(claims["groups"], json!(["writers"]));
    assert_eq!((text(&claims, "email"), text(&claims, "department")), ("ada@acme.example", "tools"));
    assert_eq!((text(&claims, "sub"), &claims["exp"]), ("7", &json!(NOON + 600)), "those are the gateway's to say");
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_whose_id_is_a_document() {
    let scene = Scene::new();
    let good = || {
        json!({
            "client_id": DOCUMENT, "client_name": "Desk", "redirect_uris": [WEB], "token_endpoint_auth_method": "none",
        })
    };
    let put = |document: &Value| scene.world.document(DOCUMENT, Ok(&document.to_string()));
    let fetches = || scene.world.fetched().iter().filter(|url| *url == DOCUMENT).count();
    for (changes, what) in [
        (json!({ "client_id": "https://client.example/other" }), "another id"),
        (json!({ "client_id": format!("{DOCUMENT}/") }), "a slash more"),
        (json!({ "client_name": null }), "no name"),
        (json!({ "redirect_uris": [] }), "nowhere to go"),
        (json!({ "redirect_uris": ["javascript:alert(1)"] }), "a script"),
        (json!({ "redirect_uris": ["http://app.example"] }), "plain text"),
        (json!({ "client_secret": "everybody's" }), "a secret"),
        (json!({ "token_endpoint_auth_method": "client_secret_basic" }), "a secret to come"),
        (json!({ "token_endpoint_auth_method": "private_key_jwt" }), "no keys"),
        (json!({ "client_name": "x".repeat(101) }), "a long name"),
        (json!({ "padding": "x".repeat(33 * 1024) }), "too large"),
    ] {
        let mut document = good();
        for (name, value) in changes.as_object().expect("a table") {
            document[name] = value.clone();
        }
        put(&document);
        let reply = scene.authorize(DOCUMENT, WEB, &[]);
        assert_eq!((reply.status, scene.reason().as_str()), (400, "invalid_client"), "{what}");
    }
    for id in [
        "https://client.example",
        "https://client.example/",
        "http://client.example/c",
        "https://127.0.0.1/c",
        "https://localhost/c",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/c",
        "https://[fd00::1]/c",
        "https://10.0.0.1/c",
        "https://metadata.internal/c",
        "https://2130706433/c",
        "https://user@client.example/c",
        "https://client.example/a/../c",
        "https://client.example/c#x",
    ] {
        let before = scene.world.fetched().len();
        assert_eq!(scene.authorize(id, WEB, &[]).status, 400, "{id}");
        assert_eq!(scene.world.fetched().len(), before, "{id} is not asked");
    }
    put(&good());
    let before = fetches();
    let page = scene.authorize(DOCUMENT, WEB, &[]);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("of <strong>client.example</strong>"));
    let code = code_of(&scene.browse(scene.come_back(&scene.answer(&page, "allow")))).expect("a code");
    assert_eq!(scene.redeem(DOCUMENT, &code).status, 200);
    assert_eq!(fetches(), before + 1, "it is fetched once");
    scene.world.pass(301);
    scene.authorize(DOCUMENT, WEB, &[]);
    assert_eq!(fetches(), before + 2);

    let scene = Scene::with(json!({ "client_document_domains": ["vendor.example"] }), json!({}));
    assert_eq!(scene.authorize(DOCUMENT, WEB, &[]).status, 400);
    assert_eq!(scene.authorize("https://evilvendor.example/c", WEB, &[]).status, 400);
    assert!(scene.world.fetched().is_empty());
    let scene = Scene::with(json!({ "client_documents": false }), json!({}));
    assert_eq!(scene.authorize(DOCUMENT, WEB, &[]).status, 400);
}

#[wasm_bindgen_test(unsupported = test)]
fn registration_reads_strictly_and_is_managed_by_its_owner() {
    let scene = Scene::new();
    for (metadata, error) in [
        (json!({}), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["http://evil.example/"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["javascript:alert(1)"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["cursor://x"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["https://a.example/#f"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["https://a@b.example/"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": WEB }), "invalid_client_metadata"),
        (json!({ "redirect_uris": [7] }), "invalid_client_metadata"),
        (json!({ "redirect_uris": vec![WEB; 17] }), "invalid_client_metadata"),
        (json!({ "redirect_uris": [WEB], "client_name": "a\nb" }), "invalid_client_metadata"),
        (json!({ "redirect_uris": [WEB], "token_endpoint_auth_method": "tls_client_auth" }), "invalid_client_metadata"),
        (json!({ "redirect_uris": [WEB], "grant_types": ["password"] }), "invalid_client_metadata"),
        (json!({ "redirect_uris": [WEB], "grant_types": ["client_credentials"] }), "invalid_client_metadata"),
        (json!({ "redirect_uris": [WEB], "response_types": ["token"] }), "invalid_client_metadata"),
        (json!({ "redirect_uris": [WEB], "jwks_uri": "https://10.0.0.1/" }), "invalid_client_metadata"),
        (json!({ "redirect_uris": [WEB], "token_endpoint_auth_method": "private_key_jwt" }), "invalid_client_metadata"),
    ] {
        let reply = scene.register(metadata.clone());
        assert_eq!((reply.status, text(&reply.json(), "error")), (400, error), "{metadata}");
        scene.world.pass(10);
    }
    let reply = scene.register(json!({ "redirect_uris": [WEB], "client_name": "A" }));
    let told = reply.json();
    assert_eq!((reply.status, reply.field("cache-control")), (201, "no-store"));
    assert_eq!(text(&told, "token_endpoint_auth_method"), "client_secret_basic");
    assert_eq!(told["client_secret_expires_at"], 0);
    let (id, management) = (text(&told, "client_id"), text(&told, "registration_access_token"));
    let manage = |method, token: &str| {
        scene.call(
            Request::new(method, &format!("/register/{id}"))
                .field("x-unused", "x")
                .field("authorization", &format!("Bearer {token}")),
        )
    };
    assert_eq!(manage(Method::Get, "another").status, 401);
    assert_eq!(manage(Method::Delete, "another").status, 401);
    assert_eq!(manage(Method::Delete, management).status, 204);
    assert_eq!(manage(Method::Delete, management).status, 401);

    let client = scene.client(WEB);
    scene.world.pass(86_400);
    assert_eq!(scene.authorize(&client, WEB, &[]).status, 400, "one that is never used is gone soon");
    for _ in 0..20 {
        scene.client(WEB);
    }
    assert_eq!(scene.register(json!({ "redirect_uris": [WEB] })).status, 429);

    let scene = Scene::with(
        json!({ "registration": "initial_access_token", "initial_access_token_secret": "SEAL" }),
        json!({}),
    );
    assert_eq!(scene.register(json!({ "redirect_uris": [WEB] })).status, 401);
    let body = json!({ "redirect_uris": [WEB] }).to_string();
    let with = |token: &str| {
        let request = Request::new(Method::Post, "/register").field("content-type", "application/json");
        scene.call(request.field("authorization", &format!("Bearer {token}")).body(body.as_bytes())).status
    };
    assert_eq!((with("wrong"), with(SECRET)), (401, 201));
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_authenticate_with_what_they_registered() {
    let scene = Scene::new();
    let registered = |method: &str| {
        scene.register(json!({ "redirect_uris": [LOOPBACK], "token_endpoint_auth_method": method })).json()
    };
    let basic = |id: &str, secret: &str| {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        format!("Basic {pair}")
    };
    let redeem = |code: &str, more: &[(&str, &str)], authorization: Option<String>| {
        let base = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
        let parameters: Vec<_> = base.iter().chain(more).copied().collect();
        let request = post("/token", &parameters);
        let request = match &authorization {
            Some(field) => request.field("authorization", field),
            None => request,
        };
        scene.call(request)
    };
    let client = registered("client_secret_basic");
    let (id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
    let code = scene.code(id, LOOPBACK, &[]);
    for (more, authorization) in [
        (vec![("client_id", id)], None),
        (vec![("client_id", id), ("client_secret", secret)], None),
        (vec![], Some(basic(id, "wrong"))),
        (vec![], Some(basic("pc-other", secret))),
    ] {
        let reply = redeem(&code, &more, authorization.clone());
        assert_eq!((reply.status, text(&reply.json(), "error")), (401, "invalid_client"), "{more:?}");
        assert_eq!(reply.fields.get("www-authenticate").is_some(), authorization.is_some());
    }
    for (more, authorization) in [
        (vec![("client_id", id), ("client_secret", secret)], Some(basic(id, secret))),
        (vec![("client_id", "pc-other")], Some(basic(id, secret))),
        (vec![], None),
        (vec![("client_secret", secret)], None),
    ] {
        let reply = redeem(&code, &more, authorization);
        assert_eq!((reply.status, text(&reply.json(), "error")), (400, "invalid_request"), "{more:?}");
    }
    assert_eq!(redeem(&code, &[], Some(basic(id, secret))).status, 200, "none of that used the code up");

    let client = registered("client_secret_post");
    let (id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
    let code = scene.code(id, LOOPBACK, &[]);
    assert_eq!(redeem(&code, &[], Some(basic(id, secret))).status, 401);
    assert_eq!(redeem(&code, &[("client_id", id), ("client_secret", secret)], None).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn machines_ask_for_themselves_with_a_key_or_a_secret() {
    let jwks = json!({ "keys": [Key::P256.public_jwk()] }).to_string();
    let scene = Scene::with(
        json!({ "clients": [
            { "client_id": "machine", "token_endpoint_auth_method": "client_secret_basic", "secret": "MACHINE",
              "grant_types": ["client_credentials"], "scopes": ["mcp:tools"] },
            { "client_id": "keyed", "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks,
              "grant_types": ["client_credentials"], "scopes": ["mcp:tools", "files:write"], "introspection": true },
        ] }),
        json!({}),
    );
    let authorization = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("machine:{}", SECRET.replace(' ', "+")))
    );
    let machine = |more: &[(&str, &str)]| {
        let parameters: Vec<_> = [("grant_type", "client_credentials")].iter().chain(more).copied().collect();
        scene.call(post("/token", &parameters).field("authorization", &authorization))
    };
    let tokens = machine(&[]).json();
    assert_eq!(text(&tokens, "scope"), "mcp:tools");
    assert_eq!(tokens.get("refresh_token"), None);
    assert_eq!(scene.use_it(&tokens), 200);
    assert_eq!(text(&machine(&[("scope", "files:write")]).json(), "error"), "invalid_scope");
    assert_eq!(text(&machine(&[("resource", "https://other.example/")]).json(), "error"), "invalid_target");
    assert_eq!(text(&machine(&[("grant_type", "password")]).json(), "error"), "invalid_request", "twice");

    let assertion = |changes: Value, key: Key| {
        let now = scene.world.time().seconds();
        let mut claims = json!({
            "iss": "keyed", "sub": "keyed", "aud": PUBLIC, "jti": format!("{now}{changes}"), "exp": now + 60, "iat": now,
        });
        for (name, value) in changes.as_object().expect("a table") {
            claims[name] = value.clone();
        }
        let header = json!({ "alg": "ES256", "kid": "p256", "typ": "JWT" });
        let algorithm = if key == Key::P256 { JwsAlgorithm::Es256 } else { JwsAlgorithm::EdDsa };
        token_with_header(&header.to_string(), &claims.to_string(), key, algorithm)
    };
    let keyed = |assertion: &str| {
        scene.token(&[
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ])
    };
    for (changes, key, what) in [
        (json!({ "aud": "https://other.example" }), Key::P256, "another server"),
        (json!({ "aud": [PUBLIC, "https://other.example"] }), Key::P256, "another server too"),
        (json!({ "sub": "machine" }), Key::P256, "about another"),
        (json!({ "exp": NOON - 60 }), Key::P256, "over"),
        (json!({ "exp": NOON + 3600 }), Key::P256, "for too long"),
        (json!({ "jti": "" }), Key::P256, "no id"),
        (json!({}), Key::Ed25519, "another key"),
    ] {
        let reply = keyed(&assertion(changes, key));
        assert_eq!((reply.status, text(&reply.json(), "error")), (401, "invalid_client"), "{what}");
    }
    let once = assertion(json!({ "aud": format!("{PUBLIC}/token") }), Key::P256);
    let reply = keyed(&once);
    assert_eq!((reply.status, text(&reply.json(), "scope")), (200, "files:write mcp:tools"));
    assert_eq!(keyed(&once).status, 401, "it is good once");
}

#[wasm_bindgen_test(unsupported = test)]
fn revocation_ends_the_grant_and_what_the_provider_gave() {
    let scene = Scene::with(
        json!({ "clients": [{
            "client_id": "asker", "token_endpoint_auth_method": "client_secret_post", "secret": "MACHINE", "introspection": true,
        }] }),
        json!({ "revocation_endpoint": "https://login.example/revoke" }),
    );
    scene.world.answer("https://login.example/revoke", Ok((200, "text/plain", "")));
    let introspect = |token: &str| {
        let parameters = [("client_id", "asker"), ("client_secret", SECRET), ("token", token)];
        scene.call(post("/introspect", &parameters)).json()
    };
    let revoke =
        |client: &str, token: &str| scene.call(post("/revoke", &[("client_id", client), ("token", token)])).status;
    let (client, tokens) = scene.logged_in();
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    assert_eq!(introspect(access)["active"], true);
    assert_eq!(text(&introspect(access), "sub"), "ada");
    assert_eq!(text(&introspect(refresh), "client_id"), client);
    assert_eq!(introspect("nonsense"), json!({ "active": false }));

    let other = scene.client(LOOPBACK);
    assert_eq!(revoke(&other, refresh), 200, "not said, and not done");
    assert_eq!(introspect(refresh)["active"], true);
    assert_eq!(revoke(&client, "nonsense"), 200);
    assert_eq!(scene.call(post("/revoke", &[("client_id", &client)])).status, 400);

    assert_eq!(revoke(&client, refresh), 200);
    assert_eq!(introspect(refresh), json!({ "active": false }));
    assert_eq!(introspect(access), json!({ "active": false }));
    assert_eq!(scene.refresh(&client, refresh).status, 400);
    let there: Vec<String> =
        scene.world.asked().iter().filter(|it| it.url.ends_with("/revoke")).map(|it| it.body.clone()).collect();
    assert!(there[0].contains("token=theirs+too") && there[1].contains("token=theirs&"), "{there:?}");

    // With the access token, too.
    let (client, tokens) = scene.logged_in();
    assert_eq!(revoke(&client, text(&tokens, "access_token")), 200);
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 400);
    assert_eq!(scene.call(post("/introspect", &[("client_id", &client), ("token", "x")])).status, 403);
}

#[wasm_bindgen_test(unsupported = test)]
fn users_see_and_withdraw_their_grants_and_administrators_theirs() {
    let scene = Scene::new();
    let (client, tokens) = scene.logged_in();
    let page = scene.browse(Request::get("/grants"));
    assert_eq!((page.status, scene.reason().as_str()), (200, "grants_shown"));
    assert!(page.body.contains(&client) && page.body.contains("ada"));
    let sealed = between(&page.body, "name=\"form\" value=\"", "\"");
    let withdraw = |origin: &str| {
        post("/grants", &[("form", &sealed), ("client", &client), ("action", "withdraw")]).field("origin", origin)
    };
    assert_eq!(scene.browse(withdraw("https://evil.example")).status, 403);
    let stranger = scene.other_browser();
    assert_eq!(stranger.browse(withdraw(PUBLIC)).status, 303);
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 200, "nobody else can");
    assert_eq!(scene.browse(withdraw(PUBLIC)).status, 303);
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 400);
    assert!(scene.browse(Request::get("/grants")).body.contains("No application"));

    let unknown = scene.other_browser();
    let begun = unknown.browse(Request::get("/grants"));
    assert_eq!(begun.status, 302);
    let back = unknown.browse(unknown.come_back(&begun));
    assert_eq!(back.field("location"), format!("{PUBLIC}/grants"));
    assert_eq!(unknown.browse(Request::get("/grants")).status, 200);

    let (client, tokens) = scene.logged_in();
    let admin = |question: Value, secret: &str| {
        let request = Request::new(Method::Post, "/admin").field("authorization", &format!("Bearer {secret}"));
        scene.call(request.field("content-type", "application/json").body(question.to_string().as_bytes()))
    };
    assert_eq!(admin(json!({ "action": "show", "subject": "ada" }), "wrong").status, 401);
    let shown = admin(json!({ "action": "show", "subject": "ada" }), SECRET).json();
    assert_eq!(shown["grants"].as_object().map(serde_json::Map::len), Some(1));
    let grant = shown["grants"].as_object().and_then(|it| it.keys().next().cloned()).expect("a grant");
    assert_eq!(admin(json!({ "action": "end", "grant": grant }), SECRET).status, 200);
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 400);
    assert_eq!(admin(json!({ "action": "end", "grant": grant }), SECRET).status, 404);
    let (client, tokens) = scene.logged_in();
    scene.world.pass(1);
    assert_eq!(admin(json!({ "action": "delete", "subject": "ada" }), SECRET).status, 200);
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 400);
    assert_eq!(scene.browse(Request::get("/grants")).status, 302, "and is signed out");
    assert_eq!(admin(json!({ "action": "rule" }), SECRET).status, 400);
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_is_half_done_where_records_or_the_provider_are_down() {
    let scene = Scene::new();
    let client = scene.client(WEB);
    let page = scene.authorize(&client, WEB, &[]);
    scene.world.records_down(true);
    assert_eq!(scene.answer(&page, "allow").status, 503);
    assert_eq!(scene.redeem(&client, "pcc_x").status, 503);
    assert_eq!(scene.register(json!({ "redirect_uris": [WEB] })).status, 503);
    scene.world.records_down(false);
    let begun = scene.answer(&page, "allow");
    let back = scene.come_back(&begun);
    scene.world.records_down(true);
    assert_eq!(scene.browse(back.clone()).status, 503);
    scene.world.records_down(false);
    assert!(code_of(&scene.browse(back)).is_some(), "the login was not used up");

    let scene = Scene::new();
    let client = scene.client(WEB);
    scene.world.provider_down();
    let reply = scene.answer(&scene.authorize(&client, WEB, &[]), "allow");
    assert_eq!((reply.status, scene.reason().as_str()), (503, "provider_unavailable"));
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

#[wasm_bindgen_test(unsupported = test)]
fn users_of_servers_without_openid() {
    let user = "https://api.github.com/user";
    let scene = Scene::with(
        json!({ "token_claims": ["groups", "email"] }),
        json!({ "profile": "github", "issuer": null, "anyone": null, "allowed_groups": ["acme"] }),
    );
    let client = scene.client(WEB);
    let answer = |url: &str, body: Value| scene.world.answer(url, Ok((200, "application/json", &body.to_string())));
    let attempt = |orgs: Value, emails: Value| {
        let begun = scene.authorize(&client, WEB, &[]);
        let begun = if begun.status == 200 { scene.answer(&begun, "allow") } else { begun };
        let url = onward(&begun);
        assert!(url.starts_with("https://github.com/login/oauth/authorize?"), "{url}");
        let asked = Parameters::parse(url.split_once('?').expect("a query").1).expect("a form");
        assert_eq!((asked.get("nonce"), asked.get("code_challenge_method")), (None, Some("S256")));
        answer("https://github.com/login/oauth/access_token", json!({ "access_token": "gho", "token_type": "bearer" }));
        answer(user, json!({ "id": 4711, "login": "ada", "email": "shown@evil.example" }));
        answer("https://api.github.com/user/emails", emails);
        answer("https://api.github.com/user/orgs", orgs);
        scene.browse(callback(asked.get("state").expect("a state"), &[("code", "x")]))
    };
    let emails = json!([
        { "email": "old@acme.example", "primary": false, "verified": true },
        { "email": "ada@acme.example", "primary": true, "verified": true },
    ]);
    let refused = attempt(json!([{ "login": "other" }]), emails.clone());
    assert_eq!(answered(&refused).get("error"), Some("access_denied"));
    let back = attempt(json!([{ "login": "acme" }, { "login": "other" }]), emails);
    let tokens = scene.redeem(&client, &code_of(&back).expect("a code")).json();
    let claims = claims_of(&tokens);
    assert_eq!((text(&claims, "sub"), text(&claims, "email")), ("4711", "ada@acme.example"));
    assert_eq!(claims["groups"], json!(["acme", "other"]));
    assert_eq!(
        scene.world.asked().last().map(|asked| asked.field("authorization").to_owned()),
        Some("Bearer gho".to_owned())
    );

    let unverified = json!([{ "email": "ada@acme.example", "primary": true, "verified": false }]);
    let back = attempt(json!([{ "login": "acme" }]), unverified);
    let tokens = scene.redeem(&client, &code_of(&back).expect("a code")).json();
    let claims = claims_of(&tokens);
    assert_eq!(claims.get("email"), None, "nobody says that it is hers");
}

#[wasm_bindgen_test(unsupported = test)]
fn userinfo_adds_to_the_id_token_and_speaks_of_nobody_else() {
    let userinfo = "https://login.example/me";
    let scene = Scene::with(
        json!({ "token_claims": ["groups"] }),
        json!({ "userinfo_endpoint": userinfo, "anyone": null, "allowed_groups": ["tools"] }),
    );
    let client = scene.client(LOOPBACK);
    for (said, error) in [
        (json!({ "sub": "grace", "groups": ["tools"] }), Some("server_error")),
        (json!({ "groups": ["tools"] }), Some("server_error")),
        (json!({ "sub": "ada", "groups": ["others"] }), Some("access_denied")),
        (json!({ "sub": "ada", "groups": "tools" }), None),
        (json!({ "sub": "ada", "groups": ["tools"], "email_verified": false }), None),
    ] {
        scene.world.answer(userinfo, Ok((200, "application/json", &said.to_string())));
        let begun = scene.answer(&scene.authorize(&client, LOOPBACK, &[]), "allow");
        let back = scene.browse(scene.come_back(&begun));
        assert_eq!(answered(&back).get("error"), error, "{said}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_with_keys_of_their_own_at_a_url() {
    let scene = Scene::new();
    let keys = "https://client.example/jwks.json";
    let document = |jwks_uri: &str| {
        json!({
            "client_id": DOCUMENT, "client_name": "Desk", "redirect_uris": [WEB],
            "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": jwks_uri,
        })
    };
    scene.world.document(DOCUMENT, Ok(&document("https://10.0.0.1/jwks").to_string()));
    assert_eq!(scene.authorize(DOCUMENT, WEB, &[]).status, 400, "keys on a private host");
    scene.world.document(DOCUMENT, Ok(&document(keys).to_string()));
    scene.world.document(keys, Ok(&json!({ "keys": [Key::P256.public_jwk()] }).to_string()));
    let code = scene.code(DOCUMENT, WEB, &[]);
    let now = NOON;
    let assertion = |key: Key, algorithm: JwsAlgorithm| {
        let header = json!({ "alg": algorithm.as_str(), "kid": "p256" });
        let claims = json!({ "iss": DOCUMENT, "sub": DOCUMENT, "aud": PUBLIC, "jti": key.name(), "exp": now + 60 });
        token_with_header(&header.to_string(), &claims.to_string(), key, algorithm)
    };
    let redeem = |assertion: &str| {
        scene.token(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ])
    };
    assert_eq!(scene.redeem(DOCUMENT, &code).status, 401, "without its key it is not the client");
    assert_eq!(redeem(&assertion(Key::Ed25519, JwsAlgorithm::EdDsa)).status, 401, "another key");
    scene.world.document(keys, Ok("not JSON"));
    assert_eq!(redeem(&assertion(Key::P256, JwsAlgorithm::Es256)).status, 401, "keys that are none");
    scene.world.document(keys, Ok(&json!({ "keys": [Key::P256.public_jwk()] }).to_string()));
    assert_eq!(redeem(&assertion(Key::P256, JwsAlgorithm::Es256)).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_and_secrets_rotate() {
    let scene = Scene::with(json!({ "key_secrets": ["OLD_KEY"], "secrets": ["SEAL"] }), json!({}));
    let (client, tokens) = scene.logged_in();
    let rotated = |server: Value| Scene {
        world: scene.world.clone(),
        gateway: open_with(document(server, json!({})), &secrets()).expect("the document is right"),
        cookies: RefCell::default(),
        user: scene.user.clone(),
    };
    let after = rotated(json!({ "key_secrets": ["KEY", "OLD_KEY"], "secrets": ["NEW_SEAL", "SEAL"] }));
    assert_eq!(after.use_it(&tokens), 200, "the old key is known");
    let refreshed = after.refresh(&client, text(&tokens, "refresh_token"));
    assert_eq!(refreshed.status, 200, "{}", refreshed.body);
    assert_eq!(after.use_it(&refreshed.json()), 200);
    let later = rotated(json!({ "key_secrets": ["KEY"], "secrets": ["NEW_SEAL"] }));
    assert_eq!(later.use_it(&tokens), 401, "and then it is not");
    assert_eq!(later.refresh(&client, text(&refreshed.json(), "refresh_token")).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_that_jumps_loses_nothing_for_good() {
    let scene = Scene::new();
    let (client, tokens) = scene.logged_in();
    let second = scene.refresh(&client, text(&tokens, "refresh_token")).json();
    scene.world.back(3600);
    let again = scene.refresh(&client, text(&tokens, "refresh_token"));
    assert_eq!(text(&again.json(), "refresh_token"), text(&second, "refresh_token"));
    assert_eq!(scene.refresh(&client, text(&second, "refresh_token")).status, 200);
    scene.world.pass(3600);
    assert_eq!(scene.refresh(&client, text(&second, "refresh_token")).status, 400, "an hour later it is a theft");
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_that_are_too_much_are_refused_and_not_left_out() {
    let scene = Scene::with(json!({ "token_claims": ["groups"] }), json!({}));
    let client = scene.client(LOOPBACK);
    for (count, error) in [(200, None), (400, Some("server_error"))] {
        let groups: Vec<String> = (0..count).map(|at| format!("group-with-a-long-name-{at}")).collect();
        scene.user.replace(json!({ "sub": "ada", "groups": groups }));
        let begun = scene.answer(&scene.authorize(&client, LOOPBACK, &[]), "allow");
        let back = scene.browse(scene.come_back(&begun));
        assert_eq!(answered(&back).get("error"), error, "{count}");
        if let Some(code) = code_of(&back) {
            let tokens = scene.redeem(&client, &code).json();
            assert_eq!(scene.use_it(&tokens), 200);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_withdrawn_while_a_login_is_under_way_is_asked_for_again() {
    let scene = Scene::new();
    let client = scene.client(WEB);
    scene.code(&client, WEB, &[]);
    let known = scene.authorize(&client, WEB, &[]);
    assert_eq!(known.status, 302);
    let page = scene.browse(Request::get("/grants"));
    let sealed = between(&page.body, "name=\"form\" value=\"", "\"");
    let parameters = [("form", sealed.as_str()), ("client", client.as_str()), ("action", "withdraw")];
    scene.browse(post("/grants", &parameters).field("origin", PUBLIC));
    let back = scene.browse(scene.come_back(&known));
    assert_eq!((code_of(&back), scene.reason().as_str()), (None, "asked_again"));

    // So is what a client itself asks to have asked.
    scene.code(&client, WEB, &[]);
    assert_eq!(scene.authorize(&client, WEB, &[("prompt", Some("consent"))]).status, 200);
    assert_eq!(scene.authorize(&client, WEB, &[("max_age", Some("0"))]).status, 302);
}

#[wasm_bindgen_test(unsupported = test)]
fn one_client_cannot_push_out_the_grants_of_another() {
    let scene = Scene::new();
    let (other, tokens) = scene.logged_in();
    let client = scene.client(WEB);
    scene.code(&client, WEB, &[]);
    for _ in 0..30 {
        scene.world.pass(1);
        let known = scene.authorize(&client, WEB, &[]);
        assert!(code_of(&scene.browse(scene.come_back(&known))).is_some());
    }
    assert_eq!(scene.refresh(&other, text(&tokens, "refresh_token")).status, 200);
    let page = scene.browse(Request::get("/grants"));
    assert_eq!(page.body.matches("<dd>").count(), 11, "ten of the one, one of the other");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_that_cannot_be_looked_at_now_is_not_told_that_it_is_none() {
    let scene = Scene::new();
    let document = json!({ "client_id": DOCUMENT, "client_name": "Desk", "redirect_uris": [WEB] }).to_string();
    scene.world.document(DOCUMENT, Ok(&document));
    let code = scene.code(DOCUMENT, WEB, &[]);
    scene.world.pass(0);
    let tokens = scene.redeem(DOCUMENT, &code).json();
    scene.world.pass(400);
    scene.world.document(DOCUMENT, Err("connection refused"));
    let reply = scene.refresh(DOCUMENT, text(&tokens, "refresh_token"));
    assert_eq!((reply.status, text(&reply.json(), "error")), (503, "temporarily_unavailable"));
    let asked = scene.world.fetched().len();
    assert_eq!(scene.refresh(DOCUMENT, text(&tokens, "refresh_token")).status, 503);
    assert_eq!(scene.authorize(DOCUMENT, WEB, &[]).status, 503);
    assert_eq!(scene.world.fetched().len(), asked, "nobody makes the gateway ask without end");
    scene.world.pass(11);
    scene.world.document(DOCUMENT, Ok(&document));
    assert_eq!(scene.refresh(DOCUMENT, text(&tokens, "refresh_token")).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_place_that_a_client_left_gets_no_code() {
    let scene = Scene::new();
    let told = scene.register(json!({ "redirect_uris": [WEB], "token_endpoint_auth_method": "none" })).json();
    let (client, management) = (text(&told, "client_id"), text(&told, "registration_access_token"));
    let begun = scene.answer(&scene.authorize(client, WEB, &[]), "allow");
    let back = scene.come_back(&begun);
    let delete = Request::new(Method::Delete, &format!("/register/{client}"));
    assert_eq!(scene.call(delete.field("authorization", &format!("Bearer {management}"))).status, 204);
    let reply = scene.browse(back);
    assert_eq!((reply.status, reply.fields.get("location")), (400, None));
}

#[wasm_bindgen_test(unsupported = test)]
fn names_that_cannot_be_seen_are_none() {
    let scene = Scene::new();
    for name in ["\u{200b}", "\u{2060}\u{feff}", "\u{3164}", "\u{e0041}\u{e0042}", "...", "\u{2028}"] {
        let reply = scene.register(json!({ "redirect_uris": [WEB], "client_name": name }));
        assert_eq!(reply.status, 400, "{}", name.escape_unicode());
    }
    let told = scene.register(json!({ "redirect_uris": [WEB], "client_name": "Cl\u{202e}aude\u{200b}" })).json();
    assert_eq!(text(&told, "client_name"), "Claude");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_grant_is_for_one_of_several_resources() {
    let mut document = document(json!({}), json!({}));
    let other = json!({
        "path": "/two", "origin": "https://tools.example/two", "issuers": ["portcullis"], "scopes": ["mcp:tools"],
    });
    document["resources"].as_array_mut().expect("resources").push(other);
    let single = Scene::new();
    let gateway = open_with(document, &secrets()).expect("the document is right");
    let scene = Scene { gateway, ..single };
    let client = scene.client(LOOPBACK);
    assert_eq!(scene.authorize(&client, LOOPBACK, &[("resource", None)]).status, 400, "which?");
    let code = scene.code(&client, LOOPBACK, &[]);
    let elsewhere = [
        ("grant_type", "authorization_code"),
        ("client_id", client.as_str()),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
        ("resource", "https://gate.example/two"),
    ];
    assert_eq!(text(&scene.token(&elsewhere).json(), "error"), "invalid_target");
    let tokens = scene.redeem(&client, &code).json();
    assert_eq!(scene.use_it(&tokens), 200, "that used nothing up");
    let two = Request::post("/two").bearer(text(&tokens, "access_token"));
    assert_eq!(scene.call(two).status, 401, "and is good for the one alone");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_fails_in_the_middle_can_be_done_again() {
    let scene = Scene::new();
    let (client, tokens) = scene.logged_in();
    let admin = |question: Value| {
        let request = Request::new(Method::Post, "/admin").field("authorization", &format!("Bearer {SECRET}"));
        scene.call(request.field("content-type", "application/json").body(question.to_string().as_bytes()))
    };
    let shown = admin(json!({ "action": "show", "subject": "ada" })).json();
    let grant = shown["grants"].as_object().and_then(|it| it.keys().next().cloned()).expect("a grant");
    assert_eq!(shown["grants"][&grant]["claims"], json!({}), "what tokens carry is in the export");
    // The person's record answers, the grant's does not.
    scene.world.record_down(&format!("grant/{grant}"), true);
    assert_eq!(admin(json!({ "action": "delete", "subject": "ada" })).status, 503);
    scene.world.record_down(&format!("grant/{grant}"), false);
    let again = admin(json!({ "action": "delete", "subject": "ada" })).json();
    assert_eq!(again["ended"], json!([grant]));
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 400);
    assert!(!scene.world.record(&format!("grant/{grant}")).contains("ada"), "nothing says whose it was");

    // A theft is not listed either.
    let (client, tokens) = scene.logged_in();
    let first = text(&tokens, "refresh_token");
    scene.refresh(&client, first);
    scene.world.pass(61);
    assert_eq!(scene.refresh(&client, first).status, 400);
    assert_eq!(admin(json!({ "action": "show", "subject": "ada" })).json()["grants"], json!({}));
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_live_on_by_being_used() {
    let scene = Scene::with(json!({ "registration_days": 1, "grant_days": 30 }), json!({}));
    let (client, tokens) = scene.logged_in();
    let mut token = text(&tokens, "refresh_token").to_owned();
    for _ in 0..5 {
        scene.world.pass(60_000);
        let reply = scene.refresh(&client, &token);
        assert_eq!(reply.status, 200, "{}", reply.body);
        token = text(&reply.json(), "refresh_token").to_owned();
    }
    scene.world.pass(86_400);
    assert_eq!(scene.refresh(&client, &token).status, 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn addresses_count_by_network() {
    let scene = Scene::new();
    let from = |address: &str| {
        let body = json!({ "redirect_uris": [WEB] }).to_string();
        let request = Request::new(Method::Post, "/register").field("content-type", "application/json");
        scene.call(request.field("cf-connecting-ip", address).body(body.as_bytes())).status
    };
    for at in 0..20 {
        assert_eq!(from(&format!("2001:db8:1:2::{at}")), 201);
    }
    assert_eq!(from("2001:db8:1:2:ffff::1"), 429);
    assert_eq!((from("2001:db8:1:3::1"), from("192.0.2.1")), (201, 201));
}
