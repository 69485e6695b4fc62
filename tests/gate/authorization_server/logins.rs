//! Several identity providers: which one a user signs in at, and that no user of one is taken for a user of another.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const PARTNER: &str = "https://partner.example";
const PARTNER_TOKENS: &str = "https://partner.example/token";

fn partner(more: &Value) -> Value {
    let mut login = json!({
        "issuer": PARTNER, "client_id": "gate", "secret": "IDP", "anyone": true, "title": "Partner <GmbH>",
        "email_domains": ["Partner.example"],
    });
    for (name, value) in more.as_object().expect("a table") {
        login[name] = value.clone();
    }
    json!([{ "name": "partner", "login": login }])
}

fn scene(login: Value, more: &Value) -> Scene {
    let server = json!({
        "other_logins": partner(more),
        "token_claims": ["groups", "email"],
        "entitlements": [{ "scopes": ["files:write"], "groups": ["writers"] }],
    });
    let scene = Scene::with(server, login);
    let metadata = json!({
        "issuer": PARTNER,
        "authorization_endpoint": "https://partner.example/authorize",
        "token_endpoint": PARTNER_TOKENS,
        "jwks_uri": format!("{PARTNER}/jwks"),
        "authorization_response_iss_parameter_supported": true,
    });
    scene.world.document(&format!("{PARTNER}/.well-known/openid-configuration"), Ok(&metadata.to_string()));
    let keys = json!({ "keys": [Key::Ed25519.public_jwk()] });
    scene.world.document(&format!("{PARTNER}/jwks"), Ok(&keys.to_string()));
    scene
}

impl Scene {
    /// The partner's answer to a login, at the redirect URI of this name.
    fn partner_answers(&self, began: &Reply, name: &str, issuer: &str) -> Request {
        let url = onward(began);
        let asked = Parameters::parse(url.split_once('?').expect("a query").1).expect("a form");
        let claims = self.id_token(asked.get("nonce").expect("a nonce"), &json!({ "iss": PARTNER }));
        let tokens = json!({ "access_token": "partner's", "id_token": claims });
        self.world.answer(PARTNER_TOKENS, Ok((200, "application/json", &tokens.to_string())));
        let state = asked.get("state").expect("a state");
        let query = [("state", state), ("code", "theirs"), ("iss", issuer)];
        let mut form = Form::default();
        for (name, value) in query {
            form.add(name, value);
        }
        Request::get(&format!("/callback{name}?{}", form.into_text()))
    }

