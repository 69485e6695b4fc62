//! Proofs that were used, as far as this isolate knows.

use std::collections::BTreeMap;

use crate::limits::{PROOFS, PROOFS_OF_ONE_KEY};
use crate::time::UnixMillis;
use crate::token::binding::proof::SingleUse;

/// Whether a proof may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// For the first time.
    First,
    /// It was used before.
    Again,
    /// Nothing more can be remembered, so nobody can say.
    Full,
}

impl Use {
    /// The word for it, between isolates.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Again => "again",
            Self::Full => "full",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::First, Self::Again, Self::Full].into_iter().find(|used| used.as_str() == text)
    }
}

/// Proofs that were used and are not yet too old. Bounded, for each key and for all; what is remembered is never
/// forgotten before its time, or a proof could be used again.
#[derive(Debug, Default)]
pub struct ReplayMemory {
    used: BTreeMap<[u8; 32], u64>,
    /// By the second of their end, with the key that each belongs to.
    ends: BTreeMap<(u64, [u8; 32]), String>,
    of_key: BTreeMap<String, usize>,
}

impl ReplayMemory {
    /// Uses a proof.
    pub fn use_once(&mut self, single: &SingleUse, now: UnixMillis) -> Use {
        self.forget(now.seconds());
        if self.used.contains_key(&single.id) {
            return Use::Again;
        }
        let of_key = self.of_key.get(&single.jkt).copied().unwrap_or(0);
        if self.used.len() >= PROOFS || of_key >= PROOFS_OF_ONE_KEY {
            return Use::Full;
        }
        self.used.insert(single.id, single.until);
        *self.of_key.entry(single.jkt.clone()).or_default() += 1;
        self.ends.insert((single.until, single.id), single.jkt.clone());
        Use::First
    }

    fn forget(&mut self, now: u64) {
        while let Some(first) = self.ends.first_entry().filter(|first| first.key().0 <= now) {
            let ((_, id), jkt) = first.remove_entry();
            self.used.remove(&id);
            if let Some(count) = self.of_key.get_mut(&jkt) {
                *count -= 1;
                if *count == 0 {
                    self.of_key.remove(&jkt);
                }
            }
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }
}
