//! The configuration document as a user writes it. The doc comments here are the configuration reference: they are
//! what `docs/configuration.md` and `docs/portcullis.schema.json` are made from.

use std::collections::BTreeMap;

use deserr::Deserr;

use crate::config::Mistakes;

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

    /// The authorization servers whose access tokens are accepted.
    pub issuers: Vec<IssuerDocument>,

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

    /// A signed statement to the origin server of who calls. Without this table the origin server gets the
    /// `x-portcullis-*` fields alone, and the log says so once at start.
    #[deserr(default)]
    pub identity_assertion: Option<IdentityAssertionDocument>,

    /// What the log shows.
    #[deserr(default)]
    pub log: Option<LogDocument>,
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
    /// tokens without `typ`. Providers that do not follow RFC 9068 need `"JWT"` here. Default: `["at+jwt"]`.
    #[deserr(default)]
    pub token_types: Option<Vec<String>>,

    /// Seconds by which clocks may differ when `exp`, `nbf` and `iat` are judged, 0 to 120. Default: 30.
    #[deserr(default)]
    pub leeway_seconds: Option<u64>,
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

    /// Names of the issuers whose tokens this resource accepts.
    pub issuers: Vec<String>,

    /// Scopes that a token must have to use this resource at all, advertised in challenges and metadata.
    /// Default: none.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

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

    /// Seconds that the origin server's answer may then be silent, 1 to 3600; the stream is cut. Default: 300.
    #[deserr(default)]
    pub idle_timeout_seconds: Option<u64>,

    /// The largest request body in bytes, at most 104857600 (413). Default: 4194304.
    #[deserr(default)]
    pub body_bytes: Option<u64>,
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

/// What the log shows.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct LogDocument {
    /// The name of the Worker secret that keys the pseudonyms of subjects: 32 characters or more. With it nobody
    /// without the secret can test a guess at a subject. Default: pseudonyms are keyed by `public_url`, which
    /// anyone who reads the log knows.
    pub pseudonym_secret: String,
}
