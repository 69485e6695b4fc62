//! How the gateway talks with one of several servers: in the era of the client, or in the other one if the server does not have
//! that. In the legacy era it opens a session at the server for the client.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::limits::{CLIENT_CAPABILITIES_BYTES, CLIENT_TEXT_BYTES, SERVER_SESSION_BYTES};
use crate::mcp::envelope::RequestId;
use crate::mcp::era::{Era, FIRST_MODERN, LEGACY_VERSIONS};
use crate::mcp::input_needed::{CAPABILITIES, opens_urls};
use crate::mcp::method::{DISCOVER, INITIALIZE, INITIALIZED};
use crate::mcp::session::{Holder, append_parts};
use crate::strict_json;

/// The member of `_meta` with the version of a request of the modern era.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The member of `_meta` that says which program the client is.
const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// The member of `_meta` with the least level of log messages that the client wants.
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// What the key of a caller is made for.
const CONVERSATION: u8 = b'v';

/// The code with which a server says that it does not have a method.
const METHOD_NOT_FOUND: i64 = -32601;
/// The code with which a server says that it does not have the version of a request (T28).
pub const UNSUPPORTED_VERSION: i64 = -32022;

/// The id of the gateway's own requests.
const OWN_ID: &str = "portcullis";

/// What a client says of itself when it opens a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientIntroduction {
    /// The revision of the legacy era that it uses.
    pub version: String,
    /// `clientInfo` in JSON: name, title and version.
    pub info: String,
    /// `capabilities` in JSON.
    pub capabilities: String,
}

impl ClientIntroduction {
    /// Whether the client declares URL mode elicitation.
    #[must_use]
    pub fn opens_urls(&self) -> bool {
        let capabilities = strict_json::parse(self.capabilities.as_bytes()).ok();
        capabilities.as_ref().is_some_and(opens_urls)
    }
}

/// A session at a server of the legacy era.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSession {
    /// Its id; `None` if the server has no sessions.
    pub id: Option<String>,
    /// The revision that the server uses in it.
    pub version: String,
}

/// What identifies a client in the memory of an isolate: its caller, and which of the clients of that caller it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientKey {
    /// The caller and the resource.
    pub caller: [u8; 32],
    /// The client.
    pub client: [u8; 32],
}

/// The client that the gateway talks with servers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSide {
    /// Its era.
    pub era: Era,
    /// Identifies it.
    pub key: ClientKey,
    /// What it said of itself.
    pub introduction: ClientIntroduction,
    /// Its sessions at servers of the legacy era, each with what identifies the server, if the client brought them.
    pub sessions: Vec<(String, ServerSession)>,
}

impl ClientSide {
    /// A client without a session: of the modern era, or one of the legacy era that has none.
    #[must_use]
    pub fn without_session(era: Era, body: &[u8], holder: Holder<'_>) -> Self {
        let introduction = ClientIntroduction::in_meta(body);
        // One session for all of them: they have no capabilities, and the ids of their requests are different for a server.
        let key = ClientKey::of(holder, &[era.as_str()]);
        Self { era, key, introduction, sessions: Vec::new() }
    }

    /// A client with a session, which has this key.
    #[must_use]
    pub fn with_session(
        key: &str,
        introduction: ClientIntroduction,
        sessions: Vec<(String, ServerSession)>,
        holder: Holder<'_>,
    ) -> Self {
        Self { era: Era::Legacy, key: ClientKey::of(holder, &["session", key]), introduction, sessions }
    }

    /// Its session at the server with this fingerprint, if the client brought it.
    #[must_use]
    pub fn session(&self, server: &str) -> Option<&ServerSession> {
        self.sessions.iter().find(|(of, _)| of == server).map(|(_, session)| session)
    }
}

impl ClientKey {
    fn of(holder: Holder<'_>, client: &[&str]) -> Self {
        let mut parts = Vec::new();
        append_parts(&mut parts, &client.iter().map(|part| part.as_bytes()).collect::<Vec<_>>());
        Self { caller: Self::caller(holder), client: Sha256::digest(parts).into() }
    }

    /// Identifies the caller alone.
    #[must_use]
    pub fn caller(holder: Holder<'_>) -> [u8; 32] {
        Sha256::digest(holder.bytes(CONVERSATION)).into()
    }
}

/// How the gateway talks with a server for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversation {
    /// As in the modern era.
    Modern,
    /// As in the legacy era, in this session.
    Legacy(ServerSession),
}

