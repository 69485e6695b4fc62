//! The head of a request as one text, in which the shell hands it over: to copy fields one by one into WebAssembly costs
//! five times as much.
//!
//! It has a line each for the method, the URL, the certificate, the location (country and autonomous system), and for each
//! field `name,value`. No part can contain a line feed, and no field name a comma.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::limits::{FIELDS_BYTES, FIELDS_COUNT};
use crate::transport::certificate::ClientCertificate;
use crate::transport::head::{Fields, Head, Method};

/// Request fields that may differ between requests of a client with the same meaning. Of these only `content-length`
/// matters to a decision, and `Gateway::look_up` checks it again.
pub const PER_REQUEST: [&str; 6] = ["baggage", "cf-ray", CONTENT_LENGTH, TRACEPARENT, TRACESTATE, "x-request-id"];

const CONTENT_LENGTH: &str = "content-length";
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Lines before the fields.
const LINES_BEFORE: usize = 4;

/// A keyed hash of a head without its [`PER_REQUEST`] fields. SipHash-2-4 with 128 bits is a pseudorandom function: a client
/// that does not know the key cannot make a head with the fingerprint of another one, except by guessing 128 bits.
pub type HeadFingerprint = u128;

/// The fields of a head that its fingerprint leaves out and that the gateway still needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerRequest<'a> {
    /// `Content-Length`.
    pub content_length: Option<&'a str>,
    /// `traceparent`.
    pub traceparent: Option<&'a str>,
    /// `tracestate`.
    pub tracestate: Option<&'a str>,
}

/// Reads a head.
#[must_use]
pub fn read_head(text: &str) -> Head {
    let mut lines = text.split('\n');
    let method = Method::parse(lines.next().unwrap_or_default());
    let url = lines.next().unwrap_or_default().to_owned();
    let certificate = ClientCertificate::read(lines.next().unwrap_or_default()).map(Box::new);
    let (country, asn) = lines.next().unwrap_or_default().split_once(';').unwrap_or_default();
    let (country, asn) = (Some(country.to_owned()).filter(|country| !country.is_empty()), asn.parse().ok());
    let fields = read_fields(lines);
    Head { method, url, fields, certificate, country, asn }
}

/// Reads fields, one on each line.
pub fn read_fields<'a>(lines: impl Iterator<Item = &'a str>) -> Fields {
    let entries = lines.filter_map(|line| line.split_once(','));
    entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Writes fields, one on each line.
#[must_use]
pub fn write_fields(fields: &Fields) -> String {
    let mut text = String::new();
    for (name, value) in fields.iter() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.extend([name, ",", value]);
    }
    text
}

/// The fingerprint of a head, and the fields that it leaves out. `None` if the head may be too large to be admitted.
#[must_use]
pub fn fingerprint<'a>(text: &'a str, key: &[u8; 16]) -> Option<(HeadFingerprint, PerRequest<'a>)> {
    if text.len() > FIELDS_BYTES {
        return None;
    }
    let mut hasher = SipHasher24::new_with_key(key);
    let mut left_out = PerRequest::default();
    let mut count = 0;
    let (mut begin, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        count += 1;
        if count > LINES_BEFORE
            && let Some((name, value)) = line.split_once(',')
            && PER_REQUEST.contains(&name)
        {
            let value = value.strip_suffix('\n').unwrap_or(value);
            match name {
                CONTENT_LENGTH => left_out.content_length = Some(value),
                TRACEPARENT => left_out.traceparent = Some(value),
                TRACESTATE => left_out.tracestate = Some(value),
                _ => {}
            }
            hasher.write(text.as_bytes().get(begin..at)?);
            begin = at + line.len();
        }
        at += line.len();
    }
    hasher.write(text.as_bytes().get(begin..)?);
    // The last line has no line feed: without this, a head whose last field is left out would be another one.
    if !text.get(begin..)?.ends_with('\n') && begin < text.len() {
        hasher.write(b"\n");
    }
    (count <= FIELDS_COUNT).then(|| (hasher.finish128().as_u128(), left_out))
}
