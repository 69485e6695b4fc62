//! Warnings about a configuration that is valid.

use std::rc::Rc;

use crate::oauth::scope::ScopeSet;
use crate::origin_credential::OriginCredential;
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::token::binding::Requirement;
use crate::token::issuer::{Issuer, IssuerKeys};
use crate::token::profile::Profile;

/// What an operator should know about a valid configuration. The gateway logs each warning once at start.
#[must_use]
pub fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    if settings.assertion_keys.is_empty() {
        warnings.push(
            "identity_assertion is off: origin servers get the x-portcullis-* fields unsigned, so they must be \
             reachable through this gateway alone"
                .to_owned(),
        );
    }
    if settings.development {
        warnings.push("development is on: plain HTTP is accepted on loopback hosts".to_owned());
    }
    for issuer in settings.verifiers.issuers.iter().filter(|issuer| matches!(issuer.keys, IssuerKeys::Static(_))) {
        warnings.push(format!("issuer {:?} has a static key: rotating it needs a deployment", issuer.name));
    }
    let lenient =
        |issuer: &&Rc<Issuer>| issuer.introspection.as_ref().is_some_and(|asked| asked.allow_missing_audience);
    for issuer in settings.verifiers.issuers.iter().filter(lenient) {
        warnings.push(format!(
            "issuer {:?} may omit aud: the gateway accepts any active token of that provider, whichever service it was issued for",
            issuer.name
        ));
    }
    for issuer in &settings.verifiers.issuers {
        if issuer.profile == Profile::Google && issuer.claims.is_empty() {
            warnings.push(format!(
                "issuer {:?} has no claims: any Google account, and any service account that asks for your audience, is \
                 accepted; set claims.hd, or claims.sub for machines",
                issuer.name
            ));
        }
    }
    for (set, key) in settings.verifiers.api_keys.iter().flat_map(|set| set.keys.iter().map(move |key| (set, key))) {
        let has: ScopeSet = key.scopes.iter().cloned().collect();
        let takes = |resource: &&Rc<Resource>| resource.accepts.api_keys.iter().any(|it| it.index == set.index);
        let lets_in = |resource: &Rc<Resource>| settings.scopes.missing(&has, &resource.scopes).is_empty();
        if !settings.resources.iter().filter(takes).any(lets_in) {
            warnings.push(format!(
                "API key {:?} of {:?} has no scope that lets it into any resource: give it scopes, or remove it",
                key.id, set.prefix
            ));
        }
    }
    if settings.sessions.is_none() {
        warnings.push(
            "sessions is off: session ids of legacy-era origin servers, task ids and requestState are not sealed, so any caller \
             with a valid token that learns one can use it; and servers of 2024-11-05 (HTTP+SSE) cannot be used"
                .to_owned(),
        );
    }
    for resource in &settings.resources {
        let Some(credential) = &resource.credential else { continue };
        let (path, kind) = (resource.path.as_str(), credential.kind().name());
        if credential.is_rotating() {
            warnings.push(format!(
                "resource {path:?} has two secrets in credential.static: the gateway reads every message until one is removed"
            ));
        }
        if credential.is_exchanged() && resource.accepts.issuers.len() > 1 {
            warnings.push(format!(
                "resource {path:?} sends the tokens of all its issuers to the token endpoint of credential.{kind}"
            ));
        }
        if let OriginCredential::PerUser(per_user) = &**credential {
            if per_user.issuer.is_none() {
                warnings.push(format!(
                    "resource {path:?} has no credential.per_user.issuer: the origin server names the authorization server to which \
                     users are sent; set issuer unless you trust the origin server with that"
                ));
            }
            if resource.cache_lists {
                warnings.push(format!(
                    "resource {path:?} has cache_lists with credential.per_user: a list that the origin server calls public is shown \
                     to users who have not connected an account, too"
                ));
            }
        }
        if credential.is_for_all() && resource.policy.is_none() {
            warnings.push(format!(
                "resource {path:?} has no rules: every caller that it accepts acts with all rights of credential.{kind}"
            ));
        }
    }
    for (limit, resource) in settings.resources.iter().flat_map(|it| it.limits.iter().map(move |limit| (limit, it))) {
        if limit.binding.is_none() {
            warnings.push(format!(
                "a limit of resource {:?} has no binding: each isolate counts for itself",
                resource.path.as_str()
            ));
        }
    }
    if settings.dpop.replay_binding.is_none() && settings.resources.iter().any(|it| it.dpop != Requirement::Off) {
        warnings.push(
            "dpop.replay_binding is not set: a DPoP proof can be used once in each isolate within its window"
                .to_owned(),
        );
    }
    warnings
}
