//! The registration of this gateway itself at an identity provider: stored sealed, once for all isolates.

use serde::{Deserialize, Serialize};

use super::Machine;

/// A registration of this gateway at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnClient {
    /// Client id and secret, sealed.
    pub sealed: String,
    /// The second from which the gateway has to register again.
    pub until: u64,
}

/// Questions to this record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum OwnClientQuestion {
    /// Reads what is stored.
    Look,
    /// Stores this registration, unless one is stored already.
    Keep(OwnClient),
    /// Deletes the registration, which is no longer valid.
    Forget,
}

impl Machine for OwnClient {
    const KIND: &'static str = "own_client";
    type Question = OwnClientQuestion;
    /// What is stored.
    type Answer = Option<Self>;

    fn answer(record: Option<Self>, question: OwnClientQuestion, _: u64) -> (Option<Self>, Option<Self>) {
        let kept = match question {
            OwnClientQuestion::Look => record,
            OwnClientQuestion::Keep(new) => record.or(Some(new)),
            OwnClientQuestion::Forget => None,
        };
        (kept.clone(), kept)
    }

    fn until(&self) -> u64 {
        self.until
    }
}
