//! Reads rules, labels, rate limits and sessions.

use std::collections::BTreeMap;
use std::rc::Rc;

use base16ct::lower::encode_string as hex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::config::approvals::read_approvers;
use crate::config::content_document::BudgetDocument;
use crate::config::document::{
    ArgumentDocument, DecisionLogDocument, EffectName, LimitDocument, LimitKeyName, ModeName, ResourceDocument,
    RuleDocument, SessionsDocument, StepUpListName, WhenDocument,
};
use crate::config::mistakes::Mistakes;
use crate::config::ranges;
use crate::config::rules_document::SignInDocument;
use crate::config::values::{Secrets, bounded, is_name, read_long_secret, read_scopes};
use crate::limits::{ACR_BYTES, BUDGETS, RULES, SESSION_SECRETS};
use crate::mcp::operation::is_invisible;
use crate::mcp::session::{SessionKey, Sessions};
use crate::oauth::scope::ScopeHierarchy;
use crate::origin_credential::Kind;
use crate::policy::budget::Budget;
use crate::policy::condition::{Condition, Fact};
use crate::policy::decide::Policy;
use crate::policy::limit::{Limit, LimitKey};
use crate::policy::pattern::Pattern;
use crate::policy::rule::{ArgumentTest, Effect, Rule, Targets, When};
use crate::policy::sign_in::SignIn;
use crate::policy::verdict::StepUpInLists;
use crate::settings::DecisionLog;
use crate::token::principal::ClaimSelection;

/// Adds what rules and guards read from tokens.
pub(super) fn add_interests<'a>(interests: &mut ClaimSelection, facts: impl Iterator<Item = Fact<'a>>) {
    for fact in facts {
        match fact {
            Fact::Roles => interests.roles = true,
            Fact::Groups => interests.groups = true,
            Fact::Claim(name) => interests.add(name),
            // Every caller has these, or they do not come from its credential.
            Fact::Scopes
            | Fact::Subject
            | Fact::Client
            | Fact::Source
            | Fact::Country
            | Fact::Network
            | Fact::Certificate
            | Fact::OriginCredential => {}
        }
    }
}

/// What the rules of a resource may refer to.
pub(super) struct Known<'a> {
    /// The names of its issuers and verifiers, and the prefixes of its API keys.
    pub sources: &'a [&'a str],
    /// The kind of its credential for the origin server.
    pub credential: Option<Kind>,
}

/// Reads the rules of a resource; `None` if it has none. `raw` is the resource as it was written.
pub(super) fn read_policy(
    document: &ResourceDocument,
    raw: &Value,
    at: &str,
    scopes: &Rc<ScopeHierarchy>,
    (labels, known): (&Labels, &Known<'_>),
    mistakes: &mut Mistakes,
) -> Option<Policy> {
    let Some(entries) = &document.rules else {
        let orphans = [
            ("rules_mode", document.rules_mode.is_some()),
            (
                "labels",
                document.labels.is_some()
                    && document.guards.is_none()
                    && document.bounds.is_none()
                    && document.hooks.is_none(),
            ),
            ("step_up_in_lists", document.step_up_in_lists.is_some()),
        ];
        for (key, _) in orphans.into_iter().filter(|(_, given)| *given) {
            mistakes.note(format!("{at}.{key}"), "has no effect without rules");
        }
        return None;
    };
    if entries.is_empty() || entries.len() > RULES {
        mistakes.note(
            format!("{at}.rules"),
            format_args!("must have 1 to {RULES} entries; remove the key to allow everything"),
        );
    }
    let mut rules: Vec<Rule> = Vec::with_capacity(entries.len());
    let mut ids = std::collections::BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("{at}.rules[{index}]");
        let rule = read_rule(entry, index, &at, labels, known, mistakes);
        if !ids.insert(rule.id.clone()) {
            mistakes.note(format!("{at}.id"), format_args!("{:?} is the id of another rule too", rule.id));
        }
        rules.push(rule);
    }
    let step_up = match document.step_up_in_lists {
        Some(StepUpListName::Mark) => StepUpInLists::Mark,
        Some(StepUpListName::Hide) | None => StepUpInLists::Hide,
    };
    let observe = document.rules_mode == Some(ModeName::Observe);
    let policy = Policy::new(rules, Rc::clone(scopes), observe, step_up, hash(raw, scopes, known));
    for (index, earlier) in crate::config::analysis::unreachable(&policy) {
        mistakes.note(
            format!("{at}.rules[{index}]"),
            format_args!(
                "can never match: the earlier rule {:?} matches everything that it could",
                policy.rules_id(earlier)
            ),
        );
    }
    Some(policy)
}

