//! What the authorization server stores: records, each with a name, each a state machine that answers one question
//! after another. A Durable Object stores one record and calls [`answer`]; so does a test. Nothing here awaits or reads
//! a clock.
//!
//! Each kind of record has a version of its format. A record of an older version is rewritten when a question changes it.

pub mod call_list;
pub mod client;
pub mod connection;
pub mod device;
pub mod grant;
pub mod identifier;
pub mod login;
pub mod once;
pub mod own_client;
pub mod pending_call;
pub mod revocation_index;
pub mod subject;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::strict_json::{self, StrictJsonError};

/// A record and the questions that it answers.
pub trait RecordStateMachine: Serialize + DeserializeOwned {
    /// The kind of such records, in their names and in questions to them.
    const KIND: &'static str;
    /// The steps from one version of the format to the next, the first one first. A change of the format that a Worker of the
    /// version before would not read, or would read as something else, needs another step here.
    const MIGRATIONS: &'static [Migration] = &[];
    /// A question.
    type Question: Serialize + DeserializeOwned;
    /// An answer.
    type Answer: Serialize + DeserializeOwned;

    /// Answers a question, and returns what the record is from now on: `None` if it is, or becomes, empty. `now` is in
    /// seconds.
    fn answer(record: Option<Self>, question: Self::Question, now: u64) -> (Self::Answer, Option<Self>);

    /// The second from which the record is no longer needed.
    fn until(&self) -> u64;

    /// The version of the format that this Worker writes.
    fn version() -> usize {
        FIRST_VERSION + Self::MIGRATIONS.len()
    }
}

/// Whether a member is left out of a record.
pub(crate) fn is_default<T: Default + PartialEq>(member: &T) -> bool {
    *member == T::default()
}

/// Rewrites a record in the format of the next version.
pub type Migration = fn(&mut Map<String, Value>);

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The version of its format. Records of Workers that did not store it have version [`FIRST_VERSION`].
    pub version: usize,
    /// The record, as JSON.
    pub text: String,
}

/// The version of the formats of release 0.1.
pub const FIRST_VERSION: usize = 1;

/// A question in the form in which it is sent to a record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<Q> {
    kind: String,
    question: Q,
}

/// How a question changes a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The record stays as it is.
    None,
    /// This is the new record, and the second from which it is no longer needed.
    Keep(StoredRecord, u64),
    /// The record is deleted.
    Forget,
}

/// The name of a record.
#[must_use]
pub fn name<M: RecordStateMachine>(id: &str) -> String {
    format!("{}/{id}", M::KIND)
}

/// A question to a record, as text.
#[must_use]
pub fn question<M: RecordStateMachine>(question: M::Question) -> String {
    serde_json::to_string(&Envelope { kind: M::KIND.to_owned(), question }).unwrap_or_default()
}

/// Why a record does not answer a question.
#[derive(Debug)]
pub enum RecordError {
    /// The question is not JSON of the expected form.
    QuestionMalformed(StrictJsonError),
    /// It is not a question to a record of this kind.
    Question(&'static str, serde_json::Error),
    /// There is no such kind of record.
    Kind,
    /// The stored text is not a record of this kind.
    Record(&'static str, StrictJsonError),
    /// The version of the stored record is none.
    NoVersion(&'static str),
    /// A newer Worker stored the record: the kind, the version of the record, and the newest version that this Worker can read.
    Newer(&'static str, usize, usize),
    /// The answer or the record cannot be written.
    Written(serde_json::Error),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QuestionMalformed(_) => f.write_str("the question cannot be read"),
            Self::Question(kind, _) => write!(f, "not a question to a {kind} record"),
            Self::Kind => f.write_str("unknown kind of record"),
            Self::Record(kind, _) => write!(f, "the stored text is not a {kind} record"),
            Self::NoVersion(kind) => write!(f, "the {kind} record has no version"),
            Self::Newer(kind, version, known) => write!(
                f,
                "the {kind} record has version {version}, and this Worker reads versions up to {known}: a newer Worker stored it; \
                 deploy that release again"
            ),
            Self::Written(error) => error.fmt(f),
        }
    }
}

impl Error for RecordError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::QuestionMalformed(error) | Self::Record(_, error) => Some(error),
            Self::Question(_, error) | Self::Written(error) => Some(error),
            Self::Kind | Self::NoVersion(_) | Self::Newer(..) => None,
        }
    }
}

