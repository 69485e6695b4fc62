//! One canonical form of a path, and no way round it.

use portcullis::transport::path::CanonicalPath;
use wasm_bindgen_test::wasm_bindgen_test;

fn canonical(raw: &str) -> Option<String> {
    CanonicalPath::parse(raw).ok().map(|path| path.to_string())
}

#[wasm_bindgen_test(unsupported = test)]
fn spellings_of_one_path_have_one_form() {
    for raw in ["/mcp", "/%6dcp", "/%6Dcp", "/m%63p"] {
        assert_eq!(canonical(raw).as_deref(), Some("/mcp"), "{raw}");
    }
    assert_eq!(canonical("/a%c3%a9").as_deref(), Some("/a%C3%A9"));
    assert_eq!(canonical("/a/").as_deref(), Some("/a/"));
    assert_eq!(canonical("/").as_deref(), Some("/"));
}

#[wasm_bindgen_test(unsupported = test)]
fn paths_that_readers_read_differently_are_refused() {
    let ambiguous = [
        "",
        "mcp",
        "//",
        "//mcp",
        "/a//b",
        "/.",
        "/..",
        "/a/../b",
        "/a/./b",
        "/%2e%2e/mcp",
        "/a/%2E",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/a%00",
        "/a%0a",
        "/a%7f",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a b",
        "/a\"",
        "/é",
        "/a|b",
        "/..;x/mcp",
        "/a/..;/b",
        "/a%252fb",
        "/a/%252e%252e/b",
        "/a%255cb",
        "/%25252e%25252e/a",
        "/;/admin",
        "/a/;x=1/b",
        "/%3b/admin",
        "/mcp/%252525252e%252525252e/x",
        "/mcp/%252525252561dmin",
        "/mcp/%C0%AE%C0%AE/x",
        "/mcp/x%C0%AFx",
        "/admin%3Fx",
        "/admin%23x",
        "/admin%2500",
        "/a%ff",
    ];
    for raw in ambiguous {
        assert_eq!(canonical(raw), None, "{raw:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_path_lies_under_another_on_whole_segments() {
    let path = |raw| CanonicalPath::parse(raw).expect("a path");
    assert_eq!(path("/mcp").under(&path("/mcp")), Some(""));
    assert_eq!(path("/mcp/x").under(&path("/mcp")), Some("/x"));
    assert_eq!(path("/mcp/").under(&path("/mcp")), Some("/"));
    assert_eq!(path("/mcpx").under(&path("/mcp")), None);
    assert_eq!(path("/MCP").under(&path("/mcp")), None);
    assert_eq!(path("/mcp").under(&path("/")), Some("/mcp"));
    assert_eq!(path("/").under(&path("/")), Some(""));
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use proptest::prelude::*;

    use portcullis::gateway::{Action, ActiveRequest};

    use portcullis::transport::path::CanonicalPath;

    use std::rc::Rc;

    use portcullis::gateway::Gateway;
    use serde_json::json;

    use crate::support::{Claims, Request, World, document_with, open, token};

    thread_local! {
        static NESTED: (Rc<Gateway>, String) = (
            open(document_with(json!({
                "public_paths": [],
                "resources": [
                    { "path": "/", "origin": "https://tools.example", "issuers": ["idp"], "scopes": ["mcp:tools"] },
                    { "path": "/admin", "origin": "https://tools.example/admin", "issuers": ["idp"], "scopes": ["admin"] },
                ],
            })))
            .expect("the document is right"),
            token(&Claims::good().with("aud", json!("https://gate.example/"))),
        );
        static OPENED: Rc<Gateway> = open(document_with(json!({
            "public_paths": [{ "path": "/admin", "origin": "https://tools.example/hello" }],
        })))
        .expect("the document is right");
    }

    /// The property below would hold of a gateway that forwards nothing.
    #[test]
    fn the_open_part_is_open() {
        let (gateway, token) = NESTED.with(Clone::clone);
        for target in ["/", "/a/b", "/adminx", "/a;x=1", "/%61/%7e"] {
            let world = World::new();
            assert_eq!(world.call(&gateway, Request::get(target).bearer(&token)).status, 200, "{target}");
            assert_eq!(world.sent().len(), 1);
        }
    }

    /// What a lenient server might do with a path: decode it twice, turn backslashes, resolve dots, drop empty
    /// segments and parameters, ignore case.
    fn most_lenient(path: &str) -> String {
        let decode = |text: &str| {
            let mut bytes = Vec::new();
            let mut rest = text.as_bytes();
            while let [first, tail @ ..] = rest {
                let escape = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
                    Some(byte) => {
                        bytes.push(byte);
                        rest = &tail[2..];
                    }
                    None => {
                        bytes.push(*first);
                        rest = tail;
                    }
                }
            }
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let text = decode(&decode(path)).replace('\\', "/").to_lowercase();
        let mut segments: Vec<&str> = Vec::new();
        for segment in text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()) {
            match segment {
                "" | "." => {}
                ".." => {
                    segments.pop();
                }
                other => segments.push(other),
            }
        }
        format!("/{}", segments.join("/"))
    }

    fn piece() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "/", "a", "admin", "ADMIN", "%61", "%41", "dmin", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", ";x=1",
            "%3b", "%25", "2e", "2f", "61", "%00", "mcp", "b", "//", "~", "%7e", "%",
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn canonical_form_is_stable(pieces in prop::collection::vec(piece(), 0..12)) {
            let raw = format!("/{}", pieces.concat());
            if let Ok(path) = CanonicalPath::parse(&raw) {
                let again = CanonicalPath::parse(path.as_str()).map(|again| again.to_string());
                prop_assert_eq!(again.as_deref(), Ok(path.as_str()));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever path gets through for the open part of a server, no reading of it reaches the part that asks
        /// for more.
        #[test]
        fn no_spelling_reaches_another_resource(pieces in prop::collection::vec(piece(), 0..12)) {
            let target = format!("/{}", pieces.concat());
            let (gateway, token) = NESTED.with(Clone::clone);
            let world = World::new();
            let reply = world.call(&gateway, Request::get(&target).bearer(&token));
            for sent in world.sent() {
                let path = sent.url.strip_prefix("https://tools.example").expect("the origin server");
                let read = most_lenient(path.split('?').next().unwrap_or_default());
                prop_assert!(read != "/admin" && !read.starts_with("/admin/"), "{target} became {path}, status {}", reply.status);
            }
        }

        /// Nothing but the public path itself opens.
        #[test]
        fn nothing_near_a_public_path_opens(pieces in prop::collection::vec(piece(), 0..6)) {
            let target = format!("/admin{}", pieces.concat());
            let gateway = OPENED.with(Rc::clone);
            let world = World::new();
            let request = Request::get(&target);
            let canonical = CanonicalPath::parse(target.split(['?', '#']).next().unwrap_or_default());
            let is_it = canonical.is_ok_and(|path| path.as_str() == "/admin");
            let opened = matches!(ActiveRequest::new(&gateway, &world, &request.head).begin(request.head), Action::Send(..));
            prop_assert_eq!(opened, is_it, "{}", target);
        }
    }
}
