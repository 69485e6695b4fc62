//! Verification keys and the algorithms that they may be used with (RFC 7517, RFC 7518, RFC 8037, RFC 8725 §3.1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_compact::jwk::JsonWebKey;
use serde_json::Value;
use sha2::Sha256;

use crate::limits::{KID_BYTES, RSA_BITS_MAX, RSA_BITS_MIN};

/// The signature algorithms that the gateway verifies: only asymmetric ones, and none that is deprecated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JwsAlgorithm {
    /// ECDSA, P-256, SHA-256.
    Es256,
    /// ECDSA, P-384, SHA-384.
    Es384,
    /// ECDSA, P-521, SHA-512.
    Es512,
    /// Ed25519 (RFC 8037), which has two names: `EdDSA`, and `Ed25519` since RFC 9864.
    EdDsa,
    /// RSASSA-PSS, SHA-256.
    Ps256,
    /// RSASSA-PSS, SHA-384.
    Ps384,
    /// RSASSA-PSS, SHA-512.
    Ps512,
    /// RSASSA-PKCS1-v1_5, SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5, SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5, SHA-512.
    Rs512,
}

impl JwsAlgorithm {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 10] = [
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
    ];

    /// Reads an `alg` value. Case matters (RFC 7515 §4.1.1).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text || algorithm.other_name() == Some(text))
    }

    /// Every `alg` value that [`parse`](Self::parse) reads.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().flat_map(|algorithm| std::iter::once(algorithm.as_str()).chain(algorithm.other_name()))
    }

    /// The other `alg` value of an algorithm that has two.
    fn other_name(self) -> Option<&'static str> {
        (self == Self::EdDsa).then_some("Ed25519")
    }

    /// The `alg` value. Of two, it is the older one, which more implementations know.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
        }
    }

    fn key_family(self) -> KeyFamily {
        match self {
            Self::Es256 => KeyFamily::P256,
            Self::Es384 => KeyFamily::P384,
            Self::Es512 => KeyFamily::P521,
            Self::EdDsa => KeyFamily::Ed25519,
            Self::Ps256 | Self::Ps384 | Self::Ps512 | Self::Rs256 | Self::Rs384 | Self::Rs512 => KeyFamily::Rsa,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyFamily {
    Ed25519,
    P256,
    P384,
    P521,
    Rsa,
}

/// Members that only private and symmetric keys have (RFC 7518 §6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key that may verify tokens: its type is known, it is strong enough, and its owner does not restrict it to
/// another use.
#[derive(Clone)]
pub struct VerificationKey {
    id: Option<String>,
    /// The only issuer that may use the key: a provider with many tenants publishes it as `issuer`, as Entra ID does.
    issuer: Option<String>,
    /// The only algorithm that the key's owner allows, if the key names one.
    algorithm: Option<JwsAlgorithm>,
    family: KeyFamily,
    jwk: JsonWebKey<'static>,
    thumbprint: String,
}

impl VerificationKey {
    /// Reads one JWK.
    ///
    /// # Errors
    /// [`KeyError`] if the key is private or symmetric, is not for verification, has parameters that do not fit its
    /// type, or is weak.
    pub fn parse(jwk: &Value) -> Result<Self, KeyError> {
        let text = |member: &str| match jwk.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(KeyError::Malformed),
        };
        if text("use")?.is_some_and(|usage| usage != "sig") {
            return Err(KeyError::NotForSignatures);
        }
        if let Some(operations) = jwk.get("key_ops") {
            let operations = operations.as_array().ok_or(KeyError::Malformed)?;
            // RFC 7517 §4.3.
            let repeated = |(at, operation): (usize, &Value)| operations.iter().skip(at + 1).any(|it| it == operation);
            if operations.iter().any(|operation| !operation.is_string()) || operations.iter().enumerate().any(repeated)
            {
                return Err(KeyError::Malformed);
            }
            if !operations.iter().any(|operation| operation == "verify") {
                return Err(KeyError::NotForSignatures);
            }
        }
        let algorithm = match text("alg")? {
            None => None,
            Some(name) => Some(JwsAlgorithm::parse(name).ok_or(KeyError::UnknownAlgorithm)?),
        };
        let id = text("kid")?.map(str::to_owned);
        if id.as_ref().is_some_and(|id| id.len() > KID_BYTES) {
            return Err(KeyError::Malformed);
        }
        let issuer = text("issuer")?.map(str::to_owned);
        if !matches!(text("kty")?, Some("RSA" | "EC" | "OKP")) {
            return Err(KeyError::UnknownType);
        }
        // One private member is enough: the publisher has disclosed the private key.
        if PRIVATE.iter().any(|member| jwk.get(*member).is_some()) {
            return Err(KeyError::Private);
        }
        let jwk: JsonWebKey<'static> = serde_json::from_value(jwk.clone()).map_err(|_| KeyError::Malformed)?;
        let family = family(&jwk)?;
        if algorithm.is_some_and(|algorithm| algorithm.key_family() != family) {
            return Err(KeyError::AlgorithmDoesNotFit);
        }
        let thumbprint = thumbprint(&jwk);
        Ok(Self { id, issuer, algorithm, family, jwk, thumbprint })
    }

    /// The `kid`, if the key has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The issuer that the key is restricted to, if any.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whether a signature of `algorithm` can be checked with this key.
    #[must_use]
    pub fn fits(&self, algorithm: JwsAlgorithm) -> bool {
        self.family == algorithm.key_family() && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Whether a signature of `algorithm` by this key can have this many bytes (RFC 7518 §3.3 to §3.5, RFC 8037 §3.1).
    #[must_use]
    pub fn signature_fits(&self, algorithm: JwsAlgorithm, bytes: usize) -> bool {
        match (algorithm, &self.jwk) {
            (JwsAlgorithm::Es256 | JwsAlgorithm::EdDsa, _) => bytes == 64,
            (JwsAlgorithm::Es384, _) => bytes == 96,
            (JwsAlgorithm::Es512, _) => bytes == 132,
            (_, JsonWebKey::Rsa { modulus, .. }) => bytes == modulus.len(),
            _ => false,
        }
    }

    /// The public parameters.
    #[must_use]
    pub fn jwk(&self) -> &JsonWebKey<'static> {
        &self.jwk
    }

    /// The SHA-256 thumbprint (RFC 7638) in base64url: equal keys have equal thumbprints.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerificationKey({:?}, {})", self.family, self.thumbprint)
    }
}

