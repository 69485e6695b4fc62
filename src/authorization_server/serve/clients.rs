//! Who a client is: found by its id, and held to what it authenticates with.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Context, Failure, Reply};
use crate::authorization_server::client::{AuthMethod, Client, ClientMetadata, Source, client_url};
use crate::authorization_server::refusal::Refusal;
use crate::authorization_server::state::client::{Registration, RegistrationQuestion};
use crate::authorization_server::state::once::Once;
use crate::authorization_server::state::{Hash, RecordStateMachine as _};
use crate::jwks::freshness::lifetime;
use crate::jwks::key::JwsAlgorithm;
use crate::jwks::key_set::KeySet;
use crate::limits::{
    CLIENT_DOCUMENT_BYTES, CLIENT_DOCUMENT_SECONDS, CLIENT_DOCUMENT_SECONDS_DEFAULT, CLIENT_ID_BYTES, DOCUMENT_RETRY,
};
use crate::oauth::client_credentials::ASSERTION_TYPE;
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

/// Why a client is not known.
#[derive(Debug)]
pub(super) enum Unknown {
    /// There is no such client, or its metadata is invalid.
    Wrong(String),
    /// Its metadata cannot be fetched now.
    Unreachable(String),
}

impl Unknown {
    /// The refusal of a request that the client sent.
    fn refusal(self) -> Refusal {
        match self {
            Self::Wrong(why) => Refusal::InvalidClient { why, by_field: false },
            // A client that gets `invalid_client` forgets its tokens.
            Self::Unreachable(why) => Refusal::ClientTemporarilyUnreachable(why),
        }
    }
}

