//! A connection: the tokens of one user at the authorization server of one origin server, sealed.

use serde::{Deserialize, Serialize};

use super::RecordStateMachine;
use crate::limits::{CONNECT_LINK_SECONDS, LOGIN_SECONDS};

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// The tokens, sealed.
    pub sealed: String,
    /// The issuer identifier of the authorization server.
    pub issuer: String,
    /// The granted scopes.
    pub scope: String,
    /// The second at which the user connected.
    pub created: u64,
    /// The second at which an isolate last read the tokens.
    pub used: u64,
    /// Grows with each new set of tokens.
    pub version: u64,
    /// Until which second an isolate has the turn to refresh the tokens.
    pub refreshing: u64,
    /// The second from which the connection is forgotten.
    pub until: u64,
}

/// Questions to a connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ConnectionQuestion {
    /// The user connected: this replaces an older connection. The user began at this second; a connection that was ended after that
    /// stays ended.
    Keep(Box<Connection>, u64),
    /// Reads it; nothing changes.
    Read,
    /// Reads it for use.
    Use,
    /// Takes the turn to refresh the tokens of this version, for so many seconds.
    BeginRefresh(u64, u64),
    /// Ends the turn: the new tokens of this version, sealed, and the new scopes.
    Refreshed(u64, String, String),
    /// The tokens of this version, sealed under another secret.
    SealedAgain(u64, String),
    /// Ends the turn without new tokens. The old ones stay.
    NotRefreshed(u64),
    /// The tokens of this version are no longer accepted.
    Refused(u64),
    /// The user disconnects, or an administrator ends the connection.
    Forget,
}

/// The answer: the connection as it is now, or was before it was forgotten; and whether the asker has the turn to refresh it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionAnswer {
    /// The connection.
    pub connection: Option<Connection>,
    /// Whether the asker has the turn.
    pub turn: bool,
}

/// Seconds after which the record notes another use.
const USED_SECONDS: u64 = 3_600;

/// Seconds without a use after which a connection is forgotten.
pub const UNUSED_SECONDS: u64 = 180 * 24 * 60 * 60;

impl Connection {
    /// What remains of a connection that was ended, until every attempt to connect that began before is over.
    fn ended_at(now: u64, version: u64) -> Self {
        let (sealed, issuer, scope) = Default::default();
        let until = now + CONNECT_LINK_SECONDS + LOGIN_SECONDS;
        Self { sealed, issuer, scope, created: now, used: now, version, refreshing: 0, until }
    }

    fn is_ended(&self) -> bool {
        self.sealed.is_empty()
    }
}

impl RecordStateMachine for Connection {
    const KIND: &'static str = "connection";
    type Question = ConnectionQuestion;
    type Answer = ConnectionAnswer;

    fn answer(record: Option<Self>, question: ConnectionQuestion, now: u64) -> (ConnectionAnswer, Option<Self>) {
        let reply =
            |connection: Option<Self>| (ConnectionAnswer { connection: connection.clone(), turn: false }, connection);
        let ended = |record: Self| (ConnectionAnswer::default(), Some(record));
        match (question, record) {
            (ConnectionQuestion::Keep(_, begun), Some(old)) if old.is_ended() && begun <= old.created => ended(old),
            (ConnectionQuestion::Keep(new, _), old) => {
                // A refresh of the old tokens that is still on its way must not end as one of the new tokens.
                let version = old.map_or(0, |old| old.version) + 1;
                reply(Some(Self { version, ..*new }))
            }
            (ConnectionQuestion::Forget, old) => {
                let version = old.as_ref().map_or(0, |old| old.version);
                let connection = old.filter(|old| !old.is_ended());
                (ConnectionAnswer { connection, turn: false }, Some(Self::ended_at(now, version)))
            }
            (_, Some(old)) if old.is_ended() => ended(old),
            (ConnectionQuestion::Use, Some(mut it)) => {
                if now >= it.used + USED_SECONDS {
                    it.used = now;
                    it.until = now + UNUSED_SECONDS;
                }
                reply(Some(it))
            }
            (ConnectionQuestion::BeginRefresh(version, seconds), Some(mut it)) => {
                let turn = it.version == version && it.refreshing <= now;
                if turn {
                    it.refreshing = now + seconds;
                }
                (ConnectionAnswer { connection: Some(it.clone()), turn }, Some(it))
            }
            (ConnectionQuestion::Refreshed(version, sealed, scope), Some(it)) if it.version == version => {
                reply(Some(Self { sealed, scope, version: version + 1, refreshing: 0, ..it }))
            }
            (ConnectionQuestion::SealedAgain(version, sealed), Some(it)) if it.version == version => {
                reply(Some(Self { sealed, ..it }))
            }
            (ConnectionQuestion::NotRefreshed(version), Some(it)) if it.version == version => {
                reply(Some(Self { refreshing: 0, ..it }))
            }
            (ConnectionQuestion::Refused(version), Some(it)) if it.version == version => reply(None),
            // It is only read, or the tokens changed meanwhile, or there is no connection.
            (_, record) => reply(record),
        }
    }

    fn until(&self) -> u64 {
        self.until
    }
}
