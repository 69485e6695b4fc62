//! Paths in one canonical form. If an origin server may treat two spellings as the same path, the gateway routes and
//! authorizes both as the same path, or rejects them.

use std::fmt;

/// A path in canonical form: it begins with `/`; unreserved characters are decoded, other escapes are in upper case;
/// only the last segment may be empty; there are no dot segments and no encoded slash, backslash or control character.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalPath {
    canonical: String,
    folded: String,
}

/// Why a path has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmbiguousPath(&'static str);

impl fmt::Display for AmbiguousPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl CanonicalPath {
    /// Reads the path of a request or of the configuration.
    ///
    /// # Errors
    /// [`AmbiguousPath`] if parsers interpret the path in different ways.
    pub fn parse(raw: &str) -> Result<Self, AmbiguousPath> {
        if !raw.starts_with('/') {
            return Err(AmbiguousPath("must begin with /"));
        }
        let mut canonical = String::with_capacity(raw.len());
        let mut bytes = raw.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                if !is_pchar(byte) && byte != b'/' {
                    return Err(AmbiguousPath("has a character that must be percent-encoded"));
                }
                canonical.push(char::from(byte));
                continue;
            }
            let decoded = match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                (Some(high), Some(low)) => high * 16 + low,
                _ => return Err(AmbiguousPath("has a malformed percent-encoding")),
            };
            match decoded {
                b'/' | b'\\' => return Err(AmbiguousPath("has an encoded slash or backslash")),
                0..=0x1F | 0x7F => return Err(AmbiguousPath("has an encoded control character")),
                _ if is_unreserved(decoded) => canonical.push(char::from(decoded)),
                _ => canonical.push_str(&format!("%{decoded:02X}")),
            }
        }
        let last = canonical.split('/').count() - 1;
        for (at, segment) in canonical.split('/').enumerate().skip(1) {
            if segment.is_empty() && at != last {
                return Err(AmbiguousPath("has an empty segment"));
            }
            // Also `..;x`: some servers strip parameters before they resolve dot segments.
            if matches!(segment.split(';').next(), Some("." | "..")) {
                return Err(AmbiguousPath("has a dot segment"));
            }
        }
        let folded = fold(&canonical)?;
        Ok(Self { canonical, folded })
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.canonical
    }

    /// The part after `base`, if this path is equal to or below `base`, on whole segments: empty, or beginning with
    /// `/`.
    #[must_use]
    pub fn under(&self, base: &Self) -> Option<&str> {
        if base.canonical == "/" {
            return Some(if self.canonical == "/" { "" } else { &self.canonical });
        }
        self.canonical.strip_prefix(&base.canonical).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The path as the most lenient server may read it: decoded until nothing changes, in lower case, without
    /// parameters. Two paths with equal results may reach the same resource.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical)
    }
}

/// How often a path is decoded before the gateway rejects it as still encoded.
const DECODINGS: usize = 4;

/// The path as the most lenient server may read it; an error if that reading has dot segments, more slashes or empty
/// segments.
fn fold(canonical: &str) -> Result<String, AmbiguousPath> {
    let mut text = canonical.to_owned();
    for round in 0.. {
        let decoded = decode(&text).ok_or(AmbiguousPath("is not UTF-8 after decoding"))?;
        if decoded == text {
            break;
        }
        if round == DECODINGS {
            return Err(AmbiguousPath("is percent-encoded too many times"));
        }
        text = decoded;
    }
    if text.contains(['\\', '?', '#']) || text.chars().any(char::is_control) {
        return Err(AmbiguousPath("has a backslash, ?, # or a control character after decoding"));
    }
    if text.matches('/').count() != canonical.matches('/').count() {
        return Err(AmbiguousPath("has another slash after repeated decoding"));
    }
    let mut segments: Vec<String> = Vec::new();
    for segment in text.split('/') {
        segments.push(segment.split(';').next().unwrap_or_default().to_lowercase());
    }
    let inner = segments.get(1..segments.len() - 1).unwrap_or_default();
    if inner.iter().any(String::is_empty) {
        return Err(AmbiguousPath("has an empty segment without its parameters"));
    }
    if segments.iter().any(|segment| matches!(segment.as_str(), "." | "..")) {
        return Err(AmbiguousPath("has a dot segment after repeated decoding"));
    }
    Ok(segments.join("/"))
}

fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = match (byte, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        decoded.push(escape.unwrap_or(byte));
        rest = if escape.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// RFC 3986 §3.3.
fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@".contains(&byte)
}
