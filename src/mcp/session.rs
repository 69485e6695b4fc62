//! Old-era session ids, sealed for one caller (L8): whoever else presents one holds nothing. What is sealed is the
//! origin server's id and when that was; issuer, subject, client and resource are not in it but must be the same for
//! it to open. So a session survives new tokens of the same caller, and nothing is stored.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::limits::SESSION_ID_BYTES;
use crate::time::UnixMillis;

/// Random bytes that sealing needs. With so many, random nonces never meet (draft-irtf-cfrg-xchacha).
pub const NONCE_BYTES: usize = 24;

/// Bytes of the mark of an event's id: 128 bits.
const MARK_BYTES: usize = 16;

/// A key of configuration.
#[derive(Clone)]
pub struct SessionKey {
    seal: Key,
    /// Binds ids of events, which are many, and not secret.
    mark: [u8; 32],
}

impl SessionKey {
    /// The key that follows from a secret.
    #[must_use]
    pub fn of(secret: &str) -> Option<Self> {
        let derived = |label: &[u8]| {
            let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(secret.as_bytes()).ok()?;
            mac.update(label);
            Some(mac.finalize().into_bytes())
        };
        Some(Self { seal: derived(b"portcullis session v1")?, mark: derived(b"portcullis event id v1")?.into() })
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}

/// How sessions are bound.
#[derive(Debug, Clone)]
pub struct Sessions {
    /// The first seals, each opens.
    pub keys: Vec<SessionKey>,
    /// Seconds that one lives.
    pub seconds: u64,
}

/// What is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The id of a session.
    Session,
    /// Where messages of a session go in the transport of 2024-11-05.
    Endpoint,
}

impl Purpose {
    fn byte(self) -> u8 {
        match self {
            Self::Session => b's',
            Self::Endpoint => b'e',
        }
    }
}

/// For whom, and where.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// Who vouches for the caller.
    pub issuer: &'a str,
    /// The caller.
    pub subject: &'a str,
    /// The caller's client.
    pub client: Option<&'a str>,
    /// The identifier of the resource.
    pub resource: &'a str,
}

impl Holder<'_> {
    /// Everything that must be the same, each part with its length before it.
    fn bytes(&self, purpose: Purpose) -> Vec<u8> {
        let mut bytes = vec![purpose.byte(), u8::from(self.client.is_some())];
        for part in [self.issuer, self.subject, self.client.unwrap_or_default(), self.resource] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// What was sealed, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The origin server's word.
    pub value: String,
    /// When it was sealed, in seconds.
    pub since: u64,
}

impl Sessions {
    /// Seals an origin server's word for one caller. Nothing where it is longer than any should be.
    #[must_use]
    pub fn seal(
        &self,
        value: &str,
        purpose: Purpose,
        holder: Holder<'_>,
        nonce: &[u8; NONCE_BYTES],
        now: UnixMillis,
    ) -> Option<String> {
        if value.len() > SESSION_ID_BYTES {
            return None;
        }
        let key = self.keys.first()?;
        let plain = [now.seconds().to_be_bytes().as_slice(), value.as_bytes()].concat();
        let aad = holder.bytes(purpose);
        let payload = Payload { msg: &plain, aad: &aad };
        let sealed = XChaCha20Poly1305::new(&key.seal).encrypt(&XNonce::from(*nonce), payload).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// The id of an event, bound to its caller and session: a mark, `.`, and the origin server's id. Nothing where it is longer
    /// than any should be.
    #[must_use]
    pub fn mark_event(&self, id: &str, holder: Holder<'_>, session: Option<&str>) -> Option<String> {
        if id.len() > SESSION_ID_BYTES {
            return None;
        }
        let mark = event_mac(self.keys.first()?, id, holder, session)?.finalize().into_bytes();
        Some(format!("{}.{id}", URL_SAFE_NO_PAD.encode(mark.get(..MARK_BYTES)?)))
    }

    /// The origin server's id of an event that was marked for this caller and session.
    #[must_use]
    pub fn event_id<'a>(&self, marked: &'a str, holder: Holder<'_>, session: Option<&str>) -> Option<&'a str> {
        let (mark, id) = marked.split_once('.')?;
        let mark = URL_SAFE_NO_PAD.decode(mark).ok().filter(|mark| mark.len() == MARK_BYTES)?;
        let fits = |key: &SessionKey| {
            event_mac(key, id, holder, session).is_some_and(|mac| mac.verify_truncated_left(&mark).is_ok())
        };
        (id.len() <= SESSION_ID_BYTES && self.keys.iter().any(fits)).then_some(id)
    }

    /// Opens what was sealed for this caller and has not ended. Nothing says why it does not open.
    #[must_use]
    pub fn open(&self, sealed: &str, purpose: Purpose, holder: Holder<'_>, now: UnixMillis) -> Option<Opened> {
        if sealed.len() > 2 * SESSION_ID_BYTES + 128 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let aad = holder.bytes(purpose);
        let plain = self.keys.iter().find_map(|key| {
            let payload = Payload { msg: sealed, aad: &aad };
            XChaCha20Poly1305::new(&key.seal).decrypt(&XNonce::from(*nonce), payload).ok()
        })?;
        let (since, value) = plain.split_first_chunk::<8>()?;
        let since = u64::from_be_bytes(*since);
        let lives = now.seconds() < since.saturating_add(self.seconds);
        let value = String::from_utf8(value.to_vec()).ok()?;
        lives.then_some(Opened { value, since })
    }
}

fn event_mac(key: &SessionKey, id: &str, holder: Holder<'_>, session: Option<&str>) -> Option<Hmac<Sha256>> {
    let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&key.mark).ok()?;
    mac.update(&holder.bytes(Purpose::Session));
    mac.update(&[u8::from(session.is_some())]);
    for part in [session.unwrap_or_default(), id] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    Some(mac)
}
