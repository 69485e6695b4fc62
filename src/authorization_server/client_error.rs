//! What can be wrong with a client: its metadata, its metadata document, its id and its assertions.

use std::error::Error;
use std::fmt;

use crate::authorization_server::error_code::ErrorCode;
use crate::jwks::key_set::KeySetError;
use crate::limits::{CLIENT_DOCUMENT_BYTES, CLIENT_NAME_CHARS, REDIRECT_URI_BYTES, REDIRECT_URIS};
use crate::provider::ProviderError;
use crate::transport::url::UrlError;

/// Why the gateway does not fetch a URL that a client names. The texts complete "the URL …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientUrlError {
    /// It is not a URL.
    NotUrl(UrlError),
    /// It is not `https`.
    NotHttps,
    /// It has no path, or a path with dot segments.
    Path,
    /// Its host is private.
    PrivateHost,
}

impl fmt::Display for ClientUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUrl(error) => return error.fmt(f),
            Self::NotHttps => "must be https",
            Self::Path => "must have a path, without dot segments",
            Self::PrivateHost => "must be on a public host",
        })
    }
}

impl Error for ClientUrlError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if let Self::NotUrl(error) = self { Some(error) } else { None }
    }
}

/// What is wrong with a redirect URI. The texts complete "a redirect URI …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedirectUriError {
    /// It has a fragment, or characters that are not allowed in a URI.
    Characters,
    /// It is `http`, and not on loopback.
    NotHttps,
    /// It is not a URL.
    NotUrl(UrlError),
    /// It has no scheme.
    NoScheme,
    /// Its scheme is not one that the configuration allows.
    Scheme,
    /// It is too long.
    TooLong,
}

impl fmt::Display for RedirectUriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => "has a fragment, or characters that are not allowed in a URI",
            Self::NotHttps => "must be https, or http on loopback",
            Self::NotUrl(error) => return error.fmt(f),
            Self::NoScheme => "has no scheme",
            Self::Scheme => {
                "must be https, or http on loopback; an operator can allow other schemes (redirect_schemes)"
            }
            Self::TooLong => return write!(f, "has more than {REDIRECT_URI_BYTES} bytes"),
        })
    }
}

impl Error for RedirectUriError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if let Self::NotUrl(error) = self { Some(error) } else { None }
    }
}

/// Why the gateway rejects client metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataError {
    /// `application_type` is not one that exists.
    ApplicationType(String),
    /// `token_endpoint_auth_method` is not supported.
    AuthMethod(String),
    /// `client_credentials` is the only grant type, and the client registers itself.
    ClientCredentials,
    /// A text has control characters.
    ControlCharacters(&'static str),
    /// `grant_types` has no grant type that this server supports.
    GrantTypes,
    /// `jwks` is not a usable key set.
    Jwks(KeySetError),
    /// `jwks_uri` of a client that registers itself.
    JwksUri,
    /// `private_key_jwt` without keys.
    KeysMissing,
    /// No certificate for `self_signed_tls_client_auth`.
    CertificateMissing,
    /// No subject of the certificate for `tls_client_auth`.
    CertificateSubjectMissing,
    /// Both `jwks` and `jwks_uri`.
    KeysTwice,
    /// `client_name` has no visible letter or digit.
    NameInvisible,
    /// `client_name` is too long.
    NameTooLong,
    /// A member is not a boolean.
    NotBoolean(&'static str),
    /// A member is not a string.
    NotString(&'static str),
    /// A member is not an array of strings.
    NotStrings(&'static str),
    /// A redirect URI is invalid.
    RedirectUri(RedirectUriError),
    /// `redirect_uris` is missing.
    RedirectUrisMissing,
    /// `redirect_uris` has too many entries.
    RedirectUrisTooMany,
    /// `response_types` does not contain `code`.
    ResponseTypes,
}

impl MetadataError {
    /// The error code (RFC 7591 §3.2.2).
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::RedirectUri(_) | Self::RedirectUrisMissing => ErrorCode::InvalidRedirectUri,
            _ => ErrorCode::InvalidClientMetadata,
        }
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApplicationType(name) => {
                return write!(f, "application_type must be native or web, and not {name:?}");
            }
            Self::AuthMethod(name) => return write!(f, "token_endpoint_auth_method {name:?} is not supported"),
            Self::ClientCredentials => "client_credentials is only for clients of the configuration",
            Self::ControlCharacters(name) => return write!(f, "{name} has control characters"),
            Self::GrantTypes => "grant_types names no grant type that this server supports",
            Self::Jwks(error) => return error.fmt(f),
            Self::JwksUri => "jwks_uri is not supported for clients that register: send jwks",
            Self::KeysMissing => "private_key_jwt needs jwks or jwks_uri",
            Self::CertificateMissing => "self_signed_tls_client_auth needs jwks with a certificate (x5c)",
            Self::CertificateSubjectMissing => {
                "tls_client_auth needs tls_client_auth_subject_dn: other names of certificates are not supported"
            }
            Self::KeysTwice => "jwks and jwks_uri exclude each other",
            Self::NameInvisible => "client_name must have a visible letter or digit",
            Self::NameTooLong => return write!(f, "client_name has more than {CLIENT_NAME_CHARS} characters"),
            Self::NotBoolean(name) => return write!(f, "{name} must be true or false"),
            Self::NotString(name) => return write!(f, "{name} must be a string"),
            Self::NotStrings(name) => return write!(f, "{name} must be an array of strings"),
            Self::RedirectUri(error) => return write!(f, "a redirect URI {error}"),
            Self::RedirectUrisMissing => "redirect_uris is required",
            Self::RedirectUrisTooMany => return write!(f, "redirect_uris has more than {REDIRECT_URIS} entries"),
            Self::ResponseTypes => "response_types must contain code",
        })
    }
}

