//! The first stage: checks that need neither the caller nor the target of a request.

use crate::limits::{FIELDS_BYTES, FIELDS_COUNT, URL_BYTES};
use crate::mcp::era::Era;
use crate::pipeline::rejection::Rejection;
use crate::settings::Settings;
use crate::transport::head::Head;
use crate::transport::path::CanonicalPath;
use crate::transport::url::{Authority, HttpUrl, Scheme};
use crate::transport::web_origin::{self, WebOriginCheck};

/// A request for this gateway, over a protected transport, of bounded size, whose path has one meaning.
#[derive(Debug)]
pub struct Admitted {
    head: Head,
    authority: Authority,
    path: CanonicalPath,
    sent_path: String,
    query: Option<String>,
    caller: WebOriginCheck,
    era: Era,
}

impl Admitted {
    /// Method and fields.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The path in canonical form.
    #[must_use]
    pub fn path(&self) -> &CanonicalPath {
        &self.path
    }

    /// The URLs, without query, by which the caller may address this request (RFC 9449 §4.3 `htu`): under the public
    /// host or the host that the caller named, with the path as it was sent or in canonical form.
    #[must_use]
    pub fn urls(&self, settings: &Settings) -> Vec<HttpUrl> {
        let scheme = settings.public_url.scheme();
        let hosts = [settings.public_url.authority(), &self.authority];
        let paths = [self.sent_path.as_str(), self.path.as_str()];
        let urls = hosts.iter().flat_map(|host| paths.map(|path| format!("{}://{host}{path}", scheme.as_str())));
        urls.filter_map(|url| HttpUrl::parse(&url).ok()).collect()
    }

    /// The query as it was sent.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Which web page sent the request, if one did. It is determined here but enforced later, because any page may read
    /// public documents.
    #[must_use]
    pub fn caller(&self) -> &WebOriginCheck {
        &self.caller
    }

    /// The era that the request announces.
    #[must_use]
    pub fn era(&self) -> Era {
        self.era
    }
}

/// Admits a request, or rejects it:
///
/// 1. the URL is at most [`URL_BYTES`] long, else 414;
/// 2. there are at most [`FIELDS_COUNT`] fields with [`FIELDS_BYTES`] in total, else 431, before any of them is read
///    (T19);
/// 3. the host of the URL and the `Host` field name this gateway (DNS rebinding), else 403;
/// 4. the scheme is `https`, or the host is loopback and the configuration enables development, else 403;
/// 5. the path has a canonical form, else 404.
///
/// Not checked here: whether the page in `Origin` is allowed. This function only determines it;
/// [`route`](crate::pipeline::route::route) enforces it when the target of the request is known.
///
/// # Errors
/// The [`Rejection`] of the first check that fails.
pub fn admit(head: Head, settings: &Settings) -> Result<Admitted, Rejection> {
    // The scheme and host before the request target do not count toward the limit: the caller cannot make them longer.
    if head.url.len() > URL_BYTES + settings.public_url.web_origin().len() {
        return Err(Rejection::UrlTooLong);
    }
    if head.fields.len() > FIELDS_COUNT || head.fields.bytes() > FIELDS_BYTES {
        return Err(Rejection::FieldsTooLarge);
    }
    let (scheme, authority, path, query) = split(&head.url).ok_or(Rejection::ForeignHost)?;
    let named = head.fields.get("host").map(|host| Authority::parse(host, scheme));
    let ours = |authority: &Authority| settings.hosts.contains(authority);
    if !ours(&authority) || !named.is_none_or(|host| host.is_ok_and(|host| ours(&host))) {
        return Err(Rejection::ForeignHost);
    }
    let protected = scheme == Scheme::Https || (settings.development && authority.is_loopback());
    if !protected {
        return Err(Rejection::HttpsRequired);
    }
    let sent_path = path.to_owned();
    let path = CanonicalPath::parse(path).map_err(Rejection::AmbiguousPath)?;
    let query = query.map(str::to_owned);
    let caller = web_origin::check(head.fields.get("origin"), &settings.web_origins);
    let era = Era::announced(head.fields.get("mcp-protocol-version"));
    Ok(Admitted { head, authority, path, sent_path, query, caller, era })
}

/// Splits the URL of a request. It returns the path as it was sent: [`HttpUrl`] checks only what precedes the path.
fn split(url: &str) -> Option<(Scheme, Authority, &str, Option<&str>)> {
    let after_scheme = url.find("://")? + 3;
    let path_at = url.get(after_scheme..)?.find(['/', '?', '#']).map_or(url.len(), |at| after_scheme + at);
    let root = HttpUrl::parse(url.get(..path_at)?).ok()?;
    let rest = url.get(path_at..)?;
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let path = if path.is_empty() { "/" } else { path };
    Some((root.scheme(), root.authority().clone(), path, query))
}
