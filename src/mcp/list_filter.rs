//! Filters messages as they stream through the gateway. If the result of a JSON-RPC response is a list of tools, prompts,
//! resources or resource templates, the filter leaves out the items that an [`ItemPolicy`] drops; and it rewrites state
//! handles. It holds one item or handle at a time; everything else passes unchanged, except for white space between JSON
//! tokens.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::limits::{LIST_BYTES, LIST_DEPTH, LIST_ITEM_BYTES};
use crate::mcp::envelope::RequestId;
use crate::mcp::item_meta::{marked, with_meta};
use crate::mcp::kind::Kind;
use crate::mcp::known_items::{KnownItems, ListComparison};
use crate::mcp::list_item::{Bridge, FilterOptions, Ids, ItemDecision, ItemPolicy, ListError, OmittedValue};
use crate::mcp::message_position::{
    Answered, Container, Handle, HandleRewriter, Level, Next, Place, Reading, Response, Use,
};
use crate::mcp::method::lists;
use crate::mcp::outline::certain_text;
use crate::strict_json::fold;

/// The type of a result that asks for input (SEP-2322).
const INPUT_REQUIRED: &str = "input_required";

/// Filters one response, or one batch of responses.
pub struct ListFilter<P> {
    policy: P,
    edits: FilterOptions,
    levels: Vec<Level>,
    reading: Option<Reading>,
    /// The part of the current value that is held.
    held: Vec<u8>,
    name: String,
    cache_scope: Option<Vec<u8>>,
    more_pages: bool,
    kind: Option<Kind>,
    begun: bool,
    /// Whether the rest passes as it is: it is no message, so no reader finds a handle in it.
    unread: bool,
    size: usize,
    holes: Vec<(usize, OmittedValue)>,
    /// The index of the resource, and what is known of its lists.
    memory: Option<(usize, Rc<RefCell<KnownItems>>)>,
    following: Option<ListComparison>,
    /// Rewrites state handles, if there is something to rewrite.
    handles: Option<Box<dyn HandleRewriter>>,
    /// The method of the message, if it has one that was read.
    method: Option<String>,
    /// Which request the message answers.
    answered: Answered,
    /// How many items were left out because their names cannot be read unambiguously.
    unreadable: usize,
}

impl<P: ItemPolicy> ListFilter<P> {
    /// A filter at the beginning of a response.
    pub fn new(policy: P, edits: FilterOptions) -> Self {
        Self {
            policy,
            edits,
            levels: Vec::new(),
            reading: None,
            held: Vec::new(),
            name: String::new(),
            cache_scope: None,
            more_pages: false,
            kind: None,
            begun: false,
            unread: false,
            size: 0,
            holes: Vec::new(),
            memory: None,
            following: None,
            handles: None,
            method: None,
            answered: Answered::default(),
            unreadable: 0,
        }
    }

    /// The same filter, which rewrites state handles too. `expected` is the id of the only request that the messages may answer.
    #[must_use]
    pub fn with_handles(self, handles: Option<Box<dyn HandleRewriter>>, expected: Option<RequestId>) -> Self {
        let expected = expected.filter(|_| handles.is_some());
        Self { handles, answered: Answered::only(expected), ..self }
    }

