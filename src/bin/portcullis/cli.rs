//! The command line: explains a decision, checks rules, and decides a log again under other rules; with the code that
//! the Worker runs.

use std::fmt::Write as _;
use std::io::Read as _;
use std::process::ExitCode;
use std::rc::Rc;

use portcullis::config::{Config, Secrets};
use portcullis::policy::analysis::{check, useless_scopes};
use portcullis::policy::caller::{Caller, Facts};
use portcullis::policy::decide::{Arguments, Thought, Verdict, methods_of};
use portcullis::policy::operation::{Kind, Operation};
use portcullis::policy::replay::{Replay, Replayed};
use portcullis::strict_json;
use portcullis::token::principal::{CredentialKind, Subject};
use portcullis::token::profile::Profile;
use portcullis::token::{claims, principal};
use serde_json::{Map, Value};

const USAGE: &str = "\
portcullis: what the rules of a configuration decide, without a request

  portcullis explain --method M [--tool N | --prompt N | --uri U] [--claims FILE] [--arguments JSON]
                     [--scopes \"S S\"] [--issuer NAME] [--country CC] [--asn N] [--mtls]
      The decision for these claims and this call, and what was thought of each rule.

  portcullis check [--list FILE]...
      Rules that can never match, in whole or in part; scopes that unlock nothing; and with saved answers to tools/list,
      prompts/list or resources/list, what no rule is about. Ends with 1 where there is a finding.

  portcullis replay --log FILE
      Decides the decisions of a log again, and prints those that differ; and where the log has gaps.
      Ends with 1 where there is a difference or a gap.

  All take --config FILE (default wrangler.toml; .json for the document alone), --env NAME, --resource PATH (default: the
  first with rules). FILE may be - for standard input.
";

pub(super) fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = Options::read(&arguments).and_then(|options| match options.command.as_str() {
        "explain" => explain(&options),
        "check" => check_rules(&options),
        "replay" => replay(&options),
        _ => Err(USAGE.to_owned()),
    });
    match outcome {
        Ok((text, good)) => {
            print!("{text}");
            if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(why) => {
            eprintln!("portcullis: {}", why.trim_end());
            ExitCode::from(2)
        }
    }
}

#[derive(Default)]
struct Options {
    command: String,
    values: Vec<(String, String)>,
}

const FLAGS: [&str; 1] = ["mtls"];

impl Options {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let known: &[&str] = match arguments.first().map(String::as_str) {
            Some("explain") => &[
                "method",
                "tool",
                "prompt",
                "uri",
                "claims",
                "arguments",
                "scopes",
                "issuer",
                "country",
                "asn",
                "mtls",
            ],
            Some("check") => &["list"],
            Some("replay") => &["log"],
            _ => return Err(USAGE.to_owned()),
        };
        let mut options = Self { command: arguments.first().cloned().unwrap_or_default(), values: Vec::new() };
        let mut rest = arguments.iter().skip(1);
        while let Some(word) = rest.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("what is {word:?}?\n\n{USAGE}"))?;
            let (name, inline) =
                name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value.to_owned())));
            if !known.contains(&name) && !["config", "env", "resource"].contains(&name) {
                return Err(format!("{} has no option --{name}\n\n{USAGE}", options.command));
            }
            let value = match inline {
                Some(value) => value,
                None if FLAGS.contains(&name) => "true".to_owned(),
                None => rest.next().cloned().ok_or_else(|| format!("--{name} needs a value"))?,
            };
            options.values.push((name.to_owned(), value));
        }
        Ok(options)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn config(&self) -> Result<Config, String> {
        let path = self.get("config").unwrap_or("wrangler.toml");
        let text = read(path)?;
        let document = if path.rsplit('.').next().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
            strict_json::parse(text.as_bytes()).map_err(|error| format!("{path}: {error}"))?
        } else {
            let table: toml::Table = text.parse().map_err(|error| format!("{path}: {error}"))?;
            let vars = match self.get("env") {
                Some(name) => table.get("env").and_then(|env| env.get(name)).and_then(|env| env.get("vars")),
                None => table.get("vars"),
            };
            let document = vars.and_then(|vars| vars.get("PORTCULLIS"));
            let place = self
                .get("env")
                .map_or_else(|| "[vars.PORTCULLIS]".to_owned(), |env| format!("[env.{env}.vars.PORTCULLIS]"));
            let document = document.ok_or_else(|| format!("{path} has no {place}"))?;
            serde_json::to_value(document).map_err(|error| format!("{path}: {error}"))?
        };
        Config::load(document, &AnySecret).map_err(|mistakes| format!("{path}:\n{mistakes}"))
    }

    /// The index of the resource that was asked for.
    fn resource(&self, config: &Config) -> Result<usize, String> {
        let found = match self.get("resource") {
            Some(path) => config.resources.iter().position(|resource| resource.path.as_str() == path),
            None => config.resources.iter().position(|resource| resource.policy.is_some()),
        };
        found.ok_or_else(|| {
            let paths: Vec<&str> = config.resources.iter().map(|resource| resource.path.as_str()).collect();
            format!("no such resource with rules; there are {}", paths.join(", "))
        })
    }
}

