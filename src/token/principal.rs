//! The caller of a request, and what its credential says about it.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::mcp::session::Holder;
use crate::oauth::scope::ScopeSet;
use crate::token::claim_values::{claim, texts};
use crate::token::profile::Profile;

/// What rules read from credentials, so that the gateway keeps no other claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimSelection {
    /// Whether a rule reads roles.
    pub roles: bool,
    /// Whether a rule reads groups.
    pub groups: bool,
    /// Claims that rules name.
    pub claims: Vec<String>,
}

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A caller without an identity: the configuration opens this path to everyone.
    Anonymous,
    /// The subject of a verified credential.
    Subject(Rc<Subject>),
}

/// What a verified credential says about its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `iss`: the issuer that vouches for the subject. For API keys, and for custom verifiers that name no issuer, it
    /// is this gateway.
    pub issuer: String,
    /// `sub`: unique only for one issuer.
    pub subject: String,
    /// `client_id`, or the claim that the provider uses instead.
    pub client: Option<String>,
    /// Its scopes.
    pub scopes: ScopeSet,
    /// The kind of its credential.
    pub kind: CredentialKind,
    /// The label of an API key, or the one that a verifier or an authorization server sent.
    pub label: Option<String>,
    /// The roles, groups and claims that rules read.
    pub rights: SelectedClaims,
}

impl Subject {
    /// The subject as the holder of a session at a resource.
    #[must_use]
    pub fn holder<'a>(&'a self, resource: &'a str) -> Holder<'a> {
        Holder { issuer: &self.issuer, subject: &self.subject, client: self.client.as_deref(), resource }
    }
}

/// What a credential says besides scopes, as far as rules read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectedClaims {
    /// Its roles.
    pub roles: Vec<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// Claims, by the names that rules use for them.
    pub claims: Map<String, Value>,
}

impl SelectedClaims {
    /// The rights that rules read, from the claims of a provider with this profile.
    #[must_use]
    pub fn of(claims: &Map<String, Value>, interests: &ClaimSelection, profile: Profile) -> Self {
        let among = |asked: bool, names: &[&str]| -> Vec<String> {
            let values = names.iter().filter(|_| asked).filter_map(|name| claim(claims, name));
            values.filter_map(texts).flatten().collect()
        };
        let named = interests.claims.iter();
        Self {
            roles: among(interests.roles, profile.role_claims()),
            groups: among(interests.groups, profile.group_claims()),
            claims: named.filter_map(|name| Some((name.clone(), claim(claims, name)?.clone()))).collect(),
        }
    }

    /// Approximately how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts: usize = self.roles.iter().chain(&self.groups).map(|text| text.len() + 24).sum();
        // A value takes a few times as many bytes in memory as its text.
        let claims: usize = self.claims.iter().map(|(name, value)| name.len() + 3 * value.to_string().len() + 96).sum();
        texts + claims
    }
}

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// A JWT access token.
    Jwt,
    /// An access token that the gateway introspected (RFC 7662).
    Introspection,
    /// An API key of this gateway.
    ApiKey,
    /// A credential that a custom verifier verifies.
    Custom,
    /// The JWT that Cloudflare Access adds to a request.
    CloudflareAccess,
}

impl CredentialKind {
    /// The kind in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Introspection => "introspection",
            Self::ApiKey => "api_key",
            Self::Custom => "custom",
            Self::CloudflareAccess => "cloudflare_access",
        }
    }
}
