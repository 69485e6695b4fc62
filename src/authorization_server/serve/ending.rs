//! Access that ends because an identity provider says so: whose it is here, and what ends.

use super::authorize::person;
use super::{Failure, ServerContext};
use crate::authorization_server::client::CLIENT_SUBJECT;
use crate::authorization_server::login::{Identity, Login};
use crate::authorization_server::security_event::{EventSubject, Happening, SecurityEvent};
use crate::authorization_server::state::grant::{Grant, GrantAnswer, GrantQuestion};
use crate::authorization_server::state::identifier::{
    GrantOfSession, Identifier, IdentifierAnswer, IdentifierName, IdentifierQuestion,
};
use crate::authorization_server::state::subject::{UserData, UserQuestion, UserRecord};
use crate::authorization_server::trusted_issuer::{SignalRules, TrustedIssuer};
use crate::limits::{CLOCKS_APART, SIGNAL_SECONDS};
use crate::origin_credential::PerUser;
use crate::origin_credential::failure::ObtainError;
use crate::ports::Ports;
use crate::settings::resource::Resource;
use crate::token::revocation::index::Revocable;

impl<P: Ports> ServerContext<'_, P> {
    /// Notes by which names the provider can speak of a user who logged in, and asks whether it said meanwhile that the user has no
    /// access. Call it when the user's grant is in the list of the user, so that no signal misses it.
    pub(super) async fn may_begin(
        &self,
        identity: &Identity,
        (since, until): (u64, u64),
        grant: Option<&str>,
    ) -> Result<bool, Failure> {
        let login = self.server.login_of(&identity.subject);
        let scope = login.identity();
        let own = identity.subject.strip_prefix(&login.prefix).unwrap_or(&identity.subject);
        let text = |name: &str| identity.claims.get(name).and_then(serde_json::Value::as_str);
        // An address that the provider did not verify may be another user's.
        let email = identity.email.clone();
        // Where the subject is not `sub`, the provider may use either.
        let mut names: Vec<IdentifierName<'_>> = Vec::new();
        for subject in text("sub").into_iter().chain([own]) {
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
        let mut users: Vec<(String, bool)> = Vec::new();
        let names_subject = event.about.iter().any(|about| matches!(about, EventSubject::Subject { .. }));
        for about in &event.about {
            let mut event = event.clone();
            // A user is enabled again by the name by which the user was disabled: the subject, if the event has it.
            if names_subject && !matches!(about, EventSubject::Subject { .. }) {
                event.happening = event.happening.min(Happening::SessionsEnded);
            }
            let (own, foreign) = self.scopes(issuer, rules, about);
            for scope in own {
                let known = self.note(scope, about, &event).await?;
                let disabled = known.disabled;
                let mut subjects = known.subjects;
                if subjects.is_empty() {
                    subjects.extend(self.user_of_login(scope, about).await?);
                }
                users.extend(subjects.into_iter().map(|subject| (subject, disabled)));
                if event.happening >= Happening::SessionsEnded {
                    self.end_session(known.grants, event.at).await?;
                }
            }
            for scope in foreign {
                self.note_foreign(scope, about, &event).await?;
            }
        }
        users.sort_unstable();
        users.dedup_by(|later, first| {
            later.0 == first.0 && {
                first.1 |= later.1;
                true
            }
        });
        for (subject, disabled) in &users {
            // A user who is disabled now has no access, at whatever second it began.
            let at = if *disabled && event.happening == Happening::AccountDisabled { self.now() } else { event.at };
            self.apply_to_user(subject, event.happening, at).await?;
        }
        Ok(users.len())
    }

    /// Of whom a transmitter speaks: of the users of the login and of its own ID-JAGs, and of users whose tokens other issuers
    /// issue. An event that names one of these issuers is about its user alone; one that names the transmitter is about all.
    fn scopes<'s>(
        &'s self,
        issuer: &'s TrustedIssuer,
        rules: &'s SignalRules,
        about: &EventSubject,
    ) -> (Vec<&'s str>, Vec<&'s str>) {
        let login = rules.about_login.then(|| self.server.login.identity());
        let others = self.server.other_logins.iter().map(Login::identity).filter(|it| *it == issuer.identifier);
        let jags = issuer.id_jag.is_some().then_some(issuer.identifier.as_str()).filter(|own| Some(*own) != login);
        let named = match about {
            EventSubject::Subject { issuer: Some(named), .. } if *named != issuer.identifier => Some(named.as_str()),
            _ => None,
        };
        let fits = |scope: &&str| named.is_none_or(|named| named == *scope);
        let mut own: Vec<&str> = login.into_iter().chain(others).chain(jags).filter(fits).collect();
        own.dedup();
        (own, rules.issuers.iter().map(String::as_str).filter(fits).collect())
    }

    /// A user of the login whose names the gateway did not note, because the login was before it did.
    async fn user_of_login(&self, scope: &str, about: &EventSubject) -> Result<Option<String>, Failure> {
        let EventSubject::Subject { subject, .. } = about else { return Ok(None) };
        let Some(login) = self.server.logins().find(|login| scope == login.identity()) else { return Ok(None) };
        let subject = &format!("{}{subject}", login.prefix);
        let is_subject = login.tenants.is_empty() && login.subject_claim == "sub";
        if !is_subject || self.server.is_reserved(subject, &login.prefix) {
            return Ok(None);
        }
        let known = self.ask::<UserRecord>(&person(self.server, subject), UserQuestion::Read).await?;
        let is_known = !known.grants.is_empty() || !known.approvals.is_empty() || !known.connections.is_empty();
        Ok(is_known.then(|| subject.clone()))
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
            Happening::AccountEnabled => IdentifierQuestion::Enable(event.at, SIGNAL_SECONDS),
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

    /// Ends the grants that began in a session of the provider, at this second or before.
    pub(super) async fn end_session(&self, grants: Vec<(String, GrantOfSession)>, at: u64) -> Result<usize, Failure> {
        let mut ended = 0;
        for (grant, GrantOfSession { subject, since, .. }) in grants {
            if since <= at + CLOCKS_APART {
                self.end_all(&subject, &[grant], "ended_by_provider: the session has ended").await?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// What happens to a user of this server when something happens to the user at the provider, at this second.
    pub(super) async fn apply_to_user(&self, subject: &str, happening: Happening, at: u64) -> Result<(), Failure> {
        // The clocks of the provider and of the gateway differ: what began a moment later ends, too.
        let before = at + CLOCKS_APART + 1;
        match happening {
            Happening::AccountEnabled => {}
            Happening::ClaimsChanged => {
                self.announce(&[Revocable::User(subject.to_owned())]).await?;
                let known = self.ask::<UserRecord>(&person(self.server, subject), UserQuestion::Stale(before)).await?;
                let grants: Vec<String> = known.grants.keys().cloned().collect();
                self.have_rechecked(subject, &grants, before).await?;
            }
            Happening::AccountPurged if subject.starts_with(CLIENT_SUBJECT) => {}
            Happening::SessionsEnded | Happening::AccountDisabled | Happening::AccountPurged => {
                self.announce(&[Revocable::User(subject.to_owned())]).await?;
                let known =
                    self.ask::<UserRecord>(&person(self.server, subject), UserQuestion::EndBefore(before)).await?;
                self.end_all(subject, &known.ended, "ended_by_provider: a signal").await?;
                // A user who came back since has another account, or the event is late.
                if happening == Happening::AccountPurged && known.grants.len() == known.ended.len() {
                    self.delete_subject(subject, "ended_by_provider: the account was deleted").await?;
                }
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
        let asks = self.server.login_of(subject).recheck.is_some();
        for grant in grants {
            let can = asks && self.ask::<Grant>(grant, GrantQuestion::Stale(at)).await? == GrantAnswer::Done;
            if !can {
                self.end_all(subject, std::slice::from_ref(grant), "ended_by_provider: claims have changed").await?;
            }
        }
        Ok(())
    }

    /// Ends grants of a subject. Each is listed until it is over, so that what fails in the middle can be done again.
    pub(super) async fn end_all(&self, subject: &str, grants: &[String], why: &str) -> Result<(), Failure> {
        if grants.is_empty() {
            return Ok(());
        }
        self.announce(&grants.iter().cloned().map(Revocable::Grant).collect::<Vec<_>>()).await?;
        for grant in grants {
            self.ask::<Grant>(grant, GrantQuestion::End(why.to_owned())).await?;
            self.unlist(subject, grant).await?;
            self.say("info", "grant_revoked", &format!("grant {grant}: {why}"));
        }
        Ok(())
    }

    /// Ends everything of a subject. Returns the grants, and the resources of the connections.
    pub(super) async fn delete_subject(&self, subject: &str, why: &str) -> Result<(Vec<String>, Vec<String>), Failure> {
        self.announce(&[Revocable::User(subject.to_owned())]).await?;
        let known = self.ask::<UserRecord>(&person(self.server, subject), UserQuestion::Forget).await?;
        self.end_all(subject, &known.ended, why).await?;
        let mut disconnected = Vec::new();
        for (resource, _) in self.connectables() {
            if self.disconnected_by_administrator(subject, &resource.identifier).await? {
                disconnected.push(resource.identifier.clone());
            }
        }
        for resource in self.lost(&known) {
            if self.disconnected_by_administrator(subject, resource).await? {
                disconnected.push(resource.clone());
            }
        }
        Ok((known.ended, disconnected))
    }

    /// The resources for which a user connected an account, and at which the configuration no longer has accounts.
    pub(super) fn lost<'a>(&self, known: &'a UserData) -> impl Iterator<Item = &'a String> {
        known.connections.iter().filter(|resource| self.connectable(resource).is_none())
    }

    /// Disconnects an account. Whether it was connected.
    pub(super) async fn disconnected(
        &self,
        subject: &str,
        resource: &Resource,
        per_user: &PerUser,
        why: &str,
    ) -> Result<bool, Failure> {
        let ended = self.connections().disconnect(subject, resource, per_user).await;
        let ended = ended.map_err(|error| self.records_failed(&error))?;
        let unlisted = UserQuestion::Disconnected(resource.identifier.clone());
        self.ask::<UserRecord>(&person(self.server, subject), unlisted).await?;
        if ended {
            self.say("info", "disconnected", &format!("resource {:?}: {why}", resource.path.as_str()));
        }
        Ok(ended)
    }

    /// Ends a connection, also one to a resource that is not in the configuration any more. Whether there was one.
    pub(super) async fn disconnected_by_administrator(&self, subject: &str, resource: &str) -> Result<bool, Failure> {
        if let Some((resource, per_user)) = self.connectable(resource) {
            return self.disconnected(subject, resource, per_user, "ended_by_administrator").await;
        }
        let ended = self.connections().forget(subject, resource).await;
        let ended = ended.map_err(|error| self.records_failed(&error))?;
        self.ask::<UserRecord>(&person(self.server, subject), UserQuestion::Disconnected(resource.to_owned())).await?;
        Ok(ended)
    }

    pub(super) fn records_failed(&self, error: &ObtainError) -> Failure {
        self.say("error", "records_unavailable", &error.to_string());
        Failure::Records
    }

    /// Takes a grant out of its subject's list.
    pub(super) async fn unlist(&self, subject: &str, grant: &str) -> Result<(), Failure> {
        self.ask::<UserRecord>(&person(self.server, subject), UserQuestion::Ended(grant.to_owned())).await.map(|_| ())
    }
}
