//! The authorization request (RFC 6749 §4.1.1, OAuth 2.1): what is wrong with it, to whom that is told, and what of it the
//! user is asked.

use std::collections::BTreeSet;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::authorization_server::client::{Client, GrantType, Source};
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::subject::Approval;
use crate::limits::{SCOPE_BYTES, STATE_BYTES};
use crate::oauth::form::{Form, Parameters};
use crate::oauth::scope::{Scope, ScopeSet};
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::transport::url::HttpUrl;

/// An error of the authorization endpoint that the client is told (RFC 6749 §4.1.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizeError {
    /// `error`
    pub code: &'static str,
    /// `error_description`
    pub description: String,
}

/// Makes an error.
#[must_use]
pub fn error(code: &'static str, description: impl Into<String>) -> AuthorizeError {
    AuthorizeError { code, description: description.into() }
}

/// A request that is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationRequest {
    /// `client_id`
    pub client_id: String,
    /// The client's name.
    pub client_name: String,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// `state`
    pub state: Option<String>,
    /// What is asked for, as far as there is such a thing.
    pub scope: String,
    /// The identifier of the resource.
    pub resource: String,
    /// `code_challenge`, S256.
    pub challenge: String,
    /// The user is to log in anew: `prompt=login`.
    pub anew: bool,
    /// The user is to be asked, whatever they approved before: `prompt=consent`.
    pub ask: bool,
    /// The client can refresh.
    pub refreshes: bool,
}

/// Where an answer goes, once the client is known to have named the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The place.
    pub redirect_uri: String,
    /// `state`, sent back as it came.
    pub state: Option<String>,
}

impl Destination {
    /// The client and the place of a request, before anything else of it is looked at: what is wrong here is shown to the
    /// user, and sent nowhere.
    ///
    /// # Errors
    /// What is wrong, in words for the user.
    pub fn of(parameters: &Parameters, client: &Client) -> Result<Self, String> {
        if parameters.is_repeated("redirect_uri") {
            return Err("The request names two places to send you to.".to_owned());
        }
        let redirect_uri = match (parameters.get("redirect_uri"), client.metadata.redirect_uris.as_slice()) {
            (Some(uri), _) if client.metadata.has_redirect(uri) => uri.to_owned(),
            (Some(_), _) => {
                return Err("The request names a place to send you to that is not the application's.".to_owned());
            }
            (None, [only]) => only.clone(),
            (None, _) => return Err("The request does not say where to send you.".to_owned()),
        };
        Ok(Self { redirect_uri, state: parameters.get("state").map(str::to_owned) })
    }

    /// The URL of an answer (RFC 6749 §4.1.2), which says whose it is (RFC 9207, A4).
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

impl AuthorizationRequest {
    /// Reads the rest of a request:
    ///
    /// 1. no parameter is there twice (RFC 6749 §3.1), and none asks for what is not offered;
    /// 2. `response_type=code`, `response_mode=query` at most;
    /// 3. PKCE with S256 (A11);
    /// 4. `resource` is one that takes this server's tokens (A13); it may be left out where there is but one;
    /// 5. something is left of `scope` after what does not exist is taken away (A15).
    ///
    /// # Errors
    /// The [`AuthorizeError`] of the first that fails.
    pub fn read(
        parameters: &Parameters,
        client: &Client,
        destination: &Destination,
        server: &AuthorizationServer,
        settings: &Settings,
    ) -> Result<Self, AuthorizeError> {
        let invalid = |description: &str| Err(error("invalid_request", description));
        if let Some(name) = parameters.repeated() {
            // Only of `resource` may there be several (RFC 8707 §2), and then this server gives a token for none.
            if name == "resource" {
                return Err(error("invalid_target", "a token is for one resource: ask for one at a time"));
            }
            return invalid("a parameter is there twice");
        }
        if parameters.get("request").is_some() {
            return Err(error("request_not_supported", "request objects are not supported"));
        }
        if parameters.get("request_uri").is_some() {
            return Err(error("request_uri_not_supported", "request objects are not supported"));
        }
        match parameters.get("response_type") {
            Some("code") => {}
            None => return invalid("response_type is required"),
            Some(_) => return Err(error("unsupported_response_type", "response_type must be code")),
        }
        if parameters.get("response_mode").is_some_and(|mode| mode != "query") {
            return invalid("response_mode must be query");
        }
        if !client.metadata.may(GrantType::AuthorizationCode) {
            return Err(error("unauthorized_client", "the client is not registered for authorization_code"));
        }
        let challenge = match (parameters.get("code_challenge"), parameters.get("code_challenge_method")) {
            (None, _) => return invalid("code_challenge is required (PKCE)"),
            (Some(challenge), Some("S256")) if is_challenge(challenge) => challenge.to_owned(),
            (Some(_), Some("S256")) => return invalid("code_challenge must be 43 characters of base64url"),
            (Some(_), _) => return invalid("code_challenge_method must be S256"),
        };
        if destination.state.as_ref().is_some_and(|state| state.len() > STATE_BYTES) {
            return invalid("state is too long");
        }
        let prompt: BTreeSet<&str> = parameters.get("prompt").unwrap_or_default().split(' ').collect();
        if prompt.contains("none") {
            return Err(error("interaction_required", "the user has to be asked"));
        }
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
            anew: prompt.contains("login")
                || prompt.contains("select_account")
                || parameters
                    .get("max_age")
                    .is_some_and(|seconds| seconds.parse().is_ok_and(|seconds: u64| seconds < 60)),
            ask: prompt.contains("consent"),
            refreshes: client.metadata.may(GrantType::RefreshToken),
        })
    }

    /// Where the answer goes.
    #[must_use]
    pub fn destination(&self) -> Destination {
        Destination { redirect_uri: self.redirect_uri.clone(), state: self.state.clone() }
    }

    /// Where the redirect leads, for people: a host, or the scheme of an application.
    #[must_use]
    pub fn redirect_host(&self) -> String {
        match HttpUrl::parse(&self.redirect_uri) {
            Ok(url) => url.authority().to_string(),
            Err(_) => self.redirect_uri.split(':').next().unwrap_or_default().to_owned() + ":",
        }
    }

    /// Whether the answer stays on the user's machine, where any program could take it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        HttpUrl::parse(&self.redirect_uri).map_or(true, |url| url.authority().is_loopback())
    }

    /// What of this the user has not approved before; nothing, where they need not be asked. An answer that stays on the
    /// machine is asked for each time: nobody knows which program gets it (RFC 8252 §8.6).
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

