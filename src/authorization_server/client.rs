//! Clients and their metadata (RFC 7591 §2). The gateway reads strictly the members that it uses, and ignores all
//! others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::authorization_server::client_error::{ClientUrlError, MetadataError, RedirectUriError};
use crate::authorization_server::state::Hash;
use crate::authorization_server::trusted_issuer::JWT_BEARER;
use crate::jwks::key_set::KeySet;
use crate::limits::{CLIENT_NAME_CHARS, REDIRECT_URI_BYTES, REDIRECT_URIS};
use crate::page::is_invisible;
use crate::policy::pattern::Pattern;
use crate::transport::certificate::ClientCertificate;
use crate::transport::url::{HttpUrl, Scheme};

/// The prefix of the subject of a client that uses the client credentials grant. No user can have it (RFC 9068 §5).
pub const CLIENT_SUBJECT: &str = "client:";

/// How a client authenticates at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// The client does not authenticate: `none`.
    None,
    /// `client_secret_basic`
    ClientSecretBasic,
    /// `client_secret_post`
    ClientSecretPost,
    /// `private_key_jwt`
    PrivateKeyJwt,
    /// `tls_client_auth` (RFC 8705 §2.1): with a certificate that a trusted CA issued.
    TlsClientAuth,
    /// `self_signed_tls_client_auth` (RFC 8705 §2.2): with a certificate that is in its keys.
    SelfSignedTlsClientAuth,
}

impl AuthMethod {
    /// All methods.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::ClientSecretBasic,
        Self::ClientSecretPost,
        Self::PrivateKeyJwt,
        Self::TlsClientAuth,
        Self::SelfSignedTlsClientAuth,
    ];

    /// The method as metadata names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    /// Whether the client has a certificate.
    #[must_use]
    pub fn has_certificate(self) -> bool {
        matches!(self, Self::TlsClientAuth | Self::SelfSignedTlsClientAuth)
    }

    /// Whether the client has a secret.
    #[must_use]
    pub fn has_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// What an application says that it is (A7). The gateway returns it and derives nothing from it: what counts is where the redirect URIs
/// lead. Web applications that developers run on their own machines have redirect URIs on loopback, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    /// It runs on a user's machine.
    Native,
    /// It runs in a browser, or on a server.
    Web,
}

impl ApplicationType {
    /// Its name in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Web => "web",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Native, Self::Web].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A grant type that a client may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// `authorization_code`
    AuthorizationCode,
    /// `refresh_token`
    RefreshToken,
    /// `client_credentials`
    ClientCredentials,
    /// An assertion (RFC 7523 §2.1).
    JwtBearer,
    /// A device code (RFC 8628 §3.4).
    DeviceCode,
}

impl GrantType {
    /// All grant types.
    pub const ALL: [Self; 5] =
        [Self::AuthorizationCode, Self::RefreshToken, Self::ClientCredentials, Self::JwtBearer, Self::DeviceCode];

    /// The type as requests name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::JwtBearer => JWT_BEARER,
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
        }
    }

    /// Reads a type.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The metadata of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientMetadata {
    /// `client_name`; empty if the client has none.
    pub client_name: String,
    /// `client_uri`.
    pub client_uri: Option<String>,
    /// `redirect_uris`.
    pub redirect_uris: Vec<String>,
    /// The beginnings, up to a `/`, of redirect URIs that end with one more segment of the path, which the client chooses.
    /// Only a client of the configuration has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_prefixes: Vec<String>,
    /// `token_endpoint_auth_method`.
    pub auth_method: AuthMethod,
    /// `grant_types`.
    pub grant_types: Vec<GrantType>,
    /// `tls_client_auth_subject_dn`: the subject of its certificate (RFC 8705 §2.1.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_subject: Option<String>,
    /// `jwks`: the keys with which it signs assertions, or its certificates.
    pub jwks: Option<Value>,
    /// `jwks_uri`: the URL of those keys.
    pub jwks_uri: Option<String>,
    /// `application_type`, if the client stated one (OpenID Connect Dynamic Client Registration §2, A7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_type: Option<ApplicationType>,
    /// `dpop_bound_access_tokens`: all tokens of the client are bound to a key (RFC 9449 §5.2).
    #[serde(default, skip_serializing_if = "is_false")]
    pub binds_to_key: bool,
    /// `scope`: the scopes that the client named. They are a limit for a client of the configuration only.
    pub scope: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Checks that the gateway may fetch a URL that another party names (P8): `https`, with a path, on a public host. It
