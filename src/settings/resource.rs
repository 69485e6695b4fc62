//! A protected resource, a public path, and the origin server behind each.

use std::rc::Rc;

use crate::oauth::scope::{Scope, ScopeSet};
use crate::policy::decide::Policy;
use crate::policy::limit::Limit;
use crate::token::accepted::Verifiers;
use crate::token::binding::{Requirement, Requirements};
use crate::transport::path::CanonicalPath;
use crate::transport::url::HttpUrl;

/// A protected resource: an MCP endpoint (RFC 9728 §1).
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its place in configuration.
    pub index: usize,
    /// Where it is on this gateway.
    pub path: CanonicalPath,
    /// The resource identifier: what clients name in `resource` and tokens in `aud`.
    pub identifier: String,
    /// Where requests go.
    pub origin: OriginServer,
    /// What verifies the credentials that it accepts.
    pub accepts: Verifiers,
    /// Tokens bound to a key.
    pub dpop: Requirement,
    /// Tokens bound to a client certificate.
    pub certificate_bound: Requirement,
    /// What a token must have to use it at all.
    pub scopes: ScopeSet,
    /// What is put before scopes that clients are told to ask for.
    pub scope_prefix: String,
    /// Values of which one must be in `aud`.
    pub audiences: Vec<String>,
    /// `resource_name`.
    pub name: Option<String>,
    /// `resource_documentation`.
    pub documentation: Option<String>,
    /// Largest request body in bytes.
    pub body_bytes: u64,
    /// Who may do what; everything, where there are no rules.
    pub policy: Option<Rc<Policy>>,
    /// Public lists are kept.
    pub cache_lists: bool,
    /// How often callers may call.
    pub limits: Vec<Rc<Limit>>,
    /// How many requests of one caller the policy may refuse in a minute.
    pub refusals_per_minute: u64,
    /// Fields that mirror an argument, and which.
    pub parameters: Vec<(String, String)>,
}

impl Resource {
    /// Scopes as clients have to ask for them.
    #[must_use]
    pub fn advertised(&self, scopes: &ScopeSet) -> ScopeSet {
        let prefixed = |scope: &Scope| Scope::parse(&format!("{}{}", self.scope_prefix, scope.as_str())).ok();
        scopes.iter().filter_map(prefixed).collect()
    }

    /// What it asks of the binding of tokens.
    #[must_use]
    pub fn binding(&self) -> Requirements {
        Requirements { dpop: self.dpop, certificate: self.certificate_bound }
    }

    /// Whether the messages to it have to be read.
    #[must_use]
    pub fn reads_messages(&self) -> bool {
        self.policy.is_some()
            || self.cache_lists
            || !self.parameters.is_empty()
            || self.limits.iter().any(|limit| limit.asks_for_tools())
    }
}

/// The server behind a resource.
#[derive(Debug, Clone)]
pub struct OriginServer {
    /// Its URL.
    pub url: HttpUrl,
    /// The service binding through which it is reached, instead of the network.
    pub service: Option<String>,
    /// Seconds until its response fields must have arrived.
    pub response_timeout: u64,
    /// Seconds that its answer may be silent.
    pub idle_timeout: u64,
    /// Seconds that a stream of events may be silent, where it may not for as long as its caller listens.
    pub stream_idle_timeout: Option<u64>,
}

/// A path that anyone may reach.
#[derive(Debug, Clone)]
pub struct PublicPath {
    /// The exact path.
    pub path: CanonicalPath,
    /// What answers for it.
    pub origin: OriginServer,
}
