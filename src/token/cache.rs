//! Verified credentials, so that a repeat caller costs a hash and a look-up. What is kept is named by a salted digest:
//! the credential itself is nowhere in it.

use std::collections::HashMap;
use std::rc::Rc;

use crate::limits::{INACTIVE_ENTRIES, VERIFIED_BYTES, VERIFIED_ENTRIES};
use crate::time::UnixMillis;
use crate::token::error::TokenError;
use crate::token::verified::VerifiedToken;
use crate::token::verifier_id::VerifierId;

/// A name in memory: see [`Fingerprint`](crate::token::credential::Fingerprint).
pub type Digest = [u8; 32];

/// What a table needs beside its values, for each: name, hash and slack.
const OVERHEAD: usize = 96;

/// Two generations: what is found in the older moves to the younger, and where the younger is full the older goes.
/// Nothing is ever searched for what to leave out, and the whole stays within its bounds.
#[derive(Debug)]
struct Generations<V> {
    young: HashMap<Digest, V>,
    old: HashMap<Digest, V>,
    young_bytes: usize,
    entries: usize,
    bytes: usize,
    size: fn(&V) -> usize,
}

impl<V: Clone> Generations<V> {
    /// At most `entries` and `bytes` in both generations together.
    fn new(entries: usize, bytes: usize, size: fn(&V) -> usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_bytes: 0, entries, bytes, size }
    }

    fn get(&mut self, digest: &Digest) -> Option<V> {
        if let Some(value) = self.young.get(digest) {
            return Some(value.clone());
        }
        let value = self.old.remove(digest)?;
        self.insert(*digest, value.clone());
        Some(value)
    }

    fn insert(&mut self, digest: Digest, value: V) {
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

    fn remove(&mut self, digest: &Digest) {
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

/// How often the cache was asked, and how often it knew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The credential was known.
    pub hits: u64,
    /// It was not.
    pub misses: u64,
}

/// Credentials that were verified, and those that were found to be no good.
#[derive(Debug)]
pub struct TokenCache {
    verified: Generations<Rc<VerifiedToken>>,
    /// Of those that were verified.
    chosen: Generations<VerifierId>,
    /// Kept apart, so that strangers' guesses push nobody out.
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
    /// The verifier of a credential that was good once, by the name of that choice: it depends on nothing that changes.
    pub fn verifier(&mut self, choice: &Digest) -> Option<VerifierId> {
        self.chosen.get(choice)
    }

    /// Keeps which verifier a credential is for.
    pub fn choose(&mut self, choice: Digest, verifier: VerifierId) {
        self.chosen.insert(choice, verifier);
    }

    /// What is known of a credential that was good, and may still be used without asking.
    pub fn verified(&mut self, digest: &Digest, now: UnixMillis) -> Option<Rc<VerifiedToken>> {
        let known = self.verified.get(digest);
        if known.as_ref().is_some_and(|known| known.usable_until <= now) {
            self.verified.remove(digest);
            return None;
        }
        known
    }

    /// What is known of a credential that was not.
    pub fn inactive(&mut self, digest: &Digest, now: UnixMillis) -> Option<TokenError> {
        let (error, until) = self.inactive.get(digest)?;
        if until <= now {
            self.inactive.remove(digest);
            return None;
        }
        Some(error)
    }

    /// Notes whether a request's credential was known.
    pub fn count(&mut self, hit: bool) {
        if hit {
            self.counts.hits += 1;
        } else {
            self.counts.misses += 1;
        }
    }

    /// Keeps a credential that was verified.
    pub fn keep(&mut self, digest: Digest, verified: Rc<VerifiedToken>) {
        self.verified.insert(digest, verified);
    }

    /// Keeps what was said of a credential that is no good, for so many seconds.
    pub fn keep_inactive(&mut self, digest: Digest, error: TokenError, seconds: u64, now: UnixMillis) {
        if seconds > 0 {
            self.inactive.insert(digest, (error, now.plus_seconds(seconds)));
        }
    }

    /// Forgets a credential.
    pub fn forget(&mut self, digest: &Digest) {
        self.verified.remove(digest);
    }

    /// Forgets those that `keep` does not hold for.
    pub fn retain(&mut self, keep: impl Fn(&VerifiedToken) -> bool) {
        self.verified.retain(|verified| keep(verified));
    }

    /// How often it was asked, and how often it knew.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Credentials in it that are no good.
    #[must_use]
    pub fn inactive_len(&self) -> usize {
        self.inactive.len()
    }

    /// Verified credentials in it, and the bytes that they take, about.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.verified.len(), self.verified.bytes())
    }
}
