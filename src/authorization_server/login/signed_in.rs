//! How and when a user signed in at the provider, as far as the provider says so: what access tokens prove of it, and what a
//! client asked for (RFC 9470 §4 and §5).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::authorization_server::state::is_default;
use crate::limits::{ACR_BYTES, LEEWAY};
use crate::policy::sign_in::{ACR, AMR, AUTH_TIME, auth_time};
use crate::token::claim_values::texts;

/// The most characters of a value of `acr` or `amr`, and the most values of `amr`: tokens carry no longer ones.
const VALUE_CHARS: usize = 255;
const METHODS: usize = 16;

/// What the provider says of a sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignedIn {
    /// The second at which the user signed in (`auth_time`).
    auth_time: Option<u64>,
    /// The authentication context class (`acr`).
    acr: Option<String>,
    /// The methods (`amr`).
    amr: Vec<String>,
}

impl SignedIn {
    /// What the claims of an ID token or of an assertion say at this second. A sign-in in the future is none.
    #[must_use]
    pub fn of(claims: &Map<String, Value>, now: u64) -> Self {
        let fits = |text: &String| text.chars().count() <= VALUE_CHARS;
        let amr = claims.get(AMR).filter(|value| value.is_array()).and_then(texts).unwrap_or_default();
        Self {
            auth_time: auth_time(claims).filter(|at| *at <= now + LEEWAY).map(|at| at.min(now)),
            acr: claims.get(ACR).and_then(Value::as_str).map(str::to_owned).filter(fits),
            amr: if amr.len() <= METHODS && amr.iter().all(fits) { amr } else { Vec::new() },
        }
    }

    /// The time of it alone: what classes and methods mean is the provider's.
    #[must_use]
    pub fn time_alone(self) -> Self {
        Self { auth_time: self.auth_time, ..Self::default() }
    }

    /// The claims of access tokens (RFC 9068 §2.2.1): those of the user, and those of the sign-in.
    #[must_use]
    pub fn with(&self, mut claims: Map<String, Value>) -> Map<String, Value> {
        let auth_time = self.auth_time.map(|at| (AUTH_TIME, json!(at)));
        let acr = self.acr.as_ref().map(|acr| (ACR, json!(acr)));
        let amr = (!self.amr.is_empty()).then(|| (AMR, json!(self.amr)));
        claims.extend(auth_time.into_iter().chain(acr).chain(amr).map(|(name, value)| (name.to_owned(), value)));
        claims
    }

    /// What a request asked for that the sign-in does not have. `since`: the second at which the gateway sent the user to the
    /// provider.
    #[must_use]
    pub fn lacks(&self, asked: &AskedSignIn, since: u64) -> Option<&'static str> {
        let is_recent = asked.max_age.is_none_or(|most| {
            self.auth_time.is_some_and(|at| at.saturating_add(most).saturating_add(LEEWAY) >= since)
        });
        let accepted = &asked.acr_values;
        let has_class =
            accepted.is_empty() || self.acr.as_ref().is_some_and(|acr| accepted.split(' ').any(|value| value == acr));
        match (is_recent, has_class) {
            (false, _) => Some("the provider did not prove a sign-in within max_age (auth_time)"),
            (_, false) => Some("the provider did not prove one of acr_values (acr)"),
            (true, true) => None,
        }
    }
}

/// The claims that the provider confirms later, and those of the sign-in: what the provider says later is not about that sign-in.
#[must_use]
pub fn with_sign_in_of(known: &Map<String, Value>, mut claims: Map<String, Value>) -> Map<String, Value> {
    let kept = [AUTH_TIME, ACR, AMR].into_iter().filter_map(|name| known.get_key_value(name));
    claims.extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    claims
}

/// What a client asks of a sign-in (OpenID Connect Core §3.1.2.1, RFC 9470 §4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AskedSignIn {
    /// `max_age`: the most seconds since the user signed in.
    #[serde(skip_serializing_if = "is_default")]
    pub max_age: Option<u64>,
    /// `acr_values`: the accepted classes, separated by spaces, the preferred one first. Empty: any.
    #[serde(skip_serializing_if = "is_default")]
    pub acr_values: String,
}

impl AskedSignIn {
    /// Reads `max_age`; `None` if it is not a number of seconds.
    #[must_use]
    pub fn read_age(text: &str) -> Option<u64> {
        let is_number = (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| is_number)
    }

    /// Whether a text can be `acr_values`: values of visible ASCII characters without `"` and `\`, separated by spaces.
    #[must_use]
    pub fn is_acr_values(text: &str) -> bool {
        let is_visible = |b: u8| (b' '..=b'~').contains(&b) && !matches!(b, b'"' | b'\\');
        (1..=ACR_BYTES).contains(&text.len()) && text.bytes().all(is_visible)
    }
}
