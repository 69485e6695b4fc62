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
