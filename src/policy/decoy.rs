//! How what is hidden is kept from being told apart from what is not there.
//!
//! Where rules let names that nobody has heard of through (an allow for `*`, or for `drop_*`), the origin server answers for
//! those. A refusal of the gate's own would then give a hidden name away. So the origin server is asked for a name that
//! surely does not exist, which the rules do allow, and its answer is given with the name that was asked for. The name
//! that stands in holds the other, so that it is put back wherever the answer comes from: an old-era answer may come over
//! another stream, of another isolate.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

use base16ct::lower::encode_string as hex;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::mcp::kind::Kind;
use crate::mcp::operation::{MARK, Operation};
use crate::policy::pattern::{Pattern, fold};
use crate::strict_json;

const MARK_END: char = '-';

/// A name or method in place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoy {
    /// What was asked for.
    hidden: String,
    /// What stands in for it.
    pub name: String,
    /// It is a method.
    pub is_method: bool,
    /// The message of a batch that it is for.
    pub at: usize,
}

impl Decoy {
    /// What may stand in for what an operation names, such that it fits one of `patterns`, as the name itself does: the first
    /// that the rules let through does. A URI keeps its form, since servers answer otherwise for what is none: the value of the
    /// last variable of a template is replaced, or the last segment, or the scheme. Nothing where only one name fits.
    #[must_use]
    pub fn candidates(operation: &Operation, patterns: &[Option<&Pattern>], templates: &[String]) -> Vec<Self> {
        let Some((kind, hidden)) = &operation.target else { return Self::of_method(operation, patterns) };
        let mut all = Vec::new();
        if *kind == Kind::Resource {
            let values = templates.iter().filter_map(|template| last_value(template, hidden));
            all.extend(values.map(|value| Self::of(hidden, value, false)));
            let segments = segments(hidden);
            // The last, and where all that is beside it is denied too, more.
            all.extend(segments.iter().rev().take(SEGMENTS).map(|from| Self::of(hidden, *from..hidden.len(), false)));
            all.extend(segments.first().map(|from| Self::of(hidden, *from..hidden.len(), false)));
            all.extend(hidden.find(':').map(|end| Self::of(hidden, 0..end, false)));
            all.extend(patterns.iter().filter_map(|pattern| Self::within(hidden, *pattern, true, false)));
        }
        all.extend(patterns.iter().filter_map(|pattern| Self::within(hidden, *pattern, false, false)));
        all
    }

    /// What may stand in for the method of an operation. What opens a stream or ends a session has none.
    #[must_use]
    pub fn of_method(operation: &Operation, patterns: &[Option<&Pattern>]) -> Vec<Self> {
        let hidden = Some(&operation.method).filter(|method| !method.is_empty()).into_iter();
        hidden.flat_map(|hidden| patterns.iter().filter_map(|it| Self::within(hidden, *it, false, true))).collect()
    }

    /// A name with a mark in place of a part of it.
    fn of(hidden: &str, part: Range<usize>, is_method: bool) -> Self {
        let text = |range: Range<usize>| hidden.get(range).unwrap_or_default();
        let (before, inside, after) = (text(0..part.start), text(part.clone()), text(part.end..hidden.len()));
        let name = format!("{before}{MARK}{}{MARK_END}{after}", hex(inside.as_bytes()));
        Self { hidden: hidden.to_owned(), name, is_method, at: 0 }
    }

    /// A name with a mark in place of what the first `*` of a pattern stands for, where all later ones may stand for as little
    /// as they can; or in place of the last segment of that.
    fn within(hidden: &str, pattern: Option<&Pattern>, segment: bool, is_method: bool) -> Option<Self> {
        let text = pattern.map_or("*", Pattern::as_str);
        let (before, after) = text.split_once('*')?;
        let after = Pattern::parse(after).ok();
        let strictly = || {
            let rest = hidden.strip_prefix(before)?;
            let fits = |tail: &str| after.as_ref().map_or(tail.is_empty(), |after| after.matches(tail));
            Some((rest, (0..=rest.len()).find(|&end| rest.get(end..).is_some_and(fits))?))
        };
        // What asks for a step-up fits names in any case.
        let loosely = || {
            let split = hidden.split_at_checked(before.len());
            let (_, rest) = split.filter(|(head, _)| fold(head) == fold(before))?;
            let fits = |tail: &str| after.as_ref().map_or(tail.is_empty(), |after| after.matches_folded(tail));
            // Folded once, and where each character of the name begins in that.
            let mut folded = String::with_capacity(rest.len());
            let mut begins = Vec::with_capacity(rest.len() + 1);
            for (at, character) in rest.char_indices() {
                begins.push((at, folded.len()));
                folded.push_str(&fold(character.encode_utf8(&mut [0; 4])));
            }
            begins.push((rest.len(), folded.len()));
            let (end, _) = begins.into_iter().find(|(_, from)| folded.get(*from..).is_some_and(fits))?;
            Some((rest, end))
        };
        let (rest, end) = strictly().or_else(loosely)?;
        let from = if segment { last_segment(rest.get(..end)?) } else { 0 };
        Some(Self::of(hidden, before.len() + from..before.len() + end, is_method))
    }

