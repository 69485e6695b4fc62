//! Text that was put together at random: nothing panics, and what is refused changes nothing.

use portcullis::directory::filter::Filter;
use portcullis::directory::path::PatchPath;
use portcullis::directory::schema;
use portcullis::directory::timestamp::parse_rfc3339;
use serde_json::{Value, json};

use super::support::{Directory, GROUP, Numbers, PATCH, USER, encode};
use wasm_bindgen_test::wasm_bindgen_test;

const PIECES: &[&str] = &[
    "userName pr",
    "active eq true",
    " and ",
    " or ",
    "not (",
    "emails[",
    "members[",
    "value eq \"id-1\"",
    "meta.created gt ",
    "userName",
    "emails",
    "members",
    "name.familyName",
    "meta.created",
    "active",
    "groups",
    "[",
    "]",
    "(",
    ")",
    "not",
    "and",
    "or",
    " ",
    "  ",
    "eq",
    "ne",
    "co",
    "sw",
    "gt",
    "le",
    "pr",
    "\"x\"",
    "\"",
    "\\",
    "\\\"",
    "null",
    "true",
    "1",
    "-1e9",
    ".",
    ".value",
    ":",
    "urn:ietf:params:scim:schemas:core:2.0:User:",
    "type eq \"work\"",
    "é",
    "𝄞",
    "\u{0}",
    "\"2026-01-01T00:00:00Z\"",
    "$ref",
];

