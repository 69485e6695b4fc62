//! Decisions that the gateway remembers for requests with the same head, so that it does not make them again.
//!
//! A decision is remembered only if it depends on nothing but the head of its request and on what
//! [`Gateway::look_up`] checks again: the credential, its keys, the revocation list, how often the caller was rejected. A
//! request that differs in any field but those of [`PER_REQUEST`] goes through all stages, and so does one for which
//! anything has changed. The table belongs to a [`Gateway`], so a new configuration begins with an empty one.

use std::cell::Cell;
use std::rc::Rc;

use crate::forward::request::OutboundRequest;
use crate::forward::response::{ResponseHead, check_answer};
use crate::forward::response_transform::ResponseTransform;
use crate::gateway::active_request::{
    ActiveRequest, AwaitingAnswer, Repetition, SentCredential, StreamWatch, Suspended,
};
use crate::gateway::credential_need::CredentialNeed;
use crate::gateway::open::Gateway;
use crate::limits::{REMEMBERED_SEEN, REMEMBERED_SET_BYTES, REMEMBERED_SETS, REMEMBERED_WAYS};
use crate::origin_credential::AttachedCredential;
use crate::pipeline::context::RequestContext;
use crate::pipeline::permit::Permit;
use crate::pipeline::recognized::Recognized;
use crate::pipeline::respond;
use crate::pipeline::verification::VerificationContext;
use crate::policy::counters::{CounterName, Rate};
use crate::ports::Ports;
use crate::resource::landing_page::ServerStatus;
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::time::UnixMillis;
use crate::token::binding::Requirement;
use crate::transport::head::{Fields, Method, content_length};
use crate::transport::head_text::{HeadFingerprint, PER_REQUEST, fingerprint};
use crate::transport::trace::Trace;

/// A remembered decision to forward a request.
#[derive(Debug)]
pub struct RememberedDecision {
    id: u32,
    resource: Rc<Resource>,
    recognized: Recognized,
    /// The counter of the caller's rejected requests.
    refusals: (CounterName, Rate),
    /// The credential for the origin server, if it gets one, and what it was obtained for.
    credential: Option<(AttachedCredential, Rc<CredentialNeed>)>,
    /// Whether an event stream that answers such a request is watched.
    is_watched: bool,
    /// The context of the request that was decided.
    context: RequestContext,
    /// Estimated bytes that it takes, with what the shell keeps for it.
    bytes: usize,
}

/// Estimated bytes that a decision takes besides its head, the fields for the origin server and the credential.
const OVERHEAD: usize = 1536;

thread_local! {
    /// The number of the next decision, of any gateway.
    static NEXT: Cell<u32> = const { Cell::new(0) };
}

impl RememberedDecision {
    /// Its number, which no other decision has: the shell compares it, because a place may get another decision.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The fields that every answer gets which the origin server gives with none of its own that the gateway forwards,
    /// without the id of the request.
    #[must_use]
    pub fn answer_fields(&self, settings: &Settings) -> Fields {
        let bare = ResponseHead { status: 200, fields: Fields::new() };
        let mut fields = check_answer(bare).map_or_else(|_| Fields::new(), |head| head.fields);
        respond::complete(&mut fields, &self.context, settings);
        fields.remove("x-request-id");
        fields
    }

    /// A repeated request that waits for the answer of its origin server.
    #[must_use]
    pub fn awaiting_answer(&self, request_id: String, trace: Trace, sent: UnixMillis) -> Suspended<AwaitingAnswer> {
        let credential = self.credential.clone();
        let credential =
            credential.map(|(credential, need)| SentCredential { credential, need, repetition: Repetition::Streamed });
        let stage = AwaitingAnswer {
            transform: Box::new(ResponseTransform::nothing()),
            sent,
            remembered: None,
            credential,
            again: None,
            watch: self.is_watched.then(|| StreamWatch::new(self.recognized.clone())),
        };
        Suspended::repeated(self.context.again(request_id, trace, sent), stage)
    }
}

/// A decision and its place in the table, under which the shell keeps what it made of it.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// The place.
    pub slot: usize,
    /// The decision.
    pub decision: Rc<RememberedDecision>,
    /// The places of decisions that were forgotten for it.
    pub freed: Vec<usize>,
}

