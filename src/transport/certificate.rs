//! Client certificates, as the platform reports them: it terminates the TLS connection.

/// A client certificate whose key the client proved to have in the TLS handshake, that is not revoked, and whose time it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// SHA-256 of it.
    pub digest: [u8; 32],
    /// Whether a CA that the operator trusts issued it. If not, it says nothing but its key.
    pub is_verified: bool,
    /// The distinguished name of its subject, as RFC 2253 writes it.
    pub subject: String,
}

/// What the platform says of a certificate that no trusted CA issued. With any other failure, the certificate is invalid.
const NOT_VOUCHED_FOR: [&str; 4] = [
    "FAILED:self signed certificate",
    "FAILED:self-signed certificate",
    "FAILED:unable to get local issuer certificate",
    "FAILED:unable to verify the first certificate",
];

impl ClientCertificate {
    /// Reads `certVerified;certRevoked;fingerprint;subject` of `request.cf.tlsClientAuth`; `None` for any other content. An invalid
    /// certificate counts as none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ';');
        let (verified, revoked, fingerprint, subject) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_verified = verified == "SUCCESS";
        if !is_verified && !NOT_VOUCHED_FOR.contains(&verified) || revoked == "1" || fingerprint.len() != 64 {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(fingerprint.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self { digest, is_verified, subject: subject.to_owned() })
    }

    /// Whether a trusted CA issued it for this subject. Names are equal if they differ in nothing but the space around their parts and
    /// the case of the types of these (RFC 4514 §2).
    #[must_use]
    pub fn is_of(&self, subject: &str) -> bool {
        self.is_verified && !subject.is_empty() && parts(&self.subject) == parts(subject)
    }
}

/// The parts of a distinguished name, in their order.
fn parts(name: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut is_escaped = false;
    for character in name.chars() {
        match character {
            ',' if !is_escaped => found.push(String::new()),
            character => {
                if let Some(last) = found.last_mut() {
                    last.push(character);
                }
            }
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    let tidy = |part: String| match part.trim_start().split_once('=') {
        // A space that is escaped is part of the value.
        Some((kind, value)) if value.ends_with("\\ ") => {
            format!("{}={}", kind.trim().to_ascii_uppercase(), value.trim_start())
        }
        Some((kind, value)) => format!("{}={}", kind.trim().to_ascii_uppercase(), value.trim()),
        None => part,
    };
    found.into_iter().map(tidy).collect()
}
