//! Stage 6 of a request: the credential for its origin server, from memory or from a token endpoint.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::authorization_server::connect_link::ConnectLink;
#[cfg(feature = "authorization-server")]
use crate::authorization_server::serve::vault::Vault;
use crate::gateway::active_request::{Action, ActiveRequest, Forwarding, Suspended};
use crate::gateway::credential_need::CredentialNeed;
use crate::gateway::lookups::begin;
use crate::gateway::open::Gateway;
use crate::jwks::signing_key::{self, SigningKey};
use crate::limits::{CONNECT_LINK_SECONDS, PROVIDER_TIMEOUT};
use crate::oauth::bearer::BearerToken;
use crate::oauth::client_authentication::{ClientAuthentication, client_assertion};
use crate::oauth::scope::{Scope, ScopeSet};
use crate::observe::event::gateway_line;
use crate::origin_credential::answer::{self, Issued, Wanted};
use crate::origin_credential::failure::ObtainError;
use crate::origin_credential::memory::{Known, lookup_name};
use crate::origin_credential::{
    AttachedCredential, ClientCredentials, Enterprise, ObtainedToken, OriginCredential, PerUser, TokenEndpoint,
    TokenExchange, UsedCredential, request,
};
use crate::pipeline::permit::Permit;
use crate::pipeline::rejection::{ConnectionNeeded, Rejection};
use crate::platform_error::PlatformError;
use crate::ports::Ports;
use crate::seal::Nonce;
use crate::secret::Secret;
use crate::strict_json;
use crate::time::UnixMillis;
use crate::token::lookups::{LookupStart, LookupTarget};
use crate::transport::provider::ProviderRequest;

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// Forwards a permitted request. If its origin server wants a credential, obtains that first.
    pub(super) fn forward(self, permit: Permit) -> Action {
        self.attach(Forwarding { permit, credential: None, is_repeated: false })
    }

    /// Attaches the credential, or waits for it.
    pub(super) fn attach(self, mut forwarding: Forwarding) -> Action {
        let Some(need) = CredentialNeed::of(&forwarding.permit, self.gateway.server()) else {
            return self.assert(forwarding);
        };
        let (gateway, now) = (self.gateway, self.ports.now());
        let known =
            gateway.memory.borrow_mut().origin_tokens.known(&need.credential, need.resource.index, need.holder, now);
        match known {
            Known::Usable(used, refresh) => {
                let need = Rc::new(need);
                forwarding.credential = Some((need.attached(used), Rc::clone(&need)));
                if refresh {
                    refresh_in_background(gateway, self.ports, need);
                }
                self.assert(forwarding)
            }
            Known::Failed(error) => {
                let rejection = refused(gateway, self.ports, &need, &error);
                self.refuse(rejection)
            }
            Known::Nothing => self.wait(forwarding, Action::ObtainCredential),
        }
    }
}

impl Suspended<Forwarding> {
    /// Continues with the credential for the origin server, or rejects the request.
    #[must_use]
    pub fn credential_obtained<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        obtained: Result<AttachedCredential, Rejection>,
    ) -> Action {
        let (active, mut forwarding) = self.resume(gateway, ports);
        match obtained {
            Ok(credential) => {
                let need = CredentialNeed::of(&forwarding.permit, gateway.server());
                forwarding.credential = need.map(|need| (credential, Rc::new(need)));
                active.assert(forwarding)
            }
            Err(rejection) => active.refuse(rejection),
        }
    }
}

/// The rejection of a request without a credential. A user without a connection gets a link.
fn refused<P: Ports>(gateway: &Gateway, ports: &P, need: &CredentialNeed, error: &ObtainError) -> Rejection {
    match error {
        ObtainError::NotConnected => not_connected(gateway, ports, need, ""),
        _ => refusal(&need.credential, error),
    }
}

