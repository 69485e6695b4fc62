//! Reads how users log in at the identity provider of the authorization server.

use crate::authorization_server::login::{
    Admission, DirectoryRules, Login, LoginProfile, PRIMARY, Recheck, Serves, carried_as,
};
use crate::config::authorization_server_document::{
    AuthorizationServerDocument, LoginDocument, LoginProfileName, ScimDocument, ScimMatchName,
};
use crate::config::credentials_document::ClientAuthenticationName;
use crate::config::mistakes::Mistakes;
use crate::config::ranges;
use crate::config::values::{
    Secrets, bounded, is_name, note_metadata_url, protected_url, read_long_secret, read_secret,
};
use crate::directory::links::MatchedBy;
use crate::jwks::signing_key::SigningKey;
use crate::limits::{LOGIN_TITLE_CHARS, OTHER_LOGINS, SCIM_SECRETS};
use crate::oauth::client_authentication::ClientAuthentication;
use crate::policy::sign_in::{ACR, AMR};
use crate::secret::Secret;
use crate::token::profile::TENANT;
use crate::transport::url::HttpUrl;

/// Parameters of the authorization request that the gateway sets itself.
const OWN_PARAMETERS: [&str; 10] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    // These would replace all other parameters (RFC 9101, RFC 9126).
    "request",
    "request_uri",
];

/// Notes users and groups that the provider never names in this form.
pub(super) fn note_people(
    groups: &[String],
    users: &[String],
    profile: LoginProfile,
    document: &LoginDocument,
    at: &str,
    mistakes: &mut Mistakes,
) {
    for user in users {
        let number = user.bytes().all(|b| b.is_ascii_digit());
        if profile == LoginProfile::Github && document.subject_claim.is_none() && !number && !user.contains('@') {
            mistakes
                .note(at, format_args!("must be an email address or the numeric id of a GitHub account, got {user:?}"));
        }
        if profile == LoginProfile::EntraId && user.contains('@') && document.subject_claim.is_none() {
            mistakes.note(
                at,
                format_args!("Entra ID does not verify email addresses: name the object id of the user, got {user:?}"),
            );
        }
    }
    for group in groups {
        if profile == LoginProfile::Github && group.contains('/') {
            mistakes.note(at, format_args!("must be an organization: teams are not supported, got {group:?}"));
        }
    }
    if profile == LoginProfile::Google
        && !groups.is_empty()
        && document.groups_claim.is_none()
        && document.userinfo_endpoint.is_none()
    {
        mistakes.note(at, "Google sends no groups: use allowed_domains or allowed_users");
    }
}

/// Notes keys of a login that can never work.
fn note_void_login(document: &LoginDocument, profile: LoginProfile, issuer: Option<&str>, mistakes: &mut Mistakes) {
    let at = "authorization_server.login";
    note_void_openid(document, profile, issuer, mistakes);
    note_tenants(document.tenants.as_deref().unwrap_or_default(), issuer, mistakes);
    for name in document.parameters.iter().flatten().map(|(name, _)| name.as_str()) {
        if OWN_PARAMETERS.contains(&name) {
            let cure = if name == "scope" { "login.scopes sets it" } else { "the gateway sets it" };
            mistakes.note(format_args!("{at}.parameters.{name}"), format_args!("must be left out: {cure}"));
        }
    }
    if document.parameters.iter().flatten().any(|(name, value)| name == "response_mode" && value != "query") {
        mistakes.note(format_args!("{at}.parameters.response_mode"), "must be query: the answer comes by redirect");
    }
    for (key, value) in [("client_id", &document.client_id), ("subject_claim", &document.subject_claim)] {
        if value.as_ref().is_some_and(String::is_empty) {
            mistakes.note(format_args!("{at}.{key}"), "must not be empty");
        }
    }
    for (index, domain) in document.allowed_domains.iter().flatten().enumerate() {
        let at = format!("{at}.allowed_domains[{index}]");
        let private = ["gmail.com", "googlemail.com"].iter().any(|known| domain.eq_ignore_ascii_case(known));
        if !is_domain(domain) {
            mistakes.note(at, format_args!("must be a domain, as \"acme.example\", got {domain:?}"));
        } else if profile == LoginProfile::Google && private {
            mistakes.note(at, format_args!("{domain:?} is no domain of Google Workspace: use allowed_users"));
        }
    }
    let (groups, users) = (document.allowed_groups.as_deref(), document.allowed_users.as_deref());
    note_people(groups.unwrap_or_default(), users.unwrap_or_default(), profile, document, at, mistakes);
}

