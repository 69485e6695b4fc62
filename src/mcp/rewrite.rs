//! Replaces names, URIs and state handles in the body of a request, and leaves everything else as the client wrote it.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::mcp::combined_session::ClientName;
use crate::mcp::conversation::is_modern_meta;
use crate::mcp::method::{CANCELLED, DISCOVER, INITIALIZE};
use crate::strict_json;

/// The member of `_meta` that names the task which a message belongs to (MCP 2025-11-25).
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

/// What the names begin with that MCP reserves for members of `_meta`.
const RESERVED: &str = "io.modelcontextprotocol/";

/// The end of that name as it is in a body: some clients write `/` as `\/`.
const END_OF_NAME: &[u8] = b"related-task";

/// A member of a message whose text can be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// `method`
    Method,
    /// `params.name`, or that of `params.ref`.
    Name,
    /// `params.uri`, that of `params.ref`, or one of `params.notifications.resourceSubscriptions`.
    Uri,
    /// `params.taskId`, or one of `params.notifications.taskIds`.
    Task,
    /// `params.requestState`
    State,
    /// `params.cursor`
    Cursor,
    /// `taskId` in the member [`RELATED_TASK`] of the `_meta` of params or of a result.
    RelatedTask,
}

/// The members of an object, with their values as raw JSON.
type Members = BTreeMap<String, Box<RawValue>>;

/// What becomes of a text in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// It stays.
    Keep,
    /// It becomes this text.
    Text(String),
    /// It is left out, if it is one of several in an array. Otherwise it stays.
    Remove,
}

impl From<Option<String>> for Replacement {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Keep, Self::Text)
    }
}

/// Decides about a text in a message: the index of the message in the batch, the member, and its text.
pub type Replace<'a> = dyn FnMut(usize, Member, &str) -> Replacement + 'a;

/// Gives the text that a server gets for a name of the client, in JSON; `None` if there is none, and then nothing is sent.
pub type SealName<'a> = dyn Fn(ClientName, &str) -> Option<String> + 'a;

/// What changes in a message besides texts.
#[derive(Default)]
pub struct Edits<'a> {
    /// What changes because of the era of the server.
    pub translation: Translation,
    /// Seals the names that the client gave, if the server is one of several.
    pub seal: Option<&'a SealName<'a>>,
    /// Whether a notification goes to servers that it may not be about: then they do not learn the reason in it.
    pub is_shared: bool,
}

/// What else changes in a message, because the server has the other era than the client, or is one of several.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Translation {
    /// Nothing.
    #[default]
    Nothing,
    /// A request of the legacy era becomes one of the modern era, with these members of `_meta`. `initialize` becomes
    /// `server/discover`.
    ToModern(Map<String, Value>),
    /// A request of the modern era becomes one of the legacy era.
    ToLegacy,
    /// A response to a server's request gets the id that the server knows, in JSON.
    Answering(String),
}

/// The body with new texts. `None` if it is no message and no batch of messages.
#[must_use]
pub fn rewritten(body: &[u8], replace: &mut Replace<'_>) -> Option<Vec<u8>> {
    edited(body, &Edits::default(), replace)
}

/// The body with new texts, edited for a server. `None` if it is no message and no batch of messages.
#[must_use]
pub fn edited(body: &[u8], edits: &Edits<'_>, replace: &mut Replace<'_>) -> Option<Vec<u8>> {
    let body = std::str::from_utf8(body).ok()?;
    let mut splices = Splices { body, all: Vec::new() };
    if body.trim_start().starts_with('[') {
        let messages: Vec<&RawValue> = strict_json::part(body)?;
        for (at, message) in messages.into_iter().enumerate() {
            splices.message(at, message, edits, replace)?;
        }
        return splices.applied().map(String::into_bytes);
    }
    splices.message(0, strict_json::part(body)?, edits, replace)?;
    let text = splices.applied()?;
    match &edits.translation {
        Translation::Nothing | Translation::Answering(_) => Some(text.into_bytes()),
        translation @ (Translation::ToModern(_) | Translation::ToLegacy) => {
            let mut message: Members = strict_json::part(&text)?;
            translate(&mut message, translation)?;
            serde_json::to_vec(&message).ok()
        }
    }
}

