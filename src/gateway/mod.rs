//! Drives a request from its untrusted head to the head of the answer.
//!
//! | stage | what it establishes | where |
//! |---|---|---|
//! | 1 | the host is this gateway, the transport is protected, sizes are bounded, the path is unambiguous | [`admit`] |
//! | 2 | the target of the request: a resource, or something that the gateway answers itself | [`route`] |
//! | 3 | who calls | `authentication` |
//! | 4 | what the request asks for | [`inspect`] |
//! | 5 | whether this caller may do that, and how often | `authorization` |
//! | 6 | the request that the origin server gets, and its credential | `credentials`, `sending`, or `lists` if a cache has the answer |
//! | 7 | the answer that the caller gets | `sending` |
//! | 8 | what the log records | `log` |
//!
//! The functions of [`ActiveRequest`] below are that table as code. An active request never waits: if a stage needs I/O, it returns an
//! [`Action`], and the suspended request resumes with the result. [`drive`] performs actions through the ports; a shell
//! on a host where a Rust future is expensive may perform the most frequent ones itself.

mod active_request;
mod approvals;
#[cfg(feature = "authorization-server")]
mod asking_approval;
mod authentication;
mod authorization;
mod budgets;
mod concurrently;
mod conversations;
mod credential_need;
mod credentials;
mod drive;
mod federation;
mod gathering;
mod hooks;
mod inquire;
mod inquiry;
mod issuer_state;
mod keys;
mod known_servers;
mod lists;
mod log;
mod lookups;
mod merged_lists;
mod open;
mod publish;
mod refusal;
mod remembered;
mod resting;
mod revocation_index;
#[cfg(feature = "authorization-server")]
mod schedule;
mod sending;
mod session;
mod stored;
mod stream_watch;

use std::rc::Rc;

use crate::gateway::authorization::LimitCheck;
use crate::gateway::lists::cacheable_list;
use crate::oauth::bearer::MissingCredentials;
use crate::pipeline::admit::admit;
use crate::pipeline::authenticate::{Authenticated, Beginning};
use crate::pipeline::authorize::permit_public;
use crate::pipeline::inspect::{self, Inspected, Inspection};
use crate::pipeline::permit::Permit;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::route::{Routed, route};
use crate::ports::{OriginFailure, Ports};
use crate::transport::head::Head;

pub use active_request::{
    Action, ActiveRequest, AwaitingAnswer, CheckingSignature, Doubted, Forwarding, Received, SigningAssertion,
    StreamWatch, Suspended,
};
pub use drive::{Served, drive, filter_body, serve};
pub use inquiry::Inquiry;
pub use keys::KeySource;
pub use open::Gateway;
pub use refusal::serve_closed;
pub use remembered::{LookUp, Recalled, Remembered, RememberedDecision};
#[cfg(feature = "authorization-server")]
pub use schedule::run_schedule;
pub use stored::{ConfigState, ReloadOutcome, StoredGateway, version};
pub use stream_watch::stream_check;

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// Runs the stages of a new request until it needs I/O or has an answer. Stages 1 and 2 are here.
    #[must_use]
    pub fn begin(mut self, head: Head) -> Action {
        let settings = &self.gateway.settings;
        let routed = admit(head, settings).and_then(|admitted| route(admitted, settings, &mut self.context));
        match routed {
            Ok(Routed::Resource(request)) => match self.present(request) {
                Ok(Beginning::Credential(pending)) => self.verify(pending),
                Ok(Beginning::Anonymous(caller)) => self.authenticated(*caller),
                Err(rejection) => self.refuse(rejection),
            },
            Ok(Routed::Public(request)) => self.permitted(permit_public(request)),
            Ok(Routed::Document(document, method)) => self.publish(document, method),
            Ok(Routed::LandingPage(method, wants_html)) => self.landing_page(method, wants_html),
            Ok(Routed::Metrics) => self.metrics(),
            Ok(Routed::Preflight(fields)) => self.preflight(fields),
            Ok(Routed::AuthorizationServer(request)) => {
                self.wait((), |waiting| Action::AskAuthorizationServer(Box::new(request), waiting))
            }
            Err(rejection) => self.refuse(rejection),
        }
    }

    /// After stage 3: the caller is known. Stage 4.
    fn authenticated(mut self, caller: Authenticated) -> Action {
        self.context.authentication_ms = self.ports.now().since(self.context.received);
        match inspect::begin(caller, &mut self.context) {
            Inspection::Done(inspected) => self.inspected(*inspected),
            Inspection::NeedBody(caller) => {
                let limit = caller.body_bytes();
                self.wait(caller, |waiting| Action::ReadMessage(limit, waiting))
            }
        }
    }

    /// After stage 4: it is known what the request asks for. Stage 5.
    fn inspected(mut self, inspected: Inspected) -> Action {
        match self.authorize(inspected) {
            Ok(LimitCheck::Within(authorized)) => self.within_limits(*authorized),
            Ok(LimitCheck::Checks(checks, authorized)) => {
                self.wait(authorized, |waiting| Action::CheckRateLimits(checks, waiting))
            }
            Err(rejection) => self.refuse(rejection),
        }
    }

    /// After stage 5: the request is permitted. Stage 6; stage 7 continues with the origin server's answer.
    fn permitted(self, permit: Permit) -> Action {
        if let Some(federation) = permit.resource().and_then(|resource| resource.federation.clone()) {
            return self.federate(permit, &federation);
        }
        match cacheable_list(&permit) {
            Some(list) => self.answer_list(permit, list),
            None => self.forward(permit),
        }
    }
}

impl Suspended<Box<Authenticated>> {
    /// Continues with the caller's message.
    #[must_use]
    pub fn message_read<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        body: Result<Vec<u8>, OriginFailure>,
    ) -> Action {
        let (mut active, caller) = self.resume(gateway, ports);
        let body = body.map_err(|failure| match active.failed(failure) {
            Rejection::ClientDisconnected => Rejection::ClientDisconnected,
            // As if no method were open to anonymous callers, where the gateway reads no body of theirs.
            _ if caller.is_anonymous() => Rejection::NoCredentials(MissingCredentials::Field),
            rejection => rejection,
        });
        match body.and_then(|body| inspect::read(*caller, body, &gateway.settings, &mut active.context)) {
            Ok(inspected) => active.inspected(inspected),
            Err(rejection) => active.refuse(rejection),
        }
    }
}
