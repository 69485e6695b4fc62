//! A request on its way through the stages, and what it waits for.

use std::cell::Cell;
use std::rc::Rc;

use crate::forward::body_filter::BodyFilter;
use crate::forward::request::OutboundRequest;
use crate::forward::response::ResponseHead;
use crate::forward::response_transform::ResponseTransform;
use crate::gateway::credential_need::CredentialNeed;
use crate::gateway::gathering::Gathering;
use crate::gateway::inquiry::Inquiry;
use crate::gateway::open::Gateway;
use crate::gateway::remembered::Remembered;
use crate::limits::NEEDS;
use crate::mcp::envelope::RequestId;
use crate::origin_credential::AttachedCredential;
use crate::pipeline::authenticate::{Authenticated, Authenticating};
use crate::pipeline::authorize::Authorized;
use crate::pipeline::context::RequestContext;
use crate::pipeline::permit::Permit;
use crate::pipeline::recognized::Recognized;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::respond::Answer;
use crate::pipeline::route::EndpointRequest;
use crate::policy::budget::BudgetCheck;
use crate::policy::counters::RateLimitCheck;
use crate::ports::Ports;
use crate::settings::federation::Server;
use crate::time::UnixMillis;
use crate::token::signature::SignatureCheck;
use crate::transport::head::Head;
use crate::transport::head_text::HeadFingerprint;

/// A request that goes through the stages. It never waits itself: if a stage needs I/O, the request is [`Suspended`] in
/// that stage, and the [`Action`] says what it waits for.
pub struct ActiveRequest<'a, P> {
    pub(super) gateway: &'a Rc<Gateway>,
    pub(super) ports: &'a P,
    pub(super) context: RequestContext,
    /// The fingerprint and the length of its head, if the decision about it may be remembered. A request that was
    /// suspended has none: then its decision depends on more than its head.
    pub(super) fingerprint: Option<(HeadFingerprint, usize)>,
    /// How often it may still be suspended.
    pub(super) waits: usize,
}

/// A suspended request, in the stage that it has reached.
#[derive(Debug)]
pub struct Suspended<S> {
    context: RequestContext,
    waits: usize,
    stage: S,
}

/// What has to be done next for a request. With every action but the first the request is suspended: the driver or a
/// shell performs the action and hands the result to the suspended request, which returns the next action.
#[derive(Debug)]
pub enum Action {
    /// Send this answer of the gateway; the log has its line already.
    Answer(Answer),
    /// Read the caller's message, which has at most this many bytes.
    ReadMessage(u64, Suspended<Box<Authenticated>>),
    /// Check a signature: that of the token, or that of its proof.
    CheckSignature(Suspended<CheckingSignature>),
    /// Obtain the credential for the origin server.
    ObtainCredential(Suspended<Forwarding>),
    /// Sign an identity assertion.
    SignAssertion(Suspended<SigningAssertion>),
    /// Find out how to talk with one of several servers, and open a session there if it needs one.
    Converse(Suspended<Forwarding>),
    /// Send the request to its origin server.
    Send(OutboundRequest, Suspended<AwaitingAnswer>),
    /// Find something out about the credential.
    Inquire(Inquiry, Suspended<Box<Authenticating>>),
    /// Ask the rate limiting bindings.
    CheckRateLimits(Vec<RateLimitCheck>, Suspended<Box<Authorized>>),
    /// Ask the hooks about the arguments of a call.
    AskHooks(Suspended<Box<Authorized>>),
    /// Ask whether a person has approved a call.
    AskForApproval(Suspended<Box<Authorized>>),
    /// Count a call in the budgets of its day.
    CountBudgets(Vec<BudgetCheck>, Suspended<Box<Authorized>>),
    /// Look for a list in the data-center (colo) cache, under this key.
    RecallList(String, Suspended<Permit>),
    /// Ask several servers, each with a part of the request.
    Gather(Vec<ServerPart>, Suspended<Box<Gathering>>),
    /// Open a stream at several servers, and send their events as one stream.
    Listen(Vec<ServerPart>, Suspended<Listening>),
    /// Have the authorization server answer.
    AskAuthorizationServer(Box<EndpointRequest>, Suspended<()>),
    /// Read the body for the id that the rejection names.
    PeekBody(Suspended<Rejection>),
}

/// The stage of a request for a stream of several servers.
#[derive(Debug)]
pub struct Listening {
    /// What the stream begins with.
    pub(super) first: String,
    /// The id of the `subscriptions/listen` that opens it; `None` in the legacy era, which has no such request.
    pub(super) id: Option<RequestId>,
}

/// A part of a request, for one of the servers.
#[derive(Debug)]
pub struct ServerPart {
    pub(super) server: Rc<Server>,
    /// Identifies the caller.
    pub(super) caller: [u8; 32],
    /// Seconds until the server is left out.
    pub(super) seconds: u64,
    pub(super) action: Action,
}

/// The stage of a request whose signature is being checked.
#[derive(Debug)]
pub struct CheckingSignature {
    pub(super) check: Box<SignatureCheck>,
    pub(super) pending: Box<Authenticating>,
}

