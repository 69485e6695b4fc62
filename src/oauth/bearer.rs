//! The `Authorization` field (RFC 9110 §11.6.2) and the bearer token in it (RFC 6750 §2.1).

use std::fmt;

/// A bearer token as the caller sent it. Never shown: its `Debug` says only how long it is.
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

/// What the `Authorization` field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// No field, or a scheme that no verifier here takes: RFC 6750 §3.1 wants a challenge without an error code.
    None,
    /// A bearer token.
    Bearer(BearerToken),
    /// A bearer credential that cannot be read, or the field repeated: `invalid_request`.
    Malformed,
}

/// Reads the field. The scheme's case does not matter (R20); a repeated field arrives joined by commas, which
/// neither a scheme nor a `b64token` has.
#[must_use]
pub fn parse_authorization(field: Option<&str>) -> Credentials {
    let Some(field) = field else { return Credentials::None };
    let scheme_of =
        |credentials: &str| credentials.trim_start().split(' ').next().unwrap_or_default().to_ascii_lowercase();
    let mut joined = field.split(',');
    let first = joined.next().unwrap_or_default();
    // Other schemes have commas between their parameters; a bearer token behind one is a second `Authorization`.
    if scheme_of(first) != "bearer" {
        return if joined.any(|part| scheme_of(part) == "bearer") { Credentials::Malformed } else { Credentials::None };
    }
    if field.contains(',') {
        return Credentials::Malformed;
    }
    let rest = field.split_once(' ').map_or("", |(_, rest)| rest);
    BearerToken::parse(rest.trim_start_matches(' ')).map_or(Credentials::Malformed, Credentials::Bearer)
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
