//! Strict reading of JSON from outside, so that every document has one meaning. Duplicate members, which parsers
//! resolve in different ways, and deep nesting are errors.

use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;
use std::fmt;

use crate::limits::JSON_DEPTH;

/// Why a document was rejected. Contains no part of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrictJsonError(String);

impl fmt::Display for StrictJsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StrictJsonError {}

/// Parses one JSON value from `bytes`, which must be UTF-8 and contain nothing else.
///
/// # Errors
/// If the bytes are not JSON (RFC 8259), an object repeats a member, or values nest deeper than [`JSON_DEPTH`].
pub fn parse(bytes: &[u8]) -> Result<Value, StrictJsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: JSON_DEPTH }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| describe(&error))?;
    Ok(value)
}

/// Parses a value as [`parse`] does, and converts it to a type.
///
/// # Errors
/// If [`parse`] rejects the bytes, or the value does not have the form of the type.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StrictJsonError> {
    let other = |_| StrictJsonError("of another form than expected".to_owned());
    serde_json::from_value(parse(bytes)?).map_err(other)
}

/// Folds the case of a name, as parsers that ignore case do. It maps each character by itself, because the neighbors of
/// a letter change the mapping of some (the Greek final sigma), and through its capital, because some small letters
/// share one (`ſ` and `s`, `ı` and `i`).
#[must_use]
pub fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Whether a number is a whole one beyond 2^53 - 1: some servers read all of its digits, and others the nearest double, so that
/// different numbers would have one canonical form (RFC 8785 §3.1, RFC 7493 §2.2).
#[must_use]
pub fn has_large_integer(value: &Value) -> bool {
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    match value {
        Value::Number(number) => number.as_f64().is_none_or(|number| number.abs() > LARGEST),
        Value::Array(items) => items.iter().any(has_large_integer),
        Value::Object(members) => members.values().any(has_large_integer),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Reads a part of a document from its text there, for changes that leave the rest of the document as it is. No
/// decision depends on the result, so it accepts what [`parse`] rejects; of repeated members it takes the last, as
/// common parsers do.
#[must_use]
pub fn part<'de, T: Deserialize<'de>>(text: &'de str) -> Option<T> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(&mut reader).ok()?;
    reader.end().ok().map(|()| value)
}

/// Describes what is wrong with a document, without quoting it.
pub(crate) fn describe(error: &serde_json::Error) -> StrictJsonError {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "cut short",
        serde_json::error::Category::Data => "a repeated member, or nested too deeply",
        _ => "not JSON",
    };
    StrictJsonError(format!("{what} (line {}, column {})", error.line(), error.column()))
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        self.depth.checked_sub(1).map(|depth| Self { depth }).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is repeated"));
            }
        }
        Ok(Value::Object(object))
    }
}

/// A JSON value as text in which only members are in order, and white space between values is that of `indent`: none, or two spaces for
/// each level. Numbers stay as they are written, because readers read some of them in different ways. `None` if it is no JSON that
/// [`parse`] accepts.
#[must_use]
pub fn in_order(text: &str, indent: bool) -> Option<String> {
    parse(text.as_bytes()).ok()?;
    let mut out = String::with_capacity(text.len());
    write_in_order(text, indent.then_some(0), &mut out)?;
    Some(out)
}

fn write_in_order(text: &str, level: Option<usize>, out: &mut String) -> Option<()> {
    let text = text.trim();
    let next = level.map(|level| level + 1);
    let line = |level: Option<usize>, out: &mut String| {
        if let Some(level) = level {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", level));
        }
    };
    match text.as_bytes().first()? {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = part(text)?;
            out.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                line(next, out);
                out.push_str(&serde_json::to_string(name).ok()?);
                out.push_str(if level.is_some() { ": " } else { ":" });
                write_in_order(value.get(), next, out)?;
            }
            line(level.filter(|_| !members.is_empty()), out);
            out.push('}');
        }
        b'[' => {
            let items: Vec<&RawValue> = part(text)?;
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                line(next, out);
                write_in_order(item.get(), next, out)?;
            }
            line(level.filter(|_| !items.is_empty()), out);
            out.push(']');
        }
        b'"' => out.push_str(&serde_json::to_string(&part::<String>(text)?).ok()?),
        _ => out.push_str(text),
    }
    Some(())
}
