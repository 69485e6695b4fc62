//! The endpoints of the authorization server: where they are, and with which methods.

/// An endpoint that asks for more than a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// RFC 8414 metadata.
    Metadata,
    /// The JWK set.
    Keys,
    /// The authorization endpoint.
    Authorize,
    /// Where the consent page's answer goes.
    Consent,
    /// Where the identity provider sends users back.
    Callback,
    /// The token endpoint.
    Token,
    /// Client registration (RFC 7591).
    Register,
    /// The management of one client (RFC 7592), by its id.
    Client(String),
    /// Token revocation (RFC 7009).
    Revoke,
    /// Token introspection (RFC 7662).
    Introspect,
    /// The page of a user's own grants.
    Grants,
    /// What administrators ask.
    Admin,
}

const LOCATIONS: [&str; 2] = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

impl Endpoint {
    /// The endpoint at a path, where there is one. `base` is the path of the issuer, empty where it has none.
    #[must_use]
    pub fn find(path: &str, base: &str) -> Option<Self> {
        // RFC 8414 §3.1 inserts the well-known part before the issuer's path, OpenID Connect Discovery §4 appends it (A3).
        if LOCATIONS.iter().any(|location| path.strip_prefix(location) == Some(base)) {
            return Some(Self::Metadata);
        }
        Some(match path.strip_prefix(base)? {
            "/.well-known/openid-configuration" => Self::Metadata,
            "/jwks" => Self::Keys,
            "/authorize" => Self::Authorize,
            "/consent" => Self::Consent,
            "/callback" => Self::Callback,
            "/token" => Self::Token,
            "/register" => Self::Register,
            "/revoke" => Self::Revoke,
            "/introspect" => Self::Introspect,
            "/grants" => Self::Grants,
            "/admin" => Self::Admin,
            other => Self::Client(other.strip_prefix("/register/").filter(|id| !id.contains('/'))?.to_owned()),
        })
    }

    /// The methods that it takes, as `Allow` has them.
    #[must_use]
    pub fn methods(&self) -> &'static str {
        match self {
            Self::Metadata | Self::Keys => "GET, HEAD, OPTIONS",
            Self::Authorize | Self::Callback => "GET",
            Self::Consent | Self::Admin => "POST",
            Self::Token | Self::Register | Self::Revoke | Self::Introspect => "POST, OPTIONS",
            Self::Client(_) => "GET, PUT, DELETE, OPTIONS",
            Self::Grants => "GET, POST",
        }
    }

    /// Whether pages of any origin may call: what carries no cookie, and is asked with what its caller has in hand.
    #[must_use]
    pub fn is_for_any_page(&self) -> bool {
        self.methods().contains("OPTIONS")
    }
}
