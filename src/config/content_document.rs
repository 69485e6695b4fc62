//! The tables for guards and bounds of a resource, as an operator writes them.

use deserr::Deserr;

use crate::config::mistakes::Mistakes;
#[cfg(feature = "schema")]
use crate::config::ranges::{
    BOUND_DEPTH, BOUND_IN_FLIGHT, BOUND_ITEMS, BOUND_REQUEST_BYTES, BOUND_RESPONSE_BYTES, BOUND_SECONDS, HOOK_BYTES,
    HOOK_TIMEOUT,
};
use crate::config::rules_document::{LimitKeyName, ModeName, WhenDocument};

/// A guard: it looks for credentials and personal data in calls and results. All guards whose targets and conditions fit a call look at
/// it. Guide: `docs/trust.md`.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct GuardDocument {
    /// The name of the guard in the log: 1 to 64 letters, digits, `-`, `_`, `.`. Default: `guard-N`, counted from 1.
    #[deserr(default)]
    pub id: Option<String>,

    /// What it looks for: `credentials` of known forms, `cards` (numbers of payment cards with a right check digit), `iban` (with right
    /// check digits), `email`.
    pub find: Vec<CategoryName>,

    /// What it does with what it finds: `mask` puts `[masked FORM]` in its place; `deny` does not let the message pass; `observe` does
    /// nothing. The log names the form in all cases.
    pub action: GuardActionName,

    /// Where it looks: in `arguments` (and in what a client answers to questions of the server), in `results` (and in everything else
    /// that a server sends with them). Default: both.
    #[deserr(default)]
    pub on: Option<Vec<DirectionName>>,

    /// Targets: JSON-RPC methods, for example `tools/call`. Default: those that the other targets imply.
    #[deserr(default)]
    pub methods: Option<Vec<String>>,

    /// Targets: names of tools, as in rules. Without any target, the guard looks at every call but the messages of the protocol itself.
    #[deserr(default)]
    pub tools: Option<Vec<String>>,

    /// Targets: the tools that `labels` of the resource lists under these labels.
    #[deserr(default)]
    pub labels: Option<Vec<String>>,

    /// Targets: names of prompts.
    #[deserr(default)]
    pub prompts: Option<Vec<String>>,

    /// Targets: URIs of MCP resources.
    #[deserr(default)]
    pub resources: Option<Vec<String>>,

    /// Conditions on the caller that must also hold, as in rules, but none on `arguments`. Default: none.
    #[deserr(default)]
    pub when: Option<WhenDocument>,
}

/// Bounds for the calls of some tools. If several fit a call, the strictest of each counts. Guide: `docs/trust.md`.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct BoundDocument {
    /// Targets: JSON-RPC methods. Default: those that the other targets imply.
    #[deserr(default)]
    pub methods: Option<Vec<String>>,

    /// Targets: names of tools, as in rules. Without any target, the bounds are for every call but the messages of the protocol itself.
    #[deserr(default)]
    pub tools: Option<Vec<String>>,

    /// Targets: the tools that `labels` of the resource lists under these labels.
    #[deserr(default)]
    pub labels: Option<Vec<String>>,

    /// Targets: names of prompts.
    #[deserr(default)]
    pub prompts: Option<Vec<String>>,

    /// Targets: URIs of MCP resources.
    #[deserr(default)]
    pub resources: Option<Vec<String>>,

    /// Most bytes of the message with the call, 1 to 8388608. Default: `body_bytes` of the resource.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = BOUND_REQUEST_BYTES.least, "maximum" = BOUND_REQUEST_BYTES.most)))]
    pub request_bytes: Option<u64>,

    /// Most bytes of the message with the result, 1 to 4194304. The gateway holds a result up to this size until it is complete, and a
    /// larger one does not pass at all. Default: no bound.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = BOUND_RESPONSE_BYTES.least, "maximum" = BOUND_RESPONSE_BYTES.most)))]
    pub response_bytes: Option<u64>,

    /// Deepest nesting of the arguments, and of the result, 1 to 100. An object or array without others in it has the depth 1. The gateway
    /// holds results, of at most 1 MB or `response_bytes`. Default: no bound.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = BOUND_DEPTH.least, "maximum" = BOUND_DEPTH.most)))]
    pub depth: Option<u64>,

    /// Most members and elements, at all levels, of the arguments, and of the result, 1 to 1000000. The gateway holds results, as with
    /// `depth`. Default: no bound.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = BOUND_ITEMS.least, "maximum" = BOUND_ITEMS.most)))]
    pub items: Option<u64>,

    /// Seconds until the answer has to be complete, 1 to 3600. An answer that has not begun by then is 504, one that has begun breaks off.
    /// Default: no bound but `response_timeout_seconds`.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = BOUND_SECONDS.least, "maximum" = BOUND_SECONDS.most)))]
    pub answer_seconds: Option<u64>,

    /// Most such calls of one caller at the same time, in each isolate, 1 to 1000. One more gets 429. Needs `answer_seconds`. Default: no
    /// bound.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = BOUND_IN_FLIGHT.least, "maximum" = BOUND_IN_FLIGHT.most)))]
    pub in_flight: Option<u64>,

    /// Holds the arguments of a tool to its `inputSchema`, and structured results to its `outputSchema`, as they are in the lock: `enforce`,
    /// or `observe`, which only says in the log what does not fit. Needs `lock`, and a Worker that is built with schema checks
    /// (`docs/trust.md`). The gateway holds results, as with `depth`. Default: it does not.
    #[deserr(default)]
    pub schema: Option<ModeName>,
}

