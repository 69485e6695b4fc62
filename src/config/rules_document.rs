//! The part of the configuration document that says who may do what, as a user writes it: see
//! [`document`](super::document).

use std::collections::BTreeMap;

use deserr::Deserr;

use crate::config::mistakes::Mistakes;

/// A rule about what callers may do at a resource. `docs/policy.md` has the whole story and a worked example.
///
/// The rules of a resource are read in order, and the first that matches decides. What no rule matches is denied, but
/// for the protocol's own messages (`initialize`, `ping`, `server/discover`, lists, notifications). A rule matches
/// where one of its targets fits what is asked for and everything under `when` holds.
#[derive(Debug, Clone, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct RuleDocument {
    /// Its name in decisions, logs and reports: 1 to 64 letters, digits, `-`, `_`, `.`. Default: `rule-N`, counted from 1.
    #[deserr(default)]
    pub id: Option<String>,

    /// What a match means: `allow`; `deny` (for the caller what was asked for does not exist); or `step_up`: allowed with
    /// all of `scopes`, and answered with a challenge for them without.
    pub effect: EffectName,

    /// The scopes of `step_up`. Required there, and an error elsewhere.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// Targets: JSON-RPC methods, as `tools/call` or `tasks/*`. Default: what the other targets imply.
    #[deserr(default)]
    pub methods: Option<Vec<String>>,

    /// Targets: names of tools, as `delete_*`. `*` stands for any characters, everything else for itself.
    #[deserr(default)]
    pub tools: Option<Vec<String>>,

    /// Targets: tools that `labels` of the resource lists under these labels.
    #[deserr(default)]
    pub labels: Option<Vec<String>>,

    /// Targets: names of prompts.
    #[deserr(default)]
    pub prompts: Option<Vec<String>>,

    /// Targets: URIs of MCP resources, as `file:///docs/*`.
    #[deserr(default)]
    pub resources: Option<Vec<String>>,

    /// What must hold besides. Default: nothing.
    #[deserr(default)]
    pub when: Option<WhenDocument>,

    /// `enforce`, or `observe`: the rule decides nothing, and the log says what it would have. Default: `enforce`.
    #[deserr(default)]
    pub mode: Option<ModeName>,
}

/// What a rule asks of the caller, the connection and the arguments. Everything that is given must hold.
#[derive(Debug, Clone, Default, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct WhenDocument {
    /// The caller has all of these scopes, by itself or through the hierarchy.
    #[deserr(default)]
    pub scopes: Option<Vec<String>>,

    /// The caller has one of these roles: values of the claims that the issuer's profile names for roles.
    #[deserr(default)]
    pub roles: Option<Vec<String>>,

    /// The caller is in one of these groups: values of the claims that the issuer's profile names for groups.
    #[deserr(default)]
    pub groups: Option<Vec<String>>,

    /// Claims, each equal to, or as an array containing, one of the values. A name that begins with `/` is a JSON Pointer
    /// (RFC 6901) into the claims, as `/realm_access/roles`.
    #[deserr(default)]
    pub claims: Option<BTreeMap<String, Vec<String>>>,

    /// The subject is one of these.
    #[deserr(default)]
    pub subjects: Option<Vec<String>>,

    /// The client is one of these.
    #[deserr(default)]
    pub clients: Option<Vec<String>>,

    /// The credential is of one of these issuers, verifiers or API key prefixes, by name.
    #[deserr(default)]
    pub issuers: Option<Vec<String>>,

    /// The caller's country as Cloudflare sees it: ISO 3166-1 alpha-2, as `DE`. Where that is not known, the rule does not
    /// match.
    #[deserr(default)]
    pub countries: Option<Vec<String>>,

    /// The caller's network as Cloudflare sees it: numbers of autonomous systems.
    #[deserr(default)]
    pub asns: Option<Vec<u64>>,

    /// Whether the caller came with a verified client certificate.
    #[deserr(default)]
    pub mtls: Option<bool>,

    /// Tests on top-level arguments of a tool or prompt, by name.
    #[deserr(default)]
    pub arguments: Option<BTreeMap<String, ArgumentDocument>>,
}

