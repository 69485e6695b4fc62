//! Requests to the authorization server, from their head to their answer. Only this module of it awaits.

mod approvals;
mod assertion_grant;
mod authorize;
mod binding;
mod callback;
mod choice;
mod clients;
mod connect;
mod connection_client;
mod device;
mod directory;
mod ending;
mod grants;
mod held_tokens;
mod keys;
pub mod pending_calls;
pub mod poll;
mod provider;
mod recheck;
mod records;
mod register;
pub mod revocation;
mod signals;
pub mod token;
mod tokens;
pub mod vault;

use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::authorization_server::memory::ServerMemory;
use crate::authorization_server::refusal::{Audience, Disclosure, Failure, Refusal};
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::RecordStateMachine;
use crate::authorization_server::{metadata, page, third_party};
use crate::jwks::signing_key;
use crate::limits::FORM_BYTES;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::form::Parameters;
use crate::observe::event::{EndpointOutcome, gateway_line};
use crate::page::Page;
use crate::pipeline::context::RequestContext;
use crate::pipeline::respond::{self, Answer};
use crate::pipeline::route::EndpointRequest;
use crate::ports::Ports;
use crate::seal::{NONCE_BYTES, Nonce};
use crate::settings::Settings;
use crate::strict_json;
use crate::transport::head::Fields;
use crate::transport::url::Scheme;

/// An answer, before it has the fields that all have.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    fields: Fields,
    body: String,
    /// A page in place of the body.
    page: Option<Box<Page>>,
    outcome: EndpointOutcome,
}

impl Reply {
    /// JSON.
    fn json(status: u16, body: &Value, reason: &'static str) -> Self {
        let mut fields = Fields::new();
        fields.set("content-type", "application/json");
        fields.set("pragma", "no-cache");
        Self {
            status,
            fields,
            body: body.to_string(),
            page: None,
            outcome: EndpointOutcome { refused: false, reason, detail: None },
        }
    }

    /// A refusal.
    fn refusal(refusal: Refusal) -> Self {
        let Disclosure { audience, status, code, text, detail, field } = refusal.disclose();
        let code = code.as_str();
        let mut reply = match audience {
            Audience::Client => Self::json(status, &json!({ "error": code, "error_description": text }), code),
            Audience::User => Self::page(status, page::problem("This did not work", &text, None), code),
        };
        let description = (audience == Audience::Client).then(|| text.into_owned());
        reply.outcome = EndpointOutcome { refused: true, reason: code, detail: detail.or(description) };
        match field {
            Some((name, value)) => reply.field(name, value),
            None => reply,
        }
    }

    /// A page.
    fn page(status: u16, page: Page, reason: &'static str) -> Self {
        let outcome = EndpointOutcome { refused: false, reason, detail: None };
        Self { status, fields: Fields::new(), body: String::new(), page: Some(Box::new(page)), outcome }
    }

    /// Sends the browser elsewhere.
    fn redirect(url: &str, reason: &'static str) -> Self {
        let mut fields = Fields::new();
        fields.set("location", url);
        Self {
            status: 302,
            fields,
            body: String::new(),
            page: None,
            outcome: EndpointOutcome { refused: false, reason, detail: None },
        }
    }

    fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.set(name, value);
        self
    }

    fn refused(mut self, detail: impl Into<String>) -> Self {
        self.outcome.refused = true;
        self.outcome.detail = Some(detail.into());
        self
    }
}

/// What the authorization server works with, whether a request asks or its own schedule.
pub(super) struct ServerContext<'a, P> {
    pub(super) server: &'a AuthorizationServer,
    pub(super) memory: &'a ServerMemory,
    pub(super) settings: &'a Settings,
    pub(super) ports: &'a P,
}

/// Everything there is to serve a request with.
pub(super) struct Context<'a, P> {
    pub(super) server_context: ServerContext<'a, P>,
    pub(super) request: &'a EndpointRequest,
}

