//! Questions about credentials that are on their way: one at a time about each credential, and not too many in all.
//!
//! Nobody ever waits for another request's work, which the platform would cancel: whoever finds a question on its way
//! looks again after a while, and asks for itself where the answer does not come.

use std::collections::HashMap;

use crate::limits::QUESTIONS;
use crate::time::UnixMillis;
use crate::token::cache::Digest;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Ask: it is noted.
    Ask,
    /// Somebody asks already.
    Wait,
    /// Too many questions are on their way.
    Full,
}

/// Questions on their way.
#[derive(Debug, Default)]
pub struct Questions {
    /// Until when the answer must be there.
    asked: HashMap<Digest, UnixMillis>,
}

impl Questions {
    /// Whether to ask about a credential now. A question whose time is over was lost with its request.
    pub fn turn(&mut self, about: &Digest, seconds: u64, now: UnixMillis) -> Turn {
        if self.asked.get(about).is_some_and(|until| now < *until) {
            return Turn::Wait;
        }
        if self.asked.len() >= QUESTIONS {
            self.asked.retain(|_, until| now < *until);
            if self.asked.len() >= QUESTIONS {
                return Turn::Full;
            }
        }
        self.asked.insert(*about, now.plus_seconds(seconds));
        Turn::Ask
    }

    /// The answer is there, or will not come.
    pub fn done(&mut self, about: &Digest) {
        self.asked.remove(about);
    }
}
