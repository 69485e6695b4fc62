//! Users connect an account at the authorization server of an origin server. The browser first proves that it is the subject of the
//! link, by a login at the identity provider; only then the gateway sends it to the other authorization server. Otherwise an attacker
//! could have a victim's account connected to the attacker's own requests, or the other way around (P2, P7).

use super::authorize::{LoginSecrets, callback_parameters, person};
use super::vault::Vault;
use super::{Context, Cookie, Failure, Reply, ServerContext};
use crate::authorization_server::connect_link::ConnectLink;
use crate::authorization_server::login::word;
use crate::authorization_server::refusal::{OwnForm, Refusal};
use crate::authorization_server::state::Hash;
use crate::authorization_server::state::login::{Connecting, Login, LoginQuestion, Purpose};
use crate::authorization_server::state::once::Once;
use crate::authorization_server::state::subject::{UserQuestion, UserRecord};
use crate::authorization_server::third_party::{self, ThirdParty};
use crate::authorization_server::{connect_page, page};
use crate::limits::{LOGIN_SECONDS, SCOPE_BYTES};
use crate::oauth::scope::ScopeSet;
use crate::origin_credential::failure::ObtainError;
use crate::origin_credential::{OriginCredential, PerUser};
use crate::policy::counters::AddressLimit;
use crate::ports::Ports;
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::transport::head::Method;
use crate::transport::url::HttpUrl;

impl<P: Ports> ServerContext<'_, P> {
    pub(super) fn connections(&self) -> Vault<'_, P> {
        Vault { server: self.server, memory: self.memory, settings: self.settings, ports: self.ports }
    }

    /// The resource of a link, whose users connect accounts.
    pub(super) fn connectable(&self, identifier: &str) -> Option<(&Resource, &PerUser)> {
        self.connectables().find(|(resource, _)| resource.identifier == identifier)
    }

    /// All resources whose users connect accounts.
    pub(super) fn connectables(&self) -> impl Iterator<Item = (&Resource, &PerUser)> {
        connectables(self.settings)
    }
}

