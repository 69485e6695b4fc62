//! Who a login is about.

use portcullis::directory::person::{Person, PersonKey, find_person};
use serde_json::json;

use super::support::Directory;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn a_person_is_found_by_each_key() {
    let mut directory = Directory::default();
    let ada = directory
        .user("Ada@X", json!({ "externalId": "E1", "emails": [{ "value": "Ada@mail" }, { "value": "shared@mail" }] }));
    directory.user("bob", json!({ "active": false, "emails": [{ "value": "SHARED@mail" }] }));
    directory.group("Writers", &[&ada]);
    directory.group("Admins", &[&ada]);
    let find = |key| find_person(&directory.tables, key).expect("the tables in memory do not fail");
    let person = Person {
        id: ada,
        active: true,
        groups: vec!["Writers".to_owned(), "Admins".to_owned()],
        user_name: "Ada@X".to_owned(),
        external_id: Some("E1".to_owned()),
    };
    for key in [PersonKey::ExternalId("E1"), PersonKey::UserName("ADA@x"), PersonKey::Email("ada@MAIL")] {
        assert_eq!(find(key).as_ref(), Some(&person), "{key:?}");
    }
    assert_eq!(find(PersonKey::UserName("bob")).map(|person| person.active), Some(false));
    for key in [
        PersonKey::ExternalId("e1"),
        PersonKey::ExternalId(""),
        PersonKey::UserName(""),
        PersonKey::Email(""),
        PersonKey::Email("shared@mail"),
        PersonKey::UserName("Ada@mail"),
    ] {
        assert_eq!(find(key), None, "{key:?}");
    }
}

/// Letters that an index takes for the same are not the same person.
#[wasm_bindgen_test(unsupported = test)]
fn only_the_same_name_finds_a_user() {
    let mut directory = Directory::default();
    for (name, email) in [("sid@acme.example", "sid@acme.example"), ("wei\u{df}@acme.example", "fiona@acme.example")] {
        directory.user(name, json!({ "emails": [{ "value": email }] }));
    }
    let find = |key| find_person(&directory.tables, key).expect("the tables in memory do not fail");
    assert!(find(PersonKey::UserName("SID@acme.example")).is_some());
    for other in ["\u{17f}id@acme.example", "weiss@acme.example", "s\u{131}d@acme.example", " sid@acme.example"] {
        assert_eq!(find(PersonKey::UserName(other)), None, "{other}");
    }
    assert!(find(PersonKey::Email("Fiona@acme.example")).is_some());
    assert_eq!(find(PersonKey::Email("\u{fb01}ona@acme.example")), None);
}
