//! Contradictions: keys that are each correct alone, but can never work together. A combination that an operator may
//! have chosen on purpose is not a mistake. A combination that denies something to every caller, or that opens
//! something by accident, is one.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::authorization_server::access_token::GATEWAY_CLAIMS;
use crate::authorization_server::login::{Login, carried_as};
use crate::authorization_server::settings::AuthorizationServer;
use crate::config::document::Document;
use crate::config::mistakes::Mistakes;
use crate::mcp::kind::Kind;
use crate::mcp::tool_view::{CALL_FOUND_TOOL, SEARCH_TOOLS, View};
use crate::oauth::scope::{Scope, ScopeHierarchy, ScopeSet};
use crate::origin_credential::OriginCredential;
use crate::policy::condition::Condition;
use crate::policy::pattern::Pattern;
use crate::policy::sign_in::{ACR, AMR};
use crate::settings::resource::{PublicPath, Resource};
use crate::token::accepted::Verifiers;
use crate::token::issuer::Issuer;
use crate::token::profile::Profile;

/// The parts of a configuration, each of which is correct alone.
pub(super) struct ConfigurationParts<'a> {
    pub(super) document: &'a Document,
    pub(super) accepted: &'a Verifiers,
    pub(super) resources: &'a [Rc<Resource>],
    pub(super) public_paths: &'a [Rc<PublicPath>],
    pub(super) server: Option<&'a AuthorizationServer>,
    pub(super) scopes: &'a ScopeHierarchy,
}

/// The kind of issuer or verifier that a credential comes from.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    ApiKeys,
    Own,
    Other,
}

/// Whether the users of an issuer are those who log in at the authorization server.
fn has_users_who_log_in(server: &AuthorizationServer, issuer: &Issuer) -> bool {
    issuer.is_own() || server.login.vouches_for(&issuer.identifier)
}

impl<'a> ConfigurationParts<'a> {
    /// Notes every combination of keys that can never work.
    pub(super) fn note(&self, mistakes: &mut Mistakes) {
        self.note_metrics_path(mistakes);
        self.note_scopes_of_issuers(mistakes);
        self.note_rules(mistakes);
        self.note_names(mistakes);
        self.note_connections(mistakes);
        self.note_approvals(mistakes);
        if let Some(server) = self.server {
            self.note_own_scopes(server, mistakes);
            self.note_entitlements(server, mistakes);
            self.note_clients(server, mistakes);
            self.note_logins(server, mistakes);
        }
    }

    /// Notes resources whose users could not prove to the page that connects an account that they are the callers.
    fn note_connections(&self, mistakes: &mut Mistakes) {
        for (at, resource) in self.resources.iter().enumerate() {
            let Some(OriginCredential::PerUser(_)) = resource.credential.as_deref() else { continue };
            let at = format!("resources[{at}].credential.per_user");
            let Some(server) = self.server else {
                mistakes.note(at, "needs authorization_server: users log in there to connect their accounts");
                continue;
            };
            for issuer in &resource.accepts.issuers {
                if !has_users_who_log_in(server, issuer) {
                    mistakes.note(
                        &at,
                        format_args!(
                            "cannot be used with issuer {:?}: only {:?} and the issuer of authorization_server.login, with sub as \
                             subject_claim and without tenants, have users who can connect accounts",
                            issuer.name, server.own.name
                        ),
                    );
                }
            }
        }
    }

    /// Notes rules with `approve` that no person could fulfil, and resources that cannot seal what a call brings back.
    fn note_approvals(&self, mistakes: &mut Mistakes) {
        for (at, resource) in self.resources.iter().enumerate() {
            let rules = resource.policy.iter().flat_map(|policy| policy.rules()).enumerate();
            for (number, approvers) in rules.filter_map(|(number, rule)| Some((number, rule.effect.approvers()?))) {
                let at = format!("resources[{at}].rules[{number}]");
                if resource.handles.is_none() {
                    mistakes.note(&at, "approve needs sessions: its secrets seal what a call brings back");
                }
                let Some(server) = self.server else {
                    mistakes.note(&at, "approve needs authorization_server: people log in there to approve calls");
                    continue;
                };
                let accepts = &resource.accepts.issuers;
                let has_users = accepts.iter().any(|issuer| has_users_who_log_in(server, issuer));
                if approvers.groups.is_empty() && !has_users {
                    mistakes.note(
                        &at,
                        format_args!(
                            "no caller could approve: only {:?} and the issuer of authorization_server.login, with sub as \
                             subject_claim and without tenants, have users who can log in here; name approver_groups",
                            server.own.name
                        ),
                    );
                }
            }
        }
    }

