//! Decides recorded decisions again, under the current rules.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::limits::LOG_VALUE_CHARS;
use crate::mcp::operation::Operation;
use crate::oauth::scope::ScopeSet;
use crate::observe::decision::{VERSION, follows, kind};
use crate::pipeline::audit::pseudonym;
use crate::pipeline::record::{challenge, sign_in_lacks};
use crate::policy::caller::Caller;
use crate::policy::condition::{Condition, Fact};
use crate::policy::decide::Policy;
use crate::policy::sign_in::auth_time;
use crate::policy::verdict::Verdict;
use crate::settings::resource::Resource;
use crate::settings::{Pseudonyms, Settings};
use crate::strict_json;
use crate::token::principal::{CredentialKind, SelectedClaims, Subject};
use crate::transport::connection::ConnectionFacts;

/// The result for one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// It is not a line of the decision log.
    Other,
    /// The caller would notice no difference.
    Same,
    /// The caller would notice a difference.
    Changed(Change),
    /// The line lacks data that the decision needs; the reason.
    Unknown(String),
}

/// A decision that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The request's id.
    pub request: String,
    /// The method and name that were asked for.
    pub what: String,
    /// The recorded outcome, and the rule that decided.
    pub then: (String, String),
    /// The outcome under the current rules, and the rule that decides.
    pub now: (String, String),
}

/// Reads a log, line by line.
#[derive(Debug, Default)]
pub struct Replay {
    /// The last hash of each run.
    runs: std::collections::BTreeMap<String, String>,
    /// The numbers of lines that do not follow the line before them, or were modified.
    pub broken: Vec<usize>,
}

impl Replay {
    /// Decides one line again. The lines of a run must come in order.
    pub fn line(&mut self, number: usize, text: &str, settings: &Settings) -> Replayed {
        let Some(text) = text.find('{').and_then(|at| text.get(at..)).map(str::trim_end) else {
            return Replayed::Other;
        };
        let Ok(Value::Object(line)) = strict_json::parse(text.as_bytes()) else { return Replayed::Other };
        match line.get("event").and_then(Value::as_str) {
            Some("decision") => {}
            // It is a line of the same chain.
            Some("guard" | "hook") => {
                self.hold(number, text, &line);
                return Replayed::Other;
            }
            _ => return Replayed::Other,
        }
        if line.get("v").and_then(Value::as_u64) != Some(u64::from(VERSION)) {
            return Replayed::Unknown("the line has another version of the fields".to_owned());
        }
        self.hold(number, text, &line);
        decide(&line, settings)
    }

    /// Checks that a line follows the line before it in its run. A log may begin in the middle of a run.
    fn hold(&mut self, number: usize, text: &str, line: &Map<String, Value>) {
        let run = said(line, "run");
        let hash = follows(text, self.runs.get(&run).map(String::as_str)).unwrap_or_else(|| {
            self.broken.push(number);
            said(line, "hash")
        });
        self.runs.insert(run, hash);
    }
}

