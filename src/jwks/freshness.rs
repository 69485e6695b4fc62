//! How long keys may be used. This is a pure state machine: it decides what to do, and does no I/O.

use std::collections::VecDeque;

use crate::jwks::key_set::KeySet;
use crate::limits::{
    JWKS_COOLDOWN, JWKS_FIRST_PARALLEL, JWKS_FRESH_CEILING, JWKS_FRESH_DEFAULT, JWKS_FRESH_FLOOR, JWKS_PARALLEL,
    JWKS_RETRY, JWKS_STALE, KID_BYTES, PROVIDER_TIMEOUT, UNKNOWN_KID_SECONDS, UNKNOWN_KIDS,
};
use crate::time::UnixMillis;

/// What to do about the keys of an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// They are fresh.
    Use,
    /// They may still be used, and this request should start a refresh in the background.
    UseAndRefresh,
    /// There are no usable keys: fetch them, and wait for that.
    Fetch,
    /// There are no usable keys, and another attempt is not allowed yet: fail closed.
    Refuse {
        /// Seconds until the client should try again.
        retry_after: u64,
    },
}

/// The state of the keys of one issuer.
#[derive(Debug, Default)]
pub struct KeyState {
    keys: Option<KeySet>,
    fresh_until: UnixMillis,
    last_attempt: Option<UnixMillis>,
    /// When an attempt last failed, unless an attempt has succeeded since.
    failed_at: Option<UnixMillis>,
    /// When a look-up of an unknown key id last completed.
    looked_at: Option<UnixMillis>,
    /// Whether one of the attempts in progress is such a look-up.
    looking: bool,
    /// Attempts that have not completed.
    pending: u32,
    /// Key ids that the provider does not have, and when that was established.
    unknown_kids: VecDeque<(String, UnixMillis)>,
}

/// What to do about a key id that the set does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownKid {
    /// Ask the provider: its set may have changed.
    Look,
    /// Enough requests ask the provider already: check again when one of them has completed.
    Wait,
    /// The provider has no such key.
    Unknown,
    /// The provider cannot be asked, or was asked for another key id just now: it is not known whether the key exists.
    Unavailable {
        /// Seconds until the client should try again.
        retry_after: u64,
    },
}

impl KeyState {
    /// A key set that never expires, for static keys.
    #[must_use]
    pub fn forever(keys: KeySet) -> Self {
        Self { keys: Some(keys), fresh_until: UnixMillis(u64::MAX), ..Self::default() }
    }

    /// The keys, whatever their age: check [`Self::freshness`] first.
    #[must_use]
    pub fn keys(&self) -> Option<&KeySet> {
        self.keys.as_ref()
    }

    /// Whether the key with this id and thumbprint may be used at `now`.
    #[must_use]
    pub fn vouches(&self, id: Option<&str>, thumbprint: &str, now: UnixMillis) -> bool {
        matches!(self.freshness(now), Freshness::Use | Freshness::UseAndRefresh)
            && self.keys.as_ref().is_some_and(|keys| keys.contains(id, thumbprint))
    }

    /// What to do at `now`.
    #[must_use]
    pub fn freshness(&self, now: UnixMillis) -> Freshness {
        if self.keys.is_some() {
            if now < self.fresh_until {
                return Freshness::Use;
            }
            if now < self.fresh_until.plus_seconds(JWKS_STALE) {
                return match pause(self.last_attempt, now, JWKS_RETRY) {
                    None => Freshness::UseAndRefresh,
                    Some(_) => Freshness::Use,
                };
            }
        }
        // Only a failed attempt, or too many attempts in progress, makes other requests fail. Otherwise a client could
        // start an attempt, disconnect, and so block all other clients.
        match pause(self.failed_at, now, JWKS_RETRY) {
            Some(retry_after) => Freshness::Refuse { retry_after },
            None if self.on_their_way(now) >= JWKS_FIRST_PARALLEL => Freshness::Refuse { retry_after: 1 },
            None => Freshness::Fetch,
        }
    }

    /// Attempts that may still complete: no attempt takes longer than discovery and the key set together.
    fn on_their_way(&self, now: UnixMillis) -> u32 {
        pause(self.last_attempt, now, 3 * PROVIDER_TIMEOUT).map_or(0, |_| self.pending)
    }

    /// What to do about an unknown `kid`. The provider is asked for the same `kid` at most once while that is
    /// remembered, and for any `kid` at most once in a cool-down, which ordinary fetches do not start. While a look-up
    /// is in progress, a few other requests may ask too, because after a rotation many valid tokens arrive at once and
    /// no request waits for the work of another.
    #[must_use]
    pub fn unknown_kid(&self, kid: &str, now: UnixMillis) -> UnknownKid {
        let fixed = self.fresh_until == UnixMillis(u64::MAX);
        let said = self.unknown_kids.iter().find(|(unknown, _)| unknown == kid);
        // An issuer may use a key a moment before it publishes it, so the gateway asks again later for an unknown key
        // id.
        let unknown = said.is_some_and(|(_, at)| pause(Some(*at), now, UNKNOWN_KID_SECONDS).is_some());
        if fixed || kid.len() > KID_BYTES || unknown {
            return UnknownKid::Unknown;
        }
        if let Some(retry_after) = pause(self.failed_at, now, JWKS_RETRY) {
            return UnknownKid::Unavailable { retry_after };
        }
        let on_their_way = self.on_their_way(now);
        if on_their_way >= JWKS_PARALLEL {
            return if self.looking { UnknownKid::Wait } else { UnknownKid::Unavailable { retry_after: 1 } };
        }
        match pause(self.looked_at, now, JWKS_COOLDOWN) {
            // The gateway has not asked for this key id, and the key may be new: a 401 would force its user to log in
            // again.
            Some(retry_after) if !self.looking || on_their_way == 0 => UnknownKid::Unavailable { retry_after },
            _ => UnknownKid::Look,
        }
    }

