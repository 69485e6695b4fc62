//! Stage 5 of a request: whether the caller may do that, and how often.

use crate::platform_error::PlatformError;
use std::rc::Rc;

use base16ct::lower::encode_string as hex;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::content::examined::HeldBack;
use crate::content::fault::Fault;
use crate::gateway::active_request::{Action, ActiveRequest, Suspended};
use crate::gateway::open::Gateway;
use crate::mcp::message::{Call, Message};
use crate::mcp::method::CALL_TOOL;
use crate::mcp::operation::Operation;
use crate::pipeline::authorize::{self, Authorized};
use crate::pipeline::inspect::Inspected;
use crate::pipeline::limited_call::LimitedTool;
use crate::pipeline::rejection::Rejection;
use crate::policy::budget::BudgetCheck;
use crate::policy::caller::Caller;
use crate::policy::counters::{CounterName, Rate, RateLimitCheck};
use crate::policy::limit::{Limit, LimitKey};
use crate::policy::pattern::fold;
use crate::ports::Ports;
use crate::time::UnixMillis;
use crate::token::principal::{Principal, Subject};
use crate::transport::head::Method;

/// The state of counting the limits of a resource.
pub(super) enum LimitCheck {
    /// All limits are counted: the request is within them.
    Within(Box<Authorized>),
    /// The limits of this isolate are checked; those of rate limiting bindings still have to be.
    Checks(Vec<RateLimitCheck>, Box<Authorized>),
}

/// What identifies a caller for counting. The client is not part of it, because one user may log in with any number of
/// clients.
fn identity(caller: &Caller) -> [&str; 2] {
    [&caller.subject.issuer, &caller.subject.subject]
}

/// The caller for counting. Callers without credentials have no identity: each counts by its network, so that one of them
/// cannot use up what the others may do. No issuer has the empty name that they have in these keys.
fn counted(inspected: &Inspected) -> Caller {
    let caller = inspected.caller();
    if !inspected.authenticated().is_anonymous() {
        return caller;
    }
    let network = inspected.authenticated().request().admitted().head().network();
    Caller { subject: Rc::new(Subject { subject: network, ..Subject::anonymous() }), ..caller }
}

impl<P: Ports> ActiveRequest<'_, P> {
    /// Authorizes a request, and then counts it:
    ///
    /// 1. a caller that had too many requests rejected by the policy within a minute is rejected before any rule is
    ///    evaluated;
    /// 2. the request's session belongs to its caller, and the rules permit what it asks for;
    /// 3. only permitted requests count for the limits of the resource, so that no caller uses up a limit with requests
    ///    that it may not make.
    pub(super) fn authorize(&mut self, inspected: Inspected) -> Result<LimitCheck, Rejection> {
        let (gateway, now) = (self.gateway, self.ports.now());
        let is_anonymous = inspected.authenticated().is_anonymous();
        let (name, rate) = gateway.refusals(&inspected);
        let checked = gateway.memory.borrow().counters.borrow_mut().of_refusals(is_anonymous).check(&name, rate, now);
        checked.map_err(|retry_after| too_often(&inspected, retry_after))?;
        let templates = (inspected.resource().index, "resourceTemplates");
        let templates = || gateway.answers.items.borrow().names(templates);
        let authorized = gateway.caller_state(&inspected, now).and_then(|state| {
            let definitions = gateway.answers.definitions.borrow();
            let known: (&dyn Fn() -> Vec<String>, _) = (&templates, &*definitions);
            authorize::authorize(inspected, state, &gateway.settings, known, &mut self.context)
        });
        let refused = match &authorized {
            Ok(authorized) => authorized.permit().refusal().is_some(),
            Err(rejection) => rejection.is_of_policy(),
        };
        if refused {
            gateway.count_refusal(is_anonymous, (&name, rate), now);
        }
        let authorized = authorized?;
        let authorized = self.begun(authorized, now)?;
        let mut checks = Vec::new();
        let mut here = Vec::new();
        for (limit, counter) in gateway.limited(&authorized) {
            match &limit.binding {
                Some(binding) => checks.push(RateLimitCheck { binding: binding.clone(), limit, counter }),
                None => here.push((counter, limit.rate())),
            }
        }
        let memory = gateway.memory.borrow();
        let mut counters = memory.counters.borrow_mut();
        let counters = counters.of_resources(is_anonymous);
        // A request that this isolate rejects anyway does not count in a binding.
        let counted = if checks.is_empty() { counters.count_all(&here, now) } else { counters.check_all(&here, now) };
        counted.map_err(|(_, after)| authorized_too_often(&authorized, after))?;
        Ok(if checks.is_empty() {
            LimitCheck::Within(Box::new(authorized))
        } else {
            LimitCheck::Checks(checks, Box::new(authorized))
        })
    }
}

