//! An issuer: an authorization server whose tokens the gateway accepts, and what these tokens must look like.

use std::rc::Rc;

use crate::jwks::key::{JwsAlgorithm, VerificationKey};
use crate::jwks::key_set::KeySet;
use crate::oauth::client_authentication::ClientAuthentication;
use crate::oauth::scope::ScopeSet;
use crate::token::profile::{Profile, TENANT};
use crate::token::untrusted::TokenType;
use crate::transport::url::HttpUrl;

/// Which tokens the gateway introspects at an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntrospectedTokens {
    /// Tokens that are not JWTs.
    Opaque,
    /// All tokens.
    All,
}

/// How the gateway introspects tokens at an issuer.
#[derive(Debug, Clone)]
pub struct Introspection {
    /// The endpoint; `None` if the gateway reads it from the issuer's metadata.
    pub endpoint: Option<String>,
    /// This gateway's client id.
    pub client_id: String,
    /// How the gateway authenticates as a client.
    pub authentication: ClientAuthentication,
    /// Which tokens the gateway introspects.
    pub tokens: IntrospectedTokens,
    /// The prefix of these tokens, if configured.
    pub prefix: Option<String>,
    /// Whether the answer must be signed.
    pub signed_response: bool,
    /// Whether `aud` may be missing.
    pub allow_missing_audience: bool,
    /// The member that identifies the user; `None` for `sub`, or `client_id` without it.
    pub subject_claim: Option<String>,
    /// Maximum number of seconds for which the gateway reuses an answer.
    pub cache_seconds: u64,
    /// Seconds for which the gateway rejects an inactive token without asking again.
    pub negative_seconds: u64,
    /// Seconds that the issuer may take to answer.
    pub timeout: u64,
}

/// An issuer and what its tokens must look like.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Its index in the configuration.
    pub index: usize,
    /// Its name in logs.
    pub name: String,
    /// The issuer identifier, compared byte for byte. In a multi-tenant issuer, `{tenantid}` stands for the tenant.
    pub identifier: String,
    /// How its tokens differ from RFC 9068.
    pub profile: Profile,
    /// The accepted tenants.
    pub tenants: Vec<String>,
    /// Required claims, each with its accepted values.
    pub claims: Vec<(String, Vec<String>)>,
    /// Scopes that every token of the issuer gets in addition to its own.
    pub grant_scopes: ScopeSet,
    /// How the gateway introspects its tokens, if it does.
    pub introspection: Option<Rc<Introspection>>,
    /// Where its keys come from.
    pub keys: IssuerKeys,
    /// Algorithms that its tokens may use (RFC 8725 §3.1).
    pub algorithms: Vec<JwsAlgorithm>,
    /// Values of `typ` that mark an access token (RFC 9068 §4).
    pub token_types: Vec<TokenType>,
    /// Clock leeway in seconds.
    pub leeway: u64,
    /// Whether the gateway receives signals about its users.
    pub is_signalled: bool,
    /// Whether its tokens may have header members that contain a key or the location of one. The gateway ignores the
    /// values of these.
    pub ignore_key_headers: bool,
}

impl Issuer {
    /// Whether the identifier is a template for many tenants.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.identifier.contains(TENANT)
    }

    /// The tenant that `iss` names, or an inner `None` if the issuer has only one; `None` if `iss` is of another
    /// issuer.
    #[must_use]
    pub fn tenant_of<'a>(&self, iss: &'a str) -> Option<Option<&'a str>> {
        tenant_of(&self.identifier, iss)
    }

    /// Whether the revocation index has to be read about its tokens.
    #[must_use]
    pub fn is_in_index(&self) -> bool {
        self.is_own() || self.is_signalled
    }

    /// Whether it is the gateway's own authorization server.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self.keys, IssuerKeys::Own(_))
    }

    /// Whether the gateway can send clients to this authorization server. Cloudflare Access is in front of the gateway,
    /// and clients do not log in there through the gateway.
    #[must_use]
    pub fn is_authorization_server(&self) -> bool {
        // Only Google can read its access tokens, and a client that logs in there would send one of these.
        self.profile != Profile::CloudflareAccess && !self.profile.takes_id_tokens() && !self.is_template()
    }
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone)]
pub enum IssuerKeys {
    /// From the metadata of the issuer with this identifier.
    Discovered(HttpUrl),
    /// From the JWK set at this URL.
    At(String),
    /// One key from the configuration.
    Static(Box<VerificationKey>),
    /// This gateway's own keys.
    Own(Box<KeySet>),
}

/// The tenant that `iss` names, or an inner `None` if the issuer identifier is not a template; `None` if `iss` is of
/// another issuer.
#[must_use]
pub fn tenant_of<'a>(identifier: &str, iss: &'a str) -> Option<Option<&'a str>> {
    match identifier.split_once(TENANT) {
        None => (iss == identifier).then_some(None),
        Some((before, after)) => iss
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .filter(|tenant| !tenant.is_empty() && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
            .map(Some),
    }
}
