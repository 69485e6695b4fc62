//! What the log contains about one request. The stages write it, `observe` and `gateway` read it for the log, and no
//! decision depends on it.

use base16ct::lower::encode_string as hex;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::content::fault::Fault;
use crate::content::report::Found;
use crate::limits::LOG_VALUE_CHARS;
use crate::mcp::era::Era;
use crate::pipeline::record::DecisionRecord;
use crate::pipeline::rejection::Rejection;
use crate::policy::approval::PersonDecision;
use crate::token::principal::{CredentialKind, Subject};

/// The record of one request.
#[derive(Debug, Clone, Default)]
pub struct AuditRecord(AuditEntries);

/// The contents of the record.
#[derive(Debug, Clone, Default)]
pub struct AuditEntries {
    /// The era that the request announces.
    pub era: Option<Era>,
    /// The path, if the request is for no resource but for something else that the gateway has: a document, a public path,
    /// an endpoint. Other paths are text of callers, which could contain secrets.
    pub path: Option<String>,
    /// The MCP method that the caller named.
    pub mcp_method: Option<String>,
    /// The name of the tool, prompt or resource that the caller named.
    pub mcp_name: Option<String>,
    /// What guards found in the arguments.
    pub found: Vec<Found>,
    /// What did not fit, but passed, because that is only observed.
    pub observed: Option<Fault>,
    /// What a person decided about the call, if one has to.
    pub approval: Option<ApprovalState>,
    /// The decisions of the rules.
    pub decisions: Vec<DecisionRecord>,
    /// Why the gateway sent the origin server something other than what the caller asked for.
    pub stood_in: Option<Box<Rejection>>,
    /// The name of the issuer, or of the verifier, that the credential belongs to.
    pub issuer: Option<String>,
    /// The kind of the credential for the origin server, and the seconds since it was obtained.
    pub origin_credential: Option<(&'static str, Option<u64>)>,
    /// The kind of the verified credential.
    pub credential: Option<CredentialKind>,
    /// The label of the API key.
    pub label: Option<String>,
    /// Whether the credential was in the cache.
    pub cache_hit: Option<bool>,
    /// The client of the verified token.
    pub client: Option<String>,
    /// The pseudonym of the subject of the verified token.
    pub subject: Option<String>,
    /// Whether the subject is the client itself: the token is not for a user, or does not say for whom.
    pub subject_is_client: bool,
}

/// What a person decided about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalState {
    /// The id of the approval.
    pub id: String,
    /// What became of it: `waits`, `withdrawn`, `approved` or `denied`.
    pub state: &'static str,
    /// The pseudonym of the person, and the second of the decision; `None` if no person decided.
    pub by: Option<(String, u64)>,
}

impl ApprovalState {
    /// A call that waits.
    #[must_use]
    pub fn waits(id: &str) -> Self {
        Self { id: id.to_owned(), state: "waits", by: None }
    }

    /// A call whose user did not want to open the page.
    #[must_use]
    pub fn withdrawn(id: &str) -> Self {
        Self { id: id.to_owned(), state: "withdrawn", by: None }
    }

    /// A call about which a person decided.
    #[must_use]
    pub fn decided(decision: &PersonDecision, approves: bool, pseudonym_key: &[u8]) -> Self {
        let PersonDecision { issuer, subject, at, id } = decision;
        let pseudonym = pseudonym_of(issuer, subject, pseudonym_key).unwrap_or_default();
        Self { id: id.clone(), state: if approves { "approved" } else { "denied" }, by: Some((pseudonym, *at)) }
    }
}

impl AuditRecord {
    /// The contents. Only the log may use them.
    #[must_use]
    pub fn entries(&self) -> &AuditEntries {
        &self.0
    }

    /// Records the era that the request announces.
    pub fn note_era(&mut self, era: Era) {
        self.0.era = Some(era);
    }

    /// Records the path of something that is no resource.
    pub fn note_path(&mut self, path: &str) {
        self.0.path = Some(bounded(path));
    }

    /// Records what the request asks for: first as its fields name it, then as its message names it, if the gateway
    /// reads the message.
    pub fn note_operation(&mut self, method: Option<&str>, name: Option<&str>) {
        self.0.mcp_method = method.map(bounded);
        self.0.mcp_name = name.map(bounded);
    }

    /// Records which issuer or verifier the credential belongs to.
    pub fn note_verifier(&mut self, name: &str) {
        self.0.issuer = Some(name.to_owned());
    }

    /// Records which kind of credential the origin server got, and the seconds since it was obtained.
    pub fn note_origin_credential(&mut self, kind: &'static str, age: Option<u64>) {
        self.0.origin_credential = Some((kind, age));
    }

    /// Records whether the credential was in the cache.
    pub fn note_cache(&mut self, hit: bool) {
        self.0.cache_hit = Some(hit);
    }

    /// Records that the caller has no credentials.
    pub fn note_anonymous(&mut self) {
        self.0.credential = Some(CredentialKind::Anonymous);
    }

    /// Records who calls. The subject gets a pseudonym, which is always the same for the same subject.
    pub fn note_caller(&mut self, subject: &Subject, pseudonym_key: &[u8]) {
        self.0.credential = Some(subject.kind);
        self.0.label = subject.label.as_deref().map(bounded);
        self.0.client = subject.client.as_deref().map(bounded);
        self.0.subject = pseudonym(subject, pseudonym_key);
        self.0.subject_is_client = subject.client.as_ref() == Some(&subject.subject);
    }

    /// Records what guards found in the arguments, and what did not fit but passed.
    pub fn note_content(&mut self, found: Vec<Found>, observed: Option<Fault>) {
        (self.0.found, self.0.observed) = (found, observed);
    }

    /// Records what hooks did with the arguments.
    pub fn add_found(&mut self, found: Vec<Found>) {
        self.0.found.extend(found);
    }

    /// Records what a person decided about the call.
    pub fn note_approval(&mut self, state: ApprovalState) {
        self.0.approval = Some(state);
    }

    /// Records the decision of the rules about an operation.
    pub fn note_decision(&mut self, record: DecisionRecord) {
        self.0.decisions.push(record);
    }

    /// Records why the gateway sent the origin server something other than what the caller asked for.
    pub fn note_stand_in(&mut self, why: Rejection) {
        self.0.stood_in = Some(Box::new(why));
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(LOG_VALUE_CHARS).collect()
}

/// The first 64 bits of HMAC-SHA-256 over issuer and subject: enough to tell callers apart, and it does not reveal the
/// subject.
#[must_use]
pub fn pseudonym(subject: &Subject, key: &[u8]) -> Option<String> {
    pseudonym_of(&subject.issuer, &subject.subject, key)
}

fn pseudonym_of(issuer: &str, subject: &str, key: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(issuer.as_bytes());
    mac.update(&[0]);
    mac.update(subject.as_bytes());
    let digest = mac.finalize().into_bytes();
    digest.get(..8).map(hex)
}
