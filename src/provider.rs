//! Documents of identity providers: their metadata and key sets, fetched through the ports.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;

use crate::jwks::discovery::{Metadata, MetadataError};
use crate::jwks::freshness::{KeyState, lifetime};
use crate::jwks::key_set::{KeySet, KeySetError};
use crate::limits::{LOG_VALUE_CHARS, LOOKUP_POLL, PROVIDER_TIMEOUT};
use crate::observe::event::gateway_line;
use crate::platform_error::PlatformError;
use crate::ports::Ports;
use crate::transport::provider::{ProviderDocument, ProviderRequest};

/// Why an identity provider, or another server that the gateway asks, gave nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderError {
    /// The document does not have a media type of JSON.
    ContentType(String),
    /// Keys of the configuration: there is nothing to fetch.
    Configured,
    /// The key set cannot be used.
    KeySet(KeySetError),
    /// The metadata at this URL cannot be used.
    Metadata(String, MetadataError),
    /// No complete answer arrived.
    NoAnswer(String, PlatformError),
    /// No location has metadata that can be used, each for its reason.
    NoMetadata(Vec<ProviderError>),
    /// The answer has another status than 200.
    Status(String, u16),
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContentType(url) => write!(f, "{url}: the answer is not JSON by its content type"),
            Self::Configured => f.write_str("the keys are in the configuration"),
            Self::KeySet(error) => error.fmt(f),
            Self::Metadata(url, error) => write!(f, "{url}: {error}"),
            Self::NoAnswer(url, error) => write!(f, "{url}: {error}"),
            Self::NoMetadata(errors) => {
                for (at, error) in errors.iter().enumerate() {
                    write!(f, "{}{error}", if at > 0 { "; " } else { "" })?;
                }
                Ok(())
            }
            Self::Status(url, status) => write!(f, "{url}: status {status}"),
        }
    }
}

impl Error for ProviderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::KeySet(error) => Some(error),
            Self::Metadata(_, error) => Some(error),
            Self::NoAnswer(_, error) => Some(error),
            Self::NoMetadata(errors) => errors.first().map(|error| error as &dyn Error),
            Self::Configured | Self::ContentType(_) | Self::Status(..) => None,
        }
    }
}

/// Finds the metadata of an issuer: tries each location in turn, and returns what `wanted` reads from the first
/// document that has it. A document that is missing, belongs to another issuer (RFC 8414 §3.3) or lacks what `wanted`
/// looks for leads to the next location: all locations are on the issuer's own host.
///
/// # Errors
/// [`ProviderError::NoMetadata`]: what was wrong at each location.
pub async fn discover<P: Ports, T>(
    ports: &P,
    locations: impl IntoIterator<Item = String>,
    (identifier, development): (&str, bool),
    wanted: impl Fn(&Metadata<'_>) -> Result<T, MetadataError>,
) -> Result<T, ProviderError> {
    let mut failures = Vec::new();
    for location in locations {
        let found = get(ports, &location).await.and_then(|document| {
            let metadata = Metadata::read(&document.body, identifier, development);
            metadata.and_then(|metadata| wanted(&metadata)).map_err(|error| ProviderError::Metadata(location, error))
        });
        match found {
            Ok(found) => return Ok(found),
            Err(error) => failures.push(error),
        }
    }
    Err(ProviderError::NoMetadata(failures))
}

/// Fetches a document of an identity provider. Some providers publish JSON under another media type, or under none: the
/// gateway accepts such a document if it begins with `{`, and logs it.
///
/// # Errors
/// [`ProviderError`] if the answer is not a JSON document.
pub async fn get<P: Ports>(ports: &P, url: &str) -> Result<ProviderDocument, ProviderError> {
    let document = ports.get(url).await.map_err(|error| ProviderError::NoAnswer(url.to_owned(), error))?;
    match document.status {
        200 if document.is_json() => Ok(document),
        200 if document.body.trim_ascii_start().starts_with(b"{") => {
            let media_type: String = document.media_type().chars().take(LOG_VALUE_CHARS).collect();
            let detail = format!("{url}: JSON with the content type {media_type:?}, should be application/json");
            ports.line(&gateway_line("warn", "provider_content_type", &detail, ports.now()));
            Ok(document)
        }
        200 => Err(ProviderError::ContentType(url.to_owned())),
        status => Err(ProviderError::Status(url.to_owned(), status)),
    }
}

/// Sends a request whose answer must have the status 200.
///
/// # Errors
/// [`ProviderError`] if there is no such answer.
pub async fn ask<P: Ports>(ports: &P, request: &ProviderRequest) -> Result<ProviderDocument, ProviderError> {
    let asked = || request.service.as_ref().map_or_else(|| request.url.clone(), |name| format!("service {name:?}"));
    let document = ports.ask(request).await.map_err(|error| ProviderError::NoAnswer(asked(), error))?;
    if document.status == 200 { Ok(document) } else { Err(ProviderError::Status(asked(), document.status)) }
}

/// A key set as a provider sent it.
#[derive(Debug)]
pub struct FetchedKeys {
    /// The keys.
    pub keys: KeySet,
    /// The seconds for which the provider lets them be cached, if it says so.
    pub lifetime: Option<u64>,
    /// The text of the key set.
    pub text: Vec<u8>,
}

/// Fetches a key set.
///
/// # Errors
/// [`ProviderError`] if there is no usable key set.
pub async fn key_set<P: Ports>(ports: &P, url: &str) -> Result<FetchedKeys, ProviderError> {
    let document = get(ports, url).await?;
    let keys = KeySet::parse(&document.body).map_err(ProviderError::KeySet)?;
    let lifetime = lifetime(document.cache_control.as_deref(), document.age.as_deref());
    Ok(FetchedKeys { keys, lifetime, text: document.body })
}

/// Waits while enough other requests look for a new key. It does not await their work: it only checks their state.
pub async fn await_keys<P: Ports>(ports: &P, keys: &RefCell<KeyState>) {
    let deadline = ports.now().plus_seconds(PROVIDER_TIMEOUT);
    let looking = || keys.borrow().is_looking(ports.now());
    while looking() && ports.now() < deadline {
        ports.sleep(LOOKUP_POLL).await;
    }
}
