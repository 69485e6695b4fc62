//! The whole road of a request.
//!
//! [`Gateway::begin`] walks it without waiting, stage by stage, and stops where something is needed from the world:
//! a [`Step`] says what. [`serve`] meets the needs through the ports and walks on. Those are the only awaits.

use std::cell::RefCell;
use std::rc::Rc;

use crate::config::{Config, IssuerKeys, Mistakes, Secrets};
use crate::forward::response::{InboundHead, judge};
use crate::forward::{assertion, request};
use crate::jwks::discovery;
use crate::jwks::freshness::{Freshness, KeyState, lifetime};
use crate::jwks::key_set::{KeySet, NoKey};
use crate::limits::{JWKS_RETRY, NEEDS, PEEK_BYTES};
use crate::mcp::envelope::RequestId;
use crate::mcp::inspect::inspect;
use crate::observe::event::{Outcome, gateway_line, request_line};
use crate::observe::trail::Trail;
use crate::pipeline::{Head, OutboundRequest, Permit, Principal, Rejection, ResourceRequest, Routed};
use crate::policy;
use crate::ports::{OriginFailure, Ports};
use crate::resource::route::route;
use crate::respond::{self, Answer};
use crate::time::UnixMillis;
use crate::token::authenticate::{self, Authenticated, Authenticating, Authentication};
use crate::token::verifier::SignatureCheck;
use crate::transport::guard::admit;
use crate::transport::head::Method;

/// A gateway with a valid configuration, and what it has learned of its issuers' keys.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    issuers: Vec<IssuerState>,
    /// Issuers whose keys should be refreshed in the background.
    due: RefCell<Vec<usize>>,
}

#[derive(Debug, Default)]
struct IssuerState {
    keys: RefCell<KeyState>,
    /// Where the metadata said that the keys are.
    jwks_uri: RefCell<Option<String>>,
}

/// Where the walk stopped.
#[derive(Debug)]
pub enum Step {
    /// The gateway answers by itself.
    Answer(Answer, Reason),
    /// The request goes to its origin server.
    Forward(OutboundRequest),
    /// The keys of an issuer are needed: [`Gateway::keys_fetched`].
    NeedKeys(Authenticating),
    /// A signature has to be checked: [`Gateway::signature_checked`].
    NeedSignature(Box<SignatureCheck>, Authenticating),
    /// An assertion has to be signed: [`Gateway::assertion_signed`].
    NeedAssertion(String, Permit),
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
}