/// Notes keys about an OpenID provider that can never work.
fn note_void_openid(document: &LoginDocument, profile: LoginProfile, issuer: Option<&str>, mistakes: &mut Mistakes) {
    let at = "authorization_server.login";
    if let Some(issuer) = issuer {
        note_metadata_url(issuer, &format!("{at}.issuer"), mistakes);
        let path = HttpUrl::parse(issuer).map(|url| url.path().trim_start_matches('/').to_owned()).unwrap_or_default();
        let tenant = path.split('/').next().unwrap_or_default();
        if profile == LoginProfile::EntraId && matches!(tenant, "common" | "organizations" | "consumers") {
            mistakes.note(
                format_args!("{at}.issuer"),
                format_args!(
                    "must have the id of the tenant, or {TENANT} with tenants and metadata_url: no ID token is from \
                     {tenant:?}, got {issuer:?}"
                ),
            );
        }
        if profile == LoginProfile::Google && issuer.ends_with('/') {
            mistakes.note(
                format_args!("{at}.issuer"),
                format_args!("must not end in a slash, because iss of ID tokens does not, got {issuer:?}"),
            );
        }
        if issuer.contains('{') && issuer.matches(TENANT).count() != 1 {
            mistakes.note(
                format_args!("{at}.issuer"),
                format_args!("must have {TENANT} once in place of the tenant, in this spelling, got {issuer:?}"),
            );
        }
        let has_endpoints = document.authorization_endpoint.is_some() && document.token_endpoint.is_some();
        let needs_no_discovery = document.jwks_uri.is_some() && has_endpoints;
        if issuer.contains(TENANT) && document.metadata_url.is_none() && !needs_no_discovery {
            mistakes.note(format_args!("{at}.metadata_url"), format_args!("is required where issuer has {TENANT}"));
        }
        if document.metadata_url.is_some() && needs_no_discovery {
            mistakes.note(
                format_args!("{at}.metadata_url"),
                "has no effect with authorization_endpoint, token_endpoint and jwks_uri: the gateway needs no discovery",
            );
        }
        if document.scopes.as_ref().is_some_and(|scopes| !scopes.iter().any(|scope| scope == "openid")) {
            mistakes.note(format_args!("{at}.scopes"), "must have openid, or the provider sends no ID token");
        }
    } else {
        for (key, is_set) in [
            ("metadata_url", document.metadata_url.is_some()),
            ("jwks_uri", document.jwks_uri.is_some()),
            ("ignore_key_headers", document.ignore_key_headers == Some(true)),
            ("back_channel_logout", document.back_channel_logout == Some(true)),
        ] {
            if is_set {
                mistakes.note(format_args!("{at}.{key}"), "needs issuer: only OpenID providers send ID tokens");
            }
        }
    }
}

/// Notes tenants that are missing, malformed, or without use.
fn note_tenants(tenants: &[String], issuer: Option<&str>, mistakes: &mut Mistakes) {
    let at = "authorization_server.login.tenants";
    match (issuer.is_some_and(|issuer| issuer.contains(TENANT)), tenants.is_empty()) {
        (true, true) => mistakes.note(at, "must name the tenants whose users may log in"),
        (false, false) => mistakes.note(at, format_args!("is only for an issuer that contains {TENANT}")),
        _ => {}
    }
    for (index, tenant) in tenants.iter().enumerate() {
        if tenant.is_empty() || !tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            mistakes.note(format_args!("{at}[{index}]"), format_args!("must be the id of a tenant, got {tenant:?}"));
        }
    }
}