/// The first 128 bits of SHA-256 over the configuration of a policy, with its members in order.
fn hash(raw: &Value, scopes: &ScopeHierarchy, known: &Known<'_>) -> String {
    let part = |name: &str| raw.get(name).cloned().unwrap_or_default();
    let said = json!({
        "labels": part("labels"), "rules": part("rules"), "rules_mode": part("rules_mode"), "scopes": part("scopes"),
        "scope_includes": scopes.to_string(), "step_up_in_lists": part("step_up_in_lists"),
    });
    let reads_credential = part("rules").to_string().contains("origin_credentials");
    let kind = known.credential.filter(|_| reads_credential).map_or("", Kind::name);
    Sha256::digest(format!("{said}{kind}")).get(..16).map(hex).unwrap_or_default()
}

pub(super) type Labels = BTreeMap<String, Vec<Pattern>>;

pub(super) fn read_labels(
    document: Option<&BTreeMap<String, Vec<String>>>,
    at: &str,
    mistakes: &mut Mistakes,
) -> Labels {
    let mut labels = Labels::new();
    for (name, patterns) in document.into_iter().flatten() {
        let at = format!("{at}.labels.{name}");
        if !is_name(name) {
            mistakes.note(&at, "the name of a label must be 1 to 64 letters, digits, -, _ or .");
        }
        labels.insert(name.clone(), read_patterns(Some(patterns), &at, mistakes));
    }
    labels
}

/// Notes labels that are not used.
pub(super) fn note_unused_labels(document: &ResourceDocument, at: &str, mistakes: &mut Mistakes) {
    let of_rules = document.rules.iter().flatten().flat_map(|rule| rule.labels.iter().flatten());
    let of_guards = document.guards.iter().flatten().flat_map(|guard| guard.labels.iter().flatten());
    let of_bounds = document.bounds.iter().flatten().flat_map(|bound| bound.labels.iter().flatten());
    let of_hooks = document.hooks.iter().flatten().flat_map(|hook| hook.labels.iter().flatten());
    let used: Vec<&String> = of_rules.chain(of_guards).chain(of_bounds).chain(of_hooks).collect();
    let is_used = |name: &String| used.contains(&name);
    // Where nothing can use them, they are noted as a whole.
    let has_users =
        document.rules.is_some() || document.guards.is_some() || document.bounds.is_some() || document.hooks.is_some();
    for name in document.labels.iter().flat_map(|labels| labels.keys()).filter(|name| has_users && !is_used(name)) {
        mistakes.note(format!("{at}.labels.{name}"), "no rule uses this label: remove it, or name it in a rule");
    }
}

fn read_rule(
    document: &RuleDocument,
    index: usize,
    at: &str,
    labels: &Labels,
    known: &Known<'_>,
    mistakes: &mut Mistakes,
) -> Rule {
    let id = document.id.clone().unwrap_or_else(|| format!("rule-{}", index + 1));
    if !is_name(&id) {
        mistakes.note(format!("{at}.id"), format_args!("must be 1 to 64 letters, digits, -, _ or ., got {id:?}"));
    }
    let scopes = read_scopes(document.scopes.as_deref().unwrap_or_default(), &format!("{at}.scopes"), mistakes);
    let approvers = read_approvers(document, at, mistakes);
    let sign_in = read_sign_in(document.sign_in.as_ref(), &format!("{at}.sign_in"), mistakes);
    if document.sign_in.is_some() && !matches!(document.effect, EffectName::StepUp) {
        mistakes
            .note(format!("{at}.sign_in"), "is only for step_up, which challenges; to test claims, use when.claims");
    }
    let effect = match document.effect {
        EffectName::Approve if document.scopes.is_none() => Effect::Approve(approvers),
        EffectName::StepUp if scopes.is_empty() && document.sign_in.is_none() => {
            let why =
                "is required with step_up: the scopes that the caller needs; or name sign_in, what its sign-in needs";
            mistakes.note(format!("{at}.scopes"), why);
            Effect::StepUp(scopes, sign_in)
        }
        EffectName::StepUp => Effect::StepUp(scopes, sign_in),
        _ if document.scopes.is_some() => {
            mistakes
                .note(format!("{at}.scopes"), "is only for step_up; to test the scopes of the caller, use when.scopes");
            Effect::Deny
        }
        EffectName::Allow => Effect::Allow,
        EffectName::Deny | EffectName::Approve => Effect::Deny,
    };
    let RuleDocument { methods, tools, labels: named, prompts, resources, .. } = document;
    let lists = TargetLists { methods, tools, labels: named, prompts, resources };
    Rule {
        id,
        effect,
        targets: read_targets(&lists, at, labels, mistakes),
        when: read_when(document.when.as_ref(), &format!("{at}.when"), known, mistakes),
        observe: document.mode == Some(ModeName::Observe),
    }
}

