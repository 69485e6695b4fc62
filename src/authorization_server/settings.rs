//! The configuration of the authorization server.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::authorization_server::client::{
    AuthMethod, CLIENT_SUBJECT, Client, ClientMetadata, GrantType, RedirectRules,
};
use crate::authorization_server::client_error::MetadataError;
use crate::authorization_server::login::{Entitlement, Login};
use crate::authorization_server::trusted_issuer::TrustedIssuer;
use crate::jwks::signing_key::SigningKey;
use crate::seal::Seals;
use crate::secret::Secret;
use crate::settings::OwnIssuer;

/// Which clients may register.
#[derive(Debug, Clone)]
pub enum Registrations {
    /// No client.
    Off,
    /// Any client.
    Open,
    /// A client that has this token.
    Token(Secret),
}

/// The authorization server.
#[derive(Debug, Clone)]
pub struct AuthorizationServer {
    /// What is public about it.
    pub own: Rc<OwnIssuer>,
    /// Signing keys: the first signs, and all are published.
    pub keys: Vec<SigningKey>,
    /// The secrets that seal and mark.
    pub seals: Seals,
    /// The Durable Object binding that stores records.
    pub binding: String,
    /// How users log in.
    pub login: Login,
    /// Whether devices without a browser may ask for tokens (RFC 8628).
    pub devices: bool,
    /// Whether clients may authenticate with certificates (RFC 8705 §2).
    pub certificates: bool,
    /// Other identity providers at which users log in.
    pub other_logins: Vec<Login>,
    /// Which users may be granted which scopes.
    pub entitlements: Vec<Entitlement>,
    /// Claims of the identity provider that tokens contain.
    pub token_claims: Vec<String>,
    /// Which clients may register.
    pub registrations: Registrations,
    /// The rate-limiting binding that counts registrations.
    pub registration_limit: Option<String>,
    /// Seconds without use after which a registered client is deleted.
    pub registration_seconds: u64,
    /// Accepts clients whose id is the URL of a metadata document.
    pub documents: bool,
    /// Domains on which such documents may be; any domain if empty.
    pub document_domains: Vec<String>,
    /// Schemes that redirect URIs may have in addition to `https`, and `http` on loopback.
    pub redirect_schemes: Vec<String>,
    /// Clients of the configuration.
    pub clients: Vec<Client>,
    /// Issuers whose assertions are accepted.
    pub trusted_issuers: Vec<TrustedIssuer>,
    /// Lifetime of an access token in seconds.
    pub access_token_seconds: u64,
    /// Seconds within which every isolate refuses access tokens of a grant that was revoked; 0 if each request asks.
    pub revocation_seconds: u64,
    /// Seconds without use after which a refresh token expires.
    pub refresh_token_seconds: u64,
    /// Seconds after the use of a refresh token in which another use gets the same answer.
    pub refresh_grace_seconds: u64,
    /// Lifetime of a grant in seconds.
    pub grant_seconds: u64,
    /// The secret that an administrator must send.
    pub admin: Option<Secret>,
}