/// A request whose head was decided before, with the same result now.
#[derive(Debug)]
pub struct Recalled {
    /// The place of the decision in the table.
    pub slot: usize,
    /// The number of the decision.
    pub decision: u32,
    /// The fingerprint and the length of the head, for a shell that does not have what it needs any more.
    pub fingerprint: (HeadFingerprint, usize),
    /// The id of this request.
    pub request_id: String,
    /// Its trace context.
    pub trace: Trace,
    /// `tracestate`, if it is forwarded.
    pub tracestate: Option<String>,
    /// Whether the length of its body is announced.
    pub announces_length: bool,
}

/// The result of [`Gateway::look_up`].
#[derive(Debug)]
pub enum LookUp {
    /// The request may be forwarded as the one before.
    Recalled(Recalled),
    /// The request has to be decided; with the fingerprint of its head and its length, the decision may be remembered.
    Unknown(Option<(HeadFingerprint, usize)>),
}

/// The table: sets of a few places each, so that a look-up and an eviction each read one set.
#[derive(Debug)]
pub(super) struct RememberedDecisions {
    key: [u8; 16],
    places: Vec<Option<(HeadFingerprint, Rc<RememberedDecision>)>>,
    /// Parts of fingerprints that occurred once. A head is remembered only when it occurs again, so that a client whose
    /// heads all differ evicts nothing.
    seen: Vec<u32>,
    next_way: usize,
}

impl RememberedDecisions {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self { key, places: Vec::new(), seen: Vec::new(), next_way: 0 }
    }

    /// The first place of the set of a head.
    fn set_of(head: HeadFingerprint) -> usize {
        let [low, high, ..] = head.to_le_bytes();
        usize::from(u16::from_le_bytes([low, high])) % REMEMBERED_SETS * REMEMBERED_WAYS
    }

    fn get(&self, head: HeadFingerprint) -> Option<(usize, Rc<RememberedDecision>)> {
        let first = Self::set_of(head);
        let set = self.places.get(first..first + REMEMBERED_WAYS)?.iter().enumerate();
        let mut known = set.filter_map(|(way, place)| Some((way, place.as_ref()?)));
        let (way, (_, decision)) = known.find(|(_, (known, _))| *known == head)?;
        Some((first + way, Rc::clone(decision)))
    }

    /// Whether this head was seen before. It counts as seen from now on.
    fn saw(&mut self, head: HeadFingerprint) -> bool {
        self.seen.resize(REMEMBERED_SEEN, 0);
        let [a, b, c, d, low, high, ..] = head.to_be_bytes();
        let (at, part) =
            (usize::from(u16::from_be_bytes([high, low])) % REMEMBERED_SEEN, u32::from_be_bytes([a, b, c, d]));
        self.seen.get_mut(at).is_some_and(|seen| std::mem::replace(seen, part) == part)
    }

    /// Puts a decision into its set, in place of others if the set is full.
    fn put(&mut self, head: HeadFingerprint, decision: RememberedDecision) -> Option<Remembered> {
        self.places.resize_with(REMEMBERED_SETS * REMEMBERED_WAYS, || None);
        let first = Self::set_of(head);
        let set = self.places.get_mut(first..first + REMEMBERED_WAYS)?;
        let mut room = REMEMBERED_SET_BYTES.checked_sub(decision.bytes)?;
        let same = set.iter().position(|place| place.as_ref().is_some_and(|(known, _)| *known == head));
        let way = same.or_else(|| set.iter().position(Option::is_none)).unwrap_or(self.next_way);
        self.next_way = (self.next_way + 1) % REMEMBERED_WAYS;
        let decision = Rc::new(decision);
        *set.get_mut(way)? = Some((head, Rc::clone(&decision)));
        let mut freed = Vec::new();
        for (other, place) in set.iter_mut().enumerate().filter(|(other, _)| *other != way) {
            let Some((_, known)) = place else { continue };
            if let Some(left) = room.checked_sub(known.bytes) {
                room = left;
            } else {
                *place = None;
                freed.push(first + other);
            }
        }
        Some(Remembered { slot: first + way, decision, freed })
    }
}

