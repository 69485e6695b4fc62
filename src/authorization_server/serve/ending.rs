//! Access that ends because an identity provider says so: whose it is here, and what ends.

use super::authorize::person;
use super::{Context, Failure};
use crate::authorization_server::client::CLIENT_SUBJECT;
use crate::authorization_server::login::Identity;
use crate::authorization_server::security_event::{EventSubject, Happening, SecurityEvent};
use crate::authorization_server::state::grant::{Grant, GrantAnswer, GrantQuestion};
use crate::authorization_server::state::identifier::{
    Identifier, IdentifierAnswer, IdentifierName, IdentifierQuestion,
};
use crate::authorization_server::state::subject::{UserQuestion, UserRecord};
use crate::authorization_server::trusted_issuer::{SignalRules, TrustedIssuer};
use crate::limits::{CLOCKS_APART, SIGNAL_SECONDS};
use crate::ports::Ports;
use crate::token::revocation::index::Revocable;

impl<P: Ports> Context<'_, P> {
    /// Notes by which names the provider can speak of a user who logged in, and asks whether it said meanwhile that the user has no
    /// access. Call it when the user's grant is in the list of the user, so that no signal misses it.
    pub(super) async fn may_begin(
        &self,
        identity: &Identity,
        (since, until): (u64, u64),
        grant: Option<&str>,
    ) -> Result<bool, Failure> {
        if !self.server.is_signalled() {
            return Ok(true);
        }
        let scope = self.server.login.identity();
        let text = |name: &str| identity.claims.get(name).and_then(serde_json::Value::as_str);
        let email = text("email").map(str::to_ascii_lowercase);
        // Where the subject is not `sub`, the provider may use either.
        let mut names: Vec<IdentifierName<'_>> = Vec::new();
        for subject in text("sub").into_iter().chain([identity.subject.as_str()]) {
            let name = IdentifierName::Subject { scope, subject };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.extend(email.as_deref().map(|email| IdentifierName::Email { scope, email }));
        if grant.is_some() {
            names.extend(text("sid").map(|id| IdentifierName::Session { scope, id }));
        }
        for name in names {
            let grant = grant.filter(|_| matches!(name, IdentifierName::Session { .. })).map(str::to_owned);
            if !self.seen(name, &identity.subject, grant, (since, until)).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Notes that a user with this subject has this name at a provider; whether the user may have access.
    pub(super) async fn seen(
        &self,
        name: IdentifierName<'_>,
        subject: &str,
        grant: Option<String>,
        (since, until): (u64, u64),
    ) -> Result<bool, Failure> {
        let question = IdentifierQuestion::Seen { subject: subject.to_owned(), grant, since, until };
        Ok(self.ask::<Identifier>(&name.record(), question).await?.accepted)
    }

    /// Applies an event of a transmitter. Returns how many users it concerned.
    pub(super) async fn apply(
        &self,
        issuer: &TrustedIssuer,
        rules: &SignalRules,
        event: &SecurityEvent,
    ) -> Result<usize, Failure> {
        let mut users = Vec::new();
        for about in &event.about {
            // A transmitter speaks of the users of these issuers, and of no others.
            let login = rules.about_login.then(|| self.server.login.identity());
            let is_own = |named: &str| {
                named == issuer.identifier || Some(named) == login || rules.issuers.iter().any(|it| it == named)
            };
            if let EventSubject::Subject { issuer: Some(named), .. } = about
                && !is_own(named)
            {
                continue;
            }
            let own = issuer.id_jag.is_some().then_some(issuer.identifier.as_str());
            for scope in login.into_iter().chain(own.filter(|own| Some(*own) != login)) {
                let known = self.note(scope, about, event).await?;
                users.extend(known.subjects);
                if event.happening >= Happening::SessionsEnded {
                    self.end_session(known.grants).await?;
                }
            }
            for scope in &rules.issuers {
                self.note_foreign(scope, about, event).await?;
            }
        }
        users.sort_unstable();
        users.dedup();
        for subject in &users {
            self.apply_to_user(subject, event.happening, event.at).await?;
        }
        Ok(users.len())
    }

    /// Has the record of a name remember an event. Returns who has the name.
    async fn note(
        &self,
        scope: &str,
        about: &EventSubject,
        event: &SecurityEvent,
    ) -> Result<IdentifierAnswer, Failure> {
        let name = match about {
            EventSubject::Subject { subject, .. } => IdentifierName::Subject { scope, subject },
            EventSubject::Email(email) => IdentifierName::Email { scope, email },
            EventSubject::Session(id) => IdentifierName::Session { scope, id },
        };
        let question = match event.happening {
            Happening::ClaimsChanged => IdentifierQuestion::Accepts(event.at),
            Happening::SessionsEnded => IdentifierQuestion::End(event.at, SIGNAL_SECONDS),
            Happening::AccountDisabled | Happening::AccountPurged => {
                IdentifierQuestion::Disable(event.at, SIGNAL_SECONDS)
            }
            Happening::AccountEnabled => IdentifierQuestion::Enable(event.at),
        };
        self.ask::<Identifier>(&name.record(), question).await
    }

    /// The same for a user whose tokens another issuer issues: the gateway refuses those that are older than the event.
    async fn note_foreign(&self, scope: &str, about: &EventSubject, event: &SecurityEvent) -> Result<(), Failure> {
        let EventSubject::Subject { subject, .. } = about else { return Ok(()) };
        let revoked = Revocable::Subject { issuer: scope.to_owned(), subject: subject.clone() };
        if event.happening != Happening::AccountEnabled {
            self.announce_for(&[revoked], SIGNAL_SECONDS).await?;
        }
        // A token that says what was is replaced by a new one.
        let happening = event.happening.max(Happening::SessionsEnded);
        self.note(scope, about, &SecurityEvent { happening, ..event.clone() }).await.map(|_| ())
    }

    /// Ends the grants that began in a session of the provider.
    pub(super) async fn end_session(&self, grants: Vec<(String, String)>) -> Result<(), Failure> {
        for (grant, subject) in grants {
            self.end_all(&subject, &[grant], "ended_by_provider: the session has ended").await?;
        }
        Ok(())
    }

    /// What happens to a user of this server when something happens to the user at the provider, at this second.
    pub(super) async fn apply_to_user(&self, subject: &str, happening: Happening, at: u64) -> Result<(), Failure> {
        // The clocks of the provider and of the gateway differ: what began a moment later ends, too.
        let before = at + CLOCKS_APART + 1;
        match happening {
            Happening::AccountEnabled => {}
            Happening::ClaimsChanged => {
                self.announce(&[Revocable::User(subject.to_owned())]).await?;
                let known = self.ask::<UserRecord>(&person(subject), UserQuestion::Stale(before)).await?;
                let grants: Vec<String> = known.grants.keys().cloned().collect();
                self.have_rechecked(subject, &grants, before).await?;
            }
            Happening::SessionsEnded | Happening::AccountDisabled => {
                self.announce(&[Revocable::User(subject.to_owned())]).await?;
                let known = self.ask::<UserRecord>(&person(subject), UserQuestion::EndBefore(before)).await?;
                self.end_all(subject, &known.ended, "ended_by_provider: a signal").await?;
            }
            Happening::AccountPurged if subject.starts_with(CLIENT_SUBJECT) => {}
            Happening::AccountPurged => {
                self.delete_subject(subject, "ended_by_provider: the account was deleted").await?;
            }
        }
        Ok(())
    }

    /// Has the next refresh of each grant ask the provider, and ends those for which it cannot.
    async fn have_rechecked(&self, subject: &str, grants: &[String], at: u64) -> Result<(), Failure> {
        if grants.is_empty() {
            return Ok(());
        }
        self.announce(&grants.iter().cloned().map(Revocable::Grant).collect::<Vec<_>>()).await?;
        let asks = self.server.login.recheck.is_some();
        for grant in grants {
            let can = asks && self.ask::<Grant>(grant, GrantQuestion::Stale(at)).await? == GrantAnswer::Done;
            if !can {
                self.end_all(subject, std::slice::from_ref(grant), "ended_by_provider: claims have changed").await?;
            }
        }
        Ok(())
    }
}
