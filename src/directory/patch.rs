//! PATCH (RFC 7644 §3.5.2), with what Okta and Entra ID send: operations in any case, values without a path whose names are paths,
//! booleans as text, elements that an operation selects and that do not exist yet, and `remove` with a list of values.

use serde_json::Value;

use super::error::{ScimError, quote};
use super::filter::{Comparison, Filter, Lookup, Operand};
use super::group::{GroupData, read_members};
use super::member_change::MemberChange;
use super::path::PatchPath;
use super::schema::{Attribute, Key, Mutability, Schema};
use super::user::{Email, Name, UserData, read_emails};
use super::values::{Members, flag, list, required_text, text};
use crate::limits::{SCIM_OPERATIONS, SCIM_USER_OPERATIONS};
use crate::strict_json::fold;

/// The schema of a PATCH message.
const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `add`
    Add,
    /// `remove`, also `replace` with `null`.
    Remove,
    /// `replace`
    Replace,
}

/// An operation on one attribute. An operation without a path is one of these for each member of its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// What it does.
    pub action: Action,
    /// The attribute.
    pub attribute: &'static Attribute,
    /// Which elements of the attribute.
    pub filter: Option<Filter>,
    /// The sub-attribute.
    pub sub: Option<&'static Attribute>,
    /// The value; `null` if it has none.
    pub value: Value,
}

impl Operation {
    /// Reads a PATCH message. Operations on attributes that the directory does not keep are left out.
    ///
    /// # Errors
    /// If the message is malformed or too large, or an operation has a path to what no client may write.
    pub fn read_all(schema: &'static Schema, body: &Value) -> Result<Vec<Self>, ScimError> {
        let object = body.as_object().ok_or_else(|| ScimError::invalid_syntax("the body must be an object"))?;
        let members = Members::of(object)?;
        members.require_schema(PATCH_SCHEMA)?;
        let operations = members.assigned("Operations").and_then(Value::as_array);
        let operations = operations.ok_or_else(|| ScimError::invalid_syntax("Operations must be a list"))?;
        if operations.is_empty() {
            return Err(ScimError::invalid_syntax("Operations is empty"));
        }
        let mut read = Vec::new();
        for operation in operations {
            Self::read(schema, operation, &mut read)?;
            if read.len() > SCIM_OPERATIONS || operations.len() > SCIM_OPERATIONS {
                return Err(ScimError::too_large(format!("a PATCH has at most {SCIM_OPERATIONS} operations")));
            }
        }
        Ok(read)
    }

    fn read(schema: &'static Schema, operation: &Value, read: &mut Vec<Self>) -> Result<(), ScimError> {
        let members = Members::of_value(operation, "an element of Operations")?;
        let action = match required_text("op", members.given("op"))?.to_ascii_lowercase().as_str() {
            "add" => Action::Add,
            "remove" => Action::Remove,
            "replace" => Action::Replace,
            other => {
                let detail = format!("op is {}: it must be add, remove or replace", quote(other));
                return Err(ScimError::invalid_syntax(detail));
            }
        };
        let value = members.given("value");
        let path = match members.assigned("path") {
            Some(Value::String(path)) => Some(path),
            Some(_) => return Err(ScimError::invalid_path("path must be a string")),
            None => None,
        };
        let Some(path) = path else { return read_whole(schema, action, value, read) };
        match PatchPath::read(schema, path)? {
            PatchPath::NotKept => Ok(()),
            PatchPath::Resource => read_whole(schema, action, value, read),
            PatchPath::Kept { attribute, filter, sub } => {
                if attribute.mutability == Mutability::ReadOnly {
                    return Err(ScimError::mutability(format!("{} is read-only", attribute.name)));
                }
                if value.is_none() && action != Action::Remove {
                    return Err(ScimError::invalid_value(format!("the operation on {} has no value", quote(path))));
                }
                read.extend(one(action, attribute, filter, sub, value.unwrap_or(&Value::Null)));
                Ok(())
            }
        }
    }

