//! Every limit of the gateway in one place, each with the attack or the platform limit that is the reason for it.

/// Longest request target in bytes, path and query together (414). Proxies and logs behind the gateway commonly stop at
/// 8 KiB; URLs of MCP endpoints have less than 2 KiB.
pub const URL_BYTES: usize = 8 * 1024;

/// Most bytes of all request field names and values together (431). Cloudflare itself stops at 128 KB; a bearer token
/// of [`TOKEN_BYTES`] and the `Mcp-Param-*` fields fit with space to spare.
pub const FIELDS_BYTES: usize = 32 * 1024;

/// Most request fields (431). It bounds the work for a request before the gateway knows anything about the caller.
pub const FIELDS_COUNT: usize = 128;

/// Largest request body in bytes (413), unless the configuration sets another limit.
pub const BODY_BYTES: u64 = 4 * 1024 * 1024;

/// The highest limit that the configuration may set for a request body, in bytes: Cloudflare's own limit on the
/// smallest plan is 100 MB.
pub const BODY_BYTES_MAX: u64 = 100 * 1024 * 1024;

/// Most bytes of a body that the gateway reads to find the JSON-RPC id when it rejects a request after authentication.
/// A larger request is rejected as well, with `id: null`.
pub const PEEK_BYTES: usize = 64 * 1024;

/// Largest body of a caller without credentials that the gateway reads, in bytes, to find out whether the resource opens
/// its method: requests for lists and for the initialization have less than 4 KB.
pub const ANONYMOUS_BYTES: u64 = 64 * 1024;

/// Longest access token in bytes. Entra tokens with many groups reach 8 KiB.
pub const TOKEN_BYTES: usize = 16 * 1024;

/// Most members of the JOSE header of a token.
pub const TOKEN_HEADER_MEMBERS: usize = 16;

/// Most claims at the top level of a token.
pub const TOKEN_CLAIMS: usize = 128;

/// Deepest nesting of any JSON from outside the gateway: the parser is recursive, and the stack of wasm is small.
pub const JSON_DEPTH: usize = 64;

/// Largest identity provider document (metadata or JWK set) in bytes; real ones stay below 32 KiB.
pub const PROVIDER_DOCUMENT_BYTES: usize = 256 * 1024;

/// Most keys that the gateway reads from one JWK set; it ignores the rest. Google and Entra publish fewer than ten.
pub const JWKS_KEYS: usize = 64;

/// Longest key id, in bytes, that the gateway looks up or remembers.
pub const KID_BYTES: usize = 512;

/// Smallest RSA modulus in bits (RFC 7518 §3.3).
pub const RSA_BITS_MIN: usize = 2048;

/// Largest RSA modulus in bits: verification time grows with its square.
pub const RSA_BITS_MAX: usize = 8192;

/// Shortest time that keys are fresh, in seconds, whatever `Cache-Control` the provider sends: with `no-store` on a JWK
/// set, each request would otherwise cost a fetch.
pub const JWKS_FRESH_FLOOR: u64 = 60;

/// Longest time that keys are fresh, in seconds. After it the gateway fetches them again, and so stops accepting a key
/// that the provider has removed.
pub const JWKS_FRESH_CEILING: u64 = 24 * 60 * 60;

/// How long keys are fresh, in seconds, if the provider sends no lifetime.
pub const JWKS_FRESH_DEFAULT: u64 = 15 * 60;

/// How long stale keys stay in use while the provider cannot be reached, in seconds after they stopped being fresh.
/// After that the gateway fails closed with 503.
pub const JWKS_STALE: u64 = 60 * 60;

/// Seconds between two attempts to fetch keys because of an unknown `kid`: bounds how many requests to the provider
/// callers without a valid token can cause with invented `kid`s, also during an outage of the provider.
pub const JWKS_COOLDOWN: u64 = 30;

/// Most concurrent attempts to fetch an issuer's keys because of key ids that are not known.
pub const JWKS_PARALLEL: u32 = 8;

/// Most concurrent attempts to fetch an issuer's keys while the gateway has none. Each request fetches for itself,
/// because no request may wait for the work of another; callers without a valid token must not multiply these fetches
/// without limit.
pub const JWKS_FIRST_PARALLEL: u32 = 64;

/// Milliseconds that a rejected caller has to send the body from which the gateway takes the id for the error.
pub const PEEK_MILLISECONDS: u32 = 2_000;

/// Seconds between two attempts to refresh keys after one failed.
pub const JWKS_RETRY: u64 = 10;

/// Seconds that the gateway remembers a key id as unknown. Some providers sign with a key before all of their servers
/// publish it.
pub const UNKNOWN_KID_SECONDS: u64 = 60;

/// Most key ids that the gateway remembers as unknown, for each issuer.
pub const UNKNOWN_KIDS: usize = 256;

/// Seconds that an identity provider has to answer a request for a document.
pub const PROVIDER_TIMEOUT: u64 = 8;

/// The longest `max_age` of a sign-in that a rule may require: a year.
pub const SIGN_IN_AGE_MAX: u64 = 31_536_000;

