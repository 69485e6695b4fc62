//! A grant: what one user granted to one client, from its code to its last refresh token.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Hash, Migration, RecordStateMachine, is_default};
use crate::seal::{NONCE_BYTES, SealKey};

/// The content of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// `sub`.
    pub subject: String,
    /// `client_id`.
    pub client_id: String,
    /// The granted scopes that the user may have.
    pub scope: String,
    /// The identifier of the resource.
    pub resource: String,
    /// Claims of the user and of the sign-in that tokens contain.
    pub claims: Map<String, Value>,
    /// The second at which the user came back from the login.
    pub authenticated: u64,
    /// The provider at which the user signed in; none for the one of `login`.
    // What release 0.1 does not know is stored only where it says something, so that a rollback can read most grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// A code that has not been redeemed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Its hash.
    pub hash: Hash,
    /// The redirect URI to which it was sent.
    pub redirect_uri: String,
    /// The `code_challenge` (S256).
    pub challenge: String,
    /// The thumbprint of the key with which it must be redeemed (`dpop_jkt`, RFC 9449 §10).
    pub key: Option<String>,
    /// The second at which it expires.
    pub until: u64,
}

/// The current refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    hash: Hash,
    until: u64,
}

/// The refresh token before the current one. A client that still sends it may have lost the answer, or may have sent
/// two requests at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replaced {
    hash: Hash,
    at: u64,
    /// The current refresh token, sealed for the holder of the previous one.
    next: String,
}

/// The identity provider's tokens, sealed with a random key. That key is sealed with the key of the grant's current
/// code or refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedProviderTokens {
    /// The sealed key.
    pub key: String,
    /// The sealed tokens.
    pub tokens: String,
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its content.
    pub terms: Terms,
    /// Its code, until it is redeemed.
    pub code: Option<Code>,
    /// The identity provider's tokens.
    pub vault: Option<SealedProviderTokens>,
    /// The second at which it ends in any case.
    pub until: u64,
    refresh: Option<Refresh>,
    replaced: Option<Replaced>,
    ended: Option<String>,
    /// Access tokens that were issued before this second are not accepted any more, because what they say has changed.
    // What release 0.1 does not know is stored only where it differs, so that a rollback can read most grants.
    #[serde(default, skip_serializing_if = "is_default")]
    stale_before: u64,
    /// The scopes that the user approved, if the user may not have all of them now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approved: Option<String>,
    /// The second at which the identity provider last said who the user is, if that was after the login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checked: Option<u64>,
    /// The second until which a request asks the provider again; no other request does.
    #[serde(default, skip_serializing_if = "is_default")]
    checking: u64,
    /// The thumbprint of the key to which its refresh tokens are bound: those of a client that does not authenticate (RFC 9449 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// The key of the DPoP proof of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenKey {
    /// Its thumbprint, if there is a proof.
    pub jkt: Option<String>,
    /// Whether the refresh tokens of the client are bound to it.
    pub binds: bool,
}

impl Grant {
    /// A new grant.
    #[must_use]
    pub fn new(terms: Terms, code: Code, vault: Option<SealedProviderTokens>, until: u64) -> Self {
        let code = Some(code);
        Self {
            terms,
            code,
            vault,
            until,
            refresh: None,
            replaced: None,
            ended: None,
            stale_before: 0,
            approved: None,
            checked: None,
            checking: 0,
            key: None,
        }
    }
}

/// The next refresh token, and how the vault passes to it from the handle that is used.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextRefreshToken {
    /// Its hash.
    pub hash: Hash,
    /// The token itself, sealed for the holder of the handle that is used.
    pub sealed: String,
    /// The key of the handle that is used: it opens the vault, and is not stored.
    pub from: String,
    /// The key of the next refresh token: it seals the vault, and is not stored.
    pub to: String,
    /// Random bytes for sealing.
    pub nonce: [u8; NONCE_BYTES],
    /// Seconds without use after which it expires.
    pub seconds: u64,
}

/// Questions to a grant.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum GrantQuestion {
    /// The grant begins.
    Begin(Box<Grant>),
    /// A client redeems the code.
    Redeem {
        /// The code's hash.
        code: Hash,
        /// The client that redeems it.
        client_id: String,
        /// The redirect URI of the token request; `None` if it has none.
        redirect_uri: Option<String>,
        /// S256 of the code verifier.
        challenge: String,
        /// The refresh token that the client gets, if it may have one.
        next: Option<Box<NextRefreshToken>>,
        /// The key that the request proves.
        key: ProvenKey,
    },
    /// A client uses a refresh token.
    Refresh {
        /// Its hash.
        token: Hash,
        /// The client that uses it.
        client_id: String,
        /// The refresh token that the client gets.
        next: Box<NextRefreshToken>,
        /// Seconds after the first use in which another use gets the same answer.
        grace: u64,
        /// Seconds after which the identity provider has to be asked again, and for how many a request may ask it; `None` if it
        /// is not asked.
        recheck: Option<(u64, u64)>,
        /// The key that the request proves.
        key: ProvenKey,
    },
    /// The identity provider said who the user is.
    Rechecked(Box<Rechecked>),
    /// The turn to ask the provider that ends at this second ended without an answer. The provider's tokens may be others now;
    /// they are sealed for the holder of the refresh token with this hash.
    NotRechecked(u64, Hash, Option<Box<SealedProviderTokens>>),
    /// Reads the grant and changes nothing.
    Read,
    /// Asks when the client last got a token, and changes nothing.
    LastUse,
    /// Asks whether access tokens that were issued at this second are still accepted, and changes nothing.
    Accepts(u64),
    /// What tokens say of the user has changed at this second: they are not accepted any more, and the next refresh asks the
    /// identity provider first. Done if it can.
    Stale(u64),
    /// Ends the grant, for this reason.
    End(String),
}

