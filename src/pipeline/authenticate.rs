//! The third stage: who the caller is.

use std::cell::Cell;
use std::rc::Rc;

use crate::limits::{ANONYMOUS_BYTES, LOOKUP_RETRY, REVOCATION_RETRY};
use crate::mcp::era::Era;
use crate::oauth::bearer::{BearerToken, MissingCredentials};
use crate::pipeline::context::RequestContext;
use crate::pipeline::recognized::{Recognized, find};
use crate::pipeline::rejection::{Dependency, Rejection};
use crate::pipeline::route::ResourceRequest;
use crate::pipeline::verification::VerificationContext;
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::time::UnixMillis;
use crate::token::accepted::Verifier;
use crate::token::api_key::ApiKeyVerifier;
use crate::token::binding::proof::{ProofError, SingleUse};
use crate::token::binding::replay::Use;
use crate::token::binding::{self, Binding, Presented, Requirement};
use crate::token::cache::{Digest, TokenCache};
use crate::token::compiled::CompiledVerifiers;
use crate::token::credential::Credential;
use crate::token::custom::ServiceVerifier;
use crate::token::error::TokenError;
use crate::token::introspection::IntrospectionVerifier;
use crate::token::issuer::Issuer;
use crate::token::jwt::JwtVerifier;
use crate::token::principal::Principal;
use crate::token::revocation::copy_age::Due;
use crate::token::revocation::index::{Revocable, RevocationIndexCopy};
use crate::token::selection::{NoCredential, present, select_verifier};
use crate::token::signature::{SignatureCheck, SignatureProof};
use crate::token::verified::VerifiedToken;
use crate::token::verifier::{Evidence, TokenVerifier, Verification, VerifierAnswer};
use crate::transport::head::Method;

/// A request to a resource, from a known caller.
#[derive(Debug)]
pub struct Authenticated {
    request: ResourceRequest,
    principal: Principal,
    source: Option<String>,
    recognized: Option<Recognized>,
    /// The caller's token, if the resource exchanges it for one that its origin server accepts.
    subject_token: Option<BearerToken>,
    /// The second at which the caller was authenticated, in Unix time.
    now: u64,
}

impl Authenticated {
    /// The second at which the caller was authenticated, in Unix time.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Whether the caller presented no credentials.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.principal == Principal::Anonymous
    }

    /// The largest body, in bytes, that the gateway reads of this caller.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        let limit = self.request.resource().body_bytes;
        if self.is_anonymous() { limit.min(ANONYMOUS_BYTES) } else { limit }
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &ResourceRequest {
        &self.request
    }

    /// The caller.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The name in the configuration of the party that vouches for the caller: an issuer, a verifier, or a set of API
    /// keys.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The caller's token, if the resource exchanges it. Send it only to the token endpoint that the configuration names.
    #[must_use]
    pub fn subject_token(&self) -> Option<&BearerToken> {
        self.subject_token.as_ref()
    }

    /// The credential, as a later request may present it again; `None` for anonymous callers.
    #[must_use]
    pub fn recognized(&self) -> Option<&Recognized> {
        self.recognized.as_ref()
    }
}

/// A request whose credential is being verified, and the evidence so far.
#[derive(Debug)]
pub struct Authenticating {
    request: ResourceRequest,
    credential: Credential,
    verifier: Verifier,
    /// The cache key under which the choice of verifier is remembered; `None` if the choice came from the cache.
    choice: Option<Digest>,
    digest: Digest,
    signature: Option<SignatureProof>,
    answer: Option<VerifierAnswer>,
    verified: Option<Rc<VerifiedToken>>,
    /// Whether the cache was asked. It counts a hit or miss once for each request.
    looked_up: Cell<bool>,
    /// Whether the proof that came with the token is valid and was not used before.
    proven: bool,
    /// Whether the records said that this gateway has not revoked the credential.
    stands: bool,
}

impl Authenticating {
    /// The credential.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The verifier of the credential.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The key of the credential in the cache.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The resource that the credential was presented to.
    #[must_use]
    pub fn resource(&self) -> &Rc<Resource> {
        self.request.resource()
    }

