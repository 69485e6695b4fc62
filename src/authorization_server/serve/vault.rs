//! The vault: tokens of users at the authorization servers of origin servers. Each user's tokens for each resource rest in a record
//! of their own, sealed under a key that is derived from a secret of the configuration and bound to the name of the record.

use serde::{Deserialize, Serialize};

use super::connection_client::{ConnectionClient, Registered, client_of};
use super::records;
use crate::authorization_server::memory::ServerMemory;
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::connection::{
    Connection, ConnectionAnswer, ConnectionQuestion, UNUSED_SECONDS,
};
use crate::authorization_server::state::login::Connecting;
use crate::authorization_server::state::{Hash, RecordStateMachine};
use crate::authorization_server::third_party::{self, ThirdParty};
use crate::jwks::discovery::{Metadata, locations};
use crate::limits::{CONNECTION_POLL, DETAIL_CHARS, NEGATIVE_SECONDS, PROVIDER_METADATA_SECONDS};
use crate::oauth::challenge::scopes_in;
use crate::oauth::client_authentication::ClientAuthentication;
use crate::oauth::scope::ScopeSet;
use crate::observe::event::gateway_line;
use crate::origin_credential::answer::{self, Issued, Wanted};
use crate::origin_credential::failure::ObtainError;
use crate::origin_credential::memory::RefusedToken;
use crate::origin_credential::{ObtainedToken, PerUser};
use crate::ports::Ports;
use crate::provider::{self, ProviderError};
use crate::seal::{NONCE_BYTES, Nonce};
use crate::settings::Settings;
use crate::settings::resource::{OriginServer, Resource};
use crate::time::UnixMillis;
use crate::token::lookups::LookupError;
use crate::transport::provider::{ProviderDocument, ProviderRequest};
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
pub(super) struct Tokens {
    access_token: String,
    /// The second at which they were issued.
    issued: u64,
    /// The second from which the access token is not sent any more, if it expires at a known time.
    ends: Option<u64>,
    refresh_token: Option<String>,
    pub(super) client_id: String,
    pub(super) client_secret: Option<String>,
    /// Whether the secret is sent in the body of requests.
    pub(super) in_body: bool,
}

/// The name of a connection's record. It does not reveal whose it is. Another identity provider may have other users with the same
/// subjects.
fn connection_id(server: &AuthorizationServer, subject: &str, resource: &str) -> String {
    let provider = server.login_of(subject).identity();
    // The lengths, so that no two of them have one name.
    let name = format!("connection {} {provider} {} {subject} {resource}", provider.len(), subject.len());
    Hash::of(&name).as_str().to_owned()
}

/// What the tokens are sealed for.
const USAGE: &str = "connection";

/// Seconds of a turn to refresh tokens, beside the time limit of the token endpoint.
const TURN_SECONDS: u64 = 5;

