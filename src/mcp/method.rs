//! The table of MCP methods: everything that the gateway knows about a method from its name.

use crate::mcp::kind::Kind;

/// What the gateway knows about a method.
#[derive(Debug, PartialEq, Eq)]
pub struct McpMethod {
    /// Its name.
    pub name: &'static str,
    /// What its parameters refer to.
    pub target: Target,
    /// The list in its result, if it has one.
    pub list: Option<List>,
    /// Whether it belongs to the protocol itself: a client cannot use MCP without it, and its response is filtered or
    /// discloses nothing about what is behind the gateway. It needs no rule, but a rule may deny it.
    pub is_protocol: bool,
    /// Whether `Mcp-Name` mirrors the name of its target (T12).
    pub is_mirrored: bool,
    /// Whether clients detect the era of a server by the response to it.
    pub is_probe: bool,
}

/// What the parameters of a method refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing that has a name.
    None,
    /// `params.name`.
    Name(Kind),
    /// `params.uri`.
    Uri,
    /// `params.uri`, or nothing: the modern era does not have these methods, and its servers say so whatever the params
    /// are.
    OptionalUri,
    /// `params.ref`: a prompt or a resource.
    Reference,
    /// The resources and tasks in `params.notifications`; the method subscribes to each of them.
    Subscriptions,
    /// `params.taskId`: the tool that began the task, if the gateway knows it.
    Task,
}

/// A list in a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List {
    /// The member of the result that holds the list.
    pub member: &'static str,
    /// The member of an item that holds its name or URI.
    pub key: &'static str,
    /// The kind of its items.
    pub kind: Kind,
}

const fn row(name: &'static str) -> McpMethod {
    McpMethod { name, target: Target::None, list: None, is_protocol: false, is_mirrored: false, is_probe: false }
}

const fn protocol(name: &'static str) -> McpMethod {
    McpMethod { is_protocol: true, ..row(name) }
}

const fn probe(name: &'static str) -> McpMethod {
    McpMethod { is_probe: true, ..protocol(name) }
}

const fn list(name: &'static str, member: &'static str, key: &'static str, kind: Kind) -> McpMethod {
    McpMethod { list: Some(List { member, key, kind }), ..protocol(name) }
}

const fn on(name: &'static str, target: Target) -> McpMethod {
    McpMethod { target, ..row(name) }
}

const fn mirrored(name: &'static str, target: Target) -> McpMethod {
    McpMethod { is_mirrored: true, ..on(name, target) }
}

/// The method that calls a tool.
pub const CALL_TOOL: &str = "tools/call";
/// The method that opens a session in the legacy era.
pub const INITIALIZE: &str = "initialize";
/// The method that sets the least level of log messages, up to 2025-11-25.
pub const SET_LEVEL: &str = "logging/setLevel";
/// The method that opens a stream of notifications in the modern era.
pub const LISTEN: &str = "subscriptions/listen";
/// The notification with which a server acknowledges it.
pub const LISTEN_ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// The notification that ends an initialization.
pub const INITIALIZED: &str = "notifications/initialized";
/// The notification that a request is not needed any more.
pub const CANCELLED: &str = "notifications/cancelled";
/// The notification that the roots of a client have changed, up to 2025-11-25.
pub const ROOTS_CHANGED: &str = "notifications/roots/list_changed";
/// The method that asks whether the other side is still there, up to 2025-11-25.
pub const PING: &str = "ping";
/// The method by which a client of the modern era asks what a server can do.
pub const DISCOVER: &str = "server/discover";
/// The method that asks for the state of a task.
pub const GET_TASK: &str = "tasks/get";
/// The method that waits for the result of a task, up to 2025-11-25.
pub const TASK_RESULT: &str = "tasks/result";
/// The method that lists tasks, up to 2025-11-25.
pub const LIST_TASKS: &str = "tasks/list";

/// All methods that the gateway knows. Rules treat any other method as one without a target.
pub const METHODS: [McpMethod; 24] = [
    probe(INITIALIZE),
    probe(DISCOVER),
    protocol(PING),
    protocol(SET_LEVEL),
    mirrored(CALL_TOOL, Target::Name(Kind::Tool)),
    list("tools/list", "tools", "name", Kind::Tool),
    mirrored("prompts/get", Target::Name(Kind::Prompt)),
    list("prompts/list", "prompts", "name", Kind::Prompt),
    mirrored("resources/read", Target::Uri),
    on("resources/subscribe", Target::OptionalUri),
    on("resources/unsubscribe", Target::OptionalUri),
    list("resources/list", "resources", "uri", Kind::Resource),
    list("resources/templates/list", "resourceTemplates", "uriTemplate", Kind::Resource),
    on("completion/complete", Target::Reference),
    McpMethod { is_protocol: true, ..on(LISTEN, Target::Subscriptions) },
    mirrored(GET_TASK, Target::Task),
    mirrored("tasks/update", Target::Task),
    mirrored("tasks/cancel", Target::Task),
    on(TASK_RESULT, Target::Task),
    row(LIST_TASKS),
    protocol(INITIALIZED),
    protocol(CANCELLED),
    protocol("notifications/progress"),
    protocol(ROOTS_CHANGED),
];

impl McpMethod {
    /// The method with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.name == name)
    }

    /// Whether the gateway reads its parameters or its response.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.target != Target::None || self.list.is_some()
    }

    /// Whether a resource may open it to callers without credentials: it acts on no item, and changes nothing.
    #[must_use]
    pub fn may_be_anonymous(&self) -> bool {
        self.is_probe || self.list.is_some() || self.name == PING
    }

    /// Whether its target can be of this kind.
    #[must_use]
    pub fn is_on(&self, kind: Kind) -> bool {
        match self.target {
            Target::Name(own) => own == kind,
            Target::Uri | Target::OptionalUri => kind == Kind::Resource,
            Target::Reference => matches!(kind, Kind::Prompt | Kind::Resource),
            Target::None | Target::Subscriptions | Target::Task => false,
        }
    }
}

/// The lists in the results of all methods.
pub fn lists() -> impl Iterator<Item = List> {
    METHODS.iter().filter_map(|method| method.list)
}
