//! Sender-constrained tokens: bound to a key (DPoP, RFC 9449) or to a client certificate (RFC 8705), so that a stolen
//! one opens nothing.

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
use crate::token::signature::{GoodSignature, SignatureCheck};
use crate::token::verified::{Confirmation, VerifiedToken};
use crate::transport::head::Head;
use crate::transport::url::HttpUrl;

/// Whether something is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Requirement {
    /// Not taken.
    #[default]
    Off,
    /// Taken.
    Optional,
    /// Nothing else is taken.
    Required,
}

/// How DPoP proofs are judged.
#[derive(Debug, Clone)]
pub struct Dpop {
    /// Seconds that `iat` may lie from now.
    pub window: u64,
    /// The key of nonces, where proofs must have one.
    pub nonce_key: Option<NonceKey>,
    /// The Durable Object binding that remembers used proofs.
    pub replay_binding: Option<String>,
}

/// What has to be done before the binding of a token holds.
#[derive(Debug)]
pub enum Binding {
    /// Nothing: it holds, or the token is bound to nothing and need not be.
    Holds,
    /// The signature of a proof has to be checked.
    NeedSignature(Box<SignatureCheck>),
    /// The proof must not have been used before.
    NeedSingleUse(SingleUse),
}

/// What a resource asks of the binding of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirements {
    /// Tokens bound to a key.
    pub dpop: Requirement,
    /// Tokens bound to a client certificate.
    pub certificate: Requirement,
}

/// A credential as a request presents it.
pub struct Presented<'a> {
    /// The credential.
    pub credential: &'a Credential,
    /// The method and fields of the request.
    pub head: &'a Head,
    /// The URLs by which the caller may know what it asks for.
    pub urls: &'a dyn Fn() -> Vec<HttpUrl>,
    /// That the signature of its proof is good, where that was checked.
    pub signature: Option<&'a GoodSignature>,
}

/// Why a binding does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindingError {
    /// The token is not accepted as it was sent.
    Token(TokenError),
    /// The proof is not accepted.
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

/// Holds a token to what it is bound to:
///
/// 1. a binding that cannot be checked here, or that the resource does not take, refuses the token (R24);
/// 2. a token bound to a certificate came over a connection with that certificate (RFC 8705 §3);
/// 3. a token bound to a key came under `DPoP` with a proof for this request (RFC 9449 §7.1), and one that is not bound
///    did not;
/// 4. a resource that requires a binding gets one.
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
        let certificate = presented.head.certificate.as_ref().map(|digest| URL_SAFE_NO_PAD.encode(digest));
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
        token: presented.credential.token.expose(),
        jkt,
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
        None => Binding::NeedSingleUse(proof.single_use(subject)),
    })
}
