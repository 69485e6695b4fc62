//! The configuration document as a user writes it. The doc comments here are the configuration reference: they are
//! what `docs/configuration.md` and `docs/portcullis.schema.json` are made from.

use std::collections::BTreeMap;

use deserr::Deserr;

use crate::config::mistakes::Mistakes;

#[cfg(feature = "authorization-server")]
pub use crate::config::authorization_server_document::AuthorizationServerDocument;
pub use crate::config::credentials_document::{
    ApiKeyDocument, ApiKeySetDocument, ClientAuthenticationName, DpopDocument, IntrospectedTokensName,
    IntrospectionDocument, IssuerDocument, ProfileName, RequirementName, RevocationTable, VerifierDocument,
};
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

    /// How often callers may call. Only requests that the rules permit are counted. Default: unlimited.
    #[deserr(default)]
    pub limits: Option<Vec<LimitDocument>>,

    /// Requests that the rules, or missing scopes, may refuse one caller in a minute, in one isolate, 10 to 1000000. Beyond
    /// it all of its requests get 429 until the minute ends. Default: 600.
    #[deserr(default)]
    pub refusals_per_minute: Option<u64>,
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
    /// Names of the Worker secrets that hold signing keys, private JWKs, `EC` P-256 (ES256) or `OKP` Ed25519 (EdDSA)
    /// (`npm run keys` makes one). The first signs; all are published, so that a key is rotated by naming a new one
    /// last, then first, and then removing the old one (`npx portcullis keys rotate` says when).
    pub key_secrets: Vec<String>,
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