fn raw<T: Serialize + ?Sized>(value: &T) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(value).ok()
}

/// The members of an object, with their values as they are in the body.
type Parts<'a> = BTreeMap<String, &'a RawValue>;

/// The members of a member that is an object; none if it is something else.
fn inner<'a>(parts: &Parts<'a>, name: &str) -> Parts<'a> {
    parts.get(name).and_then(|raw| strict_json::part(raw.get())).unwrap_or_default()
}

/// Values of a body, and what replaces them: everything else stays as the client wrote it.
struct Splices<'a> {
    body: &'a str,
    all: Vec<(Range<usize>, String)>,
}

impl<'a> Splices<'a> {
    /// Replaces a value of the body with JSON.
    fn put(&mut self, raw: &RawValue, json: String) -> Option<()> {
        let at = raw.get().as_ptr().addr().checked_sub(self.body.as_ptr().addr())?;
        self.all.push((at..at + raw.get().len(), json));
        Some(())
    }

    fn message(
        &mut self,
        at: usize,
        message: &'a RawValue,
        edits: &Edits<'_>,
        replace: &mut Replace<'_>,
    ) -> Option<()> {
        let message: Parts<'a> = strict_json::part(message.get())?;
        let params = inner(&message, "params");
        let meta = inner(&params, "_meta");
        let mut replace = |member, text: &str| replace(at, member, text);
        self.text(&message, "method", Member::Method, &mut replace)?;
        self.text(&params, "name", Member::Name, &mut replace)?;
        self.text(&params, "uri", Member::Uri, &mut replace)?;
        self.text(&params, "taskId", Member::Task, &mut replace)?;
        self.text(&params, "requestState", Member::State, &mut replace)?;
        self.text(&params, "cursor", Member::Cursor, &mut replace)?;
        let reference = inner(&params, "ref");
        self.text(&reference, "name", Member::Name, &mut replace)?;
        self.text(&reference, "uri", Member::Uri, &mut replace)?;
        let notifications = inner(&params, "notifications");
        self.texts(&notifications, "resourceSubscriptions", Member::Uri, &mut replace)?;
        self.texts(&notifications, "taskIds", Member::Task, &mut replace)?;
        for meta in [&meta, &inner(&inner(&message, "result"), "_meta")] {
            self.text(&inner(meta, RELATED_TASK), "taskId", Member::RelatedTask, &mut replace)?;
        }
        if let (Translation::Answering(id), Some(raw)) = (&edits.translation, message.get("id")) {
            self.put(raw, id.clone())?;
        }
        edits.seal.map_or(Some(()), |seal| self.seal_names((&message, &params, &meta), seal, edits.is_shared))
    }

