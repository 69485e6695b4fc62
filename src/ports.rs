//! What the gateway needs from its platform, as traits. The shell in `worker` implements them on Cloudflare Workers,
//! tests implement them in memory.

use std::future::Future;
use std::pin::Pin;

use crate::forward::body_filter::{BodyFilter, FilterResult};
use crate::forward::request::OutboundRequest;
use crate::forward::response::ResponseHead;
use crate::jwks::signing_key::SigningKey;
use crate::mcp::list_item::ListError;
use crate::observe::decision::DecisionLine;
use crate::observe::point::Point;
use crate::observe::span::Span;
use crate::platform_error::PlatformError;
use crate::policy::budget::Spent;
use crate::settings::DecisionLog;
use crate::time::UnixMillis;
use crate::token::binding::proof::SingleUse;
use crate::token::binding::replay::Use;
use crate::token::signature::SignatureCheck;
use crate::transport::provider::{ProviderDocument, ProviderRequest};

/// Work that continues after the response has been sent.
pub type Background = Pin<Box<dyn Future<Output = ()>>>;

/// Takes a part of a body, or its end, and returns what the client gets of it; `None` if the body breaks off there.
pub type Step = Box<dyn Fn(Option<Vec<u8>>) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>>>>>;

/// Asks whether an event stream may go on.
pub type StreamCheck = Box<dyn Fn() -> Pin<Box<dyn Future<Output = bool>>>>;

/// The time.
pub trait Clock {
    /// The current time. On Workers it does not advance during computation.
    fn now(&self) -> UnixMillis;
}

/// Unpredictable bytes.
pub trait Random {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// Writes JSON in canonical form (RFC 8785). It is defined by how JavaScript writes numbers, for which Rust needs 28 KB of
/// code and tables.
pub trait CanonicalJson {
    /// The canonical form of a JSON text in which no object repeats a member.
    fn canonical_json(&self, text: &str) -> Option<String>;
}

/// Checks and makes signatures.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait SignatureVerifier {
    /// Whether the signature is valid.
    ///
    /// # Errors
    /// [`PlatformError`] if the check itself failed: then the gateway does not know whether the signature is valid.
    async fn verify(&self, check: &SignatureCheck) -> Result<bool, PlatformError>;

    /// Signs `input` with `key`, in the form of JWS (RFC 7518 §3.4: ECDSA as R and S side by side).
    ///
    /// # Errors
    /// [`PlatformError`] if the signature could not be made.
    async fn sign(&self, key: &SigningKey, input: &[u8]) -> Result<Vec<u8>, PlatformError>;
}

/// Sends requests to identity providers. It does not follow redirects, and limits the size of bodies.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Fetch {
    /// Gets a JSON document within [`crate::limits::PROVIDER_TIMEOUT`].
    ///
    /// # Errors
    /// [`PlatformError`] if no complete response arrived.
    async fn get(&self, url: &str) -> Result<ProviderDocument, PlatformError>;

    /// Sends a request and returns the response.
    ///
    /// # Errors
    /// [`PlatformError`] if no complete response arrived in time.
    async fn ask(&self, request: &ProviderRequest) -> Result<ProviderDocument, PlatformError>;
}

/// Reads key-value stores. They are eventually consistent, without a bound on the delay.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Store {
    /// The value of a key in the store of this binding, or `None` if there is no such key.
    ///
    /// # Errors
    /// [`PlatformError`] if the store could not be read, or the value has more than `bytes`.
    async fn read(&self, binding: &str, key: &str, bytes: usize) -> Result<Option<Vec<u8>>, PlatformError>;
}

/// The cache that isolates of one data center (colo) share. It may lose an entry at any time.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait SharedCache {
    /// The value that is cached under a name, if any.
    async fn recall(&self, name: &str) -> Option<Vec<u8>>;

    /// Caches a value for at most `seconds`.
    async fn keep(&self, name: &str, value: &[u8], seconds: u64);
}