impl Conversation {
    /// Its era.
    #[must_use]
    pub fn era(&self) -> Era {
        match self {
            Self::Modern => Era::Modern,
            Self::Legacy(_) => Era::Legacy,
        }
    }
}

/// A message with which the gateway opens a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening<'a> {
    /// `server/discover`
    Discover,
    /// `initialize`
    Initialize,
    /// `notifications/initialized`
    Initialized(&'a ServerSession),
}

/// What a server of the legacy era says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerIntroduction {
    /// The revision that it uses.
    pub version: String,
    /// The result of `initialize`, in JSON.
    pub result: String,
}

impl ClientIntroduction {
    /// The introduction in the params of `initialize`: the members that servers need, if they are not too large.
    #[must_use]
    pub fn in_params(body: &[u8]) -> Option<Self> {
        let message: Value = strict_json::parse(body).ok()?;
        let params = message.get("params")?;
        let asked = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
        let version = LEGACY_VERSIONS.iter().find(|known| **known == asked).unwrap_or(&LEGACY_VERSIONS[0]);
        // A capability that is no object is none: servers would refuse the whole request, and it has to be this client that is at fault.
        let capabilities = params.get("capabilities").and_then(Value::as_object).map(|all| {
            let all: Map<String, Value> = all.clone().into_iter().filter(|(_, value)| value.is_object()).collect();
            Value::Object(all).to_string()
        });
        Some(Self {
            version: (*version).to_owned(),
            info: info(params.get("clientInfo")),
            capabilities: capabilities.filter(|it| it.len() <= CLIENT_CAPABILITIES_BYTES).unwrap_or_else(no_members),
        })
    }

    /// The introduction of a client of the modern era, or of one without a session. A server cannot ask it for anything on the way, so
    /// it has no capabilities.
    #[must_use]
    pub fn in_meta(body: &[u8]) -> Self {
        let message: Option<Value> = std::str::from_utf8(body).ok().and_then(strict_json::part);
        let said = message.as_ref().and_then(|message| message.get("params")?.get("_meta")?.get(CLIENT_INFO));
        Self { version: LEGACY_VERSIONS[0].to_owned(), info: info(said), capabilities: no_members() }
    }

    /// The introduction of the gateway itself: what a server refuses of it, it refuses of every client.
    #[must_use]
    pub fn of_gateway() -> Self {
        Self { version: LEGACY_VERSIONS[0].to_owned(), info: info(None), capabilities: no_members() }
    }

    /// The body of a message that opens a conversation.
    #[must_use]
    pub fn message(&self, opening: Opening<'_>) -> Vec<u8> {
        let json = |text: &str| strict_json::parse(text.as_bytes()).unwrap_or_else(|_| json!({}));
        let message = match opening {
            Opening::Discover => {
                json!({ "jsonrpc": "2.0", "id": OWN_ID, "method": DISCOVER, "params": { "_meta": Self::of_gateway().meta() } })
            }
            Opening::Initialize => json!({
                "jsonrpc": "2.0", "id": OWN_ID, "method": INITIALIZE,
                "params": {
                    "protocolVersion": self.version, "clientInfo": json(&self.info), "capabilities": json(&self.capabilities),
                },
            }),
            Opening::Initialized(_) => json!({ "jsonrpc": "2.0", "method": INITIALIZED }),
        };
        message.to_string().into_bytes()
    }

    /// What a request of the modern era has in `_meta`. What a server asks for in the modern era, a client of the legacy era cannot
    /// give: it has no capabilities.
    #[must_use]
    pub fn meta(&self) -> Map<String, Value> {
        let mut meta = Map::new();
        meta.insert(VERSION.to_owned(), json!(FIRST_MODERN));
        meta.insert(CLIENT_INFO.to_owned(), strict_json::parse(self.info.as_bytes()).unwrap_or_else(|_| json!({})));
        meta.insert(CAPABILITIES.to_owned(), json!({}));
        meta
    }
}

/// The id of the gateway's own requests.
#[must_use]
pub fn own_id() -> RequestId {
    RequestId::read(&json!(OWN_ID)).unwrap_or_default()
}

fn no_members() -> String {
    "{}".to_owned()
}