impl<P: Ports> Context<'_, P> {
    /// The page that connects an account, and the form on it.
    pub(super) async fn connect(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        if self.request.admitted().head().method == Method::Post {
            return self.begin_connection(body).await;
        }
        let query = self.query();
        let sealed = query.as_ref().and_then(|query| query.get("link")).unwrap_or_default();
        let Some(link) = ConnectLink::open(sealed, self.server, self.now()) else {
            return Ok(Reply::refusal(Refusal::LinkStale));
        };
        let Some((resource, per_user)) = self.connectable(&link.resource) else {
            return Ok(Reply::refusal(Refusal::LinkStale));
        };
        let Some((session, _)) = self.session().await? else {
            return self.sign_in(Purpose::Connect(sealed.to_owned()), Some(&link.subject)).await;
        };
        if session.subject != link.subject {
            return Ok(Reply::refusal(Refusal::OtherUsersLink));
        }
        let third_party = match self.connections().third_party(resource, per_user).await {
            Ok(third_party) => third_party,
            Err(error) => return Ok(Reply::refusal(Refusal::ConnectionFailed(error))),
        };
        let granted = self.scopes_before(&link).await?;
        let scope = requested(per_user, &third_party, &link, &granted);
        let hosts = (&*host(&third_party.issuer), &*host(&third_party.authorization));
        let about = (session.subject.as_str(), hosts, scope.as_str());
        Ok(Reply::page(200, connect_page::question(self.server, resource, about, sealed), "connect_asked"))
    }

    /// The scopes that the user of a link has granted before.
    async fn scopes_before(&self, link: &ConnectLink) -> Result<String, Failure> {
        let connection = self.connections().connection(&link.subject, &link.resource).await;
        let connection = connection.map_err(|error| self.records_failed(&error))?;
        Ok(connection.map(|connection| connection.scope).unwrap_or_default())
    }

    async fn begin_connection(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        if !self.request.is_from(&self.settings.public_url.web_origin()) {
            return Ok(Reply::refusal(Refusal::ForeignForm(OwnForm::Connect)));
        }
        let Some(form) = self.form(body).await? else {
            return Ok(Reply::refusal(Refusal::FormUnreadable(OwnForm::Connect)));
        };
        match form.get("decision") {
            Some("connect") => {}
            Some("cancel") => {
                let page = page::problem("Not connected", "Nothing was connected. You can close this page.", None);
                return Ok(Reply::page(200, page, "connect_cancelled"));
            }
            _ => return Ok(Reply::refusal(Refusal::DecisionMissing)),
        }
        let sealed = form.get("link").unwrap_or_default();
        let link = ConnectLink::open(sealed, self.server, self.now());
        let session = self.session().await?.map(|(session, _)| session.subject);
        let own = link.filter(|link| session.as_ref() == Some(&link.subject));
        let found = own.and_then(|link| self.connectable(&link.resource).map(|found| (link, found)));
        let Some((link, (resource, per_user))) = found else {
            return Ok(Reply::refusal(Refusal::LinkStale));
        };
        if !self.is_within(AddressLimit::Login) {
            return Ok(Reply::refusal(Refusal::TooManyLogins));
        }
        let vault = self.connections();
        let prepared = async {
            let third_party = vault.third_party(resource, per_user).await?;
            let client = vault.client(resource, &third_party, per_user).await?;
            Ok::<_, ObtainError>((third_party, client))
        };
        let (third_party, client) = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => return Ok(Reply::refusal(Refusal::ConnectionFailed(error))),
        };
        // The last step that can fail has passed: only now the link is used up.
        if !self.ask::<Once>(Hash::of(&format!("connect {}", link.id)).as_str(), link.until).await? {
            return Ok(Reply::refusal(Refusal::LinkStale));
        }
        let known = self.cookie(Cookie::Login).filter(|value| value.len() == 43).map(str::to_owned);
        let browser = known.unwrap_or_else(|| self.name());
        let state = self.name();
        let granted = self.scopes_before(&link).await?;
        let scope = requested(per_user, &third_party, &link, &granted);
        let connecting = Connecting {
            id: vault.id(&link.subject, &link.resource),
            subject: link.subject,
            resource: link.resource,
            issuer: third_party.issuer.clone(),
            token_endpoint: third_party.token.clone(),
            names_itself: third_party.names_itself,
            client: vault.sealed_client(&client, &third_party.issuer),
            scope: scope.clone(),
            begun: self.now(),
        };
        let purpose = Purpose::Connecting(Box::new(connecting));
        let login = Login { purpose, name: None, browser: Hash::of(&browser), until: self.now() + LOGIN_SECONDS };
        self.ask::<Login>(Hash::of(&state).as_str(), LoginQuestion::Begin(Box::new(login))).await?;
        let secrets = LoginSecrets::of(&state, &browser);
        let redirect_uri = third_party::redirect_uri(&self.server.own, resource);
        let asking = (client.id.as_str(), redirect_uri.as_str(), scope.as_str());
        let url = third_party::authorization_url(&third_party, per_user, asking, (&state, &secrets.challenge));
        let reply = Reply::page(200, page::leave(&url, &host(&third_party.authorization)), "connect_begun");
        Ok(reply.field("set-cookie", self.set_cookie(Cookie::Login, &browser, Some(LOGIN_SECONDS))))
    }

    /// Users come back from the other authorization server: good once, in the browser that began the connection, at the redirect URI of
    /// the resource and from the server that was asked (RFC 9207).
    pub(super) async fn connected(&self, path: &str) -> Result<Reply, Failure> {
        let query = self.query();
        let parameters = query.as_ref().and_then(callback_parameters);
        let (Some(query), Some((state, said))) = (&query, parameters) else {
            return Ok(Reply::refusal(Refusal::AnswerUnreadable));
        };
        let Some(browser) = self.cookie(Cookie::Login) else {
            return Ok(Reply::refusal(Refusal::LoginStale("no cookie")));
        };
        let take = LoginQuestion::Consume(Hash::of(browser), None);
        let purpose = self.ask::<Login>(Hash::of(state).as_str(), take).await?;
        let Some((Purpose::Connecting(connecting), _)) = purpose else {
            return Ok(Reply::refusal(Refusal::LoginStale("no such connection of this browser")));
        };
        let Some((resource, per_user)) = self.connectable(&connecting.resource) else {
            return Ok(Reply::refusal(Refusal::LinkStale));
        };
        let vault = self.connections();
        let third_party = match vault.third_party(resource, per_user).await {
            Ok(third_party) => third_party,
            Err(error) => return Ok(Reply::refusal(Refusal::ConnectionFailed(error))),
        };
        let named = query.get("iss");
        let another = resource.path.as_str() != path
            || named.is_some_and(|named| named != connecting.issuer)
            || third_party.issuer != connecting.issuer
            || third_party.token != connecting.token_endpoint
            || named.is_none() && (third_party.names_itself || connecting.names_itself);
        if another || query.is_repeated("iss") {
            return Ok(Reply::refusal(Refusal::AnswerOfAnother));
        }
        let code = match said {
            Ok(code) => code,
            Err(error) => return Ok(Reply::refusal(Refusal::ConnectionDenied(word(error)))),
        };
        let listed = UserQuestion::Connected(connecting.resource.clone());
        self.ask::<UserRecord>(&person(self.server, &connecting.subject), listed).await?;
        let secrets = LoginSecrets::of(state, browser);
        match self.redeem_connection((resource, per_user), &third_party, &connecting, (code, &secrets.verifier)).await {
            Ok(()) => {
                self.say("info", "connected", &format!("resource {:?}", resource.path.as_str()));
                let page = connect_page::connected(self.server, resource, &host(&third_party.issuer));
                Ok(Reply::page(200, page, "connected"))
            }
            Err(error) => Ok(Reply::refusal(Refusal::ConnectionFailed(error))),
        }
    }

    async fn redeem_connection(
        &self,
        (resource, per_user): (&Resource, &PerUser),
        third_party: &ThirdParty,
        connecting: &Connecting,
        (code, verifier): (&str, &str),
    ) -> Result<(), ObtainError> {
        let vault = self.connections();
        let client = vault.client_from(&connecting.client, &third_party.issuer, per_user);
        let client = client.ok_or(ObtainError::NotConnected)?;
        let assertion = vault.assertion(&client, third_party).await?;
        let redirect_uri = third_party::redirect_uri(&self.server.own, resource);
        let at = (client.id.as_str(), &client.authentication);
        let about = (code, redirect_uri.as_str(), verifier);
        let request = third_party::code_request(third_party, per_user, at, about, assertion.as_deref());
        let issued = vault.issued(&request, code).await;
        if issued.as_ref().is_err_and(ObtainError::refuses_client) {
            vault.forget_registration(resource, &third_party.issuer, &client.id).await?;
        }
        vault.keep((resource, per_user), connecting, &client, &issued?).await
    }
}

