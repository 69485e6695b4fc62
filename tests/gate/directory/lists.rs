//! Lists and pages (RFC 7644 §3.4.2.4).

use serde_json::json;

use super::support::{Directory, encode};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn pages_fit_together() {
    let mut directory = Directory::default();
    let ids: Vec<String> =
        (0..250).map(|at| directory.user(&format!("u{at}"), json!({ "active": at % 2 == 0 }))).collect();
    let mut page = |query: &str| {
        let (status, list) = directory.get(&format!("/Users?{query}"));
        assert_eq!(status, 200, "{list}");
        let resources = list["Resources"].as_array().expect("a list").clone();
        assert_eq!(list["itemsPerPage"], json!(resources.len()));
        let ids: Vec<String> = resources.iter().map(|user| user["id"].as_str().expect("an id").to_owned()).collect();
        (list["totalResults"].as_u64(), list["startIndex"].as_u64(), ids)
    };
    assert_eq!(page(""), (Some(250), Some(1), ids[..100].to_vec()));
    assert_eq!(page("count=1000"), (Some(250), Some(1), ids[..200].to_vec()));
    assert_eq!(page("startIndex=201&count=100"), (Some(250), Some(201), ids[200..].to_vec()));
    assert_eq!(page("startIndex=0&count=2"), (Some(250), Some(1), ids[..2].to_vec()));
    assert_eq!(page("startIndex=-5&count=2"), (Some(250), Some(1), ids[..2].to_vec()));
    assert_eq!(page("startIndex=300"), (Some(250), Some(300), vec![]));
    assert_eq!(page("startIndex=9223372036854775807"), (Some(250), Some(9_223_372_036_854_775_807), vec![]));
    assert_eq!(page("count=0"), (Some(250), Some(1), vec![]));
    assert_eq!(page("count=-1"), (Some(250), Some(1), vec![]));
    assert_eq!(page("sortBy=userName&sortOrder=descending&count=2"), (Some(250), Some(1), ids[..2].to_vec()));
    let even: Vec<String> = ids.iter().step_by(2).cloned().collect();
    let filter = format!("filter={}", encode("active eq true"));
    assert_eq!(page(&format!("{filter}&startIndex=101")), (Some(125), Some(101), even[100..].to_vec()));
    assert_eq!(page(&format!("{filter}&count=0")), (Some(125), Some(1), vec![]));
    assert_eq!(page(&format!("{filter}&startIndex=126")), (Some(125), Some(126), vec![]));
    // A deletion does not change the order of the others.
    directory.raw("DELETE", &format!("/Users/{}", ids[0]), None, b"");
    assert_eq!(directory.get("/Users?count=1").1["Resources"][0]["id"], json!(ids[1]));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_scan_is_bounded_and_an_index_is_not() {
    let mut directory = Directory::default();
    for at in 0..1000 {
        directory.user(&format!("u{at}"), json!({ "displayName": "Same" }));
    }
    assert_eq!(directory.get(&format!("/Users?filter={}", encode("userName sw \"u99\""))).1["totalResults"], json!(11));
    directory.user("last", json!({}));
    assert_eq!(directory.refused("Users", "userName sw \"u99\""), (400, "tooMany".to_owned()));
    assert_eq!(directory.refused("Users", "not (userName eq \"u99\")"), (400, "tooMany".to_owned()));
    assert_eq!(directory.find("Users", "userName eq \"LAST\" and active eq true").len(), 1);
    let (_, list) = directory.get(&format!("/Users?filter={}", encode("displayName eq \"same\"")));
    assert_eq!((&list["totalResults"], &list["itemsPerPage"]), (&json!(1000), &json!(100)));
    assert_eq!(directory.get("/Users?count=1").1["totalResults"], json!(1001));
}