    fn name(&self) -> String {
        let Some(sub) = self.sub else { return self.attribute.name.to_owned() };
        format!("{}.{}", self.attribute.name, sub.name)
    }

    /// The text that an attribute has afterwards.
    fn text(&self) -> Result<Option<String>, ScimError> {
        if self.action == Action::Remove { Ok(None) } else { text(&self.name(), &self.value) }
    }

    /// The text that a required attribute has afterwards.
    fn required_text(&self) -> Result<String, ScimError> {
        if self.action == Action::Remove {
            return Err(ScimError::mutability(format!("{} is required and cannot be removed", self.name())));
        }
        required_text(&self.name(), Some(&self.value))
    }

    fn flag(&self) -> Result<Option<bool>, ScimError> {
        if self.action == Action::Remove { Ok(None) } else { flag(&self.name(), &self.value) }
    }

    /// Checks that a value without a path names the resource that it is for, as Okta writes it.
    fn check_id(&self, id: &str) -> Result<(), ScimError> {
        if self.value.as_str() == Some(id) { Ok(()) } else { Err(ScimError::mutability("id is read-only")) }
    }
}

/// An operation on a kept attribute. `null` adds nothing, and replaced by `null` is removed (RFC 7643 §2.5).
fn one(
    action: Action,
    attribute: &'static Attribute,
    filter: Option<Filter>,
    sub: Option<&'static Attribute>,
    value: &Value,
) -> Option<Operation> {
    let action = match action {
        Action::Add if value.is_null() => return None,
        Action::Replace if value.is_null() => Action::Remove,
        action => action,
    };
    Some(Operation { action, attribute, filter, sub, value: value.clone() })
}

/// Reads an operation without a path: each member of its value is an attribute, or a path as Entra ID writes it. Of read-only
/// attributes only `id` is looked at; a client that sends back what it read means no change by the others.
fn read_whole(
    schema: &'static Schema,
    action: Action,
    value: Option<&Value>,
    read: &mut Vec<Operation>,
) -> Result<(), ScimError> {
    if action == Action::Remove {
        return Err(ScimError::no_target("a remove operation needs a path"));
    }
    let Some(Value::Object(object)) = value else {
        return Err(ScimError::invalid_value("an operation without a path needs an object as value"));
    };
    Members::of(object)?;
    for (name, value) in object {
        match PatchPath::read(schema, name)? {
            PatchPath::NotKept => {}
            PatchPath::Resource => {
                // The attributes of the schema under its URN. A second URN inside of it is malformed.
                let inner =
                    value.as_object().filter(|inner| !inner.keys().any(|key| key.eq_ignore_ascii_case(schema.id)));
                let inner =
                    inner.ok_or_else(|| ScimError::invalid_value(format!("{} must be an object", quote(name))))?;
                read_whole(schema, action, Some(&Value::Object(inner.clone())), read)?;
            }
            PatchPath::Kept { attribute, filter, sub } => {
                if attribute.mutability != Mutability::ReadOnly || attribute.key == Key::Id {
                    read.extend(one(action, attribute, filter, sub, value));
                }
            }
        }
    }
    Ok(())
}

/// What a user is after the operations.
///
/// # Errors
/// If one of them cannot be applied; then none is.
pub fn patch_user(id: &str, data: &UserData, operations: &[Operation]) -> Result<UserData, ScimError> {
    if operations.len() > SCIM_USER_OPERATIONS {
        let detail = format!("a PATCH of a user has at most {SCIM_USER_OPERATIONS} operations");
        return Err(ScimError::too_large(detail));
    }
    let mut data = data.clone();
    for operation in operations {
        match operation.attribute.key {
            Key::Id => operation.check_id(id)?,
            Key::ExternalId => data.external_id = operation.text()?,
            Key::UserName => data.user_name = operation.required_text()?,
            Key::Active => data.active = operation.flag()?,
            Key::DisplayName => data.display_name = operation.text()?,
            Key::Name => patch_name(&mut data.name, operation)?,
            Key::Emails => {
                patch_emails(&mut data.emails, operation)?;
                // Each operation compares all of them.
                data.validate()?;
            }
            _ => return Err(ScimError::mutability(format!("{} is read-only", operation.attribute.name))),
        }
    }
    data.validate()?;
    Ok(data)
}

