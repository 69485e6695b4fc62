//! Rules in the form in which the gateway evaluates them.

use serde_json::{Map, Number, Value};

use crate::mcp::kind::Kind;
use crate::mcp::method::CALL_TOOL;
use crate::mcp::operation::Operation;
use crate::oauth::scope::{Scope, ScopeHierarchy, ScopeSet};
use crate::policy::caller::Caller;
use crate::policy::condition::Condition;
use crate::policy::pattern::{Pattern, fold};
use crate::policy::sign_in::SignIn;
use crate::policy::uri::readings;

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its id in decisions and reports.
    pub id: String,
    /// The effect of a match.
    pub effect: Effect,
    /// What it applies to.
    pub targets: Targets,
    /// Further conditions for a match.
    pub when: When,
    /// Whether the rule only observes: it decides nothing, and the log says what it would have decided.
    pub observe: bool,
}

impl Rule {
    /// Whether its match or its verdict depends on the caller.
    #[must_use]
    pub fn depends_on_caller(&self) -> bool {
        self.when.depends_on_caller() || self.effect.scopes().is_some()
    }

    /// The scopes that it names.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        let asked = self.when.conditions.iter().filter_map(|condition| match condition {
            Condition::Scopes(scopes) => Some(scopes),
            _ => None,
        });
        asked.chain(self.effect.scopes()).flat_map(ScopeSet::iter)
    }
}

/// The effect of a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The operation is permitted.
    Allow,
    /// The operation is denied, as if its target did not exist for this caller.
    Deny,
    /// The operation is permitted if the caller has all of these scopes, and if its user signed in like this.
    StepUp(ScopeSet, SignIn),
    /// A call of a tool waits until a person approves it. Everything else that the rule is about is permitted.
    Approve(Approvers),
}

/// Who may approve a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approvers {
    /// The caller, after a fresh login.
    pub caller: bool,
    /// Members of these groups, as the identity provider of the gateway names them. They do not approve their own calls.
    pub groups: Vec<String>,
}

impl Effect {
    /// The scopes that it requires.
    #[must_use]
    pub fn scopes(&self) -> Option<&ScopeSet> {
        match self {
            Self::StepUp(scopes, _) => Some(scopes),
            Self::Allow | Self::Deny | Self::Approve(_) => None,
        }
    }

    /// What it requires of the sign-in of the caller's user.
    #[must_use]
    pub fn sign_in(&self) -> Option<&SignIn> {
        match self {
            Self::StepUp(_, sign_in) => Some(sign_in),
            Self::Allow | Self::Deny | Self::Approve(_) => None,
        }
    }

    /// Who may approve, if it has calls wait for that.
    #[must_use]
    pub fn approvers(&self) -> Option<&Approvers> {
        match self {
            Self::Approve(approvers) => Some(approvers),
            Self::Allow | Self::Deny | Self::StepUp(..) => None,
        }
    }

    /// The effect as the configuration has it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::StepUp(..) => "step_up",
            Self::Approve(_) => "approve",
        }
    }
}

/// What a rule applies to: operations that match one of these patterns. A rule without any pattern applies to every
/// operation.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// Methods.
    pub methods: Vec<Pattern>,
    /// Tools, including those that labels stand for.
    pub tools: Vec<Pattern>,
    /// Prompts.
    pub prompts: Vec<Pattern>,
    /// URIs of MCP resources.
    pub resources: Vec<Pattern>,
}

