//! Stand-ins for hidden names, so that a caller cannot tell a hidden name from one that does not exist.
//!
//! If rules permit unknown names (an `allow` for `*`, or for `drop_*`), the origin server answers requests for unknown
//! names. If the gateway itself refused a hidden name, the difference would disclose that name. Therefore the gateway
//! sends the origin server a name that does not exist and that the rules permit, and restores the requested name in the
//! answer. The stand-in contains the requested name, so every isolate can restore it: in the legacy era, an answer may
//! come over another stream, from another isolate.

use std::ops::Range;

use std::rc::Rc;

use base16ct::lower::encode_string as hex;
use serde_json::Value;

use crate::mcp::kind::Kind;
use crate::mcp::operation::{Operation, STAND_IN_MARK};
use crate::mcp::rewrite::Member;
use crate::policy::pattern::{Pattern, fold};
use crate::policy::server_names::ServerNames;

const MARK_END: char = '-';

/// A stand-in for a name or a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoy {
    /// The requested name or method.
    hidden: String,
    /// The stand-in.
    pub name: String,
    /// Whether it stands in for a method.
    pub is_method: bool,
    /// The index of its message in the batch.
    pub at: usize,
}

impl Decoy {
    /// Candidates for the stand-in of what an operation names; `patterns` are those that match the name.
    /// [`Policy::decoy`](crate::policy::decide::Policy::decoy) uses the first candidate that the rules permit. A URI
    /// keeps its form, because servers answer differently if a text is not a URI: the gateway replaces the value of the
    /// last variable of a template, or the last segments, or the scheme. A tool or prompt has no candidate if only one
    /// name matches.
    #[must_use]
    pub fn candidates(operation: &Operation, patterns: &[Option<&Pattern>], templates: &[String]) -> Vec<Self> {
        let Some((kind, hidden)) = &operation.target else { return Self::of_method(operation, patterns) };
        let mut all = Vec::new();
        if *kind == Kind::Resource {
            let values = templates.iter().filter_map(|template| last_value(template, hidden));
            all.extend(values.map(|value| Self::of(hidden, value, false)));
            let segments = segments(hidden);
            // Replaces the last segment and, if the rules deny every sibling too, more segments.
            all.extend(segments.iter().rev().take(SEGMENTS).map(|from| Self::of(hidden, *from..hidden.len(), false)));
            all.extend(segments.first().map(|from| Self::of(hidden, *from..hidden.len(), false)));
            all.extend(hidden.find(':').map(|end| Self::of(hidden, 0..end, false)));
            all.extend(patterns.iter().filter_map(|pattern| Self::within(hidden, *pattern, true, false)));
        }
        all.extend(patterns.iter().filter_map(|pattern| Self::within(hidden, *pattern, false, false)));
        all
    }

    /// Candidates for the stand-in of the method of an operation. A request that opens a stream or ends a session has
    /// none.
    #[must_use]
    pub fn of_method(operation: &Operation, patterns: &[Option<&Pattern>]) -> Vec<Self> {
        let hidden = Some(&operation.method).filter(|method| !method.is_empty()).into_iter();
        hidden.flat_map(|hidden| patterns.iter().filter_map(|it| Self::within(hidden, *it, false, true))).collect()
    }

    /// A name in which a mark replaces a part; the mark contains that part.
    fn of(hidden: &str, part: Range<usize>, is_method: bool) -> Self {
        let text = |range: Range<usize>| hidden.get(range).unwrap_or_default();
        let (before, inside, after) = (text(0..part.start), text(part.clone()), text(part.end..hidden.len()));
        let name = format!("{before}{}{after}", marked(inside));
        Self { hidden: hidden.to_owned(), name, is_method, at: 0 }
    }