    /// The key id that a JWT names, if its verifier is the one that looks for keys.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        let Verifier::Jwt(_) = &self.verifier else { return None };
        self.credential.jws_of(self.verifier.issuer()?).ok()?.kid()
    }

    /// Adds the evidence that a signature is valid.
    #[must_use]
    pub fn with_signature(self: Box<Self>, proof: SignatureProof) -> Box<Self> {
        Box::new(Self { signature: Some(proof), ..*self })
    }

    /// Adds the answer to the look-up of the credential.
    #[must_use]
    pub fn with_answer(self: Box<Self>, answer: VerifierAnswer) -> Box<Self> {
        Box::new(Self { answer: Some(answer), ..*self })
    }

    /// Adds that the proof was not used before.
    #[must_use]
    pub fn with_first_use(self: Box<Self>) -> Box<Self> {
        Box::new(Self { proven: true, ..*self })
    }

    /// Adds that the records, asked at this time, said that this gateway has not revoked the credential.
    #[must_use]
    pub fn with_standing(self: Box<Self>, index: &mut RevocationIndexCopy, asked: UnixMillis) -> Box<Self> {
        if let Some(verified) = &self.verified {
            index.clear(&self.digest, verified, asked);
        }
        Box::new(Self { stands: true, ..*self })
    }

    /// Whether the token itself is verified, so that only its proof remains to be checked.
    #[must_use]
    pub fn is_proving(&self) -> bool {
        self.verified.is_some()
    }

    /// Whether the answer to the look-up of the credential is there.
    #[must_use]
    pub fn has_answer(&self) -> bool {
        self.answer.is_some()
    }

    /// Remembers which verifier the credential belongs to. Call it only for valid credentials, so that callers cannot
    /// fill the memory with invalid ones.
    fn remember_choice(&self, cache: &mut TokenCache) {
        if let Some(choice) = self.choice {
            cache.choose(choice, self.verifier.id());
        }
    }

    /// The dependency without which the gateway cannot know whether the credential is valid.
    #[must_use]
    pub fn dependency(&self) -> Dependency {
        match &self.verifier {
            Verifier::Jwt(_) => Dependency::IssuerKeys,
            Verifier::Introspection(..) => Dependency::Introspection,
            Verifier::ApiKeys(_) => Dependency::ApiKeys,
            Verifier::Custom(_) => Dependency::Verifier,
        }
    }
}

/// The result of [`begin`].
#[derive(Debug)]
pub enum Beginning {
    /// The request has a credential.
    Credential(Box<Authenticating>),
    /// The request has none, and may be for a method that the resource opens to such callers. The next stage finds that
    /// out.
    Anonymous(Box<Authenticated>),
}

/// The result of [`proceed`].
#[derive(Debug)]
pub enum Authentication {
    /// The caller is known.
    Done(Box<Authenticated>),
    /// More evidence is needed to continue.
    EvidenceNeeded(EvidenceNeeded, Box<Authenticating>),
}

/// The evidence that authentication needs.
#[derive(Debug)]
pub enum EvidenceNeeded {
    /// The keys of an issuer.
    Keys(Rc<Issuer>),
    /// The keys of an issuer, which enough other requests fetch already.
    KeysOnTheirWay(Rc<Issuer>),
    /// The result of a signature check.
    Signature(Box<SignatureCheck>),
    /// The answer to a look-up of the credential.
    Answer,
    /// The revocation list.
    Revocations,
    /// What changed in the revocation index.
    RevocationIndex,
    /// Whether this gateway has revoked the credential, which depends on these.
    Standing(Vec<Revocable>, u64),
    /// Whether a proof was used before, in any isolate.
    FirstUse(SingleUse),
}

/// Whether a request without credentials may be for a method that the resource opens to such callers. The modern era names
/// the method in a field too, so the gateway need not read the body to reject other methods.
fn may_be_open(request: &ResourceRequest) -> bool {
    let (resource, head) = (request.resource(), request.admitted().head());
    let named = head.fields.get("mcp-method").filter(|_| request.admitted().era() == Era::Modern);
    !resource.anonymous.is_empty() && head.method == Method::Post && named.is_none_or(|method| resource.is_open(method))
}

