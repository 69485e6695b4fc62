//! What a caller learns about a rejection: [`Rejection::disclose`] is the only place that decides it.

use crate::limits::OBTAIN_RETRY;
use crate::mcp::envelope::ErrorData;
use crate::mcp::era::Era;
use crate::mcp::handle::TASKS_EXTENSION;
use crate::mcp::kind::Kind;
use crate::mcp::list_item::ListError;
use crate::mcp::message::Malformed;
use crate::mcp::sse::UNFIT;
use crate::oauth::challenge::BearerError;
use crate::origin_credential::failure::Meaning;
use crate::pipeline::rejection::Rejection;
use crate::policy::lock::Unlocked;
use crate::token::binding::proof::ProofError;
use crate::token::error::TokenError;

/// `HeaderMismatch` of MCP 2026-07-28.
const HEADER_MISMATCH: i32 = -32020;
/// `MissingRequiredClientCapability` of MCP 2026-07-28.
const MISSING_CAPABILITY: i32 = -32021;
/// `UnsupportedProtocolVersion` of MCP 2026-07-28.
const UNSUPPORTED_VERSION: i32 = -32022;
/// JSON-RPC 2.0 §5.1.
/// Not Implemented, as a status of HTTP: MCP has no code for it.
const NOT_IMPLEMENTED: i32 = 501;
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
pub(super) const INVALID_PARAMS: i32 = -32602;
/// MCP up to 2025-11-25; later revisions use [`INVALID_PARAMS`].
const RESOURCE_NOT_FOUND: i32 = -32002;
const CHANGED: &str = "This is not offered: its definition is not the one that was reviewed.";
const NOT_REVIEWED: &str = "This is not offered: its definition was not reviewed.";

/// What a caller learns about a rejection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosure {
    /// The HTTP status.
    pub status: u16,
    /// The JSON-RPC error code; equal to the status if MCP defines no code for the case.
    pub code: i32,
    /// A fixed sentence, for the JSON-RPC error and the challenge.
    pub message: &'static str,
    /// Whether the answer has a challenge, and with which error code.
    pub challenge: ChallengeKind,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u64>,
    /// `Allow`.
    pub allow: Option<&'static str>,
    /// What the JSON-RPC error says besides that.
    pub data: ErrorData,
}

/// Whether the answer to a rejected request has a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeKind {
    /// No challenge: the credentials are not the problem.
    No,
    /// A challenge without an error code (R20).
    Plain,
    /// A challenge with this error code.
    Error(BearerError),
}

impl Rejection {
    /// The error that servers return for items that they do not have: a JSON-RPC error in a response, which clients
    /// understand. Any other rejection would reveal that the item exists.
    fn absent(target: Option<Kind>, era: Era, apart: bool) -> Disclosure {
        let (status, code, message) = match (target, era) {
            (Some(Kind::Tool), _) => (200, INVALID_PARAMS, "Unknown tool."),
            (Some(Kind::Prompt), _) => (200, INVALID_PARAMS, "Unknown prompt."),
            (Some(Kind::Resource), Era::Modern) => (200, INVALID_PARAMS, "Resource not found."),
            (Some(Kind::Resource), Era::Legacy) => (200, RESOURCE_NOT_FOUND, "Resource not found."),
            (None, Era::Modern) => (404, METHOD_NOT_FOUND, "Method not found."),
            (None, Era::Legacy) => (200, METHOD_NOT_FOUND, "Method not found."),
        };
        Disclosure { code, ..Disclosure::plain(if apart { 404 } else { status }, message) }
    }

    /// The errors that servers return for state handles that they did not issue, for clients that do not declare tasks (SEP-2663), and
    /// for clients of an unknown revision (T28).
    fn of_handle(&self) -> Disclosure {
        let unknown = |message| Disclosure { code: INVALID_PARAMS, ..Disclosure::plain(200, message) };
        match self {
            Self::StateUnknown => unknown("Unknown or expired requestState: begin the request again."),
            Self::CursorUnknown => unknown("Unknown or expired cursor: begin the list again."),
            Self::VersionUnsupported(version) => Disclosure {
                code: UNSUPPORTED_VERSION,
                data: ErrorData::SupportedVersions(version.clone()),
                ..Disclosure::plain(400, "This revision of MCP is not supported.")
            },
            Self::TaskUnknown { declared: false } => Disclosure {
                code: MISSING_CAPABILITY,
                data: ErrorData::RequiredExtension(TASKS_EXTENSION),
                ..Disclosure::plain(400, "The client has to declare the extension for tasks.")
            },
            _ => unknown("Unknown task."),
        }
    }

