//! Patterns for names and URIs: `*` matches any characters, and every other character matches itself.

use std::error::Error;
use std::fmt;

/// Maximum length of a pattern in bytes. Patterns come from the configuration, and this limits what a match costs.
const PATTERN_BYTES: usize = 512;

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternError {
    /// It is empty or too long.
    Length,
    /// It begins or ends with white space, or has control characters: no valid name matches it.
    Characters(String),
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "must be 1 to {PATTERN_BYTES} bytes"),
            Self::Characters(text) => {
                write!(f, "must not begin or end with white space or contain control characters, got {text:?}")
            }
        }
    }
}

impl Error for PatternError {}

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    folded: String,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// [`PatternError`] if the pattern is empty, too long, or cannot match any valid name.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() || text.len() > PATTERN_BYTES {
            return Err(PatternError::Length);
        }
        if text.trim() != text || text.chars().any(char::is_control) {
            return Err(PatternError::Characters(text.to_owned()));
        }
        Ok(Self { text: text.to_owned(), folded: fold(text) })
    }

    /// The pattern as the configuration has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a name matches exactly.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        like(&self.text, name)
    }

    /// Whether a folded name matches, as for a server that ignores letter case.
    #[must_use]
    pub fn matches_folded(&self, folded: &str) -> bool {
        like(&self.folded, folded)
    }

    /// The text before the first `*`, folded, and whether that is the whole pattern.
    #[must_use]
    pub fn head(&self) -> (&str, bool) {
        self.folded.split_once('*').map_or((self.folded.as_str(), true), |(head, _)| (head, false))
    }

    /// Whether every name that matches `other` also matches this pattern. May return false although that is so; never
    /// returns true if it is not.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        // A `*` in `other` stands for any text, which only a `*` in this pattern matches. As a character of its own, it
        // is also matched only by a `*`, so `like` gives the right answer.
        like(&self.text, &other.text)
    }
}

pub use crate::strict_json::fold;

/// Whether `name` matches `pattern`. It backtracks only to the last `*`, so the time is bounded by the product of the
/// lengths.
fn like(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(byte) if Some(byte) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    (p, n) = (after, from + 1);
                    star = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}
