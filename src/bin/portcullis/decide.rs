//! One decision about one call, for `explain`, `test` and `diff`.

use std::rc::Rc;

use portcullis::mcp::kind::Kind;
use portcullis::mcp::method::METHODS;
use portcullis::mcp::operation::Operation;
use portcullis::oauth::scope::ScopeSet;
use portcullis::pipeline::record::scopes_for;
use portcullis::policy::caller::Caller;
use portcullis::policy::decide::methods_of;
use portcullis::policy::pattern::Pattern;
use portcullis::policy::verdict::{Arguments, Decision, RuleResult, Verdict};
use portcullis::settings::Settings;
use portcullis::settings::resource::Resource;
use portcullis::token::accepted::Verifiers;
use portcullis::token::claim_values::seconds;
use portcullis::token::claims;
use portcullis::token::principal::{CredentialKind, SelectedClaims, Subject};
use portcullis::token::profile::Profile;
use portcullis::transport::connection::ConnectionFacts;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::outcome::Unusable;

/// Who calls.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Who {
    /// The claims of the token.
    pub(crate) claims: Map<String, Value>,
    /// There are no credentials.
    pub(crate) anonymous: bool,
    /// Scopes in addition to those of the claims, separated by spaces.
    pub(crate) scopes: Option<String>,
    /// The name of the issuer, the verifier or the prefix of the API key.
    pub(crate) issuer: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) asn: Option<u64>,
    pub(crate) mtls: bool,
}

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Call {
    pub(crate) method: Option<String>,
    pub(crate) tool: Option<String>,
    pub(crate) prompt: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) arguments: Option<Map<String, Value>>,
}

/// The decision, and how it came about.
pub(crate) struct Decided {
    pub(crate) operation: Operation,
    /// `None` where the resource has no rules.
    pub(crate) by_rules: Option<(Decision, Vec<(usize, RuleResult)>)>,
    /// Scopes of the resource that the caller lacks.
    pub(crate) missing: ScopeSet,
    /// Whether the resource lets this caller ask at all.
    pub(crate) is_open: bool,
    pub(crate) anonymous: bool,
}

impl Decided {
    pub(crate) fn is_allowed(&self) -> bool {
        let allows = self.by_rules.as_ref().is_none_or(|(decision, _)| decision.verdict.permits());
        allows && self.missing.is_empty() && self.is_open
    }

    /// The decision in few words: `allow`, `approve`, `deny`, `login`, `sign_in` (the user has to sign in again), or `step_up` with the
    /// scopes that the caller lacks.
    pub(crate) fn words(&self) -> String {
        let verdict = self.by_rules.as_ref().map_or(&Verdict::Allow, |(decision, _)| &decision.verdict);
        match verdict {
            _ if !self.is_open || self.anonymous && *verdict != Verdict::Allow => "login".to_owned(),
            Verdict::Deny => "deny".to_owned(),
            Verdict::Allow if self.missing.is_empty() => "allow".to_owned(),
            Verdict::Approve if self.missing.is_empty() => "approve".to_owned(),
            Verdict::Allow | Verdict::Approve => step_up(self.missing.iter()),
            Verdict::StepUp { sign_in: Some(_), .. } => "sign_in".to_owned(),
            Verdict::StepUp { missing, .. } => step_up(missing.iter().chain(self.missing.iter())),
        }
    }

    /// The name of what decided.
    pub(crate) fn by<'a>(&self, resource: &'a Resource) -> &'a str {
        match (&self.by_rules, &resource.policy) {
            (Some((decision, _)), Some(policy)) => policy.name(decision.by),
            _ => "(no rules)",
        }
    }
}

fn step_up<'a>(missing: impl Iterator<Item = &'a portcullis::oauth::scope::Scope>) -> String {
    let mut names: Vec<&str> = missing.map(portcullis::oauth::scope::Scope::as_str).collect();
    names.sort_unstable();
    names.dedup();
    format!("step_up {}", names.join(" "))
}

/// Decides a call at the resource with this index.
pub(crate) fn decide(settings: &Settings, index: usize, who: &Who, call: &Call) -> Result<Decided, Unusable> {
    let resource = settings.resources.get(index).ok_or("no resource")?;
    let operation = operation(call)?;
    known_method(&operation.method, resource)?;
    known_issuer(who.issuer.as_deref(), resource)?;
    let caller = caller(who, settings, index)?;
    let arguments = call.arguments.as_ref().map_or(Arguments::Unknown, |members| Arguments::Known(Some(members)));
    let by_rules = resource.policy.as_ref().map(|policy| policy.explain(&operation, &caller, arguments));
    let missing = settings.scopes.missing(&caller.subject.scopes, &scopes_for(resource, &caller));
    let is_open = !who.anonymous || operation.target.is_none() && resource.is_open(&operation.method);
    Ok(Decided { operation, by_rules, missing, is_open, anonymous: who.anonymous })
}

