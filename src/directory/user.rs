//! Users: what the directory keeps of them, how it reads and shows it (RFC 7643 §4.1).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::ScimError;
use super::filter::{Fact, Facts};
use super::group::Group;
use super::schema::{Key, USER_SCHEMA};
use super::timestamp::to_rfc3339;
use super::values::{Members, flag, list, required_text, text};
use crate::limits::{SCIM_ADDRESS_BYTES, SCIM_EMAILS};
use crate::strict_json::fold;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The identifier that the gateway gave the user.
    pub id: String,
    /// The second at which the user was created.
    pub created: u64,
    /// The second at which the user last changed.
    pub last_modified: u64,
    /// What the identity provider said.
    pub data: UserData,
}

/// What an identity provider says of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserData {
    /// The identifier of the user at the provider.
    pub external_id: Option<String>,
    /// The name that no other user has, in any case.
    pub user_name: String,
    /// Whether the user has access. A provider may remove the attribute; such a user has no access.
    pub active: Option<bool>,
    /// The name for display.
    pub display_name: Option<String>,
    /// The parts of the name.
    pub name: Name,
    /// The e-mail addresses.
    pub emails: Vec<Email>,
}

/// The parts of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The full name.
    pub formatted: Option<String>,
    /// The family name.
    pub family_name: Option<String>,
    /// The given name.
    pub given_name: Option<String>,
}

/// An e-mail address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// The address.
    pub value: String,
    /// `type`: what it is for.
    pub kind: Option<String>,
    /// Whether it is the preferred one.
    pub primary: Option<bool>,
}

impl Email {
    /// Reads an element of `emails`; `None` if it has no address.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn read(value: &Value) -> Result<Option<Self>, ScimError> {
        let members = Members::of_value(value, "an element of emails")?;
        let read = |name: &str, shown: &str| members.given(name).map(|value| text(shown, value)).transpose();
        let kind = read("type", "emails.type")?.flatten();
        let primary = members.given("primary").map(|value| flag("emails.primary", value)).transpose()?.flatten();
        Ok(read("value", "emails.value")?.flatten().map(|value| Self { value, kind, primary }))
    }

    /// The address by which an index finds it: in one case.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.value)
    }

    fn render(&self) -> Value {
        let mut shown = Map::new();
        shown.insert("value".to_owned(), self.value.as_str().into());
        insert(&mut shown, "type", self.kind.as_deref());
        if let Some(primary) = self.primary {
            shown.insert("primary".to_owned(), primary.into());
        }
        Value::Object(shown)
    }
}

impl Name {
    fn is_empty(&self) -> bool {
        self.formatted.is_none() && self.family_name.is_none() && self.given_name.is_none()
    }

    /// Takes the parts that an object has; the others stay (RFC 7644 §3.5.2.3).
    ///
    /// # Errors
    /// If a part is malformed.
    pub fn merge(&mut self, value: &Value) -> Result<(), ScimError> {
        let members = Members::of_value(value, "name")?;
        let parts = [
            ("formatted", &mut self.formatted),
            ("familyName", &mut self.family_name),
            ("givenName", &mut self.given_name),
        ];
        for (name, part) in parts {
            if let Some(value) = members.given(name) {
                *part = text(name, value)?;
            }
        }
        Ok(())
    }
}

impl UserData {
    /// Reads the representation of a user. Attributes that the directory does not keep are dropped. `before` is the user that a PUT
    /// replaces: what it does not say of `active` and `externalId` stays (RFC 7644 §3.5.1), so that a deactivated user stays
    /// deactivated, and a login still finds the user. Without `before` a user is active unless the body says otherwise.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn read(body: &Value, before: Option<&Self>) -> Result<Self, ScimError> {
        let object = body.as_object().ok_or_else(|| ScimError::invalid_syntax("the body must be an object"))?;
        let members = Members::of(object)?;
        members.require_schema(USER_SCHEMA)?;
        let kept_id = || Ok(before.and_then(|before| before.external_id.clone()));
        let kept_active = || Ok(before.map_or(Some(true), |before| before.active));
        let display_name = members.given("displayName").map(|value| text("displayName", value)).transpose()?.flatten();
        let mut read = Self {
            external_id: members.given("externalId").map_or_else(kept_id, |value| text("externalId", value))?,
            user_name: required_text("userName", members.given("userName"))?,
            active: members.given("active").map_or_else(kept_active, |value| flag("active", value))?,
            display_name,
            name: Name::default(),
            emails: Vec::new(),
        };
        if let Some(name) = members.assigned("name") {
            read.name.merge(name)?;
        }
        if let Some(emails) = members.assigned("emails") {
            read.emails = read_emails(emails)?;
        }
        read.validate()?;
        Ok(read)
    }

    /// Whether the user has access.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active == Some(true)
    }

    /// The name by which an index finds the user: in one case.
    #[must_use]
    pub fn user_name_key(&self) -> String {
        fold(&self.user_name)
    }

    /// Checks what concerns several attributes.
    ///
    /// # Errors
    /// If there are too many addresses, or more than one is primary.
    pub fn validate(&self) -> Result<(), ScimError> {
        if self.emails.iter().any(|email| email.value.len() > SCIM_ADDRESS_BYTES) {
            let detail = format!("an address has more than {SCIM_ADDRESS_BYTES} bytes");
            return Err(ScimError::invalid_value(detail));
        }
        if self.emails.len() > SCIM_EMAILS {
            return Err(ScimError::invalid_value(format!("a user has at most {SCIM_EMAILS} emails")));
        }
        if self.emails.iter().filter(|email| email.primary == Some(true)).count() > 1 {
            return Err(ScimError::invalid_value("at most one of emails is primary"));
        }
        Ok(())
    }
}

