//! The road of a request through this isolate. JavaScript waits for what nearly every request needs, and goes on through
//! the objects below, each of which takes one kind of answer, once: a future of Rust's costs as much as all the rest.
//! What few requests need, the driver of the core meets.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;

use crate::forward::answer::BodyFilter;
use crate::forward::response::InboundHead;
use crate::gateway::{
    Arrived, Checking, Gateway, Next, Passing, Reading, Sending, Served, Signing, Underway, filtered, go_on,
};
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
    fn walk(self, underway: Underway) -> Response {
        let next = underway.next(&self.gateway, &self.ports);
        self.meet(next)
    }

    /// Meets what is next.
    pub(super) fn meet(self, next: Next) -> Response {
        let (inbound, ports) = (Rc::clone(&self.inbound), self.ports.clone());
        match next {
            Next::Answer(answer) => own(&answer),
            Next::Read(limit, reading) => Ok(inbound.read(limit, MessageNeeded { road: self, reading })),
            Next::Check(checking) => {
                platform::check_signature(checking, |checking| VerdictNeeded { road: self, checking })
            }
            Next::Sign(signing) => {
                let gateway = Rc::clone(&self.gateway);
                let needed = |signing| SignatureNeeded { road: self, signing };
                match gateway.config().assertion_keys.first() {
                    Some(key) => platform::sign_assertion(key, signing, needed),
                    None => needed(signing).failed("there is no key".to_owned()),
                }
            }
            Next::Send(outbound, sending) => match ports.fetcher(outbound.service()) {
                Ok(fetcher) => {
                    let request_id = outbound.request_id().to_owned();
                    Ok(inbound.forward(&fetcher, outbound, AnswerNeeded { road: self, sending, request_id }))
                }
                Err(why) => {
                    let failure = ports.without_binding(&why);
                    self.answered(sending, Err(failure))
                }
            },
            Next::Rare(underway) => Ok(self.rare(underway)),
        }
    }

    /// Leaves the rest to the driver, which is seen through whether or not its caller stays: otherwise a stranger could
    /// ask, leave, and take the keys that were being fetched for everybody with them.
    pub(super) fn rare(self, underway: Underway) -> JsValue {
        let ports = self.ports.clone();
        let promise = future_to_promise(async move {
            match go_on(&self.gateway, &self.ports, underway, &self.inbound).await {
                Served::Own(answer) => own(&answer),
                Served::Origin(head, body) => passed(&head, &body),
            }
        });
        ports.see_through(&promise);
        promise.into()
    }

    fn answered(self, sending: Sending, answer: Result<(InboundHead, JsValue), OriginFailure>) -> Response {
        match sending.answered(&self.gateway, &self.ports, answer) {
            Arrived::Passed(head, body) => passed(&head, &body),
            Arrived::Filter(filter, passing, body) => Ok(self.filter(filter, passing, body)),
            Arrived::Refused(underway) => self.walk(underway),
        }
    }

    fn filter(self, filter: BodyFilter, passing: Passing, body: JsValue) -> JsValue {
        future_to_promise(async move {
            match filtered(&self.gateway, &self.ports, filter, passing, body).await {
                Ok((head, body)) => passed(&head, &body),
                Err(underway) => self.walk(*underway),
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
fn passed(head: &InboundHead, body: &JsValue) -> Response {
    platform::response(head.status, &write_fields(&head.fields), body)
}

/// A request that goes on with its message.
#[wasm_bindgen(skip_typescript)]
pub struct MessageNeeded {
    road: Road,
    reading: Reading,
}

#[wasm_bindgen]
impl MessageNeeded {
    /// Goes on with it.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn read(self, message: Vec<u8>) -> Response {
        let underway = self.reading.read(&self.road.gateway, &self.road.ports, Ok(message));
        self.road.walk(underway)
    }

    /// Goes on without it, for a reason in a word.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn failed(self, word: &JsValue) -> Response {
        let underway = self.reading.read(&self.road.gateway, &self.road.ports, Err(failed(word)));
        self.road.walk(underway)
    }
}

/// A request that goes on with the verdict on a signature.
#[wasm_bindgen(skip_typescript)]
pub struct VerdictNeeded {
    road: Road,
    checking: Checking,
}

#[wasm_bindgen]
impl VerdictNeeded {
    /// Goes on with it.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn checked(self, good: bool) -> Response {
        let underway = self.checking.checked(&self.road.gateway, &self.road.ports, Ok(good));
        self.road.walk(underway)
    }

    /// Goes on without it.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn failed(self, why: String) -> Response {
        let underway = self.checking.checked(&self.road.gateway, &self.road.ports, Err(why));
        self.road.walk(underway)
    }
}

/// A request that goes on with the signature of its assertion.
#[wasm_bindgen(skip_typescript)]
pub struct SignatureNeeded {
    road: Road,
    signing: Signing,
}

#[wasm_bindgen]
impl SignatureNeeded {
    /// Goes on with it.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn signed(self, signature: Vec<u8>) -> Response {
        let underway = self.signing.signed(&self.road.gateway, Ok(signature));
        self.road.walk(underway)
    }

    /// Goes on without it.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn failed(self, why: String) -> Response {
        let underway = self.signing.signed(&self.road.gateway, Err(why));
        self.road.walk(underway)
    }
}

/// A request that goes on with the answer of its origin server.
#[wasm_bindgen(skip_typescript)]
pub struct AnswerNeeded {
    road: Road,
    sending: Sending,
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
        let head = InboundHead { status, fields: read_fields(fields.split('\n')) };
        self.road.answered(self.sending, Ok((head, body)))
    }

    /// Goes on without it, for a reason in a word.
    ///
    /// # Errors
    /// What the platform throws.
    pub fn failed(self, word: &JsValue) -> Response {
        self.road.answered(self.sending, Err(failed(word)))
    }
}