/// The rejection of a request whose user has to connect an account, with scopes that the origin server asks for.
pub(super) fn not_connected<P: Ports>(gateway: &Gateway, ports: &P, need: &CredentialNeed, scope: &str) -> Rejection {
    let resource = &need.resource;
    let (Some((server, _)), Some(user)) = (&gateway.authorization_server, &need.user) else {
        return Rejection::Internal("there is no user to connect an account for");
    };
    let nonce: Nonce = random(ports);
    let link = ConnectLink {
        subject: user.clone(),
        resource: resource.identifier.clone(),
        scope: scope.to_owned(),
        until: ports.now().seconds() + CONNECT_LINK_SECONDS,
        id: URL_SAFE_NO_PAD.encode(random::<16, _>(ports)),
    };
    let server_name = resource.name.clone().unwrap_or_else(|| resource.origin.url.authority().to_string());
    Rejection::NotConnected(Box::new(ConnectionNeeded { url: link.url(server, &nonce), server_name, era: need.era }))
}

fn refusal(credential: &OriginCredential, error: &ObtainError) -> Rejection {
    let meaning = error.meaning(credential.is_exchanged());
    Rejection::OriginCredential { meaning, why: error.to_string() }
}

/// Obtains the credential of a permitted request, or waits until another request has it.
///
/// # Errors
/// The rejection of the request.
pub(super) async fn obtain<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    permit: &Permit,
) -> Result<AttachedCredential, Rejection> {
    let need =
        CredentialNeed::of(permit, gateway.server()).ok_or(Rejection::Internal("no credential is configured"))?;
    let resource = need.resource.index;
    let name = lookup_name(resource, need.holder);
    let known = || {
        let now = ports.now();
        gateway.memory.borrow_mut().origin_tokens.known(&need.credential, resource, need.holder, now)
    };
    let is_settled = || !matches!(known(), Known::Nothing);
    let whom = LookupTarget::OriginCredential(resource);
    let turn = begin(gateway, ports, (&name, whom), need.credential.timeout(), is_settled).await;
    if turn.map_err(|error| refusal(&need.credential, &ObtainError::Lookup(error)))? {
        let fetched = fetch_and_keep(gateway, ports, &need).await;
        let token = fetched.map_err(|error| refused(gateway, ports, &need, &error))?;
        return Ok(need.attached(UsedCredential::Token(need.holder, token)));
    }
    match known() {
        Known::Usable(used, _) => Ok(need.attached(used)),
        Known::Failed(error) => Err(refused(gateway, ports, &need, &error)),
        // Another request found that the user is not connected, which is not remembered.
        Known::Nothing => match fetch(gateway, ports, &need).await {
            Ok(token) => Ok(need.attached(UsedCredential::Token(need.holder, Rc::new(token)))),
            Err(error) => Err(refused(gateway, ports, &need, &error)),
        },
    }
}

/// Obtains a new token while the old one is still in use. The request that leads here does not wait.
fn refresh_in_background<P: Ports + Clone + 'static>(gateway: &Rc<Gateway>, ports: &P, need: Rc<CredentialNeed>) {
    let name = lookup_name(need.resource.index, need.holder);
    let whom = LookupTarget::OriginCredential(need.resource.index);
    let seconds = need.credential.timeout() + 2 * PROVIDER_TIMEOUT + 1;
    let turn = gateway.memory.borrow_mut().lookups.begin(&name, whom, seconds, ports.now());
    if turn != LookupStart::Start {
        return;
    }
    let (gateway, again) = (Rc::clone(gateway), ports.clone());
    ports.spawn(Box::pin(async move {
        if let Err(error) = fetch_and_keep(&gateway, &again, &need).await {
            let detail = format!("{}: {error}", need.about());
            again.line(&gateway_line("warn", "origin_credential_refresh_failed", &detail, again.now()));
        }
    }));
}

/// Obtains a token and keeps it, or keeps why there is none. The look-up must have begun; it ends here.
async fn fetch_and_keep<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    need: &CredentialNeed,
) -> Result<Rc<ObtainedToken>, Rc<ObtainError>> {
    let fetched = fetch(gateway, ports, need).await.map(Rc::new).map_err(Rc::new);
    let memory = &mut *gateway.memory.borrow_mut();
    memory.lookups.done(&lookup_name(need.resource.index, need.holder));
    match &fetched {
        Ok(token) => memory.origin_tokens.keep(need.resource.index, need.holder, Rc::clone(token)),
        Err(error) => memory.origin_tokens.failed(need.resource.index, need.holder, error, ports.now()),
    }
    fetched
}

