//! `application/x-www-form-urlencoded`, written and read strictly: queries of authorization requests and bodies of
//! token requests.

use std::collections::BTreeMap;

use crate::limits::FORM_PARAMETERS;

/// A form under construction.
#[derive(Default)]
pub struct Form(String);

impl Form {
    /// Adds a parameter.
    pub fn add(&mut self, name: &str, value: &str) {
        let join = if self.0.is_empty() { "" } else { "&" };
        self.0.push_str(&format!("{join}{}={}", form_encoded(name), form_encoded(value)));
    }

    /// The encoded form.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }
}

/// A text, encoded for a form.
#[must_use]
pub fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The parameters of a request. Parsers disagree about the value of a repeated parameter: RFC 6749 §3.1 forbids it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    values: BTreeMap<String, String>,
    repeated: Vec<String>,
}

impl Parameters {
    /// Reads a form; `None` if it is malformed or has too many parameters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut read = Self::default();
        for (at, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            if at >= FORM_PARAMETERS {
                return None;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if read.values.insert(name.clone(), value).is_some() {
                read.repeated.push(name);
            }
        }
        Some(read)
    }

    /// The value of a parameter; `None` if it is absent, empty (RFC 6749 §3.1) or repeated.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        if self.is_repeated(name) {
            return None;
        }
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All parameters. Of one that is repeated, the last.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a parameter is repeated.
    #[must_use]
    pub fn is_repeated(&self, name: &str) -> bool {
        self.repeated.iter().any(|repeated| repeated == name)
    }

    /// The name of a repeated parameter, if there is one.
    #[must_use]
    pub fn repeated(&self) -> Option<&str> {
        self.repeated.first().map(String::as_str)
    }
}

/// Decodes a name or value; `None` if an escape is malformed, or the text is not UTF-8 or has control characters.
#[must_use]
pub fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit =
                    |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(rest.next())? * 16 + digit(rest.next())?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}
