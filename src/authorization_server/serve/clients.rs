//! Who a client is: found by its id, and held to what it authenticates with.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::assertion_grant::NoClaims;
use super::keys::NoAssertion;
use super::{Context, Failure, Reply};
use crate::authorization_server::client::{AuthMethod, Client, ClientMetadata, Source, client_url};
use crate::authorization_server::client_error::{AssertionError, ClientUrlError, UnknownClient, UnreachableClient};
use crate::authorization_server::refusal::{ClientAuthenticationError, CredentialsError, Refusal};
use crate::authorization_server::state::client::{Registration, RegistrationQuestion};
use crate::authorization_server::state::once::Once;
use crate::authorization_server::state::{Hash, RecordStateMachine as _};
use crate::jwks::freshness::lifetime;
use crate::jwks::key::JwsAlgorithm;
use crate::jwks::key_set::KeySet;
use crate::limits::{
    CLIENT_DOCUMENT_BYTES, CLIENT_DOCUMENT_SECONDS, CLIENT_DOCUMENT_SECONDS_DEFAULT, CLIENT_ID_BYTES, DOCUMENT_RETRY,
};
use crate::oauth::client_authentication::ASSERTION_TYPE;
use crate::oauth::form::Parameters;
use crate::policy::counters::AddressLimit;
use crate::ports::Ports;
use crate::strict_json;
use crate::token::claim_values::{seconds, texts};
use crate::token::signature::SignatureCheck;
use crate::token::untrusted::UntrustedToken;
use crate::transport::provider::ProviderDocument;
use crate::transport::url::HttpUrl;

/// How ids of clients that registered themselves begin.
pub(super) const REGISTERED: &str = "pc-";

/// A client's metadata as isolates of a place share it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SharedDocument {
    metadata: ClientMetadata,
    until: u64,
}

/// Why there is no client of an id.
#[derive(Debug)]
pub(super) enum NoClient {
    /// There is no such client, or its metadata is invalid.
    Unknown(UnknownClient),
    /// Its metadata cannot be fetched now.
    Unreachable(UnreachableClient),
}

