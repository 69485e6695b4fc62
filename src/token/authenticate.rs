//! The third stage: who calls.

use crate::config::{Config, Resource};
use crate::jwks::freshness::KeyState;
use crate::oauth::bearer::{Credentials, parse_authorization};
use crate::observe::trail::Trail;
use crate::pipeline::{Principal, ResourceRequest};
use crate::rejection::{Rejection, TokenError};
use crate::time::UnixMillis;
use crate::token::jwt::JwtVerifier;
use crate::token::untrusted::UntrustedToken;
use crate::token::verifier::{Evidence, GoodSignature, SignatureCheck, TokenVerifier, Verification};

/// A request to a resource from a caller who is known.
#[derive(Debug)]
pub struct Authenticated {
    request: ResourceRequest,
    principal: Principal,
}

impl Authenticated {
    /// The request.
    #[must_use]
    pub fn request(&self) -> &ResourceRequest {
        &self.request
    }

    /// The caller.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

/// A request whose credential is being verified.
#[derive(Debug)]
pub struct Authenticating {
    request: ResourceRequest,
    token: UntrustedToken,
    issuer: usize,
    signature: Option<GoodSignature>,
}

impl Authenticating {
    /// Index into `Config::issuers` of the issuer that the token names.
    #[must_use]
    pub fn issuer(&self) -> usize {
        self.issuer
    }

    /// The key id that the token names.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.token.kid()
    }

    /// Takes the proof that the token's signature is good.
    #[must_use]
    pub fn with_signature(self, proof: GoodSignature) -> Self {
        Self { signature: Some(proof), ..self }
    }
}

/// How far authentication got.
#[derive(Debug)]
pub enum Authentication {
    /// The caller is known.
    Done(Authenticated),
    /// The keys of the token's issuer are needed.
    NeedKeys(Authenticating),
    /// A signature has to be checked.
    NeedSignature(Box<SignatureCheck>, Authenticating),
}

/// Reads the credential of a request and finds the issuer that its token names: by `iss`, among those that the
/// resource accepts, before any key is touched.
///
/// # Errors
/// [`Rejection::NoCredentials`], [`Rejection::MalformedCredentials`], or [`Rejection::Token`].
pub fn begin(request: ResourceRequest, config: &Config) -> Result<Authenticating, Rejection> {
    let token = match parse_authorization(request.admitted().head().fields.get("authorization")) {
        Credentials::None => return Err(Rejection::NoCredentials),
        Credentials::Malformed => return Err(Rejection::MalformedCredentials),
        Credentials::Bearer(token) => UntrustedToken::parse(&token).map_err(Rejection::Token)?,
    };
    let accepted = resource(&request, config)?.issuers.iter().copied();
    let issuer = token.claimed_issuer().and_then(|claimed| {
        accepted.into_iter().find(|&index| config.issuers.get(index).is_some_and(|issuer| issuer.identifier == claimed))
    });
    let issuer = issuer.ok_or(Rejection::Token(TokenError::UnknownIssuer))?;
    Ok(Authenticating { request, token, issuer, signature: None })
}

/// Goes as far as the evidence leads.
///
/// # Errors
/// [`Rejection::Token`] where the token is not accepted, [`Rejection::IssuerUnavailable`] where that cannot be known.
pub fn proceed(
    pending: Authenticating,
    config: &Config,
    keys: &KeyState,
    now: UnixMillis,
    trail: &mut Trail,
) -> Result<Authentication, Rejection> {
    let issuer = config.issuers.get(pending.issuer).ok_or(Rejection::Internal("issuer index"))?;
    trail.issuer = Some(issuer.name.clone());
    let audiences = &resource(&pending.request, config)?.audiences;
    let evidence = Evidence { now, keys, signature: pending.signature.as_ref() };
    match (JwtVerifier { issuer }).verify(&pending.token, audiences, &evidence) {
        Verification::Verified(subject) => {
            trail.caller(&subject, config);
            Ok(Authentication::Done(Authenticated { request: pending.request, principal: Principal::Subject(subject) }))
        }
        Verification::Refused(error) => Err(Rejection::Token(error)),
        Verification::NoKeys { retry_after } => Err(Rejection::IssuerUnavailable { retry_after }),
        Verification::NeedKeys => Ok(Authentication::NeedKeys(pending)),
        Verification::NeedSignature(check) => Ok(Authentication::NeedSignature(check, pending)),
    }
}

fn resource<'a>(request: &ResourceRequest, config: &'a Config) -> Result<&'a Resource, Rejection> {
    config.resources.get(request.index()).ok_or(Rejection::Internal("resource index"))
}
