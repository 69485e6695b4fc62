//! State handles (P7): ids of tasks (SEP-2663) and `requestState` (SEP-2322), sealed for one caller as sessions are, and the
//! URIs of the user interfaces of Apps (SEP-1865), marked with the tool that declares them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::limits::{NAME_BYTES, REQUEST_STATE_BYTES, TASK_ID_BYTES, URI_BYTES};
use crate::mcp::input_needed::CAPABILITIES;
use crate::mcp::session::{Holder, NONCE_BYTES, SessionKey, Sessions, append_parts};
use crate::seal::mac;
use crate::strict_json;
use crate::time::UnixMillis;

/// The extension that a client declares if it knows tasks (SEP-2663).
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// The scheme of the user interfaces of Apps.
pub const APP_SCHEME: &str = "ui://";

/// The query parameter that names the tool which declares the user interface of an App.
const APP_TOOL: &str = "portcullis-tool=";

/// What a `requestState` is sealed for.
const STATE: u8 = b'r';
/// What the `requestState` of a call that waits for approval is sealed for.
const APPROVAL: u8 = b'a';
/// What a cursor is sealed for.
const CURSOR: u8 = b'c';

/// Length in bytes of the mark of a URI: 128 bits.
const MARK_BYTES: usize = 16;

/// A task id that was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedTask {
    /// The id of the origin server.
    pub id: String,
    /// The tool that began the task.
    pub tool: String,
    /// When the id was sealed, in seconds since the epoch.
    pub since: u64,
}

/// The request that a `requestState` belongs to. The client sends the request again, with the state and what the server asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginalRequest {
    /// The method.
    pub method: String,
    /// The name or URI of what it acts on.
    pub name: String,
    /// The arguments, as they were sent.
    pub arguments: Option<Vec<u8>>,
    /// What identifies the server, if the resource has several.
    pub server: Option<String>,
}

impl OriginalRequest {
    /// Everything that must be the same in the request that brings the state back, each part preceded by its length.
    fn bytes(&self, purpose: u8, holder: Holder<'_>) -> Vec<u8> {
        let mut bytes = holder.bytes(purpose);
        let server = self.server.as_deref().unwrap_or_default();
        let digest = arguments_digest(self.arguments.as_deref());
        append_parts(&mut bytes, &[self.method.as_bytes(), self.name.as_bytes(), &digest, server.as_bytes()]);
        bytes
    }
}

/// SHA-256 of arguments; the same for equal arguments that are written differently.
#[must_use]
pub fn arguments_digest(arguments: Option<&[u8]>) -> [u8; 32] {
    Sha256::digest(arguments.map(canonical).unwrap_or_default()).into()
}

/// JSON with sorted members and without white space: clients may write equal arguments differently. Numbers of which some readers
/// read more digits than this one stay as they are written.
fn canonical(arguments: &[u8]) -> Vec<u8> {
    let value = strict_json::parse(arguments).ok().filter(|value| !strict_json::has_large_integer(value));
    let sorted = value.and_then(|value| serde_json::to_vec(&value).ok());
    sorted.unwrap_or_else(|| arguments.to_vec())
}

impl Sessions {
    /// Seals the id of a task for its caller and the tool that began it. `None` if the id is longer than [`TASK_ID_BYTES`].
    #[must_use]
    pub fn seal_task(&self, id: &str, tool: &str, holder: Holder<'_>, now: UnixMillis) -> Option<String> {
        if id.len() > TASK_ID_BYTES || tool.len() > NAME_BYTES {
            return None;
        }
        let length = u16::try_from(tool.len()).ok()?.to_be_bytes();
        let plain = [length.as_slice(), tool.as_bytes(), id.as_bytes()].concat();
        self.handle(&plain, &holder.of_tasks(), now)
    }

    /// The task whose id was sealed for this caller, unless the id has expired.
    #[must_use]
    pub fn open_task(&self, sealed: &str, holder: Holder<'_>, now: UnixMillis) -> Option<OpenedTask> {
        if sealed.len() > 2 * (TASK_ID_BYTES + NAME_BYTES) + 128 {
            return None;
        }
        let (plain, since) = self.opened(sealed, &holder.of_tasks(), now)?;
        let (length, rest) = plain.split_first_chunk::<2>()?;
        let (tool, id) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(OpenedTask { id: text(id)?, tool: text(tool)?, since })
    }

    /// Seals a `requestState` for its caller and the request that it belongs to. `None` if it is longer than
    /// [`REQUEST_STATE_BYTES`].
    #[must_use]
    pub fn seal_state(
        &self,
        state: &str,
        request: &OriginalRequest,
        holder: Holder<'_>,
        now: UnixMillis,
    ) -> Option<String> {
        if state.len() > REQUEST_STATE_BYTES {
            return None;
        }
        self.handle(state.as_bytes(), &request.bytes(STATE, holder), now)
    }

    /// The `requestState` that was sealed for this caller and request, unless it has expired, and when it was sealed.
    #[must_use]
    pub fn open_state(
        &self,
        sealed: &str,
        request: &OriginalRequest,
        holder: Holder<'_>,
        now: UnixMillis,
    ) -> Option<(String, u64)> {
        if sealed.len() > 2 * REQUEST_STATE_BYTES {
            return None;
        }
        let (state, since) = self.opened(sealed, &request.bytes(STATE, holder), now)?;
        Some((String::from_utf8(state).ok()?, since))
    }

