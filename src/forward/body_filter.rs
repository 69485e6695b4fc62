//! What the gateway changes in the origin server's answer: it seals session ids, filters lists, and puts the original
//! names back in place of decoys.

use std::cell::RefCell;
use std::rc::Rc;

use crate::content::Content;
use crate::content::bound::Bounds;
use crate::content::filter::{Answers, ContentFilter, Noted, ResultCheck, SchemaCheck, Shape};
use crate::content::guard::{Direction, known};
use crate::content::hook::{About, Hook, asked};
use crate::content::in_flight::Running;
use crate::content::schema::result_to_check;
use crate::forward::handle_sealer::HandleSealer;
use crate::forward::list_key::list_key;
use crate::forward::response::ResponseHead;
use crate::forward::server_messages::{MessagesOfServer, is_listening};
use crate::limits::CACHED_LIST_BYTES;
use crate::mcp::conversation::Conversation;
use crate::mcp::definition::Defined;
use crate::mcp::envelope::RequestId;
use crate::mcp::era::Era;
use crate::mcp::input_needed::Asked;
use crate::mcp::kind::Kind;
use crate::mcp::known_items::KnownItems;
use crate::mcp::known_tasks::KnownTasks;
use crate::mcp::list_cache::{CachedList, FilteredList};
use crate::mcp::list_filter::ListFilter;
use crate::mcp::list_item::{Bridge, FilterOptions, Ids, ItemDecision, ItemPolicy, ListError};
use crate::mcp::message::{Call, Message};
use crate::mcp::method::{CALL_TOOL, INITIALIZE, Target};
use crate::mcp::operation::Operation;
use crate::mcp::session::{NONCE_BYTES, Purpose, Sessions};
use crate::mcp::sse::{Rewrite, SseFilter, error_event, late_event};
use crate::pipeline::permit::{EventOfServer, Permit, SessionUse};
use crate::pipeline::rejection::Rejection;
use crate::policy::caller::Caller;
use crate::policy::decide::{Policy, methods_of};
use crate::policy::decoy::NameRestorer;
use crate::policy::lock::{KnownDefinitions, Lock};
use crate::policy::verdict::{Arguments, StepUpInLists, Verdict};
use crate::settings::Settings;
use crate::settings::federation::Server;
use crate::time::UnixMillis;
use crate::transport::head::Method;
use crate::transport::url::HttpUrl;

/// The member of `_meta` that marks an item whose use needs a step-up.
const STEP_UP: &str = "portcullis/step-up";

/// The query parameter with the sealed address for messages, in the transport of 2024-11-05.
pub const ENDPOINT_QUERY: &str = "portcullis-endpoint";

/// What an isolate remembers of the answers of origin servers.
#[derive(Debug, Default)]
pub struct AnswerMemory {
    /// The items of lists, as the origin servers last sent them.
    pub items: Rc<RefCell<KnownItems>>,
    /// The task ids that were sealed last.
    pub tasks: Rc<RefCell<KnownTasks>>,
    /// The items that fit their locks, and those that do not.
    pub definitions: Rc<RefCell<KnownDefinitions>>,
}

/// What the gateway knows about an answer before it arrives.
#[derive(Debug)]
pub struct ResponseTransform {
    /// The recipient of the answer, and what applies to it; `None` for public paths.
    to: Option<Recipient>,
}

/// Whose stream an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamOf {
    /// It answers a request, or goes on to do so.
    One,
    /// It is a part of the stream with the notifications of all servers.
    All,
}

#[derive(Debug)]
struct Recipient {
    caller: Caller,
    policy: Option<Rc<Policy>>,
    lock: Option<LockOfItems>,
    sessions: Option<Sessions>,
    identifier: String,
    path: String,
    origin: HttpUrl,
    era: Era,
    method: Method,
    /// Whether the answer may be a list, or contain one.
    lists: bool,
    paged: bool,
    /// The index of the resource, and the remembered items of lists.
    items: (usize, Rc<RefCell<KnownItems>>),
    /// The key under which the list may be cached.
    keep_as: Option<String>,
    /// The server that answers, if the resource has several.
    server: Option<Rc<Server>>,
    /// Seals the handles in the answer, and renames its items, if there is something to seal or to rename.
    handles: Option<HandleSealer>,
    /// Whether decoys replaced names: then the answer gets the original names back.
    decoys: bool,
    session: SessionUse,
    /// What the id of a session is sealed for.
    seals_for: Purpose,
    /// The era in which the gateway talks with the server, if the resource has several.
    server_era: Option<Era>,
    /// What changes in a result for a caller of the other era.
    bridge: Bridge,
    /// Whether the request opens a stream of notifications at one of several servers.
    stream_of: StreamOf,
    /// What the caller gets of the server's requests and notifications.
    messages: Option<MessagesOfServer>,
    /// The ids of the requests that the answer responds to.
    ids: Vec<RequestId>,
    /// The guards and bounds for it.
    content: ContentOfAnswer,
}

