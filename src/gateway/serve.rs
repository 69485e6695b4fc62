//! The driver: it meets the needs of the walk through the ports.

use std::rc::Rc;

use crate::forward::answer::{Awaited, Kept};
use crate::forward::response::InboundHead;
use crate::gateway::ask::{ask, read_revocations};
use crate::gateway::keys::{await_keys, fetch_keys};
use crate::gateway::{Errand, Gateway, Reason, Step};
use crate::limits::{NEEDS, PEEK_BYTES};
use crate::mcp::envelope::RequestId;
use crate::mcp::era::Era;
use crate::mcp::session::NONCE_BYTES;
use crate::observe::event::{Outcome, gateway_line, request_line};
use crate::observe::trail::Trail;
use crate::pipeline::{Head, OutboundRequest, Rejection};
use crate::ports::Ports;
use crate::respond::{self, Answer};
use crate::token::authenticate::{Authenticating, Need};

/// What goes back to the caller.
#[derive(Debug)]
pub enum Served<B> {
    /// The gateway's own answer.
    Own(Answer),
    /// The origin server's answer, its body untouched.
    Origin(InboundHead, B),
}

/// A request on its way, and what it waits for.
pub struct Underway {
    trail: Trail,
    step: Step,
}

/// Serves one request from its head to the answer's head.
pub async fn serve<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    head: Head,
    body: P::RequestBody,
) -> Served<P::ResponseBody> {
    match begin(gateway, ports, head) {
        Ok(answer) => Served::Own(answer),
        Err(underway) => go_on(gateway, ports, underway, body).await,
    }
}

/// Goes as far as can be gone without waiting: to the gateway's own answer, where it needs nothing from the world.
///
/// # Errors
/// What to [go on](go_on) with, where it does.
pub fn begin<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    head: Head,
) -> Result<Answer, Box<Underway>> {
    let mut trail = begin_trail(ports, &head);
    let step = gateway.begin(head, &mut trail, ports.now());
    match step {
        Step::Answer(answer, reason) => {
            start_errands(gateway, ports);
            Ok(answered(gateway, ports, answer, &reason, &mut trail))
        }
        step => Err(Box::new(Underway { trail, step })),
    }
}

/// Writes down that the gateway answers by itself.
fn answered<P: Ports>(gateway: &Gateway, ports: &P, answer: Answer, reason: &Reason, trail: &mut Trail) -> Answer {
    let outcome = match reason {
        Reason::Served(what) => Outcome::Allow(what),
        Reason::Refused(rejection) => Outcome::Deny(rejection),
    };
    record(gateway, ports, trail);
    ports.line(&request_line(trail, Some(&gateway.config), &outcome, answer.status, ports.now()));
    answer
}

/// Meets one need after another, to the answer's head.
pub async fn go_on<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    underway: Box<Underway>,
    body: P::RequestBody,
) -> Served<P::ResponseBody> {
    let Underway { mut trail, mut step } = *underway;
    for _ in 0..NEEDS {
        start_errands(gateway, ports);
        step = match step {
            Step::Answer(answer, reason) => {
                return Served::Own(answered(gateway, ports, answer, &reason, &mut trail));
            }
            Step::Forward(outbound, awaited) => {
                match forward(gateway, ports, outbound, *awaited, &body, &mut trail).await {
                    Ok(served) => return served,
                    Err(rejection) => gateway.or_refuse(Err(rejection), &trail),
                }
            }
            Step::NeedMessage(caller) => {
                let limit = gateway.body_bytes(&caller);
                let read = ports.message(&body, limit).await;
                gateway.message_read(*caller, read, &mut trail, ports.now())
            }
            Step::NeedTurns(turns, inspected) => {
                let mut said = Vec::with_capacity(turns.len());
                for turn in turns {
                    let answer = ports.turn(&turn.binding, &turn.key).await;
                    said.push((turn, answer));
                }
                gateway.turns_taken(*inspected, said, &mut trail, ports.now())
            }
            Step::Need(need, pending) => meet(gateway, ports, need, pending, &mut trail).await,
            Step::NeedList(name, permit) => {
                let found = ports.recall(&name).await;
                gateway.list_recalled(name, permit, found, &trail, ports.now())
            }
            Step::NeedAssertion(input, permit) => {
                let signature = match &gateway.config.assertion_key {
                    Some(key) => ports.sign(key, input.as_bytes()).await,
                    None => Err("there is no key".to_owned()),
                };
                gateway.assertion_signed(&input, permit, signature, &mut trail)
            }
            Step::NeedBody(rejection) => {
                let text = ports.peek(&body, PEEK_BYTES).await;
                gateway.refused(rejection, text.as_deref(), &trail)
            }
        };
    }
    let rejection = Rejection::Internal("the walk does not end");
    let answer = respond::refusal(&rejection, &RequestId::unknown(), &trail, Some(&gateway.config));
    ports.line(&request_line(&trail, Some(&gateway.config), &Outcome::Deny(&rejection), answer.status, ports.now()));
    Served::Own(answer)
}