/// Reads the credential of a request, and finds its verifier: in the cache, or with [`select_verifier`]. Only a request
/// without any credential can be anonymous: the caller of one that the resource does not accept means to be known.
///
/// # Errors
/// [`Rejection::NoCredentials`], [`Rejection::MalformedCredentials`], or [`Rejection::Token`].
pub fn begin(
    request: ResourceRequest,
    settings: &Settings,
    (key, cache): (&[u8; 16], &mut TokenCache),
    context: &mut RequestContext,
    now: UnixMillis,
) -> Result<Beginning, Rejection> {
    let resource = request.resource();
    if resource.dpop != Requirement::Off {
        context.dpop_nonce = settings.dpop.nonce_key.as_ref().map(|key| key.issue(now));
    }
    let credential = match present(&request.admitted().head().fields, &resource.accepts, resource.dpop) {
        Err(NoCredential::Missing(MissingCredentials::Field)) if may_be_open(&request) => {
            let anonymous = Authenticated {
                request,
                principal: Principal::Anonymous,
                source: None,
                recognized: None,
                subject_token: None,
                now: now.seconds(),
            };
            return Ok(Beginning::Anonymous(Box::new(anonymous)));
        }
        presented => presented?,
    };
    context.scheme = credential.authorization_scheme();
    let fingerprint = credential.fingerprint(key);
    let choice = fingerprint.chosen_at(resource.index);
    let chosen = cache.verifier(&choice).and_then(|id| resource.accepts.find(id));
    let (verifier, choice) = if let Some(verifier) = chosen {
        (verifier, None)
    } else {
        let verifier =
            select_verifier(&credential, &resource.accepts, &settings.verifiers).map_err(Rejection::Token)?;
        (verifier, Some(choice))
    };
    let digest = fingerprint.verified_by(verifier.id(), resource.index);
    context.audit.note_verifier(verifier.name());
    Ok(Beginning::Credential(Box::new(Authenticating {
        request,
        credential,
        verifier,
        choice,
        digest,
        signature: None,
        answer: None,
        verified: None,
        looked_up: Cell::default(),
        proven: false,
        stands: false,
    })))
}

/// Continues authentication as far as the evidence allows. It checks that:
///
/// 1. the credential is in the cache as verified, or is verified now;
/// 2. its times and its audience are valid, at this time and for this resource;
/// 3. it is not revoked;
/// 4. it is bound as the resource requires, and the caller proves possession of what it is bound to.
///
/// # Errors
/// [`Rejection::Token`] or [`Rejection::Proof`] if the credential is not accepted, [`Rejection::Unavailable`] if the
/// gateway cannot know that.
pub fn proceed(
    mut pending: Box<Authenticating>,
    known: &mut VerificationContext<'_>,
    context: &mut RequestContext,
) -> Result<Authentication, Rejection> {
    let (settings, now) = (known.settings, known.now);
    let resource = Rc::clone(pending.resource());
    let verified = match pending.verified.take() {
        Some(verified) => verified,
        None => match recognize(&pending, known, context)? {
            Ok(verified) => verified,
            Err(need) => return Ok(Authentication::EvidenceNeeded(need, pending)),
        },
    };
    if let Err(error) = verified.check(&resource.audiences, now) {
        return Err(Rejection::Token(error));
    }
    if let Some(revocation) = &settings.revocation {
        match known.memory.revocations.age.due(revocation.seconds, now) {
            Due::No | Due::Soon => {}
            Due::Now => {
                pending.verified = Some(verified);
                return Ok(Authentication::EvidenceNeeded(EvidenceNeeded::Revocations, pending));
            }
            Due::Unavailable => {
                return Err(Rejection::unavailable(Dependency::Revocations, REVOCATION_RETRY, String::new()));
            }
        }
        if known.memory.revocations.revokes(&verified) {
            return Err(Rejection::Token(TokenError::Revoked));
        }
    }
    if let Some(need) = look_into_index(&pending, &verified, known)? {
        pending.verified = Some(verified);
        return Ok(Authentication::EvidenceNeeded(need, pending));
    }
    if !pending.proven
        && let Some(need) = bind(&pending, &verified, known)?
    {
        pending.verified = Some(verified);
        return Ok(Authentication::EvidenceNeeded(need, pending));
    }
    context.is_authenticated = true;
    context.audit.note_caller(&verified.subject, &settings.pseudonym_key);
    let principal = Principal::Subject(Rc::clone(&verified.subject));
    let is_exchanged = resource.credential.as_ref().is_some_and(|credential| credential.is_exchanged());
    Ok(Authentication::Done(Box::new(Authenticated {
        request: pending.request,
        principal,
        source: Some(pending.verifier.name().to_owned()),
        recognized: Some(Recognized::new(pending.digest, pending.verifier.issuer().cloned(), verified)),
        subject_token: is_exchanged.then_some(pending.credential.token),
        now: now.seconds(),
    })))
}

