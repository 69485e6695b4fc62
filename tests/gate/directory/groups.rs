//! Groups and memberships.

use serde_json::{Value, json};

use super::support::{BASE, Directory, GROUP, body_of, effects_of, error_of};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn a_group_shows_its_members_and_a_user_its_groups() {
    let mut directory = Directory::default();
    let ada = directory.user("ada", json!({}));
    let id = directory.group("Writers", &[&ada]);
    let (_, shown) = directory.get(&format!("/Groups/{id}"));
    assert_eq!(shown["members"], json!([{ "value": ada, "$ref": format!("{BASE}/Users/{ada}"), "type": "User" }]));
    assert_eq!(shown["meta"]["location"], json!(format!("{BASE}/Groups/{id}")));
    let (_, user) = directory.get(&format!("/Users/{ada}"));
    assert_eq!(
        user["groups"],
        json!([{ "value": id, "$ref": format!("{BASE}/Groups/{id}"), "display": "Writers", "type": "direct" }])
    );
    let (_, only) = directory.get(&format!("/Groups/{id}?attributes=members.value"));
    assert_eq!(only, json!({ "schemas": [GROUP], "id": id, "members": [{ "value": ada }] }));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_malformed_group_is_refused() {
    let mut directory = Directory::default();
    let ada = directory.user("ada", json!({}));
    let group = directory.group("Taken", &[]);
    let many: Vec<Value> = (0..10_001).map(|at| json!({ "value": at.to_string() })).collect();
    for (members, status) in [
        (json!([{ "value": "unknown" }]), 400),
        (json!([{ "value": group, "type": "Group" }]), 400),
        (json!([{ "value": group }]), 400),
        (json!([{ "value": ada, "type": 5 }]), 400),
        (json!([{ "display": "Ada" }]), 400),
        (json!([{ "value": "" }]), 400),
        (json!([{ "value": "x".repeat(129) }]), 400),
        (json!([ada]), 400),
        (json!(many), 413),
    ] {
        let answer =
            directory.send("POST", "/Groups", &json!({ "schemas": [GROUP], "displayName": "g", "members": members }));
        assert_eq!(answer.status, status, "{answer:?}");
        assert_ne!(
            directory
                .patch_refused(
                    &format!("/Groups/{group}"),
                    &json!([{ "op": "add", "path": "members", "value": members }])
                )
                .0,
            200
        );
    }
    for body in
        [json!({ "schemas": [GROUP] }), json!({ "schemas": [GROUP], "displayName": "" }), json!({ "displayName": "g" })]
    {
        assert_eq!(directory.send("POST", "/Groups", &body).status, 400);
    }
    let detail = body_of(&directory.send(
        "POST",
        "/Groups",
        &json!({ "schemas": [GROUP], "displayName": "g", "members": [{ "value": "x", "type": "Group" }] }),
    ));
    assert!(detail["detail"].as_str().expect("a detail").contains("nested groups are not supported"));
    assert_eq!(directory.get("/Groups").1["totalResults"], json!(1));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_name_is_unique_in_any_case() {
    let mut directory = Directory::default();
    directory.group("Writers", &[]);
    let other = directory.group("Readers", &[]);
    let answer = directory.send("POST", "/Groups", &json!({ "schemas": [GROUP], "displayName": "WRITERS" }));
    assert_eq!(error_of(&answer), (409, "uniqueness".to_owned()));
    let target = format!("/Groups/{other}");
    assert_eq!(
        directory.patch_refused(&target, &json!([{ "op": "replace", "value": { "displayName": "writers" } }])),
        (409, "uniqueness".to_owned())
    );
    assert_eq!(
        directory.patched(&target, &json!([{ "op": "replace", "value": { "displayName": "READERS" } }]))["displayName"],
        json!("READERS")
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn operations_on_members_apply_in_their_order() {
    let mut directory = Directory::default();
    let ids: Vec<String> = (0..4).map(|at| directory.user(&format!("u{at}"), json!({}))).collect();
    let group = directory.group("g", &[&ids[0], &ids[1]]);
    let target = format!("/Groups/{group}");
    let values = |places: &[usize]| places.iter().map(|at| json!({ "value": ids[*at] })).collect::<Vec<_>>();
    let add = |places: &[usize]| json!({ "op": "add", "path": "members", "value": values(places) });
    let remove = |places: &[usize]| json!({ "op": "remove", "path": "members", "value": values(places) });
    let replace = |places: &[usize]| json!({ "op": "replace", "path": "members", "value": values(places) });
    let matching = |at: usize| json!({ "op": "remove", "path": format!("members[value ew \"{}\"]", ids[at]) });
    let all = json!({ "op": "remove", "path": "members" });
    let cases: Vec<(Value, &[usize], &[usize])> = vec![
        (json!([add(&[2]), remove(&[2])]), &[0, 1], &[]),
        (json!([remove(&[0]), add(&[0])]), &[0, 1], &[]),
        (json!([add(&[0, 0, 2, 2])]), &[0, 1, 2], &[2]),
        (json!([remove(&[0]), add(&[3])]), &[1, 2, 3], &[0, 3]),
        (json!([all, add(&[1, 0])]), &[0, 1], &[2, 3, 0]),
        (json!([replace(&[2]), add(&[1]), remove(&[2])]), &[1], &[0]),
        (json!([add(&[0, 2]), matching(0), matching(1)]), &[2], &[1, 2]),
        (json!([replace(&[0, 1]), matching(1), add(&[3])]), &[0, 3], &[2, 0, 3]),
        (json!([{ "op": "remove", "path": "members[type eq \"User\"]" }]), &[], &[0, 3]),
        (json!([{ "op": "add", "value": { "members": values(&[1]), "displayName": "g" } }]), &[1], &[1]),
        (json!([remove(&[])]), &[1], &[]),
        (json!([{ "op": "remove", "path": "members", "value": { "value": ids[1] } }]), &[], &[1]),
        (json!([remove(&[1]), { "op": "remove", "path": "members[value eq \"unknown\"]" }]), &[], &[]),
    ];
    for (operations, members, changed) in cases {
        let answer = directory.patch(&target, &operations);
        assert_eq!(answer.status, 204, "{answer:?}");
        let expected: Vec<_> = members.iter().map(|at| ids[*at].clone()).collect();
        assert_eq!(directory.members(&group), expected, "{operations}");
        let expected: Vec<_> = changed.iter().map(|at| ("groups", ids[*at].clone())).collect();
        assert_eq!(effects_of(&answer), expected, "{operations}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refused_operation_on_a_group_undoes_those_before() {
    let mut directory = Directory::default();
    let ada = directory.user("ada", json!({}));
    let group = directory.group("g", &[]);
    let target = format!("/Groups/{group}");
    for (operation, scim_type) in [
        (json!({ "op": "add", "path": "members", "value": [{ "value": "unknown" }] }), "invalidValue"),
        (
            json!({ "op": "replace", "path": format!("members[value eq \"{ada}\"]"), "value": { "value": "x" } }),
            "mutability",
        ),
        (json!({ "op": "replace", "path": "members.value", "value": "x" }), "mutability"),
        (json!({ "op": "remove", "path": format!("members[value eq \"{ada}\"].value") }), "mutability"),
        (json!({ "op": "remove", "path": "members[userName eq \"x\"]" }), "invalidFilter"),
        (json!({ "op": "remove", "path": "displayName" }), "mutability"),
        (json!({ "op": "replace", "value": { "id": "other", "displayName": "h" } }), "mutability"),
        (json!({ "op": "replace", "path": "id", "value": group }), "mutability"),
        (json!({ "op": "remove" }), "noTarget"),
    ] {
        let operations = json!([
            { "op": "add", "path": "members", "value": [{ "value": ada }] },
            { "op": "replace", "path": "displayName", "value": "h" },
            operation
        ]);
        assert_eq!(directory.patch_refused(&target, &operations), (400, scim_type.to_owned()), "{operations}");
    }
    let scans = vec![json!({ "op": "remove", "path": "members[type eq \"User\"]" }); 9];
    assert_eq!(directory.patch_refused(&target, &json!(scans)), (400, "tooMany".to_owned()));
    assert_eq!(directory.patch("/Groups/unknown", &json!([{ "op": "remove", "path": "members" }])).status, 404);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_put_without_members_empties_the_group() {
    let mut directory = Directory::default();
    let ada = directory.user("ada", json!({}));
    let group = directory.group("g", &[&ada]);
    let answer = directory.send("PUT", &format!("/Groups/{group}"), &json!({ "schemas": [GROUP], "displayName": "g" }));
    assert_eq!((answer.status, effects_of(&answer)), (200, vec![("groups", ada)]));
    assert_eq!(body_of(&answer)["members"], json!([]));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_patch_shows_the_group_if_the_request_says_what_it_wants() {
    let mut directory = Directory::default();
    let group = directory.group("g", &[]);
    let operations = json!([{ "op": "replace", "path": "displayName", "value": "h" }]);
    let answer = directory.patch(&format!("/Groups/{group}?attributes=displayName"), &operations);
    assert_eq!(
        (answer.status, body_of(&answer)),
        (200, json!({ "schemas": [GROUP], "id": group, "displayName": "h" }))
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_group_of_five_thousand_in_several_patches() {
    let mut directory = Directory::default();
    let ids: Vec<String> = (0..5000).map(|at| directory.user(&format!("user{at}@example.com"), json!({}))).collect();
    let group = directory.group("Everyone", &[]);
    let target = format!("/Groups/{group}");
    for part in ids.chunks(1000) {
        let values: Vec<Value> =
            part.iter().map(|id| json!({ "value": id, "display": "somewhat longer than an id" })).collect();
        let answer = directory.patch(&target, &json!([{ "op": "Add", "path": "members", "value": values }]));
        assert_eq!((answer.status, answer.effects.len()), (204, 1000));
    }
    assert_eq!(directory.members(&group).len(), 5000);
    // The members in pages, in the order of their creation.
    let mut seen = Vec::new();
    while seen.len() < 5000 {
        let filter = format!("groups.value%20eq%20%22{group}%22");
        let (status, list) = directory
            .get(&format!("/Users?filter={filter}&startIndex={}&count=200&attributes=userName", seen.len() + 1));
        assert_eq!((status, &list["totalResults"], &list["itemsPerPage"]), (200, &json!(5000), &json!(200)));
        let resources = list["Resources"].as_array().expect("a list");
        seen.extend(resources.iter().map(|user| user["id"].as_str().expect("an id").to_owned()));
    }
    assert_eq!(seen, ids);
    // Entra ID removes with one operation for each.
    let remove: Vec<Value> =
        ids[..1000].iter().map(|id| json!({ "op": "remove", "path": format!("members[value eq \"{id}\"]") })).collect();
    assert_eq!(directory.patch(&target, &json!(remove)).effects.len(), 1000);
    assert_eq!(
        directory.find("Groups", &format!("id eq \"{group}\" and members eq \"{}\"", ids[999])),
        Vec::<String>::new()
    );
    assert_eq!(
        directory.find("Groups", &format!("id eq \"{group}\" and members eq \"{}\"", ids[1000])),
        std::slice::from_ref(&group)
    );
    let renamed = directory.patch(&target, &json!([{ "op": "Replace", "path": "displayName", "value": "All" }]));
    assert_eq!(renamed.effects.len(), 4000);
    let deleted = directory.raw("DELETE", &target, None, b"");
    assert_eq!((deleted.status, deleted.effects.len()), (204, 4000));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_group_has_a_largest_size() {
    let mut directory = Directory::default();
    let ids: Vec<String> = (0..20_001).map(|at| directory.user(&format!("u{at}"), json!({}))).collect();
    let group = directory.group("g", &[]);
    let target = format!("/Groups/{group}");
    let add = |ids: &[String]| json!([{ "op": "add", "path": "members", "value": ids.iter().map(|id| json!({ "value": id })).collect::<Vec<_>>() }]);
    assert_eq!(directory.patch(&target, &add(&ids[..10_000])).status, 204);
    assert_eq!(directory.patch(&target, &add(&ids[10_000..20_000])).status, 204);
    assert_eq!(directory.patch_refused(&target, &add(&ids[20_000..])), (400, "invalidValue".to_owned()));
    let swap = json!([{ "op": "remove", "path": "members", "value": [{ "value": ids[0] }] }, { "op": "add", "path": "members", "value": [{ "value": ids[20_000] }] }]);
    assert_eq!(directory.patch(&target, &swap).status, 204);
    // Three such groups are too much for one page.
    for name in ["h", "i"] {
        let group = directory.group(name, &[]);
        directory.patch(&format!("/Groups/{group}"), &add(&ids[..10_000]));
        directory.patch(&format!("/Groups/{group}"), &add(&ids[10_000..20_000]));
    }
    assert_eq!(error_of(&directory.raw("GET", "/Groups", None, b"")), (400, "tooMany".to_owned()));
    assert_eq!(directory.get("/Groups?count=2").0, 200);
    assert_eq!(directory.get("/Groups?excludedAttributes=members").0, 200);
    assert_eq!(directory.refused("Groups", "members.value sw \"id-1\""), (400, "tooMany".to_owned()));
}
