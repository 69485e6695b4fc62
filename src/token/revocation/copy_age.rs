//! How old an isolate's copy of something is, and when to read it again.

use crate::limits::REVOCATION_RETRY;
use crate::time::UnixMillis;

/// What to do before the copy is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing: the copy is new enough.
    No,
    /// Use it, and read it again in the background.
    Soon,
    /// Read it first.
    Now,
    /// It must be read first, but reading failed a moment ago: fail closed.
    Unavailable,
}

/// The age of a copy.
#[derive(Debug, Default)]
pub struct CopyAge {
    read_at: Option<UnixMillis>,
    attempted: Option<UnixMillis>,
    failed: Option<UnixMillis>,
}

impl CopyAge {
    /// What to do with a copy that may be at most `seconds` old.
    #[must_use]
    pub fn due(&self, seconds: u64, now: UnixMillis) -> Due {
        let recently = |moment: Option<UnixMillis>| moment.is_some_and(|at| now < at.plus_seconds(REVOCATION_RETRY));
        match self.read_at {
            Some(read_at) if now < read_at.plus_seconds(seconds) => {
                if now >= read_at.plus_seconds(seconds / 2) && !recently(self.attempted) { Due::Soon } else { Due::No }
            }
            _ if recently(self.failed) => Due::Unavailable,
            _ => Due::Now,
        }
    }

    /// Records that the copy is being read.
    pub fn attempted(&mut self, now: UnixMillis) {
        self.attempted = Some(now);
    }

    /// Records a copy whose read began at `asked`; false if it is older than the present one. Its age counts from there,
    /// because the copy may already have been old when the answer arrived.
    pub fn read(&mut self, asked: UnixMillis) -> bool {
        let newer = self.read_at.is_none_or(|read_at| asked >= read_at);
        if newer {
            (self.read_at, self.failed) = (Some(asked), None);
        }
        newer
    }

    /// Records that it could not be read.
    pub fn failed(&mut self, now: UnixMillis) {
        self.failed = Some(now);
    }
}
