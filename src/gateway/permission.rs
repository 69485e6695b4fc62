//! From a known caller to a permit: what is asked for, how often, in which session, and whether that is allowed.

use std::rc::Rc;

use base16ct::lower::encode_string as hex;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::forward::answer::{Awaited, ENDPOINT_QUERY, Kept};
use crate::forward::assertion;
use crate::forward::request;
use crate::gateway::{Gateway, Reason, Step};
use crate::mcp::era::Era;
use crate::mcp::inspect::{self, Inspected, Inspection};
use crate::mcp::list_cache::{self, CachedList, Known, Reading};
use crate::mcp::message::Message;
use crate::mcp::session::{Holder, Purpose};
use crate::observe::trail::Trail;
use crate::pipeline::{Authenticated, Permit, Principal, Rejection};
use crate::policy::caller::Caller;
use crate::policy::limit::Limit;
use crate::policy::{self, SessionUse};
use crate::ports::OriginFailure;
use crate::respond;
use crate::time::UnixMillis;
use crate::transport::head::{Fields, Method};

/// A turn to be asked for at a rate-limiting binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Index into the limits of the resource.
    pub limit: usize,
    /// The binding.
    pub binding: String,
    /// The counter.
    pub key: String,
}

impl Gateway {
    pub(super) fn authenticated(
        &self,
        caller: Authenticated,
        trail: &mut Trail,
        now: UnixMillis,
    ) -> Result<Step, Rejection> {
        trail.authentication_ms = now.since(trail.begun);
        match inspect::begin(caller, &self.config, trail)? {
            Inspection::Done(inspected) => self.inspected(*inspected, trail, now),
            Inspection::NeedBody(caller) => Ok(Step::NeedMessage(caller)),
        }
    }

    /// The largest body of a request of this caller.
    pub(super) fn body_bytes(&self, caller: &Authenticated) -> u64 {
        self.config.resources.get(caller.request().index()).map_or(0, |resource| resource.body_bytes)
    }

    /// Walks on with the body that was read.
    #[must_use]
    pub fn message_read(
        &self,
        caller: Authenticated,
        body: Result<Vec<u8>, OriginFailure>,
        trail: &mut Trail,
        now: UnixMillis,
    ) -> Step {
        let step = body
            .map_err(super::failed)
            .and_then(|body| inspect::read(caller, body, &self.config, trail))
            .and_then(|inspected| self.inspected(inspected, trail, now));
        self.or_refuse(step, trail)
    }

    fn inspected(&self, inspected: Inspected, trail: &mut Trail, now: UnixMillis) -> Result<Step, Rejection> {
        let mut turns = Vec::new();
        for (index, key) in self.counted(&inspected)? {
            let limit = self.limit(&inspected, index)?;
            match &limit.binding {
                Some(binding) => turns.push(Turn { limit: index, binding: binding.clone(), key }),
                None => self.count(&inspected, limit, &key, now)?,
            }
        }
        if turns.is_empty() {
            self.in_turn(inspected, trail, now)
        } else {
            Ok(Step::NeedTurns(turns, Box::new(inspected)))
        }
    }

    /// Walks on with what the bindings said, in the order of the turns: whether it is the request's turn. Where a binding
    /// cannot say, this isolate counts.
    #[must_use]
    pub fn turns_taken(
        &self,
        inspected: Inspected,
        turns: Vec<(Turn, Result<bool, String>)>,
        trail: &mut Trail,
        now: UnixMillis,
    ) -> Step {
        let step = || {
            for (turn, said) in turns {
                let limit = self.limit(&inspected, turn.limit)?;
                match said {
                    Ok(true) => {}
                    Ok(false) => return Err(too_often(&inspected, limit.seconds)),
                    Err(_) => self.count(&inspected, limit, &turn.key, now)?,
                }
            }
            self.in_turn(inspected, trail, now)
        };
        let step = step();
        self.or_refuse(step, trail)
    }

    fn limit(&self, inspected: &Inspected, index: usize) -> Result<&Limit, Rejection> {
        let limits = inspected.resource(&self.config).map(|resource| &resource.limits);
        limits.and_then(|limits| limits.get(index)).ok_or(Rejection::Internal("limit index"))
    }

