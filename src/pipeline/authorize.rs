//! The fifth stage: what the caller may do.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::mcp::message::{Call, Malformed, Message, Params};
use crate::mcp::operation::Operation;
use crate::oauth::bearer::Missing;
use crate::pipeline::admit::Admitted;
use crate::pipeline::context::RequestContext;
use crate::pipeline::inspect::Inspected;
use crate::pipeline::record::Record;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::route::PublicRequest;
use crate::policy::caller::Caller;
use crate::policy::decide::{Arguments, By, Decision, Policy, Verdict};
use crate::policy::decoy::Decoy;
use crate::policy::pattern::fold;
use crate::settings::Settings;
use crate::settings::resource::OriginServer;
use crate::strict_json;
use crate::token::principal::Principal;

/// Proof that a request may be forwarded. Only this module makes it.
#[derive(Debug)]
pub struct Permit {
    request: Permitted,
    session: SessionUse,
    last_event: Option<String>,
    stand_in: StandIn,
}

/// What is sent in place of what the caller asked for.
#[derive(Debug)]
enum StandIn {
    /// Nothing: it goes as it came.
    Nothing,
    /// Names and methods that surely do not exist, for those that the caller may not know of, and the message with them.
    Decoys(Vec<Decoy>, Vec<u8>),
    /// A message that does nothing, for each that is refused.
    Refusal(Box<Rejection>, Vec<u8>),
}

/// The method in place of that of a refused request: no server has it.
const REFUSED_METHOD: &str = "portcullis/refused";
/// The same for notifications.
const REFUSED_NOTIFICATION: &str = "notifications/portcullis-refused";

/// A request that the rules permit, whose limits are still to be counted: [`Authorized::within_limits`] makes the permit.
#[derive(Debug)]
pub struct Authorized {
    permit: Permit,
    calls: Vec<LimitedCall>,
}

/// An operation that was permitted, as limits count it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitedCall {
    /// What the caller asked for; nothing for a request whose message was not read.
    pub operation: Option<Operation>,
    /// The tool that it counts for.
    pub tool: LimitedTool,
}

/// The tool that a call counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitedTool {
    /// The one that it names, if any.
    Itself,
    /// A hidden name, for which another stands in. A hidden name is counted as a name that does not exist, and never as the tool.
    StandIn,
    /// A name that no rule permits, under a policy that only observes. All such names of a caller are counted together.
    Unknown,
}

impl Authorized {
    /// The request.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// What limits count.
    #[must_use]
    pub fn calls(&self) -> &[LimitedCall] {
        &self.calls
    }

    /// The permit, once the limits of the resource were counted.
    #[must_use]
    pub fn within_limits(self) -> Permit {
        self.permit
    }
}

#[derive(Debug)]
enum Permitted {
    Public(Box<PublicRequest>),
    Resource(Box<Inspected>),
}

/// The session that a request belongs to, where sessions are bound to their callers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SessionUse {
    /// Sessions are not bound here: what the caller says travels.
    #[default]
    Unbound,
    /// None.
    None,
    /// The origin server's own id, and the caller's for it.
    Id {
        /// The origin server's.
        id: String,
        /// The caller's.
        sealed: String,
    },
    /// Path and query, at the origin server, of the messages of a session in the transport of 2024-11-05.
    Endpoint(String),
}

impl SessionUse {
    /// The origin server's id of the session, where there is one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Id { id, .. } => Some(id),
            Self::Unbound | Self::None | Self::Endpoint(_) => None,
        }
    }
}

impl Permit {
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

    /// The request to a resource, as it was inspected; nothing for a public path.
    #[must_use]
    pub fn inspected(&self) -> Option<&Inspected> {
        match &self.request {
            Permitted::Public(_) => None,
            Permitted::Resource(inspected) => Some(inspected),
        }
    }

    /// What stands in for names that the caller may not know of.
    #[must_use]
    pub fn decoys(&self) -> &[Decoy] {
        match &self.stand_in {
            StandIn::Decoys(decoys, _) => decoys,
            StandIn::Nothing | StandIn::Refusal(..) => &[],
        }
    }

