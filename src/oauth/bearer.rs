//! The `Authorization` field (RFC 9110 §11.6.2) and the access token in it, under `Bearer` (RFC 6750 §2.1) or `DPoP`
//! (RFC 9449 §7.1).

use std::fmt;

/// An access token or API key as the caller sent it. `Debug` shows only its length.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(String);

impl BearerToken {
    /// Reads a token of the characters that RFC 6750 §2.1 allows (`b64token`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.trim_end_matches('=');
        let fits = !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
        fits.then(|| Self(text.to_owned()))
    }

    /// The token itself. Use it only for verification.
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

/// An authorization scheme for access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthScheme {
    /// RFC 6750: possession of the token is enough.
    Bearer,
    /// RFC 9449: the request also has a proof that the caller possesses a key.
    Dpop,
}

impl AuthScheme {
    /// The scheme, as it is written in fields.
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

/// The content of the `Authorization` field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// No credentials of a supported scheme: RFC 6750 §3.1 requires a challenge without an error code.
    None(MissingCredentials),
    /// An access token.
    Token(AuthScheme, BearerToken),
    /// A credential that cannot be read, or a repeated field: `invalid_request`.
    Malformed,
}

/// Why there are no credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingCredentials {
    /// The request has no field for them.
    Field,
    /// The `Authorization` field is a single word that is not a scheme: often a token without a scheme.
    Scheme,
    /// The resource does not accept its scheme.
    UnsupportedScheme,
}

/// Reads the field. The scheme is case-insensitive (R20). A repeated field arrives joined by commas, which neither a
/// scheme nor a `b64token` contains.
#[must_use]
pub fn parse_authorization(field: Option<&str>) -> Credentials {
    let Some(field) = field else { return Credentials::None(MissingCredentials::Field) };
    let scheme_of =
        |credentials: &str| AuthScheme::parse(credentials.trim_start().split(' ').next().unwrap_or_default());
    let mut joined = field.split(',');
    // Other schemes have commas between their parameters; an access token after a comma is a second `Authorization`
    // field.
    let Some(scheme) = joined.next().and_then(scheme_of) else {
        let missing =
            if field.trim().contains(' ') { MissingCredentials::UnsupportedScheme } else { MissingCredentials::Scheme };
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

/// Whether a query contains an access token (RFC 6750 §2.3). MCP forbids it (R12), because every log on the way would
/// contain the token. Names are decoded before they are compared.
#[must_use]
pub fn in_query(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decoded(name).eq_ignore_ascii_case("access_token")
    })
}

/// Keeps invalid escapes as they are.
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
