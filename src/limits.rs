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

/// Seconds that a key id is remembered as unknown. Some providers sign with a key before all of their servers publish it.
pub const UNKNOWN_KID_SECONDS: u64 = 60;

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

/// How long a client assertion (RFC 7523) is valid, in seconds: enough for clock skew and one hop.
pub const CLIENT_ASSERTION_SECONDS: u64 = 60;

/// Longest id of an API key, in characters.
pub const API_KEY_ID_CHARS: usize = 32;

/// Shortest secret of an API key, in characters of base64url: 256 bits, which nobody guesses, so that one round of a
/// keyed hash protects it.
pub const API_KEY_SECRET_CHARS: usize = 43;

/// Most API keys of one set in configuration: more belong into KV, one variable holds 5 KB anyway.
pub const API_KEYS: usize = 1_000;

/// Most verified credentials that an isolate keeps.
pub const VERIFIED_ENTRIES: usize = 16_384;

/// Most bytes that verified credentials take, of the 128 MB of an isolate.
pub const VERIFIED_BYTES: usize = 16 * 1024 * 1024;

/// Most credentials that are remembered as no good: strangers can send as many as they like.
pub const INACTIVE_ENTRIES: usize = 8_192;

/// Questions about credentials that may be on their way at once to one provider, verifier or store: strangers' guesses must
/// not become everybody's load on it, and one that is slow must not keep others from being asked.
pub const QUESTIONS: usize = 64;

/// Milliseconds between two looks at whether another request has the answer that this one waits for.
pub const QUESTION_POLL: u32 = 20;

/// Seconds until it is worth asking again after a question failed.
pub const QUESTION_RETRY: u64 = 1;

/// Largest record of a store in bytes.
pub const RECORD_BYTES: usize = 16 * 1024;

/// Largest revocation list in bytes: some 20,000 entries.
pub const REVOCATION_BYTES: usize = 1024 * 1024;

/// Seconds between two attempts to read the revocation list.
pub const REVOCATION_RETRY: u64 = 2;

/// Fewest seconds within which a change of the revocation list takes effect.
pub const REVOCATION_SECONDS: u64 = 60;

/// Largest configuration document in KV in bytes.
pub const STORED_BYTES: usize = 1024 * 1024;

/// Fewest seconds within which a change of a stored configuration takes effect.
pub const STORED_SECONDS: u64 = 60;

/// Seconds before a stored configuration that could not be had is asked for again.
pub const STORED_RETRY: u64 = 2;

/// Seconds that Workers KV may serve a value from the edge: its own minimum.
pub const KV_EDGE_SECONDS: u64 = 30;

/// Milliseconds that a store or a Durable Object may take to answer.
pub const STORE_MILLISECONDS: u32 = 5_000;

/// Longest DPoP proof in bytes: an RSA key of 4096 bits, its signature and a long URL fit.
pub const PROOF_BYTES: usize = 8 * 1024;

/// Longest `jti` of a proof, in bytes.
pub const PROOF_JTI_BYTES: usize = 256;

/// Seconds that `iat` of a proof may lie from now where configuration does not say, and the most that it may say:
/// proofs are remembered for so long.
pub const PROOF_WINDOW: u64 = 300;

/// The least that configuration may say: clocks differ.
pub const PROOF_WINDOW_MIN: u64 = 5;

/// Most proofs that are remembered at once, of 128 bytes or so each. Beyond it nobody can say what is a replay, and
/// proofs are refused with 503.
pub const PROOFS: usize = 65_536;

/// Most proofs of one subject that an isolate remembers at once, so that one caller cannot fill the memory of all: 27
/// requests a second within the widest window.
pub const PROOFS_OF_ONE_SUBJECT: usize = 8_192;

/// Most proofs of one key that the guard of all isolates remembers at once: it has a disk.
pub const PROOFS_OF_ONE_KEY: usize = 262_144;

/// Seconds that a nonce for proofs is good.
pub const NONCE_SECONDS: u64 = 300;

/// Seconds that what a provider or a store says of a credential is used again, where configuration does not say.
pub const CACHE_SECONDS: u64 = 60;

/// The most that configuration may say.
pub const CACHE_SECONDS_MAX: u64 = 3_600;

/// Seconds that a credential that is no good is refused without asking again, where configuration does not say.
pub const NEGATIVE_SECONDS: u64 = 10;

/// The most that configuration may say: a token that becomes active must not be locked out for long.
pub const NEGATIVE_SECONDS_MAX: u64 = 300;

