//! Logins at the identity provider: requests to it, checks of its answers, and which users are admitted.

mod error;
mod exchange;
mod identity;
mod profile;

use crate::jwks::discovery::{Metadata, MetadataError};
use crate::oauth::client_authentication::ClientAuthentication;
use crate::oauth::scope::ScopeSet;
use crate::transport::url::HttpUrl;

pub use error::{AnswerError, IdTokenError, LoginError, TokenClaimError};
pub use exchange::{
    AuthorizationParameters, ProviderTokens, authorization_url, code_request, id_token_check, id_token_claims, object,
    revocation_request, user_request, word,
};
pub use identity::{Identity, carried_as};
pub use profile::{KnownEndpoints, LoginProfile};

/// How users log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The provider.
    pub profile: LoginProfile,
    /// Its issuer identifier, if it supports OpenID.
    pub issuer: Option<String>,
    /// The endpoint to which the gateway sends users, unless it comes from discovery.
    pub authorization_endpoint: Option<String>,
    /// The endpoint at which the gateway redeems codes, unless it comes from discovery.
    pub token_endpoint: Option<String>,
    /// The endpoint at which the gateway asks who the user is, if it is configured or preset.
    pub userinfo_endpoint: Option<String>,
    /// The endpoint at which the gateway revokes the provider's tokens, unless it comes from discovery.
    pub revocation_endpoint: Option<String>,
    /// The credentials of this gateway at the provider; `None` if it registers itself.
    pub client: Option<(String, ClientAuthentication)>,
    /// Scopes that the gateway requests.
    pub scopes: Vec<String>,
    /// Additional parameters of the authorization request.
    pub parameters: Vec<(String, String)>,
    /// The claim that holds the subject.
    pub subject_claim: String,
    /// The claim that holds the groups.
    pub groups_claim: String,
    /// Which users may log in.
    pub admission: Admission,
}

/// Which users may log in.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Users of these domains.
    pub domains: Vec<String>,
    /// Members of these groups.
    pub groups: Vec<String>,
    /// These users.
    pub users: Vec<String>,
    /// Every user of the provider.
    pub anyone: bool,
}

/// Which users may be granted some scopes.
#[derive(Debug, Clone)]
pub struct Entitlement {
    /// The scopes.
    pub scopes: ScopeSet,
    /// Members of these groups.
    pub groups: Vec<String>,
    /// These users.
    pub users: Vec<String>,
}

/// The endpoints of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Where the gateway sends users.
    pub authorization: String,
    /// Where the gateway redeems codes.
    pub token: String,
    /// Where the gateway asks who the user is.
    pub userinfo: Option<String>,
    /// The URL of its keys.
    pub jwks: Option<String>,
    /// Where the gateway revokes its tokens.
    pub revocation: Option<String>,
    /// Where clients register.
    pub registration: Option<String>,
    /// Its authorization responses have `iss` (RFC 9207).
    pub names_itself: bool,
}

impl Login {
    /// The endpoints, if they are known without discovery.
    #[must_use]
    pub fn configured(&self) -> Option<Provider> {
        if self.issuer.is_some() {
            return None;
        }
        Some(Provider {
            authorization: self.authorization_endpoint.clone()?,
            token: self.token_endpoint.clone()?,
            userinfo: self.userinfo_endpoint.clone(),
            jwks: None,
            revocation: self.revocation_endpoint.clone(),
            registration: None,
            names_itself: false,
        })
    }

    /// The endpoints in a discovery document; configured endpoints have precedence.
    ///
    /// # Errors
    /// A description if an endpoint that logins need is missing, or is one that the gateway must not call (P8).
    pub fn discovered(&self, metadata: &Metadata<'_>) -> Result<Provider, MetadataError> {
        let optional = |member: &'static str, configured: &Option<String>| {
            configured.clone().or_else(|| metadata.optional_url(member))
        };
        let authorization =
            self.authorization_endpoint.clone().map_or_else(|| metadata.browser_url("authorization_endpoint"), Ok);
        Ok(Provider {
            authorization: authorization?,
            token: self.token_endpoint.clone().map_or_else(|| metadata.url("token_endpoint"), Ok)?,
            userinfo: optional("userinfo_endpoint", &self.userinfo_endpoint),
            jwks: Some(metadata.url("jwks_uri")?),
            revocation: optional("revocation_endpoint", &self.revocation_endpoint),
            registration: metadata.optional_url("registration_endpoint"),
            names_itself: metadata.says("authorization_response_iss_parameter_supported"),
        })
    }

    /// The host at which users log in, for the consent page.
    #[must_use]
    pub fn host(&self) -> String {
        let url = self.issuer.as_deref().or(self.authorization_endpoint.as_deref()).unwrap_or_default();
        HttpUrl::parse(url).map(|url| url.authority().to_string()).unwrap_or_default()
    }
}
