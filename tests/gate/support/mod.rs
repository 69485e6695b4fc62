//! What the tests share: a platform in memory, keys, tokens, and a gateway in front of all that.

pub mod keys;
pub mod world;

use std::rc::Rc;

use portcullis::config::{Mistakes, Secrets};
use portcullis::gateway::Gateway;
use portcullis::token::compiled::CompiledVerifiers;
use portcullis::transport::certificate::ClientCertificate;
use portcullis::transport::head::{Fields, Head, Method};
use serde_json::{Value, json};

pub use keys::{Claims, Key, token, token_with_header};
pub use world::{Reply, World};

/// The public URL of the gateway in tests.
pub const PUBLIC: &str = "https://gate.example";
/// The issuer in tests.
pub const ISSUER: &str = "https://login.example";
/// The resource in tests.
pub const RESOURCE: &str = "https://gate.example/mcp";

/// Secrets that a test hands out.
#[derive(Default)]
pub struct TestSecrets(pub Vec<(&'static str, String)>);

impl Secrets for TestSecrets {
    fn secret(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }
}

/// A configuration that is right.
pub fn document() -> Value {
    json!({
        "public_url": PUBLIC,
        "allowed_origins": ["https://app.example"],
        "issuers": [{ "name": "idp", "issuer": ISSUER, "algorithms": [
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
        ] }],
        "resources": [
            { "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp"], "scopes": ["mcp:tools"] },
            { "path": "/mcp/admin", "origin": "https://tools.example/admin", "issuers": ["idp"], "scopes": ["admin"] },
        ],
        "public_paths": [{ "path": "/status", "origin": "https://tools.example/status" }],
        "scope_includes": { "everything": ["mcp:tools", "admin"] },
    })
}

/// `document()` with members replaced or added.
pub fn document_with(changes: Value) -> Value {
    let mut document = document();
    merge(&mut document, changes);
    document
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (name, value) in changes {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes,
    }
}

/// Opens a gateway.
pub fn open(document: Value) -> Result<Rc<Gateway>, Mistakes> {
    open_with(document, &TestSecrets::default())
}

/// Opens a gateway with these secrets.
pub fn open_with(document: Value, secrets: &TestSecrets) -> Result<Rc<Gateway>, Mistakes> {
    Gateway::open(document, secrets, [7; 32], CompiledVerifiers::default()).map(Rc::new)
}

/// The gateway of `document()`.
pub fn gateway() -> Rc<Gateway> {
    open(document()).expect("the document is right")
}

/// A request to be sent.
#[derive(Clone)]
pub struct Request {
    pub head: Head,
    pub body: Vec<u8>,
}

impl Request {
    /// A request to a path of the gateway.
    pub fn new(method: Method, target: &str) -> Self {
        let fields: Fields = [("host", "gate.example")].into_iter().collect();
        Self {
            head: Head {
                method,
                url: format!("{PUBLIC}{target}"),
                fields,
                certificate: None,
                country: None,
                asn: None,
            },
            body: Vec::new(),
        }
    }

    pub fn get(target: &str) -> Self {
        Self::new(Method::Get, target)
    }

    /// A JSON-RPC request with the id 7.
    pub fn post(target: &str) -> Self {
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" }).to_string();
        Self::new(Method::Post, target).field("content-type", "application/json").body(body.as_bytes())
    }

    pub fn field(mut self, name: &'static str, value: &str) -> Self {
        self.head.fields.set(name, value);
        self
    }

    /// The same, over a connection with this client certificate.
    pub fn certificate(mut self, digest: [u8; 32]) -> Self {
        let certificate = ClientCertificate { digest, is_verified: true, subject: String::new() };
        self.head.certificate = Some(Box::new(certificate));
        self
    }

    /// The same, over a connection with a certificate that no trusted CA issued, or that one issued for this subject.
    pub fn certificate_of(mut self, digest: [u8; 32], subject: Option<&str>) -> Self {
        let certificate = ClientCertificate {
            digest,
            is_verified: subject.is_some(),
            subject: subject.unwrap_or("CN=anyone").to_owned(),
        };
        self.head.certificate = Some(Box::new(certificate));
        self
    }

    /// The same, to another path or query.
    pub fn target(mut self, target: &str) -> Self {
        self.head.url = format!("{PUBLIC}{target}");
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.field("authorization", &format!("Bearer {token}"))
    }

    pub fn modern(self) -> Self {
        self.field("mcp-protocol-version", "2026-07-28").field("mcp-method", "tools/list")
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        let length = body.len().to_string();
        self.field("content-length", &length)
    }
}
