//! Reads protected resources, public paths and the origin servers behind them.

use crate::authorization_server::access_token::GATEWAY_CLAIMS;
use crate::config::ranges;
use crate::config::values::bounded;
use crate::limits::FORWARD_FIELDS;
use crate::token::principal::IdentityClaim;
use crate::token::principal::IdentitySource;
use crate::transport::cors::unforwardable;
use std::rc::Rc;

use serde_json::Value;

use crate::config::content;
use crate::config::document::{IdentityAssertionDocument, PublicPathDocument, RequirementName, ResourceDocument};
use crate::config::federation;
use crate::config::lock;
use crate::config::mistakes::Mistakes;
use crate::config::origin_credential::{self, OriginPart};
use crate::config::values::{Secrets, protected_url, read_scopes};
use crate::config::{approvals, policy};
use crate::limits::{IDENTITY_CLAIMS, INSPECTED_BYTES, ORIGIN_RESPONSE_TIMEOUT};
use crate::mcp::method::{METHODS, McpMethod};
use crate::mcp::session::Sessions;
use crate::oauth::scope::{Scope, ScopeHierarchy};
use crate::origin_credential::OriginCredential;
use crate::settings::resource::{OriginServer, PublicPath, Resource};
use crate::token::accepted::Verifiers;
use crate::token::binding::Requirement;
use crate::token::profile::Profile;
use crate::transport::path::CanonicalPath;
use crate::transport::url::HttpUrl;

/// What the configuration says about the gateway as a whole, as far as resources depend on it.
#[derive(Clone, Copy)]
pub(super) struct ThisGateway<'a> {
    pub public_url: Option<&'a HttpUrl>,
    pub development: bool,
    /// The identity assertions, if there are any.
    pub assertion: Option<&'a IdentityAssertionDocument>,
    /// How sessions and state handles are bound to their callers, if they are.
    pub sessions: Option<&'a Sessions>,
    pub secrets: &'a dyn Secrets,
}