/// Reads what a rule requires of a sign-in.
fn read_sign_in(document: Option<&SignInDocument>, at: &str, mistakes: &mut Mistakes) -> SignIn {
    let Some(document) = document else { return SignIn::default() };
    let SignInDocument { max_age, acr, amr } = document;
    for (key, list) in [("acr", acr), ("amr", amr)] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            mistakes.note(format!("{at}.{key}"), "must not be empty: remove the key, or name at least one value");
        }
        for (index, value) in list.iter().flatten().enumerate().filter(|(_, value)| !is_class(value)) {
            mistakes.note(
                format!("{at}.{key}[{index}]"),
                format_args!("must be 1 to 255 visible ASCII characters without \" and \\, got {value:?}"),
            );
        }
    }
    let bytes: usize = acr.iter().flatten().map(|value| value.len() + 1).sum();
    if bytes > ACR_BYTES {
        mistakes.note(format!("{at}.acr"), format_args!("must have {ACR_BYTES} bytes at most, got {bytes}"));
    }
    let sign_in = SignIn {
        max_age: max_age.map(|_| bounded(*max_age, ranges::SIGN_IN_AGE, &format!("{at}.max_age"), mistakes)),
        acr: acr.clone().unwrap_or_default(),
        amr: amr.clone().unwrap_or_default(),
    };
    if sign_in.is_empty() {
        mistakes.note(at, "must have max_age, acr or amr");
    } else if sign_in.max_age.is_none() && sign_in.acr.is_empty() {
        let why = "needs acr or max_age beside it: a challenge cannot name methods (RFC 9470 §3), so clients would not know what to ask for";
        mistakes.note(format!("{at}.amr"), why);
    }
    sign_in
}

/// Whether a text can be one of the values of `acr_values`: they are separated by spaces, in a quoted string.
fn is_class(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
}

/// What names the targets of a rule, a guard or bounds.
pub(super) struct TargetLists<'a> {
    pub methods: &'a Option<Vec<String>>,
    pub tools: &'a Option<Vec<String>>,
    pub labels: &'a Option<Vec<String>>,
    pub prompts: &'a Option<Vec<String>>,
    pub resources: &'a Option<Vec<String>>,
}

/// Reads targets.
pub(super) fn read_targets(lists: &TargetLists<'_>, at: &str, labels: &Labels, mistakes: &mut Mistakes) -> Targets {
    let mut patterns =
        |key: &str, list: &Option<Vec<String>>| read_patterns(list.as_ref(), &format!("{at}.{key}"), mistakes);
    let mut targets = Targets {
        methods: patterns("methods", lists.methods),
        tools: patterns("tools", lists.tools),
        prompts: patterns("prompts", lists.prompts),
        resources: patterns("resources", lists.resources),
    };
    for (index, label) in lists.labels.iter().flatten().enumerate() {
        if let Some(patterns) = labels.get(label) {
            targets.tools.extend(patterns.iter().cloned());
        } else {
            let path = format!("{at}.labels[{index}]");
            mistakes.note(path, format_args!("labels of this resource does not define {label:?}"));
        }
    }
    if lists.labels.as_ref().is_some_and(Vec::is_empty) {
        mistakes.note(format!("{at}.labels"), "must not be empty: without targets, everything matches");
    }
    targets
}

