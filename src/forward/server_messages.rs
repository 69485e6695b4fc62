//! What one of several servers sends besides the response, and what the client gets of it.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::mcp::combined_session::{AtServer, ClientName, ServerRequest};
use crate::mcp::conversation::{Conversation, ServerSession, asks_for_log};
use crate::mcp::envelope::RequestId;
use crate::mcp::era::Era;
use crate::mcp::method::{CANCELLED, LISTEN, LISTEN_ACKNOWLEDGED};
use crate::mcp::session::Sessions;
use crate::mcp::sse::{ServerMessage, ServerMessages};
use crate::pipeline::permit::Permit;
use crate::strict_json;
use crate::time::UnixMillis;
use crate::token::principal::Subject;

/// Reports on a request, which a client gets on the stream that answers it.
const PROGRESS: &str = "notifications/progress";
/// Log messages.
const LOG: &str = "notifications/message";

/// The members of a message or its params.
type Members = BTreeMap<String, Box<RawValue>>;

/// Changes the messages of one server for one client.
#[derive(Debug, Clone)]
pub(super) struct MessagesOfServer {
    sessions: Sessions,
    subject: Rc<Subject>,
    /// The identifier of the resource.
    identifier: String,
    /// What identifies the server.
    server: String,
    /// The session of the legacy era in which the server answers, if it does.
    session: Option<ServerSession>,
    client: Era,
    wants_log: bool,
    now: UnixMillis,
}

impl MessagesOfServer {
    /// For the answer to a permitted request; `None` if the resource has one server.
    pub(super) fn of(permit: &Permit) -> Option<Self> {
        let (server, inspected) = (permit.server()?, permit.inspected()?);
        let client = permit.admitted().era();
        let session = match permit.conversation()? {
            Conversation::Modern => None,
            Conversation::Legacy(session) => Some(session.clone()),
        };
        Some(Self {
            sessions: inspected.resource().handles.clone()?,
            subject: inspected.subject(),
            identifier: inspected.resource().identifier.clone(),
            server: server.fingerprint.clone(),
            client,
            // Servers of the modern era know that themselves.
            wants_log: client == Era::Modern && session.is_some() && asks_for_log(inspected.body()),
            session,
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
        let request = ServerRequest { server: self.server.clone(), session: self.session.clone()?, id };
        let sealed = self.sessions.seal_request(&request, self.subject.holder(&self.identifier), self.now)?;
        serde_json::to_string(&sealed).ok()
    }

    /// The token that the client gave a request, for the one that the server got.
    fn progress_token(&self, json: &str) -> Option<String> {
        let sealed: String = strict_json::part(json)?;
        let at = AtServer { holder: self.subject.holder(&self.identifier), server: &self.server };
        self.sessions.open_name(ClientName::ProgressToken, &sealed, at)
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
            (Era::Modern, Some(_)) => (method == LOG && self.wants_log).then_some(ServerMessage::Pass),
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