impl AuthorizationServer {
    /// Which redirect URIs are accepted.
    #[must_use]
    pub fn redirect_rules(&self) -> RedirectRules<'_> {
        RedirectRules { schemes: &self.redirect_schemes, leaves_out: true }
    }

    /// Reads the metadata of a client that is not in the configuration.
    ///
    /// # Errors
    /// [`MetadataError`] for the first member that is wrong, or that this server does not support.
    pub fn client_metadata(&self, members: &Map<String, Value>) -> Result<ClientMetadata, MetadataError> {
        let metadata = ClientMetadata::read(members, self.redirect_rules())?;
        if !self.methods().any(|method| method == metadata.auth_method) {
            return Err(MetadataError::AuthMethod(metadata.auth_method.as_str().to_owned()));
        }
        Ok(metadata)
    }

    /// The methods with which clients may authenticate.
    pub fn methods(&self) -> impl Iterator<Item = AuthMethod> {
        AuthMethod::ALL.into_iter().filter(|method| self.certificates || !method.has_certificate())
    }

    /// Whether it accepts a grant type.
    #[must_use]
    pub fn accepts(&self, grant: GrantType) -> bool {
        match grant {
            GrantType::AuthorizationCode | GrantType::RefreshToken | GrantType::ClientCredentials => true,
            GrantType::JwtBearer => !self.trusted_issuers.is_empty(),
            GrantType::DeviceCode => self.devices,
        }
    }

    /// Whether a provider can say that the access of a user who logged in has ended.
    #[must_use]
    pub fn is_signalled(&self) -> bool {
        let is_of_login = |issuer: &TrustedIssuer| self.logins().any(|login| login.identity() == issuer.identifier);
        let mut signals = self.trusted_issuers.iter().filter_map(|issuer| Some((issuer, issuer.signals.as_ref()?)));
        self.logins().any(|login| login.back_channel_logout)
            || signals.any(|(issuer, signals)| signals.about_login || is_of_login(issuer))
    }

    /// Whether a subject of users with this prefix could be that of a client, or of a user of another provider.
    #[must_use]
    pub fn is_reserved(&self, subject: &str, prefix: &str) -> bool {
        (subject.starts_with(CLIENT_SUBJECT) && prefix != CLIENT_SUBJECT) || self.is_of_others(subject, prefix)
    }

    /// Whether a name of users with this prefix could be that of a user, or of a group, of another provider.
    fn is_of_others(&self, name: &str, prefix: &str) -> bool {
        let prefixes = self.trusted_issuers.iter().filter_map(|issuer| Some(issuer.id_jag.as_ref()?.prefix.as_str()));
        let logins = self.other_logins.iter().map(|login| login.prefix.as_str());
        let mut others = prefixes.chain(logins).filter(|other| !other.is_empty() && *other != prefix);
        others.any(|other| name.starts_with(other))
    }

    /// Whether the subject of a token of an issuer is that of a user who logs in here: of this server's own token, or of one that the
    /// provider of `login` issued.
    #[must_use]
    pub fn is_user(&self, issuer: &str, subject: &str) -> bool {
        let is_own = issuer == self.own.identifier && !subject.starts_with(CLIENT_SUBJECT);
        is_own || self.login.vouches_for(issuer) && !self.is_reserved(subject, "")
    }

    /// Those groups of a user with this prefix that are not named like groups of another provider. Groups of users with a prefix get
    /// it, too, and then none is.
    #[must_use]
    pub fn own_groups(&self, mut groups: BTreeSet<String>, prefix: &str) -> BTreeSet<String> {
        if prefix.is_empty() {
            groups.retain(|group| !self.is_of_others(group, prefix));
        }
        groups
    }

    /// Claims that tokens of users with this prefix contain. What another provider than that of `login` means by a claim may be another
    /// thing, so its users have those alone that the configuration names for it.
    #[must_use]
    pub fn claims_of(&self, prefix: &str, own: &[String]) -> Vec<String> {
        if prefix.is_empty() {
            return self.token_claims.clone();
        }
        let common = self.token_claims.iter().filter(|name| matches!(name.as_str(), "groups" | "email"));
        common.chain(own).cloned().collect()
    }

    /// All logins, the one of `login` first.
    pub fn logins(&self) -> impl Iterator<Item = &Login> {
        std::iter::once(&self.login).chain(&self.other_logins)
    }

    /// The logins at which users of a client at a resource log in.
    #[must_use]
    pub fn logins_for(&self, client: &str, resource: &str) -> Vec<&Login> {
        self.logins().filter(|login| login.serves(client, resource)).collect()
    }

    /// The login with a name; the one of `login` has none.
    #[must_use]
    pub fn login_named(&self, name: Option<&str>) -> Option<&Login> {
        self.logins().find(|login| login.name == name.unwrap_or_default())
    }

    /// The login of the user with a subject.
    #[must_use]
    pub fn login_of(&self, subject: &str) -> &Login {
        self.other_logins.iter().find(|login| subject.starts_with(&login.prefix)).unwrap_or(&self.login)
    }

    /// The login of a user who signed in at this provider ([`Login::recorded_provider`]); `None` if the configuration does not have it
    /// any more.
    #[must_use]
    pub fn login_at(&self, subject: &str, provider: Option<&str>) -> Option<&Login> {
        Some(self.login_of(subject)).filter(|login| login.recorded_provider() == provider)
    }

    /// Whether a login gets a `login_hint`: not one with an address of a domain that is another login's.
    #[must_use]
    pub fn passes_on(&self, login: &Login, hint: &str) -> bool {
        let others = || self.logins().filter(|other| other.name != login.name);
        let domain = hint.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        let is_own = domain.is_none_or(|domain| {
            let own = &login.serves.email_domains;
            if own.is_empty() {
                !others().any(|other| other.serves.email_domains.contains(&domain))
            } else {
                own.contains(&domain)
            }
        });
        hint != login.hint() && is_own
    }

    /// The URL of the SCIM service of a login.
    #[must_use]
    pub fn scim_url(&self, login: &Login) -> String {
        self.url(&if login.name.is_empty() { "/scim/v2".to_owned() } else { format!("/scim/{}/v2", login.name) })
    }

    /// The URL of an endpoint.
    #[must_use]
    pub fn url(&self, endpoint: &str) -> String {
        self.own.url(endpoint)
    }
}
