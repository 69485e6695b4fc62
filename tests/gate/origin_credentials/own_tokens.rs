//! Tokens that the gateway obtains for itself (`client_credentials`), and what token endpoints may answer.

use super::*;

#[wasm_bindgen_test(unsupported = test)]
fn the_gateways_own_token_is_kept_and_renewed_in_the_background() {
    let (world, gateway) = opened(own_token(json!({ "resource": "https://tools.example/mcp", "audience": "tools" })));
    numbered(&world, 3600);
    for _ in 0..3 {
        assert_eq!(world.call(&gateway, good()).status, 200);
    }
    assert_eq!(authorizations(&world), vec!["Bearer issued-0"; 3]);
    let asked = world.asked();
    assert_eq!((asked.len(), asked[0].url.as_str(), asked[0].seconds), (1, TOKENS, 5));
    assert_eq!(
        asked[0].body,
        "grant_type=client_credentials&scope=api%3Aread&resource=https%3A%2F%2Ftools.example%2Fmcp&audience=tools"
    );
    assert_eq!(asked[0].field("authorization"), format!("Basic {}", STANDARD.encode("gate:client-secret")));
    // Of 3600 s, the token is not sent in the last 5, and renewed in the 60 before.
    world.pass(3534);
    assert_eq!(world.call(&gateway, good()).status, 200);
    world.run_background();
    assert_eq!(world.asked().len(), 1);
    assert_eq!(world.last_request()["origin_credential_age"], json!(3534));
    world.pass(1);
    for _ in 0..3 {
        assert_eq!(world.call(&gateway, good()).status, 200);
    }
    assert_eq!(world.asked().len(), 1, "no request waits for the renewal");
    world.run_background();
    assert_eq!(world.asked().len(), 2, "one renewal at a time");
    assert_eq!(world.call(&gateway, good()).status, 200);
    assert_eq!(authorizations(&world).last().map(String::as_str), Some("Bearer issued-1"));
    assert_eq!(world.last_request()["origin_credential"], json!("client_credentials"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_that_cannot_be_renewed_is_used_until_its_end_and_not_after() {
    let (world, gateway) = opened(own_token(json!({})));
    numbered(&world, 3600);
    assert_eq!(world.call(&gateway, good()).status, 200);
    world.answer_by(|_, _| (500, "<html>".to_owned()));
    world.pass(3540);
    for _ in 0..5 {
        assert_eq!(world.call(&gateway, good()).status, 200);
        world.run_background();
    }
    assert_eq!(world.asked().len(), 2, "a failure is not repeated at once");
    assert!(world.lines().iter().any(|line| line["reason"] == "origin_credential_refresh_failed"));
    world.pass(54);
    assert_eq!(world.call(&gateway, good()).status, 200);
    world.pass(1);
    let reply = world.call(&gateway, good());
    assert_eq!(verdict(&world, &reply), (503, "origin_credential_unavailable".to_owned()));
    assert_eq!(reply.field("retry-after"), "2");
    assert_eq!(reply.field("www-authenticate"), "");
}

#[wasm_bindgen_test(unsupported = test)]
fn isolates_share_the_gateways_token_sealed() {
    let (world, gateway) = opened(own_token(json!({})));
    numbered(&world, 3600);
    assert_eq!(world.call(&gateway, good()).status, 200);
    let shared = world.shared();
    let sealed: Vec<_> = shared.iter().filter(|(name, _)| name.starts_with("origin-token/")).collect();
    assert_eq!(sealed.len(), 1);
    assert!(!String::from_utf8_lossy(sealed[0].1).contains("issued-0"));
    let another = |document: Value, secrets: &TestSecrets| {
        let (world, gateway) = (World::new(), open_with(document, secrets).expect("right"));
        world.share(shared.clone());
        world.answer_by(|_, _| (200, json!({ "access_token": "other", "token_type": "Bearer" }).to_string()));
        assert_eq!(world.call(&gateway, good()).status, 200);
        authorizations(&world).remove(0)
    };
    assert_eq!(another(own_token(json!({})), &secrets()), "Bearer issued-0");
    let rotated = TestSecrets(vec![("CLIENT", "another-secret".to_owned())]);
    assert_eq!(another(own_token(json!({})), &rotated), "Bearer other", "another secret does not open it");
    for other in
        [json!({ "scopes": ["api:write"] }), json!({ "resource": "https://x.example" }), json!({ "audience": "x" })]
    {
        assert_eq!(another(own_token(other.clone()), &secrets()), "Bearer other", "{other}");
    }
    // What lies there may be anything.
    for junk in [&b"x"[..], b"", b"\xff", "A".repeat(200).as_bytes()] {
        let (world, gateway) = opened(own_token(json!({})));
        world.share(shared.keys().map(|name| (name.clone(), junk.to_vec())).collect());
        numbered(&world, 60);
        assert_eq!(world.call(&gateway, good()).status, 200);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refused_token_is_replaced_and_the_request_repeated_where_its_message_is_at_hand() {
    let (world, gateway) = opened(own_token(json!({})));
    numbered(&world, 3600);
    let get = || Request::get("/mcp").bearer(&token(&lasting()));
    assert_eq!(world.call(&gateway, get()).status, 200);
    world.pass(10);
    world.origin_by(|sent| if sent.fields.get("authorization") == Some("Bearer issued-0") { 401 } else { 200 });
    assert_eq!(world.call(&gateway, get()).status, 200);
    assert_eq!(authorizations(&world), ["Bearer issued-0", "Bearer issued-0", "Bearer issued-1"]);
    assert_eq!(world.asked().len(), 2, "the refused token is not taken from the cache of the data center again");
    // A message that was passed on as a stream is lost; the next one has another token.
    world.pass(10);
    world.origin_by(|sent| if sent.fields.get("authorization") == Some("Bearer issued-1") { 401 } else { 200 });
    let reply = world.call(&gateway, good());
    assert_eq!(verdict(&world, &reply), (502, "origin_unauthorized".to_owned()));
    assert!(detail(&world).contains("passed on as a stream"), "{}", detail(&world));
    assert_eq!(world.call(&gateway, good()).status, 200);
    // With rules the gateway has read the message.
    let mut document = own_token(json!({}));
    document["resources"][0]["rules"] = json!([{ "effect": "allow", "methods": ["*"], "tools": ["*"] }]);
    document["resources"][0]["cache_lists"] = json!(false);
    let (world, gateway) = opened(document);
    numbered(&world, 3600);
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "add" } }).to_string();
    let call = || good().body(call.as_bytes());
    assert_eq!(world.call(&gateway, call()).status, 200);
    world.pass(10);
    world.origin_by(|sent| if sent.fields.get("authorization") == Some("Bearer issued-0") { 401 } else { 200 });
    assert_eq!(world.call(&gateway, call()).status, 200);
    assert_eq!(world.sent().iter().filter(|sent| sent.body == call().body).count(), 3);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_that_refuses_every_token_does_not_make_the_gateway_ask_for_one_each_time() {
    let (world, gateway) = opened(own_token(json!({})));
    numbered(&world, 3600);
    world.origin_by(|_| 401);
    let get = || Request::get("/mcp").bearer(&token(&lasting()));
    for _ in 0..20 {
        let reply = world.call(&gateway, get());
        assert_eq!(verdict(&world, &reply), (502, "origin_unauthorized".to_owned()));
    }
    assert_eq!((world.asked().len(), world.sent().len()), (1, 20));
    world.pass(10);
    for _ in 0..20 {
        world.call(&gateway, get());
    }
    assert_eq!((world.asked().len(), world.sent().len()), (2, 41), "one more, and one repetition");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_token_endpoint_may_answer() {
    let ok = |more: Value| {
        let mut body = json!({ "access_token": "abc", "token_type": "Bearer", "expires_in": 60 });
        for (name, value) in more.as_object().expect("a table") {
            body[name] = value.clone();
        }
        Ok((200, JSON, body.to_string()))
    };
    let failed = |error: &str, status| Ok((status, JSON, json!({ "error": error }).to_string()));
    let raw = |status, body: &str| Ok((status, JSON, body.to_owned()));
    let cases = [
        (ok(json!({})), 200, ""),
        (ok(json!({ "token_type": "bEARER" })), 200, ""),
        (ok(json!({ "expires_in": "60" })), 200, ""),
        (ok(json!({ "expires_in": null })), 200, ""),
        (ok(json!({ "expires_in": 1 })), 200, ""),
        (ok(json!({ "expires_in": u64::MAX })), 200, ""),
        (ok(json!({ "expires_in": 0 })), 502, "expires_in"),
        (ok(json!({ "expires_in": -1 })), 502, "expires_in"),
        (ok(json!({ "expires_in": 1.5 })), 502, "expires_in"),
        (ok(json!({ "expires_in": "soon" })), 502, "expires_in"),
        (ok(json!({ "expires_in": "-60" })), 502, "expires_in"),
        (ok(json!({ "expires_in": [60] })), 502, "expires_in"),
        (ok(json!({ "token_type": "DPoP" })), 502, "token_type"),
        (ok(json!({ "token_type": null })), 502, "token_type"),
        (ok(json!({ "token_type": 7 })), 502, "token_type"),
        (ok(json!({ "access_token": "" })), 502, "access_token"),
        (ok(json!({ "access_token": "a b" })), 502, "access_token"),
        (ok(json!({ "access_token": "a\r\nx-evil: 1" })), 502, "access_token"),
        (ok(json!({ "access_token": "ä" })), 502, "access_token"),
        (ok(json!({ "access_token": null })), 502, "access_token"),
        (ok(json!({ "access_token": "a".repeat(16 * 1024 + 1) })), 502, "access_token"),
        (
            ok(json!({ "issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token" })),
            502,
            "issued_token_type",
        ),
        (raw(200, "[]"), 502, "not a JSON object"),
        (raw(200, "<html>"), 502, "not JSON"),
        (raw(200, r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#), 502, "not JSON"),
        (raw(302, ""), 502, "status 302"),
        (raw(404, "<html>"), 502, "status 404"),
        (raw(429, ""), 503, "status 429"),
        (raw(500, "<html>"), 503, "status 500"),
        (raw(503, "{}"), 503, "status 503"),
        (Err("connection refused"), 503, "connection refused"),
        (failed("invalid_client", 401), 502, "invalid_client (status 401)"),
        (failed("invalid_scope", 400), 502, "invalid_scope"),
        (failed("temporarily_unavailable", 400), 503, "temporarily_unavailable"),
        (failed("slow_down", 429), 503, "slow_down"),
        (failed("invalid_client", 200), 502, "invalid_client (status 200)"),
        (failed("a\u{202e}b c\n", 400), 502, ": an error code that is none of OAuth (status 400)"),
        (ok(json!({ "expires_in": 60.0 })), 200, ""),
    ];
    for (answer, status, why) in cases {
        let (world, gateway) = opened(own_token(json!({})));
        let given = answer.as_ref().map(|(status, kind, body)| (*status, *kind, body.as_str())).map_err(|error| *error);
        world.answer(TOKENS, given);
        let reply = world.call(&gateway, good());
        assert_eq!(reply.status, status, "{given:?}");
        assert!(detail(&world).contains(why), "{given:?}: {}", detail(&world));
        let reason = match status {
            200 => "forwarded",
            502 => "origin_credential_failed",
            _ => "origin_credential_unavailable",
        };
        assert_eq!(world.last_request()["reason"], json!(reason), "{given:?}");
        assert_eq!(world.sent().len(), usize::from(status == 200), "nothing is sent without the credential");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_failure_is_remembered_for_a_while_and_then_tried_again() {
    for (status, body, seconds, expected) in [(500, "{}", 2, 503), (400, "{\"error\":\"invalid_client\"}", 10, 502)] {
        let (world, gateway) = opened(own_token(json!({})));
        world.answer(TOKENS, Ok((status, JSON, body)));
        for _ in 0..10 {
            assert_eq!(world.call(&gateway, good()).status, expected);
        }
        assert_eq!(world.asked().len(), 1);
        world.pass(seconds);
        world.answer(TOKENS, Ok((200, JSON, r#"{"access_token":"a","token_type":"Bearer"}"#)));
        assert_eq!(world.call(&gateway, good()).status, 200);
        assert_eq!(world.asked().len(), 2);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_of_unknown_lifetime_is_kept_for_five_minutes_and_none_for_more_than_a_day() {
    for (lifetime, kept) in [(json!(null), 295), (json!(8), 6), (json!(1_000_000), 86_395)] {
        for (seconds, asked) in [(kept - 1, 1), (kept, 2)] {
            let (world, gateway) = opened(own_token(json!({})));
            let body = json!({ "access_token": "a", "token_type": "Bearer", "expires_in": lifetime }).to_string();
            world.answer(TOKENS, Ok((200, JSON, &body)));
            assert_eq!(world.call(&gateway, good()).status, 200);
            world.pass(seconds);
            assert_eq!(world.call(&gateway, good()).status, 200);
            assert_eq!(world.asked().len(), asked, "{lifetime} after {seconds} s");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn narrower_scopes_than_requested_are_logged() {
    let (world, gateway) = opened(own_token(json!({ "scopes": ["api:read", "api:write"] })));
    let body = json!({ "access_token": "a", "token_type": "Bearer", "scope": "api:read" }).to_string();
    world.answer(TOKENS, Ok((200, JSON, &body)));
    assert_eq!(world.call(&gateway, good()).status, 200);
    let lines = world.lines();
    let line = lines.iter().find(|line| line["reason"] == "origin_credential_scopes").expect("a line");
    assert_eq!(line["detail"], json!("resource \"/mcp\", client_credentials: the token lacks api:write"));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_client_authenticates_as_configured() {
    let of = |changes: Value| {
        let mut client = client();
        for (name, value) in changes.as_object().expect("a table") {
            client[name] = value.clone();
        }
        let (world, gateway) = opened(own_token(json!({ "client": client })));
        numbered(&world, 60);
        assert_eq!(world.call(&gateway, good()).status, 200);
        world.asked().remove(0)
    };
    let posted = of(json!({ "authentication": "client_secret_post", "timeout_seconds": 9 }));
    assert_eq!((posted.field("authorization"), posted.seconds), ("", 9));
    assert_eq!(parameter(&posted.body, "client_secret").as_deref(), Some("client-secret"));
    for (issuer, audience) in [(json!(null), TOKENS), (json!("https://tokens.example"), "https://tokens.example")] {
        let signed = of(json!({ "authentication": "private_key_jwt", "secret": "KEY", "issuer": issuer }));
        let assertion = parameter(&signed.body, "client_assertion").expect("an assertion");
        let claims = claims_of(&assertion);
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&json!("gate"), &json!("gate"), &json!(audience))
        );
    }
}