pub(super) fn read_resource(
    (document, raw): (&ResourceDocument, &Value),
    index: usize,
    gateway: ThisGateway<'_>,
    accepted: &Verifiers,
    hierarchy: &Rc<ScopeHierarchy>,
    mistakes: &mut Mistakes,
) -> Option<Resource> {
    let ThisGateway { public_url, development, sessions, assertion, .. } = gateway;
    let asserts_operation = assertion.and_then(|table| table.operation) == Some(true);
    let at = &format!("resources[{index}]");
    let before = mistakes.lines().len();
    let path = read_path(&document.path, at, mistakes);
    let mut number = |key: &str, value, range| bounded(value, range, &format!("{at}.{key}"), mistakes);
    let response_timeout =
        number("response_timeout_seconds", document.response_timeout_seconds, ranges::RESPONSE_TIMEOUT);
    let idle_timeout = document
        .idle_timeout_seconds
        .map(|_| number("idle_timeout_seconds", document.idle_timeout_seconds, ranges::IDLE_TIMEOUT));
    let keep_alive = document
        .keep_alive_seconds
        .map(|_| number("keep_alive_seconds", document.keep_alive_seconds, ranges::KEEP_ALIVE));
    let identifier = public_url.zip(path.as_ref()).map(|(public_url, path)| format!("{public_url}{path}"));
    let accepts = read_accepted(document, at, accepted, identifier.as_deref(), mistakes);
    let scopes = read_scopes(document.scopes.as_deref().unwrap_or_default(), &format!("{at}.scopes"), mistakes);
    if scopes.iter().any(|scope| scope.as_str() == "offline_access") {
        mistakes.note(
            format!("{at}.scopes"),
            "must not have offline_access: it is between client and authorization server, and a resource does not advertise it (R11)",
        );
    }
    if let Some(Err(error)) = document.scope_prefix.as_deref().map(Scope::parse) {
        mistakes.note(format!("{at}.scope_prefix"), error);
    }
    note_audiences(document, at, mistakes);
    if let Some(page) = &document.documentation {
        protected_url(page, &format!("{at}.documentation"), development, mistakes);
    }
    let mut number = |key: &str, value, range| bounded(value, range, &format!("{at}.{key}"), mistakes);
    let body_bytes = number("body_bytes", document.body_bytes, ranges::BODY);
    let refusals_per_minute = number("refusals_per_minute", document.refusals_per_minute, ranges::REFUSALS);
    let sources: Vec<&str> = accepts.names().collect();
    let limits = policy::read_limits(document.limits.as_ref(), at, mistakes);
    let budgets = policy::read_budgets(document.budgets.as_deref(), at, mistakes);
    let parameters = policy::read_parameters(document.parameter_fields.as_deref(), at, mistakes);
    let forward_fields = read_forward_fields(document, at, mistakes);
    let identity_claims = read_identity_claims(document, at, mistakes);
    let anonymous = read_anonymous(document, at, mistakes);
    let part = OriginPart::of(document);
    let credential = origin_credential::read(part, at, gateway, &accepts, mistakes);
    let known = policy::Known { sources: &sources, credential: credential.as_deref().map(OriginCredential::kind) };
    let labels = policy::read_labels(document.labels.as_deref(), at, mistakes);
    policy::note_unused_labels(document, at, mistakes);
    let policy = policy::read_policy(document, raw, at, hierarchy, (&labels, &known), mistakes);
    let approvals =
        approvals::read(document.approvals.as_ref(), policy.as_ref(), at, (gateway.secrets, development), mistakes);
    let content = content::read(document, at, (&labels, &known), (gateway.secrets, development), mistakes);
    let policy = policy.map(|policy| Rc::new(policy.with_marked_apps(sessions.is_some())));
    let names_caller = origin_credential::names_caller(part, at, credential.as_deref(), mistakes);
    let origin = federation::first_origin(part, at, development, mistakes);
    let (path, (url, service)) = (path?, origin?);
    let identifier = identifier?;
    let mut resource = Resource {
        index,
        federation: None,
        audiences: document.audiences.clone().unwrap_or_else(|| vec![identifier.clone()]),
        identifier,
        path,
        origin: OriginServer { url, service, response_timeout, idle_timeout, keep_alive },
        accepts,
        dpop: document.dpop.map_or(Requirement::Off, Requirement::from),
        certificate_bound: document.certificate_bound.map_or(Requirement::Off, Requirement::from),
        scopes,
        scope_prefix: document.scope_prefix.clone().unwrap_or_default(),
        name: document.name.clone(),
        documentation: document.documentation.clone(),
        body_bytes,
        // A list that was made for another caller is not for a caller that gets no credential.
        cache_lists: document.cache_lists.unwrap_or(
            policy.is_some() && document.servers.is_none() && credential.as_ref().is_none_or(|it| it.is_for_all()),
        ),
        policy,
        limits,
        approvals,
        budgets,
        refusals_per_minute,
        parameters,
        forward_fields,
        identity_claims,
        anonymous,
        asserts_operation,
        handles: sessions.cloned(),
        lock: lock::of_resource(document, at, mistakes).map(Rc::new),
        content: content.map(Rc::new),
        names_caller,
        credential,
    };
    resource.federation = federation::read(document, &resource, at, gateway, mistakes).map(Rc::new);
    if resource.reads_messages() && body_bytes > INSPECTED_BYTES {
        mistakes.note(
            format!("{at}.body_bytes"),
            format_args!("must be at most {INSPECTED_BYTES} where messages are read (rules, sessions, lock, guards, bounds, hooks, budgets, cache_lists, parameter_fields, limits by tool, identity_assertion.operation, two secrets in credential.static), got {body_bytes}"),
        );
    }
    (mistakes.lines().len() == before).then_some(resource)
}

