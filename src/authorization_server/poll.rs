//! Poll-based delivery of SETs (RFC 8936): what the gateway asks a transmitter, and what the transmitter answers. A SET stays with the
//! transmitter until the gateway acknowledges it.

use std::error::Error;
use std::fmt;

use serde_json::{Map, Value, json};

use crate::authorization_server::security_event::SetError;
use crate::limits::POLL_SETS;
use crate::platform_error::PlatformError;
use crate::strict_json;
use crate::transport::provider::ProviderDocument;

/// The most characters of a `jti`.
const NAME_CHARS: usize = 255;

/// What the gateway has to say about SETs that it got.
#[derive(Debug, Default)]
pub struct Acknowledgements {
    taken: Vec<String>,
    refused: Map<String, Value>,
}

impl Acknowledgements {
    /// A SET has taken effect.
    pub fn take(&mut self, id: String) {
        self.taken.push(id);
    }

    /// A SET is not accepted, however often it comes.
    pub fn refuse(&mut self, id: String, error: SetError) {
        self.refused.insert(id, json!({ "err": error.code(), "description": error.description() }));
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.refused.is_empty()
    }

    /// The body of a request for more SETs, which the transmitter may hold until it has some (RFC 8936 §2.2).
    #[must_use]
    pub fn with_request(&self) -> String {
        self.body(POLL_SETS, false)
    }

    /// The body of a request for no more SETs (RFC 8936 §2.4.3).
    #[must_use]
    pub fn alone(&self) -> String {
        self.body(0, true)
    }

    fn body(&self, most: usize, returns: bool) -> String {
        let mut body = Map::new();
        body.insert("maxEvents".to_owned(), json!(most));
        body.insert("returnImmediately".to_owned(), json!(returns));
        if !self.taken.is_empty() {
            body.insert("ack".to_owned(), json!(self.taken));
        }
        if !self.refused.is_empty() {
            body.insert("setErrs".to_owned(), Value::Object(self.refused.clone()));
        }
        Value::Object(body).to_string()
    }
}

/// What a transmitter answers.
#[derive(Debug, PartialEq, Eq)]
pub struct PollAnswer {
    /// SETs by their `jti`, at most [`POLL_SETS`]; `None` for what is no text.
    pub sets: Vec<(String, Option<String>)>,
    /// Whether the transmitter has more.
    pub has_more: bool,
}

/// Why there are no SETs.
#[derive(Debug, PartialEq, Eq)]
pub enum PollError {
    /// The transmitter did not answer.
    NoAnswer(PlatformError),
    /// It refused.
    Status(u16),
    /// Its answer is not that of RFC 8936 §2.3.
    Malformed(&'static str),
}

impl fmt::Display for PollError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(why) => write!(f, "no answer: {why}"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Malformed(why) => write!(f, "the answer is malformed: {why}"),
        }
    }
}

impl Error for PollError {}

impl PollAnswer {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`PollError`]: why it cannot be used.
    pub fn read(document: &ProviderDocument) -> Result<Self, PollError> {
        if document.status != 200 {
            return Err(PollError::Status(document.status));
        }
        let Ok(Value::Object(members)) = strict_json::parse(&document.body) else {
            return Err(PollError::Malformed("it is not a JSON object"));
        };
        let has_more = match members.get("moreAvailable") {
            None => false,
            Some(Value::Bool(more)) => *more,
            Some(_) => return Err(PollError::Malformed("moreAvailable is not a boolean")),
        };
        let Some(Value::Object(listed)) = members.get("sets") else {
            return Err(PollError::Malformed("sets is not an object"));
        };
        let mut sets = Vec::new();
        // A transmitter that sends more than it was asked for sends the others again: they are not acknowledged.
        // What has no name that can be acknowledged must not hold up the others.
        let is_name = |id: &String| !id.is_empty() && id.chars().count() <= NAME_CHARS;
        for (id, set) in listed.iter().filter(|(id, _)| is_name(id)).take(POLL_SETS) {
            sets.push((id.clone(), set.as_str().map(str::to_owned)));
        }
        Ok(Self { has_more: has_more || listed.len() > sets.len(), sets })
    }
}
