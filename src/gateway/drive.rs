//! The driver: it performs actions through the ports. The only awaits of this room are here and in what it calls.

use crate::content::fault::{Fault, NotApprovable};
use crate::content::guard::Direction;
use crate::forward::body_filter::{BodyFilter, CacheCandidate, FilterResult};
use crate::forward::content_of_answer::AskedAboutResults;
use crate::forward::response::ResponseHead;
use crate::gateway::active_request::{Action, ActiveRequest, Received, ServerPart, Suspended};
use crate::gateway::approvals::Heard;
#[cfg(feature = "authorization-server")]
use crate::gateway::asking_approval;
use crate::gateway::budgets;
use crate::gateway::concurrently::{Work, before, concurrently};
use crate::gateway::conversations::open;
use crate::gateway::credentials::obtain;
use crate::gateway::gathering::{PartAnswer, WholeAnswer};
use crate::gateway::hooks::{self, AskedBody};
use crate::gateway::inquire::inquire;
use crate::gateway::log::{self, write_noted};
use crate::gateway::open::Gateway;
use crate::gateway::stream_watch::stream_check;
use crate::limits::{
    HOOKED_ANSWER_BYTES, OPENING_BYTES, PEEK_BYTES, SERVER_LIST_BYTES, SERVERS_AT_ONCE, SERVERS_LIST_BYTES,
    SERVERS_LIST_SECONDS,
};
use crate::observe::event::gateway_line;
use crate::pipeline::authorize::Authorized;
use crate::pipeline::context::RequestContext;
use crate::pipeline::respond::Answer;
use crate::pipeline::route::EndpointRequest;
use crate::platform_error::PlatformError;
use crate::policy::counters::RateLimitCheck;
use crate::ports::{FilterFailure, OriginFailure, Ports};
use crate::settings::federation::Server;
use crate::transport::head::Head;
use std::cell::Cell;
use std::rc::Rc;

#[cfg(feature = "authorization-server")]
use crate::authorization_server;

/// The answer for the caller.
#[derive(Debug)]
pub enum Served<B> {
    /// The gateway's own answer.
    Own(Answer),
    /// The origin server's answer; its body is not read yet.
    Origin(ResponseHead, B),
}

/// Serves one request, from its head to the head of the answer.
pub async fn serve<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    head: Head,
    body: P::RequestBody,
) -> Served<P::ResponseBody> {
    let action = ActiveRequest::new(gateway, ports, &head).begin(head);
    drive(gateway, ports, action, &body).await
}

/// Performs actions until there is the head of an answer.
pub async fn drive<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    mut action: Action,
    body: &P::RequestBody,
) -> Served<P::ResponseBody> {
    loop {
        action = match action {
            Action::Answer(answer) => return Served::Own(answer),
            Action::ReadMessage(limit, request) => {
                let message = ports.message(body, limit).await;
                request.message_read(gateway, ports, message)
            }
            Action::CheckSignature(request) => {
                let verdict = ports.verify(request.check()).await;
                request.signature_checked(gateway, ports, verdict)
            }
            Action::ObtainCredential(request) => {
                let obtained = obtain(gateway, ports, request.stage().permit()).await;
                request.credential_obtained(gateway, ports, obtained)
            }
            Action::SignAssertion(request) => {
                let signature = match gateway.settings.assertion_keys.first() {
                    Some(key) => ports.sign(key, request.input().as_bytes()).await,
                    None => Err("there is no key".into()),
                };
                request.assertion_signed(gateway, ports, signature)
            }
            Action::Converse(request) => {
                let opened = open(gateway, ports, (request.stage(), request.context()), body).await;
                request.opened(gateway, ports, opened)
            }
            Action::Send(outbound, request) => {
                let answer = ports.send(outbound, body).await;
                if let (Some(watch), Ok((_, body))) = (request.stage().watch(), &answer) {
                    ports.watch(body, stream_check(gateway, ports, watch));
                }
                match pass_on(gateway, ports, request.answered(gateway, ports, answer)).await {
                    Ok(served) => return served,
                    Err(action) => *action,
                }
            }
            Action::Inquire(inquiry, request) => inquire(gateway, ports, inquiry, request).await,
            Action::CheckRateLimits(checks, request) => {
                let checks = check_rate_limits(ports, checks).await;
                request.rate_limits_checked(gateway, ports, &checks)
            }
            Action::AskHooks(request) => {
                let heard = hooks::about_arguments(ports, request.stage(), request.context()).await;
                request.hooks_heard(gateway, ports, heard)
            }
            Action::AskForApproval(request) => {
                let heard = ask_for_approval(gateway, ports, &request, body).await;
                request.approval_heard(gateway, ports, heard)
            }
            Action::CountBudgets(checks, request) => {
                let answered = budgets::count(ports, checks).await;
                request.budgets_counted(gateway, ports, &answered)
            }
            Action::RecallList(key, request) => {
                let found = ports.recall(&key).await;
                request.list_recalled(gateway, ports, (key, found))
            }
            Action::Gather(of_each, request) => {
                let answers = gather(gateway, ports, of_each, body).await;
                request.gathered(gateway, ports, answers)
            }
            Action::Listen(of_each, request) => {
                let bodies = streams(gateway, ports, of_each, body).await;
                match request.listening(gateway, ports, bodies.len()) {
                    Ok((head, ends)) => {
                        return Served::Origin(head, ports.joined(ends.map(String::into_bytes), bodies));
                    }
                    Err(action) => *action,
                }
            }
            Action::AskAuthorizationServer(endpoint, request) => {
                ask_authorization_server(gateway, ports, &endpoint, request, body).await
            }
            Action::PeekBody(request) => {
                let text = ports.peek(body, PEEK_BYTES).await;
                request.peeked(gateway, ports, text.as_deref())
            }
        };
    }
}

