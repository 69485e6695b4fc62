//! Requests to the identity provider: its metadata and keys, this gateway's registration there, and its answers about a
//! user.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Context;
use super::held_tokens::HeldTokens;
use crate::authorization_server::login::signed_in::SignedIn;
use crate::authorization_server::login::{
    self, AnswerError, IdTokenError, Identity, Login, LoginError, Provider, ProviderTokens,
};
use crate::authorization_server::memory::{KnownProvider, ProviderMemory};
use crate::authorization_server::state::Hash;
use crate::authorization_server::state::own_client::{GatewayRegistration, GatewayRegistrationQuestion};
use crate::jwks::discovery::{Metadata, locations};
use crate::jwks::signing_key;
use crate::limits::PROVIDER_METADATA_SECONDS;
use crate::oauth::client_authentication::{ClientAuthentication, client_assertion};
use crate::platform_error::PlatformError;
use crate::ports::Ports;
use crate::provider::{ProviderError, ask, discover};
use crate::secret::Secret;
use crate::strict_json;
use crate::token::claim_values::claim;
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

/// Whether what the provider says of a user is all that it says at a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    /// Groups, address, and some of the other claims.
    No,
}

/// An identity provider, and this gateway as a client of it.
pub(super) struct LoginProvider<'a, P> {
    pub(super) context: &'a Context<'a, P>,
    pub(super) login: &'a Login,
    pub(super) memory: Rc<ProviderMemory>,
}

impl<'a, P: Ports> Context<'a, P> {
    /// The identity provider of a login.
    pub(super) fn provider_of(&'a self, login: &'a Login) -> LoginProvider<'a, P> {
        LoginProvider { context: self, login, memory: self.memory.provider_of(login.index) }
    }
}

