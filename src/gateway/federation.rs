//! Requests to a resource of several servers: each goes to the server that has what it names, or to all of them.

use std::rc::Rc;

use base16ct::lower::encode_string as hex;

use crate::forward::response::ResponseHead;
use crate::gateway::active_request::{Action, ActiveRequest, Listening, ServerPart, Suspended};
use crate::gateway::gathering::{AskedServers, Gathered, Gathering, KnownPart, PartAnswer};
use crate::gateway::lists::cacheable_list;
use crate::gateway::log;
use crate::gateway::open::Gateway;
use crate::limits::{NEEDS, SERVER_LIST_SECONDS, SERVER_REQUEST_ID_BYTES};
use crate::mcp::conversation::{ClientIntroduction, ClientKey, ClientSide, declares_capabilities, is_level};
use crate::mcp::envelope::{RequestId, empty_result};
use crate::mcp::era::{Era, FIRST_MODERN, LEGACY_VERSIONS};
use crate::mcp::kind::Kind;
use crate::mcp::list_cache::CacheLookup;
use crate::mcp::listen::{Asked, ended, nothing_acknowledged};
use crate::mcp::message::{Call, Malformed, Message};
use crate::mcp::method::{CANCELLED, DISCOVER, INITIALIZE, LISTEN, PING, ROOTS_CHANGED, SET_LEVEL, Target};
use crate::mcp::operation::Operation;
use crate::mcp::session::NONCE_BYTES;
use crate::mcp::tool_view::{View, listing};
use crate::pipeline::inspect::Inspected;
use crate::pipeline::permit::Permit;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::respond;
use crate::ports::Ports;
use crate::settings::federation::{Federation, Server};
use crate::transport::head::{Fields, Method};

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// Sends a permitted request to the server that has what it names, or to all servers that it concerns.
    pub(super) fn federate(self, permit: Permit, federation: &Rc<Federation>) -> Action {
        let client = self.client(&permit);
        let is_ended = |key| self.gateway.known_servers.borrow().is_ended(key);
        if client.as_ref().is_some_and(|(_, client)| is_ended(client.key)) {
            return self.refuse(Rejection::SessionUnknown);
        }
        let salt = if client.is_some() { String::new() } else { self.salt() };
        match self.choose(&permit, federation, client.as_ref()) {
            Ok(Choice::One(server)) => self.forward(permit.for_server(server, client.map(|(_, client)| client), salt)),
            Ok(Choice::All(gathering, servers)) => {
                self.gather(&permit, *gathering, servers, (client.as_ref().map(|(_, client)| client), &salt))
            }
            Ok(Choice::Streams(listening, servers)) => {
                self.listen(&permit, listening, servers, (client.as_ref().map(|(_, client)| client), &salt))
            }
            Ok(Choice::Here(status, body)) => self.answer_here(status, body),
            Err(rejection) => self.refuse(rejection),
        }
    }

    /// An id that no other server can guess, for the requests of a client without a session.
    fn salt(&self) -> String {
        let mut random = [0; 16];
        self.ports.fill(&mut random);
        hex(&random)
    }

    pub(super) fn answer_here(self, status: u16, body: String) -> Action {
        let mut fields = Fields::new();
        if !body.is_empty() {
            fields.set("content-type", "application/json");
        }
        self.answer(status, fields, body, if status == 202 { "notification" } else { "merged" })
    }

    /// The client and the key of its session, if it has one or opens one.
    fn client(&self, permit: &Permit) -> Option<(String, Rc<ClientSide>)> {
        let inspected = permit.inspected().filter(|_| permit.admitted().era() == Era::Legacy)?;
        let subject = inspected.subject();
        let holder = subject.holder(&inspected.resource().identifier);
        let (key, introduction, sessions) = match permit.combined() {
            Some(session) => (session.key.clone(), session.client.clone(), session.servers.clone()),
            None if permit.call().is_some_and(|call| call.method == INITIALIZE) => {
                let mut random = [0; 16];
                self.ports.fill(&mut random);
                (hex(&random), ClientIntroduction::in_params(inspected.body())?, Vec::new())
            }
            None => return None,
        };
        let client = ClientSide::with_session(&key, introduction, sessions, holder);
        Some((key, Rc::new(client)))
    }

    fn choose(
        &self,
        permit: &Permit,
        federation: &Rc<Federation>,
        client: Option<&(String, Rc<ClientSide>)>,
    ) -> Result<Choice, Rejection> {
        let admitted = permit.admitted();
        let era = admitted.era();
        let inspected = permit.inspected().ok_or(Rejection::Internal("a public path has no servers"))?;
        if !inspected.authenticated().request().below().is_empty() {
            return Err(Rejection::NotFound);
        }
        let version = admitted.head().fields.get("mcp-protocol-version").map(str::trim);
        if let Some(version) = version.filter(|version| era == Era::Legacy && !LEGACY_VERSIONS.contains(version)) {
            return Err(unsupported(version));
        }
        if admitted.head().method != Method::Post {
            return self.choose_without_message(permit, federation, client);
        }
        let all = |what, id: &RequestId, call: &Call, servers| {
            let gathering = Gathering::of(inspected, federation, (what, id, call), client)?;
            Ok(Choice::All(Box::new(gathering), servers))
        };
        let (id, call) = match inspected.messages() {
            Some([Message::Request { id, call }]) => (id, call),
            Some([Message::Notification(call)]) => {
                let servers = match call.method.as_str() {
                    CANCELLED | ROOTS_CHANGED => self.with_sessions(federation, client),
                    // The gateway ends each initialization itself, and in the modern era a client cancels by leaving.
                    _ => Vec::new(),
                };
                if servers.is_empty() {
                    return Ok(Choice::Here(202, String::new()));
                }
                return all(Gathered::Notice, &RequestId::unknown(), call, servers);
            }
            Some([Message::Response(id)]) => return waiting(permit, federation, id),
            _ => {
                let error = Malformed::Message("a resource of several servers takes one message at a time");
                return Err(Rejection::MalformedMessage { error, id: Box::default() });
            }
        };
        if let Some(version) = version.filter(|version| era == Era::Modern && *version != FIRST_MODERN) {
            return Err(unsupported(version));
        }
        if id.to_json().len() > SERVER_REQUEST_ID_BYTES {
            let error = Malformed::Message("the id is too long");
            return Err(Rejection::MalformedMessage { error, id: Box::default() });
        }
        let absent = |target| Rejection::NotPermitted { target, era, apart: false };
        // The modern era has no such methods, and the server would get fields that disagree with the body.
        if era == Era::Modern && call.known().is_some_and(|known| known.target == Target::OptionalUri) {
            return Err(absent(None));
        }
        let operations = call.operations().map_err(|_| Rejection::Internal("an operation without its name"))?;
        let operations = permit.handles().operations(0, call, operations);
        if let [operation] = operations.as_slice()
            && let Some((kind, name)) = named(operation)
        {
            let server = federation.owner(kind, name).ok_or_else(|| absent(Some(kind)))?;
            return Ok(Choice::One(Rc::clone(server)));
        }
        if let Some(refused) = inspected.search().and_then(|search| search.refused(id, era)) {
            return Ok(Choice::Here(200, refused));
        }
        let is_list_of_tools = call.known().and_then(|known| known.list).is_some_and(|list| list.kind == Kind::Tool);
        if is_list_of_tools && federation.view == View::Search && inspected.search().is_none() {
            return Ok(Choice::Here(200, listing(id, era)));
        }
        if (call.method.as_str(), era) == (LISTEN, Era::Modern) {
            return listening(inspected, federation, (id, &operations));
        }
        let what = match (call.known().and_then(|known| known.list), call.method.as_str(), era) {
            (Some(list), ..) => Gathered::List(list),
            (None, DISCOVER, Era::Modern) => Gathered::Discovery,
            (None, INITIALIZE, Era::Legacy) if client.is_some() => Gathered::Introduction,
            (None, SET_LEVEL, Era::Legacy) if is_level(inspected.body()) => Gathered::Level,
            (None, INITIALIZE | SET_LEVEL, Era::Legacy) => {
                let error = Malformed::Params("params do not fit the method");
                return Err(Rejection::MalformedMessage { error, id: Box::new(id.clone()) });
            }
            (None, PING, Era::Legacy) => return Ok(Choice::Here(200, empty_result(id))),
            _ => return Err(absent(None)),
        };
        // Each server would refuse it (T20).
        if era == Era::Modern && !declares_capabilities(inspected.body()) {
            let error = Malformed::Params("the capabilities of the client in params._meta are missing");
            return Err(Rejection::MalformedMessage { error, id: Box::new(id.clone()) });
        }
        let gathering = Gathering::of(inspected, federation, (what, id, call), client)?;
        let servers = gathering.servers(call, &open_servers(inspected, federation), self.ports.now())?;
        Ok(Choice::All(Box::new(gathering), servers))
    }

    /// The same for a request that has no message.
    fn choose_without_message(
        &self,
        permit: &Permit,
        federation: &Rc<Federation>,
        client: Option<&(String, Rc<ClientSide>)>,
    ) -> Result<Choice, Rejection> {
        let admitted = permit.admitted();
        let inspected = permit.inspected().ok_or(Rejection::Internal("a public path has no servers"))?;
        match (admitted.head().method, admitted.era()) {
            (Method::Get, Era::Legacy) => {
                let event = permit.event_of_server();
                let server = event.map(|event| federation.with_fingerprint(event.server).cloned());
                match (event, server) {
                    // A stream that answered one request.
                    (Some(event), Some(Some(server))) if !event.is_shared => Ok(Choice::One(server)),
                    (Some(_), Some(None)) => Err(Rejection::SessionUnknown),
                    _ => {
                        let listening = Listening { first: String::new(), id: None };
                        Ok(Choice::Streams(listening, self.with_sessions(federation, client)))
                    }
                }
            }
            (Method::Delete, Era::Legacy) if client.is_some() => {
                let servers = self.with_sessions(federation, client);
                let what = (Gathered::Ending, &RequestId::unknown(), &Call::default());
                Ok(Choice::All(Box::new(Gathering::of(inspected, federation, what, client)?), servers))
            }
            (_, Era::Legacy) => Err(Rejection::MethodNotAllowed { allow: "POST, DELETE" }),
            (_, Era::Modern) => Err(Rejection::MethodNotAllowed { allow: "POST" }),
        }
    }

    /// The servers at which the client has a session.
    fn with_sessions(&self, federation: &Federation, client: Option<&(String, Rc<ClientSide>)>) -> AskedServers {
        let Some((_, client)) = client else { return Vec::new() };
        let known = self.gateway.known_servers.borrow();
        let has_session = |server: &&Rc<Server>| {
            known.session(client.key, server).or_else(|| client.session(&server.fingerprint)).is_some()
        };
        federation.servers.iter().filter(has_session).map(|server| (Rc::clone(server), None)).collect()
    }

    fn gather(self, permit: &Permit, gathering: Gathering, servers: AskedServers, client: ForClient<'_>) -> Action {
        if let Some((status, body)) = self.known_list(permit, &gathering, &servers, client) {
            return self.answer_here(status, body);
        }
        let is_kept = |server: &(Rc<Server>, Option<String>)| {
            let part = permit.parts(vec![server.clone()], client.0, client.1);
            part.first().and_then(cacheable_list).is_some_and(|(key, caller)| {
                let known = self.gateway.lists.borrow().get(&key, &caller, self.ports.now());
                matches!(known, CacheLookup::FilteredList(..) | CacheLookup::List(_))
            })
        };
        let caller = caller_key(permit);
        let (servers, resting): (AskedServers, AskedServers) =
            servers.into_iter().partition(|server| !self.rests(&server.0, &caller) || is_kept(server));
        let of_each = self.parts(permit, servers, client);
        let resting = resting.into_iter().map(|(server, _)| server).collect();
        self.wait(Box::new(gathering.without(resting)), |waiting| Action::Gather(of_each, waiting))
    }

    /// The merged list, if the list of each server is in memory as this caller may see it.
    fn known_list(
        &self,
        permit: &Permit,
        gathering: &Gathering,
        servers: &AskedServers,
        (client, salt): ForClient<'_>,
    ) -> Option<(u16, String)> {
        // Later pages, and lists of some of the servers, are merged anew.
        let may_be_known =
            |(server, cursor): &(Rc<Server>, Option<String>)| server.resource.cache_lists && cursor.is_none();
        if !gathering.is_list() || !servers.iter().all(may_be_known) {
            return None;
        }
        let now = self.ports.now();
        let lists = self.gateway.lists.borrow();
        let mut known = Vec::with_capacity(servers.len());
        for (part, (server, _)) in permit.parts(servers.clone(), client, salt).into_iter().zip(servers) {
            let (key, caller) = cacheable_list(&part)?;
            let CacheLookup::FilteredList(list, until) = lists.get(&key, &caller, now) else { return None };
            known.push(KnownPart { server: Rc::clone(server), list, ttl: until.saturating_sub(now.0) });
        }
        gathering.known(&mut self.gateway.merged.borrow_mut(), &known)
    }

    /// Opens a stream at each of the servers.
    fn listen(self, permit: &Permit, listening: Listening, servers: AskedServers, client: ForClient<'_>) -> Action {
        let caller = caller_key(permit);
        let servers = servers.into_iter().filter(|(server, _)| !self.rests(server, &caller)).collect();
        let of_each = self.parts(permit, servers, client);
        self.wait(listening, |waiting| Action::Listen(of_each, waiting))
    }

    /// Whether a server did not answer the caller in time a moment ago, so that it is not asked.
    fn rests(&self, server: &Server, caller: &[u8; 32]) -> bool {
        self.gateway.resting.borrow().rests(server, caller, self.ports.now())
    }

    /// The parts of a request, one for each server.
    fn parts(&self, permit: &Permit, servers: AskedServers, (client, salt): ForClient<'_>) -> Vec<ServerPart> {
        let caller = caller_key(permit);
        let federation = permit.inspected().and_then(|inspected| inspected.resource().federation.as_ref());
        let seconds = federation.map_or(SERVER_LIST_SECONDS, |federation| federation.list_seconds);
        let names: Vec<Rc<Server>> = servers.iter().map(|(server, _)| Rc::clone(server)).collect();
        let of_each = permit.parts(servers, client, salt).into_iter().zip(names).map(|(part, server)| {
            let mut context = self.context.clone();
            context.resource = Some(Rc::clone(&server.resource));
            context.of_server = Some(server.names.server.clone());
            let active =
                ActiveRequest { gateway: self.gateway, ports: self.ports, context, fingerprint: None, waits: NEEDS };
            let action = match cacheable_list(&part) {
                Some(list) => active.answer_list(part, list),
                None => active.forward(part),
            };
            ServerPart { server, caller, seconds, action }
        });
        of_each.collect()
    }
}

