//! Stage 5, after the hooks: whether a person has approved the call, if one has to.

use std::rc::Rc;

use serde_json::json;

#[cfg(feature = "authorization-server")]
use crate::authorization_server::serve::pending_calls::{CallOutcome, PendingCalls, ShownCall};
use crate::content::fault::{Fault, NotApprovable};
use crate::gateway::active_request::{Action, ActiveRequest, Suspended};
use crate::gateway::open::Gateway;
use crate::limits::{APPROVAL_BYTES, APPROVAL_POLL};
use crate::mcp::input_needed::Asked;
use crate::mcp::message;
use crate::mcp::rewrite::{CameBack, Member};
use crate::observe::event::gateway_line;
use crate::pipeline::audit::ApprovalState;
use crate::pipeline::authorize::Authorized;
use crate::pipeline::context::RequestContext;
use crate::pipeline::rejection::{ApprovalNeeded, Rejection};
use crate::policy::approval::{ApprovalNeed, Approvals, PersonDecision};
use crate::ports::Ports;
use crate::time::UnixMillis;
use crate::transport::provider::ProviderRequest;

/// What comes of a call that needs an approval.
#[derive(Debug)]
pub(super) enum Heard {
    /// A person approved it.
    Approved(PersonDecision),
    /// A person denied it; the reason.
    Denied(PersonDecision, String),
    /// It waits, under this id, and the page of this URL is for the person.
    Waits {
        /// The id.
        id: String,
        /// The URL.
        url: String,
    },
    /// Its user did not want to open the page of the approval with this id.
    Withdrawn(String),
    /// It does not pass.
    Refused(Fault),
}

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// After the hooks: has the call wait for the approval of a person, if it needs one.
    pub(super) fn heard(self, authorized: Authorized) -> Action {
        if authorized.approval().is_none() {
            return self.approved(authorized);
        }
        self.wait(Box::new(authorized), Action::AskForApproval)
    }
}

impl Suspended<Box<Authorized>> {
    /// Continues with what a person decided.
    #[must_use]
    pub(super) fn approval_heard<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        heard: Heard,
    ) -> Action {
        let (mut active, authorized) = self.resume(gateway, ports);
        match heard {
            Heard::Approved(approved) => {
                let state = ApprovalState::decided(&approved, true, &gateway.settings.pseudonym_key);
                active.context.audit.note_approval(state);
                active.approved(authorized.approved(approved))
            }
            Heard::Denied(denied, reason) => {
                let state = ApprovalState::decided(&denied, false, &gateway.settings.pseudonym_key);
                active.context.audit.note_approval(state);
                active.hold_back(*authorized, Fault::NotApproved(reason))
            }
            Heard::Waits { id, url } => {
                active.context.audit.note_approval(ApprovalState::waits(&id));
                match approval_needed(&authorized, (id, url), ports.now()) {
                    Some(needed) => active.refuse(Rejection::ApprovalNeeded(Box::new(needed))),
                    None => active.hold_back(*authorized, Fault::NotApprovable(NotApprovable::Unavailable)),
                }
            }
            Heard::Withdrawn(id) => {
                active.context.audit.note_approval(ApprovalState::withdrawn(&id));
                active.hold_back(*authorized, Fault::NotApproved("the user declined".to_owned()))
            }
            Heard::Refused(fault) => active.hold_back(*authorized, fault),
        }
    }
}

/// What the client learns of a call that waits.
fn approval_needed(authorized: &Authorized, (id, url): (String, String), now: UnixMillis) -> Option<ApprovalNeeded> {
    let (need, permit) = (authorized.approval()?, authorized.permit());
    let inspected = permit.inspected()?;
    let resource = inspected.resource();
    let caller = inspected.caller();
    let holder = caller.subject.holder(&resource.identifier);
    let state = resource.handles.as_ref()?.seal_approval(&need.policy, &need.request, holder, now)?;
    let asked = Asked::read(inspected.body())?.of_session(permit.session().opens_urls());
    Some(ApprovalNeeded { id, url, state, asked, message: words(need), era: permit.admitted().era() })
}

