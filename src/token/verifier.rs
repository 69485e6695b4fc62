//! What all verifiers of credentials have in common.

use crate::jwks::freshness::KeyState;
use crate::time::UnixMillis;
use crate::token::answer_error::AnswerError;
use crate::token::credential::Credential;
use crate::token::error::TokenError;
use crate::token::signature::{SignatureCheck, SignatureProof};
use crate::token::verified::VerifiedToken;
use crate::transport::provider::ProviderDocument;

/// Verifies credentials. A verifier never waits: it decides from the evidence, or says which evidence it needs and is
/// called again with more. A verifier that you write in Rust is in a crate of your own (`examples/compiled-verifier`), and the
/// configuration names it with `compiled = true`.
pub trait TokenVerifier {
    /// Verifies a credential.
    fn verify(&self, credential: &Credential, evidence: &Evidence<'_>) -> Verification;
}

/// The evidence that a verifier may use.
#[non_exhaustive]
pub struct Evidence<'a> {
    /// The current time.
    pub now: UnixMillis,
    /// What is known about the issuer's keys, if the credential has an issuer.
    pub keys: Option<&'a KeyState>,
    /// Proof that a signature was verified.
    pub signature: Option<&'a SignatureProof>,
    /// The answer of the server or store that was asked about the credential.
    pub answer: Option<&'a VerifierAnswer>,
}

impl<'a> Evidence<'a> {
    /// Evidence that has only the time.
    #[must_use]
    pub fn new(now: UnixMillis) -> Self {
        Self { now, keys: None, signature: None, answer: None }
    }

    /// Adds the answer of the server or store that was asked.
    #[must_use]
    pub fn with_answer(self, answer: &'a VerifierAnswer) -> Self {
        Self { answer: Some(answer), ..self }
    }
}

/// The answer of the server or store that was asked about a credential.
#[derive(Debug)]
pub enum VerifierAnswer {
    /// From an authorization server or a custom verifier.
    Provider(ProviderDocument),
    /// From a store: the record, if there is one.
    Record(Option<Vec<u8>>),
}

/// The result of a verifier.
#[derive(Debug)]
pub enum Verification {
    /// The credential is valid.
    Verified(Box<VerifiedToken>),
    /// The gateway rejects the credential.
    Refused(TokenError),
    /// The gateway rejects the credential, and may reuse this result for this many seconds.
    RefusedFor(TokenError, u64),
    /// The gateway must fetch the issuer's keys.
    NeedKeys,
    /// Enough other requests are fetching the issuer's keys.
    AwaitKeys,
    /// There are no keys, and the last attempt to fetch them was too recent.
    NoKeys {
        /// Seconds until another attempt makes sense.
        retry_after: u64,
    },
    /// The gateway must check a signature.
    NeedSignature(Box<SignatureCheck>),
    /// The gateway must ask the server or store that knows the credential.
    NeedAnswer,
    /// The answer is unusable: the gateway knows nothing about the credential.
    Unusable(AnswerError),
}
