//! The part of the configuration document that says which callers may do what, as an operator writes it: see
//! [`document`](super::document).

use deserr::Deserr;

use crate::config::mistakes::Mistakes;
#[cfg(feature = "schema")]
use crate::config::ranges::{APPROVAL, APPROVAL_WAIT, SESSION, SIGN_IN_AGE};
use crate::config::table::Table;
use crate::origin_credential::Kind;

/// A rule about what callers may do at a resource. `docs/policy.md` explains rules and has a complete example.
///
/// The gateway reads the rules of a resource in order, and the first rule that matches decides. The gateway denies what
/// no rule matches, except the messages of the protocol itself (`initialize`, `ping`, `server/discover`, lists,
/// notifications). A rule matches if one of its targets matches what the request asks for and every condition under
/// `when` holds.
#[derive(Debug, Clone, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct RuleDocument {
    /// The name of the rule in decisions, logs and reports: 1 to 64 letters, digits, `-`, `_`, `.`. Default: `rule-N`,
    /// counted from 1.
    #[deserr(default)]
    pub id: Option<String>,

    /// What a match means: `allow`; `deny` (for this caller, the target does not exist); `step_up`: a caller with
    /// all of `scopes`, whose user signed in as `sign_in` says, may do it, and any other caller gets a challenge for them; or `approve`: a call of the tool waits
    /// until a person approves it (guide: `docs/trust.md`).
    pub effect: EffectName,

    /// The scopes of `step_up`. `step_up` requires `scopes` or `sign_in`; they are an error for any other effect.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// What `step_up` requires of the sign-in of the caller's user. Default: nothing.
    #[deserr(default)]
    pub sign_in: Option<SignInDocument>,

    /// Groups whose members may approve the calls of others, as the identity provider of `authorization_server.login` names
    /// them. Only for `approve`. Default: none; the caller approves.
    #[deserr(default)]
    pub approver_groups: Option<Vec<String>>,

    /// Whether the caller may approve, after a fresh login. Only for `approve`. Default: `true` without `approver_groups`,
    /// else `false`.
    #[deserr(default)]
    pub caller_approves: Option<bool>,

    /// Targets: JSON-RPC methods, for example `tools/call` or `tasks/*`. Default: those that the other targets imply.
    #[deserr(default)]
    pub methods: Option<Vec<String>>,

    /// Targets: names of tools, for example `delete_*`. `*` matches any characters; every other character stands for
    /// itself.
    #[deserr(default)]
    pub tools: Option<Vec<String>>,

    /// Targets: the tools that `labels` of the resource lists under these labels.
    #[deserr(default)]
    pub labels: Option<Vec<String>>,

    /// Targets: names of prompts.
    #[deserr(default)]
    pub prompts: Option<Vec<String>>,

    /// Targets: URIs of MCP resources, for example `file:///docs/*`.
    #[deserr(default)]
    pub resources: Option<Vec<String>>,

    /// Conditions that must also hold. Default: none.
    #[deserr(default)]
    pub when: Option<WhenDocument>,

    /// `enforce`, or `observe`: the rule decides nothing, and the log says what it would have decided. Default:
    /// `enforce`.
    #[deserr(default)]
    pub mode: Option<ModeName>,
}

/// What a `step_up` rule requires of the sign-in of the caller's user. Everything that is given must hold. A caller whose user did
/// not sign in like that gets 401 with `insufficient_user_authentication` (RFC 9470 §3), and gets a new token by a new sign-in. A
/// credential without the claim, such as an API key, does not fulfil it.
#[derive(Debug, Clone, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct SignInDocument {
    /// The most seconds since the user signed in (the claim `auth_time`), 10 to 31536000. Default: no limit.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = SIGN_IN_AGE.least, "maximum" = SIGN_IN_AGE.most)))]
    pub max_age: Option<u64>,

    /// The authentication context classes that are accepted (the claim `acr`), the preferred one first. Default: any.
    #[deserr(default)]
    pub acr: Option<Vec<String>>,

    /// Methods of which the user must have used one (the claim `amr`, RFC 8176), for example `mfa`. A challenge cannot name methods,
    /// so `acr` or `max_age` must stand beside it. Default: any.
    #[deserr(default)]
    pub amr: Option<Vec<String>>,
}