    fn partner_login(&self, client: &str, scope: &str) -> Reply {
        let hint = [("domain_hint", Some("partner")), ("scope", Some(scope))];
        let page = self.authorize(client, LOOPBACK, &hint);
        assert_eq!(page.status, 200, "{}", page.body);
        let began = self.answer(&page, "allow");
        assert!(onward(&began).starts_with("https://partner.example/authorize?"), "{}", onward(&began));
        self.browse(self.partner_answers(&began, "/partner", PARTNER))
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn users_choose_where_they_sign_in_unless_a_hint_says_it() {
    let scene = scene(json!({ "title": "Acme" }), &json!({}));
    let client = scene.client(WEB);
    let page = scene.authorize(&client, WEB, &[("state", Some("<s>&"))]);
    assert_eq!((page.status, scene.reason().as_str()), (200, "login_choice"));
    assert!(page.body.contains("Partner &lt;GmbH&gt;") && page.body.contains("Acme"), "{}", page.body);
    assert!(scene.world.asked().is_empty(), "no provider is asked before the user has decided (P6)");
    // The link repeats the request, and the form does with the address.
    let link = between(&page.body, "class=\"button\" href=\"https://gate.example", "\"");
    assert!(link.starts_with("/authorize?") && link.contains("domain_hint=login"), "{link}");
    let consent = scene.browse(Request::get(&link));
    assert!(consent.body.contains("Next, you log in at Acme"), "{}", consent.body);
    assert!(onward(&scene.answer(&consent, "allow")).starts_with("https://login.example/authorize?"));
    assert!(page.body.contains("name=\"state\" value=\"&lt;s&gt;&amp;\""), "{}", page.body);
    for (hints, at) in [
        (vec![("login_hint", Some("Bob@PARTNER.example"))], Some("https://partner.example/authorize?")),
        (vec![("domain_hint", Some("partner.example"))], Some("https://partner.example/authorize?")),
        (vec![("domain_hint", Some("partner"))], Some("https://partner.example/authorize?")),
        (vec![("domain_hint", Some("login")), ("login_hint", Some("ada"))], Some("https://login.example/authorize?")),
        (vec![("login_hint", Some("ada@other.example"))], None),
        (vec![("login_hint", Some("evil@partner.example@other.example"))], None),
        (vec![("domain_hint", Some(""))], None),
        (vec![("domain_hint", Some("PARTNER"))], None),
    ] {
        let page = scene.authorize(&client, WEB, &hints);
        let Some(at) = at else {
            assert_eq!(scene.reason(), "login_choice", "{hints:?}");
            continue;
        };
        let began = onward(&scene.answer(&page, "allow"));
        assert!(began.starts_with(at), "{hints:?}: {began}");
        let asked = Parameters::parse(began.split_once('?').expect("a query").1).expect("a form");
        let path = if at.contains("partner") { "/callback/partner" } else { "/callback" };
        assert_eq!(asked.get("redirect_uri"), Some(format!("{PUBLIC}{path}").as_str()));
        let hint = hints.iter().find(|(name, _)| *name == "login_hint").and_then(|(_, value)| *value);
        assert_eq!(asked.get("login_hint"), hint, "{hints:?}");
    }
    let page = scene.authorize(&client, WEB, &[("login_hint", Some("x@<b>.example"))]);
    assert!(page.body.contains("x@&lt;b&gt;.example") && page.body.contains("No organization here"), "{}", page.body);
    // The pages of the gateway, too.
    let page = scene.browse(Request::get("/grants"));
    assert_eq!(scene.reason(), "login_choice");
    assert!(page.body.contains("/grants?domain_hint=partner"), "{}", page.body);
    let began = scene.browse(Request::get("/grants?domain_hint=partner"));
    let back = scene.browse(scene.partner_answers(&began, "/partner", PARTNER));
    assert_eq!((back.status, scene.reason().as_str()), (302, "signed_in"), "{}", back.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn users_of_two_providers_are_never_the_same() {
    let scene = scene(json!({}), &json!({ "recheck_minutes": 0 }));
    let client = scene.client(LOOPBACK);
    *scene.user.borrow_mut() =
        json!({ "sub": "ada", "groups": ["writers"], "email": "ada@acme.example", "email_verified": true });
    let back = scene.partner_login(&client, "mcp:tools");
    let tokens = scene.redeem(&client, &code_of(&back).expect("a code")).json();
    let claims = claims_of(&tokens);
    assert_eq!((&claims["sub"], &claims["groups"]), (&json!("partner|ada"), &json!(["partner|writers"])));
    assert_eq!(claims["email"], Value::Null, "the address is of a domain that the partner does not speak for");
    assert_eq!(scene.use_it(&tokens), 200);
    // A group of the same name gives no rights.
    let denied = scene.partner_login(&client, "files:write");
    assert_eq!(answered(&denied).get("error"), Some("access_denied"));
    // What the one approved and has, the other does not see.
    let other = scene.other_browser();
    let began = other.browse(Request::get("/grants?domain_hint=login"));
    other.browse(other.come_back(&began));
    let page = other.browse(Request::get("/grants"));
    assert!(!page.body.contains("Claude"), "{}", page.body);
    let refreshed = scene.refresh(&client, text(&tokens, "refresh_token"));
    assert_eq!(claims_of(&refreshed.json())["sub"], "partner|ada");
    // A user of `login` whose subject looks like one of the partner.
    *scene.user.borrow_mut() = json!({ "sub": "partner|ada" });
    let third = scene.other_browser();
    let page = third.authorize(&client, LOOPBACK, &[("domain_hint", Some("login"))]);
    let began = third.answer(&page, "allow");
    assert_eq!(answered(&third.browse(third.come_back(&began))).get("error"), Some("access_denied"));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_counts_only_where_it_was_asked_for() {
    let scene = scene(json!({}), &json!({}));
    let client = scene.client(WEB);
    let start = || {
        let page = scene.authorize(&client, WEB, &[("domain_hint", Some("partner"))]);
        scene.answer(&page, "allow")
    };
    // At the redirect URI of another login, or of none.
    let began = start();
    assert_eq!(scene.browse(scene.partner_answers(&began, "", PARTNER)).status, 400);
    assert_eq!(scene.reason(), "login_stale");
    assert_eq!(scene.browse(scene.partner_answers(&began, "/nobody", PARTNER)).status, 404);
    // From another issuer: mix-up.
    let mixed = scene.browse(scene.partner_answers(&began, "/partner", ISSUER));
    assert_eq!(answered(&mixed).get("error"), Some("server_error"));
    // An ID token of the other provider.
    let began = start();
    let back = scene.partner_answers(&began, "/partner", PARTNER);
    let asked = answered(&began);
    let foreign = scene.id_token(asked.get("nonce").expect("a nonce"), &json!({}));
    let tokens = json!({ "access_token": "partner's", "id_token": foreign });
    scene.world.answer(PARTNER_TOKENS, Ok((200, "application/json", &tokens.to_string())));
    assert_eq!(answered(&scene.browse(back)).get("error"), Some("server_error"));
    assert!(code_of(&scene.partner_login(&scene.client(LOOPBACK), "mcp:tools")).is_some());
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_and_resources_limit_who_signs_in_where() {
    let only = scene(json!({ "clients": ["nobody"] }), &json!({}));
    let client = only.client(WEB);
    // One login is left: the user is not asked.
    let page = only.authorize(&client, WEB, &[("domain_hint", Some("login"))]);
    assert!(page.body.contains("Next, you log in at Partner &lt;GmbH&gt;"), "{}", page.body);
    let none = scene(json!({ "clients": ["nobody"] }), &json!({ "clients": ["nobody"] }));
    let client = none.client(WEB);
    let page = none.authorize(&client, WEB, &[]);
    assert_eq!((page.status, none.reason().as_str()), (400, "access_denied"));
    let by_resource = scene(json!({ "resources": ["/mcp"] }), &json!({ "resources": ["/mcp"] }));
    let client = by_resource.client(WEB);
    by_resource.authorize(&client, WEB, &[]);
    assert_eq!(by_resource.reason(), "login_choice");
}

#[wasm_bindgen_test(unsupported = test)]
fn each_provider_provisions_its_own_users() {
    let scim = json!({ "scim": { "secrets": ["ADMIN"], "binding": "DIRECTORY" } });
    let scene = scene(json!({}), &scim);
    let client = scene.client(LOOPBACK);
    *scene.user.borrow_mut() = json!({ "sub": "ada" });
    let denied = scene.partner_login(&client, "mcp:tools");
    assert_eq!(answered(&denied).get("error"), Some("access_denied"));
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada", "externalId": "ada",
    });
    let send = |path: &str| {
        let request = Request::new(Method::Post, path).field("authorization", &format!("Bearer {SECRET}"));
        scene.call(request.field("content-type", "application/scim+json").body(user.to_string().as_bytes()))
    };
    assert_eq!((send("/scim/v2/Users").status, send("/scim/other/v2/Users").status), (404, 404));
    let made = send("/scim/partner/v2/Users");
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(made.field("location").starts_with(&format!("{PUBLIC}/scim/partner/v2/Users/")));
    assert!(code_of(&scene.partner_login(&client, "mcp:tools")).is_some());
    // The login that has no directory does not need one.
    let other = scene.other_browser();
    let page = other.authorize(&client, LOOPBACK, &[("domain_hint", Some("login"))]);
    let began = other.answer(&page, "allow");
    assert!(code_of(&other.browse(other.come_back(&began))).is_some());
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_of_other_logins() {
    let mistakes =
        |server: Value, login: Value| open_with(document(server, login), &secrets()).expect_err("wrong").to_string();
    let named = |name: &str| {
        let mut others = partner(&json!({}));
        others[0]["name"] = json!(name);
        json!({ "other_logins": others })
    };
    for name in ["", "login", "v2", "a b", "a|b"] {
        let found = mistakes(named(name), json!({}));
        assert!(found.contains("authorization_server.other_logins[0].name"), "{name:?}: {found}");
    }
    let twice = json!({ "other_logins": [partner(&json!({}))[0], partner(&json!({}))[0]] });
    let found = mistakes(twice, json!({}));
    for part in ["is the name of another entry too", "is at the same provider", "is a domain of another login too"] {
        assert!(found.contains(part), "{part}: {found}");
    }
    for (more, at) in [
        (json!({ "issuer": "nonsense" }), "other_logins[0].login.issuer"),
        (json!({ "email_domains": ["@x"] }), "other_logins[0].login.email_domains[0]"),
        (json!({ "resources": ["/nothing"] }), "other_logins[0].login.resources[0]"),
        (json!({ "clients": [] }), "other_logins[0].login.clients"),
        (json!({ "title": " " }), "other_logins[0].login.title"),
        (json!({ "issuer": ISSUER }), "other_logins[0].login"),
    ] {
        let found = mistakes(json!({ "other_logins": partner(&more) }), json!({}));
        assert!(found.contains(&format!("authorization_server.{at}")), "{more}: {found}");
    }
    let found =
        mistakes(json!({ "other_logins": partner(&json!({ "resources": ["/x"] })) }), json!({ "resources": ["/y"] }));
    assert!(found.contains("resources[0]: no login is for this resource"), "{found}");
}
