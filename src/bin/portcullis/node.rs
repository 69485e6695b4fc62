//! The command line in Node, as WebAssembly: `scripts/commands/rust.mjs` calls it.

use js_sys::{Error, Function, JsString};
use serde_json::json;
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};

use crate::command;
use crate::host::Host;

/// Runs a command. `read` gets the name of a file, and returns its text or throws an error with a message. The result is JSON: `status`,
/// `stdout` and `stderr`.
#[wasm_bindgen]
#[expect(unreachable_pub, reason = "wasm-bindgen exports it, and takes public functions alone")]
pub fn run(arguments: Vec<String>, call: String, read: &Function) -> String {
    console_error_panic_hook::set_once();
    let read = |name: &str| {
        let read = read.call1(&JsValue::NULL, &JsValue::from_str(name));
        let text = read.map_err(|error| {
            error.dyn_into::<Error>().map(|error| String::from(error.message())).unwrap_or_default()
        })?;
        text.dyn_into::<JsString>().map(String::from).map_err(|_| format!("{name}: is not text"))
    };
    let printed = command::run(&Host { arguments, call, read: &read });
    json!({ "status": printed.status, "stdout": printed.stdout, "stderr": printed.stderr }).to_string()
}
