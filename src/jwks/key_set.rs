//! A JWK set (RFC 7517 §5), and how the gateway selects a key from it.

use std::error::Error;
use std::fmt;

use serde_json::Value;

use crate::jwks::key::{JwsAlgorithm, KeyError, VerificationKey};
use crate::limits::JWKS_KEYS;
use crate::strict_json::{self, StrictJsonError};

/// Why a document is not a JWK set that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySetError {
    /// The document is not strict JSON.
    NotJson(StrictJsonError),
    /// The document has no array `keys`.
    NoKeys,
    /// Each key is left out, for these reasons.
    NoUsableKey(Vec<KeyError>),
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(error) => write!(f, "the JWK set is {error}"),
            Self::NoKeys => f.write_str("the document has no array `keys`: not a JWK set"),
            Self::NoUsableKey(why) => {
                let why: Vec<String> = why.iter().map(ToString::to_string).collect();
                write!(f, "the JWK set has no usable key ({} skipped: {})", why.len(), why.join("; "))
            }
        }
    }
}

impl Error for KeySetError {}

/// The usable keys of an issuer.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
    /// Keys that were left out, with the reason: RFC 7517 §5 recommends to ignore unknown kinds, and a weak key must
    /// not make the strong keys unusable.
    skipped: Vec<(Option<String>, KeyError)>,
    /// How many keys follow the first [`JWKS_KEYS`]; they are not read.
    beyond: usize,
    /// Whether the set is one key from the configuration: if it has no id, tokens may have any `kid`, because there is
    /// only one key.
    fixed: bool,
}

impl KeySet {
    /// Reads a JWK set.
    ///
    /// # Errors
    /// A description if the text is not a JWK set, or has no usable key.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let document = strict_json::parse(text).map_err(KeySetError::NotJson)?;
        let entries = document.get("keys").and_then(Value::as_array).ok_or(KeySetError::NoKeys)?;
        let mut set = Self { beyond: entries.len().saturating_sub(JWKS_KEYS), ..Self::default() };
        for entry in entries.iter().take(JWKS_KEYS) {
            match VerificationKey::parse(entry) {
                Ok(key) => set.keys.push(key),
                Err(error) => set.skipped.push((entry.get("kid").and_then(Value::as_str).map(str::to_owned), error)),
            }
        }
        if set.keys.is_empty() {
            return Err(KeySetError::NoUsableKey(set.skipped.into_iter().map(|(_, error)| error).collect()));
        }
        Ok(set)
    }

    /// A set of one key.
    #[must_use]
    pub fn of_one(key: VerificationKey) -> Self {
        Self { keys: vec![key], fixed: true, ..Self::default() }
    }

    /// The key for a token with this `kid` and algorithm. A token without `kid` gets a key only if exactly one fits: if
    /// the gateway tried several keys, the caller could choose among them.
    ///
    /// # Errors
    /// [`NoKey`] states what is missing.
    pub fn select(&self, kid: Option<&str>, algorithm: JwsAlgorithm) -> Result<&VerificationKey, NoKey> {
        let named = |key: &&VerificationKey| kid.is_none() || key.id() == kid || (self.fixed && key.id().is_none());
        let mut named = self.keys.iter().filter(named).peekable();
        if named.peek().is_none() {
            let refused = kid.is_some() && self.skipped.iter().any(|(id, _)| id.as_deref() == kid);
            return Err(if refused { NoKey::Unusable } else { NoKey::UnknownKid });
        }
        let mut fitting = named.filter(|key| key.fits(algorithm));
        let key = fitting.next().ok_or(NoKey::DoesNotFit)?;
        // The same key twice, even with two algorithms, counts as one key.
        if fitting.all(|other| other.thumbprint() == key.thumbprint()) { Ok(key) } else { Err(NoKey::Several) }
    }

    /// Whether the key with this id and thumbprint is in the set.
    #[must_use]
    pub fn contains(&self, id: Option<&str>, thumbprint: &str) -> bool {
        self.keys.iter().any(|key| key.id() == id && key.thumbprint() == thumbprint)
    }

    /// Whether the set has a key with this id, usable or not.
    #[must_use]
    pub fn knows(&self, kid: &str) -> bool {
        let ids = self.keys.iter().map(VerificationKey::id).chain(self.skipped.iter().map(|(id, _)| id.as_deref()));
        ids.flatten().any(|id| id == kid)
    }

    /// The reasons why keys were left out.
    pub fn skipped(&self) -> impl Iterator<Item = &KeyError> {
        self.skipped.iter().map(|(_, error)| error)
    }

    /// How many keys are usable, how many were left out, and how many were not read.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.keys.len(), self.skipped.len(), self.beyond)
    }
}

/// Why no key was selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// The key with this id is for another algorithm.
    DoesNotFit,
    /// More than one key fits.
    Several,
    /// No key has this id: the set may be older than the key.
    UnknownKid,
    /// The key with this id is weak, or of a kind that the gateway does not support.
    Unusable,
}