impl<P: Ports> Context<'_, P> {
    /// The client of an id. With `uses`, this use extends the client's registration.
    pub(super) async fn client(&self, id: &str, uses: bool) -> Result<Result<Client, Unknown>, Failure> {
        let unknown = |why: &str| Ok(Err(Unknown::Wrong(why.to_owned())));
        if id.len() > CLIENT_ID_BYTES {
            return unknown("the client id is too long");
        }
        if let Some(client) = self.server.clients.iter().find(|client| client.id == id) {
            return Ok(Ok(client.clone()));
        }
        if id.starts_with(REGISTERED) {
            let seconds = if uses { self.server.registration_seconds } else { 0 };
            let question = RegistrationQuestion::Use(seconds);
            let Some(registration) = self.ask::<Registration>(id, question).await? else {
                return unknown("there is no such client, or it was not used for too long");
            };
            return Ok(Ok(Client {
                id: id.to_owned(),
                source: Source::Registered,
                metadata: registration.metadata,
                secret: registration.secret,
                introspects: false,
            }));
        }
        if self.server.documents && (id.starts_with("https://") || id.starts_with("http://")) {
            return Ok(self.document(id).await);
        }
        unknown("there is no such client")
    }

    /// A client whose id is the URL of its metadata (A5).
    async fn document(&self, id: &str) -> Result<Client, Unknown> {
        self.allowed_document(id).and_then(|()| self.allowed_domain(id)).map_err(Unknown::Wrong)?;
        let name = format!("client/{}", URL_SAFE_NO_PAD.encode(Sha256::digest(id)));
        let metadata = match self.recalled(&name).await {
            Some(metadata) => metadata,
            None => self.fetched_once(id, &name).await?,
        };
        Ok(Client { id: id.to_owned(), source: Source::Document, metadata, secret: None, introspects: false })
    }

    /// Holds a URL of a client's to be one that may be fetched.
    fn allowed_document(&self, id: &str) -> Result<(), String> {
        client_url(id, self.settings.development).map_err(|why| format!("the client id {why}"))
    }

    /// Holds a client id to be of a domain that configuration allows.
    fn allowed_domain(&self, id: &str) -> Result<(), String> {
        let url = HttpUrl::parse(id).map_err(|error| format!("the client id {error}"))?;
        let host = url.authority().host();
        let domains = &self.server.document_domains;
        let below =
            |domain: &String| host == domain || host.strip_suffix(domain.as_str()).is_some_and(|it| it.ends_with('.'));
        if domains.is_empty() || domains.iter().any(below) {
            Ok(())
        } else {
            Err("clients of that domain are not allowed".to_owned())
        }
    }

    async fn recalled(&self, name: &str) -> Option<ClientMetadata> {
        let shared: SharedDocument = strict_json::read(&self.ports.recall(name).await?).ok()?;
        (self.now() < shared.until).then_some(shared.metadata)
    }

    /// Fetches metadata, unless a fetch failed recently or this address has used up its limit: without a limit, callers could
    /// make the gateway send requests to others.
    async fn fetched_once(&self, id: &str, name: &str) -> Result<ClientMetadata, Unknown> {
        let now = self.ports.now();
        if self.memory.failed_lately(name, now) {
            return Err(Unknown::Unreachable("its metadata could not be had a moment ago".to_owned()));
        }
        if !self.is_within(AddressLimit::Document) {
            return Err(Unknown::Unreachable("too many documents were asked for: try again in a minute".to_owned()));
        }
        let document = match self.ports.get(id).await {
            Ok(document) if document.status < 500 && document.status != 429 => document,
            _ => {
                self.memory.note_failure(name, now.plus_seconds(DOCUMENT_RETRY));
                return Err(Unknown::Unreachable("its metadata cannot be had now".to_owned()));
            }
        };
        self.read_document(&document, id, name).await.map_err(Unknown::Wrong)
    }

    async fn read_document(&self, document: &ProviderDocument, id: &str, name: &str) -> Result<ClientMetadata, String> {
        if document.status != 200 {
            return Err("its metadata is not there".to_owned());
        }
        if !document.is_json() {
            return Err("its metadata is not JSON by its content type".to_owned());
        }
        if document.body.len() > CLIENT_DOCUMENT_BYTES {
            return Err(format!("its metadata has more than {CLIENT_DOCUMENT_BYTES} bytes"));
        }
        let members = super::members(&document.body).ok_or("its metadata is no JSON object")?;
        if members.get("client_id").and_then(Value::as_str) != Some(id) {
            return Err("its metadata names another client_id".to_owned());
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

    fn document_metadata(&self, mut members: Map<String, Value>) -> Result<ClientMetadata, String> {
        for secret in ["client_secret", "client_secret_expires_at"] {
            if members.contains_key(secret) {
                return Err("its metadata has a secret that everybody can read".to_owned());
            }
        }
        // Client and gateway share no secret, so the default is `none` and not `client_secret_basic`.
        members.entry("token_endpoint_auth_method").or_insert_with(|| Value::from("none"));
        members
            .entry("grant_types")
            .or_insert_with(|| Value::from(vec!["authorization_code".to_owned(), "refresh_token".to_owned()]));
        let metadata = ClientMetadata::read(&members, self.server.redirect_rules())
            .map_err(|error| format!("its metadata is not taken: {}", error.description))?;
        if metadata.client_name.is_empty() {
            return Err("its metadata has no client_name".to_owned());
        }
        if metadata.auth_method.has_secret() {
            return Err("its metadata asks for a secret, and there is none that only it would know".to_owned());
        }
        if let Some(uri) = &metadata.jwks_uri {
            self.allowed_document(uri).map_err(|_| "its jwks_uri cannot be fetched from here".to_owned())?;
        }
        Ok(metadata)
    }

    /// The client that sends a request to the token endpoint or one like it (RFC 6749 §2.3): with exactly the method that it
    /// is known with.
    pub(super) async fn authenticated_client(&self, form: &Parameters) -> Result<Result<Client, Reply>, Failure> {
        let basic = self.request.field("authorization");
        let refuse = |why: &str| {
            let refusal = Refusal::InvalidClient { why: why.to_owned(), by_field: basic.is_some() };
            Ok(Err(Reply::refusal(refusal)))
        };
        let presented = match presented(basic, form) {
            Ok(presented) => presented,
            Err(why) => return Ok(Err(Reply::refusal(Refusal::CredentialsMalformed(why.to_owned())))),
        };
        let client = match self.client(&presented.client_id, true).await? {
            Ok(client) => client,
            Err(Unknown::Wrong(why)) => return refuse(&why),
            Err(unreachable) => return Ok(Err(Reply::refusal(unreachable.refusal()))),
        };
        let method = client.metadata.auth_method;
        if presented.proof.method() != method {
            return refuse(&format!("the client must authenticate with {}", method.as_str()));
        }
        let good = match &presented.proof {
            Proof::None => true,
            Proof::Basic(secret) | Proof::Post(secret) => client.secret.as_ref() == Some(&Hash::of(secret)),
            Proof::Assertion(token) => match self.assertion_holds(&client, token).await? {
                Ok(()) => true,
                Err(why) => return refuse(&why),
            },
        };
        if good { Ok(Ok(client)) } else { refuse("the client secret is wrong") }
    }

    /// Verifies a client assertion (RFC 7523 §3): the client's key signed it; `iss` and `sub` are the client id; `aud` is this
    /// server; `exp` is at most ten minutes ahead; `jti` is unused.
    async fn assertion_holds(&self, client: &Client, token: &UntrustedToken) -> Result<Result<(), String>, Failure> {
        let refuse = |why: &str| Ok(Err(format!("the client assertion {why}")));
        let Some(algorithm) = JwsAlgorithm::parse(token.algorithm()) else {
            return refuse("has an algorithm that is not taken");
        };
        let keys = match (&client.metadata.jwks, &client.metadata.jwks_uri) {
            (Some(jwks), _) => KeySet::parse(jwks.to_string().as_bytes()).map_err(|error| error.to_string()),
            (None, Some(uri)) => self.client_keys(uri).await,
            (None, None) => Err("the client has no keys".to_owned()),
        };
        let keys = match keys {
            Ok(keys) => keys,
            Err(why) => return refuse(&format!("cannot be checked: {why}")),
        };
        let Ok(key) = keys.select(token.kid(), algorithm) else { return refuse("names no key of the client's") };
        let Ok(check) = SignatureCheck::of(token, key, algorithm) else { return refuse("has no such signature") };
        let Ok(good) = self.ports.verify(&check).await else { return refuse("has a key that cannot be used") };
        let Ok(proof) = check.answered(good) else { return refuse("has a wrong signature") };
        let Some(claims) = token.claims_with(&proof) else { return refuse("has a wrong signature") };
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(&client.id) || text("sub") != Some(&client.id) {
            return refuse("is not by the client about itself");
        }
        // `aud` is the issuer or, from older clients, the token endpoint (RFC 7523 §3).
        let own =
            [self.server.own.identifier.clone(), self.server.url("/token"), format!("{}/", self.server.own.identifier)];
        let audiences = claims.get("aud").and_then(texts).unwrap_or_default();
        if !audiences.iter().all(|audience| own.contains(audience)) || audiences.is_empty() {
            return refuse("is for another server");
        }
        let now = i64::try_from(self.now()).unwrap_or(i64::MAX);
        let exp = seconds(claims, "exp").ok().flatten().filter(|exp| *exp > now - 10 && *exp < now + 600);
        let Some(exp) = exp else { return refuse("must have an exp within ten minutes") };
        match seconds(claims, "nbf") {
            Ok(nbf) if nbf.is_some_and(|nbf| nbf > now + 60) => return refuse("is not valid yet"),
            Ok(_) => {}
            Err(_) => return refuse("has an nbf that is not a time"),
        }
        let Some(jti) = text("jti").filter(|jti| !jti.is_empty()) else { return refuse("must have a jti") };
        let name = Hash::of(&format!("{} {} {jti}", Once::KIND, client.id));
        let until = u64::try_from(exp).unwrap_or_default() + 60;
        if self.ask::<Once>(name.as_str(), until).await? { Ok(Ok(())) } else { refuse("was used before") }
    }

    async fn client_keys(&self, uri: &str) -> Result<KeySet, String> {
        self.allowed_document(uri)?;
        let document = self.ports.get(uri).await?;
        if document.status != 200 || document.body.len() > CLIENT_DOCUMENT_BYTES {
            return Err("its keys cannot be had".to_owned());
        }
        KeySet::parse(&document.body).map_err(|error| error.to_string())
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
fn presented(authorization: Option<&str>, form: &Parameters) -> Result<Presented, &'static str> {
    let named = form.get("client_id");
    let mut found = Vec::new();
    if let Some(field) = authorization {
        let (id, secret) =
            basic(field).ok_or("the Authorization field is not Basic with a form-encoded id and secret")?;
        // Some public clients send their id so, with nothing after it.
        let proof = if secret.is_empty() { Proof::None } else { Proof::Basic(secret) };
        found.push(Presented { client_id: id, proof });
    }
    if let Some(secret) = form.get("client_secret") {
        let client_id = named.ok_or("client_id is required")?.to_owned();
        found.push(Presented { client_id, proof: Proof::Post(secret.to_owned()) });
    }
    if let Some(assertion) = form.get("client_assertion") {
        if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
            return Err("client_assertion_type must be that of RFC 7523");
        }
        let token = UntrustedToken::parse(assertion).map_err(|_| "client_assertion is no JWT")?;
        let client_id = token.claimed_issuer().ok_or("client_assertion has no iss")?.to_owned();
        found.push(Presented { client_id, proof: Proof::Assertion(Box::new(token)) });
    }
    let Some(presented) = found.pop() else {
        let client_id = named.ok_or("client_id is required")?.to_owned();
        return Ok(Presented { client_id, proof: Proof::None });
    };
    if !found.is_empty() {
        return Err("the client authenticates in more than one way");
    }
    if named.is_some_and(|named| named != presented.client_id) {
        return Err("client_id is another than the one that authenticates");
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
