//! Calls that wait until a person approves them.

use portcullis::mcp::input_needed::APPROVAL;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const HOOK: &str = "https://chat.example/approvals";

fn rules(rule: Value, resource: Value) -> Value {
    let mut approve = json!({ "id": "pay", "tools": ["pay"], "effect": "approve" });
    for (name, value) in rule.as_object().expect("a table") {
        approve[name] = value.clone();
    }
    let mut all = document(json!({}), json!({}));
    all["sessions"] = json!({ "secrets": ["SEAL"] });
    all["decision_log"] = json!({});
    all["resources"][0]["rules"] = json!([approve, { "tools": ["*"], "effect": "allow" }]);
    for (name, value) in resource.as_object().expect("a table") {
        all["resources"][0][name] = value.clone();
    }
    all
}

/// A scene in which calls of `pay` wait, and a logged in user of it.
fn waiting(rule: Value, resource: Value) -> (Scene, Value) {
    let gateway = open_with(rules(rule, resource), &secrets()).expect("the document is right");
    let scene = Scene { gateway, ..Scene::new() };
    scene.world.serve_by(|sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        let result = json!({ "content": [{ "type": "text", "text": asked["params"].to_string() }] });
        Some((200, "application/json", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
    });
    let (_, tokens) = scene.logged_in();
    scene.world.pass(1);
    (scene, tokens)
}

fn usual() -> (Scene, Value) {
    waiting(json!({}), json!({}))
}

fn message(name: &str, arguments: &Value, more: &Value) -> Value {
    let mut params = json!({
        "name": name,
        "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "url": {} } },
        },
    });
    for (name, value) in more.as_object().expect("a table") {
        params[name] = value.clone();
    }
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params })
}

fn modern(scene: &Scene, tokens: &Value, (name, arguments, more): (&str, &Value, &Value)) -> Value {
    let body = message(name, arguments, more).to_string();
    let request = Request::post("/mcp").bearer(text(tokens, "access_token")).body(body.as_bytes());
    let request = request.field("mcp-protocol-version", "2026-07-28").field("mcp-method", "tools/call");
    let reply = scene.call(request.field("mcp-name", name));
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["result"].clone()
}

fn legacy(scene: &Scene, tokens: &Value, body: &Value) -> Reply {
    let body = body.to_string();
    let request = Request::post("/mcp").bearer(text(tokens, "access_token")).body(body.as_bytes());
    scene.call(request.field("mcp-protocol-version", "2025-11-25"))
}

