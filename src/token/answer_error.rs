//! Why the answer about a credential cannot be used.

use std::error::Error;
use std::fmt;

use crate::strict_json::StrictJsonError;
use crate::token::api_key::ApiKeyRecordError;

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
