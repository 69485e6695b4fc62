//! Stage 5 of a request: whether the caller may do that, and how often.

use crate::policy::counters::RateLimitCheck;
use std::rc::Rc;

use base16ct::lower::encode_string as hex;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::gateway::open::Gateway;
use crate::gateway::walk::{Action, Suspended, Walk};
use crate::mcp::operation::Operation;
use crate::pipeline::authorize::{self, Authorized, LimitedTool, Permit};
use crate::pipeline::inspect::Inspected;
use crate::pipeline::rejection::Rejection;
use crate::policy::caller::Caller;
use crate::policy::counters::{CounterName, Rate};
use crate::policy::limit::{Limit, LimitKey};
use crate::policy::pattern::fold;
use crate::ports::Ports;
use crate::transport::head::Method;

/// How far the limits of a resource were counted.
pub(super) enum Counted {
    /// All of them: the request is within them.
    Within(Permit),
    /// Those of this isolate. Those of bindings have to be checked.
    Checks(Vec<RateLimitCheck>, Box<Authorized>),
}

/// What tells one caller from another. Its client does not: one user may log in with as many clients as it likes.
fn identity(caller: &Caller) -> [&str; 2] {
    [&caller.subject.issuer, &caller.subject.subject]
}

impl<P: Ports> Walk<'_, P> {
    /// Authorizes a request, and then counts it:
    ///
    /// 1. a caller whom the policy refused too often within a minute is refused before any rule is evaluated;
    /// 2. its session is its own, and the rules permit what it asks for;
    /// 3. only what is permitted counts for the limits of the resource, so that no caller uses up what it may not have.
    pub(super) fn authorize(&mut self, inspected: Inspected) -> Result<Counted, Rejection> {
        let (gateway, now) = (self.gateway, self.ports.now());
        let refusals = gateway.refusals(&inspected);
        if let Some((name, rate)) = &refusals {
            let checked = gateway.memory.borrow().counters.borrow_mut().refusals.check(name, *rate, now);
            checked.map_err(|retry_after| too_often(&inspected, retry_after))?;
        }
        let templates = (inspected.resource().index, "resourceTemplates");
        let templates = || gateway.items.borrow().names(templates);
        let authorized = gateway.session(&inspected, now).and_then(|session| {
            authorize::authorize(inspected, session, &gateway.settings, &templates, &mut self.context)
        });
        let refused = match &authorized {
            Ok(authorized) => authorized.permit().refusal().is_some(),
            Err(rejection) => rejection.is_of_policy(),
        };
        if let (Some((name, rate)), true) = (&refusals, refused) {
            // Whether it was one too many is asked before the next request.
            let _ = gateway.memory.borrow().counters.borrow_mut().refusals.count(name, *rate, now);
        }
        let authorized = authorized?;
        let mut checks = Vec::new();
        let mut here = Vec::new();
        for (limit, counter) in gateway.limited(&authorized) {
            match &limit.binding {
                Some(binding) => checks.push(RateLimitCheck { binding: binding.clone(), limit, counter }),
                None => here.push((counter, limit.rate())),
            }
        }
        let memory = gateway.memory.borrow();
        let counters = &mut memory.counters.borrow_mut().resources;
        // A request that is refused anyway is not counted by a binding.
        let counted = if checks.is_empty() { counters.count_all(&here, now) } else { counters.check_all(&here, now) };
        counted.map_err(|(_, after)| authorized_too_often(&authorized, after))?;
        Ok(if checks.is_empty() {
            Counted::Within(authorized.within_limits())
        } else {
            Counted::Checks(checks, Box::new(authorized))
        })
    }
}

impl Suspended<Box<Authorized>> {
    /// Goes on with what the bindings said: whether the request is within their limits. Where a binding cannot say, this
    /// isolate counts.
    #[must_use]
    pub fn rate_limits_checked<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        checks: &[(RateLimitCheck, Result<bool, String>)],
    ) -> Action {
        let (walk, authorized) = self.resume(gateway, ports);
        if let Some((refused, _)) = checks.iter().find(|(_, said)| *said == Ok(false)) {
            return walk.refuse(authorized_too_often(&authorized, refused.limit.seconds));
        }
        let mut here = Vec::new();
        // In the order in which they were asked for.
        let mut said = checks.iter();
        for (limit, counter) in gateway.limited(&authorized) {
            let answer = limit.binding.as_ref().and_then(|_| said.next());
            if !matches!(answer, Some((_, Ok(true)))) {
                here.push((counter, limit.rate()));
            }
        }
        let counted = gateway.memory.borrow().counters.borrow_mut().resources.count_all(&here, ports.now());
        match counted {
            Ok(()) => walk.permitted(authorized.within_limits()),
            Err((_, after)) => walk.refuse(authorized_too_often(&authorized, after)),
        }
    }
}

impl Gateway {
    /// Where the refused requests of a caller are counted, and how many there may be.
    fn refusals(&self, inspected: &Inspected) -> Option<(CounterName, Rate)> {
        let resource = inspected.resource();
        let caller = inspected.caller()?;
        let key = self.counter("refusals", resource.path.as_str(), &identity(&caller));
        Some((CounterName::of_caller(key), Rate::per_minute(resource.refusals_per_minute)))
    }

    /// Which limits count a request, and the names of its counters.
    fn limited(&self, authorized: &Authorized) -> Vec<(Rc<Limit>, CounterName)> {
        let Some(inspected) = authorized.permit().inspected() else { return Vec::new() };
        let resource = inspected.resource();
        let post = authorized.permit().admitted().head().method == Method::Post;
        let caller = inspected.caller().filter(|_| post && !resource.limits.is_empty());
        let Some(caller) = caller else { return Vec::new() };
        let path = resource.path.as_str();
        let of_caller = identity(&caller);
        let owner = self.counter("caller", path, &of_caller);
        let mut limited = Vec::new();
        for limit in &resource.limits {
            let terms = limit.terms();
            let shared = || self.counter(&format!("other tools {terms}"), path, &of_caller);
            for call in authorized.calls().iter().filter(|call| limit.counts(call.operation.as_ref())) {
                // Servers that ignore case take these for one tool.
                let tool = call.operation.as_ref().and_then(Operation::tool).map(fold);
                let key = |what| self.counter(&format!("{what} {terms}"), path, &limit.parts(tool.as_deref(), &caller));
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

    /// A counter's name says nothing of whom it counts, and is the same in all isolates.
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

/// Where bodies are not read, clients say what they probe with in `Mcp-Method`, or by having no version yet.
fn too_often(inspected: &Inspected, retry_after: u64) -> Rejection {
    let fields = &inspected.authenticated().request().admitted().head().fields;
    let says = || match fields.get("mcp-method") {
        Some(method) => method == "server/discover",
        None => fields.get("mcp-protocol-version").is_none(),
    };
    let probe = authorize::is_probe(inspected.messages()).unwrap_or_else(says);
    Rejection::RateLimited { retry_after, probe }
}