/// Reads all logins: the one of `login`, and the others.
pub(super) fn read_logins(
    document: &AuthorizationServerDocument,
    public_url: &HttpUrl,
    development: bool,
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> (Login, Vec<Login>) {
    let around = (public_url, development);
    let login = read_login(&document.login, around, secrets, mistakes);
    let mut others: Vec<Login> = Vec::new();
    let entries = document.other_logins.as_deref().unwrap_or_default();
    if entries.len() > OTHER_LOGINS {
        let why = format_args!("must have at most {OTHER_LOGINS} entries");
        mistakes.note("authorization_server.other_logins", why);
    }
    let issuers = document.trusted_issuers.iter().flatten().map(|issuer| (&issuer.name, &issuer.issuer));
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("authorization_server.other_logins[{index}]");
        let name = &entry.name;
        if !is_name(name) || [PRIMARY, "v2"].contains(&name.as_str()) {
            let why = "must be 1 to 64 letters, digits, -, _ or ., and not \"login\" or \"v2\"";
            mistakes.note(format_args!("{at}.name"), format_args!("{why}, got {name:?}"));
        }
        let mut own = Mistakes::new();
        let read = read_login(&entry.login, around, secrets, &mut own);
        mistakes.extend_at(own, "authorization_server.login", &format!("{at}.login"));
        if others.iter().any(|other| other.name == *name) {
            mistakes.note(format_args!("{at}.name"), format_args!("{name:?} is the name of another entry too"));
        }
        if issuers.clone().any(|(other, issuer)| other == name && *issuer != read.identity()) {
            let why = format_args!("{name:?} is the name of a trusted issuer that is another provider");
            mistakes.note(format_args!("{at}.name"), why);
        }
        if std::iter::once(&login).chain(&others).any(|other| other.identity() == read.identity()) {
            mistakes.note(format_args!("{at}.login"), "is at the same provider as another login");
        }
        let earlier = std::iter::once(&login).chain(&others).flat_map(|other| &other.serves.email_domains);
        for domain in read.serves.email_domains.iter().filter(|domain| earlier.clone().any(|it| it == *domain)) {
            let why = format_args!("{domain:?} is a domain of another login too");
            mistakes.note(format_args!("{at}.login.email_domains"), why);
        }
        if login.profile == LoginProfile::Auth0 && name == "auth0" {
            mistakes.note(format_args!("{at}.name"), format_args!("{name:?} is what subjects of Auth0 begin with"));
        }
        let mut token_claims = entry.token_claims.clone().unwrap_or_default();
        for (place, claim) in token_claims.iter().enumerate() {
            let carried = carried_as(claim, &read.groups_claim);
            mistakes.keep(format_args!("{at}.token_claims[{place}]"), carried);
        }
        let all = token_claims.len();
        token_claims.retain(|claim| claim != ACR && claim != AMR);
        others.push(Login {
            index: index + 1,
            name: name.clone(),
            prefix: format!("{name}|"),
            says_how: token_claims.len() < all,
            token_claims,
            ..read
        });
    }
    (login, others)
}

/// Reads whom a login is for.
fn read_serves(document: &LoginDocument, public_url: &HttpUrl, mistakes: &mut Mistakes) -> Serves {
    let at = "authorization_server.login";
    let domains: Vec<String> =
        document.email_domains.iter().flatten().map(|domain| domain.to_ascii_lowercase()).collect();
    for (index, domain) in domains.iter().enumerate().filter(|(_, domain)| !is_domain(domain)) {
        let why = format_args!("must be a domain, as \"acme.example\", got {domain:?}");
        mistakes.note(format_args!("{at}.email_domains[{index}]"), why);
    }
    for (key, list) in [("clients", &document.clients), ("resources", &document.resources)] {
        if list.as_ref().is_some_and(|list| list.is_empty() || list.iter().any(String::is_empty)) {
            mistakes
                .note(format_args!("{at}.{key}"), "must not be empty, and have no empty entry: remove the key for all");
        }
    }
    if document.title.as_ref().is_some_and(|title| title.trim().is_empty() || title.chars().count() > LOGIN_TITLE_CHARS)
    {
        let why = format_args!("must have 1 to {LOGIN_TITLE_CHARS} characters");
        mistakes.note(format_args!("{at}.title"), why);
    }
    Serves {
        clients: document.clients.clone().unwrap_or_default(),
        resources: document.resources.iter().flatten().map(|path| format!("{public_url}{path}")).collect(),
        email_domains: domains,
    }
}

