//! Authorization server metadata (RFC 8414, OpenID Connect Discovery).

use serde_json::{Map, Value};

use crate::strict_json;
use crate::transport::url::HttpUrl;

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
    pub fn read(document: &[u8], issuer: &'a str, development: bool) -> Result<Self, String> {
        let members = match strict_json::parse(document) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return Err("the metadata is not a JSON object".to_owned()),
            Err(error) => return Err(format!("the metadata is {error}")),
        };
        if members.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err("the metadata names another issuer".to_owned());
        }
        Ok(Self { issuer, development, members })
    }

    /// A required URL that browsers open. The gateway does not send requests to it, so it may be on any host.
    ///
    /// # Errors
    /// A description if it is missing or not protected.
    pub fn browser_url(&self, member: &str) -> Result<String, String> {
        Ok(self.protected(member)?.0.to_owned())
    }

    /// A required URL that the gateway sends requests to.
    ///
    /// # Errors
    /// A description if it is missing, or is not a protected URL of a public host (P8; in development, of loopback).
    pub fn url(&self, member: &str) -> Result<String, String> {
        let (text, url) = self.protected(member)?;
        // The operator chose the issuer's own host in the configuration.
        let own = HttpUrl::parse(self.issuer).is_ok_and(|issuer| issuer.authority() == url.authority());
        let loopback = self.development && url.authority().is_loopback();
        if url.authority().is_private() && !own && !loopback {
            return Err(format!("{member} is on a private host"));
        }
        Ok(text.to_owned())
    }

    /// An optional URL: a URL that the gateway may not send requests to counts as absent.
    #[must_use]
    pub fn optional_url(&self, member: &str) -> Option<String> {
        self.url(member).ok()
    }

    fn protected(&self, member: &str) -> Result<(&str, HttpUrl), String> {
        let text = self.members.get(member).and_then(Value::as_str);
        let text = text.ok_or_else(|| format!("the metadata has no {member}"))?;
        let url = HttpUrl::parse(text).map_err(|error| format!("{member} {error}"))?;
        if url.is_protected(self.development) { Ok((text, url)) } else { Err(format!("{member} must be https")) }
    }

    /// Whether a member is `true`.
    #[must_use]
    pub fn says(&self, member: &str) -> bool {
        self.members.get(member) == Some(&Value::Bool(true))
    }
}
