//! Links to the page on which a user connects an account: sealed, for one user and one resource, for a while.

use serde::{Deserialize, Serialize};

use crate::authorization_server::settings::AuthorizationServer;
use crate::seal::Nonce;

/// What a link is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectLink {
    /// Who may use it.
    pub subject: String,
    /// The identifier of the resource.
    pub resource: String,
    /// The scopes that the origin server asked for, beside those of the configuration; separated by spaces.
    pub scope: String,
    /// The second at which it expires.
    pub until: u64,
    /// Random, so that it can be used only once.
    pub id: String,
}

const USAGE: &str = "connect link";

impl ConnectLink {
    /// The text in the URL.
    #[must_use]
    pub fn sealed(&self, server: &AuthorizationServer, nonce: &Nonce) -> String {
        server.seals.seal(self, USAGE, &context(server), nonce)
    }

    /// The URL.
    #[must_use]
    pub fn url(&self, server: &AuthorizationServer, nonce: &Nonce) -> String {
        url(server, &self.sealed(server, nonce))
    }

    /// Opens the text of a URL, if this gateway made it and it has not expired.
    #[must_use]
    pub fn open(sealed: &str, server: &AuthorizationServer, now: u64) -> Option<Self> {
        server.seals.open::<Self>(sealed, USAGE, &context(server)).filter(|link| now < link.until)
    }
}

/// Where links are valid: another identity provider may have other users with the same subjects.
fn context(server: &AuthorizationServer) -> String {
    format!("{} {}", server.own.identifier, server.login.identity())
}

/// The URL of a link with this text.
#[must_use]
pub fn url(server: &AuthorizationServer, sealed: &str) -> String {
    format!("{}?link={sealed}", server.url("/connect"))
}
