//! Requests to token endpoints.

use serde_json::json;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::jwks::signing_key::SigningKey;
use crate::limits::CLIENT_ASSERTION_SECONDS;
use crate::oauth::client_authentication::authenticate;
use crate::oauth::form::Form;
use crate::origin_credential::{
    ClientCredentials, Enterprise, ExchangeProfile, TokenEndpoint, TokenExchange, TokenTarget,
};
use crate::time::UnixMillis;
use crate::transport::provider::ProviderRequest;

/// `grant_type` of RFC 8693 §2.1.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// `grant_type` of RFC 7523 §2.1.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The token type of access tokens (RFC 8693 §3).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The token type of JWTs (RFC 8693 §3).
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// The token type of identity assertion grants (ID-JAG).
pub const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// The request for a token of the gateway itself. `assertion` is the signed client assertion, if the client needs one.
#[must_use]
pub fn client_credentials(grant: &ClientCredentials, assertion: Option<&str>) -> ProviderRequest {
    let mut form = Form::default();
    form.add("grant_type", "client_credentials");
    add_target(&mut form, &grant.target);
    send(&grant.endpoint, form, assertion)
}

/// The request that exchanges the caller's token. `actor` is the signed assertion of the gateway, if it names itself.
#[must_use]
pub fn token_exchange(
    grant: &TokenExchange,
    subject_token: &str,
    actor: Option<&str>,
    assertion: Option<&str>,
) -> ProviderRequest {
    let mut form = Form::default();
    match grant.profile {
        ExchangeProfile::EntraOnBehalfOf => {
            form.add("grant_type", JWT_BEARER);
            form.add("assertion", subject_token);
            form.add("requested_token_use", "on_behalf_of");
        }
        ExchangeProfile::Rfc8693 => {
            form.add("grant_type", TOKEN_EXCHANGE);
            form.add("subject_token", subject_token);
            form.add("subject_token_type", &grant.subject_token_type);
            if let Some(requested) = &grant.requested_token_type {
                form.add("requested_token_type", requested);
            }
            if let Some(actor) = actor {
                form.add("actor_token", actor);
                form.add("actor_token_type", JWT);
            }
        }
    }
    add_target(&mut form, &grant.target);
    send(&grant.endpoint, form, assertion)
}

/// The request for an identity assertion (ID-JAG), in exchange for the caller's token.
#[must_use]
pub fn identity_assertion(grant: &Enterprise, subject_token: &str, assertion: Option<&str>) -> ProviderRequest {
    let mut form = Form::default();
    form.add("grant_type", TOKEN_EXCHANGE);
    form.add("requested_token_type", ID_JAG);
    form.add("audience", &grant.server_issuer);
    form.add("subject_token", subject_token);
    form.add("subject_token_type", &grant.subject_token_type);
    add_target(&mut form, &grant.target);
    send(&grant.provider, form, assertion)
}

/// The request that redeems an identity assertion at the authorization server of the origin server.
#[must_use]
pub fn redemption(grant: &Enterprise, identity_assertion: &str, assertion: Option<&str>) -> ProviderRequest {
    let mut form = Form::default();
    form.add("grant_type", JWT_BEARER);
    form.add("assertion", identity_assertion);
    if !grant.target.scopes.is_empty() {
        form.add("scope", &grant.target.scopes.to_string());
    }
    send(&grant.server, form, assertion)
}

/// The signing input of the assertion by which the gateway names itself as the actor of an exchange.
#[must_use]
pub fn actor_token(gateway: &str, key: &SigningKey, audience: &str, random: &[u8; 16], now: UnixMillis) -> String {
    let header = json!({ "alg": key.algorithm().as_str(), "kid": key.id(), "typ": "JWT" });
    let claims = json!({
        "iss": gateway,
        "sub": gateway,
        "aud": audience,
        "jti": URL_SAFE_NO_PAD.encode(random),
        "iat": now.seconds(),
        "exp": now.seconds() + CLIENT_ASSERTION_SECONDS,
    });
    let encode = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

fn add_target(form: &mut Form, target: &TokenTarget) {
    if !target.scopes.is_empty() {
        form.add("scope", &target.scopes.to_string());
    }
    if let Some(resource) = &target.resource {
        form.add("resource", resource);
    }
    if let Some(audience) = &target.audience {
        form.add("audience", audience);
    }
}

fn send(endpoint: &TokenEndpoint, mut form: Form, assertion: Option<&str>) -> ProviderRequest {
    let mut fields = vec![
        ("accept", "application/json".to_owned()),
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
    ];
    authenticate(&endpoint.client_id, &endpoint.authentication, assertion, &mut form, &mut fields);
    ProviderRequest {
        url: endpoint.url.clone(),
        service: None,
        fields,
        body: Some(form.into_text()),
        seconds: endpoint.timeout,
    }
}
