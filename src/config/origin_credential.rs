//! Reads credentials toward origin servers.

use std::rc::Rc;

use crate::config::credentials::read_client_authentication;
use crate::config::document::ResourceDocument;
use crate::config::mistakes::Mistakes;
use crate::config::origin_credential_document::{
    ClientCredentialsDocument, EnterpriseDocument, ExchangeProfileName, IdentityName, OriginCredentialDocument,
    PerUserDocument, StaticFieldDocument, TokenClientDocument, TokenExchangeDocument,
};
use crate::config::ranges::PROVIDER_TIMEOUT;
use crate::config::resource::ThisGateway;
use crate::config::values::{bounded, note_metadata_url, protected_url, read_scopes, read_secret};
use crate::limits::{CONNECT_PARAMETERS, STATIC_FIELDS};
use crate::oauth::client_authentication::ClientAuthentication;
use crate::origin_credential::request::ACCESS_TOKEN;
use crate::origin_credential::{
    ClientCredentials, Enterprise, ExchangeProfile, OriginCredential, PerUser, StaticField, TokenEndpoint,
    TokenExchange, TokenTarget,
};
use crate::seal::SealKey;
use crate::secret::Secret;
use crate::token::accepted::Verifiers;
use crate::transport::cors::uncredentialed;
use crate::transport::head::is_plain;

/// What the configuration says of one origin server, besides its limits.
#[derive(Clone, Copy)]
pub(super) struct OriginPart<'a> {
    pub origin: Option<&'a str>,
    pub service: Option<&'a str>,
    pub credential: Option<&'a OriginCredentialDocument>,
    pub identity: Option<IdentityName>,
    /// The resource that the server is behind.
    pub resource: &'a ResourceDocument,
}

impl<'a> OriginPart<'a> {
    /// The one origin server of a resource.
    pub(super) fn of(resource: &'a ResourceDocument) -> Self {
        Self {
            origin: resource.origin.as_deref(),
            service: resource.service.as_deref(),
            credential: resource.credential.as_ref(),
            identity: resource.identity,
            resource,
        }
    }
}

/// Reads the credential for an origin server.
pub(super) fn read(
    part: OriginPart<'_>,
    at: &str,
    gateway: ThisGateway<'_>,
    accepts: &Verifiers,
    mistakes: &mut Mistakes,
) -> Option<Rc<OriginCredential>> {
    let document = part.resource;
    let table = part.credential?;
    let place = format!("{at}.credential");
    let OriginCredentialDocument { fixed, client_credentials, token_exchange, enterprise, per_user } = table;
    let read = match (fixed, client_credentials, token_exchange, enterprise, per_user) {
        (Some(fields), None, None, None, None) => {
            let forwarded = document.forward_fields.as_deref().unwrap_or_default();
            OriginCredential::Static(read_static(fields, forwarded, &format!("{place}.static"), gateway, mistakes))
        }
        (None, Some(table), None, None, None) => {
            let place = format!("{place}.client_credentials");
            OriginCredential::ClientCredentials(read_client_credentials(table, &place, gateway, mistakes)?)
        }
        (None, None, Some(table), None, None) => {
            let place = format!("{place}.token_exchange");
            OriginCredential::TokenExchange(read_token_exchange(table, &place, gateway, mistakes)?)
        }
        (None, None, None, Some(table), None) => {
            let place = format!("{place}.enterprise");
            let origin = part.origin;
            OriginCredential::Enterprise(read_enterprise(table, origin, &place, gateway, mistakes)?)
        }
        (None, None, None, None, Some(table)) => {
            let place = format!("{place}.per_user");
            let origin = part.origin;
            OriginCredential::PerUser(read_per_user(table, origin, &place, gateway, mistakes)?)
        }
        _ => {
            mistakes.note(
                place,
                "must have exactly one of static, client_credentials, token_exchange, enterprise and per_user",
            );
            return None;
        }
    };
    if !read.is_for_all() {
        note_unexchangeable(document, at, read.kind().name(), accepts, mistakes);
    }
    Some(Rc::new(read))
}

