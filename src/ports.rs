//! What the core needs from the world. The shell in `worker` gives it on Cloudflare Workers, tests give it in memory.

use std::future::Future;
use std::pin::Pin;

use crate::forward::assertion::AssertionKey;
use crate::forward::response::InboundHead;
use crate::pipeline::OutboundRequest;
use crate::time::UnixMillis;
use crate::token::verifier::SignatureCheck;

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
    async fn sign(&self, key: &AssertionKey, input: &[u8]) -> Result<Vec<u8>, String>;
}

/// A document of an identity provider.
#[derive(Debug, Clone, Default)]
pub struct ProviderDocument {
    /// The status.
    pub status: u16,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Age`.
    pub age: Option<String>,
    /// The body, at most [`crate::limits::PROVIDER_DOCUMENT_BYTES`].
    pub body: Vec<u8>,
}

/// Asks identity providers.
#[expect(async_fn_in_trait, reason = "an isolate has one thread: no future here is ever sent to another")]
pub trait Fetch {
    /// Gets a JSON document. Redirects are not followed; the body is bounded; the whole takes at most
    /// [`crate::limits::PROVIDER_TIMEOUT`].
    ///
    /// # Errors
    /// A description where there was no complete answer.
    async fn get(&self, url: &str) -> Result<ProviderDocument, String>;
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
    ) -> Result<(InboundHead, Self::ResponseBody), OriginFailure>;

    /// Reads the caller's body for a refusal; nothing where it is longer than `limit`, broken, or was sent on already
    /// without being kept.
    async fn peek(&self, body: &Self::RequestBody, limit: usize) -> Option<Vec<u8>>;
}

/// Takes lines of the log.
pub trait EventSink {
    /// Takes one line.
    fn line(&self, line: &str);
}

/// Goes on with work after the answer was given.
pub trait Spawn {
    /// Runs `work` to its end if the platform can.
    fn spawn(&self, work: Background);
}

/// All of the above for one request.
pub trait Ports: Clock + Random + SignatureVerifier + Fetch + Transport + EventSink + Spawn {}

impl<P: Clock + Random + SignatureVerifier + Fetch + Transport + EventSink + Spawn> Ports for P {}
