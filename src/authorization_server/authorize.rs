//! The authorization request (RFC 6749 §4.1.1, OAuth 2.1): how the gateway validates it, which errors go to the client
//! or to the user, and which scopes the user has to approve.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::authorization_server::client::{Client, GrantType, RedirectRules, Source, redirect};
use crate::authorization_server::client_error::RedirectUriError;
use crate::authorization_server::error_code::ErrorCode;
use crate::authorization_server::login::signed_in::AskedSignIn;
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::is_default;
use crate::authorization_server::state::subject::Approval;
use crate::limits::{SCOPE_BYTES, STATE_BYTES};
use crate::oauth::form::{Form, Parameters};
use crate::oauth::scope::{Scope, ScopeSet};
use crate::page::is_invisible;
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::transport::url::HttpUrl;

/// An error of the authorization endpoint, for the client (RFC 6749 §4.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizeError {
    /// `acr_values` is too long, or has other characters than visible ASCII.
    AcrMalformed,
    /// `code_challenge` has another form than S256 (RFC 7636 §4.2).
    ChallengeMalformed,
    /// `code_challenge_method` is not `S256`.
    ChallengeMethod,
    /// `code_challenge` is missing.
    ChallengeMissing,
    /// The client is not registered for `authorization_code`.
    ClientNotRegistered,
    /// No login is for the client and the resource.
    NoLogin,
    /// `prompt=none`: the user has to log in.
    InteractionRequired,
    /// `dpop_jkt` is not a SHA-256 thumbprint.
    KeyMalformed,
    /// `max_age` is not a number of seconds.
    MaxAgeMalformed,
    /// None of the requested scopes exists.
    NoSuchScope,
    /// A parameter is repeated (RFC 6749 §3.1).
    ParameterRepeated,
    /// `request`: request objects are not supported.
    RequestObject,
    /// `request_uri`: request objects are not supported.
    RequestUri,
    /// `resource` is missing, and there are several resources.
    ResourceMissing,
    /// More than one `resource`: no token is for more than one.
    ResourceRepeated,
    /// `resource` is not one that accepts this server's tokens.
    ResourceUnknown,
    /// `response_mode` is not `query`.
    ResponseMode,
    /// `response_type` is not `code`.
    ResponseType,
    /// `response_type` is missing.
    ResponseTypeMissing,
    /// `scope` is too long.
    ScopeTooLong,
    /// `state` is too long.
    StateTooLong,
}

impl AuthorizeError {
    /// `error`
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::AcrMalformed
            | Self::ChallengeMalformed
            | Self::ChallengeMethod
            | Self::ChallengeMissing
            | Self::KeyMalformed
            | Self::MaxAgeMalformed
            | Self::ParameterRepeated
            | Self::ResponseMode
            | Self::ResponseTypeMissing
            | Self::StateTooLong => ErrorCode::InvalidRequest,
            Self::ClientNotRegistered => ErrorCode::UnauthorizedClient,
            Self::InteractionRequired => ErrorCode::InteractionRequired,
            Self::NoLogin => ErrorCode::AccessDenied,
            Self::NoSuchScope | Self::ScopeTooLong => ErrorCode::InvalidScope,
            Self::RequestObject => ErrorCode::RequestNotSupported,
            Self::RequestUri => ErrorCode::RequestUriNotSupported,
            Self::ResourceMissing | Self::ResourceRepeated | Self::ResourceUnknown => ErrorCode::InvalidTarget,
            Self::ResponseType => ErrorCode::UnsupportedResponseType,
        }
    }

    /// `error_description`
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::AcrMalformed => "acr_values must be visible ASCII characters, 1024 at most",
            Self::ChallengeMalformed => "code_challenge must be 43 characters of base64url",
            Self::ChallengeMethod => "code_challenge_method must be S256",
            Self::ChallengeMissing => "code_challenge is required (PKCE)",
            Self::ClientNotRegistered => "the client is not registered for authorization_code",
            Self::InteractionRequired => "the user has to log in: prompt=none is not supported",
            Self::KeyMalformed => "dpop_jkt must be 43 characters of base64url",
            Self::MaxAgeMalformed => "max_age must be a number of seconds",
            Self::NoLogin => "no user can log in for this client and resource",
            Self::NoSuchScope => "none of the requested scopes exists here",
            Self::ParameterRepeated => "a parameter is repeated",
            Self::RequestObject | Self::RequestUri => "request objects are not supported",
            Self::ResourceMissing => "resource is required: this server has several (RFC 8707)",
            Self::ResourceRepeated => "a token is for one resource: request one resource at a time",
            Self::ResourceUnknown => "this server issues no tokens for that resource",
            Self::ResponseMode => "response_mode must be query",
            Self::ResponseType => "response_type must be code",
            Self::ResponseTypeMissing => "response_type is required",
            Self::ScopeTooLong => "scope is too long",
            Self::StateTooLong => "state is too long",
        }
    }
}