fn read_patterns(list: Option<&Vec<String>>, at: &str, mistakes: &mut Mistakes) -> Vec<Pattern> {
    if list.is_some_and(Vec::is_empty) {
        mistakes.note(at, "must not be empty: remove the key, or name at least one pattern");
    }
    for (index, pattern) in list.into_iter().flatten().enumerate() {
        if let Some(character) = pattern.chars().find(|character| is_invisible(*character)) {
            mistakes.note(
                format!("{at}[{index}]"),
                format_args!(
                    "can never match: it has the invisible character U+{:04X}, and the gateway accepts no name with one",
                    u32::from(character)
                ),
            );
        }
    }
    let entries = list.into_iter().flatten().enumerate();
    entries.filter_map(|(index, text)| mistakes.keep(format!("{at}[{index}]"), Pattern::parse(text))).collect()
}

pub(super) fn read_when(document: Option<&WhenDocument>, at: &str, known: &Known<'_>, mistakes: &mut Mistakes) -> When {
    let Some(document) = document else { return When::default() };
    // Destructures every key, so that no key can be added to the document without its condition.
    let WhenDocument {
        scopes,
        roles,
        groups,
        claims,
        subjects,
        clients,
        issuers,
        countries,
        asns,
        mtls,
        origin_credentials,
        arguments,
    } = document;
    let mut conditions = Vec::new();
    let mut texts = |key: &str, list: &Option<Vec<String>>, condition: fn(Vec<String>) -> Condition| {
        let Some(list) = list else { return };
        if list.is_empty() {
            mistakes.note(format!("{at}.{key}"), "must not be empty: no caller could match");
        }
        for (index, _) in list.iter().enumerate().filter(|(_, text)| text.is_empty()) {
            mistakes.note(format!("{at}.{key}[{index}]"), "must not be empty: no caller could match");
        }
        conditions.push(condition(list.clone()));
    };
    texts("roles", roles, Condition::Roles);
    texts("groups", groups, Condition::Groups);
    texts("subjects", subjects, Condition::Subjects);
    texts("clients", clients, Condition::Clients);
    texts("issuers", issuers, Condition::Issuers);
    texts("countries", countries, Condition::Countries);
    if let Some(names) = scopes {
        if names.is_empty() {
            mistakes.note(format!("{at}.scopes"), "must not be empty: no caller could match");
        }
        conditions.insert(0, Condition::Scopes(read_scopes(names, &format!("{at}.scopes"), mistakes)));
    }
    for (name, values) in claims.iter().flatten() {
        if name.is_empty() || values.is_empty() {
            mistakes.note(format!("{at}.claims.{name}"), "must have a name and at least one value");
        }
        conditions.push(Condition::Claim(name.clone(), values.clone()));
    }
    if let Some(asns) = asns {
        if asns.is_empty() || asns.iter().any(|asn| !(1..=u64::from(u32::MAX)).contains(asn)) {
            mistakes.note(
                format!("{at}.asns"),
                format_args!("must be numbers of autonomous systems, 1 to {}, and at least one", u32::MAX),
            );
        }
        conditions.push(Condition::Asns(asns.clone()));
    }
    conditions.extend(mtls.map(Condition::Mtls));
    if let Some(kinds) = origin_credentials {
        if kinds.is_empty() {
            mistakes.note(format!("{at}.origin_credentials"), "must not be empty: the rule could never match");
        }
        let accepted = kinds.iter().map(|kind| kind.kind()).collect();
        conditions.push(Condition::OriginCredential { accepted, used: known.credential });
    }
    for (index, country) in countries.iter().flatten().enumerate() {
        if country == "UK" {
            mistakes.note(format!("{at}.countries[{index}]"), "the United Kingdom is \"GB\" in ISO 3166-1");
        }
        if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            mistakes.note(
                format!("{at}.countries[{index}]"),
                format_args!("must be two capital letters (ISO 3166-1 alpha-2), got {country:?}"),
            );
        }
    }
    for (index, source) in issuers.iter().flatten().enumerate() {
        if !known.sources.contains(&source.as_str()) {
            mistakes.note(
                format!("{at}.issuers[{index}]"),
                format_args!("this resource accepts no issuer, verifier or API keys named {source:?}"),
            );
        }
    }
    let arguments = arguments.iter().flatten();
    let arguments =
        arguments.map(|(name, test)| (name.clone(), read_test(test, &format!("{at}.arguments.{name}"), mistakes)));
    When { arguments: arguments.collect(), conditions }
}

