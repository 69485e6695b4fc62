//! What anybody sees at `/`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::ports::OriginFailure;
use portcullis::transport::head::Method;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{Claims, PUBLIC, RESOURCE, Request, World, document_with, gateway, open, token};

#[wasm_bindgen_test(unsupported = test)]
fn a_page_for_browsers_and_json_for_the_rest() {
    let (world, gateway) = (World::new(), gateway());
    let json = world.call(&gateway, Request::get("/"));
    assert_eq!((json.status, json.field("content-type")), (200, "application/json"));
    assert_eq!(json.json()["resources"][0]["resource"], RESOURCE);
    assert_eq!(json.json()["resources"][0]["scopes"], json!(["mcp:tools"]));
    assert_eq!(json.json()["resources"][0]["keys"], "not asked for yet");
    assert_eq!(json.json()["resources"][0]["server"], "not called yet");
    assert!(!json.body.contains("tools.example"), "origin servers are nobody's business");

    let browser = |method| Request::new(method, "/").field("accept", "text/html,application/xhtml+xml");
    let page = world.call(&gateway, browser(Method::Get));
    assert_eq!((page.status, page.field("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.field("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
    assert!(page.field("vary").contains("accept"));
    for shown in [
        "claude mcp add --transport http gate-example-mcp https://gate.example/mcp",
        "vscode:mcp/install?%7B%22name%22%3A%22gate-example-mcp%22",
        "cursor://anysphere.cursor-deeplink/mcp/install?name=gate-example-mcp&amp;config=",
        "npx mcp-remote https://gate.example/mcp/admin",
        "<code>admin</code>",
        "<p>Your application asks you to allow:</p>",
    ] {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
    assert!(!page.body.contains("tools.example") && !page.body.contains("not asked for yet"));
    // One script, which the policy names by its hash: it adds the copy buttons.
    let script = page.body.split("<script>").nth(1).and_then(|rest| rest.split("</script>").next()).expect("a script");
    let hash = STANDARD.encode(Sha256::digest(script));
    assert!(page.field("content-security-policy").contains(&format!("; script-src 'sha256-{hash}'; ")));
    assert_eq!(page.body.matches("<script").count(), 1);
    assert_eq!(page.body.matches("<pre data-copy=\"").count(), 8, "four texts to copy for each of two resources");
    assert_eq!(world.call(&gateway, browser(Method::Head)).body, "");
    assert_eq!(world.call(&gateway, Request::new(Method::Post, "/")).status, 404);

    world.call(&gateway, Request::post("/mcp").bearer(&token(&Claims::good())));
    let status = |at: usize| {
        let known = world.call(&gateway, Request::get("/")).json()["resources"][at].clone();
        [known["keys"].clone(), known["server"].clone()]
    };
    assert_eq!(status(0), ["ready", "answering"]);
    let words = || world.call(&gateway, browser(Method::Get)).body;
    assert!(words().contains("This server is available."));
    assert_eq!(status(1), ["ready", "not called yet"]);
    world.origin(Err(OriginFailure::Unreachable { streamed: false }));
    world.call(&gateway, Request::post("/mcp").bearer(&token(&Claims::good())));
    assert_eq!(status(0), ["ready", "not answering"]);
    assert!(words().contains("This server does not answer at the moment."));
}

#[wasm_bindgen_test(unsupported = test)]
fn without_a_login_commands_have_the_place_of_the_credential() {
    let mut document = document_with(
        json!({ "resources": [{ "path": "/mcp", "origin": "https://tools.example/mcp", "api_keys": ["pk"] }] }),
    );
    document["api_keys"] = json!([{ "prefix": "pk", "kv": "KEYS" }]);
    document.as_object_mut().expect("a table").remove("issuers");
    let page = World::new().call(&open(document).expect("right"), Request::get("/").field("accept", "text/html")).body;
    for shown in [
        "claude mcp add --transport http gate-example-mcp https://gate.example/mcp --header &quot;Authorization: Bearer CREDENTIAL&quot;",
        "npx mcp-remote https://gate.example/mcp --header &quot;Authorization: Bearer CREDENTIAL&quot;",
        "&quot;Authorization&quot;: &quot;Bearer CREDENTIAL&quot;",
        "There is no login here",
    ] {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    for absent in ["custom connector", "opens the login page", "Logins do not work"] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn names_are_text_and_the_page_can_be_off_or_somebody_elses() {
    let world = World::new();
    let browser = || Request::get("/").field("accept", "text/html");
    let resource = |path: &str| {
        json!([{
            "path": path, "origin": "https://tools.example/mcp", "issuers": ["idp"],
            "name": "<img src=x onerror=alert(1)> & \"tools\"",
        }])
    };
    let named = open(document_with(json!({ "resources": resource("/mcp"), "public_paths": [] }))).expect("it is right");
    let page = world.call(&named, browser());
    assert!(page.body.contains("&lt;img src=x onerror=alert(1)&gt; &amp; &quot;tools&quot;"));
    assert!(
        page.body.matches("<img").count() == 1
            && page.body.contains("<header><img src=\"data:image/svg+xml;base64,")
            && page.body.contains(&format!("http img-src-x-onerror-alert-1-tools {PUBLIC}/mcp"))
    );
    let off = open(document_with(json!({ "public_page": false }))).expect("it is right");
    assert_eq!(world.call(&off, browser()).status, 404);
    let taken = open(document_with(json!({ "resources": resource("/"), "public_paths": [] }))).expect("it is right");
    assert_eq!(world.call(&taken, browser()).status, 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn names_in_any_script_and_the_same_names_give_commands_that_work() {
    let world = World::new();
    let resource = |path: &str, name: &str| json!({ "path": path, "origin": "https://tools.example/mcp", "issuers": ["idp"], "name": name });
    let resources = json!([resource("/a", "Инструменты"), resource("/b", "Tools!"), resource("/c", "tools")]);
    let gateway = open(document_with(json!({ "resources": resources, "public_paths": [] }))).expect("right");
    let page = world.call(&gateway, Request::get("/").field("accept", "text/html"));
    for path in ["a", "b", "c"] {
        let command = format!("claude mcp add --transport http gate-example-{path} {PUBLIC}/{path}");
        assert!(page.body.contains(&command), "{command} is not in {}", page.body);
    }
    for (accept, kind) in [
        ("text/html;q=0, application/json", "application/json"),
        ("application/json, Text/HTML;q=0.5", "text/html; charset=utf-8"),
        ("application/xhtml+text/html", "application/json"),
    ] {
        assert_eq!(world.call(&gateway, Request::get("/").field("accept", accept)).field("content-type"), kind);
    }
}