/// What guards and bounds say about an answer.
#[derive(Debug)]
struct ContentOfAnswer {
    /// What applies to its messages.
    check: Option<ResultCheck>,
    /// The places of the calls among those that run.
    running: Vec<Rc<Running>>,
    /// Whether the answer has to be complete in time.
    is_timed: bool,
    /// What hooks are asked about it.
    asked: Option<AskedAboutResults>,
}

impl ResponseTransform {
    /// The transform that changes nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self { to: None }
    }

    /// The transform for the answer to a permitted request.
    #[must_use]
    pub fn of(permit: &Permit, settings: &Settings, memory: &AnswerMemory) -> Self {
        Self { to: Recipient::of(permit, settings, memory) }
    }

    /// The view that the recipient may see of a cached list.
    ///
    /// # Errors
    /// [`ListError`], which does not occur for a list that the filter has accepted before.
    pub fn read(self, list: &CachedList) -> Result<FilteredList, ListError> {
        self.to.ok_or(ListError::NotJson)?.reading(list)
    }

    /// Transforms the head of an answer, and returns the filter for its body, if it needs one. `random` is the nonce
    /// for sealing; `request` is the id of the request in the log.
    ///
    /// # Errors
    /// [`Rejection::Internal`] if a session id cannot be sealed, [`Rejection::OriginMalformed`] if the gateway has to
    /// filter the body and some clients might read it differently.
    pub fn receive(
        self,
        head: &mut ResponseHead,
        random: &[u8; NONCE_BYTES],
        request: &str,
        now: UnixMillis,
    ) -> Result<Option<BodyFilter>, Rejection> {
        let Some(mut to) = self.to else { return Ok(None) };
        to.bridge_status(head)?;
        if let Some(sessions) = &to.sessions {
            let id = head.fields.get("mcp-session-id").map(str::to_owned);
            head.fields.remove("mcp-session-id");
            // The caller has only marked event ids: the origin server's own id must not reach it.
            head.fields.remove("last-event-id");
            // A client has one session with several servers.
            if let (Some(id), Era::Legacy, None) = (id, to.era, &to.server) {
                let holder = to.caller.subject.holder(&to.identifier);
                let sealed = match &to.session {
                    // If the origin server repeats the id, the age of the session does not change.
                    SessionUse::Id { id: known, sealed, .. } if *known == id => sealed.clone(),
                    _ => sessions
                        .seal(&id, to.seals_for, holder, random, now)
                        .ok_or(Rejection::Internal("the origin server's session id is too long"))?,
                };
                head.fields.set("mcp-session-id", sealed);
                to.session =
                    SessionUse::Id { id, sealed: String::new(), opens_urls: to.seals_for == Purpose::SessionWithUrls };
            }
        }
        let filter = to.filter(head, *random, request, now).map_err(Rejection::OriginMalformed)?;
        if filter.is_some() {
            head.fields.remove("content-length");
        }
        Ok(filter)
    }
}

impl Recipient {
    fn of(permit: &Permit, settings: &Settings, memory: &AnswerMemory) -> Option<Self> {
        let inspected = permit.inspected()?;
        let resource = permit.resource()?;
        let admitted = permit.admitted();
        let calls = || inspected.messages().unwrap_or_default().iter().filter_map(Message::call);
        let is_list = |call: &Call| call.is_list();
        Some(Self {
            caller: inspected.caller(),
            policy: resource.policy.as_ref().filter(|policy| !policy.observe).cloned(),
            lock: LockOfItems::of(permit, &memory.definitions),
            sessions: settings.sessions.clone(),
            identifier: resource.identifier.clone(),
            path: resource.path.as_str().to_owned(),
            origin: resource.origin.url.clone(),
            era: admitted.era(),
            method: admitted.head().method,
            lists: calls().any(is_list),
            paged: calls().any(|call| call.params.cursor.is_some()),
            items: (resource.index, Rc::clone(&memory.items)),
            keep_as: list_key(permit),
            server: permit.server().cloned(),
            handles: HandleSealer::of(permit, &memory.tasks),
            decoys: permit.stands_in(),
            session: permit.session().clone(),
            seals_for: if permit.session().opens_urls() || begins_with_urls(permit) {
                Purpose::SessionWithUrls
            } else {
                Purpose::Session
            },
            server_era: permit.conversation().map(Conversation::era),
            bridge: bridge(permit),
            stream_of: if permit.is_gathered() && (admitted.head().method == Method::Get || is_listening(permit)) {
                StreamOf::All
            } else {
                StreamOf::One
            },
            messages: MessagesOfServer::of(permit),
            // A stream of all servers answers nothing itself.
            ids: if is_listening(permit) {
                Vec::new()
            } else {
                inspected.messages().unwrap_or_default().iter().map(Message::id).filter(RequestId::is_known).collect()
            },
            content: ContentOfAnswer {
                check: result_check(permit, settings),
                running: permit.places_among_running().to_vec(),
                is_timed: permit.bounds().seconds.is_some(),
                asked: asked_about(permit, settings),
            },
        })
    }

