//! Logins at the identity provider: what is asked there, what its answers must be, and who may come in.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

#[cfg(feature = "authorization-server")]
use crate::config::LoginProfileName;
use crate::config::{ClientAuthentication, TokenType};
use crate::jwks::key::JwsAlgorithm;
use crate::jwks::key_set::KeySet;
use crate::limits::TOKEN_CLAIMS_BYTES;
use crate::oauth::client_credentials;
use crate::oauth::form::Form;
use crate::oauth::scope::{Scope, ScopeSet};
use crate::ports::{ProviderDocument, ProviderRequest};
use crate::strict_json;
use crate::time::UnixMillis;
use crate::token::claims::{claim, texts};
use crate::token::untrusted::UntrustedToken;
use crate::token::verifier::{GoodSignature, SignatureCheck};
use crate::transport::url::HttpUrl;

/// An identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginProfile {
    /// None of the others.
    Generic,
    /// Auth0.
    Auth0,
    /// Microsoft Entra ID.
    EntraId,
    /// GitHub.
    Github,
    /// Google.
    Google,
    /// Keycloak.
    Keycloak,
    /// Okta.
    Okta,
}

#[cfg(feature = "authorization-server")]
impl From<LoginProfileName> for LoginProfile {
    fn from(name: LoginProfileName) -> Self {
        match name {
            LoginProfileName::Generic => Self::Generic,
            LoginProfileName::Auth0 => Self::Auth0,
            LoginProfileName::EntraId => Self::EntraId,
            LoginProfileName::Github => Self::Github,
            LoginProfileName::Google => Self::Google,
            LoginProfileName::Keycloak => Self::Keycloak,
            LoginProfileName::Okta => Self::Okta,
        }
    }
}

/// What is known of a provider without configuration.
#[derive(Debug, Default)]
pub struct KnownEndpoints {
    /// `issuer`
    pub issuer: Option<&'static str>,
    /// `authorization_endpoint`
    pub authorization: Option<&'static str>,
    /// `token_endpoint`
    pub token: Option<&'static str>,
    /// `userinfo_endpoint`
    pub userinfo: Option<&'static str>,
}

impl LoginProfile {
    /// What is known of it.
    #[must_use]
    pub fn endpoints(self) -> KnownEndpoints {
        match self {
            Self::Google => KnownEndpoints { issuer: Some("https://accounts.google.com"), ..KnownEndpoints::default() },
            Self::Github => KnownEndpoints {
                issuer: None,
                authorization: Some("https://github.com/login/oauth/authorize"),
                token: Some("https://github.com/login/oauth/access_token"),
                userinfo: Some("https://api.github.com/user"),
            },
            _ => KnownEndpoints::default(),
        }
    }

    /// Scopes that are asked for.
    #[must_use]
    pub fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Github => &["read:user", "user:email", "read:org"],
            Self::Okta => &["openid", "profile", "email", "groups"],
            _ => &["openid", "profile", "email"],
        }
    }

    /// The claim that is the subject.
    #[must_use]
    pub fn subject_claim(self) -> &'static str {
        match self {
            Self::EntraId => "oid",
            Self::Github => "id",
            _ => "sub",
        }
    }

    /// The claim with groups.
    #[must_use]
    pub fn groups_claim(self) -> &'static str {
        match self {
            Self::Keycloak => "/realm_access/roles",
            _ => "groups",
        }
    }

    /// What else is asked with the user's token: where, and the member of claims that the answer becomes.
    #[must_use]
    pub fn more_about_the_user(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Github => {
                &[("https://api.github.com/user/emails", "emails"), ("https://api.github.com/user/orgs", "orgs")]
            }
            _ => &[],
        }
    }
}

