//! JSON-RPC messages from clients, read strictly and only as far as rules need: names, ids, arguments. The rest of a
//! body is only checked for its syntax and not stored, so a large body takes no more memory than its own bytes. What is
//! not read does not affect a decision and may have any depth and form that JSON allows: real clients send such
//! arguments, and servers accept them.

use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::limits::BATCH_MESSAGES;
use crate::mcp::envelope::RequestId;
use crate::mcp::kind::Kind;
use crate::mcp::members::{ArgumentsSeed, Shallow, members, scalars, seed, skip_items};
use crate::mcp::method::{METHODS, McpMethod, Target};
use crate::mcp::operation::Operation;
use crate::mcp::rewrite::RELATED_TASK;
use crate::strict_json;

/// A message from a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A request, which expects a response.
    Request {
        /// The id that the response must have.
        id: RequestId,
        /// What it requests.
        call: Call,
    },
    /// A notification, which expects no response.
    Notification(Call),
    /// A response to a request from the server (legacy era only), with the id of that request.
    Response(RequestId),
}

/// A method, and what the gateway reads of its parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Call {
    /// The method.
    pub method: String,
    /// What the gateway reads of `params`.
    pub params: Params,
}

/// What rules may read of `params`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    /// `name`
    pub name: Option<String>,
    /// `uri`
    pub uri: Option<String>,
    /// `cursor`
    pub cursor: Option<String>,
    /// The scalars of `arguments`; objects and arrays appear as empty ones.
    pub arguments: Option<Map<String, Value>>,
    /// The names of arguments that are missing from `arguments` because no rule can read them.
    pub unreadable: Vec<String>,
    /// `ref` of `completion/complete`.
    pub reference: Option<Map<String, Value>>,
    /// `_meta["io.modelcontextprotocol/protocolVersion"]`
    pub version: Option<String>,
    /// The URIs in `notifications.resourceSubscriptions` of `subscriptions/listen`.
    pub subscriptions: Vec<String>,
    /// The task ids in `notifications.taskIds` of `subscriptions/listen`.
    pub watched_tasks: Vec<String>,
    /// `taskId`, if it is a string.
    pub task: Option<String>,
    /// Whether `task` is present: then the result may be a task (MCP 2025-11-25).
    pub may_be_task: bool,
    /// `requestState`
    pub state: Option<String>,
    /// `_meta["io.modelcontextprotocol/related-task"].taskId` (MCP 2025-11-25).
    pub related_task: Option<String>,
    /// Whether `inputResponses` or `requestState` is present: then the response belongs to this exchange only (T31).
    pub continues: bool,
    /// Whether there is a member other than `cursor` and `_meta`.
    pub others: bool,
}

/// Why a body is not a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// Not strict JSON.
    Json(String),
    /// JSON, but not a message of JSON-RPC 2.0, or not one of MCP.
    Message(&'static str),
    /// A message with invalid params for its method.
    Params(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(what) => f.write_str(what),
            Self::Message(what) | Self::Params(what) => f.write_str(what),
        }
    }
}

/// Parses a body: one message or, if `batches` are allowed, up to [`BATCH_MESSAGES`] of them.
///
/// # Errors
/// [`Malformed`], with the id of the message if it could be read.
pub fn parse(body: &[u8], batches: bool) -> Result<Vec<Message>, (Malformed, RequestId)> {
    let unknown = |error| (error, RequestId::unknown());
    // Readers that guess the encoding, or replace invalid bytes, would read something else.
    let text = std::str::from_utf8(body).map_err(|_| unknown(Malformed::Json("not UTF-8".to_owned())))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Top.deserialize(&mut reader).and_then(|top| reader.end().map(|()| top));
    match read {
        Ok(Body::One(raw)) => raw.message().map(|message| vec![message]),
        Ok(Body::Many(_)) if !batches => Err(unknown(Malformed::Message("batches are not part of this revision"))),
        Ok(Body::Many(raws)) if raws.is_empty() || raws.len() > BATCH_MESSAGES => {
            Err(unknown(Malformed::Message("a batch holds 1 to 64 messages")))
        }
        Ok(Body::Many(raws)) => raws.into_iter().map(Raw::message).collect(),
        Ok(Body::Other) => Err(unknown(Malformed::Message("the body must be a JSON object"))),
        Err(error) => Err(unknown(Malformed::Json(strict_json::describe(&error).to_string()))),
    }
}

