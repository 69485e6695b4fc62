//! What a command needs from the process that runs it, and what it gives back. A command reads files through this and does no
//! other I/O: the same code runs in a process of its own and, as WebAssembly, in Node.

/// The process that runs a command.
pub(crate) struct Host<'a> {
    /// The arguments, without the name of the program.
    pub(crate) arguments: Vec<String>,
    /// How messages name the program.
    pub(crate) call: String,
    /// Reads a file; `-` is standard input. An error is a message for the user.
    pub(crate) read: &'a dyn Fn(&str) -> Result<String, String>,
}

/// The output of a command.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    pub(crate) status: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}
