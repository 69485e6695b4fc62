//! Reads a whole document into what the gateway works with. A document with a mistake results in nothing but its
//! mistakes.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use deserr::deserialize;
use serde_json::Value;

use crate::authorization_server::settings::AuthorizationServer;
use crate::config::contradictions::ConfigurationParts;
use crate::config::document::{Document, RequestLinesName};
use crate::config::mistakes::Mistakes;
use crate::config::stand_ins::is_doubtful;
use crate::config::values::{self, Secrets, read_long_secret, read_signing_keys};
use crate::config::{credentials, issuer, operator, own_issuer, policy, resource};
use crate::oauth::endpoint::Endpoint;
use crate::oauth::scope::{Scope, ScopeHierarchy};
use crate::policy::condition::Fact;
use crate::secret::Secret;
use crate::settings::resource::{PublicPath, Resource};
use crate::settings::{Pseudonyms, Settings};
use crate::token::accepted::Verifiers;
use crate::token::api_key::ApiKeySet;
use crate::token::binding::Requirement;
use crate::token::custom::CustomVerifier;
use crate::token::issuer::Issuer;
use crate::token::principal::ClaimSelection;
use crate::transport::url::{Authority, HttpUrl, Scheme};
use crate::transport::web_origin::WebOrigin;

/// A valid configuration.
#[derive(Debug)]
pub struct Configuration {
    /// What the gateway works with.
    pub settings: Settings,
    /// The authorization server of this gateway, if it has one.
    pub authorization_server: Option<AuthorizationServer>,
}

impl Configuration {
    /// Reads a document.
    ///
    /// # Errors
    /// Every mistake of the document. The gateway uses no part of a document with mistakes.
    pub fn load(document: Value, secrets: &dyn Secrets) -> Result<Self, Mistakes> {
        let raw = document;
        let document: Document = match deserialize::<_, _, Mistakes>(raw.clone()) {
            Ok(document) => document,
            Err(mistakes) => return Err(Self::all_mistakes(mistakes, raw, secrets)),
        };
        let mut mistakes = Mistakes::new();
        if document.stored.is_some() {
            mistakes.note("stored", "must not be in the stored document: it belongs alone in the Worker's variable");
        }
        let settings = Self::read(&document, &raw, secrets, &mut mistakes);
        match settings {
            Some(settings) if mistakes.is_empty() => Ok(settings),
            _ => Err(mistakes),
        }
    }

    /// The mistakes of form, and the mistakes of meaning in what remains: a mistyped key must not hide other mistakes
    /// until the next start. What remains is the document without the malformed members, and, on the command line, with
    /// other values in place of those that are missing.
    fn all_mistakes(mut mistakes: Mistakes, mut document: Value, secrets: &dyn Secrets) -> Mistakes {
        if !mistakes.prune(&mut document) {
            return mistakes;
        }
        // Each reading may find what the one before could not reach: a missing value, its kind, the names it may have.
        let (mut stand_ins, mut is_whole) = (mistakes.stand_ins().tables(), true);
        for _ in 0..READINGS {
            match deserialize::<Document, _, Mistakes>(document.clone()) {
                Ok(read) => {
                    let mut of_meaning = Mistakes::new();
                    if !is_whole {
                        // Comparisons of all parts with each other would find mistakes that the operator did not make.
                        of_meaning.note("", "");
                    }
                    Self::read(&read, &document, secrets, &mut of_meaning);
                    of_meaning.leave_out(|path| is_doubtful(path, &stand_ins));
                    mistakes.extend(of_meaning);
                    break;
                }
                Err(more) => {
                    let placed = more.stand_ins().place(&mut document);
                    if placed.is_empty() {
                        break;
                    }
                    stand_ins.extend(placed);
                    is_whole = false;
                }
            }
        }
        mistakes
    }

