//! JSON read no further than asked: some members, some levels deep; the rest is looked at for its form alone and kept
//! nowhere.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::strict_json;

/// Reads whatever comes with the visitor itself.
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

/// Reads members one after another, and refuses one that is there twice.
pub(super) fn members<'de, A: MapAccess<'de>>(
    mut map: A,
    mut member: impl FnMut(&str, &mut A) -> Result<(), A::Error>,
) -> Result<(), A::Error> {
    let mut seen = Vec::with_capacity(8);
    while let Some(name) = map.next_key_seed(Name)? {
        member(&name, &mut map)?;
        seen.push(name);
    }
    if repeated(seen) { Err(A::Error::custom("a member is repeated")) } else { Ok(()) }
}

/// Whether a name is there twice: sorted once at the end, so that no choice of names makes it slow.
fn repeated(mut seen: Vec<Cow<'_, str>>) -> bool {
    seen.sort_unstable();
    seen.windows(2).any(|pair| pair.first() == pair.get(1))
}

/// A member's name, as it stands in the text where it has no escapes.
struct Name;

seed!(Name, Cow<'de, str>);

impl<'de> Visitor<'de> for Name {
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

/// The methods of a visitor to which every scalar is the same.
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

/// A value, as many levels deep as asked for: scalars are as they are, and what lies deeper is looked at for its form and
/// comes back empty.
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

/// Reads the rest of an array for its form.
pub(super) fn skip_items<'de, A: SeqAccess<'de>>(mut sequence: A) -> Result<(), A::Error> {
    while sequence.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// The arguments of a call: the scalars of an object, where objects and arrays are there as empty ones; and the names of
/// those that no rule could read: half a surrogate pair in a text, a number that is out of range.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Arguments {
    pub(super) known: Option<Map<String, Value>>,
    pub(super) unreadable: Vec<String>,
}

/// Reads arguments: nothing where they are no object.
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

/// A member of an object, where it is an object itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// It is not there.
    Absent,
    /// It is `null`, and begins there.
    Null(usize),
    /// It begins there, and has so many bytes.
    Object(usize, usize),
    /// It begins there, and has no members.
    Empty(usize),
}

/// Finds the member `name` of `object`; nothing where it is something else.
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

/// The members of `object` as they stand there, but for those of one name.
#[must_use]
pub fn members_but(object: &[u8], name: &str) -> Option<Vec<String>> {
    let members: BTreeMap<String, &RawValue> =
        BTreeMap::deserialize(&mut serde_json::Deserializer::from_slice(object)).ok()?;
    let kept = members.into_iter().filter(|(other, _)| other != name);
    kept.map(|(other, raw)| Some(format!("{}:{}", serde_json::to_string(&other).ok()?, raw.get()))).collect()
}