/// Seconds that whoever is asked about a credential may take, where configuration does not say.
pub const PROVIDER_TIMEOUT_DEFAULT: u64 = 5;

/// The most that configuration may say.
pub const PROVIDER_TIMEOUT_MAX: u64 = 30;

/// Longest name of a tool or prompt, in bytes: SEP-986 says 128 characters, and some servers prefix theirs.
pub const NAME_BYTES: usize = 1024;

/// Longest URI of an MCP resource that rules are asked about, in bytes.
pub const URI_BYTES: usize = 4 * 1024;

/// Most messages of a batch (2025-03-26): each of them is judged.
pub const BATCH_MESSAGES: usize = 64;

/// Largest request body, in bytes, that rules are asked about: it is held in the isolate's memory twice.
pub const INSPECTED_BYTES: u64 = 8 * 1024 * 1024;

/// Seconds that a caller has to send a body that rules are asked about.
pub const INSPECT_SECONDS: u64 = 30;

/// Most rules of one resource.
pub const RULES: usize = 20_000;

/// Largest list, in bytes, that is filtered: 5,000 tools of 3 KB each.
pub const LIST_BYTES: usize = 16 * 1024 * 1024;

/// Largest item of a list, in bytes: what is held of a list at once.
pub const LIST_ITEM_BYTES: usize = 1024 * 1024;

/// Deepest nesting of an item of a list. What is deeper than [`JSON_DEPTH`] is looked at for its form alone, without
/// recursion; common clients read about 200 levels.
pub const LIST_DEPTH: usize = 1_024;

/// So much of a list is read before its first byte goes on, so that a broken one can still be refused whole.
pub const LIST_HEAD_BYTES: usize = 64 * 1024;

/// Longest line of an event stream, in bytes, that is not JSON.
pub const EVENT_LINE_BYTES: usize = 64 * 1024;

/// Longest session id of an origin server, in bytes.
pub const SESSION_ID_BYTES: usize = 2048;

/// Seconds that a session lives where configuration does not say.
pub const SESSION_SECONDS: u64 = 24 * 60 * 60;

/// The least and the most that configuration may say.
pub const SESSION_SECONDS_RANGE: (u64, u64) = (60, 30 * 24 * 60 * 60);

/// Most secrets of sessions that are live at once.
pub const SESSION_SECRETS: usize = 4;

/// Most counters of the limits of resources that an isolate keeps. When the table is full, expired counters leave first,
/// then the oldest: a new caller always finds room.
pub const LIMIT_COUNTERS: usize = 16_384;

/// Most counters of one caller among them. Tool names are the caller's choice, and a batch holds 64 of them; further names
/// count in one counter of this caller.
pub const COUNTERS_OF_ONE_CALLER: usize = 256;

/// Most callers whose refused requests an isolate counts; the oldest leaves first.
pub const REFUSAL_COUNTERS: usize = 16_384;

/// Requests of one caller to one resource that the policy may refuse in a minute, in one isolate, where configuration does
/// not say. Beyond it the caller gets 429 before any rule is evaluated.
pub const REFUSALS_PER_MINUTE: u64 = 600;

/// The least and the most that configuration may say.
pub const REFUSALS_PER_MINUTE_RANGE: (u64, u64) = (10, 1_000_000);

/// Most network addresses whose logins an isolate counts; the oldest leaves first.
pub const LOGIN_COUNTERS: usize = 8_192;

/// Most network addresses whose registrations an isolate counts; the oldest leaves first.
pub const REGISTRATION_COUNTERS: usize = 8_192;

/// Most network addresses whose fetched documents an isolate counts; the oldest leaves first.
pub const DOCUMENT_COUNTERS: usize = 8_192;

/// Milliseconds that a record of the authorization server may take to answer: its place may be on another continent, and a
/// new object has to be placed first.
pub const RECORD_MILLISECONDS: u32 = 10_000;

/// Largest question to a record of the authorization server, in bytes: a registration with everything that it may have.
pub const RECORD_QUESTION_BYTES: usize = 256 * 1024;

/// Most parameters of a query or form that the authorization server reads; OAuth's requests have about ten.
pub const FORM_PARAMETERS: usize = 64;

/// Largest body in bytes that the authorization server reads. A registration with a key set is a few kilobytes.
pub const FORM_BYTES: u64 = 64 * 1024;

