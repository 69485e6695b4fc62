//! What a rule requires of the sign-in of the caller's user: how recent it was, and how the user proved who they are
//! (RFC 9470).

use serde_json::{Map, Value};

use crate::limits::LEEWAY;
use crate::token::claim_values::{seconds, texts};
use crate::token::principal::SelectedClaims;

/// What a rule requires of a sign-in. Everything that is given must hold, and a claim that is missing fails it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignIn {
    /// The most seconds since the user signed in (`auth_time`).
    pub max_age: Option<u64>,
    /// `acr` is one of these, the preferred one first.
    pub acr: Vec<String>,
    /// `amr` contains one of these.
    pub amr: Vec<String>,
}

/// The claim with the second of the sign-in (OpenID Connect Core §2).
pub const AUTH_TIME: &str = "auth_time";
/// The claim with the authentication context class of the sign-in (OpenID Connect Core §2).
pub const ACR: &str = "acr";
/// The claim with the methods of the sign-in (OpenID Connect Core §2, RFC 8176).
pub const AMR: &str = "amr";

/// The second at which the user signed in, in Unix time.
#[must_use]
pub fn auth_time(claims: &Map<String, Value>) -> Option<u64> {
    seconds(claims, AUTH_TIME).ok().flatten().and_then(|at| u64::try_from(at).ok())
}

impl SignIn {
    /// Whether it requires nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { max_age, acr, amr } = self;
        max_age.is_none() && acr.is_empty() && amr.is_empty()
    }

    /// The claims that it reads.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        let Self { max_age, acr, amr } = self;
        let read = [(AUTH_TIME, max_age.is_some()), (ACR, !acr.is_empty()), (AMR, !amr.is_empty())];
        read.into_iter().filter(|(_, is_read)| *is_read).map(|(name, _)| name)
    }

    /// The keys of what a sign-in does not have, at a second.
    #[must_use]
    pub fn lacks(&self, rights: &SelectedClaims, now: u64) -> Vec<&'static str> {
        let Self { max_age, acr, amr } = self;
        let claim = |name: &str| rights.claims.get(name);
        // A sign-in in the future would stay recent for too long.
        let signed_in = auth_time(&rights.claims).filter(|at| *at <= now + LEEWAY);
        let is_recent = max_age.is_none_or(|most| signed_in.is_some_and(|at| now.saturating_sub(at) <= most));
        let class = claim(ACR).and_then(Value::as_str);
        let has_class = acr.is_empty() || class.is_some_and(|class| acr.iter().any(|it| it == class));
        let methods = claim(AMR).and_then(texts).unwrap_or_default();
        let has_method = amr.is_empty() || methods.iter().any(|method| amr.contains(method));
        let lacking = [("max_age", is_recent), ("acr", has_class), ("amr", has_method)];
        lacking.into_iter().filter(|(_, holds)| !holds).map(|(key, _)| key).collect()
    }

    /// What fulfils both. A class of authentication that only one of them accepts does not; where they have none in common, the
    /// classes of this one are left, and the other is asked for next.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.max_age = match (self.max_age, other.max_age) {
            (Some(one), Some(another)) => Some(one.min(another)),
            (one, another) => one.or(another),
        };
        for (own, others) in [(&mut self.acr, &other.acr), (&mut self.amr, &other.amr)] {
            if own.is_empty() {
                own.clone_from(others);
            } else if own.iter().any(|value| others.contains(value)) {
                own.retain(|value| others.contains(value));
            }
        }
        self
    }
}
