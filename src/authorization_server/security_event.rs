//! Security event tokens (SET, RFC 8417) of the Shared Signals Framework, and logout tokens of OpenID Connect Back-Channel Logout:
//! what a provider says about its users, after a key of the provider signed it.

use serde_json::{Map, Value};

use crate::authorization_server::trusted_issuer::LEEWAY;
use crate::token::claim_values::{seconds, texts};
use crate::token::untrusted::{TokenType, UntrustedToken};

/// `typ` of a SET (RFC 8417 §2.3).
const SET_TYPE: &str = "secevent+jwt";

/// The media type of a SET (RFC 8935 §2.1).
pub const SET_MEDIA_TYPE: &str = "application/secevent+jwt";

/// `typ` of a logout token (OpenID Connect Back-Channel Logout §2.4).
const LOGOUT_TYPE: &str = "logout+jwt";

/// The event of a logout token.
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The most events of one SET that are read.
const EVENTS: usize = 16;

/// The most subjects of one event that are read (RFC 9493 §3.2.8).
const SUBJECTS: usize = 16;

/// Why a SET is not accepted (RFC 8935 §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetError {
    /// It is not a SET, or lacks a claim that it must have.
    InvalidRequest(&'static str),
    /// It is signed with a key that the issuer does not publish.
    InvalidKey,
    /// It is from another issuer.
    InvalidIssuer,
    /// It is for another receiver.
    InvalidAudience,
    /// The transmitter did not authenticate.
    AuthenticationFailed,
}

impl SetError {
    /// `err`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidKey => "invalid_key",
            Self::InvalidIssuer => "invalid_issuer",
            Self::InvalidAudience => "invalid_audience",
            Self::AuthenticationFailed => "authentication_failed",
        }
    }

    /// `description`.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::InvalidRequest(why) => why,
            Self::InvalidKey => "the SET is not signed with a key that its issuer publishes",
            Self::InvalidIssuer => "the SET is from another issuer",
            Self::InvalidAudience => "the SET is for another receiver",
            Self::AuthenticationFailed => "the Authorization field is missing or wrong",
        }
    }
}

/// What has happened to the access of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// What a token says of the user has changed.
    ClaimsChanged,
    /// Sessions that began before have ended.
    SessionsEnded,
    /// The account is disabled.
    AccountDisabled,
    /// The account is deleted.
    AccountPurged,
    /// The account is enabled.
    AccountEnabled,
}

/// Whom an event is about (RFC 9493).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventSubject {
    /// A subject of an issuer.
    Subject {
        /// `iss`; `None` for the issuer of the event.
        issuer: Option<String>,
        /// `sub`.
        subject: String,
    },
    /// An email address, in lower case.
    Email(String),
    /// A session (`sid`) of the issuer of the event.
    Session(String),
}

/// An event that concerns access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityEvent {
    /// What has happened.
    pub happening: Happening,
    /// Whom it is about: each of these names the user.
    pub about: Vec<EventSubject>,
    /// The second at which it happened.
    pub at: u64,
}

/// A SET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityEventToken {
    /// `jti`.
    pub id: String,
    /// The types of its events, by the part after the last `/`.
    pub types: Vec<String>,
    /// Its events that concern access.
    pub events: Vec<SecurityEvent>,
}

/// Whether a token says of itself that it is a SET.
#[must_use]
pub fn is_set(token: &UntrustedToken) -> bool {
    *token.typ() == TokenType::Named(SET_TYPE.to_owned())
}

/// Whether a token can be a logout token. Older providers name no type, and no ID token is one, because it has no such event.
#[must_use]
pub fn may_be_logout(token: &UntrustedToken) -> bool {
    match token.typ() {
        TokenType::Absent => true,
        TokenType::Named(name) => name == LOGOUT_TYPE || name == "jwt",
    }
}

