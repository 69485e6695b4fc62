//! The numbers of the configuration: the default and the range of each. The readers, the JSON Schema and the reference use
//! these, and nothing repeats them.

use crate::limits;

/// A number with a default and a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The value where the key is absent.
    pub default: u64,
    /// The smallest value.
    pub least: u64,
    /// The largest value.
    pub most: u64,
}

const fn range(default: u64, least: u64, most: u64) -> Range {
    Range { default, least, most }
}

/// `issuers[].leeway_seconds`
pub const LEEWAY: Range = range(limits::LEEWAY, 0, limits::LEEWAY_MAX);
/// `issuers[].introspection.cache_seconds`
pub const ANSWER_CACHE: Range = range(limits::CACHE_SECONDS, 0, limits::CACHE_SECONDS_MAX);
/// `issuers[].introspection.negative_cache_seconds`
pub const NEGATIVE_ANSWER_CACHE: Range = range(limits::NEGATIVE_SECONDS, 0, limits::NEGATIVE_SECONDS_MAX);
/// `timeout_seconds` of introspection and of verifiers.
pub const PROVIDER_TIMEOUT: Range = range(limits::PROVIDER_TIMEOUT_DEFAULT, 1, limits::PROVIDER_TIMEOUT_MAX);
/// `api_keys[].cache_seconds`
pub const API_KEY_CACHE: Range = range(limits::CACHE_SECONDS, 1, limits::CACHE_SECONDS_MAX);
/// `verifiers[].cache_seconds`
pub const VERIFIER_CACHE: Range = range(0, 0, limits::CACHE_SECONDS_MAX);
/// `verifiers[].negative_cache_seconds`
pub const NEGATIVE_VERIFIER_CACHE: Range = range(0, 0, limits::NEGATIVE_SECONDS_MAX);
/// `dpop.window_seconds`
pub const PROOF_WINDOW: Range = range(limits::PROOF_WINDOW, limits::PROOF_WINDOW_MIN, limits::PROOF_WINDOW);
/// `revocation.seconds`
pub const REVOCATION: Range = range(limits::REVOCATION_SECONDS, limits::REVOCATION_SECONDS, limits::CACHE_SECONDS_MAX);
/// `stored.seconds`
pub const STORED: Range = range(limits::STORED_SECONDS, limits::STORED_SECONDS, limits::CACHE_SECONDS_MAX);
/// `resources[].response_timeout_seconds`
pub const RESPONSE_TIMEOUT: Range = range(limits::ORIGIN_RESPONSE_TIMEOUT, 1, limits::ORIGIN_TIMEOUT_MAX);
/// `resources[].idle_timeout_seconds`; the default is no limit.
pub const IDLE_TIMEOUT: Range = range(300, 1, limits::ORIGIN_TIMEOUT_MAX);
/// `resources[].list_timeout_seconds`
pub const LIST_TIMEOUT: Range = range(limits::SERVER_LIST_SECONDS, 1, limits::SERVER_LIST_SECONDS_MAX);
/// `resources[].keep_alive_seconds`; the default is no comment.
pub const KEEP_ALIVE: Range = range(25, 1, 300);
/// `resources[].body_bytes`
pub const BODY: Range = range(limits::BODY_BYTES, 1, limits::BODY_BYTES_MAX);
/// `resources[].refusals_per_minute`
pub const REFUSALS: Range =
    range(limits::REFUSALS_PER_MINUTE, limits::REFUSALS_PER_MINUTE_RANGE.0, limits::REFUSALS_PER_MINUTE_RANGE.1);
/// `resources[].bounds[].request_bytes`; the default is no bound of its own. The same for the others.
pub const BOUND_REQUEST_BYTES: Range = range(limits::INSPECTED_BYTES, 1, limits::INSPECTED_BYTES);
/// `resources[].bounds[].response_bytes`
pub const BOUND_RESPONSE_BYTES: Range = range(limits::HELD_RESULT_BYTES_MAX, 1, limits::HELD_RESULT_BYTES_MAX);
/// `resources[].bounds[].depth`
pub const BOUND_DEPTH: Range = range(100, 1, 100);
/// `resources[].bounds[].items`
pub const BOUND_ITEMS: Range = range(1_000_000, 1, 1_000_000);
/// `resources[].bounds[].answer_seconds`
pub const BOUND_SECONDS: Range = range(limits::ORIGIN_TIMEOUT_MAX, 1, limits::ORIGIN_TIMEOUT_MAX);
/// `resources[].bounds[].in_flight`
pub const BOUND_IN_FLIGHT: Range = range(1_000, 1, 1_000);
/// `resources[].hooks[].timeout_seconds`
pub const HOOK_TIMEOUT: Range = range(limits::PROVIDER_TIMEOUT_DEFAULT, 1, limits::PROVIDER_TIMEOUT_MAX);
/// `resources[].hooks[].bytes`
pub const HOOK_BYTES: Range = range(256 * 1024, 1, limits::HELD_RESULT_BYTES as u64);
/// `resources[].approvals.seconds`
pub const APPROVAL: Range = range(900, 60, 86_400);
/// `resources[].approvals.wait_seconds`
pub const APPROVAL_WAIT: Range = range(20, 0, 60);
/// `resources[].rules[].sign_in.max_age`; the default is no limit.
pub const SIGN_IN_AGE: Range = range(300, 10, limits::SIGN_IN_AGE_MAX);
/// `sessions.seconds`
pub const SESSION: Range =
    range(limits::SESSION_SECONDS, limits::SESSION_SECONDS_RANGE.0, limits::SESSION_SECONDS_RANGE.1);
/// `authorization_server.access_token_seconds`
pub const ACCESS_TOKEN: Range = range(600, 60, 3600);
/// `authorization_server.revocation_seconds`
pub const OWN_REVOCATION: Range = range(limits::OWN_REVOCATION_SECONDS.0, 0, limits::OWN_REVOCATION_SECONDS.1);
/// `authorization_server.trusted_issuers[].max_assertion_seconds`
pub const ASSERTION: Range = range(
    limits::TRUSTED_ASSERTION_SECONDS.0,
    limits::TRUSTED_ASSERTION_SECONDS.1,
    limits::TRUSTED_ASSERTION_SECONDS.2,
);
/// `authorization_server.login.recheck_minutes`
pub const RECHECK: Range = range(limits::RECHECK_MINUTES.0, 0, limits::RECHECK_MINUTES.1);
/// `authorization_server.login.outage_minutes`
pub const OUTAGE: Range = range(limits::OUTAGE_MINUTES.0, 0, limits::OUTAGE_MINUTES.1);
/// `authorization_server.refresh_grace_seconds`
pub const REFRESH_GRACE: Range = range(limits::REFRESH_GRACE_SECONDS.0, 0, limits::REFRESH_GRACE_SECONDS.1);
/// `authorization_server.refresh_token_days`
pub const REFRESH_TOKEN_DAYS: Range = range(30, 1, 365);
/// `authorization_server.grant_days`
pub const GRANT_DAYS: Range = range(90, 1, 365);
/// `authorization_server.registration_days`
pub const REGISTRATION_DAYS: Range = range(90, 1, 365);