/// The most bytes of `acr_values`, in a rule and in a request.
pub const ACR_BYTES: usize = 1024;

/// Clock leeway in seconds, unless the configuration sets it.
pub const LEEWAY: u64 = 30;

/// The most leeway that the configuration may set, in seconds: beyond it `exp` loses its meaning.
pub const LEEWAY_MAX: u64 = 120;

/// Seconds that the origin server has until its response fields have arrived, unless the configuration sets it.
/// Cloudflare's own proxy gives up on an origin server at 100 s.
pub const ORIGIN_RESPONSE_TIMEOUT: u64 = 100;

/// The highest value that the configuration may set for either time limit, in seconds.
pub const ORIGIN_TIMEOUT_MAX: u64 = 3600;

/// Lifetime of an identity assertion, in seconds: enough for clock skew and one hop, too short to be worth stealing.
pub const ASSERTION_SECONDS: u64 = 60;

/// Longest single value in a log line, in characters: text from a caller must not flood the log.
pub const LOG_VALUE_CHARS: usize = 256;

/// How often one request may be suspended before the gateway gives up: a request that waits again for what it already
/// got is a bug, and this limit keeps it from becoming a loop.
pub const NEEDS: usize = 16;

/// Lifetime of a client assertion (RFC 7523), in seconds: enough for clock skew and one hop.
pub const CLIENT_ASSERTION_SECONDS: u64 = 60;

/// Longest id of an API key, in characters.
pub const API_KEY_ID_CHARS: usize = 32;

/// Shortest secret of an API key, in characters of base64url: 256 bits cannot be guessed, so one round of a keyed hash
/// protects it.
pub const API_KEY_SECRET_CHARS: usize = 43;

/// Most API keys of one set in the configuration. A larger set belongs in KV: a Worker variable holds only 5 KB.
pub const API_KEYS: usize = 1_000;

/// Most verified credentials that an isolate keeps.
pub const VERIFIED_ENTRIES: usize = 16_384;

/// Most bytes that verified credentials take, of the 128 MB of an isolate.
pub const VERIFIED_BYTES: usize = 16 * 1024 * 1024;

/// Most credentials that an isolate remembers as rejected: a caller can send any number of different ones.
pub const INACTIVE_ENTRIES: usize = 8_192;

/// Most concurrent look-ups of credentials at one provider, verifier or store: guessed credentials must not overload
/// it, and one slow provider must not keep the gateway from asking the others.
pub const LOOKUPS: usize = 64;

/// Milliseconds between two checks whether another request already has the answer that this request waits for.
pub const LOOKUP_POLL: u32 = 20;

/// Seconds in `Retry-After` after a look-up of a credential failed.
pub const LOOKUP_RETRY: u64 = 1;

/// Largest record of an API key in KV, in bytes.
pub const RECORD_BYTES: usize = 16 * 1024;

/// Largest revocation list in bytes: some 20,000 entries.
pub const REVOCATION_BYTES: usize = 1024 * 1024;

/// Seconds between two attempts to read the revocation list.
pub const REVOCATION_RETRY: u64 = 2;

/// Seconds within which a change of the revocation list takes effect: the default, and the lowest value that the
/// configuration may set.
pub const REVOCATION_SECONDS: u64 = 60;

/// Buckets of the revocation index. Its copy takes 8 bytes for each.
pub const REVOCATION_BUCKETS: u16 = 4096;

/// Seconds after which a revocation that entered the index has certainly taken effect in the records.
pub const REVOCATION_SETTLES: u64 = 30;

/// Credentials of which an isolate remembers that the records said that they are not revoked.
pub const CLEARED_ENTRIES: usize = 4096;

/// Seconds for which one request asks the identity provider again about a user: longer than all requests to the provider can take.
pub const RECHECK_TURN_SECONDS: u64 = 90;

/// Seconds for which other requests of the client wait for it.
pub const RECHECK_WAIT_SECONDS: u64 = 20;

/// Milliseconds after which a request that waits looks again.
pub const RECHECK_POLL: u32 = 250;

/// Seconds after a failure in which an isolate does not ask the identity provider again about users who logged in.
pub const RECHECK_RETRY: u64 = 10;

/// Minutes after which the identity provider is asked again about a user who logged in: the default, and the most.
pub const RECHECK_MINUTES: (u64, u64) = (60, 43_200);

/// Minutes for which it may be out of reach then: the default, and the most.
pub const OUTAGE_MINUTES: (u64, u64) = (60, 10_080);

/// Sign-ins of one user that were ended one by one and are remembered. Beyond it, all sign-ins of the user end.
pub const SIGN_OUTS: usize = 20;

/// Subjects of users that one identifier of a provider can have. One person has one, or one for each way in.
pub const SUBJECTS_OF_ONE_IDENTIFIER: usize = 16;

/// Seconds for which the gateway remembers what a provider said about a user: longer than any token of another issuer should live.
pub const SIGNAL_SECONDS: u64 = 30 * 86_400;

/// Seconds after which an open event stream asks again whether its caller's credential is revoked, at least.
pub const STREAM_WATCH_LEAST: u64 = 1;

