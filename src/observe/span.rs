//! What the platform's trace is told of a request, in the words of OpenTelemetry's semantic conventions for HTTP and for
//! MCP: the platform exports it (OTLP) where its operator says so.

use crate::observe::event::Outcome;
use crate::pipeline::context::RequestContext;

/// The name and attributes of a request's span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// `tools/call add`, or `GET /mcp`.
    pub name: String,
    /// What is known, as text.
    pub attributes: Vec<(&'static str, String)>,
    /// `http.response.status_code`.
    pub status: u16,
}

impl Span {
    /// Of a request that has come to its end.
    #[must_use]
    pub fn of(context: &RequestContext, outcome: &Outcome<'_>, status: u16) -> Self {
        let route = context.resource.as_ref().map(|resource| resource.path.as_str());
        let method = context.method.as_str();
        let name = match (context.audit.entries().mcp_method.as_deref(), context.audit.entries().mcp_name.as_deref()) {
            // Of a name that may be anything, as a URI, there would be as many spans as calls.
            (Some(asked @ ("tools/call" | "prompts/get")), Some(name)) => format!("{asked} {name}"),
            (Some(asked), _) => asked.to_owned(),
            (None, _) => route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        };
        let mut attributes = vec![
            ("http.request.method", method.to_owned()),
            ("portcullis.request_id", context.request_id.clone()),
            ("portcullis.decision", if outcome.is_allowed() { "allow" } else { "deny" }.to_owned()),
            ("portcullis.reason", outcome.reason().to_owned()),
        ];
        let mut add = |name, value: Option<&str>| attributes.extend(value.map(|value| (name, value.to_owned())));
        add("http.route", route);
        add("mcp.method.name", context.audit.entries().mcp_method.as_deref());
        add(
            match context.audit.entries().mcp_method.as_deref() {
                Some("tools/call") => "gen_ai.tool.name",
                Some("prompts/get") => "gen_ai.prompt.name",
                _ => "mcp.resource.uri",
            },
            context.audit.entries().mcp_name.as_deref(),
        );
        add(
            "gen_ai.operation.name",
            (context.audit.entries().mcp_method.as_deref() == Some("tools/call")).then_some("execute_tool"),
        );
        add("error.type", (!outcome.is_allowed()).then(|| outcome.reason()));
        add("portcullis.issuer", context.audit.entries().issuer.as_deref());
        add("portcullis.client", context.audit.entries().client.as_deref());
        add("portcullis.subject", context.audit.entries().subject.as_deref());
        Self { name, attributes, status }
    }
}
