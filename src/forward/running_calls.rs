//! The places that calls have among those that run, while their answer passes.

use std::rc::Rc;

use crate::content::filter::Answers;
use crate::content::in_flight::Running;
use crate::limits::HELD_RESULT_BYTES;
use crate::mcp::events::{EventSplitter, data_of};

/// The places of the calls that an answer is for. A place ends with the response to its call, not with the stream that carries it: a client
/// may send its next call as soon as it has the response.
pub(super) struct RunningCalls {
    places: Vec<Rc<Running>>,
    answers: Answers,
    /// Looks for responses in an event stream. It changes nothing, and what it cannot read is no response: then the calls run until the
    /// stream ends.
    events: Option<EventSplitter>,
}

impl RunningCalls {
    /// `None` if there is no place.
    pub(super) fn new(places: &[Rc<Running>], answers: impl FnOnce() -> Answers) -> Option<Self> {
        (!places.is_empty()).then(|| Self { places: places.to_vec(), answers: answers(), events: None })
    }

    /// The answer is an event stream.
    pub(super) fn in_events(self) -> Self {
        Self { events: Some(EventSplitter::default()), ..self }
    }

    /// The places.
    pub(super) fn places(&self) -> Vec<Rc<Running>> {
        self.places.clone()
    }

    /// Looks at a part of what the client gets.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let Some(events) = &mut self.events else { return };
        for event in events.push(bytes) {
            let Ok(Some(data)) = data_of(&event) else { continue };
            if data.trim_start().starts_with('{') && self.answers.is_response(data.as_bytes()) {
                self.places.pop();
            }
        }
        if events.held() > HELD_RESULT_BYTES || self.places.is_empty() {
            self.events = None;
        }
    }
}

impl std::fmt::Debug for RunningCalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RunningCalls")
    }
}