fn operation(call: &Call) -> Result<Operation, Unusable> {
    let targets = [(&call.tool, Kind::Tool), (&call.prompt, Kind::Prompt), (&call.uri, Kind::Resource)];
    let given: Vec<_> = targets.into_iter().filter_map(|(name, kind)| Some((kind, name.as_deref()?))).collect();
    match (given.as_slice(), call.method.as_deref()) {
        ([], Some(method)) => Ok(Operation::plain(method)),
        ([(kind, name)], method) => {
            Ok(Operation::on(method.or(methods_of(*kind).next()).unwrap_or_default(), *kind, name))
        }
        ([], None) => Err("a call needs a method, a tool, a prompt or a uri".into()),
        _ => Err("a call has only one of tool, prompt and uri".into()),
    }
}

/// An error for a method that neither MCP nor a rule has: it is misspelled, and the decision would say nothing.
fn known_method(method: &str, resource: &Resource) -> Result<(), Unusable> {
    let named = |pattern: &Pattern| pattern.as_str() == method;
    let by_rules =
        resource.policy.iter().flat_map(|policy| policy.rules()).any(|rule| rule.targets.methods.iter().any(named));
    if by_rules || method.starts_with("notifications/") || METHODS.iter().any(|known| known.name == method) {
        return Ok(());
    }
    Err(format!("{method:?} is no method of MCP, and no rule names it").into())
}

/// An error for a name that vouches for no caller of the resource.
fn known_issuer(named: Option<&str>, resource: &Resource) -> Result<(), Unusable> {
    let Some(name) = named else { return Ok(()) };
    let Verifiers { issuers, api_keys, custom } = &resource.accepts;
    let mut known: Vec<&str> = issuers.iter().map(|issuer| issuer.name.as_str()).collect();
    known.extend(api_keys.iter().map(|set| set.prefix.as_str()));
    known.extend(custom.iter().map(|verifier| verifier.name.as_str()));
    if known.contains(&name) {
        return Ok(());
    }
    let path = resource.path.as_str();
    Err(format!("{path} accepts no credentials of {name:?}; it accepts those of {}", known.join(", ")).into())
}

fn caller(who: &Who, settings: &Settings, index: usize) -> Result<Caller, Unusable> {
    let facts = ConnectionFacts { country: who.country.clone(), asn: who.asn, certificate: who.mtls };
    if who.anonymous {
        if !who.claims.is_empty() || who.scopes.is_some() || who.issuer.is_some() {
            return Err("a caller without credentials (anonymous) has no claims, scopes and issuer".into());
        }
        return Ok(Caller { subject: Rc::new(Subject::anonymous()), source: None, facts, now: 0 });
    }
    let said = &who.claims;
    let accepted =
        settings.resources.get(index).map(|resource| resource.accepts.issuers.as_slice()).unwrap_or_default();
    let issuer = accepted.iter().find(|issuer| match &who.issuer {
        Some(name) => issuer.name == *name,
        None => said.get("iss").is_none_or(|iss| iss == issuer.identifier.as_str()),
    });
    let named = who.issuer.as_deref();
    let by_api_key = settings.verifiers.api_keys.iter().any(|set| Some(set.prefix.as_str()) == named);
    let profile = issuer.map_or(Profile::Generic, |issuer| issuer.profile);
    let text = |names: &[&str]| names.iter().find_map(|name| said.get(*name)?.as_str()).map(str::to_owned);
    let mut scopes: Vec<String> =
        who.scopes.as_deref().into_iter().flat_map(|text| text.split([' ', ','])).map(str::to_owned).collect();
    let of_claims = claims::scopes(said, profile)
        .map_err(|_| "the scope claim of the caller must be a string or an array of strings")?;
    scopes.extend(of_claims.iter().map(|scope| scope.as_str().to_owned()));
    scopes.extend(
        issuer.into_iter().flat_map(|issuer| issuer.grant_scopes.iter()).map(|scope| scope.as_str().to_owned()),
    );
    let subject = Subject {
        issuer: issuer.map_or_else(String::new, |issuer| issuer.identifier.clone()),
        subject: text(profile.subject_claims()).unwrap_or_default(),
        client: text(profile.client_claims()),
        scopes: ScopeSet::of_text(&scopes.join(" ")),
        kind: CredentialKind::Jwt,
        label: None,
        // An API key has no claims; whatever else vouches for the caller may have those that rules read.
        rights: if by_api_key {
            SelectedClaims::default()
        } else {
            SelectedClaims::of(said, &settings.interests, profile)
        },
    };
    Ok(Caller {
        subject: Rc::new(subject),
        source: who.issuer.as_deref().or(issuer.map(|issuer| issuer.name.as_str())).map(Rc::from),
        facts,
        // As if the token were used when it was issued. Without `iat` the age of the sign-in is not known, and none is recent.
        now: seconds(said, "iat").ok().flatten().and_then(|at| u64::try_from(at).ok()).unwrap_or(u64::MAX / 2),
    })
}
