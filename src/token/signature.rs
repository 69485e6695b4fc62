//! A signature to check, and the proof that one is good.

use crate::jwks::key::{JwsAlgorithm, VerificationKey};
use crate::token::error::TokenError;
use crate::token::untrusted::UntrustedToken;

/// A signature to check, and the key to check it with.
#[derive(Debug, Clone)]
pub struct SignatureCheck {
    /// The key: it fits the algorithm.
    pub key: VerificationKey,
    /// The algorithm: it is allowed here.
    pub algorithm: JwsAlgorithm,
    /// What was signed.
    pub signing_input: String,
    /// The signature.
    pub signature: Vec<u8>,
}

impl SignatureCheck {
    /// The check of a JWS with a key, where its signature has the size that such a key makes.
    ///
    /// # Errors
    /// [`TokenError::Signature`] where it has not.
    pub fn of(jws: &UntrustedToken, key: &VerificationKey, algorithm: JwsAlgorithm) -> Result<Box<Self>, TokenError> {
        if !key.signature_fits(algorithm, jws.signature().len()) {
            return Err(TokenError::Signature);
        }
        Ok(Box::new(Self {
            key: key.clone(),
            algorithm,
            signing_input: jws.signing_input().to_owned(),
            signature: jws.signature().to_vec(),
        }))
    }

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
        self.is_of(token) && self.thumbprint == key.thumbprint()
    }

    /// Whether this is the proof for `token`, whatever key it was made with.
    #[must_use]
    pub fn is_of(&self, token: &UntrustedToken) -> bool {
        self.signing_input == token.signing_input()
    }
}
