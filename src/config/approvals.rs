//! Reads who may approve calls, and how calls wait for that.

use std::rc::Rc;

use crate::config::document::{ApprovalsDocument, EffectName, RuleDocument};
use crate::config::mistakes::Mistakes;
use crate::config::ranges;
use crate::config::receiver::{ReceiverKeys, read_receiver};
use crate::config::values::{Secrets, bounded, read_binding};
use crate::policy::approval::Approvals;
use crate::policy::decide::Policy;
use crate::policy::rule::Approvers;

/// Who may approve the calls that a rule is about.
pub(super) fn read_approvers(document: &RuleDocument, at: &str, mistakes: &mut Mistakes) -> Approvers {
    let (groups, caller) = (document.approver_groups.as_deref(), document.caller_approves);
    if !matches!(document.effect, EffectName::Approve) {
        for (key, _) in [("approver_groups", groups.is_some()), ("caller_approves", caller.is_some())]
            .into_iter()
            .filter(|(_, given)| *given)
        {
            mistakes.note(format!("{at}.{key}"), "is only for approve");
        }
        return Approvers::default();
    }
    if document.tools.is_none() && document.labels.is_none() {
        mistakes.note(format!("{at}.tools"), "is required with approve: the tools whose calls wait for a person");
    }
    let others = [("methods", &document.methods), ("prompts", &document.prompts), ("resources", &document.resources)];
    for (key, _) in others.into_iter().filter(|(_, given)| given.is_some()) {
        mistakes.note(format!("{at}.{key}"), "is not possible with approve, which is about calls of tools");
    }
    if groups.is_some_and(<[_]>::is_empty) {
        mistakes.note(format!("{at}.approver_groups"), "must not be empty: remove the key to have the caller approve");
    }
    for (index, _) in groups.into_iter().flatten().enumerate().filter(|(_, group)| group.is_empty()) {
        mistakes.note(format!("{at}.approver_groups[{index}]"), "must be the name of a group");
    }
    if groups.is_none() && caller == Some(false) {
        mistakes.note(format!("{at}.caller_approves"), "leaves out every approver: name approver_groups too");
    }
    Approvers { caller: caller.unwrap_or(groups.is_none()), groups: groups.map(<[String]>::to_vec).unwrap_or_default() }
}

/// Reads how calls wait for approval; `None` if no rule has them wait.
pub(super) fn read(
    document: Option<&ApprovalsDocument>,
    policy: Option<&Policy>,
    at: &str,
    (secrets, development): (&dyn Secrets, bool),
    mistakes: &mut Mistakes,
) -> Option<Rc<Approvals>> {
    let at = format!("{at}.approvals");
    let is_needed = policy.is_some_and(|policy| policy.rules().iter().any(|rule| rule.effect.approvers().is_some()));
    if document.is_some() && !is_needed {
        mistakes.note(&at, "has no effect without a rule whose effect is approve");
    }
    let nothing = ApprovalsDocument::default();
    let ApprovalsDocument { seconds, wait_seconds, url, service, secret, queue } = document.unwrap_or(&nothing);
    let keys = ReceiverKeys { url: url.as_ref(), service: service.as_ref(), secret: secret.as_ref() };
    let webhook = read_receiver(&keys, &at, (secrets, development), mistakes);
    let approvals = Approvals {
        seconds: bounded(*seconds, ranges::APPROVAL, &format!("{at}.seconds"), mistakes),
        wait_seconds: bounded(*wait_seconds, ranges::APPROVAL_WAIT, &format!("{at}.wait_seconds"), mistakes),
        webhook,
        queue: read_binding(queue.as_ref(), &format!("{at}.queue"), mistakes),
    };
    is_needed.then(|| Rc::new(approvals))
}
