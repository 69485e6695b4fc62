//! Replaces names, URIs and state handles in the body of a request, and leaves everything else as the client wrote it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::mcp::combined_session::ClientName;
use crate::mcp::conversation::is_modern_meta;
use crate::mcp::members::{MemberName, scalars, seed, skip_items};
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
            splices.message(at, message.get(), edits, replace)?;
        }
        return splices.applied().map(String::into_bytes);
    }
    splices.message(0, body, edits, replace)?;
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

/// An object in a message, of which the gateway can replace members.
#[derive(Debug, Clone, Copy)]
enum Object {
    Message,
    Params,
    /// `_meta` of params.
    Meta,
    /// `params.ref`
    Reference,
    /// `params.notifications`
    Notifications,
    /// The result of a response.
    Answer,
    /// `_meta` of a result.
    AnswerMeta,
    /// The member [`RELATED_TASK`] of one of the two.
    RelatedTask,
}

/// What a member of such an object is.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Another object.
    Object(Object),
    /// The same, where a message may have something else.
    MaybeObject(Object),
    Text(Member),
    /// An array of texts.
    Texts(Member),
    /// A name that the client gave.
    Name(ClientName),
    /// `params.requestId` of a cancellation.
    Cancelled,
    /// `params.reason` of a cancellation.
    Reason,
}

impl Object {
    fn member(self, name: &str) -> Option<Place> {
        Some(match (self, name) {
            (Self::Message, "id") => Place::Name(ClientName::Id),
            (Self::Message, "method") => Place::Text(Member::Method),
            (Self::Message, "params") => Place::Object(Self::Params),
            (Self::Message, "result") => Place::MaybeObject(Self::Answer),
            (Self::Params, "_meta") => Place::Object(Self::Meta),
            (Self::Params, "ref") => Place::Object(Self::Reference),
            (Self::Params, "notifications") => Place::Object(Self::Notifications),
            (Self::Params | Self::Reference, "name") => Place::Text(Member::Name),
            (Self::Params | Self::Reference, "uri") => Place::Text(Member::Uri),
            (Self::Params, "taskId") => Place::Text(Member::Task),
            (Self::Params, "requestState") => Place::Text(Member::State),
            (Self::Params, "cursor") => Place::Text(Member::Cursor),
            (Self::Params, "requestId") => Place::Cancelled,
            (Self::Params, "reason") => Place::Reason,
            (Self::Notifications, "resourceSubscriptions") => Place::Texts(Member::Uri),
            (Self::Notifications, "taskIds") => Place::Texts(Member::Task),
            (Self::Meta, "progressToken") => Place::Name(ClientName::ProgressToken),
            (Self::Answer, "_meta") => Place::MaybeObject(Self::AnswerMeta),
            (Self::Meta | Self::AnswerMeta, RELATED_TASK) => Place::MaybeObject(Self::RelatedTask),
            (Self::RelatedTask, "taskId") => Place::Text(Member::RelatedTask),
            _ => return None,
        })
    }
}

/// The values of a message that the gateway can replace, as they are in the body.
type Values<'a> = Vec<(Place, &'a RawValue)>;

/// Reads the values of an object, in one pass over the text.
struct ReadValues<'v, 'a> {
    object: Object,
    found: &'v mut Values<'a>,
}

impl<'a> ReadValues<'_, 'a> {
    fn read(self, text: &'a str) -> Option<()> {
        let mut reader = serde_json::Deserializer::from_str(text);
        self.deserialize(&mut reader).ok()?;
        reader.end().ok()
    }
}

seed!(ReadValues<'_, 'de>, ());

impl<'a> Visitor<'a> for ReadValues<'_, 'a> {
    type Value = ();
    scalars!(());
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(MemberName)? {
            match self.object.member(&name) {
                Some(Place::Object(object)) => map.next_value_seed(ReadValues { object, found: &mut *self.found })?,
                Some(place) => self.found.push((place, map.next_value()?)),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'a>>(self, sequence: A) -> Result<(), A::Error> {
        skip_items(sequence)
    }
}

/// The values of a message that the gateway can replace.
fn values(message: &str) -> Option<Values<'_>> {
    let mut found = Vec::with_capacity(8);
    ReadValues { object: Object::Message, found: &mut found }.read(message)?;
    // Objects that few messages have are read once more.
    let mut at = 0;
    while let Some((place, raw)) = found.get(at).copied() {
        if let Place::MaybeObject(object) = place
            && raw.get().starts_with('{')
        {
            ReadValues { object, found: &mut found }.read(raw.get())?;
        }
        at += 1;
    }
    Some(found)
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