    fn read(document: &Document, raw: &Value, secrets: &dyn Secrets, mistakes: &mut Mistakes) -> Option<Self> {
        let development = document.development.unwrap_or(false);
        let public_url = read_public_url(&document.public_url, development, mistakes);
        let mut issuers = read_issuers(document, development, secrets, mistakes);
        let authorization_server = document.authorization_server.as_ref().and_then(|table| {
            own_issuer::read(table, (public_url.as_ref()?, &issuers), development, secrets, mistakes)
        });
        own_issuer::note_signalled(authorization_server.as_ref(), &mut issuers);
        let own = authorization_server.as_ref().and_then(own_issuer::as_issuer);
        if let Some(own) = own {
            add_own_issuer(own, &mut issuers, mistakes);
        }
        let verifiers = Verifiers {
            issuers: issuers.into_iter().map(Rc::new).collect(),
            api_keys: read_api_keys(document, mistakes),
            custom: read_verifiers(document, mistakes),
        };
        let scopes = Rc::new(read_hierarchy(document, mistakes));
        let sessions = document.sessions.as_ref().map(|table| policy::read_sessions(table, secrets, mistakes));
        let gateway = resource::ThisGateway {
            public_url: public_url.as_ref(),
            development,
            assertion: document.identity_assertion.as_ref(),
            sessions: sessions.as_ref(),
            secrets,
        };
        let resources = read_resources((document, raw), gateway, &verifiers, &scopes, mistakes);
        let public_paths = read_public_paths(document, &resources, development, mistakes);
        // Checked only if nothing else is wrong: a resource with a mistake does not accept any credential yet.
        if mistakes.is_empty() {
            note_unused(&verifiers, &resources, authorization_server.as_ref(), mistakes);
            note_taken(authorization_server.as_ref(), &resources, &public_paths, mistakes);
            let whole = ConfigurationParts {
                document,
                accepted: &verifiers,
                resources: &resources,
                public_paths: &public_paths,
                server: authorization_server.as_ref(),
                scopes: &scopes,
            };
            whole.note(mistakes);
        }
        let dpop = credentials::read_dpop(document.dpop.as_ref(), secrets, mistakes);
        if mistakes.is_empty() && document.dpop.is_some() && resources.iter().all(|it| it.dpop == Requirement::Off) {
            mistakes.note("dpop", "no resource accepts DPoP: remove the table, or set dpop in a resource");
        }
        let revocation = document.revocation.as_ref().map(|table| credentials::read_revocation(table, mistakes));
        let decision_log = document.decision_log.as_ref().map(|table| policy::read_decision_log(table, mistakes));
        let mut interests = ClaimSelection::default();
        for resource in &resources {
            let of_rules = resource.policy.iter().flat_map(|policy| policy.facts());
            let of_content = resource.content.iter().flat_map(|content| content.facts());
            policy::add_interests(&mut interests, of_rules.chain(of_content));
        }
        let identity = resources.iter().flat_map(|resource| &resource.identity_claims);
        identity.for_each(|claim| claim.source.add_interests(&mut interests));
        let assertion_keys = document.identity_assertion.as_ref().map_or_else(Vec::new, |table| {
            read_signing_keys(&table.key_secrets, "identity_assertion.key_secrets", secrets, mistakes)
        });
        let log_refused_only = document.log.as_ref().and_then(|log| log.requests) == Some(RequestLinesName::Refused);
        let requests_data_set = document.log.as_ref().and_then(|log| log.analytics_engine.as_ref());
        let requests_data_set = values::read_binding(requests_data_set, "log.analytics_engine", mistakes);
        let metrics = document
            .metrics
            .as_ref()
            .and_then(|table| read_long_secret(&table.secret, "metrics.secret", secrets, mistakes))
            .map(Secret::new);
        let pseudonym_key = read_pseudonym_key(document, secrets, mistakes);
        let recorded_facts = recorded_facts(&resources);
        let hosts = read_hosts(document, public_url.as_ref(), mistakes);
        let web_origins = read_web_origins(document, public_url.as_ref(), mistakes);
        let operator = operator::read(document.operator.as_ref(), public_url.as_ref(), mistakes);
        let public_url = public_url?;
        let settings = Settings {
            public_url,
            development,
            hosts,
            web_origins,
            verifiers,
            interests,
            own_issuer: authorization_server.as_ref().map(|server| Rc::clone(&server.own)),
            dpop,
            revocation,
            revocation_index: authorization_server.as_ref().map(own_issuer::revocation_index),
            resources,
            public_paths,
            scopes,
            sessions,
            decision_log,
            assertion_keys,
            pseudonym_key,
            recorded_facts,
            pseudonyms: pseudonyms(document),
            log_refused_only,
            requests_data_set,
            landing_page: document.public_page.unwrap_or(true),
            operator,
            metrics,
        };
        Some(Self { settings, authorization_server })
    }
}

