//! The origin server's answer as the caller sees it.

use crate::rejection::Rejection;
use crate::transport::head::{Fields, is_plain};

/// Fields that travel back. Everything else stops here: cookies, challenges and banners of the origin server, its
/// CORS, hop-by-hop fields.
const ALLOWED: [&str; 11] = [
    "allow",
    "cache-control",
    "content-language",
    "content-length",
    "content-type",
    "last-event-id",
    "last-modified",
    "mcp-protocol-version",
    "mcp-session-id",
    "retry-after",
    "x-accel-buffering",
];

/// The status and fields of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundHead {
    /// The status.
    pub status: u16,
    /// The fields, names in lower case.
    pub fields: Fields,
}

impl InboundHead {
    /// Whether the body says that it is JSON, of whatever kind.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.fields.get("content-type").is_some_and(|media_type| {
            let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            media_type == "application/json" || media_type.ends_with("+json")
        })
    }

    /// Whether the body is a stream of events, which must not be buffered or held to one deadline.
    #[must_use]
    pub fn is_event_stream(&self) -> bool {
        self.fields.get("content-type").is_some_and(|media_type| {
            media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
        })
    }
}

/// Lets an answer through, or turns it into a refusal:
///
/// 1. a redirect is not followed and not passed on: 502;
/// 2. 401 and 407 mean that the gateway's own credentials are wanted: 502;
/// 3. 5xx may show internals: 502;
/// 4. the rest passes, with the fields of the list above.
///
/// # Errors
/// The [`Rejection`] of the first that applies.
pub fn judge(answer: InboundHead) -> Result<InboundHead, Rejection> {
    match answer.status {
        status @ 300..=399 => Err(Rejection::OriginRedirected { status }),
        401 | 407 => Err(Rejection::OriginUnauthorized),
        status if !(200..500).contains(&status) => Err(Rejection::OriginFailed { status }),
        status => {
            // The platform decodes what it reads, so neither the encoding nor the length of what was encoded is true.
            let encoded = answer.fields.get("content-encoding").is_some();
            let kept = answer.fields.iter().filter(|(name, value)| {
                ALLOWED.contains(name) && is_plain(value) && !(encoded && *name == "content-length")
            });
            let mut fields: Fields = kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            // An answer to one caller must not be kept for another by anything on the way (T31).
            let shared = |policy: &str| {
                let policy = policy.to_ascii_lowercase();
                policy.contains("public") || policy.contains("s-maxage")
            };
            if fields.get("cache-control").is_none_or(shared) {
                fields.set("cache-control", "no-store");
            }
            fields.set("x-content-type-options", "nosniff");
            Ok(InboundHead { status, fields })
        }
    }
}
