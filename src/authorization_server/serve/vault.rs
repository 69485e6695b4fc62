//! The vault: tokens of users at the authorization servers of origin servers. Each user's tokens for each resource rest in a record
//! of their own, sealed under a key that is derived from a secret of the configuration and bound to the name of the record.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::members;
use crate::authorization_server::memory::ServerMemory;
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::connection::{
    Connection, ConnectionAnswer, ConnectionQuestion, UNUSED_SECONDS,
};
use crate::authorization_server::state::own_client::{GatewayRegistration, GatewayRegistrationQuestion};
use crate::authorization_server::state::{self, Hash, RecordStateMachine};
use crate::authorization_server::third_party::{self, ThirdParty};
use crate::jwks::discovery::{Metadata, locations};
use crate::jwks::signing_key;
use crate::limits::{CONNECTION_POLL, OBTAINED_SECONDS, PROVIDER_METADATA_SECONDS, PROVIDER_TIMEOUT};
use crate::oauth::client_authentication::{ClientAuthentication, client_assertion};
use crate::oauth::scope::ScopeSet;
use crate::observe::event::gateway_line;
use crate::origin_credential::answer::{self, Issued, Wanted};
use crate::origin_credential::failure::ObtainError;
use crate::origin_credential::{ObtainedToken, PerUser};
use crate::ports::Ports;
use crate::provider::{self, ProviderError};
use crate::seal::NONCE_BYTES;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::strict_json;
use crate::token::lookups::LookupError;
use crate::transport::provider::ProviderRequest;
use crate::transport::url::HttpUrl;

/// The vault, as a request uses it.
pub struct Vault<'a, P> {
    /// The authorization server, whose records and secrets it uses.
    pub server: &'a AuthorizationServer,
    /// The memory of the isolate.
    pub memory: &'a ServerMemory,
    /// The configuration.
    pub settings: &'a Settings,
    /// The platform.
    pub ports: &'a P,
}

/// The tokens of a connection, and the client that they were issued to.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    access_token: String,
    /// The second at which the access token expires, if that is known.
    ends: Option<u64>,
    refresh_token: Option<String>,
    client_id: String,
    client_secret: Option<String>,
}

/// This gateway's client at an authorization server.
pub(super) struct ConnectionClient {
    pub(super) id: String,
    pub(super) authentication: ClientAuthentication,
}

/// Client id and secret that the gateway registered.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registered {
    client_id: String,
    client_secret: Option<String>,
}

/// The name of a connection's record. It does not reveal whose it is.
pub(super) fn connection_id(subject: &str, resource: &str) -> String {
    // A length, so that no two pairs have one name.
    Hash::of(&format!("connection {} {subject} {resource}", subject.len())).as_str().to_owned()
}

/// Seconds of a turn to refresh tokens, beside the time limit of the token endpoint.
const TURN_SECONDS: u64 = 5;

