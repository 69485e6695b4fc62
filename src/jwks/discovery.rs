//! Authorization server metadata (RFC 8414, OpenID Connect Discovery): where the keys of an issuer are.

use serde_json::Value;

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

/// A URL that a metadata document names: `jwks_uri`, `introspection_endpoint`.
///
/// # Errors
/// A description where the document is no metadata, its `issuer` is not exactly the one asked for (RFC 8414 §3.3),
/// or the URL is not a protected one of a public host (P8; in development, of loopback).
pub fn endpoint(document: &[u8], member: &str, issuer: &str, development: bool) -> Result<String, String> {
    let metadata = strict_json::parse(document).map_err(|error| format!("the metadata is {error}"))?;
    let text = |member: &str| metadata.get(member).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err("the metadata is of another issuer".to_owned());
    }
    let uri = text(member).ok_or_else(|| format!("the metadata has no {member}"))?;
    let url = HttpUrl::parse(uri).map_err(|error| format!("{member} {error}"))?;
    if !url.is_protected(development) {
        return Err(format!("{member} must be https"));
    }
    // The issuer's own host is configuration's choice.
    let own = HttpUrl::parse(issuer).is_ok_and(|issuer| issuer.authority() == url.authority());
    let loopback = development && url.authority().is_loopback();
    if url.authority().is_private() && !own && !loopback {
        return Err(format!("{member} is on a private host"));
    }
    Ok(uri.to_owned())
}
