//! Keys that others publish: those of the identity provider, which sign ID tokens, and those of clients, which sign client
//! assertions. Both follow [`crate::jwks::freshness`].

use std::cell::RefCell;

use super::provider::LoginProvider;
use super::{Context, ServerContext};
use crate::authorization_server::client::client_url;
use crate::authorization_server::client_error::{AssertionError, UnreachableClient};
use crate::authorization_server::login::{self, IdTokenError, LoginError, Provider};
use crate::authorization_server::trusted_issuer::{TrustedIssuer, TrustedKeys};
use crate::jwks::discovery::{Metadata, locations};
use crate::jwks::freshness::{Freshness, KeyState, UnknownKid};
use crate::jwks::key_set::KeySet;
use crate::limits::{CLIENT_KEYS_SECONDS, DOCUMENT_RETRY, JWKS_FRESH_DEFAULT, PROVIDER_METADATA_SECONDS};
use crate::ports::Ports;
use crate::provider::{FetchedKeys, ProviderError, await_keys, discover, key_set};
use crate::token::signature::SignatureCheck;
use crate::token::untrusted::UntrustedToken;
use crate::transport::url::HttpUrl;

/// Why there are no keys of a trusted issuer.
#[derive(Debug)]
pub(super) enum NoKeys {
    /// What it publishes cannot be used.
    Unusable(ProviderError),
    /// They cannot be fetched now.
    Unavailable(String),
}

/// Why an assertion is not accepted.
#[derive(Debug)]
pub(super) enum NoAssertion {
    /// It does not authenticate the client.
    Invalid(AssertionError),
    /// The keys of the client cannot be fetched now.
    Unreachable(UnreachableClient),
}

impl From<AssertionError> for NoAssertion {
    fn from(error: AssertionError) -> Self {
        Self::Invalid(error)
    }
}

impl From<UnreachableClient> for NoAssertion {
    fn from(error: UnreachableClient) -> Self {
        Self::Unreachable(error)
    }
}