/// Notes audiences that no token can have, and a list of none.
fn note_audiences(document: &ResourceDocument, at: &str, mistakes: &mut Mistakes) {
    for (index, audience) in document.audiences.iter().flatten().enumerate() {
        if audience.is_empty() || audience.contains('*') {
            mistakes.note(
                format!("{at}.audiences[{index}]"),
                format_args!("must be one complete value of aud: wildcards are not supported, got {audience:?}"),
            );
        }
    }
    if document.audiences.as_ref().is_some_and(Vec::is_empty) {
        mistakes.note(
            format!("{at}.audiences"),
            "must name at least one audience; remove the key to accept the resource identifier",
        );
    }
}

/// Reads the fields of the client that a resource forwards.
fn read_forward_fields(document: &ResourceDocument, at: &str, mistakes: &mut Mistakes) -> Vec<String> {
    let names = document.forward_fields.as_deref().unwrap_or_default();
    let at = format!("{at}.forward_fields");
    if names.len() > FORWARD_FIELDS {
        mistakes.note(&at, format_args!("must have at most {FORWARD_FIELDS} entries"));
    }
    let mut read: Vec<String> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let lower = name.to_ascii_lowercase();
        let error = if read.contains(&lower) {
            Some(format!("is there twice: {name:?}"))
        } else {
            unforwardable(&lower).map(|error| format!("{error}, got {name:?}"))
        };
        match error {
            Some(error) => mistakes.note(format_args!("{at}[{index}]"), error),
            None => read.push(lower),
        }
    }
    read
}

/// Reads the methods that callers without credentials may use. Rules of a resource are about known callers, so only
/// methods that act on no item can be open: a list is filtered, and the others disclose what the server is.
fn read_anonymous(document: &ResourceDocument, at: &str, mistakes: &mut Mistakes) -> Vec<&'static McpMethod> {
    let mut read: Vec<&'static McpMethod> = Vec::new();
    for (index, name) in document.anonymous.iter().flatten().enumerate() {
        let at = format!("{at}.anonymous[{index}]");
        match McpMethod::find(name).filter(|method| method.may_be_anonymous()) {
            Some(method) if read.contains(&method) => mistakes.note(at, format_args!("is there twice: {name:?}")),
            Some(method) => read.push(method),
            None => {
                let known: Vec<&str> =
                    METHODS.iter().filter(|method| method.may_be_anonymous()).map(|method| method.name).collect();
                mistakes.note(at, format_args!("must be one of {}, got {name:?}", known.join(", ")));
            }
        }
    }
    read
}

/// Reads the claims of the caller that the origin server of a resource gets.
fn read_identity_claims(document: &ResourceDocument, at: &str, mistakes: &mut Mistakes) -> Vec<IdentityClaim> {
    let entries = document.identity_claims.as_deref().unwrap_or_default();
    let at = format!("{at}.identity_claims");
    if entries.len() > IDENTITY_CLAIMS {
        mistakes.note(&at, format_args!("must have at most {IDENTITY_CLAIMS} entries"));
    }
    let mut read: Vec<IdentityClaim> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let name = entry.rsplit('/').next().unwrap_or_default().to_owned();
        let (source, field) = match entry.as_str() {
            "email" => (IdentitySource::Email, "x-portcullis-email".to_owned()),
            "groups" => (IdentitySource::Groups, "x-portcullis-groups".to_owned()),
            "roles" => (IdentitySource::Roles, "x-portcullis-roles".to_owned()),
            entry => {
                let word = name.to_ascii_lowercase().replace('_', "-");
                (IdentitySource::Claim(entry.to_owned()), format!("x-portcullis-claim-{word}"))
            }
        };
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            mistakes.note(
                at,
                format_args!(
                    "must be email, groups, roles, or a claim whose name, or the end of whose JSON Pointer, has 1 to 64 \
                     letters, digits, - or _, got {entry:?}"
                ),
            );
        } else if GATEWAY_CLAIMS.iter().any(|(known, _)| *known == name) {
            mistakes.note(
                at,
                format_args!("must not be {name:?}, which the origin server gets anyway or never, got {entry:?}"),
            );
        } else if read.iter().any(|other| other.field == field || other.name == name) {
            mistakes.note(at, format_args!("has the name of another entry: {name:?}"));
        } else {
            read.push(IdentityClaim { name, field, source });
        }
    }
    read
}

