//! What guards, bounds, schemas and hooks look at in an answer.

use std::cell::RefCell;
use std::rc::Rc;

use crate::content::Content;
use crate::content::bound::Bounds;
use crate::content::filter::{Answers, ContentFilter, ResultCheck, SchemaCheck, Shape};
use crate::content::guard::{Direction, known};
use crate::content::hook::{About, Hook, asked};
use crate::content::in_flight::Running;
use crate::content::schema::result_to_check;
use crate::forward::response::ResponseHead;
use crate::forward::running_calls::RunningCalls;
use crate::forward::server_messages::is_listening;
use crate::mcp::definition::Defined;
use crate::mcp::envelope::RequestId;
use crate::mcp::message::{Call, Message};
use crate::mcp::method::CALL_TOOL;
use crate::mcp::operation::Operation;
use crate::pipeline::permit::Permit;
use crate::settings::Settings;
use crate::transport::head::Method;

/// What guards and bounds say about an answer.
#[derive(Debug)]
pub(super) struct ContentOfAnswer {
    /// What applies to its messages.
    pub(super) check: Option<ResultCheck>,
    /// The places of the calls among those that run.
    pub(super) running: Option<RunningCalls>,
    /// Whether the answer has to be complete in time.
    pub(super) is_timed: bool,
    /// What hooks are asked about it.
    pub(super) asked: Option<AskedAboutResults>,
}

/// What is asked about the messages of an answer.
pub struct AskedAboutResults {
    /// The hooks.
    pub hooks: Vec<Rc<Hook>>,
    /// What they learn besides the message.
    pub about: About,
    /// How a message is answered that does not pass.
    pub answers: Answers,
    /// The places of the calls among those that run: they run until hooks have decided about their responses.
    pub(super) running: RefCell<Vec<Rc<Running>>>,
}

impl std::fmt::Debug for AskedAboutResults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AskedAboutResults")
    }
}

impl AskedAboutResults {
    /// Notes that hooks have decided about a message: a call that it responds to does not run any more.
    pub fn answered(&self, message: &[u8]) {
        if self.running.borrow().is_empty() || !self.answers.is_response(message) {
            return;
        }
        self.running.borrow_mut().pop();
    }
}

/// What hooks are asked about the answer to a permitted request.
pub(super) fn asked_about(permit: &Permit, settings: &Settings) -> Option<AskedAboutResults> {
    let inspected = permit.inspected()?;
    let content = inspected.resource().content.as_ref()?;
    let is_stream = permit.admitted().head().method != Method::Post || is_listening(permit);
    let operations: Vec<Operation> = if is_stream { Vec::new() } else { permit.seen_operations() };
    let known = known(&operations).filter(|_| !is_stream);
    let caller = (&inspected.caller(), &*settings.scopes);
    let hooks: Vec<Rc<Hook>> = asked(&content.hooks, Direction::Results, known, caller).into_iter().cloned().collect();
    if hooks.is_empty() {
        return None;
    }
    let running = RefCell::new(Vec::new());
    Some(AskedAboutResults { hooks, about: permit.about("")?, answers: answers(permit), running })
}

/// The guards and bounds for the answer to a permitted request.
pub(super) fn result_check(permit: &Permit, settings: &Settings) -> Option<ResultCheck> {
    let inspected = permit.inspected()?;
    let content = inspected.resource().content.as_ref()?;
    let messages = inspected.messages().unwrap_or_default();
    let calls: Vec<&Call> = messages.iter().filter_map(Message::call).collect();
    // A stream that a GET opened carries responses to requests that were sent elsewhere.
    let is_stream = permit.admitted().head().method != Method::Post || is_listening(permit);
    let operations: Vec<Operation> = if is_stream { Vec::new() } else { permit.seen_operations() };
    let known = known(&operations).filter(|_| !is_stream);
    let caller = (&inspected.caller(), &*settings.scopes);
    let looking = content.guards.looking(Direction::Results, known, caller);
    let bounds = Bounds::strictest(&content.bounds, known);
    let only = if let [only] = calls.as_slice() { Some(*only).filter(|call| call.method == CALL_TOOL) } else { None };
    let schema =
        only.filter(|_| bounds.schema.is_some() && !is_stream).and_then(|_| schema_check(permit, Rc::clone(content)));
    let check = ResultCheck { looking, bounds, schema, answers: answers(permit) };
    check.looks().then_some(check)
}

/// How a message is answered that does not pass.
pub(super) fn answers(permit: &Permit) -> Answers {
    let messages = permit.inspected().and_then(|inspected| inspected.messages()).unwrap_or_default();
    let only = if let [only] = messages { only.call() } else { None };
    Answers {
        ids: messages.iter().map(Message::id).filter(RequestId::is_known).collect(),
        is_tool: only.is_some_and(|call| call.method == CALL_TOOL),
        era: permit.admitted().era(),
        request: String::new(),
    }
}

/// Checks the result of a call of a tool with the tool's output schema, as it is in the lock.
pub(super) fn schema_check(permit: &Permit, content: Rc<Content>) -> Option<SchemaCheck> {
    let (resource, name) = (Rc::clone(permit.resource()?), permit.original_name()?);
    let lock = Rc::clone(resource.lock.as_ref()?);
    let key = (Defined::Tool, name);
    lock.items.get(&key).filter(|definition| definition.contains_key("outputSchema"))?;
    Some(Box::new(move |message| {
        let structured = match result_to_check(message) {
            Ok(structured) => structured?,
            Err(fault) => return Some(fault),
        };
        let tool = (resource.index, key.1.as_str(), lock.items.get(&key)?);
        content.schemas.misfit(tool, Direction::Results, &structured)
    }))
}

/// Holds the body of an answer to guards and bounds.
pub(super) fn content_filter(
    check: ResultCheck,
    (head, method): (&ResponseHead, Method),
    stream: bool,
    request: &str,
) -> Box<ContentFilter> {
    // A client reads the answer to a POST as JSON, whatever its type says.
    let is_read = head.is_json() || stream || method == Method::Post && (200..300).contains(&head.status);
    let shape = match (head.may_be_event_stream(), is_read) {
        (true, _) => Shape::Events,
        (false, true) => Shape::Json,
        (false, false) => Shape::Text,
    };
    let answers = Answers { request: request.to_owned(), ..check.answers };
    Box::new(ContentFilter::new(ResultCheck { answers, ..check }, shape))
}
