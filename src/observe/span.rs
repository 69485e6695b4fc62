//! What the gateway adds to the platform's trace of a request, with the names of OpenTelemetry's semantic conventions
//! for HTTP and for MCP. The platform exports the trace (OTLP) if the operator enables it.

use crate::mcp::kind::Kind;
use crate::mcp::method::McpMethod;
use crate::mcp::method::Target;
use crate::observe::event::Outcome;
use crate::pipeline::context::RequestContext;

/// The name and attributes of a request's span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// `tools/call add`, or `GET /mcp`.
    pub name: String,
    /// The attributes, as text.
    pub attributes: Vec<(&'static str, String)>,
    /// `http.response.status_code`.
    pub status: u16,
}

impl Span {
    /// The span of a finished request.
    #[must_use]
    pub fn of(context: &RequestContext, outcome: &Outcome<'_>, status: u16) -> Self {
        let route = context.resource.as_ref().map(|resource| resource.path.as_str());
        let method = context.method.as_str();
        let audit = context.audit.entries();
        let target = audit.mcp_method.as_deref().and_then(McpMethod::find).map_or(Target::None, |known| known.target);
        let name = match (audit.mcp_method.as_deref(), target, audit.mcp_name.as_deref()) {
            // The name of a span does not contain a URI, because almost every call may have another one.
            (Some(asked), Target::Name(_), Some(name)) => format!("{asked} {name}"),
            (Some(asked), ..) => asked.to_owned(),
            (None, ..) => route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        };
        let mut attributes = vec![
            ("http.request.method", method.to_owned()),
            ("portcullis.request_id", context.request_id.clone()),
            ("portcullis.decision", if outcome.is_allowed() { "allow" } else { "deny" }.to_owned()),
            ("portcullis.reason", outcome.reason().to_owned()),
        ];
        let mut add = |name, value: Option<&str>| attributes.extend(value.map(|value| (name, value.to_owned())));
        add("http.route", route);
        add("mcp.method.name", audit.mcp_method.as_deref());
        add(
            match target {
                Target::Name(Kind::Tool) => "gen_ai.tool.name",
                Target::Name(Kind::Prompt) => "gen_ai.prompt.name",
                _ => "mcp.resource.uri",
            },
            audit.mcp_name.as_deref(),
        );
        add("gen_ai.operation.name", (target == Target::Name(Kind::Tool)).then_some("execute_tool"));
        add("error.type", (!outcome.is_allowed()).then(|| outcome.reason()));
        add("portcullis.issuer", audit.issuer.as_deref());
        add("portcullis.client", audit.client.as_deref());
        add("portcullis.subject", audit.subject.as_deref());
        Self { name, attributes, status }
    }
}
