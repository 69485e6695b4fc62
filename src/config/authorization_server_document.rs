//! The part of the document that makes the gateway an authorization server.

use std::collections::BTreeMap;

use deserr::Deserr;

use crate::config::credentials_document::ClientAuthenticationName;
use crate::config::mistakes::Mistakes;

/// Makes this gateway an authorization server of its own (OAuth 2.1), where people log in through an identity provider that
/// cannot do what MCP clients ask for. Resources name it in `issuers`. `docs/authorization-server.md` is the guide.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct AuthorizationServerDocument {
    /// The name by which resources refer to it in `issuers`. Default: `portcullis`.
    #[deserr(default)]
    pub name: Option<String>,

    /// The path of the issuer identifier after `public_url`, as `/login`: endpoints lie under it. Default: none, the issuer
    /// is `public_url` itself; clients of 2025-03-26 find no other.
    #[deserr(default)]
    pub path: Option<String>,

    /// Names of the Worker secrets that hold signing keys for access tokens, private JWKs, `EC` P-256 or `OKP` Ed25519
    /// (`npm run keys` makes one). The first signs; all are published, so that a key is rotated by putting a new one in
    /// front and removing the old one an hour later.
    pub key_secrets: Vec<String>,

    /// Names of the Worker secrets, each of 32 characters or more, that seal cookies and mark codes and refresh tokens. The
    /// first seals; all open, so that one is rotated like a key. Without an old one its refresh tokens are over.
    pub secrets: Vec<String>,

    /// The name of the Durable Object binding (class `AuthorizationRecords`) where grants and clients are kept.
    pub binding: String,

    /// How people log in.
    pub login: LoginDocument,

    /// Scopes in words, for the consent page: `"mcp:tools" = "Use the tools of this server"`. A scope without words is shown
    /// as it is. Scopes named here can be asked for besides those of resources and rules. Default: none.
    #[deserr(default)]
    pub scopes: Option<BTreeMap<String, String>>,

    /// Who may be granted which scopes: a scope that any entry names, itself or by a wildcard over it (`files:*`), is for those
    /// alone whom such an entry fits. Default: everybody who may log in can be granted every scope.
    #[deserr(default)]
    pub entitlements: Option<Vec<EntitlementDocument>>,

    /// Claims of the identity provider that access tokens carry, so that rules can ask for them: `["groups", "email"]`, each
    /// under what follows its last `/`. `"groups"` are the user's groups, whatever `groups_claim` is. Default: none.
    #[deserr(default)]
    pub token_claims: Option<Vec<String>>,

    /// Who may register clients (RFC 7591): `off`, `open` for everybody, or `initial_access_token`. Clients whose id is the URL
    /// of their metadata need no registration. Default: `off`.
    #[deserr(default)]
    pub registration: Option<RegistrationName>,

    /// The name of the Worker secret that registration asks for as a bearer token: 32 characters or more. Required with
    /// `registration = "initial_access_token"`.
    #[deserr(default)]
    pub initial_access_token_secret: Option<String>,

    /// The name of a rate-limiting binding that registrations count against, by the caller's address. Default: each isolate
    /// counts for itself, 20 a minute.
    #[deserr(default)]
    pub registration_limit_binding: Option<String>,

    /// Days after which a registered client that was not used is forgotten, 1 to 365. Default: 90.
    #[deserr(default)]
    pub registration_days: Option<u64>,

    /// Accepts clients whose id is the https URL of their metadata (client ID metadata documents). Default: `true`.
    #[deserr(default)]
    pub client_documents: Option<bool>,

    /// Domains on which such documents may be, as `vendor.example`, those below them included. Default: any.
    #[deserr(default)]
    pub client_document_domains: Option<Vec<String>>,

    /// Schemes of redirect URIs besides `https` and loopback, as `cursor`. Whatever program of the user's machine claims such
    /// a scheme gets the code; without the verifier it is of no use to it. Default: none (A8).
    #[deserr(default)]
    pub redirect_schemes: Option<Vec<String>>,

    /// Clients that are known beforehand. Default: none.
    #[deserr(default)]
    pub clients: Option<Vec<ClientDocument>>,

    /// Seconds that an access token lives, 60 to 3600: after a revocation it is good for as long. Default: 600.
    #[deserr(default)]
    pub access_token_seconds: Option<u64>,

    /// Days that a refresh token lives unused, 1 to 365. Default: 30.
    #[deserr(default)]
    pub refresh_token_days: Option<u64>,

    /// Days after which the user has to log in again, whatever happens, 1 to 365. Default: 90.
    #[deserr(default)]
    pub grant_days: Option<u64>,

    /// The name of the Worker secret, of 32 characters or more, with which `npm run grants` lists, ends, exports and deletes
    /// grants of others. Default: nobody can.
    #[deserr(default)]
    pub admin_secret: Option<String>,
}