impl Gateway {
    /// Opens a gateway.
    ///
    /// # Errors
    /// Every mistake of the configuration: see [`Config::load`].
    pub fn open(document: serde_json::Value, secrets: &dyn Secrets) -> Result<Self, Mistakes> {
        let config = Config::load(document, secrets)?;
        let issuers = config.issuers.iter().map(|issuer| match &issuer.keys {
            IssuerKeys::Static(key) => IssuerState {
                keys: RefCell::new(KeyState::forever(KeySet::of_one((**key).clone()))),
                ..IssuerState::default()
            },
            _ => IssuerState::default(),
        });
        Ok(Self { issuers: issuers.collect(), config, due: RefCell::default() })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Walks as far as it can be walked without waiting.
    #[must_use]
    pub fn begin(&self, head: Head, trail: &mut Trail, now: UnixMillis) -> Step {
        let step = || -> Result<Step, Rejection> {
            let admitted = admit(head, &self.config)?;
            trail.era = Some(admitted.era());
            match route(admitted, &self.config, trail)? {
                Routed::Document(document, method) => {
                    let (status, fields, body) = document.response(method);
                    let answer = respond::own(status, fields, body, trail, &self.config);
                    Ok(Step::Answer(answer, Reason::Served("public_document")))
                }
                Routed::Preflight(fields) => {
                    let answer = respond::own(204, fields, String::new(), trail, &self.config);
                    Ok(Step::Answer(answer, Reason::Served("preflight")))
                }
                Routed::Public(request) => self.permitted(policy::open(request), trail, now),
                Routed::Resource(request) => self.authenticate(request, trail, now),
            }
        };
        let step = step();
        self.or_refuse(step, trail)
    }

    fn authenticate(&self, request: ResourceRequest, trail: &mut Trail, now: UnixMillis) -> Result<Step, Rejection> {
        let pending = authenticate::begin(request, &self.config)?;
        self.proceed(pending, trail, now)
    }

    fn proceed(&self, pending: Authenticating, trail: &mut Trail, now: UnixMillis) -> Result<Step, Rejection> {
        let issuer = pending.issuer();
        let state = self.issuers.get(issuer).ok_or(Rejection::Internal("issuer state"))?;
        let authentication = {
            let mut keys = state.keys.borrow_mut();
            if keys.freshness(now) == Freshness::UseAndRefresh {
                // Whoever sees this first leads: from here on the others see an attempt.
                keys.attempted(now);
                self.due.borrow_mut().push(issuer);
            }
            authenticate::proceed(pending, &self.config, &keys, now, trail)?
        };
        match authentication {
            Authentication::Done(authenticated) => self.authenticated(authenticated, trail, now),
            Authentication::NeedKeys(pending) => {
                let mut keys = state.keys.borrow_mut();
                keys.attempted(now);
                if keys.keys().is_some() {
                    // There are keys, and not the one: this is a look-up.
                    keys.looking();
                }
                Ok(Step::NeedKeys(pending))
            }
            Authentication::NeedSignature(check, pending) => Ok(Step::NeedSignature(check, pending)),
        }
    }

    fn authenticated(&self, caller: Authenticated, trail: &mut Trail, now: UnixMillis) -> Result<Step, Rejection> {
        trail.authentication_ms = now.since(trail.begun);
        let inspected = inspect(caller, trail);
        let permit = policy::authorize(inspected, &self.config)?;
        self.permitted(permit, trail, now)
    }

    fn permitted(&self, permit: Permit, trail: &Trail, now: UnixMillis) -> Result<Step, Rejection> {
        let signing_input = match (&self.config.assertion_key, permit.principal()) {
            (Some(key), Principal::Subject(subject)) => {
                let (origin, ..) = permit.destination(&self.config).ok_or(Rejection::Internal("destination"))?;
                Some(assertion::signing_input(&self.config, key, subject, origin, &trail.request_id, now))
            }
            _ => None,
        };
        match signing_input {
            Some(input) => Ok(Step::NeedAssertion(input, permit)),
            None => request::outbound(permit, &self.config, None, trail).map(Step::Forward),
        }
    }

    /// Walks on with the keys of an issuer, where they could be had.
    #[must_use]
    pub fn keys_fetched(&self, pending: Authenticating, got: bool, trail: &mut Trail, now: UnixMillis) -> Step {
        let step = if got {
            self.remember_if_unknown(&pending);
            self.proceed(pending, trail, now)
        } else {
            Err(Rejection::IssuerUnavailable { retry_after: JWKS_RETRY })
        };
        self.or_refuse(step, trail)
    }

    fn remember_if_unknown(&self, pending: &Authenticating) {
        let (Some(state), Some(kid)) = (self.issuers.get(pending.issuer()), pending.kid()) else { return };
        let mut keys = state.keys.borrow_mut();
        if keys.keys().is_some_and(|keys| !keys.knows(kid)) {
            keys.remember_unknown(kid);
        }
    }

    /// Walks on with the verdict on a signature.
    #[must_use]
    pub fn signature_checked(
        &self,
        check: SignatureCheck,
        pending: Authenticating,
        verdict: Result<bool, String>,
        trail: &mut Trail,
        now: UnixMillis,
    ) -> Step {
        let step = match verdict.map(|good| check.answered(good)) {
            Ok(Ok(proof)) => self.proceed(pending.with_signature(proof), trail, now),
            Ok(Err(error)) => Err(Rejection::Token(error)),
            // The platform refuses some keys that look right, as points that are not on their curve.
            Err(_) => Err(Rejection::Token(crate::rejection::TokenError::Key(NoKey::Unusable))),
        };
        self.or_refuse(step, trail)
    }

    /// Walks on with the signature of an assertion.
    #[must_use]
    pub fn assertion_signed(
        &self,
        input: &str,
        permit: Permit,
        signature: Result<Vec<u8>, String>,
        trail: &mut Trail,
    ) -> Step {
        let step = signature
            .map_err(|_| Rejection::Internal("the identity assertion could not be signed"))
            .map(|signature| assertion::assemble(input, &signature))
            .and_then(|token| request::outbound(permit, &self.config, Some(&token), trail))
            .map(Step::Forward);
        self.or_refuse(step, trail)
    }

    /// Refuses, with the request's id where its body was read.
    #[must_use]
    pub fn refused(&self, rejection: Rejection, body: Option<&[u8]>, trail: &Trail) -> Step {
        let id = body.map_or_else(RequestId::unknown, RequestId::of);
        let answer = respond::refusal(&rejection, &id, trail, Some(&self.config));
        Step::Answer(answer, Reason::Refused(rejection))
    }

    fn or_refuse(&self, step: Result<Step, Rejection>, trail: &Trail) -> Step {
        match step {
            Ok(step) => step,
            // Only for a caller who is known, so that nobody else makes the gateway read.
            Err(rejection) if trail.subject.is_some() && trail.method == Method::Post => Step::NeedBody(rejection),
            Err(rejection) => self.refused(rejection, None, trail),
        }
    }

    /// What the caller gets of the origin server's answer.
    ///
    /// # Errors
    /// The refusal to send instead.
    pub fn origin_answered(
        &self,
        answer: Result<InboundHead, OriginFailure>,
        trail: &Trail,
    ) -> Result<InboundHead, Rejection> {
        let head = answer.map_err(|failure| match failure {
            OriginFailure::BodyCutShort => Rejection::BodyCutShort,
            OriginFailure::BodyTooLarge => Rejection::BodyTooLarge,
            OriginFailure::CallerGone => Rejection::CallerGone,
            OriginFailure::Timeout => Rejection::OriginTimeout,
            OriginFailure::Unreachable => Rejection::OriginUnreachable,
        })?;
        let mut head = judge(head)?;
        respond::complete(&mut head.fields, trail, &self.config);
        Ok(head)
    }
}

/// What goes back to the caller.
#[derive(Debug)]
pub enum Served<B> {
    /// The gateway's own answer.
    Own(Answer),
    /// The origin server's answer, its body untouched.
    Origin(InboundHead, B),
}

/// Serves one request from its head to the answer's head.
pub async fn serve<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    head: Head,
    body: P::RequestBody,
) -> Served<P::ResponseBody> {
    let mut trail = begin_trail(ports, &head);
    let mut step = gateway.begin(head, &mut trail, ports.now());
    for _ in 0..NEEDS {
        start_refreshes(gateway, ports);
        step = match step {
            Step::Answer(answer, reason) => {
                let outcome = match &reason {
                    Reason::Served(what) => Outcome::Allow(what),
                    Reason::Refused(rejection) => Outcome::Deny(rejection),
                };
                ports.line(&request_line(&trail, Some(&gateway.config), &outcome, answer.status, ports.now()));
                return Served::Own(answer);
            }
            Step::Forward(outbound) => match forward(gateway, ports, outbound, &body, &mut trail).await {
                Ok(served) => return served,
                Err(rejection) => gateway.or_refuse(Err(rejection), &trail),
            },
            Step::NeedKeys(pending) => {
                let got = fetch_keys(gateway, ports, pending.issuer()).await;
                gateway.keys_fetched(pending, got, &mut trail, ports.now())
            }
            Step::NeedSignature(check, pending) => {
                let verdict = ports.verify(&check).await;
                if let Err(why) = &verdict {
                    ports.line(&gateway_line("warn", "signature_check_failed", why, ports.now()));
                }
                gateway.signature_checked(*check, pending, verdict, &mut trail, ports.now())
            }
            Step::NeedAssertion(input, permit) => {
                let signature = match &gateway.config.assertion_key {
                    Some(key) => ports.sign(key, input.as_bytes()).await,
                    None => Err("there is no key".to_owned()),
                };
                gateway.assertion_signed(&input, permit, signature, &mut trail)
            }
            Step::NeedBody(rejection) => {
                let text = ports.peek(&body, PEEK_BYTES).await;
                gateway.refused(rejection, text.as_deref(), &trail)
            }
        };
    }
    let rejection = Rejection::Internal("the walk does not end");
    let answer = respond::refusal(&rejection, &RequestId::unknown(), &trail, Some(&gateway.config));
    ports.line(&request_line(&trail, Some(&gateway.config), &Outcome::Deny(&rejection), answer.status, ports.now()));
    Served::Own(answer)
}