fn plain(arguments: &Value) -> Value {
    let params = json!({ "name": "pay", "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params })
}

fn words(result: &Value) -> String {
    result["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

/// The path of the page for a call that waits.
fn path(result: &Value) -> String {
    assert_eq!(text(result, "resultType"), "input_required", "{result}");
    let asked = &result["inputRequests"][APPROVAL];
    assert_eq!((text(asked, "method"), text(&asked["params"], "mode")), ("elicitation/create", "url"));
    text(&asked["params"], "url").strip_prefix(PUBLIC).expect("a URL of the gateway").to_owned()
}

/// What a client brings back after its user opened the page.
fn back(result: &Value) -> Value {
    json!({ "requestState": result["requestState"], "inputResponses": { APPROVAL: { "action": "accept" } } })
}

/// Opens a page, and logs in for it.
fn open(scene: &Scene, path: &str) -> Reply {
    let begun = scene.browse(Request::get(path));
    assert_eq!((begun.status, scene.reason().as_str()), (302, "login_begun"));
    assert!(onward(&begun).contains("prompt=login"), "a session at the provider is not enough");
    let back = scene.browse(scene.come_back(&begun));
    assert_eq!((back.status, back.field("location")), (302, format!("{PUBLIC}{path}").as_str()), "{}", back.body);
    scene.browse(Request::get(path))
}

fn decide(scene: &Scene, page: &Reply, path: &str, (decision, reason): (&str, &str)) -> Reply {
    let sealed = between(&page.body, "name=\"form\" value=\"", "\"");
    let form = [("form", sealed.as_str()), ("decision", decision), ("reason", reason)];
    scene.browse(post(path, &form).field("origin", PUBLIC))
}

fn approve(scene: &Scene, path: &str) {
    let scene = &scene.other_browser();
    let page = open(scene, path);
    assert_eq!(page.status, 200, "{}", page.body);
    let done = decide(scene, &page, path, ("approve", ""));
    assert_eq!((done.status, scene.reason().as_str()), (200, "call_approved"), "{}", done.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_call_waits_and_is_made_once() {
    let (scene, tokens) = usual();
    let pay = json!({ "to": "DE12", "amount": 5 });
    let first = modern(&scene, &tokens, ("pay", &pay, &json!({})));
    assert!(scene.world.sent().is_empty(), "nothing is forwarded before");
    let path = path(&first);

    // It comes again before a person decided: it is held for a while, and then the same page is named.
    let before = scene.world.time().seconds();
    let again = modern(&scene, &tokens, ("pay", &pay, &back(&first)));
    assert!((20..25).contains(&(scene.world.time().seconds() - before)));
    assert_eq!(self::path(&again), path);

    let page = open(&scene, &path);
    for shown in ["<code>pay</code>", "DE12", "amount", "<code>ada</code> (you)", "Rule <code>pay</code>", RESOURCE] {
        assert!(page.body.contains(shown), "{shown} is not shown: {}", page.body);
    }
    assert_eq!(page.field("x-frame-options"), "DENY");
    assert!(!page.body.contains("<script"));
    let done = decide(&scene, &page, &path, ("approve", "fine"));
    assert_eq!((done.status, scene.reason().as_str()), (200, "call_approved"));

    let made = modern(&scene, &tokens, ("pay", &pay, &back(&again)));
    let forwarded: Value = serde_json::from_str(&words(&made)).expect("the params");
    assert_eq!((&forwarded["arguments"], forwarded.get("requestState")), (&pay, None));
    assert_eq!(forwarded.get("inputResponses"), None, "the answers are the gateway's own");
    assert_eq!(scene.world.sent().len(), 1);

    // The approval is used up.
    let next = modern(&scene, &tokens, ("pay", &pay, &json!({})));
    assert_eq!(self::path(&next), path);
    assert_eq!(scene.world.sent().len(), 1);
    assert_eq!(
        (decide(&scene, &page, &path, ("approve", "")).status, scene.reason().as_str()),
        (404, "approval_stale")
    );

    let lines: Vec<Value> =
        scene.world.decisions().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let states: Vec<&str> = lines.iter().map(|line| text(line, "approval_state")).collect();
    assert_eq!(states, ["waits", "waits", "approved", "waits"]);
    let approved = &lines[2];
    assert_eq!((text(approved, "verdict"), text(approved, "approval").len()), ("approve", 43));
    assert_eq!(text(approved, "approver").len(), 16);
    assert!(text(approved, "decided_at").starts_with("2026-11-23T12:0"));
    let log: Vec<String> = scene.world.lines().iter().map(ToString::to_string).collect();
    assert!(log.iter().chain(&scene.world.decisions()).all(|line| !line.contains("DE12")), "no argument is logged");
    assert!(scene.world.all_records().iter().all(|record| !record.contains("DE12")), "arguments rest sealed");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_denial_is_an_error_of_the_tool() {
    let (scene, tokens) = waiting(json!({}), json!({ "approvals": { "seconds": 300 } }));
    let pay = json!({ "amount": 5 });
    let first = modern(&scene, &tokens, ("pay", &pay, &json!({})));
    let path = path(&first);
    let page = open(&scene, &path);
    assert_eq!(decide(&scene, &page, &path, ("no", "")).status, 400);
    let done = decide(&scene, &page, &path, ("deny", "Too much <b>"));
    assert_eq!((done.status, scene.reason().as_str()), (200, "call_denied"));
    for more in [back(&first), json!({})] {
        let result = modern(&scene, &tokens, ("pay", &pay, &more));
        assert_eq!((&result["isError"], text(&result, "resultType")), (&json!(true), "complete"));
        assert_eq!(
            words(&result),
            "The gateway did not forward this call. It was not approved. The reason: Too much <b>"
        );
        assert_eq!(scene.reason(), "call_denied");
    }
    assert!(scene.world.sent().is_empty());
    let last: Value = serde_json::from_str(scene.world.decisions().last().expect("a line")).expect("JSON");
    assert_eq!((text(&last, "approval_state"), text(&last, "approver").len()), ("denied", 16));
    // A person is not asked again at once.
    scene.world.pass(301);
    self::path(&modern(&scene, &tokens, ("pay", &pay, &json!({}))));
    // A user who does not want to open the page is not asked to.
    let other = json!({ "amount": 6 });
    let first = modern(&scene, &tokens, ("pay", &other, &json!({})));
    for action in ["decline", "cancel"] {
        let more =
            json!({ "requestState": first["requestState"], "inputResponses": { APPROVAL: { "action": action } } });
        let result = modern(&scene, &tokens, ("pay", &other, &more));
        assert!(words(&result).ends_with("The reason: the user declined"), "{result}");
    }
    assert_eq!(
        (scene.browse(Request::get(&self::path(&first))).status, scene.reason().as_str()),
        (404, "approval_stale")
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_state_is_for_one_call_of_one_caller() {
    let (scene, tokens) = usual();
    let pay = json!({ "to": "DE12", "amount": 5 });
    let first = modern(&scene, &tokens, ("pay", &pay, &json!({})));
    approve(&scene, &path(&first));
    let refused = |tokens: &Value, arguments: &Value| {
        let body = message("pay", arguments, &back(&first)).to_string();
        let request = Request::post("/mcp").bearer(text(tokens, "access_token")).body(body.as_bytes());
        let request = request.field("mcp-protocol-version", "2026-07-28").field("mcp-method", "tools/call");
        let reply = scene.call(request.field("mcp-name", "pay"));
        assert_eq!((reply.json()["error"]["code"].as_i64(), scene.reason().as_str()), (Some(-32602), "state_unknown"));
    };
    refused(&tokens, &json!({ "to": "DE12", "amount": 6 }));
    *scene.user.borrow_mut() = json!({ "sub": "eve" });
    let other = scene.other_browser();
    let (_, theirs) = other.logged_in();
    refused(&theirs, &pay);
    assert_ne!(path(&modern(&scene, &theirs, ("pay", &pay, &json!({})))), path(&first), "another caller waits anew");
    assert_ne!(path(&modern(&scene, &tokens, ("pay", &json!({ "amount": 6 }), &json!({})))), path(&first));
    // The same arguments in another order are the same call.
    let made = modern(&scene, &tokens, ("pay", &json!({ "amount": 5, "to": "DE12" }), &back(&first)));
    assert!(words(&made).contains("DE12"));
}

#[wasm_bindgen_test(unsupported = test)]
fn only_the_caller_approves_after_a_fresh_login() {
    let (scene, tokens) = usual();
    let path = path(&modern(&scene, &tokens, ("pay", &json!({}), &json!({}))));
    // A login from before the call is not enough.
    let page = open(&scene, &path);
    scene.world.pass(2);
    let next = self::path(&modern(&scene, &tokens, ("pay", &json!({ "amount": 2 }), &json!({}))));
    let shown = scene.browse(Request::get(&next));
    assert_eq!((shown.status, scene.reason().as_str()), (302, "login_begun"));
    // The form of one call decides about no other, and not from another page.
    assert_eq!((decide(&scene, &page, &next, ("approve", "")).status, scene.reason().as_str()), (400, "consent_stale"));
    let sealed = between(&page.body, "name=\"form\" value=\"", "\"");
    let form = [("form", sealed.as_str()), ("decision", "approve")];
    assert_eq!(scene.browse(post(&path, &form).field("origin", "https://evil.example")).status, 403);
    assert_eq!(scene.browse(post(&path, &form)).status, 403);
    // Another person learns nothing, and decides nothing: also with the form of the first one.
    let other = scene.other_browser();
    *other.user.borrow_mut() = json!({ "sub": "eve" });
    let refused = open(&other, &path);
    assert_eq!((refused.status, other.reason().as_str()), (403, "not_approver"));
    assert!(!refused.body.contains("pay"), "{}", refused.body);
    assert_eq!(other.browse(post(&path, &form).field("origin", PUBLIC)).status, 400);
    // An id that does not exist.
    assert_eq!(open(&scene.other_browser(), "/approvals/x").status, 404);
    assert_eq!(scene.browse(Request::new(Method::Delete, &path)).status, 405);
    // A provider that shows an older login.
    let begun = scene.other_browser();
    let redirect = begun.browse(Request::get(&path));
    let asked = answered(&redirect);
    let old = scene.world.time().seconds() - 3600;
    begun.provide(&begun.id_token(asked.get("nonce").expect("a nonce"), &json!({ "auth_time": old })));
    let came = begun.browse(callback(asked.get("state").expect("a state"), &[("code", "c"), ("iss", ISSUER)]));
    assert_eq!(came.status, 502, "{}", came.body);
    assert!(scene.world.sent().is_empty());
    let done = decide(&scene, &page, &path, ("approve", ""));
    assert_eq!(done.status, 200, "the first login is still good for the first call");
}

#[wasm_bindgen_test(unsupported = test)]
fn members_of_a_group_approve_the_calls_of_others() {
    let rule = json!({ "approver_groups": ["finance"] });
    let approvals = json!({ "url": HOOK, "secret": "ADMIN", "queue": "CALLS", "wait_seconds": 0, "seconds": 600 });
    let (scene, tokens) = waiting(rule, json!({ "approvals": approvals }));
    scene.world.answer(HOOK, Ok((204, "text/plain", "")));
    let path = path(&modern(&scene, &tokens, ("pay", &json!({ "to": "X\u{202e}Y", "n": [1, 2] }), &json!({}))));
    scene.world.run_background();
    let asked = scene.world.asked();
    let sent = asked.iter().find(|asked| asked.url == HOOK).expect("a message");
    assert_eq!(sent.field("authorization"), format!("Bearer {SECRET}"));
    let notice: Value = serde_json::from_str(&sent.body).expect("JSON");
    assert_eq!(scene.world.queued(), [("CALLS".to_owned(), sent.body.clone())]);
    assert_eq!((text(&notice, "event"), text(&notice, "tool")), ("approval_needed", "pay"));
    assert_eq!(text(&notice, "url"), format!("{PUBLIC}{path}"));
    assert_eq!((text(&notice["caller"], "subject"), notice.get("arguments")), ("ada", None));
    assert_eq!(notice["approvers"], json!({ "caller": false, "groups": ["finance"] }));

    // The caller is no approver of the own call, also as a member.
    *scene.user.borrow_mut() = json!({ "sub": "ada", "groups": ["finance"] });
    assert_eq!((open(&scene, &path).status, scene.reason().as_str()), (403, "not_approver"));
    let list = scene.browse(Request::get("/approvals"));
    assert!(list.body.contains("No call waits for you."), "{}", list.body);

    let boss = scene.other_browser();
    *boss.user.borrow_mut() = json!({ "sub": "boss", "groups": ["staff", "finance"] });
    let list = open(&boss, "/approvals");
    assert!(list.body.contains(&format!("{PUBLIC}{path}")) && list.body.contains("<code>ada</code>"), "{}", list.body);
    let page = boss.browse(Request::get(&path));
    assert!(
        page.body.contains("X<mark>U+202E</mark>Y")
            && page.body.contains("a member of <code>finance</code>, and not the caller")
    );
    assert_eq!(decide(&boss, &page, &path, ("approve", "")).status, 200);
    assert!(boss.browse(Request::get("/approvals")).body.contains("No call waits for you."));
    let made = modern(&scene, &tokens, ("pay", &json!({ "to": "X\u{202e}Y", "n": [1, 2] }), &json!({})));
    assert!(words(&made).contains("arguments"), "{made}");

    let colleague = scene.other_browser();
    *colleague.user.borrow_mut() = json!({ "sub": "bob", "groups": ["staff"] });
    let next = self::path(&modern(&scene, &tokens, ("pay", &json!({}), &json!({}))));
    assert_eq!((open(&colleague, &next).status, colleague.reason().as_str()), (403, "not_approver"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_message_that_no_one_takes_is_in_the_log() {
    let (scene, tokens) = waiting(json!({}), json!({ "approvals": { "url": HOOK } }));
    scene.world.answer(HOOK, Ok((500, "text/plain", "")));
    modern(&scene, &tokens, ("pay", &json!({}), &json!({})));
    scene.world.run_background();
    let failed = scene.world.lines().into_iter().find(|line| line["reason"] == "notification_failed").expect("a line");
    assert!(text(&failed, "detail").ends_with("the webhook: status 500"), "{failed}");
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_of_the_legacy_era_learn_the_url() {
    let (scene, tokens) = usual();
    let pay = plain(&json!({ "amount": 5 }));
    let notice = legacy(&scene, &tokens, &pay).json();
    let said = words(&notice["result"]);
    assert_eq!(notice["result"]["isError"], true);
    assert!(said.starts_with("You have to approve this call of \"pay\" in a browser: https://gate.example/approvals/"));
    assert!(said.ends_with(" Then call the tool again with the same arguments."), "{said}");
    let path = between(&said, PUBLIC, " ");
    approve(&scene, &path);
    let made = legacy(&scene, &tokens, &pay).json();
    assert!(words(&made["result"]).contains("\"amount\":5"));

    // A client that declared URL mode elicitation when it opened its session gets the error for it.
    scene.world.serve_with(|sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        let fields = vec![("content-type", "application/json".to_owned()), ("mcp-session-id", "theirs".to_owned())];
        Some((200, fields, json!({ "jsonrpc": "2.0", "id": asked["id"], "result": {} }).to_string()))
    });
    for (capabilities, code) in [(json!({ "elicitation": { "url": {} } }), Some(-32042)), (json!({}), None)] {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": { "name": "c", "version": "1" },
        });
        let begun =
            legacy(&scene, &tokens, &json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }));
        let session = begun.field("mcp-session-id").to_owned();
        assert!(session.len() > 40, "{}", begun.body);
        let body = plain(&json!({ "amount": 6 })).to_string();
        let request = Request::post("/mcp").bearer(text(&tokens, "access_token")).body(body.as_bytes());
        let request = request.field("mcp-protocol-version", "2025-11-25").field("mcp-session-id", &session);
        let said = scene.call(request).json();
        assert_eq!(said["error"]["code"].as_i64(), code, "{said}");
        if code.is_some() {
            let elicitation = &said["error"]["data"]["elicitations"][0];
            assert_eq!((text(elicitation, "mode"), text(elicitation, "elicitationId").len()), ("url", 43));
            assert!(text(elicitation, "url").starts_with("https://gate.example/approvals/"));
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_cannot_be_approved_is_refused() {
    let (scene, tokens) = usual();
    let batch = json!([plain(&json!({})), plain(&json!({ "a": 1 }))]).to_string();
    let request = Request::post("/mcp").bearer(text(&tokens, "access_token")).body(batch.as_bytes());
    let refused = scene.call(request.field("mcp-protocol-version", "2025-03-26"));
    assert_eq!((refused.status, scene.reason().as_str()), (403, "not_approvable"), "{}", refused.body);
    let large = json!({ "text": "x".repeat(33_000) });
    assert!(words(&modern(&scene, &tokens, ("pay", &large, &json!({})))).contains("more than 32768 bytes"));
    // One caller cannot fill the lists of approvers.
    for number in 0..10 {
        path(&modern(&scene, &tokens, ("pay", &json!({ "number": number }), &json!({}))));
    }
    let eleventh = modern(&scene, &tokens, ("pay", &json!({ "number": 10 }), &json!({})));
    assert!(words(&eleventh).contains("10 calls wait for approval already"), "{eleventh}");
    // Other calls pass, and the lists of tools have all.
    assert!(words(&modern(&scene, &tokens, ("look", &json!({}), &json!({})))).contains("look"));
    scene.world.records_down(true);
    let down = modern(&scene, &tokens, ("pay", &json!({ "number": 1 }), &json!({})));
    assert!(words(&down).contains("not possible at the moment"), "{down}");
    assert_eq!(scene.reason(), "approvals_unavailable");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_change_of_the_rules_ends_what_waits() {
    let (scene, tokens) = usual();
    let path = path(&modern(&scene, &tokens, ("pay", &json!({}), &json!({}))));
    let page = open(&scene, &path);
    let changed = open_with(rules(json!({ "id": "pay-2" }), json!({})), &secrets()).expect("the document is right");
    let scene = Scene { gateway: changed, ..scene };
    assert_eq!(
        (decide(&scene, &page, &path, ("approve", "")).status, scene.reason().as_str()),
        (409, "approval_stale")
    );
    assert_eq!(scene.browse(Request::get(&path)).status, 409);
    assert_ne!(self::path(&modern(&scene, &tokens, ("pay", &json!({}), &json!({})))), path);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_call_that_its_server_asks_about_goes_on_with_its_approval() {
    let (scene, tokens) = usual();
    scene.world.serve_by(|sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        let question = json!({ "method": "elicitation/create", "params": { "message": "Sure?", "requestedSchema": {} } });
        let result = match asked["params"].get("requestState") {
            None => json!({ "resultType": "input_required", "inputRequests": { "sure": question }, "requestState": "one" }),
            Some(_) => json!({ "resultType": "complete", "content": [{ "type": "text", "text": asked["params"].to_string() }] }),
        };
        Some((200, "application/json", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
    });
    let pay = json!({ "amount": 5 });
    let first = modern(&scene, &tokens, ("pay", &pay, &json!({})));
    approve(&scene, &path(&first));
    let asked = modern(&scene, &tokens, ("pay", &pay, &back(&first)));
    assert_eq!(asked["inputRequests"]["sure"]["params"]["message"], "Sure?");
    let answer = json!({ "requestState": asked["requestState"], "inputResponses": { "sure": { "action": "accept" } } });
    let made = modern(&scene, &tokens, ("pay", &pay, &answer));
    assert!(words(&made).contains("\"requestState\":\"one\"") && words(&made).contains("\"sure\""), "{made}");
    // Once.
    let again = modern(&scene, &tokens, ("pay", &pay, &answer));
    assert!(words(&again).contains("Its approval is used up."), "{again}");
    assert_eq!(scene.world.sent().len(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_rule_that_no_person_could_fulfil_is_a_mistake() {
    let refused = |document: Value, what: &str| {
        let mistakes = open_with(document, &secrets()).expect_err("a mistake").to_string();
        assert!(mistakes.contains(what), "{mistakes}");
    };
    refused(rules(json!({ "tools": null }), json!({})), "rules[0].tools: is required with approve");
    refused(rules(json!({ "methods": ["tools/call"] }), json!({})), "rules[0].methods: is not possible with approve");
    refused(rules(json!({ "approver_groups": [] }), json!({})), "rules[0].approver_groups: must not be empty");
    refused(rules(json!({ "approver_groups": [""] }), json!({})), "approver_groups[0]: must be the name of a group");
    refused(rules(json!({ "caller_approves": false }), json!({})), "caller_approves: leaves out every approver");
    refused(rules(json!({ "scopes": ["a"] }), json!({})), "rules[0].scopes: is only for step_up");
    refused(
        rules(json!({ "effect": "allow", "caller_approves": true }), json!({})),
        "caller_approves: is only for approve",
    );
    refused(rules(json!({}), json!({ "approvals": { "seconds": 59 } })), "approvals.seconds: must be 60 to 86400");
    refused(
        rules(json!({}), json!({ "approvals": { "wait_seconds": 61 } })),
        "approvals.wait_seconds: must be 0 to 60",
    );
    refused(
        rules(json!({}), json!({ "approvals": { "secret": "ADMIN" } })),
        "secret: has no effect without url or service",
    );
    refused(rules(json!({}), json!({ "approvals": { "url": "http://x.example" } })), "approvals.url: must be https");
    refused(
        rules(json!({ "effect": "allow" }), json!({ "approvals": {} })),
        "approvals: has no effect without a rule whose effect is approve",
    );
    let mut without = rules(json!({}), json!({}));
    without.as_object_mut().expect("a table").remove("sessions");
    refused(without, "resources[0].rules[0]: approve needs sessions");
    let other = json!([{ "name": "other", "issuer": "https://other.example" }]);
    let mut without = rules(json!({}), json!({ "issuers": ["other"] }));
    without["issuers"] = other.clone();
    without.as_object_mut().expect("a table").remove("authorization_server");
    refused(without, "resources[0].rules[0]: approve needs authorization_server");
    let mut foreign = rules(json!({}), json!({ "issuers": ["other"] }));
    foreign["issuers"] = other;
    let mistakes = open_with(foreign, &secrets()).expect_err("a mistake").to_string();
    assert!(mistakes.contains("no caller could approve"), "{mistakes}");
}

/// What comes beside the arguments is bound and shown, or does not reach the server.
#[wasm_bindgen_test(unsupported = test)]
fn no_more_is_forwarded_than_the_person_saw() {
    let (scene, tokens) = waiting(json!({}), json!({ "forward_fields": ["X-Tenant"] }));
    let pay = json!({ "amount": 2 });
    let ask = |target: &str, tenant: &str, more: &Value| {
        let mut body = message("pay", &pay, more);
        body["extra"] = json!("unseen");
        body["params"]["_meta"]["evil/amount"] = json!("unseen");
        body["params"]["_meta"]["baggage"] = json!("unseen");
        body["params"]["_meta"]["io.modelcontextprotocol/amount"] = json!("unseen");
        let body = body.to_string();
        let request = Request::post("/mcp").target(target).bearer(text(&tokens, "access_token")).body(body.as_bytes());
        let request = request.field("mcp-protocol-version", "2026-07-28").field("mcp-method", "tools/call");
        let request = request.field("mcp-name", "pay").field("mcp-param-amount", "66").field("x-tenant", tenant);
        scene.call(request).json()["result"].clone()
    };
    let more = json!({ "inputResponses": { "q": "unseen" }, "task": { "ttl": 5, "amount": "unseen" }, "unseen": {} });
    let first = ask("/mcp?set=a", "acme", &more);
    let page = open(&scene, &path(&first));
    for shown in ["?set=a", "x-tenant", "acme"] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    assert_eq!(decide(&scene, &page, &path(&first), ("approve", "")).status, 200);
    assert_ne!(path(&ask("/mcp?set=b", "acme", &more)), path(&first));
    assert_ne!(path(&ask("/mcp?set=a", "other", &more)), path(&first));
    assert!(scene.world.sent().is_empty());
    assert!(words(&ask("/mcp?set=a", "acme", &more)).contains("amount"));
    let sent = scene.world.sent().pop().expect("a request");
    let body = String::from_utf8(sent.body.clone()).expect("UTF-8");
    assert!(!body.contains("unseen") && body.contains("\"ttl\":5") && body.contains("clientInfo"), "{body}");
    assert_eq!((sent.fields.get("mcp-param-amount"), sent.fields.get("x-tenant")), (None, Some("acme")));
}

#[wasm_bindgen_test(unsupported = test)]
fn numbers_are_shown_and_bound_as_they_are_written() {
    let (scene, tokens) = usual();
    let ask = |number: &str| {
        let body = message("pay", &json!({ "amount": "NUMBER" }), &json!({})).to_string().replace("\"NUMBER\"", number);
        let request = Request::post("/mcp").bearer(text(&tokens, "access_token")).body(body.as_bytes());
        let request = request.field("mcp-protocol-version", "2026-07-28").field("mcp-method", "tools/call");
        scene.call(request.field("mcp-name", "pay")).json()["result"].clone()
    };
    let numbers =
        ["0.1", "0.1000000000000000055511151231257827", "1e-400", "0.0", "9007199254740990.4", "9007199254740990.1"];
    let paths: std::collections::BTreeSet<String> = numbers.iter().map(|number| path(&ask(number))).collect();
    assert_eq!(paths.len(), numbers.len());
    let shown = open(&scene, &path(&ask("1e-400")));
    assert!(shown.body.contains("<pre>1e-400</pre>"), "{}", shown.body);
    // What a person could not see exactly does not wait.
    for strange in ["1e400", "\"\\ud800\""] {
        assert!(words(&ask(strange)).contains("could not see exactly what it is"), "{strange}");
    }
    assert_eq!(scene.world.decisions().iter().filter(|line| line.contains("waits")).count(), numbers.len() + 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_login_is_fresh_only_if_it_is_after_the_call() {
    let (scene, tokens) = usual();
    let first = path(&modern(&scene, &tokens, ("pay", &json!({}), &json!({}))));
    // The login begins before the next call, and ends after it.
    let begun = scene.browse(Request::get(&first));
    assert!(onward(&begun).contains("max_age=0"));
    scene.world.pass(30);
    let next = path(&modern(&scene, &tokens, ("pay", &json!({ "n": 1 }), &json!({}))));
    scene.world.pass(30);
    scene.browse(scene.come_back(&begun));
    assert_eq!(scene.browse(Request::get(&first)).status, 200);
    assert_eq!((scene.browse(Request::get(&next)).status, scene.reason().as_str()), (302, "login_begun"));
    // A provider that did not ask the user again says so.
    for (age, status) in [(500, 502), (0, 302)] {
        let other = scene.other_browser();
        let redirect = other.browse(Request::get(&first));
        let asked = answered(&redirect);
        let at = scene.world.time().seconds() - age;
        other.provide(&other.id_token(asked.get("nonce").expect("a nonce"), &json!({ "auth_time": at })));
        let came = other.browse(callback(asked.get("state").expect("a state"), &[("code", "c"), ("iss", ISSUER)]));
        assert_eq!(came.status, status, "{age}");
    }
}

/// A caller calls 30 times, and declines whatever waits: how many calls were refused, and how many notifications were sent.
fn declines(scene: &Scene, tokens: &Value, arguments: impl Fn(u32) -> Value) -> (usize, usize) {
    let mut refused = 0;
    for number in 0..30 {
        let arguments = arguments(number);
        let first = modern(scene, tokens, ("pay", &arguments, &json!({})));
        if first["resultType"] != "input_required" {
            refused += 1;
            continue;
        }
        let more =
            json!({ "requestState": first["requestState"], "inputResponses": { APPROVAL: { "action": "decline" } } });
        modern(scene, tokens, ("pay", &arguments, &more));
    }
    scene.world.run_background();
    (refused, scene.world.queued().len())
}

#[wasm_bindgen_test(unsupported = test)]
fn a_caller_cannot_fill_the_list_of_a_group_nor_send_word_without_end() {
    let (scene, tokens) = waiting(
        json!({ "approver_groups": ["finance"] }),
        json!({ "approvals": { "queue": "CALLS", "wait_seconds": 0 } }),
    );
    assert_eq!(declines(&scene, &tokens, |number| json!({ "number": number })), (20, 10));
    let boss = scene.other_browser();
    *boss.user.borrow_mut() = json!({ "sub": "boss", "groups": ["finance"] });
    assert!(open(&boss, "/approvals").body.contains("No call waits for you."));
    scene.world.pass(300);
    scene.world.pass(601);
}

#[wasm_bindgen_test(unsupported = test)]
fn each_state_goes_on_with_one_approval() {
    let (scene, tokens) = usual();
    let number = Rc::new(std::cell::Cell::new(0));
    scene.world.serve_by(move |sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        let result = match asked["params"].get("requestState") {
            None => {
                number.set(number.get() + 1);
                json!({ "resultType": "input_required", "inputRequests": {}, "requestState": format!("s{}", number.get()) })
            }
            Some(_) => json!({ "resultType": "complete", "content": [{ "type": "text", "text": "made" }] }),
        };
        Some((200, "application/json", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
    });
    let pay = json!({ "amount": 5 });
    let approved = || {
        let first = modern(&scene, &tokens, ("pay", &pay, &json!({})));
        approve(&scene, &path(&first));
        let asked = modern(&scene, &tokens, ("pay", &pay, &back(&first)));
        json!({ "requestState": asked["requestState"], "inputResponses": { "q": {} } })
    };
    let goes_on = |more: &Value| words(&modern(&scene, &tokens, ("pay", &pay, more)));
    let first = approved();
    assert_eq!(goes_on(&first), "made");
    let second = approved();
    assert!(goes_on(&first).contains("used up"), "an old state opens nothing again");
    assert_eq!(goes_on(&second), "made");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_approval_is_void_if_its_person_was_removed_or_its_caller_declines_or_leaves() {
    let (scene, tokens) = waiting(json!({ "approver_groups": ["finance"] }), json!({}));
    let boss = scene.other_browser();
    *boss.user.borrow_mut() = json!({ "sub": "boss", "groups": ["finance"] });
    let pay = json!({ "amount": 1 });
    let first = modern(&scene, &tokens, ("pay", &pay, &json!({})));
    approve(&boss, &path(&first));
    let removed = json!({ "action": "delete", "subject": "boss" }).to_string();
    let admin = Request::new(Method::Post, "/admin").bearer(SECRET).field("content-type", "application/json");
    assert_eq!(scene.call(admin.body(removed.as_bytes())).status, 200);
    assert_eq!(path(&modern(&scene, &tokens, ("pay", &pay, &back(&first)))), path(&first), "it waits again");
    // A user who declines takes an approval back, too.
    let (scene, tokens) = usual();
    let first = modern(&scene, &tokens, ("pay", &pay, &json!({})));
    approve(&scene, &path(&first));
    let declined =
        json!({ "requestState": first["requestState"], "inputResponses": { APPROVAL: { "action": "decline" } } });
    modern(&scene, &tokens, ("pay", &pay, &declined));
    path(&modern(&scene, &tokens, ("pay", &pay, &json!({}))));
    assert!(scene.world.sent().is_empty());
    // A client that has left gets nothing, and uses nothing up.
    let waits = json!({ "amount": 2 });
    let first = modern(&scene, &tokens, ("pay", &waits, &json!({})));
    scene.world.leave();
    let body = message("pay", &waits, &back(&first)).to_string();
    let request = Request::post("/mcp").bearer(text(&tokens, "access_token")).body(body.as_bytes());
    let request = request.field("mcp-protocol-version", "2026-07-28").field("mcp-method", "tools/call");
    assert_eq!(scene.call(request.field("mcp-name", "pay")).status, 499);
    let last: Value = serde_json::from_str(scene.world.decisions().last().expect("a line")).expect("JSON");
    assert_eq!((text(&last, "approval_state"), text(&last, "approval").len()), ("waits", 43));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_page_says_whose_subject_it_is_and_takes_no_key_for_a_yes() {
    let (scene, tokens) = usual();
    let long = "x".repeat(300);
    let arguments = json!({ long.clone(): "v", "odd": "a\u{2800}b\u{e000}c\u{3000}d\\u{202e}" });
    let page = open(&scene, &path(&modern(&scene, &tokens, ("pay", &arguments, &json!({})))));
    for shown in
        ["a<mark>U+2800</mark>b<mark>U+E000</mark>c<mark>U+3000</mark>d\\u{202e}", "dl class=\"arguments\"", &long]
    {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    // Enter in a text area is a new line, and the buttons are not there at once.
    assert!(page.body.contains("<textarea id=\"reason\"") && !page.body.contains("<input id=\"reason\""));
    assert!(page.body.contains("class=\"row arm\"") && page.body.contains("@keyframes arm{from{visibility:hidden}}"));
    let mut all = rules(json!({ "approver_groups": ["finance"] }), json!({ "issuers": ["portcullis", "partner"] }));
    all["issuers"] =
        json!([{ "name": "partner", "issuer": "https://partner.example", "jwks_uri": format!("{ISSUER}/jwks") }]);
    let gateway = open_with(all, &secrets()).expect("the document is right");
    let scene = Scene { gateway, ..Scene::new() };
    let claims = crate::support::Claims::good().with("iss", json!("https://partner.example")).with("sub", json!("ada"));
    let body = plain(&json!({})).to_string();
    let request = Request::post("/mcp").bearer(&crate::support::keys::token(&claims)).body(body.as_bytes());
    let said = scene.call(request.field("mcp-protocol-version", "2025-11-25")).json();
    let path = between(&words(&said["result"]), PUBLIC, " ");
    *scene.user.borrow_mut() = json!({ "sub": "boss", "groups": ["finance"] });
    let page = open(&scene, &path);
    assert!(page.body.contains("<code>ada</code><br>of <code>https://partner.example</code>"), "{}", page.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_server_learns_who_approved() {
    let mut all = rules(json!({}), json!({}));
    all["identity_assertion"] = json!({ "key_secrets": ["KEY"] });
    let gateway = open_with(all, &secrets()).expect("the document is right");
    let scene = Scene { gateway, ..Scene::new() };
    let (_, tokens) = scene.logged_in();
    scene.world.pass(1);
    let first = modern(&scene, &tokens, ("pay", &json!({}), &json!({})));
    approve(&scene, &path(&first));
    let request = message("pay", &json!({}), &back(&first)).to_string();
    let sent = Request::post("/mcp").bearer(text(&tokens, "access_token")).body(request.as_bytes());
    let sent = sent.field("mcp-protocol-version", "2026-07-28").field("mcp-method", "tools/call");
    scene.call(sent.field("mcp-name", "pay"));
    let fields = scene.world.sent().pop().expect("a request").fields;
    let assertion = fields.get("x-portcullis-assertion").expect("an assertion");
    let part = assertion.split('.').nth(1).expect("a JWT");
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON");
    let approved = &claims["approved_by"];
    assert_eq!((text(approved, "iss"), text(approved, "sub"), text(approved, "id").len()), (PUBLIC, "ada", 43));
    assert!(approved["at"].as_u64().is_some_and(|at| at >= NOON));
}

/// A mark of a task is no state of the server: the call is not part of the one that was approved.
#[wasm_bindgen_test(unsupported = test)]
fn only_a_state_of_the_server_goes_on() {
    let (scene, tokens) = usual();
    let related = "io.modelcontextprotocol/related-task";
    scene.world.serve_by(move |sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        let result = if asked["params"]["name"] == "begin" {
            json!({ "resultType": "task", "taskId": "t1", "status": "working", "createdAt": "2026-11-23T12:00:00Z",
                "lastUpdatedAt": "2026-11-23T12:00:00Z", "ttlMs": null, "pollIntervalMs": 5 })
        } else {
            json!({ "resultType": "complete", "content": [{ "type": "text", "text": asked["params"].to_string() }] })
        };
        Some((200, "application/json", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
    });
    let begun = modern(&scene, &tokens, ("begin", &json!({}), &json!({})));
    let pay = json!({ "amount": 5 });
    let ask = |more: &Value| {
        let mut body = message("pay", &pay, more);
        body["params"]["_meta"][related] = json!({ "taskId": begun["taskId"] });
        let body = body.to_string();
        let request = Request::post("/mcp").bearer(text(&tokens, "access_token")).body(body.as_bytes());
        let request = request.field("mcp-protocol-version", "2026-07-28").field("mcp-method", "tools/call");
        scene.call(request.field("mcp-name", "pay")).json()["result"].clone()
    };
    let first = ask(&json!({}));
    approve(&scene, &path(&first));
    let made = words(&ask(&json!({ "inputResponses": { "sure": "unseen" } })));
    assert!(made.contains("t1") && !made.contains("unseen"), "{made}");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_caller_who_declines_again_and_again_sends_no_word_without_end() {
    let approvals = json!({ "queue": "CALLS", "wait_seconds": 0, "seconds": 300 });
    let (scene, tokens) = waiting(json!({}), json!({ "approvals": approvals }));
    let pay = json!({ "amount": 5 });
    assert_eq!(declines(&scene, &tokens, |_| pay.clone()), (20, 10));
    // A decision gives its place back.
    scene.world.pass(301);
    scene.world.pass(1);
    for _ in 0..12 {
        let first = modern(&scene, &tokens, ("pay", &pay, &json!({})));
        approve(&scene, &path(&first));
        assert!(words(&modern(&scene, &tokens, ("pay", &pay, &back(&first)))).contains("amount"));
    }
}

/// A server that asks, and makes the call when it is answered.
fn asking(scene: &Scene) {
    scene.world.serve_by(move |sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        let result = match asked["params"].get("requestState") {
            None => json!({ "resultType": "input_required", "inputRequests": {}, "requestState": "one" }),
            Some(_) => json!({ "resultType": "complete", "content": [{ "type": "text", "text": "made" }] }),
        };
        Some((200, "application/json", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
    });
}

#[wasm_bindgen_test(unsupported = test)]
fn a_state_from_before_the_approval_opens_nothing() {
    let (scene, _) = usual();
    let (client, tokens) = scene.logged_in();
    scene.world.pass(1);
    asking(&scene);
    let pay = json!({ "amount": 5 });
    let approved = || {
        let first = modern(&scene, &tokens, ("pay", &pay, &json!({})));
        approve(&scene, &path(&first));
        let asked = modern(&scene, &tokens, ("pay", &pay, &back(&first)));
        json!({ "requestState": asked["requestState"], "inputResponses": { "q": {} } })
    };
    let goes_on = |more: &Value| words(&modern(&scene, &tokens, ("pay", &pay, more)));
    let old = approved();
    assert_eq!(goes_on(&old), "made");
    scene.world.pass(3_700);
    let tokens_again = scene.refresh(&client, text(&tokens, "refresh_token")).json();
    let goes_on_again = |more: &Value| words(&modern(&scene, &tokens_again, ("pay", &pay, more)));
    let first = modern(&scene, &tokens_again, ("pay", &pay, &json!({})));
    approve(&scene, &path(&first));
    let asked = modern(&scene, &tokens_again, ("pay", &pay, &back(&first)));
    let next = json!({ "requestState": asked["requestState"], "inputResponses": { "q": {} } });
    let opened = modern(&scene, &tokens_again, ("pay", &pay, &old));
    assert!(words(&opened).contains("used up"), "{opened}");
    assert_eq!(goes_on_again(&next), "made");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_void_approval_continues_nothing() {
    let (scene, tokens) = waiting(json!({ "approver_groups": ["finance"] }), json!({}));
    asking(&scene);
    let boss = scene.other_browser();
    *boss.user.borrow_mut() = json!({ "sub": "boss", "groups": ["finance"] });
    let pay = json!({ "amount": 1 });
    let first = modern(&scene, &tokens, ("pay", &pay, &json!({})));
    approve(&boss, &path(&first));
    let asked = modern(&scene, &tokens, ("pay", &pay, &back(&first)));
    let more = json!({ "requestState": asked["requestState"], "inputResponses": { "q": {} } });
    let removed = json!({ "action": "delete", "subject": "boss" }).to_string();
    let admin = Request::new(Method::Post, "/admin").bearer(SECRET).field("content-type", "application/json");
    assert_eq!(scene.call(admin.body(removed.as_bytes())).status, 200);
    assert!(words(&modern(&scene, &tokens, ("pay", &pay, &more))).contains("used up"));
    assert_eq!(scene.world.sent().len(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stale_page_takes_no_call_out_of_a_list() {
    let (scene, tokens) = usual();
    let pay = json!({ "amount": 1 });
    let first = modern(&scene, &tokens, ("pay", &pay, &json!({})));
    let browser = scene.other_browser();
    let page = open(&browser, &path(&first));
    let declined =
        json!({ "requestState": first["requestState"], "inputResponses": { APPROVAL: { "action": "decline" } } });
    modern(&scene, &tokens, ("pay", &pay, &declined));
    let next = modern(&scene, &tokens, ("pay", &pay, &json!({})));
    assert_eq!(decide(&browser, &page, &path(&first), ("approve", "")).status, 404);
    assert!(browser.browse(Request::get("/approvals")).body.contains(&path(&next)), "it is still in the list");
}
