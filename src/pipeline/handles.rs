//! The state handles of a request: task ids, `requestState` and the URIs of Apps. The caller has them sealed or marked, and the
//! origin server gets its own.

use crate::mcp::era::Era;
use crate::mcp::handle::{OpenedTask, OriginalRequest, declares_tasks};
use crate::mcp::input_needed::APPROVAL;
use crate::mcp::message::{Call, Message, is_batch};
use crate::mcp::method::{GET_TASK, LIST_TASKS, TASK_RESULT, Target};
use crate::mcp::operation::Operation;
use crate::mcp::rewrite::{CameBack, Member, answer_to, related_tasks};
use crate::mcp::session::{Holder, Sessions};
use crate::pipeline::inspect::Inspected;
use crate::pipeline::rejection::Rejection;
use crate::settings::federation::{Federation, Server};
use crate::time::UnixMillis;

/// A handle of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OpenedHandle {
    /// The index of its message in the batch.
    at: usize,
    member: Member,
    /// The handle as the caller has it.
    given: String,
    /// The handle as the origin server has it.
    original: String,
    /// The tool that it belongs to.
    tool: Option<String>,
}

/// The handles of a request, opened for its caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handles {
    all: Vec<OpenedHandle>,
    /// What the client says to the gateway's own question, if its `requestState` is that of a call which waits for approval.
    came_back: Option<CameBack>,
    /// The second at which the gateway sealed the `requestState` of a server that the request has.
    state_since: Option<u64>,
}

/// What handles are opened with.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// The keys.
    pub sessions: &'a Sessions,
    /// The caller and the resource.
    pub holder: Holder<'a>,
    /// The time.
    pub now: UnixMillis,
    /// Whether the revocation list ends what began at a time, in seconds since the epoch.
    pub is_ended: &'a dyn Fn(u64) -> bool,
}

impl Opening<'_> {
    /// The task whose id was sealed for the caller, if it is still that of the server that began it.
    fn task(&self, given: &str, federation: Option<&Federation>) -> Option<OpenedTask> {
        let task = self.sessions.open_task(given, self.holder, self.now)?;
        Some(task).filter(|task| !(self.is_ended)(task.since)).and_then(|task| of_its_server(task, federation))
    }
}

impl Handles {
    /// Opens the handles of a request.
    ///
    /// # Errors
    /// [`Rejection::TaskUnknown`] and [`Rejection::StateUnknown`] if a handle was not issued to this caller at this resource, or
    /// for another request, or has expired; [`Rejection::NotPermitted`] for methods that no sealed id fits.
    pub fn open(inspected: &Inspected, opening: Opening<'_>) -> Result<Self, Rejection> {
        let era = inspected.authenticated().request().admitted().era();
        let mut all = Self::default();
        for (at, message) in inspected.messages().unwrap_or_default().iter().enumerate() {
            if let Some(call) = message.call() {
                all.of_call(at, (call, matches!(message, Message::Request { .. })), (inspected, era), opening)?;
            }
        }
        let mut messages = inspected.messages().unwrap_or_default().iter();
        let responses = messages.any(|message| matches!(message, Message::Response(_)));
        for (at, id) in if responses { related_tasks(inspected.body()) } else { Vec::new() } {
            all.related(at, &id, inspected.resource().federation.as_deref(), opening);
        }
        Ok(all)
    }

    fn of_call(
        &mut self,
        at: usize,
        (call, is_request): (&Call, bool),
        (inspected, era): (&Inspected, Era),
        opening: Opening<'_>,
    ) -> Result<(), Rejection> {
        let Opening { sessions, holder, now, is_ended } = opening;
        let target = call.known().map_or(Target::None, |known| known.target);
        // A list holds the tasks of all callers, unless the server knows who calls; in the modern era there is no `tasks/result`; and no
        // sealed id fits a method that the gateway does not know.
        let is_foreign = call.method == LIST_TASKS
            || call.method == TASK_RESULT && era == Era::Modern
            || call.known().is_none() && call.method.starts_with("tasks/");
        if is_foreign {
            return Err(Rejection::NotPermitted { target: None, era, apart: false });
        }
        let unknown = || Rejection::TaskUnknown { declared: era == Era::Legacy || declares_tasks(inspected.body()) };
        let federation = inspected.resource().federation.as_deref();
        let open = |given: &String| opening.task(given, federation).ok_or_else(unknown);
        let params = &call.params;
        let named: Vec<&String> = match target {
            Target::Task => vec![params.task.as_ref().ok_or_else(unknown)?],
            Target::Subscriptions => params.watched_tasks.iter().collect(),
            _ => Vec::new(),
        };
        for given in named {
            let task = open(given)?;
            self.add((at, Member::Task), given, task.id, Some(task.tool));
        }
        // In a notification it may be a task of the client.
        if let Some(given) = params.related_task.as_ref().filter(|_| is_request) {
            let task = open(given)?;
            self.add((at, Member::RelatedTask), given, task.id, Some(task.tool));
        } else if let Some(given) = &params.related_task {
            self.related(at, given, federation, opening);
        }
        let is_alone = !is_batch(inspected.body());
        let is_of_approval = |given: &String| {
            let since = sessions.open_approval(given, &original_request(call, inspected), holder, now);
            since.is_some_and(|since| !is_ended(since))
        };
        if params.state.as_ref().filter(|_| is_alone).is_some_and(is_of_approval) {
            self.came_back = Some(answer_to(inspected.body(), APPROVAL));
        } else if let Some(given) = &params.state {
            let request = original_request(call, inspected);
            let state = sessions.open_state(given, &request, holder, now);
            let (state, since) = state.filter(|(_, since)| !is_ended(*since)).ok_or(Rejection::StateUnknown)?;
            self.state_since = Some(since);
            self.add((at, Member::State), given, state, None);
        }
        let uris: Vec<&String> = match target {
            Target::Uri | Target::OptionalUri => params.uri.iter().collect(),
            Target::Subscriptions => params.subscriptions.iter().collect(),
            _ => Vec::new(),
        };
        for given in uris {
            if let Some((uri, tool)) = sessions.app_of(given, holder.resource) {
                self.add((at, Member::Uri), given, uri.to_owned(), Some(tool));
            }
        }
        Ok(())
    }

