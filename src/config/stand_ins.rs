//! Values that stand for malformed and missing ones, so that the mistakes of the rest of a document can be found. Only the
//! command line looks for these: the code would add 7 KB to the Worker, which rejects the document in any case.

use deserr::{ValueKind, ValuePointerRef};
use serde_json::Value;

/// The values that would let the rest of a document be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StandIns(#[cfg(feature = "command")] Vec<StandIn>);

#[cfg(feature = "command")]
#[derive(Debug, Clone, PartialEq, Eq)]
struct StandIn {
    /// The location of the value: a JSON Pointer (RFC 6901).
    pointer: String,
    /// The same location as the path of a mistake.
    path: String,
    value: Value,
}

/// What a value must be.
#[cfg_attr(not(feature = "command"), expect(dead_code, reason = "only the command line reads it"))]
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// One of these kinds.
    Kind(&'a [ValueKind]),
    /// One of these names.
    Name(&'a [&'a str]),
    /// A member of the value at the location. The next reading finds what it must be.
    Member(&'a str),
}

#[cfg(not(feature = "command"))]
#[expect(clippy::unused_self, reason = "the same functions as with the feature, without any effect")]
impl StandIns {
    pub(super) fn extend(&self, _: Self) {}

    pub(super) fn note(&self, _: ValuePointerRef, _: &str, _: Wanted<'_>) {}

    pub(super) fn tables(&self) -> Vec<String> {
        Vec::new()
    }

    pub(super) fn place(&self, _: &mut Value) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(feature = "command")]
impl StandIns {
    /// Adds those of another part of the document.
    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Notes a value that is not as it must be; `path` is the path of its mistake.
    pub(super) fn note(&mut self, location: ValuePointerRef, path: &str, wanted: Wanted<'_>) {
        let (pointer, value) = match wanted {
            Wanted::Kind(kinds) => (pointer(location), kinds.first().map(|kind| some_value(*kind))),
            Wanted::Name(names) => (pointer(location), names.first().map(|name| Value::from(*name))),
            Wanted::Member(name) => (format!("{}/{name}", pointer(location)), Some(Value::Null)),
        };
        self.0.extend(value.map(|value| StandIn { pointer, path: path.to_owned(), value }));
    }

    /// The malformed members of the document itself.
    pub(super) fn tables(&self) -> Vec<String> {
        let members = self.0.iter().map(|stand_in| &stand_in.path);
        members.filter(|path| !path.contains(['.', '['])).cloned().collect()
    }

    /// Puts the values into a document. Returns their paths: mistakes there are not the operator's.
    pub(super) fn place(&self, document: &mut Value) -> Vec<String> {
        let mut paths = Vec::new();
        for StandIn { pointer, path, value } in &self.0 {
            if let Some(at) = document.pointer_mut(pointer) {
                *at = value.clone();
            } else if let Some((holder, name)) = pointer.rsplit_once('/')
                && let Some(holder) = document.pointer_mut(holder).and_then(Value::as_object_mut)
            {
                holder.insert(name.to_owned(), value.clone());
            }
            paths.push(path.clone());
        }
        paths
    }
}

/// The JSON Pointer of a location (RFC 6901).
pub(super) fn pointer(location: ValuePointerRef) -> String {
    match location {
        ValuePointerRef::Origin => String::new(),
        ValuePointerRef::Key { key, prev } => {
            format!("{}/{}", pointer(*prev), key.replace('~', "~0").replace('/', "~1"))
        }
        ValuePointerRef::Index { index, prev } => format!("{}/{index}", pointer(*prev)),
    }
}

#[cfg(feature = "command")]
fn some_value(kind: ValueKind) -> Value {
    match kind {
        ValueKind::Null => Value::Null,
        ValueKind::Boolean => false.into(),
        ValueKind::Integer => 1.into(),
        ValueKind::NegativeInteger => (-1).into(),
        ValueKind::Float => 0.5.into(),
        ValueKind::String => "".into(),
        ValueKind::Sequence => Value::Array(Vec::new()),
        ValueKind::Map => Value::Object(serde_json::Map::new()),
    }
}

/// Whether a mistake at `path` may come from a value that stands for another one.
pub(super) fn is_doubtful(path: &str, stand_ins: &[String]) -> bool {
    let table = |path: &str| path.split(['.', '[']).next().unwrap_or_default().to_owned();
    stand_ins.iter().any(|stand_in| {
        // Rules are compared with each other.
        let holder = stand_in
            .split_once(".rules[")
            .map_or_else(|| stand_in.clone(), |(resource, _)| format!("{resource}.rules"));
        path.strip_prefix(&holder).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            // Resources name the parts that accept credentials.
            || (["public_url", "issuers", "api_keys", "verifiers", "authorization_server"]
                .contains(&table(stand_in).as_str())
                && [".issuers", ".api_keys", ".verifiers", ".audiences", ".rules"]
                    .iter()
                    .any(|part| path.starts_with("resources[") && path.contains(part)))
    }) || path.is_empty()
}
