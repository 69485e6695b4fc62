//! Session ids of the legacy era, sealed for one caller (L8): no other caller can use them. The sealed text holds the
//! origin server's id and the time of sealing. Issuer, subject, client and resource are not in it, but must be the same
//! for it to open. A session therefore survives new tokens of the same caller, and the gateway stores nothing.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::limits::{COMBINED_SESSION_BYTES, SESSION_ID_BYTES};
use crate::time::UnixMillis;

/// Number of random bytes that sealing needs. With this many, collisions of random nonces are negligible
/// (draft-irtf-cfrg-xchacha).
pub const NONCE_BYTES: usize = 24;

/// Length in bytes of the mark of an event id: 128 bits.
const MARK_BYTES: usize = 16;

/// The keys that are derived from a configured secret.
#[derive(Clone)]
pub struct SessionKey {
    seal: Key,
    /// The key that authenticates event ids and URIs of Apps, which are many and not secret, and makes the nonces of state
    /// handles.
    pub(super) mark: [u8; 32],
}

impl SessionKey {
    /// Derives the keys from a secret.
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

/// How the gateway binds sessions to callers.
#[derive(Debug, Clone)]
pub struct Sessions {
    /// The first key seals, and every key opens.
    pub keys: Vec<SessionKey>,
    /// Lifetime of a session in seconds.
    pub seconds: u64,
}

/// What a sealed text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The id of a session.
    Session,
    /// The same, of a client that declares URL mode elicitation.
    SessionWithUrls,
    /// The address for the messages of a session in the transport of 2024-11-05.
    Endpoint,
    /// A session with several servers.
    Combined,
}

impl Purpose {
    fn byte(self) -> u8 {
        match self {
            Self::Session => b's',
            Self::SessionWithUrls => b'u',
            Self::Endpoint => b'e',
            Self::Combined => b'm',
        }
    }

    /// The most bytes that a text may have.
    fn most(self) -> usize {
        match self {
            Self::Session | Self::SessionWithUrls | Self::Endpoint => SESSION_ID_BYTES,
            Self::Combined => COMBINED_SESSION_BYTES,
        }
    }
}

/// The caller and the resource that a text is sealed for.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// The issuer that vouches for the caller.
    pub issuer: &'a str,
    /// The subject of the caller.
    pub subject: &'a str,
    /// The client of the caller, if known.
    pub client: Option<&'a str>,
    /// The identifier of the resource.
    pub resource: &'a str,
}

impl Holder<'_> {
    /// What the ids of tasks are sealed for.
    pub(super) fn of_tasks(&self) -> Vec<u8> {
        self.bytes(b't')
    }

    /// Everything that must be the same for a text to open, each part preceded by its length.
    pub(super) fn bytes(&self, purpose: u8) -> Vec<u8> {
        let mut bytes = vec![purpose, u8::from(self.client.is_some())];
        let parts = [self.issuer, self.subject, self.client.unwrap_or_default(), self.resource];
        append_parts(&mut bytes, &parts.map(str::as_bytes));
        bytes
    }
}

/// Appends parts, each preceded by its length.
pub(super) fn append_parts(bytes: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
}

/// A text that was sealed, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The text from the origin server.
    pub value: String,
    /// When it was sealed, in seconds since the epoch.
    pub since: u64,
}

impl Sessions {
    /// Seals a text from the origin server for one caller. `None` if it is longer than its purpose allows.
    #[must_use]
    pub fn seal(
        &self,
        value: &str,
        purpose: Purpose,
        holder: Holder<'_>,
        nonce: &[u8; NONCE_BYTES],
        now: UnixMillis,
    ) -> Option<String> {
        if value.len() > purpose.most() {
            return None;
        }
        self.sealed(value.as_bytes(), &holder.bytes(purpose.byte()), nonce, now)
    }

    /// Seals bytes, with the time. Only the same `context` opens them.
    pub(super) fn sealed(
        &self,
        value: &[u8],
        context: &[u8],
        nonce: &[u8; NONCE_BYTES],
        now: UnixMillis,
    ) -> Option<String> {
        let key = self.keys.first()?;
        let plain = [now.seconds().to_be_bytes().as_slice(), value].concat();
        let payload = Payload { msg: &plain, aad: context };
        let sealed = XChaCha20Poly1305::new(&key.seal).encrypt(&XNonce::from(*nonce), payload).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Binds the id of an event to its caller and session: a mark, `.`, and the origin server's id. `None` if the id is
    /// longer than [`SESSION_ID_BYTES`].
    #[must_use]
    pub fn mark_event(&self, id: &str, holder: Holder<'_>, session: Option<&str>) -> Option<String> {
        if id.len() > SESSION_ID_BYTES {
            return None;
        }
        let mark = event_mac(self.keys.first()?, id, holder, session)?.finalize().into_bytes();
        Some(format!("{}.{id}", URL_SAFE_NO_PAD.encode(mark.get(..MARK_BYTES)?)))
    }

    /// The origin server's id of an event, if it was marked for this caller and session.
    #[must_use]
    pub fn event_id<'a>(&self, marked: &'a str, holder: Holder<'_>, session: Option<&str>) -> Option<&'a str> {
        let (mark, id) = marked.split_once('.')?;
        let mark = URL_SAFE_NO_PAD.decode(mark).ok().filter(|mark| mark.len() == MARK_BYTES)?;
        let fits = |key: &SessionKey| {
            event_mac(key, id, holder, session).is_some_and(|mac| mac.verify_truncated_left(&mark).is_ok())
        };
        (id.len() <= SESSION_ID_BYTES && self.keys.iter().any(fits)).then_some(id)
    }

    /// Opens a text that was sealed for this caller and has not expired. The result does not tell why a text does not
    /// open.
    #[must_use]
    pub fn open(&self, sealed: &str, purpose: Purpose, holder: Holder<'_>, now: UnixMillis) -> Option<Opened> {
        if sealed.len() > 2 * purpose.most() + 128 {
            return None;
        }
        let (value, since) = self.opened(sealed, &holder.bytes(purpose.byte()), now)?;
        Some(Opened { value: String::from_utf8(value).ok()?, since })
    }

    /// What was sealed in this context and has not expired, and when it was sealed.
    pub(super) fn opened(&self, sealed: &str, context: &[u8], now: UnixMillis) -> Option<(Vec<u8>, u64)> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let plain = self.keys.iter().find_map(|key| {
            let payload = Payload { msg: sealed, aad: context };
            XChaCha20Poly1305::new(&key.seal).decrypt(&XNonce::from(*nonce), payload).ok()
        })?;
        let (since, value) = plain.split_first_chunk::<8>()?;
        let since = u64::from_be_bytes(*since);
        (now.seconds() < since.saturating_add(self.seconds)).then(|| (value.to_vec(), since))
    }
}

fn event_mac(key: &SessionKey, id: &str, holder: Holder<'_>, session: Option<&str>) -> Option<Hmac<Sha256>> {
    let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&key.mark).ok()?;
    mac.update(&holder.bytes(Purpose::Session.byte()));
    mac.update(&[u8::from(session.is_some())]);
    for part in [session.unwrap_or_default(), id] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    Some(mac)
}