    /// Makes the status one of the era of the client. Clients of the legacy era read an error only in an answer with status 200; and to
    /// clients of either era, 404 and 400 of a server that has lost its session would say something about the gateway.
    fn bridge_status(&self, head: &mut ResponseHead) -> Result<(), Rejection> {
        match (self.server_era, self.era, head.status) {
            (Some(Era::Modern), Era::Legacy, 400 | 404) if head.is_json() => head.status = 200,
            (Some(Era::Modern), Era::Modern, 400 | 404) if head.is_json() => {}
            // 405 to a stream or to the end of a session is an answer.
            (Some(_), _, 405) if self.method != Method::Post => {}
            (Some(_), _, status @ 400..=499) if status != 403 && status != 429 => {
                return Err(Rejection::OriginFailed { status });
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks that the gateway can read an answer of one of several servers: nothing else passes.
    fn check_of_server(&self, head: &ResponseHead) -> Result<(), ListError> {
        if self.server.is_none() || self.method == Method::Delete || head.status == 202 {
            return Ok(());
        }
        head.is_readable()?;
        if head.is_json() || head.is_event_stream() { Ok(()) } else { Err(ListError::MediaType) }
    }

    /// Which responses of one of several servers pass.
    fn ids(&self) -> Ids {
        match (&self.server, self.stream_of) {
            (None, _) => Ids::AsTheyAre,
            (Some(_), StreamOf::One) => Ids::Mapped,
            (Some(_), StreamOf::All) => Ids::NoResponses,
        }
    }

    fn filter(
        mut self,
        head: &ResponseHead,
        random: [u8; NONCE_BYTES],
        request: &str,
        now: UnixMillis,
    ) -> Result<Option<BodyFilter>, ListError> {
        // A stream that a GET opened carries responses to requests that were sent with POST, lists among them. Only the
        // legacy era has such streams, but an origin server that ignores versions opens them for every client.
        let read_as_stream = self.method == Method::Get && (200..300).contains(&head.status);
        let stream = self.method == Method::Get && (head.may_be_event_stream() || read_as_stream);
        // Answers with these statuses must not have a body.
        if matches!(head.status, 204 | 205 | 304) {
            return Ok(None);
        }
        self.check_of_server(head)?;
        // Neither status nor media type alone exempts an answer: some clients read a list in an answer with an error
        // status or another media type, and any answer may contain the name of a decoy.
        let good = (200..300).contains(&head.status);
        let keep_as = self.keep_as.clone().filter(|_| head.status == 200 && !head.is_event_stream());
        // Clients do not read the body of these answers.
        let read = good && !matches!(head.status, 202 | 204);
        let readable = head.may_be_event_stream() || head.is_json() || read;
        let marks = self.handles.as_ref().is_some_and(|handles| handles.marks_apps);
        let decides = self.policy.is_some() || self.server.is_some() || self.lock.is_some() || marks;
        // An answer to anything may hold a list that a client takes for the one that it asked for elsewhere.
        let may_be_list = self.lists || stream || self.lock.is_some();
        let lists = decides && may_be_list && readable || keep_as.is_some();
        // Where only handles are rewritten, an answer that holds none for any reader passes as it is.
        let holds = self.handles.as_ref().is_some_and(|handles| handles.may_hold_handles || stream);
        let handles = holds && (head.may_be_event_stream() || head.is_json()) && head.is_readable().is_ok();
        let filtered = lists || handles;
        let rewritten = good && stream && self.sessions.is_some();
        // A caller that has the id of an event may ask for the events after it, so ids are bound to their callers.
        let marked = self.era == Era::Legacy && self.sessions.is_some() && (head.may_be_event_stream() || stream);
        // A notification has no response that could contain the name of a decoy. A stream that a GET opened may carry
        // the response to any request with a decoy.
        let answers = self.decoys && !self.ids.is_empty();
        let restore = (answers || stream && self.policy.is_some())
            .then(|| NameRestorer::of(self.server.as_ref().map(|server| Rc::clone(&server.names))));
        let running = std::mem::take(&mut self.content.running);
        let counts = !running.is_empty() && head.is_event_stream();
        let check = self.content.check.take().filter(|check| counts || check.looks());
        let is_checked = check.is_some() && !head.is_event_stream();
        let content = check.map(|check| content_filter(check, (head, self.method), stream, request));
        // A body without a known length is forwarded as it arrives; the gateway does not hold back its beginning.
        let streams = !is_checked && (head.is_event_stream() || head.fields.get("content-length").is_none());
        let is_timed = self.content.is_timed && head.is_event_stream();
        let asked = self.content.asked.take().map(|mut asked| {
            request.clone_into(&mut asked.about.request);
            request.clone_into(&mut asked.answers.request);
            asked.running.replace(running.clone());
            asked
        });
        if !filtered
            && !rewritten
            && !marked
            && restore.is_none()
            && content.is_none()
            && running.is_empty()
            && asked.is_none()
            && !is_timed
        {
            return Ok(None);
        }
        head.is_readable()?;
        // Some clients read any answer to this request as an event stream.
        if stream && (filtered || rewritten || marked) && !head.is_event_stream() {
            return Err(ListError::MediaType);
        }
        let whole = |inner| BodyFilter {
            inner,
            kept: None,
            restore: None,
            waits: true,
            may_be_empty: true,
            begun: false,
            ids: Vec::new(),
            request: request.to_owned(),
            content: None,
            running,
            asked,
        };
        if !filtered && !rewritten && !marked {
            let ids = if head.is_event_stream() { self.ids } else { Vec::new() };
            return Ok(Some(BodyFilter { restore, ids, content, ..whole(Inner::Plain(streams)) }));
        }
        let edits = FilterOptions {
            paged: self.paged,
            handles_only: !lists,
            reusable: false,
            bridge: self.bridge,
            ids: self.ids(),
        };
        let handles = self.handles.as_ref().map(|handles| handles.clone().at(now));
        // The stream that a GET opened answers requests that were sent elsewhere, and a batch has several ids.
        let expected = if let [only] = self.ids.as_slice() { Some(only.clone()).filter(|_| !stream) } else { None };
        let kept = keep_as.map(|name| CacheCandidate { name, body: Vec::new() });
        let endpoint = if stream { self.rewrite(random, now) } else { None };
        let event_ids = if marked { self.mark_events() } else { None };
        let policy = PolicyOfItems::of((self.policy, self.lock), self.server, self.caller);
        Ok(Some(if head.is_event_stream() {
            let (resource, items) = self.items;
            let edits = FilterOptions { paged: false, ..edits };
            let lists = filtered.then(|| ListFilter::new(policy, edits).with_handles(handles, expected));
            // A stream that a GET opened may carry any list, and any page of it.
            let lists = lists.map(|it| if stream || self.paged { it } else { it.with_memory(resource, items) });
            let messages = self.messages.map(|messages| messages.at(now));
            let filter = SseFilter::new(lists, endpoint, event_ids).with_messages(messages);
            let inner = Inner::Events(Box::new(if stream { filter.skipping_unfit(request) } else { filter }));
            BodyFilter { kept, restore, ids: self.ids, content, ..whole(inner) }
        } else {
            let filter = ListFilter::new(policy, edits).with_handles(handles, expected);
            let (resource, items) = self.items;
            // The memory would take each later page for a changed first page.
            let filter = if self.paged { filter } else { filter.with_memory(resource, items) };
            let inner = Inner::Json(Box::new(filter));
            let may_be_empty = head.status != 200 || !self.lists;
            BodyFilter { kept, restore, waits: lists || !streams, may_be_empty, content, ..whole(inner) }
        }))
    }

    /// Binds the ids of events to their caller and session.
    fn mark_events(&self) -> Option<Rewrite> {
        let (sessions, caller) = (self.sessions.clone()?, self.caller.clone());
        let (identifier, session) = (self.identifier.clone(), self.session.clone());
        // Of several servers, the one that sent the event has to be found again.
        let server = self.server.as_ref().map_or_else(String::new, |server| {
            EventOfServer::prefix(&server.fingerprint, self.stream_of == StreamOf::All)
        });
        Some(Box::new(move |id| {
            let holder = caller.subject.holder(&identifier);
            sessions.mark_event(&format!("{server}{id}"), holder, session.id())
        }))
    }

    /// The view that this recipient may see of a cached list.
    fn reading(self, list: &CachedList) -> Result<FilteredList, ListError> {
        let edits =
            FilterOptions { paged: self.paged, reusable: true, handles_only: false, ..FilterOptions::default() };
        // The marks of Apps are the same for all callers, and a list holds no other handles.
        let handles = self.handles.map(|handles| handles.at(UnixMillis::default()));
        let policy = PolicyOfItems::of((self.policy, self.lock), self.server, self.caller);
        let (mut filter, mut out) =
            (ListFilter::new(policy, edits).with_handles(handles, None), Vec::with_capacity(list.body.len()));
        filter.push(list.body.as_bytes(), &mut out)?;
        filter.finish(&mut out)?;
        FilteredList::new(out, filter.holes(), filter.policy().depends).ok_or(ListError::NotJson)
    }

    /// Replaces the address for messages of the transport of 2024-11-05 with an address of the gateway, sealed for this
    /// caller. It rejects an address at another server.
    fn rewrite(&self, random: [u8; NONCE_BYTES], now: UnixMillis) -> Option<Rewrite> {
        let (sessions, caller) = (self.sessions.clone()?, self.caller.clone());
        let (identifier, path, origin) = (self.identifier.clone(), self.path.clone(), self.origin.clone());
        Some(Box::new(move |said| {
            let target = resolve(&origin, said)?;
            let holder = caller.subject.holder(&identifier);
            let sealed = sessions.seal(&target, Purpose::Endpoint, holder, &random, now)?;
            Some(format!("{path}?{ENDPOINT_QUERY}={sealed}"))
        }))
    }
}

/// Whether the request opens a session, and its client declares URL mode elicitation.
fn begins_with_urls(permit: &Permit) -> bool {
    let begins = permit.call().is_some_and(|call| call.method == INITIALIZE);
    let asked = permit.inspected().filter(|_| begins).and_then(|inspected| Asked::read(inspected.body()));
    asked.is_some_and(|asked| asked.opens_urls())
}

/// What is asked about the messages of an answer.
pub struct AskedAboutResults {
    /// The hooks.
    pub hooks: Vec<Rc<Hook>>,
    /// What they learn besides the message.
    pub about: About,
    /// How a message is answered that does not pass.
    pub answers: Answers,
    /// The places of the calls among those that run: they run until hooks have decided about their responses.
    running: RefCell<Vec<Rc<Running>>>,
}

impl std::fmt::Debug for AskedAboutResults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AskedAboutResults")
    }
}

impl AskedAboutResults {
    /// Notes that hooks have decided about a message: a call that it responds to does not run any more.
    pub fn answered(&self, message: &[u8]) {
        if self.running.borrow().is_empty() || !self.answers.is_response(message) {
            return;
        }
        self.running.borrow_mut().pop();
    }
}

/// What hooks are asked about the answer to a permitted request.
fn asked_about(permit: &Permit, settings: &Settings) -> Option<AskedAboutResults> {
    let inspected = permit.inspected()?;
    let content = inspected.resource().content.as_ref()?;
    let is_stream = permit.admitted().head().method != Method::Post || is_listening(permit);
    let operations: Vec<Operation> = if is_stream { Vec::new() } else { permit.seen_operations() };
    let known = known(&operations).filter(|_| !is_stream);
    let caller = (&inspected.caller(), &*settings.scopes);
    let hooks: Vec<Rc<Hook>> = asked(&content.hooks, Direction::Results, known, caller).into_iter().cloned().collect();
    if hooks.is_empty() {
        return None;
    }
    let running = RefCell::new(Vec::new());
    Some(AskedAboutResults { hooks, about: permit.about("")?, answers: answers(permit), running })
}

/// The guards and bounds for the answer to a permitted request.
fn result_check(permit: &Permit, settings: &Settings) -> Option<ResultCheck> {
    let inspected = permit.inspected()?;
    let content = inspected.resource().content.as_ref()?;
    let messages = inspected.messages().unwrap_or_default();
    let calls: Vec<&Call> = messages.iter().filter_map(Message::call).collect();
    // A stream that a GET opened carries responses to requests that were sent elsewhere.
    let is_stream = permit.admitted().head().method != Method::Post || is_listening(permit);
    let operations: Vec<Operation> = if is_stream { Vec::new() } else { permit.seen_operations() };
    let known = known(&operations).filter(|_| !is_stream);
    let caller = (&inspected.caller(), &*settings.scopes);
    let looking = content.guards.looking(Direction::Results, known, caller);
    let bounds = Bounds::strictest(&content.bounds, known);
    let only = if let [only] = calls.as_slice() { Some(*only).filter(|call| call.method == CALL_TOOL) } else { None };
    let schema =
        only.filter(|_| bounds.schema.is_some() && !is_stream).and_then(|_| schema_check(permit, Rc::clone(content)));
    let check = ResultCheck { looking, bounds, schema, answers: answers(permit) };
    (check.looks() || !permit.places_among_running().is_empty()).then_some(check)
}

/// How a message is answered that does not pass.
fn answers(permit: &Permit) -> Answers {
    let messages = permit.inspected().and_then(|inspected| inspected.messages()).unwrap_or_default();
    let only = if let [only] = messages { only.call() } else { None };
    Answers {
        ids: messages.iter().map(Message::id).filter(RequestId::is_known).collect(),
        is_tool: only.is_some_and(|call| call.method == CALL_TOOL),
        era: permit.admitted().era(),
        request: String::new(),
    }
}

/// Checks the result of a call of a tool with the tool's output schema, as it is in the lock.
fn schema_check(permit: &Permit, content: Rc<Content>) -> Option<SchemaCheck> {
    let (resource, name) = (Rc::clone(permit.resource()?), permit.original_name()?);
    let lock = Rc::clone(resource.lock.as_ref()?);
    let key = (Defined::Tool, name);
    lock.items.get(&key).filter(|definition| definition.contains_key("outputSchema"))?;
    Some(Box::new(move |message| {
        let structured = match result_to_check(message) {
            Ok(structured) => structured?,
            Err(fault) => return Some(fault),
        };
        let tool = (resource.index, key.1.as_str(), lock.items.get(&key)?);
        content.schemas.misfit(tool, Direction::Results, &structured)
    }))
}

/// Holds the body of an answer to guards and bounds.
fn content_filter(
    check: ResultCheck,
    (head, method): (&ResponseHead, Method),
    stream: bool,
    request: &str,
) -> Box<ContentFilter> {
    // A client reads the answer to a POST as JSON, whatever its type says.
    let is_read = head.is_json() || stream || method == Method::Post && (200..300).contains(&head.status);
    let shape = match (head.may_be_event_stream(), is_read) {
        (true, _) => Shape::Events,
        (false, true) => Shape::Json,
        (false, false) => Shape::Text,
    };
    let answers = Answers { request: request.to_owned(), ..check.answers };
    Box::new(ContentFilter::new(ResultCheck { answers, ..check }, shape))
}

/// What changes in the results of a server for a caller of the other era.
fn bridge(permit: &Permit) -> Bridge {
    match (permit.conversation().map(Conversation::era), permit.admitted().era()) {
        (Some(Era::Legacy), Era::Modern) => {
            let reads = |call: &Call| call.known().is_some_and(|known| known.target == Target::Uri);
            Bridge::ToModern { cacheable: permit.call().is_some_and(reads) }
        }
        (Some(Era::Modern), Era::Legacy) => Bridge::ToLegacy,
        _ => Bridge::Nothing,
    }
}

/// Path and query of an address at the origin server itself: absolute, beginning with `/`, or relative to the URL of
/// the origin server.
fn resolve(origin: &HttpUrl, said: &str) -> Option<String> {
    let said = said.trim();
    if said.is_empty() || said.bytes().any(|b| !b.is_ascii_graphic()) || said.contains(['\\', '#']) {
        return None;
    }
    let target = if let Some(rest) = said.strip_prefix(&origin.web_origin()) {
        rest.to_owned()
    } else if said.starts_with("//") || said.split(['/', '?']).next()?.contains(':') {
        return None;
    } else if said.starts_with('/') {
        said.to_owned()
    } else if said.starts_with('?') {
        format!("{}{said}", if origin.path().is_empty() { "/" } else { origin.path() })
    } else {
        let base = origin.path().rsplit_once('/').map_or("", |(base, _)| base);
        format!("{base}/{said}")
    };
    let path = target.split('?').next()?;
    let strange = path.split('/').any(|segment| matches!(segment, "." | "..")) || path.contains('%');
    (target.starts_with('/') && !strange).then_some(target)
}

/// Holds the items of a server to the definitions that were reviewed.
#[derive(Debug)]
struct LockOfItems {
    lock: Rc<Lock>,
    resource: usize,
    /// The resource and the server, in the log.
    place: String,
    known: Rc<RefCell<KnownDefinitions>>,
}

impl LockOfItems {
    fn of(permit: &Permit, known: &Rc<RefCell<KnownDefinitions>>) -> Option<Self> {
        let resource = permit.resource()?;
        let lock = Rc::clone(resource.lock.as_ref()?);
        let server = permit.server().map(|server| format!(", server {:?}", server.names.server));
        let place = format!("{}{}", resource.path.as_str(), server.unwrap_or_default());
        Some(Self { lock, resource: resource.index, place, known: Rc::clone(known) })
    }

