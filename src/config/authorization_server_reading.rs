//! Reads the table of the authorization server.

use crate::config::ranges;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::authorization_server::client::{
    AuthMethod, Client, ClientMetadata, DANGEROUS_SCHEMES, GrantType, RedirectRules, Source, client_url,
};
use crate::authorization_server::login::{Admission, Entitlement, Login, LoginProfile, carried_as};
use crate::authorization_server::seal::Seals;
use crate::authorization_server::settings::{AuthorizationServer, Registrations};
use crate::authorization_server::state::Hash;
use crate::config::authorization_server_document::{
    AuthorizationServerDocument, ClientDocument, LoginDocument, LoginProfileName, RegistrationName,
};
use crate::config::credentials_document::ClientAuthenticationName;
use crate::config::mistakes::Mistakes;
use crate::config::values::{
    self, Secrets, is_name, note_metadata_url, protected_url, read_long_secret, read_scopes, read_secret,
    read_signing_keys,
};
use crate::jwks::signing_key::SigningKey;
use crate::oauth::client_credentials::ClientAuthentication;
use crate::oauth::scope::Scope;
use crate::secret::Secret;
use crate::settings::OwnIssuer;
use crate::strict_json;
use crate::transport::path::CanonicalPath;
use crate::transport::url::HttpUrl;

const DAY: u64 = 24 * 60 * 60;

