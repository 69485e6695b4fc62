//! The decision about one operation of one caller. It is a pure function, and the same one for the gateway, its filters
//! for lists, and the command line.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::mcp::kind::Kind;
use crate::mcp::method::METHODS;
use crate::mcp::operation::Operation;
use crate::oauth::scope::{Scope, ScopeHierarchy, ScopeSet};
use crate::policy::caller::Caller;
use crate::policy::condition::{Condition, Fact};
use crate::policy::decoy::Decoy;
use crate::policy::index::Index;
use crate::policy::rule::{Effect, Rule, When};
use crate::policy::uri::readings;

/// Maximum number of patterns that the gateway tries when it looks for a stand-in for a hidden name.
const DECOY_PATTERNS: usize = 16;

/// How lists show items that need a step-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StepUpInLists {
    /// They leave these items out.
    #[default]
    Hide,
    /// They show these items with a mark.
    Mark,
}

/// The rules of one resource.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    index: Index,
    scopes: Rc<ScopeHierarchy>,
    /// Whether the policy only observes and enforces nothing.
    pub observe: bool,
    /// How lists show items that need a step-up.
    pub step_up_in_lists: StepUpInLists,
    /// Identifies this policy in decisions: the beginning of the SHA-256 digest of its configuration.
    pub hash: String,
}

/// The arguments of a call.
#[derive(Debug, Clone, Copy)]
pub enum Arguments<'a> {
    /// The arguments in the body.
    Known(Option<&'a Map<String, Value>>),
    /// Arguments that were not read yet or do not exist: a list asks whether the item could be called with any
    /// arguments.
    Unknown,
}

/// The verdict of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The operation is permitted.
    Allow,
    /// The operation needs more scopes.
    StepUp {
        /// The scopes that the caller lacks.
        missing: ScopeSet,
        /// All scopes that the rule requires.
        scopes: ScopeSet,
    },
    /// The operation is denied, as if its target did not exist for this caller.
    Deny,
}

impl Verdict {
    /// How strict it is.
    fn rank(&self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::StepUp { .. } => 1,
            Self::Deny => 2,
        }
    }

    /// The verdict in logs and reports.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::StepUp { .. } => "step_up",
            Self::Deny => "deny",
        }
    }
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecidedBy {
    /// The rule with this index.
    Rule(usize),
    /// The message belongs to the protocol itself, and no rule decides about it.
    Protocol,
    /// No rule matches.
    Default,
    /// The name is invalid: two readers could read it differently.
    InvalidName,
}

/// A decision and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// What decided.
    pub by: DecidedBy,
    /// The first matching rule that only observes, and its verdict, if that differs from the verdict of the decision.
    pub would: Option<(usize, Verdict)>,
    /// Whether another caller could get another verdict.
    pub depends_on_caller: bool,
    /// Whether arguments that are not known yet could change the verdict to a refusal, or from one.
    pub depends_on_arguments: bool,
}

/// A verdict that is possible according to what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Possible {
    /// The verdict.
    pub verdict: Verdict,
    /// What decides if this is the verdict.
    pub by: DecidedBy,
    /// The missing fact on which this verdict depends, if any.
    pub open: Option<String>,
}