impl<P: Ports> LoginProvider<'_, P> {
    /// The endpoints of the provider.
    ///
    /// # Errors
    /// [`LoginError`] if its metadata cannot be fetched.
    pub(super) async fn endpoints(&self) -> Result<Provider, LoginError> {
        if let Some(provider) = self.login.configured() {
            return Ok(provider);
        }
        let known = self.memory.known_provider(self.context.ports.now());
        if let Some(known) = known {
            return Ok(known.provider);
        }
        let issuer = self.login.issuer.as_deref().unwrap_or_default();
        let locations = if let Some(url) = &self.login.metadata_url {
            vec![url.clone()]
        } else {
            let url = HttpUrl::parse(issuer).map_err(LoginError::Issuer)?;
            // The OpenID Connect location first: the document there describes logins.
            locations(&url).into_iter().rev().collect()
        };
        let wanted = |metadata: &Metadata<'_>| self.login.discovered(metadata);
        let found = discover(self.context.ports, locations, (issuer, self.context.settings.development), wanted).await;
        let provider = found.map_err(LoginError::Provider)?;
        let until = self.context.ports.now().plus_seconds(PROVIDER_METADATA_SECONDS);
        self.memory.keep_provider(KnownProvider { provider: provider.clone(), until });
        Ok(provider)
    }

    /// This gateway's client registration at the provider: that of the configuration, or one that it makes itself (RFC 7591).
    ///
    /// # Errors
    /// [`LoginError`] if the gateway cannot register.
    pub(super) async fn ours(&self, provider: &Provider) -> Result<Ours, LoginError> {
        if let Some((client_id, authentication)) = &self.login.client {
            return Ok(Ours { client_id: client_id.clone(), authentication: authentication.clone() });
        }
        let issuer = self.login.issuer.clone().unwrap_or_default();
        let id = self.registration_id(&issuer);
        let records = |_| LoginError::Records;
        let kept = self
            .context
            .ask::<GatewayRegistration>(id.as_str(), GatewayRegistrationQuestion::Read)
            .await
            .map_err(records)?;
        if let Some(kept) = kept {
            if let Some(credentials) = self.opened(&kept, &issuer) {
                return Ok(credentials);
            }
            // It was sealed under a secret that was removed: it can never be opened again.
            let forget = GatewayRegistrationQuestion::Forget(kept.sealed);
            self.context.ask::<GatewayRegistration>(id.as_str(), forget).await.map_err(records)?;
        }
        let made = self.register_there(provider, &issuer).await?;
        // If another isolate registered meanwhile, its registration is kept and used.
        let kept = self
            .context
            .ask::<GatewayRegistration>(id.as_str(), GatewayRegistrationQuestion::Keep(made))
            .await
            .map_err(records)?;
        kept.and_then(|kept| self.opened(&kept, &issuer)).ok_or(LoginError::RegistrationSealed)
    }

    /// The name of the record of this gateway's registration. A registration is valid for one redirect URI, so the record is named by
    /// the provider, by this server's issuer and by the login.
    fn registration_id(&self, issuer: &str) -> Hash {
        let own = &self.context.server.own.identifier;
        Hash::of(&match self.login.name.as_str() {
            "" => format!("{issuer} {own}"),
            name => format!("{issuer} {own} {name}"),
        })
    }

    /// The client id of this gateway at the provider, if it has one already.
    pub(super) async fn client_id(&self) -> Result<Option<String>, LoginError> {
        if let Some((client_id, _)) = &self.login.client {
            return Ok(Some(client_id.clone()));
        }
        let issuer = self.login.issuer.clone().unwrap_or_default();
        let id = self.registration_id(&issuer);
        let kept = self.context.ask::<GatewayRegistration>(id.as_str(), GatewayRegistrationQuestion::Read).await;
        let kept = kept.map_err(|_| LoginError::Records)?;
        Ok(kept.and_then(|kept| self.opened(&kept, &issuer)).map(|ours| ours.client_id))
    }

    fn opened(&self, kept: &GatewayRegistration, issuer: &str) -> Option<Ours> {
        let credentials: Credentials = self.context.server.seals.open(&kept.sealed, "own client", issuer)?;
        Some(Ours {
            client_id: credentials.client_id,
            authentication: ClientAuthentication::SecretBasic(Secret::new(credentials.client_secret)),
        })
    }

    async fn register_there(&self, provider: &Provider, issuer: &str) -> Result<GatewayRegistration, LoginError> {
        let url = provider.registration.clone().ok_or(LoginError::RegistrationEndpointMissing)?;
        let body = json!({
            "client_name": format!("Portcullis at {}", self.context.settings.public_url),
            "redirect_uris": [self.context.server.url(&self.login.callback())],
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
        let answer = self.context.ports.ask(&request).await.map_err(LoginError::RegistrationNoAnswer)?;
        if !matches!(answer.status, 200 | 201) {
            return Err(LoginError::RegistrationRefused(answer.status));
        }
        let members = login::object(&answer.body).map_err(|error| LoginError::Answer(request.url.clone(), error))?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(client_id), Some(client_secret)) = (text("client_id"), text("client_secret")) else {
            return Err(LoginError::RegistrationWithoutSecret);
        };
        let ends = members.get("client_secret_expires_at").and_then(Value::as_u64).filter(|end| *end > 0);
        let until = ends.unwrap_or(u64::MAX).min(self.context.now() + 10 * 365 * 86_400);
        self.context.say("info", "registered_at_provider", &format!("issuer {issuer:?}"));
        let credentials = Credentials { client_id, client_secret };
        Ok(GatewayRegistration {
            sealed: self.context.server.seals.seal(&credentials, "own client", issuer, &self.context.nonce()),
            until,
        })
    }

    /// Deletes the stored registration at the provider, if it is still this one; the next login registers again.
    async fn forget_ours(&self, ours: &Ours) {
        if self.login.client.is_some() {
            return;
        }
        let issuer = self.login.issuer.clone().unwrap_or_default();
        let id = Hash::of(&format!("{issuer} {}", self.context.server.own.identifier));
        let Ok(Some(kept)) =
            self.context.ask::<GatewayRegistration>(id.as_str(), GatewayRegistrationQuestion::Read).await
        else {
            return;
        };
        if self.opened(&kept, &issuer).is_some_and(|kept| kept.client_id != ours.client_id) {
            return;
        }
        let forget = GatewayRegistrationQuestion::Forget(kept.sealed);
        let _forgotten = self.context.ask::<GatewayRegistration>(id.as_str(), forget).await;
    }

    async fn our_assertion(&self, ours: &Ours, provider: &Provider) -> Result<Option<String>, LoginError> {
        let ClientAuthentication::PrivateKeyJwt(key) = &ours.authentication else { return Ok(None) };
        let issuer = self.login.issuer.as_deref().filter(|_| self.login.tenants.is_empty());
        // A template for many tenants has no identifier of its own.
        let audience = issuer.unwrap_or(&provider.token);
        let input = client_assertion(&ours.client_id, key, audience, &self.context.random(), self.context.ports.now());
        let signature = self.context.ports.sign(key, input.as_bytes()).await.map_err(LoginError::Signature)?;
        Ok(Some(signing_key::assemble(&input, &signature)))
    }

    /// Redeems a code, and reads who the user is.
    ///
    /// # Errors
    /// [`LoginError`] if that fails.
    pub(super) async fn identified(
        &self,
        provider: &Provider,
        ours: &Ours,
        (code, verifier, nonce): (&str, &str, &str),
    ) -> Result<(Identity, SignedIn, HeldTokens), LoginError> {
        let assertion = self.our_assertion(ours, provider).await?;
        let client = (ours.client_id.as_str(), &ours.authentication);
        let redirect_uri = self.context.server.url(&self.login.callback());
        let request = login::code_request(provider, client, assertion.as_deref(), (code, &redirect_uri, verifier));
        let tokens = self.issued(provider, ours, &request).await?;
        let mut claims = match &self.login.issuer {
            Some(_) => {
                let text = tokens.id_token.as_deref().ok_or(LoginError::IdTokenMissing)?;
                self.id_token(text, provider, (&ours.client_id, Some(nonce))).await?
            }
            None => Map::new(),
        };
        // Only the ID token proves it.
        let signed_in = SignedIn::of(&claims, self.context.now());
        let says_rights = self.add_about_user(provider, &tokens.access_token, &mut claims).await?;
        let held = HeldTokens::of(tokens, self.login, says_rights);
        Ok((Identity::read(self.login.users(), claims)?, signed_in, held))
    }

    /// Refreshes the provider's tokens, if there is a refresh token, and reads who the user is now, and whether that is all that the
    /// login said; `None` if the provider does not say more than that its tokens are still good. A refreshed ID token need not have the nonce (OpenID Connect
    /// Core §12.2).
    ///
    /// # Errors
    /// [`LoginError`] if that fails.
    pub(super) async fn identified_again(
        &self,
        held: HeldTokens,
    ) -> Result<(Option<(Identity, Whole)>, HeldTokens), (LoginError, HeldTokens)> {
        let known = async {
            let provider = self.endpoints().await?;
            let ours = self.ours(&provider).await?;
            Ok((provider, ours))
        };
        let (provider, ours) = match known.await {
            Ok(known) => known,
            Err(error) => return Err((error, held)),
        };
        let (held, id_token) = match self.refreshed(&provider, &ours, &held).await {
            Ok((now, id_token)) => (now.unwrap_or(held), id_token),
            Err(error) => return Err((error, held)),
        };
        match self.claims_again(&provider, &ours, (&held, id_token.as_deref())).await {
            Ok(identity) => Ok((identity, held)),
            Err(error) => Err((error, held)),
        }
    }

    /// The provider's tokens now, and its ID token.
    async fn refreshed(
        &self,
        provider: &Provider,
        ours: &Ours,
        held: &HeldTokens,
    ) -> Result<(Option<HeldTokens>, Option<String>), LoginError> {
        let Some(refresh_token) = &held.refresh_token else { return Ok((None, None)) };
        let assertion = self.our_assertion(ours, provider).await?;
        let client = (ours.client_id.as_str(), &ours.authentication);
        let request = login::refresh_request(provider, client, assertion.as_deref(), refresh_token);
        let tokens = self.issued(provider, ours, &request).await?;
        // A provider that gives no other refresh token goes on with this one (RFC 6749 §6).
        Ok((Some(held.renewed(&tokens)), tokens.id_token))
    }

    async fn claims_again(
        &self,
        provider: &Provider,
        ours: &Ours,
        (held, id_token): (&HeldTokens, Option<&str>),
    ) -> Result<Option<(Identity, Whole)>, LoginError> {
        let mut claims = match (&self.login.issuer, id_token) {
            (Some(_), Some(text)) => self.id_token(text, provider, (&ours.client_id, None)).await?,
            // Without an ID token, an OpenID provider says less than at the login (OpenID Connect Core §12.2): what it said then stays,
            // but for what its userinfo endpoint says as it did then.
            (Some(_), None) => {
                let url = self.login.userinfo_endpoint.as_ref().filter(|_| held.says_rights);
                let Some(url) = url.filter(|_| self.login.tenants.is_empty()) else { return Ok(None) };
                let claims = self.userinfo(url, &held.access_token).await?;
                return Identity::read(self.login.users(), claims).map(|identity| Some((identity, Whole::No)));
            }
            (None, _) => Map::new(),
        };
        self.add_about_user(provider, &held.access_token, &mut claims).await?;
        Identity::read(self.login.users(), claims).map(|identity| Some((identity, Whole::Yes)))
    }

    async fn userinfo(&self, url: &str, access_token: &str) -> Result<Map<String, Value>, LoginError> {
        let answer = ask(self.context.ports, &login::user_request(url, access_token)).await;
        let answer = answer.map_err(LoginError::Provider)?;
        login::object(&answer.body).map_err(|error| LoginError::Answer(url.to_owned(), error))
    }

    /// What the provider issued for a code or refresh token.
    async fn issued(
        &self,
        provider: &Provider,
        ours: &Ours,
        request: &ProviderRequest,
    ) -> Result<ProviderTokens, LoginError> {
        let answer = self.context.ports.ask(request).await;
        let answer = answer.map_err(|error| no_answer(&provider.token, error))?;
        let tokens = ProviderTokens::read(&answer);
        // Only this says something about the registration of the gateway, and not about the user.
        if matches!(&tokens, Err(LoginError::CodeRefused(code, 400..500)) if code == "invalid_client") {
            self.forget_ours(ours).await;
        }
        tokens
    }

    /// Adds what further endpoints of the provider say about the user; returns whether the userinfo endpoint says all that rights
    /// depend on: the groups, and the address if the user has one.
    async fn add_about_user(
        &self,
        provider: &Provider,
        access_token: &str,
        claims: &mut Map<String, Value>,
    ) -> Result<bool, LoginError> {
        let (login, ports) = (self.login, self.context.ports);
        // An OpenID provider is asked only if the configuration has this endpoint: the ID token identifies the user.
        let userinfo =
            if login.issuer.is_some() { login.userinfo_endpoint.as_ref() } else { provider.userinfo.as_ref() };
        let mut says_rights = false;
        if let Some(url) = userinfo {
            let members = self.userinfo(url, access_token).await?;
            let says_address = !claims.contains_key("email") || members.contains_key("email");
            says_rights = says_address && claim(&members, &login.groups_claim).is_some();
            // The response must be about the user of the ID token (OpenID Connect Core §5.3.2).
            if login.issuer.is_some() && members.get("sub") != claims.get("sub") {
                return Err(LoginError::OtherUser);
            }
            for (name, value) in members {
                claims.entry(name).or_insert(value);
            }
        }
        let user = userinfo.map(String::as_str).unwrap_or_default();
        for (url, name) in login.profile.more_about_the_user(user) {
            let answer = ask(ports, &login::user_request(&url, access_token)).await;
            let value = strict_json::parse(&answer.map_err(LoginError::Provider)?.body);
            let value = value.map_err(|error| LoginError::Answer(url.clone(), AnswerError::NotJson(error)))?;
            claims.insert(name.to_owned(), value);
        }
        Ok(says_rights)
    }

    async fn id_token(
        &self,
        text: &str,
        provider: &Provider,
        (client_id, nonce): (&str, Option<&str>),
    ) -> Result<Map<String, Value>, LoginError> {
        let refused = LoginError::IdToken;
        let parse =
            if self.login.ignore_key_headers { UntrustedToken::parse_with_key_headers } else { UntrustedToken::parse };
        let token = parse(text).map_err(|error| refused(IdTokenError::Malformed(error)))?;
        let check = self.id_token_check(&token, provider).await?;
        let good = self
            .context
            .ports
            .verify(&check)
            .await
            .map_err(|error| refused(IdTokenError::SignatureUnchecked(error)))?;
        let proof = check.answered(good).map_err(|_| refused(IdTokenError::Signature))?;
        let expected = (self.login, client_id, nonce);
        login::id_token_claims(&token, &proof, expected, self.context.ports.now()).map_err(refused)
    }

    /// Revokes tokens of the provider (RFC 7009), on a best-effort basis: a failure is only logged.
    pub(super) async fn revoke_there(&self, tokens: &[(String, &'static str)]) {
        let done = async {
            let provider = self.endpoints().await?;
            let Some(endpoint) = &provider.revocation else { return Ok(()) };
            let ours = self.ours(&provider).await?;
            for (token, hint) in tokens {
                let assertion = self.our_assertion(&ours, &provider).await?;
                let client = (ours.client_id.as_str(), &ours.authentication);
                let request = login::revocation_request(endpoint, client, assertion.as_deref(), (token, hint));
                ask(self.context.ports, &request).await.map_err(LoginError::Provider)?;
            }
            Ok::<(), LoginError>(())
        };
        if let Err(error) = done.await {
            self.context.say("warn", "provider_revocation_failed", &error.to_string());
        }
    }
}

fn no_answer(url: &str, error: PlatformError) -> LoginError {
    LoginError::Provider(ProviderError::NoAnswer(url.to_owned(), error))
}
