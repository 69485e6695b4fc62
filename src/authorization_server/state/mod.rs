//! What the authorization server remembers: records, each behind a name, each a machine that answers one question after
//! another. A Durable Object keeps one record and calls [`answer`]; so does a test. Nothing here waits or reads a clock.

pub mod client;
pub mod grant;
pub mod login;
pub mod once;
pub mod own_client;
pub mod subject;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::strict_json;

/// A record and the questions that it answers.
pub trait Machine: Serialize + DeserializeOwned {
    /// How names of such records begin, and questions to them.
    const KIND: &'static str;
    /// A question.
    type Question: Serialize + DeserializeOwned;
    /// An answer.
    type Answer: Serialize + DeserializeOwned;

    /// Answers, and says what is to be kept: nothing where the record is, or stays, empty. `now` is in seconds.
    fn answer(record: Option<Self>, question: Self::Question, now: u64) -> (Self::Answer, Option<Self>);

    /// The second from which on it is of no use to anybody.
    fn until(&self) -> u64;
}

/// A question as it travels to a record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<Q> {
    kind: String,
    question: Q,
}

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It stays as it is.
    None,
    /// It is this from now on, and of no use from that second on.
    Keep(String, u64),
    /// It goes.
    Forget,
}

/// The name of a record.
#[must_use]
pub fn name<M: Machine>(id: &str) -> String {
    format!("{}/{id}", M::KIND)
}

/// A question to a record, as text.
#[must_use]
pub fn question<M: Machine>(question: M::Question) -> String {
    serde_json::to_string(&Envelope { kind: M::KIND.to_owned(), question }).unwrap_or_default()
}

/// Answers a question to a record, given as it was kept.
///
/// # Errors
/// A description where the question or the record is none.
pub fn answer(record: Option<&str>, question: &str, now: u64) -> Result<(String, Change), String> {
    let Envelope { kind, question } = strict_json::read(question.as_bytes()).map_err(|_| "no question".to_owned())?;
    match kind.as_str() {
        client::Registration::KIND => run::<client::Registration>(record, question, now),
        grant::Grant::KIND => run::<grant::Grant>(record, question, now),
        login::Login::KIND => run::<login::Login>(record, question, now),
        once::Once::KIND => run::<once::Once>(record, question, now),
        own_client::OwnClient::KIND => run::<own_client::OwnClient>(record, question, now),
        subject::Person::KIND => run::<subject::Person>(record, question, now),
        _ => Err("there are no such records".to_owned()),
    }
}

fn run<M: Machine>(record: Option<&str>, question: Value, now: u64) -> Result<(String, Change), String> {
    let question = serde_json::from_value(question).map_err(|_| format!("no question to a {}", M::KIND))?;
    let kept: Option<M> = match record {
        Some(text) => Some(strict_json::read(text.as_bytes()).map_err(|_| format!("the record is no {}", M::KIND))?),
        None => None,
    };
    // What has had its time is as if it were not there, whether or not it was cleared away yet.
    let (answer, next) = M::answer(kept.filter(|kept| now < kept.until()), question, now);
    let text = |value: &dyn Fn() -> serde_json::Result<String>| value().map_err(|error| error.to_string());
    let change = match next {
        None if record.is_none() => Change::None,
        None => Change::Forget,
        Some(next) => {
            let until = next.until();
            let next = text(&|| serde_json::to_string(&next))?;
            if record == Some(next.as_str()) { Change::None } else { Change::Keep(next, until) }
        }
    };
    Ok((text(&|| serde_json::to_string(&answer))?, change))
}

/// SHA-256 of something that only its holder should know: what is kept in its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hash(String);

impl Hash {
    /// The hash of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes())))
    }

    /// The hash as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
