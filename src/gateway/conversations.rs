//! How the gateway talks with each of several servers: it finds out which era a server has, and opens sessions at servers of the
//! legacy era for each client.

use std::cell::Cell;
use std::rc::Rc;

use crate::forward::request::{OutboundRequest, opening};
use crate::forward::response::{ResponseHead, check_answer};
use crate::forward::{assertion, identity, operation};
use crate::gateway::active_request::{Action, ActiveRequest, Forwarding, Repetition, SentCredential, Suspended};
use crate::gateway::concurrently::{Work, before};
use crate::gateway::gathering::message;
use crate::gateway::open::Gateway;
use crate::jwks::signing_key;
use crate::limits::{OPENING_BYTES, OPENING_SECONDS};
use crate::mcp::conversation::{
    ClientIntroduction, ClientSide, Conversation, Opening, ServerIntroduction, ServerSession, introduced, is_modern,
    is_not_legacy, own_id,
};
use crate::mcp::era::Era;
use crate::mcp::method::{DISCOVER, INITIALIZE, LISTEN, SET_LEVEL};
use crate::pipeline::context::RequestContext;
use crate::pipeline::permit::Permit;
use crate::pipeline::rejection::Rejection;
use crate::ports::{OriginFailure, Ports};
use crate::time::UnixMillis;
use crate::token::principal::Principal;

/// How the gateway can talk with a server from now on.
#[derive(Debug)]
pub struct Opened {
    conversation: Conversation,
    /// What a server of the legacy era said of itself.
    introduction: Option<ServerIntroduction>,
}

impl Opened {
    /// What was known before.
    pub(super) fn known(conversation: Conversation) -> Self {
        Self { conversation, introduction: None }
    }
}

/// Why the gateway cannot talk with a server.
#[derive(Debug)]
pub enum NotOpened {
    /// The server asks for another credential.
    Unauthorized,
    /// It failed.
    Failed(OriginFailure),
    /// Another reason.
    Rejected(Rejection),
}

impl Gateway {
    /// How the gateway talks with the server of a permit, if nothing has to be asked for that. What a client asks when it begins opens
    /// a session.
    pub(super) fn conversation(&self, permit: &Permit, now: UnixMillis) -> Option<Conversation> {
        let server = permit.server()?;
        let known_servers = self.known_servers.borrow();
        // Most requests need no more than that.
        if permit.admitted().era() == Era::Modern && known_servers.has(server, Era::Modern, now) == Some(true) {
            return Some(Conversation::Modern);
        }
        let known = known_servers.conversation(&*permit.client()?, server, now)?;
        let begins = permit.call().is_some_and(|call| matches!(call.method.as_str(), DISCOVER | INITIALIZE));
        Some(known).filter(|known| *known == Conversation::Modern || !begins)
    }
}

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// After it is known how the gateway talks with the server: sends the request, or answers for a server that does not need it.
    pub(super) fn converse(self, mut forwarding: Forwarding, opened: Opened) -> Action {
        let Opened { conversation, introduction } = opened;
        let method = forwarding.permit.call().map(|call| call.method.clone()).unwrap_or_default();
        let result = match (&conversation, introduction) {
            (Conversation::Legacy(_), Some(introduction)) if matches!(method.as_str(), DISCOVER | INITIALIZE) => {
                Some(introduction.result)
            }
            // In the modern era each request says which log messages its client wants, and in the legacy era there is no such stream.
            (Conversation::Modern, _) if method == SET_LEVEL => Some("{}".to_owned()),
            (Conversation::Legacy(_), _) if method == LISTEN => Some("{}".to_owned()),
            _ => None,
        };
        if let Some(result) = result {
            let id = forwarding.permit.request_id().to_json();
            return self.answer_here(200, format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}"));
        }
        forwarding.permit = forwarding.permit.conversing(conversation);
        self.assert(forwarding)
    }
}

