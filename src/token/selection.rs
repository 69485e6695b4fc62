//! Finds the credential that a request presents, and the verifier for it. The credential itself decides which verifier
//! that is; the gateway never tries one verifier after another.

use std::rc::Rc;

use crate::limits::TOKEN_BYTES;
use crate::oauth::bearer::{AuthScheme, BearerToken, Credentials, MissingCredentials, parse_authorization};
use crate::token::accepted::{Verifier, Verifiers};
use crate::token::api_key::ApiKeySet;
use crate::token::binding::Requirement;
use crate::token::credential::{Credential, CredentialField};
use crate::token::error::TokenError;
use crate::token::issuer::{IntrospectedTokens, Issuer};
use crate::token::profile::Profile;
use crate::transport::head::Fields;

/// The field in which clients may send an API key.
const API_KEY_FIELD: &str = "x-api-key";

/// The field in which Cloudflare Access sends its JWT.
const ACCESS_FIELD: &str = "cf-access-jwt-assertion";

/// Why a request has no usable credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCredential {
    /// The request has no credential, or none under a scheme that the resource accepts.
    Missing(MissingCredentials),
    /// The field is malformed, or the request has more than one credential.
    Malformed,
}

/// Finds the credential of a request for a resource that accepts these verifiers:
///
/// 1. The token in `Authorization`. If the resource accepts API keys, an API key beside that token is a second
///    credential and makes the request malformed (RFC 6750 §2).
/// 2. Otherwise the API key in `X-API-Key`, if the resource accepts API keys.
/// 3. Otherwise the JWT of Cloudflare Access, if the resource accepts it.
///
/// # Errors
/// Why the request has no usable credential.
pub fn present(fields: &Fields, accepted: &Verifiers, dpop: Requirement) -> Result<Credential, NoCredential> {
    let parse = |text: &str| BearerToken::parse(text).ok_or(NoCredential::Malformed);
    let api_key = fields.get(API_KEY_FIELD).filter(|_| !accepted.api_keys.is_empty());
    match parse_authorization(fields.get("authorization")) {
        Credentials::Malformed => Err(NoCredential::Malformed),
        Credentials::Token(..) if api_key.is_some() => Err(NoCredential::Malformed),
        // A resource that does not accept DPoP treats `DPoP` like any other scheme that it does not accept.
        Credentials::Token(AuthScheme::Dpop, _) if dpop == Requirement::Off => {
            Err(NoCredential::Missing(MissingCredentials::UnsupportedScheme))
        }
        Credentials::Token(scheme, token) => Ok(Credential::authorization(scheme, token)),
        Credentials::None(missing) => {
            if let Some(text) = api_key {
                return Ok(Credential::new(AuthScheme::Bearer, parse(text)?, CredentialField::ApiKey));
            }
            let takes_access = accepted.issuers.iter().any(|issuer| issuer.profile == Profile::CloudflareAccess);
            let text = fields.get(ACCESS_FIELD).filter(|_| takes_access).ok_or(NoCredential::Missing(missing))?;
            Ok(Credential::new(AuthScheme::Bearer, parse(text)?, CredentialField::Access))
        }
    }
}

fn api_key_set(token: &BearerToken, accepted: &Verifiers) -> Option<Rc<ApiKeySet>> {
    accepted.api_keys.iter().find(|set| set.owns(token.expose())).cloned()
}

