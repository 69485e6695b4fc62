//! Stage 3 of a request: the caller.

use crate::gateway::lookups::AskError;
use crate::platform_error::PlatformError;
use std::rc::Rc;

use crate::gateway::active_request::{Action, ActiveRequest, CheckingSignature, Suspended};
use crate::gateway::inquiry::Inquiry;
use crate::gateway::issuer_state::IssuerState;
use crate::gateway::keys::{KeySource, fetch_keys};
use crate::gateway::lookups::read_revocations;
use crate::gateway::open::Gateway;
use crate::gateway::revocation_index;
use crate::jwks::freshness::Freshness;
use crate::jwks::key_set::NoKey;
use crate::limits::{JWKS_RETRY, LOOKUP_RETRY, REVOCATION_RETRY};
use crate::observe::event::gateway_line;
use crate::pipeline::authenticate::{self, Authenticating, Authentication, Beginning, EvidenceNeeded};
use crate::pipeline::rejection::{Dependency, Rejection};
use crate::pipeline::route::ResourceRequest;
use crate::pipeline::verification::VerificationContext;
use crate::ports::Ports;
use crate::time::UnixMillis;
use crate::token::binding::proof::ProofError;
use crate::token::binding::replay::Use;
use crate::token::error::TokenError;
use crate::token::issuer::Issuer;
use crate::token::revocation::copy_age::Due;
use crate::token::signature::SignatureCheck;
use crate::token::verifier::VerifierAnswer;

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// Reads the credential.
    pub(super) fn present(&mut self, request: ResourceRequest) -> Result<Beginning, Rejection> {
        let cache = &mut self.gateway.memory.borrow_mut().cache;
        let (settings, now) = (&self.gateway.settings, self.ports.now());
        authenticate::begin(request, settings, (&self.gateway.credentials_key(), cache), &mut self.context, now)
    }

    /// Verifies the credential, as far as the evidence allows.
    pub(super) fn verify(mut self, pending: Box<Authenticating>) -> Action {
        let (gateway, now) = (self.gateway, self.ports.now());
        let issuer = pending.verifier().issuer();
        let state = issuer.map(|issuer| gateway.issuers.of(issuer));
        self.refresh(issuer.zip(state.as_deref()), now);
        let reached = {
            let keys = state.as_ref().map(|state| state.keys.borrow());
            let mut memory = gateway.memory.borrow_mut();
            let (settings, compiled) = (&gateway.settings, &gateway.compiled);
            let mut known = VerificationContext { settings, keys: keys.as_deref(), compiled, memory: &mut memory, now };
            authenticate::proceed(pending, &mut known, &mut self.context)
        };
        let (need, pending) = match reached {
            Ok(Authentication::Done(caller)) => return self.authenticated(*caller),
            Ok(Authentication::EvidenceNeeded(need, pending)) => (need, pending),
            Err(rejection) => return self.refuse(rejection),
        };
        let inquiry = match need {
            EvidenceNeeded::Signature(check) => {
                return self.wait(CheckingSignature { check, pending }, Action::CheckSignature);
            }
            EvidenceNeeded::Keys(issuer) => {
                let state = gateway.issuers.of(&issuer);
                let mut keys = state.keys.borrow_mut();
                keys.attempted(now);
                if keys.keys().is_some() && matches!(keys.freshness(now), Freshness::Use | Freshness::UseAndRefresh) {
                    // The gateway has keys, but not the requested one.
                    keys.looking();
                }
                drop(keys);
                Inquiry::Keys(issuer)
            }
            EvidenceNeeded::KeysOnTheirWay(issuer) => Inquiry::KeysOnTheirWay(issuer),
            EvidenceNeeded::Answer => Inquiry::Verifier,
            EvidenceNeeded::Revocations => Inquiry::Revocations,
            EvidenceNeeded::RevocationIndex => Inquiry::RevocationIndex,
            EvidenceNeeded::Standing(of, second) => Inquiry::Standing(of, second),
            EvidenceNeeded::FirstUse(single) => Inquiry::FirstUse(single),
        };
        self.wait(pending, |request| Action::Inquire(inquiry, request))
    }

    /// Refreshes keys, the revocation list and the revocation index in the background before they are too old. The first request to get here
    /// leads the refresh; later requests see the recorded attempt.
    fn refresh(&self, issuer: Option<(&Rc<Issuer>, &IssuerState)>, now: UnixMillis) {
        let gateway = self.gateway;
        if let Some((issuer, state)) = issuer {
            let is_due = state.keys.borrow().freshness(now) == Freshness::UseAndRefresh;
            if is_due {
                state.keys.borrow_mut().attempted(now);
                let (gateway, ports, issuer) = (Rc::clone(gateway), self.ports.clone(), Rc::clone(issuer));
                self.ports.spawn(Box::pin(async move {
                    fetch_keys(&gateway, &ports, &issuer).await;
                }));
            }
        }
        let index = gateway.settings.revocation_index.as_ref().filter(|index| index.seconds > 0);
        if let Some(index) = index.filter(|_| issuer.is_some_and(|(issuer, _)| issuer.is_in_index())) {
            let is_due = gateway.memory.borrow().revocation_index.age.due(index.seconds, now) == Due::Soon;
            if is_due {
                gateway.memory.borrow_mut().revocation_index.age.attempted(now);
                let (gateway, ports) = (Rc::clone(gateway), self.ports.clone());
                self.ports.spawn(Box::pin(async move {
                    revocation_index::read(&gateway, &ports).await;
                }));
            }
        }
        if let Some(revocation) = &gateway.settings.revocation {
            let is_due = gateway.memory.borrow().revocations.age.due(revocation.seconds, now) == Due::Soon;
            if is_due {
                gateway.memory.borrow_mut().revocations.age.attempted(now);
                let (gateway, ports) = (Rc::clone(gateway), self.ports.clone());
                self.ports.spawn(Box::pin(async move {
                    read_revocations(&gateway, &ports).await;
                }));
            }
        }
    }
}