/// How people log in: at an OpenID provider (`issuer`), or an OAuth 2.0 server that says who they are (`userinfo_endpoint`).
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct LoginDocument {
    /// The provider, whose habits then need no configuration: `generic`, `auth0`, `entra_id`, `github`, `google`, `keycloak`
    /// or `okta`. Default: `generic`.
    #[deserr(default)]
    pub profile: Option<LoginProfileName>,

    /// The issuer identifier of an OpenID provider: endpoints and keys are found by its discovery document, and ID tokens
    /// must be from it. Known for `google`. Default: none, for a server without OpenID.
    #[deserr(default)]
    pub issuer: Option<String>,

    /// Where users are sent. Default: from discovery. Known for `github`.
    #[deserr(default)]
    pub authorization_endpoint: Option<String>,

    /// Where codes are redeemed. Default: from discovery. Known for `github`.
    #[deserr(default)]
    pub token_endpoint: Option<String>,

    /// Where the provider says who a token's user is. Default: the ID token says; without `issuer` required. Known for
    /// `github`.
    #[deserr(default)]
    pub userinfo_endpoint: Option<String>,

    /// Where the provider's tokens are revoked when a client ends its grant (RFC 7009). Default: from discovery, where it
    /// has one.
    #[deserr(default)]
    pub revocation_endpoint: Option<String>,

    /// This gateway's client id there. Its redirect URI is `ISSUER/callback`. Default: the gateway registers itself
    /// (RFC 7591), where the provider's discovery document has a `registration_endpoint`.
    #[deserr(default)]
    pub client_id: Option<String>,

    /// How this gateway authenticates there, revocation included: `client_secret_basic`, `client_secret_post` or
    /// `private_key_jwt`. Default: `client_secret_basic`.
    #[deserr(default)]
    pub authentication: Option<ClientAuthenticationName>,

    /// The name of the Worker secret that holds the client secret; for `private_key_jwt` the private key. Required with
    /// `client_id`.
    #[deserr(default)]
    pub secret: Option<String>,

    /// Scopes that are asked for there. Default: `openid`, `profile`, `email`, and what the profile needs.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// More parameters of the authorization request there, as `prompt = "select_account"`. Default: none.
    #[deserr(default)]
    pub parameters: Option<BTreeMap<String, String>>,

    /// The claim that becomes `sub`: it must never be given to another person. Default: `sub`; `oid` for `entra_id`, `id` for
    /// `github`.
    #[deserr(default)]
    pub subject_claim: Option<String>,

    /// The claim with the user's groups: a name, or a JSON Pointer as `/realm_access/roles`. Default: `groups`;
    /// `/realm_access/roles` for `keycloak`; for `github` the organizations.
    #[deserr(default)]
    pub groups_claim: Option<String>,

    /// Domains whose people may log in: of `hd` for `google`, else of `email`, which the provider must call verified (Entra ID
    /// verifies none: use a tenant's own issuer there). Default: none.
    #[deserr(default)]
    pub allowed_domains: Option<Vec<String>>,

    /// Groups whose members may log in. Default: none.
    #[deserr(default)]
    pub allowed_groups: Option<Vec<String>>,

    /// People who may log in, by verified `email` or by subject. Default: none.
    #[deserr(default)]
    pub allowed_users: Option<Vec<String>>,

    /// Everybody whom the provider knows may log in. Required where no domains, groups or users are allowed, so that nobody
    /// opens a gateway to all of GitHub by leaving something out. Default: `false`.
    #[deserr(default)]
    pub anyone: Option<bool>,
}

