//! The definitions of items that were reviewed: an item that differs from its own is not shown, and cannot be used.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::limits::{LOCK_CHANGES, LOCK_KNOWN_BYTES, LOCK_LINES, LOCK_UNKNOWN_BYTES};
use crate::mcp::definition::{Defined, differences, is_same};
use crate::mcp::kind::Kind;
use crate::mcp::operation::is_valid_name;
use crate::strict_json;

/// The lock of one origin server.
#[derive(Debug, Clone, PartialEq)]
pub struct Lock {
    /// Whether it only observes and enforces nothing.
    pub observe: bool,
    /// Whether items that are not in it may be used.
    pub opens_others: bool,
    /// Whether a caller learns why an item is refused. Otherwise it does not exist.
    pub says_why: bool,
    /// The definitions that were reviewed, by kind and name.
    pub items: BTreeMap<(Defined, String), Map<String, Value>>,
}

/// Why an item is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlocked {
    /// Its definition is not the one that was reviewed.
    Changed,
    /// It was not reviewed.
    Unknown,
}

impl Unlocked {
    /// The reason code in the log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Changed => "definition_changed",
            Self::Unknown => "definition_not_locked",
        }
    }
}

impl Lock {
    /// Whether an item is in it.
    #[must_use]
    pub fn has(&self, of: Defined, name: &str) -> bool {
        self.items.contains_key(&(of, name.to_owned()))
    }

    /// Whether only what is in it may be used.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.enforces(Unlocked::Unknown)
    }

    /// Whether a reason to refuse an item counts.
    fn enforces(&self, why: Unlocked) -> bool {
        !(self.observe || self.opens_others && why == Unlocked::Unknown)
    }
}

/// Estimated bytes that an item takes besides its text and its name.
const OVERHEAD: usize = 64;

/// An item of an origin server: the index of its resource, its kind, and the server's name of it.
type Id = (usize, Defined, String);

/// An item that does not fit.
#[derive(Debug)]
struct Change {
    /// The digest of what it is now.
    digest: [u8; 32],
    /// Whether the log has it.
    is_logged: bool,
}

/// What an isolate knows of the items that origin servers showed.
#[derive(Debug, Default)]
pub struct KnownDefinitions {
    /// Items that fit, as they came: most lists do not change.
    fitting: HashMap<(usize, Kind), HashMap<String, Vec<u8>>>,
    bytes: usize,
    /// Items of locks that do not fit.
    changed: HashMap<Id, Change>,
    /// Items that are in no lock.
    unknown: HashSet<Id>,
    /// About how many bytes their names have.
    unknown_bytes: usize,
    /// Reasons and texts for the log.
    lines: Vec<(&'static str, String)>,
    /// How many more there were.
    dropped: usize,
    /// How often an item that did not fit was new.
    changes: u64,
}

impl KnownDefinitions {
    /// The state of all locks: it changes when an item no longer fits.
    #[must_use]
    pub fn state(&self) -> u64 {
        self.changes + 1
    }

    /// Whether clients may see an item of a list, as the lock of its server says; `place` names the server in the log.
    pub fn shows(
        &mut self,
        (lock, resource, place): (&Lock, usize, &str),
        (kind, name): (Kind, &str),
        item: &[u8],
    ) -> bool {
        // No client needs an item that two readers could name differently.
        if !is_valid_name(kind, name) {
            return lock.observe;
        }
        let fitting = self.fitting.get(&(resource, kind));
        if fitting.and_then(|fitting| fitting.get(name)).is_some_and(|known| known == item) {
            return true;
        }
        // What no longer fits has to be compared when it fits again.
        if let Some(before) = self.fitting.get_mut(&(resource, kind)).and_then(|fitting| fitting.remove(name)) {
            self.bytes -= before.len() + name.len() + OVERHEAD;
        }
        let Ok(Value::Object(members)) = strict_json::parse(item) else {
            let of = Defined::of_target(kind).unwrap_or(Defined::Template);
            let why = if lock.has(of, name) { Unlocked::Changed } else { Unlocked::Unknown };
            let text = || "it cannot be read for certain".to_owned();
            return self.note((lock, resource, place), (of, name), why, (item, &text));
        };
        let Some(of) = Defined::of(kind, &members) else { return true };
        let definition = of.definition(&members);
        let Some(reviewed) = lock.items.get(&(of, name.to_owned())) else {
            let text = || "it is not in the lock".to_owned();
            return self.note((lock, resource, place), (of, name), Unlocked::Unknown, (item, &text));
        };
        if !is_same(reviewed, &definition) {
            let now = Value::Object(definition.clone()).to_string();
            let text = || differences(reviewed, &definition).unwrap_or_default();
            return self.note((lock, resource, place), (of, name), Unlocked::Changed, (now.as_bytes(), &text));
        }
        self.changed.remove(&(resource, of, name.to_owned()));
        self.recognize((resource, kind), name, item);
        true
    }