/// How often a document with mistakes is read.
const READINGS: usize = 8;

fn read_public_url(text: &str, development: bool, mistakes: &mut Mistakes) -> Option<HttpUrl> {
    let at = "public_url";
    let url = values::protected_url(text, at, development, mistakes)?;
    if !url.path().is_empty() || url.query().is_some() {
        mistakes.note(at, format_args!("must be scheme and host alone, {:?}, got {text:?}", url.web_origin()));
        return None;
    }
    if url.web_origin() != text {
        mistakes.note(at, format_args!("must be in canonical form, {:?}, got {text:?}", url.web_origin()));
        return None;
    }
    if development && !url.authority().is_loopback() {
        mistakes.note("development", "must be false where public_url is not on a loopback host");
        return None;
    }
    Some(url)
}

fn read_issuers(document: &Document, development: bool, secrets: &dyn Secrets, mistakes: &mut Mistakes) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for (index, entry) in document.issuers.iter().flatten().enumerate() {
        let at = format!("issuers[{index}]");
        let Some(issuer) = issuer::read(entry, index, development, secrets, mistakes) else { continue };
        if issuers.iter().any(|other| other.name == issuer.name) {
            mistakes
                .note(format_args!("{at}.name"), format_args!("{:?} is the name of another issuer too", issuer.name));
        }
        if issuers.iter().any(|other| other.identifier == issuer.identifier) {
            mistakes.note(format_args!("{at}.issuer"), format_args!("{:?} is configured twice", issuer.identifier));
        }
        issuers.push(issuer);
    }
    issuers
}

/// Adds the gateway's own authorization server to the issuers, so that resources can accept it like any other.
fn add_own_issuer(own: Issuer, issuers: &mut Vec<Issuer>, mistakes: &mut Mistakes) {
    if issuers.iter().any(|other| other.name == own.name) {
        let name = &own.name;
        mistakes.note("authorization_server.name", format_args!("{name:?} is the name of an issuer too"));
    }
    if issuers.iter().any(|other| other.identifier == own.identifier) {
        mistakes.note("authorization_server", format_args!("{:?} is already in issuers", own.identifier));
    }
    issuers.push(Issuer { index: issuers.len(), ..own });
}

/// Notes resources and public paths that are at a path of the authorization server.
fn note_taken(
    server: Option<&AuthorizationServer>,
    resources: &[Rc<Resource>],
    public_paths: &[Rc<PublicPath>],
    mistakes: &mut Mistakes,
) {
    let Some(server) = server else { return };
    let paths = resources.iter().map(|it| &it.path).chain(public_paths.iter().map(|it| &it.path));
    for path in paths.filter(|path| Endpoint::find(path.as_str(), &server.own.path).is_some()) {
        let path = path.as_str();
        mistakes.note(
            "authorization_server.path",
            format_args!("{path:?} is an endpoint of the authorization server, and a resource or public path too"),
        );
    }
}

