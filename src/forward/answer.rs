//! What is done to the origin server's answer on its way back: sessions are sealed, lists are filtered.

use std::cell::RefCell;
use std::rc::Rc;

use crate::forward::list_key::list_key;
use crate::forward::response::ResponseHead;
use crate::limits::CACHED_LIST_BYTES;
use crate::mcp::envelope::RequestId;
use crate::mcp::era::Era;
use crate::mcp::kind::Kind;
use crate::mcp::known_items::KnownItems;
use crate::mcp::list_cache::{CachedList, Reading};
use crate::mcp::list_filter::{Edits, ItemDecision, ItemPolicy, ListError, ListFilter};
use crate::mcp::message::{Call, Message};
use crate::mcp::operation::Operation;
use crate::mcp::session::{NONCE_BYTES, Purpose, Sessions};
use crate::mcp::sse::{Rewrite, SseFilter, error_event};
use crate::pipeline::authorize::{Permit, SessionUse};
use crate::pipeline::rejection::Rejection;
use crate::policy::caller::Caller;
use crate::policy::decide::{Arguments, Policy, StepUpInLists, Verdict, methods_of};
use crate::policy::decoy::Restore;
use crate::settings::Settings;
use crate::time::UnixMillis;
use crate::transport::head::Method;
use crate::transport::url::HttpUrl;

/// The member of `_meta` that marks what needs a step-up.
const STEP_UP: &str = "portcullis/step-up";

/// The name in queries of where messages go in the transport of 2024-11-05.
pub const ENDPOINT_QUERY: &str = "portcullis-endpoint";

/// What is known of an answer before it comes.
#[derive(Debug)]
pub struct ResponseTransform {
    /// Who gets it, and what is behind the gate; nothing for paths open to everyone.
    to: Option<Recipient>,
}

#[derive(Debug)]
struct Recipient {
    caller: Caller,
    policy: Option<Rc<Policy>>,
    sessions: Option<Sessions>,
    identifier: String,
    path: String,
    origin: HttpUrl,
    era: Era,
    method: Method,
    /// It may be a list, or hold one.
    lists: bool,
    paged: bool,
    /// The index of the resource, and what is known of the items of lists.
    items: (usize, Rc<RefCell<KnownItems>>),
    /// The name under which it may be kept.
    keep_as: Option<String>,
    /// Names stood in for others, which the answer must have.
    decoys: bool,
    session: SessionUse,
    /// The ids of the requests that it answers.
    ids: Vec<RequestId>,
}

impl ResponseTransform {
    /// What is to be expected of a permitted request's answer.
    #[must_use]
    pub fn of(permit: &Permit, settings: &Settings, items: &Rc<RefCell<KnownItems>>) -> Self {
        Self { to: Recipient::of(permit, settings, items) }
    }

    /// A list that was kept, as its reader may see it.
    ///
    /// # Errors
    /// [`ListError`], which nothing is that was let through once.
    pub fn read(self, list: &CachedList) -> Result<Reading, ListError> {
        self.to.ok_or(ListError::NotJson)?.reading(list)
    }

