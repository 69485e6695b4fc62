//! A grant: what one user gave one client, from its code to its last refresh token.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Hash, Machine};
use crate::authorization_server::seal::{NONCE_BYTES, SealKey};
use crate::limits::REFRESH_REPLAY_SECONDS;

/// What a grant is about: it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// `sub`.
    pub subject: String,
    /// `client_id`.
    pub client_id: String,
    /// What is granted.
    pub scope: String,
    /// The identifier of the resource.
    pub resource: String,
    /// Claims of the user that tokens carry.
    pub claims: Map<String, Value>,
    /// The second at which the user signed in.
    pub authenticated: u64,
}

/// A code that waits for its client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Its hash.
    pub hash: Hash,
    /// Where it was sent.
    pub redirect_uri: String,
    /// The `code_challenge` (S256).
    pub challenge: String,
    /// The second at which it is over.
    pub until: u64,
}

/// The current refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    hash: Hash,
    until: u64,
}

/// The refresh token before it: whoever has it may have lost the answer, or asked twice at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replaced {
    hash: Hash,
    at: u64,
    /// The current one, sealed for the holder of this one.
    next: String,
}

/// What the identity provider gave, under a key that is sealed under that of the grant's own code or refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    /// The sealed key.
    pub key: String,
    /// The sealed tokens.
    pub tokens: String,
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What it is about.
    pub terms: Terms,
    /// Its code, while it waits.
    pub code: Option<Code>,
    /// What the identity provider gave.
    pub vault: Option<Vault>,
    /// The second at which it is over, whatever happens.
    pub until: u64,
    refresh: Option<Refresh>,
    replaced: Option<Replaced>,
    ended: Option<String>,
}

impl Grant {
    /// A grant at its beginning.
    #[must_use]
    pub fn new(terms: Terms, code: Code, vault: Option<Vault>, until: u64) -> Self {
        Self { terms, code: Some(code), vault, until, refresh: None, replaced: None, ended: None }
    }
}

/// A refresh token to come, and how the vault passes from the handle that is used to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Successor {
    /// Its hash.
    pub hash: Hash,
    /// Itself, sealed for the holder of the handle that is used.
    pub sealed: String,
    /// The key of the handle that is used: it opens the vault, and is not kept.
    pub from: String,
    /// The key of the refresh token to come, likewise.
    pub to: String,
    /// Random bytes for sealing.
    pub nonce: [u8; NONCE_BYTES],
    /// Seconds that it lives unused.
    pub seconds: u64,
}

/// Questions to a grant.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum GrantQuestion {
    /// It begins.
    Begin(Box<Grant>),
    /// Its code is redeemed.
    Redeem {
        /// The code's hash.
        code: Hash,
        /// Who redeems it.
        client_id: String,
        /// Where they say it was sent; nothing where they do not.
        redirect_uri: Option<String>,
        /// S256 of their verifier.
        challenge: String,
        /// The refresh token that they get, where they may have one.
        next: Option<Box<Successor>>,
    },
    /// A refresh token is used.
    Refresh {
        /// Its hash.
        token: Hash,
        /// Who uses it.
        client_id: String,
        /// The one that they get.
        next: Box<Successor>,
    },
    /// It is looked at, and nothing changes.
    Look,
    /// It is over, for this reason.
    End(String),
}

/// What a grant answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum GrantAnswer {
    /// Done.
    Done,
    /// Here it is: the refresh token to come is now current, where there is one.
    Granted(Terms),
    /// The refresh token was used a moment ago: this is what came of it, sealed for its holder.
    Again(Terms, String),
    /// The code or refresh token was used before by somebody, or by another client: the grant of this subject is over, for
    /// this reason.
    Misused(String, String),
    /// There is no such thing, or no more.
    Unknown,
    /// Here is what it is about: its current refresh token, and what the identity provider gave.
    Seen(Box<Seen>),
}

/// A grant as it is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// What it is about.
    pub terms: Terms,
    /// The hash of its current refresh token, and the second at which that is over.
    pub refresh: Option<(Hash, u64)>,
    /// What the identity provider gave.
    pub vault: Option<Vault>,
}

impl Machine for Grant {
    const KIND: &'static str = "grant";
    type Question = GrantQuestion;
    type Answer = GrantAnswer;