impl fmt::Display for AuthorizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::description(*self))
    }
}

impl Error for AuthorizeError {}

/// Why the gateway sends no answer to a redirect URI. The user gets the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectError {
    /// The request has no redirect URI, and the client has several.
    Missing,
    /// The redirect URI is not one of the client's.
    NotRegistered,
    /// The redirect URI has a scheme that the configuration does not allow.
    Scheme,
    /// The request has several redirect URIs.
    Repeated,
}

impl RedirectError {
    /// The text for the user.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Missing => "The request does not say where to send you.",
            Self::NotRegistered => "The request names an address to send you to that the application did not register.",
            Self::Scheme => {
                "The request names an address with a scheme that this server does not allow, such as that of an \
                 application. The operator can allow it (redirect_schemes)."
            }
            Self::Repeated => "The request names two addresses to send you to.",
        }
    }
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Error for RedirectError {}

/// A valid authorization request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationRequest {
    /// `client_id`
    pub client_id: String,
    /// The client's name.
    pub client_name: String,
    /// The URI to which the answer goes.
    pub redirect_uri: String,
    /// `state`
    pub state: Option<String>,
    /// The requested scopes that exist.
    pub scope: String,
    /// The identifier of the resource.
    pub resource: String,
    /// `code_challenge`, S256.
    pub challenge: String,
    /// The user must log in again: `prompt=login` or `select_account`, or a `max_age` of less than 60 seconds.
    pub anew: bool,
    /// The gateway must ask the user, whatever the user approved before: `prompt=consent`.
    pub ask: bool,
    /// The client may use refresh tokens.
    pub refreshes: bool,
    /// `dpop_jkt`: the thumbprint of the key with which the code must be redeemed (RFC 9449 §10).
    pub key: Option<String>,
    /// The name of the login at which the user signs in; none for the one of `login`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub login: Option<String>,
    /// The user code of the device that asks; none for a client that gets its answer at a redirect URI.
    #[serde(default, skip_serializing_if = "is_default")]
    pub device: Option<String>,
    /// `login_hint`: who the user is, for the provider.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hint: Option<String>,
    /// `max_age` and `acr_values`: what the client asks of the sign-in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sign_in: AskedSignIn,
}

/// Where an answer goes, after the gateway has checked that the redirect URI is one of the client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The redirect URI.
    pub redirect_uri: String,
    /// `state`, returned unchanged.
    pub state: Option<String>,
}

impl Destination {
    /// Checks the redirect URI of a request, before anything else in it. An error here goes to the user, and to no
    /// redirect URI.
    ///
    /// # Errors
    /// [`RedirectError`] if it is not one of the client's.
    pub fn of(parameters: &Parameters, client: &Client, rules: RedirectRules<'_>) -> Result<Self, RedirectError> {
        if parameters.is_repeated("redirect_uri") {
            return Err(RedirectError::Repeated);
        }
        let redirect_uri = match (parameters.get("redirect_uri"), client.metadata.redirect_uris.as_slice()) {
            (Some(uri), _) if client.metadata.has_redirect(uri) => uri.to_owned(),
            (Some(uri), _) if redirect(uri, rules) == Err(RedirectUriError::Scheme) => {
                return Err(RedirectError::Scheme);
            }
            (Some(_), _) => return Err(RedirectError::NotRegistered),
            (None, [only]) => only.clone(),
            (None, _) => return Err(RedirectError::Missing),
        };
        Ok(Self { redirect_uri, state: parameters.get("state").map(str::to_owned) })
    }

