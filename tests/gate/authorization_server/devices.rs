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
