//! The requests that Microsoft Entra ID sends, in the form of its SCIM guide, with and without the flag `aadOptscim062020`.

use serde_json::json;

use super::support::{Directory, USER, body_of, effects_of, encode};
use wasm_bindgen_test::wasm_bindgen_test;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn user(directory: &mut Directory) -> String {
    let created = directory.send(
        "POST",
        "/Users",
        &json!({
            "schemas": [USER, ENTERPRISE], "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", "userName": "test@contoso.example",
            "active": true, "emails": [{ "primary": true, "type": "work", "value": "test@testuser.example" }],
            "meta": { "resourceType": "User" }, "roles": [],
            "name": { "formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName" }
        }),
    );
    assert_eq!(created.status, 201);
    body_of(&created)["id"].as_str().expect("an id").to_owned()
}

#[wasm_bindgen_test(unsupported = test)]
fn look_ups() {
    let mut directory = Directory::default();
    let id = user(&mut directory);
    for filter in [
        "userName eq \"TEST@contoso.example\"",
        "externalId eq \"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef\"",
        "emails[type eq \"work\"].value eq \"test@testuser.example\"",
        "userName eq \"test@contoso.example\" and active eq true",
    ] {
        assert_eq!(directory.find("Users", filter), std::slice::from_ref(&id), "{filter}");
    }
    // The flag of the tenant URL, if it gets here.
    let target = format!("/Users?aadOptscim062020&filter={}", encode("userName eq \"non-existent user\""));
    assert_eq!(directory.get(&target).1["totalResults"], json!(0));
    let (status, error) = directory.get("/Users/5171a35d82074e068ce2");
    assert_eq!((status, &error["status"]), (404, &json!("404")));
}

#[wasm_bindgen_test(unsupported = test)]
fn updates_without_the_flag() {
    let mut directory = Directory::default();
    let target = format!("/Users/{}", user(&mut directory));
    let shown = directory.patched(
        &target,
        &json!([
            { "op": "Replace", "path": "displayName", "value": "Pvlo" },
            { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "TestBcwqnm@test.example" },
            { "op": "Replace", "path": "name.givenName", "value": "Gtfd" },
            { "op": "Replace", "path": "name.familyName", "value": "Pkqf" },
            { "op": "Replace", "path": "externalId", "value": "Eqpj" },
            { "op": "Replace", "path": format!("{ENTERPRISE}:employeeNumber"), "value": "Eqpj" },
            { "op": "Add", "path": "nickName", "value": "Babs" },
            { "op": "Add", "path": "emails[type eq \"other\"].value", "value": "other@test.example" }
        ]),
    );
    assert_eq!(shown["displayName"], json!("Pvlo"));
    assert_eq!(shown["externalId"], json!("Eqpj"));
    assert_eq!(
        shown["name"],
        json!({ "formatted": "givenName familyName", "familyName": "Pkqf", "givenName": "Gtfd" })
    );
    assert_eq!(
        shown["emails"],
        json!([{ "value": "TestBcwqnm@test.example", "type": "work", "primary": true }, { "value": "other@test.example", "type": "other" }])
    );
    assert_eq!(shown.get("nickName"), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn updates_with_the_flag() {
    let mut directory = Directory::default();
    let target = format!("/Users/{}", user(&mut directory));
    let shown = directory.patched(
        &target,
        &json!([
            { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "TestMhvaes@test.example" },
            { "op": "replace", "value": { "displayName": "Bjfe", "name.givenName": "Kkom", "name.familyName": "Unua",
                format!("{ENTERPRISE}:employeeNumber"): "Aklq" } }
        ]),
    );
    assert_eq!(
        (&shown["displayName"], &shown["name"]["givenName"], &shown["name"]["familyName"]),
        (&json!("Bjfe"), &json!("Kkom"), &json!("Unua"))
    );
    assert_eq!(shown["emails"][0]["value"], json!("TestMhvaes@test.example"));
    // Paths with a selection as names.
    let shown = directory
        .patched(&target, &json!([{ "op": "add", "value": { "emails[type eq \"home\"].value": "h@test.example" } }]));
    assert_eq!(shown["emails"][1], json!({ "value": "h@test.example", "type": "home" }));
}

#[wasm_bindgen_test(unsupported = test)]
fn disable_and_enable() {
    for (off, on) in [(json!("False"), json!("True")), (json!(false), json!(true))] {
        let mut directory = Directory::default();
        let id = user(&mut directory);
        let target = format!("/Users/{id}");
        let answer = directory.patch(&target, &json!([{ "op": "Replace", "path": "active", "value": off }]));
        assert_eq!(effects_of(&answer), [("deactivated", id.clone())]);
        // A disabled user is shown, and found.
        assert_eq!(directory.get(&target).1["active"], json!(false));
        assert_eq!(directory.find("Users", "userName eq \"test@contoso.example\""), std::slice::from_ref(&id));
        let answer = directory.patch(&target, &json!([{ "op": "Add", "path": "active", "value": on }]));
        assert_eq!(effects_of(&answer), [("activated", id)]);
        assert_eq!(directory.raw("DELETE", &target, None, b"").status, 204);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn groups() {
    let mut directory = Directory::default();
    let member = user(&mut directory);
    let created = directory.send(
        "POST",
        "/Groups",
        &json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
            "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159", "displayName": "displayName", "meta": { "resourceType": "Group" }
        }),
    );
    assert_eq!((created.status, &body_of(&created)["members"]), (201, &json!([])));
    let id = body_of(&created)["id"].as_str().expect("an id").to_owned();
    let target = format!("/Groups/{id}");
    let (status, shown) = directory.get(&format!("{target}?excludedAttributes=members"));
    assert_eq!((status, shown.get("members")), (200, None));
    let (_, list) = directory
        .get(&format!("/Groups?excludedAttributes=members&filter={}", encode("displayName eq \"DisplayName\"")));
    assert_eq!((&list["totalResults"], list["Resources"][0].get("members")), (&json!(1), None));
    let renamed = directory.patch(&target, &json!([{ "op": "Replace", "path": "displayName", "value": "updated" }]));
    assert_eq!((renamed.status, renamed.body), (204, None));
    let added = directory
        .patch(&target, &json!([{ "op": "Add", "path": "members", "value": [{ "$ref": null, "value": member }] }]));
    assert_eq!((added.status, effects_of(&added)), (204, vec![("groups", member.clone())]));
    assert_eq!(
        directory.find("Groups", &format!("id eq \"{id}\" and members eq \"{member}\"")),
        std::slice::from_ref(&id)
    );
    // Without the flag a list of values, with the flag a path.
    let removed = directory
        .patch(&target, &json!([{ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": member }] }]));
    assert_eq!((removed.status, effects_of(&removed)), (204, vec![("groups", member.clone())]));
    directory.patch(&target, &json!([{ "op": "Add", "path": "members", "value": [{ "value": member }] }]));
    let removed =
        directory.patch(&target, &json!([{ "op": "remove", "path": format!("members[value eq \"{member}\"]") }]));
    assert_eq!((removed.status, effects_of(&removed)), (204, vec![("groups", member)]));
    assert!(directory.members(&id).is_empty());
    assert_eq!(directory.raw("DELETE", &target, None, b"").status, 204);
}
