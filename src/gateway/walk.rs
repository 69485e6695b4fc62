//! A request on its way, and what it waits for.

use std::rc::Rc;

use crate::forward::answer::ResponseTransform;
use crate::forward::request::OutboundRequest;
use crate::forward::response::ResponseHead;
use crate::gateway::open::Gateway;
use crate::limits::NEEDS;
use crate::pipeline::authenticate::{Authenticated, Authenticating};
use crate::pipeline::authorize::{Authorized, Permit};
use crate::pipeline::context::RequestContext;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::respond::Answer;
use crate::pipeline::route::EndpointRequest;
use crate::policy::counters::RateLimitCheck;
use crate::ports::Ports;
use crate::time::UnixMillis;
use crate::token::binding::proof::SingleUse;
use crate::token::issuer::Issuer;
use crate::token::signature::SignatureCheck;
use crate::transport::head::Head;

/// A request that goes through the stages. It never waits: where a stage needs something from the world, the request is
/// [`Suspended`] in that stage, and the [`Action`] says what it waits for.
pub struct Walk<'a, P> {
    pub(super) gateway: &'a Rc<Gateway>,
    pub(super) ports: &'a P,
    pub(super) context: RequestContext,
    /// How often it may still wait.
    waits: usize,
}

/// A request that waits, in the stage that it has reached.
#[derive(Debug)]
pub struct Suspended<S> {
    context: RequestContext,
    waits: usize,
    stage: S,
}

/// What has to be done next for a request. All but the first wait for something; a shell does it and hands the result to
/// the suspended request, which returns the next action.
#[derive(Debug)]
pub enum Action {
    /// The gateway answers by itself, and the log has its line.
    Answer(Answer),
    /// Read the caller's message: at most so many bytes.
    ReadMessage(u64, Suspended<Box<Authenticated>>),
    /// Check a signature: the token's, or its proof's.
    CheckSignature(Suspended<CheckingSignature>),
    /// Sign an assertion.
    SignAssertion(Suspended<SigningAssertion>),
    /// Send the request to its origin server.
    Send(OutboundRequest, Suspended<AwaitingAnswer>),
    /// Fetch the keys of an issuer.
    FetchKeys(Rc<Issuer>, Suspended<Box<Authenticating>>),
    /// Wait for the keys of an issuer that enough other requests fetch.
    AwaitKeys(Rc<Issuer>, Suspended<Box<Authenticating>>),
    /// Ask the authorization server, custom verifier or store that knows the credential.
    AskVerifier(Suspended<Box<Authenticating>>),
    /// Read the list of revoked tokens.
    ReadRevocations(Suspended<Box<Authenticating>>),
    /// Use a proof once, through the guard of all isolates.
    UseProofOnce(SingleUse, Suspended<Box<Authenticating>>),
    /// Ask the rate-limiting bindings.
    CheckRateLimits(Vec<RateLimitCheck>, Suspended<Box<Authorized>>),
    /// Look for a list in the data-center (colo) cache, under this key.
    RecallList(String, Suspended<Permit>),
    /// Have the authorization server answer.
    AskAuthorizationServer(Box<EndpointRequest>, Suspended<()>),
    /// Read the body for the id that a refusal names.
    PeekBody(Suspended<Rejection>),
}

/// The stage of a request whose signature is being checked.
#[derive(Debug)]
pub struct CheckingSignature {
    pub(super) check: Box<SignatureCheck>,
    pub(super) pending: Box<Authenticating>,
}

/// The stage of a request whose assertion is being signed.
#[derive(Debug)]
pub struct SigningAssertion {
    pub(super) input: String,
    pub(super) permit: Permit,
}

/// The stage of a request that is at its origin server.
#[derive(Debug)]
pub struct AwaitingAnswer {
    pub(super) transform: Box<ResponseTransform>,
    pub(super) sent: UnixMillis,
}

/// What becomes of the origin server's answer.
#[derive(Debug)]
pub enum Received<B> {
    /// Its head is this, and its body goes on as it is.
    Passed(ResponseHead, B),
    /// Its body goes through a filter.
    Filter(crate::forward::answer::BodyFilter, Suspended<ResponseHead>, B),
    /// It stops here.
    Refused(Action),
}

impl<'a, P: Ports> Walk<'a, P> {
    /// A new request with this head.
    pub fn new(gateway: &'a Rc<Gateway>, ports: &'a P, head: &Head) -> Self {
        Self { gateway, ports, context: new_context(ports, head), waits: NEEDS }
    }

    /// Suspends the request in a stage. One that waits too often is refused: no configuration leads there.
    pub(super) fn wait<S>(self, stage: S, action: impl FnOnce(Suspended<S>) -> Action) -> Action {
        match self.waits.checked_sub(1) {
            Some(waits) => action(Suspended { context: self.context, waits, stage }),
            None => self.answer_refusal(&Rejection::Internal("the request waits too often"), None),
        }
    }

    /// Suspends the request while the body of its answer is looked at, which needs nothing more.
    pub(super) fn hold<S>(self, stage: S) -> Suspended<S> {
        Suspended { context: self.context, waits: self.waits, stage }
    }
}

/// The context of a new request.
pub(super) fn new_context<P: Ports>(ports: &P, head: &Head) -> RequestContext {
    let mut random = [0; 40];
    ports.fill(&mut random);
    RequestContext::new(head.method, head.fields.get("traceparent"), &random, ports.now())
}

impl<S> Suspended<S> {
    /// What it waits in.
    #[must_use]
    pub fn stage(&self) -> &S {
        &self.stage
    }

    /// What is known of it.
    #[must_use]
    pub fn context(&self) -> &RequestContext {
        &self.context
    }

    /// Goes on.
    pub(super) fn resume<'a, P>(self, gateway: &'a Rc<Gateway>, ports: &'a P) -> (Walk<'a, P>, S) {
        (Walk { gateway, ports, context: self.context, waits: self.waits }, self.stage)
    }
}