    /// Lets an answer's head through, and says what becomes of its body. `random` is for sealing.
    ///
    /// # Errors
    /// [`Rejection::Internal`] where a session cannot be sealed, [`Rejection::OriginMalformed`] where the body has to be read
    /// and its caller might read it otherwise. `request` is the id of the request in the log.
    pub fn receive(
        self,
        head: &mut ResponseHead,
        random: &[u8; NONCE_BYTES],
        request: &str,
        now: UnixMillis,
    ) -> Result<Option<BodyFilter>, Rejection> {
        let Some(mut to) = self.to else { return Ok(None) };
        if let Some(sessions) = &to.sessions {
            let id = head.fields.get("mcp-session-id").map(str::to_owned);
            head.fields.remove("mcp-session-id");
            // The ids that a caller sees are marked.
            head.fields.remove("last-event-id");
            if let (Some(id), Era::Legacy) = (id, to.era) {
                let holder = to.caller.subject.holder(&to.identifier);
                let sealed = match &to.session {
                    // An origin server that repeats the id makes no session older or younger.
                    SessionUse::Id { id: known, sealed } if *known == id => sealed.clone(),
                    _ => sessions
                        .seal(&id, Purpose::Session, holder, random, now)
                        .ok_or(Rejection::Internal("the origin server's session id is too long"))?,
                };
                head.fields.set("mcp-session-id", sealed);
                to.session = SessionUse::Id { id, sealed: String::new() };
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
    fn of(permit: &Permit, settings: &Settings, items: &Rc<RefCell<KnownItems>>) -> Option<Self> {
        let inspected = permit.inspected()?;
        let resource = inspected.resource();
        let admitted = permit.admitted();
        let calls = || inspected.messages().unwrap_or_default().iter().filter_map(Message::call);
        let is_list = |call: &Call| call.is_list();
        Some(Self {
            caller: inspected.caller()?,
            policy: resource.policy.as_ref().filter(|policy| !policy.observe).cloned(),
            sessions: settings.sessions.clone(),
            identifier: resource.identifier.clone(),
            path: resource.path.as_str().to_owned(),
            origin: resource.origin.url.clone(),
            era: admitted.era(),
            method: admitted.head().method,
            lists: calls().any(is_list),
            paged: calls().any(|call| call.params.cursor.is_some()),
            items: (resource.index, Rc::clone(items)),
            keep_as: list_key(inspected),
            decoys: !permit.decoys().is_empty(),
            session: permit.session().clone(),
            ids: inspected.messages().unwrap_or_default().iter().map(Message::id).filter(RequestId::is_known).collect(),
        })
    }

    fn filter(
        self,
        head: &ResponseHead,
        random: [u8; NONCE_BYTES],
        request: &str,
        now: UnixMillis,
    ) -> Result<Option<BodyFilter>, ListError> {
        // Whatever a stream that was opened with GET carries was asked for elsewhere, lists among it. Only the old era has
        // such streams, and a server that does not look at versions has them for everybody.
        let read_as_stream = self.method == Method::Get && (200..300).contains(&head.status);
        let stream = self.method == Method::Get && (head.may_be_event_stream() || read_as_stream);
        // These have no body, and must have none.
        if matches!(head.status, 204 | 205 | 304) {
            return Ok(None);
        }
        // Whatever it calls itself: a list under another status is one to a client that reads it, and a name that stood in
        // for another may be in any answer.
        let good = (200..300).contains(&head.status);
        let keep_as = self.keep_as.clone().filter(|_| head.status == 200 && !head.is_event_stream());
        // Of these clients read no body.
        let read = good && !matches!(head.status, 202 | 204);
        let readable = head.may_be_event_stream() || head.is_json() || read;
        let judged = self.policy.is_some() && (self.lists || stream) && readable || keep_as.is_some();
        let rewritten = good && stream && self.sessions.is_some();
        // A caller who has the id of an event may ask for what came after it.
        let marked = self.era == Era::Legacy && self.sessions.is_some() && (head.may_be_event_stream() || stream);
        // Names that stood in for others may come back over any of them.
        let streams = head.is_event_stream() || head.fields.get("content-length").is_none();
        // A notification has no answer that could name anything.
        let answers = self.decoys && !self.ids.is_empty();
        let restore = (answers || stream && self.policy.is_some()).then(Restore::default);
        if !judged && !rewritten && !marked && restore.is_none() {
            return Ok(None);
        }
        head.is_readable()?;
        // Some clients take whatever they get here for a stream.
        if stream && (judged || rewritten || marked) && !head.is_event_stream() {
            return Err(ListError::MediaType);
        }
        let whole = |inner| BodyFilter {
            inner,
            kept: None,
            restore: None,
            may_be_empty: true,
            begun: false,
            ids: Vec::new(),
            request: request.to_owned(),
        };
        if !judged && !rewritten && !marked {
            return Ok(Some(BodyFilter { restore, ..whole(Inner::Plain(streams)) }));
        }
        let edits = Edits { paged: self.paged, ..Edits::default() };
        let kept = keep_as.map(|name| Kept { name, body: Vec::new() });
        let endpoint = if stream { self.rewrite(random, now) } else { None };
        let event_ids = if marked { self.mark_events() } else { None };
        let judge = PolicyOfItems { policy: self.policy, caller: self.caller, depends: false };
        Ok(Some(if head.is_event_stream() {
            let (resource, items) = self.items;
            let lists = judged.then(|| ListFilter::new(judge, Edits::default()));
            // What a stream that was opened with GET carries may be of any list, and any page of it.
            let lists = lists.map(|it| if stream || self.paged { it } else { it.with_memory(resource, items) });
            let filter = SseFilter::new(lists, endpoint, event_ids);
            let inner = Inner::Events(Box::new(if stream { filter.skipping_unfit(request) } else { filter }));
            BodyFilter { kept, restore, ids: self.ids, ..whole(inner) }
        } else {
            let filter = ListFilter::new(judge, edits);
            let (resource, items) = self.items;
            // Later pages would each be taken for the first.
            let filter = if self.paged { filter } else { filter.with_memory(resource, items) };
            let inner = Inner::Json(Box::new(filter));
            BodyFilter { kept, restore, may_be_empty: head.status != 200, ..whole(inner) }
        }))
    }

    /// Binds the ids of events to their caller and session.
    fn mark_events(&self) -> Option<Rewrite> {
        let (sessions, caller) = (self.sessions.clone()?, self.caller.clone());
        let (identifier, session) = (self.identifier.clone(), self.session.clone());
        Some(Box::new(move |id| {
            let holder = caller.subject.holder(&identifier);
            sessions.mark_event(id, holder, session.id())
        }))
    }

    /// A list that was kept, as this reader may see it.
    fn reading(self, list: &CachedList) -> Result<Reading, ListError> {
        let edits = Edits { paged: self.paged, reusable: true };
        let judge = PolicyOfItems { policy: self.policy, caller: self.caller, depends: false };
        let (mut filter, mut out) = (ListFilter::new(judge, edits), Vec::with_capacity(list.body.len()));
        filter.push(list.body.as_bytes(), &mut out)?;
        filter.finish(&mut out)?;
        Reading::new(out, filter.holes(), filter.judge().depends).ok_or(ListError::NotJson)
    }

    /// Turns the address of the transport of 2024-11-05 into one of the gateway's, sealed for this caller. One that leads to
    /// another server is none.
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

/// Path and query of an address at the origin server itself: absolute, or beginning with `/`, or relative to its URL.
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

/// Decides about the items of lists as the policy would about their use.
struct PolicyOfItems {
    policy: Option<Rc<Policy>>,
    caller: Caller,
    depends: bool,
}

impl ItemPolicy for PolicyOfItems {
    fn judge(&mut self, kind: Kind, name: &str) -> ItemDecision {
        let Some(policy) = &self.policy else { return ItemDecision::Keep };
        let method = methods_of(kind).next().unwrap_or_default();
        let decision = policy.decide(&Operation::on(method, kind, name), &self.caller, Arguments::Unknown);
        self.depends |= decision.depends_on_caller;
        match (decision.verdict, policy.step_up_in_lists) {
            (Verdict::Allow, _) => ItemDecision::Keep,
            (Verdict::StepUp { scopes, .. }, StepUpInLists::Mark) => {
                let scopes: Vec<&str> = scopes.iter().map(crate::oauth::scope::Scope::as_str).collect();
                ItemDecision::Mark(STEP_UP, serde_json::json!({ "scopes": scopes }).to_string())
            }
            (Verdict::StepUp { .. }, StepUpInLists::Hide) | (Verdict::Deny, _) => ItemDecision::Drop,
        }
    }

    fn mark(&self) -> Option<&'static str> {
        self.policy.as_ref().filter(|policy| policy.step_up_in_lists == StepUpInLists::Mark).map(|_| STEP_UP)
    }

    fn depends_on_caller(&self, kind: Kind, paged: bool) -> bool {
        // All pages of a list have one scope (T31), and this one does not know the others.
        self.depends || (paged && self.policy.as_ref().is_some_and(|policy| policy.depends_on_caller(kind)))
    }
}

/// What a body goes through.
pub struct BodyFilter {
    inner: Inner,
    kept: Option<Kept>,
    restore: Option<Restore>,
    /// An answer of its status needs no body.
    may_be_empty: bool,
    begun: bool,
    /// The ids of the requests that a stream of events answers.
    ids: Vec<RequestId>,
    /// The id of the request in the log.
    request: String,
}

/// What goes on of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// This, and more may follow.
    More(Vec<u8>),
    /// This, and then it ends, as the rest cannot be judged.
    Last(Vec<u8>, ListError),
}

/// What came of a body that was filtered.
#[derive(Default)]
pub struct FilterEnd {
    /// The body as it came, where it may have to be kept.
    pub kept: Option<Kept>,
    /// Items of lists that were left out because their names cannot be read for certain.
    pub unreadable: usize,
    /// Why it ended before its end.
    pub unfit: Option<ListError>,
    /// Why an event was left out.
    pub skipped: Option<ListError>,
}

/// A body as it came, to be kept where it turns out that it may be.
pub struct Kept {
    /// The name to keep it under.
    pub name: String,
    /// What came so far; nothing more where it is too much.
    pub body: Vec<u8>,
}

enum Inner {
    Events(Box<SseFilter<PolicyOfItems>>),
    Json(Box<ListFilter<PolicyOfItems>>),
    /// Nothing is looked for in it; whether it comes without a known end, and goes on so.
    Plain(bool),
}

impl BodyFilter {
    /// Whether its beginning can be held back for a moment.
    #[must_use]
    pub fn can_wait(&self) -> bool {
        matches!(self.inner, Inner::Json(_) | Inner::Plain(false))
    }

    /// Takes a part of the body: what goes on instead. A stream of events that cannot be judged any more ends with an error for
    /// each request that it answers, so that no client waits for what does not come.
    ///
    /// # Errors
    /// [`ListError`]: then nothing more may go on.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Passage, ListError> {
        let mut out = Vec::with_capacity(bytes.len());
        self.begun |= !bytes.is_empty();
        if let Some(kept) = &mut self.kept {
            kept.body.extend_from_slice(bytes);
        }
        self.kept.take_if(|kept| kept.body.len() > CACHED_LIST_BYTES);
        match &mut self.inner {
            Inner::Events(filter) => {
                if let Err(unfit) = filter.push(bytes, &mut out) {
                    if filter.is_within_event() {
                        out.extend_from_slice(b"\n\n");
                    }
                    for id in &self.ids {
                        out.extend_from_slice(error_event(id, &self.request).as_bytes());
                    }
                    return Ok(Passage::Last(self.restored(out, true), unfit));
                }
            }
            Inner::Json(filter) => filter.push(bytes, &mut out)?,
            Inner::Plain(_) => out.extend_from_slice(bytes),
        }
        Ok(Passage::More(self.restored(out, false)))
    }

    /// Takes the end of the body: what is left to go on.
    ///
    /// # Errors
    /// [`ListError`] where it was not complete.
    pub fn finish(&mut self) -> Result<Vec<u8>, ListError> {
        let mut out = Vec::new();
        match &mut self.inner {
            // What an event stream leaves unfinished is no event, and its reader forgets it.
            Inner::Events(_) | Inner::Plain(_) => {}
            Inner::Json(_) if self.may_be_empty && !self.begun => {}
            Inner::Json(filter) => filter.finish(&mut out)?,
        }
        Ok(self.restored(out, true))
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
    /// After its end: what came of it.
    pub fn end(&mut self, unfit: Option<ListError>) -> FilterEnd {
        let unreadable = match &self.inner {
            Inner::Events(filter) => filter.unreadable(),
            Inner::Json(filter) => filter.unreadable(),
            Inner::Plain(_) => 0,
        };
        let skipped = if let Inner::Events(filter) = &self.inner { filter.unfit() } else { None };
        let whole = unfit.is_none() && skipped.is_none() && unreadable == 0;
        FilterEnd { kept: self.kept.take().filter(|_| whole), unreadable, unfit, skipped }
    }
}

impl std::fmt::Debug for BodyFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BodyFilter")
    }
}
