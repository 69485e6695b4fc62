//! The configuration document as an operator writes it. The doc comments of these types are the configuration
//! reference: `docs/configuration.md` and `docs/portcullis.schema.json` are generated from them.

use deserr::Deserr;

use crate::config::content_document::{BoundDocument, BudgetDocument, GuardDocument, HookDocument};
use crate::config::federation_document::{ServerDocument, ViewName};
use crate::config::lock_document::LockDocument;
use crate::config::mistakes::Mistakes;
#[cfg(feature = "schema")]
use crate::config::ranges::{BODY, IDLE_TIMEOUT, KEEP_ALIVE, LIST_TIMEOUT, REFUSALS, RESPONSE_TIMEOUT, STORED};
use crate::config::table::Table;

#[cfg(feature = "authorization-server")]
pub use crate::config::authorization_server_document::AuthorizationServerDocument;
pub use crate::config::credentials_document::{
    ApiKeyDocument, ApiKeySetDocument, ClientAuthenticationName, DpopDocument, IntrospectedTokensName,
    IntrospectionDocument, IssuerDocument, ProfileName, RequirementName, RevocationTable, VerifierDocument,
};
pub use crate::config::origin_credential_document::{IdentityName, OriginCredentialDocument};
pub use crate::config::rules_document::{
    ApprovalsDocument, ArgumentDocument, DecisionLogDocument, EffectName, LimitDocument, LimitKeyName, ModeName,
    RuleDocument, SessionsDocument, StepUpListName, WhenDocument,
};

/// A Worker that is built without the authorization server does not read this table.
#[cfg(not(feature = "authorization-server"))]
pub type AuthorizationServerDocument = serde_json::Value;

