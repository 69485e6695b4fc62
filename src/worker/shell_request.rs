//! The path of a request through this isolate. JavaScript awaits the I/O that nearly every request needs, and then
//! calls one of the objects below, each of which takes one kind of result, once. A Rust future for that I/O would cost
//! as much as all other work for the request. The driver of the core performs the I/O that few requests need.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;

use crate::forward::body_filter::BodyFilter;
use crate::forward::response::ResponseHead;
use crate::gateway::{
    Action, AwaitingAnswer, CheckingSignature, Gateway, Received, Remembered, RememberedDecision, Served,
    SigningAssertion, Suspended, drive, filter_body, stream_check,
};
use crate::limits::OPENING_BYTES;
use crate::pipeline::authenticate::Authenticated;
use crate::pipeline::respond::Answer;
use crate::ports::{OriginFailure, Transport as _};
use crate::transport::head_text::{read_fields, write_fields};
use crate::transport::trace::Trace;
use crate::worker::platform::{self, Inbound, Workers, failed};

/// What every step of a request needs.
pub(super) struct ShellRequest {
    pub(super) gateway: Rc<Gateway>,
    pub(super) ports: Workers,
    pub(super) inbound: Rc<Inbound>,
}

/// The response, or a promise of it.
type Response = Result<JsValue, JsValue>;

impl ShellRequest {
    /// Performs an action.
    pub(super) fn perform(self, action: Action) -> Response {
        let (inbound, ports) = (Rc::clone(&self.inbound), self.ports.clone());
        match action {
            Action::Answer(answer) => own(&answer),
            Action::ReadMessage(limit, request) => {
                Ok(inbound.read(limit, AwaitingMessage(Awaiting { shell: self, request })))
            }
            Action::CheckSignature(request) => {
                platform::check_signature(request, |request| AwaitingSignatureCheck(Awaiting { shell: self, request }))
            }
            Action::SignAssertion(request) => {
                let gateway = Rc::clone(&self.gateway);
                let needed = |request| AwaitingAssertionSignature(Awaiting { shell: self, request });
                match gateway.settings().assertion_keys.first() {
                    Some(key) => platform::sign_assertion(key, request, needed),
                    None => needed(request).failed("there is no key".to_owned()),
                }
            }
            Action::Send(outbound, request) => match ports.fetcher(outbound.service()) {
                Ok(fetcher) => {
                    if let Some(remembered) = request.stage().remembered() {
                        platform::remember(&self.gateway, remembered, &fetcher, &outbound);
                    }
                    let request_id = outbound.request_id().to_owned();
                    Ok(inbound.forward(&fetcher, outbound, AwaitingOriginAnswer { shell: self, request, request_id }))
                }
                Err(error) => {
                    let failure = ports.without_binding(&error);
                    self.answered(request, Err(failure))
                }
            },
            action @ (Action::Inquire(..)
            | Action::ObtainCredential(_)
            | Action::CheckRateLimits(..)
            | Action::AskHooks(_)
            | Action::AskForApproval(..)
            | Action::CountBudgets(..)
            | Action::RecallList(..)
            | Action::Gather(..)
            | Action::Listen(..)
            | Action::Converse(_)
            | Action::AskAuthorizationServer(..)
            | Action::PeekBody(_)) => Ok(self.drive(action)),
        }
    }

    /// Leaves the rest of the request to the driver of the core. It runs to its end even if the client disconnects:
    /// otherwise a client could start a fetch of keys, disconnect, and so abort a fetch that all clients need.
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
            Received::Again(action, body) => {
                self.ports.discard(body);
                self.perform(action)
            }
            Received::Doubtful(request, body) => Ok(future_to_promise(async move {
                let text = self.ports.whole(body, OPENING_BYTES).await;
                let action = request.read(&self.gateway, &self.ports, text);
                self.perform(action)
            })
            .into()),
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

/// A request that waits for a result of the platform.
struct Awaiting<S> {
    shell: ShellRequest,
    request: Suspended<S>,
}

impl<S> Awaiting<S> {
    /// Continues with the action that follows from the result.
    fn resume(self, next: impl FnOnce(Suspended<S>, &Rc<Gateway>, &Workers) -> Action) -> Response {
        let action = next(self.request, &self.shell.gateway, &self.shell.ports);
        self.shell.perform(action)
    }
}

/// A request that waits for its message.
#[wasm_bindgen(skip_typescript)]
pub struct AwaitingMessage(Awaiting<Box<Authenticated>>);

#[wasm_bindgen]
impl AwaitingMessage {
    /// Continues with the message.
    ///
    /// # Errors
    /// The exception of the platform.
    pub fn read(self, message: Vec<u8>) -> Response {
        self.0.resume(|request, gateway, ports| request.message_read(gateway, ports, Ok(message)))
    }

