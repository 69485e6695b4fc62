//! The claims of the identity assertion that name what the request asks for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::mcp::message::{self, Call, Message};
use crate::mcp::method::Target;
use crate::pipeline::permit::Permit;
use crate::pipeline::rejection::Rejection;
use crate::policy::approval::PersonDecision;
use crate::strict_json;

/// Writes JSON in canonical form (RFC 8785).
pub type Canonical<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The claims about the message that the origin server gets: `mcp_method`, `mcp_name` if the method acts on an item, and
/// `arguments_sha256` if it has arguments. Empty if the gateway did not read the message, for a batch and for a response: an
/// origin server that checks these claims rejects such requests.
///
/// # Errors
/// [`Rejection::Internal`] if the message with a decoy cannot be made.
pub fn claims(permit: &Permit, canonical: &Canonical<'_>) -> Result<Map<String, Value>, Rejection> {
    let Some(inspected) = permit.inspected() else { return Ok(Map::new()) };
    // A stand-in is what the origin server gets, and the assertion is about nothing else.
    let claims = match permit.message()? {
        Some(body) => message::parse(&body, true).ok().and_then(|messages| of_messages(&messages, &body, canonical)),
        None => inspected.messages().and_then(|messages| of_messages(messages, inspected.body(), canonical)),
    };
    Ok(claims.unwrap_or_default())
}

/// The claim about the person who approved the call.
#[must_use]
pub fn approval_claim(approved: &PersonDecision) -> (String, Value) {
    let PersonDecision { issuer, subject, at, id } = approved;
    ("approved_by".to_owned(), json!({ "iss": issuer, "sub": subject, "at": at, "id": id }))
}

/// The claims about a message that the gateway sends itself.
#[must_use]
pub fn own_claims(body: &[u8], canonical: &Canonical<'_>) -> Map<String, Value> {
    let messages = message::parse(body, false).ok();
    messages.and_then(|messages| of_messages(&messages, body, canonical)).unwrap_or_default()
}

fn of_messages(messages: &[Message], body: &[u8], canonical: &Canonical<'_>) -> Option<Map<String, Value>> {
    let [message] = messages else { return None };
    // Also a batch of one message is a batch.
    if message::is_batch(body) {
        return None;
    }
    let call = message.call()?;
    let mut claims = Map::new();
    claims.insert("mcp_method".to_owned(), json!(call.method));
    if let [operation] = call.operations().unwrap_or_default().as_slice()
        && let Some(name) = operation.name()
    {
        claims.insert("mcp_name".to_owned(), json!(name));
    }
    if let Some(digest) = has_arguments(call).then(|| arguments_digest(body, canonical)).flatten() {
        claims.insert("arguments_sha256".to_owned(), json!(digest));
    }
    Some(claims)
}

/// Whether the method takes arguments: `tools/call` and `prompts/get`.
fn has_arguments(call: &Call) -> bool {
    matches!(call.known().map(|known| known.target), Some(Target::Name(_)))
}

/// SHA-256 of the arguments in canonical form (RFC 8785), of `{}` if there are none. `None` if they have no canonical form,
/// because a member is repeated, they are nested too deeply, or a number is too large.
fn arguments_digest(body: &[u8], canonical: &Canonical<'_>) -> Option<String> {
    let canonical = match message::arguments(body) {
        Some(arguments) => {
            let value = strict_json::parse(&arguments).ok()?;
            if strict_json::has_large_integer(&value) {
                return None;
            }
            canonical(std::str::from_utf8(&arguments).ok()?)?
        }
        None => "{}".to_owned(),
    };
    Some(URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)))
}