/// The words for the user and the model.
fn words(need: &ApprovalNeed) -> String {
    let who = match (need.approvers.caller, need.approvers.groups.is_empty()) {
        (true, true) => "You have to approve",
        (true, false) => "You or another person has to approve",
        (false, _) => "Another person has to approve",
    };
    format!("{who} this call of {:?} in a browser:", need.tool)
}

/// Asks whether a person has approved a call. A call that comes again waits for a while.
#[cfg(feature = "authorization-server")]
pub(super) async fn ask<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    authorized: &Authorized,
    context: &RequestContext,
) -> Heard {
    let refused = |why| Heard::Refused(Fault::NotApprovable(why));
    let (Some((server, _)), Some(need)) = (&gateway.authorization_server, authorized.approval()) else {
        return refused(NotApprovable::Unavailable);
    };
    let permit = authorized.permit();
    let Some(inspected) = permit.inspected() else { return refused(NotApprovable::Unavailable) };
    let Some(approvals) = &inspected.resource().approvals else { return refused(NotApprovable::Unavailable) };
    if permit.is_apart() {
        return refused(NotApprovable::Apart);
    }
    if inspected.messages().is_none_or(|messages| messages.len() != 1) || message::is_batch(inspected.body()) {
        return refused(NotApprovable::Batch);
    }
    let Some(call) = shown(authorized, need, context) else { return refused(NotApprovable::TooLarge) };
    let calls = PendingCalls { server, ports };
    let caller = inspected.caller();
    if need.approvers.groups.is_empty() && calls.login_of(&caller.subject).is_none() {
        return refused(NotApprovable::NoApprover);
    }
    let id = calls.id(&call);
    let handles = permit.handles();
    let state = permit.call().and_then(|call| call.params.state.as_deref());
    let state = state.filter(|state| handles.original(0, Member::State, state).is_some());
    let unavailable = |why: String| {
        let detail = format!("request {}: {why}", context.request_id);
        ports.line(&gateway_line("error", "records_unavailable", &detail, ports.now()));
        refused(NotApprovable::Unavailable)
    };
    if handles.came_back() == Some(CameBack::Declined) {
        return match calls.withdraw(&id, &call).await {
            Ok(()) => Heard::Withdrawn(id),
            Err(why) => unavailable(why),
        };
    }
    let deadline = ports.now().plus_seconds(approvals.wait_seconds);
    let mut pause = APPROVAL_POLL.0;
    loop {
        let outcome = match state {
            Some(state) => calls.continued(&id, state).await,
            None => calls.call(&id, (&call, &caller.subject), (&need.approvers, approvals.seconds)).await,
        };
        match outcome {
            Err(why) => return unavailable(why),
            Ok(CallOutcome::Approved(approved)) => return Heard::Approved(approved),
            Ok(CallOutcome::Denied(denied, reason)) => return Heard::Denied(denied, reason),
            Ok(CallOutcome::TooMany) => return refused(NotApprovable::TooMany),
            Ok(CallOutcome::UsedUp) => return refused(NotApprovable::UsedUp),
            Ok(CallOutcome::Waits { is_new: true }) => {
                let url = calls.url(&id);
                notify(ports, approvals, (&call, need), (&id, &url, approvals.seconds));
                return Heard::Waits { id, url };
            }
            Ok(CallOutcome::Waits { is_new: false }) if ports.now() >= deadline => {
                let url = calls.url(&id);
                return Heard::Waits { id, url };
            }
            Ok(CallOutcome::Waits { is_new: false }) => {}
        }
        ports.sleep(pause).await;
        pause = (pause * 2).min(APPROVAL_POLL.1);
    }
}

