//! What a configuration means: typed values for the stages. `config` reads documents into them.
//!
//! Settings of one verifier, policy or session live in the room that uses them; here is what brings them together.

pub mod resource;

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::jwks::signing_key::SigningKey;
use crate::mcp::session::Sessions;
use crate::oauth::scope::ScopeHierarchy;
use crate::policy::condition::Fact;
use crate::secret::Secret;
use crate::settings::resource::{PublicPath, Resource};
use crate::token::accepted::Verifiers;
use crate::token::binding::{Dpop, Requirement};
use crate::token::principal::Interests;
use crate::token::revocation::Revocation;
use crate::transport::url::{Authority, HttpUrl};
use crate::transport::web_origin::WebOrigin;

/// What the gateway works with: the meaning of a configuration document without mistakes.
#[derive(Debug)]
pub struct Settings {
    /// Scheme and host of every URL that is published.
    pub public_url: HttpUrl,
    /// Plain HTTP on loopback is allowed.
    pub development: bool,
    /// Hosts that requests may name.
    pub hosts: Vec<Authority>,
    /// Web origins whose pages may call.
    pub web_origins: Vec<WebOrigin>,
    /// What verifies credentials.
    pub verifiers: Verifiers,
    /// What rules read of tokens.
    pub interests: Interests,
    /// The authorization server that this gateway is, as others see it.
    pub own_issuer: Option<Rc<OwnIssuer>>,
    /// How DPoP proofs are judged.
    pub dpop: Dpop,
    /// The list of what is revoked.
    pub revocation: Option<Revocation>,
    /// Protected resources.
    pub resources: Vec<Rc<Resource>>,
    /// Paths open to everyone.
    pub public_paths: Vec<Rc<PublicPath>>,
    /// What scopes include.
    pub scopes: Rc<ScopeHierarchy>,
    /// How sessions are bound to their callers.
    pub sessions: Option<Sessions>,
    /// Where decisions are recorded.
    pub decision_log: Option<DecisionLog>,
    /// Keys of identity assertions: the first signs, all are published.
    pub assertion_keys: Vec<SigningKey>,
    /// What keys the pseudonyms of subjects in the log.
    pub pseudonym_key: Vec<u8>,
    /// Where that comes from.
    pub pseudonyms: Pseudonyms,
    /// Facts of callers that decisions record because rules read them.
    pub recorded_facts: Vec<String>,
    /// Requests that pass have no line in the log.
    pub log_refused_only: bool,
    /// The Analytics Engine binding that requests are counted in.
    pub requests_data_set: Option<String>,
    /// There is a landing page at `/`.
    pub landing_page: bool,
    /// The secret that a reader of the counters must send.
    pub metrics: Option<Secret>,
}

impl Settings {
    /// Whether any resource takes tokens that are bound to client certificates.
    #[must_use]
    pub fn asks_for_certificates(&self) -> bool {
        self.resources.iter().any(|resource| resource.certificate_bound != Requirement::Off)
            || self.facts().any(|fact| fact == Fact::Certificate)
    }

    /// Whether any rule asks where requests come from.
    #[must_use]
    pub fn asks_for_places(&self) -> bool {
        self.facts().any(|fact| matches!(fact, Fact::Country | Fact::Network))
    }

    /// What rules read of callers.
    pub fn facts(&self) -> impl Iterator<Item = Fact<'_>> {
        self.resources.iter().filter_map(|resource| resource.policy.as_ref()).flat_map(|policy| policy.facts())
    }
}

/// The gateway as an issuer: what anyone may know of its authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnIssuer {
    /// The name by which resources refer to it.
    pub name: String,
    /// The issuer identifier.
    pub identifier: String,
    /// Its path, empty where there is none.
    pub path: String,
    /// Descriptions of scopes for people.
    pub scope_descriptions: BTreeMap<String, String>,
}

impl OwnIssuer {
    /// The URL of an endpoint.
    #[must_use]
    pub fn url(&self, endpoint: &str) -> String {
        format!("{}{endpoint}", self.identifier)
    }
}

/// What keys the pseudonyms of subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pseudonyms {
    /// `public_url`, which is known to anyone who reads the log.
    ByPublicUrl,
    /// A Worker secret, which the command line does not have.
    BySecret,
}

/// Where decisions are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionLog {
    /// In the Worker's own log.
    pub console: bool,
    /// In the data set of this binding.
    pub analytics_engine: Option<String>,
    /// In the queue of this binding.
    pub queue: Option<String>,
}