    /// What the caller learns of an item that does not exist for it, whose definition is not the one that was reviewed, or whose call a
    /// guard or a bound holds back.
    fn of_item(&self) -> Disclosure {
        match self {
            Self::NotAsLocked { kind, why, says_why, era, apart } => {
                let absent = Self::absent(Some(*kind), *era, *apart);
                match (says_why, why) {
                    (false, _) => absent,
                    (true, Unlocked::Changed) => Disclosure { message: CHANGED, ..absent },
                    (true, Unlocked::Unknown) => Disclosure { message: NOT_REVIEWED, ..absent },
                }
            }
            Self::NotPermitted { target, era, apart } => Self::absent(*target, *era, *apart),
            // Both answers have their own words.
            Self::ApprovalNeeded(_) => {
                Disclosure { code: INVALID_PARAMS, ..Disclosure::plain(200, "A person has to approve this call.") }
            }
            Self::HeldBack(_) => {
                Disclosure { code: INVALID_PARAMS, ..Disclosure::plain(200, "The gateway did not forward this call.") }
            }
            _ => Self::absent(None, Era::Modern, false),
        }
    }

    /// What the caller learns that lacks rights which it could get.
    fn of_rights(&self) -> Disclosure {
        if matches!(self, Self::SignInNotEnough { .. }) {
            let message = "The user has to sign in again, as the challenge says.";
            return Disclosure::bearer(401, BearerError::InsufficientUserAuthentication, message);
        }
        Disclosure::bearer(403, BearerError::InsufficientScope, "The access token lacks a scope that this needs.")
    }