impl<P: Ports> Vault<'_, P> {
    /// The name of the record of a user's connection to a resource.
    pub(super) fn id(&self, subject: &str, resource: &str) -> String {
        connection_id(self.server, subject, resource)
    }

    /// The token of a user for a resource, refreshed if it has to be. `refused` is a token that the origin server does not accept.
    ///
    /// # Errors
    /// [`ObtainError::NotConnected`] if the user has to connect the account, or another error.
    pub async fn token(
        &self,
        resource: &Resource,
        per_user: &PerUser,
        subject: &str,
        refused: Option<&RefusedToken>,
    ) -> Result<ObtainedToken, ObtainError> {
        let id = self.id(subject, &resource.identifier);
        let deadline = self.ports.now().plus_seconds(per_user.timeout + TURN_SECONDS);
        let (mut server, mut pause) = (None, CONNECTION_POLL.0);
        loop {
            let connection = self.ask(&id, ConnectionQuestion::Use).await?.connection;
            let connection = connection.ok_or(ObtainError::NotConnected)?;
            let Some(tokens) = self.opened(&connection, &id) else { return Err(ObtainError::NotConnected) };
            // The same token may have been issued again since the origin server refused it.
            let refused = refused.filter(|refused| connection.created <= refused.at.seconds());
            if let Some(token) = self.usable(&tokens).filter(|token| refused.is_none_or(|it| !it.is(token))) {
                self.seal_again(&id, &connection, &tokens).await?;
                return Ok(token);
            }
            let Some(refresh_token) = &tokens.refresh_token else {
                self.ask(&id, ConnectionQuestion::Refused(connection.version)).await?;
                return Err(ObtainError::NotConnected);
            };
            // A turn is as long as one request takes: what else it takes comes before it.
            let third_party = match server.take() {
                Some(known) => known,
                None => match self.issuer_of(&connection, resource, per_user).await {
                    Ok(found) => found,
                    Err(error) => return Err(self.not_refreshed(&connection, error)),
                },
            };
            let client = client_of(&tokens, per_user);
            let assertion = self.assertion(&client, &third_party).await?;
            let seconds = per_user.timeout + TURN_SECONDS;
            let turn = self.ask(&id, ConnectionQuestion::BeginRefresh(connection.version, seconds)).await?.turn;
            if turn {
                let at = (client.id.as_str(), &client.authentication);
                let assertion = assertion.as_deref();
                let request = third_party::refresh_request(&third_party, per_user, at, refresh_token, assertion);
                let refreshed = self.issued(&request, refresh_token).await;
                return self.end_turn((resource, per_user), (&id, &connection), tokens, refreshed).await;
            }
            if self.ports.now() >= deadline {
                return Err(ObtainError::Lookup(LookupError::Timeout));
            }
            server = Some(third_party);
            self.ports.sleep(pause).await;
            pause = (pause * 2).min(CONNECTION_POLL.1);
        }
    }

    /// Seals tokens under the current secret, so that an operator can remove an older one.
    async fn seal_again(&self, id: &str, connection: &Connection, tokens: &Tokens) -> Result<(), ObtainError> {
        if self.server.seals.is_current(&connection.sealed, USAGE, id) {
            return Ok(());
        }
        let sealed = self.sealed(tokens, id);
        self.ask(id, ConnectionQuestion::SealedAgain(connection.version, sealed)).await.map(|_| ())
    }

    /// The error of a request whose tokens could not be refreshed. If only the user can change that, the user gets a link.
    fn not_refreshed(&self, connection: &Connection, error: ObtainError) -> ObtainError {
        if matches!(error, ObtainError::OtherIssuer(_)) || error.is_lasting_refusal() {
            self.say("warn", "connection_ended", &format!("issuer {:?}: {error}", connection.issuer));
            return ObtainError::NotConnected;
        }
        error
    }

    /// The authorization server of a connection. Its tokens, and the secret of the client that they were issued to, go to no other
    /// server, whatever the origin server names now.
    async fn issuer_of(
        &self,
        connection: &Connection,
        resource: &Resource,
        per_user: &PerUser,
    ) -> Result<ThirdParty, ObtainError> {
        let third_party = self.third_party(resource, per_user).await?;
        if third_party.issuer != connection.issuer {
            return Err(ObtainError::OtherIssuer(cut(&third_party.issuer)));
        }
        Ok(third_party)
    }

    async fn end_turn(
        &self,
        (resource, per_user): (&Resource, &PerUser),
        (id, connection): (&str, &Connection),
        old: Tokens,
        refreshed: Result<Issued, ObtainError>,
    ) -> Result<ObtainedToken, ObtainError> {
        match refreshed {
            Ok(issued) => {
                let scope = issued.scopes.as_ref().map_or_else(|| connection.scope.clone(), ToString::to_string);
                let Tokens { client_id, client_secret, in_body, refresh_token, .. } = old;
                let tokens = self.tokens(&issued, Registered { client_id, client_secret, in_body }, refresh_token);
                let sealed = self.sealed(&tokens, id);
                let question = ConnectionQuestion::Refreshed(connection.version, sealed.clone(), scope);
                let kept = self.ask(id, question).await?.connection;
                if kept.is_some_and(|kept| kept.sealed == sealed) {
                    return self.usable(&tokens).ok_or(ObtainError::NotConnected);
                }
                // The connection was ended or replaced meanwhile: these tokens must not outlive it.
                self.revoke_or_say(resource, per_user, connection, &tokens).await;
                Err(ObtainError::NotConnected)
            }
            Err(error) if error.ends_a_grant() => {
                self.say("warn", "connection_ended", &format!("issuer {:?}: {error}", connection.issuer));
                self.ask(id, ConnectionQuestion::Refused(connection.version)).await?;
                Err(ObtainError::NotConnected)
            }
            // A server that no longer knows this client will not accept its tokens again.
            Err(error) if error.refuses_client() && self.is_registered(resource, per_user, &old.client_id) => {
                self.say("warn", "connection_ended", &format!("issuer {:?}: {error}", connection.issuer));
                self.forget_registration(resource, &connection.issuer, &old.client_id).await?;
                self.ask(id, ConnectionQuestion::Refused(connection.version)).await?;
                Err(ObtainError::NotConnected)
            }
            Err(error) => {
                self.ask(id, ConnectionQuestion::NotRefreshed(connection.version)).await?;
                Err(self.not_refreshed(connection, error))
            }
        }
    }

    /// The access token as an isolate may use it: for a minute, so that it notices soon when the user disconnects.
    fn usable(&self, tokens: &Tokens) -> Option<ObtainedToken> {
        let now = self.ports.now();
        let ends = tokens.ends.map(|ends| UnixMillis(ends.saturating_mul(1000)));
        let is_usable = ends.is_none_or(|ends| now < ends);
        let issued = UnixMillis(tokens.issued.saturating_mul(1000));
        is_usable.then(|| ObtainedToken::of_connection(&tokens.access_token, issued, now, ends))
    }

    /// Keeps what a token endpoint issued for a user.
    ///
    /// # Errors
    /// [`ObtainError::NotConnected`] if the connection was ended since the user began.
    pub(super) async fn keep(
        &self,
        (resource, per_user): (&Resource, &PerUser),
        connecting: &Connecting,
        client: &ConnectionClient,
        answer: &Issued,
    ) -> Result<(), ObtainError> {
        let Connecting { id, issuer, scope, begun, .. } = connecting;
        let secret = match &client.authentication {
            ClientAuthentication::SecretBasic(secret) | ClientAuthentication::SecretPost(secret) => {
                Some(secret.expose().to_owned())
            }
            ClientAuthentication::PrivateKeyJwt(_) | ClientAuthentication::None => None,
        };
        let in_body = matches!(client.authentication, ClientAuthentication::SecretPost(_));
        let registered = Registered { client_id: client.id.clone(), client_secret: secret, in_body };
        let tokens = self.tokens(answer, registered, None);
        let now = self.ports.now().seconds();
        let connection = Connection {
            sealed: self.sealed(&tokens, id),
            issuer: issuer.clone(),
            scope: answer.scopes.as_ref().map_or_else(|| scope.clone(), ToString::to_string),
            created: now,
            used: now,
            version: 0,
            refreshing: 0,
            until: now + UNUSED_SECONDS,
        };
        let question = ConnectionQuestion::Keep(Box::new(connection.clone()), *begun);
        let kept = match self.ask(id, question).await {
            Ok(ConnectionAnswer { connection: Some(_), .. }) => return Ok(()),
            Ok(_) => ObtainError::NotConnected,
            Err(error) => error,
        };
        // Tokens that are not kept must not stay valid.
        self.revoke_or_say(resource, per_user, &connection, &tokens).await;
        Err(kept)
    }

    fn tokens(&self, issued: &Issued, client: Registered, old: Option<String>) -> Tokens {
        let now = self.ports.now().seconds();
        Tokens {
            access_token: issued.token.expose().to_owned(),
            issued: now,
            ends: issued.usable_seconds().map(|seconds| now.saturating_add(seconds)),
            // A server may keep the refresh token as it is (RFC 6749 §6).
            refresh_token: issued.refresh_token.as_ref().map(|token| token.expose().to_owned()).or(old),
            client_id: client.client_id,
            client_secret: client.client_secret,
            in_body: client.in_body,
        }
    }

    /// The connection of a user to a resource, if there is one.
    pub(super) async fn connection(&self, subject: &str, resource: &str) -> Result<Option<Connection>, ObtainError> {
        Ok(self.ask(&self.id(subject, resource), ConnectionQuestion::Read).await?.connection)
    }

    /// Ends a connection: deletes it, and revokes its tokens where that is possible. Whether there was one.
    pub(super) async fn disconnect(
        &self,
        subject: &str,
        resource: &Resource,
        per_user: &PerUser,
    ) -> Result<bool, ObtainError> {
        let id = self.id(subject, &resource.identifier);
        let Some(connection) = self.ask(&id, ConnectionQuestion::Forget).await?.connection else { return Ok(false) };
        if let Some(tokens) = self.opened(&connection, &id) {
            self.revoke_or_say(resource, per_user, &connection, &tokens).await;
        }
        Ok(true)
    }

    /// Deletes a connection to a resource that is not in the configuration any more. Its tokens cannot be revoked.
    pub(super) async fn forget(&self, subject: &str, resource: &str) -> Result<bool, ObtainError> {
        let ended = self.ask(&self.id(subject, resource), ConnectionQuestion::Forget).await?.connection;
        if let Some(connection) = &ended {
            let detail = format!("issuer {:?}: no per_user at {resource:?}", connection.issuer);
            self.say("warn", "connection_not_revoked", &detail);
        }
        Ok(ended.is_some())
    }

    async fn revoke_or_say(&self, resource: &Resource, per_user: &PerUser, connection: &Connection, tokens: &Tokens) {
        if let Err(error) = self.revoke(resource, per_user, connection, tokens).await {
            self.say("warn", "connection_not_revoked", &format!("issuer {:?}: {error}", connection.issuer));
        }
    }

    async fn revoke(
        &self,
        resource: &Resource,
        per_user: &PerUser,
        connection: &Connection,
        tokens: &Tokens,
    ) -> Result<(), ObtainError> {
        let third_party = self.issuer_of(connection, resource, per_user).await?;
        let endpoint = third_party.revocation.as_ref().ok_or(ObtainError::NoRevocation)?;
        let client = client_of(tokens, per_user);
        let both =
            [(tokens.refresh_token.as_deref(), "refresh_token"), (Some(tokens.access_token.as_str()), "access_token")];
        let mut revoked = Ok(());
        for (token, hint) in both {
            let Some(token) = token else { continue };
            let assertion = self.assertion(&client, &third_party).await?;
            let at = (client.id.as_str(), &client.authentication);
            let about = (token, hint);
            let request = third_party::revocation_request(endpoint, at, about, assertion.as_deref(), per_user.timeout);
            match self.ports.ask(&request).await {
                Ok(answer) if answer.status == 200 => {}
                Ok(answer) => revoked = Err(ObtainError::Status(endpoint.clone(), answer.status)),
                Err(error) => revoked = Err(ObtainError::NoAnswer(endpoint.clone(), error)),
            }
        }
        revoked
    }

    /// The authorization server of an origin server: found as MCP clients find it (RFC 9728, RFC 8414), or at the configured
    /// issuer.
    pub(super) async fn third_party(&self, resource: &Resource, per_user: &PerUser) -> Result<ThirdParty, ObtainError> {
        let now = self.ports.now();
        if let Some(known) = self.memory.third_party(resource.index, now) {
            return Ok(known);
        }
        let name = format!("third party {}", resource.index);
        if self.memory.failed_lately(&name, now) {
            return Err(ObtainError::Discovery("it was not found a moment ago".to_owned()));
        }
        let found = self.discovered(resource, per_user).await;
        match &found {
            Ok(found) => {
                let until = now.plus_seconds(PROVIDER_METADATA_SECONDS);
                self.memory.keep_third_party(resource.index, found.clone(), until);
            }
            Err(_) => self.memory.note_failure(&name, now.plus_seconds(NEGATIVE_SECONDS)),
        }
        found
    }

    async fn discovered(&self, resource: &Resource, per_user: &PerUser) -> Result<ThirdParty, ObtainError> {
        let development = self.settings.development;
        let (issuer, scopes) = match &per_user.issuer {
            Some(issuer) => (issuer.clone(), ScopeSet::default()),
            None => self
                .named_by(resource, per_user)
                .await
                .map_err(|error| ObtainError::Discovery(cut(&error.to_string())))?,
        };
        let url =
            HttpUrl::parse(&issuer).map_err(|error| ObtainError::Discovery(cut(&format!("{issuer}: {error}"))))?;
        let wanted = |metadata: &Metadata<'_>| third_party::read_metadata(metadata, &issuer, per_user);
        let found = provider::discover(self.ports, locations(&url), (&issuer, development), wanted).await;
        let found = found.map_err(|error| ObtainError::Discovery(cut(&error.to_string())))?;
        Ok(ThirdParty { scopes, ..found })
    }

    /// The issuer that the origin server names.
    async fn named_by(&self, resource: &Resource, per_user: &PerUser) -> Result<(String, ScopeSet), ProviderError> {
        let origin = &resource.origin.url;
        let development = self.settings.development;
        let challenge = self.challenge(resource).await;
        let challenge = challenge.as_deref().unwrap_or_default();
        let mut failures = Vec::new();
        let named = third_party::location_in(challenge, origin, development);
        let named = named.map_err(|error| failures.push(ProviderError::Metadata(origin.to_string(), error)));
        let named = named.ok().flatten();
        for location in named.into_iter().chain(third_party::resource_locations(origin)) {
            let found = self.document(resource, &location).await.and_then(|document| {
                third_party::read_resource_metadata(&document.body, &per_user.resource, origin, development)
                    .map_err(|error| ProviderError::Metadata(location, error))
            });
            match found {
                // A challenge says which scopes are needed now, the metadata which ones there are.
                Ok((issuer, listed)) => return Ok((issuer, scopes_in(challenge).unwrap_or(listed))),
                Err(error) => failures.push(error),
            }
        }
        Err(ProviderError::NoMetadata(failures))
    }

    /// A document of the origin server, through its service binding if it has one, or of another server that it names.
    async fn document(&self, resource: &Resource, location: &str) -> Result<ProviderDocument, ProviderError> {
        let OriginServer { url, service, .. } = &resource.origin;
        let is_own = HttpUrl::parse(location).is_ok_and(|location| location.authority() == url.authority());
        match service {
            Some(_) if is_own => provider::ask(self.ports, &third_party::document(&resource.origin, location)).await,
            _ => provider::get(self.ports, location).await,
        }
    }

    /// The challenge of the origin server to a request without a credential.
    async fn challenge(&self, resource: &Resource) -> Option<String> {
        let answer = self.ports.ask(&third_party::unauthenticated(&resource.origin)).await.ok()?;
        answer.challenge.filter(|_| answer.status == 401)
    }

    /// What a token endpoint issues for a request. `sent` is the secret in it.
    pub(super) async fn issued(&self, request: &ProviderRequest, sent: &str) -> Result<Issued, ObtainError> {
        let answer = self.ports.ask(request).await;
        let answer = answer.map_err(|error| ObtainError::NoAnswer(request.url.clone(), error))?;
        answer::read(&answer, Wanted::AccessToken, &request.url, Some(sent))
    }

    pub(super) fn nonce(&self) -> Nonce {
        let mut nonce = [0; NONCE_BYTES];
        self.ports.fill(&mut nonce);
        nonce
    }

    fn sealed(&self, tokens: &Tokens, id: &str) -> String {
        self.server.seals.seal(tokens, USAGE, id, &self.nonce())
    }

    /// The tokens of a connection; `None` if they were sealed under a secret that was removed, which ends the connection.
    fn opened(&self, connection: &Connection, id: &str) -> Option<Tokens> {
        let tokens = self.server.seals.open(&connection.sealed, USAGE, id);
        if tokens.is_none() {
            let detail = format!("issuer {:?}: its secret is not in authorization_server.secrets", connection.issuer);
            self.say("error", "connection_unreadable", &detail);
        }
        tokens
    }

    async fn ask(&self, id: &str, question: ConnectionQuestion) -> Result<ConnectionAnswer, ObtainError> {
        self.record::<Connection>(id, question).await
    }

    pub(super) async fn record<M: RecordStateMachine>(
        &self,
        id: &str,
        question: M::Question,
    ) -> Result<M::Answer, ObtainError> {
        records::ask::<M>((self.server, self.ports), id, question).await.map_err(ObtainError::Records)
    }

    pub(super) fn say(&self, level: &'static str, reason: &'static str, detail: &str) {
        self.ports.line(&gateway_line(level, reason, &cut(detail), self.ports.now()));
    }
}

/// The beginning of a text: another party wrote a part of it.
fn cut(detail: &str) -> String {
    detail.chars().take(DETAIL_CHARS).collect()
}
