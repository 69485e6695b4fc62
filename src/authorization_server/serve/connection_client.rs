//! This gateway as a client of the authorization servers of origin servers: the configured client, a metadata document, or one that
//! it registers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::members;
use super::vault::{Tokens, Vault};
use crate::authorization_server::state::Hash;
use crate::authorization_server::state::own_client::{GatewayRegistration, GatewayRegistrationQuestion};
use crate::authorization_server::third_party::{self, ThirdParty};
use crate::jwks::signing_key;
use crate::limits::PROVIDER_TIMEOUT;
use crate::oauth::client_authentication::{ClientAuthentication, client_assertion};
use crate::origin_credential::PerUser;
use crate::origin_credential::failure::ObtainError;
use crate::ports::Ports;
use crate::secret::Secret;
use crate::settings::resource::Resource;
use crate::transport::provider::ProviderRequest;

/// This gateway's client at an authorization server.
pub(super) struct ConnectionClient {
    pub(super) id: String,
    pub(super) authentication: ClientAuthentication,
}

/// Client id and secret that the gateway registered.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registered {
    pub(super) client_id: String,
    pub(super) client_secret: Option<String>,
    /// Whether the secret is sent in the body of requests (`client_secret_post`).
    pub(super) in_body: bool,
}

/// The name of the record of a client that this gateway registered. Each resource has its own, with its own redirect URI.
fn registration_name(resource: &Resource, issuer: &str) -> Hash {
    Hash::of(&format!("connect {issuer} {}", resource.identifier))
}

/// What a registration is sealed for.
const USAGE: &str = "connection client";

/// Most seconds for which a registration is used: a server may forget clients, and users would then be sent to it in vain.
const REGISTRATION_SECONDS: u64 = 30 * 86_400;

