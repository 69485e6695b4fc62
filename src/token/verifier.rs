//! What every way to verify a credential has in common.

use crate::jwks::freshness::KeyState;
use crate::time::UnixMillis;
use crate::token::credential::Credential;
use crate::token::error::TokenError;
use crate::token::signature::{GoodSignature, SignatureCheck};
use crate::token::verified::VerifiedToken;
use crate::transport::provider::ProviderDocument;

/// A way to verify credentials. It never waits: it decides from the evidence, or says what evidence it needs and is called
/// again with more. A verifier of your own is returned by `compiled()` in `src/worker/mod.rs`, and configuration names it with
/// `compiled = true`.
pub trait TokenVerifier {
    /// Verifies a credential.
    fn verify(&self, credential: &Credential, evidence: &Evidence<'_>) -> Verification;
}

/// What a verifier may use.
#[non_exhaustive]
pub struct Evidence<'a> {
    /// The time.
    pub now: UnixMillis,
    /// What is known of the issuer's keys, where the credential has an issuer.
    pub keys: Option<&'a KeyState>,
    /// The proof that a signature was checked.
    pub signature: Option<&'a GoodSignature>,
    /// What whoever was asked about the credential answered.
    pub answer: Option<&'a Answered>,
}

impl<'a> Evidence<'a> {
    /// Nothing but the time.
    #[must_use]
    pub fn new(now: UnixMillis) -> Self {
        Self { now, keys: None, signature: None, answer: None }
    }

    /// With the answer of whoever was asked.
    #[must_use]
    pub fn with_answer(self, answer: &'a Answered) -> Self {
        Self { answer: Some(answer), ..self }
    }
}

/// What whoever was asked about a credential answered.
#[derive(Debug)]
pub enum Answered {
    /// An authorization server or a verifier.
    Provider(ProviderDocument),
    /// A store: the record, where there is one.
    Record(Option<Vec<u8>>),
}

/// What a verifier says.
#[derive(Debug)]
pub enum Verification {
    /// The credential is good.
    Verified(Box<VerifiedToken>),
    /// It is not.
    Refused(TokenError),
    /// It is not, and whoever was asked need not be asked again for as many seconds.
    RefusedFor(TokenError, u64),
    /// The issuer has to be asked for its keys.
    NeedKeys,
    /// The issuer is being asked for its keys by enough others.
    AwaitKeys,
    /// There are no keys, and the issuer was asked too recently.
    NoKeys {
        /// Seconds until it is worth trying again.
        retry_after: u64,
    },
    /// A signature has to be checked.
    NeedSignature(Box<SignatureCheck>),
    /// Whoever knows the credential has to be asked.
    NeedAnswer,
    /// What was answered cannot be used: nothing is known of the credential.
    Unusable(String),
}
