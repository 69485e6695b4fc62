//! What token endpoints answer (RFC 6749 §5, RFC 8693 §2.2), read strictly: the token goes into a field of a request.

use std::error::Error;
use std::fmt;

use serde_json::{Map, Value};

use crate::limits::{
    CONNECTED_SECONDS_MAX, OBTAINED_SECONDS, OBTAINED_SECONDS_MAX, OBTAINED_SECONDS_UNSTATED, SCOPE_BYTES, TOKEN_BYTES,
};
use crate::oauth::bearer::BearerToken;
use crate::oauth::scope::ScopeSet;
use crate::origin_credential::ObtainedToken;
use crate::origin_credential::failure::{ObtainError, Refusal};
use crate::origin_credential::request::{ACCESS_TOKEN, ID_JAG};
use crate::secret::Secret;
use crate::strict_json::{self, StrictJsonError};
use crate::time::UnixMillis;
use crate::transport::provider::ProviderDocument;

/// Why the answer of a token endpoint cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerFault {
    /// `expires_in` is not a positive whole number.
    ExpiresIn,
    /// `issued_token_type` is not the requested one.
    IssuedTokenType,
    /// It is not strict JSON.
    NotJson(StrictJsonError),
    /// It is not a JSON object.
    NotObject,
    /// `access_token` is the token that was exchanged.
    SameToken,
    /// `access_token` is missing, or cannot be sent as a bearer token (RFC 6750 §2.1).
    Token,
    /// `token_type` is not the expected one.
    TokenType,
}

impl fmt::Display for AnswerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExpiresIn => f.write_str("expires_in is not a positive whole number"),
            Self::IssuedTokenType => f.write_str("issued_token_type is not the requested type"),
            Self::NotJson(error) => write!(f, "the answer is not JSON: {error}"),
            Self::NotObject => f.write_str("the answer is not a JSON object"),
            Self::SameToken => f.write_str("access_token is the token that was to be exchanged"),
            Self::Token => f.write_str("access_token is missing, or is no bearer token of at most 16 KB"),
            Self::TokenType => f.write_str("token_type is not Bearer (N_A for an identity assertion)"),
        }
    }
}

impl Error for AnswerFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotJson(error) => Some(error),
            _ => None,
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A token for the origin server.
    AccessToken,
    /// An identity assertion grant (ID-JAG).
    IdentityAssertion,
}

/// What a token endpoint issued. `Debug` does not show the token.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: BearerToken,
    /// Its lifetime in seconds, if it is stated.
    pub lifetime: Option<u64>,
    /// Its scopes, if they are stated.
    pub scopes: Option<ScopeSet>,
    /// The refresh token, if there is one.
    pub refresh_token: Option<Secret>,
}

/// Reads an answer. `url` is for errors; `sent` is the token in the request that must not come back, if there is one.
///
/// # Errors
/// [`ObtainError`] if the endpoint issued nothing that can be used.
pub fn read(document: &ProviderDocument, wanted: Wanted, url: &str, sent: Option<&str>) -> Result<Issued, ObtainError> {
    let unusable = |fault| ObtainError::Answer(url.to_owned(), fault);
    let members = match object(&document.body) {
        Ok(members) => members,
        // A page of a proxy in front of the endpoint, for example.
        Err(_) if document.status != 200 => return Err(ObtainError::Status(url.to_owned(), document.status)),
        Err(fault) => return Err(unusable(fault)),
    };
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    // Some providers refuse with the status 200.
    if let Some(error) = text("error") {
        let description = text("error_description");
        return Err(ObtainError::Refused(Refusal::new(url, document.status, error, description)));
    }
    if document.status != 200 {
        return Err(ObtainError::Status(url.to_owned(), document.status));
    }
    let token = text("access_token").filter(|token| token.len() <= TOKEN_BYTES).and_then(BearerToken::parse);
    let token = token.ok_or_else(|| unusable(AnswerFault::Token))?;
    if sent == Some(token.expose()) {
        return Err(unusable(AnswerFault::SameToken));
    }
    let issued = members.get("issued_token_type").map(|kind| kind.as_str().unwrap_or_default());
    let (kind, fits) = match wanted {
        Wanted::AccessToken => {
            ("bearer", issued.is_none_or(|issued| issued == ACCESS_TOKEN || issued.ends_with(":jwt")))
        }
        Wanted::IdentityAssertion => ("n_a", issued == Some(ID_JAG)),
    };
    if !text("token_type").is_some_and(|stated| stated.eq_ignore_ascii_case(kind)) {
        return Err(unusable(AnswerFault::TokenType));
    }
    if !fits {
        return Err(unusable(AnswerFault::IssuedTokenType));
    }
    let lifetime = lifetime(&members).map_err(unusable)?;
    let is_refresh_token = |token: &&str| {
        // RFC 6749 appendix A.17.
        (1..=TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    };
    let refresh_token = text("refresh_token").filter(is_refresh_token).map(|token| Secret::new(token.to_owned()));
    let scopes = text("scope").filter(|scope| scope.len() <= SCOPE_BYTES).map(|scope| {
        // Some servers separate them by commas.
        let by_commas = !scope.contains(' ') && scope.contains(',');
        if by_commas { ScopeSet::of_text(&scope.replace(',', " ")) } else { ScopeSet::of_text(scope) }
    });
    Ok(Issued { token, lifetime, scopes, refresh_token })
}

fn object(body: &[u8]) -> Result<Map<String, Value>, AnswerFault> {
    match strict_json::parse(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(AnswerFault::NotObject),
        Err(error) => Err(AnswerFault::NotJson(error)),
    }
}

/// `expires_in`: a number (RFC 6749 §5.1), or the same as text, as older endpoints of Entra ID send it.
fn lifetime(members: &Map<String, Value>) -> Result<Option<u64>, AnswerFault> {
    let seconds = match members.get("expires_in") {
        None | Some(Value::Null) => return Ok(None),
        // Some servers write whole numbers as 3600.0.
        Some(Value::Number(number)) => number.as_u64().or_else(|| number.to_string().strip_suffix(".0")?.parse().ok()),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    seconds.filter(|seconds| *seconds > 0).map(Some).ok_or(AnswerFault::ExpiresIn)
}

impl Issued {
    /// Seconds for which a token of a user is sent, if its lifetime is stated. The clock of the origin server may be ahead.
    #[must_use]
    pub fn usable_seconds(&self) -> Option<u64> {
        let lifetime = self.lifetime?.min(CONNECTED_SECONDS_MAX);
        Some(lifetime - (lifetime / 4).min(OBTAINED_SECONDS.0))
    }

    /// The token as the gateway keeps it. It is not used after `ends`, if there is such a time.
    #[must_use]
    pub fn kept(&self, now: UnixMillis, ends: Option<UnixMillis>) -> ObtainedToken {
        let lifetime = self.lifetime.unwrap_or(OBTAINED_SECONDS_UNSTATED).min(OBTAINED_SECONDS_MAX);
        // The token travels to the origin server, whose clock may be ahead.
        let usable = lifetime - (lifetime / 4).min(OBTAINED_SECONDS.0);
        let fresh = usable - (usable / 4).min(OBTAINED_SECONDS.1);
        let until = |seconds| ends.map_or(now.plus_seconds(seconds), |ends| ends.min(now.plus_seconds(seconds)));
        ObtainedToken {
            value: Secret::new(format!("Bearer {}", self.token.expose())),
            obtained: now,
            refresh_at: until(fresh),
            usable_until: until(usable),
        }
    }
}
