//! The `Origin` field (RFC 6454, Fetch): it names the web origin of the page whose script sent a request.

use crate::transport::url::HttpUrl;

/// The web origin of a script: scheme, host and port. Never an opaque origin (`null`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebOrigin(String);

impl WebOrigin {
    /// Reads a serialized origin (RFC 6454 §6.2). Rejects several origins, `null`, a path and a trailing slash.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = HttpUrl::parse(text).ok()?;
        (url.path().is_empty() && url.query().is_none()).then(|| Self(url.web_origin()))
    }

    /// The origin, as it is written in a field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the `Origin` field of a request states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebOriginCheck {
    /// No `Origin` field: the request does not come from a browser's script.
    NoBrowser,
    /// A page that the configuration allows, or a page of the gateway itself.
    Allowed(WebOrigin),
    /// Any other page, an opaque origin, or a malformed field.
    Foreign,
}

/// Compares the `Origin` field (T1) with the allowed web origins.
#[must_use]
pub fn check(field: Option<&str>, allowed: &[WebOrigin]) -> WebOriginCheck {
    match field {
        None => WebOriginCheck::NoBrowser,
        Some(text) => match WebOrigin::parse(text) {
            Some(origin) if allowed.contains(&origin) => WebOriginCheck::Allowed(origin),
            _ => WebOriginCheck::Foreign,
        },
    }
}
