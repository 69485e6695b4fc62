//! The pages on which people approve calls.
//!
//! A login shows who the person is: a GET decides nothing and shows nothing before it, so that a link preview learns nothing. A caller who
//! approves an own call has logged in since the call was made, because a party that steers the application may steer its browser's session,
//! too.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::authorize::person;
use super::callback::CHANGED;
use super::pending_calls::{PendingCalls, ShownCall};
use super::{Context, Cookie, Failure, Reply};
use crate::authorization_server::approval_page::ApprovalPage;
use crate::authorization_server::login::Identity;
use crate::authorization_server::refusal::{LoginFailure, OwnForm, Refusal};
use crate::authorization_server::state::login::Purpose;
use crate::authorization_server::state::pending_call::{Decision, Waiting};
use crate::authorization_server::state::subject::{UserQuestion, UserRecord};
use crate::limits::{APPROVALS_LISTED, APPROVER_SECONDS, CONSENT_SECONDS, REASON_CHARS};
use crate::page::is_invisible;
use crate::ports::Ports;
use crate::token::claim_values::seconds;
use crate::transport::head::Method;

/// A person who logged in to decide about calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approver {
    subject: String,
    /// The provider at which the person logged in; none for the one of `login`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// Those of the person's groups that rules name.
    groups: Vec<String>,
    epoch: u64,
    /// The second of the login.
    since: u64,
}

/// A form of the page of one call: for one person, and for the call as it waited then.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalForm {
    id: String,
    cycle: String,
    subject: String,
    until: u64,
}

/// Whether a person may decide about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    Decide,
    /// After a fresh login.
    LogIn,
    Not,
}

impl Approver {
    fn may_decide(&self, waiting: &Waiting) -> May {
        let is_caller = waiting.requester.as_ref() == Some(&self.subject);
        if !is_caller && waiting.groups.iter().any(|group| self.groups.contains(group)) {
            return May::Decide;
        }
        if waiting.caller.as_ref() != Some(&self.subject) {
            return May::Not;
        }
        if self.since >= waiting.created { May::Decide } else { May::LogIn }
    }
}

/// Seconds by which the clock of a provider may be behind.
const CLOCK_SECONDS: u64 = 60;

const FORM: &str = "approval form";
const SIGNED_IN: &str = "approver";

