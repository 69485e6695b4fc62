//! Absolute `http` and `https` URLs, read strictly: the parser rejects what a lenient parser would repair, so that no
//! two components can disagree about the target of a URL.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// The scheme, as it is written in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A host in lower case, and a port. The scheme's default port is left out, so that equal authorities are equal values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Reads `host[:port]` as in a `Host` field (RFC 9110 §7.2).
    ///
    /// # Errors
    /// [`UrlError`] for anything but an ASCII name, an IPv4 address or a bracketed IPv6 address with an optional port.
    pub fn parse(text: &str, scheme: Scheme) -> Result<Self, UrlError> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, after) = rest.split_once(']').ok_or(UrlError("an unclosed [ in the host"))?;
            address.parse::<Ipv6Addr>().map_err(|_| UrlError("not an IPv6 address"))?;
            let port = match after {
                "" => None,
                _ => Some(after.strip_prefix(':').ok_or(UrlError("text after ] that is not a port"))?),
            };
            (format!("[{}]", address.to_ascii_lowercase()), port)
        } else {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            (name_or_ipv4(host)?, port)
        };
        let port = match port {
            None => None,
            Some(digits) if digits.is_empty() || digits.len() > 5 || !digits.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(UrlError("not a port number"));
            }
            Some(digits) => {
                let port: u16 = digits.parse().map_err(|_| UrlError("not a port number"))?;
                (port != scheme.default_port()).then_some(port)
            }
        };
        Ok(Self { host, port })
    }

    /// The host without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the host is always this machine: `localhost`, 127.0.0.0/8 or `::1`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// Whether the host exists only in a private network, or is a special-purpose address (RFC 6890). If the document
    /// of another party names such a host, that party could make the gateway send requests into a private network (P8).
    #[must_use]
    pub fn is_private(&self) -> bool {
        let name = self.host.trim_end_matches('.');
        match self.ip() {
            Some(IpAddr::V4(v4)) => is_special_v4(v4),
            Some(IpAddr::V6(v6)) => is_special_v6(v6),
            None => !name.contains('.') || PRIVATE_ZONES.iter().any(|end| name.ends_with(end)),
        }
    }

    fn ip(&self) -> Option<IpAddr> {
        match self.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(v6) => v6.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => self.host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    }
}

/// Zones of private names: those of RFC 6761, 6762 and 8375, ICANN's `.internal`, and zones that networks commonly use
/// and that are not in the public DNS.
const PRIVATE_ZONES: [&str; 10] =
    [".localhost", ".localdomain", ".local", ".internal", ".intranet", ".lan", ".home", ".home.arpa", ".corp", ".svc"];

fn is_special_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        // The last range was for 6to4 relays (RFC 7526).
        || matches!((a, b, c), (0 | 240..=255, ..) | (100, 64..=127, _) | (198, 18 | 19, _) | (192, 0, _) | (192, 88, 99))
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4() {
        return is_special_v4(v4);
    }
    let [first, second, third, .., high, low] = address.segments();
    match first {
        // NAT64 and 6to4 addresses contain an IPv4 address.
        0x64 if second == 0xff9b => third != 0 || is_special_v4(v4_of(high, low)),
        0x2002 => is_special_v4(v4_of(second, third)),
        // Only global unicast is public, without Teredo and documentation addresses.
        0x2001 => matches!(second, 0 | 0xdb8),
        0x3fff => second < 0x1000,
        first => first & 0xe000 != 0x2000,
    }
}

fn v4_of(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn name_or_ipv4(host: &str) -> Result<String, UrlError> {
    let host = host.to_ascii_lowercase();
    let labels_fit = host.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    });
    if host.len() > 253 || !labels_fit {
        return Err(UrlError("not a host name in ASCII"));
    }
    // Every resolver reads a name whose last label is a number as an address, in one of many spellings (0x7f.1,
    // 2130706433, 010.0.0.1).
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(UrlError("not an IPv4 address in its usual form"));
    }
    Ok(host)
}

/// An absolute URL without user information and without fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpUrl {
    scheme: Scheme,
    authority: Authority,
    /// Begins with `/`; empty if the URL has no path.
    path: String,
    query: Option<String>,
}

impl HttpUrl {
    /// Reads an absolute URL.
    ///
    /// # Errors
    /// [`UrlError`] if the scheme is not `http` or `https`, the host is malformed, or the URL has user information, a
    /// fragment, white space, a backslash or characters outside printable ASCII.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if !text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>')) {
            return Err(UrlError("has characters that a URL must not have"));
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError("not an absolute URL"))?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            _ => return Err(UrlError("must be https (or http)")),
        };
        if rest.contains('#') {
            return Err(UrlError("must not have a fragment"));
        }
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (rest, None),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err(UrlError("must not have user information"));
        }
        Ok(Self { scheme, authority: Authority::parse(authority, scheme)?, path: path.to_owned(), query })
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The path as written; empty if there is none.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query as written, without `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Scheme and authority, as in an `Origin` field (RFC 6454 §6.2).
    #[must_use]
    pub fn web_origin(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority)
    }

    /// Whether a credential may be sent to this URL: it is `https`, or loopback if `development` is set.
    #[must_use]
    pub fn is_protected(&self, development: bool) -> bool {
        self.scheme == Scheme::Https || (development && self.authority.is_loopback())
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.web_origin(), self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

/// What is wrong with a URL, as a text that follows "the URL".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlError(&'static str);

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for UrlError {}
