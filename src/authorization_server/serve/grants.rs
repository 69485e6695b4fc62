//! Grants after they were given: the page where users see and withdraw theirs, and what administrators do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::authorize::{Session, person};
use super::{Context, Cookie, Failure, Reply, members};
use crate::authorization_server::grants_page::{GrantsPage, Revoked};
use crate::authorization_server::handle::GrantId;
use crate::authorization_server::page;
use crate::authorization_server::refusal::{BearerSecret, OwnForm, Refusal};
use crate::authorization_server::state::Hash;
use crate::authorization_server::state::connection::Connection;
use crate::authorization_server::state::grant::{Grant, GrantAnswer, GrantQuestion};
use crate::authorization_server::state::login::Purpose;
use crate::authorization_server::state::subject::{UserData, UserQuestion, UserRecord};
use crate::limits::CONSENT_SECONDS;
use crate::ports::Ports;
use crate::settings::resource::Resource;
use crate::transport::head::Method;

/// A form of the page, or a notice for it: for one subject, for a while.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageForm {
    subject: String,
    until: u64,
    /// What the user has just revoked; empty in a form.
    #[serde(default)]
    done: String,
}

/// Seconds for which the page says what was revoked.
const NOTICE_SECONDS: u64 = 60;

impl<P: Ports> Context<'_, P> {
    /// The page of a user's own grants. A user who is not signed in is redirected to the identity provider.
    pub(super) async fn grants(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        if self.request.admitted().head().method == Method::Post {
            return self.withdraw(body).await;
        }
        match self.session().await? {
            Some((session, known)) => self.grants_page(&session.subject, &known).await,
            None => self.sign_in(Purpose::Grants, None).await,
        }
    }

    async fn grants_page(&self, subject: &str, known: &UserData) -> Result<Reply, Failure> {
        let mut used = BTreeMap::new();
        for grant in known.grants.keys() {
            // At most GRANTS_OF_ONE_SUBJECT questions. Without an answer the page can still revoke.
            if let Ok(GrantAnswer::LastUse(second)) = self.ask::<Grant>(grant, GrantQuestion::LastUse).await {
                used.insert(grant.clone(), second);
            }
        }
        let connections = self.connected_accounts(subject).await?;
        let sealed = self.sealed(subject, "grants form", CONSENT_SECONDS, String::new());
        let notice = self.cookie(Cookie::Notice);
        let done = notice.and_then(|sealed| self.own_form(sealed, "grants notice", subject)).unwrap_or_default();
        let page = self.page_of(subject, &sealed).list(known, &used, &connections, &done);
        let reply = Reply::page(200, page, "grants_shown");
        Ok(match notice {
            Some(_) => reply.field("set-cookie", self.set_cookie(Cookie::Notice, "", Some(0))),
            None => reply,
        })
    }

    fn page_of<'a>(&'a self, subject: &'a str, sealed: &'a str) -> GrantsPage<'a> {
        GrantsPage { server: self.server, settings: self.settings, subject, sealed }
    }

    fn sealed(&self, subject: &str, usage: &str, seconds: u64, done: String) -> String {
        let form = PageForm { subject: subject.to_owned(), until: self.now() + seconds, done };
        self.server.seals.seal(&form, usage, &self.server.own.identifier, &self.nonce())
    }

    /// Opens a form or notice of this user; its text.
    fn own_form(&self, sealed: &str, usage: &str, subject: &str) -> Option<String> {
        let form: PageForm = self.server.seals.open(sealed, usage, &self.server.own.identifier)?;
        (self.now() < form.until && form.subject == subject).then_some(form.done)
    }

    async fn withdraw(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        if !self.request.is_from(&self.settings.public_url.web_origin()) {
            return Ok(Reply::refusal(Refusal::ForeignForm(OwnForm::Grants)));
        }
        let Some(form) = self.form(body).await? else {
            return Ok(Reply::refusal(Refusal::FormUnreadable(OwnForm::Grants)));
        };
        let sealed = form.get("form").unwrap_or_default();
        let own = self
            .session()
            .await?
            .filter(|(session, _)| self.own_form(sealed, "grants form", &session.subject).is_some());
        let Some((Session { subject, until, .. }, known)) = own else {
            // A user who was signed out meanwhile signs in again.
            return Ok(see_other(&self.server.url("/grants"), "grants_stale"));
        };
        let revoked = Revoked::of(self.server, &known, form.get("grant"), form.get("client"));
        match (form.get("action"), revoked) {
            (Some("confirm"), Some(revoked)) => {
                Ok(Reply::page(200, self.page_of(&subject, sealed).question(&revoked), "grants_shown"))
            }
            (Some("withdraw"), Some(revoked)) => {
                let mut ended: Vec<String> = revoked.grants.iter().map(|(id, _)| (*id).clone()).collect();
                for client in &revoked.clients {
                    let question = UserQuestion::Withdraw(client.clone());
                    ended.extend(self.ask::<UserRecord>(&person(self.server, &subject), question).await?.ended);
                }
                ended.sort_unstable();
                ended.dedup();
                self.end_all(&subject, &ended, "withdrawn_by_user").await?;
                let report = revoked.report(self.server, ended.len());
                let notice = self.sealed(&subject, "grants notice", NOTICE_SECONDS, report);
                Ok(see_other(&self.server.url("/grants"), "grants_withdrawn")
                    .field("set-cookie", self.set_cookie(Cookie::Notice, &notice, Some(NOTICE_SECONDS))))
            }
            (Some("disconnect"), _) => {
                let resource = form.get("resource").unwrap_or_default();
                let Some((resource, per_user)) = self.connectable(resource) else {
                    return Ok(see_other(&self.server.url("/grants"), "grants_stale"));
                };
                self.disconnected(&subject, resource, per_user, "withdrawn_by_user").await?;
                let server = resource.name.as_deref().unwrap_or(&resource.identifier);
                let report =
                    format!("Your account is no longer connected for {server}. Calls may use it for another minute.");
                let notice = self.sealed(&subject, "grants notice", NOTICE_SECONDS, report);
                Ok(see_other(&self.server.url("/grants"), "disconnected")
                    .field("set-cookie", self.set_cookie(Cookie::Notice, &notice, Some(NOTICE_SECONDS))))
            }
            (Some("sign_out"), _) => {
                // The cookie may have been copied: it is not valid any more, wherever it is.
                if let Some(sealed) = self.cookie(Cookie::Session) {
                    let question = UserQuestion::SignOut(Hash::of(sealed), until);
                    self.ask::<UserRecord>(&person(self.server, &subject), question).await?;
                }
                let page = page::problem(
                    "Signed out",
                    "You are signed out of this page. Applications keep what you allowed.",
                    None,
                );
                Ok(Reply::page(200, page, "signed_out")
                    .field("set-cookie", self.set_cookie(Cookie::Session, "", Some(0))))
            }
            // It has ended meanwhile.
            (Some("confirm" | "withdraw"), None) => Ok(see_other(&self.server.url("/grants"), "grants_stale")),
            _ => Ok(Reply::refusal(Refusal::FormUnreadable(OwnForm::Grants))),
        }
    }

    /// The accounts that a user has connected.
    async fn connected_accounts(&self, subject: &str) -> Result<Vec<(&Resource, Connection)>, Failure> {
        let mut found = Vec::new();
        for (resource, _) in self.connectables() {
            let connection = self.connections().connection(subject, &resource.identifier).await;
            let connection = connection.map_err(|error| self.records_failed(&error))?;
            found.extend(connection.map(|connection| (resource, connection)));
        }
        Ok(found)
    }

    /// What administrators ask, as JSON: `show` or `delete` with a `subject`, `end` with a `grant`, `disconnect` with a `subject` and
    /// a `resource`.
    pub(super) async fn admin(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        if !self.is_administrator() {
            return Ok(Reply::refusal(Refusal::BearerInvalid(BearerSecret::Administrator)));
        }
        let body = self.body(body).await?;
        let asked = members(&body).unwrap_or_default();
        let text = |name: &str| asked.get(name).and_then(Value::as_str);
        if let (Some("disconnect"), Some(subject), Some(resource)) = (text("action"), text("subject"), text("resource"))
        {
            let ended = self.disconnected_by_administrator(subject, resource).await?;
            let body = json!({ "subject": subject, "disconnected": [resource] });
            return Ok(if ended {
                Reply::json(200, &body, "disconnected")
            } else {
                Reply::refusal(Refusal::UnknownConnection)
            });
        }
        match (text("action"), text("subject"), text("grant")) {
            (Some("show"), Some(subject), None) => {
                let known = self.ask::<UserRecord>(&person(self.server, subject), UserQuestion::Read).await?;
                let mut exported = exported(subject, &known);
                let connected = self.connected_accounts(subject).await?;
                let mut connected: Vec<Value> =
                    connected.iter().map(|(resource, it)| shown(&resource.identifier, it)).collect();
                for resource in self.lost(&known) {
                    let connection = self.connections().connection(subject, resource).await;
                    let connection = connection.map_err(|error| self.records_failed(&error))?;
                    connected.extend(connection.map(|connection| shown(resource, &connection)));
                }
                if let Some(members) = exported.as_object_mut() {
                    members.insert("connections".to_owned(), Value::Array(connected));
                }
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
                let (ended, disconnected) = self.delete_subject(subject, "ended_by_administrator").await?;
                let body = json!({ "subject": subject, "ended": ended, "disconnected": disconnected });
                Ok(Reply::json(200, &body, "subject_deleted"))
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

/// A connection as administrators see it: without its tokens.
fn shown(resource: &str, connection: &Connection) -> Value {
    let Connection { issuer, scope, created, used, .. } = connection;
    json!({ "resource": resource, "issuer": issuer, "scope": scope, "created": created, "used": used })
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
