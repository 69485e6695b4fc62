//! What the verification of a credential uses.

use std::cell::RefCell;
use std::rc::Rc;

use crate::jwks::freshness::KeyState;
use crate::origin_credential::memory::OriginTokens;
use crate::policy::counters::RateCounters;
use crate::settings::Settings;
use crate::time::UnixMillis;
use crate::token::binding::replay::ReplayMemory;
use crate::token::cache::TokenCache;
use crate::token::compiled::CompiledVerifiers;
use crate::token::lookups::CredentialLookups;
use crate::token::revocation::index::RevocationIndexCopy;
use crate::token::revocation::list::Revocations;

/// What an isolate remembers for authentication and for limits.
#[derive(Debug, Default)]
pub struct IsolateMemory {
    /// Credentials that were verified, and credentials that were rejected.
    pub cache: TokenCache,
    /// The revocation list.
    pub revocations: Revocations,
    /// The index of what this gateway itself revoked.
    pub revocation_index: RevocationIndexCopy,
    /// DPoP proofs that were used.
    pub proofs: Rc<RefCell<ReplayMemory>>,
    /// Tokens for origin servers.
    pub origin_tokens: OriginTokens,
    /// Look-ups of credentials that are in progress.
    pub lookups: CredentialLookups,
    /// The counters of rate limits.
    pub counters: Rc<RefCell<RateCounters>>,
}

/// What the verification of a credential uses.
pub struct VerificationContext<'a> {
    /// The configuration.
    pub settings: &'a Settings,
    /// The state of the keys of the credential's issuer, if it has one.
    pub keys: Option<&'a KeyState>,
    /// Custom verifiers that are compiled in.
    pub compiled: &'a CompiledVerifiers,
    /// What the isolate remembers.
    pub memory: &'a mut IsolateMemory,
    /// The time.
    pub now: UnixMillis,
}