    /// What the caller learns. A 4xx status other than 401 and 403 makes clients take the gateway for a legacy server
    /// (rules for detecting the era). The gateway avoids such a status for the requests by which clients
    /// detect the era (see `probe`).
    #[must_use]
    pub fn disclose(&self) -> Disclosure {
        use BearerError::{InvalidDpopProof, InvalidRequest, InvalidToken, UseDpopNonce};
        match self {
            Self::NotPermitted { .. } | Self::NotAsLocked { .. } | Self::HeldBack(_) | Self::ApprovalNeeded(_) => {
                self.of_item()
            }
            Self::FieldsDisagree { .. } => Disclosure {
                code: HEADER_MISMATCH,
                ..Disclosure::plain(400, "The Mcp-* header fields do not match the body, or a required one is missing.")
            },
            Self::MalformedMessage { error, .. } => {
                let (code, message) = match error {
                    Malformed::Json(_) => (PARSE_ERROR, "The body is not strict JSON."),
                    Malformed::Message(_) => (INVALID_REQUEST, "The body is not a JSON-RPC message of this revision."),
                    Malformed::Params(_) => (INVALID_PARAMS, "Invalid params for this method."),
                };
                Disclosure { code, ..Disclosure::plain(400, message) }
            }
            Self::RateLimited { retry_after, probe } => Disclosure {
                retry_after: Some(*retry_after),
                ..Disclosure::plain(if *probe { 503 } else { 429 }, "Too many requests.")
            },
            Self::SessionUnknown => Disclosure::plain(404, "There is no such session."),
            Self::StateUnknown | Self::CursorUnknown | Self::TaskUnknown { .. } | Self::VersionUnsupported(_) => {
                self.of_handle()
            }
            Self::NotFound | Self::AmbiguousPath(_) => Disclosure::plain(404, "Nothing is at this path."),
            Self::BodyCutShort => Disclosure::plain(400, "The request body ended before it was complete."),
            Self::MalformedField => Disclosure {
                code: HEADER_MISMATCH,
                ..Disclosure::plain(400, "An Mcp-* header field has invalid characters.")
            },
            Self::MalformedContentLength => Disclosure::plain(400, "The Content-Length field is malformed."),
            Self::BodyTooLarge { .. } => Disclosure::plain(413, "The request body is too large."),
            // The client does not receive this answer: the status is for the log. Proxies commonly use 499 for it.
            Self::ClientDisconnected => Disclosure::plain(499, "The client disconnected."),
            Self::UrlTooLong => Disclosure::plain(414, "The URL is too long."),
            Self::UnsupportedMediaType => Disclosure::plain(415, "The request body must be application/json."),
            Self::FieldsTooLarge => Disclosure::plain(431, "The request fields are too large."),
            Self::Forbidden => Disclosure::plain(403, "This is not allowed."),
            Self::IdentityTooLarge { .. } => {
                Disclosure::plain(403, "The caller has more claims than this gateway can pass on.")
            }
            Self::ForeignHost => Disclosure::plain(403, "This gateway does not answer for that host."),
            Self::ForeignOrigin => Disclosure::plain(403, "This web origin is not allowed."),
            Self::HttpsRequired => Disclosure::plain(403, "HTTPS is required."),
            Self::MethodNotAllowed { allow } => {
                Disclosure { allow: Some(allow), ..Disclosure::plain(405, "This method is not allowed here.") }
            }
            Self::NoCredentials(_) => {
                Disclosure { challenge: ChallengeKind::Plain, ..Disclosure::plain(401, "Authentication is required.") }
            }
            Self::MalformedCredentials => {
                Disclosure::bearer(400, InvalidRequest, "The credentials are malformed or repeated.")
            }
            Self::Proof(ProofError::Nonce) => {
                Disclosure::bearer(401, UseDpopNonce, "The DPoP proof needs the nonce that is sent with this answer.")
            }
            Self::Proof(_) => Disclosure::bearer(401, InvalidDpopProof, "The DPoP proof is not accepted."),
            Self::TokenInQuery => Disclosure::bearer(400, InvalidRequest, "An access token must not be in the URL."),
            // A challenge would be useless: a new login gives the client the same token again.
            Self::Token(TokenError::TooLong) => {
                Disclosure::plain(403, "The access token is larger than this gateway accepts.")
            }
            Self::Token(TokenError::Expired) => Disclosure::bearer(401, InvalidToken, "The access token has expired."),
            Self::Token(_) => Disclosure::bearer(401, InvalidToken, "The access token is not accepted here."),
            Self::SignInNotEnough { .. } | Self::InsufficientScope { .. } => self.of_rights(),
            Self::Unavailable { retry_after, .. } => Disclosure {
                retry_after: Some(*retry_after),
                ..Disclosure::plain(503, "Access tokens cannot be verified at the moment.")
            },
            Self::OriginCredential { meaning: Meaning::Temporary, .. } => Disclosure {
                retry_after: Some(OBTAIN_RETRY),
                ..Disclosure::plain(
                    503,
                    "The server behind the gateway cannot be reached with a credential at the moment.",
                )
            },
            Self::NotConnected(_) => {
                Disclosure::plain(403, "The user has to connect an account at the server behind the gateway.")
            }
            Self::OriginCredential { meaning: Meaning::CallerRefused, .. } => {
                Disclosure::plain(403, "There is no access to the server behind the gateway for this caller.")
            }
            Self::Misconfigured => Disclosure::plain(503, "This gateway is not configured."),
            Self::Internal(_) => Disclosure::plain(500, "The gateway failed."),
            Self::OriginTimeout { .. } => {
                Disclosure::plain(504, "The server behind the gateway did not answer in time.")
            }
            Self::OriginMalformed(ListError::NeedsInput) => Disclosure {
                code: NOT_IMPLEMENTED,
                ..Disclosure::plain(200, "The server asks for input in a form that this revision of MCP does not have.")
            },
            Self::OriginCredential { meaning: Meaning::Permanent, .. }
            | Self::OriginFailed { .. }
            | Self::ServersLeftOut(_)
            | Self::OriginMalformed(_)
            | Self::OriginRedirected { .. }
            | Self::OriginUnauthorized(_)
            | Self::OriginUnreachable { .. } => Disclosure { code: UNFIT.0, ..Disclosure::plain(502, UNFIT.1) },
        }
    }
}

impl Disclosure {
    fn plain(status: u16, message: &'static str) -> Self {
        let code = i32::from(status);
        Self {
            status,
            code,
            message,
            challenge: ChallengeKind::No,
            retry_after: None,
            allow: None,
            data: ErrorData::None,
        }
    }

    fn bearer(status: u16, error: BearerError, message: &'static str) -> Self {
        Self { challenge: ChallengeKind::Error(error), ..Self::plain(status, message) }
    }
}
