//! The whole road of a request.
//!
//! [`Gateway::begin`] walks it without waiting, stage by stage, and stops where something is needed from the world:
//! a [`Step`] says what, [`Underway`] carries it, and [`serve`] meets the needs through the ports and walks on.

mod ask;
mod issuer_state;
mod keys;
mod lasting;
mod permission;
mod serve;
mod stored;
mod underway;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::authorization_server::memory::ServerMemory;
use crate::authorization_server::settings::AuthorizationServer;
use crate::config::{self, Configuration, Mistakes, Secrets};
use crate::forward::answer::{Awaited, BodyFilter};
use crate::forward::request::OutboundRequest;
use crate::forward::response::{InboundHead, judge};
use crate::gateway::issuer_state::IssuerStates;
use crate::jwks::freshness::Freshness;
use crate::jwks::key_set::NoKey;
use crate::jwks::signing_key;
use crate::limits::{JWKS_RETRY, QUESTION_RETRY, REVOCATION_RETRY};
use crate::mcp::envelope::RequestId;
use crate::mcp::known_items::KnownItems;
use crate::mcp::list_cache::ListCache;
use crate::mcp::message;
use crate::mcp::session::NONCE_BYTES;
use crate::observe::decision::Chain;
use crate::observe::event::{EndpointOutcome, Outcome};
use crate::observe::metrics::{Gauges, Metrics};
use crate::pipeline::admit::admit;
use crate::pipeline::authenticate::{
    self, Authenticated, Authenticating, Authentication, Compiled, Known, Memory, Need,
};
use crate::pipeline::authorize::{self, Authorized, Permit};
use crate::pipeline::context::RequestContext;
use crate::pipeline::rejection::{Dependency, Rejection};
use crate::pipeline::respond::{self, Answer};
use crate::pipeline::route::{EndpointRequest, ResourceRequest, Routed, route};
use crate::policy::caller::Caller;
use crate::ports::OriginFailure;
use crate::resource::landing_page::{self, face};
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::time::UnixMillis;
use crate::token::binding::proof::ProofError;
use crate::token::binding::replay::Use;
use crate::token::cache::Counts;
use crate::token::error::TokenError;
use crate::token::issuer::Issuer;
use crate::token::revocation::{Due, RevocationList};
use crate::token::signature::SignatureCheck;
use crate::token::verifier::Answered;
use crate::transport::head::{Fields, Head, Method};

pub use keys::Keys;
pub use permission::Turn;
pub use serve::{Served, filtered, go_on, serve};
pub use stored::{Look, StoredGateway, Taken, version};
pub use underway::{Arrived, Checking, Next, Passing, Reading, Sending, Signing, Underway, serve_closed};

/// A gateway with a valid configuration, and what it has learned of credentials and those who vouch for them.
#[derive(Debug)]
pub struct Gateway {
    config: Settings,
    /// The version of its configuration, where that is in KV.
    version: Option<String>,
    compiled: Compiled,
    /// Names of credentials in memory depend on it.
    salt: [u8; 32],
    issuers: IssuerStates,
    /// Whether the servers of resources answered, by the places of the resources in configuration.
    servers: RefCell<BTreeMap<usize, landing_page::Server>>,
    memory: RefCell<Memory>,
    /// Public lists.
    lists: RefCell<ListCache<Caller>>,
    /// Items of lists as they came last.
    items: Rc<RefCell<KnownItems>>,
    /// Decisions that were recorded, each bound to the one before.
    chain: Rc<RefCell<Chain>>,
    /// What should be done in the background.
    due: RefCell<Vec<Errand>>,
    /// Counters.
    metrics: RefCell<Metrics>,
    /// The authorization server that it is, and what that remembers.
    authorization_server: Option<(AuthorizationServer, ServerMemory)>,
}

/// Something to do in the background.
#[derive(Debug)]
enum Errand {
    /// Refresh the keys of an issuer.
    Keys(Rc<Issuer>),
    /// Read the list of what is revoked again.
    Revocations,
}

