//! Errors of SCIM (RFC 7644 §3.12).

use serde_json::json;

/// The schema of an error message.
const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// `scimType`: what kind of error a 400 or 409 is (RFC 7644 §3.12, table 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimType {
    /// The filter is malformed, or compares what cannot be compared.
    InvalidFilter,
    /// The request would look at more resources than one request may.
    TooMany,
    /// Another resource has the value of a unique attribute.
    Uniqueness,
    /// The request changes what cannot be changed.
    Mutability,
    /// The body is malformed.
    InvalidSyntax,
    /// The path of an operation is malformed.
    InvalidPath,
    /// The path of an operation selects nothing.
    NoTarget,
    /// A value is missing, or the attribute cannot have it.
    InvalidValue,
}

impl ScimType {
    /// The name in the message.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
        }
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimError {
    /// The HTTP status.
    pub status: u16,
    /// `scimType`, where the RFC defines one for the status.
    pub scim_type: Option<ScimType>,
    /// `detail`: what is wrong, and what would be right.
    pub detail: String,
}

impl ScimError {
    fn of(status: u16, scim_type: Option<ScimType>, detail: impl Into<String>) -> Self {
        Self { status, scim_type, detail: detail.into() }
    }

    /// 400 `invalidFilter`.
    pub fn invalid_filter(detail: impl Into<String>) -> Self {
        Self::of(400, Some(ScimType::InvalidFilter), detail)
    }

    /// 400 `tooMany`.
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self::of(400, Some(ScimType::TooMany), detail)
    }

    /// 409 `uniqueness`.
    pub fn uniqueness(detail: impl Into<String>) -> Self {
        Self::of(409, Some(ScimType::Uniqueness), detail)
    }

    /// 400 `mutability`.
    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::of(400, Some(ScimType::Mutability), detail)
    }

    /// 400 `invalidSyntax`.
    pub fn invalid_syntax(detail: impl Into<String>) -> Self {
        Self::of(400, Some(ScimType::InvalidSyntax), detail)
    }

    /// 400 `invalidPath`.
    pub fn invalid_path(detail: impl Into<String>) -> Self {
        Self::of(400, Some(ScimType::InvalidPath), detail)
    }

    /// 400 `noTarget`.
    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::of(400, Some(ScimType::NoTarget), detail)
    }

    /// 400 `invalidValue`.
    pub fn invalid_value(detail: impl Into<String>) -> Self {
        Self::of(400, Some(ScimType::InvalidValue), detail)
    }

    /// 401: the request has no valid credential. The caller adds the challenge.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::of(401, None, "the request has no valid bearer token")
    }

    /// 403: a filter at an endpoint of discovery (RFC 7644 §4).
    #[must_use]
    pub fn forbidden_filter() -> Self {
        Self::of(403, None, "this endpoint takes no filter")
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::of(404, None, detail)
    }

    /// 405.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::of(405, None, "this endpoint does not support the method")
    }

    /// 413.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::of(413, None, detail)
    }

    /// 414.
    #[must_use]
    pub fn query_too_long() -> Self {
        Self::of(414, None, "the query string is too long")
    }

    /// 415.
    #[must_use]
    pub fn unsupported_media_type() -> Self {
        Self::of(415, None, "the body must be application/scim+json or application/json")
    }

    /// 500: the store failed. The message says nothing about the store.
    #[must_use]
    pub fn internal() -> Self {
        Self::of(500, None, "the directory could not process the request")
    }

    /// 501.
    pub fn not_implemented(detail: impl Into<String>) -> Self {
        Self::of(501, None, detail)
    }

    /// The message.
    #[must_use]
    pub fn body(&self) -> String {
        let mut message =
            json!({ "schemas": [ERROR_SCHEMA], "status": self.status.to_string(), "detail": self.detail });
        if let (Some(scim_type), Some(message)) = (self.scim_type, message.as_object_mut()) {
            message.insert("scimType".to_owned(), scim_type.as_str().into());
        }
        message.to_string()
    }
}

/// Quotes a text of the caller for `detail`, shortened and without control characters.
#[must_use]
pub fn quote(text: &str) -> String {
    const CHARS: usize = 64;
    let shown: String = text.chars().filter(|c| !c.is_control()).take(CHARS).collect();
    if text.chars().count() > CHARS { format!("\"{shown}…\"") } else { format!("\"{shown}\"") }
}
