//! An issuer: an authorization server whose tokens are accepted, and what its tokens must look like.

use std::rc::Rc;

use crate::jwks::key::{JwsAlgorithm, VerificationKey};
use crate::jwks::key_set::KeySet;
use crate::oauth::scope::ScopeSet;
use crate::token::claims::TENANT;
use crate::token::introspection::Introspection;
use crate::token::profile::Profile;
use crate::transport::url::HttpUrl;

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

/// A `typ` header that is accepted, in lower case and without `application/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenType {
    /// No `typ` at all.
    Absent,
    /// This one.
    Named(String),
}

impl TokenType {
    /// As configuration names it.
    #[must_use]
    pub fn configured(text: &str) -> Self {
        if text == "absent" { Self::Absent } else { Self::of(Some(text)) }
    }

    /// The type that a token's header names (RFC 7515 §4.1.9: case does not matter, `application/` may be left out).
    #[must_use]
    pub fn of(typ: Option<&str>) -> Self {
        typ.map_or(Self::Absent, |typ| {
            let typ = typ.to_ascii_lowercase();
            Self::Named(typ.strip_prefix("application/").unwrap_or(&typ).to_owned())
        })
    }
}
