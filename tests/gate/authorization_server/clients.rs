//! Clients: documents, registration, authentication.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

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
    // The id is text of the caller.
    assert_eq!(scene.world.last_request()["path"], "/register");
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
    let named = |kid: &str, key: Key, algorithm: JwsAlgorithm| {
        let header = json!({ "alg": algorithm.as_str(), "kid": kid });
        let claims = json!({ "iss": DOCUMENT, "sub": DOCUMENT, "aud": PUBLIC, "jti": key.name(), "exp": now + 60 });
        token_with_header(&header.to_string(), &claims.to_string(), key, algorithm)
    };
    let assertion = |key: Key, algorithm: JwsAlgorithm| named("p256", key, algorithm);
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
    let good = json!({ "keys": [Key::P256.public_jwk()] }).to_string();
    let error = |reply: &Reply| (reply.status, text(&reply.json(), "error").to_owned());
    let unavailable = (503, "temporarily_unavailable".to_owned());
    // A client that gets `invalid_client` forgets its tokens: what may be over soon is 503.
    scene.world.document(keys, Err("connection refused"));
    assert_eq!(error(&redeem(&assertion(Key::P256, JwsAlgorithm::Es256))), unavailable);
    let fetched = || scene.world.fetched().iter().filter(|url| *url == keys).count();
    let before = fetched();
    assert_eq!(error(&redeem(&assertion(Key::P256, JwsAlgorithm::Es256))), unavailable);
    assert_eq!(fetched(), before, "a failure is remembered");
    scene.world.pass(11);
    scene.world.document(keys, Ok("not JSON"));
    assert_eq!(redeem(&assertion(Key::P256, JwsAlgorithm::Es256)).status, 401, "not a key set");
    scene.world.pass(11);
    scene.world.document(keys, Ok(&good));
    let before = fetched();
    for _ in 0..5 {
        assert_eq!(redeem(&assertion(Key::Ed25519, JwsAlgorithm::EdDsa)).status, 401, "another key");
    }
    assert_eq!(fetched(), before + 1, "keys are fetched once for many assertions");
    assert_eq!(redeem(&named("new", Key::Ed25519, JwsAlgorithm::EdDsa)).status, 401);
    assert_eq!(fetched(), before + 2, "the client may have a new key");
    for kid in 0..50 {
        let reply = redeem(&named(&kid.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa));
        assert_eq!(error(&reply), unavailable, "it is not known whether the client has this key");
    }
    assert_eq!(fetched(), before + 2, "no client makes the gateway fetch without end");
    assert_eq!(redeem(&assertion(Key::P256, JwsAlgorithm::Es256)).status, 200);
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
fn the_type_of_an_application_is_returned_as_it_was_stated() {
    let scene = Scene::new();
    let register = |kind: Value| {
        scene.register(
            json!({ "redirect_uris": [LOOPBACK], "token_endpoint_auth_method": "none", "application_type": kind }),
        )
    };
    for kind in ["native", "web"] {
        let reply = register(json!(kind));
        assert_eq!((reply.status, text(&reply.json(), "application_type")), (201, kind), "{}", reply.body);
    }
    for kind in [json!("desktop"), json!(1)] {
        let reply = register(kind.clone());
        assert_eq!((reply.status, text(&reply.json(), "error")), (400, "invalid_client_metadata"), "{kind}");
    }
    assert_eq!(register(Value::Null).json().get("application_type"), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_live_on_by_being_used() {
    let scene = Scene::with(json!({ "registration_days": 1, "grant_days": 30 }), json!({ "recheck_minutes": 0 }));
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

#[wasm_bindgen_test(unsupported = test)]
fn redirect_uris_of_applications_are_left_out_of_a_registration_that_has_others() {
    let scene = Scene::new();
    let cursor = "cursor://anysphere.cursor-mcp/oauth/callback";
    let register = |scene: &Scene, uris: &[&str]| {
        scene.register(json!({ "redirect_uris": uris, "token_endpoint_auth_method": "none" }))
    };
    let reply = register(&scene, &[cursor, WEB, "http://localhost:8787/callback"]);
    assert_eq!(reply.status, 201);
    // RFC 7591 §3.2.1: the answer has what is registered.
    assert_eq!(reply.json()["redirect_uris"], json!([WEB, "http://localhost:8787/callback"]));
    let id = text(&reply.json(), "client_id").to_owned();
    assert_eq!(scene.authorize(&id, WEB, &[]).status, 200);
    let page = scene.authorize(&id, cursor, &[]);
    assert_eq!((page.status, page.body.contains("redirect_schemes")), (400, true), "the user learns what is missing");
    for uris in [&[cursor][..], &[cursor, "http://app.example/x"], &["javascript:alert(1)", "cursor:"]] {
        let reply = register(&scene, uris);
        assert_eq!((reply.status, text(&reply.json(), "error")), (400, "invalid_redirect_uri"), "{uris:?}");
    }
    let scene = Scene::with(json!({ "redirect_schemes": ["cursor"] }), json!({}));
    let id = text(&register(&scene, &[cursor, WEB]).json(), "client_id").to_owned();
    assert_eq!(scene.authorize(&id, cursor, &[]).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_of_configuration_may_have_redirect_uris_with_one_segment_of_its_own() {
    let with = |uris: Value| {
        let client = json!({ "client_id": "chat", "client_name": "Chat", "redirect_uris": uris });
        json!({ "clients": [client] })
    };
    let prefix = "https://chat.example/connector/oauth/";
    for uris in [json!([format!("{prefix}*")]), json!([format!("{prefix}*"), WEB])] {
        let scene = Scene::with(with(uris), json!({}));
        let authorize = |uri: &str| scene.authorize("chat", uri, &[]).status;
        for good in ["abc", "A-b_9", &"x".repeat(128)] {
            assert_eq!(authorize(&format!("{prefix}{good}")), 200, "{good}");
        }
        for bad in
            ["", "a/b", "a?x=1", "a#x", "a%2Fb", "..", "a.b", "*", "a@b", "a b", "\\a", &"x".repeat(129), "a/", "/a"]
        {
            assert_eq!(authorize(&format!("{prefix}{bad}")), 400, "{bad}");
        }
        for other in [
            "https://chat.example/connector/oauth",
            "https://chat.example.evil/connector/oauth/abc",
            "http://chat.example/connector/oauth/abc",
            "https://chat.example/connector/oauth2/abc",
        ] {
            assert_eq!(authorize(other), 400, "{other}");
        }
        let code = scene.code("chat", &format!("{prefix}abc"), &[]);
        let redeem = |uri: &str| {
            scene.token(&[
                ("grant_type", "authorization_code"),
                ("client_id", "chat"),
                ("code", &code),
                ("code_verifier", VERIFIER),
                ("redirect_uri", uri),
            ])
        };
        assert_eq!(redeem(&format!("{prefix}other")).status, 400, "the code is for one redirect URI");
    }
    for uri in [
        "http://chat.example/x/*",
        "https://*",
        "https://chat.example/*",
        "https://*.example/x/*",
        "https://chat.example/x*",
        "https://chat.example/x?y/*",
        "cursor://x/*",
    ] {
        let document = document(with(json!([uri])), json!({}));
        let mistakes = open_with(document, &secrets()).expect_err("a mistake").to_string();
        assert!(mistakes.contains("authorization_server.clients[0].redirect_uris[0]: "), "{uri}: {mistakes}");
    }
    // A client that registers itself has no such redirect URIs.
    let scene = Scene::new();
    let registered = scene.register(json!({
        "redirect_uris": [format!("{prefix}*")], "token_endpoint_auth_method": "none",
    }));
    let id = text(&registered.json(), "client_id").to_owned();
    assert_eq!(scene.authorize(&id, &format!("{prefix}abc"), &[]).status, 400);
}

#[wasm_bindgen_test(unsupported = test)]
fn registrations_are_counted_by_the_binding_that_configuration_names() {
    let scene = Scene::with(json!({ "registration_limit_binding": "REGISTRATIONS" }), json!({}));
    scene.world.limiter("REGISTRATIONS", 2);
    let register = || scene.register(json!({ "redirect_uris": [WEB], "token_endpoint_auth_method": "none" })).status;
    assert_eq!([register(), register(), register()], [201, 201, 429]);
    assert!(!scene.world.asked_turns().is_empty());
    // Without an answer of the binding, the isolate counts.
    let scene = Scene::with(json!({ "registration_limit_binding": "ABSENT" }), json!({}));
    let statuses: Vec<u16> = (0..40)
        .map(|_| scene.register(json!({ "redirect_uris": [WEB], "token_endpoint_auth_method": "none" })).status)
        .collect();
    assert_eq!((statuses[0], statuses[39]), (201, 429));
}