fn said(line: &Map<String, Value>, member: &str) -> String {
    line.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(line: &Map<String, Value>, member: &str) -> Vec<String> {
    let values = line.get(member).and_then(Value::as_array).into_iter().flatten();
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What a caller notices of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Noticed {
    /// The operation is forwarded.
    Allowed,
    /// It is rejected with a challenge for all of these scopes, and for another sign-in because of these keys.
    Challenged(ScopeSet, Vec<String>),
    /// It is rejected with a challenge; the line has only those scopes that the caller lacked.
    ChallengedFor(ScopeSet),
    /// It does not exist.
    Absent,
}

impl Noticed {
    fn recorded(line: &Map<String, Value>) -> Option<Self> {
        let (challenge, sign_in) = (line.get("challenge").and_then(Value::as_str), texts(line, "sign_in"));
        if challenge.is_some() || !sign_in.is_empty() {
            return Some(Self::Challenged(ScopeSet::of_text(challenge.unwrap_or_default()), sign_in));
        }
        if line.get("enforced").and_then(Value::as_bool) == Some(false) {
            return Some(Self::Allowed);
        }
        match said(line, "verdict").as_str() {
            // Whether a call was approved is no matter of rules.
            "allow" | "approve" => Some(Self::Allowed),
            "deny" => Some(Self::Absent),
            // Older releases did not record the challenge.
            "step_up" => Some(Self::ChallengedFor(ScopeSet::of_text(&said(line, "missing")))),
            _ => None,
        }
    }

    fn now(policy: &Policy, resource: &Resource, caller: &Caller, verdict: &Verdict) -> Self {
        let verdict = if policy.observe { &Verdict::Allow } else { verdict };
        let sign_in: Vec<String> = sign_in_lacks(verdict, caller).into_iter().map(str::to_owned).collect();
        match (challenge(policy, resource, caller, verdict), verdict) {
            (None, Verdict::Deny) => Self::Absent,
            (None, _) if sign_in.is_empty() => Self::Allowed,
            (scopes, _) => Self::Challenged(scopes.unwrap_or_default(), sign_in),
        }
    }

    fn is(&self, now: &Self, caller: &Caller, policy: &Policy) -> bool {
        match (self, now) {
            (Self::ChallengedFor(missing), Self::Challenged(scopes, sign_in)) => {
                sign_in.is_empty() && policy.scopes().missing(&caller.subject.scopes, scopes) == *missing
            }
            _ => self == now,
        }
    }
}

impl std::fmt::Display for Noticed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Allowed => f.write_str("allow"),
            Self::Challenged(scopes, sign_in) if sign_in.is_empty() => write!(f, "step_up ({scopes})"),
            Self::Challenged(scopes, sign_in) if scopes.is_empty() => {
                write!(f, "step_up (sign_in: {})", sign_in.join(", "))
            }
            Self::Challenged(scopes, sign_in) => write!(f, "step_up ({scopes}; sign_in: {})", sign_in.join(", ")),
            Self::ChallengedFor(missing) => write!(f, "step_up (missing {missing})"),
            Self::Absent => f.write_str("deny"),
        }
    }
}

fn decide(line: &Map<String, Value>, settings: &Settings) -> Replayed {
    let path = said(line, "resource");
    let Some(resource) = settings.resources.iter().find(|resource| resource.path.as_str() == path) else {
        return Replayed::Unknown(format!("there is no longer a resource {path:?}"));
    };
    let Some(then) = Noticed::recorded(line) else {
        return Replayed::Unknown(format!("the verdict is unknown to this version: {:?}", said(line, "verdict")));
    };
    let operation = Operation {
        method: said(line, "mcp_method"),
        target: line.get("target").and_then(Value::as_str).and_then(kind).map(|kind| (kind, said(line, "name"))),
        follows: line.get("tool").and_then(Value::as_str).map(str::to_owned),
    };
    let what = operation.name().map_or_else(|| operation.method.clone(), |name| format!("{} {name}", operation.method));
    let changed = |now: (String, String)| {
        let then = (then.to_string(), said(line, "rule"));
        Replayed::Changed(Change { request: said(line, "request_id"), what: what.clone(), then, now })
    };
    let Some(policy) = &resource.policy else {
        let now = ("allow".to_owned(), "(no rules)".to_owned());
        return if then == Noticed::Allowed { Replayed::Same } else { changed(now) };
    };
    // The same rules make the same decision, whatever they read.
    if said(line, "policy") == policy.hash {
        return Replayed::Same;
    }
    let is_cut = |text: &str| text.chars().count() >= LOG_VALUE_CHARS;
    let names = [operation.name(), operation.follows.as_deref()];
    if is_cut(&operation.method) || names.into_iter().flatten().any(is_cut) {
        return Replayed::Unknown("the record has only the beginning of the name".to_owned());
    }
    let (caller, is_named) = caller(line, settings);
    let recorded = texts(line, "reads");
    let is_known = |fact: Fact<'_>| match fact {
        Fact::Subject => is_named || settings.pseudonyms == Pseudonyms::ByPublicUrl,
        Fact::Client => !caller.subject.client.as_deref().is_some_and(is_cut),
        Fact::Roles if !caller.subject.rights.roles.is_empty() => true,
        Fact::Groups if !caller.subject.rights.groups.is_empty() => true,
        Fact::Claim(name) if caller.subject.rights.claims.contains_key(name) => true,
        Fact::Country if caller.facts.country.is_some() => true,
        Fact::Network if caller.facts.asn.is_some() => true,
        Fact::Certificate if caller.facts.certificate => true,
        fact => fact.recorded_as().is_none_or(|name| recorded.contains(&name)),
    };
    let possible = policy.possible(&operation, &caller, &is_known);
    let now: Vec<_> = possible
        .iter()
        .map(|possible| (Noticed::now(policy, resource, &caller, &possible.verdict), possible))
        .collect();
    let same = now.iter().filter(|(now, _)| then.is(now, &caller, policy)).count();
    match (now.first(), now.iter().find_map(|(_, possible)| possible.open.clone())) {
        _ if same == now.len() => Replayed::Same,
        (_, Some(open)) if same > 0 => Replayed::Unknown(format!("{what}: the record does not have what {open} reads")),
        (Some((first, possible)), _) => changed((first.to_string(), policy.name(possible.by).to_owned())),
        (None, _) => Replayed::Unknown("no rule could decide it".to_owned()),
    }
}