async fn fetch<P: Ports>(gateway: &Gateway, ports: &P, need: &CredentialNeed) -> Result<ObtainedToken, ObtainError> {
    let key = gateway.settings.assertion_keys.first();
    match &*need.credential {
        OriginCredential::Static(_) => Err(ObtainError::NoSubject),
        OriginCredential::ClientCredentials(grant) => own_token(gateway, ports, need, grant).await,
        OriginCredential::TokenExchange(grant) => {
            let (subject, ends) = need.subject.as_ref().ok_or(ObtainError::NoSubject)?;
            let gateway_url = gateway.settings.public_url.to_string();
            let issued = exchange(ports, grant, subject, key.map(|key| (key, gateway_url.as_str()))).await?;
            note_scopes(ports, need, &issued, &grant.target.scopes);
            Ok(issued.kept(ports.now(), *ends))
        }
        OriginCredential::Enterprise(grant) => {
            let (subject, ends) = need.subject.as_ref().ok_or(ObtainError::NoSubject)?;
            let issued = enterprise(ports, grant, subject).await?;
            note_scopes(ports, need, &issued, &grant.target.scopes);
            Ok(issued.kept(ports.now(), *ends))
        }
        OriginCredential::PerUser(per_user) => of_user(gateway, ports, need, per_user).await,
    }
}

/// The token of the user's own account.
#[cfg_attr(
    not(feature = "authorization-server"),
    expect(clippy::unused_async, reason = "only the authorization server awaits")
)]
async fn of_user<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    need: &CredentialNeed,
    per_user: &PerUser,
) -> Result<ObtainedToken, ObtainError> {
    #[cfg(feature = "authorization-server")]
    if let (Some((server, memory)), Some(user)) = (&gateway.authorization_server, &need.user) {
        let refused = gateway.memory.borrow_mut().origin_tokens.refused_token(need.holder);
        let vault = Vault { server, memory, settings: &gateway.settings, ports };
        return vault.token(&need.resource, per_user, user, refused.as_ref()).await;
    }
    let _ = (gateway, ports, need, per_user);
    Err(ObtainError::NoUser)
}

async fn exchange<P: Ports>(
    ports: &P,
    grant: &TokenExchange,
    subject: &BearerToken,
    own: Option<(&SigningKey, &str)>,
) -> Result<Issued, ObtainError> {
    let actor = match own.filter(|_| grant.has_actor) {
        Some((key, gateway)) => {
            let random: [u8; 16] = random(ports);
            let input = request::actor_token(gateway, key, &grant.endpoint.audience, &random, ports.now());
            Some(signed(ports, key, &input).await?)
        }
        None => None,
    };
    let assertion = authentication(ports, &grant.endpoint).await?;
    let request = request::token_exchange(grant, subject.expose(), actor.as_deref(), assertion.as_deref());
    ask(ports, request, Wanted::AccessToken, Some(subject)).await
}

async fn enterprise<P: Ports>(ports: &P, grant: &Enterprise, subject: &BearerToken) -> Result<Issued, ObtainError> {
    let assertion = authentication(ports, &grant.provider).await?;
    let request = request::identity_assertion(grant, subject.expose(), assertion.as_deref());
    let identity = ask(ports, request, Wanted::IdentityAssertion, Some(subject)).await?.token;
    let assertion = authentication(ports, &grant.server).await?;
    let request = request::redemption(grant, identity.expose(), assertion.as_deref());
    ask(ports, request, Wanted::AccessToken, Some(&identity)).await
}

async fn ask<P: Ports>(
    ports: &P,
    request: ProviderRequest,
    wanted: Wanted,
    sent: Option<&BearerToken>,
) -> Result<Issued, ObtainError> {
    let document = ports.ask(&request).await.map_err(|error| ObtainError::NoAnswer(request.url.clone(), error))?;
    answer::read(&document, wanted, &request.url, sent.map(BearerToken::expose))
}

/// Logs that the token has fewer scopes than were requested: the origin server may refuse it.
fn note_scopes<P: Ports>(ports: &P, need: &CredentialNeed, issued: &Issued, requested: &ScopeSet) {
    let Some(granted) = &issued.scopes else { return };
    let missing: Vec<&str> =
        requested.iter().filter(|scope| !granted.iter().any(|it| it == *scope)).map(Scope::as_str).collect();
    if !missing.is_empty() {
        let detail = format!("{}: the token lacks {}", need.about(), missing.join(" "));
        ports.line(&gateway_line("warn", "origin_credential_scopes", &detail, ports.now()));
    }
}

