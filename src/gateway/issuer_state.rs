//! What an isolate knows about issuers: their keys, and the endpoints that their metadata names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::jwks::freshness::KeyState;
use crate::jwks::key_set::KeySet;
use crate::time::UnixMillis;
use crate::token::issuer::{Issuer, IssuerKeys};

/// What the isolate knows about one issuer.
#[derive(Debug, Default)]
pub(super) struct IssuerState {
    pub(super) keys: RefCell<KeyState>,
    /// The `jwks_uri` of its metadata.
    pub(super) jwks_uri: RefCell<Option<String>>,
    /// The `introspection_endpoint` of its metadata.
    pub(super) introspection_endpoint: RefCell<Option<String>>,
}

impl IssuerState {
    /// The initial state: keys in the configuration are ready, all others have to be fetched.
    fn first(issuer: &Issuer) -> Self {
        let keys = match &issuer.keys {
            IssuerKeys::Static(key) => KeyState::forever(KeySet::of_one((**key).clone())),
            IssuerKeys::Own(keys) => KeyState::forever((**keys).clone()),
            IssuerKeys::Discovered(_) | IssuerKeys::At(_) => KeyState::default(),
        };
        Self { keys: RefCell::new(keys), ..Self::default() }
    }

    /// Seconds for which its keys are still fresh; `None` if it has no keys or they never expire.
    pub(super) fn fresh_for(&self, now: UnixMillis) -> Option<u64> {
        let keys = self.keys.borrow();
        let ages = keys.keys().is_some() && keys.fresh_until() < UnixMillis(u64::MAX);
        ages.then(|| keys.fresh_until().since(now) / 1000)
    }
}

/// The state of the issuers of a configuration, by their index in it.
#[derive(Debug, Default)]
pub(super) struct IssuerStates(RefCell<BTreeMap<usize, Rc<IssuerState>>>);

impl IssuerStates {
    /// The state of an issuer.
    pub(super) fn of(&self, issuer: &Issuer) -> Rc<IssuerState> {
        let mut states = self.0.borrow_mut();
        Rc::clone(states.entry(issuer.index).or_insert_with(|| Rc::new(IssuerState::first(issuer))))
    }

    /// Takes over the state of an issuer from an earlier configuration.
    pub(super) fn inherit(&self, issuer: &Issuer, known: Rc<IssuerState>) {
        self.0.borrow_mut().insert(issuer.index, known);
    }
}
