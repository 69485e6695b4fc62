//! Users come back from the identity provider.

use serde_json::{Map, Value};

use super::authorize::{LoginSecrets, Session, callback_parameters, person};
use super::held_tokens::HeldTokens;
use super::{Context, Cookie, Failure, Reply};
use crate::authorization_server::authorize::{AuthorizationRequest, NewScopes};
use crate::authorization_server::client::GrantType;
use crate::authorization_server::connect_link;
use crate::authorization_server::handle::{GrantId, Handle, HandleKind};
use crate::authorization_server::login::signed_in::SignedIn;
use crate::authorization_server::login::{Identity, Login, LoginError, word};
use crate::authorization_server::page;
use crate::authorization_server::refusal::{LoginFailure, Refusal};
use crate::authorization_server::state::Hash;
use crate::authorization_server::state::grant::{Code, Grant, GrantAnswer, GrantQuestion, Terms};
use crate::authorization_server::state::login::{Login as LoginRecord, LoginQuestion, Purpose};
use crate::authorization_server::state::subject::{Approval, Listed, UserQuestion, UserRecord};
use crate::limits::{CODE_SECONDS, DEVICE_SECONDS, LOGIN_SECONDS, SIGN_IN_SECONDS};
use crate::oauth::scope::{Scope, ScopeSet};
use crate::ports::Ports;

/// Why a login ends without access, in the log.
pub(super) const CHANGED: &str = "the directory of the provider changed during the login (SCIM)";

/// A user who came back from the provider.
struct LoggedIn {
    identity: Identity,
    signed_in: SignedIn,
    tokens: HeldTokens,
    /// The second at which the login began.
    begun: u64,
}