/// Longest client id, in bytes: some are URLs.
pub const CLIENT_ID_BYTES: usize = 2048;

/// Most characters of a client's name: people read it.
pub const CLIENT_NAME_CHARS: usize = 100;

/// Most redirect URIs of a client.
pub const REDIRECT_URIS: usize = 16;

/// Longest redirect URI in bytes.
pub const REDIRECT_URI_BYTES: usize = 2048;

/// Longest `state` in bytes: it is kept, and sent back.
pub const STATE_BYTES: usize = 2048;

/// Longest `scope` in bytes.
pub const SCOPE_BYTES: usize = 4096;

/// Largest client ID metadata document, or key set of a client, in bytes.
pub const CLIENT_DOCUMENT_BYTES: usize = 32 * 1024;

/// Seconds that a client ID metadata document is used, where it does not say.
pub const CLIENT_DOCUMENT_SECONDS_DEFAULT: u64 = 300;

/// The most seconds that a client ID metadata document is used, whatever it says.
pub const CLIENT_DOCUMENT_SECONDS: u64 = 24 * 60 * 60;

/// Seconds that what an identity provider says of itself is believed.
pub const PROVIDER_METADATA_SECONDS: u64 = 600;

/// Seconds that a consent page may be answered.
pub const CONSENT_SECONDS: u64 = 600;

/// Seconds that a login at the identity provider may take (P6).
pub const LOGIN_SECONDS: u64 = 600;

/// Seconds that a code may be redeemed (RFC 6749 §4.1.2 wants at most ten minutes; clients take less than one).
pub const CODE_SECONDS: u64 = 60;

/// Seconds that a refresh token that was used gives its answer again: a client that lost the answer, or asked in several
/// places at once, keeps its login. Later it is a theft.
pub const REFRESH_REPLAY_SECONDS: u64 = 60;

/// Seconds that a user stays signed in to the pages of the authorization server.
pub const SIGN_IN_SECONDS: u64 = 8 * 60 * 60;

/// Most bytes of claims that access tokens carry beside their own: with them in base64 a token stays below
/// [`TOKEN_BYTES`].
pub const TOKEN_CLAIMS_BYTES: usize = 8 * 1024;

/// Client ID metadata documents that one address may have fetched in a minute, in one isolate.
pub const DOCUMENTS_PER_MINUTE: u64 = 30;

/// Seconds that a document that could not be had is not asked for again.
pub const DOCUMENT_RETRY: u64 = 10;

/// Failures that an isolate remembers.
pub const FAILURES: usize = 1024;

/// Logins that one address may begin in a minute, in one isolate: a company's people may share one.
pub const LOGINS_PER_MINUTE: u64 = 120;

/// Most grants that one client has of one subject: its own oldest ends for a new one.
pub const GRANTS_OF_ONE_CLIENT: usize = 10;

/// Most grants of one subject: the oldest ends for a new one.
pub const GRANTS_OF_ONE_SUBJECT: usize = 100;

/// Registrations a minute from one address in one isolate.
pub const REGISTRATIONS_PER_MINUTE: u64 = 20;

/// Seconds that a registration is kept that was not used yet.
pub const REGISTRATION_FIRST_SECONDS: u64 = 24 * 60 * 60;

/// Largest list, in bytes, that is kept.
pub const CACHED_LIST_BYTES: usize = 1024 * 1024;

/// Most bytes of lists that an isolate keeps.
pub const CACHED_LISTS_BYTES: usize = 8 * 1024 * 1024;

/// Readers whose view of a list is kept with it: beyond them it is filtered again.
pub const CACHED_LIST_READINGS: usize = 16;

/// Most bytes of a list's items that are remembered; what comes after them is read each time.
pub const KNOWN_LIST_BYTES: usize = 512 * 1024;

/// Most bytes of items of all lists that an isolate remembers.
pub const KNOWN_ITEMS_BYTES: usize = 4 * 1024 * 1024;

/// How far ahead an item is looked for that was not due, where a list has changed.
pub const KNOWN_ITEMS_AHEAD: usize = 16;

/// The most seconds that a list is kept, whatever its origin server says.
pub const CACHED_LIST_SECONDS: u64 = 24 * 60 * 60;

/// Seconds that a list that was not public is not looked for in the cache of the place.
pub const UNCACHED_LIST_SECONDS: u64 = 10;

/// Most bytes of one data point's blobs: Analytics Engine takes 16 KB.
pub const DATA_POINT_BYTES: usize = 15 * 1024;
