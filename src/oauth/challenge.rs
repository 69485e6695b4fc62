//! `WWW-Authenticate: Bearer …` (RFC 6750 §3, RFC 9728 §5.1) and `DPoP …` (RFC 9449 §7.1).

use crate::jwks::key::JwsAlgorithm;
use crate::limits::SCOPE_BYTES;
use crate::oauth::bearer::AuthScheme;
use crate::oauth::scope::ScopeSet;

/// The error codes of RFC 6750 §3.1, RFC 9449 §7.1, §9 and RFC 9470 §3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BearerError {
    /// 400: the request is malformed, or contains a token in more than one way.
    InvalidRequest,
    /// 401: the token is expired, revoked, malformed or not for this resource.
    InvalidToken,
    /// 403: the token is valid, but lacks a scope.
    InsufficientScope,
    /// 401: the user has to sign in again, or in another way (RFC 9470 §3).
    InsufficientUserAuthentication,
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
            Self::InsufficientUserAuthentication => "insufficient_user_authentication",
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
    /// `max_age`: the most seconds since the user signed in (RFC 9470 §3).
    pub max_age: Option<u64>,
    /// `acr_values`: the accepted authentication context classes, the preferred one first (RFC 9470 §3).
    pub acr_values: Vec<String>,
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
        if !self.acr_values.is_empty() {
            parameters.push(format!("acr_values=\"{}\"", self.acr_values.join(" ")));
        }
        if let Some(seconds) = self.max_age {
            parameters.push(format!("max_age=\"{seconds}\""));
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

/// The value of a parameter in the bearer challenge of another server (RFC 9110 §11.6.1); the first one, if it is repeated.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let is_delimiter = |c: char| matches!(c, ' ' | '\t' | ',' | '=' | '"');
    let (mut rest, mut is_bearer) = (challenge, false);
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(is_delimiter).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end)?;
        let after = after.trim_start_matches([' ', '\t']);
        let Some(value) = after.strip_prefix('=') else {
            if word.is_empty() {
                return None;
            }
            is_bearer = word.eq_ignore_ascii_case("bearer");
            rest = after;
            continue;
        };
        let (value, after) = value_of(value.trim_start_matches([' ', '\t']))?;
        if is_bearer && word.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
}

/// The value at the beginning of a text, a token or a quoted string, and what follows it. `None` if a quoted string does not end.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, after) = text.split_at_checked(text.find([' ', '\t', ',']).unwrap_or(text.len()))?;
        return Some((value.to_owned(), after));
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            '"' if !escaped => return Some((value, quoted.get(at + 1..)?)),
            '\\' if !escaped => escaped = true,
            c => {
                value.push(c);
                escaped = false;
            }
        }
    }
    None
}

/// The scopes that a challenge asks for (RFC 6750 §3), if they are not too many.
#[must_use]
pub fn scopes_in(challenge: &str) -> Option<ScopeSet> {
    let asked = parameter(challenge, "scope").filter(|asked| asked.len() <= SCOPE_BYTES)?;
    Some(ScopeSet::of_text(&asked)).filter(|scopes| !scopes.is_empty())
}

/// The scopes that a challenge with the error `insufficient_scope` asks for (RFC 6750 §3.1).
#[must_use]
pub fn insufficient_scope(challenge: &str) -> Option<String> {
    (parameter(challenge, "error").as_deref() == Some("insufficient_scope"))
        .then(|| scopes_in(challenge))?
        .map(|it| it.to_string())
}

/// The location of the metadata of the resource that sends a challenge (RFC 9728 §5.1).
#[must_use]
pub fn resource_metadata(challenge: &str) -> Option<String> {
    parameter(challenge, "resource_metadata")
}
