//! What has to be found out about a credential, other than whether a signature is right.

use std::rc::Rc;

use crate::token::binding::proof::SingleUse;
use crate::token::issuer::Issuer;
use crate::token::revocation::index::Revocable;

/// A question about a credential.
#[derive(Debug)]
pub enum Inquiry {
    /// The keys of an issuer.
    Keys(Rc<Issuer>),
    /// The keys of an issuer, which enough other requests fetch already.
    KeysOnTheirWay(Rc<Issuer>),
    /// What its authorization server, custom verifier or store says about it.
    Verifier,
    /// The revocation list.
    Revocations,
    /// What changed in the revocation index.
    RevocationIndex,
    /// Whether this gateway has revoked a credential that depends on these and was issued at this second.
    Standing(Vec<Revocable>, u64),
    /// Whether a proof is used for the first time, by the replay guard that all isolates share.
    FirstUse(SingleUse),
}
