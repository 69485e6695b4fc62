//! The gate's own list of what is revoked: a document in KV that takes effect within configured seconds, whatever the
//! tokens say of themselves.

use std::collections::HashSet;

use serde::Deserialize;

use crate::limits::{REVOCATION_BYTES, REVOCATION_RETRY};
use crate::strict_json;
use crate::time::UnixMillis;
use crate::token::principal::Subject;
use crate::token::verified::VerifiedToken;

/// Where the list of what is revoked is.
#[derive(Debug, Clone)]
pub struct Revocation {
    /// The KV binding.
    pub kv: String,
    /// The key.
    pub key: String,
    /// Seconds within which a change takes effect, those of KV's own cache taken off.
    pub seconds: u64,
}

/// The document.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevocationDocument {
    version: u64,
    #[serde(default)]
    jti: HashSet<String>,
    #[serde(default)]
    sub: HashSet<String>,
    #[serde(default)]
    client_id: HashSet<String>,
    #[serde(default)]
    issued_before: Vec<IssuedBefore>,
}

/// Tokens issued before a moment, of those that the other members name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuedBefore {
    before: i64,
    #[serde(default)]
    iss: Option<String>,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
}

impl IssuedBefore {
    /// Whether it is about a subject.
    fn names(&self, subject: &Subject) -> bool {
        self.iss.as_ref().is_none_or(|iss| *iss == subject.issuer)
            && self.sub.as_ref().is_none_or(|sub| *sub == subject.subject)
            && self.client_id.as_ref().is_none_or(|id| Some(id) == subject.client.as_ref())
    }
}

/// What is revoked.
#[derive(Debug, Default)]
pub struct RevocationList(RevocationDocument);

impl RevocationList {
    /// Reads the list.
    ///
    /// # Errors
    /// A description of what is wrong: a list that cannot be read whole is not used at all.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        if text.len() > REVOCATION_BYTES {
            return Err(format!("the list is larger than {REVOCATION_BYTES} bytes"));
        }
        let value = strict_json::parse(text).map_err(|error| format!("the list is {error}"))?;
        let document: RevocationDocument =
            serde_json::from_value(value).map_err(|error| format!("the list is not as documented: {error}"))?;
        if document.version != 1 {
            return Err(format!("version must be 1, got {}", document.version));
        }
        Ok(Self(document))
    }

    /// Whether a token is on it. A token that does not say when it was issued is older than any moment.
    #[must_use]
    pub fn revokes(&self, token: &VerifiedToken) -> bool {
        let subject = &token.subject;
        let client = subject.client.as_ref();
        let before =
            |rule: &IssuedBefore| rule.names(subject) && token.issued_at().is_none_or(|issued| issued < rule.before);
        token.id.as_ref().is_some_and(|id| self.0.jti.contains(id))
            || self.0.sub.contains(&subject.subject)
            || client.is_some_and(|client| self.0.client_id.contains(client))
            || self.0.issued_before.iter().any(before)
    }

    /// Whether what a caller has had since a moment, in seconds, is over: tokens of before are.
    #[must_use]
    pub fn ends(&self, subject: &Subject, since: u64) -> bool {
        let before = |rule: &IssuedBefore| i64::try_from(since).is_ok_and(|since| since < rule.before);
        self.0.issued_before.iter().any(|rule| rule.names(subject) && before(rule))
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.jti.len() + self.0.sub.len() + self.0.client_id.len() + self.0.issued_before.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What to do before the list is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It is new enough.
    No,
    /// It is, and should be read again in the background.
    Soon,
    /// It must be read first.
    Now,
    /// It must be, and could not be a moment ago: fail closed.
    Unavailable,
}

/// The list as this isolate knows it.
#[derive(Debug, Default)]
pub struct Revocations {
    list: Option<RevocationList>,
    read_at: UnixMillis,
    attempted: Option<UnixMillis>,
    failed: Option<UnixMillis>,
}

impl Revocations {
    /// What to do about a list that may be `seconds` old.
    #[must_use]
    pub fn due(&self, seconds: u64, now: UnixMillis) -> Due {
        let recently = |moment: Option<UnixMillis>| moment.is_some_and(|at| now < at.plus_seconds(REVOCATION_RETRY));
        if self.list.is_none() || now >= self.read_at.plus_seconds(seconds) {
            return if recently(self.failed) { Due::Unavailable } else { Due::Now };
        }
        if now >= self.read_at.plus_seconds(seconds / 2) && !recently(self.attempted) {
            return Due::Soon;
        }
        Due::No
    }

    /// Notes that it is being read.
    pub fn attempted(&mut self, now: UnixMillis) {
        self.attempted = Some(now);
    }

    /// Keeps a list that was asked for at `asked`: no answer is newer than its question.
    pub fn stored(&mut self, list: RevocationList, asked: UnixMillis) {
        if asked >= self.read_at {
            (self.list, self.read_at, self.failed) = (Some(list), asked, None);
        }
    }

    /// Notes that it could not be read.
    pub fn failed(&mut self, now: UnixMillis) {
        self.failed = Some(now);
    }

    /// Whether a session of that caller and age is over.
    #[must_use]
    pub fn ends(&self, subject: &Subject, since: u64) -> bool {
        self.list.as_ref().is_none_or(|list| list.ends(subject, since))
    }

    /// Whether a token is revoked; everything is, where there is no list.
    #[must_use]
    pub fn revokes(&self, token: &VerifiedToken) -> bool {
        self.list.as_ref().is_none_or(|list| list.revokes(token))
    }
}
