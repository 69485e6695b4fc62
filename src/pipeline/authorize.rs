//! The fifth stage: what the caller may do.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::content::in_flight::Running;
use crate::mcp::era::Era;
use crate::mcp::message::{Call, Message, is_batch};
use crate::mcp::operation::Operation;
use crate::oauth::bearer::MissingCredentials;
use crate::oauth::scope::{ScopeHierarchy, ScopeSet};
use crate::pipeline::caller_state::{CallerState, SessionUse};
use crate::pipeline::context::RequestContext;
use crate::pipeline::examine::examine;
use crate::pipeline::handles::{Handles, original_request};
use crate::pipeline::inspect::Inspected;
use crate::pipeline::limited_call::{LimitedCall, LimitedTool};
use crate::pipeline::misread::Misread;
use crate::pipeline::permit::{Permit, StandIn};
use crate::pipeline::record::{DecisionRecord, scopes_for};
use crate::pipeline::rejection::Rejection;
use crate::pipeline::route::PublicRequest;
use crate::policy::approval::{ApprovalNeed, PersonDecision};
use crate::policy::caller::Caller;
use crate::policy::decide::Policy;
use crate::policy::lock::KnownDefinitions;
use crate::policy::sign_in::SignIn;
use crate::policy::verdict::{Arguments, DecidedBy, Verdict};
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::strict_json;

/// The method that replaces the method of a rejected request: no server has it.
const REFUSED_METHOD: &str = "portcullis/refused";
/// The same for notifications.
const REFUSED_NOTIFICATION: &str = "notifications/portcullis-refused";

/// A request that the rules permit, before its rate limits are counted: [`Authorized::within_limits`] makes the permit.
#[derive(Debug)]
pub struct Authorized {
    permit: Permit,
    calls: Vec<LimitedCall>,
    /// The approval that it still needs.
    approval: Option<Box<ApprovalNeed>>,
}

impl Authorized {
    /// A request in whose place goes a message without effect: nothing counts it.
    fn refused(permit: Permit) -> Self {
        Self { permit, calls: Vec::new(), approval: None }
    }

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

    /// The same, as calls that run until the permit is dropped, and all that is made from it.
    #[must_use]
    pub fn running(self, running: Vec<Rc<Running>>) -> Self {
        Self { permit: self.permit.running(running), ..self }
    }

    /// The same, for a message in which hooks replaced the arguments.
    ///
    /// # Errors
    /// [`Rejection::Internal`] if the body is no message.
    pub fn with_arguments(self, body: Vec<u8>) -> Result<Self, Rejection> {
        Ok(Self { permit: self.permit.with_arguments(body)?, ..self })
    }

    /// The approval of a person that it still needs.
    #[must_use]
    pub fn approval(&self) -> Option<&ApprovalNeed> {
        self.approval.as_deref()
    }

    /// The same, which a person has approved.
    #[must_use]
    pub fn approved(self, approved: PersonDecision) -> Self {
        Self { permit: self.permit.approved(approved), approval: None, ..self }
    }

    /// Refuses the request. In the transport of 2024-11-05 the permit is for a message without effect in its place.
    ///
    /// # Errors
    /// The rejection, in all other transports.
    pub fn refuse(self, refusal: Rejection, context: &mut RequestContext) -> Result<Permit, Rejection> {
        let messages = self.permit.inspected().filter(|_| self.permit.is_apart()).and_then(Inspected::messages);
        let Some(instead) = messages.and_then(refused) else { return Err(refusal) };
        context.audit.note_stand_in(refusal.clone());
        Ok(self.permit.refused(refusal, instead))
    }

    /// The permit. Call this after the limits of the resource were counted.
    ///
    /// # Errors
    /// [`Rejection::Internal`] if it still needs an approval.
    pub fn within_limits(self) -> Result<Permit, Rejection> {
        match self.approval {
            None => Ok(self.permit),
            Some(_) => Err(Rejection::Internal("a call was not approved")),
        }
    }
}