/// The same, at most.
pub const STREAM_WATCH_MOST: u64 = 60;

/// Seconds for which an event stream goes on while it cannot be known whether its caller's credential is revoked.
pub const STREAM_WATCH_OUTAGE: u64 = 60;

/// The most SETs of one answer of a transmitter that is polled.
pub const POLL_SETS: usize = 25;

/// Seconds for which a run polls. The next run begins 60 seconds after this one did.
pub const POLL_RUN_SECONDS: u64 = 56;

/// The most requests of a run.
pub const POLL_REQUESTS: usize = 400;

/// Seconds for which a transmitter may hold a request until it has a SET.
pub const POLL_HELD_SECONDS: u64 = 25;

/// Milliseconds between an answer of a transmitter and the next request.
pub const POLL_PAUSE_MILLISECONDS: u32 = 2_000;

/// Milliseconds between a failure of a transmitter and the next request.
pub const POLL_RETRY_MILLISECONDS: u32 = 10_000;

/// Seconds ahead that `exp` of an assertion of a trusted issuer may be: the default, and the range. Kubernetes gives its pods tokens
/// for 3607 seconds.
pub const TRUSTED_ASSERTION_SECONDS: (u64, u64, u64) = (7200, 60, 86_400);

/// Seconds within which a revocation by the authorization server takes effect: the default, and the most that can be configured.
pub const OWN_REVOCATION_SECONDS: (u64, u64) = (5, 300);

/// Largest configuration document in KV in bytes.
pub const STORED_BYTES: usize = 1024 * 1024;

/// Seconds within which a change of the configuration in KV takes effect: the default, and the lowest value that
/// `stored` may set.
pub const STORED_SECONDS: u64 = 60;

/// Seconds until the gateway tries again to read a configuration from KV, after an attempt failed.
pub const STORED_RETRY: u64 = 2;

/// Seconds that a data center may serve a value of Workers KV from its cache: the minimum that KV accepts.
pub const KV_EDGE_SECONDS: u64 = 30;

/// Milliseconds that KV or a Durable Object has to answer.
pub const STORE_MILLISECONDS: u32 = 5_000;

/// Longest DPoP proof in bytes: an RSA key of 4096 bits, its signature and a long URL fit.
pub const PROOF_BYTES: usize = 8 * 1024;

/// Longest `jti` of a proof, in bytes.
pub const PROOF_JTI_BYTES: usize = 256;

/// Seconds that `iat` of a proof may differ from the time of the gateway: the default, and the highest value that the
/// configuration may set. The gateway remembers used proofs for this time.
pub const PROOF_WINDOW: u64 = 300;

/// The lowest window that the configuration may set, in seconds: clocks differ.
pub const PROOF_WINDOW_MIN: u64 = 5;

/// Most used proofs that an isolate remembers at once, about 128 bytes each. When the memory is full, the gateway
/// cannot detect a replay, and rejects proofs with 503.
pub const PROOFS: usize = 65_536;

/// Most used proofs of one subject that an isolate remembers at once, so that one caller cannot fill the memory for
/// all: 27 requests a second within the widest window.
pub const PROOFS_OF_ONE_SUBJECT: usize = 8_192;

/// Most used proofs of one key that the Durable Object for all isolates remembers at once: it stores them on disk.
pub const PROOFS_OF_ONE_KEY: usize = 262_144;

/// Seconds that a nonce for proofs is valid.
pub const NONCE_SECONDS: u64 = 300;

/// Seconds that the gateway caches what a provider or a store answered about a credential, unless the configuration
/// sets it.
pub const CACHE_SECONDS: u64 = 60;

/// The highest value that the configuration may set.
pub const CACHE_SECONDS_MAX: u64 = 3_600;

/// Seconds that the gateway rejects an inactive or unknown credential from its cache, without a new look-up, unless the
/// configuration sets it.
pub const NEGATIVE_SECONDS: u64 = 10;

/// The highest value that the configuration may set: a token that becomes active must not be locked out for long.
pub const NEGATIVE_SECONDS_MAX: u64 = 300;

/// Seconds that a provider, verifier or store has to answer a look-up of a credential, unless the configuration sets
/// it.
pub const PROVIDER_TIMEOUT_DEFAULT: u64 = 5;

/// The highest value that the configuration may set.
pub const PROVIDER_TIMEOUT_MAX: u64 = 30;

/// Longest name of a tool or prompt, in bytes: SEP-986 allows 128 characters, and some servers add a prefix to their
/// names.
pub const NAME_BYTES: usize = 1024;

/// Longest URI of an MCP resource that rules are evaluated for, in bytes.
pub const URI_BYTES: usize = 4 * 1024;

/// Most messages of a batch (2025-03-26): the gateway evaluates the rules for each of them.
pub const BATCH_MESSAGES: usize = 64;

/// Largest request body, in bytes, that the gateway reads to evaluate rules: the memory of the isolate holds it twice.
pub const INSPECTED_BYTES: u64 = 8 * 1024 * 1024;

/// Seconds that a caller has to send a body that the gateway reads to evaluate rules.
pub const INSPECT_SECONDS: u64 = 30;

