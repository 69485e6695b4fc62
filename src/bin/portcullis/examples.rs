//! `portcullis test`: examples of decisions, in files beside the configuration.

use std::collections::BTreeMap;

use portcullis::settings::Settings;
use portcullis::strict_json;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::arguments::TestArguments;
use crate::decide::{Call, Who, decide};
use crate::document::{config, resource};
use crate::host::Host;
use crate::outcome::{Report, Unusable, in_line};

/// A file of examples: callers, requests, and the decisions that are expected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Examples {
    /// The path of the resource; that of the only one, or of the first one with rules, if it is left out.
    #[serde(default)]
    resource: Option<String>,
    callers: BTreeMap<String, Who>,
    requests: BTreeMap<String, Call>,
    /// By caller, then by request.
    decisions: BTreeMap<String, BTreeMap<String, String>>,
    /// For editors.
    #[serde(default, rename = "$schema")]
    _schema: Option<String>,
}

/// The examples of a file.
pub(crate) struct Examined {
    pub(crate) cases: Vec<Case>,
    /// What no example uses.
    unused: Vec<String>,
}

/// One example and what the configuration decides.
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) resource: String,
    pub(crate) caller: String,
    pub(crate) request: String,
    pub(crate) expected: String,
    pub(crate) decision: String,
    /// The rule that decided.
    pub(crate) by: String,
}

impl Case {
    fn is_met(&self) -> bool {
        self.expected == self.decision
    }
}

/// Scopes in any order are the same decision.
fn in_order(expected: &str) -> String {
    match expected.split_once(' ') {
        Some(("step_up", scopes)) => {
            let mut scopes: Vec<&str> = scopes.split_whitespace().collect();
            scopes.sort_unstable();
            scopes.dedup();
            format!("step_up {}", scopes.join(" "))
        }
        _ => expected.to_owned(),
    }
}

/// The examples of a file, decided by a configuration.
pub(crate) fn cases(file: &str, settings: &Settings, host: &Host<'_>) -> Result<Examined, Unusable> {
    let text = (host.read)(file)?;
    let value = strict_json::parse(text.as_bytes()).map_err(|error| format!("{file}: {error}"))?;
    let examples: Examples = serde_json::from_value(value).map_err(|error| format!("{file}: {error}"))?;
    let at = |error: Unusable| format!("{file}: {}", error.why);
    let index = match (&examples.resource, settings.resources.len()) {
        (None, 1) => 0,
        (path, _) => resource(path.as_deref(), settings).map_err(at)?,
    };
    let there = settings.resources.get(index).ok_or("no resource")?;
    if examples.decisions.values().all(BTreeMap::is_empty) {
        return Err(format!("{file}: decisions has no example").into());
    }
    let mut cases = Vec::new();
    for (caller, requests) in &examples.decisions {
        let who = examples.callers.get(caller).ok_or_else(|| unknown(file, "callers", caller))?;
        for (request, expected) in requests {
            let call = examples.requests.get(request).ok_or_else(|| unknown(file, "requests", request))?;
            let word = expected.split(' ').next().unwrap_or_default();
            if !matches!(expected.as_str(), "allow" | "approve" | "deny" | "login" | "sign_in")
                && (word != "step_up" || word == expected)
            {
                return Err(format!(
                    "{file}: decisions.{caller}.{request}: must be \"allow\", \"approve\", \"deny\", \"login\", \"sign_in\" or \"step_up SCOPES\", got {expected:?}"
                )
                .into());
            }
            let decided = decide(settings, index, who, call)
                .map_err(|error| format!("{file}: {caller}, {request}: {}", error.why))?;
            cases.push(Case {
                file: file.to_owned(),
                resource: there.path.as_str().to_owned(),
                caller: caller.clone(),
                request: request.clone(),
                expected: in_order(expected),
                decision: decided.words(),
                by: decided.by(there).to_owned(),
            });
        }
    }
    let unused = unused(&examples);
    Ok(Examined { cases, unused })
}

/// Callers and requests that no decision is about: a line may be missing.
fn unused(examples: &Examples) -> Vec<String> {
    let Examples { callers, requests, decisions, .. } = examples;
    let decided = |request: &&String| decisions.values().any(|requests| requests.contains_key(*request));
    let without = |what: &str, name: &String| format!("no decision is about the {what} {name:?}");
    let unused = callers.keys().filter(|caller| decisions.get(*caller).is_none_or(BTreeMap::is_empty));
    let mut found: Vec<String> = unused.map(|caller| without("caller", caller)).collect();
    found.extend(requests.keys().filter(|request| !decided(request)).map(|request| without("request", request)));
    found
}

fn unknown(file: &str, list: &str, name: &str) -> String {
    format!("{file}: decisions names {name:?}, which is not in {list}")
}

pub(crate) fn test(options: &TestArguments, host: &Host<'_>) -> Result<Report, Unusable> {
    if options.junit.is_some() {
        return Err("this program writes no files: --junit is an option of `npx portcullis test`".into());
    }
    let settings = config(&options.source, host)?;
    if options.files.is_empty() {
        return Err("there is no file of examples: name one, or write tests/policy.json".into());
    }
    let (mut text, mut list, mut failed) = (String::new(), Vec::new(), 0_usize);
    for file in &options.files {
        let Examined { cases, unused } = cases(file, &settings, host)?;
        text += &format!("{file}\n");
        for what in unused {
            text += &format!("  note  {}\n", in_line(&what));
        }
        for case in &cases {
            let Case { caller, request, expected, decision, by, .. } = case;
            let (caller, request) = (&in_line(caller), &in_line(request));
            if case.is_met() {
                text += &format!("  ok    {caller}: {request}: {decision}\n");
            } else {
                failed += 1;
                text += &format!("  FAIL  {caller}: {request}: {decision}, by {by}; expected {expected}\n");
            }
            list.push(json!({
                "file": case.file, "resource": case.resource, "caller": case.caller, "request": case.request,
                "expected": expected, "decision": decision, "by": by, "ok": case.is_met(),
            }));
        }
    }
    let passed = list.len() - failed;
    text += &format!("{passed} passed, {failed} failed\n");
    let json = json!({ "cases": Value::Array(list), "passed": passed, "failed": failed });
    Ok(Report { text, json, good: failed == 0 })
}