impl Targets {
    /// The patterns for a kind of item.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &[Pattern] {
        match kind {
            Kind::Tool => &self.tools,
            Kind::Prompt => &self.prompts,
            Kind::Resource => &self.resources,
        }
    }

    /// Whether there are no patterns, so that the rule applies to every operation.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        [&self.methods, &self.tools, &self.prompts, &self.resources].into_iter().all(Vec::is_empty)
    }

    /// Whether a pattern names the URIs of user interfaces of Apps.
    #[must_use]
    pub fn name_apps(&self) -> bool {
        self.resources.iter().any(|pattern| pattern.as_str().to_ascii_lowercase().starts_with("ui:"))
    }

    /// The patterns that match the name of an operation or, if it has no name, its method, in any letter case. For an
    /// operation with a name, an entry `None` says that a pattern for methods matches or that the rule applies to
    /// everything; for one without a name, only the latter.
    #[must_use]
    pub fn fitting(&self, operation: &Operation) -> Vec<Option<&Pattern>> {
        let Some((kind, name)) = operation.target.as_ref() else { return self.fitting_method(&operation.method) };
        let by_method = self.is_everything() || !self.fitting_method(&operation.method).is_empty();
        let folded = fold(name);
        let fitting = self.of(*kind).iter().filter(|it| it.matches(name) || it.matches_folded(&folded)).map(Some);
        fitting.chain(by_method.then_some(None)).collect()
    }

    /// The patterns that match a method in any letter case. An entry `None` says that the rule applies to everything.
    #[must_use]
    pub fn fitting_method(&self, method: &str) -> Vec<Option<&Pattern>> {
        let folded = fold(method);
        let fitting = self.methods.iter().filter(|it| it.matches(method) || it.matches_folded(&folded)).map(Some);
        fitting.chain(self.is_everything().then_some(None)).collect()
    }

    /// Whether one of the patterns for methods matches a method in any letter case.
    #[must_use]
    pub fn is_about_method(&self, method: &str) -> bool {
        let folded = fold(method);
        self.methods.iter().any(|pattern| pattern.matches_folded(&folded))
    }

    /// Whether the rule applies to `operation`. `loosely` ignores letter case, because some servers do: a caller must
    /// not evade a `deny` or `step_up` rule by changing the case of a name.
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
        // What permits the method permits the tasks of all tools: only the rules of the tool itself permit its tasks.
        let by_method = loosely || !operation.is_of_task();
        self.is_everything()
            || by_method && fits(&self.methods, &operation.method)
            || operation.target.as_ref().is_some_and(|(kind, name)| fits(self.of(*kind), name))
            || operation.follows.as_ref().is_some_and(|tool| fits(&self.methods, CALL_TOOL) || fits(&self.tools, tool))
    }
}

impl Targets {
    /// Whether an operation may be one of these: in any letter case, in any reading of its URI, and also if readers disagree about its
    /// name. What must not be evaded by the spelling of a name asks this.
    #[must_use]
    pub fn may_fit(&self, operation: &Operation) -> bool {
        if self.fit(operation, true) {
            return true;
        }
        match &operation.target {
            Some((kind, _)) if !operation.has_valid_name() => !self.of(*kind).is_empty(),
            Some((Kind::Resource, uri)) => readings(uri).map_or(!self.resources.is_empty(), |readings| {
                readings.iter().any(|reading| self.fit(&operation.read_as(reading), true))
            }),
            _ => false,
        }
    }
}

/// Further conditions for a match. All of them must hold.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// Conditions on the caller and its connection.
    pub conditions: Vec<Condition>,
    /// Tests of arguments, by the name of the argument.
    pub arguments: Vec<(String, ArgumentTest)>,
}

impl When {
    /// Whether a match depends on the caller or its connection. All conditions are about these.
    #[must_use]
    pub fn depends_on_caller(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// The first condition that does not hold for the caller.
    #[must_use]
    pub fn fails_for(&self, caller: &Caller, scopes: &ScopeHierarchy) -> Option<&Condition> {
        self.conditions.iter().find(|condition| !condition.holds(caller, scopes))
    }

    /// Whether `narrower` requires everything that this requires, so that whatever passes `narrower` also passes this.
    /// May return false although that is so.
    #[must_use]
    pub fn is_implied_by(&self, narrower: &Self) -> bool {
        let Self { conditions, arguments: _ } = self;
        conditions.iter().all(|wide| narrower.conditions.iter().any(|narrow| wide.is_implied_by(narrow)))
            && self.arguments_are_implied_by(narrower)
    }

    /// Whether all arguments that pass the tests of `narrower` also pass these.
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

/// A test of one argument.
#[derive(Debug, Clone, Default)]
pub struct ArgumentTest {
    /// The value is one of these strings.
    pub one_of: Option<Vec<String>>,
    /// The value is a string that matches this pattern.
    pub like: Option<Pattern>,
    /// The value is a number that is not less than this.
    pub at_least: Option<i64>,
    /// The value is a number that is not greater than this.
    pub at_most: Option<i64>,
    /// The value is this boolean.
    pub is: Option<bool>,
    /// The argument must be present (`true`) or absent (`false`).
    pub present: Option<bool>,
}

impl ArgumentTest {
    /// Whether the test passes for a value; `None` is an argument that is missing or `null`.
    #[must_use]
    pub fn holds(&self, value: Option<&Value>) -> bool {
        // The pattern names every member, so that a new one cannot be forgotten here. The same applies below.
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

    /// Whether every value that passes `narrower` also passes this. May return false although that is so.
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
            // Every test except the one for absence requires a value.
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

    /// Whether the test passes for an absent argument, and for nothing else.
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

/// Compares integers exactly, and a fraction as the double that it is.
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
