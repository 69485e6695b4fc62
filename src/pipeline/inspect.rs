//! The fourth stage: what the request asks for.

use std::rc::Rc;

use crate::limits::INSPECTED_BYTES;
use crate::mcp::agreement;
use crate::mcp::envelope::RequestId;
use crate::mcp::era::Era;
use crate::mcp::message::{self, Malformed, Message};
use crate::mcp::method::{CALL_TOOL, McpMethod, Target};
use crate::mcp::operation::Operation;
use crate::mcp::rewrite::{call_alone, without_answers};
use crate::mcp::tool_view::{self, ToolSearch, Unwrapped, View};
use crate::oauth::bearer::MissingCredentials;
use crate::pipeline::authenticate::Authenticated;
use crate::pipeline::context::RequestContext;
use crate::pipeline::rejection::Rejection;
use crate::policy::caller::Caller;
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::token::principal::{Principal, Subject};
use crate::transport::head::Method;

/// A request of a known caller, and what it asks for, as far as the configuration requires that. If the caller is
/// anonymous, the resource opens every method that the request asks for.
#[derive(Debug)]
pub struct Inspected {
    authenticated: Authenticated,
    messages: Option<Vec<Message>>,
    arguments: Option<Vec<u8>>,
    body: Vec<u8>,
    /// What it searches for among the tools of several servers, if it does.
    search: Option<ToolSearch>,
    /// The body as the client sent it, if guards or hooks changed it.
    given: Option<Vec<u8>>,
}

impl Inspected {
    /// The same request with another body, in which guards masked something.
    ///
    /// # Errors
    /// [`Rejection::Internal`] if the body is no message any more.
    pub(super) fn with_masks(self, body: Vec<u8>) -> Result<Self, Rejection> {
        let is_batch = message::is_batch(&body);
        let messages = message::parse(&body, is_batch).map_err(|_| Rejection::Internal("a mask broke a message"))?;
        let given = self.given.or(Some(self.body));
        Ok(Self { messages: Some(messages), body, given, ..self })
    }

    /// The same request without what the client answers to the gateway's own question.
    ///
    /// # Errors
    /// [`Rejection::Internal`] if the body is no message any more.
    pub(super) fn without_answers(self) -> Result<Self, Rejection> {
        let body = without_answers(&self.body).ok_or(Rejection::Internal("an answer is in no message"))?;
        self.with_masks(body)
    }

    /// The same call of a tool without what a person who approves it does not see.
    ///
    /// # Errors
    /// [`Rejection::Internal`] if the body is no message any more.
    pub(super) fn alone(self, goes_on: bool) -> Result<Self, Rejection> {
        let body = call_alone(&self.body, goes_on).ok_or(Rejection::Internal("a call is in no message"))?;
        self.with_masks(body)
    }

    /// Whether the body is another one than the client sent, because guards or hooks changed something in it.
    #[must_use]
    pub fn has_masks(&self) -> bool {
        self.given.is_some()
    }

    /// The body as the client sent it.
    #[must_use]
    pub fn given(&self) -> &[u8] {
        self.given.as_deref().unwrap_or(&self.body)
    }

    /// What it searches for among the tools of several servers: then its message asks for the list of tools.
    #[must_use]
    pub fn search(&self) -> Option<&ToolSearch> {
        self.search.as_ref()
    }

    /// The request and its caller.
    #[must_use]
    pub fn authenticated(&self) -> &Authenticated {
        &self.authenticated
    }

    /// Its messages, strictly read; for a modern request they agree with the header fields. `None` if the configuration
    /// has nothing that depends on messages, and for requests without a body.
    #[must_use]
    pub fn messages(&self) -> Option<&[Message]> {
        self.messages.as_deref()
    }

    /// The arguments of its only call, as they were sent.
    #[must_use]
    pub fn arguments(&self) -> Option<&[u8]> {
        self.arguments.as_deref()
    }

    /// The body, if it was read.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The era of the client.
    #[must_use]
    pub fn era(&self) -> Era {
        self.authenticated.request().admitted().era()
    }

    /// The resource.
    #[must_use]
    pub fn resource(&self) -> &Rc<Resource> {
        self.authenticated.request().resource()
    }

    /// The subject of the caller.
    #[must_use]
    pub fn subject(&self) -> Rc<Subject> {
        subject(&self.authenticated)
    }

    /// The caller, in the form that conditions use.
    #[must_use]
    pub fn caller(&self) -> Caller {
        caller(&self.authenticated)
    }
}

fn caller(authenticated: &Authenticated) -> Caller {
    Caller {
        subject: subject(authenticated),
        source: authenticated.source().map(Rc::from),
        facts: authenticated.request().admitted().head().facts(),
        now: authenticated.now(),
    }
}

fn subject(authenticated: &Authenticated) -> Rc<Subject> {
    match authenticated.principal() {
        Principal::Subject(subject) => Rc::clone(subject),
        Principal::Anonymous => Rc::new(Subject::anonymous()),
    }
}

/// The result of [`begin`].
#[derive(Debug)]
pub enum Inspection {
    /// The gateway knows what it needs about the request.
    Done(Box<Inspected>),
    /// The gateway has to read the body: continue with [`read`].
    NeedBody(Box<Authenticated>),
}

