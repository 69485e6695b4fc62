//! The verdicts of the policy about an operation, and what decided.

use serde_json::{Map, Value};

use crate::oauth::scope::ScopeSet;
use crate::policy::sign_in::SignIn;

/// How lists show items that need a step-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StepUpInLists {
    /// They leave these items out.
    #[default]
    Hide,
    /// They show these items with a mark.
    Mark,
}

/// The arguments of a call.
#[derive(Debug, Clone, Copy)]
pub enum Arguments<'a> {
    /// The arguments in the body.
    Known(Option<&'a Map<String, Value>>),
    /// Arguments that were not read yet or do not exist: a list asks whether the item could be called with any
    /// arguments.
    Unknown,
}

/// The verdict of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The operation is permitted.
    Allow,
    /// The operation is permitted if a person approves it.
    Approve,
    /// The operation needs more scopes, or another sign-in of the caller's user.
    StepUp {
        /// The scopes that the caller lacks.
        missing: ScopeSet,
        /// All scopes that the rule requires.
        scopes: ScopeSet,
        /// What the rule requires of the sign-in, if the caller's user did not sign in like that.
        sign_in: Option<SignIn>,
    },
    /// The operation is denied, as if its target did not exist for this caller.
    Deny,
}

impl Verdict {
    /// Whether the item exists for the caller, and can be used without more scopes and another sign-in.
    #[must_use]
    pub fn permits(&self) -> bool {
        match self {
            Self::Allow | Self::Approve => true,
            Self::StepUp { .. } | Self::Deny => false,
        }
    }

    /// How strict it is.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Approve => 1,
            Self::StepUp { .. } => 2,
            Self::Deny => 3,
        }
    }

    /// The verdict in logs and reports.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Approve => "approve",
            Self::StepUp { .. } => "step_up",
            Self::Deny => "deny",
        }
    }
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecidedBy {
    /// The rule with this index.
    Rule(usize),
    /// The message belongs to the protocol itself, and no rule decides about it.
    Protocol,
    /// No rule matches.
    Default,
    /// The name is invalid: two readers could read it differently.
    InvalidName,
    /// The definition of the item is not the one that was reviewed.
    Lock,
}

/// A decision and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// What decided.
    pub by: DecidedBy,
    /// The first matching rule that only observes, and its verdict, if that differs from the verdict of the decision.
    pub would: Option<(usize, Verdict)>,
    /// Whether another caller could get another verdict.
    pub depends_on_caller: bool,
    /// Whether arguments that are not known yet could change the verdict to a refusal, or from one.
    pub depends_on_arguments: bool,
}

/// A verdict that is possible according to what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Possible {
    /// The verdict.
    pub verdict: Verdict,
    /// What decides if this is the verdict.
    pub by: DecidedBy,
    /// The missing fact on which this verdict depends, if any.
    pub open: Option<String>,
}

/// The result of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleResult {
    /// The rule is about other targets.
    OtherTarget,
    /// This condition about the caller or the connection does not hold.
    Condition(&'static str),
    /// The test of this argument fails.
    Argument(String),
    /// The rule matches with certain arguments, but the arguments are not known.
    ArgumentsUnknown,
    /// The rule matches but only observes.
    Observed,
    /// The rule matches and decides.
    Decides,
}

impl Decision {
    pub(super) fn tidied(mut self) -> Self {
        if self.would.as_ref().is_some_and(|(_, would)| *would == self.verdict) {
            self.would = None;
        }
        self
    }
}
