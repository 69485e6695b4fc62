//! How a resource of several servers shows its tools.

use std::rc::Rc;

use portcullis::gateway::Gateway;
use portcullis::mcp::tool_search::ranked;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::policy::{message, modern};
use crate::support::world::Sent;
use crate::support::{Claims, Reply, TestSecrets, World, document_with, open_with};

const SECRET: &str = "new-0123456789abcdef0123456789abcdef";

fn opened(resource: Value) -> Result<Rc<Gateway>, String> {
    let servers = json!([
        { "name": "files", "origin": "https://files.example/mcp", "era": "modern" },
        { "name": "issues", "origin": "https://issues.example/mcp", "era": "modern", "hidden": ["secret_*"] },
    ]);
    let mut all = json!({ "path": "/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"], "servers": servers });
    for (key, value) in resource.as_object().expect("an object") {
        all[key] = value.clone();
    }
    let document =
        json!({ "resources": [all], "sessions": { "secrets": ["NEW"] }, "decision_log": { "console": true } });
    let known = TestSecrets(vec![("NEW", SECRET.to_owned())]);
    open_with(document_with(document), &known).map_err(|mistakes| mistakes.lines().join("\n"))
}

fn gate(view: &str, more: Value) -> Rc<Gateway> {
    let mut resource = more;
    resource["view"] = json!(view);
    opened(resource).expect("the document is right")
}

fn body(sent: &Sent) -> Value {
    serde_json::from_slice(&sent.body).expect("JSON")
}

fn world() -> World {
    let world = World::new();
    world.serve_by(|sent| {
        let asked = body(sent);
        assert_eq!(sent.fields.get("mcp-method").unwrap_or_default(), asked["method"]);
        let tool = |name: &str, description: &str| {
            json!({ "name": name, "description": description, "inputSchema": { "type": "object", "properties": { "x": {} } }, "outputSchema": {} })
        };
        let tools = if sent.url.contains("files") {
            json!([tool("read_file", "Reads the contents of a file."), tool("listFolders", "Lists folders.")])
        } else {
            json!([tool("create_issue", "Opens a new issue about a file."), tool("secret_file", "A secret file.")])
        };
        let result = match asked["method"].as_str() {
            Some("tools/list") => json!({ "resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private" }),
            _ => json!({ "resultType": "complete", "content": [{ "type": "text", "text": asked["params"]["name"] }] }),
        };
        Some((200, "application/json", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
    });
    world
}

fn ask(world: &World, gateway: &Rc<Gateway>, method: &str, mut params: Value) -> Reply {
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    world.call(gateway, modern(Claims::good(), method, params))
}

/// The names in the result of a search.
fn found(reply: &Reply) -> Vec<String> {
    let text =
        reply.json()["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{}", reply.body)).to_owned();
    let found: Value = serde_json::from_str(&text).expect("JSON");
    let tools = found["tools"].as_array().expect("tools").iter();
    tools.map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn names_come_without_schemas() {
    let (gateway, world) = (gate("names", json!({})), world());
    let tools = ask(&world, &gateway, "tools/list", json!({})).json()["result"]["tools"].clone();
    assert_eq!(tools[0]["name"], json!("files_read_file"));
    assert_eq!(tools[0]["description"], json!("Reads the contents of a file."));
    assert_eq!((&tools[0]["inputSchema"], &tools[0]["outputSchema"]), (&json!({ "type": "object" }), &Value::Null));
    let call = ask(&world, &gateway, "tools/call", json!({ "name": "files_read_file", "arguments": { "x": 1 } }));
    assert_eq!(call.json()["result"]["content"][0]["text"], json!("read_file"));
}

#[wasm_bindgen_test(unsupported = test)]
fn two_tools_find_and_call_all_others() {
    let (gateway, world) = (gate("search", json!({})), world());
    for request in [modern(Claims::good(), "tools/list", json!({})), message(Claims::good(), "tools/list", json!({}))] {
        let tools = world.call(&gateway, request).json()["result"]["tools"].clone();
        let names: Vec<&str> = tools.as_array().expect("tools").iter().filter_map(|it| it["name"].as_str()).collect();
        assert_eq!(names, ["search_tools", "call_tool"]);
    }
    assert!(world.sent().is_empty(), "no server is asked for that");
    let search = |arguments: Value| {
        ask(&world, &gateway, "tools/call", json!({ "name": "search_tools", "arguments": arguments }))
    };
    assert_eq!(
        found(&search(json!({ "query": "read file" }))),
        ["files_read_file", "files_listFolders", "issues_create_issue"]
    );
    assert_eq!(found(&search(json!({ "query": "read file", "limit": 1 }))), ["files_read_file"]);
    assert_eq!(found(&search(json!({ "query": "Folder" }))), ["files_listFolders"]);
    assert!(found(&search(json!({ "query": "nothing of that" }))).len() < 3);
    assert!(found(&search(json!({ "query": "secret" }))).is_empty(), "what clients do not see is not found");
    let call =
        |arguments: Value| ask(&world, &gateway, "tools/call", json!({ "name": "call_tool", "arguments": arguments }));
    let before = world.sent().len();
    let reply = call(json!({ "name": "issues_create_issue", "arguments": { "x": [1, { "y": 2 }] } }));
    assert_eq!(reply.json()["result"]["content"][0]["text"], json!("create_issue"));
    let sent = world.sent();
    assert_eq!(sent[before].fields.get("mcp-name"), Some("create_issue"));
    assert_eq!(body(&sent[before])["params"]["arguments"], json!({ "x": [1, { "y": 2 }] }));
    for wrong in [
        json!({}),
        json!({ "name": 5 }),
        json!({ "name": "files_read_file", "arguments": [] }),
        json!({ "name": "a", "x": 1 }),
    ] {
        let reply = call(wrong.clone());
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32602)), "{wrong}");
    }
    for wrong in
        [json!({}), json!({ "query": 1 }), json!({ "query": "x", "limit": 51 }), json!({ "query": "x".repeat(2_000) })]
    {
        assert_eq!(search(wrong.clone()).json()["error"]["code"], json!(-32602), "{wrong}");
    }
    // What is inside is no such tool again.
    let nested = call(json!({ "name": "call_tool", "arguments": { "name": "files_read_file" } }));
    assert!(nested.json()["error"].is_object(), "{}", nested.body);
}

