//! The decision about one operation of one caller. It is a pure function, and the same one for the gateway, its filters
//! for lists, and the command line.

use std::rc::Rc;

use crate::mcp::kind::Kind;
use crate::mcp::method::{CALL_TOOL, METHODS};
use crate::mcp::operation::Operation;
use crate::oauth::scope::{Scope, ScopeHierarchy};
use crate::policy::caller::Caller;
use crate::policy::condition::{Condition, Fact};
use crate::policy::index::Index;
use crate::policy::rule::{Approvers, Effect, Rule, When};
use crate::policy::sign_in::SignIn;
use crate::policy::uri::readings;
use crate::policy::verdict::{Arguments, DecidedBy, Decision, RuleResult, StepUpInLists, Verdict};

/// The rules of one resource.
#[derive(Debug)]
pub struct Policy {
    pub(super) rules: Vec<Rule>,
    pub(super) index: Index,
    pub(super) scopes: Rc<ScopeHierarchy>,
    /// Whether the policy only observes and enforces nothing.
    pub observe: bool,
    /// How lists show items that need a step-up.
    pub step_up_in_lists: StepUpInLists,
    /// Whether the URIs of user interfaces of Apps are marked with their tools: then a rule permits one without a mark only if it
    /// names such URIs.
    pub marks_apps: bool,
    /// Identifies this policy in decisions: the beginning of the SHA-256 digest of its configuration.
    pub hash: String,
}

impl Policy {
    /// Makes a policy from rules.
    #[must_use]
    pub fn new(
        rules: Vec<Rule>,
        scopes: Rc<ScopeHierarchy>,
        observe: bool,
        step_up_in_lists: StepUpInLists,
        hash: String,
    ) -> Self {
        Self { index: Index::of(&rules), rules, scopes, observe, step_up_in_lists, marks_apps: false, hash }
    }

    /// The same policy where the URIs of Apps are marked, or not.
    #[must_use]
    pub fn with_marked_apps(self, marks_apps: bool) -> Self {
        Self { marks_apps, ..self }
    }

    /// Whether a rule is about an operation.
    pub(super) fn is_about(&self, rule: &Rule, operation: &Operation) -> bool {
        let permits = rule.effect != Effect::Deny;
        rule.targets.fit(operation, rule.effect != Effect::Allow)
            && !(permits && self.marks_apps && operation.is_of_unmarked_app() && !rule.targets.name_apps())
    }

    /// The rules in order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules that may be about an operation, in order.
    #[must_use]
    pub fn candidates(&self, operation: &Operation) -> Vec<usize> {
        self.index.candidates(operation)
    }

    /// The id of a rule.
    #[must_use]
    pub fn rules_id(&self, index: usize) -> &str {
        self.rules.get(index).map_or("", |rule| rule.id.as_str())
    }

    /// Who may approve the calls that a rule is about.
    #[must_use]
    pub fn approvers(&self, by: DecidedBy) -> Option<&Approvers> {
        let DecidedBy::Rule(index) = by else { return None };
        self.rules.get(index)?.effect.approvers()
    }

    /// The scopes that rules name.
    pub fn named_scopes(&self) -> impl Iterator<Item = Scope> {
        self.rules.iter().flat_map(Rule::scopes).cloned()
    }

    /// Whether any enforced rule tests arguments.
    #[must_use]
    pub fn tests_arguments(&self) -> bool {
        self.rules.iter().any(|rule| !rule.observe && !rule.when.arguments.is_empty())
    }

    /// The arguments of an operation that rules test for a caller.
    #[must_use]
    pub fn tested_arguments(&self, operation: &Operation, caller: &Caller) -> Vec<&str> {
        if !operation.has_valid_name() {
            return Vec::new();
        }
        let rules = self.index.candidates(operation).into_iter().filter_map(|index| self.rules.get(index));
        let rules = rules.filter(|rule| {
            !rule.observe
                && !rule.when.arguments.is_empty()
                && self.is_about(rule, operation)
                && rule.when.fails_for(caller, &self.scopes).is_none()
        });
        rules.flat_map(|rule| rule.when.arguments.iter().map(|(name, _)| name.as_str())).collect()
    }