/// Remembers, for all isolates, which proofs were used.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait ReplayGuard {
    /// Marks a proof as used, through the replay guard of this binding.
    ///
    /// # Errors
    /// [`PlatformError`] if the guard did not say whether the proof was used before.
    async fn use_once(&self, binding: &str, single: &SingleUse) -> Result<Use, PlatformError>;
}

/// Counts, for all isolates, the calls of a day.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait DayBudgets {
    /// Counts one more call of a day, through the object of that counter behind that binding, if the day has more than were counted.
    ///
    /// # Errors
    /// [`PlatformError`] if the object did not say whether the call is counted.
    async fn spend(&self, binding: &str, counter: &str, day: u64, most: u64) -> Result<Spent, PlatformError>;

    /// Counts one call less.
    ///
    /// # Errors
    /// [`PlatformError`] if the object did not answer.
    async fn give_back(&self, binding: &str, counter: &str, day: u64) -> Result<(), PlatformError>;
}

/// Keeps the records of the authorization server, each in an object of its own that answers one request after another.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Records {
    /// Sends a request to the record of that name, behind that binding, where
    /// [`answer`](crate::authorization_server::state::answer) handles it.
    ///
    /// # Errors
    /// [`PlatformError`] if the exchange failed: then it is not known whether the record handled the request.
    async fn record(&self, binding: &str, name: &str, question: &str) -> Result<String, PlatformError>;
}

/// Keeps the directories of users and groups that identity providers provision, each in an object of its own.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Directories {
    /// Sends a question to the directory of that name, behind that binding, where
    /// [`handle`](crate::directory::object::handle) answers it.
    ///
    /// # Errors
    /// [`PlatformError`] if the exchange failed: then it is not known whether the directory handled the question.
    async fn directory(&self, binding: &str, name: &str, question: &str) -> Result<String, PlatformError>;
}

/// Sends messages to queues.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Queues {
    /// Sends a text to the queue of that binding.
    ///
    /// # Errors
    /// [`PlatformError`] if the queue did not take it.
    async fn enqueue(&self, binding: &str, text: &str) -> Result<(), PlatformError>;
}

/// A timer.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Timer {
    /// Completes after `milliseconds`.
    async fn sleep(&self, milliseconds: u32);
}

/// Why there is no answer of the origin server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginFailure {
    /// The client's body ended before it was complete.
    BodyCutShort,
    /// The client's body is larger than allowed.
    BodyTooLarge,
    /// The client disconnected, which ended the request.
    ClientDisconnected,
    /// The origin server did not answer in time.
    Timeout {
        /// Whether the client's body passed as a stream: perhaps the client did not send all of it.
        streamed: bool,
    },
    /// No connection to the origin server, or it broke before the answer began.
    Unreachable {
        /// Whether the client's body passed as a stream: perhaps the client did not send all of it.
        streamed: bool,
    },
}

/// Why the beginning of an answer cannot be forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterFailure {
    /// It is malformed.
    Malformed(ListError),
    /// It broke off.
    Failed(OriginFailure),
}

impl From<ListError> for FilterFailure {
    fn from(error: ListError) -> Self {
        Self::Malformed(error)
    }
}