impl Gateway {
    /// Looks for the decision about a head, in the form of [`crate::transport::head_text`]. A request is recalled only if
    /// it would pass all stages now.
    pub fn look_up<P: Ports>(&self, ports: &P, head: &str) -> LookUp {
        let mut table = self.remembered.borrow_mut();
        let length = head.len();
        let Some((head, fields)) = fingerprint(head, &table.key) else { return LookUp::Unknown(None) };
        let Some((slot, decision)) = table.get(head) else {
            return LookUp::Unknown(table.saw(head).then_some((head, length)));
        };
        let body = fields.content_length.map_or(Some(0), content_length);
        let may_have_body = body.is_some_and(|length| length <= decision.resource.body_bytes);
        if !may_have_body || !self.still_holds(&decision, ports.now()) {
            return LookUp::Unknown(Some((head, length)));
        }
        let mut random = [0; 40];
        ports.fill(&mut random);
        let (request_id, trace) = RequestContext::ids(fields.traceparent, &random);
        let tracestate = fields.tracestate.filter(|_| trace.continued()).map(str::to_owned);
        let announces_length = fields.content_length.is_some() && body > Some(0);
        LookUp::Recalled(Recalled {
            slot,
            decision: decision.id,
            fingerprint: (head, length),
            request_id,
            trace,
            tracestate,
            announces_length,
        })
    }

    fn still_holds(&self, decision: &RememberedDecision, now: UnixMillis) -> bool {
        let resource = &decision.resource;
        // Only a request that goes through all stages records that the server answers again.
        if self.servers.borrow().get(&resource.index) != Some(&ServerStatus::Answering) {
            return false;
        }
        let state = decision.recognized.issuer().map(|issuer| self.issuers.of(issuer));
        let keys = state.as_ref().map(|state| state.keys.borrow());
        let mut memory = self.memory.borrow_mut();
        let (settings, compiled) = (&self.settings, &self.compiled);
        let mut known = VerificationContext { settings, keys: keys.as_deref(), compiled, memory: &mut memory, now };
        if !decision.recognized.still_holds(resource, &mut known) {
            return false;
        }
        if decision.credential.as_ref().is_some_and(|(used, _)| !memory.origin_tokens.is_current(used, now)) {
            return false;
        }
        let (name, rate) = &decision.refusals;
        let holds = memory.counters.borrow_mut().of_refusals(false).check(name, *rate, now).is_ok();
        if holds {
            memory.cache.count(true);
        }
        holds
    }

    /// The credential of a permitted request, if the permit depends on nothing but the head of the request and on what
    /// [`Self::look_up`] checks.
    fn depends_on_head_alone<'a>(&self, permit: &'a Permit) -> Option<&'a Recognized> {
        let inspected = permit.inspected()?;
        let resource = inspected.resource();
        let depends_on_more = inspected.messages().is_some()
            || self.settings.sessions.is_some()
            || resource.policy.is_some()
            || resource.lock.is_some()
            || resource.content.is_some()
            || !resource.limits.is_empty()
            || resource.dpop != Requirement::Off
            || resource.certificate_bound != Requirement::Off
            || resource.forward_fields.iter().any(|field| PER_REQUEST.contains(&field.as_str()));
        inspected.authenticated().recognized().filter(|_| !depends_on_more)
    }
}

impl<P: Ports> ActiveRequest<'_, P> {
    /// Remembers the decision to forward this request, if it depends on the head of the request alone and the head has
    /// occurred before.
    pub(super) fn remember(
        &self,
        permit: &Permit,
        credential: Option<&(AttachedCredential, Rc<CredentialNeed>)>,
        request: &OutboundRequest,
    ) -> Option<Remembered> {
        let (head, length) = self.fingerprint?;
        // A request without a message can be sent again with another credential, which needs its permit.
        if credential.is_some() && self.context.method != Method::Post {
            return None;
        }
        let recognized = self.gateway.depends_on_head_alone(permit)?.clone();
        let inspected = permit.inspected()?;
        let bytes = OVERHEAD + length + request.fields().bytes() + recognized.verified_bytes();
        let decision = RememberedDecision {
            id: NEXT.replace(NEXT.get().wrapping_add(1)),
            resource: Rc::clone(inspected.resource()),
            recognized,
            refusals: self.gateway.refusals(inspected),
            credential: credential.cloned(),
            is_watched: request.watch().is_some(),
            context: self.context.clone(),
            bytes,
        };
        self.gateway.remembered.borrow_mut().put(head, decision)
    }
}
