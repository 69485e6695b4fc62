//! Asks the identity provider again about the user of a grant, when the grant is refreshed after some time (A17).

use super::held_tokens::HeldTokens;
use super::provider::Whole;
use super::{Context, Failure, Reply};
use crate::authorization_server::handle::Handle;
use crate::authorization_server::login::signed_in::with_sign_in_of;
use crate::authorization_server::login::{Identity, Login, LoginError};
use crate::authorization_server::refusal::Refusal;
use crate::authorization_server::state::grant::{
    Grant, GrantAnswer, GrantContent, GrantQuestion, Rechecked, SealedProviderTokens,
};
use crate::limits::RECHECK_RETRY;
use crate::oauth::scope::ScopeSet;
use crate::ports::Ports;
use crate::provider::ProviderError;
use crate::token::principal::EMAIL_VERIFIED;
use crate::token::revocation::index::Revocable;

/// What comes of a recheck.
pub(super) enum Recheck {
    /// The provider confirms the user.
    Confirmed,
    /// The provider is out of reach, and may be.
    Unconfirmed,
    /// The turn was over before it ended: the record decides again.
    Again,
    /// The grant is not refreshed.
    Refused(Reply),
}

/// Why the provider does not confirm a user.
enum NotConfirmed {
    /// It says that the access has ended, or what it says means that.
    Ended(String),
    /// It did not say anything that can be used, and its tokens are now these.
    Unknown(String, Option<SealedProviderTokens>),
    /// A record could not be read.
    Failed(Failure),
}

impl<P: Ports> Context<'_, P> {
    /// Asks the provider about the user of a grant, in the turn that ends at this second.
    pub(super) async fn recheck(&self, token: &Handle, seen: GrantContent, turn: u64) -> Result<Recheck, Failure> {
        let grant = token.grant();
        match self.confirmed(token, &seen).await {
            Ok((claims, scope, vault)) => {
                if claims != seen.terms.claims || scope != seen.terms.scope {
                    // Access tokens that say what was are not accepted any more.
                    self.announce(&[Revocable::Grant(grant.to_owned())]).await?;
                    self.say("info", "grant_changed", &format!("grant {grant}: scope {scope:?}"));
                }
                let rechecked = Rechecked { turn, token: token.hash(), at: self.now(), claims, scope, vault };
                let kept = self.ask::<Grant>(grant, GrantQuestion::Rechecked(Box::new(rechecked))).await?;
                Ok(if kept == GrantAnswer::Done { Recheck::Confirmed } else { Recheck::Again })
            }
            Err(NotConfirmed::Ended(why)) => {
                self.end_all(&seen.terms.subject, &[grant.to_owned()], &format!("ended_by_provider: {why}")).await?;
                let detail = format!("grant {grant}: {why}");
                Ok(Recheck::Refused(Reply::refusal(Refusal::InvalidGrant(Some(detail)))))
            }
            Err(NotConfirmed::Unknown(why, vault)) => self.not_rechecked(token, &seen, (turn, why), vault).await,
            Err(NotConfirmed::Failed(failure)) => Err(failure),
        }
    }

    /// A provider that is out of reach takes access from no user, for a time.
    async fn not_rechecked(
        &self,
        token: &Handle,
        seen: &GrantContent,
        (turn, why): (u64, String),
        vault: Option<SealedProviderTokens>,
    ) -> Result<Recheck, Failure> {
        self.say("warn", "recheck_failed", &format!("grant {}: {why}", token.grant()));
        let question = GrantQuestion::NotRechecked(turn, token.hash(), vault.map(Box::new));
        self.ask::<Grant>(token.grant(), question).await?;
        let allowed = self
            .server
            .login_of(&seen.terms.subject)
            .recheck
            .map_or(0, |recheck| recheck.seconds + recheck.outage_seconds);
        if self.now() < seen.checked + allowed {
            return Ok(Recheck::Unconfirmed);
        }
        Ok(Recheck::Refused(Reply::refusal(Refusal::RecheckImpossible(why))))
    }

    async fn confirmed(&self, token: &Handle, seen: &GrantContent) -> Result<Confirmed, NotConfirmed> {
        let login = self.server.login_of(&seen.terms.subject);
        let same = || (seen.terms.claims.clone(), seen.terms.scope.clone(), seen.vault.clone());
        let Some(sealed) = &seen.vault else {
            if login.recheck.is_some_and(|recheck| recheck.is_required) {
                return Err(NotConfirmed::Ended("the provider gave no token to ask about the user with".to_owned()));
            }
            return Ok(same());
        };
        let Some((held, key)) = HeldTokens::open(sealed, token) else {
            return Err(NotConfirmed::Ended("the provider's tokens cannot be opened".to_owned()));
        };
        if !held.are_of(login) {
            return Err(NotConfirmed::Ended("the login has another provider now".to_owned()));
        }
        let at = self.provider_of(login);
        if self.memory.failed_lately(&recheck_of(login), self.ports.now()) {
            return Err(NotConfirmed::Unknown("the provider did not answer a moment ago".to_owned(), None));
        }
        let again = |held: &HeldTokens| held.seal_again(&key, sealed, &self.nonce());
        let (identity, held) = match at.identified_again(held).await {
            Ok(said) => said,
            Err((error, _)) if ends_access(&error) => return Err(NotConfirmed::Ended(error.to_string())),
            Err((error, held)) => {
                if is_out_of_reach(&error) {
                    self.memory.note_failure(&recheck_of(login), self.ports.now().plus_seconds(RECHECK_RETRY));
                }
                return Err(NotConfirmed::Unknown(error.to_string(), Some(again(&held))));
            }
        };
        let (mut claims, mut scope, _) = same();
        if identity.is_none() && login.directory.as_ref().is_some_and(|directory| directory.gives_groups) {
            // Without the user's claims, what the groups of the directory mean cannot be known.
            return Err(NotConfirmed::Ended("the provider does not say who the user is".to_owned()));
        }
        if let Some((identity, whole)) = identity {
            let said = identity.claims.clone();
            let admitted = self.admitted(login, identity).await.map_err(NotConfirmed::Failed)?;
            let identity = admitted.map_err(|why| NotConfirmed::Ended(why.to_owned()))?;
            (claims, scope) = self.entitled_now(&identity, seen).map_err(NotConfirmed::Ended)?;
            if whole == Whole::No {
                keep_unsaid(&mut claims, &seen.terms.claims, &said);
            }
            // The provider may have other names for the user than at the login, and may have spoken of the user by one of them.
            let since = seen.checked.max(seen.terms.authenticated);
            let may = self.may_begin(&identity, (since, seen.until), Some(token.grant())).await;
            if !may.map_err(NotConfirmed::Failed)? {
                return Err(NotConfirmed::Ended("a signal about the user".to_owned()));
            }
        }
        Ok((claims, scope, Some(again(&held))))
    }

    /// What the user may have now of what was approved.
    ///
    /// # Errors
    /// Why the user may have nothing any more.
    fn entitled_now(
        &self,
        identity: &Identity,
        seen: &GrantContent,
    ) -> Result<(serde_json::Map<String, serde_json::Value>, String), String> {
        let login = self.server.login_of(&seen.terms.subject);
        if identity.subject != seen.terms.subject {
            return Err("the provider speaks of another user".to_owned());
        }
        let claims = self.claims_of_user(login, identity);
        let claims = with_sign_in_of(&seen.terms.claims, claims.map_err(|error| error.to_string())?);
        let approved = ScopeSet::of_text(&seen.approved);
        let scope = self.entitled(identity, &approved);
        if scope.is_empty() && !approved.is_empty() {
            return Err("the user is entitled to none of the scopes any more".to_owned());
        }
        Ok((claims, scope.to_string()))
    }
}

