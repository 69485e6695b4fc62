//! How this gateway, as a client, authenticates at an authorization server (RFC 6749 §2.3, RFC 7523 §2.2).

use crate::jwks::signing_key::SigningKey;
use crate::limits::CLIENT_ASSERTION_SECONDS;
use crate::oauth::form::{Form, form_encoded};
use crate::secret::Secret;
use crate::time::UnixMillis;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// How a client authenticates.
#[derive(Debug, Clone)]
pub enum ClientAuthentication {
    /// `client_secret_basic`
    SecretBasic(Secret),
    /// `client_secret_post`
    SecretPost(Secret),
    /// `private_key_jwt`
    PrivateKeyJwt(Box<SigningKey>),
    /// `none`: a public client, or no client at all.
    None,
}

/// The `client_assertion_type` of RFC 7523 §2.2.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The signing input of a client assertion (RFC 7523 §3). `random` is for `jti`.
#[must_use]
pub fn client_assertion(
    client_id: &str,
    key: &SigningKey,
    audience: &str,
    random: &[u8; 16],
    now: UnixMillis,
) -> String {
    let header = json!({ "alg": key.algorithm().as_str(), "kid": key.id(), "typ": "JWT" });
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": URL_SAFE_NO_PAD.encode(random),
        "iat": now.seconds(),
        "exp": now.seconds() + CLIENT_ASSERTION_SECONDS,
    });
    let encode = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// Adds the client's authentication to a request. `assertion` is the signed client assertion, if the method needs one.
pub fn authenticate(
    client_id: &str,
    authentication: &ClientAuthentication,
    assertion: Option<&str>,
    form: &mut Form,
    fields: &mut Vec<(&'static str, String)>,
) {
    match authentication {
        ClientAuthentication::SecretBasic(secret) => {
            // RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
            let pair = format!("{}:{}", form_encoded(client_id), form_encoded(secret.expose()));
            fields.push(("authorization", format!("Basic {}", STANDARD.encode(pair))));
        }
        ClientAuthentication::SecretPost(secret) => {
            form.add("client_id", client_id);
            form.add("client_secret", secret.expose());
        }
        ClientAuthentication::PrivateKeyJwt(_) => {
            form.add("client_id", client_id);
            form.add("client_assertion_type", ASSERTION_TYPE);
            form.add("client_assertion", assertion.unwrap_or_default());
        }
        ClientAuthentication::None => {
            if !client_id.is_empty() {
                form.add("client_id", client_id);
            }
        }
    }
}