fn read_api_keys(document: &Document, mistakes: &mut Mistakes) -> Vec<Rc<ApiKeySet>> {
    let mut sets: Vec<Rc<ApiKeySet>> = Vec::new();
    for (index, entry) in document.api_keys.iter().flatten().enumerate() {
        let at = format!("api_keys[{index}]");
        let set = credentials::read_api_keys(entry, index, mistakes);
        if sets.iter().any(|other| other.prefix == set.prefix) {
            mistakes
                .note(format_args!("{at}.prefix"), format_args!("{:?} is the prefix of another set too", set.prefix));
        }
        sets.push(Rc::new(set));
    }
    sets
}

fn read_verifiers(document: &Document, mistakes: &mut Mistakes) -> Vec<Rc<CustomVerifier>> {
    let mut verifiers: Vec<Rc<CustomVerifier>> = Vec::new();
    for (index, entry) in document.verifiers.iter().flatten().enumerate() {
        let at = format!("verifiers[{index}]");
        let verifier = credentials::read_verifier(entry, index, mistakes);
        if verifiers.iter().any(|other| other.name == verifier.name) {
            let name = &verifier.name;
            mistakes.note(format_args!("{at}.name"), format_args!("{name:?} is the name of another verifier too"));
        }
        verifiers.push(Rc::new(verifier));
    }
    verifiers
}

/// Notes issuers, API key sets and verifiers that no resource accepts: probably the operator forgot to name them in a
/// resource.
fn note_unused(
    accepted: &Verifiers,
    resources: &[Rc<Resource>],
    server: Option<&AuthorizationServer>,
    mistakes: &mut Mistakes,
) {
    let mut note = |table: &str, names: Vec<&str>, used: &dyn Fn(&Verifiers, usize) -> bool| {
        for (at, name) in names.iter().enumerate() {
            if !resources.iter().any(|resource| used(&resource.accepts, at)) {
                let own = table == "issuers" && server.is_some_and(|server| server.own.name == *name);
                mistakes.note(
                    if own { "authorization_server".to_owned() } else { format!("{table}[{at}]") },
                    format_args!("no resource accepts {name:?}: remove it, or name it in one"),
                );
            }
        }
    };
    let issuers = accepted.issuers.iter().map(|issuer| issuer.name.as_str()).collect();
    note("issuers", issuers, &|accepts, at| accepts.issuers.iter().any(|it| it.index == at));
    let prefixes = accepted.api_keys.iter().map(|set| set.prefix.as_str()).collect();
    note("api_keys", prefixes, &|accepts, at| accepts.api_keys.iter().any(|it| it.index == at));
    let names = accepted.custom.iter().map(|verifier| verifier.name.as_str()).collect();
    note("verifiers", names, &|accepts, at| accepts.custom.iter().any(|it| it.index == at));
}

fn read_resources(
    (document, raw): (&Document, &Value),
    gateway: resource::ThisGateway<'_>,
    accepted: &Verifiers,
    scopes: &Rc<ScopeHierarchy>,
    mistakes: &mut Mistakes,
) -> Vec<Rc<Resource>> {
    if document.resources.is_empty() {
        mistakes.note("resources", "must have at least one entry");
    }
    let mut resources: Vec<Rc<Resource>> = Vec::new();
    for (index, entry) in document.resources.iter().enumerate() {
        let at = format!("resources[{index}]");
        let written = raw.get("resources").and_then(|entries| entries.get(index)).unwrap_or(&Value::Null);
        let read = resource::read_resource((entry, written), index, gateway, accepted, scopes, mistakes);
        let Some(resource) = read else { continue };
        if resources.iter().any(|other| other.path.folded() == resource.path.folded()) {
            let path = resource.path.as_str();
            mistakes.note(
                format_args!("{at}.path"),
                format_args!(
                    "{path:?} is the path of another resource too, for a server that ignores case or parameters"
                ),
            );
        }
        resources.push(Rc::new(resource));
    }
    resources
}

