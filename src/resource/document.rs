//! Documents that the gateway publishes without authentication: protected resource metadata (RFC 9728), the keys of
//! identity assertions, and a health check.

use serde_json::{Map, Value, json};

use crate::jwks::key::JwsAlgorithm;
use crate::jwks::signing_key::SigningKey;
use crate::oauth::scope::Scope;
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::token::binding::Requirement;
use crate::transport::head::{Fields, Method};
use crate::transport::path::CanonicalPath;
use crate::transport::url::HttpUrl;

const METADATA: &str = "/.well-known/oauth-protected-resource";
const KEYS: &str = "/.well-known/jwks.json";
const HEALTH: &str = "/healthz";

/// How long clients may cache metadata, in seconds: long enough to avoid a fetch for each connection, short enough that
/// a correction reaches clients within minutes.
pub const MAX_AGE: &str = "public, max-age=300";

/// A document and its `Cache-Control`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicDocument {
    /// The JSON text.
    pub body: String,
    /// `Cache-Control`.
    pub cache_control: &'static str,
}

impl PublicDocument {
    /// The response: status, fields, and the body unless the method does not return one.
    #[must_use]
    pub fn response(self, method: Method) -> (u16, Fields, String) {
        let mut fields = Fields::new();
        fields.set("access-control-allow-origin", "*");
        if method == Method::Options {
            fields.set("access-control-allow-methods", "GET, HEAD, OPTIONS");
            // Clients send MCP-Protocol-Version with these requests. Any other field is allowed too, because none gives
            // access to anything.
            fields.set("access-control-allow-headers", "*, authorization");
            fields.set("access-control-max-age", "7200");
            return (204, fields, String::new());
        }
        fields.set("content-type", "application/json");
        fields.set("cache-control", self.cache_control);
        (200, fields, if method == Method::Head { String::new() } else { self.body })
    }
}

/// The document at `path`, if there is one.
#[must_use]
pub fn find(path: &CanonicalPath, settings: &Settings) -> Option<PublicDocument> {
    let path = path.as_str();
    if path == HEALTH {
        return Some(PublicDocument { body: json!({ "status": "ok" }).to_string(), cache_control: "no-store" });
    }
    if path == KEYS {
        if settings.assertion_keys.is_empty() {
            return None;
        }
        let keys: Vec<Value> = settings.assertion_keys.iter().map(SigningKey::public_jwk).collect();
        return Some(PublicDocument { body: json!({ "keys": keys }).to_string(), cache_control: MAX_AGE });
    }
    let inserted = path.strip_prefix(METADATA)?;
    let at_root = || match settings.resources.as_slice() {
        // If there is only one resource, clients that look at the root find it too (R7).
        [only] => Some(only),
        several => several.iter().find(|resource| resource.path.as_str() == "/"),
    };
    let resource = match inserted {
        "" | "/" => at_root(),
        _ => settings.resources.iter().find(|resource| resource.path.as_str() == inserted),
    }?;
    Some(PublicDocument { body: metadata(resource)?, cache_control: MAX_AGE })
}

/// The URL of a resource's metadata: the well-known segment is inserted between host and path (RFC 9728 §3.1). `None`
/// if the resource publishes no metadata.
#[must_use]
pub fn metadata_url(resource: &Resource, public_url: &HttpUrl) -> Option<String> {
    let path = resource.path.as_str();
    let url = || format!("{public_url}{METADATA}{}", if path == "/" { "" } else { path });
    (!authorization_servers(resource).is_empty()).then(url)
}

/// The authorization servers that clients of a resource can use.
fn authorization_servers(resource: &Resource) -> Vec<&str> {
    let servers = resource.accepts.issuers.iter().filter(|issuer| issuer.is_authorization_server());
    servers.map(|issuer| issuer.identifier.as_str()).collect()
}

/// Protected resource metadata (RFC 9728 §2). Parameters without elements are left out (§3.2). A resource that accepts
/// only API keys, custom verifiers, Google or Access publishes none: MCP requires at least one authorization server in
/// it (R6), and clients would look for a login that does not exist.
fn metadata(resource: &Resource) -> Option<String> {
    let servers = authorization_servers(resource);
    if servers.is_empty() {
        return None;
    }
    let mut document = Map::new();
    document.insert("resource".to_owned(), json!(resource.identifier));
    document.insert("authorization_servers".to_owned(), json!(servers));
    document.insert("bearer_methods_supported".to_owned(), json!(["header"]));
    if resource.dpop != Requirement::Off {
        let algorithms = JwsAlgorithm::names().collect::<Vec<_>>();
        document.insert("dpop_signing_alg_values_supported".to_owned(), json!(algorithms));
        document.insert("dpop_bound_access_tokens_required".to_owned(), json!(resource.dpop == Requirement::Required));
    }
    if resource.certificate_bound != Requirement::Off {
        document.insert("tls_client_certificate_bound_access_tokens".to_owned(), json!(true));
    }
    if !resource.scopes.is_empty() {
        let advertised = resource.advertised(&resource.scopes);
        let scopes: Vec<&str> = advertised.iter().map(Scope::as_str).collect();
        document.insert("scopes_supported".to_owned(), json!(scopes));
    }
    if let Some(name) = &resource.name {
        document.insert("resource_name".to_owned(), json!(name));
    }
    if let Some(page) = &resource.documentation {
        document.insert("resource_documentation".to_owned(), json!(page));
    }
    Some(Value::Object(document).to_string())
}
