//! Stages 6 and 7 of a request: the request to its origin server, and the answer for the caller.

use std::rc::Rc;

use crate::forward::operation::approval_claim;
use crate::forward::request::outbound;
use crate::forward::response::{ResponseHead, check_answer};
use crate::forward::response_transform::ResponseTransform;
use crate::forward::{assertion, identity, operation};
use crate::gateway::active_request::{
    Action, ActiveRequest, AwaitingAnswer, Doubted, Forwarding, Received, Repetition, SentCredential, SigningAssertion,
    StreamWatch, Suspended,
};
use crate::gateway::conversations::Opened;
use crate::gateway::credentials::not_connected;
use crate::gateway::log;
use crate::gateway::open::Gateway;
use crate::jwks::signing_key;
use crate::mcp::conversation::Conversation;
use crate::mcp::era::Era;
use crate::mcp::session::NONCE_BYTES;
use crate::pipeline::rejection::{CredentialRefusal, Rejection};
use crate::pipeline::respond;
use crate::platform_error::PlatformError;
use crate::ports::{FilterFailure, OriginFailure, Ports};
use crate::token::principal::Principal;

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// Adds an identity assertion, if one is configured and the origin server may learn who calls. If the request is for one of several
    /// servers, the gateway has to know first how it talks with that server.
    pub(super) fn assert(self, forwarding: Forwarding) -> Action {
        if forwarding.permit.server().is_some() && forwarding.permit.conversation().is_none() {
            let now = self.ports.now();
            // The session that is known may be the one that the server has forgotten.
            let known = if forwarding.is_repeated { None } else { self.gateway.conversation(&forwarding.permit, now) };
            return match known {
                Some(conversation) => self.converse(forwarding, Opened::known(conversation)),
                None => self.wait(forwarding, Action::Converse),
            };
        }
        let settings = &self.gateway.settings;
        let permit = &forwarding.permit;
        match (settings.assertion_keys.first().filter(|_| permit.names_caller()), permit.principal()) {
            (Some(key), Principal::Subject(subject)) => {
                let (origin, ..) = permit.destination();
                // A server may accept each `jti` once.
                let again = if forwarding.is_repeated { ".2" } else { "" };
                let (id, now) = (format!("{}{again}", self.context.request_id), self.ports.now());
                let mut operation = match operation::claims(permit, &|text| self.ports.canonical_json(text)) {
                    Ok(operation) => operation,
                    Err(rejection) => return self.refuse(rejection),
                };
                operation.extend(permit.approval().map(approval_claim));
                let about = (id.as_str(), identity::claims(permit), operation);
                let input = assertion::signing_input(settings, key, subject, origin, about, now);
                self.wait(SigningAssertion { input, forwarding }, Action::SignAssertion)
            }
            _ => self.send(forwarding, None),
        }
    }

    fn send(self, forwarding: Forwarding, assertion: Option<&str>) -> Action {
        let Forwarding { permit, credential, is_repeated } = forwarding;
        let transform = Box::new(ResponseTransform::of(&permit, &self.gateway.settings, &self.gateway.answers));
        let attached = credential.as_ref().map(|(attached, _)| attached);
        let request = match outbound(&permit, assertion, attached, &self.context) {
            Ok(request) => request,
            Err(rejection) => return self.refuse(rejection),
        };
        let (recognized, seconds) = self.gateway.watch(&permit).unzip();
        let request = request.watched(seconds);
        let watch = recognized.map(StreamWatch::new);
        let remembered = self.remember(&permit, credential.as_ref(), &request);
        let has_session = matches!(permit.conversation(), Some(Conversation::Legacy(session)) if session.id.is_some());
        // A notification is for the session that it names.
        let may_repeat = has_session && !is_repeated && permit.request_id().is_known();
        let again = if may_repeat { permit.again().map(Box::new) } else { None };
        let credential = credential.map(|(credential, need)| {
            let repetition = match (is_repeated, permit.can_be_repeated()) {
                (true, _) => Repetition::Done,
                (false, true) => Repetition::Possible(Box::new(permit)),
                (false, false) => Repetition::Streamed,
            };
            SentCredential { credential, need, repetition }
        });
        let stage = AwaitingAnswer { transform, sent: self.ports.now(), remembered, credential, again, watch };
        self.wait(stage, |waiting| Action::Send(request, waiting))
    }

    /// After the origin server refused the credential of a request: sends the request again with another credential, if there
    /// is one and the request can be repeated.
    pub(super) fn refused_by_origin(self, sent: SentCredential) -> Action {
        let SentCredential { credential, repetition, .. } = sent;
        let now = self.ports.now();
        let has_other = self.gateway.memory.borrow_mut().origin_tokens.refused(&credential, now);
        let kind = credential.kind().name();
        let why = match repetition {
            Repetition::Possible(permit) if has_other => {
                return self.attach(Forwarding { permit: *permit, credential: None, is_repeated: true });
            }
            Repetition::Possible(_) => CredentialRefusal::NoOther,
            Repetition::Streamed => CredentialRefusal::Streamed,
            Repetition::Done => CredentialRefusal::Twice,
        };
        self.refuse(Rejection::OriginUnauthorized(Some((kind, why))))
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
    pub fn assertion_signed<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        signature: Result<Vec<u8>, PlatformError>,
    ) -> Action {
        let (active, SigningAssertion { input, forwarding }) = self.resume(gateway, ports);
        match signature {
            Ok(signature) => active.send(forwarding, Some(&signing_key::assemble(&input, &signature))),
            Err(_) => active.refuse(Rejection::Internal("the identity assertion could not be signed")),
        }
    }
}