impl<P: Ports> Vault<'_, P> {
    /// This gateway's client at an authorization server: the configured one, its metadata document, or one that it registers.
    pub(super) async fn client(
        &self,
        resource: &Resource,
        third_party: &ThirdParty,
        per_user: &PerUser,
    ) -> Result<ConnectionClient, ObtainError> {
        if let Some((id, authentication)) = &per_user.client {
            return Ok(ConnectionClient { id: id.clone(), authentication: authentication.clone() });
        }
        if third_party.takes_documents {
            let id = third_party::client_id(self.server, resource);
            return Ok(ConnectionClient { id, authentication: ClientAuthentication::None });
        }
        let Some(endpoint) = &third_party.registration else {
            return Err(ObtainError::NoClient(third_party.issuer.clone()));
        };
        let name = registration_name(resource, &third_party.issuer);
        let kept = self.record::<GatewayRegistration>(name.as_str(), GatewayRegistrationQuestion::Read).await?;
        let opened = |kept: GatewayRegistration| self.registered(&kept.sealed, &third_party.issuer);
        if let Some(kept) = kept {
            let unreadable = GatewayRegistrationQuestion::Forget(kept.sealed.clone());
            if let Some(registered) = opened(kept) {
                return Ok(of_registered(registered));
            }
            self.record::<GatewayRegistration>(name.as_str(), unreadable).await?;
        }
        let made = self.register(resource, endpoint, &third_party.issuer).await?;
        let kept = self.record::<GatewayRegistration>(name.as_str(), GatewayRegistrationQuestion::Keep(made)).await?;
        kept.and_then(opened).map(of_registered).ok_or_else(|| ObtainError::NoClient(third_party.issuer.clone()))
    }

    /// Whether this gateway registered the client. A server may be unable to read a metadata document for a while, which says nothing
    /// about the tokens.
    pub(super) fn is_registered(&self, resource: &Resource, per_user: &PerUser, client_id: &str) -> bool {
        per_user.client.is_none() && client_id != third_party::client_id(self.server, resource)
    }

    /// Forgets a client that this gateway registered, if it is still the one that is used: the authorization server does not know it
    /// any more.
    pub(super) async fn forget_registration(
        &self,
        resource: &Resource,
        issuer: &str,
        client_id: &str,
    ) -> Result<(), ObtainError> {
        let name = registration_name(resource, issuer);
        let kept = self.record::<GatewayRegistration>(name.as_str(), GatewayRegistrationQuestion::Read).await?;
        let Some(GatewayRegistration { sealed, .. }) = kept else { return Ok(()) };
        if self.registered(&sealed, issuer).is_some_and(|registered| registered.client_id != client_id) {
            return Ok(());
        }
        let question = GatewayRegistrationQuestion::Forget(sealed);
        self.record::<GatewayRegistration>(name.as_str(), question).await.map(|_| ())
    }

    /// A registration from its sealed form.
    fn registered(&self, sealed: &str, issuer: &str) -> Option<Registered> {
        self.server.seals.open(sealed, USAGE, issuer)
    }

    /// The client with which a user started to connect, as the record of that has it: the code is for this client, even if the
    /// gateway has registered another one since.
    pub(super) fn sealed_client(&self, client: &ConnectionClient, issuer: &str) -> String {
        let secret = |secret: &Secret| Some(secret.expose().to_owned());
        let (client_secret, in_body) = match &client.authentication {
            ClientAuthentication::SecretBasic(text) => (secret(text), false),
            ClientAuthentication::SecretPost(text) => (secret(text), true),
            ClientAuthentication::PrivateKeyJwt(_) | ClientAuthentication::None => (None, false),
        };
        let registered = Registered { client_id: client.id.clone(), client_secret, in_body };
        self.server.seals.seal(&registered, USAGE, issuer, &self.nonce())
    }

    /// The client with which a user started to connect. `None` if its secret was removed from the configuration.
    pub(super) fn client_from(&self, sealed: &str, issuer: &str, per_user: &PerUser) -> Option<ConnectionClient> {
        let registered = self.registered(sealed, issuer)?;
        Some(configured_or(registered, per_user))
    }

    async fn register(
        &self,
        resource: &Resource,
        endpoint: &str,
        issuer: &str,
    ) -> Result<GatewayRegistration, ObtainError> {
        let request = ProviderRequest {
            url: endpoint.to_owned(),
            service: None,
            fields: vec![("accept", "application/json".to_owned()), ("content-type", "application/json".to_owned())],
            body: Some(third_party::registration(self.server, self.settings, resource)),
            seconds: PROVIDER_TIMEOUT,
        };
        let answer = self.ports.ask(&request).await;
        let answer = answer.map_err(|error| ObtainError::NoAnswer(endpoint.to_owned(), error))?;
        let members = members(&answer.body).filter(|_| matches!(answer.status, 200 | 201));
        let text = |name: &str| members.as_ref()?.get(name).and_then(Value::as_str).map(str::to_owned);
        let client_id = text("client_id").filter(|id| !id.is_empty());
        let client_id = client_id.ok_or_else(|| ObtainError::Status(endpoint.to_owned(), answer.status))?;
        let ends = members.as_ref().and_then(|it| it.get("client_secret_expires_at")).and_then(Value::as_u64);
        let now = self.ports.now().seconds();
        let until = ends.filter(|end| *end > 0).unwrap_or(u64::MAX).min(now + REGISTRATION_SECONDS);
        self.say("info", "registered_at_provider", &format!("issuer {issuer:?}"));
        // The server may register another method than the requested one (RFC 7591 §3.2.1).
        let method = text("token_endpoint_auth_method");
        let client_secret = text("client_secret").filter(|_| method.as_deref() != Some("none"));
        let in_body = method.as_deref() == Some("client_secret_post");
        let registered = Registered { client_id, client_secret, in_body };
        let sealed = self.server.seals.seal(&registered, USAGE, issuer, &self.nonce());
        Ok(GatewayRegistration { sealed, until })
    }

    /// The signed client assertion, if the client authenticates with one.
    pub(super) async fn assertion(
        &self,
        client: &ConnectionClient,
        third_party: &ThirdParty,
    ) -> Result<Option<String>, ObtainError> {
        let ClientAuthentication::PrivateKeyJwt(key) = &client.authentication else { return Ok(None) };
        let mut random = [0; 16];
        self.ports.fill(&mut random);
        let input = client_assertion(&client.id, key, &third_party.issuer, &random, self.ports.now());
        let signature = self.ports.sign(key, input.as_bytes()).await.map_err(ObtainError::Signature)?;
        Ok(Some(signing_key::assemble(&input, &signature)))
    }
}

fn of_registered(registered: Registered) -> ConnectionClient {
    let Registered { client_id, client_secret, in_body } = registered;
    let authentication = match client_secret.map(Secret::new) {
        None => ClientAuthentication::None,
        Some(secret) if in_body => ClientAuthentication::SecretPost(secret),
        Some(secret) => ClientAuthentication::SecretBasic(secret),
    };
    ConnectionClient { id: client_id, authentication }
}

/// The client that tokens were issued to.
pub(super) fn client_of(tokens: &Tokens, per_user: &PerUser) -> ConnectionClient {
    let (client_id, client_secret) = (tokens.client_id.clone(), tokens.client_secret.clone());
    configured_or(Registered { client_id, client_secret, in_body: tokens.in_body }, per_user)
}

/// The client of the configuration, if it has this client id: its secret may have been rotated since.
fn configured_or(registered: Registered, per_user: &PerUser) -> ConnectionClient {
    match &per_user.client {
        Some((id, authentication)) if *id == registered.client_id => {
            ConnectionClient { id: id.clone(), authentication: authentication.clone() }
        }
        _ => of_registered(registered),
    }
}