    fn shows(&self, kind: Kind, name: &str, item: &[u8]) -> bool {
        let of = (&*self.lock, self.resource, self.place.as_str());
        self.known.borrow_mut().shows(of, (kind, name), item)
    }
}

/// Decides about the items of lists as the policy would decide about their use.
struct PolicyOfItems {
    policy: Option<Rc<Policy>>,
    lock: Option<LockOfItems>,
    server: Option<Rc<Server>>,
    caller: Caller,
    depends: bool,
}

impl PolicyOfItems {
    fn of(
        (policy, lock): (Option<Rc<Policy>>, Option<LockOfItems>),
        server: Option<Rc<Server>>,
        caller: Caller,
    ) -> Self {
        Self { policy, lock, server, caller, depends: false }
    }
}

impl ItemPolicy for PolicyOfItems {
    fn decide(&mut self, kind: Kind, name: &str) -> ItemDecision {
        let advertised = match &self.server {
            None => Some(name.to_owned()),
            Some(server) => server.names.advertised(kind, name),
        };
        let Some(name) = advertised else {
            let is_shown = self.server.as_ref().is_some_and(|server| server.names.shows(kind, name));
            return if is_shown { ItemDecision::Unusable } else { ItemDecision::Drop };
        };
        let Some(policy) = &self.policy else { return ItemDecision::Keep };
        let method = methods_of(kind).next().unwrap_or_default();
        let decision = policy.decide(&Operation::on(method, kind, &name), &self.caller, Arguments::Unknown);
        self.depends |= decision.depends_on_caller;
        match (decision.verdict, policy.step_up_in_lists) {
            (Verdict::Allow | Verdict::Approve, _) => ItemDecision::Keep,
            (Verdict::StepUp { scopes, .. }, StepUpInLists::Mark) => {
                let scopes: Vec<&str> = scopes.iter().map(crate::oauth::scope::Scope::as_str).collect();
                ItemDecision::Mark(STEP_UP, serde_json::json!({ "scopes": scopes }).to_string())
            }
            (Verdict::StepUp { .. }, StepUpInLists::Hide) | (Verdict::Deny, _) => ItemDecision::Drop,
        }
    }

