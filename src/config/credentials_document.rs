//! The part of the configuration document that says which credentials the gateway accepts, as an operator writes it:
//! see [`document`](super::document).

use deserr::Deserr;

use crate::config::mistakes::Mistakes;
#[cfg(feature = "schema")]
use crate::config::ranges::{
    ANSWER_CACHE, API_KEY_CACHE, LEEWAY, NEGATIVE_ANSWER_CACHE, NEGATIVE_VERIFIER_CACHE, PROOF_WINDOW,
    PROVIDER_TIMEOUT, REVOCATION, VERIFIER_CACHE,
};
use crate::config::table::Table;

/// An authorization server whose access tokens the gateway accepts.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct IssuerDocument {
    /// The name of this issuer in `issuers` of resources and in logs: 1 to 64 letters, digits, `-`, `_`, `.`.
    pub name: String,

    /// The issuer identifier (RFC 8414 §2): identical to `iss` in its tokens and to `issuer` in its metadata, byte for
    /// byte, including a trailing slash.
    pub issuer: String,

    /// The provider, whose particular rules then need no configuration: `generic` (RFC 9068), `auth0`,
    /// `cloudflare_access`, `cognito`, `entra_id`, `google`, `keycloak` or `okta`. `docs/identity-providers.md`
    /// describes how they differ. Default: `generic`.
    #[deserr(default)]
    pub profile: Option<ProfileName>,

    /// Tenants whose tokens the gateway accepts, if `issuer` has `{tenantid}` in place of the tenant: each is one value
    /// of `tid`. Required with such an issuer, and an error with any other.
    #[deserr(default)]
    pub tenants: Option<Vec<String>>,

    /// Claims that every token must have, each with its accepted values. `hd = ["acme.example"]` requires a claim `hd`
    /// that equals one of the values, or is an array that contains one of them. Numbers and booleans are compared as
    /// JSON writes them. Default: none.
    #[deserr(default)]
    pub claims: Option<Table<Vec<String>>>,

    /// Scopes that every accepted token of this issuer has in addition to its own, for providers whose tokens cannot
    /// have your scopes (Google, Cloudflare Access). Default: none.
    #[deserr(default)]
    pub grant_scopes: Option<Vec<String>>,

    /// Makes the gateway ask the issuer about tokens (RFC 7662); `tokens` says about which. Default: the gateway
    /// verifies JWTs itself, and rejects other tokens.
    #[deserr(default)]
    pub introspection: Option<IntrospectionDocument>,

    /// The URL of the JWK set, for a provider without metadata. Default: from the metadata at the locations of RFC 8414
    /// §3 and OpenID Connect Discovery §4, in which `issuer` must equal the issuer identifier above.
    #[deserr(default)]
    pub jwks_uri: Option<String>,

    /// A static public key instead of a key set, so that the gateway fetches nothing: PEM
    /// (`-----BEGIN PUBLIC KEY-----`) or a JWK as a JSON string. A key without an id, such as a PEM key, verifies
    /// tokens with any `kid`. Excludes `jwks_uri`.
    #[deserr(default)]
    pub public_key: Option<String>,

    /// Signature algorithms that tokens of this issuer may use: any of `RS256`, `RS384`, `RS512`, `PS256`, `PS384`,
    /// `PS512`, `ES256`, `ES384`, `ES512`, `EdDSA` or its newer name `Ed25519` (RFC 9864). Default: `["RS256", "ES256", "EdDSA"]`.
    #[deserr(default)]
    pub algorithms: Option<Vec<String>>,

    /// Values of the `typ` header that mark an access token, without `application/`, in any case; `absent` accepts
    /// tokens without `typ`. Default: the values of the profile; `["at+jwt"]` for `generic`.
    #[deserr(default)]
    pub token_types: Option<Vec<String>>,

    /// Seconds by which clocks may differ when the gateway checks `exp`, `nbf` and `iat`, 0 to 120. Default: 30.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = LEEWAY.default, "minimum" = LEEWAY.least, "maximum" = LEEWAY.most)))]
    pub leeway_seconds: Option<u64>,

    /// Accepts tokens whose header has `jku`, `x5u`, `x5c` or `jwk`, which contain a key or the location of one (RFC 7515
    /// §4.1). The gateway ignores these members and uses only the keys of this issuer (RFC 8725 §3.10). SAP XSUAA and
    /// Cloud Foundry UAA send `jku`. Default: `false`, which rejects such tokens.
    #[deserr(default)]
    pub ignore_key_headers: Option<bool>,
}

/// The provider of an issuer.
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