/// Refuses a request because the configuration is not valid: nothing passes until it is.
pub fn serve_closed<P: Ports>(ports: &P, head: &Head) -> Answer {
    let trail = begin_trail(ports, head);
    let rejection = Rejection::Misconfigured;
    let answer = respond::refusal(&rejection, &RequestId::unknown(), &trail, None);
    ports.line(&request_line(&trail, None, &Outcome::Deny(&rejection), answer.status, ports.now()));
    answer
}

fn begin_trail<P: Ports>(ports: &P, head: &Head) -> Trail {
    let mut random = [0; 40];
    ports.fill(&mut random);
    Trail::begin(head.method, head.fields.get("traceparent"), &random, ports.now())
}

async fn forward<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    outbound: OutboundRequest,
    awaited: Awaited,
    body: &P::RequestBody,
    trail: &mut Trail,
) -> Result<Served<P::ResponseBody>, Rejection> {
    let sent = ports.now();
    let (head, body) = match ports.send(outbound, body).await {
        Ok((head, body)) => (Ok(head), Some(body)),
        Err(failure) => (Err(failure), None),
    };
    let now = ports.now();
    trail.origin_ms = Some(now.since(sent));
    let mut random = [0; NONCE_BYTES];
    if gateway.config.sessions.is_some() {
        ports.fill(&mut random);
    }
    let (head, filter) = gateway.origin_answered(head, awaited, &random, trail, now)?;
    let mut body = body.ok_or(Rejection::Internal("an answer without a body"))?;
    if let Some(filter) = filter {
        let (gateway, keeper) = (Rc::clone(gateway), ports.clone());
        let keep = move |kept| keep(&gateway, &keeper, kept);
        body = ports.filtered(body, filter, Box::new(keep)).await.map_err(Rejection::OriginMalformed)?;
    }
    record(gateway, ports, trail);
    let hidden = Rejection::Absent { target: None, era: trail.era.unwrap_or(Era::Legacy), apart: false };
    let outcome = if trail.decoy { Outcome::Deny(&hidden) } else { Outcome::Allow("forwarded") };
    ports.line(&request_line(trail, Some(&gateway.config), &outcome, head.status, now));
    Ok(Served::Origin(head, body))
}

/// Keeps a list that passed whole, where its origin server calls it public.
fn keep<P: Ports + Clone + 'static>(gateway: &Rc<Gateway>, ports: &P, kept: Kept) {
    let (name, now) = (kept.name.clone(), ports.now());
    let Some(list) = gateway.keep_list(kept, now) else { return };
    let work = ports.clone();
    ports.spawn(Box::pin(async move {
        if let Ok(text) = serde_json::to_vec(&*list) {
            work.keep(&name, &text, list.until.saturating_sub(now.0) / 1000).await;
        }
    }));
}

/// Records what rules decided of a request, once.
fn record<P: Ports>(gateway: &Gateway, ports: &P, trail: &mut Trail) {
    let Some(log) = &gateway.config.decision_log else { return };
    let mut chain = gateway.chain.borrow_mut();
    for record in &trail.decisions {
        ports.decided(log, &chain.line(record, trail, &gateway.config, ports.now()));
    }
}

/// Meets a need of authentication, and walks on.
async fn meet<P: Ports + Clone + 'static>(
    gateway: &Gateway,
    ports: &P,
    need: Need,
    pending: Box<Authenticating>,
    trail: &mut Trail,
) -> Step {
    match need {
        Need::Keys(issuer) => {
            let keys = fetch_keys(gateway, ports, issuer).await;
            gateway.keys_fetched(pending, keys, trail, ports.now())
        }
        Need::KeysOnTheirWay(issuer) => {
            let keys = await_keys(gateway, ports, issuer).await;
            gateway.keys_fetched(pending, keys, trail, ports.now())
        }
        Need::Signature(check) => {
            let verdict = ports.verify(&check).await;
            if let Err(why) = &verdict {
                ports.line(&gateway_line("warn", "signature_check_failed", why, ports.now()));
            }
            gateway.signature_checked(*check, pending, verdict, trail, ports.now())
        }
        Need::Answer => {
            let answer = ask(gateway, ports, &pending).await;
            gateway.answered(pending, answer, trail, ports.now())
        }
        Need::Revocations => {
            let got = read_revocations(gateway, ports).await;
            gateway.revocations_read(pending, got, trail, ports.now())
        }
        Need::FirstUse(single) => {
            let used = match &gateway.config.dpop.replay_binding {
                Some(binding) => ports.use_once(binding, &single).await,
                None => Err("there is no binding".to_owned()),
            };
            gateway.used(pending, used, trail, ports.now())
        }
    }
}

fn start_errands<P: Ports + Clone + 'static>(gateway: &Rc<Gateway>, ports: &P) {
    for errand in gateway.due.take() {
        let (gateway, ports) = (Rc::clone(gateway), ports.clone());
        let work = ports.clone();
        work.spawn(Box::pin(async move {
            match errand {
                Errand::Keys(issuer) => {
                    fetch_keys(&gateway, &ports, issuer).await;
                }
                Errand::Revocations => {
                    read_revocations(&gateway, &ports).await;
                }
            }
        }));
    }
}
