//! The authorization endpoint and its consent page.

use crate::authorization_server::serve::clients::NoClient;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{Context, Cookie, Failure, Reply};
use crate::authorization_server::authorize::{
    AuthorizationRequest, AuthorizeError, Destination, NewScopes, challenge_of,
};
use crate::authorization_server::client::{Client, Source};
use crate::authorization_server::login::signed_in::AskedSignIn;
use crate::authorization_server::login::{self, AuthorizationParameters, Login};
use crate::authorization_server::page::{self, Consent};
use crate::authorization_server::refusal::{OwnForm, Refusal};
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::Hash;
use crate::authorization_server::state::login::{Login as LoginRecord, LoginQuestion, Purpose};
use crate::authorization_server::state::subject::{UserData, UserQuestion, UserRecord};
use crate::limits::{CONSENT_SECONDS, LOGIN_SECONDS};
use crate::oauth::form::{Form, Parameters};
use crate::page::Page;
use crate::policy::counters::AddressLimit;
use crate::ports::Ports;
use crate::seal::mac;
use crate::transport::url::HttpUrl;

/// A request that waits for the user's word.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pending {
    request: AuthorizationRequest,
    /// The hash of the form cookie of the browser that got the page.
    form: Hash,
    until: u64,
}

/// A user who logged in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    pub(super) subject: String,
    /// The provider at which the user signed in; none for the one of `login`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) provider: Option<String>,
    pub(super) epoch: u64,
    pub(super) until: u64,
}

