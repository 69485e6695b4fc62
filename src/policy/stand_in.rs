//! Which stand-in reaches the origin server in place of a hidden name.

use crate::mcp::operation::Operation;
use crate::policy::caller::Caller;
use crate::policy::decide::Policy;
use crate::policy::decoy::Decoy;
use crate::policy::rule::Effect;
use crate::policy::verdict::{Arguments, DecidedBy, Decision, Verdict};

/// Maximum number of patterns that the gateway tries when it looks for a stand-in for a hidden name.
const DECOY_PATTERNS: usize = 16;

impl Policy {
    /// The stand-in for a name or method that is denied although rules that do not deny match it. Other names that
    /// these rules match reach the origin server, so this name must appear to reach it too. `templates` are the URI
    /// templates that the origin server is known to have. `denied_by` is what denied the operation, if the operation
    /// has the method of its message. The result has the stand-in, the operation with the stand-in, and the decision
    /// about that operation.
    #[must_use]
    pub fn decoy(
        &self,
        (operation, denied_by): (&Operation, Option<DecidedBy>),
        caller: &Caller,
        arguments: Arguments<'_>,
        templates: &dyn Fn() -> Vec<String>,
    ) -> Option<(Decoy, Operation, Decision)> {
        // The gateway refuses all invalid names alike, so they need no stand-in.
        if !operation.has_valid_name() {
            return None;
        }
        let rules = || {
            self.index.candidates(operation).into_iter().filter_map(|index| self.rules.get(index)).filter(|rule| {
                !rule.observe
                    && rule.effect != Effect::Deny
                    && self.is_about(rule, operation)
                    && rule.when.fails_for(caller, &self.scopes).is_none()
                    && match arguments {
                        Arguments::Known(arguments) => rule.when.fails_with(arguments).is_none(),
                        Arguments::Unknown => true,
                    }
            })
        };
        let patterns: Vec<_> = rules().flat_map(|rule| rule.targets.fitting(operation)).take(DECOY_PATTERNS).collect();
        if patterns.is_empty() {
            return None;
        }
        let mut candidates = Decoy::candidates(operation, &patterns, &templates());
        // If a rule denies the method itself, the method must look unknown to the server, whatever its target is.
        if operation.target.is_some()
            && let Some(DecidedBy::Rule(index)) = denied_by
            && self.rules.get(index).is_some_and(|rule| rule.targets.is_about_method(&operation.method))
        {
            let patterns = rules().flat_map(|rule| rule.targets.fitting_method(&operation.method));
            candidates.extend(Decoy::of_method(operation, &patterns.take(DECOY_PATTERNS).collect::<Vec<_>>()));
        }
        let mut denied = None;
        for decoy in candidates {
            let instead = match operation.target {
                Some((kind, _)) if !decoy.is_method => Operation::on(&operation.method, kind, &decoy.name),
                _ => Operation::plain(&decoy.name),
            };
            let decision = self.decide(&instead, caller, arguments);
            if decision.verdict != Verdict::Deny {
                return Some((decoy, instead, decision));
            }
            denied.get_or_insert((decoy, instead, decision));
        }
        denied
    }
}
