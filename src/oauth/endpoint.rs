//! The endpoints of the authorization server: their paths and methods.

/// An endpoint of the authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// RFC 8414 metadata.
    Metadata,
    /// The JWK set.
    Keys,
    /// The authorization endpoint.
    Authorize,
    /// The target of the form on the consent page.
    Consent,
    /// The redirect URI for an identity provider: that of `login`, or the one with this name. Each has its own (RFC 9700 §4.4).
    Callback(Option<String>),
    /// The token endpoint.
    Token,
    /// The device authorization endpoint (RFC 8628).
    DeviceAuthorization,
    /// The page on which a user enters the code that a device shows.
    Device,
    /// Client registration (RFC 7591).
    Register,
    /// The management of one client (RFC 7592), by its id.
    Client(String),
    /// Token revocation (RFC 7009).
    Revoke,
    /// Token introspection (RFC 7662).
    Introspect,
    /// The page on which users see and revoke their grants.
    Grants,
    /// The page with the calls that wait for the approval of a person.
    Approvals,
    /// The page on which a person decides about one call, by its id.
    Approval(String),
    /// The endpoint for administrators.
    Admin,
    /// The receiver of signals of a trusted issuer, by its name (RFC 8935).
    Signals(String),
    /// The endpoint at which the identity provider says that a user has logged out (OpenID Connect Back-Channel Logout §2.2).
    BackChannelLogout,
    /// The SCIM service of an identity provider (RFC 7644), as for `Callback`, and the path below its base URL.
    Scim(Option<String>, String),
    /// The page on which users connect an account at the authorization server of an origin server.
    Connect,
    /// The redirect URI for the authorization server of the resource at this path. Each has its own, so that no other server can
    /// have an answer of that server delivered as its own (RFC 9700 §4.4).
    Connected(String),
    /// The metadata document of this gateway as its client.
    ClientDocument(String),
}

const LOCATIONS: [&str; 2] = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

impl Endpoint {
    /// The endpoint at a path, if there is one. `base` is the path of the issuer; empty if it has none.
    #[must_use]
    pub fn find(path: &str, base: &str) -> Option<Self> {
        // RFC 8414 §3.1 inserts the well-known part before the path of the issuer, OpenID Connect Discovery §4 appends
        // it (A3).
        if LOCATIONS.iter().any(|location| path.strip_prefix(location) == Some(base)) {
            return Some(Self::Metadata);
        }
        Some(match path.strip_prefix(base)? {
            "/.well-known/openid-configuration" => Self::Metadata,
            "/jwks" => Self::Keys,
            "/authorize" => Self::Authorize,
            "/consent" => Self::Consent,
            "/callback" => Self::Callback(None),
            "/token" => Self::Token,
            "/device_authorization" => Self::DeviceAuthorization,
            "/device" => Self::Device,
            "/register" => Self::Register,
            "/revoke" => Self::Revoke,
            "/introspect" => Self::Introspect,
            "/grants" => Self::Grants,
            "/approvals" => Self::Approvals,
            "/admin" => Self::Admin,
            "/connect" => Self::Connect,
            "/backchannel-logout" => Self::BackChannelLogout,
            other => return Self::find_named(other),
        })
    }

    /// The endpoint for one client or one resource.
    fn find_named(path: &str) -> Option<Self> {
        let after = |prefix: &str| path.strip_prefix(prefix).filter(|rest| rest.starts_with('/')).map(str::to_owned);
        let last = |rest: &str| rest.strip_prefix('/').filter(|id| !id.contains('/')).map(str::to_owned);
        None.or_else(|| after("/connected").map(Self::Connected))
            .or_else(|| after("/client").map(Self::ClientDocument))
            .or_else(|| after("/scim").as_deref().and_then(Self::scim))
            .or_else(|| after("/callback").as_deref().and_then(last).map(|name| Self::Callback(Some(name))))
            .or_else(|| after("/approvals").as_deref().and_then(last).map(Self::Approval))
            .or_else(|| after("/signals").as_deref().and_then(last).map(Self::Signals))
            .or_else(|| after("/register").as_deref().and_then(last).map(Self::Client))
    }

    /// The SCIM service at a path below `/scim`: `/v2/Users`, or `/NAME/v2/Users`.
    fn scim(path: &str) -> Option<Self> {
        let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
        if first == "v2" {
            return Some(Self::Scim(None, format!("/{rest}")));
        }
        let below = rest.strip_prefix("v2/")?;
        Some(Self::Scim(Some(first.to_owned()), format!("/{below}")))
    }

    /// The methods that it accepts, as a value of `Allow`.
    #[must_use]
    pub fn methods(&self) -> &'static str {
        match self {
            Self::Metadata | Self::Keys | Self::ClientDocument(_) => "GET, HEAD, OPTIONS",
            Self::Authorize | Self::Callback(_) | Self::Connected(_) | Self::Approvals => "GET",
            Self::Consent
            | Self::Admin
            | Self::Signals(_)
            | Self::BackChannelLogout
            // It tells users from where a device asks, so no page may ask from the network of its visitor.
            | Self::DeviceAuthorization => "POST",
            Self::Token | Self::Register | Self::Revoke | Self::Introspect => "POST, OPTIONS",
            Self::Client(_) => "GET, PUT, DELETE, OPTIONS",
            Self::Scim(..) => "GET, POST, PUT, PATCH, DELETE",
            Self::Device | Self::Grants | Self::Connect | Self::Approval(_) => "GET, POST",
        }
    }

    /// Whether programs call it, and not browsers: its errors are JSON.
    #[must_use]
    pub fn is_for_programs(&self) -> bool {
        self.is_for_any_page()
            || matches!(
                self,
                Self::DeviceAuthorization | Self::Admin | Self::Signals(_) | Self::BackChannelLogout | Self::Scim(..)
            )
    }

    /// Whether pages of any origin may call it: it uses no cookies, and everything that it depends on is in the request
    /// itself.
    #[must_use]
    pub fn is_for_any_page(&self) -> bool {
        self.methods().contains("OPTIONS")
    }
}
