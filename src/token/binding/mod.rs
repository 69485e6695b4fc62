//! Sender-constrained tokens: bound to a key (DPoP, RFC 9449) or to a client certificate (RFC 8705), so that a stolen
//! token is useless.

pub mod nonce;
pub mod proof;
pub mod replay;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::oauth::bearer::AuthScheme;
use crate::time::UnixMillis;
use crate::token::binding::nonce::NonceKey;
use crate::token::binding::proof::{Expected, Proof, ProofError, SingleUse};
use crate::token::credential::Credential;
use crate::token::error::TokenError;
use crate::token::principal::Subject;
use crate::token::signature::{SignatureCheck, SignatureProof};
use crate::token::verified::{Confirmation, VerifiedToken};
use crate::transport::head::Head;
use crate::transport::url::HttpUrl;

/// Whether a resource accepts or requires a kind of binding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Requirement {
    /// The resource does not accept it.
    #[default]
    Off,
    /// The resource accepts it.
    Optional,
    /// The resource accepts only tokens with this binding.
    Required,
}

/// How the gateway checks DPoP proofs.
#[derive(Debug, Clone)]
pub struct Dpop {
    /// Maximum difference in seconds between `iat` and the current time.
    pub window: u64,
    /// The key of the nonces, if proofs must have a nonce.
    pub nonce_key: Option<NonceKey>,
    /// The Durable Object binding that remembers used proofs, if configured.
    pub replay_binding: Option<String>,
}

/// What is left to check before the binding of a token holds.
#[derive(Debug)]
pub enum Binding {
    /// Nothing: the binding holds, or the token is not bound and does not have to be.
    Holds,
    /// The signature of a proof.
    NeedSignature(Box<SignatureCheck>),
    /// That the proof was not used before.
    NeedSingleUse(SingleUse),
}

/// Which bindings a resource accepts or requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirements {
    /// Binding to a key.
    pub dpop: Requirement,
    /// Binding to a client certificate.
    pub certificate: Requirement,
}

/// A credential as a request presents it.
pub struct Presented<'a> {
    /// The credential.
    pub credential: &'a Credential,
    /// The method and fields of the request.
    pub head: &'a Head,
    /// The URLs that name the requested resource.
    pub urls: &'a dyn Fn() -> Vec<HttpUrl>,
    /// Proof that the signature of the DPoP proof was verified, if it was.
    pub signature: Option<&'a SignatureProof>,
}

/// Why a binding does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindingError {
    /// The gateway rejects the token as it was sent.
    Token(TokenError),
    /// The gateway rejects the DPoP proof.
    Proof(ProofError),
}

impl From<TokenError> for BindingError {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<ProofError> for BindingError {
    fn from(error: ProofError) -> Self {
        Self::Proof(error)
    }
}

/// Checks the binding of a token:
///
/// 1. The gateway rejects a token with a binding that it cannot check, or that the resource does not accept (R24).
/// 2. A token that is bound to a certificate must come over a connection with that certificate (RFC 8705 §3).
/// 3. A token that is bound to a key must be sent under `DPoP`, with a proof for this request (RFC 9449 §7.1). A token
///    that is not bound to a key must not be sent under `DPoP`.
/// 4. If the resource requires a binding, the token must have it.
///
/// # Errors
/// Why the binding does not hold.
pub fn check(
    presented: &Presented<'_>,
    verified: &VerifiedToken,
    required: Requirements,
    dpop: &Dpop,
    now: UnixMillis,
) -> Result<Binding, BindingError> {
    let (jkt, x5t) = match &verified.confirmation {
        Confirmation::None => (None, None),
        Confirmation::Bound { jkt, x5t } => (jkt.as_deref(), x5t.as_deref()),
        Confirmation::Unknown => return Err(TokenError::SenderConstrained.into()),
    };
    let not_taken = |bound: bool, requirement| bound && requirement == Requirement::Off;
    if not_taken(jkt.is_some(), required.dpop) || not_taken(x5t.is_some(), required.certificate) {
        return Err(TokenError::SenderConstrained.into());
    }
    if let Some(x5t) = x5t {
        let certificate = presented.head.certificate.as_ref().map(|it| URL_SAFE_NO_PAD.encode(it.digest));
        if certificate.as_deref() != Some(x5t) {
            return Err(TokenError::Certificate.into());
        }
    } else if required.certificate == Requirement::Required {
        return Err(TokenError::NotBound.into());
    }
    match (jkt, presented.credential.scheme) {
        (Some(jkt), AuthScheme::Dpop) => Ok(prove(presented, (&verified.subject, jkt), dpop, now)?),
        (Some(_), AuthScheme::Bearer) => Err(TokenError::BoundUnderBearer.into()),
        (None, AuthScheme::Dpop) => Err(TokenError::NotBound.into()),
        (None, AuthScheme::Bearer) if required.dpop == Requirement::Required => Err(TokenError::NotBound.into()),
        (None, AuthScheme::Bearer) => Ok(Binding::Holds),
    }
}

fn prove(
    presented: &Presented<'_>,
    (subject, jkt): (&Subject, &str),
    dpop: &Dpop,
    now: UnixMillis,
) -> Result<Binding, ProofError> {
    let urls = (presented.urls)();
    let expected = Expected {
        method: presented.head.method.as_str(),
        urls: &urls,
        token: Some(presented.credential.token.expose()),
        jkt: Some(jkt),
        window: dpop.window,
        now,
    };
    let proof = Proof::read(presented.head.fields.get("dpop"), &expected)?;
    if let Some(key) = &dpop.nonce_key
        && !proof.nonce().is_some_and(|nonce| key.accepts(nonce, now))
    {
        return Err(ProofError::Nonce);
    }
    Ok(match proof.signature(presented.signature)? {
        Some(check) => Binding::NeedSignature(check),
        None => Binding::NeedSingleUse(proof.single_use((&subject.issuer, &subject.subject))),
    })
}
