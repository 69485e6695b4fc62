//! Every reason for a rejection. There are many reasons inside the gateway and few messages to the outside:
//! [`Rejection::disclose`] (in `disclosure.rs`) is the only place that decides what a caller learns. The reason itself goes only to
//! the log.

use crate::content::examined::HeldBack;
use crate::content::guard::Direction;
use crate::limits::IDENTITY_BYTES;
use crate::mcp::envelope::RequestId;
use crate::mcp::era::Era;
use crate::mcp::input_needed::Asked;
use crate::mcp::kind::Kind;
use crate::mcp::list_item::ListError;
use crate::mcp::message::Malformed;
use crate::oauth::bearer::MissingCredentials;
use crate::oauth::scope::ScopeSet;
use crate::origin_credential::failure::Meaning;
use crate::policy::lock::Unlocked;
use crate::policy::sign_in::SignIn;
use crate::token::binding::BindingError;
use crate::token::binding::proof::ProofError;
use crate::token::error::TokenError;
use crate::token::selection::NoCredential;
use crate::transport::path::AmbiguousPath;

/// Why the gateway rejected a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// For this caller, what was asked for does not exist: no rule allows it, or there is no item of that name.
    NotPermitted {
        /// The kind of item that was asked for; `None` for a method without an item.
        target: Option<Kind>,
        /// The era, which decides the form of the error.
        era: Era,
        /// Whether responses arrive on another connection than their requests (transport of 2024-11-05): then clients
        /// read only the status of the answer to the POST.
        apart: bool,
    },
    /// The definition of an item is not the one that was reviewed.
    NotAsLocked {
        /// The kind of the item.
        kind: Kind,
        /// What is not as it was.
        why: Unlocked,
        /// Whether the caller learns that. Otherwise the item does not exist.
        says_why: bool,
        /// As in [`Self::NotPermitted`].
        era: Era,
        /// As in [`Self::NotPermitted`].
        apart: bool,
    },
    /// A person has to approve the call, and has not yet.
    ApprovalNeeded(Box<ApprovalNeeded>),
    /// What the call contains does not pass: a guard denies it, or it exceeds a bound.
    HeldBack(Box<HeldBack>),
    /// The path has no single meaning.
    AmbiguousPath(AmbiguousPath),
    /// The request's body ended before it was complete.
    BodyCutShort,
    /// The body is larger than the resource allows.
    BodyTooLarge {
        /// The most bytes that the body may have, if known.
        limit: Option<u64>,
    },
    /// The client disconnected before there was an answer.
    ClientDisconnected,
    /// Header fields that mirror the body do not agree with it (T8, T12).
    FieldsDisagree {
        /// The field.
        field: String,
        /// The id of the message.
        id: Box<RequestId>,
    },
    /// The total size of the fields, or their number, exceeds the limit.
    FieldsTooLarge,
    /// The rules do not allow this caller to open a stream or to end a session.
    Forbidden,
    /// The URL or `Host` names another host: DNS rebinding, or a misdirected request.
    ForeignHost,
    /// A web page that is not allowed sent this (T1).
    ForeignOrigin,
    /// Plain HTTP, outside development.
    HttpsRequired,
    /// The token is valid, but lacks scopes.
    InsufficientScope {
        /// The scopes that the token lacks.
        missing: ScopeSet,
        /// All scopes that the operation needs (R9).
        needed: ScopeSet,
    },
    /// The user has to sign in again, or in another way (RFC 9470).
    SignInNotEnough {
        /// What the rules require of the sign-in.
        sign_in: SignIn,
        /// The keys of what the caller's sign-in does not have.
        lacks: Vec<&'static str>,
        /// All scopes that the operation needs.
        needed: ScopeSet,
    },
    /// A fault of the gateway itself.
    Internal(&'static str),
    /// `Content-Length` is not a number, or appears with different values.
    MalformedContentLength,
    /// The `Authorization` field cannot be read, or is repeated.
    MalformedCredentials,
    /// An MCP header field has characters that are not visible ASCII, which readers interpret in different ways (T12).
    MalformedField,
    /// The body is not an MCP message.
    MalformedMessage {
        /// What is wrong with it.
        error: Malformed,
        /// The id of the message, if it could be read.
        id: Box<RequestId>,
    },
    /// This path does not accept the method.
    MethodNotAllowed {
        /// The methods that it accepts.
        allow: &'static str,
    },
    /// The configuration is not valid: the gateway rejects every request.
    Misconfigured,
    /// The request has no credentials, or none of a kind that the resource accepts.
    NoCredentials(MissingCredentials),
    /// Nothing is at this path.
    NotFound,
    /// The origin server answered with 5xx or another unexpected status.
    OriginFailed {
        /// Its status.
        status: u16,
    },
    /// The origin server answered with a redirect. If the gateway followed it, the origin server could send the
    /// caller's request to any host.
    OriginRedirected {
        /// Its status.
        status: u16,
        /// The target: the path, and the host if it is another one.
        to: Option<String>,
    },
    /// The answer of the origin server is malformed.
    OriginMalformed(ListError),
    /// The origin server did not answer in time.
    OriginTimeout {
        /// Whether the message passed as a stream: perhaps the client did not send all of it.
        streamed: bool,
    },
    /// There is no credential for the origin server.
    OriginCredential {
        /// What that means for the request.
        meaning: Meaning,
        /// Why, for the log.
        why: String,
    },
    /// The user has to connect an account at the authorization server of the origin server.
    NotConnected(Box<ConnectionNeeded>),
    /// The origin server asks for credentials: the gateway has none for it, or the origin server refused the one of this kind.
    OriginUnauthorized(Option<(&'static str, CredentialRefusal)>),
    /// The origin server cannot be reached.
    OriginUnreachable {
        /// Whether the message passed as a stream: perhaps the client did not send all of it.
        streamed: bool,
    },
    /// The proof of possession is not accepted (RFC 9449).
    Proof(ProofError),
    /// The claims of the caller for the origin server are too large.
    IdentityTooLarge {
        /// Their bytes.
        bytes: usize,
    },
    /// The caller exceeded a rate limit.
    RateLimited {
        /// Seconds until it may call again.
        retry_after: u64,
        /// Whether the request is one by which clients detect the era: 429 would make them take the gateway for a
        /// legacy server.
        probe: bool,
    },
    /// A cursor that was not issued to this caller for this list, or has expired, or is from before a change of the servers.
    CursorUnknown,
    /// The resource has several servers, and the client uses a revision of the modern era that the gateway does not know (T28).
    VersionUnsupported(String),
    /// A list of several servers lacks one of them, and the configuration is strict.
    ServersLeftOut(Vec<String>),
    /// A `requestState` that was not issued to this caller for this request, or has expired (T30).
    StateUnknown,
    /// For this caller there is no such task.
    TaskUnknown {
        /// Whether the client declares that it knows tasks. The answer to one that does not is another one (SEP-2663).
        declared: bool,
    },
    /// The session does not exist, belongs to another caller, or has ended (L5, L8).
    SessionUnknown,
    /// The access token is not accepted.
    Token(TokenError),
    /// An access token in the query (R12).
    TokenInQuery,
    /// Something that the gateway needs to verify a credential is unavailable, so it does not know whether the
    /// credential is valid.
    Unavailable {
        /// What is unavailable.
        dependency: Dependency,
        /// Seconds until the client should try again.
        retry_after: u64,
        /// Why, for the log; empty if the log has it already.
        why: String,
    },
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The request target is too long.
    UrlTooLong,
}

/// What a user needs who has to connect an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionNeeded {
    /// The URL of the page on which the user connects it. It is for this user alone.
    pub url: String,
    /// The name of the server.
    pub server_name: String,
    /// The era of the request, which decides the form of the answer.
    pub era: Era,
}

impl ConnectionNeeded {
    /// The words for the user, without the URL.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{} needs access to your account there. Connect it in your browser, then try again.", self.server_name)
    }
}