/// The `PORTCULLIS` variable: a TOML table under `[vars]` in `wrangler.toml`, or the same document as a JSON string.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Document {
    /// The URL at which clients reach this gateway: scheme, host, and the port if it is not the default port of the
    /// scheme. Every URL that the gateway publishes begins with it; the gateway never derives such a URL from a
    /// request. Must be `https`, except on a loopback host with `development = true`.
    pub public_url: String,

    /// Allows plain HTTP for loopback hosts (`localhost`, 127.0.0.0/8, `::1`): for this gateway, its issuers and its
    /// origin servers. Also adds `Server-Timing` to responses. Default: `false`.
    #[deserr(default)]
    pub development: Option<bool>,

    /// Hosts that requests may name in `Host` in addition to the host of `public_url`, each `host` or `host:port`. The
    /// gateway rejects any other host with 403: this protects against DNS rebinding. Default: none.
    #[deserr(default)]
    pub allowed_hosts: Option<Vec<String>>,

    /// Web origins whose pages may call the gateway, each `https://host[:port]`, or the origin of an extension or an
    /// application, such as `chrome-extension://ID`, `app://obsidian.md` or `vscode-file://vscode-app`. The gateway rejects
    /// a request with any other `Origin` with 403 (T1); it always allows `public_url` itself. Default: none.
    #[deserr(default)]
    pub allowed_origins: Option<Vec<String>>,

    /// The authorization servers whose access tokens the gateway accepts. Default: none.
    #[deserr(default)]
    pub issuers: Option<Vec<IssuerDocument>>,

    /// API keys for machine clients. Default: none.
    #[deserr(default)]
    pub api_keys: Option<Vec<ApiKeySetDocument>>,

    /// Workers of your own that verify credentials of kinds that the gateway does not support itself. Default: none.
    #[deserr(default)]
    pub verifiers: Option<Vec<VerifierDocument>>,

    /// The protected resources: the MCP endpoints behind this gateway.
    pub resources: Vec<ResourceDocument>,

    /// Paths that any caller may reach without a token. Each entry is one exact path: it opens no path below it or
    /// beside it. `/healthz` always exists and needs no entry. Default: none.
    #[deserr(default)]
    pub public_paths: Option<Vec<PublicPathDocument>>,

    /// Which other scopes a scope includes: with `"files:write" = ["files:read"]`, a token with `files:write` may do
    /// what requires `files:read`. Inclusion is transitive. Independently of this table, `files:*` includes every scope
    /// that begins with `files:`. Default: empty.
    #[deserr(default)]
    pub scope_includes: Option<Table<Vec<String>>>,

    /// How the gateway checks DPoP proofs (RFC 9449), at resources that accept them.
    #[deserr(default)]
    pub dpop: Option<DpopDocument>,

    /// Makes this gateway an OAuth authorization server too. Default: it is not one.
    #[deserr(default)]
    pub authorization_server: Option<AuthorizationServerDocument>,

    /// The gateway's own list of revoked credentials. Default: none.
    #[deserr(default)]
    pub revocation: Option<RevocationTable>,

    /// A signed statement that tells the origin server who the caller is. Without this table the origin server gets
    /// only the `x-portcullis-*` fields, and the log says so once at start.
    #[deserr(default)]
    pub identity_assertion: Option<IdentityAssertionDocument>,

    /// How the gateway binds sessions of the legacy era, task ids, `requestState` and the URIs of Apps to their callers. The
    /// gateway then reads every message, so `body_bytes` may be at most 8388608. Without this table these ids pass as origin
    /// servers issue them, and the log says so once at start.
    #[deserr(default)]
    pub sessions: Option<SessionsDocument>,

    /// A record of each decision that rules make. Default: none.
    #[deserr(default)]
    pub decision_log: Option<DecisionLogDocument>,

    /// Shows at `/` which resources are behind the gateway and how clients connect: a page for browsers, JSON for other
    /// clients. It has no effect if a resource or a public path is at `/`. Default: `true`.
    #[deserr(default)]
    pub public_page: Option<bool>,

    /// Who operates this gateway, as its pages show it to users. Default: the pages show the host of `public_url`.
    #[deserr(default)]
    pub operator: Option<OperatorDocument>,

    /// Counters of the isolate that answers, at `/metrics` (`OpenMetrics`). Default: none.
    #[deserr(default)]
    pub metrics: Option<MetricsDocument>,

    /// What the log contains.
    #[deserr(default)]
    pub log: Option<LogDocument>,

    /// Says where in KV the whole document is. This table must then be alone in the variable, and the document in KV
    /// must not have it. Default: the document is in the variable.
    #[deserr(default)]
    pub stored: Option<StoredDocument>,
}

/// The variable if the document is in KV: this table and nothing else.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
pub struct PointerDocument {
    /// Where the document is.
    pub stored: StoredDocument,
}

/// Where in KV the document is: for documents of more than 5 KB, and for changes without a deployment.
/// `docs/operations.md` describes how to put a document into KV and how to roll back to an earlier one.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct StoredDocument {
    /// The name of the KV binding. Any party that can write to this namespace decides who gets access.
    pub kv: String,

    /// The key of the document, which is JSON of at most 1 MiB. Default: `portcullis`.
    #[deserr(default)]
    pub key: Option<String>,

    /// Seconds within which a change takes effect after KV has it, 60 to 3600. KV itself may serve an old document for
    /// 30 of these seconds. A document with a mistake changes nothing, and the log says so. Default: 60.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = STORED.default, "minimum" = STORED.least, "maximum" = STORED.most)))]
    pub seconds: Option<u64>,
}

