//! The part of the configuration document that says whose credentials are taken, as a user writes it: see
//! [`document`](super::document).

use std::collections::BTreeMap;

use deserr::Deserr;

use crate::config::mistakes::Mistakes;

/// An authorization server whose access tokens are accepted.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct IssuerDocument {
    /// The name by which resources refer to this issuer, and that logs show: 1 to 64 letters, digits, `-`, `_`, `.`.
    pub name: String,

    /// The issuer identifier (RFC 8414 §2): exactly the `iss` of its tokens and the `issuer` of its metadata, byte
    /// for byte, a trailing slash included.
    pub issuer: String,

    /// The provider, whose habits then need no configuration of their own: `generic` (RFC 9068), `auth0`,
    /// `cloudflare_access`, `cognito`, `entra_id`, `google`, `keycloak` or `okta`. `docs/identity-providers.md` says what
    /// each does differently. Default: `generic`.
    #[deserr(default)]
    pub profile: Option<ProfileName>,

    /// Tenants whose tokens are accepted, where `issuer` has `{tenantid}` in place of the tenant: each is one value of
    /// `tid`. Required there, and an error elsewhere.
    #[deserr(default)]
    pub tenants: Option<Vec<String>>,

    /// Claims that must hold: `hd = ["acme.example"]` asks for a claim `hd` that equals, or as an array contains, one of
    /// these. Numbers and booleans are compared as JSON writes them. Default: none.
    #[deserr(default)]
    pub claims: Option<BTreeMap<String, Vec<String>>>,

    /// Scopes that every accepted token of this issuer has besides its own, for providers that know no scopes of
    /// yours (Google, Cloudflare Access). Default: none.
    #[deserr(default)]
    pub grant_scopes: Option<Vec<String>>,

    /// Asks the issuer about tokens (RFC 7662) instead of verifying them here. Default: JWTs are verified here, and
    /// others are refused.
    #[deserr(default)]
    pub introspection: Option<IntrospectionDocument>,

    /// The URL of the JWK set, for a provider without metadata. Default: taken from the metadata at the locations of
    /// RFC 8414 §3 and OpenID Connect Discovery §4, whose `issuer` must be equal to the one above.
    #[deserr(default)]
    pub jwks_uri: Option<String>,

    /// A static public key instead of a key set, so that nothing is fetched: PEM (`-----BEGIN PUBLIC KEY-----`) or a
    /// JWK as a JSON string. A key without an id, as PEM is, serves whatever `kid` tokens name. Excludes `jwks_uri`.
    #[deserr(default)]
    pub public_key: Option<String>,

    /// Signature algorithms that this issuer's tokens may use, of `RS256`, `RS384`, `RS512`, `PS256`, `PS384`,
    /// `PS512`, `ES256`, `ES384`, `EdDSA`. Default: `["RS256", "ES256", "EdDSA"]`.
    #[deserr(default)]
    pub algorithms: Option<Vec<String>>,

    /// Values of the `typ` header that mark an access token, without `application/`, in any case; `absent` allows
    /// tokens without `typ`. Default: what the profile says; `["at+jwt"]` for `generic`.
    #[deserr(default)]
    pub token_types: Option<Vec<String>>,

    /// Seconds by which clocks may differ when `exp`, `nbf` and `iat` are judged, 0 to 120. Default: 30.
    #[deserr(default)]
    pub leeway_seconds: Option<u64>,
}

/// A provider.
#[derive(Debug, Clone, Copy, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ProfileName {
    /// RFC 9068.
    #[deserr(rename = "generic")]
    #[cfg_attr(feature = "schema", schemars(rename = "generic"))]
    Generic,
    /// Auth0.
    #[deserr(rename = "auth0")]
    #[cfg_attr(feature = "schema", schemars(rename = "auth0"))]
    Auth0,
    /// Cloudflare Access.
    #[deserr(rename = "cloudflare_access")]
    #[cfg_attr(feature = "schema", schemars(rename = "cloudflare_access"))]
    CloudflareAccess,
    /// Amazon Cognito.
    #[deserr(rename = "cognito")]
    #[cfg_attr(feature = "schema", schemars(rename = "cognito"))]
    Cognito,
    /// Microsoft Entra ID.
    #[deserr(rename = "entra_id")]
    #[cfg_attr(feature = "schema", schemars(rename = "entra_id"))]
    EntraId,
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

