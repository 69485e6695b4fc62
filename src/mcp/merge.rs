//! Merges the answers of several servers to the same request: pages of a list, or what they say of themselves.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::limits::CURSOR_BYTES;
use crate::mcp::envelope::RequestId;
use crate::mcp::era::{Era, FIRST_MODERN, supported_versions};
use crate::mcp::handle::TASKS_EXTENSION;
use crate::mcp::method::List;
use crate::strict_json;

/// The member of `_meta` that names the servers whose items are missing.
pub const LEFT_OUT: &str = "portcullis/left-out";

/// Most characters of the instructions of one server.
const INSTRUCTIONS_CHARS: usize = 8 * 1024;

/// What one server answered: its name, and the whole message.
#[derive(Debug)]
pub struct ServerAnswer<'a> {
    /// The name of the server.
    pub server: &'a str,
    /// Its response.
    pub message: String,
}

/// Why the answer of a server cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmerged {
    /// It is not a response to the request.
    Malformed,
    /// It is a JSON-RPC error with this code.
    Refused(i64),
}

/// Several pages as one.
#[derive(Debug, Default)]
pub struct MergedList {
    items: Vec<Box<RawValue>>,
    /// The servers that have more, and their cursors.
    pub more: Vec<(String, String)>,
    ttl: Option<u64>,
    is_public: bool,
    parts: usize,
}

/// The members of an object, as raw JSON.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// The result in a response to a request with this id.
fn result<'a>(message: &'a str, id: &RequestId) -> Result<Members<'a>, Unmerged> {
    let mut members: Members<'a> = strict_json::part(message).ok_or(Unmerged::Malformed)?;
    let answered = members.get("id").and_then(|raw| strict_json::part::<Value>(raw.get()));
    if answered.as_ref().and_then(RequestId::read).as_ref() != Some(id) {
        return Err(Unmerged::Malformed);
    }
    if let Some(error) = members.get("error") {
        let error: Option<Value> = strict_json::part(error.get());
        let code = error.and_then(|error| error.get("code")?.as_i64());
        return Err(code.map_or(Unmerged::Malformed, Unmerged::Refused));
    }
    let result = members.remove("result").ok_or(Unmerged::Malformed)?;
    strict_json::part(result.get()).ok_or(Unmerged::Malformed)
}

fn text(result: &Members<'_>, name: &str) -> Option<String> {
    strict_json::part(result.get(name)?.get())
}

impl MergedList {
    /// Adds the page of a server.
    ///
    /// # Errors
    /// [`Unmerged`] if the answer has no such list.
    pub fn add(&mut self, answer: &ServerAnswer<'_>, list: List, id: &RequestId) -> Result<(), Unmerged> {
        let result = result(&answer.message, id)?;
        let items = result.get(list.member).and_then(|raw| strict_json::part::<Vec<Box<RawValue>>>(raw.get()));
        let items = items.ok_or(Unmerged::Malformed)?;
        let cursor = text(&result, "nextCursor");
        let has_cursor = result.get("nextCursor").is_some_and(|raw| raw.get() != "null");
        if has_cursor && cursor.is_none() {
            return Err(Unmerged::Malformed);
        }
        if cursor.as_ref().is_some_and(|cursor| cursor.len() > CURSOR_BYTES) {
            return Err(Unmerged::Malformed);
        }
        let ttl = result.get("ttlMs").and_then(|raw| strict_json::part::<u64>(raw.get())).unwrap_or(0);
        let is_public = text(&result, "cacheScope").as_deref() == Some("public");
        self.is_public = is_public && (self.is_public || self.parts == 0);
        self.ttl = Some(self.ttl.map_or(ttl, |known| known.min(ttl)));
        self.parts += 1;
        self.items.extend(items);
        self.more.extend(cursor.map(|cursor| (answer.server.to_owned(), cursor)));
        Ok(())
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> Vec<&str> {
        self.items.iter().map(|item| item.get()).collect()
    }

    /// The items, as they are in a response.
    #[must_use]
    pub fn text(&self) -> MergedText {
        let bytes: usize = self.items.iter().map(|item| item.get().len() + 1).sum();
        let mut items = String::with_capacity(bytes);
        for (at, item) in self.items.iter().enumerate() {
            items.push_str(if at == 0 { "" } else { "," });
            items.push_str(item.get());
        }
        MergedText { items, is_public: self.is_public, ttl: self.ttl.unwrap_or(0) }
    }
}

/// Several pages as one, as the gateway keeps it for later requests.
#[derive(Debug, PartialEq, Eq)]
pub struct MergedText {
    items: String,
    is_public: bool,
    ttl: u64,
}

impl MergedText {
    /// How many bytes the items have.
    #[must_use]
    pub fn size(&self) -> usize {
        self.items.len()
    }

