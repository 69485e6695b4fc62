//! Logins at the identity provider: what is asked there, what its answers must be, and who may come in.

mod exchange;
mod identity;
mod profile;

use crate::jwks::discovery::Metadata;
use crate::oauth::client_credentials::ClientAuthentication;
use crate::oauth::scope::ScopeSet;
use crate::transport::url::HttpUrl;

pub use exchange::{
    Asking, ProviderTokens, authorization_url, code_request, id_token_check, id_token_claims, object,
    revocation_request, user_request, word,
};
pub use identity::{Identity, carried_as};
pub use profile::{KnownEndpoints, LoginProfile};

/// How people log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The provider.
    pub profile: LoginProfile,
    /// Its issuer identifier, where it speaks OpenID.
    pub issuer: Option<String>,
    /// Where users are sent, where that is not to be discovered.
    pub authorization_endpoint: Option<String>,
    /// Where codes are redeemed, likewise.
    pub token_endpoint: Option<String>,
    /// Where it says who the user is, likewise.
    pub userinfo_endpoint: Option<String>,
    /// Where its tokens are revoked, likewise.
    pub revocation_endpoint: Option<String>,
    /// This gateway there; nothing where it registers itself.
    pub client: Option<(String, ClientAuthentication)>,
    /// Scopes that are asked for.
    pub scopes: Vec<String>,
    /// More parameters.
    pub parameters: Vec<(String, String)>,
    /// The claim that is the subject.
    pub subject_claim: String,
    /// The claim with groups.
    pub groups_claim: String,
    /// Who may log in.
    pub admission: Admission,
}

/// Who may log in.
#[derive(Debug, Clone)]
pub struct Admission {
    /// People of these domains.
    pub domains: Vec<String>,
    /// Members of these groups.
    pub groups: Vec<String>,
    /// These people.
    pub users: Vec<String>,
    /// Everybody.
    pub anyone: bool,
}

/// Who may be granted some scopes.
#[derive(Debug, Clone)]
pub struct Entitlement {
    /// The scopes.
    pub scopes: ScopeSet,
    /// Groups.
    pub groups: Vec<String>,
    /// People.
    pub users: Vec<String>,
}

/// Where everything is at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Where users are sent.
    pub authorization: String,
    /// Where codes are redeemed.
    pub token: String,
    /// Where it says who the user is.
    pub userinfo: Option<String>,
    /// Its keys.
    pub jwks: Option<String>,
    /// Where its tokens are revoked.
    pub revocation: Option<String>,
    /// Where clients register.
    pub registration: Option<String>,
    /// It names itself in its authorization responses (RFC 9207).
    pub names_itself: bool,
}

impl Login {
    /// Whether everything is known without discovery.
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

    /// What a discovery document says, under what configuration says.
    ///
    /// # Errors
    /// A description where an endpoint that logins need is missing, or is none that the gateway may ask (P8).
    pub fn discovered(&self, metadata: &Metadata<'_>) -> Result<Provider, String> {
        let optional =
            |member: &str, configured: &Option<String>| configured.clone().or_else(|| metadata.optional_url(member));
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

    /// The host where people log in, for the consent page.
    #[must_use]
    pub fn host(&self) -> String {
        let url = self.issuer.as_deref().or(self.authorization_endpoint.as_deref()).unwrap_or_default();
        HttpUrl::parse(url).map(|url| url.authority().to_string()).unwrap_or_default()
    }
}