/// Conditions on the caller, the connection and the arguments. Every condition that is given must hold.
#[derive(Debug, Clone, Default, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct WhenDocument {
    /// The caller has all of these scopes, directly or through the scope hierarchy (`scope_includes`).
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// The caller has one of these roles: values of the claims from which the issuer's profile reads roles.
    #[deserr(default)]
    pub roles: Option<Vec<String>>,

    /// The caller is in one of these groups: values of the claims from which the issuer's profile reads groups.
    #[deserr(default)]
    pub groups: Option<Vec<String>>,

    /// Claims, each with its accepted values: the claim equals one of them, or is an array that contains one of them. A
    /// name that begins with `/` is a JSON Pointer (RFC 6901) into the claims, for example `/realm_access/roles`.
    #[deserr(default)]
    pub claims: Option<Table<Vec<String>>>,

    /// The subject is one of these.
    #[deserr(default)]
    pub subjects: Option<Vec<String>>,

    /// The client is one of these.
    #[deserr(default)]
    pub clients: Option<Vec<String>>,

    /// The credential comes from one of these issuers or verifiers, or from an API key set with one of these prefixes.
    #[deserr(default)]
    pub issuers: Option<Vec<String>>,

    /// The caller's country as Cloudflare reports it: ISO 3166-1 alpha-2, for example `DE`. If the country is unknown,
    /// the rule does not match.
    #[deserr(default)]
    pub countries: Option<Vec<String>>,

    /// The caller's network as Cloudflare reports it: autonomous system numbers.
    #[deserr(default)]
    pub asns: Option<Vec<u64>>,

    /// Whether the caller presented a verified client certificate.
    #[deserr(default)]
    pub mtls: Option<bool>,

    /// The credential that the gateway uses at the origin server of this resource is of one of these kinds. It is the same for
    /// every caller: with this condition, the same rules can stand at several resources.
    #[deserr(default)]
    pub origin_credentials: Option<Vec<OriginCredentialName>>,

    /// Tests on top-level arguments of a tool or prompt, by name.
    #[deserr(default)]
    pub arguments: Option<Table<ArgumentDocument>>,
}

/// A test on one argument. Every part that is given must hold; a missing argument fails every test except
/// `present = false`.
#[derive(Debug, Clone, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ArgumentDocument {
    /// The argument is one of these strings.
    #[deserr(default)]
    pub one_of: Option<Vec<String>>,

    /// The argument is a string that matches this pattern: `*` matches any characters.
    #[deserr(default)]
    pub like: Option<String>,

    /// The argument is a number that is not less than this one.
    #[deserr(default)]
    pub at_least: Option<i64>,

    /// The argument is a number that is not greater than this one.
    #[deserr(default)]
    pub at_most: Option<i64>,

    /// The argument is this boolean.
    #[deserr(default)]
    pub is: Option<bool>,

    /// Whether the argument is present and not `null`.
    #[deserr(default)]
    pub present: Option<bool>,
}

/// How the gateway binds sessions of the legacy era, task ids, `requestState` and the URIs of Apps to their callers (L8, P7, T30).
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct SessionsDocument {
    /// Names of 1 to 4 Worker secrets, each of 32 characters or more. Before a client sees such an id, the gateway
    /// seals it with the first secret, for one issuer, subject, client and resource. It opens ids that were sealed with
    /// any of the secrets. To change a secret, put the new one first, and remove the old one when its sessions have
    /// ended.
    pub secrets: Vec<String>,

    /// Seconds after which a session, a task id and a `requestState` end, whatever the origin server says, 60 to 2592000. Default: 86400.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = SESSION.default, "minimum" = SESSION.least, "maximum" = SESSION.most)))]
    pub seconds: Option<u64>,
}

/// A rate limit. Each limit counts separately. A request over a limit gets 429 with `Retry-After`; `initialize` and
/// `server/discover` get 503.
#[derive(Debug, Clone, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct LimitDocument {
    /// What counts together: any of `subject`, `client`, `tool`. If empty, all requests of the resource count together.
    pub by: Vec<LimitKeyName>,

    /// Requests that are permitted in a period.
    pub requests: u64,

    /// The period in seconds: 10 or 60, the periods of the rate-limiting binding of Workers.
    pub seconds: u64,

    /// Tools whose calls count, by name as in rules; other requests do not count. Default: every POST counts.
    #[deserr(default)]
    pub tools: Option<Vec<String>>,

    /// The name of a rate-limiting binding with the same `limit` and `period`, which counts for all isolates of a data
    /// center. Default: each isolate counts for itself.
    #[deserr(default)]
    pub binding: Option<String>,
}

/// Where the gateway records decisions, in addition to the log line of each request.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct DecisionLogDocument {
    /// Writes a line to the Worker's own log (`console`) for each decision. Default: `true`.
    #[deserr(default)]
    pub console: Option<bool>,

    /// The name of an Analytics Engine binding. Default: none.
    #[deserr(default)]
    pub analytics_engine: Option<String>,

    /// The name of a Queue binding. Default: none.
    #[deserr(default)]
    pub queue: Option<String>,
}

