//! Signals of an identity provider: what it says about its users takes effect on grants, tokens, sign-ins and logins.

use portcullis::gateway::run_schedule;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::support::world::block_on;

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn server() -> Value {
    json!({
        "trusted_issuers": [{ "name": "idp", "issuer": ISSUER, "signals": { "secret": "ADMIN" } }],
        "token_claims": ["groups"],
    })
}

fn scene() -> Scene {
    Scene::with(server(), json!({ "recheck_minutes": 60 }))
}

impl Scene {
    fn set_with(&self, changes: &Value) -> String {
        let now = self.world.time().seconds();
        let mut header = json!({ "alg": "EdDSA", "kid": "ed25519", "typ": "secevent+jwt" });
        let mut claims = json!({
            "iss": ISSUER, "aud": format!("{PUBLIC}/signals/idp"), "iat": now, "jti": format!("{now}{changes}"),
        });
        for (name, value) in changes.as_object().expect("a table") {
            let place = if name == "typ" || name == "kid" { &mut header } else { &mut claims };
            match value {
                Value::Null => drop(place.as_object_mut().expect("a table").remove(name)),
                value => place[name] = value.clone(),
            }
        }
        token_with_header(&header.to_string(), &claims.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa)
    }

    fn push(&self, set: &str) -> Reply {
        let request = Request::new(Method::Post, "/signals/idp").field("content-type", "application/secevent+jwt");
        self.call(request.field("authorization", SECRET).body(set.as_bytes()))
    }

    /// Sends one event about a subject.
    fn signal(&self, kind: &str, subject: &Value, more: &Value) -> u16 {
        let mut event = more.clone();
        event["subject"] = subject.clone();
        self.push(&self.set_with(&json!({ "events": { kind: event } }))).status
    }

    /// Whether a client can use its access token, and whether it can refresh.
    fn access(&self, client: &str, tokens: &Value) -> (bool, bool) {
        let used = self.use_it(tokens) == 200;
        (used, self.refresh(client, text(tokens, "refresh_token")).status == 200)
    }
}

