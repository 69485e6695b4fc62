//! The configuration document as a user writes it. The doc comments here are the configuration reference: they are
//! what `docs/configuration.md` and `docs/portcullis.schema.json` are made from.

use std::collections::BTreeMap;

use deserr::Deserr;

use crate::config::Mistakes;

#[cfg(feature = "authorization-server")]
pub use crate::config::authorization_server_document::AuthorizationServerDocument;
pub use crate::config::rules_document::{
    ArgumentDocument, DecisionLogDocument, EffectName, LimitDocument, LimitKeyName, ModeName, RuleDocument,
    SessionsDocument, StepUpListName, WhenDocument,
};

/// What a Worker without the authorization server reads of its table: nothing.
#[cfg(not(feature = "authorization-server"))]
pub type AuthorizationServerDocument = serde_json::Value;

/// The `PORTCULLIS` variable: a TOML table under `[vars]` in `wrangler.toml`, or the same as a JSON string.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Document {
    /// The URL at which clients reach this gateway: scheme, host and, where it is not the usual one, port. Every URL
    /// that the gateway publishes begins with it; nothing is ever derived from a request. Must be `https`, except on
    /// a loopback host with `development = true`.
    pub public_url: String,

    /// Allows plain HTTP where the host is loopback (`localhost`, 127.0.0.0/8, `::1`): for this gateway, its issuers
    /// and its origin servers. Also adds `Server-Timing` to responses. Default `false`.
    #[deserr(default)]
    pub development: Option<bool>,

    /// Hosts, besides that of `public_url`, that requests may name in `Host`, each `host` or `host:port`. Others are
    /// refused with 403: that is the protection against DNS rebinding. Default: none.
    #[deserr(default)]
    pub allowed_hosts: Option<Vec<String>>,

    /// Web origins whose pages may call, each `https://host[:port]`. A request with any other `Origin` is refused
    /// with 403 (T1); `public_url` itself is always allowed. Default: none.
    #[deserr(default)]
    pub allowed_origins: Option<Vec<String>>,

    /// The authorization servers whose access tokens are accepted. Default: none.
    #[deserr(default)]
    pub issuers: Option<Vec<IssuerDocument>>,

    /// API keys for machines. Default: none.
    #[deserr(default)]
    pub api_keys: Option<Vec<ApiKeySetDocument>>,

    /// Workers of your own that know about credentials that nothing else here knows. Default: none.
    #[deserr(default)]
    pub verifiers: Option<Vec<VerifierDocument>>,

    /// The protected resources: the MCP endpoints behind this gateway.
    pub resources: Vec<ResourceDocument>,

    /// Paths that anyone may reach without a token. Each is one exact path: nothing below it or beside it opens.
    /// `/healthz` always exists and needs no entry. Default: none.
    #[deserr(default)]
    pub public_paths: Option<Vec<PublicPathDocument>>,

    /// What a scope includes besides itself: `"files:write" = ["files:read"]` lets a token with `files:write` do what
    /// asks for `files:read`. Holds transitively. Independently of this table `files:*` includes every scope that
    /// begins with `files:`. Default: empty.
    #[deserr(default)]
    pub scope_includes: Option<BTreeMap<String, Vec<String>>>,

    /// How DPoP proofs are judged (RFC 9449), where a resource takes them.
    #[deserr(default)]
    pub dpop: Option<DpopDocument>,

    /// Makes this gateway an authorization server of its own. Default: it is none.
    #[deserr(default)]
    pub authorization_server: Option<AuthorizationServerDocument>,

    /// The gateway's own list of what is revoked. Default: none.
    #[deserr(default)]
    pub revocation: Option<RevocationTable>,

    /// A signed statement to the origin server of who calls. Without this table the origin server gets the
    /// `x-portcullis-*` fields alone, and the log says so once at start.
    #[deserr(default)]
    pub identity_assertion: Option<IdentityAssertionDocument>,

    /// How old-era sessions are bound to their callers. Without this table the session ids of origin servers travel
    /// unsealed, and the log says so once at start.
    #[deserr(default)]
    pub sessions: Option<SessionsDocument>,

    /// A record of each decision of a resource with rules. Default: none.
    #[deserr(default)]
    pub decision_log: Option<DecisionLogDocument>,

    /// Shows what is behind the gateway, and how clients connect, at `/`: a page for browsers, JSON for the rest. Not where a
    /// resource or public path is there. Default: `true`.
    #[deserr(default)]
    pub public_page: Option<bool>,

    /// Counters of an isolate, at `/metrics` (`OpenMetrics`). Default: none.
    #[deserr(default)]
    pub metrics: Option<MetricsDocument>,

    /// What the log shows.
    #[deserr(default)]
    pub log: Option<LogDocument>,

    /// The whole document is in KV: stands alone in the variable, and never in the stored document. Default: it is here.
    #[deserr(default)]
    pub stored: Option<StoredDocument>,
}

