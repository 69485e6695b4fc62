//! Event streams (HTML §9.2), with the lists in their events filtered as they stream by. Lines may end in CR, LF or both,
//! and chunks anywhere; what is written has LF.

use crate::limits::EVENT_LINE_BYTES;
use crate::mcp::list_filter::{Edits, Judge, ListFilter, Unfit};

/// What an `endpoint` event says instead (2024-11-05).
pub type Rewrite = Box<dyn Fn(&str) -> Option<String>>;

/// Filters an event stream.
pub struct SseFilter<J> {
    json: Option<ListFilter<J>>,
    /// What becomes of the `endpoint` event of the transport of 2024-11-05; elsewhere there is none.
    endpoint: Option<Rewrite>,
    line: Line,
    /// The last byte was CR: an LF after it belongs to it.
    after_cr: bool,
    /// How much of a byte order mark was seen at the very beginning; nothing once that is past.
    bom: Option<usize>,
    event: Event,
}

/// The line that is being read.
#[derive(Debug, Default)]
enum Line {
    /// The name of its field, so far.
    #[default]
    Start,
    Name(Vec<u8>),
    /// `data:`, and whether its first byte is still to come.
    Data {
        first: bool,
    },
    /// Another field, or a comment.
    Other(Vec<u8>),
}

/// The event that is being read.
#[derive(Debug, Default)]
struct Event {
    data: Data,
    /// Fields that came while its data was being written.
    fields: Vec<u8>,
    /// Its type.
    name: Option<String>,
    /// It has a line of data, were it an empty one.
    has_data: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Data {
    /// None so far, or white space alone.
    #[default]
    None,
    /// JSON, filtered and written.
    Json,
    /// Something else, held until the event's type is known.
    Text(Vec<u8>),
}

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

impl<J: Judge> SseFilter<J> {
    /// A filter at the beginning of a stream.
    pub fn new(judge: J, endpoint: Option<Rewrite>) -> Self {
        Self {
            json: Some(ListFilter::new(judge, Edits::default())),
            endpoint,
            line: Line::Start,
            after_cr: false,
            bom: Some(0),
            event: Event::default(),
        }
    }

    /// Takes bytes and writes what may go on.
    ///
    /// # Errors
    /// [`Unfit`]: then nothing more may go on.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        for &byte in bytes {
            if let Some(seen) = self.bom {
                if BOM.get(seen) == Some(&byte) {
                    self.bom = Some(seen + 1).filter(|seen| *seen < BOM.len());
                    continue;
                }
                self.bom = None;
                if seen > 0 {
                    return Err(Unfit::NotJson);
                }
            }
            let follows_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if follows_cr => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    self.line_ended(out)?;
                }
                _ => self.byte(byte, out)?,
            }
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match &mut self.line {
            Line::Start if byte == b':' => self.line = Line::Other(vec![byte]),
            Line::Start => self.line = Line::Name(vec![byte]),
            Line::Name(name) if byte == b':' => {
                let name = std::mem::take(name);
                self.line = if name == b"data" {
                    self.next_data_line(out)?;
                    Line::Data { first: true }
                } else {
                    Line::Other([name.as_slice(), b":"].concat())
                };
            }
            Line::Name(text) | Line::Other(text) => {
                if text.len() >= EVENT_LINE_BYTES {
                    return Err(Unfit::TooLarge);
                }
                text.push(byte);
            }
            Line::Data { first } => {
                // One space after the colon is not part of the value.
                if !(std::mem::take(first) && byte == b' ') {
                    self.data(byte, out)?;
                }
            }
        }
        Ok(())
    }

    /// Lines of data are joined with LF.
    fn next_data_line(&mut self, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.event.has_data = true;
        match self.event.data {
            Data::None => Ok(()),
            Data::Json | Data::Text(_) => self.data(b'\n', out),
        }
    }

    fn data(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match &mut self.event.data {
            Data::None if matches!(byte, b' ' | b'\t') => {}
            Data::None if matches!(byte, b'{' | b'[') => {
                self.event.data = Data::Json;
                out.extend_from_slice(b"data: ");
                self.json(&[byte], out)?;
            }
            Data::None => self.event.data = Data::Text(vec![byte]),
            Data::Json => self.json(&[byte], out)?,
            Data::Text(text) => {
                if text.len() >= EVENT_LINE_BYTES {
                    return Err(Unfit::TooLarge);
                }
                text.push(byte);
            }
        }
        Ok(())
    }

    fn json(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.json.as_mut().ok_or(Unfit::NotJson)?.push(bytes, out)
    }

    fn line_ended(&mut self, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match std::mem::take(&mut self.line) {
            Line::Start => return self.event_ended(out),
            Line::Data { .. } => {}
            Line::Name(name) if name == b"data" => self.next_data_line(out)?,
            Line::Name(line) | Line::Other(line) => {
                if let Some(rest) = line.strip_prefix(b"event:") {
                    let name = String::from_utf8_lossy(rest.strip_prefix(b" ").unwrap_or(rest)).into_owned();
                    self.event.name = Some(name);
                }
                // A line must not begin in the middle of data that is being written.
                let into = if self.event.data == Data::Json { &mut self.event.fields } else { &mut *out };
                if into.len() > EVENT_LINE_BYTES && self.event.data == Data::Json {
                    return Err(Unfit::TooLarge);
                }
                into.extend_from_slice(&line);
                into.push(b'\n');
            }
        }
        Ok(())
    }

    fn event_ended(&mut self, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let event = std::mem::take(&mut self.event);
        match event.data {
            // As servers begin streams that can be resumed.
            Data::None if event.has_data => out.extend_from_slice(b"data:\n"),
            Data::None => {}
            Data::Json => {
                let mut json = self.json.take().ok_or(Unfit::NotJson)?;
                json.finish(out)?;
                self.json = Some(json.again());
                out.push(b'\n');
                out.extend_from_slice(&event.fields);
            }
            Data::Text(text) => {
                let text = String::from_utf8(text).map_err(|_| Unfit::NotJson)?;
                let text = match &self.endpoint {
                    Some(rewrite) if event.name.as_deref() == Some("endpoint") => rewrite(&text).ok_or(Unfit::Item)?,
                    _ => text,
                };
                for line in text.split('\n') {
                    out.extend_from_slice(b"data: ");
                    out.extend_from_slice(line.as_bytes());
                    out.push(b'\n');
                }
            }
        }
        out.push(b'\n');
        Ok(())
    }
}
