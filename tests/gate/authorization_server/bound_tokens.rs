//! Tokens that the authorization server binds to a key (DPoP, RFC 9449) or to a client certificate (RFC 8705).

use base64::engine::general_purpose::STANDARD;
use portcullis::jwks::key::VerificationKey;
use sha2::{Digest as _, Sha256};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const MINE: Key = Key::P256;
const OTHER: Key = Key::P384;

fn jkt(key: Key) -> String {
    VerificationKey::parse(&key.public_jwk()).expect("a key").thumbprint().to_owned()
}

/// A gateway whose resource has this requirement.
fn scene(dpop: &str, table: Value) -> Scene {
    with(dpop, json!({}), table)
}

fn with(dpop: &str, server: Value, table: Value) -> Scene {
    let mut document = document(server, json!({}));
    document["resources"][0]["dpop"] = json!(dpop);
    if !table.is_null() {
        document["dpop"] = table;
    }
    let gateway = open_with(document, &secrets()).expect("the document is right");
    Scene { gateway, ..Scene::new() }
}

impl Scene {
    /// A proof for the token endpoint, or with a token for the resource.
    fn proof(&self, key: Key, token: Option<&str>, changes: &Value) -> String {
        let mut jwk = key.public_jwk();
        for member in ["kid", "use"] {
            jwk.as_object_mut().expect("a table").remove(member);
        }
        let algorithm = key.algorithms()[0];
        let header = json!({ "typ": "dpop+jwt", "alg": algorithm.as_str(), "jwk": jwk });
        let url = if token.is_some() { RESOURCE.to_owned() } else { format!("{PUBLIC}/token") };
        let now = self.world.time().seconds();
        let mut claims = json!({ "jti": format!("{now}{changes}{token:?}"), "htm": "POST", "htu": url, "iat": now });
        if let Some(token) = token {
            claims["ath"] = json!(URL_SAFE_NO_PAD.encode(Sha256::digest(token)));
        }
        for (name, value) in changes.as_object().expect("a table") {
            claims[name] = value.clone();
        }
        token_with_header(&header.to_string(), &claims.to_string(), key, algorithm)
    }

    fn redeem_with(&self, client: &str, code: &str, proof: &str) -> Reply {
        let parameters =
            [("grant_type", "authorization_code"), ("client_id", client), ("code", code), ("code_verifier", VERIFIER)];
        self.call(post("/token", &parameters).field("dpop", proof))
    }