fn choose(credential: &Credential, accepted: &Verifiers, all: &Verifiers) -> Result<Verifier, TokenError> {
    let text = credential.token.expose();
    if text.len() > TOKEN_BYTES {
        return Err(TokenError::TooLong);
    }
    if let Some(set) = api_key_set(&credential.token, accepted) {
        return Ok(Verifier::ApiKeys(set));
    }
    let prefixed = |prefix: Option<&str>| prefix.is_some_and(|prefix| text.starts_with(prefix));
    let custom = |fits: &dyn Fn(Option<&str>) -> bool| {
        accepted.custom.iter().find(|custom| fits(custom.prefix.as_deref())).cloned().map(Verifier::Custom)
    };
    let introspection = |fits: &dyn Fn(Option<&str>) -> bool| {
        let asked = |issuer: &&Rc<Issuer>| issuer.introspection.as_ref().is_some_and(|it| fits(it.prefix.as_deref()));
        accepted.issuers.iter().find(asked).and_then(Verifier::introspection)
    };
    if let Some(verifier) = custom(&prefixed).or_else(|| introspection(&prefixed)) {
        return Ok(verifier);
    }
    // The gateway must not send a token that belongs to another resource's verifier to a verifier of this resource.
    if belongs_elsewhere(text, all) {
        return Err(TokenError::NotForThisResource);
    }
    let takes_jws = accepted.issuers.iter().any(|issuer| issuer.profile != Profile::CloudflareAccess);
    if takes_jws && looks_like_jws(text) {
        return of_jws(credential, accepted);
    }
    if looks_like_jws(text) && may_be_of_known_issuer(credential, all) {
        return Err(TokenError::UnknownIssuer);
    }
    match custom(&|prefix| prefix.is_none()).or_else(|| introspection(&|prefix| prefix.is_none())) {
        Some(verifier) => Ok(verifier),
        None => of_jws(credential, accepted),
    }
}

/// Whether a token begins with a prefix that the configuration names.
fn belongs_elsewhere(text: &str, all: &Verifiers) -> bool {
    let asked = all.issuers.iter().filter_map(|issuer| issuer.introspection.as_ref()?.prefix.as_deref());
    let prefixes = all.custom.iter().filter_map(|custom| custom.prefix.as_deref()).chain(asked);
    all.api_keys.iter().any(|set| set.owns(text)) || prefixes.into_iter().any(|prefix| text.starts_with(prefix))
}

/// Whether a JWT names a configured issuer, or is too malformed to tell.
fn may_be_of_known_issuer(credential: &Credential, all: &Verifiers) -> bool {
    let Ok(claimed) = credential.claimed_issuer() else { return !all.issuers.is_empty() };
    claimed.is_some_and(|claimed| all.issuers.iter().any(|issuer| issuer.tenant_of(claimed).is_some()))
}

/// Whether a text has three parts, the first of which is the encoding of a JSON object: no opaque token has this form
/// by chance.
fn looks_like_jws(text: &str) -> bool {
    text.starts_with("ey") && text.bytes().filter(|&byte| byte == b'.').count() == 2
}

fn of_jws(credential: &Credential, accepted: &Verifiers) -> Result<Verifier, TokenError> {
    let access = credential.field() == CredentialField::Access;
    let issuer = credential
        .claimed_issuer()?
        .and_then(|claimed| {
            let fitting = accepted.issuers.iter().filter(|issuer| {
                (issuer.profile == Profile::CloudflareAccess) == access && issuer.tenant_of(claimed).is_some()
            });
            // An issuer for one tenant takes precedence over a template for many.
            fitting.min_by_key(|issuer| issuer.is_template())
        })
        .ok_or(TokenError::UnknownIssuer)?;
    credential.jws_of(issuer)?;
    let asked = issuer.introspection.as_ref().filter(|asked| asked.tokens == IntrospectedTokens::All);
    Ok(match asked {
        Some(asked) => Verifier::Introspection(Rc::clone(issuer), Rc::clone(asked)),
        None => Verifier::Jwt(Rc::clone(issuer)),
    })
}

/// Selects the verifier of a credential among those that a resource accepts. `all` are the verifiers of the whole
/// configuration.
///
/// A token that begins with the prefix of an API key set, a custom verifier or an introspection of the resource is for
/// that one. A token that looks like a JWS is for the issuer that its `iss` names, if the resource has issuers of JWTs.
/// Any other token is for the one introspection or custom verifier without a prefix, unless it belongs to another
/// resource.
///
/// # Errors
/// Why no verifier accepts the credential.
pub fn select_verifier(credential: &Credential, accepted: &Verifiers, all: &Verifiers) -> Result<Verifier, TokenError> {
    match credential.field() {
        CredentialField::Authorization => choose(credential, accepted, all),
        CredentialField::ApiKey => {
            let set = api_key_set(&credential.token, accepted).ok_or(TokenError::ApiKeyUnknown)?;
            Ok(Verifier::ApiKeys(set))
        }
        CredentialField::Access => of_jws(credential, accepted),
    }
}