/// How people log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The provider.
    pub profile: LoginProfile,
    /// Its issuer identifier, where it speaks OpenID.
    pub issuer: Option<String>,
    /// Where users are sent, where that is not to be discovered.
    pub authorization_endpoint: Option<String>,
    /// Where codes are redeemed, likewise.
    pub token_endpoint: Option<String>,
    /// Where it says who the user is, likewise.
    pub userinfo_endpoint: Option<String>,
    /// Where its tokens are revoked, likewise.
    pub revocation_endpoint: Option<String>,
    /// This gateway there; nothing where it registers itself.
    pub client: Option<(String, ClientAuthentication)>,
    /// Scopes that are asked for.
    pub scopes: Vec<String>,
    /// More parameters.
    pub parameters: Vec<(String, String)>,
    /// The claim that is the subject.
    pub subject_claim: String,
    /// The claim with groups.
    pub groups_claim: String,
    /// Who may log in.
    pub admission: Admission,
}

/// Who may log in.
#[derive(Debug, Clone)]
pub struct Admission {
    /// People of these domains.
    pub domains: Vec<String>,
    /// Members of these groups.
    pub groups: Vec<String>,
    /// These people.
    pub users: Vec<String>,
    /// Everybody.
    pub anyone: bool,
}

/// Who may be granted some scopes.
#[derive(Debug, Clone)]
pub struct Entitlement {
    /// The scopes.
    pub scopes: ScopeSet,
    /// Groups.
    pub groups: Vec<String>,
    /// People.
    pub users: Vec<String>,
}

/// Where everything is at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Where users are sent.
    pub authorization: String,
    /// Where codes are redeemed.
    pub token: String,
    /// Where it says who the user is.
    pub userinfo: Option<String>,
    /// Its keys.
    pub jwks: Option<String>,
    /// Where its tokens are revoked.
    pub revocation: Option<String>,
    /// Where clients register.
    pub registration: Option<String>,
    /// It names itself in its authorization responses (RFC 9207).
    pub names_itself: bool,
}

impl Login {
    /// Whether everything is known without discovery.
    #[must_use]
    pub fn configured(&self) -> Option<Provider> {
        if self.issuer.is_some() {
            return None;
        }
        Some(Provider {
            authorization: self.authorization_endpoint.clone()?,
            token: self.token_endpoint.clone()?,
            userinfo: self.userinfo_endpoint.clone(),
            jwks: None,
            revocation: self.revocation_endpoint.clone(),
            registration: None,
            names_itself: false,
        })
    }

    /// What a discovery document says, under what configuration says.
    ///
    /// # Errors
    /// A description where the document is not this issuer's, or names an endpoint that is not protected.
    pub fn discovered(&self, document: &[u8], development: bool) -> Result<Provider, String> {
        let members = match strict_json::parse(document) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return Err("the metadata is no object".to_owned()),
            Err(error) => return Err(format!("the metadata is {error}")),
        };
        if members.get("issuer").and_then(Value::as_str) != self.issuer.as_deref() {
            return Err("the metadata is of another issuer".to_owned());
        }
        let url = |member: &str, configured: Option<&String>| match configured {
            Some(configured) => Ok(Some(configured.clone())),
            None => match members.get(member).and_then(Value::as_str) {
                None => Ok(None),
                Some(text) => match HttpUrl::parse(text) {
                    Ok(url) if url.is_protected(development) => Ok(Some(text.to_owned())),
                    Ok(_) => Err(format!("{member} must be https")),
                    Err(error) => Err(format!("{member} {error}")),
                },
            },
        };
        let missing = |member: &str| format!("the metadata has no {member}");
        Ok(Provider {
            authorization: url("authorization_endpoint", self.authorization_endpoint.as_ref())?
                .ok_or_else(|| missing("authorization_endpoint"))?,
            token: url("token_endpoint", self.token_endpoint.as_ref())?.ok_or_else(|| missing("token_endpoint"))?,
            userinfo: url("userinfo_endpoint", self.userinfo_endpoint.as_ref())?,
            jwks: url("jwks_uri", None)?,
            revocation: url("revocation_endpoint", self.revocation_endpoint.as_ref())?,
            registration: url("registration_endpoint", None)?,
            names_itself: members.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        })
    }

    /// The host where people log in, for the consent page.
    #[must_use]
    pub fn host(&self) -> String {
        let url = self.issuer.as_deref().or(self.authorization_endpoint.as_deref()).unwrap_or_default();
        HttpUrl::parse(url).map(|url| url.authority().to_string()).unwrap_or_default()
    }
}

