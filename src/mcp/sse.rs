//! Event streams (HTML §9.2), whose lists are filtered as they stream through the gateway. Lines may end in CR, LF or
//! both, and chunks may end anywhere; the output has LF.

use crate::limits::{EVENT_LINE_BYTES, LIST_HEAD_BYTES, SERVER_REQUEST_BYTES};
use crate::mcp::envelope::{RequestId, error_body};
use crate::mcp::list_filter::ListFilter;
use crate::mcp::list_item::{ItemPolicy, ListError};
use crate::mcp::outline::answered_id;

/// Rewrites a text of an event: the address in an `endpoint` event (2024-11-05), or the id of an event.
pub type Rewrite = Box<dyn Fn(&str) -> Option<String>>;

/// What a client gets of a request or a notification of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMessage {
    /// The message as it is.
    Pass,
    /// Nothing.
    Drop,
    /// This message.
    Instead(Vec<u8>),
}

/// Decides about the requests and notifications of a server.
pub trait ServerMessages {
    /// What the client gets of a message.
    fn message(&self, text: &[u8]) -> ServerMessage;
}

/// Filters an event stream.
pub struct SseFilter<J> {
    /// Filters JSON data; `None` if data passes unchanged.
    json: Option<ListFilter<J>>,
    /// Rewrites the `endpoint` event of the transport of 2024-11-05; `None` where there is none to rewrite.
    endpoint: Option<Rewrite>,
    /// Rewrites the ids of events.
    id: Option<Rewrite>,
    /// Decides about requests and notifications; `None` if all of them pass.
    messages: Option<Box<dyn ServerMessages>>,
    /// The id in the log of a request whose stream goes on after an event that cannot be filtered.
    skips: Option<String>,
    /// Whether only handles are rewritten in messages: an event that is no message passes as it is.
    is_lenient: bool,
    /// Why an event was left out.
    unfit: Option<ListError>,
    line: Line,
    /// The last byte was CR: an LF after it belongs to the same line end.
    after_cr: bool,
    /// How many bytes of a byte order mark were seen at the very beginning; `None` after that.
    bom: Option<usize>,
    event: Event,
}

/// The line that is being read.
#[derive(Debug, Default)]
enum Line {
    /// Nothing was read yet.
    #[default]
    Start,
    /// The name of its field, so far.
    Name(Vec<u8>),
    /// A `data` field; `first` says that the first byte of its value is still to come.
    Data { first: bool },
    /// Another field, or a comment.
    Other(Vec<u8>),
}

/// The event that is being read.
#[derive(Debug, Default)]
struct Event {
    data: Data,
    /// Fields that arrived while its data was being written.
    fields: Vec<u8>,
    /// Its type.
    name: Option<String>,
    /// Whether it has a line of data, even an empty one.
    has_data: bool,
    /// Its output so far. It is held until the event ends, so that an event that breaks off is not sent at all; a large
    /// event is sent in parts.
    held: Vec<u8>,
    /// Where its data begins in that output.
    data_at: usize,
    /// Whether a part of it was sent.
    begun: bool,
    /// Its data as it arrived, unless a part of it was sent or it is too large to look for its id.
    raw: Raw,
}

#[derive(Debug)]
enum Raw {
    Kept(Vec<u8>),
    TooMuch,
}

