//! Holds the body of an answer to guards and bounds, message by message.

use serde_json::{Value, json};

use crate::content::bound::{Bounds, SchemaMode};
use crate::content::fault::Fault;
use crate::content::finder::Match;
use crate::content::guard::{Direction, Looking};
use crate::content::report::{Found, Report};
use crate::content::scanner::{Counts, Scanner, noted};
use crate::content::text::Window;
use crate::content::utf8::Utf8;
use crate::limits::{EVENT_LINE_BYTES, HELD_RESULT_BYTES, SKIPPED_RESULT_BYTES};
use crate::mcp::envelope::{RequestId, error_body};
use crate::mcp::era::Era;
use crate::mcp::list_item::ListError;
use crate::strict_json;

/// Looks at a message with a result, and says what in it does not fit the schema of its tool.
pub type SchemaCheck = Box<dyn Fn(&[u8]) -> Option<Fault>>;

/// What applies to an answer.
pub struct ResultCheck {
    /// The guards that look at it.
    pub looking: Option<Looking>,
    /// Its bounds.
    pub bounds: Bounds,
    /// Whether it fits the schema of its tool, if that is to be checked.
    pub schema: Option<SchemaCheck>,
    /// How a message is answered that does not pass.
    pub answers: Answers,
}

impl ResultCheck {
    /// Whether it looks at anything.
    #[must_use]
    pub fn looks(&self) -> bool {
        self.looking.is_some() || self.bounds.holds_results() || self.schema.is_some()
    }
}

/// How a message of a server is answered that does not pass.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The ids of the requests that it answers; none for a stream that a client opened to listen.
    pub ids: Vec<RequestId>,
    /// Whether it is the answer to one call of a tool.
    pub is_tool: bool,
    /// The era of the client.
    pub era: Era,
    /// The id of the request in the log.
    pub request: String,
}

impl Answers {
    /// The answer in place of one that does not pass.
    fn one(&self, id: &RequestId, fault: &Fault) -> String {
        let words = fault.words(Direction::Results);
        if self.is_tool {
            return refused_call(id, self.era, &words);
        }
        let code = if matches!(fault, Fault::Found(_) | Fault::Denied(_)) { 403 } else { 502 };
        error_body(id, code, &words, &self.request)
    }

    /// The body in place of one that does not pass.
    #[must_use]
    pub fn body(&self, fault: &Fault) -> Vec<u8> {
        let bodies: Vec<String> = self.ids.iter().map(|id| self.one(id, fault)).collect();
        match bodies.as_slice() {
            [] => Vec::new(),
            [one] => one.clone().into_bytes(),
            several => format!("[{}]", several.join(",")).into_bytes(),
        }
    }

    fn event_for(&self, id: &RequestId, fault: &Fault) -> String {
        format!("event: message\ndata: {}\n\n", self.one(id, fault))
    }

    /// The events for all requests that are answered.
    #[must_use]
    pub fn events(&self, fault: &Fault) -> Vec<u8> {
        self.ids.iter().map(|id| self.event_for(id, fault)).collect::<String>().into_bytes()
    }

    /// Whether a message responds to one of the requests.
    #[must_use]
    pub fn is_response(&self, message: &[u8]) -> bool {
        let Ok(Value::Object(members)) = strict_json::parse(message) else { return false };
        let id = members.get("id").and_then(RequestId::read);
        !members.contains_key("method") && id.is_some_and(|id| self.ids.contains(&id))
    }

    /// The event in place of one with a message that does not pass; nothing in place of a request or a notification.
    #[must_use]
    pub fn event(&self, message: &[u8], fault: &Fault) -> Vec<u8> {
        let Ok(Value::Object(members)) = strict_json::parse(message) else { return self.events(fault) };
        if members.contains_key("method") {
            return Vec::new();
        }
        let id = members.get("id").and_then(RequestId::read);
        id.map_or_else(|| self.events(fault), |id| self.event_for(&id, fault).into_bytes())
    }
}

impl std::fmt::Debug for ResultCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResultCheck")
    }
}

/// What happened to a message, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// What guards found.
    pub found: Vec<Found>,
    /// Why it did not pass, or would not if that were enforced.
    pub fault: Option<Fault>,
    /// Whether it did not pass.
    pub is_held_back: bool,
}

/// What a body consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One JSON document.
    Json,
    /// An event stream.
    Events,
    /// Something else.
    Text,
}