/// What one login asks with.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// This gateway's client id there.
    pub client_id: &'a str,
    /// Where its codes come.
    pub redirect_uri: &'a str,
    /// `state`.
    pub state: &'a str,
    /// `nonce`.
    pub nonce: &'a str,
    /// S256 of the verifier.
    pub challenge: &'a str,
    /// The user is to log in anew.
    pub anew: bool,
}

/// Where the user is sent (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1, RFC 7636 §4.3).
#[must_use]
pub fn authorization_url(login: &Login, provider: &Provider, asking: &Asking<'_>) -> String {
    let mut form = Form::default();
    form.add("response_type", "code");
    form.add("client_id", asking.client_id);
    form.add("redirect_uri", asking.redirect_uri);
    form.add("scope", &login.scopes.join(" "));
    form.add("state", asking.state);
    form.add("code_challenge", asking.challenge);
    form.add("code_challenge_method", "S256");
    if login.issuer.is_some() {
        form.add("nonce", asking.nonce);
    }
    let set_prompt = login.parameters.iter().any(|(name, _)| name == "prompt");
    if asking.anew && login.issuer.is_some() && !set_prompt {
        form.add("prompt", "login");
    }
    for (name, value) in &login.parameters {
        form.add(name, value);
    }
    let join = if provider.authorization.contains('?') { '&' } else { '?' };
    // Spaces as %20: some providers read no `+` in a query.
    format!("{}{join}{}", provider.authorization, form.into_text().replace('+', "%20"))
}

/// The fields that every question to the provider has.
fn fields() -> Vec<(&'static str, String)> {
    vec![("accept", "application/json".to_owned()), ("user-agent", "portcullis".to_owned())]
}

/// The request that redeems a code (RFC 6749 §4.1.3).
#[must_use]
pub fn code_request(
    provider: &Provider,
    (client_id, authentication): (&str, &ClientAuthentication),
    assertion: Option<&str>,
    (code, redirect_uri, verifier): (&str, &str, &str),
) -> ProviderRequest {
    let mut form = Form::default();
    form.add("grant_type", "authorization_code");
    form.add("code", code);
    form.add("redirect_uri", redirect_uri);
    form.add("code_verifier", verifier);
    posted(&provider.token, (client_id, authentication), assertion, form)
}

/// The request that revokes a token of the provider's (RFC 7009 §2.1).
#[must_use]
pub fn revocation_request(
    endpoint: &str,
    (client_id, authentication): (&str, &ClientAuthentication),
    assertion: Option<&str>,
    (token, hint): (&str, &str),
) -> ProviderRequest {
    let mut form = Form::default();
    form.add("token", token);
    form.add("token_type_hint", hint);
    posted(endpoint, (client_id, authentication), assertion, form)
}

fn posted(
    url: &str,
    (client_id, authentication): (&str, &ClientAuthentication),
    assertion: Option<&str>,
    mut form: Form,
) -> ProviderRequest {
    let mut fields = fields();
    fields.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
    client_credentials::authenticate(client_id, authentication, assertion, &mut form, &mut fields);
    ProviderRequest {
        url: url.to_owned(),
        service: None,
        fields,
        body: Some(form.into_text()),
        seconds: crate::limits::PROVIDER_TIMEOUT,
    }
}

/// A question about the user, with the token that the provider gave (OpenID Connect Core §5.3.1).
#[must_use]
pub fn user_request(url: &str, access_token: &str) -> ProviderRequest {
    let mut fields = fields();
    fields.push(("authorization", format!("Bearer {access_token}")));
    ProviderRequest { url: url.to_owned(), service: None, fields, body: None, seconds: crate::limits::PROVIDER_TIMEOUT }
}

/// What the provider gave for a code. Never shown.
#[derive(Clone, Default)]
pub struct ProviderTokens {
    /// `access_token`
    pub access_token: String,
    /// `refresh_token`
    pub refresh_token: Option<String>,
    /// `id_token`
    pub id_token: Option<String>,
}