    fn lock_state(&self) -> u64 {
        self.lock.as_ref().map_or(0, |lock| lock.known.borrow().state())
    }

    fn shows(&mut self, kind: Kind, name: &str, item: &[u8]) -> bool {
        self.lock.as_ref().is_none_or(|lock| lock.shows(kind, name, item))
    }

    fn mark(&self) -> Option<&'static str> {
        self.policy.as_ref().filter(|policy| policy.step_up_in_lists == StepUpInLists::Mark).map(|_| STEP_UP)
    }

    fn depends_on_caller(&self, kind: Kind, paged: bool) -> bool {
        // All pages of a list must have one cache scope (T31), and this page does not show the items of the others.
        self.depends || (paged && self.policy.as_ref().is_some_and(|policy| policy.depends_on_caller(kind)))
    }
}

/// Filters the body of an answer.
pub struct BodyFilter {
    inner: Inner,
    kept: Option<CacheCandidate>,
    restore: Option<NameRestorer>,
    /// Whether the beginning of a JSON body may be held back.
    waits: bool,
    /// Whether an answer with this status may have an empty body.
    may_be_empty: bool,
    begun: bool,
    /// The ids of the requests that an event stream responds to.
    ids: Vec<RequestId>,
    /// The id of the request in the log.
    request: String,
    /// Holds what passes to guards and bounds.
    content: Option<Box<ContentFilter>>,
    /// The places of the calls among those that run: they end with the filter.
    running: Vec<Rc<Running>>,
    /// What hooks are asked about what passes.
    asked: Option<AskedAboutResults>,
}