impl Default for Raw {
    fn default() -> Self {
        Self::Kept(Vec::new())
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Data {
    /// None so far, or only white space.
    #[default]
    None,
    /// JSON, filtered and written.
    Json,
    /// JSON that passes unchanged.
    Raw,
    /// It is left out.
    Skipped,
    /// Something else, held until the type of the event is known.
    Text(Vec<u8>),
}

/// The code and message of the error for a response of the origin server that cannot be filtered. The code is the
/// status that a response outside a stream gets: 502.
pub const UNFIT: (i32, &str) = (502, "The server behind the gateway failed.");

/// An event that answers a request with the error for a response that cannot be filtered.
#[must_use]
pub fn error_event(id: &RequestId, request: &str) -> String {
    format!("event: message\ndata: {}\n\n", error_body(id, UNFIT.0, UNFIT.1, request))
}

/// The code and message of the error for a response that is not complete in time. The code is the status that it would have had before
/// its beginning: 504.
const LATE: (i32, &str) = (504, "The server behind the gateway did not answer in time.");

/// An event that answers a request with the error for a response that is not complete in time.
#[must_use]
pub fn late_event(id: &RequestId, request: &str) -> String {
    format!("event: message\ndata: {}\n\n", error_body(id, LATE.0, LATE.1, request))
}

/// What precedes the data of an event in the output.
const DATA: &[u8] = b"data: ";

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

impl<J: ItemPolicy> SseFilter<J> {
    /// A filter at the beginning of a stream. `lists` filters the lists in it, if there is something to filter.
    pub fn new(lists: Option<ListFilter<J>>, endpoint: Option<Rewrite>, id: Option<Rewrite>) -> Self {
        Self {
            is_lenient: lists.as_ref().is_some_and(ListFilter::is_lenient),
            json: lists,
            skips: None,
            unfit: None,
            endpoint,
            id,
            messages: None,
            line: Line::Start,
            after_cr: false,
            bom: Some(0),
            event: Event::default(),
        }
    }

    /// The same filter, for a stream whose events answer requests that were sent elsewhere. It leaves out an event that
    /// cannot be filtered and, if it can read the event's id, sends an error instead. `request` is the id in the log of
    /// the request that opened the stream.
    #[must_use]
    pub fn skipping_unfit(self, request: &str) -> Self {
        Self { skips: Some(request.to_owned()), ..self }
    }

    /// The same filter, which decides about requests and notifications.
    #[must_use]
    pub fn with_messages(self, messages: Option<Box<dyn ServerMessages>>) -> Self {
        Self { messages, ..self }
    }

    /// Whether the event has to be held although it is large: the client does not get it as it is.
    fn holds(&self) -> bool {
        self.messages.is_some() && self.json.as_ref().is_some_and(ListFilter::is_request)
    }

    /// Why an event was left out, if one was.
    #[must_use]
    pub fn unfit(&self) -> Option<ListError> {
        self.unfit
    }

    /// How many items were left out of lists because their names cannot be read unambiguously.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.json.as_ref().map_or(0, ListFilter::unreadable)
    }

    /// Whether only certain responses pass.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.json.as_ref().is_some_and(ListFilter::is_strict)
    }

