//! Calls that wait for the approval of a person: how the gateway asks about them, and where approvers find them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::authorize::person;
use super::records;
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::call_list::{CallList, CallListQuestion};
use crate::authorization_server::state::pending_call::{
    Decision, PendingCall, PendingCallAnswer, PendingCallQuestion, Waiting,
};
use crate::authorization_server::state::subject::{UserQuestion, UserRecord};
use crate::authorization_server::state::{Hash, RecordStateMachine};
use crate::limits::{APPROVALS_LISTED, APPROVALS_OF_ONE_CALLER};
use crate::policy::approval::PersonDecision;
use crate::policy::rule::Approvers;
use crate::ports::Ports;
use crate::seal::{NONCE_BYTES, Nonce};
use crate::strict_json;
use crate::token::principal::{CredentialKind, Subject};

/// A call, as an approver sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownCall {
    /// The issuer of the caller.
    pub issuer: String,
    /// The subject of the caller.
    pub subject: String,
    /// The client.
    pub client: Option<String>,
    /// The identifier of the resource.
    pub resource: String,
    /// The server, if the resource has several.
    pub server: Option<String>,
    /// The tool, as callers name it.
    pub tool: String,
    /// The arguments, in JSON, as they are forwarded.
    pub arguments: String,
    /// What the server gets of the URL: below the path of the resource, with the query.
    pub target: String,
    /// The fields of the client that the resource forwards.
    pub fields: Vec<(String, String)>,
    /// What identifies the server: it is for no other one.
    pub origin: String,
    /// The id of the rule.
    pub rule: String,
    /// What identifies the policy.
    pub policy: String,
    /// The id of the request in the log.
    pub request: String,
}

/// What comes of a call that needs an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// It waits; whether it has just begun to.
    Waits {
        /// It did not wait before.
        is_new: bool,
    },
    /// A person approved it. The approval is used up by that.
    Approved(PersonDecision),
    /// A person denied it; the reason.
    Denied(PersonDecision, String),
    /// The caller has too many calls that wait.
    TooMany,
    /// It cannot be continued: its approval is used up.
    UsedUp,
    /// The person who approved it was removed since: it has to be approved by another one.
    Void,
}

/// The calls that wait.
pub struct PendingCalls<'a, P> {
    /// The authorization server, whose records and secrets they use.
    pub server: &'a AuthorizationServer,
    /// The platform.
    pub ports: &'a P,
}

/// What the calls are sealed for.
const USAGE: &str = "pending call";