#[wasm_bindgen_test(unsupported = test)]
fn rules_and_the_record_see_the_tool_that_is_called() {
    let rules = json!([{ "id": "read", "effect": "allow", "tools": ["files_*"] }]);
    let (gateway, world) = (gate("search", json!({ "rules": rules })), world());
    let search = json!({ "name": "search_tools", "arguments": { "query": "file" } });
    let seen = found(&ask(&world, &gateway, "tools/call", search));
    assert_eq!(seen, ["files_read_file", "files_listFolders"], "what the caller may use");
    let call = |name: &str| {
        let arguments = json!({ "name": name, "arguments": {} });
        ask(&world, &gateway, "tools/call", json!({ "name": "call_tool", "arguments": arguments }))
    };
    assert_eq!(call("files_read_file").json()["result"]["content"][0]["text"], json!("read_file"));
    let before = world.sent().len();
    assert_eq!(call("issues_create_issue").json()["error"]["code"], json!(-32602));
    assert_eq!(world.sent().len(), before);
    let decisions: Vec<Value> =
        world.decisions().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let calls: Vec<(&Value, &Value)> = decisions
        .iter()
        .filter(|it| it["mcp_method"] == "tools/call")
        .map(|it| (&it["name"], &it["verdict"]))
        .collect();
    let expected = [(json!("files_read_file"), json!("allow")), (json!("issues_create_issue"), json!("deny"))];
    assert_eq!(calls, expected.iter().map(|(name, verdict)| (name, verdict)).collect::<Vec<_>>());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_view_needs_servers_and_names_of_its_own() {
    let refused = |resource: Value, says: &str| {
        let mistakes = opened(resource).err().unwrap_or_default();
        assert!(mistakes.contains(says), "{says}: {mistakes}");
    };
    let servers = |prefix: &str| json!([{ "name": "a", "origin": "https://a.example/mcp", "prefix": prefix }]);
    refused(json!({ "view": "search", "servers": servers("search_") }), "could have a tool \"search_tools\"");
    refused(json!({ "view": "all of them" }), "view");
    let mut alone = json!({ "view": "names", "origin": "https://a.example/mcp" });
    alone["servers"] = Value::Null;
    refused(alone, "is possible only with servers");
}

#[wasm_bindgen_test(unsupported = test)]
fn the_best_tool_comes_first() {
    let tool = |name: &str, description: &str| json!({ "name": name, "description": description }).to_string();
    let tools = [
        tool("search_mail", "Searches messages."),
        tool("sendMail", "Sends a message to people."),
        tool("calendar", "Lists meetings; can send invitations by mail."),
        tool("weather", "Tells the weather."),
    ];
    let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
    assert_eq!(ranked(&tools, "send mail"), [1, 2, 0]);
    assert_eq!(ranked(&tools, "WEATHER"), [3]);
    assert_eq!(ranked(&tools, "message"), [0, 1], "plural and singular");
    assert!(ranked(&tools, "").is_empty());
    assert!(ranked(&[], "mail").is_empty());
    assert!(ranked(&["not JSON"], "mail").is_empty());
}
