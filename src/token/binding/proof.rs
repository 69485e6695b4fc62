//! DPoP proofs (RFC 9449 §4): for one request, the caller shows that it holds the key that its token is bound to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::jwks::key::{JwsAlgorithm, VerificationKey};
use crate::limits::{PROOF_BYTES, PROOF_JTI_BYTES, PROOF_WINDOW};
use crate::time::UnixMillis;
use crate::token::claim_values::whole_seconds;
use crate::token::signature::{SignatureCheck, SignatureProof};
use crate::token::untrusted::{TokenType, UntrustedToken};
use crate::transport::url::HttpUrl;

/// Why the gateway rejects a DPoP proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofError {
    /// The gateway does not support `alg`, or it does not fit the key.
    Algorithm,
    /// `ath` is not the digest of the access token.
    AccessTokenHash,
    /// A claim is missing or has a wrong type, or `jti` is empty or too long.
    Claims,
    /// `iat` is too far from the current time.
    Expired,
    /// The key is private, weak or malformed.
    Key,
    /// Not one JWS of the type `dpop+jwt` with a key, or too long.
    Malformed,
    /// `htm` is not the method of the request.
    Method,
    /// The request has no proof, or more than one.
    Missing,
    /// `nonce` is missing, or the gateway did not issue it recently (RFC 9449 §9).
    Nonce,
    /// The token is bound to another key.
    OtherKey,
    /// The proof was used before.
    Replayed,
    /// The signature is invalid.
    Signature,
    /// `htu` is not the URL of the request.
    Url,
}

impl ProofError {
    /// The reason in the log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Algorithm => "proof_algorithm",
            Self::AccessTokenHash => "proof_access_token_hash",
            Self::Claims => "proof_claims",
            Self::Expired => "proof_expired",
            Self::Key => "proof_key",
            Self::Malformed => "proof_malformed",
            Self::Method => "proof_method",
            Self::Missing => "proof_missing",
            Self::Nonce => "proof_nonce",
            Self::OtherKey => "proof_other_key",
            Self::Replayed => "proof_replayed",
            Self::Signature => "proof_signature",
            Self::Url => "proof_url",
        }
    }
}

/// A proof that passed the checks of [`Proof::read`], and its key. Its signature has not been verified.
#[derive(Debug)]
pub struct Proof {
    jws: UntrustedToken,
    key: VerificationKey,
    algorithm: JwsAlgorithm,
    jti: String,
    issued_at: u64,
}

/// What a proof must match.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The URLs that name the requested resource.
    pub urls: &'a [HttpUrl],
    /// The access token; `None` at the token endpoint, where there is none yet.
    pub token: Option<&'a str>,
    /// The thumbprint of the key that the token is bound to; `None` if any key will do.
    pub jkt: Option<&'a str>,
    /// Maximum difference in seconds between `iat` and `now`, in either direction.
    pub window: u64,
    /// The current time.
    pub now: UnixMillis,
}

