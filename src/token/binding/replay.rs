//! Proofs that were used, as far as this isolate knows.

use std::collections::BTreeMap;

use crate::limits::{PROOFS, PROOFS_OF_ONE_SUBJECT};
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

/// Proofs that were used and are not yet too old. Bounded, for each subject and for all; what is remembered is never
/// forgotten before its time, or a proof could be used again.
#[derive(Debug, Default)]
pub struct ReplayMemory {
    used: BTreeMap<[u8; 32], u64>,
    /// By the second of their end, with whose each is.
    ends: BTreeMap<(u64, [u8; 32]), [u8; 32]>,
    of_owner: BTreeMap<[u8; 32], usize>,
}

impl ReplayMemory {
    /// Uses a proof.
    pub fn use_once(&mut self, single: &SingleUse, now: UnixMillis) -> Use {
        self.forget(now.seconds());
        if self.used.contains_key(&single.id) {
            return Use::Again;
        }
        let of_owner = self.of_owner.get(&single.owner).copied().unwrap_or(0);
        if self.used.len() >= PROOFS || of_owner >= PROOFS_OF_ONE_SUBJECT {
            return Use::Full;
        }
        self.used.insert(single.id, single.until);
        *self.of_owner.entry(single.owner).or_default() += 1;
        self.ends.insert((single.until, single.id), single.owner);
        Use::First
    }

    fn forget(&mut self, now: u64) {
        while let Some(first) = self.ends.first_entry().filter(|first| first.key().0 <= now) {
            let ((_, id), owner) = first.remove_entry();
            self.used.remove(&id);
            if let Some(count) = self.of_owner.get_mut(&owner) {
                *count -= 1;
                if *count == 0 {
                    self.of_owner.remove(&owner);
                }
            }
        }
    }

    /// Seconds until there is room for one more of the same subject.
    #[must_use]
    pub fn room_in(&self, single: &SingleUse, now: UnixMillis) -> u64 {
        let full = self.used.len() >= PROOFS;
        let first = self.ends.iter().find(|(_, owner)| full || **owner == single.owner);
        first.map_or(1, |((end, _), _)| end.saturating_sub(now.seconds()).max(1))
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