    /// The message that is sent in place of the caller's, where one is.
    #[must_use]
    pub fn message(&self) -> Option<&[u8]> {
        match &self.stand_in {
            StandIn::Nothing => None,
            StandIn::Decoys(_, message) | StandIn::Refusal(_, message) => Some(message),
        }
    }

    /// Why nothing of what the caller asked for is sent.
    #[must_use]
    pub fn refusal(&self) -> Option<&Rejection> {
        match &self.stand_in {
            StandIn::Refusal(rejection, _) => Some(rejection),
            StandIn::Nothing | StandIn::Decoys(..) => None,
        }
    }

    /// The origin server's id of the last event that the caller got, where ids of events are bound to their callers.
    #[must_use]
    pub fn last_event(&self) -> Option<&str> {
        self.last_event.as_deref()
    }

    /// Its session.
    #[must_use]
    pub fn session(&self) -> &SessionUse {
        &self.session
    }

    /// Where the request may go, what of its path is appended there, and the largest body that it may have.
    #[must_use]
    pub fn destination(&self) -> (&OriginServer, &str, u64) {
        match &self.request {
            Permitted::Public(request) => (&request.path().origin, "", 0),
            Permitted::Resource(inspected) => {
                let request = inspected.authenticated().request();
                (&request.resource().origin, request.below(), request.resource().body_bytes)
            }
        }
    }
}

