//! The gateway's own answers, and their lines in the log.

use std::rc::Rc;

use crate::gateway::active_request::{Action, ActiveRequest, Suspended, new_context};
use crate::gateway::log;
use crate::gateway::open::Gateway;
use crate::mcp::envelope::RequestId;
use crate::mcp::input_needed::Asked;
use crate::mcp::message;
use crate::observe::event::{Outcome, request_line};
use crate::pipeline::rejection::Rejection;
use crate::pipeline::respond::{self, Answer};
use crate::ports::Ports;
use crate::transport::head::{Fields, Head, Method};

impl<P: Ports> ActiveRequest<'_, P> {
    /// Answers the request, with this reason in the log.
    pub(super) fn answer(self, status: u16, fields: Fields, body: String, reason: &'static str) -> Action {
        let answer = respond::own(status, fields, body, &self.context, &self.gateway.settings);
        log::write(self.gateway, self.ports, &self.context, &Outcome::Allow(reason), answer.status);
        Action::Answer(answer)
    }

    /// Rejects the request. The error names the id of the message. If the id is not known yet, the gateway reads the
    /// body for it, but only for an authenticated caller, so that no other caller can make it read.
    pub(super) fn refuse(self, rejection: Rejection) -> Action {
        if rejection.id().is_none() && self.context.is_authenticated && self.context.method == Method::Post {
            self.wait(rejection, Action::PeekBody)
        } else {
            self.answer_refusal(&rejection, None)
        }
    }

    /// Rejects the request, with the id of the message if its body was read.
    pub(super) fn answer_refusal(self, rejection: &Rejection, body: Option<&[u8]>) -> Action {
        if let Rejection::NotConnected(needed) = rejection {
            let asked = body.and_then(Asked::read).unwrap_or_default();
            let answer = respond::connection_needed(needed, &asked, &self.context, &self.gateway.settings);
            log::write(self.gateway, self.ports, &self.context, &Outcome::Deny(rejection), answer.status);
            return Action::Answer(answer);
        }
        if let Rejection::ApprovalNeeded(needed) = rejection {
            let answer = respond::approval_needed(needed, &self.context, &self.gateway.settings);
            log::write(self.gateway, self.ports, &self.context, &Outcome::Deny(rejection), answer.status);
            return Action::Answer(answer);
        }
        if let Rejection::HeldBack(held) = rejection {
            let answer = respond::held_back(held, &self.context, &self.gateway.settings);
            log::write(self.gateway, self.ports, &self.context, &Outcome::Deny(rejection), answer.status);
            return Action::Answer(answer);
        }
        let read = || body.map_or_else(RequestId::unknown, message::id_of);
        let id = rejection.id().cloned().unwrap_or_else(read);
        let answer = respond::refusal(rejection, &id, &self.context, Some(&self.gateway.settings));
        log::write(self.gateway, self.ports, &self.context, &Outcome::Deny(rejection), answer.status);
        Action::Answer(answer)
    }
}

impl Suspended<Rejection> {
    /// Rejects the request, with the id of the message if its body could be read.
    #[must_use]
    pub fn peeked<P: Ports>(self, gateway: &Rc<Gateway>, ports: &P, body: Option<&[u8]>) -> Action {
        let (active, rejection) = self.resume(gateway, ports);
        active.answer_refusal(&rejection, body)
    }
}

/// Rejects a request because the configuration is not valid. The gateway forwards nothing until it is.
pub fn serve_closed<P: Ports>(ports: &P, head: &Head) -> Answer {
    let context = new_context(ports, head);
    let rejection = Rejection::Misconfigured;
    let answer = respond::refusal(&rejection, &RequestId::unknown(), &context, None);
    ports.line(&request_line(&context, &Outcome::Deny(&rejection), answer.status, ports.now()));
    answer
}