/// A protected resource: an MCP endpoint.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ResourceDocument {
    /// The path of the endpoint, for example `/mcp`. A request goes to the resource with the longest path that the
    /// request's path equals or lies under, by whole segments: `/mcp` gets `/mcp` and `/mcp/x`, but not `/mcpx`. The
    /// resource identifier (RFC 9728) is `public_url` followed by this path.
    pub path: String,

    /// The URL of the MCP server to which the gateway forwards requests. Must be `https`, except loopback in
    /// development. Optional with `service`.
    #[deserr(default)]
    pub origin: Option<String>,

    /// The name of a service binding through which the gateway reaches the origin server, instead of over the network.
    #[deserr(default)]
    pub service: Option<String>,

    /// Several MCP servers behind this one resource, instead of `origin`: clients see the tools, prompts and resources of all of
    /// them under names of their own. Needs `sessions`. At most 40. Guide: `docs/federation.md`. Default: none.
    #[deserr(default)]
    pub servers: Option<Vec<ServerDocument>>,

    /// Whether a list that lacks one of the `servers` is refused with 502. Otherwise the list names the servers that are left
    /// out, in `_meta["portcullis/left-out"]`. Default: `false`.
    #[deserr(default)]
    pub strict_servers: Option<bool>,

    /// Seconds that each of the `servers` has to answer a list or to open a stream, 1 to 30. What takes longer is left out, and all
    /// of them together have 40 seconds. Default: 5.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = LIST_TIMEOUT.default, "minimum" = LIST_TIMEOUT.least, "maximum" = LIST_TIMEOUT.most)))]
    pub list_timeout_seconds: Option<u64>,

    /// How `tools/list` shows the tools of `servers`: `all` with their definitions; `names` without schemas; `search` as two tools,
    /// `search_tools` and `call_tool`, which find tools and call them. Default: `all`.
    #[deserr(default)]
    pub view: Option<ViewName>,

    /// Names of the issuers whose tokens this resource accepts. A resource must accept at least one kind of credential:
    /// from `issuers`, `api_keys` or `verifiers`. Default: none.
    #[deserr(default)]
    pub issuers: Option<Vec<String>>,

    /// Prefixes of the API key sets that this resource accepts, in `Authorization: Bearer` or `X-API-Key`. Default:
    /// none.
    #[deserr(default)]
    pub api_keys: Option<Vec<String>>,

    /// Names of the verifiers that this resource accepts. Default: none.
    #[deserr(default)]
    pub verifiers: Option<Vec<String>>,

    /// Tokens that are bound to a key (RFC 9449): `off` rejects them, `optional` accepts them and requires a proof with
    /// them, `required` accepts no other tokens. Default: `off`.
    #[deserr(default)]
    pub dpop: Option<RequirementName>,

    /// Tokens that are bound to a client certificate (RFC 8705 §3): `off` rejects them, `optional` accepts them on a
    /// connection with that certificate, `required` accepts no other tokens. Needs mutual TLS on the zone. Default:
    /// `off`.
    #[deserr(default)]
    pub certificate_bound: Option<RequirementName>,

    /// Scopes that a token must have for any request to this resource. Challenges and metadata name them. Default:
    /// none.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// A prefix that the gateway puts before each scope in challenges and metadata, which tell clients what to request.
    /// For Entra ID, whose clients request `https://mcp.example.com/mcp/Tools.Use` and whose tokens contain
    /// `Tools.Use`. Default: empty.
    #[deserr(default)]
    pub scope_prefix: Option<String>,

    /// Accepted audiences: `aud` of the token must have at least one of them. Default: the resource identifier only, as
    /// MCP requires (R2). Set this for providers that do not support resource indicators.
    #[deserr(default)]
    pub audiences: Option<Vec<String>>,

    /// `resource_name` in the metadata: a name for people.
    #[deserr(default)]
    pub name: Option<String>,

    /// `resource_documentation` in the metadata: the URL of a page for developers.
    #[deserr(default)]
    pub documentation: Option<String>,

    /// Seconds within which the origin server must begin to answer, 1 to 3600; otherwise the gateway answers 504.
    /// Default: 100.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = RESPONSE_TIMEOUT.default, "minimum" = RESPONSE_TIMEOUT.least, "maximum" = RESPONSE_TIMEOUT.most)))]
    pub response_timeout_seconds: Option<u64>,

    /// Seconds for which the origin server's answer may be silent after its head, 1 to 3600; then the gateway cuts
    /// it off. The gateway then handles each part of an answer itself, which costs about 25 µs for each event. Without a
    /// limit an answer may be silent as long as the client waits for it, and the platform carries it. Default: no limit.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = IDLE_TIMEOUT.least, "maximum" = IDLE_TIMEOUT.most)))]
    pub idle_timeout_seconds: Option<u64>,

    /// Seconds of silence in an event stream after which the gateway sends the client a comment (`: keep-alive`), 1 to 300,
    /// so that no proxy on the way closes the connection as idle. Clients ignore comments (HTML §9.2.6). The gateway then
    /// handles each event itself, as with `idle_timeout_seconds`. Default: no comments.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = KEEP_ALIVE.least, "maximum" = KEEP_ALIVE.most)))]
    pub keep_alive_seconds: Option<u64>,

    /// The largest request body in bytes, at most 104857600; the gateway answers a larger one with 413. At most 8388608
    /// if the gateway reads messages: with `rules`, `sessions`, `lock`, `guards`, `bounds`, `hooks`, `budgets`, `cache_lists`, `parameter_fields`, or `limits` by tool. Default:
    /// 4194304.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = BODY.default, "minimum" = BODY.least, "maximum" = BODY.most)))]
    pub body_bytes: Option<u64>,

    /// Rules that decide which callers may do what. The gateway reads them in order: the first rule that matches
    /// decides, and the gateway denies what no rule matches. Default: no rules; a token that is valid for the resource
    /// is valid for everything behind it.
    #[deserr(default)]
    pub rules: Option<Vec<RuleDocument>>,

    /// `enforce`, or `observe`: every request passes, lists are not filtered, and the log says what the rules would
    /// have decided. Default: `enforce`.
    #[deserr(default)]
    pub rules_mode: Option<ModeName>,

    /// How calls wait for the approval of a person, where a rule has `effect = "approve"`. Guide: `docs/trust.md`. Default: 15
    /// minutes, and nothing learns of them but the page of the approvers.
    #[deserr(default)]
    pub approvals: Option<ApprovalsDocument>,

    /// Labels for tools that you have reviewed: `destructive = ["delete_*", "drop_table"]`. Rules refer to them. The
    /// gateway ignores what the origin server states about its own tools (`readOnlyHint`, `destructiveHint`). Default:
    /// none.
    #[deserr(default)]
    pub labels: Option<Table<Vec<String>>>,

    /// How lists show tools that need a step-up: `hide` leaves them out until the caller has the scopes, `mark` lists
    /// them with `_meta["portcullis/step-up"]`, which names the scopes. Default: `hide`.
    #[deserr(default)]
    pub step_up_in_lists: Option<StepUpListName>,

    /// How the gateway holds tools, prompts and resource templates to the definitions that were reviewed, which
    /// `npx portcullis lock` writes into `portcullis.lock.json`. Guide: `docs/trust.md`. Default: it does not.
    #[deserr(default)]
    pub lock: Option<LockDocument>,

    /// Those definitions. Commands take them from `portcullis.lock.json` beside the configuration. Default: none.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(with = "Option<serde_json::Map<String, serde_json::Value>>"))]
    pub locked: Option<serde_json::Value>,

    /// Guards, which look for credentials and personal data in calls and results. Guide: `docs/trust.md`. Default: none.
    #[deserr(default)]
    pub guards: Option<Vec<GuardDocument>>,

    /// Bounds by tool: how large calls and results may be, how long they may take, and whether they have to fit the schemas of the tool.
    /// Guide: `docs/trust.md`. Default: none.
    #[deserr(default)]
    pub bounds: Option<Vec<BoundDocument>>,

    /// Hooks: services of yours that are asked about calls and results. Guide: `docs/trust.md`. Default: none.
    #[deserr(default)]
    pub hooks: Option<Vec<HookDocument>>,

    /// Caches lists of the modern era that the origin server calls public (`cacheScope`), for as long as it says
    /// (`ttlMs`, at most one day), in memory and in the data-center (colo) cache. Each reader gets them filtered.
    /// Default: `true` with `rules`, except with a `credential` of each caller; else `false`.
    #[deserr(default)]
    pub cache_lists: Option<bool>,

    /// Which argument each `Mcp-Param-*` field mirrors, as `x-mcp-header` in the input schemas of your tools says:
    /// `Region = "region"`. The gateway requires that field and argument agree (T13, T15); it forwards other such
    /// fields unread. Default: none.
    #[deserr(default)]
    pub parameter_fields: Option<Table<String>>,

    /// Fields of the client's requests that the gateway forwards to the origin server, in addition to `Accept`,
    /// `Accept-Language`, `Content-Type`, `User-Agent`, `Last-Event-ID` and the `Mcp-*` fields: for example `X-Tenant-Id`.
    /// Pages of `allowed_origins` may send them too. Never fields with credentials or cookies, and none that the gateway or
    /// a proxy sets (`X-Forwarded-*`, `CF-*`, `X-Portcullis-*`). The client chooses their values: the origin server must not
    /// take them for a statement about who calls. Default: none.
    #[deserr(default)]
    pub forward_fields: Option<Vec<String>>,

    /// Claims of the caller that the origin server gets, in addition to its subject, issuer, client and scopes: `email`,
    /// `groups`, `roles`, or the name of a claim, or a JSON Pointer such as `/org/department`. They arrive as
    /// `X-Portcullis-Email`, `X-Portcullis-Groups`, `X-Portcullis-Roles` and `X-Portcullis-Claim-NAME`, percent-encoded, lists
    /// separated by commas, and in the identity assertion under `claims`. `email` arrives only if the credential has
    /// `email_verified`. A caller whose claims have more than 8 KB gets 403. Default: none.
    #[deserr(default)]
    pub identity_claims: Option<Vec<String>>,

    /// Whether the origin server learns who calls: `forward` sends the `x-portcullis-*` fields and the identity assertion,
    /// `none` sends neither. Default: `forward`; with `credential.static`, `credential.client_credentials` or `credential.per_user` it is
    /// `none`, so that names of users do not reach another party, unless `service` is set. Set `forward` for a server of your own.
    #[deserr(default)]
    pub identity: Option<IdentityName>,

    /// How the gateway authenticates to the origin server. The caller's own token never reaches it. Default: the gateway does
    /// not authenticate.
    #[deserr(default)]
    pub credential: Option<OriginCredentialDocument>,

    /// MCP methods that a caller without credentials may use: `initialize` (with `notifications/initialized`),
    /// `server/discover`, `ping` and the methods of lists, such as `tools/list`. Such a caller has no scopes and no
    /// identity: lists show what the rules allow to every caller. The origin server gets no identity fields and no
    /// assertion. A request with any other method, with an invalid credential, or with a body of more than 64 KB gets 401
    /// as usual. Default: none.
    #[deserr(default)]
    pub anonymous: Option<Vec<String>>,

    /// Rate limits of callers. The gateway counts only requests that the rules permit. Callers without credentials
    /// (`anonymous`) count by their network address, an IPv6 address by its first 64 bits. Default: unlimited.
    #[deserr(default)]
    pub limits: Option<Vec<LimitDocument>>,

    /// Budgets: how many calls of tools a caller, a client or a tool has in a day, counted exactly for all isolates. Guide:
    /// `docs/trust.md`. Default: none.
    #[deserr(default)]
    pub budgets: Option<Vec<BudgetDocument>>,

    /// How many requests of one caller the rules, missing scopes or the check of its session may reject in a minute, in
    /// one isolate, 10 to 1000000. Beyond this number, all requests of the caller to this resource get 429 until the
    /// minute ends. Default: 600.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = REFUSALS.default, "minimum" = REFUSALS.least, "maximum" = REFUSALS.most)))]
    pub refusals_per_minute: Option<u64>,
}

