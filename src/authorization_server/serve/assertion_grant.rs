//! The grant of an assertion (RFC 7523 §2.1): an ID-JAG of a company's identity provider, or the assertion of a workload.

use serde_json::{Map, Value};

use super::keys::NoKeys;
use super::{Context, Failure, Reply, ServerContext};
use crate::authorization_server::access_token::AccessToken;
use crate::authorization_server::authorize;
use crate::authorization_server::client::{AuthMethod, Client, GrantType};
use crate::authorization_server::login::{Identity, Login, UserRules, carried_as};
use crate::authorization_server::refusal::Refusal;
use crate::authorization_server::state::identifier::IdentifierName;
use crate::authorization_server::state::once::Once;
use crate::authorization_server::state::{Hash, RecordStateMachine as _};
use crate::authorization_server::trusted_issuer::{
    GrantAssertionError, IdJag, TrustedIssuer, check_times_and_audience, is_id_jag, may_be_workload, signature_check,
};
use crate::limits::TOKEN_CLAIMS_BYTES;
use crate::oauth::form::Parameters;
use crate::oauth::scope::ScopeSet;
use crate::policy::counters::AddressLimit;
use crate::ports::Ports;
use crate::settings::resource::Resource;
use crate::token::claim_values::claim;
use crate::token::untrusted::UntrustedToken;

/// Why there are no claims of an assertion.
pub(super) enum NoClaims {
    /// It is not accepted.
    Invalid(GrantAssertionError),
    /// The keys of its issuer cannot be fetched now.
    Unavailable(String),
}

impl From<GrantAssertionError> for NoClaims {
    fn from(error: GrantAssertionError) -> Self {
        Self::Invalid(error)
    }
}

impl From<NoKeys> for NoClaims {
    fn from(error: NoKeys) -> Self {
        match error {
            NoKeys::Unusable(error) => Self::Invalid(GrantAssertionError::Keys(error)),
            NoKeys::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl NoClaims {
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Invalid(error) => Refusal::AssertionInvalid(error),
            Self::Unavailable(why) => Refusal::IssuerUnavailable(why),
        }
    }
}

impl<P: Ports> ServerContext<'_, P> {
    /// The claims of an assertion that a key of its issuer signed, and that issuer; `may_fetch` says whether the sender
    /// may cause a request for keys.
    pub(super) async fn claims_of_issuer(
        &self,
        token: &UntrustedToken,
        accepts: impl Fn(&TrustedIssuer) -> bool,
        may_fetch: impl Fn() -> bool,
    ) -> Result<(&TrustedIssuer, Map<String, Value>), NoClaims> {
        let named = token.claimed_issuer();
        let mut issuers = self.server.trusted_issuers.iter();
        let issuer = issuers.find(|issuer| Some(issuer.identifier.as_str()) == named && accepts(issuer));
        let issuer = issuer.ok_or(GrantAssertionError::UnknownIssuer)?;
        let keys = self.issuer_keys(issuer, token.kid(), may_fetch).await?;
        let check = signature_check(token, &keys)?;
        let good = self.ports.verify(&check).await.map_err(|_| GrantAssertionError::Signature)?;
        let proof = check.answered(good).map_err(|_| GrantAssertionError::Signature)?;
        let claims = token.claims_with(&proof).cloned().ok_or(GrantAssertionError::Signature)?;
        Ok((issuer, claims))
    }
}