/// The part of a body that the gateway forwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilteredPart {
    /// These bytes; more may follow.
    More(Vec<u8>),
    /// These bytes, and then the body ends, because the gateway cannot filter the rest.
    Last(Vec<u8>, ListError),
}

/// The result of filtering a body.
#[derive(Default)]
pub struct FilterResult {
    /// The unfiltered body, if it is a candidate for the cache.
    pub kept: Option<CacheCandidate>,
    /// How many items of lists were left out because their names cannot be read unambiguously.
    pub unreadable: usize,
    /// Why the gateway ended the body early.
    pub unfit: Option<ListError>,
    /// Why the gateway left out an event.
    pub skipped: Option<ListError>,
    /// What guards and bounds did.
    pub noted: Vec<Noted>,
}

impl FilterResult {
    /// What guards and bounds did in a stream that goes on.
    #[must_use]
    pub fn noted(noted: Vec<Noted>) -> Self {
        Self { noted, ..Self::default() }
    }
}

/// An unfiltered body that the gateway caches if the list turns out to be public.
pub struct CacheCandidate {
    /// The key to cache it under.
    pub name: String,
    /// The body so far. The filter drops all of it if it exceeds [`CACHED_LIST_BYTES`].
    pub body: Vec<u8>,
}

enum Inner {
    Events(Box<SseFilter<PolicyOfItems>>),
    Json(Box<ListFilter<PolicyOfItems>>),
    /// The filter looks for no lists or events in it; whether its length is unknown, so that it is forwarded as it
    /// arrives.
    Plain(bool),
}