/// Whether tokens may or must be bound.
#[derive(Debug, Clone, Copy, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RequirementName {
    /// Bound tokens are rejected.
    #[deserr(rename = "off")]
    #[cfg_attr(feature = "schema", schemars(rename = "off"))]
    Off,
    /// Bound tokens are accepted.
    #[deserr(rename = "optional")]
    #[cfg_attr(feature = "schema", schemars(rename = "optional"))]
    Optional,
    /// Only bound tokens are accepted.
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
    /// With a signed assertion (RFC 7523 §2.2).
    #[deserr(rename = "private_key_jwt")]
    #[cfg_attr(feature = "schema", schemars(rename = "private_key_jwt"))]
    PrivateKeyJwt,
}

/// About which tokens the gateway asks their issuer.
#[derive(Debug, Clone, Copy, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum IntrospectedTokensName {
    /// Tokens that are not JWTs.
    #[deserr(rename = "opaque")]
    #[cfg_attr(feature = "schema", schemars(rename = "opaque"))]
    Opaque,
    /// All tokens, including JWTs.
    #[deserr(rename = "all")]
    #[cfg_attr(feature = "schema", schemars(rename = "all"))]
    All,
}

/// How the gateway asks an issuer about tokens (RFC 7662).
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct IntrospectionDocument {
    /// The URL of the introspection endpoint. Default: `introspection_endpoint` of the issuer's metadata.
    #[deserr(default)]
    pub endpoint: Option<String>,

    /// The client id of this gateway at the issuer.
    pub client_id: String,

    /// How this gateway authenticates to the issuer: `client_secret_basic`, `client_secret_post` or `private_key_jwt`.
    /// Default: `client_secret_basic`.
    #[deserr(default)]
    pub authentication: Option<ClientAuthenticationName>,

    /// The name of the Worker secret that holds the client secret; for `private_key_jwt` the private key, in the form
    /// that `npx portcullis keys make` prints.
    pub secret: String,

    /// About which tokens the gateway asks: `opaque` for tokens that are not JWTs; `all` for JWTs too, so that the
    /// gateway rejects a token within `cache_seconds` after the issuer revoked it. Default: `opaque`.
    #[deserr(default)]
    pub tokens: Option<IntrospectedTokensName>,

    /// How tokens of this issuer begin. If a resource has more than one issuer or verifier that is asked about opaque
    /// tokens, all but one need a prefix. Default: tokens may begin with anything.
    #[deserr(default)]
    pub token_prefix: Option<String>,

    /// Asks for an answer that is signed as a JWT (RFC 9701), and accepts no other answer. Whether a provider signs its
    /// answers depends on this client's registration there, so its metadata does not say it. Default: `false`.
    #[deserr(default)]
    pub signed_response: Option<bool>,

    /// Accepts answers without `aud`, for providers that never state the audience of a token. Any token of that
    /// provider then opens this gateway, whichever service it was issued for. Default: `false`.
    #[deserr(default)]
    pub allow_missing_audience: Option<bool>,

    /// The member of the answer that identifies the user, for providers that leave out `sub`: for example `username`. The
    /// provider must never give its value to another user. The gateway refuses a token whose answer lacks it. Default: `sub`;
    /// if an answer has none, the subject is `client_id`, so that all users of that client are one subject for rules,
    /// limits and sessions.
    #[deserr(default)]
    pub subject_claim: Option<String>,

    /// Seconds for which the gateway uses an answer again at most, 0 to 3600; never after `exp`. Default: 60.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = ANSWER_CACHE.default, "minimum" = ANSWER_CACHE.least, "maximum" = ANSWER_CACHE.most)))]
    pub cache_seconds: Option<u64>,

    /// Seconds for which the gateway rejects a token that is not active without asking again, 0 to 300. Default: 10.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = NEGATIVE_ANSWER_CACHE.default, "minimum" = NEGATIVE_ANSWER_CACHE.least, "maximum" = NEGATIVE_ANSWER_CACHE.most)))]
    pub negative_cache_seconds: Option<u64>,

    /// Seconds within which the provider must answer, 1 to 30; otherwise the gateway answers 503. Default: 5.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = PROVIDER_TIMEOUT.default, "minimum" = PROVIDER_TIMEOUT.least, "maximum" = PROVIDER_TIMEOUT.most)))]
    pub timeout_seconds: Option<u64>,
}