/// Notes callers without a token that can be exchanged.
fn note_unexchangeable(
    document: &ResourceDocument,
    at: &str,
    kind: &str,
    accepts: &Verifiers,
    mistakes: &mut Mistakes,
) {
    let others = [("api_keys", !accepts.api_keys.is_empty()), ("verifiers", !accepts.custom.is_empty())];
    let anonymous = document.anonymous.as_ref().is_some_and(|methods| !methods.is_empty());
    for (key, _) in others.into_iter().chain([("anonymous", anonymous)]).filter(|(_, is_there)| *is_there) {
        mistakes.note(
            format_args!("{at}.{key}"),
            format_args!(
                "must be empty with credential.{kind}: only callers with a token of an issuer can have it; make another resource \
                 for other callers"
            ),
        );
    }
}

/// Whether the origin server learns who calls. By default one that gets a credential of the gateway does not, because its
/// operator may be another party; behind a service binding it is the operator's own.
pub(super) fn names_caller(
    part: OriginPart<'_>,
    at: &str,
    credential: Option<&OriginCredential>,
    mistakes: &mut Mistakes,
) -> bool {
    let is_own = part.service.is_some() || credential.is_none_or(OriginCredential::is_exchanged);
    let names = part.identity.map_or(is_own, |identity| identity == IdentityName::Forward);
    let claims = part.resource.identity_claims.as_ref().is_some_and(|claims| !claims.is_empty());
    if claims && !names {
        mistakes.note(
            format_args!("{at}.identity_claims"),
            "must be empty where the origin server does not learn who calls: set identity = \"forward\" if it is your own",
        );
    }
    names
}

fn read_static(
    fields: &[StaticFieldDocument],
    forwarded: &[String],
    at: &str,
    gateway: ThisGateway<'_>,
    mistakes: &mut Mistakes,
) -> Vec<StaticField> {
    if fields.is_empty() || fields.len() > STATIC_FIELDS {
        mistakes.note(at, format_args!("must have 1 to {STATIC_FIELDS} entries"));
    }
    let mut read: Vec<StaticField> = Vec::new();
    for (index, entry) in fields.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let given = entry.field.as_deref().unwrap_or("Authorization");
        let name = given.to_ascii_lowercase();
        // Some servers read a name with an underscore as the name with a hyphen.
        let folded = |name: &str| name.to_ascii_lowercase().replace('_', "-");
        let is_forwarded = forwarded.iter().any(|field| folded(field) == folded(given));
        let why = if read.iter().any(|other| folded(&other.name) == folded(given)) {
            Some("is there twice")
        } else if is_forwarded {
            Some("is in forward_fields too: the server could not tell the caller from the gateway")
        } else {
            uncredentialed(&folded(given))
        };
        if let Some(why) = why {
            mistakes.note(format_args!("{at}.field"), format_args!("{why}, got {given:?}"));
        }
        let default = if name == "authorization" { "Bearer" } else { "" };
        let scheme = entry.scheme.as_deref().unwrap_or(default);
        if !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
            mistakes.note(
                format_args!("{at}.scheme"),
                format_args!("must be the name of a scheme, as \"Bearer\" or \"Basic\", got {scheme:?}"),
            );
        }
        if !matches!(entry.secrets.as_slice(), [_] | [_, _]) {
            mistakes.note(format_args!("{at}.secrets"), "must name one secret, or two during a rotation");
        }
        let (mut values, mut sent) = (Vec::new(), Vec::<String>::new());
        for (index, secret) in entry.secrets.iter().enumerate() {
            let at = format!("{at}.secrets[{index}]");
            if entry.secrets.iter().take(index).any(|other| other == secret) {
                mistakes.note(&at, format_args!("is there twice: {secret:?}"));
            }
            let Some(text) = read_secret(secret, &at, gateway.secrets, mistakes) else { continue };
            let text = text.trim();
            if text.is_empty() || !is_plain(text) {
                mistakes.note(&at, "the secret must be visible ASCII characters, and not empty");
            }
            let is_pair = text.contains(':') && !gateway.secrets.are_placeholders();
            if scheme.eq_ignore_ascii_case("Basic") && is_pair {
                mistakes.note(&at, "the secret must be base64 of user:password (RFC 7617 §2)");
            }
            let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|it| it.eq_ignore_ascii_case(scheme));
            if !scheme.is_empty() && begins(&format!("{scheme} ")) {
                mistakes.note(
                    &at,
                    format_args!("the secret must not begin with the scheme {scheme:?}, which the gateway writes"),
                );
            }
            let is_repeated = entry.secrets.iter().take(index).any(|other| other == secret);
            if !is_repeated && !gateway.secrets.are_placeholders() && sent.iter().any(|other| other == text) {
                mistakes.note(&at, "the secret has the same value as the other one");
            }
            sent.push(text.to_owned());
            values.push(Secret::new(if scheme.is_empty() { text.to_owned() } else { format!("{scheme} {text}") }));
        }
        read.push(StaticField { name, values });
    }
    read
}