/// does not check what the host name resolves to: Workers cannot reach private networks, and `portcullis serve` lets workerd connect
/// to public addresses alone for such URLs.
///
/// # Errors
/// [`ClientUrlError`]: what the URL must be.
pub fn client_url(text: &str, development: bool) -> Result<(), ClientUrlError> {
    let url = HttpUrl::parse(text).map_err(ClientUrlError::NotUrl)?;
    let loopback = development && url.authority().is_loopback();
    if url.scheme() == Scheme::Http && !loopback {
        return Err(ClientUrlError::NotHttps);
    }
    let path = url.path().to_ascii_lowercase().replace("%2e", ".");
    if path.len() < 2 || path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(ClientUrlError::Path);
    }
    if url.authority().is_private() && !loopback {
        return Err(ClientUrlError::PrivateHost);
    }
    Ok(())
}

/// Which redirect URIs are accepted in addition to `https`, and `http` on loopback.
#[derive(Debug, Clone, Copy)]
pub struct RedirectRules<'a> {
    /// Schemes of applications, for example `cursor`.
    pub schemes: &'a [String],
    /// Whether URIs with other schemes are left out (RFC 7591 §3.2.1), as long as one URI remains. Otherwise the gateway
    /// rejects the metadata.
    pub leaves_out: bool,
}

/// SHA-256 of the certificates of a JWK set: the first one of each `x5c` (RFC 7517 §4.7).
fn certificates(jwks: Option<&Value>) -> impl Iterator<Item = [u8; 32]> {
    let keys = jwks.and_then(|jwks| jwks.get("keys")).and_then(Value::as_array).into_iter().flatten();
    keys.filter_map(|key| {
        let text = key.get("x5c")?.get(0)?.as_str()?;
        STANDARD.decode(text).ok().map(|certificate| Sha256::digest(certificate).into())
    })
}

/// Checks that a client has what its method needs, and keys in one place.
fn check_keys(
    method: AuthMethod,
    (jwks, jwks_uri): (Option<&Value>, Option<&str>),
    subject: Option<&str>,
) -> Result<(), MetadataError> {
    if jwks.is_some() && jwks_uri.is_some() {
        return Err(MetadataError::KeysTwice);
    }
    match method {
        AuthMethod::PrivateKeyJwt if jwks.is_none() && jwks_uri.is_none() => return Err(MetadataError::KeysMissing),
        AuthMethod::TlsClientAuth if subject.is_none_or(|subject| subject.trim().is_empty()) => {
            return Err(MetadataError::CertificateSubjectMissing);
        }
        AuthMethod::SelfSignedTlsClientAuth if certificates(jwks).next().is_none() => {
            return Err(MetadataError::CertificateMissing);
        }
        _ => {}
    }
    match jwks {
        Some(jwks) => KeySet::parse(jwks.to_string().as_bytes()).map(drop).map_err(MetadataError::Jwks),
        None => Ok(()),
    }
}

impl ClientMetadata {
    /// Whether a certificate is that of the client.
    #[must_use]
    pub fn has_certificate(&self, certificate: &ClientCertificate) -> bool {
        match self.auth_method {
            AuthMethod::TlsClientAuth => {
                self.certificate_subject.as_ref().is_some_and(|subject| certificate.is_of(subject))
            }
            AuthMethod::SelfSignedTlsClientAuth => {
                certificates(self.jwks.as_ref()).any(|digest| digest == certificate.digest)
            }
            AuthMethod::None
            | AuthMethod::ClientSecretBasic
            | AuthMethod::ClientSecretPost
            | AuthMethod::PrivateKeyJwt => false,
        }
    }