/// Whether something is asked for.
#[derive(Debug, Clone, Copy, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RequirementName {
    /// Not taken.
    #[deserr(rename = "off")]
    #[cfg_attr(feature = "schema", schemars(rename = "off"))]
    Off,
    /// Taken.
    #[deserr(rename = "optional")]
    #[cfg_attr(feature = "schema", schemars(rename = "optional"))]
    Optional,
    /// Nothing else is taken.
    #[deserr(rename = "required")]
    #[cfg_attr(feature = "schema", schemars(rename = "required"))]
    Required,
}

/// How a client authenticates to an authorization server.
#[derive(Debug, Clone, Copy, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ClientAuthenticationName {
    /// With a secret, in `Authorization` (RFC 6749 §2.3.1).
    #[deserr(rename = "client_secret_basic")]
    #[cfg_attr(feature = "schema", schemars(rename = "client_secret_basic"))]
    ClientSecretBasic,
    /// With a secret, in the body (RFC 6749 §2.3.1).
    #[deserr(rename = "client_secret_post")]
    #[cfg_attr(feature = "schema", schemars(rename = "client_secret_post"))]
    ClientSecretPost,
    /// With a signed statement (RFC 7523 §2.2).
    #[deserr(rename = "private_key_jwt")]
    #[cfg_attr(feature = "schema", schemars(rename = "private_key_jwt"))]
    PrivateKeyJwt,
}

/// Which tokens their issuer is asked about.
#[derive(Debug, Clone, Copy, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum IntrospectedTokensName {
    /// Those that are no JWT.
    #[deserr(rename = "opaque")]
    #[cfg_attr(feature = "schema", schemars(rename = "opaque"))]
    Opaque,
    /// All of them, JWTs too.
    #[deserr(rename = "all")]
    #[cfg_attr(feature = "schema", schemars(rename = "all"))]
    All,
}

/// How an issuer is asked about tokens (RFC 7662).
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct IntrospectionDocument {
    /// The URL to ask. Default: `introspection_endpoint` of the issuer's metadata.
    #[deserr(default)]
    pub endpoint: Option<String>,

    /// This gateway's client id there.
    pub client_id: String,

    /// How this gateway authenticates: `client_secret_basic`, `client_secret_post` or `private_key_jwt`. Default:
    /// `client_secret_basic`.
    #[deserr(default)]
    pub authentication: Option<ClientAuthenticationName>,

    /// The name of the Worker secret that holds the client secret; for `private_key_jwt` the private key, as `npm run
    /// keys` makes it.
    pub secret: String,

    /// Which tokens it is asked about: `opaque` for those that are no JWT, `all` for JWTs too, so that a token that the
    /// issuer revoked ends here within `cache_seconds`. Default: `opaque`.
    #[deserr(default)]
    pub tokens: Option<IntrospectedTokensName>,

    /// How tokens begin that are for this issuer, where a resource has more than one that is asked about opaque
    /// tokens. Default: no matter how.
    #[deserr(default)]
    pub token_prefix: Option<String>,

    /// Asks for an answer that is signed as a JWT (RFC 9701), and takes no other. What a provider offers depends on
    /// this client's registration there, so its metadata cannot tell. Default `false`.
    #[deserr(default)]
    pub signed_response: Option<bool>,

    /// Accepts answers without `aud`, from providers that never say for whom a token is: then any token of that
    /// provider opens this gateway, whomever it was made for. Default `false`.
    #[deserr(default)]
    pub allow_missing_audience: Option<bool>,

    /// The most seconds that an answer is used again, 0 to 3600; never longer than `exp`. Default: 60.
    #[deserr(default)]
    pub cache_seconds: Option<u64>,

    /// Seconds that a token that is not active is refused without asking again, 0 to 300. Default: 10.
    #[deserr(default)]
    pub negative_cache_seconds: Option<u64>,

    /// Seconds that the provider may take to answer, 1 to 30 (503). Default: 5.
    #[deserr(default)]
    pub timeout_seconds: Option<u64>,
}

