//! Custom verifiers that are compiled into the Worker.

use std::fmt;
use std::rc::Rc;

use crate::token::accepted::Verifiers;
use crate::token::custom::CustomVerifier;
use crate::token::verifier::TokenVerifier;

/// Custom verifiers that are compiled in, by their names in the configuration.
#[derive(Default)]
pub struct CompiledVerifiers(Vec<(&'static str, Box<dyn TokenVerifier>)>);

impl CompiledVerifiers {
    /// Adds a verifier.
    #[must_use]
    pub fn with(mut self, name: &'static str, verifier: impl TokenVerifier + 'static) -> Self {
        self.0.push((name, Box::new(verifier)));
        self
    }

    /// The verifier with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&dyn TokenVerifier> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, verifier)| verifier.as_ref())
    }

    /// The custom verifiers that the configuration expects to be compiled in, and that are not.
    pub fn missing<'a>(&'a self, verifiers: &'a Verifiers) -> impl Iterator<Item = &'a CustomVerifier> {
        let is_missing = |custom: &&CustomVerifier| custom.service.is_none() && self.named(&custom.name).is_none();
        verifiers.custom.iter().map(Rc::as_ref).filter(is_missing)
    }
}

impl fmt::Debug for CompiledVerifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
