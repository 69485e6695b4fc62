//! The gateway of an isolate: its configuration and its memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::authorization_server::memory::ServerMemory;
use crate::authorization_server::settings::AuthorizationServer;
use crate::config::{self, Configuration, Mistakes, Secrets};
use crate::content::in_flight::InFlight;
use crate::forward::response_transform::AnswerMemory;
use crate::gateway::issuer_state::IssuerStates;
use crate::gateway::known_servers::KnownServers;
use crate::gateway::merged_lists::MergedLists;
use crate::gateway::remembered::RememberedDecisions;
use crate::gateway::resting::Resting;
use crate::mcp::list_cache::ListCache;
use crate::observe::decision::Chain;
use crate::observe::metrics::Metrics;
use crate::pipeline::verification::IsolateMemory;
use crate::platform_error::PlatformError;
use crate::policy::caller::Caller;
use crate::resource::landing_page;
use crate::settings::Settings;
use crate::time::UnixMillis;
use crate::token::cache::Counts;
use crate::token::compiled::CompiledVerifiers;
use crate::token::issuer::{Issuer, IssuerKeys};
use crate::token::revocation::list::{RevocationError, RevocationList};

/// A gateway with a valid configuration, and what it remembers about credentials, issuers and origin servers.
#[derive(Debug)]
pub struct Gateway {
    pub(super) settings: Settings,
    /// The version of its configuration, if that is in KV.
    pub(super) version: Option<String>,
    pub(super) compiled: CompiledVerifiers,
    /// The secret of this isolate, from which the keys of its hash tables are taken.
    pub(super) salt: [u8; 32],
    pub(super) issuers: IssuerStates,
    /// Whether the origin servers of resources answered, by the index of the resource in the configuration.
    pub(super) servers: RefCell<BTreeMap<usize, landing_page::ServerStatus>>,
    pub(super) memory: RefCell<IsolateMemory>,
    /// Decisions for requests with the same head.
    pub(super) remembered: RefCell<RememberedDecisions>,
    /// Cached public lists.
    pub(super) lists: RefCell<ListCache<Caller>>,
    /// Lists of several servers as one.
    pub(super) merged: RefCell<MergedLists>,
    /// Servers of federations that did not answer in time, by the index of their resource, and until when they are not asked.
    pub(super) resting: RefCell<Resting>,
    /// What it knows of the eras of servers and of sessions there, at resources of several servers.
    pub(super) known_servers: RefCell<KnownServers>,
    /// What it remembers of the answers of origin servers.
    pub(super) answers: AnswerMemory,
    /// The calls that run, for bounds.
    pub(super) in_flight: InFlight,
    /// The chain of decision log lines.
    pub(super) chain: Rc<RefCell<Chain>>,
    /// The gateway's own authorization server and its memory, if the configuration has one.
    pub(super) authorization_server: Option<(AuthorizationServer, ServerMemory)>,
    /// Counters for `/metrics`.
    pub(super) metrics: RefCell<Metrics>,
}

