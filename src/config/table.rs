//! Tables whose keys the operator chooses. `deserr` reads such a table into a map and drops every entry that it cannot read,
//! without an error: a condition of a rule would silently be gone.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Deref};

use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, Map, MergeWithError, Value, ValueKind, ValuePointerRef};

use crate::config::mistakes::Mistakes;

/// A table whose keys the operator chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transparent))]
pub struct Table<T>(BTreeMap<String, T>);

impl<T: Deserr<Mistakes>> Deserr<Mistakes> for Table<T> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef) -> Result<Self, Mistakes> {
        let map = match value {
            Value::Map(map) => map,
            other => {
                let kind = ErrorKind::IncorrectValueKind { actual: other, accepted: &[ValueKind::Map] };
                return Err(content(Mistakes::error(None, kind, location)));
            }
        };
        let (mut read, mut mistakes) = (BTreeMap::new(), None);
        for (key, value) in map.into_iter() {
            match T::deserialize_from_value(value.into_value(), location.push_key(&key)) {
                Ok(value) => {
                    read.insert(key, value);
                }
                Err(more) => mistakes = Some(content(Mistakes::merge(mistakes, more, location))),
            }
        }
        mistakes.map_or(Ok(Self(read)), Err)
    }
}

fn content(mistakes: ControlFlow<Mistakes, Mistakes>) -> Mistakes {
    match mistakes {
        ControlFlow::Continue(mistakes) | ControlFlow::Break(mistakes) => mistakes,
    }
}

impl<T> Deref for Table<T> {
    type Target = BTreeMap<String, T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a Table<T> {
    type Item = (&'a String, &'a T);
    type IntoIter = std::collections::btree_map::Iter<'a, String, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
