//! The road of a request through this isolate. JavaScript waits for what nearly every request needs, and goes on through
//! the objects below, each of which takes one kind of answer, once: a future of Rust's costs as much as all the rest.
//! The driver of the core does what few requests need.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;

use crate::forward::answer::BodyFilter;
use crate::forward::response::ResponseHead;
use crate::gateway::{
    Action, AwaitingAnswer, CheckingSignature, Gateway, Received, Served, SigningAssertion, Suspended, drive,
    filter_body,
};
use crate::pipeline::authenticate::Authenticated;
use crate::pipeline::respond::Answer;
use crate::ports::OriginFailure;
use crate::worker::platform::{self, Inbound, Workers, failed};
use crate::worker::{read_fields, write_fields};

/// What goes with a request wherever it goes.
pub(super) struct Road {
    pub(super) gateway: Rc<Gateway>,
    pub(super) ports: Workers,
    pub(super) inbound: Rc<Inbound>,
}

/// The response, or a promise of it.
type Response = Result<JsValue, JsValue>;

impl Road {
    /// Does what an action says.
    pub(super) fn perform(self, action: Action) -> Response {
        let (inbound, ports) = (Rc::clone(&self.inbound), self.ports.clone());
        match action {
            Action::Answer(answer) => own(&answer),
            Action::ReadMessage(limit, request) => Ok(inbound.read(limit, MessageNeeded { road: self, request })),
            Action::CheckSignature(request) => {
                platform::check_signature(request, |request| VerdictNeeded { road: self, request })
            }
            Action::SignAssertion(request) => {
                let gateway = Rc::clone(&self.gateway);
                let needed = |request| SignatureNeeded { road: self, request };
                match gateway.settings().assertion_keys.first() {
                    Some(key) => platform::sign_assertion(key, request, needed),
                    None => needed(request).failed("there is no key".to_owned()),
                }
            }
            Action::Send(outbound, request) => match ports.fetcher(outbound.service()) {
                Ok(fetcher) => {
                    let request_id = outbound.request_id().to_owned();
                    Ok(inbound.forward(&fetcher, outbound, AnswerNeeded { road: self, request, request_id }))
                }
                Err(why) => {
                    let failure = ports.without_binding(&why);
                    self.answered(request, Err(failure))
                }
            },
            action @ (Action::FetchKeys(..)
            | Action::AwaitKeys(..)
            | Action::AskVerifier(_)
            | Action::ReadRevocations(_)
            | Action::UseProofOnce(..)
            | Action::CheckRateLimits(..)
            | Action::RecallList(..)
            | Action::AskAuthorizationServer(..)
            | Action::PeekBody(_)) => Ok(self.drive(action)),
        }
    }

    /// Leaves the rest to the driver of the core. It runs to its end whether or not its caller stays: otherwise a caller could
    /// ask, leave, and so end a fetch of keys that all callers need.
    pub(super) fn drive(self, action: Action) -> JsValue {
        let ports = self.ports.clone();
        let promise = future_to_promise(async move {
            match drive(&self.gateway, &self.ports, action, &self.inbound).await {
                Served::Own(answer) => own(&answer),
                Served::Origin(head, body) => passed(&head, &body),
            }
        });
        ports.see_through(&promise);
        promise.into()
    }

    fn answered(
        self,
        request: Suspended<AwaitingAnswer>,
        answer: Result<(ResponseHead, JsValue), OriginFailure>,
    ) -> Response {
        match request.answered(&self.gateway, &self.ports, answer) {
            Received::Passed(head, body) => passed(&head, &body),
            Received::Filter(filter, request, body) => Ok(self.filter(filter, request, body)),
            Received::Refused(action) => self.perform(action),
        }
    }

    fn filter(self, filter: BodyFilter, request: Suspended<ResponseHead>, body: JsValue) -> JsValue {
        future_to_promise(async move {
            match filter_body(&self.gateway, &self.ports, filter, request, body).await {
                Ok((head, body)) => passed(&head, &body),
                Err(action) => self.perform(*action),
            }
        })
        .into()
    }
}

/// The gateway's own answer.
pub(super) fn own(answer: &Answer) -> Response {
    let body = if answer.body.is_empty() { JsValue::NULL } else { JsValue::from_str(&answer.body) };
    platform::response(answer.status, &write_fields(&answer.fields), &body)
}

/// The origin server's answer.
fn passed(head: &ResponseHead, body: &JsValue) -> Response {
    platform::response(head.status, &write_fields(&head.fields), body)
}

/// A request that goes on with its message.
#[wasm_bindgen(skip_typescript)]
pub struct MessageNeeded {
    road: Road,
    request: Suspended<Box<Authenticated>>,
}

#[wasm_bindgen]
impl MessageNeeded {
    /// Goes on with it.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn read(self, message: Vec<u8>) -> Response {
        let action = self.request.message_read(&self.road.gateway, &self.road.ports, Ok(message));
        self.road.perform(action)
    }

    /// Goes on without it, for a reason in a word.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn failed(self, word: &JsValue) -> Response {
        let action = self.request.message_read(&self.road.gateway, &self.road.ports, Err(failed(word)));
        self.road.perform(action)
    }
}

/// A request that goes on with the verdict on a signature.
#[wasm_bindgen(skip_typescript)]
pub struct VerdictNeeded {
    road: Road,
    request: Suspended<CheckingSignature>,
}

#[wasm_bindgen]
impl VerdictNeeded {
    /// Goes on with it.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn checked(self, good: bool) -> Response {
        let action = self.request.signature_checked(&self.road.gateway, &self.road.ports, Ok(good));
        self.road.perform(action)
    }

    /// Goes on without it.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn failed(self, why: String) -> Response {
        let action = self.request.signature_checked(&self.road.gateway, &self.road.ports, Err(why));
        self.road.perform(action)
    }
}

/// A request that goes on with the signature of its assertion.
#[wasm_bindgen(skip_typescript)]
pub struct SignatureNeeded {
    road: Road,
    request: Suspended<SigningAssertion>,
}

#[wasm_bindgen]
impl SignatureNeeded {
    /// Goes on with it.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn signed(self, signature: Vec<u8>) -> Response {
        let action = self.request.assertion_signed(&self.road.gateway, &self.road.ports, Ok(signature));
        self.road.perform(action)
    }

    /// Goes on without it.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn failed(self, why: String) -> Response {
        let action = self.request.assertion_signed(&self.road.gateway, &self.road.ports, Err(why));
        self.road.perform(action)
    }
}

/// A request that goes on with the answer of its origin server.
#[wasm_bindgen(skip_typescript)]
pub struct AnswerNeeded {
    road: Road,
    request: Suspended<AwaitingAnswer>,
    request_id: String,
}

#[wasm_bindgen]
impl AnswerNeeded {
    /// Goes on with it. `ended` is a promise of a word about how the body ended, where that is carried on piece by piece.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn answered(self, status: u16, fields: &str, body: JsValue, ended: JsValue) -> Response {
        self.road.ports.watch(ended, self.request_id);
        let head = ResponseHead { status, fields: read_fields(fields.split('\n')) };
        self.road.answered(self.request, Ok((head, body)))
    }

    /// Goes on without it, for a reason in a word.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn failed(self, word: &JsValue) -> Response {
        self.road.answered(self.request, Err(failed(word)))
    }
}