    fn refresh_with(&self, client: &str, tokens: &Value, proof: Option<&str>) -> Reply {
        let parameters =
            [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", text(tokens, "refresh_token"))];
        self.call(proof.into_iter().fold(post("/token", &parameters), |request, proof| request.field("dpop", proof)))
    }

    /// The status of a call with a token that is bound to a key.
    fn use_bound(&self, tokens: &Value, key: Key, jti: &str) -> u16 {
        let token = text(tokens, "access_token");
        let proof = self.proof(key, Some(token), &json!({ "jti": jti }));
        let request = Request::post("/mcp").field("authorization", &format!("DPoP {token}")).field("dpop", &proof);
        self.call(request).status
    }

    /// A client with tokens that are bound to a key.
    fn bound(&self, key: Key) -> (String, Value) {
        let client = self.client(LOOPBACK);
        let code = self.code(&client, LOOPBACK, &[]);
        let reply = self.redeem_with(&client, &code, &self.proof(key, None, &json!({})));
        assert_eq!(reply.status, 200, "{}", reply.body);
        (client, reply.json())
    }
}

fn error(reply: &Reply) -> (u16, String) {
    (reply.status, text(&reply.json(), "error").to_owned())
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_for_a_proof_is_bound_to_its_key() {
    for requirement in ["optional", "required"] {
        let scene = scene(requirement, Value::Null);
        let metadata = scene.call(Request::get("/.well-known/oauth-authorization-server")).json();
        assert!(metadata["dpop_signing_alg_values_supported"].as_array().expect("a list").contains(&json!("ES256")));
        let (client, tokens) = scene.bound(MINE);
        assert_eq!(text(&tokens, "token_type"), "DPoP");
        assert_eq!(claims_of(&tokens)["cnf"], json!({ "jkt": jkt(MINE) }));
        assert_eq!(scene.use_bound(&tokens, MINE, "1"), 200);
        assert_eq!(scene.use_bound(&tokens, OTHER, "2"), 401);
        assert_eq!(scene.use_it(&tokens), 401, "not as a bearer token");
        let next = scene.refresh_with(&client, &tokens, Some(&scene.proof(MINE, None, &json!({ "jti": "3" }))));
        assert_eq!((next.status, text(&next.json(), "token_type")), (200, "DPoP"), "{}", next.body);
        assert_eq!(scene.use_bound(&next.json(), MINE, "4"), 200);
    }
    let scene = scene("optional", Value::Null);
    let (_, tokens) = scene.logged_in();
    assert_eq!((text(&tokens, "token_type"), scene.use_it(&tokens)), ("Bearer", 200), "without a proof");
    let scene = self::scene("off", Value::Null);
    let (_, tokens) = scene.bound(MINE);
    assert_eq!(text(&tokens, "token_type"), "Bearer", "a bound token would not work there");
    assert_eq!(scene.use_it(&tokens), 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refresh_token_of_a_public_client_works_with_its_key_alone() {
    let scene = scene("optional", Value::Null);
    let (client, tokens) = scene.bound(MINE);
    for proof in [None, Some(scene.proof(OTHER, None, &json!({ "jti": "other" })))] {
        let reply = scene.refresh_with(&client, &tokens, proof.as_deref());
        assert_eq!(error(&reply), (400, "invalid_dpop_proof".to_owned()));
    }
    let next = scene.refresh_with(&client, &tokens, Some(&scene.proof(MINE, None, &json!({ "jti": "mine" }))));
    assert_eq!(next.status, 200, "a thief without the key could neither use it nor end it");
    assert_eq!(scene.refresh_with(&client, &next.json(), None).status, 400, "its successor neither");

    // A client that authenticates may change its key (RFC 9449 §5).
    let clients = json!({ "clients": [{
        "client_id": "web", "redirect_uris": [WEB], "token_endpoint_auth_method": "client_secret_post", "secret": "MACHINE",
    }] });
    let scene = with("required", clients, Value::Null);
    let code = scene.code("web", WEB, &[]);
    let ask = |parameters: &[(&str, &str)], key: Key, jti: &str| {
        let own = [("client_id", "web"), ("client_secret", SECRET)];
        let parameters: Vec<_> = own.iter().chain(parameters).copied().collect();
        scene.call(post("/token", &parameters).field("dpop", &scene.proof(key, None, &json!({ "jti": jti }))))
    };
    let redeem = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
    let tokens = ask(&redeem, MINE, "a").json();
    let next =
        ask(&[("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))], OTHER, "b").json();
    assert_eq!(claims_of(&next)["cnf"]["jkt"], jkt(OTHER));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_proof_that_is_wrong_uses_nothing_up() {
    let scene = scene("required", Value::Null);
    let client = scene.client(LOOPBACK);
    let code = scene.code(&client, LOOPBACK, &[]);
    let good = scene.proof(MINE, None, &json!({}));
    for (proof, expected) in [
        (scene.proof(MINE, None, &json!({ "htm": "GET" })), "invalid_dpop_proof"),
        (scene.proof(MINE, None, &json!({ "htu": RESOURCE })), "invalid_dpop_proof"),
        (scene.proof(MINE, None, &json!({ "iat": NOON - 301 })), "invalid_dpop_proof"),
        (scene.proof(MINE, None, &json!({ "iat": NOON + 301 })), "invalid_dpop_proof"),
        (scene.proof(MINE, None, &json!({ "jti": "" })), "invalid_dpop_proof"),
        (format!("{good}, {good}"), "invalid_dpop_proof"),
        ("nonsense".to_owned(), "invalid_dpop_proof"),
        (format!("{}AA", &good[..good.len() - 2]), "invalid_dpop_proof"),
        (String::new(), "invalid_dpop_proof"),
    ] {
        assert_eq!(error(&scene.redeem_with(&client, &code, &proof)), (400, expected.to_owned()), "{proof}");
    }
    assert_eq!(error(&scene.redeem(&client, &code)), (400, "invalid_dpop_proof".to_owned()), "it is required");
    let reply = scene.redeem_with(&client, &code, &good);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let again = scene.refresh_with(&client, &reply.json(), Some(&good));
    assert_eq!(error(&again), (400, "invalid_dpop_proof".to_owned()), "a proof is good once");
    let line = scene.world.last_request();
    assert!(text(&line, "detail").contains("proof_replayed"), "{line}");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_proof_must_have_the_nonce_where_nonces_are_configured() {
    let scene = scene("required", json!({ "nonce_secret": "SEAL" }));
    let client = scene.client(LOOPBACK);
    let code = scene.code(&client, LOOPBACK, &[]);
    let reply = scene.redeem_with(&client, &code, &scene.proof(MINE, None, &json!({})));
    assert_eq!(error(&reply), (400, "use_dpop_nonce".to_owned()));
    let nonce = reply.field("dpop-nonce").to_owned();
    assert!(reply.field("access-control-expose-headers").contains("dpop-nonce"));
    let wrong = scene.redeem_with(&client, &code, &scene.proof(MINE, None, &json!({ "nonce": "x" })));
    assert_eq!(error(&wrong), (400, "use_dpop_nonce".to_owned()), "and each time the answer has one");
    assert_eq!(wrong.field("dpop-nonce"), nonce);
    let reply = scene.redeem_with(&client, &code, &scene.proof(MINE, None, &json!({ "nonce": nonce })));
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(!reply.field("dpop-nonce").is_empty(), "one for the next request");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_code_can_be_bound_to_a_key_from_the_beginning() {
    let scene = scene("optional", Value::Null);
    let client = scene.client(LOOPBACK);
    let code = scene.code(&client, LOOPBACK, &[("dpop_jkt", Some(&jkt(MINE)))]);
    assert_eq!(error(&scene.redeem(&client, &code)), (400, "invalid_dpop_proof".to_owned()));
    let other = scene.redeem_with(&client, &code, &scene.proof(OTHER, None, &json!({})));
    assert_eq!(error(&other), (400, "invalid_dpop_proof".to_owned()));
    assert_eq!(scene.redeem_with(&client, &code, &scene.proof(MINE, None, &json!({}))).status, 200);
    let reply = scene.authorize(&client, LOOPBACK, &[("dpop_jkt", Some("short"))]);
    assert!(reply.body.contains("dpop_jkt must be 43 characters"), "{}", reply.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_that_binds_all_its_tokens_gets_no_other() {
    let metadata = json!({
        "client_name": "Bound", "redirect_uris": [LOOPBACK], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"], "dpop_bound_access_tokens": true,
    });
    let scene = scene("optional", Value::Null);
    let registered = scene.register(metadata.clone()).json();
    assert_eq!(registered["dpop_bound_access_tokens"], true);
    let client = text(&registered, "client_id");
    let code = scene.code(client, LOOPBACK, &[]);
    assert_eq!(error(&scene.redeem(client, &code)), (400, "invalid_dpop_proof".to_owned()));
    assert_eq!(scene.redeem_with(client, &code, &scene.proof(MINE, None, &json!({}))).status, 200);
    let off = self::scene("off", Value::Null);
    let client = text(&off.register(metadata).json(), "client_id").to_owned();
    let code = off.code(&client, LOOPBACK, &[]);
    let reply = off.redeem_with(&client, &code, &off.proof(MINE, None, &json!({})));
    assert_eq!(error(&reply), (400, "invalid_request".to_owned()));
    let wrong = off.register(json!({ "redirect_uris": [LOOPBACK], "dpop_bound_access_tokens": "yes" }));
    assert_eq!(error(&wrong), (400, "invalid_client_metadata".to_owned()));
}

#[wasm_bindgen_test(unsupported = test)]
fn machines_and_introspection_know_bound_tokens() {
    let clients = json!({ "clients": [{
        "client_id": "machine", "token_endpoint_auth_method": "client_secret_post", "secret": "MACHINE",
        "grant_types": ["client_credentials"], "scopes": ["mcp:tools"], "introspection": true,
    }] });
    let scene = with("required", clients, Value::Null);
    let own = [("client_id", "machine"), ("client_secret", SECRET)];
    let ask = |proof: Option<String>| {
        let parameters: Vec<_> = [("grant_type", "client_credentials")].iter().chain(&own).copied().collect();
        let request = post("/token", &parameters);
        scene.call(proof.iter().fold(request, |request, proof| request.field("dpop", proof)))
    };
    assert_eq!(error(&ask(None)), (400, "invalid_dpop_proof".to_owned()));
    let tokens = ask(Some(scene.proof(MINE, None, &json!({})))).json();
    assert_eq!(scene.use_bound(&tokens, MINE, "1"), 200);
    let parameters: Vec<_> = [("token", text(&tokens, "access_token"))].iter().chain(&own).copied().collect();
    let said = scene.call(post("/introspect", &parameters)).json();
    assert_eq!((&said["active"], text(&said, "token_type")), (&json!(true), "DPoP"));
    assert_eq!(said["cnf"]["jkt"], jkt(MINE));
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_are_bound_to_the_certificate_of_the_connection() {
    for requirement in ["optional", "required"] {
        let mut document = document(json!({}), json!({}));
        document["resources"][0]["certificate_bound"] = json!(requirement);
        let gateway = open_with(document, &secrets()).expect("the document is right");
        let scene = Scene { gateway, ..Scene::new() };
        let metadata = scene.call(Request::get("/.well-known/oauth-authorization-server")).json();
        assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
        let client = scene.client(LOOPBACK);
        let code = scene.code(&client, LOOPBACK, &[]);
        let redeem = |certificate: Option<[u8; 32]>| {
            let parameters = [
                ("grant_type", "authorization_code"),
                ("client_id", client.as_str()),
                ("code", code.as_str()),
                ("code_verifier", VERIFIER),
            ];
            let request = post("/token", &parameters);
            scene.call(certificate.into_iter().fold(request, Request::certificate))
        };
        if requirement == "required" {
            assert_eq!(error(&redeem(None)), (400, "invalid_request".to_owned()));
        }
        let reply = redeem(Some([7; 32]));
        assert_eq!(reply.status, 200, "{}", reply.body);
        let tokens = reply.json();
        assert_eq!(claims_of(&tokens)["cnf"], json!({ "x5t#S256": URL_SAFE_NO_PAD.encode([7; 32]) }));
        let call = |certificate: Option<[u8; 32]>| {
            let request = Request::post("/mcp").bearer(text(&tokens, "access_token"));
            scene.call(certificate.into_iter().fold(request, Request::certificate)).status
        };
        assert_eq!((call(Some([7; 32])), call(Some([8; 32])), call(None)), (200, 401, 401));
    }
}

/// An X.509 certificate is opaque here: what counts is what the platform says of it.
const CERTIFICATE: &[u8] = b"the bytes of a certificate";

fn with_certificates(more: &Value) -> Scene {
    let jwks = json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "x": Key::Ed25519.public_jwk()["x"], "x5c": [STANDARD.encode(CERTIFICATE)],
    }] });
    let client = |id: &str, method: &str| {
        json!({
            "client_id": id, "token_endpoint_auth_method": method, "grant_types": ["client_credentials"],
            "scopes": ["mcp:tools"],
        })
    };
    let (mut by_name, mut by_key) =
        (client("by-name", "tls_client_auth"), client("by-key", "self_signed_tls_client_auth"));
    by_name["tls_client_auth_subject_dn"] = json!("CN=agent,O=Acme");
    by_key["jwks"] = json!(jwks.to_string());
    let mut document = document(json!({ "client_certificates": true, "clients": [by_name, by_key] }), json!({}));
    document["resources"][0]["certificate_bound"] = json!("optional");
    for (name, value) in more.as_object().expect("a table") {
        document["authorization_server"][name] = value.clone();
    }
    let gateway = open_with(document, &secrets()).expect("the document is right");
    Scene { gateway, ..Scene::new() }
}

/// RFC 8705 §2.
#[wasm_bindgen_test(unsupported = test)]
fn clients_authenticate_with_the_certificate_of_their_connection() {
    let scene = with_certificates(&json!({}));
    let metadata = scene.call(Request::get("/.well-known/oauth-authorization-server")).json();
    let methods = metadata["token_endpoint_auth_methods_supported"].as_array().expect("a list").clone();
    for method in ["tls_client_auth", "self_signed_tls_client_auth"] {
        assert!(methods.contains(&json!(method)), "{methods:?}");
    }
    let digest: [u8; 32] = Sha256::digest(CERTIFICATE).into();
    let ask = |client: &str, certificate: Option<([u8; 32], Option<&str>)>, more: &[(&str, &str)]| {
        let form = [&[("grant_type", "client_credentials"), ("client_id", client)], more].concat();
        let request = post("/token", &form);
        scene
            .call(certificate.into_iter().fold(request, |request, (digest, name)| request.certificate_of(digest, name)))
    };
    let (agent, other) = (Some("CN=agent,O=Acme"), Some("CN=other,O=Acme"));
    for (client, certificate, status) in [
        ("by-name", Some(([7; 32], agent)), 200),
        ("by-name", Some(([7; 32], other)), 401),
        // Its subject says what its holder likes.
        ("by-name", Some((digest, None)), 401),
        ("by-name", None, 401),
        ("by-key", Some((digest, None)), 200),
        ("by-key", Some((digest, other)), 200),
        ("by-key", Some(([7; 32], None)), 401),
        ("by-key", Some(([7; 32], agent)), 401),
        ("by-key", None, 401),
        ("unknown", Some((digest, agent)), 401),
    ] {
        let reply = ask(client, certificate, &[]);
        assert_eq!(reply.status, status, "{client} {certificate:?}: {}", reply.body);
        if status == 401 {
            assert_eq!(text(&reply.json(), "error"), "invalid_client");
        }
    }
    // With a secret or an assertion beside it, the request authenticates in two ways, or in a wrong one.
    let both = ask("by-key", Some((digest, None)), &[("client_secret", SECRET)]);
    assert_eq!(text(&both.json(), "error"), "invalid_client", "{}", both.body);
    // Its tokens are bound to the certificate, whoever issued it (RFC 8705 §3).
    let tokens = ask("by-key", Some((digest, None)), &[]).json();
    assert_eq!(claims_of(&tokens)["cnf"]["x5t#S256"], json!(URL_SAFE_NO_PAD.encode(digest)));
    let call = |certificate: [u8; 32]| {
        let request = Request::post("/mcp").bearer(text(&tokens, "access_token"));
        scene.call(request.certificate_of(certificate, None)).status
    };
    assert_eq!((call(digest), call([7; 32])), (200, 401));
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_register_certificates_where_the_configuration_says_so() {
    let scene = with_certificates(&json!({}));
    let metadata = |method: &str, more: Value| {
        let mut metadata = json!({
            "client_name": "Agent", "redirect_uris": [LOOPBACK], "token_endpoint_auth_method": method,
            "grant_types": ["authorization_code", "refresh_token"],
        });
        for (name, value) in more.as_object().expect("a table") {
            metadata[name] = value.clone();
        }
        metadata
    };
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": Key::Ed25519.public_jwk()["x"] });
    let mut certified = jwk.clone();
    certified["x5c"] = json!([STANDARD.encode(CERTIFICATE)]);
    let good = metadata("self_signed_tls_client_auth", json!({ "jwks": { "keys": [certified] } }));
    let registered = scene.register(good.clone());
    assert_eq!(registered.status, 201, "{}", registered.body);
    assert_eq!(registered.json()["client_secret"], Value::Null);
    let named = metadata("tls_client_auth", json!({ "tls_client_auth_subject_dn": "CN=x" }));
    assert_eq!(scene.register(named.clone()).json()["tls_client_auth_subject_dn"], "CN=x");
    let client = text(&registered.json(), "client_id").to_owned();
    let code = scene.code(&client, LOOPBACK, &[]);
    let digest: [u8; 32] = Sha256::digest(CERTIFICATE).into();
    let redeem = |certificate: [u8; 32]| {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client.as_str()),
            ("code", code.as_str()),
            ("code_verifier", VERIFIER),
        ];
        scene.call(post("/token", &form).certificate_of(certificate, None)).status
    };
    assert_eq!((redeem([7; 32]), redeem(digest)), (401, 200));
    for (wrong, why) in [
        (metadata("self_signed_tls_client_auth", json!({})), "x5c"),
        (metadata("self_signed_tls_client_auth", json!({ "jwks": { "keys": [jwk] } })), "x5c"),
        (metadata("tls_client_auth", json!({})), "tls_client_auth_subject_dn"),
        (metadata("tls_client_auth", json!({ "tls_client_auth_san_dns": "a.example" })), "tls_client_auth_subject_dn"),
    ] {
        let reply = scene.register(wrong);
        assert_eq!((reply.status, text(&reply.json(), "error")), (400, "invalid_client_metadata"));
        assert!(reply.body.contains(why), "{}", reply.body);
    }
    // Without it, nothing asks for certificates, and no client has one.
    let off = Scene::new();
    for metadata in [good, named] {
        assert_eq!(off.register(metadata).status, 400);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_of_clients_with_certificates() {
    for (changes, expected) in [
        (json!({ "tls_client_auth_subject_dn": null }), "tls_client_auth needs tls_client_auth_subject_dn"),
        (json!({ "token_endpoint_auth_method": "private_key_jwt" }), "tls_client_auth_subject_dn: is for clients"),
        (json!({ "secret": "ADMIN" }), "secret: is for clients that authenticate with a secret"),
    ] {
        let mut client = json!({
            "client_id": "x", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=x",
            "grant_types": ["client_credentials"], "scopes": ["mcp:tools"],
        });
        for (name, value) in changes.as_object().expect("a table") {
            client[name] = value.clone();
        }
        if client["token_endpoint_auth_method"] == json!("private_key_jwt") {
            client["jwks"] = json!(json!({ "keys": [Key::Ed25519.public_jwk()] }).to_string());
        }
        let table = json!({ "client_certificates": true, "clients": [client] });
        let found = open_with(document(table, json!({})), &secrets()).expect_err("wrong").to_string();
        assert!(found.contains(expected), "{expected}: {found}");
    }
    let client = json!({
        "client_id": "x", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=x",
        "grant_types": ["client_credentials"], "scopes": ["mcp:tools"],
    });
    let found = open_with(document(json!({ "clients": [client] }), json!({})), &secrets()).expect_err("wrong");
    assert!(found.to_string().contains("tls_client_auth needs client_certificates = true"), "{found}");
}