/// Where the walk stopped.
#[derive(Debug)]
pub enum Step {
    /// The gateway answers by itself.
    Answer(Answer, Reason),
    /// The request goes to its origin server; the answer is received by what awaits it.
    Forward(OutboundRequest, Box<Awaited>),
    /// Authentication needs something: [`Gateway::keys_fetched`], [`Gateway::signature_checked`],
    /// [`Gateway::answered`], [`Gateway::revocations_read`] or [`Gateway::used`].
    Need(Need, Box<Authenticating>),
    /// The body has to be read, as rules are about what it asks for: [`Gateway::message_read`].
    NeedMessage(Box<Authenticated>),
    /// Turns have to be asked for: [`Gateway::turns_taken`].
    NeedTurns(Vec<Turn>, Box<Authorized>),
    /// The cache of the place may have the list that is asked for: [`Gateway::list_recalled`].
    NeedList(String, Permit),
    /// An assertion has to be signed: [`Gateway::assertion_signed`].
    NeedAssertion(String, Permit),
    /// The authorization server has to answer, which the driver waits for.
    NeedServer(Box<EndpointRequest>),
    /// A refusal can name the request's id if the body is read: [`Gateway::refused`].
    NeedBody(Rejection),
}

/// Why the gateway answers by itself.
#[derive(Debug)]
pub enum Reason {
    /// It publishes what was asked for, or answers a preflight.
    Served(&'static str),
    /// It refuses.
    Refused(Rejection),
    /// The authorization server answers.
    Told(EndpointOutcome),
}

impl Gateway {
    /// Opens a gateway. `salt` is 32 unpredictable bytes, `compiled` the verifiers of whoever built it.
    ///
    /// # Errors
    /// Every mistake of the configuration: see [`Settings::load`].
    pub fn open(
        document: serde_json::Value,
        secrets: &dyn Secrets,
        salt: [u8; 32],
        compiled: Compiled,
    ) -> Result<Self, Mistakes> {
        let Configuration { settings: config, authorization_server } = Configuration::load(document, secrets)?;
        let mut mistakes = Mistakes::new();
        for custom in compiled.missing(&config.verifiers) {
            let name = &custom.name;
            mistakes.note(
                format_args!("verifiers[{}].compiled", custom.index),
                format_args!("no verifier {name:?} is compiled into this Worker"),
            );
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let memory = Memory::default();
        let authorization_server = authorization_server.map(|server| (server, ServerMemory::sharing(&memory.counters)));
        Ok(Self {
            issuers: IssuerStates::default(),
            servers: RefCell::default(),
            config,
            version: None,
            compiled,
            lists: RefCell::default(),
            items: Rc::default(),
            chain: Rc::new(RefCell::new(Chain::begin(&salt))),
            salt,
            memory: RefCell::new(memory),
            due: RefCell::default(),
            metrics: RefCell::default(),
            authorization_server,
        })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Settings {
        &self.config
    }

    /// What an operator should know about the configuration, which is valid.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        config::warnings(&self.config)
    }

    /// The bindings that the configuration names: see [`config::bindings`].
    #[must_use]
    pub fn bindings(&self) -> Vec<(&str, &'static str, String)> {
        config::bindings(&self.config, self.authorization_server.as_ref().map(|(server, _)| server))
    }

    /// Walks as far as it can be walked without waiting.
    #[must_use]
    pub fn begin(&self, head: Head, context: &mut RequestContext, now: UnixMillis) -> Step {
        let step = || -> Result<Step, Rejection> {
            let admitted = admit(head, &self.config)?;
            context.audit.note_era(admitted.era());
            match route(admitted, &self.config, context)? {
                Routed::Document(document, method) => {
                    let (status, fields, body) = document.response(method);
                    let answer = respond::own(status, fields, body, context, &self.config);
                    Ok(Step::Answer(answer, Reason::Served("public_document")))
                }
                Routed::Preflight(fields) => {
                    let answer = respond::own(204, fields, String::new(), context, &self.config);
                    Ok(Step::Answer(answer, Reason::Served("preflight")))
                }
                Routed::Metrics => {
                    let mut fields = Fields::new();
                    fields.set("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8");
                    let body = self.metrics.borrow().text(&self.gauges(now), now);
                    let answer = respond::own(200, fields, body, context, &self.config);
                    Ok(Step::Answer(answer, Reason::Served("metrics")))
                }
                Routed::LandingPage(method, page) => {
                    let known = |resource: &Resource| {
                        let server = self.servers.borrow().get(&resource.index).copied().unwrap_or_default();
                        (self.keys_of(resource, now), server)
                    };
                    let (status, fields, body) = face(&self.config, method, page, &known);
                    let answer = respond::own(status, fields, body, context, &self.config);
                    Ok(Step::Answer(answer, Reason::Served("public_document")))
                }
                Routed::AuthorizationServer(request) => Ok(Step::NeedServer(Box::new(request))),
                Routed::Public(request) => self.permitted(authorize::open(request), context, now),
                Routed::Resource(request) => self.authenticate(request, context, now),
            }
        };
        let step = step();
        self.or_refuse(step, context)
    }

    /// Counts a request, where somebody reads counters.
    fn tally(&self, context: &RequestContext, outcome: &Outcome<'_>) {
        if self.config.metrics.is_some() {
            self.metrics.borrow_mut().count(context, outcome);
        }
    }

    /// For how many seconds the keys of the issuer of that name are still fresh, where there are any that age.
    fn fresh_for(&self, name: Option<&str>, now: UnixMillis) -> Option<u64> {
        let mut issuers = self.config.verifiers.issuers.iter();
        issuers.find(|issuer| Some(issuer.name.as_str()) == name).and_then(|it| self.issuers.of(it).fresh_for(now))
    }

    fn gauges(&self, now: UnixMillis) -> Gauges {
        let issuers = self.config.verifiers.issuers.iter();
        Gauges {
            tokens: self.memory.borrow().cache.size(),
            keys: issuers.map(|issuer| (issuer.name.clone(), self.issuers.of(issuer).fresh_for(now))).collect(),
            version: self.version.clone(),
        }
    }

    /// What the public may know of the keys of a resource's issuers.
    fn keys_of(&self, resource: &Resource, now: UnixMillis) -> landing_page::Keys {
        let states = resource.accepts.issuers.iter().map(|issuer| self.issuers.of(issuer));
        states.fold(landing_page::Keys::Ready, |worst, state| {
            let keys = state.keys.borrow();
            match (worst, keys.freshness(now)) {
                (landing_page::Keys::Unavailable, _) | (_, Freshness::Refuse { .. }) => landing_page::Keys::Unavailable,
                (landing_page::Keys::Unasked, _) | (_, Freshness::Fetch) => landing_page::Keys::Unasked,
                _ => landing_page::Keys::Ready,
            }
        })
    }

    fn authenticate(
        &self,
        request: ResourceRequest,
        context: &mut RequestContext,
        now: UnixMillis,
    ) -> Result<Step, Rejection> {
        let pending = authenticate::begin(
            request,
            &self.config,
            (&self.salt, &mut self.memory.borrow_mut().cache),
            context,
            now,
        )?;
        self.proceed(pending, context, now)
    }

    fn proceed(
        &self,
        pending: Box<Authenticating>,
        context: &mut RequestContext,
        now: UnixMillis,
    ) -> Result<Step, Rejection> {
        let issuer = pending.verifier().issuer().cloned();
        let state = issuer.as_ref().map(|issuer| self.issuers.of(issuer));
        if let Some((issuer, state)) = issuer.zip(state.as_ref()) {
            let mut keys = state.keys.borrow_mut();
            if keys.freshness(now) == Freshness::UseAndRefresh {
                // Whoever sees this first leads: from here on the others see an attempt.
                keys.attempted(now);
                self.due.borrow_mut().push(Errand::Keys(issuer));
            }
        }
        let keys = state.as_ref().map(|state| state.keys.borrow());
        let authentication = {
            let mut memory = self.memory.borrow_mut();
            if let Some(revocation) = &self.config.revocation
                && memory.revocations.due(revocation.seconds, now) == Due::Soon
            {
                memory.revocations.attempted(now);
                self.due.borrow_mut().push(Errand::Revocations);
            }
            let (config, compiled) = (&self.config, &self.compiled);
            let mut known = Known { config, keys: keys.as_deref(), compiled, memory: &mut memory, now };
            authenticate::proceed(pending, &mut known, context)?
        };
        drop(keys);
        match authentication {
            Authentication::Done(authenticated) => self.authenticated(*authenticated, context, now),
            Authentication::Need(need, pending) => {
                if let (Need::Keys(_), Some(state)) = (&need, &state) {
                    let mut keys = state.keys.borrow_mut();
                    keys.attempted(now);
                    if keys.keys().is_some() && matches!(keys.freshness(now), Freshness::Use | Freshness::UseAndRefresh)
                    {
                        // There are keys, and not the one: this is a look-up.
                        keys.looking();
                    }
                }
                Ok(Step::Need(need, pending))
            }
        }
    }

    /// Walks on with the keys of an issuer, where they could be had.
    #[must_use]
    pub fn keys_fetched(
        &self,
        pending: Box<Authenticating>,
        keys: Keys,
        context: &mut RequestContext,
        now: UnixMillis,
    ) -> Step {
        let step = match keys {
            Keys::Asked => {
                self.remember_if_unknown(&pending, now);
                self.proceed(pending, context, now)
            }
            Keys::Recalled => self.proceed(pending, context, now),
            Keys::None => Err(Rejection::unavailable(Dependency::IssuerKeys, JWKS_RETRY, String::new())),
        };
        self.or_refuse(step, context)
    }

    fn remember_if_unknown(&self, pending: &Authenticating, now: UnixMillis) {
        let state = pending.verifier().issuer().map(|issuer| self.issuers.of(issuer));
        let (Some(state), Some(kid)) = (state, pending.kid()) else { return };
        let mut keys = state.keys.borrow_mut();
        if keys.keys().is_some_and(|keys| !keys.knows(kid)) {
            keys.remember_unknown(kid, now);
        }
    }

    /// Walks on with the verdict on a signature: the token's, or its proof's.
    #[must_use]
    pub fn signature_checked(
        &self,
        check: SignatureCheck,
        pending: Box<Authenticating>,
        verdict: Result<bool, String>,
        context: &mut RequestContext,
        now: UnixMillis,
    ) -> Step {
        let proof = pending.is_proving();
        let refuse = |token, of_proof| if proof { Rejection::Proof(of_proof) } else { Rejection::Token(token) };
        let step = match verdict.map(|good| check.answered(good)) {
            Ok(Ok(good)) => self.proceed(pending.with_signature(good), context, now),
            // An answer that is not signed as it should be says nothing of the token.
            _ if !proof && pending.has_answer() => {
                let why = "the answer's signature is wrong".to_owned();
                Err(Rejection::unavailable(pending.dependency(), QUESTION_RETRY, why))
            }
            Ok(Err(error)) => Err(refuse(error, ProofError::Signature)),
            // The platform refuses some keys that look right, as points that are not on their curve.
            Err(_) => Err(refuse(TokenError::Key(NoKey::Unusable), ProofError::Key)),
        };
        self.or_refuse(step, context)
    }

    /// Walks on with the answer of whoever knows the credential; with nothing, where somebody else got it meanwhile.
    #[must_use]
    pub fn answered(
        &self,
        pending: Box<Authenticating>,
        answer: Result<Option<Answered>, String>,
        context: &mut RequestContext,
        now: UnixMillis,
    ) -> Step {
        let step = match answer {
            Ok(Some(answer)) => self.proceed(pending.with_answer(answer), context, now),
            Ok(None) => self.proceed(pending, context, now),
            Err(why) => Err(Rejection::unavailable(pending.dependency(), QUESTION_RETRY, why)),
        };
        self.or_refuse(step, context)
    }

    /// Keeps the list of what is revoked as a store gave it at `asked`, and forgets what is on it.
    ///
    /// # Errors
    /// A description where it is not there or cannot be read.
    pub fn revocations(
        &self,
        document: Result<Option<Vec<u8>>, String>,
        asked: UnixMillis,
        now: UnixMillis,
    ) -> Result<usize, String> {
        let list = document
            .and_then(|document| document.ok_or_else(|| "there is no such key".to_owned()))
            .and_then(|document| RevocationList::parse(&document));
        let memory = &mut *self.memory.borrow_mut();
        match list {
            Ok(list) => {
                let entries = list.len();
                memory.cache.retain(|token| !list.revokes(token));
                memory.revocations.stored(list, asked);
                Ok(entries)
            }
            Err(why) => {
                memory.revocations.failed(now);
                Err(why)
            }
        }
    }

    /// Walks on with the list of what is revoked, where it could be had.
    #[must_use]
    pub fn revocations_read(
        &self,
        pending: Box<Authenticating>,
        got: bool,
        context: &mut RequestContext,
        now: UnixMillis,
    ) -> Step {
        let step = if got {
            self.proceed(pending, context, now)
        } else {
            Err(Rejection::unavailable(Dependency::Revocations, REVOCATION_RETRY, String::new()))
        };
        self.or_refuse(step, context)
    }

    /// Walks on with what the guard of all isolates says of a proof.
    #[must_use]
    pub fn used(
        &self,
        pending: Box<Authenticating>,
        used: Result<Use, String>,
        context: &mut RequestContext,
        now: UnixMillis,
    ) -> Step {
        let step = match used {
            Ok(Use::First) => self.proceed(pending.with_first_use(), context, now),
            Ok(Use::Again) => Err(Rejection::Proof(ProofError::Replayed)),
            Ok(Use::Full) => {
                Err(Rejection::unavailable(Dependency::Replay, QUESTION_RETRY, "too many proofs".to_owned()))
            }
            Err(why) => Err(Rejection::unavailable(Dependency::Replay, QUESTION_RETRY, why)),
        };
        self.or_refuse(step, context)
    }

    /// Whether memory has come to know a credential meanwhile.
    fn remembers(&self, pending: &Authenticating, now: UnixMillis) -> bool {
        let cache = &mut self.memory.borrow_mut().cache;
        cache.verified(pending.digest(), now).is_some() || cache.inactive(pending.digest(), now).is_some()
    }

    /// How often credentials were known, and the entries and bytes that memory has of them.
    #[must_use]
    pub fn token_cache(&self) -> (Counts, (usize, usize)) {
        let memory = self.memory.borrow();
        (memory.cache.counts(), memory.cache.size())
    }

    /// Walks on with the signature of an assertion.
    #[must_use]
    pub fn assertion_signed(
        &self,
        input: &str,
        permit: Permit,
        signature: Result<Vec<u8>, String>,
        context: &mut RequestContext,
    ) -> Step {
        let step = signature
            .map_err(|_| Rejection::Internal("the identity assertion could not be signed"))
            .map(|signature| signing_key::assemble(input, &signature))
            .map(|token| self.outbound(permit, Some(&token), context));
        self.or_refuse(step, context)
    }

    /// Refuses, with the request's id where its body was read.
    #[must_use]
    pub fn refused(&self, rejection: Rejection, body: Option<&[u8]>, context: &RequestContext) -> Step {
        let read = || body.map_or_else(RequestId::unknown, message::id_of);
        let id = rejection.id().cloned().unwrap_or_else(read);
        let answer = respond::refusal(&rejection, &id, context, Some(&self.config));
        Step::Answer(answer, Reason::Refused(rejection))
    }

    fn or_refuse(&self, step: Result<Step, Rejection>, context: &RequestContext) -> Step {
        match step {
            Ok(step) => step,
            // Only for a caller who is known, so that nobody else makes the gateway read.
            Err(rejection)
                if rejection.id().is_none() && context.is_authenticated && context.method == Method::Post =>
            {
                Step::NeedBody(rejection)
            }
            Err(rejection) => self.refused(rejection, None, context),
        }
    }

    /// What the caller gets of the origin server's answer, and what its body goes through. `random` is for sealing.
    ///
    /// # Errors
    /// The refusal to send instead.
    pub fn origin_answered(
        &self,
        answer: InboundHead,
        awaited: Awaited,
        random: &[u8; NONCE_BYTES],
        context: &RequestContext,
        now: UnixMillis,
    ) -> Result<(InboundHead, Option<BodyFilter>), Rejection> {
        let mut head = judge(answer)?;
        let filter = awaited.receive(&mut head, random, &context.request_id, now)?;
        respond::complete(&mut head.fields, context, &self.config);
        Ok((head, filter))
    }

    /// Notes whether the server of a request's resource answered. A caller who left says nothing of it.
    fn note_server<T>(&self, context: &RequestContext, answer: &Result<T, OriginFailure>) {
        let Some(resource) = &context.resource else { return };
        let server = match answer {
            Ok(_) => landing_page::Server::Answering,
            Err(OriginFailure::Timeout | OriginFailure::Unreachable) => landing_page::Server::Silent,
            Err(_) => return,
        };
        self.servers.borrow_mut().insert(resource.index, server);
    }
}

/// Why a message, or its answer, did not arrive; `limit` is the largest body in bytes.
fn failed(failure: OriginFailure, limit: Option<u64>) -> Rejection {
    match failure {
        OriginFailure::BodyCutShort => Rejection::BodyCutShort,
        OriginFailure::BodyTooLarge => Rejection::BodyTooLarge { limit },
        OriginFailure::CallerGone => Rejection::CallerGone,
        OriginFailure::Timeout => Rejection::OriginTimeout,
        OriginFailure::Unreachable => Rejection::OriginUnreachable,
    }
}
