//! Reads who may approve calls, and how calls wait for that.

use std::rc::Rc;

use crate::config::document::{ApprovalsDocument, EffectName, RuleDocument};
use crate::config::mistakes::Mistakes;
use crate::config::ranges;
use crate::config::values::{Secrets, bounded, protected_url, read_binding, read_long_secret};
use crate::policy::approval::{Approvals, Webhook};
use crate::policy::decide::Policy;
use crate::policy::rule::Approvers;
use crate::secret::Secret;

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

/// What a webhook behind a service binding is sent to: a reserved name, because the binding ignores it.
const WEBHOOK_URL: &str = "https://webhook.invalid/";

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
    let secret = secret.as_ref().and_then(|name| {
        if url.is_none() && service.is_none() {
            mistakes.note(format!("{at}.secret"), "has no effect without url or service");
        }
        read_long_secret(name, &format!("{at}.secret"), secrets, mistakes).map(|secret| Rc::new(Secret::new(secret)))
    });
    let url = match (url, service) {
        (Some(_), Some(_)) => {
            mistakes.note(format!("{at}.service"), "is not possible together with url: remove one of them");
            None
        }
        (Some(url), None) => protected_url(url, &format!("{at}.url"), development, mistakes).map(|_| url.clone()),
        (None, Some(_)) => Some(WEBHOOK_URL.to_owned()),
        (None, None) => None,
    };
    let service = read_binding(service.as_ref(), &format!("{at}.service"), mistakes);
    let approvals = Approvals {
        seconds: bounded(*seconds, ranges::APPROVAL, &format!("{at}.seconds"), mistakes),
        wait_seconds: bounded(*wait_seconds, ranges::APPROVAL_WAIT, &format!("{at}.wait_seconds"), mistakes),
        webhook: url.map(|url| Webhook { url, service, secret }),
        queue: read_binding(queue.as_ref(), &format!("{at}.queue"), mistakes),
    };
    is_needed.then(|| Rc::new(approvals))
}
