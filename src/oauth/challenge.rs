//! `WWW-Authenticate: Bearer …` (RFC 6750 §3, RFC 9728 §5.1).

use crate::oauth::scope::ScopeSet;

/// The error codes of RFC 6750 §3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BearerError {
    /// 400: the request is malformed, or carries a token in more than one way.
    InvalidRequest,
    /// 401: the token is expired, revoked, malformed or not for here.
    InvalidToken,
    /// 403: the token is good and not enough.
    InsufficientScope,
}

impl BearerError {
    /// The code as it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

/// A challenge. Without `error` it is the answer to a request without credentials (R20).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The error code and what it means here, in fixed words of ours.
    pub error: Option<(BearerError, &'static str)>,
    /// The scopes to ask for: all that the operation needs at once (R9).
    pub scope: ScopeSet,
    /// The URL of the protected resource metadata (R7).
    pub resource_metadata: String,
}

impl Challenge {
    /// The field's value.
    #[must_use]
    pub fn to_field(&self) -> String {
        let mut field = String::from("Bearer ");
        if let Some((error, description)) = self.error {
            field.push_str(&format!("error=\"{}\", error_description=\"{description}\", ", error.as_str()));
        }
        if !self.scope.is_empty() {
            field.push_str(&format!("scope=\"{}\", ", self.scope));
        }
        field.push_str(&format!("resource_metadata=\"{}\"", self.resource_metadata));
        field
    }
}
