//! Reads a JSON message as it passes: it counts what bounds are about, and has guards look at every text in it. It does not check the
//! syntax: what is no JSON, no client reads.

use crate::content::finder::{Category, Match};
use crate::content::guard::{Action, Direction, Looking};
use crate::content::numbers::is_card;
use crate::content::report::Report;
use crate::content::text::Window;
use crate::limits::CONTENT_DEPTH;
use crate::mcp::list_item::ListError;

/// Most characters of a member's name that the scanner compares.
const NAME_CHARS: usize = 32;

/// Most characters of a number that is looked at.
const NUMBER_CHARS: usize = 24;

/// Members of a message that belong to the protocol: no model reads them, and their values have to stay as they are.
const OWN_MEMBERS: [&str; 3] = ["id", "jsonrpc", "method"];

/// The same, of `result`, `params` and `error`.
const OWN_INNER_MEMBERS: [&str; 9] = [
    "requestState",
    "nextCursor",
    "cursor",
    "resultType",
    "progressToken",
    "requestId",
    "taskId",
    "protocolVersion",
    "elicitationId",
];

/// Members of the `params` of a request that name something, or belong to the protocol. Everything else is what a caller wrote.
const NOT_OF_CALLER: [&str; 9] =
    ["name", "uri", "ref", "cursor", "taskId", "task", "requestState", "_meta", "protocolVersion"];

/// What was counted in a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The deepest nesting of the arguments or the result.
    pub depth: u64,
    /// The members and elements of the arguments or the result, at all levels.
    pub items: u64,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    is_object: bool,
    /// Whether the next text is the name of a member.
    names: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Text {
        is_name: bool,
        is_looked_at: bool,
    },
    /// After a backslash: the characters of the escape so far.
    Escape {
        is_name: bool,
        is_looked_at: bool,
    },
    Number,
    /// The rest of a number that is too long to be one of interest.
    LongNumber,
}

/// Reads a message.
#[derive(Debug)]
pub struct Scanner {
    looking: Option<Looking>,
    direction: Direction,
    levels: Vec<Level>,
    /// The names of the members that lead to the current value, of the first two levels of a message.
    path: [Vec<u8>; 2],
    state: State,
    window: Window,
    escape: Vec<u8>,
    /// The first half of a pair of surrogates, as written, and its value.
    high: Option<(Vec<u8>, u16)>,
    number: Vec<u8>,
    counts: Counts,
    report: Report,
    /// The first id of the message, as it is written, and whether it is complete.
    id: Vec<u8>,
    id_is_whole: bool,
    /// Whether it has a method.
    has_method: bool,
    is_batch: bool,
}