impl<P: Ports> ServerContext<'_, P> {
    /// Fetches keys, which are fresh for at most `seconds`.
    async fn fetch_keys(&self, keys: &RefCell<KeyState>, url: &str, seconds: u64) -> Result<(), ProviderError> {
        keys.borrow_mut().attempted(self.ports.now());
        match key_set(self.ports, url).await {
            Ok(FetchedKeys { keys: set, lifetime, .. }) => {
                let lifetime = lifetime.unwrap_or(JWKS_FRESH_DEFAULT).min(seconds);
                keys.borrow_mut().stored(set, Some(lifetime), self.ports.now());
                Ok(())
            }
            Err(error) => {
                keys.borrow_mut().failed(self.ports.now());
                Err(error)
            }
        }
    }

    /// Keys, for a token with this `kid`. Callers choose the `kid`, so one that is unknown does not make the gateway fetch each
    /// time.
    async fn keys_for<E>(
        &self,
        keys: &RefCell<KeyState>,
        kid: Option<&str>,
        fetch: impl AsyncFn() -> Result<(), E>,
        (failed_lately, cools_down): (impl Fn() -> E, impl Fn() -> E),
    ) -> Result<KeySet, E> {
        let freshness = keys.borrow().freshness(self.ports.now());
        match freshness {
            Freshness::Use => {}
            Freshness::UseAndRefresh => {
                // If this fails, the old keys are used.
                let _refreshed = fetch().await;
            }
            Freshness::Fetch => fetch().await?,
            Freshness::Refuse { .. } => return Err(failed_lately()),
        }
        let is_unknown = |kid: &&str| keys.borrow().keys().is_some_and(|keys| !keys.knows(kid));
        if let Some(kid) = kid.filter(is_unknown) {
            let unknown = keys.borrow().unknown_kid(kid, self.ports.now());
            match unknown {
                UnknownKid::Look => {
                    keys.borrow_mut().looking();
                    fetch().await?;
                    if is_unknown(&kid) {
                        keys.borrow_mut().remember_unknown(kid, self.ports.now());
                    }
                }
                UnknownKid::Wait => await_keys(self.ports, keys).await,
                UnknownKid::Unknown => {}
                UnknownKid::Unavailable { .. } => return Err(cools_down()),
            }
        }
        let known = keys.borrow().keys().cloned();
        known.ok_or_else(failed_lately)
    }

    /// The keys of a trusted issuer, for an assertion with this `kid`; `may_fetch` says whether its sender may cause a request.
    pub(super) async fn issuer_keys(
        &self,
        issuer: &TrustedIssuer,
        kid: Option<&str>,
        may_fetch: impl Fn() -> bool,
    ) -> Result<KeySet, NoKeys> {
        if let TrustedKeys::Static(keys) = &issuer.keys {
            return Ok((**keys).clone());
        }
        let keys = self.memory.trusted_keys(issuer.index);
        let fetch = || async {
            if !may_fetch() {
                return Err(NoKeys::Unavailable("too many assertions with unknown keys".to_owned()));
            }
            // Discovery counts: others must not begin it at the same time.
            keys.borrow_mut().attempted(self.ports.now());
            let fetched = match self.issuer_keys_url(issuer).await {
                Ok(url) => self.fetch_keys(&keys, &url, PROVIDER_METADATA_SECONDS).await,
                Err(error) => {
                    keys.borrow_mut().failed(self.ports.now());
                    Err(error)
                }
            };
            fetched.map_err(|error| {
                self.say("error", "keys_unavailable", &format!("trusted issuer {:?}: {error}", issuer.name));
                match error {
                    ProviderError::KeySet(_) | ProviderError::ContentType(_) => NoKeys::Unusable(error),
                    error => NoKeys::Unavailable(error.to_string()),
                }
            })
        };
        let unavailable = |why: &'static str| move || NoKeys::Unavailable(why.to_owned());
        let failed = unavailable("the keys could not be fetched a moment ago");
        self.keys_for(&keys, kid, fetch, (failed, unavailable("the keys were fetched a moment ago"))).await
    }

    async fn issuer_keys_url(&self, issuer: &TrustedIssuer) -> Result<String, ProviderError> {
        let places = match &issuer.keys {
            TrustedKeys::At(url) => return Ok(url.clone()),
            TrustedKeys::Discovered(Some(url)) => vec![url.clone()],
            TrustedKeys::Discovered(None) | TrustedKeys::Static(_) => {
                // The location of OpenID Connect Discovery first: platforms such as Kubernetes have no other.
                HttpUrl::parse(&issuer.identifier)
                    .map(|url| locations(&url).into_iter().rev().collect())
                    .unwrap_or_default()
            }
        };
        let identifier = (issuer.identifier.as_str(), self.settings.development);
        discover(self.ports, places, identifier, |metadata: &Metadata<'_>| metadata.url("jwks_uri")).await
    }
}

impl<P: Ports> Context<'_, P> {
    /// The keys at the `jwks_uri` of a client, for an assertion with this `kid`. The client chooses the URL, so the number
    /// of fetches is limited for each URL and for each network.
    pub(super) async fn client_keys(&self, uri: &str, kid: Option<&str>) -> Result<KeySet, NoAssertion> {
        client_url(uri, self.settings.development).map_err(AssertionError::KeysUrl)?;
        let keys = self.memory.client_keys(uri);
        let fetch = || self.fetch_client_keys(&keys, uri);
        let failed = || NoAssertion::Unreachable(UnreachableClient::KeysFailedLately);
        self.keys_for(&keys, kid, fetch, (failed, || UnreachableClient::KeysCoolDown.into())).await
    }

    async fn fetch_client_keys(&self, keys: &RefCell<KeyState>, uri: &str) -> Result<(), NoAssertion> {
        if !self.may_fetch_keys() {
            return Err(UnreachableClient::KeysTooMany.into());
        }
        self.fetch_keys(keys, uri, CLIENT_KEYS_SECONDS).await.map_err(|error| match error {
            ProviderError::NoAnswer(..) | ProviderError::Status(_, 429 | 500..) => {
                UnreachableClient::KeysNoAnswer.into()
            }
            error => AssertionError::Keys(error).into(),
        })
    }
}