impl Proof {
    /// Parses a proof and checks what it must match:
    ///
    /// 1. The field is one JWS of at most [`PROOF_BYTES`], with `typ` `dpop+jwt`, an asymmetric `alg` and a public
    ///    `jwk` (RFC 9449 §4.3).
    /// 2. The key is the one that the token is bound to (§6.1).
    /// 3. `htm` and `htu` are those of the request; query and fragment are ignored.
    /// 4. `iat` lies within the window.
    /// 5. `ath` is the SHA-256 digest of the access token (§4.2).
    /// 6. `jti` is present and at most [`PROOF_JTI_BYTES`] long.
    ///
    /// Not checked here: the signature, the nonce, and whether the proof was used before.
    ///
    /// # Errors
    /// The [`ProofError`] of the first check that fails.
    pub fn read(field: Option<&str>, expected: &Expected<'_>) -> Result<Self, ProofError> {
        let text = field.ok_or(ProofError::Missing)?;
        if text.len() > PROOF_BYTES {
            return Err(ProofError::Malformed);
        }
        // A repeated field arrives joined by a comma, which no JWS contains.
        if text.contains(',') {
            return Err(ProofError::Missing);
        }
        let jws = UntrustedToken::parse_with_key(text).map_err(|_| ProofError::Malformed)?;
        if *jws.typ() != TokenType::Named("dpop+jwt".to_owned()) {
            return Err(ProofError::Malformed);
        }
        let algorithm = JwsAlgorithm::parse(jws.algorithm()).ok_or(ProofError::Algorithm)?;
        let key = jws.jwk().ok_or(ProofError::Malformed)?;
        let key = VerificationKey::parse(key).map_err(|_| ProofError::Key)?;
        if !key.fits(algorithm) {
            return Err(ProofError::Algorithm);
        }
        if expected.jkt.is_some_and(|jkt| key.thumbprint() != jkt) {
            return Err(ProofError::OtherKey);
        }
        let text = |claim: &str| jws.claims().get(claim).and_then(Value::as_str).ok_or(ProofError::Claims);
        if text("htm")? != expected.method {
            return Err(ProofError::Method);
        }
        let url = target(text("htu")?).ok_or(ProofError::Url)?;
        if !expected.urls.contains(&url) {
            return Err(ProofError::Url);
        }
        let issued_at = jws.claims().get("iat").and_then(|value| whole_seconds(value, f64::floor));
        let issued_at = issued_at.and_then(|seconds| u64::try_from(seconds).ok());
        let issued_at = issued_at.ok_or(ProofError::Claims)?;
        if issued_at.abs_diff(expected.now.seconds()) > expected.window {
            return Err(ProofError::Expired);
        }
        if let Some(token) = expected.token
            && text("ath")? != URL_SAFE_NO_PAD.encode(Sha256::digest(token))
        {
            return Err(ProofError::AccessTokenHash);
        }
        let jti = text("jti")?.to_owned();
        if jti.is_empty() || jti.len() > PROOF_JTI_BYTES {
            return Err(ProofError::Claims);
        }
        Ok(Self { jws, key, algorithm, jti, issued_at })
    }

    /// The thumbprint of its key.
    #[must_use]
    pub fn jkt(&self) -> &str {
        self.key.thumbprint()
    }

    /// `nonce`.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        self.jws.claims().get("nonce").and_then(Value::as_str)
    }

    /// The check of the signature, unless `proof` shows that it was made.
    ///
    /// # Errors
    /// [`ProofError::Signature`] if the signature does not have the length that such a key makes.
    pub fn signature(&self, proof: Option<&SignatureProof>) -> Result<Option<Box<SignatureCheck>>, ProofError> {
        if proof.is_some_and(|proof| proof.covers(&self.jws, &self.key)) {
            return Ok(None);
        }
        SignatureCheck::of(&self.jws, &self.key, self.algorithm).map(Some).map_err(|_| ProofError::Signature)
    }

    /// What marks the proof as used: the digest of key and `jti`, and the first second at which the proof is too old
    /// under any configuration. A window that an operator widens later must not make a used proof valid again.
    #[must_use]
    pub fn single_use(&self, (issuer, subject): (&str, &str)) -> SingleUse {
        let jkt = self.key.thumbprint();
        let mut hash = Sha256::new();
        hash.update(jkt);
        hash.update([0]);
        hash.update(&self.jti);
        let owner = Sha256::digest(format!("{issuer}\0{subject}")).into();
        SingleUse { jkt: jkt.to_owned(), owner, id: hash.finalize().into(), until: self.issued_at + PROOF_WINDOW + 1 }
    }
}

/// Something that may be used only once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleUse {
    /// The thumbprint of the key.
    pub jkt: String,
    /// Its owner: a digest of issuer and subject. A subject may have any number of keys.
    pub owner: [u8; 32],
    /// Identifies the proof.
    pub id: [u8; 32],
    /// The first second at which the proof cannot be valid any more.
    pub until: u64,
}

/// The URL of `htu` without query and fragment (RFC 9449 §4.3).
fn target(htu: &str) -> Option<HttpUrl> {
    let text = htu.split(['?', '#']).next()?;
    let url = HttpUrl::parse(text).ok()?;
    // An empty path is the same as `/` (RFC 9110 §4.2.3).
    if url.path().is_empty() { HttpUrl::parse(&format!("{text}/")).ok() } else { Some(url) }
}