/// Checks that this gateway has not revoked a credential: what has to be read or asked to know it.
fn look_into_index(
    pending: &Authenticating,
    verified: &VerifiedToken,
    known: &mut VerificationContext<'_>,
) -> Result<Option<EvidenceNeeded>, Rejection> {
    let Some(settings) = known.settings.revocation_index.as_ref().filter(|_| verified.is_in_index()) else {
        return Ok(None);
    };
    if pending.stands {
        return Ok(None);
    }
    let index = &mut known.memory.revocation_index;
    if settings.seconds > 0 {
        match index.age.due(settings.seconds, known.now) {
            Due::No | Due::Soon => {}
            Due::Now => return Ok(Some(EvidenceNeeded::RevocationIndex)),
            Due::Unavailable => {
                return Err(Rejection::unavailable(Dependency::Revocations, REVOCATION_RETRY, String::new()));
            }
        }
        if !index.is_suspect(&pending.digest, verified) {
            return Ok(None);
        }
    }
    let issued = verified.issued_at().and_then(|issued| u64::try_from(issued).ok()).unwrap_or_default();
    let revocable = Revocable::of(verified, pending.verifier.issuer().map(|issuer| &**issuer));
    Ok(Some(EvidenceNeeded::Standing(revocable, issued)))
}

/// Checks the binding of the token: to a DPoP key, or to a client certificate.
fn bind(
    pending: &Authenticating,
    verified: &VerifiedToken,
    known: &mut VerificationContext<'_>,
) -> Result<Option<EvidenceNeeded>, Rejection> {
    let admitted = pending.request.admitted();
    let presented = Presented {
        credential: &pending.credential,
        head: admitted.head(),
        urls: &|| admitted.urls(known.settings),
        signature: pending.signature.as_ref(),
    };
    let required = pending.resource().binding();
    let bound = binding::check(&presented, verified, required, &known.settings.dpop, known.now)?;
    match bound {
        Binding::Holds => Ok(None),
        Binding::NeedSignature(check) => Ok(Some(EvidenceNeeded::Signature(check))),
        Binding::NeedSingleUse(single) => match use_once(known, &single) {
            Use::Again => Err(Rejection::Proof(ProofError::Replayed)),
            // The Durable Object for all isolates decides, also if the memory of this isolate is full: it has more
            // memory.
            Use::First | Use::Full if known.settings.dpop.replay_binding.is_some() => {
                Ok(Some(EvidenceNeeded::FirstUse(single)))
            }
            Use::Full => {
                let room_in = known.memory.proofs.borrow().room_in(&single, known.now);
                Err(Rejection::unavailable(Dependency::Replay, room_in, "too many proofs".to_owned()))
            }
            Use::First => Ok(None),
        },
    }
}

/// A separate function, so that the borrow of the memory ends before its caller uses the result.
fn use_once(known: &VerificationContext<'_>, single: &SingleUse) -> Use {
    known.memory.proofs.borrow_mut().use_once(single, known.now)
}

