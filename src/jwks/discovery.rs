//! Authorization server metadata (RFC 8414, OpenID Connect Discovery).

use std::error::Error;
use std::fmt;

use serde_json::{Map, Value};

use crate::strict_json::{self, StrictJsonError};
use crate::transport::url::{HttpUrl, UrlError};

/// Why metadata cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataError {
    /// A member is a URL on another host than the issuer's.
    ForeignEndpoint(&'static str),
    /// A member is missing, or is not text.
    Missing(&'static str),
    /// The document is not strict JSON.
    NotJson(StrictJsonError),
    /// The document is not a JSON object.
    NotObject,
    /// A member is a URL that is not protected.
    NotProtected(&'static str),
    /// A member is not a URL.
    NotUrl(&'static str, UrlError),
    /// The document is that of another issuer (RFC 8414 §3.3).
    OtherIssuer,
    /// The document is that of another resource (RFC 9728 §3.3).
    OtherResource(String, String),
    /// A member is a URL on a private host.
    PrivateHost(&'static str),
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignEndpoint(member) => write!(
                f,
                "{member} is not on the issuer's host, and the metadata does not have \
                 authorization_response_iss_parameter_supported (RFC 9207): set issuer if you trust this server"
            ),
            Self::Missing(member) => write!(f, "the metadata has no {member}"),
            Self::NotJson(error) => write!(f, "the metadata is {error}"),
            Self::NotObject => f.write_str("the metadata is not a JSON object"),
            Self::NotProtected(member) => write!(f, "{member} must be https"),
            Self::NotUrl(member, error) => write!(f, "{member} {error}"),
            Self::OtherResource(stated, wanted) => write!(
                f,
                "the metadata is that of another resource: it states {stated:?}, and the server is {wanted:?}; if that is another \
                 name of the same server, set credential.per_user.resource to it"
            ),
            Self::OtherIssuer => f.write_str("the metadata names another issuer"),
            Self::PrivateHost(member) => write!(f, "{member} is on a private host"),
        }
    }
}

impl Error for MetadataError {}

/// The two URLs at which metadata of `issuer` may be, in the order in which the gateway tries them: RFC 8414 §3 inserts
/// the well-known part before the path, OpenID Connect Discovery §4 appends it.
#[must_use]
pub fn locations(issuer: &HttpUrl) -> [String; 2] {
    let path = issuer.path().trim_end_matches('/');
    let root = issuer.web_origin();
    [
        format!("{root}/.well-known/oauth-authorization-server{path}"),
        format!("{root}{path}/.well-known/openid-configuration"),
    ]
}

/// The metadata of an issuer. It is the only reader of metadata for keys, introspection and logins.
#[derive(Debug)]
pub struct Metadata<'a> {
    issuer: &'a str,
    development: bool,
    members: Map<String, Value>,
}

impl<'a> Metadata<'a> {
    /// Reads a metadata document.
    ///
    /// # Errors
    /// A description if the document is not metadata, or its `issuer` is not exactly the expected one: then it must not
    /// be used (RFC 8414 §3.3), and the next location may have the right document.
    pub fn read(document: &[u8], issuer: &'a str, development: bool) -> Result<Self, MetadataError> {
        let members = match strict_json::parse(document) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return Err(MetadataError::NotObject),
            Err(error) => return Err(MetadataError::NotJson(error)),
        };
        if members.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(MetadataError::OtherIssuer);
        }
        Ok(Self { issuer, development, members })
    }

    /// A required URL that browsers open. The gateway does not send requests to it, so it may be on any host.
    ///
    /// # Errors
    /// A description if it is missing or not protected.
    pub fn browser_url(&self, member: &'static str) -> Result<String, MetadataError> {
        Ok(self.protected(member)?.0.to_owned())
    }

    /// A required URL that the gateway sends requests to.
    ///
    /// # Errors
    /// A description if it is missing, or is not a protected URL of a public host (P8; in development, of loopback).
    pub fn url(&self, member: &'static str) -> Result<String, MetadataError> {
        let (text, url) = self.protected(member)?;
        // The operator chose the issuer's own host in the configuration.
        let own = HttpUrl::parse(self.issuer).is_ok_and(|issuer| issuer.authority() == url.authority());
        let loopback = self.development && url.authority().is_loopback();
        if url.authority().is_private() && !own && !loopback {
            return Err(MetadataError::PrivateHost(member));
        }
        Ok(text.to_owned())
    }

    /// An optional URL: a URL that the gateway may not send requests to counts as absent.
    #[must_use]
    pub fn optional_url(&self, member: &'static str) -> Option<String> {
        self.url(member).ok()
    }

    fn protected(&self, member: &'static str) -> Result<(&str, HttpUrl), MetadataError> {
        let text = self.members.get(member).and_then(Value::as_str);
        let text = text.ok_or(MetadataError::Missing(member))?;
        let url = HttpUrl::parse(text).map_err(|error| MetadataError::NotUrl(member, error))?;
        if url.is_protected(self.development) { Ok((text, url)) } else { Err(MetadataError::NotProtected(member)) }
    }

    /// Whether a member is a list that has a text.
    #[must_use]
    pub fn lists(&self, member: &str, text: &str) -> bool {
        let listed = self.members.get(member).and_then(Value::as_array);
        listed.is_some_and(|listed| listed.iter().any(|it| it.as_str() == Some(text)))
    }

    /// Whether a member is `true`.
    #[must_use]
    pub fn says(&self, member: &str) -> bool {
        self.members.get(member) == Some(&Value::Bool(true))
    }
}
