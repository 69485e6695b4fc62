//! Why a message does not pass: what a guard denies, or a bound that it exceeds.

use crate::content::bound::{Bounds, SchemaMode};
use crate::content::finder::Category;
use crate::content::guard::Direction;
use crate::content::scanner::Counts;
use crate::limits::{APPROVAL_BYTES, APPROVALS_OF_ONE_CALLER};

/// Why a message does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A guard denies what it found.
    Found(Category),
    /// It has more bytes than this.
    TooLarge(u64),
    /// It nests deeper than this.
    TooDeep(u64),
    /// It has more members and elements than this.
    TooMany(u64),
    /// It does not fit the schema of its tool. The text names places and keywords, and no values.
    Misfit(String),
    /// The schema of its tool cannot be used.
    NoSchema,
    /// A guard denies, and the message cannot be read.
    Unreadable,
    /// A hook denies it; its words for the model.
    Denied(String),
    /// A hook did not answer as it should.
    NoAnswer,
    /// Hooks are not asked about a batch.
    NotAskedAbout,
    /// The budget of so many calls in a day is spent.
    BudgetSpent(u64),
    /// It is not known whether a budget has a call left; why, for the log.
    BudgetUnknown(String),
    /// A person does not approve it; the reason for the model.
    NotApproved(String),
    /// A person cannot be asked to approve it.
    NotApprovable(NotApprovable),
}

/// Why a person cannot be asked to approve a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotApprovable {
    /// It is one of several in a batch.
    Batch,
    /// Its answer arrives on another connection, as in the transport of 2024-11-05.
    Apart,
    /// Its message cannot be read, or has no answer.
    Unreadable,
    /// Its arguments have more bytes than a person can read.
    TooLarge,
    /// Only the caller may approve it, who has no login here.
    NoApprover,
    /// The caller has as many calls waiting as it may have.
    TooMany,
    /// The state that it brings back is of a call whose approval is used up.
    UsedUp,
    /// The records of approvals do not answer.
    Unavailable,
}

impl NotApprovable {
    fn cause(&self) -> &'static str {
        match self {
            Self::Batch => "a call in a batch cannot wait for approval",
            Self::Apart => "a call in the transport of 2024-11-05 cannot wait for approval",
            Self::Unreadable => "a person could not see exactly what it is",
            Self::TooLarge => "too large for a person to approve",
            Self::NoApprover => "only the caller may approve it, and has no login here",
            Self::TooMany => "too many calls of this caller wait for approval",
            Self::UsedUp => "the approval of the call is used up",
            Self::Unavailable => "the records of approvals do not answer",
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Batch => "A person has to approve it: send it outside of a batch.".to_owned(),
            Self::Unreadable => "A person has to approve it, and could not see exactly what it is.".to_owned(),
            Self::Apart => "A person has to approve it, which is not possible in this transport.".to_owned(),
            Self::TooLarge => {
                format!("A person has to approve it, and its arguments have more than {APPROVAL_BYTES} bytes.")
            }
            Self::NoApprover => "Its user has to approve it, and this credential has none who can log in.".to_owned(),
            Self::TooMany => {
                format!("{APPROVALS_OF_ONE_CALLER} calls wait for approval already. Wait until a person has decided.")
            }
            Self::UsedUp => "Its approval is used up. Call the tool again from the beginning.".to_owned(),
            Self::Unavailable => {
                "A person has to approve it, which is not possible at the moment. Try again.".to_owned()
            }
        }
    }
}

impl Fault {
    /// The bound that a message exceeds, if it does.
    #[must_use]
    pub fn of_counts(bounds: &Bounds, counts: Counts) -> Option<Self> {
        let exceeded = |most: Option<u64>, count: u64| most.filter(|most| count > *most);
        let deep = exceeded(bounds.depth, counts.depth).map(Self::TooDeep);
        deep.or_else(|| exceeded(bounds.items, counts.items).map(Self::TooMany))
    }