    /// Continues without the message; `word` is the reason.
    ///
    /// # Errors
    /// The exception of the platform.
    pub fn failed(self, word: &JsValue) -> Response {
        self.0.resume(|request, gateway, ports| request.message_read(gateway, ports, Err(failed(word))))
    }
}

/// A request that waits for the result of a signature check.
#[wasm_bindgen(skip_typescript)]
pub struct AwaitingSignatureCheck(Awaiting<CheckingSignature>);

#[wasm_bindgen]
impl AwaitingSignatureCheck {
    /// Continues with the result.
    ///
    /// # Errors
    /// The exception of the platform.
    pub fn checked(self, good: bool) -> Response {
        self.0.resume(|request, gateway, ports| request.signature_checked(gateway, ports, Ok(good)))
    }

    /// Continues without a result, because the check itself failed.
    ///
    /// # Errors
    /// The exception of the platform.
    pub fn failed(self, why: String) -> Response {
        self.0.resume(|request, gateway, ports| request.signature_checked(gateway, ports, Err(why.into())))
    }
}

/// A request that waits for the signature of its identity assertion.
#[wasm_bindgen(skip_typescript)]
pub struct AwaitingAssertionSignature(Awaiting<SigningAssertion>);

#[wasm_bindgen]
impl AwaitingAssertionSignature {
    /// Continues with the signature.
    ///
    /// # Errors
    /// The exception of the platform.
    pub fn signed(self, signature: Vec<u8>) -> Response {
        self.0.resume(|request, gateway, ports| request.assertion_signed(gateway, ports, Ok(signature)))
    }

    /// Continues without the signature.
    ///
    /// # Errors
    /// The exception of the platform.
    pub fn failed(self, why: String) -> Response {
        self.0.resume(|request, gateway, ports| request.assertion_signed(gateway, ports, Err(why.into())))
    }
}

/// A request that waits for the answer of its origin server.
#[wasm_bindgen(skip_typescript)]
pub struct AwaitingOriginAnswer {
    shell: ShellRequest,
    request: Suspended<AwaitingAnswer>,
    request_id: String,
}

#[wasm_bindgen]
impl AwaitingOriginAnswer {
    /// Continues with the answer. `ended` is a promise of a word that states how the body ended, if JavaScript forwards
    /// the body in parts.
    ///
    /// # Errors
    /// The exception of the platform.
    pub fn answered(self, status: u16, fields: &str, body: JsValue, ended: JsValue) -> Response {
        self.shell.ports.note_end(ended, self.request_id);
        if let Some(watch) = self.request.stage().watch() {
            self.shell.ports.watch(&body, stream_check(&self.shell.gateway, &self.shell.ports, watch));
        }
        let head = ResponseHead { status, fields: read_fields(fields.split('\n')) };
        self.shell.answered(self.request, Ok((head, body)))
    }

    /// Continues without an answer; `word` is the reason.
    ///
    /// # Errors
    /// The exception of the platform.
    pub fn failed(self, word: &JsValue) -> Response {
        self.shell.answered(self.request, Err(failed(word)))
    }
}

/// A decision that the core remembers, for requests that repeat the one that was decided.
#[wasm_bindgen(skip_typescript)]
pub struct RepeatedDecision {
    gateway: Rc<Gateway>,
    decision: Rc<RememberedDecision>,
}

impl RepeatedDecision {
    pub(super) fn new(gateway: &Rc<Gateway>, remembered: &Remembered) -> Self {
        Self { gateway: Rc::clone(gateway), decision: Rc::clone(&remembered.decision) }
    }
}

#[wasm_bindgen]
impl RepeatedDecision {
    /// A request that repeats another one and waits for the answer of its origin server.
    #[expect(clippy::too_many_arguments, reason = "what the shell has of a request, in one crossing")]
    pub fn waiting(
        &self,
        exchange: JsValue,
        context: worker::worker_sys::Context,
        env: worker::Env,
        span: JsValue,
        request_id: String,
        traceparent: &str,
        sent: f64,
    ) -> AwaitingOriginAnswer {
        let ports = Workers::new(context, env, span);
        let trace = Trace::of_sent(traceparent).unwrap_or_default();
        AwaitingOriginAnswer {
            request: self.decision.awaiting_answer(request_id.clone(), trace, platform::millis(sent)),
            shell: ShellRequest { gateway: Rc::clone(&self.gateway), ports, inbound: Rc::new(Inbound::of(exchange)) },
            request_id,
        }
    }
}
