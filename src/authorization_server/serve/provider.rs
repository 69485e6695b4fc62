//! The identity provider: where everything is, who this gateway is there, and what it says of a user.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Context;
use crate::authorization_server::login::{self, Identity, Provider, ProviderTokens};
use crate::authorization_server::memory::KnownProvider;
use crate::authorization_server::state::Hash;
use crate::authorization_server::state::own_client::{GatewayRegistration, GatewayRegistrationQuestion};
use crate::jwks::discovery::{Metadata, locations};
use crate::jwks::key_set::KeySet;
use crate::jwks::signing_key;
use crate::limits::PROVIDER_METADATA_SECONDS;
use crate::oauth::client_credentials::{ClientAuthentication, client_assertion};
use crate::pipeline::rejection::Rejection;
use crate::ports::Ports;
use crate::provider::{discover, get};
use crate::secret::Secret;
use crate::token::untrusted::UntrustedToken;
use crate::transport::provider::ProviderRequest;
use crate::transport::url::HttpUrl;

/// This gateway's client registration at the provider.
pub(super) struct Ours {
    pub(super) client_id: String,
    pub(super) authentication: ClientAuthentication,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    client_id: String,
    client_secret: String,
}

impl<P: Ports> Context<'_, P> {
    /// Where the provider has everything.
    ///
    /// # Errors
    /// A description where it cannot be had.
    pub(super) async fn provider(&self) -> Result<Provider, String> {
        if let Some(provider) = self.server.login.configured() {
            return Ok(provider);
        }
        let known = self.memory.known_provider(self.ports.now());
        if let Some(known) = known {
            return Ok(known.provider);
        }
        let issuer = self.server.login.issuer.as_deref().unwrap_or_default();
        let url = HttpUrl::parse(issuer).map_err(|error| error.to_string())?;
        // The OpenID Connect location first: the document there describes logins.
        let locations = locations(&url).into_iter().rev();
        let wanted = |metadata: &Metadata<'_>| self.server.login.discovered(metadata);
        let provider = discover(self.ports, locations, (issuer, self.settings.development), wanted).await?;
        let until = self.ports.now().plus_seconds(PROVIDER_METADATA_SECONDS);
        self.memory.keep_provider(KnownProvider { provider: provider.clone(), keys: None, until });
        Ok(provider)
    }

    async fn keys(&self, provider: &Provider) -> Result<KeySet, String> {
        let uri = provider.jwks.as_ref().ok_or("the metadata has no jwks_uri")?;
        let keys = KeySet::parse(&get(self.ports, uri).await?.body).map_err(|error| error.to_string())?;
        let until = self.ports.now().plus_seconds(PROVIDER_METADATA_SECONDS);
        self.memory.keep_provider(KnownProvider { provider: provider.clone(), keys: Some(keys.clone()), until });
        Ok(keys)
    }

    /// This gateway's client registration at the provider: that of the configuration, or one that it makes itself (RFC 7591).
    ///
    /// # Errors
    /// A description where it cannot register.
    pub(super) async fn ours(&self, provider: &Provider) -> Result<Ours, String> {
        if let Some((client_id, authentication)) = &self.server.login.client {
            return Ok(Ours { client_id: client_id.clone(), authentication: authentication.clone() });
        }
        let issuer = self.server.login.issuer.clone().unwrap_or_default();
        // A registration is valid for one redirect URI, so its record is named by the provider and by this server's issuer.
        let id = Hash::of(&format!("{issuer} {}", self.server.own.identifier));
        let records = |_| "records cannot be read now".to_owned();
        let kept =
            self.ask::<GatewayRegistration>(id.as_str(), GatewayRegistrationQuestion::Look).await.map_err(records)?;
        if let Some(kept) = kept {
            if let Some(credentials) = self.opened(&kept, &issuer) {
                return Ok(credentials);
            }
            // It was sealed under a secret that was removed: it can never be opened again.
            self.ask::<GatewayRegistration>(id.as_str(), GatewayRegistrationQuestion::Forget).await.map_err(records)?;
        }
        let made = self.register_there(provider, &issuer).await?;
        // If another isolate registered meanwhile, its registration is kept and used.
        let kept = self
            .ask::<GatewayRegistration>(id.as_str(), GatewayRegistrationQuestion::Keep(made))
            .await
            .map_err(records)?;
        kept.and_then(|kept| self.opened(&kept, &issuer)).ok_or_else(|| "its registration cannot be opened".to_owned())
    }

    fn opened(&self, kept: &GatewayRegistration, issuer: &str) -> Option<Ours> {
        let credentials: Credentials = self.server.seals.open(&kept.sealed, "own client", issuer)?;
        Some(Ours {
            client_id: credentials.client_id,
            authentication: ClientAuthentication::SecretBasic(Secret::new(credentials.client_secret)),
        })
    }

    async fn register_there(&self, provider: &Provider, issuer: &str) -> Result<GatewayRegistration, String> {
        let url =
            provider.registration.clone().ok_or("the provider has no registration_endpoint: client_id is needed")?;
        let body = json!({
            "client_name": format!("Portcullis at {}", self.settings.public_url),
            "redirect_uris": [self.server.url("/callback")],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "client_secret_basic",
            "application_type": "web",
        });
        let request = ProviderRequest {
            url,
            service: None,
            fields: vec![("accept", "application/json".to_owned()), ("content-type", "application/json".to_owned())],
            body: Some(body.to_string()),
            seconds: crate::limits::PROVIDER_TIMEOUT,
        };
        let answer = self.ports.ask(&request).await.map_err(|why| format!("it cannot register: {why}"))?;
        if !matches!(answer.status, 200 | 201) {
            return Err(format!("the provider refuses to register it: status {}", answer.status));
        }
        let members = login::object(&answer.body)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(client_id), Some(client_secret)) = (text("client_id"), text("client_secret")) else {
            return Err("the provider registered it without id or secret".to_owned());
        };
        let ends = members.get("client_secret_expires_at").and_then(Value::as_u64).filter(|end| *end > 0);
        let until = ends.unwrap_or(u64::MAX).min(self.now() + 10 * 365 * 86_400);
        self.say("info", "registered_at_provider", &format!("issuer {issuer:?}"));
        let credentials = Credentials { client_id, client_secret };
        Ok(GatewayRegistration {
            sealed: self.server.seals.seal(&credentials, "own client", issuer, &self.nonce()),
            until,
        })
    }

    /// Deletes the stored registration at the provider; the next login registers again.
    async fn forget_ours(&self) {
        if self.server.login.client.is_some() {
            return;
        }
        let issuer = self.server.login.issuer.clone().unwrap_or_default();
        let id = Hash::of(&format!("{issuer} {}", self.server.own.identifier));
        let _forgotten = self.ask::<GatewayRegistration>(id.as_str(), GatewayRegistrationQuestion::Forget).await;
    }

    async fn our_assertion(&self, ours: &Ours, provider: &Provider) -> Result<Option<String>, String> {
        let ClientAuthentication::PrivateKeyJwt(key) = &ours.authentication else { return Ok(None) };
        let audience = self.server.login.issuer.as_deref().unwrap_or(&provider.token);
        let input = client_assertion(&ours.client_id, key, audience, &self.random(), self.ports.now());
        let signature = self.ports.sign(key, input.as_bytes()).await?;
        Ok(Some(signing_key::assemble(&input, &signature)))
    }

    /// Redeems a code, and reads who the user is.
    ///
    /// # Errors
    /// A description, for the log, without anything secret.
    pub(super) async fn identified(
        &self,
        provider: &Provider,
        ours: &Ours,
        (code, verifier, nonce): (&str, &str, &str),
    ) -> Result<(Identity, ProviderTokens), String> {
        let login = &self.server.login;
        let assertion = self.our_assertion(ours, provider).await?;
        let client = (ours.client_id.as_str(), &ours.authentication);
        let redirect_uri = self.server.url("/callback");
        let request = login::code_request(provider, client, assertion.as_deref(), (code, &redirect_uri, verifier));
        let answer = self.ports.ask(&request).await.map_err(|why| format!("{}: {why}", provider.token))?;
        if answer.status == 401 {
            self.forget_ours().await;
        }
        let tokens = ProviderTokens::read(&answer)?;
        let mut claims = match &login.issuer {
            Some(issuer) => {
                let text = tokens.id_token.as_deref().ok_or("the provider gave no ID token")?;
                self.id_token(text, provider, (issuer, &ours.client_id, nonce)).await?
            }
            None => Map::new(),
        };
        // Of an OpenID provider only where configuration asks for it: discovery alone is no reason to ask again.
        let userinfo =
            if login.issuer.is_some() { login.userinfo_endpoint.as_ref() } else { provider.userinfo.as_ref() };
        if let Some(url) = userinfo {
            let said = self.ports.ask(&login::user_request(url, &tokens.access_token)).await;
            let said = said.map_err(|why| format!("{url}: {why}"))?;
            if said.status != 200 {
                return Err(format!("{url}: status {}", said.status));
            }
            let members = login::object(&said.body)?;
            // OpenID Connect Core §5.3.2: of another subject nothing is believed.
            if login.issuer.is_some() && members.get("sub") != claims.get("sub") {
                return Err("userinfo is about another user than the ID token".to_owned());
            }
            for (name, value) in members {
                claims.entry(name).or_insert(value);
            }
        }
        let user = userinfo.map(String::as_str).unwrap_or_default();
        for (url, name) in login.profile.more_about_the_user(user) {
            let url = &url;
            let said = self.ports.ask(&login::user_request(url, &tokens.access_token)).await;
            let said = said.map_err(|why| format!("{url}: {why}"))?;
            let value = crate::strict_json::parse(&said.body).ok().filter(|_| said.status == 200);
            claims.insert(name.to_owned(), value.ok_or_else(|| format!("{url}: status {}", said.status))?);
        }
        Ok((Identity::read(login, claims)?, tokens))
    }

    async fn id_token(
        &self,
        text: &str,
        provider: &Provider,
        expected: (&str, &str, &str),
    ) -> Result<Map<String, Value>, String> {
        let token = UntrustedToken::parse(text).map_err(|error| {
            let error = Rejection::Token(error);
            let detail = error.detail().map_or_else(String::new, |detail| format!(" ({detail})"));
            format!("the ID token is not taken: {}{detail}", error.reason())
        })?;
        let known = self.memory.known_provider(self.ports.now()).and_then(|known| known.keys);
        let check = match known.as_ref().map(|keys| login::id_token_check(&token, keys)) {
            Some(Ok(check)) => check,
            // The key may be newer than those that are known.
            _ => login::id_token_check(&token, &self.keys(provider).await?)?,
        };
        let good = self.ports.verify(&check).await?;
        let proof = check.answered(good).map_err(|_| "the ID token's signature is wrong".to_owned())?;
        login::id_token_claims(&token, &proof, expected, self.ports.now())
    }

    /// Revokes the tokens that the provider gave (RFC 7009): on a best-effort basis; a failure is only logged.
    pub(super) async fn revoke_there(&self, tokens: &[(String, &'static str)]) {
        let done = async {
            let provider = self.provider().await?;
            let Some(endpoint) = &provider.revocation else { return Ok(()) };
            let ours = self.ours(&provider).await?;
            for (token, hint) in tokens {
                let assertion = self.our_assertion(&ours, &provider).await?;
                let client = (ours.client_id.as_str(), &ours.authentication);
                let request = login::revocation_request(endpoint, client, assertion.as_deref(), (token, hint));
                let answer = self.ports.ask(&request).await.map_err(|why| format!("{endpoint}: {why}"))?;
                if answer.status != 200 {
                    return Err(format!("{endpoint}: status {}", answer.status));
                }
            }
            Ok::<(), String>(())
        };
        if let Err(why) = done.await {
            self.say("warn", "provider_revocation_failed", &why);
        }
    }
}
