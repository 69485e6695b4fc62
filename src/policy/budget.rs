//! Budgets: how many calls of tools a caller, a client or a tool has in a day (UTC), counted exactly for all isolates.

use std::rc::Rc;

use crate::policy::limit::Limit;
use crate::time::UnixMillis;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// A budget of a resource.
#[derive(Debug, Clone)]
pub struct Budget {
    /// What counts together, the calls that count, and how many of them a day has.
    pub limit: Rc<Limit>,
    /// The Durable Object binding that counts.
    pub binding: String,
    /// The log says that so many calls were made, once for each counter and day.
    pub warn_at: Option<u64>,
}

impl Budget {
    /// The limit of a budget has the length of a day.
    pub const SECONDS: u64 = DAY;
}

/// The number of a day, in UTC.
#[must_use]
pub fn day(now: UnixMillis) -> u64 {
    now.seconds() / DAY
}

/// A call that a budget counts.
#[derive(Debug, Clone)]
pub struct BudgetCheck {
    /// The budget.
    pub budget: Rc<Budget>,
    /// The name of the counter, which does not reveal what it counts.
    pub counter: String,
    /// The day.
    pub day: u64,
}

/// What a counter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// The call is counted, as the one with this number.
    Counted(u64),
    /// The budget was spent before, so the call is not counted.
    Nothing,
}

impl Spent {
    /// Counts a call: `count` is how many there were.
    #[must_use]
    pub fn of(count: u64, most: u64) -> Self {
        if count < most { Self::Counted(count + 1) } else { Self::Nothing }
    }

    /// In messages between isolates.
    #[must_use]
    pub fn to_word(self) -> String {
        match self {
            Self::Counted(number) => number.to_string(),
            Self::Nothing => "spent".to_owned(),
        }
    }

    /// Parses such a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        if word == "spent" { Some(Self::Nothing) } else { word.parse().ok().map(Self::Counted) }
    }
}
