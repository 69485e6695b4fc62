//! What outlives a change of configuration.

use std::rc::Rc;

use crate::config::{Mistakes, Secrets};
use crate::gateway::Gateway;
use crate::pipeline::authenticate::Compiled;
use crate::token::issuer::{Issuer, IssuerKeys};

impl Gateway {
    /// Opens the gateway that comes after this one. What forgetting would open stays: used proofs, how often callers
    /// called, the run of recorded decisions; and the keys of issuers that are still where they were, as their provider may
    /// be down just now. Verified credentials, lists and revocations were judged by the old configuration, and are forgotten.
    ///
    /// # Errors
    /// Every mistake of the configuration: see [`Settings::load`].
    pub fn after(
        &self,
        document: serde_json::Value,
        secrets: &dyn Secrets,
        compiled: Compiled,
    ) -> Result<Self, Mistakes> {
        let mut next = Self::open(document, secrets, self.salt, compiled)?;
        next.chain = Rc::clone(&self.chain);
        {
            let (memory, known) = (next.memory.get_mut(), self.memory.borrow());
            memory.proofs = Rc::clone(&known.proofs);
            memory.counters = Rc::clone(&known.counters);
            if let Some((_, server)) = &mut next.authorization_server {
                server.counters = Rc::clone(&known.counters);
            }
        }
        for issuer in &next.config.verifiers.issuers {
            let same =
                |old: &&Rc<Issuer>| old.identifier == issuer.identifier && are_at_one_place(&old.keys, &issuer.keys);
            if let Some(old) = self.config.verifiers.issuers.iter().find(same) {
                next.issuers.inherit(issuer, self.issuers.of(old));
            }
        }
        Ok(next)
    }
}

fn are_at_one_place(one: &IssuerKeys, other: &IssuerKeys) -> bool {
    match (one, other) {
        (IssuerKeys::Discovered(one), IssuerKeys::Discovered(other)) => one == other,
        (IssuerKeys::At(one), IssuerKeys::At(other)) => one == other,
        // These are in the configuration itself.
        _ => false,
    }
}
