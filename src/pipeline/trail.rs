//! What has become known of one request on its way: what its log line and its refusal are made from.

use std::rc::Rc;

use base16ct::lower::encode_string as hex;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::limits::LOG_VALUE_CHARS;
use crate::mcp::era::Era;
use crate::oauth::bearer::AuthScheme;
use crate::pipeline::record::Record;
use crate::pipeline::rejection::Rejection;
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::time::UnixMillis;
use crate::token::principal::{CredentialKind, Subject};
use crate::transport::head::Method;
use crate::transport::trace::Trace;
use crate::transport::web_origin::WebOrigin;

/// Which pages may read the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Readers {
    /// None but the gateway's own.
    #[default]
    None,
    /// Pages of this origin.
    Page(WebOrigin),
    /// All pages.
    Any,
}

/// The story of one request so far.
#[derive(Debug)]
pub struct Trail {
    /// The id of this request in the log, in its answer and in the identity assertion.
    pub request_id: String,
    /// Its trace.
    pub trace: Trace,
    /// When it arrived.
    pub begun: UnixMillis,
    /// Its method.
    pub method: Method,
    /// The resource, once it is known.
    pub resource: Option<Rc<Resource>>,
    /// Which pages may read the answer.
    pub readers: Readers,
    /// The era that it announces.
    pub era: Option<Era>,
    /// `Mcp-Method`, as the caller says.
    pub mcp_method: Option<String>,
    /// `Mcp-Name`, as the caller says.
    pub mcp_name: Option<String>,
    /// What rules decided.
    pub decisions: Vec<Record>,
    /// Why something else is sent to the origin server than what was asked for.
    pub stood_in: Option<Box<Rejection>>,
    /// The name of the issuer, or of the verifier, that its credential is for.
    pub issuer: Option<String>,
    /// The scheme of its credential.
    pub scheme: Option<AuthScheme>,
    /// The kind of its verified credential.
    pub credential: Option<CredentialKind>,
    /// The label of its API key.
    pub label: Option<String>,
    /// Whether its credential was known already.
    pub known: Option<bool>,
    /// The nonce that its next proof needs.
    pub dpop_nonce: Option<String>,
    /// The client of its verified token.
    pub client: Option<String>,
    /// The pseudonym of the subject of its verified token.
    pub subject: Option<String>,
    /// Milliseconds that were spent on the credential, waiting included.
    pub authentication_ms: u64,
    /// Milliseconds until the origin server's fields arrived.
    pub origin_ms: Option<u64>,
}

impl Trail {
    /// Begins the story. `random` is 40 bytes: the request's id, and what a new trace needs.
    #[must_use]
    pub fn begin(method: Method, traceparent: Option<&str>, random: &[u8; 40], now: UnixMillis) -> Self {
        let (id, trace) = random.split_at(16);
        let trace = trace.try_into().unwrap_or([0; 24]);
        Self {
            request_id: hex(id),
            trace: Trace::of(traceparent, &trace),
            begun: now,
            method,
            resource: None,
            readers: Readers::None,
            era: None,
            mcp_method: None,
            mcp_name: None,
            decisions: Vec::new(),
            stood_in: None,
            issuer: None,
            scheme: None,
            credential: None,
            label: None,
            known: None,
            dpop_nonce: None,
            client: None,
            subject: None,
            authentication_ms: 0,
            origin_ms: None,
        }
    }

    /// Any page may read the answer.
    pub fn any_page(&mut self) {
        self.readers = Readers::Any;
    }

    /// Pages of `origin` may read the answer.
    pub fn page(&mut self, origin: WebOrigin) {
        self.readers = Readers::Page(origin);
    }

    /// Notes what the caller says it asks for.
    pub fn claims_to_ask(&mut self, method: Option<&str>, name: Option<&str>) {
        self.mcp_method = method.map(bounded);
        self.mcp_name = name.map(bounded);
    }

    /// Notes what a message that was read asks for.
    pub fn asks(&mut self, method: &str, name: Option<&str>) {
        self.claims_to_ask(Some(method), name);
    }

    /// Notes who calls: the subject under a pseudonym, the same for the same subject.
    pub fn caller(&mut self, subject: &Subject, config: &Settings) {
        self.credential = Some(subject.kind);
        self.label = subject.label.as_deref().map(bounded);
        self.client = subject.client.as_deref().map(bounded);
        self.subject = pseudonym(subject, &config.pseudonym_key);
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(LOG_VALUE_CHARS).collect()
}

/// 64 bits of HMAC-SHA-256 over issuer and subject: enough to tell callers apart, not to name them.
#[must_use]
pub fn pseudonym(subject: &Subject, key: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(subject.issuer.as_bytes());
    mac.update(&[0]);
    mac.update(subject.subject.as_bytes());
    let digest = mac.finalize().into_bytes();
    digest.get(..8).map(hex)
}
