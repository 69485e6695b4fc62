//! Asks hooks about calls, before they are forwarded, and about the messages of servers, before clients get them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::content::fault::Fault;
use crate::content::guard::Direction;
use crate::content::hook::{About, Hook, Said, may_replace, read};
use crate::content::report::Found;
use crate::forward::content_of_answer::AskedAboutResults;
use crate::gateway::active_request::{Action, ActiveRequest, Suspended};
use crate::gateway::log;
use crate::gateway::open::Gateway;
use crate::limits::HOOKED_ANSWER_BYTES;
use crate::mcp::events::{EventSplitter, data_of, with_data};
use crate::mcp::message::{self, Call};
use crate::mcp::method::Target;
use crate::pipeline::authorize::Authorized;
use crate::pipeline::context::RequestContext;
use crate::pipeline::rejection::Rejection;
use crate::ports::{Ports, Step};
use crate::strict_json;

/// What hooks make of a value.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It passes as it is.
    Pass,
    /// This takes its place.
    Replaced(Value),
    /// It does not pass.
    Refused(Fault),
}

/// What hooks are asked about: a value, and where that is not all of a client's message, the message. Both are strict JSON.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    direction: Direction,
    value: &'a str,
    whole: Option<&'a str>,
    /// Whether a hook may put another value in its place.
    is_replaceable: bool,
}

