//! The origin server's answer, as the gateway forwards it to the caller.

use crate::limits::LOG_VALUE_CHARS;
use crate::mcp::list_item::ListError;
use crate::mcp::operation::is_invisible;
use crate::pipeline::rejection::Rejection;
use crate::transport::head::{Fields, is_plain};

/// Fields that the gateway forwards to the caller. It drops every other field: cookies, challenges, server names and
/// CORS fields of the origin server, and hop-by-hop fields.
pub const FORWARDED: [&str; 12] = [
    "allow",
    "cache-control",
    "content-encoding",
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

const EVENT_STREAM: &str = "text/event-stream";

/// Content codings that the platform decodes before the gateway sees the body. The platform compares these names byte
/// for byte.
const DECODED: [&str; 2] = ["br", "gzip"];

/// The status and fields of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status.
    pub status: u16,
    /// The fields, names in lower case.
    pub fields: Fields,
}

impl ResponseHead {
    /// Whether the media type of the body is JSON, of any kind.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.fields.get("content-type").is_some_and(|media_type| {
            let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            media_type == "application/json" || media_type.ends_with("+json")
        })
    }

    /// Whether some clients read the body as an event stream: some compare only the beginning of the media type.
    #[must_use]
    pub fn may_be_event_stream(&self) -> bool {
        let media_type = self.fields.get("content-type").unwrap_or_default().trim_start();
        media_type.get(..EVENT_STREAM.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(EVENT_STREAM))
    }

    /// Checks that the client will read in the body what the gateway reads in it.
    ///
    /// # Errors
    /// [`ListError`] if the body has a content coding, or some clients would decode or interpret it differently.
    pub fn is_readable(&self) -> Result<(), ListError> {
        if self.fields.get("content-encoding").is_some_and(|coding| !coding.trim().eq_ignore_ascii_case("identity")) {
            return Err(ListError::Coded);
        }
        if !self.may_be_event_stream() {
            return Ok(());
        }
        if !self.is_event_stream() {
            return Err(ListError::MediaType);
        }
        let parameters = self.fields.get("content-type").unwrap_or_default().to_ascii_lowercase();
        let charsets = parameters.split(';').skip(1).filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            (name.trim() == "charset").then(|| value.trim().trim_matches('"').to_owned())
        });
        let fits = |charset: String| matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii");
        if charsets.into_iter().all(fits) { Ok(()) } else { Err(ListError::Charset) }
    }

    /// Whether the body is an event stream, which must not be buffered and has no deadline for its end.
    #[must_use]
    pub fn is_event_stream(&self) -> bool {
        self.fields.get("content-type").is_some_and(|media_type| {
            media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(EVENT_STREAM)
        })
    }
}

/// The target of a redirect, for the log: without query and fragment, which may contain secrets.
fn place(location: &str) -> String {
    let bare = location.split(['?', '#']).next().unwrap_or_default();
    // The text before an @ may be a password, and path parameters may be session ids.
    let bare = bare.rsplit_once('@').map_or(bare, |(_, rest)| rest);
    let bare = bare.split(';').next().unwrap_or_default();
    bare.chars().filter(|c| !is_invisible(*c)).take(LOG_VALUE_CHARS).collect()
}

/// Accepts an answer, or rejects it:
///
/// 1. a redirect is neither followed nor forwarded: 502;
/// 2. 401 and 407 ask for credentials of the gateway: 502;
/// 3. 5xx may reveal internals: 502, as for any other status outside 200 to 499;
/// 4. every other answer is accepted, with the fields of the list above.
///
/// `ordinary` in `src/worker/exchange.js` does the same for the answers to repeated requests that need no other decision than rule 4.
/// What changes here may have to change there; `repeated.test.mjs` compares both.
///
/// # Errors
/// The [`Rejection`] of the first rule that applies.
pub fn check_answer(answer: ResponseHead) -> Result<ResponseHead, Rejection> {
    match answer.status {
        status @ 300..=399 => Err(Rejection::OriginRedirected { status, to: answer.fields.get("location").map(place) }),
        401 | 407 => Err(Rejection::OriginUnauthorized(None)),
        status if !(200..500).contains(&status) => Err(Rejection::OriginFailed { status }),
        status => {
            // If the platform decoded the body, the coding and the length are no longer true. Otherwise both stay:
            // without its coding no client could read the body (RFC 9110 §8.4).
            let decoded = answer.fields.get("content-encoding").is_some_and(|coding| DECODED.contains(&coding));
            let kept = answer.fields.iter().filter(|(name, value)| {
                FORWARDED.contains(name)
                    && is_plain(value)
                    && !(decoded && matches!(*name, "content-encoding" | "content-length"))
            });
            let mut fields: Fields = kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            // No cache on the way may store the answer to one caller for another (T31).
            let shared = |policy: &str| {
                let policy = policy.to_ascii_lowercase();
                policy.contains("public") || policy.contains("s-maxage")
            };
            if fields.get("cache-control").is_none_or(shared) {
                fields.set("cache-control", "no-store");
            }
            fields.set("x-content-type-options", "nosniff");
            Ok(ResponseHead { status, fields })
        }
    }
}
