//! What can go wrong with a login at the identity provider.

use std::error::Error;
use std::fmt;

use crate::jwks::key_set::NoKey;
use crate::limits::TOKEN_CLAIMS_BYTES;
use crate::pipeline::rejection::Rejection;
use crate::platform_error::PlatformError;
use crate::provider::ProviderError;
use crate::strict_json::StrictJsonError;
use crate::token::error::TokenError;
use crate::transport::url::UrlError;

/// Why an answer of the provider cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerError {
    /// It is not strict JSON.
    NotJson(StrictJsonError),
    /// It is not a JSON object.
    NotObject,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(error) => write!(f, "the provider's answer is {error}"),
            Self::NotObject => f.write_str("the provider's answer is not a JSON object"),
        }
    }
}

impl Error for AnswerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if let Self::NotJson(error) = self { Some(error) } else { None }
    }
}

/// Why an ID token is not accepted (OpenID Connect Core §3.1.3.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdTokenError {
    /// Its algorithm is not accepted.
    Algorithm,
    /// It is for another client.
    Audience,
    /// It was issued to another client (`azp`).
    AuthorizedParty,
    /// It is from another issuer.
    Issuer,
    /// It is not a JWT.
    Malformed(TokenError),
    /// The provider has no key for it.
    NoKey(NoKey),
    /// It is for another login.
    Nonce,
    /// The key that signed it is for another tenant of the provider.
    OtherTenant,
    /// Its signature is wrong.
    Signature,
    /// Its signature could not be checked.
    SignatureUnchecked(PlatformError),
    /// Its signature has the wrong size.
    SignatureSize,
    /// It has expired, or was issued in the future.
    Time,
    /// Its `typ` is not accepted.
    Type,
}

impl fmt::Display for IdTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Algorithm => "the ID token is signed with an algorithm that is not accepted",
            Self::Audience => "the ID token is for another client",
            Self::AuthorizedParty => "the ID token was issued to another client",
            Self::Issuer => "the ID token is from another issuer, or from a tenant that is not in login.tenants",
            Self::Malformed(error) => {
                let error = Rejection::Token(error.clone());
                write!(f, "the ID token is not accepted: {}", error.reason())?;
                return error.detail().map_or(Ok(()), |detail| write!(f, " ({detail})"));
            }
            Self::NoKey(error) => return write!(f, "no key for the ID token: {error:?}"),
            Self::Nonce => "the ID token is for another login: its nonce differs",
            Self::OtherTenant => "the ID token is signed with a key of another tenant",
            Self::Signature => "the ID token's signature is wrong",
            Self::SignatureUnchecked(error) => return write!(f, "the ID token's signature cannot be checked: {error}"),
            Self::SignatureSize => "the ID token's signature has the wrong size",
            Self::Time => "the ID token has expired, or was issued in the future",
            Self::Type => "the ID token has a typ that is not accepted",
        })
    }
}

impl Error for IdTokenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if let Self::SignatureUnchecked(error) = self { Some(error) } else { None }
    }
}