/// Whether all readers agree which method it is. A server that ignores letter case would run a known method that is
/// written in another case, so such a method is invalid.
fn is_method(method: &str) -> bool {
    (1..=256).contains(&method.len())
        && method.bytes().all(|byte| byte.is_ascii_graphic())
        && !METHODS.iter().any(|it| it.is_read() && it.name.eq_ignore_ascii_case(method) && it.name != method)
}

impl Call {
    /// The entry for its method in the table of methods.
    #[must_use]
    pub fn known(&self) -> Option<&'static McpMethod> {
        McpMethod::find(&self.method)
    }

    /// Whether its result is a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.known().is_some_and(|method| method.list.is_some())
    }

    /// The operations that it requests: a method, possibly with targets.
    ///
    /// # Errors
    /// [`Malformed::Params`] if a required name is missing.
    pub fn operations(&self) -> Result<Vec<Operation>, Malformed> {
        let method = self.method.as_str();
        let named = |kind, name: &Option<String>, missing| match name {
            Some(name) => Ok(vec![Operation::on(method, kind, name)]),
            None => Err(Malformed::Params(missing)),
        };
        match self.known().map_or(Target::None, |known| known.target) {
            Target::None | Target::Task => Ok(vec![Operation::plain(method)]),
            Target::Name(kind) => named(kind, &self.params.name, "params.name must be a string"),
            Target::Uri => named(Kind::Resource, &self.params.uri, "params.uri must be a string"),
            Target::OptionalUri => Ok(vec![match &self.params.uri {
                Some(uri) => Operation::on(method, Kind::Resource, uri),
                None => Operation::plain(method),
            }]),
            Target::Reference => {
                let reference =
                    self.params.reference.as_ref().ok_or(Malformed::Params("params.ref must be an object"))?;
                let text = |name: &str| reference.get(name).and_then(Value::as_str).map(str::to_owned);
                match text("type").as_deref() {
                    Some("ref/prompt") => named(Kind::Prompt, &text("name"), "params.ref.name must be a string"),
                    Some("ref/resource") => named(Kind::Resource, &text("uri"), "params.ref.uri must be a string"),
                    _ => Err(Malformed::Params("params.ref.type must be ref/prompt or ref/resource")),
                }
            }
            Target::Subscriptions => {
                let listened = self.params.subscriptions.iter();
                let subscribed = listened.map(|uri| Operation::on("resources/subscribe", Kind::Resource, uri));
                Ok(std::iter::once(Operation::plain(method)).chain(subscribed).collect())
            }
        }
    }

    /// The name that `Mcp-Name` mirrors (T12), if the method has one.
    #[must_use]
    pub fn mirrored_name(&self) -> Option<&str> {
        let known = self.known().filter(|known| known.is_mirrored)?;
        match known.target {
            Target::Uri => self.params.uri.as_deref(),
            Target::Task => self.params.task.as_deref(),
            _ => self.params.name.as_deref(),
        }
    }
}

impl Message {
    /// What it requests; `None` for a response.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        match self {
            Self::Request { call, .. } | Self::Notification(call) => Some(call),
            Self::Response(_) => None,
        }
    }

    /// The id of a request; unknown for other messages.
    #[must_use]
    pub fn id(&self) -> RequestId {
        match self {
            Self::Request { id, .. } => id.clone(),
            _ => RequestId::unknown(),
        }
    }
}

enum Body {
    One(Box<Raw>),
    Many(Vec<Raw>),
    Other,
}

/// The members of a message before they are validated.
#[derive(Default)]
struct Raw {
    is_object: bool,
    version: Option<Value>,
    id: Option<Value>,
    method: Option<Value>,
    answers: bool,
    params: Option<Result<Params, &'static str>>,
}

