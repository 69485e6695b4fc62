//! What the gateway knows about one request besides the stage that it is in. Decisions and answers use it.

use std::rc::Rc;

use base16ct::lower::encode_string as hex;

use crate::oauth::bearer::AuthScheme;
use crate::pipeline::audit::AuditRecord;
use crate::settings::resource::Resource;
use crate::time::UnixMillis;
use crate::transport::head::Method;
use crate::transport::trace::Trace;
use crate::transport::web_origin::WebOrigin;

/// Which web pages may read the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Readers {
    /// Only pages of the gateway's own origin.
    #[default]
    None,
    /// Pages of this origin.
    Page(WebOrigin),
    /// Pages of any origin.
    Any,
}

/// What is known of one request.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The id of this request in the log, in its answer and in the identity assertion.
    pub request_id: String,
    /// Its trace context.
    pub trace: Trace,
    /// When it arrived.
    pub received: UnixMillis,
    /// Its method.
    pub method: Method,
    /// The resource, once it is known.
    pub resource: Option<Rc<Resource>>,
    /// Which web pages may read the answer.
    pub readers: Readers,
    /// The authorization scheme of its credential.
    pub scheme: Option<AuthScheme>,
    /// The nonce that the caller's next DPoP proof needs.
    pub dpop_nonce: Option<String>,
    /// Whether its credential is verified.
    pub is_authenticated: bool,
    /// Milliseconds from the arrival of the request until the caller was known, waiting included.
    pub authentication_ms: u64,
    /// Milliseconds until the response fields of the origin server arrived.
    pub origin_ms: Option<u64>,
    /// The server that this part of the request is for, if its resource has several: only the whole request has a line in the log.
    pub of_server: Option<String>,
    /// What the log contains about it.
    pub audit: AuditRecord,
}

impl RequestContext {
    /// The context of a new request. `random` is 40 bytes: the request's id, and the ids of a new trace.
    #[must_use]
    pub fn new(method: Method, traceparent: Option<&str>, random: &[u8; 40], now: UnixMillis) -> Self {
        let (request_id, trace) = Self::ids(traceparent, random);
        Self {
            request_id,
            trace,
            received: now,
            method,
            resource: None,
            readers: Readers::None,
            scheme: None,
            dpop_nonce: None,
            is_authenticated: false,
            authentication_ms: 0,
            origin_ms: None,
            of_server: None,
            audit: AuditRecord::default(),
        }
    }

    /// The id and the trace context of a new request, as for [`Self::new`].
    #[must_use]
    pub fn ids(traceparent: Option<&str>, random: &[u8; 40]) -> (String, Trace) {
        let (id, trace) = random.split_at(16);
        (hex(id), Trace::of(traceparent, &trace.try_into().unwrap_or([0; 24])))
    }

    /// The context of a later request with the same head.
    #[must_use]
    pub fn again(&self, request_id: String, trace: Trace, received: UnixMillis) -> Self {
        let mut again = Self { request_id, trace, received, authentication_ms: 0, origin_ms: None, ..self.clone() };
        again.audit.note_cache(true);
        again
    }

    /// Allows pages of any origin to read the answer.
    pub fn allow_any_page(&mut self) {
        self.readers = Readers::Any;
    }

    /// Allows pages of `origin` to read the answer.
    pub fn allow_page(&mut self, origin: WebOrigin) {
        self.readers = Readers::Page(origin);
    }
}
