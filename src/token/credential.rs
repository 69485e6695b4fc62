//! What the caller presents, and which verifier it is for: decided by what the credential is, never by trying one
//! verifier after another.

use std::cell::OnceCell;

use sha2::{Digest as _, Sha256};

use crate::limits::TOKEN_BYTES;
use crate::oauth::bearer::{AuthScheme, BearerToken, Credentials, Missing, parse_authorization};
use crate::pipeline::rejection::Rejection;
use crate::pipeline::trail::Trail;
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::token::binding::Requirement;
use crate::token::cache::Digest;
use crate::token::error::TokenError;
use crate::token::introspection::IntrospectedTokens;
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
    place: Place,
    /// What it says, where it is a JWS; read when somebody first asks.
    jws: OnceCell<Result<Box<UntrustedToken>, TokenError>>,
}

/// Where in a request a credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Authorization,
    ApiKey,
    Access,
}

/// Which verifier a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierId {
    /// A JWT: index into `Settings::issuers`.
    Jwt(usize),
    /// A token that its issuer is asked about: index into `Settings::issuers`.
    Introspection(usize),
    /// An API key: index into `Settings::api_keys`.
    ApiKeys(usize),
    /// Something else: index into `Settings::verifiers`.
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
    /// One of the `Authorization` field.
    #[must_use]
    pub fn authorization(scheme: AuthScheme, token: BearerToken) -> Self {
        Self::new(scheme, token, Place::Authorization)
    }

    fn new(scheme: AuthScheme, token: BearerToken, place: Place) -> Self {
        Self { scheme, token, place, jws: OnceCell::new() }
    }

    /// What its names in memory are made of.
    #[must_use]
    pub fn fingerprint(&self, salt: &[u8; 32]) -> Fingerprint {
        let mut hash = Sha256::new();
        hash.update(salt);
        hash.update(self.token.expose());
        Fingerprint { digest: hash.finalize().into(), place: self.place }
    }

    /// What it says, where it is a JWS.
    ///
    /// # Errors
    /// Why it is none.
    pub fn jws(&self) -> Result<&UntrustedToken, TokenError> {
        let read = self.jws.get_or_init(|| UntrustedToken::parse(self.token.expose()).map(Box::new));
        read.as_deref().map_err(Clone::clone)
    }

    /// Finds the verifier of a credential that is presented to `resource`.
    ///
    /// A token that begins with the prefix of an API key set, a verifier or an introspection of the resource is for that.
    /// One that looks like a JWS is for the issuer that its `iss` names, where the resource has issuers of JWTs. Whatever
    /// is left is for the one introspection or verifier without a prefix; but not what is plainly another resource's.
    ///
    /// # Errors
    /// Why it is nobody's.
    pub fn verifier(&self, resource: &Resource, config: &Settings) -> Result<VerifierId, TokenError> {
        match self.place {
            Place::Authorization => choose(self, resource, config),
            Place::ApiKey => {
                let set = api_key_set(&self.token, resource, config).ok_or(TokenError::ApiKeyUnknown)?;
                Ok(VerifierId::ApiKeys(set))
            }
            Place::Access => of_jws(self, resource, config),
        }
    }
}

/// SHA-256 over a salt that no other isolate has and the text of a credential.
#[derive(Debug)]
pub struct Fingerprint {
    digest: Digest,
    place: Place,
}

impl Fingerprint {
    /// The name of what a verifier says of the credential; and at which resource, where the verifier is told of that and may
    /// answer accordingly.
    #[must_use]
    pub fn verified_by(&self, verifier: VerifierId, resource: usize) -> Digest {
        match verifier {
            VerifierId::Jwt(index) => self.name(0, index, 0),
            VerifierId::Introspection(index) => self.name(1, index, 0),
            VerifierId::ApiKeys(index) => self.name(2, index, 0),
            VerifierId::Custom(index) => self.name(3, index, resource),
        }
    }

    /// The name of which verifier the credential is for at a resource.
    #[must_use]
    pub fn chosen_at(&self, resource: usize) -> Digest {
        self.name(4, self.place as usize, resource)
    }

    /// Names of one credential differ in their last 17 bytes, those of two in the 15 before as well.
    fn name(&self, kind: u8, first: usize, second: usize) -> Digest {
        let word = |index: usize| u64::try_from(index).unwrap_or(u64::MAX).to_be_bytes();
        let about = [kind].into_iter().chain(word(first)).chain(word(second));
        let mut name = self.digest;
        for (byte, other) in name.iter_mut().skip(15).zip(about) {
            *byte ^= other;
        }
        name
    }
}

