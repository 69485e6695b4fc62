//! What must hold for every policy: generated policies, callers, lists and messages. Native alone: proptest needs threads.

use std::rc::Rc;

use portcullis::config::Configuration;
use portcullis::config::analysis::{Finding, check};
use portcullis::mcp::kind::Kind;
use portcullis::mcp::operation::Operation;
use portcullis::policy::caller::Caller;
use portcullis::policy::decide::Policy;
use portcullis::policy::verdict::{Arguments, Verdict};
use portcullis::token::principal::{CredentialKind, SelectedClaims, Subject};
use portcullis::transport::connection::ConnectionFacts;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::policy::{gate, message, modern, with_rules};
use crate::support::{Claims, TestSecrets, World};

const NAMES: [&str; 7] = ["a", "ab", "abc", "b", "ba", "B", "c"];
const SCOPES: [&str; 3] = ["s1", "s2", "s3"];
const ROLES: [&str; 2] = ["r1", "r2"];

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned),
        2 => prop::sample::select(vec!["*", "a*", "*a", "a*c", "b*", "*b*"]).prop_map(str::to_owned),
    ]
}

fn some<T: Clone + std::fmt::Debug + 'static>(values: &'static [T]) -> impl Strategy<Value = Vec<T>> {
    prop::sample::subsequence(values.to_vec(), 1..=values.len())
}

fn rule() -> impl Strategy<Value = Value> {
    let targets = prop::collection::vec(pattern(), 0..3);
    let effect = prop::sample::select(vec!["allow", "deny", "step_up"]);
    let scopes = prop::option::weighted(0.3, some(&SCOPES));
    let roles = prop::option::weighted(0.3, some(&ROLES));
    let argument = prop::option::weighted(0.2, prop::sample::select(vec![1, 5]));
    (targets, effect, some(&SCOPES), scopes, roles, argument, prop::bool::weighted(0.1)).prop_map(
        |(targets, effect, ask, scopes, roles, argument, observe)| {
            let mut rule = json!({ "effect": effect });
            if !targets.is_empty() {
                rule["tools"] = json!(targets);
            }
            if effect == "step_up" {
                rule["scopes"] = json!(ask);
            }
            let mut when = json!({});
            if let Some(scopes) = scopes {
                when["scopes"] = json!(scopes);
            }
            if let Some(roles) = roles {
                when["roles"] = json!(roles);
            }
            if let Some(least) = argument {
                when["arguments"] = json!({ "n": { "at_least": least } });
            }
            if when != json!({}) {
                rule["when"] = when;
            }
            if observe {
                rule["mode"] = json!("observe");
            }
            rule
        },
    )
}

fn caller_with(scopes: &[&str], roles: &[&str]) -> Caller {
    let subject = Subject {
        issuer: "https://login.example".to_owned(),
        subject: "ada".to_owned(),
        client: None,
        scopes: portcullis::oauth::scope::ScopeSet::of_text(&scopes.join(" ")),
        kind: CredentialKind::Jwt,
        label: None,
        rights: SelectedClaims {
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..SelectedClaims::default()
        },
    };
    Caller { subject: Rc::new(subject), source: Some("idp".into()), facts: ConnectionFacts::default(), now: 0 }
}

/// Every caller that rules of these tests can tell apart.
fn callers() -> Vec<Caller> {
    let subsets = |all: &'static [&'static str]| -> Vec<Vec<&'static str>> {
        (0..1_u32 << all.len())
            .map(|bits| all.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, one)| *one).collect())
            .collect()
    };
    let mut callers = Vec::new();
    for scopes in subsets(&SCOPES) {
        for roles in subsets(&ROLES) {
            callers.push(caller_with(&scopes, &roles));
        }
    }
    callers
}

/// The rules, where configuration takes them: it refuses those with a rule that can never match.
fn policy(rules: &[Value]) -> Result<Rc<Policy>, Vec<String>> {
    let document = with_rules(json!(rules), json!({}));
    let config =
        Configuration::load(document, &TestSecrets::default()).map_err(|mistakes| mistakes.lines().to_vec())?.settings;
    Ok(Rc::clone(config.resources[0].policy.as_ref().expect("it has rules")))
}

fn call(name: &str) -> Operation {
    Operation::on("tools/call", Kind::Tool, name)
}

fn arguments(n: Option<i64>) -> serde_json::Map<String, Value> {
    n.into_iter().map(|n| ("n".to_owned(), json!(n))).collect()
}

