//! A directory in memory that answers requests.

use portcullis::directory::answer::{Answer, Effect, answer};
use portcullis::directory::memory::MemoryTables;
use portcullis::directory::request::{RawRequest, ScimRequest};
use portcullis::directory::tables::UserKeys;
use portcullis::strict_json;
use serde_json::{Value, json};

pub const BASE: &str = "https://gate.example/scim/v2";
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

#[derive(Default)]
pub struct Directory {
    pub tables: MemoryTables,
    pub now: u64,
    ids: u64,
}

impl Directory {
    pub fn at(now: u64) -> Self {
        Self { now, ..Self::default() }
    }

    /// Answers a request. The target is as it stands in a request line, below the base URL.
    pub fn raw(&mut self, method: &str, target: &str, content_type: Option<&str>, body: &[u8]) -> Answer {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let raw = RawRequest { method, segments: &segments, query, content_type, body };
        let request = match ScimRequest::read(raw) {
            Ok(request) => request,
            Err(error) => return error.into(),
        };
        self.ids += 1;
        let id = format!("id-{}", self.ids);
        answer(&mut self.tables, request, BASE, self.now, || id).expect("the tables in memory do not fail")
    }

    pub fn send(&mut self, method: &str, target: &str, body: &Value) -> Answer {
        self.raw(method, target, Some("application/scim+json; charset=utf-8"), body.to_string().as_bytes())
    }

    pub fn get(&mut self, target: &str) -> (u16, Value) {
        let answer = self.raw("GET", target, None, b"");
        (answer.status, body_of(&answer))
    }

    /// The ids of the resources that a filter finds.
    pub fn find(&mut self, endpoint: &str, filter: &str) -> Vec<String> {
        let (status, list) = self.get(&format!("/{endpoint}?filter={}", encode(filter)));
        assert_eq!(status, 200, "{filter}: {list}");
        let resources = list["Resources"].as_array().expect("a list");
        assert_eq!(list["totalResults"], json!(resources.len()));
        resources.iter().map(|resource| resource["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// The status and `scimType` of the answer to a filter.
    pub fn refused(&mut self, endpoint: &str, filter: &str) -> (u16, String) {
        let (status, error) = self.get(&format!("/{endpoint}?filter={}", encode(filter)));
        (status, error["scimType"].as_str().unwrap_or_default().to_owned())
    }

    /// Creates a user, and returns its id.
    pub fn user(&mut self, user_name: &str, more: Value) -> String {
        let mut body = json!({ "schemas": [USER], "userName": user_name });
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        let answer = self.send("POST", "/Users", &body);
        assert_eq!(answer.status, 201, "{answer:?}");
        body_of(&answer)["id"].as_str().expect("an id").to_owned()
    }

    /// Creates a group, and returns its id.
    pub fn group(&mut self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
        let answer =
            self.send("POST", "/Groups", &json!({ "schemas": [GROUP], "displayName": name, "members": members }));
        assert_eq!(answer.status, 201, "{answer:?}");
        body_of(&answer)["id"].as_str().expect("an id").to_owned()
    }

    pub fn patch(&mut self, target: &str, operations: &Value) -> Answer {
        self.send("PATCH", target, &json!({ "schemas": [PATCH], "Operations": operations }))
    }

    /// Patches, and returns the resource.
    pub fn patched(&mut self, target: &str, operations: &Value) -> Value {
        let answer = self.patch(target, operations);
        assert!(matches!(answer.status, 200 | 204), "{answer:?}");
        self.get(target).1
    }

    /// Patches in vain: nothing may change. Returns the status and `scimType`.
    pub fn patch_refused(&mut self, target: &str, operations: &Value) -> (u16, String) {
        let before = self.tables.clone();
        let answer = self.patch(target, operations);
        assert!(answer.status >= 400, "{answer:?}");
        assert!(answer.effects.is_empty());
        assert!(before == self.tables, "a refused patch changed something: {operations}");
        (answer.status, body_of(&answer)["scimType"].as_str().unwrap_or_default().to_owned())
    }

    pub fn members(&mut self, group: &str) -> Vec<String> {
        let (_, shown) = self.get(&format!("/Groups/{group}"));
        let members = shown["members"].as_array().expect("members");
        members.iter().map(|member| member["value"].as_str().expect("a value").to_owned()).collect()
    }
}

pub fn body_of(answer: &Answer) -> Value {
    answer.body.as_ref().map_or(Value::Null, |body| strict_json::parse(body.as_bytes()).expect("JSON"))
}

pub fn error_of(answer: &Answer) -> (u16, String) {
    (answer.status, body_of(answer)["scimType"].as_str().unwrap_or_default().to_owned())
}

/// Percent-encodes all but letters and digits.
pub fn encode(text: &str) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encode).collect()
}

/// What kind of effect, and on the user of which id.
pub fn effects_of(answer: &Answer) -> Vec<(&'static str, String)> {
    let name = |effect: &Effect| match effect {
        Effect::UserActivated(keys) => ("activated", keys.id.clone()),
        Effect::UserDeactivated(keys) => ("deactivated", keys.id.clone()),
        Effect::UserDeleted(keys) => ("deleted", keys.id.clone()),
        Effect::UserRenamed { before, after } => {
            assert_eq!(before.id, after.id);
            ("renamed", before.id.clone())
        }
        Effect::GroupsChanged(keys) => ("groups", keys.id.clone()),
    };
    answer.effects.iter().map(name).collect()
}

pub fn keys(id: &str, external_id: Option<&str>, user_name: &str, emails: &[&str]) -> UserKeys {
    UserKeys {
        id: id.to_owned(),
        external_id: external_id.map(str::to_owned),
        user_name: user_name.to_owned(),
        emails: emails.iter().map(|&email| email.to_owned()).collect(),
    }
}

/// Numbers that look random, and are the same in each run.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end.max(1)
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}
