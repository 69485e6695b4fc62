//! The bindings that a configuration names.

use crate::authorization_server::settings::AuthorizationServer;
use crate::settings::Settings;

/// The bindings that a configuration names, each with the method that it must have and the path of the key that names
/// it.
#[must_use]
pub fn bindings<'a>(
    settings: &'a Settings,
    server: Option<&'a AuthorizationServer>,
) -> Vec<(&'a str, &'static str, String)> {
    let mut named = Vec::new();
    let mut add = |name: Option<&'a String>, method, at: String| {
        named.extend(name.map(|name| (name.as_str(), method, at)));
    };
    for (index, set) in settings.verifiers.api_keys.iter().enumerate() {
        add(set.kv.as_ref(), "get", format!("api_keys[{index}].kv"));
    }
    for (index, custom) in settings.verifiers.custom.iter().enumerate() {
        add(custom.service.as_ref(), "fetch", format!("verifiers[{index}].service"));
    }
    add(settings.dpop.replay_binding.as_ref(), "idFromName", "dpop.replay_binding".to_owned());
    if let Some(server) = server {
        add(Some(&server.binding), "idFromName", "authorization_server.binding".to_owned());
        for (at, login) in server.logins().enumerate() {
            let place = at.checked_sub(1).map_or_else(|| "login".to_owned(), |at| format!("other_logins[{at}].login"));
            let directory = login.directory.as_ref().map(|directory| &directory.binding);
            add(directory, "idFromName", format!("authorization_server.{place}.scim.binding"));
        }
        let limit = server.registration_limit.as_ref();
        add(limit, "limit", "authorization_server.registration_limit_binding".to_owned());
    }
    add(settings.revocation.as_ref().map(|revocation| &revocation.kv), "get", "revocation.kv".to_owned());
    for (index, resource) in settings.resources.iter().enumerate() {
        match &resource.federation {
            None => add(resource.origin.service.as_ref(), "fetch", format!("resources[{index}].service")),
            Some(federation) => {
                for (number, server) in federation.servers.iter().enumerate() {
                    let service = server.resource.origin.service.as_ref();
                    add(service, "fetch", format!("resources[{index}].servers[{number}].service"));
                }
            }
        }
        let hooks = resource.content.iter().flat_map(|content| content.hooks.iter().zip(0..));
        for (hook, at) in hooks {
            add(hook.service.as_ref(), "fetch", format!("resources[{index}].hooks[{at}].service"));
        }
        if let Some(approvals) = &resource.approvals {
            let service = approvals.webhook.as_ref().and_then(|webhook| webhook.service.as_ref());
            add(service, "fetch", format!("resources[{index}].approvals.service"));
            add(approvals.queue.as_ref(), "send", format!("resources[{index}].approvals.queue"));
        }
        for (budget, at) in resource.budgets.iter().zip(0..) {
            add(Some(&budget.binding), "idFromName", format!("resources[{index}].budgets[{at}].binding"));
        }
        for (limit, at) in resource.limits.iter().zip(0..) {
            add(limit.binding.as_ref(), "limit", format!("resources[{index}].limits[{at}].binding"));
        }
    }
    for (index, public) in settings.public_paths.iter().enumerate() {
        add(public.origin.service.as_ref(), "fetch", format!("public_paths[{index}].service"));
    }
    add(settings.requests_data_set.as_ref(), "writeDataPoint", "log.analytics_engine".to_owned());
    if let Some(log) = &settings.decision_log {
        add(log.analytics_engine.as_ref(), "writeDataPoint", "decision_log.analytics_engine".to_owned());
        add(log.queue.as_ref(), "send", "decision_log.queue".to_owned());
    }
    named
}
