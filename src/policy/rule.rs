//! Rules as they are used.

use serde_json::{Map, Number, Value};

use crate::mcp::kind::Kind;
use crate::mcp::operation::Operation;
use crate::oauth::scope::{Scope, ScopeHierarchy, ScopeSet};
use crate::policy::caller::Caller;
use crate::policy::condition::Condition;
use crate::policy::pattern::{Pattern, fold};

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name in decisions and reports.
    pub id: String,
    /// What a match means.
    pub effect: Effect,
    /// What it is about.
    pub targets: Targets,
    /// What must hold besides.
    pub when: When,
    /// It decides nothing; the log says what it would have.
    pub observe: bool,
}

impl Rule {
    /// Whether what it decides, or whether it does, depends on the caller.
    #[must_use]
    pub fn depends_on_caller(&self) -> bool {
        self.when.depends_on_caller() || self.effect.scopes().is_some()
    }

    /// Scopes that it names.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        let asked = self.when.conditions.iter().filter_map(|condition| match condition {
            Condition::Scopes(scopes) => Some(scopes),
            _ => None,
        });
        asked.chain(self.effect.scopes()).flat_map(ScopeSet::iter)
    }
}

/// What a match means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// It may be done.
    Allow,
    /// For this caller it does not exist.
    Deny,
    /// It may be done with all of these scopes.
    StepUp(ScopeSet),
}

impl Effect {
    /// Scopes that it asks for.
    #[must_use]
    pub fn scopes(&self) -> Option<&ScopeSet> {
        match self {
            Self::StepUp(scopes) => Some(scopes),
            Self::Allow | Self::Deny => None,
        }
    }

    /// The effect as configuration writes it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::StepUp(_) => "step_up",
        }
    }
}

/// What a rule is about: one of these patterns fits. No pattern at all fits everything.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// Methods.
    pub methods: Vec<Pattern>,
    /// Tools, those of labels among them.
    pub tools: Vec<Pattern>,
    /// Prompts.
    pub prompts: Vec<Pattern>,
    /// URIs.
    pub resources: Vec<Pattern>,
}

impl Targets {
    /// The patterns of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &[Pattern] {
        match kind {
            Kind::Tool => &self.tools,
            Kind::Prompt => &self.prompts,
            Kind::Resource => &self.resources,
        }
    }

    /// Whether there are none, so that everything fits.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        [&self.methods, &self.tools, &self.prompts, &self.resources].into_iter().all(Vec::is_empty)
    }

    /// The patterns that fit the name of an operation in any case, or the method of one without a name; nothing in their place where the
    /// method of one with a name fits, or everything does.
    #[must_use]
    pub fn fitting(&self, operation: &Operation) -> Vec<Option<&Pattern>> {
        let Some((kind, name)) = operation.target.as_ref() else { return self.fitting_method(&operation.method) };
        let by_method = self.is_everything() || !self.fitting_method(&operation.method).is_empty();
        let folded = fold(name);
        let fitting = self.of(*kind).iter().filter(|it| it.matches(name) || it.matches_folded(&folded)).map(Some);
        fitting.chain(by_method.then_some(None)).collect()
    }

    /// The patterns that fit a method in any case; nothing in their place where everything does.
    #[must_use]
    pub fn fitting_method(&self, method: &str) -> Vec<Option<&Pattern>> {
        let folded = fold(method);
        let fitting = self.methods.iter().filter(|it| it.matches(method) || it.matches_folded(&folded)).map(Some);
        fitting.chain(self.is_everything().then_some(None)).collect()
    }

    /// Whether one of its patterns is about a method, as a server that ignores case would read that.
    #[must_use]
    pub fn is_about_method(&self, method: &str) -> bool {
        let folded = fold(method);
        self.methods.iter().any(|pattern| pattern.matches_folded(&folded))
    }

    /// Whether `operation` fits. `loosely` fits as a server that ignores case would read the name: what denies, or asks
    /// for more, must not be got around by capitals.
    #[must_use]
    pub fn fit(&self, operation: &Operation, loosely: bool) -> bool {
        let fits = |patterns: &[Pattern], name: &str| {
            if loosely {
                let folded = fold(name);
                patterns.iter().any(|pattern| pattern.matches_folded(&folded))
            } else {
                patterns.iter().any(|pattern| pattern.matches(name))
            }
        };
        self.is_everything()
            || fits(&self.methods, &operation.method)
            || operation.target.as_ref().is_some_and(|(kind, name)| fits(self.of(*kind), name))
    }
}

/// What must hold for a rule to match. Everything that is given must.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// Conditions about the caller and its connection.
    pub conditions: Vec<Condition>,
    /// Tests on arguments.
    pub arguments: Vec<(String, ArgumentTest)>,
}

