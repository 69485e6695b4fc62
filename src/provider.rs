//! Documents of identity providers: their metadata and key sets, fetched through the ports.

use crate::jwks::discovery::{Metadata, MetadataError};
use crate::limits::LOG_VALUE_CHARS;
use crate::observe::event::gateway_line;
use crate::ports::Ports;
use crate::transport::provider::ProviderDocument;

/// Finds the metadata of an issuer: tries each location in turn, and returns what `wanted` reads from the first
/// document that has it. A document that is missing, belongs to another issuer (RFC 8414 §3.3) or lacks what `wanted`
/// looks for leads to the next location: all locations are on the issuer's own host.
///
/// # Errors
/// What was wrong at each location.
pub async fn discover<P: Ports, T>(
    ports: &P,
    locations: impl IntoIterator<Item = String>,
    (identifier, development): (&str, bool),
    wanted: impl Fn(&Metadata<'_>) -> Result<T, MetadataError>,
) -> Result<T, String> {
    let mut failures = Vec::new();
    for location in locations {
        let found = get(ports, &location).await.and_then(|document| {
            let metadata = Metadata::read(&document.body, identifier, development);
            metadata.and_then(|metadata| wanted(&metadata)).map_err(|why| format!("{location}: {why}"))
        });
        match found {
            Ok(found) => return Ok(found),
            Err(why) => failures.push(why),
        }
    }
    Err(failures.join("; "))
}

/// Fetches a document of an identity provider. Some providers publish JSON under another media type, or under none: the
/// gateway accepts such a document if it begins with `{`, and logs it.
///
/// # Errors
/// What is wrong with the answer.
pub async fn get<P: Ports>(ports: &P, url: &str) -> Result<ProviderDocument, String> {
    let document = ports.get(url).await.map_err(|why| format!("{url}: {why}"))?;
    match document.status {
        200 if document.is_json() => Ok(document),
        200 if document.body.trim_ascii_start().starts_with(b"{") => {
            let media_type: String = document.media_type().chars().take(LOG_VALUE_CHARS).collect();
            let detail = format!("{url}: JSON with the content type {media_type:?}, should be application/json");
            ports.line(&gateway_line("warn", "provider_content_type", &detail, ports.now()));
            Ok(document)
        }
        200 => Err(format!("{url}: the answer is not JSON by its content type")),
        status => Err(format!("{url}: status {status}")),
    }
}
