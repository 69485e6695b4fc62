//! The decision log: one line for each operation that rules were evaluated for. A line has enough data to decide the
//! operation again under other rules. The hash of the line before it is part of each line, so that a gap is detectable.
//! No line contains a token, an argument or the name of a subject.

use std::collections::BTreeMap;

use base16ct::lower::encode_string as hex;
use hmac::{Hmac, Mac as _};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::content::report::Found;
use crate::limits::{DATA_POINT_BYTES, LOG_VALUE_CHARS};
use crate::mcp::kind::Kind;
use crate::pipeline::context::RequestContext;
use crate::pipeline::record::DecisionRecord;
use crate::policy::verdict::Verdict;
use crate::settings::Settings;
use crate::time::UnixMillis;

/// The version of the members below. It increases when the meaning of a member changes.
pub const VERSION: u8 = 1;

/// A line, and the values of it that Analytics Engine gets as separate columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionLine {
    /// The whole line, as JSON.
    pub json: String,
    /// The verdict.
    pub verdict: &'static str,
    /// The name of the rule that decided; `(default)`, `(protocol)` or `(unsound name)` if no rule did.
    pub by: String,
    /// The path of the resource.
    pub resource: String,
    /// The MCP method.
    pub method: String,
    /// The name or URI of the tool, prompt or resource.
    pub name: String,
    /// The pseudonym of the subject.
    pub subject: String,
}

impl DecisionLine {
    /// The blobs of a data point, and whether they contain the whole line: a line may be larger than Analytics Engine
    /// accepts, and then the data point has only the other values.
    #[must_use]
    pub fn blobs(&self) -> ([String; 8], bool) {
        let rest = [&self.resource, &self.method, &self.name, &self.by, &self.subject];
        let whole = rest.iter().map(|part| part.len()).sum::<usize>() + self.json.len() <= DATA_POINT_BYTES;
        let json = if whole { self.json.clone() } else { String::new() };
        let [resource, method, name, by, subject] = rest.map(String::clone);
        ([VERSION.to_string(), resource, method, name, self.verdict.to_owned(), by, subject, json], whole)
    }
}

/// The place of a line in its chain.
#[derive(Serialize)]
struct Link<'a> {
    run: &'a str,
    seq: u64,
    prev: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    v: u8,
    event: &'static str,
    time: String,
    request_id: &'a str,
    resource: &'a str,
    policy: &'a str,
    mcp_method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<String>,
    verdict: &'static str,
    rule: &'a str,
    enforced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<String>,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    sign_in: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    would: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    scopes: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    roles: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "Map::is_empty")]
    claims: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asn: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_age: Option<i64>,
    mtls: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    reads: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approver: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_credential: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_credential_age: Option<u64>,
    #[serde(flatten)]
    link: Link<'a>,
}

/// Chains the lines of one isolate's run by their hashes.
#[derive(Debug)]
pub struct Chain {
    run: String,
    seq: u64,
    last: String,
}

impl Chain {
    /// Begins a run. `salt` is random bytes that only this isolate knows.
    #[must_use]
    pub fn begin(salt: &[u8; 32]) -> Self {
        let digest = Sha256::digest([b"portcullis decision run".as_slice(), salt].concat());
        let run = digest.get(..8).map(hex).unwrap_or_default();
        Self { last: "0".repeat(64), run, seq: 0 }
    }

    /// The next line.
    pub fn line(
        &mut self,
        record: &DecisionRecord,
        context: &RequestContext,
        settings: &Settings,
        now: UnixMillis,
    ) -> DecisionLine {
        let bounded = |text: &str| text.chars().take(LOG_VALUE_CHARS).collect::<String>();
        let decision = &record.decision;
        let missing = match &decision.verdict {
            Verdict::StepUp { missing, .. } => Some(missing.to_string()),
            _ => None,
        };
        let approval = context.audit.entries().approval.as_ref().filter(|_| decision.verdict == Verdict::Approve);
        let person = approval.and_then(|approval| approval.by.as_ref());
        let line = Line {
            v: VERSION,
            event: "decision",
            time: now.to_rfc3339(),
            request_id: &context.request_id,
            resource: &record.resource,
            policy: &record.policy,
            mcp_method: bounded(&record.operation.method),
            target: record.operation.target.as_ref().map(|(kind, _)| kind.as_str()),
            name: record.operation.name().map(bounded),
            tool: record.operation.follows.as_deref().map(bounded),
            server: record.server.as_ref().map(|(server, _)| server.as_str()),
            original: record.server.as_ref().and_then(|(_, original)| original.as_deref()).map(bounded),
            verdict: decision.verdict.as_str(),
            rule: &record.by,
            enforced: !record.observed,
            missing,
            challenge: record.challenge.as_ref().map(ToString::to_string),
            sign_in: &record.sign_in,
            would: decision.would.as_ref().map(|(_, verdict)| verdict.as_str()),
            would_rule: record.would_by.as_deref(),
            issuer: record.caller.source.as_deref(),
            client: context.audit.entries().client.as_deref(),
            subject: context.audit.entries().subject.as_deref(),
            scopes: &record.caller.scopes,
            roles: &record.caller.rights.roles,
            groups: &record.caller.rights.groups,
            claims: &record.caller.rights.claims,
            country: record.caller.facts.country.as_deref(),
            asn: record.caller.facts.asn,
            auth_age: record.caller.auth_age,
            mtls: record.caller.facts.certificate,
            reads: &settings.recorded_facts,
            arguments: record.arguments.as_deref().and_then(|text| keyed(text, &settings.pseudonym_key)),
            approval: approval.map(|approval| approval.id.as_str()),
            approval_state: approval.map(|approval| approval.state),
            approver: person.map(|(by, _)| by.as_str()),
            decided_at: person.map(|(_, at)| UnixMillis(at.saturating_mul(1000)).to_rfc3339()),
            origin_credential: context.audit.entries().origin_credential.map(|(kind, _)| kind),
            origin_credential_age: context.audit.entries().origin_credential.and_then(|(_, age)| age),
            link: self.link(),
        };
        let text = serde_json::to_string(&line).unwrap_or_default();
        let json = self.chained(&text);
        DecisionLine {
            json,
            verdict: decision.verdict.as_str(),
            by: record.by.clone(),
            resource: record.resource.clone(),
            method: bounded(&record.operation.method),
            name: record.operation.name().map(bounded).unwrap_or_default(),
            subject: context.audit.entries().subject.clone().unwrap_or_default(),
        }
    }
}

