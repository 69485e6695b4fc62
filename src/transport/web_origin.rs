//! The `Origin` field (RFC 6454, Fetch): it names the web origin of the page whose script sent a request.

use crate::limits::WEB_ORIGIN_BYTES;
use crate::transport::url::HttpUrl;

/// The web origin of a script: scheme, host and port. Never an opaque origin (`null`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebOrigin(String);

impl WebOrigin {
    /// Reads a serialized origin (RFC 6454 §6.2). Rejects several origins, `null`, a path and a trailing slash. An origin
    /// of another scheme than `http` and `https`, such as that of a browser extension, is kept as text and compared byte
    /// for byte.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(text) = of_other_scheme(text) {
            return Some(Self(text.to_owned()));
        }
        let url = HttpUrl::parse(text).ok()?;
        (url.path().is_empty() && url.query().is_none()).then(|| Self(url.web_origin()))
    }

    /// The origin, as it is written in a field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Schemes whose pages have an opaque origin (HTML §7.1.1), or an origin that they share with pages of others.
const NO_ORIGIN: [&str; 7] = ["about", "blob", "data", "file", "javascript", "null", "vbscript"];

/// An origin such as `chrome-extension://ID` or `app://obsidian.md`: a scheme, and one host of plain characters.
fn of_other_scheme(text: &str) -> Option<&str> {
    let (scheme, host) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b));
    let is_host = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b));
    let other = !matches!(scheme, "http" | "https") && !NO_ORIGIN.contains(&scheme);
    (is_scheme && is_host && other && text.len() <= WEB_ORIGIN_BYTES).then_some(text)
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
