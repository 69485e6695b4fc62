//! Authorization codes and refresh tokens. They are opaque to every other party. For this gateway, each consists of the
//! id of a grant, a random part, and a mark (an HMAC) that only this gateway can make. So the gateway rejects a code or
//! token that it did not issue without asking a record, and recognizes one that it issued but that is no longer current
//! (reuse), although no record stores it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::authorization_server::state::Hash;
use crate::seal::{SealKey, Seals};

/// The kind of a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandleKind {
    /// An authorization code.
    Code,
    /// A refresh token.
    Refresh,
}

impl HandleKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Code => "pcc_",
            Self::Refresh => "pcr_",
        }
    }
}

const GRANT_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;

/// The random part of a handle.
pub type HandleSecret = [u8; SECRET_BYTES];

/// A code or refresh token that this gateway issued. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Handle {
    text: String,
    grant: String,
}

impl Handle {
    /// Makes a handle for a grant.
    #[must_use]
    pub fn make(kind: HandleKind, grant: &GrantId, secret: &HandleSecret, seals: &Seals) -> Self {
        let mark = seals.mark(kind.prefix(), &[&grant.0, secret]);
        let bytes = [grant.0.as_slice(), secret, &mark].concat();
        Self { text: format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes)), grant: grant.to_string() }
    }

    /// Reads a handle; `None` if this gateway did not make it.
    #[must_use]
    pub fn parse(kind: HandleKind, text: &str, seals: &Seals) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix())?).ok()?;
        let (grant, rest) = bytes.split_first_chunk::<GRANT_BYTES>()?;
        let (secret, mark) = rest.split_first_chunk::<SECRET_BYTES>()?;
        let own = seals.is_marked(kind.prefix(), &[grant, secret], mark);
        own.then(|| Self { text: text.to_owned(), grant: GrantId(*grant).to_string() })
    }

    /// The id of its grant.
    #[must_use]
    pub fn grant(&self) -> &str {
        &self.grant
    }

    /// The text of the handle, to be sent to its client only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The hash that records store instead of the handle.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.text)
    }

    /// The key that only the holder of the handle can derive.
    #[must_use]
    pub fn key(&self) -> SealKey {
        SealKey::of(self.text.as_bytes(), "handle")
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle of {}", self.grant)
    }
}

/// The id of a grant: 128 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantId(pub [u8; GRANT_BYTES]);

impl GrantId {
    /// Reads the text of an id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}
