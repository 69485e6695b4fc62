//! Event streams (HTML §9.2), with the lists in their events filtered as they stream by. Lines may end in CR, LF or both,
//! and chunks anywhere; what is written has LF.

use crate::limits::{EVENT_LINE_BYTES, LIST_HEAD_BYTES};
use crate::mcp::list_filter::{Edits, Judge, ListFilter, Unfit};

/// What a text of an event becomes: the address of an `endpoint` event (2024-11-05), or the id of an event.
pub type Rewrite = Box<dyn Fn(&str) -> Option<String>>;

/// Filters an event stream.
pub struct SseFilter<J> {
    /// Nothing where data passes as it is.
    json: Option<ListFilter<J>>,
    /// What becomes of the `endpoint` event of the transport of 2024-11-05; elsewhere there is none.
    endpoint: Option<Rewrite>,
    /// What becomes of the ids of events.
    id: Option<Rewrite>,
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
    /// What was made of it so far. It is held until the event ends, so that one that breaks off is never begun; a large one
    /// goes on in parts.
    held: Vec<u8>,
    /// A part of it went on.
    begun: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Data {
    /// None so far, or white space alone.
    #[default]
    None,
    /// JSON, filtered and written.
    Json,
    /// Passed as it comes.
    Raw,
    /// Something else, held until the event's type is known.
    Text(Vec<u8>),
}

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

impl<J: Judge> SseFilter<J> {
    /// A filter at the beginning of a stream, whose lists `judge` filters, if any.
    pub fn new(judge: Option<J>, endpoint: Option<Rewrite>, id: Option<Rewrite>) -> Self {
        Self {
            json: judge.map(|judge| ListFilter::new(judge, Edits::default())),
            endpoint,
            id,
            line: Line::Start,
            after_cr: false,
            bom: Some(0),
            event: Event::default(),
        }
    }

    /// How many items were left out of lists because their names cannot be read for certain.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.json.as_ref().map_or(0, ListFilter::unreadable)
    }

    /// Whether a part of an event went on whose end did not.
    #[must_use]
    pub fn is_within_event(&self) -> bool {
        self.event.begun
    }

    /// Takes bytes and writes what may go on.
    ///
    /// # Errors
    /// [`Unfit`]: then nothing more may go on. What was written before is whole, but for an event of which a part went on.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        for &byte in bytes {
            if self.event.held.len() > LIST_HEAD_BYTES {
                out.append(&mut self.event.held);
                self.event.begun = true;
            }
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
                _ => self.byte(byte)?,
            }
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8) -> Result<(), Unfit> {
        match &mut self.line {
            Line::Start if byte == b':' => self.line = Line::Other(vec![byte]),
            Line::Start => self.line = Line::Name(vec![byte]),
            Line::Name(name) if byte == b':' => {
                let name = std::mem::take(name);
                self.line = if name == b"data" {
                    self.next_data_line()?;
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
                    self.data(byte)?;
                }
            }
        }
        Ok(())
    }

    /// Lines of data are joined with LF.
    fn next_data_line(&mut self) -> Result<(), Unfit> {
        self.event.has_data = true;
        match self.event.data {
            Data::None => Ok(()),
            Data::Json | Data::Text(_) => self.data(b'\n'),
            Data::Raw => {
                self.event.held.extend_from_slice(b"\ndata: ");
                Ok(())
            }
        }
    }

    fn data(&mut self, byte: u8) -> Result<(), Unfit> {
        match &mut self.event.data {
            Data::None if matches!(byte, b' ' | b'\t') => {}
            Data::None if matches!(byte, b'{' | b'[') => {
                self.event.held.extend_from_slice(b"data: ");
                if self.json.is_some() {
                    self.event.data = Data::Json;
                    self.json(&[byte])?;
                } else {
                    self.event.data = Data::Raw;
                    self.event.held.push(byte);
                }
            }
            Data::None => self.event.data = Data::Text(vec![byte]),
            Data::Json => self.json(&[byte])?,
            Data::Raw => self.event.held.push(byte),
            Data::Text(text) => {
                if text.len() >= EVENT_LINE_BYTES {
                    return Err(Unfit::TooLarge);
                }
                text.push(byte);
            }
        }
        Ok(())
    }

    fn json(&mut self, bytes: &[u8]) -> Result<(), Unfit> {
        self.json.as_mut().ok_or(Unfit::NotJson)?.push(bytes, &mut self.event.held)
    }

    fn line_ended(&mut self, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match std::mem::take(&mut self.line) {
            Line::Start => return self.event_ended(out),
            Line::Data { .. } => {}
            Line::Name(name) if name == b"data" => self.next_data_line()?,
            Line::Name(line) | Line::Other(line) => {
                let value = |name: &[u8]| {
                    let rest = line.strip_prefix(name)?;
                    Some(String::from_utf8_lossy(rest.strip_prefix(b" ").unwrap_or(rest)).into_owned())
                };
                if let Some(name) = value(b"event:") {
                    self.event.name = Some(name);
                }
                let line = match (&self.id, value(b"id:")) {
                    // An empty one takes the last one back, and one with NUL is ignored (HTML §9.2.6).
                    (Some(rewrite), Some(id)) if !id.is_empty() && !id.contains('\0') => {
                        format!("id: {}", rewrite(&id).ok_or(Unfit::TooLarge)?).into_bytes()
                    }
                    _ => line,
                };
                // A line must not begin in the middle of data that is being written.
                let within = matches!(self.event.data, Data::Json | Data::Raw);
                let into = if within { &mut self.event.fields } else { &mut self.event.held };
                if into.len() > EVENT_LINE_BYTES && within {
                    return Err(Unfit::TooLarge);
                }
                into.extend_from_slice(&line);
                into.push(b'\n');
            }
        }
        Ok(())
    }

    fn event_ended(&mut self, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let Event { data, fields, name, has_data, mut held, begun: _ } = std::mem::take(&mut self.event);
        match data {
            // As servers begin streams that can be resumed.
            Data::None if has_data => held.extend_from_slice(b"data:\n"),
            Data::None => {}
            Data::Json => {
                let mut json = self.json.take().ok_or(Unfit::NotJson)?;
                json.finish(&mut held)?;
                self.json = Some(json.again());
                held.push(b'\n');
                held.extend_from_slice(&fields);
            }
            Data::Raw => {
                held.push(b'\n');
                held.extend_from_slice(&fields);
            }
            Data::Text(text) => {
                let text = String::from_utf8(text).map_err(|_| Unfit::NotJson)?;
                let text = match &self.endpoint {
                    Some(rewrite) if name.as_deref() == Some("endpoint") => rewrite(&text).ok_or(Unfit::Endpoint)?,
                    _ => text,
                };
                for line in text.split('\n') {
                    held.extend_from_slice(b"data: ");
                    held.extend_from_slice(line.as_bytes());
                    held.push(b'\n');
                }
            }
        }
        out.append(&mut held);
        out.push(b'\n');
        Ok(())
    }
}
