//! The command line as a program of its own.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use crate::command;
use crate::host::{Host, Printed};

pub(crate) fn run() -> ExitCode {
    let read = |name: &str| {
        let text = match name {
            "-" => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map(|_| text)
            }
            name => std::fs::read_to_string(name),
        };
        text.map_err(|error| format!("{name}: {error}"))
    };
    let arguments = std::env::args().skip(1).collect();
    let Printed { status, stdout, stderr } =
        command::run(&Host { arguments, call: "portcullis".to_owned(), read: &read });
    let written = std::io::stdout().write_all(stdout.as_bytes());
    if written.and_then(|()| std::io::stderr().write_all(stderr.as_bytes())).is_err() {
        return ExitCode::from(command::UNUSABLE);
    }
    ExitCode::from(status)
}