/// Permits a request:
///
/// 1. its caller has every scope that the resource asks for, by itself or through the hierarchy (R10);
/// 2. each of its messages is one that the rules allow.
///
/// Where a name is hidden and the rules let names through that nobody has heard of, the permit is for such a name
/// ([`Decoy`]), which the rules allow.
///
/// In the transport of 2024-11-05 answers come apart from their requests, and clients give a connection up whose POST is
/// refused. There a refused message is one that does nothing, and the origin server's error for it is the answer.
///
/// # Errors
/// [`Rejection::InsufficientScope`] with all that is missing for the operation at once (R9), or [`Rejection::Absent`] where
/// for this caller there is nothing of that name.
pub fn authorize(
    inspected: Inspected,
    (session, last_event): (SessionUse, Option<String>),
    settings: &Settings,
    templates: &dyn Fn() -> Vec<String>,
    context: &mut RequestContext,
) -> Result<Authorized, Rejection> {
    let resource = Rc::clone(inspected.resource());
    let caller = inspected.caller().ok_or(Rejection::NoCredentials(Missing::Field))?;
    let mut needed = resource.scopes.clone();
    let mut refusal = None;
    let mut decoys = Vec::new();
    let mut calls = Vec::new();
    if let Some(policy) = &resource.policy {
        let era = inspected.authenticated().request().admitted().era();
        let without_message = Asked { operation: Operation::without_message(), at: 0, call: None };
        let operations = match inspected.messages() {
            None => vec![without_message],
            Some(messages) => asked(messages)?,
        };
        let mut misread = Misread::new(policy, inspected.messages().unwrap_or_default());
        let apart = matches!(session, SessionUse::Endpoint(_));
        for Asked { operation, at, call } in operations {
            let known = Arguments::Known(call.and_then(|call| call.params.arguments.as_ref()));
            let is_misread = misread.is_tested(&operation, at, &caller);
            let decision = policy.decide(&operation, &caller, if is_misread { Arguments::Unknown } else { known });
            if is_misread && decision.verdict != Verdict::Deny {
                return Err(misread.rejection(at));
            }
            let denied_by = call.filter(|call| call.method == operation.method).map(|_| decision.by);
            let mut verdict = decision.verdict.clone();
            let mut tool = match decision.by {
                By::Rule(_) | By::Protocol => LimitedTool::Itself,
                By::Default | By::Unsound => LimitedTool::Unknown,
            };
            let stand_in = if verdict == Verdict::Deny && !policy.observe {
                let find = |arguments| policy.decoy((&operation, denied_by), &caller, arguments, templates);
                misread.stand_in(&find, (known, is_misread), at, &caller)?
            } else {
                None
            };
            if let Some((mut stand_in, decision)) = stand_in {
                stand_in.at = at;
                // What is hidden is answered as what is not there.
                verdict = decision.verdict;
                tool = LimitedTool::StandIn;
                decoys.extend(Some(stand_in).filter(|_| verdict == Verdict::Allow));
            }
            match &verdict {
                Verdict::Allow => {}
                Verdict::StepUp { scopes, .. } => needed = needed.iter().chain(scopes.iter()).cloned().collect(),
                Verdict::Deny if operation.method.is_empty() => refusal = Some(Rejection::Forbidden),
                Verdict::Deny => {
                    let target = operation.target.as_ref().map(|(kind, _)| *kind);
                    refusal = refusal.or(Some(Rejection::Absent { target, era, apart }));
                }
            }
            let arguments = inspected.arguments();
            context.audit.note_decision(Record::new(policy, &resource, &operation, &caller, decision, arguments));
            calls.push(LimitedCall { operation: Some(operation), tool });
        }
        if policy.observe {
            (refusal, needed) = (None, resource.scopes.clone());
        }
    } else if let Some(messages) = inspected.messages() {
        let asked = asked(messages)?.into_iter();
        calls.extend(asked.map(|asked| LimitedCall { operation: Some(asked.operation), tool: LimitedTool::Itself }));
    }
    // What does not exist says nothing of scopes but of those that everything needs.
    let needed = if refusal.is_some() { resource.scopes.clone() } else { needed };
    let missing = settings.scopes.missing(&caller.subject.scopes, &needed);
    let refusal = if missing.is_empty() { refusal } else { Some(Rejection::InsufficientScope { missing, needed }) };
    if let Some(refusal) = refusal {
        let apart = matches!(session, SessionUse::Endpoint(_));
        let Some(instead) = inspected.messages().filter(|_| apart).and_then(refused) else { return Err(refusal) };
        context.audit.note_stand_in(refusal.clone());
        let stand_in = StandIn::Refusal(Box::new(refusal), instead);
        let request = Permitted::Resource(Box::new(inspected));
        return Ok(Authorized { permit: Permit { request, session, last_event, stand_in }, calls: Vec::new() });
    }
    if !decoys.is_empty() {
        let era = inspected.authenticated().request().admitted().era();
        context.audit.note_stand_in(Rejection::Absent { target: None, era, apart: false });
    }
    if calls.is_empty() {
        calls.push(LimitedCall { operation: None, tool: LimitedTool::Itself });
    }
    let stand_in = if decoys.is_empty() {
        StandIn::Nothing
    } else {
        let message = Decoy::message(&decoys, inspected.body());
        StandIn::Decoys(decoys, message.ok_or(Rejection::Internal("no message for a decoy"))?)
    };
    let permit = Permit { request: Permitted::Resource(Box::new(inspected)), session, last_event, stand_in };
    Ok(Authorized { permit, calls })
}

/// Messages that do nothing, in place of these.
fn refused(messages: &[Message]) -> Option<Vec<u8>> {
    let instead = |message: &Message| match message {
        Message::Request { id, .. } => {
            let id = strict_json::parse(id.to_json().as_bytes()).ok()?;
            Some(json!({ "jsonrpc": "2.0", "id": id, "method": REFUSED_METHOD }))
        }
        Message::Notification(_) => Some(json!({ "jsonrpc": "2.0", "method": REFUSED_NOTIFICATION })),
        Message::Response => None,
    };
    let all: Vec<Value> = messages.iter().filter_map(instead).collect();
    match all.as_slice() {
        [] => None,
        [one] if messages.len() == 1 => serde_json::to_vec(one).ok(),
        several => serde_json::to_vec(several).ok(),
    }
}

/// An operation, the message of a batch that it is of, and that message.
struct Asked<'a> {
    operation: Operation,
    at: usize,
    call: Option<&'a Call>,
}

/// What messages ask for.
fn asked(messages: &[Message]) -> Result<Vec<Asked<'_>>, Rejection> {
    let mut all = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let Some(call) = message.call() else { continue };
        let operations = call.operations().map_err(|_| Rejection::Internal("an operation without its name"))?;
        all.extend(operations.into_iter().map(|operation| Asked { operation, at, call: Some(call) }));
    }
    Ok(all)
}

