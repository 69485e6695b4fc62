//! An issuer: an authorization server whose tokens are accepted, and what its tokens must look like.

use std::rc::Rc;

use crate::jwks::key::{JwsAlgorithm, VerificationKey};
use crate::jwks::key_set::KeySet;
use crate::oauth::client_credentials::ClientAuthentication;
use crate::oauth::scope::ScopeSet;
use crate::token::profile::{Profile, TENANT};
use crate::token::untrusted::TokenType;
use crate::transport::url::HttpUrl;

/// Which tokens an issuer is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntrospectedTokens {
    /// Those that are no JWT.
    Opaque,
    /// All.
    All,
}

/// How an issuer is asked about tokens.
#[derive(Debug, Clone)]
pub struct Introspection {
    /// Where; nothing where its metadata says.
    pub endpoint: Option<String>,
    /// This gateway's client id.
    pub client_id: String,
    /// How it authenticates.
    pub authentication: ClientAuthentication,
    /// Which tokens.
    pub tokens: IntrospectedTokens,
    /// How those begin.
    pub prefix: Option<String>,
    /// The answer must be signed.
    pub signed_response: bool,
    /// `aud` may be missing.
    pub allow_missing_audience: bool,
    /// The most seconds that an answer is used.
    pub cache_seconds: u64,
    /// Seconds that an inactive token is refused.
    pub negative_seconds: u64,
    /// Seconds that it may take.
    pub timeout: u64,
}

/// An issuer and what its tokens must look like.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Its place in configuration.
    pub index: usize,
    /// The name in logs.
    pub name: String,
    /// The issuer identifier, compared byte for byte; with `{tenantid}` in place of a tenant where there are many.
    pub identifier: String,
    /// Its habits.
    pub profile: Profile,
    /// Tenants that are accepted.
    pub tenants: Vec<String>,
    /// Claims that must hold, and the values of which one must.
    pub claims: Vec<(String, Vec<String>)>,
    /// Scopes that its tokens have besides their own.
    pub grant_scopes: ScopeSet,
    /// How it is asked about tokens, where it is.
    pub introspection: Option<Rc<Introspection>>,
    /// Where its keys come from.
    pub keys: IssuerKeys,
    /// Algorithms that its tokens may use (RFC 8725 §3.1).
    pub algorithms: Vec<JwsAlgorithm>,
    /// Values of `typ` that mark an access token (RFC 9068 §4).
    pub token_types: Vec<TokenType>,
    /// Seconds by which clocks may differ.
    pub leeway: u64,
}

impl Issuer {
    /// Whether the identifier stands for many.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.identifier.contains(TENANT)
    }

    /// Whether an `iss` is this issuer's, and the tenant that it names.
    #[must_use]
    pub fn tenant_of<'a>(&self, iss: &'a str) -> Option<Option<&'a str>> {
        match self.identifier.split_once(TENANT) {
            None => (iss == self.identifier).then_some(None),
            Some((before, after)) => iss
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .filter(|tenant| !tenant.is_empty() && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
                .map(Some),
        }
    }

    /// Whether it is an authorization server to which clients can be sent: Access is before the gateway, and nobody
    /// logs in there through it.
    #[must_use]
    pub fn is_authorization_server(&self) -> bool {
        // Google's access tokens are nobody else's: whoever logged in there would come with one.
        self.profile != Profile::CloudflareAccess && !self.profile.takes_id_tokens() && !self.is_template()
    }
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone)]
pub enum IssuerKeys {
    /// From its metadata.
    Discovered(HttpUrl),
    /// From this JWK set.
    At(String),
    /// One key, known beforehand.
    Static(Box<VerificationKey>),
    /// This gateway's own.
    Own(Box<KeySet>),
}