impl Suspended<Forwarding> {
    /// Continues with how the gateway talks with the server.
    #[must_use]
    pub fn opened<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        opened: Result<Opened, NotOpened>,
    ) -> Action {
        let (active, forwarding) = self.resume(gateway, ports);
        let opened = match opened {
            Ok(opened) => opened,
            Err(NotOpened::Failed(failure)) => {
                let rejection = active.failed(failure);
                return active.refuse(rejection);
            }
            Err(NotOpened::Rejected(rejection)) => return active.refuse(rejection),
            Err(NotOpened::Unauthorized) => {
                let Some((credential, need)) = forwarding.credential else {
                    return active.refuse(Rejection::OriginUnauthorized(None));
                };
                let permit = Box::new(forwarding.permit);
                let repetition = if forwarding.is_repeated { Repetition::Done } else { Repetition::Possible(permit) };
                return active.refused_by_origin(SentCredential { credential, need, repetition });
            }
        };
        let permit = &forwarding.permit;
        if let (Conversation::Legacy(session), Some(server), Some(client)) =
            (&opened.conversation, permit.server(), permit.client())
        {
            gateway.known_servers.borrow_mut().keep(client.key, server, session.clone());
        }
        active.converse(forwarding, opened)
    }
}

/// Finds out how the gateway can talk with the server of a request: asks for the era of its client first, and then for the other.
///
/// # Errors
/// [`NotOpened`] if the server has neither, or failed.
pub(super) async fn open<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    (forwarding, context): (&Forwarding, &RequestContext),
    body: &P::RequestBody,
) -> Result<Opened, NotOpened> {
    let permit = &forwarding.permit;
    let (Some(server), Some(client)) = (permit.server(), permit.client()) else {
        return Err(NotOpened::Rejected(Rejection::Internal("there is no server to talk with")));
    };
    let eras = match client.era {
        Era::Modern => [Era::Modern, Era::Legacy],
        Era::Legacy => [Era::Legacy, Era::Modern],
    };
    let mut status = None;
    for era in eras {
        let now = ports.now();
        let has = gateway.known_servers.borrow().has(server, era, now);
        if has == Some(false) {
            continue;
        }
        let asking = Asking { gateway, ports, forwarding, client: &client, context, body, asked: Cell::new(0) };
        let opened = match era {
            Era::Modern if has == Some(true) => Ok(Opened::known(Conversation::Modern)),
            Era::Modern => asking.for_modern().await,
            Era::Legacy => asking.for_session().await,
        };
        match opened {
            Ok(opened) => {
                gateway.known_servers.borrow_mut().note(server, era, true, now);
                return Ok(opened);
            }
            Err(Unopened::NotThere { status: answered, is_certain }) => {
                status = Some(answered);
                if is_certain {
                    gateway.known_servers.borrow_mut().note(server, era, false, now);
                }
            }
            Err(Unopened::Failed(why)) => return Err(why),
        }
    }
    // It may have one of them later.
    gateway.known_servers.borrow_mut().forget_eras(server);
    Err(NotOpened::Rejected(Rejection::OriginFailed { status: status.unwrap_or(502) }))
}

enum Unopened {
    /// The server does not have this era, or refused the message.
    NotThere {
        /// The status of its answer.
        status: u16,
        /// Whether the answer says that it does not have the era.
        is_certain: bool,
    },
    Failed(NotOpened),
}

impl From<Rejection> for Unopened {
    fn from(rejection: Rejection) -> Self {
        Self::Failed(NotOpened::Rejected(rejection))
    }
}

/// What the gateway asks a server with.
struct Asking<'a, P: Ports> {
    gateway: &'a Gateway,
    ports: &'a P,
    forwarding: &'a Forwarding,
    client: &'a ClientSide,
    context: &'a RequestContext,
    body: &'a P::RequestBody,
    /// How many messages were sent.
    asked: Cell<usize>,
}

