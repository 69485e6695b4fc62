//! A client that registered itself (RFC 7591), and how its owner manages it (RFC 7592).

use serde::{Deserialize, Serialize};

use super::{Hash, RecordStateMachine};
use crate::authorization_server::client::ClientMetadata;

/// A registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The client's metadata.
    pub metadata: ClientMetadata,
    /// The hash of its secret.
    pub secret: Option<Hash>,
    /// The hash of its registration access token.
    pub management: Hash,
    /// The second at which the client registered.
    pub created: u64,
    /// The second at which the registration expires, unless the client is used before.
    pub until: u64,
}

/// Questions to a registration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum RegistrationQuestion {
    /// Makes the registration.
    Create(Box<Registration>),
    /// The client is used: the registration lives for this many seconds from now on. With 0 the question only reads it.
    Use(u64),
    /// The owner reads the registration.
    Read(Hash),
    /// The owner replaces the metadata.
    Replace(Hash, Box<ClientMetadata>),
    /// The owner deletes the registration.
    Delete(Hash),
}

impl RecordStateMachine for Registration {
    const KIND: &'static str = "client";
    type Question = RegistrationQuestion;
    /// The registration, if it exists and the question has the right token.
    type Answer = Option<Self>;

    fn answer(record: Option<Self>, question: RegistrationQuestion, now: u64) -> (Self::Answer, Option<Self>) {
        use RegistrationQuestion::{Create, Delete, Read, Replace, Use};
        let Some(mut kept) = record else {
            return match question {
                Create(made) => (Some((*made).clone()), Some(*made)),
                _ => (None, None),
            };
        };
        match question {
            // An id has 128 random bits, so a second registration with the same id is an error and not a coincidence.
            Create(_) => (None, Some(kept)),
            Use(seconds) => {
                // Written at most once a day, or more often if the registration lives for less than two days.
                if kept.until < (now + seconds).saturating_sub((seconds / 2).min(86_400)) {
                    kept.until = now + seconds;
                }
                (Some(kept.clone()), Some(kept))
            }
            Read(token) | Replace(token, _) | Delete(token) if token != kept.management => (None, Some(kept)),
            Read(_) => (Some(kept.clone()), Some(kept)),
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
