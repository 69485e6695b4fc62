//! Lists that the origin server declares public (T31). The gateway keeps them as they came, for as long as `ttlMs`
//! says, together with what some readers may see of them.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::{
    CACHED_LIST_BYTES, CACHED_LIST_READINGS, CACHED_LIST_SECONDS, CACHED_LISTS_BYTES, CURSOR_BYTES,
    UNCACHED_LIST_SECONDS,
};
use crate::mcp::envelope::RequestId;
use crate::mcp::list_item::OmittedValue;
use crate::mcp::method::METHODS;
use crate::strict_json;
use crate::time::UnixMillis;

/// A list as it came from the origin server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachedList {
    /// The whole response body.
    pub body: String,
    /// When it expires, in milliseconds since the epoch.
    pub until: u64,
}

impl CachedList {
    /// The list in a response; `None` unless the response is a complete result that the origin server declares public,
    /// with a `ttlMs` above 0.
    #[must_use]
    pub fn of(body: &[u8], now: UnixMillis) -> Option<Self> {
        let response = strict_json::parse(body).ok()?;
        // Only a complete response to one request may be shared with other callers.
        if response.get("id").is_none_or(Value::is_null) || response.get("error").is_some() {
            return None;
        }
        let result = response.get("result")?;
        // Whatever does not fit would stay so until it expires.
        let is_complete = result.get("resultType").is_none_or(|kind| kind == "complete");
        let has_cursor = result.get("nextCursor").is_none_or(|cursor| match cursor {
            Value::Null => true,
            cursor => cursor.as_str().is_some_and(|cursor| cursor.len() <= CURSOR_BYTES),
        });
        let mut lists = METHODS.iter().filter_map(|method| method.list);
        let has_items = lists.any(|list| result.get(list.member).is_some_and(Value::is_array));
        if !is_complete || !has_cursor || !has_items {
            return None;
        }
        if result.get("cacheScope").and_then(Value::as_str) != Some("public") {
            return None;
        }
        let ttl = result.get("ttlMs").and_then(Value::as_u64).filter(|ttl| *ttl > 0)?;
        let until = now.0.saturating_add(ttl.min(CACHED_LIST_SECONDS * 1000));
        Some(Self { body: String::from_utf8(body.to_vec()).ok()?, until })
    }

    /// Parses a list that another isolate stored in the data-center (colo) cache; `None` if it is malformed, has
    /// expired, or expires too late.
    #[must_use]
    pub fn shared(text: &[u8], now: UnixMillis) -> Option<Self> {
        let list: Self = serde_json::from_value(strict_json::parse(text).ok()?).ok()?;
        (now.0 < list.until && list.until <= now.0 + CACHED_LIST_SECONDS * 1000).then_some(list)
    }
}

/// What a reader may see of a list, without the values that differ for each request.
#[derive(Debug, PartialEq, Eq)]
pub struct FilteredList {
    text: String,
    holes: Vec<(usize, OmittedValue)>,
    /// Whether another caller could see something else.
    pub depends_on_caller: bool,
}

impl FilteredList {
    /// Makes a reading from the output of a filter; `None` if the output is not UTF-8.
    #[must_use]
    pub fn new(text: Vec<u8>, holes: &[(usize, OmittedValue)], depends_on_caller: bool) -> Option<Self> {
        Some(Self { text: String::from_utf8(text).ok()?, holes: holes.to_vec(), depends_on_caller })
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.len() + 1024
    }

    /// The response to a request with this id, `ttl` milliseconds before the list expires.
    #[must_use]
    pub fn response(&self, id: &RequestId, ttl: u64) -> String {
        let mut response = String::with_capacity(self.text.len() + 64);
        let mut written = 0;
        for (at, hole) in &self.holes {
            response.push_str(self.text.get(written..*at).unwrap_or_default());
            response.push_str(&match hole {
                OmittedValue::Id => id.to_json(),
                OmittedValue::Ttl => ttl.to_string(),
            });
            written = *at;
        }
        response.push_str(self.text.get(written..).unwrap_or_default());
        response
    }
}

