//! What the core needs from the world. The shell in `worker` gives it on Cloudflare Workers, tests give it in memory.

use std::future::Future;
use std::pin::Pin;

use crate::forward::answer::{BodyFilter, FilterEnd};
use crate::forward::request::OutboundRequest;
use crate::forward::response::ResponseHead;
use crate::jwks::signing_key::SigningKey;
use crate::mcp::list_filter::ListError;
use crate::observe::decision::DecisionLine;
use crate::observe::point::Point;
use crate::observe::span::Span;
use crate::settings::DecisionLog;
use crate::time::UnixMillis;
use crate::token::binding::proof::SingleUse;
use crate::token::binding::replay::Use;
use crate::token::signature::SignatureCheck;
use crate::transport::provider::{ProviderDocument, ProviderRequest};

/// Work that goes on after the answer was given.
pub type Background = Pin<Box<dyn Future<Output = ()>>>;

/// The time.
pub trait Clock {
    /// Now. On Workers it stands still during computation.
    fn now(&self) -> UnixMillis;
}

/// Unpredictable bytes.
pub trait Random {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// Checks and makes signatures.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait SignatureVerifier {
    /// Whether the signature is good.
    ///
    /// # Errors
    /// A description where the check itself failed: then nothing is known of the signature.
    async fn verify(&self, check: &SignatureCheck) -> Result<bool, String>;

    /// Signs `input` with `key`, in the form of JWS (RFC 7518 §3.4: ECDSA as R and S side by side).
    ///
    /// # Errors
    /// A description where that failed.
    async fn sign(&self, key: &SigningKey, input: &[u8]) -> Result<Vec<u8>, String>;
}

/// Asks identity providers. Redirects are not followed, and bodies are bounded.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Fetch {
    /// Gets a JSON document within [`crate::limits::PROVIDER_TIMEOUT`].
    ///
    /// # Errors
    /// A description where there was no complete answer.
    async fn get(&self, url: &str) -> Result<ProviderDocument, String>;

    /// Asks a question.
    ///
    /// # Errors
    /// A description where there was no complete answer in time.
    async fn ask(&self, request: &ProviderRequest) -> Result<ProviderDocument, String>;
}

/// Reads key-value stores that may be behind for as long as they like.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Store {
    /// The value of a key in the store of that binding, where there is one.
    ///
    /// # Errors
    /// A description where the store could not be read, or the value has more than `bytes`.
    async fn read(&self, binding: &str, key: &str, bytes: usize) -> Result<Option<Vec<u8>>, String>;
}

/// A cache that isolates of one place share. It may forget at any time.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait SharedCache {
    /// What is kept under a name, where it is.
    async fn recall(&self, name: &str) -> Option<Vec<u8>>;

    /// Keeps something for at most so many seconds.
    async fn keep(&self, name: &str, value: &[u8], seconds: u64);
}

/// Remembers, for all isolates, what was used.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait ReplayGuard {
    /// Uses something through the guard of that binding.
    ///
    /// # Errors
    /// A description where nobody can say whether it was used.
    async fn use_once(&self, binding: &str, single: &SingleUse) -> Result<Use, String>;
}

/// Keeps the records of the authorization server, each in an object of its own that answers one question after another.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Records {
    /// Asks the record of that name, kept behind that binding: see
    /// [`answer`](crate::authorization_server::state::answer), which answers there.
    ///
    /// # Errors
    /// A description where it could not be asked: then nobody knows whether it took the question.
    async fn record(&self, binding: &str, name: &str, question: &str) -> Result<String, String>;
}

/// Lets time pass.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Timer {
    /// Waits.
    async fn sleep(&self, milliseconds: u32);
}

/// Why an origin server gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginFailure {
    /// The caller's body ended before it was complete.
    BodyCutShort,
    /// The caller's body turned out larger than allowed.
    BodyTooLarge,
    /// The caller went away, and with it the request.
    CallerGone,
    /// No answer in time.
    Timeout,
    /// No connection, or it broke before the answer began.
    Unreachable,
}

/// Carries requests to origin servers, and bodies both ways without looking at them.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Transport {
    /// The caller's body on its way in.
    type RequestBody;
    /// The origin server's body on its way out.
    type ResponseBody;

    /// Sends a request. Redirects are not followed.
    ///
    /// # Errors
    /// [`OriginFailure`] where there was no answer.
    async fn send(
        &self,
        request: OutboundRequest,
        body: &Self::RequestBody,
    ) -> Result<(ResponseHead, Self::ResponseBody), OriginFailure>;

    /// Reads the caller's whole body, which is then sent on as it was read.
    ///
    /// # Errors
    /// [`OriginFailure`] where it is not complete in [`crate::limits::INSPECT_SECONDS`], or longer than `limit`.
    async fn message(&self, body: &Self::RequestBody, limit: u64) -> Result<Vec<u8>, OriginFailure>;

    /// Sends a body through a filter; `ended` gets what came of it. Where the filter can wait for it, so much of it is looked at first that one that is
    /// unfit from the beginning can still be refused.
    ///
    /// # Errors
    /// [`ListError`] for one that is.
    async fn filtered(
        &self,
        body: Self::ResponseBody,
        filter: BodyFilter,
        ended: Box<dyn Fn(FilterEnd)>,
    ) -> Result<Self::ResponseBody, ListError>;

    /// Reads the caller's body for a refusal; nothing where it is longer than `limit`, broken, or was sent on already
    /// without being kept.
    async fn peek(&self, body: &Self::RequestBody, limit: usize) -> Option<Vec<u8>>;
}

/// Takes lines of the log.
pub trait EventSink {
    /// Takes one line.
    fn line(&self, line: &str);

    /// Takes a decision to where decisions are recorded.
    fn decided(&self, log: &DecisionLog, decision: &DecisionLine);

    /// Takes a request to the data set of that binding.
    fn measured(&self, binding: &str, point: &Point);

    /// Whether this request is traced by the platform.
    fn is_traced(&self) -> bool;

    /// Tells the platform's trace of the request.
    fn trace(&self, span: &Span);
}

/// Counts for all isolates of a place.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Limiter {
    /// Counts once more for a counter, and says whether it is within the limit of the binding.
    ///
    /// # Errors
    /// A description where the binding cannot say.
    async fn within_limit(&self, binding: &str, key: &str) -> Result<bool, String>;
}

/// Goes on with work after the answer was given.
pub trait Spawn {
    /// Runs `work` to its end if the platform can.
    fn spawn(&self, work: Background);
}

/// All of the above for one request.
pub trait Ports:
    Clock
    + Random
    + SignatureVerifier
    + Fetch
    + Store
    + SharedCache
    + ReplayGuard
    + Records
    + Limiter
    + Timer
    + Transport
    + EventSink
    + Spawn
{
}

impl<P> Ports for P where
    P: Clock
        + Random
        + SignatureVerifier
        + Fetch
        + Store
        + SharedCache
        + ReplayGuard
        + Records
        + Limiter
        + Timer
        + Transport
        + EventSink
        + Spawn
{
}