fn text(numbers: &mut Numbers) -> String {
    let count = numbers.below(12);
    (0..count).map(|_| *numbers.pick(PIECES)).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn filters_and_paths_from_pieces() {
    let mut numbers = Numbers(7);
    let mut directory = Directory::default();
    let id = directory.user("x", json!({ "emails": [{ "value": "x", "type": "work" }] }));
    directory.group("g", &[&id]);
    let mut read = 0;
    for _ in 0..60_000 {
        let text = text(&mut numbers);
        let _ = PatchPath::read(&schema::USER, &text);
        let _ = PatchPath::read(&schema::GROUP, &text);
        if Filter::parse(&schema::USER, &text).is_ok() {
            read += 1;
            assert_eq!(directory.get(&format!("/Users?filter={}", encode(&text))).0, 200, "{text}");
        }
        if Filter::parse(&schema::GROUP, &text).is_ok() {
            assert_eq!(directory.get(&format!("/Groups?filter={}", encode(&text))).0, 200, "{text}");
        }
    }
    assert!(read > 50, "the pieces make {read} filters");
}

/// A filter in each way in which it can be cut is refused or read, and never a panic.
#[wasm_bindgen_test(unsupported = test)]
fn filters_cut_short() {
    let whole = "not (emails[type eq \"wörk\\\"\" and value co \"@\"].primary ne false) or meta.created gt \"2026-01-01T00:00:00Z\"";
    assert!(Filter::parse(&schema::USER, whole).is_ok());
    for (at, _) in whole.char_indices() {
        // What stands before `or` is a filter of its own.
        let complete = whole[..at].trim_end().ends_with("false)");
        assert_eq!(Filter::parse(&schema::USER, &whole[..at]).is_ok(), complete, "{}", &whole[..at]);
        let _ = Filter::parse(&schema::USER, &whole[at..]);
        let _ = parse_rfc3339(&whole[at..]);
    }
}

/// What an index finds is what a scan finds.
#[wasm_bindgen_test(unsupported = test)]
fn an_index_and_a_scan_agree() {
    let mut numbers = Numbers(11);
    let mut directory = Directory::default();
    let names = ["ada", "Bob", "eve"];
    for (at, name) in names.iter().enumerate() {
        directory.user(
            name,
            json!({ "externalId": name, "displayName": names[at / 2], "active": at != 1,
            "emails": [{ "value": format!("{name}@x"), "type": "work" }, { "value": "all@x", "type": "home" }] }),
        );
    }
    for _ in 0..500 {
        let term = |numbers: &mut Numbers| {
            let attribute = *numbers.pick(&[
                "userName",
                "externalId",
                "displayName",
                "emails.value",
                "emails[type eq \"work\"].value",
                "id",
            ]);
            let value = *numbers.pick(&["ADA", "Bob", "eve", "ada@x", "ALL@x", "id-1", "id-3"]);
            format!("{attribute} eq \"{value}\"")
        };
        let (one, two) = (term(&mut numbers), term(&mut numbers));
        // No index answers a negation.
        for filter in [one.clone(), format!("{one} and {two}")] {
            let scanned = directory.find("Users", &format!("not (not ({filter}))"));
            assert_eq!(directory.find("Users", &filter), scanned, "{filter}");
        }
    }
}

fn value(numbers: &mut Numbers, depth: usize) -> Value {
    match numbers.below(if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => json!(numbers.below(2) == 0),
        2 => json!(numbers.below(1000)),
        3 => json!(numbers.pick(&["True", "", "id-1", "x", "a\u{7}b", "User", "Group"])),
        4 => json!("x".repeat(numbers.below(1100))),
        5 => {
            json!({ "value": *numbers.pick(&["id-1", "id-2", "x"]), "type": *numbers.pick(&["work", "User", "Group"]) })
        }
        6 => (0..numbers.below(4)).map(|_| value(numbers, depth - 1)).collect(),
        _ => {
            let names = [
                "value",
                "type",
                "primary",
                "Active",
                "userName",
                "members",
                "emails",
                "id",
                "name.givenName",
                "displayName",
                USER,
                GROUP,
            ];
            (0..numbers.below(4)).map(|_| ((*numbers.pick(&names)).to_owned(), value(numbers, depth - 1))).collect()
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn patches_from_pieces() {
    let mut numbers = Numbers(13);
    let mut directory = Directory::default();
    let id = directory.user("ada", json!({ "emails": [{ "value": "x", "type": "work" }] }));
    let group = directory.group("g", &[&id]);
    let paths = [
        "userName",
        "active",
        "emails",
        "emails.value",
        "emails[type eq \"work\"]",
        "emails[type eq \"home\"].value",
        "emails[primary eq true].type",
        "name",
        "name.givenName",
        "members",
        "members[value eq \"id-1\"]",
        "members[type eq \"User\"]",
        "displayName",
        "externalId",
        "title",
        "id",
        "groups",
        "",
        "]",
        "emails[",
        USER,
    ];
    let (mut applied, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let operations: Vec<Value> = (0..=numbers.below(3))
            .map(|_| {
                let mut operation = json!({ "op": *numbers.pick(&["add", "Remove", "REPLACE", "move"]) });
                if numbers.below(4) > 0 {
                    operation["path"] = json!(*numbers.pick(&paths));
                }
                if numbers.below(5) > 0 {
                    operation["value"] = value(&mut numbers, 3);
                }
                operation
            })
            .collect();
        let target = if numbers.below(2) == 0 { format!("/Users/{id}") } else { format!("/Groups/{group}") };
        let before = directory.tables.clone();
        let answer = directory.send("PATCH", &target, &json!({ "schemas": [PATCH], "Operations": operations }));
        if answer.status < 300 {
            applied += 1;
            // What was applied can be read back as a whole.
            let (status, shown) = directory.get(&target);
            assert_eq!(status, 200);
            let mut again = directory.tables.clone();
            std::mem::swap(&mut again, &mut directory.tables);
            let put = directory.send("PUT", &target, &shown);
            assert_eq!((put.status, put.effects.len()), (200, 0), "{shown}");
            std::mem::swap(&mut again, &mut directory.tables);
        } else {
            refused += 1;
            assert!(matches!(answer.status, 400 | 409 | 413), "{answer:?}");
            assert!(before == directory.tables, "{operations:?}");
        }
    }
    assert!(applied > 1000 && refused > 1000, "{applied} applied, {refused} refused");
}
