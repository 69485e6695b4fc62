//! What every way to verify a credential has in common.

use crate::jwks::freshness::KeyState;
use crate::jwks::key::{JwsAlgorithm, VerificationKey};
use crate::rejection::TokenError;
use crate::time::UnixMillis;
use crate::token::principal::Subject;
use crate::token::untrusted::UntrustedToken;

/// A way to verify access tokens. It never waits: it decides from the evidence, or says what evidence it needs and is
/// asked again with more.
pub trait TokenVerifier {
    /// Verifies `token` for a resource that accepts `audiences`.
    fn verify(&self, token: &UntrustedToken, audiences: &[String], evidence: &Evidence<'_>) -> Verification;
}

/// What a verifier may use.
pub struct Evidence<'a> {
    /// The time.
    pub now: UnixMillis,
    /// What is known of the issuer's keys.
    pub keys: &'a KeyState,
    /// The proof that the token's signature was checked.
    pub signature: Option<&'a GoodSignature>,
}

/// What a verifier says.
#[derive(Debug)]
pub enum Verification {
    /// The token is good.
    Verified(Subject),
    /// It is not.
    Refused(TokenError),
    /// The issuer has to be asked for its keys.
    NeedKeys,
    /// There are no keys, and the issuer was asked too recently.
    NoKeys {
        /// Seconds until it is worth trying again.
        retry_after: u64,
    },
    /// A signature has to be checked.
    NeedSignature(Box<SignatureCheck>),
}

/// A signature to check, and the key to check it with.
#[derive(Debug, Clone)]
pub struct SignatureCheck {
    /// The key: it fits the algorithm.
    pub key: VerificationKey,
    /// The algorithm: it is allowed for the issuer.
    pub algorithm: JwsAlgorithm,
    /// What was signed.
    pub signing_input: String,
    /// The signature.
    pub signature: Vec<u8>,
}

impl SignatureCheck {
    /// Takes the verdict of a [`SignatureVerifier`](crate::ports::SignatureVerifier).
    ///
    /// # Errors
    /// [`TokenError::Signature`] where the signature is wrong.
    pub fn answered(self, good: bool) -> Result<GoodSignature, TokenError> {
        if good {
            Ok(GoodSignature { signing_input: self.signing_input, thumbprint: self.key.thumbprint().to_owned() })
        } else {
            Err(TokenError::Signature)
        }
    }
}

/// Proof that one text was signed with one key. Only [`SignatureCheck::answered`] makes it.
#[derive(Debug)]
pub struct GoodSignature {
    signing_input: String,
    thumbprint: String,
}

impl GoodSignature {
    /// Whether this is the proof for `token`, made with `key`.
    #[must_use]
    pub fn covers(&self, token: &UntrustedToken, key: &VerificationKey) -> bool {
        self.signing_input == token.signing_input() && self.thumbprint == key.thumbprint()
    }
}
