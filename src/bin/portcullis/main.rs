//! `portcullis`, the command line: what a configuration means, by the code that the Worker runs.

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
mod outcome;
#[cfg(not(target_family = "wasm"))]
mod replay;

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    command::run()
}

/// A Worker has no command line; cargo builds this beside the tests all the same.
#[cfg(target_family = "wasm")]
fn main() {}
