//! Sender-constrained tokens: bound to a key (DPoP, RFC 9449) or to a client certificate (RFC 8705), so that a stolen
//! one opens nothing.

pub mod nonce;
pub mod proof;
pub mod replay;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::oauth::bearer::AuthScheme;
use crate::pipeline::admit::Admitted;
use crate::pipeline::rejection::Rejection;
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::time::UnixMillis;
use crate::token::binding::nonce::NonceKey;
use crate::token::binding::proof::{Expected, Proof, ProofError, SingleUse};
use crate::token::credential::Credential;
use crate::token::error::TokenError;
use crate::token::principal::Subject;
use crate::token::verified::{Confirmation, VerifiedToken};
use crate::token::verifier::{GoodSignature, SignatureCheck};

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

/// Holds a token to what it is bound to:
///
/// 1. a binding that nobody here can check, or that the resource does not take, refuses the token (R24);
/// 2. a token bound to a certificate came over a connection with that certificate (RFC 8705 §3);
/// 3. a token bound to a key came under `DPoP` with a proof for this request (RFC 9449 §7.1), and one that is not bound
///    did not;
/// 4. a resource that requires a binding gets one.
///
/// # Errors
/// [`Rejection::Token`] or [`Rejection::Proof`].
pub fn check(
    credential: &Credential,
    verified: &VerifiedToken,
    admitted: &Admitted,
    resource: &Resource,
    config: &Settings,
    signature: Option<&GoodSignature>,
    now: UnixMillis,
) -> Result<Binding, Rejection> {
    let refuse = |error| Err(Rejection::Token(error));
    let (jkt, x5t) = match &verified.confirmation {
        Confirmation::None => (None, None),
        Confirmation::Bound { jkt, x5t } => (jkt.as_deref(), x5t.as_deref()),
        Confirmation::Unknown => return refuse(TokenError::SenderConstrained),
    };
    let not_taken = |bound: bool, requirement| bound && requirement == Requirement::Off;
    if not_taken(jkt.is_some(), resource.dpop) || not_taken(x5t.is_some(), resource.certificate_bound) {
        return refuse(TokenError::SenderConstrained);
    }
    if let Some(x5t) = x5t {
        let presented = admitted.head().certificate.as_ref().map(|digest| URL_SAFE_NO_PAD.encode(digest));
        if presented.as_deref() != Some(x5t) {
            return refuse(TokenError::Certificate);
        }
    } else if resource.certificate_bound == Requirement::Required {
        return refuse(TokenError::NotBound);
    }
    match (jkt, credential.scheme) {
        (Some(jkt), AuthScheme::Dpop) => prove(credential, (&verified.subject, jkt), admitted, config, signature, now),
        (Some(_), AuthScheme::Bearer) => refuse(TokenError::BoundUnderBearer),
        (None, AuthScheme::Dpop) => refuse(TokenError::NotBound),
        (None, AuthScheme::Bearer) if resource.dpop == Requirement::Required => refuse(TokenError::NotBound),
        (None, AuthScheme::Bearer) => Ok(Binding::Holds),
    }
}

fn prove(
    credential: &Credential,
    (subject, jkt): (&Subject, &str),
    admitted: &Admitted,
    config: &Settings,
    signature: Option<&GoodSignature>,
    now: UnixMillis,
) -> Result<Binding, Rejection> {
    let head = admitted.head();
    let urls = admitted.urls(config);
    let expected = Expected {
        method: head.method.as_str(),
        urls: &urls,
        token: credential.token.expose(),
        jkt,
        window: config.dpop.window,
        now,
    };
    let proof = Proof::read(head.fields.get("dpop"), &expected).map_err(Rejection::Proof)?;
    if let Some(key) = &config.dpop.nonce_key
        && !proof.nonce().is_some_and(|nonce| key.accepts(nonce, now))
    {
        return Err(Rejection::Proof(ProofError::Nonce));
    }
    Ok(match proof.signature(signature).map_err(Rejection::Proof)? {
        Some(check) => Binding::NeedSignature(check),
        None => Binding::NeedSingleUse(proof.single_use(subject)),
    })
}