/// The client, if it has a session or opens one, and otherwise the id of its request for servers.
type ForClient<'a> = (Option<&'a Rc<ClientSide>>, &'a str);

/// Where a request goes.
enum Choice {
    One(Rc<Server>),
    All(Box<Gathering>, AskedServers),
    /// A stream of each of these servers.
    Streams(Listening, AskedServers),
    /// Nowhere: the gateway answers with this status and body.
    Here(u16, String),
}

/// The rejection of a version. The client gets it back if it looks like one.
fn unsupported(version: &str) -> Rejection {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let looks_right = version.len() <= 32 && version.bytes().all(fits);
    Rejection::VersionUnsupported(if looks_right { version.to_owned() } else { String::new() })
}

/// The servers whose notifications a client of the modern era asks for.
fn listening(
    inspected: &Inspected,
    federation: &Federation,
    (id, operations): (&RequestId, &[Operation]),
) -> Result<Choice, Rejection> {
    let asked = Asked::read(inspected.body()).ok_or_else(|| Rejection::MalformedMessage {
        error: Malformed::Params("params.notifications must be an object"),
        id: Box::new(id.clone()),
    })?;
    let owners: Vec<&Rc<Server>> =
        operations.iter().filter_map(named).filter_map(|(kind, name)| federation.owner(kind, name)).collect();
    let is_asked = |server: &&Rc<Server>| asked.concerns_all() || owners.iter().any(|owner| Rc::ptr_eq(owner, server));
    let open = open_servers(inspected, federation);
    let servers: AskedServers = open.iter().filter(is_asked).map(|server| (Rc::clone(server), None)).collect();
    let listening = Listening { first: asked.acknowledgment(id), id: Some(id.clone()) };
    Ok(Choice::Streams(listening, servers))
}

