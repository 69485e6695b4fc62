//! The meaning of a configuration: typed values for the stages. `config` reads documents into them.
//!
//! The settings of a verifier, a policy or sessions are in the room that uses them; this module combines them.

pub mod federation;
pub mod resource;

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::jwks::signing_key::SigningKey;
use crate::mcp::session::Sessions;
use crate::oauth::scope::ScopeHierarchy;
use crate::page::Operator;
use crate::policy::condition::Fact;
use crate::secret::Secret;
use crate::settings::resource::{PublicPath, Resource};
use crate::token::accepted::Verifiers;
use crate::token::binding::{Dpop, Requirement};
use crate::token::principal::ClaimSelection;
use crate::token::revocation::index::RevocationIndexSettings;
use crate::token::revocation::list::Revocation;
use crate::transport::url::{Authority, HttpUrl};
use crate::transport::web_origin::WebOrigin;

/// The settings of the gateway: the meaning of a configuration document without mistakes.
#[derive(Debug)]
pub struct Settings {
    /// Scheme and host of every URL that the gateway publishes.
    pub public_url: HttpUrl,
    /// Whether plain HTTP on loopback is allowed.
    pub development: bool,
    /// Hosts that requests may name in `Host`.
    pub hosts: Vec<Authority>,
    /// Web origins whose pages may call the gateway.
    pub web_origins: Vec<WebOrigin>,
    /// The verifiers of credentials.
    pub verifiers: Verifiers,
    /// The claims that rules read from tokens.
    pub interests: ClaimSelection,
    /// The public data of the gateway's own authorization server, if it is one.
    pub own_issuer: Option<Rc<OwnIssuer>>,
    /// How DPoP proofs are checked.
    pub dpop: Dpop,
    /// The revocation list, if there is one.
    pub revocation: Option<Revocation>,
    /// The index of what this gateway itself revoked, if it issues tokens.
    pub revocation_index: Option<RevocationIndexSettings>,
    /// Protected resources.
    pub resources: Vec<Rc<Resource>>,
    /// Paths that the configuration makes public.
    pub public_paths: Vec<Rc<PublicPath>>,
    /// Which scopes include which.
    pub scopes: Rc<ScopeHierarchy>,
    /// How sessions are bound to their callers; `None` if they are not.
    pub sessions: Option<Sessions>,
    /// Where decisions are recorded, if they are.
    pub decision_log: Option<DecisionLog>,
    /// Keys of identity assertions: the first one signs, all are published.
    pub assertion_keys: Vec<SigningKey>,
    /// The key of the pseudonyms that the log has for subjects.
    pub pseudonym_key: Vec<u8>,
    /// Where that key comes from.
    pub pseudonyms: Pseudonyms,
    /// Facts about callers that the decision log records because rules read them.
    pub recorded_facts: Vec<String>,
    /// Whether only rejected requests have a line in the log.
    pub log_refused_only: bool,
    /// The Analytics Engine binding that gets a data point for each request.
    pub requests_data_set: Option<String>,
    /// Whether there is a landing page at `/`.
    pub landing_page: bool,
    /// How pages show who operates the gateway.
    pub operator: Operator,
    /// The secret that a client must send to read the counters.
    pub metrics: Option<Secret>,
}

impl Settings {
    /// Whether a resource accepts tokens that are bound to client certificates, or a rule tests for a certificate.
    #[must_use]
    pub fn asks_for_certificates(&self) -> bool {
        self.own_issuer.as_ref().is_some_and(|own| own.certificates)
            || self.resources.iter().any(|resource| resource.certificate_bound != Requirement::Off)
            || self.facts().any(|fact| fact == Fact::Certificate)
    }

    /// Whether a rule tests the country or network of a request, or the user of a device sees it.
    #[must_use]
    pub fn asks_for_places(&self) -> bool {
        self.own_issuer.as_ref().is_some_and(|own| own.devices)
            || self.facts().any(|fact| matches!(fact, Fact::Country | Fact::Network))
    }

    /// The facts about callers that rules test.
    pub fn facts(&self) -> impl Iterator<Item = Fact<'_>> {
        self.resources.iter().filter_map(|resource| resource.policy.as_ref()).flat_map(|policy| policy.facts())
    }
}

/// The public data of the gateway's own authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnIssuer {
    /// The name by which resources refer to it in the configuration.
    pub name: String,
    /// The issuer identifier.
    pub identifier: String,
    /// Its path; empty if it has none.
    pub path: String,
    /// Whether devices may ask for tokens: then their users see from where.
    pub devices: bool,
    /// Whether clients authenticate with certificates.
    pub certificates: bool,
    /// Descriptions of scopes, shown to users.
    pub scope_descriptions: BTreeMap<String, String>,
}

impl OwnIssuer {
    /// The URL of an endpoint.
    #[must_use]
    pub fn url(&self, endpoint: &str) -> String {
        format!("{}{endpoint}", self.identifier)
    }
}

/// Where the key of pseudonyms comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pseudonyms {
    /// `public_url`, which every reader of the log knows.
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
