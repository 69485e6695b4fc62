//! The `Origin` field (RFC 6454, Fetch): which web page's script sent a request.

use crate::transport::url::HttpUrl;

/// The web origin of a script: scheme, host and port. Never an opaque origin (`null`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebOrigin(String);

impl WebOrigin {
    /// Reads a serialized origin (RFC 6454 §6.2). Several origins, `null`, a path and a trailing slash are refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = HttpUrl::parse(text).ok()?;
        (url.path().is_empty() && url.query().is_none()).then(|| Self(url.web_origin()))
    }

    /// The origin as it stands in a field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the `Origin` field of a request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// No `Origin` field: no browser sent this.
    NoBrowser,
    /// A page that configuration allows, or the gateway's own.
    Allowed(WebOrigin),
    /// Any other page, an opaque origin, or a malformed field.
    Foreign,
}

/// Judges the `Origin` field (T1) against the origins that may call.
#[must_use]
pub fn judge(field: Option<&str>, allowed: &[WebOrigin]) -> Caller {
    match field {
        None => Caller::NoBrowser,
        Some(text) => match WebOrigin::parse(text) {
            Some(origin) if allowed.contains(&origin) => Caller::Allowed(origin),
            _ => Caller::Foreign,
        },
    }
}