    fn message(&mut self, at: usize, message: &'a str, edits: &Edits<'_>, replace: &mut Replace<'_>) -> Option<()> {
        let values = values(message)?;
        let method = values.iter().find(|(place, _)| matches!(place, Place::Text(Member::Method)));
        let method: Option<String> = method.and_then(|(_, raw)| strict_json::part(raw.get()));
        let is_cancelled = method.as_deref() == Some(CANCELLED);
        // A response keeps the id that the server gave to its request.
        let seal = edits.seal.filter(|_| method.is_some());
        for (place, raw) in values {
            match place {
                Place::Text(member) => {
                    let Some(text) = strict_json::part::<String>(raw.get()) else { continue };
                    if let Replacement::Text(instead) = replace(at, member, &text) {
                        self.put(raw, serde_json::to_string(&instead).ok()?)?;
                    }
                }
                Place::Texts(member) => {
                    let Some(texts) = strict_json::part::<Vec<String>>(raw.get()) else { continue };
                    let replaced = texts.into_iter().filter_map(|text| match replace(at, member, &text) {
                        Replacement::Keep => Some(text),
                        Replacement::Text(instead) => Some(instead),
                        Replacement::Remove => None,
                    });
                    self.put(raw, serde_json::to_string(&replaced.collect::<Vec<String>>()).ok()?)?;
                }
                Place::Name(name) => match (&edits.translation, name, seal) {
                    (Translation::Answering(id), ClientName::Id, _) => self.put(raw, id.clone())?,
                    (_, name, Some(seal)) => self.seal(raw, name, seal)?,
                    _ => {}
                },
                Place::Cancelled if is_cancelled => {
                    seal.map_or(Some(()), |seal| self.seal(raw, ClientName::Id, seal))?;
                }
                Place::Reason if is_cancelled && edits.is_shared && seal.is_some() => {
                    self.put(raw, "\"\"".to_owned())?;
                }
                Place::Object(_) | Place::MaybeObject(_) | Place::Cancelled | Place::Reason => {}
            }
        }
        Some(())
    }

    /// Replaces a name that the client gave with what the server gets.
    fn seal(&mut self, raw: &RawValue, name: ClientName, seal: &SealName<'_>) -> Option<()> {
        self.put(raw, serde_json::to_string(&seal(name, raw.get())?).ok()?)
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

/// What a client brings back that was asked to have its user open a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameBack {
    /// The user opened it, or may have.
    Opened,
    /// The user does not want to.
    Declined,
}

/// What the client says about the gateway's own question, which has this name.
#[must_use]
pub fn answer_to(body: &[u8], name: &str) -> CameBack {
    let message: Option<Value> = std::str::from_utf8(body).ok().and_then(strict_json::part);
    let answer = || message.as_ref()?.get("params")?.get("inputResponses")?.get(name)?.get("action")?.as_str();
    if matches!(answer(), Some("decline" | "cancel")) { CameBack::Declined } else { CameBack::Opened }
}

/// A request without what the client answers to the gateway's own question.
#[must_use]
pub fn without_answers(body: &[u8]) -> Option<Vec<u8>> {
    let mut message: Members = strict_json::part(std::str::from_utf8(body).ok()?)?;
    within(&mut message, "params", |params| {
        params.remove("requestState");
        params.remove("inputResponses");
    });
    serde_json::to_vec(&message).ok()
}

/// Members of `_meta` that say nothing about what a call does.
const OF_TRANSPORT: [&str; 8] = [
    "progressToken",
    "traceparent",
    "tracestate",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
    RELATED_TASK,
];

/// A call of a tool with its name and its arguments, and without everything else that a server might read: a person who approves it sees
/// no more than that and the client, its progress token and its trace. `goes_on`: it brings back what its server asked for.
#[must_use]
pub fn call_alone(body: &[u8], goes_on: bool) -> Option<Vec<u8>> {
    let mut message: Members = strict_json::part(std::str::from_utf8(body).ok()?)?;
    message.retain(|name, _| matches!(name.as_str(), "jsonrpc" | "id" | "method" | "params"));
    within(&mut message, "params", |params| {
        params.retain(|name, _| match name.as_str() {
            "name" | "arguments" | "_meta" | "task" => true,
            "requestState" | "inputResponses" => goes_on,
            _ => false,
        });
        let ttl = |raw: &RawValue| strict_json::part::<Members>(raw.get())?.remove("ttl").filter(|ttl| is_number(ttl));
        if let Some(task) = params.remove("task").filter(|raw| raw.get().starts_with('{')) {
            let members: Members = ttl(&task).map(|ttl| ("ttl".to_owned(), ttl)).into_iter().collect();
            params.extend(raw(&members).map(|task| ("task".to_owned(), task)));
        }
        within(params, "_meta", |meta| {
            meta.retain(|name, _| OF_TRANSPORT.contains(&name.as_str()));
        });
    });
    serde_json::to_vec(&message).ok()
}

fn is_number(raw: &RawValue) -> bool {
    strict_json::part::<serde_json::Number>(raw.get()).is_some()
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
