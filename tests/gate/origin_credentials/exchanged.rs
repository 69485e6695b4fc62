//! Tokens for the caller: token exchange, Entra's on-behalf-of, Enterprise-Managed Authorization.

use super::*;

#[wasm_bindgen_test(unsupported = test)]
fn the_callers_token_is_exchanged_and_goes_nowhere_else() {
    let (world, gateway) = opened(exchange(json!({
        "scopes": ["api:read"], "resource": "https://tools.example/mcp", "audience": "tools",
        "requested_token_type": "urn:ietf:params:oauth:token-type:jwt",
    })));
    numbered(&world, 3600);
    let (ada, bob) = (token(&Claims::good()), token(&Claims::good().with("sub", json!("bob"))));
    for presented in [&ada, &bob, &ada, &bob] {
        assert_eq!(world.call(&gateway, Request::post("/mcp").bearer(presented)).status, 200);
    }
    assert_eq!(authorizations(&world), ["Bearer issued-0", "Bearer issued-1", "Bearer issued-0", "Bearer issued-1"]);
    let asked = world.asked();
    assert_eq!(asked.len(), 2);
    let expected = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", ada.as_str()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("scope", "api:read"),
        ("resource", "https://tools.example/mcp"),
        ("audience", "tools"),
    ];
    assert_eq!(form(&asked[0].body), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(asked.iter().all(|asked| asked.url == TOKENS));
    let sent = world.sent();
    assert!(
        sent.iter().all(|sent| sent.fields.iter().all(|(_, value)| !value.contains(&ada) && !value.contains(&bob)))
    );
    assert!(sent[0].fields.get("x-portcullis-subject").is_some(), "a server of the same organization learns who calls");
    assert!(world.shared().keys().all(|name| !name.starts_with("origin-token/")), "tokens of callers are not shared");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_exchange_can_do_without_a_client() {
    for (client, id) in [
        (json!({ "token_endpoint": TOKENS }), None),
        (json!({ "token_endpoint": TOKENS, "client_id": "gate" }), Some("gate".to_owned())),
    ] {
        let (world, gateway) = opened(exchange(json!({ "client": client })));
        numbered(&world, 60);
        assert_eq!(world.call(&gateway, good()).status, 200);
        let asked = world.asked().remove(0);
        assert_eq!((asked.field("authorization"), parameter(&asked.body, "client_id")), ("", id));
        assert_eq!(parameter(&asked.body, "client_secret"), None);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_exchanged_token_ends_with_the_callers() {
    let (world, gateway) = opened(exchange(json!({})));
    numbered(&world, 3600);
    let short = Request::post("/mcp").bearer(&token(&Claims::good().with("exp", json!(NOON + 20))));
    assert_eq!(world.call(&gateway, short.clone()).status, 200);
    world.pass(19);
    assert_eq!(world.call(&gateway, short.clone()).status, 200);
    assert_eq!(world.asked().len(), 1);
    // The gateway accepts the caller's token within its leeway of 30 s.
    world.pass(30);
    assert_eq!(world.call(&gateway, short.clone()).status, 200);
    assert_eq!(world.asked().len(), 1);
    world.pass(1);
    assert_eq!(world.call(&gateway, short).status, 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_gateway_names_itself_as_the_actor() {
    let mut document = exchange(json!({ "actor": true, "client": {
        "token_endpoint": TOKENS, "client_id": "gate", "secret": "CLIENT", "issuer": "https://tokens.example",
    } }));
    document["identity_assertion"] = json!({ "key_secrets": ["ASSERTION"] });
    let (world, gateway) = opened(document);
    numbered(&world, 60);
    assert_eq!(world.call(&gateway, good()).status, 200);
    let body = world.asked().remove(0).body;
    assert_eq!(parameter(&body, "actor_token_type").as_deref(), Some("urn:ietf:params:oauth:token-type:jwt"));
    let actor = parameter(&body, "actor_token").expect("an actor");
    let claims = claims_of(&actor);
    assert_eq!(
        (&claims["iss"], &claims["sub"], &claims["aud"], &claims["exp"]),
        (&json!(PUBLIC), &json!(PUBLIC), &json!("https://tokens.example"), &json!(NOON + 60))
    );
    let (input, signature) = actor.rsplit_once('.').expect("three parts");
    let key = serde_json::from_value(Key::Ed25519.public_jwk()).expect("a JWK");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    assert_eq!(portcullis::portable::verify(&key, JwsAlgorithm::EdDsa, input.as_bytes(), &signature), Ok(true));
}

#[wasm_bindgen_test(unsupported = test)]
fn on_behalf_of_in_the_form_of_entra() {
    let (world, gateway) =
        opened(exchange(json!({ "profile": "entra_on_behalf_of", "scopes": ["api://tools/.default"] })));
    numbered(&world, 60);
    let presented = token(&Claims::good());
    assert_eq!(world.call(&gateway, Request::post("/mcp").bearer(&presented)).status, 200);
    let expected = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", presented.as_str()),
        ("requested_token_use", "on_behalf_of"),
        ("scope", "api://tools/.default"),
    ];
    assert_eq!(form(&world.asked()[0].body), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_caller_that_gets_no_token_is_refused_without_a_challenge() {
    let presented = token(&Claims::good());
    let echoing = format!("no: {presented}");
    let cases = [
        ("invalid_grant", 400, "AADSTS50013: assertion failed signature validation", 403),
        ("access_denied", 403, "x", 403),
        ("interaction_required", 400, echoing.as_str(), 403),
        ("invalid_request", 400, "x", 403),
        ("invalid_client", 401, "x", 502),
        ("invalid_target", 400, "x", 502),
        ("server_error", 500, "x", 503),
    ];
    for (error, status, description, expected) in cases {
        let (world, gateway) = opened(exchange(json!({})));
        let body = json!({ "error": error, "error_description": description }).to_string();
        world.answer(TOKENS, Ok((status, JSON, &body)));
        for _ in 0..3 {
            let reply = world.call(&gateway, Request::post("/mcp").bearer(&presented));
            assert_eq!(reply.status, expected, "{error}");
            assert_eq!(reply.field("www-authenticate"), "", "a new login gives the client the same token");
        }
        assert_eq!(world.asked().len(), 1, "{error}");
        assert!(detail(&world).starts_with(&format!("{TOKENS}: {error} (status {status})")), "{}", detail(&world));
        assert!(!detail(&world).contains(&presented));
        // Another caller is not concerned.
        world.answer(TOKENS, Ok((200, JSON, r#"{"access_token":"a","token_type":"Bearer"}"#)));
        let bob = token(&Claims::good().with("sub", json!("bob")));
        assert_eq!(world.call(&gateway, Request::post("/mcp").bearer(&bob)).status, 200, "{error}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_log_has_nothing_that_a_token_endpoint_may_repeat() {
    let cases = [
        (
            "invalid_client",
            "AADSTS7000215: the secret client-secret of ada.lovelace@example.com is wrong",
            "invalid_client (status 401) AADSTS7000215",
        ),
        ("client-secret", "x", "an error code that is none of OAuth (status 401)"),
        ("Aa1Bb2", "XX12 XXXX12345678901 aadsts50013", "an error code that is none of OAuth (status 401)"),
    ];
    for (error, description, expected) in cases {
        let client =
            json!({ "token_endpoint": format!("{TOKENS}?key=of-the-url"), "client_id": "gate", "secret": "CLIENT" });
        let (world, gateway) = opened(own_token(json!({ "client": client })));
        let body = json!({ "error": error, "error_description": description });
        world.answer_by(move |_, _| (401, body.to_string()));
        world.call(&gateway, good());
        assert_eq!(detail(&world), format!("{TOKENS}: {expected}"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_that_comes_back_from_the_exchange_is_not_sent() {
    let (world, gateway) = opened(exchange(json!({})));
    world.answer_by(|asked, _| {
        let token = parameter(&asked.body, "subject_token");
        (200, json!({ "access_token": token, "token_type": "Bearer" }).to_string())
    });
    let reply = world.call(&gateway, good());
    assert_eq!(verdict(&world, &reply), (502, "origin_credential_failed".to_owned()));
    assert!(world.sent().is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_of_one_caller_are_not_kept_for_others_by_default() {
    let kept = |credential: Value| {
        let rules = json!([{ "effect": "allow", "methods": ["*"], "tools": ["*"] }]);
        let document = with_resource(json!({ "credential": credential, "rules": rules }));
        let gateway = open_with(document, &secrets()).expect("right");
        gateway.settings().resources[0].cache_lists
    };
    assert!(kept(json!(null)));
    assert!(kept(json!({ "static": [{ "secrets": ["CURRENT"] }] })));
    assert!(!kept(json!({ "token_exchange": { "client": client() } })));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_without_a_message_is_repeated_although_others_before_it_were_the_same() {
    let (world, gateway) = opened(own_token(json!({})));
    numbered(&world, 3600);
    let get = || Request::get("/mcp").bearer(&token(&lasting()));
    for _ in 0..5 {
        assert_eq!(world.call_remembering(&gateway, get()).status, 200);
    }
    world.pass(10);
    world.origin_by(|sent| if sent.fields.get("authorization") == Some("Bearer issued-0") { 401 } else { 200 });
    assert_eq!(world.call_remembering(&gateway, get()).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn enterprise_managed_authorization_takes_two_steps() {
    let (world, gateway) = opened(enterprise());
    world.answer_by(|asked, _| {
        let body = if asked.url == TOKENS {
            json!({ "access_token": "the.identity.assertion", "token_type": "N_A", "issued_token_type": ID_JAG, "expires_in": 300 })
        } else {
            json!({ "access_token": "for-ada", "token_type": "Bearer", "expires_in": 3600 })
        };
        (200, body.to_string())
    });
    let presented = token(&Claims::good());
    for _ in 0..2 {
        assert_eq!(world.call(&gateway, Request::post("/mcp").bearer(&presented)).status, 200);
    }
    assert_eq!(authorizations(&world), vec!["Bearer for-ada"; 2]);
    let asked = world.asked();
    assert_eq!(asked.iter().map(|asked| asked.url.as_str()).collect::<Vec<_>>(), [TOKENS, SERVER_TOKENS]);
    let first = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", ID_JAG),
        ("audience", "https://server.example"),
        ("subject_token", presented.as_str()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("scope", "api:read"),
        ("resource", "https://tools.example/mcp"),
    ];
    assert_eq!(form(&asked[0].body), first.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let second = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", "the.identity.assertion"),
        ("scope", "api:read"),
    ];
    assert_eq!(form(&asked[1].body), second.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_identity_assertion_is_recognized_by_its_types() {
    for (members, why) in [
        (json!({ "token_type": "Bearer", "issued_token_type": ID_JAG }), "token_type"),
        (json!({ "token_type": "N_A" }), "issued_token_type"),
        (
            json!({ "token_type": "N_A", "issued_token_type": "urn:ietf:params:oauth:token-type:jwt" }),
            "issued_token_type",
        ),
    ] {
        let (world, gateway) = opened(enterprise());
        let mut body = members.clone();
        body["access_token"] = json!("a.b.c");
        world.answer(TOKENS, Ok((200, JSON, &body.to_string())));
        let reply = world.call(&gateway, good());
        assert_eq!(verdict(&world, &reply), (502, "origin_credential_failed".to_owned()), "{members}");
        assert!(detail(&world).contains(why), "{}", detail(&world));
        assert_eq!(world.asked().len(), 1, "nothing goes to the other server");
    }
}
