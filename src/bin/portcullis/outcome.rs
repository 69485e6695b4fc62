//! What comes of a command.

use serde_json::Value;

/// What a command found: for people, for programs, and whether it is well.
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) json: Value,
    pub(crate) good: bool,
}

/// Why a command cannot do what was asked.
pub(crate) struct Unusable {
    pub(crate) why: String,
    /// The same for programs, where there is more to it.
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

/// Text of others as a terminal may have it: what would move its cursor, colour it or turn its lines around is shown.
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
