//! Reads one member of a JSON object by the grammar alone. Deeper values are only checked for their syntax. They may
//! have any depth, repeat members, or contain an unpaired surrogate (RFC 8259 §8.2): real servers send such items, and
//! none of that affects a decision.

use serde_json::Value;

use crate::mcp::envelope::RequestId;
use crate::strict_json;

/// The text of the member `name` of `object`, if all readers agree about it: the object is JSON in UTF-8, it has the
/// member once, and the value is a valid string.
#[must_use]
pub fn certain_text(object: &[u8], name: &str) -> Option<String> {
    match strict_json::parse(certain(object, name, None)?.as_bytes()) {
        Ok(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// The id of the request that a message answers, if it can be read unambiguously; unknown if not, and for a message
/// that is a request itself.
#[must_use]
pub fn answered_id(message: &[u8]) -> RequestId {
    let id = certain(message, "id", Some("method")).and_then(|text| strict_json::parse(text.as_bytes()).ok());
    id.as_ref().and_then(RequestId::read).unwrap_or_default()
}

/// The scalar in the member `name` of `object`, as raw JSON; `None` if the object has the member `without`.
fn certain<'a>(object: &'a [u8], name: &str, without: Option<&str>) -> Option<&'a str> {
    let text = std::str::from_utf8(object).ok()?;
    let mut scan = Scan { text, at: 0 };
    let mut found = None;
    let mut open: Vec<u8> = Vec::new();
    scan.space();
    if scan.next()? != b'{' {
        return None;
    }
    open.push(b'{');
    let mut first = true;
    while let Some(&container) = open.last() {
        scan.space();
        let end = if container == b'{' { b'}' } else { b']' };
        if scan.peek()? == end {
            scan.next();
            open.pop();
            first = false;
            continue;
        }
        if !first {
            if scan.next()? != b',' {
                return None;
            }
            scan.space();
        }
        let mut wanted = false;
        if container == b'{' {
            let member = scan.string()?;
            let own = if open.len() == 1 { unquoted(member) } else { None };
            wanted = own.as_deref() == Some(name);
            // Some readers ignore letter case and take this member for the one that they look for.
            let is = |own: &str, name: &str| strict_json::fold(own) == strict_json::fold(name);
            if own.is_some_and(|own| !wanted && is(&own, name) || without.is_some_and(|name| is(&own, name))) {
                return None;
            }
            scan.space();
            if scan.next()? != b':' {
                return None;
            }
            scan.space();
        }
        first = false;
        match scan.peek()? {
            b'"' => {
                let value = scan.string()?;
                if wanted && found.replace(value).is_some() {
                    return None;
                }
            }
            b'{' | b'[' if wanted => return None,
            bracket @ (b'{' | b'[') => {
                scan.next();
                open.push(bracket);
                first = true;
            }
            _ => {
                let word = scan.word()?;
                if wanted && found.replace(word).is_some() {
                    return None;
                }
            }
        }
    }
    scan.space();
    if scan.at == text.len() { found } else { None }
}

/// The text of a JSON string; `None` if it is not text, for example because of an unpaired surrogate.
fn unquoted(quoted: &str) -> Option<String> {
    match strict_json::parse(quoted.as_bytes()) {
        Ok(Value::String(text)) => Some(text),
        _ => None,
    }
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A string, with its quotes.
    fn string(&mut self) -> Option<&'a str> {
        let from = self.at;
        if self.next()? != b'"' {
            return None;
        }
        loop {
            match self.next()? {
                b'"' => return self.text.get(from..self.at),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            self.next().filter(u8::is_ascii_hexdigit)?;
                        }
                    }
                    _ => return None,
                },
                0..=0x1f => return None,
                _ => {}
            }
        }
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Option<&'a str> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')) {
            self.at += 1;
        }
        let word = self.text.get(from..self.at)?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = || {
            let (mantissa, exponent) = match word.split_once(['e', 'E']) {
                Some((mantissa, exponent)) => (mantissa, Some(exponent.trim_start_matches(['+', '-']))),
                None => (word, None),
            };
            let (whole, fraction) = match mantissa.split_once('.') {
                Some((whole, fraction)) => (whole, Some(fraction)),
                None => (mantissa, None),
            };
            let whole = whole.strip_prefix('-').unwrap_or(whole);
            digits(whole)
                && (whole.len() == 1 || !whole.starts_with('0'))
                && fraction.is_none_or(digits)
                && exponent.is_none_or(digits)
        };
        (matches!(word, "true" | "false" | "null") || number()).then_some(word)
    }
}