impl Error for MetadataError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Jwks(error) => Some(error),
            Self::RedirectUri(error) => Some(error),
            _ => None,
        }
    }
}

/// Why no client has a client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownClient {
    /// The domain of its id is not one that the configuration allows.
    Domain,
    /// Its metadata document is too large.
    DocumentTooLarge,
    /// The status of its metadata document is not 200.
    DocumentStatus(u16),
    /// The id is too long.
    IdTooLong,
    /// The id is a URL that the gateway does not fetch.
    IdUrl(ClientUrlError),
    /// The `jwks_uri` of its metadata is a URL that the gateway does not fetch.
    JwksUri(ClientUrlError),
    /// Its metadata is invalid.
    Metadata(MetadataError),
    /// Its metadata has no `client_name`.
    NameMissing,
    /// There is no such client.
    None,
    /// There is no such client, or it was deleted because it was unused for too long.
    NotRegistered,
    /// Its metadata is not JSON by its content type.
    NotJsonType,
    /// Its metadata is not a JSON object.
    NotObject,
    /// Its metadata has another `client_id`.
    OtherId,
    /// Its metadata document has a secret, which every reader of the document knows.
    Secret,
    /// Its metadata asks for client authentication with a secret, and a client with a document has none.
    SecretAuthentication,
}

impl UnknownClient {
    /// What the log says. The caller does not learn which status the gateway saw.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::DocumentStatus(status) => format!("{self}: status {status}"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for UnknownClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Domain => "clients of this domain are not allowed",
            Self::DocumentTooLarge => return write!(f, "its metadata has more than {CLIENT_DOCUMENT_BYTES} bytes"),
            Self::DocumentStatus(_) => "the status of its metadata is not 200",
            Self::IdTooLong => "the client id is too long",
            Self::IdUrl(error) => return write!(f, "the client id {error}"),
            Self::JwksUri(error) => return write!(f, "its jwks_uri {error}"),
            Self::Metadata(error) => return write!(f, "its metadata is not accepted: {error}"),
            Self::NameMissing => "its metadata has no client_name",
            Self::None => "there is no such client",
            Self::NotRegistered => "there is no such client, or it was deleted because it was unused for too long",
            Self::NotJsonType => "its metadata is not JSON by its content type",
            Self::NotObject => "its metadata is not a JSON object",
            Self::OtherId => "its metadata has another client_id",
            Self::Secret => "its metadata has a secret, and the document is public",
            Self::SecretAuthentication => {
                "its metadata asks for client authentication with a secret, which a client with a document cannot have"
            }
        })
    }
}

