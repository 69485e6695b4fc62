//! Requests to an identity provider, and checks of its answers.

use serde_json::{Map, Value};

use crate::authorization_server::login::error::{AnswerError, IdTokenError, LoginError};
use crate::authorization_server::login::signed_in::AskedSignIn;
use crate::authorization_server::login::{Login, Provider};
use crate::jwks::key::JwsAlgorithm;
use crate::jwks::key_set::KeySet;
use crate::oauth::client_authentication::{self, ClientAuthentication};
use crate::oauth::form::Form;
use crate::strict_json;
use crate::time::UnixMillis;
use crate::token::claim_values::{seconds, texts};
use crate::token::jwt::key_may_sign;
use crate::token::signature::{SignatureCheck, SignatureProof};
use crate::token::untrusted::{TokenType, UntrustedToken};
use crate::transport::provider::{ProviderDocument, ProviderRequest};

/// The values of one login in the authorization request.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizationParameters<'a> {
    /// The client id of this gateway at the provider.
    pub client_id: &'a str,
    /// The redirect URI to which the provider sends the code.
    pub redirect_uri: &'a str,
    /// `state`.
    pub state: &'a str,
    /// `nonce`.
    pub nonce: &'a str,
    /// The S256 challenge of the code verifier.
    pub challenge: &'a str,
    /// The user must log in again.
    pub anew: bool,
    /// Who the user is, as the client or the user says.
    pub hint: Option<&'a str>,
    /// What is asked of the sign-in: with `max_age`, the ID token says when it was.
    pub sign_in: &'a AskedSignIn,
}

/// The URL to which the gateway sends the user (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1, RFC 7636 §4.3).
#[must_use]
pub fn authorization_url(login: &Login, provider: &Provider, asking: &AuthorizationParameters<'_>) -> String {
    let mut form = Form::default();
    form.add("response_type", "code");
    form.add("client_id", asking.client_id);
    form.add("redirect_uri", asking.redirect_uri);
    form.add("scope", &login.scopes.join(" "));
    form.add("state", asking.state);
    form.add("code_challenge", asking.challenge);
    form.add("code_challenge_method", "S256");
    if login.issuer.is_some() {
        form.add("nonce", asking.nonce);
    }
    let logs_in_anew = asking.anew && login.issuer.is_some();
    let set_prompt = login.parameters.iter().any(|(name, _)| name == "prompt");
    if logs_in_anew && !set_prompt {
        form.add("prompt", "login");
    }
    let mut asked = Vec::new();
    if login.issuer.is_some() {
        asked.extend(asking.hint.map(|hint| ("login_hint", hint.to_owned())));
        asked.extend(asking.sign_in.max_age.map(|age| ("max_age", age.to_string())));
        asked.extend(Some(("acr_values", asking.sign_in.acr_values.clone())).filter(|(_, values)| !values.is_empty()));
    }
    for (name, value) in &asked {
        form.add(name, value);
    }
    for (name, value) in &login.parameters {
        if asked.iter().any(|(asked, _)| asked == name) {
            // What this login needs stands in for what all logins ask for.
        } else if name == "prompt" && logs_in_anew {
            form.add(name, &with_login(value));
        } else {
            form.add(name, value);
        }
    }
    let join = if provider.authorization.contains('?') { '&' } else { '?' };
    // Spaces are `%20`, because some providers do not read `+` as a space in a query.
    format!("{}{join}{}", provider.authorization, form.into_text().replace('+', "%20"))
}

/// The values of `prompt`, with `login` (OpenID Connect Core §3.1.2.1): `none` stands alone, and asks for the opposite.
fn with_login(prompt: &str) -> String {
    let others = prompt.split(' ').filter(|value| !matches!(*value, "" | "none" | "login"));
    std::iter::once("login").chain(others).collect::<Vec<_>>().join(" ")
}

/// The header fields of every request to the provider.
fn fields() -> Vec<(&'static str, String)> {
    vec![("accept", "application/json".to_owned()), ("user-agent", "portcullis".to_owned())]
}

/// The request that redeems a code (RFC 6749 §4.1.3).
#[must_use]
pub fn code_request(
    provider: &Provider,
    (client_id, authentication): (&str, &ClientAuthentication),
    assertion: Option<&str>,
    (code, redirect_uri, verifier): (&str, &str, &str),
) -> ProviderRequest {
    let mut form = Form::default();
    form.add("grant_type", "authorization_code");
    form.add("code", code);
    form.add("redirect_uri", redirect_uri);
    form.add("code_verifier", verifier);
    posted(&provider.token, (client_id, authentication), assertion, form)
}

/// The request that refreshes the provider's tokens (RFC 6749 §6).
#[must_use]
pub fn refresh_request(
    provider: &Provider,
    client: (&str, &ClientAuthentication),
    assertion: Option<&str>,
    refresh_token: &str,
) -> ProviderRequest {
    let mut form = Form::default();
    form.add("grant_type", "refresh_token");
    form.add("refresh_token", refresh_token);
    posted(&provider.token, client, assertion, form)
}

