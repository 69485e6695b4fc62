//! Paths of attributes (RFC 7644 §3.10), and paths of PATCH operations (§3.5.2).

use super::error::{ScimError, quote};
use super::filter::Filter;
use super::schema::{Attribute, Schema};
use crate::limits::SCIM_PATH_BYTES;

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// An attribute that the directory keeps, or a sub-attribute of it.
    Kept(&'static Attribute, Option<&'static Attribute>),
    /// A well-formed attribute that the directory does not keep.
    NotKept,
    /// The resource itself, by the URN of its schema.
    Resource,
}

/// Reads `attribute`, `attribute.sub`, or either after the URN of a schema and a colon. `None` if it is malformed.
#[must_use]
pub fn resolve(schema: &'static Schema, text: &str) -> Option<Named> {
    if text.eq_ignore_ascii_case(schema.id) {
        return Some(Named::Resource);
    }
    let mut core = true;
    let mut rest = text;
    if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:")) {
        let (urn, name) = text.rsplit_once(':')?;
        if !urn.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        core = urn.eq_ignore_ascii_case(schema.id);
        rest = name;
    }
    let mut names = rest.split('.');
    let (name, sub) = (names.next()?, names.next());
    let well_formed = is_name(name) && sub.is_none_or(is_name) && names.next().is_none();
    // A dot in place of the colon after the URN of the schema would make an operation without effect of one that ends access.
    let is_misspelled = text
        .get(..=schema.id.len())
        .is_some_and(|start| start.strip_suffix('.').is_some_and(|start| start.eq_ignore_ascii_case(schema.id)));
    if is_misspelled {
        return None;
    }
    if !core {
        // Old versions of Entra ID write a dot after the URN, and a version in a URN has a dot.
        return (!rest.is_empty() && rest.split('.').all(|part| !part.is_empty() && is_urn_part(part)))
            .then_some(Named::NotKept);
    }
    if !well_formed {
        return None;
    }
    let Some(attribute) = schema.attribute(name) else { return Some(Named::NotKept) };
    let Some(sub) = sub else { return Some(Named::Kept(attribute, None)) };
    if attribute.sub_attributes.is_empty() {
        return None;
    }
    Some(attribute.sub_attribute(sub).map_or(Named::NotKept, |sub| Named::Kept(attribute, Some(sub))))
}

/// `ATTRNAME` of RFC 7644 §3.4.2.2, and `$ref`.
fn is_name(name: &str) -> bool {
    let rest = name.strip_prefix('$').unwrap_or(name);
    rest.starts_with(|c: char| c.is_ascii_alphabetic()) && is_urn_part(rest)
}

fn is_urn_part(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The path of a PATCH operation.
#[derive(Debug, Clone, PartialEq)]
pub enum PatchPath {
    /// An attribute that the directory keeps.
    Kept {
        /// The attribute.
        attribute: &'static Attribute,
        /// Which of its elements.
        filter: Option<Filter>,
        /// The sub-attribute.
        sub: Option<&'static Attribute>,
    },
    /// An attribute that the directory does not keep: the operation changes nothing.
    NotKept,
    /// The resource itself.
    Resource,
}

impl PatchPath {
    /// Reads a path.
    ///
    /// # Errors
    /// If it is malformed, or selects elements of an attribute that is not a list of complex values.
    pub fn read(schema: &'static Schema, text: &str) -> Result<Self, ScimError> {
        let malformed = || ScimError::invalid_path(format!("the path {} is malformed", quote(text)));
        if text.is_empty() || text.len() > SCIM_PATH_BYTES {
            return Err(malformed());
        }
        let Some((name, selection)) = text.split_once('[') else {
            return Ok(match resolve(schema, text).ok_or_else(malformed)? {
                Named::Kept(attribute, sub) => Self::Kept { attribute, filter: None, sub },
                Named::NotKept => Self::NotKept,
                Named::Resource => Self::Resource,
            });
        };
        let end = closing_bracket(selection).ok_or_else(malformed)?;
        let (inside, rest) = selection.split_at_checked(end).ok_or_else(malformed)?;
        let sub = match rest.get(1..).unwrap_or_default() {
            "" => None,
            after => Some(after.strip_prefix('.').filter(|sub| is_name(sub)).ok_or_else(malformed)?),
        };
        match resolve(schema, name).ok_or_else(malformed)? {
            Named::NotKept => Ok(Self::NotKept),
            Named::Kept(attribute, None) if attribute.multi_valued && !attribute.sub_attributes.is_empty() => {
                let filter = Some(Filter::parse_elements(attribute, inside)?);
                let Some(sub) = sub else { return Ok(Self::Kept { attribute, filter, sub: None }) };
                let sub = attribute.sub_attribute(sub);
                Ok(sub.map_or(Self::NotKept, |sub| Self::Kept { attribute, filter, sub: Some(sub) }))
            }
            Named::Kept(..) | Named::Resource => Err(malformed()),
        }
    }
}

/// Where the first bracket closes that is not in a string.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut in_string, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            ']' if !in_string => return Some(at),
            _ => {}
        }
    }
    None
}
