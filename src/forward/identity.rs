//! What the origin server learns about the caller: the `X-Portcullis-*` fields, and the claims of the identity assertion.

use serde_json::{Map, Value};

use crate::limits::IDENTITY_BYTES;
use crate::pipeline::permit::Permit;
use crate::pipeline::rejection::Rejection;
use crate::token::principal::Principal;
use crate::transport::head::Fields;

/// Sets the fields that identify the caller. Callers cannot forge them: the gateway never forwards fields of these names.
///
/// # Errors
/// [`Rejection::IdentityTooLarge`]: the gateway leaves out no claim, because the origin server may decide by its absence.
pub(super) fn identify(fields: &mut Fields, permit: &Permit, assertion: Option<&str>) -> Result<(), Rejection> {
    let Principal::Subject(subject) = permit.principal() else { return Ok(()) };
    fields.set("x-portcullis-subject", encoded(&subject.subject));
    fields.set("x-portcullis-issuer", encoded(&subject.issuer));
    if let Some(client) = &subject.client {
        fields.set("x-portcullis-client", encoded(client));
    }
    fields.set("x-portcullis-scopes", subject.scopes.to_string());
    let mut bytes = 0;
    for claim in permit.identity_claims() {
        if let Some(value) = claim.source.value(&subject.rights) {
            let text = field_value(&value);
            bytes += text.len();
            fields.set(claim.field.clone(), text);
        }
    }
    if bytes > IDENTITY_BYTES {
        return Err(Rejection::IdentityTooLarge { bytes });
    }
    if let Some(assertion) = assertion {
        fields.set("x-portcullis-assertion", assertion);
    }
    Ok(())
}

/// The claims of the caller for the identity assertion.
#[must_use]
pub fn claims(permit: &Permit) -> Map<String, Value> {
    let Principal::Subject(subject) = permit.principal() else { return Map::new() };
    let named = permit.identity_claims().iter();
    named.filter_map(|claim| Some((claim.name.clone(), claim.source.value(&subject.rights)?))).collect()
}

/// A claim as the value of a field: a string percent-encoded, a list with commas between its items, anything else as JSON.
fn field_value(value: &Value) -> String {
    match value {
        Value::String(text) => encoded(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| field_value_of_item(item).replace(',', "%2C")).collect();
            items.join(",")
        }
        other => encoded(&other.to_string()),
    }
}

fn field_value_of_item(item: &Value) -> String {
    match item {
        Value::String(text) => encoded(text),
        other => encoded(&other.to_string()),
    }
}

/// Encodes any text as a field value: characters other than visible ASCII, and `%`, are percent-encoded (RFC 3986
/// §2.1).
fn encoded(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            value.push(char::from(byte));
        } else {
            value.push_str(&format!("%{byte:02X}"));
        }
    }
    value
}
