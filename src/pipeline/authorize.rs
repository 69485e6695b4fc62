//! The fifth stage: what the caller may do.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::mcp::message::{Call, Message};
use crate::mcp::operation::Operation;
use crate::mcp::rewrite::rewritten;
use crate::oauth::bearer::MissingCredentials;
use crate::pipeline::admit::Admitted;
use crate::pipeline::context::RequestContext;
use crate::pipeline::handles::Handles;
use crate::pipeline::inspect::Inspected;
use crate::pipeline::misread::Misread;
use crate::pipeline::record::{DecisionRecord, scopes_for};
use crate::pipeline::rejection::Rejection;
use crate::pipeline::route::PublicRequest;
use crate::policy::decoy::Decoy;
use crate::policy::verdict::{Arguments, DecidedBy, Verdict};
use crate::settings::Settings;
use crate::settings::resource::OriginServer;
use crate::strict_json;
use crate::token::principal::{IdentityClaim, Principal};
use crate::transport::head::Method;

/// Proof that a request may be forwarded. Only this module makes it.
#[derive(Debug)]
pub struct Permit {
    request: Permitted,
    state: CallerState,
    stand_in: StandIn,
}

/// What the gateway keeps for a caller outside of itself, and this request brought back.
#[derive(Debug, Default)]
pub struct CallerState {
    /// The session that the request belongs to.
    pub session: SessionUse,
    /// The origin server's id of the last event that the caller received, if the gateway binds event ids to their callers.
    pub last_event: Option<String>,
    /// Its task ids, `requestState` and URIs of Apps.
    pub handles: Handles,
}

/// What the gateway sends instead of the caller's message.
#[derive(Debug)]
enum StandIn {
    /// Nothing: the message is forwarded as it is.
    Nothing,
    /// Decoys: names and methods that certainly do not exist, each in place of one that is hidden from the caller, and
    /// the message with them.
    Decoys(Vec<Decoy>),
    /// A rejection, and a message without effect in place of each rejected message.
    Refusal(Box<Rejection>, Vec<u8>),
}

/// The method that replaces the method of a rejected request: no server has it.
const REFUSED_METHOD: &str = "portcullis/refused";
/// The same for notifications.
const REFUSED_NOTIFICATION: &str = "notifications/portcullis-refused";

/// A request that the rules permit, before its rate limits are counted: [`Authorized::within_limits`] makes the permit.
#[derive(Debug)]
pub struct Authorized {
    permit: Permit,
    calls: Vec<LimitedCall>,
}

/// A permitted operation, as rate limits count it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitedCall {
    /// What the caller asked for; `None` if the gateway did not read the message.
    pub operation: Option<Operation>,
    /// The tool that the call counts for.
    pub tool: LimitedTool,
}

/// The tool that a call counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitedTool {
    /// The tool that the operation names, if any.
    Itself,
    /// A hidden name, which a decoy replaces. It counts as a name that does not exist, and never as the tool.
    StandIn,
    /// A name that no rule permits, under a policy that is only observed. All such names of a caller are counted
    /// together.
    Unknown,
}

impl Authorized {
    /// The request.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The operations that the limits count.
    #[must_use]
    pub fn calls(&self) -> &[LimitedCall] {
        &self.calls
    }

    /// The permit. Call this after the limits of the resource were counted.
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

/// The session that a request belongs to, if the gateway binds sessions to their callers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SessionUse {
    /// The gateway does not bind sessions: it forwards the caller's session id.
    #[default]
    Unbound,
    /// The request belongs to no session.
    None,
    /// The session id of the origin server, and the sealed id that the caller has.
    Id {
        /// The origin server's id.
        id: String,
        /// The caller's id.
        sealed: String,
    },
    /// Path and query, at the origin server, for messages of a session in the transport of 2024-11-05.
    Endpoint(String),
}

impl SessionUse {
    /// The session id of the origin server, if there is one.
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

