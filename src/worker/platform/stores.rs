//! KV, the cache of the data center, Durable Objects and rate limiters.

use base16ct::lower::encode_string as hex;
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::limits::{DIRECTORY_MILLISECONDS, KV_EDGE_SECONDS, RECORD_MILLISECONDS, STORE_MILLISECONDS};
use crate::platform_error::PlatformError;
use crate::policy::budget::Spent;
use crate::ports::{DayBudgets, Directories, Limiter, Records, ReplayGuard, SharedCache, Store};
use crate::token::binding::proof::SingleUse;
use crate::token::binding::replay::Use;
use crate::worker::platform::{Workers, described};

#[wasm_bindgen(module = "/src/worker/platform.js")]
extern "C" {
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
}

impl Store for Workers {
    async fn read(&self, binding: &str, key: &str, bytes: usize) -> Result<Option<Vec<u8>>, PlatformError> {
        let store = self.binding(binding, "get")?;
        read(&store, key, bytes as f64, KV_EDGE_SECONDS as f64, STORE_MILLISECONDS)
            .await
            .map(|value| (!value.is_null()).then(|| Uint8Array::new(&value).to_vec()))
            .map_err(|error| described(&error))
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
    async fn use_once(&self, binding: &str, single: &SingleUse) -> Result<Use, PlatformError> {
        let namespace = self.binding(binding, "idFromName")?;
        let id = hex(&single.id);
        let query = format!("id={id}&until={}", single.until);
        let word = consult(&namespace, &single.jkt, &query, None, STORE_MILLISECONDS).await;
        let word = word.map_err(|error| described(&error))?.as_string();
        word.as_deref().and_then(Use::parse).ok_or_else(|| "the replay guard returned an unknown word".into())
    }
}

impl DayBudgets for Workers {
    async fn spend(&self, binding: &str, counter: &str, day: u64, most: u64) -> Result<Spent, PlatformError> {
        let word = self.ask_budget(binding, counter, &format!("day={day}&most={most}")).await?;
        Spent::parse(&word).ok_or_else(|| "the budget returned an unknown word".into())
    }

    async fn give_back(&self, binding: &str, counter: &str, day: u64) -> Result<(), PlatformError> {
        self.ask_budget(binding, counter, &format!("day={day}")).await.map(drop)
    }
}

impl Workers {
    async fn ask_budget(&self, binding: &str, counter: &str, query: &str) -> Result<String, PlatformError> {
        let namespace = self.binding(binding, "idFromName")?;
        let word = consult(&namespace, counter, query, None, STORE_MILLISECONDS).await;
        word.map_err(|error| described(&error))?.as_string().ok_or_else(|| "the answer is not text".into())
    }
}

impl Records for Workers {
    async fn record(&self, binding: &str, name: &str, question: &str) -> Result<String, PlatformError> {
        let namespace = self.binding(binding, "idFromName")?;
        let answer = consult(&namespace, name, "", Some(question.to_owned()), RECORD_MILLISECONDS).await;
        answer.map_err(|error| described(&error))?.as_string().ok_or_else(|| "the answer is not text".into())
    }
}

impl Directories for Workers {
    async fn directory(&self, binding: &str, name: &str, question: &str) -> Result<String, PlatformError> {
        let namespace = self.binding(binding, "idFromName")?;
        let answer = consult(&namespace, name, "", Some(question.to_owned()), DIRECTORY_MILLISECONDS).await;
        answer.map_err(|error| described(&error))?.as_string().ok_or_else(|| "the answer is not text".into())
    }
}

impl Limiter for Workers {
    async fn within_limit(&self, binding: &str, key: &str) -> Result<bool, PlatformError> {
        let limiter = self.binding(binding, "limit")?;
        let answer = limit(&limiter, key, STORE_MILLISECONDS).await.map_err(|error| described(&error))?;
        answer.as_bool().ok_or_else(|| "the rate limiting binding did not return a boolean".into())
    }
}
