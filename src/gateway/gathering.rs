//! What a request to several servers waits for, and how their answers become one.

use std::rc::Rc;

use crate::forward::response::ResponseHead;
use crate::gateway::merged_lists::MergedLists;
use crate::mcp::combined_session::CombinedSession;
use crate::mcp::conversation::{ClientKey, ClientSide, ServerSession};
use crate::mcp::envelope::{RequestId, empty_result};
use crate::mcp::era::Era;
use crate::mcp::list_cache::FilteredList;
use crate::mcp::merge::{MergedDiscovery, MergedList, ServerAnswer, Unmerged, response_in_events};
use crate::mcp::message::Call;
use crate::mcp::method::List;
use crate::mcp::session::{NONCE_BYTES, Sessions};
use crate::mcp::tool_view::ToolSearch;
use crate::pipeline::inspect::Inspected;
use crate::pipeline::rejection::Rejection;
use crate::settings::federation::{Federation, Server};
use crate::strict_json;
use crate::time::UnixMillis;
use crate::token::principal::Subject;

/// The code with which a server says that it does not have a method: its list is empty then.
const METHOD_NOT_FOUND: i64 = -32601;

/// Servers that are asked, each with its own cursor.
pub(super) type AskedServers = Vec<(Rc<Server>, Option<String>)>;

/// The head and the body of an answer, or why there is none that can be used; empty if the log has the reason.
pub(super) type WholeAnswer = Result<(ResponseHead, Vec<u8>), &'static str>;

/// A request that waits for the answers of several servers.
#[derive(Debug)]
pub struct Gathering {
    federation: Rc<Federation>,
    what: Gathered,
    id: RequestId,
    method: String,
    /// The name of the resource.
    name: String,
    /// Servers that are not asked.
    resting: Vec<Rc<Server>>,
    /// What seals the cursors, and for whom.
    sessions: Sessions,
    subject: Rc<Subject>,
    identifier: String,
    era: Era,
    /// What the client searches for in the list, if it does.
    search: Option<ToolSearch>,
    /// The client and the key of its session, if it has one or opens one.
    client: Option<(String, Rc<ClientSide>)>,
}

/// The list of one server in memory, as the caller may see it.
pub(super) struct KnownPart {
    pub(super) server: Rc<Server>,
    pub(super) list: Rc<FilteredList>,
    /// The milliseconds that are left of it.
    pub(super) ttl: u64,
}

/// What the servers are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gathered {
    List(List),
    /// What they say of themselves, to a client of the modern era.
    Discovery,
    /// The same, to one of the legacy era.
    Introduction,
    /// To take the level of log messages.
    Level,
    /// To end the client's session.
    Ending,
    /// To take a notification.
    Notice,
}

/// A server that is left out, and why; empty if the log has the reason.
pub(super) type LeftOut = (String, String);

/// The answer of one server.
pub(super) type PartAnswer = (Rc<Server>, WholeAnswer);

impl Gathering {
    /// A request for what several servers have.
    ///
    /// # Errors
    /// [`Rejection::Internal`] if there are no secrets for cursors.
    pub(super) fn of(
        inspected: &Inspected,
        federation: &Rc<Federation>,
        (what, id, call): (Gathered, &RequestId, &Call),
        client: Option<&(String, Rc<ClientSide>)>,
    ) -> Result<Self, Rejection> {
        let resource = inspected.resource();
        Ok(Self {
            federation: Rc::clone(federation),
            what,
            id: id.clone(),
            method: call.method.clone(),
            resting: Vec::new(),
            name: resource.name.clone().unwrap_or_else(|| "portcullis".to_owned()),
            sessions: resource.handles.clone().ok_or(Rejection::Internal("there are no secrets for cursors"))?,
            subject: inspected.subject(),
            identifier: resource.identifier.clone(),
            era: inspected.authenticated().request().admitted().era(),
            search: inspected.search().cloned(),
            client: client.cloned(),
        })
    }

    /// The same, without servers that are not asked.
    #[must_use]
    pub(super) fn without(self, resting: Vec<Rc<Server>>) -> Self {
        Self { resting, ..self }
    }

    /// The servers that are asked, with their cursors: on the first page all that may have something for the caller, later those of them
    /// that have more.
    pub(super) fn servers(&self, call: &Call, open: &[Rc<Server>], now: UnixMillis) -> Result<AskedServers, Rejection> {
        let Some(sealed) = &call.params.cursor else {
            return Ok(open.iter().map(|server| (Rc::clone(server), None)).collect());
        };
        let holder = self.subject.holder(&self.identifier);
        let cursors = self.sessions.open_cursor(sealed, (&self.method, &self.federation.hash), holder, now);
        let cursors: Vec<(String, String)> =
            cursors.and_then(|text| strict_json::part(&text)).ok_or(Rejection::CursorUnknown)?;
        let server = |name: &str| open.iter().find(|server| server.names.server == name).cloned();
        let asked = cursors.into_iter().filter_map(|(name, cursor)| Some((server(&name)?, Some(cursor))));
        Ok(asked.collect())
    }

    /// The merged answer, and the servers that are left out. The answer is [`Rejection::ServersLeftOut`] if servers are missing, and the
    /// configuration is strict or no server is left.
    pub(super) fn merged(
        &self,
        answers: Vec<PartAnswer>,
        now: UnixMillis,
    ) -> (Result<(u16, String), Rejection>, Vec<LeftOut>) {
        let mut why = Vec::new();
        let merged = match self.what {
            // Servers that do not take it change nothing for the client.
            Gathered::Notice => Ok((202, String::new())),
            Gathered::Ending => Ok((200, String::new())),
            Gathered::Level => Ok((200, empty_result(&self.id))),
            Gathered::List(_) | Gathered::Discovery | Gathered::Introduction => {
                self.merge(answers, &mut why, now).map(|body| (200, body))
            }
        };
        (merged, why)
    }