    /// The request to a resource, as it was inspected; `None` for a public path.
    #[must_use]
    pub fn inspected(&self) -> Option<&Inspected> {
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
            StandIn::Nothing if self.state.handles.is_empty() => Ok(None),
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
        let body = rewritten(body, &mut |at, member, given| {
            let original = handles.original(at, member, given);
            let found = Decoy::replacing(decoys, at, member, original.unwrap_or(given));
            for (index, _) in &found {
                used.get_mut(*index).into_iter().for_each(|used| *used = true);
            }
            found.first().map(|(_, decoy)| decoy.name.as_str()).or(original).map(str::to_owned)
        })?;
        used.into_iter().all(|used| used).then_some(body)
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
        self.state.last_event.as_deref()
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
        match &self.request {
            Permitted::Public(request) => (&request.path().origin, "", 0),
            Permitted::Resource(inspected) => {
                let request = inspected.authenticated().request();
                (&request.resource().origin, request.below(), request.resource().body_bytes)
            }
        }
    }

    /// Whether the origin server learns who calls.
    #[must_use]
    pub fn names_caller(&self) -> bool {
        self.inspected().is_none_or(|inspected| inspected.resource().names_caller)
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

/// Permits a request if:
///
/// 1. its caller has every scope that the resource requires, directly or through the hierarchy (R10);
/// 2. the rules allow each of its messages.
///
/// If a wildcard allows unknown names, a rejection of a hidden name would reveal that it exists. The permit is then for a
/// decoy ([`Decoy`]): a name that the rules allow and that does not exist.
///
/// In the transport of 2024-11-05, responses arrive on another connection than their requests, and clients close the
/// connection if a POST is rejected. There the gateway sends a message without effect in place of a rejected one, and
/// the origin server's error for it is the answer.
///
/// # Errors
/// [`Rejection::InsufficientScope`] with all missing scopes at once (R9), [`Rejection::NotPermitted`] or
/// [`Rejection::TaskUnknown`] if for this caller there is no such item, [`Rejection::Forbidden`] if the request has no message and the rules deny it, or
/// [`Rejection::MalformedMessage`] if the gateway cannot read an argument that a rule tests.
pub fn authorize(
    inspected: Inspected,
    state: CallerState,
    settings: &Settings,
    templates: &dyn Fn() -> Vec<String>,
    context: &mut RequestContext,
) -> Result<Authorized, Rejection> {
    let resource = Rc::clone(inspected.resource());
    let caller = inspected.caller();
    let is_anonymous = inspected.authenticated().is_anonymous();
    let of_resource = scopes_for(&resource, &caller);
    let mut needed = of_resource.clone();
    let mut refusal = None;
    let mut decoys = Vec::new();
    let mut calls = Vec::new();
    if let Some(policy) = &resource.policy {
        let era = inspected.authenticated().request().admitted().era();
        let without_message = Asked { operation: Operation::without_message(), at: 0, call: None };
        let operations = match inspected.messages() {
            None => vec![without_message],
            Some(messages) => asked(messages, &state.handles)?,
        };
        let mut misread = Misread::new(policy, inspected.messages().unwrap_or_default());
        let apart = matches!(state.session, SessionUse::Endpoint(_));
        for Asked { operation, at, call } in operations {
            // A task began with arguments that are not at hand any more.
            let known = if operation.is_of_task() {
                Arguments::Unknown
            } else {
                Arguments::Known(call.and_then(|call| call.params.arguments.as_ref()))
            };
            let is_misread = misread.is_tested(&operation, at, &caller);
            let decision = policy.decide(&operation, &caller, if is_misread { Arguments::Unknown } else { known });
            if is_misread && decision.verdict != Verdict::Deny {
                return Err(misread.rejection(at));
            }
            let denied_by = call.filter(|call| call.method == operation.method).map(|_| decision.by);
            let mut verdict = decision.verdict.clone();
            let mut tool = match decision.by {
                DecidedBy::Rule(_) | DecidedBy::Protocol => LimitedTool::Itself,
                DecidedBy::Default | DecidedBy::InvalidName => LimitedTool::Unknown,
            };
            // A task that does not exist for a caller needs no stand-in: only the gateway issues the ids of those that do.
            let hides = verdict == Verdict::Deny && !policy.observe && !is_anonymous && !operation.is_of_task();
            let stand_in = if hides {
                let find = |arguments| policy.decoy((&operation, denied_by), &caller, arguments, templates);
                misread.stand_in(&find, (known, is_misread), at, &caller)?
            } else {
                None
            };
            if let Some((mut stand_in, decision)) = stand_in {
                stand_in.at = at;
                // A hidden name gets the verdict that a name that does not exist would get.
                verdict = decision.verdict;
                tool = LimitedTool::StandIn;
                decoys.extend(Some(stand_in).filter(|_| verdict == Verdict::Allow));
            }
            match &verdict {
                Verdict::Allow => {}
                Verdict::StepUp { scopes, .. } => needed = needed.iter().chain(scopes.iter()).cloned().collect(),
                Verdict::Deny if operation.method.is_empty() => refusal = Some(Rejection::Forbidden),
                Verdict::Deny if operation.is_of_task() => {
                    refusal = refusal.or(Some(Rejection::TaskUnknown { declared: true }));
                }
                Verdict::Deny => {
                    let target = operation.target.as_ref().map(|(kind, _)| *kind);
                    refusal = refusal.or(Some(Rejection::NotPermitted { target, era, apart }));
                }
            }
            let arguments = inspected.arguments();
            context
                .audit
                .note_decision(DecisionRecord::new(policy, &resource, &operation, &caller, decision, arguments));
            calls.push(LimitedCall { operation: Some(operation), tool });
        }
        if policy.observe {
            (refusal, needed) = (None, of_resource.clone());
        }
    } else if let Some(messages) = inspected.messages() {
        let asked = asked(messages, &state.handles)?.into_iter();
        calls.extend(asked.map(|asked| LimitedCall { operation: Some(asked.operation), tool: LimitedTool::Itself }));
    }
    // A rejection for a name that does not exist may challenge only for the scopes that every request needs.
    let needed = if refusal.is_some() { of_resource } else { needed };
    let missing = settings.scopes.missing(&caller.subject.scopes, &needed);
    let refusal = if missing.is_empty() { refusal } else { Some(Rejection::InsufficientScope { missing, needed }) };
    // To an anonymous caller, a login may bring what the rules ask for.
    if is_anonymous && refusal.is_some() {
        return Err(Rejection::NoCredentials(MissingCredentials::Field));
    }
    if let Some(refusal) = refusal {
        let apart = matches!(state.session, SessionUse::Endpoint(_));
        let Some(instead) = inspected.messages().filter(|_| apart).and_then(refused) else { return Err(refusal) };
        context.audit.note_stand_in(refusal.clone());
        let stand_in = StandIn::Refusal(Box::new(refusal), instead);
        let request = Permitted::Resource(Box::new(inspected));
        return Ok(Authorized { permit: Permit { request, state, stand_in }, calls: Vec::new() });
    }
    if !decoys.is_empty() {
        let era = inspected.authenticated().request().admitted().era();
        context.audit.note_stand_in(Rejection::NotPermitted { target: None, era, apart: false });
    }
    if calls.is_empty() {
        calls.push(LimitedCall { operation: None, tool: LimitedTool::Itself });
    }
    let stand_in = if decoys.is_empty() { StandIn::Nothing } else { StandIn::Decoys(decoys) };
    let permit = Permit { request: Permitted::Resource(Box::new(inspected)), state, stand_in };
    Ok(Authorized { permit, calls })
}

/// Messages without effect, in place of these messages.
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

/// An operation, the index of its message in a batch, and that message.
struct Asked<'a> {
    operation: Operation,
    at: usize,
    call: Option<&'a Call>,
}

/// The operations of messages.
fn asked<'a>(messages: &'a [Message], handles: &Handles) -> Result<Vec<Asked<'a>>, Rejection> {
    let mut all = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let Some(call) = message.call() else { continue };
        let operations = call.operations().map_err(|_| Rejection::Internal("an operation without its name"))?;
        let operations = handles.operations(at, call, operations);
        all.extend(operations.into_iter().map(|operation| Asked { operation, at, call: Some(call) }));
    }
    Ok(all)
}

/// Permits a request for a path that the configuration makes public.
#[must_use]
pub fn permit_public(request: PublicRequest) -> Permit {
    let request = Permitted::Public(Box::new(request));
    let state = CallerState { session: SessionUse::None, ..CallerState::default() };
    Permit { request, state, stand_in: StandIn::Nothing }
}

/// Whether one of the messages is a request by which clients detect the era; `None` if the gateway did not read the
/// messages.
#[must_use]
pub fn is_probe(messages: Option<&[Message]>) -> Option<bool> {
    let calls = messages?.iter().filter_map(Message::call);
    Some(calls.into_iter().any(|call| call.known().is_some_and(|known| known.is_probe)))
}