    /// A body that was read, with each of `decoys` in place of what it stands in for. Nothing where one of them would stand in
    /// for nothing: then what is hidden would go on.
    #[must_use]
    pub fn message(decoys: &[Self], body: &[u8]) -> Option<Vec<u8>> {
        let body = std::str::from_utf8(body).ok()?;
        if body.trim_start().starts_with('[') {
            let messages: Vec<&RawValue> = strict_json::part(body)?;
            let messages = messages.into_iter().enumerate().map(|(at, raw)| StandIns::of(decoys, at).message(raw));
            serde_json::to_vec(&messages.collect::<Option<Vec<_>>>()?).ok()
        } else {
            serde_json::to_vec(&StandIns::of(decoys, 0).message(strict_json::part(body)?)?).ok()
        }
    }
}

/// Segments from the end of a URI that are tried one after another.
const SEGMENTS: usize = 8;

/// Where the segments of a URI begin, the authority among them and the scheme not.
fn segments(uri: &str) -> Vec<usize> {
    let bytes = uri.as_bytes();
    let ends = bytes.iter().enumerate().filter(|(_, byte)| matches!(byte, b'/' | b':'));
    ends.map(|(at, _)| at + 1).filter(|at| bytes.get(*at) != Some(&b'/')).collect()
}

/// Where the last segment of a URI, or of what is none, begins.
fn last_segment(uri: &str) -> usize {
    segments(uri).last().copied().unwrap_or_default()
}

/// Where the value of a template's last variable is in a URI of that template (RFC 6570, levels 1 and 2).
fn last_value(template: &str, uri: &str) -> Option<Range<usize>> {
    let (mut at, mut rest, mut found) = (0, template, None);
    while let Some((literal, after)) = rest.split_once('{') {
        at += uri.get(at..)?.strip_prefix(literal).map(|_| literal.len())?;
        let (variable, after) = after.split_once('}')?;
        // These name parameters of a query, which may be left out.
        if variable.starts_with(['?', '&', '#']) {
            return None;
        }
        let value = uri.get(at..)?;
        let until = after.split('{').next().unwrap_or_default();
        let length = if until.is_empty() { value.len() } else { value.find(until)? };
        let value = value.get(..length)?;
        if value.is_empty() || (value.contains('/') && !variable.starts_with('+')) {
            return None;
        }
        found = Some(at..at + length);
        (at, rest) = (at + length, after);
    }
    (uri.get(at..)? == rest).then_some(found).flatten()
}

/// The members of an object; the values as they stand there.
type Members = BTreeMap<String, Box<RawValue>>;

/// What stands in within one message, and whether each did.
struct StandIns<'a>(Vec<(&'a Decoy, Cell<bool>)>);

impl<'a> StandIns<'a> {
    fn of(decoys: &'a [Decoy], at: usize) -> Self {
        Self(decoys.iter().filter(|decoy| decoy.at == at).map(|decoy| (decoy, Cell::new(false))).collect())
    }

    fn message(&self, message: &RawValue) -> Option<Members> {
        let mut message: Members = strict_json::part(message.get())?;
        self.replace(true, &mut message, "method");
        within(&mut message, "params", |params| {
            self.replace(false, params, "name");
            self.replace(false, params, "uri");
            within(params, "ref", |reference| {
                self.replace(false, reference, "name");
                self.replace(false, reference, "uri");
            });
            within(params, "notifications", |notifications| {
                let Some(uris) = notifications.get_mut("resourceSubscriptions") else { return };
                let Some(texts) = strict_json::part::<Vec<String>>(uris.get()) else { return };
                let replaced: Vec<&str> =
                    texts.iter().map(|text| self.found(false, text).unwrap_or(text.as_str())).collect();
                if let Ok(raw) = serde_json::value::to_raw_value(&replaced) {
                    *uris = raw;
                }
            });
        });
        self.0.iter().all(|(_, used)| used.get()).then_some(message)
    }

    fn replace(&self, is_method: bool, members: &mut Members, name: &str) {
        let Some(raw) = members.get_mut(name) else { return };
        let Some(text) = strict_json::part::<String>(raw.get()) else { return };
        if let Some(instead) = self.found(is_method, &text)
            && let Ok(changed) = serde_json::value::to_raw_value(instead)
        {
            *raw = changed;
        }
    }

    fn found(&self, is_method: bool, text: &str) -> Option<&'a str> {
        let mut all = self.0.iter().filter(|(decoy, _)| decoy.is_method == is_method && decoy.hidden == text);
        let (decoy, used) = all.next()?;
        used.set(true);
        all.for_each(|(_, used)| used.set(true));
        Some(&decoy.name)
    }
}

/// Changes the members of a member that is an object.
fn within(members: &mut Members, name: &str, change: impl FnOnce(&mut Members)) {
    let Some(raw) = members.get_mut(name) else { return };
    let Some(mut inner) = strict_json::part::<Members>(raw.get()) else { return };
    change(&mut inner);
    if let Ok(changed) = serde_json::value::to_raw_value(&inner) {
        *raw = changed;
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
