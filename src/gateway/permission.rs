//! From a known caller to a permit: what is asked for, how often, in which session, and whether that is allowed.

use std::rc::Rc;

use base16ct::lower::encode_string as hex;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::forward::answer::{Awaited, ENDPOINT_QUERY, Kept};
use crate::forward::list_key::list_key;
use crate::forward::{assertion, request};
use crate::gateway::{Gateway, Reason, Step};
use crate::mcp::era::Era;
use crate::mcp::list_cache::{CachedList, Known, Reading};
use crate::mcp::message::Message;
use crate::mcp::operation::Operation;
use crate::mcp::session::{Purpose, Sessions};
use crate::pipeline::authenticate::Authenticated;
use crate::pipeline::authorize::{self, Authorized, LimitedTool, Permit, SessionUse};
use crate::pipeline::context::RequestContext;
use crate::pipeline::inspect::{self, Inspected, Inspection};
use crate::pipeline::rejection::Rejection;
use crate::pipeline::respond;
use crate::policy::caller::Caller;
use crate::policy::counters::{CounterName, Rate};
use crate::policy::limit::{Limit, LimitKey};
use crate::policy::pattern::fold;
use crate::ports::OriginFailure;
use crate::time::UnixMillis;
use crate::token::principal::Principal;
use crate::transport::head::{Fields, Method};

/// A turn to be asked for at a rate-limiting binding.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The limit.
    pub limit: Rc<Limit>,
    /// The binding.
    pub binding: String,
    /// The counter.
    pub counter: CounterName,
}

/// What tells one caller from another. Its client does not: one user may log in with as many clients as it likes.
fn identity(caller: &Caller) -> [&str; 2] {
    [&caller.subject.issuer, &caller.subject.subject]
}

impl Gateway {
    pub(super) fn authenticated(
        &self,
        caller: Authenticated,
        context: &mut RequestContext,
        now: UnixMillis,
    ) -> Result<Step, Rejection> {
        context.authentication_ms = now.since(context.received);
        match inspect::begin(caller, context) {
            Inspection::Done(inspected) => self.inspected(*inspected, context, now),
            Inspection::NeedBody(caller) => Ok(Step::NeedMessage(caller)),
        }
    }

    /// The largest body of a request of this caller.
    pub(super) fn body_bytes(caller: &Authenticated) -> u64 {
        caller.request().resource().body_bytes
    }

    /// Walks on with the body that was read.
    #[must_use]
    pub fn message_read(
        &self,
        caller: Authenticated,
        body: Result<Vec<u8>, OriginFailure>,
        context: &mut RequestContext,
        now: UnixMillis,
    ) -> Step {
        let limit = Self::body_bytes(&caller);
        let step = body
            .map_err(|failure| super::failed(failure, Some(limit)))
            .and_then(|body| inspect::read(caller, body, &self.config, context))
            .and_then(|inspected| self.inspected(inspected, context, now));
        self.or_refuse(step, context)
    }

