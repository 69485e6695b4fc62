//! Rate-limit counters in the memory of an isolate. They count in fixed periods, like the rate-limiting binding of
//! Workers.
//!
//! Memory is limited, and no caller can use up the memory that others need:
//!
//! 1. Expired counters are removed first.
//! 2. One caller holds at most [`COUNTERS_OF_ONE_CALLER`] counters. Further names that it calls count together, in one
//!    counter of that caller for each limit.
//! 3. If the table is full nevertheless, the oldest counter is removed. The gateway never rejects a new caller for lack
//!    of room.
//! 4. Each purpose has its own table ([`RateCounters`]).

use crate::policy::limit::Limit;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::limits::{
    CLIENT_KEYS_PER_MINUTE, COUNTERS_OF_ONE_CALLER, DEVICES_PER_MINUTE, DOCUMENT_COUNTERS, DOCUMENTS_PER_MINUTE,
    LIMIT_COUNTERS, LOGIN_COUNTERS, LOGINS_PER_MINUTE, REFUSAL_COUNTERS, REGISTRATION_COUNTERS,
    REGISTRATIONS_PER_MINUTE, USER_CODES_PER_MINUTE,
};
use crate::time::UnixMillis;

/// A counter that the gateway has to check at a rate-limiting binding.
#[derive(Debug, Clone)]
pub struct RateLimitCheck {
    /// The limit.
    pub limit: Rc<Limit>,
    /// The binding.
    pub binding: String,
    /// The counter.
    pub counter: CounterName,
}

/// Which counter a request counts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterName {
    /// The key of the counter.
    pub key: String,
    /// The key of the caller's shared counter for this limit, which is used once the caller holds its maximum number of
    /// counters.
    pub shared: String,
    /// The caller that the counter belongs to.
    pub owner: String,
}

impl CounterName {
    /// The counter of a caller that has only one.
    #[must_use]
    pub fn of_caller(key: String) -> Self {
        Self { shared: key.clone(), owner: key.clone(), key }
    }
}

/// Maximum number of requests in a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests.
    pub requests: u64,
    /// Seconds.
    pub seconds: u64,
}

impl Rate {
    /// This many requests in a minute.
    #[must_use]
    pub const fn per_minute(requests: u64) -> Self {
        Self { requests, seconds: 60 }
    }
}

/// What the authorization server limits for each network address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressLimit {
    /// Key sets of clients that the gateway fetches for the address.
    ClientKeys,
    /// Devices that begin to wait for their user at the address.
    Device,
    /// Client ID metadata documents that the gateway fetches for the address.
    Document,
    /// Logins that begin at the address.
    Login,
    /// Client registrations from the address.
    Registration,
    /// User codes of devices that are entered at the address.
    UserCode,
}

impl AddressLimit {
    /// The maximum rate.
    #[must_use]
    pub fn rate(self) -> Rate {
        Rate::per_minute(match self {
            Self::ClientKeys => CLIENT_KEYS_PER_MINUTE,
            Self::Device => DEVICES_PER_MINUTE,
            Self::Document => DOCUMENTS_PER_MINUTE,
            Self::Login => LOGINS_PER_MINUTE,
            Self::Registration => REGISTRATIONS_PER_MINUTE,
            Self::UserCode => USER_CODES_PER_MINUTE,
        })
    }

    /// Its name in the keys of counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientKeys => "client keys",
            Self::Device => "device",
            Self::Document => "document",
            Self::Login => "login",
            Self::Registration => "registration",
            Self::UserCode => "user code",
        }
    }
}

/// The counters of this isolate, one table for each purpose.
#[derive(Debug)]
pub struct RateCounters {
    /// Rate limits of resources.
    pub resources: Counters,
    /// Requests that the policy refused, by caller.
    pub refusals: Counters,
    /// Both, for callers without credentials: they must not push the counters of others out of their tables.
    pub anonymous: Counters,
    client_keys: Counters,
    devices: Counters,
    documents: Counters,
    logins: Counters,
    registrations: Counters,
    user_codes: Counters,
}