/// Most rules of one resource.
pub const RULES: usize = 20_000;

/// Largest list, in bytes, that the gateway filters: 5,000 tools of 3 KB each.
pub const LIST_BYTES: usize = 16 * 1024 * 1024;

/// Largest item of a list, in bytes: the gateway holds one item in memory at a time.
pub const LIST_ITEM_BYTES: usize = 1024 * 1024;

/// Deepest nesting of an item of a list. At levels deeper than [`JSON_DEPTH`] the gateway checks only the syntax,
/// without recursion; common clients read about 200 levels.
pub const LIST_DEPTH: usize = 1_024;

/// Bytes of a list that the gateway reads before it forwards the first one, so that it can still reject a malformed
/// list as a whole.
pub const LIST_HEAD_BYTES: usize = 64 * 1024;

/// Longest line of an event stream, in bytes, that is not JSON.
pub const EVENT_LINE_BYTES: usize = 64 * 1024;

/// Longest session id of an origin server, in bytes.
pub const SESSION_ID_BYTES: usize = 2048;

/// Longest task id of an origin server, in bytes. The sealed id has to fit into `Mcp-Name`.
pub const TASK_ID_BYTES: usize = 1024;

/// Most servers behind one resource: a request for a list asks each of them, and the free plan of Workers has 50 subrequests.
pub const SERVERS: usize = 40;

/// Most of these servers that are asked at the same time: a Worker has 6 connections that wait for response fields.
pub const SERVERS_AT_ONCE: usize = 6;

/// Longest name of such a server, in bytes: it is a part of the names that clients see.
pub const SERVER_NAME_BYTES: usize = 32;

/// Longest name of a tool of such a server as clients see it, in bytes (SEP-986).
pub const ADVERTISED_NAME_BYTES: usize = 128;

/// Seconds that each of several servers has for a list, unless the configuration says otherwise, and at most.
pub const SERVER_LIST_SECONDS: u64 = 5;
/// See [`SERVER_LIST_SECONDS`].
pub const SERVER_LIST_SECONDS_MAX: u64 = 30;

/// Seconds after which a list is answered without the servers that are still to be asked: enough for all of them if none answers.
pub const SERVERS_LIST_SECONDS: u64 = 40;

/// Seconds for which a server that did not answer a caller in time is not asked for that caller.
pub const SERVER_REST_SECONDS: u64 = 15;

/// Callers that a server did not answer in time, within those seconds, after which it is not asked for anyone.
pub const SERVER_LATE_CALLERS: usize = 3;

/// Largest list of one of several servers, in bytes.
pub const SERVER_LIST_BYTES: u64 = 2 * 1024 * 1024;

/// Largest lists of all of them together, in bytes: the memory of the isolate holds them three times, beside what is still arriving.
pub const SERVERS_LIST_BYTES: u64 = 8 * 1024 * 1024;

/// Longest query for tools, in bytes.
pub const TOOL_QUERY_BYTES: usize = 1024;

/// Tools in the result of a search, unless the client asks for another number.
pub const TOOLS_FOUND: usize = 10;
/// Most tools in the result of a search.
pub const TOOLS_FOUND_MAX: usize = 50;

/// Most merged lists that an isolate keeps, and most bytes of them.
pub const MERGED_LISTS: usize = 64;
/// See [`MERGED_LISTS`].
pub const MERGED_LISTS_BYTES: usize = 4 * 1024 * 1024;

/// Seconds that one of several servers has for each message with which the gateway opens a session there.
pub const OPENING_SECONDS: u64 = 10;

/// Largest answer to such a message, in bytes.
pub const OPENING_BYTES: u64 = 256 * 1024;

/// Seconds for which an isolate remembers which eras a server has.
pub const KNOWN_ERA_SECONDS: u64 = 600;

/// Most callers whose sessions at servers an isolate keeps.
pub const CONVERSING_CALLERS: usize = 512;

/// Most sessions at servers that it keeps for one caller: those of several clients of the caller.
pub const CONVERSATIONS_OF_ONE_CALLER: usize = 128;

/// Longest session id of one of several servers, in bytes.
pub const SERVER_SESSION_BYTES: usize = 512;

/// Most sessions that clients ended and that an isolate remembers as ended.
pub const ENDED_SESSIONS: usize = 1_024;

/// Longest session with several servers, in bytes, before it is sealed. It has to fit into a header field.
pub const COMBINED_SESSION_BYTES: usize = 6 * 1024;

/// Largest `capabilities` of a client of the legacy era that servers get, in bytes of JSON.
pub const CLIENT_CAPABILITIES_BYTES: usize = 1024;

/// Longest name, title or version of a client that servers get, in bytes.
pub const CLIENT_TEXT_BYTES: usize = 128;

/// Longest id of a server's request to a client, in bytes of JSON.
pub const SERVER_REQUEST_ID_BYTES: usize = 512;

/// Largest request of a server to a client, in bytes, if the server is one of several: it is held until its id is known.
pub const SERVER_REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// Longest cursor of one server, in bytes.
pub const CURSOR_BYTES: usize = 4 * 1024;

