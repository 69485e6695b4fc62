//! What a client asks of the sign-in of its user (RFC 9470 §4): it goes to the provider, and what the provider proves goes into
//! tokens.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

/// A login that asks for a sign-in, and the provider's answer with these claims.
fn login(scene: &Scene, client: &str, asked: &[(&str, Option<&str>)], claims: &Value) -> (Parameters, Reply) {
    let page = scene.authorize(client, WEB, asked);
    let page = if page.status == 200 { scene.answer(&page, "allow") } else { page };
    let sent = answered(&page);
    scene.provide(&scene.id_token(sent.get("nonce").expect("a nonce"), claims));
    let back = callback(sent.get("state").expect("a state"), &[("code", "theirs"), ("iss", ISSUER)]);
    (sent, scene.browse(back))
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_client_asks_of_the_sign_in_goes_to_the_provider_and_must_be_proven() {
    let scene = Scene::new();
    let client = scene.client(WEB);
    let age = [("max_age", Some("100"))];
    let both = [("max_age", Some("100")), ("acr_values", Some("gold silver"))];
    for (asked, claims, passes) in [
        (&age[..], json!({ "auth_time": NOON - 100 }), true),
        // The clocks may differ.
        (&age[..], json!({ "auth_time": NOON - 130 }), true),
        (&age[..], json!({ "auth_time": NOON - 131 }), false),
        (&age[..], json!({}), false),
        (&age[..], json!({ "auth_time": "now" }), false),
        (&age[..], json!({ "auth_time": NOON + 3600 }), false),
        (&both[..], json!({ "auth_time": NOON, "acr": "silver" }), true),
        (&both[..], json!({ "auth_time": NOON, "acr": "bronze" }), false),
        (&both[..], json!({ "auth_time": NOON }), false),
        (&both[..], json!({ "acr": "gold" }), false),
    ] {
        let (sent, reply) = login(&scene, &client, asked, &claims);
        assert_eq!(sent.get("max_age"), Some("100"));
        assert_eq!(sent.get("acr_values"), asked.get(1).and_then(|(_, value)| *value));
        let answer = answered(&reply);
        if passes {
            assert!(answer.get("code").is_some(), "{claims}: {}", reply.body);
        } else {
            assert_eq!(answer.get("error"), Some("unmet_authentication_requirements"), "{claims}");
            assert_eq!(scene.reason(), "unmet_authentication_requirements");
        }
    }
    // The provider says so itself.
    let page = scene.authorize(&client, WEB, &both);
    let page = if page.status == 200 { scene.answer(&page, "allow") } else { page };
    let state = answered(&page).get("state").expect("a state").to_owned();
    let refused = scene.browse(callback(&state, &[("error", "unmet_authentication_requirements"), ("iss", ISSUER)]));
    assert_eq!(answered(&refused).get("error"), Some("unmet_authentication_requirements"));
    for (name, value) in [
        ("max_age", "soon"),
        ("max_age", "-1"),
        ("max_age", "1.5"),
        ("max_age", "99999999999"),
        ("acr_values", "g\u{f6}ld"),
        ("acr_values", "quo\"te"),
        ("acr_values", &"x".repeat(1025)),
    ] {
        let reply = scene.authorize(&client, WEB, &[(name, Some(value))]);
        assert_eq!((reply.status, scene.reason().as_str()), (400, "invalid_request"), "{name} {value}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_say_what_the_provider_proved_also_after_refreshes() {
    let scene = Scene::new();
    let client = scene.client(LOOPBACK);
    *scene.user.borrow_mut() = json!({ "sub": "ada", "auth_time": NOON - 500, "acr": "gold", "amr": ["pwd", "mfa"] });
    let tokens = scene.redeem(&client, &scene.code(&client, LOOPBACK, &[])).json();
    let proven = |tokens: &Value| {
        let claims = claims_of(tokens);
        (claims["auth_time"].clone(), claims["acr"].clone(), claims["amr"].clone())
    };
    let expected = (json!(NOON - 500), json!("gold"), json!(["pwd", "mfa"]));
    assert_eq!(proven(&tokens), expected, "not the second of the callback: the session at the provider may be old");
    scene.world.pass(900);
    let refreshed = scene.refresh(&client, text(&tokens, "refresh_token")).json();
    assert_eq!(proven(&refreshed), expected);

    // What the provider does not say, no token says.
    *scene.user.borrow_mut() = json!({ "sub": "ada", "acr": ["gold"], "amr": "mfa" });
    let tokens = scene.redeem(&client, &scene.code(&client, LOOPBACK, &[])).json();
    assert_eq!(proven(&tokens), (Value::Null, Value::Null, Value::Null));
    // Nor does it matter what a token may carry of the user.
    let carrying = Scene::with(json!({ "token_claims": ["acr", "amr", "department"] }), json!({}));
    let client = carrying.client(LOOPBACK);
    *carrying.user.borrow_mut() = json!({ "sub": "ada", "acr": "gold", "department": "x" });
    let tokens = carrying.redeem(&client, &carrying.code(&client, LOOPBACK, &[])).json();
    assert_eq!(proven(&tokens), (Value::Null, json!("gold"), Value::Null));
    assert_eq!(claims_of(&tokens)["department"], "x");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_provider_says_later_is_not_about_that_sign_in() {
    let scene = Scene::with(json!({ "token_claims": ["acr", "groups"] }), json!({ "recheck_minutes": 30 }));
    *scene.user.borrow_mut() = json!({ "sub": "ada", "auth_time": NOON - 500, "acr": "gold" });
    let (client, tokens) = scene.logged_in();
    let provider = recheck::provider(&scene);
    provider.borrow_mut().user =
        Some(json!({ "sub": "ada", "auth_time": NOON + 3600, "acr": "lead", "amr": ["mfa"], "groups": ["staff"] }));
    scene.world.pass(3600);
    let later = claims_of(&scene.refresh(&client, text(&tokens, "refresh_token")).json());
    assert_eq!((&later["auth_time"], &later["acr"]), (&json!(NOON - 500), &json!("gold")));
    assert_eq!((&later["amr"], &later["groups"]), (&Value::Null, &json!(["staff"])));
    assert_eq!(provider.borrow().used.len(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_challenge_leads_to_a_token_that_passes() {
    let mut document = document(json!({}), json!({}));
    document["resources"][0]["rules"] = json!([
        { "effect": "step_up", "sign_in": { "max_age": 300, "acr": ["gold"] }, "tools": ["pay"] },
        { "effect": "allow", "tools": ["read"] },
    ]);
    let scene = Scene { gateway: open_with(document, &secrets()).expect("right"), ..Scene::new() };
    let metadata = scene.call(Request::get("/.well-known/oauth-authorization-server")).json();
    assert_eq!(metadata["acr_values_supported"], json!(["gold"]));
    let client = scene.client(WEB);
    let call = |tokens: &Value| {
        let body =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "pay", "arguments": {} } });
        let request = Request::post("/mcp").bearer(text(tokens, "access_token"));
        scene.call(request.field("mcp-protocol-version", "2025-11-25").body(body.to_string().as_bytes()))
    };
    let (_, reply) = login(&scene, &client, &[], &json!({ "auth_time": NOON - 4000 }));
    let tokens = scene.redeem(&client, &code_of(&reply).expect("a code")).json();
    let challenged = call(&tokens);
    assert_eq!(challenged.status, 401, "{}", challenged.body);
    assert!(challenged.field("www-authenticate").contains("acr_values=\"gold\", max_age=\"300\""));
    // A refresh proves no new sign-in.
    let refreshed = scene.refresh(&client, text(&tokens, "refresh_token")).json();
    assert_eq!(call(&refreshed).status, 401);
    let asked = [("max_age", Some("300")), ("acr_values", Some("gold"))];
    let (sent, reply) = login(&scene, &client, &asked, &json!({ "auth_time": NOON, "acr": "gold" }));
    assert_eq!((sent.get("max_age"), sent.get("acr_values")), (Some("300"), Some("gold")));
    let tokens = scene.redeem(&client, &code_of(&reply).expect("a code")).json();
    assert_eq!(call(&tokens).status, 200);
    scene.world.pass(301);
    assert_eq!(call(&tokens).status, 401);
}
