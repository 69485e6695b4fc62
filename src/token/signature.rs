//! A signature to check, and the proof that a signature is valid.

use crate::jwks::key::{JwsAlgorithm, VerificationKey};
use crate::token::error::TokenError;
use crate::token::untrusted::UntrustedToken;

/// A signature to check, and the key to check it with.
#[derive(Debug, Clone)]
pub struct SignatureCheck {
    /// The key. It fits the algorithm.
    pub key: VerificationKey,
    /// The algorithm. The gateway allows it here.
    pub algorithm: JwsAlgorithm,
    /// The signing input (RFC 7515 §5.1).
    pub signing_input: String,
    /// The signature.
    pub signature: Vec<u8>,
}

impl SignatureCheck {
    /// The check of a JWS with a key.
    ///
    /// # Errors
    /// [`TokenError::Signature`] if the signature does not have the length that such a key makes.
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

    /// Takes the result of a [`SignatureVerifier`](crate::ports::SignatureVerifier).
    ///
    /// # Errors
    /// [`TokenError::Signature`] if the signature is invalid.
    pub fn answered(self, good: bool) -> Result<SignatureProof, TokenError> {
        if good {
            Ok(SignatureProof { signing_input: self.signing_input, thumbprint: self.key.thumbprint().to_owned() })
        } else {
            Err(TokenError::Signature)
        }
    }
}

/// Proof that a signing input was signed with a key. Only [`SignatureCheck::answered`] makes one.
#[derive(Debug)]
pub struct SignatureProof {
    signing_input: String,
    thumbprint: String,
}

impl SignatureProof {
    /// Whether this proves that `key` signed `token`.
    #[must_use]
    pub fn covers(&self, token: &UntrustedToken, key: &VerificationKey) -> bool {
        self.is_of(token) && self.thumbprint == key.thumbprint()
    }

    /// Whether this proves that `token` was signed, with whichever key.
    #[must_use]
    pub fn is_of(&self, token: &UntrustedToken) -> bool {
        self.signing_input == token.signing_input()
    }
}