impl<P: Ports> PendingCalls<'_, P> {
    /// The subject under which a caller logs in here; `None` if it cannot.
    #[must_use]
    pub fn login_of(&self, caller: &Subject) -> Option<String> {
        let is_token = matches!(caller.kind, CredentialKind::Jwt | CredentialKind::Introspection);
        let issuer = caller.issuer.as_str();
        (is_token && self.server.is_user(issuer, &caller.subject)).then(|| caller.subject.clone())
    }

    /// The id of a call: the same for equal calls of one caller under one policy. It reveals nothing about them.
    #[must_use]
    pub fn id(&self, call: &ShownCall) -> String {
        let arguments = strict_json::in_order(&call.arguments, false).unwrap_or_else(|| call.arguments.clone());
        let fields: String = call.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let parts: [&[u8]; 12] = [
            call.issuer.as_bytes(),
            call.subject.as_bytes(),
            &[u8::from(call.client.is_some())],
            call.client.as_deref().unwrap_or_default().as_bytes(),
            call.resource.as_bytes(),
            call.tool.as_bytes(),
            arguments.as_bytes(),
            call.target.as_bytes(),
            fields.as_bytes(),
            call.origin.as_bytes(),
            call.rule.as_bytes(),
            call.policy.as_bytes(),
        ];
        URL_SAFE_NO_PAD.encode(self.server.seals.mark(USAGE, &parts))
    }

    /// The URL of the page on which a person decides about a call.
    #[must_use]
    pub fn url(&self, id: &str) -> String {
        self.server.url(&format!("/approvals/{id}"))
    }

    /// Has a call wait, or uses its approval.
    ///
    /// # Errors
    /// Why the records did not answer.
    pub async fn call(
        &self,
        id: &str,
        (call, caller): (&ShownCall, &Subject),
        (approvers, seconds): (&Approvers, u64),
    ) -> Result<CallOutcome, String> {
        let now = self.ports.now().seconds();
        let login = self.login_of(caller);
        let waiting = Waiting {
            cycle: URL_SAFE_NO_PAD.encode(self.random::<16>()),
            sealed: self.server.seals.seal(call, USAGE, id, &self.nonce()),
            caller: login.clone().filter(|_| approvers.caller),
            groups: approvers.groups.clone(),
            requester: login,
            seconds,
            created: now,
            until: now + seconds,
            decision: None,
        };
        let lists = lists_of(&waiting);
        let of_caller = place_of(id, &waiting.cycle);
        let answer = self.ask::<PendingCall>(id, PendingCallQuestion::Call(Box::new(waiting))).await?;
        match answer {
            PendingCallAnswer::Began => {
                let until = now + seconds;
                let added = CallListQuestion::Add(of_caller, until, APPROVALS_OF_ONE_CALLER);
                if !self.ask::<CallList>(&list_of_caller(call), added).await?.is_done {
                    self.ask::<PendingCall>(id, PendingCallQuestion::Withdraw).await?;
                    return Ok(CallOutcome::TooMany);
                }
                for list in lists {
                    let added = CallListQuestion::Add(id.to_owned(), until, APPROVALS_LISTED);
                    // Without a place in the list, its page is there nevertheless.
                    self.ask::<CallList>(&list, added).await?;
                }
                Ok(CallOutcome::Waits { is_new: true })
            }
            PendingCallAnswer::Waits => Ok(CallOutcome::Waits { is_new: false }),
            PendingCallAnswer::Approved { by, at, epoch } if self.epoch(&by).await? == epoch => {
                Ok(CallOutcome::Approved(self.decision(id, by, at)))
            }
            // The sign-ins of the person were ended since: the approval is void.
            PendingCallAnswer::Approved { .. } => {
                self.ask::<PendingCall>(id, PendingCallQuestion::Void).await?;
                Ok(CallOutcome::Void)
            }
            PendingCallAnswer::Denied { by, at, reason } => Ok(CallOutcome::Denied(self.decision(id, by, at), reason)),
            PendingCallAnswer::Content(_) | PendingCallAnswer::Done(_) => Err("another answer".to_owned()),
        }
    }

    /// Continues a call that was approved, with a state of its server that the gateway sealed at the second `since`.
    ///
    /// # Errors
    /// Why the records did not answer.
    pub async fn continued(&self, id: &str, state: &str, since: u64) -> Result<CallOutcome, String> {
        let answer = self.ask::<PendingCall>(id, PendingCallQuestion::Continue(Hash::of(state), since)).await?;
        Ok(match answer {
            PendingCallAnswer::Approved { by, at, epoch } if self.epoch(&by).await? == epoch => {
                CallOutcome::Approved(self.decision(id, by, at))
            }
            _ => CallOutcome::UsedUp,
        })
    }

    /// Ends the wait of a call, and an approval that was not used. Its place among the calls of its caller stays taken until it would
    /// have expired, so that no caller makes approvers look without end.
    ///
    /// # Errors
    /// Why the records did not answer.
    pub async fn withdraw(&self, id: &str) -> Result<(), String> {
        let answer = self.ask::<PendingCall>(id, PendingCallQuestion::Withdraw).await?;
        if let PendingCallAnswer::Content(Some(waiting)) = answer {
            self.unlist(id, lists_of(&waiting)).await?;
        }
        Ok(())
    }

    async fn unlist(&self, id: &str, lists: Vec<String>) -> Result<(), String> {
        for list in lists {
            self.ask::<CallList>(&list, CallListQuestion::Remove(id.to_owned())).await?;
        }
        Ok(())
    }

    /// The number of the sign-ins of a person that are valid.
    async fn epoch(&self, subject: &str) -> Result<u64, String> {
        Ok(self.ask::<UserRecord>(&person(self.server, subject), UserQuestion::Read).await?.epoch)
    }

    /// A call that waits, or about which a person decided a while ago; `None` if there is none.
    pub(super) async fn read(&self, id: &str) -> Result<Option<(Waiting, ShownCall)>, String> {
        let answer = self.ask::<PendingCall>(id, PendingCallQuestion::Read).await?;
        let PendingCallAnswer::Content(Some(waiting)) = answer else { return Ok(None) };
        let shown = self.server.seals.open::<ShownCall>(&waiting.sealed, USAGE, id);
        Ok(shown.map(|shown| (*waiting, shown)))
    }

    /// Decides about a call. Whether it still waited.
    pub(super) async fn decide(
        &self,
        id: &str,
        (cycle, waiting, call): (&str, &Waiting, &ShownCall),
        decision: Decision,
    ) -> Result<bool, String> {
        let question = PendingCallQuestion::Decide(cycle.to_owned(), Box::new(decision));
        let answer = self.ask::<PendingCall>(id, question).await?;
        if answer != PendingCallAnswer::Done(true) {
            return Ok(false);
        }
        self.unlist(id, lists_of(waiting)).await?;
        self.unlist(&place_of(id, cycle), vec![list_of_caller(call)]).await?;
        Ok(true)
    }

    /// The ids in the lists of an approver.
    pub(super) async fn listed(&self, subject: &str, groups: &[String]) -> Result<Vec<String>, String> {
        let lists = std::iter::once(list_of_approver(subject)).chain(groups.iter().map(|group| list_of_group(group)));
        let mut all = Vec::new();
        for list in lists {
            all.extend(self.ask::<CallList>(&list, CallListQuestion::Read).await?.calls);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn decision(&self, id: &str, subject: String, at: u64) -> PersonDecision {
        PersonDecision { issuer: self.server.own.identifier.clone(), subject, at, id: id.to_owned() }
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.ports.fill(&mut bytes);
        bytes
    }

    fn nonce(&self) -> Nonce {
        self.random::<NONCE_BYTES>()
    }

    async fn ask<M: RecordStateMachine>(&self, id: &str, question: M::Question) -> Result<M::Answer, String> {
        let answer = records::ask::<M>((self.server, self.ports), id, question).await;
        answer.map_err(|error| format!("a {} record: {error}", M::KIND))
    }
}

/// The lists of the approvers of a call.
fn lists_of(waiting: &Waiting) -> Vec<String> {
    let groups = waiting.groups.iter().map(|group| list_of_group(group));
    waiting.caller.iter().map(|subject| list_of_approver(subject)).chain(groups).collect()
}

/// What is in the list of the caller: equal calls that begin to wait one after another take a place each.
fn place_of(id: &str, cycle: &str) -> String {
    format!("{id} {cycle}")
}

fn list_of_caller(call: &ShownCall) -> String {
    let (issuer, subject) = (&call.issuer, &call.subject);
    Hash::of(&format!("calls of {} {issuer} {subject}", issuer.len())).as_str().to_owned()
}

fn list_of_approver(subject: &str) -> String {
    Hash::of(&format!("calls for subject {subject}")).as_str().to_owned()
}

fn list_of_group(group: &str) -> String {
    Hash::of(&format!("calls for group {group}")).as_str().to_owned()
}
