//! Decides about the items of lists, as the policy and the lock decide about their use.

use std::cell::RefCell;
use std::rc::Rc;

use crate::mcp::kind::Kind;
use crate::mcp::list_item::{ItemDecision, ItemPolicy};
use crate::mcp::operation::Operation;
use crate::pipeline::permit::Permit;
use crate::policy::caller::Caller;
use crate::policy::decide::{Policy, methods_of};
use crate::policy::lock::{KnownDefinitions, Lock};
use crate::policy::verdict::{Arguments, StepUpInLists, Verdict};
use crate::settings::federation::Server;

/// The member of `_meta` that marks an item whose use needs a step-up.
const STEP_UP: &str = "portcullis/step-up";

/// Holds the items of a server to the definitions that were reviewed.
#[derive(Debug)]
pub(super) struct LockOfItems {
    lock: Rc<Lock>,
    resource: usize,
    /// The resource and the server, in the log.
    place: String,
    known: Rc<RefCell<KnownDefinitions>>,
}

impl LockOfItems {
    pub(super) fn of(permit: &Permit, known: &Rc<RefCell<KnownDefinitions>>) -> Option<Self> {
        let resource = permit.resource()?;
        let lock = Rc::clone(resource.lock.as_ref()?);
        let server = permit.server().map(|server| format!(", server {:?}", server.names.server));
        let place = format!("{}{}", resource.path.as_str(), server.unwrap_or_default());
        Some(Self { lock, resource: resource.index, place, known: Rc::clone(known) })
    }

    fn shows(&self, kind: Kind, name: &str, item: &[u8]) -> bool {
        let of = (&*self.lock, self.resource, self.place.as_str());
        self.known.borrow_mut().shows(of, (kind, name), item)
    }
}

/// Decides about the items of lists as the policy would decide about their use.
pub(super) struct PolicyOfItems {
    policy: Option<Rc<Policy>>,
    lock: Option<LockOfItems>,
    server: Option<Rc<Server>>,
    caller: Caller,
    pub(super) depends: bool,
}

impl PolicyOfItems {
    pub(super) fn of(
        (policy, lock): (Option<Rc<Policy>>, Option<LockOfItems>),
        server: Option<Rc<Server>>,
        caller: Caller,
    ) -> Self {
        Self { policy, lock, server, caller, depends: false }
    }
}

impl ItemPolicy for PolicyOfItems {
    fn decide(&mut self, kind: Kind, name: &str) -> ItemDecision {
        let advertised = match &self.server {
            None => Some(name.to_owned()),
            Some(server) => server.names.advertised(kind, name),
        };
        let Some(name) = advertised else {
            let is_shown = self.server.as_ref().is_some_and(|server| server.names.shows(kind, name));
            return if is_shown { ItemDecision::Unusable } else { ItemDecision::Drop };
        };
        let Some(policy) = &self.policy else { return ItemDecision::Keep };
        let method = methods_of(kind).next().unwrap_or_default();
        let decision = policy.decide(&Operation::on(method, kind, &name), &self.caller, Arguments::Unknown);
        self.depends |= decision.depends_on_caller;
        match (decision.verdict, policy.step_up_in_lists) {
            (Verdict::Allow | Verdict::Approve, _) => ItemDecision::Keep,
            // A sign-in becomes too old while the list stays in the client's memory, so lists do not depend on it.
            (Verdict::StepUp { missing, .. }, _) if missing.is_empty() => ItemDecision::Keep,
            (Verdict::StepUp { scopes, .. }, StepUpInLists::Mark) => {
                let scopes: Vec<&str> = scopes.iter().map(crate::oauth::scope::Scope::as_str).collect();
                ItemDecision::Mark(STEP_UP, serde_json::json!({ "scopes": scopes }).to_string())
            }
            (Verdict::StepUp { .. }, StepUpInLists::Hide) | (Verdict::Deny, _) => ItemDecision::Drop,
        }
    }

    fn lock_state(&self) -> u64 {
        self.lock.as_ref().map_or(0, |lock| lock.known.borrow().state())
    }

    fn shows(&mut self, kind: Kind, name: &str, item: &[u8]) -> bool {
        self.lock.as_ref().is_none_or(|lock| lock.shows(kind, name, item))
    }

    fn mark(&self) -> Option<&'static str> {
        self.policy.as_ref().filter(|policy| policy.step_up_in_lists == StepUpInLists::Mark).map(|_| STEP_UP)
    }

    fn depends_on_caller(&self, kind: Kind, paged: bool) -> bool {
        // All pages of a list must have one cache scope (T31), and this page does not show the items of the others.
        self.depends || (paged && self.policy.as_ref().is_some_and(|policy| policy.depends_on_caller(kind)))
    }
}
