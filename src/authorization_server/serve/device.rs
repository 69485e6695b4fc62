//! Device authorization (RFC 8628): a device without a browser shows a code, and its user decides in a browser elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Context, Failure, Reply};
use crate::authorization_server::authorize::{AuthorizationRequest, challenge_of, is_hint};
use crate::authorization_server::client::{Client, GrantType};
use crate::authorization_server::handle::{Handle, HandleKind};
use crate::authorization_server::page::{self, DeviceConsent};
use crate::authorization_server::refusal::{OwnForm, Refusal};
use crate::authorization_server::serve::choice::hints;
use crate::authorization_server::serve::clients::NoClient;
use crate::authorization_server::state::Hash;
use crate::authorization_server::state::device::{Device, DeviceAnswer, DeviceQuestion};
use crate::authorization_server::state::grant::{Grant, GrantAnswer, GrantQuestion};
use crate::limits::{DEVICE_INTERVAL, DEVICE_SECONDS};
use crate::oauth::form::Parameters;
use crate::policy::counters::AddressLimit;
use crate::ports::Ports;
use crate::seal::mac;
use crate::transport::head::Method;

/// The letters of user codes: no vowels, so that a code is no word (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// The letters of a user code: 20^8, about 2^34 codes.
const CODE_LETTERS: usize = 8;

/// What a device code has inside. It is sealed, so that no record is asked for one that the gateway did not make.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceCode {
    user_code: String,
    secret: String,
}

const USAGE: &str = "device code";

