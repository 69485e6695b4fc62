//! Sealing (encryption with authentication) of values that leave the gateway and must come back unread and unchanged,
//! and of stored values that only one token can open: XChaCha20-Poly1305, with a separate key for each use.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

use crate::strict_json;

/// Random bytes that sealing needs.
pub const NONCE_BYTES: usize = 24;

/// Random bytes for one sealing.
pub type Nonce = [u8; NONCE_BYTES];

/// A key for sealing. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey(Key);

impl SealKey {
    /// The key for one use, derived from a secret.
    #[must_use]
    pub fn of(secret: &[u8], usage: &str) -> Self {
        Self(mac(secret, &[b"portcullis authorization server v1", usage.as_bytes()]).into())
    }

    /// A random key.
    #[must_use]
    pub fn random(bytes: [u8; 32]) -> Self {
        Self(bytes.into())
    }

    /// The key as text, for the record that seals or opens with it.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// A key from its text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        Some(Self(bytes.into()))
    }

    /// Seals a text. Only the same `context` opens it.
    #[must_use]
    pub fn seal(&self, plain: &[u8], context: &str, nonce: &Nonce) -> String {
        let payload = Payload { msg: plain, aad: context.as_bytes() };
        let sealed = XChaCha20Poly1305::new(&self.0).encrypt(&XNonce::from(*nonce), payload).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat())
    }

    /// Opens a sealed text. `None` does not say why it does not open.
    #[must_use]
    pub fn open(&self, sealed: &str, context: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: context.as_bytes() };
        XChaCha20Poly1305::new(&self.0).decrypt(&XNonce::from(*nonce), payload).ok()
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

/// HMAC-SHA-256 over parts, each preceded by its length.
#[must_use]
pub fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = <Hmac<Sha256> as hmac::Mac>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The secrets of the configuration: the gateway seals and marks with the first one, and opens and verifies with any of
/// them.
#[derive(Clone)]
pub struct Seals(Vec<Vec<u8>>);

impl Seals {
    /// Takes the secrets, the current one first.
    #[must_use]
    pub fn of(secrets: &[String]) -> Self {
        Self(secrets.iter().map(|secret| secret.as_bytes().to_vec()).collect())
    }

    /// Seals a value for one use.
    #[must_use]
    pub fn seal(&self, value: &impl Serialize, usage: &str, context: &str, nonce: &Nonce) -> String {
        let plain = serde_json::to_vec(value).unwrap_or_default();
        self.0.first().map(|secret| SealKey::of(secret, usage).seal(&plain, context, nonce)).unwrap_or_default()
    }

    /// Opens what was sealed for this use.
    #[must_use]
    pub fn open<T: DeserializeOwned>(&self, sealed: &str, usage: &str, context: &str) -> Option<T> {
        let plain = self.0.iter().find_map(|secret| SealKey::of(secret, usage).open(sealed, context))?;
        strict_json::read(&plain).ok()
    }

    /// Whether a value is sealed for this use under the first secret.
    #[must_use]
    pub fn is_current(&self, sealed: &str, usage: &str, context: &str) -> bool {
        self.0.first().is_some_and(|secret| SealKey::of(secret, usage).open(sealed, context).is_some())
    }

    /// A mark over some parts that only this gateway can make.
    #[must_use]
    pub fn mark(&self, usage: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.0.first().map(|secret| marked(secret, usage, parts)).unwrap_or_default()
    }

    /// Whether this gateway made the mark.
    #[must_use]
    pub fn is_marked(&self, usage: &str, parts: &[&[u8]], mark: &[u8]) -> bool {
        self.0.iter().any(|secret| {
            let own = marked(secret, usage, parts);
            // Compares every byte, so that the time does not depend on where they differ.
            mark.len() == own.len() && own.iter().zip(mark).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
        })
    }
}

fn marked(secret: &[u8], usage: &str, parts: &[&[u8]]) -> [u8; 32] {
    let key = mac(secret, &[b"portcullis authorization server v1", usage.as_bytes()]);
    mac(&key, parts)
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seals({})", self.0.len())
    }
}
