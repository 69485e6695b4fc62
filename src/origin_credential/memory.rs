//! The tokens for origin servers that an isolate keeps, and which of them origin servers refused.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::limits::{
    NEGATIVE_SECONDS, OBTAIN_FAILURES, OBTAIN_RETRY, OBTAINED_BYTES, OBTAINED_ENTRIES, REFUSED_TOKEN_SECONDS,
};
use crate::origin_credential::failure::{Meaning, ObtainError};
use crate::origin_credential::{AttachedCredential, Holder, ObtainedToken, OriginCredential, UsedCredential};
use crate::time::UnixMillis;
use crate::token::cache::{Digest, Generations};

/// A failure, and until when the gateway does not try again.
type Failure = (Rc<ObtainError>, UnixMillis);

/// What the gateway has for a request.
#[derive(Debug)]
pub enum Known {
    /// A credential. If `refresh` is true, a new token should be obtained in the background.
    Usable(UsedCredential, bool),
    /// No token, and the last attempt failed a moment ago.
    Failed(Rc<ObtainError>),
    /// No token.
    Nothing,
}

/// The tokens and what is known about them, by the index of the resource in the configuration.
#[derive(Debug)]
pub struct OriginTokens {
    /// The gateway's own tokens. They are apart, so that those of callers evict none of them.
    own: BTreeMap<usize, Rc<ObtainedToken>>,
    own_failures: BTreeMap<usize, Failure>,
    /// Tokens for callers, and failures to get one. A key depends on the caller's token and on the resource.
    callers: Generations<Rc<ObtainedToken>>,
    failures: Generations<Failure>,
    /// The place of the static value that the origin server accepted last.
    accepted: BTreeMap<usize, usize>,
    /// When an origin server last refused a token of the gateway: a token that was shared before is not used.
    refused: BTreeMap<usize, UnixMillis>,
    /// The token of each caller that an origin server refused last.
    refused_of_callers: Generations<RefusedToken>,
}

/// A token that an origin server refused.
#[derive(Debug, Clone)]
pub struct RefusedToken {
    token: Rc<ObtainedToken>,
    /// When it was refused.
    pub at: UnixMillis,
}

impl RefusedToken {
    /// Whether it is this token.
    #[must_use]
    pub fn is(&self, token: &ObtainedToken) -> bool {
        self.token.value == token.value
    }
}

impl Default for OriginTokens {
    fn default() -> Self {
        Self {
            own: BTreeMap::new(),
            own_failures: BTreeMap::new(),
            callers: Generations::new(OBTAINED_ENTRIES, OBTAINED_BYTES, |token| token.bytes()),
            failures: Generations::new(OBTAIN_FAILURES, usize::MAX, |_| size_of::<Failure>()),
            accepted: BTreeMap::new(),
            refused: BTreeMap::new(),
            refused_of_callers: Generations::new(OBTAIN_FAILURES, OBTAINED_BYTES, |refused| refused.token.bytes()),
        }
    }
}

impl OriginTokens {
    /// What the gateway has for a request to a resource.
    pub fn known(&mut self, credential: &OriginCredential, resource: usize, holder: Holder, now: UnixMillis) -> Known {
        if let OriginCredential::Static(_) = credential {
            return Known::Usable(UsedCredential::Static(self.accepted.get(&resource).copied().unwrap_or(0)), false);
        }
        let failure = self.failure(resource, holder, now);
        match (self.token(resource, holder).filter(|token| now < token.usable_until), failure) {
            (Some(token), failure) => {
                let refresh = now >= token.refresh_at && failure.is_none();
                Known::Usable(UsedCredential::Token(holder, token), refresh)
            }
            (None, Some(failure)) => Known::Failed(failure),
            (None, None) => Known::Nothing,
        }
    }

    fn token(&mut self, resource: usize, holder: Holder) -> Option<Rc<ObtainedToken>> {
        match holder {
            Holder::Gateway => self.own.get(&resource).cloned(),
            Holder::Caller(digest) => self.callers.get(&digest),
        }
    }

    fn failure(&mut self, resource: usize, holder: Holder, now: UnixMillis) -> Option<Rc<ObtainError>> {
        let failure = match holder {
            Holder::Gateway => self.own_failures.get(&resource).cloned(),
            Holder::Caller(digest) => self.failures.get(&digest),
        };
        failure.filter(|(_, until)| now < *until).map(|(error, _)| error)
    }

    /// Whether a token that was obtained at a time may be taken over from another isolate.
    #[must_use]
    pub fn may_recall(&self, resource: usize, obtained: UnixMillis) -> bool {
        self.refused.get(&resource).is_none_or(|refused| *refused < obtained)
    }

