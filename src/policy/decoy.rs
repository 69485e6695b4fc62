//! How what is hidden is kept from being told apart from what is not there.
//!
//! Where rules let names that nobody has heard of through (an allow for `*`, or for `drop_*`), the origin server answers for
//! those. A refusal of the gate's own would then give a hidden name away. So the origin server is asked for a name that
//! surely does not exist, which the rules do allow, and its answer is given with the name that was asked for. The name
//! that stands in holds the other, so that it is put back wherever the answer comes from: an old-era answer may come over
//! another stream, of another isolate.

use base16ct::lower::encode_string as hex;
use serde_json::Value;

use crate::policy::operation::Operation;
use crate::policy::pattern::Pattern;
use crate::strict_json;

/// Around what stands in for a part of a name. No tool is called so.
const MARK: &str = "portcullis-hidden-";
const MARK_END: char = '-';

/// A name in place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoy {
    /// The name that was asked for.
    hidden: String,
    /// The one that stands in for it.
    pub name: String,
}

impl Decoy {
    /// What stands in for the name of an operation, such that it fits `pattern`, as the name itself does; nothing where
    /// only one name fits.
    #[must_use]
    pub fn of(operation: &Operation, pattern: Option<&Pattern>) -> Option<Self> {
        let hidden = operation.name()?;
        let text = pattern.map_or("*", Pattern::as_str);
        let (before, after) = text.split_once('*')?;
        // What the first `*` stands for, where all later ones may stand for as little as they can.
        let rest = hidden.strip_prefix(before)?;
        let end = (0..=rest.len()).find(|&end| {
            rest.is_char_boundary(end)
                && rest
                    .get(end..)
                    .is_some_and(|tail| Pattern::parse(after).map_or(tail.is_empty(), |it| it.matches(tail)))
        })?;
        let (inside, tail) = rest.split_at_checked(end)?;
        Some(Self {
            hidden: hidden.to_owned(),
            name: format!("{before}{MARK}{}{MARK_END}{tail}", hex(inside.as_bytes())),
        })
    }

    /// A body that is known to be strict, with each of `decoys` in place of what it stands in for.
    #[must_use]
    pub fn message(decoys: &[Self], body: &[u8]) -> Option<Vec<u8>> {
        let mut body = strict_json::parse(body).ok()?;
        match &mut body {
            Value::Array(messages) => messages.iter_mut().for_each(|message| stand_in(decoys, message)),
            message => stand_in(decoys, message),
        }
        serde_json::to_vec(&body).ok()
    }
}

fn stand_in(decoys: &[Decoy], message: &mut Value) {
    let Some(params) = message.get_mut("params") else { return };
    let places = ["/name", "/uri", "/ref/name", "/ref/uri"];
    for place in places {
        replace(decoys, params.pointer_mut(place));
    }
    let uris = params.pointer_mut("/notifications/resourceSubscriptions").and_then(Value::as_array_mut);
    for uri in uris.into_iter().flatten() {
        replace(decoys, Some(uri));
    }
}

fn replace(decoys: &[Decoy], value: Option<&mut Value>) {
    let Some(value) = value else { return };
    if let Some(decoy) = decoys.iter().find(|decoy| value.as_str() == Some(&decoy.hidden)) {
        *value = Value::from(decoy.name.as_str());
    }
}

/// Puts names that were asked for back into an answer, in whatever pieces it comes.
#[derive(Debug, Default)]
pub struct Restore {
    /// The beginning of a mark, or a mark and what is in it.
    held: Vec<u8>,
}

impl Restore {
    /// Takes bytes and writes what may go on.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            self.byte(byte, out);
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        let mark = MARK.as_bytes();
        if self.held.len() < mark.len() {
            if mark.get(self.held.len()) == Some(&byte) {
                self.held.push(byte);
                return;
            }
            out.append(&mut self.held);
            // No letter of the mark but its first begins it.
            let into = if mark.first() == Some(&byte) { &mut self.held } else { out };
            into.push(byte);
            return;
        }
        match byte {
            b'0'..=b'9' | b'a'..=b'f' if self.held.len() < 32 * 1024 => self.held.push(byte),
            b'-' => {
                let name = self.held.get(mark.len()..).and_then(decoded);
                if let Some(name) = name {
                    out.extend_from_slice(inside_quotes(&name).as_bytes());
                } else {
                    out.append(&mut self.held);
                    out.push(byte);
                }
                self.held.clear();
            }
            _ => {
                out.append(&mut self.held);
                self.byte(byte, out);
            }
        }
    }

    /// Writes what is left.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }
}

fn decoded(hex: &[u8]) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = hex.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

/// A text as it stands inside a JSON string.
fn inside_quotes(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}