impl Suspended<Box<Authenticating>> {
    /// Continues with the keys of the issuer, or rejects the request if they are unavailable.
    #[must_use]
    pub fn keys_fetched<P: Ports + Clone + 'static>(self, gateway: &Rc<Gateway>, ports: &P, keys: KeySource) -> Action {
        let (active, pending) = self.resume(gateway, ports);
        match keys {
            KeySource::Fetched => {
                gateway.remember_if_unknown(&pending, ports.now());
                active.verify(pending)
            }
            KeySource::Recalled => active.verify(pending),
            KeySource::None => active.refuse(Rejection::unavailable(Dependency::IssuerKeys, JWKS_RETRY, String::new())),
        }
    }

    /// Continues with the answer about the credential; `None` if another request got it meanwhile and it is in the
    /// cache.
    #[must_use]
    pub fn verifier_answered<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        answer: Result<Option<VerifierAnswer>, AskError>,
    ) -> Action {
        let (active, pending) = self.resume(gateway, ports);
        match answer {
            Ok(Some(answer)) => active.verify(pending.with_answer(answer)),
            Ok(None) => active.verify(pending),
            Err(error) => active.refuse(Rejection::unavailable(pending.dependency(), LOOKUP_RETRY, error.to_string())),
        }
    }

    /// Continues if the revocation list could be read, and rejects the request otherwise.
    #[must_use]
    pub fn revocations_read<P: Ports + Clone + 'static>(self, gateway: &Rc<Gateway>, ports: &P, got: bool) -> Action {
        let (active, pending) = self.resume(gateway, ports);
        if got {
            active.verify(pending)
        } else {
            active.refuse(Rejection::unavailable(Dependency::Revocations, REVOCATION_RETRY, String::new()))
        }
    }

    /// Continues if this gateway has not revoked the credential, as the records asked at this time said.
    #[must_use]
    pub fn standing_answered<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        asked: UnixMillis,
        revoked: Result<bool, PlatformError>,
    ) -> Action {
        let (active, pending) = self.resume(gateway, ports);
        match revoked {
            Ok(false) => {
                let pending = pending.with_standing(&mut gateway.memory.borrow_mut().revocation_index, asked);
                active.verify(pending)
            }
            Ok(true) => {
                gateway.memory.borrow_mut().cache.forget(pending.digest());
                active.refuse(Rejection::Token(TokenError::Revoked))
            }
            Err(error) => {
                active.refuse(Rejection::unavailable(Dependency::Revocations, REVOCATION_RETRY, error.to_string()))
            }
        }
    }

    /// Continues with the answer of the replay guard that all isolates share.
    #[must_use]
    pub fn proof_used<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        used: Result<Use, PlatformError>,
    ) -> Action {
        let (active, pending) = self.resume(gateway, ports);
        let unavailable = |why| Rejection::unavailable(Dependency::Replay, LOOKUP_RETRY, why);
        match used {
            Ok(Use::First) => active.verify(pending.with_first_use()),
            Ok(Use::Again) => active.refuse(Rejection::Proof(ProofError::Replayed)),
            Ok(Use::Full) => active.refuse(unavailable("too many proofs".to_owned())),
            Err(error) => active.refuse(unavailable(error.to_string())),
        }
    }
}

impl Suspended<CheckingSignature> {
    /// The signature to check.
    #[must_use]
    pub fn check(&self) -> &SignatureCheck {
        &self.stage().check
    }

    /// Continues with the result of the check; an error means that the check itself failed.
    #[must_use]
    pub fn signature_checked<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        verdict: Result<bool, PlatformError>,
    ) -> Action {
        let (active, CheckingSignature { check, pending }) = self.resume(gateway, ports);
        if let Err(why) = &verdict {
            ports.line(&gateway_line("warn", "signature_check_failed", &why.to_string(), ports.now()));
        }
        let proof = pending.is_proving();
        let refusal = |token, of_proof| if proof { Rejection::Proof(of_proof) } else { Rejection::Token(token) };
        match verdict.map(|good| check.answered(good)) {
            Ok(Ok(good)) => active.verify(pending.with_signature(good)),
            // If an introspection response has a wrong signature, the gateway knows nothing about the token.
            _ if !proof && pending.has_answer() => {
                let why = "the answer's signature is wrong".to_owned();
                active.refuse(Rejection::unavailable(pending.dependency(), LOOKUP_RETRY, why))
            }
            Ok(Err(error)) => active.refuse(refusal(error, ProofError::Signature)),
            // WebCrypto rejects some keys that are well-formed, such as points that are not on their curve.
            Err(_) => active.refuse(refusal(TokenError::Key(NoKey::Unusable), ProofError::Key)),
        }
    }
}

impl Gateway {
    /// Remembers a key id as unknown if the keys that the issuer just sent do not contain it.
    fn remember_if_unknown(&self, pending: &Authenticating, now: UnixMillis) {
        let state = pending.verifier().issuer().map(|issuer| self.issuers.of(issuer));
        let (Some(state), Some(kid)) = (state, pending.kid()) else { return };
        let mut keys = state.keys.borrow_mut();
        if keys.keys().is_some_and(|keys| !keys.knows(kid)) {
            keys.remember_unknown(kid, now);
        }
    }

    /// Whether the cache has the credential by now.
    pub(super) fn remembers(&self, pending: &Authenticating, now: UnixMillis) -> bool {
        let cache = &mut self.memory.borrow_mut().cache;
        cache.verified(pending.digest(), now).is_some() || cache.inactive(pending.digest(), now).is_some()
    }
}
