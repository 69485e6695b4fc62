//! One of several servers answers only what it was asked, and nothing that it sends passes for what another one said.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{message, modern};
use crate::support::world::{Sent, ServerAnswer};
use crate::support::{Claims, Reply, Request, TestSecrets, World, document_with, open_with, token};

const SECRET: &str = "new-0123456789abcdef0123456789abcdef";

fn gate(era: &str, more: Value) -> Rc<Gateway> {
    let servers = json!([
        { "name": "odd", "origin": "https://odd.example/mcp", "era": era, "hidden": ["*secret*"] },
        { "name": "good", "origin": "https://good.example/mcp", "era": era },
    ]);
    let mut document = json!({
        "resources": [{ "path": "/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"], "servers": servers }],
        "sessions": { "secrets": ["NEW"] },
    });
    for (key, value) in more.as_object().expect("an object") {
        document[key] = value.clone();
    }
    let known = TestSecrets(vec![("NEW", SECRET.to_owned())]);
    open_with(document_with(document), &known).unwrap_or_else(|mistakes| panic!("{}", mistakes.lines().join("\n")))
}

fn body(sent: &Sent) -> Value {
    serde_json::from_slice(&sent.body).unwrap_or_default()
}

fn plain(status: u16, media_type: &str, text: String) -> ServerAnswer {
    (status, vec![("content-type", media_type.to_owned())], text)
}

/// Servers that answer what opens a conversation, and `answer` for everything else.
fn world(answer: impl Fn(&Sent) -> ServerAnswer + 'static) -> World {
    let world = World::new();
    world.serve_with(move |sent| {
        let asked = body(sent);
        let reply = |result: Value| json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string();
        Some(match asked["method"].as_str() {
            Some("initialize") => {
                let said = json!({
                    "protocolVersion": asked["params"]["protocolVersion"], "capabilities": { "tools": {} },
                    "serverInfo": { "name": "x", "version": "1" },
                });
                let session =
                    ("mcp-session-id", format!("s-{}", asked["params"]["clientInfo"]["name"]).replace('"', ""));
                (200, vec![("content-type", "application/json".to_owned()), session], reply(said))
            }
            Some("notifications/initialized") => plain(202, "application/json", String::new()),
            _ => answer(sent),
        })
    });
    world
}

fn call(world: &World, gateway: &Rc<Gateway>, era: &str) -> Reply {
    let params = json!({ "name": "odd_x", "arguments": {}, "_meta": { "progressToken": 3 } });
    let claims = Claims::good();
    world.call(
        gateway,
        if era == "modern" { modern(claims, "tools/call", params) } else { message(claims, "tools/call", params) },
    )
}

fn spoof(id: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": "SPOOFED" }] } })
}