fn read_public_paths(
    document: &Document,
    resources: &[Rc<Resource>],
    development: bool,
    mistakes: &mut Mistakes,
) -> Vec<Rc<PublicPath>> {
    let mut paths: Vec<Rc<PublicPath>> = Vec::new();
    for (index, entry) in document.public_paths.iter().flatten().enumerate() {
        let at = format!("public_paths[{index}]");
        let Some(public) = resource::read_public_path(entry, &at, development, mistakes) else { continue };
        let taken = paths.iter().map(|other| &other.path).chain(resources.iter().map(|resource| &resource.path));
        if taken.into_iter().any(|other| other.folded() == public.path.folded()) {
            mistakes.note(
                format_args!("{at}.path"),
                format_args!("{:?} is a resource or public path already", public.path.as_str()),
            );
        }
        paths.push(Rc::new(public));
    }
    paths
}

fn read_hosts(document: &Document, public_url: Option<&HttpUrl>, mistakes: &mut Mistakes) -> Vec<Authority> {
    let mut hosts: Vec<Authority> = public_url.map(HttpUrl::authority).cloned().into_iter().collect();
    let scheme = public_url.map_or(Scheme::Https, HttpUrl::scheme);
    for (index, text) in document.allowed_hosts.iter().flatten().enumerate() {
        let read = Authority::parse(text, scheme).map_err(|error| format!("{error}, got {text:?}"));
        hosts.extend(mistakes.keep(format_args!("allowed_hosts[{index}]"), read));
    }
    hosts
}

fn read_web_origins(document: &Document, public_url: Option<&HttpUrl>, mistakes: &mut Mistakes) -> Vec<WebOrigin> {
    let own = public_url.and_then(|url| WebOrigin::parse(&url.web_origin()));
    let mut origins: Vec<WebOrigin> = own.into_iter().collect();
    for (index, text) in document.allowed_origins.iter().flatten().enumerate() {
        let read = WebOrigin::parse(text).ok_or_else(|| {
            format!(
                "must be the origin of a page: scheme://host[:port], as \"https://app.example.com\" or \
                 \"chrome-extension://ID\", without *, path or trailing slash, and not null, got {text:?}"
            )
        });
        origins.extend(mistakes.keep(format_args!("allowed_origins[{index}]"), read));
    }
    origins
}

fn read_hierarchy(document: &Document, mistakes: &mut Mistakes) -> ScopeHierarchy {
    let mut includes: BTreeMap<Scope, BTreeSet<Scope>> = BTreeMap::new();
    for (name, included) in document.scope_includes.iter().flatten() {
        let at = format!("scope_includes.{name}");
        let scope = mistakes.keep(&at, Scope::parse(name));
        let set = values::read_scopes(included, &at, mistakes).iter().cloned().collect();
        if let Some(scope) = scope {
            includes.insert(scope, set);
        }
    }
    ScopeHierarchy::new(includes)
}

fn recorded_facts(resources: &[Rc<Resource>]) -> Vec<String> {
    let policies = resources.iter().filter_map(|resource| resource.policy.as_ref());
    let mut names: Vec<String> = policies.flat_map(|policy| policy.facts()).filter_map(Fact::recorded_as).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Where the key of pseudonyms comes from.
fn pseudonyms(document: &Document) -> Pseudonyms {
    match document.log.as_ref().and_then(|log| log.pseudonym_secret.as_ref()) {
        Some(_) => Pseudonyms::BySecret,
        None => Pseudonyms::ByPublicUrl,
    }
}

fn read_pseudonym_key(document: &Document, secrets: &dyn Secrets, mistakes: &mut Mistakes) -> Vec<u8> {
    let Some(name) = document.log.as_ref().and_then(|log| log.pseudonym_secret.as_ref()) else {
        return document.public_url.clone().into_bytes();
    };
    let secret = read_long_secret(name, "log.pseudonym_secret", secrets, mistakes);
    secret.unwrap_or_default().into_bytes()
}
