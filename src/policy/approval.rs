//! Approval of calls by a person: how long they wait, and what learns of them.

use std::rc::Rc;

use crate::mcp::handle::OriginalRequest;
use crate::policy::rule::Approvers;
use crate::secret::Secret;

/// How calls of a resource wait for approval.
#[derive(Debug, Clone)]
pub struct Approvals {
    /// Seconds for which a call waits, and for which a decision is valid.
    pub seconds: u64,
    /// Seconds for which the gateway holds a call that comes again before a person decided.
    pub wait_seconds: u64,
    /// What learns of a call that waits, if anything does.
    pub webhook: Option<Webhook>,
    /// The Queue binding that learns of it.
    pub queue: Option<String>,
}

/// A service of the operator.
#[derive(Debug, Clone, Default)]
pub struct Webhook {
    /// Its URL. Behind a service binding, the host means nothing.
    pub url: String,
    /// The service binding; `None` if the message goes over the network.
    pub service: Option<String>,
    /// The bearer token that it gets, if it gets one.
    pub secret: Option<Rc<Secret>>,
}

/// The approval that a permitted call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalNeed {
    /// The id of the rule.
    pub rule: String,
    /// What identifies the policy.
    pub policy: String,
    /// Who may approve it.
    pub approvers: Approvers,
    /// The tool, as the caller names it.
    pub tool: String,
    /// The call, as the caller made it.
    pub request: OriginalRequest,
}

/// The decision of a person about a call: who decided, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonDecision {
    /// The issuer of the subject: this gateway.
    pub issuer: String,
    /// The subject.
    pub subject: String,
    /// The second.
    pub at: u64,
    /// The id of the approval.
    pub id: String,
}