/// All resources whose users connect accounts.
pub(super) fn connectables(settings: &Settings) -> impl Iterator<Item = (&Resource, &PerUser)> {
    settings.resources.iter().filter_map(|resource| match resource.credential.as_deref()? {
        OriginCredential::PerUser(per_user) => Some((&**resource, per_user)),
        _ => None,
    })
}

/// The scopes to request: those of the configuration, or those that the origin server lists. If the origin server asks for more,
/// these too, and those that the user granted before: the new token replaces the old one.
fn requested(per_user: &PerUser, third_party: &ThirdParty, link: &ConnectLink, granted: &str) -> String {
    let usual = if per_user.scopes.is_empty() { &third_party.scopes } else { &per_user.scopes };
    let more = ScopeSet::of_text(&link.scope);
    let granted = if more.is_empty() { ScopeSet::default() } else { ScopeSet::of_text(granted) };
    let all = usual.iter().chain(granted.iter()).chain(more.iter()).cloned().collect::<ScopeSet>().to_string();
    // Too many for a URL: those that were granted before are then asked for when they are needed again.
    let needed = || usual.iter().chain(more.iter()).cloned().collect::<ScopeSet>().to_string();
    Some(all).filter(|all| all.len() <= SCOPE_BYTES).unwrap_or_else(needed)
}

fn host(url: &str) -> String {
    HttpUrl::parse(url).map(|url| url.authority().to_string()).unwrap_or_default()
}
