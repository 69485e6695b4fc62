//! How a resource of several servers shows its tools: all definitions, names alone, or two tools that search for tools and call them.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::limits::{TOOL_QUERY_BYTES, TOOLS_FOUND, TOOLS_FOUND_MAX};
use crate::mcp::envelope::RequestId;
use crate::mcp::era::Era;
use crate::mcp::merge::LEFT_OUT;
use crate::mcp::message::Call;
use crate::mcp::method::CALL_TOOL;
use crate::mcp::tool_search::ranked;
use crate::strict_json;

/// How tools are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum View {
    /// With their definitions.
    #[default]
    All,
    /// Without schemas.
    Names,
    /// Behind [`SEARCH_TOOLS`] and [`CALL_FOUND_TOOL`].
    Search,
}

/// The tool that searches for tools.
pub const SEARCH_TOOLS: &str = "search_tools";
/// The tool that calls a tool that was found.
pub const CALL_FOUND_TOOL: &str = "call_tool";

/// What the gateway answers itself, of what a client asks the two tools for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolSearch {
    /// A search for tools.
    For {
        /// What it searches for.
        query: String,
        /// Most tools that it gets.
        limit: usize,
    },
    /// A call of one of the two tools, by its name, with arguments that do not fit, and what would fit.
    Wrong(&'static str, &'static str),
}

/// What a call of one of the two tools asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwrapped {
    /// A call of a tool: the message with the name and the arguments of that tool.
    Call(Vec<u8>),
    /// What the gateway answers itself: the message that asks for the list of tools.
    Search(Vec<u8>, ToolSearch),
}

/// The members of an object, with their values as raw JSON.
type Members = BTreeMap<String, Box<RawValue>>;

fn raw(value: &Value) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(value).ok()
}

/// What a call asks for, if it is one of the two tools.
#[must_use]
pub fn unwrapped(call: &Call, body: &[u8]) -> Option<Unwrapped> {
    let (read, why) = match call.params.name.as_deref().filter(|_| call.method == CALL_TOOL)? {
        SEARCH_TOOLS => {
            (search(body), ToolSearch::Wrong(SEARCH_TOOLS, "search_tools takes a query, and a limit of 1 to 50."))
        }
        CALL_FOUND_TOOL => (
            inner_call(body),
            ToolSearch::Wrong(CALL_FOUND_TOOL, "call_tool takes a name, and arguments that are an object."),
        ),
        _ => return None,
    };
    read.or_else(|| list_instead(body, why))
}

/// The message that asks for the list of tools.
fn list_instead(body: &[u8], search: ToolSearch) -> Option<Unwrapped> {
    let (mut message, params) = message_and_params(body)?;
    message.insert("method".to_owned(), raw(&json!("tools/list"))?);
    let meta: Members = params.into_iter().filter(|(name, _)| name == "_meta").collect();
    Some(Unwrapped::Search(with_params(message, &meta)?, search))
}

fn message_and_params(body: &[u8]) -> Option<(Members, Members)> {
    let message: Members = strict_json::part(std::str::from_utf8(body).ok()?)?;
    let params = strict_json::part(message.get("params")?.get())?;
    Some((message, params))
}

fn with_params(mut message: Members, params: &Members) -> Option<Vec<u8>> {
    message.insert("params".to_owned(), serde_json::value::to_raw_value(params).ok()?);
    serde_json::to_vec(&message).ok()
}

fn inner_call(body: &[u8]) -> Option<Unwrapped> {
    let (message, mut params) = message_and_params(body)?;
    let mut arguments: Members = strict_json::part(params.get("arguments")?.get())?;
    let name = arguments.remove("name")?;
    strict_json::part::<String>(name.get())?;
    let inner = match arguments.remove("arguments") {
        Some(inner) if inner.get().starts_with('{') => inner,
        Some(inner) if inner.get() == "null" => raw(&json!({}))?,
        None => raw(&json!({}))?,
        Some(_) => return None,
    };
    if !arguments.is_empty() {
        return None;
    }
    params.insert("name".to_owned(), name);
    params.insert("arguments".to_owned(), inner);
    with_params(message, &params).map(Unwrapped::Call)
}

