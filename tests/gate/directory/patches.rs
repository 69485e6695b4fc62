//! PATCH of users (RFC 7644 §3.5.2).

use serde_json::{Value, json};

use super::support::{Directory, PATCH, USER, error_of};
use wasm_bindgen_test::wasm_bindgen_test;

fn directory() -> (Directory, String) {
    let mut directory = Directory::default();
    let id = directory.user(
        "ada",
        json!({ "externalId": "e", "displayName": "Ada", "name": { "familyName": "L", "givenName": "A" },
            "emails": [{ "value": "w@x", "type": "work", "primary": true }, { "value": "h@x", "type": "home" }] }),
    );
    (directory, format!("/Users/{id}"))
}

/// Patches a new user, and returns one of its attributes.
fn after(operations: Value, name: &str) -> Value {
    let (mut directory, target) = directory();
    directory.patched(&target, &operations)[name].take()
}

#[wasm_bindgen_test(unsupported = test)]
fn single_values() {
    assert_eq!(after(json!([{ "op": "add", "path": "displayName", "value": "B" }]), "displayName"), json!("B"));
    assert_eq!(after(json!([{ "op": "replace", "path": "DisplayName", "value": "B" }]), "displayName"), json!("B"));
    assert_eq!(after(json!([{ "op": "remove", "path": "displayName" }]), "displayName"), Value::Null);
    assert_eq!(after(json!([{ "op": "replace", "path": "displayName", "value": null }]), "displayName"), Value::Null);
    assert_eq!(after(json!([{ "op": "replace", "path": "active", "value": "False" }]), "active"), json!(false));
    assert_eq!(after(json!([{ "op": "remove", "path": "active" }]), "active"), Value::Null);
    assert_eq!(
        after(json!([{ "op": "replace", "path": format!("{USER}:userName"), "value": "b" }]), "userName"),
        json!("b")
    );
    assert_eq!(after(json!([{ "op": "replace", "path": USER, "value": { "userName": "b" } }]), "userName"), json!("b"));
    assert_eq!(after(json!([{ "op": "replace", "value": { USER: { "userName": "b" } } }]), "userName"), json!("b"));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_parts_of_a_name() {
    let name = |operations| after(operations, "name");
    assert_eq!(
        name(json!([{ "op": "replace", "path": "name.givenName", "value": "B" }])),
        json!({ "familyName": "L", "givenName": "B" })
    );
    assert_eq!(
        name(json!([{ "op": "add", "path": "name", "value": { "formatted": "F" } }])),
        json!({ "formatted": "F", "familyName": "L", "givenName": "A" })
    );
    assert_eq!(
        name(json!([{ "op": "replace", "path": "name", "value": { "familyName": null } }])),
        json!({ "givenName": "A" })
    );
    assert_eq!(name(json!([{ "op": "remove", "path": "name.familyName" }])), json!({ "givenName": "A" }));
    assert_eq!(name(json!([{ "op": "remove", "path": "name" }])), Value::Null);
    assert_eq!(
        name(json!([{ "op": "replace", "path": "name.middleName", "value": "M" }])),
        json!({ "familyName": "L", "givenName": "A" })
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn addresses() {
    let work = json!({ "value": "w@x", "type": "work", "primary": true });
    let home = json!({ "value": "h@x", "type": "home" });
    let emails = |operations| after(operations, "emails");
    let new = json!({ "value": "n@x", "type": "other", "primary": true });
    let demoted = json!({ "value": "w@x", "type": "work", "primary": false });
    // A new primary address replaces the one before.
    assert_eq!(emails(json!([{ "op": "add", "path": "emails", "value": [new] }])), json!([demoted, home, new]));
    assert_eq!(emails(json!([{ "op": "add", "path": "emails", "value": new }])), json!([demoted, home, new]));
    assert_eq!(emails(json!([{ "op": "add", "path": "emails", "value": [work] }])), json!([work, home]));
    assert_eq!(emails(json!([{ "op": "replace", "path": "emails", "value": [new] }])), json!([new]));
    assert_eq!(emails(json!([{ "op": "replace", "path": "emails", "value": [] }])), Value::Null);
    assert_eq!(emails(json!([{ "op": "remove", "path": "emails" }])), Value::Null);
    assert_eq!(emails(json!([{ "op": "remove", "path": "emails", "value": [{ "value": "W@X" }] }])), json!([home]));
    assert_eq!(emails(json!([{ "op": "remove", "path": "emails[type eq \"work\"]" }])), json!([home]));
    assert_eq!(emails(json!([{ "op": "remove", "path": "emails[type eq \"fax\"]" }])), json!([work, home]));
    assert_eq!(emails(json!([{ "op": "remove", "path": "emails[type eq \"work\"].value" }])), json!([home]));
    assert_eq!(
        emails(json!([{ "op": "remove", "path": "emails[type eq \"home\"].type" }])),
        json!([work, { "value": "h@x" }])
    );
    assert_eq!(
        emails(json!([{ "op": "replace", "path": "emails[type eq \"home\"].value", "value": "n@x" }])),
        json!([work, { "value": "n@x", "type": "home" }])
    );
    assert_eq!(
        emails(json!([{ "op": "replace", "path": "emails[type eq \"home\"]", "value": { "primary": true } }])),
        json!([demoted, { "value": "h@x", "type": "home", "primary": true }])
    );
    assert_eq!(
        emails(json!([{ "op": "replace", "path": "emails[primary eq true].value", "value": "n@x" }])),
        json!([{ "value": "n@x", "type": "work", "primary": true }, home])
    );
    // An element that does not exist is made with the values that the path requires.
    for op in ["add", "replace", "Add", "Replace"] {
        assert_eq!(
            emails(
                json!([{ "op": op, "path": "emails[type eq \"other\" and primary eq true].value", "value": "n@x" }])
            ),
            json!([demoted, home, new])
        );
    }
    assert_eq!(
        after(
            json!([{ "op": "remove", "path": "emails" }, { "op": "add", "path": "emails.value", "value": "n@x" }]),
            "emails"
        ),
        json!([{ "value": "n@x" }])
    );
    assert_eq!(
        emails(json!([{ "op": "replace", "path": "emails[type eq \"work\"].display", "value": "W" }])),
        json!([work, home])
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_not_kept_changes_nothing() {
    let (mut directory, target) = directory();
    let before = directory.get(&target);
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let answer = directory.patch(
        &target,
        &json!([
            { "op": "Add", "path": "title", "value": "Countess" },
            { "op": "Replace", "path": "phoneNumbers[type eq \"work\"].value", "value": "1" },
            { "op": "Replace", "path": "addresses[type eq \"work]\"].formatted", "value": "1" },
            { "op": "Add", "path": format!("{enterprise}:department"), "value": "Engines" },
            { "op": "Add", "path": format!("{enterprise}.department"), "value": "Engines" },
            { "op": "Add", "path": format!("{enterprise}:manager.value"), "value": "1" },
            { "op": "Remove", "path": enterprise },
            { "op": "Replace", "path": "password", "value": "secret" },
            { "op": "Replace", "path": "roles[primary eq \"True\"].value", "value": "x" },
            { "op": "replace", "value": { enterprise: { "department": "X" }, format!("{enterprise}:division"): "Y", "nickName": "Z", "locale": null } }
        ]),
    );
    assert_eq!(answer.status, 200);
    assert!(answer.effects.is_empty());
    assert_eq!(directory.get(&target), before);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refused_operation_undoes_those_before() {
    let (mut directory, target) = directory();
    directory.user("bob", json!({ "externalId": "b" }));
    let long = "x".repeat(2000);
    let path = format!("emails[type eq \"{}\"].value", "x".repeat(1024));
    let cases: Vec<(Value, u16, &str)> = vec![
        (json!({ "op": "replace", "path": "id", "value": "x" }), 400, "mutability"),
        (json!({ "op": "replace", "value": { "id": "x" } }), 400, "mutability"),
        (json!({ "op": "replace", "path": "meta.created", "value": "x" }), 400, "mutability"),
        (json!({ "op": "add", "path": "groups", "value": [{ "value": "admins" }] }), 400, "mutability"),
        (json!({ "op": "replace", "path": "schemas", "value": [] }), 400, "mutability"),
        (json!({ "op": "remove", "path": "userName" }), 400, "mutability"),
        (json!({ "op": "replace", "path": "userName", "value": null }), 400, "mutability"),
        (json!({ "op": "replace", "path": "userName", "value": "" }), 400, "invalidValue"),
        (json!({ "op": "replace", "path": "userName", "value": "BOB" }), 409, "uniqueness"),
        (json!({ "op": "replace", "path": "externalId", "value": "b" }), 409, "uniqueness"),
        (json!({ "op": "replace", "path": "active", "value": "maybe" }), 400, "invalidValue"),
        (json!({ "op": "replace", "path": "displayName", "value": ["x"] }), 400, "invalidValue"),
        (json!({ "op": "replace", "path": "displayName", "value": long }), 400, "invalidValue"),
        (json!({ "op": "replace", "path": "displayName" }), 400, "invalidValue"),
        (json!({ "op": "replace", "path": "name", "value": "x" }), 400, "invalidValue"),
        (json!({ "op": "add", "path": "emails", "value": ["x"] }), 400, "invalidValue"),
        (
            json!({ "op": "replace", "path": "emails", "value": [{ "value": "a", "primary": true }, { "value": "b", "primary": true }] }),
            400,
            "invalidValue",
        ),
        (
            json!({ "op": "replace", "path": "emails[type ne \"work\" and type ne \"home\"].value", "value": "x" }),
            400,
            "noTarget",
        ),
        (json!({ "op": "replace", "path": "emails[type eq \"fax\"].primary", "value": true }), 400, "noTarget"),
        (json!({ "op": "remove" }), 400, "noTarget"),
        (json!({ "op": "remove", "path": USER }), 400, "noTarget"),
        (json!({ "op": "replace", "value": "x" }), 400, "invalidValue"),
        (json!({ "op": "replace" }), 400, "invalidValue"),
        (json!({ "op": "replace", "value": { "active": true, "Active": false } }), 400, "invalidSyntax"),
        (json!({ "op": "replace", "value": { USER: { USER: {} } } }), 400, "invalidValue"),
        (json!({ "op": "replace", "path": "" , "value": "x" }), 400, "invalidPath"),
        (json!({ "op": "replace", "path": "active ", "value": false }), 400, "invalidPath"),
        (json!({ "op": "replace", "path": "active.value", "value": false }), 400, "invalidPath"),
        (json!({ "op": "replace", "path": "/active", "value": false }), 400, "invalidPath"),
        (json!({ "op": "replace", "path": "name.givenName.x", "value": "x" }), 400, "invalidPath"),
        (json!({ "op": "replace", "path": "name[givenName eq \"A\"]", "value": "x" }), 400, "invalidPath"),
        (json!({ "op": "replace", "path": "emails[type eq \"work\"", "value": "x" }), 400, "invalidPath"),
        (json!({ "op": "replace", "path": "emails[type eq \"work\"]x", "value": "x" }), 400, "invalidPath"),
        (json!({ "op": "replace", "path": "emails[type eq \"work\"].", "value": "x" }), 400, "invalidPath"),
        (json!({ "op": "replace", "path": path, "value": "x" }), 400, "invalidPath"),
        (json!({ "op": "replace", "path": "emails[color eq \"red\"].value", "value": "x" }), 400, "invalidFilter"),
        (json!({ "op": "replace", "path": "emails[].value", "value": "x" }), 400, "invalidFilter"),
        (json!({ "op": "replace", "path": 5, "value": "x" }), 400, "invalidPath"),
        (json!({ "op": "move", "path": "userName", "value": "x" }), 400, "invalidSyntax"),
        (json!({ "path": "userName", "value": "x" }), 400, "invalidValue"),
        (json!("replace"), 400, "invalidValue"),
    ];
    for (operation, status, scim_type) in cases {
        let operations = json!([{ "op": "replace", "path": "active", "value": false }, { "op": "remove", "path": "emails" }, operation]);
        assert_eq!(directory.patch_refused(&target, &operations), (status, scim_type.to_owned()), "{operations}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_patch_message_is_bounded_and_well_formed() {
    let (mut directory, target) = directory();
    let operation = json!({ "op": "replace", "path": "displayName", "value": "x" });
    for (body, status) in [
        (json!({ "Operations": [operation] }), 400),
        (json!({ "schemas": [USER], "Operations": [operation] }), 400),
        (json!({ "schemas": [PATCH] }), 400),
        (json!({ "schemas": [PATCH], "Operations": [] }), 400),
        (json!({ "schemas": [PATCH], "Operations": operation }), 400),
        (json!({ "schemas": [PATCH], "Operations": vec![operation.clone(); 1001] }), 413),
        (
            json!({ "schemas": [PATCH], "Operations": vec![json!({ "op": "add", "path": "title", "value": "x" }); 1001] }),
            413,
        ),
        (json!({ "schemas": [PATCH], "Operations": vec![operation.clone(); 101] }), 413),
        (json!({ "schemas": [PATCH], "Operations": vec![operation.clone(); 100] }), 200),
        // A dot in place of the colon would be an operation without effect.
        (
            json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "path": format!("{USER}.active"), "value": false }] }),
            400,
        ),
        (
            json!({ "SCHEMAS": [PATCH.to_uppercase()], "operations": [{ "OP": "REPLACE", "Path": "DISPLAYNAME", "Value": "x" }] }),
            200,
        ),
    ] {
        assert_eq!(directory.send("PATCH", &target, &body).status, status);
    }
    let answer = directory.send("PATCH", "/Users/unknown", &json!({ "schemas": [PATCH], "Operations": [operation] }));
    assert_eq!(error_of(&answer), (404, String::new()));
    let emails: Vec<Value> = (0..31).map(|at| json!({ "value": format!("{at}@x") })).collect();
    assert_eq!(
        directory.patch_refused(&target, &json!([{ "op": "add", "path": "emails", "value": emails }])),
        (400, "invalidValue".to_owned())
    );
}

/// A bracket and an escaped quote inside of a string do not end the selection.
#[wasm_bindgen_test(unsupported = test)]
fn a_selection_ends_where_its_filter_ends() {
    let (mut directory, target) = directory();
    let operations = json!([
        { "op": "add", "path": "emails", "value": [{ "value": "a\"]b@x" }] },
        { "op": "replace", "path": "emails[value eq \"a\\\"]b@x\"].type", "value": "other" }
    ]);
    assert_eq!(directory.patched(&target, &operations)["emails"][2], json!({ "value": "a\"]b@x", "type": "other" }));
}