/// Reads a client, and the text of its secret. `may_be_public` tells whether it may have none.
fn read_client(
    document: &TokenClientDocument,
    may_be_public: bool,
    at: &str,
    gateway: ThisGateway<'_>,
    mistakes: &mut Mistakes,
) -> Option<(TokenEndpoint, String)> {
    protected_url(&document.token_endpoint, &format!("{at}.token_endpoint"), gateway.development, mistakes);
    if let Some(issuer) = &document.issuer {
        protected_url(issuer, &format!("{at}.issuer"), gateway.development, mistakes);
    }
    let timeout = bounded(document.timeout_seconds, PROVIDER_TIMEOUT, &format!("{at}.timeout_seconds"), mistakes);
    if document.client_id.as_ref().is_some_and(String::is_empty) {
        mistakes.note(format_args!("{at}.client_id"), "must not be empty");
    }
    let (secret, authentication) = match (&document.client_id, &document.secret) {
        (Some(_), Some(name)) => {
            let at = format!("{at}.secret");
            let secret = read_secret(name, &at, gateway.secrets, mistakes)?;
            let authentication = read_client_authentication(document.authentication, &secret, &at, mistakes)?;
            (secret, authentication)
        }
        (_, None) if may_be_public => {
            if document.authentication.is_some() {
                mistakes.note(format_args!("{at}.authentication"), "needs secret, and client_id");
            }
            (String::new(), ClientAuthentication::None)
        }
        (None, _) => {
            mistakes.note(format_args!("{at}.client_id"), "is required");
            return None;
        }
        (Some(_), None) => {
            mistakes.note(format_args!("{at}.secret"), "is required");
            return None;
        }
    };
    let endpoint = TokenEndpoint {
        url: document.token_endpoint.clone(),
        client_id: document.client_id.clone().unwrap_or_default(),
        authentication,
        audience: document.issuer.clone().unwrap_or_else(|| document.token_endpoint.clone()),
        timeout,
    };
    Some((endpoint, secret))
}

fn read_target(
    (scopes, resource, audience): (Option<&Vec<String>>, Option<&String>, Option<&String>),
    at: &str,
    mistakes: &mut Mistakes,
) -> TokenTarget {
    let scopes = read_scopes(scopes.map(Vec::as_slice).unwrap_or_default(), &format!("{at}.scopes"), mistakes);
    if let Some(resource) = resource.filter(|resource| !is_resource(resource)) {
        let at = format!("{at}.resource");
        mistakes.note(at, format_args!("must be an absolute URI without a fragment (RFC 8707 §2), got {resource:?}"));
    }
    if audience.is_some_and(String::is_empty) {
        mistakes.note(format_args!("{at}.audience"), "must not be empty");
    }
    TokenTarget { scopes, resource: resource.cloned(), audience: audience.cloned() }
}

/// Whether a text may be `resource` (RFC 8707 §2): an absolute URI without a fragment. It need not be a URL.
fn is_resource(text: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    let whole = text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    whole && text.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty())
}