/// What a group is after the operations, and the changes of its members in their order.
///
/// # Errors
/// If one of them cannot be applied; then none is.
pub fn patch_group(
    id: &str,
    data: &GroupData,
    operations: &[Operation],
) -> Result<(GroupData, Vec<MemberChange>), ScimError> {
    let mut data = data.clone();
    let mut changes = Vec::new();
    for operation in operations {
        match operation.attribute.key {
            Key::Id => operation.check_id(id)?,
            Key::ExternalId => data.external_id = operation.text()?,
            Key::DisplayName => data.display_name = operation.required_text()?,
            Key::Members => changes.push(member_change(operation)?),
            _ => return Err(ScimError::mutability(format!("{} is read-only", operation.attribute.name))),
        }
    }
    Ok((data, changes))
}

fn member_change(operation: &Operation) -> Result<MemberChange, ScimError> {
    if operation.sub.is_some() {
        return Err(ScimError::mutability("a member cannot be changed: remove it, and add another"));
    }
    match (operation.action, &operation.filter) {
        (Action::Add, None) => Ok(MemberChange::Add(read_members(&operation.value)?)),
        (Action::Replace, None) => Ok(MemberChange::Replace(read_members(&operation.value)?)),
        (Action::Remove, None) if operation.value.is_null() => Ok(MemberChange::Replace(Vec::new())),
        (Action::Remove, None) => Ok(MemberChange::Remove(read_members(&operation.value)?)),
        (Action::Remove, Some(filter)) => {
            let comparison = if let Filter::Compare(comparison) = filter { comparison.lookup() } else { None };
            Ok(match comparison {
                Some(Lookup::Member(id)) => MemberChange::Remove(vec![id]),
                _ => MemberChange::RemoveMatching(filter.clone()),
            })
        }
        (Action::Add | Action::Replace, Some(_)) => {
            Err(ScimError::mutability("a member cannot be changed: add members with the path \"members\""))
        }
    }
}

fn patch_name(name: &mut Name, operation: &Operation) -> Result<(), ScimError> {
    let Some(sub) = operation.sub else {
        if operation.action == Action::Remove {
            *name = Name::default();
            return Ok(());
        }
        return name.merge(&operation.value);
    };
    let part = match sub.key {
        Key::NameFormatted => &mut name.formatted,
        Key::NameFamilyName => &mut name.family_name,
        _ => &mut name.given_name,
    };
    *part = operation.text()?;
    Ok(())
}

fn patch_emails(emails: &mut Vec<Email>, operation: &Operation) -> Result<(), ScimError> {
    if let Some(sub) = operation.sub {
        return patch_email_part(emails, operation, sub);
    }
    match (operation.action, &operation.filter) {
        (Action::Add, None) => {
            for email in read_emails(&operation.value)? {
                let at = emails.iter().position(|old| old.key() == email.key() && old.kind == email.kind);
                put(emails, at, email);
            }
        }
        (Action::Replace, None) => *emails = read_emails(&operation.value)?,
        (Action::Remove, None) if operation.value.is_null() => emails.clear(),
        (Action::Remove, None) => {
            let mut gone = Vec::new();
            for element in list(&operation.value) {
                let members = Members::of_value(element, "an element of emails")?;
                gone.push(fold(&required_text("emails.value", members.given("value"))?));
            }
            emails.retain(|email| !gone.contains(&email.key()));
        }
        (Action::Remove, Some(filter)) => emails.retain(|email| !selects(filter, email)),
        (Action::Add | Action::Replace, Some(_)) => {
            let members = Members::of_value(&operation.value, "an element of emails")?;
            let parts = operation.attribute.sub_attributes.iter();
            let given: Vec<_> = parts.filter_map(|sub| members.given(sub.name).map(|value| (sub, value))).collect();
            change_selected(emails, operation, &|email| {
                given.iter().try_for_each(|(sub, value)| set_part(email, sub.key, value))
            })?;
        }
    }
    Ok(())
}