fn read_test(document: &ArgumentDocument, at: &str, mistakes: &mut Mistakes) -> ArgumentTest {
    let test = ArgumentTest {
        one_of: document.one_of.clone(),
        like: document.like.as_ref().and_then(|text| mistakes.keep(format!("{at}.like"), Pattern::parse(text))),
        at_least: document.at_least,
        at_most: document.at_most,
        is: document.is,
        present: document.present,
    };
    let string = test.one_of.is_some() || test.like.is_some();
    let number = test.at_least.is_some() || test.at_most.is_some();
    let kinds = [string, number, test.is.is_some()].into_iter().filter(|kind| *kind).count();
    if let Some(values) = &test.one_of {
        if values.is_empty() {
            mistakes.note(at, "can never hold: one_of names no value");
        } else if test.like.as_ref().is_some_and(|like| !values.iter().any(|value| like.matches(value))) {
            mistakes.note(at, "can never hold: no value of one_of matches like");
        }
    }
    match (kinds, test.present) {
        (0, None) => mistakes.note(at, "must test something: one_of, like, at_least, at_most, is or present"),
        (2.., _) => mistakes.note(at, "can never hold: no value is a string and a number or boolean at once"),
        (1.., Some(false)) => mistakes.note(at, "can never hold: an absent argument passes no other test"),
        _ => {}
    }
    if test.at_least.zip(test.at_most).is_some_and(|(least, most)| least > most) {
        mistakes.note(at, "can never hold: at_least is more than at_most");
    }
    test
}

/// Reads the rate limits of a resource.
pub(super) fn read_limits(documents: Option<&Vec<LimitDocument>>, at: &str, mistakes: &mut Mistakes) -> Vec<Rc<Limit>> {
    let mut limits: Vec<Rc<Limit>> = Vec::new();
    for (index, document) in documents.into_iter().flatten().enumerate() {
        let at = format!("{at}.limits[{index}]");
        if document.requests == 0 || document.requests > 1_000_000 {
            let path = format!("{at}.requests");
            mistakes.note(path, format_args!("must be 1 to 1000000, got {}", document.requests));
        }
        if !matches!(document.seconds, 10 | 60) {
            let path = format!("{at}.seconds");
            mistakes.note(path, format_args!("must be 10 or 60, got {}", document.seconds));
        }
        if document.binding.as_ref().is_some_and(String::is_empty) {
            mistakes.note(format!("{at}.binding"), "must be the name of a rate-limiting binding");
        }
        let mut by: Vec<LimitKey> = document.by.iter().map(|key| LimitKey::from(*key)).collect();
        by.sort_unstable();
        by.dedup();
        let limit = Limit {
            by,
            requests: document.requests,
            seconds: document.seconds,
            tools: document
                .tools
                .as_ref()
                .map(|_| read_patterns(document.tools.as_ref(), &format!("{at}.tools"), mistakes)),
            binding: document.binding.clone(),
        };
        let shares = |other: &Rc<Limit>| {
            limit.binding.is_some()
                && other.binding == limit.binding
                && (other.requests, other.seconds) != (limit.requests, limit.seconds)
        };
        if let Some(other) = limits.iter().position(shares) {
            mistakes.note(
                format!("{at}.binding"),
                format_args!("is also the binding of limits[{other}], which has another limit or period: a binding has one of each"),
            );
        }
        // The two limits would share their counters, and each call would count twice.
        if let Some(same) = limits.iter().position(|other| other.terms() == limit.terms()) {
            mistakes.note(&at, format_args!("counts the same as limits[{same}]: remove one of them"));
        }
        limits.push(Rc::new(limit));
    }
    limits
}

/// Most calls of a budget.
const BUDGET_CALLS: u64 = 1_000_000_000;