/// The server that waits for a response of the client.
fn waiting(permit: &Permit, federation: &Federation, id: &RequestId) -> Result<Choice, Rejection> {
    let server = permit.answered().and_then(|request| federation.with_fingerprint(&request.server));
    server.map(|server| Choice::One(Rc::clone(server))).ok_or_else(|| Rejection::MalformedMessage {
        error: Malformed::Message("no server waits for this response"),
        id: Box::new(id.clone()),
    })
}

/// Identifies the caller among those of the servers.
fn caller_key(permit: &Permit) -> [u8; 32] {
    let Some(inspected) = permit.inspected() else { return [0; 32] };
    let subject = inspected.subject();
    ClientKey::caller(subject.holder(&inspected.resource().identifier))
}

/// The servers that may have something for the caller. The others are not asked, and nothing says that they exist.
fn open_servers(inspected: &Inspected, federation: &Federation) -> Vec<Rc<Server>> {
    let policy = inspected.resource().policy.as_ref();
    let caller = inspected.caller();
    let is_open = |server: &&Rc<Server>| policy.is_none_or(|policy| policy.may_permit(&server.names, &caller));
    federation.servers.iter().filter(is_open).cloned().collect()
}

/// What an operation names, in a way that says which server has it.
fn named(operation: &Operation) -> Option<(Kind, &str)> {
    match (&operation.target, &operation.follows) {
        (Some((kind, name)), _) => Some((*kind, name)),
        (None, Some(tool)) => Some((Kind::Tool, tool)),
        (None, None) => None,
    }
}