/// The signed client assertion, if the client authenticates with one.
async fn authentication<P: Ports>(ports: &P, endpoint: &TokenEndpoint) -> Result<Option<String>, ObtainError> {
    let ClientAuthentication::PrivateKeyJwt(key) = &endpoint.authentication else { return Ok(None) };
    let random: [u8; 16] = random(ports);
    let input = client_assertion(&endpoint.client_id, key, &endpoint.audience, &random, ports.now());
    signed(ports, key, &input).await.map(Some)
}

async fn signed<P: Ports>(ports: &P, key: &SigningKey, input: &str) -> Result<String, ObtainError> {
    let signature: Result<_, PlatformError> = ports.sign(key, input.as_bytes()).await;
    Ok(signing_key::assemble(input, &signature.map_err(ObtainError::Signature)?))
}

fn random<const N: usize, P: Ports>(ports: &P) -> [u8; N] {
    let mut random = [0; N];
    ports.fill(&mut random);
    random
}

/// A token of the gateway, in the form in which isolates of one data center share it, sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SharedToken {
    value: String,
    obtained: u64,
    refresh_at: u64,
    usable_until: u64,
}

async fn own_token<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    need: &CredentialNeed,
    grant: &ClientCredentials,
) -> Result<ObtainedToken, ObtainError> {
    let name = shared_name(grant);
    if let Some(token) = recall(gateway, ports, need, (grant, &name)).await {
        return Ok(token);
    }
    let assertion = authentication(ports, &grant.endpoint).await?;
    let request = request::client_credentials(grant, assertion.as_deref());
    let issued = ask(ports, request, Wanted::AccessToken, None).await?;
    note_scopes(ports, need, &issued, &grant.target.scopes);
    let token = issued.kept(ports.now(), None);
    let seconds = token.usable_until.since(token.obtained) / 1000;
    let place = grant.endpoint.url.split('?').next().unwrap_or_default();
    let detail = format!("{}: from {place}, for {seconds} s", need.about());
    ports.line(&gateway_line("info", "origin_credential_obtained", &detail, ports.now()));
    let nonce: Nonce = random(ports);
    let shared = SharedToken {
        value: token.value.expose().to_owned(),
        obtained: token.obtained.0,
        refresh_at: token.refresh_at.0,
        usable_until: token.usable_until.0,
    };
    let plain = serde_json::to_vec(&shared).unwrap_or_default();
    ports.keep(&name, grant.shared_key.seal(&plain, &name, &nonce).as_bytes(), seconds).await;
    Ok(token)
}

/// The token that another isolate of the data center has shared, if it needs no refresh.
async fn recall<P: Ports>(
    gateway: &Gateway,
    ports: &P,
    need: &CredentialNeed,
    (grant, name): (&ClientCredentials, &str),
) -> Option<ObtainedToken> {
    let sealed = String::from_utf8(ports.recall(name).await?).ok()?;
    let shared: SharedToken = strict_json::read(&grant.shared_key.open(&sealed, name)?).ok()?;
    let token = ObtainedToken {
        value: Secret::new(shared.value),
        obtained: UnixMillis(shared.obtained),
        refresh_at: UnixMillis(shared.refresh_at),
        usable_until: UnixMillis(shared.usable_until),
    };
    let may_recall = gateway.memory.borrow().origin_tokens.may_recall(need.resource.index, token.obtained);
    (may_recall && ports.now() < token.refresh_at).then_some(token)
}

/// The name of the gateway's token in the data-center (colo) cache. It depends on what the token is for.
fn shared_name(grant: &ClientCredentials) -> String {
    let scopes = grant.target.scopes.to_string();
    let parts = [
        Some(&grant.endpoint.url),
        Some(&grant.endpoint.client_id),
        Some(&scopes),
        grant.target.resource.as_ref(),
        grant.target.audience.as_ref(),
    ];
    let mut hash = Sha256::new();
    for part in parts.into_iter().map(|part| part.map(String::as_str).unwrap_or_default()) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    format!("origin-token/{}", URL_SAFE_NO_PAD.encode(hash.finalize()))
}
