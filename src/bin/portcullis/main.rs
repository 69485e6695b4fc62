//! `portcullis`, the command line.

#[cfg(not(target_family = "wasm"))]
mod cli;

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    cli::main()
}

/// A Worker has no command line; cargo builds this beside the tests all the same.
#[cfg(target_family = "wasm")]
fn main() {}