impl Suspended<Box<Gathering>> {
    /// Continues with the answers of the servers.
    #[must_use]
    pub fn gathered<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        answers: Vec<PartAnswer>,
    ) -> Action {
        let (active, gathering) = self.resume(gateway, ports);
        let (merged, left_out) = gathering.merged(answers, ports.now());
        for (server, why) in left_out.iter().filter(|(_, why)| !why.is_empty()) {
            log::left_out(ports, &active.context, server, why);
        }
        let (status, body) = match merged {
            Ok(merged) => merged,
            Err(rejection) => return active.refuse(rejection),
        };
        let mut fields = Fields::new();
        if !body.is_empty() {
            fields.set("content-type", "application/json");
        }
        let mut random = [0; NONCE_BYTES];
        ports.fill(&mut random);
        let sealed = {
            let mut known = gateway.known_servers.borrow_mut();
            if gathering.is_end()
                && let Some(key) = gathering.client_key()
            {
                known.end(key);
            }
            gathering.session(|key, server| known.session(key, server).cloned(), &random, ports.now())
        };
        match sealed {
            Ok(Some(sealed)) => fields.set("mcp-session-id", sealed),
            Ok(None) => {}
            Err(rejection) => return active.refuse(rejection),
        }
        active.answer(status, fields, body, if status == 202 { "notification" } else { "merged" })
    }
}

impl Suspended<Listening> {
    /// Continues when each server opened its stream, or did not: with the head of the stream for the client, and what it begins and ends
    /// with.
    ///
    /// # Errors
    /// The next action, if there is no stream.
    pub fn listening<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        opened: usize,
    ) -> Result<(ResponseHead, [String; 2]), Box<Action>> {
        let (active, Listening { first, id }) = self.resume(gateway, ports);
        let ends = match (opened, id) {
            (0, None) => return Err(Box::new(active.refuse(Rejection::MethodNotAllowed { allow: "POST, DELETE" }))),
            (0, Some(id)) => [nothing_acknowledged(&id), ended(&id)],
            (_, id) => [first, id.as_ref().map(ended).unwrap_or_default()],
        };
        let mut fields = Fields::new();
        fields.set("content-type", "text/event-stream");
        fields.set("cache-control", "no-store");
        fields.set("x-content-type-options", "nosniff");
        respond::complete(&mut fields, &active.context, &gateway.settings);
        log::write_forwarded(gateway, ports, &active.context, 200);
        Ok((ResponseHead { status: 200, fields }, ends))
    }
}
