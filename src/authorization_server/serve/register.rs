//! Clients that register themselves (RFC 7591), and manage what they registered (RFC 7592).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::clients::REGISTERED;
use super::{Context, Failure, Reply, members};
use crate::authorization_server::client::{ClientMetadata, GrantType};
use crate::authorization_server::client_error::MetadataError;
use crate::authorization_server::refusal::{BearerSecret, Refusal};
use crate::authorization_server::settings::Registrations;
use crate::authorization_server::state::Hash;
use crate::authorization_server::state::client::{Registration, RegistrationQuestion};
use crate::limits::REGISTRATION_FIRST_SECONDS;
use crate::policy::counters::AddressLimit;
use crate::ports::Ports;
use crate::token::revocation::index::Revocable;
use crate::transport::head::Method;

impl<P: Ports> Context<'_, P> {
    /// Registers a client.
    pub(super) async fn register(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        match &self.server.registrations {
            Registrations::Off => return Ok(Reply::refusal(Refusal::RegistrationOff)),
            Registrations::Open => {
                if let Some(refusal) = self.too_many().await {
                    return Ok(refusal);
                }
            }
            Registrations::Token(token) => {
                if self.bearer().is_none_or(|shown| Hash::of(shown) != Hash::of(token.expose())) {
                    return Ok(Reply::refusal(Refusal::BearerInvalid(BearerSecret::InitialAccess)));
                }
            }
        }
        let metadata = match self.metadata(body).await? {
            Ok(metadata) => metadata,
            Err(refusal) => return Ok(refusal),
        };
        let id = format!("{REGISTERED}{}", URL_SAFE_NO_PAD.encode(self.random::<16>()));
        let management = self.name();
        let secret = metadata.auth_method.has_secret().then(|| self.name());
        let now = self.now();
        let registration = Registration {
            metadata,
            secret: secret.as_deref().map(Hash::of),
            management: Hash::of(&management),
            created: now,
            // One that is never used is gone soon.
            until: now + REGISTRATION_FIRST_SECONDS,
        };
        let made = RegistrationQuestion::Create(Box::new(registration));
        let Some(registration) = self.ask::<Registration>(&id, made).await? else { return Err(Failure::Records) };
        self.say("info", "client_registered", &format!("client {id}"));
        Ok(self.registered(201, &id, &registration, secret.as_deref(), Some(&management)))
    }

    /// A registered client as its owner gets it (RFC 7591 §3.2.1, RFC 7592 §3).
    fn registered(
        &self,
        status: u16,
        id: &str,
        registration: &Registration,
        secret: Option<&str>,
        management: Option<&str>,
    ) -> Reply {
        let mut answer = registration.metadata.to_members();
        let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
        put("client_id", json!(id));
        put("client_id_issued_at", json!(registration.created));
        put("registration_client_uri", json!(self.server.url(&format!("/register/{id}"))));
        if let Some(management) = management {
            put("registration_access_token", json!(management));
        }
        if let Some(secret) = secret {
            put("client_secret", json!(secret));
        }
        if registration.secret.is_some() {
            // 0: the secret does not expire by itself; it is deleted with the registration.
            put("client_secret_expires_at", json!(0));
        }
        Reply::json(status, &Value::Object(answer), "client_registered")
    }

    /// Looks at, replaces or ends a registration, for who has its token.
    pub(super) async fn manage(&self, id: &str, body: &P::RequestBody) -> Result<Reply, Failure> {
        let Some(token) = self.bearer().map(str::to_owned).filter(|_| id.starts_with(REGISTERED)) else {
            return Ok(Reply::refusal(Refusal::BearerInvalid(BearerSecret::RegistrationAccess)));
        };
        let hash = Hash::of(&token);
        let question = match self.request.admitted().head().method {
            Method::Delete => RegistrationQuestion::Delete(hash),
            Method::Put => match self.metadata_of(id, body).await? {
                Ok(metadata) => {
                    let known = self.ask::<Registration>(id, RegistrationQuestion::Read(hash.clone())).await?;
                    // A secret is made when a client registers, and not by saying so later.
                    if known.is_some_and(|it| it.metadata.auth_method != metadata.auth_method) {
                        return Ok(Reply::refusal(Refusal::ClientAuthenticationFixed));
                    }
                    RegistrationQuestion::Replace(hash, Box::new(metadata))
                }
                Err(refusal) => return Ok(refusal),
            },
            _ => RegistrationQuestion::Read(hash),
        };
        let deleted = matches!(question, RegistrationQuestion::Delete(_));
        if let RegistrationQuestion::Delete(hash) = &question
            && self.ask::<Registration>(id, RegistrationQuestion::Read(hash.clone())).await?.is_some()
        {
            // Its grants end with it.
            self.announce(&[Revocable::Client(id.to_owned())]).await?;
        }
        let Some(registration) = self.ask::<Registration>(id, question).await? else {
            return Ok(Reply::refusal(Refusal::BearerInvalid(BearerSecret::RegistrationAccess)));
        };
        if deleted {
            let mut reply = Reply::json(204, &Value::Null, "client_deleted");
            reply.body.clear();
            return Ok(reply);
        }
        Ok(self.registered(200, id, &registration, None, Some(&token)))
    }

    /// The metadata that a client replaces its own with: it can be no other client (RFC 7592 §2.2).
    async fn metadata_of(&self, id: &str, body: &P::RequestBody) -> Result<Result<ClientMetadata, Reply>, Failure> {
        let body = self.body(body).await?;
        let said = members(&body).unwrap_or_default();
        if said.get("client_id").is_some_and(|other| other != id) || said.contains_key("client_secret") {
            return Ok(Err(Reply::refusal(Refusal::ClientMetadataNotOwn)));
        }
        Ok(self.metadata_from(&body))
    }

    /// The metadata that a request brings.
    async fn metadata(&self, body: &P::RequestBody) -> Result<Result<ClientMetadata, Reply>, Failure> {
        let body = self.body(body).await?;
        Ok(self.metadata_from(&body))
    }

    fn metadata_from(&self, body: &[u8]) -> Result<ClientMetadata, Reply> {
        let json = self.request.media_type() == "application/json";
        let Some(members) = members(body).filter(|_| json) else {
            return Err(Reply::refusal(Refusal::MetadataNotJson));
        };
        self.read_metadata(&members).map_err(|error| Reply::refusal(Refusal::InvalidMetadata(error)))
    }

    fn read_metadata(&self, members: &Map<String, Value>) -> Result<ClientMetadata, MetadataError> {
        let mut metadata = self.server.client_metadata(members)?;
        if metadata.jwks_uri.is_some() {
            return Err(MetadataError::JwksUri);
        }
        metadata.grant_types.retain(|kind| *kind != GrantType::ClientCredentials && self.server.accepts(*kind));
        if metadata.grant_types.is_empty() {
            return Err(MetadataError::ClientCredentials);
        }
        // A client that omits `grant_types` also gets `refresh_token`: most clients expect it.
        if !metadata.may(GrantType::RefreshToken) && !members.contains_key("grant_types") {
            metadata.grant_types.push(GrantType::RefreshToken);
        }
        Ok(metadata)
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.request.field("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    }

    /// Whether the caller has the administrators' secret.
    pub(super) fn is_administrator(&self) -> bool {
        let Some(secret) = &self.server.admin else { return false };
        self.bearer().is_some_and(|shown| Hash::of(shown) == Hash::of(secret.expose()))
    }

    fn counter(&self, limit: AddressLimit) -> Hash {
        Hash::of(&format!("{} {}", limit.as_str(), self.request.network()))
    }

    /// Whether this caller is within a limit in this isolate, by the address that the platform says.
    pub(super) fn is_within(&self, limit: AddressLimit) -> bool {
        self.memory.count_address(limit, self.counter(limit).as_str().to_owned(), self.ports.now())
    }

    /// Refuses registrations that come too fast: by the caller's address, which the platform says.
    async fn too_many(&self) -> Option<Reply> {
        let key = self.counter(AddressLimit::Registration);
        let said = match &self.server.registration_limit {
            Some(binding) => self.ports.within_limit(binding, key.as_str()).await.ok(),
            None => None,
        };
        // Where no binding can say, this isolate counts.
        let within = said.unwrap_or_else(|| self.is_within(AddressLimit::Registration));
        (!within).then(|| Reply::refusal(Refusal::TooManyRegistrations))
    }
}
