//! Codes, refresh tokens and machines.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

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
    let scene = Scene::with(json!({ "refresh_token_days": 1, "grant_days": 2 }), json!({ "recheck_minutes": 0 }));
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
fn a_broader_scope_is_no_way_around_an_entitlement() {
    let scopes = json!({ "mcp:tools": "Use", "files:write": "Change", "files:*": "All", "admin": "Everything" });
    let entitlements = json!([{ "scopes": ["files:write"], "groups": ["writers"] }]);
    let scene = Scene::with(json!({ "scopes": scopes, "entitlements": entitlements }), json!({}));
    let granted = |scene: &Scene| {
        let client = scene.client(LOOPBACK);
        let code = scene.code(&client, LOOPBACK, &[("scope", Some("mcp:tools files:write files:* admin"))]);
        text(&scene.redeem(&client, &code).json(), "scope").to_owned()
    };
    assert_eq!(granted(&scene), "admin mcp:tools", "files:* includes files:write");
    *scene.user.borrow_mut() = json!({ "sub": "bob", "groups": ["writers"] });
    assert_eq!(granted(&scene.other_browser()), "admin files:* files:write mcp:tools");
    // So does a scope that the table says includes it, also where the entry is a wildcard over it.
    for entry in ["files:write", "files:*"] {
        let scopes = json!({ "mcp:tools": "Use", "superuser": "Everything" });
        let entitlements = json!([{ "scopes": [entry], "groups": ["writers"] }]);
        let more = json!({ "scopes": scopes, "entitlements": entitlements });
        let scene = Scene::with_includes(more, json!({ "superuser": ["files:write"] }));
        let client = scene.client(LOOPBACK);
        let code = scene.code(&client, LOOPBACK, &[("scope", Some("mcp:tools superuser"))]);
        assert_eq!(text(&scene.redeem(&client, &code).json(), "scope"), "mcp:tools", "{entry}");
    }
    // An entry for a wildcard is for all that is under it, and not for what a table of scopes says that it includes.
    let scopes = json!({ "mcp:tools": "Use", "files:write": "Change", "files:*": "All", "admin": "Everything" });
    let entitlements = json!([{ "scopes": ["files:*"], "groups": ["writers"] }]);
    let scene = Scene::with(json!({ "scopes": scopes, "entitlements": entitlements }), json!({}));
    assert_eq!(granted(&scene), "admin mcp:tools", "files:write is under files:*");
    *scene.user.borrow_mut() = json!({ "sub": "bob", "groups": ["writers"] });
    assert_eq!(granted(&scene.other_browser()), "admin files:* files:write mcp:tools");
}

#[wasm_bindgen_test(unsupported = test)]
fn how_long_an_old_refresh_token_gets_the_same_answer_is_configured() {
    for (configured, within, beyond) in [(None, 60, 61), (Some(0), 0, 1), (Some(300), 300, 301)] {
        let server = configured.map_or_else(|| json!({}), |seconds| json!({ "refresh_grace_seconds": seconds }));
        let scene = Scene::with(server, json!({}));
        let client = scene.client(WEB);
        let tokens = || {
            let code = scene.code(&client, WEB, &[("prompt", Some("consent"))]);
            let tokens = scene.redeem(&client, &code).json();
            text(&tokens, "refresh_token").to_owned()
        };
        let first = tokens();
        let next = text(&scene.refresh(&client, &first).json(), "refresh_token").to_owned();
        scene.world.pass(within);
        let again = scene.refresh(&client, &first);
        assert_eq!((again.status, text(&again.json(), "refresh_token")), (200, next.as_str()), "{configured:?}");
        let first = tokens();
        assert_eq!(scene.refresh(&client, &first).status, 200);
        scene.world.pass(beyond);
        assert_eq!(scene.refresh(&client, &first).status, 400, "{configured:?}: it counts as theft");
    }
}