/// The result of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleResult {
    /// The rule is about other targets.
    OtherTarget,
    /// This condition about the caller or the connection does not hold.
    Condition(&'static str),
    /// The test of this argument fails.
    Argument(String),
    /// The rule matches with certain arguments, but the arguments are not known.
    ArgumentsUnknown,
    /// The rule matches but only observes.
    Observed,
    /// The rule matches and decides.
    Decides,
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
        Self { index: Index::of(&rules), rules, scopes, observe, step_up_in_lists, hash }
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
                && rule.targets.fit(operation, rule.effect != Effect::Allow)
                && rule.when.fails_for(caller, &self.scopes).is_none()
        });
        rules.flat_map(|rule| rule.when.arguments.iter().map(|(name, _)| name.as_str())).collect()
    }

    /// What rules read about callers.
    pub fn facts(&self) -> impl Iterator<Item = Fact<'_>> {
        self.rules.iter().flat_map(|rule| rule.when.conditions.iter().map(Condition::reads))
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
        let others = readings.iter().map(|reading| decide(&Operation::on(&operation.method, Kind::Resource, reading)));
        others.fold(said, |strictest, other| {
            let (depends, on_arguments) = (
                strictest.depends_on_caller || other.depends_on_caller,
                strictest.depends_on_arguments || other.depends_on_arguments,
            );
            let stricter = if other.verdict.rank() > strictest.verdict.rank() { other } else { strictest };
            Decision { depends_on_caller: depends, depends_on_arguments: on_arguments, ..stricter }
        })
    }

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
                    && rule.targets.fit(operation, rule.effect != Effect::Allow)
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
            if !rule.targets.fit(operation, rule.effect != Effect::Allow) {
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
            let verdict = self.verdict(rule, caller);
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
            if verdict != Verdict::Allow
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

    /// All verdicts that are possible if neither the arguments of an operation nor some facts about the caller are
    /// known. Each has the rule that decides, and what would have to be known to tell. There is one entry if nothing is
    /// open.
    #[must_use]
    pub fn possible(
        &self,
        operation: &Operation,
        caller: &Caller,
        is_known: &dyn Fn(Fact<'_>) -> bool,
    ) -> Vec<Possible> {
        let of = |operation: &Operation| self.possible_by_rules(operation, caller, is_known);
        let mut all = of(operation);
        let Some((Kind::Resource, uri)) = &operation.target else { return all };
        let Some(readings) = readings(uri) else {
            return vec![Possible { verdict: Verdict::Deny, by: DecidedBy::InvalidName, open: None }];
        };
        for reading in readings {
            let others = of(&Operation::on(&operation.method, Kind::Resource, &reading));
            let mut stricter: Vec<Possible> = Vec::new();
            for one in &all {
                for other in &others {
                    let found = if other.verdict.rank() > one.verdict.rank() { other } else { one };
                    if !stricter.iter().any(|known| known.verdict == found.verdict) {
                        stricter.push(found.clone());
                    }
                }
            }
            all = stricter;
        }
        all
    }

    fn possible_by_rules(
        &self,
        operation: &Operation,
        caller: &Caller,
        is_known: &dyn Fn(Fact<'_>) -> bool,
    ) -> Vec<Possible> {
        if !operation.has_valid_name() {
            return vec![Possible { verdict: Verdict::Deny, by: DecidedBy::InvalidName, open: None }];
        }
        let mut all: Vec<Possible> = Vec::new();
        let mut open: Option<String> = None;
        let mut add = |verdict: Verdict, by: DecidedBy, open: Option<&String>| {
            if !all.iter().any(|known| known.verdict == verdict) {
                all.push(Possible { verdict, by, open: open.cloned() });
            }
        };
        for index in self.index.candidates(operation) {
            let Some(rule) = self.rules.get(index) else { continue };
            let (known, unknown): (Vec<&Condition>, Vec<&Condition>) =
                rule.when.conditions.iter().partition(|condition| is_known(condition.reads()));
            if rule.observe
                || !rule.targets.fit(operation, rule.effect != Effect::Allow)
                || known.iter().any(|condition| !condition.holds(caller, &self.scopes))
            {
                continue;
            }
            let argument = rule.when.arguments.first().map(|(name, _)| format!("arguments.{name}"));
            let lacking = unknown.first().map(|condition| condition.key().to_owned()).or(argument);
            let Some(lacking) = lacking else {
                add(self.verdict(rule, caller), DecidedBy::Rule(index), open.as_ref());
                return all;
            };
            let lacking = format!("when.{lacking} of rule {:?}", rule.id);
            add(self.verdict(rule, caller), DecidedBy::Rule(index), Some(&lacking));
            open.get_or_insert(lacking);
        }
        let (verdict, by) = if operation.is_protocol() {
            (Verdict::Allow, DecidedBy::Protocol)
        } else {
            (Verdict::Deny, DecidedBy::Default)
        };
        add(verdict, by, open.as_ref());
        all
    }

    fn verdict(&self, rule: &Rule, caller: &Caller) -> Verdict {
        match &rule.effect {
            Effect::Allow => Verdict::Allow,
            Effect::Deny => Verdict::Deny,
            Effect::StepUp(scopes) => {
                let missing = self.scopes.missing(&caller.subject.scopes, scopes);
                if missing.is_empty() { Verdict::Allow } else { Verdict::StepUp { missing, scopes: scopes.clone() } }
            }
        }
    }
}

impl Decision {
    fn tidied(mut self) -> Self {
        if self.would.as_ref().is_some_and(|(_, would)| *would == self.verdict) {
            self.would = None;
        }
        self
    }
}

/// The methods that have items of a kind as targets, beginning with the one that uses the item.
pub fn methods_of(kind: Kind) -> impl Iterator<Item = &'static str> {
    METHODS.iter().filter(move |method| method.is_on(kind)).map(|method| method.name)
}