/// Lists in the memory of an isolate, for readers that may each see different items.
#[derive(Debug)]
pub struct ListCache<Reader> {
    lists: BTreeMap<String, Kept<Reader>>,
    bytes: usize,
}

impl<Reader> Default for ListCache<Reader> {
    fn default() -> Self {
        Self { lists: BTreeMap::new(), bytes: 0 }
    }
}

#[derive(Debug)]
struct Kept<Reader> {
    /// The list; `None` if it is not public, or too large to keep.
    list: Option<Rc<CachedList>>,
    until: UnixMillis,
    /// What readers may see of it: the most recent readers, or one reading that is the same for all.
    readings: Vec<(Reader, Rc<FilteredList>)>,
}

/// What the cache has of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheLookup {
    /// What this reader may see of it, and when it expires, in milliseconds since the epoch.
    FilteredList(Rc<FilteredList>, u64),
    /// The list, which still has to be filtered for this reader.
    List(Rc<CachedList>),
    /// It is not public, or too large to keep, so the gateway does not look for it in the data-center (colo) cache.
    Uncached,
    /// Nothing.
    Nothing,
}

impl<Reader: PartialEq + Clone> ListCache<Reader> {
    /// What the cache has of a list for a reader.
    #[must_use]
    pub fn get(&self, name: &str, caller: &Reader, now: UnixMillis) -> CacheLookup {
        let Some(kept) = self.lists.get(name).filter(|kept| now < kept.until) else { return CacheLookup::Nothing };
        let Some(list) = &kept.list else { return CacheLookup::Uncached };
        let own = |(reader, reading): &&(Reader, Rc<FilteredList>)| !reading.depends_on_caller || reader == caller;
        match kept.readings.iter().find(own) {
            Some((_, reading)) => CacheLookup::FilteredList(Rc::clone(reading), list.until),
            None => CacheLookup::List(Rc::clone(list)),
        }
    }

    /// Stores a list; with `None`, that the list is not public.
    pub fn keep(&mut self, name: String, list: Option<CachedList>, now: UnixMillis) -> Option<Rc<CachedList>> {
        let size = list.as_ref().map_or(0, |list| list.body.len()) + name.len() + 128;
        if let Some(old) = self.lists.remove(&name) {
            let readings: usize = old.readings.iter().map(|(_, reading)| reading.size()).sum();
            let list = old.list.map_or(0, |list| list.body.len()) + name.len() + 128;
            self.bytes = self.bytes.saturating_sub(readings + list);
        }
        self.make_room(size);
        let until = list.as_ref().map_or(now.plus_seconds(UNCACHED_LIST_SECONDS), |list| UnixMillis(list.until));
        let list = list.filter(|list| list.body.len() <= CACHED_LIST_BYTES).map(Rc::new);
        self.bytes += size;
        self.lists.insert(name, Kept { list: list.clone(), until, readings: Vec::new() });
        list
    }

    /// Stores what a reader may see of a stored list.
    pub fn keep_reading(&mut self, name: &str, caller: &Reader, reading: &Rc<FilteredList>) {
        let size = reading.size();
        // A reading that does not fit beside the existing entries is made again for each request.
        if self.bytes + size > CACHED_LISTS_BYTES {
            return;
        }
        let Some(kept) = self.lists.get_mut(name) else { return };
        if kept.readings.len() >= CACHED_LIST_READINGS {
            let (_, oldest) = kept.readings.remove(0);
            self.bytes = self.bytes.saturating_sub(oldest.size());
        }
        kept.readings.push((caller.clone(), Rc::clone(reading)));
        self.bytes += size;
    }

    /// Removes all lists if a new one does not fit; the gateway gets them again when a client asks for them.
    fn make_room(&mut self, size: usize) {
        if size > CACHED_LIST_BYTES || self.bytes + size > CACHED_LISTS_BYTES {
            self.lists.clear();
            self.bytes = 0;
        }
    }
}