/// `clientInfo` with the members that servers need.
fn info(said: Option<&Value>) -> String {
    let text = |name: &str| {
        let text = said?.get(name)?.as_str()?;
        Some(text.to_owned()).filter(|text| text.len() <= CLIENT_TEXT_BYTES)
    };
    let mut info = Map::new();
    info.insert("name".to_owned(), json!(text("name").unwrap_or_else(|| OWN_ID.to_owned())));
    info.insert("version".to_owned(), json!(text("version").unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())));
    if let Some(title) = text("title") {
        info.insert("title".to_owned(), json!(title));
    }
    Value::Object(info).to_string()
}

/// Whether a member of `_meta` belongs to the modern era alone.
#[must_use]
pub fn is_modern_meta(name: &str) -> bool {
    [VERSION, CLIENT_INFO, CAPABILITIES, LOG_LEVEL].contains(&name)
}

/// The levels of log messages (RFC 5424), up to 2025-11-25.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// Whether a request names a level of log messages.
#[must_use]
pub fn is_level(body: &[u8]) -> bool {
    let message: Option<Value> = std::str::from_utf8(body).ok().and_then(strict_json::part);
    let level = message.as_ref().and_then(|message| message.get("params")?.get("level")?.as_str());
    level.is_some_and(|level| LEVELS.contains(&level))
}

/// Whether a request of the modern era has the capabilities of its client, as every one must.
#[must_use]
pub fn declares_capabilities(body: &[u8]) -> bool {
    let message: Option<Value> = std::str::from_utf8(body).ok().and_then(strict_json::part);
    let said = message.as_ref().and_then(|message| message.get("params")?.get("_meta")?.get(CAPABILITIES));
    said.is_some_and(Value::is_object)
}

/// The token with which the client wants reports on its request, in JSON.
#[must_use]
pub fn progress_token(body: &[u8]) -> Option<String> {
    let message: Value = std::str::from_utf8(body).ok().and_then(strict_json::part)?;
    message.get("params")?.get("_meta")?.get("progressToken").map(Value::to_string)
}

/// Whether a request of the modern era asks for log messages.
#[must_use]
pub fn asks_for_log(body: &[u8]) -> bool {
    let message: Option<Value> = std::str::from_utf8(body).ok().and_then(strict_json::part);
    message.as_ref().and_then(|message| message.get("params")?.get("_meta")?.get(LOG_LEVEL)).is_some()
}

/// Whether the answer to the gateway's own `server/discover` says that the server has the modern era.
#[must_use]
pub fn is_modern(message: Option<&str>) -> bool {
    let message: Option<Value> = message.and_then(strict_json::part);
    let versions = message.as_ref().and_then(|message| {
        let of_result = message.get("result").and_then(|result| result.get("supportedVersions"));
        // A server that has another revision of the modern era only says so in the error (T28).
        of_result.or_else(|| message.get("error")?.get("data")?.get("supported"))?.as_array()
    });
    versions.is_some_and(|versions| versions.iter().any(|version| version == FIRST_MODERN))
}

/// Whether a server says that it does not have a method, or the version of the request.
fn has_no_method(message: &Value) -> bool {
    let code = message.get("error").and_then(|error| error.get("code")).and_then(Value::as_i64);
    code.is_some_and(|code| [METHOD_NOT_FOUND, UNSUPPORTED_VERSION].contains(&code))
}

/// Whether the answer to the gateway's own `initialize` says that the server does not have the legacy era.
#[must_use]
pub fn is_not_legacy(message: Option<&str>) -> bool {
    let message: Option<Value> = message.and_then(strict_json::part);
    message.as_ref().is_some_and(has_no_method)
}

/// What the answer to the gateway's own `initialize` says; `None` if it is not one of the legacy era.
#[must_use]
pub fn introduced(message: &str) -> Option<ServerIntroduction> {
    let members: std::collections::BTreeMap<String, &RawValue> = strict_json::part(message)?;
    let result = members.get("result")?.get();
    let said: Value = strict_json::part(result)?;
    let version = said.get("protocolVersion")?.as_str()?;
    let is_legacy = LEGACY_VERSIONS.contains(&version);
    is_legacy.then(|| ServerIntroduction { version: version.to_owned(), result: result.to_owned() })
}

impl ServerSession {
    /// The session that a server opened. `None` if no request could carry its id.
    #[must_use]
    pub fn opened(id: Option<&str>, version: &str) -> Option<Self> {
        let fits = |id: &str| id.len() <= SERVER_SESSION_BYTES && id.bytes().all(|byte| byte.is_ascii_graphic());
        if !id.is_none_or(fits) {
            return None;
        }
        Some(Self { id: id.filter(|id| !id.is_empty()).map(str::to_owned), version: version.to_owned() })
    }
}
