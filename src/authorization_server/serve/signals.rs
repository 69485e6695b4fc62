//! The receiver of signals: SETs that a transmitter pushes (RFC 8935), and logout tokens (OpenID Connect Back-Channel Logout).

use serde_json::json;

use super::assertion_grant::NoClaims;
use super::{Context, Failure, Reply, ServerContext};
use crate::authorization_server::login::Login;
use crate::authorization_server::refusal::Refusal;
use crate::authorization_server::security_event::{
    EventSubject, Happening, SET_MEDIA_TYPE, SecurityEventToken, SetError, is_set, logout, may_be_logout,
};
use crate::authorization_server::state::Hash;
use crate::authorization_server::state::identifier::{Identifier, IdentifierName, IdentifierQuestion};
use crate::authorization_server::trusted_issuer::{
    GrantAssertionError, SignalDelivery, SignalRules, TrustedIssuer, signature_check,
};
use crate::limits::SIGNAL_SECONDS;
use crate::ports::Ports;
use crate::secret::Secret;
use crate::token::untrusted::UntrustedToken;

/// Why a SET has no effect.
pub(super) enum NotReceived {
    /// It is not accepted; with what the log says of it.
    Refused(SetError, Option<String>),
    /// It cannot be checked now.
    Unavailable(String),
}

impl<P: Ports> ServerContext<'_, P> {
    /// The SET of an issuer, if it is for this gateway; `may_fetch` says whether its sender may cause a request for keys.
    pub(super) async fn claims_of_set(
        &self,
        issuer: &TrustedIssuer,
        rules: &SignalRules,
        token: &UntrustedToken,
        may_fetch: impl Fn() -> bool,
    ) -> Result<SecurityEventToken, NotReceived> {
        let is_this = |other: &TrustedIssuer| other.index == issuer.index;
        let claims = match self.claims_of_issuer(token, is_this, may_fetch).await {
            Ok((_, claims)) => claims,
            Err(NoClaims::Unavailable(why)) => return Err(NotReceived::Unavailable(why)),
            Err(NoClaims::Invalid(error)) => {
                let set = match error {
                    GrantAssertionError::UnknownIssuer => SetError::InvalidIssuer,
                    _ => SetError::InvalidKey,
                };
                return Err(NotReceived::Refused(set, Some(error.to_string())));
            }
        };
        SecurityEventToken::read(&claims, &issuer.identifier, &rules.audiences, self.now())
            .map_err(|error| NotReceived::Refused(error, None))
    }

    /// Applies the events of a SET.
    pub(super) async fn received(
        &self,
        issuer: &TrustedIssuer,
        rules: &SignalRules,
        set: &SecurityEventToken,
    ) -> Result<(), Failure> {
        let mut users = 0;
        for event in &set.events {
            users += self.apply(issuer, rules, event).await?;
        }
        let id: String = set.id.chars().filter(char::is_ascii_graphic).take(64).collect();
        let detail = format!("{}: {} (jti {id}), users concerned: {users}", issuer.name, set.types.join(" "));
        self.say("info", "signal_received", &detail);
        Ok(())
    }
}