/// The variable where the document is in KV: this table, and nothing besides.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
pub struct PointerDocument {
    /// Where the document is.
    pub stored: StoredDocument,
}

/// Where the document is in KV: for documents of more than 5 KB, and for changes without a deployment. `docs/operations.md`
/// says how it gets there and back.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct StoredDocument {
    /// The name of the KV binding. Whoever writes there decides who gets in.
    pub kv: String,

    /// The key of the document, which is JSON of at most 1 MiB. Default: `portcullis`.
    #[deserr(default)]
    pub key: Option<String>,

    /// Seconds within which a change takes effect once KV has it, 60 to 3600: KV itself may serve an old document for
    /// 30 of them. A document with a mistake changes nothing, and the log says so. Default: 60.
    #[deserr(default)]
    pub seconds: Option<u64>,
}

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

/// A protected resource: an MCP endpoint.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ResourceDocument {
    /// The path of the endpoint, as `/mcp`. Requests go to the resource with the longest path that they lie under, on
    /// whole segments: `/mcp` has `/mcp` and `/mcp/x`, not `/mcpx`. The resource identifier (RFC 9728) is `public_url`
    /// followed by this path.
    pub path: String,

    /// The URL of the MCP server that requests are forwarded to. Must be `https`, except loopback in development.
    /// Optional with `service`.
    #[deserr(default)]
    pub origin: Option<String>,

    /// The name of a service binding through which the origin server is reached instead of the network.
    #[deserr(default)]
    pub service: Option<String>,

    /// Names of the issuers whose tokens this resource accepts. A resource accepts at least one kind of credential:
    /// from here, `api_keys` or `verifiers`. Default: none.
    #[deserr(default)]
    pub issuers: Option<Vec<String>>,

    /// Prefixes of the API key sets that this resource accepts, as `Authorization: Bearer` or `X-API-Key`.
    /// Default: none.
    #[deserr(default)]
    pub api_keys: Option<Vec<String>>,

    /// Names of the verifiers that this resource accepts. Default: none.
    #[deserr(default)]
    pub verifiers: Option<Vec<String>>,

    /// Tokens bound to a key (RFC 9449): `off` refuses them, `optional` takes them and asks for a proof, `required` takes
    /// nothing else. Default: `off`.
    #[deserr(default)]
    pub dpop: Option<RequirementName>,

    /// Tokens bound to a client certificate (RFC 8705 §3): `off` refuses them, `optional` takes them over a connection
    /// with that certificate, `required` takes nothing else. Needs mutual TLS on the zone. Default: `off`.
    #[deserr(default)]
    pub certificate_bound: Option<RequirementName>,

    /// Scopes that a token must have to use this resource at all, advertised in challenges and metadata.
    /// Default: none.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// What is put before each scope where clients are told which to ask for: in challenges and metadata. For Entra ID,
    /// whose clients ask for `https://mcp.example.com/mcp/Tools.Use` and whose tokens say `Tools.Use`. Default: nothing.
    #[deserr(default)]
    pub scope_prefix: Option<String>,

    /// Values of which one must be in the token's `aud`. Default: the resource identifier alone, as MCP asks (R2). Set
    /// this for providers that know no resource indicators.
    #[deserr(default)]
    pub audiences: Option<Vec<String>>,

    /// `resource_name` in the metadata: a name for people.
    #[deserr(default)]
    pub name: Option<String>,

    /// `resource_documentation` in the metadata: the URL of a page for developers.
    #[deserr(default)]
    pub documentation: Option<String>,

    /// Seconds until the origin server must have begun to answer, 1 to 3600 (504). Default: 100.
    #[deserr(default)]
    pub response_timeout_seconds: Option<u64>,

    /// Seconds that the origin server's answer may then be silent, 1 to 3600; then it is cut. Default: 300, and for streams
    /// of events no limit but their caller: with one, the gateway handles each event by itself, at some 25 µs.
    #[deserr(default)]
    pub idle_timeout_seconds: Option<u64>,

    /// The largest request body in bytes, at most 104857600 (413); at most 8388608 where there are `rules` or `limits` by
    /// tool, since the gateway reads it then. Default: 4194304.
    #[deserr(default)]
    pub body_bytes: Option<u64>,

    /// Who may do what, one rule after another: the first that matches decides, and what none matches is denied.
    /// Default: no rules; a token that is good for the resource is good for everything behind it.
    #[deserr(default)]
    pub rules: Option<Vec<RuleDocument>>,

    /// `enforce`, or `observe`: every request passes, lists are not filtered, and the log says what the rules would have
    /// decided. Default: `enforce`.
    #[deserr(default)]
    pub rules_mode: Option<ModeName>,

    /// Labels for tools that you have looked at: `destructive = ["delete_*", "drop_table"]`. Rules refer to them. What the
    /// origin server says of its own tools (`readOnlyHint`, `destructiveHint`) is never believed. Default: none.
    #[deserr(default)]
    pub labels: Option<BTreeMap<String, Vec<String>>>,

    /// Tools that need a step-up, in lists: `hide` leaves them out until the caller has the scopes, `mark` shows them with
    /// `_meta["portcullis/step-up"]`, which names the scopes. Default: `hide`.
    #[deserr(default)]
    pub step_up_in_lists: Option<StepUpListName>,

    /// Keeps lists of the modern era that the origin server calls public (`cacheScope`), for as long as it says (`ttlMs`, at
    /// most a day), in memory and in the cache of the Cloudflare location; each reader gets them filtered. Default: `true`
    /// with `rules`, else `false`.
    #[deserr(default)]
    pub cache_lists: Option<bool>,

    /// Which argument each `Mcp-Param-*` field mirrors, as the `x-mcp-header` of your tools say: `Region = "region"`. They are held to
    /// agree (T13, T15); other such fields are forwarded unread. Default: none.
    #[deserr(default)]
    pub parameter_fields: Option<BTreeMap<String, String>>,

    /// How often callers may call. Default: as often as they like.
    #[deserr(default)]
    pub limits: Option<Vec<LimitDocument>>,
}