    /// Reads metadata. Members that the gateway does not use are ignored (RFC 7591 §2).
    ///
    /// # Errors
    /// [`MetadataError`] for the first member that is wrong.
    pub fn read(members: &Map<String, Value>, rules: RedirectRules<'_>) -> Result<Self, MetadataError> {
        let text = |name: &'static str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().any(char::is_control) => {
                Err(MetadataError::ControlCharacters(name))
            }
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(MetadataError::NotString(name)),
        };
        let list = |name: &'static str| -> Result<Option<Vec<String>>, MetadataError> {
            match members.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::Array(items)) => items
                    .iter()
                    .map(|item| item.as_str().map(str::to_owned))
                    .collect::<Option<_>>()
                    .map(Some)
                    .ok_or(MetadataError::NotStrings(name)),
                Some(_) => Err(MetadataError::NotStrings(name)),
            }
        };
        let said = text("client_name")?.unwrap_or_default();
        let client_name: String = said.chars().filter(|character| !is_invisible(*character)).collect();
        let client_name = client_name.trim().to_owned();
        if !said.is_empty() && !client_name.chars().any(char::is_alphanumeric) {
            return Err(MetadataError::NameInvisible);
        }
        if client_name.chars().count() > CLIENT_NAME_CHARS {
            return Err(MetadataError::NameTooLong);
        }
        let auth_method = match text("token_endpoint_auth_method")? {
            None => AuthMethod::ClientSecretBasic,
            Some(name) => AuthMethod::parse(&name).ok_or(MetadataError::AuthMethod(name))?,
        };
        let grant_types = match list("grant_types")? {
            None => vec![GrantType::AuthorizationCode],
            // Clients list every grant type that they can use, such as device codes. The gateway ignores those that it
            // does not support.
            Some(names) => names.iter().filter_map(|name| GrantType::parse(name)).collect(),
        };
        if grant_types.is_empty() {
            return Err(MetadataError::GrantTypes);
        }
        if list("response_types")?.is_some_and(|types| !types.is_empty() && !types.contains(&"code".to_owned())) {
            return Err(MetadataError::ResponseTypes);
        }
        let mut redirect_uris = list("redirect_uris")?.unwrap_or_default();
        if redirect_uris.len() > REDIRECT_URIS {
            return Err(MetadataError::RedirectUrisTooMany);
        }
        let checked: Vec<_> = redirect_uris.iter().map(|uri| redirect(uri, rules)).collect();
        let some_fit = rules.leaves_out && checked.iter().any(Result::is_ok);
        for error in checked.iter().filter_map(|checked| checked.as_ref().err()) {
            if !(some_fit && *error == RedirectUriError::Scheme) {
                return Err(MetadataError::RedirectUri(error.clone()));
            }
        }
        let mut checked = checked.iter();
        redirect_uris.retain(|_| checked.next().is_some_and(Result::is_ok));
        if redirect_uris.is_empty() && grant_types.contains(&GrantType::AuthorizationCode) {
            return Err(MetadataError::RedirectUrisMissing);
        }
        let application_type = match text("application_type")? {
            None => None,
            Some(name) => Some(ApplicationType::parse(&name).ok_or(MetadataError::ApplicationType(name))?),
        };
        let jwks = members.get("jwks").filter(|jwks| !jwks.is_null()).cloned();
        let jwks_uri = text("jwks_uri")?;
        let subject = text("tls_client_auth_subject_dn")?;
        let certificate_subject = subject.filter(|_| auth_method == AuthMethod::TlsClientAuth);
        check_keys(auth_method, (jwks.as_ref(), jwks_uri.as_deref()), certificate_subject.as_deref())?;
        Ok(Self {
            client_name,
            client_uri: text("client_uri")?.filter(|uri| HttpUrl::parse(uri).is_ok()),
            redirect_uris,
            redirect_prefixes: Vec::new(),
            auth_method,
            grant_types,
            certificate_subject,
            jwks,
            jwks_uri,
            application_type,
            binds_to_key: match members.get("dpop_bound_access_tokens") {
                None | Some(Value::Null) => false,
                Some(Value::Bool(binds)) => *binds,
                Some(_) => return Err(MetadataError::NotBoolean("dpop_bound_access_tokens")),
            },
            scope: text("scope")?.filter(|scope| !scope.is_empty()),
        })
    }

    /// Whether a code may be sent to this URI: it must be equal to a URI that the client named. On loopback the port
    /// does not count (RFC 8252 §7.3), because the client gets another port each time.
    #[must_use]
    pub fn has_redirect(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|known| known == uri || is_same_loopback(known, uri))
            || self.redirect_prefixes.iter().any(|prefix| uri.strip_prefix(prefix.as_str()).is_some_and(is_segment))
    }

    /// Whether all codes of the client stay on the user's machine. Any program there can impersonate such a client
    /// (A6).
    #[must_use]
    pub fn is_loopback_only(&self) -> bool {
        self.redirect_prefixes.is_empty()
            && !self.redirect_uris.is_empty()
            && self.redirect_uris.iter().all(|uri| is_loopback(uri))
    }

    /// Whether the client may use this grant type.
    #[must_use]
    pub fn may(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }

    /// The metadata in the form of a registration response (RFC 7591 §3.2.1).
    #[must_use]
    pub fn to_members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        if !self.client_name.is_empty() {
            put("client_name", json!(self.client_name));
        }
        if let Some(uri) = &self.client_uri {
            put("client_uri", json!(uri));
        }
        put("redirect_uris", json!(self.redirect_uris));
        put("token_endpoint_auth_method", json!(self.auth_method.as_str()));
        put("grant_types", json!(self.grant_types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>()));
        let codes = self.may(GrantType::AuthorizationCode);
        put("response_types", if codes { json!(["code"]) } else { json!([]) });
        if let Some(subject) = &self.certificate_subject {
            put("tls_client_auth_subject_dn", json!(subject));
        }
        if let Some(jwks) = &self.jwks {
            put("jwks", jwks.clone());
        }
        if let Some(uri) = &self.jwks_uri {
            put("jwks_uri", json!(uri));
        }
        if let Some(kind) = self.application_type {
            put("application_type", json!(kind.as_str()));
        }
        if self.binds_to_key {
            put("dpop_bound_access_tokens", json!(true));
        }
        if let Some(scope) = &self.scope {
            put("scope", json!(scope));
        }
        members
    }
}