/// Rules do not depend on secrets, so any that configuration takes will do: one that is text and a private key at once.
struct AnySecret;

impl Secrets for AnySecret {
    fn secret(&self, _: &str) -> Option<String> {
        let zero = "A".repeat(43);
        Some(format!(r#"{{"kty":"EC","crv":"P-256","x":"{zero}","y":"{zero}","d":"{zero}"}}"#))
    }
}

fn read(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let outcome = if path == "-" {
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    outcome.map_err(|error| format!("{path}: {error}"))
}

fn object(text: &str, what: &str) -> Result<Map<String, Value>, String> {
    match strict_json::parse(text.as_bytes()) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(format!("{what} must be a JSON object")),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

fn explain(options: &Options) -> Result<(String, bool), String> {
    let config = options.config()?;
    let index = options.resource(&config)?;
    let resource = config.resources.get(index).ok_or("no resource")?;
    let policy = resource.policy.as_ref().ok_or("that resource has no rules: whatever its scopes open is open")?;
    let operation = operation(options)?;
    let caller = caller(options, &config, index)?;
    let arguments = options.get("arguments").map(|text| object(text, "--arguments")).transpose()?;
    let arguments = arguments.as_ref().map_or(Arguments::Unknown, |members| Arguments::Known(Some(members)));
    let (decision, thoughts) = policy.explain(&operation, &caller, arguments);
    let mut text = String::new();
    let name = operation.name().map_or_else(String::new, |name| format!(" {name}"));
    let missing = config.scopes.missing(&caller.subject.scopes, &resource.scopes);
    if !missing.is_empty() {
        let _ = writeln!(text, "403: the resource itself asks for scopes that are missing: {missing}");
    }
    let outcome = match &decision.verdict {
        Verdict::Allow => "allow".to_owned(),
        Verdict::Deny => "deny: for this caller it does not exist".to_owned(),
        Verdict::StepUp { missing, .. } => format!("step_up: 403, asks for what is missing: {missing}"),
    };
    let _ = writeln!(text, "{}{name} at {}: {outcome}", operation.method, resource.path.as_str());
    let _ = writeln!(
        text,
        "by {}, policy {}{}",
        policy.name(decision.by),
        policy.hash,
        if policy.observe { " (only observed)" } else { "" }
    );
    if let Some((rule, verdict)) = &decision.would {
        let _ = writeln!(text, "rule {:?}, only observed, would say {}", policy.rules_id(*rule), verdict.as_str());
    }
    if decision.depends_on_arguments {
        text.push_str("it depends on arguments: --arguments gives them\n");
    }
    for (rule, thought) in thoughts {
        let _ = writeln!(text, "  {:<24} {}", policy.rules_id(rule), words(&thought));
    }
    Ok((text, decision.verdict == Verdict::Allow && missing.is_empty()))
}

fn words(thought: &Thought) -> String {
    match thought {
        Thought::OtherTarget => "is about something else".to_owned(),
        Thought::Condition(name) => format!("when.{name} does not hold"),
        Thought::Argument(name) => format!("when.arguments.{name} does not hold"),
        Thought::ArgumentsUnknown => "would match with the right arguments".to_owned(),
        Thought::Observed => "matches, and is only observed".to_owned(),
        Thought::Decides => "matches, and decides".to_owned(),
    }
}

fn operation(options: &Options) -> Result<Operation, String> {
    let targets = [("tool", Kind::Tool), ("prompt", Kind::Prompt), ("uri", Kind::Resource)];
    let given: Vec<_> = targets.into_iter().filter_map(|(name, kind)| Some((kind, options.get(name)?))).collect();
    match (given.as_slice(), options.get("method")) {
        ([], Some(method)) => Ok(Operation::plain(method)),
        ([(kind, name)], method) => {
            Ok(Operation::on(method.or(methods_of(*kind).first().copied()).unwrap_or_default(), *kind, name))
        }
        ([], None) => Err("explain needs --method, --tool, --prompt or --uri".to_owned()),
        _ => Err("explain takes one of --tool, --prompt and --uri".to_owned()),
    }
}

fn caller(options: &Options, config: &Config, index: usize) -> Result<Caller, String> {
    let said = options.get("claims").map(|path| object(&read(path)?, path)).transpose()?.unwrap_or_default();
    let accepted = config.resources.get(index).map(|resource| resource.issuers.as_slice()).unwrap_or_default();
    let issuer = accepted.iter().filter_map(|&at| config.issuers.get(at)).find(|issuer| match options.get("issuer") {
        Some(name) => issuer.name == name,
        None => said.get("iss").is_none_or(|iss| iss == issuer.identifier.as_str()),
    });
    let profile = issuer.map_or(Profile::Generic, |issuer| issuer.profile);
    let interests = issuer.map(|issuer| Rc::clone(&issuer.interests)).unwrap_or_default();
    let text = |names: &[&str]| names.iter().find_map(|name| said.get(*name)?.as_str()).map(str::to_owned);
    let mut scopes: Vec<String> =
        options.get("scopes").into_iter().flat_map(|text| text.split(' ')).map(str::to_owned).collect();
    let of_claims = claims::scopes(&said, profile).map_err(|_| "the scopes of the claims are malformed".to_owned())?;
    scopes.extend(of_claims.iter().map(|scope| scope.as_str().to_owned()));
    scopes.extend(
        issuer.into_iter().flat_map(|issuer| issuer.grant_scopes.iter()).map(|scope| scope.as_str().to_owned()),
    );
    let subject = Subject {
        issuer: issuer.map_or_else(String::new, |issuer| issuer.identifier.clone()),
        subject: text(profile.subject_claims()).unwrap_or_default(),
        client: text(profile.client_claims()),
        scopes: portcullis::oauth::scope::ScopeSet::of_text(&scopes.join(" ")),
        kind: CredentialKind::Jwt,
        label: None,
        rights: principal::Rights::of(&said, &interests, profile),
    };
    let asn = options
        .get("asn")
        .map(|asn| asn.parse().map_err(|_| format!("--asn must be a number, got {asn:?}")))
        .transpose()?;
    Ok(Caller {
        subject: Rc::new(subject),
        source: options.get("issuer").or(issuer.map(|issuer| issuer.name.as_str())).map(Rc::from),
        facts: Facts {
            country: options.get("country").map(str::to_owned),
            asn,
            certificate: options.get("mtls").is_some(),
        },
    })
}

fn check_rules(options: &Options) -> Result<(String, bool), String> {
    let config = options.config()?;
    let index = options.resource(&config)?;
    let resource = config.resources.get(index).ok_or("no resource")?;
    let policy = resource.policy.as_ref().ok_or("that resource has no rules")?;
    let mut known = Vec::new();
    for (_, path) in options.values.iter().filter(|(name, _)| name == "list") {
        known.extend(listed(&read(path)?).ok_or_else(|| format!("{path} is no answer to a list method"))?);
    }
    let mut findings = check(policy, &known);
    findings.extend(useless_scopes(&config));
    let mut text = String::new();
    for finding in &findings {
        let _ = writeln!(text, "{finding}");
    }
    let _ = writeln!(
        text,
        "{}: {} rules, {} listed, {} findings",
        resource.path.as_str(),
        policy.rules().len(),
        known.len(),
        findings.len()
    );
    Ok((text, findings.is_empty()))
}

/// What a saved answer lists: the whole message, or its result.
fn listed(text: &str) -> Option<Vec<(Kind, String)>> {
    let answer = strict_json::parse(text.as_bytes()).ok()?;
    let result = answer.get("result").unwrap_or(&answer);
    let lists = [
        ("tools", "name", Kind::Tool),
        ("prompts", "name", Kind::Prompt),
        ("resources", "uri", Kind::Resource),
        ("resourceTemplates", "uriTemplate", Kind::Resource),
    ];
    let found: Vec<_> =
        lists.into_iter().filter_map(|(list, key, kind)| Some((result.get(list)?.as_array()?, key, kind))).collect();
    if found.is_empty() {
        return None;
    }
    let named = found.into_iter().flat_map(|(items, key, kind)| {
        items.iter().filter_map(move |item| Some((kind, item.get(key)?.as_str()?.to_owned())))
    });
    Some(named.collect())
}

fn replay(options: &Options) -> Result<(String, bool), String> {
    let config = options.config()?;
    let log = read(options.get("log").ok_or("replay needs --log")?)?;
    let (mut replay, mut text) = (Replay::default(), String::new());
    let (mut same, mut changed, mut unknown) = (0_usize, 0_usize, 0_usize);
    for (number, line) in log.lines().enumerate() {
        match replay.line(number + 1, line, &config) {
            Replayed::Other => {}
            Replayed::Same => same += 1,
            Replayed::Unknown(why) => {
                unknown += 1;
                let _ = writeln!(text, "line {}: cannot be decided again: {why}", number + 1);
            }
            Replayed::Changed(change) => {
                changed += 1;
                let _ = writeln!(
                    text,
                    "line {}: {}: {} by {} -> {} by {}{} (request {})",
                    number + 1,
                    change.what,
                    change.then.0,
                    change.then.1,
                    change.now.0,
                    change.now.1,
                    if change.depends_on_arguments { ", depending on arguments" } else { "" },
                    change.request
                );
            }
        }
    }
    for number in &replay.broken {
        let _ = writeln!(
            text,
            "line {number}: does not follow the line before it of its run: lines are missing, or were changed"
        );
    }
    let _ = writeln!(
        text,
        "{} decisions: {same} the same, {changed} changed, {unknown} unknown; {} gaps",
        same + changed + unknown,
        replay.broken.len()
    );
    Ok((text, changed == 0 && unknown == 0 && replay.broken.is_empty()))
}
