//! What an authorization request must be, consent, and the login at the provider.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

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
        let back = between(&reply.body, "rel=\"noreferrer\" href=\"", "\"");
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
    let other = if sealed.starts_with('A') { 'B' } else { 'A' };
    let changed = format!("{other}{}", &sealed[1..]);
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
        let error = if answer.is_err() { "temporarily_unavailable" } else { "server_error" };
        assert_eq!(outcome(&scene.browse(good(&state))), error, "{answer:?}");
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
        "token_claims": ["groups", "email", "department"],
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

/// Some browsers keep no `Secure` cookie over plain HTTP, which there is on loopback in development alone.
#[wasm_bindgen_test(unsupported = test)]
fn a_login_over_plain_http_in_development() {
    let mut document = document(json!({}), json!({}));
    document["public_url"] = json!("http://localhost:8787");
    document["development"] = json!(true);
    let gateway = open_with(document, &secrets()).expect("right");
    let world = Scene::new().world;
    let request = |mut request: Request| {
        let target = request.head.url.strip_prefix(PUBLIC).expect("a path").to_owned();
        request.head.url = format!("http://localhost:8787{target}");
        request.field("host", "localhost:8787")
    };
    let registered =
        json!({ "client_name": "C", "redirect_uris": [WEB], "token_endpoint_auth_method": "none" }).to_string();
    let register = Request::new(Method::Post, "/register").field("content-type", "application/json");
    let reply = world.call(&gateway, request(register.body(registered.as_bytes())));
    let client = reply.json()["client_id"].as_str().expect("an id").to_owned();
    let resource = Some("http://localhost:8787/mcp");
    let page = world.call(&gateway, request(Request::get(&authorization(&client, WEB, &[("resource", resource)]))));
    let cookie = page.field("set-cookie").to_owned();
    assert!(cookie.starts_with("portcullis-development-form=") && !cookie.contains("Secure"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    let kept = cookie.split(';').next().expect("a pair");
    let answer = |cookie: &str| {
        let form = Scene::form(&page, "allow").field("origin", "http://localhost:8787").field("cookie", cookie);
        world.call(&gateway, request(form))
    };
    assert_eq!(answer("x=1").status, 400);
    assert_eq!(answer(&kept.replace("portcullis-development", "__Host-portcullis")).status, 400);
    let begun = answer(kept);
    assert!(begun.field("set-cookie").starts_with("portcullis-development-login="), "{}", begun.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_consent_page_says_what_each_scope_means() {
    let scene =
        Scene::with(json!({ "grant_days": 7 }), json!({ "scopes": ["openid", "email", "offline_access", "odd"] }));
    let page = scene.authorize(&scene.client(WEB), WEB, &[]).body;
    for shown in [
        "to use https://gate.example/mcp?</h1>",
        "<li>Use the tools<br><code>mcp:tools</code></li>",
        "<li>Keep this access while you are away, for up to 7 days or until you revoke it<br><code>offline_access</code></li>",
        "Next, you log in at login.example",
        "<li>Know who you are<br><code>openid</code></li><li>See your email address<br><code>email</code></li>\
         <li>Keep the access while you are away<br><code>offline_access</code></li><li><code>odd</code></li>",
    ] {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    // A client without refresh tokens keeps nothing.
    let metadata = json!({
        "client_name": "Once", "redirect_uris": [WEB], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code"],
    });
    let once = scene.register(metadata).json()["client_id"].as_str().expect("an id").to_owned();
    assert!(!scene.authorize(&once, WEB, &[]).body.contains("Keep this access"));
}
