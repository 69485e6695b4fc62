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

/// What a model reads after a call with arguments that do not fit.
fn wrong_arguments(reply: &Reply) -> String {
    let result = &reply.json()["result"];
    assert_eq!((reply.status, &result["isError"]), (200, &json!(true)), "{}", reply.body);
    result["content"][0]["text"].as_str().expect("a text").to_owned()
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
        assert_eq!(wrong_arguments(&call(wrong.clone())), "call_tool takes a name, and arguments that are an object.");
    }
    for wrong in [
        json!({}),
        json!({ "query": 1 }),
        json!({ "query": "x", "limit": 51 }),
        json!({ "query": "x", "limit": "5" }),
        json!({ "query": "x".repeat(2_000) }),
    ] {
        assert_eq!(wrong_arguments(&search(wrong.clone())), "search_tools takes a query, and a limit of 1 to 50.");
    }
    assert_eq!(found(&search(json!({ "query": "read file", "limit": 1.0 }))).len(), 1, "an integer of JSON Schema");
    let reply = call(json!({ "name": "files_read_file", "arguments": null }));
    assert_eq!(reply.json()["result"]["content"][0]["text"], json!("read_file"));
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
    for key in [json!({ "view": "names" }), json!({ "strict_servers": true })] {
        let mut alone = key;
        alone["origin"] = json!("https://a.example/mcp");
        alone["servers"] = Value::Null;
        refused(alone, "is possible only with servers");
    }
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
    // What is not searched may have any form.
    let deep = format!("{{\"name\":\"deep\",\"inputSchema\":{}1e999{}}}", "[".repeat(300), "]".repeat(300));
    let broken = r#"{"name":"broken","description":"a \ud800 half"}"#;
    let titled = r#"{"name":"x","annotations":{"title":"Pays an invoice"}}"#;
    let chinese = r#"{"name":"读取文件的内容"}"#;
    let odd = [deep.as_str(), broken, titled, chinese];
    for (query, at) in [("deep", 0), ("half", 1), ("invoice", 2), ("文件", 3), ("读取", 3)] {
        assert_eq!(ranked(&odd, query), [at], "{query}");
    }
}

/// The gateway makes the fields that mirror arguments: clients do not see the schemas that ask for them, and what a client sends
/// need not agree with the arguments of the tool that is called.
#[wasm_bindgen_test(unsupported = test)]
fn the_gateway_makes_the_fields_that_mirror_arguments() {
    let parameters = json!({ "parameter_fields": { "Region": "region", "Name": "name" } });
    let inner = json!({ "region": "eu", "name": "victim" });
    let called = json!({ "name": "files_read_file", "arguments": inner });
    let cases = [("search", json!({ "name": "call_tool", "arguments": called })), ("names", called.clone())];
    for (view, params) in cases {
        for sent in [&[][..], &[("mcp-param-name", "files_read_file"), ("mcp-param-other", "x")]] {
            let (gateway, world) = (gate(view, parameters.clone()), world());
            let mut params = params.clone();
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
            let mut request = modern(Claims::good(), "tools/call", params);
            for (name, value) in sent {
                request.head.fields.set((*name).to_owned(), *value);
            }
            let reply = world.call(&gateway, request);
            assert_eq!(reply.status, 200, "{view}: {}", reply.body);
            let got = world.sent().pop().expect("a request").fields;
            let of_server = ["mcp-param-region", "mcp-param-name", "mcp-param-other"].map(|name| got.get(name));
            assert_eq!(of_server, [Some("eu"), Some("victim"), None], "{view}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn names_that_no_client_sees_are_mistakes() {
    let refused = |resource: Value, says: &str| {
        let mistakes = opened(resource).err().unwrap_or_default();
        assert!(mistakes.contains(says), "{says}: {mistakes}");
    };
    let rule = |name: &str| json!([{ "effect": "deny", "tools": [name] }, { "effect": "allow", "tools": ["*"] }]);
    let says =
        "resources[0].rules[0].tools: can never match \"read_file\": clients see names that begin with files_, issues_";
    refused(json!({ "rules": rule("read_file") }), says);
    refused(json!({ "rules": rule("read_*") }), "can never match \"read_*\"");
    refused(json!({ "rules": rule("search_tools"), "view": "search" }), "what decides is the tool that is called");
    let limits = json!([{ "by": ["subject"], "requests": 5, "seconds": 60, "tools": ["call_tool"] }]);
    refused(json!({ "limits": limits, "view": "search" }), "resources[0].limits[0].tools: can never match");
    for good in ["files_read_file", "FILES_*", "*_read", "f*"] {
        assert!(opened(json!({ "rules": rule(good) })).is_ok(), "{good}");
    }
}