/// Decides whether the gateway has to read the body. The header fields of a modern request also name what it asks for,
/// but no decision uses them before they are compared with the body (T13, T19). An earlier decision would save nothing:
/// a rejection has to carry the id, and only the body has it.
#[must_use]
pub fn begin(authenticated: Authenticated, context: &mut RequestContext) -> Inspection {
    let admitted = authenticated.request().admitted();
    let resource = authenticated.request().resource();
    let post = admitted.head().method == Method::Post;
    // Legacy-era clients may send these fields too, but no requirement makes them agree with the body (T18).
    // What a caller without credentials writes is not for the log, before it is known to be an open method.
    if admitted.era() == Era::Modern && post && !authenticated.is_anonymous() {
        let fields = &admitted.head().fields;
        let method = fields.get("mcp-method");
        // The id of a task is a state handle, and not for the log.
        let is_task = method.and_then(McpMethod::find).is_some_and(|known| known.target == Target::Task);
        context.audit.note_operation(method, fields.get("mcp-name").filter(|_| !is_task));
    }
    if !authenticated.is_anonymous() && (!post || !resource.reads_messages()) {
        return Inspection::Done(Box::new(Inspected {
            authenticated,
            messages: None,
            arguments: None,
            body: Vec::new(),
            search: None,
            given: None,
        }));
    }
    Inspection::NeedBody(Box::new(authenticated))
}

/// Reads what a body asks for:
///
/// 1. the body is one strict JSON-RPC message, or in 2025-03-26 a batch of them (T4, L2), else 400;
/// 2. in the modern era it is not a response of the client (T4), else 400;
/// 3. in the modern era a request names its version (T20), else 400 and -32602; and fields and body agree (T8, T12 to
///    T15), else 400 and -32020; in the legacy era the fields are ignored;
/// 4. every operation has the names that its method needs, else 400.
///
/// If the caller is anonymous, each message has to ask for a method that the resource opens, else 401: so it is for
/// everything that an anonymous caller sends wrong, as it is where no method is open.
///
/// # Errors
/// [`Rejection::NoCredentials`], [`Rejection::BodyTooLarge`], or [`Rejection::MalformedMessage`] or
/// [`Rejection::FieldsDisagree`] with the id of the message if it is known.
pub fn read(
    authenticated: Authenticated,
    body: Vec<u8>,
    settings: &Settings,
    context: &mut RequestContext,
) -> Result<Inspected, Rejection> {
    let is_anonymous = authenticated.is_anonymous();
    let inspected = read_messages(authenticated, body, settings, context);
    if !is_anonymous {
        return inspected;
    }
    let is_open = |inspected: &Inspected| {
        let mut messages = inspected.messages().unwrap_or_default().iter();
        messages.all(|message| message.call().is_some_and(|call| inspected.resource().is_open(&call.method)))
    };
    let inspected = inspected.ok().filter(is_open).ok_or(Rejection::NoCredentials(MissingCredentials::Field))?;
    context.audit.note_anonymous();
    if let Some([message]) = inspected.messages() {
        context.audit.note_operation(message.call().map(|call| call.method.as_str()), None);
    }
    Ok(inspected)
}

fn read_messages(
    authenticated: Authenticated,
    body: Vec<u8>,
    settings: &Settings,
    context: &mut RequestContext,
) -> Result<Inspected, Rejection> {
    let admitted = authenticated.request().admitted();
    let resource = authenticated.request().resource();
    let limit = INSPECTED_BYTES.min(authenticated.body_bytes());
    if body.len() as u64 > limit {
        return Err(Rejection::BodyTooLarge { limit: Some(limit) });
    }
    let fields = &admitted.head().fields;
    let era = admitted.era();
    // Without the field a client may use 2025-03-26, the only revision that has batches (L4).
    let batches =
        era == Era::Legacy && fields.get("mcp-protocol-version").is_none_or(|version| version == "2025-03-26");
    let malformed = |(error, id): (Malformed, RequestId)| Rejection::MalformedMessage { error, id: Box::new(id) };
    let mut messages = message::parse(&body, batches).map_err(malformed)?;
    for message in &messages {
        let id = message.id();
        if era == Era::Modern {
            if matches!(message, Message::Response(_)) {
                return Err(malformed((Malformed::Message("a client must not send responses in this revision"), id)));
            }
            if let Message::Request { call, .. } = message
                && call.params.version.is_none()
            {
                return Err(malformed((Malformed::Params("the protocol version in params._meta is missing"), id)));
            }
            // Where clients do not see the schemas, the gateway makes these fields.
            let makes_parameters = resource.federation.as_ref().is_some_and(|it| it.view != View::All);
            let parameters = if makes_parameters { &[] } else { resource.parameters.as_slice() };
            agreement::hold(fields, message, parameters)
                .map_err(|mismatch| Rejection::FieldsDisagree { field: mismatch.0, id: Box::new(id.clone()) })?;
        }
        let Some(call) = message.call() else { continue };
        call.operations().map_err(|error| malformed((error, id)))?;
    }
    let mut body = body;
    let mut search = None;
    let is_search = resource.federation.as_ref().is_some_and(|federation| federation.view == View::Search);
    // What such a call asks for is what rules, limits and the log see.
    if let ([Message::Request { call, .. }], true) = (messages.as_slice(), is_search) {
        body = match tool_view::unwrapped(call, &body) {
            None => body,
            Some(Unwrapped::Call(inner)) => inner,
            Some(Unwrapped::Search(list, wanted)) => {
                search = Some(wanted);
                list
            }
        };
        messages = message::parse(&body, false).map_err(malformed)?;
    }
    if !authenticated.is_anonymous()
        && let [message] = messages.as_slice()
        && let Some(call) = message.call()
    {
        let operations = call.operations().unwrap_or_default();
        let name = operations.first().and_then(Operation::name);
        let (method, name) = match &search {
            Some(search) => (CALL_TOOL, Some(search.tool())),
            None => (call.method.as_str(), name),
        };
        context.audit.note_operation(Some(method), name);
    }
    let arguments = settings.decision_log.is_some().then(|| message::arguments(&body)).flatten();
    Ok(Inspected { messages: Some(messages), arguments, authenticated, body, search, given: None })
}
