//! Nonces for DPoP proofs (RFC 9449 §8, §9): a time and a MAC over it. Every isolate can verify the nonces of the
//! others, and the gateway stores none.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::limits::NONCE_SECONDS;
use crate::time::UnixMillis;

/// The secret key of the nonces.
#[derive(Clone)]
pub struct NonceKey(Vec<u8>);

impl NonceKey {
    /// A key from the bytes of `secret`.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self(secret.as_bytes().to_vec())
    }

    /// The nonce for the current time. It changes four times within its lifetime, so that callers seldom need a new
    /// one.
    #[must_use]
    pub fn issue(&self, now: UnixMillis) -> String {
        let step = NONCE_SECONDS / 4;
        let second = now.seconds() / step * step;
        self.mac(second).map_or_else(String::new, |mac| {
            let tag = mac.finalize().into_bytes();
            let bytes: Vec<u8> = second.to_be_bytes().into_iter().chain(tag.into_iter().take(16)).collect();
            URL_SAFE_NO_PAD.encode(bytes)
        })
    }

    /// Whether this gateway issued `nonce` within the last [`NONCE_SECONDS`].
    #[must_use]
    pub fn accepts(&self, nonce: &str, now: UnixMillis) -> bool {
        let Some(bytes) = URL_SAFE_NO_PAD.decode(nonce).ok().filter(|bytes| bytes.len() == 24) else { return false };
        let (second, tag) = bytes.split_at(8);
        let second = u64::from_be_bytes(second.try_into().unwrap_or_default());
        // The clocks of isolates differ slightly.
        let timely = second <= now.seconds() + 5 && now.seconds() <= second.saturating_add(NONCE_SECONDS);
        timely && self.mac(second).is_some_and(|mac| mac.verify_truncated_left(tag).is_ok())
    }

    fn mac(&self, second: u64) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(b"portcullis dpop nonce");
        mac.update(&second.to_be_bytes());
        Some(mac)
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey")
    }
}
