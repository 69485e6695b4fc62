//! Public lists that the gateway answers from its caches.

use std::rc::Rc;

use crate::forward::body_filter::CacheCandidate;
use crate::forward::list_key::list_key;
use crate::forward::response_transform::ResponseTransform;
use crate::gateway::active_request::{Action, ActiveRequest, Suspended};
use crate::gateway::open::Gateway;
use crate::mcp::list_cache::{CacheLookup, CachedList, FilteredList};
use crate::mcp::message::Message;
use crate::observe::event::gateway_line;
use crate::pipeline::inspect::Inspected;
use crate::pipeline::permit::Permit;
use crate::pipeline::rejection::Rejection;
use crate::policy::caller::Caller;
use crate::ports::Ports;
use crate::time::UnixMillis;
use crate::transport::head::Fields;

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// Answers a request for a list from memory, or looks for the list in the data-center (colo) cache; forwards the
    /// request if the list is not cached.
    pub(super) fn answer_list(self, permit: Permit, (key, caller): (String, Caller)) -> Action {
        let known = self.gateway.lists.borrow().get(&key, &caller, self.ports.now());
        match known {
            CacheLookup::FilteredList(reading, until) => self.list_answer(&permit, &reading, until),
            CacheLookup::List(list) => self.read_list(&permit, &key, &list),
            CacheLookup::Uncached => self.forward(permit),
            CacheLookup::Nothing => self.wait(permit, |request| Action::RecallList(key, request)),
        }
    }

    fn read_list(self, permit: &Permit, key: &str, list: &CachedList) -> Action {
        let reading = ResponseTransform::of(permit, &self.gateway.settings, &self.gateway.answers).read(list);
        let reading = match reading.map_err(Rejection::OriginMalformed) {
            Ok(reading) => Rc::new(reading),
            Err(rejection) => return self.refuse(rejection),
        };
        for (reason, text) in self.gateway.answers.definitions.borrow_mut().take_lines() {
            self.ports.line(&gateway_line("warn", reason, &text, self.ports.now()));
        }
        if let Some(caller) = permit.inspected().map(Inspected::caller) {
            self.gateway.lists.borrow_mut().keep_reading(key, &caller, &reading);
        }
        self.list_answer(permit, &reading, list.until)
    }

    fn list_answer(self, permit: &Permit, reading: &FilteredList, until: u64) -> Action {
        let id = permit.inspected().and_then(|it| it.messages()?.first().map(Message::id)).unwrap_or_default();
        let body = reading.response(&id, until.saturating_sub(self.ports.now().0));
        let mut fields = Fields::new();
        fields.set("content-type", "application/json");
        self.answer(200, fields, body, "cached_list")
    }
}

impl Suspended<Permit> {
    /// Continues with the result from the data-center (colo) cache.
    #[must_use]
    pub fn list_recalled<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        (key, found): (String, Option<Vec<u8>>),
    ) -> Action {
        let (active, permit) = self.resume(gateway, ports);
        let now = ports.now();
        let list = found.and_then(|text| CachedList::shared(&text, now));
        let list = list.and_then(|list| gateway.lists.borrow_mut().keep(key.clone(), Some(list), now));
        match list {
            Some(list) => active.read_list(&permit, &key, &list),
            None => active.forward(permit),
        }
    }
}

impl Gateway {
    /// Caches a list of an origin server that calls it public. Returns the list if other isolates should get it too.
    pub(super) fn keep_list(&self, kept: CacheCandidate, now: UnixMillis) -> Option<Rc<CachedList>> {
        self.lists.borrow_mut().keep(kept.name, CachedList::of(&kept.body, now), now)
    }
}

/// The cache key of the list that a request asks for, and the caller; `None` if the request does not ask for a list
/// that may be cached.
pub(super) fn cacheable_list(permit: &Permit) -> Option<(String, Caller)> {
    let inspected = permit.inspected()?;
    Some((list_key(permit)?, inspected.caller()))
}
