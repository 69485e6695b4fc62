//! Cache keys of lists.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::forward::request::is_forwarded;
use crate::mcp::era::Era;
use crate::mcp::message::Message;
use crate::mcp::operation::Operation;
use crate::pipeline::permit::Permit;
use crate::strict_json;

/// Members of `_meta` that say something about this request alone, and nothing that a list could depend on.
const OF_ONE_REQUEST: [&str; 3] = ["progressToken", "traceparent", "tracestate"];

/// The cache key of the list that a request asks for; `None` if it does not ask for a list that may be cached. The key
/// depends on everything in the request that the origin server may use, except the caller.
#[must_use]
pub fn list_key(permit: &Permit) -> Option<String> {
    let (inspected, resource) = (permit.inspected()?, permit.resource()?);
    let admitted = inspected.authenticated().request().admitted();
    let [Message::Request { call, .. }] = inspected.messages()? else { return None };
    if !resource.cache_lists
        || admitted.era() != Era::Modern
        || !call.is_list()
        || call.params.others
        || call.params.continues
    {
        return None;
    }
    // What a guard or a hook takes out of a list, a cached one would bring back.
    let looks =
        |operation: &Operation| resource.content.as_ref().is_some_and(|content| content.looks_at_results_of(operation));
    if call.operations().ok()?.iter().any(looks) {
        return None;
    }
    let fields = &admitted.head().fields;
    // An origin server may return another list for each path below the resource, each query, and each value of a field
    // that it gets.
    let forwarded: String = fields
        .iter()
        .filter(|(name, _)| is_forwarded(name, &resource.forward_fields))
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let mut hash = Sha256::new();
    for part in [
        admitted.path().as_str(),
        admitted.query().map_or("\0", |query| query),
        forwarded.as_str(),
        resource.identifier.as_str(),
        &resource.origin.url.to_string(),
        resource.origin.service.as_deref().unwrap_or_default(),
        call.params.version.as_deref().unwrap_or_default(),
        &call.method,
        permit.cursor().unwrap_or("\0"),
        &meta(inspected.body()).unwrap_or_default(),
        permit.server().map_or("\0", |server| server.fingerprint.as_str()),
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Some(format!("list/{}", URL_SAFE_NO_PAD.encode(hash.finalize())))
}

/// What the origin server may read in `_meta` of a request, the capabilities of the client among it.
fn meta(body: &[u8]) -> Option<String> {
    type Members<'a> = BTreeMap<String, &'a RawValue>;
    let message: Members<'_> = strict_json::part(std::str::from_utf8(body).ok()?)?;
    let params: Members<'_> = strict_json::part(message.get("params")?.get())?;
    let meta: Members<'_> = strict_json::part(params.get("_meta")?.get())?;
    let named = meta.iter().filter(|(name, _)| !OF_ONE_REQUEST.contains(&name.as_str()));
    Some(named.map(|(name, value)| format!("{name:?}:{}\n", value.get())).collect())
}
