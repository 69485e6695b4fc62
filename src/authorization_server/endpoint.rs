//! The endpoints of the authorization server: where they are, and with which methods.

use crate::authorization_server::metadata;
use crate::config::{AuthorizationServer, Config};
use crate::pipeline::admit::Admitted;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::route::Routed;
use crate::pipeline::trail::Trail;
use crate::transport::head::{Fields, Method};

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
    /// The endpoint at a path, where there is one.
    #[must_use]
    pub fn find(path: &str, server: &AuthorizationServer) -> Option<Self> {
        // RFC 8414 §3.1 inserts the well-known part before the issuer's path, OpenID Connect Discovery §4 appends it (A3).
        if LOCATIONS.iter().any(|location| path.strip_prefix(location) == Some(&server.path)) {
            return Some(Self::Metadata);
        }
        Some(match path.strip_prefix(server.path.as_str())? {
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

    fn methods(&self) -> &'static str {
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

    /// What a request to it comes to.
    ///
    /// # Errors
    /// [`Rejection::MethodNotAllowed`].
    pub fn route(
        self,
        admitted: Admitted,
        server: &AuthorizationServer,
        config: &Config,
        trail: &mut Trail,
    ) -> Result<Routed, Rejection> {
        let method = admitted.head().method;
        let allow = self.methods();
        if self.is_for_any_page() {
            trail.any_page();
        }
        if !allow.split(", ").any(|name| name == method.as_str()) {
            return Err(Rejection::MethodNotAllowed { allow });
        }
        Ok(match self {
            Self::Metadata => Routed::Document(metadata::document(server, config), method),
            Self::Keys => Routed::Document(metadata::keys(server), method),
            _ if method == Method::Options => Routed::Preflight(preflight(allow)),
            endpoint => Routed::AuthorizationServer(EndpointRequest { admitted, endpoint }),
        })
    }
}

fn preflight(allow: &str) -> Fields {
    let mut fields = Fields::new();
    fields.set("access-control-allow-origin", "*");
    fields.set("access-control-allow-methods", allow);
    fields.set("access-control-allow-headers", "*, authorization");
    fields.set("access-control-max-age", "7200");
    fields
}

/// A request to an endpoint, with a method that it takes.
#[derive(Debug)]
pub struct EndpointRequest {
    admitted: Admitted,
    endpoint: Endpoint,
}

impl EndpointRequest {
    /// The request.
    #[must_use]
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// What it is to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A field of the request.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.admitted.head().fields.get(name)
    }

    /// The value of a cookie (RFC 6265 §5.4); nothing where it is there twice, as nobody knows whose is whose then.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.field("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Whether a page of this gateway sent it: browsers say so, and nobody else can make them.
    #[must_use]
    pub fn is_from(&self, web_origin: &str) -> bool {
        let site = self.field("sec-fetch-site");
        self.field("origin") == Some(web_origin) && site.is_none_or(|site| site == "same-origin")
    }

    /// The media type of its body, in lower case.
    #[must_use]
    pub fn media_type(&self) -> String {
        let field = self.field("content-type").unwrap_or_default();
        field.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}
