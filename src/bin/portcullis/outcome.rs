//! The result of a command.

use serde_json::Value;

/// What a command found, as text and as JSON. `good` is false if there is something to review.
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) json: Value,
    pub(crate) good: bool,
}

/// Why a command cannot run.
pub(crate) struct Unusable {
    pub(crate) why: String,
    /// The error as JSON, where it has more than the text.
    pub(crate) json: Option<Value>,
}

impl Unusable {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), json: None }
    }
}

impl From<String> for Unusable {
    fn from(why: String) -> Self {
        Self::new(why)
    }
}

impl From<&str> for Unusable {
    fn from(why: &str) -> Self {
        Self::new(why)
    }
}

/// Untrusted text in a form that is safe for a terminal: characters that would move the cursor, set colours or change the
/// direction of the text are escaped.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let moves = character.is_control() && !matches!(character, '\n' | '\t');
        if moves || portcullis::page::is_invisible(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The same for a text that is a part of a line.
pub(crate) fn in_line(text: &str) -> String {
    plain(text).replace('\n', "\\n").replace('\t', "\\t")
}
