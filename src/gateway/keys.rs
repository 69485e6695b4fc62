//! The keys of issuers: from the data-center (colo) cache, otherwise from the issuer.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::gateway::issuer_state::IssuerState;
use crate::gateway::open::Gateway;
use crate::jwks::discovery::{Metadata, locations};
use crate::jwks::key_set::KeySet;
use crate::limits::{JWKS_KEYS, JWKS_STALE};
use crate::observe::event::gateway_line;
use crate::ports::Ports;
use crate::provider::{self, FetchedKeys, ProviderError, discover};
use crate::strict_json;
use crate::time::UnixMillis;
use crate::token::issuer::{Issuer, IssuerKeys};

/// A key set in the form in which isolates of one data center share it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SharedKeys {
    /// The text of the JWK set.
    jwks: String,
    /// The end of its freshness, in milliseconds since the epoch.
    fresh_until: u64,
}

/// Where the keys of an issuer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// They are unavailable.
    None,
    /// From the cache of the data center, or fetched for another request: the issuer may have more keys by now.
    Recalled,
    /// From the issuer: it has exactly these keys.
    Fetched,
}

/// Waits while enough other requests look for a new key.
pub(super) async fn await_keys<P: Ports>(gateway: &Gateway, ports: &P, issuer: &Issuer) -> KeySource {
    provider::await_keys(ports, &gateway.issuers.of(issuer).keys).await;
    KeySource::Recalled
}

/// Fetches the keys of an issuer and stores them. The active request has recorded the attempt before. If the fetch fails, the old
/// keys stay.
pub(super) async fn fetch_keys<P: Ports + Clone + 'static>(gateway: &Gateway, ports: &P, issuer: &Issuer) -> KeySource {
    let state = gateway.issuers.of(issuer);
    // Only an isolate without keys uses those of another isolate; a refresh, or the search for a new key, asks the
    // issuer.
    let first = state.keys.borrow().keys().is_none();
    let name = shared_name(issuer);
    let recalled = if first { recall(ports, &name).await } else { None };
    let now = ports.now();
    let old = match recalled {
        Some((keys, fresh_until)) if now < fresh_until => {
            state.keys.borrow_mut().recalled(keys, fresh_until, now);
            return KeySource::Recalled;
        }
        old => old,
    };
    match fetch(ports, issuer, &state, gateway.settings.development).await {
        Ok(FetchedKeys { keys, lifetime, text }) => {
            let (usable, skipped, beyond) = keys.counts();
            let beyond = match beyond {
                0 => String::new(),
                more => format!(", {more} beyond the first {JWKS_KEYS} not read"),
            };
            let why: BTreeSet<String> = keys.skipped().map(ToString::to_string).collect();
            let why: Vec<String> = why.into_iter().collect();
            let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
            let detail = format!("issuer {:?}: {usable} keys, {skipped} skipped{why}{beyond}", issuer.name);
            ports.line(&gateway_line("info", "keys_fetched", &detail, now));
            state.keys.borrow_mut().stored(keys, lifetime, ports.now());
            let fresh_until = state.keys.borrow().fresh_until();
            let work = ports.clone();
            // This request does not wait, because only other isolates need the shared keys.
            ports.spawn(Box::pin(async move { share(&work, &name, text, fresh_until).await }));
            KeySource::Fetched
        }
        Err(error) => {
            // The keys may have moved: the next attempt reads the metadata again.
            *state.jwks_uri.borrow_mut() = None;
            let mut keys = state.keys.borrow_mut();
            keys.failed(ports.now());
            if let Some((recalled, fresh_until)) = old {
                keys.recalled_stale(recalled, fresh_until, ports.now());
            }
            let there = keys.keys().is_some();
            let detail = format!("issuer {:?}: {error}", issuer.name);
            ports.line(&gateway_line("error", "keys_unavailable", &detail, now));
            if first && there { KeySource::Recalled } else { KeySource::None }
        }
    }
}

async fn fetch<P: Ports>(
    ports: &P,
    issuer: &Issuer,
    state: &IssuerState,
    development: bool,
) -> Result<FetchedKeys, ProviderError> {
    let uri = match &issuer.keys {
        IssuerKeys::Static(_) | IssuerKeys::Own(_) => return Err(ProviderError::Configured),
        IssuerKeys::At(uri) => uri.clone(),
        IssuerKeys::Discovered(url) => {
            let known = state.jwks_uri.borrow().clone();
            if let Some(uri) = known {
                uri
            } else {
                let wanted = |metadata: &Metadata<'_>| metadata.url("jwks_uri");
                discover(ports, locations(url), (&issuer.identifier, development), wanted).await?
            }
        }
    };
    let fetched = provider::key_set(ports, &uri).await?;
    *state.jwks_uri.borrow_mut() = Some(uri);
    Ok(fetched)
}

/// The name of an issuer's keys in the data-center (colo) cache. It depends on what the configuration says about them.
fn shared_name(issuer: &Issuer) -> String {
    let mut hash = Sha256::new();
    hash.update(&issuer.identifier);
    hash.update([0]);
    if let IssuerKeys::At(uri) = &issuer.keys {
        hash.update(uri);
    }
    format!("jwks/{}", URL_SAFE_NO_PAD.encode(hash.finalize()))
}

/// The keys that another isolate of the data center has shared, and the end of their freshness. Keys that are no longer
/// fresh are a fallback: the gateway asks the issuer first.
async fn recall<P: Ports>(ports: &P, name: &str) -> Option<(KeySet, UnixMillis)> {
    let shared = strict_json::parse(&ports.recall(name).await?).ok()?;
    let shared: SharedKeys = serde_json::from_value(shared).ok()?;
    let keys = KeySet::parse(shared.jwks.as_bytes()).ok()?;
    Some((keys, UnixMillis(shared.fresh_until)))
}

async fn share<P: Ports>(ports: &P, name: &str, jwks: Vec<u8>, fresh_until: UnixMillis) {
    let Ok(jwks) = String::from_utf8(jwks) else { return };
    let seconds = fresh_until.since(ports.now()) / 1000 + JWKS_STALE;
    let shared = SharedKeys { jwks, fresh_until: fresh_until.0 };
    if let Ok(text) = serde_json::to_vec(&shared) {
        ports.keep(name, &text, seconds).await;
    }
}