impl When {
    /// Whether the caller or its connection matters: every condition is about them.
    #[must_use]
    pub fn depends_on_caller(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// The first condition about the caller that does not hold.
    #[must_use]
    pub fn fails_for(&self, caller: &Caller, scopes: &ScopeHierarchy) -> Option<&Condition> {
        self.conditions.iter().find(|condition| !condition.holds(caller, scopes))
    }

    /// Whether everything that it asks is asked by `narrower` too, so that whatever passes that passes this. May say no where
    /// it is so.
    #[must_use]
    pub fn is_implied_by(&self, narrower: &Self) -> bool {
        let Self { conditions, arguments: _ } = self;
        conditions.iter().all(|wide| narrower.conditions.iter().any(|narrow| wide.is_implied_by(narrow)))
            && self.arguments_are_implied_by(narrower)
    }

    /// Whether all arguments that pass the tests of `narrower` pass these too.
    #[must_use]
    pub fn arguments_are_implied_by(&self, narrower: &Self) -> bool {
        self.arguments.iter().all(|(name, test)| {
            narrower.arguments.iter().any(|(other, narrow)| other == name && test.is_implied_by(narrow))
        })
    }

    /// The first argument whose test fails.
    #[must_use]
    pub fn fails_with(&self, arguments: Option<&Map<String, Value>>) -> Option<&str> {
        let failing = self.arguments.iter().find(|(name, test)| {
            let value = arguments.and_then(|arguments| arguments.get(name)).filter(|value| !value.is_null());
            !test.holds(value)
        });
        failing.map(|(name, _)| name.as_str())
    }
}

/// A test on one argument.
#[derive(Debug, Clone, Default)]
pub struct ArgumentTest {
    /// One of these strings.
    pub one_of: Option<Vec<String>>,
    /// A string of this form.
    pub like: Option<Pattern>,
    /// A number, and not less.
    pub at_least: Option<i64>,
    /// A number, and not more.
    pub at_most: Option<i64>,
    /// This boolean.
    pub is: Option<bool>,
    /// There, or not.
    pub present: Option<bool>,
}

impl ArgumentTest {
    /// Whether it holds for a value; `None` is an argument that is missing or `null`.
    #[must_use]
    pub fn holds(&self, value: Option<&Value>) -> bool {
        // Every member, so that none is added halfway; likewise below.
        let Self { one_of, like, at_least, at_most, is, present } = self;
        let Some(value) = value else { return self.asks_for_absence() };
        let text = value.as_str();
        *present != Some(false)
            && one_of.as_ref().is_none_or(|values| text.is_some_and(|text| values.iter().any(|it| it == text)))
            && like.as_ref().is_none_or(|pattern| text.is_some_and(|text| pattern.matches(text)))
            && at_least.is_none_or(|least| number(value).is_some_and(|number| compare(number, least).is_ge()))
            && at_most.is_none_or(|most| number(value).is_some_and(|number| compare(number, most).is_le()))
            && is.is_none_or(|wanted| value.as_bool() == Some(wanted))
    }

    /// Whether everything that passes `narrower` passes this too. May say no where it is so.
    #[must_use]
    pub fn is_implied_by(&self, narrower: &Self) -> bool {
        let Self { one_of, like, at_least, at_most, is, present } = self;
        let one_of = match (one_of, &narrower.one_of) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => narrow.iter().all(|value| wide.contains(value)),
        };
        let least = at_least.is_none_or(|wide| narrower.at_least.is_some_and(|narrow| narrow >= wide));
        let most = at_most.is_none_or(|wide| narrower.at_most.is_some_and(|narrow| narrow <= wide));
        let present = match *present {
            None => true,
            // Every test but that for absence asks for something that is there.
            Some(true) => !narrower.asks_for_absence(),
            Some(false) => narrower.asks_for_absence(),
        };
        one_of
            && least
            && most
            && present
            && (like.is_none() || *like == narrower.like)
            && (is.is_none() || *is == narrower.is)
    }

    /// Whether it holds for what is not there, and for nothing else.
    #[must_use]
    pub fn asks_for_absence(&self) -> bool {
        self.present == Some(false)
    }
}

fn number(value: &Value) -> Option<&Number> {
    match value {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

/// Exact where both are whole; a fraction is compared as the double that it is.
#[expect(clippy::cast_precision_loss, reason = "a double is compared with the nearest double")]
fn compare(number: &Number, with: i64) -> std::cmp::Ordering {
    if let Some(whole) = number.as_i64() {
        return whole.cmp(&with);
    }
    if number.is_u64() {
        return std::cmp::Ordering::Greater;
    }
    number.as_f64().and_then(|double| double.partial_cmp(&(with as f64))).unwrap_or(std::cmp::Ordering::Greater)
}
