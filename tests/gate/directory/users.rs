//! Users: create, read, replace, delete.

use serde_json::{Value, json};

use super::support::{BASE, Directory, USER, body_of, error_of};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn a_user_keeps_what_the_directory_needs_and_no_more() {
    let mut directory = Directory::at(1_767_225_600);
    let answer = directory.send(
        "POST",
        "/Users",
        &json!({
            "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
            "id": "mine", "userName": "ada@example.com", "externalId": "00u1", "password": "secret", "nickName": "A", "title": "Countess",
            "name": { "formatted": "Ada Lovelace", "familyName": "Lovelace", "givenName": "Ada", "honorificPrefix": "Lady" },
            "displayName": "Ada", "active": true, "locale": "en", "phoneNumbers": [{ "value": "1" }], "groups": [{ "value": "admins" }],
            "emails": [{ "value": "ada@example.com", "type": "work", "primary": true, "display": "Ada" }],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Engines" },
            "meta": { "resourceType": "User", "created": "1815-12-10T00:00:00Z" }
        }),
    );
    assert_eq!(answer.status, 201);
    assert_eq!(answer.location.as_deref(), Some("https://gate.example/scim/v2/Users/id-1"));
    let expected = json!({
        "schemas": [USER], "id": "id-1", "userName": "ada@example.com", "externalId": "00u1", "active": true, "displayName": "Ada",
        "name": { "formatted": "Ada Lovelace", "familyName": "Lovelace", "givenName": "Ada" },
        "emails": [{ "value": "ada@example.com", "type": "work", "primary": true }], "groups": [],
        "meta": { "resourceType": "User", "created": "2026-01-01T00:00:00Z", "lastModified": "2026-01-01T00:00:00Z",
            "location": format!("{BASE}/Users/id-1") }
    });
    assert_eq!(body_of(&answer), expected);
    assert_eq!(directory.get("/Users/id-1"), (200, expected));
}

#[wasm_bindgen_test(unsupported = test)]
fn names_are_read_in_any_case_and_booleans_as_text() {
    let mut directory = Directory::default();
    let id = directory.user("x", json!({ "Active": "False", "DISPLAYNAME": "X", "Name": { "FamilyName": "Y" }, "emails": { "Value": "a@b", "PRIMARY": "True" } }));
    let (_, shown) = directory.get(&format!("/Users/{id}"));
    assert_eq!(shown["active"], json!(false));
    assert_eq!(shown["displayName"], json!("X"));
    assert_eq!(shown["name"], json!({ "familyName": "Y" }));
    assert_eq!(shown["emails"], json!([{ "value": "a@b", "primary": true }]));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_malformed_user_is_refused() {
    let mut directory = Directory::default();
    let long = "x".repeat(1025);
    let emails: Vec<Value> = (0..33).map(|at| json!({ "value": format!("{at}@example.com") })).collect();
    let cases: Vec<(Value, &str)> = vec![
        (json!([]), "invalidSyntax"),
        (json!("x"), "invalidSyntax"),
        (json!({ "userName": "x" }), "invalidSyntax"),
        (json!({ "schemas": "urn:ietf:params:scim:schemas:core:2.0:User", "userName": "x" }), "invalidSyntax"),
        (json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "userName": "x" }), "invalidSyntax"),
        (json!({ "schemas": vec![USER; 33], "userName": "x" }), "invalidSyntax"),
        (json!({ "schemas": [USER], "userName": "x", "username": "y" }), "invalidSyntax"),
        (json!({ "schemas": [USER] }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": null }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "" }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "  " }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": 5 }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": long }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "a\u{0}b" }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "a\nb" }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "x", "active": "yes" }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "x", "active": 0 }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "x", "externalId": ["a"] }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "x", "name": "Ada" }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "x", "name": { "givenName": {} } }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "x", "emails": ["a@b"] }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "x", "emails": [{ "value": 5 }] }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "x", "emails": emails }), "invalidValue"),
        (
            json!({ "schemas": [USER], "userName": "x", "emails": [{ "value": "a", "primary": true }, { "value": "b", "primary": true }] }),
            "invalidValue",
        ),
    ];
    for (body, expected) in cases {
        let answer = directory.send("POST", "/Users", &body);
        assert_eq!(error_of(&answer), (400, expected.to_owned()), "{body}");
    }
    assert_eq!(directory.get("/Users").1["totalResults"], json!(0));
}

