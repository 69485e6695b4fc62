//! Who calls.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::mcp::session::Holder;
use crate::oauth::scope::ScopeSet;
use crate::token::claim_values::{claim, texts};
use crate::token::profile::Profile;

/// What rules ask of tokens, so that nothing else of their claims is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interests {
    /// Some rule asks for roles.
    pub roles: bool,
    /// Some rule asks for groups.
    pub groups: bool,
    /// Claims that rules name.
    pub claims: Vec<String>,
}

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody in particular: configuration opens this path to everyone.
    Anonymous,
    /// The subject of a verified credential.
    Subject(Rc<Subject>),
}

/// What a verified credential says of its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `iss`: who vouches for the subject. This gateway itself, for API keys and custom verifiers that do not say.
    pub issuer: String,
    /// `sub`: unique for the issuer alone.
    pub subject: String,
    /// `client_id`, or what the provider says instead.
    pub client: Option<String>,
    /// What it may do.
    pub scopes: ScopeSet,
    /// What kind of credential it came with.
    pub kind: CredentialKind,
    /// The label of an API key.
    pub label: Option<String>,
    /// What rules ask about.
    pub rights: Rights,
}

impl Subject {
    /// The holder of a session at a resource.
    #[must_use]
    pub fn holder<'a>(&'a self, resource: &'a str) -> Holder<'a> {
        Holder { issuer: &self.issuer, subject: &self.subject, client: self.client.as_deref(), resource }
    }
}

/// What a credential says besides scopes, as far as any rule asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Its roles.
    pub roles: Vec<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// Claims, by the names that rules have for them.
    pub claims: Map<String, Value>,
}

impl Rights {
    /// Those that are asked for, of the claims of a provider with these habits.
    #[must_use]
    pub fn of(claims: &Map<String, Value>, interests: &Interests, profile: Profile) -> Self {
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

    /// Bytes that it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts: usize = self.roles.iter().chain(&self.groups).map(|text| text.len() + 24).sum();
        // What a value takes in memory is a few times what it takes as text.
        let claims: usize = self.claims.iter().map(|(name, value)| name.len() + 3 * value.to_string().len() + 96).sum();
        texts + claims
    }
}

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// A JWT access token.
    Jwt,
    /// An access token that its authorization server was asked about (RFC 7662).
    Introspection,
    /// A key of this gateway's own.
    ApiKey,
    /// Whatever a custom verifier takes.
    Custom,
    /// The assertion of Cloudflare Access.
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