impl ProviderTokens {
    /// Reads an answer of the token endpoint.
    ///
    /// # Errors
    /// A description, without any token.
    pub fn read(document: &ProviderDocument) -> Result<Self, String> {
        let members = object(&document.body)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        // GitHub answers 200 to what it refuses.
        if let Some(error) = text("error") {
            return Err(format!("the provider refuses the code: {}", word(&error)));
        }
        if document.status != 200 {
            return Err(format!("the provider answers the code with status {}", document.status));
        }
        Ok(Self {
            access_token: text("access_token").ok_or("the provider gave no access token")?,
            refresh_token: text("refresh_token"),
            id_token: text("id_token"),
        })
    }
}

impl std::fmt::Debug for ProviderTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderTokens")
    }
}

/// An error code as it may be shown: letters, digits and `_`, not many.
#[must_use]
pub fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect()
}

/// A JSON object.
///
/// # Errors
/// A description where it is none.
pub fn object(text: &[u8]) -> Result<Map<String, Value>, String> {
    match strict_json::parse(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("the provider's answer is no object".to_owned()),
        Err(error) => Err(format!("the provider's answer is {error}")),
    }
}

/// The algorithms that ID tokens may be signed with.
const ALGORITHMS: [JwsAlgorithm; 9] = JwsAlgorithm::ALL;

/// The signature of an ID token that is to be checked.
///
/// # Errors
/// A description where no key of the provider's fits.
pub fn id_token_check(token: &UntrustedToken, keys: &KeySet) -> Result<Box<SignatureCheck>, String> {
    let algorithm = JwsAlgorithm::parse(token.algorithm())
        .filter(|algorithm| ALGORITHMS.contains(algorithm))
        .ok_or("the ID token has an algorithm that is not taken")?;
    if *token.typ() != TokenType::Absent && *token.typ() != TokenType::Named("jwt".to_owned()) {
        return Err("the ID token is of another type".to_owned());
    }
    let key = keys.select(token.kid(), algorithm).map_err(|error| format!("no key for the ID token: {error:?}"))?;
    SignatureCheck::of(token, key, algorithm).map_err(|_| "the ID token's signature has the wrong size".to_owned())
}

/// What an ID token must hold (OpenID Connect Core §3.1.3.7): it is from this issuer, for this client, of this login, and
/// of now.
///
/// # Errors
/// A description of the first that does not hold.
pub fn id_token_claims(
    token: &UntrustedToken,
    proof: &GoodSignature,
    (issuer, client_id, nonce): (&str, &str, &str),
    now: UnixMillis,
) -> Result<Map<String, Value>, String> {
    let claims = token.claims_with(proof).ok_or("the ID token's signature is wrong")?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(issuer) {
        return Err("the ID token is from another issuer".to_owned());
    }
    let audiences = claims.get("aud").and_then(texts).unwrap_or_default();
    if !audiences.iter().any(|audience| audience == client_id) {
        return Err("the ID token is for another client".to_owned());
    }
    if (audiences.len() > 1 || claims.contains_key("azp")) && text("azp") != Some(client_id) {
        return Err("the ID token was given to another client".to_owned());
    }
    if text("nonce") != Some(nonce) {
        return Err("the ID token is of another login".to_owned());
    }
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
    #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
    let now = now.seconds() as f64;
    if seconds("exp").is_none_or(|exp| exp + LEEWAY <= now) || seconds("iat").is_none_or(|iat| iat > now + LEEWAY) {
        return Err("the ID token is not of now".to_owned());
    }
    Ok(claims.clone())
}

const LEEWAY: f64 = 60.0;

/// Who logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What never becomes another person's.
    pub subject: String,
    /// Their address, where the provider says that it is theirs.
    pub email: Option<String>,
    /// Their groups.
    pub groups: BTreeSet<String>,
    /// Everything that the provider says.
    pub claims: Map<String, Value>,
}