/// A set of API keys with one prefix. A key is `PREFIX_ID_SECRET`; `npx portcullis apikey` makes one and prints it once.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ApiKeySetDocument {
    /// How keys of this set begin, before the first `_`: 2 to 20 lower-case letters and digits.
    pub prefix: String,

    /// The name of a KV binding with more keys: the record of a key is at `apikey:PREFIX:ID`, as JSON with the members
    /// of an entry of `keys`. Default: none.
    #[deserr(default)]
    pub kv: Option<String>,

    /// Seconds for which the gateway uses a record from KV again at most, and for which it rejects an unknown key
    /// without another look-up, 1 to 3600. Default: 60.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = API_KEY_CACHE.default, "minimum" = API_KEY_CACHE.least, "maximum" = API_KEY_CACHE.most)))]
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

    /// Who has the key, for the log: 1 to 100 characters.
    pub label: String,

    /// The salted hash of the secret, as `npx portcullis apikey` prints it: `hmac-sha256$SALT$DIGEST`.
    pub hash: String,

    /// Scopes of the key. Default: none; the key cannot do anything that requires a scope.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// When the key expires, for example `2027-01-31T00:00:00Z` (RFC 3339). Default: never.
    #[deserr(default)]
    pub expires: Option<String>,
}

/// A Worker of yours that verifies credentials. `docs/custom-verifier.md` has the contract.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct VerifierDocument {
    /// The name of this verifier in `verifiers` of resources and in logs: 1 to 64 letters, digits, `-`, `_`, `.`.
    pub name: String,

    /// The name of the service binding of your Worker. Required unless `compiled` is `true`.
    #[deserr(default)]
    pub service: Option<String>,

    /// The verifier is compiled into the gateway: an implementation of `TokenVerifier` with this name. Excludes
    /// `service`. Default: `false`.
    #[deserr(default)]
    pub compiled: Option<bool>,

    /// How credentials for this verifier begin. Default: the verifier gets every credential that nothing else of the
    /// resource accepts; `docs/custom-verifier.md` has the exceptions.
    #[deserr(default)]
    pub token_prefix: Option<String>,

    /// Seconds for which the gateway uses a positive answer again at most, 0 to 3600; never after `exp`. Default: 0.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = VERIFIER_CACHE.default, "minimum" = VERIFIER_CACHE.least, "maximum" = VERIFIER_CACHE.most)))]
    pub cache_seconds: Option<u64>,

    /// Seconds for which the gateway uses a negative answer again, 0 to 300. Default: 0.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = NEGATIVE_VERIFIER_CACHE.default, "minimum" = NEGATIVE_VERIFIER_CACHE.least, "maximum" = NEGATIVE_VERIFIER_CACHE.most)))]
    pub negative_cache_seconds: Option<u64>,

    /// Seconds within which the verifier must answer, 1 to 30; otherwise the gateway answers 503. Default: 5.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = PROVIDER_TIMEOUT.default, "minimum" = PROVIDER_TIMEOUT.least, "maximum" = PROVIDER_TIMEOUT.most)))]
    pub timeout_seconds: Option<u64>,
}

/// How the gateway checks DPoP proofs (RFC 9449).
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct DpopDocument {
    /// Seconds by which `iat` of a proof may differ from the current time, in either direction, 5 to 300. Default: 300.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = PROOF_WINDOW.default, "minimum" = PROOF_WINDOW.least, "maximum" = PROOF_WINDOW.most)))]
    pub window_seconds: Option<u64>,

    /// The name of the Worker secret that keys nonces: 32 characters or more. With it, every proof must have a nonce of
    /// this gateway (RFC 9449 §9), so that no proof can be made in advance. Default: no nonces.
    #[deserr(default)]
    pub nonce_secret: Option<String>,

    /// The name of the Durable Object binding (class `ReplayGuard`) that remembers used proofs for all isolates.
    /// Default: each isolate remembers its own, so a proof can be used once in each isolate within its window.
    #[deserr(default)]
    pub replay_binding: Option<String>,
}

/// The gateway's own list of revoked credentials, a document in KV. `docs/revocation.md` describes its form.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct RevocationTable {
    /// The name of the KV binding.
    pub kv: String,

    /// The key of the document. The document must exist: without it the gateway rejects every request that has a valid
    /// credential. Default: `revocations`.
    #[deserr(default)]
    pub key: Option<String>,

    /// Seconds within which a change takes effect after KV has it, 60 to 3600. KV itself may serve an old document for
    /// 30 of these seconds. If the gateway cannot read the document for so long, it answers 503 to every request that
    /// has a valid credential. Default: 60.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = REVOCATION.default, "minimum" = REVOCATION.least, "maximum" = REVOCATION.most)))]
    pub seconds: Option<u64>,
}
