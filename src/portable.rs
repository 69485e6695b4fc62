//! Signatures and canonical JSON in portable Rust, for hosts without WebCrypto: tests, the command line, and as a second implementation to
//! compare with. In a Worker they would cost ten times what `crypto.subtle` costs, so no Worker is built with this
//! module.

use jwt_compact::alg::{Ed25519, Es256, Rsa};
use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{Algorithm, AlgorithmSignature as _};
use p384::ecdsa::signature::{Signer as _, Verifier as _};

use crate::jwks::key::JwsAlgorithm;
use crate::platform_error::PlatformError;
use crate::strict_json;

/// The canonical form of a JSON text (RFC 8785).
#[must_use]
pub fn canonical_json(text: &str) -> Option<String> {
    let value = strict_json::parse(text.as_bytes()).ok()?;
    serde_json_canonicalizer::to_string(&value).ok()
}

/// Whether `signature` over `input` is valid. A malformed signature is invalid; a key that does not fit the algorithm
/// is an error.
///
/// # Errors
/// [`PlatformError`] if the key does not fit the algorithm.
pub fn verify(
    jwk: &JsonWebKey<'_>,
    algorithm: JwsAlgorithm,
    input: &[u8],
    signature: &[u8],
) -> Result<bool, PlatformError> {
    match algorithm {
        JwsAlgorithm::Es256 => Ok(with(&Es256, &key(jwk)?, input, signature)),
        JwsAlgorithm::EdDsa => Ok(with(&Ed25519, &key(jwk)?, input, signature)),
        JwsAlgorithm::Es384 => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&point(jwk)?).map_err(described)?;
            Ok(p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(input, &signature).is_ok()))
        }
        JwsAlgorithm::Es512 => {
            let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&point(jwk)?).map_err(described)?;
            Ok(p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(input, &signature).is_ok()))
        }
        JwsAlgorithm::Ps256
        | JwsAlgorithm::Ps384
        | JwsAlgorithm::Ps512
        | JwsAlgorithm::Rs256
        | JwsAlgorithm::Rs384
        | JwsAlgorithm::Rs512 => {
            let key: rsa::RsaPublicKey = key(jwk)?;
            Ok(with(&Rsa::with_name(algorithm.as_str()), &key, input, signature))
        }
    }
}

/// Signs `input` with a private key.
///
/// # Errors
/// [`PlatformError`] if the key does not fit the algorithm.
pub fn sign(jwk: &JsonWebKey<'_>, algorithm: JwsAlgorithm, input: &[u8]) -> Result<Vec<u8>, PlatformError> {
    match algorithm {
        JwsAlgorithm::Es256 => Ok(Es256.sign(&key(jwk)?, input).as_bytes().to_vec()),
        JwsAlgorithm::EdDsa => Ok(Ed25519.sign(&key(jwk)?, input).as_bytes().to_vec()),
        JwsAlgorithm::Es384 => {
            let key = p384::ecdsa::SigningKey::from_slice(secret(jwk)?).map_err(described)?;
            let signature: p384::ecdsa::Signature = key.sign(input);
            Ok(signature.to_bytes().to_vec())
        }
        JwsAlgorithm::Es512 => {
            let key = p521::ecdsa::SigningKey::from_slice(secret(jwk)?).map_err(described)?;
            let signature: p521::ecdsa::Signature = key.sign(input);
            Ok(signature.to_bytes().to_vec())
        }
        JwsAlgorithm::Ps256
        | JwsAlgorithm::Ps384
        | JwsAlgorithm::Ps512
        | JwsAlgorithm::Rs256
        | JwsAlgorithm::Rs384
        | JwsAlgorithm::Rs512 => {
            let key: rsa::RsaPrivateKey = key(jwk)?;
            Ok(Rsa::with_name(algorithm.as_str()).sign(&key, input).as_bytes().to_vec())
        }
    }
}

/// The point of an EC key, uncompressed (SEC 1 §2.3.3).
fn point(jwk: &JsonWebKey<'_>) -> Result<Vec<u8>, PlatformError> {
    let JsonWebKey::EllipticCurve { x, y, .. } = jwk else { return Err("not an EC key".into()) };
    Ok([4].iter().chain(x.iter()).chain(y.iter()).copied().collect())
}

/// The private part of an EC key.
fn secret<'a>(jwk: &'a JsonWebKey<'_>) -> Result<&'a [u8], PlatformError> {
    match jwk {
        JsonWebKey::EllipticCurve { secret: Some(secret), .. } => Ok(secret),
        _ => Err("not a private EC key".into()),
    }
}

fn described(error: impl std::fmt::Display) -> PlatformError {
    error.to_string().into()
}

fn key<'a, K>(jwk: &'a JsonWebKey<'a>) -> Result<K, PlatformError>
where
    K: TryFrom<&'a JsonWebKey<'a>>,
    K::Error: std::fmt::Display,
{
    K::try_from(jwk).map_err(described)
}

fn with<A: Algorithm>(algorithm: &A, key: &A::VerifyingKey, input: &[u8], signature: &[u8]) -> bool {
    A::Signature::try_from_slice(signature).is_ok_and(|signature| algorithm.verify_signature(&signature, key, input))
}
