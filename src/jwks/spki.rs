//! Static public keys in the configuration: PEM or JWK, converted to one form.

use std::error::Error;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use spki::der::asn1::UintRef;
use spki::der::{Decode as _, Reader as _, SliceReader};
use spki::{DecodePublicKey, ObjectIdentifier, SubjectPublicKeyInfoRef};

use crate::jwks::key::{KeyError, VerificationKey};
use crate::strict_json::{self, StrictJsonError};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Why a text is not a public key that can be used. It contains no part of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKeyError {
    /// The key cannot be used.
    Key(KeyError),
    /// It is not of a supported kind.
    Kind,
    /// It is neither PEM nor a JWK.
    Malformed,
    /// The JWK is not strict JSON.
    NotJson(StrictJsonError),
    /// It is a private key.
    Private,
}

impl fmt::Display for PublicKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => write!(f, "the key {error}"),
            Self::Kind => {
                f.write_str("is a key of an unsupported kind (RSA, EC P-256, P-384 and P-521, Ed25519 are supported)")
            }
            Self::Malformed => f.write_str("must be a public key in PEM (-----BEGIN PUBLIC KEY-----) or a JWK as JSON"),
            Self::NotJson(error) => write!(f, "the JWK is {error}"),
            Self::Private => f.write_str("is a private key; put the public key here and keep that one secret"),
        }
    }
}

impl Error for PublicKeyError {}

/// Reads a public key in PEM (RFC 7468 §13) or as JWK.
///
/// # Errors
/// A description of what is wrong, without the key.
pub fn parse_public_key(text: &str) -> Result<VerificationKey, PublicKeyError> {
    let text = text.trim();
    if text.starts_with('{') {
        let jwk = strict_json::parse(text.as_bytes()).map_err(PublicKeyError::NotJson)?;
        return VerificationKey::parse(&jwk).map_err(PublicKeyError::Key);
    }
    if text.contains("PRIVATE KEY") {
        return Err(PublicKeyError::Private);
    }
    let jwk = Pem::from_public_key_pem(text).map_err(|_| PublicKeyError::Malformed)?.0.ok_or(PublicKeyError::Kind)?;
    VerificationKey::parse(&jwk).map_err(PublicKeyError::Key)
}

/// The JWK of a SubjectPublicKeyInfo; `None` if its kind is not supported.
struct Pem(Option<serde_json::Value>);

impl TryFrom<SubjectPublicKeyInfoRef<'_>> for Pem {
    type Error = spki::Error;

    fn try_from(info: SubjectPublicKeyInfoRef<'_>) -> Result<Self, spki::Error> {
        let bits = info.subject_public_key.as_bytes().ok_or(spki::Error::KeyMalformed)?;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |curve: &str, size: usize| match (bits.first(), bits.get(1..=size), bits.get(size + 1..)) {
            (Some(4), Some(x), Some(y)) => json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) }),
            _ => json!({ "kty": "EC", "crv": curve }),
        };
        Ok(Self(match info.algorithm.oid {
            RSA => {
                let mut reader = SliceReader::new(bits)?;
                let (modulus, exponent) =
                    reader.sequence(|inner| Ok((UintRef::decode(inner)?, UintRef::decode(inner)?)))?;
                Some(json!({ "kty": "RSA", "n": encode(modulus.as_bytes()), "e": encode(exponent.as_bytes()) }))
            }
            EC => match info.algorithm.parameters_oid()? {
                P256 => Some(point("P-256", 32)),
                P384 => Some(point("P-384", 48)),
                P521 => Some(point("P-521", 66)),
                _ => None,
            },
            ED25519 => Some(json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(bits) })),
            _ => None,
        }))
    }
}
