//! Clients and their metadata (RFC 7591 §2). The gateway reads strictly the members that it uses, and ignores all
//! others.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::authorization_server::state::Hash;
use crate::limits::{CLIENT_NAME_CHARS, REDIRECT_URI_BYTES, REDIRECT_URIS};
use crate::page::is_invisible;
use crate::transport::url::{HttpUrl, Scheme};

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
}

impl AuthMethod {
    /// All methods.
    pub const ALL: [Self; 4] = [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost, Self::PrivateKeyJwt];

    /// The method as metadata names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    /// Whether the client has a secret.
    #[must_use]
    pub fn has_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
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
}

impl GrantType {
    /// All grant types.
    pub const ALL: [Self; 3] = [Self::AuthorizationCode, Self::RefreshToken, Self::ClientCredentials];

    /// The type as requests name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
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
    /// `token_endpoint_auth_method`.
    pub auth_method: AuthMethod,
    /// `grant_types`.
    pub grant_types: Vec<GrantType>,
    /// `jwks`: the keys with which it signs assertions.
    pub jwks: Option<Value>,
    /// `jwks_uri`: the URL of those keys.
    pub jwks_uri: Option<String>,
    /// `scope`: the scopes that the client named. They are a limit for a client of the configuration only.
    pub scope: Option<String>,
}

/// Checks that the gateway may fetch a URL that another party names (P8): `https`, with a path, on a public host. It
/// does not check what the host name resolves to: Workers cannot reach private networks.
///
/// # Errors
/// What the URL must be.
pub fn client_url(text: &str, development: bool) -> Result<(), String> {
    let url = HttpUrl::parse(text).map_err(|error| error.to_string())?;
    let loopback = development && url.authority().is_loopback();
    if url.scheme() == Scheme::Http && !loopback {
        return Err("must be https".to_owned());
    }
    let path = url.path().to_ascii_lowercase().replace("%2e", ".");
    if path.len() < 2 || path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err("must have a path, without dot segments".to_owned());
    }
    if url.authority().is_private() && !loopback {
        return Err("must be on a public host".to_owned());
    }
    Ok(())
}

/// Why the gateway rejects client metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataError {
    /// `invalid_redirect_uri` or `invalid_client_metadata` (RFC 7591 §3.2.2).
    pub code: &'static str,
    /// What is wrong.
    pub description: String,
}

/// Which redirect URIs are accepted in addition to `https`, and `http` on loopback.
#[derive(Debug, Clone, Copy)]
pub struct RedirectRules<'a> {
    /// Schemes of applications, for example `cursor`.
    pub schemes: &'a [String],
}

