//! The first stage: what can be said of a request before it is known whom or what it is for.

use crate::limits::{FIELDS_BYTES, FIELDS_COUNT, URL_BYTES};
use crate::mcp::era::Era;
use crate::pipeline::rejection::Rejection;
use crate::settings::Settings;
use crate::transport::head::Head;
use crate::transport::path::CanonicalPath;
use crate::transport::url::{Authority, HttpUrl, Scheme};
use crate::transport::web_origin::{self, Caller};

/// A request for this gateway, over a transport that protects it, of bounded size, with one meaning.
#[derive(Debug)]
pub struct Admitted {
    head: Head,
    authority: Authority,
    path: CanonicalPath,
    sent_path: String,
    query: Option<String>,
    caller: Caller,
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

    /// The URLs, without query, by which the caller may know what it asks for (RFC 9449 §4.3 `htu`): under the public
    /// host or the one that it named, with the path as it was sent or in canonical form.
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

    /// Which web page sent it, if one did. Judged, not yet enforced: public documents may be read by any page.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The era that the request announces.
    #[must_use]
    pub fn era(&self) -> Era {
        self.era
    }
}

/// Admits a request, or not:
///
/// 1. the URL is at most [`URL_BYTES`] long, else 414;
/// 2. the fields are at most [`FIELDS_COUNT`] and [`FIELDS_BYTES`], else 431, before any is read (T19);
/// 3. the URL's host and the `Host` field are ours (DNS rebinding), else 403;
/// 4. the scheme is `https`, or the host is loopback and configuration says development, else 403;
/// 5. the path has a canonical form, else 404.
///
/// Not checked here: the `Origin` field's verdict is taken and enforced once it is known what is asked for.
///
/// # Errors
/// The [`Rejection`] of the first check that fails.
pub fn admit(head: Head, settings: &Settings) -> Result<Admitted, Rejection> {
    // The scheme and host that precede the request target are not the caller's to lengthen.
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
    let caller = web_origin::judge(head.fields.get("origin"), &settings.web_origins);
    let era = Era::announced(head.fields.get("mcp-protocol-version"));
    Ok(Admitted { head, authority, path, sent_path, query, caller, era })
}

/// Splits the URL of a request. The path is returned as it was sent: [`HttpUrl`] judges only what precedes it.
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
