//! Requests to a resource of several servers: each goes to the server that has what it names, or to all of them.

use std::rc::Rc;

use crate::gateway::active_request::{Action, ActiveRequest, ServerPart, Suspended};
use crate::gateway::gathering::{AskedServers, Gathered, Gathering, PartAnswer};
use crate::gateway::log;
use crate::gateway::open::Gateway;
use crate::limits::{NEEDS, SERVER_REST_SECONDS};
use crate::mcp::era::Era;
use crate::mcp::kind::Kind;
use crate::mcp::message::Message;
use crate::mcp::method::{DISCOVER, Target};
use crate::mcp::operation::Operation;
use crate::pipeline::permit::Permit;
use crate::pipeline::rejection::Rejection;
use crate::ports::Ports;
use crate::settings::federation::{Federation, Server};
use crate::time::UnixMillis;
use crate::transport::head::{Fields, Method};

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// Sends a permitted request to the server that has what it names, or asks all servers for their lists.
    pub(super) fn federate(self, permit: Permit, federation: &Rc<Federation>) -> Action {
        match self.choose(&permit, federation) {
            Ok(Choice::One(server)) => self.forward(permit.for_server(server)),
            Ok(Choice::All(gathering, servers)) => self.gather(&permit, *gathering, servers),
            Ok(Choice::Nothing) => self.answer(202, Fields::new(), String::new(), "notification"),
            Err(rejection) => self.refuse(rejection),
        }
    }

    fn choose(&self, permit: &Permit, federation: &Rc<Federation>) -> Result<Choice, Rejection> {
        let admitted = permit.admitted();
        if admitted.head().method != Method::Post {
            return Err(Rejection::MethodNotAllowed { allow: "POST" });
        }
        let era = admitted.era();
        let inspected = permit.inspected().ok_or(Rejection::Internal("a public path has no servers"))?;
        let request = inspected.authenticated().request();
        if !request.below().is_empty() {
            return Err(Rejection::NotFound);
        }
        if era == Era::Legacy {
            return Err(Rejection::LegacyClient);
        }
        let (id, call) = match inspected.messages() {
            Some([Message::Request { id, call }]) => (id, call),
            Some([Message::Notification(_)]) => return Ok(Choice::Nothing),
            _ => return Err(Rejection::Internal("no single message")),
        };
        let absent = |target| Rejection::NotPermitted { target, era, apart: false };
        // The modern era has no such methods, and the server would get fields that disagree with the body.
        if call.known().is_some_and(|known| known.target == Target::OptionalUri) {
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
        let what = match call.known().and_then(|known| known.list) {
            Some(list) => Gathered::List(list),
            None if call.method == DISCOVER => Gathered::Discovery,
            None => return Err(absent(None)),
        };
        let gathering = Gathering::of(inspected, federation, (what, id, call))?;
        let servers = gathering.servers(call, self.ports.now())?;
        Ok(Choice::All(Box::new(gathering), servers))
    }

    fn gather(self, permit: &Permit, gathering: Gathering, servers: AskedServers) -> Action {
        let now = self.ports.now();
        let (servers, resting): (AskedServers, AskedServers) =
            servers.into_iter().partition(|(server, _)| !self.gateway.rests(server, now));
        let resting = resting.into_iter().map(|(server, _)| server).collect();
        let names: Vec<Rc<Server>> = servers.iter().map(|(server, _)| Rc::clone(server)).collect();
        let of_each = permit.parts(servers).into_iter().zip(names).map(|(part, server)| {
            let mut context = self.context.clone();
            context.resource = Some(Rc::clone(&server.resource));
            context.of_server = Some(server.names.server.clone());
            let active =
                ActiveRequest { gateway: self.gateway, ports: self.ports, context, fingerprint: None, waits: NEEDS };
            ServerPart { action: active.forward(part), server }
        });
        let of_each = of_each.collect();
        self.wait(Box::new(gathering.without(resting)), |waiting| Action::Gather(of_each, waiting))
    }
}

/// Where a request goes.
enum Choice {
    One(Rc<Server>),
    All(Box<Gathering>, AskedServers),
    /// A notification, which no server needs.
    Nothing,
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
        match merged {
            Ok(body) => {
                let mut fields = Fields::new();
                fields.set("content-type", "application/json");
                active.answer(200, fields, body, "merged")
            }
            Err(rejection) => active.refuse(rejection),
        }
    }
}

impl Gateway {
    /// Whether a server did not answer in time a moment ago, so that it is not asked.
    fn rests(&self, server: &Server, now: UnixMillis) -> bool {
        self.resting.borrow().get(&server.resource.index).is_some_and(|until| now < *until)
    }

    /// Notes whether a server answered in time.
    pub(super) fn note_in_time(&self, server: &Server, in_time: bool, now: UnixMillis) {
        let mut resting = self.resting.borrow_mut();
        if in_time {
            resting.remove(&server.resource.index);
        } else {
            resting.insert(server.resource.index, now.plus_seconds(SERVER_REST_SECONDS));
        }
    }
}
