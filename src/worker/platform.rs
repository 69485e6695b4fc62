//! The ports, on Cloudflare Workers. `platform.js`, `exchange.js` and `signatures.js` in this folder contain what is
//! cheaper in JavaScript or only possible there. Each of their functions is one call from WebAssembly to JavaScript.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "JavaScript has one kind of number, and limits and statuses are small ones"
)]

use std::cell::RefCell;
use std::rc::Rc;

use base16ct::lower::encode_string as hex;
use js_sys::{Array, Promise, Uint8Array};
use jwt_compact::jwk::JsonWebKey;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use worker::worker_sys::web_sys::Request;

use crate::forward::answer::{BodyFilter, FilterResult, FilteredPart};
use crate::forward::request::OutboundRequest;
use crate::forward::response::ResponseHead;
use crate::gateway::{CheckingSignature, SigningAssertion, Suspended};
use crate::jwks::signing_key::SigningKey;
use crate::limits::{
    INSPECT_SECONDS, KV_EDGE_SECONDS, LIST_HEAD_BYTES, PEEK_BYTES, PEEK_MILLISECONDS, PROVIDER_DOCUMENT_BYTES,
    PROVIDER_TIMEOUT, RECORD_MILLISECONDS, STORE_MILLISECONDS,
};
use crate::mcp::list_filter::ListError;
use crate::observe::decision::DecisionLine;
use crate::observe::event::gateway_line;
use crate::observe::point::Point;
use crate::observe::span::Span;
use crate::ports::{
    Background, Clock, EventSink, Fetch, Limiter, OriginFailure, Random, Records, ReplayGuard, SharedCache,
    SignatureVerifier, Spawn, Store, Timer, Transport,
};
use crate::settings::DecisionLog;
use crate::time::UnixMillis;
use crate::token::binding::proof::SingleUse;
use crate::token::binding::replay::Use;
use crate::token::signature::SignatureCheck;
use crate::transport::provider::{ProviderDocument, ProviderRequest};
use crate::worker::shell_request::{
    AwaitingAssertionSignature, AwaitingMessage, AwaitingOriginAnswer, AwaitingSignatureCheck,
};
use crate::worker::{read_fields, write_fields};

