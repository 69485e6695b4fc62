//! The gateway's own authorization server: read from its table, and as an issuer that resources can accept.

use serde_json::{Value, json};

use crate::authorization_server::settings::AuthorizationServer;
use crate::jwks::key::JwsAlgorithm;
use crate::jwks::key_set::KeySet;
use crate::jwks::signing_key::SigningKey;
use crate::oauth::scope::ScopeSet;
use crate::token::issuer::{Issuer, IssuerKeys};
use crate::token::profile::Profile;
use crate::token::revocation::index::RevocationIndexSettings;
use crate::token::untrusted::TokenType;

#[cfg(feature = "authorization-server")]
pub(super) use crate::config::authorization_server_reading::read;

/// The authorization server as an issuer: resources verify its tokens with its own keys, without a look-up.
pub(super) fn as_issuer(server: &AuthorizationServer) -> Option<Issuer> {
    let keys: Vec<Value> = server.keys.iter().map(SigningKey::public_jwk).collect();
    let keys = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).ok()?;
    Some(Issuer {
        index: 0,
        name: server.own.name.clone(),
        identifier: server.own.identifier.clone(),
        profile: Profile::Generic,
        tenants: Vec::new(),
        claims: Vec::new(),
        grant_scopes: ScopeSet::default(),
        introspection: None,
        keys: IssuerKeys::Own(Box::new(keys)),
        algorithms: vec![JwsAlgorithm::Es256, JwsAlgorithm::EdDsa],
        token_types: vec![TokenType::Named("at+jwt".to_owned())],
        leeway: 0,
        is_signalled: false,
        ignore_key_headers: false,
    })
}

/// Marks the issuers about whose users the gateway receives signals.
pub(super) fn note_signalled(server: Option<&AuthorizationServer>, issuers: &mut [Issuer]) {
    let rules = server.into_iter().flat_map(|server| &server.trusted_issuers).filter_map(|it| it.signals.as_ref());
    for identifier in rules.flat_map(|rules| &rules.issuers) {
        for issuer in issuers.iter_mut().filter(|issuer| issuer.identifier == *identifier) {
            issuer.is_signalled = true;
        }
    }
}

/// Where the index of what the authorization server revoked is.
pub(super) fn revocation_index(server: &AuthorizationServer) -> RevocationIndexSettings {
    RevocationIndexSettings { binding: server.binding.clone(), seconds: server.revocation_seconds }
}

/// In a Worker that is built without the authorization server, its table is a mistake.
#[cfg(not(feature = "authorization-server"))]
pub(super) fn read(
    _: &crate::config::document::AuthorizationServerDocument,
    _: (&crate::transport::url::HttpUrl, &[Issuer]),
    _: bool,
    _: &dyn crate::config::values::Secrets,
    mistakes: &mut crate::config::mistakes::Mistakes,
) -> Option<AuthorizationServer> {
    let why =
        "this Worker was built without the authorization server: docs/authorization-server.md says how to include it";
    mistakes.note("authorization_server", why);
    None
}
