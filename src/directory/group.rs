//! Groups: what the directory keeps of them, how it reads and shows it (RFC 7643 §4.2).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::{ScimError, quote};
use super::filter::{Fact, Facts};
use super::schema::{GROUP_SCHEMA, Key};
use super::user::{insert, meta};
use super::values::{Members, list, required_text, text};
use crate::limits::{SCIM_ID_BYTES, SCIM_MEMBERS_PER_REQUEST};
use crate::strict_json::fold;

/// A group, without its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The identifier that the gateway gave the group.
    pub id: String,
    /// The second at which the group was created.
    pub created: u64,
    /// The second at which the group or its membership last changed.
    pub last_modified: u64,
    /// What the identity provider said.
    pub data: GroupData,
}

/// What an identity provider says of a group, without its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupData {
    /// The identifier of the group at the provider.
    pub external_id: Option<String>,
    /// The name that no other group has, in any case: rules name groups, and a second group of one name would get what they mean
    /// for the first. Entra ID requires it too.
    pub display_name: String,
}

impl GroupData {
    /// Reads the representation of a group, and the ids of its members. `before` is the group that a PUT replaces: if the PUT does not
    /// say its `externalId`, it stays (RFC 7644 §3.5.1).
    ///
    /// # Errors
    /// If it is malformed.
    pub fn read(body: &Value, before: Option<&Self>) -> Result<(Self, Vec<String>), ScimError> {
        let object = body.as_object().ok_or_else(|| ScimError::invalid_syntax("the body must be an object"))?;
        let members = Members::of(object)?;
        members.require_schema(GROUP_SCHEMA)?;
        let kept_id = || Ok(before.and_then(|before| before.external_id.clone()));
        let external_id = members.given("externalId").map_or_else(kept_id, |value| text("externalId", value))?;
        let display_name = required_text("displayName", members.given("displayName"))?;
        let ids = members.assigned("members").map(read_members).transpose()?.unwrap_or_default();
        Ok((Self { external_id, display_name }, ids))
    }

    /// The name by which an index finds the group: in one case.
    #[must_use]
    pub fn display_name_key(&self) -> String {
        fold(&self.display_name)
    }
}

/// Reads `members`: the ids of users. `display` and `$ref` are dropped.
///
/// # Errors
/// If one is malformed or a group, or there are too many.
pub fn read_members(value: &Value) -> Result<Vec<String>, ScimError> {
    let elements = list(value);
    if elements.len() > SCIM_MEMBERS_PER_REQUEST {
        let detail = format!("a request names at most {SCIM_MEMBERS_PER_REQUEST} members: send several PATCH requests");
        return Err(ScimError::too_large(detail));
    }
    elements.iter().map(read_member).collect()
}

fn read_member(element: &Value) -> Result<String, ScimError> {
    let members = Members::of_value(element, "an element of members")?;
    if let Some(kind) = members.assigned("type") {
        let kind = text("members.type", kind)?.unwrap_or_default();
        if !kind.is_empty() && !kind.eq_ignore_ascii_case("User") {
            let detail =
                format!("members.type is {}: a member must be a User, nested groups are not supported", quote(&kind));
            return Err(ScimError::invalid_value(detail));
        }
    }
    let id = required_text("members.value", members.given("value"))?;
    if id.len() > SCIM_ID_BYTES {
        return Err(ScimError::invalid_value("members.value is not the id of a user"));
    }
    Ok(id)
}

impl Group {
    /// The URI of the group.
    #[must_use]
    pub fn location(&self, base_url: &str) -> String {
        format!("{base_url}/Groups/{}", self.id)
    }

    /// The representation of the group, with its members if they are given.
    #[must_use]
    pub fn render(&self, base_url: &str, members: Option<&[String]>) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert("schemas".to_owned(), json!([GROUP_SCHEMA]));
        shown.insert("id".to_owned(), self.id.as_str().into());
        insert(&mut shown, "externalId", self.data.external_id.as_deref());
        shown.insert("displayName".to_owned(), self.data.display_name.as_str().into());
        if let Some(members) = members {
            let render = |id: &String| json!({ "value": id, "$ref": format!("{base_url}/Users/{id}"), "type": "User" });
            shown.insert("members".to_owned(), members.iter().map(render).collect());
        }
        let meta = meta("Group", self.created, self.last_modified, &self.location(base_url));
        shown.insert("meta".to_owned(), meta);
        shown
    }
}

/// A group as filters see it.
#[derive(Debug, Clone, Copy)]
pub struct GroupFacts<'a> {
    /// The group.
    pub group: &'a Group,
    /// The ids of its members, as far as the filter asks for them.
    pub members: &'a [String],
    /// The URL of the service.
    pub base_url: &'a str,
}

impl Facts for GroupFacts<'_> {
    fn fact(&self, key: Key) -> Option<Fact<'_>> {
        let data = &self.group.data;
        match key {
            Key::Id => Some(Fact::text(&self.group.id)),
            Key::ExternalId => data.external_id.as_deref().map(Fact::text),
            Key::DisplayName => Some(Fact::text(&data.display_name)),
            Key::MetaResourceType => Some(Fact::text("Group")),
            Key::MetaCreated => Some(Fact::second(self.group.created)),
            Key::MetaLastModified => Some(Fact::second(self.group.last_modified)),
            Key::MetaLocation => Some(Fact::owned(self.group.location(self.base_url))),
            _ => None,
        }
    }

    fn elements(&self, key: Key) -> usize {
        match key {
            Key::Schemas => 1,
            Key::Members => self.members.len(),
            _ => 0,
        }
    }

    fn element(&self, index: usize, key: Key) -> Option<Fact<'_>> {
        let id = || self.members.get(index);
        match key {
            Key::Schemas => Some(Fact::text(GROUP_SCHEMA)),
            Key::MemberValue => id().map(|id| Fact::text(id)),
            Key::MemberRef => id().map(|id| Fact::owned(format!("{}/Users/{id}", self.base_url))),
            Key::MemberType => id().map(|_| Fact::text("User")),
            _ => None,
        }
    }
}