/// Most callers whose sealed task ids an isolate keeps for streams on which no request says which tool began a task.
pub const KNOWN_TASK_CALLERS: usize = 512;

/// Most bytes of ids that it keeps for one caller: about 40 tasks.
pub const KNOWN_TASK_BYTES_OF_ONE_CALLER: usize = 8 * 1024;

/// Longest `requestState` of an origin server, in bytes.
pub const REQUEST_STATE_BYTES: usize = 256 * 1024;

/// Lifetime of a session in seconds, unless the configuration sets it.
pub const SESSION_SECONDS: u64 = 24 * 60 * 60;

/// The lowest and the highest value that the configuration may set.
pub const SESSION_SECONDS_RANGE: (u64, u64) = (60, 30 * 24 * 60 * 60);

/// Most session secrets that the configuration may name at once.
pub const SESSION_SECRETS: usize = 4;

/// Most counters for the limits of resources that an isolate keeps. When the table is full, the gateway removes expired
/// counters first, then the oldest: there is always space for a new caller.
pub const LIMIT_COUNTERS: usize = 16_384;

/// Most of these counters for one caller. Tool names are the caller's choice, and a batch holds 64 of them; all further
/// names count in one counter of this caller.
pub const COUNTERS_OF_ONE_CALLER: usize = 256;

/// Most callers whose rejected requests an isolate counts; it removes the oldest counter first.
pub const REFUSAL_COUNTERS: usize = 16_384;

/// Requests of one caller to one resource that the policy may reject in a minute, in one isolate, unless the
/// configuration sets it. Beyond it the caller gets 429 before any rule is evaluated.
pub const REFUSALS_PER_MINUTE: u64 = 600;

/// The lowest and the highest value that the configuration may set.
pub const REFUSALS_PER_MINUTE_RANGE: (u64, u64) = (10, 1_000_000);

/// Most network addresses whose logins an isolate counts; it removes the oldest counter first.
pub const LOGIN_COUNTERS: usize = 8_192;

/// Most network addresses whose registrations an isolate counts; it removes the oldest counter first.
pub const REGISTRATION_COUNTERS: usize = 8_192;

/// Most network addresses for which an isolate counts fetched documents; it removes the oldest counter first.
pub const DOCUMENT_COUNTERS: usize = 8_192;

/// Milliseconds that a record of the authorization server has to answer: its Durable Object may be on another
/// continent, and a new object has to be placed first.
pub const RECORD_MILLISECONDS: u32 = 10_000;

/// Largest request to a record of the authorization server, in bytes: a registration with everything that it may have.
pub const RECORD_QUESTION_BYTES: usize = 256 * 1024;

/// Most parameters of a query or form that the authorization server reads; the requests of OAuth have about ten.
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

/// Longest `state` in bytes: the gateway stores it and sends it back.
pub const STATE_BYTES: usize = 2048;

/// Longest `scope` in bytes.
pub const SCOPE_BYTES: usize = 4096;

/// Largest client ID metadata document, or key set of a client, in bytes.
pub const CLIENT_DOCUMENT_BYTES: usize = 32 * 1024;

/// Seconds that a client ID metadata document is used, if its response has no lifetime.
pub const CLIENT_DOCUMENT_SECONDS_DEFAULT: u64 = 300;

/// Longest web origin of another scheme than `http` and `https`, in bytes.
pub const WEB_ORIGIN_BYTES: usize = 255;

/// Claims of the caller that one resource may pass to its origin server.
pub const IDENTITY_CLAIMS: usize = 16;

/// Most bytes of these claims in fields.
pub const IDENTITY_BYTES: usize = 8 * 1024;

/// Fields of the client that one resource may forward in addition to those that it always forwards.
pub const FORWARD_FIELDS: usize = 32;

/// The most seconds that the key set of a client is fresh, whatever lifetime its response has.
pub const CLIENT_KEYS_SECONDS: u64 = 300;

/// Key sets of clients that an isolate keeps.
pub const CLIENT_KEY_SETS: usize = 256;

/// The most seconds that a client ID metadata document is used, whatever lifetime its response has.
pub const CLIENT_DOCUMENT_SECONDS: u64 = 24 * 60 * 60;

/// Seconds that the gateway caches the metadata of an identity provider.
pub const PROVIDER_METADATA_SECONDS: u64 = 600;

/// Seconds that a user has to answer a consent page.
pub const CONSENT_SECONDS: u64 = 600;

/// Seconds that a login at the identity provider may take (P6).
pub const LOGIN_SECONDS: u64 = 600;

/// Seconds that a code may be redeemed (RFC 6749 §4.1.2 recommends at most ten minutes; clients take less than one).
pub const CODE_SECONDS: u64 = 60;

/// Seconds after the use of a refresh token in which another use gets the same answer again, and the most that the
/// configuration can set: a client that lost the answer, or sent several requests at once, keeps its login. A later use
/// counts as theft, so a longer time is a longer time in which a thief is not noticed.
pub const REFRESH_GRACE_SECONDS: (u64, u64) = (60, 600);