/// What a match of a rule means.
#[derive(Debug, Clone, Copy, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum EffectName {
    /// The operation is permitted.
    #[deserr(rename = "allow")]
    #[cfg_attr(feature = "schema", schemars(rename = "allow"))]
    Allow,
    /// For this caller, the target does not exist.
    #[deserr(rename = "deny")]
    #[cfg_attr(feature = "schema", schemars(rename = "deny"))]
    Deny,
    /// The operation is permitted with additional scopes.
    #[deserr(rename = "step_up")]
    #[cfg_attr(feature = "schema", schemars(rename = "step_up"))]
    StepUp,
    /// A call of the tool waits until a person approves it.
    #[deserr(rename = "approve")]
    #[cfg_attr(feature = "schema", schemars(rename = "approve"))]
    Approve,
}

/// How calls wait for approval, and who learns of them. Rules with `effect = "approve"` say which calls.
#[derive(Debug, Clone, Default, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ApprovalsDocument {
    /// Seconds for which a call waits, and for which its approval or denial is valid, 60 to 86400. Default: 900.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = APPROVAL.default, "minimum" = APPROVAL.least, "maximum" = APPROVAL.most)))]
    pub seconds: Option<u64>,

    /// Seconds for which the gateway holds a call that comes again before a person decided, 0 to 60. Default: 20.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = APPROVAL_WAIT.default, "minimum" = APPROVAL_WAIT.least, "maximum" = APPROVAL_WAIT.most)))]
    pub wait_seconds: Option<u64>,

    /// The URL that gets a message for each call that waits: `https`, or `http` on loopback in development. Default: none.
    #[deserr(default)]
    pub url: Option<String>,

    /// The name of a service binding that gets these messages; `url` then only says the path. Default: none.
    #[deserr(default)]
    pub service: Option<String>,

    /// The name of a Worker secret of 32 characters or more, which they get as `Authorization: Bearer`. Default: none.
    #[deserr(default)]
    pub secret: Option<String>,

    /// The name of a Queue binding that gets the same messages. Default: none.
    #[deserr(default)]
    pub queue: Option<String>,
}

/// A kind of credential for an origin server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OriginCredentialName {
    /// None: the gateway forwards requests without a credential.
    #[deserr(rename = "none")]
    #[cfg_attr(feature = "schema", schemars(rename = "none"))]
    None,
    /// Fields from Worker secrets.
    #[deserr(rename = "static")]
    #[cfg_attr(feature = "schema", schemars(rename = "static"))]
    Static,
    /// A token of the gateway itself.
    #[deserr(rename = "client_credentials")]
    #[cfg_attr(feature = "schema", schemars(rename = "client_credentials"))]
    ClientCredentials,
    /// A token for the caller, in exchange for its own.
    #[deserr(rename = "token_exchange")]
    #[cfg_attr(feature = "schema", schemars(rename = "token_exchange"))]
    TokenExchange,
    /// A token for the caller, by Enterprise-Managed Authorization.
    #[deserr(rename = "enterprise")]
    #[cfg_attr(feature = "schema", schemars(rename = "enterprise"))]
    Enterprise,
    /// A token of the caller's own account.
    #[deserr(rename = "per_user")]
    #[cfg_attr(feature = "schema", schemars(rename = "per_user"))]
    PerUser,
}

impl OriginCredentialName {
    /// The kind that it names; `None` for `none`.
    pub(super) fn kind(self) -> Option<Kind> {
        match self {
            Self::None => None,
            Self::Static => Some(Kind::Static),
            Self::ClientCredentials => Some(Kind::ClientCredentials),
            Self::TokenExchange => Some(Kind::TokenExchange),
            Self::Enterprise => Some(Kind::Enterprise),
            Self::PerUser => Some(Kind::PerUser),
        }
    }
}

/// Whether the gateway enforces rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ModeName {
    /// The gateway enforces them.
    #[deserr(rename = "enforce")]
    #[cfg_attr(feature = "schema", schemars(rename = "enforce"))]
    Enforce,
    /// The log says what they would have decided.
    #[deserr(rename = "observe")]
    #[cfg_attr(feature = "schema", schemars(rename = "observe"))]
    Observe,
}

/// How lists show tools that need a step-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StepUpListName {
    /// Lists leave them out.
    #[deserr(rename = "hide")]
    #[cfg_attr(feature = "schema", schemars(rename = "hide"))]
    Hide,
    /// Lists show them with a mark.
    #[deserr(rename = "mark")]
    #[cfg_attr(feature = "schema", schemars(rename = "mark"))]
    Mark,
}

/// What a rate limit counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum LimitKeyName {
    /// Issuer and subject.
    #[deserr(rename = "subject")]
    #[cfg_attr(feature = "schema", schemars(rename = "subject"))]
    Subject,
    /// Client.
    #[deserr(rename = "client")]
    #[cfg_attr(feature = "schema", schemars(rename = "client"))]
    Client,
    /// The tool that is called.
    #[deserr(rename = "tool")]
    #[cfg_attr(feature = "schema", schemars(rename = "tool"))]
    Tool,
}