/// An identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum LoginProfileName {
    /// None of the others.
    #[deserr(rename = "generic")]
    #[cfg_attr(feature = "schema", schemars(rename = "generic"))]
    Generic,
    /// Auth0.
    #[deserr(rename = "auth0")]
    #[cfg_attr(feature = "schema", schemars(rename = "auth0"))]
    Auth0,
    /// Microsoft Entra ID.
    #[deserr(rename = "entra_id")]
    #[cfg_attr(feature = "schema", schemars(rename = "entra_id"))]
    EntraId,
    /// GitHub.
    #[deserr(rename = "github")]
    #[cfg_attr(feature = "schema", schemars(rename = "github"))]
    Github,
    /// Google.
    #[deserr(rename = "google")]
    #[cfg_attr(feature = "schema", schemars(rename = "google"))]
    Google,
    /// Keycloak.
    #[deserr(rename = "keycloak")]
    #[cfg_attr(feature = "schema", schemars(rename = "keycloak"))]
    Keycloak,
    /// Okta.
    #[deserr(rename = "okta")]
    #[cfg_attr(feature = "schema", schemars(rename = "okta"))]
    Okta,
}

/// Who may register clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RegistrationName {
    /// Nobody.
    #[deserr(rename = "off")]
    #[cfg_attr(feature = "schema", schemars(rename = "off"))]
    Off,
    /// Everybody.
    #[deserr(rename = "open")]
    #[cfg_attr(feature = "schema", schemars(rename = "open"))]
    Open,
    /// Who has the token.
    #[deserr(rename = "initial_access_token")]
    #[cfg_attr(feature = "schema", schemars(rename = "initial_access_token"))]
    InitialAccessToken,
}

/// A client that is known beforehand.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ClientDocument {
    /// `client_id`: 1 to 128 letters, digits, `-`, `_`, `.`.
    pub client_id: String,

    /// The name that people see. Default: the id.
    #[deserr(default)]
    pub client_name: Option<String>,

    /// Where its codes may be sent. Default: nowhere; it cannot ask users.
    #[deserr(default)]
    pub redirect_uris: Option<Vec<String>>,

    /// How it authenticates: `none`, `client_secret_basic`, `client_secret_post` or `private_key_jwt`. Default: `none`.
    #[deserr(default)]
    pub token_endpoint_auth_method: Option<String>,

    /// The name of the Worker secret with its client secret: 32 characters or more.
    #[deserr(default)]
    pub secret: Option<String>,

    /// The JWK set with its public keys, as a JSON string, for `private_key_jwt`.
    #[deserr(default)]
    pub jwks: Option<String>,

    /// The URL of that set instead.
    #[deserr(default)]
    pub jwks_uri: Option<String>,

    /// Of `authorization_code`, `refresh_token` and `client_credentials`. Default: the first two.
    #[deserr(default)]
    pub grant_types: Option<Vec<String>>,

    /// What it may ask for, and what it gets for itself by `client_credentials`. Default: what users grant it, and nothing for
    /// itself.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// It may ask about tokens of others (RFC 7662), as MCP servers do. Default: `false`.
    #[deserr(default)]
    pub introspection: Option<bool>,
}

/// Who may be granted some scopes: those who are in one of these groups, or of one of these users.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct EntitlementDocument {
    /// The scopes.
    pub scopes: Vec<String>,

    /// Groups. Default: none.
    #[deserr(default)]
    pub groups: Option<Vec<String>>,

    /// Users, by verified email or by subject. Default: none.
    #[deserr(default)]
    pub users: Option<Vec<String>>,
}
