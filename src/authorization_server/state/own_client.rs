//! What this gateway is to an identity provider at which it registered itself: kept sealed, and once for all isolates.

use serde::{Deserialize, Serialize};

use super::Machine;

/// A registration elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnClient {
    /// Id and secret, sealed.
    pub sealed: String,
    /// The second from which on it has to register anew.
    pub until: u64,
}

/// Questions to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum OwnClientQuestion {
    /// What is kept?
    Look,
    /// This is to be kept, unless something is.
    Keep(OwnClient),
    /// It is of no use any more.
    Forget,
}

impl Machine for OwnClient {
    const KIND: &'static str = "own_client";
    type Question = OwnClientQuestion;
    /// What is kept.
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