/// The request that revokes a token of the provider (RFC 7009 §2.1).
#[must_use]
pub fn revocation_request(
    endpoint: &str,
    (client_id, authentication): (&str, &ClientAuthentication),
    assertion: Option<&str>,
    (token, hint): (&str, &str),
) -> ProviderRequest {
    let mut form = Form::default();
    form.add("token", token);
    form.add("token_type_hint", hint);
    posted(endpoint, (client_id, authentication), assertion, form)
}

fn posted(
    url: &str,
    (client_id, authentication): (&str, &ClientAuthentication),
    assertion: Option<&str>,
    mut form: Form,
) -> ProviderRequest {
    let mut fields = fields();
    fields.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
    client_authentication::authenticate(client_id, authentication, assertion, &mut form, &mut fields);
    ProviderRequest {
        url: url.to_owned(),
        service: None,
        fields,
        body: Some(form.into_text()),
        seconds: crate::limits::PROVIDER_TIMEOUT,
    }
}

/// The request for data about the user, with the provider's access token (OpenID Connect Core §5.3.1).
#[must_use]
pub fn user_request(url: &str, access_token: &str) -> ProviderRequest {
    let mut fields = fields();
    fields.push(("authorization", format!("Bearer {access_token}")));
    ProviderRequest { url: url.to_owned(), service: None, fields, body: None, seconds: crate::limits::PROVIDER_TIMEOUT }
}

/// The tokens that the provider issued for a code. `Debug` does not show them.
#[derive(Clone, Default)]
pub struct ProviderTokens {
    /// `access_token`
    pub access_token: String,
    /// `refresh_token`
    pub refresh_token: Option<String>,
    /// `id_token`
    pub id_token: Option<String>,
}

impl ProviderTokens {
    /// Reads an answer of the token endpoint.
    ///
    /// # Errors
    /// [`LoginError`] if it has no access token.
    pub fn read(document: &ProviderDocument) -> Result<Self, LoginError> {
        let status = document.status;
        let members = object(&document.body).map_err(|error| LoginError::CodeAnswer(error, status))?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        // GitHub answers 200 when it refuses a code.
        if let Some(error) = text("error") {
            return Err(LoginError::CodeRefused(word(&error), status));
        }
        if status != 200 {
            return Err(LoginError::CodeStatus(status));
        }
        Ok(Self {
            access_token: text("access_token").ok_or(LoginError::AccessTokenMissing)?,
            refresh_token: text("refresh_token"),
            id_token: text("id_token"),
        })
    }
}

impl std::fmt::Debug for ProviderTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderTokens")
    }
}

/// An error code in a form that is safe to show: at most 64 letters, digits and `_`.
#[must_use]
pub fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect()
}

/// Reads a JSON object.
///
/// # Errors
/// [`AnswerError`] if the text is not a JSON object.
pub fn object(text: &[u8]) -> Result<Map<String, Value>, AnswerError> {
    match strict_json::parse(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(AnswerError::NotObject),
        Err(error) => Err(AnswerError::NotJson(error)),
    }
}

/// The check of an ID token's signature.
///
/// # Errors
/// [`IdTokenError`] if the token's algorithm or type is not accepted, or no key of the provider fits.
pub fn id_token_check(token: &UntrustedToken, keys: &KeySet) -> Result<Box<SignatureCheck>, IdTokenError> {
    let algorithm = JwsAlgorithm::parse(token.algorithm()).ok_or(IdTokenError::Algorithm)?;
    if *token.typ() != TokenType::Absent && *token.typ() != TokenType::Named("jwt".to_owned()) {
        return Err(IdTokenError::Type);
    }
    let key = keys.select(token.kid(), algorithm).map_err(IdTokenError::NoKey)?;
    if !key_may_sign(key, token) {
        return Err(IdTokenError::OtherTenant);
    }
    SignatureCheck::of(token, key, algorithm).map_err(|_| IdTokenError::SignatureSize)
}

/// Checks the claims of an ID token (OpenID Connect Core §3.1.3.7): this issuer issued it for this client and, if there is
/// a nonce, for this login, and it is valid now.
///
/// # Errors
/// [`IdTokenError`]: the first check that fails.
pub fn id_token_claims(
    token: &UntrustedToken,
    proof: &SignatureProof,
    (login, client_id, nonce): (&Login, &str, Option<&str>),
    now: UnixMillis,
) -> Result<Map<String, Value>, IdTokenError> {
    let claims = token.claims_with(proof).ok_or(IdTokenError::Signature)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss").and_then(|iss| login.users().tenant_of(iss)).is_none() {
        return Err(IdTokenError::Issuer);
    }
    let audiences = claims.get("aud").and_then(texts).unwrap_or_default();
    if !audiences.iter().any(|audience| audience == client_id) {
        return Err(IdTokenError::Audience);
    }
    if (audiences.len() > 1 || claims.contains_key("azp")) && text("azp") != Some(client_id) {
        return Err(IdTokenError::AuthorizedParty);
    }
    if nonce.is_some() && text("nonce") != nonce {
        return Err(IdTokenError::Nonce);
    }
    let now = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
    let time = |claim| seconds(claims, claim).ok().flatten();
    if time("exp").is_none_or(|exp| exp + LEEWAY <= now) || time("iat").is_none_or(|iat| iat > now + LEEWAY) {
        return Err(IdTokenError::Time);
    }
    Ok(claims.clone())
}

const LEEWAY: i64 = 60;