impl Default for RateCounters {
    fn default() -> Self {
        Self {
            resources: Counters::new(LIMIT_COUNTERS),
            refusals: Counters::new(REFUSAL_COUNTERS),
            anonymous: Counters::new(LIMIT_COUNTERS),
            client_keys: Counters::new(DOCUMENT_COUNTERS),
            devices: Counters::new(REGISTRATION_COUNTERS),
            documents: Counters::new(DOCUMENT_COUNTERS),
            logins: Counters::new(LOGIN_COUNTERS),
            registrations: Counters::new(REGISTRATION_COUNTERS),
            user_codes: Counters::new(REGISTRATION_COUNTERS),
        }
    }
}

impl RateCounters {
    /// The table for the limits of a resource.
    pub fn of_resources(&mut self, is_anonymous: bool) -> &mut Counters {
        if is_anonymous { &mut self.anonymous } else { &mut self.resources }
    }

    /// The table for requests that the policy refused.
    pub fn of_refusals(&mut self, is_anonymous: bool) -> &mut Counters {
        if is_anonymous { &mut self.anonymous } else { &mut self.refusals }
    }

    /// The table for a limit on network addresses.
    pub fn of_addresses(&mut self, limit: AddressLimit) -> &mut Counters {
        match limit {
            AddressLimit::ClientKeys => &mut self.client_keys,
            AddressLimit::Device => &mut self.devices,
            AddressLimit::Document => &mut self.documents,
            AddressLimit::Login => &mut self.logins,
            AddressLimit::Registration => &mut self.registrations,
            AddressLimit::UserCode => &mut self.user_codes,
        }
    }
}

#[derive(Debug)]
struct Counter {
    used: u64,
    until: u64,
    age: u64,
    /// The caller that it belongs to; `None` for a shared counter, of which each caller has one for each limit.
    owner: Option<String>,
}

/// Counters of one purpose.
#[derive(Debug)]
pub struct Counters {
    most: usize,
    by_name: HashMap<String, Counter>,
    /// The end of the period and the age of each counter, in this order.
    by_end: BTreeSet<(u64, u64)>,
    /// The key of each counter, by age.
    by_age: BTreeMap<u64, String>,
    /// How many counters each caller holds.
    shares: HashMap<String, usize>,
    next_age: u64,
}

