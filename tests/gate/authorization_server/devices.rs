//! Device authorization (RFC 8628): a device shows a code, and its user decides in a browser.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn scene() -> Scene {
    Scene::with(json!({ "device_authorization": true }), json!({}))
}

impl Scene {
    fn device_client(&self) -> String {
        let reply = self.register(json!({
            "client_name": "A <TV>", "redirect_uris": [LOOPBACK], "token_endpoint_auth_method": "none",
            "grant_types": [DEVICE_CODE, "refresh_token"],
        }));
        assert_eq!(reply.status, 201, "{}", reply.body);
        text(&reply.json(), "client_id").to_owned()
    }

    fn ask_for_device(&self, client: &str, more: &[(&str, &str)]) -> Reply {
        let form = [&[("client_id", client)], more].concat();
        self.call(post("/device_authorization", &form).field("cf-connecting-ip", "192.0.2.7"))
    }

    fn poll(&self, client: &str, device_code: &str) -> (u16, Value) {
        let reply = self.token(&[("grant_type", DEVICE_CODE), ("client_id", client), ("device_code", device_code)]);
        (reply.status, reply.json())
    }

    fn enter(&self, code: &str) -> Reply {
        self.browse(post("/device", &[("user_code", code)]).field("origin", PUBLIC))
    }
}

fn error((status, body): (u16, Value)) -> (u16, String) {
    (status, text(&body, "error").to_owned())
}

