//! Lookups about credentials that are in progress. The gateway makes one lookup at a time about each credential, and a
//! limited number to each verifier or store: a slow verifier must not keep the gateway from asking the others.
//!
//! A request never awaits the work of another request, because the platform would cancel it. If a request finds a
//! lookup in progress, it checks again after a while; if that lookup ends without a result, it makes the lookup itself.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use crate::limits::LOOKUPS;
use crate::time::UnixMillis;
use crate::token::cache::Digest;
use crate::token::verifier_id::VerifierId;

/// Whether a request may make a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupStart {
    /// Make the lookup; it is recorded as in progress.
    Start,
    /// Another request is making it.
    InProgress,
    /// Too many lookups are in progress.
    TooMany,
}

/// Why a request makes no lookup, and gets no result of another request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupError {
    /// The lookup of another request did not end in time.
    Timeout,
    /// Too many lookups are in progress.
    TooMany,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "another request did not get the answer in time",
            Self::TooMany => "too many look-ups are in progress",
        })
    }
}

impl Error for LookupError {}

/// What a lookup asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupTarget {
    /// The authorization server, custom verifier or store that a verifier depends on.
    Verifier(VerifierId),
    /// The store with the revocation list: one lookup that all requests need.
    Revocations,
    /// The token endpoint for the origin server of the resource at this index.
    OriginCredential(usize),
}

/// The lookups in progress.
#[derive(Debug, Default)]
pub struct CredentialLookups {
    /// Until when the result must arrive, and what was asked.
    asked: HashMap<Digest, (UnixMillis, LookupTarget)>,
}

impl CredentialLookups {
    /// Whether to look up a credential now. A lookup that takes longer than `seconds` counts as lost, together with its
    /// request.
    pub fn begin(&mut self, about: &Digest, whom: LookupTarget, seconds: u64, now: UnixMillis) -> LookupStart {
        if self.asked.get(about).is_some_and(|(until, _)| now < *until) {
            return LookupStart::InProgress;
        }
        if self.asked.len() >= LOOKUPS {
            self.asked.retain(|_, (until, _)| now < *until);
        }
        if self.asked.values().filter(|(_, other)| *other == whom).count() >= LOOKUPS {
            return LookupStart::TooMany;
        }
        self.asked.insert(*about, (now.plus_seconds(seconds), whom));
        LookupStart::Start
    }

    /// Records that a lookup ended, with or without a result.
    pub fn done(&mut self, about: &Digest) {
        self.asked.remove(about);
    }
}