    /// A name in which a mark replaces the text that the first `*` of a pattern matches, which is as short as possible.
    /// With `segment`, the mark replaces only the last segment of that text.
    fn within(hidden: &str, pattern: Option<&Pattern>, segment: bool, is_method: bool) -> Option<Self> {
        let text = pattern.map_or("*", Pattern::as_str);
        let (before, after) = text.split_once('*')?;
        let after = Pattern::parse(after).ok();
        let strictly = || {
            let rest = hidden.strip_prefix(before)?;
            let fits = |tail: &str| after.as_ref().map_or(tail.is_empty(), |after| after.matches(tail));
            Some((rest, (0..=rest.len()).find(|&end| rest.get(end..).is_some_and(fits))?))
        };
        // A `step_up` rule matches names in any letter case.
        let loosely = || {
            let split = hidden.split_at_checked(before.len());
            let (_, rest) = split.filter(|(head, _)| fold(head) == fold(before))?;
            let fits = |tail: &str| after.as_ref().map_or(tail.is_empty(), |after| after.matches_folded(tail));
            // The name is folded once. `begins` says where each character of the name begins in the folded text.
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

    /// The decoy among `decoys` that replaces a member of the message with this index, and its index.
    #[must_use]
    pub fn replacing<'a>(decoys: &'a [Self], at: usize, member: Member, text: &str) -> Vec<(usize, &'a Self)> {
        let is_here = |decoy: &Self| match member {
            Member::Method => decoy.is_method,
            Member::Name | Member::Uri => !decoy.is_method,
            Member::Task | Member::State | Member::RelatedTask | Member::Cursor => false,
        };
        let fits = |decoy: &Self| decoy.at == at && is_here(decoy) && decoy.hidden == text;
        decoys.iter().enumerate().filter(|(_, decoy)| fits(decoy)).collect()
    }
}

/// A mark that contains a text.
#[must_use]
pub fn marked(text: &str) -> String {
    format!("{STAND_IN_MARK}{}{MARK_END}", hex(text.as_bytes()))
}

/// Number of segments, counted from the end of a URI, at which the replaced part may begin.
const SEGMENTS: usize = 8;

/// Where the segments of a URI begin. The authority counts as a segment, the scheme does not.
fn segments(uri: &str) -> Vec<usize> {
    let bytes = uri.as_bytes();
    let ends = bytes.iter().enumerate().filter(|(_, byte)| matches!(byte, b'/' | b':'));
    ends.map(|(at, _)| at + 1).filter(|at| bytes.get(*at) != Some(&b'/')).collect()
}

/// Where the last segment of a URI, or of a text that is not a URI, begins.
fn last_segment(uri: &str) -> usize {
    segments(uri).last().copied().unwrap_or_default()
}

/// Where the value of a template's last variable is in a URI of that template (RFC 6570, levels 1 and 2).
fn last_value(template: &str, uri: &str) -> Option<Range<usize>> {
    let (mut at, mut rest, mut found) = (0, template, None);
    while let Some((literal, after)) = rest.split_once('{') {
        at += uri.get(at..)?.strip_prefix(literal).map(|_| literal.len())?;
        let (variable, after) = after.split_once('}')?;
        // These are for a query or a fragment, whose values may be missing.
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

/// Restores the requested names in an answer, whatever chunks it arrives in.
#[derive(Debug, Default)]
pub struct NameRestorer {
    /// The names of the server that answers, if the resource has several: it knows its items by its own names.
    names: Option<Rc<ServerNames>>,
    /// The beginning of a mark, or a mark and the digits after it.
    held: Vec<u8>,
}

impl NameRestorer {
    /// A restorer for the answer of one of several servers, or of the only one.
    #[must_use]
    pub fn of(names: Option<Rc<ServerNames>>) -> Self {
        Self { names, held: Vec::new() }
    }

    /// The name as the server would write it.
    fn own(&self, name: String) -> String {
        let Some(names) = &self.names else { return name };
        let kinds = [Kind::Tool, Kind::Resource];
        kinds.into_iter().find_map(|kind| names.original(kind, &name)).unwrap_or(name)
    }

    /// Takes bytes, and writes those that may be sent.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            self.byte(byte, out);
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        let mark = STAND_IN_MARK.as_bytes();
        if self.held.len() < mark.len() {
            if mark.get(self.held.len()) == Some(&byte) {
                self.held.push(byte);
                return;
            }
            out.append(&mut self.held);
            // Only the first letter of the mark can begin a mark, and it does not occur again in it.
            let into = if mark.first() == Some(&byte) { &mut self.held } else { out };
            into.push(byte);
            return;
        }
        match byte {
            b'0'..=b'9' | b'a'..=b'f' if self.held.len() < 32 * 1024 => self.held.push(byte),
            b'-' => {
                let name = self.held.get(mark.len()..).and_then(decoded);
                if let Some(name) = name.map(|name| self.own(name)) {
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

    /// Writes what is still held.
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

/// A text as it appears inside a JSON string.
fn inside_quotes(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}
