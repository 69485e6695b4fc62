//! Lines of the log, one JSON object each. Allowed and denied requests have the same members.

use serde::Serialize;

use crate::pipeline::context::RequestContext;
use crate::pipeline::rejection::Rejection;
use crate::time::UnixMillis;

/// The outcome of a request to the authorization server, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointOutcome {
    /// Whether it rejected the request.
    pub refused: bool,
    /// The reason, from a closed set.
    pub reason: &'static str,
    /// Details, without secrets.
    pub detail: Option<String>,
}

/// The version of the members below. It increases when the meaning of a member changes.
const VERSION: u8 = 1;

/// The decision about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The gateway forwarded it, or answered it itself.
    Allow,
    /// The gateway rejected it.
    Deny,
}

/// The line of one request.
#[derive(Debug, Serialize)]
pub struct RequestEvent<'a> {
    v: u8,
    event: &'static str,
    time: String,
    request_id: &'a str,
    trace_id: &'a str,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    era: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mcp_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mcp_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_cache: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    subject_is_client: bool,
    /// The kind of the credential that the origin server got.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_credential: Option<&'static str>,
    /// Seconds since it was obtained.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_credential_age: Option<u64>,
    decision: Decision,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    status: u16,
    duration_ms: u64,
    authentication_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_ms: Option<u64>,
}

/// The outcome of a request.
pub enum Outcome<'a> {
    /// Forwarded or answered, for this reason.
    Allow(&'static str),
    /// Rejected.
    Deny(&'a Rejection),
    /// Answered by the authorization server.
    Endpoint(&'a EndpointOutcome),
}

impl Outcome<'_> {
    /// The reason, from a closed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Allow(reason) => reason,
            Self::Deny(rejection) => rejection.reason(),
            Self::Endpoint(endpoint) => endpoint.reason,
        }
    }

    /// Whether the request was not rejected.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        match self {
            Self::Allow(_) => true,
            Self::Deny(_) => false,
            Self::Endpoint(endpoint) => !endpoint.refused,
        }
    }
}

/// The line of one request.
#[must_use]
pub fn request_line(context: &RequestContext, outcome: &Outcome<'_>, status: u16, now: UnixMillis) -> String {
    let detail = match outcome {
        Outcome::Allow(_) => None,
        Outcome::Deny(rejection) => rejection.detail(),
        Outcome::Endpoint(endpoint) => endpoint.detail.clone(),
    };
    let event = RequestEvent {
        v: VERSION,
        event: "request",
        time: now.to_rfc3339(),
        request_id: &context.request_id,
        trace_id: context.trace.id(),
        method: context.method.as_str(),
        resource: context.resource.as_ref().map(|resource| resource.path.as_str()),
        path: context.audit.entries().path.as_deref(),
        era: context.audit.entries().era.map(crate::mcp::era::Era::as_str),
        mcp_method: context.audit.entries().mcp_method.as_deref(),
        mcp_name: context.audit.entries().mcp_name.as_deref(),
        issuer: context.audit.entries().issuer.as_deref(),
        credential: context.audit.entries().credential.map(crate::token::principal::CredentialKind::as_str),
        label: context.audit.entries().label.as_deref(),
        token_cache: context.audit.entries().cache_hit.map(|known| if known { "hit" } else { "miss" }),
        client: context.audit.entries().client.as_deref(),
        subject: context.audit.entries().subject.as_deref(),
        subject_is_client: context.audit.entries().subject_is_client,
        origin_credential: context.audit.entries().origin_credential.map(|(kind, _)| kind),
        origin_credential_age: context.audit.entries().origin_credential.and_then(|(_, age)| age),
        decision: if outcome.is_allowed() { Decision::Allow } else { Decision::Deny },
        reason: outcome.reason(),
        detail,
        status,
        duration_ms: now.since(context.received),
        authentication_ms: context.authentication_ms,
        origin_ms: context.origin_ms,
    };
    line(&event)
}

/// A line about the gateway itself.
#[derive(Debug, Serialize)]
pub struct GatewayEvent<'a> {
    v: u8,
    event: &'static str,
    time: String,
    level: &'static str,
    /// What happened, from a closed set.
    reason: &'static str,
    /// Details.
    detail: &'a str,
}

/// A line about the gateway itself, for example about its configuration or its keys.
#[must_use]
pub fn gateway_line(level: &'static str, reason: &'static str, detail: &str, now: UnixMillis) -> String {
    line(&GatewayEvent { v: VERSION, event: "gateway", time: now.to_rfc3339(), level, reason, detail })
}

fn line(event: &impl Serialize) -> String {
    serde_json::to_string(event).unwrap_or_else(|_| String::from("{\"event\":\"unserializable\"}"))
}
