//! Protocol revisions and the two eras (requirements §1). The legacy era, up to 2025-11-25, has a handshake and
//! sessions. In the modern era, from 2026-07-28 on, each request is self-contained.

/// The first revision of the modern era.
pub const FIRST_MODERN: &str = "2026-07-28";

/// The revisions of the legacy era, the latest first.
pub const LEGACY_VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// The revisions that a resource of several servers supports.
#[must_use]
pub fn supported_versions() -> Vec<&'static str> {
    std::iter::once(FIRST_MODERN).chain(LEGACY_VERSIONS).collect()
}

/// The two ways to use MCP over HTTP. They differ in what a disconnect means (T25, L7) and in which header fields the
/// gateway may trust (T18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Stateless, with `Mcp-Method` on each request; a disconnect cancels the request.
    Modern,
    /// `initialize`, possibly followed by a session; a disconnect does not cancel.
    Legacy,
}

impl Era {
    /// The era that an `MCP-Protocol-Version` field announces. Anything that is not a date is `Legacy`: the origin
    /// server validates versions, and the gateway applies the modern rules only to what is certainly modern.
    #[must_use]
    pub fn announced(version: Option<&str>) -> Self {
        match version {
            Some(version) if is_date(version) && version >= FIRST_MODERN => Self::Modern,
            _ => Self::Legacy,
        }
    }

    /// Its name in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Legacy => "legacy",
        }
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() })
}