#[wasm_bindgen_test(unsupported = test)]
fn empty_and_null_are_unassigned() {
    let mut directory = Directory::default();
    let id = directory.user("x", json!({ "externalId": "", "displayName": null, "name": { "familyName": "" }, "emails": [{ "type": "work" }, { "value": "" }] }));
    let (_, shown) = directory.get(&format!("/Users/{id}"));
    for name in ["externalId", "displayName", "name", "emails"] {
        assert_eq!(shown.get(name), None, "{name}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn user_name_is_unique_in_any_case_and_external_id_exactly() {
    let mut directory = Directory::default();
    directory.user("Ada", json!({ "externalId": "1a" }));
    let other = directory.user("Bob", json!({ "externalId": "1A" }));
    for (body, status) in [
        (json!({ "schemas": [USER], "userName": "ADA" }), 409),
        (json!({ "schemas": [USER], "userName": "x", "externalId": "1a" }), 409),
    ] {
        let answer = directory.send("POST", "/Users", &body);
        assert_eq!(error_of(&answer), (status, "uniqueness".to_owned()));
        let answer = directory.send("PUT", &format!("/Users/{other}"), &body);
        assert_eq!(error_of(&answer), (status, "uniqueness".to_owned()));
    }
    assert_eq!(
        directory
            .patch_refused(
                &format!("/Users/{other}"),
                &json!([{ "op": "replace", "path": "userName", "value": "aDa" }])
            )
            .0,
        409
    );
    // A user may change the case of its own name.
    let answer = directory.send("PUT", &format!("/Users/{other}"), &json!({ "schemas": [USER], "userName": "BOB" }));
    assert_eq!(answer.status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn put_replaces_all_but_active_and_external_id() {
    let mut directory = Directory::at(100);
    let id = directory
        .user("x", json!({ "externalId": "e", "displayName": "X", "active": false, "emails": [{ "value": "a@b" }] }));
    let target = format!("/Users/{id}");
    directory.now = 160;
    let answer = directory.send("PUT", &target, &json!({ "schemas": [USER], "userName": "y", "id": "other" }));
    let shown = body_of(&answer);
    assert_eq!((answer.status, &shown["id"], &shown["userName"]), (200, &json!(id), &json!("y")));
    assert_eq!((shown.get("displayName"), shown.get("emails")), (None, None));
    // A PUT without `active` does not give access back, and one without `externalId` does not lose the user for a login.
    assert_eq!((&shown["active"], &shown["externalId"]), (&json!(false), &json!("e")));
    assert_eq!(shown["meta"]["created"], json!("1970-01-01T00:01:40Z"));
    assert_eq!(shown["meta"]["lastModified"], json!("1970-01-01T00:02:40Z"));
    let answer = directory.send(
        "PUT",
        &target,
        &json!({ "schemas": [USER], "userName": "y", "externalId": null, "active": null }),
    );
    let shown = body_of(&answer);
    assert_eq!((shown.get("active"), shown.get("externalId")), (None, None));
    let answer = directory.send("PUT", "/Users/unknown", &json!({ "schemas": [USER], "userName": "y" }));
    assert_eq!(answer.status, 404);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_changes_nothing_is_no_modification() {
    let mut directory = Directory::at(100);
    let id = directory.user("x", json!({ "displayName": "X" }));
    directory.now = 200;
    let shown =
        directory.patched(&format!("/Users/{id}"), &json!([{ "op": "replace", "path": "displayName", "value": "X" }]));
    assert_eq!(shown["meta"]["lastModified"], json!("1970-01-01T00:01:40Z"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_deleted_user_is_gone() {
    let mut directory = Directory::default();
    let id = directory.user("x", json!({ "externalId": "e" }));
    let group = directory.group("g", &[&id]);
    let answer = directory.raw("DELETE", &format!("/Users/{id}"), None, b"");
    assert_eq!((answer.status, answer.body), (204, None));
    for method in ["GET", "DELETE"] {
        assert_eq!(directory.raw(method, &format!("/Users/{id}"), None, b"").status, 404);
    }
    assert!(directory.members(&group).is_empty());
    // The names are free again.
    directory.user("X", json!({ "externalId": "e" }));
}

#[wasm_bindgen_test(unsupported = test)]
fn attributes_select_what_is_shown() {
    let mut directory = Directory::default();
    let id = directory.user(
        "x",
        json!({ "name": { "givenName": "A", "familyName": "B" }, "emails": [{ "value": "a@b", "type": "work" }] }),
    );
    let mut names = |query: &str| {
        let (status, shown) = directory.get(&format!("/Users/{id}?{query}"));
        assert_eq!(status, 200, "{query}");
        let mut names: Vec<String> = Vec::new();
        for (name, value) in shown.as_object().expect("an object") {
            match (name.as_str(), value) {
                ("id" | "schemas", _) => {}
                ("name", Value::Object(parts)) => names.extend(parts.keys().map(|part| format!("name.{part}"))),
                ("emails", Value::Array(emails)) => {
                    names.extend(emails[0].as_object().expect("an email").keys().map(|part| format!("emails.{part}")));
                }
                _ => names.push(name.clone()),
            }
        }
        names.sort();
        names.join(" ")
    };
    assert_eq!(names("attributes=userName"), "userName");
    assert_eq!(names("attributes=USERNAME%2C%20active"), "active userName");
    assert_eq!(names("attributes=urn:ietf:params:scim:schemas:core:2.0:User:userName"), "userName");
    assert_eq!(names("attributes=name.givenName,emails.value"), "emails.value name.givenName");
    assert_eq!(names("attributes=name,name.givenName"), "name.familyName name.givenName");
    assert_eq!(names("attributes=nickName"), "");
    assert_eq!(
        names("excludedAttributes=groups,meta,emails.type,name.familyName,id"),
        "active emails.value name.givenName userName"
    );
    for query in ["attributes=a&excludedAttributes=b", "attributes=a%20b", "attributes=userName&attributes=id"] {
        assert_eq!(directory.get(&format!("/Users/{id}?{query}")).0, 400, "{query}");
    }
    let many = vec!["userName"; 65].join(",");
    assert_eq!(directory.get(&format!("/Users/{id}?attributes={many}")).0, 400);
}
