//! The session that a request belongs to.

use std::rc::Rc;

use crate::forward::response_transform::ENDPOINT_QUERY;
use crate::gateway::open::Gateway;
use crate::mcp::combined_session::{CombinedSession, ServerRequest};
use crate::mcp::era::Era;
use crate::mcp::message::{Malformed, Message};
use crate::mcp::session::{Purpose, Sessions};
use crate::pipeline::caller_state::{CallerState, SessionUse};
use crate::pipeline::handles::{Handles, Opening};
use crate::pipeline::inspect::Inspected;
use crate::pipeline::rejection::Rejection;
use crate::time::UnixMillis;
use crate::token::principal::Subject;
use crate::token::revocation::index::Revocable;
use crate::transport::head::Method;

impl Gateway {
    /// The caller's state that a request belongs to.
    pub(super) fn caller_state(&self, inspected: &Inspected, now: UnixMillis) -> Result<CallerState, Rejection> {
        let (session, combined, last_event) = self.session(inspected, now)?;
        let Some(sessions) = &inspected.resource().handles else {
            return Ok(CallerState { session, last_event, ..CallerState::default() });
        };
        let caller = inspected.caller();
        let is_ended = |since| self.is_ended(&caller.subject, since);
        let holder = caller.subject.holder(&inspected.resource().identifier);
        let opening = Opening { sessions, holder, now, is_ended: &is_ended };
        let answered = answered(inspected, opening)?;
        let handles = Handles::open(inspected, opening)?;
        Ok(CallerState { session, combined, answered, last_event, handles })
    }

    /// Whether the revocation list, or the index, ends what began at a time. A session that shares a bucket of the index with a subject
    /// whose access ended since then is over too: its client begins another one.
    fn is_ended(&self, subject: &Subject, since: u64) -> bool {
        let memory = self.memory.borrow();
        let name = if self.settings.own_issuer.as_ref().is_some_and(|own| own.identifier == subject.issuer) {
            Revocable::User(subject.subject.clone())
        } else {
            Revocable::Subject { issuer: subject.issuer.clone(), subject: subject.subject.clone() }
        };
        self.settings.revocation.is_some() && memory.revocations.ends(subject, since)
            || self.settings.revocation_index.is_some() && memory.revocation_index.ends(&name, since)
    }

    /// The caller's session that a request belongs to, if any, and the last event that the caller names in it.
    fn session(&self, inspected: &Inspected, now: UnixMillis) -> Result<UsedSession, Rejection> {
        let Some(sessions) = &self.settings.sessions else { return Ok((SessionUse::Unbound, None, None)) };
        let admitted = inspected.authenticated().request().admitted();
        // In the modern era there are no sessions, and no stream resumes (T27).
        if admitted.era() == Era::Modern {
            return Ok((SessionUse::None, None, None));
        }
        let (session, combined) = if inspected.resource().federation.is_some() {
            self.combined_session_of(sessions, inspected, now)?
        } else {
            (self.session_of(sessions, inspected, now)?, None)
        };
        let Some(marked) = admitted.head().fields.get("last-event-id").filter(|id| !id.is_empty()) else {
            return Ok((session, combined, None));
        };
        let caller = inspected.caller();
        let holder = caller.subject.holder(&inspected.resource().identifier);
        let id = sessions.event_id(marked, holder, session.id()).ok_or(Rejection::SessionUnknown)?.to_owned();
        Ok((session, combined, Some(id)))
    }

    /// The caller's session with several servers.
    fn combined_session_of(
        &self,
        sessions: &Sessions,
        inspected: &Inspected,
        now: UnixMillis,
    ) -> Result<(SessionUse, Option<Rc<CombinedSession>>), Rejection> {
        let fields = &inspected.authenticated().request().admitted().head().fields;
        let Some(sealed) = fields.get("mcp-session-id") else { return Ok((SessionUse::None, None)) };
        let caller = inspected.caller();
        let holder = caller.subject.holder(&inspected.resource().identifier);
        let (combined, since) = sessions.open_combined(sealed, holder, now).ok_or(Rejection::SessionUnknown)?;
        if self.is_ended(&caller.subject, since) {
            return Err(Rejection::SessionUnknown);
        }
        let opens_urls = combined.client.opens_urls();
        let session = SessionUse::Id { id: combined.key.clone(), sealed: sealed.to_owned(), opens_urls };
        Ok((session, Some(Rc::new(combined))))
    }

    fn session_of(&self, sessions: &Sessions, inspected: &Inspected, now: UnixMillis) -> Result<SessionUse, Rejection> {
        let admitted = inspected.authenticated().request().admitted();
        let endpoint = admitted.query().filter(|_| admitted.head().method == Method::Post).and_then(endpoint);
        let (sealed, purpose) = match (endpoint, admitted.head().fields.get("mcp-session-id")) {
            (Some(sealed), None) => (sealed, Purpose::Endpoint),
            (None, Some(sealed)) => (sealed, Purpose::Session),
            (None, None) => return Ok(SessionUse::None),
            (Some(_), Some(_)) => return Err(Rejection::SessionUnknown),
        };
        let caller = inspected.caller();
        let holder = caller.subject.holder(&inspected.resource().identifier);
        let open = |purpose| Some((sessions.open(sealed, purpose, holder, now)?, purpose));
        let with_urls = || open(Purpose::SessionWithUrls).filter(|_| purpose == Purpose::Session);
        let (opened, purpose) = open(purpose).or_else(with_urls).ok_or(Rejection::SessionUnknown)?;
        if self.is_ended(&caller.subject, opened.since) {
            return Err(Rejection::SessionUnknown);
        }
        Ok(match purpose {
            Purpose::Session | Purpose::SessionWithUrls => SessionUse::Id {
                id: opened.value,
                sealed: sealed.to_owned(),
                opens_urls: purpose == Purpose::SessionWithUrls,
            },
            Purpose::Endpoint | Purpose::Combined => SessionUse::Endpoint(opened.value),
        })
    }
}

/// A session, the same with several servers, and the last event that the caller received in it.
type UsedSession = (SessionUse, Option<Rc<CombinedSession>>, Option<String>);

/// The request of one of several servers that the message of the caller is the response to.
fn answered(inspected: &Inspected, opening: Opening<'_>) -> Result<Option<Box<ServerRequest>>, Rejection> {
    let Some([Message::Response(id)]) = inspected.messages().filter(|_| inspected.resource().federation.is_some())
    else {
        return Ok(None);
    };
    let request = opening.sessions.open_request(id, opening.holder, opening.now);
    match request.filter(|(_, since)| !(opening.is_ended)(*since)) {
        Some((request, _)) => Ok(Some(Box::new(request))),
        None => Err(Rejection::MalformedMessage {
            error: Malformed::Message("no server waits for this response"),
            id: Box::new(id.clone()),
        }),
    }
}

/// The value of the query parameter for a session's messages.
fn endpoint(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix(ENDPOINT_QUERY)?.strip_prefix('='))
}