    /// The reason code in the log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Found(_) | Self::Unreadable => "guard_denied",
            Self::TooLarge(_) | Self::TooDeep(_) | Self::TooMany(_) => "bound_exceeded",
            Self::Misfit(_) | Self::NoSchema => "schema_mismatch",
            Self::Denied(_) => "hook_denied",
            Self::NoAnswer | Self::NotAskedAbout => "hook_failed",
            Self::BudgetSpent(_) => "budget_spent",
            Self::BudgetUnknown(_) => "budget_unavailable",
            Self::NotApproved(_) => "call_denied",
            Self::NotApprovable(NotApprovable::Unavailable) => "approvals_unavailable",
            Self::NotApprovable(_) => "not_approvable",
        }
    }

    /// Details for the log.
    #[must_use]
    pub fn detail(&self, direction: Direction) -> String {
        format!("{}: {}", direction.as_str(), self.cause(direction))
    }

    fn cause(&self, direction: Direction) -> String {
        let whose = match direction {
            Direction::Arguments => "input",
            Direction::Results => "output",
        };
        match self {
            Self::Found(category) => format!("they contain {}", category.words()),
            Self::Unreadable => "they cannot be read".to_owned(),
            Self::TooLarge(most) => format!("more than {most} bytes"),
            Self::TooDeep(most) => format!("nested deeper than {most} levels"),
            Self::TooMany(most) => format!("more than {most} members and elements"),
            Self::Misfit(what) => format!("they do not fit the tool's {whose} schema: {what}"),
            Self::NoSchema => format!("the tool's {whose} schema cannot be used"),
            // Its words may repeat what it was asked about.
            Self::Denied(_) => "a hook denies it".to_owned(),
            Self::NoAnswer => "a hook did not answer".to_owned(),
            Self::NotAskedAbout => "hooks are not asked about batches".to_owned(),
            Self::BudgetSpent(most) => format!("more than {most} calls in a day"),
            Self::BudgetUnknown(why) => why.clone(),
            // The words of a person may repeat an argument.
            Self::NotApproved(_) => "a person does not approve it".to_owned(),
            Self::NotApprovable(why) => why.cause().to_owned(),
        }
    }

    /// What the caller learns, for a model to read. It has no value of a result, and no name of a guard.
    #[must_use]
    pub fn words(&self, direction: Direction) -> String {
        let begin = match direction {
            Direction::Arguments => "The gateway did not forward this call.",
            Direction::Results => "The gateway holds back the result of this call.",
        };
        let what = direction.as_str();
        let why = match self {
            Self::Found(category) => format!("Its {what} contain {}.", category.words()),
            Self::Unreadable => format!("Its {what} cannot be read."),
            Self::TooLarge(most) => format!("It has more than {most} bytes."),
            Self::TooDeep(most) => format!("Its {what} are nested deeper than {most} levels."),
            Self::TooMany(most) => format!("Its {what} have more than {most} members and elements."),
            Self::Misfit(_) | Self::NoSchema if direction == Direction::Results => {
                "It does not fit the output schema of the tool.".to_owned()
            }
            Self::Misfit(what) => format!("Its arguments do not fit the input schema of the tool: {what}."),
            Self::NoSchema => "The input schema of the tool cannot be used.".to_owned(),
            Self::Denied(words) if words.is_empty() => "A check of the operator denies it.".to_owned(),
            Self::Denied(words) => words.clone(),
            Self::NoAnswer => "A check of the operator did not answer. Try again.".to_owned(),
            Self::NotAskedAbout => "A check of the operator is not for batches: send each call alone.".to_owned(),
            Self::BudgetSpent(most) => {
                format!("The budget of {most} calls for today is spent. The next day begins at 00:00 UTC.")
            }
            Self::BudgetUnknown(_) => "The gateway cannot count it at the moment. Try again.".to_owned(),
            Self::NotApproved(reason) if reason.is_empty() => "It was not approved.".to_owned(),
            Self::NotApproved(reason) => format!("It was not approved. The reason: {reason}"),
            Self::NotApprovable(why) => why.words(),
        };
        format!("{begin} {why}")
    }

    /// Whether it counts.
    #[must_use]
    pub fn is_enforced(&self, schema: Option<SchemaMode>) -> bool {
        match self {
            Self::Misfit(_) | Self::NoSchema => schema == Some(SchemaMode::Enforce),
            _ => true,
        }
    }
}
