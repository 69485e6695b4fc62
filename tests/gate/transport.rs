//! Transport security: scheme, host, web origin, sizes, CORS.

use portcullis::transport::head::Method;
use portcullis::transport::url::{Authority, HttpUrl, Scheme};
use portcullis::transport::web_origin::WebOrigin;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{Claims, PUBLIC, Request, World, document_with, gateway, open, token};

fn refused(request: Request) -> (u16, String) {
    let world = World::new();
    let reply = world.call(&gateway(), request);
    assert!(world.sent().is_empty());
    (reply.status, world.last_request()["reason"].as_str().unwrap_or_default().to_owned())
}

fn is(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[wasm_bindgen_test(unsupported = test)]
fn hosts_of_others_are_refused() {
    let hosts = [
        "evil.example",
        "gate.example.evil.example",
        "gate.example:8443",
        "gate.example, evil.example",
        "",
        "gate.example:",
        "gate.example.",
        "[::1]",
        "gate.example@evil.example",
        "gate.example/",
        "GATE.example\u{e9}",
        "127.0.0.1",
    ];
    for host in hosts {
        let request = Request::post("/mcp").field("host", host).bearer(&token(&Claims::good()));
        assert_eq!(refused(request), is(403, "foreign_host"), "{host:?}");
    }
    let mut elsewhere = Request::post("/mcp");
    elsewhere.head.url = "https://evil.example/mcp".to_owned();
    assert_eq!(refused(elsewhere), is(403, "foreign_host"));
    for host in ["gate.example", "GATE.EXAMPLE", "gate.example:443"] {
        assert_eq!(refused(Request::post("/mcp").field("host", host)), is(401, "no_credentials"), "{host:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn configured_hosts_are_ours_too() {
    let gateway = open(document_with(json!({ "allowed_hosts": ["other.example:8443", "[::1]:8787"] }))).expect("right");
    for (host, status) in
        [("other.example:8443", 401), ("[::1]:8787", 401), ("other.example", 403), ("[::2]:8787", 403)]
    {
        let mut request = Request::post("/mcp").field("host", host);
        request.head.url = format!("https://{host}/mcp");
        assert_eq!(World::new().call(&gateway, request).status, status, "{host}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn plain_http_is_refused_in_production() {
    let mut request = Request::post("/mcp").bearer(&token(&Claims::good()));
    request.head.url = "http://gate.example/mcp".to_owned();
    assert_eq!(refused(request), is(403, "https_required"));
}

#[wasm_bindgen_test(unsupported = test)]
fn plain_http_on_loopback_needs_configuration_to_say_so() {
    let document = json!({ "public_url": "http://localhost:8787", "development": true });
    let gateway = open(document_with(document)).expect("right");
    let mut request = Request::post("/mcp").field("host", "localhost:8787");
    request.head.url = "http://localhost:8787/mcp".to_owned();
    assert_eq!(World::new().call(&gateway, request).status, 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn pages_of_others_are_refused() {
    let origins = [
        "https://evil.example",
        "null",
        "https://app.example, https://app.example",
        "https://app.example/",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "",
        "app.example",
        "https://[::ffff:127.0.0.1]",
        "file://",
    ];
    for origin in origins {
        let request = Request::post("/mcp").field("origin", origin).bearer(&token(&Claims::good()));
        assert_eq!(refused(request), is(403, "foreign_origin"), "{origin:?}");
    }
    for origin in ["https://app.example", "https://APP.example", PUBLIC] {
        assert_eq!(refused(Request::post("/mcp").field("origin", origin)), is(401, "no_credentials"), "{origin:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn sizes_at_their_bounds() {
    let path = |length: usize| format!("/mcp?{}", "q".repeat(length - "/mcp?".len()));
    assert_eq!(refused(Request::post(&path(8 * 1024))), is(401, "no_credentials"));
    assert_eq!(refused(Request::post(&path(8 * 1024 + 1))), is(414, "url_too_long"));
    let used = Request::post("/mcp").head.fields.bytes() + "accept".len();
    let fill = |more: usize| Request::post("/mcp").field("accept", &"x".repeat(32 * 1024 - used + more));
    assert_eq!(refused(fill(0)), is(401, "no_credentials"));
    assert_eq!(refused(fill(1)), is(431, "fields_too_large"));
    let mut many = Request::post("/mcp");
    for at in 0..130 {
        many.head.fields.set(format!("x-{at}"), "");
    }
    assert_eq!(refused(many), is(431, "fields_too_large"));
    let length = |length: &str| refused(Request::post("/mcp").field("content-length", length));
    assert_eq!(length("4194304"), is(401, "no_credentials"));
    assert_eq!(length("4194305"), is(413, "body_too_large"));
    for malformed in ["-1", "+1", "1, 1", "x", "", "99999999999999999999999"] {
        assert_eq!(length(malformed), is(400, "malformed_content_length"), "{malformed:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn bodies_are_json() {
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "",
        "multipart/form-data",
        // A server that decodes the body in this charset reads another message.
        "application/json; charset=utf-7",
        "application/json;CHARSET=\"UTF-7\"",
        "application/json; charset=utf-16le",
        "application/json; charset=utf-8; charset=utf-7",
        "application/json; charset=utf-7; charset=utf-8",
        "application/json; charset=utf-8, application/json; charset=utf-7",
        "application/json; charset = utf-7-imap",
        "application/json; x=\"; charset=utf-7\"",
        "application/json; charset",
        "application/json; charset=",
    ] {
        let request = Request::post("/mcp").field("content-type", media_type);
        assert_eq!(refused(request), is(415, "unsupported_media_type"), "{media_type:?}");
    }
    for media_type in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json;Charset=\"UTF-8\"",
        "application/json;x",
    ] {
        let request = Request::post("/mcp").field("content-type", media_type);
        assert_eq!(refused(request), is(401, "no_credentials"), "{media_type:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn methods() {
    for method in [Method::Head, Method::Other, Method::Options] {
        let world = World::new();
        let reply = world.call(&gateway(), Request::new(method, "/mcp").bearer(&token(&Claims::good())));
        assert_eq!((reply.status, reply.field("allow")), (405, "POST, GET, DELETE, OPTIONS"), "{method:?}");
        assert!(world.sent().is_empty());
    }
    for method in [Method::Get, Method::Post, Method::Delete] {
        let request = Request::new(method, "/mcp").field("content-type", "application/json");
        let reply = World::new().call(&gateway(), request.bearer(&token(&Claims::good())));
        assert_eq!(reply.status, 200, "{method:?}");
    }
    let reply = World::new().call(&gateway(), Request::new(Method::Post, "/status"));
    assert_eq!((reply.status, reply.field("allow")), (405, "GET, HEAD, OPTIONS"));
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_in_the_query_are_refused() {
    for query in [
        "access_token=x",
        "a=b&access_token=x",
        "ACCESS_TOKEN=x",
        "access%5Ftoken=x",
        "%61ccess_token",
        "a;access_token=x",
    ] {
        let request = Request::post(&format!("/mcp?{query}")).bearer(&token(&Claims::good()));
        assert_eq!(refused(request), is(400, "token_in_query"), "{query}");
    }
    for query in ["my_access_token=x", "q=access_token", "%", "%zz=1"] {
        assert_eq!(refused(Request::post(&format!("/mcp?{query}"))), is(401, "no_credentials"), "{query}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn preflights() {
    let preflight = |origin: &str| {
        let request = Request::new(Method::Options, "/mcp").field("access-control-request-method", "POST");
        request
            .field("origin", origin)
            .field("access-control-request-headers", "authorization, Mcp-Param-Region, x-evil, mcp-param-")
    };
    let world = World::new();
    let reply = world.call(&gateway(), preflight("https://app.example"));
    assert_eq!(reply.status, 204);
    assert_eq!(reply.field("access-control-allow-origin"), "https://app.example");
    assert_eq!(reply.field("access-control-allow-methods"), "POST, GET, DELETE, OPTIONS");
    let allowed = reply.field("access-control-allow-headers").to_owned();
    for name in [
        "authorization",
        "content-type",
        "mcp-protocol-version",
        "mcp-session-id",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "mcp-param-region",
    ] {
        assert!(allowed.split(", ").any(|allowed| allowed == name), "{name} in {allowed}");
    }
    assert!(!allowed.contains("x-evil") && !allowed.ends_with("mcp-param-"));
    assert!(reply.field("vary").contains("origin") && reply.field("vary").contains("access-control-request-headers"));
    assert_eq!(reply.field("access-control-allow-credentials"), "");
    assert!(world.sent().is_empty(), "answered at the edge");
    let reply = World::new().call(&gateway(), preflight("https://evil.example"));
    assert_eq!((reply.status, reply.field("access-control-allow-origin")), (403, ""));
}

#[wasm_bindgen_test(unsupported = test)]
fn allowed_pages_may_read_refusals_and_answers() {
    let page = || Request::post("/mcp").field("origin", "https://app.example");
    let refusal = World::new().call(&gateway(), page());
    let answer = World::new().call(&gateway(), page().bearer(&token(&Claims::good())));
    for reply in [&refusal, &answer] {
        assert_eq!(reply.field("access-control-allow-origin"), "https://app.example");
        assert!(reply.field("access-control-expose-headers").contains("www-authenticate"));
        assert!(reply.field("vary").contains("origin"));
    }
    let nobody = World::new().call(&gateway(), Request::post("/mcp"));
    assert_eq!(nobody.field("access-control-allow-origin"), "");
    assert!(nobody.field("vary").contains("origin"), "a cache must not give it to a page");
}

#[wasm_bindgen_test(unsupported = test)]
fn our_own_answers_are_hardened() {
    let reply = World::new().call(&gateway(), Request::get("/nothing"));
    assert_eq!(reply.field("cache-control"), "no-store");
    assert_eq!(reply.field("x-content-type-options"), "nosniff");
    assert_eq!(reply.field("referrer-policy"), "no-referrer");
    assert!(reply.field("content-security-policy").contains("frame-ancestors 'none'"));
    assert!(reply.field("strict-transport-security").starts_with("max-age="));
}

#[wasm_bindgen_test(unsupported = test)]
fn urls_are_read_strictly() {
    for good in [
        "https://a.example",
        "http://localhost:8787/x?y",
        "https://[::1]:8443/",
        "https://1.2.3.4",
        "HTTPS://A.example",
        "https://a_b.example",
    ] {
        assert!(HttpUrl::parse(good).is_ok(), "{good}");
    }
    let bad = [
        "",
        "a.example",
        "ftp://a.example",
        "https:/a.example",
        "https://",
        "https://a example",
        "https://a.example#x",
        "https://u@a.example",
        "https://u:p@a.example",
        "https://a.example:0x50",
        "https://a.example:",
        "https://a.example:99999",
        "https://2130706433",
        "https://0x7f.1",
        "https://127.1",
        "https://010.0.0.1",
        "https://[::1",
        "https://[::1]x",
        "https://[fe80::1%25eth0]",
        "https://ex\u{e4}mple",
        "https://a..example",
        "https://.example",
        "https://a.example\\@evil.example",
        "https://a.example\t",
        "javascript:alert(1)",
        "https://\u{ff41}.example",
    ];
    for bad in bad {
        assert!(HttpUrl::parse(bad).is_err(), "{bad}");
    }
    let shown = |text| HttpUrl::parse(text).map(|url| url.to_string());
    assert_eq!(shown("HTTPS://A.Example:443/P?q").as_deref(), Ok("https://a.example/P?q"));
}

#[wasm_bindgen_test(unsupported = test)]
fn loopback_is_this_machine_and_no_other() {
    let loopback = |host| Authority::parse(host, Scheme::Http).is_ok_and(|authority| authority.is_loopback());
    for host in ["localhost", "LOCALHOST:8787", "127.0.0.1", "127.9.9.9:1", "[::1]", "[0:0:0:0:0:0:0:1]"] {
        assert!(loopback(host), "{host}");
    }
    for host in
        ["localhost.evil.example", "evil.localhost", "128.0.0.1", "[::2]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1"]
    {
        assert!(!loopback(host), "{host}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn web_origins_are_scheme_host_and_port_alone() {
    let read = |text| WebOrigin::parse(text).map(|origin| origin.as_str().to_owned());
    assert_eq!(read("https://App.example:443").as_deref(), Some("https://app.example"));
    assert_eq!(read("http://localhost:3000").as_deref(), Some("http://localhost:3000"));
    for text in ["null", "*", "https://a.example/", "https://a.example?x", "https://a.example b"] {
        assert_eq!(read(text), None, "{text}");
    }
    for other in [
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://0b2f8f6e-2b7a-4a08-8f4e-6f6d9e0c1a2b",
        "app://obsidian.md",
        "vscode-file://vscode-app",
        "capacitor://localhost:8100",
    ] {
        assert_eq!(read(other).as_deref(), Some(other));
    }
    for text in [
        "chrome-extension://abc/",
        "chrome-extension://abc/page",
        "chrome-extension://",
        "chrome-extension://a b",
        "chrome-extension://*",
        "Chrome-Extension://abc",
        "app://a@b",
        "file://host",
        "null://x",
        "data://x",
        "1app://x",
        "://x",
        "app:obsidian.md",
        "app://a, https://b.example",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    assert_eq!(read(&format!("app://{}", "a".repeat(300))), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn extensions_and_applications_that_configuration_allows() {
    let extension = "chrome-extension://abcdefghijklmnopabcdefghijklmnop";
    let mut document = crate::support::document();
    document["allowed_origins"] = json!([extension, "app://obsidian.md"]);
    let gateway = open(document).expect("the configuration is right");
    for (origin, status) in [
        (extension, 200),
        ("app://obsidian.md", 200),
        ("APP://obsidian.md", 403),
        ("app://obsidian.md.evil", 403),
        ("chrome-extension://abcdefghijklmnopabcdefghijklmnoq", 403),
    ] {
        let request = Request::post("/mcp").bearer(&token(&Claims::good())).field("origin", origin);
        let reply = World::new().call(&gateway, request);
        assert_eq!(reply.status, status, "{origin}");
        let allowed = reply.fields.get("access-control-allow-origin");
        assert_eq!(allowed, (status == 200).then_some(origin), "{origin}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_resource_forwards_the_fields_that_it_names() {
    let mut document = crate::support::document();
    document["resources"][0]["forward_fields"] = json!(["X-MCP-Readonly", "x-tenant-id"]);
    let gateway = open(document).expect("the configuration is right");
    let call = |path: &str, fields: &[(&'static str, &str)]| {
        let world = World::new();
        let claims = Claims::good()
            .with("scope", json!("mcp:tools admin"))
            .with("aud", json!(["https://gate.example/mcp", "https://gate.example/mcp/admin"]));
        let request = fields
            .iter()
            .fold(Request::post(path).bearer(&token(&claims)), |request, (name, value)| request.field(name, value));
        let reply = world.call(&gateway, request);
        (reply.status, world.sent().pop().map(|sent| sent.fields))
    };
    let (status, sent) = call("/mcp", &[("x-mcp-readonly", "true"), ("x-tenant-id", "acme"), ("x-other", "1")]);
    let sent = sent.expect("it was forwarded");
    assert_eq!(
        (status, sent.get("x-mcp-readonly"), sent.get("x-tenant-id"), sent.get("x-other")),
        (200, Some("true"), Some("acme"), None)
    );
    // A value that cannot be forwarded must not become none: that could mean more than the client wanted.
    for value in ["caf\u{e9}", "a\u{1}b"] {
        assert_eq!(call("/mcp", &[("x-mcp-readonly", value)]).0, 400, "{value:?}");
    }
    let (status, sent) = call("/mcp/admin", &[("x-mcp-readonly", "true")]);
    assert_eq!((status, sent.expect("it was forwarded").get("x-mcp-readonly")), (200, None), "another resource");
    let preflight = |path: &str| {
        let request = Request::new(Method::Options, path)
            .field("origin", "https://app.example")
            .field("access-control-request-method", "POST");
        World::new().call(&gateway, request).field("access-control-allow-headers").to_owned()
    };
    assert!(preflight("/mcp").contains("x-mcp-readonly, x-tenant-id"), "{}", preflight("/mcp"));
    assert!(!preflight("/mcp/admin").contains("x-mcp-readonly"));
    for name in [
        "authorization",
        "Cookie",
        "x-forwarded-for",
        "cf-connecting-ip",
        "x-portcullis-subject",
        "mcp-name",
        "host",
        "proxy-authorization",
        "x-api-key",
        "x-auth-token",
        "x-github-token",
        "sec-fetch-site",
        "x_tenant",
        "x tenant",
        "",
        "connection",
        "traceparent",
        "origin",
        "content-length",
    ] {
        let mut document = crate::support::document();
        document["resources"][0]["forward_fields"] = json!([name]);
        let mistakes = open(document).expect_err("a mistake").to_string();
        assert!(mistakes.contains("resources[0].forward_fields[0]: "), "{name}: {mistakes}");
    }
}
