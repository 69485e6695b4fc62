//! Filters (RFC 7644 §3.4.2.2).

use portcullis::directory::filter::{Filter, Lookup};
use portcullis::directory::schema;
use serde_json::json;

use super::support::Directory;
use wasm_bindgen_test::wasm_bindgen_test;

fn directory() -> (Directory, Vec<String>) {
    let mut directory = Directory::at(1_767_225_600);
    let ada = directory.user(
        "Ada@Example.com",
        json!({ "externalId": "EXT-1", "displayName": "Ada", "name": { "familyName": "Lovelace", "givenName": "Ada" },
            "emails": [{ "value": "ada@work.example", "type": "work", "primary": true }, { "value": "ada@home.example", "type": "home" }] }),
    );
    directory.now += 60;
    let bob = directory.user(
        "bob@example.com",
        json!({ "externalId": "ext-1", "active": false, "displayName": "Bob \"B\" \\ Büchi",
            "emails": [{ "value": "bob@home.example", "type": "home", "primary": true }] }),
    );
    directory.now += 60;
    let eve = directory.user("eve", json!({}));
    (directory, vec![ada, bob, eve])
}

#[wasm_bindgen_test(unsupported = test)]
fn every_operator_on_users() {
    let (mut directory, ids) = directory();
    let cases: &[(&str, &[usize])] = &[
        ("userName eq \"ada@example.com\"", &[0]),
        ("USERNAME EQ \"ADA@EXAMPLE.COM\"", &[0]),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName eq \"eve\"", &[2]),
        ("URN:ietf:params:scim:schemas:core:2.0:user:username sw \"E\"", &[2]),
        ("userName ne \"eve\"", &[0, 1]),
        ("userName co \"EXAMPLE\"", &[0, 1]),
        ("userName sw \"b\"", &[1]),
        ("userName ew \".com\"", &[0, 1]),
        ("userName gt \"bob@example.com\"", &[2]),
        ("userName ge \"bob@example.com\"", &[1, 2]),
        ("userName lt \"bob@example.com\"", &[0]),
        ("userName le \"bob@example.com\"", &[0, 1]),
        ("externalId pr", &[0, 1]),
        ("not (externalId pr)", &[2]),
        ("externalId eq null", &[2]),
        ("externalId ne null", &[0, 1]),
        // caseExact
        ("externalId eq \"EXT-1\"", &[0]),
        ("externalId eq \"ext-1\"", &[1]),
        ("externalId co \"xt\"", &[1]),
        ("active eq true", &[0, 2]),
        ("active eq false", &[1]),
        ("active ne true", &[1]),
        ("active eq \"False\"", &[1]),
        ("name.familyName eq \"lovelace\"", &[0]),
        ("name pr", &[0]),
        ("name.familyName pr", &[0]),
        ("displayName eq \"bob \\\"b\\\" \\\\ B\\u00fcchi\"", &[1]),
        ("displayName eq \"BOB \\\"B\\\" \\\\ BÜCHI\"", &[1]),
        ("emails pr", &[0, 1]),
        ("not(emails pr)", &[2]),
        ("emails eq \"ADA@home.example\"", &[0]),
        ("emails.value co \"home\"", &[0, 1]),
        ("emails.type eq \"work\"", &[0]),
        ("emails.primary eq true", &[0, 1]),
        ("emails[type eq \"home\" and primary eq true]", &[1]),
        ("emails[type eq \"work\"].value eq \"ada@work.example\"", &[0]),
        ("emails[type eq \"work\"].value eq \"ada@home.example\"", &[]),
        ("emails[not (type eq \"home\")]", &[0]),
        ("emails[type eq \"work\" or type eq \"home\"] and active eq true", &[0]),
        ("id eq \"id-2\"", &[1]),
        ("id eq \"ID-2\"", &[]),
        ("schemas eq \"urn:ietf:params:scim:schemas:core:2.0:User\"", &[0, 1, 2]),
        ("meta.resourceType eq \"User\"", &[0, 1, 2]),
        ("meta.created ge \"2026-01-01T00:01:00Z\"", &[1, 2]),
        ("meta.created gt \"2026-01-01T01:01:00+01:00\"", &[2]),
        ("meta.lastModified lt \"2026-01-01T00:00:30.5Z\"", &[0]),
        ("meta.location ew \"/Users/id-1\"", &[0]),
        // `and` binds more than `or`.
        ("userName eq \"eve\" or userName eq \"bob@example.com\" and active eq true", &[2]),
        ("(userName eq \"eve\" or userName eq \"bob@example.com\") and active eq true", &[2]),
        ("userName eq \"eve\" or (userName eq \"bob@example.com\" and active eq false)", &[1, 2]),
        ("userName eq \"bob@example.com\" and active eq true", &[]),
        ("  userName   eq \"eve\"  ", &[2]),
        ("groups pr", &[]),
    ];
    for (filter, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|at| ids[*at].clone()).collect();
        assert_eq!(directory.find("Users", filter), expected, "{filter}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_cannot_be_read_or_compared_is_refused() {
    let (mut directory, _) = directory();
    let long = format!("userName eq \"{}\"", "a".repeat(5000));
    let deep = format!("{}userName pr{}", "(".repeat(17), ")".repeat(17));
    let negated = format!("{}userName pr{}", "not (".repeat(17), ")".repeat(17));
    let many = vec!["userName pr"; 33].join(" or ");
    for filter in [
        "",
        " ",
        "userName",
        "userName eq",
        "userName eq ",
        "userName eq jyoung",
        "userName eq\"eve\"",
        "userName eq 'eve'",
        "userName eq \"eve",
        "userName eq \"\\x\"",
        "userName eq \"a\nb\"",
        "userName like \"eve\"",
        "userName eq 1",
        "userName eq true",
        "userName gt null",
        "userName eq \"a\" and",
        "and userName eq \"a\"",
        "userName eq \"a\" userName eq \"b\"",
        "(userName pr",
        "userName pr)",
        "not userName pr",
        "active gt true",
        "active co \"t\"",
        "active eq \"maybe\"",
        "meta.created co \"2026\"",
        "meta.created gt \"yesterday\"",
        "meta.created gt 5",
        "name eq \"x\"",
        "name.middleName eq \"x\"",
        "meta eq \"x\"",
        "nickName eq \"x\"",
        "password eq \"x\"",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq \"x\"",
        "urn:ietf:params:scim:schemas:core:2.0:Group:displayName eq \"x\"",
        "userName.value eq \"x\"",
        "userName[value eq \"x\"]",
        "name[familyName eq \"x\"]",
        "emails[type eq \"work\"",
        "emails[type eq \"work\"].",
        "emails[type eq \"work\"].color eq \"x\"",
        "emails[emails[type eq \"work\"]]",
        "emails[userName eq \"x\"]",
        "emails[]",
        "emails.value.value eq \"x\"",
        "members pr",
        "userName\tpr",
        &long,
        &deep,
        &negated,
        &many,
    ] {
        assert_eq!(directory.refused("Users", filter), (400, "invalidFilter".to_owned()), "{filter}");
    }
    let deep = format!("{}userName pr{}", "(".repeat(16), ")".repeat(16));
    assert_eq!(directory.find("Users", &deep).len(), 3);
    let many = vec!["userName pr"; 32].join(" or ");
    assert_eq!(directory.find("Users", &many).len(), 3);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_index_answers_the_usual_filters() {
    let users = |text: &str| Filter::parse(&schema::USER, text).expect(text).lookup();
    let groups = |text: &str| Filter::parse(&schema::GROUP, text).expect(text).lookup();
    let some = |lookup: fn(String) -> Lookup, value: &str, exact| Some((lookup(value.to_owned()), exact));
    assert_eq!(users("userName eq \"Ada\""), some(Lookup::UserName, "ada", true));
    assert_eq!(users("externalId eq \"Ada\""), some(Lookup::ExternalId, "Ada", true));
    assert_eq!(users("id eq \"X\""), some(Lookup::Id, "X", true));
    assert_eq!(users("emails eq \"A@b\""), some(Lookup::Email, "a@b", true));
    assert_eq!(users("emails[value eq \"A@b\"]"), some(Lookup::Email, "a@b", true));
    assert_eq!(users("emails[type eq \"work\"].value eq \"A@b\""), some(Lookup::Email, "a@b", false));
    assert_eq!(
        users("active eq true and displayName eq \"A\" and userName eq \"B\""),
        some(Lookup::UserName, "b", false)
    );
    assert_eq!(users("groups.value eq \"g\""), some(Lookup::Group, "g", true));
    assert_eq!(groups("displayName eq \"A\""), some(Lookup::DisplayName, "a", true));
    assert_eq!(groups("members eq \"U\""), some(Lookup::Member, "U", true));
    assert_eq!(groups("members[value eq \"U\"]"), some(Lookup::Member, "U", true));
    assert_eq!(groups("id eq \"G\" and members eq \"U\""), some(Lookup::Id, "G", false));
    for none in [
        "userName ne \"a\"",
        "userName sw \"a\"",
        "not (userName eq \"a\")",
        "userName eq \"a\" or id eq \"b\"",
        "active eq true",
    ] {
        assert_eq!(users(none), None, "{none}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn groups_are_found_by_members_and_users_by_groups() {
    let (mut directory, ids) = directory();
    let writers = directory.group("Writers", &[&ids[0], &ids[1]]);
    let readers = directory.group("Readers", &[&ids[1]]);
    let empty = directory.group("Empty", &[]);
    let cases: Vec<(String, Vec<&String>)> = vec![
        (format!("members eq \"{}\"", ids[1]), vec![&writers, &readers]),
        (format!("members.value eq \"{}\"", ids[0]), vec![&writers]),
        (format!("members[value eq \"{}\"]", ids[0]), vec![&writers]),
        (format!("id eq \"{readers}\" and members eq \"{}\"", ids[1]), vec![&readers]),
        (format!("id eq \"{readers}\" and members eq \"{}\"", ids[0]), vec![]),
        (format!("not (members eq \"{}\")", ids[0]), vec![&readers, &empty]),
        (format!("members.value ne \"{}\"", ids[0]), vec![&writers, &readers, &empty]),
        (format!("members[value eq \"{}\" and type eq \"User\"]", ids[0]), vec![&writers]),
        ("members pr".to_owned(), vec![&writers, &readers]),
        ("members[type eq \"Group\"]".to_owned(), vec![]),
        (format!("members[$ref ew \"/Users/{}\"]", ids[0]), vec![&writers]),
        ("displayName eq \"WRITERS\"".to_owned(), vec![&writers]),
        ("displayName co \"r\" and members pr".to_owned(), vec![&writers, &readers]),
    ];
    for (filter, expected) in cases {
        assert_eq!(directory.find("Groups", &filter).iter().collect::<Vec<_>>(), expected, "{filter}");
    }
    assert_eq!(directory.find("Users", &format!("groups.value eq \"{writers}\"")), [ids[0].clone(), ids[1].clone()]);
    assert_eq!(directory.find("Users", "groups.display eq \"readers\""), [ids[1].clone()]);
    assert_eq!(directory.find("Users", "groups[type eq \"direct\" and display eq \"readers\"]"), [ids[1].clone()]);
}