    /// The `requestState` of a call that waits for approval under the policy with this hash: for its caller and the call.
    #[must_use]
    pub fn seal_approval(
        &self,
        policy: &str,
        request: &OriginalRequest,
        holder: Holder<'_>,
        now: UnixMillis,
    ) -> Option<String> {
        self.handle(policy.as_bytes(), &request.bytes(APPROVAL, holder), now)
    }

    /// Whether a `requestState` is that of this call and caller, waiting for approval, and has not expired; when it was sealed.
    #[must_use]
    pub fn open_approval(
        &self,
        sealed: &str,
        request: &OriginalRequest,
        holder: Holder<'_>,
        now: UnixMillis,
    ) -> Option<u64> {
        if sealed.len() > 512 {
            return None;
        }
        self.opened(sealed, &request.bytes(APPROVAL, holder), now).map(|(_, since)| since)
    }

    /// Seals the cursor of a list of several servers for its caller, the method and the configuration of the servers.
    #[must_use]
    pub fn seal_cursor(&self, cursor: &str, list: (&str, &str), holder: Holder<'_>, now: UnixMillis) -> Option<String> {
        self.handle(cursor.as_bytes(), &cursor_context(list, holder), now)
    }

    /// The cursor that was sealed for this caller and list, unless it has expired.
    #[must_use]
    pub fn open_cursor(&self, sealed: &str, list: (&str, &str), holder: Holder<'_>, now: UnixMillis) -> Option<String> {
        if sealed.len() > 2 * REQUEST_STATE_BYTES {
            return None;
        }
        let (cursor, _) = self.opened(sealed, &cursor_context(list, holder), now)?;
        String::from_utf8(cursor).ok()
    }

    /// Seals with a nonce that depends on everything that is sealed, so that one answer can hold any number of handles:
    /// the same nonce occurs again only for the same text.
    pub(super) fn handle(&self, plain: &[u8], context: &[u8], now: UnixMillis) -> Option<String> {
        let now_bytes = now.seconds().to_be_bytes();
        let mac = mac(&self.keys.first()?.mark, &[b"handle", &now_bytes, context, plain]);
        self.sealed(plain, context, mac.first_chunk::<NONCE_BYTES>()?, now)
    }

    /// A URI with the tool that declares it. The mark says that this gateway saw the declaration at this resource; it is the
    /// same for all callers, and permits nothing. `None` for a URI that cannot have a query.
    #[must_use]
    pub fn mark_app(&self, uri: &str, tool: &str, resource: &str) -> Option<String> {
        if uri.len() > URI_BYTES || uri.contains('#') {
            return None;
        }
        let mark = app_mark(self.keys.first()?, uri, tool, resource)?;
        let value = [mark.as_slice(), tool.as_bytes()].concat();
        let separator = if uri.contains('?') { '&' } else { '?' };
        Some(format!("{uri}{separator}{APP_TOOL}{}", URL_SAFE_NO_PAD.encode(value)))
    }

    /// The URI without its mark, and the tool that declares it, if this gateway marked it.
    #[must_use]
    pub fn app_of<'a>(&self, marked: &'a str, resource: &str) -> Option<(&'a str, String)> {
        let (uri, value) = marked.rsplit_once(APP_TOOL)?;
        let uri = uri.strip_suffix(['?', '&'])?;
        let value = URL_SAFE_NO_PAD.decode(value).ok()?;
        let (mark, tool) = value.split_at_checked(MARK_BYTES)?;
        let tool = String::from_utf8(tool.to_vec()).ok()?;
        let fits = |key: &SessionKey| {
            // Compares every byte, so that the time does not depend on where they differ.
            app_mark(key, uri, &tool, resource)
                .is_some_and(|own| own.iter().zip(mark).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0)
        };
        self.keys.iter().any(fits).then_some((uri, tool))
    }
}

/// What a cursor is for: the method and what identifies the servers.
fn cursor_context((method, servers): (&str, &str), holder: Holder<'_>) -> Vec<u8> {
    let mut bytes = holder.bytes(CURSOR);
    append_parts(&mut bytes, &[method.as_bytes(), servers.as_bytes()]);
    bytes
}

fn app_mark(key: &SessionKey, uri: &str, tool: &str, resource: &str) -> Option<[u8; MARK_BYTES]> {
    let mac = mac(&key.mark, &[b"app", resource.as_bytes(), tool.as_bytes(), uri.as_bytes()]);
    mac.first_chunk::<MARK_BYTES>().copied()
}

/// Whether the client of a request declares that it knows tasks.
#[must_use]
pub fn declares_tasks(body: &[u8]) -> bool {
    let Some(message) = std::str::from_utf8(body).ok().and_then(strict_json::part::<Value>) else { return false };
    let declared = || message.get("params")?.get("_meta")?.get(CAPABILITIES)?.get("extensions")?.get(TASKS_EXTENSION);
    declared().is_some_and(Value::is_object)
}
