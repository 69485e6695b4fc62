//! Documents that the gateway publishes to everyone: protected resource metadata (RFC 9728), the keys of identity
//! assertions, and its health.

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

/// How long clients may keep metadata, in seconds: long enough to spare them the fetch at each connection, short
/// enough that a corrected mistake reaches them while somebody watches.
pub const MAX_AGE: &str = "public, max-age=300";

/// A document with its caching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicDocument {
    /// The JSON text.
    pub body: String,
    /// `Cache-Control`.
    pub cache_control: &'static str,
}

impl PublicDocument {
    /// The response: status, fields, and the body unless the method asks for none.
    #[must_use]
    pub fn response(self, method: Method) -> (u16, Fields, String) {
        let mut fields = Fields::new();
        fields.set("access-control-allow-origin", "*");
        if method == Method::Options {
            fields.set("access-control-allow-methods", "GET, HEAD, OPTIONS");
            // Clients add MCP-Protocol-Version to these requests, and whatever else they add opens nothing.
            fields.set("access-control-allow-headers", "*, authorization");
            fields.set("access-control-max-age", "7200");
            return (204, fields, String::new());
        }
        fields.set("content-type", "application/json");
        fields.set("cache-control", self.cache_control);
        (200, fields, if method == Method::Head { String::new() } else { self.body })
    }
}

/// The document at `path`, where there is one.
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
        // Where there is but one resource, clients that look at the root find it too (R7).
        [only] => Some(only),
        several => several.iter().find(|resource| resource.path.as_str() == "/"),
    };
    let resource = match inserted {
        "" | "/" => at_root(),
        _ => settings.resources.iter().find(|resource| resource.path.as_str() == inserted),
    }?;
    Some(PublicDocument { body: metadata(resource)?, cache_control: MAX_AGE })
}

/// The URL of a resource's metadata: the well-known segment inserted between host and path (RFC 9728 §3.1). Nothing where
/// there is none.
#[must_use]
pub fn metadata_url(resource: &Resource, public_url: &HttpUrl) -> Option<String> {
    let path = resource.path.as_str();
    let url = || format!("{public_url}{METADATA}{}", if path == "/" { "" } else { path });
    (!authorization_servers(resource).is_empty()).then(url)
}

/// The authorization servers to which clients of a resource can be sent.
fn authorization_servers(resource: &Resource) -> Vec<&str> {
    let servers = resource.accepts.issuers.iter().filter(|issuer| issuer.is_authorization_server());
    servers.map(|issuer| issuer.identifier.as_str()).collect()
}

/// Protected resource metadata (RFC 9728 §2). Parameters without elements are left out (§3.2). A resource that takes only
/// API keys, custom verifiers, Google or Access publishes none: MCP wants at least one authorization server in it (R6), and
/// clients would look for a login that does not exist.
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
        let algorithms = JwsAlgorithm::ALL.map(JwsAlgorithm::as_str);
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
