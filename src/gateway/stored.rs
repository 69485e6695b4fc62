//! A gateway whose configuration is in KV: when it is looked for, and what becomes of what is found.

use std::rc::Rc;

use base16ct::lower::encode_string as hex;
use sha2::{Digest as _, Sha256};

use crate::config::{Mistakes, Secrets, Stored};
use crate::gateway::open::Gateway;
use crate::limits::STORED_RETRY;
use crate::pipeline::authenticate::Compiled;
use crate::strict_json;
use crate::time::UnixMillis;

/// The gateway of an isolate, and the version of its configuration.
#[derive(Debug)]
pub struct StoredGateway {
    stored: Stored,
    salt: [u8; 32],
    current: Option<(Rc<Gateway>, String)>,
    /// The last version with a mistake: it is not said again.
    refused: Option<String>,
    /// When it was last looked for, and whether that came to something.
    asked: Option<(UnixMillis, bool)>,
}

/// Whether the configuration has to be looked for.
#[derive(Debug)]
pub enum ConfigState {
    /// There is none yet: the request has to wait for it.
    First,
    /// There is one, which goes on meanwhile; it has been looked for long ago.
    Again(Rc<Gateway>),
    /// There is one.
    No(Rc<Gateway>),
    /// There is none, and there was none a moment ago.
    Failed,
}

/// What became of a document.
#[derive(Debug)]
pub enum ReloadOutcome {
    /// It is the one that is in force.
    Same,
    /// It is in force from here on.
    Activated(Rc<Gateway>, String),
    /// It has mistakes, and changes nothing; said once.
    Refused(Mistakes, String),
    /// It could not be had, and nothing changes.
    Unavailable(String),
}

impl StoredGateway {
    /// Nothing has been looked for yet. `salt` is 32 unpredictable bytes.
    #[must_use]
    pub fn new(stored: Stored, salt: [u8; 32]) -> Self {
        Self { stored, salt, current: None, refused: None, asked: None }
    }

    /// Where the document is.
    #[must_use]
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Whether the configuration has to be looked for. Whoever is told so first leads, and the others go on.
    pub fn due(&mut self, now: UnixMillis) -> ConfigState {
        let waited = |seconds: u64| self.asked.is_none_or(|(asked, _)| now.since(asked) >= seconds * 1000);
        let retry = self.asked.is_some_and(|(_, good)| !good) && waited(STORED_RETRY);
        match &self.current {
            Some((gateway, _)) if waited(self.stored.seconds) || retry => {
                let gateway = Rc::clone(gateway);
                self.asked = Some((now, true));
                ConfigState::Again(gateway)
            }
            Some((gateway, _)) => ConfigState::No(Rc::clone(gateway)),
            // Requests that come while the first is still looking look too: nobody can wait for another's question.
            None if self.asked.is_none() || retry => ConfigState::First,
            None => ConfigState::Failed,
        }
    }

    /// Takes what KV gave. `fits` says what the Worker lacks that a configuration needs.
    pub fn take(
        &mut self,
        document: Result<Option<Vec<u8>>, String>,
        (secrets, compiled): (&dyn Secrets, Compiled),
        fits: &dyn Fn(&Gateway) -> Result<(), Mistakes>,
        now: UnixMillis,
    ) -> ReloadOutcome {
        let at = || format!("KV {:?}, key {:?}", self.stored.kv, self.stored.key);
        let document = document.and_then(|found| found.ok_or_else(|| "there is no such key".to_owned()));
        let document = match document.map_err(|why| format!("{}: {why}", at())) {
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
                // With one in force there is no hurry; without, it may be mended any moment.
                self.asked = Some((now, self.current.is_some()));
                if self.refused.as_ref() == Some(&version) {
                    return ReloadOutcome::Same;
                }
                self.refused = Some(version.clone());
                ReloadOutcome::Refused(mistakes, version)
            }
        }
    }

    /// The gateway in force.
    #[must_use]
    pub fn current(&self) -> Option<Rc<Gateway>> {
        self.current.as_ref().map(|(gateway, _)| Rc::clone(gateway))
    }
}

/// The version of a document: the beginning of its SHA-256.
#[must_use]
pub fn version(document: &[u8]) -> String {
    Sha256::digest(document).get(..8).map(hex).unwrap_or_default()
}