/// Why a login gives no user. The texts are for the log; they have no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginError {
    /// The provider's answer has no access token.
    AccessTokenMissing,
    /// The answer of this URL cannot be used.
    Answer(String, AnswerError),
    /// The answer with the tokens, of this status, cannot be used.
    CodeAnswer(AnswerError, u16),
    /// The provider refuses the code, with this error code and status.
    CodeRefused(String, u16),
    /// The provider answers the code with this status.
    CodeStatus(u16),
    /// The ID token is not accepted.
    IdToken(IdTokenError),
    /// The provider's answer has no ID token.
    IdTokenMissing,
    /// The issuer identifier is not a URL.
    Issuer(UrlError),
    /// The metadata of the provider has no `jwks_uri`.
    JwksUriMissing,
    /// The userinfo response is about another user than the ID token (OpenID Connect Core §5.3.2).
    OtherUser,
    /// The keys of the provider cannot be fetched.
    Keys(ProviderError),
    /// The provider gave no answer that can be used.
    Provider(ProviderError),
    /// The records of the gateway cannot be read now.
    Records,
    /// The provider has no registration endpoint, and the configuration has no client.
    RegistrationEndpointMissing,
    /// The provider did not answer a registration.
    RegistrationNoAnswer(PlatformError),
    /// The provider refuses to register the gateway, with this status.
    RegistrationRefused(u16),
    /// The registration was sealed with another key.
    RegistrationSealed,
    /// The provider registered the gateway without an id or a secret.
    RegistrationWithoutSecret,
    /// The client assertion could not be signed.
    Signature(PlatformError),
    /// No claim of this name identifies the user.
    SubjectMissing(String),
    /// The claims of the user for tokens have this many bytes.
    TokenClaimsTooLarge(usize),
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessTokenMissing => "the provider gave no access token",
            Self::Answer(url, error) => return write!(f, "{url}: {error}"),
            Self::CodeAnswer(error, status) => return write!(f, "{error} (status {status})"),
            Self::CodeRefused(code, status) => {
                return write!(f, "the provider refuses the code: {code} (status {status})");
            }
            Self::CodeStatus(status) => return write!(f, "the provider answers the code with status {status}"),
            Self::IdToken(error) => return error.fmt(f),
            Self::IdTokenMissing => "the provider gave no ID token",
            Self::Issuer(error) => return error.fmt(f),
            Self::JwksUriMissing => "the metadata has no jwks_uri",
            Self::OtherUser => "the userinfo response is about another user than the ID token",
            Self::Keys(error) | Self::Provider(error) => return error.fmt(f),
            Self::Records => "records cannot be read now",
            Self::RegistrationEndpointMissing => {
                "the provider has no registration_endpoint: the configuration needs client_id"
            }
            Self::RegistrationNoAnswer(error) => return write!(f, "the gateway cannot register: {error}"),
            Self::RegistrationRefused(status) => {
                return write!(f, "the provider refuses to register the gateway: status {status}");
            }
            Self::RegistrationSealed => "the gateway's registration at the provider cannot be opened",
            Self::RegistrationWithoutSecret => "the provider registered the gateway without an id or a secret",
            Self::Signature(error) => return write!(f, "the client assertion cannot be signed: {error}"),
            Self::SubjectMissing(claim) => {
                return write!(f, "the provider sent no usable claim {claim:?} for the user");
            }
            Self::TokenClaimsTooLarge(bytes) => {
                return write!(
                    f,
                    "token_claims of this user have {bytes} bytes, and a token may have {TOKEN_CLAIMS_BYTES}"
                );
            }
        })
    }
}

impl Error for LoginError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Answer(_, error) | Self::CodeAnswer(error, _) => Some(error),
            Self::IdToken(error) => Some(error),
            Self::Issuer(error) => Some(error),
            Self::Keys(error) | Self::Provider(error) => Some(error),
            Self::RegistrationNoAnswer(error) | Self::Signature(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a token cannot contain an entry of `token_claims`. The texts complete "the entry …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenClaimError {
    /// It is the claim with the user's groups, which has the name `groups` in tokens.
    Groups(String),
    /// It names no claim.
    NoName(String),
    /// Only the gateway sets this claim.
    Reserved(String),
}

impl fmt::Display for TokenClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Groups(entry) => write!(
                f,
                "must be \"groups\", the name of the user's groups (login.groups_claim) in tokens, got {entry:?}"
            ),
            Self::NoName(entry) => write!(f, "must be the name of a claim, or a JSON Pointer to it, got {entry:?}"),
            Self::Reserved(entry) => {
                let name = entry.rsplit('/').next().unwrap_or_default();
                write!(f, "must not be {name:?}, which the gateway sets itself, got {entry:?}")
            }
        }
    }
}

impl Error for TokenClaimError {}
