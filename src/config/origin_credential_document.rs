//! The tables for credentials toward origin servers, as an operator writes them.

use deserr::Deserr;

use crate::config::credentials_document::ClientAuthenticationName;
use crate::config::mistakes::Mistakes;
#[cfg(feature = "schema")]
use crate::config::ranges::PROVIDER_TIMEOUT;
use crate::config::table::Table;

/// How the gateway authenticates to the origin server of a resource: exactly one of these kinds. `docs/origin-credentials.md`
/// has a configuration for each.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct OriginCredentialDocument {
    /// Fields from Worker secrets, at most 8. Every caller of the resource acts with the rights of this one credential.
    #[deserr(default, rename = "static")]
    #[cfg_attr(feature = "schema", schemars(rename = "static"))]
    pub fixed: Option<Vec<StaticFieldDocument>>,

    /// An access token of the gateway itself (RFC 6749 §4.4). Every caller of the resource acts with its rights.
    #[deserr(default)]
    pub client_credentials: Option<ClientCredentialsDocument>,

    /// An access token for the caller, in exchange for its own (RFC 8693).
    #[deserr(default)]
    pub token_exchange: Option<TokenExchangeDocument>,

    /// An access token of the caller's own account at the server's authorization server: each user connects it in the browser.
    /// Needs `authorization_server`.
    #[deserr(default)]
    pub per_user: Option<PerUserDocument>,

    /// An access token for the caller by Enterprise-Managed Authorization: the identity provider exchanges the caller's
    /// token for an identity assertion (ID-JAG), and the authorization server of the origin server accepts that.
    #[deserr(default)]
    pub enterprise: Option<EnterpriseDocument>,
}

/// A field from Worker secrets.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct StaticFieldDocument {
    /// The name of the field. None that the gateway sets itself, and none of `forward_fields`. Default: `Authorization`.
    #[deserr(default)]
    pub field: Option<String>,

    /// The authentication scheme, which the gateway writes before the secret. Empty: the field is the secret alone. Default:
    /// `Bearer` in `Authorization`, else empty.
    #[deserr(default)]
    pub scheme: Option<String>,

    /// The names of one or two Worker secrets. With two, a rotation is in progress: if the origin server answers 401 to the
    /// one, the gateway repeats the request once with the other. So that it can, it then reads every message, and `body_bytes`
    /// may be at most 8388608.
    pub secrets: Vec<String>,
}

/// This gateway as a client of an authorization server.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct TokenClientDocument {
    /// The URL of the token endpoint. Must be `https`, except loopback in development. The client's secret, and the caller's
    /// token where it is exchanged, go to this URL and nowhere else.
    pub token_endpoint: String,

    /// The client id of this gateway there. Only `token_exchange` can do without: the caller's token is then the only credential in
    /// the request.
    #[deserr(default)]
    pub client_id: Option<String>,

    /// How this gateway authenticates there: `client_secret_basic`, `client_secret_post` or `private_key_jwt`. Default:
    /// `client_secret_basic`.
    #[deserr(default)]
    pub authentication: Option<ClientAuthenticationName>,

    /// The name of the Worker secret that holds the client secret; for `private_key_jwt` the private key, in the form that
    /// `npx portcullis keys make` prints. Only `token_exchange` can do without: as a public client, or without `client_id`.
    #[deserr(default)]
    pub secret: Option<String>,

    /// The issuer identifier of the authorization server: `aud` of signed client assertions (RFC 7523 §3), and `audience` of the
    /// identity assertion for `enterprise.server`, where it is required. Default: `token_endpoint`.
    #[deserr(default)]
    pub issuer: Option<String>,

    /// Seconds within which it must answer, 1 to 30; otherwise the gateway answers 503. Default: 5.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = PROVIDER_TIMEOUT.default, "minimum" = PROVIDER_TIMEOUT.least, "maximum" = PROVIDER_TIMEOUT.most)))]
    pub timeout_seconds: Option<u64>,
}

/// The client credentials grant (RFC 6749 §4.4). The gateway keeps the token until shortly before it expires, renews it in
/// the background, and shares it with the isolates of its data center, sealed.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ClientCredentialsDocument {
    /// The client.
    pub client: TokenClientDocument,

    /// The scopes that the gateway requests. Default: those that the authorization server chooses.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// `resource` of the request (RFC 8707): the URL of the server that the token is for. Default: none.
    #[deserr(default)]
    pub resource: Option<String>,

    /// `audience` of the request, for authorization servers that use it instead of `resource`. Default: none.
    #[deserr(default)]
    pub audience: Option<String>,
}

