//! The effects of requests on access.

use portcullis::directory::answer::Effect;
use serde_json::json;

use super::support::{Directory, USER, effects_of, keys};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn a_new_user_has_access_unless_the_request_says_otherwise() {
    let mut directory = Directory::default();
    let mut create = |name: &str, active: Option<bool>| {
        let mut body = json!({ "schemas": [USER], "userName": name, "externalId": name });
        if let Some(active) = active {
            body["active"] = json!(active);
        }
        directory.send("POST", "/Users", &body).effects
    };
    assert_eq!(create("a", None), [Effect::UserActivated(keys("id-1", Some("a"), "a", &[]))]);
    assert_eq!(create("b", Some(true)), [Effect::UserActivated(keys("id-2", Some("b"), "b", &[]))]);
    assert_eq!(create("c", Some(false)), []);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lost_key_is_an_effect_with_the_keys_before() {
    let mut directory = Directory::default();
    let id = directory.user("old", json!({ "externalId": "e1", "emails": [{ "value": "A@x" }, { "value": "b@x" }] }));
    let target = format!("/Users/{id}");
    let mut effects = |operation| directory.patch(&target, &json!([operation])).effects;
    let renamed = |before, after| vec![Effect::UserRenamed { before, after }];
    assert_eq!(
        effects(json!({ "op": "replace", "path": "userName", "value": "new" })),
        renamed(keys(&id, Some("e1"), "old", &["A@x", "b@x"]), keys(&id, Some("e1"), "new", &["A@x", "b@x"]))
    );
    assert_eq!(
        effects(json!({ "op": "replace", "path": "externalId", "value": "e2" })),
        renamed(keys(&id, Some("e1"), "new", &["A@x", "b@x"]), keys(&id, Some("e2"), "new", &["A@x", "b@x"]))
    );
    assert_eq!(
        effects(json!({ "op": "remove", "path": "emails[value eq \"a@x\"]" })),
        renamed(keys(&id, Some("e2"), "new", &["A@x", "b@x"]), keys(&id, Some("e2"), "new", &["b@x"]))
    );
    // The case of an address, a new address, and a new name for display take nothing away.
    assert_eq!(
        effects(json!({ "op": "replace", "path": "emails", "value": [{ "value": "B@X" }, { "value": "c@x" }] })),
        []
    );
    assert_eq!(effects(json!({ "op": "replace", "path": "displayName", "value": "D" })), []);
    assert_eq!(
        effects(json!({ "op": "replace", "value": { "active": false, "userName": "newer" } })),
        [
            Effect::UserRenamed {
                before: keys(&id, Some("e2"), "new", &["B@X", "c@x"]),
                after: keys(&id, Some("e2"), "newer", &["B@X", "c@x"])
            },
            Effect::UserDeactivated(keys(&id, Some("e2"), "new", &["B@X", "c@x"])),
        ]
    );
    assert_eq!(effects(json!({ "op": "remove", "path": "externalId" })).len(), 1);
    assert_eq!(effects(json!({ "op": "add", "path": "externalId", "value": "e3" })), []);
}

#[wasm_bindgen_test(unsupported = test)]
fn active_removed_is_no_access() {
    let mut directory = Directory::default();
    let id = directory.user("a", json!({}));
    let target = format!("/Users/{id}");
    for operation in
        [json!({ "op": "remove", "path": "active" }), json!({ "op": "replace", "value": { "active": null } })]
    {
        let answer = directory.patch(&target, &json!([operation]));
        assert_eq!(effects_of(&answer), [("deactivated", id.clone())]);
        assert_eq!(effects_of(&directory.patch(&target, &json!([operation]))), []);
        assert!(directory.find("Users", "active eq true").is_empty());
        let put = directory.send("PUT", &target, &json!({ "schemas": [USER], "userName": "a" }));
        assert_eq!(effects_of(&put), [], "a PUT without active gives no access");
        let put = directory.send("PUT", &target, &json!({ "schemas": [USER], "userName": "a", "active": true }));
        assert_eq!(effects_of(&put), [("activated", id.clone())]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_deletion_names_the_last_keys() {
    let mut directory = Directory::default();
    let id = directory.user("a", json!({ "externalId": "e", "active": false, "emails": [{ "value": "a@x" }] }));
    let other = directory.user("b", json!({}));
    let group = directory.group("g", &[&id, &other]);
    let answer = directory.raw("DELETE", &format!("/Users/{id}"), None, b"");
    assert_eq!(answer.effects, [Effect::UserDeleted(keys(&id, Some("e"), "a", &["a@x"]))]);
    let answer = directory.raw("DELETE", &format!("/Groups/{group}"), None, b"");
    assert_eq!(answer.effects, [Effect::GroupsChanged(keys(&other, None, "b", &[]))]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_new_group_changes_the_groups_of_its_members() {
    let mut directory = Directory::default();
    let id = directory.user("a", json!({}));
    let body = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "g", "members": [{ "value": id }] });
    assert_eq!(effects_of(&directory.send("POST", "/Groups", &body)), [("groups", id.clone())]);
    // The case of a group's name is part of it: rules compare names exactly.
    let group = directory.find("Groups", "displayName eq \"g\"").remove(0);
    let answer = directory
        .patch(&format!("/Groups/{group}"), &json!([{ "op": "replace", "path": "displayName", "value": "G" }]));
    assert_eq!(effects_of(&answer), [("groups", id)]);
    let answer =
        directory.patch(&format!("/Groups/{group}"), &json!([{ "op": "replace", "path": "externalId", "value": "x" }]));
    assert_eq!(effects_of(&answer), []);
}
