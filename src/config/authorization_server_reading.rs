//! Reads the table of the authorization server.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::authorization_server::client::DANGEROUS_SCHEMES;
use crate::authorization_server::login::{Entitlement, Login, carried_as};
use crate::authorization_server::settings::{AuthorizationServer, Registrations};
use crate::config::authorization_server_document::{AuthorizationServerDocument, RegistrationName};
use crate::config::client_reading::read_clients;
use crate::config::login_reading::{is_domain, note_people, read_logins};
use crate::config::mistakes::Mistakes;
use crate::config::ranges;
use crate::config::trusted_issuers_reading::{self, Surroundings};
use crate::config::values::{self, Secrets, is_name, read_long_secret, read_scopes, read_signing_keys};
use crate::oauth::scope::Scope;
use crate::policy::sign_in::{ACR, AMR};
use crate::seal::Seals;
use crate::secret::Secret;
use crate::settings::OwnIssuer;
use crate::token::issuer::Issuer;
use crate::transport::path::CanonicalPath;
use crate::transport::url::HttpUrl;

const DAY: u64 = 24 * 60 * 60;

pub(super) fn read(
    document: &AuthorizationServerDocument,
    (public_url, issuers): (&HttpUrl, &[Issuer]),
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
    let (login, other_logins) = read_logins(document, public_url, development, secrets, mistakes);
    let mut words = BTreeMap::new();
    for (scope, text) in document.scopes.iter().flatten() {
        mistakes.keep(format_args!("{at}.scopes.{scope}"), Scope::parse(scope));
        words.insert(scope.clone(), text.clone());
    }
    let entitlements = read_entitlements(document, &login, mistakes);
    let mut token_claims = document.token_claims.clone().unwrap_or_default();
    note_token_claims(&token_claims, &login, mistakes);
    // Tokens have these of the ID token of the sign-in in any case; what the provider says later is not about that sign-in.
    let of_sign_in = |entry: &str| carried_as(entry, &login.groups_claim).is_ok_and(|name| [ACR, AMR].contains(&name));
    for (index, entry) in token_claims.iter().enumerate().filter(|(_, entry)| of_sign_in(entry)) {
        if login.issuer.is_none() {
            let why = format_args!("needs login.issuer: only an ID token proves how a user signed in, got {entry:?}");
            mistakes.note(format_args!("{at}.token_claims[{index}]"), why);
        }
    }
    token_claims.retain(|entry| !of_sign_in(entry));
    note_document_domains(document.client_document_domains.as_deref(), mistakes);
    let registrations = read_registrations(document, secrets, mistakes);
    let redirect_schemes = read_redirect_schemes(document, mistakes);
    let clients = read_clients(document, &redirect_schemes, development, secrets, mistakes);
    let trusted = document.trusted_issuers.as_deref().unwrap_or_default();
    let own = format!("{}{}", public_url.web_origin(), path.as_deref().unwrap_or_default());
    let around = Surroundings { login: &login, other_logins: &other_logins, own: &own, issuers, development, secrets };
    let trusted_issuers = trusted_issuers_reading::read(trusted, around, mistakes);
    let mut number = |key: &str, value, range| values::bounded(value, range, &format!("{at}.{key}"), mistakes);
    let access_token_seconds = number("access_token_seconds", document.access_token_seconds, ranges::ACCESS_TOKEN);
    let revocation_seconds = number("revocation_seconds", document.revocation_seconds, ranges::OWN_REVOCATION);
    let refresh_token_days = number("refresh_token_days", document.refresh_token_days, ranges::REFRESH_TOKEN_DAYS);
    let refresh_grace_seconds = number("refresh_grace_seconds", document.refresh_grace_seconds, ranges::REFRESH_GRACE);
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
            identifier: own,
            path,
            devices: document.device_authorization.unwrap_or(false),
            certificates: document.client_certificates.unwrap_or(false),
            scope_descriptions: words,
        }),
        keys,
        seals: Seals::of(&seals),
        binding: document.binding.clone(),
        login,
        other_logins,
        devices: document.device_authorization.unwrap_or(false),
        certificates: document.client_certificates.unwrap_or(false),
        entitlements,
        token_claims,
        registrations,
        registration_limit: document.registration_limit_binding.clone(),
        registration_seconds: registration_days * DAY,
        documents: document.client_documents.unwrap_or(true),
        document_domains: document.client_document_domains.clone().unwrap_or_default(),
        redirect_schemes,
        clients,
        trusted_issuers,
        access_token_seconds,
        revocation_seconds,
        refresh_token_seconds: refresh_token_days * DAY,
        refresh_grace_seconds,
        grant_seconds: grant_days * DAY,
        admin,
    })
}

/// Reads the schemes of applications that redirect URIs may have.
fn read_redirect_schemes(document: &AuthorizationServerDocument, mistakes: &mut Mistakes) -> Vec<String> {
    let at = "authorization_server";
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
    redirect_schemes
}

fn read_entitlements(
    document: &AuthorizationServerDocument,
    login: &Login,
    mistakes: &mut Mistakes,
) -> Vec<Entitlement> {
    let mut entitlements = Vec::new();
    for (index, entry) in document.entitlements.iter().flatten().enumerate() {
        let here = format!("authorization_server.entitlements[{index}]");
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
    entitlements
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