/// The verdict as the documentation has it, with nothing of the index.
fn by_the_book(
    rules: &[Value],
    name: &str,
    caller: &Caller,
    arguments: &serde_json::Map<String, Value>,
) -> Option<usize> {
    let like = |pattern: &str, name: &str| {
        // The other way round from the code: all ways to cut the name.
        fn fits(pattern: &[u8], name: &[u8]) -> bool {
            match pattern.split_first() {
                None => name.is_empty(),
                Some((b'*', rest)) => (0..=name.len()).any(|at| fits(rest, &name[at..])),
                Some((byte, rest)) => name.first() == Some(byte) && fits(rest, &name[1..]),
            }
        }
        fits(pattern.as_bytes(), name.as_bytes())
    };
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    rules.iter().position(|rule| {
        let tools = strings(&rule["tools"]);
        let loose = rule["effect"] != "allow";
        let about = tools.is_empty()
            || tools.iter().any(|pattern| {
                if loose { like(&pattern.to_lowercase(), &name.to_lowercase()) } else { like(pattern, name) }
            });
        let has = |scope: &String| caller.subject.scopes.iter().any(|other| other.as_str() == scope);
        let scopes = strings(&rule["when"]["scopes"]).iter().all(has);
        let wanted = strings(&rule["when"]["roles"]);
        let holds = wanted.is_empty() || wanted.iter().any(|role| caller.subject.rights.roles.contains(role));
        let least = rule["when"]["arguments"]["n"]["at_least"].as_i64();
        let arguments =
            least.is_none_or(|least| arguments.get("n").and_then(Value::as_i64).is_some_and(|n| n >= least));
        rule["mode"] != "observe" && about && scopes && holds && arguments
    })
}