impl<P: Ports> Asking<'_, P> {
    async fn for_modern(&self) -> Result<Opened, Unopened> {
        let (head, text) = self.ask(Opening::Discover).await?;
        if is_modern(text.as_deref()) {
            return Ok(Opened::known(Conversation::Modern));
        }
        Err(Unopened::NotThere { status: head.status, is_certain: true })
    }

    async fn for_session(&self) -> Result<Opened, Unopened> {
        let (head, text) = self.ask(Opening::Initialize).await?;
        let Some(introduction) = text.as_deref().and_then(introduced) else {
            // Perhaps the server only refused what this client says of itself: others have no such fault.
            let is_certain = is_not_legacy(text.as_deref()) || !self.is_legacy_for_gateway().await?;
            return Err(Unopened::NotThere { status: head.status, is_certain });
        };
        let session = ServerSession::opened(head.fields.get("mcp-session-id"), &introduction.version);
        let session = session.ok_or(Rejection::Internal("no request can carry the server's session id"))?;
        let (head, _) = self.ask(Opening::Initialized(&session)).await?;
        if !(200..300).contains(&head.status) {
            return Err(Rejection::OriginFailed { status: head.status }.into());
        }
        Ok(Opened { conversation: Conversation::Legacy(session), introduction: Some(introduction) })
    }

    /// Whether the server opens a session for the gateway itself.
    async fn is_legacy_for_gateway(&self) -> Result<bool, Unopened> {
        let introduction = ClientIntroduction::of_gateway();
        let client = ClientSide { introduction, ..self.client.clone() };
        let own = Asking { client: &client, asked: Cell::new(self.asked.get()), ..*self };
        let (_, text) = own.ask(Opening::Initialize).await?;
        self.asked.set(own.asked.get());
        Ok(text.as_deref().and_then(introduced).is_some())
    }

    /// The head of the server's answer, and its message. An answer that says nothing about eras is a failure.
    async fn ask(&self, what: Opening<'_>) -> Result<(ResponseHead, Option<String>), Unopened> {
        let forwarding = self.forwarding;
        let credential = forwarding.credential.as_ref().map(|(attached, _)| attached);
        let message = self.client.introduction.message(what);
        let assertion = self.assertion(&message).await?;
        let message = (what, message);
        let request = opening(&forwarding.permit, assertion.as_deref(), credential, (self.context, message))?;
        let milliseconds = u32::try_from(OPENING_SECONDS * 1000).unwrap_or(u32::MAX);
        let answer: Work<'_, _> = Box::pin(self.exchange(request));
        let answer = before(Box::pin(self.ports.sleep(milliseconds)), answer).await;
        answer.unwrap_or(Err(Unopened::Failed(NotOpened::Failed(OriginFailure::Timeout { streamed: false }))))
    }

    /// The identity assertion for a message, if one is configured and the server may learn who calls.
    async fn assertion(&self, message: &[u8]) -> Result<Option<String>, Rejection> {
        let permit = &self.forwarding.permit;
        let settings = &self.gateway.settings;
        let key = settings.assertion_keys.first().filter(|_| permit.names_caller());
        let (Some(key), Principal::Subject(subject)) = (key, permit.principal()) else { return Ok(None) };
        // A server may accept each `jti` once.
        let asked = self.asked.get() + 1;
        self.asked.set(asked);
        let id = format!("{}.o{asked}", self.context.request_id);
        let claims = operation::own_claims(message, &|text| self.ports.canonical_json(text));
        let about = (id.as_str(), identity::claims(permit), claims);
        let (origin, ..) = permit.destination();
        let input = assertion::signing_input(settings, key, subject, origin, about, self.ports.now());
        let signature = self.ports.sign(key, input.as_bytes()).await;
        let signature = signature.map_err(|_| Rejection::Internal("the identity assertion could not be signed"))?;
        Ok(Some(signing_key::assemble(&input, &signature)))
    }

    async fn exchange(&self, request: OutboundRequest) -> Result<(ResponseHead, Option<String>), Unopened> {
        let failed = |failure| Unopened::Failed(NotOpened::Failed(failure));
        let (head, body) = self.ports.send(request, self.body).await.map_err(failed)?;
        if matches!(head.status, 401 | 403 | 429) || !(200..500).contains(&head.status) {
            self.ports.discard(body);
            if head.status == 401 {
                return Err(Unopened::Failed(NotOpened::Unauthorized));
            }
            let status = head.status;
            return Err(check_answer(head).err().unwrap_or(Rejection::OriginFailed { status }).into());
        }
        let text = self.ports.whole(body, OPENING_BYTES).await.map_err(failed)?;
        let text = message(&head, text, &own_id());
        Ok((head, text))
    }
}
