//! The requests that Okta sends, in the form of its SCIM 2.0 reference.

use serde_json::json;

use super::support::{Directory, GROUP, USER, body_of, effects_of};
use wasm_bindgen_test::wasm_bindgen_test;

/// From the look-up by user name to the deactivation, as an integration of the Okta Integration Network does it.
#[wasm_bindgen_test(unsupported = test)]
fn the_life_of_a_user() {
    let mut directory = Directory::default();
    let lookup = "/Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100";
    let (status, list) = directory.get(lookup);
    assert_eq!((status, &list["totalResults"], &list["Resources"]), (200, &json!(0), &json!([])));
    assert!(list["startIndex"].is_u64() && list["itemsPerPage"].is_u64());
    let created = directory.send(
        "POST",
        "/Users",
        &json!({
            "schemas": [USER], "userName": "test.user@okta.local", "name": { "givenName": "Test", "familyName": "User" },
            "emails": [{ "primary": true, "value": "test.user@okta.local", "type": "work" }], "displayName": "Test User",
            "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7", "groups": [], "password": "1mz050nq", "active": true
        }),
    );
    assert_eq!(created.status, 201);
    let mut user = body_of(&created);
    assert_eq!(
        (&user["externalId"], &user["active"], user.get("password")),
        (&json!("00ujl29u0le5T6Aj10h7"), &json!(true), None)
    );
    let id = user["id"].as_str().expect("an id").to_owned();
    assert_eq!(directory.get(lookup).1["Resources"][0]["id"], json!(id));
    // Okta sends back what it read, with its changes.
    user["name"]["givenName"] = json!("Another");
    user["name"]["middleName"] = json!("Excited");
    let target = format!("/Users/{id}");
    let replaced = directory.send("PUT", &target, &user);
    assert_eq!((replaced.status, effects_of(&replaced)), (200, vec![]));
    let deactivated = directory.patch(&target, &json!([{ "op": "replace", "value": { "active": false } }]));
    assert_eq!(effects_of(&deactivated), [("deactivated", id.clone())]);
    let shown = body_of(&deactivated);
    assert_eq!(
        (deactivated.status, &shown["active"], &shown["name"]["givenName"]),
        (200, &json!(false), &json!("Another"))
    );
    let activated = directory.patch(&target, &json!([{ "op": "replace", "value": { "active": true } }]));
    assert_eq!(effects_of(&activated), [("activated", id)]);
    // A password is accepted and dropped.
    let password = directory.patch(&target, &json!([{ "op": "replace", "value": { "password": "new" } }]));
    assert_eq!((password.status, effects_of(&password)), (200, vec![]));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_user_who_exists_is_a_conflict() {
    let mut directory = Directory::default();
    directory.user("test.user@okta.local", json!({}));
    let answer = directory.send("POST", "/Users", &json!({ "schemas": [USER], "userName": "test.user@okta.local" }));
    let error = body_of(&answer);
    assert_eq!((answer.status, &error["status"], &error["scimType"]), (409, &json!("409"), &json!("uniqueness")));
}

/// A custom app of the App Integration Wizard updates with PUT, also memberships and `active`.
#[wasm_bindgen_test(unsupported = test)]
fn the_app_integration_wizard() {
    let mut directory = Directory::default();
    let one = directory.user("one", json!({}));
    let two = directory.user("two", json!({}));
    let answer = directory.send("PUT", &format!("/Users/{one}"), &json!({ "schemas": [USER], "id": one, "userName": "one", "active": false, "groups": [], "meta": { "resourceType": "User" } }));
    assert_eq!(effects_of(&answer), [("deactivated", one.clone())]);
    let group = directory.group("Test SCIMv2", &[&one]);
    let put = json!({ "schemas": [GROUP], "id": group, "displayName": "Test SCIMv2", "members": [{ "value": two, "display": "two" }] });
    let answer = directory.send("PUT", &format!("/Groups/{group}"), &put);
    assert_eq!(effects_of(&answer), [("groups", one), ("groups", two.clone())]);
    assert_eq!(body_of(&answer)["members"][0]["value"], json!(two));
    assert!(directory.send("PUT", &format!("/Groups/{group}"), &put).effects.is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn pushed_groups() {
    let mut directory = Directory::default();
    let old = directory.user("old", json!({}));
    let new = directory.user("new", json!({}));
    let created =
        directory.send("POST", "/Groups", &json!({ "schemas": [GROUP], "displayName": "Test SCIMv2", "members": [] }));
    assert_eq!((created.status, &body_of(&created)["members"]), (201, &json!([])));
    let id = body_of(&created)["id"].as_str().expect("an id").to_owned();
    let target = format!("/Groups/{id}");
    let filled = directory.patch(
        &target,
        &json!([{ "op": "replace", "path": "members", "value": [{ "value": old, "display": "old" }] }]),
    );
    assert_eq!((filled.status, effects_of(&filled)), (204, vec![("groups", old.clone())]));
    // The name comes with each push, and mostly it is the same.
    let same =
        directory.patch(&target, &json!([{ "op": "replace", "value": { "id": id, "displayName": "Test SCIMv2" } }]));
    assert_eq!((same.status, effects_of(&same)), (204, vec![]));
    let renamed =
        directory.patch(&target, &json!([{ "op": "replace", "value": { "id": id, "displayName": "Test SCIMv20" } }]));
    assert_eq!(effects_of(&renamed), [("groups", old.clone())]);
    let changed = directory.patch(
        &target,
        &json!([
            { "op": "remove", "path": format!("members[value eq \"{old}\"]") },
            { "op": "add", "path": "members", "value": [{ "value": new, "display": "test.user@okta.local" }] }
        ]),
    );
    assert_eq!((changed.status, effects_of(&changed)), (204, vec![("groups", old), ("groups", new.clone())]));
    assert_eq!(directory.members(&id), std::slice::from_ref(&new));
    // "Push now" of an empty group.
    let emptied = directory.patch(&target, &json!([{ "op": "replace", "path": "members", "value": [] }]));
    assert_eq!(effects_of(&emptied), [("groups", new)]);
    assert!(directory.members(&id).is_empty());
    assert_eq!(directory.raw("DELETE", &target, None, b"").status, 204);
    assert_eq!(directory.get("/Groups?startIndex=1&count=100").1["totalResults"], json!(0));
}
