//! Reads the clients that the configuration of the authorization server names.

use crate::transport::url::HttpUrl;
use crate::transport::url::Scheme;
use serde_json::{Map, Value, json};

use crate::authorization_server::client::{
    AuthMethod, Client, ClientMetadata, GrantType, RedirectRules, Source, client_url,
};
use crate::authorization_server::state::Hash;
use crate::authorization_server::trusted_issuer::JWT_BEARER;
use crate::config::authorization_server_document::{AuthorizationServerDocument, ClientDocument};
use crate::config::mistakes::Mistakes;
use crate::config::trusted_issuers_reading::read_workload;
use crate::config::values::{Secrets, read_long_secret, read_scopes};
use crate::strict_json;

pub(super) fn read_clients(
    document: &AuthorizationServerDocument,
    schemes: &[String],
    development: bool,
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> Vec<Client> {
    let mut clients: Vec<Client> = Vec::new();
    for (index, entry) in document.clients.iter().flatten().enumerate() {
        let at = format!("authorization_server.clients[{index}]");
        let context = (document, schemes, development);
        let Some(client) = read_client(entry, &at, context, secrets, mistakes) else { continue };
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
    (document, schemes, development): (&AuthorizationServerDocument, &[String], bool),
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
    let mut default: Vec<&str> = Vec::new();
    if entry.redirect_uris.is_some() {
        default.extend(["authorization_code", "refresh_token"]);
    }
    if entry.workload.is_some() {
        default.extend(["client_credentials", JWT_BEARER]);
    }
    let grants = entry.grant_types.clone().unwrap_or_else(|| default.into_iter().map(str::to_owned).collect());
    for (index, name) in grants.iter().enumerate() {
        if GrantType::parse(name).is_none() {
            let known = GrantType::ALL.map(GrantType::as_str).join(", ");
            mistakes
                .note(format_args!("{at}.grant_types[{index}]"), format_args!("must be one of {known}, got {name:?}"));
        }
    }
    // A client that only introspects tokens has no grant types. `ClientMetadata::read` requires one, so it gets one
    // that is removed again below.
    let only_asks = grants.is_empty() && entry.introspection == Some(true);
    put("grant_types", if only_asks { json!(["client_credentials"]) } else { json!(grants) });
    let (prefixes, uris): (Vec<&String>, Vec<&String>) =
        entry.redirect_uris.iter().flatten().partition(|uri| uri.ends_with("/*"));
    put("redirect_uris", json!(uris));
    put("dpop_bound_access_tokens", json!(entry.dpop_bound_access_tokens.unwrap_or(false)));
    if let Some(name) = &entry.client_name {
        put("client_name", json!(name));
    }
    if let Some(subject) = &entry.tls_client_auth_subject_dn {
        put("tls_client_auth_subject_dn", json!(subject));
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
    // Without a complete URI, `ClientMetadata::read` would ask for one.
    let only_prefixes = uris.is_empty() && !prefixes.is_empty();
    if only_prefixes {
        members.insert("redirect_uris".to_owned(), json!(["https://prefix.invalid/"]));
    }
    let read = ClientMetadata::read(&members, RedirectRules { schemes, leaves_out: false })
        .map_err(|error| format!("{error} ({})", error.code().as_str()));
    let mut metadata = mistakes.keep(at, read)?;
    if only_asks {
        metadata.grant_types.clear();
    }
    if only_prefixes {
        metadata.redirect_uris.clear();
    }
    metadata.redirect_prefixes = prefixes.iter().filter_map(|uri| Some(uri.strip_suffix('*')?.to_owned())).collect();
    let issuers = document.trusted_issuers.as_deref().unwrap_or_default();
    let workload = entry.workload.as_ref();
    let workload = workload.and_then(|table| read_workload(table, issuers, &format!("{at}.workload"), mistakes));
    if entry.workload.is_some() {
        metadata.auth_method = AuthMethod::PrivateKeyJwt;
    }
    if metadata.may(GrantType::JwtBearer) && issuers.is_empty() {
        mistakes.note(format_args!("{at}.grant_types"), format_args!("{JWT_BEARER} needs trusted_issuers"));
    }
    if metadata.may(GrantType::DeviceCode) && document.device_authorization != Some(true) {
        let name = GrantType::DeviceCode.as_str();
        mistakes.note(format_args!("{at}.grant_types"), format_args!("{name} needs device_authorization = true"));
    }
    if metadata.auth_method.has_certificate() && document.client_certificates != Some(true) {
        let why = format_args!("{} needs client_certificates = true", metadata.auth_method.as_str());
        mistakes.note(format_args!("{at}.token_endpoint_auth_method"), why);
    }
    if entry.tls_client_auth_subject_dn.is_some() && metadata.auth_method != AuthMethod::TlsClientAuth {
        mistakes.note(format_args!("{at}.tls_client_auth_subject_dn"), "is for clients that use tls_client_auth");
    }
    if metadata.auth_method == AuthMethod::None
        && (metadata.may(GrantType::JwtBearer)
            || metadata.may(GrantType::ClientCredentials)
            || entry.introspection == Some(true))
    {
        mistakes.note(
            format_args!("{at}.token_endpoint_auth_method"),
            "must not be none for client_credentials, introspection or assertions: any caller could act as that client",
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
        workload,
    })
}

/// Notes keys of a client that can never work.
fn note_void_client(entry: &ClientDocument, at: &str, development: bool, mistakes: &mut Mistakes) {
    for (index, uri) in entry.redirect_uris.iter().flatten().enumerate() {
        let fixed = uri.strip_suffix("/*").unwrap_or(uri);
        if fixed.contains(['*', '{', '}']) {
            mistakes.note(
                format_args!("{at}.redirect_uris[{index}]"),
                format_args!("must be one complete URI, or end in /* for one more segment of the path, got {uri:?}"),
            );
        } else if fixed.len() < uri.len() {
            let url = HttpUrl::parse(fixed).ok();
            let fits =
                url.is_some_and(|url| url.scheme() == Scheme::Https && url.path().len() > 1 && url.query().is_none());
            if !fits {
                mistakes.note(
                    format_args!("{at}.redirect_uris[{index}]"),
                    format_args!(
                        "must be https with a path before /*, as \"https://chatgpt.com/connector/oauth/*\", got {uri:?}"
                    ),
                );
            }
        }
    }
    if entry.scopes.as_ref().is_some_and(Vec::is_empty) {
        mistakes.note(
            format_args!("{at}.scopes"),
            "must name at least one scope; remove the key to allow any that users grant",
        );
    }
    let grants: Vec<&str> = entry.grant_types.iter().flatten().map(String::as_str).collect();
    if (grants.contains(&"client_credentials") || entry.workload.is_some()) && entry.scopes.is_none() {
        mistakes.note(
            format_args!("{at}.scopes"),
            "is required with client_credentials and with workload: the client gets no other scopes",
        );
    }
    for (key, is_set) in [
        ("token_endpoint_auth_method", entry.token_endpoint_auth_method.is_some()),
        ("secret", entry.secret.is_some()),
        ("jwks", entry.jwks.is_some()),
        ("jwks_uri", entry.jwks_uri.is_some()),
    ] {
        if is_set && entry.workload.is_some() {
            mistakes.note(
                format_args!("{at}.{key}"),
                "excludes workload: assertions of a platform authenticate the client",
            );
        }
    }
    let gives_refresh_tokens =
        |name: &&str| matches!(GrantType::parse(name), Some(GrantType::AuthorizationCode | GrantType::DeviceCode));
    if grants.contains(&"refresh_token") && !grants.iter().any(gives_refresh_tokens) {
        mistakes.note(
            format_args!("{at}.grant_types"),
            "refresh_token needs authorization_code or device_code: no other grant gives a refresh token",
        );
    }
    if let Some(Err(why)) = entry.jwks_uri.as_deref().map(|uri| client_url(uri, development)) {
        mistakes.note(format_args!("{at}.jwks_uri"), format_args!("{why}, got {:?}", entry.jwks_uri));
    }
}