    /// What ends an event of which a part was sent, so that no client reads it as a message; empty if there is none.
    #[must_use]
    pub fn broken_off(&self) -> &'static [u8] {
        match (self.event.begun, self.is_strict()) {
            (false, _) => b"",
            (true, false) => b"\n\n",
            (true, true) => b"\ndata: broken off\n\n",
        }
    }

    /// Takes bytes, and writes those that may pass.
    ///
    /// # Errors
    /// [`ListError`]; nothing more may pass after it. What was written before consists of whole events, unless a part
    /// of the last event was sent already.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ListError> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if self.event.held.len() > SERVER_REQUEST_BYTES {
                return Err(ListError::TooLarge);
            }
            if self.event.held.len() > LIST_HEAD_BYTES && !self.holds() {
                out.append(&mut self.event.held);
                self.event.begun = true;
                self.event.raw = Raw::TooMuch;
            }
            let run = self.run(rest);
            if !run.is_empty() {
                self.after_cr = false;
                self.json(run)?;
                rest = rest.get(run.len()..).unwrap_or_default();
                continue;
            }
            rest = after;
            if let Some(seen) = self.bom {
                if BOM.get(seen) == Some(&byte) {
                    self.bom = Some(seen + 1).filter(|seen| *seen < BOM.len());
                    continue;
                }
                self.bom = None;
                if seen > 0 {
                    return Err(ListError::NotJson);
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

    /// The bytes up to the end of the line, if they are data of JSON of which nothing has to be kept.
    fn run<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let is_within = matches!(self.line, Line::Data { first: false }) && self.event.data == Data::Json;
        if !is_within || self.bom.is_some() || self.keeps_raw() {
            return &[];
        }
        // A part of it, so that not more than that is held.
        let bytes = bytes.get(..LIST_HEAD_BYTES).unwrap_or(bytes);
        let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
        bytes.get(..end).unwrap_or_default()
    }

    /// Whether the data of an event is kept as it arrived, in case it cannot be filtered.
    fn keeps_raw(&self) -> bool {
        (self.skips.is_some() || self.is_lenient)
            && self.json.is_some()
            && !self.event.begun
            && matches!(self.event.raw, Raw::Kept(_))
    }

    fn byte(&mut self, byte: u8) -> Result<(), ListError> {
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
                    return Err(ListError::TooLarge);
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
    fn next_data_line(&mut self) -> Result<(), ListError> {
        self.event.has_data = true;
        match self.event.data {
            Data::None => Ok(()),
            Data::Json | Data::Text(_) | Data::Skipped => self.data(b'\n'),
            Data::Raw => {
                self.event.held.extend_from_slice(b"\ndata: ");
                Ok(())
            }
        }
    }

    fn data(&mut self, byte: u8) -> Result<(), ListError> {
        if self.keeps_raw() {
            match &mut self.event.raw {
                Raw::Kept(raw) if raw.len() <= LIST_HEAD_BYTES => raw.push(byte),
                raw => *raw = Raw::TooMuch,
            }
        }
        match self.filtered_data(byte) {
            Err(_) if self.can_pass() && self.event.data == Data::Json => {
                self.pass_unread();
                Ok(())
            }
            Err(unfit) if self.can_skip() && self.event.data == Data::Json => {
                self.unfit = Some(unfit);
                self.json = self.json.take().map(ListFilter::again);
                self.event.held = Vec::new();
                self.event.data = Data::Skipped;
                Ok(())
            }
            other => other,
        }
    }

    /// Whether an event that is no message can pass as it arrived: no reader finds a handle in it.
    fn can_pass(&self) -> bool {
        self.is_lenient && !self.event.begun && matches!(self.event.raw, Raw::Kept(_))
    }

    /// Lets the event pass as it arrived.
    fn pass_unread(&mut self) {
        self.json = self.json.take().map(ListFilter::again);
        let Raw::Kept(raw) = std::mem::replace(&mut self.event.raw, Raw::TooMuch) else { return };
        self.event.held.truncate(self.event.data_at);
        self.event.held.extend_from_slice(DATA);
        for byte in raw {
            match byte {
                b'\n' => self.event.held.extend_from_slice(b"\ndata: "),
                _ => self.event.held.push(byte),
            }
        }
        self.event.data = Data::Raw;
    }

    /// Whether an event can be left out: no part of it was sent, and the filter still has its data, to look for its id.
    fn can_skip(&self) -> bool {
        self.skips.is_some() && !self.event.begun && matches!(self.event.raw, Raw::Kept(_))
    }

    fn filtered_data(&mut self, byte: u8) -> Result<(), ListError> {
        match &mut self.event.data {
            Data::Skipped => {}
            Data::None if matches!(byte, b' ' | b'\t') => {}
            Data::None if matches!(byte, b'{' | b'[') => {
                self.event.data_at = self.event.held.len();
                self.event.held.extend_from_slice(DATA);
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
                    return Err(ListError::TooLarge);
                }
                text.push(byte);
            }
        }
        Ok(())
    }

    fn json(&mut self, bytes: &[u8]) -> Result<(), ListError> {
        self.json.as_mut().ok_or(ListError::NotJson)?.push(bytes, &mut self.event.held)
    }

    fn line_ended(&mut self, out: &mut Vec<u8>) -> Result<(), ListError> {
        match std::mem::take(&mut self.line) {
            Line::Start => return self.event_ended(out),
            Line::Data { .. } => {}
            Line::Name(name) if name == b"data" => self.next_data_line()?,
            Line::Name(line) | Line::Other(line) => {
                let value = |name: &[u8]| {
                    let rest = line.strip_prefix(name)?;
                    Some(String::from_utf8_lossy(rest.strip_prefix(b" ").unwrap_or(rest)).into_owned())
                };
                // It would be for the streams of all servers.
                if self.messages.is_some() && line.starts_with(b"retry:") {
                    return Ok(());
                }
                if let Some(name) = value(b"event:") {
                    self.event.name = Some(name);
                }
                let line = match (&self.id, value(b"id:")) {
                    // An empty id resets the last event id, and an id with NUL is ignored (HTML §9.2.6).
                    (Some(rewrite), Some(id)) if !id.is_empty() && !id.contains('\0') => {
                        format!("id: {}", rewrite(&id).ok_or(ListError::TooLarge)?).into_bytes()
                    }
                    _ => line,
                };
                // A line must not begin inside data that is being written.
                let within = matches!(self.event.data, Data::Json | Data::Raw | Data::Skipped);
                let into = if within { &mut self.event.fields } else { &mut self.event.held };
                if into.len() > EVENT_LINE_BYTES && within {
                    return Err(ListError::TooLarge);
                }
                into.extend_from_slice(&line);
                into.push(b'\n');
            }
        }
        Ok(())
    }

    fn event_ended(&mut self, out: &mut Vec<u8>) -> Result<(), ListError> {
        let begun = self.event.begun;
        let ended = self.end_event(out);
        // If the event failed, the part that was sent has no end.
        self.event.begun = begun && ended.is_err();
        ended
    }

    fn is_foreign(&self) -> bool {
        self.json.as_ref().is_some_and(ListFilter::is_foreign)
    }

    /// Puts in place of a request or notification what the client gets of it. Whether that is nothing.
    fn is_dropped(&mut self) -> bool {
        let Some(messages) = self.messages.as_ref().filter(|_| self.holds()) else { return false };
        let begin = self.event.data_at + DATA.len();
        match messages.message(self.event.held.get(begin..).unwrap_or_default()) {
            ServerMessage::Pass => false,
            ServerMessage::Drop => true,
            ServerMessage::Instead(text) => {
                self.event.held.truncate(begin);
                self.event.held.extend_from_slice(&text);
                false
            }
        }
    }

    fn end_event(&mut self, out: &mut Vec<u8>) -> Result<(), ListError> {
        // A part of it was sent, so that the client must not get its end.
        if self.is_strict() && self.event.begun && (self.is_foreign() || self.holds()) {
            return Err(ListError::Foreign);
        }
        if self.event.data == Data::Json && self.can_pass() {
            let mut json = self.json.take().ok_or(ListError::NotJson)?;
            let whole = json.finish(&mut Vec::new());
            self.json = Some(json);
            if whole.is_err() {
                self.pass_unread();
            }
        }
        if self.event.data == Data::Json && !self.event.begun && (self.is_dropped() || self.is_foreign()) {
            // Clients ignore it, and its handles are not for this caller.
            let mut json = self.json.take().ok_or(ListError::NotJson)?;
            let _ended = json.finish(&mut Vec::new());
            self.json = Some(json.again());
            self.event = Event::default();
            return Ok(());
        }
        let can_skip = self.can_skip();
        let Event { data, fields, name, has_data, mut held, begun, raw, .. } = std::mem::take(&mut self.event);
        let mut data = data;
        if can_skip && data == Data::Json {
            let mut json = self.json.take().ok_or(ListError::NotJson)?;
            let whole = json.finish(&mut held);
            self.json = Some(json.again());
            match whole {
                Ok(()) => data = Data::Raw,
                Err(unfit) => {
                    self.unfit = Some(unfit);
                    (data, held) = (Data::Skipped, Vec::new());
                }
            }
        }
        match data {
            Data::Skipped => {
                let id = if let Raw::Kept(raw) = raw { answered_id(&raw) } else { RequestId::unknown() };
                let answers = id.is_known() && !self.is_strict();
                let Some((id, request)) = answers.then_some(id).zip(self.skips.as_ref()) else { return Ok(()) };
                held.extend_from_slice(error_event(&id, request).as_bytes());
                out.append(&mut held);
                return Ok(());
            }
            // Servers begin streams that can be resumed with such an event.
            Data::None if has_data => held.extend_from_slice(b"data:\n"),
            Data::None => {}
            Data::Json => {
                let mut json = self.json.take().ok_or(ListError::NotJson)?;
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
                let text = String::from_utf8(text).map_err(|_| ListError::NotJson)?;
                // Some readers trim more than white space, or look at each line separately.
                let looks_like_json = |line: &str| {
                    let blank = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}';
                    line.trim_start_matches(blank).starts_with(['{', '['])
                };
                if self.json.is_some() && text.split('\n').any(looks_like_json) {
                    if begun || self.skips.is_none() {
                        return Err(ListError::NotJson);
                    }
                    self.unfit = Some(ListError::NotJson);
                    return Ok(());
                }
                let text = match &self.endpoint {
                    Some(rewrite) if name.as_deref() == Some("endpoint") => {
                        rewrite(&text).ok_or(ListError::Endpoint)?
                    }
                    _ => text,
                };
                for line in text.split('\n') {
                    held.extend_from_slice(DATA);
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
