//! Credentials toward origin servers: what the gateway sends an origin server in place of the caller's token, which never
//! leaves the gateway for it.
//!
//! [`OriginCredential`] is the configuration, [`request`] makes requests to token endpoints, [`answer`] reads what they
//! return, and [`memory`] keeps the tokens. [`AttachedCredential`] is the only value that puts a credential into a request; it
//! names the resource that it is for.

pub mod answer;
pub mod failure;
pub mod memory;
pub mod request;

use std::rc::Rc;

use crate::limits::CONNECTION_SECONDS;
use crate::oauth::client_authentication::ClientAuthentication;
use crate::oauth::scope::ScopeSet;
use crate::seal::SealKey;
use crate::secret::Secret;
use crate::time::UnixMillis;
use crate::token::cache::Digest;
use sha2::{Digest as _, Sha256};

/// How the gateway authenticates to the origin server of a resource.
#[derive(Debug)]
pub enum OriginCredential {
    /// Fields from Worker secrets.
    Static(Vec<StaticField>),
    /// A token of the gateway itself (RFC 6749 §4.4).
    ClientCredentials(ClientCredentials),
    /// A token for the caller, in exchange for its own (RFC 8693).
    TokenExchange(TokenExchange),
    /// A token for the caller, in exchange for an assertion of its identity provider (Enterprise-Managed Authorization).
    Enterprise(Enterprise),
    /// A token of the caller's own account at the authorization server of the origin server.
    PerUser(PerUser),
}

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Fields from Worker secrets.
    Static,
    /// A token of the gateway itself.
    ClientCredentials,
    /// A token for the caller, in exchange for its own.
    TokenExchange,
    /// A token for the caller, by Enterprise-Managed Authorization.
    Enterprise,
    /// A token of the caller's own account.
    PerUser,
}

impl Kind {
    /// Its name, as the configuration and the log have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "token_exchange",
            Self::Enterprise => "enterprise",
            Self::PerUser => "per_user",
        }
    }
}

/// A field from Worker secrets.
#[derive(Debug)]
pub struct StaticField {
    /// Its name, in lower case.
    pub name: String,
    /// Its values: the current one and, during a rotation, another one.
    pub values: Vec<Secret>,
}

/// A token endpoint, and how this gateway authenticates there.
#[derive(Debug)]
pub struct TokenEndpoint {
    /// Its URL.
    pub url: String,
    /// The client id of this gateway.
    pub client_id: String,
    /// How it authenticates.
    pub authentication: ClientAuthentication,
    /// The audience of client assertions: the issuer identifier of the authorization server, or `url`.
    pub audience: String,
    /// Seconds within which it must answer.
    pub timeout: u64,
}

/// What a token is requested for.
#[derive(Debug, Default)]
pub struct TokenTarget {
    /// Its scopes; empty for those that the authorization server chooses.
    pub scopes: ScopeSet,
    /// `resource` (RFC 8707).
    pub resource: Option<String>,
    /// `audience` (RFC 8693 §2.1).
    pub audience: Option<String>,
}

/// The client credentials grant.
#[derive(Debug)]
pub struct ClientCredentials {
    /// Where the gateway gets the token.
    pub endpoint: TokenEndpoint,
    /// What it is for.
    pub target: TokenTarget,
    /// The key under which isolates of a data center share the token, sealed. Only a party that has the client's secret can
    /// derive it.
    pub shared_key: SealKey,
}

/// The form of a token exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeProfile {
    /// RFC 8693.
    Rfc8693,
    /// The on-behalf-of flow of Entra ID.
    EntraOnBehalfOf,
}

/// The exchange of the caller's token.
#[derive(Debug)]
pub struct TokenExchange {
    /// Where the gateway exchanges it.
    pub endpoint: TokenEndpoint,
    /// What the new token is for.
    pub target: TokenTarget,
    /// Its form.
    pub profile: ExchangeProfile,
    /// `subject_token_type`.
    pub subject_token_type: String,
    /// `requested_token_type`.
    pub requested_token_type: Option<String>,
    /// Whether the gateway names itself as the actor (RFC 8693 §1.1), with an assertion of its own.
    pub has_actor: bool,
}

/// Enterprise-Managed Authorization: the identity provider exchanges the caller's token for an identity assertion (ID-JAG),
/// and the authorization server of the origin server gives a token for it (RFC 7523 §2.1).
#[derive(Debug)]
pub struct Enterprise {
    /// The token endpoint of the identity provider.
    pub provider: TokenEndpoint,
    /// `subject_token_type` there.
    pub subject_token_type: String,
    /// The issuer identifier of the authorization server: `audience` of the assertion.
    pub server_issuer: String,
    /// The token endpoint of the authorization server.
    pub server: TokenEndpoint,
    /// What the token is for.
    pub target: TokenTarget,
}

/// OAuth of each user at the authorization server of the origin server. The authorization server of the gateway keeps the tokens.
#[derive(Debug)]
pub struct PerUser {
    /// The issuer identifier of the authorization server; `None` if the origin server names it (RFC 9728).
    pub issuer: Option<String>,
    /// The client id and the credentials of this gateway there; `None` if it introduces itself.
    pub client: Option<(String, ClientAuthentication)>,
    /// The requested scopes; empty for those that the origin server lists.
    pub scopes: ScopeSet,
    /// `resource` (RFC 8707): the URL of the origin server.
    pub resource: String,
    /// Whether requests contain it.
    pub sends_resource: bool,
    /// More parameters of the authorization request.
    pub parameters: Vec<(String, String)>,
    /// Seconds within which the authorization server must answer.
    pub timeout: u64,
}

