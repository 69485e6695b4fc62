//! `portcullis`, the command line. It interprets a configuration with the code that the Worker runs.

#[cfg(not(target_family = "wasm"))]
mod arguments;
#[cfg(not(target_family = "wasm"))]
mod check;
#[cfg(not(target_family = "wasm"))]
mod command;
#[cfg(not(target_family = "wasm"))]
mod document;
#[cfg(not(target_family = "wasm"))]
mod explain;
#[cfg(not(target_family = "wasm"))]
mod lines;
#[cfg(not(target_family = "wasm"))]
mod look;
#[cfg(not(target_family = "wasm"))]
mod outcome;
#[cfg(not(target_family = "wasm"))]
mod replay;

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    command::run()
}

/// A Worker has no command line, but cargo also builds this program with the tests for WebAssembly.
#[cfg(target_family = "wasm")]
fn main() {}