/// Answers a question to a record, which is given as it was stored.
///
/// # Errors
/// [`RecordError`] if the question or the record cannot be read.
pub fn answer(record: Option<&StoredRecord>, question: &str, now: u64) -> Result<(String, Change), RecordError> {
    let Envelope { kind, question } = strict_json::read(question.as_bytes()).map_err(RecordError::QuestionMalformed)?;
    match kind.as_str() {
        call_list::CallList::KIND => run::<call_list::CallList>(record, question, now),
        client::Registration::KIND => run::<client::Registration>(record, question, now),
        connection::Connection::KIND => run::<connection::Connection>(record, question, now),
        device::Device::KIND => run::<device::Device>(record, question, now),
        grant::Grant::KIND => run::<grant::Grant>(record, question, now),
        identifier::Identifier::KIND => run::<identifier::Identifier>(record, question, now),
        login::Login::KIND => run::<login::Login>(record, question, now),
        once::Once::KIND => run::<once::Once>(record, question, now),
        own_client::GatewayRegistration::KIND => run::<own_client::GatewayRegistration>(record, question, now),
        pending_call::PendingCall::KIND => run::<pending_call::PendingCall>(record, question, now),
        revocation_index::RevocationIndex::KIND => run::<revocation_index::RevocationIndex>(record, question, now),
        subject::UserRecord::KIND => run::<subject::UserRecord>(record, question, now),
        _ => Err(RecordError::Kind),
    }
}

fn run<M: RecordStateMachine>(
    stored: Option<&StoredRecord>,
    question: Value,
    now: u64,
) -> Result<(String, Change), RecordError> {
    let question = serde_json::from_value(question).map_err(|error| RecordError::Question(M::KIND, error))?;
    let text = stored.map(|stored| current(stored, M::KIND, M::MIGRATIONS)).transpose()?;
    let kept: Option<M> = match &text {
        Some(text) => Some(strict_json::read(text.as_bytes()).map_err(|error| RecordError::Record(M::KIND, error))?),
        None => None,
    };
    // An expired record counts as absent, whether or not it was deleted already.
    let (answer, next) = M::answer(kept.filter(|kept| now < kept.until()), question, now);
    let change = match next {
        None if stored.is_none() => Change::None,
        None => Change::Forget,
        Some(next) => {
            let until = next.until();
            let next = serde_json::to_string(&next).map_err(RecordError::Written)?;
            // A question that changes nothing leaves an older format as it is.
            if text.is_some_and(|text| is_same(&text, &next)) {
                Change::None
            } else {
                Change::Keep(StoredRecord { version: M::version(), text: next }, until)
            }
        }
    };
    Ok((serde_json::to_string(&answer).map_err(RecordError::Written)?, change))
}

/// A record as text in the current format. One function for all kinds, because each is a part of the Worker.
fn current<'a>(
    stored: &'a StoredRecord,
    kind: &'static str,
    migrations: &[Migration],
) -> Result<Cow<'a, str>, RecordError> {
    let known = FIRST_VERSION + migrations.len();
    if stored.version > known {
        return Err(RecordError::Newer(kind, stored.version, known));
    }
    let steps = stored.version.checked_sub(FIRST_VERSION).and_then(|passed| migrations.get(passed..));
    let steps = steps.ok_or(RecordError::NoVersion(kind))?;
    if steps.is_empty() {
        return Ok(Cow::Borrowed(&stored.text));
    }
    let read = strict_json::read::<Map<String, Value>>(stored.text.as_bytes());
    let mut record = read.map_err(|error| RecordError::Record(kind, error))?;
    for step in steps {
        step(&mut record);
    }
    Ok(Cow::Owned(Value::Object(record).to_string()))
}

/// Whether two texts are the same record. A record that was just migrated has its members in another order.
fn is_same(before: &str, next: &str) -> bool {
    let read = |text: &str| strict_json::parse(text.as_bytes()).ok();
    before == next || before.len() == next.len() && read(before) == read(next)
}

/// SHA-256 of a value that only its holder should know. Records store it instead of the value.
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
