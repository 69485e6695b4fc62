//! The revocation index that all isolates read: see [`crate::token::revocation::index`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RecordStateMachine;

/// The id of its record: there is one.
pub const THE_INDEX: &str = "index";

/// The last revocation in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bucket {
    /// Its second.
    at: u64,
    /// The version of the index that it made.
    version: u64,
    /// The second from which it concerns no credential any more.
    until: u64,
}

/// The index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationIndex {
    version: u64,
    buckets: BTreeMap<u16, Bucket>,
}

/// Questions to the index.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum RevocationIndexQuestion {
    /// Records a revocation in these buckets. It concerns credentials for this many seconds.
    Revoke(Vec<u16>, u64),
    /// Reads what changed since a version.
    Since(u64),
}

/// What the index answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationIndexChanges {
    /// The version of the index.
    pub version: u64,
    /// The second of the last revocation in each bucket that changed.
    pub changes: Vec<(u16, u64)>,
}

impl RecordStateMachine for RevocationIndex {
    const KIND: &'static str = "revocation";
    type Question = RevocationIndexQuestion;
    type Answer = RevocationIndexChanges;

    fn answer(record: Option<Self>, question: RevocationIndexQuestion, now: u64) -> (Self::Answer, Option<Self>) {
        let mut index = record.unwrap_or_default();
        let mut since = u64::MAX;
        match question {
            RevocationIndexQuestion::Revoke(buckets, seconds) => {
                index.buckets.retain(|_, bucket| now < bucket.until);
                // An index that was deleted begins again, with a version that no copy of the one before can have.
                index.version = (index.version + 1).max(now.saturating_mul(1000));
                for name in buckets {
                    let before = index.buckets.get(&name).map_or((0, 0), |bucket| (bucket.at, bucket.until));
                    let (at, until) = (now.max(before.0), (now + seconds).max(before.1));
                    index.buckets.insert(name, Bucket { at, version: index.version, until });
                }
            }
            RevocationIndexQuestion::Since(version) => since = if version > index.version { 0 } else { version },
        }
        let newer = index.buckets.iter().filter(|(_, bucket)| bucket.version > since);
        let changes = newer.map(|(name, bucket)| (*name, bucket.at)).collect();
        let answer = RevocationIndexChanges { version: index.version, changes };
        (answer, (!index.buckets.is_empty()).then_some(index))
    }

    fn until(&self) -> u64 {
        self.buckets.values().map(|bucket| bucket.until).max().unwrap_or_default()
    }
}