    fn answer(record: Option<Self>, question: GrantQuestion, now: u64) -> (GrantAnswer, Option<Self>) {
        let Some(mut grant) = record else {
            return match question {
                GrantQuestion::Begin(begun) => (GrantAnswer::Done, Some(*begun)),
                _ => (GrantAnswer::Unknown, None),
            };
        };
        let answer = match question {
            GrantQuestion::Begin(_) => GrantAnswer::Unknown,
            // It is kept until its time is over, so that nothing of it comes to life again.
            _ if grant.ended.is_some() => GrantAnswer::Unknown,
            GrantQuestion::Redeem { code, client_id, redirect_uri, challenge, next } => {
                grant.redeem(&code, &client_id, redirect_uri.as_deref(), &challenge, next, now)
            }
            GrantQuestion::Refresh { token, client_id, next } => grant.refresh(&token, &client_id, *next, now),
            GrantQuestion::Look => GrantAnswer::Seen(Box::new(Seen {
                terms: grant.terms.clone(),
                refresh: grant.refresh.as_ref().map(|current| (current.hash.clone(), current.until)),
                vault: grant.vault.clone(),
            })),
            GrantQuestion::End(why) => {
                grant.end(&why);
                GrantAnswer::Done
            }
        };
        (answer, Some(grant))
    }

    fn until(&self) -> u64 {
        self.until
    }
}

impl Grant {
    fn end(&mut self, why: &str) {
        (self.code, self.refresh, self.replaced, self.vault) = (None, None, None, None);
        // What stays says that it is over, and nothing of whose it was.
        self.terms.subject.clear();
        self.terms.claims.clear();
        self.ended = Some(why.to_owned());
    }

    fn misused(&mut self, why: &str) -> GrantAnswer {
        let subject = self.terms.subject.clone();
        self.end(why);
        GrantAnswer::Misused(subject, why.to_owned())
    }

    /// A code is good once. Whoever comes with it and is wrong about anything else has stolen it, and it is over.
    fn redeem(
        &mut self,
        hash: &Hash,
        client_id: &str,
        redirect_uri: Option<&str>,
        challenge: &str,
        next: Option<Box<Successor>>,
        now: u64,
    ) -> GrantAnswer {
        let Some(code) = self.code.take() else { return self.misused("code_reused") };
        if code.hash != *hash {
            // One grant has one code: another with its mark cannot be.
            self.code = Some(code);
            return GrantAnswer::Unknown;
        }
        if now >= code.until {
            self.end("code_expired");
            return GrantAnswer::Unknown;
        }
        if client_id != self.terms.client_id {
            return self.misused("code_of_another_client");
        }
        if redirect_uri.is_some_and(|uri| uri != code.redirect_uri) {
            return self.misused("redirect_uri_differs");
        }
        if challenge != code.challenge {
            return self.misused("code_verifier_wrong");
        }
        match next {
            Some(next) => self.succeed(*next, now),
            // Nobody can open the vault any more.
            None => self.vault = None,
        }
        GrantAnswer::Granted(self.terms.clone())
    }

    fn refresh(&mut self, hash: &Hash, client_id: &str, next: Successor, now: u64) -> GrantAnswer {
        if client_id != self.terms.client_id {
            return self.misused("refresh_token_of_another_client");
        }
        if let Some(current) = self.refresh.take_if(|current| current.hash == *hash) {
            if now >= current.until {
                self.end("refresh_token_expired");
                return GrantAnswer::Unknown;
            }
            self.replaced = Some(Replaced { hash: current.hash, at: now, next: next.sealed.clone() });
            self.succeed(next, now);
            return GrantAnswer::Granted(self.terms.clone());
        }
        match &self.replaced {
            Some(replaced) if replaced.hash == *hash && now <= replaced.at + REFRESH_REPLAY_SECONDS => {
                GrantAnswer::Again(self.terms.clone(), replaced.next.clone())
            }
            _ => self.misused("refresh_token_reused"),
        }
    }

    /// A refresh token becomes the current one, and the vault is its holder's.
    fn succeed(&mut self, next: Successor, now: u64) {
        self.vault = self.vault.take().and_then(|vault| {
            let (from, to) = (SealKey::from_text(&next.from)?, SealKey::from_text(&next.to)?);
            let key = from.open(&vault.key, "vault key")?;
            Some(Vault { key: to.seal(&key, "vault key", &next.nonce), ..vault })
        });
        self.refresh = Some(Refresh { hash: next.hash, until: (now + next.seconds).min(self.until) });
    }
}