/// Where a client comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From the configuration.
    Configured,
    /// The client registered itself.
    Registered,
    /// Its id is the URL of its metadata.
    Document,
}

/// A client.
#[derive(Debug, Clone)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// Where it comes from.
    pub source: Source,
    /// Its metadata.
    pub metadata: ClientMetadata,
    /// The hash of its secret.
    pub secret: Option<Hash>,
    /// The client may introspect tokens (RFC 7662).
    pub introspects: bool,
    /// The workload that the client is, if a platform identifies it.
    pub workload: Option<Workload>,
}

/// A workload, as the assertions of a platform name it (RFC 7523 §3).
#[derive(Debug, Clone)]
pub struct Workload {
    /// The name of the trusted issuer.
    pub issuer: String,
    /// Its subjects.
    pub subject: Pattern,
    /// Claims that an assertion must have, each with its accepted values.
    pub claims: Vec<(String, Vec<String>)>,
}

impl Client {
    /// The name that users see: the client's name, or its id.
    #[must_use]
    pub fn name(&self) -> &str {
        if self.metadata.client_name.is_empty() { &self.id } else { &self.metadata.client_name }
    }

    /// The host that vouches for the client. Only a client whose id is a URL has one; every other name of a client is
    /// only its own claim.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        let url = (self.source == Source::Document).then(|| HttpUrl::parse(&self.id).ok())??;
        Some(url.authority().to_string())
    }
}

/// Schemes that the configuration cannot allow: browsers run what many of them name (P10), and `http` and `https` have
/// rules of their own.
pub const DANGEROUS_SCHEMES: [&str; 8] = ["javascript", "data", "vbscript", "file", "blob", "about", "http", "https"];

/// Checks a redirect URI: `https`, `http` on loopback, or a scheme that the configuration allows. It must have no
/// fragment, no user information, and no characters that parsers read differently.
///
/// # Errors
/// [`RedirectUriError`]: what is wrong.
pub fn redirect(uri: &str, rules: RedirectRules<'_>) -> Result<(), RedirectUriError> {
    if uri.len() > REDIRECT_URI_BYTES {
        return Err(RedirectUriError::TooLong);
    }
    if uri.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'#')) {
        return Err(RedirectUriError::Characters);
    }
    let (scheme, rest) = uri.split_once(':').ok_or(RedirectUriError::NoScheme)?;
    if scheme == "http" || scheme == "https" {
        let url = HttpUrl::parse(uri).map_err(RedirectUriError::NotUrl)?;
        return match url.scheme() {
            Scheme::Https => Ok(()),
            Scheme::Http if url.authority().is_loopback() => Ok(()),
            Scheme::Http => Err(RedirectUriError::NotHttps),
        };
    }
    if rules.schemes.iter().any(|allowed| allowed == scheme) && !rest.is_empty() {
        return Ok(());
    }
    Err(RedirectUriError::Scheme)
}

/// Whether a text is one segment of a path that all readers read alike.
fn is_segment(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_loopback(uri: &str) -> bool {
    HttpUrl::parse(uri).is_ok_and(|url| url.authority().is_loopback())
}

fn is_same_loopback(known: &str, uri: &str) -> bool {
    let (Ok(known), Ok(asked)) = (HttpUrl::parse(known), HttpUrl::parse(uri)) else { return false };
    known.scheme() == Scheme::Http
        && asked.scheme() == Scheme::Http
        && known.authority().is_loopback()
        && known.authority().host() == asked.authority().host()
        && known.path() == asked.path()
        && known.query() == asked.query()
}