/// A path that anyone may reach, for `GET` and `HEAD` alone.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct PublicPathDocument {
    /// The exact path.
    pub path: String,

    /// The URL that answers for it, in full: nothing is appended but the query. Must be `https`, except loopback in
    /// development. Optional with `service`.
    #[deserr(default)]
    pub origin: Option<String>,

    /// The name of a service binding through which the origin server is reached instead of the network.
    #[deserr(default)]
    pub service: Option<String>,
}

/// The signed statement of who calls, sent as `x-portcullis-assertion`: a JWT of 60 seconds with the origin server as
/// its audience, checkable against `/.well-known/jwks.json` of this gateway.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct IdentityAssertionDocument {
    /// The name of the Worker secret that holds the signing key: a private JWK, `EC` P-256 (ES256) or `OKP` Ed25519
    /// (EdDSA). `npm run keys` makes one.
    pub key_secret: String,
}

/// Counters of an isolate, at `/metrics` (`OpenMetrics`).
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct MetricsDocument {
    /// The name of the Worker secret that whoever reads them must send as a bearer token: 32 characters or more.
    pub secret: String,
}

/// What the log shows.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct LogDocument {
    /// The name of the Worker secret that keys the pseudonyms of subjects: 32 characters or more. With it nobody
    /// without the secret can test a guess at a subject. Default: pseudonyms are keyed by `public_url`, which
    /// anyone who reads the log knows.
    #[deserr(default)]
    pub pseudonym_secret: Option<String>,

    /// Which requests have a line: `all`, or `refused` ones alone. Decisions of rules are in the decision log either way.
    /// Default: `all`.
    #[deserr(default)]
    pub requests: Option<RequestLinesName>,

    /// The name of an Analytics Engine binding where each request is a data point, whether it has a line or not:
    /// `docs/operations.md` has its members and a dashboard. Default: none.
    #[deserr(default)]
    pub analytics_engine: Option<String>,
}

/// Which requests have a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RequestLinesName {
    /// All.
    #[deserr(rename = "all")]
    #[cfg_attr(feature = "schema", schemars(rename = "all"))]
    All,
    /// Those that were refused.
    #[deserr(rename = "refused")]
    #[cfg_attr(feature = "schema", schemars(rename = "refused"))]
    Refused,
}
