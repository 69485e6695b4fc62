//! `WWW-Authenticate: Bearer …` (RFC 6750 §3, RFC 9728 §5.1) and `DPoP …` (RFC 9449 §7.1).

use crate::jwks::key::JwsAlgorithm;
use crate::limits::SCOPE_BYTES;
use crate::oauth::bearer::AuthScheme;
use crate::oauth::scope::ScopeSet;

/// The error codes of RFC 6750 §3.1 and RFC 9449 §7.1, §9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BearerError {
    /// 400: the request is malformed, or contains a token in more than one way.
    InvalidRequest,
    /// 401: the token is expired, revoked, malformed or not for this resource.
    InvalidToken,
    /// 403: the token is valid, but lacks a scope.
    InsufficientScope,
    /// 401: the proof of possession is not accepted.
    InvalidDpopProof,
    /// 401: the proof needs the nonce in the `DPoP-Nonce` field of the response.
    UseDpopNonce,
}

impl BearerError {
    /// The code as it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
        }
    }
}

/// A challenge. Without `error` it answers a request without credentials (R20).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The authorization scheme.
    pub scheme: AuthScheme,
    /// The error code, and a fixed text that describes it.
    pub error: Option<(BearerError, &'static str)>,
    /// The scopes that the client should request: all scopes that the operation needs at once (R9).
    pub scope: ScopeSet,
    /// The resource identifier, for `realm`: a challenge has at least one parameter (RFC 6750 §3).
    pub realm: String,
    /// The URL of the protected resource metadata (R7); `None` if the resource has no login that the metadata could
    /// name (R6).
    pub resource_metadata: Option<String>,
}

impl Challenge {
    /// The challenge, as it is written in the field.
    #[must_use]
    pub fn to_field(&self) -> String {
        let mut parameters = Vec::new();
        if let Some((error, description)) = self.error {
            parameters.push(format!("error=\"{}\", error_description=\"{description}\"", error.as_str()));
        }
        if !self.scope.is_empty() {
            parameters.push(format!("scope=\"{}\"", self.scope));
        }
        if self.scheme == AuthScheme::Dpop {
            parameters.push(format!("algs=\"{}\"", JwsAlgorithm::names().collect::<Vec<_>>().join(" ")));
        }
        parameters.push(match &self.resource_metadata {
            Some(url) => format!("resource_metadata=\"{url}\""),
            None => format!("realm=\"{}\"", self.realm),
        });
        format!("{} {}", self.scheme.as_str(), parameters.join(", "))
    }
}

/// The scopes that a challenge with the error `insufficient_scope` asks for (RFC 6750 §3.1).
#[must_use]
pub fn insufficient_scope(challenge: &str) -> Option<String> {
    let parameter = |name: &str| {
        let begin = challenge.match_indices(name).find(|(at, _)| {
            let before = challenge.get(..*at).and_then(|before| before.chars().next_back());
            before.is_none_or(|before| matches!(before, ' ' | ','))
        });
        let rest = challenge.get(begin?.0 + name.len()..)?.strip_prefix("=\"")?;
        rest.split('"').next()
    };
    let asked = parameter("scope").filter(|_| parameter("error") == Some("insufficient_scope"))?;
    let scopes = ScopeSet::of_text(asked);
    (asked.len() <= SCOPE_BYTES && !scopes.is_empty()).then(|| scopes.to_string())
}