/// Forwards the answer of an origin server.
///
/// # Errors
/// The next action, if the answer is not forwarded.
async fn pass_on<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    received: Received<P::ResponseBody>,
) -> Result<Served<P::ResponseBody>, Box<Action>> {
    match received {
        Received::Refused(action) => Err(Box::new(action)),
        Received::Again(action, answer) => {
            ports.discard(answer);
            Err(Box::new(action))
        }
        Received::Doubtful(request, answer) => {
            let text = ports.whole(answer, OPENING_BYTES).await;
            Err(Box::new(request.read(gateway, ports, text)))
        }
        Received::Passed(head, answer) => Ok(Served::Origin(head, answer)),
        Received::Filter(filter, request, answer) => {
            let (head, answer) = filter_body(gateway, ports, filter, request, answer).await?;
            Ok(Served::Origin(head, answer))
        }
    }
}

/// Sends the body of an answer through its filter.
///
/// # Errors
/// The next action, if the body is malformed from its beginning.
pub async fn filter_body<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    mut filter: BodyFilter,
    request: Suspended<ResponseHead>,
    answer: P::ResponseBody,
) -> Result<(ResponseHead, P::ResponseBody), Box<Action>> {
    let (keeping, keeper) = (Rc::clone(gateway), ports.clone());
    let context = request.context().clone();
    let ended = move |end| filter_ended(&keeping, &keeper, end, &context);
    let asked = filter.take_asked();
    let head = request.stage();
    let kind =
        BodyKind { is_stream: head.is_event_stream(), is_message: head.is_json() || (200..300).contains(&head.status) };
    match ports.filtered(answer, filter, Box::new(ended)).await {
        Ok(body) => {
            let Some(asked) = asked else { return Ok((request.passed(gateway, ports), body)) };
            if kind.is_stream {
                let step = hooks::about_events(gateway, ports, Rc::new(asked), request.context());
                return Ok((request.passed(gateway, ports), ports.stepped(body, step)));
            }
            match asked_about(gateway, ports, asked, (body, kind), request.context()).await {
                Ok(AskedBody::Passed(body)) => {
                    Ok((request.passed(gateway, ports), ports.joined([body, Vec::new()], Vec::new())))
                }
                Ok(AskedBody::Instead(body)) => {
                    Ok((request.replaced(gateway, ports, &body), ports.joined([body, Vec::new()], Vec::new())))
                }
                Err(failure) => Err(Box::new(request.unfit(gateway, ports, FilterFailure::Failed(failure)))),
            }
        }
        Err(why) => Err(Box::new(request.unfit(gateway, ports, why))),
    }
}