/// Finds the credential of a request for `resource`:
///
/// 1. `Authorization` with a token; an API key beside it is one credential too many (RFC 6750 §2);
/// 2. else an API key in `X-API-Key`, where the resource takes API keys;
/// 3. else the assertion of Cloudflare Access, where the resource accepts one.
///
/// # Errors
/// [`Rejection::NoCredentials`] or [`Rejection::MalformedCredentials`].
pub fn present(
    fields: &Fields,
    resource: &Resource,
    config: &Settings,
    trail: &mut Trail,
) -> Result<Credential, Rejection> {
    let parse = |text: &str| BearerToken::parse(text).ok_or(Rejection::MalformedCredentials);
    let api_key = fields.get(API_KEY_FIELD).filter(|_| !resource.api_keys.is_empty());
    match parse_authorization(fields.get("authorization")) {
        Credentials::Malformed => Err(Rejection::MalformedCredentials),
        Credentials::Token(..) if api_key.is_some() => Err(Rejection::MalformedCredentials),
        // Not taken here, as any other scheme that nobody knows.
        Credentials::Token(AuthScheme::Dpop, _) if resource.dpop == Requirement::Off => {
            Err(Rejection::NoCredentials(Missing::KnownScheme))
        }
        Credentials::Token(scheme, token) => {
            trail.scheme = Some(scheme);
            Ok(Credential::authorization(scheme, token))
        }
        Credentials::None(missing) => {
            if let Some(text) = api_key {
                return Ok(Credential::new(AuthScheme::Bearer, parse(text)?, Place::ApiKey));
            }
            let takes_access = issuers(resource, config).any(|(_, issuer)| issuer.profile == Profile::CloudflareAccess);
            let text = fields.get(ACCESS_FIELD).filter(|_| takes_access).ok_or(Rejection::NoCredentials(missing))?;
            Ok(Credential::new(AuthScheme::Bearer, parse(text)?, Place::Access))
        }
    }
}

fn issuers<'a>(
    resource: &'a Resource,
    config: &'a Settings,
) -> impl Iterator<Item = (usize, &'a crate::token::issuer::Issuer)> + use<'a> {
    resource.issuers.iter().filter_map(|&index| config.issuers.get(index).map(|issuer| (index, issuer)))
}

fn api_key_set(token: &BearerToken, resource: &Resource, config: &Settings) -> Option<usize> {
    let named = |set: &usize| config.api_keys.get(*set).is_some_and(|set| set.owns(token.expose()));
    resource.api_keys.iter().copied().find(named)
}

fn choose(credential: &Credential, resource: &Resource, config: &Settings) -> Result<VerifierId, TokenError> {
    let text = credential.token.expose();
    if text.len() > TOKEN_BYTES {
        return Err(TokenError::TooLong);
    }
    if let Some(set) = api_key_set(&credential.token, resource, config) {
        return Ok(VerifierId::ApiKeys(set));
    }
    let prefixed = |prefix: Option<&str>| prefix.is_some_and(|prefix| text.starts_with(prefix));
    let custom = |fits: &dyn Fn(Option<&str>) -> bool| {
        let fits = |&index: &usize| config.verifiers.get(index).is_some_and(|custom| fits(custom.prefix.as_deref()));
        resource.verifiers.iter().copied().find(fits).map(VerifierId::Custom)
    };
    let introspection = |fits: &dyn Fn(Option<&str>) -> bool| {
        let asked = |(_, issuer): &(usize, &crate::token::issuer::Issuer)| {
            issuer.introspection.as_ref().is_some_and(|asked| fits(asked.prefix.as_deref()))
        };
        issuers(resource, config).find(asked).map(|(index, _)| VerifierId::Introspection(index))
    };
    if let Some(verifier) = custom(&prefixed).or_else(|| introspection(&prefixed)) {
        return Ok(verifier);
    }
    // What is plainly for something that another resource takes is not shown to whatever takes the rest here.
    if belongs_elsewhere(text, config) {
        return Err(TokenError::NotForThisResource);
    }
    let takes_jws = issuers(resource, config).any(|(_, issuer)| issuer.profile != Profile::CloudflareAccess);
    if takes_jws && looks_like_jws(text) {
        return of_jws(credential, resource, config);
    }
    if looks_like_jws(text) && may_be_of_known_issuer(credential, config) {
        return Err(TokenError::UnknownIssuer);
    }
    match custom(&|prefix| prefix.is_none()).or_else(|| introspection(&|prefix| prefix.is_none())) {
        Some(verifier) => Ok(verifier),
        None => of_jws(credential, resource, config),
    }
}

/// Whether a token begins as something of configuration does.
fn belongs_elsewhere(text: &str, config: &Settings) -> bool {
    let asked = config.issuers.iter().filter_map(|issuer| issuer.introspection.as_ref()?.prefix.as_deref());
    let prefixes = config.verifiers.iter().filter_map(|custom| custom.prefix.as_deref()).chain(asked);
    config.api_keys.iter().any(|set| set.owns(text)) || prefixes.into_iter().any(|prefix| text.starts_with(prefix))
}

/// Whether a JWT names an issuer of configuration, or is too odd to say.
fn may_be_of_known_issuer(credential: &Credential, config: &Settings) -> bool {
    let Ok(jws) = credential.jws() else { return !config.issuers.is_empty() };
    let claimed = jws.claimed_issuer();
    claimed.is_some_and(|claimed| config.issuers.iter().any(|issuer| issuer.tenant_of(claimed).is_some()))
}

/// Three parts of which the first is the encoding of something in braces: no opaque token has that by chance.
fn looks_like_jws(text: &str) -> bool {
    text.starts_with("ey") && text.bytes().filter(|&byte| byte == b'.').count() == 2
}

fn of_jws(credential: &Credential, resource: &Resource, config: &Settings) -> Result<VerifierId, TokenError> {
    let access = credential.place == Place::Access;
    let (index, issuer) = credential
        .jws()?
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
    Ok(if asked { VerifierId::Introspection(index) } else { VerifierId::Jwt(index) })
}
