//! Rules as they are used.

use serde_json::{Map, Number, Value};

use crate::oauth::scope::{ScopeHierarchy, ScopeSet};
use crate::policy::caller::Caller;
use crate::policy::operation::{Kind, Operation};
use crate::policy::pattern::{Pattern, fold};
use crate::token::claims::equals_one_of;

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

    /// The pattern that fits the name of an operation; nothing where the method fits, or everything does.
    #[must_use]
    pub fn fitting(&self, operation: &Operation) -> Option<&Pattern> {
        let (kind, name) = operation.target.as_ref()?;
        let by_method = self.methods.iter().any(|pattern| pattern.matches(&operation.method));
        self.of(*kind).iter().find(|pattern| !by_method && pattern.matches(name))
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
    /// All of these scopes.
    pub scopes: ScopeSet,
    /// One of these roles.
    pub roles: Option<Vec<String>>,
    /// One of these groups.
    pub groups: Option<Vec<String>>,
    /// These claims, each with one of its values.
    pub claims: Vec<(String, Vec<String>)>,
    /// One of these subjects.
    pub subjects: Option<Vec<String>>,
    /// One of these clients.
    pub clients: Option<Vec<String>>,
    /// One of these issuers.
    pub issuers: Option<Vec<String>>,
    /// One of these countries.
    pub countries: Option<Vec<String>>,
    /// One of these networks.
    pub asns: Option<Vec<u64>>,
    /// A client certificate, or none.
    pub mtls: Option<bool>,
    /// Tests on arguments.
    pub arguments: Vec<(String, ArgumentTest)>,
}

impl When {
    /// Whether the caller or its connection matters.
    #[must_use]
    pub fn asks_who(&self) -> bool {
        !self.scopes.is_empty()
            || !self.claims.is_empty()
            || self.mtls.is_some()
            || self.asns.is_some()
            || [&self.roles, &self.groups, &self.subjects, &self.clients, &self.issuers, &self.countries]
                .into_iter()
                .any(Option::is_some)
    }

    /// The first condition about the caller that does not hold, by its name in configuration.
    #[must_use]
    pub fn fails_for(&self, caller: &Caller, scopes: &ScopeHierarchy) -> Option<&'static str> {
        let subject = &caller.subject;
        let among = |accepted: &Option<Vec<String>>, values: &[String]| {
            accepted.as_ref().is_none_or(|accepted| values.iter().any(|value| accepted.contains(value)))
        };
        let one = |accepted: &Option<Vec<String>>, value: Option<&str>| {
            accepted.as_ref().is_none_or(|accepted| value.is_some_and(|value| accepted.iter().any(|it| it == value)))
        };
        let claims = self.claims.iter().all(|(name, accepted)| {
            subject.rights.claims.get(name).is_some_and(|value| equals_one_of(value, accepted))
        });
        let conditions = [
            (scopes.missing(&subject.scopes, &self.scopes).is_empty(), "scopes"),
            (among(&self.roles, &subject.rights.roles), "roles"),
            (among(&self.groups, &subject.rights.groups), "groups"),
            (claims, "claims"),
            (one(&self.subjects, Some(&subject.subject)), "subjects"),
            (one(&self.clients, subject.client.as_deref()), "clients"),
            (one(&self.issuers, caller.source.as_deref()), "issuers"),
            (one(&self.countries, caller.facts.country.as_deref()), "countries"),
            (self.asns.as_ref().is_none_or(|asns| caller.facts.asn.is_some_and(|asn| asns.contains(&asn))), "asns"),
            (self.mtls.is_none_or(|wanted| wanted == caller.facts.certificate), "mtls"),
        ];
        conditions.into_iter().find(|(holds, _)| !holds).map(|(_, name)| name)
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
        let Some(value) = value else { return self.asks_for_absence() };
        let text = value.as_str();
        self.present != Some(false)
            && self.one_of.as_ref().is_none_or(|values| text.is_some_and(|text| values.iter().any(|it| it == text)))
            && self.like.as_ref().is_none_or(|pattern| text.is_some_and(|text| pattern.matches(text)))
            && self.at_least.is_none_or(|least| number(value).is_some_and(|number| compare(number, least).is_ge()))
            && self.at_most.is_none_or(|most| number(value).is_some_and(|number| compare(number, most).is_le()))
            && self.is.is_none_or(|wanted| value.as_bool() == Some(wanted))
    }

    /// Whether everything that passes `narrower` passes this too. May say no where it is so.
    #[must_use]
    pub fn is_implied_by(&self, narrower: &Self) -> bool {
        let one_of = match (&self.one_of, &narrower.one_of) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => narrow.iter().all(|value| wide.contains(value)),
        };
        let least = self.at_least.is_none_or(|wide| narrower.at_least.is_some_and(|narrow| narrow >= wide));
        let most = self.at_most.is_none_or(|wide| narrower.at_most.is_some_and(|narrow| narrow <= wide));
        let present = match self.present {
            None => true,
            // Every test but that for absence asks for something that is there.
            Some(true) => !narrower.asks_for_absence(),
            Some(false) => narrower.asks_for_absence(),
        };
        one_of
            && least
            && most
            && present
            && (self.like.is_none() || self.like == narrower.like)
            && (self.is.is_none() || self.is == narrower.is)
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