    /// Whether the message answers another request: its handles are not the caller's.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.answered.is_foreign()
    }

    /// The same filter, with the known items of the lists of the resource with this index.
    #[must_use]
    pub fn with_memory(self, resource: usize, memory: Rc<RefCell<KnownItems>>) -> Self {
        Self { memory: Some((resource, memory)), ..self }
    }

    /// Whether the message is a request or a notification, as far as it was read.
    #[must_use]
    pub fn is_request(&self) -> bool {
        self.method.is_some() || self.answered.is_request
    }

    /// Whether it only rewrites handles.
    #[must_use]
    pub fn is_lenient(&self) -> bool {
        self.edits.handles_only && !self.is_strict()
    }

    /// Whether only certain responses pass: then no reader may find another one in a message.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.edits.ids != Ids::AsTheyAre
    }

    /// The values that were left out, and where they belong: bytes from the beginning of the output, if all output went
    /// into one buffer.
    #[must_use]
    pub fn holes(&self) -> &[(usize, OmittedValue)] {
        &self.holes
    }

    /// The policy that decided about the items.
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// How many items were left out because their names cannot be read unambiguously.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// A filter for the next response, with the same policy.
    #[must_use]
    pub fn again(mut self) -> Self {
        // What the last message named and did not end with is not the caller's.
        if let Some(handles) = &mut self.handles {
            handles.ended(false);
        }
        let (unreadable, handles) = (self.unreadable, self.handles);
        Self { unreadable, ..Self::new(self.policy, self.edits).with_handles(handles, self.answered.expected) }
    }

    /// Takes bytes, and writes those that may pass.
    ///
    /// # Errors
    /// [`ListError`]; nothing more may pass after it.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ListError> {
        if self.unread {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        self.size += bytes.len();
        if !self.edits.handles_only && self.size > LIST_BYTES {
            return Err(ListError::TooLarge);
        }
        let mut rest = bytes;
        while let Some(&byte) = rest.first().filter(|_| !self.unread) {
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
        out.extend_from_slice(if self.unread { rest } else { &[] });
        Ok(())
    }

    /// The bytes after the expected item, if `bytes` begin with that item.
    fn foreseen<'a>(&mut self, bytes: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
        let (None, Some(following), Some(level)) = (&self.reading, &mut self.following, self.levels.last_mut()) else {
            return None;
        };
        let (Container::List(kind, _), Next::FirstOrEnd | Next::Another) = (level.container, level.next) else {
            return None;
        };
        let item = following.foresee(bytes)?;
        level.next = Next::CommaOrEnd;
        self.pass_on((kind, item.name(), item.bytes()), Some(item.fits()), out);
        bytes.get(item.bytes().len()..)
    }

    /// How many of these bytes lie inside a value and neither begin nor end anything in it.
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

    /// Checks that the response is complete.
    ///
    /// # Errors
    /// [`ListError::NotJson`] if it is not.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ListError> {
        if self.reading.as_ref().is_some_and(|reading| reading.bare) {
            self.value_ended(out)?;
        }
        let is_whole = self.begun && self.levels.is_empty() && self.reading.is_none();
        let is_own = is_whole && !self.is_foreign();
        if let Some(handles) = &mut self.handles {
            handles.ended(is_own);
        }
        if is_whole || self.unread { Ok(()) } else { Err(ListError::NotJson) }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), ListError> {
        if let Some(reading) = &mut self.reading {
            if !(reading.bare && matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r')) {
                return self.within_value(byte, out);
            }
            self.value_ended(out)?;
        }
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            // Some servers send white space first, so that no proxy closes the connection as idle.
            out.extend((self.edits.handles_only && !self.begun).then_some(byte));
            return Ok(());
        }
        let Some(level) = self.levels.last_mut() else {
            if self.begun {
                return Err(ListError::NotJson);
            }
            if self.edits.handles_only && matches!(byte, 0xef | 0xbb | 0xbf) {
                out.push(byte);
                return Ok(());
            }
            self.begun = true;
            match byte {
                b'[' if self.is_strict() => return Err(ListError::Foreign),
                _ if self.is_lenient() && !matches!(byte, b'{' | b'[') => {
                    self.unread = true;
                    out.push(byte);
                }
                b'{' => self.enter(Container::Message, byte, out),
                b'[' => self.enter(Container::Batch, byte, out),
                _ => return Err(ListError::NotJson),
            }
            return Ok(());
        };
        let object = level.container.is_object();
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

    /// An element of a batch or of a list begins.
    fn item(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), ListError> {
        let container = self.levels.last().map(|level| level.container);
        if let Some(Container::List(..)) = container {
            return self.read(Use::Item, byte, out);
        }
        self.comma(out);
        match (container, byte) {
            (Some(Container::Batch), b'{') => self.enter(Container::Message, byte, out),
            (Some(Container::Handles(Place::TaskIds)), b'"') => {
                return self.read(Use::Handle(Handle::KnownTask), byte, out);
            }
            (Some(Container::Handles(place)), b'{') if let Some(item) = place.item() => {
                self.enter(Container::Handles(item), byte, out);
            }
            _ => return self.read(Use::Pass, byte, out),
        }
        Ok(())
    }

    /// The value of the member `self.name` begins.
    fn member(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), ListError> {
        let maps_ids = self.is_strict();
        let Some(level) = self.levels.last_mut() else { return Err(ListError::NotJson) };
        let container = level.container;
        let lists_matter = !self.edits.handles_only;
        let is_strict = lists_matter || maps_ids && container == Container::Message;
        let deciding = || {
            let (others, in_result): (&[&'static str], bool) = match container {
                Container::Message if maps_ids => (&["result", "id", "method", "error", "params"], false),
                Container::Message => (&["result", "id"], false),
                Container::Result => (&["cacheScope", "ttlMs", "nextCursor"], true),
                Container::Batch | Container::List(..) | Container::Handles(_) => (&[], false),
            };
            let items = lists().map(|list| list.member).filter(move |_| in_result);
            others.iter().copied().chain(items).filter(move |_| lists_matter || !in_result)
        };
        if container == Container::Result && self.edits.bridge.replaces(&self.name) {
            return self.read(Use::Leave, byte, out);
        }
        let folded = fold(&self.name);
        if is_strict && deciding().any(|known| *known != *self.name && fold(known) == folded) {
            return Err(ListError::Repeated);
        }
        let known = deciding().find(|known| **known == *self.name);
        if let Some(known) = known {
            if is_strict && level.seen.contains(&known) {
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
        let place = self.handles.as_ref().and_then(|_| Place::opened_by(container, &self.name, byte));
        if let Some(place) = place {
            self.enter(Container::Handles(place), byte, out);
            return Ok(());
        }
        match (container, known, list, byte) {
            (Container::Message, Some("result"), _, b'{') => {
                self.answered.has_result = true;
                self.enter(Container::Result, byte, out);
                let added = self.edits.bridge.added();
                out.extend_from_slice(added.as_bytes());
                if let Some(level) = self.levels.last_mut() {
                    level.written = !added.is_empty();
                }
                Ok(())
            }
            (Container::Message, Some("id"), ..) if self.edits.reusable => {
                self.holes.push((out.len(), OmittedValue::Id));
                self.read(Use::Leave, byte, out)
            }
            (Container::Result, Some("ttlMs"), ..) if self.edits.reusable => {
                self.holes.push((out.len(), OmittedValue::Ttl));
                self.read(Use::Leave, byte, out)
            }
            (Container::Result, _, Some((kind, key)), b'[') => {
                self.kind = Some(kind);
                let memory = self.memory.clone().zip(known);
                self.following =
                    memory.map(|((resource, memory), list)| ListComparison::begin(memory, (resource, list)));
                self.enter(Container::List(kind, key), byte, out);
                Ok(())
            }
            // Some readers might find items in it about which the policy did not decide.
            (Container::Result, _, Some(_), _) => Err(ListError::NotList),
            _ => {
                self.more_pages |= known == Some("nextCursor");
                let handle = if self.handles.is_some() { Handle::of(container, &self.name) } else { None };
                self.answered.has_result |= container == Container::Message && known == Some("result");
                let used = match handle.filter(|_| byte == b'"') {
                    _ if container == Container::Message && known == Some("id") && self.handles.is_some() => Use::Id,
                    Some(handle) if self.is_about_own_tasks() => Use::Handle(handle),
                    _ if container == Container::Message && self.name == "method" && byte == b'"' => Use::Method,
                    _ if container == Container::Result
                        && self.edits.bridge == Bridge::ToLegacy
                        && self.name == "resultType" =>
                    {
                        Use::ResultType
                    }
                    _ => Use::Pass,
                };
                self.read(used, byte, out)
            }
        }
    }

    /// Whether the task ids in the message are those of the server. In the legacy era a server may ask the client about a task
    /// of the client.
    fn is_about_own_tasks(&self) -> bool {
        self.method.as_deref().is_none_or(|method| !method.starts_with("tasks/"))
    }

    fn comma(&mut self, out: &mut Vec<u8>) {
        let Some(level) = self.levels.last_mut() else { return };
        if std::mem::replace(&mut level.written, true) {
            out.push(b',');
        }
    }

    fn enter(&mut self, container: Container, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        self.levels.push(Level { container, next: Next::FirstOrEnd, written: false, seen: Vec::new() });
    }

    fn leave(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.levels.last().is_some_and(|level| level.container == Container::Result) {
            if let Some(scope) = self.cache_scope.take() {
                let paged = self.edits.paged || self.more_pages;
                let private = self.kind.is_some_and(|kind| self.policy.depends_on_caller(kind, paged));
                self.comma(out);
                out.extend_from_slice(b"\"cacheScope\":");
                out.extend_from_slice(if private { b"\"private\"" } else { &scope });
            }
            (self.kind, self.more_pages) = (None, false);
        }
        if self.levels.last().is_some_and(|level| level.container == Container::Message) {
            let is_request = self.method.take().is_some();
            self.answered.is_request |= is_request;
            let passes = match self.edits.ids {
                Ids::AsTheyAre => true,
                Ids::Mapped => is_request || self.answered.response == Response::Mapped,
                Ids::NoResponses => is_request,
            };
            if !passes {
                self.answered.response = Response::Refused;
            }
        }
        out.push(byte);
        if let Some(Container::List(..)) = self.levels.pop().map(|level| level.container)
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
                    if !self.edits.handles_only && reading.depth > LIST_DEPTH {
                        return Err(ListError::NotJson);
                    }
                }
                b'}' | b']' if !reading.bare => {
                    reading.depth -= 1;
                    ended = reading.depth == 0;
                }
                // In the data of an event, a line break would end the line.
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
            // Numbers and words are held until the filter knows that they are valid.
            Use::Pass
            | Use::Leave
            | Use::Name
            | Use::Item
            | Use::CacheScope
            | Use::Method
            | Use::Id
            | Use::ResultType
            | Use::Handle(_) => {
                self.held.extend_from_slice(bytes);
                match &mut self.reading {
                    _ if self.held.len() <= LIST_ITEM_BYTES => {}
                    // No handle is as large as that.
                    Some(Reading { used: used @ Use::Handle(_), .. }) => {
                        *used = Use::Pass;
                        out.append(&mut self.held);
                    }
                    _ => return Err(ListError::TooLarge),
                }
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
                if !self.edits.handles_only {
                    crate::strict_json::parse(&self.held).map_err(|_| ListError::NotJson)?;
                }
                if reading.used == Use::Pass {
                    out.extend_from_slice(&self.held);
                }
            }
            Use::Pass | Use::Leave => {}
            Use::Method | Use::Handle(_) => {
                // If it is not text, no reader finds a known method or a handle in it.
                let text = crate::strict_json::parse(&self.held).ok();
                let text = text.as_ref().and_then(serde_json::Value::as_str);
                let is_foreign = self.answered.is_of_other() && self.method.is_none();
                let handles = self.handles.as_mut().filter(|_| !is_foreign);
                if let (Use::Handle(handle), Some(text), Some(handles)) = (reading.used, text, handles) {
                    let rewritten = handles.rewrite(handle, text).map(|text| quoted(&text));
                    self.held = rewritten.unwrap_or(std::mem::take(&mut self.held));
                } else if reading.used == Use::Method {
                    self.method = text.map(str::to_owned);
                }
                out.extend_from_slice(&self.held);
            }
            Use::ResultType => {
                let said = crate::strict_json::parse(&self.held).map_err(|_| ListError::NotJson)?;
                if said == INPUT_REQUIRED {
                    return Err(ListError::NeedsInput);
                }
                out.extend_from_slice(&self.held);
            }
            Use::Id => {
                // The id of a server's own request is another matter. If its method comes after it, that is known at the end.
                let handles = self.handles.as_ref().filter(|_| self.edits.ids == Ids::Mapped && self.method.is_none());
                let json = std::str::from_utf8(&self.held).ok();
                if let Some(id) = handles.zip(json).and_then(|(handles, json)| handles.id(json)) {
                    self.held = id.into_bytes();
                    self.answered.response = Response::Mapped;
                }
                self.answered.read(&self.held);
                out.extend_from_slice(&self.held);
            }
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
                let Container::List(kind, key) = level.container else { return Err(ListError::NotJson) };
                let item = std::mem::take(&mut self.held);
                // Such an item must not cost the others. The filter passes no item whose name two readers could read
                // differently.
                let Some(name) = certain_text(&item, key) else {
                    self.unreadable += 1;
                    return Ok(());
                };
                if let Some(following) = &mut self.following {
                    following.learn(&item, &name);
                }
                self.pass_on((kind, &name, &item), None, out);
            }
        }
        Ok(())
    }

    /// Writes an item if the policy keeps it.
    fn pass_on(&mut self, (kind, name, item): (Kind, &str, &[u8]), fits: Option<&Cell<u64>>, out: &mut Vec<u8>) {
        let changed = match self.policy.decide(kind, name) {
            ItemDecision::Drop => return,
            ItemDecision::Unusable => {
                self.unreadable += 1;
                return;
            }
            // A mark that the origin server wrote would pass for one of the gateway's.
            ItemDecision::Keep => self.policy.mark().map(|mark| with_meta(item.to_vec(), mark, None)),
            ItemDecision::Mark(name, value) => Some(marked(item.to_vec(), name, &value)),
        };
        let lock = self.policy.lock_state();
        if lock != 0 && fits.is_none_or(|fits| fits.get() != lock) {
            if !self.policy.shows(kind, name, item) {
                return;
            }
            if let Some(fits) = fits {
                fits.set(self.policy.lock_state());
            }
        }
        if changed == Some(None) {
            self.unreadable += 1;
            return;
        }
        let changed = changed.flatten();
        let item = changed.as_deref().unwrap_or(item);
        let marked = self.handles.as_mut().and_then(|handles| handles.item(kind, name, item));
        self.comma(out);
        out.extend_from_slice(marked.as_deref().unwrap_or(item));
    }
}

fn quoted(name: &str) -> Vec<u8> {
    serde_json::to_vec(name).unwrap_or_default()
}