/// Arguments by their folded names: the name as it is, and whether the gateway can read the argument.
type ByFoldedName<'a> = BTreeMap<String, Vec<(&'a str, bool)>>;

/// Arguments that the gateway and the server may read otherwise: those that the gateway cannot read, and those whose names
/// differ only in case from one that a rule tests.
struct Misread<'a> {
    policy: &'a Policy,
    messages: &'a [Message],
    /// The arguments of a message.
    names: Option<(usize, ByFoldedName<'a>)>,
}

impl<'a> Misread<'a> {
    fn new(policy: &'a Policy, messages: &'a [Message]) -> Self {
        // A policy that is only observed refuses nothing.
        let messages = if policy.observe || !policy.tests_arguments() { &[] } else { messages };
        Self { policy, messages, names: None }
    }

    /// Whether a rule tests one of them.
    fn is_tested(&mut self, operation: &Operation, at: usize, caller: &Caller) -> bool {
        let Some(call) = self.messages.get(at).and_then(Message::call) else { return false };
        let tested = self.policy.tested_arguments(operation, caller);
        if tested.is_empty() {
            return false;
        }
        let (_, names) = match self.names.take() {
            Some(names) if names.0 == at => self.names.insert(names),
            _ => self.names.insert((at, by_folded_name(&call.params))),
        };
        // In other letters, another reader may take it for the one that is tested.
        let misread = |(name, readable): &(&str, bool)| !readable || !tested.contains(name);
        tested.iter().any(|name| names.get(&fold(name)).is_some_and(|found| found.iter().any(misread)))
    }
}

/// Finds what stands in for a hidden name that is called with these arguments.
type Find<'a> = dyn Fn(Arguments<'a>) -> Option<(Decoy, Operation, Decision)> + 'a;

impl Misread<'_> {
    /// What stands in for a hidden name. Its arguments are judged as those of a name that does not exist would be.
    fn stand_in<'b>(
        &mut self,
        find: &Find<'b>,
        (known, is_misread): (Arguments<'b>, bool),
        at: usize,
        caller: &Caller,
    ) -> Result<Option<(Decoy, Decision)>, Rejection> {
        let with = |is_misread| find(if is_misread { Arguments::Unknown } else { known });
        let mut found = with(is_misread);
        let Some((_, instead, _)) = &found else { return Ok(None) };
        let is_tested = self.is_tested(instead, at, caller);
        if is_tested != is_misread {
            found = with(is_tested);
        }
        let found = found.map(|(decoy, _, decision)| (decoy, decision));
        let passes = found.as_ref().is_some_and(|(_, decision)| decision.verdict != Verdict::Deny);
        if is_tested && passes { Err(self.rejection(at)) } else { Ok(found) }
    }

    fn rejection(&self, at: usize) -> Rejection {
        let error = Malformed::Params("an argument that a rule tests cannot be read");
        let id = self.messages.get(at).map(Message::id).unwrap_or_default();
        Rejection::MalformedMessage { error, id: Box::new(id) }
    }
}

fn by_folded_name(params: &Params) -> ByFoldedName<'_> {
    let known = params.arguments.iter().flat_map(Map::keys).map(|name| (name.as_str(), true));
    let mut names = ByFoldedName::new();
    for (name, readable) in known.chain(params.unreadable.iter().map(|name| (name.as_str(), false))) {
        names.entry(fold(name)).or_default().push((name, readable));
    }
    names
}

/// Permits a request for a path that configuration opens to everyone.
#[must_use]
pub fn permit_public(request: PublicRequest) -> Permit {
    let request = Permitted::Public(Box::new(request));
    Permit { request, session: SessionUse::None, last_event: None, stand_in: StandIn::Nothing }
}

/// Whether a message is one by which clients tell eras.
#[must_use]
pub fn is_probe(messages: Option<&[Message]>) -> Option<bool> {
    let calls = messages?.iter().filter_map(Message::call);
    Some(calls.into_iter().any(|call| call.known().is_some_and(|known| known.is_probe)))
}
