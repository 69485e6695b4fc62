//! A private key of the gateway: it signs identity assertions, client assertions and access tokens.

use std::error::Error;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_compact::jwk::JsonWebKey;
use serde_json::{Value, json};

use crate::jwks::key::{JwsAlgorithm, thumbprint};
use crate::strict_json::{self, StrictJsonError};

/// Why a secret is not a signing key. It contains no part of the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningKeyError {
    /// It is not of a supported kind.
    Kind,
    /// It is not strict JSON.
    NotJson(StrictJsonError),
    /// It is JSON, but not a private JWK.
    NotJwk,
    /// It is a public key.
    Public,
}

impl fmt::Display for SigningKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind => f.write_str("the secret must be an EC P-256 or OKP Ed25519 key"),
            Self::NotJson(error) => write!(f, "the secret must be a private JWK as JSON; it is {error}"),
            Self::NotJwk => f.write_str("the secret is JSON, but not a private JWK"),
            Self::Public => f.write_str("the secret is a public key; it must be the private one"),
        }
    }
}

impl Error for SigningKeyError {}

/// A private key that signs assertions or tokens.
#[derive(Clone)]
pub struct SigningKey {
    jwk: JsonWebKey<'static>,
    algorithm: JwsAlgorithm,
    id: String,
}

impl SigningKey {
    /// Reads a private JWK: `EC` P-256 or `OKP` Ed25519.
    ///
    /// # Errors
    /// A description of what is wrong, without the key.
    pub fn parse(text: &str) -> Result<Self, SigningKeyError> {
        let value = strict_json::parse(text.trim().as_bytes()).map_err(SigningKeyError::NotJson)?;
        // Members besides the parameters, which `npx portcullis keys make` and other tools add, are not kept.
        let jwk: JsonWebKey<'static> = serde_json::from_value(value).map_err(|_| SigningKeyError::NotJwk)?;
        if !jwk.is_signing_key() {
            return Err(SigningKeyError::Public);
        }
        let algorithm = match &jwk {
            JsonWebKey::EllipticCurve { curve, x, y, .. } if curve == "P-256" && x.len() == 32 && y.len() == 32 => {
                JwsAlgorithm::Es256
            }
            JsonWebKey::KeyPair { curve, x, .. } if curve == "Ed25519" && x.len() == 32 => JwsAlgorithm::EdDsa,
            _ => return Err(SigningKeyError::Kind),
        };
        let id = thumbprint(&jwk);
        Ok(Self { jwk, algorithm, id })
    }

    /// The private key. Use it only for signing.
    #[must_use]
    pub fn expose(&self) -> &JsonWebKey<'static> {
        &self.jwk
    }

    /// The algorithm that it signs with.
    #[must_use]
    pub fn algorithm(&self) -> JwsAlgorithm {
        self.algorithm
    }

    /// The key id: the thumbprint (RFC 7638).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key, in the form in which it is published.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(self.jwk.to_verifying_key()).unwrap_or_default();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), json!(self.id));
            members.insert("alg".to_owned(), json!(self.algorithm.as_str()));
            members.insert("use".to_owned(), json!("sig"));
        }
        jwk
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {})", self.algorithm.as_str(), self.id)
    }
}

/// A JWS in compact form, from its signing input and its signature.
#[must_use]
pub fn assemble(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
}
