//! Requests to identity providers and to Workers behind service bindings.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};

use crate::limits::{PROVIDER_DOCUMENT_BYTES, PROVIDER_TIMEOUT};
use crate::platform_error::PlatformError;
use crate::ports::Fetch;
use crate::transport::provider::{ProviderDocument, ProviderRequest};
use crate::worker::platform::{Workers, described};

#[wasm_bindgen(module = "/src/worker/platform.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    async fn ask(
        fetcher: &JsValue,
        url: &str,
        fields: &str,
        post: Option<String>,
        seconds: f64,
        bytes: f64,
    ) -> Result<JsValue, JsValue>;
}

impl Workers {
    async fn ask(
        &self,
        url: &str,
        service: Option<&str>,
        fields: &str,
        post: Option<String>,
        seconds: u64,
    ) -> Result<ProviderDocument, PlatformError> {
        let fetcher = self.fetcher(service)?;
        let answer = ask(&fetcher, url, fields, post, seconds as f64, PROVIDER_DOCUMENT_BYTES as f64).await;
        let parts: Array = answer.map_err(|error| described(&error))?.unchecked_into();
        Ok(ProviderDocument {
            status: parts.get(0).as_f64().map_or(0, |status| status as u16),
            content_type: parts.get(1).as_string(),
            cache_control: parts.get(2).as_string(),
            age: parts.get(3).as_string(),
            challenge: parts.get(4).as_string(),
            body: Uint8Array::new(&parts.get(5)).to_vec(),
        })
    }
}

impl Fetch for Workers {
    async fn get(&self, url: &str) -> Result<ProviderDocument, PlatformError> {
        self.ask(url, None, "accept,application/json", None, PROVIDER_TIMEOUT).await
    }

    async fn ask(&self, request: &ProviderRequest) -> Result<ProviderDocument, PlatformError> {
        let fields: Vec<String> = request.fields.iter().map(|(name, value)| format!("{name},{value}")).collect();
        let (service, body) = (request.service.as_deref(), request.body.clone());
        self.ask(&request.url, service, &fields.join("\n"), body, request.seconds).await
    }
}
