//! What the caller presents, and which verifier it is for: decided by what the credential is, never by trying one
//! verifier after another.

use sha2::{Digest as _, Sha256};

use crate::config::{Config, IntrospectedTokens, Requirement, Resource};
use crate::limits::TOKEN_BYTES;
use crate::oauth::bearer::{AuthScheme, BearerToken, Credentials, parse_authorization};
use crate::observe::trail::Trail;
use crate::rejection::{Rejection, TokenError};
use crate::token::profile::Profile;
use crate::token::untrusted::UntrustedToken;
use crate::transport::head::Fields;

/// The field in which machines may send an API key.
const API_KEY_FIELD: &str = "x-api-key";
/// The field in which Cloudflare Access sends its assertion.
const ACCESS_FIELD: &str = "cf-access-jwt-assertion";

/// A credential as it was presented.
#[derive(Debug)]
pub struct Credential {
    /// How it was sent.
    pub scheme: AuthScheme,
    /// Its text.
    pub token: BearerToken,
    /// What it says, where it is a JWS.
    pub jws: Option<Box<UntrustedToken>>,
}

/// Which verifier a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierId {
    /// A JWT: index into `Config::issuers`.
    Jwt(usize),
    /// A token that its issuer is asked about: index into `Config::issuers`.
    Introspection(usize),
    /// An API key: index into `Config::api_keys`.
    ApiKeys(usize),
    /// Something else: index into `Config::verifiers`.
    Custom(usize),
}

impl VerifierId {
    /// The issuer whose keys may be needed.
    #[must_use]
    pub fn issuer(self) -> Option<usize> {
        match self {
            Self::Jwt(issuer) | Self::Introspection(issuer) => Some(issuer),
            Self::ApiKeys(_) | Self::Custom(_) => None,
        }
    }
}

impl Credential {
    /// The name of this credential in memory: SHA-256 over a salt that no other isolate has, the verifier and the text;
    /// and the resource, where the verifier is told of it and may answer accordingly.
    #[must_use]
    pub fn digest(&self, verifier: VerifierId, resource: usize, salt: &[u8; 32]) -> [u8; 32] {
        let (kind, index, resource) = match verifier {
            VerifierId::Jwt(index) => (0_u8, index, 0),
            VerifierId::Introspection(index) => (1, index, 0),
            VerifierId::ApiKeys(index) => (2, index, 0),
            VerifierId::Custom(index) => (3, index, resource),
        };
        let mut hash = Sha256::new();
        hash.update(salt);
        hash.update([kind]);
        for index in [index, resource] {
            hash.update(u64::try_from(index).unwrap_or(u64::MAX).to_be_bytes());
        }
        hash.update(self.token.expose());
        hash.finalize().into()
    }
}

/// Finds the credential of a request for `resource`, and its verifier:
///
/// 1. `Authorization` with a token; an API key beside it is one credential too many (RFC 6750 §2);
/// 2. else an API key in `X-API-Key`, where the resource takes API keys;
/// 3. else the assertion of Cloudflare Access, where the resource accepts one.
///
/// A token that begins with the prefix of an API key set, a verifier or an introspection of the resource is for that.
/// One that looks like a JWS is for the issuer that its `iss` names, where the resource has issuers of JWTs. Whatever
/// is left is for the one introspection or verifier without a prefix; but not what is plainly another resource's.
///
/// # Errors
/// [`Rejection::NoCredentials`], [`Rejection::MalformedCredentials`], or [`Rejection::Token`].
pub fn present(
    fields: &Fields,
    resource: &Resource,
    config: &Config,
    trail: &mut Trail,
) -> Result<(Credential, VerifierId), Rejection> {
    let api_key = fields.get(API_KEY_FIELD).filter(|_| !resource.api_keys.is_empty());
    match parse_authorization(fields.get("authorization")) {
        Credentials::Malformed => Err(Rejection::MalformedCredentials),
        Credentials::Token(..) if api_key.is_some() => Err(Rejection::MalformedCredentials),
        // Not taken here, as any other scheme that nobody knows.
        Credentials::Token(AuthScheme::Dpop, _) if resource.dpop == Requirement::Off => Err(Rejection::NoCredentials),
        Credentials::Token(scheme, token) => {
            trail.scheme = Some(scheme);
            choose(scheme, token, resource, config).map_err(Rejection::Token)
        }
        Credentials::None => {
            if let Some(text) = api_key {
                let token = BearerToken::parse(text).ok_or(Rejection::MalformedCredentials)?;
                let set = api_key_set(&token, resource, config).ok_or(Rejection::Token(TokenError::ApiKeyUnknown))?;
                let credential = Credential { scheme: AuthScheme::Bearer, token, jws: None };
                return Ok((credential, VerifierId::ApiKeys(set)));
            }
            let takes_access = issuers(resource, config).any(|(_, issuer)| issuer.profile == Profile::CloudflareAccess);
            match fields.get(ACCESS_FIELD).filter(|_| takes_access) {
                Some(text) => {
                    let token = BearerToken::parse(text).ok_or(Rejection::MalformedCredentials)?;
                    of_jws(AuthScheme::Bearer, token, true, resource, config).map_err(Rejection::Token)
                }
                None => Err(Rejection::NoCredentials),
            }
        }
    }
}

