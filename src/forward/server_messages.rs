//! What one of several servers sends besides the response, and what the client gets of it.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::mcp::combined_session::{AtServer, ClientName, ServerRequest};
use crate::mcp::conversation::{Conversation, ServerSession, asks_for_log, progress_token};
use crate::mcp::envelope::RequestId;
use crate::mcp::era::Era;
use crate::mcp::method::{CANCELLED, LISTEN, LISTEN_ACKNOWLEDGED};
use crate::mcp::sse::{ServerMessage, ServerMessages};
use crate::pipeline::inspect::Inspected;
use crate::pipeline::permit::{PROGRESS_MARK, Permit};
use crate::settings::federation::Server;
use crate::strict_json;
use crate::time::UnixMillis;

/// Reports on a request, which a client gets on the stream that answers it.
const PROGRESS: &str = "notifications/progress";
/// Log messages.
const LOG: &str = "notifications/message";

/// The members of a message or its params.
type Members = BTreeMap<String, Box<RawValue>>;

/// Changes the messages of one server for one client.
#[derive(Debug, Clone)]
pub(super) struct MessagesOfServer {
    /// The request.
    inspected: Rc<Inspected>,
    server: Rc<Server>,
    /// The session of the legacy era in which the server answers, if it does.
    session: Option<ServerSession>,
    client: Era,
    /// The id of the request that the server got, if it is not sealed.
    own_id: String,
    now: UnixMillis,
}

impl MessagesOfServer {
    /// For the answer to a permitted request; `None` if the resource has one server.
    pub(super) fn of(permit: &Permit) -> Option<Self> {
        let session = match permit.conversation()? {
            Conversation::Modern => None,
            Conversation::Legacy(session) => Some(session.clone()),
        };
        Some(Self {
            inspected: Rc::clone(permit.shared_inspected()?),
            server: Rc::clone(permit.server()?),
            session,
            client: permit.admitted().era(),
            own_id: permit.salt().to_owned(),
            now: UnixMillis::default(),
        })
    }

    /// The same at the time of the answer.
    pub(super) fn at(self, now: UnixMillis) -> Box<dyn ServerMessages> {
        Box::new(Self { now, ..self })
    }

    /// The id of a server's request, as the client gets it.
    fn sealed(&self, id: &str) -> Option<String> {
        let read: Value = strict_json::part(id)?;
        let id = RequestId::read(&read)?.to_json();
        let request = ServerRequest { server: self.server.fingerprint.clone(), session: self.session.clone()?, id };
        let (resource, subject) = (self.inspected.resource(), self.inspected.subject());
        let holder = subject.holder(&resource.identifier);
        let sealed = resource.handles.as_ref()?.seal_request(&request, holder, self.now)?;
        serde_json::to_string(&sealed).ok()
    }

    /// The token that the client gave a request, for the one that the server got.
    fn progress_token(&self, json: &str) -> Option<String> {
        let text: String = strict_json::part(json)?;
        if !self.own_id.is_empty() {
            let is_own = text.strip_prefix(PROGRESS_MARK) == Some(self.own_id.as_str());
            return progress_token(self.inspected.body()).filter(|_| is_own);
        }
        let (resource, subject) = (self.inspected.resource(), self.inspected.subject());
        let at = AtServer { holder: subject.holder(&resource.identifier), server: &self.server.fingerprint };
        resource.handles.as_ref()?.open_name(ClientName::ProgressToken, &text, at)
    }

    /// The message with another value for a member of `params`.
    fn with_param(mut members: Members, name: &str, value: impl Fn(&str) -> Option<String>) -> Option<ServerMessage> {
        let mut params: Members = strict_json::part(members.get("params")?.get())?;
        let instead = RawValue::from_string(value(params.get(name)?.get())?).ok()?;
        params.insert(name.to_owned(), instead);
        let params = RawValue::from_string(serde_json::to_string(&params).ok()?).ok()?;
        members.insert("params".to_owned(), params);
        serde_json::to_vec(&members).ok().map(ServerMessage::Instead)
    }

    /// What the client gets of a request; `None` if it gets nothing.
    fn request(&self, mut members: Members) -> Option<ServerMessage> {
        // In the modern era there are no such requests.
        if self.client == Era::Modern {
            return None;
        }
        let id = self.sealed(members.get("id")?.get())?;
        members.insert("id".to_owned(), RawValue::from_string(id).ok()?);
        serde_json::to_vec(&members).ok().map(ServerMessage::Instead)
    }

    /// What the client gets of a notification; `None` if it gets nothing.
    fn notification(&self, method: &str, members: Members) -> Option<ServerMessage> {
        // A server could report on the request of another one.
        if method == PROGRESS {
            return Self::with_param(members, "progressToken", |token| self.progress_token(token));
        }
        match (self.client, &self.session) {
            (Era::Legacy, _) if method == CANCELLED => Self::with_param(members, "requestId", |id| self.sealed(id)),
            (Era::Legacy, _) => Some(ServerMessage::Pass),
            // The gateway acknowledged the request already.
            (Era::Modern, None) => (method != LISTEN_ACKNOWLEDGED).then_some(ServerMessage::Pass),
            (Era::Modern, Some(_)) => {
                let wanted = method == LOG && asks_for_log(self.inspected.body());
                wanted.then_some(ServerMessage::Pass)
            }
        }
    }
}

impl ServerMessages for MessagesOfServer {
    fn message(&self, text: &[u8]) -> ServerMessage {
        let read = || {
            let members: Members = strict_json::part(std::str::from_utf8(text).ok()?)?;
            let method: String = strict_json::part(members.get("method")?.get())?;
            // A message whose way back is not known would leave the server without an answer either way.
            if members.contains_key("id") { self.request(members) } else { self.notification(&method, members) }
        };
        read().unwrap_or(ServerMessage::Drop)
    }
}

/// Whether the request opens a stream of notifications.
pub(super) fn is_listening(permit: &Permit) -> bool {
    permit.server().is_some() && permit.call().is_some_and(|call| call.method == LISTEN)
}