impl<P: Ports> Context<'_, P> {
    /// Receives a SET of the trusted issuer with this name (RFC 8935 §2). A transmitter sends a SET again until it has an answer, and
    /// SETs arrive in any order: an event changes nothing that began after it, so it may come twice.
    pub(super) async fn signals(&self, name: &str, body: &P::RequestBody) -> Result<Reply, Failure> {
        let found = self.server.trusted_issuers.iter().find(|issuer| issuer.name == name);
        let Some((issuer, rules)) = found.and_then(|issuer| Some((issuer, issuer.signals.as_ref()?))) else {
            return Ok(Reply::refusal(Refusal::UnknownDocument));
        };
        let SignalDelivery::Push(secret) = &rules.delivery else {
            return Ok(Reply::refusal(Refusal::UnknownDocument));
        };
        if !self.is_transmitter(secret.as_ref()) {
            return Ok(refused(SetError::AuthenticationFailed, None));
        }
        if self.request.media_type() != SET_MEDIA_TYPE {
            return Ok(refused(SetError::InvalidRequest("the body must be application/secevent+jwt"), None));
        }
        let body = self.body(body).await?;
        let token = std::str::from_utf8(&body).ok().and_then(|text| UntrustedToken::parse(text.trim()).ok());
        let Some(token) = token.filter(is_set) else {
            return Ok(refused(SetError::InvalidRequest("the body is not a SET"), None));
        };
        match self.claims_of_set(issuer, rules, &token, || self.may_fetch_keys()).await {
            Ok(set) => self.received(issuer, rules, &set).await?,
            Err(NotReceived::Refused(error, detail)) => return Ok(refused(error, detail)),
            Err(NotReceived::Unavailable(why)) => return Ok(Reply::refusal(Refusal::IssuerUnavailable(why))),
        }
        let mut reply = Reply::json(202, &json!({}), "signal_received");
        reply.body.clear();
        Ok(reply)
    }

    /// Whether the request has what the transmitter must send in `Authorization`.
    fn is_transmitter(&self, secret: Option<&Secret>) -> bool {
        let Some(secret) = secret else { return true };
        let sent = self.request.field("authorization").unwrap_or_default();
        let expected = Hash::of(secret.expose());
        Hash::of(sent) == expected || self.bearer().is_some_and(|bare| Hash::of(bare) == expected)
    }

    /// The provider of the login says that a user has logged out there, or that a session has ended.
    pub(super) async fn back_channel_logout(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        if !self.server.logins().any(|login| login.back_channel_logout) {
            return Ok(Reply::refusal(Refusal::UnknownDocument));
        }
        let invalid = |why: &'static str| Ok(Reply::refusal(Refusal::LogoutInvalid(why)));
        let Some(form) = self.form(body).await? else {
            return Ok(Reply::refusal(Refusal::BodyNotForm));
        };
        let Some(token) = form.get("logout_token").and_then(|text| UntrustedToken::parse(text).ok()) else {
            return invalid("logout_token is not a JWT that can be accepted");
        };
        if !may_be_logout(&token) {
            return invalid("logout_token has a typ that is not accepted");
        }
        let speaks = |login: &&Login, iss| login.back_channel_logout && login.users().tenant_of(iss).is_some();
        let said = token.claimed_issuer();
        let Some(login) = said.and_then(|iss| self.server.logins().find(|login| speaks(login, iss))) else {
            return invalid("the logout token is from another issuer");
        };
        let is_issuer = |iss: &str| login.users().tenant_of(iss).is_some();
        let at = self.provider_of(login);
        let (keys, client_id) = match at.keys_and_client(token.kid()).await {
            Ok(known) => known,
            Err(why) => return Ok(Reply::refusal(Refusal::IssuerUnavailable(why))),
        };
        let Ok(check) = signature_check(&token, &keys) else {
            return invalid("logout_token is signed with a key that the provider does not publish");
        };
        let good = self.ports.verify(&check).await.is_ok_and(|good| good);
        let proof = check.answered(good).ok();
        let Some(claims) = proof.and_then(|proof| token.claims_with(&proof).cloned()) else {
            return invalid("logout_token has a wrong signature");
        };
        let (about, second) = match logout(&claims, is_issuer, &client_id, self.now()) {
            Ok(logout) => logout,
            Err(why) => return invalid(why),
        };
        let scope = login.identity();
        let (mut ended, mut users) = (0, 0);
        for about in about {
            let name = match &about {
                EventSubject::Session(id) => IdentifierName::Session { scope, id },
                EventSubject::Subject { subject, .. } | EventSubject::Email(subject) => {
                    IdentifierName::Subject { scope, subject }
                }
            };
            let question = IdentifierQuestion::End(second, SIGNAL_SECONDS);
            let known = self.ask::<Identifier>(&name.record(), question).await?;
            ended += self.end_session(known.grants, second).await?;
            users += known.subjects.len();
            for subject in &known.subjects {
                self.apply_to_user(subject, Happening::SessionsEnded, second).await?;
            }
            // The user's other sessions go on where the session is known.
            if ended > 0 {
                break;
            }
        }
        let detail = format!("grants of the session: {ended}, users: {users}");
        self.say("info", "back_channel_logout", &detail);
        Ok(Reply::json(200, &json!({}), "back_channel_logout"))
    }
}

/// The answer to a SET that is not accepted (RFC 8935 §2.3).
fn refused(error: SetError, detail: Option<String>) -> Reply {
    let status = if error == SetError::AuthenticationFailed { 401 } else { 400 };
    let body = json!({ "err": error.code(), "description": error.description() });
    let reply = Reply::json(status, &body, error.code());
    let reply = reply.refused(detail.unwrap_or_else(|| error.description().to_owned()));
    if status == 401 { reply.field("www-authenticate", "Bearer realm=\"portcullis\"") } else { reply }
}
