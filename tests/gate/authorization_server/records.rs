//! Records that Workers of other releases stored.

use portcullis::authorization_server::state::login::Login;
use portcullis::authorization_server::state::subject::UserRecord;
use portcullis::authorization_server::state::{Change, FIRST_VERSION, RecordStateMachine, StoredRecord, answer, name};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

/// A question to the record of a user, in the form in which it is sent.
fn about_user(question: Value) -> String {
    json!({ "kind": "subject", "question": question }).to_string()
}

/// The record of a user as release 0.1 first stored it, without connections.
fn old_user() -> StoredRecord {
    let until = NOON + 1_000;
    let grant = json!({ "client_id": "one", "client_name": "One", "scope": "mcp:tools", "resource": RESOURCE, "created": NOON, "until": until });
    let record = json!({ "grants": { "g": grant }, "approvals": [], "epoch": 3, "epoch_until": until });
    StoredRecord { version: FIRST_VERSION, text: record.to_string() }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_older_record_is_read_and_rewritten_when_it_changes() {
    let old = old_user();
    let (read, change) = answer(Some(&old), &about_user(json!("Read")), NOON).expect("it is read");
    let read: Value = serde_json::from_str(&read).expect("JSON");
    assert_eq!((&read["epoch"], &read["grants"]["g"]["client_id"]), (&json!(3), &json!("one")));
    assert_eq!(change, Change::None, "the release that stored it can still be deployed again");

    let (_, change) = answer(Some(&old), &about_user(json!({ "Connected": RESOURCE })), NOON).expect("it changes");
    let Change::Keep(record, _) = change else { panic!("{change:?}") };
    assert_eq!(record.version, UserRecord::version());
    assert!(record.version > FIRST_VERSION);
    let text: Value = serde_json::from_str(&record.text).expect("JSON");
    assert_eq!((&text["epoch"], text["connections"].as_object().map(serde_json::Map::len)), (&json!(3), Some(1)));
    assert!(answer(Some(&record), &about_user(json!("Read")), NOON).is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_record_of_the_current_version_has_every_member_of_it() {
    let current = StoredRecord { version: UserRecord::version(), ..old_user() };
    let error = answer(Some(&current), &about_user(json!("Read")), NOON).expect_err("connections are missing");
    assert_eq!(error.to_string(), "the stored text is not a subject record");
}

#[wasm_bindgen_test(unsupported = test)]
fn records_that_cannot_be_read_are_refused_and_stay() {
    let newer = StoredRecord { version: UserRecord::version() + 1, ..old_user() };
    for (stored, why) in [
        (&newer, "the subject record has version 4, and this Worker reads versions up to 3: a newer Worker stored it"),
        (&StoredRecord { version: 0, ..old_user() }, "the subject record has no version"),
        (&StoredRecord { text: "[]".to_owned(), ..old_user() }, "the stored text is not a subject record"),
        (&StoredRecord { text: "{}".to_owned(), ..old_user() }, "the stored text is not a subject record"),
        (&StoredRecord { text: "{".to_owned(), ..old_user() }, "the stored text is not a subject record"),
    ] {
        let error = answer(Some(stored), &about_user(json!("Read")), NOON).expect_err("it is refused");
        assert!(error.to_string().starts_with(why), "{error}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_grant_of_an_older_release_goes_on() {
    let scene = Scene::with(json!({}), json!({ "recheck_minutes": 0 }));
    let (client, tokens) = scene.logged_in();
    let [(grant, stored)] = &scene.world.records_of("grant")[..] else { panic!("one grant") };
    let old: Value = serde_json::from_str(&stored.text).expect("JSON");
    for member in ["stale_before", "approved", "checked", "checking", "key"] {
        assert_eq!(old.get(member), None, "release 0.1 does not know {member}");
    }
    scene.world.store_record(grant, FIRST_VERSION, &stored.text);
    assert_eq!(scene.use_it(&tokens), 200);
    let reply = scene.refresh(&client, text(&tokens, "refresh_token"));
    assert_eq!((reply.status, text(&reply.json(), "scope")), (200, "mcp:tools"));
    let [(_, stored)] = &scene.world.records_of("grant")[..] else { panic!("one grant") };
    assert!(stored.version > FIRST_VERSION);
    let members = |text: &str| serde_json::from_str::<serde_json::Map<String, Value>>(text).expect("JSON");
    assert!(members(&stored.text).keys().all(|name| old.get(name).is_some()), "a rollback to 0.1 can read it");
    for (_, stored) in &scene.world.records_of("subject") {
        for member in ["ended_before", "sessions_ended", "signed_out"] {
            assert_eq!(members(&stored.text).get(member), None, "release 0.1 does not know {member}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_newer_grant_is_not_lost_to_an_older_worker() {
    let scene = Scene::new();
    let (client, tokens) = scene.logged_in();
    let [(grant, stored)] = &scene.world.records_of("grant")[..] else { panic!("one grant") };
    scene.world.store_record(grant, stored.version + 1, &stored.text);

    let refused = scene.refresh(&client, text(&tokens, "refresh_token"));
    assert_eq!((refused.status, text(&refused.json(), "error")), (503, "temporarily_unavailable"));
    let lines: Vec<String> =
        scene.world.lines().iter().map(Value::to_string).filter(|line| line.contains("records_unavailable")).collect();
    assert!(lines.iter().any(|line| line.contains("a newer Worker stored it; deploy that release again")), "{lines:?}");

    // The newer release is deployed again.
    scene.world.store_record(grant, stored.version, &stored.text);
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn names_and_first_versions_stay() {
    assert_eq!(name::<UserRecord>("ada"), "subject/ada");
    assert_eq!(Login::version(), FIRST_VERSION);
}
