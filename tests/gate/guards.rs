//! Guards look for credentials and personal data in calls and results.

use std::rc::Rc;

use portcullis::content::alphabet::Alphabet;
use portcullis::content::credentials::FORMS;
use portcullis::content::filter::{Answers, ContentFilter, ResultCheck, Shape};
use portcullis::content::finder::{Category, Finder};
use portcullis::content::guard::{Direction, Guards};
use portcullis::gateway::Gateway;
use portcullis::mcp::era::Era;
use portcullis::oauth::scope::ScopeHierarchy;
use portcullis::policy::caller::Caller;
use portcullis::transport::connection::ConnectionFacts;
use portcullis::transport::head::Method;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{message, modern};
use crate::support::keys::token as sign;
use crate::support::world::Sent;
use crate::support::{Claims, Reply, Request, TestSecrets, World, document_with, open_with};

const SECRET: &str = "new-0123456789abcdef0123456789abcdef";

/// A token of GitHub's form, put together so that no scanner takes this file for a leak.
pub fn token() -> String {
    format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")
}

const CARD: &str = "4111 1111 1111 1111";
const IBAN: &str = "DE89 3704 0044 0532 0130 00";

pub fn opened(resource: Value) -> Result<Rc<Gateway>, String> {
    opened_as(resource, json!({}))
}

pub fn opened_with_sessions(resource: Value) -> Result<Rc<Gateway>, String> {
    opened_as(resource, json!({ "sessions": { "secrets": ["NEW"] } }))
}

fn opened_as(resource: Value, mut document: Value) -> Result<Rc<Gateway>, String> {
    let mut all =
        json!({ "path": "/mcp", "origin": "https://mail.example/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"] });
    for (key, value) in resource.as_object().expect("an object") {
        all[key] = value.clone();
    }
    document["resources"] = json!([all]);
    document["decision_log"] = json!({ "console": true });
    let known = TestSecrets(vec![("NEW", SECRET.to_owned())]);
    open_with(document_with(document), &known).map_err(|mistakes| mistakes.lines().join("\n"))
}

fn gate(guards: Value) -> Rc<Gateway> {
    opened(json!({ "guards": guards })).expect("the document is right")
}

/// A server that answers every call with this, and its body type.
fn world(kind: &'static str, answer: impl Fn(&Value) -> String + 'static) -> World {
    let world = World::new();
    world.serve_by(move |sent: &Sent| {
        let asked: Value = serde_json::from_slice(&sent.body).ok()?;
        Some((200, kind, answer(&asked)))
    });
    world
}

fn result(asked: &Value, result: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()
}

/// A server that answers with this text.
fn saying(text: &str) -> World {
    let text = text.to_owned();
    world("application/json", move |asked| result(asked, &json!({ "content": [{ "type": "text", "text": text }] })))
}

fn call(world: &World, gateway: &Rc<Gateway>, tool: &str, arguments: Value) -> Reply {
    world.call(gateway, message(Claims::good(), "tools/call", json!({ "name": tool, "arguments": arguments })))
}

pub fn text(reply: &Reply) -> String {
    reply.json()["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

pub fn logged(world: &World, reason: &str) -> Vec<String> {
    let lines = world.lines();
    let lines = lines.iter().filter(|line| line["reason"] == reason);
    lines.map(|line| line["detail"].as_str().unwrap_or_default().to_owned()).collect()
}

fn field<'a>(sent: &'a Sent, name: &str) -> &'a str {
    sent.fields.get(name).unwrap_or_default()
}

fn example(alphabet: Alphabet, length: usize) -> String {
    let all: Vec<char> =
        (b'0'..=b'z').map(char::from).filter(|c| alphabet.has(*c as u8) && c.is_ascii_alphanumeric()).collect();
    (0..length).map(|at| all[(at * 7 + 3) % all.len()]).collect()
}