    fn note_metrics_path(&self, mistakes: &mut Mistakes) {
        if self.document.metrics.is_none() {
            return;
        }
        let resources = self.resources.iter().enumerate().map(|(at, it)| (format!("resources[{at}].path"), &it.path));
        let public =
            self.public_paths.iter().enumerate().map(|(at, it)| (format!("public_paths[{at}].path"), &it.path));
        for (at, path) in resources.chain(public).filter(|(_, path)| path.as_str() == "/metrics") {
            mistakes.note(
                at,
                format_args!(
                    "{:?} is where the counters are (metrics): give it another path, or remove metrics",
                    path.as_str()
                ),
            );
        }
    }

    /// Notes an issuer whose tokens have no scopes of their own, if `grant_scopes` gives them too few for every resource
    /// that accepts the issuer.
    fn note_scopes_of_issuers(&self, mistakes: &mut Mistakes) {
        for (at, issuer) in self.accepted.issuers.iter().enumerate() {
            let without = matches!(issuer.profile, Profile::Google | Profile::CloudflareAccess);
            if !without || issuer.introspection.is_some() {
                continue;
            }
            let taking: Vec<&Rc<Resource>> = self.resources.iter().filter(|it| it.accepts.has_issuer(issuer)).collect();
            let lacking = |resource: &&Rc<Resource>| self.scopes.missing(&issuer.grant_scopes, &resource.scopes);
            if let Some(missing) = taking.iter().map(lacking).find(|missing| !missing.is_empty())
                && taking.iter().all(|resource| !lacking(resource).is_empty())
            {
                mistakes.note(
                    format!("issuers[{at}].grant_scopes"),
                    format_args!(
                        "tokens of {:?} have no scopes of their own, and its resources require \"{missing}\": name them here",
                        issuer.name
                    ),
                );
            }
        }
    }

    /// Notes conditions that hold for no caller of a resource. A rule that denies by such a condition would never deny.
    fn note_rules(&self, mistakes: &mut Mistakes) {
        for (at, resource) in self.resources.iter().enumerate() {
            let sources = Self::sources(resource);
            let rules = resource.policy.iter().flat_map(|policy| policy.rules().iter().enumerate());
            let guards = resource.content.iter().flat_map(|content| content.guards.iter().enumerate());
            let rules = rules.map(|(index, rule)| (format!("rules[{index}]"), &rule.when, rule.effect.sign_in()));
            let guards = guards.map(|(index, guard)| (format!("guards[{index}]"), &guard.when, None));
            for (key, when, sign_in) in rules.chain(guards) {
                let named = when.conditions.iter().find_map(|condition| match condition {
                    Condition::Issuers(names) => Some(names),
                    _ => None,
                });
                let of = |(name, _): &&(&str, Source)| named.is_none_or(|named| named.iter().any(|it| it == name));
                let asked: Vec<_> = sources.iter().filter(of).collect();
                if let (Some(sign_in), true) = (sign_in, !asked.is_empty()) {
                    let of_people = asked.iter().any(|(_, source)| *source != Source::ApiKeys);
                    if !sign_in.is_empty() && !of_people {
                        let why = "can never be fulfilled: API keys have no sign-in, so every call would be refused";
                        mistakes.note(format!("resources[{at}].{key}.sign_in"), why);
                    }
                }
                for condition in &when.conditions {
                    let why: Vec<String> =
                        asked.iter().filter_map(|(_, source)| self.never(condition, *source)).collect();
                    if let (Some(first), true) = (why.first(), why.len() == asked.len()) {
                        mistakes.note(
                            format!("resources[{at}].{key}.when.{}", condition.key()),
                            format_args!("can never match: {first}"),
                        );
                    }
                }
            }
        }
    }