impl Gateway {
    /// Opens a gateway. `salt` is 32 unpredictable bytes, `compiled` has the verifiers that are compiled in.
    ///
    /// # Errors
    /// Every mistake of the configuration: see [`Configuration::load`].
    pub fn open(
        document: serde_json::Value,
        secrets: &dyn Secrets,
        salt: [u8; 32],
        compiled: CompiledVerifiers,
    ) -> Result<Self, Mistakes> {
        let Configuration { settings, authorization_server } = Configuration::load(document, secrets)?;
        let mut mistakes = Mistakes::new();
        for custom in compiled.missing(&settings.verifiers) {
            let name = &custom.name;
            mistakes.note(
                format_args!("verifiers[{}].compiled", custom.index),
                format_args!("no verifier {name:?} is compiled into this Worker"),
            );
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let memory = IsolateMemory::default();
        let authorization_server = authorization_server.map(|server| (server, ServerMemory::sharing(&memory.counters)));
        Ok(Self {
            settings,
            version: None,
            compiled,
            issuers: IssuerStates::default(),
            servers: RefCell::default(),
            memory: RefCell::new(memory),
            remembered: RefCell::new(RememberedDecisions::new(halves(&salt).0)),
            lists: RefCell::default(),
            merged: RefCell::default(),
            resting: RefCell::default(),
            known_servers: RefCell::default(),
            answers: AnswerMemory::default(),
            in_flight: InFlight::default(),
            chain: Rc::new(RefCell::new(Chain::begin(&salt))),
            authorization_server,
            metrics: RefCell::default(),
            salt,
        })
    }

    /// Opens the gateway for a new configuration, which replaces this one. It keeps data whose loss an attacker could
    /// use: used proofs, rate limit counters, the chain of the decision log. It also keeps the keys of issuers whose
    /// key location has not changed, because their provider may be down at this moment. It forgets verified
    /// credentials, lists and revocations, because they depend on the old configuration.
    ///
    /// # Errors
    /// Every mistake of the configuration: see [`Configuration::load`].
    pub fn after(
        &self,
        document: serde_json::Value,
        secrets: &dyn Secrets,
        compiled: CompiledVerifiers,
    ) -> Result<Self, Mistakes> {
        let mut next = Self::open(document, secrets, self.salt, compiled)?;
        next.chain = Rc::clone(&self.chain);
        next.in_flight = self.in_flight.clone();
        {
            let (memory, known) = (next.memory.get_mut(), self.memory.borrow());
            memory.proofs = Rc::clone(&known.proofs);
            memory.counters = Rc::clone(&known.counters);
            if let Some((_, server)) = &mut next.authorization_server {
                server.counters = Rc::clone(&known.counters);
            }
        }
        for issuer in &next.settings.verifiers.issuers {
            let same =
                |old: &&Rc<Issuer>| old.identifier == issuer.identifier && are_at_one_place(&old.keys, &issuer.keys);
            if let Some(old) = self.settings.verifiers.issuers.iter().find(same) {
                next.issuers.inherit(issuer, self.issuers.of(old));
            }
        }
        Ok(next)
    }

    /// The key of the hashes under which credentials are cached.
    pub(super) fn credentials_key(&self) -> [u8; 16] {
        halves(&self.salt).1
    }

    /// The configuration.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The authorization server, if the configuration has one.
    pub(super) fn server(&self) -> Option<&AuthorizationServer> {
        self.authorization_server.as_ref().map(|(server, _)| server)
    }

    /// Warnings for the operator about a valid configuration.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        config::warnings(&self.settings)
    }

    /// The bindings that the configuration names: see [`config::bindings`].
    #[must_use]
    pub fn bindings(&self) -> Vec<(&str, &'static str, String)> {
        config::bindings(&self.settings, self.authorization_server.as_ref().map(|(server, _)| server))
    }

    /// How many bytes merged lists keep in memory.
    #[must_use]
    pub fn merged_lists_bytes(&self) -> usize {
        self.merged.borrow().bytes()
    }

    /// The cache hits and misses for credentials, and the entries and bytes of the cache.
    #[must_use]
    pub fn token_cache(&self) -> (Counts, (usize, usize)) {
        let memory = self.memory.borrow();
        (memory.cache.counts(), memory.cache.size())
    }

    /// Stores the revocation list that was read at `asked`, and forgets cached credentials that it revokes. Returns the
    /// number of its entries.
    ///
    /// # Errors
    /// [`RevocationError`] if the list does not exist or cannot be read.
    pub fn store_revocations(
        &self,
        document: Result<Option<Vec<u8>>, PlatformError>,
        asked: UnixMillis,
        now: UnixMillis,
    ) -> Result<usize, RevocationError> {
        let list = document
            .map_err(RevocationError::Store)
            .and_then(|document| document.ok_or(RevocationError::Missing))
            .and_then(|document| RevocationList::parse(&document));
        let memory = &mut *self.memory.borrow_mut();
        match list {
            Ok(list) => {
                let entries = list.len();
                memory.cache.retain(|token| !list.revokes(token));
                memory.revocations.stored(list, asked);
                Ok(entries)
            }
            Err(error) => {
                memory.revocations.age.failed(now);
                Err(error)
            }
        }
    }
}

/// Two keys that say nothing about each other.
fn halves(salt: &[u8; 32]) -> ([u8; 16], [u8; 16]) {
    let (mut first, mut second) = ([0; 16], [0; 16]);
    first.iter_mut().chain(&mut second).zip(salt).for_each(|(byte, part)| *byte = *part);
    (first, second)
}

fn are_at_one_place(one: &IssuerKeys, other: &IssuerKeys) -> bool {
    match (one, other) {
        (IssuerKeys::Discovered(one), IssuerKeys::Discovered(other)) => one == other,
        (IssuerKeys::At(one), IssuerKeys::At(other)) => one == other,
        // Static keys and the gateway's own keys are in the configuration itself.
        (IssuerKeys::Static(_) | IssuerKeys::Own(_) | IssuerKeys::Discovered(_) | IssuerKeys::At(_), _) => false,
    }
}
