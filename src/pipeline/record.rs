//! The decision about one operation, for the decision log.

use crate::mcp::operation::Operation;
use crate::oauth::scope::ScopeSet;
use crate::policy::caller::Caller;
use crate::policy::decide::Policy;
use crate::policy::sign_in::auth_time;
use crate::policy::verdict::{Decision, Verdict};
use crate::settings::resource::Resource;
use crate::token::principal::CredentialKind;
use crate::transport::connection::ConnectionFacts;

/// The decision about one operation, as the decision log records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRecord {
    /// The hash that identifies the policy.
    pub policy: String,
    /// The path of the resource.
    pub resource: String,
    /// The operation that the caller asked for.
    pub operation: Operation,
    /// The server that has the item, if the resource has several, and the server's name of the item.
    pub server: Option<(String, Option<String>)>,
    /// The decision.
    pub decision: Decision,
    /// The name of the rule that decided; `(default)`, `(protocol)` or `(unsound name)` if no rule did.
    pub by: String,
    /// The name of an observed rule that would have decided otherwise.
    pub would_by: Option<String>,
    /// Whether the policy is only observed: then the decision was not enforced.
    pub observed: bool,
    /// All scopes that a challenge would name, if the caller lacks one of them.
    pub challenge: Option<ScopeSet>,
    /// The keys of `sign_in` that a challenge is about, if the sign-in of the caller's user does not fulfil them.
    pub sign_in: Vec<&'static str>,
    /// The caller and its connection.
    pub caller: RecordedCaller,
    /// The arguments, as they were sent.
    pub arguments: Option<Vec<u8>>,
}

/// The attributes of a caller that decisions depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedCaller {
    /// The name of the issuer, verifier or set of API keys that vouches for it.
    pub source: Option<String>,
    /// Its scopes.
    pub scopes: String,
    /// Roles, groups and claims that rules test.
    pub rights: crate::token::principal::SelectedClaims,
    /// Its connection.
    pub facts: ConnectionFacts,
    /// Seconds since its user signed in, if the claims that rules test say when that was. Negative if that is in the future.
    pub auth_age: Option<i64>,
}

impl DecisionRecord {
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
            server: resource.federation.as_ref().and_then(|federation| federation.server_of(operation)),
            by: policy.name(decision.by).to_owned(),
            would_by: decision.would.as_ref().map(|(rule, _)| policy.rules_id(*rule).to_owned()),
            decision,
            observed: policy.observe,
            challenge: challenge(policy, resource, caller, &verdict),
            sign_in: sign_in_lacks(&verdict, caller),
            caller: RecordedCaller {
                source: caller.source.as_deref().map(str::to_owned),
                scopes: caller.subject.scopes.to_string(),
                rights: caller.subject.rights.clone(),
                facts: caller.facts.clone(),
                auth_age: auth_time(&caller.subject.rights.claims)
                    .map(|at| caller.now.cast_signed().saturating_sub_unsigned(at)),
            },
            arguments: arguments.map(<[u8]>::to_vec),
        }
    }
}

/// The scopes that a caller needs for any request to a resource. An anonymous caller has none, and the resource opens the
/// methods that it may ask for in spite of that.
#[must_use]
pub fn scopes_for(resource: &Resource, caller: &Caller) -> ScopeSet {
    if caller.subject.kind == CredentialKind::Anonymous { ScopeSet::default() } else { resource.scopes.clone() }
}

/// The keys of `sign_in` that the sign-in of the caller's user does not fulfil, if that is a reason for a verdict.
#[must_use]
pub fn sign_in_lacks(verdict: &Verdict, caller: &Caller) -> Vec<&'static str> {
    match verdict {
        Verdict::StepUp { sign_in: Some(sign_in), .. } => sign_in.lacks(&caller.subject.rights, caller.now),
        Verdict::StepUp { sign_in: None, .. } | Verdict::Allow | Verdict::Approve | Verdict::Deny => Vec::new(),
    }
}

/// All scopes that a challenge names for a verdict, including those of the resource itself; `None` if the caller lacks
/// none of them. For an operation that is denied, and so does not exist for this caller, the challenge names only the
/// scopes of the resource.
#[must_use]
pub fn challenge(policy: &Policy, resource: &Resource, caller: &Caller, verdict: &Verdict) -> Option<ScopeSet> {
    let of_resource = scopes_for(resource, caller);
    let needed: ScopeSet = match verdict {
        Verdict::Allow | Verdict::Approve | Verdict::Deny => of_resource,
        Verdict::StepUp { scopes, .. } => of_resource.iter().chain(scopes.iter()).cloned().collect(),
    };
    let missing = policy.scopes().missing(&caller.subject.scopes, &needed);
    (!missing.is_empty()).then_some(needed)
}
