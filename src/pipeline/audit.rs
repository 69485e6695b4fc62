//! What the log says of one request. The stages write it, `observe` reads it, and nothing is decided by it: a test holds
//! the other rooms to that.

use base16ct::lower::encode_string as hex;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::limits::LOG_VALUE_CHARS;
use crate::mcp::era::Era;
use crate::pipeline::record::Record;
use crate::pipeline::rejection::Rejection;
use crate::token::principal::{CredentialKind, Subject};

/// The record of one request.
#[derive(Debug, Default)]
pub struct AuditRecord(AuditEntries);

/// What is in the record.
#[derive(Debug, Default)]
pub struct AuditEntries {
    /// The era that the request announces.
    pub era: Option<Era>,
    /// The MCP method, as the caller names it.
    pub mcp_method: Option<String>,
    /// The name of the tool, prompt or resource, as the caller names it.
    pub mcp_name: Option<String>,
    /// What rules decided.
    pub decisions: Vec<Record>,
    /// Why the origin server gets something else than the caller asked for.
    pub stood_in: Option<Box<Rejection>>,
    /// The name of the issuer, or of the verifier, that the credential is for.
    pub issuer: Option<String>,
    /// The kind of the verified credential.
    pub credential: Option<CredentialKind>,
    /// The label of the API key.
    pub label: Option<String>,
    /// Whether the cache had the credential.
    pub cache_hit: Option<bool>,
    /// The client of the verified token.
    pub client: Option<String>,
    /// The pseudonym of the subject of the verified token.
    pub subject: Option<String>,
}

impl AuditRecord {
    /// What was noted: for the log alone.
    #[must_use]
    pub fn entries(&self) -> &AuditEntries {
        &self.0
    }

    /// Notes the era that the request announces.
    pub fn note_era(&mut self, era: Era) {
        self.0.era = Some(era);
    }

    /// Notes what the request asks for: as its fields say, or as its message says once that was read.
    pub fn note_operation(&mut self, method: Option<&str>, name: Option<&str>) {
        self.0.mcp_method = method.map(bounded);
        self.0.mcp_name = name.map(bounded);
    }

    /// Notes which issuer or verifier the credential is for.
    pub fn note_verifier(&mut self, name: &str) {
        self.0.issuer = Some(name.to_owned());
    }

    /// Notes whether the cache had the credential.
    pub fn note_cache(&mut self, hit: bool) {
        self.0.cache_hit = Some(hit);
    }

    /// Notes who calls: the subject under a pseudonym, the same for the same subject.
    pub fn note_caller(&mut self, subject: &Subject, pseudonym_key: &[u8]) {
        self.0.credential = Some(subject.kind);
        self.0.label = subject.label.as_deref().map(bounded);
        self.0.client = subject.client.as_deref().map(bounded);
        self.0.subject = pseudonym(subject, pseudonym_key);
    }

    /// Notes what rules decided of an operation.
    pub fn note_decision(&mut self, record: Record) {
        self.0.decisions.push(record);
    }

    /// Notes why the origin server gets something else than the caller asked for.
    pub fn note_stand_in(&mut self, why: Rejection) {
        self.0.stood_in = Some(Box::new(why));
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
