//! Lists, filtered as they stream by: of a JSON-RPC response whose result is a list of tools, prompts, resources or
//! resource templates, the items that a judge drops are left out. One item at a time is held; everything else passes as it
//! is, but for white space between its parts.

use crate::mcp::method::lists;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::limits::{LIST_BYTES, LIST_DEPTH, LIST_ITEM_BYTES};
use crate::mcp::kind::Kind;
use crate::mcp::known_items::{Following, KnownItems};
use crate::mcp::members::{Member, members_but, object_member};
use crate::mcp::outline::certain_text;
use crate::strict_json::fold;

/// What becomes of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemDecision {
    /// It stays.
    Keep,
    /// It goes.
    Drop,
    /// It stays, with this member of its `_meta`: a name and its value in JSON.
    Mark(&'static str, String),
}

/// Decides about items.
pub trait ItemPolicy {
    /// The fate of the item of that name or URI.
    fn judge(&mut self, kind: Kind, name: &str) -> ItemDecision;

    /// The member of `_meta` with which it marks items, where it does.
    fn mark(&self) -> Option<&'static str> {
        None
    }

    /// Whether the list so far could have been another for another caller; `paged` where it is one page of several.
    fn depends_on_caller(&self, kind: Kind, paged: bool) -> bool;
}

/// Why a list cannot be filtered: it is not what a list is, and nothing more of it is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListError {
    /// It is not JSON, or ended too early.
    NotJson,
    /// A member that decides is there twice.
    Repeated,
    /// It, or an item of it, is too large.
    TooLarge,
    /// What is at the place of a list is no array.
    NotList,
    /// It comes in a content coding that the platform does not decode (RFC 9110 §8.4).
    Coded,
    /// It comes in another charset than UTF-8, which some clients decode.
    Charset,
    /// It calls itself something that some clients take for an event stream.
    MediaType,
    /// An `endpoint` event of the transport of 2024-11-05 leads to another server.
    Endpoint,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "not JSON, or cut short",
            Self::Repeated => "a member is repeated",
            Self::TooLarge => "too large",
            Self::NotList => "what is at the place of a list is no array",
            Self::Coded => "it has a content coding that is not decoded here",
            Self::Charset => "an event stream in another charset than UTF-8",
            Self::MediaType => "a media type that only begins like text/event-stream",
            Self::Endpoint => "an endpoint event that leads to another server",
        })
    }
}

/// Changes to a response besides its items.
#[derive(Debug, Clone, Copy, Default)]
pub struct Edits {
    /// The request asked for a later page.
    pub paged: bool,
    /// `id` and `ttlMs` are left out, for readers who each get their own: [`ListFilter::holes`].
    pub reusable: bool,
}

/// A member that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hole {
    /// `id`.
    Id,
    /// `ttlMs`.
    Ttl,
}

/// The containers on the way to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Batch,
    Message,
    Result,
    List(Kind, &'static str),
}

/// What may come next in the innermost of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A first member or item, or the end.
    FirstOrEnd,
    /// A member or item.
    Another,
    /// The colon after a name.
    Colon,
    /// The value of a member.
    Value,
    /// A comma, or the end.
    CommaOrEnd,
}

#[derive(Debug)]
struct Level {
    place: Place,
    next: Next,
    /// Something was written into it.
    written: bool,
    /// Members that decide, seen so far.
    seen: Vec<&'static str>,
}

/// What becomes of the value that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It passes.
    Pass,
    /// It is a member's name.
    Name,
    /// It is an item.
    Item,
    /// It is `cacheScope`, written at the end of the result.
    CacheScope,
    /// It is left out.
    Leave,
}

/// A value that is being read: where its end is follows from brackets and quotes alone.
#[derive(Debug)]
struct Reading {
    used: Use,
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// A number or a word, which ends where something else begins.
    bare: bool,
}

/// Filters one response, or one batch of them.
pub struct ListFilter<J> {
    judge: J,
    edits: Edits,
    levels: Vec<Level>,
    reading: Option<Reading>,
    /// What is held of the value that is being read.
    held: Vec<u8>,
    name: String,
    cache_scope: Option<Vec<u8>>,
    more_pages: bool,
    kind: Option<Kind>,
    begun: bool,
    size: usize,
    holes: Vec<(usize, Hole)>,
    /// The resource, and what is known of its lists.
    memory: Option<(usize, Rc<RefCell<KnownItems>>)>,
    following: Option<Following>,
    /// Items that were left out because their names cannot be read for certain.
    unreadable: usize,
}

impl<J: ItemPolicy> ListFilter<J> {
    /// A filter at the beginning of a response.
    pub fn new(judge: J, edits: Edits) -> Self {
        Self {
            judge,
            edits,
            levels: Vec::new(),
            reading: None,
            held: Vec::new(),
            name: String::new(),
            cache_scope: None,
            more_pages: false,
            kind: None,
            begun: false,
            size: 0,
            holes: Vec::new(),
            memory: None,
            following: None,
            unreadable: 0,
        }
    }