impl<P: Ports> Context<'_, P> {
    /// The authorization endpoint. A user gets an error as a page where the redirect URI is not known to be the client's, else
    /// the client gets it there; a request without an error leads to the consent page.
    pub(super) async fn authorize(&self) -> Result<Reply, Failure> {
        let Some(parameters) = self.query() else {
            return Ok(Reply::refusal(Refusal::RequestUnreadable));
        };
        if parameters.is_repeated("client_id") {
            return Ok(Reply::refusal(Refusal::RequestWithTwoClients));
        }
        let Some(id) = parameters.get("client_id") else {
            return Ok(Reply::refusal(Refusal::RequestWithoutClient));
        };
        let client = match self.client(id, false).await? {
            Ok(client) => client,
            Err(NoClient::Unreachable(error)) => return Ok(Reply::refusal(Refusal::ClientUnreachable(error))),
            Err(NoClient::Unknown(error)) => return Ok(Reply::refusal(Refusal::UnknownClient(error))),
        };
        let destination = match Destination::of(&parameters, &client, self.server.redirect_rules()) {
            Ok(destination) => destination,
            Err(error) => return Ok(Reply::refusal(Refusal::RedirectUriInvalid(error))),
        };
        let read = AuthorizationRequest::read(&parameters, &client, &destination, self.server, self.settings);
        match read {
            Ok(request) => self.put_to_user(&client, request, &parameters, &destination).await,
            Err(error) => Ok(self.redirect_error(&client, &destination, error)),
        }
    }

    /// An error for the client at its redirect URI. The gateway redirects by itself only to clients of the configuration. Any
    /// other client could have registered only to have users redirected to its site (RFC 9700 §4.11.2, A10), so its users
    /// get a page with a link.
    fn redirect_error(&self, client: &Client, destination: &Destination, error: AuthorizeError) -> Reply {
        let (code, description) = (error.code().as_str(), error.description());
        let url =
            destination.answer(&self.server.own.identifier, &[("error", code), ("error_description", description)]);
        if client.source == Source::Configured {
            return Reply::redirect(&url, code).refused(description);
        }
        let text = format!("The application asked for something that this server does not support: {description}.");
        let host = HttpUrl::parse(&destination.redirect_uri).map(|url| url.authority().to_string());
        let host = host.unwrap_or_else(|_| client.name().to_owned());
        let page = page::problem("This did not work", &text, Some((&url, &host)));
        Reply::page(400, page, code).refused(description)
    }

    /// Asks the user for consent, unless the user has approved the request before.
    async fn put_to_user(
        &self,
        client: &Client,
        mut request: AuthorizationRequest,
        parameters: &Parameters,
        destination: &Destination,
    ) -> Result<Reply, Failure> {
        let session = self.session().await?;
        let logins = self.server.logins_for(&request.client_id, &request.resource);
        if logins.is_empty() {
            return Ok(self.redirect_error(client, destination, AuthorizeError::NoLogin));
        }
        let known = session.as_ref().map(|(session, _)| session.subject.as_str()).filter(|_| !request.anew);
        let login = match self.chosen(logins, known, parameters) {
            Ok(login) => login,
            Err(page) => return Ok(*page),
        };
        request.login = login.recorded_name();
        // What this user approved before is no matter of a user of another provider.
        let session = session.filter(|(session, _)| self.server.login_of(&session.subject).name == login.name);
        let approvals = session.as_ref().map(|(_, known)| known.approvals.as_slice()).unwrap_or_default();
        let new = match request.new_scopes(approvals, self.now()) {
            NewScopes::None => {
                let subject = session.map(|(session, _)| session.subject).unwrap_or_default();
                let hint = request.hint.clone();
                // Browsers apply `form-action` of the page with the choice to redirects, too.
                let from_form = !self.server.other_logins.is_empty();
                let purpose = Purpose::Remembered(request, subject);
                return self.sent_to_provider(purpose, login, hint.as_deref(), from_form).await;
            }
            NewScopes::Some(new) => Some(new),
            NewScopes::All => None,
        };
        let resource = self.settings.resources.iter().find(|it| it.identifier == request.resource);
        Ok(self.put_to(request, "consent_asked", |request, sealed| {
            page::consent(
                self.server,
                &Consent {
                    request,
                    resource_name: resource.and_then(|it| it.name.as_deref()),
                    client_host: client.host().as_deref(),
                    loopback_only: client.metadata.is_loopback_only(),
                    new: new.as_ref(),
                    sealed,
                },
            )
        }))
    }

    /// A page with a form on which the user decides about a request. The form is good in this browser alone.
    pub(super) fn put_to(
        &self,
        request: AuthorizationRequest,
        reason: &'static str,
        page: impl FnOnce(&AuthorizationRequest, &str) -> Page,
    ) -> Reply {
        let known = self.cookie(Cookie::Form).filter(|value| value.len() == 43).map(str::to_owned);
        let form = known.clone().unwrap_or_else(|| self.name());
        let pending = Pending { request, form: Hash::of(&form), until: self.now() + CONSENT_SECONDS };
        let sealed = self.server.seals.seal(&pending, "consent", &self.server.own.identifier, &self.nonce());
        let reply = Reply::page(200, page(&pending.request, &sealed), reason);
        if known.is_none() { reply.field("set-cookie", self.set_cookie(Cookie::Form, &form, None)) } else { reply }
    }

    /// The user's decision, from the consent page.
    pub(super) async fn consent(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        if !self.request.is_from(&self.settings.public_url.web_origin()) {
            return Ok(Reply::refusal(Refusal::ForeignForm(OwnForm::Consent)));
        }
        let Some(form) = self.form(body).await? else {
            return Ok(Reply::refusal(Refusal::FormUnreadable(OwnForm::Consent)));
        };
        let pending = form
            .get("request")
            .and_then(|sealed| self.server.seals.open::<Pending>(sealed, "consent", &self.server.own.identifier));
        let browser = self.cookie(Cookie::Form).map(Hash::of);
        let Some(pending) = pending.filter(|it| browser.as_ref() == Some(&it.form) && self.now() < it.until) else {
            return Ok(Reply::refusal(Refusal::ConsentStale));
        };
        let request = pending.request;
        match form.get("decision") {
            Some("allow") => {
                let Some(login) = self.server.login_named(request.login.as_deref()) else {
                    return Ok(Reply::refusal(Refusal::ConsentStale));
                };
                let hint = request.hint.clone();
                self.sent_to_provider(Purpose::Approved(request), login, hint.as_deref(), true).await
            }
            Some("deny") if request.device.is_some() => {
                self.device_denied(request.device.as_deref().unwrap_or_default()).await
            }
            Some("deny") => {
                let members = [("error", "access_denied"), ("error_description", "the user refused")];
                let url = request.destination().answer(&self.server.own.identifier, &members);
                let page = page::leave(&url, &request.redirect_host());
                Ok(Reply::page(200, page, "access_denied").refused("the user refused"))
            }
            _ => Ok(Reply::refusal(Refusal::DecisionMissing)),
        }
    }

    /// Begins a login at the provider. `from_form`: the user sent a form.
    pub(super) async fn sent_to_provider(
        &self,
        purpose: Purpose,
        at: &Login,
        hint: Option<&str>,
        from_form: bool,
    ) -> Result<Reply, Failure> {
        if !self.is_within(AddressLimit::Login) {
            return Ok(Reply::refusal(Refusal::TooManyLogins));
        }
        let unavailable = |error| Reply::refusal(Refusal::ProviderUnavailable(error));
        let provider_of = self.provider_of(at);
        let provider = match provider_of.endpoints().await {
            Ok(provider) => provider,
            Err(error) => return Ok(unavailable(error)),
        };
        let ours = match provider_of.ours(&provider).await {
            Ok(ours) => ours,
            Err(error) => return Ok(unavailable(error)),
        };
        // Several logins of one browser, for example in two tabs, share one cookie.
        let known = self.cookie(Cookie::Login).filter(|value| value.len() == 43).map(str::to_owned);
        let browser = known.unwrap_or_else(|| self.name());
        let anew = match &purpose {
            Purpose::Approved(request) | Purpose::Remembered(request, _) => request.anew,
            // A session at the provider does not show that the person is there.
            Purpose::Approve(..) => true,
            Purpose::Grants | Purpose::Connect(_) | Purpose::Connecting(_) => false,
        };
        let sign_in = match &purpose {
            Purpose::Approved(request) | Purpose::Remembered(request, _) => request.sign_in.clone(),
            Purpose::Approve(..) => AskedSignIn { max_age: Some(0), ..AskedSignIn::default() },
            Purpose::Grants | Purpose::Connect(_) | Purpose::Connecting(_) => AskedSignIn::default(),
        };
        let state = self.name();
        let name = at.recorded_name();
        let login = LoginRecord { purpose, name, browser: Hash::of(&browser), until: self.now() + LOGIN_SECONDS };
        self.ask::<LoginRecord>(Hash::of(&state).as_str(), LoginQuestion::Begin(Box::new(login))).await?;
        let secrets = LoginSecrets::of(&state, &browser);
        let asking = AuthorizationParameters {
            client_id: &ours.client_id,
            redirect_uri: &self.server.url(&at.callback()),
            state: &state,
            nonce: &secrets.nonce,
            challenge: &secrets.challenge,
            anew,
            hint: hint.filter(|hint| self.server.passes_on(at, hint)),
            sign_in: &sign_in,
        };
        let url = login::authorization_url(at, &provider, &asking);
        let reply = if from_form {
            Reply::page(200, page::leave(&url, &at.host()), "login_begun")
        } else {
            Reply::redirect(&url, "login_begun")
        };
        Ok(reply.field("set-cookie", self.set_cookie(Cookie::Login, &browser, Some(LOGIN_SECONDS))))
    }

    /// The user who logged in with this browser, and the user's record.
    pub(super) async fn session(&self) -> Result<Option<(Session, UserData)>, Failure> {
        let Some(sealed) = self.cookie(Cookie::Session) else { return Ok(None) };
        let session = self.server.seals.open::<Session>(sealed, "session", &self.server.own.identifier);
        let lives =
            |it: &Session| self.now() < it.until && self.server.login_at(&it.subject, it.provider.as_deref()).is_some();
        let Some(session) = session.filter(lives) else { return Ok(None) };
        let known = self.ask::<UserRecord>(&person(self.server, &session.subject), UserQuestion::Read).await?;
        let is_signed_out = known.signed_out.contains(&Hash::of(sealed));
        Ok((session.epoch == known.epoch && !is_signed_out).then_some((session, known)))
    }

    /// The URL with which the client would repeat a request.
    pub(super) fn again(&self, request: &AuthorizationRequest) -> String {
        let mut form = Form::default();
        form.add("response_type", "code");
        form.add("client_id", &request.client_id);
        form.add("redirect_uri", &request.redirect_uri);
        form.add("scope", &request.scope);
        form.add("resource", &request.resource);
        form.add("code_challenge", &request.challenge);
        form.add("code_challenge_method", "S256");
        if let Some(state) = &request.state {
            form.add("state", state);
        }
        if request.anew {
            form.add("prompt", "login");
        }
        if let Some(key) = &request.key {
            form.add("dpop_jkt", key);
        }
        if let Some(login) = self.server.login_named(request.login.as_deref()) {
            form.add("domain_hint", login.hint());
        }
        if let Some(hint) = &request.hint {
            form.add("login_hint", hint);
        }
        if let Some(seconds) = request.sign_in.max_age {
            form.add("max_age", &seconds.to_string());
        }
        if !request.sign_in.acr_values.is_empty() {
            form.add("acr_values", &request.sign_in.acr_values);
        }
        format!("{}?{}", self.server.url("/authorize"), form.into_text())
    }
}

