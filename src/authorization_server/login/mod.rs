//! Logins at the identity provider: requests to it, checks of its answers, and which users are admitted.

mod error;
mod exchange;
mod identity;
mod profile;
pub mod signed_in;

use crate::authorization_server::login::signed_in::SignedIn;
use crate::directory::links::MatchedBy;
use crate::jwks::discovery::{Metadata, MetadataError};
use crate::oauth::client_authentication::ClientAuthentication;
use crate::oauth::scope::ScopeSet;
use crate::secret::Secret;
use crate::transport::url::HttpUrl;

pub use error::{AnswerError, IdTokenError, LoginError, TokenClaimError};
pub use exchange::{
    AuthorizationParameters, ProviderTokens, authorization_url, code_request, id_token_check, id_token_claims, object,
    refresh_request, revocation_request, user_request, word,
};
pub use identity::{Identity, UserRules, carried_as};
pub use profile::{KnownEndpoints, LoginProfile};

/// How users log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// Its place in the configuration.
    pub index: usize,
    /// Its name; empty for the one of `login`.
    pub name: String,
    /// What the page on which users choose calls it.
    pub title: Option<String>,
    /// Whom it is for.
    pub serves: Serves,
    /// The provider.
    pub profile: LoginProfile,
    /// Its issuer identifier, if it supports OpenID. In that of many tenants, `{tenantid}` stands for the tenant.
    pub issuer: Option<String>,
    /// The tenants whose users may log in, if the issuer identifier has `{tenantid}`.
    pub tenants: Vec<String>,
    /// The URL of its discovery document, if that is not at the issuer.
    pub metadata_url: Option<String>,
    /// The URL of its keys, unless it comes from discovery.
    pub jwks_uri: Option<String>,
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
    /// Whether ID tokens may have header members that contain a key or the location of one. The gateway ignores the values
    /// of these.
    pub ignore_key_headers: bool,
    /// The claim that holds the subject.
    pub subject_claim: String,
    /// The claim that holds the groups.
    pub groups_claim: String,
    /// What its subjects and groups begin with; empty for the one of `login`.
    pub prefix: String,
    /// Claims of its users that tokens contain, beside groups and address; for one of `other_logins`.
    pub token_claims: Vec<String>,
    /// Whether tokens of its users contain `acr` and `amr`.
    pub says_how: bool,
    /// Which users may log in.
    pub admission: Admission,
    /// Whether the provider may say that a user has logged out (OpenID Connect Back-Channel Logout).
    pub back_channel_logout: bool,
    /// The directory of its users, if it provisions them.
    pub directory: Option<DirectoryRules>,
    /// When the provider is asked again about a user who logged in; `None` if it is not.
    pub recheck: Option<Recheck>,
}

/// What names the login of `login` in `domain_hint`.
pub const PRIMARY: &str = "login";

/// Whom a login is for.
#[derive(Debug, Clone, Default)]
pub struct Serves {
    /// These clients; all, if empty.
    pub clients: Vec<String>,
    /// The resources with these identifiers; all, if empty.
    pub resources: Vec<String>,
    /// Users with an address of these domains, in lower case: their address chooses this login.
    pub email_domains: Vec<String>,
}

/// How the provider provisions its users (SCIM 2.0), and what that means for logins.
#[derive(Debug, Clone)]
pub struct DirectoryRules {
    /// What the provider must send: one of these.
    pub secrets: Vec<Secret>,
    /// The binding of the directory.
    pub binding: String,
    /// By what a login finds its user.
    pub matched_by: MatchedBy,
    /// The claim of the login with that.
    pub claim: String,
    /// Whether a user whom the directory does not have has no access.
    pub is_required: bool,
    /// Whether the groups of the directory stand in for those of the login.
    pub gives_groups: bool,
}

/// When the provider is asked again about a user who logged in: at a refresh, after some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recheck {
    /// Seconds after which it is due.
    pub seconds: u64,
    /// Seconds after that in which the provider may be out of reach.
    pub outage_seconds: u64,
    /// Whether a grant ends if the provider gave no token with which the gateway could ask it.
    pub is_required: bool,
}

