//! The SCIM service (RFC 7644) at which the identity provider provisions its users, and what logins and refreshes ask of it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Context, Failure, Reply};
use crate::authorization_server::login::{DirectoryRules, Identity, Login};
use crate::authorization_server::refusal::Refusal;
use crate::authorization_server::security_event::Happening;
use crate::authorization_server::state::Hash;
use crate::directory::answer::SCIM_MEDIA_TYPE;
use crate::directory::error::ScimError;
use crate::directory::links::{Change, MatchedBy, PendingChange};
use crate::directory::object::{DirectoryAnswer, DirectoryQuestion, KnownPerson, ScimQuestion};
use crate::limits::{CLOCKS_APART, SCIM_BODY_BYTES, SCIM_LINK_SECONDS};
use crate::observe::event::EndpointOutcome;
use crate::ports::{OriginFailure, Ports};
use crate::strict_json;
use crate::token::claim_values::claim;
use crate::transport::head::Fields;

/// Why a user may not sign in or go on, in the log.
const NOT_PROVISIONED: &str = "the identity provider has not provisioned the user (SCIM)";
const AMBIGUOUS: &str = "several users of the directory have the name of the login (SCIM)";
const DEACTIVATED: &str = "the identity provider has deactivated the user (SCIM)";

impl<P: Ports> Context<'_, P> {
    /// A request of the identity provider. What it changes for users who have signed in is applied before the answer.
    pub(super) async fn scim(&self, name: Option<&str>, path: &str, body: &P::RequestBody) -> Result<Reply, Failure> {
        let found = self.server.login_named(name).and_then(|login| Some((login, login.directory.as_ref()?)));
        let Some((login, rules)) = found else { return Ok(Reply::refusal(Refusal::UnknownDocument)) };
        if !self.is_provisioner(rules) {
            return Ok(scim_error(&ScimError::unauthorized(), "scim_unauthorized").field("www-authenticate", "Bearer"));
        }
        let body = match self.ports.message(body, SCIM_BODY_BYTES as u64).await {
            Ok(body) => body,
            Err(OriginFailure::BodyTooLarge) => {
                return Ok(scim_error(&ScimError::too_large("the body is too large"), "scim_refused"));
            }
            Err(_) => return Err(Failure::Body),
        };
        let Ok(body) = String::from_utf8(body) else {
            return Ok(scim_error(&ScimError::invalid_syntax("the body is not UTF-8"), "scim_refused"));
        };
        let head = self.request.admitted().head();
        let question = ScimQuestion {
            method: head.method.as_str().to_owned(),
            path: path.to_owned(),
            query: self.request.admitted().query().map(str::to_owned),
            content_type: self.request.field("content-type").map(str::to_owned),
            body,
            base_url: self.server.scim_url(login),
            new_id: self.uuid(),
            matched_by: rules.matched_by,
        };
        let asked = DirectoryQuestion::Scim(Box::new(question));
        let answered = self.ask_directory(login, rules, &asked).await?;
        let DirectoryAnswer::Scim { status, body, location, pending, since } = answered else {
            return Err(Failure::Records);
        };
        // A change that cannot be applied is kept. It holds up neither other changes nor other requests.
        let mut is_applied = true;
        for change in &pending {
            let applied = self.apply_change(login, rules, change).await;
            is_applied &= applied.is_ok() || change.number <= since;
        }
        if !is_applied {
            return Err(Failure::Records);
        }
        let refused = status >= 400;
        let detail = refused.then(|| body.clone()).flatten().map(|text| text.chars().take(300).collect());
        let mut fields = Fields::new();
        fields.set("content-type", SCIM_MEDIA_TYPE);
        if let Some(location) = location {
            fields.set("location", location);
        }
        let reason = if refused { "scim_refused" } else { "scim" };
        let outcome = EndpointOutcome { refused, reason, detail };
        Ok(Reply { status, fields, body: body.unwrap_or_default(), page: None, outcome })
    }

    /// Whether the request has the secret of the identity provider.
    fn is_provisioner(&self, rules: &DirectoryRules) -> bool {
        self.bearer().is_some_and(|bare| rules.secrets.iter().any(|secret| Hash::of(bare) == Hash::of(secret.expose())))
    }

    /// A random UUID (RFC 9562 §5.4).
    fn uuid(&self) -> String {
        let mut bytes = self.random::<16>();
        let set = |byte: Option<&mut u8>, mask: u8, bits: u8| {
            if let Some(byte) = byte {
                *byte = *byte & mask | bits;
            }
        };
        set(bytes.get_mut(6), 0x0f, 0x40);
        set(bytes.get_mut(8), 0x3f, 0x80);
        let hex = base16ct::lower::encode_string(&bytes);
        let part = |range| hex.get(range).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
    }

    async fn ask_directory(
        &self,
        login: &Login,
        rules: &DirectoryRules,
        question: &DirectoryQuestion,
    ) -> Result<DirectoryAnswer, Failure> {
        let failed = |why: &str| {
            self.say("error", "records_unavailable", &format!("the directory: {why}"));
            Failure::Records
        };
        let name = Hash::of(&format!("directory {} {}", self.server.own.identifier, login.identity()));
        let question = serde_json::to_string(question).map_err(|error| failed(&error.to_string()))?;
        let answer = self.ports.directory(&rules.binding, name.as_str(), &question).await;
        let answer = answer.map_err(|why| failed(&why.to_string()))?;
        strict_json::read(answer.as_bytes()).map_err(|error| failed(&error.to_string()))
    }

    /// Applies a change to a user who has signed in.
    async fn apply_change(
        &self,
        login: &Login,
        rules: &DirectoryRules,
        pending: &PendingChange,
    ) -> Result<(), Failure> {
        let happening = match pending.change {
            Change::Groups if !rules.gives_groups => None,
            Change::Groups => Some(Happening::ClaimsChanged),
            Change::Name => Some(Happening::SessionsEnded),
            Change::Deactivated => Some(Happening::AccountDisabled),
            Change::Deleted => Some(Happening::AccountPurged),
        };
        if let Some(happening) = happening {
            // The clock is the gateway's own: what began later goes on.
            let at = pending.at.saturating_sub(CLOCKS_APART);
            self.apply_to_user(&pending.subject, happening, at).await?;
        }
        self.ask_directory(login, rules, &DirectoryQuestion::Applied(pending.number)).await.map(drop)
    }

    /// The user as this server knows it, for a login of an identity provider; the reason in the log if the user may not use the server.
    pub(super) async fn admitted(
        &self,
        login: &Login,
        identity: Identity,
    ) -> Result<Result<Identity, &'static str>, Failure> {
        // Some subjects are reserved for clients that act for themselves, and for users of other providers.
        if self.server.is_reserved(&identity.subject, &login.prefix) {
            return Ok(Err("the subject is reserved"));
        }
        let provisioned = self.provisioned(login, identity).await?;
        Ok(provisioned.and_then(|identity| {
            let groups = self.server.own_groups(identity.groups, &login.prefix);
            let identity = Identity { groups, ..identity };
            let is_admitted = identity.is_admitted(login.users());
            if is_admitted { Ok(identity.apart(login.users())) } else { Err("not admitted") }
        }))
    }

    /// The user as the directory has it, for a login of the identity provider; the reason in the log if the user has no access.
    pub(super) async fn provisioned(
        &self,
        login: &Login,
        identity: Identity,
    ) -> Result<Result<Identity, &'static str>, Failure> {
        let Some(rules) = &login.directory else { return Ok(Ok(identity)) };
        let name = match rules.matched_by {
            // Only an address that the provider has verified is the user's.
            MatchedBy::Email => identity.email.clone(),
            MatchedBy::ExternalId | MatchedBy::UserName => match claim(&identity.claims, &rules.claim) {
                Some(Value::String(name)) => Some(name.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            },
        };
        let question = DirectoryQuestion::SignIn {
            by: rules.matched_by,
            name: name.filter(|name| !name.is_empty()),
            subject: identity.subject.clone(),
            until: self.now() + SCIM_LINK_SECONDS,
        };
        let DirectoryAnswer::Person(known, _) = self.ask_directory(login, rules, &question).await? else {
            return Err(Failure::Records);
        };
        Ok(groups_of(rules, known).map(|groups| match groups {
            Some(groups) if rules.gives_groups => Identity { groups, ..identity },
            _ => identity,
        }))
    }

    /// Whether a user whom this server has just admitted still has access, with the same groups. Call it when the user's grant or sign-in
    /// exists, so that a change of the directory either finds it or is found here.
    pub(super) async fn is_still_admitted(&self, identity: &Identity) -> Result<bool, Failure> {
        let login = self.server.login_of(&identity.subject);
        let Some(rules) = &login.directory else { return Ok(true) };
        let known = self.known_person(login, rules, &identity.subject).await?;
        Ok(groups_of(rules, known).is_ok_and(|groups| match groups {
            Some(groups) if rules.gives_groups => {
                let own = self.server.own_groups(groups, &login.prefix);
                own.iter().map(|group| format!("{}{group}", login.prefix)).collect::<BTreeSet<_>>() == identity.groups
            }
            _ => true,
        }))
    }

    /// Whether a user who signed in before may go on, as far as the directory says it. Changes that are not applied yet are applied.
    pub(super) async fn may_go_on(&self, subject: &str) -> Result<Result<(), &'static str>, Failure> {
        let login = self.server.login_of(subject);
        let Some(rules) = &login.directory else { return Ok(Ok(())) };
        let known = self.known_person(login, rules, subject).await?;
        Ok(groups_of(rules, known).map(drop))
    }

    /// Who signed in with a subject. Changes about the user that are not applied yet are applied.
    async fn known_person(&self, login: &Login, rules: &DirectoryRules, subject: &str) -> Result<KnownPerson, Failure> {
        let question = DirectoryQuestion::Subject { by: rules.matched_by, subject: subject.to_owned() };
        let DirectoryAnswer::Person(known, pending) = self.ask_directory(login, rules, &question).await? else {
            return Err(Failure::Records);
        };
        for change in &pending {
            self.apply_change(login, rules, change).await?;
        }
        Ok(known)
    }
}

/// The groups of a user who has access; `None` of a user whom the directory does not have.
///
/// # Errors
/// Why the user has no access.
fn groups_of(rules: &DirectoryRules, known: KnownPerson) -> Result<Option<BTreeSet<String>>, &'static str> {
    match known {
        KnownPerson::User { active: true, groups } => Ok(Some(groups.into_iter().collect())),
        KnownPerson::User { active: false, .. } => Err(DEACTIVATED),
        KnownPerson::Several => Err(AMBIGUOUS),
        KnownPerson::Unknown if rules.is_required => Err(NOT_PROVISIONED),
        KnownPerson::Unknown => Ok(None),
    }
}

/// An error of the SCIM service (RFC 7644 §3.12).
fn scim_error(error: &ScimError, reason: &'static str) -> Reply {
    let mut fields = Fields::new();
    fields.set("content-type", SCIM_MEDIA_TYPE);
    let outcome = EndpointOutcome { refused: true, reason, detail: None };
    Reply { status: error.status, fields, body: error.body(), page: None, outcome }
}
