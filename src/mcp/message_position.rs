//! Where in a message a filter is, and where messages of servers hold state handles.

use crate::mcp::envelope::RequestId;
use crate::mcp::kind::Kind;
use crate::mcp::rewrite::RELATED_TASK;

/// The containers of an item or a handle, from the outside to the inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Batch,
    Message,
    Result,
    List(Kind, &'static str),
    /// An object or array that may hold handles.
    Handles(Place),
}

impl Container {
    pub(super) fn is_object(self) -> bool {
        match self {
            Self::Message | Self::Result => true,
            Self::Batch | Self::List(..) => false,
            Self::Handles(place) => !place.is_array(),
        }
    }
}

/// An object or array, besides a result, that may hold handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `params` of a notification or a request.
    Params,
    /// `task` in a result (MCP 2025-11-25).
    Task,
    /// `_meta`
    Meta,
    /// The member [`RELATED_TASK`] of `_meta`.
    RelatedTask,
    /// `params.notifications`
    Notifications,
    /// `params.notifications.taskIds`
    TaskIds,
    /// `result.result`: what the tool of a task returned (SEP-2663).
    Inner,
    /// `result.contents`
    Contents,
    /// An item of `result.contents`, or the resource in a block.
    Content,
    /// `result.content`: blocks.
    Blocks,
    /// A block of content: a link to a resource, for example.
    Block,
    /// `result.messages`: the messages of a prompt.
    Messages,
    /// A message of a prompt.
    PromptMessage,
}

impl Place {
    /// What the member of a container is, if it may hold handles.
    fn of(container: Container, member: &str) -> Option<Self> {
        match (container, member) {
            (Container::Message, "params") => Some(Self::Params),
            (Container::Result, "task") => Some(Self::Task),
            (Container::Result, "result") => Some(Self::Inner),
            (Container::Result, "contents") => Some(Self::Contents),
            (Container::Result | Container::Handles(Self::Inner), "content") => Some(Self::Blocks),
            (Container::Result, "messages") => Some(Self::Messages),
            (Container::Handles(Self::PromptMessage), "content") => Some(Self::Block),
            (Container::Handles(Self::Block), "resource") => Some(Self::Content),
            (Container::Result | Container::Handles(Self::Params), "_meta") => Some(Self::Meta),
            (Container::Handles(Self::Params), "notifications") => Some(Self::Notifications),
            (Container::Handles(Self::Notifications), "taskIds") => Some(Self::TaskIds),
            (Container::Handles(Self::Meta), RELATED_TASK) => Some(Self::RelatedTask),
            _ => None,
        }
    }

    /// What the value is that begins with this byte, if it may hold handles.
    pub(super) fn opened_by(container: Container, member: &str, byte: u8) -> Option<Self> {
        Self::of(container, member).filter(|place| byte == if place.is_array() { b'[' } else { b'{' })
    }

    pub(super) fn is_array(self) -> bool {
        match self {
            Self::TaskIds | Self::Contents | Self::Blocks | Self::Messages => true,
            Self::Params
            | Self::Inner
            | Self::Task
            | Self::Meta
            | Self::RelatedTask
            | Self::Notifications
            | Self::Content
            | Self::Block
            | Self::PromptMessage => false,
        }
    }

    /// What the objects in an array are.
    pub(super) fn item(self) -> Option<Self> {
        match self {
            Self::Contents => Some(Self::Content),
            Self::Blocks => Some(Self::Block),
            Self::Messages => Some(Self::PromptMessage),
            _ => None,
        }
    }
}

/// A state handle in a message of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handle {
    /// The id of a task in a result: of one that may be new.
    Task,
    /// The id of a task that the message is about.
    KnownTask,
    /// A `requestState`.
    State,
    /// The URI of a resource that was read, or that has changed.
    Uri,
}

impl Handle {
    /// What the member of a container is, if it is a handle.
    pub(super) fn of(container: Container, member: &str) -> Option<Self> {
        match (container, member) {
            (Container::Result | Container::Handles(Place::Task), "taskId") => Some(Self::Task),
            (Container::Handles(Place::Params | Place::RelatedTask), "taskId") => Some(Self::KnownTask),
            (Container::Result, "requestState") => Some(Self::State),
            (Container::Handles(Place::Content | Place::Block | Place::Params), "uri") => Some(Self::Uri),
            _ => None,
        }
    }
}

/// Rewrites state handles for the caller who gets the message.
pub trait HandleRewriter {
    /// The handle for the caller; `None` if it stays as it is.
    fn rewrite(&mut self, handle: Handle, text: &str) -> Option<String>;

    /// The message has ended; `is_own` says that it answers the caller's request, or no request.
    fn ended(&mut self, is_own: bool);

    /// The id of the client, in JSON, for one in the response of a server that got it sealed.
    fn id(&self, json: &str) -> Option<String>;

    /// An item of a list with rewritten handles; `None` if it has none.
    fn item(&mut self, kind: Kind, name: &str, item: &[u8]) -> Option<Vec<u8>>;
}

/// What may come next in the innermost container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The first member or item, or the end.
    FirstOrEnd,
    /// A member or item.
    Another,
    /// The colon after the name of a member.
    Colon,
    /// The value of a member.
    Value,
    /// A comma, or the end.
    CommaOrEnd,
}

#[derive(Debug)]
pub(super) struct Level {
    pub(super) container: Container,
    pub(super) next: Next,
    /// Whether something was written into it.
    pub(super) written: bool,
    /// The members seen so far that a decision depends on.
    pub(super) seen: Vec<&'static str>,
}

/// What happens to the value that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It passes.
    Pass,
    /// It is the name of a member.
    Name,
    /// It is an item.
    Item,
    /// It is the value of `cacheScope`, which is written at the end of the result.
    CacheScope,
    /// It is the method of the message.
    Method,
    /// It is the id of the message.
    Id,
    /// It is a state handle.
    Handle(Handle),
    /// It is the type of a result.
    ResultType,
    /// It is left out.
    Leave,
}

/// A value that is being read. Its end follows from brackets and quotes alone.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) used: Use,
    pub(super) depth: usize,
    pub(super) in_text: bool,
    pub(super) escaped: bool,
    /// Whether it is a number or a word, which ends where another token begins.
    pub(super) bare: bool,
}

/// Which request a message answers.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// The id of the only request that it may answer, if there is only one.
    pub(super) expected: Option<RequestId>,
    /// The id of the message, if it can be read.
    id: Option<RequestId>,
    pub(super) has_result: bool,
    /// Whether it is a request or a notification.
    pub(super) is_request: bool,
    /// What the filter knows of the id besides.
    pub(super) response: Response,
}

/// What a filter that maps ids knows of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Response {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It has an id that the server got.
    Mapped,
    /// It must not pass.
    Refused,
}

impl Answered {
    /// What the messages of a stream may answer.
    pub(super) fn only(expected: Option<RequestId>) -> Self {
        Self { expected, ..Self::default() }
    }

    /// Reads the id of the message.
    pub(super) fn read(&mut self, id: &[u8]) {
        let id = crate::strict_json::parse(id).ok().as_ref().and_then(RequestId::read);
        self.id = id.or(self.id.take());
    }

    /// Whether it has the id of another request.
    pub(super) fn is_of_other(&self) -> bool {
        self.expected.is_some() && self.id.is_some() && self.id != self.expected
    }

    /// Whether it answers another request, or is a result of none.
    pub(super) fn is_foreign(&self) -> bool {
        let answers_none = self.expected.is_some() && self.has_result && self.id.is_none();
        self.response == Response::Refused || !self.is_request && (self.is_of_other() || answers_none)
    }
}
