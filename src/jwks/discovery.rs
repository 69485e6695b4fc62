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

/// The `jwks_uri` of a metadata document.
///
/// # Errors
/// A description where the document is no metadata, its `issuer` is not exactly the one asked for (RFC 8414 §3.3),
/// or its keys are not at a protected URL.
pub fn jwks_uri(document: &[u8], issuer: &str, development: bool) -> Result<String, String> {
    let metadata = strict_json::parse(document).map_err(|error| format!("the metadata is {error}"))?;
    let text = |member: &str| metadata.get(member).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err("the metadata is of another issuer".to_owned());
    }
    let uri = text("jwks_uri").ok_or_else(|| "the metadata has no jwks_uri".to_owned())?;
    let url = HttpUrl::parse(uri).map_err(|error| format!("jwks_uri {error}"))?;
    if url.is_protected(development) { Ok(uri.to_owned()) } else { Err("jwks_uri must be https".to_owned()) }
}
