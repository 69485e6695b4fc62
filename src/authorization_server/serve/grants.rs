//! Grants after they were given: the page where users see and withdraw theirs, and what administrators do.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::authorize::person;
use super::{Context, Cookie, Failure, Reply, members};
use crate::authorization_server::handle::GrantId;
use crate::authorization_server::page;
use crate::authorization_server::refusal::{BearerSecret, OwnForm, Refusal};
use crate::authorization_server::state::grant::{Grant, GrantAnswer, GrantQuestion};
use crate::authorization_server::state::login::Purpose;
use crate::authorization_server::state::subject::{UserData, UserQuestion, UserRecord};
use crate::limits::CONSENT_SECONDS;
use crate::ports::Ports;
use crate::transport::head::Method;

/// A form of the page: for one subject, for a while.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageForm {
    subject: String,
    until: u64,
}

impl<P: Ports> Context<'_, P> {
    /// The page of a user's own grants. A user who is not signed in is redirected to the identity provider.
    pub(super) async fn grants(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        if self.request.admitted().head().method == Method::Post {
            return self.withdraw(body).await;
        }
        match self.session().await? {
            Some((session, known)) => Ok(self.grants_page(&session.subject, &known)),
            None => self.sent_to_provider(Purpose::Grants, false).await,
        }
    }

    fn grants_page(&self, subject: &str, known: &UserData) -> Reply {
        let form = PageForm { subject: subject.to_owned(), until: self.now() + CONSENT_SECONDS };
        let sealed = self.server.seals.seal(&form, "grants form", &self.server.own.identifier, &self.nonce());
        Reply::page(200, page::grants(self.server, subject, known, &sealed), "grants_shown")
    }

    async fn withdraw(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        if !self.request.is_from(&self.settings.public_url.web_origin()) {
            return Ok(Reply::refusal(Refusal::ForeignForm(OwnForm::Grants)));
        }
        let Some(form) = self.form(body).await? else {
            return Ok(Reply::refusal(Refusal::FormUnreadable(OwnForm::Grants)));
        };
        let sealed = form
            .get("form")
            .and_then(|sealed| self.server.seals.open::<PageForm>(sealed, "grants form", &self.server.own.identifier));
        let session = self.session().await?.map(|(session, _)| session);
        let own = sealed.filter(|form| {
            self.now() < form.until && session.as_ref().is_some_and(|session| session.subject == form.subject)
        });
        let Some(PageForm { subject, .. }) = own else {
            // A user who was signed out meanwhile signs in again.
            return Ok(see_other(&self.server.url("/grants"), "grants_stale"));
        };
        match (form.get("action"), form.get("client")) {
            (Some("withdraw"), Some(client)) => {
                let known =
                    self.ask::<UserRecord>(&person(&subject), UserQuestion::Withdraw(client.to_owned())).await?;
                self.end_all(&subject, &known.ended, "withdrawn_by_user").await?;
                Ok(see_other(&self.server.url("/grants"), "grants_withdrawn"))
            }
            (Some("sign_out"), _) => {
                let page = page::problem(
                    "Signed out",
                    "You are signed out of this page. Applications keep what you allowed.",
                    None,
                );
                Ok(Reply::page(200, page, "signed_out")
                    .field("set-cookie", self.set_cookie(Cookie::Session, "", Some(0))))
            }
            _ => Ok(Reply::refusal(Refusal::FormUnreadable(OwnForm::Grants))),
        }
    }

    /// Ends grants of a subject. Each is listed until it is over, so that what fails in the middle can be done again.
    pub(super) async fn end_all(&self, subject: &str, grants: &[String], why: &str) -> Result<(), Failure> {
        for grant in grants {
            self.ask::<Grant>(grant, GrantQuestion::End(why.to_owned())).await?;
            self.unlist(subject, grant).await?;
            self.say("info", "grant_revoked", &format!("grant {grant}: {why}"));
        }
        Ok(())
    }

    /// What administrators ask, as JSON: `show` or `delete` with a `subject`, `end` with a `grant`.
    pub(super) async fn admin(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        if !self.is_administrator() {
            return Ok(Reply::refusal(Refusal::BearerInvalid(BearerSecret::Administrator)));
        }
        let body = self.body(body).await?;
        let asked = members(&body).unwrap_or_default();
        let text = |name: &str| asked.get(name).and_then(Value::as_str);
        match (text("action"), text("subject"), text("grant")) {
            (Some("show"), Some(subject), None) => {
                let known = self.ask::<UserRecord>(&person(subject), UserQuestion::Read).await?;
                let mut exported = exported(subject, &known);
                for grant in known.grants.keys() {
                    if let GrantAnswer::Content(seen) = self.ask::<Grant>(grant, GrantQuestion::Read).await?
                        && let Some(listed) =
                            exported.pointer_mut(&format!("/grants/{grant}")).and_then(Value::as_object_mut)
                    {
                        listed.insert("claims".to_owned(), Value::Object(seen.terms.claims));
                    }
                }
                Ok(Reply::json(200, &exported, "subject_shown"))
            }
            (Some("delete"), Some(subject), None) => {
                let known = self.ask::<UserRecord>(&person(subject), UserQuestion::Forget).await?;
                self.end_all(subject, &known.ended, "ended_by_administrator").await?;
                Ok(Reply::json(200, &json!({ "subject": subject, "ended": known.ended }), "subject_deleted"))
            }
            (Some("end"), None, Some(grant)) if GrantId::parse(grant).is_some() => {
                let GrantAnswer::Content(seen) = self.ask::<Grant>(grant, GrantQuestion::Read).await? else {
                    return Ok(Reply::refusal(Refusal::UnknownGrant));
                };
                self.end_all(&seen.terms.subject, &[grant.to_owned()], "ended_by_administrator").await?;
                Ok(Reply::json(200, &json!({ "subject": seen.terms.subject, "ended": [grant] }), "grant_ended"))
            }
            _ => Ok(Reply::refusal(Refusal::UnknownAction)),
        }
    }
}

fn exported(subject: &str, known: &UserData) -> Value {
    json!({ "subject": subject, "grants": known.grants, "approvals": known.approvals })
}

/// Sends the browser to another page of ours, by GET.
fn see_other(url: &str, reason: &'static str) -> Reply {
    let mut reply = Reply::redirect(url, reason);
    reply.status = 303;
    reply
}