/// Asks hooks one after another; what one of them replaces is what the next is asked about. Each that does not say `pass` is noted.
async fn ask_all<P: Ports>(
    ports: &P,
    (hooks, about): (&[Rc<Hook>], &About),
    question: Question<'_>,
) -> (Outcome, Vec<Found>, Vec<String>) {
    let direction = question.direction;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    let mut replaced: Option<Value> = None;
    for hook in hooks {
        let mut note = |action| found.push(Found::of_hook(&hook.id, action, direction));
        let text = replaced.as_ref().map_or_else(|| question.value.to_owned(), Value::to_string);
        let Some(request) = hook.question(about, direction, (&text, question.whole)) else {
            failures.push(format!("hook {:?}: it is asked about at most {} bytes", hook.id, hook.bytes));
            // How much a caller sends is for the caller to say: with that, none must get past a hook.
            if direction == Direction::Arguments || !hook.opens {
                note("failed");
                return (Outcome::Refused(Fault::TooLarge(hook.bytes)), found, failures);
            }
            note("failed, open");
            continue;
        };
        let said = match ports.ask(&request).await {
            Ok(document) => read(&document, direction).map_err(str::to_owned),
            // What a Worker behind a binding throws may repeat the question.
            Err(_) if hook.service.is_some() => Err("the service binding failed, or did not answer in time".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let said = said.and_then(|said| match said {
            Said::Replace(_) if !question.is_replaceable => Err("it replaces what has no arguments".to_owned()),
            Said::Replace(by) if direction == Direction::Results && !fits(&text, &by) => {
                Err("it replaces a message by one of another request".to_owned())
            }
            said => Ok(said),
        });
        match said {
            Ok(Said::Pass) => {}
            Ok(Said::Replace(by)) => {
                note("replace");
                replaced = Some(by);
            }
            Ok(Said::Deny(words)) => {
                note("deny");
                return (Outcome::Refused(Fault::Denied(words)), found, failures);
            }
            Err(why) => {
                note(if hook.opens { "failed, open" } else { "failed" });
                failures.push(format!("hook {:?}: {why}", hook.id));
                if !hook.opens {
                    return (Outcome::Refused(Fault::NoAnswer), found, failures);
                }
            }
        }
    }
    (replaced.map_or(Outcome::Pass, Outcome::Replaced), found, failures)
}

fn fits(text: &str, by: &Value) -> bool {
    let message = strict_json::parse(text.as_bytes()).ok();
    let message = message.as_ref().and_then(Value::as_object);
    message.zip(by.as_object()).is_some_and(|(message, by)| may_replace(message, by))
}

/// What hooks said about the arguments of a call.
#[derive(Debug)]
pub(super) struct Heard {
    outcome: Outcome,
    found: Vec<Found>,
    failures: Vec<String>,
}

/// Asks about what a client sends: the arguments of a call, and the whole message where there is more to it.
pub(super) async fn about_arguments<P: Ports>(ports: &P, authorized: &Authorized, context: &RequestContext) -> Heard {
    let permit = authorized.permit();
    let refused = |fault, why: &str| Heard {
        outcome: Outcome::Refused(fault),
        found: Vec::new(),
        failures: vec![why.to_owned()],
    };
    let about = permit.about(&context.request_id).zip(permit.inspected());
    let Some((about, inspected)) = about else { return refused(Fault::Unreadable, "there is no message") };
    let Ok(body) = std::str::from_utf8(inspected.body()) else {
        return refused(Fault::Unreadable, "the message is not UTF-8");
    };
    if message::is_batch(inspected.body()) || inspected.messages().is_none_or(|messages| messages.len() != 1) {
        return refused(Fault::NotAskedAbout, "hooks are not asked about batches");
    }
    let call = permit.call();
    let has_arguments = call.and_then(Call::known).is_some_and(|known| matches!(known.target, Target::Name(_)));
    let arguments = message::arguments(inspected.body()).and_then(|text| String::from_utf8(text).ok());
    // Other messages, and calls that go on, have more than arguments.
    let is_whole = has_arguments && call.is_some_and(|call| !call.params.continues);
    let question = Question {
        direction: Direction::Arguments,
        value: arguments.as_deref().filter(|_| has_arguments).unwrap_or("{}"),
        whole: Some(body.trim()).filter(|_| !is_whole),
        is_replaceable: has_arguments,
    };
    let (outcome, found, failures) = ask_all(ports, (permit.hooks(), &about), question).await;
    Heard { outcome, found, failures }
}

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// After the rate limits: asks the hooks, if there are some for this call.
    pub(super) fn within_limits(self, authorized: Authorized) -> Action {
        if authorized.permit().hooks().is_empty() {
            return self.heard(authorized);
        }
        self.wait(Box::new(authorized), Action::AskHooks)
    }
}

impl Suspended<Box<Authorized>> {
    /// Continues with what hooks said about the arguments.
    #[must_use]
    pub(super) fn hooks_heard<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        heard: Heard,
    ) -> Action {
        let (mut active, authorized) = self.resume(gateway, ports);
        let Heard { outcome, found, failures } = heard;
        for failure in failures {
            log::write_hook_failure(ports, &active.context, &failure);
        }
        active.context.audit.add_found(found);
        match outcome {
            Outcome::Pass => active.heard(*authorized),
            Outcome::Refused(fault) => active.hold_back(*authorized, fault),
            Outcome::Replaced(arguments) => match with_arguments(*authorized, &arguments) {
                Ok(authorized) => active.heard(authorized),
                Err(rejection) => active.refuse(rejection),
            },
        }
    }
}

/// The same call with other arguments. The rest of the message stays as it is.
fn with_arguments(authorized: Authorized, arguments: &Value) -> Result<Authorized, Rejection> {
    type Members = BTreeMap<String, Box<RawValue>>;
    let body = authorized.permit().inspected().map(|inspected| inspected.body().to_vec()).unwrap_or_default();
    let changed = || {
        let mut message: Members = strict_json::part(std::str::from_utf8(&body).ok()?)?;
        let params = message.get("params").map_or("{}", |params| params.get());
        let mut params: Members = strict_json::part(params)?;
        params.insert("arguments".to_owned(), RawValue::from_string(arguments.to_string()).ok()?);
        message.insert("params".to_owned(), RawValue::from_string(serde_json::to_string(&params).ok()?).ok()?);
        serde_json::to_vec(&message).ok()
    };
    let changed = changed().ok_or(Rejection::Internal("arguments could not be replaced"))?;
    authorized.with_arguments(changed)
}

