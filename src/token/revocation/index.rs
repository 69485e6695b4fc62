//! The revocation index: what this gateway revoked lately, in a fixed number of buckets. A Durable Object keeps it, and each
//! isolate has a copy that is a few seconds old.
//!
//! A bucket has the second of the last revocation of anything whose name falls into it. A credential that was issued after
//! that second is not revoked. For any other, the gateway asks the record that knows for certain: so the index never grows
//! with the number of revocations, and a credential that shares a bucket with a revoked one is not refused.

use sha2::{Digest as _, Sha256};

use crate::limits::{CLEARED_ENTRIES, CLOCKS_APART, REVOCATION_BUCKETS, REVOCATION_SETTLES};
use crate::time::UnixMillis;
use crate::token::cache::{Digest, Generations};
use crate::token::issuer::Issuer;
use crate::token::revocation::copy_age::CopyAge;
use crate::token::verified::VerifiedToken;

/// Where the index is, and how old a copy of it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationIndexSettings {
    /// The Durable Object binding.
    pub binding: String,
    /// Seconds within which a revocation takes effect; 0 if the gateway asks the records about each request.
    pub seconds: u64,
}

/// Something whose credentials can be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocable {
    /// A grant of the gateway's own authorization server, by its id.
    Grant(String),
    /// A client of it, by its `client_id`.
    Client(String),
    /// A user of it, by the subject: for tokens without a grant.
    User(String),
    /// A subject of another issuer, whose signals the gateway receives.
    Subject {
        /// The issuer identifier.
        issuer: String,
        /// `sub`.
        subject: String,
    },
}

impl Revocable {
    /// What a token depends on: one of the gateway's own authorization server, or of an issuer whose signals it receives.
    #[must_use]
    pub fn of(token: &VerifiedToken, issuer: Option<&Issuer>) -> Vec<Self> {
        let Some(issuer) = issuer.filter(|issuer| issuer.is_in_index()) else { return Vec::new() };
        if !issuer.is_own() {
            let subject = token.subject.subject.clone();
            return vec![Self::Subject { issuer: token.subject.issuer.clone(), subject }];
        }
        // The `jti` of such a token names its grant.
        let grant = token.id.as_deref().and_then(|id| id.split_once('.')).map(|(grant, _)| grant);
        let grant = grant.filter(|grant| !grant.is_empty()).map(|grant| Self::Grant(grant.to_owned()));
        let of_user = grant.unwrap_or_else(|| Self::User(token.subject.subject.clone()));
        std::iter::once(of_user).chain(token.subject.client.clone().map(Self::Client)).collect()
    }

    /// The bucket into which its name falls.
    #[must_use]
    pub fn bucket(&self) -> u16 {
        let name = match self {
            Self::Grant(id) => format!("grant {id}"),
            Self::Client(id) => format!("client {id}"),
            Self::User(subject) => format!("user {subject}"),
            Self::Subject { issuer, subject } => format!("subject {} {issuer} {subject}", issuer.len()),
        };
        let hash = Sha256::digest(name);
        hash.first_chunk().map_or(0, |first| u16::from_be_bytes(*first)) % REVOCATION_BUCKETS
    }
}

/// The index as this isolate knows it.
#[derive(Debug)]
pub struct RevocationIndexCopy {
    /// How old it is.
    pub age: CopyAge,
    version: u64,
    /// The second of the last revocation, by bucket; empty before the first one.
    revoked: Vec<u64>,
    /// Credentials that the records said are not revoked, with the revocation that they were asked about.
    cleared: Generations<u64>,
}

impl Default for RevocationIndexCopy {
    fn default() -> Self {
        let bytes = CLEARED_ENTRIES * 256;
        let cleared = Generations::new(CLEARED_ENTRIES, bytes, |_| size_of::<u64>());
        Self { age: CopyAge::default(), version: 0, revoked: Vec::new(), cleared }
    }
}

impl RevocationIndexCopy {
    /// The version of the index up to which it is known.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Stores what changed in the index since [`Self::version`], as a question that began at `asked` found it.
    pub fn stored(&mut self, version: u64, changes: &[(u16, u64)], asked: UnixMillis) {
        // A bucket never becomes earlier, so an answer that another one overtook does no harm.
        if !changes.is_empty() {
            self.revoked.resize(usize::from(REVOCATION_BUCKETS), 0);
        }
        for (bucket, second) in changes {
            if let Some(known) = self.revoked.get_mut(usize::from(*bucket)) {
                *known = (*second).max(*known);
            }
        }
        if self.age.read(asked) {
            self.version = version;
        }
    }

    /// The last revocation that may concern a token.
    fn last(&self, token: &VerifiedToken) -> Option<u64> {
        let seconds = token.revocation_buckets.iter().filter_map(|bucket| self.revoked.get(usize::from(*bucket)));
        let last = seconds.copied().max().filter(|second| *second > 0)?;
        let until = i64::try_from(last + CLOCKS_APART).unwrap_or(i64::MAX);
        token.issued_at().is_none_or(|issued| issued <= until).then_some(last)
    }

    /// Whether something of the same bucket was revoked at this second or later.
    #[must_use]
    pub fn ends(&self, name: &Revocable, since: u64) -> bool {
        self.revoked.get(usize::from(name.bucket())).is_some_and(|last| *last > 0 && since <= *last)
    }

    /// Whether the records have to be asked about a credential, whose cache key is `digest`.
    pub fn is_suspect(&mut self, digest: &Digest, token: &VerifiedToken) -> bool {
        let Some(last) = self.last(token) else { return false };
        self.cleared.get(digest) != Some(last)
    }

    /// Records that a credential is not revoked, as a question at `asked` found. A revocation enters the index before it takes
    /// effect in the records, so the answer is not remembered until that is certainly over.
    pub fn clear(&mut self, digest: &Digest, token: &VerifiedToken, asked: UnixMillis) {
        if let Some(last) = self.last(token).filter(|last| asked.seconds() > *last + REVOCATION_SETTLES) {
            self.cleared.insert(*digest, last);
        }
    }
}
