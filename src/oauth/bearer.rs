//! The `Authorization` field (RFC 9110 §11.6.2) and the access token in it, under `Bearer` (RFC 6750 §2.1) or `DPoP`
//! (RFC 9449 §7.1).

use std::fmt;

/// An access token or API key as the caller sent it. Never shown: its `Debug` says only how long it is.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(String);

impl BearerToken {
    /// A token of characters that RFC 6750 §2.1 allows (`b64token`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.trim_end_matches('=');
        let fits = !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
        fits.then(|| Self(text.to_owned()))
    }

    /// The token itself, for verification and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BearerToken({} bytes)", self.0.len())
    }
}

/// A scheme under which access tokens are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthScheme {
    /// RFC 6750: whoever has the token may use it.
    Bearer,
    /// RFC 9449: with a proof that the caller holds a key.
    Dpop,
}

impl AuthScheme {
    /// The scheme as it stands in fields.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Bearer, Self::Dpop].into_iter().find(|scheme| scheme.as_str().eq_ignore_ascii_case(text))
    }
}

/// What the `Authorization` field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// None that is taken: RFC 6750 §3.1 wants a challenge without an error code.
    None(Missing),
    /// An access token.
    Token(AuthScheme, BearerToken),
    /// A credential that cannot be read, or the field repeated: `invalid_request`.
    Malformed,
}

/// Why there are no credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// There is no field for them.
    Field,
    /// The `Authorization` field has one word, which is no scheme: often a token alone.
    Scheme,
    /// Its scheme is not taken here.
    KnownScheme,
}

/// Reads the field. The scheme's case does not matter (R20); a repeated field arrives joined by commas, which
/// neither a scheme nor a `b64token` has.
#[must_use]
pub fn parse_authorization(field: Option<&str>) -> Credentials {
    let Some(field) = field else { return Credentials::None(Missing::Field) };
    let scheme_of =
        |credentials: &str| AuthScheme::parse(credentials.trim_start().split(' ').next().unwrap_or_default());
    let mut joined = field.split(',');
    // Other schemes have commas between their parameters; an access token behind one is a second `Authorization`.
    let Some(scheme) = joined.next().and_then(scheme_of) else {
        let missing = if field.trim().contains(' ') { Missing::KnownScheme } else { Missing::Scheme };
        let second = joined.any(|part| scheme_of(part).is_some());
        return if second { Credentials::Malformed } else { Credentials::None(missing) };
    };
    if field.contains(',') {
        return Credentials::Malformed;
    }
    let rest = field.split_once(' ').map_or("", |(_, rest)| rest);
    BearerToken::parse(rest.trim_start_matches(' '))
        .map_or(Credentials::Malformed, |token| Credentials::Token(scheme, token))
}

/// Whether a query carries an access token (RFC 6750 §2.3), which MCP forbids (R12): the token would be in every log
/// on the way. Names are compared as a form decoder reads them.
#[must_use]
pub fn in_query(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decoded(name).eq_ignore_ascii_case("access_token")
    })
}

/// Invalid escapes stay as they are.
fn percent_decoded(text: &str) -> String {
    let mut decoded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        decoded.push_str(before);
        let digits = escape.get(1..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.map_or('%', char::from));
        rest = escape.get(if byte.is_some() { 3 } else { 1 }..).unwrap_or_default();
    }
    decoded.push_str(rest);
    decoded
}
