//! Items of lists as their origin server sent them last. Most lists are those of before: an item that is the same, byte by
//! byte, as the one that is due next needs no reading, for its end and its name are known.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::limits::{KNOWN_ITEMS_AHEAD, KNOWN_ITEMS_BYTES, KNOWN_LIST_BYTES};

/// Which list: the index of its resource in `Settings::resources`, and the member of its result that it is.
pub type ListId = (usize, &'static str);

/// What every item takes beside its bytes, about.
const OVERHEAD: usize = 64;

/// The items of one list.
#[derive(Debug, Default, Clone)]
pub struct Items {
    items: Vec<Rc<Item>>,
    bytes: usize,
}

#[derive(Debug)]
struct Item {
    bytes: Vec<u8>,
    name: String,
}

/// The items of lists, by list.
#[derive(Debug, Default)]
pub struct KnownItems {
    lists: HashMap<ListId, Rc<Items>>,
    bytes: usize,
    /// Lists that somebody learns now: the others who read them hold nothing of their own.
    learning: HashSet<ListId>,
}

impl KnownItems {
    fn keep(&mut self, id: ListId, items: Items) {
        if let Some(before) = self.lists.remove(&id) {
            self.bytes -= before.bytes;
        }
        if self.bytes + items.bytes > KNOWN_ITEMS_BYTES {
            self.lists.clear();
            self.bytes = 0;
        }
        self.bytes += items.bytes;
        self.lists.insert(id, Rc::new(items));
    }

    /// The names of the items of a list.
    #[must_use]
    pub fn names(&self, id: ListId) -> Vec<String> {
        let items = self.lists.get(&id).into_iter().flat_map(|list| &list.items);
        items.map(|item| item.name.clone()).collect()
    }

    /// Lists in it, and the bytes that they take, about.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.lists.len(), self.bytes)
    }

    /// How many lists are being learned.
    #[must_use]
    pub fn learning(&self) -> usize {
        self.learning.len()
    }
}

/// A list that is being read, beside what is known of it.
#[derive(Debug)]
pub struct Following {
    memory: Rc<RefCell<KnownItems>>,
    id: ListId,
    known: Rc<Items>,
    /// The one of them that is due.
    at: usize,
    /// It is this reading that learns what the list is now.
    learns: bool,
    /// What it turns out to be.
    read: Items,
    /// It is not what it was.
    differs: bool,
    /// No more of it is remembered.
    full: bool,
}

/// An item that need not be read.
#[derive(Debug)]
pub struct Foreseen(Rc<Item>);

impl Foreseen {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Its name or URI.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl Following {
    /// At the beginning of a list.
    #[must_use]
    pub fn begin(memory: Rc<RefCell<KnownItems>>, id: ListId) -> Self {
        let (known, learns) = {
            let mut memory = memory.borrow_mut();
            let room = memory.learning.len() < KNOWN_ITEMS_BYTES / KNOWN_LIST_BYTES;
            (memory.lists.get(&id).cloned().unwrap_or_default(), room && memory.learning.insert(id))
        };
        Self { memory, id, known, at: 0, learns, read: Items::default(), differs: false, full: !learns }
    }

    /// The item that these bytes begin with, where it is the one that is due.
    pub fn foresee(&mut self, bytes: &[u8]) -> Option<Foreseen> {
        let due = self.known.items.get(self.at).filter(|due| bytes.starts_with(&due.bytes)).cloned()?;
        self.at += 1;
        if self.has_room(&due.bytes, &due.name) {
            self.take(Rc::clone(&due));
        }
        Some(Foreseen(due))
    }

    /// Takes an item that had to be read. Those that follow it are due where it was before.
    pub fn learn(&mut self, bytes: &[u8], name: &str) {
        // It came in two parts.
        if self.known.items.get(self.at).is_some_and(|due| due.bytes == bytes) {
            self.foresee(bytes);
            return;
        }
        let ahead = self.known.items.iter().skip(self.at).take(KNOWN_ITEMS_AHEAD);
        if let Some(found) = ahead.into_iter().position(|item| item.name == name) {
            self.at += found + 1;
        }
        if self.has_room(bytes, name) {
            self.differs = true;
            self.take(Rc::new(Item { bytes: bytes.to_vec(), name: name.to_owned() }));
        }
    }

    fn has_room(&mut self, bytes: &[u8], name: &str) -> bool {
        self.full |= self.read.bytes + bytes.len() + name.len() + OVERHEAD > KNOWN_LIST_BYTES;
        !self.full
    }

    fn take(&mut self, item: Rc<Item>) {
        self.read.bytes += item.bytes.len() + item.name.len() + OVERHEAD;
        self.read.items.push(item);
    }

    /// At its end: remembers what it is, where that is not what it was.
    pub fn end(mut self) {
        if self.learns && (self.differs || self.at < self.known.items.len()) {
            self.memory.borrow_mut().keep(self.id, std::mem::take(&mut self.read));
        }
    }
}

/// Whether or not it came to the end.
impl Drop for Following {
    fn drop(&mut self) {
        if self.learns {
            self.memory.borrow_mut().learning.remove(&self.id);
        }
    }
}
