//! What the gateway records at the end of a request: decisions, counters, the data point, the trace and the log line.

use crate::content::filter::Noted;
use crate::content::guard::Direction;
use crate::content::report::Found;
use crate::gateway::open::Gateway;
use crate::observe::event::{Outcome, gateway_line, request_line};
use crate::observe::point::Point;
use crate::observe::span::Span;
use crate::pipeline::context::RequestContext;
use crate::ports::Ports;

impl Gateway {
    /// Whether something is recorded or answered for every request, also for one that is forwarded and answered as usual.
    #[must_use]
    pub fn records_all(&self) -> bool {
        let settings = &self.settings;
        !settings.log_refused_only
            || settings.metrics.is_some()
            || settings.requests_data_set.is_some()
            || settings.development
    }
}

/// Records the outcome of a request.
pub(super) fn write<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    context: &RequestContext,
    outcome: &Outcome<'_>,
    status: u16,
) {
    let settings = &gateway.settings;
    let now = ports.now();
    if let Some(server) = &context.of_server {
        if let Outcome::Deny(rejection) = outcome {
            let detail = rejection.detail().map_or_else(String::new, |detail| format!(": {detail}"));
            left_out(ports, context, server, &format!("{}{detail}", rejection.reason()));
        }
        return;
    }
    if let Some(log) = &settings.decision_log {
        let mut chain = gateway.chain.borrow_mut();
        for record in &context.audit.entries().decisions {
            ports.decided(log, &chain.line(record, context, settings, now));
        }
    }
    let entries = context.audit.entries();
    let noted = Noted { found: entries.found.clone(), fault: entries.observed.clone(), is_held_back: false };
    write_noted(gateway, ports, &noted, Direction::Arguments, context);
    if settings.metrics.is_some() {
        gateway.metrics.borrow_mut().count(context, outcome);
    }
    if let Some(data_set) = &settings.requests_data_set {
        let issuer = context.audit.entries().issuer.as_deref();
        let fresh = gateway.keys_fresh_for(issuer, now);
        ports.measured(data_set, &Point::of(context, outcome, status, fresh, now));
    }
    if ports.is_traced() {
        ports.trace(&Span::of(context, outcome, status));
    }
    if settings.log_refused_only && outcome.is_allowed() {
        return;
    }
    ports.line(&request_line(context, outcome, status, now));
}

/// Writes down what guards and bounds did. It has forms, counts and places, and never what they found there.
pub(super) fn write_noted<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    noted: &Noted,
    direction: Direction,
    context: &RequestContext,
) {
    let now = ports.now();
    let request = context.request_id.as_str();
    for found in &noted.found {
        let (guard, action, on) = (&found.guard, found.action, direction.as_str());
        let (reason, detail) = if found.forms.is_empty() {
            ("hook_acted", format!("request {request}: hook {guard:?}, {action}: {on}"))
        } else {
            let forms = found.forms_as_text();
            ("guard_found", format!("request {request}: guard {guard:?}, {action} in {on}: {forms}"))
        };
        ports.line(&gateway_line("warn", reason, &detail, now));
        if let Some(log) = &gateway.settings.decision_log {
            let line = gateway.chain.borrow_mut().guard_line(found, context, now);
            ports.decided(log, &line);
        }
    }
    if let Some(fault) = &noted.fault {
        let observed = if noted.is_held_back { "" } else { " (observed, not enforced)" };
        let detail = format!("request {request}: {}{observed}", fault.detail(direction));
        ports.line(&gateway_line("warn", fault.reason(), &detail, now));
    }
}

/// Writes down what hooks did with a message of a server.
pub(super) fn write_found<P: Ports>(gateway: &Gateway, ports: &P, found: &[Found], context: &RequestContext) {
    let noted = Noted { found: found.to_vec(), fault: None, is_held_back: false };
    write_noted(gateway, ports, &noted, Direction::Results, context);
}

/// Writes down that a hook did not answer as the contract says.
pub(super) fn write_hook_failure<P: Ports>(ports: &P, context: &RequestContext, why: &str) {
    let detail = format!("request {}: {why}", context.request_id);
    ports.line(&gateway_line("error", "hook_failed", &detail, ports.now()));
}

/// Writes down how many calls of a budget are made.
pub(super) fn write_budget<P: Ports>(ports: &P, context: &RequestContext, (number, most): (u64, u64)) {
    let resource = context.resource.as_ref().map(|resource| resource.path.as_str()).unwrap_or_default();
    let entries = context.audit.entries();
    let who = entries.subject.as_deref().or(entries.client.as_deref()).unwrap_or_default();
    let detail = format!("{resource}: {number} of {most} calls of a day are made; the last one by {who:?}");
    ports.line(&gateway_line("warn", "budget_warning", &detail, ports.now()));
}

/// Writes down that an answer lacks one of several servers.
pub(super) fn left_out<P: Ports>(ports: &P, context: &RequestContext, server: &str, why: &str) {
    let detail = format!("request {}: server {server:?}: {why}", context.request_id);
    ports.line(&gateway_line("warn", "server_left_out", &detail, ports.now()));
}

/// Writes down that a request was forwarded; as a refusal, where the origin server got something else than the caller asked for.
pub(super) fn write_forwarded<P: Ports>(gateway: &Gateway, ports: &P, context: &RequestContext, status: u16) {
    let stood_in = context.audit.entries().stood_in.as_deref();
    write(gateway, ports, context, &stood_in.map_or(Outcome::Allow("forwarded"), Outcome::Deny), status);
}
