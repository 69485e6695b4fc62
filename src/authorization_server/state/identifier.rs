//! A name by which an identity provider speaks of a user or of a session: who has it here, and what the provider said about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Hash, RecordStateMachine};
use crate::limits::{CLOCKS_APART, GRANTS_OF_ONE_SUBJECT, SUBJECTS_OF_ONE_IDENTIFIER};

/// A name by which a provider speaks of a user or of a session. `scope` tells the provider from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentifierName<'a> {
    /// The subject of a user.
    Subject {
        /// The provider.
        scope: &'a str,
        /// `sub`.
        subject: &'a str,
    },
    /// The email address of a user, in lower case.
    Email {
        /// The provider.
        scope: &'a str,
        /// The address.
        email: &'a str,
    },
    /// A session at the provider.
    Session {
        /// The provider.
        scope: &'a str,
        /// `sid`.
        id: &'a str,
    },
}

impl IdentifierName<'_> {
    /// The id of its record. It does not reveal whose it is.
    #[must_use]
    pub fn record(&self) -> String {
        let (kind, scope, value) = match self {
            Self::Subject { scope, subject } => ("subject", scope, subject),
            Self::Email { scope, email } => ("email", scope, email),
            Self::Session { scope, id } => ("session", scope, id),
        };
        // The length, so that no two of them have one name.
        Hash::of(&format!("identifier {kind} {} {scope} {value}", scope.len())).as_str().to_owned()
    }
}

/// A grant that began in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantOfSession {
    /// Its subject.
    pub subject: String,
    /// The second at which its login began.
    pub since: u64,
    /// The second from which it is over in any case.
    pub until: u64,
}

/// What is known about an identifier.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identifier {
    /// The subjects of users who have it, and the second from which each is forgotten.
    subjects: BTreeMap<String, u64>,
    /// For a session: the grants that began in it, by id.
    grants: BTreeMap<String, GrantOfSession>,
    /// What began before this second or in it has ended.
    ended_at: Option<u64>,
    /// The second at which the provider disabled the account.
    disabled_at: Option<u64>,
    /// The second at which it enabled the account again.
    enabled_at: Option<u64>,
    /// The second until which this must be remembered.
    kept_until: u64,
}

/// Questions to an identifier.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum IdentifierQuestion {
    /// A user with this subject came from the provider, by a login that began at `since`. It is known until `until`.
    Seen {
        /// The subject.
        subject: String,
        /// The grant, for a session.
        grant: Option<String>,
        /// The second at which the login began.
        since: u64,
        /// The second from which it is forgotten.
        until: u64,
    },
    /// The provider said that what began at this second or before has ended. It is remembered for these seconds.
    End(u64, u64),
    /// The provider said at this second that the account is disabled. It is remembered for these seconds.
    Disable(u64, u64),
    /// The provider said at this second that the account is enabled. It is remembered for these seconds.
    Enable(u64, u64),
    /// Reads whether a token that the provider issued at this second is accepted: it issues none while an account is disabled.
    Accepts(u64),
}

/// What an identifier answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentifierAnswer {
    /// Whether the user may have access, as far as the provider said anything about it.
    pub accepted: bool,
    /// Whether the account is disabled, by the latest that the provider said.
    pub disabled: bool,
    /// The subjects of users who have it.
    pub subjects: Vec<String>,
    /// For a session: the grants that began in it.
    pub grants: Vec<(String, GrantOfSession)>,
}

impl Identifier {
    /// Whether what began at a second may go on. `apart` is how far the clocks may differ.
    fn accepts(&self, since: u64, apart: u64) -> bool {
        self.disabled_at.is_none() && self.ended_at.is_none_or(|ended| since > ended + apart)
    }

    fn seen(&mut self, subject: String, grant: Option<String>, (since, until): (u64, u64)) {
        if let Some(grant) = grant {
            // A recheck notes it again: it began when it began.
            let since = self.grants.get(&grant).map_or(since, |known| known.since.min(since));
            self.grants.insert(grant, GrantOfSession { subject, since, until });
            if self.grants.len() > GRANTS_OF_ONE_SUBJECT {
                let first = self.grants.iter().min_by_key(|(_, grant)| grant.until).map(|(id, _)| id.clone());
                first.and_then(|first| self.grants.remove(&first));
            }
            return;
        }
        let known = self.subjects.entry(subject).or_default();
        *known = until.max(*known);
        if self.subjects.len() > SUBJECTS_OF_ONE_IDENTIFIER {
            let first = self.subjects.iter().min_by_key(|(_, until)| **until).map(|(name, _)| name.clone());
            first.and_then(|first| self.subjects.remove(&first));
        }
    }
}

impl RecordStateMachine for Identifier {
    const KIND: &'static str = "identifier";
    type Question = IdentifierQuestion;
    type Answer = IdentifierAnswer;

    fn answer(record: Option<Self>, question: IdentifierQuestion, now: u64) -> (IdentifierAnswer, Option<Self>) {
        let mut known = record.unwrap_or_default();
        known.subjects.retain(|_, until| now < *until);
        known.grants.retain(|_, grant| now < grant.until);
        if known.kept_until <= now {
            (known.ended_at, known.disabled_at, known.enabled_at) = (None, None, None);
        }
        let accepted = match question {
            IdentifierQuestion::Seen { subject, grant, since, until } => {
                let accepted = known.accepts(since, CLOCKS_APART);
                if accepted {
                    known.seen(subject, grant, (since, until));
                }
                accepted
            }
            IdentifierQuestion::End(at, seconds) => {
                known.ended_at = known.ended_at.max(Some(at));
                known.kept_until = known.kept_until.max(now + seconds);
                false
            }
            IdentifierQuestion::Disable(at, seconds) => {
                // Events may arrive in another order than they happened.
                if known.enabled_at.is_none_or(|enabled| at >= enabled) {
                    known.disabled_at = known.disabled_at.max(Some(at));
                }
                known.ended_at = known.ended_at.max(Some(at));
                known.kept_until = known.kept_until.max(now + seconds);
                false
            }
            IdentifierQuestion::Enable(at, seconds) => {
                known.kept_until = known.kept_until.max(now + seconds);
                known.enabled_at = known.enabled_at.max(Some(at));
                known.disabled_at = known.disabled_at.filter(|disabled| *disabled > at);
                known.disabled_at.is_none()
            }
            IdentifierQuestion::Accepts(issued) => known.ended_at.is_none_or(|ended| issued > ended),
        };
        let disabled = known.disabled_at.is_some();
        let subjects = known.subjects.keys().cloned().collect();
        let grants = known.grants.iter().map(|(id, grant)| (id.clone(), grant.clone())).collect();
        let empty = known.subjects.is_empty() && known.grants.is_empty() && known.kept_until <= now;
        (IdentifierAnswer { accepted, disabled, subjects, grants }, (!empty).then_some(known))
    }

    fn until(&self) -> u64 {
        let subjects = self.subjects.values().copied();
        let grants = self.grants.values().map(|grant| grant.until);
        subjects.chain(grants).chain([self.kept_until]).max().unwrap_or_default()
    }
}
