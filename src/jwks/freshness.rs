//! How long keys may be used: a pure state machine. It says what to do, and never does it.

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
    /// They may still be used, and whoever asks should lead a refresh in the background.
    UseAndRefresh,
    /// There are none that may be used: fetch, and wait for it.
    Fetch,
    /// There are none that may be used, and the provider was asked too recently: fail closed.
    Refuse {
        /// Seconds until it is worth trying again.
        retry_after: u64,
    },
}

/// What is known of the keys of one issuer.
#[derive(Debug, Default)]
pub struct KeyState {
    keys: Option<KeySet>,
    fresh_until: UnixMillis,
    last_attempt: Option<UnixMillis>,
    /// When an attempt last failed, unless one succeeded since.
    failed_at: Option<UnixMillis>,
    /// When a look-up of an unknown key id last came back.
    looked_at: Option<UnixMillis>,
    /// A look-up is among the attempts that are on their way.
    looking: bool,
    /// Attempts that have not come back.
    pending: u32,
    /// Key ids that the provider does not have, and when it said so.
    unknown_kids: VecDeque<(String, UnixMillis)>,
}

/// What to do about a key id that the set does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownKid {
    /// Ask the provider: its set may have grown.
    Look,
    /// Enough requests ask already: look again when one of them is back.
    Wait,
    /// The provider has no such key.
    Unknown,
    /// The provider cannot be asked, or was asked for another just now: nobody can say.
    Unavailable {
        /// Seconds until it is worth trying again.
        retry_after: u64,
    },
}

impl KeyState {
    /// A key set that never ages: a static key.
    #[must_use]
    pub fn forever(keys: KeySet) -> Self {
        Self { keys: Some(keys), fresh_until: UnixMillis(u64::MAX), ..Self::default() }
    }

    /// The keys, whatever their age: ask [`Self::freshness`] first.
    #[must_use]
    pub fn keys(&self) -> Option<&KeySet> {
        self.keys.as_ref()
    }

    /// Whether the key with this id and thumbprint may be used at `now`.
    #[must_use]
    pub fn vouches(&self, id: Option<&str>, thumbprint: &str, now: UnixMillis) -> bool {
        matches!(self.freshness(now), Freshness::Use | Freshness::UseAndRefresh)
            && self.keys.as_ref().is_some_and(|keys| keys.holds(id, thumbprint))
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
        // Only what came back and failed holds requests back, and too many on their way: else a stranger who asks and
        // leaves could keep everybody out.
        match pause(self.failed_at, now, JWKS_RETRY) {
            Some(retry_after) => Freshness::Refuse { retry_after },
            None if self.on_their_way(now) >= JWKS_FIRST_PARALLEL => Freshness::Refuse { retry_after: 1 },
            None => Freshness::Fetch,
        }
    }

    /// Attempts that may still come back: none of them takes longer than discovery and the key set together.
    fn on_their_way(&self, now: UnixMillis) -> u32 {
        pause(self.last_attempt, now, 3 * PROVIDER_TIMEOUT).map_or(0, |_| self.pending)
    }

    /// What to do about an unknown `kid`. The provider is asked for it at most once while it is remembered, and for
    /// any at most once in a cool-down, which ordinary fetches do not begin; but while that one look-up is on its way a
    /// few others may go too, because after a rotation many good tokens arrive at once and none waits for another's
    /// work.
    #[must_use]
    pub fn unknown_kid(&self, kid: &str, now: UnixMillis) -> UnknownKid {
        let fixed = self.fresh_until == UnixMillis(u64::MAX);
        let said = self.unknown_kids.iter().find(|(unknown, _)| unknown == kid);
        // A key may be used a moment before it is published: what was unknown then is asked about again.
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
            // Nobody has asked for this one, and it may be new: a 401 would make its owner log in again.
            Some(retry_after) if !self.looking || on_their_way == 0 => UnknownKid::Unavailable { retry_after },
            _ => UnknownKid::Look,
        }
    }

    /// Remembers that the provider has no key of this id, for [`UNKNOWN_KID_SECONDS`] or until it sends its keys again.
    pub fn remember_unknown(&mut self, kid: &str, now: UnixMillis) {
        if kid.len() <= KID_BYTES {
            self.unknown_kids.retain(|(unknown, _)| unknown != kid);
            if self.unknown_kids.len() == UNKNOWN_KIDS {
                self.unknown_kids.pop_front();
            }
            self.unknown_kids.push_back((kid.to_owned(), now));
        }
    }

    /// Whether a look-up is on its way.
    #[must_use]
    pub fn is_looking(&self, now: UnixMillis) -> bool {
        self.looking && self.on_their_way(now) > 0
    }

    /// Notes that the provider is being asked.
    pub fn attempted(&mut self, now: UnixMillis) {
        self.pending = self.on_their_way(now) + 1;
        self.last_attempt = Some(now);
    }

    /// Notes that the provider is being asked because of an unknown key id.
    pub fn looking(&mut self) {
        self.looking = true;
    }

    /// Notes that an attempt came back.
    fn returned(&mut self, now: UnixMillis) {
        if std::mem::take(&mut self.looking) {
            self.looked_at = Some(now);
        }
        self.pending = self.pending.saturating_sub(1);
    }

    /// Keeps a key set that the provider sent with a lifetime in seconds.
    pub fn stored(&mut self, keys: KeySet, lifetime: Option<u64>, now: UnixMillis) {
        let lifetime = lifetime.unwrap_or(JWKS_FRESH_DEFAULT).clamp(JWKS_FRESH_FLOOR, JWKS_FRESH_CEILING);
        self.keys = Some(keys);
        self.fresh_until = now.plus_seconds(lifetime);
        self.failed_at = None;
        self.returned(now);
        self.unknown_kids.clear();
    }

    /// Until when the keys are fresh.
    #[must_use]
    pub fn fresh_until(&self) -> UnixMillis {
        self.fresh_until
    }

    /// Takes a key set that another isolate was sent, where there is none here that is newer. It ends a fetch, and
    /// says nothing of the provider.
    pub fn recalled(&mut self, keys: KeySet, fresh_until: UnixMillis, now: UnixMillis) {
        let fresh_until = fresh_until.min(now.plus_seconds(JWKS_FRESH_CEILING));
        if self.keys.is_none() || self.fresh_until < fresh_until {
            (self.keys, self.fresh_until) = (Some(keys), fresh_until);
            self.unknown_kids.clear();
        }
        self.pending = self.pending.saturating_sub(1);
    }

    /// Takes a key set that another isolate was sent and that is not fresh any more, as the provider could not be asked:
    /// it serves as this isolate's own would.
    pub fn recalled_stale(&mut self, keys: KeySet, fresh_until: UnixMillis, now: UnixMillis) {
        if self.keys.is_none() && now < fresh_until.plus_seconds(JWKS_STALE) {
            (self.keys, self.fresh_until) = (Some(keys), fresh_until);
        }
    }

    /// Notes that the provider could not be asked; what there is stays.
    pub fn failed(&mut self, now: UnixMillis) {
        self.failed_at = Some(now);
        self.returned(now);
    }
}

/// Seconds, rounded up, until `seconds` have passed since a moment.
fn pause(since: Option<UnixMillis>, now: UnixMillis, seconds: u64) -> Option<u64> {
    let until = since?.plus_seconds(seconds);
    (now < until).then(|| until.since(now).div_ceil(1000))
}

/// The lifetime in seconds that a response's `Cache-Control` and `Age` leave (RFC 9111 §4.2.1); `None` where it
/// does not say. `no-store` and `no-cache` are a lifetime of zero, which the floor then lifts.
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
