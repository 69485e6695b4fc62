//! The session of a client of the legacy era with several servers, sealed for its caller (L8): what the client said of itself, and
//! the sessions that the gateway opened for it. The gateway stores nothing.
//!
//! And the ids of requests that servers send to the client: its response has to find the way back to the server and the session.

use serde::{Deserialize, Serialize};

use crate::limits::{COMBINED_SESSION_BYTES, SERVER_REQUEST_ID_BYTES};
use crate::mcp::conversation::{ClientIntroduction, ServerSession};
use crate::mcp::envelope::RequestId;
use crate::mcp::session::{Holder, NONCE_BYTES, Opened, Purpose, Sessions, append_parts};
use crate::strict_json;
use crate::time::UnixMillis;

/// What a request id is sealed for.
const SERVER_REQUEST: u8 = b'q';

/// The time of what does not expire.
const ALWAYS: UnixMillis = UnixMillis(u64::MAX);

/// The longest time within which the same id is sealed as the same text, in seconds, so that a server can cancel its request.
const SAME_TEXT_SECONDS: u64 = 3_600;

/// What a client names that a server, of several, gets sealed: no other server can name it to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientName {
    /// The id of a request.
    Id,
    /// The token of a request with which the server reports progress.
    ProgressToken,
}

impl ClientName {
    fn byte(self) -> u8 {
        match self {
            Self::Id => b'i',
            Self::ProgressToken => b'p',
        }
    }
}

/// The server that a name is sealed for.
#[derive(Debug, Clone, Copy)]
pub struct AtServer<'a> {
    /// The caller and the resource.
    pub holder: Holder<'a>,
    /// What identifies the server.
    pub server: &'a str,
}

impl AtServer<'_> {
    fn bytes(&self, name: ClientName) -> Vec<u8> {
        let mut bytes = self.holder.bytes(name.byte());
        append_parts(&mut bytes, &[self.server.as_bytes()]);
        bytes
    }
}

/// A session with several servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CombinedSession {
    /// Identifies the session in the memory of isolates.
    pub key: String,
    /// What the client said of itself.
    pub client: ClientIntroduction,
    /// The sessions at servers of the legacy era, each with what identifies the server.
    pub servers: Vec<(String, ServerSession)>,
}

/// A request of a server to the client, as its response names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerRequest {
    /// What identifies the server.
    pub server: String,
    /// The session in which the server asked.
    pub session: ServerSession,
    /// The id that the server gave it, in JSON.
    pub id: String,
}

impl Sessions {
    /// Seals a session with several servers. Sessions at servers for which there is no room are left out: the gateway opens others when
    /// they are needed.
    #[must_use]
    pub fn seal_combined(
        &self,
        mut session: CombinedSession,
        holder: Holder<'_>,
        nonce: &[u8; NONCE_BYTES],
        now: UnixMillis,
    ) -> Option<String> {
        loop {
            let text = serde_json::to_string(&session).ok()?;
            if text.len() <= COMBINED_SESSION_BYTES {
                return self.seal(&text, Purpose::Combined, holder, nonce, now);
            }
            session.servers.pop()?;
        }
    }

    /// The session with several servers that was sealed for this caller, unless it has expired, and when it was sealed.
    #[must_use]
    pub fn open_combined(&self, sealed: &str, holder: Holder<'_>, now: UnixMillis) -> Option<(CombinedSession, u64)> {
        let Opened { value, since } = self.open(sealed, Purpose::Combined, holder, now)?;
        Some((strict_json::part(&value)?, since))
    }

    /// Seals a name of a client with a session, in JSON, for a server. The text does not expire: a client may cancel its request at any
    /// time.
    #[must_use]
    pub fn seal_name(&self, name: ClientName, json: &str, at: AtServer<'_>) -> Option<String> {
        if json.len() > SERVER_REQUEST_ID_BYTES {
            return None;
        }
        self.handle(json.as_bytes(), &at.bytes(name), ALWAYS)
    }

    /// The name of the client, in JSON, that was sealed for the server.
    #[must_use]
    pub fn open_name(&self, name: ClientName, sealed: &str, at: AtServer<'_>) -> Option<String> {
        if sealed.len() > 4 * SERVER_REQUEST_ID_BYTES {
            return None;
        }
        let (plain, _) = self.opened(sealed, &at.bytes(name), UnixMillis::default())?;
        String::from_utf8(plain).ok()
    }

    /// Seals the id of a server's request to the client.
    #[must_use]
    pub fn seal_request(&self, request: &ServerRequest, holder: Holder<'_>, now: UnixMillis) -> Option<String> {
        if request.id.len() > SERVER_REQUEST_ID_BYTES {
            return None;
        }
        let text = serde_json::to_string(request).ok()?;
        let same = (self.seconds / 2).clamp(1, SAME_TEXT_SECONDS);
        let at = UnixMillis::default().plus_seconds(now.seconds() / same * same);
        self.handle(text.as_bytes(), &holder.bytes(SERVER_REQUEST), at)
    }

    /// The server's request that a response of the client is for, and when its id was sealed, at most an hour too early.
    #[must_use]
    pub fn open_request(&self, id: &RequestId, holder: Holder<'_>, now: UnixMillis) -> Option<(ServerRequest, u64)> {
        let sealed: String = strict_json::part(&id.to_json())?;
        let (text, since) = self.opened(&sealed, &holder.bytes(SERVER_REQUEST), now)?;
        Some((strict_json::part(std::str::from_utf8(&text).ok()?)?, since))
    }
}