fn read_login(
    document: &LoginDocument,
    (public_url, development): (&HttpUrl, bool),
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> Login {
    let at = "authorization_server.login";
    let profile = LoginProfile::from(document.profile.unwrap_or(LoginProfileName::Generic));
    let known = profile.endpoints();
    let url = |key: &str, given: Option<&String>, known: Option<&'static str>, mistakes: &mut Mistakes| {
        let text = given.map(String::as_str).or(known)?;
        protected_url(text, &format!("{at}.{key}"), development, mistakes).map(|_| text.to_owned())
    };
    note_mixed_endpoints(document, profile, mistakes);
    let issuer = url("issuer", document.issuer.as_ref(), known.issuer, mistakes);
    let authorization_endpoint =
        url("authorization_endpoint", document.authorization_endpoint.as_ref(), known.authorization, mistakes);
    let token_endpoint = url("token_endpoint", document.token_endpoint.as_ref(), known.token, mistakes);
    let userinfo_endpoint = url("userinfo_endpoint", document.userinfo_endpoint.as_ref(), known.userinfo, mistakes);
    let metadata_url = url("metadata_url", document.metadata_url.as_ref(), None, mistakes);
    let jwks_uri = url("jwks_uri", document.jwks_uri.as_ref(), None, mistakes);
    let revocation_endpoint = url("revocation_endpoint", document.revocation_endpoint.as_ref(), None, mistakes);
    if issuer.is_none() && document.issuer.is_none() {
        for (key, there) in [
            ("authorization_endpoint", authorization_endpoint.is_some()),
            ("token_endpoint", token_endpoint.is_some()),
            ("userinfo_endpoint", userinfo_endpoint.is_some()),
        ] {
            if !there {
                mistakes.note(format_args!("{at}.{key}"), "is required without issuer");
            }
        }
    }
    note_void_login(document, profile, issuer.as_deref(), mistakes);
    let authentication = read_authentication(document, secrets, mistakes);
    let people = People {
        domains: document.allowed_domains.as_deref().unwrap_or_default(),
        groups: document.allowed_groups.as_deref().unwrap_or_default(),
        users: document.allowed_users.as_deref().unwrap_or_default(),
        anyone: document.anyone.unwrap_or(false),
    };
    let admission = read_admission(people, at, mistakes);
    if profile == LoginProfile::EntraId && !admission.domains.is_empty() {
        mistakes.note(
            format_args!("{at}.allowed_domains"),
            "Entra ID does not verify domains: name the issuer of one tenant, and allow groups or anyone of it",
        );
    }
    let recheck = read_recheck(document, mistakes);
    if document.back_channel_logout == Some(true)
        && document.tenants.as_ref().is_some_and(|tenants| !tenants.is_empty())
    {
        mistakes.note(
            format_args!("{at}.back_channel_logout"),
            "cannot be used with tenants: sessions of two tenants may have one name",
        );
    }
    let subject_claim = document.subject_claim.clone().unwrap_or_else(|| profile.subject_claim().to_owned());
    let directory = document.scim.as_ref().map(|scim| read_directory(scim, &subject_claim, secrets, mistakes));
    let (scopes, parameters) =
        read_scopes_and_parameters(document, profile, recheck.is_some_and(|recheck| recheck.is_required));
    Login {
        index: 0,
        name: String::new(),
        prefix: String::new(),
        title: document.title.clone(),
        serves: read_serves(document, public_url, mistakes),
        profile,
        issuer,
        tenants: document.tenants.clone().unwrap_or_default(),
        metadata_url,
        jwks_uri,
        ignore_key_headers: document.ignore_key_headers.unwrap_or_default(),
        authorization_endpoint,
        token_endpoint,
        userinfo_endpoint,
        revocation_endpoint,
        client: authentication,
        scopes,
        parameters,
        subject_claim,
        groups_claim: document.groups_claim.clone().unwrap_or_else(|| profile.groups_claim().to_owned()),
        token_claims: Vec::new(),
        says_how: true,
        admission,
        back_channel_logout: document.back_channel_logout.unwrap_or(false),
        directory,
        recheck,
    }
}

