//! How many calls of each caller run at the moment, in this isolate.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::limits::IN_FLIGHT_SECONDS;
use crate::time::UnixMillis;

/// The calls that run, by what they count for: the number of each, and the time after which it no longer counts.
type Calls = HashMap<String, Vec<(u64, UnixMillis)>>;

/// Counts the calls that run.
#[derive(Debug, Clone, Default)]
pub struct InFlight {
    calls: Rc<RefCell<Calls>>,
    next: Rc<std::cell::Cell<u64>>,
}

/// A call that runs, until this value is dropped. If the platform ends a request without saying so, the call counts until its time is over.
#[derive(Debug)]
pub struct Running {
    calls: Rc<RefCell<Calls>>,
    key: String,
    number: u64,
}

impl InFlight {
    /// Begins a call of at most `seconds`, if there are fewer than `most` of them; `None` if there are not.
    #[must_use]
    pub fn begin(&self, key: &str, most: u64, seconds: Option<u64>, now: UnixMillis) -> Option<Running> {
        let mut calls = self.calls.borrow_mut();
        calls.retain(|_, running| {
            running.retain(|(_, until)| *until > now);
            !running.is_empty()
        });
        let running = calls.entry(key.to_owned()).or_default();
        if running.len() as u64 >= most {
            return None;
        }
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let until = now.0.saturating_add(seconds.unwrap_or(IN_FLIGHT_SECONDS).saturating_add(10).saturating_mul(1000));
        running.push((number, UnixMillis(until)));
        Some(Running { calls: Rc::clone(&self.calls), key: key.to_owned(), number })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Ok(mut calls) = self.calls.try_borrow_mut() else { return };
        let Some(running) = calls.get_mut(&self.key) else { return };
        running.retain(|(number, _)| *number != self.number);
        if running.is_empty() {
            calls.remove(&self.key);
        }
    }
}