impl<P: Ports> ActiveRequest<'_, P> {
    /// Counts a call among those of its caller that run, if there is a bound for them.
    fn begun(&self, authorized: Authorized, now: UnixMillis) -> Result<Authorized, Rejection> {
        let permit = authorized.permit();
        let Some(inspected) = permit.inspected().filter(|_| !permit.at_once().is_empty()) else {
            return Ok(authorized);
        };
        let (path, caller) = (inspected.resource().path.as_str(), counted(inspected));
        let mut running = Vec::new();
        for (index, most, count) in permit.at_once() {
            let key = self.gateway.counter(&format!("in flight {index}"), path, &identity(&caller));
            for _ in 0..*count {
                let Some(one) = self.gateway.in_flight.begin(&key, *most, permit.bounds().seconds, now) else {
                    return Err(authorized_too_often(&authorized, IN_FLIGHT_RETRY));
                };
                running.push(Rc::new(one));
            }
        }
        Ok(authorized.running(running))
    }
}

/// Seconds after which a caller may try again that has too many calls at the same time.
const IN_FLIGHT_RETRY: u64 = 1;

impl Suspended<Box<Authorized>> {
    /// Continues with the answers of the bindings: whether the request is within their limits. If a binding failed,
    /// this isolate counts instead.
    #[must_use]
    pub fn rate_limits_checked<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        checks: &[(RateLimitCheck, Result<bool, PlatformError>)],
    ) -> Action {
        let (active, authorized) = self.resume(gateway, ports);
        if let Some((refused, _)) = checks.iter().find(|(_, said)| *said == Ok(false)) {
            return active.refuse(authorized_too_often(&authorized, refused.limit.seconds));
        }
        let mut here = Vec::new();
        // The answers are in the order of the checks.
        let mut said = checks.iter();
        for (limit, counter) in gateway.limited(&authorized) {
            let answer = limit.binding.as_ref().and_then(|_| said.next());
            if !matches!(answer, Some((_, Ok(true)))) {
                here.push((counter, limit.rate()));
            }
        }
        let is_anonymous = *authorized.permit().principal() == Principal::Anonymous;
        let memory = gateway.memory.borrow();
        let counted = memory.counters.borrow_mut().of_resources(is_anonymous).count_all(&here, ports.now());
        drop(memory);
        match counted {
            Ok(()) => active.within_limits(*authorized),
            Err((_, after)) => active.refuse(authorized_too_often(&authorized, after)),
        }
    }
}

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// Refuses a call that the rules permit, because of what it contains, a budget or a person. That counts as a rejection by the policy.
    pub(super) fn hold_back(mut self, authorized: Authorized, fault: Fault) -> Action {
        let rejection = held_back(&authorized, fault);
        if let Some(inspected) = authorized.permit().inspected() {
            let (name, rate) = self.gateway.refusals(inspected);
            let is_anonymous = inspected.authenticated().is_anonymous();
            self.gateway.count_refusal(is_anonymous, (&name, rate), self.ports.now());
        }
        match authorized.refuse(rejection, &mut self.context) {
            Ok(permit) => self.permitted(permit),
            Err(rejection) => self.refuse(rejection),
        }
    }
}

fn held_back(authorized: &Authorized, fault: Fault) -> Rejection {
    let inspected = authorized.permit().inspected();
    let messages = inspected.and_then(|inspected| inspected.messages()).unwrap_or_default();
    let only = if let [only] = messages { Some(only) } else { None };
    let calls_tool = |call: &Call| call.method == CALL_TOOL;
    Rejection::HeldBack(Box::new(HeldBack {
        fault,
        id: only.map(Message::id).unwrap_or_default(),
        is_tool: only.and_then(Message::call).is_some_and(calls_tool),
        era: authorized.permit().admitted().era(),
        found: Vec::new(),
    }))
}

impl Gateway {
    /// Counts a rejection of a caller. The limit is checked before the caller's next request.
    fn count_refusal(&self, is_anonymous: bool, (name, rate): (&CounterName, Rate), now: UnixMillis) {
        let _within = self.memory.borrow().counters.borrow_mut().of_refusals(is_anonymous).count(name, rate, now);
    }