impl ClientMetadata {
    /// Reads metadata. Members that the gateway does not use are ignored (RFC 7591 §2).
    ///
    /// # Errors
    /// [`MetadataError`] for the first member that is wrong.
    pub fn read(members: &Map<String, Value>, rules: RedirectRules<'_>) -> Result<Self, MetadataError> {
        let wrong = |description: String| MetadataError { code: "invalid_client_metadata", description };
        let text = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().any(char::is_control) => {
                Err(wrong(format!("{name} has control characters")))
            }
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong(format!("{name} must be a string"))),
        };
        let list = |name: &str| -> Result<Option<Vec<String>>, MetadataError> {
            match members.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::Array(items)) => items
                    .iter()
                    .map(|item| item.as_str().map(str::to_owned))
                    .collect::<Option<_>>()
                    .map(Some)
                    .ok_or_else(|| wrong(format!("{name} must be an array of strings"))),
                Some(_) => Err(wrong(format!("{name} must be an array of strings"))),
            }
        };
        let said = text("client_name")?.unwrap_or_default();
        let client_name: String = said.chars().filter(|character| !is_invisible(*character)).collect();
        let client_name = client_name.trim().to_owned();
        if !said.is_empty() && !client_name.chars().any(char::is_alphanumeric) {
            return Err(wrong("client_name must have a visible letter or digit".to_owned()));
        }
        if client_name.chars().count() > CLIENT_NAME_CHARS {
            return Err(wrong(format!("client_name has more than {CLIENT_NAME_CHARS} characters")));
        }
        let auth_method = match text("token_endpoint_auth_method")? {
            None => AuthMethod::ClientSecretBasic,
            Some(name) => AuthMethod::parse(&name)
                .ok_or_else(|| wrong(format!("token_endpoint_auth_method {name:?} is not supported")))?,
        };
        let grant_types = match list("grant_types")? {
            None => vec![GrantType::AuthorizationCode],
            // Clients list every grant type that they can use, such as device codes. The gateway ignores those that it
            // does not support.
            Some(names) => names.iter().filter_map(|name| GrantType::parse(name)).collect(),
        };
        if grant_types.is_empty() {
            return Err(wrong("grant_types names no grant type that this server supports".to_owned()));
        }
        if list("response_types")?.is_some_and(|types| !types.is_empty() && !types.contains(&"code".to_owned())) {
            return Err(wrong("response_types must contain code".to_owned()));
        }
        let redirect_uris = list("redirect_uris")?.unwrap_or_default();
        if redirect_uris.len() > REDIRECT_URIS {
            return Err(wrong(format!("redirect_uris has more than {REDIRECT_URIS} entries")));
        }
        for uri in &redirect_uris {
            redirect(uri, rules).map_err(|why| MetadataError {
                code: "invalid_redirect_uri",
                description: format!("a redirect URI {why}"),
            })?;
        }
        if redirect_uris.is_empty() && grant_types.contains(&GrantType::AuthorizationCode) {
            let description = "redirect_uris is required".to_owned();
            return Err(MetadataError { code: "invalid_redirect_uri", description });
        }
        let jwks = members.get("jwks").filter(|jwks| !jwks.is_null()).cloned();
        let jwks_uri = text("jwks_uri")?;
        if jwks.is_some() && jwks_uri.is_some() {
            return Err(wrong("jwks and jwks_uri exclude each other".to_owned()));
        }
        if auth_method == AuthMethod::PrivateKeyJwt && jwks.is_none() && jwks_uri.is_none() {
            return Err(wrong("private_key_jwt needs jwks or jwks_uri".to_owned()));
        }
        if let Some(jwks) = &jwks {
            crate::jwks::key_set::KeySet::parse(jwks.to_string().as_bytes())
                .map_err(|error| wrong(error.to_string()))?;
        }
        Ok(Self {
            client_name,
            client_uri: text("client_uri")?.filter(|uri| HttpUrl::parse(uri).is_ok()),
            redirect_uris,
            auth_method,
            grant_types,
            jwks,
            jwks_uri,
            scope: text("scope")?.filter(|scope| !scope.is_empty()),
        })
    }

    /// Whether a code may be sent to this URI: it must be equal to a URI that the client named. On loopback the port
    /// does not count (RFC 8252 §7.3), because the client gets another port each time.
    #[must_use]
    pub fn has_redirect(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|known| known == uri || is_same_loopback(known, uri))
    }

    /// Whether all codes of the client stay on the user's machine. Any program there can impersonate such a client
    /// (A6).
    #[must_use]
    pub fn is_loopback_only(&self) -> bool {
        !self.redirect_uris.is_empty() && self.redirect_uris.iter().all(|uri| is_loopback(uri))
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
        if let Some(jwks) = &self.jwks {
            put("jwks", jwks.clone());
        }
        if let Some(uri) = &self.jwks_uri {
            put("jwks_uri", json!(uri));
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
/// What is wrong, in words that complete "a redirect URI …".
pub fn redirect(uri: &str, rules: RedirectRules<'_>) -> Result<(), String> {
    if uri.len() > REDIRECT_URI_BYTES {
        return Err(format!("has more than {REDIRECT_URI_BYTES} bytes"));
    }
    if uri.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'#')) {
        return Err("has a fragment, or characters that are not allowed in a URI".to_owned());
    }
    let (scheme, rest) = uri.split_once(':').ok_or("has no scheme")?;
    if scheme == "http" || scheme == "https" {
        let url = HttpUrl::parse(uri).map_err(|error| error.to_string())?;
        return match url.scheme() {
            Scheme::Https => Ok(()),
            Scheme::Http if url.authority().is_loopback() => Ok(()),
            Scheme::Http => Err("must be https, or http on loopback".to_owned()),
        };
    }
    if rules.schemes.iter().any(|allowed| allowed == scheme) && !rest.is_empty() {
        return Ok(());
    }
    Err("must be https, or http on loopback; an operator can allow other schemes (redirect_schemes)".to_owned())
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