impl<P: Ports> Context<'_, P> {
    /// The device authorization endpoint (RFC 8628 §3.1).
    pub(super) async fn device_authorization(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        if !self.server.devices {
            return Ok(Reply::refusal(Refusal::UnknownDocument));
        }
        let Some(form) = self.form(body).await? else {
            return Ok(Reply::refusal(Refusal::BodyNotForm));
        };
        if let Some(name) = form.repeated() {
            return Ok(Reply::refusal(Refusal::ParameterRepeated { is_target: name == "resource" }));
        }
        let client = match self.authenticated_client(&form).await? {
            Ok(client) => client,
            Err(refusal) => return Ok(refusal),
        };
        if !client.metadata.may(GrantType::DeviceCode) {
            return Ok(Reply::refusal(Refusal::GrantTypeNotRegistered(GrantType::DeviceCode)));
        }
        if !self.is_within(AddressLimit::Device) {
            return Ok(Reply::refusal(Refusal::TooManyDevices));
        }
        let secret = self.name();
        let Some(challenge) = challenge_of(&verifier(&secret)) else { return Err(Failure::Records) };
        let request = AuthorizationRequest::of_device(&form, &client, self.server, self.settings, challenge);
        let request = match request {
            Ok(request) => request,
            Err(error) => return Ok(Reply::refusal(Refusal::DeviceRequest(error))),
        };
        let head = self.request.admitted().head();
        let place = (head.network(), head.facts().country);
        let until = self.now() + DEVICE_SECONDS;
        let (user_code, request) = self.user_code(request);
        let device = Device::new(request, place, (self.now(), until), Hash::of(&secret));
        let begin = DeviceQuestion::Begin(Box::new(device));
        if self.ask::<Device>(&record_of(&user_code), begin).await? != DeviceAnswer::Done {
            return Err(Failure::Records);
        }
        let shown = shown(&user_code);
        let code = DeviceCode { user_code, secret };
        let sealed = self.server.seals.seal(&code, USAGE, &self.server.own.identifier, &self.nonce());
        let page = self.server.url("/device");
        let answer = json!({
            "device_code": sealed,
            "user_code": shown,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={shown}"),
            "expires_in": DEVICE_SECONDS,
            "interval": DEVICE_INTERVAL,
        });
        Ok(Reply::json(200, &answer, "device_code_issued"))
    }

    /// A new user code, and the request that names it.
    fn user_code(&self, request: AuthorizationRequest) -> (String, AuthorizationRequest) {
        let mut code = String::new();
        while code.len() < CODE_LETTERS {
            // A byte above the last multiple of 20 would make some letters more frequent.
            let bytes = self.random::<32>().into_iter().filter(|byte| *byte < 240);
            code.extend(bytes.filter_map(|byte| LETTERS.get(usize::from(byte % 20))).map(|letter| char::from(*letter)));
        }
        code.truncate(CODE_LETTERS);
        let request = AuthorizationRequest { device: Some(code.clone()), ..request };
        (code, request)
    }

    /// A token request with a device code (RFC 8628 §3.4).
    pub(super) async fn device_token(&self, client: &Client, form: &Parameters) -> Result<Reply, Failure> {
        let Some(code) = form.get("device_code") else {
            return Ok(Reply::refusal(Refusal::ParameterMissing("device_code")));
        };
        let opened = self.server.seals.open::<DeviceCode>(code, USAGE, &self.server.own.identifier);
        let Some(DeviceCode { user_code, secret }) = opened else {
            return Ok(Reply::refusal(Refusal::InvalidGrant(None)));
        };
        let hash = Hash::of(&secret);
        let poll = DeviceQuestion::Poll(hash.clone(), client.id.clone());
        let sealed = match self.ask::<Device>(&record_of(&user_code), poll).await? {
            DeviceAnswer::Approved(sealed) => sealed,
            DeviceAnswer::Pending => return Ok(Reply::refusal(Refusal::DevicePending)),
            DeviceAnswer::TooFast => return Ok(Reply::refusal(Refusal::DeviceTooFast)),
            DeviceAnswer::Denied => return Ok(Reply::refusal(Refusal::DeviceDenied)),
            DeviceAnswer::OtherClient => return Ok(Reply::refusal(Refusal::InvalidGrant(None))),
            DeviceAnswer::Unknown | DeviceAnswer::Done | DeviceAnswer::Waiting(_) => {
                return Ok(Reply::refusal(Refusal::DeviceExpired));
            }
        };
        let Some(code) = self.code_of_device(&user_code, &sealed) else {
            return Ok(Reply::refusal(Refusal::DeviceExpired));
        };
        let Some(challenge) = challenge_of(&verifier(&secret)) else { return Err(Failure::Records) };
        // A request that is refused does not use up the device code.
        let binding = match self.may_redeem(client, form, &code).await? {
            Ok(binding) => binding,
            Err(refusal) => return Ok(refusal),
        };
        let take = DeviceQuestion::Take(hash);
        if !matches!(self.ask::<Device>(&record_of(&user_code), take).await?, DeviceAnswer::Approved(_)) {
            return Ok(Reply::refusal(Refusal::DeviceExpired));
        }
        self.redeemed(client, (form, &binding), &code, (challenge, Some(String::new()))).await
    }

    /// The code of the grant that a device got.
    fn code_of_device(&self, user_code: &str, sealed: &str) -> Option<Handle> {
        let code = self.server.seals.open::<String>(sealed, USAGE, user_code)?;
        Handle::parse(HandleKind::Code, &code, &self.server.seals)
    }

    /// Whether a device still waits for the user who decides.
    pub(super) async fn device_waits(&self, user_code: &str) -> Result<bool, Failure> {
        let found = self.ask::<Device>(&record_of(user_code), DeviceQuestion::Read).await?;
        Ok(matches!(found, DeviceAnswer::Waiting(_)))
    }

    /// Keeps the code of a grant for the device that waits for it. Returns whether the device still does.
    pub(super) async fn device_approved(&self, user_code: &str, code: &Handle) -> Result<bool, Failure> {
        let text = code.expose().to_owned();
        let sealed = self.server.seals.seal(&text, USAGE, user_code, &self.nonce());
        let answer = self.ask::<Device>(&record_of(user_code), DeviceQuestion::Approve(sealed)).await?;
        Ok(answer == DeviceAnswer::Done)
    }

    /// The user denies.
    pub(super) async fn device_denied(&self, user_code: &str) -> Result<Reply, Failure> {
        let denied = match self.ask::<Device>(&record_of(user_code), DeviceQuestion::Deny).await? {
            DeviceAnswer::Done => true,
            // It was approved before: in another tab, or by another user.
            DeviceAnswer::Approved(sealed) => match self.code_of_device(user_code, &sealed) {
                Some(code) => self.end_unused(&code).await?,
                None => false,
            },
            _ => false,
        };
        if denied {
            let page = page::problem("Denied", "The device gets no access. You can close this page.", None);
            return Ok(Reply::page(200, page, "access_denied").refused("the user refused"));
        }
        let text = "The device does not wait any more: it may have access, or its code has expired. The page of your \
                    applications shows what has access, and ends it.";
        let grants = self.server.url("/grants");
        let page = page::problem("Too late to deny", text, Some((&grants, "your applications")));
        Ok(Reply::page(409, page, "device_gone").refused("the user refused, and no device waits"))
    }

    /// Ends a grant whose code its device has not used.
    async fn end_unused(&self, code: &Handle) -> Result<bool, Failure> {
        let GrantAnswer::Content(seen) = self.ask::<Grant>(code.grant(), GrantQuestion::Read).await? else {
            return Ok(true);
        };
        self.end_all(&seen.terms.subject, &[code.grant().to_owned()], "withdrawn_by_user").await?;
        Ok(true)
    }

    /// The page on which a user enters the code that a device shows (RFC 8628 §3.3).
    pub(super) async fn device(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        if !self.server.devices {
            return Ok(Reply::refusal(Refusal::UnknownDocument));
        }
        if self.request.admitted().head().method != Method::Post {
            let query = self.query().unwrap_or_default();
            let code = query.get("user_code").and_then(parsed).map(|code| shown(&code)).unwrap_or_default();
            let page = page::device_code(self.server, &code, &hints(&query), None);
            return Ok(Reply::page(200, page, "device_form"));
        }
        if !self.request.is_from(&self.settings.public_url.web_origin()) {
            return Ok(Reply::refusal(Refusal::ForeignForm(OwnForm::Device)));
        }
        // Codes are guessed by many requests.
        if !self.is_within(AddressLimit::UserCode) {
            return Ok(Reply::refusal(Refusal::TooManyLogins));
        }
        let Some(form) = self.form(body).await? else {
            return Ok(Reply::refusal(Refusal::FormUnreadable(OwnForm::Device)));
        };
        let entered = form.get("user_code").unwrap_or_default();
        let found = match parsed(entered) {
            Some(code) => self.ask::<Device>(&record_of(&code), DeviceQuestion::Read).await?,
            None => DeviceAnswer::Unknown,
        };
        let DeviceAnswer::Waiting(device) = found else {
            let entered: String = entered.chars().take(20).collect();
            let page = page::device_code(self.server, &entered, &hints(&form), Some(UNKNOWN_CODE));
            return Ok(Reply::page(400, page, "device_unknown").refused("no device waits with this code"));
        };
        self.ask_about_device(*device, &form).await
    }

    /// Asks the user whether a device may have what it asks for.
    async fn ask_about_device(&self, device: Device, form: &Parameters) -> Result<Reply, Failure> {
        let Device { mut request, network, country, since, .. } = device;
        let client = match self.client(&request.client_id, false).await? {
            Ok(client) => client,
            Err(NoClient::Unreachable(error)) => return Ok(Reply::refusal(Refusal::ClientUnreachable(error))),
            Err(NoClient::Unknown(error)) => return Ok(Reply::refusal(Refusal::UnknownClient(error))),
        };
        let logins = self.server.logins_for(&request.client_id, &request.resource);
        if logins.is_empty() {
            return Ok(Reply::refusal(Refusal::NotAdmitted));
        }
        let login = match self.chosen(logins, None, form) {
            Ok(login) => login,
            Err(page) => return Ok(*page),
        };
        request.login = login.recorded_name();
        request.hint = form.get("login_hint").filter(|hint| is_hint(hint)).map(str::to_owned);
        let resource = self.settings.resources.iter().find(|it| it.identifier == request.resource);
        let name = resource.and_then(|it| it.name.clone());
        let code = request.device.as_deref().map(shown).unwrap_or_default();
        let place = (network, country);
        Ok(self.put_to(request, "device_asked", |request, sealed| {
            page::device_consent(
                self.server,
                &DeviceConsent {
                    request,
                    resource_name: name.as_deref(),
                    client_host: client.host().as_deref(),
                    code: &code,
                    network: &place.0,
                    country: place.1.as_deref(),
                    minutes: self.now().saturating_sub(since) / 60,
                    sealed,
                },
            )
        }))
    }
}

const UNKNOWN_CODE: &str = "No device waits with this code. Check it: it may have expired, or have been used.";

/// The name of the record. It does not reveal the code.
fn record_of(user_code: &str) -> String {
    Hash::of(&format!("user code {user_code}")).as_str().to_owned()
}

/// The PKCE verifier of a device's grant: only the device code has it.
fn verifier(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(mac(secret.as_bytes(), &[b"portcullis device verifier"]))
}

/// A user code as a user enters it: in any case, with or without separators.
fn parsed(text: &str) -> Option<String> {
    if text.len() > 32 {
        return None;
    }
    let letters = text.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase());
    let code: String = letters.collect();
    let is_code = code.len() == CODE_LETTERS && code.bytes().all(|letter| LETTERS.contains(&letter));
    is_code.then_some(code)
}

/// A user code as it is shown.
fn shown(code: &str) -> String {
    code.split_at_checked(CODE_LETTERS / 2).map_or_else(|| code.to_owned(), |(first, rest)| format!("{first}-{rest}"))
}