/// The line of an event stream that is being read.
#[derive(Debug)]
enum Line {
    /// The name of its field, so far.
    Name(Vec<u8>),
    /// Data; `first` says that the first byte is still to come.
    Data { first: bool },
    /// Something else.
    Other,
}

/// What the data of an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    None,
    Json,
    Other,
}

/// Holds a body to guards and bounds.
pub struct ContentFilter {
    check: ResultCheck,
    shape: Shape,
    utf8: Utf8,
    scanner: Scanner,
    window: Window,
    report: Report,
    /// What passes of the message, which is held until its end if something has to be known of the whole.
    held: Vec<u8>,
    /// The message as it came, for its schema.
    original: Vec<u8>,
    /// Bytes of the message so far.
    bytes: u64,
    is_begun: bool,
    line: Line,
    after_cr: bool,
    bom: Option<usize>,
    /// Whether an event or a line has begun.
    is_open: bool,
    data: Data,
    /// A line of data that is no message, so far.
    text_line: Vec<u8>,
    noted: Vec<Noted>,
}

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

impl ContentFilter {
    /// A filter at the beginning of a body.
    #[must_use]
    pub fn new(check: ResultCheck, shape: Shape) -> Self {
        Self {
            scanner: Scanner::new(Direction::Results, check.looking.clone()),
            check,
            shape,
            utf8: Utf8::default(),
            window: Window::default(),
            report: Report::default(),
            held: Vec::new(),
            original: Vec::new(),
            bytes: 0,
            is_begun: false,
            line: Line::Name(Vec::new()),
            after_cr: false,
            bom: Some(0),
            is_open: false,
            data: Data::None,
            text_line: Vec::new(),
            noted: Vec::new(),
        }
    }

    /// Whether nothing of a message passes before its end.
    fn holds(&self) -> bool {
        let ResultCheck { looking, bounds, schema, .. } = &self.check;
        // What is only observed must not depend on the size of a result.
        let enforces_schema = schema.is_some() && bounds.schema == Some(SchemaMode::Enforce);
        bounds.holds_results() || enforces_schema || looking.as_ref().is_some_and(Looking::denies)
    }

    fn most_bytes(&self) -> u64 {
        self.check.bounds.response_bytes.unwrap_or(HELD_RESULT_BYTES as u64)
    }

    fn is_too_large(&self) -> bool {
        self.holds() && self.bytes > self.most_bytes()
    }

    /// What happened since the last call, for the log.
    pub fn take_noted(&mut self) -> Vec<Noted> {
        std::mem::take(&mut self.noted)
    }

    /// Whether the body is an event stream.
    #[must_use]
    pub fn is_of_events(&self) -> bool {
        self.shape == Shape::Events
    }

