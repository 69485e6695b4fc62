//! Look-ups of credentials: at authorization servers, custom verifiers and stores.

use std::error::Error;
use std::fmt;

use crate::gateway::open::Gateway;
use crate::jwks::discovery::{Metadata, locations};
use crate::jwks::signing_key;
use crate::limits::{LOOKUP_POLL, PROVIDER_TIMEOUT, RECORD_BYTES, REVOCATION_BYTES, STORE_MILLISECONDS};
use crate::oauth::client_authentication::{self, ClientAuthentication};
use crate::observe::event::gateway_line;
use crate::pipeline::authenticate::Authenticating;
use crate::platform_error::PlatformError;
use crate::ports::Ports;
use crate::provider::{self, ProviderError, discover};
use crate::token::accepted::Verifier;
use crate::token::api_key::{self, ApiKeySet};
use crate::token::cache::Digest;
use crate::token::custom::{self, CustomVerifier};
use crate::token::introspection;
use crate::token::issuer::{Introspection, Issuer};
use crate::token::lookups::{LookupError, LookupStart, LookupTarget};
use crate::token::revocation::list::RevocationError;
use crate::token::verifier::VerifierAnswer;
use crate::transport::url::{HttpUrl, UrlError};

/// Why there is no answer about a credential.
#[derive(Debug)]
pub enum AskError {
    /// The verifier needs no look-up. The pipeline asks for none then.
    NeedsNone,
    /// The issuer identifier is not a URL.
    Issuer(UrlError),
    /// No look-up could begin.
    Lookup(LookupError),
    /// The server that was asked gave no answer that can be used.
    Provider(ProviderError),
    /// The client assertion could not be signed.
    Signature(PlatformError),
    /// The store of this binding could not be read.
    Store(String, PlatformError),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsNone => f.write_str("the verifier needs no look-up"),
            Self::Issuer(error) => error.fmt(f),
            Self::Lookup(error) => error.fmt(f),
            Self::Provider(error) => error.fmt(f),
            Self::Signature(error) => error.fmt(f),
            Self::Store(binding, error) => write!(f, "KV {binding:?}: {error}"),
        }
    }
}

impl Error for AskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NeedsNone => None,
            Self::Issuer(error) => Some(error),
            Self::Lookup(error) => Some(error),
            Self::Provider(error) => Some(error),
            Self::Signature(error) | Self::Store(_, error) => Some(error),
        }
    }
}

/// The name of the look-up for the revocation list: no credential has this digest.
const REVOCATIONS: Digest = [0; 32];

/// Looks the credential up at its verifier or store; `None` if another request got the answer meanwhile, so that it is
/// in the cache.
///
/// # Errors
/// [`AskError`] if there is no answer.
pub(super) async fn ask<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    pending: &Authenticating,
) -> Result<Option<VerifierAnswer>, AskError> {
    let (seconds, shared) = match pending.verifier() {
        Verifier::Jwt(_) => return Err(AskError::NeedsNone),
        Verifier::Introspection(_, asked) => (asked.timeout, asked.cache_seconds > 0),
        Verifier::ApiKeys(_) => (u64::from(STORE_MILLISECONDS / 1000), true),
        Verifier::Custom(custom) => (custom.timeout, custom.cache_seconds > 0),
    };
    let mut about = *pending.digest();
    if !shared {
        // The answer is not cached, so other requests cannot use it: the random name serves only to count the look-up.
        ports.fill(&mut about);
    }
    let whom = LookupTarget::Verifier(pending.verifier().id());
    let known = || gateway.remembers(pending, ports.now());
    if !begin(gateway, ports, (&about, whom), seconds, known).await.map_err(AskError::Lookup)? {
        return Ok(None);
    }
    let answer = match pending.verifier() {
        Verifier::Jwt(_) => Err(AskError::NeedsNone),
        Verifier::Introspection(issuer, asked) => introspect(gateway, ports, pending, (issuer, asked)).await,
        Verifier::ApiKeys(set) => read_record(ports, set, pending).await,
        Verifier::Custom(custom) => {
            let resource = pending.resource().identifier.as_str();
            consult(ports, custom, pending.credential().token.expose(), resource).await
        }
    };
    gateway.memory.borrow_mut().lookups.done(&about);
    answer.map(Some)
}

/// Waits until this request may do the look-up; false if `known` says that it is no longer needed.
pub(super) async fn begin<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    (about, whom): (&Digest, LookupTarget),
    seconds: u64,
    known: impl Fn() -> bool,
) -> Result<bool, LookupError> {
    let deadline = ports.now().plus_seconds(seconds);
    loop {
        // The time of the look-up, and the time to discover its endpoint.
        let lost_after = seconds + 2 * PROVIDER_TIMEOUT + 1;
        let turn = gateway.memory.borrow_mut().lookups.begin(about, whom, lost_after, ports.now());
        match turn {
            LookupStart::Start => return Ok(true),
            LookupStart::TooMany => return Err(LookupError::TooMany),
            LookupStart::InProgress if ports.now() >= deadline => return Err(LookupError::Timeout),
            LookupStart::InProgress => ports.sleep(LOOKUP_POLL).await,
        }
        if known() {
            return Ok(false);
        }
    }
}

