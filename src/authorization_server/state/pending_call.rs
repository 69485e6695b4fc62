//! A call of a tool that waits until a person approves it. One record is for all equal calls of one caller, so that a caller that lost
//! the answer finds the same approval again. An approval is for one call.

use serde::{Deserialize, Serialize};

use super::{Hash, RecordStateMachine};
use crate::limits::{CLOCKS_APART, CONTINUATIONS, CONTINUED_SECONDS, CONTINUED_STATES};

/// A call that waits, or about which a person has decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// Random: tells it from earlier equal calls.
    pub cycle: String,
    /// What the approver sees, sealed.
    pub sealed: String,
    /// The subject of the caller, if the caller may approve it.
    pub caller: Option<String>,
    /// The groups whose members may approve it.
    pub groups: Vec<String>,
    /// The subject of the caller, if the caller can log in: no member of a group approves an own call.
    pub requester: Option<String>,
    /// Seconds for which it waits, and for which a decision is valid.
    pub seconds: u64,
    /// The second at which it began.
    pub created: u64,
    /// The second from which it is no longer valid.
    pub until: u64,
    /// What a person decided.
    pub decision: Option<Decision>,
}

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Whether the call may be made.
    pub approves: bool,
    /// The subject of the person.
    pub by: String,
    /// The second.
    pub at: u64,
    /// Why, in words for the model that reads the answer.
    pub reason: String,
    /// The number of the sign-ins of the person. If these are ended, the approval is void.
    pub epoch: u64,
}

/// An approval that was used for a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Used {
    by: String,
    at: u64,
    epoch: u64,
    /// The second at which it was used: no state from before continues the call.
    since: u64,
    /// The second until which the call may be continued.
    until: u64,
    /// How often it may still be continued.
    left: usize,
    /// The states with which this call and equal ones were continued: each continues one of them, once.
    continued: Vec<Hash>,
}

/// The calls of one caller that are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingCall {
    waiting: Option<Waiting>,
    used: Option<Used>,
}

/// Questions about a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum PendingCallQuestion {
    /// The caller makes the call: begins to wait, or uses the approval.
    Call(Box<Waiting>),
    /// The caller continues the call that was approved, with a state that has this hash, and that was sealed at this second.
    Continue(Hash, u64),
    /// The approval that was used last is void: nothing continues its call.
    Void,
    /// The caller does not want to wait any more, nor use the approval. The answer has what waited.
    Withdraw,
    /// What waits, for an approver.
    Read,
    /// A person decides about the call of this cycle.
    Decide(String, Box<Decision>),
}

/// Answers about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum PendingCallAnswer {
    /// It begins to wait.
    Began,
    /// It waits, since an earlier call.
    Waits,
    /// It may be made, once. Who approved it, and when.
    Approved {
        /// The subject.
        by: String,
        /// The second.
        at: u64,
        /// The number of the person's sign-ins.
        epoch: u64,
    },
    /// It may not be made. Who denied it, when, and why.
    Denied {
        /// The subject.
        by: String,
        /// The second.
        at: u64,
        /// The reason.
        reason: String,
    },
    /// What waits.
    Content(Option<Box<Waiting>>),
    /// Whether the question changed something.
    Done(bool),
}

impl PendingCall {
    /// Begins to wait, or uses the approval.
    fn called(&mut self, next: Waiting, now: u64) -> PendingCallAnswer {
        let decision = self.waiting.as_ref().map(|waiting| waiting.decision.clone());
        match decision {
            None => {
                self.waiting = Some(next);
                PendingCallAnswer::Began
            }
            Some(None) => PendingCallAnswer::Waits,
            Some(Some(Decision { approves: false, by, at, reason, .. })) => {
                PendingCallAnswer::Denied { by, at, reason }
            }
            Some(Some(Decision { by, at, epoch, .. })) => {
                self.waiting = None;
                let until = now + CONTINUED_SECONDS;
                let continued = self.used.take().map(|used| used.continued).unwrap_or_default();
                self.used = Some(Used { by: by.clone(), at, epoch, since: now, until, left: CONTINUATIONS, continued });
                PendingCallAnswer::Approved { by, at, epoch }
            }
        }
    }

    /// Continues the call. Each state continues it once.
    fn continued(&mut self, state: Hash, since: u64) -> PendingCallAnswer {
        match &mut self.used {
            Some(used)
                if used.left > 0
                    && used.since <= since + CLOCKS_APART
                    && used.continued.len() < CONTINUED_STATES
                    && !used.continued.contains(&state) =>
            {
                used.left -= 1;
                used.continued.push(state);
                PendingCallAnswer::Approved { by: used.by.clone(), at: used.at, epoch: used.epoch }
            }
            _ => PendingCallAnswer::Done(false),
        }
    }

    fn decided(&mut self, cycle: &str, decision: Decision, now: u64) -> bool {
        let waiting = self.waiting.as_mut().filter(|waiting| waiting.cycle == cycle && waiting.decision.is_none());
        let Some(waiting) = waiting else { return false };
        waiting.until = now + waiting.seconds;
        waiting.decision = Some(decision);
        true
    }
}

impl RecordStateMachine for PendingCall {
    const KIND: &'static str = "pending_call";
    type Question = PendingCallQuestion;
    type Answer = PendingCallAnswer;

    fn answer(record: Option<Self>, question: PendingCallQuestion, now: u64) -> (PendingCallAnswer, Option<Self>) {
        let mut call = record.unwrap_or_default();
        call.waiting.take_if(|waiting| waiting.until <= now);
        call.used.take_if(|used| used.until <= now);
        let answer = match question {
            PendingCallQuestion::Call(next) => call.called(*next, now),
            PendingCallQuestion::Continue(state, since) => call.continued(state, since),
            PendingCallQuestion::Void => {
                // The states stay: none of them continues another call.
                let voided = call.used.as_mut().map(|used| used.left = 0);
                PendingCallAnswer::Done(voided.is_some())
            }
            PendingCallQuestion::Withdraw => {
                let withdrawn =
                    call.waiting.take_if(|it| it.decision.as_ref().is_none_or(|decision| decision.approves));
                PendingCallAnswer::Content(withdrawn.map(Box::new))
            }
            PendingCallQuestion::Read => PendingCallAnswer::Content(call.waiting.clone().map(Box::new)),
            PendingCallQuestion::Decide(cycle, decision) => {
                PendingCallAnswer::Done(call.decided(&cycle, *decision, now))
            }
        };
        let is_empty = call.waiting.is_none() && call.used.is_none();
        (answer, (!is_empty).then_some(call))
    }

    fn until(&self) -> u64 {
        let waiting = self.waiting.as_ref().map(|waiting| waiting.until);
        waiting.into_iter().chain(self.used.as_ref().map(|used| used.until)).max().unwrap_or_default()
    }
}
