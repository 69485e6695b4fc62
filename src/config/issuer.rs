//! Reads issuers: authorization servers whose tokens the gateway accepts.

use crate::config::ranges;
use crate::config::values::bounded;
use std::rc::Rc;

use crate::config::credentials::read_introspection;
use crate::config::document::{IssuerDocument, ProfileName};
use crate::config::mistakes::Mistakes;
use crate::config::values::{Secrets, is_name, note_metadata_url, protected_url, read_scopes};
use crate::jwks::key::JwsAlgorithm;
use crate::jwks::spki::parse_public_key;
use crate::token::issuer::{Issuer, IssuerKeys};
use crate::token::profile::{Profile, TENANT};
use crate::token::untrusted::TokenType;
use crate::transport::url::HttpUrl;

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Generic => Self::Generic,
            ProfileName::Auth0 => Self::Auth0,
            ProfileName::CloudflareAccess => Self::CloudflareAccess,
            ProfileName::Cognito => Self::Cognito,
            ProfileName::EntraId => Self::EntraId,
            ProfileName::Google => Self::Google,
            ProfileName::Keycloak => Self::Keycloak,
            ProfileName::Okta => Self::Okta,
        }
    }
}

const DEFAULT_ALGORITHMS: [JwsAlgorithm; 3] = [JwsAlgorithm::Rs256, JwsAlgorithm::Es256, JwsAlgorithm::EdDsa];