/// Reads `emails`. An element that repeats another is dropped.
///
/// # Errors
/// If one is malformed, or there are too many.
pub fn read_emails(value: &Value) -> Result<Vec<Email>, ScimError> {
    let elements = list(value);
    if elements.len() > SCIM_EMAILS {
        return Err(ScimError::invalid_value(format!("a user has at most {SCIM_EMAILS} emails")));
    }
    let mut emails = Vec::new();
    for element in elements {
        if let Some(email) = Email::read(element)?
            && !emails.contains(&email)
        {
            emails.push(email);
        }
    }
    Ok(emails)
}

impl User {
    /// The URI of the user.
    #[must_use]
    pub fn location(&self, base_url: &str) -> String {
        format!("{base_url}/Users/{}", self.id)
    }

    /// The representation of the user, with its groups if they are given.
    #[must_use]
    pub fn render(&self, base_url: &str, groups: Option<&[Group]>) -> Map<String, Value> {
        let mut shown = Map::new();
        let data = &self.data;
        shown.insert("schemas".to_owned(), json!([USER_SCHEMA]));
        shown.insert("id".to_owned(), self.id.as_str().into());
        insert(&mut shown, "externalId", data.external_id.as_deref());
        shown.insert("userName".to_owned(), data.user_name.as_str().into());
        if let Some(active) = data.active {
            shown.insert("active".to_owned(), active.into());
        }
        insert(&mut shown, "displayName", data.display_name.as_deref());
        if !data.name.is_empty() {
            let mut name = Map::new();
            insert(&mut name, "formatted", data.name.formatted.as_deref());
            insert(&mut name, "familyName", data.name.family_name.as_deref());
            insert(&mut name, "givenName", data.name.given_name.as_deref());
            shown.insert("name".to_owned(), Value::Object(name));
        }
        if !data.emails.is_empty() {
            shown.insert("emails".to_owned(), data.emails.iter().map(Email::render).collect());
        }
        if let Some(groups) = groups {
            let render = |group: &Group| {
                json!({
                    "value": group.id,
                    "$ref": group.location(base_url),
                    "display": group.data.display_name,
                    "type": "direct",
                })
            };
            shown.insert("groups".to_owned(), groups.iter().map(render).collect());
        }
        let meta = meta("User", self.created, self.last_modified, &self.location(base_url));
        shown.insert("meta".to_owned(), meta);
        shown
    }
}

/// `meta` of a resource.
#[must_use]
pub fn meta(resource_type: &str, created: u64, last_modified: u64, location: &str) -> Value {
    json!({
        "resourceType": resource_type,
        "created": to_rfc3339(created),
        "lastModified": to_rfc3339(last_modified),
        "location": location,
    })
}

/// Adds a member if it is assigned.
pub(super) fn insert(object: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        object.insert(name.to_owned(), value.into());
    }
}

/// A user as filters see it.
#[derive(Debug, Clone, Copy)]
pub struct UserFacts<'a> {
    /// The user.
    pub user: &'a User,
    /// The groups of the user, if the filter asks for them.
    pub groups: &'a [Group],
    /// The URL of the service.
    pub base_url: &'a str,
}

impl Facts for UserFacts<'_> {
    fn fact(&self, key: Key) -> Option<Fact<'_>> {
        let data = &self.user.data;
        let text = |text: &'_ Option<String>| text.clone().map(Fact::owned);
        match key {
            Key::Id => Some(Fact::text(&self.user.id)),
            Key::ExternalId => text(&data.external_id),
            Key::UserName => Some(Fact::text(&data.user_name)),
            Key::Active => data.active.map(Fact::Flag),
            Key::DisplayName => text(&data.display_name),
            Key::NameFormatted => text(&data.name.formatted),
            Key::NameFamilyName => text(&data.name.family_name),
            Key::NameGivenName => text(&data.name.given_name),
            Key::MetaResourceType => Some(Fact::text("User")),
            Key::MetaCreated => Some(Fact::second(self.user.created)),
            Key::MetaLastModified => Some(Fact::second(self.user.last_modified)),
            Key::MetaLocation => Some(Fact::owned(self.user.location(self.base_url))),
            _ => None,
        }
    }

    fn elements(&self, key: Key) -> usize {
        match key {
            Key::Schemas => 1,
            Key::Emails => self.user.data.emails.len(),
            Key::Groups => self.groups.len(),
            _ => 0,
        }
    }

    fn element(&self, index: usize, key: Key) -> Option<Fact<'_>> {
        let email = || self.user.data.emails.get(index);
        let group = || self.groups.get(index);
        match key {
            Key::Schemas => Some(Fact::text(USER_SCHEMA)),
            Key::EmailValue | Key::EmailType | Key::EmailPrimary => email()?.fact(key),
            Key::GroupValue => group().map(|group| Fact::text(&group.id)),
            Key::GroupRef => group().map(|group| Fact::owned(group.location(self.base_url))),
            Key::GroupDisplay => group().map(|group| Fact::text(&group.data.display_name)),
            Key::GroupType => group().map(|_| Fact::text("direct")),
            _ => None,
        }
    }
}

impl Email {
    /// A sub-attribute of the address, as filters see it.
    #[must_use]
    pub fn fact(&self, key: Key) -> Option<Fact<'_>> {
        match key {
            Key::EmailValue => Some(Fact::text(&self.value)),
            Key::EmailType => self.kind.as_deref().map(Fact::text),
            Key::EmailPrimary => self.primary.map(Fact::Flag),
            _ => None,
        }
    }
}