async fn introspect<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    pending: &Authenticating,
    (issuer, asked): (&Issuer, &Introspection),
) -> Result<VerifierAnswer, AskError> {
    let state = gateway.issuers.of(issuer);
    let known = asked.endpoint.clone().or_else(|| state.introspection_endpoint.borrow().clone());
    let endpoint = if let Some(endpoint) = known {
        endpoint
    } else {
        let url = HttpUrl::parse(&issuer.identifier).map_err(AskError::Issuer)?;
        let development = gateway.settings.development;
        let wanted = |metadata: &Metadata<'_>| metadata.url("introspection_endpoint");
        let found = discover(ports, locations(&url), (&issuer.identifier, development), wanted).await;
        found.map_err(AskError::Provider)?
    };
    // A template for many issuers has no identifier of its own.
    let audience = if issuer.is_template() { &endpoint } else { &issuer.identifier };
    let assertion = client_assertion(ports, asked, audience).await.map_err(AskError::Signature)?;
    let token = pending.credential().token.expose();
    let request = introspection::request(asked, &endpoint, token, assertion.as_deref());
    let answer = provider::ask(ports, &request).await;
    // The endpoint may have moved: after a failure the next look-up discovers it again.
    *state.introspection_endpoint.borrow_mut() = answer.is_ok().then_some(endpoint);
    answer.map(VerifierAnswer::Provider).map_err(AskError::Provider)
}

/// The audience is the issuer identifier, which every authorization server must accept (RFC 7523 §3 as updated: an
/// endpoint URL as audience would let one server use the assertion at another).
async fn client_assertion<P: Ports>(
    ports: &P,
    asked: &Introspection,
    audience: &str,
) -> Result<Option<String>, PlatformError> {
    let ClientAuthentication::PrivateKeyJwt(key) = &asked.authentication else { return Ok(None) };
    let mut random = [0; 16];
    ports.fill(&mut random);
    let input = client_authentication::client_assertion(&asked.client_id, key, audience, &random, ports.now());
    let signature = ports.sign(key, input.as_bytes()).await?;
    Ok(Some(signing_key::assemble(&input, &signature)))
}

async fn consult<P: Ports>(
    ports: &P,
    custom: &CustomVerifier,
    token: &str,
    resource: &str,
) -> Result<VerifierAnswer, AskError> {
    if custom.service.is_none() {
        return Err(AskError::NeedsNone);
    }
    let answer = provider::ask(ports, &custom::request(custom, token, resource)).await;
    answer.map(VerifierAnswer::Provider).map_err(AskError::Provider)
}

async fn read_record<P: Ports>(
    ports: &P,
    set: &ApiKeySet,
    pending: &Authenticating,
) -> Result<VerifierAnswer, AskError> {
    let Some((id, _)) = api_key::split(pending.credential().token.expose(), &set.prefix) else {
        return Ok(VerifierAnswer::Record(None));
    };
    let binding = set.kv.as_ref().ok_or(AskError::NeedsNone)?;
    let record = ports.read(binding, &api_key::store_key(&set.prefix, id), RECORD_BYTES).await;
    record.map(VerifierAnswer::Record).map_err(|error| AskError::Store(binding.clone(), error))
}

/// Reads the revocation list; returns whether this isolate has a current one now.
pub(super) async fn read_revocations<P: Ports>(gateway: &Gateway, ports: &P) -> bool {
    let Some(revocation) = &gateway.settings.revocation else { return false };
    let fresh = || {
        let due = gateway.memory.borrow().revocations.age.due(revocation.seconds, ports.now());
        matches!(due, crate::token::revocation::copy_age::Due::No)
    };
    let seconds = u64::from(STORE_MILLISECONDS / 1000);
    let unavailable = |why: RevocationError| {
        let detail = format!("KV {:?}, key {:?}: {why}", revocation.kv, revocation.key);
        ports.line(&gateway_line("error", "revocations_unavailable", &detail, ports.now()));
        false
    };
    match begin(gateway, ports, (&REVOCATIONS, LookupTarget::Revocations), seconds, fresh).await {
        Ok(true) => {}
        Ok(false) => return true,
        Err(error) => return unavailable(RevocationError::Lookup(error)),
    }
    let asked = ports.now();
    let document = ports.read(&revocation.kv, &revocation.key, REVOCATION_BYTES).await;
    gateway.memory.borrow_mut().lookups.done(&REVOCATIONS);
    let now = ports.now();
    match gateway.store_revocations(document, asked, now) {
        Ok(_) => true,
        Err(error) => unavailable(error),
    }
}
