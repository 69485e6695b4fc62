//! Why the gateway has no credential for an origin server, and what that means for the request.

use std::error::Error;
use std::fmt;

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
    /// The caller is a client without a user, and only a user can connect an account.
    NoUser,
    /// The user has not connected an account, or has to do it again.
    NotConnected,
    /// The origin server now names another authorization server, with this issuer identifier.
    OtherIssuer(String),
    /// The authorization server of the origin server was not found.
    Discovery(String),
    /// The authorization server has no revocation endpoint.
    NoRevocation,
    /// The authorization server with this issuer identifier does not let the gateway become a client.
    NoClient(String),
    /// The connection could not be read or written.
    Records(PlatformError),
}

/// A refusal of a token endpoint (RFC 6749 §5.2), as far as the log may have it: its texts may repeat what was sent, or name users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    url: String,
    status: u16,
    error: String,
    codes: Vec<String>,
}

/// Most error numbers of a description that the log has.
const CODES: usize = 4;

impl Refusal {
    pub(super) fn new(url: &str, status: u16, error: &str, description: Option<&str>) -> Self {
        // Error codes of OAuth are words; tokens and secrets are not.
        let is_word = (1..=40).contains(&error.len()) && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let error = if is_word { error.to_owned() } else { "an error code that is none of OAuth".to_owned() };
        // Numbers such as AADSTS50013, by which providers document their errors.
        let is_code = |word: &&str| {
            let letters = word.bytes().take_while(u8::is_ascii_uppercase).count();
            let digits = word.get(letters..).unwrap_or_default();
            (2..=8).contains(&letters) && (3..=10).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
        };
        let words = description.unwrap_or_default().split(|c: char| !c.is_ascii_alphanumeric());
        let codes = words.filter(is_code).take(CODES).map(str::to_owned).collect();
        Self { url: url.to_owned(), status, error, codes }
    }
}

/// The URL of an endpoint, as the log has it: without the query, which may have a secret.
fn place(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

impl fmt::Display for ObtainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(url, fault) => write!(f, "{}: {fault}", place(url)),
            Self::Lookup(error) => error.fmt(f),
            Self::NoAnswer(url, error) => write!(f, "{}: {error}", place(url)),
            Self::Refused(Refusal { url, status, error, codes }) => {
                write!(f, "{}: {error} (status {status})", place(url))?;
                codes.iter().try_for_each(|code| write!(f, " {code}"))
            }
            Self::Signature(error) => write!(f, "an assertion could not be signed: {error}"),
            Self::Status(url, status) => write!(f, "{}: status {status}", place(url)),
            Self::NoSubject => f.write_str("the caller's token is not at hand"),
            Self::NoUser => {
                f.write_str("the caller is a client without a user, and only a user can connect an account")
            }
            Self::NotConnected => f.write_str("the user has not connected an account, or has to do it again"),
            Self::OtherIssuer(issuer) => {
                write!(f, "the origin server now names another authorization server: {issuer}")
            }
            Self::Discovery(why) => f.write_str(why),
            Self::NoRevocation => f.write_str("the authorization server has no revocation endpoint"),
            Self::NoClient(issuer) => write!(
                f,
                "{issuer}: it takes neither client ID metadata documents nor registrations: set client_id and secret"
            ),
            Self::Records(error) => write!(f, "the connection cannot be read or written: {error}"),
        }
    }
}

impl Error for ObtainError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Answer(_, fault) => Some(fault),
            Self::Lookup(error) => Some(error),
            Self::NoAnswer(_, error) | Self::Signature(error) | Self::Records(error) => Some(error),
            Self::Refused(_)
            | Self::Status(..)
            | Self::NoSubject
            | Self::NoUser
            | Self::NotConnected
            | Self::OtherIssuer(_)
            | Self::Discovery(_)
            | Self::NoRevocation
            | Self::NoClient(_) => None,
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
    /// Whether it says that a refresh token is no longer valid (RFC 6749 §5.2).
    #[must_use]
    pub fn ends_a_grant(&self) -> bool {
        // GitHub's and another server's own codes beside that of the RFC.
        let codes = ["invalid_grant", "bad_refresh_token", "invalid_refresh_token"];
        matches!(self, Self::Refused(refusal) if codes.contains(&refusal.error.as_str()))
    }

    /// Whether a token endpoint refused for a reason that does not pass by itself, and that is not about this gateway's credentials:
    /// if anything helps, it is that the user connects again.
    #[must_use]
    pub fn is_lasting_refusal(&self) -> bool {
        let is_refusal = match self {
            Self::Refused(_) => !self.refuses_client(),
            Self::Status(_, status) => (400..500).contains(status),
            _ => false,
        };
        is_refusal && self.meaning(false) == Meaning::Permanent
    }

    /// Whether it says that the authorization server does not know the client (RFC 6749 §5.2).
    #[must_use]
    pub fn refuses_client(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.error == "invalid_client")
    }

    /// What it means; `exchanged` tells whether the caller's token was part of the request.
    #[must_use]
    pub fn meaning(&self, exchanged: bool) -> Meaning {
        match self {
            Self::Lookup(_) | Self::NoAnswer(..) | Self::Signature(_) | Self::Records(_) | Self::Discovery(_) => {
                Meaning::Temporary
            }
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
            Self::NoUser | Self::NotConnected | Self::OtherIssuer(_) => Meaning::CallerRefused,
            Self::Answer(..) | Self::Status(..) | Self::NoSubject | Self::NoRevocation | Self::NoClient(_) => {
                Meaning::Permanent
            }
        }
    }
}
