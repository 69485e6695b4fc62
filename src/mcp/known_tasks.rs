//! The sealed task ids that an isolate issued last. A legacy server may name a task on a stream that the client opened with GET,
//! where no request says which tool began the task: if this isolate sealed the id, the client gets the same sealed id there.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use crate::limits::{KNOWN_TASK_BYTES_OF_ONE_CALLER, KNOWN_TASK_CALLERS};
use crate::mcp::session::Holder;

type CallerKey = [u8; 32];

/// The ids, by caller.
#[derive(Debug, Default)]
pub struct KnownTasks {
    callers: HashMap<CallerKey, TasksOfCaller>,
    /// The callers, the one that was added first in front.
    order: VecDeque<CallerKey>,
}

#[derive(Debug, Default)]
struct TasksOfCaller {
    /// Ids of the origin server, and the same ids sealed.
    ids: VecDeque<(String, String)>,
    bytes: usize,
}

fn key(holder: Holder<'_>) -> CallerKey {
    Sha256::digest(holder.of_tasks()).into()
}

impl KnownTasks {
    /// Keeps a sealed id. The oldest ids of the same caller leave if it has too many, and the caller that came first leaves if there
    /// are too many callers.
    pub fn keep(&mut self, id: &str, sealed: &str, holder: Holder<'_>) {
        let key = key(holder);
        if !self.callers.contains_key(&key) {
            if self.order.len() >= KNOWN_TASK_CALLERS
                && let Some(first) = self.order.pop_front()
            {
                self.callers.remove(&first);
            }
            self.order.push_back(key);
        }
        let tasks = self.callers.entry(key).or_default();
        if tasks.ids.iter().any(|(known, as_sealed)| known == id && as_sealed == sealed) {
            return;
        }
        tasks.bytes += id.len() + sealed.len();
        tasks.ids.push_back((id.to_owned(), sealed.to_owned()));
        while tasks.bytes > KNOWN_TASK_BYTES_OF_ONE_CALLER {
            let Some((id, sealed)) = tasks.ids.pop_front() else { break };
            tasks.bytes -= id.len() + sealed.len();
        }
    }

    /// The sealed id that this caller got last for an id of the origin server.
    #[must_use]
    pub fn get(&self, id: &str, holder: Holder<'_>) -> Option<&str> {
        let tasks = self.callers.get(&key(holder))?;
        tasks.ids.iter().rev().find(|(known, _)| known == id).map(|(_, sealed)| sealed.as_str())
    }

    /// How many callers it knows, and how many bytes their ids have.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.callers.len(), self.callers.values().map(|tasks| tasks.bytes).sum())
    }
}