    /// The response, with the sealed cursor of the next page if there is one. A list that lacks a server must not be kept. `ttl` are the
    /// milliseconds that are left of those that the servers named, if they are fewer by now.
    #[must_use]
    pub fn response(
        &self,
        (list, era): (List, Era),
        id: &RequestId,
        (cursor, ttl): (Option<&str>, Option<u64>),
        left_out: &[String],
    ) -> String {
        let mut result = Map::new();
        if let Some(cursor) = cursor {
            result.insert("nextCursor".to_owned(), json!(cursor));
        }
        let ttl = if left_out.is_empty() { ttl.unwrap_or(self.ttl) } else { 0 };
        // The cursors of the pages are for one caller, and all pages of a list have one scope (T31).
        let scope = if self.is_public && cursor.is_none() && left_out.is_empty() { "public" } else { "private" };
        if era == Era::Modern {
            result.insert("resultType".to_owned(), json!("complete"));
            result.insert("ttlMs".to_owned(), json!(ttl));
            result.insert("cacheScope".to_owned(), json!(scope));
        }
        if !left_out.is_empty() {
            result.insert("_meta".to_owned(), json!({ LEFT_OUT: left_out }));
        }
        let rest = Value::Object(result).to_string();
        let rest = rest.strip_prefix('{').unwrap_or_default();
        let mut text = String::with_capacity(self.items.len() + rest.len() + 128);
        text.push_str(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"{}\":[", id.to_json(), list.member));
        text.push_str(&self.items);
        text.push_str(if rest == "}" { "]" } else { "]," });
        text.push_str(rest);
        text.push('}');
        text
    }
}

/// What several servers say of themselves, as one.
#[derive(Debug, Default)]
pub struct MergedDiscovery {
    capabilities: Map<String, Value>,
    extensions: Map<String, Value>,
    instructions: Vec<String>,
    ttl: Option<u64>,
}

/// Capabilities that the gateway offers for several servers.
const OFFERED: [&str; 4] = ["tools", "prompts", "resources", "completions"];

/// What a capability says about notifications. The gateway offers them if the server has the era of the client: they arrive on streams
/// that only that era has.
const NOTIFIES: [&str; 2] = ["listChanged", "subscribe"];

/// The same, for clients of the legacy era only: a server of that era takes the level of log messages.
const OFFERED_TO_LEGACY: &str = "logging";

/// The tasks of MCP 2025-11-25.
const TASKS: &str = "tasks";

/// Extensions whose messages the gateway maps to the servers: tasks, and the user interfaces of Apps.
const OFFERED_EXTENSIONS: [&str; 2] = [TASKS_EXTENSION, "io.modelcontextprotocol/ui"];

