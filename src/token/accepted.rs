//! Verifiers of credentials: all that the configuration has, those that one resource accepts, and the one that a given
//! credential is for.

use std::rc::Rc;

use crate::token::api_key::ApiKeySet;
use crate::token::custom::CustomVerifier;
use crate::token::issuer::{Introspection, Issuer};
use crate::token::verifier_id::VerifierId;

/// The verifiers of the whole configuration, or those that one resource accepts.
#[derive(Debug, Clone, Default)]
pub struct Verifiers {
    /// Issuers of tokens.
    pub issuers: Vec<Rc<Issuer>>,
    /// Sets of API keys.
    pub api_keys: Vec<Rc<ApiKeySet>>,
    /// Custom verifiers.
    pub custom: Vec<Rc<CustomVerifier>>,
}

impl Verifiers {
    /// The verifier with this id, if it is one of these.
    #[must_use]
    pub fn find(&self, id: VerifierId) -> Option<Verifier> {
        let issuer = |index: usize| self.issuers.iter().find(|issuer| issuer.index == index);
        match id {
            VerifierId::Jwt(index) => issuer(index).cloned().map(Verifier::Jwt),
            VerifierId::Introspection(index) => issuer(index).and_then(Verifier::introspection),
            VerifierId::ApiKeys(index) => {
                self.api_keys.iter().find(|set| set.index == index).cloned().map(Verifier::ApiKeys)
            }
            VerifierId::Custom(index) => {
                self.custom.iter().find(|custom| custom.index == index).cloned().map(Verifier::Custom)
            }
        }
    }

    /// Whether `issuer` is one of these.
    #[must_use]
    pub fn has_issuer(&self, issuer: &Issuer) -> bool {
        self.issuers.iter().any(|it| it.index == issuer.index)
    }

    /// The names by which rules refer to these verifiers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let issuers = self.issuers.iter().map(|issuer| issuer.name.as_str());
        let sets = self.api_keys.iter().map(|set| set.prefix.as_str());
        issuers.chain(sets).chain(self.custom.iter().map(|custom| custom.name.as_str()))
    }
}

/// The verifier that a credential is for.
#[derive(Debug, Clone)]
pub enum Verifier {
    /// A JWT of this issuer.
    Jwt(Rc<Issuer>),
    /// A token that the gateway introspects at this issuer (RFC 7662).
    Introspection(Rc<Issuer>, Rc<Introspection>),
    /// An API key of this set.
    ApiKeys(Rc<ApiKeySet>),
    /// A credential that this custom verifier verifies.
    Custom(Rc<CustomVerifier>),
}

impl Verifier {
    /// Introspection at this issuer, if it is configured.
    #[must_use]
    pub fn introspection(issuer: &Rc<Issuer>) -> Option<Self> {
        issuer.introspection.as_ref().map(|asked| Self::Introspection(Rc::clone(issuer), Rc::clone(asked)))
    }

    /// The id that identifies it in caches.
    #[must_use]
    pub fn id(&self) -> VerifierId {
        match self {
            Self::Jwt(issuer) => VerifierId::Jwt(issuer.index),
            Self::Introspection(issuer, _) => VerifierId::Introspection(issuer.index),
            Self::ApiKeys(set) => VerifierId::ApiKeys(set.index),
            Self::Custom(custom) => VerifierId::Custom(custom.index),
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Jwt(issuer) | Self::Introspection(issuer, _) => &issuer.name,
            Self::ApiKeys(set) => &set.prefix,
            Self::Custom(custom) => &custom.name,
        }
    }

    /// The issuer whose keys the verification may need.
    #[must_use]
    pub fn issuer(&self) -> Option<&Rc<Issuer>> {
        match self {
            Self::Jwt(issuer) | Self::Introspection(issuer, _) => Some(issuer),
            Self::ApiKeys(_) | Self::Custom(_) => None,
        }
    }
}
