//! A gateway whose configuration is in KV: when the gateway reads it, and what it does with it.

use crate::platform_error::PlatformError;
use std::rc::Rc;

use base16ct::lower::encode_string as hex;
use sha2::{Digest as _, Sha256};

use crate::config::{Mistakes, Secrets, StoredDocument};
use crate::gateway::open::Gateway;
use crate::limits::STORED_RETRY;
use crate::strict_json;
use crate::time::UnixMillis;
use crate::token::compiled::CompiledVerifiers;

/// The gateway of an isolate, and the version of its configuration.
#[derive(Debug)]
pub struct StoredGateway {
    stored: StoredDocument,
    salt: [u8; 32],
    current: Option<(Rc<Gateway>, String)>,
    /// The last version with a mistake. Its mistakes are logged only once.
    refused: Option<String>,
    /// When it was last read, and whether that succeeded.
    asked: Option<(UnixMillis, bool)>,
}

/// Whether the configuration has to be read from KV.
#[derive(Debug)]
pub enum ConfigState {
    /// No configuration is in effect yet: the request has to wait for it.
    Missing,
    /// A configuration is in effect and serves this request; it has to be read again in the background.
    ReloadDue(Rc<Gateway>),
    /// A configuration is in effect, and does not have to be read again yet.
    Current(Rc<Gateway>),
    /// No configuration is in effect, and the last attempt to read one failed a moment ago.
    Unavailable,
}

/// The result of reading a document.
#[derive(Debug)]
pub enum ReloadOutcome {
    /// The document is the one in effect, or was rejected before.
    Same,
    /// The document takes effect now.
    Activated(Rc<Gateway>, String),
    /// The document has mistakes, and changes nothing. This is returned once for each version.
    Refused(Mistakes, String),
    /// The document could not be read, and nothing changes.
    Unavailable(String),
}

impl StoredGateway {
    /// The state before the configuration was read. `salt` is 32 unpredictable bytes.
    #[must_use]
    pub fn new(stored: StoredDocument, salt: [u8; 32]) -> Self {
        Self { stored, salt, current: None, refused: None, asked: None }
    }

    /// The location of the document.
    #[must_use]
    pub fn stored(&self) -> &StoredDocument {
        &self.stored
    }

    /// Whether the configuration has to be read. The first request that gets [`ConfigState::ReloadDue`] leads the reload;
    /// later requests see the recorded attempt.
    pub fn due(&mut self, now: UnixMillis) -> ConfigState {
        let waited = |seconds: u64| self.asked.is_none_or(|(asked, _)| now.since(asked) >= seconds * 1000);
        let retry = self.asked.is_some_and(|(_, good)| !good) && waited(STORED_RETRY);
        match &self.current {
            Some((gateway, _)) if waited(self.stored.seconds) || retry => {
                let gateway = Rc::clone(gateway);
                self.asked = Some((now, true));
                ConfigState::ReloadDue(gateway)
            }
            Some((gateway, _)) => ConfigState::Current(Rc::clone(gateway)),
            // Requests that arrive during the first read also read the document: no request can wait for the I/O of
            // another.
            None if self.asked.is_none() || retry => ConfigState::Missing,
            None => ConfigState::Unavailable,
        }
    }

    /// Takes the document that KV returned. `fits` reports the bindings that a configuration needs and the Worker does
    /// not have.
    pub fn apply_document(
        &mut self,
        document: Result<Option<Vec<u8>>, PlatformError>,
        (secrets, compiled): (&dyn Secrets, CompiledVerifiers),
        fits: &dyn Fn(&Gateway) -> Result<(), Mistakes>,
        now: UnixMillis,
    ) -> ReloadOutcome {
        let at = || format!("KV {:?}, key {:?}", self.stored.kv, self.stored.key);
        let document = document.and_then(|found| found.ok_or_else(|| "there is no such key".into()));
        let document = match document.map_err(|error| format!("{}: {error}", at())) {
            Ok(document) => document,
            Err(why) => {
                self.asked = Some((now, false));
                return ReloadOutcome::Unavailable(why);
            }
        };
        let version = version(&document);
        if self.current.as_ref().is_some_and(|(_, current)| *current == version) {
            self.asked = Some((now, true));
            self.refused = None;
            return ReloadOutcome::Same;
        }
        let read = strict_json::parse(&document)
            .map_err(|error| Mistakes::of("PORTCULLIS", format_args!("must be JSON; the stored document is {error}")));
        let opened = read.and_then(|document| match &self.current {
            Some((gateway, _)) => gateway.after(document, secrets, compiled),
            None => Gateway::open(document, secrets, self.salt, compiled),
        });
        let opened = opened.and_then(|gateway| fits(&gateway).map(|()| gateway));
        match opened {
            Ok(mut gateway) => {
                gateway.version = Some(version.clone());
                let gateway = Rc::new(gateway);
                self.asked = Some((now, true));
                self.refused = None;
                self.current = Some((Rc::clone(&gateway), version.clone()));
                ReloadOutcome::Activated(gateway, version)
            }
            Err(mistakes) => {
                // With a configuration in effect, the next attempt is due after the interval; without one, it is due
                // after the retry time, because an operator may correct the mistake at any moment.
                self.asked = Some((now, self.current.is_some()));
                if self.refused.as_ref() == Some(&version) {
                    return ReloadOutcome::Same;
                }
                self.refused = Some(version.clone());
                ReloadOutcome::Refused(mistakes, version)
            }
        }
    }

    /// The gateway in effect.
    #[must_use]
    pub fn current(&self) -> Option<Rc<Gateway>> {
        self.current.as_ref().map(|(gateway, _)| Rc::clone(gateway))
    }
}

/// The version of a document: the first 64 bits of its SHA-256.
#[must_use]
pub fn version(document: &[u8]) -> String {
    Sha256::digest(document).get(..8).map(hex).unwrap_or_default()
}