impl<P: Ports> Context<'_, P> {
    fn pending_calls(&self) -> PendingCalls<'_, P> {
        PendingCalls { server: self.server, ports: self.ports }
    }

    fn approval_page<'a>(&'a self, approver: &'a Approver) -> ApprovalPage<'a> {
        ApprovalPage { server: self.server, settings: self.settings, subject: &approver.subject }
    }

    /// Signs a person in to the pages of approvals, and sends the browser to the one that led to the login.
    pub(super) async fn approver_signed_in(
        &self,
        identity: &Identity,
        (call, begun): (Option<&str>, u64),
    ) -> Result<Reply, Failure> {
        // A provider that says when the user logged in (OpenID Connect Core §2) must not say that it was before this login.
        let logged_in = seconds(&identity.claims, "auth_time").ok().flatten();
        let earliest = i64::try_from(begun.saturating_sub(CLOCK_SECONDS)).unwrap_or_default();
        if logged_in.is_some_and(|second| second < earliest) {
            let why = "auth_time is before the login began".to_owned();
            return Ok(Reply::refusal(Refusal::LoginFailed(LoginFailure::Provider, why)));
        }
        let known = self.ask::<UserRecord>(&person(self.server, &identity.subject), UserQuestion::Read).await?;
        if !self.is_still_admitted(identity).await? {
            return Ok(Reply::refusal(Refusal::NotAdmitted).refused(CHANGED));
        }
        let rules = self.settings.resources.iter().flat_map(|resource| &resource.policy).flat_map(|it| it.rules());
        let named: BTreeSet<&String> =
            rules.filter_map(|rule| rule.effect.approvers()).flat_map(|approvers| &approvers.groups).collect();
        let approver = Approver {
            subject: identity.subject.clone(),
            provider: self.server.login_of(&identity.subject).recorded_provider().map(str::to_owned),
            groups: named.into_iter().filter(|group| identity.groups.contains(*group)).cloned().collect(),
            epoch: known.epoch,
            since: begun,
        };
        let sealed = self.server.seals.seal(&approver, SIGNED_IN, &self.server.own.identifier, &self.nonce());
        let url = call.map_or_else(|| self.server.url("/approvals"), |id| self.pending_calls().url(id));
        let cookie = self.set_cookie(Cookie::Approver, &sealed, Some(APPROVER_SECONDS));
        Ok(Reply::redirect(&url, "signed_in").field("set-cookie", cookie))
    }

    /// The person who is signed in.
    async fn approver(&self) -> Result<Option<Approver>, Failure> {
        let Some(sealed) = self.cookie(Cookie::Approver) else { return Ok(None) };
        let approver = self.server.seals.open::<Approver>(sealed, SIGNED_IN, &self.server.own.identifier);
        let lives = |it: &Approver| {
            let login = self.server.login_at(&it.subject, it.provider.as_deref());
            self.now() < it.since + APPROVER_SECONDS && login.is_some()
        };
        let Some(approver) = approver.filter(lives) else { return Ok(None) };
        let known = self.ask::<UserRecord>(&person(self.server, &approver.subject), UserQuestion::Read).await?;
        Ok((approver.epoch == known.epoch).then_some(approver))
    }

    /// The calls that a person may decide about.
    pub(super) async fn approvals(&self) -> Result<Reply, Failure> {
        let Some(approver) = self.approver().await? else {
            return self.sign_in(Purpose::Approve(None, self.now()), None).await;
        };
        let calls = self.pending_calls();
        let listed = calls.listed(&approver.subject, &approver.groups).await;
        let mut shown = Vec::new();
        for id in listed.map_err(|why| self.approvals_failed(&why))? {
            if shown.len() == APPROVALS_LISTED {
                break;
            }
            let read = calls.read(&id).await.map_err(|why| self.approvals_failed(&why))?;
            let Some((waiting, call)) = read else { continue };
            if waiting.decision.is_none() && approver.may_decide(&waiting) != May::Not && self.is_current(&call) {
                shown.push((id, waiting, call));
            }
        }
        shown.sort_by_key(|(_, waiting, _)| waiting.created);
        Ok(Reply::page(200, self.approval_page(&approver).list(&shown), "approvals_shown"))
    }

    /// The page of one call, and the form on it.
    pub(super) async fn approval(&self, id: &str, body: &P::RequestBody) -> Result<Reply, Failure> {
        if self.request.admitted().head().method == Method::Post {
            return self.decide(id, body).await;
        }
        let log_in = || self.sign_in(Purpose::Approve(Some(id.to_owned()), self.now()), None);
        let Some(approver) = self.approver().await? else { return log_in().await };
        let (waiting, call) = match self.waiting(id, &approver).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(Reply::refusal(refusal)),
        };
        if approver.may_decide(&waiting) == May::LogIn {
            return log_in().await;
        }
        let form = ApprovalForm {
            id: id.to_owned(),
            cycle: waiting.cycle.clone(),
            subject: approver.subject.clone(),
            until: self.now() + CONSENT_SECONDS,
        };
        let sealed = self.server.seals.seal(&form, FORM, &self.server.own.identifier, &self.nonce());
        let page = self.approval_page(&approver).question((id, &waiting, &call), &sealed);
        Ok(Reply::page(200, page, "approval_asked"))
    }

    /// A call that waits, and that the person may decide about, perhaps after a fresh login.
    async fn waiting(&self, id: &str, approver: &Approver) -> Result<Result<(Waiting, ShownCall), Refusal>, Failure> {
        let read = self.pending_calls().read(id).await.map_err(|why| self.approvals_failed(&why))?;
        Ok(match read {
            // Whether there is such a call is only for its approvers.
            Some((waiting, _)) if approver.may_decide(&waiting) == May::Not => Err(Refusal::NotApprover),
            Some((waiting, call)) if waiting.decision.is_none() => {
                if self.is_current(&call) {
                    Ok((waiting, call))
                } else {
                    Err(Refusal::ApprovalOutdated)
                }
            }
            Some(_) | None => Err(Refusal::ApprovalStale),
        })
    }

    /// Whether a call was made under the rules that there are now.
    fn is_current(&self, call: &ShownCall) -> bool {
        let resource = self.settings.resources.iter().find(|resource| resource.identifier == call.resource);
        resource.and_then(|resource| resource.policy.as_ref()).is_some_and(|policy| policy.hash == call.policy)
    }

    async fn decide(&self, id: &str, body: &P::RequestBody) -> Result<Reply, Failure> {
        if !self.request.is_from(&self.settings.public_url.web_origin()) {
            return Ok(Reply::refusal(Refusal::ForeignForm(OwnForm::Approval)));
        }
        let Some(form) = self.form(body).await? else {
            return Ok(Reply::refusal(Refusal::FormUnreadable(OwnForm::Approval)));
        };
        let Some(approver) = self.approver().await? else { return Ok(Reply::refusal(Refusal::ConsentStale)) };
        let sealed = form.get("form").unwrap_or_default();
        let own = self.server.seals.open::<ApprovalForm>(sealed, FORM, &self.server.own.identifier);
        let own = own.filter(|own| own.id == id && own.subject == approver.subject && self.now() < own.until);
        let Some(own) = own else { return Ok(Reply::refusal(Refusal::ConsentStale)) };
        let is_approved = match form.get("decision") {
            Some("approve") => true,
            Some("deny") => false,
            _ => return Ok(Reply::refusal(Refusal::DecisionMissing)),
        };
        let (waiting, call) = match self.waiting(id, &approver).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(Reply::refusal(refusal)),
        };
        if approver.may_decide(&waiting) != May::Decide {
            return Ok(Reply::refusal(Refusal::ConsentStale));
        }
        let reason = form.get("reason").unwrap_or_default().trim().chars();
        let reason = reason.filter(|character| !is_invisible(*character)).take(REASON_CHARS).collect();
        let Approver { subject, epoch, .. } = &approver;
        let decision = Decision { approves: is_approved, by: subject.clone(), at: self.now(), reason, epoch: *epoch };
        let decided = self.pending_calls().decide(id, (&own.cycle, &waiting, &call), decision).await;
        if !decided.map_err(|why| self.approvals_failed(&why))? {
            return Ok(Reply::refusal(Refusal::ApprovalStale));
        }
        let reason = if is_approved { "call_approved" } else { "call_denied" };
        self.say("info", reason, &format!("approval {id}: rule {:?}, request {}", call.rule, call.request));
        Ok(Reply::page(200, self.approval_page(&approver).decided(&call, is_approved), reason))
    }

    fn approvals_failed(&self, why: &str) -> Failure {
        self.say("error", "records_unavailable", why);
        Failure::Records
    }
}
