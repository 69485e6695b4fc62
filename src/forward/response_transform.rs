//! What the gateway changes in the origin server's answer: it seals session ids, filters lists, and puts the original
//! names back in place of decoys.

use std::cell::RefCell;
use std::rc::Rc;

use crate::forward::body_filter::{BodyFilter, CacheCandidate, Inner};
use crate::forward::content_of_answer::{ContentOfAnswer, answers, asked_about, content_filter, result_check};
use crate::forward::handle_sealer::HandleSealer;
use crate::forward::item_policy::{LockOfItems, PolicyOfItems};
use crate::forward::list_key::list_key;
use crate::forward::response::ResponseHead;
use crate::forward::running_calls::RunningCalls;
use crate::forward::server_messages::{MessagesOfServer, is_listening};
use crate::mcp::conversation::Conversation;
use crate::mcp::envelope::RequestId;
use crate::mcp::era::Era;
use crate::mcp::input_needed::Asked;
use crate::mcp::known_items::KnownItems;
use crate::mcp::known_tasks::KnownTasks;
use crate::mcp::list_cache::{CachedList, FilteredList};
use crate::mcp::list_filter::ListFilter;
use crate::mcp::list_item::{Bridge, FilterOptions, Ids, ListError};
use crate::mcp::message::{Call, Message};
use crate::mcp::method::{INITIALIZE, Target};
use crate::mcp::session::{NONCE_BYTES, Purpose, Sessions};
use crate::mcp::sse::{Rewrite, SseFilter};
use crate::pipeline::caller_state::{EventOfServer, SessionUse};
use crate::pipeline::permit::Permit;
use crate::pipeline::rejection::Rejection;
use crate::policy::caller::Caller;
use crate::policy::decide::Policy;
use crate::policy::decoy::NameRestorer;
use crate::policy::lock::KnownDefinitions;
use crate::settings::Settings;
use crate::settings::federation::Server;
use crate::time::UnixMillis;
use crate::transport::head::Method;
use crate::transport::url::HttpUrl;

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
                running: RunningCalls::new(permit.places_among_running(), || answers(permit)),
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
        let running = self.content.running.take();
        let running = if head.is_event_stream() { running.map(RunningCalls::in_events) } else { running };
        let check = self.content.check.take();
        let is_checked = check.is_some() && !head.is_event_stream();
        let content = check.map(|check| content_filter(check, (head, self.method), stream, request));
        // A body without a known length is forwarded as it arrives; the gateway does not hold back its beginning.
        let streams = !is_checked && (head.is_event_stream() || head.fields.get("content-length").is_none());
        let is_timed = self.content.is_timed && head.is_event_stream();
        let asked = self.content.asked.take().map(|mut asked| {
            request.clone_into(&mut asked.about.request);
            request.clone_into(&mut asked.answers.request);
            asked.running.replace(running.as_ref().map(RunningCalls::places).unwrap_or_default());
            asked
        });
        if !filtered
            && !rewritten
            && !marked
            && restore.is_none()
            && content.is_none()
            && running.is_none()
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
            running: running.map(Box::new),
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