#[wasm_bindgen_test(unsupported = test)]
fn a_device_gets_tokens_when_its_user_has_decided() {
    let scene = scene();
    let metadata = scene.call(Request::get("/.well-known/oauth-authorization-server")).json();
    assert_eq!(metadata["device_authorization_endpoint"], format!("{PUBLIC}/device_authorization"));
    assert!(metadata["grant_types_supported"].as_array().expect("a list").contains(&json!(DEVICE_CODE)));
    let client = scene.device_client();
    let reply = scene.ask_for_device(&client, &[("scope", "mcp:tools files:write")]);
    assert_eq!((reply.status, reply.field("cache-control")), (200, "no-store"));
    let asked = reply.json();
    let (device, user) = (text(&asked, "device_code"), text(&asked, "user_code"));
    assert_eq!((&asked["expires_in"], &asked["interval"]), (&json!(600), &json!(5)));
    assert_eq!(text(&asked, "verification_uri"), format!("{PUBLIC}/device"));
    assert_eq!(text(&asked, "verification_uri_complete"), format!("{PUBLIC}/device?user_code={user}"));
    assert!(user.len() == 9 && !device.contains(user), "{user}");
    assert_eq!(error(scene.poll(&client, device)), (400, "authorization_pending".to_owned()));

    // A link fills in the code, and decides nothing.
    let form = scene.browse(Request::get(&format!("/device?user_code={user}")));
    assert!(form.status == 200 && form.body.contains(&format!("value=\"{user}\"")), "{}", form.body);
    let page = scene.enter(&user.replace('-', " ").to_lowercase());
    assert_eq!((page.status, scene.reason().as_str()), (200, "device_asked"), "{}", page.body);
    for shown in [user, "A &lt;TV&gt;", "192.0.2.7", "files:write", "less than a minute ago", RESOURCE, "deny"] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    scene.world.pass(5);
    assert_eq!(error(scene.poll(&client, device)), (400, "authorization_pending".to_owned()));
    let began = scene.answer(&page, "allow");
    let done = scene.browse(scene.come_back(&began));
    assert_eq!((done.status, scene.reason().as_str()), (200, "device_approved"), "{}", done.body);
    scene.world.pass(300);
    let (status, tokens) = scene.poll(&client, device);
    assert_eq!(status, 200, "{tokens}");
    assert_eq!((text(&tokens, "scope"), scene.use_it(&tokens)), ("files:write mcp:tools", 200));
    assert_eq!(claims_of(&tokens)["sub"], "ada");
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 200);
    // It is good once.
    assert_eq!(error(scene.poll(&client, device)), (400, "expired_token".to_owned()));
    assert_eq!(scene.enter(user).status, 400);
    // The user sees it, and can end it.
    assert!(scene.browse(Request::get("/grants")).body.contains("A &lt;TV&gt;"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_device_that_asks_too_often_has_to_wait_longer() {
    let scene = scene();
    let client = scene.device_client();
    let asked = scene.ask_for_device(&client, &[]).json();
    let device = text(&asked, "device_code");
    assert_eq!(error(scene.poll(&client, device)).1, "authorization_pending");
    scene.world.pass(4);
    assert_eq!(error(scene.poll(&client, device)).1, "slow_down");
    scene.world.pass(9);
    assert_eq!(error(scene.poll(&client, device)).1, "slow_down", "10 seconds now");
    scene.world.pass(15);
    assert_eq!(error(scene.poll(&client, device)).1, "authorization_pending");
    scene.world.pass(600);
    assert_eq!(error(scene.poll(&client, device)), (400, "expired_token".to_owned()));
    assert_eq!(scene.enter(text(&asked, "user_code")).status, 400);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_user_who_denies_or_may_not_gives_no_access() {
    let scene = scene();
    let client = scene.device_client();
    let asked = scene.ask_for_device(&client, &[]).json();
    let (device, user) = (text(&asked, "device_code"), text(&asked, "user_code"));
    let page = scene.enter(user);
    assert_eq!(scene.answer(&page, "deny").status, 200);
    assert_eq!(error(scene.poll(&client, device)), (400, "access_denied".to_owned()));
    // The page was opened before: it cannot approve any more.
    let began = scene.answer(&page, "allow");
    let late = scene.browse(scene.come_back(&began));
    assert_eq!((late.status, scene.reason().as_str()), (400, "device_gone"), "{}", late.body);
    assert!(!scene.browse(Request::get("/grants")).body.contains("A &lt;TV&gt;"), "no grant is left");
    // The provider refuses the user: the device goes on to wait for one who may.
    let asked = scene.ask_for_device(&client, &[]).json();
    let began = scene.answer(&scene.enter(text(&asked, "user_code")), "allow");
    let state = answered(&began).get("state").expect("a state").to_owned();
    let refused = scene.browse(callback(&state, &[("error", "access_denied"), ("iss", ISSUER)]));
    assert!(refused.status >= 400 && refused.fields.get("location").is_none(), "{}", refused.body);
    scene.world.pass(5);
    assert_eq!(error(scene.poll(&client, text(&asked, "device_code"))).1, "authorization_pending");
}

/// A user who allowed sees that it was phishing, and goes back to deny.
#[wasm_bindgen_test(unsupported = test)]
fn denying_after_allowing_ends_the_access_or_says_that_it_does_not() {
    let scene = scene();
    let client = scene.device_client();
    let asked = scene.ask_for_device(&client, &[]).json();
    let device = text(&asked, "device_code");
    let page = scene.enter(text(&asked, "user_code"));
    let began = scene.answer(&page, "allow");
    assert_eq!(scene.browse(scene.come_back(&began)).status, 200);
    let denied = scene.answer(&page, "deny");
    assert!(denied.status == 200 && denied.body.contains("The device gets no access"), "{}", denied.body);
    assert_eq!(error(scene.poll(&client, device)), (400, "access_denied".to_owned()));
    assert!(!scene.browse(Request::get("/grants")).body.contains("A &lt;TV&gt;"), "no grant is left");

    let asked = scene.ask_for_device(&client, &[]).json();
    let page = scene.enter(text(&asked, "user_code"));
    let began = scene.answer(&page, "allow");
    scene.browse(scene.come_back(&began));
    assert_eq!(scene.poll(&client, text(&asked, "device_code")).0, 200);
    let late = scene.answer(&page, "deny");
    assert_eq!((late.status, scene.reason().as_str()), (409, "device_gone"), "{}", late.body);
    assert!(late.body.contains("href=\"https://gate.example/grants\""), "{}", late.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_that_is_refused_does_not_use_up_the_device_code() {
    let scene = scene();
    let (client, other) = (scene.device_client(), scene.device_client());
    let asked = scene.ask_for_device(&client, &[("scope", "mcp:tools")]).json();
    let device = text(&asked, "device_code");
    assert_eq!(error(scene.poll(&other, device)), (400, "invalid_grant".to_owned()), "it learns nothing");
    let began = scene.answer(&scene.enter(text(&asked, "user_code")), "allow");
    scene.browse(scene.come_back(&began));
    let with = |name, value| {
        let form = [("grant_type", DEVICE_CODE), ("client_id", &*client), ("device_code", device), (name, value)];
        let reply = scene.token(&form);
        error((reply.status, reply.json()))
    };
    assert_eq!(error(scene.poll(&other, device)), (400, "invalid_grant".to_owned()));
    assert_eq!(with("resource", "https://other.example/mcp"), (400, "invalid_target".to_owned()));
    assert_eq!(with("scope", "files:write"), (400, "invalid_scope".to_owned()));
    scene.world.records_down(true);
    assert_eq!(scene.poll(&client, device).0, 503);
    scene.world.records_down(false);
    assert_eq!(scene.poll(&client, device).0, 200);
    assert_eq!(error(scene.poll(&client, device)), (400, "expired_token".to_owned()));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_user_who_decides_late_neither_loses_a_grant_nor_decides_in_vain() {
    let scene = scene();
    let client = scene.device_client();
    // In the last seconds.
    let asked = scene.ask_for_device(&client, &[]).json();
    let page = scene.enter(text(&asked, "user_code"));
    scene.world.pass(597);
    let page = if page.status == 200 { scene.answer(&page, "allow") } else { page };
    assert_eq!(scene.browse(scene.come_back(&page)).status, 200);
    scene.world.pass(30);
    assert_eq!(scene.poll(&client, text(&asked, "device_code")).0, 200);
    // A grant that nothing waits for displaces no other.
    let limit = 10;
    for _ in 0..limit {
        let (other, _) = scene.logged_in();
        assert!(!other.is_empty());
    }
    let asked = scene.ask_for_device(&client, &[]).json();
    let page = scene.enter(text(&asked, "user_code"));
    scene.answer(&page, "deny");
    let count = || scene.browse(Request::get("/grants")).body.matches("name=\"grant\"").count();
    let before = count();
    let began = scene.answer(&page, "allow");
    assert_eq!(scene.browse(scene.come_back(&began)).status, 400);
    assert_eq!(count(), before);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_device_asks_for_a_sign_in_as_other_clients_do() {
    let scene = scene();
    let client = scene.device_client();
    for (name, value) in [("max_age", "soon"), ("acr_values", "\"")] {
        let refused = scene.ask_for_device(&client, &[(name, value)]);
        assert_eq!((refused.status, text(&refused.json(), "error")), (400, "invalid_request"), "{name}");
    }
    let asked = scene.ask_for_device(&client, &[("max_age", "0"), ("acr_values", "gold")]).json();
    let began = scene.answer(&scene.enter(text(&asked, "user_code")), "allow");
    let url = onward(&began);
    let query = Parameters::parse(url.split_once('?').expect("a query").1).expect("a form");
    assert_eq!((query.get("max_age"), query.get("acr_values")), (Some("0"), Some("gold")), "{url}");
    let refused = scene.browse(scene.come_back(&began));
    assert!(refused.status >= 400, "the provider proves neither: {}", refused.body);
    scene.world.pass(5);
    assert_eq!(error(scene.poll(&client, text(&asked, "device_code"))).1, "authorization_pending");
}

/// The page says from where a device asks: no page of another site may ask from the network of its visitor.
#[wasm_bindgen_test(unsupported = test)]
fn pages_of_other_sites_cannot_ask_for_a_device() {
    let scene = scene();
    let client = scene.device_client();
    let request = post("/device_authorization", &[("client_id", &client)]).field("origin", "https://evil.example");
    let reply = scene.call(request);
    assert_eq!(reply.fields.get("access-control-allow-origin"), None);
    // Requests of clients that do not exist do not count against those that do.
    let statuses: Vec<u16> = (0..40).map(|_| scene.ask_for_device("pc-unknown", &[]).status).collect();
    assert!(!statuses.contains(&429), "{statuses:?}");
    assert_eq!(scene.ask_for_device(&client, &[]).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_user_of_a_device_chooses_where_to_sign_in_and_goes_on() {
    let others = json!([{ "name": "partner", "login": {
        "issuer": "https://partner.example", "client_id": "gate", "secret": "IDP", "anyone": true,
        "email_domains": ["partner.example"],
    } }]);
    let scene = Scene::with(json!({ "device_authorization": true, "other_logins": others }), json!({}));
    let client = scene.device_client();
    let user = text(&scene.ask_for_device(&client, &[]).json(), "user_code").to_owned();
    let choice = scene.enter(&user);
    assert_eq!((choice.status, scene.reason().as_str()), (200, "login_choice"));
    assert!(choice.body.contains("<form method=\"post\" action=\"https://gate.example/device\">"), "{}", choice.body);
    assert!(choice.body.contains("name=\"domain_hint\" value=\"partner\""), "{}", choice.body);
    for hint in [("domain_hint", "partner"), ("login_hint", "eve@partner.example")] {
        let form = [("user_code", &*user), hint];
        let page = scene.browse(post("/device", &form).field("origin", PUBLIC));
        assert_eq!((page.status, scene.reason().as_str()), (200, "device_asked"), "{hint:?}: {}", page.body);
        assert!(page.body.contains("partner.example"), "{}", page.body);
    }
    // The link with the code keeps what the client knows of its user.
    let form = scene.browse(Request::get(&format!("/device?user_code={user}&login_hint=eve%40partner.example")));
    assert!(form.body.contains("name=\"login_hint\" value=\"eve@partner.example\""), "{}", form.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_of_clients_for_devices() {
    let with = |on: bool, grants: Value| {
        let client = json!({
            "client_id": "tv", "client_name": "TV", "token_endpoint_auth_method": "none", "grant_types": grants,
        });
        open_with(document(json!({ "device_authorization": on, "clients": [client] }), json!({})), &secrets())
    };
    assert!(with(true, json!([DEVICE_CODE, "refresh_token"])).is_ok());
    let found = with(false, json!([DEVICE_CODE])).expect_err("wrong").to_string();
    assert!(found.contains("clients[0].grant_types: ") && found.contains("needs device_authorization"), "{found}");
    let found = with(true, json!(["refresh_token"])).expect_err("wrong").to_string();
    assert!(found.contains("refresh_token needs authorization_code or device_code"), "{found}");
    let found = with(true, json!(["device_code"])).expect_err("wrong").to_string();
    assert!(found.contains(DEVICE_CODE), "{found}");
}

#[wasm_bindgen_test(unsupported = test)]
fn codes_are_for_one_client_and_cannot_be_made_up() {
    let scene = scene();
    let (client, other) = (scene.device_client(), scene.device_client());
    let asked = scene.ask_for_device(&client, &[]).json();
    let device = text(&asked, "device_code");
    for made_up in ["x", "", &device[1..], &format!("{device}A")] {
        let answer = error(scene.poll(&client, made_up));
        assert!(answer.0 == 400 && ["invalid_grant", "invalid_request"].contains(&answer.1.as_str()), "{answer:?}");
    }
    let began = scene.answer(&scene.enter(text(&asked, "user_code")), "allow");
    scene.browse(scene.come_back(&began));
    scene.world.pass(5);
    assert_eq!(error(scene.poll(&other, device)), (400, "invalid_grant".to_owned()));
    // Codes are guessed in vain, and not for long.
    let guesser = scene.other_browser();
    let statuses: Vec<u16> = (0..40).map(|_| guesser.enter("BCDF-GHJK").status).collect();
    assert!(statuses.contains(&400) && statuses.ends_with(&[429]), "{statuses:?}");
    // Another site sends no code.
    let foreign = post("/device", &[("user_code", "BCDF-GHJK")]).field("origin", "https://evil.example");
    assert_eq!(scene.browse(foreign).status, 403);
    scene.world.pass(60);
    for code in ["", "short", "BCDFGHJKL", "AEIO-UAEI", "<script>", &"B".repeat(100)] {
        let page = scene.enter(code);
        assert!(page.status == 400 && !page.body.contains("<script>"), "{code}: {}", page.body);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn only_where_it_is_configured_and_for_clients_that_may() {
    let scene = scene();
    let without = scene.client(LOOPBACK);
    let refused = scene.ask_for_device(&without, &[]);
    assert_eq!((refused.status, text(&refused.json(), "error")), (400, "unauthorized_client"));
    let client = scene.device_client();
    for (more, error) in
        [(("resource", "https://other.example/mcp"), "invalid_target"), (("scope", "nonsense"), "invalid_scope")]
    {
        let refused = scene.ask_for_device(&client, &[more]);
        assert_eq!((refused.status, text(&refused.json(), "error")), (400, error));
    }
    let statuses: Vec<u16> = (0..40).map(|_| scene.ask_for_device(&client, &[]).status).collect();
    assert!(statuses.starts_with(&[200]) && statuses.ends_with(&[429]), "{statuses:?}");
    let off = Scene::new();
    assert_eq!(off.call(Request::get("/device")).status, 404);
    assert_eq!(off.call(post("/device_authorization", &[("client_id", "x")])).status, 404);
    let metadata = off.call(Request::get("/.well-known/oauth-authorization-server")).json();
    assert_eq!(metadata["device_authorization_endpoint"], Value::Null);
    let reply = off.register(json!({
        "redirect_uris": [LOOPBACK], "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", DEVICE_CODE],
    }));
    assert_eq!(reply.json()["grant_types"], json!(["authorization_code"]));
}
