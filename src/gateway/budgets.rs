//! The last part of stage 5: whether the budgets of a day have a call left.

use std::rc::Rc;

use crate::content::fault::Fault;
use crate::gateway::active_request::{Action, ActiveRequest, Suspended};
use crate::gateway::log;
use crate::gateway::open::Gateway;
use crate::pipeline::authorize::Authorized;
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
    /// After the hooks and the approval: counts the call in the budgets of its day.
    pub(super) fn approved(self, authorized: Authorized) -> Action {
        let checks = self.gateway.budgeted(&authorized, day(self.ports.now()));
        if checks.is_empty() {
            return self.counted(authorized);
        }
        self.wait(Box::new(authorized), |waiting| Action::CountBudgets(checks, waiting))
    }

    fn counted(self, authorized: Authorized) -> Action {
        match authorized.within_limits() {
            Ok(permit) => self.permitted(permit),
            Err(rejection) => self.refuse(rejection),
        }
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
            let fault = match answer {
                Ok(Spent::Counted(_)) => continue,
                Ok(Spent::Nothing) => Fault::BudgetSpent(check.budget.limit.requests),
                Err(error) => Fault::BudgetUnknown(error.to_string()),
            };
            return active.hold_back(*authorized, fault);
        }
        for (check, answer) in answered {
            if let Ok(Spent::Counted(number)) = answer
                && check.budget.warn_at == Some(*number)
            {
                log::write_budget(ports, &active.context, (*number, check.budget.limit.requests));
            }
        }
        active.counted(*authorized)
    }
}