/// Permits a request if:
///
/// 1. its caller has every scope that the resource requires, directly or through the hierarchy (R10);
/// 2. the rules allow each of its messages.
///
/// If a wildcard allows unknown names, a rejection of a hidden name would reveal that it exists. The permit is then for a
/// decoy ([`Decoy`](crate::policy::decoy::Decoy)): a name that the rules allow and that does not exist.
///
/// In the transport of 2024-11-05, responses arrive on another connection than their requests, and clients close the
/// connection if a POST is rejected. There the gateway sends a message without effect in place of a rejected one, and
/// the origin server's error for it is the answer.
///
/// # Errors
/// [`Rejection::InsufficientScope`] with all missing scopes at once (R9), [`Rejection::SignInNotEnough`], [`Rejection::NotPermitted`] or
/// [`Rejection::TaskUnknown`] if for this caller there is no such item, [`Rejection::Forbidden`] if the request has no message and the rules deny it, or
/// [`Rejection::MalformedMessage`] if the gateway cannot read an argument that a rule tests.
pub fn authorize(
    inspected: Inspected,
    state: CallerState,
    settings: &Settings,
    (templates, definitions): (&dyn Fn() -> Vec<String>, &KnownDefinitions),
    context: &mut RequestContext,
) -> Result<Authorized, Rejection> {
    let inspected = match state.handles.came_back() {
        Some(_) => inspected.without_answers()?,
        None => inspected,
    };
    let resource = Rc::clone(inspected.resource());
    let caller = inspected.caller();
    let is_anonymous = inspected.authenticated().is_anonymous();
    let of_resource = scopes_for(&resource, &caller);
    let mut whole = Whole::of(&of_resource);
    let (mut decoys, mut calls) = (Vec::new(), Vec::new());
    let mut unlocked = None;
    let (era, apart) = (inspected.era(), matches!(state.session, SessionUse::Endpoint(_)));
    if let Some(policy) = &resource.policy {
        let without_message = Asked { operation: Operation::without_message(), at: 0, call: None };
        let operations = match inspected.messages() {
            None => vec![without_message],
            Some(messages) => asked(messages, &state.handles)?,
        };
        let mut misread = Misread::new(policy, inspected.messages().unwrap_or_default());
        for Asked { operation, at, call } in operations {
            // A task began with arguments that are not at hand any more.
            let known = if operation.is_of_task() {
                Arguments::Unknown
            } else {
                Arguments::Known(call.and_then(|call| call.params.arguments.as_ref()))
            };
            let is_misread = misread.is_tested(&operation, at, &caller);
            let mut decision = policy.decide(&operation, &caller, if is_misread { Arguments::Unknown } else { known });
            if is_misread && decision.verdict != Verdict::Deny {
                return Err(misread.rejection(at));
            }
            let denied_by = call.filter(|call| call.method == operation.method).map(|_| decision.by);
            let held = not_as_locked(&resource, &operation, definitions, (era, apart));
            if let Some(rejection) = held.filter(|_| decision.verdict != Verdict::Deny || policy.observe) {
                (decision.verdict, decision.by) = (Verdict::Deny, DecidedBy::Lock);
                unlocked = unlocked.or(Some(rejection));
            }
            let (mut verdict, mut by, mut instead) = (decision.verdict.clone(), decision.by, None);
            let mut tool = match decision.by {
                DecidedBy::Rule(_) | DecidedBy::Protocol => LimitedTool::Itself,
                DecidedBy::Default | DecidedBy::InvalidName | DecidedBy::Lock => LimitedTool::Unknown,
            };
            let is_denied = decision.verdict == Verdict::Deny && !policy.observe && !is_anonymous;
            let hides = is_denied && needs_stand_in(&resource, &operation);
            let stand_in = if hides {
                let find = |arguments| policy.decoy((&operation, denied_by), &caller, arguments, templates);
                misread.stand_in(&find, (known, is_misread), at, &caller)?
            } else {
                None
            };
            if let Some((mut stand_in, operation, decision)) = stand_in {
                stand_in.at = at;
                // A hidden name gets the verdict that a name that does not exist would get.
                (verdict, by) = (decision.verdict, decision.by);
                tool = LimitedTool::StandIn;
                instead = Some(operation);
                decoys.extend(Some(stand_in).filter(|_| verdict.permits()));
            }
            whole.add(&verdict, &operation, (era, apart), || {
                approval_need((policy, by), &operation, (&inspected, call))
            });
            let arguments = inspected.arguments();
            context
                .audit
                .note_decision(DecisionRecord::new(policy, &resource, &operation, &caller, decision, arguments));
            calls.push(LimitedCall { operation: Some(operation), tool, at, instead });
        }
        if policy.observe {
            whole = Whole::of(&of_resource);
        }
    } else if let Some(messages) = inspected.messages() {
        for Asked { operation, at, .. } in asked(messages, &state.handles)? {
            unlocked = unlocked.or_else(|| not_as_locked(&resource, &operation, definitions, (era, apart)));
            calls.push(LimitedCall { operation: Some(operation), tool: LimitedTool::Itself, at, instead: None });
        }
    }
    let Whole { needed, sign_in, refusal, approval } = whole;
    let refusal = unlocked.or(refusal);
    // A rejection for a name that does not exist may challenge only for the scopes that every request needs.
    let needed = if refusal.is_some() { of_resource } else { needed };
    let refusal = refused_for_rights(refusal, (needed, sign_in), &caller, &settings.scopes);
    // To an anonymous caller, a login may bring what the rules ask for.
    if is_anonymous && (refusal.is_some() || approval.is_some()) {
        return Err(Rejection::NoCredentials(MissingCredentials::Field));
    }
    if let Some(refusal) = refusal {
        let Some(instead) = inspected.messages().filter(|_| apart).and_then(refused) else { return Err(refusal) };
        context.audit.note_stand_in(refusal.clone());
        let stand_in = StandIn::Refusal(Box::new(refusal), instead);
        return Ok(Authorized::refused(Permit::of_resource(inspected, state, stand_in)));
    }
    if !decoys.is_empty() {
        context.audit.note_stand_in(Rejection::NotPermitted { target: None, era, apart: false });
    }
    if calls.is_empty() {
        calls.push(LimitedCall { operation: None, tool: LimitedTool::Itself, at: 0, instead: None });
    }
    let stand_in = if decoys.is_empty() { StandIn::Nothing } else { StandIn::Decoys(decoys) };
    examined(inspected, state, (stand_in, calls, approval), settings, context)
}

