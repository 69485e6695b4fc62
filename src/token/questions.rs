//! Questions about credentials that are on their way: one at a time about each credential, and not too many to anybody: one
//! who is slow must not keep others from being asked.
//!
//! Nobody ever waits for another request's work, which the platform would cancel: whoever finds a question on its way
//! looks again after a while, and asks for itself where the answer does not come.

use std::collections::HashMap;

use crate::limits::QUESTIONS;
use crate::time::UnixMillis;
use crate::token::cache::Digest;
use crate::token::verifier_id::VerifierId;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Ask: it is noted.
    Ask,
    /// Somebody asks already.
    Wait,
    /// Too many questions are on their way.
    Full,
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Whoever stands behind a verifier.
    Verifier(VerifierId),
    /// The store with the list of what is revoked: one question that everybody needs.
    Revocations,
}

/// Questions on their way.
#[derive(Debug, Default)]
pub struct CredentialLookups {
    /// Until when the answer must be there, and from whom.
    asked: HashMap<Digest, (UnixMillis, Asked)>,
}

impl CredentialLookups {
    /// Whether to ask about a credential now. A question whose time is over was lost with its request.
    pub fn turn(&mut self, about: &Digest, whom: Asked, seconds: u64, now: UnixMillis) -> Turn {
        if self.asked.get(about).is_some_and(|(until, _)| now < *until) {
            return Turn::Wait;
        }
        if self.asked.len() >= QUESTIONS {
            self.asked.retain(|_, (until, _)| now < *until);
        }
        if self.asked.values().filter(|(_, other)| *other == whom).count() >= QUESTIONS {
            return Turn::Full;
        }
        self.asked.insert(*about, (now.plus_seconds(seconds), whom));
        Turn::Ask
    }

    /// The answer is there, or will not come.
    pub fn done(&mut self, about: &Digest) {
        self.asked.remove(about);
    }
}
