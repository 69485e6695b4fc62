//! What an isolate knows of issuers: their keys, and where their metadata said that things are.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::jwks::freshness::KeyState;
use crate::jwks::key_set::KeySet;
use crate::time::UnixMillis;
use crate::token::issuer::{Issuer, IssuerKeys};

/// What is known of one issuer.
#[derive(Debug, Default)]
pub(super) struct IssuerState {
    pub(super) keys: RefCell<KeyState>,
    /// Where the metadata said that the keys are.
    pub(super) jwks_uri: RefCell<Option<String>>,
    /// Where the metadata said that tokens are asked about.
    pub(super) introspection_endpoint: RefCell<Option<String>>,
}

impl IssuerState {
    /// At the beginning: keys of the configuration are there, all others have to be fetched.
    fn first(issuer: &Issuer) -> Self {
        let keys = match &issuer.keys {
            IssuerKeys::Static(key) => KeyState::forever(KeySet::of_one((**key).clone())),
            IssuerKeys::Own(keys) => KeyState::forever((**keys).clone()),
            IssuerKeys::Discovered(_) | IssuerKeys::At(_) => KeyState::default(),
        };
        Self { keys: RefCell::new(keys), ..Self::default() }
    }

    /// For how many seconds its keys are still fresh, where there are any that age.
    pub(super) fn fresh_for(&self, now: UnixMillis) -> Option<u64> {
        let keys = self.keys.borrow();
        let ages = keys.keys().is_some() && keys.fresh_until() < UnixMillis(u64::MAX);
        ages.then(|| keys.fresh_until().since(now) / 1000)
    }
}

/// What is known of the issuers of a configuration, by their places in it.
#[derive(Debug, Default)]
pub(super) struct IssuerStates(RefCell<BTreeMap<usize, Rc<IssuerState>>>);

impl IssuerStates {
    /// What is known of an issuer.
    pub(super) fn of(&self, issuer: &Issuer) -> Rc<IssuerState> {
        let mut states = self.0.borrow_mut();
        Rc::clone(states.entry(issuer.index).or_insert_with(|| Rc::new(IssuerState::first(issuer))))
    }

    /// Takes over what was known of an issuer under an earlier configuration.
    pub(super) fn inherit(&self, issuer: &Issuer, known: Rc<IssuerState>) {
        self.0.borrow_mut().insert(issuer.index, known);
    }
}