impl<P: Ports> LoginProvider<'_, P> {
    /// The keys of the provider for a token that any caller may have sent, and the client id of this gateway there. Callers cannot
    /// make the gateway register, or ask the provider without limit.
    pub(super) async fn keys_and_client(&self, kid: Option<&str>) -> Result<(KeySet, String), String> {
        const FAILED: &str = "provider for logout";
        let context = self.context;
        if context.memory.failed_lately(FAILED, context.ports.now()) {
            return Err("the provider did not answer a moment ago".to_owned());
        }
        let failed = |error: LoginError| {
            context.memory.note_failure(FAILED, context.ports.now().plus_seconds(DOCUMENT_RETRY));
            error.to_string()
        };
        let client_id =
            self.client_id().await.map_err(failed)?.ok_or("the gateway is no client of the provider yet")?;
        let provider = self.endpoints().await.map_err(failed)?;
        let url = provider.jwks.as_ref().ok_or("the metadata has no jwks_uri")?;
        let fetch = || async {
            if !context.may_fetch_keys() {
                return Err("too many tokens with unknown keys".to_owned());
            }
            self.fetch_provider_keys(url).await.map_err(|error| error.to_string())
        };
        let lately = || "the keys were fetched a moment ago".to_owned();
        let keys = context.keys_for(&self.memory.keys, kid, fetch, (lately, lately)).await?;
        Ok((keys, client_id))
    }

    async fn fetch_provider_keys(&self, url: &str) -> Result<(), LoginError> {
        let fetched = self.context.fetch_keys(&self.memory.keys, url, PROVIDER_METADATA_SECONDS).await;
        fetched.map_err(|error| {
            self.context.say("error", "keys_unavailable", &format!("login provider: {error}"));
            LoginError::Keys(error)
        })
    }

    /// The check of an ID token's signature. The ID token comes from the provider itself and belongs to a code that is
    /// redeemed already, so no pause after a failure and no cool-down applies: callers cannot cause fetches at will.
    pub(super) async fn id_token_check(
        &self,
        token: &UntrustedToken,
        provider: &Provider,
    ) -> Result<Box<SignatureCheck>, LoginError> {
        let url = provider.jwks.as_ref().ok_or(LoginError::JwksUriMissing)?;
        let keys = &self.memory.keys;
        let checked = || login::id_token_check(token, keys.borrow().keys().unwrap_or(&KeySet::default()));
        let freshness = keys.borrow().freshness(self.context.ports.now());
        match freshness {
            Freshness::Use => {}
            Freshness::UseAndRefresh => {
                // If this fails, the old keys are used.
                let _logged = self.fetch_provider_keys(url).await;
            }
            Freshness::Fetch | Freshness::Refuse { .. } => {
                self.fetch_provider_keys(url).await?;
                return checked().map_err(LoginError::IdToken);
            }
        }
        let is_missing = |checked: &Result<_, IdTokenError>| matches!(checked, Err(IdTokenError::NoKey(_)));
        let mut result = checked();
        let is_looking = || keys.borrow().is_looking(self.context.ports.now());
        if is_missing(&result) && is_looking() {
            await_keys(self.context.ports, keys).await;
            result = checked();
        }
        if is_missing(&result) {
            // The provider may have changed its keys.
            keys.borrow_mut().looking();
            self.fetch_provider_keys(url).await?;
            result = checked();
        }
        result.map_err(LoginError::IdToken)
    }
}
