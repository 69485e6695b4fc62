//! Decides recorded decisions again, under the rules of today.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::config::Config;
use crate::oauth::scope::ScopeSet;
use crate::observe::decision::{VERSION, follows, kind};
use crate::observe::trail::pseudonym;
use crate::policy::caller::{Caller, Facts};
use crate::policy::decide::{Arguments, Decision};
use crate::policy::operation::Operation;
use crate::strict_json;
use crate::token::principal::{CredentialKind, Rights, Subject};

/// What became of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// It is no record of a decision.
    Other,
    /// It is decided as it was.
    Same,
    /// It is decided otherwise.
    Changed(Change),
    /// It cannot be decided again: why.
    Unknown(String),
}

/// A decision that is another now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The request's id.
    pub request: String,
    /// What was asked for.
    pub what: String,
    /// The verdict then, and by what.
    pub then: (String, String),
    /// The verdict now, and by what.
    pub now: (String, String),
    /// Arguments, which are not recorded, might change it.
    pub depends_on_arguments: bool,
}

/// Reads a log, line by line.
#[derive(Debug, Default)]
pub struct Replay {
    /// The last hash of each run.
    runs: std::collections::BTreeMap<String, String>,
    /// Lines that do not follow the one before them, or were changed: their numbers.
    pub broken: Vec<usize>,
}

impl Replay {
    /// Decides one line again. Lines of a run must come in their order.
    pub fn line(&mut self, number: usize, text: &str, config: &Config) -> Replayed {
        let Some(text) = text.find('{').and_then(|at| text.get(at..)).map(str::trim_end) else {
            return Replayed::Other;
        };
        let Ok(Value::Object(line)) = strict_json::parse(text.as_bytes()) else { return Replayed::Other };
        if line.get("event").and_then(Value::as_str) != Some("decision") {
            return Replayed::Other;
        }
        if line.get("v").and_then(Value::as_u64) != Some(u64::from(VERSION)) {
            return Replayed::Unknown("it is of another version".to_owned());
        }
        self.hold(number, text, &line);
        decide(&line, config)
    }

    /// Holds a line to the one before it in its run. A log may begin in the middle of one.
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

fn decide(line: &Map<String, Value>, config: &Config) -> Replayed {
    let path = said(line, "resource");
    let Some(resource) = config.resources.iter().find(|resource| resource.path.as_str() == path) else {
        return Replayed::Unknown(format!("there is no resource {path:?} any more"));
    };
    let operation = Operation {
        method: said(line, "mcp_method"),
        target: line.get("target").and_then(Value::as_str).and_then(kind).map(|kind| (kind, said(line, "name"))),
    };
    let what = operation.name().map_or_else(|| operation.method.clone(), |name| format!("{} {name}", operation.method));
    let then = (said(line, "verdict"), said(line, "rule"));
    let (now, depends_on_arguments) = match &resource.policy {
        None => (("allow".to_owned(), "(no rules)".to_owned()), false),
        Some(policy) => {
            let caller = caller(line, config);
            let decision: Decision = policy.decide(&operation, &caller, Arguments::Unknown);
            let verdict = decision.verdict.as_str().to_owned();
            ((verdict, policy.name(decision.by).to_owned()), decision.depends_on_arguments)
        }
    };
    if now.0 == then.0 {
        return Replayed::Same;
    }
    Replayed::Changed(Change { request: said(line, "request_id"), what, then, now, depends_on_arguments })
}

/// The caller as it was recorded. Its name was not; where a rule names it, its pseudonym tells.
fn caller(line: &Map<String, Value>, config: &Config) -> Caller {
    let source = said(line, "issuer");
    let issuer = config.issuers.iter().find(|issuer| issuer.name == source);
    let issuer = issuer.map_or_else(|| config.public_url.to_string(), |issuer| issuer.identifier.clone());
    let recorded = line.get("subject").and_then(Value::as_str);
    let rules = config.resources.iter().filter_map(|resource| resource.policy.as_ref()).flat_map(|it| it.rules());
    let named = rules.flat_map(|rule| rule.when.subjects.iter().flatten());
    let of = |subject: &str| Subject {
        issuer: issuer.clone(),
        subject: subject.to_owned(),
        client: line.get("client").and_then(Value::as_str).map(str::to_owned),
        scopes: ScopeSet::of_text(&said(line, "scopes")),
        kind: CredentialKind::Jwt,
        label: None,
        rights: Rights {
            roles: texts(line, "roles"),
            groups: texts(line, "groups"),
            claims: line.get("claims").and_then(Value::as_object).cloned().unwrap_or_default(),
        },
    };
    let known = named
        .map(|subject| of(subject))
        .find(|subject| recorded.is_some() && pseudonym(subject, &config.pseudonym_key).as_deref() == recorded);
    Caller {
        subject: Rc::new(known.unwrap_or_else(|| of(""))),
        source: Some(Rc::from(source.as_str())),
        facts: Facts {
            country: line.get("country").and_then(Value::as_str).map(str::to_owned),
            asn: line.get("asn").and_then(Value::as_u64),
            certificate: line.get("mtls").and_then(Value::as_bool).unwrap_or(false),
        },
    }
}
