//! Who calls.

use std::rc::Rc;

use crate::oauth::scope::ScopeSet;

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