impl<P: Ports> Context<'_, P> {
    /// The answer of the provider: good once, in the browser that began the login, from the provider itself.
    pub(super) async fn callback(&self, name: Option<&str>) -> Result<Reply, Failure> {
        let Some(login) = self.server.login_named(name) else { return Ok(Reply::refusal(Refusal::UnknownDocument)) };
        let query = self.query();
        let parameters = query.as_ref().and_then(callback_parameters);
        let (Some(query), Some((state, said))) = (&query, parameters) else {
            return Ok(Reply::refusal(Refusal::AnswerUnreadable));
        };
        let Some(browser) = self.cookie(Cookie::Login) else {
            return Ok(Reply::refusal(Refusal::LoginStale("no cookie")));
        };
        let take = LoginQuestion::Consume(Hash::of(browser), name.map(str::to_owned));
        let Some((purpose, expires)) = self.ask::<LoginRecord>(Hash::of(state).as_str(), take).await? else {
            return Ok(Reply::refusal(Refusal::LoginStale("no such login of this browser")));
        };
        let at = self.provider_of(login);
        let provider = match at.endpoints().await {
            Ok(provider) => provider,
            Err(error) => return Ok(self.failed(&purpose, LoginFailure::Unavailable, &error.to_string())),
        };
        // Who answers must be who was asked (RFC 9207 §2.4, P11).
        let named = query.get("iss");
        // A server without OpenID has no known issuer identifier. Each login has a redirect URI of its own, so no mix-up is possible.
        let another = login.issuer.is_some() && named.is_some_and(|named| login.users().tenant_of(named).is_none());
        if query.is_repeated("iss") || another || (named.is_none() && provider.names_itself) {
            return Ok(self.failed(&purpose, LoginFailure::Provider, "the answer is from another issuer"));
        }
        let code = match said {
            Ok(code) => code,
            Err(error) => {
                let failure = match error {
                    "access_denied" => LoginFailure::Denied,
                    "unmet_authentication_requirements" => LoginFailure::Unmet,
                    _ => LoginFailure::Provider,
                };
                return Ok(self.failed(&purpose, failure, &format!("the provider says {}", word(error))));
            }
        };
        let secrets = LoginSecrets::of(state, browser);
        let ours = match at.ours(&provider).await {
            Ok(ours) => ours,
            Err(error) => return Ok(self.failed(&purpose, LoginFailure::Unavailable, &error.to_string())),
        };
        match at.identified(&provider, &ours, (code, &secrets.verifier, &secrets.nonce)).await {
            Ok((identity, signed_in, tokens)) => {
                let begun = expires.saturating_sub(LOGIN_SECONDS);
                self.logged_in(purpose, login, LoggedIn { identity, signed_in, tokens, begun }).await
            }
            Err(error) => Ok(self.failed(&purpose, LoginFailure::of(&error), &error.to_string())),
        }
    }

    /// Ends a login that gave no user: the client that waits for it gets the error, else the user does.
    fn failed(&self, purpose: &Purpose, failure: LoginFailure, why: &str) -> Reply {
        match purpose {
            Purpose::Approved(request) if request.device.is_some() => {
                Reply::refusal(Refusal::LoginFailed(failure, why.to_owned()))
            }
            Purpose::Approved(request) | Purpose::Remembered(request, _) => {
                let members = [("error", failure.code().as_str()), ("error_description", failure.description())];
                let url = request.destination().answer(&self.server.own.identifier, &members);
                Reply::redirect(&url, failure.code().as_str()).refused(why)
            }
            Purpose::Grants | Purpose::Connect(_) | Purpose::Connecting(_) | Purpose::Approve(..) => {
                Reply::refusal(Refusal::LoginFailed(failure, why.to_owned()))
            }
        }
    }

    /// Refuses a user who may not use this server.
    fn not_admitted(&self, purpose: &Purpose, why: &str) -> Reply {
        match purpose {
            Purpose::Approved(_) | Purpose::Remembered(..) => self.failed(purpose, LoginFailure::Denied, why),
            Purpose::Grants | Purpose::Connect(_) | Purpose::Connecting(_) | Purpose::Approve(..) => {
                Reply::refusal(Refusal::NotAdmitted).refused(why)
            }
        }
    }

    async fn logged_in(&self, purpose: Purpose, at: &Login, login: LoggedIn) -> Result<Reply, Failure> {
        let LoggedIn { identity, signed_in, tokens, begun } = login;
        let identity = match self.admitted(at, identity).await? {
            Ok(identity) => identity,
            Err(why) => return Ok(self.not_admitted(&purpose, why)),
        };
        let login = LoggedIn { identity, signed_in, tokens, begun };
        let identity = &login.identity;
        let until = self.now() + SIGN_IN_SECONDS;
        // A remembered client may lead to the consent page, for which the user is signed in.
        let is_page = !matches!(purpose, Purpose::Approved(_));
        if is_page && !self.may_begin(identity, (login.begun, until), None).await? {
            return Ok(self.not_admitted(&purpose, "the provider ended the access"));
        }
        match purpose {
            Purpose::Grants => self.signed_in(identity, &self.server.url("/grants")).await,
            Purpose::Connect(link) => self.signed_in(identity, &connect_link::url(self.server, &link)).await,
            Purpose::Approve(call, begun) => self.approver_signed_in(identity, (call.as_deref(), begun)).await,
            // Another authorization server answers at another redirect URI.
            Purpose::Connecting(_) => Ok(Reply::refusal(Refusal::AnswerUnreadable)),
            Purpose::Remembered(request, subject) => {
                // Another user may have logged in, or the user may have revoked the approval meanwhile: ask again.
                let known = self.ask::<UserRecord>(&person(self.server, &identity.subject), UserQuestion::Read).await?;
                if !self.is_still_admitted(identity).await? {
                    return Ok(self.failed(&Purpose::Approved(request), LoginFailure::Denied, CHANGED));
                }
                let approved = request.new_scopes(&known.approvals, self.now()) == NewScopes::None;
                if subject == identity.subject && approved {
                    return self.granted(request, login).await;
                }
                let session = self.session_cookie(&identity.subject, known.epoch);
                Ok(Reply::redirect(&self.again(&request), "asked_again").field("set-cookie", session))
            }
            Purpose::Approved(request) => self.granted(request, login).await,
        }
    }

    /// Signs the user in to this server's pages, and sends the browser to one of them.
    async fn signed_in(&self, identity: &Identity, url: &str) -> Result<Reply, Failure> {
        let known = self.ask::<UserRecord>(&person(self.server, &identity.subject), UserQuestion::Read).await?;
        if !self.is_still_admitted(identity).await? {
            return Ok(Reply::refusal(Refusal::NotAdmitted).refused(CHANGED));
        }
        let session = self.session_cookie(&identity.subject, known.epoch);
        Ok(Reply::redirect(url, "signed_in").field("set-cookie", session))
    }

    fn session_cookie(&self, subject: &str, epoch: u64) -> String {
        let provider = self.server.login_of(subject).recorded_provider().map(str::to_owned);
        let session = Session { subject: subject.to_owned(), provider, epoch, until: self.now() + SIGN_IN_SECONDS };
        let sealed = self.server.seals.seal(&session, "session", &self.server.own.identifier, &self.nonce());
        self.set_cookie(Cookie::Session, &sealed, Some(SIGN_IN_SECONDS))
    }

    /// The claims of a user that tokens contain.
    ///
    /// # Errors
    /// [`LoginError`] if they are too large.
    pub(super) fn claims_of_user(&self, login: &Login, identity: &Identity) -> Result<Map<String, Value>, LoginError> {
        identity.token_claims(&self.server.claims_of(&login.prefix, &login.token_claims), &login.groups_claim)
    }

    /// Those of some scopes that the user may have.
    pub(super) fn entitled(&self, identity: &Identity, scopes: &ScopeSet) -> ScopeSet {
        let may = |scope: &&Scope| identity.is_entitled(scope, &self.server.entitlements, &self.settings.scopes);
        scopes.iter().filter(may).cloned().collect()
    }

    /// Why no client and no device waits for a grant any more.
    async fn nothing_waits(&self, request: &AuthorizationRequest) -> Result<Option<Refusal>, Failure> {
        // The client may have ended, or left its redirect URI, while its user was away.
        let there = match self.client(&request.client_id, false).await? {
            Ok(client) if request.device.is_some() => client.metadata.may(GrantType::DeviceCode),
            Ok(client) => client.metadata.has_redirect(&request.redirect_uri),
            Err(_) => false,
        };
        if !there {
            return Ok(Some(Refusal::ClientGone));
        }
        // A grant that nothing waits for must not displace others.
        if let Some(user_code) = &request.device
            && !self.device_waits(user_code).await?
        {
            return Ok(Some(Refusal::DeviceGone));
        }
        Ok(None)
    }

    /// Makes the grant, and gives the client its code. The grant is in the user's list before the client has the code, so that
    /// the user can see and revoke every grant that is in use.
    async fn granted(
        &self,
        request: AuthorizationRequest,
        LoggedIn { identity, signed_in, tokens, begun }: LoggedIn,
    ) -> Result<Reply, Failure> {
        if let Some(refusal) = self.nothing_waits(&request).await? {
            return Ok(Reply::refusal(refusal));
        }
        let login = self.server.login_of(&identity.subject);
        if !login.serves(&request.client_id, &request.resource) {
            let purpose = Purpose::Approved(request);
            return Ok(self.failed(&purpose, LoginFailure::Denied, "the login is not for this client and resource"));
        }
        let signed_in = login.shown(signed_in);
        let claims = match self.claims_of_user(login, &identity) {
            Ok(claims) => claims,
            Err(error) => {
                let purpose = Purpose::Approved(request);
                return Ok(self.failed(&purpose, LoginFailure::Provider, &error.to_string()));
            }
        };
        if let Some(why) = signed_in.lacks(&request.sign_in, begun) {
            return Ok(self.failed(&Purpose::Approved(request), LoginFailure::Unmet, why));
        }
        let asked = ScopeSet::of_text(&request.scope);
        let scope = self.entitled(&identity, &asked);
        if scope.is_empty() && !asked.is_empty() {
            let purpose = Purpose::Approved(request);
            return Ok(self.failed(&purpose, LoginFailure::Denied, "the user is entitled to none of the scopes"));
        }
        let now = self.now();
        let id = GrantId(self.random());
        let code = Handle::make(HandleKind::Code, &id, &self.random(), &self.server.seals);
        let terms = Terms {
            subject: identity.subject.clone(),
            client_id: request.client_id.clone(),
            scope: scope.to_string(),
            resource: request.resource.clone(),
            claims: signed_in.with(claims),
            authenticated: now,
            provider: login.recorded_provider().map(str::to_owned),
        };
        // A device asks for its code, and does not get it at once.
        let code_seconds = if request.device.is_some() { DEVICE_SECONDS } else { CODE_SECONDS };
        let waiting = Code {
            hash: code.hash(),
            redirect_uri: request.redirect_uri.clone(),
            challenge: request.challenge.clone(),
            key: request.key.clone(),
            until: now + code_seconds,
        };
        // Without refresh tokens nothing is left of it after its only access token.
        let seconds =
            if request.refreshes { self.server.grant_seconds } else { code_seconds + self.server.access_token_seconds };
        let until = now + seconds;
        let listed = Listed {
            client_id: request.client_id.clone(),
            client_name: request.client_name.clone(),
            scope: terms.scope.clone(),
            resource: terms.resource.clone(),
            created: now,
            until,
        };
        let approval = Approval {
            redirect_uri: request.redirect_uri.clone(),
            resource: request.resource.clone(),
            scopes: asked.iter().map(|scope| scope.as_str().to_owned()).collect(),
            until: now + self.server.grant_seconds,
        };
        let kept = login.keeps(tokens.refresh_token.is_some()).then(|| self.seal_tokens(&code, &tokens));
        if kept.is_none() && request.refreshes && login.recheck.is_some_and(|recheck| recheck.is_required) {
            let detail = "the provider gave no refresh token: the grant ends after login.recheck_minutes";
            self.say("warn", "recheck_impossible", detail);
        }
        let grant = Grant::new(terms, waiting, kept, until);
        let name = id.to_string();
        if self.ask::<Grant>(&name, GrantQuestion::Begin(Box::new(grant))).await? != GrantAnswer::Done {
            return Err(Failure::Records);
        }
        let list = UserQuestion::Granted(name.clone(), Box::new(listed), Box::new(approval));
        let known = match self.ask::<UserRecord>(&person(self.server, &identity.subject), list).await {
            Ok(known) => known,
            Err(failure) => {
                let _ended = self.ask::<Grant>(&name, GrantQuestion::End("not_listed".to_owned())).await;
                return Err(failure);
            }
        };
        self.end_all(&identity.subject, &known.ended, "too_many_grants").await?;
        if !self.is_still_admitted(&identity).await? {
            self.end_all(&identity.subject, &[name], &format!("ended_by_provider: {CHANGED}")).await?;
            return Ok(self.failed(&Purpose::Approved(request), LoginFailure::Denied, CHANGED));
        }
        if !self.may_begin(&identity, (begun, until), Some(&name)).await? {
            self.end_all(&identity.subject, &[name], "ended_by_provider: a signal").await?;
            let purpose = Purpose::Approved(request);
            return Ok(self.failed(&purpose, LoginFailure::Denied, "the provider ended the user's access"));
        }
        let session = self.session_cookie(&identity.subject, known.epoch);
        self.say("info", "granted", &format!("grant {name} for client {:?}", request.client_id));
        self.handed_out(&request, &code, (&identity.subject, name), session).await
    }

    /// Gives the client its code: at its redirect URI, or through the record of the device that waits.
    async fn handed_out(
        &self,
        request: &AuthorizationRequest,
        code: &Handle,
        (subject, grant): (&str, String),
        session: String,
    ) -> Result<Reply, Failure> {
        let Some(user_code) = &request.device else {
            let url = request.destination().answer(&self.server.own.identifier, &[("code", code.expose())]);
            return Ok(Reply::redirect(&url, "code_issued").field("set-cookie", session));
        };
        if !self.device_approved(user_code, code).await? {
            self.end_all(subject, &[grant], "the device does not wait any more").await?;
            return Ok(Reply::refusal(Refusal::DeviceGone));
        }
        Ok(Reply::page(200, page::device_done(), "device_approved").field("set-cookie", session))
    }
}