    /// Replaces the names that the client gave with what the server gets.
    fn seal_names(
        &mut self,
        (message, params, meta): (&Parts<'a>, &Parts<'a>, &Parts<'a>),
        seal: &SealName<'_>,
        is_shared: bool,
    ) -> Option<()> {
        let method: Option<String> = message.get("method").and_then(|raw| strict_json::part(raw.get()));
        // A response keeps the id that the server gave to its request.
        let Some(method) = method else { return Some(()) };
        let is_cancelled = method == CANCELLED;
        let named = [
            (message.get("id"), ClientName::Id),
            (meta.get("progressToken"), ClientName::ProgressToken),
            (params.get("requestId").filter(|_| is_cancelled), ClientName::Id),
        ];
        for (raw, name) in named.into_iter().filter_map(|(raw, name)| Some((raw?, name))) {
            self.put(raw, serde_json::to_string(&seal(name, raw.get())?).ok()?)?;
        }
        if let Some(reason) = params.get("reason").filter(|_| is_cancelled && is_shared) {
            self.put(reason, "\"\"".to_owned())?;
        }
        Some(())
    }

    fn text(
        &mut self,
        parts: &Parts<'a>,
        name: &str,
        member: Member,
        replace: &mut dyn FnMut(Member, &str) -> Replacement,
    ) -> Option<()> {
        let Some(raw) = parts.get(name) else { return Some(()) };
        let Some(text) = strict_json::part::<String>(raw.get()) else { return Some(()) };
        match replace(member, &text) {
            Replacement::Text(instead) => self.put(raw, serde_json::to_string(&instead).ok()?),
            Replacement::Keep | Replacement::Remove => Some(()),
        }
    }

    fn texts(
        &mut self,
        parts: &Parts<'a>,
        name: &str,
        member: Member,
        replace: &mut dyn FnMut(Member, &str) -> Replacement,
    ) -> Option<()> {
        let Some(raw) = parts.get(name) else { return Some(()) };
        let Some(texts) = strict_json::part::<Vec<String>>(raw.get()) else { return Some(()) };
        let replaced = texts.into_iter().filter_map(|text| match replace(member, &text) {
            Replacement::Keep => Some(text),
            Replacement::Text(instead) => Some(instead),
            Replacement::Remove => None,
        });
        self.put(raw, serde_json::to_string(&replaced.collect::<Vec<String>>()).ok()?)
    }

    /// The body with the new values.
    fn applied(mut self) -> Option<String> {
        self.all.sort_by_key(|(range, _)| range.start);
        let added: usize = self.all.iter().map(|(_, text)| text.len()).sum();
        let mut out = String::with_capacity(self.body.len() + added);
        let mut at = 0;
        for (range, text) in &self.all {
            out.push_str(self.body.get(at..range.start)?);
            out.push_str(text);
            at = range.end;
        }
        out.push_str(self.body.get(at..)?);
        Some(out)
    }
}

fn translate(message: &mut Members, translation: &Translation) -> Option<()> {
    match translation {
        Translation::Nothing | Translation::Answering(_) => {}
        Translation::ToModern(meta) => {
            let method: Option<String> = message.get("method").and_then(|raw| strict_json::part(raw.get()));
            if method.as_deref() == Some(INITIALIZE) {
                message.insert("method".to_owned(), raw(DISCOVER)?);
                message.remove("params");
            }
            let no_members = || RawValue::from_string("{}".to_owned()).ok();
            let params = message.remove("params").or_else(no_members)?;
            let mut params: Members = strict_json::part(params.get())?;
            let known = params.remove("_meta").or_else(no_members)?;
            let mut known: Members = strict_json::part(known.get())?;
            // The legacy era has none of these, and the server would believe them.
            known.retain(|name, _| !name.starts_with(RESERVED));
            for not_theirs in ["inputResponses", "requestState", "task"] {
                params.remove(not_theirs);
            }
            for (name, value) in meta {
                known.insert(name.clone(), raw(value)?);
            }
            params.insert("_meta".to_owned(), raw(&known)?);
            message.insert("params".to_owned(), raw(&params)?);
        }
        Translation::ToLegacy => within(message, "params", |params| {
            within(params, "_meta", |meta| meta.retain(|name, _| !is_modern_meta(name)));
        }),
    }
    Some(())
}

/// The task that a response of a client belongs to (MCP 2025-11-25), as it is in `body`.
#[must_use]
pub fn related_tasks(body: &[u8]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // Most responses belong to no task.
    if body.windows(END_OF_NAME.len()).any(|part| part == END_OF_NAME) {
        let mut note = |at, member, text: &str| {
            if member == Member::RelatedTask {
                found.push((at, text.to_owned()));
            }
            Replacement::Keep
        };
        let _ = rewritten(body, &mut note);
    }
    found
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