/// Reads how the provider provisions its users.
fn read_directory(
    document: &ScimDocument,
    subject_claim: &str,
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> DirectoryRules {
    let at = "authorization_server.login.scim";
    if !(1..=SCIM_SECRETS).contains(&document.secrets.len()) {
        mistakes.note(format_args!("{at}.secrets"), format_args!("must name 1 to {SCIM_SECRETS} secrets"));
    }
    let named = document.secrets.iter().enumerate();
    let read: Vec<Secret> = named
        .filter_map(|(index, name)| read_long_secret(name, &format!("{at}.secrets[{index}]"), secrets, mistakes))
        .map(|secret| Secret::new(secret.trim().to_owned()))
        .collect();
    let (matched_by, claim) = match document.matched_by.unwrap_or(ScimMatchName::ExternalId) {
        ScimMatchName::ExternalId => (MatchedBy::ExternalId, subject_claim),
        ScimMatchName::UserName => (MatchedBy::UserName, "preferred_username"),
        ScimMatchName::Email => (MatchedBy::Email, ""),
    };
    if matched_by == MatchedBy::Email && document.claim.is_some() {
        mistakes.note(format_args!("{at}.claim"), "has no effect with match = \"email\": it is the verified address");
    }
    if document.claim.as_ref().is_some_and(String::is_empty) {
        mistakes.note(format_args!("{at}.claim"), "must not be empty");
    }
    if document.binding.is_empty() {
        mistakes.note(format_args!("{at}.binding"), "must be the name of a Durable Object binding");
    }
    DirectoryRules {
        secrets: read,
        binding: document.binding.clone(),
        matched_by,
        claim: document.claim.clone().unwrap_or_else(|| claim.to_owned()),
        is_required: document.required.unwrap_or(true),
        gives_groups: document.groups.unwrap_or(true),
    }
}

/// Which users the keys of a table admit.
pub(super) struct People<'a> {
    pub(super) domains: &'a [String],
    pub(super) groups: &'a [String],
    pub(super) users: &'a [String],
    pub(super) anyone: bool,
}

/// Reads which users are admitted. A table that does not say it is a mistake.
pub(super) fn read_admission(people: People<'_>, at: &str, mistakes: &mut Mistakes) -> Admission {
    let admission = Admission {
        domains: people.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
        groups: people.groups.to_vec(),
        users: people.users.to_vec(),
        anyone: people.anyone,
    };
    let is_limited = !(admission.domains.is_empty() && admission.groups.is_empty() && admission.users.is_empty());
    if admission.anyone == is_limited {
        mistakes.note(
            format_args!("{at}.anyone"),
            if is_limited {
                "excludes allowed_domains, allowed_groups and allowed_users"
            } else {
                "must be true, or allowed_domains, allowed_groups or allowed_users must say who may log in"
            },
        );
    }
    admission
}

/// When the gateway asks the provider again about a user.
fn read_recheck(document: &LoginDocument, mistakes: &mut Mistakes) -> Option<Recheck> {
    let at = "authorization_server.login";
    let mut number = |key: &str, value, range| bounded(value, range, &format!("{at}.{key}"), mistakes);
    let minutes = number("recheck_minutes", document.recheck_minutes, ranges::RECHECK);
    let outage_minutes = number("outage_minutes", document.outage_minutes, ranges::OUTAGE);
    if minutes == 0 && document.outage_minutes.is_some() {
        mistakes.note(format_args!("{at}.outage_minutes"), "has no effect with recheck_minutes = 0");
    }
    let is_required = document.recheck_minutes.is_some();
    let (seconds, outage_seconds) = (minutes * 60, outage_minutes * 60);
    (minutes > 0).then_some(Recheck { seconds, outage_seconds, is_required })
}