/// Seconds that a user stays signed in to the pages of the authorization server.
pub const SIGN_IN_SECONDS: u64 = 8 * 60 * 60;

/// Most bytes of claims that access tokens carry beside their own: with these claims in base64 a token stays below
/// [`TOKEN_BYTES`].
pub const TOKEN_CLAIMS_BYTES: usize = 8 * 1024;

/// Client ID metadata documents that one network address may make the gateway fetch in a minute, in one isolate.
pub const DOCUMENTS_PER_MINUTE: u64 = 30;

/// Key sets of clients that the gateway fetches for one network in a minute.
pub const CLIENT_KEYS_PER_MINUTE: u64 = 30;

/// Seconds until the gateway tries again to fetch a document, after an attempt failed.
pub const DOCUMENT_RETRY: u64 = 10;

/// Most failed fetches that an isolate remembers.
pub const FAILURES: usize = 1024;

/// Logins that one network address may begin in a minute, in one isolate: the people of a company may share one.
pub const LOGINS_PER_MINUTE: u64 = 120;

/// Most grants of one subject to one client: a new grant ends the oldest one.
pub const GRANTS_OF_ONE_CLIENT: usize = 10;

/// Most grants of one subject: a new grant ends the oldest one.
pub const GRANTS_OF_ONE_SUBJECT: usize = 100;

/// Registrations that one network address may make in a minute, in one isolate.
pub const REGISTRATIONS_PER_MINUTE: u64 = 20;

/// Seconds that the gateway keeps a registration that has not been used yet.
pub const REGISTRATION_FIRST_SECONDS: u64 = 24 * 60 * 60;

/// Largest list, in bytes, that the gateway caches.
pub const CACHED_LIST_BYTES: usize = 1024 * 1024;

/// Most bytes of lists that an isolate caches.
pub const CACHED_LISTS_BYTES: usize = 8 * 1024 * 1024;

/// Most filtered views that are kept with a cached list; for further readers the gateway filters the list again.
pub const CACHED_LIST_READINGS: usize = 16;

/// Most bytes of a list's items that an isolate remembers; it reads the items after them each time.
pub const KNOWN_LIST_BYTES: usize = 512 * 1024;

/// Most bytes of items of all lists that an isolate remembers.
pub const KNOWN_ITEMS_BYTES: usize = 4 * 1024 * 1024;

/// How many remembered items ahead the gateway looks for an item of a list that has changed, when that item is not the
/// next one.
pub const KNOWN_ITEMS_AHEAD: usize = 16;

/// The most seconds that a list is cached, whatever its origin server says.
pub const CACHED_LIST_SECONDS: u64 = 24 * 60 * 60;

/// Seconds that the gateway does not look in the data-center (colo) cache for a list that was not public.
pub const UNCACHED_LIST_SECONDS: u64 = 10;

/// Most bytes of one data point's blobs: Analytics Engine takes 16 KB.
pub const DATA_POINT_BYTES: usize = 15 * 1024;

/// Longest name of the operator that pages show, in characters: it has to fit into the top of a page on a phone.
pub const OPERATOR_NAME_CHARS: usize = 60;

/// Longest data URL of a logo, in characters. Each page has it twice, as its mark and as its icon.
pub const LOGO_CHARS: usize = 16 * 1024;

/// Sets of the table of remembered decisions. With [`REMEMBERED_SET_BYTES`] they take at most 32 MB of the 128 MB of an
/// isolate.
pub const REMEMBERED_SETS: usize = 256;

/// Most decisions of a set: the table has at most 8,192.
pub const REMEMBERED_WAYS: usize = 32;

/// Most bytes that the decisions of a set take, with what the shell keeps for each: a client chooses how long its head
/// is, and an issuer how long its claims are.
pub const REMEMBERED_SET_BYTES: usize = 128 * 1024;

/// How many heads that occurred once are noted, 4 bytes each: twice as many as there may be decisions, so that few of
/// them are lost.
pub const REMEMBERED_SEEN: usize = 16 * 1024;

/// A token for an origin server is not sent in its last seconds (first number), because the clock of the origin server may be
/// ahead, and is renewed in the background in the seconds before that (second number); each at most a quarter of its lifetime.
pub const OBTAINED_SECONDS: (u64, u64) = (5, 60);

/// Seconds for which a token for an origin server is used if the token endpoint does not state its lifetime (RFC 6749 §5.1 only
/// recommends it).
pub const OBTAINED_SECONDS_UNSTATED: u64 = 300;

/// Most seconds for which such a token is used, whatever the token endpoint states.
pub const OBTAINED_SECONDS_MAX: u64 = 24 * 60 * 60;

/// Most tokens of callers for origin servers in an isolate.
pub const OBTAINED_ENTRIES: usize = 8_192;

/// Most bytes that they take.
pub const OBTAINED_BYTES: usize = 8 * 1024 * 1024;

/// Most callers in an isolate of which it is known that they get no token.
pub const OBTAIN_FAILURES: usize = 4_096;

/// Seconds after a failed request to a token endpoint until the next one.
pub const OBTAIN_RETRY: u64 = 2;