/// Reads the budgets of a resource.
pub(super) fn read_budgets(documents: Option<&[BudgetDocument]>, at: &str, mistakes: &mut Mistakes) -> Vec<Rc<Budget>> {
    if documents.is_some_and(|all| all.is_empty() || all.len() > BUDGETS) {
        mistakes.note(format!("{at}.budgets"), format_args!("must have 1 to {BUDGETS} entries"));
    }
    let mut budgets: Vec<Rc<Budget>> = Vec::new();
    for (index, document) in documents.into_iter().flatten().enumerate() {
        let at = format!("{at}.budgets[{index}]");
        let BudgetDocument { by, calls, binding, tools, warn_at } = document;
        if !(1..=BUDGET_CALLS).contains(calls) {
            mistakes.note(format!("{at}.calls"), format_args!("must be 1 to {BUDGET_CALLS}, got {calls}"));
        }
        if warn_at.is_some_and(|warn_at| warn_at == 0 || warn_at > *calls) {
            mistakes.note(format!("{at}.warn_at"), format_args!("must be 1 to calls, which is {calls}"));
        }
        if binding.is_empty() {
            mistakes.note(format!("{at}.binding"), "must be the name of a Durable Object binding");
        }
        let mut by: Vec<LimitKey> = by.iter().map(|key| LimitKey::from(*key)).collect();
        by.sort_unstable();
        by.dedup();
        let every = vec!["*".to_owned()];
        let patterns = read_patterns(Some(tools.as_ref().unwrap_or(&every)), &format!("{at}.tools"), mistakes);
        let limit = Limit { by, requests: *calls, seconds: Budget::SECONDS, tools: Some(patterns), binding: None };
        if let Some(same) = budgets.iter().position(|other| other.limit.terms() == limit.terms()) {
            mistakes.note(&at, format_args!("counts the same as budgets[{same}]: remove one of them"));
        }
        budgets.push(Rc::new(Budget { limit: Rc::new(limit), binding: binding.clone(), warn_at: *warn_at }));
    }
    budgets
}

impl From<LimitKeyName> for LimitKey {
    fn from(name: LimitKeyName) -> Self {
        match name {
            LimitKeyName::Subject => Self::Subject,
            LimitKeyName::Client => Self::Client,
            LimitKeyName::Tool => Self::Tool,
        }
    }
}

/// Reads which argument each field mirrors: pairs of a field name in lower case and an argument name.
pub(super) fn read_parameters(
    document: Option<&BTreeMap<String, String>>,
    at: &str,
    mistakes: &mut Mistakes,
) -> Vec<(String, String)> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (name, argument) in document.into_iter().flatten() {
        let field = format!("mcp-param-{}", name.to_ascii_lowercase());
        let at = format!("{at}.parameter_fields.{name}");
        if !crate::transport::cors::is_parameter(&field) {
            mistakes.note(&at, "the name must be what follows Mcp-Param- in a field's name");
        } else if parameters.iter().any(|(known, _)| *known == field) {
            mistakes.note(&at, "is named twice: names of fields ignore case");
        } else if argument.is_empty() {
            mistakes.note(&at, "must name an argument");
        }
        parameters.push((field, argument.clone()));
    }
    parameters
}

/// Reads where the gateway records decisions.
pub(super) fn read_decision_log(document: &DecisionLogDocument, mistakes: &mut Mistakes) -> DecisionLog {
    let log = DecisionLog {
        console: document.console.unwrap_or(true),
        analytics_engine: document.analytics_engine.clone(),
        queue: document.queue.clone(),
    };
    for (key, name) in [("analytics_engine", &log.analytics_engine), ("queue", &log.queue)] {
        if name.as_ref().is_some_and(String::is_empty) {
            mistakes.note(format!("decision_log.{key}"), "must be the name of a binding");
        }
    }
    if !log.console && log.analytics_engine.is_none() && log.queue.is_none() {
        mistakes.note("decision_log", "records nowhere: set console, analytics_engine or queue, or remove the table");
    }
    log
}

/// Reads how the gateway binds sessions to their callers.
pub(super) fn read_sessions(document: &SessionsDocument, secrets: &dyn Secrets, mistakes: &mut Mistakes) -> Sessions {
    if document.secrets.is_empty() || document.secrets.len() > SESSION_SECRETS {
        mistakes.note("sessions.secrets", format_args!("must name 1 to {SESSION_SECRETS} Worker secrets"));
    }
    let mut keys = Vec::new();
    for (index, name) in document.secrets.iter().enumerate() {
        let secret = read_long_secret(name, &format!("sessions.secrets[{index}]"), secrets, mistakes);
        keys.extend(secret.and_then(|secret| SessionKey::of(&secret)));
    }
    let seconds = bounded(document.seconds, ranges::SESSION, "sessions.seconds", mistakes);
    Sessions { keys, seconds }
}