/// Keeps the claims of the login about which the provider says nothing now. What it says of groups and address, it says.
fn keep_unsaid(
    claims: &mut serde_json::Map<String, serde_json::Value>,
    known: &serde_json::Map<String, serde_json::Value>,
    said: &serde_json::Map<String, serde_json::Value>,
) {
    for (name, value) in known {
        let is_said = said.contains_key(name) || matches!(name.as_str(), "groups" | "email" | EMAIL_VERIFIED);
        if !is_said && !claims.contains_key(name) {
            claims.insert(name.clone(), value.clone());
        }
    }
}

/// The claims and scopes of a user, and the provider's tokens.
type Confirmed = (serde_json::Map<String, serde_json::Value>, String, Option<SealedProviderTokens>);

/// What is remembered of a provider that did not answer.
fn recheck_of(login: &Login) -> String {
    format!("provider recheck {}", login.name)
}

/// The error codes with which a provider says that a user has to log in again, or may not at all (RFC 6749 §5.2, OpenID
/// Connect Core §3.1.2.6; GitHub has one of its own).
const ENDS_ACCESS: [&str; 6] = [
    "access_denied",
    "bad_refresh_token",
    "consent_required",
    "interaction_required",
    "invalid_grant",
    "login_required",
];

/// The error codes with which a provider refuses the gateway itself, or everyone for now (RFC 6749 §5.2 and §4.1.2.1, RFC 8628
/// §3.5).
const REFUSES_EVERYONE: [&str; 5] =
    ["invalid_client", "server_error", "slow_down", "temporarily_unavailable", "unauthorized_client"];

/// Whether an error is of the provider as a whole, and not about one user.
fn is_out_of_reach(error: &LoginError) -> bool {
    match error {
        LoginError::CodeRefused(code, status) => {
            REFUSES_EVERYONE.contains(&code.as_str()) || matches!(status, 429 | 500..)
        }
        LoginError::Provider(ProviderError::Status(_, status)) => *status == 429 || *status >= 500,
        LoginError::Keys(_)
        | LoginError::Issuer(_)
        | LoginError::Provider(_)
        | LoginError::CodeStatus(429 | 500..)
        | LoginError::CodeAnswer(_, 429 | 500..) => true,
        _ => false,
    }
}

/// Whether an error means that the user has no access any more. Others may be of the provider or of the configuration.
fn ends_access(error: &LoginError) -> bool {
    match error {
        LoginError::CodeRefused(code, _) => ENDS_ACCESS.contains(&code.as_str()),
        LoginError::Provider(ProviderError::Status(_, 401)) | LoginError::OtherUser => true,
        _ => false,
    }
}
