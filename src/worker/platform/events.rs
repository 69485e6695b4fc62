//! The log, the decision log, data points and spans.

use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::observe::decision::DecisionLine;
use crate::observe::event::gateway_line;
use crate::observe::point::Point;
use crate::observe::span::Span;
use crate::platform_error::PlatformError;
use crate::ports::{Clock as _, EventSink, Queues, Spawn as _};
use crate::settings::DecisionLog;
use crate::worker::platform::{Workers, described};

#[wasm_bindgen(module = "/src/worker/platform.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn record(data_set: &JsValue, blobs: &Array, doubles: &[f64]) -> Result<(), JsValue>;

    fn annotate(span: &JsValue, name: &str, attributes: &Array, status: u16);

    #[wasm_bindgen(catch)]
    async fn enqueue(queue: &JsValue, text: &str) -> Result<JsValue, JsValue>;
}

impl Workers {
    fn write_data_point(&self, binding: &str, blobs: &Array, doubles: &[f64]) -> Result<(), PlatformError> {
        let data_set = self.binding(binding, "writeDataPoint")?;
        record(&data_set, blobs, doubles).map_err(|error| described(&error))
    }
}

impl Queues for Workers {
    async fn enqueue(&self, binding: &str, text: &str) -> Result<(), PlatformError> {
        let queue = self.binding(binding, "send")?;
        enqueue(&queue, text).await.map(|_| ()).map_err(|error| described(&error))
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
            if let Err(error) = self.write_data_point(name, &blobs, &[]) {
                missing(&error.to_string());
            }
        }
        if let Some(name) = &log.queue {
            let (ports, name, json) = (self.clone(), name.clone(), decision.json.clone());
            self.spawn(Box::pin(async move {
                if let Err(error) = ports.enqueue(&name, &json).await {
                    let why = error.to_string();
                    ports.line(&gateway_line("error", "decision_not_recorded", &why, ports.now()));
                }
            }));
        }
    }

    fn measured(&self, binding: &str, point: &Point) {
        let parts = std::iter::once(&point.index).chain(&point.blobs);
        let blobs: Array = parts.map(|part| JsValue::from_str(part)).collect();
        if let Err(error) = self.write_data_point(binding, &blobs, &point.doubles) {
            self.line(&gateway_line("error", "request_not_measured", &error.to_string(), self.now()));
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