impl Raw {
    fn message(self) -> Result<Message, (Malformed, RequestId)> {
        let id = match &self.id {
            None => None,
            Some(id) => RequestId::read(id),
        };
        let shown = id.clone().unwrap_or_default();
        let wrong = |error| Err((error, shown.clone()));
        if !self.is_object {
            return wrong(Malformed::Message("a message must be a JSON object"));
        }
        if self.version.as_ref().and_then(Value::as_str) != Some("2.0") {
            return wrong(Malformed::Message("jsonrpc must be \"2.0\""));
        }
        if self.id.is_some() && id.is_none() && !(self.answers && self.id == Some(Value::Null)) {
            return wrong(Malformed::Message("id must be a string or a whole number"));
        }
        let method = match (self.method, self.answers) {
            (Some(_), true) => {
                return wrong(Malformed::Message("a message must not have both method and result or error"));
            }
            (None, false) => return wrong(Malformed::Message("method is missing")),
            (None, true) if self.id.is_none() => return wrong(Malformed::Message("a response must have an id")),
            (None, true) => return Ok(Message::Response(shown)),
            (Some(Value::String(method)), false) if is_method(&method) => method,
            (Some(_), false) => {
                return wrong(Malformed::Message(
                    "method must be a string of 1 to 256 visible ASCII characters, in the letter case of MCP",
                ));
            }
        };
        let params = match self.params {
            None => Params::default(),
            Some(Ok(params)) => params,
            Some(Err(what)) => return wrong(Malformed::Params(what)),
        };
        let call = Call { method, params };
        Ok(match id {
            Some(id) => Message::Request { id, call },
            None => Message::Notification(call),
        })
    }
}

struct Top;
seed!(Top, Body);