impl<P: Ports> Context<'_, P> {
    /// Whether the sender of an assertion may cause a request for keys.
    pub(super) fn may_fetch_keys(&self) -> bool {
        self.is_within(AddressLimit::ClientKeys)
    }

    /// Answers a token request with an assertion. The request is not authenticated yet.
    pub(super) async fn assertion_grant(&self, form: &Parameters) -> Result<Reply, Failure> {
        let Some(text) = form.get("assertion") else {
            return Ok(Reply::refusal(Refusal::ParameterMissing("assertion")));
        };
        let Ok(token) = UntrustedToken::parse(text) else {
            return Ok(Reply::refusal(Refusal::AssertionInvalid(GrantAssertionError::Malformed)));
        };
        if is_id_jag(&token) { self.id_jag(&token, form).await } else { self.workload(&token, form).await }
    }

    /// The login whose users are those of a trusted issuer.
    fn login_of_issuer(&self, issuer: &TrustedIssuer, prefix: &str) -> Option<&Login> {
        self.server.logins().find(|login| login.prefix == prefix && login.identity() == issuer.identifier)
    }

    /// A user whom an assertion names, if the user may use this server. Users of a login are those whom its provider has provisioned.
    async fn user_of_issuer(
        &self,
        identity: Identity,
        login: Option<&Login>,
        rules: UserRules<'_>,
    ) -> Result<Result<Identity, GrantAssertionError>, Failure> {
        if self.server.is_reserved(&identity.subject, rules.prefix) {
            return Ok(Err(GrantAssertionError::NotAdmitted));
        }
        let identity = match login {
            Some(login) => match self.provisioned(login, identity).await? {
                Ok(identity) => identity,
                Err(why) => return Ok(Err(GrantAssertionError::Claims(why.to_owned()))),
            },
            None => identity,
        };
        let groups = self.server.own_groups(identity.groups, rules.prefix);
        let identity = Identity { groups, ..identity };
        Ok(if identity.is_admitted(rules) { Ok(identity) } else { Err(GrantAssertionError::NotAdmitted) })
    }

    /// A company's identity provider says that a user of it may use a client here. Its word stands in for the user's: there is
    /// no consent page, and no refresh token, so that the provider decides again each time.
    async fn id_jag(&self, token: &UntrustedToken, form: &Parameters) -> Result<Reply, Failure> {
        let refused = |error| Ok(Reply::refusal(Refusal::AssertionInvalid(error)));
        let client = match self.authenticated_client(form).await? {
            Ok(client) => client,
            Err(refusal) => return Ok(refusal),
        };
        if !client.metadata.may(GrantType::JwtBearer) || client.metadata.auth_method == AuthMethod::None {
            return Ok(Reply::refusal(Refusal::GrantTypeNotRegistered(GrantType::JwtBearer)));
        }
        let (issuer, claims) =
            match self.claims_of_issuer(token, |issuer| issuer.id_jag.is_some(), || self.may_fetch_keys()).await {
                Ok(found) => found,
                Err(error) => return Ok(Reply::refusal(error.refusal())),
            };
        let Some(rules) = &issuer.id_jag else { return refused(GrantAssertionError::UnknownIssuer) };
        let jag = match IdJag::read(&claims, issuer, self.server, &client, self.now()) {
            Ok(jag) => jag,
            Err(error) => return refused(error),
        };
        let Ok(resource) = authorize::resource(Some(&jag.resource), self.server, self.settings) else {
            return refused(GrantAssertionError::Resource);
        };
        if let Some(asked) = form.get("resource") {
            match authorize::resource(Some(asked), self.server, self.settings) {
                Ok(asked) if asked.identifier == resource.identifier => {}
                Ok(_) => return refused(GrantAssertionError::OtherResource),
                Err(error) => return Ok(Reply::refusal(Refusal::InvalidTarget(error))),
            }
        }
        let Ok(identity) = Identity::read(rules.users(), claims) else {
            return refused(GrantAssertionError::NoSubject);
        };
        let login = self.login_of_issuer(issuer, &rules.prefix);
        if !login.is_none_or(|login| login.serves(&client.id, &resource.identifier)) {
            return refused(GrantAssertionError::NotAdmitted);
        }
        let identity = match self.user_of_issuer(identity, login, rules.users()).await? {
            Ok(identity) => identity,
            Err(error) => return refused(error),
        };
        let email = identity.email.clone();
        let identity = identity.apart(rules.users());
        let names = self.server.claims_of(&rules.prefix, &issuer.token_claims);
        let claims = match identity.token_claims(&names, &rules.groups_claim) {
            Ok(claims) => claims,
            Err(error) => return refused(GrantAssertionError::Claims(error.to_string())),
        };
        let is_login = rules.prefix.is_empty();
        let claims = if is_login { jag.signed_in.with(claims) } else { jag.signed_in.time_alone().with(claims) };
        let may = self.scopes_of(&client, resource, &[form.get("scope"), jag.scope.as_deref()]);
        let entitled = self.entitled(&identity, &may);
        if entitled.is_empty() && (!may.is_empty() || form.get("scope").or(jag.scope.as_deref()).is_some()) {
            return Ok(Reply::refusal(Refusal::ClientHasNoScope));
        }
        let binding = match self.binding(&client, resource).await? {
            Ok(binding) => binding,
            Err(refusal) => return Ok(refusal),
        };
        if jag.key.is_some() && jag.key != binding.key {
            return Ok(Reply::refusal(Refusal::OtherKey));
        }
        // Signals about the user may have come before or come later.
        let until = self.now() + self.server.access_token_seconds;
        let of_login = self.server.login.identity();
        let scope = if rules.prefix.is_empty() { of_login } else { issuer.identifier.as_str() };
        let provider_subject = identity.claims.get("sub").and_then(Value::as_str).unwrap_or(&identity.subject);
        let name = IdentifierName::Subject { scope, subject: provider_subject };
        if self.server.is_signalled() || issuer.signals.is_some() {
            let since = identity.claims.get("iat").and_then(Value::as_u64).unwrap_or_default();
            let email = email.as_deref().map(|email| IdentifierName::Email { scope, email });
            for name in [name].into_iter().chain(email) {
                if !self.seen(name, &identity.subject, None, (since, until)).await? {
                    return refused(GrantAssertionError::NotAdmitted);
                }
            }
        }
        if login.is_some() && !self.is_still_admitted(&identity).await? {
            return refused(GrantAssertionError::NotAdmitted);
        }
        // The last check: whatever fails before it does not use the assertion up.
        let name = Hash::of(&format!("{} id-jag {} {}", Once::KIND, issuer.identifier, jag.id));
        if !self.ask::<Once>(name.as_str(), jag.until).await? {
            return refused(GrantAssertionError::Replayed);
        }
        let scope = entitled.to_string();
        let token = AccessToken {
            subject: &identity.subject,
            client_id: &client.id,
            scope: &scope,
            resource: &resource.identifier,
            claims: &claims,
            bound_to: binding.as_claims(),
            grant: None,
        };
        self.token_answer(&token, None, "token_issued").await
    }

    /// A platform says that the sender is a workload, which the configuration knows as a client.
    async fn workload(&self, token: &UntrustedToken, form: &Parameters) -> Result<Reply, Failure> {
        let (client, claims) = match self.workload_of(token, form.get("client_id")).await {
            Ok(found) => found,
            Err(error) => return Ok(Reply::refusal(error.refusal())),
        };
        let has_credentials = ["client_secret", "client_assertion"].iter().any(|name| form.get(name).is_some());
        if has_credentials || self.request.field("authorization").is_some() {
            match self.authenticated_client(form).await? {
                Ok(other) if other.id == client.id => {}
                Ok(_) => return Ok(Reply::refusal(Refusal::AssertionInvalid(GrantAssertionError::OtherClient))),
                Err(refusal) => return Ok(refusal),
            }
        }
        if !client.metadata.may(GrantType::JwtBearer) {
            return Ok(Reply::refusal(Refusal::GrantTypeNotRegistered(GrantType::JwtBearer)));
        }
        self.client_token(&client, form, &claims).await
    }

    /// The client of the configuration that a workload is, and what tokens say of the workload.
    pub(super) async fn workload_of(
        &self,
        token: &UntrustedToken,
        client_id: Option<&str>,
    ) -> Result<(Client, Map<String, Value>), NoClaims> {
        let is_named = |issuer: &TrustedIssuer| {
            self.server.clients.iter().any(|it| it.workload.as_ref().is_some_and(|of| of.issuer == issuer.name))
        };
        if !may_be_workload(token) {
            return Err(GrantAssertionError::Malformed.into());
        }
        let (issuer, claims) = self.claims_of_issuer(token, is_named, || self.may_fetch_keys()).await?;
        if claims.contains_key("events") {
            return Err(GrantAssertionError::Limited("events").into());
        }
        check_times_and_audience(&claims, issuer, self.server, self.now())?;
        let mut clients = self.server.clients.iter().filter(|it| client_id.is_none_or(|id| id == it.id));
        let client = clients.find(|it| it.workload.as_ref().is_some_and(|workload| workload.is(issuer, &claims)));
        let client = client.ok_or(GrantAssertionError::NoWorkload)?;
        let mut carried = Map::new();
        for entry in &issuer.token_claims {
            if let (Some(value), Ok(name)) = (claim(&claims, entry), carried_as(entry, "")) {
                carried.insert(name.to_owned(), value.clone());
            }
        }
        let bytes = Value::Object(carried.clone()).to_string().len();
        if bytes > TOKEN_CLAIMS_BYTES {
            let why = format!("its claims for tokens have {bytes} bytes, and a token may have {TOKEN_CLAIMS_BYTES}");
            return Err(GrantAssertionError::Claims(why).into());
        }
        Ok((client.clone(), carried))
    }

    /// The scopes that exist for a resource, that a client may have, and that all of these name that are there. If none is
    /// there, those that the resource requires of every caller.
    fn scopes_of(&self, client: &Client, resource: &Resource, named: &[Option<&str>]) -> ScopeSet {
        let known = authorize::known_scopes(self.server, resource);
        let limit = client.metadata.scope.as_deref().map(ScopeSet::of_text);
        let named: Vec<ScopeSet> = named.iter().flatten().map(|text| ScopeSet::of_text(text)).collect();
        let all = if named.is_empty() { &resource.scopes } else { &known };
        let has = |set: &ScopeSet, scope| set.iter().any(|it| it == scope);
        all.iter()
            .filter(|scope| named.iter().all(|set| has(set, *scope)))
            .filter(|scope| limit.as_ref().is_none_or(|limit| has(limit, *scope)))
            .cloned()
            .collect()
    }
}