impl<P: Ports> Context<'_, P> {
    /// The client of an id. With `uses`, this use extends the client's registration.
    pub(super) async fn client(&self, id: &str, uses: bool) -> Result<Result<Client, NoClient>, Failure> {
        let unknown = |error| Ok(Err(NoClient::Unknown(error)));
        if id.len() > CLIENT_ID_BYTES {
            return unknown(UnknownClient::IdTooLong);
        }
        if let Some(client) = self.server.clients.iter().find(|client| client.id == id) {
            return Ok(Ok(client.clone()));
        }
        if id.starts_with(REGISTERED) {
            let seconds = if uses { self.server.registration_seconds } else { 0 };
            let question = RegistrationQuestion::Use(seconds);
            let Some(registration) = self.ask::<Registration>(id, question).await? else {
                return unknown(UnknownClient::NotRegistered);
            };
            return Ok(Ok(Client {
                id: id.to_owned(),
                source: Source::Registered,
                metadata: registration.metadata,
                secret: registration.secret,
                introspects: false,
                workload: None,
            }));
        }
        if self.server.documents && (id.starts_with("https://") || id.starts_with("http://")) {
            return Ok(self.document(id).await);
        }
        unknown(UnknownClient::None)
    }

    /// A client whose id is the URL of its metadata (A5).
    async fn document(&self, id: &str) -> Result<Client, NoClient> {
        self.allowed(id).map_err(NoClient::Unknown)?;
        let name = format!("client/{}", URL_SAFE_NO_PAD.encode(Sha256::digest(id)));
        let metadata = match self.recalled(&name).await {
            Some(metadata) => metadata,
            None => self.fetched_once(id, &name).await?,
        };
        Ok(Client {
            id: id.to_owned(),
            source: Source::Document,
            metadata,
            secret: None,
            introspects: false,
            workload: None,
        })
    }

    /// Checks that the gateway may fetch the document of this client id, and that the configuration allows its domain.
    fn allowed(&self, id: &str) -> Result<(), UnknownClient> {
        client_url(id, self.settings.development).map_err(UnknownClient::IdUrl)?;
        let url = HttpUrl::parse(id).map_err(|error| UnknownClient::IdUrl(ClientUrlError::NotUrl(error)))?;
        let host = url.authority().host();
        let domains = &self.server.document_domains;
        let below =
            |domain: &String| host == domain || host.strip_suffix(domain.as_str()).is_some_and(|it| it.ends_with('.'));
        if domains.is_empty() || domains.iter().any(below) { Ok(()) } else { Err(UnknownClient::Domain) }
    }

    async fn recalled(&self, name: &str) -> Option<ClientMetadata> {
        let shared: SharedDocument = strict_json::read(&self.ports.recall(name).await?).ok()?;
        (self.now() < shared.until).then_some(shared.metadata)
    }

    /// Fetches metadata, unless a fetch failed recently or this address has used up its limit: without a limit, callers could
    /// make the gateway send requests to others.
    async fn fetched_once(&self, id: &str, name: &str) -> Result<ClientMetadata, NoClient> {
        let now = self.ports.now();
        if self.memory.failed_lately(name, now) {
            return Err(NoClient::Unreachable(UnreachableClient::FailedLately));
        }
        if !self.is_within(AddressLimit::Document) {
            return Err(NoClient::Unreachable(UnreachableClient::TooMany));
        }
        let document = match self.ports.get(id).await {
            Ok(document) if document.status < 500 && document.status != 429 => document,
            _ => {
                self.memory.note_failure(name, now.plus_seconds(DOCUMENT_RETRY));
                return Err(NoClient::Unreachable(UnreachableClient::NoAnswer));
            }
        };
        self.read_document(&document, id, name).await.map_err(NoClient::Unknown)
    }

    async fn read_document(
        &self,
        document: &ProviderDocument,
        id: &str,
        name: &str,
    ) -> Result<ClientMetadata, UnknownClient> {
        if document.status != 200 {
            return Err(UnknownClient::DocumentStatus(document.status));
        }
        if !document.is_json() {
            return Err(UnknownClient::NotJsonType);
        }
        if document.body.len() > CLIENT_DOCUMENT_BYTES {
            return Err(UnknownClient::DocumentTooLarge);
        }
        let members = super::members(&document.body).ok_or(UnknownClient::NotObject)?;
        if members.get("client_id").and_then(Value::as_str) != Some(id) {
            return Err(UnknownClient::OtherId);
        }
        let metadata = self.document_metadata(members)?;
        let cache_control = document.cache_control.as_deref();
        let kept = if cache_control.is_some_and(|field| field.contains("no-store")) {
            0
        } else {
            lifetime(cache_control, document.age.as_deref()).unwrap_or(CLIENT_DOCUMENT_SECONDS_DEFAULT)
        };
        let kept = kept.min(CLIENT_DOCUMENT_SECONDS);
        if kept > 0 {
            let shared = SharedDocument { metadata: metadata.clone(), until: self.now() + kept };
            if let Ok(text) = serde_json::to_vec(&shared) {
                self.ports.keep(name, &text, kept).await;
            }
        }
        Ok(metadata)
    }

    fn document_metadata(&self, mut members: Map<String, Value>) -> Result<ClientMetadata, UnknownClient> {
        for secret in ["client_secret", "client_secret_expires_at"] {
            if members.contains_key(secret) {
                return Err(UnknownClient::Secret);
            }
        }
        // Client and gateway share no secret, so the default is `none` and not `client_secret_basic`.
        members.entry("token_endpoint_auth_method").or_insert_with(|| Value::from("none"));
        members
            .entry("grant_types")
            .or_insert_with(|| Value::from(vec!["authorization_code".to_owned(), "refresh_token".to_owned()]));
        let metadata = self.server.client_metadata(&members).map_err(UnknownClient::Metadata)?;
        if metadata.client_name.is_empty() {
            return Err(UnknownClient::NameMissing);
        }
        if metadata.auth_method.has_secret() {
            return Err(UnknownClient::SecretAuthentication);
        }
        if let Some(uri) = &metadata.jwks_uri {
            client_url(uri, self.settings.development).map_err(UnknownClient::JwksUri)?;
        }
        Ok(metadata)
    }

    /// The client that sends a request to the token endpoint or a similar one (RFC 6749 §2.3). It must authenticate with
    /// exactly the method that is registered for it.
    pub(super) async fn authenticated_client(&self, form: &Parameters) -> Result<Result<Client, Reply>, Failure> {
        let basic = self.request.field("authorization");
        let by_field = basic.is_some();
        let refuse = |error| Ok(Err(Reply::refusal(Refusal::InvalidClient { error, by_field })));
        let presented = match presented(basic, form) {
            Ok(presented) => presented,
            Err(error) => return Ok(Err(Reply::refusal(Refusal::CredentialsMalformed(error)))),
        };
        if let Proof::Assertion(token) = &presented.proof
            && self.is_workload(token, form.get("client_id"))
        {
            return match self.workload_of(token, form.get("client_id")).await {
                Ok((client, _)) => Ok(Ok(client)),
                Err(NoClaims::Invalid(error)) => refuse(ClientAuthenticationError::Workload(error)),
                Err(NoClaims::Unavailable(why)) => Ok(Err(Reply::refusal(Refusal::IssuerUnavailable(why)))),
            };
        }
        let client = match self.client(&presented.client_id, true).await? {
            Ok(client) => client,
            Err(NoClient::Unknown(error)) => return refuse(ClientAuthenticationError::Unknown(error)),
            // A client that gets `invalid_client` forgets its tokens.
            Err(NoClient::Unreachable(error)) => {
                return Ok(Err(Reply::refusal(Refusal::ClientTemporarilyUnreachable(error))));
            }
        };
        let method = client.metadata.auth_method;
        if method.has_certificate() && matches!(presented.proof, Proof::None) {
            // RFC 8705 §2: the certificate of the connection, and `client_id`.
            let certificate = self.request.admitted().head().certificate.as_deref();
            let is_theirs = certificate.is_some_and(|certificate| client.metadata.has_certificate(certificate));
            let is_good = self.server.certificates && is_theirs;
            return if is_good { Ok(Ok(client)) } else { refuse(ClientAuthenticationError::Certificate) };
        }
        if presented.proof.method() != method {
            return refuse(ClientAuthenticationError::Method(method));
        }
        let good = match &presented.proof {
            Proof::None => true,
            Proof::Basic(secret) | Proof::Post(secret) => client.secret.as_ref() == Some(&Hash::of(secret)),
            Proof::Assertion(token) => match self.check_assertion(&client, token).await? {
                Ok(()) => true,
                Err(NoAssertion::Invalid(error)) => return refuse(ClientAuthenticationError::Assertion(error)),
                Err(NoAssertion::Unreachable(error)) => {
                    return Ok(Err(Reply::refusal(Refusal::ClientTemporarilyUnreachable(error))));
                }
            },
        };
        if good { Ok(Ok(client)) } else { refuse(ClientAuthenticationError::Secret) }
    }

    /// Whether a client assertion has to be one of a platform: it is from a trusted issuer, or its client is a workload.
    fn is_workload(&self, token: &UntrustedToken, client_id: Option<&str>) -> bool {
        let issuer = token.claimed_issuer();
        let is_trusted = self.server.trusted_issuers.iter().any(|it| Some(it.identifier.as_str()) == issuer);
        let id = client_id.or(issuer);
        is_trusted || self.server.clients.iter().any(|it| Some(it.id.as_str()) == id && it.workload.is_some())
    }

    /// Verifies a client assertion (RFC 7523 §3):
    ///
    /// 1. a key of the client signed it;
    /// 2. `iss` and `sub` are the client id, and `aud` is this server;
    /// 3. `exp` is at most ten minutes ahead, and `nbf`, if present, has passed;
    /// 4. `jti` was not used before.
    async fn check_assertion(
        &self,
        client: &Client,
        token: &UntrustedToken,
    ) -> Result<Result<(), NoAssertion>, Failure> {
        let invalid = |error: AssertionError| Ok(Err(NoAssertion::Invalid(error)));
        let claims = match self.signed_claims(client, token).await {
            Ok(claims) => claims,
            Err(error) => return Ok(Err(error)),
        };
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(&client.id) || text("sub") != Some(&client.id) {
            return invalid(AssertionError::Issuer);
        }
        // `aud` is the issuer or, from older clients, the token endpoint (RFC 7523 §3).
        let own =
            [self.server.own.identifier.clone(), self.server.url("/token"), format!("{}/", self.server.own.identifier)];
        let audiences = claims.get("aud").and_then(texts).unwrap_or_default();
        if !audiences.iter().all(|audience| own.contains(audience)) || audiences.is_empty() {
            return invalid(AssertionError::Audience);
        }
        let now = i64::try_from(self.now()).unwrap_or(i64::MAX);
        let exp = seconds(&claims, "exp").ok().flatten().filter(|exp| *exp > now - 10 && *exp < now + 600);
        let Some(exp) = exp else { return invalid(AssertionError::Expiry) };
        match seconds(&claims, "nbf") {
            Ok(nbf) if nbf.is_some_and(|nbf| nbf > now + 60) => return invalid(AssertionError::NotYet),
            Ok(_) => {}
            Err(_) => return invalid(AssertionError::NotBeforeMalformed),
        }
        let Some(jti) = text("jti").filter(|jti| !jti.is_empty()) else { return invalid(AssertionError::NoId) };
        let name = Hash::of(&format!("{} {} {jti}", Once::KIND, client.id));
        let until = u64::try_from(exp).unwrap_or_default() + 60;
        let is_first = self.ask::<Once>(name.as_str(), until).await?;
        if is_first { Ok(Ok(())) } else { invalid(AssertionError::Replayed) }
    }

    /// The claims of an assertion that a key of the client signed.
    async fn signed_claims(&self, client: &Client, token: &UntrustedToken) -> Result<Map<String, Value>, NoAssertion> {
        let algorithm = JwsAlgorithm::parse(token.algorithm()).ok_or(AssertionError::Algorithm)?;
        let keys = match (&client.metadata.jwks, &client.metadata.jwks_uri) {
            (Some(jwks), _) => KeySet::parse(jwks.to_string().as_bytes()).map_err(AssertionError::KeySet)?,
            (None, Some(uri)) => self.client_keys(uri, token.kid()).await?,
            (None, None) => return Err(AssertionError::NoKeys.into()),
        };
        let key = keys.select(token.kid(), algorithm).map_err(|_| AssertionError::NoSuchKey)?;
        let check = SignatureCheck::of(token, key, algorithm).map_err(|_| AssertionError::SignatureForm)?;
        let good = self.ports.verify(&check).await.map_err(|_| AssertionError::KeyUnusable)?;
        let proof = check.answered(good).map_err(|_| AssertionError::Signature)?;
        token.claims_with(&proof).cloned().ok_or(NoAssertion::Invalid(AssertionError::Signature))
    }
}

