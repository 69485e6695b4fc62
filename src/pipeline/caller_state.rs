//! What the gateway keeps for a caller outside of itself, and a request brings back.

use std::rc::Rc;

use crate::mcp::combined_session::{CombinedSession, ServerRequest};
use crate::pipeline::handles::Handles;

/// What the gateway keeps for a caller outside of itself, and this request brought back.
#[derive(Debug, Clone, Default)]
pub struct CallerState {
    /// The session that the request belongs to.
    pub session: SessionUse,
    /// The same, with several servers.
    pub combined: Option<Rc<CombinedSession>>,
    /// The server's request that this is the response to, at a resource of several servers.
    pub answered: Option<Box<ServerRequest>>,
    /// The origin server's id of the last event that the caller received, if the gateway binds event ids to their callers.
    pub last_event: Option<String>,
    /// Its task ids, `requestState` and URIs of Apps.
    pub handles: Handles,
}

/// The id of an event of one of several servers, as it is marked for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventOfServer<'a> {
    /// What identifies the server.
    pub server: &'a str,
    /// Whether it was on the stream of all servers, and not on one that answers a request.
    pub is_shared: bool,
    /// The id that the server gave it.
    pub id: &'a str,
}

impl<'a> EventOfServer<'a> {
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (server, rest) = text.split_once(' ')?;
        let (stream, id) = rest.split_once(' ')?;
        Some(Self { server, is_shared: stream == Self::SHARED, id })
    }

    /// The stream of all servers, in the text.
    const SHARED: &'static str = "all";

    /// What precedes the server's id of an event.
    #[must_use]
    pub fn prefix(server: &str, is_shared: bool) -> String {
        format!("{server} {} ", if is_shared { Self::SHARED } else { "one" })
    }
}

/// The session that a request belongs to, if the gateway binds sessions to their callers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SessionUse {
    /// The gateway does not bind sessions: it forwards the caller's session id.
    #[default]
    Unbound,
    /// The request belongs to no session.
    None,
    /// The session id of the origin server, and the sealed id that the caller has.
    Id {
        /// The origin server's id.
        id: String,
        /// The caller's id.
        sealed: String,
        /// Whether the client declared URL mode elicitation when it opened the session.
        opens_urls: bool,
    },
    /// Path and query, at the origin server, for messages of a session in the transport of 2024-11-05.
    Endpoint(String),
}

impl SessionUse {
    /// Whether the client declared URL mode elicitation when it opened the session.
    #[must_use]
    pub fn opens_urls(&self) -> bool {
        matches!(self, Self::Id { opens_urls: true, .. })
    }

    /// The session id of the origin server, if there is one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Id { id, .. } => Some(id),
            Self::Unbound | Self::None | Self::Endpoint(_) => None,
        }
    }
}