/// What a text contains, as `form: text`.
fn found(categories: &[Category], text: &str) -> Vec<String> {
    let found = Finder::new(categories).find(text.as_bytes(), None);
    found.iter().map(|found| format!("{}: {}", found.form, &text[found.start..found.end])).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn every_form_of_credentials_is_found_between_other_words() {
    for form in FORMS {
        let middle = form.within;
        let rest = example(form.alphabet, form.least.saturating_sub(middle.len()));
        let (before, after) = rest.split_at(rest.len() / 2);
        let secret = format!("{}{before}{middle}{after}", form.prefix);
        let line = format!("first: {secret}, and ({secret})");
        let wanted = format!("{}: {secret}", form.name);
        assert_eq!(found(&[Category::Credentials], &line), [wanted.clone(), wanted], "{}", form.prefix);
        let within = format!("x{secret}");
        assert!(found(&[Category::Credentials], &within).is_empty(), "a part of a word: {within}");
        let short = &secret[..secret.len() - 1];
        assert!(found(&[Category::Credentials], short).is_empty(), "too short: {short}");
    }
    let names: Vec<&str> = FORMS.iter().map(|form| form.name).collect();
    assert!(names.is_sorted(), "forms are in order, so that one is not there twice");
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_and_tokens_with_a_structure_are_found() {
    let all = [Category::Credentials];
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----";
    assert_eq!(found(&all, &format!("key: {pem} end")), [format!("private_key: {pem}")]);
    assert_eq!(found(&all, "-----BEGIN PRIVATE KEY-----\nMII"), ["private_key: -----BEGIN PRIVATE KEY-----\nMII"]);
    for other in ["-----BEGIN CERTIFICATE-----\nMII", "-----BEGIN PUBLIC KEY-----\nMII", "--------"] {
        assert!(found(&all, other).is_empty(), "{other}");
    }
    let jwt = format!("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.{}", example(Alphabet::Base64Url, 86));
    assert_eq!(found(&all, &format!("Bearer {jwt}")), [format!("jwt: {jwt}")]);
    assert!(found(&all, "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9").is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn numbers_are_found_by_their_check_digits() {
    let cards = [Category::Cards];
    for card in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "378282246310005",
        "3782 822463 10005",
        "6011111111111117",
    ] {
        assert_eq!(found(&cards, &format!("pay {card}.")), [format!("card_number: {card}")]);
    }
    for other in [
        "4111111111111112",
        "1111111111111117",
        "41111111111111111111111",
        "0000000000000000",
        "4111 11111111 1111",
        "x4111111111111111",
        "4111111111111111a",
        "1.4111111111111111",
        "1234-4111-1111-1111-1111",
        "4111-1111 1111 1111",
        "1764500000000000000",
    ] {
        assert!(found(&cards, other).is_empty(), "{other}");
    }
    let ibans = [Category::Iban];
    for iban in [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB29NWBK60161331926819",
        "NO9386011117947",
        "gb29nwbk60161331926819",
    ] {
        assert_eq!(found(&ibans, &format!("to {iban}, today")), [format!("iban: {iban}")]);
    }
    for other in [
        "DE88370400440532013000",
        "XX89370400440532013000",
        "DE8937040044053201300",
        "DE893704004405320130001",
        "ADE89370400440532013000",
    ] {
        assert!(found(&ibans, other).is_empty(), "{other}");
    }
    let email = [Category::Email];
    for address in ["a@b.example", "first.last+tag@mail.example.org", "o'neil@x-y.co.uk", "x@xn--bcher-kva.example"] {
        assert_eq!(found(&email, &format!("<{address}>, ")), [format!("email: {address}")]);
    }
    for other in ["@b.example", "a@", "a@b", "a@b..example", "a @b.example", "user@1.2", "@@", "a@.example"] {
        assert!(found(&email, other).is_empty(), "{other}");
    }
    assert_eq!(found(&email, "write to a@b.example."), ["email: a@b.example"]);
    let both = [Category::Email, Category::Credentials];
    let mixed = format!("{}@b.example", token());
    assert_eq!(found(&both, &mixed).len(), 1, "no overlap: {mixed}");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_found_in_results_is_masked() {
    let gateway = gate(json!([{ "id": "all", "find": ["credentials", "cards", "iban", "email"], "action": "mask" }]));
    let world = saying(&format!("key {}, card {CARD}, account {IBAN}, from a@b.example", token()));
    let reply = call(&world, &gateway, "read", json!({}));
    assert_eq!(
        text(&reply),
        "key [masked github_token], card [masked card_number], account [masked iban], from [masked email]"
    );
    let [line] = logged(&world, "guard_found").try_into().expect("one line");
    assert!(line.ends_with("guard \"all\", mask in results: card_number 1, email 1, github_token 1, iban 1"), "{line}");
    let decided: Value = serde_json::from_str(&world.decisions().pop().expect("a line")).expect("JSON");
    assert_eq!(decided["event"], "guard");
    assert_eq!(decided["found"], json!({ "card_number": 1, "email": 1, "github_token": 1, "iban": 1 }));
    assert_eq!(
        (&decided["guard"], &decided["action"], &decided["on"]),
        (&json!("all"), &json!("mask"), &json!("results"))
    );
    for line in world.lines().iter().map(ToString::to_string).chain(world.decisions()) {
        assert!(!line.contains(&token()) && !line.contains("1111") && !line.contains("a@b"), "{line}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn structured_results_numbers_and_names_of_members_are_looked_at() {
    let gateway = gate(json!([{ "find": ["credentials", "cards", "email"], "action": "mask", "on": ["results"] }]));
    let world = world("application/json", |asked| {
        let structured = json!({ "card": 4_111_111_111_111_111_u64, "id": 4_111_111_111_111_112_u64, "a@b.example": [{ "deep": token() }] });
        result(
            asked,
            &json!({ "content": [], "structuredContent": structured, "nextCursor": "c@d.example", "requestState": token() }),
        )
    });
    let reply = call(&world, &gateway, "read", json!({}));
    let result = &reply.json()["result"];
    assert_eq!(result["structuredContent"]["card"], "[masked card_number]");
    assert_eq!(result["structuredContent"]["id"], 4_111_111_111_111_112_u64);
    assert_eq!(result["structuredContent"]["[masked email]"][0]["deep"], "[masked github_token]");
    assert_eq!(
        (&result["nextCursor"], &result["requestState"]),
        (&json!("c@d.example"), &json!(token())),
        "these have to come back as they are"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn masks_do_not_depend_on_how_a_text_is_written_or_where_it_is_cut() {
    let escaped: String = token().chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let far = " x".repeat(40_000) + " ";
    let long = "-----BEGIN PRIVATE KEY-----".to_owned() + &"A\\n".repeat(30_000) + "-----END PRIVATE KEY-----";
    let jwt = format!("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9{}.{}", "a".repeat(6_000), "b".repeat(6_000));
    let cases = [
        (token(), "[masked github_token]".to_owned()),
        (escaped, "[masked github_token]".to_owned()),
        (
            format!("\\ud83d\\ude00 {} \\ud800 \\\"a\\\\", token()),
            "\\ud83d\\ude00 [masked github_token] \\ud800 \\\"a\\\\".to_owned(),
        ),
        (format!("{far}{}{far}", token()), format!("{far}[masked github_token]{far}")),
        (format!("{far}{long} {far}"), format!("{far}[masked private_key] {far}")),
        (format!("{far}{jwt} {far}"), format!("{far}[masked jwt] {far}")),
        (format!("é{}é", token()), "é[masked github_token]é".to_owned()),
    ];
    for (written, masked) in cases {
        for chunk in [1, 2, 3, 7, 1_000, usize::MAX] {
            // Parts of one byte of a large text take long, and cut it at no other place.
            if chunk < 1_000 && written.len() > 10_000 {
                continue;
            }
            for shape in [Shape::Json, Shape::Events] {
                let body = format!(
                    "{{\"jsonrpc\":\"2.0\",\"id\":\"a@b.example\",\"result\":{{\"content\":[{{\"text\":\"{written}\"}}]}}}}"
                );
                let wanted = body.replace(&written, &masked);
                let (body, wanted) = match shape {
                    Shape::Events => (
                        format!(": ping\n\nid: 1\nevent: message\ndata: {body}\n\n"),
                        format!(": ping\n\nid: 1\nevent: message\ndata: {wanted}\n\n"),
                    ),
                    _ => (body, wanted),
                };
                let out = filtered(&["credentials"], "mask", shape, &body, chunk);
                let at = out.bytes().zip(wanted.bytes()).position(|(one, other)| one != other);
                let near = |text: &str| {
                    text.get(at.unwrap_or(0).saturating_sub(30)..).map(|rest| rest.chars().take(80).collect::<String>())
                };
                assert!(
                    out == wanted,
                    "{shape:?} in parts of {chunk}, at {at:?}: {:?} and not {:?}",
                    near(&out),
                    near(&wanted)
                );
            }
        }
    }
}

/// A body after its guards.
fn filtered(find: &[&str], action: &str, shape: Shape, body: &str, chunk: usize) -> String {
    let gateway = gate(json!([{ "find": find, "action": action }]));
    let content = gateway.settings().resources[0].content.as_ref().expect("guards");
    let subject = Rc::new(portcullis::token::principal::Subject::anonymous());
    let caller = Caller { subject, source: None, facts: ConnectionFacts::default(), now: 0 };
    let looking = content.guards.looking(Direction::Results, None, (&caller, &ScopeHierarchy::default()));
    let ids = vec![portcullis::mcp::envelope::RequestId::read(&json!(1)).expect("an id")];
    let check = ResultCheck {
        looking,
        bounds: portcullis::content::bound::Bounds::default(),
        schema: None,
        answers: Answers { ids, is_tool: true, era: Era::Legacy, request: String::new() },
    };
    let mut filter = ContentFilter::new(check, shape);
    let mut out = Vec::new();
    for part in body.as_bytes().chunks(chunk.min(body.len().max(1))) {
        filter.push(part, &mut out).expect("it can be read");
    }
    filter.finish(&mut out).expect("it is whole");
    String::from_utf8(out).expect("UTF-8")
}

#[wasm_bindgen_test(unsupported = test)]
fn a_result_that_a_guard_denies_does_not_pass() {
    let gateway = gate(json!([{ "id": "no-secrets", "find": ["credentials"], "action": "deny" }]));
    let world = saying(&format!("the key is {}", token()));
    let reply = call(&world, &gateway, "read", json!({}));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["result"]["isError"], json!(true));
    assert_eq!(text(&reply), "The gateway holds back the result of this call. Its results contain a credential.");
    assert_eq!(reply.json()["id"], json!(7), "{}", reply.body);
    assert!(logged(&world, "guard_denied")[0].ends_with("results: they contain a credential"));
    let modern = world.call(&gateway, modern(Claims::good(), "tools/call", json!({ "name": "read", "arguments": {} })));
    assert_eq!(
        (&modern.json()["result"]["resultType"], &modern.json()["result"]["isError"]),
        (&json!("complete"), &json!(true))
    );
    let prompt = world.call(&gateway, message(Claims::good(), "prompts/get", json!({ "name": "p" })));
    assert_eq!(prompt.json()["error"]["code"], json!(403));
    assert!(!prompt.body.contains(&token()));
}

#[wasm_bindgen_test(unsupported = test)]
fn events_that_a_guard_denies_are_replaced_and_others_pass() {
    let gateway = gate(json!([{ "find": ["credentials"], "action": "deny" }]));
    let world = world("text/event-stream", |asked| {
        let log =
            |text: &str| json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": text } });
        format!(
            "event: message\ndata: {}\n\nid: 4\ndata: {}\n\n: comment\n\ndata: {}\n\n",
            log("all is well"),
            log(&token()),
            result(asked, &json!({ "content": [{ "type": "text", "text": token() }] }))
        )
    });
    let reply = call(&world, &gateway, "read", json!({}));
    assert!(!reply.body.contains(&token()), "{}", reply.body);
    assert!(reply.body.contains("all is well") && reply.body.contains(": comment"), "{}", reply.body);
    assert_eq!(reply.body.matches("data: ").count(), 2, "the notification is left out: {}", reply.body);
    assert!(reply.body.contains("\"isError\":true"), "{}", reply.body);
    assert_eq!(logged(&world, "guard_denied").len(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn arguments_are_masked_before_they_are_forwarded() {
    let gateway = gate(json!([{ "find": ["credentials", "email"], "action": "mask", "on": ["arguments"] }]));
    let world = saying(&token());
    let arguments = json!({ "text": format!("use {}", token()), "list": [{ "to": "a@b.example" }], "n": 1 });
    let request = modern(Claims::good(), "tools/call", json!({ "name": "send@x.example", "arguments": arguments }))
        .field("mcp-param-text", &format!("use {}", token()))
        .field("mcp-param-plain", "as it is");
    let reply = world.call(&gateway, request);
    assert_eq!(text(&reply), token(), "results are not looked at");
    let sent = world.sent().pop().expect("it was forwarded");
    let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!(
        body["params"]["arguments"],
        json!({ "text": "use [masked github_token]", "list": [{ "to": "[masked email]" }], "n": 1 })
    );
    assert_eq!(body["params"]["name"], "send@x.example", "only what a caller passes to the tool is looked at");
    assert_eq!(
        (field(&sent, "mcp-param-text"), field(&sent, "mcp-param-plain")),
        ("use [masked github_token]", "as it is")
    );
    assert_eq!(field(&sent, "mcp-name"), "send@x.example");
    assert!(
        logged(&world, "guard_found")[0].ends_with("guard \"guard-1\", mask in arguments: email 1, github_token 1")
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn arguments_that_a_guard_denies_are_not_forwarded() {
    let gateway = gate(json!([{ "find": ["cards"], "action": "deny" }]));
    let world = saying("done");
    for arguments in [json!({ "a": CARD }), json!({ "a": { "b": [4_111_111_111_111_111_u64] } }), json!({ CARD: 1 })] {
        let reply = call(&world, &gateway, "pay", arguments);
        assert_eq!(text(&reply), "The gateway did not forward this call. Its arguments contain a card number.");
        assert_eq!((reply.status, &reply.json()["result"]["isError"]), (200, &json!(true)));
    }
    let prompt = world
        .call(&gateway, message(Claims::good(), "prompts/get", json!({ "name": "p", "arguments": { "a": CARD } })));
    assert_eq!((prompt.status, &prompt.json()["error"]["code"]), (200, &json!(-32602)));
    let field =
        modern(Claims::good(), "tools/call", json!({ "name": "pay", "arguments": {} })).field("mcp-param-card", CARD);
    assert_eq!(world.call(&gateway, field).json()["result"]["isError"], json!(true), "a field is forwarded too");
    let answers = json!({ "name": "pay", "arguments": {}, "inputResponses": { "q": { "content": { "card": CARD } } } });
    assert_eq!(
        world.call(&gateway, modern(Claims::good(), "tools/call", answers)).json()["result"]["isError"],
        json!(true)
    );
    let response = json!({ "jsonrpc": "2.0", "id": 1, "result": { "action": "accept", "content": { "card": CARD } } });
    let response = Request::post("/mcp").bearer(&sign(&Claims::good())).body(response.to_string().as_bytes());
    assert_eq!(world.call(&gateway, response).status, 403, "the answer to a question of the server");
    assert!(world.sent().is_empty(), "nothing was forwarded");
    assert!(logged(&world, "guard_denied").iter().all(|detail| detail == "arguments: they contain a card number"));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_observed_passes() {
    let gateway = gate(json!([{ "find": ["credentials"], "action": "observe" }]));
    let world = saying(&token());
    let reply = call(&world, &gateway, "read", json!({ "a": token() }));
    assert_eq!(text(&reply), token());
    let sent: Value = serde_json::from_slice(&world.sent()[0].body).expect("JSON");
    assert_eq!(sent["params"]["arguments"]["a"], json!(token()));
    assert_eq!(logged(&world, "guard_found").len(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn targets_and_conditions_choose_the_calls() {
    let guards = json!([
        { "id": "mail", "find": ["email"], "action": "mask", "tools": ["read_*"] },
        { "id": "outside", "find": ["cards"], "action": "deny", "when": { "groups": ["contractors"] } },
        { "id": "labels", "find": ["iban"], "action": "mask", "labels": ["banking"] },
    ]);
    let gateway = opened(json!({ "guards": guards, "labels": { "banking": ["transfer"] } })).expect("right");
    let world = saying(&format!("a@b.example {CARD} {IBAN}"));
    let masked = format!("[masked email] {CARD} {IBAN}");
    assert_eq!(text(&call(&world, &gateway, "read_mail", json!({}))), masked);
    assert_eq!(text(&call(&world, &gateway, "READ_mail", json!({}))), masked, "letter case is no way around a guard");
    assert_eq!(text(&call(&world, &gateway, "other", json!({}))), format!("a@b.example {CARD} {IBAN}"));
    assert_eq!(text(&call(&world, &gateway, "transfer", json!({}))), format!("a@b.example {CARD} [masked iban]"));
    let contractor = Claims::good().with("groups", json!(["contractors"]));
    let call = json!({ "name": "other", "arguments": {} });
    let reply = world.call(&gateway, message(contractor, "tools/call", call));
    assert_eq!(reply.json()["result"]["isError"], json!(true));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_protocol_itself_is_not_looked_at() {
    let gateway = gate(json!([{ "find": ["email"], "action": "mask" }]));
    let world = world("application/json", |asked| {
        result(asked, &json!({ "tools": [{ "name": "a", "description": "mail a@b.example" }] }))
    });
    let list = world.call(&gateway, message(Claims::good(), "tools/list", json!({})));
    assert!(list.body.contains("a@b.example"));
    let named = gate(json!([{ "find": ["email"], "action": "mask", "methods": ["tools/list"] }]));
    let list = world.call(&named, message(Claims::good(), "tools/list", json!({})));
    assert!(list.body.contains("[masked email]"), "unless a guard names the method");
}

#[wasm_bindgen_test(unsupported = test)]
fn streams_that_a_client_opens_have_all_guards() {
    let gateway = gate(json!([{ "find": ["email"], "action": "mask", "tools": ["one"] }]));
    let request = Request::get("/mcp").bearer(&sign(&Claims::good())).field("accept", "text/event-stream");
    let world = World::new();
    for _ in 0..4 {
        let event =
            json!({ "jsonrpc": "2.0", "id": 3, "result": { "content": [{ "type": "text", "text": "a@b.example" }] } });
        let event = format!("data: {event}\n\n");
        world.serve_by(move |_| Some((200, "text/event-stream", event.clone())));
        let reply = world.call_remembering(&gateway, request.clone());
        assert!(reply.body.contains("[masked email]"), "also where the head was seen before: {}", reply.body);
    }
    assert_eq!(world.recalled(), 0, "what is recalled is not filtered");
}

#[wasm_bindgen_test(unsupported = test)]
fn answers_that_are_no_json_are_looked_at_or_do_not_pass() {
    let gateway = gate(json!([{ "find": ["email"], "action": "mask" }]));
    let answer = |status: u16, kind: &'static str, body: String| {
        let world = World::new();
        world.serve_by(move |_| Some((status, kind, body.clone())));
        call(&world, &gateway, "read", json!({}))
    };
    let reply = answer(404, "text/html", "<p>ask a@b.example</p>".to_owned());
    assert_eq!((reply.status, reply.body.as_str()), (404, "<p>ask [masked email]</p>"));
    let wide: Vec<u8> = "{\"jsonrpc\":\"2.0\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = String::from_utf8(wide).expect("ASCII in UTF-16 is UTF-8 with zeros");
    assert_eq!(answer(200, "application/json", wide).status, 502, "another encoding");
    assert_eq!(answer(200, "application/json", "a@b.example".to_owned()).status, 502);
    assert_eq!(answer(200, "application/json", "{\"a\":\"a@b.exam".to_owned()).status, 502, "cut short");
    assert_eq!(answer(200, "application/json", "[".repeat(600)).status, 502, "too deep");
    let events = answer(
        200,
        "text/event-stream",
        "data: {\"a\":\ndata: \"a@b.example\"}\r\rdata: {\"b\":\"c@d.example\"}\r\n\r\n".to_owned(),
    );
    assert_eq!(events.body.matches("[masked email]").count(), 2, "{}", events.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_batch_is_looked_at_as_a_whole() {
    let gateway = gate(
        json!([{ "find": ["email"], "action": "deny", "on": ["arguments"] }, { "id": "m", "find": ["cards"], "action": "mask" }]),
    );
    let world = World::new();
    world.serve_by(|_| {
        Some((
            200,
            "application/json",
            json!([{ "jsonrpc": "2.0", "id": 1, "result": { "content": [{ "text": CARD }] } }]).to_string(),
        ))
    });
    let batch = |second: &str| {
        let of = |id: u64, text: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "a", "arguments": { "t": text } } });
        let body = json!([of(1, "x"), of(2, second)]).to_string();
        world.call(&gateway, Request::post("/mcp").bearer(&sign(&Claims::good())).body(body.as_bytes()))
    };
    assert_eq!(batch("a@b.example").status, 403);
    assert!(world.sent().is_empty());
    assert!(batch("y").body.contains("[masked card_number]"));
}

#[wasm_bindgen_test(unsupported = test)]
fn wrong_guards_are_mistakes() {
    let refused = |guards: Value, says: &str| {
        let mistakes = opened(json!({ "guards": guards })).err().unwrap_or_default();
        assert!(mistakes.contains(says), "{says}: {mistakes}");
    };
    refused(json!([]), "resources[0].guards: must have 1 to 32 entries");
    refused(json!([{ "find": [], "action": "mask" }]), "resources[0].guards[0].find: must name at least one");
    refused(json!([{ "find": ["passwords"], "action": "mask" }]), "guards[0].find[0]");
    refused(json!([{ "find": ["email"], "action": "hide" }]), "guards[0].action");
    refused(json!([{ "find": ["email"], "action": "mask", "on": [] }]), "guards[0].on: must not be empty");
    refused(json!([{ "find": ["email"], "action": "mask", "tools": [] }]), "guards[0].tools: must not be empty");
    refused(
        json!([{ "find": ["email"], "action": "mask", "labels": ["x"] }]),
        "guards[0].labels[0]: labels of this resource does not define",
    );
    refused(
        json!([{ "find": ["email"], "action": "mask", "when": { "arguments": { "a": { "is": true } } } }]),
        "guards[0].when.arguments: is not possible",
    );
    refused(
        json!([{ "id": "a", "find": ["email"], "action": "mask" }, { "id": "a", "find": ["email"], "action": "mask" }]),
        "guards[1].id: \"a\" is the id of another guard too",
    );
    refused(
        json!([{ "find": ["email"], "action": "mask", "when": { "issuers": ["x"] } }]),
        "guards[0].when.issuers[0]",
    );
    assert!(Guards::default().iter().next().is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn what_stands_around_a_secret_does_not_hide_it() {
    let all = Category::ALL;
    let token = token();
    for (text, wanted) in [
        (format!("{{\"note\":\"key:\\n{token}\"}}"), format!("github_token: {token}")),
        (format!("{{\"note\":\"a\\u003d{token}\"}}"), format!("github_token: {token}")),
        (format!("?t%3D{token}"), format!("github_token: {token}")),
        (format!("__{token}__"), format!("github_token: {token}")),
        (format!("TOKEN_{token}"), format!("github_token: {token}")),
        ("{\"note\":\"Contact:\\nalice@mail.example\"}".to_owned(), "email: alice@mail.example".to_owned()),
        ("{\"note\":\"Contact:\\u00e9alice@mail.example\"}".to_owned(), "email: alice@mail.example".to_owned()),
        ("alice@m\u{fc}ller.example".to_owned(), "email: alice@m\u{fc}ller.example".to_owned()),
        (format!("the key is AIza{}.", "a".repeat(35)), format!("google_api_key: AIza{}", "a".repeat(35))),
        (
            format!("SG.{}.{}.", "a".repeat(22), "b".repeat(43)),
            format!("sendgrid_key: SG.{}.{}", "a".repeat(22), "b".repeat(43)),
        ),
    ] {
        assert_eq!(found(&all, &text), [wanted], "{text}");
    }
    for (text, card) in [
        ("4111 1111 1111 1111 12/28 123", "4111 1111 1111 1111"),
        ("4111111111111111 12/28", "4111111111111111"),
        ("4111 1111 1111 1111 123", "4111 1111 1111 1111"),
        ("4111-1111-1111-1111-2", "4111-1111-1111-1111"),
        ("card_4111111111111111", "4111111111111111"),
        ("4111\u{a0}1111\u{a0}1111\u{a0}1111", "4111\u{a0}1111\u{a0}1111\u{a0}1111"),
    ] {
        assert_eq!(found(&[Category::Cards], text), [format!("card_number: {card}")], "{text}");
    }
    let two = found(&[Category::Cards], "4111111111111111 5500000000000004");
    assert_eq!(two, ["card_number: 4111111111111111", "card_number: 5500000000000004"]);
}

/// Each of these made the finder begin anew at every third character.
#[wasm_bindgen_test(unsupported = test)]
fn no_text_makes_it_look_at_each_character_many_times() {
    for part in [
        "sk-",
        "glpat-",
        "SG.",
        "eyJ-",
        "eyJ.",
        "ghp_",
        "\\u0061\\u0020",
        "\\u0061",
        "\\u001b",
        "-----BEGIN ",
        "4",
        "@",
        "a@b",
    ] {
        let text = part.repeat(200_000 / part.len());
        let body = format!("{{\"result\":{{\"text\":\"{text}\"}}}}");
        assert!(filtered(&["credentials", "cards", "iban", "email"], "mask", Shape::Json, &body, 10_000).len() > 20);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_guard_that_observes_hides_nothing_from_another() {
    let gateway = gate(json!([
        { "id": "seen", "find": ["credentials"], "action": "observe" },
        { "id": "masked", "find": ["cards", "email"], "action": "mask" },
    ]));
    let world = saying("-----BEGIN PRIVATE KEY----- is how it starts. Card 4111 1111 1111 1111, mail a@b.example");
    let said = text(&call(&world, &gateway, "read", json!({})));
    assert_eq!(said, "-----BEGIN PRIVATE KEY----- is how it starts. Card [masked card_number], mail [masked email]");
    let both = gate(json!([
        { "id": "seen", "find": ["cards"], "action": "observe", "on": ["results"] },
        { "id": "masked", "find": ["email"], "action": "mask", "on": ["results"] },
    ]));
    let world = saying("4111111111111111@mail.example");
    assert_eq!(text(&call(&world, &both, "read", json!({}))), "[masked email]");
    // What is found in the message does not hide what a field has.
    let gateway = gate(json!([
        { "id": "cards", "find": ["cards"], "action": "deny", "on": ["arguments"] },
        { "id": "mail", "find": ["email"], "action": "observe", "on": ["arguments"] },
    ]));
    let request = modern(Claims::good(), "tools/call", json!({ "name": "pay", "arguments": { "t": "a@b.example" } }));
    let reply = world.call(&gateway, request.field("mcp-param-card", "4111111111111111"));
    assert_eq!(reply.json()["result"]["isError"], json!(true), "{}", reply.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn all_that_a_caller_writes_is_looked_at() {
    let gateway = gate(json!([{ "find": ["email"], "action": "mask", "on": ["arguments"] }]));
    let world = saying("");
    let sent = |method: &str, params: Value| {
        world.call(&gateway, message(Claims::good(), method, params));
        String::from_utf8(world.sent().pop().expect("forwarded").body).expect("UTF-8")
    };
    let completion = json!({
        "ref": { "type": "ref/prompt", "name": "p@q.example" }, "argument": { "name": "to", "value": "a@b.example" },
        "context": { "arguments": { "other": "c@d.example" } },
    });
    let body = sent("completion/complete", completion);
    assert!(!body.contains("a@b") && !body.contains("c@d") && body.contains("p@q.example"), "{body}");
    let body = sent("custom/do", json!({ "text": "a@b.example", "_meta": { "x": "c@d.example" } }));
    assert!(!body.contains("a@b") && body.contains("c@d"), "{body}");
}

#[wasm_bindgen_test(unsupported = test)]
fn answers_of_every_kind_are_looked_at() {
    let gateway = gate(json!([{ "find": ["credentials"], "action": "deny", "tools": ["echo"] }]));
    let secret = token();
    let answer = |status: u16, kind: &'static str, body: String| {
        let world = World::new();
        world.serve_by(move |_| Some((status, kind, body.clone())));
        world
    };
    let of = |text: &str| {
        json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [{ "type": "text", "text": text }] } }).to_string()
    };
    let result = of(&secret);
    assert!(
        !call(&answer(202, "application/json", result.clone()), &gateway, "echo", json!({})).body.contains(&secret)
    );
    // A body that is no message does not pass; one of a server that has nothing to say does.
    for body in [format!("\"{secret}\""), secret.clone(), format!("{}\"{secret}\"", of("well")), "4111".to_owned()] {
        let reply = call(&answer(200, "application/json", body.clone()), &gateway, "echo", json!({}));
        assert!(!reply.body.contains(&body), "{body}: {}", reply.body);
    }
    assert_eq!(call(&answer(202, "application/json", "null\n".to_owned()), &gateway, "echo", json!({})).body, "null\n");
    let task = message(Claims::good(), "tasks/result", json!({ "taskId": "t1" }));
    assert!(
        !answer(200, "application/json", result.clone()).call(&gateway, task).body.contains(&secret),
        "a task of any tool"
    );
    let key = json!({ "jsonrpc": "2.0", "id": 7, "result": { secret.clone(): 1 } }).to_string();
    assert!(!call(&answer(200, "application/json", key), &gateway, "echo", json!({})).body.contains(&secret));
    let bare = format!("data: \"{secret}\"\n\ndata: {}\n\n", of("well"));
    let reply = call(&answer(200, "text/event-stream", bare), &gateway, "echo", json!({}));
    assert!(!reply.body.contains(&secret) && reply.body.contains("well"), "{}", reply.body);
    let batch = format!("data: [{result},{result}]\n\n");
    let reply = call(&answer(200, "text/event-stream", batch), &gateway, "echo", json!({}));
    assert!(reply.body.contains("\"id\":7") && reply.body.contains("isError"), "{}", reply.body);
    for id in ["7,\"id\":7", "7.0", "null"] {
        let odd = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"text\":\"{secret}\"}}}}");
        let reply = call(&answer(200, "text/event-stream", format!("data: {odd}\n\n")), &gateway, "echo", json!({}));
        assert!(!reply.body.contains("\"id\":77") && !reply.body.contains(&secret), "{id}: {}", reply.body);
    }
    let delete = Request::new(Method::Delete, "/mcp").bearer(&sign(&Claims::good()));
    assert!(!answer(404, "text/plain", secret.clone()).call(&gateway, delete).body.contains(&secret));
    let endless = "a\n".repeat(1_500_000);
    let reply = call(&answer(200, "text/event-stream", endless), &gateway, "echo", json!({}));
    assert!(reply.body.len() < 10_000, "what is held has a largest size: {}", reply.body.len());
}

/// An error of the gateway must not begin in the middle of a line.
#[wasm_bindgen_test(unsupported = test)]
fn what_breaks_off_in_the_middle_of_an_event_is_ended() {
    let gateway = gate(json!([{ "find": ["email"], "action": "mask" }]));
    let content = gateway.settings().resources[0].content.as_ref().expect("guards");
    let subject = Rc::new(portcullis::token::principal::Subject::anonymous());
    let caller = Caller { subject, source: None, facts: ConnectionFacts::default(), now: 0 };
    for (sent, ends) in
        [("data: {}\n\n", ""), ("event: message\ndata: ", "\n\n"), ("event: mess", "\n\n"), ("id: 5", "\n\n")]
    {
        let check = ResultCheck {
            looking: content.guards.looking(Direction::Results, None, (&caller, &ScopeHierarchy::default())),
            bounds: portcullis::content::bound::Bounds::default(),
            schema: None,
            answers: Answers { ids: Vec::new(), is_tool: true, era: Era::Legacy, request: String::new() },
        };
        let mut filter = ContentFilter::new(check, Shape::Events);
        filter.push(sent.as_bytes(), &mut Vec::new()).expect("it can be read");
        assert_eq!(filter.broken_off(), ends.as_bytes(), "{sent:?}");
    }
}
