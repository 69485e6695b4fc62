//! The caller of a request, and what its credential says about it.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::mcp::session::Holder;
use crate::oauth::scope::ScopeSet;
use crate::token::claim_values::{claim, texts};
use crate::token::profile::Profile;

/// What rules and origin servers read from credentials, so that the gateway keeps no other claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimSelection {
    /// Whether a rule reads roles.
    pub roles: bool,
    /// Whether a rule reads groups.
    pub groups: bool,
    /// Claims that rules name.
    pub claims: Vec<String>,
}

impl ClaimSelection {
    /// Adds a claim.
    pub fn add(&mut self, name: &str) {
        if !self.claims.iter().any(|known| known == name) {
            self.claims.push(name.to_owned());
        }
    }
}

/// A claim of the caller that an origin server gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityClaim {
    /// The name that it has in the identity assertion.
    pub name: String,
    /// The field that has it.
    pub field: String,
    /// What it is.
    pub source: IdentitySource,
}

/// What a claim for origin servers is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentitySource {
    /// The email address, if the credential says that it is verified.
    Email,
    /// The groups, from the claim of the provider's profile.
    Groups,
    /// The roles, from the claims of the provider's profile.
    Roles,
    /// The claim with this name, or the one that this JSON Pointer finds.
    Claim(String),
}

/// The claim that says whether an email address is verified (OpenID Connect Core §5.1).
pub const EMAIL_VERIFIED: &str = "email_verified";

impl IdentitySource {
    /// Adds what it reads.
    pub fn add_interests(&self, interests: &mut ClaimSelection) {
        match self {
            Self::Groups => interests.groups = true,
            Self::Roles => interests.roles = true,
            Self::Email => ["email", EMAIL_VERIFIED].into_iter().for_each(|name| interests.add(name)),
            Self::Claim(name) => interests.add(name),
        }
    }

    /// The value for a caller; `None` if its credential has none.
    #[must_use]
    pub fn value(&self, rights: &SelectedClaims) -> Option<Value> {
        let list = |texts: &[String]| (!texts.is_empty()).then(|| Value::from(texts.to_vec()));
        match self {
            Self::Groups => list(&rights.groups),
            Self::Roles => list(&rights.roles),
            Self::Email => {
                let verified = rights.claims.get(EMAIL_VERIFIED);
                let is_verified =
                    verified == Some(&Value::Bool(true)) || verified.and_then(Value::as_str) == Some("true");
                rights.claims.get("email").filter(|email| is_verified && email.is_string()).cloned()
            }
            Self::Claim(name) => rights.claims.get(name).filter(|value| !value.is_null()).cloned(),
        }
    }
}

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A caller without credentials: the configuration opens this path, or the methods that it asks for, to everyone.
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
    /// The subject of callers without credentials, which have no identity, no client and no rights.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            issuer: String::new(),
            subject: String::new(),
            client: None,
            scopes: ScopeSet::default(),
            kind: CredentialKind::Anonymous,
            label: None,
            rights: SelectedClaims::default(),
        }
    }

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
    /// None: the caller is anonymous.
    Anonymous,
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
            Self::Anonymous => "anonymous",
            Self::Jwt => "jwt",
            Self::Introspection => "introspection",
            Self::ApiKey => "api_key",
            Self::Custom => "custom",
            Self::CloudflareAccess => "cloudflare_access",
        }
    }
}