/// A path that any caller may reach without a token, with `GET` and `HEAD` only.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct PublicPathDocument {
    /// The exact path.
    pub path: String,

    /// The complete URL that answers for this path: the gateway appends nothing except the query. Must be `https`,
    /// except loopback in development. Optional with `service`.
    #[deserr(default)]
    pub origin: Option<String>,

    /// The name of a service binding through which the gateway reaches the origin server, instead of over the network.
    #[deserr(default)]
    pub service: Option<String>,
}

/// The signed statement of who the caller is, sent as `x-portcullis-assertion`: a JWT that is valid for 60 seconds,
/// with the origin server as its audience. The origin server verifies it with `/.well-known/jwks.json` of this gateway.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct IdentityAssertionDocument {
    /// Names of the Worker secrets that hold signing keys: private JWKs, `EC` P-256 (ES256) or `OKP` Ed25519 (EdDSA)
    /// (`npx portcullis keys make` makes one). The first key signs, and the gateway publishes all of them. To rotate a key, name
    /// the new one last, then first, and then remove the old one (`npx portcullis keys rotate` says when).
    pub key_secrets: Vec<String>,

    /// Whether every assertion names what the request asks for: `mcp_method`, `mcp_name` and `arguments_sha256`. The gateway
    /// then reads every message, so `body_bytes` may be at most 8388608. Without this key, an assertion names them only where
    /// the gateway reads messages anyway: with `rules`, `cache_lists`, `parameter_fields`, or `limits` by tool. Default:
    /// `false`.
    #[deserr(default)]
    pub operation: Option<bool>,
}

