//! The definitions of items that were reviewed: an item that differs from its own is not shown, and cannot be used.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::limits::{LOCK_CHANGES, LOCK_KNOWN_BYTES, LOCK_LINES};
use crate::mcp::definition::{Defined, differences};
use crate::mcp::kind::Kind;
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

    /// Why an item does not fit, with a text for a person; `None` if it fits.
    fn unfit(&self, of: Defined, name: &str, item: &Map<String, Value>) -> Option<(Unlocked, String)> {
        let Some(reviewed) = self.items.get(&(of, name.to_owned())) else {
            return Some((Unlocked::Unknown, "it is not in the lock".to_owned()));
        };
        differences(reviewed, &of.definition(item)).map(|text| (Unlocked::Changed, text))
    }
}

/// Estimated bytes that an item takes besides its text and its name.
const OVERHEAD: usize = 64;

/// An item of an origin server: the index of its resource, its kind, and the server's name of it.
type Id = (usize, Defined, String);

/// What an isolate knows of the items that origin servers showed.
#[derive(Debug, Default)]
pub struct KnownDefinitions {
    /// Items that fit, as they came: most lists do not change.
    fitting: HashMap<(usize, Kind), HashMap<String, Vec<u8>>>,
    bytes: usize,
    /// Items that do not fit, and how.
    unfit: HashMap<Id, (Unlocked, String)>,
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
            let why = (Unlocked::Changed, "it cannot be read for certain".to_owned());
            return self.note((lock, resource, place), (of, name), why);
        };
        let Some(of) = Defined::of(kind, &members) else { return true };
        if let Some(why) = lock.unfit(of, name, &members) {
            return self.note((lock, resource, place), (of, name), why);
        }
        self.unfit.remove(&(resource, of, name.to_owned()));
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

    /// Notes an item that does not fit, for the log once for each change. Whether clients may see it nevertheless.
    fn note(
        &mut self,
        (lock, resource, place): (&Lock, usize, &str),
        (of, name): (Defined, &str),
        (why, text): (Unlocked, String),
    ) -> bool {
        let enforced = lock.enforces(why);
        let id = (resource, of, name.to_owned());
        let known = self.unfit.get(&id).is_some_and(|(_, known)| *known == text);
        if !known {
            self.changes += 1;
            let observed = if enforced { "" } else { " (observed, not enforced)" };
            if self.lines.len() < LOCK_LINES {
                let what = of.as_str();
                self.lines.push((why.reason(), format!("{place}: {what} {name:?}: {text}{observed}")));
            } else {
                self.dropped += 1;
            }
            if self.unfit.len() >= LOCK_CHANGES {
                self.unfit.clear();
            }
            self.unfit.insert(id, (why, text));
        }
        !enforced
    }

    /// Why an item that an operation names is refused, as far as this isolate knows the server's lists, and whether the server has it
    /// there.
    #[must_use]
    pub fn refuses(&self, lock: &Lock, resource: usize, (of, name): (Defined, &str)) -> Option<(Unlocked, bool)> {
        let seen = self.unfit.get(&(resource, of, name.to_owned())).map(|(why, _)| *why);
        let why = if lock.has(of, name) { seen } else { Some(Unlocked::Unknown) };
        why.filter(|why| lock.enforces(*why)).map(|why| (why, seen.is_some()))
    }

    /// What is to be logged: reason codes, and texts.
    pub fn take_lines(&mut self) -> Vec<(&'static str, String)> {
        let mut lines = std::mem::take(&mut self.lines);
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            lines.push((Unlocked::Changed.reason(), format!("{dropped} more items differ from their locks")));
        }
        lines
    }
}