/// What the client gets of a message, which is strict JSON; `None` if it gets it as it is.
async fn about_message<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    asked: &AskedAboutResults,
    (text, context): (&str, &RequestContext),
) -> Option<Result<String, Fault>> {
    // What clients may read in different ways cannot be asked about.
    if !matches!(strict_json::parse(text.as_bytes()), Ok(Value::Object(_) | Value::Array(_))) {
        log::write_hook_failure(ports, context, "a message of the server is not strict JSON");
        return Some(Err(Fault::Unreadable));
    }
    let question = Question { direction: Direction::Results, value: text, whole: None, is_replaceable: true };
    let (outcome, found, failures) = ask_all(ports, (&asked.hooks, &asked.about), question).await;
    for failure in failures {
        log::write_hook_failure(ports, context, &failure);
    }
    log::write_found(gateway, ports, &found, context);
    match outcome {
        Outcome::Pass => None,
        Outcome::Replaced(by) => Some(Ok(by.to_string())),
        Outcome::Refused(fault) => Some(Err(fault)),
    }
}

/// The body of an answer that hooks were asked about.
pub(super) enum AskedBody {
    /// Hooks let it pass, or put it in place of that of the server.
    Passed(Vec<u8>),
    /// The answer of the gateway in place of one that does not pass.
    Instead(Vec<u8>),
}

/// Asks about a body that is one message or a batch. A body that is empty, and one that clients do not read as a message, passes.
pub(super) async fn about_body<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    asked: &AskedAboutResults,
    (body, is_message, context): (Vec<u8>, bool, &RequestContext),
) -> AskedBody {
    if body.trim_ascii().is_empty() {
        return AskedBody::Passed(body);
    }
    let is_json = matches!(strict_json::parse(&body), Ok(Value::Object(_) | Value::Array(_)));
    if !is_json && !is_message {
        return AskedBody::Passed(body);
    }
    match about_message(gateway, ports, asked, (&String::from_utf8_lossy(&body), context)).await {
        None => AskedBody::Passed(body),
        Some(Ok(instead)) => AskedBody::Passed(instead.into_bytes()),
        Some(Err(fault)) => AskedBody::Instead(asked.answers.body(&fault)),
    }
}

/// What the client gets of an event.
async fn about_event<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    asked: &AskedAboutResults,
    (event, context): (Vec<u8>, &RequestContext),
) -> Vec<u8> {
    let Ok(data) = data_of(&event) else {
        log::write_hook_failure(ports, context, "an event is not UTF-8");
        return asked.answers.events(&Fault::Unreadable);
    };
    let Some(message) = data.filter(|data| data.trim_start().starts_with(['{', '['])) else { return event };
    let out = match about_message(gateway, ports, asked, (&message, context)).await {
        None => event,
        Some(Ok(instead)) => with_data(&event, &instead),
        Some(Err(fault)) => asked.answers.event(message.as_bytes(), &fault),
    };
    asked.answered(message.as_bytes());
    out
}

/// Asks about each event of a stream.
pub(super) fn about_events<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    asked: Rc<AskedAboutResults>,
    context: &RequestContext,
) -> Step {
    let (gateway, ports, context) = (Rc::clone(gateway), ports.clone(), context.clone());
    let splitter = Rc::new(RefCell::new(Some(EventSplitter::default())));
    Box::new(move |part| {
        let (gateway, ports, asked, context) = (Rc::clone(&gateway), ports.clone(), Rc::clone(&asked), context.clone());
        let splitter = Rc::clone(&splitter);
        Box::pin(async move {
            // An event that is not complete is no event.
            let Some(part) = part else { return Some(Vec::new()) };
            let events = splitter.borrow_mut().as_mut()?.push(&part);
            let mut out = Vec::new();
            for event in events {
                out.extend(about_event(&gateway, &ports, &asked, (event, &context)).await);
            }
            // After an event that is too large, the stream ends.
            let is_too_large = splitter.borrow().as_ref().is_some_and(|splitter| splitter.held() > HOOKED_ANSWER_BYTES);
            if is_too_large {
                log::write_hook_failure(&ports, &context, "an event is larger than hooks are asked about");
                out.extend(asked.answers.events(&Fault::TooLarge(HOOKED_ANSWER_BYTES as u64)));
                splitter.borrow_mut().take();
            }
            Some(out)
        })
    })
}
