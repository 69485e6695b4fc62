//! The public documents of the authorization server (RFC 8414, OpenID Connect Discovery), made from the configuration
//! alone.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::authorization_server::authorize::{known_scopes, resources};
use crate::authorization_server::client::{AuthMethod, GrantType};
use crate::authorization_server::settings::{AuthorizationServer, Registrations};
use crate::authorization_server::trusted_issuer::ID_JAG_PROFILE;
use crate::jwks::key::JwsAlgorithm;
use crate::jwks::signing_key::SigningKey;
use crate::resource::document::{MAX_AGE, PublicDocument};
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::token::binding::Requirement;

/// Metadata (RFC 8414 §2).
#[must_use]
pub fn document(server: &AuthorizationServer, settings: &Settings) -> PublicDocument {
    let scopes: BTreeSet<String> = resources(server, settings)
        .flat_map(|resource| known_scopes(server, resource).iter().map(|it| it.as_str().to_owned()).collect::<Vec<_>>())
        .chain(["offline_access".to_owned()])
        .collect();
    let methods: Vec<&str> = server.methods().map(AuthMethod::as_str).collect();
    let confidential: Vec<&str> =
        server.methods().filter(|method| *method != AuthMethod::None).map(AuthMethod::as_str).collect();
    let algorithms = JwsAlgorithm::names().collect::<Vec<_>>();
    let grants: Vec<&str> =
        GrantType::ALL.into_iter().filter(|grant| server.accepts(*grant)).map(GrantType::as_str).collect();
    let mut members = json!({
        "issuer": server.own.identifier,
        "authorization_endpoint": server.url("/authorize"),
        "token_endpoint": server.url("/token"),
        "jwks_uri": server.url("/jwks"),
        "revocation_endpoint": server.url("/revoke"),
        "introspection_endpoint": server.url("/introspect"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grants,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": confidential,
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": server.documents,
        "protected_resources": resources(server, settings).map(|it| it.identifier.as_str()).collect::<Vec<_>>(),
    });
    if let (Some(members), true) =
        (members.as_object_mut(), server.trusted_issuers.iter().any(|issuer| issuer.id_jag.is_some()))
    {
        members.insert("authorization_grant_profiles_supported".to_owned(), json!([ID_JAG_PROFILE]));
    }
    let has = |of: fn(&Resource) -> Requirement| settings.resources.iter().any(|it| of(it) != Requirement::Off);
    if let Some(members) = members.as_object_mut() {
        if has(|resource| resource.dpop) {
            members.insert("dpop_signing_alg_values_supported".to_owned(), json!(algorithms));
        }
        if has(|resource| resource.certificate_bound) {
            members.insert("tls_client_certificate_bound_access_tokens".to_owned(), json!(true));
        }
    }
    if let (Some(members), true) = (members.as_object_mut(), server.devices) {
        let url = server.url("/device_authorization");
        members.insert("device_authorization_endpoint".to_owned(), json!(url));
    }
    let rules = resources(server, settings).flat_map(|it| it.policy.iter()).flat_map(|policy| policy.rules());
    let classes: BTreeSet<&String> =
        rules.filter_map(|rule| rule.effect.sign_in()).flat_map(|sign_in| &sign_in.acr).collect();
    if let (Some(members), false) = (members.as_object_mut(), classes.is_empty()) {
        members.insert("acr_values_supported".to_owned(), json!(classes));
    }
    if let (Some(members), false) = (members.as_object_mut(), matches!(server.registrations, Registrations::Off)) {
        members.insert("registration_endpoint".to_owned(), json!(server.url("/register")));
    }
    PublicDocument { body: members.to_string(), cache_control: MAX_AGE }
}

/// The public keys of access tokens.
#[must_use]
pub fn keys(server: &AuthorizationServer) -> PublicDocument {
    let keys: Vec<Value> = server.keys.iter().map(SigningKey::public_jwk).collect();
    PublicDocument { body: json!({ "keys": keys }).to_string(), cache_control: MAX_AGE }
}
