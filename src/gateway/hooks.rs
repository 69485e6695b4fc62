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
use crate::forward::body_filter::AskedAboutResults;
use crate::gateway::active_request::{Action, ActiveRequest, Suspended};
use crate::gateway::log;
use crate::gateway::open::Gateway;
use crate::mcp::events::{EventSplitter, data_of, with_data};
use crate::mcp::message;
use crate::pipeline::authorize::Authorized;
use crate::pipeline::context::RequestContext;
use crate::pipeline::inspect::Inspected;
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

/// Asks hooks one after another; what one of them replaces is what the next is asked about. Each that does not say `pass` is noted.
async fn ask_all<P: Ports>(
    ports: &P,
    (hooks, about): (&[Rc<Hook>], &About),
    direction: Direction,
    value: &str,
) -> (Outcome, Vec<Found>, Vec<String>) {
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    let mut replaced: Option<Value> = None;
    for hook in hooks {
        let text = replaced.as_ref().map_or_else(|| value.to_owned(), Value::to_string);
        let said = match hook.question(about, direction, &text) {
            None => Err(format!("it is asked about at most {} bytes", hook.bytes)),
            Some(question) => match ports.ask(&question).await {
                Err(error) => Err(error.to_string()),
                Ok(document) => read(&document, direction).map_err(str::to_owned),
            },
        };
        let said = said.and_then(|said| match said {
            Said::Replace(by) if direction == Direction::Results && !fits(&text, &by) => {
                Err("it replaces a message by one of another request".to_owned())
            }
            said => Ok(said),
        });
        let mut note = |action| found.push(Found::of_hook(&hook.id, action, direction));
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

/// Asks about the arguments of a call.
pub(super) async fn about_arguments<P: Ports>(ports: &P, authorized: &Authorized, context: &RequestContext) -> Heard {
    let permit = authorized.permit();
    let (hooks, about) = (permit.hooks(), permit.about(&context.request_id));
    let Some(about) = about else { return Heard { outcome: Outcome::Pass, found: Vec::new(), failures: Vec::new() } };
    let body = permit.inspected().map(Inspected::body).unwrap_or_default();
    let is_one =
        permit.inspected().and_then(|inspected| inspected.messages()).is_some_and(|messages| messages.len() == 1);
    if !is_one {
        let failures = vec!["hooks are not asked about batches".to_owned()];
        return Heard { outcome: Outcome::Refused(Fault::NoAnswer), found: Vec::new(), failures };
    }
    let arguments = message::arguments(body).and_then(|text| String::from_utf8(text).ok());
    let arguments = arguments.unwrap_or_else(|| "{}".to_owned());
    let (outcome, found, failures) = ask_all(ports, (hooks, &about), Direction::Arguments, &arguments).await;
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
            Outcome::Refused(fault) => active.refuse(super::budgets::held_back(&authorized, fault)),
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

/// What the client gets of a message; `None` if it gets it as it is.
async fn about_message<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    asked: &AskedAboutResults,
    (text, context): (&str, &RequestContext),
) -> Option<Result<String, Fault>> {
    let (outcome, found, failures) = ask_all(ports, (&asked.hooks, &asked.about), Direction::Results, text).await;
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

/// Asks about a body that is one message or a batch.
pub(super) async fn about_body<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    asked: &AskedAboutResults,
    (body, context): (Vec<u8>, &RequestContext),
) -> Vec<u8> {
    let text = String::from_utf8(body).unwrap_or_default();
    match about_message(gateway, ports, asked, (&text, context)).await {
        None => text.into_bytes(),
        Some(Ok(instead)) => instead.into_bytes(),
        Some(Err(fault)) => asked.answers.body(&fault),
    }
}

/// Asks about each event of a stream.
pub(super) fn about_events<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    asked: Rc<AskedAboutResults>,
    context: &RequestContext,
) -> Step {
    let (gateway, ports, context) = (Rc::clone(gateway), ports.clone(), context.clone());
    let splitter = Rc::new(RefCell::new(EventSplitter::default()));
    Box::new(move |part| {
        let (gateway, ports, asked, context) = (Rc::clone(&gateway), ports.clone(), Rc::clone(&asked), context.clone());
        let splitter = Rc::clone(&splitter);
        Box::pin(async move {
            // An event that is not complete is no event.
            let Some(part) = part else { return Some(Vec::new()) };
            let events = splitter.borrow_mut().push(&part);
            let mut out = Vec::new();
            for event in events {
                let message = data_of(&event).filter(|data| data.trim_start().starts_with(['{', '[']));
                let Some(message) = message else {
                    out.extend_from_slice(&event);
                    continue;
                };
                match about_message(&gateway, &ports, &asked, (&message, &context)).await {
                    None => out.extend_from_slice(&event),
                    Some(Ok(instead)) => out.extend_from_slice(&with_data(&event, &instead)),
                    Some(Err(fault)) => out.extend_from_slice(&asked.answers.event(message.as_bytes(), &fault)),
                }
            }
            let most = usize::try_from(asked.most_bytes()).unwrap_or(usize::MAX).saturating_add(64 * 1024);
            if splitter.borrow().held() > most {
                log::write_hook_failure(&ports, &context, "an event is larger than hooks are asked about");
                return None;
            }
            Some(out)
        })
    })
}