impl Scanner {
    /// A scanner at the beginning of a message.
    #[must_use]
    pub fn new(direction: Direction, looking: Option<Looking>) -> Self {
        Self {
            looking,
            direction,
            levels: Vec::new(),
            path: [Vec::new(), Vec::new()],
            state: State::Between,
            window: Window::default(),
            escape: Vec::new(),
            high: None,
            number: Vec::new(),
            counts: Counts::default(),
            report: Report::default(),
            id: Vec::new(),
            id_is_whole: false,
            has_method: false,
            is_batch: false,
        }
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What guards found.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What guards found, and the scanner at the beginning of the next message.
    pub fn take(&mut self) -> (Report, Counts) {
        let fresh = Self::new(self.direction, self.looking.take());
        let used = std::mem::replace(self, fresh);
        (used.report, used.counts)
    }

    /// The id of the message if it is a response, as it is written; empty if it has none.
    #[must_use]
    pub fn answered(&self) -> &[u8] {
        if self.has_method { &[] } else { &self.id }
    }

    /// Whether the message is a batch.
    fn base(&self) -> usize {
        usize::from(self.levels.first().is_some_and(|level| !level.is_object))
    }

    fn key(&self, level: usize) -> &[u8] {
        self.path.get(level).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether the current place is the id of a message that is no batch, and the first one.
    fn is_at_id(&self) -> bool {
        self.base() == 0 && !self.id_is_whole && self.key(0) == b"id"
    }

    /// Whether the message is a batch, or a response whose id cannot be read.
    #[must_use]
    pub fn answers_unknown(&self) -> bool {
        self.is_batch || !self.has_method && self.id.is_empty()
    }

    /// How deep the current place is within the arguments or the result; zero outside.
    fn inner_depth(&self) -> usize {
        let depth = self.levels.len().saturating_sub(self.base());
        match self.direction {
            Direction::Results if matches!(self.key(0), b"result" | b"params" | b"error") => depth.saturating_sub(1),
            Direction::Arguments if self.is_of_caller() => {
                depth.saturating_sub(if self.key(0) == b"params" { 2 } else { 1 })
            }
            _ => 0,
        }
    }

    /// Whether the current place is in what a caller wrote.
    fn is_of_caller(&self) -> bool {
        match self.key(0) {
            b"params" => !self.key(1).is_empty() && !NOT_OF_CALLER.iter().any(|name| name.as_bytes() == self.key(1)),
            b"result" | b"error" => true,
            _ => false,
        }
    }

    /// Whether guards look at the text that begins.
    fn is_looked_at(&self, is_name: bool) -> bool {
        if self.looking.is_none() {
            return false;
        }
        let depth = self.levels.len().saturating_sub(self.base());
        let is_own = |names: &[&str], key: &[u8]| names.iter().any(|name| name.as_bytes() == key);
        match self.direction {
            Direction::Arguments => {
                self.is_of_caller() && depth >= if self.key(0) == b"params" { 2 + usize::from(is_name) } else { 1 }
            }
            Direction::Results if is_name => depth >= 2,
            Direction::Results => {
                !(depth == 1 && is_own(&OWN_MEMBERS, self.key(0))
                    || depth == 2 && is_own(&OWN_INNER_MEMBERS, self.key(1)))
            }
        }
    }

    /// Takes bytes of a message, and writes what passes of them.
    ///
    /// # Errors
    /// [`ListError`] if the message nests deeper than [`CONTENT_DEPTH`], or has bytes that JSON does not have outside of texts.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ListError> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            match self.state {
                State::Text { is_name, is_looked_at } => {
                    let run = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
                    // A part of it, so that not more than that is held.
                    let run = if is_looked_at { run.min(crate::limits::GUARD_WINDOW_BYTES) } else { run };
                    if run > 0 {
                        let (part, left) = rest.split_at(run);
                        rest = left;
                        self.unpaired();
                        self.text(part, is_name, is_looked_at, out);
                        continue;
                    }
                    rest = after;
                    if byte == b'\\' {
                        self.state = State::Escape { is_name, is_looked_at };
                        self.escape.clear();
                        self.escape.push(byte);
                    } else {
                        self.unpaired();
                        self.text_ended(is_name, is_looked_at, out);
                    }
                }
                State::Escape { is_name, is_looked_at } => {
                    rest = after;
                    self.escape.push(byte);
                    let is_whole = self.escape.get(1) != Some(&b'u') || self.escape.len() == 6;
                    if is_whole {
                        self.state = State::Text { is_name, is_looked_at };
                        self.escaped(is_name, is_looked_at, out);
                    }
                }
                State::Number if matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E') => {
                    rest = after;
                    self.number.push(byte);
                    if self.number.len() > NUMBER_CHARS {
                        out.append(&mut self.number);
                        self.state = State::LongNumber;
                    }
                }
                State::LongNumber if matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E') => {
                    rest = after;
                    out.push(byte);
                }
                State::Number | State::LongNumber => self.number_ended(out),
                State::Between => {
                    rest = after;
                    self.between(byte, out)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the end of a message.
    ///
    /// # Errors
    /// [`ListError::NotJson`] if it is not complete.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ListError> {
        self.line_ended(out)?;
        if self.state == State::Between && self.levels.is_empty() { Ok(()) } else { Err(ListError::NotJson) }
    }

    /// Takes the end of a line of data in an event stream, which can only be between two parts of JSON.
    ///
    /// # Errors
    /// [`ListError::NotJson`] if it is within a text.
    pub fn line_ended(&mut self, out: &mut Vec<u8>) -> Result<(), ListError> {
        match self.state {
            State::Between => Ok(()),
            State::Number | State::LongNumber => {
                self.number_ended(out);
                Ok(())
            }
            State::Text { .. } | State::Escape { .. } => Err(ListError::NotJson),
        }
    }

