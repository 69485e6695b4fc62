//! Requests to origin servers, and bodies in both directions.

use std::rc::Rc;

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use worker::worker_sys::web_sys::Request;

use crate::forward::body_filter::{BodyFilter, FilterResult, FilteredPart};
use crate::forward::request::OutboundRequest;
use crate::forward::response::{FORWARDED, ResponseHead};
use crate::gateway::{Gateway, Recalled, Remembered};
use crate::limits::{INSPECT_SECONDS, LIST_HEAD_BYTES, PEEK_BYTES, PEEK_MILLISECONDS};
use crate::observe::event::gateway_line;
use crate::platform_error::PlatformError;
use crate::ports::{
    Clock as _, EventSink as _, FilterFailure, OriginFailure, Spawn as _, Step, StreamCheck, Transport,
};
use crate::transport::head_text::{read_fields, write_fields};
use crate::worker::platform::Workers;
use crate::worker::shell_request::{AwaitingMessage, AwaitingOriginAnswer, RepeatedDecision};

#[wasm_bindgen(module = "/src/worker/platform.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    async fn begin(body: &JsValue, bytes: f64) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    async fn entire(body: &JsValue, bytes: f64) -> Result<JsValue, JsValue>;

    // With `catch`, because a function that needs no glue would be a second import of the same module.
    #[wasm_bindgen(catch, js_name = discard)]
    fn discard_body(body: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(catch, js_name = eventsOfAll)]
    fn events_of_all(first: Uint8Array, last: Uint8Array, bodies: Array) -> Result<Array, JsValue>;

    fn through(first: Uint8Array, rest: &JsValue, step: &Closure<dyn FnMut(JsValue) -> JsValue>) -> Array;
}

#[wasm_bindgen(module = "/src/worker/exchange.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = watchStream)]
    fn watch_stream(body: &JsValue, question: StreamQuestion) -> Result<(), JsValue>;

    type Exchange;

    /// What does not change when a request is repeated.
    type Plan;

    fn plan(fetcher: &JsValue, method: &str, url: &str, limits: &[f64], cancel: bool) -> Plan;

    #[wasm_bindgen(js_name = remember)]
    fn remember_plan(
        slot: usize,
        id: u32,
        freed: &[u32],
        core: RepeatedDecision,
        plan: Plan,
        fields: &str,
        records: bool,
        answer_fields: &str,
        forwarded: &str,
    );

    #[wasm_bindgen(js_name = forgetAll)]
    fn forget_plans();

    #[wasm_bindgen(js_name = repeat)]
    fn repeat_plan(
        request: &Request,
        context: &worker::worker_sys::Context,
        env: &worker::Env,
        span: &JsValue,
        slot: usize,
        id: u32,
        keep: f64,
        announced: bool,
        fresh: &str,
    ) -> JsValue;

    #[wasm_bindgen(constructor)]
    fn new(request: &Request, context: &worker::worker_sys::Context, keep: f64) -> Exchange;

    #[wasm_bindgen(method)]
    fn hold(this: &Exchange, work: &JsValue);

    #[wasm_bindgen(method)]
    fn read(this: &Exchange, bytes: f64, seconds: f64, reading: AwaitingMessage) -> JsValue;

    #[wasm_bindgen(method)]
    fn forward(
        this: &Exchange,
        plan: &Plan,
        fields: &str,
        instead: Option<&[u8]>,
        sending: AwaitingOriginAnswer,
    ) -> JsValue;

    #[wasm_bindgen(method, catch)]
    async fn send(this: &Exchange, plan: &Plan, fields: &str, instead: Option<&[u8]>) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn message(this: &Exchange, bytes: f64, seconds: f64) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = isGone)]
    fn is_gone(this: &Exchange) -> bool;

    #[wasm_bindgen(method)]
    async fn peek(this: &Exchange, bytes: f64, milliseconds: u32) -> JsValue;
}

