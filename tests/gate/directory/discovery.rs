//! What the service says of itself (RFC 7644 §4).

use serde_json::{Value, json};

use super::support::{BASE, Directory, GROUP, USER};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn the_configuration_says_what_is_supported() {
    let (status, shown) = Directory::default().get("/ServiceProviderConfig");
    assert_eq!(status, 200);
    for (feature, supported) in [
        ("patch", true),
        ("bulk", false),
        ("filter", true),
        ("changePassword", false),
        ("sort", false),
        ("etag", false),
    ] {
        assert_eq!(shown[feature]["supported"], json!(supported), "{feature}");
    }
    assert_eq!(shown["filter"]["maxResults"], json!(200));
    assert_eq!(shown["authenticationSchemes"][0]["type"], json!("oauthbearertoken"));
}

#[wasm_bindgen_test(unsupported = test)]
fn resource_types_and_schemas() {
    let mut directory = Directory::default();
    for (endpoint, ids) in [("ResourceTypes", ["User", "Group"]), ("Schemas", [USER, GROUP])] {
        let (status, list) = directory.get(&format!("/{endpoint}"));
        assert_eq!((status, &list["totalResults"], &list["itemsPerPage"]), (200, &json!(2), &json!(2)));
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(list["Resources"][at]["meta"]["location"], json!(format!("{BASE}/{endpoint}/{id}")));
            assert_eq!(directory.get(&format!("/{endpoint}/{id}")), (200, list["Resources"][at].clone()));
        }
        assert_eq!(directory.get(&format!("/{endpoint}/other")).0, 404);
        assert_eq!(directory.get(&format!("/{endpoint}?filter=id%20pr")).0, 403);
        assert_eq!(directory.send("POST", &format!("/{endpoint}"), &json!({})).status, 405);
    }
}

/// `/Schemas` announces what a user shows, and nothing else.
#[wasm_bindgen_test(unsupported = test)]
fn schemas_announce_what_is_kept() {
    let mut directory = Directory::default();
    let id = directory.user(
        "x",
        json!({ "displayName": "X", "name": { "formatted": "X", "familyName": "X", "givenName": "X" }, "emails": [{ "value": "a@b", "type": "work", "primary": true }] }),
    );
    let group = directory.group("g", &[&id]);
    for (schema, target) in [(USER, format!("/Users/{id}")), (GROUP, format!("/Groups/{group}"))] {
        let (_, schema) = directory.get(&format!("/Schemas/{schema}"));
        let (_, resource) = directory.get(&target);
        let mut shown: Vec<&String> = resource.as_object().expect("an object").keys().collect();
        shown.retain(|name| !["schemas", "id", "externalId", "meta"].contains(&name.as_str()));
        let attributes = schema["attributes"].as_array().expect("attributes");
        let mut announced: Vec<&str> = attributes.iter().filter_map(|attribute| attribute["name"].as_str()).collect();
        announced.sort_unstable();
        assert_eq!(shown, announced);
        for attribute in attributes.iter().filter(|attribute| attribute["type"] == json!("complex")) {
            let value = &resource[attribute["name"].as_str().expect("a name")];
            let element = if attribute["multiValued"] == Value::Bool(true) { &value[0] } else { value };
            let subs = attribute["subAttributes"].as_array().expect("sub-attributes");
            let mut announced: Vec<&str> = subs.iter().filter_map(|sub| sub["name"].as_str()).collect();
            announced.sort_unstable();
            assert_eq!(element.as_object().expect("an object").keys().collect::<Vec<_>>(), announced);
        }
    }
}