pub(super) fn read(
    document: &AuthorizationServerDocument,
    public_url: &HttpUrl,
    development: bool,
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> Option<AuthorizationServer> {
    let at = "authorization_server";
    let before = mistakes.lines().len();
    let name = document.name.clone().unwrap_or_else(|| "portcullis".to_owned());
    if !is_name(&name) {
        mistakes.note(
            "authorization_server.name",
            format_args!("must be 1 to 64 letters, digits, -, _ or ., got {name:?}"),
        );
    }
    let path = read_path(document.path.as_deref(), mistakes);
    let keys = read_signing_keys(&document.key_secrets, "authorization_server.key_secrets", secrets, mistakes);
    let seals: Vec<String> = document
        .secrets
        .iter()
        .enumerate()
        .filter_map(|(index, name)| read_long_secret(name, &format!("{at}.secrets[{index}]"), secrets, mistakes))
        .collect();
    if document.secrets.is_empty() {
        mistakes.note("authorization_server.secrets", "must name at least one secret");
    }
    let login = read_login(&document.login, development, secrets, mistakes);
    let mut words = BTreeMap::new();
    for (scope, text) in document.scopes.iter().flatten() {
        mistakes.keep(format_args!("{at}.scopes.{scope}"), Scope::parse(scope));
        words.insert(scope.clone(), text.clone());
    }
    let mut entitlements = Vec::new();
    for (index, entry) in document.entitlements.iter().flatten().enumerate() {
        let here = format!("{at}.entitlements[{index}]");
        let scopes = read_scopes(&entry.scopes, &format!("{here}.scopes"), mistakes);
        let (groups, users) = (entry.groups.clone().unwrap_or_default(), entry.users.clone().unwrap_or_default());
        if groups.is_empty() && users.is_empty() {
            mistakes.note(&here, "must name groups or users");
        }
        if entry.scopes.is_empty() {
            mistakes.note(format!("{here}.scopes"), "must name at least one scope: this entry restricts nothing");
        }
        note_people(&groups, &users, login.profile, &document.login, &here, mistakes);
        entitlements.push(Entitlement { scopes, groups, users });
    }
    let token_claims = document.token_claims.clone().unwrap_or_default();
    note_token_claims(&token_claims, &login, mistakes);
    note_document_domains(document.client_document_domains.as_deref(), mistakes);
    let registrations = read_registrations(document, secrets, mistakes);
    let redirect_schemes = document.redirect_schemes.clone().unwrap_or_default();
    for (index, scheme) in redirect_schemes.iter().enumerate() {
        let form = scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
        if !form || DANGEROUS_SCHEMES.contains(&scheme.as_str()) {
            mistakes.note(
                format_args!("{at}.redirect_schemes[{index}]"),
                format_args!("must be the scheme of an application, in lower case and without colon, got {scheme:?}"),
            );
        }
    }
    let clients = read_clients(document, &redirect_schemes, development, secrets, mistakes);
    let mut number = |key: &str, value, range| values::bounded(value, range, &format!("{at}.{key}"), mistakes);
    let access_token_seconds = number("access_token_seconds", document.access_token_seconds, ranges::ACCESS_TOKEN);
    let refresh_token_days = number("refresh_token_days", document.refresh_token_days, ranges::REFRESH_TOKEN_DAYS);
    let grant_days = number("grant_days", document.grant_days, ranges::GRANT_DAYS);
    let registration_days = number("registration_days", document.registration_days, ranges::REGISTRATION_DAYS);
    let admin = document
        .admin_secret
        .as_ref()
        .and_then(|name| read_long_secret(name, "authorization_server.admin_secret", secrets, mistakes))
        .map(Secret::new);
    if mistakes.lines().len() > before {
        return None;
    }
    let path = path?;
    Some(AuthorizationServer {
        own: Rc::new(OwnIssuer {
            name,
            identifier: format!("{}{path}", public_url.web_origin()),
            path,
            scope_descriptions: words,
        }),
        keys,
        seals: Seals::of(&seals),
        binding: document.binding.clone(),
        login,
        entitlements,
        token_claims,
        registrations,
        registration_limit: document.registration_limit_binding.clone(),
        registration_seconds: registration_days * DAY,
        documents: document.client_documents.unwrap_or(true),
        document_domains: document.client_document_domains.clone().unwrap_or_default(),
        redirect_schemes,
        clients,
        access_token_seconds,
        refresh_token_seconds: refresh_token_days * DAY,
        grant_seconds: grant_days * DAY,
        admin,
    })
}

fn read_path(path: Option<&str>, mistakes: &mut Mistakes) -> Option<String> {
    let Some(path) = path else { return Some(String::new()) };
    let canonical = CanonicalPath::parse(path).ok().filter(|read| read.as_str() == path && !path.ends_with('/'));
    if canonical.is_none() {
        mistakes.note(
            "authorization_server.path",
            format_args!("must be a path in canonical form without a slash at its end, as \"/login\", got {path:?}"),
        );
        return None;
    }
    Some(path.to_owned())
}

fn read_registrations(
    document: &AuthorizationServerDocument,
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> Registrations {
    let at = "authorization_server.initial_access_token_secret";
    let name = document.initial_access_token_secret.as_ref();
    match (document.registration.unwrap_or(RegistrationName::Off), name) {
        (RegistrationName::Off, None) => Registrations::Off,
        (RegistrationName::Open, None) => Registrations::Open,
        (RegistrationName::InitialAccessToken, Some(name)) => read_long_secret(name, at, secrets, mistakes)
            .map_or(Registrations::Off, |secret| Registrations::Token(Secret::new(secret))),
        (RegistrationName::InitialAccessToken, None) => {
            mistakes.note(at, "is required with registration = \"initial_access_token\"");
            Registrations::Off
        }
        (_, Some(_)) => {
            mistakes.note(at, "is only for registration = \"initial_access_token\"");
            Registrations::Off
        }
    }
}

fn read_clients(
    document: &AuthorizationServerDocument,
    schemes: &[String],
    development: bool,
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> Vec<Client> {
    let mut clients: Vec<Client> = Vec::new();
    for (index, entry) in document.clients.iter().flatten().enumerate() {
        let at = format!("authorization_server.clients[{index}]");
        let Some(client) = read_client(entry, &at, (schemes, development), secrets, mistakes) else { continue };
        if clients.iter().any(|other| other.id == client.id) {
            mistakes
                .note(format_args!("{at}.client_id"), format_args!("{:?} is the id of another client too", client.id));
        }
        clients.push(client);
    }
    clients
}

fn read_client(
    entry: &ClientDocument,
    at: &str,
    (schemes, development): (&[String], bool),
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> Option<Client> {
    note_void_client(entry, at, development, mistakes);
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if !(1..=128).contains(&entry.client_id.len()) || !entry.client_id.bytes().all(fits) {
        let id = &entry.client_id;
        mistakes.note(
            format_args!("{at}.client_id"),
            format_args!("must be 1 to 128 letters, digits, -, _ or ., got {id:?}"),
        );
    }
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("token_endpoint_auth_method", json!(entry.token_endpoint_auth_method.as_deref().unwrap_or("none")));
    let codes = entry.redirect_uris.is_some();
    let default = if codes { vec!["authorization_code".to_owned(), "refresh_token".to_owned()] } else { Vec::new() };
    let grants = entry.grant_types.clone().unwrap_or(default);
    for (index, name) in grants.iter().enumerate() {
        if GrantType::parse(name).is_none() {
            mistakes.note(
                format_args!("{at}.grant_types[{index}]"),
                format_args!("must be authorization_code, refresh_token or client_credentials, got {name:?}"),
            );
        }
    }
    // A client that only introspects tokens has no grant types. `ClientMetadata::read` requires one, so it gets one
    // that is removed again below.
    let only_asks = grants.is_empty() && entry.introspection == Some(true);
    put("grant_types", if only_asks { json!(["client_credentials"]) } else { json!(grants) });
    put("redirect_uris", json!(entry.redirect_uris.clone().unwrap_or_default()));
    if let Some(name) = &entry.client_name {
        put("client_name", json!(name));
    }
    if let Some(uri) = &entry.jwks_uri {
        put("jwks_uri", json!(uri));
    }
    if let Some(text) = &entry.jwks {
        put("jwks", mistakes.keep(format_args!("{at}.jwks"), strict_json::parse(text.as_bytes()))?);
    }
    if let Some(scopes) = &entry.scopes {
        let scopes = read_scopes(scopes, &format!("{at}.scopes"), mistakes);
        put("scope", json!(scopes.to_string()));
    }
    let read = ClientMetadata::read(&members, RedirectRules { schemes })
        .map_err(|error| format!("{} ({})", error.description, error.code));
    let mut metadata = mistakes.keep(at, read)?;
    if only_asks {
        metadata.grant_types.clear();
    }
    if metadata.auth_method == AuthMethod::None
        && (metadata.may(GrantType::ClientCredentials) || entry.introspection == Some(true))
    {
        mistakes.note(
            format_args!("{at}.token_endpoint_auth_method"),
            "must not be none for client_credentials or introspection: any caller could act as that client",
        );
    }
    let secret = match (&entry.secret, metadata.auth_method.has_secret()) {
        (Some(name), true) => read_long_secret(name, &format!("{at}.secret"), secrets, mistakes),
        (None, true) => {
            mistakes.note(format_args!("{at}.secret"), "is required for a client that authenticates with a secret");
            None
        }
        (Some(_), false) => {
            mistakes.note(format_args!("{at}.secret"), "is for clients that authenticate with a secret");
            None
        }
        (None, false) => None,
    };
    Some(Client {
        id: entry.client_id.clone(),
        source: Source::Configured,
        metadata,
        secret: secret.map(|secret| Hash::of(secret.trim())),
        introspects: entry.introspection.unwrap_or(false),
    })
}

/// Notes keys of a client that can never work.
fn note_void_client(entry: &ClientDocument, at: &str, development: bool, mistakes: &mut Mistakes) {
    for (index, uri) in entry.redirect_uris.iter().flatten().enumerate() {
        if uri.contains(['*', '{', '}']) {
            mistakes.note(
                format_args!("{at}.redirect_uris[{index}]"),
                format_args!("must be one complete URI: wildcards are not supported, got {uri:?}"),
            );
        }
    }
    if entry.scopes.as_ref().is_some_and(Vec::is_empty) {
        mistakes.note(
            format_args!("{at}.scopes"),
            "must name at least one scope; remove the key to allow any that users grant",
        );
    }
    let grants: Vec<&str> = entry.grant_types.iter().flatten().map(String::as_str).collect();
    if grants.contains(&"client_credentials") && entry.scopes.is_none() {
        mistakes
            .note(format_args!("{at}.scopes"), "is required with client_credentials: the client gets no other scopes");
    }
    if grants.contains(&"refresh_token") && !grants.contains(&"authorization_code") {
        mistakes.note(
            format_args!("{at}.grant_types"),
            "refresh_token needs authorization_code: no other grant gives a refresh token",
        );
    }
    if let Some(Err(why)) = entry.jwks_uri.as_deref().map(|uri| client_url(uri, development)) {
        mistakes.note(format_args!("{at}.jwks_uri"), format_args!("{why}, got {:?}", entry.jwks_uri));
    }
}

fn note_document_domains(domains: Option<&[String]>, mistakes: &mut Mistakes) {
    let at = "authorization_server.client_document_domains";
    if domains.is_some_and(<[String]>::is_empty) {
        mistakes.note(at, "must name at least one domain; remove the key to allow any");
    }
    for (index, domain) in domains.into_iter().flatten().enumerate() {
        if !is_domain(domain) || domain.chars().any(|c| c.is_ascii_uppercase()) {
            mistakes.note(
                format_args!("{at}[{index}]"),
                format_args!(
                    "must be a domain in lower case, as \"vendor.example\" (its subdomains are included), got {domain:?}"
                ),
            );
        }
    }
}

fn is_domain(text: &str) -> bool {
    !text.starts_with('.')
        && !text.ends_with('.')
        && !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}

/// Notes each entry that tokens cannot contain, and each entry that they would contain under the name of an earlier
/// one.
fn note_token_claims(entries: &[String], login: &Login, mistakes: &mut Mistakes) {
    let mut carried = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("authorization_server.token_claims[{index}]");
        if let Some(name) = mistakes.keep(&at, carried_as(entry, &login.groups_claim))
            && !carried.insert(name)
        {
            mistakes.note(&at, format_args!("must be named once: tokens have {name:?} already, got {entry:?}"));
        }
    }
}

/// Notes users and groups that the provider never names in this form.
fn note_people(
    groups: &[String],
    users: &[String],
    profile: LoginProfile,
    document: &LoginDocument,
    at: &str,
    mistakes: &mut Mistakes,
) {
    for user in users {
        let number = user.bytes().all(|b| b.is_ascii_digit());
        if profile == LoginProfile::Github && document.subject_claim.is_none() && !number && !user.contains('@') {
            mistakes
                .note(at, format_args!("must be an email address or the numeric id of a GitHub account, got {user:?}"));
        }
        if profile == LoginProfile::EntraId && user.contains('@') && document.subject_claim.is_none() {
            mistakes.note(
                at,
                format_args!("Entra ID does not verify email addresses: name the object id of the user, got {user:?}"),
            );
        }
    }
    for group in groups {
        if profile == LoginProfile::Github && group.contains('/') {
            mistakes.note(at, format_args!("must be an organization: teams are not supported, got {group:?}"));
        }
    }
    if profile == LoginProfile::Google
        && !groups.is_empty()
        && document.groups_claim.is_none()
        && document.userinfo_endpoint.is_none()
    {
        mistakes.note(at, "Google sends no groups: use allowed_domains or allowed_users");
    }
}

/// Parameters of the authorization request that the gateway sets itself.
const OWN_PARAMETERS: [&str; 10] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    // These would replace all other parameters (RFC 9101, RFC 9126).
    "request",
    "request_uri",
];

/// Notes keys of a login that can never work.
fn note_void_login(document: &LoginDocument, profile: LoginProfile, issuer: Option<&str>, mistakes: &mut Mistakes) {
    let at = "authorization_server.login";
    if let Some(issuer) = issuer {
        note_metadata_url(issuer, &format!("{at}.issuer"), mistakes);
        let path = HttpUrl::parse(issuer).map(|url| url.path().trim_start_matches('/').to_owned()).unwrap_or_default();
        let tenant = path.split('/').next().unwrap_or_default();
        if profile == LoginProfile::EntraId && matches!(tenant, "common" | "organizations" | "consumers") {
            mistakes.note(
                format_args!("{at}.issuer"),
                format_args!("must have the id of the tenant: no ID token is from {tenant:?}, got {issuer:?}"),
            );
        }
        if profile == LoginProfile::Google && issuer.ends_with('/') {
            mistakes.note(
                format_args!("{at}.issuer"),
                format_args!("must not end in a slash, because iss of ID tokens does not, got {issuer:?}"),
            );
        }
        if issuer.contains('{') {
            mistakes
                .note(format_args!("{at}.issuer"), format_args!("must be the issuer of one tenant, got {issuer:?}"));
        }
        if document.scopes.as_ref().is_some_and(|scopes| !scopes.iter().any(|scope| scope == "openid")) {
            mistakes.note(format_args!("{at}.scopes"), "must have openid, or the provider sends no ID token");
        }
    }
    for name in document.parameters.iter().flatten().map(|(name, _)| name.as_str()) {
        if OWN_PARAMETERS.contains(&name) {
            let cure = if name == "scope" { "login.scopes sets it" } else { "the gateway sets it" };
            mistakes.note(format_args!("{at}.parameters.{name}"), format_args!("must be left out: {cure}"));
        }
    }
    if document.parameters.iter().flatten().any(|(name, value)| name == "response_mode" && value != "query") {
        mistakes.note(format_args!("{at}.parameters.response_mode"), "must be query: the answer comes by redirect");
    }
    for (key, value) in [("client_id", &document.client_id), ("subject_claim", &document.subject_claim)] {
        if value.as_ref().is_some_and(String::is_empty) {
            mistakes.note(format_args!("{at}.{key}"), "must not be empty");
        }
    }
    for (index, domain) in document.allowed_domains.iter().flatten().enumerate() {
        let at = format!("{at}.allowed_domains[{index}]");
        let private = ["gmail.com", "googlemail.com"].iter().any(|known| domain.eq_ignore_ascii_case(known));
        if !is_domain(domain) {
            mistakes.note(at, format_args!("must be a domain, as \"acme.example\", got {domain:?}"));
        } else if profile == LoginProfile::Google && private {
            mistakes.note(at, format_args!("{domain:?} is no domain of Google Workspace: use allowed_users"));
        }
    }
    let (groups, users) = (document.allowed_groups.as_deref(), document.allowed_users.as_deref());
    note_people(groups.unwrap_or_default(), users.unwrap_or_default(), profile, document, at, mistakes);
}

fn read_login(document: &LoginDocument, development: bool, secrets: &dyn Secrets, mistakes: &mut Mistakes) -> Login {
    let at = "authorization_server.login";
    let profile = LoginProfile::from(document.profile.unwrap_or(LoginProfileName::Generic));
    let known = profile.endpoints();
    let url = |key: &str, given: Option<&String>, known: Option<&'static str>, mistakes: &mut Mistakes| {
        let text = given.map(String::as_str).or(known)?;
        protected_url(text, &format!("{at}.{key}"), development, mistakes).map(|_| text.to_owned())
    };
    note_mixed_endpoints(document, profile, mistakes);
    let issuer = url("issuer", document.issuer.as_ref(), known.issuer, mistakes);
    let authorization_endpoint =
        url("authorization_endpoint", document.authorization_endpoint.as_ref(), known.authorization, mistakes);
    let token_endpoint = url("token_endpoint", document.token_endpoint.as_ref(), known.token, mistakes);
    let userinfo_endpoint = url("userinfo_endpoint", document.userinfo_endpoint.as_ref(), known.userinfo, mistakes);
    let revocation_endpoint = url("revocation_endpoint", document.revocation_endpoint.as_ref(), None, mistakes);
    if issuer.is_none() && document.issuer.is_none() {
        for (key, there) in [
            ("authorization_endpoint", authorization_endpoint.is_some()),
            ("token_endpoint", token_endpoint.is_some()),
            ("userinfo_endpoint", userinfo_endpoint.is_some()),
        ] {
            if !there {
                mistakes.note(format_args!("{at}.{key}"), "is required without issuer");
            }
        }
    }
    note_void_login(document, profile, issuer.as_deref(), mistakes);
    let authentication = read_authentication(document, secrets, mistakes);
    let admission = Admission {
        domains: document.allowed_domains.iter().flatten().map(|domain| domain.to_ascii_lowercase()).collect(),
        groups: document.allowed_groups.clone().unwrap_or_default(),
        users: document.allowed_users.clone().unwrap_or_default(),
        anyone: document.anyone.unwrap_or(false),
    };
    let is_limited = !(admission.domains.is_empty() && admission.groups.is_empty() && admission.users.is_empty());
    if admission.anyone == is_limited {
        mistakes.note(
            format_args!("{at}.anyone"),
            if is_limited {
                "excludes allowed_domains, allowed_groups and allowed_users"
            } else {
                "must be true, or allowed_domains, allowed_groups or allowed_users must say who may log in"
            },
        );
    }
    if profile == LoginProfile::EntraId && !admission.domains.is_empty() {
        mistakes.note(
            format_args!("{at}.allowed_domains"),
            "Entra ID does not verify domains: name the issuer of one tenant, and allow groups or anyone of it",
        );
    }
    Login {
        profile,
        issuer,
        authorization_endpoint,
        token_endpoint,
        userinfo_endpoint,
        revocation_endpoint,
        client: authentication,
        scopes: document
            .scopes
            .clone()
            .unwrap_or_else(|| profile.scopes().iter().map(|scope| (*scope).to_owned()).collect()),
        parameters: document.parameters.clone().unwrap_or_default().into_iter().collect(),
        subject_claim: document.subject_claim.clone().unwrap_or_else(|| profile.subject_claim().to_owned()),
        groups_claim: document.groups_claim.clone().unwrap_or_else(|| profile.groups_claim().to_owned()),
        admission,
    }
}

/// Notes known endpoints that are replaced only in part. The gateway must not send a token that one server issued to
/// another server.
fn note_mixed_endpoints(document: &LoginDocument, profile: LoginProfile, mistakes: &mut Mistakes) {
    let at = "authorization_server.login";
    let known = profile.endpoints();
    let endpoints = [
        ("authorization_endpoint", &document.authorization_endpoint, known.authorization),
        ("token_endpoint", &document.token_endpoint, known.token),
        ("userinfo_endpoint", &document.userinfo_endpoint, known.userinfo),
    ];
    if let Some((named, ..)) = endpoints.iter().find(|(_, given, known)| given.is_some() && known.is_some()) {
        for (key, ..) in endpoints.iter().filter(|(_, given, known)| given.is_none() && known.is_some()) {
            mistakes.note(
                format_args!("{at}.{key}"),
                format_args!(
                    "is required with {named}: name all endpoints of one server, because its tokens must not go to another"
                ),
            );
        }
    }
    if let (Some(end), Some(url)) = (profile.userinfo_ends(), &document.userinfo_endpoint)
        && !url.ends_with(end)
    {
        mistakes.note(
            format_args!("{at}.userinfo_endpoint"),
            format_args!(
                "must end in {end}, as \"https://github.acme.example/api/v3/user\": the gateway calls other paths below it, got {url:?}"
            ),
        );
    }
    if profile == LoginProfile::Github && document.issuer.is_some() {
        mistakes.note(
            format_args!("{at}.issuer"),
            "must be left out with github, which is not an OpenID provider: for a GitHub Enterprise Server name its \
             authorization_endpoint, token_endpoint and userinfo_endpoint",
        );
    }
}

/// Reads the credentials of this gateway at the provider; `None` if the gateway is to register itself, or if there is a
/// mistake.
fn read_authentication(
    document: &LoginDocument,
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> Option<(String, ClientAuthentication)> {
    let at = "authorization_server.login";
    let Some(client_id) = &document.client_id else {
        if document.secret.is_some() {
            mistakes.note(format_args!("{at}.client_id"), "is required with secret");
        }
        if document.issuer.is_none() {
            mistakes
                .note(format_args!("{at}.client_id"), "is required without issuer: the gateway cannot register itself");
        }
        return None;
    };
    let at = format!("{at}.secret");
    let Some(name) = &document.secret else {
        mistakes.note(&at, "is required with client_id");
        return None;
    };
    let text = read_secret(name, &at, secrets, mistakes)?;
    let secret = || Secret::new(text.trim().to_owned());
    let authentication = match document.authentication.unwrap_or(ClientAuthenticationName::ClientSecretBasic) {
        ClientAuthenticationName::ClientSecretBasic => ClientAuthentication::SecretBasic(secret()),
        ClientAuthenticationName::ClientSecretPost => ClientAuthentication::SecretPost(secret()),
        ClientAuthenticationName::PrivateKeyJwt => {
            ClientAuthentication::PrivateKeyJwt(Box::new(mistakes.keep(&at, SigningKey::parse(&text))?))
        }
    };
    Some((client_id.clone(), authentication))
}

impl From<LoginProfileName> for LoginProfile {
    fn from(name: LoginProfileName) -> Self {
        match name {
            LoginProfileName::Generic => Self::Generic,
            LoginProfileName::Auth0 => Self::Auth0,
            LoginProfileName::EntraId => Self::EntraId,
            LoginProfileName::Github => Self::Github,
            LoginProfileName::Google => Self::Google,
            LoginProfileName::Keycloak => Self::Keycloak,
            LoginProfileName::Okta => Self::Okta,
        }
    }
}