impl SecurityEventToken {
    /// Reads the claims of a SET of this issuer, for one of these audiences.
    ///
    /// # Errors
    /// [`SetError`]: the first check that fails.
    pub fn read(claims: &Map<String, Value>, issuer: &str, audiences: &[String], now: u64) -> Result<Self, SetError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if text("iss") != Some(issuer) {
            return Err(SetError::InvalidIssuer);
        }
        let named = claims.get("aud").and_then(texts).unwrap_or_default();
        if !named.iter().any(|audience| audiences.contains(audience)) {
            return Err(SetError::InvalidAudience);
        }
        let id = text("jti").ok_or(SetError::InvalidRequest("the SET has no jti"))?;
        let iat = second(claims, "iat").ok_or(SetError::InvalidRequest("the SET has no iat"))?;
        if iat > now + LEEWAY.unsigned_abs() {
            return Err(SetError::InvalidRequest("the SET was issued in the future"));
        }
        let events = match claims.get("events") {
            Some(Value::Object(events)) if !events.is_empty() && events.len() <= EVENTS => events,
            _ => return Err(SetError::InvalidRequest("the SET must have 1 to 16 events")),
        };
        let of_token = second(claims, "toe").unwrap_or(iat);
        let mut read = Vec::new();
        for (kind, event) in events {
            let Value::Object(event) = event else {
                return Err(SetError::InvalidRequest("an event is not an object"));
            };
            let Some(happening) = happening(kind, event) else { continue };
            let subject = event.get("subject").or_else(|| claims.get("sub_id"));
            let mut about = Vec::new();
            match (subject, text("sub")) {
                (Some(subject), _) => add_subjects(subject, &mut about, 0),
                (None, Some(subject)) => {
                    about.push(EventSubject::Subject { issuer: None, subject: subject.to_owned() });
                }
                (None, None) => {}
            }
            // An event does not happen in the future.
            let at = moment(event).unwrap_or(of_token).min(now);
            read.push(SecurityEvent { happening, about, at });
        }
        let types = events.keys().map(|kind| short(kind)).collect();
        Ok(Self { id: id.to_owned(), types, events: read })
    }
}

/// The last part of an event type, for the log.
fn short(kind: &str) -> String {
    let last = kind.rsplit('/').next().unwrap_or_default();
    last.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect()
}

fn second(members: &Map<String, Value>, name: &'static str) -> Option<u64> {
    seconds(members, name).ok().flatten().and_then(|second| u64::try_from(second).ok())
}

/// `event_timestamp` in seconds. Drafts of CAEP had milliseconds, which are a time far beyond the year 9999.
fn moment(event: &Map<String, Value>) -> Option<u64> {
    let number = event.get("event_timestamp").and_then(Value::as_f64).filter(|number| *number >= 0.0)?;
    let seconds = if number > 253_402_300_799.0 { number / 1000.0 } else { number };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "too large a number is in the future")]
    Some(seconds as u64)
}

/// What an event means for access; `None` if nothing.
fn happening(kind: &str, event: &Map<String, Value>) -> Option<Happening> {
    const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
    const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";
    const OAUTH: &str = "https://schemas.openid.net/secevent/oauth/event-type/";
    let says = |name: &str, value: &str| event.get(name).and_then(Value::as_str) == Some(value);
    if let Some(kind) = kind.strip_prefix(CAEP) {
        return match kind {
            "session-revoked" => Some(Happening::SessionsEnded),
            // A new credential takes nothing away.
            "credential-change" => (!says("change_type", "create")).then_some(Happening::SessionsEnded),
            "token-claims-change" => Some(Happening::ClaimsChanged),
            "assurance-level-change" => (!says("change_direction", "increase")).then_some(Happening::ClaimsChanged),
            "device-compliance-change" => (!says("current_status", "compliant")).then_some(Happening::ClaimsChanged),
            "risk-level-change" => says("current_level", "HIGH").then_some(Happening::SessionsEnded),
            _ => None,
        };
    }
    if let Some(kind) = kind.strip_prefix(RISC) {
        return match kind {
            "account-purged" => Some(Happening::AccountPurged),
            "account-disabled" => Some(Happening::AccountDisabled),
            "account-enabled" => Some(Happening::AccountEnabled),
            "account-credential-change-required" | "credential-compromise" | "sessions-revoked" => {
                Some(Happening::SessionsEnded)
            }
            _ => None,
        };
    }
    match kind.strip_prefix(OAUTH)? {
        "tokens-revoked" | "token-revoked" => Some(Happening::SessionsEnded),
        _ => None,
    }
}