    fn between(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), ListError> {
        let is_id = self.direction == Direction::Results && self.levels.len() == 1 && self.is_at_id();
        match byte {
            // Outside of messages, bodies have white space, and `null` of servers that have nothing to say. Guards would not look at more.
            _ if self.levels.is_empty()
                && !matches!(byte, b'{' | b'[' | b' ' | b'\t' | b'\r' | b'\n' | b'n' | b'u' | b'l') =>
            {
                return Err(ListError::NotJson);
            }
            b'{' | b'[' => {
                self.counted();
                self.is_batch |= self.levels.is_empty() && byte == b'[';
                self.levels.push(Level { is_object: byte == b'{', names: byte == b'{' });
                let depth = self.inner_depth() as u64;
                self.counts.depth = self.counts.depth.max(depth);
                if self.levels.len() > CONTENT_DEPTH {
                    return Err(ListError::NotJson);
                }
            }
            b'}' | b']' => {
                self.levels.pop();
                let depth = self.levels.len().saturating_sub(self.base());
                if depth <= 1 {
                    self.path.get_mut(depth).into_iter().for_each(Vec::clear);
                }
            }
            b',' => {
                self.id_is_whole |= !self.id.is_empty();
                let is_object = self.levels.last().is_some_and(|level| level.is_object);
                self.levels.last_mut().into_iter().for_each(|level| level.names = is_object);
            }
            b':' => self.levels.last_mut().into_iter().for_each(|level| level.names = false),
            b'"' => {
                let is_name = self.levels.last().is_some_and(|level| level.names);
                if is_name {
                    let depth = self.levels.len().saturating_sub(self.base());
                    if (1..=2).contains(&depth) {
                        self.path.get_mut(depth - 1).into_iter().for_each(Vec::clear);
                    }
                } else {
                    self.counted();
                }
                let is_looked_at = self.is_looked_at(is_name);
                self.window.begin();
                self.state = State::Text { is_name, is_looked_at };
            }
            b'0'..=b'9' | b'-' => {
                if is_id {
                    self.id.push(byte);
                }
                if self.number.is_empty() && !is_id {
                    self.counted();
                    if self.is_looked_at(false) {
                        self.state = State::Number;
                        self.number.push(byte);
                        return Ok(());
                    }
                    self.state = State::LongNumber;
                }
            }
            b't' | b'f' | b'n' => self.counted(),
            b'E' | b'e' | b'+' | b'.' if is_id && !self.id.is_empty() => self.id.push(byte),
            b' ' | b'\t' | b'\r' | b'\n' | b'a'..=b'z' | b'E' | b'+' | b'.' => {}
            _ => return Err(ListError::NotJson),
        }
        out.push(byte);
        Ok(())
    }

    /// Counts a value that begins.
    fn counted(&mut self) {
        if self.inner_depth() > 0 {
            self.counts.items += 1;
        }
    }

    fn text(&mut self, part: &[u8], is_name: bool, is_looked_at: bool, out: &mut Vec<u8>) {
        self.remember(part, is_name);
        if is_looked_at {
            self.window.plain(part);
            if self.window.is_full() {
                self.pass(false, out);
            }
        } else {
            out.extend_from_slice(part);
        }
    }

    /// Keeps what decides about a text that is short.
    fn remember(&mut self, part: &[u8], is_name: bool) {
        let depth = self.levels.len().saturating_sub(self.base());
        if is_name && (1..=2).contains(&depth) {
            let name = self.path.get_mut(depth - 1);
            name.into_iter().filter(|name| name.len() <= NAME_CHARS).for_each(|name| name.extend_from_slice(part));
        } else if !is_name && depth == 1 && self.is_at_id() && self.id.len() <= 1024 {
            self.id.extend_from_slice(part);
        }
    }