    /// The same, for a resource of that index, with what is known of the items of lists.
    #[must_use]
    pub fn with_memory(self, resource: usize, memory: Rc<RefCell<KnownItems>>) -> Self {
        Self { memory: Some((resource, memory)), ..self }
    }

    /// What was left out, and how many bytes into what was written, where all was written in one piece.
    #[must_use]
    pub fn holes(&self) -> &[(usize, Hole)] {
        &self.holes
    }

    /// The judge, who knows now.
    pub fn judge(&self) -> &J {
        &self.judge
    }

    /// How many items were left out because their names cannot be read for certain.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// A filter for the next response, with the same judge.
    #[must_use]
    pub fn again(self) -> Self {
        Self { unreadable: self.unreadable, ..Self::new(self.judge, self.edits) }
    }

    /// Takes bytes and writes what may go on.
    ///
    /// # Errors
    /// [`ListError`]: then nothing more may go on.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ListError> {
        self.size += bytes.len();
        if self.size > LIST_BYTES {
            return Err(ListError::TooLarge);
        }
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            if let Some(after) = self.foreseen(rest, out) {
                rest = after;
                continue;
            }
            let (plain, after) = rest.split_at(self.plain(rest));
            if plain.is_empty() {
                self.byte(byte, out)?;
                rest = rest.get(1..).unwrap_or_default();
            } else {
                self.keep(plain, out)?;
                rest = after;
            }
        }
        Ok(())
    }

    /// What comes after an item that is known, where these bytes begin with the one that is due.
    fn foreseen<'a>(&mut self, bytes: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
        let (None, Some(following), Some(level)) = (&self.reading, &mut self.following, self.levels.last_mut()) else {
            return None;
        };
        let (Place::List(kind, _), Next::FirstOrEnd | Next::Another) = (level.place, level.next) else {
            return None;
        };
        let item = following.foresee(bytes)?;
        level.next = Next::CommaOrEnd;
        self.pass_on(kind, item.name(), item.bytes(), out);
        bytes.get(item.bytes().len()..)
    }

    /// How many of these bytes are in the middle of a value, and begin and end nothing in it.
    fn plain(&self, bytes: &[u8]) -> usize {
        let end = match &self.reading {
            Some(Reading { bare: false, escaped: false, in_text: true, .. }) => {
                bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
            }
            Some(Reading { bare: false, in_text: false, .. }) => {
                bytes.iter().position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']' | 0..=0x1f | 0x7f..))
            }
            _ => return 0,
        };
        end.unwrap_or(bytes.len())
    }

    /// Holds the response to be complete.
    ///
    /// # Errors
    /// [`ListError::NotJson`] where it is not.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ListError> {
        if self.reading.as_ref().is_some_and(|reading| reading.bare) {
            self.value_ended(out)?;
        }
        if self.begun && self.levels.is_empty() && self.reading.is_none() { Ok(()) } else { Err(ListError::NotJson) }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), ListError> {
        if let Some(reading) = &mut self.reading {
            if !(reading.bare && matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r')) {
                return self.within_value(byte, out);
            }
            self.value_ended(out)?;
        }
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return Ok(());
        }
        let Some(level) = self.levels.last_mut() else {
            if self.begun {
                return Err(ListError::NotJson);
            }
            self.begun = true;
            match byte {
                b'{' => self.enter(Place::Message, byte, out),
                b'[' => self.enter(Place::Batch, byte, out),
                _ => return Err(ListError::NotJson),
            }
            return Ok(());
        };
        let object = matches!(level.place, Place::Message | Place::Result);
        match (level.next, byte) {
            (Next::FirstOrEnd | Next::CommaOrEnd, b'}') if object => {
                self.leave(byte, out);
                Ok(())
            }
            (Next::FirstOrEnd | Next::CommaOrEnd, b']') if !object => {
                self.leave(byte, out);
                Ok(())
            }
            (Next::CommaOrEnd, b',') => {
                level.next = Next::Another;
                Ok(())
            }
            (Next::FirstOrEnd | Next::Another, b'"') if object => self.read(Use::Name, byte, out),
            (Next::Colon, b':') => {
                level.next = Next::Value;
                Ok(())
            }
            (Next::FirstOrEnd | Next::Another, _) if !object => self.item(byte, out),
            (Next::Value, _) => self.member(byte, out),
            _ => Err(ListError::NotJson),
        }
    }

    /// An element of an array on the way begins.
    fn item(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), ListError> {
        if let Some(Place::List(..)) = self.levels.last().map(|level| level.place) {
            return self.read(Use::Item, byte, out);
        }
        self.comma(out);
        if byte == b'{' {
            self.enter(Place::Message, byte, out);
            return Ok(());
        }
        self.read(Use::Pass, byte, out)
    }

    /// The value of the member `self.name` begins.
    fn member(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), ListError> {
        let Some(level) = self.levels.last_mut() else { return Err(ListError::NotJson) };
        let known: Vec<&'static str> = match level.place {
            Place::Message => vec!["result", "id"],
            _ => lists().map(|list| list.member).chain(["cacheScope", "ttlMs", "nextCursor"]).collect(),
        };
        let place = level.place;
        let in_other_letters = |known: &&'static str| **known != *self.name && fold(known) == fold(&self.name);
        if known.iter().any(in_other_letters) {
            return Err(ListError::Repeated);
        }
        let known = known.into_iter().find(|known| **known == self.name);
        if let Some(known) = known {
            if level.seen.contains(&known) {
                return Err(ListError::Repeated);
            }
            level.seen.push(known);
        }
        let list = lists().find(|list| known == Some(list.member)).map(|list| (list.kind, list.key));
        if known == Some("cacheScope") {
            return self.read(Use::CacheScope, byte, out);
        }
        self.comma(out);
        out.extend_from_slice(&quoted(&self.name));
        out.push(b':');
        match (place, known, list, byte) {
            (Place::Message, Some("result"), _, b'{') => {
                self.enter(Place::Result, byte, out);
                Ok(())
            }
            (Place::Message, Some("id"), ..) if self.edits.reusable => {
                self.holes.push((out.len(), Hole::Id));
                self.read(Use::Leave, byte, out)
            }
            (Place::Result, Some("ttlMs"), ..) if self.edits.reusable => {
                self.holes.push((out.len(), Hole::Ttl));
                self.read(Use::Leave, byte, out)
            }
            (Place::Result, _, Some((kind, key)), b'[') => {
                self.kind = Some(kind);
                let memory = self.memory.clone().zip(known);
                self.following = memory.map(|((resource, memory), list)| Following::begin(memory, (resource, list)));
                self.enter(Place::List(kind, key), byte, out);
                Ok(())
            }
            // Some reader might find things in it that were not judged.
            (Place::Result, _, Some(_), _) => Err(ListError::NotList),
            _ => {
                self.more_pages |= known == Some("nextCursor");
                self.read(Use::Pass, byte, out)
            }
        }
    }

    fn comma(&mut self, out: &mut Vec<u8>) {
        if let Some(level) = self.levels.last_mut() {
            if level.written {
                out.push(b',');
            }
            level.written = true;
        }
    }

    fn enter(&mut self, place: Place, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        self.levels.push(Level { place, next: Next::FirstOrEnd, written: false, seen: Vec::new() });
    }

    fn leave(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.levels.last().is_some_and(|level| level.place == Place::Result) {
            if let Some(scope) = self.cache_scope.take() {
                let paged = self.edits.paged || self.more_pages;
                let private = self.kind.is_some_and(|kind| self.judge.depends_on_caller(kind, paged));
                self.comma(out);
                out.extend_from_slice(b"\"cacheScope\":");
                out.extend_from_slice(if private { b"\"private\"" } else { &scope });
            }
            (self.kind, self.more_pages) = (None, false);
        }
        out.push(byte);
        if let Some(Place::List(..)) = self.levels.pop().map(|level| level.place)
            && let Some(following) = self.following.take()
        {
            following.end();
        }
        if let Some(level) = self.levels.last_mut() {
            level.next = Next::CommaOrEnd;
        }
    }

    fn read(&mut self, used: Use, byte: u8, out: &mut Vec<u8>) -> Result<(), ListError> {
        if matches!(byte, b',' | b':' | b']' | b'}') {
            return Err(ListError::NotJson);
        }
        self.held.clear();
        let bare = !matches!(byte, b'{' | b'[' | b'"');
        self.reading = Some(Reading { used, depth: 0, in_text: false, escaped: false, bare });
        self.within_value(byte, out)
    }

    fn within_value(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), ListError> {
        let Some(reading) = &mut self.reading else { return Err(ListError::NotJson) };
        let mut ended = false;
        let mut byte = byte;
        if reading.in_text {
            match byte {
                _ if reading.escaped => reading.escaped = false,
                b'\\' => reading.escaped = true,
                b'"' => {
                    reading.in_text = false;
                    ended = reading.depth == 0;
                }
                0..=0x1f => return Err(ListError::NotJson),
                _ => {}
            }
        } else {
            match byte {
                b'"' if reading.bare => return Err(ListError::NotJson),
                b'"' => reading.in_text = true,
                b'{' | b'[' if !reading.bare => {
                    reading.depth += 1;
                    if reading.depth > LIST_DEPTH {
                        return Err(ListError::NotJson);
                    }
                }
                b'}' | b']' if !reading.bare => {
                    reading.depth -= 1;
                    ended = reading.depth == 0;
                }
                // A line's end inside an event's data would end the line.
                b'\n' | b'\r' | b'\t' => byte = b' ',
                0..=0x1f | 0x7f.. => return Err(ListError::NotJson),
                _ => {}
            }
        }
        self.keep(&[byte], out)?;
        if ended { self.value_ended(out) } else { Ok(()) }
    }

    /// Takes bytes of the value that is being read.
    fn keep(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ListError> {
        let Some(reading) = &self.reading else { return Err(ListError::NotJson) };
        match reading.used {
            Use::Pass if !reading.bare => out.extend_from_slice(bytes),
            Use::Leave if !reading.bare => {}
            // Words and numbers are held until it is known that they are such.
            Use::Pass | Use::Leave | Use::Name | Use::Item | Use::CacheScope => {
                if self.held.len() + bytes.len() > LIST_ITEM_BYTES {
                    return Err(ListError::TooLarge);
                }
                self.held.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn value_ended(&mut self, out: &mut Vec<u8>) -> Result<(), ListError> {
        let Some(reading) = self.reading.take() else { return Err(ListError::NotJson) };
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        level.next = Next::CommaOrEnd;
        match reading.used {
            Use::Pass | Use::Leave if reading.bare => {
                crate::strict_json::parse(&self.held).map_err(|_| ListError::NotJson)?;
                if reading.used == Use::Pass {
                    out.extend_from_slice(&self.held);
                }
            }
            Use::Pass | Use::Leave => {}
            Use::CacheScope => {
                crate::strict_json::parse(&self.held).map_err(|_| ListError::NotJson)?;
                self.cache_scope = Some(std::mem::take(&mut self.held));
            }
            Use::Name => {
                level.next = Next::Colon;
                let text = crate::strict_json::parse(&self.held).map_err(|_| ListError::NotJson)?;
                text.as_str().unwrap_or_default().clone_into(&mut self.name);
            }
            Use::Item => {
                let Place::List(kind, key) = level.place else { return Err(ListError::NotJson) };
                let item = std::mem::take(&mut self.held);
                // It must not cost the others, and nothing is shown whose name two readers might read differently.
                let Some(name) = certain_text(&item, key) else {
                    self.unreadable += 1;
                    return Ok(());
                };
                if let Some(following) = &mut self.following {
                    following.learn(&item, &name);
                }
                self.pass_on(kind, &name, &item, out);
            }
        }
        Ok(())
    }

    /// Writes an item, where the judge keeps it.
    fn pass_on(&mut self, kind: Kind, name: &str, item: &[u8], out: &mut Vec<u8>) {
        let changed = match self.judge.judge(kind, name) {
            ItemDecision::Drop => return,
            // A mark of its server's own would pass for ours.
            ItemDecision::Keep => self.judge.mark().map(|mark| with_meta(item.to_vec(), mark, None)),
            ItemDecision::Mark(name, value) => Some(marked(item.to_vec(), name, &value)),
        };
        if changed == Some(None) {
            self.unreadable += 1;
            return;
        }
        self.comma(out);
        out.extend_from_slice(changed.flatten().as_deref().unwrap_or(item));
    }
}

fn quoted(name: &str) -> Vec<u8> {
    serde_json::to_vec(name).unwrap_or_default()
}

/// An item whose `_meta` has this member, and no other of that name: what its server says under it is not believed.
fn marked(item: Vec<u8>, name: &str, value: &str) -> Option<Vec<u8>> {
    with_meta(item, name, Some(value))
}

/// An item with a member of its `_meta` set, or taken away.
fn with_meta(mut item: Vec<u8>, name: &str, value: Option<&str>) -> Option<Vec<u8>> {
    let member = value.map(|value| format!("\"{name}\":{value}"));
    let found = object_member(&item, "_meta")?;
    let (range, text) = match (found, member) {
        (Member::Absent | Member::Null(_) | Member::Empty(_), None) => return Some(item),
        (Member::Absent, Some(member)) => {
            let end = item.iter().rposition(|byte| *byte == b'}')?;
            (end..end, format!(",\"_meta\":{{{member}}}"))
        }
        (Member::Null(at), Some(member)) => (at..at + 4, format!("{{{member}}}")),
        (Member::Empty(at), Some(member)) => (at + 1..at + 1, member),
        (Member::Object(at, length), member) => {
            let meta = item.get(at..at + length)?;
            let kept = members_but(meta, name)?;
            let all: Vec<String> = member.into_iter().chain(kept).collect();
            (at..at + length, format!("{{{}}}", all.join(",")))
        }
    };
    item.splice(range, text.into_bytes());
    Some(item)
}
