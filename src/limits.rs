//! Every bound of the gate in one place, each with the attack or the platform limit that it answers.

/// Longest request target in bytes, path and query together (414). Proxies and logs behind us commonly stop at
/// 8 KiB; nothing in MCP needs a quarter of it.
pub const URL_BYTES: usize = 8 * 1024;

/// All request field names and values together, in bytes (431). Cloudflare itself stops at 128 KB; a bearer token
/// of [`TOKEN_BYTES`] and the `Mcp-Param-*` fields fit in this with room.
pub const FIELDS_BYTES: usize = 32 * 1024;

/// Most request fields (431): bounds the work for each request before anything is known of the caller.
pub const FIELDS_COUNT: usize = 128;

/// Default for the largest request body in bytes (413), when configuration does not say otherwise.
pub const BODY_BYTES: u64 = 4 * 1024 * 1024;

/// The most that configuration may allow for a request body: Cloudflare's own limit on the smallest plan is 100 MB.
pub const BODY_BYTES_MAX: u64 = 100 * 1024 * 1024;

/// Most of a body that is read to find the JSON-RPC id when a request is refused after authentication. Larger
/// requests are refused just the same, with `id: null`.
pub const PEEK_BYTES: usize = 64 * 1024;

/// Longest access token in bytes. Entra tokens with many groups reach 8 KiB.
pub const TOKEN_BYTES: usize = 16 * 1024;

/// Most members of the JOSE header of a token.
pub const TOKEN_HEADER_MEMBERS: usize = 16;

/// Most claims at the top level of a token.
pub const TOKEN_CLAIMS: usize = 128;

/// Deepest nesting of any JSON that an outsider sends: recursion is a stack, and wasm's is small.
pub const JSON_DEPTH: usize = 64;

/// Largest identity provider document (metadata or JWK set) in bytes; real ones stay below 32 KiB.
pub const PROVIDER_DOCUMENT_BYTES: usize = 256 * 1024;

/// Most keys that are read from one JWK set; the rest are ignored. Google and Entra publish fewer than ten.
pub const JWKS_KEYS: usize = 64;

/// Longest key id, in bytes, that is looked up or remembered.
pub const KID_BYTES: usize = 512;

/// Smallest RSA modulus in bits (RFC 7518 §3.3).
pub const RSA_BITS_MIN: usize = 2048;

/// Largest RSA modulus in bits: verification time grows with its square.
pub const RSA_BITS_MAX: usize = 8192;

/// Keys are kept at least this long, in seconds, whatever the provider's `Cache-Control` says: `no-store` on a JWK
/// set would otherwise cost a fetch for each request.
pub const JWKS_FRESH_FLOOR: u64 = 60;

/// Keys are refreshed at least this often, in seconds, so that a key that the provider withdrew dies here too.
pub const JWKS_FRESH_CEILING: u64 = 24 * 60 * 60;

/// How long keys are fresh, in seconds, where the provider does not say.
pub const JWKS_FRESH_DEFAULT: u64 = 15 * 60;

/// How long keys serve on, in seconds after they stopped being fresh, while the provider cannot be reached.
/// After that the gate fails closed with 503.
pub const JWKS_STALE: u64 = 60 * 60;

/// Seconds between two attempts to reach a provider for keys: bounds what a stranger's unknown `kid`s, or an
/// outage, can make us send.
pub const JWKS_COOLDOWN: u64 = 30;

/// Attempts to fetch an issuer's keys that may be on their way at once for key ids that are not known.
pub const JWKS_PARALLEL: u32 = 8;

/// Attempts to fetch an issuer's keys that may be on their way at once while there are none. Each request fetches for
/// itself, as none may wait for another's work; strangers must not multiply that without end.
pub const JWKS_FIRST_PARALLEL: u32 = 64;

/// Milliseconds that a caller who is refused has to send the body whose id the refusal would name.
pub const PEEK_MILLISECONDS: u32 = 2_000;

/// Seconds between two attempts to refresh keys after one failed.
pub const JWKS_RETRY: u64 = 10;

/// Unknown key ids that are remembered as unknown, for each issuer.
pub const UNKNOWN_KIDS: usize = 256;

/// Seconds that an identity provider may take to answer.
pub const PROVIDER_TIMEOUT: u64 = 8;

/// Clock leeway in seconds where configuration does not say.
pub const LEEWAY: u64 = 30;

/// The most leeway that configuration may ask for, in seconds: beyond it `exp` loses its meaning.
pub const LEEWAY_MAX: u64 = 120;

/// Seconds until the origin server's response fields must have arrived, where configuration does not say.
/// Cloudflare's own proxy gives up on an origin server at 100 s.
pub const ORIGIN_RESPONSE_TIMEOUT: u64 = 100;

/// Seconds that an origin server's stream may be silent, where configuration does not say. Servers that keep
/// streams open send comments far more often than this.
pub const ORIGIN_IDLE_TIMEOUT: u64 = 300;

/// The most that configuration may ask for either time limit, in seconds.
pub const ORIGIN_TIMEOUT_MAX: u64 = 3600;

/// How long an identity assertion is valid, in seconds: enough for clock skew and one hop, too short to be
/// worth stealing.
pub const ASSERTION_SECONDS: u64 = 60;

/// Longest single value in a log line, in characters: an outsider's text must not flood the log.
pub const LOG_VALUE_CHARS: usize = 256;

/// Needs that one request may have met before the gate gives up: a need met and asked again is a bug, and this keeps
/// it from becoming a loop.
pub const NEEDS: usize = 12;