/// Who operates this gateway: a name, a color and a logo at the top of every page (consent, connected applications, errors,
/// the page at `/`), beside the host of `public_url`. Users recognize these pages by them. The logo is also the icon of
/// the browser tab.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct OperatorDocument {
    /// The name of the operator: 1 to 60 characters, without control characters and invisible ones. Default: the host of
    /// `public_url`.
    #[deserr(default)]
    pub name: Option<String>,

    /// The color of the main buttons and of the mark, as `#rrggbb`. Text on it is black or white, whichever has the higher
    /// contrast: that is at least 4.5:1 on every color (WCAG 2.2, 1.4.3). Default: blue.
    #[deserr(default)]
    pub color: Option<String>,

    /// A logo, as a data URL of a PNG or SVG image: `data:image/png;base64,` or `data:image/svg+xml;base64,` and at most
    /// 16384 characters in all. The pages show it on white, 36 pixels high and at most 112 wide. One variable holds 5 KB in
    /// total on Cloudflare Workers: with a larger logo the document must be in KV (`stored`). Default: the first letter or
    /// digit of the name, on the color.
    #[deserr(default)]
    pub logo: Option<String>,
}

/// Counters of the isolate that answers, at `/metrics` (`OpenMetrics`).
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct MetricsDocument {
    /// The name of the Worker secret that a reader of the counters must send as a bearer token: 32 characters or more.
    pub secret: String,
}

/// What the log contains.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct LogDocument {
    /// The name of the Worker secret that keys the pseudonyms of subjects: 32 characters or more. With it, only a party
    /// that has the secret can test a guess at a subject. Default: `public_url` keys the pseudonyms, and every reader
    /// of the log knows it.
    #[deserr(default)]
    pub pseudonym_secret: Option<String>,

    /// Which requests have a line in the log: `all`, or only `refused` ones. The decision log has the decisions of
    /// rules in both cases. Default: `all`.
    #[deserr(default)]
    pub requests: Option<RequestLinesName>,

    /// The name of an Analytics Engine binding. The gateway writes a data point there for each request, whether the
    /// request has a line in the log or not: `docs/operations.md` describes its members and a dashboard. Default: none.
    #[deserr(default)]
    pub analytics_engine: Option<String>,
}

/// Which requests have a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RequestLinesName {
    /// All requests.
    #[deserr(rename = "all")]
    #[cfg_attr(feature = "schema", schemars(rename = "all"))]
    All,
    /// Requests that the gateway refused.
    #[deserr(rename = "refused")]
    #[cfg_attr(feature = "schema", schemars(rename = "refused"))]
    Refused,
}
