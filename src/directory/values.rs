//! Reading values of JSON from an identity provider: names of members in any case, and bounded text.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::{ScimError, quote};
use crate::limits::{SCIM_SCHEMAS, SCIM_TEXT_BYTES};

/// The members of an object by name in lower case (RFC 7643 §2.1).
#[derive(Debug)]
pub struct Members<'a>(BTreeMap<String, &'a Value>);

impl<'a> Members<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// If two names differ only in case.
    pub fn of(object: &'a Map<String, Value>) -> Result<Self, ScimError> {
        let mut members = BTreeMap::new();
        for (name, value) in object {
            if members.insert(name.to_ascii_lowercase(), value).is_some() {
                return Err(ScimError::invalid_syntax(format!("the member {} is repeated", quote(name))));
            }
        }
        Ok(Self(members))
    }

    /// Reads a value that must be an object.
    ///
    /// # Errors
    /// If it is none, or two names differ only in case.
    pub fn of_value(value: &'a Value, what: &str) -> Result<Self, ScimError> {
        Self::of(value.as_object().ok_or_else(|| ScimError::invalid_value(format!("{what} must be an object")))?)
    }

    /// The value of a member; `None` if it is absent. `null` is a value here.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&'a Value> {
        self.0.get(&name.to_ascii_lowercase()).copied()
    }

    /// The value of a member; `None` if it is absent or `null`, which mean the same (RFC 7643 §2.5).
    #[must_use]
    pub fn assigned(&self, name: &str) -> Option<&'a Value> {
        self.given(name).filter(|value| !value.is_null())
    }

    /// Checks that `schemas` names a schema.
    ///
    /// # Errors
    /// If it does not, or is malformed.
    pub fn require_schema(&self, schema: &str) -> Result<(), ScimError> {
        let uris = self.given("schemas").and_then(Value::as_array).filter(|uris| uris.len() <= SCIM_SCHEMAS);
        let named = uris.is_some_and(|uris| {
            uris.iter().any(|uri| uri.as_str().is_some_and(|uri| uri.eq_ignore_ascii_case(schema)))
        });
        if named {
            return Ok(());
        }
        Err(ScimError::invalid_syntax(format!(
            "schemas must be a list of at most {SCIM_SCHEMAS} URIs that has {schema}"
        )))
    }
}

/// Reads text. `null` and the empty text are unassigned.
///
/// # Errors
/// If the value is not text, is too long, or has control characters.
pub fn text(name: &str, value: &Value) -> Result<Option<String>, ScimError> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text,
        _ => return Err(ScimError::invalid_value(format!("{name} must be a string"))),
    };
    if text.len() > SCIM_TEXT_BYTES {
        return Err(ScimError::invalid_value(format!("{name} is longer than {SCIM_TEXT_BYTES} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(ScimError::invalid_value(format!("{name} must not have control characters")));
    }
    Ok((!text.is_empty()).then(|| text.clone()))
}

/// Reads text that must be assigned.
///
/// # Errors
/// If it is not assigned, or [`text`] refuses it.
pub fn required_text(name: &str, value: Option<&Value>) -> Result<String, ScimError> {
    let given = value.map(|value| text(name, value)).transpose()?.flatten();
    given.filter(|text| !text.trim().is_empty()).ok_or_else(|| ScimError::invalid_value(format!("{name} is required")))
}

/// Reads a boolean. Entra ID sends `"True"` and `"False"`.
///
/// # Errors
/// If the value is neither a boolean nor one as text.
pub fn flag(name: &str, value: &Value) -> Result<Option<bool>, ScimError> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        _ => Err(ScimError::invalid_value(format!("{name} must be true or false"))),
    }
}

/// The values of a list: of an array, or one value that is not in an array. `null` is the empty list.
#[must_use]
pub fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(values) => values,
        other => std::slice::from_ref(other),
    }
}