    /// Judges a request, and then counts it:
    ///
    /// 1. a caller whom the policy refused too often within a minute is refused before any rule is evaluated;
    /// 2. its session is its own, and the rules permit what it asks for;
    /// 3. only what is permitted counts for the limits of the resource, so that no caller uses up what it may not have.
    fn inspected(
        &self,
        inspected: Inspected,
        context: &mut RequestContext,
        now: UnixMillis,
    ) -> Result<Step, Rejection> {
        let refusals = self.refusals(&inspected);
        if let Some((name, rate)) = &refusals {
            let checked = self.memory.borrow().counters.borrow_mut().refusals.check(name, *rate, now);
            checked.map_err(|retry_after| too_often(&inspected, retry_after))?;
        }
        let templates = (inspected.resource().index, "resourceTemplates");
        let templates = || self.items.borrow().names(templates);
        let authorized = self
            .session(&inspected, now)
            .and_then(|session| authorize::authorize(inspected, session, &self.config, &templates, context));
        let refused = match &authorized {
            Ok(authorized) => authorized.permit().refusal().is_some(),
            Err(rejection) => rejection.is_of_policy(),
        };
        if let (Some((name, rate)), true) = (&refusals, refused) {
            // Whether it was one too many is asked before the next request.
            let _ = self.memory.borrow().counters.borrow_mut().refusals.count(name, *rate, now);
        }
        let authorized = authorized?;
        let mut turns = Vec::new();
        let mut here = Vec::new();
        for (limit, counter) in self.limited(&authorized) {
            match &limit.binding {
                Some(binding) => turns.push(Turn { binding: binding.clone(), limit, counter }),
                None => here.push((counter, limit.rate())),
            }
        }
        let memory = self.memory.borrow();
        let mut counters = memory.counters.borrow_mut();
        if turns.is_empty() {
            counters.resources.count_all(&here, now).map_err(|(_, after)| authorized_too_often(&authorized, after))?;
            drop(counters);
            drop(memory);
            self.permitted(authorized.within_limits(), context, now)
        } else {
            // A request that is refused anyway takes no turn of a binding.
            counters.resources.check_all(&here, now).map_err(|(_, after)| authorized_too_often(&authorized, after))?;
            drop(counters);
            drop(memory);
            Ok(Step::NeedTurns(turns, Box::new(authorized)))
        }
    }

    /// Walks on with what the bindings said: whether it is the request's turn. Where a binding cannot say, this isolate
    /// counts.
    #[must_use]
    pub fn turns_taken(
        &self,
        authorized: Authorized,
        turns: Vec<(Turn, Result<bool, String>)>,
        context: &mut RequestContext,
        now: UnixMillis,
    ) -> Step {
        let step = || {
            if let Some((refused, _)) = turns.iter().find(|(_, said)| *said == Ok(false)) {
                return Err(authorized_too_often(&authorized, refused.limit.seconds));
            }
            let mut here = Vec::new();
            // In the order in which they were asked for.
            let mut said = turns.iter();
            for (limit, counter) in self.limited(&authorized) {
                let answer = limit.binding.as_ref().and_then(|_| said.next());
                if !matches!(answer, Some((_, Ok(true)))) {
                    here.push((counter, limit.rate()));
                }
            }
            let counted = self.memory.borrow().counters.borrow_mut().resources.count_all(&here, now);
            counted.map_err(|(_, after)| authorized_too_often(&authorized, after))?;
            self.permitted(authorized.within_limits(), context, now)
        };
        let step = step();
        self.or_refuse(step, context)
    }

    /// Where the refused requests of a caller are counted, and how many there may be.
    fn refusals(&self, inspected: &Inspected) -> Option<(CounterName, Rate)> {
        let resource = inspected.resource();
        let caller = inspected.caller()?;
        let key = self.counter("refusals", resource.path.as_str(), &identity(&caller));
        Some((CounterName::of_caller(key), Rate::per_minute(resource.refusals_per_minute)))
    }

    /// Which limits count a request, and the names of its counters.
    fn limited(&self, authorized: &Authorized) -> Vec<(Rc<Limit>, CounterName)> {
        let Some(inspected) = authorized.permit().inspected() else { return Vec::new() };
        let resource = inspected.resource();
        let post = authorized.permit().admitted().head().method == Method::Post;
        let caller = inspected.caller().filter(|_| post && !resource.limits.is_empty());
        let Some(caller) = caller else { return Vec::new() };
        let path = resource.path.as_str();
        let of_caller = identity(&caller);
        let owner = self.counter("caller", path, &of_caller);
        let mut limited = Vec::new();
        for limit in &resource.limits {
            let terms = limit.terms();
            let shared = || self.counter(&format!("other tools {terms}"), path, &of_caller);
            for call in authorized.calls().iter().filter(|call| limit.counts(call.operation.as_ref())) {
                // Servers that ignore case take these for one tool.
                let tool = call.operation.as_ref().and_then(Operation::tool).map(fold);
                let key = |what| self.counter(&format!("{what} {terms}"), path, &limit.parts(tool.as_deref(), &caller));
                let (key, shared) = match (&call.tool, limit.by.contains(&LimitKey::Tool)) {
                    (_, false) => (key("limit"), key("limit")),
                    (LimitedTool::Itself, true) => (key("limit"), shared()),
                    (LimitedTool::StandIn, true) => (key("hidden tools"), shared()),
                    (LimitedTool::Unknown, true) => (shared(), shared()),
                };
                limited.push((Rc::clone(limit), CounterName { key, shared, owner: owner.clone() }));
            }
        }
        limited
    }