    /// Remembers that the provider has no key with this id, for [`UNKNOWN_KID_SECONDS`] or until it sends its keys
    /// again.
    pub fn remember_unknown(&mut self, kid: &str, now: UnixMillis) {
        if kid.len() <= KID_BYTES {
            self.unknown_kids.retain(|(unknown, _)| unknown != kid);
            if self.unknown_kids.len() == UNKNOWN_KIDS {
                self.unknown_kids.pop_front();
            }
            self.unknown_kids.push_back((kid.to_owned(), now));
        }
    }

    /// Whether a look-up of an unknown key id is in progress.
    #[must_use]
    pub fn is_looking(&self, now: UnixMillis) -> bool {
        self.looking && self.on_their_way(now) > 0
    }

    /// Records the start of an attempt.
    pub fn attempted(&mut self, now: UnixMillis) {
        self.pending = self.on_their_way(now) + 1;
        self.last_attempt = Some(now);
    }

    /// Records that the attempt is a look-up of an unknown key id.
    pub fn looking(&mut self) {
        self.looking = true;
    }

    /// Stores a key set that the provider sent, with a lifetime in seconds.
    pub fn stored(&mut self, keys: KeySet, lifetime: Option<u64>, now: UnixMillis) {
        let lifetime = lifetime.unwrap_or(JWKS_FRESH_DEFAULT).clamp(JWKS_FRESH_FLOOR, JWKS_FRESH_CEILING);
        self.keys = Some(keys);
        self.fresh_until = now.plus_seconds(lifetime);
        self.failed_at = None;
        if std::mem::take(&mut self.looking) {
            self.looked_at = Some(now);
        }
        self.pending = self.pending.saturating_sub(1);
        self.unknown_kids.clear();
    }

    /// When the keys stop being fresh.
    #[must_use]
    pub fn fresh_until(&self) -> UnixMillis {
        self.fresh_until
    }

    /// Takes a key set that another isolate received, if it is newer than the one here. It completes an attempt, but
    /// says nothing about the provider.
    pub fn recalled(&mut self, keys: KeySet, fresh_until: UnixMillis, now: UnixMillis) {
        let fresh_until = fresh_until.min(now.plus_seconds(JWKS_FRESH_CEILING));
        if self.keys.is_none() || self.fresh_until < fresh_until {
            (self.keys, self.fresh_until) = (Some(keys), fresh_until);
            self.unknown_kids.clear();
        }
        self.pending = self.pending.saturating_sub(1);
    }

    /// Takes a key set that another isolate received and that is no longer fresh, because the provider could not be
    /// reached: it stays in use for as long as this isolate's own key set would.
    pub fn recalled_stale(&mut self, keys: KeySet, fresh_until: UnixMillis, now: UnixMillis) {
        if self.keys.is_none() && now < fresh_until.plus_seconds(JWKS_STALE) {
            (self.keys, self.fresh_until) = (Some(keys), fresh_until);
        }
    }

    /// Records a failed attempt; the old keys stay. A look-up that failed starts no cool-down: the pause after a failure
    /// is enough.
    pub fn failed(&mut self, now: UnixMillis) {
        self.failed_at = Some(now);
        self.looking = false;
        self.pending = self.pending.saturating_sub(1);
    }
}

/// Seconds, rounded up, until `seconds` have passed since `since`; `None` if they have passed.
fn pause(since: Option<UnixMillis>, now: UnixMillis, seconds: u64) -> Option<u64> {
    let until = since?.plus_seconds(seconds);
    (now < until).then(|| until.since(now).div_ceil(1000))
}

/// The lifetime in seconds that a response's `Cache-Control` and `Age` leave (RFC 9111 §4.2.1); `None` if
/// `Cache-Control` has none. `no-store` and `no-cache` count as zero, which [`JWKS_FRESH_FLOOR`] then raises.
#[must_use]
pub fn lifetime(cache_control: Option<&str>, age: Option<&str>) -> Option<u64> {
    let directives = cache_control?.to_ascii_lowercase();
    let mut max_age = None;
    for directive in directives.split(',').map(str::trim) {
        match directive.split_once('=') {
            None if matches!(directive, "no-store" | "no-cache") => return Some(0),
            Some(("max-age", seconds)) => max_age = seconds.trim_matches('"').parse::<u64>().ok(),
            _ => {}
        }
    }
    let age = age.and_then(|age| age.trim().parse::<u64>().ok()).unwrap_or(0);
    max_age.map(|seconds| seconds.saturating_sub(age))
}
