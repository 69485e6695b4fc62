//! The driver: it meets every need of the walk through the ports. Those are the only awaits.

use std::rc::Rc;

#[cfg(feature = "authorization-server")]
use crate::authorization_server;
use crate::forward::answer::{BodyFilter, FilterEnd, Kept};
use crate::forward::response::InboundHead;
use crate::gateway::ask::{ask, read_revocations};
use crate::gateway::keys::{await_keys, fetch_keys};
use crate::gateway::underway::{Arrived, Next, Passing, Underway};
use crate::gateway::{Errand, Gateway, Step};
use crate::limits::PEEK_BYTES;
use crate::observe::event::gateway_line;
use crate::pipeline::authenticate::{Authenticating, Need};
use crate::pipeline::context::RequestContext;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::respond::Answer;
use crate::pipeline::route::EndpointRequest;
use crate::ports::Ports;
use crate::transport::head::Head;

/// What goes back to the caller.
#[derive(Debug)]
pub enum Served<B> {
    /// The gateway's own answer.
    Own(Answer),
    /// The origin server's answer, its body untouched.
    Origin(InboundHead, B),
}

/// Serves one request from its head to the answer's head.
pub async fn serve<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    head: Head,
    body: P::RequestBody,
) -> Served<P::ResponseBody> {
    go_on(gateway, ports, Underway::begin(gateway, ports, head), &body).await
}

/// Goes on to the answer's head, one need after another.
pub async fn go_on<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    mut underway: Underway,
    body: &P::RequestBody,
) -> Served<P::ResponseBody> {
    loop {
        underway = match underway.next(gateway, ports) {
            Next::Answer(answer) => return Served::Own(answer),
            Next::Read(limit, reading) => {
                let message = ports.message(body, limit).await;
                reading.read(gateway, ports, message)
            }
            Next::Check(checking) => {
                let verdict = ports.verify(checking.check()).await;
                checking.checked(gateway, ports, verdict)
            }
            Next::Sign(signing) => {
                let signature = match gateway.config.assertion_keys.first() {
                    Some(key) => ports.sign(key, signing.input().as_bytes()).await,
                    None => Err("there is no key".to_owned()),
                };
                signing.signed(gateway, signature)
            }
            Next::Send(outbound, sending) => {
                let answer = ports.send(outbound, body).await;
                match sending.answered(gateway, ports, answer) {
                    Arrived::Refused(underway) => underway,
                    Arrived::Passed(head, answer) => return Served::Origin(head, answer),
                    Arrived::Filter(filter, passing, answer) => {
                        match filtered(gateway, ports, filter, passing, answer).await {
                            Ok((head, answer)) => return Served::Origin(head, answer),
                            Err(underway) => *underway,
                        }
                    }
                }
            }
            Next::Rare(underway) => meet(gateway, ports, underway, body).await,
        };
    }
}

/// Sends an answer through its filter.
///
/// # Errors
/// The request, to go on with where the body is unfit from its beginning.
pub async fn filtered<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    filter: BodyFilter,
    passing: Passing,
    answer: P::ResponseBody,
) -> Result<(InboundHead, P::ResponseBody), Box<Underway>> {
    let (keeping, keeper) = (Rc::clone(gateway), ports.clone());
    let request = passing.request_id().to_owned();
    let ended = move |end| filter_ended(&keeping, &keeper, end, &request);
    match ports.filtered(answer, filter, Box::new(ended)).await {
        Ok(body) => Ok((passing.passed(gateway, ports), body)),
        Err(why) => Err(Box::new(passing.unfit(gateway, why))),
    }
}

/// Keeps a list that passed whole, and says what did not.
fn filter_ended<P: Ports + Clone + 'static>(gateway: &Rc<Gateway>, ports: &P, end: FilterEnd, request: &str) {
    let say = |level, reason, detail: &str| ports.line(&gateway_line(level, reason, detail, ports.now()));
    if let Some(unfit) = end.unfit {
        say("error", "list_malformed", &format!("request {request}: broken off: {unfit}"));
    }
    if let Some(unfit) = end.skipped {
        say("warn", "list_malformed", &format!("request {request}: an event was left out: {unfit}"));
    }
    if end.unreadable > 0 {
        let detail = format!("request {request}: {} left out, whose names cannot be read for certain", end.unreadable);
        say("warn", "list_items_dropped", &detail);
    }
    if let Some(kept) = end.kept {
        keep(gateway, ports, kept);
    }
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