/// What an answer is for hooks.
#[derive(Debug, Clone, Copy)]
struct BodyKind {
    is_stream: bool,
    /// Whether clients read it as a message.
    is_message: bool,
}

/// Has hooks look at the whole body of an answer.
///
/// # Errors
/// [`OriginFailure`] if the body is not complete.
async fn asked_about<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    asked: AskedAboutResults,
    (body, kind): (P::ResponseBody, BodyKind),
    context: &RequestContext,
) -> Result<AskedBody, OriginFailure> {
    match ports.whole(body, HOOKED_ANSWER_BYTES as u64).await {
        Ok(whole) => Ok(hooks::about_body(gateway, ports, &asked, (whole, kind.is_message, context)).await),
        Err(OriginFailure::BodyTooLarge) => {
            log::write_hook_failure(ports, context, "an answer is larger than hooks are asked about");
            Ok(AskedBody::Instead(asked.answers.body(&Fault::TooLarge(HOOKED_ANSWER_BYTES as u64))))
        }
        Err(failure) => Err(failure),
    }
}

/// Caches a list that passed the filter completely, and logs what the filter rejected or left out.
fn filter_ended<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    end: FilterResult,
    context: &RequestContext,
) {
    let request = context.request_id.as_str();
    for noted in &end.noted {
        write_noted(gateway, ports, noted, Direction::Results, context);
    }
    let say = |level, reason, detail: &str| ports.line(&gateway_line(level, reason, detail, ports.now()));
    if let Some(unfit) = end.unfit {
        say("error", "list_malformed", &format!("request {request}: broken off: {unfit}"));
    }
    if let Some(unfit) = end.skipped {
        say("warn", "list_malformed", &format!("request {request}: an event was left out: {unfit}"));
    }
    if end.unreadable > 0 {
        let detail = format!(
            "request {request}: {} left out: names that cannot be read for certain, or are too long with their prefix",
            end.unreadable
        );
        say("warn", "list_items_dropped", &detail);
    }
    for (reason, text) in gateway.answers.definitions.borrow_mut().take_lines() {
        say("warn", reason, &text);
    }
    if let Some(kept) = end.kept {
        keep(gateway, ports, kept);
    }
}

/// Caches a list that passed the filter completely, if its origin server calls it public.
fn keep<P: Ports + Clone + 'static>(gateway: &Rc<Gateway>, ports: &P, kept: CacheCandidate) {
    let (name, now) = (kept.name.clone(), ports.now());
    let Some(list) = gateway.keep_list(kept, now) else { return };
    let work = ports.clone();
    ports.spawn(Box::pin(async move {
        if let Ok(text) = serde_json::to_vec(&*list) {
            work.keep(&name, &text, list.until.saturating_sub(now.0) / 1000).await;
        }
    }));
}

/// Performs the parts of a request, some at a time. A server that does not answer in time has no answer.
async fn gather<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    of_each: Vec<ServerPart>,
    body: &P::RequestBody,
) -> Vec<PartAnswer> {
    let left = Cell::new(SERVERS_LIST_BYTES);
    let servers: Vec<Rc<Server>> = of_each.iter().map(|part| Rc::clone(&part.server)).collect();
    let sleep = |seconds: u64| -> Work<'_, ()> {
        Box::pin(ports.sleep(u32::try_from(seconds.saturating_mul(1000)).unwrap_or(u32::MAX)))
    };
    let mut work: Vec<Work<'_, WholeAnswer>> = Vec::new();
    for part in of_each {
        let left = &left;
        work.push(Box::pin(async move {
            let answer: Work<'_, _> = Box::pin(answer_of(gateway, ports, part.action, body, left));
            let answer = before(sleep(part.seconds), answer).await;
            gateway.resting.borrow_mut().note(&part.server, &part.caller, answer.is_some(), ports.now());
            answer.unwrap_or(Err("it did not answer in time"))
        }));
    }
    let answers = concurrently(work, SERVERS_AT_ONCE, sleep(SERVERS_LIST_SECONDS)).await;
    let answers = answers.into_iter().map(|answer| answer.unwrap_or(Err("there was no time left to ask it")));
    servers.into_iter().zip(answers).collect()
}