#[wasm_bindgen_test(unsupported = test)]
fn no_server_answers_what_another_one_was_asked() {
    for era in ["modern", "legacy"] {
        let gateway = gate(era, json!({}));
        let big = json!({ "jsonrpc": "2.0", "result": { "content": [{ "type": "text", "text": "SPOOFED".repeat(40_000) }] }, "id": 7 });
        let wrong = [json!(7), json!(8), json!("8"), json!(8.0), Value::Null].map(|id| spoof(&id).to_string());
        let error = json!({ "jsonrpc": "2.0", "id": 8.0, "error": { "code": -32042, "message": "SPOOFED" } });
        let twice = r#"{"jsonrpc":"2.0","id":OWN,"result":{"content":[]},"result":{"content":[{"type":"text","text":"SPOOFED"}]}}"#;
        let ids = r#"{"jsonrpc":"2.0","id":OWN,"id":7,"result":{"content":[{"type":"text","text":"SPOOFED"}]}}"#;
        let both = r#"{"method":"x","jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"SPOOFED"}]},"method":null}"#;
        let batch = format!("[{},{{\"jsonrpc\":\"2.0\",\"id\":OWN,\"result\":{{}}}}]", spoof(&json!(7)));
        let request =
            json!({ "jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": { "message": "SPOOFED" } });
        let texts = wrong.into_iter().chain([
            big.to_string(),
            error.to_string(),
            twice.to_owned(),
            ids.to_owned(),
            both.to_owned(),
            batch,
        ]);
        for text in texts {
            for media_type in ["application/json", "text/event-stream"] {
                let given = text.clone();
                let world = world(move |sent| {
                    let own = body(sent)["id"].to_string();
                    let text = given.replace("OWN", &own);
                    let sse = format!(
                        "data: {text}\n\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{own},\"result\":{{\"content\":[]}}}}\n\n"
                    );
                    plain(200, media_type, if media_type == "application/json" { text } else { sse })
                });
                let reply = call(&world, &gateway, era);
                let complete = reply.body.split("\n\n").filter(|event| {
                    let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                    let read: Result<Value, _> = serde_json::from_str(&data.join("\n"));
                    read.is_ok() && event.contains("SPOOFED")
                });
                assert_eq!(complete.count(), 0, "{era} {media_type} {text:.90}: {:.300}", reply.body);
                if media_type == "application/json" {
                    assert_eq!(reply.status, 502, "{era} {text:.90}");
                }
            }
        }
        let world = world(move |_| plain(200, "application/json", request.to_string()));
        assert_eq!(call(&world, &gateway, era).status, 502, "{era}: a request is no answer");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_that_the_gateway_cannot_read_does_not_pass() {
    for era in ["modern", "legacy"] {
        let gateway = gate(era, json!({}));
        for (status, fields) in [
            (200, vec![("content-type", "application/json".to_owned()), ("content-encoding", "deflate".to_owned())]),
            (200, vec![("content-type", "text/plain".to_owned())]),
            (404, vec![("content-type", "text/html".to_owned())]),
            (400, vec![("content-type", "text/plain".to_owned())]),
            (404, vec![("content-type", "application/json".to_owned())]),
            (415, vec![("content-type", "application/json".to_owned())]),
        ] {
            let world = world(move |_| (status, fields.clone(), r#"{"detail":"SPOOFED"}"#.to_owned()));
            let reply = call(&world, &gateway, era);
            assert_eq!((reply.status, reply.body.contains("SPOOFED")), (502, false), "{era} {status} {}", reply.body);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_that_share_a_session_have_ids_of_their_own() {
    let gateway = gate("legacy", json!({}));
    let world = world(|sent| {
        let result = json!({ "jsonrpc": "2.0", "id": body(sent)["id"], "result": { "content": [] } });
        plain(200, "application/json", result.to_string())
    });
    for _ in 0..2 {
        let reply = call(&world, &gateway, "modern");
        assert_eq!((reply.status, &reply.json()["id"]), (200, &json!(7)), "{}", reply.body);
    }
    let sent = world.sent();
    let calls: Vec<Value> = sent.iter().map(body).filter(|it| it["method"] == "tools/call").collect();
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0]["id"], calls[1]["id"], "both clients gave the id 7");
    assert_ne!(calls[0]["params"]["_meta"]["progressToken"], json!(3));
    // A client with a session can cancel: the server gets the id that it knows.
    let params = json!({ "protocolVersion": "2025-06-18", "clientInfo": { "name": "t" }, "capabilities": {} });
    let session =
        world.call(&gateway, message(Claims::good(), "initialize", params)).field("mcp-session-id").to_owned();
    let say = |text: Value| {
        let request = Request::post("/mcp").bearer(&token(&Claims::good())).field("mcp-session-id", &session);
        world.call(&gateway, request.field("mcp-protocol-version", "2025-06-18").body(text.to_string().as_bytes()))
    };
    say(json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": { "name": "odd_x" } }));
    let id = body(world.sent().last().expect("it was sent"))["id"].clone();
    say(
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 9, "reason": "mine" } }),
    );
    let sent = world.sent();
    let cancelled: Vec<Value> = sent.iter().map(body).filter(|it| it["method"] == "notifications/cancelled").collect();
    assert_eq!(cancelled.len(), 2);
    assert_eq!(cancelled[0]["params"], json!({ "requestId": id, "reason": "" }));
    assert_ne!(cancelled[1]["params"]["requestId"], id, "another server has another id");
}

#[wasm_bindgen_test(unsupported = test)]
fn progress_is_that_of_the_own_request() {
    for era in ["modern", "legacy"] {
        let gateway = gate(era, json!({}));
        let world = world(|sent| {
            let asked = body(sent);
            let progress = |token: &Value| {
                let message = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": token, "progress": 1 } });
                format!("data: {message}\n\n")
            };
            let end =
                format!("retry: 99999\ndata: {}\n\n", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": {} }));
            let own = &asked["params"]["_meta"]["progressToken"];
            plain(200, "text/event-stream", [progress(&json!(3)), progress(&json!(4)), progress(own), end].concat())
        });
        let reply = call(&world, &gateway, era);
        assert_eq!(reply.body.matches("notifications/progress").count(), 1, "{era}: {}", reply.body);
        assert!(reply.body.contains("\"progressToken\":3"), "{era}: {}", reply.body);
        assert!(!reply.body.contains("retry:"), "it would be for all servers");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_uri_of_another_server_cannot_be_forged() {
    let gateway = gate("modern", json!({}));
    let uris = ["good+file:///secret/x", "UI://good/view.html", "good+file:///\u{202e}x", "file:///secret"];
    let world = world(move |sent| {
        let links: Vec<Value> =
            uris.iter().map(|uri| json!({ "type": "resource_link", "name": "l", "uri": uri })).collect();
        let result = json!({ "jsonrpc": "2.0", "id": body(sent)["id"], "result": { "resultType": "complete", "content": links } });
        plain(200, "application/json", result.to_string())
    });
    let content = call(&world, &gateway, "modern").json()["result"]["content"].clone();
    for link in content.as_array().expect("links") {
        assert_eq!(link["uri"], json!("odd+unavailable:"), "{link}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_that_a_server_refused_is_not_sent_again() {
    for (status, code, again) in [(400, -32602, false), (404, -32601, false), (400, -32000, false), (404, -32001, true)]
    {
        let gateway = gate("legacy", json!({}));
        let world = world(move |sent| {
            let error = json!({ "jsonrpc": "2.0", "id": body(sent)["id"], "error": { "code": code, "message": "no" } });
            plain(status, "application/json", error.to_string())
        });
        for era in ["legacy", "modern"] {
            let before = world.sent().len();
            let reply = call(&world, &gateway, era);
            let sent = world.sent();
            let calls = sent[before..].iter().filter(|sent| body(sent)["method"] == "tools/call").count();
            assert_eq!(calls, if again { 2 } else { 1 }, "{era} {status} {code}");
            if !again {
                let expected = if era == "modern" { status } else { 200 };
                assert_eq!((reply.status, &reply.json()["error"]["code"]), (expected, &json!(code)), "{era}");
                assert_eq!(reply.json()["id"], json!(7));
            }
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_is_at_fault_for_itself_alone() {
    let servers = json!([{ "name": "odd", "origin": "https://odd.example/mcp" }]);
    let resources = json!([{ "path": "/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"], "servers": servers }]);
    let gateway = gate("legacy", json!({ "resources": resources }));
    let world = World::new();
    world.serve_with(|sent| {
        let asked = body(sent);
        let id = &asked["id"];
        let is_fine = asked["params"]["clientInfo"]["name"] != "eve";
        Some(match asked["method"].as_str().unwrap_or_default() {
            "initialize" if !is_fine => {
                let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32602, "message": "invalid" } });
                plain(400, "application/json", error.to_string())
            }
            "initialize" => {
                let said =
                    json!({ "protocolVersion": "2025-06-18", "capabilities": { "logging": {} }, "serverInfo": {} });
                let text = json!({ "jsonrpc": "2.0", "id": id, "result": said }).to_string();
                (200, vec![("content-type", "application/json".to_owned()), ("mcp-session-id", "s".to_owned())], text)
            }
            "server/discover" => {
                let said = json!({ "supportedVersions": ["2026-07-28"], "capabilities": {} });
                plain(200, "application/json", json!({ "jsonrpc": "2.0", "id": id, "result": said }).to_string())
            }
            _ => plain(202, "application/json", String::new()),
        })
    });
    let connect = |name: &str| {
        let params = json!({
            "protocolVersion": "2025-06-18", "clientInfo": { "name": name }, "capabilities": { "roots": 5, "elicitation": {} },
        });
        world.call(&gateway, message(Claims::good().with("sub", json!(name)), "initialize", params))
    };
    let has_logging = |reply: &Reply| reply.json()["result"]["capabilities"]["logging"].is_object();
    assert!(!has_logging(&connect("eve")), "the server has the other era for her");
    assert!(has_logging(&connect("ada")), "and this one for every other client");
    let opened =
        world.sent().into_iter().map(|sent| body(&sent)).find(|it| it["params"]["clientInfo"]["name"] == "ada");
    assert_eq!(opened.expect("it was sent")["params"]["capabilities"], json!({ "elicitation": {} }), "no nonsense");
    for params in [Value::Null, json!({ "capabilities": 5, "protocolVersion": 7 })] {
        let reply = world.call(&gateway, message(Claims::good(), "initialize", params.clone()));
        let is_error = reply.json()["error"].is_object();
        assert!(is_error || reply.json()["result"]["protocolVersion"].is_string(), "{params}: {}", reply.body);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_that_its_client_ended_has_ended() {
    let gateway = gate("legacy", json!({}));
    let world = world(|_| plain(200, "application/json", String::new()));
    let params = json!({ "protocolVersion": "2025-06-18", "clientInfo": { "name": "t" }, "capabilities": {} });
    let session =
        world.call(&gateway, message(Claims::good(), "initialize", params)).field("mcp-session-id").to_owned();
    let with = |mut request: Request, method| {
        request.head.method = method;
        world.call(&gateway, request.bearer(&token(&Claims::good())).field("mcp-session-id", &session)).status
    };
    assert_eq!(with(Request::get("/mcp"), portcullis::transport::head::Method::Delete), 200);
    let ping = message(Claims::good(), "ping", json!({})).field("mcp-session-id", &session);
    assert_eq!(world.call(&gateway, ping).status, 404);
    let level = message(Claims::good(), "logging/setLevel", json!({ "level": "nonsense" }));
    assert_eq!(world.call(&gateway, level).status, 400);
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_of_a_legacy_client_passes_for_the_modern_era() {
    let gateway = gate("modern", json!({}));
    let world = world(|sent| {
        let result = json!({ "jsonrpc": "2.0", "id": body(sent)["id"], "result": { "content": [] } });
        plain(200, "application/json", result.to_string())
    });
    let meta = json!({
        "io.modelcontextprotocol/logLevel": "debug", "io.modelcontextprotocol/anything": 1, "mine": 1,
        "io.modelcontextprotocol/clientCapabilities": { "sampling": {} },
    });
    let params = json!({ "name": "odd_x", "_meta": meta, "inputResponses": {}, "task": {}, "arguments": { "a": 1 } });
    world.call(&gateway, message(Claims::good(), "tools/call", params));
    let sent = body(world.sent().last().expect("it was sent"));
    let members: Vec<&str> = sent["params"].as_object().expect("params").keys().map(String::as_str).collect();
    assert_eq!(members, ["_meta", "arguments", "name"]);
    let meta = sent["params"]["_meta"].as_object().expect("meta");
    let names: Vec<&str> = meta.keys().map(|it| it.trim_start_matches("io.modelcontextprotocol/")).collect();
    assert_eq!(names, ["clientCapabilities", "clientInfo", "protocolVersion", "mine"]);
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({}));
}
