//! The configuration variable and secrets in the Worker's environment.

use serde_json::Value;
use wasm_bindgen::{JsCast as _, JsValue};

use crate::config::{Mistakes, Secrets};
use crate::strict_json;

/// The variable that contains the configuration document, or names its location.
const VARIABLE: &str = "PORTCULLIS";

/// The value of the variable: a table of `wrangler.toml`, or a string.
pub(super) fn variable(env: &worker::Env) -> Result<Value, Mistakes> {
    let wrong = |what: &str| {
        let mut mistakes = Mistakes::new();
        mistakes.note(VARIABLE, what);
        mistakes
    };
    let variable = js_sys::Reflect::get(env, &JsValue::from_str(VARIABLE)).unwrap_or(JsValue::UNDEFINED);
    if variable.is_undefined() {
        return Err(wrong("is required: a table [vars.PORTCULLIS] in wrangler.toml"));
    }
    if let Some(text) = variable.as_string() {
        return Ok(Value::String(text));
    }
    let text = variable
        .dyn_ref::<js_sys::Object>()
        .and_then(|object| js_sys::JSON::stringify(object).ok())
        .and_then(|text| text.as_string())
        .ok_or_else(|| wrong("must be a table, or one as a JSON string"))?;
    strict_json::parse(text.as_bytes()).map_err(|error| wrong(&error.to_string()))
}

/// Whether a variable has this value.
pub(super) fn is_set(env: &worker::Env, name: &str, value: &str) -> bool {
    js_sys::Reflect::get(env, &JsValue::from_str(name)).is_ok_and(|found| found.as_string().as_deref() == Some(value))
}

/// The secrets of the Worker.
pub(super) struct EnvSecrets<'a>(pub(super) &'a worker::Env);

impl Secrets for EnvSecrets<'_> {
    fn secret(&self, name: &str) -> Option<String> {
        self.0.secret(name).ok().map(|secret| secret.to_string())
    }
}