    /// The URL of an answer (RFC 6749 §4.1.2). It names its issuer (RFC 9207, A4).
    #[must_use]
    pub fn answer(&self, issuer: &str, members: &[(&str, &str)]) -> String {
        let mut form = Form::default();
        for (name, value) in members {
            form.add(name, value);
        }
        if let Some(state) = &self.state {
            form.add("state", state);
        }
        form.add("iss", issuer);
        let join = if self.redirect_uri.contains('?') { '&' } else { '?' };
        format!("{}{join}{}", self.redirect_uri, form.into_text())
    }
}

/// What a request asks of the sign-in (RFC 9470 §4).
fn asked_sign_in(parameters: &Parameters) -> Result<AskedSignIn, AuthorizeError> {
    let max_age = match parameters.get("max_age") {
        Some(text) => Some(AskedSignIn::read_age(text).ok_or(AuthorizeError::MaxAgeMalformed)?),
        None => None,
    };
    let acr_values = parameters.get("acr_values").unwrap_or_default();
    if !acr_values.is_empty() && !AskedSignIn::is_acr_values(acr_values) {
        return Err(AuthorizeError::AcrMalformed);
    }
    Ok(AskedSignIn { max_age, acr_values: acr_values.to_owned() })
}

/// Whether the user has to log in again: providers may round `max_age` up.
fn is_anew(sign_in: &AskedSignIn) -> bool {
    sign_in.max_age.is_some_and(|seconds| seconds < 60)
}

