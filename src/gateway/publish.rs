//! What the gateway itself answers: documents, preflights, counters, the landing page, and the endpoints of its
//! authorization server.

use std::rc::Rc;

use crate::gateway::active_request::{Action, ActiveRequest, Suspended};
use crate::gateway::log;
use crate::gateway::open::Gateway;
use crate::jwks::freshness::Freshness;
use crate::observe::event::{EndpointOutcome, Outcome};
use crate::observe::metrics::Gauges;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::respond::Answer;
use crate::ports::{OriginFailure, Ports};
use crate::resource::document::PublicDocument;
use crate::resource::landing_page::{self, landing_page};
use crate::settings::resource::Resource;
use crate::time::UnixMillis;
use crate::transport::head::{Fields, Method};

impl<P: Ports> ActiveRequest<'_, P> {
    pub(super) fn publish(self, document: PublicDocument, method: Method) -> Action {
        let (status, fields, body) = document.response(method);
        self.answer(status, fields, body, "public_document")
    }

    pub(super) fn preflight(self, fields: Fields) -> Action {
        self.answer(204, fields, String::new(), "preflight")
    }

    pub(super) fn metrics(self) -> Action {
        let now = self.ports.now();
        let mut fields = Fields::new();
        fields.set("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8");
        let body = self.gateway.metrics.borrow().text(&self.gateway.gauges(now), now);
        self.answer(200, fields, body, "metrics")
    }

    pub(super) fn landing_page(self, method: Method, wants_html: bool) -> Action {
        let now = self.ports.now();
        let known = |resource: &Resource| (self.gateway.keys_of(resource, now), self.gateway.server_of(resource));
        let (status, fields, body) = landing_page(&self.gateway.settings, method, wants_html, &known);
        self.answer(status, fields, body, "public_document")
    }
}

impl Suspended<()> {
    /// Ends with the answer of the authorization server.
    #[must_use]
    pub fn endpoint_answered<P: Ports>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        (answer, outcome): (Answer, &EndpointOutcome),
    ) -> Action {
        let (active, ()) = self.resume(gateway, ports);
        log::write(gateway, ports, &active.context, &Outcome::Endpoint(outcome), answer.status);
        Action::Answer(answer)
    }
}

impl Suspended<()> {
    /// Rejects the request, because there is no authorization server.
    #[must_use]
    pub fn no_authorization_server<P: Ports>(self, gateway: &Rc<Gateway>, ports: &P) -> Action {
        let (active, ()) = self.resume(gateway, ports);
        active.refuse(Rejection::NotFound)
    }
}

impl Gateway {
    /// Seconds for which the keys of the issuer with that name are still fresh; `None` if it has no keys or they never
    /// expire.
    pub(super) fn keys_fresh_for(&self, name: Option<&str>, now: UnixMillis) -> Option<u64> {
        let mut issuers = self.settings.verifiers.issuers.iter();
        issuers.find(|issuer| Some(issuer.name.as_str()) == name).and_then(|it| self.issuers.of(it).fresh_for(now))
    }

    fn gauges(&self, now: UnixMillis) -> Gauges {
        let issuers = self.settings.verifiers.issuers.iter();
        Gauges {
            tokens: self.memory.borrow().cache.size(),
            keys: issuers.map(|issuer| (issuer.name.clone(), self.issuers.of(issuer).fresh_for(now))).collect(),
            version: self.version.clone(),
        }
    }

    /// The public state of the keys of a resource's issuers.
    fn keys_of(&self, resource: &Resource, now: UnixMillis) -> landing_page::KeyStatus {
        let states = resource.accepts.issuers.iter().map(|issuer| self.issuers.of(issuer));
        states.fold(landing_page::KeyStatus::Ready, |worst, state| {
            let keys = state.keys.borrow();
            match (worst, keys.freshness(now)) {
                (landing_page::KeyStatus::Unavailable, _) | (_, Freshness::Refuse { .. }) => {
                    landing_page::KeyStatus::Unavailable
                }
                (landing_page::KeyStatus::Unasked, _) | (_, Freshness::Fetch) => landing_page::KeyStatus::Unasked,
                _ => landing_page::KeyStatus::Ready,
            }
        })
    }

    /// The public state of a resource's origin server.
    fn server_of(&self, resource: &Resource) -> landing_page::ServerStatus {
        self.servers.borrow().get(&resource.index).copied().unwrap_or_default()
    }

    /// Records whether the origin server of a resource answered. A client that disconnected says nothing about it.
    pub(super) fn note_server<T>(&self, resource: &Resource, answer: &Result<T, OriginFailure>) {
        let server = match answer {
            Ok(_) => landing_page::ServerStatus::Answering,
            Err(OriginFailure::Timeout { .. } | OriginFailure::Unreachable { .. }) => {
                landing_page::ServerStatus::Silent
            }
            Err(_) => return,
        };
        self.servers.borrow_mut().insert(resource.index, server);
    }
}