/// What a grant answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum GrantAnswer {
    /// Done.
    Done,
    /// The request is granted. If there is a next refresh token, it is now the current one.
    Granted(Terms),
    /// The identity provider has to be asked first, by this request. Its turn ends at this second.
    RecheckDue(Box<GrantContent>, u64),
    /// Another request asks the provider.
    RecheckRunning,
    /// The code or refresh token is bound to another key. It is not used up.
    OtherKey,
    /// The refresh token was already used a moment ago: the refresh token that replaced it, sealed for its holder.
    Retried(Terms, String),
    /// The code or refresh token was used a second time, or by another client, or the code with another redirect URI or
    /// verifier. The grant has ended: its subject, and the reason.
    Misused(String, String),
    /// The grant, the code or the refresh token does not exist, or no longer exists.
    Unknown,
    /// The grant, as the question asked to read it.
    Content(Box<GrantContent>),
    /// The second at which the client last got a token with it.
    LastUse(u64),
}

/// What the identity provider says about the user of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rechecked {
    /// The second at which the turn of the request that asked ends.
    pub turn: u64,
    /// The hash of the refresh token that opened the vault.
    pub token: Hash,
    /// The second at which it said so.
    pub at: u64,
    /// Claims of the user that tokens contain.
    pub claims: Map<String, Value>,
    /// The approved scopes that the user may have.
    pub scope: String,
    /// The provider's tokens.
    pub vault: Option<SealedProviderTokens>,
}

/// What can be read of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantContent {
    /// Its content.
    pub terms: Terms,
    /// The scopes that the user approved.
    pub approved: String,
    /// The second at which the identity provider last said who the user is.
    pub checked: u64,
    /// The second at which the grant ends in any case.
    pub until: u64,
    /// The hash of its current refresh token, and the second at which that expires.
    pub refresh: Option<(Hash, u64)>,
    /// The identity provider's tokens.
    pub vault: Option<SealedProviderTokens>,
}

impl RecordStateMachine for Grant {
    const KIND: &'static str = "grant";
    // A grant of version 2 may have been checked again: a Worker of the version before would not read it.
    const MIGRATIONS: &'static [Migration] = &[|_| {}];
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
            // An ended grant stays stored until its time is over, so that nothing can revive it.
            _ if grant.ended.is_some() => GrantAnswer::Unknown,
            GrantQuestion::Redeem { code, key, .. } if grant.needs_other_key(&code, &key) => GrantAnswer::OtherKey,
            GrantQuestion::Redeem { code, client_id, redirect_uri, challenge, next, key } => {
                let answer = grant.redeem(&code, &client_id, redirect_uri.as_deref(), &challenge, next, now);
                if matches!(answer, GrantAnswer::Granted(_)) && key.binds {
                    grant.key = key.jkt;
                }
                answer
            }
            // A thief who has the token and not the key can neither use it nor end the grant.
            GrantQuestion::Refresh { key, .. } if grant.key.is_some() && grant.key != key.jkt => GrantAnswer::OtherKey,
            GrantQuestion::Refresh { token, client_id, next, grace, recheck, .. } => {
                grant.refresh(&token, &client_id, *next, recheck, (now, grace))
            }
            GrantQuestion::Rechecked(rechecked) => grant.rechecked(*rechecked),
            GrantQuestion::NotRechecked(turn, token, vault) => {
                if grant.is_turn(turn, &token) {
                    grant.checking = 0;
                    grant.vault = vault.map(|vault| *vault).or(grant.vault);
                }
                GrantAnswer::Done
            }
            GrantQuestion::Read => GrantAnswer::Content(Box::new(grant.content())),
            GrantQuestion::LastUse => {
                GrantAnswer::LastUse(grant.replaced.as_ref().map_or(grant.terms.authenticated, |replaced| replaced.at))
            }
            GrantQuestion::Accepts(issued) => {
                if issued >= grant.stale_before {
                    GrantAnswer::Done
                } else {
                    GrantAnswer::Unknown
                }
            }
            GrantQuestion::Stale(at) if grant.vault.is_some() => {
                grant.stale_before = grant.stale_before.max(at);
                // What the provider says to a request that asks it already may be what was.
                (grant.checked, grant.checking) = (Some(0), 0);
                GrantAnswer::Done
            }
            GrantQuestion::Stale(_) => GrantAnswer::Unknown,
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
    /// Whether a code must be redeemed with another key.
    fn needs_other_key(&self, hash: &Hash, key: &ProvenKey) -> bool {
        let code = self.code.as_ref().filter(|code| code.hash == *hash);
        code.is_some_and(|code| code.key.is_some() && code.key != key.jkt)
    }

