//! A refresh asks the identity provider again about the user: access ends when the provider says so, and follows what it says.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

/// What the provider answers to a refresh.
pub(super) struct Provider {
    /// The user of its ID tokens; `None` if it sends none.
    pub(super) user: Option<Value>,
    /// Status and error code; `None` if it refuses nothing.
    refusal: Option<(u16, &'static str)>,
    is_down: bool,
    /// The refresh tokens that it got.
    pub(super) used: Vec<String>,
    userinfo: u16,
}

pub(super) type Shared = Rc<RefCell<Provider>>;

/// Who the provider says is there from now on.
pub(super) fn provider(scene: &Scene) -> Shared {
    let user = Some(scene.user.borrow().clone());
    let shared =
        Rc::new(RefCell::new(Provider { user, refusal: None, is_down: false, used: Vec::new(), userinfo: 200 }));
    let (said, world) = (Rc::clone(&shared), scene.world.clone());
    scene.world.answer_by(move |asked, _| {
        let mut said = said.borrow_mut();
        if said.is_down {
            return (503, "{}".to_owned());
        }
        if asked.url == "https://login.example/me" {
            let user = said.user.clone().unwrap_or_default();
            return (said.userinfo, user.to_string());
        }
        assert_eq!(asked.url, TOKEN_ENDPOINT);
        let form = Parameters::parse(&asked.body).expect("a form");
        assert_eq!(form.get("grant_type"), Some("refresh_token"));
        assert!(asked.field("authorization").starts_with("Basic "), "the gateway is a client of the provider");
        said.used.push(form.get("refresh_token").expect("a token").to_owned());
        if let Some((status, error)) = said.refusal {
            return (status, json!({ "error": error }).to_string());
        }
        let number = said.used.len();
        let mut answer =
            json!({ "access_token": format!("access {number}"), "refresh_token": format!("refresh {number}") });
        if let Some(user) = &said.user {
            answer["id_token"] = json!(id_token_of(user, world.time().seconds(), &json!({})));
        }
        (200, answer.to_string())
    });
    shared
}

fn id_token_of(user: &Value, now: u64, changes: &Value) -> String {
    let mut claims = user.clone();
    for (name, value) in [("iss", json!(ISSUER)), ("aud", json!("gate")), ("iat", json!(now)), ("exp", json!(now + 60))]
    {
        claims[name] = value;
    }
    for (name, value) in changes.as_object().expect("a table") {
        claims[name] = value.clone();
    }
    let header = json!({ "alg": "EdDSA", "kid": "ed25519" });
    token_with_header(&header.to_string(), &claims.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa)
}

/// A gateway that asks again after half an hour, and copes with an outage of ten minutes.
fn scene(server: Value, mut login: Value) -> Scene {
    login["recheck_minutes"] = json!(30);
    login["outage_minutes"] = json!(10);
    Scene::with(server, login)
}

const HALF_AN_HOUR: u64 = 1800;

impl Scene {
    fn refreshed(&self, client: &str, tokens: &Value) -> Value {
        let reply = self.refresh(client, text(tokens, "refresh_token"));
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_provider_is_asked_again_only_when_it_is_time() {
    let scene = scene(json!({}), json!({}));
    let (client, tokens) = scene.logged_in();
    let provider = provider(&scene);
    scene.world.pass(HALF_AN_HOUR - 1);
    let second = scene.refreshed(&client, &tokens);
    assert!(provider.borrow().used.is_empty());
    scene.world.pass(1);
    let third = scene.refreshed(&client, &second);
    assert_eq!(provider.borrow().used, ["theirs too"]);
    assert_eq!(scene.use_it(&third), 200);
    let fourth = scene.refreshed(&client, &third);
    scene.world.pass(HALF_AN_HOUR);
    scene.refreshed(&client, &fourth);
    assert_eq!(provider.borrow().used, ["theirs too", "refresh 1"], "the provider's tokens go on with it");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_user_whom_the_provider_no_longer_knows_loses_access() {
    for error in ["invalid_grant", "interaction_required", "login_required", "consent_required"] {
        let scene = scene(json!({}), json!({}));
        let (client, tokens) = scene.logged_in();
        let provider = provider(&scene);
        provider.borrow_mut().refusal = Some((400, error));
        scene.world.pass(HALF_AN_HOUR);
        let reply = scene.refresh(&client, text(&tokens, "refresh_token"));
        assert_eq!((reply.status, text(&reply.json(), "error")), (400, "invalid_grant"), "{error}");
        let line = scene.world.lines().into_iter().find(|line| line["reason"] == "grant_revoked").expect("a line");
        assert!(text(&line, "detail").contains("ended_by_provider: the provider refuses"), "{line}");
        provider.borrow_mut().refusal = None;
        assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 400, "it does not come back");
        let page = scene.browse(Request::get("/grants"));
        assert!(page.body.contains("It has no access now"), "{}", page.body);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_wrong_at_the_provider_is_no_decision_about_the_user() {
    let scene = scene(json!({}), json!({}));
    let (client, tokens) = scene.logged_in();
    let provider = provider(&scene);
    let mut tokens = tokens;
    for (status, error) in
        [(401, "invalid_client"), (400, "unauthorized_client"), (500, "server_error"), (429, "slow_down")]
    {
        provider.borrow_mut().refusal = Some((status, error));
        scene.world.pass(HALF_AN_HOUR);
        tokens = scene.refreshed(&client, &tokens);
        assert!(scene.world.lines().iter().any(|line| line["reason"] == "recheck_failed"), "{error}");
        provider.borrow_mut().refusal = None;
        // Asked again soon, and not at once.
        let before = provider.borrow().used.len();
        tokens = scene.refreshed(&client, &tokens);
        assert_eq!(provider.borrow().used.len(), before);
        scene.world.pass(10);
        tokens = scene.refreshed(&client, &tokens);
        assert_eq!(provider.borrow().used.len(), before + 1);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_outage_keeps_access_for_the_configured_time_and_loses_no_grant() {
    let scene = scene(json!({}), json!({}));
    let (client, tokens) = scene.logged_in();
    let provider = provider(&scene);
    provider.borrow_mut().is_down = true;
    scene.world.pass(HALF_AN_HOUR);
    let second = scene.refreshed(&client, &tokens);
    scene.world.pass(599);
    let third = scene.refreshed(&client, &second);
    assert_eq!(scene.use_it(&third), 200);
    scene.world.pass(1);
    let reply = scene.refresh(&client, text(&third, "refresh_token"));
    assert_eq!((reply.status, text(&reply.json(), "error")), (503, "temporarily_unavailable"));
    assert_eq!(reply.field("retry-after"), "30");
    // A thousand refreshes do not become a thousand requests to a provider that is down.
    let asked = scene.world.asked().len();
    for _ in 0..1000 {
        assert_eq!(scene.refresh(&client, text(&third, "refresh_token")).status, 503);
    }
    assert!(scene.world.asked().len() <= asked + 1);
    provider.borrow_mut().is_down = false;
    scene.world.pass(10);
    scene.refreshed(&client, &third);
}

#[wasm_bindgen_test(unsupported = test)]
fn scopes_and_claims_follow_the_groups_of_the_provider() {
    let server = json!({
        "token_claims": ["groups"],
        "entitlements": [{ "scopes": ["files:write"], "groups": ["writers"] }],
    });
    let scene = scene(server, json!({ "allowed_groups": ["staff"], "anyone": false }));
    scene.user.borrow_mut()["groups"] = json!(["staff", "writers"]);
    let client = scene.client(LOOPBACK);
    let code = scene.code(&client, LOOPBACK, &[("scope", Some("mcp:tools files:write"))]);
    let tokens = scene.redeem(&client, &code).json();
    assert_eq!(text(&tokens, "scope"), "files:write mcp:tools");
    let provider = provider(&scene);
    let say = |groups: Value| provider.borrow_mut().user.as_mut().expect("a user")["groups"] = groups;
    say(json!(["staff"]));
    scene.world.pass(HALF_AN_HOUR - 60);
    let old = scene.refreshed(&client, &tokens);
    assert_eq!(scene.use_it(&old), 200);
    scene.world.pass(60);
    let less = scene.refreshed(&client, &old);
    assert_eq!((text(&less, "scope"), &claims_of(&less)["groups"]), ("mcp:tools", &json!(["staff"])));
    // Access tokens that say what was are over at once.
    scene.world.pass(5);
    assert_eq!((scene.use_it(&old), scene.use_it(&less)), (401, 200));
    // A client that asks for what was approved gets what the user may have.
    let asked = scene.token(&[
        ("grant_type", "refresh_token"),
        ("client_id", &client),
        ("refresh_token", text(&less, "refresh_token")),
        ("scope", "files:write mcp:tools"),
    ]);
    assert_eq!((asked.status, text(&asked.json(), "scope")), (200, "mcp:tools"));
    say(json!(["staff", "writers"]));
    scene.world.pass(HALF_AN_HOUR);
    let more = scene.refreshed(&client, &asked.json());
    assert_eq!(text(&more, "scope"), "files:write mcp:tools", "what was approved comes back with the group");
    say(json!(["writers"]));
    scene.world.pass(HALF_AN_HOUR);
    let reply = scene.refresh(&client, text(&more, "refresh_token"));
    assert_eq!(reply.status, 400, "not admitted any more");
    scene.world.pass(5);
    assert_eq!(scene.use_it(&more), 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_about_another_user_ends_the_grant_and_one_that_proves_nothing_does_not() {
    for (changes, status) in [
        (json!({ "sub": "eve" }), 400),
        (json!({ "aud": "another" }), 200),
        (json!({ "iss": "https://evil.example" }), 200),
        (json!({ "exp": 1 }), 200),
    ] {
        let scene = scene(json!({}), json!({}));
        let (client, tokens) = scene.logged_in();
        let (world, user) = (scene.world.clone(), scene.user.borrow().clone());
        let said = changes.clone();
        scene.world.answer_by(move |_, _| {
            let id_token = id_token_of(&user, world.time().seconds(), &said);
            (200, json!({ "access_token": "a", "id_token": id_token }).to_string())
        });
        scene.world.pass(HALF_AN_HOUR);
        let reply = scene.refresh(&client, text(&tokens, "refresh_token"));
        assert_eq!(reply.status, status, "{changes}");
        let failed = scene.world.lines().iter().any(|line| line["reason"] == "recheck_failed");
        assert_eq!(failed, status == 200, "{changes}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_provider_that_sends_no_id_token_confirms_that_its_token_is_good() {
    let scene = scene(json!({ "token_claims": ["email"] }), json!({}));
    let (client, tokens) = scene.logged_in();
    let provider = provider(&scene);
    provider.borrow_mut().user = None;
    scene.world.pass(HALF_AN_HOUR);
    let second = scene.refreshed(&client, &tokens);
    assert_eq!(text(&claims_of(&second), "email"), "ada@acme.example", "what it said at the login stays");
    provider.borrow_mut().refusal = Some((400, "invalid_grant"));
    scene.world.pass(HALF_AN_HOUR);
    assert_eq!(scene.refresh(&client, text(&second, "refresh_token")).status, 400);
}

#[wasm_bindgen_test(unsupported = test)]
fn without_a_token_of_the_provider_a_grant_ends_only_where_the_configuration_asks_for_it() {
    for (login, status) in
        [(json!({}), 200), (json!({ "recheck_minutes": 60 }), 400), (json!({ "recheck_minutes": 0 }), 200)]
    {
        let scene = Scene::with(json!({}), login.clone());
        let client = scene.client(LOOPBACK);
        let page = scene.authorize(&client, LOOPBACK, &[]);
        let begun = scene.answer(&page, "allow");
        let scopes = answered(&begun).get("scope").expect("scopes").to_owned();
        assert_eq!(scopes.contains("offline_access"), status == 400, "{scopes}");
        let request = scene.come_back(&begun);
        let id_token = scene.id_token(answered(&begun).get("nonce").expect("a nonce"), &json!({}));
        let given = json!({ "access_token": "theirs", "id_token": id_token }).to_string();
        scene.world.answer(TOKEN_ENDPOINT, Ok((200, "application/json", &given)));
        let code = code_of(&scene.browse(request)).expect("a code");
        let tokens = scene.redeem(&client, &code).json();
        scene.world.pass(3600);
        assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, status, "{login}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_without_openid_is_asked_who_the_user_is() {
    let login = json!({
        "issuer": null, "authorization_endpoint": "https://login.example/authorize", "token_endpoint": TOKEN_ENDPOINT,
        "userinfo_endpoint": "https://login.example/me", "recheck_minutes": 30,
    });
    let scene = Scene::with(json!({}), login);
    let client = scene.client(LOOPBACK);
    let begun = scene.answer(&scene.authorize(&client, LOOPBACK, &[]), "allow");
    let state = answered(&begun).get("state").expect("a state").to_owned();
    scene.world.answer(TOKEN_ENDPOINT, Ok((200, "application/json", "{\"access_token\":\"theirs\"}")));
    scene.world.answer("https://login.example/me", Ok((200, "application/json", "{\"sub\":\"ada\"}")));
    let code = code_of(&scene.browse(callback(&state, &[("code", "theirs")]))).expect("a code");
    let tokens = scene.redeem(&client, &code).json();
    let provider = provider(&scene);
    scene.world.pass(HALF_AN_HOUR);
    let second = scene.refreshed(&client, &tokens);
    assert!(scene.world.asked().last().is_some_and(|asked| asked.field("authorization") == "Bearer theirs"));
    provider.borrow_mut().userinfo = 401;
    scene.world.pass(HALF_AN_HOUR);
    assert_eq!(scene.refresh(&client, text(&second, "refresh_token")).status, 400);
}

#[wasm_bindgen_test(unsupported = test)]
fn others_of_the_client_wait_for_the_request_that_asks_and_lose_nothing() {
    let scene = scene(json!({}), json!({}));
    let (client, tokens) = scene.logged_in();
    let provider = provider(&scene);
    scene.world.pass(HALF_AN_HOUR);
    let (other, name) = (scene.other_browser(), client.clone());
    let (refresh_token, got) = (text(&tokens, "refresh_token").to_owned(), Rc::new(RefCell::new(Value::Null)));
    // While the provider is asked, another process of the client refreshes with the same token. The request that asks gets no
    // answer for longer than the other waits.
    let (inner, seen, once) = (Rc::clone(&got), Rc::clone(&provider), RefCell::new(false));
    let user = provider.borrow().user.clone().expect("a user");
    let world = scene.world.clone();
    scene.world.answer_by(move |asked, _| {
        seen.borrow_mut().used.push(asked.body.clone());
        if !once.replace(true) {
            let before = world.time().seconds();
            let reply = other.refresh(&name, &refresh_token);
            assert_eq!((reply.status, reply.field("retry-after")), (503, "30"));
            *inner.borrow_mut() = reply.json();
            assert!(world.time().seconds() >= before + 20, "it waits for the other");
        }
        let id_token = id_token_of(&user, world.time().seconds(), &json!({}));
        (200, json!({ "access_token": "a", "refresh_token": "r", "id_token": id_token }).to_string())
    });
    let late = scene.refreshed(&client, &tokens);
    assert_eq!(text(&got.borrow(), "error"), "temporarily_unavailable");
    // The other asks again with the token that it still has, and both go on with the same next one.
    assert_eq!(text(&scene.refreshed(&client, &tokens), "refresh_token"), text(&late, "refresh_token"));
    assert_eq!(provider.borrow().used.len(), 1);
}

/// A request may vanish while it asks the provider: the isolate ends. Its turn is over after 90 s, and another request takes it.
/// What the first one still hears then replaces nothing.
#[wasm_bindgen_test(unsupported = test)]
fn a_turn_that_is_over_is_taken_by_the_next_request() {
    let scene = scene(json!({}), json!({}));
    let (client, tokens) = scene.logged_in();
    let provider = provider(&scene);
    scene.world.pass(HALF_AN_HOUR);
    let (other, name) = (scene.other_browser(), client.clone());
    let (old, got) = (tokens.clone(), Rc::new(RefCell::new(Value::Null)));
    let (inner, seen, once) = (Rc::clone(&got), Rc::clone(&provider), RefCell::new(false));
    let user = provider.borrow().user.clone().expect("a user");
    let world = scene.world.clone();
    scene.world.answer_by(move |asked, _| {
        seen.borrow_mut().used.push(asked.body.clone());
        let id_token = id_token_of(&user, world.time().seconds(), &json!({}));
        if !once.replace(true) {
            world.pass(91);
            *inner.borrow_mut() = other.refreshed(&name, &old);
        }
        (200, json!({ "access_token": "a", "refresh_token": "r", "id_token": id_token }).to_string())
    });
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 503, "its time is over");
    let late = scene.refreshed(&client, &tokens);
    assert_eq!(text(&late, "refresh_token"), text(&got.borrow(), "refresh_token"));
    assert_eq!(provider.borrow().used.len(), 2);
    scene.world.pass(HALF_AN_HOUR);
    let next = scene.refreshed(&client, &late);
    assert_eq!((provider.borrow().used.len(), scene.use_it(&next)), (3, 200), "the provider's tokens can be opened");
}

/// One user's trouble at the provider is not that of the others.
#[wasm_bindgen_test(unsupported = test)]
fn what_is_wrong_with_one_user_pauses_the_recheck_of_no_other() {
    let scene = scene(json!({}), json!({}));
    let (client, tokens) = scene.logged_in();
    let provider = provider(&scene);
    scene.world.pass(HALF_AN_HOUR);
    provider.borrow_mut().refusal = Some((400, "invalid_request"));
    let (first, second) = (scene.refreshed(&client, &tokens), provider.borrow().used.len());
    provider.borrow_mut().refusal = None;
    scene.refreshed(&client, &first);
    assert_eq!(provider.borrow().used.len(), second + 1, "asked at once");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_thief_with_an_old_refresh_token_asks_the_provider_nothing() {
    let scene = scene(json!({}), json!({}));
    let (client, tokens) = scene.logged_in();
    let second = scene.refreshed(&client, &tokens);
    let provider = provider(&scene);
    scene.world.pass(HALF_AN_HOUR);
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 400);
    assert_eq!(scene.refresh(&client, text(&second, "refresh_token")).status, 400, "a theft ends the grant");
    assert!(provider.borrow().used.is_empty());
}

/// A provider whose answer to a refresh has no ID token (OpenID Connect Core §12.2), and whose userinfo endpoint says the groups.
#[wasm_bindgen_test(unsupported = test)]
fn groups_follow_the_userinfo_endpoint_where_a_refresh_gives_no_id_token() {
    const ME: &str = "https://login.example/me";
    let user = |more: Value| {
        let mut user = json!({ "sub": "ada", "email": "ada@acme.example", "email_verified": true, "department": "x" });
        for (name, value) in more.as_object().expect("a table") {
            user[name] = value.clone();
        }
        user
    };
    let start = |at_login: Value| {
        let server = json!({
            "token_claims": ["groups", "department"],
            "entitlements": [{ "scopes": ["files:write"], "groups": ["writers"] }],
        });
        let scene = scene(server, json!({ "userinfo_endpoint": ME }));
        *scene.user.borrow_mut() = user(json!({}));
        scene.world.answer(ME, Ok((200, "application/json", &at_login.to_string())));
        let client = scene.client(LOOPBACK);
        let scope = [("scope", Some("mcp:tools files:write"))];
        let code = scene.code(&client, LOOPBACK, &scope);
        let tokens = scene.redeem(&client, &code).json();
        (scene, client, tokens)
    };
    let (scene, client, tokens) = start(user(json!({ "groups": ["writers", "staff"] })));
    assert_eq!(text(&tokens, "scope"), "files:write mcp:tools");
    scene.world.pass(31 * 60);
    let mut said = user(json!({ "groups": ["staff"] }));
    said.as_object_mut().expect("a table").remove("department");
    scene.world.answer_by(move |asked, _| match asked.url.as_str() {
        ME => (200, said.to_string()),
        _ => (200, json!({ "access_token": "a", "refresh_token": "r" }).to_string()),
    });
    let refreshed = scene.refresh(&client, text(&tokens, "refresh_token"));
    assert_eq!(refreshed.status, 200, "{}", refreshed.body);
    let tokens = refreshed.json();
    assert_eq!(text(&tokens, "scope"), "mcp:tools");
    let claims = claims_of(&tokens);
    assert_eq!(
        (&claims["groups"], &claims["department"]),
        (&json!(["staff"]), &json!("x")),
        "what it does not say stays"
    );
    // No groups at all, and then another user.
    let none = user(json!({}));
    scene.world.pass(31 * 60);
    scene.world.answer_by(move |asked, _| match asked.url.as_str() {
        ME => (200, none.to_string()),
        _ => (200, json!({ "access_token": "a" }).to_string()),
    });
    let tokens = scene.refresh(&client, text(&tokens, "refresh_token")).json();
    assert_eq!(claims_of(&tokens)["groups"], json!([]));
    scene.world.pass(31 * 60);
    scene.world.answer_by(|asked, _| match asked.url.as_str() {
        ME => (200, json!({ "sub": "eve", "groups": ["writers"] }).to_string()),
        _ => (200, json!({ "access_token": "a" }).to_string()),
    });
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 400);

    // An endpoint that did not say the groups at the login is not asked for them: they came with the ID token.
    let (scene, client, tokens) = start(user(json!({})));
    scene.world.pass(31 * 60);
    scene.world.answer_by(|asked, _| {
        assert_ne!(asked.url, ME);
        (200, json!({ "access_token": "a" }).to_string())
    });
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 200);
}

/// The provider is down for an hour in the middle of a thousand refreshes: users go on, none loses a grant, and the provider is not flooded.
#[wasm_bindgen_test(unsupported = test)]
fn an_hour_without_the_provider_in_the_middle_of_a_thousand_refreshes_loses_nothing() {
    let scene = Scene::with(json!({}), json!({ "recheck_minutes": 30, "outage_minutes": 60 }));
    let client = scene.client(LOOPBACK);
    let mut grants: Vec<String> = Vec::new();
    for number in 0..1_000 {
        let browser = scene.other_browser();
        // Logins are limited by address and minute.
        if number % 20 == 0 {
            scene.world.pass(60);
        }
        *scene.user.borrow_mut() = json!({ "sub": format!("user-{number}") });
        *browser.user.borrow_mut() = json!({ "sub": format!("user-{number}") });
        let code = browser.code(&client, LOOPBACK, &[]);
        grants.push(text(&scene.redeem(&client, &code).json(), "refresh_token").to_owned());
    }
    scene.world.forget_asked();
    let down = Rc::new(std::cell::Cell::new(false));
    let is_down = Rc::clone(&down);
    scene.world.answer_by(move |asked, _| {
        assert_eq!(asked.url, TOKEN_ENDPOINT);
        if is_down.get() {
            return (503, "{}".to_owned());
        }
        (200, json!({ "access_token": "a", "refresh_token": "r" }).to_string())
    });
    let refresh_all = |grants: &mut Vec<String>| -> (usize, usize) {
        let (mut good, mut later) = (0, 0);
        for (number, token) in grants.iter_mut().enumerate() {
            if number % 20 == 0 {
                scene.world.pass(1);
            }
            let reply = scene.refresh(&client, token);
            match reply.status {
                200 => {
                    good += 1;
                    *token = text(&reply.json(), "refresh_token").to_owned();
                }
                503 => {
                    assert!(!reply.field("retry-after").is_empty());
                    later += 1;
                }
                status => panic!("{status}: {}", reply.body),
            }
        }
        (good, later)
    };
    scene.world.pass(HALF_AN_HOUR);
    let (first, second) = grants.split_at(500);
    let (mut first, mut second) = (first.to_vec(), second.to_vec());
    assert_eq!(refresh_all(&mut first), (500, 0));
    down.set(true);
    assert_eq!(refresh_all(&mut second), (500, 0), "an outage takes access from no user");
    let asked = scene.world.asked().len() - 500;
    assert!(asked < 20, "a provider that is down is asked every ten seconds, and not 500 times: {asked}");
    scene.world.pass(3_600);
    let (good, later) = refresh_all(&mut second);
    assert_eq!((good, later), (0, 500), "after outage_minutes there is no answer, and nothing is lost");
    down.set(false);
    scene.world.pass(60);
    assert_eq!(refresh_all(&mut second), (500, 0));
    assert_eq!(refresh_all(&mut first), (500, 0));
}