/// A Worker without an authorization server rejects every configuration that leads here.
#[cfg(not(feature = "authorization-server"))]
#[expect(clippy::unused_async, reason = "only the authorization server awaits")]
pub(super) async fn ask<P: Ports + Clone + 'static>(
    _: &Rc<Gateway>,
    _: &P,
    _: &Authorized,
    _: &RequestContext,
) -> Heard {
    Heard::Refused(Fault::NotApprovable(NotApprovable::Unavailable))
}

/// What an approver sees of a call; `None` if its arguments are larger than a person can read.
#[cfg(feature = "authorization-server")]
fn shown(authorized: &Authorized, need: &ApprovalNeed, context: &RequestContext) -> Option<ShownCall> {
    let permit = authorized.permit();
    let inspected = permit.inspected()?;
    let resource = inspected.resource();
    let arguments = message::arguments(inspected.body()).unwrap_or_else(|| b"{}".to_vec());
    let caller = inspected.caller();
    let servers = resource.federation.as_ref();
    let server = permit.operations().first().zip(servers).and_then(|(operation, all)| all.server_of(operation));
    Some(ShownCall {
        issuer: caller.subject.issuer.clone(),
        subject: caller.subject.subject.clone(),
        client: caller.subject.client.clone(),
        resource: resource.identifier.clone(),
        server: server.map(|(server, _)| server),
        tool: need.tool.clone(),
        arguments: String::from_utf8(arguments).ok().filter(|text| text.len() <= APPROVAL_BYTES)?,
        rule: need.rule.clone(),
        policy: need.policy.clone(),
        request: context.request_id.clone(),
    })
}

/// Seconds within which a webhook has to take a message.
#[cfg(feature = "authorization-server")]
const WEBHOOK_SECONDS: u64 = 10;

/// Sends word that a call waits. No request waits for that, and the message has no arguments.
#[cfg(feature = "authorization-server")]
fn notify<P: Ports + Clone + 'static>(
    ports: &P,
    approvals: &Rc<Approvals>,
    (call, need): (&ShownCall, &ApprovalNeed),
    (id, url, seconds): (&str, &str, u64),
) {
    if approvals.webhook.is_none() && approvals.queue.is_none() {
        return;
    }
    let until = ports.now().plus_seconds(seconds).to_rfc3339();
    let text = json!({
        "version": 1, "event": "approval_needed", "id": id, "url": url, "resource": call.resource, "server": call.server,
        "tool": call.tool, "rule": call.rule, "until": until, "request": call.request,
        "caller": { "issuer": call.issuer, "subject": call.subject, "client": call.client },
        "approvers": { "caller": need.approvers.caller, "groups": need.approvers.groups },
    });
    let (text, approvals, work, id) = (text.to_string(), Rc::clone(approvals), ports.clone(), id.to_owned());
    ports.spawn(Box::pin(async move {
        let failed = |where_to: &str, why: &str| {
            let detail = format!("approval {id}: {where_to}: {why}");
            work.line(&gateway_line("error", "notification_failed", &detail, work.now()));
        };
        if let Some(webhook) = &approvals.webhook {
            let mut fields = vec![("content-type", "application/json".to_owned())];
            if let Some(secret) = &webhook.secret {
                fields.push(("authorization", format!("Bearer {}", secret.expose())));
            }
            let request = ProviderRequest {
                url: webhook.url.clone(),
                service: webhook.service.clone(),
                fields,
                body: Some(text.clone()),
                seconds: WEBHOOK_SECONDS,
            };
            match work.ask(&request).await {
                Ok(answer) if (200..300).contains(&answer.status) => {}
                Ok(answer) => failed("the webhook", &format!("status {}", answer.status)),
                // What a Worker behind a binding throws may repeat the message.
                Err(_) if webhook.service.is_some() => failed("the webhook", "the service binding failed"),
                Err(error) => failed("the webhook", &error.to_string()),
            }
        }
        if let Some(queue) = &approvals.queue
            && let Err(error) = work.enqueue(queue, &text).await
        {
            failed("the queue", &error.to_string());
        }
    }));
}