/// Finds the issuers, API key sets and verifiers that a resource names, each once.
fn read_accepted(
    document: &ResourceDocument,
    at: &str,
    accepted: &Verifiers,
    identifier: Option<&str>,
    mistakes: &mut Mistakes,
) -> Verifiers {
    let lists = [&document.issuers, &document.api_keys, &document.verifiers];
    if lists.into_iter().flatten().all(Vec::is_empty) {
        mistakes.note(
            format!("{at}.issuers"),
            "must name at least one issuer (or api_keys, or verifiers); to open a path to every caller, use public_paths",
        );
    }
    let mut names = Named { at, mistakes };
    let accepts = Verifiers {
        issuers: names
            .find(document.issuers.as_ref(), "issuers", "issuer has the name", &accepted.issuers, |it| &it.name),
        api_keys: {
            let what = "set of API keys has the prefix";
            names.find(document.api_keys.as_ref(), "api_keys", what, &accepted.api_keys, |it| &it.prefix)
        },
        custom: names
            .find(document.verifiers.as_ref(), "verifiers", "verifier has the name", &accepted.custom, |it| &it.name),
    };
    check_accepted(document, at, &accepts, identifier, mistakes);
    accepts
}

/// Finds the entries that a list of names refers to.
struct Named<'a> {
    at: &'a str,
    mistakes: &'a mut Mistakes,
}

impl Named<'_> {
    fn find<T>(
        &mut self,
        list: Option<&Vec<String>>,
        key: &str,
        what: &str,
        known: &[Rc<T>],
        name_of: fn(&T) -> &String,
    ) -> Vec<Rc<T>> {
        let mut found: Vec<Rc<T>> = Vec::new();
        for (index, name) in list.into_iter().flatten().enumerate() {
            let path = format!("{}.{key}[{index}]", self.at);
            match known.iter().find(|it| name_of(it) == name) {
                Some(it) if found.iter().any(|other| Rc::ptr_eq(other, it)) => {
                    self.mistakes.note(path, format_args!("{name:?} is named twice"));
                }
                Some(it) => found.push(Rc::clone(it)),
                None => self.mistakes.note(path, format_args!("no usable {what} {name:?}")),
            }
        }
        found
    }
}

/// Notes credentials whose verifier would be ambiguous, and issuers and API keys whose credentials could never meet
/// what the resource requires of the binding or the audience.
fn check_accepted(
    document: &ResourceDocument,
    at: &str,
    Verifiers { issuers, custom: verifiers, .. }: &Verifiers,
    identifier: Option<&str>,
    mistakes: &mut Mistakes,
) {
    let asked = issuers.iter().filter_map(|issuer| issuer.introspection.as_ref().map(|asked| (&issuer.name, asked)));
    let asked: Vec<_> = asked.collect();
    let any: Vec<&str> = asked
        .iter()
        .filter(|(_, asked)| asked.prefix.is_none())
        .map(|(name, _)| name.as_str())
        .chain(verifiers.iter().filter(|custom| custom.prefix.is_none()).map(|custom| custom.name.as_str()))
        .collect();
    if any.len() > 1 {
        let names = any.join(", ");
        mistakes.note(
            at,
            format_args!(
                "the gateway cannot know which of {names} an opaque token is for: give all but one a token_prefix"
            ),
        );
    }
    let mut prefixes: Vec<&str> = asked
        .iter()
        .filter_map(|(_, asked)| asked.prefix.as_deref())
        .chain(verifiers.iter().filter_map(|custom| custom.prefix.as_deref()))
        .collect();
    let keys: Vec<String> = document.api_keys.iter().flatten().map(|prefix| format!("{prefix}_")).collect();
    prefixes.extend(keys.iter().map(String::as_str));
    for (index, prefix) in prefixes.iter().enumerate() {
        if prefixes.iter().skip(index + 1).any(|other| other.starts_with(prefix) || prefix.starts_with(other)) {
            mistakes.note(at, format_args!("more than one kind of credential of this resource begins with {prefix:?}"));
        }
    }
    let required = |name: Option<RequirementName>| matches!(name, Some(RequirementName::Required));
    if (required(document.dpop) || required(document.certificate_bound)) && !keys.is_empty() {
        mistakes.note(format!("{at}.api_keys"), "must be empty where a binding is required: API keys cannot be bound");
    }
    for issuer in issuers {
        let own = issuer.is_own();
        let unbound = matches!(issuer.profile, Profile::CloudflareAccess | Profile::Google);
        if unbound && (required(document.dpop) || required(document.certificate_bound)) {
            mistakes.note(
                format!("{at}.issuers"),
                format_args!(
                    "must not have {:?} where a binding is required (dpop, certificate_bound): its tokens are never bound",
                    issuer.name
                ),
            );
        }
        if let (true, Some(identifier), Some(audiences)) = (own, identifier, &document.audiences)
            && !audiences.iter().any(|audience| audience == identifier)
        {
            mistakes.note(
                format!("{at}.audiences"),
                format_args!("must have {identifier:?} too: tokens of {:?} have no other audience", issuer.name),
            );
        }
    }
    if document.audiences.is_none()
        && let Some(issuer) = issuers.iter().find(|issuer| issuer.profile.needs_audiences())
    {
        mistakes.note(
            format!("{at}.audiences"),
            format_args!(
                "is required with issuer {:?}: its tokens never have the resource identifier in aud",
                issuer.name
            ),
        );
    }
}

