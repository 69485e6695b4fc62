//! All mistakes of one document, each as `path: what is wrong, and what would be right`.

use std::fmt;
use std::ops::ControlFlow;

use crate::config::renamed::{RenamedKey, renamed};
use crate::config::stand_ins::{StandIns, Wanted, pointer};
use deserr::errors::helpers::did_you_mean;
use deserr::{DeserializeError, ErrorKind, IntoValue, MergeWithError, Value, ValueKind, ValuePointerRef};

/// Every mistake of a configuration document, in the order of the document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mistakes {
    lines: Vec<String>,
    /// Malformed members: the JSON Pointer (RFC 6901) of the value that contains the member, and the name of the
    /// member. Without these members the rest of the document can be read.
    misshapen: Vec<(String, String)>,
    stand_ins: StandIns,
}

impl Mistakes {
    /// No mistakes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A single mistake.
    #[must_use]
    pub fn of(path: impl fmt::Display, what: impl fmt::Display) -> Self {
        let mut mistakes = Self::new();
        mistakes.note(path, what);
        mistakes
    }

    /// Notes a mistake at `path`.
    pub fn note(&mut self, path: impl fmt::Display, what: impl fmt::Display) {
        self.lines.push(format!("{path}: {what}"));
    }

    /// Returns the value of a success, and notes the error of a failure at `path`.
    pub fn keep<T, E: fmt::Display>(&mut self, path: impl fmt::Display, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.note(path, error)).ok()
    }

    /// Whether there is no mistake.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds the mistakes of `more` that are not there yet.
    pub fn extend(&mut self, more: Self) {
        let new = more.lines.into_iter().filter(|line| !self.lines.contains(line));
        self.lines.extend(new.collect::<Vec<_>>());
    }

    /// Adds the mistakes of `more`, whose paths begin with `from`, as mistakes at `to`.
    #[cfg(feature = "authorization-server")]
    pub(super) fn extend_at(&mut self, more: Self, from: &str, to: &str) {
        let moved = |line: &String| line.strip_prefix(from).map_or_else(|| line.clone(), |rest| format!("{to}{rest}"));
        self.lines.extend(more.lines.iter().map(moved));
    }

    /// Removes the malformed members from `document`, so that the mistakes of the other members can be found too.
    /// Returns whether it makes sense to read the rest: without `development`, correct URLs would look wrong. Elements
    /// of arrays stay, because without one of them the paths of the others would change.
    pub fn prune(&self, document: &mut serde_json::Value) -> bool {
        for (holder, name) in &self.misshapen {
            if let Some(holder) = document.pointer_mut(holder).and_then(serde_json::Value::as_object_mut) {
                holder.remove(name);
            }
        }
        !self.misshapen.iter().any(|(holder, name)| holder.is_empty() && name == "development")
    }

    /// The values that would let the rest of the document be read.
    pub(super) fn stand_ins(&self) -> &StandIns {
        &self.stand_ins
    }

    /// Leaves out the mistakes at paths for which `is_doubtful` holds.
    pub fn leave_out(&mut self, is_doubtful: impl Fn(&str) -> bool) {
        self.lines.retain(|line| !is_doubtful(line.split_once(": ").map_or("", |(path, _)| path)));
    }

    /// The mistakes, one per line.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

impl MergeWithError<Self> for Mistakes {
    fn merge(earlier: Option<Self>, other: Self, _: ValuePointerRef) -> ControlFlow<Self, Self> {
        let mut all = earlier.unwrap_or_default();
        all.lines.extend(other.lines);
        all.misshapen.extend(other.misshapen);
        all.stand_ins.extend(other.stand_ins);
        ControlFlow::Continue(all)
    }
}

impl DeserializeError for Mistakes {
    fn error<V: IntoValue>(
        earlier: Option<Self>,
        error: ErrorKind<V>,
        location: ValuePointerRef,
    ) -> ControlFlow<Self, Self> {
        let mut all = earlier.unwrap_or_default();
        let here = path(location);
        match error {
            ErrorKind::IncorrectValueKind { actual, accepted } => {
                if let ValuePointerRef::Key { key, prev } = location {
                    all.misshapen.push((pointer(*prev), key.to_owned()));
                }
                all.stand_ins.note(location, &here, Wanted::Kind(accepted));
                all.note(here, format_args!("must be {}, got {}", kinds(accepted), kind_and_value(actual)));
            }
            ErrorKind::MissingField { field } => {
                let path = member(&here, field);
                all.stand_ins.note(location, &path, Wanted::Member(field));
                all.note(path, "is required");
            }
            ErrorKind::UnknownKey { key, accepted } => {
                all.misshapen.push((pointer(location), key.to_owned()));
                let place = member(&here, key);
                match renamed(if here == ROOT { "" } else { &here }, key) {
                    Some(RenamedKey { new, .. }) => {
                        all.note(place, format_args!("is now called {new}: npx portcullis migrate rewrites it"));
                    }
                    None => all.note(
                        place,
                        format_args!("unknown key; {}known here: {}", did_you_mean(key, accepted), accepted.join(", ")),
                    ),
                }
            }
            ErrorKind::UnknownValue { value, accepted } => {
                all.stand_ins.note(location, &here, Wanted::Name(accepted));
                all.note(here, format_args!("must be one of {}, got {value:?}", accepted.join(", ")));
            }
            ErrorKind::BadSequenceLen { expected, .. } => {
                all.note(here, format_args!("must have {expected} items"));
            }
            ErrorKind::Unexpected { msg } => all.note(here, msg),
        }
        ControlFlow::Continue(all)
    }
}

fn member(path: &str, key: &str) -> String {
    if path == ROOT { key.to_owned() } else { format!("{path}.{key}") }
}

const ROOT: &str = "PORTCULLIS";

/// The path of a location, such as `issuers[1].jwks_uri`; the document itself has the name of its variable.
fn path(location: ValuePointerRef) -> String {
    fn write(location: ValuePointerRef, to: &mut String) {
        match location {
            ValuePointerRef::Origin => {}
            ValuePointerRef::Key { key, prev } => {
                write(*prev, to);
                if !to.is_empty() {
                    to.push('.');
                }
                to.push_str(key);
            }
            ValuePointerRef::Index { index, prev } => {
                write(*prev, to);
                to.push_str(&format!("[{index}]"));
            }
        }
    }
    let mut text = String::new();
    write(location, &mut text);
    if text.is_empty() { ROOT.to_owned() } else { text }
}

fn kinds(accepted: &[ValueKind]) -> String {
    let mut names: Vec<&str> = accepted.iter().copied().map(kind).collect();
    names.dedup();
    names.join(" or ")
}

fn kind(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Null => "null",
        ValueKind::Boolean => "true or false",
        ValueKind::Integer => "a whole number",
        ValueKind::NegativeInteger => "a negative number",
        ValueKind::Float => "a fraction",
        ValueKind::String => "a string",
        ValueKind::Sequence => "an array",
        ValueKind::Map => "a table",
    }
}

fn kind_and_value<V: IntoValue>(value: Value<V>) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::NegativeInteger(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        other => kind(other.kind()).to_owned(),
    }
}
