//! Reads JSON only as far as needed: some members, some levels deep. The rest is only checked for its syntax and not
//! stored.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::strict_json;

/// Implements `DeserializeSeed` for a visitor, so that it reads any value.
macro_rules! seed {
    ($visitor:ty, $value:ty) => {
        impl<'de> DeserializeSeed<'de> for $visitor {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<$value, D::Error> {
                deserializer.deserialize_any(self)
            }
        }
    };
}
pub(super) use seed;

/// Reads members one after another, and rejects a repeated one.
pub(super) fn members<'de, A: MapAccess<'de>>(
    mut map: A,
    mut member: impl FnMut(&str, &mut A) -> Result<(), A::Error>,
) -> Result<(), A::Error> {
    let mut seen = Vec::with_capacity(8);
    while let Some(name) = map.next_key_seed(MemberName)? {
        member(&name, &mut map)?;
        seen.push(name);
    }
    if repeated(seen) { Err(A::Error::custom("a member is repeated")) } else { Ok(()) }
}

/// Whether a name is repeated. The names are sorted once at the end, so that no choice of names makes this slow.
fn repeated(mut seen: Vec<Cow<'_, str>>) -> bool {
    seen.sort_unstable();
    seen.windows(2).any(|pair| pair.first() == pair.get(1))
}

/// The name of a member, borrowed from the text if it has no escapes.
pub(super) struct MemberName;

seed!(MemberName, Cow<'de, str>);

impl<'de> Visitor<'de> for MemberName {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }
    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// The methods of a visitor that treats all scalars alike.
macro_rules! scalars {
    ($value:expr) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}
pub(super) use scalars;

/// A value down to this number of levels: scalars are read, and an object or array that lies deeper is only checked for
/// its syntax and becomes empty.
pub(super) struct Shallow(pub(super) usize);

seed!(Shallow, Value);

impl<'de> Visitor<'de> for Shallow {
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
        serde_json::Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let Some(levels) = self.0.checked_sub(1) else {
            return skip_items(sequence).map(|()| Value::Array(Vec::new()));
        };
        let mut kept = Vec::new();
        while let Some(value) = sequence.next_element_seed(Self(levels))? {
            kept.push(value);
        }
        Ok(Value::Array(kept))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Some(levels) = self.0.checked_sub(1) else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Object(Map::new()));
        };
        let mut kept = Map::new();
        members(map, |name, map| {
            kept.insert(name.to_owned(), map.next_value_seed(Self(levels))?);
            Ok(())
        })?;
        Ok(Value::Object(kept))
    }
}

/// Reads the rest of an array only to check its syntax.
pub(super) fn skip_items<'de, A: SeqAccess<'de>>(mut sequence: A) -> Result<(), A::Error> {
    while sequence.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// The arguments of a call: scalars as they are, and objects and arrays as empty ones; and the names of arguments that
/// no rule can read: a string with an unpaired surrogate, or a number out of range.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Arguments {
    pub(super) known: Option<Map<String, Value>>,
    pub(super) unreadable: Vec<String>,
}

/// Reads arguments; `known` is `None` if they are not an object.
pub(super) struct ArgumentsSeed;

seed!(ArgumentsSeed, Arguments);

impl<'de> Visitor<'de> for ArgumentsSeed {
    type Value = Arguments;
    scalars!(Arguments::default());
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arguments")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let (mut known, mut unreadable) = (Map::new(), Vec::new());
        members(map, |name, map| {
            let raw = map.next_value::<&RawValue>()?.get();
            let value = match raw.as_bytes().first() {
                Some(b'{') => Some(Value::Object(Map::new())),
                Some(b'[') => Some(Value::Array(Vec::new())),
                _ => strict_json::parse(raw.as_bytes()).ok(),
            };
            match value {
                Some(value) => {
                    known.insert(name.to_owned(), value);
                }
                None => unreadable.push(name.to_owned()),
            }
            Ok(())
        })?;
        Ok(Arguments { known: Some(known), unreadable })
    }
    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Self::Value, A::Error> {
        skip_items(sequence).map(|()| Arguments::default())
    }
}

/// Where a member of an object is, if it is missing, `null` or an object itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// The member is missing.
    Absent,
    /// It is `null` and begins at this position.
    Null(usize),
    /// It is an object that begins at this position and has this many bytes.
    Object(usize, usize),
    /// It is an object without members that begins at this position.
    Empty(usize),
}

/// Finds the member `name` of `object`; `None` if it is something else.
#[must_use]
pub fn object_member(object: &[u8], name: &str) -> Option<Member> {
    let members: BTreeMap<String, &RawValue> =
        BTreeMap::deserialize(&mut serde_json::Deserializer::from_slice(object)).ok()?;
    let Some(raw) = members.get(name) else { return Some(Member::Absent) };
    let at = raw.get().as_ptr().addr().checked_sub(object.as_ptr().addr())?;
    if raw.get() == "null" {
        return Some(Member::Null(at));
    }
    let inside = raw.get().strip_prefix('{')?;
    let empty = inside.trim_start().starts_with('}');
    Some(if empty { Member::Empty(at) } else { Member::Object(at, raw.get().len()) })
}

/// The members of `object` as raw JSON, without those of this name.
#[must_use]
pub fn members_but(object: &[u8], name: &str) -> Option<Vec<String>> {
    let members: BTreeMap<String, &RawValue> =
        BTreeMap::deserialize(&mut serde_json::Deserializer::from_slice(object)).ok()?;
    let kept = members.into_iter().filter(|(other, _)| other != name);
    kept.map(|(other, raw)| Some(format!("{}:{}", serde_json::to_string(&other).ok()?, raw.get()))).collect()
}

/// Finds the member `name` of `object`, with its quotes, if it is a string; and its text.
#[must_use]
pub fn text_member(object: &[u8], name: &str) -> Option<(Range<usize>, String)> {
    let members: BTreeMap<String, &RawValue> =
        BTreeMap::deserialize(&mut serde_json::Deserializer::from_slice(object)).ok()?;
    let raw = members.get(name)?;
    let at = raw.get().as_ptr().addr().checked_sub(object.as_ptr().addr())?;
    Some((at..at + raw.get().len(), strict_json::part(raw.get())?))
}
