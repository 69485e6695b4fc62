//! `portcullis explain`.

use portcullis::mcp::operation::Operation;
use portcullis::mcp::tool_view::{CALL_FOUND_TOOL, SEARCH_TOOLS, View};
use portcullis::oauth::scope::ScopeSet;
use portcullis::policy::sign_in::SignIn;
use portcullis::policy::verdict::{RuleResult, Verdict};
use portcullis::settings::resource::Resource;
use serde_json::{Value, json};

use crate::arguments::ExplainArguments;
use crate::decide::{Call, Who, decide};
use crate::document::{config, object, resource};
use crate::host::Host;
use crate::outcome::{Report, Unusable};

pub(crate) fn explain(options: &ExplainArguments, host: &Host<'_>) -> Result<Report, Unusable> {
    let config = config(&options.source, host)?;
    let index = resource(options.resource.as_deref(), &config)?;
    let resource = config.resources.get(index).ok_or("no resource")?;
    let policy = resource.policy.as_ref().ok_or("this resource has no rules: only its scopes limit access")?;
    let (who, call) = (who(options, host)?, call(options)?);
    let decided = decide(&config, index, &who, &call)?;
    let (operation, missing, is_open) = (&decided.operation, &decided.missing, decided.is_open);
    let (decision, thoughts) = decided.by_rules.as_ref().ok_or("this resource has no rules")?;
    let mut text = String::new();
    let name = operation.name().map_or_else(String::new, |name| format!(" {name}"));
    if !is_open {
        text += "401: the resource does not open this method to callers without credentials (anonymous)\n";
    }
    if !missing.is_empty() {
        text += &format!("403: the resource requires scopes that the caller lacks: {missing}\n");
    }
    let outcome = match &decision.verdict {
        Verdict::Allow => "allow".to_owned(),
        Verdict::Deny | Verdict::StepUp { .. } | Verdict::Approve if options.anonymous => {
            "401: the rules do not allow it to callers without credentials".to_owned()
        }
        Verdict::Approve => "approve: the call waits until a person approves it".to_owned(),
        Verdict::Deny => "deny: for this caller the target does not exist".to_owned(),
        Verdict::StepUp { sign_in: Some(sign_in), missing, .. } => {
            format!("step_up: 401, the user has to sign in again{}", challenged(sign_in, missing))
        }
        Verdict::StepUp { missing, .. } => format!("step_up: 403, the caller lacks the scopes: {missing}"),
    };
    text += &format!("{}{name} at {}: {outcome}\n", operation.method, resource.path.as_str());
    let server = resource.federation.as_ref().map(|federation| federation.server_of(operation));
    match &server {
        Some(Some((server, Some(original)))) => {
            text += &format!("at the server {server:?}, which calls it {original:?}\n");
        }
        Some(Some((server, None))) => text += &format!("the server {server:?} shows clients no such item\n"),
        Some(None) if is_of_view(resource, operation) => {
            text += "this is a tool of the gateway, and rules have no effect on it: they decide about the tool that it calls or finds\n";
        }
        Some(None) if operation.target.is_some() => text += "no server has such a name\n",
        Some(None) | None => {}
    }
    let (server, original) = server.flatten().unzip();
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
    for (rule, thought) in thoughts {
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
        "server": server,
        "original": original.flatten(),
        "verdict": decision.verdict.as_str(),
        "by": policy.name(decision.by),
        "policy": policy.hash,
        "observed": policy.observe,
        "missing_scopes": missing.to_string(),
        "needs_login": !is_open || options.anonymous && decision.verdict != Verdict::Allow,
        "depends_on_arguments": decision.depends_on_arguments,
        "rules": rules,
    });
    Ok(Report { text, json, good: decided.is_allowed() })
}

/// What a challenge for another sign-in asks for.
fn challenged(sign_in: &SignIn, missing: &ScopeSet) -> String {
    let mut text = sign_in.max_age.map_or_else(String::new, |seconds| format!(", at most {seconds} seconds ago"));
    for (name, values) in [("acr", &sign_in.acr), ("amr", &sign_in.amr)] {
        if !values.is_empty() {
            text += &format!(", with {name} {}", values.join(" or "));
        }
    }
    if !missing.is_empty() {
        text += &format!("; and the caller lacks the scopes: {missing}");
    }
    text
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

fn who(options: &ExplainArguments, host: &Host<'_>) -> Result<Who, Unusable> {
    if options.anonymous && (options.claims.is_some() || options.scopes.is_some() || options.issuer.is_some()) {
        return Err("explain accepts --anonymous only without --claims, --scopes and --issuer".into());
    }
    let claims = options.claims.as_deref().map(|path| object(&(host.read)(path)?, path)).transpose()?;
    Ok(Who {
        claims: claims.unwrap_or_default(),
        anonymous: options.anonymous,
        scopes: options.scopes.clone(),
        issuer: options.issuer.clone(),
        country: options.country.clone(),
        asn: options.asn,
        mtls: options.mtls,
    })
}

fn call(options: &ExplainArguments) -> Result<Call, Unusable> {
    let targets = [&options.tool, &options.prompt, &options.uri].into_iter().flatten().count();
    if targets == 0 && options.method.is_none() {
        return Err("explain needs --method, --tool, --prompt or --uri".into());
    }
    if targets > 1 {
        return Err("explain accepts only one of --tool, --prompt and --uri".into());
    }
    Ok(Call {
        method: options.method.clone(),
        tool: options.tool.clone(),
        prompt: options.prompt.clone(),
        uri: options.uri.clone(),
        arguments: options.arguments.as_deref().map(|text| object(text, "--arguments")).transpose()?,
    })
}

/// Whether an operation calls one of the two tools of the gateway that find and call the tools of several servers.
fn is_of_view(resource: &Resource, operation: &Operation) -> bool {
    let searches = resource.federation.as_ref().is_some_and(|federation| federation.view == View::Search);
    searches && operation.tool().is_some_and(|tool| [SEARCH_TOOLS, CALL_FOUND_TOOL].contains(&tool))
}
