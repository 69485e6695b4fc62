//! Why a message does not pass: what a guard denies, or a bound that it exceeds.

use crate::content::bound::{Bounds, SchemaMode};
use crate::content::finder::Category;
use crate::content::guard::Direction;
use crate::content::scanner::Counts;

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
    /// The budget of so many calls in a day is spent.
    BudgetSpent(u64),
    /// It is not known whether a budget has a call left; why, for the log.
    BudgetUnknown(String),
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
            Self::NoAnswer => "hook_failed",
            Self::BudgetSpent(_) => "budget_spent",
            Self::BudgetUnknown(_) => "budget_unavailable",
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
            Self::BudgetSpent(most) => format!("more than {most} calls in a day"),
            Self::BudgetUnknown(why) => why.clone(),
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
            Self::BudgetSpent(most) => {
                format!("The budget of {most} calls for today is spent. The next day begins at 00:00 UTC.")
            }
            Self::BudgetUnknown(_) => "The gateway cannot count it at the moment. Try again.".to_owned(),
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