/// The thumbprint of a key in base64url.
#[must_use]
pub fn thumbprint(jwk: &JsonWebKey<'_>) -> String {
    URL_SAFE_NO_PAD.encode(jwk.thumbprint::<Sha256>())
}

fn family(jwk: &JsonWebKey<'_>) -> Result<KeyFamily, KeyError> {
    if jwk.is_signing_key() {
        return Err(KeyError::Private);
    }
    match jwk {
        JsonWebKey::Rsa { modulus, public_exponent, .. } => {
            let leading = modulus.first().copied().ok_or(KeyError::Malformed)?;
            // RFC 7518 §6.3.1.1: no leading zero octet.
            if leading == 0 || modulus.last().is_none_or(|last| last % 2 == 0) {
                return Err(KeyError::Malformed);
            }
            let bits = modulus.len() * 8 - leading.leading_zeros() as usize;
            if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
                return Err(KeyError::Weak);
            }
            let exponent = public_exponent.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
            let fits = (1..=4).contains(&public_exponent.len())
                && public_exponent.first() != Some(&0)
                && exponent >= 3
                && exponent % 2 == 1;
            match (fits, has_roca_fingerprint(modulus)) {
                (true, false) => Ok(KeyFamily::Rsa),
                (true, true) => Err(KeyError::Roca),
                (false, _) => Err(KeyError::Weak),
            }
        }
        JsonWebKey::EllipticCurve { curve, x, y, .. } => match (curve.as_ref(), x.len(), y.len()) {
            ("P-256", 32, 32) => Ok(KeyFamily::P256),
            ("P-384", 48, 48) => Ok(KeyFamily::P384),
            ("P-521", 66, 66) => Ok(KeyFamily::P521),
            ("P-256" | "P-384" | "P-521", ..) => Err(KeyError::Malformed),
            _ => Err(KeyError::UnknownType),
        },
        JsonWebKey::KeyPair { curve, x, .. } => match (curve.as_ref(), x.len()) {
            ("Ed25519", 32) if has_small_order(x) => Err(KeyError::Weak),
            ("Ed25519", 32) => Ok(KeyFamily::Ed25519),
            ("Ed25519", _) => Err(KeyError::Malformed),
            _ => Err(KeyError::UnknownType),
        },
        _ => Err(KeyError::UnknownType),
    }
}

/// Whether an RSA modulus was made by the faulty library of CVE-2017-15361 (ROCA), whose private keys can be computed.
/// Modulo each of these primes such a modulus is a power of 65537; for a random modulus the probability is one in 2^27.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.into_iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let generator = 65_537 % prime;
        std::iter::successors(Some(1), |power| Some(power * generator % prime))
            .take(prime as usize)
            .any(|power| power == rest)
    })
}

/// Whether an Ed25519 point has small order (RFC 7748 §7, RFC 8032 §8.9): with such a key, anyone can make signatures
/// that verify. The sign bit does not matter, and encodings that are not canonical count too.
fn has_small_order(point: &[u8]) -> bool {
    const Y: [&str; 7] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let last = point.len().saturating_sub(1);
    let text: String = point
        .iter()
        .enumerate()
        .map(|(at, byte)| format!("{:02x}", if at == last { byte & 0x7F } else { *byte }))
        .collect();
    Y.contains(&text.as_str())
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// `alg` belongs to another type of key.
    AlgorithmDoesNotFit,
    /// A member is missing or has a wrong form.
    Malformed,
    /// `use` or `key_ops` restrict the key to another use.
    NotForSignatures,
    /// The key is private; it must not be published.
    Private,
    /// The gateway does not support `alg`.
    UnknownAlgorithm,
    /// The gateway does not support `kty` or `crv`.
    UnknownType,
    /// RSA with the fingerprint of CVE-2017-15361.
    Roca,
    /// RSA below 2048 or above 8192 bits, or with an unsuitable exponent; Ed25519 of small order.
    Weak,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlgorithmDoesNotFit => "its alg is for another type of key",
            Self::Malformed => "a member is missing or malformed",
            Self::NotForSignatures => "its use or key_ops is not for verifying signatures",
            Self::Private => "is a private or symmetric key",
            Self::UnknownAlgorithm => "its alg is not supported",
            Self::UnknownType => "its kty or crv is not supported (RSA, EC P-256, P-384 and P-521, OKP Ed25519 are)",
            Self::Roca => "is an RSA key with the ROCA fingerprint (CVE-2017-15361): make a new one",
            Self::Weak => {
                "is an RSA key below 2048 or above 8192 bits, or with a bad exponent, or an Ed25519 key of small order"
            }
        })
    }
}

impl std::error::Error for KeyError {}