pub(super) fn read(
    document: &IssuerDocument,
    index: usize,
    development: bool,
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> Option<Issuer> {
    let at = &format!("issuers[{index}]");
    let before = mistakes.lines().len();
    let name = &document.name;
    let profile = document.profile.map_or(Profile::Generic, Profile::from);
    if document.issuer.contains('{') && !document.issuer.contains(TENANT) {
        mistakes.note(
            format!("{at}.issuer"),
            format_args!("must have {TENANT} in place of the tenant, in this spelling, got {:?}", document.issuer),
        );
    }
    if !is_name(name) {
        mistakes.note(format!("{at}.name"), format_args!("must be 1 to 64 letters, digits, -, _ or ., got {name:?}"));
    }
    let url = protected_url(&document.issuer, &format!("{at}.issuer"), development, mistakes);
    if url.as_ref().is_some_and(|url| url.query().is_some()) {
        mistakes.note(format!("{at}.issuer"), "must not have a query (RFC 8414 §2)");
    }
    note_identifier(&document.issuer, profile, at, mistakes);
    let tenants = tenants(document, at, mistakes);
    let jwks_uri = document.jwks_uri.clone().or_else(|| profile.jwks_uri(&document.issuer));
    let keys = match (&document.public_key, &jwks_uri) {
        (Some(_), Some(_)) if document.jwks_uri.is_some() => {
            mistakes.note(format!("{at}.public_key"), "excludes jwks_uri: a key is either static or fetched");
            None
        }
        (Some(text), _) => mistakes
            .keep(format!("{at}.public_key"), parse_public_key(text))
            .map(|key| IssuerKeys::Static(Box::new(key))),
        (None, Some(uri)) => {
            protected_url(uri, &format!("{at}.jwks_uri"), development, mistakes).map(|_| IssuerKeys::At(uri.clone()))
        }
        (None, None) if document.issuer.contains(TENANT) => {
            mistakes.note(format!("{at}.jwks_uri"), "is required where issuer has {tenantid}: it has no metadata");
            None
        }
        (None, None) => url.map(IssuerKeys::Discovered),
    };
    let algorithms = algorithms(document, at, mistakes);
    if let Some(IssuerKeys::Static(key)) = &keys
        && !algorithms.iter().any(|&algorithm| key.fits(algorithm))
    {
        mistakes.note(format!("{at}.algorithms"), "names no algorithm that fits public_key");
    }
    let token_types = match &document.token_types {
        None => profile.token_types().iter().map(|typ| TokenType::configured(typ)).collect(),
        Some(types) => {
            if types.is_empty() {
                mistakes.note(format!("{at}.token_types"), "must name at least one type, as [\"at+jwt\"]");
            }
            for (index, typ) in types.iter().enumerate() {
                if typ != "absent" && matches!(typ.to_ascii_lowercase().as_str(), "" | "none" | "null" | "*" | "absent")
                {
                    mistakes.note(
                        format!("{at}.token_types[{index}]"),
                        format_args!("must be \"absent\" to accept tokens without typ, got {typ:?}"),
                    );
                }
            }
            types.iter().map(|typ| TokenType::configured(typ)).collect()
        }
    };
    let claims = claims(document, at, mistakes);
    let grant_scopes =
        read_scopes(document.grant_scopes.as_deref().unwrap_or_default(), &format!("{at}.grant_scopes"), mistakes);
    let introspection = document
        .introspection
        .as_ref()
        .and_then(|table| read_introspection(table, &format!("{at}.introspection"), development, secrets, mistakes));
    if let Some(asked) = introspection.as_ref().filter(|_| document.issuer.contains(TENANT)) {
        if asked.endpoint.is_none() {
            mistakes.note(format!("{at}.introspection.endpoint"), "is required where issuer has {tenantid}");
        }
        if asked.signed_response {
            mistakes.note(
                format!("{at}.introspection.signed_response"),
                "cannot be used where issuer has {tenantid}: the signed answer names one tenant",
            );
        }
    }
    let leeway = bounded(document.leeway_seconds, ranges::LEEWAY, &format!("{at}.leeway_seconds"), mistakes);
    let keys = keys?;
    (mistakes.lines().len() == before).then(|| Issuer {
        is_signalled: false,
        index,
        name: name.clone(),
        identifier: document.issuer.clone(),
        profile,
        tenants,
        claims,
        grant_scopes,
        introspection: introspection.map(Rc::new),
        keys,
        algorithms,
        token_types,
        leeway,
        ignore_key_headers: document.ignore_key_headers.unwrap_or_default(),
    })
}

fn claims(document: &IssuerDocument, at: &str, mistakes: &mut Mistakes) -> Vec<(String, Vec<String>)> {
    let named = document.claims.iter().flatten();
    for (name, values) in named.clone() {
        if name.is_empty() || name == "/" {
            mistakes.note(format!("{at}.claims"), "must name each claim: one has an empty name");
        } else if values.is_empty() {
            mistakes.note(format!("{at}.claims.{name}"), "must name at least one value");
        }
    }
    named.map(|(name, values)| (name.clone(), values.clone())).collect()
}

/// Notes identifiers that no token and no metadata has.
fn note_identifier(identifier: &str, profile: Profile, at: &str, mistakes: &mut Mistakes) {
    let at = format!("{at}.issuer");
    note_metadata_url(identifier, &at, mistakes);
    let segment = HttpUrl::parse(identifier)
        .ok()
        .and_then(|url| url.path().trim_start_matches('/').split('/').next().map(str::to_owned));
    let segment = segment.unwrap_or_default();
    if profile == Profile::EntraId && matches!(segment.as_str(), "common" | "organizations" | "consumers") {
        mistakes.note(
            &at,
            format_args!("must have the id of the tenant, or {TENANT} with tenants: no token is from {segment:?}"),
        );
    }
    if matches!(profile, Profile::CloudflareAccess | Profile::Google) && identifier.ends_with('/') {
        mistakes.note(&at, format_args!("must not end in a slash, because iss of tokens does not, got {identifier:?}"));
    }
}

fn tenants(document: &IssuerDocument, at: &str, mistakes: &mut Mistakes) -> Vec<String> {
    let at = format!("{at}.tenants");
    let named = document.tenants.clone().unwrap_or_default();
    match (document.issuer.matches(TENANT).count(), named.is_empty()) {
        (0, false) => mistakes.note(at, "is only for an issuer that contains {tenantid}"),
        (1, true) => mistakes.note(at, "must name the tenants whose tokens are accepted"),
        (0, true) => {}
        (1, false) => {
            for (index, tenant) in named.iter().enumerate() {
                if tenant.is_empty() || !tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                    mistakes.note(format!("{at}[{index}]"), format_args!("must be the id of a tenant, got {tenant:?}"));
                }
            }
        }
        _ => mistakes.note(at, "needs an issuer that contains {tenantid} exactly once"),
    }
    named
}

fn algorithms(document: &IssuerDocument, at: &str, mistakes: &mut Mistakes) -> Vec<JwsAlgorithm> {
    let Some(names) = &document.algorithms else {
        return DEFAULT_ALGORITHMS.to_vec();
    };
    if names.is_empty() {
        mistakes.note(format!("{at}.algorithms"), "must name at least one algorithm");
    }
    let known = JwsAlgorithm::names().collect::<Vec<_>>().join(", ");
    let read = names.iter().enumerate().filter_map(|(index, name)| {
        let algorithm = JwsAlgorithm::parse(name);
        if algorithm.is_none() {
            let path = format!("{at}.algorithms[{index}]");
            mistakes.note(path, format_args!("must be one of {known}, got {name:?}"));
        }
        algorithm
    });
    read.collect()
}