/// A token that an origin server refuses is replaced only if it was obtained at least so many seconds before: an origin server
/// that refuses every token must not make the gateway ask for one with each request.
pub const REFUSED_TOKEN_SECONDS: u64 = 10;

/// Most fields from Worker secrets that one origin server gets.
pub const STATIC_FIELDS: usize = 8;

/// Milliseconds between looks at a connection that another isolate refreshes: at first, and at most. The time between them doubles,
/// because each look counts toward the requests that one request may send.
pub const CONNECTION_POLL: (u32, u32) = (100, 1_000);

/// Longest `detail` of a log line that another party wrote a part of, in characters.
pub const DETAIL_CHARS: usize = 1_024;

/// Seconds for which an isolate uses a user's token for an origin server before it reads the connection again: after this time it
/// has noticed that the user disconnected.
pub const CONNECTION_SECONDS: u64 = 60;

/// Seconds for which the gateway remembers that a user connected an account, beside the connection itself: two years.
pub const CONNECTION_LISTED_SECONDS: u64 = 2 * 365 * 86_400;

/// Most seconds for which a token of a user is used, whatever the token endpoint states: ten years.
pub const CONNECTED_SECONDS_MAX: u64 = 10 * 365 * 86_400;

/// Most bytes of an answer, or of an event, that the gateway holds until hooks have decided about it.
pub const HOOKED_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Most bytes of the arguments of a call that a person is to approve: more is not readable.
pub const APPROVAL_BYTES: usize = 32 * 1024;

/// Most calls of one caller that wait for approval at the same time.
pub const APPROVALS_OF_ONE_CALLER: usize = 10;

/// Most calls on the page of one approver or of the members of a group.
pub const APPROVALS_LISTED: usize = 100;

/// Milliseconds between two questions whether a call is approved: the first, and the most.
pub const APPROVAL_POLL: (u32, u32) = (500, 2_000);

/// Seconds for which a member of a group stays signed in to the page of approvals.
pub const APPROVER_SECONDS: u64 = 15 * 60;

/// Seconds for which an approved call may be continued with what its server asked for.
pub const CONTINUED_SECONDS: u64 = 3_600;

/// How often an approved call may be continued.
pub const CONTINUATIONS: usize = 8;

/// Seconds by which the clocks of two machines of the platform may differ.
pub const CLOCKS_APART: u64 = 5;

/// Most states with which equal calls may be continued within that time.
pub const CONTINUED_STATES: usize = 64;

/// Most characters of the reason of an approver.
pub const REASON_CHARS: usize = 500;

/// Seconds for which a link to connect an account is valid.
pub const CONNECT_LINK_SECONDS: u64 = 900;

/// Most parameters that are added to an authorization request at an authorization server of an origin server.
pub const CONNECT_PARAMETERS: usize = 8;

/// Most bytes of items that fit their locks, which an isolate keeps to recognize them.
pub const LOCK_KNOWN_BYTES: usize = 2 * 1024 * 1024;

/// Most items that are in no lock, and most bytes of their names, which an isolate keeps, so that the log has each once.
pub const LOCK_CHANGES: usize = 1_024;
/// See [`LOCK_CHANGES`].
pub const LOCK_UNKNOWN_BYTES: usize = 256 * 1024;

/// Most lines of each kind in the log for the items of one list that do not fit their locks.
pub const LOCK_LINES: usize = 20;

/// Bytes of one text that a guard holds at a time.
pub const GUARD_WINDOW_BYTES: usize = 64 * 1024;

/// Bytes at the end of such a part that are looked at again with the next one: what is longer may be missed in a text that is larger than
/// one part.
pub const GUARD_OVERLAP_BYTES: usize = 16 * 1024;

/// Deepest nesting of a message that guards and bounds read.
pub const CONTENT_DEPTH: usize = 512;

/// Most bytes of a result that the gateway holds until it has read it whole, if no bound for it says otherwise.
pub const HELD_RESULT_BYTES: usize = 1024 * 1024;

/// The same, as a bound may say.
pub const HELD_RESULT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Most guards of a resource.
pub const GUARDS: usize = 32;

/// Most hooks of a resource: each is one more answer that a call waits for.
pub const HOOKS: usize = 8;

/// Most entries of the bounds of a resource.
pub const BOUNDS: usize = 64;

/// Most budgets of a resource: each is one more object that a call waits for.
pub const BUDGETS: usize = 8;

/// Seconds after which a call no longer counts as one that runs, if it has no bound for that and nothing has said that it ended.
pub const IN_FLIGHT_SECONDS: u64 = 600;

/// Bytes of a result that the gateway reads after it has become too large to pass, to answer with an error in its place.
pub const SKIPPED_RESULT_BYTES: usize = 4 * 1024 * 1024;

/// Largest body of a SCIM request in bytes (413). A full push of [`SCIM_MEMBERS_PER_REQUEST`] members with `display` and `$ref`
/// has about 200 bytes for each.
pub const SCIM_BODY_BYTES: usize = 2 * 1024 * 1024;