fn search(body: &[u8]) -> Option<Unwrapped> {
    let (_, params) = message_and_params(body)?;
    let arguments: BTreeMap<String, Value> = strict_json::part(params.get("arguments")?.get())?;
    let query = arguments.get("query")?.as_str().filter(|query| query.len() <= TOOL_QUERY_BYTES)?.to_owned();
    let limit = match arguments.get("limit") {
        None | Some(Value::Null) => TOOLS_FOUND,
        // In JSON Schema 10.0 is an integer.
        Some(limit) => {
            let limit = limit.to_string().trim_end_matches(".0").parse().ok()?;
            Some(limit).filter(|limit| (1..=TOOLS_FOUND_MAX).contains(limit))?
        }
    };
    if arguments.keys().any(|name| !matches!(name.as_str(), "query" | "limit")) {
        return None;
    }
    list_instead(body, ToolSearch::For { query, limit })
}

/// A response with this result.
fn response(id: &RequestId, era: Era, mut result: Map<String, Value>, keeps: bool) -> String {
    if era == Era::Modern {
        result.insert("resultType".to_owned(), json!("complete"));
        if keeps {
            result.insert("ttlMs".to_owned(), json!(0));
            result.insert("cacheScope".to_owned(), json!("private"));
        }
    }
    let id: Value = strict_json::parse(id.to_json().as_bytes()).unwrap_or_default();
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}

/// The list with the two tools.
#[must_use]
pub fn listing(id: &RequestId, era: Era) -> String {
    let query = "What the tool should do, in a few words.";
    let search = json!({
        "name": SEARCH_TOOLS,
        "title": "Search tools",
        "description": "Finds tools by their names and descriptions. The result has their names, descriptions and input schemas. \
                        Call one of them with call_tool.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "query": { "type": "string", "description": query },
                "limit": { "type": "integer", "minimum": 1, "maximum": TOOLS_FOUND_MAX, "default": TOOLS_FOUND },
            },
            "required": ["query"],
            "additionalProperties": false,
        },
        "annotations": { "readOnlyHint": true },
    });
    let call = json!({
        "name": CALL_FOUND_TOOL,
        "title": "Call a tool",
        "description": "Calls a tool that search_tools found, with arguments that fit its input schema.",
        "inputSchema": {
            "type": "object",
            "properties": { "name": { "type": "string" }, "arguments": { "type": "object" } },
            "required": ["name"],
            "additionalProperties": false,
        },
    });
    let mut result = Map::new();
    result.insert("tools".to_owned(), json!([search, call]));
    response(id, era, result, true)
}

impl ToolSearch {
    /// The tool that is called.
    #[must_use]
    pub fn tool(&self) -> &'static str {
        match self {
            Self::For { .. } => SEARCH_TOOLS,
            Self::Wrong(tool, _) => tool,
        }
    }

    /// The result of a call with arguments that do not fit: what would fit, for the model to read.
    #[must_use]
    pub fn refused(&self, id: &RequestId, era: Era) -> Option<String> {
        let Self::Wrong(_, why) = self else { return None };
        let mut result = Map::new();
        result.insert("content".to_owned(), json!([{ "type": "text", "text": why }]));
        result.insert("isError".to_owned(), json!(true));
        Some(response(id, era, result, false))
    }

    /// The result: the tools that fit best, as JSON in a text.
    #[must_use]
    pub fn result(&self, tools: &[&str], (id, era): (&RequestId, Era), left_out: &[String]) -> String {
        let Self::For { query, limit } = self else { return String::new() };
        let found = ranked(tools, query);
        let shown: Vec<&str> = found.iter().take(*limit).filter_map(|at| tools.get(*at).copied()).collect();
        let text = format!("{{\"tools\":[{}],\"found\":{}}}", shown.join(","), found.len());
        let mut result = Map::new();
        result.insert("content".to_owned(), json!([{ "type": "text", "text": text }]));
        if !left_out.is_empty() {
            result.insert("_meta".to_owned(), json!({ LEFT_OUT: left_out }));
        }
        response(id, era, result, false)
    }
}

/// The definition of a tool without its schemas, which clients must find there nevertheless.
#[must_use]
pub fn without_schemas(tool: &[u8]) -> Option<Vec<u8>> {
    let mut members: Members = strict_json::part(std::str::from_utf8(tool).ok()?)?;
    members.insert("inputSchema".to_owned(), raw(&json!({ "type": "object" }))?);
    members.remove("outputSchema");
    serde_json::to_vec(&members).ok()
}
