//! The items of lists, as the origin servers sent them last. Most lists do not change. If the next bytes of a list
//! equal the expected next item, the gateway does not have to parse that item, because it knows where it ends and what
//! its name is.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::limits::{KNOWN_ITEMS_AHEAD, KNOWN_ITEMS_BYTES, KNOWN_LIST_BYTES};

/// Identifies a list: the index of its resource in `Settings::resources`, and the member of the result that holds the
/// list.
pub type ListId = (usize, &'static str);

/// Estimated bytes that an item takes besides its text and its name.
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
    /// The state of the lock with which it was found to fit; zero if it was not.
    fits: Cell<u64>,
}

/// The items of lists, by list.
#[derive(Debug, Default)]
pub struct KnownItems {
    lists: HashMap<ListId, Rc<Items>>,
    bytes: usize,
    /// Lists that one request is recording now. Other requests that read the same list record nothing.
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

    /// How many lists are known, and approximately how many bytes they take.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.lists.len(), self.bytes)
    }

    /// How many lists are being recorded.
    #[must_use]
    pub fn learning(&self) -> usize {
        self.learning.len()
    }
}

/// Compares a list that is being read with the known items of that list.
#[derive(Debug)]
pub struct ListComparison {
    memory: Rc<RefCell<KnownItems>>,
    id: ListId,
    known: Rc<Items>,
    /// The index of the expected next item.
    at: usize,
    /// Whether this reader records what the list contains now.
    learns: bool,
    /// The items recorded so far.
    read: Items,
    /// Whether an item differs from the known list.
    differs: bool,
    /// Whether no further items are recorded.
    full: bool,
}

/// An item that does not have to be parsed.
#[derive(Debug)]
pub struct ExpectedItem(Rc<Item>);

impl ExpectedItem {
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

    /// The state of the lock with which it was found to fit; zero if it was not.
    #[must_use]
    pub fn fits(&self) -> &Cell<u64> {
        &self.0.fits
    }
}

impl ListComparison {
    /// Starts at the beginning of a list.
    #[must_use]
    pub fn begin(memory: Rc<RefCell<KnownItems>>, id: ListId) -> Self {
        let (known, learns) = {
            let mut memory = memory.borrow_mut();
            let room = memory.learning.len() < KNOWN_ITEMS_BYTES / KNOWN_LIST_BYTES;
            (memory.lists.get(&id).cloned().unwrap_or_default(), room && memory.learning.insert(id))
        };
        Self { memory, id, known, at: 0, learns, read: Items::default(), differs: false, full: !learns }
    }

    /// The expected next item, if `bytes` begin with it.
    pub fn foresee(&mut self, bytes: &[u8]) -> Option<ExpectedItem> {
        let due = self.known.items.get(self.at).filter(|due| begins_with(bytes, &due.bytes)).cloned()?;
        self.at += 1;
        if self.has_room(&due.bytes, &due.name) {
            self.take(Rc::clone(&due));
        }
        Some(ExpectedItem(due))
    }

    /// Records an item that had to be parsed. If an item of that name is known, the items after it are expected next.
    pub fn learn(&mut self, bytes: &[u8], name: &str) {
        // The expected item arrived in two parts.
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
            self.take(Rc::new(Item { bytes: bytes.to_vec(), name: name.to_owned(), fits: Cell::default() }));
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

    /// Ends the list, and stores the recorded items if they differ from the known ones.
    pub fn end(mut self) {
        if self.learns && (self.differs || self.at < self.known.items.len()) {
            self.memory.borrow_mut().keep(self.id, std::mem::take(&mut self.read));
        }
    }
}

/// Whether `bytes` begin with `due`. In WebAssembly the comparison of slices goes byte by byte, and a list is long.
fn begins_with(bytes: &[u8], due: &[u8]) -> bool {
    let Some(bytes) = bytes.get(..due.len()) else { return false };
    let ((bytes, last), (due, due_last)) = (bytes.as_chunks::<8>(), due.as_chunks::<8>());
    last == due_last && bytes.iter().zip(due).all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b))
}

/// Releases the list for other readers, also if this one did not reach the end.
impl Drop for ListComparison {
    fn drop(&mut self) {
        if self.learns {
            self.memory.borrow_mut().learning.remove(&self.id);
        }
    }
}
