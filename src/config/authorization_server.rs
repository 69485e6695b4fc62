//! The authorization server as configuration has it.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::authorization_server::client::{Client, RedirectRules};
use crate::authorization_server::login::{Entitlement, Login};
use crate::authorization_server::seal::Seals;
#[cfg(feature = "authorization-server")]
pub(super) use crate::config::authorization_server_reading::read;
#[cfg(not(feature = "authorization-server"))]
use crate::config::{Mistakes, Secrets};
use crate::jwks::key::JwsAlgorithm;
use crate::jwks::key_set::KeySet;
use crate::jwks::signing_key::SigningKey;
use crate::oauth::scope::ScopeSet;
use crate::secret::Secret;
use crate::token::issuer::{Issuer, IssuerKeys, TokenType};
use crate::token::principal::Interests;
use crate::token::profile::Profile;
#[cfg(not(feature = "authorization-server"))]
use crate::transport::url::HttpUrl;

/// Who may register clients.
#[derive(Debug, Clone)]
pub enum Registrations {
    /// Nobody.
    Off,
    /// Everybody.
    Open,
    /// Who has this.
    Token(Secret),
}

/// The authorization server.
#[derive(Debug, Clone)]
pub struct AuthorizationServer {
    /// The name by which resources refer to it.
    pub name: String,
    /// The issuer identifier.
    pub issuer: String,
    /// Its path, empty where there is none.
    pub path: String,
    /// Signing keys, the first signs.
    pub keys: Vec<SigningKey>,
    /// What seals.
    pub seals: Seals,
    /// Where records are.
    pub binding: String,
    /// How people log in.
    pub login: Login,
    /// Scopes in words.
    pub words: BTreeMap<String, String>,
    /// Who may be granted what.
    pub entitlements: Vec<Entitlement>,
    /// Claims that tokens carry.
    pub token_claims: Vec<String>,
    /// Who may register.
    pub registrations: Registrations,
    /// What registrations count against.
    pub registration_limit: Option<String>,
    /// Seconds that an unused client is kept.
    pub registration_seconds: u64,
    /// Clients may be documents.
    pub documents: bool,
    /// On these domains; anywhere, where there are none.
    pub document_domains: Vec<String>,
    /// Schemes of redirect URIs.
    pub redirect_schemes: Vec<String>,
    /// Clients that are known beforehand.
    pub clients: Vec<Client>,
    /// Seconds that an access token lives.
    pub access_token_seconds: u64,
    /// Seconds that a refresh token lives unused.
    pub refresh_token_seconds: u64,
    /// Seconds that a grant lives.
    pub grant_seconds: u64,
    /// What administrators come with.
    pub admin: Option<Secret>,
}

impl AuthorizationServer {
    /// What of redirect URIs is taken.
    #[must_use]
    pub fn redirect_rules(&self) -> RedirectRules<'_> {
        RedirectRules { schemes: &self.redirect_schemes }
    }

    /// The URL of an endpoint.
    #[must_use]
    pub fn url(&self, endpoint: &str) -> String {
        format!("{}{endpoint}", self.issuer)
    }

    /// The issuer as resources verify its tokens: its own keys, no look-up.
    pub(super) fn as_issuer(&self) -> Option<Issuer> {
        let keys: Vec<Value> = self.keys.iter().map(SigningKey::public_jwk).collect();
        let keys = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).ok()?;
        Some(Issuer {
            name: self.name.clone(),
            identifier: self.issuer.clone(),
            profile: Profile::Generic,
            tenants: Vec::new(),
            claims: Vec::new(),
            grant_scopes: ScopeSet::default(),
            interests: Rc::new(Interests::default()),
            introspection: None,
            keys: IssuerKeys::Own(Box::new(keys)),
            algorithms: vec![JwsAlgorithm::Es256, JwsAlgorithm::EdDsa],
            token_types: vec![TokenType::Named("at+jwt".to_owned())],
            leeway: 0,
        })
    }
}

/// A Worker without the authorization server says so.
#[cfg(not(feature = "authorization-server"))]
pub(super) fn read(
    _: &crate::config::document::AuthorizationServerDocument,
    _: &HttpUrl,
    _: bool,
    _: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> Option<AuthorizationServer> {
    let why = "this Worker was built without it: docs/authorization-server.md says how to build one with it";
    mistakes.note("authorization_server", why);
    None
}