    /// Keeps an item that fits.
    fn recognize(&mut self, list: (usize, Kind), name: &str, item: &[u8]) {
        let size = item.len() + name.len() + OVERHEAD;
        if self.bytes + size > LOCK_KNOWN_BYTES {
            self.fitting.clear();
            self.bytes = 0;
        }
        self.bytes += size;
        self.fitting.entry(list).or_default().insert(name.to_owned(), item.to_vec());
    }

    /// Notes an item that does not fit, for the log once for each change: `now` is what it is, and `text` says what differs. Whether
    /// clients may see it nevertheless.
    fn note(
        &mut self,
        (lock, resource, place): (&Lock, usize, &str),
        (of, name): (Defined, &str),
        why: Unlocked,
        (now, text): (&[u8], &dyn Fn() -> String),
    ) -> bool {
        let enforced = lock.enforces(why);
        let id = (resource, of, name.to_owned());
        let has_room = self.lines.iter().filter(|(reason, _)| *reason == why.reason()).count() < LOCK_LINES;
        let is_new = match why {
            Unlocked::Changed => {
                let digest: [u8; 32] = Sha256::digest(now).into();
                let known = self.changed.get(&id).filter(|known| known.digest == digest);
                let is_logged = known.is_some_and(|known| known.is_logged);
                self.changes += u64::from(known.is_none());
                self.changed.insert(id, Change { digest, is_logged: is_logged || has_room });
                !is_logged
            }
            Unlocked::Unknown => {
                let size = name.len() + OVERHEAD;
                if self.unknown.len() >= LOCK_CHANGES || self.unknown_bytes + size > LOCK_UNKNOWN_BYTES {
                    self.unknown.clear();
                    self.unknown_bytes = 0;
                }
                let is_new = self.unknown.insert(id);
                if is_new {
                    self.changes += 1;
                    self.unknown_bytes += size;
                }
                is_new
            }
        };
        if is_new && has_room {
            let (what, text) = (of.as_str(), text());
            let observed = if enforced { "" } else { " (observed, not enforced)" };
            self.lines.push((why.reason(), format!("{place}: {what} {name:?}: {text}{observed}")));
        } else if is_new {
            self.dropped += 1;
        }
        !enforced
    }

    /// Why an item that an operation names is refused, as far as this isolate knows the server's lists, and whether the server has it
    /// there.
    #[must_use]
    pub fn refuses(&self, lock: &Lock, resource: usize, (of, name): (Defined, &str)) -> Option<(Unlocked, bool)> {
        let id = (resource, of, name.to_owned());
        let why = if lock.has(of, name) {
            self.changed.contains_key(&id).then_some((Unlocked::Changed, true))
        } else {
            Some((Unlocked::Unknown, self.unknown.contains(&id)))
        };
        why.filter(|(why, _)| lock.enforces(*why))
    }

    /// What is to be logged: reason codes, and texts.
    pub fn take_lines(&mut self) -> Vec<(&'static str, String)> {
        let mut lines = std::mem::take(&mut self.lines);
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            let text = format!("{dropped} more items differ from their locks, or are in none");
            lines.push((Unlocked::Unknown.reason(), text));
        }
        lines
    }
}
