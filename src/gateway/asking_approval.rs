//! Asks whether a person has approved a call, and sends word of calls that wait.

use std::rc::Rc;

use serde_json::json;

use crate::authorization_server::serve::pending_calls::{CallOutcome, PendingCalls, ShownCall};
use crate::authorization_server::settings::AuthorizationServer;
use crate::content::fault::{Fault, NotApprovable};
use crate::gateway::approvals::Heard;
use crate::limits::{APPROVAL_BYTES, APPROVAL_POLL};
use crate::mcp::input_needed::Asked;
use crate::mcp::message;
use crate::mcp::rewrite::CameBack;
use crate::observe::event::gateway_line;
use crate::pipeline::authorize::Authorized;
use crate::pipeline::context::RequestContext;
use crate::pipeline::permit::Permit;
use crate::policy::approval::{ApprovalNeed, Approvals};
use crate::ports::Ports;
use crate::transport::provider::ProviderRequest;

/// Asks whether a person has approved a call. A call that comes again waits for a while.
pub(super) async fn ask<P: Ports + Clone + 'static>(
    server: &AuthorizationServer,
    ports: &P,
    (authorized, body): (&Authorized, &P::RequestBody),
    context: &RequestContext,
) -> Heard {
    let refused = |why| Heard::Refused(Fault::NotApprovable(why));
    let Some(need) = authorized.approval() else { return refused(NotApprovable::Unavailable) };
    let permit = authorized.permit();
    let Some(inspected) = permit.inspected() else { return refused(NotApprovable::Unavailable) };
    let Some(approvals) = &inspected.resource().approvals else { return refused(NotApprovable::Unavailable) };
    if permit.is_apart() {
        return refused(NotApprovable::Apart);
    }
    if inspected.messages().is_none_or(|messages| messages.len() != 1) || message::is_batch(inspected.body()) {
        return refused(NotApprovable::Batch);
    }
    if Asked::read(inspected.body()).is_none() {
        return refused(NotApprovable::Unreadable);
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
    let state = state.zip(handles.state_since());
    let unavailable = |why: String| {
        let detail = format!("request {}: {why}", context.request_id);
        ports.line(&gateway_line("error", "records_unavailable", &detail, ports.now()));
        refused(NotApprovable::Unavailable)
    };
    if handles.came_back() == Some(CameBack::Declined) {
        return match calls.withdraw(&id).await {
            Ok(()) => Heard::Withdrawn(id),
            Err(why) => unavailable(why),
        };
    }
    let deadline = ports.now().plus_seconds(approvals.wait_seconds);
    let mut pause = APPROVAL_POLL.0;
    loop {
        let outcome = match state {
            Some((state, since)) => calls.continued(&id, state, since).await,
            None => calls.call(&id, (&call, &caller.subject), (&need.approvers, approvals.seconds)).await,
        };
        match outcome {
            Err(why) => return unavailable(why),
            Ok(CallOutcome::Approved(approved)) => return Heard::Approved(approved),
            Ok(CallOutcome::Denied(denied, reason)) => return Heard::Denied(denied, reason),
            Ok(CallOutcome::TooMany) => return refused(NotApprovable::TooMany),
            Ok(CallOutcome::UsedUp) => return refused(NotApprovable::UsedUp),
            // It begins to wait again.
            Ok(CallOutcome::Void) => continue,
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
        // An approval is not for an answer that its caller does not get.
        if ports.is_gone(body) {
            return Heard::Gone(id);
        }
        pause = (pause * 2).min(APPROVAL_POLL.1);
    }
}

/// What an approver sees of a call; `None` if its arguments are larger than a person can read.
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
        target: target_of(permit),
        fields: fields_of(permit),
        origin: need.request.server.clone().unwrap_or_else(|| origin_of(permit)),
        arguments: String::from_utf8(arguments).ok().filter(|text| text.len() <= APPROVAL_BYTES)?,
        rule: need.rule.clone(),
        policy: need.policy.clone(),
        request: context.request_id.clone(),
    })
}

/// What the server gets of the URL besides that of its configuration.
fn target_of(permit: &Permit) -> String {
    let (_, below, _) = permit.destination();
    let query = permit.admitted().query().map_or_else(String::new, |query| format!("?{query}"));
    format!("{below}{query}")
}

/// The fields of the client that the resource forwards by their names.
fn fields_of(permit: &Permit) -> Vec<(String, String)> {
    let given = &permit.admitted().head().fields;
    let named = permit.forward_fields().iter();
    named.filter_map(|name| Some((name.clone(), given.get(name)?.to_owned()))).collect()
}

fn origin_of(permit: &Permit) -> String {
    let (origin, ..) = permit.destination();
    format!("{} {}", origin.url, origin.service.as_deref().unwrap_or_default())
}

/// Seconds within which a webhook has to take a message.
const WEBHOOK_SECONDS: u64 = 10;

/// Sends word that a call waits. No request waits for that, and the message has no arguments.
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
