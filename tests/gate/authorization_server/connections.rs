//! Accounts that users connect at the authorization servers of origin servers.

use portcullis::authorization_server::state::connection::{Connection, ConnectionQuestion, UNUSED_SECONDS};
use portcullis::authorization_server::state::{Change, StoredRecord, answer, question};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

pub(super) const THIRD: &str = "https://auth.tools.example";
pub(super) const RESOURCE_METADATA: &str = "https://tools.example/.well-known/oauth-protected-resource/mcp";
pub(super) const SERVER_METADATA: &str = "https://auth.tools.example/.well-known/oauth-authorization-server";
pub(super) const TOKENS: &str = "https://auth.tools.example/token";

pub(super) fn resource_metadata() -> Value {
    json!({ "resource": "https://tools.example/mcp", "authorization_servers": [THIRD], "scopes_supported": ["tools:call"] })
}

pub(super) fn server_metadata() -> Value {
    json!({
        "issuer": THIRD,
        "authorization_endpoint": format!("{THIRD}/authorize"),
        "token_endpoint": TOKENS,
        "revocation_endpoint": format!("{THIRD}/revoke"),
        "code_challenge_methods_supported": ["S256"],
        "client_id_metadata_document_supported": true,
        "authorization_response_iss_parameter_supported": true,
    })
}

pub(super) fn per_user(server: Value, table: Value) -> Value {
    let mut document = document(server, json!({}));
    document["resources"][0]["credential"] = json!({ "per_user": table });
    document
}

/// A gateway whose users connect accounts; the documents of the other servers are as given.
pub(super) fn connecting(table: Value, resource: Value, metadata: Value) -> (Scene, Value) {
    let gateway = open_with(per_user(json!({}), table), &secrets()).expect("the document is right");
    let scene = Scene { gateway, ..Scene::new() };
    scene.world.document(RESOURCE_METADATA, Ok(&resource.to_string()));
    scene.world.document(SERVER_METADATA, Ok(&metadata.to_string()));
    let (_, tokens) = scene.logged_in();
    (scene, tokens)
}

pub(super) fn usual() -> (Scene, Value) {
    connecting(json!({}), resource_metadata(), server_metadata())
}

/// The same where the gateway has to register at the other server.
pub(super) fn registering() -> (Scene, Value) {
    let mut metadata = server_metadata();
    metadata["client_id_metadata_document_supported"] = json!(false);
    metadata["registration_endpoint"] = json!(format!("{THIRD}/register"));
    connecting(json!({}), resource_metadata(), metadata)
}

/// What the other server answers to registrations.
pub(super) fn register(scene: &Scene, client: &Value) {
    scene.world.answer(&format!("{THIRD}/register"), Ok((201, "application/json", &client.to_string())));
}

/// Another isolate with this configuration, on the same records.
pub(super) fn other_isolate(scene: &Scene, document: Value) -> Scene {
    let gateway = open_with(document, &secrets()).expect("the document is right");
    Scene { gateway, world: scene.world.clone(), cookies: RefCell::default(), user: scene.user.clone() }
}

pub(super) fn call(tokens: &Value) -> Request {
    call_at("/mcp", tokens)
}

pub(super) fn call_at(path: &str, tokens: &Value) -> Request {
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "add" } }).to_string();
    Request::post(path).bearer(text(tokens, "access_token")).body(body.as_bytes())
}

/// What administrators are answered.
pub(super) fn administrator(scene: &Scene, action: &str) -> Value {
    let asked = json!({ "action": action, "subject": "ada" }).to_string();
    scene.call(Request::post("/admin").bearer(SECRET).body(asked.as_bytes())).json()
}

/// The link in an answer, as a path of the gateway.
pub(super) fn link(reply: &Reply) -> String {
    let at = reply.body.find("/connect?link=").unwrap_or_else(|| panic!("no link in {}", reply.body));
    reply.body[at..].split(['"', ' ', '\\']).next().expect("an end").to_owned()
}

/// The page behind the link of a call.
pub(super) fn page(scene: &Scene, tokens: &Value) -> Reply {
    let link = link(&scene.call(call(tokens)));
    scene.browse(Request::get(&link))
}

pub(super) fn begin(scene: &Scene, page: &Reply) -> Reply {
    let sealed = between(&page.body, "name=\"link\" value=\"", "\"");
    scene.browse(post("/connect", &[("link", &sealed), ("decision", "connect")]).field("origin", PUBLIC))
}

pub(super) fn issue(scene: &Scene, answer: Value) {
    scene.world.answer(TOKENS, Ok((200, "application/json", &answer.to_string())));
}

pub(super) fn come_back(scene: &Scene, begun: &Reply) -> Reply {
    let asked = answered(begun);
    let parameters = [("state", asked.get("state").expect("a state")), ("code", "their-code"), ("iss", THIRD)];
    scene.browse(Request::get(&format!("/connected/mcp?{}", form(&parameters))))
}