impl MergedDiscovery {
    /// Adds what a server says. A capability or an extension is offered if one of the servers has it, because each of their items
    /// is reached by its own name. Tasks are offered only if server and client have the same era.
    ///
    /// # Errors
    /// [`Unmerged`] if the answer is no such result.
    pub fn add(&mut self, answer: &ServerAnswer<'_>, client: Era, id: &RequestId) -> Result<(), Unmerged> {
        let result = result(&answer.message, id)?;
        let value = |name| result.get(name).and_then(|raw| strict_json::parse(raw.get().as_bytes()).ok());
        let versions = value("supportedVersions");
        let is_modern =
            versions.as_ref().and_then(Value::as_array).is_some_and(|all| all.iter().any(|it| it == FIRST_MODERN));
        let capabilities = value("capabilities").filter(Value::is_object).ok_or(Unmerged::Malformed)?;
        if !is_modern && !value("protocolVersion").is_some_and(|version| version.is_string()) {
            return Err(Unmerged::Malformed);
        }
        let notifies = (client == Era::Modern) == is_modern;
        for (name, theirs) in OFFERED.into_iter().filter_map(|name| Some((name, capabilities.get(name)?))) {
            let ours = self.capabilities.entry(name).or_insert_with(|| json!({}));
            for what in NOTIFIES.into_iter().filter(|what| notifies && theirs.get(what) == Some(&Value::Bool(true))) {
                ours[what] = json!(true);
            }
        }
        if client == Era::Legacy && !is_modern {
            if capabilities.get(OFFERED_TO_LEGACY).is_some() {
                self.capabilities.insert(OFFERED_TO_LEGACY.to_owned(), json!({}));
            }
            if let Some(Value::Object(tasks)) = capabilities.get(TASKS) {
                let mut tasks = tasks.clone();
                // A list would hold the tasks of all callers.
                tasks.remove("list");
                self.capabilities.insert(TASKS.to_owned(), Value::Object(tasks));
            }
        }
        let theirs = capabilities.get("extensions").and_then(Value::as_object);
        for (name, value) in theirs.into_iter().flatten() {
            let has_tasks = client == Era::Modern && is_modern;
            if OFFERED_EXTENSIONS.contains(&name.as_str()) && (has_tasks || name != TASKS_EXTENSION) {
                self.extensions.insert(name.clone(), value.clone());
            }
        }
        if let Some(Value::String(instructions)) = value("instructions") {
            // Without empty lines, which begin what the next server says.
            let lines: Vec<&str> = instructions.lines().filter(|line| !line.trim().is_empty()).collect();
            let lines: String = lines.join("\n").chars().take(INSTRUCTIONS_CHARS).collect();
            self.instructions.push(format!("{}: {lines}", answer.server));
        }
        let ttl = value("ttlMs").and_then(|ttl| ttl.as_u64()).unwrap_or(0);
        self.ttl = Some(self.ttl.map_or(ttl, |known| known.min(ttl)));
        Ok(())
    }

    /// The response: of the legacy era if there is a version of it, and of the modern era otherwise.
    #[must_use]
    pub fn response(mut self, id: &RequestId, (name, legacy): (&str, Option<&str>), left_out: &[String]) -> String {
        if !self.extensions.is_empty() {
            self.capabilities.insert("extensions".to_owned(), Value::Object(self.extensions));
        }
        let ttl = if left_out.is_empty() { self.ttl.unwrap_or(0) } else { 0 };
        let mut meta = Map::new();
        let info = json!({ "name": name, "version": env!("CARGO_PKG_VERSION") });
        if !left_out.is_empty() {
            meta.insert(LEFT_OUT.to_owned(), json!(left_out));
        }
        let mut result = Map::new();
        let mut insert = |name: &str, value: Value| result.insert(name.to_owned(), value);
        insert("capabilities", Value::Object(self.capabilities));
        if let Some(version) = legacy {
            insert("protocolVersion", json!(version));
            insert("serverInfo", info);
        } else {
            meta.insert("io.modelcontextprotocol/serverInfo".to_owned(), info);
            insert("resultType", json!("complete"));
            insert("supportedVersions", json!(supported_versions()));
            insert("ttlMs", json!(ttl));
            insert("cacheScope", json!("private"));
        }
        if !meta.is_empty() {
            insert("_meta", Value::Object(meta));
        }
        if !self.instructions.is_empty() {
            insert("instructions", json!(self.instructions.join("\n\n")));
        }
        let id: Value = strict_json::parse(id.to_json().as_bytes()).unwrap_or_default();
        json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
    }
}

/// The response with this id in an event stream, whose other messages are notifications.
#[must_use]
pub fn response_in_events(events: &str, id: &RequestId) -> Option<String> {
    let lines = events.replace("\r\n", "\n").replace('\r', "\n");
    lines.split("\n\n").find_map(|event| {
        let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
        let data = data.join("\n");
        let members: Members<'_> = strict_json::part(&data)?;
        let answered: Value = strict_json::part(members.get("id")?.get())?;
        let is_response = members.contains_key("result") || members.contains_key("error");
        (is_response && RequestId::read(&answered).as_ref() == Some(id)).then_some(data)
    })
}
