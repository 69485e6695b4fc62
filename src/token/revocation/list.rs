//! The gateway's own revocation list: a document in KV. A change takes effect within a configured number of seconds,
//! whatever the tokens themselves say.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;

use serde::Deserialize;

use crate::limits::REVOCATION_BYTES;
use crate::platform_error::PlatformError;
use crate::strict_json::{self, StrictJsonError};
use crate::time::UnixMillis;
use crate::token::lookups::LookupError;
use crate::token::principal::Subject;
use crate::token::revocation::copy_age::CopyAge;
use crate::token::verified::VerifiedToken;

/// Where the revocation list is stored.
#[derive(Debug, Clone)]
pub struct Revocation {
    /// The KV binding.
    pub kv: String,
    /// The key.
    pub key: String,
    /// Seconds within which the gateway must apply a change, minus those for which KV may serve an old value.
    pub seconds: u64,
}

/// The revocation list as JSON.
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

/// Revokes tokens that were issued before a time, of the issuer, subject and client that it names.
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
    /// Whether it applies to a subject.
    fn names(&self, subject: &Subject) -> bool {
        self.iss.as_ref().is_none_or(|iss| *iss == subject.issuer)
            && self.sub.as_ref().is_none_or(|sub| *sub == subject.subject)
            && self.client_id.as_ref().is_none_or(|id| Some(id) == subject.client.as_ref())
    }
}

/// Why the revocation list is unavailable.
#[derive(Debug)]
pub enum RevocationError {
    /// The list is too large.
    TooLarge,
    /// The list is not strict JSON.
    NotJson(StrictJsonError),
    /// The list has other members than a revocation list.
    Members(serde_json::Error),
    /// The list has another version.
    Version(u64),
    /// There is no such key.
    Missing,
    /// The store failed.
    Store(PlatformError),
    /// Another request is reading the list, or too many look-ups are in progress.
    Lookup(LookupError),
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the list is larger than {REVOCATION_BYTES} bytes"),
            Self::NotJson(error) => write!(f, "the list is {error}"),
            Self::Members(error) => write!(f, "the list has the wrong form: {error}"),
            Self::Version(version) => write!(f, "version must be 1, got {version}"),
            Self::Missing => f.write_str("there is no such key"),
            Self::Store(error) => error.fmt(f),
            Self::Lookup(error) => error.fmt(f),
        }
    }
}

impl Error for RevocationError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotJson(error) => Some(error),
            Self::Members(error) => Some(error),
            Self::Lookup(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::TooLarge | Self::Version(_) | Self::Missing => None,
        }
    }
}

/// The revocation list.
#[derive(Debug, Default)]
pub struct RevocationList(RevocationDocument);

impl RevocationList {
    /// Parses the list.
    ///
    /// # Errors
    /// [`RevocationError`] for what is wrong. The gateway does not use a list in which anything is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, RevocationError> {
        if text.len() > REVOCATION_BYTES {
            return Err(RevocationError::TooLarge);
        }
        let value = strict_json::parse(text).map_err(RevocationError::NotJson)?;
        let document: RevocationDocument = serde_json::from_value(value).map_err(RevocationError::Members)?;
        if document.version != 1 {
            return Err(RevocationError::Version(document.version));
        }
        Ok(Self(document))
    }

    /// Whether the list revokes a token. A token without `iat` counts as older than any time.
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

    /// Whether an `issued_before` entry ends a session of this subject that began at `since` (in seconds).
    #[must_use]
    pub fn ends(&self, subject: &Subject, since: u64) -> bool {
        let before = |rule: &IssuedBefore| i64::try_from(since).is_ok_and(|since| since < rule.before);
        self.0.issued_before.iter().any(|rule| rule.names(subject) && before(rule))
    }

    /// How many entries the list has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.jti.len() + self.0.sub.len() + self.0.client_id.len() + self.0.issued_before.len()
    }

    /// Whether the list has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The revocation list as this isolate knows it.
#[derive(Debug, Default)]
pub struct Revocations {
    list: Option<RevocationList>,
    /// How old the list is.
    pub age: CopyAge,
}

impl Revocations {
    /// Stores a list whose read began at `asked`.
    pub fn stored(&mut self, list: RevocationList, asked: UnixMillis) {
        if self.age.read(asked) {
            self.list = Some(list);
        }
    }

    /// Whether a session of this subject that began at `since` is over; true if there is no list.
    #[must_use]
    pub fn ends(&self, subject: &Subject, since: u64) -> bool {
        self.list.as_ref().is_none_or(|list| list.ends(subject, since))
    }

    /// Whether a token is revoked; true if there is no list.
    #[must_use]
    pub fn revokes(&self, token: &VerifiedToken) -> bool {
        self.list.as_ref().is_none_or(|list| list.revokes(token))
    }
}