    /// What ends an event of which a part was sent.
    #[must_use]
    pub fn broken_off(&self) -> &'static [u8] {
        if self.shape == Shape::Events && !self.holds() && self.is_open { b"\n\n" } else { b"" }
    }

    /// Takes a part of the body, and writes what passes.
    ///
    /// # Errors
    /// [`ListError`] if it cannot be read.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ListError> {
        self.is_begun |= !bytes.is_empty();
        // A text with an error status is no message.
        if self.shape != Shape::Text && !self.utf8.push(bytes) {
            return Err(ListError::NotJson);
        }
        match self.shape {
            Shape::Json => self.message(bytes)?,
            Shape::Text => {
                self.bytes += bytes.len() as u64;
                for part in bytes.chunks(crate::limits::GUARD_WINDOW_BYTES) {
                    self.window.plain(part);
                    self.pass_text(false);
                }
            }
            Shape::Events => self.events(bytes, out)?,
        }
        if self.is_too_large() {
            self.held.clear();
            self.original.clear();
            if self.bytes > self.most_bytes() + SKIPPED_RESULT_BYTES as u64 {
                return Err(ListError::TooLarge);
            }
        }
        // Lines of an event that are no data of a message count too.
        let most = usize::try_from(self.most_bytes()).unwrap_or(usize::MAX);
        if self.holds() && self.held.len() > most.saturating_add(EVENT_LINE_BYTES) {
            return Err(ListError::TooLarge);
        }
        if !self.holds() {
            out.append(&mut self.held);
        }
        Ok(())
    }

    /// Takes the end of the body, and writes what is left of it.
    ///
    /// # Errors
    /// [`ListError`] if it is not complete.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ListError> {
        match self.shape {
            Shape::Json if !self.is_begun => {}
            Shape::Json if !self.utf8.is_complete() => return Err(ListError::NotJson),
            Shape::Json => {
                self.scanner.finish(&mut self.held)?;
                if let Some(fault) = self.message_ended() {
                    self.held = self.check.answers.body(&fault);
                }
            }
            Shape::Text => {
                self.pass_text(true);
                let fault = self.fault(self.report.denied(), Counts::default());
                let report = std::mem::take(&mut self.report);
                self.note(&report, fault.clone(), fault.is_some());
                if fault.is_some() {
                    self.held.clear();
                }
            }
            // An event that is not complete is no event.
            Shape::Events => self.held.clear(),
        }
        out.append(&mut self.held);
        Ok(())
    }

    fn pass_text(&mut self, is_end: bool) {
        let Self { check, window, report, held, .. } = self;
        match &check.looking {
            Some(looking) => {
                let mut mask = |found: &Match| noted(looking, report, (found.category, found.form));
                window.pass(&looking.finders, is_end, &mut mask, held);
            }
            None => window.pass_all(held),
        }
    }

    /// Takes a part of a message.
    fn message(&mut self, bytes: &[u8]) -> Result<(), ListError> {
        self.bytes += bytes.len() as u64;
        if self.check.schema.is_some() && self.bytes <= self.most_bytes() {
            self.original.extend_from_slice(bytes);
        }
        self.scanner.push(bytes, &mut self.held)
    }

    /// The first reason why the message does not pass.
    fn fault(&self, denied: Option<crate::content::finder::Category>, counts: Counts) -> Option<Fault> {
        let large = self.is_too_large().then(|| Fault::TooLarge(self.most_bytes()));
        large.or_else(|| denied.map(Fault::Found)).or_else(|| Fault::of_counts(&self.check.bounds, counts))
    }

    /// Ends a message. Why it does not pass, if it does not.
    fn message_ended(&mut self) -> Option<Fault> {
        let (denied, counts) = (self.scanner.report().denied(), self.scanner.counts());
        let fault = self.fault(denied, counts);
        let original = std::mem::take(&mut self.original);
        let is_whole = self.bytes <= self.most_bytes();
        let schema = self.check.schema.as_ref().filter(|_| is_whole);
        let fault = fault.or_else(|| schema.and_then(|check| check(&original)));
        let is_held_back = fault.as_ref().is_some_and(|fault| fault.is_enforced(self.check.bounds.schema));
        let report = self.scanner.report().clone();
        self.note(&report, fault.clone(), is_held_back);
        self.bytes = 0;
        fault.filter(|_| is_held_back)
    }

    fn note(&mut self, report: &Report, fault: Option<Fault>, is_held_back: bool) {
        if fault.is_some() || !report.found().is_empty() {
            self.noted.push(Noted { found: report.found().to_vec(), fault, is_held_back });
        }
    }

    fn events(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ListError> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if let Some(seen) = self.bom {
                if BOM.get(seen) == Some(&byte) {
                    self.bom = Some(seen + 1).filter(|seen| *seen < BOM.len());
                    rest = after;
                    continue;
                }
                self.bom = None;
                if seen > 0 {
                    return Err(ListError::NotJson);
                }
            }
            if matches!(byte, b'\n' | b'\r') {
                rest = after;
                let is_second = byte == b'\n' && std::mem::take(&mut self.after_cr);
                self.after_cr = byte == b'\r';
                if is_second {
                    // It belongs to the same line end. If that ended an event, it has passed.
                    if self.held.is_empty() {
                        out.push(byte);
                    } else {
                        self.held.push(byte);
                    }
                } else {
                    self.line_ended(byte, out)?;
                }
                continue;
            }
            self.after_cr = false;
            self.is_open = true;
            let run = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
            let (part, left) = rest.split_at(run);
            rest = self.of_line(part)?.map_or(left, |used| rest.get(used..).unwrap_or_default());
        }
        Ok(())
    }

    /// Takes a part of a line; how much of it, if not all.
    fn of_line(&mut self, part: &[u8]) -> Result<Option<usize>, ListError> {
        match &mut self.line {
            Line::Name(name) => {
                let colon = part.iter().position(|byte| *byte == b':');
                let used = colon.map_or(part.len(), |colon| colon + 1);
                if name.len() + used > EVENT_LINE_BYTES {
                    return Err(ListError::TooLarge);
                }
                name.extend_from_slice(part.get(..colon.unwrap_or(used)).unwrap_or_default());
                if colon.is_some() {
                    let is_data = name == b"data";
                    self.held.append(name);
                    self.held.push(b':');
                    self.line = if is_data { Line::Data { first: true } } else { Line::Other };
                }
                Ok(Some(used))
            }
            Line::Other => {
                if !self.is_too_large() {
                    self.held.extend_from_slice(part);
                }
                if self.held.len() > EVENT_LINE_BYTES + usize::try_from(self.most_bytes()).unwrap_or(usize::MAX) {
                    return Err(ListError::TooLarge);
                }
                Ok(None)
            }
            Line::Data { first } => {
                let space = usize::from(std::mem::take(first) && part.first() == Some(&b' '));
                let value = part.get(space..).unwrap_or_default();
                if space > 0 {
                    self.held.push(b' ');
                }
                if self.data == Data::None {
                    let begins = value.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
                    self.data = match begins {
                        None => Data::None,
                        Some(b'{' | b'[') => Data::Json,
                        Some(byte) if byte.is_ascii_graphic() => Data::Other,
                        // Some readers trim more than white space.
                        Some(_) => return Err(ListError::NotJson),
                    };
                }
                match self.data {
                    Data::Json => {
                        // White space that came alone in earlier parts of the line.
                        let before = std::mem::take(&mut self.text_line);
                        self.message(&before)?;
                        self.message(value)?;
                    }
                    Data::None | Data::Other if self.text_line.len() + value.len() > EVENT_LINE_BYTES => {
                        return Err(ListError::TooLarge);
                    }
                    Data::None | Data::Other => self.text_line.extend_from_slice(value),
                }
                Ok(None)
            }
        }
    }

    fn line_ended(&mut self, end: u8, out: &mut Vec<u8>) -> Result<(), ListError> {
        let is_empty = matches!(&self.line, Line::Name(name) if name.is_empty());
        if let Line::Name(name) = &mut self.line {
            self.held.append(name);
        }
        match self.data {
            Data::Json => self.scanner.line_ended(&mut self.held)?,
            Data::Other => self.pass_line(),
            Data::None => self.held.append(&mut self.text_line),
        }
        self.line = Line::Name(Vec::new());
        self.held.push(end);
        if !is_empty {
            return Ok(());
        }
        if self.data == Data::Json {
            self.scanner.finish(&mut self.held)?;
            if let Some(fault) = self.message_ended() {
                self.held = self.instead_of_event(&fault);
            }
            let _used = self.scanner.take();
        }
        (self.data, self.bytes, self.is_open) = (Data::None, 0, false);
        out.append(&mut self.held);
        Ok(())
    }

    /// Lets a line of data pass that is no message. Readers may take it for a text nevertheless.
    fn pass_line(&mut self) {
        let line = std::mem::take(&mut self.text_line);
        self.window.begin();
        self.window.plain(&line);
        self.pass_text(true);
        let fault = self.report.denied().map(Fault::Found);
        let report = std::mem::take(&mut self.report);
        self.note(&report, fault.clone(), fault.is_some());
        if fault.is_some() {
            self.held.clear();
        }
    }

    /// The event in place of one that does not pass; nothing in place of a request or a notification.
    fn instead_of_event(&self, fault: &Fault) -> Vec<u8> {
        // A batch answers some of the requests, and so may a response whose id cannot be read.
        if self.scanner.answers_unknown() {
            return self.check.answers.events(fault);
        }
        let id = strict_json::parse(self.scanner.answered()).ok();
        let answers = |id: RequestId| self.check.answers.event_for(&id, fault).into_bytes();
        id.as_ref().and_then(RequestId::read).map(answers).unwrap_or_default()
    }
}

/// The result of a call of a tool that failed, for a model to read.
#[must_use]
pub fn refused_call(id: &RequestId, era: Era, words: &str) -> String {
    let id: Value = strict_json::parse(id.to_json().as_bytes()).unwrap_or(Value::Null);
    let content = json!([{ "type": "text", "text": words }]);
    let result = match era {
        Era::Modern => json!({ "resultType": "complete", "content": content, "isError": true }),
        Era::Legacy => json!({ "content": content, "isError": true }),
    };
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}