/// What the caller learns of a call that waits for the approval of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalNeeded {
    /// The id of the approval.
    pub id: String,
    /// The URL of the page on which the person decides.
    pub url: String,
    /// The `requestState` of the call.
    pub state: String,
    /// The request, as far as the form of the answer depends on it.
    pub asked: Asked,
    /// The words before the URL.
    pub message: String,
    /// The era of the request.
    pub era: Era,
}

/// Why a request was not sent again after the origin server refused its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialRefusal {
    /// There is no other credential, or the token was obtained a moment ago.
    NoOther,
    /// Its message was passed on as a stream.
    Streamed,
    /// It was sent again, and refused again.
    Twice,
}

impl CredentialRefusal {
    fn as_str(self) -> &'static str {
        match self {
            Self::NoOther => "and there is no other one",
            Self::Streamed => "and the message was passed on as a stream, so the request was not repeated",
            Self::Twice => "and another one too",
        }
    }
}

/// What the verification of a credential depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    /// The store of API keys.
    ApiKeys,
    /// The authorization server that answers introspection requests.
    Introspection,
    /// The keys of an issuer.
    IssuerKeys,
    /// The memory of used proofs.
    Replay,
    /// The revocation list.
    Revocations,
    /// A custom verifier.
    Verifier,
}