impl<'a, P> Deref for Context<'a, P> {
    type Target = ServerContext<'a, P>;

    fn deref(&self) -> &Self::Target {
        &self.server_context
    }
}

/// Serves a request to one of its endpoints.
pub async fn serve<P: Ports>(
    (server, memory): (&AuthorizationServer, &ServerMemory),
    settings: &Settings,
    ports: &P,
    request: &EndpointRequest,
    body: &P::RequestBody,
    context: &RequestContext,
) -> (Answer, EndpointOutcome) {
    let document = match request.endpoint() {
        Endpoint::Metadata => Some(metadata::document(server, settings)),
        Endpoint::Keys => Some(metadata::keys(server)),
        Endpoint::ClientDocument(path) => connect::connectables(settings)
            .find(|(resource, _)| resource.path.as_str() == path)
            .map(|(resource, _)| third_party::client_document(server, settings, resource)),
        _ => None,
    };
    if let Some(document) = document {
        let (status, fields, body) = document.response(request.admitted().head().method);
        let outcome = EndpointOutcome { refused: false, reason: "public_document", detail: None };
        return (respond::own(status, fields, body, context, settings), outcome);
    }
    let serving = Context { server_context: ServerContext { server, memory, settings, ports }, request };
    let reply = serving.serve(body).await.unwrap_or_else(|failure| {
        let is_client = request.endpoint().is_for_programs();
        let audience = if is_client { Audience::Client } else { Audience::User };
        Reply::refusal(Refusal::Failed(failure, audience))
    });
    let Reply { status, mut fields, body, page, outcome } = reply;
    let body = page.map_or(body, |page| page.complete(&settings.operator, &mut fields));
    if request.endpoint().is_for_any_page() {
        fields.set("access-control-allow-origin", "*");
        fields.set("access-control-expose-headers", "www-authenticate, dpop-nonce");
    }
    (respond::own(status, fields, body, context, settings), outcome)
}

impl<P: Ports> Context<'_, P> {
    async fn serve(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        match self.request.endpoint() {
            Endpoint::Authorize => self.authorize().await,
            Endpoint::Consent => self.consent(body).await,
            Endpoint::Callback(name) => self.callback(name.as_deref()).await,
            Endpoint::Token => self.token(body).await,
            Endpoint::DeviceAuthorization => self.device_authorization(body).await,
            Endpoint::Device => self.device(body).await,
            Endpoint::Register => self.register(body).await,
            Endpoint::Client(id) => self.manage(id, body).await,
            Endpoint::Revoke => self.revoke(body).await,
            Endpoint::Introspect => self.introspect(body).await,
            Endpoint::Grants => self.grants(body).await,
            Endpoint::Approvals => self.approvals().await,
            Endpoint::Approval(id) => self.approval(id, body).await,
            Endpoint::Admin => self.admin(body).await,
            Endpoint::Signals(name) => self.signals(name, body).await,
            Endpoint::BackChannelLogout => self.back_channel_logout(body).await,
            Endpoint::Scim(name, path) => self.scim(name.as_deref(), path, body).await,
            Endpoint::Connect => self.connect(body).await,
            Endpoint::Connected(path) => self.connected(path).await,
            Endpoint::ClientDocument(_) => Ok(Reply::refusal(Refusal::UnknownDocument)),
            // They are documents, and answered before.
            Endpoint::Metadata | Endpoint::Keys => Ok(Reply::refusal(Refusal::RequestUnreadable)),
        }
    }

    /// The parameters of the query; nothing where it is no form.
    fn query(&self) -> Option<Parameters> {
        Parameters::parse(self.request.admitted().query().unwrap_or_default())
    }

    /// The body.
    async fn body(&self, body: &P::RequestBody) -> Result<Vec<u8>, Failure> {
        self.ports.message(body, FORM_BYTES).await.map_err(|_| Failure::Body)
    }

    /// The parameters of the body.
    async fn form(&self, body: &P::RequestBody) -> Result<Option<Parameters>, Failure> {
        let body = self.body(body).await?;
        let fits = self.request.media_type() == "application/x-www-form-urlencoded";
        Ok(std::str::from_utf8(&body).ok().filter(|_| fits).and_then(Parameters::parse))
    }
}

