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
/// that an MCP client may send.
#[must_use]
pub fn preflight(origin: &WebOrigin, methods: &str, requested: Option<&str>) -> Fields {
    let mut fields = Fields::new();
    fields.set("access-control-allow-origin", origin.as_str());
    fields.set("access-control-allow-methods", methods);
    let parameters = requested
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| is_parameter(name));
    let names: Vec<String> = ALLOWED.iter().map(|&name| name.to_owned()).chain(parameters).collect();
    fields.set("access-control-allow-headers", names.join(", "));
    fields.set("access-control-max-age", MAX_AGE);
    fields
}

/// Whether a name is `Mcp-Param-*` (SEP-2243), in lower case, of token characters (RFC 9110 §5.6.2).
#[must_use]
pub fn is_parameter(name: &str) -> bool {
    name.strip_prefix("mcp-param-").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    })
}