impl BodyFilter {
    /// Whether the gateway may hold back the beginning of the body until it is filtered.
    #[must_use]
    pub fn can_wait(&self) -> bool {
        match self.inner {
            Inner::Json(_) => self.waits,
            Inner::Plain(streams) => !streams,
            Inner::Events(_) => false,
        }
    }

    /// Takes a part of the body, and returns what to forward instead. If an event stream cannot be filtered any
    /// further, it ends with an error for each request that it responds to, so that no client waits for a response that
    /// does not come.
    ///
    /// # Errors
    /// [`ListError`]: then no more of the body may be forwarded.
    pub fn push(&mut self, bytes: &[u8]) -> Result<FilteredPart, ListError> {
        let part = self.push_to_inner(bytes)?;
        let Some(content) = &mut self.content else { return Ok(part) };
        let mut out = Vec::new();
        match part {
            FilteredPart::More(bytes) => match content.push(&bytes, &mut out) {
                Ok(()) => {
                    // A client may send its next call as soon as it has the response, before the stream ends.
                    let running = self.running.len().saturating_sub(content.take_answered());
                    self.running.truncate(running);
                    Ok(FilteredPart::More(out))
                }
                Err(unfit) if content.is_of_events() => {
                    out.extend_from_slice(content.broken_off());
                    for id in &self.ids {
                        out.extend_from_slice(error_event(id, &self.request).as_bytes());
                    }
                    Ok(FilteredPart::Last(out, unfit))
                }
                Err(unfit) => Err(unfit),
            },
            // What ends the stream is the gateway's own.
            FilteredPart::Last(bytes, unfit) => {
                let _passed = content.push(&bytes, &mut out);
                Ok(FilteredPart::Last(out, unfit))
            }
        }
    }

