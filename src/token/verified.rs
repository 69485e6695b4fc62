//! A verified credential, and the checks that each request repeats.

use std::rc::Rc;

use chrono::{DateTime, TimeDelta, Utc};
use jwt_compact::Claims;
use serde_json::Value;

use crate::time::UnixMillis;
use crate::token::error::TokenError;
use crate::token::principal::Subject;

/// A verified credential. The gateway may cache it, because it does not depend on the time or the resource of one
/// request; [`Self::check`] checks both.
#[derive(Debug, Clone)]
pub struct VerifiedToken {
    /// The subject of the credential.
    pub subject: Rc<Subject>,
    /// `aud`; `None` if no audience has to be checked, as for API keys.
    pub audiences: Option<Vec<String>>,
    /// `exp`, `nbf` and `iat`, if present.
    pub times: Claims<()>,
    /// Clock leeway in seconds.
    pub leeway: u64,
    /// `jti`.
    pub id: Option<String>,
    /// What the token is bound to (RFC 7800).
    pub confirmation: Confirmation,
    /// The key that signed the token, if it is a JWT.
    pub signed_with: Option<SignedWith>,
    /// The buckets of the revocation index that concern it.
    pub revocation_buckets: Vec<u16>,
    /// Until when the gateway may use this result without asking the verifier again.
    pub usable_until: UnixMillis,
}

/// The key that signed a token. The cached result is valid only while the issuer publishes this key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedWith {
    /// The place of the issuer in the configuration (`Issuer::index`).
    pub issuer: usize,
    /// The key's id.
    pub id: Option<Rc<str>>,
    /// Its thumbprint.
    pub thumbprint: Rc<str>,
}

/// What a token is bound to (`cnf`, RFC 7800 §3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Confirmation {
    /// Nothing: any party that has the token may use it.
    #[default]
    None,
    /// A key, a certificate, or both.
    Bound {
        /// `jkt`: the thumbprint of a key (RFC 9449 §6.1).
        jkt: Option<String>,
        /// `x5t#S256`: the thumbprint of a certificate (RFC 8705 §3.1).
        x5t: Option<String>,
    },
    /// Something that the gateway cannot check.
    Unknown,
}

impl Confirmation {
    /// Reads `cnf`.
    #[must_use]
    pub fn read(cnf: Option<&Value>) -> Self {
        let Some(cnf) = cnf else { return Self::None };
        let Some(members) = cnf.as_object() else { return Self::Unknown };
        // Each member is a binding, and the gateway cannot check a binding that it does not know.
        if members.is_empty() || members.keys().any(|name| name != "jkt" && name != "x5t#S256") {
            return Self::Unknown;
        }
        let text = |name: &str| members.get(name).map(|value| value.as_str().map(str::to_owned));
        match (text("jkt"), text("x5t#S256")) {
            (Some(None), _) | (_, Some(None)) => Self::Unknown,
            (jkt, x5t) => Self::Bound { jkt: jkt.flatten(), x5t: x5t.flatten() },
        }
    }
}

impl VerifiedToken {
    /// A credential of `subject` that is bound to nothing and does not expire: the minimum that a verifier can state.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self {
            subject: Rc::new(subject),
            audiences: None,
            times: Claims::new(()),
            leeway: 0,
            id: None,
            confirmation: Confirmation::None,
            signed_with: None,
            revocation_buckets: Vec::new(),
            usable_until: UnixMillis(u64::MAX),
        }
    }

    /// Checks the credential for this time and this resource:
    ///
    /// 1. It is valid [at this time](Self::check_times).
    /// 2. `aud` has one of `audiences` (R2).
    ///
    /// # Errors
    /// The [`TokenError`] of the first check that fails.
    pub fn check(&self, audiences: &[String], now: UnixMillis) -> Result<(), TokenError> {
        self.check_times(now)?;
        match &self.audiences {
            Some(named) if !named.iter().any(|audience| audiences.contains(audience)) => Err(TokenError::Audience),
            _ => Ok(()),
        }
    }

    /// Checks the times: `exp` has not passed, and `nbf` and `iat` are not in the future, each within the leeway.
    ///
    /// # Errors
    /// The [`TokenError`] of the first check that fails.
    pub fn check_times(&self, now: UnixMillis) -> Result<(), TokenError> {
        let moment = i64::try_from(now.seconds())
            .ok()
            .and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0))
            .ok_or(TokenError::ClaimMalformed("exp"))?;
        let leeway = TimeDelta::seconds(i64::try_from(self.leeway).unwrap_or(0));
        // At `exp` itself the token has expired (RFC 7519 §4.1.4).
        if self.times.expiration.is_some_and(|end| moment >= end + leeway) {
            return Err(TokenError::Expired);
        }
        if self.times.not_before.is_some_and(|beginning| moment + leeway < beginning) {
            return Err(TokenError::NotYetValid);
        }
        if self.times.issued_at.is_some_and(|issued| issued > moment + leeway) {
            return Err(TokenError::IssuedInFuture);
        }
        Ok(())
    }

    /// Whether the revocation index has to be read about it.
    #[must_use]
    pub fn is_in_index(&self) -> bool {
        !self.revocation_buckets.is_empty()
    }

    /// `iat` in seconds.
    #[must_use]
    pub fn issued_at(&self) -> Option<i64> {
        self.times.issued_at.map(|issued| issued.timestamp())
    }

    /// Approximately how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let subject = &self.subject;
        let texts = [Some(&subject.issuer), Some(&subject.subject), subject.client.as_ref(), subject.label.as_ref()];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let scopes: usize = subject.scopes.iter().map(|scope| scope.as_str().len() + 48).sum();
        let audiences: usize = self.audiences.iter().flatten().map(|audience| audience.len() + 24).sum();
        let confirmation = match &self.confirmation {
            Confirmation::Bound { jkt, x5t } => {
                jkt.as_ref().map_or(0, String::len) + x5t.as_ref().map_or(0, String::len)
            }
            _ => 0,
        };
        size_of::<Self>()
            + size_of::<Subject>()
            + texts
            + scopes
            + audiences
            + confirmation
            + subject.rights.bytes()
            + size_of_val(self.revocation_buckets.as_slice())
            + self.id.as_ref().map_or(0, String::len)
            + self
                .signed_with
                .as_ref()
                .map_or(0, |key| key.thumbprint.len() + key.id.as_ref().map_or(0, |id| id.len()) + 32)
    }
}