/// Adds whom a subject identifier names. A complex subject names a user, also if it names a session or device of the user: the
/// gateway does not know those, and ends more rather than less.
fn add_subjects(subject: &Value, about: &mut Vec<EventSubject>, depth: usize) {
    let Value::Object(members) = subject else { return };
    if about.len() >= SUBJECTS || depth > 2 {
        return;
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let format = text("format").or_else(|| text("subject_type")).unwrap_or_default().replace('-', "_");
    match format.as_str() {
        "iss_sub" => {
            if let Some(subject) = text("sub") {
                let issuer = text("iss").map(str::to_owned);
                about.push(EventSubject::Subject { issuer, subject: subject.to_owned() });
            }
        }
        "email" => about.extend(text("email").map(|email| EventSubject::Email(email.to_ascii_lowercase()))),
        "opaque" => {
            if let Some(id) = text("id") {
                about.push(EventSubject::Subject { issuer: None, subject: id.to_owned() });
            }
        }
        "aliases" => {
            for one in members.get("identifiers").and_then(Value::as_array).into_iter().flatten() {
                add_subjects(one, about, depth + 1);
            }
        }
        // A complex subject; the first drafts gave it no format.
        "complex" | "" => {
            if let Some(user) = members.get("user") {
                add_subjects(user, about, depth + 1);
            } else if let Some(Value::Object(session)) = members.get("session")
                && let Some(id) = session.get("id").and_then(Value::as_str)
            {
                about.push(EventSubject::Session(id.to_owned()));
            }
        }
        _ => {}
    }
}

/// Reads the claims of a logout token (OpenID Connect Back-Channel Logout §2.6): the session that ends, or else whose sessions do,
/// and since when.
///
/// # Errors
/// Why it is not accepted.
pub fn logout(
    claims: &Map<String, Value>,
    is_issuer: impl Fn(&str) -> bool,
    client_id: &str,
    now: u64,
) -> Result<(Vec<EventSubject>, u64), &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if !text("iss").is_some_and(is_issuer) {
        return Err("the logout token is from another issuer");
    }
    if !claims.get("aud").and_then(texts).unwrap_or_default().iter().any(|audience| audience == client_id) {
        return Err("the logout token is for another client");
    }
    if !claims.get("events").and_then(|events| events.get(LOGOUT_EVENT)).is_some_and(Value::is_object) {
        return Err("the logout token has no logout event");
    }
    // With a nonce it could be an ID token (§2.6).
    if claims.contains_key("nonce") {
        return Err("the logout token must have no nonce");
    }
    if text("jti").is_none() {
        return Err("the logout token has no jti");
    }
    let leeway = LEEWAY.unsigned_abs();
    let iat = second(claims, "iat").filter(|iat| *iat <= now + leeway).ok_or("the logout token has no iat")?;
    if claims.contains_key("exp") && second(claims, "exp").is_none_or(|end| end + leeway <= now) {
        return Err("the logout token has expired");
    }
    let at = iat.min(now);
    let session = text("sid").map(|id| EventSubject::Session(id.to_owned()));
    let user = text("sub").map(|subject| EventSubject::Subject { issuer: None, subject: subject.to_owned() });
    let about: Vec<EventSubject> = session.into_iter().chain(user).collect();
    if about.is_empty() {
        return Err("the logout token has neither sub nor sid");
    }
    Ok((about, at))
}