    /// What rules read about callers.
    pub fn facts(&self) -> impl Iterator<Item = Fact<'_>> {
        let of_conditions = self.rules.iter().flat_map(|rule| rule.when.conditions.iter().map(Condition::reads));
        let of_sign_ins = self.rules.iter().filter_map(|rule| rule.effect.sign_in()).flat_map(SignIn::claims);
        of_conditions.chain(of_sign_ins.map(Fact::Claim))
    }

    /// Which scopes include which others.
    #[must_use]
    pub fn scopes(&self) -> &ScopeHierarchy {
        &self.scopes
    }

    /// The name of what decided, in logs and reports.
    #[must_use]
    pub fn name(&self, by: DecidedBy) -> &str {
        match by {
            DecidedBy::Rule(index) => self.rules_id(index),
            DecidedBy::Protocol => "(protocol)",
            DecidedBy::Default => "(default)",
            DecidedBy::InvalidName => "(unsound name)",
            DecidedBy::Lock => "(lock)",
        }
    }

    /// Whether any rule about this kind of item depends on the caller: then a list of these items must not be shared
    /// with other callers.
    #[must_use]
    pub fn depends_on_caller(&self, kind: Kind) -> bool {
        self.rules.iter().any(|rule| {
            let about = rule.targets.is_everything()
                || !rule.targets.of(kind).is_empty()
                || rule.targets.methods.iter().any(|pattern| methods_of(kind).any(|method| pattern.matches(method)));
            about && !rule.observe && rule.depends_on_caller()
        })
    }

    /// Decides with the first rule that matches. If none matches, the operation is denied, unless it belongs to the
    /// protocol itself.
    #[must_use]
    pub fn decide(&self, operation: &Operation, caller: &Caller, arguments: Arguments<'_>) -> Decision {
        let decide = |operation: &Operation| {
            self.evaluate(&self.index.candidates(operation), operation, caller, arguments, &mut |_, _| {})
        };
        Self::strictest(operation, decide(operation), &decide)
    }

    /// A server may read a URI as another one, so the strictest decision about any of these readings counts.
    fn strictest(operation: &Operation, said: Decision, decide: &dyn Fn(&Operation) -> Decision) -> Decision {
        let Some((Kind::Resource, uri)) = &operation.target else { return said };
        let Some(readings) = readings(uri) else {
            return Decision { verdict: Verdict::Deny, by: DecidedBy::InvalidName, ..said };
        };
        let others = readings.iter().map(|reading| decide(&operation.read_as(reading)));
        others.fold(said, |strictest, other| {
            let (depends, on_arguments) = (
                strictest.depends_on_caller || other.depends_on_caller,
                strictest.depends_on_arguments || other.depends_on_arguments,
            );
            let stricter = if other.verdict.rank() > strictest.verdict.rank() { other } else { strictest };
            Decision { depends_on_caller: depends, depends_on_arguments: on_arguments, ..stricter }
        })
    }

    /// Decides, and reports the result of each rule: the same evaluation, but over all rules.
    #[must_use]
    pub fn explain(
        &self,
        operation: &Operation,
        caller: &Caller,
        arguments: Arguments<'_>,
    ) -> (Decision, Vec<(usize, RuleResult)>) {
        let mut thoughts = Vec::new();
        let all: Vec<usize> = (0..self.rules.len()).collect();
        let decision =
            self.evaluate(&all, operation, caller, arguments, &mut |index, thought| thoughts.push((index, thought)));
        let decide = |operation: &Operation| self.evaluate(&all, operation, caller, arguments, &mut |_, _| {});
        (Self::strictest(operation, decision, &decide), thoughts)
    }

    fn evaluate(
        &self,
        candidates: &[usize],
        operation: &Operation,
        caller: &Caller,
        arguments: Arguments<'_>,
        think: &mut dyn FnMut(usize, RuleResult),
    ) -> Decision {
        let mut decision = Decision {
            verdict: Verdict::Deny,
            by: DecidedBy::Default,
            would: None,
            depends_on_caller: false,
            depends_on_arguments: false,
        };
        if !operation.has_valid_name() {
            decision.by = DecidedBy::InvalidName;
            return decision;
        }
        // The step-up that would be required with some arguments, if no later rule allows the operation with others.
        let mut at_best: Option<(Verdict, DecidedBy)> = None;
        // Rules that decide first for certain arguments: a later rule whose tests imply theirs is never reached.
        let mut taken: Vec<&When> = Vec::new();
        for &index in candidates {
            let Some(rule) = self.rules.get(index) else { continue };
            if !self.is_about(rule, operation) {
                think(index, RuleResult::OtherTarget);
                continue;
            }
            // If the rule depends on the caller, so does the decision from here on, whether or not the rule matches.
            decision.depends_on_caller |= rule.depends_on_caller() && !rule.observe;
            if let Some(condition) = rule.when.fails_for(caller, &self.scopes) {
                think(index, RuleResult::Condition(condition.key()));
                continue;
            }
            match arguments {
                Arguments::Known(arguments) => {
                    if let Some(name) = rule.when.fails_with(arguments) {
                        think(index, RuleResult::Argument(name.to_owned()));
                        continue;
                    }
                }
                Arguments::Unknown if rule.when.arguments.is_empty() => {}
                Arguments::Unknown => {
                    think(index, RuleResult::ArgumentsUnknown);
                    decision.depends_on_arguments |= !rule.observe;
                    if taken.iter().any(|earlier| earlier.arguments_are_implied_by(&rule.when)) {
                        continue;
                    }
                    // There are other arguments with which the rule does not deny.
                    if rule.effect == Effect::Deny && !rule.observe {
                        taken.push(&rule.when);
                        continue;
                    }
                }
            }
            let verdict = self.verdict(rule, operation, caller);
            if rule.observe {
                think(index, RuleResult::Observed);
                decision.would.get_or_insert((index, verdict));
                continue;
            }
            if matches!((arguments, &verdict), (Arguments::Unknown, Verdict::StepUp { .. }))
                && !rule.when.arguments.is_empty()
            {
                taken.push(&rule.when);
                at_best.get_or_insert((verdict, DecidedBy::Rule(index)));
                continue;
            }
            let undecided = matches!(arguments, Arguments::Unknown) && !rule.when.arguments.is_empty();
            if !undecided {
                think(index, RuleResult::Decides);
            }
            if !verdict.permits()
                && let Some((verdict, by)) = at_best
            {
                return Decision { verdict, by, ..decision }.tidied();
            }
            return Decision { verdict, by: DecidedBy::Rule(index), ..decision }.tidied();
        }
        if let Some((verdict, by)) = at_best {
            (decision.verdict, decision.by) = (verdict, by);
        } else if operation.is_protocol() {
            (decision.verdict, decision.by) = (Verdict::Allow, DecidedBy::Protocol);
        }
        decision.tidied()
    }

    pub(super) fn verdict(&self, rule: &Rule, operation: &Operation, caller: &Caller) -> Verdict {
        match &rule.effect {
            Effect::Deny => Verdict::Deny,
            Effect::Approve(_) if operation.method == CALL_TOOL => Verdict::Approve,
            // A task began with a call that was approved.
            Effect::Approve(_) | Effect::Allow => Verdict::Allow,
            Effect::StepUp(scopes, sign_in) => {
                let missing = self.scopes.missing(&caller.subject.scopes, scopes);
                // A task began with a call whose user had signed in like that, and may go on for longer.
                let is_met = operation.is_of_task() || sign_in.lacks(&caller.subject.rights, caller.now).is_empty();
                if missing.is_empty() && is_met {
                    return Verdict::Allow;
                }
                Verdict::StepUp { missing, scopes: scopes.clone(), sign_in: (!is_met).then(|| sign_in.clone()) }
            }
        }
    }
}

/// The methods that have items of a kind as targets, beginning with the one that uses the item.
pub fn methods_of(kind: Kind) -> impl Iterator<Item = &'static str> {
    METHODS.iter().filter(move |method| method.is_on(kind)).map(|method| method.name)
}