/// What the user has to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewScopes {
    /// Nothing.
    None,
    /// These, beside what they approved before.
    Some(ScopeSet),
    /// Everything.
    All,
}

fn is_challenge(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

/// S256 of a verifier (RFC 7636 §4.6); nothing where it has not the form of one.
#[must_use]
pub fn challenge_of(verifier: &str) -> Option<String> {
    let fits = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    fits.then(|| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())))
}

/// Resources that take this server's tokens.
pub fn resources<'a>(server: &'a AuthorizationServer, settings: &'a Settings) -> impl Iterator<Item = &'a Resource> {
    let takes =
        |resource: &&Resource| resource.accepts.issuers.iter().any(|issuer| issuer.identifier == server.own.identifier);
    settings.resources.iter().map(Rc::as_ref).filter(takes)
}

/// The resource that is asked for (RFC 8707): by its identifier, with or without a slash at the end, as some clients write
/// one; without a word the only one.
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
            let bare = asked.strip_suffix('/').unwrap_or(asked);
            own.find(|it| it.identifier == asked || it.identifier.strip_suffix('/').unwrap_or(&it.identifier) == bare)
                .ok_or_else(|| error("invalid_target", "there is no such resource here"))
        }
        None => match (own.next(), own.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(error("invalid_target", "resource is required: there are several here (RFC 8707)")),
        },
    }
}

/// Scopes that there are for a resource.
#[must_use]
pub fn known_scopes(server: &AuthorizationServer, resource: &Resource) -> ScopeSet {
    let named = server.own.scope_descriptions.keys().filter_map(|name| Scope::parse(name).ok());
    let of_rules = resource.policy.iter().flat_map(|policy| policy.named_scopes());
    resource.scopes.iter().cloned().chain(of_rules).chain(named).collect()
}

/// What is asked for, of what there is: without a word, what the resource asks of everybody. `offline_access` is taken and
/// means nothing: refresh tokens are for every client that can use them (A15).
///
/// # Errors
/// `invalid_scope` where nothing is left.
fn requested(
    asked: Option<&str>,
    client: &Client,
    server: &AuthorizationServer,
    resource: &Resource,
) -> Result<ScopeSet, AuthorizeError> {
    if asked.is_some_and(|asked| asked.len() > SCOPE_BYTES) {
        return Err(error("invalid_scope", "scope is too long"));
    }
    let known = known_scopes(server, resource);
    let limit = client.metadata.scope.as_deref().map(ScopeSet::of_text);
    // What a client registered itself with is what it knew then, and no limit that anybody set.
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
        return Err(error("invalid_scope", "none of these scopes exists here"));
    }
    Ok(left)
}
