//! A request on its way: what it needs next, and how it goes on with what it got.
//!
//! The walk itself never waits. Whoever drives it does: [`serve`](crate::gateway::serve) in Rust, for every need there
//! is; and a shell for which that is dear may meet by itself what nearly every request needs, and hand over the
//! [`Rare`](Next::Rare) rest. Both go on through the same functions, so that both come to the same end.

use std::rc::Rc;

use crate::forward::answer::{Awaited, BodyFilter};
use crate::forward::request::OutboundRequest;
use crate::forward::response::InboundHead;
use crate::gateway::serve::start_errands;
use crate::gateway::{Gateway, Reason, Step};
use crate::limits::NEEDS;
use crate::mcp::envelope::RequestId;
use crate::mcp::list_filter::Unfit;
use crate::mcp::session::NONCE_BYTES;
use crate::observe::event::{Outcome, gateway_line, request_line};
use crate::observe::point::Point;
use crate::observe::span::Span;
use crate::pipeline::authenticate::{Authenticated, Authenticating, Need};
use crate::pipeline::authorize::Permit;
use crate::pipeline::context::RequestContext;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::respond::{self, Answer};
use crate::ports::{OriginFailure, Ports};
use crate::time::UnixMillis;
use crate::token::signature::SignatureCheck;
use crate::transport::head::Head;

/// A request on its way.
#[derive(Debug)]
pub struct Underway {
    pub(super) context: RequestContext,
    pub(super) step: Step,
    /// How many needs it may still have.
    pub(super) needs: usize,
}

/// What becomes of a request next.
#[derive(Debug)]
pub enum Next {
    /// The gateway answers by itself.
    Answer(Answer),
    /// The caller's message has to be read: at most so many bytes.
    Read(u64, Reading),
    /// A signature has to be checked.
    Check(Checking),
    /// An assertion has to be signed.
    Sign(Signing),
    /// It goes to its origin server.
    Send(OutboundRequest, Sending),
    /// Something that few requests need.
    Rare(Underway),
}

/// A request whose message is being read.
#[derive(Debug)]
pub struct Reading {
    context: RequestContext,
    needs: usize,
    caller: Box<Authenticated>,
}

/// A request whose token, or proof, is being checked.
#[derive(Debug)]
pub struct Checking {
    context: RequestContext,
    needs: usize,
    check: Box<SignatureCheck>,
    pending: Box<Authenticating>,
}

/// A request whose assertion is being signed.
#[derive(Debug)]
pub struct Signing {
    context: RequestContext,
    needs: usize,
    input: String,
    permit: Permit,
}

/// A request that is at its origin server.
#[derive(Debug)]
pub struct Sending {
    context: RequestContext,
    needs: usize,
    awaited: Box<Awaited>,
    sent: UnixMillis,
}

/// What becomes of an answer.
#[derive(Debug)]
pub enum Arrived<B> {
    /// Its head is this, and its body goes on as it is.
    Passed(InboundHead, B),
    /// Its body goes through a filter.
    Filter(BodyFilter, Passing, B),
    /// It stops here.
    Refused(Underway),
}

/// An answer on its way through a filter.
#[derive(Debug)]
pub struct Passing {
    context: RequestContext,
    needs: usize,
    head: InboundHead,
}

impl Underway {
    /// Takes a request as far as it can go without waiting.
    #[must_use]
    pub fn begin<P: Ports>(gateway: &Gateway, ports: &P, head: Head) -> Self {
        let mut context = begin_trail(ports, &head);
        let step = gateway.begin(head, &mut context, ports.now());
        Self { context, step, needs: NEEDS }
    }

    /// What is next. Whatever the gateway answers by itself is in the log after that.
    #[must_use]
    pub fn next<P: Ports + Clone + 'static>(self, gateway: &Rc<Gateway>, ports: &P) -> Next {
        start_errands(gateway, ports);
        let Self { mut context, step, needs } = self;
        let Some(needs) = needs.checked_sub(1) else {
            let rejection = Rejection::Internal("the walk does not end");
            let answer = respond::refusal(&rejection, &RequestId::unknown(), &context, Some(&gateway.config));
            return Next::Answer(answered(gateway, ports, answer, &Reason::Refused(rejection), &mut context));
        };
        match step {
            Step::Answer(answer, reason) => Next::Answer(answered(gateway, ports, answer, &reason, &mut context)),
            Step::NeedMessage(caller) => Next::Read(Gateway::body_bytes(&caller), Reading { context, needs, caller }),
            Step::Need(Need::Signature(check), pending) => Next::Check(Checking { context, needs, check, pending }),
            Step::NeedAssertion(input, permit) => Next::Sign(Signing { context, needs, input, permit }),
            Step::Forward(outbound, awaited) => {
                Next::Send(outbound, Sending { context, needs, awaited, sent: ports.now() })
            }
            step => Next::Rare(Self { context, step, needs }),
        }
    }
}

impl Reading {
    /// Goes on with the message.
    #[must_use]
    pub fn read<P: Ports>(self, gateway: &Gateway, ports: &P, body: Result<Vec<u8>, OriginFailure>) -> Underway {
        let Self { mut context, needs, caller } = self;
        let step = gateway.message_read(*caller, body, &mut context, ports.now());
        Underway { context, step, needs }
    }
}

impl Checking {
    /// What is to be checked.
    #[must_use]
    pub fn check(&self) -> &SignatureCheck {
        &self.check
    }

