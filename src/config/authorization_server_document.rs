//! The part of the configuration document that makes the gateway an authorization server.

use deserr::Deserr;

use crate::config::credentials_document::ClientAuthenticationName;
use crate::config::mistakes::Mistakes;
#[cfg(feature = "schema")]
use crate::config::ranges::{
    ACCESS_TOKEN, GRANT_DAYS, OUTAGE, OWN_REVOCATION, RECHECK, REFRESH_GRACE, REFRESH_TOKEN_DAYS, REGISTRATION_DAYS,
};
use crate::config::table::Table;
use crate::config::trusted_issuers_document::{TrustedIssuerDocument, WorkloadDocument};

/// Makes this gateway an OAuth 2.1 authorization server. Users log in at an identity provider that cannot do what MCP
/// clients expect. Resources name the gateway in `issuers`. `docs/authorization-server.md` is the guide.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct AuthorizationServerDocument {
    /// The name of this authorization server in `issuers` of resources. Default: `portcullis`.
    #[deserr(default)]
    pub name: Option<String>,

    /// The path that follows `public_url` in the issuer identifier, for example `/login`; the endpoints are below it.
    /// Default: none, the issuer identifier is `public_url` itself. Clients of MCP 2025-03-26 cannot find an issuer
    /// with a path.
    #[deserr(default)]
    pub path: Option<String>,

    /// Names of the Worker secrets that hold signing keys for access tokens: private JWKs, `EC` P-256 or `OKP` Ed25519
    /// (`npx portcullis keys make` makes one). The first key signs, and the gateway publishes all of them. To rotate a key, put the
    /// new one first and remove the old one an hour later.
    pub key_secrets: Vec<String>,

    /// Names of the Worker secrets, each of 32 characters or more, that seal cookies and mark codes and refresh tokens.
    /// The first secret seals and marks, and all of them open and verify, so that a secret is rotated like a key. When
    /// a secret is removed, the refresh tokens that it marked become invalid.
    pub secrets: Vec<String>,

    /// The name of the Durable Object binding (class `AuthorizationRecords`) that stores grants and clients.
    pub binding: String,

    /// How users log in.
    pub login: LoginDocument,

    /// Devices and programs without a browser may ask for tokens: they show a code, and their user decides in a browser elsewhere
    /// (RFC 8628). Default: `false`, because users can be talked into entering the code of another person's device.
    #[deserr(default)]
    pub device_authorization: Option<bool>,

    /// Clients may authenticate with the certificate of their connection (RFC 8705 §2): `tls_client_auth` and
    /// `self_signed_tls_client_auth`. Cloudflare must ask for client certificates on the host. Default: `false`.
    #[deserr(default)]
    pub client_certificates: Option<bool>,

    /// Other identity providers at which users log in, at most 16. Default: none. Guide: `docs/authorization-server.md`, *Several
    /// identity providers*.
    #[deserr(default)]
    pub other_logins: Option<Vec<OtherLoginDocument>>,

    /// Descriptions of scopes for the consent page: `"mcp:tools" = "Use the tools of this server"`. The page shows a
    /// scope without a description by its name. Clients can request the scopes named here in addition to those of
    /// resources and rules. Default: none.
    #[deserr(default)]
    pub scopes: Option<Table<String>>,

    /// Which users may be granted which scopes. If an entry names a scope, itself or by a wildcard over it (`files:*`),
    /// only users whom such an entry names can be granted the scope. Default: every user who may log in can be granted
    /// every scope.
    #[deserr(default)]
    pub entitlements: Option<Vec<EntitlementDocument>>,

    /// Claims of the identity provider that access tokens contain, so that rules can test them: `["groups", "email"]`.
    /// A token has each claim under the part of its name after the last `/`. `"groups"` stands for the user's groups,
    /// whatever `groups_claim` is. Default: none.
    #[deserr(default)]
    pub token_claims: Option<Vec<String>>,

    /// Which clients may register (RFC 7591): `off` for none, `open` for any, or `initial_access_token` for those that
    /// have the token. A client whose id is the URL of its metadata needs no registration. Default: `off`.
    #[deserr(default)]
    pub registration: Option<RegistrationName>,

    /// The name of the Worker secret that a client must send as a bearer token to register: 32 characters or more.
    /// Required with `registration = "initial_access_token"`.
    #[deserr(default)]
    pub initial_access_token_secret: Option<String>,

    /// The name of a rate-limiting binding that counts registrations by the caller's network address. Default: each
    /// isolate counts for itself, with a limit of 20 a minute for each address.
    #[deserr(default)]
    pub registration_limit_binding: Option<String>,

    /// Days without use after which the gateway deletes a registered client, 1 to 365. It deletes a client that was
    /// never used one day after the registration. Default: 90.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = REGISTRATION_DAYS.default, "minimum" = REGISTRATION_DAYS.least, "maximum" = REGISTRATION_DAYS.most)))]
    pub registration_days: Option<u64>,

    /// Accepts clients whose id is the `https` URL of their metadata (client ID metadata documents). Default: `true`.
    #[deserr(default)]
    pub client_documents: Option<bool>,

    /// Domains on which such documents may be, for example `vendor.example`, including their subdomains. Default: any.
    #[deserr(default)]
    pub client_document_domains: Option<Vec<String>>,

    /// Schemes that redirect URIs may have in addition to `https`, and `http` on loopback, for example `cursor`. Any
    /// program on the user's machine that claims such a scheme can get the code, but cannot redeem it without the code
    /// verifier. The gateway leaves redirect URIs with other schemes out of a registration or metadata document that also has
    /// redirect URIs that it accepts. Default: none (A8).
    #[deserr(default)]
    pub redirect_schemes: Option<Vec<String>>,

    /// Clients that you know beforehand. Default: none.
    #[deserr(default)]
    pub clients: Option<Vec<ClientDocument>>,

    /// Issuers whose assertions the token endpoint accepts: identity providers of companies (Enterprise-Managed
    /// Authorization), and platforms that identify workloads. Default: none.
    #[deserr(default)]
    pub trusted_issuers: Option<Vec<TrustedIssuerDocument>>,

    /// Lifetime of an access token in seconds, 60 to 3600. Default: 600.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = ACCESS_TOKEN.default, "minimum" = ACCESS_TOKEN.least, "maximum" = ACCESS_TOKEN.most)))]
    pub access_token_seconds: Option<u64>,

    /// Seconds within which every isolate refuses the access tokens of a grant that was revoked, 0 to 300. An isolate asks
    /// the binding for changes at most twice in this time; if it does not get them, it refuses all access tokens of this
    /// authorization server (503). With `0`, the gateway asks the record of the grant at every request. Default: 5.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = OWN_REVOCATION.default, "minimum" = OWN_REVOCATION.least, "maximum" = OWN_REVOCATION.most)))]
    pub revocation_seconds: Option<u64>,

    /// Days without use after which a refresh token expires, 1 to 365. Default: 30.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = REFRESH_TOKEN_DAYS.default, "minimum" = REFRESH_TOKEN_DAYS.least, "maximum" = REFRESH_TOKEN_DAYS.most)))]
    pub refresh_token_days: Option<u64>,

    /// Seconds after the use of a refresh token in which the gateway answers another use with the same new refresh token, 0
    /// to 600. A client with many processes that share a refresh token may need more than the default. A later use of the
    /// old one counts as theft and ends the grant. Default: 60.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = REFRESH_GRACE.default, "minimum" = REFRESH_GRACE.least, "maximum" = REFRESH_GRACE.most)))]
    pub refresh_grace_seconds: Option<u64>,

    /// Days after which the user must log in again in any case, 1 to 365. Default: 90.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = GRANT_DAYS.default, "minimum" = GRANT_DAYS.least, "maximum" = GRANT_DAYS.most)))]
    pub grant_days: Option<u64>,

    /// The name of the Worker secret, of 32 characters or more, with which an administrator can list, end, export and
    /// delete the grants of users (`npx portcullis grants`). Default: no administrator can.
    #[deserr(default)]
    pub admin_secret: Option<String>,
}

