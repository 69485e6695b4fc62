//! CORS (Fetch §3.3) for pages that the configuration allows. The MCP specification has no rules for CORS; T33 lists
//! what clients in browsers send and read.

use crate::transport::head::Fields;
use crate::transport::web_origin::WebOrigin;

/// Response fields that the client in a page may read.
const EXPOSED: &str = "www-authenticate, mcp-session-id, mcp-protocol-version, last-event-id, retry-after, traceparent, \
                       dpop-nonce";

/// Request fields that the client in a page may send, besides `Mcp-Param-*`, whose names are not known in advance.
const ALLOWED: [&str; 12] = [
    "accept",
    "authorization",
    "content-type",
    "dpop",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "traceparent",
    "tracestate",
    "x-api-key",
];

/// How long a browser may cache a preflight, in seconds. Chromium's own limit is two hours.
const MAX_AGE: &str = "7200";

/// Adds the fields that allow a page of `origin` to read this response.
pub fn grant(fields: &mut Fields, origin: &WebOrigin) {
    fields.set("access-control-allow-origin", origin.as_str());
    fields.set("access-control-expose-headers", EXPOSED);
}

/// The fields of the answer to a preflight from an allowed page: the methods of the resource, and the request fields
/// that an MCP client may send; `more` are the fields that the resource forwards in addition.
#[must_use]
pub fn preflight(origin: &WebOrigin, methods: &str, requested: Option<&str>, more: &[String]) -> Fields {
    let mut fields = Fields::new();
    fields.set("access-control-allow-origin", origin.as_str());
    fields.set("access-control-allow-methods", methods);
    let parameters = requested
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| is_parameter(name));
    let names: Vec<String> =
        ALLOWED.iter().map(|&name| name.to_owned()).chain(more.iter().cloned()).chain(parameters).collect();
    fields.set("access-control-allow-headers", names.join(", "));
    fields.set("access-control-max-age", MAX_AGE);
    fields
}

/// Fields that no resource forwards: they have credentials or cookies, describe the connection or the message, or are
/// set by proxies, by browsers or by the gateway.
const RESERVED: [&str; 37] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "age",
    "authorization",
    "cdn-loop",
    "client-cert",
    "client-cert-chain",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "cookie2",
    "date",
    "dpop",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "last-event-id",
    "origin",
    "priority",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "user-agent",
    "via",
    "x-api-key",
    "x-http-method-override",
    "x-real-ip",
];

/// The beginnings of names of such fields.
const RESERVED_PREFIXES: [&str; 9] =
    ["access-control-", "cf-", "if-", "mcp-", "proxy-", "sec-", "trace", "x-forwarded-", "x-portcullis-"];

/// Why no resource may forward a field with this name, in lower case; `None` if it may. A name with an underscore is
/// never forwarded, because some servers read it as the name with a hyphen.
#[must_use]
pub fn unforwardable(name: &str) -> Option<&'static str> {
    let has_token = name.split('-').any(|word| matches!(word, "token" | "secret" | "password" | "auth" | "credential"));
    if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        Some("must be the name of a field: at most 64 letters, digits and hyphens")
    } else if RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        Some("cannot be forwarded: the gateway forwards or sets it itself, or it has credentials or belongs to a proxy")
    } else if has_token || name.contains("apikey") || name.contains("api-key") {
        Some("cannot be forwarded: its name says that it has a credential, which is for the gateway alone")
    } else {
        None
    }
}

/// Fields in which an origin server may expect a credential, although no field of a client's with these names is forwarded.
const OF_CREDENTIALS: [&str; 3] = ["authorization", "cookie", "x-api-key"];

/// Why no credential for an origin server may be in a field with this name, in lower case; `None` if it may.
#[must_use]
pub fn uncredentialed(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        Some("must be the name of a field: at most 64 letters, digits, hyphens and underscores")
    } else if OF_CREDENTIALS.contains(&name) {
        None
    } else if RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        Some("cannot have a credential: the gateway, the client or a proxy sets it")
    } else {
        None
    }
}

/// Whether a name is `Mcp-Param-*` (SEP-2243), in lower case, of token characters (RFC 9110 §5.6.2).
#[must_use]
pub fn is_parameter(name: &str) -> bool {
    name.strip_prefix("mcp-param-").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    })
}