#[wasm_bindgen(module = "/src/worker/platform.js")]
extern "C" {
    pub(super) fn head(request: &Request, certificate: bool, place: bool) -> String;

    #[wasm_bindgen(catch)]
    pub(super) fn response(status: u16, fields: &str, body: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    async fn ask(
        fetcher: &JsValue,
        url: &str,
        fields: &str,
        post: Option<String>,
        seconds: f64,
        bytes: f64,
    ) -> Result<JsValue, JsValue>;

    async fn sleep(milliseconds: u32);

    #[wasm_bindgen(catch)]
    async fn read(
        store: &JsValue,
        key: &str,
        bytes: f64,
        edge_seconds: f64,
        milliseconds: u32,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    async fn recall(name: &str, milliseconds: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    async fn keep(name: &str, value: &[u8], seconds: f64, milliseconds: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    async fn consult(
        namespace: &JsValue,
        name: &str,
        query: &str,
        question: Option<String>,
        milliseconds: u32,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    async fn limit(limiter: &JsValue, key: &str, milliseconds: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    fn record(data_set: &JsValue, blobs: &Array, doubles: &[f64]) -> Result<(), JsValue>;

    fn annotate(span: &JsValue, name: &str, attributes: &Array, status: u16);

    #[wasm_bindgen(catch)]
    async fn enqueue(queue: &JsValue, text: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    async fn begin(body: &JsValue, bytes: f64) -> Result<JsValue, JsValue>;

    fn through(first: Uint8Array, rest: &JsValue, step: &Closure<dyn FnMut(JsValue) -> JsValue>) -> Array;
}

#[wasm_bindgen(module = "/src/worker/signatures.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    async fn verify(jwk: &str, algorithm: &str, signature: &[u8], input: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    async fn sign(jwk: &str, algorithm: &str, input: &[u8]) -> Result<JsValue, JsValue>;

    fn check(jwk: &str, algorithm: &str, signature: &[u8], input: &str, checking: AwaitingSignatureCheck) -> JsValue;

    fn signed(jwk: &str, algorithm: &str, input: &[u8], signing: AwaitingAssertionSignature) -> JsValue;
}

#[wasm_bindgen(module = "/src/worker/exchange.js")]
extern "C" {
    type Exchange;

    #[wasm_bindgen(constructor)]
    fn new(request: &Request, context: &worker::worker_sys::Context, keep: f64) -> Exchange;

    #[wasm_bindgen(method)]
    fn hold(this: &Exchange, work: &JsValue);

    #[wasm_bindgen(method)]
    fn read(this: &Exchange, bytes: f64, seconds: f64, reading: AwaitingMessage) -> JsValue;

    #[wasm_bindgen(method)]
    fn forward(
        this: &Exchange,
        fetcher: &JsValue,
        method: &str,
        url: &str,
        fields: &str,
        limits: &[f64],
        cancel: bool,
        instead: Option<Vec<u8>>,
        sending: AwaitingOriginAnswer,
    ) -> JsValue;

    #[wasm_bindgen(method, catch)]
    async fn send(
        this: &Exchange,
        fetcher: &JsValue,
        method: &str,
        url: &str,
        fields: &str,
        limits: &[f64],
        cancel: bool,
        instead: Option<Vec<u8>>,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn message(this: &Exchange, bytes: f64, seconds: f64) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method)]
    async fn peek(this: &Exchange, bytes: f64, milliseconds: u32) -> JsValue;
}

/// The platform, for one request.
#[derive(Clone)]
pub(super) struct Workers {
    context: Rc<worker::worker_sys::Context>,
    env: worker::Env,
    /// The platform's span of this invocation, if it is traced.
    span: JsValue,
}

impl Workers {
    pub(super) fn new(context: worker::worker_sys::Context, env: worker::Env, span: JsValue) -> Self {
        Self { context: Rc::new(context), env, span }
    }

    /// The Worker's environment.
    pub(super) fn env(&self) -> &worker::Env {
        &self.env
    }

    /// Lets `work` run to its end even if the client disconnects.
    pub(super) fn see_through(&self, work: &Promise) {
        // It fails if the context of the request has ended: then the work is no longer needed.
        let _ended = self.context.wait_until(work);
    }

    /// The service binding with that name; `undefined` for the network.
    pub(super) fn fetcher(&self, service: Option<&str>) -> Result<JsValue, String> {
        service.map_or(Ok(JsValue::UNDEFINED), |name| self.binding(name, "fetch"))
    }

    /// The binding with that name, which must have this method.
    pub(super) fn binding(&self, name: &str, method: &str) -> Result<JsValue, String> {
        let binding = js_sys::Reflect::get(&self.env, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED);
        let fits = binding.is_object()
            && js_sys::Reflect::get(&binding, &JsValue::from_str(method)).is_ok_and(|method| method.is_function());
        if fits { Ok(binding) } else { Err(format!("there is no such binding {name:?}")) }
    }

    async fn ask(
        &self,
        url: &str,
        service: Option<&str>,
        fields: &str,
        post: Option<String>,
        seconds: u64,
    ) -> Result<ProviderDocument, String> {
        let fetcher = self.fetcher(service)?;
        let answer = ask(&fetcher, url, fields, post, seconds as f64, PROVIDER_DOCUMENT_BYTES as f64).await;
        let parts: Array = answer.map_err(|error| words(&error))?.unchecked_into();
        Ok(ProviderDocument {
            status: parts.get(0).as_f64().map_or(0, |status| status as u16),
            content_type: parts.get(1).as_string(),
            cache_control: parts.get(2).as_string(),
            age: parts.get(3).as_string(),
            body: Uint8Array::new(&parts.get(4)).to_vec(),
        })
    }

    /// Logs that a binding is missing without which the origin server cannot be reached.
    pub(super) fn without_binding(&self, why: &str) -> OriginFailure {
        self.line(&gateway_line("error", "binding_missing", why, self.now()));
        OriginFailure::Unreachable
    }

    /// Logs if an origin server's stream ended before it was complete.
    pub(super) fn watch(&self, ended: JsValue, request_id: String) {
        let Ok(ended) = ended.dyn_into::<Promise>() else { return };
        let ports = self.clone();
        wasm_bindgen_futures::spawn_local(async move {
            let how = JsFuture::from(ended).await.ok().and_then(|how| how.as_string()).unwrap_or_default();
            let reason = match how.as_str() {
                "lost" => "origin_stream_lost",
                "idle" => "origin_stream_idle",
                _ => return,
            };
            let detail = format!("request {request_id}");
            ports.line(&gateway_line("warn", reason, &detail, ports.now()));
        });
    }
}

/// A key as text for WebCrypto: passing a string to JavaScript costs a fraction of passing an object.
fn jwk_text(jwk: &JsonWebKey<'_>) -> Result<String, String> {
    serde_json::to_string(jwk).map_err(|error| error.to_string())
}

/// Makes JavaScript check a signature and call the object that `needed` makes.
pub(super) fn check_signature(
    request: Suspended<CheckingSignature>,
    needed: impl FnOnce(Suspended<CheckingSignature>) -> AwaitingSignatureCheck,
) -> Result<JsValue, JsValue> {
    let it = request.check();
    let jwk = match jwk_text(it.key.jwk()) {
        Ok(jwk) => jwk,
        Err(why) => return needed(request).failed(why),
    };
    let (algorithm, signature, input) = (it.algorithm.as_str(), it.signature.clone(), it.signing_input.clone());
    Ok(check(&jwk, algorithm, &signature, &input, needed(request)))
}

/// Makes JavaScript sign an assertion and call the object that `needed` makes.
pub(super) fn sign_assertion(
    key: &SigningKey,
    request: Suspended<SigningAssertion>,
    needed: impl FnOnce(Suspended<SigningAssertion>) -> AwaitingAssertionSignature,
) -> Result<JsValue, JsValue> {
    let jwk = match jwk_text(key.expose()) {
        Ok(jwk) => jwk,
        Err(why) => return needed(request).failed(why),
    };
    let input = request.input().to_owned();
    Ok(signed(&jwk, key.algorithm().as_str(), input.as_bytes(), needed(request)))
}

/// How many random bytes are requested at once: the call costs more than the bytes.
const RANDOM_BYTES: usize = 4096;

thread_local! {
    static RANDOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Clock for Workers {
    fn now(&self) -> UnixMillis {
        UnixMillis(js_sys::Date::now() as u64)
    }
}

impl Random for Workers {
    fn fill(&self, bytes: &mut [u8]) {
        RANDOM.with_borrow_mut(|pool| {
            if pool.len() < bytes.len() {
                pool.resize(bytes.len().max(RANDOM_BYTES), 0);
                // Without random bytes the gateway cannot continue safely: the request fails.
                getrandom::getrandom(pool).unwrap_or_else(|_| wasm_bindgen::throw_str("no random bytes"));
            }
            // Bytes that were taken leave the pool: no bytes are used twice.
            let taken = pool.split_off(pool.len() - bytes.len());
            bytes.copy_from_slice(&taken);
        });
    }
}

impl Workers {
    fn write_data_point(&self, binding: &str, blobs: &Array, doubles: &[f64]) -> Result<(), String> {
        let data_set = self.binding(binding, "writeDataPoint")?;
        record(&data_set, blobs, doubles).map_err(|error| words(&error))
    }
}

impl EventSink for Workers {
    fn line(&self, line: &str) {
        worker::console_log!("{line}");
    }

    fn decided(&self, log: &DecisionLog, decision: &DecisionLine) {
        if log.console {
            self.line(&decision.json);
        }
        let missing = |why: &str| self.line(&gateway_line("error", "decision_not_recorded", why, self.now()));
        if let Some(name) = &log.analytics_engine {
            // The first value is the index by which Analytics Engine samples.
            let (parts, whole) = decision.blobs();
            let parts = std::iter::once(decision.subject.as_str()).chain(parts.iter().map(String::as_str));
            let blobs: Array = parts.map(JsValue::from_str).collect();
            if !whole {
                missing("the line is too large for a data point, which has only the other values");
            }
            if let Err(why) = self.write_data_point(name, &blobs, &[]) {
                missing(&why);
            }
        }
        if let Some(name) = &log.queue {
            match self.binding(name, "send") {
                Ok(queue) => {
                    let (ports, json) = (self.clone(), decision.json.clone());
                    self.spawn(Box::pin(async move {
                        if let Err(error) = enqueue(&queue, &json).await {
                            let why = words(&error);
                            ports.line(&gateway_line("error", "decision_not_recorded", &why, ports.now()));
                        }
                    }));
                }
                Err(why) => missing(&why),
            }
        }
    }

    fn measured(&self, binding: &str, point: &Point) {
        let parts = std::iter::once(&point.index).chain(&point.blobs);
        let blobs: Array = parts.map(|part| JsValue::from_str(part)).collect();
        if let Err(why) = self.write_data_point(binding, &blobs, &point.doubles) {
            self.line(&gateway_line("error", "request_not_measured", &why, self.now()));
        }
    }

    fn is_traced(&self) -> bool {
        !self.span.is_undefined()
    }

    fn trace(&self, span: &Span) {
        let pairs = span.attributes.iter().flat_map(|(name, value)| [*name, value.as_str()]);
        annotate(&self.span, &span.name, &pairs.map(JsValue::from_str).collect(), span.status);
    }
}

impl Limiter for Workers {
    async fn within_limit(&self, binding: &str, key: &str) -> Result<bool, String> {
        let limiter = self.binding(binding, "limit")?;
        let answer = limit(&limiter, key, STORE_MILLISECONDS).await.map_err(|error| words(&error))?;
        answer.as_bool().ok_or_else(|| "the rate limiting binding did not return a boolean".to_owned())
    }
}

impl Spawn for Workers {
    fn spawn(&self, work: Background) {
        self.see_through(&future_to_promise(async move {
            work.await;
            Ok(JsValue::UNDEFINED)
        }));
    }
}

impl SignatureVerifier for Workers {
    async fn verify(&self, check: &SignatureCheck) -> Result<bool, String> {
        let jwk = jwk_text(check.key.jwk())?;
        verify(&jwk, check.algorithm.as_str(), &check.signature, &check.signing_input)
            .await
            .map(|good| good.is_truthy())
            .map_err(|error| words(&error))
    }

    async fn sign(&self, key: &SigningKey, input: &[u8]) -> Result<Vec<u8>, String> {
        let jwk = jwk_text(key.expose())?;
        sign(&jwk, key.algorithm().as_str(), input)
            .await
            .map(|signature| Uint8Array::new(&signature).to_vec())
            .map_err(|error| words(&error))
    }
}

impl Fetch for Workers {
    async fn get(&self, url: &str) -> Result<ProviderDocument, String> {
        self.ask(url, None, "accept,application/json", None, PROVIDER_TIMEOUT).await
    }

    async fn ask(&self, request: &ProviderRequest) -> Result<ProviderDocument, String> {
        let fields: Vec<String> = request.fields.iter().map(|(name, value)| format!("{name},{value}")).collect();
        let (service, body) = (request.service.as_deref(), request.body.clone());
        self.ask(&request.url, service, &fields.join("\n"), body, request.seconds).await
    }
}

impl Store for Workers {
    async fn read(&self, binding: &str, key: &str, bytes: usize) -> Result<Option<Vec<u8>>, String> {
        let store = self.binding(binding, "get")?;
        read(&store, key, bytes as f64, KV_EDGE_SECONDS as f64, STORE_MILLISECONDS)
            .await
            .map(|value| (!value.is_null()).then(|| Uint8Array::new(&value).to_vec()))
            .map_err(|error| words(&error))
    }
}

impl SharedCache for Workers {
    async fn recall(&self, name: &str) -> Option<Vec<u8>> {
        let value = recall(name, STORE_MILLISECONDS).await.ok()?;
        (!value.is_null()).then(|| Uint8Array::new(&value).to_vec())
    }

    async fn keep(&self, name: &str, value: &[u8], seconds: u64) {
        // A failure does not matter: without the cache entry the next isolate asks the provider.
        let _kept = keep(name, value, seconds as f64, STORE_MILLISECONDS).await;
    }
}

impl ReplayGuard for Workers {
    async fn use_once(&self, binding: &str, single: &SingleUse) -> Result<Use, String> {
        let namespace = self.binding(binding, "idFromName")?;
        let id = hex(&single.id);
        let query = format!("id={id}&until={}", single.until);
        let word = consult(&namespace, &single.jkt, &query, None, STORE_MILLISECONDS).await;
        let word = word.map_err(|error| words(&error))?.as_string();
        word.as_deref().and_then(Use::parse).ok_or_else(|| "the replay guard returned an unknown word".to_owned())
    }
}

impl Records for Workers {
    async fn record(&self, binding: &str, name: &str, question: &str) -> Result<String, String> {
        let namespace = self.binding(binding, "idFromName")?;
        let answer = consult(&namespace, name, "", Some(question.to_owned()), RECORD_MILLISECONDS).await;
        answer.map_err(|error| words(&error))?.as_string().ok_or_else(|| "the answer is not text".to_owned())
    }
}

impl Timer for Workers {
    async fn sleep(&self, milliseconds: u32) {
        sleep(milliseconds).await;
    }
}

/// The client's request; JavaScript carries its body.
pub(super) struct Inbound(Exchange);

impl Inbound {
    pub(super) fn new(request: &Request, ports: &Workers) -> Self {
        Self(Exchange::new(request, &ports.context, PEEK_BYTES as f64))
    }

    /// Lets `work` run to its end even if the client disconnects.
    pub(super) fn hold(&self, work: &JsValue) {
        self.0.hold(work);
    }

    /// Reads the message.
    pub(super) fn read(&self, limit: u64, reading: AwaitingMessage) -> JsValue {
        self.0.read(limit as f64, INSPECT_SECONDS as f64, reading)
    }

    /// Sends the request to its origin server.
    pub(super) fn forward(
        &self,
        fetcher: &JsValue,
        request: OutboundRequest,
        sending: AwaitingOriginAnswer,
    ) -> JsValue {
        let (method, url) = (request.method().as_str(), request.url());
        let fields = write_fields(request.fields());
        let (cancel, instead) = (request.cancel_on_disconnect(), request.body().map(<[u8]>::to_vec));
        self.0.forward(fetcher, method, url, &fields, &limits(&request), cancel, instead, sending)
    }
}

/// The largest body in bytes; then seconds until the response fields, of silence in the answer, and of silence in an
/// event stream, zero if that may be silent.
fn limits(request: &OutboundRequest) -> [f64; 4] {
    [
        request.body_bytes() as f64,
        request.response_timeout() as f64,
        request.idle_timeout() as f64,
        request.stream_idle_timeout().unwrap_or_default() as f64,
    ]
}

impl Transport for Workers {
    type RequestBody = Rc<Inbound>;
    type ResponseBody = JsValue;

    async fn send(
        &self,
        request: OutboundRequest,
        body: &Rc<Inbound>,
    ) -> Result<(ResponseHead, JsValue), OriginFailure> {
        let fetcher = self.fetcher(request.service()).map_err(|why| self.without_binding(&why))?;
        let (method, url) = (request.method().as_str(), request.url());
        let fields = write_fields(request.fields());
        let (cancel, instead) = (request.cancel_on_disconnect(), request.body().map(<[u8]>::to_vec));
        let answer = body.0.send(&fetcher, method, url, &fields, &limits(&request), cancel, instead).await;
        let parts: Array = answer.map_err(|failure| failed(&failure))?.unchecked_into();
        self.watch(parts.get(3), request.request_id().to_owned());
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
    ) -> Result<JsValue, ListError> {
        let (mut first, mut rest) = (Vec::new(), body);
        if filter.can_wait() {
            let parts = begin(&rest, LIST_HEAD_BYTES as f64).await.map_err(|_| ListError::NotJson)?;
            let parts: Array = parts.unchecked_into();
            first = match filter.push(&Uint8Array::new(&parts.get(0)).to_vec())? {
                FilteredPart::More(bytes) => bytes,
                FilteredPart::Last(_, why) => return Err(why),
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
            let out = if part.is_null() {
                filter.finish().map(FilteredPart::More)
            } else {
                filter.push(&Uint8Array::new(&part).to_vec())
            };
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

    async fn peek(&self, body: &Rc<Inbound>, limit: usize) -> Option<Vec<u8>> {
        let bytes = body.0.peek(limit as f64, PEEK_MILLISECONDS).await;
        (!bytes.is_null()).then(|| Uint8Array::new(&bytes).to_vec())
    }
}

pub(super) fn failed(failure: &JsValue) -> OriginFailure {
    match failure.as_string().as_deref() {
        Some("body cut short") => OriginFailure::BodyCutShort,
        Some("body too large") => OriginFailure::BodyTooLarge,
        Some("gone") => OriginFailure::ClientDisconnected,
        Some("timeout") => OriginFailure::Timeout,
        _ => OriginFailure::Unreachable,
    }
}

fn words(error: &JsValue) -> String {
    error
        .as_string()
        .or_else(|| error.dyn_ref::<js_sys::Error>().and_then(|error| error.message().as_string()))
        .unwrap_or_else(|| "failed".to_owned())
}