fn issuers<'a>(
    resource: &'a Resource,
    config: &'a Config,
) -> impl Iterator<Item = (usize, &'a crate::config::Issuer)> + use<'a> {
    resource.issuers.iter().filter_map(|&index| config.issuers.get(index).map(|issuer| (index, issuer)))
}

fn api_key_set(token: &BearerToken, resource: &Resource, config: &Config) -> Option<usize> {
    let named = |set: &usize| config.api_keys.get(*set).is_some_and(|set| set.owns(token.expose()));
    resource.api_keys.iter().copied().find(named)
}

fn choose(
    scheme: AuthScheme,
    token: BearerToken,
    resource: &Resource,
    config: &Config,
) -> Result<(Credential, VerifierId), TokenError> {
    let text = token.expose();
    if text.len() > TOKEN_BYTES {
        return Err(TokenError::TooLong);
    }
    if let Some(set) = api_key_set(&token, resource, config) {
        return Ok((Credential { scheme, token, jws: None }, VerifierId::ApiKeys(set)));
    }
    let prefixed = |prefix: Option<&str>| prefix.is_some_and(|prefix| text.starts_with(prefix));
    let custom = |fits: &dyn Fn(Option<&str>) -> bool| {
        let fits = |&index: &usize| config.verifiers.get(index).is_some_and(|custom| fits(custom.prefix.as_deref()));
        resource.verifiers.iter().copied().find(fits).map(VerifierId::Custom)
    };
    let introspection = |fits: &dyn Fn(Option<&str>) -> bool| {
        let asked = |(_, issuer): &(usize, &crate::config::Issuer)| {
            issuer.introspection.as_ref().is_some_and(|asked| fits(asked.prefix.as_deref()))
        };
        issuers(resource, config).find(asked).map(|(index, _)| VerifierId::Introspection(index))
    };
    if let Some(verifier) = custom(&prefixed).or_else(|| introspection(&prefixed)) {
        return Ok((Credential { scheme, token, jws: None }, verifier));
    }
    // What is plainly for something that another resource takes is not shown to whatever takes the rest here.
    if belongs_elsewhere(text, config) {
        return Err(TokenError::NotForThisResource);
    }
    let takes_jws = issuers(resource, config).any(|(_, issuer)| issuer.profile != Profile::CloudflareAccess);
    if takes_jws && looks_like_jws(text) {
        return of_jws(scheme, token, false, resource, config);
    }
    if looks_like_jws(text) && may_be_of_known_issuer(text, config) {
        return Err(TokenError::UnknownIssuer);
    }
    match custom(&|prefix| prefix.is_none()).or_else(|| introspection(&|prefix| prefix.is_none())) {
        Some(verifier) => Ok((Credential { scheme, token, jws: None }, verifier)),
        None => of_jws(scheme, token, false, resource, config),
    }
}

/// Whether a token begins as something of configuration does.
fn belongs_elsewhere(text: &str, config: &Config) -> bool {
    let asked = config.issuers.iter().filter_map(|issuer| issuer.introspection.as_ref()?.prefix.as_deref());
    let prefixes = config.verifiers.iter().filter_map(|custom| custom.prefix.as_deref()).chain(asked);
    config.api_keys.iter().any(|set| set.owns(text)) || prefixes.into_iter().any(|prefix| text.starts_with(prefix))
}

/// Whether a JWT names an issuer of configuration, or is too odd to say.
fn may_be_of_known_issuer(text: &str, config: &Config) -> bool {
    let Ok(jws) = UntrustedToken::parse(text) else { return !config.issuers.is_empty() };
    let claimed = jws.claimed_issuer();
    claimed.is_some_and(|claimed| config.issuers.iter().any(|issuer| issuer.tenant_of(claimed).is_some()))
}

/// Three parts of which the first is the encoding of something in braces: no opaque token has that by chance.
fn looks_like_jws(text: &str) -> bool {
    text.starts_with("ey") && text.bytes().filter(|&byte| byte == b'.').count() == 2
}

fn of_jws(
    scheme: AuthScheme,
    token: BearerToken,
    access: bool,
    resource: &Resource,
    config: &Config,
) -> Result<(Credential, VerifierId), TokenError> {
    let jws = UntrustedToken::parse(token.expose())?;
    let (index, issuer) = jws
        .claimed_issuer()
        .and_then(|claimed| {
            let fitting = issuers(resource, config).filter(|(_, issuer)| {
                (issuer.profile == Profile::CloudflareAccess) == access && issuer.tenant_of(claimed).is_some()
            });
            // What is configured for one tenant comes before what is for many.
            fitting.min_by_key(|(_, issuer)| issuer.is_template())
        })
        .ok_or(TokenError::UnknownIssuer)?;
    let asked = issuer.introspection.as_ref().is_some_and(|asked| asked.tokens == IntrospectedTokens::All);
    let verifier = if asked { VerifierId::Introspection(index) } else { VerifierId::Jwt(index) };
    Ok((Credential { scheme, token, jws: Some(Box::new(jws)) }, verifier))
}