/// API keys with one prefix. A key is `PREFIX_ID_SECRET`; `npm run apikey` makes one and prints it once.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ApiKeySetDocument {
    /// How its keys begin, before the first `_`: 2 to 20 lower-case letters and digits.
    pub prefix: String,

    /// The name of a KV binding with more keys: the record of a key is at `apikey:PREFIX:ID`, with the members of an
    /// entry of `keys` as JSON. Default: none.
    #[deserr(default)]
    pub kv: Option<String>,

    /// The most seconds that a record of KV is used again, and that an unknown key is refused without looking again, 1
    /// to 3600. Default: 60.
    #[deserr(default)]
    pub cache_seconds: Option<u64>,

    /// The keys. Default: none.
    #[deserr(default)]
    pub keys: Option<Vec<ApiKeyDocument>>,
}

/// An API key.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ApiKeyDocument {
    /// The id in the key: 1 to 32 letters and digits.
    pub id: String,

    /// Whose it is, for the log: 1 to 100 characters.
    pub label: String,

    /// The salted hash of the secret, as `npm run apikey` prints it: `hmac-sha256$SALT$DIGEST`.
    pub hash: String,

    /// What the key may do. Default: nothing that asks for a scope.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// When it ends, as `2027-01-31T00:00:00Z` (RFC 3339). Default: never.
    #[deserr(default)]
    pub expires: Option<String>,
}

/// A Worker of yours that knows about credentials. `docs/custom-verifier.md` has the contract.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct VerifierDocument {
    /// The name by which resources refer to it, and that logs show: 1 to 64 letters, digits, `-`, `_`, `.`.
    pub name: String,

    /// The name of the service binding to ask.
    #[deserr(default)]
    pub service: Option<String>,

    /// The verifier is compiled in: an implementation of `TokenVerifier` with this name. Excludes `service`.
    /// Default `false`.
    #[deserr(default)]
    pub compiled: Option<bool>,

    /// How credentials begin that are for this verifier. Default: it gets what nothing else of the resource takes.
    #[deserr(default)]
    pub token_prefix: Option<String>,

    /// The most seconds that a good answer is used again, 0 to 3600; never longer than `exp`. Default: 0.
    #[deserr(default)]
    pub cache_seconds: Option<u64>,

    /// Seconds that a bad answer is used again, 0 to 300. Default: 0.
    #[deserr(default)]
    pub negative_cache_seconds: Option<u64>,

    /// Seconds that it may take to answer, 1 to 30 (503). Default: 5.
    #[deserr(default)]
    pub timeout_seconds: Option<u64>,
}

/// How DPoP proofs are judged (RFC 9449).
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct DpopDocument {
    /// Seconds that `iat` of a proof may lie from now, either way, 5 to 300. Default: 300.
    #[deserr(default)]
    pub window_seconds: Option<u64>,

    /// The name of the Worker secret that keys nonces: 32 characters or more. With it every proof must have a nonce of
    /// this gateway's (RFC 9449 §9), so that none can be made beforehand. Default: no nonces.
    #[deserr(default)]
    pub nonce_secret: Option<String>,

    /// The name of the Durable Object binding (class `ReplayGuard`) that remembers used proofs exactly. Default: each
    /// isolate remembers its own, so a proof can be used once in each isolate within its window.
    #[deserr(default)]
    pub replay_binding: Option<String>,
}

/// The gateway's own list of what is revoked, a document in KV. `docs/revocation.md` has its form.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct RevocationTable {
    /// The name of the KV binding.
    pub kv: String,

    /// The key of the document. It must be there: without it nothing passes. Default: `revocations`.
    #[deserr(default)]
    pub key: Option<String>,

    /// Seconds within which a change takes effect once KV has it, 60 to 3600: KV itself may serve an old document for
    /// 30 of them. Where the document cannot be read for so long, nothing passes (503). Default: 60.
    #[deserr(default)]
    pub seconds: Option<u64>,
}
