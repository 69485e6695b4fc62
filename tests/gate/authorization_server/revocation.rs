//! What the gateway revoked is refused by every isolate, within the configured seconds.

use portcullis::token::revocation::index::Revocable;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

impl Scene {
    /// The reason for which an access token is refused; empty if it is accepted.
    fn refusal(&self, tokens: &Value) -> String {
        match self.use_it(tokens) {
            200 => String::new(),
            401 | 503 => self.reason(),
            status => panic!("{status}"),
        }
    }

    fn revoke(&self, client: &str, tokens: &Value) {
        let reply = self.call(post("/revoke", &[("client_id", client), ("token", text(tokens, "refresh_token"))]));
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_revoked_grant_is_refused_by_every_isolate_within_the_configured_seconds() {
    let scene = Scene::new();
    let (client, tokens) = scene.logged_in();
    let (_, others) = scene.logged_in();
    let isolates = [scene.other_browser(), scene.other_isolate(json!({})), scene.other_isolate(json!({}))];
    for isolate in &isolates {
        assert_eq!((isolate.refusal(&tokens), isolate.refusal(&others)), (String::new(), String::new()));
    }
    scene.world.pass(1);
    scene.revoke(&client, &tokens);
    scene.world.pass(4);
    for isolate in &isolates {
        assert_eq!(isolate.refusal(&tokens), "token_revoked");
        assert_eq!(isolate.refusal(&others), "", "other grants go on");
    }
    let challenge = scene.call(Request::post("/mcp").bearer(text(&tokens, "access_token")));
    assert!(challenge.field("www-authenticate").contains("invalid_token"), "{}", challenge.field("www-authenticate"));
    // An isolate that starts after it does not know better.
    assert_eq!(scene.other_isolate(json!({})).refusal(&tokens), "token_revoked");
}

#[wasm_bindgen_test(unsupported = test)]
fn the_index_is_read_in_the_background_and_seldom() {
    let scene = Scene::new();
    let (client, tokens) = scene.logged_in();
    scene.world.record_questions();
    let count = |name: &str| scene.world.record_questions().iter().filter(|asked| *asked == name).count();
    assert_eq!(scene.refusal(&tokens), "");
    assert_eq!(count("revocation/index"), 1, "the first request needs it");
    for _ in 0..10 {
        assert_eq!(scene.refusal(&tokens), "");
    }
    scene.world.run_background();
    assert!(scene.world.record_questions().is_empty());
    scene.world.pass(3);
    for _ in 0..10 {
        assert_eq!(scene.refusal(&tokens), "");
    }
    assert!(scene.world.record_questions().is_empty(), "no request waits");
    scene.world.run_background();
    assert_eq!(scene.world.record_questions(), ["revocation/index"], "one request read it for all");
    scene.revoke(&client, &tokens);
    scene.world.pass(2);
    assert_eq!(scene.refusal(&tokens), "", "at most as old as configured");
    scene.world.run_background();
    assert_eq!(scene.refusal(&tokens), "token_revoked", "and then it is known");
}

#[wasm_bindgen_test(unsupported = test)]
fn without_the_index_own_tokens_are_refused_and_others_are_not_asked_about() {
    let scene = Scene::new();
    let (_, tokens) = scene.logged_in();
    scene.world.record_down("revocation/index", true);
    assert_eq!(scene.refusal(&tokens), "revocations_unavailable");
    scene.world.record_down("revocation/index", false);
    assert_eq!(scene.refusal(&tokens), "revocations_unavailable", "not asked again at once");
    scene.world.pass(2);
    assert_eq!(scene.refusal(&tokens), "");
    scene.world.record_down("revocation/index", true);
    scene.world.pass(4);
    assert_eq!(scene.refusal(&tokens), "", "the copy is new enough");
    scene.world.run_background();
    scene.world.pass(3);
    assert_eq!(scene.refusal(&tokens), "revocations_unavailable");
    let line = scene.world.lines().into_iter().find(|line| line["reason"] == "revocations_unavailable");
    assert!(text(&line.expect("a line"), "detail").contains("AUTHORIZATION"));
}

#[wasm_bindgen_test(unsupported = test)]
fn with_zero_seconds_each_request_asks_the_record_of_its_grant() {
    let exact = || json!({ "revocation_seconds": 0 });
    let scene = Scene::with(exact(), json!({}));
    let (client, tokens) = scene.logged_in();
    let other = scene.other_isolate(exact());
    for isolate in [&scene, &other] {
        scene.world.record_questions();
        assert_eq!((isolate.refusal(&tokens), isolate.refusal(&tokens)), (String::new(), String::new()));
        let asked = scene.world.record_questions();
        assert_eq!(asked.iter().filter(|name| name.starts_with("grant/")).count(), 2, "{asked:?}");
        assert!(!asked.iter().any(|name| name == "revocation/index"));
    }
    scene.revoke(&client, &tokens);
    for isolate in [&scene, &other] {
        assert_eq!(isolate.refusal(&tokens), "token_revoked");
    }
    let (_, again) = scene.logged_in();
    assert_eq!(other.refusal(&again), "");
    scene.world.records_down(true);
    assert_eq!(other.refusal(&again), "revocations_unavailable");
}

/// The bucket of the grant of a token.
fn bucket_of(tokens: &Value) -> u16 {
    let claims = claims_of(tokens);
    let (grant, _) = text(&claims, "jti").split_once('.').expect("a grant");
    Revocable::Grant(grant.to_owned()).bucket()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_grant_that_shares_a_bucket_with_a_revoked_one_goes_on_and_is_asked_about_once() {
    let scene = Scene::new();
    let (client, tokens) = scene.logged_in();
    // Another grant of the same bucket was revoked, now.
    let bucket = bucket_of(&tokens).to_string();
    let revoked = json!({ "at": NOON, "version": NOON * 1000, "until": NOON + 630 });
    let index = json!({ "version": NOON * 1000, "buckets": { bucket: revoked } });
    scene.world.store_record("revocation/index", 1, &index.to_string());
    let asked = || scene.world.record_questions().iter().filter(|name| name.starts_with("grant/")).count();
    asked();
    assert_eq!((scene.refusal(&tokens), scene.refusal(&tokens)), (String::new(), String::new()));
    assert_eq!(asked(), 2, "the revocation may still be on its way into the record");
    scene.world.pass(31);
    assert_eq!((scene.refusal(&tokens), scene.refusal(&tokens)), (String::new(), String::new()));
    assert_eq!(asked(), 1, "what the record said is remembered");
    let fresh = scene.refresh(&client, text(&tokens, "refresh_token")).json();
    asked();
    assert_eq!(scene.refusal(&fresh), "");
    assert_eq!(asked(), 0, "it was issued after the revocation");
    // What was remembered is about that revocation alone.
    scene.revoke(&client, &fresh);
    scene.world.pass(5);
    assert_eq!((scene.refusal(&tokens).as_str(), scene.refusal(&fresh).as_str()), ("token_revoked", "token_revoked"));
}

#[wasm_bindgen_test(unsupported = test)]
fn clocks_that_differ_by_seconds_let_no_revoked_token_through() {
    let scene = Scene::new();
    scene.world.pass(5);
    let (client, tokens) = scene.logged_in();
    // The clock of the index is behind that of the isolate that issued the token.
    scene.world.back(5);
    scene.revoke(&client, &tokens);
    scene.world.pass(5);
    assert_eq!(scene.refusal(&tokens), "token_revoked");
}

#[wasm_bindgen_test(unsupported = test)]
fn all_ways_to_end_access_reach_the_gate() {
    let scene = Scene::new();
    // A refresh token that is used twice is stolen.
    let (client, tokens) = scene.logged_in();
    let first = scene.refresh(&client, text(&tokens, "refresh_token"));
    assert_eq!(first.status, 200);
    scene.world.pass(120);
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 400);
    assert_eq!(scene.refusal(&first.json()), "token_revoked");
    // A code that is used twice, too.
    let client = scene.client(LOOPBACK);
    let code = scene.code(&client, LOOPBACK, &[]);
    let tokens = scene.redeem(&client, &code).json();
    assert_eq!(scene.refusal(&tokens), "");
    assert_eq!(scene.redeem(&client, &code).status, 400);
    scene.world.pass(5);
    assert_eq!(scene.refusal(&tokens), "token_revoked");
    // The page of grants.
    let (client, tokens) = scene.logged_in();
    let page = scene.browse(Request::get("/grants"));
    let sealed = between(&page.body, "name=\"form\" value=\"", "\"");
    let form = [("form", sealed.as_str()), ("client", client.as_str()), ("action", "withdraw")];
    assert_eq!(scene.browse(post("/grants", &form).field("origin", PUBLIC)).status, 303);
    scene.world.pass(5);
    assert_eq!(scene.refusal(&tokens), "token_revoked");
    // An administrator.
    let (_, tokens) = scene.logged_in();
    let question = json!({ "action": "delete", "subject": "ada" }).to_string();
    let request = Request::new(Method::Post, "/admin").field("authorization", &format!("Bearer {SECRET}"));
    assert_eq!(scene.call(request.body(question.as_bytes())).status, 200);
    scene.world.pass(5);
    assert_eq!(scene.refusal(&tokens), "token_revoked");
    // A client that deletes itself ends its grants.
    let registered = scene.register(json!({
        "client_name": "Claude", "redirect_uris": [LOOPBACK], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    }));
    let (client, access) =
        (registered.json()["client_id"].clone(), registered.json()["registration_access_token"].clone());
    let (client, access) = (client.as_str().expect("an id"), access.as_str().expect("a token"));
    let tokens = scene.redeem(client, &scene.code(client, LOOPBACK, &[])).json();
    let delete = |token: &str| {
        let request = Request::new(Method::Delete, &format!("/register/{client}"));
        scene.call(request.field("authorization", &format!("Bearer {token}"))).status
    };
    scene.world.record_questions();
    assert_eq!(delete("another"), 401);
    assert!(!scene.world.record_questions().iter().any(|name| name == "revocation/index"), "only the client can");
    assert_eq!(scene.refusal(&tokens), "");
    assert_eq!(delete(access), 204);
    scene.world.pass(5);
    assert_eq!(scene.refusal(&tokens), "token_revoked");
    assert_eq!(scene.refresh(client, text(&tokens, "refresh_token")).status, 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_revocation_that_fails_in_the_middle_can_be_done_again() {
    let scene = Scene::new();
    let (client, tokens) = scene.logged_in();
    let revoke =
        || scene.call(post("/revoke", &[("client_id", &client), ("token", text(&tokens, "refresh_token"))])).status;
    scene.world.record_down("revocation/index", true);
    assert_eq!(revoke(), 503);
    scene.world.record_down("revocation/index", false);
    assert_eq!(scene.refusal(&tokens), "", "nothing has happened");
    assert_eq!(revoke(), 200);
    scene.world.pass(5);
    assert_eq!(scene.refusal(&tokens), "token_revoked");
}

/// An event stream that is open for hours was opened with a token that may be revoked meanwhile.
#[wasm_bindgen_test(unsupported = test)]
fn an_open_stream_asks_whether_its_token_is_revoked() {
    for seconds in [5, 0] {
        let scene = Scene::with(json!({ "revocation_seconds": seconds }), json!({}));
        let (client, tokens) = scene.logged_in();
        let (_, others) = scene.logged_in();
        scene.world.serve_by(|_| Some((200, "text/event-stream", String::new())));
        assert_eq!((scene.use_it(&tokens), scene.use_it(&others)), (200, 200));
        assert_eq!(scene.world.streams_may_go_on(), [true, true]);
        scene.world.pass(60);
        assert_eq!(scene.world.streams_may_go_on(), [true, true]);
        let form = [("client_id", client.as_str()), ("token", text(&tokens, "refresh_token"))];
        assert_eq!(scene.call(post("/revoke", &form)).status, 200);
        scene.world.pass(6);
        assert_eq!(scene.world.streams_may_go_on(), [false, true], "{seconds}");
        // While the records do not answer, a stream goes on for a minute.
        scene.world.pass(60);
        scene.world.records_down(true);
        assert_eq!(scene.world.streams_may_go_on()[1..], [true]);
        scene.world.pass(30);
        assert_eq!(scene.world.streams_may_go_on()[1..], [true]);
        scene.world.pass(31);
        assert_eq!(scene.world.streams_may_go_on()[1..], [false], "{seconds}");
        scene.world.records_down(false);
        scene.world.pass(10);
        assert_eq!(scene.world.streams_may_go_on()[1..], [true]);
    }
}