impl<'de> Visitor<'de> for Top {
    type Value = Body;
    scalars!(Body::Other);
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message or a batch")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Body, A::Error> {
        RawVisitor.visit_map(map).map(|raw| Body::One(Box::new(raw)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Body, A::Error> {
        let mut raws = Vec::new();
        while let Some(raw) = sequence.next_element_seed(RawVisitor)? {
            if raws.len() <= BATCH_MESSAGES {
                raws.push(raw);
            }
        }
        Ok(Body::Many(raws))
    }
}

struct RawVisitor;
seed!(RawVisitor, Raw);

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;
    scalars!(Raw::default());
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Raw, A::Error> {
        let mut raw = Raw { is_object: true, ..Raw::default() };
        members(map, |name, map| {
            match name {
                "jsonrpc" => raw.version = Some(map.next_value_seed(Shallow(0))?),
                "id" => raw.id = Some(map.next_value_seed(Shallow(0))?),
                "method" => raw.method = Some(map.next_value_seed(Shallow(0))?),
                "params" => raw.params = Some(map.next_value_seed(ParamsVisitor)?),
                other => {
                    raw.answers |= matches!(other, "result" | "error");
                    refuse_other_case(other, &["jsonrpc", "id", "method", "params", "result", "error"])?;
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(())
        })?;
        Ok(raw)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Raw, A::Error> {
        skip_items(sequence).map(|()| Raw::default())
    }
}

struct ParamsVisitor;
seed!(ParamsVisitor, Result<Params, &'static str>);

/// The members of `params` that are read.
const READ_PARAMS: [&str; 10] =
    ["name", "uri", "cursor", "arguments", "ref", "_meta", "notifications", "inputResponses", "requestState", "taskId"];

/// Rejects a member whose name differs only in letter case from a known one: some readers take both for the same
/// member, and the last one wins.
fn refuse_other_case<E: serde::de::Error>(name: &str, known: &[&str]) -> Result<(), E> {
    let same = |known: &&str| **known != *name && strict_json::fold(known) == strict_json::fold(name);
    if known.iter().any(same) { Err(E::custom("a member is repeated in another letter case")) } else { Ok(()) }
}

/// The same check for an object that was read.
fn own_letters(members: &Map<String, Value>, known: &[&str]) -> Result<(), &'static str> {
    let others = |name: &String| refuse_other_case::<serde::de::value::Error>(name, known).is_err();
    if members.keys().any(others) { Err("a member in params has the wrong letter case") } else { Ok(()) }
}

const NO_OBJECT: &str = "params must be an object";
const NO_OBJECTS: &str = "params.arguments, ref, notifications and _meta must be objects";

impl<'de> Visitor<'de> for ParamsVisitor {
    type Value = Result<Params, &'static str>;
    scalars!(Err(NO_OBJECT));
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("params")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let mut params = Params::default();
        let mut wrong = None;
        members(map, |name, map| {
            params.others |= !matches!(name, "cursor" | "_meta");
            let levels = match name {
                "name" | "uri" | "cursor" | "taskId" | "requestState" => 0,
                "ref" => 1,
                "_meta" | "notifications" => 2,
                "arguments" => {
                    let arguments = map.next_value_seed(ArgumentsSeed)?;
                    (params.arguments, params.unreadable) = (arguments.known, arguments.unreadable);
                    if params.arguments.is_none() {
                        wrong.get_or_insert(NO_OBJECTS);
                    }
                    return Ok(());
                }
                _ => {
                    params.continues |= name == "inputResponses";
                    params.may_be_task |= name == "task";
                    refuse_other_case(name, &READ_PARAMS)?;
                    return map.next_value::<IgnoredAny>().map(|_| ());
                }
            };
            let value = map.next_value_seed(Shallow(levels))?;
            if let Err(what) = params.take(name, value) {
                wrong.get_or_insert(what);
            }
            Ok(())
        })?;
        Ok(wrong.map_or(Ok(params), Err))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Self::Value, A::Error> {
        skip_items(sequence).map(|()| Err(NO_OBJECT))
    }
}

impl Params {
    fn take(&mut self, name: &str, value: Value) -> Result<(), &'static str> {
        match (name, value) {
            ("name", Value::String(text)) => self.name = Some(text),
            ("uri", Value::String(text)) => self.uri = Some(text),
            ("cursor", Value::String(text)) => self.cursor = Some(text),
            ("taskId", Value::String(text)) => self.task = Some(text),
            // Methods that the gateway does not know may use this name for something else.
            ("taskId", _) => {}
            ("requestState", state) => {
                self.continues = true;
                self.state = match state {
                    Value::String(text) => Some(text),
                    Value::Null => None,
                    _ => return Err("params.requestState must be a string"),
                };
            }
            ("name" | "uri" | "cursor", _) => return Err("params.name, uri and cursor must be strings"),
            ("ref", Value::Object(members)) => {
                own_letters(&members, &["type", "name", "uri"])?;
                self.reference = Some(members);
            }
            ("_meta", Value::Object(members)) => {
                let task = members.get(RELATED_TASK).and_then(|task| task.get("taskId"));
                self.related_task = task.and_then(Value::as_str).map(str::to_owned);
                match members.get("io.modelcontextprotocol/protocolVersion") {
                    None => {}
                    Some(Value::String(version)) => self.version = Some(version.clone()),
                    Some(_) => return Err("the protocol version in params._meta must be a string"),
                }
            }
            ("notifications", Value::Object(members)) => {
                const WHAT: &str = "params.notifications.resourceSubscriptions and taskIds must be arrays of strings";
                own_letters(&members, &["resourceSubscriptions", "taskIds"])?;
                let texts = |name| match members.get(name) {
                    None | Some(Value::Null) => Some(Vec::new()),
                    Some(Value::Array(texts)) => texts.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
                    Some(_) => None,
                };
                self.subscriptions = texts("resourceSubscriptions").ok_or(WHAT)?;
                self.watched_tasks = texts("taskIds").ok_or(WHAT)?;
            }
            _ => return Err(NO_OBJECTS),
        }
        Ok(())
    }
}

/// The id of the one request in `body`; unknown for notifications, responses, batches and anything that is not a
/// message.
#[must_use]
pub fn id_of(body: &[u8]) -> RequestId {
    parse(body, false).ok().and_then(|messages| messages.first().map(Message::id)).unwrap_or_default()
}

/// Whether a body that is known to be strict messages is a batch, of whatever length.
#[must_use]
pub fn is_batch(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'[')
}

/// `params.arguments` as it was sent, in a body that is known to be one strict message. A batch has none of its own.
#[must_use]
pub fn arguments(body: &[u8]) -> Option<Vec<u8>> {
    #[derive(serde::Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        params: Inner<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Inner<'a> {
        #[serde(borrow)]
        arguments: &'a RawValue,
    }
    // An array would be read as the members in their order.
    if is_batch(body) {
        return None;
    }
    let whole = Body::deserialize(&mut serde_json::Deserializer::from_slice(body)).ok()?;
    Some(whole.params.arguments.get().as_bytes().to_vec())
}
