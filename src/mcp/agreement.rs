//! Checks that the header fields of a modern request agree with the body that they mirror (T8, T12 to T16; SEP-2243).

use crate::mcp::kind::Kind;
use crate::mcp::method::Target;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

use crate::mcp::message::Message;
use crate::transport::head::Fields;

/// The name of a field that disagrees with the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch(pub String);

const MARK: &str = "=?base64?";
const MARK_END: &str = "?=";

/// A mirrored value that is marked as base64 but does not encode text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecodable;

/// Decodes the value of a mirrored field: literal text, or base64 between the marks `=?base64?` and `?=`, whose letter
/// case matters. A value with only one of the marks is literal.
///
/// # Errors
/// [`Undecodable`] if the text between the marks is not canonical base64, or does not encode UTF-8.
pub fn decode(value: &str) -> Result<String, Undecodable> {
    let value = value.trim_matches([' ', '\t']);
    match value.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(MARK_END)) {
        None => Ok(value.to_owned()),
        Some(encoded) => {
            let bytes = STANDARD.decode(encoded).map_err(|_| Undecodable)?;
            String::from_utf8(bytes).map_err(|_| Undecodable)
        }
    }
}

/// Encodes a name for the field that mirrors it.
#[must_use]
pub fn mirrored(name: &str) -> String {
    let literal = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') && name.trim() == name;
    if literal && !name.starts_with(MARK) {
        name.to_owned()
    } else {
        format!("{MARK}{}{MARK_END}", STANDARD.encode(name))
    }
}

/// Checks that the fields agree with the body:
///
/// 1. `MCP-Protocol-Version` is the version in `_meta`, if `_meta` has one (T8).
///    [`inspect::read`](crate::pipeline::inspect::read) checks whether it must have one.
/// 2. A request has `Mcp-Method`, and it is the method. A request whose method has a name has `Mcp-Name`, and it is
///    that name (T12).
/// 3. Each `Mcp-Param-*` field that the configuration names is present exactly if its argument is, and has the same
///    value (T15). Other such fields are ignored (T16).
///
/// # Errors
/// [`Mismatch`] for the first field that disagrees.
pub fn hold(fields: &Fields, message: &Message, parameters: &[(String, String)]) -> Result<(), Mismatch> {
    let Some(call) = message.call() else { return Ok(()) };
    let is_request = matches!(message, Message::Request { .. });
    let mismatch = |name: &str| Err(Mismatch(name.to_owned()));
    let version = fields.get("mcp-protocol-version").map(str::trim);
    if call.params.version.as_deref().is_some_and(|said| Some(said) != version) {
        return mismatch("mcp-protocol-version");
    }
    let method = fields.get("mcp-method").map(|value| value.trim_matches([' ', '\t']));
    match method {
        Some(method) if method == call.method => {}
        None if !is_request => {}
        _ => return mismatch("mcp-method"),
    }
    let name = fields.get("mcp-name").map(decode);
    match (name, call.mirrored_name()) {
        (Some(Ok(name)), Some(said)) if name == said => {}
        // Other methods have no name to mirror, so the gateway ignores a field that is sent nevertheless.
        (Some(Ok(_)), None) if !call.known().is_some_and(|known| known.is_mirrored) => {}
        (None, None) => {}
        (None, Some(_)) if !is_request => {}
        _ => return mismatch("mcp-name"),
    }
    for (field, argument) in parameters {
        let value = call.params.arguments.as_ref().and_then(|arguments| arguments.get(argument));
        let value = value.filter(|value| !value.is_null());
        let agrees = match (fields.get(field).map(decode), value) {
            (None, None) => true,
            (Some(Ok(text)), Some(value)) => means(&text, value),
            _ => false,
        };
        if !agrees && call.known().is_some_and(|known| known.target == Target::Name(Kind::Tool)) {
            return mismatch(field);
        }
    }
    Ok(())
}

/// Whether the text of a field has the value of an argument: strings are equal, numbers have the same value (42 is
/// 42.0), and booleans are written as in JSON.
fn means(text: &str, value: &Value) -> bool {
    match value {
        Value::String(said) => text == said,
        Value::Bool(said) => text == said.to_string(),
        Value::Number(said) => {
            let read: Option<Number> = crate::strict_json::parse(text.as_bytes()).ok().and_then(|value| match value {
                Value::Number(number) => Some(number),
                _ => None,
            });
            read.is_some_and(|read| same_number(&read, said))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn same_number(one: &Number, other: &Number) -> bool {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.as_f64() == other.as_f64(),
    }
}