    /// The token of a holder that the origin server refused last.
    pub fn refused_token(&mut self, holder: Holder) -> Option<RefusedToken> {
        match holder {
            Holder::Gateway => None,
            Holder::Caller(digest) => self.refused_of_callers.get(&digest),
        }
    }

    /// Keeps a token.
    pub fn keep(&mut self, resource: usize, holder: Holder, token: Rc<ObtainedToken>) {
        match holder {
            Holder::Gateway => {
                self.own_failures.remove(&resource);
                self.own.insert(resource, token);
            }
            Holder::Caller(digest) => {
                self.failures.remove(&digest);
                self.callers.insert(digest, token);
            }
        }
    }

    /// Keeps a failure, so that the requests that follow do not each ask the token endpoint.
    pub fn failed(&mut self, resource: usize, holder: Holder, error: &Rc<ObtainError>, now: UnixMillis) {
        if let (ObtainError::NotConnected, Holder::Caller(digest)) = (&**error, holder) {
            self.callers.remove(&digest);
        }
        // Each request may find out for itself that too many ask, and whether the user is connected by now.
        if matches!(**error, ObtainError::Lookup(_) | ObtainError::NotConnected) {
            return;
        }
        let seconds = match error.meaning(true) {
            Meaning::Temporary => OBTAIN_RETRY,
            Meaning::CallerRefused | Meaning::Permanent => NEGATIVE_SECONDS,
        };
        let failure = (Rc::clone(error), now.plus_seconds(seconds));
        match holder {
            Holder::Gateway => {
                self.own_failures.insert(resource, failure);
            }
            Holder::Caller(digest) => self.failures.insert(digest, failure),
        }
    }

    /// Records that the origin server refused a credential. Returns whether the next request, or a repetition of this one, has
    /// another one. A token that was obtained a moment ago stays: an origin server that refuses every token must not make the
    /// gateway ask for a new one with each request.
    pub fn refused(&mut self, attached: &AttachedCredential, now: UnixMillis) -> bool {
        let resource = attached.resource;
        match &attached.used {
            UsedCredential::Static(place) => {
                let OriginCredential::Static(fields) = &*attached.credential else { return false };
                let values = fields.iter().map(|field| field.values.len()).max().unwrap_or(1);
                let accepted = self.accepted.entry(resource).or_insert(*place);
                if *accepted == *place {
                    *accepted = (*place + 1) % values;
                }
                values > 1
            }
            UsedCredential::Token(holder, token) => {
                let current = self.token(resource, *holder);
                // Another request has replaced it already.
                if current.as_ref().is_some_and(|current| !Rc::ptr_eq(current, token)) {
                    return true;
                }
                if now < token.obtained.plus_seconds(REFUSED_TOKEN_SECONDS) {
                    return false;
                }
                match holder {
                    Holder::Gateway => {
                        self.own.remove(&resource);
                        self.refused.insert(resource, now);
                    }
                    Holder::Caller(digest) => {
                        self.callers.remove(digest);
                        let refused = RefusedToken { token: Rc::clone(token), at: now };
                        self.refused_of_callers.insert(*digest, refused);
                    }
                }
                true
            }
        }
    }

    /// Forgets the token that was used: the user is about to get another one.
    pub fn forget(&mut self, attached: &AttachedCredential) {
        if let UsedCredential::Token(Holder::Caller(digest), _) = &attached.used {
            self.callers.remove(digest);
        }
    }

    /// Whether a request would get this credential again, and it needs no refresh.
    pub fn is_current(&mut self, attached: &AttachedCredential, now: UnixMillis) -> bool {
        let resource = attached.resource;
        match &attached.used {
            UsedCredential::Static(place) => self.accepted.get(&resource).copied().unwrap_or(0) == *place,
            UsedCredential::Token(holder, token) => {
                now < token.refresh_at
                    && self.token(resource, *holder).is_some_and(|current| Rc::ptr_eq(&current, token))
            }
        }
    }
}

/// The name of a token in the list of look-ups in progress.
#[must_use]
pub fn lookup_name(resource: usize, holder: Holder) -> Digest {
    match holder {
        // No credential of a caller has a digest of this form: see `Fingerprint`.
        Holder::Gateway => {
            let mut name = [0xff; 32];
            let index = u32::try_from(resource).unwrap_or(u32::MAX).to_be_bytes();
            name.iter_mut().zip(index).for_each(|(byte, part)| *byte = part);
            name
        }
        Holder::Caller(digest) => digest,
    }
}
