//! The proof that a request may be forwarded, and what is forwarded of it.

use std::rc::Rc;

use crate::content::bound::Bounds;
use crate::content::examined::Examined;
use crate::content::hook::{About, Hook};
use crate::content::in_flight::Running;
use crate::mcp::combined_session::{AtServer, ClientName, CombinedSession, ServerRequest};
use crate::mcp::conversation::{ClientSide, Conversation, UNSUPPORTED_VERSION};
use crate::mcp::envelope::RequestId;
use crate::mcp::era::Era;
use crate::mcp::kind::Kind;
use crate::mcp::message::{Call, Message};
use crate::mcp::method::{LISTEN, Target};
use crate::mcp::operation::Operation;
use crate::mcp::rewrite::{Edits, Member, Replacement, SealName, Translation, edited};
use crate::pipeline::admit::Admitted;
use crate::pipeline::caller_state::{CallerState, EventOfServer, SessionUse};
use crate::pipeline::handles::Handles;
use crate::pipeline::inspect::Inspected;
use crate::pipeline::part::Part;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::route::PublicRequest;
use crate::policy::approval::PersonDecision;
use crate::policy::decoy::Decoy;
use crate::settings::federation::Server;
use crate::settings::resource::{OriginServer, Resource};
use crate::strict_json;
use crate::token::principal::{IdentityClaim, Principal};
use crate::transport::head::Method;

/// Proof that a request may be forwarded. Only [`authorize`](crate::pipeline::authorize) makes it.
#[derive(Debug)]
pub struct Permit {
    request: Permitted,
    state: CallerState,
    stand_in: StandIn,
    /// Which of several servers it is for.
    part: Option<Box<Part>>,
    /// What guards and bounds say about it, if there are any.
    examined: Option<Box<Examined>>,
    /// Who approved it, if a person had to.
    approved: Option<Box<PersonDecision>>,
}

/// What the progress token of a request begins with that has such an id.
pub const PROGRESS_MARK: &str = "p";

/// What the gateway sends instead of the caller's message.
#[derive(Debug, Clone)]
pub(super) enum StandIn {
    /// Nothing: the message is forwarded as it is.
    Nothing,
    /// Decoys: names and methods that certainly do not exist, each in place of one that is hidden from the caller, and
    /// the message with them.
    Decoys(Vec<Decoy>),
    /// A rejection, and a message without effect in place of each rejected message.
    Refusal(Box<Rejection>, Vec<u8>),
}

#[derive(Debug)]
enum Permitted {
    Public(Box<PublicRequest>),
    Resource(Rc<Inspected>),
}

impl Permit {
    /// The permit for a request to a resource.
    pub(super) fn of_resource(inspected: Inspected, state: CallerState, stand_in: StandIn) -> Self {
        Self {
            request: Permitted::Resource(Rc::new(inspected)),
            state,
            stand_in,
            part: None,
            examined: None,
            approved: None,
        }
    }

    /// The permit for a request to a public path.
    pub(super) fn of_public(request: PublicRequest) -> Self {
        let state = CallerState { session: SessionUse::None, ..CallerState::default() };
        Self {
            request: Permitted::Public(Box::new(request)),
            state,
            stand_in: StandIn::Nothing,
            part: None,
            examined: None,
            approved: None,
        }
    }

