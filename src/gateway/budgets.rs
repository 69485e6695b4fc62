//! The last part of stage 5: whether the budgets of a day have a call left.

use std::rc::Rc;

use crate::content::examined::HeldBack;
use crate::content::fault::Fault;
use crate::gateway::active_request::{Action, ActiveRequest, Suspended};
use crate::gateway::log;
use crate::gateway::open::Gateway;
use crate::mcp::message::{Call, Message};
use crate::mcp::method::CALL_TOOL;
use crate::pipeline::authorize::Authorized;
use crate::pipeline::rejection::Rejection;
use crate::platform_error::PlatformError;
use crate::policy::budget::{BudgetCheck, Spent, day};
use crate::ports::Ports;

/// What counters said: a check, and the answer.
pub(super) type Answered = (BudgetCheck, Result<Spent, PlatformError>);

/// Counts a call in each budget, until one of them has nothing left or does not answer. Then the call is not made, and it is given back
/// where it was counted before.
pub(super) async fn count<P: Ports>(ports: &P, checks: Vec<BudgetCheck>) -> Vec<Answered> {
    let mut answered: Vec<Answered> = Vec::with_capacity(checks.len());
    for check in checks {
        let (binding, most) = (&check.budget.binding, check.budget.limit.requests);
        let answer = ports.spend(binding, &check.counter, check.day, most).await;
        let passes = matches!(answer, Ok(Spent::Counted(_)));
        answered.push((check, answer));
        if passes {
            continue;
        }
        for (before, answer) in &answered {
            if matches!(answer, Ok(Spent::Counted(_))) {
                // If that fails, the day has one call less.
                let _given = ports.give_back(&before.budget.binding, &before.counter, before.day).await;
            }
        }
        break;
    }
    answered
}

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// After the hooks: counts the call in the budgets of its day.
    pub(super) fn heard(self, authorized: Authorized) -> Action {
        let checks = self.gateway.budgeted(&authorized, day(self.ports.now()));
        if checks.is_empty() {
            return self.permitted(authorized.within_limits());
        }
        self.wait(Box::new(authorized), |waiting| Action::CountBudgets(checks, waiting))
    }
}

impl Suspended<Box<Authorized>> {
    /// Continues with what the counters of budgets said.
    #[must_use]
    pub(super) fn budgets_counted<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        answered: &[Answered],
    ) -> Action {
        let (active, authorized) = self.resume(gateway, ports);
        for (check, answer) in answered {
            let budget = &check.budget;
            let fault = match answer {
                Ok(Spent::Counted(number)) => {
                    if budget.warn_at == Some(*number) {
                        log::write_budget(ports, &active.context, (*number, budget.limit.requests));
                    }
                    continue;
                }
                Ok(Spent::Nothing) => Fault::BudgetSpent(budget.limit.requests),
                Err(error) => Fault::BudgetUnknown(error.to_string()),
            };
            return active.refuse(held_back(&authorized, fault));
        }
        active.permitted(authorized.within_limits())
    }
}

pub(super) fn held_back(authorized: &Authorized, fault: Fault) -> Rejection {
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
