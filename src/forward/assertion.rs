//! The identity assertion: a short signed statement to one origin server of who calls.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_compact::jwk::JsonWebKey;
use serde_json::{Value, json};

use crate::config::{Config, OriginServer};
use crate::jwks::key::{JwsAlgorithm, thumbprint};
use crate::limits::ASSERTION_SECONDS;
use crate::strict_json;
use crate::time::UnixMillis;
use crate::token::principal::Subject;

/// The private key that signs assertions.
#[derive(Clone)]
pub struct AssertionKey {
    jwk: JsonWebKey<'static>,
    algorithm: JwsAlgorithm,
    id: String,
}

impl AssertionKey {
    /// Reads a private JWK: `EC` P-256 or `OKP` Ed25519.
    ///
    /// # Errors
    /// A description of what is wrong, without the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = strict_json::parse(text.trim().as_bytes())
            .map_err(|error| format!("the secret must be a private JWK as JSON; it is {error}"))?;
        // What `npm run keys` and other tools add beside the parameters is not kept.
        let jwk: JsonWebKey<'static> =
            serde_json::from_value(value).map_err(|_| "the secret is JSON, and no private JWK".to_owned())?;
        if !jwk.is_signing_key() {
            return Err("the secret is a public key; it must be the private one".to_owned());
        }
        let algorithm = match &jwk {
            JsonWebKey::EllipticCurve { curve, x, y, .. } if curve == "P-256" && x.len() == 32 && y.len() == 32 => {
                JwsAlgorithm::Es256
            }
            JsonWebKey::KeyPair { curve, x, .. } if curve == "Ed25519" && x.len() == 32 => JwsAlgorithm::EdDsa,
            _ => return Err("the secret must be an EC P-256 or OKP Ed25519 key".to_owned()),
        };
        let id = thumbprint(&jwk);
        Ok(Self { jwk, algorithm, id })
    }

    /// The private key, for signing and nothing else.
    #[must_use]
    pub fn expose(&self) -> &JsonWebKey<'static> {
        &self.jwk
    }

    /// The algorithm that it signs with.
    #[must_use]
    pub fn algorithm(&self) -> JwsAlgorithm {
        self.algorithm
    }

    /// The key id: the thumbprint (RFC 7638).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key as it is published.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(self.jwk.to_verifying_key()).unwrap_or_default();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), json!(self.id));
            members.insert("alg".to_owned(), json!(self.algorithm.as_str()));
            members.insert("use".to_owned(), json!("sig"));
        }
        jwk
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssertionKey({}, {})", self.algorithm.as_str(), self.id)
    }
}

/// What is signed: `iss` is this gateway, `aud` the origin server's URL as configured, `sub` and `subject_issuer`
/// the caller, `jti` the id of the request in the log.
#[must_use]
pub fn signing_input(
    config: &Config,
    key: &AssertionKey,
    subject: &Subject,
    origin: &OriginServer,
    request_id: &str,
    now: UnixMillis,
) -> String {
    let header = json!({ "alg": key.algorithm.as_str(), "kid": key.id, "typ": "portcullis-assertion+jwt" });
    let mut claims = json!({
        "iss": config.public_url.to_string(),
        "aud": origin.url.to_string(),
        "sub": subject.subject,
        "subject_issuer": subject.issuer,
        "scope": subject.scopes.to_string(),
        "iat": now.seconds(),
        "exp": now.seconds() + ASSERTION_SECONDS,
        "jti": request_id,
    });
    if let (Some(claims), Some(client)) = (claims.as_object_mut(), &subject.client) {
        claims.insert("client_id".to_owned(), json!(client));
    }
    let encode = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// The assertion in compact form.
#[must_use]
pub fn assemble(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
}