/// The refusal of a request whose caller lacks rights that it could get, or else the refusal that there is. One challenge names
/// everything that the request needs: a new sign-in gives a new token, with the scopes too.
fn refused_for_rights(
    refusal: Option<Rejection>,
    (needed, sign_in): (ScopeSet, Option<SignIn>),
    caller: &Caller,
    scopes: &ScopeHierarchy,
) -> Option<Rejection> {
    let missing = scopes.missing(&caller.subject.scopes, &needed);
    match (refusal, sign_in) {
        (None, Some(sign_in)) => {
            let lacks = sign_in.lacks(&caller.subject.rights, caller.now);
            Some(Rejection::SignInNotEnough { sign_in, lacks, needed })
        }
        (refusal, _) if missing.is_empty() => refusal,
        _ => Some(Rejection::InsufficientScope { missing, needed }),
    }
}

/// Examines what a permitted request contains, and makes the permit for it.
fn examined(
    inspected: Inspected,
    state: CallerState,
    (stand_in, calls, approval): (StandIn, Vec<LimitedCall>, Option<Box<ApprovalNeed>>),
    settings: &Settings,
    context: &mut RequestContext,
) -> Result<Authorized, Rejection> {
    // A batch cannot be approved.
    let inspected = match &approval {
        Some(_) if !is_batch(inspected.body()) => inspected.alone(state.handles.state_since().is_some())?,
        _ => inspected,
    };
    let (examined, changed) = match examine(&inspected, &calls, settings) {
        Ok(passed) => passed,
        Err(refusal) => {
            if let Rejection::HeldBack(held) = &refusal {
                context.audit.note_content(held.found.clone(), None);
            }
            let apart = matches!(state.session, SessionUse::Endpoint(_));
            let Some(instead) = inspected.messages().filter(|_| apart).and_then(refused) else { return Err(refusal) };
            context.audit.note_stand_in(refusal.clone());
            let stand_in = StandIn::Refusal(Box::new(refusal), instead);
            return Ok(Authorized::refused(Permit::of_resource(inspected, state, stand_in)));
        }
    };
    context.audit.note_content(changed.found, changed.observed);
    let is_examined = inspected.resource().content.is_some();
    let inspected = match changed.body {
        None => inspected,
        Some(body) => inspected.with_masks(body)?,
    };
    let permit = Permit::of_resource(inspected, state, stand_in);
    Ok(Authorized { permit: if is_examined { permit.examined(examined) } else { permit }, calls, approval })
}

