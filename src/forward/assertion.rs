//! The identity assertion: a short-lived signed JWT that states to one origin server who calls.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::jwks::signing_key::SigningKey;
use crate::limits::ASSERTION_SECONDS;
use crate::settings::Settings;
use crate::settings::resource::OriginServer;
use crate::time::UnixMillis;
use crate::token::principal::Subject;

/// The input to sign: `iss` is this gateway, `aud` the origin server's URL as configured, `sub` and `subject_issuer`
/// identify the caller, `jti` is the id of the request in the log, `claims` has the claims that the resource names, and
/// `operation` are the claims that name what the request asks for.
#[must_use]
pub fn signing_input(
    settings: &Settings,
    key: &SigningKey,
    subject: &Subject,
    origin: &OriginServer,
    (request_id, identity, operation): (&str, Map<String, Value>, Map<String, Value>),
    now: UnixMillis,
) -> String {
    let header = json!({ "alg": key.algorithm().as_str(), "kid": key.id(), "typ": "portcullis-assertion+jwt" });
    let mut claims = json!({
        "iss": settings.public_url.to_string(),
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
    if let Some(claims) = claims.as_object_mut() {
        claims.extend(operation);
    }
    if let (Some(claims), false) = (claims.as_object_mut(), identity.is_empty()) {
        claims.insert("claims".to_owned(), Value::Object(identity));
    }
    let encode = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(claims))
}
