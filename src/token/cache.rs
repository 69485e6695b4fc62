//! A cache of verified credentials: a known credential costs one hash and one lookup. The keys are keyed hashes, so
//! the cache never holds a credential itself.

use std::collections::HashMap;
use std::rc::Rc;

use crate::limits::{INACTIVE_ENTRIES, VERIFIED_BYTES, VERIFIED_ENTRIES};
use crate::time::UnixMillis;
use crate::token::error::TokenError;
use crate::token::verified::VerifiedToken;
use crate::token::verifier_id::VerifierId;

/// A key of the cache: see [`Fingerprint`](crate::token::credential::Fingerprint).
pub type Digest = [u8; 32];

/// Estimated bytes of a table entry besides its value: key, hash and unused capacity.
const OVERHEAD: usize = 96;

/// A table of two generations. An entry that is found in the old generation moves to the young one. When the young
/// generation is full, it becomes the old one, and the previous old generation is dropped. Eviction therefore never
/// searches for entries, and the table stays within its limits.
#[derive(Debug)]
pub struct Generations<V> {
    young: HashMap<Digest, V>,
    old: HashMap<Digest, V>,
    young_bytes: usize,
    entries: usize,
    bytes: usize,
    size: fn(&V) -> usize,
}

impl<V: Clone> Generations<V> {
    /// A table of at most `entries` entries and `bytes` bytes in both generations together.
    #[must_use]
    pub fn new(entries: usize, bytes: usize, size: fn(&V) -> usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_bytes: 0, entries, bytes, size }
    }

    /// The value of a key.
    pub fn get(&mut self, digest: &Digest) -> Option<V> {
        if let Some(value) = self.young.get(digest) {
            return Some(value.clone());
        }
        let value = self.old.remove(digest)?;
        self.insert(*digest, value.clone());
        Some(value)
    }

    /// Stores a value. One that is larger than half of the table is not stored.
    pub fn insert(&mut self, digest: Digest, value: V) {
        let size = (self.size)(&value) + OVERHEAD;
        if size > self.bytes / 2 {
            return;
        }
        if self.young.len() >= self.entries / 2 || self.young_bytes + size > self.bytes / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if let Some(before) = self.young.insert(digest, value) {
            self.young_bytes -= (self.size)(&before) + OVERHEAD;
        }
        self.young_bytes += size;
    }

    /// Removes a value.
    pub fn remove(&mut self, digest: &Digest) {
        if let Some(value) = self.young.remove(digest) {
            self.young_bytes -= (self.size)(&value) + OVERHEAD;
        }
        self.old.remove(digest);
    }

    fn retain(&mut self, keep: impl Fn(&V) -> bool) {
        self.old.retain(|_, value| keep(value));
        let mut gone = 0;
        let size = self.size;
        self.young.retain(|_, value| {
            let stays = keep(value);
            if !stays {
                gone += size(value) + OVERHEAD;
            }
            stays
        });
        self.young_bytes -= gone;
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn bytes(&self) -> usize {
        self.young_bytes + self.old.values().map(|value| (self.size)(value) + OVERHEAD).sum::<usize>()
    }
}

/// How many lookups found a credential, and how many did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The cache had the credential.
    pub hits: u64,
    /// It did not.
    pub misses: u64,
}

/// Results of verification: valid credentials, and rejected ones.
#[derive(Debug)]
pub struct TokenCache {
    verified: Generations<Rc<VerifiedToken>>,
    /// The verifier of each valid credential.
    chosen: Generations<VerifierId>,
    /// In a table of its own, so that rejected guesses cannot evict valid credentials.
    inactive: Generations<(TokenError, UnixMillis)>,
    counts: Counts,
}

impl Default for TokenCache {
    fn default() -> Self {
        Self {
            verified: Generations::new(VERIFIED_ENTRIES, VERIFIED_BYTES, |verified| verified.bytes()),
            chosen: Generations::new(VERIFIED_ENTRIES, usize::MAX, |_| size_of::<VerifierId>()),
            inactive: Generations::new(INACTIVE_ENTRIES, usize::MAX, |_| size_of::<(TokenError, UnixMillis)>()),
            counts: Counts::default(),
        }
    }
}

impl TokenCache {
    /// The verifier of a credential that was valid before. The selection of a verifier depends on nothing that changes,
    /// so an entry does not expire.
    pub fn verifier(&mut self, choice: &Digest) -> Option<VerifierId> {
        self.chosen.get(choice)
    }

    /// Stores which verifier a credential is for.
    pub fn choose(&mut self, choice: Digest, verifier: VerifierId) {
        self.chosen.insert(choice, verifier);
    }

    /// A valid credential, until [`VerifiedToken::usable_until`].
    pub fn verified(&mut self, digest: &Digest, now: UnixMillis) -> Option<Rc<VerifiedToken>> {
        let known = self.verified.get(digest);
        if known.as_ref().is_some_and(|known| known.usable_until <= now) {
            self.verified.remove(digest);
            return None;
        }
        known
    }

    /// Why a credential was rejected, until that result expires.
    pub fn inactive(&mut self, digest: &Digest, now: UnixMillis) -> Option<TokenError> {
        let (error, until) = self.inactive.get(digest)?;
        if until <= now {
            self.inactive.remove(digest);
            return None;
        }
        Some(error)
    }

    /// Counts a request as a hit or a miss.
    pub fn count(&mut self, hit: bool) {
        if hit {
            self.counts.hits += 1;
        } else {
            self.counts.misses += 1;
        }
    }

    /// Stores a valid credential.
    pub fn keep(&mut self, digest: Digest, verified: Rc<VerifiedToken>) {
        self.verified.insert(digest, verified);
    }

    /// Stores for `seconds` why a credential was rejected; with 0 seconds, stores nothing.
    pub fn keep_inactive(&mut self, digest: Digest, error: TokenError, seconds: u64, now: UnixMillis) {
        if seconds > 0 {
            self.inactive.insert(digest, (error, now.plus_seconds(seconds)));
        }
    }

    /// Removes a valid credential.
    pub fn forget(&mut self, digest: &Digest) {
        self.verified.remove(digest);
    }

    /// Removes the valid credentials for which `keep` returns false.
    pub fn retain(&mut self, keep: impl Fn(&VerifiedToken) -> bool) {
        self.verified.retain(|verified| keep(verified));
    }

    /// The hits and misses so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many rejected credentials the cache has.
    #[must_use]
    pub fn inactive_len(&self) -> usize {
        self.inactive.len()
    }

    /// How many valid credentials the cache has, and approximately how many bytes they take.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.verified.len(), self.verified.bytes())
    }
}