pub(super) fn connect(scene: &Scene, tokens: &Value, answer: Value) -> Reply {
    let begun = begin(scene, &page(scene, tokens));
    issue(scene, answer);
    come_back(scene, &begun)
}

/// A user comes back after an administrator has ended the connection.
pub(super) fn ended_meanwhile() -> Scene {
    let (scene, tokens) = usual();
    let begun = begin(&scene, &page(&scene, &tokens));
    scene.world.pass(1);
    administrator(&scene, "delete");
    issue(&scene, first());
    assert_eq!(come_back(&scene, &begun).status, 502);
    scene
}

pub(super) fn first() -> Value {
    json!({ "access_token": "first-access", "token_type": "Bearer", "expires_in": 60, "refresh_token": "first-refresh" })
}

#[wasm_bindgen_test(unsupported = test)]
fn an_account_is_connected_and_its_tokens_rest_sealed() {
    let (scene, tokens) = usual();
    let begun = begin(&scene, &page(&scene, &tokens));
    let asked = answered(&begun);
    assert!(onward(&begun).starts_with("https://auth.tools.example/authorize?"));
    for (name, value) in [
        ("client_id", "https://gate.example/client/mcp"),
        ("redirect_uri", "https://gate.example/connected/mcp"),
        ("scope", "tools:call"),
        ("resource", "https://tools.example/mcp"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked.get(name), Some(value), "{name}");
    }
    issue(&scene, first());
    assert_eq!(come_back(&scene, &begun).status, 200);
    let sent = scene.world.asked().last().expect("a request").body.clone();
    let verifier = Parameters::parse(&sent).expect("a form").get("code_verifier").expect("a verifier").to_owned();
    assert_eq!(challenge_of(&verifier).as_deref(), asked.get("code_challenge"));
    assert_eq!(scene.call(call(&tokens)).status, 200);
    let fields = scene.world.sent().last().expect("a request").fields.clone();
    assert_eq!(fields.get("authorization"), Some("Bearer first-access"));
    assert_eq!(fields.get("x-portcullis-subject"), None);
    let records: Vec<String> = scene.world.all_records();
    assert!(records.iter().any(|record| record.contains("\"sealed\"")));
    for secret in ["first-access", "first-refresh", "their-code"] {
        assert!(records.iter().all(|record| !record.contains(secret)), "{secret}");
        assert!(scene.world.lines().iter().all(|line| !line.to_string().contains(secret)), "{secret}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_user_who_cancels_or_decides_nothing_is_sent_nowhere() {
    let (scene, tokens) = usual();
    let page = page(&scene, &tokens);
    let sealed = between(&page.body, "name=\"link\" value=\"", "\"");
    let decide = |decision: &str| {
        scene.browse(post("/connect", &[("link", &sealed), ("decision", decision)]).field("origin", PUBLIC))
    };
    assert_eq!((decide("cancel").status, scene.reason().as_str()), (200, "connect_cancelled"));
    assert_eq!(decide("deny").status, 400);
    assert_eq!((decide("connect").status, scene.reason().as_str()), (200, "connect_begun"));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_form_of_the_answer_depends_on_what_the_client_declares() {
    let (scene, tokens) = usual();
    let ask = |era: &str, message: Value| {
        let mut request =
            Request::post("/mcp").bearer(text(&tokens, "access_token")).body(message.to_string().as_bytes());
        if era == "modern" {
            let method = message["method"].as_str().expect("a method");
            request = request.field("mcp-protocol-version", "2026-07-28").field("mcp-method", method);
            request = request.field("mcp-name", message["params"]["name"].as_str().unwrap_or("x"));
        }
        let reply = scene.call(request);
        (reply.status, reply.json())
    };
    let opens = json!({ "elicitation": { "url": {} } });
    let request =
        |method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let modern = |method: &str, capabilities: Value| {
        request(
            method,
            json!({ "name": "x", "uri": "x", "_meta": { "io.modelcontextprotocol/clientCapabilities": capabilities } }),
        )
    };
    for method in ["tools/call", "prompts/get", "resources/read"] {
        let (status, body) = ask("modern", modern(method, opens.clone()));
        assert_eq!((status, &body["result"]["resultType"]), (200, &json!("input_required")), "{method}");
    }
    for capabilities in [json!({}), json!({ "elicitation": {} }), json!({ "elicitation": { "url": true } }), json!([])]
    {
        let (status, body) = ask("modern", modern("tools/call", capabilities));
        assert_eq!((status, &body["result"]["isError"]), (200, &json!(true)));
        assert_eq!(body["result"]["resultType"], "complete");
    }
    assert_eq!(ask("modern", modern("tools/list", opens.clone())).0, 403);
    let (status, body) = ask("modern", modern("server/discover", opens.clone()));
    assert_eq!((status, &body["result"]["supportedVersions"]), (200, &json!(["2026-07-28"])));
    assert_eq!((&body["result"]["ttlMs"], &body["result"]["cacheScope"]), (&json!(0), &json!("private")));
    assert!(text(&body["result"], "instructions").contains("/connect?link="));

    let (status, body) = ask("legacy", request("initialize", json!({ "capabilities": opens.clone() })));
    assert_eq!((status, &body["error"]["code"]), (200, &json!(-32042)));
    let elicitation = &body["error"]["data"]["elicitations"][0];
    assert_eq!((text(elicitation, "mode"), text(elicitation, "url").contains("/connect?link=")), ("url", true));
    let (status, body) = ask("legacy", request("initialize", json!({ "capabilities": {} })));
    assert_eq!((status, &body["error"]["code"], &body["id"]), (403, &json!(403), &json!(7)));
    let (_, body) = ask("legacy", request("tools/call", json!({ "name": "x" })));
    assert_eq!(body["result"].get("resultType"), None);
    let (status, _) = ask("legacy", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    assert_eq!(status, 403);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_gateway_publishes_itself_as_a_client() {
    let (scene, _) = usual();
    let document = scene.call(Request::get("/client/mcp"));
    assert_eq!((document.status, document.field("access-control-allow-origin")), (200, "*"));
    let members = document.json();
    assert_eq!(text(&members, "client_id"), "https://gate.example/client/mcp");
    assert_eq!(members["redirect_uris"], json!(["https://gate.example/connected/mcp"]));
    assert_eq!(scene.call(Request::new(Method::Post, "/client/mcp")).status, 405);
}

#[wasm_bindgen_test(unsupported = test)]
fn servers_that_may_not_be_asked_are_not() {
    let with = |mut into: Value, name: &str, value: Value| {
        into[name] = value;
        into
    };
    let (resource, server) = (resource_metadata, server_metadata);
    let cases = [
        (with(resource(), "resource", json!("https://other.example/mcp")), server(), "another resource"),
        (with(resource(), "authorization_servers", json!([])), server(), "authorization_servers"),
        (with(resource(), "authorization_servers", json!(["http://auth.tools.example"])), server(), "must be https"),
        (with(resource(), "authorization_servers", json!(["https://10.0.0.8"])), server(), "private host"),
        (with(resource(), "authorization_servers", json!(["https://vault.internal"])), server(), "private host"),
        (resource(), with(server(), "issuer", json!("https://evil.example")), "another issuer"),
        (resource(), with(server(), "token_endpoint", json!("https://169.254.169.254/token")), "private host"),
        (resource(), with(server(), "token_endpoint", json!("http://auth.tools.example/token")), "must be https"),
        (resource(), with(server(), "authorization_endpoint", json!("javascript:alert(1)")), "authorization_endpoint"),
        (
            resource(),
            with(server(), "authorization_endpoint", json!("https://10.0.0.8/authorize")),
            "authorization_endpoint is on a private host",
        ),
        (
            resource(),
            with(
                with(server(), "authorization_response_iss_parameter_supported", json!(false)),
                "authorization_endpoint",
                json!("https://honest.example/authorize"),
            ),
            "authorization_endpoint is not on the issuer's host",
        ),
        (resource(), with(server(), "code_challenge_methods_supported", json!(["plain"])), "S256"),
        (resource(), with(server(), "code_challenge_methods_supported", json!(null)), "S256"),
    ];
    for (resource, server, why) in cases {
        let (scene, tokens) = connecting(json!({}), resource, server);
        let page = page(&scene, &tokens);
        assert_eq!((page.status, scene.reason().as_str()), (502, "connection_failed"), "{why}");
        let detail = scene.world.last_request()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(why), "{why}: {detail}");
        assert!(!page.body.contains(why) || why.len() < 5, "the user learns nothing of it");
        assert_eq!(scene.world.asked().last().expect("a question").url, "https://tools.example/mcp", "{why}");
        let (asked, fetched) = (scene.world.asked().len(), scene.world.fetched().len());
        assert_eq!(self::page(&scene, &tokens).status, 502);
        assert_eq!((scene.world.asked().len(), scene.world.fetched().len()), (asked, fetched), "not again at once");
    }
    // Without documents and registration only a client of the configuration can be used.
    let closed = with(server(), "client_id_metadata_document_supported", json!(false));
    let (scene, tokens) = connecting(json!({}), resource(), closed.clone());
    let page_of = page(&scene, &tokens);
    assert_eq!(begin(&scene, &page_of).status, 502);
    let fixed = json!({ "client_id": "ours", "secret": "IDP", "issuer": THIRD });
    let (scene, tokens) = connecting(fixed, resource(), closed);
    assert_eq!(connect(&scene, &tokens, first()).status, 200);
    let sent = scene.world.asked().last().expect("a request").clone();
    assert!(sent.field("authorization").starts_with("Basic "));
    assert!(!scene.world.fetched().contains(&RESOURCE_METADATA.to_owned()), "the issuer is configured");
}

#[wasm_bindgen_test(unsupported = test)]
fn the_gateway_registers_once_where_it_has_to() {
    let (scene, tokens) = registering();
    register(&scene, &json!({ "client_id": "made", "client_secret": "their-secret" }));
    assert_eq!(connect(&scene, &tokens, first()).status, 200);
    *scene.user.borrow_mut() = json!({ "sub": "bob" });
    let other = scene.other_browser();
    let (_, of_bob) = other.logged_in();
    assert_eq!(connect(&other, &of_bob, first()).status, 200);
    let registrations = scene.world.asked().iter().filter(|asked| asked.url.ends_with("/register")).count();
    assert_eq!(registrations, 1);
    assert!(scene.world.all_records().iter().all(|record| !record.contains("their-secret")));
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_are_refreshed_before_they_expire_and_the_old_refresh_token_stays_where_there_is_no_new_one() {
    let (scene, tokens) = usual();
    connect(&scene, &tokens, first());
    assert_eq!(scene.call(call(&tokens)).status, 200);
    scene.world.pass(60);
    issue(&scene, json!({ "access_token": "second-access", "token_type": "Bearer", "expires_in": 60 }));
    assert_eq!(scene.call(call(&tokens)).status, 200);
    let sent = scene.world.sent().last().expect("a request").fields.clone();
    assert_eq!(sent.get("authorization"), Some("Bearer second-access"));
    scene.world.pass(60);
    issue(&scene, json!({ "access_token": "third-access", "token_type": "Bearer", "refresh_token": "next" }));
    assert_eq!(scene.call(call(&tokens)).status, 200);
    let refreshes: Vec<String> =
        scene.world.asked().iter().filter(|it| it.url == TOKENS).map(|it| it.body.clone()).collect();
    assert!(
        refreshes[1].contains("refresh_token=first-refresh") && refreshes[2].contains("refresh_token=first-refresh")
    );
    assert!(refreshes[1].contains("resource=https"), "{}", refreshes[1]);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_outage_ends_no_connection_and_a_refusal_does() {
    let (scene, tokens) = usual();
    connect(&scene, &tokens, first());
    scene.world.pass(60);
    for answer in [Err("connection refused"), Ok((503, "text/html", "<h1>")), Ok((429, "application/json", "{}"))] {
        scene.world.answer(TOKENS, answer);
        let reply = scene.call(call(&tokens));
        assert_eq!((reply.status, scene.reason().as_str()), (503, "origin_credential_unavailable"));
        scene.world.pass(3);
    }
    issue(&scene, json!({ "error": "invalid_client" }));
    assert_eq!((scene.call(call(&tokens)).status, scene.reason().as_str()), (502, "origin_credential_failed"));
    scene.world.pass(11);
    issue(&scene, json!({ "access_token": "second", "token_type": "Bearer", "expires_in": 60 }));
    assert_eq!(scene.call(call(&tokens)).status, 200);
    scene.world.pass(60);
    issue(&scene, json!({ "error": "invalid_grant" }));
    let reply = scene.call(call(&tokens));
    assert_eq!((reply.status, scene.reason().as_str()), (200, "not_connected"));
    let asked = scene.world.asked().len();
    assert_eq!(link(&scene.call(call(&tokens))).split('=').next(), Some("/connect?link"));
    assert_eq!(scene.world.asked().len(), asked, "it is over: nothing is refreshed again");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_rotated_secret_still_opens_connections_and_a_removed_one_asks_the_user_again() {
    let (scene, tokens) = usual();
    connect(&scene, &tokens, first());
    let under = |names: Value| other_isolate(&scene, per_user(json!({ "secrets": names }), json!({})));
    under(json!(["NEW_SEAL"])).call(call(&tokens));
    assert_eq!(scene.reason(), "not_connected", "the secret is not there any more");
    assert!(scene.world.lines().iter().any(|line| line["reason"] == "connection_unreadable"));
    // One use during the rotation is enough, even of a token that is never refreshed.
    for names in [json!(["NEW_SEAL", "SEAL"]), json!(["NEW_SEAL"])] {
        assert_eq!(under(names).call(call(&tokens)).status, 200);
        assert_eq!(scene.reason(), "forwarded");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn records_that_fail_are_503_and_nothing_is_lost() {
    let (scene, tokens) = usual();
    connect(&scene, &tokens, first());
    scene.world.records_down(true);
    let reply = scene.call(call(&tokens));
    assert_eq!((reply.status, scene.reason().as_str()), (503, "origin_credential_unavailable"));
    scene.world.records_down(false);
    scene.world.pass(3);
    assert_eq!(scene.call(call(&tokens)).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn subjects_with_separators_stay_apart() {
    let (scene, tokens) = usual();
    let names = ["ada https://gate.example/mcp", "ada", "ad", "a da", "ada/\u{0}", "ada %20"];
    for (at, name) in names.iter().enumerate() {
        *scene.user.borrow_mut() = json!({ "sub": name });
        let browser = scene.other_browser();
        let (_, own) = browser.logged_in();
        let answer = json!({ "access_token": format!("access-{at}"), "token_type": "Bearer", "expires_in": 3600 });
        assert_eq!(connect(&browser, &own, answer).status, 200, "{name:?}");
        assert_eq!(browser.call(call(&own)).status, 200);
        let sent = scene.world.sent().last().expect("a request").fields.clone();
        assert_eq!(sent.get("authorization"), Some(format!("Bearer access-{at}").as_str()), "{name:?}");
    }
    let _ = tokens;
}

#[wasm_bindgen_test(unsupported = test)]
fn the_record_gives_one_turn_at_a_time_and_forgets_no_newer_tokens() {
    let connection = |sealed: &str| {
        let (issuer, scope) = (THIRD.to_owned(), "tools:call".to_owned());
        let (created, used) = (NOON, NOON);
        let until = NOON + UNUSED_SECONDS;
        Connection { sealed: sealed.to_owned(), issuer, scope, created, used, version: 0, refreshing: 0, until }
    };
    let mut kept: Option<StoredRecord> = None;
    let mut ask = |asked: ConnectionQuestion, now: u64| {
        let (text, change) = answer(kept.as_ref(), &question::<Connection>(asked), now).expect("it answers");
        match change {
            Change::None => {}
            Change::Keep(record, _) => kept = Some(record),
            Change::Forget => kept = None,
        }
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    let version =
        ask(ConnectionQuestion::Keep(Box::new(connection("one")), NOON), NOON)["connection"]["version"].as_u64();
    let version = version.expect("a version");
    assert_eq!(ask(ConnectionQuestion::BeginRefresh(version, 10), NOON)["turn"], true);
    assert_eq!(ask(ConnectionQuestion::BeginRefresh(version, 10), NOON + 9)["turn"], false);
    // The answer was lost: another isolate tries again with the same tokens.
    assert_eq!(ask(ConnectionQuestion::BeginRefresh(version, 10), NOON + 10)["turn"], true);
    let refreshed = |text: &str| ConnectionQuestion::Refreshed(version, text.to_owned(), "tools:call".to_owned());
    assert_eq!(ask(refreshed("two"), NOON + 11)["connection"]["sealed"], "two");
    // What comes late replaces and ends nothing.
    assert_eq!(ask(refreshed("late"), NOON + 12)["connection"]["sealed"], "two");
    assert_eq!(ask(ConnectionQuestion::Refused(version), NOON + 12)["connection"]["sealed"], "two");
    assert_eq!(ask(ConnectionQuestion::BeginRefresh(version, 10), NOON + 12)["turn"], false);
    ask(ConnectionQuestion::Keep(Box::new(connection("three")), NOON + 13), NOON + 13);
    assert_eq!(ask(ConnectionQuestion::Refused(version + 1), NOON + 14)["connection"]["sealed"], "three");
    assert_eq!(ask(ConnectionQuestion::Forget, NOON + 15)["connection"]["sealed"], "three");
    assert_eq!(ask(ConnectionQuestion::Read, NOON + 15)["connection"], Value::Null);
    assert_eq!(ask(refreshed("ghost"), NOON + 16)["connection"], Value::Null);
    // A user who began before the connection was ended does not bring it back; one who begins after that does.
    ask(ConnectionQuestion::Keep(Box::new(connection("late")), NOON + 15), NOON + 17);
    assert_eq!(ask(ConnectionQuestion::Use, NOON + 17)["connection"], Value::Null);
    ask(ConnectionQuestion::Keep(Box::new(connection("new")), NOON + 16), NOON + 18);
    assert_eq!(ask(ConnectionQuestion::Use, NOON + 18)["connection"]["sealed"], "new");
}

/// Two servers behind one gateway, of which the second is hostile.
fn two_servers(hostile: Value) -> (Scene, Value) {
    let mut document = per_user(json!({}), json!({}));
    let mut second = document["resources"][0].clone();
    second["path"] = json!("/evil");
    second["origin"] = json!("https://evil.example/mcp");
    document["resources"].as_array_mut().expect("a list").push(second);
    let gateway = open_with(document, &secrets()).expect("the document is right");
    let scene = Scene { gateway, ..Scene::new() };
    let mut honest = server_metadata();
    honest["authorization_response_iss_parameter_supported"] = json!(false);
    let named = json!({ "resource": "https://evil.example/mcp", "authorization_servers": ["https://evil.example"] });
    for (url, body) in [
        (RESOURCE_METADATA, resource_metadata()),
        (SERVER_METADATA, honest),
        ("https://evil.example/.well-known/oauth-protected-resource/mcp", named),
        ("https://evil.example/.well-known/oauth-authorization-server", hostile),
    ] {
        scene.world.document(url, Ok(&body.to_string()));
    }
    let client = scene.client(LOOPBACK);
    let code = scene.code(&client, LOOPBACK, &[("resource", Some("https://gate.example/evil"))]);
    let tokens = scene.redeem(&client, &code).json();
    (scene, tokens)
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_of_one_server_is_not_taken_for_that_of_another() {
    let evil = "https://evil.example";
    let (scene, tokens) = two_servers(json!({
        "issuer": evil,
        "authorization_endpoint": format!("{evil}/authorize"),
        "token_endpoint": format!("{evil}/token"),
        "code_challenge_methods_supported": ["S256"],
        "client_id_metadata_document_supported": true,
    }));
    let to_evil = scene.call(call_at("/evil", &tokens));
    let page_of = scene.browse(Request::get(&link(&to_evil)));
    let begun = begin(&scene, &page_of);
    let asked = answered(&begun);
    assert_eq!(asked.get("redirect_uri"), Some("https://gate.example/connected/evil"));
    assert_eq!(asked.get("client_id"), Some("https://gate.example/client/evil"));
    // The hostile server sends the browser on to the honest one, with the honest one's client and redirect URI.
    let before = scene.world.asked().len();
    let parameters = [("state", asked.get("state").expect("a state")), ("code", "honest-code")];
    let reply = scene.browse(Request::get(&format!("/connected/mcp?{}", form(&parameters))));
    assert_eq!((reply.status, scene.reason().as_str()), (400, "login_stale"));
    assert_eq!(scene.world.asked().len(), before, "the code goes nowhere");
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_and_secrets_of_one_issuer_never_reach_another() {
    let (scene, tokens) = registering();
    register(&scene, &json!({ "client_id": "made", "client_secret": "their-secret" }));
    assert_eq!(connect(&scene, &tokens, first()).status, 200);
    let evil = "https://evil.example";
    let named = json!({ "resource": "https://tools.example/mcp", "authorization_servers": [evil] });
    scene.world.document(RESOURCE_METADATA, Ok(&named.to_string()));
    let hostile = json!({
        "issuer": evil,
        "authorization_endpoint": format!("{evil}/authorize"),
        "token_endpoint": format!("{evil}/token"),
        "revocation_endpoint": format!("{evil}/revoke"),
        "code_challenge_methods_supported": ["S256"],
        "client_id_metadata_document_supported": true,
    });
    scene.world.document("https://evil.example/.well-known/oauth-authorization-server", Ok(&hostile.to_string()));
    scene.world.pass(61);
    // Another isolate, which has yet to find the authorization server.
    let scene = other_isolate(&scene, per_user(json!({}), json!({})));
    assert_eq!((scene.call(call(&tokens)).status, scene.reason().as_str()), (200, "not_connected"));
    assert_eq!(administrator(&scene, "delete")["disconnected"], json!(["https://gate.example/mcp"]));
    assert!(scene.world.asked().iter().all(|asked| !asked.url.starts_with(evil)));
    assert!(scene.world.lines().iter().any(|line| line["reason"] == "connection_not_revoked"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_challenge_of_the_server_says_where_its_metadata_is_and_which_scopes_it_needs() {
    let (scene, tokens) = usual();
    let origin = "https://tools.example/mcp";
    let elsewhere = "https://meta.tools.example/resource.json";
    scene.world.document(RESOURCE_METADATA, Err("connection refused"));
    scene.world.document(elsewhere, Ok(&resource_metadata().to_string()));
    let challenge = format!("Bearer realm=\"a, scope=x\", resource_metadata=\"{elsewhere}\", scope=now");
    scene.world.challenge(origin, &challenge);
    let begun = begin(&scene, &page(&scene, &tokens));
    assert_eq!(answered(&begun).get("scope"), Some("now"));
    let question = scene.world.asked().iter().find(|asked| asked.url == origin).expect("a question").clone();
    assert!(question.fields.iter().all(|(name, _)| *name != "authorization"));
    // What is not public is not fetched, and the well-known location is left.
    for location in ["http://meta.tools.example/r", "https://10.0.0.8/r", "https://localhost/r", "nonsense"] {
        let (scene, tokens) = usual();
        scene.world.challenge(origin, &format!("Bearer resource_metadata=\"{location}\""));
        assert_eq!(page(&scene, &tokens).status, 200, "{location}");
        assert!(!scene.world.fetched().contains(&location.to_owned()), "{location}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn more_scopes_are_asked_for_beside_those_that_were_granted() {
    let (scene, tokens) = usual();
    let answer = |token: &str, scope: &str| json!({ "access_token": token, "token_type": "Bearer", "scope": scope });
    assert_eq!(connect(&scene, &tokens, answer("narrow", "tools:call write")).status, 200);
    assert_eq!(scene.call(call(&tokens)).status, 200);
    let challenge = "DPoP algs=\"ES256\", Bearer error=insufficient_scope, error_description=\"needs \\\"scope\\\" delete, scope=x\", scope=\"delete\"";
    scene.world.origin(Ok((403, &[("www-authenticate", challenge)])));
    let lacking = scene.call(call(&tokens));
    assert_eq!(scene.reason(), "not_connected");
    let begun = begin(&scene, &scene.browse(Request::get(&link(&lacking))));
    assert_eq!(answered(&begun).get("scope"), Some("delete tools:call write"));
    issue(&scene, answer("wide", "delete tools:call write"));
    assert_eq!(come_back(&scene, &begun).status, 200);
    scene.world.origin(Ok((200, &[("content-type", "application/json")])));
    assert_eq!(scene.call(call(&tokens)).status, 200);
    let sent = scene.world.sent().last().expect("a request").fields.clone();
    assert_eq!(sent.get("authorization"), Some("Bearer wide"), "at once: the old token is forgotten");
}

#[wasm_bindgen_test(unsupported = test)]
fn lifetimes_that_are_very_short_or_very_long_are_used() {
    for seconds in [1, 2, 5, 6, 18_000_000_000_000_000_u64, u64::MAX] {
        let (scene, tokens) = usual();
        let answer = json!({ "access_token": "it", "token_type": "Bearer", "expires_in": seconds });
        assert_eq!(connect(&scene, &tokens, answer).status, 200, "{seconds}");
        assert_eq!(scene.call(call(&tokens)).status, 200, "{seconds}");
        assert_eq!(scene.reason(), "forwarded", "{seconds}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_that_is_issued_again_after_it_was_refused_is_used() {
    let (scene, tokens) = usual();
    let same = json!({ "access_token": "same", "token_type": "Bearer" });
    connect(&scene, &tokens, same.clone());
    assert_eq!(scene.call(call(&tokens)).status, 200);
    scene.world.pass(20);
    scene.world.origin(Ok((401, &[])));
    assert_eq!(scene.call(call(&tokens)).status, 502);
    assert_eq!((scene.call(call(&tokens)).status, scene.reason().as_str()), (200, "not_connected"));
    scene.world.pass(5);
    scene.world.origin(Ok((200, &[("content-type", "application/json")])));
    assert_eq!(connect(&scene, &tokens, same).status, 200);
    for _ in 0..2 {
        assert_eq!((scene.call(call(&tokens)).status, scene.reason().as_str()), (200, "forwarded"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_that_forgot_the_registered_client_gets_a_new_one() {
    let (scene, tokens) = registering();
    let make = |id: &str, method: &str| {
        register(&scene, &json!({ "client_id": id, "client_secret": "s", "token_endpoint_auth_method": method }));
    };
    make("one", "client_secret_post");
    assert_eq!(connect(&scene, &tokens, first()).status, 200);
    let sent = scene.world.asked().last().expect("a request").clone();
    assert!(sent.body.contains("client_secret=s") && sent.fields.iter().all(|(name, _)| *name != "authorization"));
    scene.world.pass(60);
    issue(&scene, json!({ "error": "invalid_client" }));
    assert_eq!((scene.call(call(&tokens)).status, scene.reason().as_str()), (200, "not_connected"));
    make("two", "none");
    assert_eq!(connect(&scene, &tokens, first()).status, 200);
    let sent = scene.world.asked().last().expect("a request").clone();
    assert!(sent.body.contains("client_id=two") && !sent.body.contains("client_secret"), "{}", sent.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_connection_that_was_ended_meanwhile_stays_ended() {
    let scene = ended_meanwhile();
    assert!(scene.world.all_records().iter().all(|record| !record.contains("\"issuer\":\"https://auth.tools")));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_connection_to_a_resource_that_left_the_configuration_is_listed_and_deleted() {
    let (scene, tokens) = usual();
    connect(&scene, &tokens, first());
    let mut renamed = per_user(json!({}), json!({}));
    renamed["resources"][0]["path"] = json!("/other");
    let later = other_isolate(&scene, renamed);
    assert_eq!(administrator(&later, "show")["connections"][0]["resource"], "https://gate.example/mcp");
    let disconnect = |resource: &str| {
        let asked = json!({ "action": "disconnect", "subject": "ada", "resource": resource }).to_string();
        later.call(Request::post("/admin").bearer(SECRET).body(asked.as_bytes())).status
    };
    assert_eq!(disconnect("https://gate.example/else"), 404);
    assert_eq!(disconnect("https://gate.example/mcp"), 200);
    assert_eq!(administrator(&later, "show")["connections"], json!([]));
    scene.world.pass(61);
    connect(&scene, &tokens, first());
    assert_eq!(administrator(&later, "delete")["disconnected"], json!(["https://gate.example/mcp"]));
    assert_eq!(administrator(&later, "show")["connections"], json!([]));
    scene.world.pass(61);
    scene.call(call(&tokens));
    assert_ne!(scene.reason(), "forwarded", "the old name finds nothing either");
}

#[wasm_bindgen_test(unsupported = test)]
fn configurations_whose_users_could_not_prove_who_they_are() {
    let lines = |document: Value| {
        open_with(document, &secrets()).err().map(|mistakes| mistakes.lines().join("\n")).unwrap_or_default()
    };
    let mut alone = per_user(json!({}), json!({}));
    alone.as_object_mut().expect("a table").remove("authorization_server");
    alone["issuers"] = json!([{ "name": "portcullis", "issuer": ISSUER }]);
    assert!(lines(alone).contains("credential.per_user: needs authorization_server"));
    let mut other = per_user(json!({}), json!({}));
    other["issuers"] = json!([{ "name": "other", "issuer": "https://other.example" }]);
    other["resources"][0]["issuers"] = json!(["portcullis", "other"]);
    assert!(lines(other).contains("cannot be used with issuer \"other\""));
    let mut same = per_user(json!({}), json!({}));
    same["issuers"] = json!([{ "name": "same", "issuer": ISSUER }]);
    same["resources"][0]["issuers"] = json!(["portcullis", "same"]);
    assert_eq!(lines(same), "");
    for (table, why) in [
        (json!({ "secret": "IDP" }), "client_id: is required with secret"),
        (json!({ "client_id": "x", "secret": "IDP" }), "issuer: is required with client_id"),
        (json!({ "client_id": "x" }), "issuer: is required with client_id"),
        (
            json!({ "client_id": "x", "authentication": "private_key_jwt" }),
            "authentication: needs client_id and secret",
        ),
        (json!({ "issuer": "http://auth.example" }), "issuer: must be https"),
        (json!({ "parameters": { "state": "x" } }), "parameters.state: is set by the gateway itself"),
        (json!({ "timeout_seconds": 0 }), "timeout_seconds: must be 1 to 30"),
        (json!({ "vault": "x" }), "vault: unknown key"),
    ] {
        let found = lines(per_user(json!({}), table));
        assert!(found.contains(&format!("credential.per_user.{why}")), "{why}: {found}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_that_arrive_after_the_connection_was_ended_are_revoked_and_not_used() {
    let (scene, tokens) = usual();
    connect(&scene, &tokens, first());
    scene.world.pass(60);
    let other = other_isolate(&scene, per_user(json!({}), json!({})));
    scene.world.answer_by(move |asked, _| {
        if asked.body.contains("grant_type=refresh_token") {
            administrator(&other, "delete");
        }
        let new = json!({ "access_token": "second", "token_type": "Bearer", "refresh_token": "second-refresh" });
        (200, new.to_string())
    });
    let sent = scene.world.sent().len();
    assert_eq!((scene.call(call(&tokens)).status, scene.reason().as_str()), (200, "not_connected"));
    assert_eq!(scene.world.sent().len(), sent);
    let revoked = |token: &str| {
        let body = format!("token={token}&");
        scene.world.asked().iter().any(|asked| asked.url.ends_with("/revoke") && asked.body.contains(&body))
    };
    assert!(revoked("second-refresh") && revoked("second") && revoked("first-refresh"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_that_acts_for_itself_gets_no_link() {
    let client = json!({
        "client_id": "machine",
        "token_endpoint_auth_method": "client_secret_basic",
        "secret": "ADMIN",
        "grant_types": ["client_credentials"],
        "scopes": ["mcp:tools"],
    });
    let machine = json!({ "clients": [client] });
    let gateway = open_with(per_user(machine, json!({})), &secrets()).expect("the document is right");
    let scene = Scene { gateway, ..Scene::new() };
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("machine:{}", SECRET.replace(' ', "+")));
    let request =
        post("/token", &[("grant_type", "client_credentials")]).field("authorization", &format!("Basic {basic}"));
    let tokens = scene.call(request).json();
    let reply = scene.call(call(&tokens));
    assert_eq!((reply.status, scene.reason().as_str()), (403, "origin_credential_denied"));
    assert!(!reply.body.contains("/connect?"));
}