/// A test on one argument. Everything that is given must hold; an argument that is not there fails every test but
/// `present = false`.
#[derive(Debug, Clone, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ArgumentDocument {
    /// It is one of these strings.
    #[deserr(default)]
    pub one_of: Option<Vec<String>>,

    /// It is a string of this form: `*` stands for any characters.
    #[deserr(default)]
    pub like: Option<String>,

    /// It is a number, and not less.
    #[deserr(default)]
    pub at_least: Option<i64>,

    /// It is a number, and not more.
    #[deserr(default)]
    pub at_most: Option<i64>,

    /// It is this boolean.
    #[deserr(default)]
    pub is: Option<bool>,

    /// Whether it is there, and not `null`.
    #[deserr(default)]
    pub present: Option<bool>,
}

/// How old-era sessions are bound to their callers (L8).
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct SessionsDocument {
    /// Names of Worker secrets, each of 32 characters or more. Session ids leave the gateway sealed with the first, for
    /// this subject, client and resource alone; those sealed with any of them are opened, so that a new secret is put
    /// first and the old one removed when its sessions have ended. At most 4.
    pub secrets: Vec<String>,

    /// Seconds after which a session ends, whatever its origin server says, 60 to 2592000. Default: 86400.
    #[deserr(default)]
    pub seconds: Option<u64>,
}

/// How often callers may call. Each is counted apart; where a limit is reached the answer is 429 with `Retry-After`.
#[derive(Debug, Clone, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct LimitDocument {
    /// What is counted together: any of `subject`, `client`, `tool`. All requests of the resource where it is empty.
    pub by: Vec<LimitKeyName>,

    /// Requests in a period.
    pub requests: u64,

    /// The period in seconds: 10 or 60, as the rate-limiting binding of Workers has them.
    pub seconds: u64,

    /// Tools whose calls count, by name as in rules; other requests do not. Default: every POST counts.
    #[deserr(default)]
    pub tools: Option<Vec<String>>,

    /// The name of a rate-limiting binding with the same `limit` and `period`, which all isolates of a place share.
    /// Default: each isolate counts for itself.
    #[deserr(default)]
    pub binding: Option<String>,
}

/// Where decisions are recorded, besides the line of each request.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct DecisionLogDocument {
    /// Lines in the Worker's own log (`console`). Default `true`.
    #[deserr(default)]
    pub console: Option<bool>,

    /// The name of an Analytics Engine binding. Default: none.
    #[deserr(default)]
    pub analytics_engine: Option<String>,

    /// The name of a Queue binding. Default: none.
    #[deserr(default)]
    pub queue: Option<String>,
}

/// What a rule's match means.
#[derive(Debug, Clone, Copy, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum EffectName {
    /// It may be done.
    #[deserr(rename = "allow")]
    #[cfg_attr(feature = "schema", schemars(rename = "allow"))]
    Allow,
    /// For the caller it does not exist.
    #[deserr(rename = "deny")]
    #[cfg_attr(feature = "schema", schemars(rename = "deny"))]
    Deny,
    /// It may be done with more scopes.
    #[deserr(rename = "step_up")]
    #[cfg_attr(feature = "schema", schemars(rename = "step_up"))]
    StepUp,
}

/// Whether rules decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ModeName {
    /// They do.
    #[deserr(rename = "enforce")]
    #[cfg_attr(feature = "schema", schemars(rename = "enforce"))]
    Enforce,
    /// The log says what they would have decided.
    #[deserr(rename = "observe")]
    #[cfg_attr(feature = "schema", schemars(rename = "observe"))]
    Observe,
}

/// How lists show what needs a step-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StepUpListName {
    /// Not at all.
    #[deserr(rename = "hide")]
    #[cfg_attr(feature = "schema", schemars(rename = "hide"))]
    Hide,
    /// With a mark.
    #[deserr(rename = "mark")]
    #[cfg_attr(feature = "schema", schemars(rename = "mark"))]
    Mark,
}

/// What requests are counted together by.
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
    /// Tool that is called.
    #[deserr(rename = "tool")]
    #[cfg_attr(feature = "schema", schemars(rename = "tool"))]
    Tool,
}