#[derive(Serialize)]
struct GuardLine<'a> {
    v: u8,
    event: &'static str,
    time: String,
    request_id: &'a str,
    resource: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mcp_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    guard: &'a str,
    action: &'static str,
    on: &'static str,
    found: &'a BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(flatten)]
    link: Link<'a>,
}

impl Chain {
    /// The next line, about what a guard found: of which forms it was, how often, and what the guard did.
    pub fn guard_line(&mut self, found: &Found, context: &RequestContext, now: UnixMillis) -> DecisionLine {
        let entries = context.audit.entries();
        let resource = context.resource.as_ref().map(|resource| resource.path.as_str()).unwrap_or_default();
        let line = GuardLine {
            v: VERSION,
            event: if found.forms.is_empty() { "hook" } else { "guard" },
            time: now.to_rfc3339(),
            request_id: &context.request_id,
            resource,
            mcp_method: entries.mcp_method.as_deref(),
            name: entries.mcp_name.as_deref(),
            guard: &found.guard,
            action: found.action,
            on: found.direction.as_str(),
            found: &found.forms,
            client: entries.client.as_deref(),
            subject: entries.subject.as_deref(),
            link: self.link(),
        };
        let text = serde_json::to_string(&line).unwrap_or_default();
        let json = self.chained(&text);
        DecisionLine {
            json,
            verdict: found.action,
            by: found.guard.clone(),
            resource: resource.to_owned(),
            method: entries.mcp_method.clone().unwrap_or_default(),
            name: entries.mcp_name.clone().unwrap_or_default(),
            subject: entries.subject.clone().unwrap_or_default(),
        }
    }

    /// The place of the next line.
    fn link(&self) -> Link<'_> {
        Link { run: &self.run, seq: self.seq, prev: &self.last }
    }

    /// A line with its hash, which the next one has.
    fn chained(&mut self, text: &str) -> String {
        let hash = hex(&Sha256::digest(text));
        let json = sealed(text, &hash);
        self.seq += 1;
        self.last = hash;
        json
    }
}

/// A line with its hash as the last member.
fn sealed(text: &str, hash: &str) -> String {
    format!("{},\"hash\":\"{hash}\"}}", text.strip_suffix('}').unwrap_or(text))
}

/// Checks that a line is intact and follows the line with the hash `last`. Returns its own hash if both hold.
#[must_use]
pub fn follows(line: &str, last: Option<&str>) -> Option<String> {
    let (text, hash) = line.trim_end().strip_suffix("\"}")?.rsplit_once(",\"hash\":\"")?;
    let text = format!("{text}}}");
    let fits = hex(&Sha256::digest(&text)) == hash;
    let bound = last.is_none_or(|last| text.contains(&format!("\"prev\":\"{last}\"")));
    (fits && bound).then(|| hash.to_owned())
}

/// The kind that a line names in `target`.
#[must_use]
pub fn kind(name: &str) -> Option<Kind> {
    [Kind::Tool, Kind::Prompt, Kind::Resource].into_iter().find(|kind| kind.as_str() == name)
}

/// The first 128 bits of HMAC-SHA-256: equal arguments are recognizable, and cannot be guessed without the key.
fn keyed(text: &[u8], key: &[u8]) -> Option<String> {
    let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).ok()?;
    mac.update(b"arguments");
    mac.update(text);
    mac.finalize().into_bytes().get(..16).map(hex)
}
