//! What an isolate knows of the servers of resources that have several: which eras they have, and the sessions that it opened there.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::limits::{CONVERSATIONS_OF_ONE_CALLER, CONVERSING_CALLERS, ENDED_SESSIONS, KNOWN_ERA_SECONDS};
use crate::mcp::conversation::{ClientKey, ClientSide, Conversation, ServerSession};
use crate::mcp::era::Era;
use crate::settings::federation::Server;
use crate::time::UnixMillis;

/// What an isolate knows of servers: which eras they have, and the sessions that it opened there.
#[derive(Debug, Default)]
pub(super) struct KnownServers {
    /// By the index of the server's resource.
    eras: BTreeMap<usize, KnownEras>,
    callers: HashMap<[u8; 32], VecDeque<KnownSession>>,
    /// The callers, the one that was added first in front.
    order: VecDeque<[u8; 32]>,
    /// Sessions with several servers that their clients ended.
    ended: VecDeque<ClientKey>,
}

/// Which eras a server has; `None` if that is not known.
#[derive(Debug, Clone, Copy)]
struct KnownEras {
    modern: Option<bool>,
    legacy: Option<bool>,
    until: UnixMillis,
}

#[derive(Debug)]
struct KnownSession {
    client: [u8; 32],
    /// The index of the server's resource.
    server: usize,
    session: ServerSession,
}

impl KnownServers {
    /// Whether a server has an era, if that is known.
    pub(super) fn has(&self, server: &Server, era: Era, now: UnixMillis) -> Option<bool> {
        if let Some(only) = server.era {
            return Some(only == era);
        }
        let known = self.eras.get(&server.resource.index).filter(|known| now < known.until)?;
        match era {
            Era::Modern => known.modern,
            Era::Legacy => known.legacy,
        }
    }

    pub(super) fn note(&mut self, server: &Server, era: Era, has: bool, now: UnixMillis) {
        let until = now.plus_seconds(KNOWN_ERA_SECONDS);
        let fresh = || KnownEras { modern: None, legacy: None, until };
        let known = self.eras.entry(server.resource.index).or_insert_with(fresh);
        if known.until <= now {
            *known = fresh();
        }
        match era {
            Era::Modern => known.modern = Some(has),
            Era::Legacy => known.legacy = Some(has),
        }
    }

    /// Forgets which eras a server has.
    pub(super) fn forget_eras(&mut self, server: &Server) {
        self.eras.remove(&server.resource.index);
    }

    /// The session of a client at a server.
    pub(super) fn session(&self, key: ClientKey, server: &Server) -> Option<&ServerSession> {
        let mut known = self.callers.get(&key.caller)?.iter();
        let fits = |known: &&KnownSession| known.client == key.client && known.server == server.resource.index;
        known.find(fits).map(|known| &known.session)
    }

    /// Keeps a session, in place of one that the client had at the same server. The oldest session of the same caller leaves if there
    /// are too many, and the caller that came first leaves if there are too many callers.
    pub(super) fn keep(&mut self, key: ClientKey, server: &Server, session: ServerSession) {
        if !self.callers.contains_key(&key.caller) {
            if self.order.len() >= CONVERSING_CALLERS
                && let Some(first) = self.order.pop_front()
            {
                self.callers.remove(&first);
            }
            self.order.push_back(key.caller);
        }
        let known = self.callers.entry(key.caller).or_default();
        known.retain(|known| known.client != key.client || known.server != server.resource.index);
        known.push_back(KnownSession { client: key.client, server: server.resource.index, session });
        if known.len() > CONVERSATIONS_OF_ONE_CALLER {
            known.pop_front();
        }
    }

    /// Whether the client ended the session, as far as this isolate knows.
    pub(super) fn is_ended(&self, key: ClientKey) -> bool {
        self.ended.contains(&key)
    }

    /// Forgets the sessions of a client that ended its own.
    pub(super) fn end(&mut self, key: ClientKey) {
        if self.ended.len() >= ENDED_SESSIONS {
            self.ended.pop_front();
        }
        self.ended.push_back(key);
        if let Some(known) = self.callers.get_mut(&key.caller) {
            known.retain(|known| known.client != key.client);
        }
    }

    /// How the gateway talks with a server for a client, if nothing has to be asked for that.
    pub(super) fn conversation(&self, client: &ClientSide, server: &Server, now: UnixMillis) -> Option<Conversation> {
        let legacy = || {
            let session = self.session(client.key, server).or_else(|| client.session(&server.fingerprint))?;
            Some(Conversation::Legacy(session.clone()))
        };
        let other = match client.era {
            Era::Modern => Era::Legacy,
            Era::Legacy => Era::Modern,
        };
        match (self.has(server, client.era, now), self.has(server, other, now)) {
            (Some(true), _) if client.era == Era::Modern => Some(Conversation::Modern),
            (Some(false), Some(true)) if other == Era::Modern => Some(Conversation::Modern),
            (Some(true), _) | (Some(false), Some(true)) => legacy(),
            // The session was opened when it was known.
            (None, _) if client.era == Era::Legacy => legacy(),
            _ => None,
        }
    }
}