/// What a request authenticates its client with.
enum Proof {
    None,
    Basic(String),
    Post(String),
    Assertion(Box<UntrustedToken>),
}

impl Proof {
    fn method(&self) -> AuthMethod {
        match self {
            Self::None => AuthMethod::None,
            Self::Basic(_) => AuthMethod::ClientSecretBasic,
            Self::Post(_) => AuthMethod::ClientSecretPost,
            Self::Assertion(_) => AuthMethod::PrivateKeyJwt,
        }
    }
}

struct Presented {
    client_id: String,
    proof: Proof,
}

/// Reads what a request authenticates its client with: one way, not several (RFC 6749 §2.3).
fn presented(authorization: Option<&str>, form: &Parameters) -> Result<Presented, CredentialsError> {
    let named = form.get("client_id");
    let mut found = Vec::new();
    if let Some(field) = authorization {
        let (id, secret) = basic(field).ok_or(CredentialsError::Basic)?;
        // Some public clients send their id with an empty secret.
        let proof = if secret.is_empty() { Proof::None } else { Proof::Basic(secret) };
        found.push(Presented { client_id: id, proof });
    }
    if let Some(secret) = form.get("client_secret") {
        let client_id = named.ok_or(CredentialsError::ClientIdMissing)?.to_owned();
        found.push(Presented { client_id, proof: Proof::Post(secret.to_owned()) });
    }
    if let Some(assertion) = form.get("client_assertion") {
        if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
            return Err(CredentialsError::AssertionType);
        }
        let token = UntrustedToken::parse(assertion).map_err(|_| CredentialsError::AssertionMalformed)?;
        let issuer = token.claimed_issuer().ok_or(CredentialsError::AssertionWithoutIssuer)?;
        // A workload, which does not issue its assertion itself, may name the client that it is.
        let client_id = named.unwrap_or(issuer).to_owned();
        found.push(Presented { client_id, proof: Proof::Assertion(Box::new(token)) });
    }
    let Some(presented) = found.pop() else {
        let client_id = named.ok_or(CredentialsError::ClientIdMissing)?.to_owned();
        return Ok(Presented { client_id, proof: Proof::None });
    };
    if !found.is_empty() {
        return Err(CredentialsError::Several);
    }
    if named.is_some_and(|named| named != presented.client_id) {
        return Err(CredentialsError::OtherClientId);
    }
    Ok(presented)
}

/// Id and secret of a Basic field (RFC 6749 §2.3.1): both form-encoded.
fn basic(field: &str) -> Option<(String, String)> {
    let (scheme, encoded) = field.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((crate::oauth::form::decoded(id)?, crate::oauth::form::decoded(secret)?))
}
