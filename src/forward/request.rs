//! The request that the gateway sends to the origin server.

use serde_json::Value;

use crate::forward::identity::identify;
use crate::mcp::agreement::mirrored;
use crate::mcp::conversation::{Conversation, Opening, ServerSession};
use crate::mcp::era::{Era, FIRST_MODERN};
use crate::mcp::method::{DISCOVER, INITIALIZE};
use crate::mcp::tool_view::View;
use crate::origin_credential::AttachedCredential;
use crate::pipeline::caller_state::SessionUse;
use crate::pipeline::context::RequestContext;
use crate::pipeline::permit::Permit;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::route::JSON;
use crate::token::principal::Principal;
use crate::transport::cors::is_parameter;
use crate::transport::head::{Fields, Method, is_plain};

/// Fields that the gateway forwards, besides `Mcp-Param-*` (T16). It drops every other field: credentials, cookies,
/// forwarding and hop-by-hop fields, and unknown ones. The gateway has checked `Origin`, and an origin server may
/// reject a foreign value (P12); `Host` is the origin server's own; the gateway sets `traceparent` itself.
const ALLOWED: [&str; 9] = [
    "accept",
    "accept-language",
    "content-type",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "user-agent",
];

/// The media types that a client of Streamable HTTP accepts.
const ACCEPTED: &str = "application/json, text/event-stream";

/// Whether the gateway forwards a field of the client to the origin server; `more` are the fields that the resource names.
#[must_use]
pub fn is_forwarded(name: &str, more: &[String]) -> bool {
    ALLOWED.contains(&name) || is_parameter(name) || more.iter().any(|field| field == name)
}

/// A request for an origin server. It can only be made from a [`Permit`].
#[derive(Debug)]
pub struct OutboundRequest {
    method: Method,
    url: String,
    fields: Fields,
    service: Option<String>,
    body_bytes: u64,
    response_timeout: u64,
    idle_timeout: Option<u64>,
    total_timeout: Option<u64>,
    keep_alive: Option<u64>,
    watch: Option<u64>,
    era: Era,
    request_id: String,
    body: Option<Vec<u8>>,
}

impl OutboundRequest {
    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The service binding to go through, instead of the network.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// The largest body in bytes; zero if the request may have none.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        if self.method == Method::Post { self.body_bytes } else { 0 }
    }

    /// The body that is sent instead of the caller's, if there is one.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// Seconds that the origin server has until its response fields have arrived.
    #[must_use]
    pub fn response_timeout(&self) -> u64 {
        self.response_timeout
    }

    /// Seconds that the response may be silent; `None` if it may be silent as long as the client waits for it.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<u64> {
        self.idle_timeout
    }

    /// Seconds until the response has to be complete; `None` if there is no such limit.
    #[must_use]
    pub fn total_timeout(&self) -> Option<u64> {
        self.total_timeout
    }

    /// Seconds of silence after which the client gets a comment in an event stream; `None` if it gets none.
    #[must_use]
    pub fn keep_alive(&self) -> Option<u64> {
        self.keep_alive
    }

    /// Has an event stream that answers it be watched: see [`Self::watch`].
    #[must_use]
    pub fn watched(self, seconds: Option<u64>) -> Self {
        Self { watch: seconds, ..self }
    }

    /// Seconds after which an event stream asks again whether its caller's credential is accepted; `None` if nothing revokes it.
    #[must_use]
    pub fn watch(&self) -> Option<u64> {
        self.watch
    }

    /// The id of the request in the log.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Whether the client's disconnect cancels this request: in the modern era it must (T25), in the legacy era it must
    /// not (L7). A legacy GET only listens, so nothing is lost if it ends when its client disconnects.
    #[must_use]
    pub fn cancel_on_disconnect(&self) -> bool {
        self.era == Era::Modern || self.method != Method::Post
    }
}