impl Login {
    /// Whether the subjects of tokens of an issuer are those of the users who log in.
    #[must_use]
    pub fn vouches_for(&self, issuer: &str) -> bool {
        self.issuer.as_deref() == Some(issuer) && self.tenants.is_empty() && self.subject_claim == "sub"
    }

    /// Whether the provider's tokens are kept with a grant: to revoke them, or to ask about the user with them.
    #[must_use]
    pub fn keeps(&self, has_refresh_token: bool) -> bool {
        has_refresh_token || self.recheck.is_some() && self.issuer.is_none()
    }

    /// What tells this provider from others: a subject names a user of it, and may name another user elsewhere.
    #[must_use]
    pub fn identity(&self) -> &str {
        let configured = self.issuer.as_deref().or(self.authorization_endpoint.as_deref());
        configured.or(self.profile.endpoints().authorization).unwrap_or_default()
    }
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
        // An OpenID provider also needs keys.
        if self.issuer.is_some() && self.jwks_uri.is_none() {
            return None;
        }
        Some(Provider {
            authorization: self.authorization_endpoint.clone()?,
            token: self.token_endpoint.clone()?,
            userinfo: self.userinfo_endpoint.clone(),
            jwks: self.jwks_uri.clone(),
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
            jwks: Some(self.jwks_uri.clone().map_or_else(|| metadata.url("jwks_uri"), Ok)?),
            revocation: optional("revocation_endpoint", &self.revocation_endpoint),
            registration: metadata.optional_url("registration_endpoint"),
            names_itself: metadata.says("authorization_response_iss_parameter_supported"),
        })
    }

    /// How it names its users, and which of them are admitted.
    #[must_use]
    pub fn users(&self) -> UserRules<'_> {
        UserRules {
            profile: self.profile,
            issuer: self.issuer.as_deref(),
            tenants: &self.tenants,
            prefix: &self.prefix,
            subject_claim: &self.subject_claim,
            groups_claim: &self.groups_claim,
            admission: &self.admission,
        }
    }

    /// What records about its users say of it: its provider; nothing for the login of `login`, whose users have records of releases
    /// that knew no other.
    #[must_use]
    pub fn recorded_provider(&self) -> Option<&str> {
        Some(self.identity()).filter(|_| !self.prefix.is_empty())
    }

    /// What tokens of its users say of a sign-in.
    #[must_use]
    pub fn shown(&self, signed_in: SignedIn) -> SignedIn {
        if self.says_how { signed_in } else { signed_in.time_alone() }
    }

    /// Its name in requests and records; none for the one of `login`.
    #[must_use]
    pub fn recorded_name(&self) -> Option<String> {
        Some(self.name.clone()).filter(|name| !name.is_empty())
    }

    /// Whether it is for a client at a resource.
    #[must_use]
    pub fn serves(&self, client: &str, resource: &str) -> bool {
        let Serves { clients, resources, email_domains: _ } = &self.serves;
        (clients.is_empty() || clients.iter().any(|it| it == client))
            && (resources.is_empty() || resources.iter().any(|it| it == resource))
    }

    /// Whether a hint names it: its name, one of its domains, or an address of one (`domain_hint`, `login_hint`).
    #[must_use]
    pub fn is_hinted(&self, hint: &str) -> bool {
        let domain = hint.rsplit_once('@').map_or(hint, |(_, domain)| domain).to_ascii_lowercase();
        hint == self.hint() || self.serves.email_domains.contains(&domain)
    }

    /// The value of `domain_hint` that names it.
    #[must_use]
    pub fn hint(&self) -> &str {
        if self.name.is_empty() { PRIMARY } else { &self.name }
    }

    /// The path of its endpoint for the provider's answers.
    #[must_use]
    pub fn callback(&self) -> String {
        if self.name.is_empty() { "/callback".to_owned() } else { format!("/callback/{}", self.name) }
    }

    /// The host at which users log in, for the consent page.
    #[must_use]
    pub fn host(&self) -> String {
        let url = self.issuer.as_deref().or(self.authorization_endpoint.as_deref()).unwrap_or_default();
        HttpUrl::parse(url).map(|url| url.authority().to_string()).unwrap_or_default()
    }
}