/// Refuses a request because the configuration is not valid: nothing passes until it is.
pub fn serve_closed<P: Ports>(ports: &P, head: &Head) -> Answer {
    let trail = begin_trail(ports, head);
    let rejection = Rejection::Misconfigured;
    let answer = respond::refusal(&rejection, &RequestId::unknown(), &trail, None);
    ports.line(&request_line(&trail, None, &Outcome::Deny(&rejection), answer.status, ports.now()));
    answer
}

fn begin_trail<P: Ports>(ports: &P, head: &Head) -> Trail {
    let mut random = [0; 40];
    ports.fill(&mut random);
    Trail::begin(head.method, head.fields.get("traceparent"), &random, ports.now())
}

async fn forward<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    outbound: OutboundRequest,
    body: &P::RequestBody,
    trail: &mut Trail,
) -> Result<Served<P::ResponseBody>, Rejection> {
    let sent = ports.now();
    let (head, body) = match ports.send(outbound, body).await {
        Ok((head, body)) => (Ok(head), Some(body)),
        Err(failure) => (Err(failure), None),
    };
    let now = ports.now();
    trail.origin_ms = Some(now.since(sent));
    let head = gateway.origin_answered(head, trail)?;
    let body = body.ok_or(Rejection::Internal("an answer without a body"))?;
    ports.line(&request_line(trail, Some(&gateway.config), &Outcome::Allow("forwarded"), head.status, now));
    Ok(Served::Origin(head, body))
}

