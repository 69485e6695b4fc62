//! Why the gateway has no credential for an origin server, and what that means for the request.

use std::error::Error;
use std::fmt;

use crate::limits::LOG_VALUE_CHARS;
use crate::origin_credential::answer::AnswerFault;
use crate::platform_error::PlatformError;
use crate::token::lookups::LookupError;

/// Why no token could be obtained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObtainError {
    /// The answer of the token endpoint cannot be used.
    Answer(String, AnswerFault),
    /// No request to the token endpoint could begin.
    Lookup(LookupError),
    /// The token endpoint gave no complete answer in time.
    NoAnswer(String, PlatformError),
    /// The token endpoint refused.
    Refused(Refusal),
    /// The gateway could not sign its assertion.
    Signature(PlatformError),
    /// The token endpoint answered with this status and without an OAuth error.
    Status(String, u16),
    /// The caller's token is not at hand. The configuration excludes this.
    NoSubject,
}

/// A refusal of a token endpoint (RFC 6749 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    url: String,
    status: u16,
    error: String,
    description: Option<String>,
}

/// Most characters of a word in an `error_description` that the log shows: longer words may be tokens.
const WORD_CHARS: usize = 40;

impl Refusal {
    pub(super) fn new(url: &str, status: u16, error: &str, description: Option<&str>, sent: Option<&str>) -> Self {
        let error = error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
        let description = description.filter(|text| sent.is_none_or(|sent| !text.contains(sent))).map(|text| {
            let shown = |word: &str| if word.len() > WORD_CHARS { "…".to_owned() } else { word.to_owned() };
            let words: Vec<String> = text.split_ascii_whitespace().map(shown).collect();
            let plain = words.join(" ").chars().filter(|c| *c == '…' || (' '..='~').contains(c)).collect::<String>();
            plain.chars().take(LOG_VALUE_CHARS).collect()
        });
        Self { url: url.to_owned(), status, error, description }
    }
}

impl fmt::Display for ObtainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(url, fault) => write!(f, "{url}: {fault}"),
            Self::Lookup(error) => error.fmt(f),
            Self::NoAnswer(url, error) => write!(f, "{url}: {error}"),
            Self::Refused(Refusal { url, status, error, description }) => {
                write!(f, "{url}: {error} (status {status})")?;
                description.as_ref().map_or(Ok(()), |text| write!(f, ": {text}"))
            }
            Self::Signature(error) => write!(f, "an assertion could not be signed: {error}"),
            Self::Status(url, status) => write!(f, "{url}: status {status}"),
            Self::NoSubject => f.write_str("the caller's token is not at hand"),
        }
    }
}

impl Error for ObtainError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Answer(_, fault) => Some(fault),
            Self::Lookup(error) => Some(error),
            Self::NoAnswer(_, error) | Self::Signature(error) => Some(error),
            Self::Refused(_) | Self::Status(..) | Self::NoSubject => None,
        }
    }
}

/// What a failure means for the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It may pass by itself: 503.
    Temporary,
    /// The authorization server does not give this caller a token: 403.
    CallerRefused,
    /// The configuration of one of the two sides is wrong: 502.
    Permanent,
}

impl ObtainError {
    /// What it means; `exchanged` tells whether the caller's token was part of the request.
    #[must_use]
    pub fn meaning(&self, exchanged: bool) -> Meaning {
        match self {
            Self::Lookup(_) | Self::NoAnswer(..) | Self::Signature(_) => Meaning::Temporary,
            Self::Status(_, status) if *status == 429 || *status >= 500 => Meaning::Temporary,
            Self::Refused(refusal) => match refusal.error.as_str() {
                "temporarily_unavailable" | "server_error" | "slow_down" => Meaning::Temporary,
                _ if refusal.status == 429 || refusal.status >= 500 => Meaning::Temporary,
                // RFC 8693 §2.2.2 has `invalid_request` for a subject token that is not accepted.
                "invalid_grant"
                | "invalid_request"
                | "access_denied"
                | "interaction_required"
                | "login_required"
                | "consent_required"
                    if exchanged =>
                {
                    Meaning::CallerRefused
                }
                _ => Meaning::Permanent,
            },
            Self::Answer(..) | Self::Status(..) | Self::NoSubject => Meaning::Permanent,
        }
    }
}