/// A permitted request on its way to its origin server.
#[derive(Debug)]
pub struct Forwarding {
    pub(super) permit: Permit,
    /// The credential for the origin server, once it is there, and what it was obtained for.
    pub(super) credential: Option<(AttachedCredential, Rc<CredentialNeed>)>,
    /// Whether the origin server refused the credential of the same request before.
    pub(super) is_repeated: bool,
}

impl Forwarding {
    /// The permit.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.permit
    }
}

/// The stage of a request whose assertion is being signed.
#[derive(Debug)]
pub struct SigningAssertion {
    pub(super) input: String,
    pub(super) forwarding: Forwarding,
}

/// The credential that a request was sent with.
#[derive(Debug)]
pub(super) struct SentCredential {
    pub credential: AttachedCredential,
    pub need: Rc<CredentialNeed>,
    pub repetition: Repetition,
}

/// Whether a request can be sent again with another credential.
#[derive(Debug)]
pub(super) enum Repetition {
    /// It can: its message is at hand, or it has none.
    Possible(Box<Permit>),
    /// Its message was passed on as a stream.
    Streamed,
    /// It was sent twice already.
    Done,
}

/// The credential with which an event stream was opened.
#[derive(Debug)]
pub struct StreamWatch {
    pub(super) recognized: Recognized,
    /// Since when it could not be known whether the credential is revoked.
    pub(super) unknown_since: Cell<Option<UnixMillis>>,
}

impl StreamWatch {
    pub(super) fn new(recognized: Recognized) -> Rc<Self> {
        Rc::new(Self { recognized, unknown_since: Cell::new(None) })
    }
}

/// The stage of a request that waits for its origin server.
#[derive(Debug)]
pub struct AwaitingAnswer {
    pub(super) transform: Box<ResponseTransform>,
    pub(super) sent: UnixMillis,
    pub(super) remembered: Option<Remembered>,
    pub(super) credential: Option<SentCredential>,
    /// The permit to send the request once more if the server has forgotten its session.
    pub(super) again: Option<Box<Permit>>,
    /// What an event stream that answers it asks from time to time.
    pub(super) watch: Option<Rc<StreamWatch>>,
}

impl AwaitingAnswer {
    /// What an event stream that answers the request asks from time to time.
    #[must_use]
    pub fn watch(&self) -> Option<&Rc<StreamWatch>> {
        self.watch.as_ref()
    }

    /// The decision to send the request, if the gateway remembers it from now on.
    #[must_use]
    pub fn remembered(&self) -> Option<&Remembered> {
        self.remembered.as_ref()
    }
}

/// What the gateway does with the origin server's answer.
#[derive(Debug)]
pub enum Received<B> {
    /// It forwards this head, and the body as it is.
    Passed(ResponseHead, B),
    /// It forwards the body through a filter.
    Filter(BodyFilter, Suspended<ResponseHead>, B),
    /// It does not forward the answer.
    Refused(Action),
    /// It does not forward the answer, and goes on with the request. The body must be discarded.
    Again(Action, B),
    /// It has to read the whole body first: whether the server refused the request, or does not know its session any more.
    Doubtful(Suspended<Doubted>, B),
}

/// The stage of a request after an answer which may say that the server has forgotten the session.
#[derive(Debug)]
pub struct Doubted {
    pub(super) permit: Box<Permit>,
    pub(super) status: u16,
}

impl<'a, P: Ports> ActiveRequest<'a, P> {
    /// A new request with this head.
    pub fn new(gateway: &'a Rc<Gateway>, ports: &'a P, head: &Head) -> Self {
        Self { gateway, ports, context: new_context(ports, head), fingerprint: None, waits: NEEDS }
    }

    /// Lets the decision about the request be remembered for heads with this fingerprint and length: see [`Gateway::look_up`].
    #[must_use]
    pub fn remembered_as(self, fingerprint: Option<(HeadFingerprint, usize)>) -> Self {
        Self { fingerprint, ..self }
    }

    /// Suspends the request in a stage. A request that was suspended too often is rejected: that is a bug, which no
    /// configuration causes.
    pub(super) fn wait<S>(self, stage: S, action: impl FnOnce(Suspended<S>) -> Action) -> Action {
        match self.waits.checked_sub(1) {
            Some(waits) => action(Suspended { context: self.context, waits, stage }),
            None => self.answer_refusal(&Rejection::Internal("the request was suspended too often"), None),
        }
    }

    /// Suspends the request while the body of its answer is filtered. It does not count, because nothing else follows.
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
    /// A request in this stage, which another one with the same head has reached before it.
    pub(super) fn repeated(context: RequestContext, stage: S) -> Self {
        Self { context, waits: NEEDS, stage }
    }

    /// The stage that it is suspended in.
    #[must_use]
    pub fn stage(&self) -> &S {
        &self.stage
    }

    /// Its context.
    #[must_use]
    pub fn context(&self) -> &RequestContext {
        &self.context
    }

    /// Resumes the request.
    pub(super) fn resume<'a, P>(self, gateway: &'a Rc<Gateway>, ports: &'a P) -> (ActiveRequest<'a, P>, S) {
        (ActiveRequest { gateway, ports, context: self.context, fingerprint: None, waits: self.waits }, self.stage)
    }
}
