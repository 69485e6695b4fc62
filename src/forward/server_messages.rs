//! What one of several servers sends besides the response, and what the client gets of it.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::mcp::combined_session::ServerRequest;
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

/// Notifications about a request, which a client of the modern era gets on the stream that answers it.
const OF_REQUEST: &str = "notifications/progress";
/// Log messages.
const LOG: &str = "notifications/message";

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
    /// For the answer to a permitted request; `None` if the resource has one server, or all messages pass as they are.
    pub(super) fn of(permit: &Permit) -> Option<Self> {
        let (server, inspected) = (permit.server()?, permit.inspected()?);
        let client = permit.admitted().era();
        let session = match permit.conversation()? {
            // The gateway acknowledged the request already.
            Conversation::Modern if client == Era::Modern && !is_listening(permit) => return None,
            Conversation::Modern => None,
            Conversation::Legacy(session) => Some(session.clone()),
        };
        Some(Self {
            sessions: inspected.resource().handles.clone()?,
            subject: inspected.subject(),
            identifier: inspected.resource().identifier.clone(),
            server: server.fingerprint.clone(),
            session,
            client,
            wants_log: asks_for_log(inspected.body()),
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

    fn for_legacy(&self, method: &str, mut members: BTreeMap<String, Box<RawValue>>) -> Option<ServerMessage> {
        let instead = |text: String| RawValue::from_string(text).ok();
        if let Some(id) = members.get("id") {
            let id = instead(self.sealed(id.get())?)?;
            members.insert("id".to_owned(), id);
        } else if method == CANCELLED {
            let mut params: BTreeMap<String, Box<RawValue>> = strict_json::part(members.get("params")?.get())?;
            let id = instead(self.sealed(params.get("requestId")?.get())?)?;
            params.insert("requestId".to_owned(), id);
            members.insert("params".to_owned(), instead(serde_json::to_string(&params).ok()?)?);
        } else {
            return Some(ServerMessage::Pass);
        }
        serde_json::to_vec(&members).ok().map(ServerMessage::Instead)
    }
}

/// Whether the request opens a stream of notifications.
pub(super) fn is_listening(permit: &Permit) -> bool {
    permit.server().is_some() && permit.call().is_some_and(|call| call.method == LISTEN)
}

impl ServerMessages for MessagesOfServer {
    fn message(&self, text: &[u8]) -> ServerMessage {
        let members: Option<BTreeMap<String, Box<RawValue>>> =
            std::str::from_utf8(text).ok().and_then(strict_json::part);
        let Some(members) = members else { return ServerMessage::Drop };
        let method: Option<String> = members.get("method").and_then(|raw| strict_json::part(raw.get()));
        let Some(method) = method else { return ServerMessage::Drop };
        match self.client {
            // A message whose way back is not known would leave the server without an answer either way.
            Era::Legacy => self.for_legacy(&method, members).unwrap_or(ServerMessage::Drop),
            Era::Modern if self.session.is_none() => {
                if method == LISTEN_ACKNOWLEDGED {
                    ServerMessage::Drop
                } else {
                    ServerMessage::Pass
                }
            }
            Era::Modern if members.contains_key("id") => ServerMessage::Drop,
            Era::Modern if method == OF_REQUEST || method == LOG && self.wants_log => ServerMessage::Pass,
            Era::Modern => ServerMessage::Drop,
        }
    }
}