fn start_refreshes<P: Ports + Clone + 'static>(gateway: &Rc<Gateway>, ports: &P) {
    for issuer in gateway.due.take() {
        let (gateway, ports) = (Rc::clone(gateway), ports.clone());
        let work = ports.clone();
        work.spawn(Box::pin(async move {
            fetch_keys(&gateway, &ports, issuer).await;
        }));
    }
}

/// Fetches the keys of an issuer, which the walk has noted as an attempt, and keeps them; whether there are any now. What there was before stays where that
/// fails.
async fn fetch_keys<P: Ports>(gateway: &Gateway, ports: &P, index: usize) -> bool {
    let (Some(issuer), Some(state)) = (gateway.config.issuers.get(index), gateway.issuers.get(index)) else {
        return false;
    };
    let development = gateway.config.development;
    let fetched = async {
        let uri = match &issuer.keys {
            IssuerKeys::Static(_) => return Err("a static key is not fetched".to_owned()),
            IssuerKeys::At(uri) => uri.clone(),
            IssuerKeys::Discovered(url) => {
                let known = state.jwks_uri.borrow().clone();
                match known {
                    Some(uri) => uri,
                    None => discover(ports, &discovery::locations(url), &issuer.identifier, development).await?,
                }
            }
        };
        let document = get(ports, &uri).await?;
        let keys = KeySet::parse(&document.body)?;
        *state.jwks_uri.borrow_mut() = Some(uri);
        Ok((keys, lifetime(document.cache_control.as_deref(), document.age.as_deref())))
    };
    let now = ports.now();
    match fetched.await {
        Ok((keys, lifetime)) => {
            let (usable, skipped) = keys.counts();
            let detail = format!("issuer {:?}: {usable} keys, {skipped} skipped", issuer.name);
            ports.line(&gateway_line("info", "keys_fetched", &detail, now));
            state.keys.borrow_mut().stored(keys, lifetime, ports.now());
            true
        }
        Err(why) => {
            // The keys may have moved: look again next time.
            *state.jwks_uri.borrow_mut() = None;
            state.keys.borrow_mut().failed(ports.now());
            let detail = format!("issuer {:?}: {why}", issuer.name);
            ports.line(&gateway_line("error", "keys_unavailable", &detail, now));
            false
        }
    }
}

/// The first location that answers 200 decides: metadata that is there and wrong is not looked for elsewhere.
async fn discover<P: Ports>(
    ports: &P,
    locations: &[String],
    identifier: &str,
    development: bool,
) -> Result<String, String> {
    let mut failures = Vec::new();
    for location in locations {
        match get(ports, location).await {
            Ok(document) => return discovery::jwks_uri(&document.body, identifier, development),
            Err(why) => failures.push(why),
        }
    }
    Err(failures.join("; "))
}

async fn get<P: Ports>(ports: &P, url: &str) -> Result<crate::ports::ProviderDocument, String> {
    let document = ports.get(url).await.map_err(|why| format!("{url}: {why}"))?;
    if document.status == 200 { Ok(document) } else { Err(format!("{url}: status {}", document.status)) }
}