    /// The merged list, if each server's part is in memory: `known` has the parts, and the milliseconds that are left of each.
    pub(super) fn known(&self, memory: &mut MergedLists, known: &[KnownPart]) -> Option<(u16, String)> {
        let Gathered::List(of) = self.what else { return None };
        let ttl = known.iter().map(|part| part.ttl).min()?;
        let parts = || known.iter().map(|part| &part.list);
        if let Some(text) = memory.get(parts()) {
            return Some((200, text.response((of, self.era), &self.id, (None, Some(ttl)), &[])));
        }
        let mut list = MergedList::default();
        for KnownPart { server, list: part, ttl } in known {
            let message = part.response(&self.id, *ttl);
            list.add(&ServerAnswer { server: &server.names.server, message }, of, &self.id).ok()?;
        }
        // Cursors are sealed anew for each response.
        if !list.more.is_empty() {
            return None;
        }
        let text = memory.keep(parts(), list.text());
        Some((200, text.response((of, self.era), &self.id, (None, Some(ttl)), &[])))
    }

    /// Whether the answer is a list as the servers have it.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.what, Gathered::List(_)) && self.search.is_none()
    }

    /// Whether the client ends its session.
    pub(super) fn is_end(&self) -> bool {
        matches!(self.what, Gathered::Ending)
    }

    /// What identifies the client in the memory of the isolate.
    pub(super) fn client_key(&self) -> Option<ClientKey> {
        self.client.as_ref().map(|(_, client)| client.key)
    }

    /// The session that the client gets, if it opens one: with the sessions that the gateway opened for it.
    pub(super) fn session(
        &self,
        opened: impl Fn(ClientKey, &Server) -> Option<ServerSession>,
        random: &[u8; NONCE_BYTES],
        now: UnixMillis,
    ) -> Result<Option<String>, Rejection> {
        let (Gathered::Introduction, Some((key, client))) = (self.what, &self.client) else { return Ok(None) };
        let servers = self.federation.servers.iter();
        let servers = servers.filter_map(|it| Some((it.fingerprint.clone(), opened(client.key, it)?))).collect();
        let session = CombinedSession { key: key.clone(), client: client.introduction.clone(), servers };
        let holder = self.subject.holder(&self.identifier);
        let sealed = self.sessions.seal_combined(session, holder, random, now);
        sealed.map(Some).ok_or(Rejection::Internal("the session with several servers is too long"))
    }

    fn merge(&self, answers: Vec<PartAnswer>, why: &mut Vec<LeftOut>, now: UnixMillis) -> Result<String, Rejection> {
        let mut list = MergedList::default();
        let mut discovery = MergedDiscovery::default();
        let mut left_out = Vec::new();
        let count = answers.len() + self.resting.len();
        for server in &self.resting {
            left_out.push(server.names.server.clone());
            why.push((server.names.server.clone(), "it did not answer in time a moment ago".to_owned()));
        }
        for (server, answer) in answers {
            let server = server.names.server.as_str();
            let (status, message) = match answer {
                Ok((head, body)) => (Ok(head.status), message(&head, body, &self.id)),
                Err(why) => (Err(why), None),
            };
            let added = match (message, self.what) {
                (None, _) => Err(Unmerged::Malformed),
                (Some(message), Gathered::List(of)) => list.add(&ServerAnswer { server, message }, of, &self.id),
                (Some(message), _) => discovery.add(&ServerAnswer { server, message }, self.era, &self.id),
            };
            let is_empty = matches!((&added, self.what), (Err(Unmerged::Refused(METHOD_NOT_FOUND)), Gathered::List(_)));
            if let Err(error) = added
                && !is_empty
            {
                left_out.push(server.to_owned());
                let reason = match (status, error) {
                    (Err(reason), _) => reason.to_owned(),
                    (Ok(_), Unmerged::Refused(code)) => format!("it answered with the error {code}"),
                    (Ok(status), Unmerged::Malformed) => {
                        format!("its answer, with status {status}, is not what it was asked for")
                    }
                };
                why.push((server.to_owned(), reason));
            }
        }
        if !left_out.is_empty() && (self.federation.strict || left_out.len() == count) {
            return Err(Rejection::ServersLeftOut(left_out));
        }
        let Gathered::List(of) = self.what else {
            let version = self.client.as_ref().map(|(_, client)| client.introduction.version.as_str());
            return Ok(discovery.response(&self.id, (&self.name, version), &left_out));
        };
        if let Some(search) = &self.search {
            return Ok(search.result(&list.items(), (&self.id, self.era), &left_out));
        }
        let more = serde_json::to_string(&list.more).unwrap_or_default();
        let holder = self.subject.holder(&self.identifier);
        let context = (self.method.as_str(), self.federation.hash.as_str());
        let cursor = if list.more.is_empty() { None } else { self.sessions.seal_cursor(&more, context, holder, now) };
        Ok(list.text().response((of, self.era), &self.id, (cursor.as_deref(), None), &left_out))
    }
}

/// The response in the answer of a server.
pub(super) fn message(head: &ResponseHead, body: Vec<u8>, id: &RequestId) -> Option<String> {
    let text = String::from_utf8(body).ok()?;
    if head.is_event_stream() { response_in_events(&text, id) } else { Some(text) }
}
