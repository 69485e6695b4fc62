//! Answers to requests: what is read and written, and what it means for access.

use serde_json::{Map, Value};

use super::discovery::{resource_types, schemas, service_provider_config};
use super::error::ScimError;
use super::failure::Failure;
use super::group::{Group, GroupData};
use super::member_change::{MemberChange, MemberDelta, resolve_members};
use super::patch::{Operation, patch_group, patch_user};
use super::projection::Projection;
use super::request::{ResourceType, ScimRequest};
use super::search::{list_groups, list_users, show_group, show_user, whole_list};
use super::tables::{GroupSelection, Tables, TablesError, UserKeys, UserSelection, one_group, one_user};
use super::user::{User, UserData};

/// The media type of a body (RFC 7644 §8.1).
pub const SCIM_MEDIA_TYPE: &str = "application/scim+json";

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, of the type [`SCIM_MEDIA_TYPE`].
    pub body: Option<String>,
    /// `Location` of a new resource.
    pub location: Option<String>,
    /// What changes for access.
    pub effects: Vec<Effect>,
}

/// What a request changes for the access of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A user who had no access has access, also a new user.
    UserActivated(UserKeys),
    /// A user has no access any more. The keys are those before the request.
    UserDeactivated(UserKeys),
    /// A user is deleted. The keys are the last ones, whether the user had access or not.
    UserDeleted(UserKeys),
    /// A user has lost a key: the user name or the external id is another one, or an e-mail address is removed.
    UserRenamed {
        /// The keys before.
        before: UserKeys,
        /// The keys now.
        after: UserKeys,
    },
    /// The groups of a user are others, or one has another name.
    GroupsChanged(UserKeys),
}

impl From<ScimError> for Answer {
    fn from(error: ScimError) -> Self {
        Self { status: error.status, body: Some(error.body()), location: None, effects: Vec::new() }
    }
}

/// Answers a request. `base_url` is the URL of the service without a slash at its end; `new_id` makes the id of a new resource.
///
/// Everything is checked before the first write. The caller still runs this in a transaction, rolls back if the store fails, and
/// answers [`ScimError::internal`] then.
///
/// # Errors
/// If the store fails.
pub fn answer(
    tables: &mut dyn Tables,
    request: ScimRequest,
    base_url: &str,
    now: u64,
    new_id: impl FnOnce() -> String,
) -> Result<Answer, TablesError> {
    let mut service = Service { tables, base_url, now };
    let answered = match request {
        ScimRequest::List(ResourceType::User, query, projection) => {
            list_users(service.tables, &query, &projection, base_url).map(|list| ok(&list))
        }
        ScimRequest::List(ResourceType::Group, query, projection) => {
            list_groups(service.tables, &query, &projection, base_url).map(|list| ok(&list))
        }
        ScimRequest::Get(ResourceType::User, id, projection) => service.get_user(&id, &projection),
        ScimRequest::Get(ResourceType::Group, id, projection) => service.get_group(&id, &projection),
        ScimRequest::Create(ResourceType::User, body, projection) => service.create_user(&body, &projection, new_id),
        ScimRequest::Create(ResourceType::Group, body, projection) => service.create_group(&body, &projection, new_id),
        ScimRequest::Replace(ResourceType::User, id, body, projection) => service.replace_user(&id, &body, &projection),
        ScimRequest::Replace(ResourceType::Group, id, body, projection) => {
            service.replace_group(&id, &body, &projection)
        }
        ScimRequest::Patch(ResourceType::User, id, operations, projection) => {
            service.patch_user(&id, &operations, &projection)
        }
        ScimRequest::Patch(ResourceType::Group, id, operations, projection) => {
            service.patch_group(&id, &operations, &projection)
        }
        ScimRequest::Delete(ResourceType::User, id) => service.delete_user(&id),
        ScimRequest::Delete(ResourceType::Group, id) => service.delete_group(&id),
        ScimRequest::ServiceProviderConfig => Ok(ok(&service_provider_config(base_url))),
        ScimRequest::ResourceTypes(id) => described(resource_types(base_url), id.as_deref()),
        ScimRequest::Schemas(id) => described(schemas(base_url), id.as_deref()),
    };
    match answered {
        Ok(answer) => Ok(answer),
        Err(Failure::Refused(error)) => Ok(error.into()),
        Err(Failure::Store(error)) => Err(error),
    }
}

fn ok(body: &Value) -> Answer {
    Answer { status: 200, body: Some(body.to_string()), location: None, effects: Vec::new() }
}

