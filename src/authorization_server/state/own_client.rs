//! The registration of this gateway itself at an identity provider: stored sealed, once for all isolates.

use serde::{Deserialize, Serialize};

use super::RecordStateMachine;

/// A registration of this gateway at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayRegistration {
    /// Client id and secret, sealed.
    pub sealed: String,
    /// The second from which the gateway has to register again.
    pub until: u64,
}

/// Questions to this record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum GatewayRegistrationQuestion {
    /// Reads what is stored.
    Read,
    /// Stores this registration, unless one is stored already.
    Keep(GatewayRegistration),
    /// Deletes this sealed registration, which is no longer valid. Another one stays.
    Forget(String),
}

impl RecordStateMachine for GatewayRegistration {
    const KIND: &'static str = "own_client";
    type Question = GatewayRegistrationQuestion;
    /// What is stored.
    type Answer = Option<Self>;

    fn answer(record: Option<Self>, question: GatewayRegistrationQuestion, _: u64) -> (Option<Self>, Option<Self>) {
        let kept = match question {
            GatewayRegistrationQuestion::Read => record,
            GatewayRegistrationQuestion::Keep(new) => record.or(Some(new)),
            GatewayRegistrationQuestion::Forget(sealed) => record.filter(|kept| kept.sealed != sealed),
        };
        (kept.clone(), kept)
    }

    fn until(&self) -> u64 {
        self.until
    }
}