fn patch_email_part(emails: &mut Vec<Email>, operation: &Operation, sub: &Attribute) -> Result<(), ScimError> {
    if operation.action == Action::Remove {
        let selected = |email: &Email| operation.filter.as_ref().is_none_or(|filter| selects(filter, email));
        match sub.key {
            // An element without an address says nothing.
            Key::EmailValue => emails.retain(|email| !selected(email)),
            Key::EmailType => emails.iter_mut().filter(|email| selected(email)).for_each(|email| email.kind = None),
            _ => emails.iter_mut().filter(|email| selected(email)).for_each(|email| email.primary = None),
        }
        return Ok(());
    }
    change_selected(emails, operation, &|email| set_part(email, sub.key, &operation.value))
}

/// Changes the selected elements. If there is none, a new one is made with the values that the filter requires: Entra ID adds and
/// replaces `emails[type eq "work"].value` without asking whether the user has such an address.
fn change_selected(
    emails: &mut Vec<Email>,
    operation: &Operation,
    change: &dyn Fn(&mut Email) -> Result<(), ScimError>,
) -> Result<(), ScimError> {
    let selected = |email: &Email| operation.filter.as_ref().is_none_or(|filter| selects(filter, email));
    let places: Vec<usize> = emails.iter().enumerate().filter(|(_, email)| selected(email)).map(|(at, _)| at).collect();
    if places.is_empty() {
        let required = operation.filter.as_ref().map_or(Some(Vec::new()), Filter::equalities);
        let mut email = required.as_deref().and_then(email_with).unwrap_or_default();
        change(&mut email)?;
        if required.is_none() || email.value.is_empty() {
            return Err(ScimError::no_target("the path selects no element of emails"));
        }
        put(emails, None, email);
        return Ok(());
    }
    for at in places {
        if let Some(mut email) = emails.get(at).cloned() {
            change(&mut email)?;
            put(emails, Some(at), email);
        }
    }
    emails.retain(|email| !email.value.is_empty());
    Ok(())
}

/// Puts an element into the list. If it becomes the primary one, no other is (RFC 7644 §3.5.2).
fn put(emails: &mut Vec<Email>, at: Option<usize>, email: Email) {
    if email.primary == Some(true) {
        for other in emails.iter_mut().filter(|other| other.primary == Some(true)) {
            other.primary = Some(false);
        }
    }
    match at.and_then(|at| emails.get_mut(at)) {
        Some(place) => *place = email,
        None => emails.push(email),
    }
}

fn set_part(email: &mut Email, key: Key, value: &Value) -> Result<(), ScimError> {
    match key {
        Key::EmailValue => email.value = text("emails.value", value)?.unwrap_or_default(),
        Key::EmailType => email.kind = text("emails.type", value)?,
        _ => email.primary = flag("emails.primary", value)?,
    }
    Ok(())
}

/// An element that has the values of comparisons; `None` if one of them is not a value.
fn email_with(comparisons: &[&Comparison]) -> Option<Email> {
    let mut email = Email::default();
    for comparison in comparisons {
        match (comparison.compared.key, &comparison.operand) {
            (Key::EmailValue, Operand::Text(value)) => email.value.clone_from(value),
            (Key::EmailType, Operand::Text(kind)) => email.kind = Some(kind.clone()),
            (Key::EmailPrimary, Operand::Flag(primary)) => email.primary = Some(*primary),
            _ => return None,
        }
    }
    Some(email)
}

fn selects(filter: &Filter, email: &Email) -> bool {
    filter.matches_element(&|key| email.fact(key))
}