    /// A message that belongs to a task. It decides nothing, and the task may be one of the client.
    fn related(&mut self, at: usize, given: &str, federation: Option<&Federation>, opening: Opening<'_>) {
        if let Some(task) = opening.task(given, federation) {
            self.add((at, Member::RelatedTask), given, task.id, Some(task.tool));
        }
    }

    fn add(&mut self, (at, member): (usize, Member), given: &str, original: String, tool: Option<String>) {
        self.all.push(OpenedHandle { at, member, given: given.to_owned(), original, tool });
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What the client says to the gateway's question that it brings back.
    #[must_use]
    pub fn came_back(&self) -> Option<CameBack> {
        self.came_back
    }

    /// The second at which the gateway sealed the `requestState` that the request brings back to its server; `None` if it has none.
    #[must_use]
    pub fn state_since(&self) -> Option<u64> {
        self.state_since
    }

    fn find(&self, at: usize, member: Member, given: &str) -> Option<&OpenedHandle> {
        self.all.iter().find(|handle| handle.at == at && handle.member == member && handle.given == given)
    }

    /// What the origin server has for a text in a member of a message.
    #[must_use]
    pub fn original(&self, at: usize, member: Member, given: &str) -> Option<&str> {
        self.find(at, member, given).map(|handle| handle.original.as_str())
    }

    /// The tool that a handle belongs to.
    #[must_use]
    pub fn tool(&self, at: usize, member: Member, given: &str) -> Option<&str> {
        self.find(at, member, given)?.tool.as_deref()
    }

    /// What the caller has for a handle of the origin server.
    #[must_use]
    pub fn given(&self, member: Member, original: &str) -> Option<&str> {
        // The id of a task is the same, whatever member holds it.
        let task = |member| matches!(member, Member::Task | Member::RelatedTask);
        let fits = |handle: &&OpenedHandle| {
            handle.original == original && (handle.member == member || task(handle.member) && task(member))
        };
        self.all.iter().find(fits).map(|handle| handle.given.as_str())
    }

    /// The operations of a message, with the tools that they belong to, and with the URIs that the origin server has.
    #[must_use]
    pub fn operations(&self, at: usize, call: &Call, operations: Vec<Operation>) -> Vec<Operation> {
        if self.is_empty() {
            return operations;
        }
        let tasks = self.all.iter().filter(|handle| handle.at == at && handle.member == Member::Task);
        let mut tools = tasks.filter_map(|handle| handle.tool.as_deref());
        if call.known().is_some_and(|known| known.target == Target::Task) {
            return tools.map(|tool| Operation::plain(&call.method).following(tool)).collect();
        }
        let with_tool = |operation: Operation| {
            let handle = operation.name().and_then(|uri| self.find(at, Member::Uri, uri));
            let Some((handle, tool)) = handle.and_then(|handle| Some((handle, handle.tool.as_deref()?))) else {
                return operation;
            };
            operation.read_as(&handle.original).following(tool)
        };
        let mut all: Vec<Operation> = operations.into_iter().map(with_tool).collect();
        all.extend(tools.by_ref().map(|tool| Operation::plain(GET_TASK).following(tool)));
        all
    }
}

/// What separates the name of a tool from what identifies its server, in a sealed task id.
const OF_SERVER: char = '\0';

/// The name of a tool as it is sealed, with what identifies its server if the resource has several.
#[must_use]
pub fn tool_at(tool: &str, server: Option<&Server>) -> String {
    server.map_or_else(|| tool.to_owned(), |server| format!("{tool}{OF_SERVER}{}", server.fingerprint))
}

/// A task at the server that began it; `None` if the tool belongs to another server by now.
fn of_its_server(task: OpenedTask, federation: Option<&Federation>) -> Option<OpenedTask> {
    let (tool, server) = match task.tool.split_once(OF_SERVER) {
        Some((tool, server)) => (tool.to_owned(), Some(server.to_owned())),
        None => (task.tool.clone(), None),
    };
    let owner = federation.and_then(|federation| federation.fingerprint(&tool)).map(str::to_owned);
    (owner == server).then_some(OpenedTask { tool, ..task })
}

/// The request that a `requestState` belongs to.
#[must_use]
pub fn original_request(call: &Call, inspected: &Inspected) -> OriginalRequest {
    // Guards and hooks may have changed the arguments. The client sends them again as it sent them before.
    let body = inspected.given();
    let operations = call.operations().unwrap_or_default();
    let federation = inspected.resource().federation.as_deref();
    let server = operations.first().zip(federation).and_then(|(operation, federation)| {
        let (kind, name) = operation.target.as_ref()?;
        Some(federation.owner(*kind, name)?.fingerprint.clone())
    });
    OriginalRequest {
        method: call.method.clone(),
        name: operations
            .first()
            .and_then(Operation::name)
            .or(call.params.task.as_deref())
            .unwrap_or_default()
            .to_owned(),
        server,
        arguments: call.params.arguments.as_ref().and_then(|_| crate::mcp::message::arguments(body)),
    }
}