proptest! {
    // PROPTEST_CASES asks for more.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(256), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_as_the_book_has_them(rules in prop::collection::vec(rule(), 1..6)) {
        let Ok(policy) = policy(&rules) else { return Ok(()) };
        for caller in callers() {
            for name in NAMES {
                for n in [None, Some(0), Some(3), Some(9)] {
                    let arguments = arguments(n);
                    let decision = policy.decide(&call(name), &caller, Arguments::Known(Some(&arguments)));
                    let rule = by_the_book(&rules, name, &caller, &arguments);
                    let expected = match rule.map(|at| (&rules[at]["effect"], at)) {
                        None => "deny",
                        Some((effect, _)) if effect == "allow" => "allow",
                        Some((effect, _)) if effect == "deny" => "deny",
                        Some((_, at)) => {
                            let asked: Vec<&str> = rules[at]["scopes"].as_array().expect("scopes").iter().filter_map(Value::as_str).collect();
                            let has = |scope: &&str| caller.subject.scopes.iter().any(|other| other.as_str() == *scope);
                            if asked.iter().all(has) { "allow" } else { "step_up" }
                        }
                    };
                    prop_assert_eq!(decision.verdict.as_str(), expected, "{:?} {}", rules, name);
                    let (explained, _) = policy.explain(&call(name), &caller, Arguments::Known(Some(&arguments)));
                    prop_assert_eq!(explained, decision);
                }
            }
        }
    }

    #[test]
    fn a_list_has_what_may_be_used_and_nothing_else(rules in prop::collection::vec(rule(), 1..6), mark in any::<bool>()) {
        let mode = if mark { "mark" } else { "hide" };
        let document = with_rules(json!(rules), json!({ "step_up_in_lists": mode }));
        let Ok(gateway) = crate::support::open(document) else { return Ok(()) };
        let policy = Rc::clone(gateway.settings().resources[0].policy.as_ref().expect("rules"));
        let tools: Vec<Value> = NAMES.iter().map(|name| json!({ "name": name })).collect();
        let body = json!({ "jsonrpc": "2.0", "id": 7, "result": { "tools": tools } }).to_string();
        for (scopes, roles) in [("", vec![]), ("s1", vec!["r1"]), ("s1 s2 s3", vec!["r1", "r2"]), ("s2", vec!["r2"])] {
            let scope = format!("mcp:tools {scopes}");
            let claims = Claims::good().with("scope", json!(scope)).with("roles", json!(roles));
            let world = World::new();
            world.origin_body(body.as_bytes(), 7);
            let reply = world.call(&gateway, message(claims, "tools/list", json!({})));
            if reply.status != 200 || reply.json()["error"] != Value::Null {
                continue; // a rule about everything denies the list itself
            }
            let listed: Vec<String> = reply.json()["result"]["tools"].as_array().expect("a list").iter()
                .map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect();
            let caller = caller_with(&scope.split(' ').collect::<Vec<_>>(), &roles);
            for name in NAMES {
                let verdicts: Vec<Verdict> = [None, Some(0), Some(3), Some(9)].into_iter()
                    .map(|n| policy.decide(&call(name), &caller, Arguments::Known(Some(&arguments(n)))).verdict).collect();
                let allowed = verdicts.contains(&Verdict::Allow);
                let step_up = verdicts.iter().any(|verdict| matches!(verdict, Verdict::StepUp { .. }));
                prop_assert_eq!(listed.contains(&name.to_owned()), allowed || (mark && step_up), "{:?} {} {:?}", rules, name, scope);
            }
        }
    }

    #[test]
    fn a_list_that_could_be_another_for_somebody_else_is_private(rules in prop::collection::vec(rule(), 1..6)) {
        let Ok(policy) = policy(&rules) else { return Ok(()) };
        for name in NAMES {
            let decisions: Vec<_> = callers().iter().map(|caller| policy.decide(&call(name), caller, Arguments::Unknown)).collect();
            let differs = decisions.iter().any(|decision| decision.verdict != decisions[0].verdict);
            for decision in &decisions {
                prop_assert!(!differs || decision.depends_on_caller, "{:?} {}", rules, name);
                prop_assert!(!decision.depends_on_caller || policy.depends_on_caller(Kind::Tool));
            }
        }
    }

    #[test]
    fn what_analysis_calls_unreachable_is_never_reached(rules in prop::collection::vec(rule(), 1..6)) {
        let Err(mistakes) = policy(&rules) else { return Ok(()) };
        for (at, _) in rules.iter().enumerate() {
            if !mistakes.iter().any(|line| line.starts_with(&format!("resources[0].rules[{at}]:"))) {
                continue;
            }
            for caller in callers() {
                for name in NAMES.into_iter().chain(["x", "A", "aXc", "xb", "tool"]) {
                    for n in [None, Some(0), Some(3), Some(9)] {
                        // An observed rule is reached where it would be, were it enforced.
                        let mut enforced = rules.clone();
                        if let Some(rule) = enforced[at].as_object_mut() { rule.remove("mode"); }
                        prop_assert_ne!(by_the_book(&enforced, name, &caller, &arguments(n)), Some(at), "{:?}", rules);
                    }
                }
            }
        }
    }

    #[test]
    fn what_analysis_calls_uncovered_nobody_may_use(rules in prop::collection::vec(rule(), 1..6)) {
        let Ok(policy) = policy(&rules) else { return Ok(()) };
        let known: Vec<_> = NAMES.iter().map(|name| (Kind::Tool, (*name).to_owned())).collect();
        let findings = check(&policy, &known);
        for name in NAMES {
            let uncovered = findings.contains(&Finding::Uncovered(Kind::Tool, name.to_owned()));
            let about = rules.iter().any(|rule| by_the_book(&[{ let mut rule = rule.clone(); rule["when"] = Value::Null; rule["mode"] = Value::Null; rule }], name, &caller_with(&[], &[]), &arguments(None)).is_some());
            prop_assert_eq!(uncovered, !about, "{:?} {}", rules, name);
        }
    }

    #[test]
    fn fields_and_bodies_that_disagree_are_never_forwarded(
        said in prop::sample::select(vec!["a", "b", "=?base64?YQ==?=", "=?base64?Yg==?="]), done in prop::sample::select(vec!["a", "b"]),
        method in prop::sample::select(vec!["tools/call", "prompts/get", "tools/list"]), asked in prop::sample::select(vec!["tools/call", "prompts/get"]),
    ) {
        let gateway = gate(json!([{ "effect": "allow", "tools": ["*"], "prompts": ["*"] }]));
        let world = World::new();
        world.call(&gateway, modern(Claims::good(), asked, json!({ "name": done })).field("mcp-method", method).field("mcp-name", said));
        let meant = match said { "=?base64?YQ==?=" => "a", "=?base64?Yg==?=" => "b", literal => literal };
        prop_assert_eq!(!world.sent().is_empty(), method == asked && meant == done);
    }
}