fn no_content(effects: Vec<Effect>) -> Answer {
    Answer { status: 204, body: None, location: None, effects }
}

fn with_body(status: u16, shown: Map<String, Value>, effects: Vec<Effect>) -> Answer {
    Answer { status, body: Some(Value::Object(shown).to_string()), location: None, effects }
}

/// The elements of an endpoint of discovery, or the one with an id.
fn described(all: Vec<(&'static str, Value)>, id: Option<&str>) -> Result<Answer, Failure> {
    let Some(id) = id else { return Ok(ok(&whole_list(all.into_iter().map(|(_, value)| value).collect()))) };
    let found = all.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(id));
    found.map(|(_, value)| ok(&value)).ok_or_else(|| ScimError::not_found("there is no such resource").into())
}

struct Service<'a> {
    tables: &'a mut dyn Tables,
    base_url: &'a str,
    now: u64,
}

impl Service<'_> {
    fn find_user(&self, id: &str) -> Result<User, Failure> {
        let found = one_user(self.tables, UserSelection::Id(id))?;
        found.ok_or_else(|| ScimError::not_found("there is no such user").into())
    }

    fn find_group(&self, id: &str) -> Result<Group, Failure> {
        let found = one_group(self.tables, GroupSelection::Id(id))?;
        found.ok_or_else(|| ScimError::not_found("there is no such group").into())
    }

    fn get_user(&self, id: &str, projection: &Projection) -> Result<Answer, Failure> {
        let user = self.find_user(id)?;
        Ok(with_body(200, show_user(self.tables, &user, projection, self.base_url)?, Vec::new()))
    }

    fn get_group(&self, id: &str, projection: &Projection) -> Result<Answer, Failure> {
        let group = self.find_group(id)?;
        Ok(with_body(200, show_group(self.tables, &group, projection, self.base_url)?, Vec::new()))
    }

    fn create_user(
        &mut self,
        body: &Value,
        projection: &Projection,
        new_id: impl FnOnce() -> String,
    ) -> Result<Answer, Failure> {
        let data = UserData::read(body, None)?;
        self.check_unique_user(None, &data)?;
        let user = User { id: new_id(), created: self.now, last_modified: self.now, data };
        self.tables.insert_user(&user)?;
        let effects = if user.data.is_active() { vec![Effect::UserActivated(UserKeys::of(&user))] } else { Vec::new() };
        let answer = with_body(201, show_user(self.tables, &user, projection, self.base_url)?, effects);
        Ok(Answer { location: Some(user.location(self.base_url)), ..answer })
    }

    fn replace_user(&mut self, id: &str, body: &Value, projection: &Projection) -> Result<Answer, Failure> {
        let before = self.find_user(id)?;
        let data = UserData::read(body, Some(&before.data))?;
        self.write_user(before, data, projection)
    }

    fn patch_user(&mut self, id: &str, operations: &[Operation], projection: &Projection) -> Result<Answer, Failure> {
        let before = self.find_user(id)?;
        let data = patch_user(id, &before.data, operations)?;
        self.write_user(before, data, projection)
    }

    fn write_user(&mut self, before: User, data: UserData, projection: &Projection) -> Result<Answer, Failure> {
        let (mut after, mut effects) = (before.clone(), Vec::new());
        if data != before.data {
            self.check_unique_user(Some(&before.id), &data)?;
            after = User { last_modified: self.now.max(before.created), data, ..after };
            self.tables.update_user(&after)?;
            effects = effects_of_change(&before, &after);
        }
        Ok(with_body(200, show_user(self.tables, &after, projection, self.base_url)?, effects))
    }

    fn delete_user(&mut self, id: &str) -> Result<Answer, Failure> {
        let user = self.find_user(id)?;
        self.tables.delete_user(id)?;
        Ok(no_content(vec![Effect::UserDeleted(UserKeys::of(&user))]))
    }

    fn check_unique_user(&self, own: Option<&str>, data: &UserData) -> Result<(), Failure> {
        let other = |found: Option<User>| found.is_some_and(|user| Some(user.id.as_str()) != own);
        if other(one_user(self.tables, UserSelection::UserName(&data.user_name_key()))?) {
            return Err(ScimError::uniqueness("another user has this userName").into());
        }
        if let Some(id) = &data.external_id
            && other(one_user(self.tables, UserSelection::ExternalId(id))?)
        {
            return Err(ScimError::uniqueness("another user has this externalId").into());
        }
        Ok(())
    }

    fn create_group(
        &mut self,
        body: &Value,
        projection: &Projection,
        new_id: impl FnOnce() -> String,
    ) -> Result<Answer, Failure> {
        let (data, members) = GroupData::read(body, None)?;
        self.check_unique_group(None, &data)?;
        let group = Group { id: new_id(), created: self.now, last_modified: self.now, data };
        let delta = resolve_members(self.tables, &group.id, &[MemberChange::Add(members)])?;
        self.tables.insert_group(&group)?;
        delta.write(self.tables, &group.id)?;
        let effects = delta.added.into_iter().map(Effect::GroupsChanged).collect();
        let answer = with_body(201, show_group(self.tables, &group, projection, self.base_url)?, effects);
        Ok(Answer { location: Some(group.location(self.base_url)), ..answer })
    }

    /// A PUT without `members` empties the group: an absent list and an empty one are the same (RFC 7643 §2.5).
    fn replace_group(&mut self, id: &str, body: &Value, projection: &Projection) -> Result<Answer, Failure> {
        let before = self.find_group(id)?;
        let (data, members) = GroupData::read(body, Some(&before.data))?;
        let (after, effects) = self.write_group(before, data, &[MemberChange::Replace(members)])?;
        Ok(with_body(200, show_group(self.tables, &after, projection, self.base_url)?, effects))
    }

    /// The answer has no body, unless the request says which attributes it wants: it would have all members (RFC 7644 §3.5.2).
    fn patch_group(&mut self, id: &str, operations: &[Operation], projection: &Projection) -> Result<Answer, Failure> {
        let before = self.find_group(id)?;
        let (data, changes) = patch_group(id, &before.data, operations)?;
        let (after, effects) = self.write_group(before, data, &changes)?;
        if *projection == Projection::All {
            return Ok(no_content(effects));
        }
        Ok(with_body(200, show_group(self.tables, &after, projection, self.base_url)?, effects))
    }

    fn write_group(
        &mut self,
        before: Group,
        data: GroupData,
        changes: &[MemberChange],
    ) -> Result<(Group, Vec<Effect>), Failure> {
        let delta = if changes.is_empty() {
            MemberDelta::default()
        } else {
            resolve_members(self.tables, &before.id, changes)?
        };
        if data == before.data && delta.is_empty() {
            return Ok((before, Vec::new()));
        }
        self.check_unique_group(Some(&before.id), &data)?;
        let renamed = data.display_name != before.data.display_name;
        let after = Group { last_modified: self.now.max(before.created), data, ..before };
        self.tables.update_group(&after)?;
        delta.write(self.tables, &after.id)?;
        let mut affected = delta.removed;
        if renamed {
            let members = self.tables.members(&after.id)?;
            affected.extend(self.tables.user_keys(&members)?);
        } else {
            affected.extend(delta.added);
        }
        Ok((after, affected.into_iter().map(Effect::GroupsChanged).collect()))
    }

    fn delete_group(&mut self, id: &str) -> Result<Answer, Failure> {
        let group = self.find_group(id)?;
        let members = self.tables.members(&group.id)?;
        let affected = self.tables.user_keys(&members)?;
        self.tables.delete_group(&group.id)?;
        Ok(no_content(affected.into_iter().map(Effect::GroupsChanged).collect()))
    }

    fn check_unique_group(&self, own: Option<&str>, data: &GroupData) -> Result<(), Failure> {
        let other = |found: Option<Group>| found.is_some_and(|group| Some(group.id.as_str()) != own);
        if other(one_group(self.tables, GroupSelection::DisplayName(&data.display_name_key()))?) {
            return Err(ScimError::uniqueness(
                "another group has this displayName; rules name groups, so it must be unique",
            )
            .into());
        }
        if let Some(id) = &data.external_id
            && other(one_group(self.tables, GroupSelection::ExternalId(id))?)
        {
            return Err(ScimError::uniqueness("another group has this externalId").into());
        }
        Ok(())
    }
}

fn effects_of_change(before: &User, after: &User) -> Vec<Effect> {
    let (old, new) = (UserKeys::of(before), UserKeys::of(after));
    let mut effects = Vec::new();
    let lost_address = before.data.emails.iter().any(|old| !after.data.emails.iter().any(|new| new.key() == old.key()));
    let lost_id = old.external_id.is_some() && old.external_id != new.external_id;
    if old.user_name != new.user_name || lost_id || lost_address {
        effects.push(Effect::UserRenamed { before: old.clone(), after: new.clone() });
    }
    match (before.data.is_active(), after.data.is_active()) {
        (true, false) => effects.push(Effect::UserDeactivated(old)),
        (false, true) => effects.push(Effect::UserActivated(new)),
        _ => {}
    }
    effects
}