/// Scopes and parameters with which providers give a token that the gateway can use later. Those of the configuration stay as
/// they are.
fn read_scopes_and_parameters(
    document: &LoginDocument,
    profile: LoginProfile,
    is_rechecked: bool,
) -> (Vec<String>, Vec<(String, String)>) {
    let mut parameters: Vec<(String, String)> =
        document.parameters.iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect();
    let known = || profile.scopes().iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
    let Some(scopes) = document.scopes.clone() else {
        let mut scopes = known();
        if is_rechecked {
            scopes.extend(profile.offline_scope().map(str::to_owned));
            for (name, value) in profile.offline_parameters() {
                if !parameters.iter().any(|(set, _)| set == name) {
                    parameters.push(((*name).to_owned(), (*value).to_owned()));
                }
            }
        }
        return (scopes, parameters);
    };
    (scopes, parameters)
}

/// Notes known endpoints that are replaced only in part. The gateway must not send a token that one server issued to
/// another server.
fn note_mixed_endpoints(document: &LoginDocument, profile: LoginProfile, mistakes: &mut Mistakes) {
    let at = "authorization_server.login";
    let known = profile.endpoints();
    let endpoints = [
        ("authorization_endpoint", &document.authorization_endpoint, known.authorization),
        ("token_endpoint", &document.token_endpoint, known.token),
        ("userinfo_endpoint", &document.userinfo_endpoint, known.userinfo),
    ];
    if let Some((named, ..)) = endpoints.iter().find(|(_, given, known)| given.is_some() && known.is_some()) {
        for (key, ..) in endpoints.iter().filter(|(_, given, known)| given.is_none() && known.is_some()) {
            mistakes.note(
                format_args!("{at}.{key}"),
                format_args!(
                    "is required with {named}: name all endpoints of one server, because its tokens must not go to another"
                ),
            );
        }
    }
    if let (Some(end), Some(url)) = (profile.userinfo_ends(), &document.userinfo_endpoint)
        && !url.ends_with(end)
    {
        mistakes.note(
            format_args!("{at}.userinfo_endpoint"),
            format_args!(
                "must end in {end}, as \"https://github.acme.example/api/v3/user\": the gateway calls other paths below it, got {url:?}"
            ),
        );
    }
    if profile == LoginProfile::Github && document.issuer.is_some() {
        mistakes.note(
            format_args!("{at}.issuer"),
            "must be left out with github, which is not an OpenID provider: for a GitHub Enterprise Server name its \
             authorization_endpoint, token_endpoint and userinfo_endpoint",
        );
    }
}

/// Reads the credentials of this gateway at the provider; `None` if the gateway is to register itself, or if there is a
/// mistake.
fn read_authentication(
    document: &LoginDocument,
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> Option<(String, ClientAuthentication)> {
    let at = "authorization_server.login";
    let Some(client_id) = &document.client_id else {
        if document.secret.is_some() {
            mistakes.note(format_args!("{at}.client_id"), "is required with secret");
        }
        if document.issuer.is_none() {
            mistakes
                .note(format_args!("{at}.client_id"), "is required without issuer: the gateway cannot register itself");
        }
        return None;
    };
    let at = format!("{at}.secret");
    let Some(name) = &document.secret else {
        mistakes.note(&at, "is required with client_id");
        return None;
    };
    let text = read_secret(name, &at, secrets, mistakes)?;
    let secret = || Secret::new(text.trim().to_owned());
    let authentication = match document.authentication.unwrap_or(ClientAuthenticationName::ClientSecretBasic) {
        ClientAuthenticationName::ClientSecretBasic => ClientAuthentication::SecretBasic(secret()),
        ClientAuthenticationName::ClientSecretPost => ClientAuthentication::SecretPost(secret()),
        ClientAuthenticationName::PrivateKeyJwt => {
            ClientAuthentication::PrivateKeyJwt(Box::new(mistakes.keep(&at, SigningKey::parse(&text))?))
        }
    };
    Some((client_id.clone(), authentication))
}

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

pub(super) fn is_domain(text: &str) -> bool {
    !text.starts_with('.')
        && !text.ends_with('.')
        && !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}
