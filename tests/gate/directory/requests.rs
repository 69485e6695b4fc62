//! Methods, endpoints, media types and sizes.

use serde_json::json;

use super::support::{Directory, USER, body_of};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn endpoints_and_methods() {
    let mut directory = Directory::default();
    for (method, target, status) in [
        ("GET", "/Nothing", 404),
        ("GET", "/users", 404),
        ("GET", "/Users/a/b", 404),
        ("GET", "/Users/unknown", 404),
        ("GET", "/Users/", 200),
        ("GET", "/Groups", 200),
        ("PUT", "/Users", 405),
        ("PATCH", "/Groups", 405),
        ("DELETE", "/Users", 405),
        ("POST", "/Users/x", 405),
        ("HEAD", "/Users/x", 405),
        ("get", "/Users", 405),
        ("DELETE", "/Schemas", 405),
        ("PUT", "/ServiceProviderConfig", 405),
        ("POST", "/Bulk", 501),
        ("GET", "/Me", 501),
        ("POST", "/.search", 501),
        ("POST", "/Users/.search", 501),
        ("GET", "/Users/%zz", 400),
        ("GET", "/Users/%2", 400),
        ("GET", "/Users/%ff", 400),
        ("GET", "/Users?count=ten", 400),
        ("GET", "/Users?count=", 400),
        ("GET", "/Users?startIndex=1.5", 400),
        ("GET", "/Users?startIndex=99999999999999999999", 400),
        ("GET", "/Users?count=1&count=2", 400),
        ("GET", "/Users?filter=%zz", 400),
        ("GET", "/Users?unknown=%41&&x", 200),
    ] {
        let answer = directory.raw(method, target, None, b"");
        assert_eq!(answer.status, status, "{method} {target}");
        if status >= 400 {
            assert_eq!(body_of(&answer)["status"], json!(status.to_string()), "{method} {target}");
            assert_eq!(body_of(&answer)["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        }
    }
    assert_eq!(directory.get(&format!("/Users/{}", "x".repeat(129))).0, 404);
    assert_eq!(directory.get(&format!("/Users?x={}", "x".repeat(8191))).0, 414);
    assert_eq!(directory.get(&format!("/Users?{}", "a=b&".repeat(33))).0, 400);
}

#[wasm_bindgen_test(unsupported = test)]
fn bodies() {
    let mut directory = Directory::default();
    let body = json!({ "schemas": [USER], "userName": "x" }).to_string();
    for content_type in [None, Some("text/plain"), Some("application/xml"), Some("application/json5"), Some("")] {
        assert_eq!(directory.raw("POST", "/Users", content_type, body.as_bytes()).status, 415, "{content_type:?}");
    }
    for (at, content_type) in
        ["application/scim+json", "application/json;charset=utf-8", "Application/JSON ; x=y"].iter().enumerate()
    {
        let body = json!({ "schemas": [USER], "userName": at.to_string() }).to_string();
        assert_eq!(directory.raw("POST", "/Users", Some(content_type), body.as_bytes()).status, 201, "{content_type}");
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
    for malformed in ["", "{", "null x", "{\"schemas\":[],\"schemas\":[]}", "{'a':1}", &deep, "\u{feff}{}"] {
        let answer = directory.raw("POST", "/Users", Some("application/json"), malformed.as_bytes());
        assert_eq!((answer.status, &body_of(&answer)["scimType"]), (400, &json!("invalidSyntax")), "{malformed}");
    }
    assert_eq!(directory.raw("POST", "/Users", Some("application/json"), b"{\"a\":\"\xff\"}").status, 400);
    let large = vec![b' '; 2 * 1024 * 1024 + 1];
    assert_eq!(directory.raw("POST", "/Users", Some("application/json"), &large).status, 413);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_query_string_is_decoded_once() {
    let mut directory = Directory::default();
    let plus = directory.user("a+b@example.com", json!({}));
    let percent = directory.user("a%2Bb", json!({}));
    for (query, id) in [
        ("filter=userName+eq+%22a%2Bb%40example.com%22", &plus),
        ("filter=userName%20eq%20%22a%2bb@example.com%22", &plus),
        ("filter=userName%20eq%20%22a%252Bb%22", &percent),
    ] {
        assert_eq!(directory.get(&format!("/Users?{query}")).1["Resources"][0]["id"], json!(id), "{query}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn details_do_not_repeat_long_or_strange_text() {
    let mut directory = Directory::default();
    let filter = format!("{}%00%0a%20eq%20%22x%22", "x".repeat(3000));
    let (status, error) = directory.get(&format!("/Users?filter={filter}"));
    assert_eq!(status, 400);
    let detail = error["detail"].as_str().expect("a detail");
    assert!(detail.len() < 300 && !detail.contains('\n'), "{detail}");
}