fn read_client_credentials(
    document: &ClientCredentialsDocument,
    at: &str,
    gateway: ThisGateway<'_>,
    mistakes: &mut Mistakes,
) -> Option<ClientCredentials> {
    let ClientCredentialsDocument { client, scopes, resource, audience } = document;
    let target = read_target((scopes.as_ref(), resource.as_ref(), audience.as_ref()), at, mistakes);
    let (endpoint, secret) = read_client(client, false, &format!("{at}.client"), gateway, mistakes)?;
    let shared_key = SealKey::of(secret.as_bytes(), "origin credential");
    Some(ClientCredentials { endpoint, target, shared_key })
}

fn read_token_exchange(
    document: &TokenExchangeDocument,
    at: &str,
    gateway: ThisGateway<'_>,
    mistakes: &mut Mistakes,
) -> Option<TokenExchange> {
    let TokenExchangeDocument { scopes, resource, audience, .. } = document;
    let target = read_target((scopes.as_ref(), resource.as_ref(), audience.as_ref()), at, mistakes);
    let has_actor = document.actor.unwrap_or_default();
    if has_actor && gateway.assertion.is_none() {
        mistakes.note(format_args!("{at}.actor"), "needs identity_assertion, whose key signs the actor's token");
    }
    let profile = match document.profile {
        Some(ExchangeProfileName::EntraOnBehalfOf) => ExchangeProfile::EntraOnBehalfOf,
        Some(ExchangeProfileName::Rfc8693) | None => ExchangeProfile::Rfc8693,
    };
    if profile == ExchangeProfile::EntraOnBehalfOf {
        if target.scopes.is_empty() {
            let at = format!("{at}.scopes");
            mistakes.note(at, "is required for entra_on_behalf_of, as [\"api://CLIENT_ID/.default\"]");
        }
        let void = [
            ("resource", resource.is_some()),
            ("audience", audience.is_some()),
            ("subject_token_type", document.subject_token_type.is_some()),
            ("requested_token_type", document.requested_token_type.is_some()),
            ("actor", has_actor),
        ];
        for (key, _) in void.into_iter().filter(|(_, is_there)| *is_there) {
            let at = format!("{at}.{key}");
            mistakes.note(at, "is not for entra_on_behalf_of: its scopes name the server that the token is for");
        }
    }
    let subject_token_type =
        read_type(document.subject_token_type.as_ref(), &format!("{at}.subject_token_type"), mistakes);
    let requested_token_type = document
        .requested_token_type
        .as_ref()
        .map(|requested| read_type(Some(requested), &format!("{at}.requested_token_type"), mistakes));
    if let Some(other) = requested_token_type.as_ref().filter(|it| *it != ACCESS_TOKEN && !it.ends_with(":jwt")) {
        mistakes.note(
            format_args!("{at}.requested_token_type"),
            format_args!("must be the type of access tokens, {ACCESS_TOKEN:?}, or of JWTs, got {other:?}"),
        );
    }
    let (endpoint, _) =
        read_client(&document.client, profile == ExchangeProfile::Rfc8693, &format!("{at}.client"), gateway, mistakes)?;
    Some(TokenExchange { endpoint, target, profile, subject_token_type, requested_token_type, has_actor })
}

fn read_enterprise(
    document: &EnterpriseDocument,
    origin: Option<&str>,
    at: &str,
    gateway: ThisGateway<'_>,
    mistakes: &mut Mistakes,
) -> Option<Enterprise> {
    let origin = origin.map(str::to_owned);
    let resource = document.resource.as_ref().or(origin.as_ref());
    let target = read_target((document.scopes.as_ref(), resource, None), at, mistakes);
    let subject_token_type =
        read_type(document.subject_token_type.as_ref(), &format!("{at}.subject_token_type"), mistakes);
    if document.server.issuer.is_none() {
        mistakes
            .note(format_args!("{at}.server.issuer"), "is required: the identity assertion is for this issuer alone");
    }
    let provider = read_client(&document.provider, false, &format!("{at}.provider"), gateway, mistakes);
    let server = read_client(&document.server, false, &format!("{at}.server"), gateway, mistakes);
    let ((provider, _), (server, _)) = (provider?, server?);
    Some(Enterprise { provider, subject_token_type, server_issuer: server.audience.clone(), server, target })
}