impl AuthorizationRequest {
    /// Reads the rest of a request and checks that:
    ///
    /// 1. no parameter is repeated (RFC 6749 §3.1), and none asks for something that this server does not support;
    /// 2. `response_type` is `code`, and `response_mode` is absent or `query`;
    /// 3. PKCE is used with S256 (A11);
    /// 4. `resource` is one that accepts this server's tokens (A13); it may be absent if there is only one;
    /// 5. at least one of the scopes exists, if any exist for the resource (A15).
    ///
    /// # Errors
    /// The [`AuthorizeError`] of the first check that fails.
    pub fn read(
        parameters: &Parameters,
        client: &Client,
        destination: &Destination,
        server: &AuthorizationServer,
        settings: &Settings,
    ) -> Result<Self, AuthorizeError> {
        if let Some(name) = parameters.repeated() {
            // Only `resource` may be repeated (RFC 8707 §2). This server issues no token for more than one resource.
            return Err(if name == "resource" {
                AuthorizeError::ResourceRepeated
            } else {
                AuthorizeError::ParameterRepeated
            });
        }
        if parameters.get("request").is_some() {
            return Err(AuthorizeError::RequestObject);
        }
        if parameters.get("request_uri").is_some() {
            return Err(AuthorizeError::RequestUri);
        }
        match parameters.get("response_type") {
            Some("code") => {}
            None => return Err(AuthorizeError::ResponseTypeMissing),
            Some(_) => return Err(AuthorizeError::ResponseType),
        }
        if parameters.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(AuthorizeError::ResponseMode);
        }
        if !client.metadata.may(GrantType::AuthorizationCode) {
            return Err(AuthorizeError::ClientNotRegistered);
        }
        let challenge = match (parameters.get("code_challenge"), parameters.get("code_challenge_method")) {
            (None, _) => return Err(AuthorizeError::ChallengeMissing),
            (Some(challenge), Some("S256")) if is_challenge(challenge) => challenge.to_owned(),
            (Some(_), Some("S256")) => return Err(AuthorizeError::ChallengeMalformed),
            (Some(_), _) => return Err(AuthorizeError::ChallengeMethod),
        };
        if destination.state.as_ref().is_some_and(|state| state.len() > STATE_BYTES) {
            return Err(AuthorizeError::StateTooLong);
        }
        let prompt: BTreeSet<&str> = parameters.get("prompt").unwrap_or_default().split(' ').collect();
        if prompt.contains("none") {
            return Err(AuthorizeError::InteractionRequired);
        }
        let key = match parameters.get("dpop_jkt") {
            Some(key) if !is_challenge(key) => return Err(AuthorizeError::KeyMalformed),
            key => key.map(str::to_owned),
        };
        let sign_in = asked_sign_in(parameters)?;
        let resource = resource(parameters.get("resource"), server, settings)?;
        let scope = requested(parameters.get("scope"), client, server, resource)?;
        Ok(Self {
            client_id: client.id.clone(),
            client_name: client.name().to_owned(),
            redirect_uri: destination.redirect_uri.clone(),
            state: destination.state.clone(),
            scope: scope.to_string(),
            resource: resource.identifier.clone(),
            challenge,
            anew: prompt.contains("login") || prompt.contains("select_account") || is_anew(&sign_in),
            ask: prompt.contains("consent"),
            refreshes: client.metadata.may(GrantType::RefreshToken),
            key,
            login: None,
            device: None,
            hint: parameters.get("login_hint").filter(|hint| is_hint(hint)).map(str::to_owned),
            sign_in,
        })
    }

    /// Reads the request of a device (RFC 8628 §3.1), which gets its answer at no redirect URI. Its user is asked in any case.
    ///
    /// # Errors
    /// The [`AuthorizeError`] of the first check that fails.
    pub fn of_device(
        parameters: &Parameters,
        client: &Client,
        server: &AuthorizationServer,
        settings: &Settings,
        challenge: String,
    ) -> Result<Self, AuthorizeError> {
        let resource = resource(parameters.get("resource"), server, settings)?;
        let scope = requested(parameters.get("scope"), client, server, resource)?;
        let sign_in = asked_sign_in(parameters)?;
        Ok(Self {
            client_id: client.id.clone(),
            client_name: client.name().to_owned(),
            redirect_uri: String::new(),
            state: None,
            scope: scope.to_string(),
            resource: resource.identifier.clone(),
            challenge,
            anew: is_anew(&sign_in),
            ask: true,
            refreshes: client.metadata.may(GrantType::RefreshToken),
            key: None,
            login: None,
            device: None,
            hint: None,
            sign_in,
        })
    }

    /// Where the answer goes.
    #[must_use]
    pub fn destination(&self) -> Destination {
        Destination { redirect_uri: self.redirect_uri.clone(), state: self.state.clone() }
    }

    /// Where the redirect leads, in words for the user: a host, or the scheme of an application.
    #[must_use]
    pub fn redirect_host(&self) -> String {
        match HttpUrl::parse(&self.redirect_uri) {
            Ok(url) => url.authority().to_string(),
            Err(_) => self.redirect_uri.split(':').next().unwrap_or_default().to_owned() + ":",
        }
    }

    /// Whether the answer stays on the user's machine, where any program could receive it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        HttpUrl::parse(&self.redirect_uri).map_or(true, |url| url.authority().is_loopback())
    }

    /// The scopes that the user has not approved before; `NewScopes::None` if there is nothing to ask. The gateway
    /// always asks about an answer that stays on the user's machine, because it cannot know which program receives the
    /// answer (RFC 8252 §8.6).
    #[must_use]
    pub fn new_scopes(&self, approvals: &[(String, Approval)], now: u64) -> NewScopes {
        let approved = approvals.iter().find(|(client, approval)| {
            *client == self.client_id
                && approval.redirect_uri == self.redirect_uri
                && approval.resource == self.resource
                && now < approval.until
        });
        let Some((_, approval)) = approved.filter(|_| !self.ask) else { return NewScopes::All };
        let asked = ScopeSet::of_text(&self.scope);
        let new: ScopeSet = asked
            .iter()
            .filter(|scope| !approval.scopes.iter().any(|known| known == scope.as_str()))
            .cloned()
            .collect();
        if new.is_empty() && !self.is_local() { NewScopes::None } else { NewScopes::Some(new) }
    }
}

/// What the gateway has to ask the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewScopes {
    /// Nothing.
    None,
    /// To approve these scopes, in addition to those that the user approved before. Empty if the gateway asks only
    /// because the answer stays on the user's machine.
    Some(ScopeSet),
    /// To approve everything.
    All,
}