/// How users log in: at an OpenID provider (`issuer`), or at an OAuth 2.0 server that says who the user is
/// (`userinfo_endpoint`).
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct LoginDocument {
    /// The provider, whose particular rules then need no configuration: `generic`, `auth0`, `entra_id`, `github`,
    /// `google`, `keycloak` or `okta`. Default: `generic`.
    #[deserr(default)]
    pub profile: Option<LoginProfileName>,

    /// What the page on which users choose their provider, and the consent page, call it. Default: its host.
    #[deserr(default)]
    pub title: Option<String>,

    /// The domains of e-mail addresses whose users log in here: an address in `login_hint`, or one that the user enters, chooses this
    /// provider. It says where to log in, and not who may: that is `allowed_domains`. Default: none.
    #[deserr(default)]
    pub email_domains: Option<Vec<String>>,

    /// The clients whose users log in here. Default: all.
    #[deserr(default)]
    pub clients: Option<Vec<String>>,

    /// The resources whose users log in here, by path. Default: all.
    #[deserr(default)]
    pub resources: Option<Vec<String>>,

    /// The issuer identifier of an OpenID provider: the gateway finds endpoints and keys in its discovery document, and
    /// accepts ID tokens of this issuer only. Preset for `google`. Default: none, for a server without OpenID.
    #[deserr(default)]
    pub issuer: Option<String>,

    /// The URL of the discovery document, for a provider that does not publish it at its issuer, such as Entra External ID
    /// and Azure AD B2C. Its `issuer` must be the issuer above. Default: the locations of OpenID Connect Discovery §4 and RFC
    /// 8414 §3.
    #[deserr(default)]
    pub metadata_url: Option<String>,

    /// The tenants whose users may log in, if `issuer` has `{tenantid}` in place of the tenant, as the discovery document
    /// of Entra ID at `/common` has. The subject of a user is then `TENANT:SUBJECT`. Required with such an issuer, and an
    /// error with any other.
    #[deserr(default)]
    pub tenants: Option<Vec<String>>,

    /// The URL of the keys that sign ID tokens. With `authorization_endpoint` and `token_endpoint`, the gateway needs no
    /// discovery. Default: from discovery.
    #[deserr(default)]
    pub jwks_uri: Option<String>,

    /// Accepts ID tokens whose header has `jku`, `x5u`, `x5c` or `jwk`. The gateway ignores these members and uses only the
    /// keys of the provider (RFC 8725 §3.10). Default: `false`, which rejects such ID tokens.
    #[deserr(default)]
    pub ignore_key_headers: Option<bool>,

    /// The endpoint to which the gateway sends users. Default: from discovery. Preset for `github`.
    #[deserr(default)]
    pub authorization_endpoint: Option<String>,

    /// The endpoint at which the gateway redeems codes. Default: from discovery. Preset for `github`.
    #[deserr(default)]
    pub token_endpoint: Option<String>,

    /// The endpoint at which the gateway asks who the user of a token is. Required without `issuer`. Default with
    /// `issuer`: none, the ID token says who the user is. Preset for `github`.
    #[deserr(default)]
    pub userinfo_endpoint: Option<String>,

    /// The endpoint at which the gateway revokes the provider's tokens when a client revokes its grant (RFC 7009).
    /// Default: from discovery, if the provider has one.
    #[deserr(default)]
    pub revocation_endpoint: Option<String>,

    /// The client id of this gateway at the provider. Its redirect URI is `ISSUER/callback`, and `ISSUER/callback/NAME` for one of
    /// `other_logins`. Default: the gateway
    /// registers itself (RFC 7591), if the provider's discovery document has a `registration_endpoint`.
    #[deserr(default)]
    pub client_id: Option<String>,

    /// How this gateway authenticates to the provider, also for revocation: `client_secret_basic`, `client_secret_post`
    /// or `private_key_jwt`. Default: `client_secret_basic`.
    #[deserr(default)]
    pub authentication: Option<ClientAuthenticationName>,

    /// The name of the Worker secret that holds the client secret; for `private_key_jwt` the private key. Required with
    /// `client_id`.
    #[deserr(default)]
    pub secret: Option<String>,

    /// Scopes that the gateway requests at the provider. Default: `openid`, `profile` and `email`; for `okta` also
    /// `groups`; for `github` instead `read:user`, `user:email` and `read:org`.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// Additional parameters of the authorization request at the provider, for example `prompt = "select_account"`.
    /// Default: none.
    #[deserr(default)]
    pub parameters: Option<Table<String>>,

    /// The claim that becomes `sub`: the provider must never give its value to another person. Default: `sub`; `oid`
    /// for `entra_id`, `id` for `github`.
    #[deserr(default)]
    pub subject_claim: Option<String>,

    /// The claim with the user's groups: a name, or a JSON Pointer such as `/realm_access/roles`. Default: `groups`;
    /// `/realm_access/roles` for `keycloak`; the organizations for `github`.
    #[deserr(default)]
    pub groups_claim: Option<String>,

    /// Domains whose users may log in: the domain in `hd` for `google`, else the domain of `email`, which the provider
    /// must declare verified (Entra ID verifies none: use the issuer of one tenant there). Default: none.
    #[deserr(default)]
    pub allowed_domains: Option<Vec<String>>,

    /// Groups whose members may log in. Default: none.
    #[deserr(default)]
    pub allowed_groups: Option<Vec<String>>,

    /// Users who may log in, by verified `email` or by subject. Default: none.
    #[deserr(default)]
    pub allowed_users: Option<Vec<String>>,

    /// Every user whom the provider knows may log in. Required if no domains, groups or users are allowed, so that a
    /// forgotten key cannot open the gateway to all users of GitHub. Default: `false`.
    #[deserr(default)]
    pub anyone: Option<bool>,

    /// Accepts logout tokens of the provider at `ISSUER/backchannel-logout` (OpenID Connect Back-Channel Logout): when a user logs out
    /// there, the grants that began in that session end. Needs `issuer`. Default: `false`.
    #[deserr(default)]
    pub back_channel_logout: Option<bool>,

    /// A SCIM 2.0 service at which the provider provisions its users and groups. Default: none. Guide: `docs/scim.md`.
    #[deserr(default)]
    pub scim: Option<ScimDocument>,

    /// Minutes after which a refresh asks the provider again about the user, 0 to 43200: with the provider's refresh token, or
    /// at `userinfo_endpoint` without `issuer`. The grant ends if the provider refuses, and its scopes and claims follow what
    /// the provider says. If this key is set, the gateway also requests the scope `offline_access` (at `google`, `access_type =
    /// "offline"`), unless `scopes` is set, and a grant ends after this time if the provider gave no token to ask with. Without
    /// this key, such a grant lasts as long as `grant_days` says. With `0`, the gateway never asks again. Default: 60.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = RECHECK.default, "minimum" = RECHECK.least, "maximum" = RECHECK.most)))]
    pub recheck_minutes: Option<u64>,

    /// Minutes after `recheck_minutes` in which the provider may be out of reach, 0 to 10080: until then a refresh goes on with what the
    /// provider said last, and after that the gateway answers 503. Default: 60.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = OUTAGE.default, "minimum" = OUTAGE.least, "maximum" = OUTAGE.most)))]
    pub outage_minutes: Option<u64>,
}

