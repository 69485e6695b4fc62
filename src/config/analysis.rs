//! Analysis of rules without any request. The rule language is small on purpose, so that this is possible.

use crate::policy::decide::methods_of;
use std::collections::BTreeSet;

use crate::mcp::kind::Kind;
use crate::mcp::operation::Operation;
use crate::oauth::scope::Scope;
use crate::policy::decide::Policy;
use crate::policy::pattern::Pattern;
use crate::policy::rule::{Effect, Rule, Targets};
use crate::settings::Settings;

/// A finding about rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The first rule never matches, because the second rule, which is before it, matches everything that it could.
    Unreachable(String, String),
    /// These patterns of the first rule never match, because the second rule, which is before it, matches everything
    /// that they could.
    Shadowed(String, Vec<String>, String),
    /// No rule is about this tool, prompt or MCP resource: the gateway denies it to every caller.
    Uncovered(Kind, String),
    /// This scope gives access to nothing.
    UselessScope(String),
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(rule, by) => write!(
                f,
                "unreachable: rule {rule:?} never matches: the earlier rule {by:?} matches everything that it could"
            ),
            Self::Shadowed(rule, patterns, by) => {
                write!(
                    f,
                    "shadowed: {} of rule {rule:?} never matches: the earlier rule {by:?} matches everything that it could",
                    patterns.join(", ")
                )
            }
            Self::Uncovered(kind, name) => {
                write!(f, "uncovered: no rule is about the {} {name:?}; no caller may use it", kind.as_str())
            }
            Self::UselessScope(scope) => write!(f, "useless: the scope {scope:?} gives access to nothing here"),
        }
    }
}

/// Rules that can never match, each with an earlier rule that matches everything that it could. The analysis compares
/// rules one by one: it does not find several earlier rules that only together cover another.
#[must_use]
pub fn unreachable(policy: &Policy) -> Vec<(usize, usize)> {
    let rules = policy.rules().iter().enumerate();
    rules
        .filter_map(|(at, rule)| earlier(policy, at, rule).find(|by| covers(policy, *by, rule)).map(|by| (at, by)))
        .collect()
}

/// Earlier rules that may cover a rule. A pattern that covers another pattern also matches the text of that pattern as
/// if it were a name, so the index finds the candidates.
fn earlier(policy: &Policy, at: usize, rule: &Rule) -> impl Iterator<Item = usize> {
    let first = all(&rule.targets).next();
    let operation = first.map_or_else(
        || Operation::plain(""),
        |(kind, pattern)| match kind {
            Some(kind) => Operation::on("", kind, pattern.as_str()),
            None => Operation::plain(pattern.as_str()),
        },
    );
    policy.candidates(&operation).into_iter().filter(move |index| *index < at)
}

fn all(targets: &Targets) -> impl Iterator<Item = (Option<Kind>, &Pattern)> {
    let named = [Kind::Tool, Kind::Prompt, Kind::Resource].into_iter();
    let named = named.flat_map(|kind| targets.of(kind).iter().map(move |pattern| (Some(kind), pattern)));
    targets.methods.iter().map(|pattern| (None, pattern)).chain(named)
}

/// Whether the rule at `earlier` matches everything that `later` could.
fn covers(policy: &Policy, earlier: usize, later: &Rule) -> bool {
    let Some(earlier) = policy.rules().get(earlier).filter(|earlier| !earlier.observe) else { return false };
    earlier.when.is_implied_by(&later.when)
        && (earlier.targets.is_everything()
            || !later.targets.is_everything() && all(&later.targets).all(|target| covered(earlier, later, target)))
}

/// Whether `earlier` matches everything that one pattern of `later` could.
fn covered(earlier: &Rule, later: &Rule, (kind, pattern): (Option<Kind>, &Pattern)) -> bool {
    // A rule with `deny` or `step_up` ignores case. Its patterns match more names than the same pattern of an `allow`
    // rule, which compares names exactly.
    let loose = later.effect != Effect::Allow && earlier.effect == Effect::Allow;
    earlier.targets.is_everything()
        || all(&earlier.targets)
            .any(|(other, covering)| other == kind && (covering.as_str() == "*" || !loose && covering.covers(pattern)))
}

/// All findings about the rules of a resource; `known` is what its origin server lists.
#[must_use]
pub fn check(policy: &Policy, known: &[(Kind, String)]) -> Vec<Finding> {
    let id = |index: usize| policy.rules_id(index).to_owned();
    let unreachable = unreachable(policy);
    let mut findings: Vec<Finding> =
        unreachable.iter().map(|(rule, by)| Finding::Unreachable(id(*rule), id(*by))).collect();
    let rules = policy.rules();
    for (at, rule) in rules.iter().enumerate() {
        if unreachable.iter().any(|(rule, _)| *rule == at) {
            continue;
        }
        let count = all(&rule.targets).count();
        for earlier in
            rules.iter().take(at).filter(|earlier| !earlier.observe && earlier.when.is_implied_by(&rule.when))
        {
            let lost = all(&rule.targets).filter(|target| covered(earlier, rule, *target));
            let lost: Vec<String> = lost.map(|(_, pattern)| pattern.as_str().to_owned()).collect();
            if (1..count).contains(&lost.len()) {
                findings.push(Finding::Shadowed(rule.id.clone(), lost, earlier.id.clone()));
            }
        }
    }
    for (kind, name) in known {
        let method = methods_of(*kind).next().unwrap_or_default();
        let operation = Operation::on(method, *kind, name);
        if !rules.iter().any(|rule| rule.targets.fit(&operation, rule.effect != Effect::Allow)) {
            findings.push(Finding::Uncovered(*kind, name.clone()));
        }
    }
    findings
}

/// Scopes of the hierarchy that no resource and no rule requires, not even through a scope that they include.
#[must_use]
pub fn useless_scopes(settings: &Settings) -> Vec<Finding> {
    let mut asked: BTreeSet<&Scope> = BTreeSet::new();
    for resource in &settings.resources {
        asked.extend(resource.scopes.iter());
        for rule in resource.policy.iter().flat_map(|policy| policy.rules()) {
            asked.extend(rule.scopes());
        }
    }
    let useless = settings.scopes.named().into_iter().filter(|scope| {
        let only = std::iter::once((*scope).clone()).collect();
        !asked.iter().any(|asked| settings.scopes.covers(&only, asked))
    });
    useless.map(|scope| Finding::UselessScope(scope.as_str().to_owned())).collect()
}