impl Identity {
    /// Reads what a provider says of the user.
    ///
    /// # Errors
    /// A description where there is no subject.
    pub fn read(login: &Login, mut claims: Map<String, Value>) -> Result<Self, String> {
        if login.profile == LoginProfile::Github {
            put_github(&mut claims);
        }
        let subject = match claim(&claims, &login.subject_claim) {
            Some(Value::String(text)) if !text.is_empty() && text.len() <= 255 => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(format!("the provider says no {:?} of the user", login.subject_claim)),
        };
        // Only what is said to be verified is: a false or missing word is none.
        let verified = matches!(claims.get("email_verified"), Some(Value::Bool(true)))
            || claims.get("email_verified").and_then(Value::as_str) == Some("true");
        let email = claims.get("email").and_then(Value::as_str).filter(|_| verified).map(str::to_ascii_lowercase);
        let groups = claim(&claims, &login.groups_claim).and_then(texts).unwrap_or_default().into_iter().collect();
        Ok(Self { subject, email, groups, claims })
    }

    fn is_one_of(&self, users: &[String]) -> bool {
        users.iter().any(|user| {
            *user == self.subject || self.email.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(user))
        })
    }

    /// Whether they may log in.
    #[must_use]
    pub fn is_admitted(&self, login: &Login) -> bool {
        let admission = &login.admission;
        let domain = if login.profile == LoginProfile::Google {
            // The domain of an address proves nothing of an account that is not hosted.
            self.claims.get("hd").and_then(Value::as_str).map(str::to_ascii_lowercase)
        } else {
            self.email.as_ref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain.to_owned())
        };
        admission.anyone
            || domain.is_some_and(|domain| admission.domains.contains(&domain))
            || admission.groups.iter().any(|group| self.groups.contains(group))
            || self.is_one_of(&admission.users)
    }

    /// Whether they may be granted a scope.
    #[must_use]
    pub fn is_entitled(&self, scope: &Scope, entitlements: &[Entitlement]) -> bool {
        let mut about = entitlements.iter().filter(|entry| entry.scopes.iter().any(|named| named == scope)).peekable();
        about.peek().is_none()
            || about.any(|entry| entry.groups.iter().any(|it| self.groups.contains(it)) || self.is_one_of(&entry.users))
    }

    /// The claims that tokens carry.
    ///
    /// # Errors
    /// A description where they are too much: rules may ask for what would be missing, so nothing is left out.
    pub fn token_claims(&self, names: &[String], groups_claim: &str) -> Result<Map<String, Value>, String> {
        let mut told = Map::new();
        let mut bytes = 0;
        for name in names {
            let value = match name.as_str() {
                "groups" => Some(Value::from(self.groups.iter().cloned().collect::<Vec<_>>())),
                "email" => self.email.clone().map(Value::from),
                name if name == groups_claim => None,
                name => claim(&self.claims, name).cloned(),
            };
            let name = name.rsplit('/').next().unwrap_or_default();
            if let Some(value) = value.filter(|_| !RESERVED.contains(&name)) {
                bytes += name.len() + value.to_string().len();
                told.insert(name.to_owned(), value);
            }
        }
        if bytes > TOKEN_CLAIMS_BYTES {
            return Err(format!(
                "token_claims are {bytes} bytes of this user, and a token has room for {TOKEN_CLAIMS_BYTES}"
            ));
        }
        Ok(told)
    }
}

/// Claims of access tokens that are the gateway's own to say.
const RESERVED: [&str; 15] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "scope",
    "scp",
    "azp",
    "auth_time",
    "cnf",
    "act",
    "token_use",
];

/// GitHub says verified addresses and organizations elsewhere.
fn put_github(claims: &mut Map<String, Value>) {
    let primary = claims.get("emails").and_then(Value::as_array).and_then(|emails| {
        let is = |email: &&Value, name: &str| email.get(name) == Some(&Value::Bool(true));
        let found = emails.iter().find(|email| is(email, "primary") && is(email, "verified"))?;
        found.get("email")?.as_str().map(str::to_owned)
    });
    match primary {
        Some(email) => {
            claims.insert("email".to_owned(), Value::from(email));
            claims.insert("email_verified".to_owned(), Value::Bool(true));
        }
        None => {
            claims.remove("email_verified");
        }
    }
    let organizations = claims
        .get("orgs")
        .and_then(Value::as_array)
        .map(|orgs| orgs.iter().filter_map(|org| org.get("login")?.as_str().map(str::to_owned)).collect::<Vec<_>>());
    if let Some(organizations) = organizations {
        claims.insert("groups".to_owned(), Value::from(organizations));
    }
}