/// The recorded caller, and whether its subject is known. The line has only the pseudonym of the subject; the subject
/// is known if a rule names a subject with that pseudonym.
fn caller(line: &Map<String, Value>, settings: &Settings) -> (Caller, bool) {
    let source = said(line, "issuer");
    let issuer = settings.verifiers.issuers.iter().find(|issuer| issuer.name == source);
    let issuer = issuer.map_or_else(|| settings.public_url.to_string(), |issuer| issuer.identifier.clone());
    let recorded = line.get("subject").and_then(Value::as_str);
    let rules = settings.resources.iter().filter_map(|resource| resource.policy.as_ref()).flat_map(|it| it.rules());
    let conditions = rules.flat_map(|rule| &rule.when.conditions);
    let named = conditions.filter_map(|condition| match condition {
        Condition::Subjects(subjects) => Some(subjects),
        _ => None,
    });
    let named = named.flatten();
    let of = |subject: &str| Subject {
        issuer: issuer.clone(),
        subject: subject.to_owned(),
        client: line.get("client").and_then(Value::as_str).map(str::to_owned),
        scopes: ScopeSet::of_text(&said(line, "scopes")),
        kind: CredentialKind::Jwt,
        label: None,
        rights: SelectedClaims {
            roles: texts(line, "roles"),
            groups: texts(line, "groups"),
            claims: line.get("claims").and_then(Value::as_object).cloned().unwrap_or_default(),
        },
    };
    let facts = ConnectionFacts {
        country: line.get("country").and_then(Value::as_str).map(str::to_owned),
        asn: line.get("asn").and_then(Value::as_u64),
        certificate: line.get("mtls").and_then(Value::as_bool).unwrap_or(false),
    };
    // Only callers without credentials have no issuer.
    if source.is_empty() {
        return (Caller { subject: Rc::new(Subject::anonymous()), source: None, facts, now: 0 }, true);
    }
    let known = named
        .map(|subject| of(subject))
        .find(|subject| recorded.is_some() && pseudonym(subject, &settings.pseudonym_key).as_deref() == recorded);
    let is_named = known.is_some();
    let subject = Rc::new(known.unwrap_or_else(|| of("")));
    let age = line.get("auth_age").and_then(Value::as_i64).unwrap_or_default();
    let now = auth_time(&subject.rights.claims).unwrap_or_default().saturating_add_signed(age);
    let caller = Caller { subject, source: Some(Rc::from(source.as_str())), facts, now };
    (caller, is_named)
}
