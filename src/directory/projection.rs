//! Which attributes an answer has: `attributes` and `excludedAttributes` (RFC 7644 §3.9).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::error::{ScimError, quote};
use super::path::{Named, resolve};
use super::schema::Schema;
use crate::limits::SCIM_ATTRIBUTES;

/// Which attributes an answer has. `schemas` and `id` are always among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Projection {
    /// All.
    #[default]
    All,
    /// These, by their paths.
    Only(BTreeSet<String>),
    /// All but these, by their paths.
    Without(BTreeSet<String>),
}

impl Projection {
    /// Reads the two parameters.
    ///
    /// # Errors
    /// If both are given, or one is malformed or too long. Attributes that the directory does not keep are well-formed.
    pub fn read(schema: &'static Schema, only: Option<&str>, without: Option<&str>) -> Result<Self, ScimError> {
        match (only, without) {
            (None, None) => Ok(Self::All),
            (Some(names), None) => Ok(Self::Only(paths(schema, names)?)),
            (None, Some(names)) => Ok(Self::Without(paths(schema, names)?)),
            (Some(_), Some(_)) => Err(ScimError::invalid_value("attributes and excludedAttributes exclude each other")),
        }
    }

    /// Whether the answer has an attribute or a part of it.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(paths) => paths.iter().any(|path| path.split('.').next() == Some(name)),
            Self::Without(paths) => !paths.contains(name),
        }
    }

    /// Leaves out what the answer does not have.
    #[must_use]
    pub fn apply(&self, mut shown: Map<String, Value>) -> Map<String, Value> {
        if *self == Self::All {
            return shown;
        }
        shown.retain(|name, value| {
            if name == "id" || name == "schemas" {
                return true;
            }
            if !self.has(name) {
                return false;
            }
            if !matches!(self, Self::Only(paths) if paths.contains(name)) {
                self.trim(name, value);
            }
            true
        });
        shown
    }

    fn trim(&self, name: &str, value: &mut Value) {
        match value {
            Value::Array(elements) => elements.iter_mut().for_each(|element| self.trim(name, element)),
            Value::Object(members) => members.retain(|sub, _| {
                let path = format!("{name}.{sub}");
                match self {
                    Self::All => true,
                    Self::Only(paths) => paths.contains(&path),
                    Self::Without(paths) => !paths.contains(&path),
                }
            }),
            _ => {}
        }
    }
}

fn paths(schema: &'static Schema, names: &str) -> Result<BTreeSet<String>, ScimError> {
    let mut paths = BTreeSet::new();
    for (at, name) in names.split(',').map(str::trim).filter(|name| !name.is_empty()).enumerate() {
        if at >= SCIM_ATTRIBUTES {
            return Err(ScimError::invalid_value(format!("a request names at most {SCIM_ATTRIBUTES} attributes")));
        }
        match resolve(schema, name) {
            Some(Named::Kept(attribute, None)) => {
                paths.insert(attribute.name.to_owned());
            }
            Some(Named::Kept(attribute, Some(sub))) => {
                paths.insert(format!("{}.{}", attribute.name, sub.name));
            }
            Some(Named::NotKept) => {}
            Some(Named::Resource) => paths.extend(schema.attributes.iter().map(|attribute| attribute.name.to_owned())),
            None => return Err(ScimError::invalid_value(format!("the attribute {} is malformed", quote(name)))),
        }
    }
    Ok(paths)
}