    /// Notes patterns of rules and limits that match the name of no tool and no prompt of several servers. A rule that denies a tool by
    /// the server's own name would never deny.
    fn note_names(&self, mistakes: &mut Mistakes) {
        for (at, resource) in self.resources.iter().enumerate() {
            let Some(federation) = &resource.federation else { continue };
            let mut note = |key: String, kind: Kind, pattern: &Pattern| {
                if federation.servers.iter().any(|server| server.names.may_match(kind, pattern)) {
                    return;
                }
                let name = pattern.as_str();
                let of_view = federation.view == View::Search && [SEARCH_TOOLS, CALL_FOUND_TOOL].contains(&name);
                if of_view {
                    let why = format_args!("can never match {name:?}: what decides is the tool that is called");
                    return mistakes.note(key, why);
                }
                let prefixes: Vec<&str> = federation.servers.iter().map(|it| it.names.prefix.as_str()).collect();
                let why = format!(
                    "can never match {name:?}: clients see names that begin with {} or are aliases",
                    prefixes.join(", ")
                );
                mistakes.note(key, why);
            };
            let rules = resource.policy.iter().flat_map(|policy| policy.rules().iter().enumerate());
            let rules = rules.map(|(index, rule)| (format!("rules[{index}]"), &rule.targets));
            let content = resource.content.iter();
            let guards = content.clone().flat_map(|content| content.guards.iter().enumerate());
            let guards = guards.map(|(index, guard)| (format!("guards[{index}]"), &guard.targets));
            let bounds = content.flat_map(|content| content.bounds.iter().enumerate());
            let bounds = bounds.map(|(index, bound)| (format!("bounds[{index}]"), &bound.targets));
            for (owner, targets) in rules.chain(guards).chain(bounds) {
                for (kind, key) in [(Kind::Tool, "tools"), (Kind::Prompt, "prompts")] {
                    for pattern in targets.of(kind) {
                        note(format!("resources[{at}].{owner}.{key}"), kind, pattern);
                    }
                }
            }
            for (index, budget) in resource.budgets.iter().enumerate() {
                for pattern in budget.limit.tools.iter().flatten() {
                    note(format!("resources[{at}].budgets[{index}].tools"), Kind::Tool, pattern);
                }
            }
            for (index, limit) in resource.limits.iter().enumerate() {
                for pattern in limit.tools.iter().flatten() {
                    note(format!("resources[{at}].limits[{index}].tools"), Kind::Tool, pattern);
                }
            }
        }
    }

    fn sources(resource: &'a Resource) -> Vec<(&'a str, Source)> {
        let issuers = resource.accepts.issuers.iter().map(|issuer| {
            let own = issuer.is_own();
            (issuer.name.as_str(), if own { Source::Own } else { Source::Other })
        });
        let (keys, custom) = (resource.accepts.api_keys.iter(), resource.accepts.custom.iter());
        issuers
            .chain(keys.map(|set| (set.prefix.as_str(), Source::ApiKeys)))
            .chain(custom.map(|custom| (custom.name.as_str(), Source::Other)))
            .collect()
    }