    /// Goes on with the verdict; without one, where the check itself failed.
    #[must_use]
    pub fn checked<P: Ports>(self, gateway: &Gateway, ports: &P, verdict: Result<bool, String>) -> Underway {
        let Self { mut context, needs, check, pending } = self;
        if let Err(why) = &verdict {
            ports.line(&gateway_line("warn", "signature_check_failed", why, ports.now()));
        }
        let step = gateway.signature_checked(*check, pending, verdict, &mut context, ports.now());
        Underway { context, step, needs }
    }
}

impl Signing {
    /// What is to be signed.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }

    /// Goes on with the signature.
    #[must_use]
    pub fn signed(self, gateway: &Gateway, signature: Result<Vec<u8>, String>) -> Underway {
        let Self { mut context, needs, input, permit } = self;
        let step = gateway.assertion_signed(&input, permit, signature, &mut context);
        Underway { context, step, needs }
    }
}

impl Sending {
    /// Goes on with the answer.
    #[must_use]
    pub fn answered<P: Ports, B>(
        self,
        gateway: &Gateway,
        ports: &P,
        answer: Result<(InboundHead, B), OriginFailure>,
    ) -> Arrived<B> {
        let Self { mut context, needs, awaited, sent } = self;
        let now = ports.now();
        context.origin_ms = Some(now.since(sent));
        let mut random = [0; NONCE_BYTES];
        if gateway.config.sessions.is_some() {
            ports.fill(&mut random);
        }
        gateway.note_server(&context, &answer);
        let received = match answer {
            Ok((head, body)) => {
                gateway.origin_answered(head, *awaited, &random, &context, now).map(|received| (received, body))
            }
            Err(failure) => Err(super::failed(failure, context.resource.as_ref().map(|resource| resource.body_bytes))),
        };
        match received {
            Ok(((head, None), body)) => Arrived::Passed(Passing { context, needs, head }.passed(gateway, ports), body),
            Ok(((head, Some(filter)), body)) => Arrived::Filter(filter, Passing { context, needs, head }, body),
            Err(rejection) => {
                let step = gateway.or_refuse(Err(rejection), &context);
                Arrived::Refused(Underway { context, step, needs })
            }
        }
    }
}

impl Passing {
    /// The id of the request in the log.
    pub(super) fn request_id(&self) -> &str {
        &self.context.request_id
    }

    /// The answer's head, when its body is on its way; it is in the log after that.
    #[must_use]
    pub fn passed<P: Ports>(mut self, gateway: &Gateway, ports: &P) -> InboundHead {
        let context = &mut self.context;
        record(gateway, ports, context);
        let refused = context.audit.entries().stood_in.clone();
        let outcome = refused.as_deref().map_or(Outcome::Allow("forwarded"), Outcome::Deny);
        write(gateway, ports, context, &outcome, self.head.status);
        self.head
    }

    /// Goes on where the body turned out to be unfit from its beginning.
    #[must_use]
    pub fn unfit(self, gateway: &Gateway, why: Unfit) -> Underway {
        let Self { context, needs, .. } = self;
        let step = gateway.or_refuse(Err(Rejection::OriginMalformed(why)), &context);
        Underway { context, step, needs }
    }
}

/// Refuses a request because the configuration is not valid: nothing passes until it is.
pub fn serve_closed<P: Ports>(ports: &P, head: &Head) -> Answer {
    let context = begin_trail(ports, head);
    let rejection = Rejection::Misconfigured;
    let answer = respond::refusal(&rejection, &RequestId::unknown(), &context, None);
    ports.line(&request_line(&context, &Outcome::Deny(&rejection), answer.status, ports.now()));
    answer
}

fn begin_trail<P: Ports>(ports: &P, head: &Head) -> RequestContext {
    let mut random = [0; 40];
    ports.fill(&mut random);
    RequestContext::new(head.method, head.fields.get("traceparent"), &random, ports.now())
}

/// Writes down that the gateway answers by itself.
fn answered<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    answer: Answer,
    reason: &Reason,
    context: &mut RequestContext,
) -> Answer {
    let outcome = match reason {
        Reason::Served(what) => Outcome::Allow(what),
        Reason::Refused(rejection) => Outcome::Deny(rejection),
        Reason::Told(told) => Outcome::Told(told),
    };
    record(gateway, ports, context);
    write(gateway, ports, context, &outcome, answer.status);
    answer
}

/// Writes the line of a request, where it has one.
fn write<P: Ports>(gateway: &Gateway, ports: &P, context: &RequestContext, outcome: &Outcome<'_>, status: u16) {
    gateway.tally(context, outcome);
    let now = ports.now();
    if let Some(data_set) = &gateway.config.requests_data_set {
        let fresh = gateway.fresh_for(context.audit.entries().issuer.as_deref(), now);
        ports.measured(data_set, &Point::of(context, outcome, status, fresh, now));
    }
    if ports.is_traced() {
        ports.trace(&Span::of(context, outcome, status));
    }
    if gateway.config.log_refused_only && outcome.is_allowed() {
        return;
    }
    ports.line(&request_line(context, outcome, status, now));
}

/// Records what rules decided of a request, once.
fn record<P: Ports>(gateway: &Gateway, ports: &P, context: &mut RequestContext) {
    let Some(log) = &gateway.config.decision_log else { return };
    let mut chain = gateway.chain.borrow_mut();
    for record in &context.audit.entries().decisions {
        ports.decided(log, &chain.line(record, context, &gateway.config, ports.now()));
    }
}