impl<P: Ports> Vault<'_, P> {
    /// The token of a user for a resource, refreshed if it has to be. `refused` is a token that the origin server does not accept.
    ///
    /// # Errors
    /// [`ObtainError::NotConnected`] if the user has to connect the account, or another error.
    pub async fn token(
        &self,
        resource: &Resource,
        per_user: &PerUser,
        subject: &str,
        refused: Option<&ObtainedToken>,
    ) -> Result<ObtainedToken, ObtainError> {
        let id = connection_id(subject, &resource.identifier);
        let deadline = self.ports.now().plus_seconds(per_user.timeout + TURN_SECONDS);
        loop {
            let connection = self.ask(&id, ConnectionQuestion::Use).await?.connection;
            let connection = connection.ok_or(ObtainError::NotConnected)?;
            let Some(tokens) = self.opened(&connection, &id) else { return Err(ObtainError::NotConnected) };
            if let Some(token) = self.usable(&tokens, refused) {
                return Ok(token);
            }
            let Some(refresh_token) = &tokens.refresh_token else {
                self.ask(&id, ConnectionQuestion::Refused(connection.version)).await?;
                return Err(ObtainError::NotConnected);
            };
            let seconds = per_user.timeout + TURN_SECONDS;
            let turn = self.ask(&id, ConnectionQuestion::BeginRefresh(connection.version, seconds)).await?.turn;
            if turn {
                let refreshed = self.refreshed(resource, per_user, (&tokens, refresh_token)).await;
                return self.end_turn(&id, &connection, tokens, refreshed).await;
            }
            if self.ports.now() >= deadline {
                return Err(ObtainError::Lookup(LookupError::Timeout));
            }
            self.ports.sleep(CONNECTION_POLL).await;
        }
    }

    async fn refreshed(
        &self,
        resource: &Resource,
        per_user: &PerUser,
        (tokens, refresh_token): (&Tokens, &str),
    ) -> Result<Issued, ObtainError> {
        let third_party = self.third_party(resource, per_user).await?;
        let client = client_of(tokens, per_user);
        let assertion = self.assertion(&client, &third_party).await?;
        let at = (client.id.as_str(), &client.authentication);
        let request = third_party::refresh_request(&third_party, per_user, at, refresh_token, assertion.as_deref());
        self.issued(&request, refresh_token).await
    }

    async fn end_turn(
        &self,
        id: &str,
        connection: &Connection,
        old: Tokens,
        refreshed: Result<Issued, ObtainError>,
    ) -> Result<ObtainedToken, ObtainError> {
        match refreshed {
            Ok(issued) => {
                let scope = issued.scopes.as_ref().map_or_else(|| connection.scope.clone(), ToString::to_string);
                let tokens = self.tokens(&issued, (old.client_id, old.client_secret), old.refresh_token);
                let sealed = self.sealed(&tokens, id);
                self.ask(id, ConnectionQuestion::Refreshed(connection.version, sealed, scope)).await?;
                self.usable(&tokens, None).ok_or(ObtainError::NotConnected)
            }
            Err(error) if error.ends_a_grant() => {
                self.say("warn", "connection_ended", &format!("issuer {:?}: {error}", connection.issuer));
                self.ask(id, ConnectionQuestion::Refused(connection.version)).await?;
                Err(ObtainError::NotConnected)
            }
            Err(error) => {
                self.ask(id, ConnectionQuestion::NotRefreshed(connection.version)).await?;
                Err(error)
            }
        }
    }

    /// The access token as an isolate may use it: for a few minutes, so that it notices soon when the user disconnects.
    fn usable(&self, tokens: &Tokens, refused: Option<&ObtainedToken>) -> Option<ObtainedToken> {
        let now = self.ports.now();
        let ends = tokens.ends.map(|ends| crate::time::UnixMillis(ends.saturating_sub(OBTAINED_SECONDS.0) * 1000));
        if ends.is_some_and(|ends| ends <= now) {
            return None;
        }
        let token = ObtainedToken::of_connection(&tokens.access_token, now, ends);
        let is_refused = refused.is_some_and(|refused| refused.value == token.value);
        (!is_refused).then_some(token)
    }

    /// Keeps what a token endpoint issued for a user.
    pub(super) async fn keep(
        &self,
        (subject, resource): (&str, &str),
        issuer: &str,
        client: &ConnectionClient,
        (answer, scope): (&Issued, &str),
    ) -> Result<(), ObtainError> {
        let id = connection_id(subject, resource);
        let secret = match &client.authentication {
            ClientAuthentication::SecretBasic(secret) | ClientAuthentication::SecretPost(secret) => {
                Some(secret.expose().to_owned())
            }
            ClientAuthentication::PrivateKeyJwt(_) | ClientAuthentication::None => None,
        };
        let tokens = self.tokens(answer, (client.id.clone(), secret), None);
        let now = self.ports.now().seconds();
        let connection = Connection {
            sealed: self.sealed(&tokens, &id),
            issuer: issuer.to_owned(),
            scope: answer.scopes.as_ref().map_or_else(|| scope.to_owned(), ToString::to_string),
            created: now,
            used: now,
            version: 0,
            refreshing: 0,
            until: now + UNUSED_SECONDS,
        };
        self.ask(&id, ConnectionQuestion::Keep(Box::new(connection))).await.map(|_| ())
    }

    fn tokens(&self, issued: &Issued, (id, secret): (String, Option<String>), old: Option<String>) -> Tokens {
        let now = self.ports.now().seconds();
        Tokens {
            access_token: issued.token.expose().to_owned(),
            ends: issued.lifetime.map(|seconds| now.saturating_add(seconds)),
            // A server may keep the refresh token as it is (RFC 6749 §6).
            refresh_token: issued.refresh_token.as_ref().map(|token| token.expose().to_owned()).or(old),
            client_id: id,
            client_secret: secret,
        }
    }

    /// The connection of a user to a resource, if there is one.
    pub(super) async fn connection(&self, subject: &str, resource: &str) -> Result<Option<Connection>, ObtainError> {
        Ok(self.ask(&connection_id(subject, resource), ConnectionQuestion::Read).await?.connection)
    }

    /// Ends a connection: deletes it, and revokes its tokens where that is possible. Whether there was one.
    pub(super) async fn disconnect(
        &self,
        subject: &str,
        resource: &Resource,
        per_user: &PerUser,
    ) -> Result<bool, ObtainError> {
        let id = connection_id(subject, &resource.identifier);
        let Some(connection) = self.ask(&id, ConnectionQuestion::Forget).await?.connection else { return Ok(false) };
        if let Some(tokens) = self.opened(&connection, &id)
            && let Err(error) = self.revoke(resource, per_user, &tokens).await
        {
            self.say("warn", "connection_not_revoked", &format!("issuer {:?}: {error}", connection.issuer));
        }
        Ok(true)
    }

    async fn revoke(&self, resource: &Resource, per_user: &PerUser, tokens: &Tokens) -> Result<(), ObtainError> {
        let third_party = self.third_party(resource, per_user).await?;
        let Some(endpoint) = &third_party.revocation else { return Ok(()) };
        let client = client_of(tokens, per_user);
        let both =
            [(tokens.refresh_token.as_deref(), "refresh_token"), (Some(tokens.access_token.as_str()), "access_token")];
        for (token, hint) in both {
            let Some(token) = token else { continue };
            let assertion = self.assertion(&client, &third_party).await?;
            let at = (client.id.as_str(), &client.authentication);
            let about = (token, hint);
            let request = third_party::revocation_request(endpoint, at, about, assertion.as_deref(), per_user.timeout);
            let answer = self.ports.ask(&request).await;
            let answer = answer.map_err(|error| ObtainError::NoAnswer(endpoint.clone(), error))?;
            if answer.status != 200 {
                return Err(ObtainError::Status(endpoint.clone(), answer.status));
            }
        }
        Ok(())
    }

    /// The authorization server of an origin server: found as MCP clients find it (RFC 9728, RFC 8414), or at the configured
    /// issuer.
    pub(super) async fn third_party(&self, resource: &Resource, per_user: &PerUser) -> Result<ThirdParty, ObtainError> {
        let now = self.ports.now();
        if let Some(known) = self.memory.third_party(resource.index, now) {
            return Ok(known);
        }
        let development = self.settings.development;
        let (issuer, scopes) = match &per_user.issuer {
            Some(issuer) => (issuer.clone(), ScopeSet::default()),
            None => {
                self.named_by(resource, per_user).await.map_err(|error| ObtainError::Discovery(error.to_string()))?
            }
        };
        let url = HttpUrl::parse(&issuer).map_err(|error| ObtainError::Discovery(format!("{issuer}: {error}")))?;
        let registered = per_user.client.is_some();
        let wanted = |metadata: &Metadata<'_>| third_party::read_metadata(metadata, &issuer, registered);
        let found = provider::discover(self.ports, locations(&url), (&issuer, development), wanted).await;
        let found = found.map_err(|error| ObtainError::Discovery(error.to_string()))?;
        let found = ThirdParty { scopes, ..found };
        self.memory.keep_third_party(resource.index, found.clone(), now.plus_seconds(PROVIDER_METADATA_SECONDS));
        Ok(found)
    }

    /// The issuer that the origin server names.
    async fn named_by(&self, resource: &Resource, per_user: &PerUser) -> Result<(String, ScopeSet), ProviderError> {
        let origin = &resource.origin.url;
        let mut failures = Vec::new();
        for location in third_party::resource_locations(origin) {
            let found = provider::get(self.ports, &location).await.and_then(|document| {
                let development = self.settings.development;
                third_party::read_resource_metadata(&document.body, &per_user.resource, origin, development)
                    .map_err(|error| ProviderError::Metadata(location, error))
            });
            match found {
                Ok(found) => return Ok(found),
                Err(error) => failures.push(error),
            }
        }
        Err(ProviderError::NoMetadata(failures))
    }

    /// This gateway's client at an authorization server: the configured one, its metadata document, or one that it registers.
    pub(super) async fn client(
        &self,
        third_party: &ThirdParty,
        per_user: &PerUser,
    ) -> Result<ConnectionClient, ObtainError> {
        if let Some((id, authentication)) = &per_user.client {
            return Ok(ConnectionClient { id: id.clone(), authentication: authentication.clone() });
        }
        if third_party.takes_documents {
            let id = third_party::client_id(self.server);
            return Ok(ConnectionClient { id, authentication: ClientAuthentication::None });
        }
        let Some(endpoint) = &third_party.registration else {
            return Err(ObtainError::NoClient(third_party.issuer.clone()));
        };
        let name = Hash::of(&format!("connect {} {}", third_party.issuer, self.server.own.identifier));
        let kept = self.record::<GatewayRegistration>(name.as_str(), GatewayRegistrationQuestion::Read).await?;
        let opened = |kept: GatewayRegistration| -> Option<Registered> {
            self.server.seals.open(&kept.sealed, "connection client", &third_party.issuer)
        };
        if let Some(registered) = kept.and_then(opened) {
            return Ok(of_registered(registered));
        }
        self.record::<GatewayRegistration>(name.as_str(), GatewayRegistrationQuestion::Forget).await?;
        let made = self.register(endpoint, &third_party.issuer).await?;
        let kept = self.record::<GatewayRegistration>(name.as_str(), GatewayRegistrationQuestion::Keep(made)).await?;
        kept.and_then(opened).map(of_registered).ok_or_else(|| ObtainError::NoClient(third_party.issuer.clone()))
    }

    async fn register(&self, endpoint: &str, issuer: &str) -> Result<GatewayRegistration, ObtainError> {
        let request = ProviderRequest {
            url: endpoint.to_owned(),
            service: None,
            fields: vec![("accept", "application/json".to_owned()), ("content-type", "application/json".to_owned())],
            body: Some(third_party::registration(self.server, self.settings)),
            seconds: PROVIDER_TIMEOUT,
        };
        let answer = self.ports.ask(&request).await;
        let answer = answer.map_err(|error| ObtainError::NoAnswer(endpoint.to_owned(), error))?;
        let members = members(&answer.body).filter(|_| matches!(answer.status, 200 | 201));
        let text = |name: &str| members.as_ref()?.get(name).and_then(Value::as_str).map(str::to_owned);
        let client_id = text("client_id").ok_or_else(|| ObtainError::Status(endpoint.to_owned(), answer.status))?;
        let ends = members.as_ref().and_then(|it| it.get("client_secret_expires_at")).and_then(Value::as_u64);
        let now = self.ports.now().seconds();
        let until = ends.filter(|end| *end > 0).unwrap_or(u64::MAX).min(now + 10 * 365 * 86_400);
        self.say("info", "registered_at_provider", &format!("issuer {issuer:?}"));
        let registered = Registered { client_id, client_secret: text("client_secret") };
        let sealed = self.server.seals.seal(&registered, "connection client", issuer, &self.nonce());
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

    /// What a token endpoint issues for a request. `sent` is the secret in it.
    pub(super) async fn issued(&self, request: &ProviderRequest, sent: &str) -> Result<Issued, ObtainError> {
        let answer = self.ports.ask(request).await;
        let answer = answer.map_err(|error| ObtainError::NoAnswer(request.url.clone(), error))?;
        answer::read(&answer, Wanted::AccessToken, &request.url, Some(sent))
    }

    fn nonce(&self) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        self.ports.fill(&mut nonce);
        nonce
    }

    fn sealed(&self, tokens: &Tokens, id: &str) -> String {
        self.server.seals.seal(tokens, "connection", id, &self.nonce())
    }

    /// The tokens of a connection; `None` if they were sealed under a secret that was removed, which ends the connection.
    fn opened(&self, connection: &Connection, id: &str) -> Option<Tokens> {
        let tokens = self.server.seals.open(&connection.sealed, "connection", id);
        if tokens.is_none() {
            let detail = format!("issuer {:?}: its secret is not in authorization_server.secrets", connection.issuer);
            self.say("error", "connection_unreadable", &detail);
        }
        tokens
    }

    async fn ask(&self, id: &str, question: ConnectionQuestion) -> Result<ConnectionAnswer, ObtainError> {
        self.record::<Connection>(id, question).await
    }

    async fn record<M: RecordStateMachine>(&self, id: &str, question: M::Question) -> Result<M::Answer, ObtainError> {
        let name = state::name::<M>(id);
        let answer = self.ports.record(&self.server.binding, &name, &state::question::<M>(question)).await;
        let text = answer.map_err(ObtainError::Records)?;
        strict_json::read(text.as_bytes()).map_err(|error| ObtainError::Records(error.to_string().into()))
    }

    fn say(&self, level: &'static str, reason: &'static str, detail: &str) {
        self.ports.line(&gateway_line(level, reason, detail, self.ports.now()));
    }
}

fn of_registered(registered: Registered) -> ConnectionClient {
    let authentication = registered
        .client_secret
        .map_or(ClientAuthentication::None, |secret| ClientAuthentication::SecretBasic(Secret::new(secret)));
    ConnectionClient { id: registered.client_id, authentication }
}

/// The client that tokens were issued to. A secret of the configuration may have been rotated since.
fn client_of(tokens: &Tokens, per_user: &PerUser) -> ConnectionClient {
    match &per_user.client {
        Some((id, authentication)) if *id == tokens.client_id => {
            ConnectionClient { id: id.clone(), authentication: authentication.clone() }
        }
        _ => of_registered(Registered {
            client_id: tokens.client_id.clone(),
            client_secret: tokens.client_secret.clone(),
        }),
    }
}