impl Suspended<AwaitingAnswer> {
    /// Continues with the answer of the origin server.
    #[must_use]
    pub fn answered<P: Ports + Clone + 'static, B>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        answer: Result<(ResponseHead, B), OriginFailure>,
    ) -> Received<B> {
        let (mut active, AwaitingAnswer { transform, sent, credential, again, .. }) = self.resume(gateway, ports);
        let now = ports.now();
        active.context.origin_ms = Some(now.since(sent));
        if let Some(SentCredential { credential, .. }) = &credential {
            active.context.audit.note_origin_credential(credential.kind().name(), credential.age(now));
        }
        let mut random = [0; NONCE_BYTES];
        if gateway.settings.sessions.is_some() {
            ports.fill(&mut random);
        }
        if let Some(resource) = &active.context.resource {
            gateway.note_server(resource, &answer);
        }
        let answer = match (again, answer) {
            // Perhaps the server does not know the session any more (L5); some answer 400 then.
            (Some(permit), Ok((head, body))) if matches!(head.status, 400 | 404) => {
                return Received::Doubtful(active.hold(Doubted { permit, status: head.status }), body);
            }
            (_, answer) => answer,
        };
        let answer = match (credential, answer) {
            (Some(sent), Ok((head, body))) if head.status == 401 => {
                return Received::Again(active.refused_by_origin(sent), body);
            }
            (Some(sent), Ok((head, body))) if head.status == 403 => {
                if let Some(scope) = sent.need.more_scopes(head.fields.get("www-authenticate")) {
                    gateway.memory.borrow_mut().origin_tokens.forget(&sent.credential);
                    let rejection = not_connected(gateway, ports, &sent.need, &scope);
                    return Received::Again(active.refuse(rejection), body);
                }
                Ok((head, body))
            }
            (_, answer) => answer,
        };
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

impl Suspended<Doubted> {
    /// Continues with the body. If the server answered the request with an error, that is the answer; otherwise the gateway opens
    /// another session and sends the request again, which the server has not taken.
    #[must_use]
    pub fn read<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        body: Result<Vec<u8>, OriginFailure>,
    ) -> Action {
        let (active, Doubted { permit, status }) = self.resume(gateway, ports);
        let error = body.ok().and_then(|body| permit.error_in(&body, status));
        if let Some(error) = error {
            let status = if permit.admitted().era() == Era::Modern { status } else { 200 };
            return active.answer_here(status, error);
        }
        if let Some(server) = permit.server() {
            // Perhaps it does not have the era any more.
            gateway.known_servers.borrow_mut().forget_eras(server);
        }
        active.attach(Forwarding { permit: *permit, credential: None, is_repeated: true })
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

    /// The same for an answer of the gateway in place of one that hooks do not let pass: clients read it, whatever the server sent.
    #[must_use]
    pub(super) fn replaced<P: Ports>(self, gateway: &Rc<Gateway>, ports: &P, body: &[u8]) -> ResponseHead {
        let (active, mut head) = self.resume(gateway, ports);
        if !body.is_empty() {
            head.status = 200;
            head.fields.set("content-type", "application/json");
        }
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