impl Error for UnknownClient {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::IdUrl(error) | Self::JwksUri(error) => Some(error),
            Self::Metadata(error) => Some(error),
            _ => None,
        }
    }
}

/// Why the metadata document or the keys of a client cannot be fetched now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreachableClient {
    /// The last attempt to fetch its metadata failed a moment ago.
    FailedLately,
    /// The key id is new, and the keys were fetched a moment ago.
    KeysCoolDown,
    /// The last attempt to fetch its keys failed a moment ago.
    KeysFailedLately,
    /// There was no answer with its keys, or one that says so.
    KeysNoAnswer,
    /// Callers of this network made the gateway fetch the keys of too many clients.
    KeysTooMany,
    /// There was no answer with its metadata, or one that says so.
    NoAnswer,
    /// Callers of this network made the gateway fetch too many documents.
    TooMany,
}

impl fmt::Display for UnreachableClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FailedLately => "its metadata could not be fetched a moment ago",
            Self::KeysCoolDown => "its keys were fetched a moment ago and do not have this kid",
            Self::KeysFailedLately => "its keys could not be fetched a moment ago",
            Self::KeysNoAnswer => "its keys cannot be fetched now",
            Self::KeysTooMany => "the keys of too many clients were requested: try again in a minute",
            Self::NoAnswer => "its metadata cannot be fetched now",
            Self::TooMany => "too many metadata documents were requested: try again in a minute",
        })
    }
}

impl Error for UnreachableClient {}

/// Why a client assertion does not authenticate its client (RFC 7523 §3). The texts complete "the client assertion …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssertionError {
    /// Its algorithm is not supported.
    Algorithm,
    /// It is for another server.
    Audience,
    /// `exp` is missing or too far ahead.
    Expiry,
    /// `iss` or `sub` is not the client.
    Issuer,
    /// The key set of the client cannot be used.
    KeySet(KeySetError),
    /// The document at the `jwks_uri` of the client cannot be used.
    Keys(ProviderError),
    /// The `jwks_uri` of the client is a URL that the gateway does not fetch.
    KeysUrl(ClientUrlError),
    /// WebCrypto does not accept the key.
    KeyUnusable,
    /// The client has no keys.
    NoKeys,
    /// `jti` is missing.
    NoId,
    /// The client has no such key.
    NoSuchKey,
    /// `nbf` is not a time.
    NotBeforeMalformed,
    /// It is not valid yet.
    NotYet,
    /// It was used before.
    Replayed,
    /// Its signature is wrong.
    Signature,
    /// Its signature does not have the form of its algorithm.
    SignatureForm,
}

impl fmt::Display for AssertionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Algorithm => "has an algorithm that is not supported",
            Self::Audience => "is for another server",
            Self::Expiry => "must have an exp within ten minutes",
            Self::Issuer => "must have the client id as iss and as sub",
            Self::KeySet(error) => return write!(f, "cannot be checked: {error}"),
            Self::Keys(_) => "cannot be checked: the document at the jwks_uri of the client cannot be used",
            Self::KeysUrl(error) => return write!(f, "cannot be checked: the jwks_uri {error}"),
            Self::KeyUnusable => "has a key that cannot be used",
            Self::NoKeys => "cannot be checked: the client has no keys",
            Self::NoId => "must have a jti",
            Self::NoSuchKey => "names no key of the client",
            Self::NotBeforeMalformed => "has an nbf that is not a time",
            Self::NotYet => "is not valid yet",
            Self::Replayed => "was used before",
            Self::Signature => "has a wrong signature",
            Self::SignatureForm => "has a signature of another form than its algorithm",
        })
    }
}

impl Error for AssertionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::KeySet(error) => Some(error),
            Self::Keys(error) => Some(error),
            Self::KeysUrl(error) => Some(error),
            _ => None,
        }
    }
}
