//! The used DPoP proofs that this isolate knows.

use std::collections::BTreeMap;

use crate::limits::{PROOFS, PROOFS_OF_ONE_SUBJECT};
use crate::time::UnixMillis;
use crate::token::binding::proof::SingleUse;

/// The result of using a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// This is the first use.
    First,
    /// The proof was used before.
    Again,
    /// The memory is full, so the gateway cannot tell whether the proof was used before.
    Full,
}

impl Use {
    /// Its name in messages between isolates.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Again => "again",
            Self::Full => "full",
        }
    }

    /// Parses such a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::First, Self::Again, Self::Full].into_iter().find(|used| used.as_str() == text)
    }
}

/// Used proofs that are not yet too old. Their number is limited, for each subject and for all together. An entry is
/// never removed before it expires, because the proof could then be used again.
#[derive(Debug, Default)]
pub struct ReplayMemory {
    used: BTreeMap<[u8; 32], u64>,
    /// The owner of each proof, by expiry second and id.
    ends: BTreeMap<(u64, [u8; 32]), [u8; 32]>,
    of_owner: BTreeMap<[u8; 32], usize>,
}

impl ReplayMemory {
    /// Marks a proof as used.
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

    /// Seconds until the memory has room for another proof of the same subject.
    #[must_use]
    pub fn room_in(&self, single: &SingleUse, now: UnixMillis) -> u64 {
        let full = self.used.len() >= PROOFS;
        let first = self.ends.iter().find(|(_, owner)| full || **owner == single.owner);
        first.map_or(1, |((end, _), _)| end.saturating_sub(now.seconds()).max(1))
    }

    /// How many proofs are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether no proof is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }
}
