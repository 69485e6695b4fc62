//! A request to an identity provider or another verifier of credentials, and the document that it returns.

/// What an identity provider, or whoever else is asked about credentials, answers.
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
    /// The body, at most [`crate::limits::PROVIDER_DOCUMENT_BYTES`].
    pub body: Vec<u8>,
}

impl ProviderDocument {
    /// The media type in lower case, without parameters; empty where there is none.
    #[must_use]
    pub fn media_type(&self) -> String {
        let field = self.content_type.as_deref().unwrap_or_default();
        field.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Whether it says that it is JSON, of whatever kind (RFC 6839 §3.1).
    #[must_use]
    pub fn is_json(&self) -> bool {
        let media_type = self.media_type();
        media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
    }
}

/// A question to an identity provider, or to whoever else knows about credentials. It may hold secrets and the
/// credential itself: never shown.
pub struct ProviderRequest {
    /// The URL.
    pub url: String,
    /// The service binding to go through, instead of the network.
    pub service: Option<String>,
    /// The fields.
    pub fields: Vec<(&'static str, String)>,
    /// What is posted; nothing for a question that is got.
    pub body: Option<String>,
    /// Seconds until the whole answer must be there.
    pub seconds: u64,
}