impl Workers {
    /// Logs that a binding is missing without which the origin server cannot be reached.
    pub(in crate::worker) fn without_binding(&self, error: &PlatformError) -> OriginFailure {
        self.line(&gateway_line("error", "binding_missing", &error.to_string(), self.now()));
        OriginFailure::Unreachable { streamed: false }
    }

    /// Logs if an origin server's stream ended before it was complete.
    pub(in crate::worker) fn note_end(&self, ended: JsValue, request_id: String) {
        let Ok(ended) = ended.dyn_into::<Promise>() else { return };
        let ports = self.clone();
        wasm_bindgen_futures::spawn_local(async move {
            let how = JsFuture::from(ended).await.ok().and_then(|how| how.as_string()).unwrap_or_default();
            let reason = match how.as_str() {
                "lost" => "origin_stream_lost",
                "idle" => "origin_stream_idle",
                "late" => "bound_exceeded",
                "revoked" => "stream_revoked",
                _ => return,
            };
            let level = if how == "revoked" { "info" } else { "warn" };
            let why = if how == "late" { ": results: not complete in time" } else { "" };
            let detail = format!("request {request_id}{why}");
            ports.line(&gateway_line(level, reason, &detail, ports.now()));
        });
    }
}

/// The client's request; JavaScript carries its body.
pub(in crate::worker) struct Inbound(Exchange);

impl Inbound {
    pub(in crate::worker) fn new(request: &Request, ports: &Workers) -> Self {
        Self(Exchange::new(request, &ports.context, PEEK_BYTES as f64))
    }

    /// The same as JavaScript has it.
    pub(in crate::worker) fn of(exchange: JsValue) -> Self {
        Self(exchange.unchecked_into())
    }

    /// Lets `work` run to its end even if the client disconnects.
    pub(in crate::worker) fn hold(&self, work: &JsValue) {
        self.0.hold(work);
    }

    /// Reads the message.
    pub(in crate::worker) fn read(&self, limit: u64, reading: AwaitingMessage) -> JsValue {
        self.0.read(limit as f64, INSPECT_SECONDS as f64, reading)
    }

    /// Sends the request to its origin server.
    pub(in crate::worker) fn forward(
        &self,
        fetcher: &JsValue,
        request: OutboundRequest,
        sending: AwaitingOriginAnswer,
    ) -> JsValue {
        self.0.forward(&plan_of(&request, fetcher), &write_fields(request.fields()), request.body(), sending)
    }
}

fn plan_of(request: &OutboundRequest, fetcher: &JsValue) -> Plan {
    plan(fetcher, request.method().as_str(), request.url(), &limits(request), request.cancel_on_disconnect())
}

/// Has JavaScript keep what [`repeat`] needs of a request whose decision the core remembers.
pub(in crate::worker) fn remember(
    gateway: &Rc<Gateway>,
    remembered: &Remembered,
    fetcher: &JsValue,
    request: &OutboundRequest,
) {
    let answer_fields = write_fields(&remembered.decision.answer_fields(gateway.settings()));
    let freed: Vec<u32> = remembered.freed.iter().filter_map(|slot| u32::try_from(*slot).ok()).collect();
    remember_plan(
        remembered.slot,
        remembered.decision.id(),
        &freed,
        RepeatedDecision::new(gateway, remembered),
        plan_of(request, fetcher),
        &write_fields(request.fields()),
        gateway.records_all(),
        &answer_fields,
        &FORWARDED.join(","),
    );
}

/// Has JavaScript forget all of that.
pub(in crate::worker) fn forget_all() {
    forget_plans();
}

/// Forwards a request that repeats another one. `None` if JavaScript does not have what that needs.
pub(in crate::worker) fn repeat(request: &Request, ports: &Workers, recalled: &Recalled) -> Option<JsValue> {
    let mut fresh = format!("{}\n{}", recalled.request_id, recalled.trace.outbound());
    if let Some(tracestate) = &recalled.tracestate {
        fresh.extend(["\n", tracestate]);
    }
    let (context, env, span) = (&ports.context, &ports.env, &ports.span);
    let announced = recalled.announces_length;
    let (slot, id) = (recalled.slot, recalled.decision);
    let response = repeat_plan(request, context, env, span, slot, id, PEEK_BYTES as f64, announced, &fresh);
    (!response.is_undefined()).then_some(response)
}

