//! Who calls.

use crate::oauth::scope::ScopeSet;

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody in particular: configuration opens this path to everyone.
    Anonymous,
    /// The subject of a verified access token.
    Subject(Subject),
}

/// What a verified access token says of its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `iss`.
    pub issuer: String,
    /// `sub`: unique for the issuer alone.
    pub subject: String,
    /// `client_id`, or `azp` where a provider says that instead.
    pub client: Option<String>,
    /// `scope`, or `scp`.
    pub scopes: ScopeSet,
}