/// Another identity provider at which users log in. The subjects and the groups of its users begin with `NAME|`, so that they are never
/// those of users of another provider.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct OtherLoginDocument {
    /// Its name: 1 to 64 letters, digits, `-`, `_`, `.`, but not `login` and `v2`. It cannot be changed without making other users of
    /// all its users.
    pub name: String,

    /// How users log in there.
    pub login: LoginDocument,

    /// Claims of its users that access tokens contain, so that rules can test them: names, or JSON Pointers. What this provider means by
    /// a claim may be another thing than what the one of `login` means by it. With `acr` or `amr`, `sign_in` rules and `acr_values` accept
    /// what it says of a sign-in, else the time alone. Default: none, beside `groups` and `email` of `token_claims`.
    #[deserr(default)]
    pub token_claims: Option<Vec<String>>,
}

/// The SCIM 2.0 service (RFC 7644) at `ISSUER/scim/v2`, and `ISSUER/scim/NAME/v2` for one of `other_logins`. A user whom the provider deactivates or deletes loses access at once, and the
/// groups of the directory are those of the user.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ScimDocument {
    /// Names of 1 to 4 Worker secrets, each of 32 characters or more. The provider sends one of them as `Authorization: Bearer`. To
    /// change a secret, add the new one, change it at the provider, and remove the old one.
    pub secrets: Vec<String>,

    /// The name of the Durable Object binding (class `Directory`) that stores the users and groups.
    pub binding: String,

    /// By what a login finds its user: `external_id`, `user_name`, or `email` (an address that the provider verified). Default:
    /// `external_id`.
    #[deserr(default, rename = "match")]
    #[cfg_attr(feature = "schema", schemars(rename = "match"))]
    pub matched_by: Option<ScimMatchName>,

    /// The claim of the login with that; not for `email`. Default: `subject_claim` for `external_id`, `preferred_username` for
    /// `user_name`.
    #[deserr(default)]
    pub claim: Option<String>,

    /// Whether a user whom the provider has not provisioned has no access. Default: `true`.
    #[deserr(default)]
    pub required: Option<bool>,

    /// Whether the groups of the directory stand in for those of the login. With `false`, groups that the provider provisions have no
    /// effect. Default: `true`.
    #[deserr(default)]
    pub groups: Option<bool>,
}