/// Meets a need that few requests have.
async fn meet<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    underway: Underway,
    body: &P::RequestBody,
) -> Underway {
    let Underway { mut context, step, needs } = underway;
    let step = match step {
        Step::Need(need, pending) => authenticate(gateway, ports, need, pending, &mut context).await,
        Step::NeedTurns(turns, authorized) => {
            let mut said = Vec::with_capacity(turns.len());
            for turn in turns {
                let answer = ports.turn(&turn.binding, &turn.counter.key).await;
                let refused = answer == Ok(false);
                said.push((turn, answer));
                if refused {
                    break;
                }
            }
            gateway.turns_taken(*authorized, said, &mut context, ports.now())
        }
        Step::NeedList(name, permit) => {
            let found = ports.recall(&name).await;
            gateway.list_recalled(name, permit, found, &context, ports.now())
        }
        Step::NeedServer(request) => ask_server(gateway, ports, &request, body, &context).await,
        Step::NeedBody(rejection) => {
            let text = ports.peek(body, PEEK_BYTES).await;
            gateway.refused(rejection, text.as_deref(), &context)
        }
        // Not rare: whoever asks for the next step meets these by themselves.
        step @ (Step::Answer(..) | Step::Forward(..) | Step::NeedMessage(_) | Step::NeedAssertion(..)) => step,
    };
    Underway { context, step, needs }
}

/// Has the authorization server answer.
#[cfg(feature = "authorization-server")]
async fn ask_server<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    request: &EndpointRequest,
    body: &P::RequestBody,
    context: &RequestContext,
) -> Step {
    let Some((server, memory)) = &gateway.authorization_server else {
        return gateway.refused(Rejection::NotFound, None, context);
    };
    let config = &gateway.config;
    let (answer, outcome) =
        authorization_server::serve::serve((server, memory), config, ports, request, body, context).await;
    Step::Answer(answer, crate::gateway::Reason::Told(outcome))
}

/// No configuration leads here.
#[cfg(not(feature = "authorization-server"))]
async fn ask_server<P: Ports>(
    gateway: &Gateway,
    _: &P,
    _: &EndpointRequest,
    _: &P::RequestBody,
    context: &RequestContext,
) -> Step {
    std::future::ready(gateway.refused(Rejection::Internal("built without the authorization server"), None, context))
        .await
}

/// Meets a need of authentication.
async fn authenticate<P: Ports + Clone + 'static>(
    gateway: &Gateway,
    ports: &P,
    need: Need,
    pending: Box<Authenticating>,
    context: &mut RequestContext,
) -> Step {
    match need {
        Need::Keys(issuer) => {
            let keys = fetch_keys(gateway, ports, &issuer).await;
            gateway.keys_fetched(pending, keys, context, ports.now())
        }
        Need::KeysOnTheirWay(issuer) => {
            let keys = await_keys(gateway, ports, &issuer).await;
            gateway.keys_fetched(pending, keys, context, ports.now())
        }
        Need::Signature(check) => Step::Need(Need::Signature(check), pending),
        Need::Answer => {
            let answer = ask(gateway, ports, &pending).await;
            gateway.answered(pending, answer, context, ports.now())
        }
        Need::Revocations => {
            let got = read_revocations(gateway, ports).await;
            gateway.revocations_read(pending, got, context, ports.now())
        }
        Need::FirstUse(single) => {
            let used = match &gateway.config.dpop.replay_binding {
                Some(binding) => ports.use_once(binding, &single).await,
                None => Err("there is no binding".to_owned()),
            };
            gateway.used(pending, used, context, ports.now())
        }
    }
}

pub(super) fn start_errands<P: Ports + Clone + 'static>(gateway: &Rc<Gateway>, ports: &P) {
    for errand in gateway.due.take() {
        let (gateway, ports) = (Rc::clone(gateway), ports.clone());
        let work = ports.clone();
        work.spawn(Box::pin(async move {
            match errand {
                Errand::Keys(issuer) => {
                    fetch_keys(&gateway, &ports, &issuer).await;
                }
                Errand::Revocations => {
                    read_revocations(&gateway, &ports).await;
                }
            }
        }));
    }
}
