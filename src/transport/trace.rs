//! Trace context (W3C Trace Context §3.2).

use base16ct::lower::encode_string as hex;

/// The trace context of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    id: String,
    span: String,
    sampled: bool,
    continued: bool,
}

impl Trace {
    /// Continues the caller's trace if `traceparent` is well-formed, and begins a new one otherwise. `random` is 24
    /// bytes: a new trace id, and the span id of the gateway.
    #[must_use]
    pub fn of(traceparent: Option<&str>, random: &[u8; 24]) -> Self {
        let (fresh, span) = random.split_at(16);
        let span = hex(span);
        match traceparent.and_then(parse) {
            Some((id, sampled)) => Self { id, span, sampled, continued: true },
            None => Self { id: hex(fresh), span, sampled: false, continued: false },
        }
    }

    /// The trace context that [`Self::outbound`] wrote.
    #[must_use]
    pub fn of_sent(traceparent: &str) -> Option<Self> {
        let (id, sampled) = parse(traceparent)?;
        let span = traceparent.split('-').nth(2)?.to_owned();
        Some(Self { id, span, sampled, continued: false })
    }

    /// The trace id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the trace continues the caller's: only then is the caller's `tracestate` forwarded.
    #[must_use]
    pub fn continued(&self) -> bool {
        self.continued
    }

    /// `traceparent` for the origin server, with the span of the gateway as parent.
    #[must_use]
    pub fn outbound(&self) -> String {
        format!("00-{}-{}-{:02x}", self.id, self.span, u8::from(self.sampled))
    }
}

fn parse(field: &str) -> Option<(String, bool)> {
    let mut parts = field.split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let whole = version != "00" || parts.next().is_none();
    let fits = whole
        && is_hex(version, 2)
        && version != "ff"
        && is_hex(id, 32)
        && id.bytes().any(|b| b != b'0')
        && is_hex(parent, 16)
        && parent.bytes().any(|b| b != b'0')
        && is_hex(flags, 2);
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    fits.then(|| (id.to_owned(), sampled))
}