/// The nonce and the PKCE verifier of a login, derived from `state` and the browser's cookie, so that the gateway stores
/// neither.
pub(super) struct LoginSecrets {
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) challenge: String,
}

impl LoginSecrets {
    pub(super) fn of(state: &str, browser: &str) -> Self {
        let derived = |usage: &str| {
            URL_SAFE_NO_PAD.encode(mac(browser.as_bytes(), &[b"portcullis login", usage.as_bytes(), state.as_bytes()]))
        };
        let verifier = derived("verifier");
        let challenge = challenge_of(&verifier).unwrap_or_default();
        Self { nonce: derived("nonce"), verifier, challenge }
    }
}

/// The name of a user's record. It does not reveal who the user is. If the login of a user is removed, or leads to another provider,
/// another user may have the same subject: that one gets nothing of the first.
pub(super) fn person(server: &AuthorizationServer, subject: &str) -> String {
    let name = match server.login_of(subject).recorded_provider() {
        None => format!("subject {subject}"),
        Some(provider) => format!("user of {} {provider} {subject}", provider.len()),
    };
    Hash::of(&name).as_str().to_owned()
}

/// The parameters of a callback.
pub(super) fn callback_parameters(parameters: &Parameters) -> Option<(&str, Result<&str, &str>)> {
    let state = parameters.get("state")?;
    match (parameters.get("code"), parameters.get("error")) {
        (Some(code), None) => Some((state, Ok(code))),
        (None, Some(error)) => Some((state, Err(error))),
        _ => None,
    }
}
