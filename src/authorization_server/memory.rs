//! What the authorization server remembers in an isolate: its identity provider, recent failures, and counts of
//! requests by network address.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use crate::authorization_server::login::Provider;
use crate::authorization_server::third_party::ThirdParty;
use crate::jwks::freshness::KeyState;
use crate::limits::{CLIENT_KEY_SETS, FAILURES};
use crate::policy::counters::{AddressLimit, CounterName, RateCounters};
use crate::time::UnixMillis;
use crate::token::binding::replay::ReplayMemory;

/// What is known about the identity provider, with a time limit.
#[derive(Debug, Clone)]
pub struct KnownProvider {
    /// Its endpoints.
    pub provider: Provider,
    /// The moment from which the gateway must ask again.
    pub until: UnixMillis,
}

/// What is remembered of an identity provider.
#[derive(Debug, Default)]
pub struct ProviderMemory {
    known: RefCell<Option<KnownProvider>>,
    /// Its keys, which sign ID tokens.
    pub keys: RefCell<KeyState>,
}

impl ProviderMemory {
    /// What is known about it, if that is still fresh.
    #[must_use]
    pub fn known_provider(&self, now: UnixMillis) -> Option<KnownProvider> {
        self.known.borrow().clone().filter(|known| now < known.until)
    }

    /// Stores what is known about it. Keys of another location than before are forgotten.
    pub fn keep_provider(&self, known: KnownProvider) {
        let mut provider = self.known.borrow_mut();
        if provider.as_ref().is_some_and(|old| old.provider.jwks != known.provider.jwks) {
            *self.keys.borrow_mut() = KeyState::default();
        }
        *provider = Some(known);
    }
}

/// The digest of a client's `jwks_uri`, and its keys.
type ClientKeys = ([u8; 32], Rc<RefCell<KeyState>>);

/// The memory of an isolate.
#[derive(Debug, Default)]
pub struct ServerMemory {
    /// The identity providers, by the index of the login.
    providers: RefCell<BTreeMap<usize, Rc<ProviderMemory>>>,
    /// The keys of clients, by the digest of their `jwks_uri`; the oldest first.
    client_keys: RefCell<Vec<ClientKeys>>,
    /// The keys of trusted issuers, by their index.
    trusted_keys: RefCell<BTreeMap<usize, Rc<RefCell<KeyState>>>>,
    /// DPoP proofs that were used at the token endpoint.
    pub proofs: RefCell<ReplayMemory>,
    /// What failed, and the moment from which the gateway may try it again.
    failures: RefCell<BTreeMap<String, UnixMillis>>,
    /// The authorization servers of origin servers, by the index of the resource, and until when they are known.
    third_parties: RefCell<BTreeMap<usize, (ThirdParty, UnixMillis)>>,
    /// Counts of requests by network address; they outlive a change of the configuration.
    pub counters: Rc<RefCell<RateCounters>>,
}

impl ServerMemory {
    /// An empty memory with these counters.
    #[must_use]
    pub fn sharing(counters: &Rc<RefCell<RateCounters>>) -> Self {
        Self { counters: Rc::clone(counters), ..Self::default() }
    }

    /// What is remembered of the identity provider of a login.
    #[must_use]
    pub fn provider_of(&self, login: usize) -> Rc<ProviderMemory> {
        Rc::clone(self.providers.borrow_mut().entry(login).or_default())
    }

    /// The authorization server of the origin server of a resource, if it is known.
    #[must_use]
    pub fn third_party(&self, resource: usize, now: UnixMillis) -> Option<ThirdParty> {
        let known = self.third_parties.borrow();
        known.get(&resource).filter(|(_, until)| now < *until).map(|(third_party, _)| third_party.clone())
    }

    /// Stores it.
    pub fn keep_third_party(&self, resource: usize, third_party: ThirdParty, until: UnixMillis) {
        self.third_parties.borrow_mut().insert(resource, (third_party, until));
    }

    /// The state of the keys at the `jwks_uri` of a client. If there are too many, those of the oldest are forgotten.
    #[must_use]
    pub fn client_keys(&self, uri: &str) -> Rc<RefCell<KeyState>> {
        let mut all = self.client_keys.borrow_mut();
        let name: [u8; 32] = Sha256::digest(uri).into();
        if let Some((_, keys)) = all.iter().find(|(known, _)| *known == name) {
            return Rc::clone(keys);
        }
        if all.len() >= CLIENT_KEY_SETS {
            all.remove(0);
        }
        let keys = Rc::<RefCell<KeyState>>::default();
        all.push((name, Rc::clone(&keys)));
        keys
    }

    /// The state of the keys of the trusted issuer at this index.
    #[must_use]
    pub fn trusted_keys(&self, issuer: usize) -> Rc<RefCell<KeyState>> {
        Rc::clone(self.trusted_keys.borrow_mut().entry(issuer).or_default())
    }

    /// Whether the request with this name failed, and must not be tried again yet.
    #[must_use]
    pub fn failed_lately(&self, name: &str, now: UnixMillis) -> bool {
        self.failures.borrow().get(name).is_some_and(|until| now < *until)
    }

    /// Notes a failure: the gateway must not try it again before `until`.
    pub fn note_failure(&self, name: &str, until: UnixMillis) {
        let mut failures = self.failures.borrow_mut();
        if failures.len() >= FAILURES {
            failures.clear();
        }
        failures.insert(name.to_owned(), until);
    }

    /// Counts a request of a network address in this isolate, and returns whether the address is within the limit.
    pub fn count_address(&self, limit: AddressLimit, key: String, now: UnixMillis) -> bool {
        let mut counters = self.counters.borrow_mut();
        counters.of_addresses(limit).count(&CounterName::of_caller(key), limit.rate(), now).is_ok()
    }
}