/// The event streams that servers opened. A server that did not is left out.
async fn streams<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    of_each: Vec<ServerPart>,
    body: &P::RequestBody,
) -> Vec<P::ResponseBody> {
    let sleep = |seconds: u64| -> Work<'_, ()> {
        Box::pin(ports.sleep(u32::try_from(seconds.saturating_mul(1000)).unwrap_or(u32::MAX)))
    };
    let mut work: Vec<Work<'_, Option<P::ResponseBody>>> = Vec::new();
    for part in of_each {
        work.push(Box::pin(async move {
            let served: Work<'_, _> = Box::pin(drive(gateway, ports, part.action, body));
            match before(sleep(part.seconds), served).await? {
                Served::Origin(head, answer) if head.status == 200 && head.is_event_stream() => Some(answer),
                Served::Origin(_, answer) => {
                    ports.discard(answer);
                    None
                }
                Served::Own(_) => None,
            }
        }));
    }
    let opened = concurrently(work, SERVERS_AT_ONCE, sleep(SERVERS_LIST_SECONDS)).await;
    opened.into_iter().filter_map(Option::flatten).collect()
}

async fn answer_of<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    action: Action,
    body: &P::RequestBody,
    left: &Cell<u64>,
) -> WholeAnswer {
    let (head, answer) = match drive(gateway, ports, action, body).await {
        Served::Origin(head, answer) => (head, answer),
        // What a server of the legacy era said when the gateway opened a session there.
        Served::Own(answer) if answer.status == 200 => {
            let head = ResponseHead { status: answer.status, fields: answer.fields };
            return Ok((head, answer.body.into_bytes()));
        }
        // The reason is in the log already.
        Served::Own(_) => return Err(""),
    };
    let bytes = ports.whole(answer, SERVER_LIST_BYTES).await;
    let bytes = bytes.map_err(|_| "its answer broke off, or is too large")?;
    let rest = left.get().checked_sub(bytes.len() as u64);
    left.set(rest.ok_or("the answers of all servers are too large together")?);
    Ok((head, bytes))
}

/// Asks each binding whether the request is within its limit, until one says that it is not.
async fn check_rate_limits<P: Ports>(
    ports: &P,
    checks: Vec<RateLimitCheck>,
) -> Vec<(RateLimitCheck, Result<bool, PlatformError>)> {
    let mut checked = Vec::with_capacity(checks.len());
    for check in checks {
        let answer = ports.within_limit(&check.binding, &check.counter.key).await;
        let refused = answer == Ok(false);
        checked.push((check, answer));
        if refused {
            break;
        }
    }
    checked
}

/// Asks whether a person has approved a call. A Worker that is built without the authorization server rejects every configuration that
/// leads here.
#[cfg_attr(
    not(feature = "authorization-server"),
    expect(clippy::unused_async, reason = "only the authorization server awaits")
)]
async fn ask_for_approval<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    request: &Suspended<Box<Authorized>>,
    body: &P::RequestBody,
) -> Heard {
    #[cfg(feature = "authorization-server")]
    if let Some((server, _)) = &gateway.authorization_server {
        return asking_approval::ask(server, ports, (request.stage(), body), request.context()).await;
    }
    let _ = (gateway, ports, request, body);
    Heard::Refused(Fault::NotApprovable(NotApprovable::Unavailable))
}

/// Has the authorization server answer. A Worker that is built without it rejects every configuration that leads here.
#[cfg_attr(
    not(feature = "authorization-server"),
    expect(clippy::unused_async, reason = "only the authorization server awaits")
)]
async fn ask_authorization_server<P: Ports>(
    gateway: &Rc<Gateway>,
    ports: &P,
    endpoint: &EndpointRequest,
    request: Suspended<()>,
    body: &P::RequestBody,
) -> Action {
    #[cfg(feature = "authorization-server")]
    if let Some((server, memory)) = &gateway.authorization_server {
        let settings = &gateway.settings;
        let context = request.context();
        let (answer, outcome) =
            authorization_server::serve::serve((server, memory), settings, ports, endpoint, body, context).await;
        return request.endpoint_answered(gateway, ports, (answer, &outcome));
    }
    let _ = (endpoint, body);
    request.no_authorization_server(gateway, ports)
}