/// The largest body in bytes; then seconds until the response fields, of silence in the answer, of silence before a comment in
/// an event stream, until the answer is complete, and until an event stream asks whether it may go on; the last four are zero if there
/// is no limit, no comment and no question.
fn limits(request: &OutboundRequest) -> [f64; 6] {
    [
        request.body_bytes() as f64,
        request.response_timeout() as f64,
        request.idle_timeout().unwrap_or_default() as f64,
        request.keep_alive().unwrap_or_default() as f64,
        request.total_timeout().unwrap_or_default() as f64,
        request.watch().unwrap_or_default() as f64,
    ]
}

/// What an event stream asks from time to time. JavaScript frees it with the stream.
#[wasm_bindgen(skip_typescript)]
pub struct StreamQuestion(StreamCheck);

#[wasm_bindgen]
impl StreamQuestion {
    /// A promise of whether the stream may go on.
    #[wasm_bindgen(js_name = mayGoOn)]
    pub fn may_go_on(&self) -> Promise {
        let answer = (self.0)();
        future_to_promise(async move { Ok(JsValue::from_bool(answer.await)) })
    }
}

impl Transport for Workers {
    type RequestBody = Rc<Inbound>;
    type ResponseBody = JsValue;

    async fn send(
        &self,
        request: OutboundRequest,
        body: &Rc<Inbound>,
    ) -> Result<(ResponseHead, JsValue), OriginFailure> {
        let fetcher = self.fetcher(request.service()).map_err(|error| self.without_binding(&error))?;
        let answer = body.0.send(&plan_of(&request, &fetcher), &write_fields(request.fields()), request.body()).await;
        let parts: Array = answer.map_err(|failure| failed(&failure))?.unchecked_into();
        self.note_end(parts.get(3), request.request_id().to_owned());
        let status = parts.get(0).as_f64().map_or(0, |status| status as u16);
        let fields = read_fields(parts.get(1).as_string().unwrap_or_default().split('\n'));
        Ok((ResponseHead { status, fields }, parts.get(2)))
    }

    async fn message(&self, body: &Rc<Inbound>, limit: u64) -> Result<Vec<u8>, OriginFailure> {
        let bytes = body.0.message(limit as f64, INSPECT_SECONDS as f64).await.map_err(|failure| failed(&failure))?;
        Ok(Uint8Array::new(&bytes).to_vec())
    }

    async fn filtered(
        &self,
        body: JsValue,
        mut filter: BodyFilter,
        ended: Box<dyn Fn(FilterResult)>,
    ) -> Result<JsValue, FilterFailure> {
        let (mut first, mut rest) = (Vec::new(), body);
        if filter.can_wait() {
            let parts =
                begin(&rest, LIST_HEAD_BYTES as f64).await.map_err(|word| FilterFailure::Failed(failed(&word)))?;
            let parts: Array = parts.unchecked_into();
            first = match filter.push(&Uint8Array::new(&parts.get(0)).to_vec())? {
                FilteredPart::More(bytes) => bytes,
                FilteredPart::Last(_, why) => return Err(why.into()),
            };
            rest = parts.get(1);
            if rest.is_null() {
                first.extend(filter.finish()?);
                ended(filter.end(None));
            }
        }
        // The closure gets a part of the body, or null at its end. It returns the bytes to forward; an array if they
        // are the last bytes; or null if the body must be aborted.
        let step = Closure::new(move |part: JsValue| {
            let bytes = |bytes: Vec<u8>| Uint8Array::from(bytes.as_slice());
            let is_end = part.is_null();
            // The body is not complete in time.
            if part.as_string().is_some() {
                return filter.late().map_or(JsValue::NULL, |out| Uint8Array::from(out.as_slice()).into());
            }
            let out = if is_end {
                filter.finish().map(FilteredPart::More)
            } else {
                filter.push(&Uint8Array::new(&part).to_vec())
            };
            // A stream may go on for hours.
            let noted = filter.take_noted();
            if !noted.is_empty() {
                ended(FilterResult::noted(noted));
            }
            match out {
                Ok(FilteredPart::More(out)) => {
                    if part.is_null() {
                        ended(filter.end(None));
                    }
                    bytes(out).into()
                }
                Ok(FilteredPart::Last(out, why)) => {
                    ended(filter.end(Some(why)));
                    Array::of1(&bytes(out)).into()
                }
                Err(why) => {
                    ended(filter.end(Some(why)));
                    JsValue::NULL
                }
            }
        });
        let filtered = through(Uint8Array::from(first.as_slice()), &rest, &step);
        let done: Promise = filtered.get(1).unchecked_into();
        // The closure must live until JavaScript no longer needs it.
        self.spawn(Box::pin(async move {
            let _ended = JsFuture::from(done).await;
            drop(step);
        }));
        Ok(filtered.get(0))
    }