    fn escaped(&mut self, is_name: bool, is_looked_at: bool, out: &mut Vec<u8>) {
        let raw = std::mem::take(&mut self.escape);
        if !is_looked_at {
            // Names of the protocol that are written with escapes are still these names.
            let stands_for = stands_for(&raw).map(String::from).unwrap_or_default();
            if is_name {
                self.remember(stands_for.as_bytes(), true);
            } else {
                self.remember(&raw, false);
            }
            out.extend_from_slice(&raw);
            return;
        }
        let unit = unit(&raw);
        match (self.high.take(), unit) {
            (Some((before, high)), Some(low @ 0xdc00..=0xdfff)) => {
                let scalar = 0x10000 + ((u32::from(high) & 0x3ff) << 10) + (u32::from(low) & 0x3ff);
                let text = char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER).to_string();
                self.window.escape(&[before, raw].concat(), &text);
            }
            (other, Some(high @ 0xd800..=0xdbff)) => {
                self.high = other;
                self.unpaired();
                self.high = Some((raw, high));
            }
            (other, _) => {
                self.high = other;
                self.unpaired();
                let text = stands_for(&raw).unwrap_or(char::REPLACEMENT_CHARACTER).to_string();
                self.window.escape(&raw, &text);
            }
        }
        if self.window.is_full() {
            self.pass(false, out);
        }
    }

    /// Takes a half of a pair of surrogates whose other half does not follow.
    fn unpaired(&mut self) {
        if let Some((raw, _)) = self.high.take() {
            self.window.escape(&raw, "\u{fffd}");
        }
    }

    fn text_ended(&mut self, is_name: bool, is_looked_at: bool, out: &mut Vec<u8>) {
        if is_looked_at {
            self.pass(true, out);
        }
        let depth = self.levels.len().saturating_sub(self.base());
        if is_name && depth == 1 {
            self.has_method |= self.key(0) == b"method";
        }
        if !is_name && depth == 1 && self.is_at_id() {
            self.id.insert(0, b'"');
            self.id.push(b'"');
            self.id_is_whole = true;
        }
        out.push(b'"');
        self.state = State::Between;
    }

    /// Has guards look at the window.
    fn pass(&mut self, is_end: bool, out: &mut Vec<u8>) {
        let Self { looking, window, report, .. } = self;
        let Some(looking) = looking else { return };
        let mut mask = |found: &Match| noted(looking, report, (found.category, found.form));
        window.pass(&looking.finders, is_end, &mut mask, out);
    }

    /// A card number may be written as a number.
    fn number_ended(&mut self, out: &mut Vec<u8>) {
        self.state = State::Between;
        let Self { looking, report, number, .. } = self;
        let digits = std::mem::take(number);
        let looks_for_cards = looking.as_ref().filter(|looking| {
            looking.guards.iter().any(|guard| guard.finds.contains(&Category::Cards))
                && digits.iter().all(u8::is_ascii_digit)
        });
        let mask = looks_for_cards
            .filter(|_| is_card(&digits))
            .and_then(|looking| noted(looking, report, (Category::Cards, "card_number")));
        match mask {
            Some(mask) => out.extend_from_slice(format!("\"{mask}\"").as_bytes()),
            None => out.extend_from_slice(&digits),
        }
    }
}

/// Notes what was found for each guard that looks for it. What stands in its place, if one of them masks it.
#[must_use]
pub fn noted(looking: &Looking, report: &mut Report, (category, form): (Category, &'static str)) -> Option<String> {
    let mut masks = false;
    for guard in looking.guards.iter().filter(|guard| guard.finds.contains(&category)) {
        report.note(guard, looking.direction, (category, form));
        masks |= guard.action == Action::Mask;
    }
    masks.then(|| format!("[masked {form}]"))
}

/// The UTF-16 code unit that an escape with `\u` stands for.
fn unit(escape: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(escape.strip_prefix(b"\\u")?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

/// The character that an escape stands for; `None` for half a pair of surrogates.
fn stands_for(escape: &[u8]) -> Option<char> {
    if let Some(unit) = unit(escape) {
        return char::from_u32(u32::from(unit));
    }
    Some(match escape.get(1)? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        other => char::from(*other),
    })
}