/// A hook: a service of yours that is asked about calls before they are forwarded, and about messages of the server before the client gets
/// them. Hooks are asked in the order of their entries. Guide with the contract: `docs/trust.md`.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct HookDocument {
    /// The name of the hook in the log: 1 to 64 letters, digits, `-`, `_`, `.`. Default: `hook-N`, counted from 1.
    #[deserr(default)]
    pub id: Option<String>,

    /// Its URL. Must be `https`, except loopback in development. Required without `service`.
    #[deserr(default)]
    pub url: Option<String>,

    /// The name of a service binding through which the gateway asks it, instead of over the network.
    #[deserr(default)]
    pub service: Option<String>,

    /// The name of the Worker secret that the hook gets as a bearer token: 32 characters or more. Default: none.
    #[deserr(default)]
    pub secret: Option<String>,

    /// What it is asked about: `arguments` of calls, `results` (and everything else that a server sends with them). Default: both.
    #[deserr(default)]
    pub on: Option<Vec<DirectionName>>,

    /// Targets: JSON-RPC methods. Default: those that the other targets imply.
    #[deserr(default)]
    pub methods: Option<Vec<String>>,

    /// Targets: names of tools, as in rules. Without any target, the hook is asked about every call but the messages of the protocol itself.
    #[deserr(default)]
    pub tools: Option<Vec<String>>,

    /// Targets: the tools that `labels` of the resource lists under these labels.
    #[deserr(default)]
    pub labels: Option<Vec<String>>,

    /// Targets: names of prompts.
    #[deserr(default)]
    pub prompts: Option<Vec<String>>,

    /// Targets: URIs of MCP resources.
    #[deserr(default)]
    pub resources: Option<Vec<String>>,

    /// Conditions on the caller that must also hold, as in rules, but none on `arguments`. Default: none.
    #[deserr(default)]
    pub when: Option<WhenDocument>,

    /// Seconds within which it must answer, 1 to 30. Default: 5.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = HOOK_TIMEOUT.default, "minimum" = HOOK_TIMEOUT.least, "maximum" = HOOK_TIMEOUT.most)))]
    pub timeout_seconds: Option<u64>,

    /// What happens if it does not answer as the contract says: `deny`, the message does not pass; `pass`, it does. Default: `deny`.
    #[deserr(default)]
    pub on_failure: Option<FailureName>,

    /// Most bytes of the arguments or the message that it is asked about, 1 to 1048576. More counts as a failure. Default: 262144.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = HOOK_BYTES.default, "minimum" = HOOK_BYTES.least, "maximum" = HOOK_BYTES.most)))]
    pub bytes: Option<u64>,
}

/// What happens if a hook does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(rename_all = lowercase, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "lowercase"))]
pub enum FailureName {
    /// The message does not pass.
    Deny,
    /// It passes.
    Pass,
}

/// A budget of calls in a day (UTC). A Durable Object counts them, exactly and for all isolates. A call beyond the budget is refused, and so is
/// every call while the object cannot be reached. Each such call waits for the object, about 5 ms in the same region.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct BudgetDocument {
    /// What counts together: any of `subject`, `client`, `tool`. If empty, all calls count together.
    pub by: Vec<LimitKeyName>,

    /// Calls that a day has, 1 to 1000000000.
    pub calls: u64,

    /// The name of a Durable Object binding with the class `DayBudget`.
    pub binding: String,

    /// Tools whose calls count, as in rules. Default: all tools.
    #[deserr(default)]
    pub tools: Option<Vec<String>>,

    /// The log has a line (`budget_warning`) when so many calls of a day are made, 1 to 1000000000 and at most
    /// `calls`. Default: no line.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = 1, "maximum" = 1_000_000_000)))]
    pub warn_at: Option<u64>,
}

/// What a guard looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(rename_all = lowercase, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "lowercase"))]
pub enum CategoryName {
    /// Credentials of known forms.
    Credentials,
    /// Numbers of payment cards.
    Cards,
    /// International bank account numbers.
    Iban,
    /// E-mail addresses.
    Email,
}

/// What a guard does with what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(rename_all = lowercase, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "lowercase"))]
pub enum GuardActionName {
    /// It puts a mask in its place.
    Mask,
    /// It does not let the message pass.
    Deny,
    /// It does nothing.
    Observe,
}

/// Where a guard looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(rename_all = lowercase, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "lowercase"))]
pub enum DirectionName {
    /// In arguments.
    Arguments,
    /// In results.
    Results,
}
