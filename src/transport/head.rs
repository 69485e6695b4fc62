//! The head of a message: method, URL and fields, in the form of the Fetch API.

use std::borrow::Cow;

use crate::transport::certificate::ClientCertificate;
use crate::transport::connection::ConnectionFacts;

/// The methods that the gateway distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// Any other method: no endpoint accepts it.
    Other,
}

impl Method {
    /// Reads a method, which is case-sensitive (RFC 9110 §9.1).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }

    /// The method as it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Other => "OTHER",
        }
    }
}

/// The fields of a message, in order. Names are in lower case, and a repeated field is one entry whose values are
/// joined with `", "`, as the Fetch API does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(Cow<'static, str>, String)>);

impl Fields {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a field; `name` in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Sets a field and replaces its old value; `name` in lower case.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(field, _)| *field == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Removes a field; `name` in lower case.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(field, _)| field != name);
    }

    /// The fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// The total size of all names and values, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// The number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<String>> FromIterator<(N, V)> for Fields {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(entries: T) -> Self {
        Self(entries.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// The value of `Content-Length`; `None` if it is not a number (RFC 9110 §8.6).
#[must_use]
pub fn content_length(value: &str) -> Option<u64> {
    let is_number = value.bytes().all(|b| b.is_ascii_digit());
    value.parse().ok().filter(|_| is_number)
}

/// Whether a field's value is visible ASCII, spaces and tabs: characters that all parsers interpret in the same way
/// (RFC 9110 §5.5).
#[must_use]
pub fn is_plain(value: &str) -> bool {
    value.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'))
}

/// The head of a request, before anything in it has been checked.
#[derive(Debug, Clone)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// The absolute URL as the platform gives it.
    pub url: String,
    /// The fields.
    pub fields: Fields,
    /// The client certificate of the connection, if the configuration needs it.
    pub certificate: Option<Box<ClientCertificate>>,
    /// The country of the caller as the platform reports it, if a rule tests it.
    pub country: Option<String>,
    /// The number of the autonomous system of the caller, if a rule tests it.
    pub asn: Option<u64>,
}

impl Head {
    /// What the platform reports about the connection.
    #[must_use]
    pub fn facts(&self) -> ConnectionFacts {
        ConnectionFacts {
            country: self.country.clone(),
            asn: self.asn,
            certificate: self.certificate.as_ref().is_some_and(|certificate| certificate.is_verified),
        }
    }

    /// The network that the client is in, as the platform says: of an IPv6 address only the first half, because the client
    /// chooses the rest.
    #[must_use]
    pub fn network(&self) -> String {
        let address = self.fields.get("cf-connecting-ip").unwrap_or_default();
        match address.parse::<std::net::Ipv6Addr>() {
            Ok(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
            Err(_) => address.to_owned(),
        }
    }
}
