//! A client that registered itself (RFC 7591), as its owner manages it (RFC 7592).

use serde::{Deserialize, Serialize};

use super::{Hash, Machine};
use crate::authorization_server::client::ClientMetadata;

/// A registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// What the client said of itself.
    pub metadata: ClientMetadata,
    /// Its secret.
    pub secret: Option<Hash>,
    /// The token with which it is managed.
    pub management: Hash,
    /// The second at which it was made.
    pub created: u64,
    /// The second from which on it is over unless it is used before.
    pub until: u64,
}

/// Questions to a registration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum RegistrationQuestion {
    /// It is made.
    Make(Box<Registration>),
    /// It is used: it lives on for as many seconds.
    Use(u64),
    /// Its owner looks at it.
    Look(Hash),
    /// Its owner replaces what it says.
    Replace(Hash, Box<ClientMetadata>),
    /// Its owner ends it.
    Delete(Hash),
}

impl Machine for Registration {
    const KIND: &'static str = "client";
    type Question = RegistrationQuestion;
    /// The registration, where there is one and whoever asks may.
    type Answer = Option<Self>;

    fn answer(record: Option<Self>, question: RegistrationQuestion, now: u64) -> (Self::Answer, Option<Self>) {
        use RegistrationQuestion::{Delete, Look, Make, Replace, Use};
        let Some(mut kept) = record else {
            return match question {
                Make(made) => (Some((*made).clone()), Some(*made)),
                _ => (None, None),
            };
        };
        match question {
            // An id is 128 random bits: whoever makes it again is not lucky but wrong.
            Make(_) => (None, Some(kept)),
            Use(seconds) => {
                // Written at most once a day, and often enough for one that lives no longer.
                if kept.until < (now + seconds).saturating_sub((seconds / 2).min(86_400)) {
                    kept.until = now + seconds;
                }
                (Some(kept.clone()), Some(kept))
            }
            Look(token) | Replace(token, _) | Delete(token) if token != kept.management => (None, Some(kept)),
            Look(_) => (Some(kept.clone()), Some(kept)),
            Replace(_, metadata) => {
                kept.metadata = *metadata;
                (Some(kept.clone()), Some(kept))
            }
            Delete(_) => (Some(kept), None),
        }
    }

    fn until(&self) -> u64 {
        self.until
    }
}
