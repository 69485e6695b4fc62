//! Access tokens that the gateway itself issues (RFC 9068): with a short lifetime, each for one resource.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::authorization_server::handle::GrantId;
use crate::authorization_server::settings::AuthorizationServer;
use crate::jwks::signing_key::SigningKey;
use crate::time::UnixMillis;

/// Claims of access tokens that only the gateway sets, and whether its tokens can have them.
pub const GATEWAY_CLAIMS: [(&str, bool); 15] = [
    ("iss", true),
    ("sub", true),
    ("aud", true),
    ("exp", true),
    ("nbf", false),
    ("iat", true),
    ("jti", true),
    ("client_id", true),
    ("scope", true),
    ("scp", false),
    ("azp", false),
    ("auth_time", true),
    ("cnf", true),
    ("act", false),
    ("token_use", false),
];

/// The content of a token.
#[derive(Debug, Clone)]
pub struct AccessToken<'a> {
    /// `sub`.
    pub subject: &'a str,
    /// `client_id`.
    pub client_id: &'a str,
    /// `scope`.
    pub scope: &'a str,
    /// `aud`.
    pub resource: &'a str,
    /// Claims of the user and of the sign-in.
    pub claims: &'a Map<String, Value>,
    /// The key and the certificate that the token is bound to (`cnf`).
    pub bound_to: (Option<&'a str>, Option<&'a str>),
    /// The grant that the token belongs to; `None` if a client acts for itself (`client_credentials`).
    pub grant: Option<&'a str>,
}

/// The signing input of a token (RFC 9068 §2). `jti` names the grant, so that the client can revoke the grant with this
/// token. `random` makes each `jti` unique.
#[must_use]
pub fn signing_input(
    server: &AuthorizationServer,
    key: &SigningKey,
    token: &AccessToken<'_>,
    random: &[u8; 16],
    now: UnixMillis,
) -> String {
    let header = json!({ "alg": key.algorithm().as_str(), "kid": key.id(), "typ": "at+jwt" });
    let mut claims = token.claims.clone();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("iss", json!(server.own.identifier));
    put("sub", json!(token.subject));
    put("aud", json!(token.resource));
    put("client_id", json!(token.client_id));
    put("scope", json!(token.scope));
    put("iat", json!(now.seconds()));
    put("exp", json!(now.seconds() + server.access_token_seconds));
    put("jti", json!(format!("{}.{}", token.grant.unwrap_or_default(), GrantId(*random))));
    let mut confirmation = Map::new();
    for (name, value) in [("jkt", token.bound_to.0), ("x5t#S256", token.bound_to.1)] {
        confirmation.extend(value.map(|value| (name.to_owned(), json!(value))));
    }
    if !confirmation.is_empty() {
        put("cnf", Value::Object(confirmation));
    }
    let encode = |part: String| URL_SAFE_NO_PAD.encode(part);
    format!("{}.{}", encode(header.to_string()), encode(Value::Object(claims).to_string()))
}

/// The grant that a `jti` names; `None` if it names none.
#[must_use]
pub fn grant_of(jti: &str) -> Option<&str> {
    jti.split_once('.').map(|(grant, _)| grant).filter(|grant| GrantId::parse(grant).is_some())
}