pub(super) fn read_public_path(
    document: &PublicPathDocument,
    at: &str,
    development: bool,
    mistakes: &mut Mistakes,
) -> Option<PublicPath> {
    let path = read_path(&document.path, at, mistakes);
    let origin =
        read_origin(document.origin.as_deref(), document.service.as_deref(), &document.path, at, development, mistakes);
    let (url, service) = origin?;
    Some(PublicPath {
        path: path?,
        origin: OriginServer {
            url,
            service,
            response_timeout: ORIGIN_RESPONSE_TIMEOUT,
            idle_timeout: None,
            keep_alive: None,
        },
    })
}

fn read_path(text: &str, at: &str, mistakes: &mut Mistakes) -> Option<CanonicalPath> {
    let at = format!("{at}.path");
    let path = mistakes.keep(&at, CanonicalPath::parse(text).map_err(|error| format!("{error}, got {text:?}")))?;
    if path.as_str() != text {
        mistakes.note(at, format_args!("must be in canonical form, {:?}, got {text:?}", path.as_str()));
        return None;
    }
    if text.len() > 1 && text.ends_with('/') {
        mistakes.note(at, format_args!("must not end in a slash (clients compare byte for byte), got {text:?}"));
        return None;
    }
    let folded = path.folded();
    if folded == "/healthz" || folded == "/.well-known" || folded.starts_with("/.well-known/") {
        mistakes.note(at, format_args!("is reserved for the gateway itself: {text:?}"));
        return None;
    }
    Some(path)
}

pub(super) fn read_origin(
    origin: Option<&str>,
    service: Option<&str>,
    path: &str,
    at: &str,
    development: bool,
    mistakes: &mut Mistakes,
) -> Option<(HttpUrl, Option<String>)> {
    if service.is_some_and(str::is_empty) {
        mistakes.note(format!("{at}.service"), "must be the name of a service binding");
        return None;
    }
    let url = match (origin, service) {
        (None, None) => {
            mistakes.note(format!("{at}.origin"), "is required (or service, the name of a service binding)");
            None
        }
        (Some(text), _) => protected_url(text, &format!("{at}.origin"), development, mistakes),
        // A service binding takes a request with any host. `service.invalid` is a reserved name, so the URL leads
        // nowhere else.
        (None, Some(_)) => HttpUrl::parse(&format!("https://service.invalid{path}")).ok(),
    }?;
    if url.query().is_some() {
        mistakes.note(format!("{at}.origin"), format_args!("must not have a query, got {:?}", url.to_string()));
        return None;
    }
    Some((url, service.map(str::to_owned)))
}