/// Finds the credential in the cache, or verifies it and caches the result.
fn recognize(
    pending: &Authenticating,
    known: &mut VerificationContext<'_>,
    context: &mut RequestContext,
) -> Result<Result<Rc<VerifiedToken>, EvidenceNeeded>, Rejection> {
    let now = known.now;
    if pending.answer.is_none() {
        let found = find(&pending.digest, known);
        if !pending.looked_up.replace(true) {
            context.audit.note_cache(found.is_some());
            known.memory.cache.count(found.is_some());
        }
        if let Some(found) = found {
            if found.is_ok() {
                pending.remember_choice(&mut known.memory.cache);
            }
            return found.map(Ok).map_err(Rejection::Token);
        }
    }
    let evidence =
        Evidence { now, keys: known.keys, signature: pending.signature.as_ref(), answer: pending.answer.as_ref() };
    let cache = &mut known.memory.cache;
    let verification = verify(pending, known.settings, known.compiled, &evidence)?;
    match verification {
        Verification::Verified(verified) => {
            let mut verified = *verified;
            if known.settings.revocation_index.is_some() {
                let of = Revocable::of(&verified, pending.verifier.issuer().map(|issuer| &**issuer));
                verified.revocation_buckets = of.iter().map(Revocable::bucket).collect();
            }
            let verified = Rc::new(verified);
            if verified.usable_until > now {
                cache.keep(pending.digest, Rc::clone(&verified));
                pending.remember_choice(cache);
            }
            Ok(Ok(verified))
        }
        Verification::Refused(error) => {
            cache.forget(&pending.digest);
            Err(Rejection::Token(error))
        }
        Verification::RefusedFor(error, seconds) => {
            cache.forget(&pending.digest);
            cache.keep_inactive(pending.digest, error.clone(), seconds, now);
            Err(Rejection::Token(error))
        }
        Verification::NoKeys { retry_after } => {
            Err(Rejection::unavailable(Dependency::IssuerKeys, retry_after, String::new()))
        }
        Verification::Unusable(error) => {
            Err(Rejection::unavailable(pending.dependency(), LOOKUP_RETRY, error.to_string()))
        }
        Verification::NeedKeys | Verification::AwaitKeys => match (pending.verifier.issuer().cloned(), verification) {
            (Some(issuer), Verification::NeedKeys) => Ok(Err(EvidenceNeeded::Keys(issuer))),
            (Some(issuer), _) => Ok(Err(EvidenceNeeded::KeysOnTheirWay(issuer))),
            // A compiled-in verifier may return any value.
            (None, _) => Err(Rejection::Internal("a verifier without an issuer asks for keys")),
        },
        Verification::NeedSignature(check) => Ok(Err(EvidenceNeeded::Signature(check))),
        Verification::NeedAnswer if pending.answer.is_some() => {
            Err(Rejection::Internal("a verifier asks again for an answer that it has"))
        }
        Verification::NeedAnswer => Ok(Err(EvidenceNeeded::Answer)),
    }
}

fn verify(
    pending: &Authenticating,
    settings: &Settings,
    compiled: &CompiledVerifiers,
    evidence: &Evidence<'_>,
) -> Result<Verification, Rejection> {
    let credential = &pending.credential;
    let interests = &settings.interests;
    Ok(match &pending.verifier {
        Verifier::Jwt(issuer) => JwtVerifier { issuer, interests }.verify(credential, evidence),
        Verifier::Introspection(issuer, introspection) => {
            IntrospectionVerifier { issuer, introspection, interests }.verify(credential, evidence)
        }
        Verifier::ApiKeys(set) => {
            ApiKeyVerifier { set, gateway: &settings.public_url.to_string() }.verify(credential, evidence)
        }
        Verifier::Custom(custom) if custom.service.is_some() => {
            let gateway = &settings.public_url.to_string();
            ServiceVerifier { custom, gateway, interests }.verify(credential, evidence)
        }
        Verifier::Custom(custom) => {
            let missing = Rejection::Internal("a verifier is not compiled in");
            let verification = compiled.named(&custom.name).ok_or(missing)?.verify(credential, evidence);
            let until = evidence.now.plus_seconds(custom.cache_seconds);
            match verification {
                Verification::Verified(mut verified) => {
                    verified.usable_until = verified.usable_until.min(until);
                    Verification::Verified(verified)
                }
                other => other,
            }
        }
    })
}
