//! A credential that was verified before, and what has to hold so that it is accepted again.

use std::rc::Rc;

use chrono::{DateTime, Utc};

use crate::jwks::freshness::Freshness;
use crate::pipeline::verification::VerificationContext;
use crate::settings::resource::Resource;
use crate::time::UnixMillis;
use crate::token::cache::Digest;
use crate::token::credential::Fingerprint;
use crate::token::error::TokenError;
use crate::token::issuer::Issuer;
use crate::token::revocation::copy_age::Due;
use crate::token::revocation::index::{Revocable, RevocationIndexCopy};
use crate::token::revocation::list::Revocations;
use crate::token::verified::{Confirmation, VerifiedToken};

/// A credential that was verified, with the result, as it is found again.
#[derive(Debug, Clone)]
pub struct Recognized {
    digest: Digest,
    issuer: Option<Rc<Issuer>>,
    verified: Rc<VerifiedToken>,
}

impl Recognized {
    pub(super) fn new(digest: Digest, issuer: Option<Rc<Issuer>>, verified: Rc<VerifiedToken>) -> Self {
        Self { digest, issuer, verified }
    }

    /// The cache key of what the gateway obtained in exchange for it, for the origin server of a resource.
    #[must_use]
    pub fn exchanged_at(&self, resource: usize) -> Digest {
        Fingerprint::exchanged_at(&self.digest, resource)
    }

    /// The moment from which the gateway no longer accepts the credential, if it expires.
    #[must_use]
    pub fn ends(&self) -> Option<UnixMillis> {
        let millis = |end: DateTime<Utc>| UnixMillis(u64::try_from(end.timestamp_millis()).unwrap_or_default());
        self.verified.times.expiration.map(|end| millis(end).plus_seconds(self.verified.leeway))
    }

    /// The issuer whose keys the credential may depend on.
    #[must_use]
    pub fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_deref()
    }

    /// Estimated bytes of what was found out about the credential.
    #[must_use]
    pub fn verified_bytes(&self) -> usize {
        self.verified.bytes()
    }

    /// Whether the index of what this gateway revoked is about it.
    #[must_use]
    pub fn is_in_index(&self) -> bool {
        self.verified.is_in_index()
    }

    /// Whether the revocation list has it.
    #[must_use]
    pub fn is_listed(&self, revocations: &Revocations) -> bool {
        revocations.revokes(&self.verified)
    }

    /// What the records have to be asked about, and the second at which the credential was issued, if the index leaves open whether it is
    /// revoked.
    pub fn suspected(&self, index: &mut RevocationIndexCopy) -> Option<(Vec<Revocable>, u64)> {
        index.is_suspect(&self.digest, &self.verified).then(|| {
            let issued = self.verified.issued_at().and_then(|issued| u64::try_from(issued).ok()).unwrap_or_default();
            (Revocable::of(&self.verified, self.issuer()), issued)
        })
    }

    /// Records that it is not revoked, as a question at `asked` found.
    pub fn clear(&self, index: &mut RevocationIndexCopy, asked: UnixMillis) {
        index.clear(&self.digest, &self.verified, asked);
    }

    /// Whether [`proceed`](crate::pipeline::authenticate::proceed) would accept the credential again for this resource, from
    /// what the isolate remembers alone and without a proof of possession, with the same result: if the credential was verified
    /// anew meanwhile, its scopes or its subject may be others. It is also false if keys or the revocation list should be read
    /// again, which is for a request that is verified in full to begin.
    pub fn still_holds(&self, resource: &Resource, known: &mut VerificationContext<'_>) -> bool {
        let now = known.now;
        let Some(Ok(verified)) = find(&self.digest, known) else { return false };
        Rc::ptr_eq(&verified, &self.verified)
            && known.keys.is_none_or(|keys| keys.freshness(now) != Freshness::UseAndRefresh)
            && verified.confirmation == Confirmation::None
            && verified.check(&resource.audiences, now).is_ok()
            && holds_in_index(&self.digest, &verified, known)
            && known.settings.revocation.as_ref().is_none_or(|revocation| {
                let revocations = &known.memory.revocations;
                revocations.age.due(revocation.seconds, now) == Due::No && !revocations.revokes(&verified)
            })
    }
}

/// Whether nothing has to be read or asked to know that this gateway has not revoked a credential.
fn holds_in_index(digest: &Digest, verified: &VerifiedToken, known: &mut VerificationContext<'_>) -> bool {
    let Some(settings) = known.settings.revocation_index.as_ref().filter(|_| verified.is_in_index()) else {
        return true;
    };
    let index = &mut known.memory.revocation_index;
    settings.seconds > 0 && index.age.due(settings.seconds, known.now) == Due::No && !index.is_suspect(digest, verified)
}

/// What the cache has about a credential. A result that depended on a key is valid only while the issuer still publishes
/// that key.
pub(super) fn find(
    digest: &Digest,
    known: &mut VerificationContext<'_>,
) -> Option<Result<Rc<VerifiedToken>, TokenError>> {
    let cache = &mut known.memory.cache;
    if let Some(verified) = cache.verified(digest, known.now) {
        let vouched = verified.signed_with.as_ref().is_none_or(|signed| {
            known.keys.is_some_and(|keys| keys.vouches(signed.id.as_deref(), &signed.thumbprint, known.now))
        });
        return vouched.then_some(Ok(verified));
    }
    cache.inactive(digest, known.now).map(Err)
}
