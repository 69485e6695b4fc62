//! Protected resources, public paths, and the origin servers behind them.

use std::rc::Rc;

use crate::content::Content;
use crate::mcp::definition::Defined;
use crate::mcp::method::{INITIALIZE, INITIALIZED, McpMethod};
use crate::mcp::operation::Operation;
use crate::mcp::session::Sessions;
use crate::oauth::scope::{Scope, ScopeSet};
use crate::origin_credential::OriginCredential;
use crate::policy::approval::Approvals;
use crate::policy::budget::Budget;
use crate::policy::decide::Policy;
use crate::policy::limit::Limit;
use crate::policy::lock::Lock;
use crate::settings::federation::Federation;
use crate::token::accepted::Verifiers;
use crate::token::binding::{Requirement, Requirements};
use crate::token::principal::IdentityClaim;
use crate::transport::path::CanonicalPath;
use crate::transport::url::HttpUrl;

/// A protected resource: an MCP endpoint (RFC 9728 §1).
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its index in the configuration.
    pub index: usize,
    /// Its path on this gateway.
    pub path: CanonicalPath,
    /// The resource identifier: what clients name in `resource` and tokens in `aud`.
    pub identifier: String,
    /// The origin server that its requests go to; that of the first server if there are several, and then nothing is forwarded
    /// before one of them is chosen.
    pub origin: OriginServer,
    /// The servers behind it, if there are several.
    pub federation: Option<Rc<Federation>>,
    /// The verifiers of the credentials that it accepts.
    pub accepts: Verifiers,
    /// Whether it accepts or requires tokens that are bound to a DPoP key.
    pub dpop: Requirement,
    /// Whether it accepts or requires tokens that are bound to a client certificate.
    pub certificate_bound: Requirement,
    /// The scopes that every request needs.
    pub scopes: ScopeSet,
    /// The prefix of scopes that the gateway tells clients to request.
    pub scope_prefix: String,
    /// The values of `aud` that it accepts: a token must have one of them.
    pub audiences: Vec<String>,
    /// `resource_name`.
    pub name: Option<String>,
    /// `resource_documentation`.
    pub documentation: Option<String>,
    /// Largest request body in bytes.
    pub body_bytes: u64,
    /// Its rules; without rules every caller may do everything.
    pub policy: Option<Rc<Policy>>,
    /// Whether public lists are cached.
    pub cache_lists: bool,
    /// The rate limits of callers.
    pub limits: Vec<Rc<Limit>>,
    /// How calls wait for the approval of a person, if a rule has them wait.
    pub approvals: Option<Rc<Approvals>>,
    /// The budgets of a day.
    pub budgets: Vec<Rc<Budget>>,
    /// How many requests of one caller the policy may reject in a minute.
    pub refusals_per_minute: u64,
    /// Fields that mirror an argument, and the name of the argument.
    pub parameters: Vec<(String, String)>,
    /// Fields of the client that the gateway forwards in addition to those that it always forwards, in lower case.
    pub forward_fields: Vec<String>,
    /// Claims of the caller that the origin server gets.
    pub identity_claims: Vec<IdentityClaim>,
    /// The methods that callers without credentials may use.
    pub anonymous: Vec<&'static McpMethod>,
    /// Whether the identity assertion always names what a request asks for.
    pub asserts_operation: bool,
    /// How task ids, `requestState` and URIs of Apps are bound to their callers; `None` if they are not.
    pub handles: Option<Sessions>,
    /// The definitions to which the origin server's items are held, if they are.
    pub lock: Option<Rc<Lock>>,
    /// The guards and bounds for its calls and results, if it has any.
    pub content: Option<Rc<Content>>,
    /// Whether the origin server learns who calls.
    pub names_caller: bool,
    /// How the gateway authenticates to the origin server, if it does.
    pub credential: Option<Rc<OriginCredential>>,
}

impl Resource {
    /// Scopes in the form in which clients have to request them.
    #[must_use]
    pub fn advertised(&self, scopes: &ScopeSet) -> ScopeSet {
        let prefixed = |scope: &Scope| Scope::parse(&format!("{}{}", self.scope_prefix, scope.as_str())).ok();
        scopes.iter().filter_map(prefixed).collect()
    }

    /// Its requirements for the binding of tokens.
    #[must_use]
    pub fn binding(&self) -> Requirements {
        Requirements { dpop: self.dpop, certificate: self.certificate_bound }
    }

    /// Whether a caller without credentials may use a method. The notification that ends an initialization belongs to it.
    #[must_use]
    pub fn is_open(&self, method: &str) -> bool {
        let is_listed = |name: &str| self.anonymous.iter().any(|open| open.name == name);
        is_listed(method) || method == INITIALIZED && is_listed(INITIALIZE)
    }

    /// The lock of the server that an operation is for, the index of the server's resource, and the server's name of the item.
    #[must_use]
    pub fn locked_item(&self, operation: &Operation) -> Option<(&Lock, usize, Defined, String)> {
        let (kind, name) = operation.target.as_ref()?;
        let of = Defined::of_target(*kind)?;
        let Some(federation) = &self.federation else {
            return Some((self.lock.as_deref()?, self.index, of, name.clone()));
        };
        let server = federation.owner(*kind, name)?;
        let original = server.names.original(*kind, name)?;
        Some((server.resource.lock.as_deref()?, server.resource.index, of, original))
    }

    /// Whether the gateway has to read the messages of its requests.
    #[must_use]
    pub fn reads_messages(&self) -> bool {
        self.policy.is_some()
            || self.cache_lists
            || self.asserts_operation
            || self.handles.is_some()
            || self.federation.is_some()
            || self.lock.is_some()
            || self.content.is_some()
            // So that a request can be repeated with the other value.
            || self.credential.as_ref().is_some_and(|credential| credential.is_rotating())
            || !self.parameters.is_empty()
            || self.limits.iter().any(|limit| limit.asks_for_tools())
            || !self.budgets.is_empty()
    }
}

/// The server behind a resource.
#[derive(Debug, Clone)]
pub struct OriginServer {
    /// Its URL.
    pub url: HttpUrl,
    /// The service binding for its requests; `None` if they use the network.
    pub service: Option<String>,
    /// Seconds that it has until its response fields have arrived.
    pub response_timeout: u64,
    /// Seconds that its answer may be silent; `None` if it may be silent as long as the client waits for it.
    pub idle_timeout: Option<u64>,
    /// Seconds of silence after which the gateway writes a comment into an event stream; `None` if it writes none.
    pub keep_alive: Option<u64>,
}

/// A path that the gateway forwards without authentication.
#[derive(Debug, Clone)]
pub struct PublicPath {
    /// The exact path.
    pub path: CanonicalPath,
    /// The origin server that its requests go to.
    pub origin: OriginServer,
}
