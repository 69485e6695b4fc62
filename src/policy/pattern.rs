//! Patterns of names and URIs: `*` stands for any characters, everything else for itself.

/// Longest pattern in bytes: it is configuration, and this bounds what matching one costs.
const PATTERN_BYTES: usize = 512;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    folded: String,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A description where it is empty, too long, or no name can be like it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > PATTERN_BYTES {
            return Err(format!("must be 1 to {PATTERN_BYTES} bytes"));
        }
        if text.trim() != text || text.chars().any(char::is_control) {
            return Err(format!("must not begin or end with a space, or hold control characters, got {text:?}"));
        }
        Ok(Self { text: text.to_owned(), folded: fold(text) })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a name is exactly of this form.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        like(&self.text, name)
    }

    /// Whether a name, folded, is of this form for a server that ignores case.
    #[must_use]
    pub fn matches_folded(&self, folded: &str) -> bool {
        like(&self.folded, folded)
    }

    /// The text before the first `*`, folded, and whether that is all of it.
    #[must_use]
    pub fn head(&self) -> (&str, bool) {
        self.folded.split_once('*').map_or((self.folded.as_str(), true), |(head, _)| (head, false))
    }

    /// Whether every name of `other`'s form is of this form. May say no where it is so; never yes where it is not.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        // A `*` of the other stands for texts that only a `*` here takes whatever they are, so as a character of its own
        // it is matched by nothing but that.
        like(&self.text, &other.text)
    }
}

pub use crate::strict_json::fold;

/// Whether `name` is of the form of `pattern`. Goes back to the last `*` alone, so the time is bounded by the product of
/// the lengths.
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