/// Sends requests to origin servers, and carries bodies in both directions without reading them.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Transport {
    /// The body of the client's request.
    type RequestBody;
    /// The body of the origin server's answer.
    type ResponseBody;

    /// Sends a request. Does not follow redirects.
    ///
    /// # Errors
    /// [`OriginFailure`] if there was no answer.
    async fn send(
        &self,
        request: OutboundRequest,
        body: &Self::RequestBody,
    ) -> Result<(ResponseHead, Self::ResponseBody), OriginFailure>;

    /// Reads the client's whole body. [`send`](Self::send) then forwards it exactly as it was read.
    ///
    /// # Errors
    /// [`OriginFailure`] if the body is not complete within [`crate::limits::INSPECT_SECONDS`], or is longer than
    /// `limit`.
    async fn message(&self, body: &Self::RequestBody, limit: u64) -> Result<Vec<u8>, OriginFailure>;

    /// Sends a body through a filter, and calls `ended` with the result. If the filter is able to wait, the beginning
    /// of the body is filtered before this function returns, so that the gateway can still reject an answer that is
    /// malformed from the beginning.
    ///
    /// # Errors
    /// [`FilterFailure`] if the beginning is malformed or did not arrive.
    async fn filtered(
        &self,
        body: Self::ResponseBody,
        filter: BodyFilter,
        ended: Box<dyn Fn(FilterResult)>,
    ) -> Result<Self::ResponseBody, FilterFailure>;

    /// Ends a body if `check` says so, which is asked every [`OutboundRequest::watch`] seconds while it is open. Only the event stream of
    /// a request with such a number is watched.
    fn watch(&self, body: &Self::ResponseBody, check: StreamCheck);

    /// A body of which the client gets what `step` makes of it, part after part.
    fn stepped(&self, body: Self::ResponseBody, step: Step) -> Self::ResponseBody;

    /// Reads the whole body of an answer.
    ///
    /// # Errors
    /// [`OriginFailure`] if it breaks off or is longer than `limit`.
    async fn whole(&self, body: Self::ResponseBody, limit: u64) -> Result<Vec<u8>, OriginFailure>;

    /// One event stream with the events of several, which begins and ends with these bytes. When one of them ends, after some time in
    /// which it was open, all of them do: the client opens a new stream then.
    fn joined(&self, ends: [Vec<u8>; 2], bodies: Vec<Self::ResponseBody>) -> Self::ResponseBody;

    /// Ends the body of an answer that is not forwarded, so that its connection is free.
    fn discard(&self, body: Self::ResponseBody);

    /// Whether the client of a request has disconnected.
    fn is_gone(&self, body: &Self::RequestBody) -> bool;

    /// Reads the client's body to find the id for a rejection; `None` if the body is longer than `limit`, broke off, or
    /// was forwarded already without being kept.
    async fn peek(&self, body: &Self::RequestBody, limit: usize) -> Option<Vec<u8>>;
}

/// Takes what the gateway records about requests: log lines, decisions, data points and spans.
pub trait EventSink {
    /// Writes one line to the log.
    fn line(&self, line: &str);

    /// Writes a decision to the destinations of the decision log.
    fn decided(&self, log: &DecisionLog, decision: &DecisionLine);

    /// Writes the data point of a request to the data set of that binding.
    fn measured(&self, binding: &str, point: &Point);

    /// Whether the platform traces this request.
    fn is_traced(&self) -> bool;

    /// Writes attributes of the request to the platform's trace.
    fn trace(&self, span: &Span);
}

/// Rate limiters that all isolates of a data center (colo) share.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Limiter {
    /// Counts one more request under `key`, and returns whether it is within the limit of the binding.
    ///
    /// # Errors
    /// [`PlatformError`] if the binding failed.
    async fn within_limit(&self, binding: &str, key: &str) -> Result<bool, PlatformError>;
}

/// Runs work after the response has been sent.
pub trait Spawn {
    /// Runs `work` to its end, if the platform can.
    fn spawn(&self, work: Background);
}

/// All of the ports, for one request.
pub trait Ports:
    Clock
    + Random
    + CanonicalJson
    + SignatureVerifier
    + Fetch
    + Store
    + SharedCache
    + ReplayGuard
    + DayBudgets
    + Records
    + Directories
    + Limiter
    + Queues
    + Timer
    + Transport
    + EventSink
    + Spawn
{
}

impl<P> Ports for P where
    P: Clock
        + Random
        + CanonicalJson
        + SignatureVerifier
        + Fetch
        + Store
        + SharedCache
        + ReplayGuard
        + DayBudgets
        + Records
        + Directories
        + Limiter
        + Queues
        + Timer
        + Transport
        + EventSink
        + Spawn
{
}
