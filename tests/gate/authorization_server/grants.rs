//! What was allowed is seen, withdrawn and revoked.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

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
    assert_eq!(page.body.matches("name=\"grant\"").count(), 11, "ten of the one, one of the other");
    assert_eq!(page.body.matches("<article>").count(), 1, "two clients of one name that is not verified");
    assert_eq!(page.body.matches("<dl>").count(), 1, "all have the same scopes at the same server");
}

/// The list of the user's applications, and the sealed proof for its forms.
fn list(scene: &Scene) -> (String, String) {
    let page = scene.browse(Request::get("/grants")).body;
    let sealed = between(&page, "name=\"form\" value=\"", "\"");
    (page, sealed)
}

#[wasm_bindgen_test(unsupported = test)]
fn one_connection_or_all_of_an_application_and_what_happened() {
    let scene = Scene::with(json!({ "access_token_seconds": 300 }), json!({}));
    let (first, of_first) = scene.logged_in();
    scene.world.pass(86_400);
    let (second, of_second) = scene.logged_in();
    let (page, sealed) = list(&scene);
    assert_eq!(page.matches("<article>").count(), 1);
    for shown in ["2 connections", "Revoke all 2 connections", "This name is not verified.", "Use the tools<br>"] {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    assert!(
        page.contains(
            "<dt>Since</dt><dd><time>2026-11-23</time></dd><dt>Last used</dt><dd><time>2026-11-24</time></dd>"
        ),
        "{page}"
    );

    let send = |action: &str, (name, value): (&str, &str)| {
        let form = [("form", sealed.as_str()), (name, value), ("action", action)];
        scene.browse(post("/grants", &form).field("origin", PUBLIC))
    };
    let grant = |client: &str| {
        let lines = page.split("<li>").find(|line| line.contains(client)).expect("a line").to_owned();
        between(&lines, "name=\"grant\" value=\"", "\"")
    };
    // The question changes nothing.
    let question = send("confirm", ("grant", &grant(&first)));
    assert!(question.body.contains("<h1>Revoke one connection of Claude &lt;b&gt;?</h1>"), "{}", question.body);
    assert!(question.body.contains("class=\"main bad\" name=\"action\" value=\"withdraw\""));
    assert!(
        send("confirm", ("client", &first)).body.contains("<h1>Revoke all 2 connections of Claude &lt;b&gt;?</h1>")
    );
    let of_first = scene.refresh(&first, text(&of_first, "refresh_token")).json();

    assert_eq!(send("withdraw", ("grant", &grant(&first))).status, 303);
    let done = scene.browse(Request::get("/grants")).body;
    assert!(
        done.contains(
            "role=\"status\">One connection of Claude &lt;b&gt; is revoked. Access tokens that were already issued expire within 5 minutes."
        ),
        "{done}"
    );
    assert!(!scene.browse(Request::get("/grants")).body.contains("role=\"status\""), "it is said once");
    assert_eq!(scene.refresh(&first, text(&of_first, "refresh_token")).status, 400);
    let of_second = scene.refresh(&second, text(&of_second, "refresh_token"));
    assert_eq!(of_second.status, 200, "the other one goes on");
    let (third, of_third) = scene.logged_in();
    assert_eq!(send("withdraw", ("client", &second)).status, 303);
    let done = scene.browse(Request::get("/grants")).body;
    assert!(
        done.contains("All 2 connections of Claude &lt;b&gt; are revoked.") && done.contains("No application"),
        "{done}"
    );
    for (client, tokens) in [(&second, of_second.json()), (&third, of_third)] {
        assert_eq!(scene.refresh(client, text(&tokens, "refresh_token")).status, 400);
    }
    assert_eq!((send("withdraw", ("client", &second)).status, scene.reason().as_str()), (303, "grants_stale"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_user_can_revoke_only_what_is_their_own() {
    let scene = Scene::new();
    let (client, tokens) = scene.logged_in();
    let (page, sealed) = list(&scene);
    let grant = between(&page, "name=\"grant\" value=\"", "\"");
    let eve = scene.other_browser();
    *eve.user.borrow_mut() = json!({ "sub": "eve", "email": "eve@acme.example", "email_verified": true });
    eve.logged_in();
    let (_, own) = list(&eve);
    for (form, action) in [(&own, "withdraw"), (&own, "confirm"), (&sealed, "withdraw"), (&sealed, "confirm")] {
        let fields = [("form", form.as_str()), ("grant", grant.as_str()), ("action", action)];
        let reply = eve.browse(post("/grants", &fields).field("origin", PUBLIC));
        assert_eq!((reply.status, eve.reason().as_str()), (303, "grants_stale"), "{action}");
    }
    for origin in ["https://evil.example", "null"] {
        let fields = [("form", sealed.as_str()), ("grant", grant.as_str()), ("action", "withdraw")];
        assert_eq!(scene.browse(post("/grants", &fields).field("origin", origin)).status, 403, "{origin}");
    }
    // A notice is of one user, and no form: neither can stand for the other.
    let notice = |value: &str| {
        scene.cookies.borrow_mut().insert("__Host-portcullis-notice".to_owned(), value.to_owned());
        scene.browse(Request::get("/grants")).body.contains("role=\"status\"")
    };
    assert!(!notice(&sealed) && !notice("All connections are revoked."));
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_last_connection_of_a_client_ends_its_approval_too() {
    let scene = Scene::new();
    let client = scene.client(WEB);
    scene.code(&client, WEB, &[]);
    assert_eq!(scene.authorize(&client, WEB, &[]).status, 302, "it is approved");
    let (page, sealed) = list(&scene);
    let grant = between(&page, "name=\"grant\" value=\"", "\"");
    let fields = [("form", sealed.as_str()), ("grant", grant.as_str()), ("action", "withdraw")];
    assert_eq!(scene.browse(post("/grants", &fields).field("origin", PUBLIC)).status, 303);
    assert_eq!(scene.authorize(&client, WEB, &[]).status, 200, "it asks again");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_that_takes_the_name_of_a_known_one_is_another_application() {
    let known = json!([{ "client_id": "chat", "client_name": "Claude <b>", "redirect_uris": [WEB] }]);
    let scene = Scene::with(json!({ "clients": known }), json!({}));
    let code = scene.code("chat", WEB, &[]);
    assert!(!code.is_empty());
    let (pretender, tokens) = scene.logged_in();
    let (page, sealed) = list(&scene);
    assert_eq!(page.matches("<article>").count(), 2);
    assert_eq!(page.matches("This name is not verified.").count(), 1);
    let fields = [("form", sealed.as_str()), ("client", pretender.as_str()), ("action", "withdraw")];
    assert_eq!(scene.browse(post("/grants", &fields).field("origin", PUBLIC)).status, 303);
    assert_eq!(scene.refresh(&pretender, text(&tokens, "refresh_token")).status, 400);
    let (page, _) = list(&scene);
    assert!(page.contains("<p class=\"note\"><code>chat</code></p>"), "the known one stays: {page}");
    assert!(page.contains("The access of Claude &lt;b&gt; is revoked."));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_application_without_access_can_be_forgotten() {
    let scene = Scene::new();
    let client = scene.client(WEB);
    let code = scene.code(&client, WEB, &[]);
    // A code that is used twice ends its grant, and not the approval.
    let redeem = || {
        scene.token(&[
            ("grant_type", "authorization_code"),
            ("client_id", &client),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", WEB),
        ])
    };
    assert_eq!([redeem().status, redeem().status], [200, 400]);
    let (page, sealed) = list(&scene);
    assert!(page.contains(&format!("<h2><code>{WEB}</code></h2>")) && page.contains("It has no access now."), "{page}");
    let send = |action: &str| {
        let fields = [("form", sealed.as_str()), ("client", client.as_str()), ("action", action)];
        scene.browse(post("/grants", &fields).field("origin", PUBLIC))
    };
    assert!(send("confirm").body.contains(&format!("<h1>Forget {WEB}?</h1>")));
    assert_eq!(send("withdraw").status, 303);
    let (page, _) = list(&scene);
    assert!(page.contains(&format!("{WEB} is forgotten.")) && page.contains("No application can act"), "{page}");
}
