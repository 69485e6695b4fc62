//! Authorization server metadata (RFC 8414, OpenID Connect Discovery).

use serde_json::{Map, Value};

use crate::strict_json;
use crate::transport::url::HttpUrl;

/// The two places where metadata of `issuer` may be, in the order in which they are tried: RFC 8414 §3 inserts before
/// the path, OpenID Connect Discovery §4 appends.
#[must_use]
pub fn locations(issuer: &HttpUrl) -> [String; 2] {
    let path = issuer.path().trim_end_matches('/');
    let root = issuer.web_origin();
    [
        format!("{root}/.well-known/oauth-authorization-server{path}"),
        format!("{root}{path}/.well-known/openid-configuration"),
    ]
}

/// What an issuer says of itself: the one reader of metadata for keys, introspection and logins.
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
    /// A description where the document is no metadata, or its `issuer` is not exactly the one asked for: then it must not be
    /// used (RFC 8414 §3.3), and the next location may have the right one.
    pub fn read(document: &[u8], issuer: &'a str, development: bool) -> Result<Self, String> {
        let members = match strict_json::parse(document) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return Err("the metadata is no object".to_owned()),
            Err(error) => return Err(format!("the metadata is {error}")),
        };
        if members.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err("the metadata is of another issuer".to_owned());
        }
        Ok(Self { issuer, development, members })
    }

    /// A URL that it names, if it does.
    ///
    /// # Errors
    /// A description where it is not a protected URL of a public host (P8; in development, of loopback).
    pub fn optional_url(&self, member: &str) -> Result<Option<String>, String> {
        let Some(text) = self.members.get(member).and_then(Value::as_str) else { return Ok(None) };
        let url = HttpUrl::parse(text).map_err(|error| format!("{member} {error}"))?;
        if !url.is_protected(self.development) {
            return Err(format!("{member} must be https"));
        }
        // The issuer's own host is configuration's choice.
        let own = HttpUrl::parse(self.issuer).is_ok_and(|issuer| issuer.authority() == url.authority());
        let loopback = self.development && url.authority().is_loopback();
        if url.authority().is_private() && !own && !loopback {
            return Err(format!("{member} is on a private host"));
        }
        Ok(Some(text.to_owned()))
    }

    /// A URL that it must name.
    ///
    /// # Errors
    /// As for [`Metadata::optional_url`], and where it is missing.
    pub fn url(&self, member: &str) -> Result<String, String> {
        self.optional_url(member)?.ok_or_else(|| format!("the metadata has no {member}"))
    }

    /// Whether a member is `true`.
    #[must_use]
    pub fn says(&self, member: &str) -> bool {
        self.members.get(member) == Some(&Value::Bool(true))
    }
}
