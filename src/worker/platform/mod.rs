//! The ports, on Cloudflare Workers: a file for each kind. The JavaScript files of this folder contain what is cheaper in
//! JavaScript or only possible there. Each of their functions is one call from WebAssembly to JavaScript.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "JavaScript has one kind of number, and limits and statuses are small ones"
)]

mod events;
mod http;
mod origin;
mod signatures;
mod stores;

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::future_to_promise;
use worker::worker_sys::web_sys::Request;

use crate::platform_error::PlatformError;
use crate::ports::{Background, CanonicalJson, Clock, Random, Spawn, Timer};
use crate::time::UnixMillis;
pub(super) use origin::{Inbound, failed, forget_all, remember, repeat};
pub(super) use signatures::{check_signature, sign_assertion};

#[wasm_bindgen(module = "/src/worker/platform.js")]
extern "C" {
    pub(super) fn head(request: &Request, certificate: bool, place: bool) -> String;

    #[wasm_bindgen(catch)]
    pub(super) fn response(status: u16, fields: &str, body: &JsValue) -> Result<JsValue, JsValue>;

    async fn sleep(milliseconds: u32);

    #[wasm_bindgen(catch, js_name = canonicalJson)]
    fn canonical_json(text: &str) -> Result<String, JsValue>;
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
    pub(super) fn fetcher(&self, service: Option<&str>) -> Result<JsValue, PlatformError> {
        service.map_or(Ok(JsValue::UNDEFINED), |name| self.binding(name, "fetch"))
    }

    /// The binding with that name, which must have this method.
    pub(super) fn binding(&self, name: &str, method: &str) -> Result<JsValue, PlatformError> {
        let binding = js_sys::Reflect::get(&self.env, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED);
        let fits = binding.is_object()
            && js_sys::Reflect::get(&binding, &JsValue::from_str(method)).is_ok_and(|method| method.is_function());
        if fits { Ok(binding) } else { Err(format!("there is no such binding {name:?}").into()) }
    }
}

/// How many random bytes are requested at once: the call costs more than the bytes.
const RANDOM_BYTES: usize = 4096;

thread_local! {
    static RANDOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Clock for Workers {
    fn now(&self) -> UnixMillis {
        millis(js_sys::Date::now())
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

impl CanonicalJson for Workers {
    fn canonical_json(&self, text: &str) -> Option<String> {
        canonical_json(text).ok()
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

impl Timer for Workers {
    async fn sleep(&self, milliseconds: u32) {
        sleep(milliseconds).await;
    }
}

/// A time of JavaScript.
pub(super) fn millis(time: f64) -> UnixMillis {
    UnixMillis(time as u64)
}

/// The description of an exception.
fn described(error: &JsValue) -> PlatformError {
    let text = error
        .as_string()
        .or_else(|| error.dyn_ref::<js_sys::Error>().and_then(|error| error.message().as_string()))
        .unwrap_or_else(|| "failed".to_owned());
    text.into()
}
