//! The whole road: what reaches the origin server, and what comes back.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_compact::jwk::JsonWebKey;
use portcullis::gateway::Gateway;
use portcullis::jwks::key::JwsAlgorithm;
use portcullis::portable;
use portcullis::transport::head::Method;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{
    Claims, ISSUER, Key, Request, TestSecrets, World, document, document_with, gateway, open, open_with, token,
};

fn good() -> Request {
    Request::post("/mcp").bearer(&token(&Claims::good()))
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_caller_sends_and_the_origin_server_must_not_see() {
    let names = [
        "authorization",
        "cookie",
        "origin",
        "host",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-real-ip",
        "cf-connecting-ip",
        "cf-access-jwt-assertion",
        "connection",
        "te",
        "upgrade",
        "expect",
        "proxy-authorization",
        "x-portcullis-evil",
        "x-portcullis-roles",
        "mcp-param-",
        "x-anything",
        "content-encoding",
    ];
    let world = World::new();
    let mut request = good().field("origin", "https://app.example");
    for name in names.into_iter().filter(|name| !matches!(*name, "authorization" | "origin" | "host")) {
        request = request.field(name, "forged");
    }
    for name in [
        "x-portcullis-subject",
        "x-portcullis-issuer",
        "x-portcullis-client",
        "x-portcullis-scopes",
        "x-portcullis-assertion",
    ] {
        request = request.field(name, "forged");
    }
    assert_eq!(world.call(&gateway(), request).status, 200);
    let sent = world.sent().pop().expect("it was forwarded");
    for name in names {
        assert_eq!(sent.fields.get(name), None, "{name}");
    }
    assert!(sent.fields.iter().all(|(_, value)| value != "forged"));
    assert_eq!(sent.fields.get("x-portcullis-subject"), Some("ada"));
    assert_eq!(sent.fields.get("x-portcullis-issuer"), Some(ISSUER));
    assert_eq!(sent.fields.get("x-portcullis-client"), Some("client-1"));
    assert_eq!(sent.fields.get("x-portcullis-scopes"), Some("mcp:tools"));
    assert_eq!(sent.fields.get("x-portcullis-assertion"), None);
    assert_eq!(sent.fields.get("accept-encoding"), Some("identity"));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_travels_on_unchanged() {
    let fields = [
        ("accept", "application/json, text/event-stream"),
        ("accept-language", "de"),
        ("content-type", "application/json; charset=utf-8"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "=?base64?w6Q=?="),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-session-id", "s"),
        ("user-agent", "u"),
        ("mcp-param-region", "eu"),
    ];
    let world = World::new();
    let request =
        fields.into_iter().fold(good(), |request, (name, value)| request.field(name, value)).body(b"{\"any\": 1}");
    world.call(&gateway(), request);
    let sent = world.sent().pop().expect("it was forwarded");
    for (name, value) in fields {
        // The origin server reads the message as the gateway does: as UTF-8.
        let value = if name == "content-type" { "application/json" } else { value };
        assert_eq!(sent.fields.get(name), Some(value), "{name}");
    }
    assert_eq!((sent.method, sent.body.as_slice()), ("POST", b"{\"any\": 1}".as_slice()));
    // The modern era resumes nothing (T27); what an old-era client names travels.
    for (version, travels) in [("2026-07-28", None), ("2025-11-25", Some("3"))] {
        let world = World::new();
        world.call(&gateway(), good().field("mcp-protocol-version", version).field("last-event-id", "3"));
        assert_eq!(world.sent().pop().expect("it was forwarded").fields.get("last-event-id"), travels, "{version}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn fields_that_readers_read_differently() {
    for name in ["mcp-name", "mcp-method", "mcp-session-id", "mcp-param-region", "last-event-id"] {
        for value in ["caf\u{e9}", "a\u{1}b", "\u{7f}"] {
            let reply = World::new().call(&gateway(), good().field(name, value));
            assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32020)), "{name} {value:?}");
        }
    }
    let world = World::new();
    world.call(&gateway(), good().field("user-agent", "caf\u{e9}"));
    assert_eq!(world.sent().pop().expect("forwarded").fields.get("user-agent"), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn where_requests_go() {
    let document = json!({ "resources": [
        { "path": "/mcp", "origin": "https://tools.example/base/mcp", "issuers": ["idp"] },
        { "path": "/svc", "service": "TOOLS", "issuers": ["idp"] },
        { "path": "/slash", "origin": "https://tools.example/", "issuers": ["idp"] },
        { "path": "/bare", "origin": "https://tools.example", "issuers": ["idp"] },
    ] });
    let gateway = open(document_with(document)).expect("right");
    let sent = |target: &str| {
        let world = World::new();
        let resource = target.split(['?', '/']).nth(1).unwrap_or_default();
        let claims = Claims::good().with("aud", json!(format!("https://gate.example/{resource}")));
        world.call(&gateway, Request::get(target).bearer(&token(&claims)));
        world.sent().pop().map(|sent| (sent.url, sent.service))
    };
    let network = |url: &str| Some((url.to_owned(), None));
    assert_eq!(sent("/mcp"), network("https://tools.example/base/mcp"));
    assert_eq!(sent("/mcp?a=%20b&c"), network("https://tools.example/base/mcp?a=%20b&c"));
    assert_eq!(sent("/mcp/x/y"), network("https://tools.example/base/mcp/x/y"));
    assert_eq!(sent("/mcp/"), network("https://tools.example/base/mcp/"));
    assert_eq!(sent("/slash"), network("https://tools.example/"));
    assert_eq!(sent("/slash/x"), network("https://tools.example/x"));
    assert_eq!(sent("/bare/x"), network("https://tools.example/x"));
    assert_eq!(sent("/svc"), Some(("https://service.invalid/svc".to_owned(), Some("TOOLS".to_owned()))));
    assert_eq!(sent("/mcpx"), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn subjects_of_any_characters_are_one_field() {
    for (subject, field) in
        [("auth0|1", "auth0|1"), ("ä b", "%C3%A4%20b"), ("a\r\nx-evil: 1", "a%0D%0Ax-evil:%201"), ("50%", "50%25")]
    {
        let world = World::new();
        world.call(&gateway(), Request::post("/mcp").bearer(&token(&Claims::good().with("sub", json!(subject)))));
        assert_eq!(world.sent().pop().expect("forwarded").fields.get("x-portcullis-subject"), Some(field));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_comes_back_and_what_does_not() {
    let world = World::new();
    world.origin(Ok((
        200,
        &[
            ("content-type", "text/event-stream"),
            ("x-accel-buffering", "no"),
            ("mcp-session-id", "s"),
            ("cache-control", "no-cache"),
            ("retry-after", "1"),
            ("set-cookie", "a=b"),
            ("server", "secret/1.0"),
            ("x-powered-by", "x"),
            ("www-authenticate", "Basic"),
            ("access-control-allow-origin", "*"),
            ("connection", "keep-alive"),
            ("strict-transport-security", "max-age=0"),
            ("x-request-id", "theirs"),
        ],
    )));
    let reply = world.call(&gateway(), good());
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("x-accel-buffering", "no"),
        ("mcp-session-id", "s"),
        ("cache-control", "no-cache"),
        ("retry-after", "1"),
    ] {
        assert_eq!(reply.field(name), value);
    }
    for name in [
        "set-cookie",
        "server",
        "x-powered-by",
        "www-authenticate",
        "access-control-allow-origin",
        "connection",
        "strict-transport-security",
    ] {
        assert_eq!(reply.field(name), "", "{name}");
    }
    assert_ne!(reply.field("x-request-id"), "theirs");
    for policy in ["public, max-age=60", "Public", "s-maxage=5"] {
        world.origin(Ok((200, &[("cache-control", policy)])));
        assert_eq!(world.call(&gateway(), good()).field("cache-control"), "no-store", "{policy}");
    }
    world.origin(Ok((200, &[("mcp-session-id", "a\u{1}b"), ("content-encoding", "gzip"), ("content-length", "7")])));
    let odd = world.call(&gateway(), good());
    assert_eq!((odd.field("mcp-session-id"), odd.field("content-encoding"), odd.field("content-length")), ("", "", ""));
    world.origin(Ok((200, &[])));
    assert_eq!(
        world.call(&gateway(), good()).field("cache-control"),
        "no-store",
        "one caller's answer is not another's"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn disconnects_mean_opposite_things_in_the_two_eras() {
    let cancels = |request: Request| {
        let world = World::new();
        world.call(&gateway(), request);
        world.sent().pop().expect("forwarded").cancel_on_disconnect
    };
    assert!(cancels(good().modern()), "T25");
    assert!(cancels(good().field("mcp-protocol-version", "2027-01-01")), "T25");
    for version in ["2025-11-25", "2026-07-27", "v999.0.0", "DRAFT-2026", "2026-07-28x", ""] {
        assert!(!cancels(good().field("mcp-protocol-version", version)), "L7: {version}");
    }
    assert!(!cancels(good()), "L7");
    assert!(
        cancels(Request::get("/mcp").bearer(&token(&Claims::good()))),
        "a stream that only listens ends with its listener"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn public_paths_are_open_and_carry_no_identity() {
    let world = World::new();
    let reply =
        world.call(&gateway(), Request::get("/status?x=1").bearer("whatever").field("x-portcullis-subject", "root"));
    assert_eq!(reply.status, 200);
    let sent = world.sent().pop().expect("forwarded");
    assert_eq!(sent.url, "https://tools.example/status?x=1");
    assert!(sent.fields.iter().all(|(name, _)| !name.starts_with("x-portcullis") && name != "authorization"));
    for near in ["/status/", "/status/x", "/statusx", "/STATUS", "/status;x", "/%73tatus%2f"] {
        let world = World::new();
        let reply = world.call(&gateway(), Request::get(near));
        assert_eq!((reply.status, world.sent().len()), (404, 0), "{near}");
    }
    let foreign = Request::get("/status").field("origin", "https://evil.example");
    assert_eq!(World::new().call(&gateway(), foreign).status, 403);
}

#[wasm_bindgen_test(unsupported = test)]
fn metadata_of_resources() {
    let get =
        |target: &str| World::new().call(&gateway(), Request::get(target).field("origin", "https://anyone.example"));
    let reply = get("/.well-known/oauth-protected-resource/mcp");
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.json(),
        json!({
            "resource": "https://gate.example/mcp",
            "authorization_servers": [ISSUER],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["mcp:tools"],
        })
    );
    assert_eq!(reply.field("access-control-allow-origin"), "*");
    assert_eq!(reply.field("cache-control"), "public, max-age=300");
    assert_eq!(
        get("/.well-known/oauth-protected-resource/mcp/admin").json()["resource"],
        "https://gate.example/mcp/admin"
    );
    for nothing in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/x",
        "/.well-known/oauth-protected-resource/MCP",
        "/.well-known/jwks.json",
    ] {
        assert_eq!(get(nothing).status, 404, "{nothing}");
    }
    let head = World::new().call(&gateway(), Request::new(Method::Head, "/.well-known/oauth-protected-resource/mcp"));
    assert_eq!((head.status, head.body.as_str(), head.field("content-type")), (200, "", "application/json"));
    let post = World::new().call(&gateway(), Request::post("/.well-known/oauth-protected-resource/mcp"));
    assert_eq!((post.status, post.field("allow")), (405, "GET, HEAD, OPTIONS"));
    let options =
        World::new().call(&gateway(), Request::new(Method::Options, "/.well-known/oauth-protected-resource/mcp"));
    assert_eq!((options.status, options.field("access-control-allow-origin")), (204, "*"));
}

#[wasm_bindgen_test(unsupported = test)]
fn metadata_at_the_root() {
    let one = |path: &str| {
        let document = json!({ "public_paths": [], "resources": [{ "path": path, "origin": "https://tools.example", "issuers": ["idp"], "name": "Tools", "documentation": "https://docs.example" }] });
        let gateway = open(document_with(document)).expect("right");
        World::new().call(&gateway, Request::get("/.well-known/oauth-protected-resource")).json()
    };
    assert_eq!(one("/mcp")["resource"], "https://gate.example/mcp");
    // With the slash: what clients make of the URL that they are given.
    assert_eq!(one("/")["resource"], "https://gate.example/");
    assert_eq!(
        (&one("/")["resource_name"], &one("/")["resource_documentation"]),
        (&json!("Tools"), &json!("https://docs.example"))
    );
    assert_eq!(one("/").get("scopes_supported"), None, "no parameter without elements");
}

#[wasm_bindgen_test(unsupported = test)]
fn health() {
    let reply = World::new().call(&gateway(), Request::get("/healthz"));
    assert_eq!(
        (reply.status, reply.body.as_str(), reply.field("cache-control")),
        (200, "{\"status\":\"ok\"}", "no-store")
    );
    assert_eq!(World::new().call(&gateway(), Request::get("/healthz/x")).status, 404);
}

fn asserting(key: Key) -> Rc<Gateway> {
    let secrets = TestSecrets(vec![("ASSERTION_KEY", key.private_jwk().to_string())]);
    let mut document = document();
    document["identity_assertion"] = json!({ "key_secrets": ["ASSERTION_KEY"] });
    open_with(document, &secrets).expect("right")
}

#[wasm_bindgen_test(unsupported = test)]
fn the_first_key_signs_and_all_are_published() {
    let (one, other) = (Key::P256.private_jwk().to_string(), Key::Ed25519.private_jwk().to_string());
    let secrets = TestSecrets(vec![("ONE", one.clone()), ("OTHER", other), ("SAME", one)]);
    let with = |names: &[&str]| {
        let mut document = document();
        document["identity_assertion"] = json!({ "key_secrets": names });
        open_with(document, &secrets)
    };
    let algorithms = |gateway: &Rc<Gateway>| {
        let published = World::new().call(gateway, Request::get("/.well-known/jwks.json")).json();
        let keys = published["keys"].as_array().expect("keys").iter();
        keys.map(|key| key["alg"].as_str().expect("alg").to_owned()).collect::<Vec<_>>()
    };
    let signs = |gateway: &Rc<Gateway>| {
        use base64::Engine as _;
        let world = World::new();
        world.call(gateway, good());
        let assertion =
            world.sent().pop().expect("sent").fields.get("x-portcullis-assertion").expect("there").to_owned();
        let header = assertion.split('.').next().expect("a header");
        let header = URL_SAFE_NO_PAD.decode(header).expect("base64url");
        serde_json::from_slice::<Value>(&header).expect("JSON")["alg"].as_str().expect("alg").to_owned()
    };
    for (names, first) in [(["ONE", "OTHER"], "ES256"), (["OTHER", "ONE"], "EdDSA")] {
        let gateway = with(&names).expect("right");
        assert_eq!(algorithms(&gateway).len(), 2);
        assert_eq!((algorithms(&gateway)[0].as_str(), signs(&gateway).as_str()), (first, first));
    }
    let wrong = |names: &[&str]| with(names).err().map(|mistakes| mistakes.to_string()).unwrap_or_default();
    assert_eq!(wrong(&[]), "identity_assertion.key_secrets: must name at least one secret");
    assert_eq!(wrong(&["ONE", "SAME"]), "identity_assertion.key_secrets[1]: is the same key as an earlier entry");
}

#[wasm_bindgen_test(unsupported = test)]
fn identity_assertions_can_be_checked_with_the_published_key() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    for (key, algorithm) in [(Key::P256, JwsAlgorithm::Es256), (Key::Ed25519, JwsAlgorithm::EdDsa)] {
        let gateway = asserting(key);
        let world = World::new();
        let reply = world.call(&gateway, good());
        let assertion =
            world.sent().pop().expect("forwarded").fields.get("x-portcullis-assertion").expect("there").to_owned();
        let published = World::new().call(&gateway, Request::get("/.well-known/jwks.json")).json();
        let published = &published["keys"][0];
        assert_eq!(published.get("d"), None, "the private part stays");
        let jwk: JsonWebKey<'_> = serde_json::from_value(published.clone()).expect("a JWK");
        let (input, signature) = assertion.rsplit_once('.').expect("compact form");
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url");
        assert_eq!(portable::verify(&jwk, algorithm, input.as_bytes(), &decode(signature)), Ok(true));
        let (header, claims) = input.split_once('.').expect("two parts");
        let json = |part: &str| serde_json::from_slice::<Value>(&decode(part)).expect("JSON");
        assert_eq!(
            json(header),
            json!({ "alg": algorithm.as_str(), "kid": published["kid"], "typ": "portcullis-assertion+jwt" })
        );
        let claims = json(claims);
        let (issued, expires) = (claims["iat"].as_u64().expect("iat"), claims["exp"].as_u64().expect("exp"));
        assert_eq!((issued, expires - issued), (world.time().seconds(), 60));
        assert_eq!(
            claims,
            json!({
                "iss": "https://gate.example", "aud": "https://tools.example/mcp", "sub": "ada", "subject_issuer": ISSUER,
                "client_id": "client-1", "scope": "mcp:tools", "iat": issued, "exp": expires, "jti": reply.field("x-request-id"),
            })
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn anonymous_callers_are_not_asserted() {
    let world = World::new();
    world.call(&asserting(Key::P256), Request::get("/status"));
    assert_eq!(world.sent().pop().expect("forwarded").fields.get("x-portcullis-assertion"), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_host_says_of_itself_is_never_asked_of_an_origin_server() {
    let document = json!({ "public_paths": [], "resources": [{ "path": "/", "origin": "https://tools.example", "issuers": ["idp"] }] });
    let gateway = open(document_with(document)).expect("right");
    let claims = || Claims::good().with("aud", json!("https://gate.example/"));
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/x/y"] {
        let world = World::new();
        let reply = world.call(&gateway, Request::get(path).bearer(&token(&claims())));
        assert_eq!((reply.status, world.sent().len()), (404, 0), "{path}");
    }
    let world = World::new();
    world.call(&gateway, Request::post("/x").bearer(&token(&claims())));
    assert_eq!(world.sent().len(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_of_the_caller_for_the_origin_server() {
    let mut document = document();
    document["resources"][0]["identity_claims"] = json!(["email", "groups", "roles", "/org/cost_center", "level"]);
    let key = Key::Ed25519.private_jwk().to_string();
    document["identity_assertion"] = json!({ "key_secrets": ["KEY"] });
    let secrets = TestSecrets(vec![("KEY", key)]);
    let gateway = open_with(document.clone(), &secrets).expect("the configuration is right");
    let call = |claims: Claims| {
        let world = World::new();
        // A caller cannot state any of these itself.
        let request = Request::post("/mcp")
            .bearer(&token(&claims))
            .field("x-portcullis-email", "eve@evil.example")
            .field("x-portcullis-roles", "admin")
            .field("x-portcullis-claim-level", "9");
        let status = world.call(&gateway, request).status;
        let reason = world.last_request()["reason"].as_str().unwrap_or_default().to_owned();
        (status, world.sent().pop().map(|sent| sent.fields), reason)
    };
    let full = Claims::good()
        .with("email", json!("ada@acme.example"))
        .with("email_verified", json!(true))
        .with("groups", json!(["writers", "a,b", "Zürich 100%"]))
        .with("roles", json!(["admin"]))
        .with("org", json!({ "cost_center": { "a": 1 } }))
        .with("level", json!(7));
    let (status, sent, _) = call(full);
    let sent = sent.expect("it was forwarded");
    assert_eq!(status, 200);
    for (field, value) in [
        ("x-portcullis-email", "ada@acme.example"),
        ("x-portcullis-groups", "writers,a%2Cb,Z%C3%BCrich%20100%25"),
        ("x-portcullis-roles", "admin"),
        ("x-portcullis-claim-cost-center", "{\"a\":1}"),
        ("x-portcullis-claim-level", "7"),
    ] {
        assert_eq!(sent.get(field), Some(value), "{field}");
    }
    let assertion = sent.get("x-portcullis-assertion").expect("an assertion").split('.').nth(1).expect("claims");
    let assertion: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(assertion).expect("base64url")).expect("JSON");
    assert_eq!(
        assertion["claims"],
        json!({
            "email": "ada@acme.example", "groups": ["writers", "a,b", "Zürich 100%"], "roles": ["admin"],
            "cost_center": { "a": 1 }, "level": 7,
        })
    );
    // What the credential does not say, the origin server does not get; an address counts only if it is verified.
    for verified in [json!(false), Value::Null, json!("yes"), json!(1)] {
        let claims = Claims::good().with("email", json!("ada@acme.example")).with("email_verified", verified.clone());
        let (status, sent, _) = call(claims);
        let sent = sent.expect("it was forwarded");
        let given: Vec<&str> =
            sent.iter().map(|(name, _)| name).filter(|name| name.starts_with("x-portcullis-")).collect();
        assert_eq!(status, 200);
        for field in ["x-portcullis-email", "x-portcullis-groups", "x-portcullis-roles", "x-portcullis-claim-level"] {
            assert!(!given.contains(&field), "{verified} {given:?}");
        }
    }
    let many: Vec<String> = (0..800).map(|at| format!("group-{at:04}")).collect();
    let (status, sent, reason) = call(Claims::good().with("groups", json!(many)));
    assert_eq!((status, sent, reason.as_str()), (403, None, "identity_too_large"), "no claim is left out silently");
    for (entries, part) in [
        (json!(["sub"]), "must not be \"sub\""),
        (json!(["/a/"]), "must be email, groups, roles, or a claim"),
        (json!(["a b"]), "must be email, groups, roles, or a claim"),
        (json!(["https://acme.example/x y"]), "must be email"),
        (json!(["level", "/x/level"]), "has the name of another entry"),
        (json!(["cost_center", "cost-center"]), "has the name of another entry"),
    ] {
        document["resources"][0]["identity_claims"] = entries.clone();
        let mistakes = open_with(document.clone(), &secrets).expect_err("a mistake").to_string();
        assert!(mistakes.contains("resources[0].identity_claims[") && mistakes.contains(part), "{entries}: {mistakes}");
    }
}
