//! A list of calls that wait for approval: those of one caller, or those that one approver or the members of a group may approve.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RecordStateMachine;

/// The ids of calls, each with the second from which it is no longer in the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallList {
    calls: BTreeMap<String, u64>,
}

/// Questions to a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum CallListQuestion {
    /// Adds a call until this second, if the list then has at most so many.
    Add(String, u64, usize),
    /// Removes a call.
    Remove(String),
    /// Reads the list.
    Read,
}

/// An answer of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallListAnswer {
    /// Whether the question was fulfilled.
    pub is_done: bool,
    /// The ids in the list, if they were asked for.
    pub calls: Vec<String>,
}

impl RecordStateMachine for CallList {
    const KIND: &'static str = "call_list";
    type Question = CallListQuestion;
    type Answer = CallListAnswer;

    fn answer(record: Option<Self>, question: CallListQuestion, now: u64) -> (CallListAnswer, Option<Self>) {
        let mut list = record.unwrap_or_default();
        list.calls.retain(|_, until| now < *until);
        let (is_done, calls) = match question {
            CallListQuestion::Add(id, until, most) => {
                let has_room = list.calls.contains_key(&id) || list.calls.len() < most;
                if has_room {
                    list.calls.insert(id, until);
                }
                (has_room, Vec::new())
            }
            CallListQuestion::Remove(id) => (list.calls.remove(&id).is_some(), Vec::new()),
            CallListQuestion::Read => (true, list.calls.keys().cloned().collect()),
        };
        let is_empty = list.calls.is_empty();
        (CallListAnswer { is_done, calls }, (!is_empty).then_some(list))
    }

    fn until(&self) -> u64 {
        self.calls.values().copied().max().unwrap_or_default()
    }
}
