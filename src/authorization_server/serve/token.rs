//! The token endpoint (RFC 6749 §3.2): one function for each grant type.

use std::cell::OnceCell;

use serde_json::{Map, Value, json};

use super::binding::Binding;
use super::recheck::Recheck;
use super::{Context, Failure, Reply};
use crate::authorization_server::access_token::{AccessToken, signing_input};
use crate::authorization_server::authorize::{self, challenge_of};
use crate::authorization_server::client::{AuthMethod, CLIENT_SUBJECT, Client, GrantType, Source};
use crate::authorization_server::handle::{GrantId, Handle, HandleKind};
use crate::authorization_server::login::Login;
use crate::authorization_server::refusal::Refusal;
use crate::authorization_server::state::grant::{
    Grant, GrantAnswer, GrantContent, GrantQuestion, NextRefreshToken, ProvenKey, Terms,
};
use crate::limits::{RECHECK_POLL, RECHECK_TURN_SECONDS, RECHECK_WAIT_SECONDS};
use crate::oauth::form::Parameters;
use crate::oauth::scope::ScopeSet;
use crate::ports::Ports;
use crate::token::revocation::index::Revocable;

impl<P: Ports> Context<'_, P> {
    /// Answers a token request.
    pub(super) async fn token(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        let reply = self.token_reply(body).await?;
        Ok(match self.next_nonce() {
            Some(nonce) => reply.field("dpop-nonce", nonce),
            None => reply,
        })
    }

    async fn token_reply(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        let Some(form) = self.form(body).await? else {
            return Ok(Reply::refusal(Refusal::BodyNotForm));
        };
        if let Some(name) = form.repeated() {
            return Ok(Reply::refusal(Refusal::ParameterRepeated { is_target: name == "resource" }));
        }
        let named = form.get("grant_type");
        let grant = named.and_then(GrantType::parse).filter(|grant| self.server.accepts(*grant));
        // An assertion may say who the client is.
        if grant == Some(GrantType::JwtBearer) {
            return self.assertion_grant(&form).await;
        }
        let client = match self.authenticated_client(&form).await? {
            Ok(client) => client,
            Err(refusal) => return Ok(refusal),
        };
        if named.is_none() {
            return Ok(Reply::refusal(Refusal::ParameterMissing("grant_type")));
        }
        let Some(grant) = grant else {
            return Ok(Reply::refusal(Refusal::GrantTypeUnsupported));
        };
        if !client.metadata.may(grant) {
            return Ok(Reply::refusal(Refusal::GrantTypeNotRegistered(grant)));
        }
        match grant {
            GrantType::AuthorizationCode => self.redeem(&client, &form).await,
            GrantType::RefreshToken => self.refresh(&client, &form).await,
            GrantType::ClientCredentials => self.client_credentials(&client, &form).await,
            GrantType::JwtBearer => self.assertion_grant(&form).await,
            GrantType::DeviceCode => self.device_token(&client, &form).await,
        }
    }

    async fn redeem(&self, client: &Client, form: &Parameters) -> Result<Reply, Failure> {
        let missing = |name| Ok(Reply::refusal(Refusal::ParameterMissing(name)));
        let Some(code) = form.get("code") else { return missing("code") };
        let Some(verifier) = form.get("code_verifier") else { return missing("code_verifier") };
        let Some(challenge) = challenge_of(verifier) else {
            return Ok(Reply::refusal(Refusal::CodeVerifierMalformed));
        };
        let Some(code) = Handle::parse(HandleKind::Code, code, &self.server.seals) else {
            return Ok(Reply::refusal(Refusal::InvalidGrant(None)));
        };
        let redirect_uri = form.get("redirect_uri").map(str::to_owned);
        let binding = match self.may_redeem(client, form, &code).await? {
            Ok(binding) => binding,
            Err(refusal) => return Ok(refusal),
        };
        self.redeemed(client, (form, &binding), &code, (challenge, redirect_uri)).await
    }

    /// What is checked before a code is redeemed, because what is wrong here must neither use up the code nor count as theft. Returns what
    /// the tokens are bound to.
    pub(super) async fn may_redeem(
        &self,
        client: &Client,
        form: &Parameters,
        code: &Handle,
    ) -> Result<Result<Binding, Reply>, Failure> {
        let seen = GrantReading::of(code);
        if let Some(refusal) = self.beyond(&seen, form).await? {
            return Ok(Err(refusal));
        }
        let binding = match self.binding_of_grant(client, &seen).await? {
            Ok(binding) => binding,
            Err(refusal) => return Ok(Err(refusal)),
        };
        Ok(self.may_still_log_in(&seen).await?.map(|_| binding))
    }

    /// Redeems a code.
    pub(super) async fn redeemed(
        &self,
        client: &Client,
        (form, binding): (&Parameters, &Binding),
        code: &Handle,
        (challenge, redirect_uri): (String, Option<String>),
    ) -> Result<Reply, Failure> {
        let next = client.metadata.may(GrantType::RefreshToken).then(|| self.successor(code));
        let (handle, next) = next.unzip();
        let question = GrantQuestion::Redeem {
            code: code.hash(),
            client_id: client.id.clone(),
            redirect_uri,
            challenge,
            next: next.map(Box::new),
            key: proven(client, binding),
        };
        let answer = self.ask::<Grant>(code.grant(), question).await?;
        self.granted_or_refused(answer, (form, binding), code, handle.as_ref()).await
    }

    async fn refresh(&self, client: &Client, form: &Parameters) -> Result<Reply, Failure> {
        let Some(token) = form.get("refresh_token") else {
            return Ok(Reply::refusal(Refusal::ParameterMissing("refresh_token")));
        };
        let Some(token) = Handle::parse(HandleKind::Refresh, token, &self.server.seals) else {
            return Ok(Reply::refusal(Refusal::InvalidGrant(None)));
        };
        let seen = GrantReading::of(&token);
        if let Some(refusal) = self.beyond(&seen, form).await? {
            return Ok(refusal);
        }
        let binding = match self.binding_of_grant(client, &seen).await? {
            Ok(binding) => binding,
            Err(refusal) => return Ok(refusal),
        };
        let login = match self.may_still_log_in(&seen).await? {
            Ok(login) => login,
            Err(refusal) => return Ok(refusal),
        };
        let (handle, next) = self.successor(&token);
        let question = |recheck| GrantQuestion::Refresh {
            token: token.hash(),
            client_id: client.id.clone(),
            next: Box::new(next.clone()),
            grace: self.server.refresh_grace_seconds,
            recheck,
            key: proven(client, &binding),
        };
        let mut recheck = login.recheck.map(|recheck| (recheck.seconds, RECHECK_TURN_SECONDS));
        let deadline = self.now() + RECHECK_WAIT_SECONDS;
        loop {
            match self.ask::<Grant>(token.grant(), question(recheck)).await? {
                GrantAnswer::RecheckDue(seen, turn) => match self.recheck(&token, *seen, turn).await? {
                    Recheck::Refused(refusal) => return Ok(refusal),
                    // Something may have changed while the provider was asked: the record says whether it has to be asked again.
                    Recheck::Confirmed | Recheck::Again if self.now() < deadline => {}
                    Recheck::Confirmed | Recheck::Unconfirmed => recheck = None,
                    Recheck::Again => {
                        return Ok(Reply::refusal(Refusal::RecheckImpossible("its turn was over".to_owned())));
                    }
                },
                // Another request of the client asks the provider, and this one needs what it says.
                GrantAnswer::RecheckRunning if self.now() < deadline => self.ports.sleep(RECHECK_POLL).await,
                GrantAnswer::RecheckRunning => {
                    return Ok(Reply::refusal(Refusal::RecheckImpossible(
                        "another request asks the provider".to_owned(),
                    )));
                }
                answer => return self.granted_or_refused(answer, (form, &binding), &token, Some(&handle)).await,
            }
        }
    }

    /// The login of the user of a grant. A grant ends if the directory of the provider says that the user has no access any more.
    async fn may_still_log_in(&self, seen: &GrantReading<'_>) -> Result<Result<&Login, Reply>, Failure> {
        let is_same_for_all = self.server.other_logins.is_empty() && self.server.login.directory.is_none();
        if is_same_for_all {
            return Ok(Ok(&self.server.login));
        }
        let Some(content) = seen.content(self).await? else { return Ok(Ok(&self.server.login)) };
        let terms = &content.terms;
        let login = match self.login_of_grant(terms, seen.handle).await? {
            Ok(login) => login,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match self.may_go_on(&terms.subject).await? {
            Ok(()) => Ok(Ok(login)),
            Err(why) => Ok(Err(self.ended(terms, seen.handle, &format!("ended_by_provider: {why}")).await?)),
        }
    }

    /// The login of the user of a grant. The grant ends if the configuration has another provider for the user, or none, or if the login
    /// is not for the client and the resource any more.
    async fn login_of_grant(&self, terms: &Terms, handle: &Handle) -> Result<Result<&Login, Reply>, Failure> {
        let why = match self.server.login_at(&terms.subject, terms.provider.as_deref()) {
            Some(login) if login.serves(&terms.client_id, &terms.resource) => return Ok(Ok(login)),
            Some(_) => "ended_by_configuration: the login is not for this client and resource",
            None => "ended_by_configuration: the login of the user was removed or has another provider",
        };
        Ok(Err(self.ended(terms, handle, why).await?))
    }

    /// Ends a grant whose code or refresh token is used.
    async fn ended(&self, terms: &Terms, handle: &Handle, why: &str) -> Result<Reply, Failure> {
        self.end_all(&terms.subject, &[handle.grant().to_owned()], why).await?;
        Ok(Reply::refusal(Refusal::InvalidGrant(Some(format!("grant {}: {why}", handle.grant())))))
    }

    /// Refuses what was not granted: another resource (RFC 8707 §2.2), more scopes (RFC 6749 §6). This does not use up the
    /// handle.
    async fn beyond(&self, seen: &GrantReading<'_>, form: &Parameters) -> Result<Option<Reply>, Failure> {
        let resource = match form.get("resource") {
            Some(asked) => match authorize::resource(Some(asked), self.server, self.settings) {
                Ok(resource) => Some(&resource.identifier),
                Err(error) => return Ok(Some(Reply::refusal(Refusal::InvalidTarget(error)))),
            },
            None => None,
        };
        let several = authorize::resources(self.server, self.settings).nth(1).is_some();
        let scope = form.get("scope").map(ScopeSet::of_text);
        if scope.is_none() && !(several && resource.is_some()) {
            return Ok(None);
        }
        let Some(seen) = seen.content(self).await? else { return Ok(None) };
        if resource.is_some_and(|resource| *resource != seen.terms.resource) {
            return Ok(Some(Reply::refusal(Refusal::OtherResource)));
        }
        let granted = ScopeSet::of_text(&seen.approved);
        let more = scope
            .iter()
            .flat_map(ScopeSet::iter)
            .any(|it| !matches!(it.as_str(), "offline_access" | "openid") && !granted.iter().any(|other| other == it));
        Ok(more.then(|| Reply::refusal(Refusal::ScopeNotGranted)))
    }

    /// What the tokens of a grant are bound to, before its code or refresh token is used.
    async fn binding_of_grant(
        &self,
        client: &Client,
        seen: &GrantReading<'_>,
    ) -> Result<Result<Binding, Reply>, Failure> {
        if !self.may_bind(client) {
            return Ok(Ok(Binding::default()));
        }
        let Some(seen) = seen.content(self).await? else { return Ok(Ok(Binding::default())) };
        match authorize::resource(Some(&seen.terms.resource), self.server, self.settings) {
            Ok(resource) => self.binding(client, resource).await,
            // The resource is not in the configuration any more: no gateway accepts the token.
            Err(_) => Ok(Ok(Binding::default())),
        }
    }

    /// The refresh token that follows a code or another refresh token.
    fn successor(&self, from: &Handle) -> (Handle, NextRefreshToken) {
        let id = GrantId::parse(from.grant()).unwrap_or(GrantId([0; 16]));
        let next = Handle::make(HandleKind::Refresh, &id, &self.random(), &self.server.seals);
        let successor = NextRefreshToken {
            hash: next.hash(),
            sealed: from.key().seal(next.expose().as_bytes(), "successor", &self.nonce()),
            from: from.key().to_text(),
            to: next.key().to_text(),
            nonce: self.nonce(),
            seconds: self.server.refresh_token_seconds,
        };
        (next, successor)
    }

    async fn granted_or_refused(
        &self,
        answer: GrantAnswer,
        (form, binding): (&Parameters, &Binding),
        used: &Handle,
        next: Option<&Handle>,
    ) -> Result<Reply, Failure> {
        if let GrantAnswer::Granted(terms) | GrantAnswer::Retried(terms, _) = &answer
            && let Err(refusal) = self.login_of_grant(terms, used).await?
        {
            return Ok(refusal);
        }
        match answer {
            GrantAnswer::Granted(terms) => {
                self.tokens(&terms, used.grant(), (form, binding), next.map(|next| next.expose().to_owned())).await
            }
            GrantAnswer::Retried(terms, sealed) => {
                let next = used.key().open(&sealed, "successor").and_then(|text| String::from_utf8(text).ok());
                self.tokens(&terms, used.grant(), (form, binding), next).await
            }
            GrantAnswer::Misused(subject, why) => {
                // The grant has ended already: its access tokens must not outlive a failure here.
                self.announce(&[Revocable::Grant(used.grant().to_owned())]).await?;
                self.unlist(&subject, used.grant()).await?;
                let detail = format!("grant {}: {why}", used.grant());
                self.say("warn", "grant_misused", &detail);
                Ok(Reply::refusal(Refusal::InvalidGrant(Some(detail))))
            }
            GrantAnswer::OtherKey => Ok(Reply::refusal(Refusal::OtherKey)),
            GrantAnswer::Unknown
            | GrantAnswer::Done
            | GrantAnswer::Content(_)
            | GrantAnswer::LastUse(_)
            | GrantAnswer::RecheckDue(..)
            | GrantAnswer::RecheckRunning => Ok(Reply::refusal(Refusal::InvalidGrant(None))),
        }
    }

    /// The answer with tokens (RFC 6749 §5.1).
    async fn tokens(
        &self,
        terms: &Terms,
        grant: &str,
        (form, binding): (&Parameters, &Binding),
        refresh_token: Option<String>,
    ) -> Result<Reply, Failure> {
        let granted = ScopeSet::of_text(&terms.scope);
        // Each request may ask for fewer scopes than were granted; the grant does not change.
        let scope: ScopeSet = match form.get("scope").map(ScopeSet::of_text) {
            Some(asked) => {
                let less: ScopeSet =
                    granted.iter().filter(|it| asked.iter().any(|other| other == *it)).cloned().collect();
                if less.is_empty() { granted } else { less }
            }
            None => granted,
        };
        let scope = scope.to_string();
        let token = AccessToken {
            subject: &terms.subject,
            client_id: &terms.client_id,
            scope: &scope,
            resource: &terms.resource,
            claims: &terms.claims,
            bound_to: binding.as_claims(),
            grant: Some(grant),
        };
        self.token_answer(&token, refresh_token, "token_issued").await
    }

    pub(super) async fn token_answer(
        &self,
        token: &AccessToken<'_>,
        refresh_token: Option<String>,
        reason: &'static str,
    ) -> Result<Reply, Failure> {
        let key = self.server.keys.first().ok_or(Failure::Signing)?;
        let input = signing_input(self.server, key, token, &self.random(), self.ports.now());
        let mut members = json!({
            "access_token": self.sign(&input).await?,
            "token_type": if token.bound_to.0.is_some() { "DPoP" } else { "Bearer" },
            "expires_in": self.server.access_token_seconds,
            "scope": token.scope,
        });
        if let (Some(members), Some(refresh_token)) = (members.as_object_mut(), refresh_token) {
            members.insert("refresh_token".to_owned(), json!(refresh_token));
        }
        Ok(Reply::json(200, &members, reason))
    }

    /// A client asks for itself (RFC 6749 §4.4, A18): for what configuration says that it may have.
    async fn client_credentials(&self, client: &Client, form: &Parameters) -> Result<Reply, Failure> {
        if client.source != Source::Configured {
            return Ok(Reply::refusal(Refusal::ClientCredentialsNotAllowed));
        }
        self.client_token(client, form, &Map::new()).await
    }

    /// A token with which a client acts for itself, with these claims.
    pub(super) async fn client_token(
        &self,
        client: &Client,
        form: &Parameters,
        claims: &Map<String, Value>,
    ) -> Result<Reply, Failure> {
        let resource = match authorize::resource(form.get("resource"), self.server, self.settings) {
            Ok(resource) => resource,
            Err(error) => return Ok(Reply::refusal(Refusal::InvalidTarget(error))),
        };
        let known = authorize::known_scopes(self.server, resource);
        let own = ScopeSet::of_text(client.metadata.scope.as_deref().unwrap_or_default());
        let asked = form.get("scope").map(ScopeSet::of_text);
        let scope: ScopeSet = own
            .iter()
            .filter(|scope| known.iter().any(|it| it == *scope))
            .filter(|scope| asked.as_ref().is_none_or(|asked| asked.iter().any(|it| it == *scope)))
            .cloned()
            .collect();
        if scope.is_empty() {
            return Ok(Reply::refusal(Refusal::ClientHasNoScope));
        }
        let binding = match self.binding(client, resource).await? {
            Ok(binding) => binding,
            Err(refusal) => return Ok(refusal),
        };
        let scope = scope.to_string();
        let token = AccessToken {
            subject: &format!("{CLIENT_SUBJECT}{}", client.id),
            client_id: &client.id,
            scope: &scope,
            resource: &resource.identifier,
            claims,
            bound_to: binding.as_claims(),
            grant: None,
        };
        self.token_answer(&token, None, "token_issued").await
    }
}

/// The content of a grant whose code or refresh token is used. It is read at most once.
struct GrantReading<'a> {
    handle: &'a Handle,
    content: OnceCell<Option<Box<GrantContent>>>,
}

impl<'a> GrantReading<'a> {
    fn of(handle: &'a Handle) -> Self {
        Self { handle, content: OnceCell::new() }
    }

    async fn content<P: Ports>(&self, context: &Context<'_, P>) -> Result<Option<&GrantContent>, Failure> {
        if self.content.get().is_none() {
            let read = match context.ask::<Grant>(self.handle.grant(), GrantQuestion::Read).await? {
                GrantAnswer::Content(seen) => Some(seen),
                _ => None,
            };
            let _first = self.content.set(read);
        }
        Ok(self.content.get().and_then(Option::as_deref))
    }
}

/// The key that a request proves. Only the refresh tokens of a client that does not authenticate are bound to it: those of others are
/// bound to the client (RFC 9449 §5).
fn proven(client: &Client, binding: &Binding) -> ProvenKey {
    ProvenKey { jkt: binding.key.clone(), binds: client.metadata.auth_method == AuthMethod::None }
}