    /// The counter for rejected requests of a caller, and how many it allows.
    pub(super) fn refusals(&self, inspected: &Inspected) -> (CounterName, Rate) {
        let resource = inspected.resource();
        let key = self.counter("refusals", resource.path.as_str(), &identity(&counted(inspected)));
        (CounterName::of_caller(key), Rate::per_minute(resource.refusals_per_minute))
    }

    /// The limits that count a request, and the names of its counters.
    fn limited(&self, authorized: &Authorized) -> Vec<(Rc<Limit>, CounterName)> {
        let limits = authorized.permit().inspected().map(|inspected| inspected.resource().limits.as_slice());
        self.counters(authorized, limits.unwrap_or_default(), Limit::terms)
    }

    /// The budgets that count a request.
    pub(super) fn budgeted(&self, authorized: &Authorized, day: u64) -> Vec<BudgetCheck> {
        let Some(inspected) = authorized.permit().inspected() else { return Vec::new() };
        let mut checks = Vec::new();
        for budget in &inspected.resource().budgets {
            for (_, name) in self.counters(authorized, std::slice::from_ref(&budget.limit), Limit::group) {
                checks.push(BudgetCheck { budget: Rc::clone(budget), counter: name.key, day });
            }
        }
        // Those of the caller alone come first: a caller whose budget is spent takes nothing from what others share, not even for a
        // moment.
        checks.sort_by_key(|check| !check.budget.limit.by.contains(&LimitKey::Subject));
        checks
    }

    /// The limits that count a request, and the names of its counters.
    fn counters(
        &self,
        authorized: &Authorized,
        limits: &[Rc<Limit>],
        terms: fn(&Limit) -> String,
    ) -> Vec<(Rc<Limit>, CounterName)> {
        let Some(inspected) = authorized.permit().inspected() else { return Vec::new() };
        let resource = inspected.resource();
        let post = authorized.permit().admitted().head().method == Method::Post;
        if !post || limits.is_empty() {
            return Vec::new();
        }
        let caller = counted(inspected);
        let is_anonymous = inspected.authenticated().is_anonymous();
        let path = resource.path.as_str();
        let of_caller = identity(&caller);
        let owner = self.counter("caller", path, &of_caller);
        let mut limited = Vec::new();
        for limit in limits {
            let terms = terms(limit);
            let shared = || self.counter(&format!("other tools {terms}"), path, &of_caller);
            for call in authorized.calls().iter().filter(|call| limit.counts(call.seen())) {
                // An origin server that ignores case takes names that differ only in case for one tool.
                let tool = call.operation.as_ref().and_then(Operation::tool).map(fold);
                let mut parts = limit.parts(tool.as_deref(), &caller);
                // Also a limit that all callers share is not for anonymous callers to use up.
                if is_anonymous {
                    parts.extend(["anonymous", &caller.subject.subject]);
                }
                let key = |what| self.counter(&format!("{what} {terms}"), path, &parts);
                let (key, shared) = match (&call.tool, limit.by.contains(&LimitKey::Tool)) {
                    (_, false) => (key("limit"), key("limit")),
                    (LimitedTool::Itself, true) => (key("limit"), shared()),
                    (LimitedTool::StandIn, true) => (key("hidden tools"), shared()),
                    (LimitedTool::Unknown, true) => (shared(), shared()),
                };
                limited.push((Rc::clone(limit), CounterName { key, shared, owner: owner.clone() }));
            }
        }
        limited
    }

    /// The name of a counter. It does not reveal what it counts, and is the same in all isolates.
    fn counter(&self, what: &str, resource: &str, parts: &[&str]) -> String {
        let Ok(mut mac) = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&self.settings.pseudonym_key) else {
            return String::new();
        };
        mac.update(format!("{what} {resource}").as_bytes());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().get(..16).map(hex).unwrap_or_default()
    }
}

fn authorized_too_often(authorized: &Authorized, retry_after: u64) -> Rejection {
    match authorized.permit().inspected() {
        Some(inspected) => too_often(inspected, retry_after),
        None => Rejection::RateLimited { retry_after, probe: false },
    }
}

/// Without the body, the gateway recognizes a request that detects the era by its `Mcp-Method`, or by the absence of
/// both that field and a version.
fn too_often(inspected: &Inspected, retry_after: u64) -> Rejection {
    let fields = &inspected.authenticated().request().admitted().head().fields;
    let says = || match fields.get("mcp-method") {
        Some(method) => method == "server/discover",
        None => fields.get("mcp-protocol-version").is_none(),
    };
    let probe = authorize::is_probe(inspected.messages()).unwrap_or_else(says);
    Rejection::RateLimited { retry_after, probe }
}