    fn end(&mut self, why: &str) {
        (self.code, self.refresh, self.replaced, self.vault) = (None, None, None, None);
        // The record that stays says that the grant has ended, and nothing about whose it was.
        self.terms.subject.clear();
        self.terms.claims.clear();
        self.ended = Some(why.to_owned());
    }

    fn misused(&mut self, why: &str) -> GrantAnswer {
        let subject = self.terms.subject.clone();
        self.end(why);
        GrantAnswer::Misused(subject, why.to_owned())
    }

    /// Redeems the code, which is valid once. The gateway treats a second use, and a request with the right code but another
    /// client, redirect URI or verifier, as theft: it ends the grant.
    fn redeem(
        &mut self,
        hash: &Hash,
        client_id: &str,
        redirect_uri: Option<&str>,
        challenge: &str,
        next: Option<Box<NextRefreshToken>>,
        now: u64,
    ) -> GrantAnswer {
        let Some(code) = self.code.take() else { return self.misused("code_reused") };
        if code.hash != *hash {
            // A grant has only one code, so the gateway never issued another one for it.
            self.code = Some(code);
            return GrantAnswer::Unknown;
        }
        if now >= code.until {
            self.end("code_expired");
            return GrantAnswer::Unknown;
        }
        // What the provider said at the login has changed since: the user has to log in again.
        if self.checked() == 0 {
            self.end("claims_changed");
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
            // There is no refresh token that could open the vault.
            None => self.vault = None,
        }
        GrantAnswer::Granted(self.terms.clone())
    }

    fn refresh(
        &mut self,
        hash: &Hash,
        client_id: &str,
        next: NextRefreshToken,
        recheck: Option<(u64, u64)>,
        (now, grace): (u64, u64),
    ) -> GrantAnswer {
        if client_id != self.terms.client_id {
            return self.misused("refresh_token_of_another_client");
        }
        let is_current = self.refresh.as_ref().is_some_and(|current| current.hash == *hash && now < current.until);
        if let Some((_, turn)) = recheck.filter(|(every, _)| is_current && now >= self.checked() + every) {
            if now < self.checking {
                return GrantAnswer::RecheckRunning;
            }
            self.checking = now + turn;
            return GrantAnswer::RecheckDue(Box::new(self.content()), self.checking);
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
            Some(replaced) if replaced.hash == *hash && now <= replaced.at + grace => {
                GrantAnswer::Retried(self.terms.clone(), replaced.next.clone())
            }
            _ => self.misused("refresh_token_reused"),
        }
    }

    fn checked(&self) -> u64 {
        self.checked.unwrap_or(self.terms.authenticated)
    }

    fn content(&self) -> GrantContent {
        GrantContent {
            terms: self.terms.clone(),
            approved: self.approved.clone().unwrap_or_else(|| self.terms.scope.clone()),
            checked: self.checked(),
            until: self.until,
            refresh: self.refresh.as_ref().map(|current| (current.hash.clone(), current.until)),
            vault: self.vault.clone(),
        }
    }

    /// Whether this turn still lasts, and the vault is still sealed for the holder of this refresh token.
    fn is_turn(&self, turn: u64, token: &Hash) -> bool {
        self.checking == turn && self.refresh.as_ref().is_some_and(|current| current.hash == *token)
    }

    /// Keeps what the identity provider said in this turn. Access tokens that say something else are not accepted any more.
    fn rechecked(&mut self, said: Rechecked) -> GrantAnswer {
        if !self.is_turn(said.turn, &said.token) {
            return GrantAnswer::Unknown;
        }
        // A change ended the turns before it, so the provider was asked after it: what is issued from now on is right.
        if self.stale_before > said.at || said.claims != self.terms.claims || said.scope != self.terms.scope {
            self.stale_before = said.at;
        }
        if said.scope != self.terms.scope {
            self.approved.get_or_insert_with(|| self.terms.scope.clone());
        }
        (self.terms.claims, self.terms.scope) = (said.claims, said.scope);
        (self.vault, self.checked, self.checking) = (said.vault, Some(said.at), 0);
        GrantAnswer::Done
    }

    /// Makes a refresh token the current one, and seals the vault for its holder.
    fn succeed(&mut self, next: NextRefreshToken, now: u64) {
        self.vault = self.vault.take().and_then(|vault| {
            let (from, to) = (SealKey::from_text(&next.from)?, SealKey::from_text(&next.to)?);
            let key = from.open(&vault.key, "vault key")?;
            Some(SealedProviderTokens { key: to.seal(&key, "vault key", &next.nonce), ..vault })
        });
        self.refresh = Some(Refresh { hash: next.hash, until: (now + next.seconds).min(self.until) });
    }
}