/// Makes the outbound request. `assertion` is the signed identity assertion, and `credential` the one for the origin server, if
/// they are configured.
///
/// # Errors
/// [`Rejection::Internal`] if the message with a decoy cannot be made, or the credential is for another origin server;
/// [`Rejection::IdentityTooLarge`].
pub fn outbound(
    permit: &Permit,
    assertion: Option<&str>,
    credential: Option<&AttachedCredential>,
    context: &RequestContext,
) -> Result<OutboundRequest, Rejection> {
    if permit.resource().is_some_and(|resource| resource.federation.is_some()) {
        return Err(Rejection::Internal("none of several servers was chosen"));
    }
    let (origin, below, _) = permit.destination();
    let admitted = permit.admitted();
    let mut fields = common_fields(permit, assertion, credential, context)?;
    let query = admitted.query().map_or_else(String::new, |query| format!("?{query}"));
    let base = origin.url.to_string();
    let base = if below.is_empty() { base.as_str() } else { base.trim_end_matches('/') };
    let mut url = format!("{base}{below}{query}");
    match permit.session() {
        SessionUse::Unbound => {}
        SessionUse::None => fields.remove("mcp-session-id"),
        SessionUse::Id { id, .. } => fields.set("mcp-session-id", id.as_str()),
        SessionUse::Endpoint(target) => {
            fields.remove("mcp-session-id");
            url = format!("{}{target}", origin.url.web_origin());
        }
    }
    // In the modern era no stream resumes (T27), and a caller without credentials has opened none.
    if admitted.era() == Era::Modern || *permit.principal() == Principal::Anonymous {
        fields.remove("last-event-id");
    } else if *permit.session() != SessionUse::Unbound {
        match permit.last_event() {
            Some(id) => fields.set("last-event-id", id),
            None => fields.remove("last-event-id"),
        }
    }
    for (name, value) in permit.masked_fields() {
        fields.set(name.clone(), value.clone());
    }
    // What mirrors other arguments than those that are sent.
    if permit.replaces_arguments() || permit.approval().is_some() {
        forget_parameters(&mut fields);
        set_parameters(&mut fields, permit);
    }
    mirror(&mut fields, permit);
    if permit.is_gathered() && admitted.head().method == Method::Post {
        fields.set("accept", ACCEPTED);
    }
    if let Some(conversation) = permit.conversation() {
        converse(&mut fields, permit, conversation);
    }
    Ok(completed(permit, url, fields, context, permit.message()?))
}

