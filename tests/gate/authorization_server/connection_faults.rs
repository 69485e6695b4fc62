//! Accounts of users: what goes wrong between the gateway, its isolates and the authorization server of an origin server.

use wasm_bindgen_test::wasm_bindgen_test;

use super::connections::*;
use super::*;

const MESSAGE_AT_HAND: &str = "a message that rules read is at hand, and is repeated";

/// A gateway whose rules read messages, so that one can be repeated.
fn with_rules() -> (Scene, Value) {
    let (scene, tokens) = usual();
    let mut document = per_user(json!({}), json!({}));
    document["resources"][0]["rules"] = json!([{ "effect": "allow" }]);
    (Scene { gateway: open_with(document, &secrets()).expect("right"), ..scene }, tokens)
}

fn is_authorized_with(scene: &Scene, token: &str) -> bool {
    let sent = scene.world.sent();
    sent.last().and_then(|sent| sent.fields.get("authorization").map(str::to_owned)) == Some(format!("Bearer {token}"))
}

/// The server accepts only this token.
fn accept_only(scene: &Scene, token: &'static str) {
    scene.world.origin_by(move |sent| {
        let field = sent.fields.get("authorization").unwrap_or_default().to_owned();
        if field == format!("Bearer {token}") { 200 } else { 401 }
    });
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refused_token_is_replaced_however_rarely_its_user_calls() {
    let (scene, tokens) = with_rules();
    let lasting = json!({ "access_token": "old", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r" });
    connect(&scene, &tokens, lasting);
    assert_eq!(scene.call(call(&tokens)).status, 200);
    accept_only(&scene, "new");
    issue(&scene, json!({ "access_token": "new", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r2" }));
    // Longer than the isolate keeps the token: it reads it again, which makes it no newer.
    scene.world.pass(61);
    assert_eq!(scene.call(call(&tokens)).status, 200, "{MESSAGE_AT_HAND}");
    assert!(is_authorized_with(&scene, "new"));
    assert_eq!(scene.world.last_request()["origin_credential_age"], 0);
    scene.world.pass(61);
    assert_eq!(scene.call(call(&tokens)).status, 200);
    assert_eq!(scene.world.last_request()["origin_credential_age"], 61, "since it was issued");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refused_token_without_an_end_leads_to_a_link_however_rarely_its_user_calls() {
    let (scene, tokens) = with_rules();
    connect(&scene, &tokens, json!({ "access_token": "for-ever", "token_type": "Bearer" }));
    assert_eq!(scene.call(call(&tokens)).status, 200);
    accept_only(&scene, "none");
    scene.world.pass(61);
    scene.call(call(&tokens));
    assert_eq!(scene.reason(), "not_connected");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_user_of_another_identity_provider_with_the_same_subject_has_no_account_of_the_first() {
    let (scene, tokens) = usual();
    let link = link(&scene.call(call(&tokens)));
    let begun = begin(&scene, &page(&scene, &tokens));
    assert_eq!(connect(&scene, &tokens, first()).status, 200);
    let moved =
        json!({ "login": { "issuer": "https://other.example", "client_id": "gate", "secret": "IDP", "anyone": true } });
    let other = other_isolate(&scene, per_user(moved, json!({})));
    *other.cookies.borrow_mut() = scene.cookies.borrow().clone();
    other.call(call(&tokens));
    assert_eq!(scene.reason(), "not_connected");
    assert_eq!((other.browse(Request::get(&link)).status, scene.reason().as_str()), (400, "link_stale"));
    // What was started before ends as a connection of the user who began.
    come_back(&other, &begun);
    other.call(call(&tokens));
    assert_eq!(scene.reason(), "not_connected");
    assert_eq!(scene.call(call(&tokens)).status, 200);
    assert_eq!(scene.reason(), "forwarded");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_isolate_takes_the_turn_to_refresh_only_when_it_can_ask_at_once() {
    let (scene, tokens) = usual();
    connect(&scene, &tokens, first());
    scene.world.pass(60);
    let cold = other_isolate(&scene, per_user(json!({}), json!({})));
    let world = scene.world.clone();
    scene.world.answer_by(move |asked, _| {
        let taken = world
            .all_records()
            .iter()
            .any(|record| record.contains("\"refreshing\":") && !record.contains("\"refreshing\":0"));
        assert_eq!(taken, asked.url == TOKENS, "{}", asked.url);
        (200, json!({ "access_token": "second", "token_type": "Bearer", "expires_in": 60 }).to_string())
    });
    assert_eq!(cold.call(call(&tokens)).status, 200);
    assert!(is_authorized_with(&scene, "second"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_that_the_server_forgot_takes_no_newer_one_with_it() {
    let (scene, ada) = registering();
    let client = |id: &str| register(&scene, &json!({ "client_id": id, "token_endpoint_auth_method": "none" }));
    client("one");
    connect(&scene, &ada, first());
    let other = scene.other_browser();
    *other.user.borrow_mut() = json!({ "sub": "ben", "email": "ben@acme.example", "email_verified": true });
    let (_, ben) = other.logged_in();
    connect(&other, &ben, first());

    // The server forgets the first client, and Ada connects anew, with the second one.
    scene.world.pass(60);
    issue(&scene, json!({ "error": "invalid_client" }));
    assert_eq!((scene.call(call(&ada)).status, scene.reason().as_str()), (200, "not_connected"));
    client("two");
    let begun = begin(&scene, &page(&scene, &ada));
    assert_eq!(answered(&begun).get("client_id"), Some("two"));
    issue(&scene, first());
    assert_eq!(come_back(&scene, &begun).status, 200);

    // Ben's tokens are of the first client. What ends with it is not the second one.
    issue(&scene, json!({ "error": "invalid_client" }));
    assert_eq!((other.call(call(&ben)).status, scene.reason().as_str()), (200, "not_connected"));
    client("three");
    let begun = begin(&other, &page(&other, &ben));
    assert_eq!(answered(&begun).get("client_id"), Some("two"), "it is registered still");
}

#[wasm_bindgen_test(unsupported = test)]
fn the_code_is_for_the_client_and_the_server_with_which_the_user_began() {
    let (scene, tokens) = usual();
    let begun = begin(&scene, &page(&scene, &tokens));
    assert_eq!(answered(&begun).get("client_id"), Some("https://gate.example/client/mcp"));
    // Meanwhile the server takes no documents any more: another isolate would register.
    let mut metadata = server_metadata();
    metadata["client_id_metadata_document_supported"] = json!(false);
    metadata["registration_endpoint"] = json!(format!("{THIRD}/register"));
    scene.world.document(SERVER_METADATA, Ok(&metadata.to_string()));
    let cold = other_isolate(&scene, per_user(json!({}), json!({})));
    *cold.cookies.borrow_mut() = scene.cookies.borrow().clone();
    issue(&scene, first());
    assert_eq!(come_back(&cold, &begun).status, 200);
    let sent = scene.world.asked().last().expect("a request").body.clone();
    assert!(sent.contains("client_id=https%3A%2F%2Fgate.example%2Fclient%2Fmcp"), "{sent}");
}

#[wasm_bindgen_test(unsupported = test)]
fn metadata_that_changes_while_the_user_is_away_gets_no_code() {
    for (name, change) in [
        ("iss", json!({ "authorization_response_iss_parameter_supported": false })),
        ("endpoint", json!({ "token_endpoint": "https://auth.tools.example/other" })),
    ] {
        let (scene, tokens) = usual();
        let begun = begin(&scene, &page(&scene, &tokens));
        let mut metadata = server_metadata();
        for (key, value) in change.as_object().expect("a table") {
            metadata[key] = value.clone();
        }
        scene.world.document(SERVER_METADATA, Ok(&metadata.to_string()));
        let cold = other_isolate(&scene, per_user(json!({}), json!({})));
        *cold.cookies.borrow_mut() = scene.cookies.borrow().clone();
        issue(&scene, first());
        let asked = answered(&begun);
        let parameters = [("state", asked.get("state").expect("a state")), ("code", "their-code")];
        let named = if name == "iss" { vec![] } else { vec![("iss", THIRD)] };
        let parameters: Vec<_> = parameters.into_iter().chain(named).collect();
        let reply = cold.browse(Request::get(&format!("/connected/mcp?{}", form(&parameters))));
        assert_eq!((reply.status, scene.reason().as_str()), (400, "login_stale"), "{name}");
        assert_eq!(scene.world.last_request()["detail"], "another issuer", "{name}");
        assert!(scene.world.asked().iter().all(|asked| !asked.body.contains("their-code")), "{name}");
    }
}

fn revoked(scene: &Scene, token: &str) -> bool {
    let body = format!("token={token}&");
    scene.world.asked().iter().any(|asked| asked.url.ends_with("/revoke") && asked.body.contains(&body))
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_that_cannot_be_kept_are_revoked() {
    let scene = ended_meanwhile();
    assert!(revoked(&scene, "first-access") && revoked(&scene, "first-refresh"));
}

#[wasm_bindgen_test(unsupported = test)]
fn both_tokens_are_revoked_even_if_the_server_refuses_one_and_a_missing_endpoint_is_logged() {
    let (scene, tokens) = usual();
    connect(&scene, &tokens, first());
    scene.world.answer(&format!("{THIRD}/revoke"), Ok((503, "text/plain", "later")));
    administrator(&scene, "delete");
    assert!(revoked(&scene, "first-access") && revoked(&scene, "first-refresh"));
    let mut metadata = server_metadata();
    metadata.as_object_mut().expect("a table").remove("revocation_endpoint");
    let (scene, tokens) = connecting(json!({}), resource_metadata(), metadata);
    connect(&scene, &tokens, first());
    administrator(&scene, "delete");
    let lines = scene.world.lines();
    let line = lines.iter().find(|line| line["reason"] == "connection_not_revoked").expect("a line");
    assert!(line["detail"].as_str().expect("text").contains("has no revocation endpoint"), "{line}");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refresh_that_is_refused_for_good_leads_to_a_link() {
    let refusals: [(u16, Value); 5] = [
        (200, json!({ "error": "bad_refresh_token" })),
        (400, json!({ "error": "invalid_refresh_token" })),
        (400, json!({ "error": "unauthorized_client" })),
        (400, json!({ "error": "invalid_scope" })),
        (404, json!("<h1>")),
    ];
    for (status, answer) in refusals {
        let (scene, tokens) = usual();
        connect(&scene, &tokens, first());
        scene.world.pass(60);
        scene.world.answer(TOKENS, Ok((status, "application/json", &answer.to_string())));
        scene.call(call(&tokens));
        assert_eq!(scene.reason(), "not_connected", "{answer}");
        assert!(scene.world.lines().iter().any(|line| line["reason"] == "connection_ended"), "{answer}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn texts_of_others_in_the_log_are_bounded() {
    let mut resource = resource_metadata();
    resource["authorization_servers"] = json!([format!("https://auth.tools.example/{}", "x".repeat(100_000))]);
    let (scene, tokens) = connecting(json!({}), resource, server_metadata());
    page(&scene, &tokens);
    let longest = scene.world.lines().iter().map(|line| line.to_string().len()).max().expect("lines");
    assert!(longest < 3_000, "{longest}");
}

#[wasm_bindgen_test(unsupported = test)]
fn the_authorization_endpoint_keeps_its_own_parameters_and_none_is_there_twice() {
    let mut metadata = server_metadata();
    metadata["authorization_endpoint"] = json!(format!("{THIRD}/authorize?tenant=7&resource=theirs&state=fixed"));
    let (scene, tokens) = connecting(json!({}), resource_metadata(), metadata);
    let begun = begin(&scene, &page(&scene, &tokens));
    let url = onward(&begun);
    assert!(url.contains("?tenant=7&"), "{url}");
    for name in ["resource", "state", "client_id"] {
        assert_eq!(url.matches(&format!("{name}=")).count(), 1, "{name}: {url}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_that_refuses_resource_is_not_sent_it() {
    let table = json!({ "send_resource": false, "scopes": ["api://tools/.default"] });
    let (scene, tokens) = connecting(table, resource_metadata(), server_metadata());
    let begun = begin(&scene, &page(&scene, &tokens));
    assert_eq!(answered(&begun).get("resource"), None);
    issue(&scene, first());
    assert_eq!(come_back(&scene, &begun).status, 200);
    scene.world.pass(60);
    issue(&scene, first());
    assert_eq!(scene.call(call(&tokens)).status, 200);
    let asked = scene.world.asked();
    assert!(asked.iter().filter(|asked| asked.url == TOKENS).all(|asked| !asked.body.contains("resource=")));
}

#[wasm_bindgen_test(unsupported = test)]
fn scopes_separated_by_commas_are_read() {
    let (scene, tokens) = usual();
    let answer = json!({ "access_token": "t", "token_type": "Bearer", "scope": "repo,read:org" });
    connect(&scene, &tokens, answer);
    let records = scene.world.all_records();
    assert!(
        records.iter().any(|record| record.contains("repo read:org") || record.contains("read:org repo")),
        "{records:?}"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn the_metadata_of_a_server_behind_a_service_binding_is_read_through_it() {
    let mut document = per_user(json!({}), json!({}));
    document["resources"][0]["service"] = json!("TOOLS");
    let gateway = open_with(document, &secrets()).expect("right");
    let scene = Scene { gateway, ..Scene::new() };
    scene.world.document(SERVER_METADATA, Ok(&server_metadata().to_string()));
    let (_, tokens) = scene.logged_in();
    scene.world.answer_by(|asked, _| match asked.url.as_str() {
        RESOURCE_METADATA => (200, resource_metadata().to_string()),
        _ => (200, first().to_string()),
    });
    assert_eq!(page(&scene, &tokens).status, 200);
    assert!(!scene.world.fetched().contains(&RESOURCE_METADATA.to_owned()));
    assert!(scene.world.asked().iter().any(|asked| asked.url == RESOURCE_METADATA && asked.service.is_some()));
}
