//! Stages 6 and 7 of a request: the request to its origin server, and the answer for the caller.

use std::rc::Rc;

use crate::forward::body_filter::ResponseTransform;
use crate::forward::request::outbound;
use crate::forward::response::{ResponseHead, check_answer};
use crate::forward::{assertion, identity, operation};
use crate::gateway::active_request::{Action, ActiveRequest, AwaitingAnswer, Received, SigningAssertion, Suspended};
use crate::gateway::log;
use crate::gateway::open::Gateway;
use crate::jwks::signing_key;
use crate::mcp::session::NONCE_BYTES;
use crate::pipeline::authorize::Permit;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::respond;
use crate::platform_error::PlatformError;
use crate::ports::{FilterFailure, OriginFailure, Ports};
use crate::token::principal::Principal;

impl<P: Ports> ActiveRequest<'_, P> {
    /// Forwards a permitted request, with an identity assertion if one is configured.
    pub(super) fn forward(self, permit: Permit) -> Action {
        let settings = &self.gateway.settings;
        match (settings.assertion_keys.first(), permit.principal()) {
            (Some(key), Principal::Subject(subject)) => {
                let (origin, ..) = permit.destination();
                let (id, now) = (&self.context.request_id, self.ports.now());
                let operation = match operation::claims(&permit, &|text| self.ports.canonical_json(text)) {
                    Ok(operation) => operation,
                    Err(rejection) => return self.refuse(rejection),
                };
                let about = (id.as_str(), identity::claims(&permit), operation);
                let input = assertion::signing_input(settings, key, subject, origin, about, now);
                self.wait(SigningAssertion { input, permit }, Action::SignAssertion)
            }
            _ => self.send(&permit, None),
        }
    }

    fn send(self, permit: &Permit, assertion: Option<&str>) -> Action {
        let transform = Box::new(ResponseTransform::of(permit, &self.gateway.settings, &self.gateway.items));
        let request = match outbound(permit, assertion, &self.context) {
            Ok(request) => request,
            Err(rejection) => return self.refuse(rejection),
        };
        let remembered = self.remember(permit, &request);
        let stage = AwaitingAnswer { transform, sent: self.ports.now(), remembered };
        self.wait(stage, |waiting| Action::Send(request, waiting))
    }
}

impl Suspended<SigningAssertion> {
    /// The input to sign.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.stage().input
    }

    /// Continues with the signature.
    #[must_use]
    pub fn assertion_signed<P: Ports>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        signature: Result<Vec<u8>, PlatformError>,
    ) -> Action {
        let (active, SigningAssertion { input, permit }) = self.resume(gateway, ports);
        match signature {
            Ok(signature) => active.send(&permit, Some(&signing_key::assemble(&input, &signature))),
            Err(_) => active.refuse(Rejection::Internal("the identity assertion could not be signed")),
        }
    }
}

impl Suspended<AwaitingAnswer> {
    /// Continues with the answer of the origin server.
    #[must_use]
    pub fn answered<P: Ports, B>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        answer: Result<(ResponseHead, B), OriginFailure>,
    ) -> Received<B> {
        let (mut active, AwaitingAnswer { transform, sent, .. }) = self.resume(gateway, ports);
        let now = ports.now();
        active.context.origin_ms = Some(now.since(sent));
        let mut random = [0; NONCE_BYTES];
        if gateway.settings.sessions.is_some() {
            ports.fill(&mut random);
        }
        if let Some(resource) = &active.context.resource {
            gateway.note_server(resource, &answer);
        }
        let received = answer.map_err(|failure| active.failed(failure)).and_then(|(head, body)| {
            let mut head = check_answer(head)?;
            let filter = transform.receive(&mut head, &random, &active.context.request_id, now)?;
            respond::complete(&mut head.fields, &active.context, &gateway.settings);
            Ok((head, filter, body))
        });
        match received {
            Ok((head, None, body)) => Received::Passed(active.hold(head).passed(gateway, ports), body),
            Ok((head, Some(filter), body)) => Received::Filter(filter, active.hold(head), body),
            Err(rejection) => Received::Refused(active.refuse(rejection)),
        }
    }
}

impl Suspended<ResponseHead> {
    /// Returns the answer's head and writes the log, once the body is ready to be forwarded.
    #[must_use]
    pub fn passed<P: Ports>(self, gateway: &Rc<Gateway>, ports: &P) -> ResponseHead {
        let (active, head) = self.resume(gateway, ports);
        log::write_forwarded(gateway, ports, &active.context, head.status);
        head
    }

    /// Continues with a rejection, because the body is malformed from its beginning, or broke off there.
    #[must_use]
    pub fn unfit<P: Ports>(self, gateway: &Rc<Gateway>, ports: &P, why: FilterFailure) -> Action {
        let (active, _) = self.resume(gateway, ports);
        let rejection = match why {
            FilterFailure::Malformed(error) => Rejection::OriginMalformed(error),
            FilterFailure::Failed(failure) => active.failed(failure),
        };
        active.refuse(rejection)
    }
}

impl<P: Ports> ActiveRequest<'_, P> {
    /// The rejection for a message or an answer that did not arrive.
    pub(super) fn failed(&self, failure: OriginFailure) -> Rejection {
        let limit = self.context.resource.as_ref().map(|resource| resource.body_bytes);
        match failure {
            OriginFailure::BodyCutShort => Rejection::BodyCutShort,
            OriginFailure::BodyTooLarge => Rejection::BodyTooLarge { limit },
            OriginFailure::ClientDisconnected => Rejection::ClientDisconnected,
            OriginFailure::Timeout { streamed } => Rejection::OriginTimeout { streamed },
            OriginFailure::Unreachable { streamed } => Rejection::OriginUnreachable { streamed },
        }
    }
}