    /// Ends an event stream that is not complete in time: the client learns that, for each request that the stream responds to. `None` if
    /// the body is no event stream.
    pub fn late(&mut self) -> Option<Vec<u8>> {
        if self.ids.is_empty() {
            return None;
        }
        let mut out = match (&self.content, &self.inner) {
            (Some(content), _) => content.broken_off().to_vec(),
            (None, Inner::Events(filter)) => filter.broken_off().to_vec(),
            // Where the last event ended is not known: the empty line ends it.
            (None, Inner::Json(_) | Inner::Plain(_)) => b"\n\n".to_vec(),
        };
        out.extend(self.ids.iter().flat_map(|id| late_event(id, &self.request).into_bytes()));
        Some(out)
    }

    fn push_to_inner(&mut self, bytes: &[u8]) -> Result<FilteredPart, ListError> {
        let mut out = Vec::with_capacity(bytes.len());
        self.begun |= !bytes.is_empty();
        if let Some(kept) = &mut self.kept {
            kept.body.extend_from_slice(bytes);
        }
        self.kept.take_if(|kept| kept.body.len() > CACHED_LIST_BYTES);
        match &mut self.inner {
            Inner::Events(filter) => {
                if let Err(unfit) = filter.push(bytes, &mut out) {
                    out.extend_from_slice(filter.broken_off());
                    for id in &self.ids {
                        out.extend_from_slice(error_event(id, &self.request).as_bytes());
                    }
                    return Ok(FilteredPart::Last(self.restored(out, true), unfit));
                }
            }
            Inner::Json(filter) => filter.push(bytes, &mut out)?,
            Inner::Plain(_) => out.extend_from_slice(bytes),
        }
        Ok(FilteredPart::More(self.restored(out, false)))
    }

    /// Takes the end of the body, and returns what is left to forward.
    ///
    /// # Errors
    /// [`ListError`] if the body was not complete.
    pub fn finish(&mut self) -> Result<Vec<u8>, ListError> {
        let mut out = Vec::new();
        match &mut self.inner {
            // An event that is not complete at the end of a stream is no event: clients ignore it.
            Inner::Events(filter) if filter.is_strict() => out.extend_from_slice(filter.broken_off()),
            Inner::Events(_) | Inner::Plain(_) => {}
            Inner::Json(_) if self.may_be_empty && !self.begun => {}
            Inner::Json(filter) => {
                filter.finish(&mut out)?;
                if filter.is_foreign() || filter.is_strict() && filter.is_request() {
                    return Err(ListError::Foreign);
                }
            }
        }
        let rest = self.restored(out, true);
        let Some(content) = &mut self.content else { return Ok(rest) };
        let mut out = Vec::new();
        content.push(&rest, &mut out)?;
        content.finish(&mut out)?;
        Ok(out)
    }

    /// What hooks are asked about what passes.
    pub fn take_asked(&mut self) -> Option<AskedAboutResults> {
        self.asked.take()
    }

    /// What guards and bounds did since the last call, for the log.
    pub fn take_noted(&mut self) -> Vec<Noted> {
        self.content.as_mut().map(|content| content.take_noted()).unwrap_or_default()
    }

    fn restored(&mut self, bytes: Vec<u8>, last: bool) -> Vec<u8> {
        let Some(restore) = &mut self.restore else { return bytes };
        let mut out = Vec::with_capacity(bytes.len());
        restore.push(&bytes, &mut out);
        if last {
            restore.finish(&mut out);
        }
        out
    }
}

impl BodyFilter {
    /// The result, after the end of the body.
    pub fn end(&mut self, unfit: Option<ListError>) -> FilterResult {
        let unreadable = match &self.inner {
            Inner::Events(filter) => filter.unreadable(),
            Inner::Json(filter) => filter.unreadable(),
            Inner::Plain(_) => 0,
        };
        let skipped = if let Inner::Events(filter) = &self.inner { filter.unfit() } else { None };
        let whole = unfit.is_none() && skipped.is_none() && unreadable == 0;
        self.running.clear();
        FilterResult { kept: self.kept.take().filter(|_| whole), unreadable, unfit, skipped, noted: self.take_noted() }
    }
}

impl std::fmt::Debug for BodyFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BodyFilter")
    }
}