/// The exchange of the caller's token (RFC 8693). The gateway keeps the new token for as long as both tokens are valid.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct TokenExchangeDocument {
    /// The client.
    pub client: TokenClientDocument,

    /// `rfc8693`, or `entra_on_behalf_of` for the on-behalf-of flow of Entra ID. Default: `rfc8693`.
    #[deserr(default)]
    pub profile: Option<ExchangeProfileName>,

    /// The scopes that the gateway requests; required for `entra_on_behalf_of`. Default: those that the authorization server
    /// chooses.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// `resource` of the request (RFC 8707): the URL of the server that the token is for. Default: none.
    #[deserr(default)]
    pub resource: Option<String>,

    /// `audience` of the request (RFC 8693 §2.1): the name of the server at the authorization server. Default: none.
    #[deserr(default)]
    pub audience: Option<String>,

    /// What the caller's token is (`subject_token_type`). Default: `urn:ietf:params:oauth:token-type:access_token`.
    #[deserr(default)]
    pub subject_token_type: Option<String>,

    /// What the gateway requests (`requested_token_type`). Default: none; the authorization server chooses.
    #[deserr(default)]
    pub requested_token_type: Option<String>,

    /// Whether the request names this gateway as the actor (RFC 8693 §1.1): `actor_token` is then a JWT with `public_url` as
    /// `iss` and `sub`, signed with the key of `identity_assertion`. Default: `false`.
    #[deserr(default)]
    pub actor: Option<bool>,
}

/// The form of a token exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ExchangeProfileName {
    /// RFC 8693.
    #[deserr(rename = "rfc8693")]
    #[cfg_attr(feature = "schema", schemars(rename = "rfc8693"))]
    Rfc8693,
    /// The on-behalf-of flow of Entra ID.
    #[deserr(rename = "entra_on_behalf_of")]
    #[cfg_attr(feature = "schema", schemars(rename = "entra_on_behalf_of"))]
    EntraOnBehalfOf,
}

/// Enterprise-Managed Authorization. The gateway keeps the token for as long as it and the caller's token are valid.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct EnterpriseDocument {
    /// The client at the identity provider, which issues the identity assertion.
    pub provider: TokenClientDocument,

    /// The client at the authorization server of the origin server. Its `issuer` is required.
    pub server: TokenClientDocument,

    /// The scopes that the gateway requests. Default: those that the servers choose.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// `resource` of the identity assertion: the resource identifier of the MCP server. Default: `origin`.
    #[deserr(default)]
    pub resource: Option<String>,

    /// What the caller's token is (`subject_token_type`). Default: `urn:ietf:params:oauth:token-type:access_token`.
    #[deserr(default)]
    pub subject_token_type: Option<String>,
}

/// OAuth of each user at the authorization server of the origin server. A user who has not connected an account gets a link to the
/// page that connects it. The tokens rest in the Durable Objects of `authorization_server.binding`, sealed with
/// `authorization_server.secrets`.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct PerUserDocument {
    /// The issuer identifier of the authorization server, whose metadata says the rest (RFC 8414). Default: the first one that the
    /// origin server names in its own metadata (RFC 9728).
    #[deserr(default)]
    pub issuer: Option<String>,

    /// The client id of this gateway there, if you registered it: with the redirect URI `public_url`, the path of the authorization
    /// server, `/connected`, and `path` of the resource. Needs `issuer`. Default: the gateway introduces itself, by a client ID
    /// metadata document, else by registration (RFC 7591).
    #[deserr(default)]
    pub client_id: Option<String>,

    /// How this gateway authenticates there: `client_secret_basic`, `client_secret_post` or `private_key_jwt`. Default:
    /// `client_secret_basic`.
    #[deserr(default)]
    pub authentication: Option<ClientAuthenticationName>,

    /// The name of the Worker secret that holds the client secret, or the private key. Without it the client is a public one.
    /// Needs `client_id`.
    #[deserr(default)]
    pub secret: Option<String>,

    /// The scopes that the gateway requests. Default: those of the origin server's challenge, else those that it lists in its metadata.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// `resource` of the requests (RFC 8707). Default: `origin`.
    #[deserr(default)]
    pub resource: Option<String>,

    /// Whether requests contain `resource`. Set it to `false` for an authorization server that refuses the parameter, as Entra ID
    /// does: it then names the server by the scopes. Default: `true`.
    #[deserr(default)]
    pub send_resource: Option<bool>,

    /// More parameters of the authorization request, at most 8: for example `access_type = "offline"` for Google. Default: none.
    #[deserr(default)]
    pub parameters: Option<Table<String>>,

    /// Seconds within which the authorization server must answer, 1 to 30; otherwise the gateway answers 503. Default: 5.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = PROVIDER_TIMEOUT.default, "minimum" = PROVIDER_TIMEOUT.least, "maximum" = PROVIDER_TIMEOUT.most)))]
    pub timeout_seconds: Option<u64>,
}

/// What the origin server learns about the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum IdentityName {
    /// The `x-portcullis-*` fields and the identity assertion.
    #[deserr(rename = "forward")]
    #[cfg_attr(feature = "schema", schemars(rename = "forward"))]
    Forward,
    /// Nothing.
    #[deserr(rename = "none")]
    #[cfg_attr(feature = "schema", schemars(rename = "none"))]
    None,
}
