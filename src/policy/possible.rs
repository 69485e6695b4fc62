//! What the policy could decide if some facts are not known: for the analysis of a configuration.

use crate::mcp::kind::Kind;
use crate::mcp::operation::Operation;
use crate::policy::caller::Caller;
use crate::policy::condition::{Condition, Fact};
use crate::policy::decide::{Policy, methods_of};
use crate::policy::rule::Effect;
use crate::policy::server_names::ServerNames;
use crate::policy::uri::readings;
use crate::policy::verdict::{DecidedBy, Possible, Verdict};

impl Policy {
    /// Whether the rules may permit a caller anything of one of several servers. May say so although they do not.
    #[must_use]
    pub fn may_permit(&self, names: &ServerNames, caller: &Caller) -> bool {
        if self.observe {
            return true;
        }
        // The kinds of items that earlier rules deny altogether.
        let mut closed: Vec<Kind> = Vec::new();
        let rules = self.rules.iter().filter(|rule| !rule.observe);
        for rule in rules.filter(|rule| rule.when.fails_for(caller, &self.scopes).is_none()) {
            let targets = &rule.targets;
            match rule.effect {
                Effect::Deny if rule.when.arguments.is_empty() => {
                    let is_denied =
                        |kind: &Kind| targets.is_everything() || names.are_all_matched(*kind, targets.of(*kind));
                    closed.extend(Kind::ALL.into_iter().filter(is_denied));
                }
                Effect::Deny => {}
                Effect::Allow | Effect::StepUp(..) | Effect::Approve(_) => {
                    let opens = |kind: Kind| {
                        targets.is_everything()
                            || methods_of(kind).any(|method| targets.is_about_method(method))
                            || targets.of(kind).iter().any(|pattern| names.may_match(kind, pattern))
                    };
                    if Kind::ALL.into_iter().any(|kind| !closed.contains(&kind) && opens(kind)) {
                        return true;
                    }
                }
            }
        }
        false
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
            let others = of(&operation.read_as(&reading));
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
                || !self.is_about(rule, operation)
                || known.iter().any(|condition| !condition.holds(caller, &self.scopes))
            {
                continue;
            }
            let argument = rule.when.arguments.first().map(|(name, _)| format!("arguments.{name}"));
            let lacking = unknown.first().map(|condition| condition.key().to_owned()).or(argument);
            let Some(lacking) = lacking else {
                add(self.verdict(rule, operation, caller), DecidedBy::Rule(index), open.as_ref());
                return all;
            };
            let lacking = format!("when.{lacking} of rule {:?}", rule.id);
            add(self.verdict(rule, operation, caller), DecidedBy::Rule(index), Some(&lacking));
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
}