/// What the verdicts about all operations of a request make of it.
struct Whole {
    needed: ScopeSet,
    sign_in: Option<SignIn>,
    refusal: Option<Rejection>,
    approval: Option<Box<ApprovalNeed>>,
}

impl Whole {
    fn of(resource: &ScopeSet) -> Self {
        Self { needed: resource.clone(), sign_in: None, refusal: None, approval: None }
    }

    fn add(
        &mut self,
        verdict: &Verdict,
        operation: &Operation,
        (era, apart): (Era, bool),
        approval: impl FnOnce() -> ApprovalNeed,
    ) {
        match verdict {
            Verdict::Allow => {}
            Verdict::Approve => {
                self.approval.get_or_insert_with(|| Box::new(approval()));
            }
            Verdict::StepUp { scopes, sign_in, .. } => {
                self.needed = self.needed.iter().chain(scopes.iter()).cloned().collect();
                if let Some(sign_in) = sign_in {
                    self.sign_in = Some(match self.sign_in.take() {
                        Some(other) => other.and(sign_in),
                        None => sign_in.clone(),
                    });
                }
            }
            Verdict::Deny if operation.method.is_empty() => self.refusal = Some(Rejection::Forbidden),
            Verdict::Deny if operation.is_of_task() => {
                self.refusal.get_or_insert(Rejection::TaskUnknown { declared: true });
            }
            Verdict::Deny => {
                let target = operation.target.as_ref().map(|(kind, _)| *kind);
                self.refusal.get_or_insert(Rejection::NotPermitted { target, era, apart });
            }
        }
    }
}

/// The approval that a call needs.
fn approval_need(
    (policy, by): (&Policy, DecidedBy),
    operation: &Operation,
    (inspected, call): (&Inspected, Option<&Call>),
) -> ApprovalNeed {
    ApprovalNeed {
        rule: policy.name(by).to_owned(),
        policy: policy.hash.clone(),
        // Without approvers, no person can approve it.
        approvers: policy.approvers(by).cloned().unwrap_or_default(),
        tool: operation.name().unwrap_or_default().to_owned(),
        request: call.map(|call| original_request(call, inspected)).unwrap_or_default(),
    }
}

/// Whether something has to stand in for a denied operation, so that its server answers as for an item that it does not have.
fn needs_stand_in(resource: &Resource, operation: &Operation) -> bool {
    // Under no other name would a server say that it does not have the item.
    let is_alias = |name: &str| resource.federation.as_ref().is_some_and(|servers| servers.is_alias(name));
    // Where only what was reviewed exists, the gateway itself answers for all other names.
    let is_closed = resource.locked_item(operation).is_some_and(|(lock, ..)| lock.closes());
    // A task that does not exist for a caller needs none: only the gateway issues the ids of those that do.
    !operation.is_of_task() && !operation.name().is_some_and(is_alias) && !is_closed
}

/// Why an operation is refused whose item is not as the lock of its server says.
fn not_as_locked(
    resource: &Resource,
    operation: &Operation,
    definitions: &KnownDefinitions,
    (era, apart): (Era, bool),
) -> Option<Rejection> {
    let (kind, _) = operation.target.as_ref()?;
    let (lock, index, of, name) = resource.locked_item(operation)?;
    let (why, is_seen) = definitions.refuses(lock, index, (of, &name))?;
    // To a caller, an item that was not reviewed is there only if its server has it.
    Some(Rejection::NotAsLocked { kind: *kind, why, says_why: lock.says_why && is_seen, era, apart })
}

/// Messages without effect, in place of these messages.
fn refused(messages: &[Message]) -> Option<Vec<u8>> {
    let instead = |message: &Message| match message {
        Message::Request { id, .. } => {
            let id = strict_json::parse(id.to_json().as_bytes()).ok()?;
            Some(json!({ "jsonrpc": "2.0", "id": id, "method": REFUSED_METHOD }))
        }
        Message::Notification(_) => Some(json!({ "jsonrpc": "2.0", "method": REFUSED_NOTIFICATION })),
        Message::Response(_) => None,
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
    Permit::of_public(request)
}

/// Whether one of the messages is a request by which clients detect the era; `None` if the gateway did not read the
/// messages.
#[must_use]
pub fn is_probe(messages: Option<&[Message]>) -> Option<bool> {
    let calls = messages?.iter().filter_map(Message::call);
    Some(calls.into_iter().any(|call| call.known().is_some_and(|known| known.is_probe)))
}