/// Whether a text can be a `login_hint` that the gateway passes on. It is a hint: one that cannot be is left out.
#[must_use]
pub fn is_hint(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(|c| c.is_control() || is_invisible(c))
}

fn is_challenge(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

/// S256 of a code verifier (RFC 7636 §4.6); `None` if it does not have the form of one.
#[must_use]
pub fn challenge_of(verifier: &str) -> Option<String> {
    let fits = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    fits.then(|| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())))
}

/// Resources that accept this server's tokens.
pub fn resources<'a>(server: &'a AuthorizationServer, settings: &'a Settings) -> impl Iterator<Item = &'a Resource> {
    let takes =
        |resource: &&Resource| resource.accepts.issuers.iter().any(|issuer| issuer.identifier == server.own.identifier);
    settings.resources.iter().map(Rc::as_ref).filter(takes)
}

/// The requested resource (RFC 8707): by its identifier, with or without a slash at the end, because some clients add
/// one. Without `resource`, the only resource that there is.
///
/// # Errors
/// `invalid_target` for any other.
pub fn resource<'a>(
    asked: Option<&str>,
    server: &'a AuthorizationServer,
    settings: &'a Settings,
) -> Result<&'a Resource, AuthorizeError> {
    let mut own = resources(server, settings);
    match asked {
        Some(asked) => {
            // The scheme and the host of a URL are the same in upper case (RFC 3986 §6.2.2.1, R14).
            let asked = &folded_host(asked);
            let bare = asked.strip_suffix('/').unwrap_or(asked);
            own.find(|it| it.identifier == *asked || it.identifier.strip_suffix('/').unwrap_or(&it.identifier) == bare)
                .ok_or(AuthorizeError::ResourceUnknown)
        }
        None => match (own.next(), own.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(AuthorizeError::ResourceMissing),
        },
    }
}

/// A URL with its scheme and host in lower case. Of a URL that names a user, nothing changes: it is no resource.
fn folded_host(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    if host.contains('@') {
        return url.to_owned();
    }
    format!("{}://{}{path}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
}

/// All scopes that exist for a resource.
#[must_use]
pub fn known_scopes(server: &AuthorizationServer, resource: &Resource) -> ScopeSet {
    let named = server.own.scope_descriptions.keys().filter_map(|name| Scope::parse(name).ok());
    let of_rules = resource.policy.iter().flat_map(|policy| policy.named_scopes());
    resource.scopes.iter().cloned().chain(of_rules).chain(named).collect()
}

/// The requested scopes that exist; without `scope`, those that the resource requires of every caller. `offline_access`
/// and `openid` are accepted and have no effect: every client that can use refresh tokens gets one anyway (A15).
///
/// # Errors
/// `invalid_scope` if none is left.
fn requested(
    asked: Option<&str>,
    client: &Client,
    server: &AuthorizationServer,
    resource: &Resource,
) -> Result<ScopeSet, AuthorizeError> {
    if asked.is_some_and(|asked| asked.len() > SCOPE_BYTES) {
        return Err(AuthorizeError::ScopeTooLong);
    }
    let known = known_scopes(server, resource);
    let limit = client.metadata.scope.as_deref().map(ScopeSet::of_text);
    // A client that registered itself named the scopes that it knew at that time. They are not a limit that an operator
    // set.
    let limit = limit.filter(|_| client.source == Source::Configured);
    let may = |scope: &&Scope| limit.as_ref().is_none_or(|limit| limit.iter().any(|named| named == *scope));
    let asked = match asked {
        Some(asked) => ScopeSet::of_text(asked),
        None => resource.scopes.clone(),
    };
    let only_offline = asked.iter().all(|scope| matches!(scope.as_str(), "offline_access" | "openid"));
    let asked = if only_offline { resource.scopes.clone() } else { asked };
    let left: ScopeSet =
        asked.iter().filter(|scope| known.iter().any(|known| known == *scope)).filter(may).cloned().collect();
    if left.is_empty() && !known.is_empty() {
        return Err(AuthorizeError::NoSuchScope);
    }
    Ok(left)
}