/// By what a login finds its user in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ScimMatchName {
    /// `externalId`
    #[deserr(rename = "external_id")]
    #[cfg_attr(feature = "schema", schemars(rename = "external_id"))]
    ExternalId,
    /// `userName`
    #[deserr(rename = "user_name")]
    #[cfg_attr(feature = "schema", schemars(rename = "user_name"))]
    UserName,
    /// One of `emails`
    #[deserr(rename = "email")]
    #[cfg_attr(feature = "schema", schemars(rename = "email"))]
    Email,
}

/// An identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum LoginProfileName {
    /// Any other provider.
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

/// Which clients may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RegistrationName {
    /// No client.
    #[deserr(rename = "off")]
    #[cfg_attr(feature = "schema", schemars(rename = "off"))]
    Off,
    /// Any client.
    #[deserr(rename = "open")]
    #[cfg_attr(feature = "schema", schemars(rename = "open"))]
    Open,
    /// A client that has the token.
    #[deserr(rename = "initial_access_token")]
    #[cfg_attr(feature = "schema", schemars(rename = "initial_access_token"))]
    InitialAccessToken,
}

/// A client that you know beforehand.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ClientDocument {
    /// `client_id`: 1 to 128 letters, digits, `-`, `_`, `.`.
    pub client_id: String,

    /// The name that users see. Default: the client id.
    #[deserr(default)]
    pub client_name: Option<String>,

    /// URIs to which its codes may be sent. One that ends in `/*` accepts one more segment of the path, of letters, digits,
    /// `-` and `_`, for a client whose redirect URIs differ for each connection: `https://chatgpt.com/connector/oauth/*`.
    /// Default: none; the client cannot ask users.
    #[deserr(default)]
    pub redirect_uris: Option<Vec<String>>,

    /// How the client authenticates: `none`, `client_secret_basic`, `client_secret_post`, `private_key_jwt`, or with
    /// `client_certificates` also `tls_client_auth` and `self_signed_tls_client_auth`. Default: `none`.
    #[deserr(default)]
    pub token_endpoint_auth_method: Option<String>,

    /// The name of the Worker secret that holds its client secret: 32 characters or more.
    #[deserr(default)]
    pub secret: Option<String>,

    /// The JWK set with its public keys, as a JSON string, for `private_key_jwt`; with its certificates (`x5c`) for
    /// `self_signed_tls_client_auth`.
    #[deserr(default)]
    pub jwks: Option<String>,

    /// The URL of that set, in place of `jwks`.
    #[deserr(default)]
    pub jwks_uri: Option<String>,

    /// The subject of its certificate, for `tls_client_auth`, as RFC 2253 writes it: `CN=agent,O=Acme,C=DE`.
    #[deserr(default)]
    pub tls_client_auth_subject_dn: Option<String>,

    /// The workload that the client is, in place of keys or a secret: assertions of a platform authenticate it.
    #[deserr(default)]
    pub workload: Option<WorkloadDocument>,

    /// Any of `authorization_code`, `refresh_token`, `client_credentials` and
    /// `urn:ietf:params:oauth:grant-type:jwt-bearer`. Default: the first two with `redirect_uris`; the last two with
    /// `workload`; else none.
    #[deserr(default)]
    pub grant_types: Option<Vec<String>>,

    /// Scopes that the client may request, and that it gets for itself with `client_credentials` or `workload`. Default: any
    /// that users grant it, and none for itself.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// The client may ask about tokens of other clients (RFC 7662), as MCP servers do. Default: `false`.
    #[deserr(default)]
    pub introspection: Option<bool>,

    /// All tokens of the client are bound to a DPoP key (RFC 9449 §5.2): a token request without a proof is refused. Default:
    /// `false`.
    #[deserr(default)]
    pub dpop_bound_access_tokens: Option<bool>,
}

/// Which users may be granted some scopes: members of one of these groups, and these users.
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