impl OriginCredential {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Static(_) => Kind::Static,
            Self::ClientCredentials(_) => Kind::ClientCredentials,
            Self::TokenExchange(_) => Kind::TokenExchange,
            Self::Enterprise(_) => Kind::Enterprise,
            Self::PerUser(_) => Kind::PerUser,
        }
    }

    /// Whether it is made from the caller's token.
    #[must_use]
    pub fn is_exchanged(&self) -> bool {
        match self {
            Self::Static(_) | Self::ClientCredentials(_) | Self::PerUser(_) => false,
            Self::TokenExchange(_) | Self::Enterprise(_) => true,
        }
    }

    /// Whether all callers act with the rights of one credential.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        match self {
            Self::Static(_) | Self::ClientCredentials(_) => true,
            Self::TokenExchange(_) | Self::Enterprise(_) | Self::PerUser(_) => false,
        }
    }

    /// Whether a rotation is in progress: the origin server may accept only one of two values, so a request may have to be
    /// repeated with the other one.
    #[must_use]
    pub fn is_rotating(&self) -> bool {
        match self {
            Self::Static(fields) => fields.iter().any(|field| field.values.len() > 1),
            Self::ClientCredentials(_) | Self::TokenExchange(_) | Self::Enterprise(_) | Self::PerUser(_) => false,
        }
    }

    /// The token endpoints that it uses, in the order in which it uses them.
    #[must_use]
    pub fn endpoints(&self) -> Vec<&TokenEndpoint> {
        match self {
            Self::Static(_) | Self::PerUser(_) => Vec::new(),
            Self::ClientCredentials(it) => vec![&it.endpoint],
            Self::TokenExchange(it) => vec![&it.endpoint],
            Self::Enterprise(it) => vec![&it.provider, &it.server],
        }
    }

    /// Seconds within which a token can be obtained.
    #[must_use]
    pub fn timeout(&self) -> u64 {
        match self {
            // A refresh, after the metadata was fetched.
            Self::PerUser(it) => 2 * it.timeout,
            _ => self.endpoints().iter().map(|endpoint| endpoint.timeout).sum(),
        }
    }
}

/// A token that a token endpoint issued.
#[derive(Debug)]
pub struct ObtainedToken {
    /// The value of the `Authorization` field.
    pub value: Secret,
    /// When it was obtained.
    pub obtained: UnixMillis,
    /// From when on the gateway obtains another one, while it still uses this one.
    pub refresh_at: UnixMillis,
    /// From when on the gateway does not send it any more.
    pub usable_until: UnixMillis,
}

impl ObtainedToken {
    /// The token of a connection, which was issued at a time. It is not used after `ends`, if there is such a time, and read again
    /// before long in any case.
    #[must_use]
    pub fn of_connection(token: &str, issued: UnixMillis, now: UnixMillis, ends: Option<UnixMillis>) -> Self {
        let until = |time: UnixMillis| ends.map_or(time, |ends| ends.min(time));
        Self {
            value: Secret::new(format!("Bearer {token}")),
            obtained: issued,
            refresh_at: until(now.plus_seconds(CONNECTION_SECONDS * 3 / 4)),
            usable_until: until(now.plus_seconds(CONNECTION_SECONDS)),
        }
    }

    /// Estimated bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.value.expose().len() + size_of::<Self>()
    }
}

/// Whose token it is: the gateway's own, or one for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The gateway.
    Gateway,
    /// The caller whose token, or whose subject, has this digest at the resource.
    Caller(Digest),
}

impl Holder {
    /// The holder of the tokens of a user at a resource, whichever token the user presents to the gateway.
    #[must_use]
    pub fn of_subject(subject: &str, resource: usize) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"portcullis connection");
        hash.update((resource as u64).to_be_bytes());
        hash.update(subject);
        Self::Caller(hash.finalize().into())
    }
}

/// Which credential a request has, so that the gateway knows which one an origin server refuses.
#[derive(Debug, Clone)]
pub enum UsedCredential {
    /// The value at this place of each static field.
    Static(usize),
    /// A token.
    Token(Holder, Rc<ObtainedToken>),
}

/// A credential for a request to the origin server of one resource.
#[derive(Debug, Clone)]
pub struct AttachedCredential {
    credential: Rc<OriginCredential>,
    resource: usize,
    used: UsedCredential,
}

impl AttachedCredential {
    /// The credential of the resource at this index of the configuration.
    #[must_use]
    pub fn new(resource: usize, credential: &Rc<OriginCredential>, used: UsedCredential) -> Self {
        Self { credential: Rc::clone(credential), resource, used }
    }

    /// The index of the resource whose origin server may get it.
    #[must_use]
    pub fn resource(&self) -> usize {
        self.resource
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.credential.kind()
    }

    /// Which one it is.
    #[must_use]
    pub fn used(&self) -> &UsedCredential {
        &self.used
    }

    /// Seconds since it was obtained; `None` if it is configured.
    #[must_use]
    pub fn age(&self, now: UnixMillis) -> Option<u64> {
        match &self.used {
            UsedCredential::Static(_) => None,
            UsedCredential::Token(_, token) => Some(now.since(token.obtained) / 1000),
        }
    }

    /// The fields with it. Send them to the origin server of its resource, and to no other server.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let (configured, place) = match (&*self.credential, &self.used) {
            (OriginCredential::Static(fields), UsedCredential::Static(place)) => (fields.as_slice(), *place),
            _ => (&[][..], 0),
        };
        let fixed = configured.iter().filter_map(move |field| {
            // A field with one value keeps it while others rotate.
            let value = field.values.get(place).or(field.values.first())?;
            Some((field.name.as_str(), value.expose()))
        });
        let token = match &self.used {
            UsedCredential::Static(_) => None,
            UsedCredential::Token(_, token) => Some(("authorization", token.value.expose())),
        };
        fixed.chain(token)
    }
}