impl Counters {
    /// An empty table with room for `most` counters.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            by_name: HashMap::new(),
            by_end: BTreeSet::new(),
            by_age: BTreeMap::new(),
            shares: HashMap::new(),
            next_age: 0,
        }
    }

    /// How many counters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Counts one request.
    ///
    /// # Errors
    /// The seconds until the next period, if the request is over the limit.
    pub fn count(&mut self, name: &CounterName, rate: Rate, now: UnixMillis) -> Result<(), u64> {
        self.check(name, rate, now)?;
        self.add(name, rate, now);
        Ok(())
    }

    fn add(&mut self, name: &CounterName, rate: Rate, now: UnixMillis) {
        let seconds = now.seconds();
        let until = period_end(rate, seconds);
        let key = self.key(name, seconds);
        if let Some(counter) = self.by_name.get_mut(&key).filter(|counter| counter.until == until) {
            counter.used += 1;
            return;
        }
        self.remove(&key);
        if self.by_name.len() >= self.most
            && let Some(oldest) = self.by_age.first_key_value().map(|(_, key)| key.clone())
        {
            self.remove(&oldest);
        }
        let owner = (key != name.shared || name.shared == name.key).then(|| name.owner.clone());
        self.insert(key, Counter { used: 1, until, age: self.next_age, owner });
    }

    /// Counts one HTTP request in several counters: in all of them, or in none if one is over its limit.
    ///
    /// # Errors
    /// The index of the counter that is over its limit, and the seconds until the next period.
    pub fn count_all(&mut self, all: &[(CounterName, Rate)], now: UnixMillis) -> Result<(), (usize, u64)> {
        self.check_all(all, now)?;
        for (name, rate) in all {
            self.add(name, *rate, now);
        }
        Ok(())
    }

    /// Checks whether [`Self::count_all`] would succeed, without counting.
    ///
    /// # Errors
    /// The index of the counter that is over its limit, and the seconds until the next period.
    pub fn check_all(&mut self, all: &[(CounterName, Rate)], now: UnixMillis) -> Result<(), (usize, u64)> {
        let seconds = now.seconds();
        let mut asked: HashMap<(String, u64), u64> = HashMap::new();
        // How many further counters each caller would hold.
        let mut more: HashMap<&str, usize> = HashMap::new();
        for (at, (name, rate)) in all.iter().enumerate() {
            let until = period_end(*rate, seconds);
            let mut key = self.key(name, seconds);
            if key == name.key && !self.by_name.contains_key(&key) && !asked.contains_key(&(key.clone(), until)) {
                let held = self.shares.get(&name.owner).copied().unwrap_or_default();
                let more = more.entry(&name.owner).or_default();
                if held + *more < COUNTERS_OF_ONE_CALLER {
                    *more += 1;
                } else {
                    key.clone_from(&name.shared);
                }
            }
            let used =
                self.by_name.get(&key).filter(|counter| counter.until == until).map_or(0, |counter| counter.used);
            let asked = asked.entry((key, until)).or_default();
            if used + *asked >= rate.requests {
                return Err((at, until.saturating_sub(seconds).max(1)));
            }
            *asked += 1;
        }
        Ok(())
    }

    /// Checks whether one more request is within the limit.
    ///
    /// # Errors
    /// The seconds until the next period, if it is not.
    pub fn check(&mut self, name: &CounterName, rate: Rate, now: UnixMillis) -> Result<(), u64> {
        let seconds = now.seconds();
        let until = period_end(rate, seconds);
        let key = self.key(name, seconds);
        let used = self.by_name.get(&key).filter(|counter| counter.until == until).map_or(0, |counter| counter.used);
        if used < rate.requests { Ok(()) } else { Err(until.saturating_sub(seconds).max(1)) }
    }

    /// The key that a request counts under: its own or, if the caller already holds its maximum number of counters, the
    /// caller's shared key.
    fn key(&mut self, name: &CounterName, now: u64) -> String {
        if !self.by_name.contains_key(&name.key) {
            self.remove_expired(now);
            if self.shares.get(&name.owner).is_some_and(|held| *held >= COUNTERS_OF_ONE_CALLER) {
                return name.shared.clone();
            }
        }
        name.key.clone()
    }

    fn remove_expired(&mut self, now: u64) {
        while let Some((_, age)) = self.by_end.first().copied().filter(|(until, _)| *until <= now) {
            let Some(key) = self.by_age.get(&age).cloned() else { return };
            self.remove(&key);
        }
    }

    fn insert(&mut self, key: String, counter: Counter) {
        self.by_end.insert((counter.until, counter.age));
        self.by_age.insert(counter.age, key.clone());
        if let Some(owner) = &counter.owner {
            *self.shares.entry(owner.clone()).or_default() += 1;
        }
        self.by_name.insert(key, counter);
        self.next_age += 1;
    }

    fn remove(&mut self, key: &str) {
        let Some(counter) = self.by_name.remove(key) else { return };
        self.by_end.remove(&(counter.until, counter.age));
        self.by_age.remove(&counter.age);
        let Some(owner) = counter.owner else { return };
        if let Some(held) = self.shares.get_mut(&owner) {
            *held -= 1;
            if *held == 0 {
                self.shares.remove(&owner);
            }
        }
    }
}

fn period_end(rate: Rate, now: u64) -> u64 {
    (now / rate.seconds + 1) * rate.seconds
}