/// Longest query string of a SCIM request in bytes, before it is decoded (414). A filter by user name has less than 500.
pub const SCIM_QUERY_BYTES: usize = 8 * 1024;

/// Most parameters of a query string.
pub const SCIM_QUERY_PARAMETERS: usize = 32;

/// Longest filter in bytes, after it is decoded.
pub const SCIM_FILTER_BYTES: usize = 4 * 1024;

/// Deepest nesting of a filter: parentheses, `not` and value paths. The parser is recursive, and the stack of wasm is small.
pub const SCIM_FILTER_DEPTH: usize = 16;

/// Most comparisons of a filter: each of them is evaluated for each resource that is scanned.
pub const SCIM_FILTER_TERMS: usize = 32;

/// Most resources that one request may scan when no index answers its filter (400 `tooMany`).
pub const SCIM_SCAN: u64 = 1_000;

/// Most group members that one request may load for its filter, or show on one page (400 `tooMany`): about 7 MB.
pub const SCIM_SCAN_MEMBERS: u64 = 50_000;

/// Most resources on one page of a list. Okta asks for 100, and Entra ID for fewer.
pub const SCIM_PAGE: u64 = 200;

/// Resources on one page of a list if the request has no `count`.
pub const SCIM_PAGE_DEFAULT: u64 = 100;

/// Most attributes that `attributes` or `excludedAttributes` names.
pub const SCIM_ATTRIBUTES: usize = 64;

/// Most operations of one PATCH. Entra ID removes members of a group with one operation for each.
pub const SCIM_OPERATIONS: usize = 1_000;

/// Longest path of a PATCH operation in bytes.
pub const SCIM_PATH_BYTES: usize = 1024;

/// Longest text value of a resource in bytes.
pub const SCIM_TEXT_BYTES: usize = 1024;

/// Longest id in a path or in a reference, in bytes. The gateway makes ids of 36 characters.
pub const SCIM_ID_BYTES: usize = 128;

/// Most URIs in `schemas`.
pub const SCIM_SCHEMAS: usize = 32;

/// Most e-mail addresses of a user.
pub const SCIM_EMAILS: usize = 32;

/// Most members that one request names. Okta's custom apps push the whole membership with one PUT.
pub const SCIM_MEMBERS_PER_REQUEST: usize = 10_000;

/// Most members of a group: its representation has no pages, and each member is an effect when the group is renamed.
pub const SCIM_GROUP_MEMBERS: u64 = 20_000;

/// Most operations of one PATCH that replace the members of a group, or select them with a filter other than `value eq`: each looks
/// at all members.
pub const SCIM_MEMBER_SCANS: usize = 8;

/// Users for whom one SCIM request applies what it changes; others have it applied by the next requests, at the latest by their refresh.
pub const SCIM_EFFECTS: usize = 50;

/// Largest question to a directory in bytes: the body of a SCIM request, and a query. As a JSON string, a body may be twice as long.
pub const DIRECTORY_QUESTION_BYTES: usize = 3 * SCIM_BODY_BYTES;

/// Longest wait in milliseconds for an answer of a directory: a change of a large group takes longer than one of a record.
pub const DIRECTORY_MILLISECONDS: u32 = 20_000;

/// Most secrets of a SCIM endpoint: the one that is used, and those that it replaces or that replace it.
pub const SCIM_SECRETS: usize = 4;

/// Most identity providers beside the one of `login`.
pub const OTHER_LOGINS: usize = 16;

/// Longest title of a login in characters.
pub const LOGIN_TITLE_CHARS: usize = 64;

/// Seconds for which it is remembered who signed in with a subject: longer than any grant, so that a deletion finds what is kept.
pub const SCIM_LINK_SECONDS: u64 = 400 * 86_400;

/// Most operations of a PATCH of a user: each may compare all addresses.
pub const SCIM_USER_OPERATIONS: usize = 100;

/// Longest e-mail address of a user in bytes (RFC 5321 §4.5.3.1: 64 for the local part, 255 for the domain).
pub const SCIM_ADDRESS_BYTES: usize = 320;

/// Most comparisons of resources with the parts of a filter that no index answers.
pub const SCIM_SCAN_COMPARISONS: u64 = 4_000;

/// Most groups of users on a page of users.
pub const SCIM_PAGE_GROUPS: usize = 20_000;

/// Seconds for which a device waits for its user (RFC 8628 §3.2).
pub const DEVICE_SECONDS: u64 = 600;

/// Seconds between two token requests of a device (RFC 8628 §3.2).
pub const DEVICE_INTERVAL: u64 = 5;

/// Seconds by which that grows each time a device asks too early (RFC 8628 §3.5).
pub const DEVICE_SLOW_DOWN: u64 = 5;

/// Seconds for which a device can still ask after its user has approved.
pub const DEVICE_LAST_SECONDS: u64 = 60;

/// Devices that begin to wait, for each network address and minute.
pub const DEVICES_PER_MINUTE: u64 = 30;

/// User codes that are entered, for each network address and minute: a guess has a chance of 1 in 2^34 for each device that waits.
pub const USER_CODES_PER_MINUTE: u64 = 20;
