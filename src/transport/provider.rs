//! A request to an identity provider or another verifier of credentials, and the document that it returns.

/// The response of an identity provider or another verifier of credentials.
#[derive(Debug, Clone, Default)]
pub struct ProviderDocument {
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Age`.
    pub age: Option<String>,
    /// `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// The body, at most [`crate::limits::PROVIDER_DOCUMENT_BYTES`].
    pub body: Vec<u8>,
}

impl ProviderDocument {
    /// The media type in lower case, without parameters; empty if there is none.
    #[must_use]
    pub fn media_type(&self) -> String {
        let field = self.content_type.as_deref().unwrap_or_default();
        field.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Whether the media type is JSON, of any kind (RFC 6839 §3.1).
    #[must_use]
    pub fn is_json(&self) -> bool {
        let media_type = self.media_type();
        media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
    }
}

/// A request to an identity provider or another verifier of credentials. It may contain secrets and the credential
/// itself, so it has no `Debug`.
pub struct ProviderRequest {
    /// The URL.
    pub url: String,
    /// The service binding for the request; `None` if it uses the network.
    pub service: Option<String>,
    /// The fields.
    pub fields: Vec<(&'static str, String)>,
    /// The body of a POST; `None` for a GET.
    pub body: Option<String>,
    /// Seconds within which the whole response must have arrived.
    pub seconds: u64,
}
