//! What configuration says of the authorization server.

use std::rc::Rc;

use crate::authorization_server::client::{Client, RedirectRules};
use crate::authorization_server::login::{Entitlement, Login};
use crate::authorization_server::seal::Seals;
use crate::jwks::signing_key::SigningKey;
use crate::secret::Secret;
use crate::settings::OwnIssuer;

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
    /// What others see of it.
    pub own: Rc<OwnIssuer>,
    /// Signing keys, the first signs.
    pub keys: Vec<SigningKey>,
    /// What seals.
    pub seals: Seals,
    /// Where records are.
    pub binding: String,
    /// How people log in.
    pub login: Login,
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
        self.own.url(endpoint)
    }
}
