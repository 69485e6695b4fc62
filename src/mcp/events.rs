//! Splits an event stream into its events (HTML §9.2), as they are written.

use std::string::FromUtf8Error;

/// What a stream may begin with (HTML §9.2.5). Readers ignore it.
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Splits an event stream.
#[derive(Debug, Default)]
pub struct EventSplitter {
    held: Vec<u8>,
    /// How many bytes of the stream were looked at, as far as it may begin with a byte order mark.
    begin: usize,
    /// Whether the current line has a character.
    has_line: bool,
    /// The last byte was CR: an LF after it belongs to the same line end.
    after_cr: bool,
}

impl EventSplitter {
    /// Takes a part of a stream, and returns the events that end in it.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        for &byte in bytes {
            if BOM.get(self.begin) == Some(&byte) {
                self.begin += 1;
                if self.begin < BOM.len() {
                    self.held.push(byte);
                } else {
                    self.held.clear();
                }
                continue;
            }
            self.has_line |= self.begin < BOM.len() && !self.held.is_empty();
            self.begin = BOM.len();
            let is_second = byte == b'\n' && self.after_cr;
            self.after_cr = byte == b'\r';
            self.held.push(byte);
            match byte {
                b'\n' | b'\r' if is_second => {}
                b'\n' | b'\r' => {
                    if !std::mem::take(&mut self.has_line) {
                        events.push(std::mem::take(&mut self.held));
                    }
                }
                _ => self.has_line = true,
            }
        }
        events
    }

    /// How many bytes the event has that is not complete yet.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

/// The lines of an event, without their ends.
fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    event.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty())
}

/// The value of a line, if it is one of data.
fn data(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    match rest.strip_prefix(b":") {
        Some(value) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        None => rest.is_empty().then_some(rest),
    }
}

/// The data of an event; `None` if it has none.
///
/// # Errors
/// An error if it is not UTF-8: readers put other characters in place of what is not.
pub fn data_of(event: &[u8]) -> Result<Option<String>, FromUtf8Error> {
    let parts: Vec<&[u8]> = lines(event).filter_map(data).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    String::from_utf8(parts.join(&b'\n')).map(Some)
}

/// The same event with other data, which is one line.
#[must_use]
pub fn with_data(event: &[u8], text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(event.len() + text.len());
    for line in lines(event).filter(|line| data(line).is_none()) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend_from_slice(format!("data: {text}\n\n").as_bytes());
    out
}