impl Dependency {
    fn reason(self) -> &'static str {
        match self {
            Self::ApiKeys => "api_keys_unavailable",
            Self::Introspection => "introspection_unavailable",
            Self::IssuerKeys => "issuer_unavailable",
            Self::Replay => "replay_memory_unavailable",
            Self::Revocations => "revocations_unavailable",
            Self::Verifier => "verifier_unavailable",
        }
    }
}

impl Rejection {
    /// The rejection for an unavailable dependency.
    #[must_use]
    pub fn unavailable(dependency: Dependency, retry_after: u64, why: String) -> Self {
        Self::Unavailable { dependency, retry_after, why }
    }

    /// The reason code in the log: one of a closed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotPermitted { .. } => "not_permitted",
            Self::NotAsLocked { why, .. } => why.reason(),
            Self::HeldBack(held) => held.fault.reason(),
            Self::AmbiguousPath(_) => "ambiguous_path",
            Self::BodyCutShort => "body_cut_short",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::ClientDisconnected => "caller_gone",
            Self::FieldsDisagree { .. } => "fields_disagree",
            Self::FieldsTooLarge => "fields_too_large",
            Self::Forbidden => "forbidden",
            Self::ForeignHost => "foreign_host",
            Self::ForeignOrigin => "foreign_origin",
            Self::HttpsRequired => "https_required",
            Self::IdentityTooLarge { .. } => "identity_too_large",
            Self::InsufficientScope { .. } => "insufficient_scope",
            Self::SignInNotEnough { .. } => "sign_in_not_enough",
            Self::Internal(_) => "internal",
            Self::MalformedContentLength => "malformed_content_length",
            Self::MalformedCredentials => "malformed_credentials",
            Self::MalformedField => "malformed_field",
            Self::MalformedMessage { .. } => "malformed_message",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::Misconfigured => "misconfigured",
            Self::NoCredentials(_) => "no_credentials",
            Self::NotFound => "not_found",
            Self::OriginFailed { .. } => "origin_failed",
            Self::OriginRedirected { .. } => "origin_redirected",
            Self::OriginMalformed(_) => "origin_malformed",
            Self::OriginTimeout { .. } => "origin_timeout",
            Self::OriginCredential { meaning: Meaning::Temporary, .. } => "origin_credential_unavailable",
            Self::OriginCredential { meaning: Meaning::CallerRefused, .. } => "origin_credential_denied",
            Self::OriginCredential { meaning: Meaning::Permanent, .. } => "origin_credential_failed",
            Self::NotConnected(_) => "not_connected",
            Self::ApprovalNeeded(_) => "approval_needed",
            Self::OriginUnauthorized(_) => "origin_unauthorized",
            Self::OriginUnreachable { .. } => "origin_unreachable",
            Self::Proof(error) => error.reason(),
            Self::RateLimited { .. } => "rate_limited",
            Self::SessionUnknown => "session_unknown",
            Self::CursorUnknown => "cursor_unknown",
            Self::VersionUnsupported(_) => "version_unsupported",
            Self::ServersLeftOut(_) => "servers_left_out",
            Self::StateUnknown => "state_unknown",
            Self::TaskUnknown { .. } => "task_unknown",
            Self::Token(error) => error.reason(),
            Self::TokenInQuery => "token_in_query",
            Self::Unavailable { dependency, .. } => dependency.reason(),
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UrlTooLong => "url_too_long",
        }
    }

    /// Details for the log, if there are any: never a token, a claim's value or a part of a body.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::HeldBack(held) => Some(held.fault.detail(Direction::Arguments)),
            Self::ApprovalNeeded(needed) => Some(format!("approval {}", needed.id)),
            Self::AmbiguousPath(error) => Some(format!("the path {error}")),
            Self::FieldsDisagree { field, .. } => Some(field.clone()),
            Self::ServersLeftOut(names) => Some(names.join(", ")),
            Self::VersionUnsupported(version) => Some(version.clone()),
            Self::IdentityTooLarge { bytes } => {
                Some(format!("identity_claims have {bytes} bytes, at most {IDENTITY_BYTES}"))
            }
            Self::InsufficientScope { missing, .. } => Some(format!("missing: {missing}")),
            Self::SignInNotEnough { lacks, .. } => Some(format!("not fulfilled: {}", lacks.join(", "))),
            Self::MalformedMessage { error, .. } => Some(error.to_string()),
            Self::OriginMalformed(error) => Some(error.to_string()),
            Self::Internal(what) => Some((*what).to_owned()),
            Self::BodyTooLarge { limit: Some(limit) } => Some(format!("more than {limit} bytes: see body_bytes")),
            Self::BodyTooLarge { limit: None } => Some("see body_bytes".to_owned()),
            Self::NoCredentials(MissingCredentials::Scheme) => {
                Some("the Authorization field has no scheme: it must be Bearer and the token".to_owned())
            }
            Self::NoCredentials(MissingCredentials::UnsupportedScheme) => {
                Some("the scheme of the Authorization field is not accepted here".to_owned())
            }
            Self::OriginFailed { status } => Some(format!("status {status}")),
            Self::OriginRedirected { status, to } => {
                let to = to.as_deref().map_or_else(String::new, |to| format!(", to {to}"));
                Some(format!("status {status}{to}"))
            }
            Self::OriginCredential { why, .. } => Some(why.clone()),
            Self::OriginUnauthorized(Some((kind, why))) => {
                Some(format!("the origin server refused the {kind} credential, {}", why.as_str()))
            }
            Self::OriginTimeout { streamed: true } | Self::OriginUnreachable { streamed: true } => {
                Some("or the client did not send all of its message".to_owned())
            }
            Self::Token(TokenError::ClaimMalformed(claim) | TokenError::ClaimMissing(claim)) => {
                Some((*claim).to_owned())
            }
            Self::Token(TokenError::ForbiddenHeader(member)) => Some((*member).to_owned()),
            Self::Unavailable { why, .. } if !why.is_empty() => Some(why.clone()),
            Self::Token(TokenError::ClaimNotAccepted(claim)) => Some(claim.clone()),
            Self::Token(TokenError::ClaimsNotJson(error)) => Some(error.to_string()),
            _ => None,
        }
    }

    /// Whether rules, scopes or sessions are the reason for the rejection of a known caller's request: the gateway
    /// counts such rejections for each caller.
    #[must_use]
    pub fn is_of_policy(&self) -> bool {
        matches!(
            self,
            Self::NotPermitted { .. }
                | Self::NotAsLocked { .. }
                | Self::HeldBack(_)
                | Self::Forbidden
                | Self::InsufficientScope { .. }
                | Self::SignInNotEnough { .. }
                | Self::SessionUnknown
                | Self::CursorUnknown
                | Self::StateUnknown
                | Self::TaskUnknown { .. }
        )
    }

    /// The id of the rejected message, if the rejection contains it.
    #[must_use]
    pub fn id(&self) -> Option<&RequestId> {
        match self {
            Self::FieldsDisagree { id, .. } | Self::MalformedMessage { id, .. } => Some(id),
            Self::HeldBack(held) => Some(&held.id),
            Self::ApprovalNeeded(needed) => Some(needed.asked.id()),
            _ => None,
        }
    }
}

impl From<NoCredential> for Rejection {
    fn from(why: NoCredential) -> Self {
        match why {
            NoCredential::Missing(missing) => Self::NoCredentials(missing),
            NoCredential::Malformed => Self::MalformedCredentials,
        }
    }
}

impl From<BindingError> for Rejection {
    fn from(error: BindingError) -> Self {
        match error {
            BindingError::Token(error) => Self::Token(error),
            BindingError::Proof(error) => Self::Proof(error),
        }
    }
}
