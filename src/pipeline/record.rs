//! What was decided of one operation, for the record of decisions.

use crate::mcp::operation::Operation;
use crate::oauth::scope::ScopeSet;
use crate::policy::caller::Caller;
use crate::policy::decide::{Decision, Policy, Verdict};
use crate::settings::resource::Resource;
use crate::transport::connection::ConnectionFacts;

/// What was decided of one operation, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Names the policy.
    pub policy: String,
    /// The path of the resource.
    pub resource: String,
    /// What was asked for.
    pub operation: Operation,
    /// What was decided.
    pub decision: Decision,
    /// The name of what decided.
    pub by: String,
    /// The name of an observed rule that would have decided otherwise.
    pub would_by: Option<String>,
    /// What the policy would have decided, were it enforced.
    pub observed: bool,
    /// All scopes that a challenge would name, where the caller lacks one of them.
    pub challenge: Option<ScopeSet>,
    /// Who asked, and over what connection.
    pub caller: RecordedCaller,
    /// The arguments, as they were sent.
    pub arguments: Option<Vec<u8>>,
}

/// A caller, as far as decisions depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedCaller {
    /// The name of who vouches for it.
    pub source: Option<String>,
    /// Its scopes.
    pub scopes: String,
    /// Roles, groups and claims that rules ask about.
    pub rights: crate::token::principal::Rights,
    /// Its connection.
    pub facts: ConnectionFacts,
}

impl Record {
    /// Records a decision.
    #[must_use]
    pub fn new(
        policy: &Policy,
        resource: &Resource,
        operation: &Operation,
        caller: &Caller,
        decision: Decision,
        arguments: Option<&[u8]>,
    ) -> Self {
        let verdict = if policy.observe { Verdict::Allow } else { decision.verdict.clone() };
        Self {
            policy: policy.hash.clone(),
            resource: resource.path.as_str().to_owned(),
            operation: operation.clone(),
            by: policy.name(decision.by).to_owned(),
            would_by: decision.would.as_ref().map(|(rule, _)| policy.rules_id(*rule).to_owned()),
            decision,
            observed: policy.observe,
            challenge: challenge(policy, resource, caller, &verdict),
            caller: RecordedCaller {
                source: caller.source.as_deref().map(str::to_owned),
                scopes: caller.subject.scopes.to_string(),
                rights: caller.subject.rights.clone(),
                facts: caller.facts.clone(),
            },
            arguments: arguments.map(<[u8]>::to_vec),
        }
    }
}

/// All scopes that a caller is challenged for by a verdict, with those of the resource itself; nothing where it lacks none.
/// What does not exist for a caller says nothing of scopes but of those of the resource.
#[must_use]
pub fn challenge(policy: &Policy, resource: &Resource, caller: &Caller, verdict: &Verdict) -> Option<ScopeSet> {
    let needed: ScopeSet = match verdict {
        Verdict::Allow | Verdict::Deny => resource.scopes.clone(),
        Verdict::StepUp { scopes, .. } => resource.scopes.iter().chain(scopes.iter()).cloned().collect(),
    };
    let missing = policy.scopes().missing(&caller.subject.scopes, &needed);
    (!missing.is_empty()).then_some(needed)
}