    fn watch(&self, body: &JsValue, check: StreamCheck) {
        // A body that is not watched does not take it.
        let _watched = watch_stream(body, StreamQuestion(check));
    }

    fn stepped(&self, body: JsValue, step: Step) -> JsValue {
        let step = Rc::new(step);
        let each = Closure::new(move |part: JsValue| {
            let part = if part.is_null() { None } else { Some(Uint8Array::new(&part).to_vec()) };
            let out = step(part);
            future_to_promise(async move {
                Ok(out.await.map_or(JsValue::NULL, |out| Uint8Array::from(out.as_slice()).into()))
            })
            .into()
        });
        let carried = through(Uint8Array::new_with_length(0), &body, &each);
        let done: Promise = carried.get(1).unchecked_into();
        self.spawn(Box::pin(async move {
            let _ended = JsFuture::from(done).await;
            drop(each);
        }));
        carried.get(0)
    }

    async fn whole(&self, body: JsValue, limit: u64) -> Result<Vec<u8>, OriginFailure> {
        let bytes = entire(&body, limit as f64).await.map_err(|word| failed(&word))?;
        Ok(Uint8Array::new(&bytes).to_vec())
    }

    fn joined(&self, ends: [Vec<u8>; 2], bodies: Vec<JsValue>) -> JsValue {
        let [first, last] = ends.map(|bytes| Uint8Array::from(bytes.as_slice()));
        let parts = events_of_all(first, last, bodies.into_iter().collect());
        let Ok(parts) = parts else { return JsValue::NULL };
        let done: Promise = parts.get(1).unchecked_into();
        self.spawn(Box::pin(async move {
            let _ended = JsFuture::from(done).await;
        }));
        parts.get(0)
    }

    fn discard(&self, body: JsValue) {
        // A body that cannot be ended is left to the platform.
        let _ended = discard_body(&body);
    }

    fn is_gone(&self, body: &Rc<Inbound>) -> bool {
        body.0.is_gone()
    }

    async fn peek(&self, body: &Rc<Inbound>, limit: usize) -> Option<Vec<u8>> {
        let bytes = body.0.peek(limit as f64, PEEK_MILLISECONDS).await;
        (!bytes.is_null()).then(|| Uint8Array::new(&bytes).to_vec())
    }
}

pub(in crate::worker) fn failed(failure: &JsValue) -> OriginFailure {
    match failure.as_string().as_deref() {
        Some("body cut short") => OriginFailure::BodyCutShort,
        Some("body too large") => OriginFailure::BodyTooLarge,
        Some("gone") => OriginFailure::ClientDisconnected,
        Some("timeout") => OriginFailure::Timeout { streamed: false },
        Some("timeout, streamed") => OriginFailure::Timeout { streamed: true },
        Some("unreachable, streamed") => OriginFailure::Unreachable { streamed: true },
        _ => OriginFailure::Unreachable { streamed: false },
    }
}