impl<P: Ports> ServerContext<'_, P> {
    fn now(&self) -> u64 {
        self.ports.now().seconds()
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.ports.fill(&mut bytes);
        bytes
    }

    fn nonce(&self) -> Nonce {
        self.random::<NONCE_BYTES>()
    }

    /// A random name.
    fn name(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.random::<32>())
    }

    /// Asks a record.
    async fn ask<M: RecordStateMachine>(&self, id: &str, question: M::Question) -> Result<M::Answer, Failure> {
        records::ask::<M>((self.server, self.ports), id, question).await.map_err(|why| {
            let detail = format!("a {} record: {why}", M::KIND);
            self.say("error", "records_unavailable", &detail);
            Failure::Records
        })
    }

    fn say(&self, level: &'static str, reason: &'static str, detail: &str) {
        self.ports.line(&gateway_line(level, reason, detail, self.ports.now()));
    }

    /// Signs claims that are ready to be signed with the current key.
    async fn sign(&self, input: &str) -> Result<String, Failure> {
        let key = self.server.keys.first().ok_or(Failure::Signing)?;
        let signature = self.ports.sign(key, input.as_bytes()).await.map_err(|why| {
            self.say("error", "signing_failed", &why.to_string());
            Failure::Signing
        })?;
        Ok(signing_key::assemble(input, &signature))
    }
}

/// The members of a JSON object.
fn members(text: &[u8]) -> Option<Map<String, Value>> {
    match strict_json::parse(text) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// A cookie of the authorization server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cookie {
    /// Binds a consent form to the browser that it was shown in.
    Form,
    /// Binds a login at the identity provider to the browser that began it: there is none before the user has said yes (P6).
    Login,
    /// Who is signed in.
    Session,
    /// Who is signed in to the pages of approvals.
    Approver,
    /// What the page of grants says about the form that the user has just sent.
    Notice,
}

impl Cookie {
    /// Its name. Over HTTPS it has the prefix `__Host-`, by which browsers bind it to this host (P4). Over plain HTTP, which
    /// the gateway accepts only on loopback in development, some browsers reject that prefix, so the name has none.
    fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Form, true) => "__Host-portcullis-form",
            (Self::Form, false) => "portcullis-development-form",
            (Self::Login, true) => "__Host-portcullis-login",
            (Self::Login, false) => "portcullis-development-login",
            (Self::Session, true) => "__Host-portcullis-session",
            (Self::Session, false) => "portcullis-development-session",
            (Self::Approver, true) => "__Host-portcullis-approver",
            (Self::Approver, false) => "portcullis-development-approver",
            (Self::Notice, true) => "__Host-portcullis-notice",
            (Self::Notice, false) => "portcullis-development-notice",
        }
    }
}

impl<P: Ports> Context<'_, P> {
    fn is_secure(&self) -> bool {
        self.settings.public_url.scheme() == Scheme::Https
    }

    /// The value of a cookie that the browser sends.
    fn cookie(&self, cookie: Cookie) -> Option<&str> {
        self.request.cookie(cookie.name(self.is_secure()))
    }

    /// A cookie of this host alone (P4). One without `seconds` goes with the browser's session.
    fn set_cookie(&self, cookie: Cookie, value: &str, seconds: Option<u64>) -> String {
        let age = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
        let secure = if self.is_secure() { "; Secure" } else { "" };
        format!("{}={value}; Path=/{secure}; HttpOnly; SameSite=Lax{age}", cookie.name(self.is_secure()))
    }
}