    /// A counter's name says nothing of whom it counts, and is the same in all isolates.
    fn counter(&self, what: &str, resource: &str, parts: &[&str]) -> String {
        let Ok(mut mac) = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&self.config.pseudonym_key) else {
            return String::new();
        };
        mac.update(format!("{what} {resource}").as_bytes());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().get(..16).map(hex).unwrap_or_default()
    }

    /// The session that a request belongs to, the caller's own or none, and the last event of it that the caller names.
    fn session(&self, inspected: &Inspected, now: UnixMillis) -> Result<(SessionUse, Option<String>), Rejection> {
        let Some(sessions) = &self.config.sessions else { return Ok((SessionUse::Unbound, None)) };
        let admitted = inspected.authenticated().request().admitted();
        // The modern era has no sessions, and resumes nothing (T27).
        if admitted.era() == Era::Modern {
            return Ok((SessionUse::None, None));
        }
        let session = self.session_of(sessions, inspected, now)?;
        let (Some(marked), Principal::Subject(subject)) = (
            admitted.head().fields.get("last-event-id").filter(|id| !id.is_empty()),
            inspected.authenticated().principal(),
        ) else {
            return Ok((session, None));
        };
        let holder = subject.holder(&inspected.resource().identifier);
        let id = sessions.event_id(marked, holder, session.id()).ok_or(Rejection::SessionUnknown)?.to_owned();
        Ok((session, Some(id)))
    }

    fn session_of(&self, sessions: &Sessions, inspected: &Inspected, now: UnixMillis) -> Result<SessionUse, Rejection> {
        let admitted = inspected.authenticated().request().admitted();
        let Principal::Subject(subject) = inspected.authenticated().principal() else {
            return Err(Rejection::Internal("a session without a caller"));
        };
        let endpoint = admitted.query().filter(|_| admitted.head().method == Method::Post).and_then(endpoint);
        let (sealed, purpose) = match (endpoint, admitted.head().fields.get("mcp-session-id")) {
            (Some(sealed), None) => (sealed, Purpose::Endpoint),
            (None, Some(sealed)) => (sealed, Purpose::Session),
            (None, None) => return Ok(SessionUse::None),
            (Some(_), Some(_)) => return Err(Rejection::SessionUnknown),
        };
        let holder = subject.holder(&inspected.resource().identifier);
        let opened = sessions.open(sealed, purpose, holder, now).ok_or(Rejection::SessionUnknown)?;
        if self.config.revocation.is_some() && self.memory.borrow().revocations.ends(subject, opened.since) {
            return Err(Rejection::SessionUnknown);
        }
        Ok(match purpose {
            Purpose::Session => SessionUse::Id { id: opened.value, sealed: sealed.to_owned() },
            Purpose::Endpoint => SessionUse::Endpoint(opened.value),
        })
    }

    pub(super) fn permitted(
        &self,
        permit: Permit,
        context: &RequestContext,
        now: UnixMillis,
    ) -> Result<Step, Rejection> {
        let Some((name, caller)) = kept_list(&permit) else { return Ok(self.on_its_way(permit, context, now)) };
        let known = self.lists.borrow().get(&name, &caller, now);
        match known {
            Known::Reading(reading, until) => Ok(self.list_answer(&permit, &reading, until, context, now)),
            Known::List(list) => self.read_list(permit, &name, &list, context, now),
            Known::Uncached => Ok(self.on_its_way(permit, context, now)),
            Known::Nothing => Ok(Step::NeedList(name, permit)),
        }
    }

    /// Walks on with what the cache of the place has of a list.
    #[must_use]
    pub fn list_recalled(
        &self,
        name: String,
        permit: Permit,
        found: Option<Vec<u8>>,
        context: &RequestContext,
        now: UnixMillis,
    ) -> Step {
        let list = found.and_then(|text| CachedList::shared(&text, now));
        let list = list.and_then(|list| self.lists.borrow_mut().keep(name.clone(), Some(list), now));
        let step = match list {
            Some(list) => self.read_list(permit, &name, &list, context, now),
            None => Ok(self.on_its_way(permit, context, now)),
        };
        self.or_refuse(step, context)
    }

    /// Keeps a list that came from its origin server, where that calls it public: what other isolates should be told.
    pub(super) fn keep_list(&self, kept: Kept, now: UnixMillis) -> Option<Rc<CachedList>> {
        self.lists.borrow_mut().keep(kept.name, CachedList::of(&kept.body, now), now)
    }

    fn read_list(
        &self,
        permit: Permit,
        name: &str,
        list: &CachedList,
        context: &RequestContext,
        now: UnixMillis,
    ) -> Result<Step, Rejection> {
        let reading = Awaited::of(&permit, &self.config, &self.items).read(list).map_err(Rejection::OriginMalformed)?;
        let reading = Rc::new(reading);
        if let Some(caller) = permit.inspected().and_then(Inspected::caller) {
            self.lists.borrow_mut().keep_reading(name, &caller, &reading);
        }
        Ok(self.list_answer(&permit, &reading, list.until, context, now))
    }

    fn list_answer(
        &self,
        permit: &Permit,
        reading: &Reading,
        until: u64,
        context: &RequestContext,
        now: UnixMillis,
    ) -> Step {
        let id = permit.inspected().and_then(|it| it.messages()?.first().map(Message::id)).unwrap_or_default();
        let body = reading.response(&id, until.saturating_sub(now.0));
        let mut fields = Fields::new();
        fields.set("content-type", "application/json");
        let answer = respond::own(200, fields, body, context, &self.config);
        Step::Answer(answer, Reason::Served("cached_list"))
    }

    fn on_its_way(&self, permit: Permit, context: &RequestContext, now: UnixMillis) -> Step {
        let signing_input = match (self.config.assertion_keys.first(), permit.principal()) {
            (Some(key), Principal::Subject(subject)) => {
                let (origin, ..) = permit.destination();
                Some(assertion::signing_input(&self.config, key, subject, origin, &context.request_id, now))
            }
            _ => None,
        };
        match signing_input {
            Some(input) => Step::NeedAssertion(input, permit),
            None => self.outbound(permit, None, context),
        }
    }

    pub(super) fn outbound(&self, permit: Permit, assertion: Option<&str>, context: &RequestContext) -> Step {
        let awaited = Box::new(Awaited::of(&permit, &self.config, &self.items));
        Step::Forward(request::outbound(&permit, assertion, context), awaited)
    }
}

/// The name of what a request asks for, where that is a list that may be kept, and who reads it.
fn kept_list(permit: &Permit) -> Option<(String, Caller)> {
    let inspected = permit.inspected()?;
    let name = list_key(inspected)?;
    Some((name, inspected.caller()?))
}

/// The value of the query parameter that leads to a session's messages.
fn endpoint(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix(ENDPOINT_QUERY)?.strip_prefix('='))
}

fn authorized_too_often(authorized: &Authorized, retry_after: u64) -> Rejection {
    match authorized.permit().inspected() {
        Some(inspected) => too_often(inspected, retry_after),
        None => Rejection::RateLimited { retry_after, probe: false },
    }
}

/// Where bodies are not read, clients say what they probe with in `Mcp-Method`, or by having no version yet.
fn too_often(inspected: &Inspected, retry_after: u64) -> Rejection {
    let fields = &inspected.authenticated().request().admitted().head().fields;
    let says = || match fields.get("mcp-method") {
        Some(method) => method == "server/discover",
        None => fields.get("mcp-protocol-version").is_none(),
    };
    let probe = authorize::is_probe(inspected.messages()).unwrap_or_else(says);
    Rejection::RateLimited { retry_after, probe }
}