fn ada() -> Value {
    json!({ "format": "iss_sub", "iss": ISSUER, "sub": "ada" })
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_that_is_revoked_ends_grants_tokens_and_sign_ins() {
    for (kind, subject, more) in [
        (format!("{CAEP}session-revoked"), ada(), json!({})),
        (
            format!("{CAEP}session-revoked"),
            json!({ "user": ada(), "device": { "format": "opaque", "id": "x" } }),
            json!({}),
        ),
        (format!("{CAEP}session-revoked"), json!({ "format": "complex", "user": ada() }), json!({})),
        (
            format!("{CAEP}session-revoked"),
            json!({ "subject_type": "iss-sub", "iss": ISSUER, "sub": "ada" }),
            json!({}),
        ),
        (format!("{CAEP}session-revoked"), json!({ "format": "email", "email": "Ada@acme.example" }), json!({})),
        (format!("{CAEP}session-revoked"), json!({ "format": "opaque", "id": "ada" }), json!({})),
        (
            format!("{CAEP}session-revoked"),
            json!({ "format": "aliases", "identifiers": [{ "format": "phone_number", "phone_number": "+1" }, ada()] }),
            json!({}),
        ),
        (format!("{CAEP}credential-change"), ada(), json!({ "change_type": "revoke", "credential_type": "password" })),
        (format!("{RISC}account-disabled"), ada(), json!({ "reason": "hijacking" })),
        (format!("{RISC}sessions-revoked"), ada(), json!({})),
        (format!("{RISC}account-purged"), ada(), json!({})),
        ("https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked".to_owned(), ada(), json!({})),
    ] {
        let scene = scene();
        let (client, tokens) = scene.logged_in();
        *scene.user.borrow_mut() = json!({ "sub": "ben", "email": "ben@acme.example", "email_verified": true });
        let other = scene.other_browser();
        let (others_client, others) = other.logged_in();
        scene.world.pass(60);
        assert_eq!(scene.browse(Request::get("/grants")).status, 200);
        assert_eq!(scene.signal(&kind, &subject, &more), 202, "{kind}");
        scene.world.pass(5);
        assert_eq!(scene.access(&client, &tokens), (false, false), "{kind} {subject}");
        assert_eq!(scene.browse(Request::get("/grants")).status, 302, "the sign-in has ended");
        assert_eq!(other.access(&others_client, &others), (true, true), "another user's access goes on");
        let line = scene.world.lines().into_iter().find(|line| line["reason"] == "signal_received").expect("a line");
        assert!(!text(&line, "detail").contains("ada"), "{line}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn events_that_take_nothing_away_change_nothing() {
    for (kind, more) in [
        (format!("{CAEP}credential-change"), json!({ "change_type": "create", "credential_type": "fido2-roaming" })),
        (format!("{CAEP}assurance-level-change"), json!({ "change_direction": "increase" })),
        (format!("{CAEP}device-compliance-change"), json!({ "current_status": "compliant" })),
        (format!("{CAEP}risk-level-change"), json!({ "current_level": "LOW" })),
        (format!("{CAEP}session-established"), json!({})),
        (format!("{RISC}account-enabled"), json!({})),
        (format!("{RISC}recovery-activated"), json!({})),
        ("https://schemas.openid.net/secevent/ssf/event-type/verification".to_owned(), json!({ "state": "x" })),
        ("https://example.com/unknown".to_owned(), json!({})),
    ] {
        let scene = scene();
        let (client, tokens) = scene.logged_in();
        assert_eq!(scene.signal(&kind, &ada(), &more), 202, "{kind}");
        scene.world.pass(5);
        assert_eq!(scene.access(&client, &tokens), (true, true), "{kind}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_that_change_have_the_provider_asked_at_the_next_refresh() {
    let scene = scene();
    let (client, tokens) = scene.logged_in();
    let asked = || scene.world.asked().iter().filter(|asked| asked.body.contains("grant_type=refresh_token")).count();
    scene.world.pass(60);
    assert_eq!(
        scene.signal(&format!("{CAEP}token-claims-change"), &ada(), &json!({ "claims": { "groups": [] } })),
        202
    );
    scene.world.pass(6);
    assert_eq!(scene.use_it(&tokens), 401, "the token says what was");
    let (world, user) = (scene.world.clone(), json!({ "sub": "ada", "groups": ["readers"] }));
    scene.world.answer_by(move |_, _| {
        let now = world.time().seconds();
        let mut claims = user.clone();
        for (name, value) in
            [("iss", json!(ISSUER)), ("aud", json!("gate")), ("iat", json!(now)), ("exp", json!(now + 60))]
        {
            claims[name] = value;
        }
        let header = json!({ "alg": "EdDSA", "kid": "ed25519" }).to_string();
        let id_token = token_with_header(&header, &claims.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa);
        (200, json!({ "access_token": "a", "id_token": id_token }).to_string())
    });
    let reply = scene.refresh(&client, text(&tokens, "refresh_token"));
    assert_eq!((reply.status, asked()), (200, 1), "{}", reply.body);
    assert_eq!(claims_of(&reply.json())["groups"], json!(["readers"]));
    assert_eq!(scene.use_it(&reply.json()), 200);
    // Where the provider cannot be asked, the grant ends.
    let scene = Scene::with(server(), json!({ "recheck_minutes": 0 }));
    let (client, tokens) = scene.logged_in();
    assert_eq!(scene.signal(&format!("{CAEP}token-claims-change"), &ada(), &json!({})), 202);
    scene.world.pass(5);
    assert_eq!(scene.access(&client, &tokens), (false, false));
}

#[wasm_bindgen_test(unsupported = test)]
fn signals_out_of_order_repeated_or_late_end_nothing_that_began_after_them() {
    let scene = scene();
    let (client, tokens) = scene.logged_in();
    scene.world.pass(100);
    let revoked = format!("{CAEP}session-revoked");
    let event = json!({ "events": { &revoked: { "subject": ada(), "event_timestamp": NOON + 100 } } });
    let set = scene.set_with(&event);
    assert_eq!(scene.push(&set).status, 202);
    scene.world.pass(10);
    assert_eq!(scene.access(&client, &tokens), (false, false));
    let (client, tokens) = scene.logged_in();
    scene.world.pass(5);
    for set in [
        set.clone(),
        set,
        scene.set_with(&json!({ "events": { &revoked: { "subject": ada(), "event_timestamp": NOON + 50 } } })),
        // The drafts of CAEP had milliseconds.
        scene.set_with(&json!({ "events": { &revoked: { "subject": ada(), "event_timestamp": (NOON + 60) * 1000 } } })),
        scene.set_with(&json!({ "toe": NOON + 70, "events": { &revoked: { "subject": ada() } } })),
    ] {
        assert_eq!(scene.push(&set).status, 202, "the transmitter has to have an answer");
        scene.world.pass(5);
        assert_eq!(scene.use_it(&tokens), 200);
    }
    assert_eq!(scene.browse(Request::get("/grants")).status, 200, "nor the sign-in");
    // An event of the future has happened by now.
    let future = json!({ "events": { &revoked: { "subject": ada(), "event_timestamp": NOON + 9_999_999 } } });
    assert_eq!(scene.push(&scene.set_with(&future)).status, 202);
    scene.world.pass(10);
    assert_eq!(scene.access(&client, &tokens), (false, false));
    let (client, tokens) = scene.logged_in();
    scene.world.pass(5);
    assert_eq!(scene.access(&client, &tokens), (true, true), "and not in the future");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_disabled_account_stays_out_until_it_is_enabled_whatever_the_order() {
    let scene = scene();
    let (client, _) = scene.logged_in();
    let at = |kind: &str, second: u64| {
        scene.world.pass(1);
        let event = json!({ "subject": ada(), "event_timestamp": second });
        assert_eq!(scene.push(&scene.set_with(&json!({ "events": { format!("{RISC}{kind}"): event } }))).status, 202);
    };
    let logs_in = || {
        scene.world.pass(60);
        let browser = scene.other_browser();
        let begun = browser.answer(&browser.authorize(&client, LOOPBACK, &[]), "allow");
        code_of(&browser.browse(browser.come_back(&begun))).is_some()
    };
    at("account-disabled", NOON + 10);
    assert!(!logs_in(), "also with a login that begins now");
    at("account-enabled", NOON + 20);
    assert!(logs_in());
    at("account-disabled", NOON + 15);
    assert!(logs_in(), "it was enabled after that");
    at("account-disabled", NOON + 30);
    at("account-enabled", NOON + 25);
    assert!(!logs_in(), "it was disabled after that");
    let pages = scene.other_browser();
    let begun = pages.browse(Request::get("/grants"));
    assert_eq!(pages.browse(pages.come_back(&begun)).status, 403);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_signal_in_the_middle_of_a_login_ends_it() {
    let scene = scene();
    let client = scene.client(LOOPBACK);
    let begun = scene.answer(&scene.authorize(&client, LOOPBACK, &[]), "allow");
    let back = scene.come_back(&begun);
    scene.world.pass(20);
    // The user has never been here, and yet the gateway remembers it.
    assert_eq!(scene.signal(&format!("{CAEP}session-revoked"), &ada(), &json!({})), 202);
    let answer = scene.browse(back);
    assert_eq!(answered(&answer).get("error"), Some("access_denied"), "{}", answer.field("location"));
    scene.world.pass(6);
    scene.logged_in();
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_set_of_the_transmitter_is_refused_with_the_code_of_rfc_8935() {
    let scene = scene();
    let (client, tokens) = scene.logged_in();
    let revoked = format!("{CAEP}session-revoked");
    let events = json!({ &revoked: { "subject": ada() } });
    let with = |name: &str, value: Value| {
        let mut changes = json!({ "events": events });
        changes[name] = value;
        scene.set_with(&changes)
    };
    let good = scene.set_with(&json!({ "events": events }));
    let err = |reply: &Reply| (reply.status, text(&reply.json(), "err").to_owned());
    for (set, code) in [
        (with("typ", json!("jwt")), "invalid_request"),
        (with("typ", json!("at+jwt")), "invalid_request"),
        (with("typ", Value::Null), "invalid_request"),
        (with("kid", json!("unknown")), "invalid_key"),
        (with("iss", json!("https://evil.example")), "invalid_issuer"),
        (with("aud", json!("https://other.example")), "invalid_audience"),
        (with("aud", Value::Null), "invalid_audience"),
        (with("jti", Value::Null), "invalid_request"),
        (with("iat", Value::Null), "invalid_request"),
        (with("iat", json!(NOON + 31)), "invalid_request"),
        (with("events", json!({})), "invalid_request"),
        (with("events", json!([])), "invalid_request"),
        (with("events", Value::Null), "invalid_request"),
        (with("events", json!({ &revoked: "x" })), "invalid_request"),
        ("nonsense".to_owned(), "invalid_request"),
        (String::new(), "invalid_request"),
    ] {
        assert_eq!(err(&scene.push(&set)), (400, code.to_owned()), "{set}");
    }
    let (head, _) = good.rsplit_once('.').expect("a JWT");
    assert_eq!(err(&scene.push(&format!("{head}.{}", "A".repeat(86)))), (400, "invalid_key".to_owned()));
    let send = |path: &str, authorization: Option<&str>, kind: &str| {
        let request = Request::new(Method::Post, path).field("content-type", kind).body(good.as_bytes());
        scene.call(authorization.into_iter().fold(request, |request, value| request.field("authorization", value)))
    };
    let set = "application/secevent+jwt";
    let bearer = format!("Bearer {SECRET}");
    for (path, authorization, kind, status) in [
        ("/signals/idp", None, set, 401),
        ("/signals/idp", Some("wrong"), set, 401),
        ("/signals/idp", Some(bearer.as_str()), "application/json", 400),
        ("/signals/other", Some(bearer.as_str()), set, 404),
        ("/signals/", Some(bearer.as_str()), set, 404),
    ] {
        assert_eq!(send(path, authorization, kind).status, status, "{path} {authorization:?} {kind}");
    }
    assert_eq!(scene.call(Request::get("/signals/idp")).status, 405);
    scene.world.pass(5);
    assert_eq!(scene.access(&client, &tokens), (true, true), "none of these did anything");
    assert_eq!(send("/signals/idp", Some(&bearer), set).status, 202);
    // A transmitter speaks of its own users alone.
    for subject in [
        json!({ "format": "iss_sub", "iss": "https://other.example", "sub": "ada" }),
        json!({ "format": "iss_sub", "iss": ISSUER, "sub": "stranger" }),
        json!({ "format": "did", "url": "did:example:ada" }),
        json!({}),
        json!("ada"),
    ] {
        scene.world.pass(10);
        let (client, tokens) = scene.logged_in();
        scene.world.pass(10);
        assert_eq!(scene.signal(&revoked, &subject, &json!({})), 202, "{subject}");
        scene.world.pass(5);
        assert_eq!(scene.access(&client, &tokens), (true, true), "{subject}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_signal_that_cannot_be_applied_is_not_acknowledged() {
    let scene = scene();
    let (client, tokens) = scene.logged_in();
    scene.world.pass(60);
    let revoked = format!("{CAEP}session-revoked");
    for down in ["revocation/index".to_owned(), format!("grant/{}", grant_of(&tokens))] {
        scene.world.record_down(&down, true);
        assert_eq!(scene.signal(&revoked, &ada(), &json!({})), 503, "{down}");
        scene.world.record_down(&down, false);
    }
    assert_eq!(scene.signal(&revoked, &ada(), &json!({})), 202, "the transmitter sends it again");
    scene.world.pass(5);
    assert_eq!(scene.access(&client, &tokens), (false, false));
}

fn grant_of(tokens: &Value) -> String {
    text(&claims_of(tokens), "jti").split_once('.').expect("a grant").0.to_owned()
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_of_another_issuer_that_are_older_than_a_signal_are_refused() {
    let mut server = server();
    server["trusted_issuers"][0]["signals"]["issuers"] = json!(["direct"]);
    let mut document = document(server, json!({}));
    document["issuers"] = json!([{ "name": "direct", "issuer": ISSUER }]);
    document["resources"][0]["issuers"] = json!(["portcullis", "direct"]);
    let scene = Scene::new();
    let gateway = || open_with(document.clone(), &secrets()).expect("the document is right");
    let isolates =
        [Scene { gateway: gateway(), ..scene.other_browser() }, Scene { gateway: gateway(), ..scene.other_browser() }];
    let token = |sub: &str, iat: u64| {
        let claims = json!({
            "iss": ISSUER, "sub": sub, "aud": RESOURCE, "client_id": "c", "scope": "mcp:tools", "iat": iat, "exp": iat + 3600,
        });
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "ed25519" }).to_string();
        token_with_header(&header, &claims.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa)
    };
    scene.world.publish(&json!({ "keys": [Key::Ed25519.public_jwk()] }).to_string(), None);
    let (old, other) = (token("ada", NOON), token("ben", NOON));
    let status = |isolate: &Scene, token: &str| isolate.call(Request::post("/mcp").bearer(token)).status;
    for isolate in &isolates {
        assert_eq!((status(isolate, &old), status(isolate, &other)), (200, 200));
    }
    scene.world.pass(60);
    assert_eq!(isolates[0].signal(&format!("{CAEP}session-revoked"), &ada(), &json!({})), 202);
    scene.world.pass(5);
    let fresh = token("ada", NOON + 64);
    for isolate in &isolates {
        assert_eq!((status(isolate, &old), isolate.reason().as_str()), (401, "token_revoked"));
        assert_eq!((status(isolate, &other), status(isolate, &fresh)), (200, 200));
    }
    // A disabled account has no access with new tokens either.
    assert_eq!(isolates[0].signal(&format!("{RISC}account-disabled"), &ada(), &json!({})), 202);
    scene.world.pass(5);
    assert_eq!(status(&isolates[1], &fresh), 401);
    scene.world.pass(60);
    assert_eq!(isolates[0].signal(&format!("{RISC}account-enabled"), &ada(), &json!({})), 202);
    scene.world.pass(60);
    assert_eq!(status(&isolates[1], &token("ada", scene.world.time().seconds())), 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_logout_at_the_provider_ends_the_grants_of_that_session() {
    let scene = Scene::with(json!({}), json!({ "back_channel_logout": true }));
    scene.user.borrow_mut()["sid"] = json!("session-1");
    let (first, one) = scene.logged_in();
    scene.user.borrow_mut()["sid"] = json!("session-2");
    let (second, two) = scene.other_browser().logged_in();
    let token = |changes: &Value| {
        let now = scene.world.time().seconds();
        let mut header = json!({ "alg": "EdDSA", "kid": "ed25519", "typ": "logout+jwt" });
        let mut claims = json!({
            "iss": ISSUER, "aud": "gate", "iat": now, "exp": now + 120, "jti": "1", "events": { LOGOUT: {} },
        });
        for (name, value) in changes.as_object().expect("a table") {
            let place = if name == "typ" || name == "kid" { &mut header } else { &mut claims };
            match value {
                Value::Null => drop(place.as_object_mut().expect("a table").remove(name)),
                value => place[name] = value.clone(),
            }
        }
        token_with_header(&header.to_string(), &claims.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa)
    };
    let logout = |token: &str| scene.call(post("/backchannel-logout", &[("logout_token", token)]));
    scene.world.pass(10);
    for changes in [
        json!({}),
        json!({ "sid": "session-1", "nonce": "x" }),
        json!({ "sid": "session-1", "aud": "another" }),
        json!({ "sid": "session-1", "iss": "https://evil.example" }),
        json!({ "sid": "session-1", "events": null }),
        json!({ "sid": "session-1", "events": { LOGOUT: "x" } }),
        json!({ "sid": "session-1", "iat": null }),
        json!({ "sid": "session-1", "iat": NOON + 99 }),
        json!({ "sid": "session-1", "exp": NOON - 99 }),
        json!({ "sid": "session-1", "jti": null }),
        json!({ "sid": "session-1", "typ": "at+jwt" }),
        json!({ "sid": "session-1", "kid": "unknown" }),
    ] {
        let reply = logout(&token(&changes));
        assert_eq!((reply.status, text(&reply.json(), "error")), (400, "invalid_request"), "{changes}");
        assert_eq!(reply.field("cache-control"), "no-store");
    }
    assert_eq!(logout("nonsense").status, 400);
    assert_eq!(scene.access(&first, &one), (true, true), "none of these did anything");
    let one = scene.refresh(&first, text(&one, "refresh_token")).json();
    assert_eq!(logout(&token(&json!({ "sid": "session-1", "sub": "ada" }))).status, 200);
    scene.world.pass(5);
    assert_eq!(scene.access(&first, &one), (false, false));
    assert_eq!(scene.use_it(&two), 200, "the other session goes on");
    assert_eq!(logout(&token(&json!({ "sid": "session-9" }))).status, 200, "one that is not known here");
    assert_eq!(scene.use_it(&two), 200);
    // The session is not known, and the user is: whatever it may be the session of, ends.
    assert_eq!(logout(&token(&json!({ "sid": "session-8", "sub": "ada" }))).status, 200);
    scene.world.pass(5);
    assert_eq!(scene.access(&second, &two), (false, false));
    // Only where it is configured.
    assert_eq!(Scene::new().call(post("/backchannel-logout", &[("logout_token", "x")])).status, 404);
}

#[wasm_bindgen_test(unsupported = test)]
fn signing_out_ends_the_sign_in_also_for_a_copy_of_its_cookie() {
    let scene = Scene::new();
    scene.logged_in();
    let copy = scene.other_browser();
    *copy.cookies.borrow_mut() = scene.cookies.borrow().clone();
    assert_eq!(copy.browse(Request::get("/grants")).status, 200);
    let page = scene.browse(Request::get("/grants"));
    let sealed = between(&page.body, "name=\"form\" value=\"", "\"");
    let out = post("/grants", &[("form", &sealed), ("action", "sign_out")]).field("origin", PUBLIC);
    assert_eq!(scene.browse(out).status, 200);
    assert_eq!(copy.browse(Request::get("/grants")).status, 302, "the copy is worth nothing");
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_about_signals_name_the_key() {
    for (changes, expected) in [
        (json!({ "issuers": ["nowhere"] }), "signals.issuers[0]: no usable issuer"),
        (json!({ "audiences": [] }), "signals.audiences: must name"),
        (json!({ "about_login": false }), "signals: is about no users"),
        // Another issuer on the same host may be another company's.
        (json!({ "about_login": null, "issuer": format!("{ISSUER}/other") }), "signals: is about no users"),
        (json!({ "secret": "MISSING" }), "signals.secret: there is no Worker secret"),
        (
            json!({ "poll": { "url": POLL, "secret": "ADMIN" } }),
            "signals.secret: is for signals that the transmitter sends",
        ),
        (
            json!({ "secret": null, "poll": { "url": "http://login.example/poll", "secret": "ADMIN" } }),
            "signals.poll.url: must be https",
        ),
        (
            json!({ "secret": null, "poll": { "url": POLL, "secret": "MISSING" } }),
            "signals.poll.secret: there is no Worker secret",
        ),
        (
            json!({ "secret": null, "poll": { "url": POLL, "secret": "ADMIN" } }),
            "signals.poll.secret: the secret must be an",
        ),
    ] {
        let mut server = server();
        for (name, value) in changes.as_object().expect("a table") {
            let entry = &mut server["trusted_issuers"][0];
            *(if name == "issuer" { &mut entry[name] } else { &mut entry["signals"][name] }) = value.clone();
        }
        let mistakes = open_with(document(server, json!({})), &secrets()).expect_err("a mistake").lines().join("\n");
        assert!(mistakes.contains(expected), "{mistakes}");
    }
    let login = json!({ "back_channel_logout": true, "issuer": null, "userinfo_endpoint": "https://login.example/me" });
    let mistakes = open_with(document(json!({}), login), &secrets()).expect_err("a mistake").lines().join("\n");
    assert!(mistakes.contains("back_channel_logout: needs issuer"), "{mistakes}");
    let login = json!({ "back_channel_logout": true, "tenants": ["a"] });
    let mistakes = open_with(document(server(), login), &secrets()).expect_err("a mistake").lines().join("\n");
    for key in ["login.back_channel_logout: cannot be used with tenants", "signals.about_login: cannot be used with"] {
        assert!(mistakes.contains(key), "{mistakes}");
    }
}

const POLL: &str = "https://login.example/poll";

impl Scene {
    /// A scene whose gateway polls.
    fn polling() -> Self {
        let mut server = server();
        server["trusted_issuers"][0]["signals"] = json!({ "poll": { "url": POLL, "secret": "STREAM" } });
        Self::with(server, json!({ "recheck_minutes": 60 }))
    }

    /// Runs the schedule against a transmitter, which answers a request with this body and so many before it. Returns the requests.
    fn run_schedule(&self, answer: impl Fn(&Value, usize) -> (u16, String) + 'static) -> Vec<Value> {
        let got: Rc<RefCell<Vec<Value>>> = Rc::default();
        let kept = Rc::clone(&got);
        self.world.answer_by(move |asked, _| {
            assert_eq!(asked.url, POLL);
            let token = ("authorization", "Bearer stream-token".to_owned());
            assert!(asked.fields.contains(&token), "the token of the stream");
            assert!(asked.seconds > 0);
            let body: Value = serde_json::from_str(&asked.body).expect("JSON");
            kept.borrow_mut().push(body.clone());
            let before = kept.borrow().len() - 1;
            answer(&body, before)
        });
        block_on(run_schedule(&self.gateway, &self.world));
        got.take()
    }

    fn revoked(&self, id: &str) -> String {
        self.set_with(&json!({ "jti": id, "events": { format!("{CAEP}session-revoked"): { "subject": ada() } } }))
    }

    fn reasons(&self, reason: &str) -> Vec<Value> {
        self.world.lines().into_iter().filter(|line| line["reason"] == reason).collect()
    }
}

fn none() -> (u16, String) {
    (200, json!({ "sets": {} }).to_string())
}

#[wasm_bindgen_test(unsupported = test)]
fn a_signal_that_the_gateway_asks_for_takes_effect_and_is_acknowledged() {
    let scene = Scene::polling();
    let (client, tokens) = scene.logged_in();
    scene.world.pass(60);
    let set = scene.revoked("one");
    let begun = scene.world.time().seconds();
    let got = scene.run_schedule(move |_, before| match before {
        0 => (200, json!({ "sets": { "one": set }, "moreAvailable": false }).to_string()),
        _ => none(),
    });
    assert_eq!(got[0], json!({ "maxEvents": 25, "returnImmediately": false }));
    assert_eq!(got[1], json!({ "maxEvents": 25, "returnImmediately": false, "ack": ["one"] }));
    assert!(got[2..].iter().all(|body| body.get("ack").is_none()), "it is acknowledged once");
    assert!((25..=29).contains(&got.len()), "a request every two seconds: {}", got.len());
    let took = scene.world.time().seconds() - begun;
    assert!((55..60).contains(&took), "a run ends before the next begins: {took}");
    assert_eq!(scene.access(&client, &tokens), (false, false));
    let lines = scene.reasons("signals_polled");
    assert_eq!(text(&lines[0], "detail"), "idp: received 1, refused 0");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_signal_that_is_not_accepted_is_reported_and_one_that_cannot_be_applied_comes_again() {
    let scene = Scene::polling();
    let (client, tokens) = scene.logged_in();
    scene.world.pass(60);
    let sets = json!({
        "garbage": "not a SET",
        "other": scene.set_with(&json!({ "jti": "other", "aud": "https://elsewhere.example" })),
        "renamed": scene.revoked("another"),
        "foreign": scene.set_with(&json!({ "jti": "foreign", "iss": "https://elsewhere.example" })),
        "untyped": scene.set_with(&json!({ "jti": "untyped", "typ": "JWT" })),
    });
    let answer = json!({ "sets": sets }).to_string();
    let got = scene.run_schedule(move |_, before| if before == 0 { (200, answer.clone()) } else { none() });
    let errors: Vec<(&str, &str)> =
        got[1]["setErrs"].as_object().expect("errors").iter().map(|(id, error)| (&**id, text(error, "err"))).collect();
    let expected = [
        ("foreign", "invalid_issuer"),
        ("garbage", "invalid_request"),
        ("other", "invalid_audience"),
        ("renamed", "invalid_request"),
        ("untyped", "invalid_request"),
    ];
    assert_eq!(errors, expected);
    assert_eq!(got[1].get("ack"), None);
    assert_eq!(scene.access(&client, &tokens), (true, true), "none of them has an effect");
    assert_eq!(scene.reasons("signal_refused").len(), 5);

    // The records do not answer.
    let set = scene.revoked("two");
    scene.world.records_down(true);
    let got =
        scene.run_schedule(move |_, _| (200, json!({ "sets": { "two": set }, "moreAvailable": true }).to_string()));
    assert!(got.iter().all(|body| body.get("ack").is_none() && body.get("setErrs").is_none()), "{got:?}");
    assert!(got.len() < 30, "it does not ask without a pause: {}", got.len());
    scene.world.records_down(false);
    let set = scene.revoked("two");
    scene.run_schedule(move |_, _| (200, json!({ "sets": { "two": set } }).to_string()));
    assert!(!scene.access(&client, &tokens).1);
}

#[wasm_bindgen_test(unsupported = test)]
fn many_signals_come_at_once_and_the_last_are_acknowledged_when_the_run_ends() {
    let scene = Scene::polling();
    let set = scene.revoked("s");
    let sets = move |from: usize| -> Value {
        (from..from + 40).map(|one| (format!("{one:05}"), json!(set))).collect::<serde_json::Map<_, _>>().into()
    };
    // Each has another jti than the one by which it comes: it is refused, which is an answer as well.
    let got = scene.run_schedule(move |_, before| (200, json!({ "sets": sets(before * 40) }).to_string()));
    let refused = |body: &Value| body["setErrs"].as_object().map_or(0, serde_json::Map::len);
    assert!(got.iter().skip(1).all(|body| refused(body) == 25), "25 of them are read");
    let last = got.last().expect("requests");
    assert_eq!((last["maxEvents"].as_u64(), last["returnImmediately"].as_bool()), (Some(0), Some(true)));
    assert!(got.len() <= 401, "{}", got.len());
}

/// One entry that cannot be read, or was signed with a key that is not there yet, holds up no other.
#[wasm_bindgen_test(unsupported = test)]
fn what_cannot_be_read_does_not_hold_up_other_signals() {
    let scene = Scene::polling();
    let (client, tokens) = scene.logged_in();
    scene.world.pass(60);
    let later = scene.set_with(&json!({ "jti": "later", "kid": "next" }));
    let sets = json!({ "": "x", "a".repeat(300): "x", "number": 1, "later": later, "one": scene.revoked("one") });
    let answer = json!({ "sets": sets }).to_string();
    let got = scene.run_schedule(move |_, before| if before == 0 { (200, answer.clone()) } else { none() });
    assert_eq!(got[1]["ack"], json!(["one"]));
    let errors: Vec<&String> = got[1]["setErrs"].as_object().expect("errors").keys().collect();
    assert_eq!(errors, ["number"], "what has an unknown key comes again");
    assert!(!scene.access(&client, &tokens).1);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_transmitter_that_fails_is_asked_again_after_a_pause() {
    for (status, body, why) in [
        (401, "{}", "status 401"),
        (503, "", "status 503"),
        (302, "", "status 302"),
        (200, "[]", "not a JSON object"),
        (200, "{}", "sets is not an object"),
        (200, "{\"sets\":{},\"sets\":{}}", "not a JSON object"),
        (200, "{\"sets\":{},\"moreAvailable\":\"yes\"}", "moreAvailable is not a boolean"),
    ] {
        let scene = Scene::polling();
        let got = scene.run_schedule(move |_, _| (status, body.to_owned()));
        assert!(got.len() <= 7, "{}", got.len());
        let lines = scene.reasons("signals_unavailable");
        assert_eq!(lines.len(), 1, "a run logs the first failure alone");
        assert!(text(&lines[0], "detail").contains(why), "{lines:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_endpoint_for_pushed_signals_is_closed_where_the_gateway_polls() {
    let scene = Scene::polling();
    assert_eq!(scene.push(&scene.revoked("one")).status, 404);
    let scene = self::scene();
    let got = scene.run_schedule(|_, _| none());
    assert_eq!(
        (got.len(), scene.reasons("signals_polled").len()),
        (0, 0),
        "a gateway that does not poll asks for nothing"
    );
}

/// The configuration may name the transmitter after users have logged in.
#[wasm_bindgen_test(unsupported = test)]
fn users_who_logged_in_before_the_transmitter_was_configured_are_known() {
    let scene = Scene::with(json!({ "token_claims": ["groups"] }), json!({}));
    let (client, tokens) = scene.logged_in();
    scene.world.pass(60);
    let gateway = open_with(document(server(), json!({})), &secrets()).expect("the document is right");
    let later = Scene { gateway, ..scene.other_browser() };
    assert_eq!(later.use_it(&tokens), 200);
    assert_eq!(later.signal(&format!("{CAEP}session-revoked"), &ada(), &json!({})), 202);
    later.world.pass(5);
    assert_eq!(later.access(&client, &tokens), (false, false));
}

/// An address that the provider did not verify may be another user's.
#[wasm_bindgen_test(unsupported = test)]
fn an_event_by_e_mail_ends_only_the_access_of_the_user_who_has_that_address() {
    let scene = scene();
    *scene.user.borrow_mut() = json!({ "sub": "eve", "email": "ada@acme.example", "email_verified": false });
    let (client, tokens) = scene.logged_in();
    scene.world.pass(60);
    let by_email = json!({ "format": "email", "email": "ada@acme.example" });
    assert_eq!(scene.signal(&format!("{CAEP}session-revoked"), &by_email, &json!({})), 202);
    scene.world.pass(5);
    assert_eq!(scene.access(&client, &tokens), (true, true));
}

/// An event may name a user by subject and by address, and the one that enables the account by subject alone.
#[wasm_bindgen_test(unsupported = test)]
fn a_user_who_was_disabled_by_two_names_is_enabled_by_the_subject() {
    let scene = scene();
    scene.logged_in();
    scene.world.pass(60);
    let names = [ada(), json!({ "format": "email", "email": "ada@acme.example" })];
    let both = json!({ "format": "aliases", "identifiers": names });
    assert_eq!(scene.signal(&format!("{RISC}account-disabled"), &both, &json!({})), 202);
    scene.world.pass(60);
    assert_eq!(scene.signal(&format!("{RISC}account-enabled"), &ada(), &json!({})), 202);
    scene.world.pass(60);
    scene.logged_in();
}

/// Who is disabled has no access from now on, also if the event says that it happened before the login.
#[wasm_bindgen_test(unsupported = test)]
fn an_account_that_was_disabled_before_the_login_loses_what_it_has() {
    let scene = scene();
    let (client, tokens) = scene.logged_in();
    scene.world.pass(60);
    let before = json!({ "event_timestamp": NOON - 600 });
    assert_eq!(scene.signal(&format!("{RISC}account-disabled"), &ada(), &before), 202);
    scene.world.pass(5);
    assert_eq!(scene.access(&client, &tokens), (false, false));
}

/// Claims that change between the login and the redemption of its code are not in the first token.
#[wasm_bindgen_test(unsupported = test)]
fn a_code_from_before_a_change_of_claims_gives_no_token() {
    let scene = scene();
    let client = scene.client(LOOPBACK);
    let code = scene.code(&client, LOOPBACK, &[]);
    scene.world.pass(20);
    assert_eq!(scene.signal(&format!("{CAEP}token-claims-change"), &ada(), &json!({})), 202);
    let reply = scene.redeem(&client, &code);
    assert_eq!((reply.status, text(&reply.json(), "error")), (400, "invalid_grant"));
    scene.logged_in();
}

/// A caller without a token must not have the gateway fetch the keys of the provider without end.
#[wasm_bindgen_test(unsupported = test)]
fn logout_tokens_with_unknown_keys_do_not_make_the_gateway_fetch_keys_for_each() {
    let scene = Scene::with(json!({}), json!({ "back_channel_logout": true }));
    scene.logged_in();
    let fetched = || scene.world.fetched().iter().filter(|url| url.ends_with("/jwks")).count();
    let before = fetched();
    for number in 0..200 {
        scene.world.pass(1);
        let header = json!({ "alg": "EdDSA", "kid": format!("unknown-{number}"), "typ": "logout+jwt" }).to_string();
        let claims = json!({ "iss": ISSUER, "aud": "gate" }).to_string();
        let token = token_with_header(&header, &claims, Key::Ed25519, JwsAlgorithm::EdDsa);
        let status = scene.call(post("/backchannel-logout", &[("logout_token", &token)])).status;
        assert!(matches!(status, 400 | 503), "{status}");
    }
    let more = fetched() - before;
    assert!((1..=8).contains(&more), "{more} fetches in 200 s");
}