    /// Which limits count a request, and the names of its counters.
    fn counted(&self, inspected: &Inspected) -> Result<Vec<(usize, String)>, Rejection> {
        let resource = inspected.resource(&self.config).ok_or(Rejection::Internal("resource index"))?;
        let post = inspected.authenticated().request().admitted().head().method == Method::Post;
        let caller = inspected.caller().filter(|_| post && !resource.limits.is_empty());
        let Some(caller) = caller else { return Ok(Vec::new()) };
        let calls = inspected.messages().unwrap_or_default().iter().filter_map(Message::call);
        let operations: Vec<_> = calls.filter_map(|call| call.operations().ok()).flatten().map(Some).collect();
        let operations = if operations.is_empty() { vec![None] } else { operations };
        let mut counted = Vec::new();
        for (index, limit) in resource.limits.iter().enumerate() {
            for operation in &operations {
                let parts = limit.parts(operation.as_ref(), &caller);
                counted.extend(parts.map(|parts| (index, self.counter(resource.path.as_str(), limit, &parts))));
            }
        }
        Ok(counted)
    }

    /// A counter's name says nothing of whom it counts, and is the same in all isolates.
    fn counter(&self, resource: &str, limit: &Limit, parts: &[String]) -> String {
        let Ok(mut mac) = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&self.config.pseudonym_key) else {
            return String::new();
        };
        mac.update(format!("limit {} {resource}", limit.terms()).as_bytes());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().get(..16).map(hex).unwrap_or_default()
    }

    fn count(&self, inspected: &Inspected, limit: &Limit, key: &str, now: UnixMillis) -> Result<(), Rejection> {
        let counted = self.memory.borrow().counters.borrow_mut().count(key, limit, now);
        counted.map_err(|retry_after| too_often(inspected, retry_after))
    }

    fn in_turn(&self, inspected: Inspected, trail: &mut Trail, now: UnixMillis) -> Result<Step, Rejection> {
        let session = self.session(&inspected, now)?;
        let permit = policy::authorize(inspected, session, &self.config, trail)?;
        self.permitted(permit, trail, now)
    }

    /// The session that a request belongs to: the caller's own, or none.
    fn session(&self, inspected: &Inspected, now: UnixMillis) -> Result<SessionUse, Rejection> {
        let Some(sessions) = &self.config.sessions else { return Ok(SessionUse::Unbound) };
        let admitted = inspected.authenticated().request().admitted();
        // The modern era has no sessions (T27).
        if admitted.era() == Era::Modern {
            return Ok(SessionUse::None);
        }
        let (Some(resource), Principal::Subject(subject)) =
            (inspected.resource(&self.config), inspected.authenticated().principal())
        else {
            return Err(Rejection::Internal("a session of nobody"));
        };
        let endpoint = admitted.query().filter(|_| admitted.head().method == Method::Post).and_then(endpoint);
        let (sealed, purpose) = match (endpoint, admitted.head().fields.get("mcp-session-id")) {
            (Some(sealed), None) => (sealed, Purpose::Endpoint),
            (None, Some(sealed)) => (sealed, Purpose::Session),
            (None, None) => return Ok(SessionUse::None),
            (Some(_), Some(_)) => return Err(Rejection::SessionUnknown),
        };
        let holder = Holder { subject, resource: &resource.identifier };
        let opened = sessions.open(sealed, purpose, holder, now).ok_or(Rejection::SessionUnknown)?;
        if self.config.revocation.is_some() && self.memory.borrow().revocations.ends(subject, opened.since) {
            return Err(Rejection::SessionUnknown);
        }
        Ok(match purpose {
            Purpose::Session => SessionUse::Id { id: opened.value, sealed: sealed.to_owned() },
            Purpose::Endpoint => SessionUse::Endpoint(opened.value),
        })
    }

    pub(super) fn permitted(&self, permit: Permit, trail: &Trail, now: UnixMillis) -> Result<Step, Rejection> {
        let Some((name, caller)) = self.kept_list(&permit) else { return self.on_its_way(permit, trail, now) };
        let known = self.lists.borrow().get(&name, &caller, now);
        match known {
            Known::Reading(reading, until) => Ok(self.list_answer(&permit, &reading, until, trail, now)),
            Known::List(list) => self.read_list(permit, &name, &list, trail, now),
            Known::Uncached => self.on_its_way(permit, trail, now),
            Known::Nothing => Ok(Step::NeedList(name, permit)),
        }
    }

    /// The name of what a request asks for, where that is a list that may be kept, and who reads it.
    fn kept_list(&self, permit: &Permit) -> Option<(String, Caller)> {
        let inspected = permit.inspected()?;
        let name = list_cache::name(inspected, inspected.resource(&self.config)?)?;
        Some((name, inspected.caller()?))
    }

    /// Walks on with what the cache of the place has of a list.
    #[must_use]
    pub fn list_recalled(
        &self,
        name: String,
        permit: Permit,
        found: Option<Vec<u8>>,
        trail: &Trail,
        now: UnixMillis,
    ) -> Step {
        let list = found.and_then(|text| CachedList::shared(&text, now));
        let list = list.and_then(|list| self.lists.borrow_mut().keep(name.clone(), Some(list), now));
        let step = match list {
            Some(list) => self.read_list(permit, &name, &list, trail, now),
            None => self.on_its_way(permit, trail, now),
        };
        self.or_refuse(step, trail)
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
        trail: &Trail,
        now: UnixMillis,
    ) -> Result<Step, Rejection> {
        let reading = Awaited::of(&permit, &self.config, &self.items).read(list).map_err(Rejection::OriginMalformed)?;
        let reading = Rc::new(reading);
        if let Some(caller) = permit.inspected().and_then(Inspected::caller) {
            self.lists.borrow_mut().keep_reading(name, &caller, &reading);
        }
        Ok(self.list_answer(&permit, &reading, list.until, trail, now))
    }

    fn list_answer(&self, permit: &Permit, reading: &Reading, until: u64, trail: &Trail, now: UnixMillis) -> Step {
        let id = permit.inspected().and_then(|it| it.messages()?.first().map(Message::id)).unwrap_or_default();
        let body = reading.response(&id, until.saturating_sub(now.0));
        let mut fields = Fields::new();
        fields.set("content-type", "application/json");
        let answer = respond::own(200, fields, body, trail, &self.config);
        Step::Answer(answer, Reason::Served("cached_list"))
    }

    fn on_its_way(&self, permit: Permit, trail: &Trail, now: UnixMillis) -> Result<Step, Rejection> {
        let signing_input = match (self.config.assertion_keys.first(), permit.principal()) {
            (Some(key), Principal::Subject(subject)) => {
                let (origin, ..) = permit.destination(&self.config).ok_or(Rejection::Internal("destination"))?;
                Some(assertion::signing_input(&self.config, key, subject, origin, &trail.request_id, now))
            }
            _ => None,
        };
        match signing_input {
            Some(input) => Ok(Step::NeedAssertion(input, permit)),
            None => self.outbound(permit, None, trail),
        }
    }

    pub(super) fn outbound(&self, permit: Permit, assertion: Option<&str>, trail: &Trail) -> Result<Step, Rejection> {
        let awaited = Box::new(Awaited::of(&permit, &self.config, &self.items));
        request::outbound(permit, &self.config, assertion, trail).map(|outbound| Step::Forward(outbound, awaited))
    }
}

/// The value of the query parameter that leads to a session's messages.
fn endpoint(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix(ENDPOINT_QUERY)?.strip_prefix('='))
}

/// Where bodies are not read, clients say what they probe with in `Mcp-Method`, or by having no version yet.
fn too_often(inspected: &Inspected, retry_after: u64) -> Rejection {
    let fields = &inspected.authenticated().request().admitted().head().fields;
    let says = || match fields.get("mcp-method") {
        Some(method) => method == "server/discover",
        None => fields.get("mcp-protocol-version").is_none(),
    };
    let probe = policy::is_probe(inspected.messages()).unwrap_or_else(says);
    Rejection::RateLimited { retry_after, probe }
}
