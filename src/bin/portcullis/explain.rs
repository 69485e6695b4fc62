//! `portcullis explain`.

use std::rc::Rc;

use portcullis::mcp::kind::Kind;
use portcullis::mcp::operation::Operation;
use portcullis::pipeline::record::scopes_for;
use portcullis::policy::caller::Caller;
use portcullis::policy::decide::methods_of;
use portcullis::policy::verdict::{Arguments, RuleResult, Verdict};
use portcullis::settings::Settings;
use portcullis::token::claims;
use portcullis::token::principal::{CredentialKind, SelectedClaims, Subject};
use portcullis::token::profile::Profile;
use portcullis::transport::connection::ConnectionFacts;
use serde_json::{Value, json};

use crate::arguments::ExplainArguments;
use crate::document::{config, object, read, resource};
use crate::outcome::{Report, Unusable};

pub(crate) fn explain(options: &ExplainArguments) -> Result<Report, Unusable> {
    let config = config(&options.source)?;
    let index = resource(options.resource.as_deref(), &config)?;
    let resource = config.resources.get(index).ok_or("no resource")?;
    let policy = resource.policy.as_ref().ok_or("this resource has no rules: only its scopes limit access")?;
    let operation = operation(options)?;
    let caller = caller(options, &config, index)?;
    let arguments = options.arguments.as_deref().map(|text| object(text, "--arguments")).transpose()?;
    let arguments = arguments.as_ref().map_or(Arguments::Unknown, |members| Arguments::Known(Some(members)));
    let (decision, thoughts) = policy.explain(&operation, &caller, arguments);
    let mut text = String::new();
    let name = operation.name().map_or_else(String::new, |name| format!(" {name}"));
    let missing = config.scopes.missing(&caller.subject.scopes, &scopes_for(resource, &caller));
    let is_open = !options.anonymous || operation.target.is_none() && resource.is_open(&operation.method);
    if !is_open {
        text += "401: the resource does not open this method to callers without credentials (anonymous)\n";
    }
    if !missing.is_empty() {
        text += &format!("403: the resource requires scopes that the caller lacks: {missing}\n");
    }
    let outcome = match &decision.verdict {
        Verdict::Allow => "allow".to_owned(),
        Verdict::Deny | Verdict::StepUp { .. } if options.anonymous => {
            "401: the rules do not allow it to callers without credentials".to_owned()
        }
        Verdict::Deny => "deny: for this caller the target does not exist".to_owned(),
        Verdict::StepUp { missing, .. } => format!("step_up: 403, the caller lacks the scopes: {missing}"),
    };
    text += &format!("{}{name} at {}: {outcome}\n", operation.method, resource.path.as_str());
    let observed = if policy.observe { " (observed, not enforced)" } else { "" };
    text += &format!("by {}, policy {}{observed}\n", policy.name(decision.by), policy.hash);
    if let Some((rule, verdict)) = &decision.would {
        text += &format!(
            "rule {:?} is observed, not enforced; it would decide {}\n",
            policy.rules_id(*rule),
            verdict.as_str()
        );
    }
    if decision.depends_on_arguments {
        text += "the decision depends on the arguments of the call: give them with --arguments\n";
    }
    for (rule, thought) in &thoughts {
        text += &format!("  {:<24} {}\n", policy.rules_id(*rule), words(thought));
    }
    let rules: Vec<Value> = thoughts
        .iter()
        .map(|(rule, thought)| json!({ "rule": policy.rules_id(*rule), "thought": words(thought) }))
        .collect();
    let json = json!({
        "resource": resource.path.as_str(),
        "method": operation.method,
        "name": operation.name(),
        "verdict": decision.verdict.as_str(),
        "by": policy.name(decision.by),
        "policy": policy.hash,
        "observed": policy.observe,
        "missing_scopes": missing.to_string(),
        "needs_login": !is_open || options.anonymous && decision.verdict != Verdict::Allow,
        "depends_on_arguments": decision.depends_on_arguments,
        "rules": rules,
    });
    Ok(Report { text, json, good: decision.verdict == Verdict::Allow && missing.is_empty() && is_open })
}

fn words(thought: &RuleResult) -> String {
    match thought {
        RuleResult::OtherTarget => "no target matches".to_owned(),
        RuleResult::Condition(name) => format!("when.{name} does not hold"),
        RuleResult::Argument(name) => format!("when.arguments.{name} does not hold"),
        RuleResult::ArgumentsUnknown => "depends on arguments that were not given".to_owned(),
        RuleResult::Observed => "matches, is observed and decides nothing".to_owned(),
        RuleResult::Decides => "matches and decides".to_owned(),
    }
}

fn operation(options: &ExplainArguments) -> Result<Operation, Unusable> {
    let targets = [(&options.tool, Kind::Tool), (&options.prompt, Kind::Prompt), (&options.uri, Kind::Resource)];
    let given: Vec<_> = targets.into_iter().filter_map(|(name, kind)| Some((kind, name.as_deref()?))).collect();
    match (given.as_slice(), options.method.as_deref()) {
        ([], Some(method)) => Ok(Operation::plain(method)),
        ([(kind, name)], method) => {
            Ok(Operation::on(method.or(methods_of(*kind).next()).unwrap_or_default(), *kind, name))
        }
        ([], None) => Err("explain needs --method, --tool, --prompt or --uri".into()),
        _ => Err("explain accepts only one of --tool, --prompt and --uri".into()),
    }
}

fn caller(options: &ExplainArguments, settings: &Settings, index: usize) -> Result<Caller, Unusable> {
    let facts = ConnectionFacts { country: options.country.clone(), asn: options.asn, certificate: options.mtls };
    if options.anonymous {
        if options.claims.is_some() || options.scopes.is_some() || options.issuer.is_some() {
            return Err("explain accepts --anonymous only without --claims, --scopes and --issuer".into());
        }
        return Ok(Caller { subject: Rc::new(Subject::anonymous()), source: None, facts });
    }
    let said = options.claims.as_deref().map(|path| object(&read(path)?, path)).transpose()?.unwrap_or_default();
    let accepted =
        settings.resources.get(index).map(|resource| resource.accepts.issuers.as_slice()).unwrap_or_default();
    let issuer = accepted.iter().find(|issuer| match &options.issuer {
        Some(name) => issuer.name == *name,
        None => said.get("iss").is_none_or(|iss| iss == issuer.identifier.as_str()),
    });
    let named = options.issuer.as_deref();
    let by_api_key = settings.verifiers.api_keys.iter().any(|set| Some(set.prefix.as_str()) == named);
    let profile = issuer.map_or(Profile::Generic, |issuer| issuer.profile);
    let text = |names: &[&str]| names.iter().find_map(|name| said.get(*name)?.as_str()).map(str::to_owned);
    let mut scopes: Vec<String> =
        options.scopes.as_deref().into_iter().flat_map(|text| text.split([' ', ','])).map(str::to_owned).collect();
    let of_claims = claims::scopes(&said, profile)
        .map_err(|_| "the scope claim in --claims must be a string or an array of strings")?;
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
        // An API key has no claims; whatever else vouches for the caller may have those that rules read.
        rights: if by_api_key {
            SelectedClaims::default()
        } else {
            SelectedClaims::of(&said, &settings.interests, profile)
        },
    };
    Ok(Caller {
        subject: Rc::new(subject),
        source: options.issuer.as_deref().or(issuer.map(|issuer| issuer.name.as_str())).map(Rc::from),
        facts,
    })
}
