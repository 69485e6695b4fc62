//! Asks the identity provider again about the user of a grant, when the grant is refreshed after some time (A17).

use super::held_tokens::HeldTokens;
use super::{Context, Failure, Reply};
use crate::authorization_server::handle::Handle;
use crate::authorization_server::login::{Identity, LoginError};
use crate::authorization_server::refusal::Refusal;
use crate::authorization_server::state::grant::{Grant, GrantContent, GrantQuestion, Rechecked, SealedProviderTokens};
use crate::limits::RECHECK_RETRY;
use crate::oauth::scope::ScopeSet;
use crate::ports::Ports;
use crate::token::revocation::index::Revocable;

/// Why the provider does not confirm a user.
enum NotConfirmed {
    /// It says that the access has ended, or what it says means that.
    Ended(String),
    /// It did not say anything that can be used, and its tokens are now these.
    Unknown(String, Option<SealedProviderTokens>),
}

impl<P: Ports> Context<'_, P> {
    /// Asks the provider about the user of a grant, in the turn that ends at this second; an answer if the grant is not
    /// refreshed.
    pub(super) async fn recheck(
        &self,
        token: &Handle,
        seen: GrantContent,
        turn: u64,
    ) -> Result<Option<Reply>, Failure> {
        let grant = token.grant();
        match self.confirmed(token, &seen).await {
            Ok((claims, scope, vault)) => {
                if claims != seen.terms.claims || scope != seen.terms.scope {
                    // Access tokens that say what was are not accepted any more.
                    self.announce(&[Revocable::Grant(grant.to_owned())]).await?;
                    self.say("info", "grant_changed", &format!("grant {grant}: scope {scope:?}"));
                }
                let rechecked = Rechecked { turn, at: self.now(), claims, scope, vault };
                self.ask::<Grant>(grant, GrantQuestion::Rechecked(Box::new(rechecked))).await?;
                Ok(None)
            }
            Err(NotConfirmed::Ended(why)) => {
                self.end_all(&seen.terms.subject, &[grant.to_owned()], &format!("ended_by_provider: {why}")).await?;
                Ok(Some(Reply::refusal(Refusal::InvalidGrant(Some(format!("grant {grant}: {why}"))))))
            }
            Err(NotConfirmed::Unknown(why, vault)) => self.not_rechecked(grant, &seen, (turn, why), vault).await,
        }
    }

    /// A provider that is out of reach takes access from no user, for a time.
    async fn not_rechecked(
        &self,
        grant: &str,
        seen: &GrantContent,
        (turn, why): (u64, String),
        vault: Option<SealedProviderTokens>,
    ) -> Result<Option<Reply>, Failure> {
        self.say("warn", "recheck_failed", &format!("grant {grant}: {why}"));
        self.ask::<Grant>(grant, GrantQuestion::NotRechecked(turn, vault.map(Box::new))).await?;
        let allowed = self.server.login.recheck.map_or(0, |recheck| recheck.seconds + recheck.outage_seconds);
        if self.now() < seen.checked + allowed {
            return Ok(None);
        }
        Ok(Some(Reply::refusal(Refusal::RecheckImpossible(why))))
    }

    async fn confirmed(&self, token: &Handle, seen: &GrantContent) -> Result<Confirmed, NotConfirmed> {
        let login = &self.server.login;
        let same = || (seen.terms.claims.clone(), seen.terms.scope.clone(), seen.vault.clone());
        let held = seen.vault.as_ref().and_then(|sealed| Some((HeldTokens::open(sealed, token)?, sealed)));
        let Some(((held, key), sealed)) = held else {
            if login.recheck.is_some_and(|recheck| recheck.is_required) {
                return Err(NotConfirmed::Ended("the provider gave no token to ask about the user with".to_owned()));
            }
            return Ok(same());
        };
        let at = self.provider_of(login);
        if self.memory.failed_lately(RECHECK, self.ports.now()) {
            return Err(NotConfirmed::Unknown("the provider did not answer a moment ago".to_owned(), None));
        }
        let again = |held: &HeldTokens| held.seal_again(&key, sealed, &self.nonce());
        let (identity, held) = match at.identified_again(held).await {
            Ok(said) => said,
            Err((error, _)) if ends_access(&error) => return Err(NotConfirmed::Ended(error.to_string())),
            Err((error, held)) => {
                self.memory.note_failure(RECHECK, self.ports.now().plus_seconds(RECHECK_RETRY));
                return Err(NotConfirmed::Unknown(error.to_string(), Some(again(&held))));
            }
        };
        let (mut claims, mut scope, _) = same();
        if let Some(identity) = identity {
            (claims, scope) = self.entitled_now(&identity, seen).map_err(NotConfirmed::Ended)?;
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
        let login = &self.server.login;
        if identity.subject != seen.terms.subject {
            return Err("the provider speaks of another user".to_owned());
        }
        if !identity.is_admitted(login.users()) {
            return Err("the user is not admitted any more".to_owned());
        }
        let claims = identity.token_claims(&self.server.token_claims, &login.groups_claim);
        let claims = claims.map_err(|error| error.to_string())?;
        let approved = ScopeSet::of_text(&seen.approved);
        let entitled = |scope: &&crate::oauth::scope::Scope| {
            identity.is_entitled(scope, &self.server.entitlements, &self.settings.scopes)
        };
        let scope: ScopeSet = approved.iter().filter(entitled).cloned().collect();
        if scope.is_empty() && !approved.is_empty() {
            return Err("the user is entitled to none of the scopes any more".to_owned());
        }
        Ok((claims, scope.to_string()))
    }
}

/// The claims and scopes of a user, and the provider's tokens.
type Confirmed = (serde_json::Map<String, serde_json::Value>, String, Option<SealedProviderTokens>);

/// What is remembered of a provider that did not answer.
const RECHECK: &str = "provider recheck";

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

/// Whether an error means that the user has no access any more. Others may be of the provider or of the configuration.
fn ends_access(error: &LoginError) -> bool {
    match error {
        LoginError::CodeRefused(code, _) => ENDS_ACCESS.contains(&code.as_str()),
        LoginError::Provider(crate::provider::ProviderError::Status(_, 401)) | LoginError::OtherUser => true,
        _ => false,
    }
}
