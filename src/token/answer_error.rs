//! Why the answer about a credential cannot be used.

use std::error::Error;
use std::fmt;

use crate::limits::API_KEY_ID_CHARS;
use crate::oauth::scope::NotScope;
use crate::strict_json::StrictJsonError;

/// Why the answer about a credential, from an authorization server, a custom verifier or a store, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerError {
    /// It has no boolean `active`.
    ActiveMissing,
    /// It has no `iss`, and the issuer has many tenants.
    IssuerMissing,
    /// A member is malformed.
    Malformed(&'static str),
    /// It is not strict JSON.
    NotJson(StrictJsonError),
    /// It does not have the media type `application/json`.
    NotJsonType,
    /// It is not a JSON object.
    NotObject,
    /// It is not signed by the issuer, or not as configured.
    NotSigned,
    /// It does not have the media type of a signed answer.
    NotSignedType,
    /// A signed answer is not a JWT.
    NotJwt,
    /// A signed answer has another `iss` than the issuer, or an `aud` without this client.
    OtherClient,
    /// It names another issuer.
    OtherIssuer,
    /// What a verifier that is compiled in says.
    Other(String),
    /// The record has the id of another key.
    OtherRecord,
    /// The record is invalid.
    Record(ApiKeyRecordError),
    /// A signed answer has no `token_introspection`.
    TokenMissing,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ActiveMissing => "the answer has no boolean `active`",
            Self::IssuerMissing => "the answer has no iss, and the issuer has many tenants",
            Self::Malformed(member) => return write!(f, "the answer's {member} is malformed"),
            Self::NotJson(error) => return write!(f, "the answer is {error}"),
            Self::NotJsonType => "the answer is not application/json",
            Self::NotObject => "the answer is not a JSON object",
            Self::NotSigned => "the answer is not signed by the issuer, or not as configured",
            Self::NotSignedType => "the answer is not application/token-introspection+jwt",
            Self::NotJwt => "the answer is not a signed JWT",
            Self::OtherClient => "the signed answer has another iss than the issuer, or an aud without this client",
            Self::OtherIssuer => "the answer has the iss of another issuer",
            Self::Other(why) => why,
            Self::OtherRecord => "the record has the id of another key",
            Self::Record(error) => {
                return match error.member() {
                    Some(member) => write!(f, "{member}: {error}"),
                    None => error.fmt(f),
                };
            }
            Self::TokenMissing => "the signed answer has no token_introspection",
        })
    }
}

impl Error for AnswerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotJson(error) => Some(error),
            Self::Record(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a record of an API key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyRecordError {
    /// It has an invalid `expires`.
    Expires,
    /// It has an invalid `hash`.
    Hash,
    /// It has an invalid `id`.
    Id(String),
    /// It has an invalid `label`.
    Label,
    /// It has other members than a record.
    Members,
    /// It is not strict JSON.
    NotJson(StrictJsonError),
    /// It has an invalid scope.
    Scopes(NotScope),
}

impl ApiKeyRecordError {
    /// The invalid member; `None` if the record is not one at all.
    #[must_use]
    pub fn member(&self) -> Option<&'static str> {
        match self {
            Self::Expires => Some("expires"),
            Self::Hash => Some("hash"),
            Self::Id(_) => Some("id"),
            Self::Label => Some("label"),
            Self::Members | Self::NotJson(_) => None,
            Self::Scopes(_) => Some("scopes"),
        }
    }
}

impl fmt::Display for ApiKeyRecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expires => f.write_str("must be a time in the form 2027-01-31T00:00:00Z (RFC 3339)"),
            Self::Hash => f.write_str("must be hmac-sha256$SALT$DIGEST, as `npx portcullis apikey` prints it"),
            Self::Id(id) => write!(f, "must be 1 to {API_KEY_ID_CHARS} letters and digits, got {id:?}"),
            Self::Label => f.write_str("must be 1 to 100 characters, none of them a control character"),
            Self::Members => f.write_str("the record is not an API key"),
            Self::NotJson(error) => write!(f, "the record is {error}"),
            Self::Scopes(error) => error.fmt(f),
        }
    }
}

impl Error for ApiKeyRecordError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotJson(error) => Some(error),
            Self::Scopes(error) => Some(error),
            _ => None,
        }
    }
}
