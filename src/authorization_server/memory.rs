//! What the authorization server remembers in an isolate: its identity provider, what failed, and what addresses asked for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::authorization_server::login::Provider;
use crate::jwks::key_set::KeySet;
use crate::limits::FAILURES;
use crate::policy::counters::{AddressLimit, CounterName, RateCounters};
use crate::time::UnixMillis;

/// What is known of the identity provider, for a while.
#[derive(Debug, Clone)]
pub struct KnownProvider {
    /// Where everything is.
    pub provider: Provider,
    /// Its keys, where they were needed.
    pub keys: Option<KeySet>,
    /// Until when it is believed.
    pub until: UnixMillis,
}

/// The memory of an isolate.
#[derive(Debug, Default)]
pub struct ServerMemory {
    provider: RefCell<Option<KnownProvider>>,
    /// What failed, and until when it is not tried again.
    failures: RefCell<BTreeMap<String, UnixMillis>>,
    /// How often network addresses asked for something: it outlives a change of configuration.
    pub counters: Rc<RefCell<RateCounters>>,
}

impl ServerMemory {
    /// An empty one, with these counters.
    #[must_use]
    pub fn sharing(counters: &Rc<RefCell<RateCounters>>) -> Self {
        Self { counters: Rc::clone(counters), ..Self::default() }
    }

    /// What is known of the identity provider, where it is fresh.
    #[must_use]
    pub fn known_provider(&self, now: UnixMillis) -> Option<KnownProvider> {
        self.provider.borrow().clone().filter(|known| now < known.until)
    }

    /// Keeps what is known of the identity provider.
    pub fn keep_provider(&self, known: KnownProvider) {
        *self.provider.borrow_mut() = Some(known);
    }

    /// Whether something of that name failed a moment ago.
    #[must_use]
    pub fn failed_lately(&self, name: &str, now: UnixMillis) -> bool {
        self.failures.borrow().get(name).is_some_and(|until| now < *until)
    }

    /// Notes that something failed, until then.
    pub fn note_failure(&self, name: &str, until: UnixMillis) {
        let mut failures = self.failures.borrow_mut();
        if failures.len() >= FAILURES {
            failures.clear();
        }
        failures.insert(name.to_owned(), until);
    }

    /// Counts what a network address asks for, in this isolate; whether that is within its limit.
    pub fn count_address(&self, limit: AddressLimit, key: String, now: UnixMillis) -> bool {
        let mut counters = self.counters.borrow_mut();
        counters.of_addresses(limit).count(&CounterName::of_caller(key), limit.rate(), now).is_ok()
    }
}
