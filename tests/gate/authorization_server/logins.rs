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
    scene_of(server, login)
}

fn scene_of(server: Value, login: Value) -> Scene {
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
    let page = scene.authorize(&client, WEB, &[("login_hint", Some("x+1@other.example"))]);
    assert!(page.body.contains("x+1@other.example") && page.body.contains("No organization here"), "{}", page.body);
    // Anyone can send a user here: the page shows no text of theirs.
    for text in ["x@<b>.example", "Your account is locked. Call +1 555 0100 @helpdesk", "a@b@c.example", "@x.example"] {
        let page = scene.authorize(&client, WEB, &[("login_hint", Some(text))]);
        assert_eq!((page.status, scene.reason().as_str()), (200, "login_choice"));
        assert!(!page.body.contains("No organization here") && !page.body.contains("locked"), "{}", page.body);
    }
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

/// Rules and scopes mean by a name what the provider of `login` means by it.
#[wasm_bindgen_test(unsupported = test)]
fn what_another_provider_says_counts_as_far_as_the_configuration_says() {
    let claims_with = |own: Option<Value>| {
        let mut others = partner(&json!({}));
        if let Some(own) = own {
            others[0]["token_claims"] = own;
        }
        let server = json!({ "other_logins": others, "token_claims": ["groups", "name", "/realm/roles"] });
        let scene = scene_of(server, json!({}));
        let client = scene.client(LOOPBACK);
        *scene.user.borrow_mut() = json!({
            "sub": "eve", "name": "admin", "realm": { "roles": ["admin"] }, "groups": ["a"], "acr": "gold",
            "amr": ["otp"], "auth_time": scene.world.time().seconds(),
        });
        let back = scene.partner_login(&client, "mcp:tools");
        claims_of(&scene.redeem(&client, &code_of(&back).expect("a code")).json())
    };
    let claims = claims_with(None);
    for name in ["name", "roles", "acr", "amr"] {
        assert_eq!(claims[name], Value::Null, "{name}");
    }
    assert_eq!(claims["groups"], json!(["partner|a"]));
    assert!(claims["auth_time"].is_u64(), "the time is the same for all");
    let claims = claims_with(Some(json!(["name", "acr"])));
    assert_eq!((&claims["name"], &claims["acr"], &claims["roles"]), (&json!("admin"), &json!("gold"), &Value::Null));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_class_that_another_provider_proves_is_none_unless_the_configuration_says_so() {
    for (own, proven) in [(json!([]), false), (json!(["acr"]), true)] {
        let mut others = partner(&json!({}));
        others[0]["token_claims"] = own;
        let scene = scene_of(json!({ "other_logins": others }), json!({}));
        let client = scene.client(LOOPBACK);
        *scene.user.borrow_mut() = json!({ "sub": "eve", "acr": "gold" });
        let page =
            scene.authorize(&client, LOOPBACK, &[("domain_hint", Some("partner")), ("acr_values", Some("gold"))]);
        let began = scene.answer(&page, "allow");
        let back = scene.browse(scene.partner_answers(&began, "/partner", PARTNER));
        let error = answered(&back).get("error").map(str::to_owned);
        assert_eq!(error, (!proven).then(|| "unmet_authentication_requirements".to_owned()));
    }
}

/// Groups of `login` with the names of groups of another provider, as a provider may have whose groups have such names.
#[wasm_bindgen_test(unsupported = test)]
fn no_group_of_a_provider_is_taken_for_one_of_another() {
    let server = json!({
        "other_logins": partner(&json!({})), "token_claims": ["groups"],
        "entitlements": [{ "scopes": ["files:write"], "groups": ["partner|writers"] }],
    });
    let scene = scene_of(server, json!({}));
    let client = scene.client(LOOPBACK);
    *scene.user.borrow_mut() = json!({ "sub": "mallory", "groups": ["partner|writers", "staff"] });
    let login = |scope| {
        let page = scene.authorize(&client, LOOPBACK, &[("domain_hint", Some("login")), ("scope", Some(scope))]);
        let began = scene.answer(&page, "allow");
        scene.browse(scene.come_back(&began))
    };
    assert_eq!(answered(&login("files:write")).get("error"), Some("access_denied"));
    let tokens = scene.redeem(&client, &code_of(&login("mcp:tools")).expect("a code")).json();
    assert_eq!(claims_of(&tokens)["groups"], json!(["staff"]));
    *scene.user.borrow_mut() = json!({ "sub": "eve", "groups": ["writers"] });
    assert!(code_of(&scene.partner_login(&client, "files:write")).is_some());
}

#[wasm_bindgen_test(unsupported = test)]
fn users_are_allowed_by_the_names_that_their_provider_has_for_them() {
    let scene = scene(json!({}), &json!({ "anyone": null, "allowed_users": ["eve"] }));
    let client = scene.client(LOOPBACK);
    *scene.user.borrow_mut() = json!({ "sub": "eve" });
    assert!(code_of(&scene.partner_login(&client, "mcp:tools")).is_some());
    *scene.user.borrow_mut() = json!({ "sub": "partner|eve" });
    assert_eq!(answered(&scene.partner_login(&client, "mcp:tools")).get("error"), Some("access_denied"));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_address_goes_to_no_provider_whose_domain_it_is_not() {
    let scene = scene(json!({ "email_domains": ["acme.example"] }), &json!({ "email_domains": null }));
    let client = scene.client(WEB);
    for (address, passed) in [("boss@ACME.example", false), ("eve@partner.example", true), ("eve", true)] {
        let hints = [("domain_hint", Some("partner")), ("login_hint", Some(address))];
        let page = scene.authorize(&client, WEB, &hints);
        let began = onward(&scene.answer(&page, "allow"));
        let asked = Parameters::parse(began.split_once('?').expect("a query").1).expect("a form");
        assert_eq!(asked.get("login_hint").is_some(), passed, "{address}");
    }
}

/// A login that is removed, leads to another provider, or is not for the client any more.
#[wasm_bindgen_test(unsupported = test)]
fn grants_end_with_their_login() {
    let start = || {
        let scene = scene(json!({ "recheck_minutes": 0 }), &json!({ "recheck_minutes": 0 }));
        let client = scene.client(LOOPBACK);
        *scene.user.borrow_mut() = json!({ "sub": "eve" });
        let back = scene.partner_login(&client, "mcp:tools");
        let tokens = scene.redeem(&client, &code_of(&back).expect("a code")).json();
        (scene, client, tokens)
    };
    let other = |name: &str, more: Value| {
        let mut others = partner(&more);
        others[0]["name"] = json!(name);
        json!({ "other_logins": others })
    };
    for server in [
        json!({}),
        other("other", json!({})),
        other("partner", json!({ "issuer": "https://third.example" })),
        other("partner", json!({ "clients": ["another"] })),
        other("partner", json!({ "recheck_minutes": 60 })),
    ] {
        let (scene, client, tokens) = start();
        let is_there = server["other_logins"][0]["login"]["recheck_minutes"] == json!(60);
        let later = scene.other_isolate(server.clone());
        *later.cookies.borrow_mut() = scene.cookies.borrow().clone();
        scene.world.forget_asked();
        let signed_in = later.browse(Request::get("/grants")).body.contains("Claude");
        let limited = server["other_logins"][0]["login"]["clients"] != Value::Null;
        assert_eq!(signed_in, is_there || limited, "{server}");
        let refreshed = later.refresh(&client, text(&tokens, "refresh_token"));
        assert_eq!(refreshed.status == 200, is_there, "{server}: {}", refreshed.body);
        if !is_there {
            assert_eq!(text(&refreshed.json(), "error"), "invalid_grant");
            let asked = scene.world.asked();
            assert!(asked.is_empty(), "no provider gets a token of another: {:?}", asked.last().map(|it| &it.url));
            assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 400, "it has ended");
        }
    }
    // Revoking sends no token of the provider to another one.
    let (scene, client, tokens) = start();
    let later = scene.other_isolate(json!({}));
    scene.world.forget_asked();
    let form = [("client_id", client.as_str()), ("token", text(&tokens, "refresh_token"))];
    assert_eq!(later.call(post("/revoke", &form)).status, 200);
    assert!(scene.world.asked().is_empty());
}

/// A user of `login` who has the subject that a user of a removed login had.
#[wasm_bindgen_test(unsupported = test)]
fn a_subject_of_a_removed_login_has_nothing_for_another_user() {
    let scene = scene(json!({}), &json!({}));
    let client = scene.client(WEB);
    *scene.user.borrow_mut() = json!({ "sub": "eve" });
    let page = scene.authorize(&client, WEB, &[("domain_hint", Some("partner"))]);
    let began = scene.answer(&page, "allow");
    assert!(code_of(&scene.browse(scene.partner_answers(&began, "/partner", PARTNER))).is_some());
    let later = scene.other_isolate(json!({}));
    later.cookies.borrow_mut().clear();
    *scene.user.borrow_mut() = json!({ "sub": "partner|eve" });
    let began = later.browse(Request::get("/grants"));
    assert_eq!(later.browse(later.come_back(&began)).status, 302);
    let page = later.browse(Request::get("/grants"));
    assert!(page.status == 200 && !page.body.contains("Claude"), "{}", page.body);
    let page = later.authorize(&client, WEB, &[]);
    assert_eq!(
        (page.status, later.reason().as_str()),
        (200, "consent_asked"),
        "the other's consent is not this user's"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn signals_of_another_provider_are_about_its_users_alone() {
    let transmitter = |about: Value| {
        let mut entry = json!({ "name": "partner", "issuer": PARTNER, "signals": { "secret": "ADMIN" } });
        if about != Value::Null {
            entry["signals"]["about_login"] = about;
        }
        json!({ "other_logins": partner(&json!({})), "trusted_issuers": [entry] })
    };
    let found = open_with(document(transmitter(json!(true)), json!({})), &secrets()).expect_err("wrong").to_string();
    assert!(found.contains("signals.about_login: is for the issuer of login"), "{found}");
    let scene = scene_of(transmitter(Value::Null), json!({}));
    let client = scene.client(LOOPBACK);
    *scene.user.borrow_mut() = json!({ "sub": "ada" });
    let back = scene.partner_login(&client, "mcp:tools");
    let theirs = scene.redeem(&client, &code_of(&back).expect("a code")).json();
    let page = scene.authorize(&client, LOOPBACK, &[("domain_hint", Some("login"))]);
    let began = scene.answer(&page, "allow");
    let code = code_of(&scene.browse(scene.come_back(&began))).expect("a code");
    let ours = scene.redeem(&client, &code).json();
    scene.world.pass(60);
    let now = scene.world.time().seconds();
    let subject = json!({ "format": "iss_sub", "iss": PARTNER, "sub": "ada" });
    let claims = json!({
        "iss": PARTNER, "aud": PUBLIC, "iat": now, "jti": "one",
        "events": { "https://schemas.openid.net/secevent/risc/event-type/account-disabled": { "subject": subject } },
    });
    let header = json!({ "alg": "EdDSA", "kid": "ed25519", "typ": "secevent+jwt" });
    let set = token_with_header(&header.to_string(), &claims.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa);
    let request = Request::new(Method::Post, "/signals/partner").field("content-type", "application/secevent+jwt");
    assert_eq!(scene.call(request.field("authorization", SECRET).body(set.as_bytes())).status, 202);
    scene.world.pass(5);
    let refreshed = |tokens: &Value| scene.refresh(&client, text(tokens, "refresh_token")).status;
    assert_eq!((refreshed(&theirs), refreshed(&ours)), (400, 200));
    assert_eq!(answered(&scene.partner_login(&client, "mcp:tools")).get("error"), Some("access_denied"));
}

#[wasm_bindgen_test(unsupported = test)]
fn id_jags_and_logins_mean_the_same_user_by_one_subject() {
    let jag = |more: Value| {
        let mut entry = json!({ "name": "partner", "issuer": PARTNER, "id_jag": { "anyone": true } });
        for (name, value) in more.as_object().expect("a table") {
            entry["id_jag"][name] = value.clone();
        }
        json!({ "other_logins": partner(&json!({})), "trusted_issuers": [entry] })
    };
    assert!(open_with(document(jag(json!({})), json!({})), &secrets()).is_ok());
    let server = jag(json!({ "subject_claim": "preferred_username" }));
    let found = open_with(document(server, json!({})), &secrets()).expect_err("wrong").to_string();
    assert!(found.contains("trusted_issuers[0].id_jag.subject_claim: must be sub"), "{found}");
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
    for name in ["", "login", "v2", "a b", "a|b", ".", ".."] {
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

/// A token that the provider of `login` issued, with the subject of a user of another login.
#[wasm_bindgen_test(unsupported = test)]
fn no_token_of_another_issuer_is_about_a_user_of_another_login() {
    let table = json!({ "other_logins": partner(&json!({})) });
    let mut document = connections::per_user(table, json!({}));
    document["issuers"] = json!([{ "name": "acme", "issuer": ISSUER }]);
    document["resources"][0]["issuers"] = json!(["portcullis", "acme"]);
    let gateway = open_with(document, &secrets()).expect("the document is right");
    let scene = Scene { gateway, ..Scene::new() };
    let now = scene.world.time().seconds();
    let reason = |subject: &str| {
        let claims = json!({ "iss": ISSUER, "sub": subject, "aud": RESOURCE, "scope": "mcp:tools", "client_id": "x", "jti": "1", "iat": now, "exp": now + 60 });
        let header = json!({ "alg": "EdDSA", "kid": "ed25519", "typ": "at+jwt" });
        let token = token_with_header(&header.to_string(), &claims.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa);
        let reply = scene.call(connections::call(&json!({ "access_token": token })));
        (reply.status, scene.reason())
    };
    assert_eq!(reason("zoe").1, "not_connected");
    let (status, reason) = reason("partner|eve");
    assert_eq!((status, reason.as_str()), (403, "origin_credential_denied"));
}