    /// Why a condition holds for no caller whose credential comes from this source; `None` if it may hold.
    fn never(&self, condition: &Condition, source: Source) -> Option<String> {
        let claim = match condition {
            Condition::Roles(_) => "roles",
            Condition::Groups(_) => "groups",
            // A name without a leading slash is one claim name, even if it contains slashes.
            Condition::Claim(name, _) => match name.strip_prefix('/') {
                Some(pointer) => pointer.split('/').next().unwrap_or_default(),
                None => name,
            },
            Condition::Scopes(_)
            | Condition::Subjects(_)
            | Condition::Clients(_)
            | Condition::Issuers(_)
            | Condition::Countries(_)
            | Condition::Asns(_)
            | Condition::Mtls(_)
            | Condition::OriginCredential { .. } => return None,
        };
        match source {
            Source::ApiKeys => Some(format!("API keys have no {}; use subjects, scopes or issuers", condition.key())),
            Source::Own => {
                let server = self.server?;
                let carried = server
                    .token_claims
                    .iter()
                    .filter_map(|entry| Some((entry.as_str(), carried_as(entry, &server.login.groups_claim).ok()?)));
                let of_workloads = server.trusted_issuers.iter().flat_map(|issuer| &issuer.token_claims);
                let of_workloads = of_workloads.filter_map(|entry| Some((entry.as_str(), carried_as(entry, "").ok()?)));
                let carried = carried.chain(of_workloads);
                let own = GATEWAY_CLAIMS.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (*name, *name));
                let own = own.chain([(ACR, ACR), (AMR, AMR)]);
                let carried: Vec<(&str, &str)> = carried.chain(own).collect();
                if carried.iter().any(|(_, name)| *name == claim) {
                    return None;
                }
                let entry = carried.iter().find(|(entry, _)| *entry == claim);
                Some(match entry {
                    Some((_, name)) => format!("tokens of {:?} carry {claim:?} as {name:?}", server.own.name),
                    None => format!(
                        "tokens of {:?} carry no {claim:?}; add it to authorization_server.token_claims",
                        server.own.name
                    ),
                })
            }
            Source::Other => None,
        }
    }

    /// Resources that accept the gateway's own tokens.
    fn own(&self) -> impl Iterator<Item = (usize, &'a Resource)> {
        let is_own = |issuer: &Rc<Issuer>| issuer.is_own();
        let resources = self.resources.iter().map(Rc::as_ref).enumerate();
        resources.filter(move |(_, resource)| resource.accepts.issuers.iter().any(is_own))
    }

    fn known(server: &AuthorizationServer, resource: &Resource) -> BTreeSet<Scope> {
        let named = server.own.scope_descriptions.keys().filter_map(|name| Scope::parse(name).ok());
        let of_rules = resource.policy.iter().flat_map(|policy| policy.named_scopes());
        resource.scopes.iter().cloned().chain(of_rules).chain(named).collect()
    }

    /// Notes `scope_prefix` where it would break the gateway's own authorization server: clients request scopes as the
    /// resource advertises them, and that server knows them without a prefix.
    fn note_own_scopes(&self, server: &AuthorizationServer, mistakes: &mut Mistakes) {
        for (at, resource) in self.own() {
            let known = Self::known(server, resource);
            let advertised = resource.advertised(&resource.scopes);
            if !resource.scope_prefix.is_empty() && !advertised.iter().any(|scope| known.contains(scope)) {
                mistakes.note(
                    format!("resources[{at}].scope_prefix"),
                    format_args!("must be left out with {:?}: it knows the scopes without a prefix", server.own.name),
                );
            }
        }
    }

    fn note_entitlements(&self, server: &AuthorizationServer, mistakes: &mut Mistakes) {
        let known: BTreeSet<Scope> = self.own().flat_map(|(_, resource)| Self::known(server, resource)).collect();
        for (at, entry) in server.entitlements.iter().enumerate() {
            // An entry restricts a scope if it names the scope, a wildcard over it, or a scope that it includes.
            let restricts = |scope: &&Scope| {
                let includes = |known: &Scope| self.scopes.covers(&std::iter::once(known.clone()).collect(), scope);
                let named =
                    |known: &Scope| scope.is_over(known) || self.scopes.implied(known).any(|it| scope.is_over(it));
                known.iter().any(|known| named(known) || includes(known))
            };
            for scope in entry.scopes.iter().filter(|scope| !restricts(scope)) {
                mistakes.note(
                    format!("authorization_server.entitlements[{at}].scopes"),
                    format_args!(
                        "{:?} is a scope of no resource, rule or authorization_server.scopes, so this entry restricts nothing: \
                         correct it",
                        scope.as_str()
                    ),
                );
            }
        }
    }

    /// Notes resources at which no user can log in, and names of resources that are none.
    fn note_logins(&self, server: &AuthorizationServer, mistakes: &mut Mistakes) {
        for (at, login) in server.logins().enumerate() {
            let place = at.checked_sub(1).map_or_else(|| "login".to_owned(), |at| format!("other_logins[{at}].login"));
            let is_own = |named: &String| self.own().any(|(_, resource)| resource.identifier == *named);
            for (index, named) in login.serves.resources.iter().enumerate().filter(|(_, named)| !is_own(named)) {
                mistakes.note(
                    format!("authorization_server.{place}.resources[{index}]"),
                    format_args!(
                        "must be the path of a resource that accepts tokens of {:?}; there is none at {named:?}",
                        server.own.name
                    ),
                );
            }
        }
        for (at, resource) in self.own() {
            let is_for = |login: &Login| {
                login.serves.resources.is_empty() || login.serves.resources.contains(&resource.identifier)
            };
            if !server.logins().any(is_for) {
                let why = "no login is for this resource: name it in resources of a login";
                mistakes.note(format!("resources[{at}]"), why);
            }
        }
    }

    fn note_clients(&self, server: &AuthorizationServer, mistakes: &mut Mistakes) {
        let known: Vec<BTreeSet<Scope>> = self.own().map(|(_, resource)| Self::known(server, resource)).collect();
        for (at, client) in server.clients.iter().enumerate() {
            let Some(limit) = client.metadata.scope.as_deref().map(ScopeSet::of_text) else { continue };
            let some = known.iter().any(|known| known.is_empty() || limit.iter().any(|scope| known.contains(scope)));
            if !some && !limit.is_empty() {
                mistakes.note(
                    format!("authorization_server.clients[{at}].scopes"),
                    format_args!(
                        "names no scope of any resource, so every request of this client is refused, got \"{limit}\""
                    ),
                );
            }
        }
    }
}
