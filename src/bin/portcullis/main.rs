//! `portcullis`, the command line. It interprets a configuration with the code that the Worker runs. Users run it in Node, as
//! WebAssembly ([`node`]); for tests it is also a program of its own ([`process`]).

mod arguments;
mod check;
mod command;
mod decide;
mod diff;
mod document;
mod examples;
mod explain;
mod host;
mod lines;
mod lock;
mod look;
mod migrate;
#[cfg(target_family = "wasm")]
mod node;
mod outcome;
#[cfg(not(target_family = "wasm"))]
mod process;
mod replay;
mod review;

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    process::run()
}

/// Node calls [`node::run`].
#[cfg(target_family = "wasm")]
fn main() {}
