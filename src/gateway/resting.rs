//! Servers that did not answer in time a moment ago, so that they are not asked.

use std::collections::BTreeMap;

use crate::limits::{SERVER_LATE_CALLERS, SERVER_REST_SECONDS};
use crate::settings::federation::Server;
use crate::time::UnixMillis;

/// The callers whose requests a server did not answer in time, and until when that counts.
type Late = Vec<([u8; 32], UnixMillis)>;

/// The servers that rest. A server may be slow for one caller alone, who must not cost the others its items: it rests for that caller,
/// and for all only if it was too slow for several.
#[derive(Debug, Default)]
pub(super) struct Resting {
    /// By the index of the server's resource.
    late: BTreeMap<usize, Late>,
}

impl Resting {
    /// Whether a server is not asked for a caller.
    pub(super) fn rests(&self, server: &Server, caller: &[u8; 32], now: UnixMillis) -> bool {
        let late = self.late.get(&server.resource.index).map(Vec::as_slice).unwrap_or_default();
        let recent: Vec<_> = late.iter().filter(|(_, until)| now < *until).collect();
        recent.len() >= SERVER_LATE_CALLERS || recent.iter().any(|(late, _)| late == caller)
    }

    /// Notes whether a server answered in time.
    pub(super) fn note(&mut self, server: &Server, caller: &[u8; 32], in_time: bool, now: UnixMillis) {
        let index = server.resource.index;
        if in_time {
            self.late.remove(&index);
            return;
        }
        let late = self.late.entry(index).or_default();
        late.retain(|(other, until)| now < *until && other != caller);
        // More would not change anything.
        if late.len() < SERVER_LATE_CALLERS {
            late.push((*caller, now.plus_seconds(SERVER_REST_SECONDS)));
        }
    }
}