    /// Whether responses arrive on another connection than their requests, as in the transport of 2024-11-05.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        matches!(self.state.session, SessionUse::Endpoint(_))
    }

    /// The permit for a message without effect in place of the caller's.
    pub(super) fn refused(self, refusal: Rejection, instead: Vec<u8>) -> Self {
        Self { stand_in: StandIn::Refusal(Box::new(refusal), instead), examined: None, ..self }
    }

    /// The same permit, which a person has approved.
    pub(super) fn approved(self, approved: PersonDecision) -> Self {
        Self { approved: Some(Box::new(approved)), ..self }
    }

    /// Who approved it, if a person had to.
    #[must_use]
    pub fn approval(&self) -> Option<&PersonDecision> {
        self.approved.as_deref()
    }

    /// The same permit, with what guards and bounds say about it.
    pub(super) fn examined(self, examined: Examined) -> Self {
        Self { examined: Some(Box::new(examined)), ..self }
    }

    /// The same permit, as calls that run.
    pub(super) fn running(mut self, running: Vec<Rc<Running>>) -> Self {
        self.examined.get_or_insert_default().running = running;
        self
    }

    /// How many calls at the same time there may be: by the index of the bound, how many, and how many calls these are.
    #[must_use]
    pub fn at_once(&self) -> &[(usize, u64, usize)] {
        self.examined.as_ref().map(|examined| examined.at_once.as_slice()).unwrap_or_default()
    }

    /// Its bounds.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.examined.as_ref().map(|examined| examined.bounds).unwrap_or_default()
    }

    /// Its places among the calls that run, if they are counted.
    #[must_use]
    pub fn places_among_running(&self) -> &[Rc<Running>] {
        self.examined.as_ref().map(|examined| examined.running.as_slice()).unwrap_or_default()
    }

    /// Fields that mirror arguments in which something was masked.
    #[must_use]
    pub fn masked_fields(&self) -> &[(String, String)] {
        self.examined.as_ref().map(|examined| examined.fields.as_slice()).unwrap_or_default()
    }

    /// The request.
    #[must_use]
    pub fn admitted(&self) -> &Admitted {
        match &self.request {
            Permitted::Public(request) => request.admitted(),
            Permitted::Resource(inspected) => inspected.authenticated().request().admitted(),
        }
    }

    /// The caller.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        match &self.request {
            Permitted::Public(_) => &Principal::Anonymous,
            Permitted::Resource(inspected) => inspected.authenticated().principal(),
        }
    }

    /// The request to a resource, as it was inspected; `None` for a public path.
    #[must_use]
    pub fn inspected(&self) -> Option<&Inspected> {
        match &self.request {
            Permitted::Public(_) => None,
            Permitted::Resource(inspected) => Some(inspected),
        }
    }

    /// The same, to be kept.
    #[must_use]
    pub fn shared_inspected(&self) -> Option<&Rc<Inspected>> {
        match &self.request {
            Permitted::Public(_) => None,
            Permitted::Resource(inspected) => Some(inspected),
        }
    }

    /// The decoys that replace names which are hidden from the caller.
    #[must_use]
    pub fn decoys(&self) -> &[Decoy] {
        match &self.stand_in {
            StandIn::Decoys(decoys) => decoys,
            StandIn::Nothing | StandIn::Refusal(..) => &[],
        }
    }

    /// The message that is sent instead of the caller's, if there is one. It is made here, so that a request that a limit
    /// rejects does not pay for it.
    ///
    /// # Errors
    /// [`Rejection::Internal`] if the message with a decoy cannot be made.
    pub fn message(&self) -> Result<Option<Vec<u8>>, Rejection> {
        match &self.stand_in {
            StandIn::Refusal(_, message) => Ok(Some(message.clone())),
            StandIn::Nothing if self.state.handles.is_empty() && self.part.is_none() => Ok(self
                .inspected()
                .filter(|inspected| inspected.has_masks())
                .map(|inspected| inspected.body().to_vec())),
            StandIn::Nothing if self.inspected().is_none_or(|inspected| inspected.messages().is_none()) => Ok(None),
            StandIn::Nothing | StandIn::Decoys(_) => {
                let message = self.inspected().and_then(|inspected| self.rewritten(inspected.body()));
                message.map(Some).ok_or(Rejection::Internal("a decoy or a handle replaces nothing"))
            }
        }
    }

    /// A body with the origin server's handles, and with the decoys. `None` if one of the decoys replaces nothing, because the
    /// hidden name would then reach the origin server.
    fn rewritten(&self, body: &[u8]) -> Option<Vec<u8>> {
        let (decoys, handles) = (self.decoys(), &self.state.handles);
        let mut used = vec![false; decoys.len()];
        let kind = self.kind_of_names();
        let is_listening = self.part.is_some() && self.call().is_some_and(|call| call.method == LISTEN);
        let seal = |name: ClientName, json: &str| self.sealed_name(name, json);
        let seals = self.part.is_some() && !is_listening;
        let edits = Edits {
            translation: self.translation(),
            seal: seals.then_some(&seal as &SealName<'_>),
            is_shared: self.is_gathered(),
        };
        let body = edited(body, &edits, &mut |at, member, given| {
            let original = handles.original(at, member, given);
            let found = Decoy::replacing(decoys, at, member, original.unwrap_or(given));
            for (index, _) in &found {
                used.get_mut(*index).into_iter().for_each(|used| *used = true);
            }
            // There are no news of what the caller does not see.
            if is_listening && !found.is_empty() {
                return Replacement::Remove;
            }
            let changed = found.first().map(|(_, decoy)| decoy.name.as_str()).or(original);
            let Some(part) = &self.part else { return changed.map(str::to_owned).into() };
            // A server gets its own tasks and resources only.
            let has_tool = |tool: &str| part.server.names.original(Kind::Tool, tool).is_some();
            let is_task = matches!(member, Member::Task | Member::RelatedTask);
            if is_task && !handles.tool(at, member, given).is_some_and(has_tool) {
                return Replacement::Remove;
            }
            let named = part.text(member, kind, changed.unwrap_or(given));
            if named.is_none() && member == Member::Uri {
                return Replacement::Remove;
            }
            named.or_else(|| changed.map(str::to_owned)).into()
        })?;
        (is_listening || used.into_iter().all(|used| used)).then_some(body)
    }

    /// What the server, of several, gets for a name that the client gave.
    fn sealed_name(&self, name: ClientName, json: &str) -> Option<String> {
        let (part, inspected) = (self.part.as_ref()?, self.inspected()?);
        // Only a client with a session cancels in another request, or resumes a stream: other ids need not be opened again.
        if !part.salt.is_empty() {
            let mark = if name == ClientName::Id { "" } else { PROGRESS_MARK };
            return Some(format!("{mark}{}", part.salt));
        }
        let subject = inspected.subject();
        let holder = subject.holder(&inspected.resource().identifier);
        let at = AtServer { holder, server: &part.server.fingerprint };
        inspected.resource().handles.as_ref()?.seal_name(name, json, at)
    }

    /// The error with which the server, of several, answered the request, with the id of the client. `None` if the body is something
    /// else.
    #[must_use]
    pub fn error_in(&self, body: &[u8], status: u16) -> Option<String> {
        let mut message = strict_json::parse(body).ok()?;
        let code = message.get("error")?.get("code")?.as_i64()?;
        // With 404 a server says that it does not know the session (L5), unless the code says what it does not know; and it may have
        // lost an era.
        if status == 404 && ![-32601, -32602].contains(&code) || code == UNSUPPORTED_VERSION {
            return None;
        }
        let own = self.sealed_name(ClientName::Id, &self.request_id().to_json())?;
        if message.get("id")?.as_str()? != own {
            return None;
        }
        *message.get_mut("id")? = strict_json::parse(self.request_id().to_json().as_bytes()).ok()?;
        Some(message.to_string())
    }

    /// The kind of item that `params.name` or `params.ref.name` refers to.
    fn kind_of_names(&self) -> Kind {
        let messages = self.inspected().and_then(Inspected::messages).unwrap_or_default();
        let call = messages.first().and_then(Message::call);
        match call.and_then(Call::known).map(|known| known.target) {
            Some(Target::Name(kind)) => kind,
            _ => Kind::Prompt,
        }
    }

    /// What `Mcp-Name` mirrors for the origin server, if that is not what the caller sent.
    #[must_use]
    pub fn changed_name(&self) -> Option<String> {
        let call = self.call()?;
        let decoy = self.decoys().iter().find(|decoy| !decoy.is_method).map(|decoy| decoy.name.as_str());
        // A field that mirrors nothing could have the hidden name nevertheless.
        let Some(given) = call.mirrored_name() else { return decoy.map(str::to_owned) };
        let member = match call.known()?.target {
            Target::Task => Member::Task,
            Target::Uri => Member::Uri,
            _ => Member::Name,
        };
        let changed = decoy.or_else(|| self.state.handles.original(0, member, given));
        let Some(part) = &self.part else { return changed.map(str::to_owned) };
        part.text(member, self.kind_of_names(), changed.unwrap_or(given)).or_else(|| changed.map(str::to_owned))
    }

    /// The same permit, for one of several servers. If this is the response to a request of the server, it goes into the session in
    /// which the server asked.
    #[must_use]
    pub fn for_server(self, server: Rc<Server>, client: Option<Rc<ClientSide>>, salt: String) -> Self {
        let answered = self.state.answered.as_ref();
        let conversation = answered.map(|request| Conversation::Legacy(request.session.clone()));
        let answered = answered.map(|request| request.id.clone());
        let operations = self.call().map(|call| call.operations().unwrap_or_default()).unwrap_or_default();
        let item = operations.first().and_then(|operation| Part::item(&server, operation));
        Self {
            part: Some(Box::new(Part {
                server,
                cursor: None,
                client,
                conversation,
                answered,
                is_gathered: false,
                salt,
                item,
            })),
            ..self
        }
    }

    /// The parts of a request for several servers, each with the server's own cursor.
    #[must_use]
    pub fn parts(
        &self,
        servers: Vec<(Rc<Server>, Option<String>)>,
        client: Option<&Rc<ClientSide>>,
        salt: &str,
    ) -> Vec<Self> {
        let Permitted::Resource(inspected) = &self.request else { return Vec::new() };
        let part = |(server, cursor)| {
            let client = client.cloned();
            Self {
                request: Permitted::Resource(Rc::clone(inspected)),
                state: CallerState {
                    session: self.state.session.clone(),
                    handles: self.state.handles.clone(),
                    last_event: self.state.last_event.clone(),
                    ..CallerState::default()
                },
                stand_in: self.stand_in.clone(),
                part: Some(Box::new(Part {
                    server,
                    cursor,
                    client,
                    conversation: None,
                    answered: None,
                    is_gathered: true,
                    salt: salt.to_owned(),
                    item: None,
                })),
                examined: self.examined.clone(),
                approved: self.approved.clone(),
            }
        };
        servers.into_iter().map(part).collect()
    }

    /// The same permit, to send the request once more, in another session.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        let Permitted::Resource(inspected) = &self.request else { return None };
        let part = self.part.clone().filter(|part| part.answered.is_none())?;
        Some(Self {
            request: Permitted::Resource(Rc::clone(inspected)),
            state: self.state.clone(),
            stand_in: self.stand_in.clone(),
            part: Some(Box::new(Part { conversation: None, ..*part })),
            examined: self.examined.clone(),
            approved: self.approved.clone(),
        })
    }

    /// The client that the gateway talks with one of several servers for.
    #[must_use]
    pub fn client(&self) -> Option<Rc<ClientSide>> {
        let known = self.part.as_ref()?.client.clone();
        known.or_else(|| {
            let inspected = self.inspected()?;
            let caller = inspected.subject();
            let holder = caller.holder(&inspected.resource().identifier);
            Some(Rc::new(ClientSide::without_session(self.admitted().era(), inspected.body(), holder)))
        })
    }

    /// The cursor that the server gets.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        match &self.part {
            Some(part) => part.cursor.as_deref(),
            None => self.call()?.params.cursor.as_deref(),
        }
    }

    /// The id of the request that one of several servers gets, if the client has no session; empty otherwise.
    #[must_use]
    pub fn salt(&self) -> &str {
        self.part.as_ref().map_or("", |part| part.salt.as_str())
    }

    /// Whether it is one part of several, whose answers the gateway reads.
    #[must_use]
    pub fn is_gathered(&self) -> bool {
        self.part.as_ref().is_some_and(|part| part.is_gathered)
    }

    /// How the gateway talks with one of several servers, once it is known.
    #[must_use]
    pub fn conversation(&self) -> Option<&Conversation> {
        self.part.as_ref()?.conversation.as_ref()
    }

    /// The same permit, with how the gateway talks with its server.
    #[must_use]
    pub fn conversing(mut self, conversation: Conversation) -> Self {
        if let Some(part) = &mut self.part {
            part.conversation = Some(conversation);
        }
        self
    }

    /// What changes in the message for a server of the other era.
    fn translation(&self) -> Translation {
        let Some(part) = &self.part else { return Translation::Nothing };
        match (self.admitted().era(), part.conversation.as_ref().map(Conversation::era), &part.answered) {
            (_, _, Some(id)) => Translation::Answering(id.clone()),
            (Era::Legacy, Some(Era::Modern), None) => {
                Translation::ToModern(self.client().map(|client| client.introduction.meta()).unwrap_or_default())
            }
            (Era::Modern, Some(Era::Legacy), None) => Translation::ToLegacy,
            _ => Translation::Nothing,
        }
    }

    /// What it asks for, with the names that clients see.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.operations_by_message().into_iter().map(|(_, operation)| operation).collect()
    }

    /// The same, each with the index of its message.
    fn operations_by_message(&self) -> Vec<(usize, Operation)> {
        let messages = self.inspected().and_then(Inspected::messages).unwrap_or_default();
        let of_call = |(at, call): (usize, &Call)| {
            let operations = self.state.handles.operations(at, call, call.operations().unwrap_or_default());
            operations.into_iter().map(move |operation| (at, operation))
        };
        let calls = messages.iter().enumerate().filter_map(|(at, message)| Some((at, message.call()?)));
        calls.flat_map(of_call).collect()
    }

    /// What it asks for as all but the rules see it: a hidden name is examined as the name of its decoy, which does not exist.
    #[must_use]
    pub fn seen_operations(&self) -> Vec<Operation> {
        let seen = |(at, operation): (usize, Operation)| {
            let replacing = |member, text: &str| {
                let found = Decoy::replacing(self.decoys(), at, member, text);
                found.first().map(|(_, decoy)| decoy.name.clone())
            };
            if let Some(method) = replacing(Member::Method, &operation.method) {
                return Operation::plain(&method);
            }
            match operation.target.clone() {
                Some((kind, name)) => match replacing(Member::Name, &name) {
                    Some(instead) => Operation::on(&operation.method, kind, &instead),
                    None => operation,
                },
                None => operation,
            }
        };
        self.operations_by_message().into_iter().map(seen).collect()
    }

    /// The hooks that are asked about its arguments.
    #[must_use]
    pub fn hooks(&self) -> &[Rc<Hook>] {
        self.examined.as_ref().map(|examined| examined.hooks.as_slice()).unwrap_or_default()
    }

    /// What hooks learn of it.
    #[must_use]
    pub fn about(&self, request: &str) -> Option<About> {
        let inspected = self.inspected()?;
        let operation = self.seen_operations().into_iter().next();
        let name = operation.as_ref().and_then(|operation| operation.name().or(operation.follows.as_deref()));
        Some(About {
            request: request.to_owned(),
            resource: inspected.resource().path.as_str().to_owned(),
            method: operation.as_ref().map(|operation| operation.method.clone()).unwrap_or_default(),
            name: name.map(str::to_owned),
            caller: inspected.caller(),
        })
    }

    /// The same permit for a message in which hooks replaced the arguments.
    ///
    /// # Errors
    /// [`Rejection::Internal`] if the body is no message, or the request is in use.
    pub(super) fn with_arguments(self, body: Vec<u8>) -> Result<Self, Rejection> {
        let Permitted::Resource(inspected) = self.request else { return Err(Rejection::Internal("no message")) };
        let inspected = Rc::into_inner(inspected).ok_or(Rejection::Internal("the request is in use"))?;
        let inspected = inspected.with_masks(body)?;
        let mut examined = self.examined;
        if let Some(examined) = &mut examined {
            examined.replaces_arguments = true;
        }
        Ok(Self { request: Permitted::Resource(Rc::new(inspected)), examined, ..self })
    }

    /// Whether hooks replaced its arguments.
    #[must_use]
    pub fn replaces_arguments(&self) -> bool {
        self.examined.as_ref().is_some_and(|examined| examined.replaces_arguments)
    }

    /// The origin server's name of the item that its only call is about.
    #[must_use]
    pub fn original_name(&self) -> Option<String> {
        let operations = self.operations();
        let (kind, name) = operations.first()?.target.as_ref()?;
        match &self.part {
            None => Some(name.clone()),
            Some(part) => part.server.names.original(*kind, name),
        }
    }

    /// The id of the only message, if it is a request.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        let messages = self.inspected().and_then(Inspected::messages).unwrap_or_default();
        messages.first().map(Message::id).unwrap_or_default()
    }

    /// The only message, if it is one that requests something.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        self.inspected()?.messages()?.first()?.call()
    }

    /// The session with several servers that the client brought.
    #[must_use]
    pub fn combined(&self) -> Option<&Rc<CombinedSession>> {
        self.state.combined.as_ref()
    }

    /// The server's request that this is the response to.
    #[must_use]
    pub fn answered(&self) -> Option<&ServerRequest> {
        self.state.answered.as_deref()
    }

    /// The server that it is for, if its resource has several.
    #[must_use]
    pub fn server(&self) -> Option<&Rc<Server>> {
        self.part.as_ref().map(|part| &part.server)
    }

    /// Whether something that the caller does not see is replaced in the message: then the answer gets the name back.
    #[must_use]
    pub fn stands_in(&self) -> bool {
        !self.decoys().is_empty() || self.part.as_ref().is_some_and(|part| part.names_hidden())
    }

    /// The resource as it is forwarded: that of the server, if there are several. `None` for a public path.
    #[must_use]
    pub fn resource(&self) -> Option<&Rc<Resource>> {
        match (&self.part, &self.request) {
            (Some(part), _) => Some(&part.server.resource),
            (None, Permitted::Resource(inspected)) => Some(inspected.resource()),
            (None, Permitted::Public(_)) => None,
        }
    }

    /// The handles of the request.
    #[must_use]
    pub fn handles(&self) -> &Handles {
        &self.state.handles
    }

    /// Why the gateway sends a message without effect instead of the caller's, if it does.
    #[must_use]
    pub fn refusal(&self) -> Option<&Rejection> {
        match &self.stand_in {
            StandIn::Refusal(rejection, _) => Some(rejection),
            StandIn::Nothing | StandIn::Decoys(_) => None,
        }
    }

    /// The origin server's id of the last event that the caller received, if the gateway binds event ids to their
    /// callers.
    #[must_use]
    pub fn last_event(&self) -> Option<&str> {
        let event = self.state.last_event.as_deref()?;
        let Some(part) = &self.part else { return Some(event) };
        let event = EventOfServer::read(event)?;
        (event.server == part.server.fingerprint).then_some(event.id)
    }

    /// The server, of several, that sent the last event that the caller received.
    #[must_use]
    pub fn event_of_server(&self) -> Option<EventOfServer<'_>> {
        EventOfServer::read(self.state.last_event.as_deref()?)
    }

    /// The session that it belongs to.
    #[must_use]
    pub fn session(&self) -> &SessionUse {
        &self.state.session
    }

    /// The origin server that the request goes to, the part of the path that is appended to its URL, and the largest
    /// body that the request may have.
    #[must_use]
    pub fn destination(&self) -> (&OriginServer, &str, u64) {
        match (&self.request, self.resource()) {
            (Permitted::Resource(inspected), Some(resource)) => {
                (&resource.origin, inspected.authenticated().request().below(), resource.body_bytes)
            }
            (Permitted::Resource(inspected), None) => (&inspected.resource().origin, "", 0),
            (Permitted::Public(request), _) => (&request.path().origin, "", 0),
        }
    }

    /// Whether the origin server learns who calls.
    #[must_use]
    pub fn names_caller(&self) -> bool {
        self.resource().is_none_or(|resource| resource.names_caller)
    }

    /// Whether the request can be sent more than once: it has no message, or the gateway has read it whole.
    #[must_use]
    pub fn can_be_repeated(&self) -> bool {
        self.admitted().head().method != Method::Post
            || self.inspected().is_some_and(|inspected| inspected.messages().is_some())
    }

    /// The claims of the caller that the origin server gets.
    #[must_use]
    pub fn identity_claims(&self) -> &[IdentityClaim] {
        match &self.request {
            Permitted::Public(_) => &[],
            Permitted::Resource(inspected) => &inspected.authenticated().request().resource().identity_claims,
        }
    }

    /// The fields of the client that the resource forwards in addition to those that are always forwarded.
    #[must_use]
    pub fn forward_fields(&self) -> &[String] {
        match &self.request {
            Permitted::Public(_) => &[],
            Permitted::Resource(inspected) => &inspected.authenticated().request().resource().forward_fields,
        }
    }
}