/// Makes a request with which the gateway opens a conversation with one of several servers. `message` is what it is, and its body.
///
/// # Errors
/// As [`outbound`].
pub fn opening(
    permit: &Permit,
    assertion: Option<&str>,
    credential: Option<&AttachedCredential>,
    (context, (what, message)): (&RequestContext, (Opening<'_>, Vec<u8>)),
) -> Result<OutboundRequest, Rejection> {
    let (origin, ..) = permit.destination();
    let mut fields = common_fields(permit, assertion, credential, context)?;
    forget_message(&mut fields);
    fields.set("content-type", JSON);
    fields.set("accept", ACCEPTED);
    match what {
        Opening::Discover => {
            fields.set("mcp-protocol-version", FIRST_MODERN);
            fields.set("mcp-method", DISCOVER);
        }
        Opening::Initialize => {}
        Opening::Initialized(session) => in_session(&mut fields, session),
    }
    let request = completed(permit, origin.url.to_string(), fields, context, Some(message));
    Ok(OutboundRequest { method: Method::Post, ..request })
}

fn completed(
    permit: &Permit,
    url: String,
    fields: Fields,
    context: &RequestContext,
    body: Option<Vec<u8>>,
) -> OutboundRequest {
    let (origin, _, body_bytes) = permit.destination();
    let admitted = permit.admitted();
    OutboundRequest {
        body,
        method: admitted.head().method,
        url,
        fields,
        service: origin.service.clone(),
        body_bytes,
        response_timeout: permit
            .bounds()
            .seconds
            .map_or(origin.response_timeout, |most| most.min(origin.response_timeout)),
        idle_timeout: origin.idle_timeout,
        total_timeout: permit.bounds().seconds,
        keep_alive: origin.keep_alive,
        watch: None,
        era: admitted.era(),
        request_id: context.request_id.clone(),
    }
}

/// The fields of the client that are forwarded, and those that the gateway adds to every request.
fn common_fields(
    permit: &Permit,
    assertion: Option<&str>,
    credential: Option<&AttachedCredential>,
    context: &RequestContext,
) -> Result<Fields, Rejection> {
    let admitted = permit.admitted();
    let inbound = &admitted.head().fields;
    let mut fields: Fields = inbound
        .iter()
        .filter(|(name, value)| is_forwarded(name, permit.forward_fields()) && is_plain(value))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // Whatever the client says about the encoding of its message, the gateway has read it as UTF-8.
    if permit.inspected().is_some() && admitted.head().method == Method::Post {
        fields.set("content-type", JSON);
    }
    // With compression, an event would be held back until a compressed block is full.
    fields.set("accept-encoding", "identity");
    fields.set("traceparent", context.trace.outbound());
    if let Some(state) = context.trace.continued().then(|| inbound.get("tracestate")).flatten() {
        fields.set("tracestate", state);
    }
    if permit.names_caller() {
        identify(&mut fields, permit, assertion)?;
    }
    if let Some(credential) = credential {
        let resource = permit.resource().map(|resource| resource.index);
        if resource != Some(credential.resource()) {
            return Err(Rejection::Internal("a credential of another origin server"));
        }
        for (name, value) in credential.fields() {
            fields.set(name.to_owned(), value);
        }
    }
    Ok(fields)
}

/// Makes the fields that mirror the message agree with what is sent.
fn mirror(fields: &mut Fields, permit: &Permit) {
    // The client called a tool that searches, and the servers are asked for their lists.
    if permit.is_gathered()
        && fields.get("mcp-method").is_some()
        && let Some(call) = permit.call()
    {
        fields.set("mcp-method", mirrored(&call.method));
    }
    match permit.changed_name() {
        Some(name) if fields.get("mcp-name").is_some() => fields.set("mcp-name", mirrored(&name)),
        // A field that mirrors nothing could name an item of another server.
        None if permit.server().is_some() => fields.remove("mcp-name"),
        _ => {}
    }
    if let Some(method) = permit.decoys().iter().find(|decoy| decoy.is_method)
        && fields.get("mcp-method").is_some()
    {
        fields.set("mcp-method", mirrored(&method.name));
    }
    // In the legacy era no requirement makes these fields agree with the body, and some servers trust them (T18).
    if permit.admitted().era() == Era::Legacy
        && fields.get("mcp-method").is_some_and(|method| method.trim().to_ascii_lowercase().starts_with("tasks/"))
    {
        fields.remove("mcp-method");
        fields.remove("mcp-name");
    }
    if permit.refusal().is_some() {
        fields.remove("mcp-method");
        fields.remove("mcp-name");
    }
}

/// Makes the fields those of the era and the session in which the gateway talks with one of several servers.
fn converse(fields: &mut Fields, permit: &Permit, conversation: &Conversation) {
    match conversation {
        Conversation::Modern if permit.admitted().era() == Era::Modern => {
            let federation = permit.inspected().and_then(|inspected| inspected.resource().federation.as_ref());
            if federation.is_some_and(|federation| federation.view != View::All) {
                forget_parameters(fields);
                set_parameters(fields, permit);
            }
        }
        Conversation::Modern => {
            forget_message(fields);
            fields.set("accept", ACCEPTED);
            fields.set("mcp-protocol-version", FIRST_MODERN);
            let Some(call) = permit.call() else { return };
            let decoy = permit.decoys().iter().find(|decoy| decoy.is_method).map(|decoy| decoy.name.as_str());
            let method = decoy.unwrap_or(if call.method == INITIALIZE { DISCOVER } else { &call.method });
            fields.set("mcp-method", mirrored(method));
            if let Some(name) = permit.changed_name().as_deref().or(call.mirrored_name()) {
                fields.set("mcp-name", mirrored(name));
            }
            // A client of the legacy era does not know these fields.
            set_parameters(fields, permit);
        }
        Conversation::Legacy(session) => {
            let last_event = fields.get("last-event-id").map(str::to_owned);
            forget_message(fields);
            in_session(fields, session);
            if let Some(id) = last_event {
                fields.set("last-event-id", id);
            }
        }
    }
}

/// Makes the fields that mirror arguments (T15) from the arguments.
fn set_parameters(fields: &mut Fields, permit: &Permit) {
    let Some(call) = permit.call() else { return };
    let parameters = permit.resource().map(|resource| resource.parameters.as_slice()).unwrap_or_default();
    for (field, argument) in parameters {
        let value = call.params.arguments.as_ref().and_then(|arguments| arguments.get(argument));
        let text = match value {
            Some(Value::String(text)) => text.clone(),
            Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
            _ => continue,
        };
        fields.set(field.clone(), mirrored(&text));
    }
}

fn forget_parameters(fields: &mut Fields) {
    let parameters: Vec<String> =
        fields.iter().map(|(name, _)| name.to_owned()).filter(|name| is_parameter(name)).collect();
    for name in parameters {
        fields.remove(&name);
    }
}

/// Removes the fields that belong to the conversation with the client.
fn forget_message(fields: &mut Fields) {
    forget_parameters(fields);
    for name in ["mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id", "last-event-id"] {
        fields.remove(name);
    }
}

/// Sets the fields of a session of the legacy era.
fn in_session(fields: &mut Fields, session: &ServerSession) {
    fields.set("mcp-protocol-version", session.version.as_str());
    if let Some(id) = &session.id {
        fields.set("mcp-session-id", id.as_str());
    }
}
