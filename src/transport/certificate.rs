//! Client certificates, as the platform reports them: it terminates the TLS connection.

/// SHA-256 of a client certificate that was verified and is not revoked, from `certVerified;certRevoked;fingerprint` of
/// `request.cf.tlsClientAuth`; `None` for any other content. An invalid certificate counts as none.
#[must_use]
pub fn verified(text: &str) -> Option<[u8; 32]> {
    let mut parts = text.split(';');
    let (verified, revoked, fingerprint) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || verified != "SUCCESS" || revoked == "1" || fingerprint.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(fingerprint.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(digest)
}