/// Parameters of an authorization request that the gateway sets itself.
const OWN_PARAMETERS: [&str; 11] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "request",
    "request_uri",
    "resource",
    "response_type",
    "scope",
    "state",
];

fn read_per_user(
    document: &PerUserDocument,
    origin: Option<&str>,
    at: &str,
    gateway: ThisGateway<'_>,
    mistakes: &mut Mistakes,
) -> Option<PerUser> {
    if let Some(issuer) = &document.issuer {
        protected_url(issuer, &format!("{at}.issuer"), gateway.development, mistakes);
        note_metadata_url(issuer, &format!("{at}.issuer"), mistakes);
    }
    let resource = document.resource.clone().or(origin.map(str::to_owned));
    if resource.is_none() {
        mistakes.note(
            format_args!("{at}.resource"),
            "is required without origin: it names the server that the token is for",
        );
    }
    let target = read_target((document.scopes.as_ref(), resource.as_ref(), None), at, mistakes);
    let parameters: Vec<(String, String)> =
        document.parameters.iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect();
    if parameters.len() > CONNECT_PARAMETERS {
        mistakes.note(format_args!("{at}.parameters"), format_args!("must have at most {CONNECT_PARAMETERS} entries"));
    }
    for (name, _) in parameters.iter().filter(|(name, _)| OWN_PARAMETERS.contains(&name.as_str()) || name.is_empty()) {
        mistakes.note(format_args!("{at}.parameters.{name}"), "is set by the gateway itself");
    }
    let timeout = bounded(document.timeout_seconds, PROVIDER_TIMEOUT, &format!("{at}.timeout_seconds"), mistakes);
    if document.client_id.as_ref().is_some_and(String::is_empty) {
        mistakes.note(format_args!("{at}.client_id"), "must not be empty");
    }
    let client = match (&document.client_id, &document.secret) {
        (Some(id), Some(name)) => {
            let at = format!("{at}.secret");
            let secret = read_secret(name, &at, gateway.secrets, mistakes)?;
            Some((id.clone(), read_client_authentication(document.authentication, &secret, &at, mistakes)?))
        }
        (Some(id), None) => Some((id.clone(), ClientAuthentication::None)),
        (None, Some(_)) => {
            mistakes.note(format_args!("{at}.client_id"), "is required with secret");
            None
        }
        (None, None) => None,
    };
    if document.authentication.is_some() && document.secret.is_none() {
        mistakes.note(format_args!("{at}.authentication"), "needs client_id and secret");
    }
    if document.client_id.is_some() && document.issuer.is_none() {
        mistakes.note(
            format_args!("{at}.issuer"),
            "is required with client_id: the client's secret would go to whichever authorization server the origin server names",
        );
    }
    let sends_resource = document.send_resource.unwrap_or(true);
    if !sends_resource && target.scopes.is_empty() {
        mistakes.note(
            format_args!("{at}.scopes"),
            "is required with send_resource = false: only the scopes then name the server that the token is for",
        );
    }
    let (issuer, scopes) = (document.issuer.clone(), target.scopes);
    Some(PerUser { issuer, client, scopes, resource: resource?, sends_resource, parameters, timeout })
}

/// Reads a token type (RFC 8693 §3).
fn read_type(given: Option<&String>, at: &str, mistakes: &mut Mistakes) -> String {
    let Some(given) = given else { return ACCESS_TOKEN.to_owned() };
    if !given.contains(':') || given.contains(char::is_whitespace) {
        mistakes.note(at, format_args!("must be a token type URI, as {ACCESS_TOKEN:?}, got {given:?}"));
    }
    given.clone()
}
