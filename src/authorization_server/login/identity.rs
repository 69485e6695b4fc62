//! The user who logged in: whether the user is admitted, and which claims the user's tokens contain.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::authorization_server::access_token::GATEWAY_CLAIMS;
use crate::authorization_server::login::error::{LoginError, TokenClaimError};
use crate::authorization_server::login::{Admission, Entitlement, LoginProfile};
use crate::limits::TOKEN_CLAIMS_BYTES;
use crate::oauth::scope::{Scope, ScopeHierarchy, ScopeSet};
use crate::token::claim_values::{claim, texts};
use crate::token::issuer::tenant_of;
use crate::token::principal::EMAIL_VERIFIED;

/// A user who logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The subject: the provider never gives it to another person.
    pub subject: String,
    /// The user's email address, if the provider says that it is verified.
    pub email: Option<String>,
    /// The user's groups.
    pub groups: BTreeSet<String>,
    /// All claims of the user that the provider sent.
    pub claims: Map<String, Value>,
}

/// How a provider names its users, and which of them are admitted.
#[derive(Debug, Clone, Copy)]
pub struct UserRules<'a> {
    /// The provider.
    pub profile: LoginProfile,
    /// Its issuer identifier, if it supports OpenID. In that of many tenants, `{tenantid}` stands for the tenant.
    pub issuer: Option<&'a str>,
    /// The tenants whose users are accepted, if the issuer identifier has `{tenantid}`.
    pub tenants: &'a [String],
    /// What subjects of other providers do not begin with; empty for one provider at most.
    pub prefix: &'a str,
    /// The claim that holds the subject.
    pub subject_claim: &'a str,
    /// The claim that holds the groups.
    pub groups_claim: &'a str,
    /// Which users are admitted.
    pub admission: &'a Admission,
}

impl UserRules<'_> {
    /// The tenant that `iss` names, or an inner `None` if the provider has only one; `None` if `iss` is not this
    /// provider's.
    #[must_use]
    pub fn tenant_of<'a>(&self, iss: &'a str) -> Option<Option<&'a str>> {
        let tenant = tenant_of(self.issuer?, iss)?;
        tenant.is_none_or(|tenant| self.tenants.iter().any(|known| known == tenant)).then_some(tenant)
    }
}

impl Identity {
    /// Reads the claims of a provider.
    ///
    /// # Errors
    /// [`LoginError::SubjectMissing`]
    pub fn read(rules: UserRules<'_>, mut claims: Map<String, Value>) -> Result<Self, LoginError> {
        if rules.profile == LoginProfile::Github {
            put_github(&mut claims);
        }
        let subject = match claim(&claims, rules.subject_claim) {
            Some(Value::String(text)) if !text.is_empty() && text.len() <= 255 => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(LoginError::SubjectMissing(rules.subject_claim.to_owned())),
        };
        // A subject identifies a user only within a tenant.
        let tenant = claims.get("iss").and_then(Value::as_str).and_then(|iss| rules.tenant_of(iss)).flatten();
        let subject = tenant.map_or(subject.clone(), |tenant| format!("{tenant}:{subject}"));
        let subject = format!("{}{subject}", rules.prefix);
        // An address is verified only if the provider says so: `email_verified` that is missing or false does not.
        let verified = matches!(claims.get("email_verified"), Some(Value::Bool(true)))
            || claims.get("email_verified").and_then(Value::as_str) == Some("true");
        let email = claims.get("email").and_then(Value::as_str).filter(|_| verified).map(str::to_ascii_lowercase);
        let groups = claim(&claims, rules.groups_claim).and_then(texts).unwrap_or_default().into_iter().collect();
        Ok(Self { subject, email, groups, claims })
    }

    /// The user as entitlements, rules and origin servers may see it: of a provider other than that of the login, groups begin with
    /// the prefix of its subjects, and only an address of a domain that the configuration admits is one. Otherwise such a provider
    /// could give its users what is meant for users of the login.
    #[must_use]
    pub fn apart(self, rules: UserRules<'_>) -> Self {
        if rules.prefix.is_empty() {
            return self;
        }
        let groups = self.groups.iter().map(|group| format!("{}{group}", rules.prefix)).collect();
        let is_admitted = |email: &String| {
            email.rsplit_once('@').is_some_and(|(_, domain)| rules.admission.domains.iter().any(|it| it == domain))
        };
        Self { groups, email: self.email.filter(is_admitted), ..self }
    }

    /// Whether these name the user, without the prefix of its provider.
    fn is_one_of(&self, users: &[String], prefix: &str) -> bool {
        let subject = self.subject.strip_prefix(prefix).unwrap_or(&self.subject);
        users
            .iter()
            .any(|user| user == subject || self.email.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(user)))
    }

    /// Whether the user may log in.
    #[must_use]
    pub fn is_admitted(&self, rules: UserRules<'_>) -> bool {
        let admission = rules.admission;
        let domain = if rules.profile == LoginProfile::Google {
            // The domain of an email address proves nothing about an account that Google does not host for that domain.
            self.claims.get("hd").and_then(Value::as_str).map(str::to_ascii_lowercase)
        } else {
            self.email.as_ref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain.to_owned())
        };
        admission.anyone
            || domain.is_some_and(|domain| admission.domains.contains(&domain))
            || admission.groups.iter().any(|group| self.groups.contains(group))
            || self.is_one_of(&admission.users, rules.prefix)
    }

    /// Whether the user may be granted a scope. The user must be entitled to the scope, and to every scope that it
    /// includes and that an entry names. If an entry names a scope, itself or by a wildcard over it, only users whom
    /// such an entry names are entitled to the scope; otherwise every user is.
    #[must_use]
    pub fn is_entitled(&self, scope: &Scope, entitlements: &[Entitlement], hierarchy: &ScopeHierarchy) -> bool {
        let granted: ScopeSet = std::iter::once(scope.clone()).collect();
        let fits = |entry: &Entitlement| {
            entry.groups.iter().any(|it| self.groups.contains(it)) || self.is_one_of(&entry.users, "")
        };
        let is_theirs = |scope: &Scope| {
            let mut about =
                entitlements.iter().filter(|entry| entry.scopes.iter().any(|it| it.is_over(scope))).peekable();
            about.peek().is_none() || about.any(fits)
        };
        let mut named = entitlements.iter().flat_map(|entry| entry.scopes.iter());
        std::iter::once(scope).chain(hierarchy.implied(scope)).all(is_theirs)
            && named.all(|named| !hierarchy.covers(&granted, named) || is_theirs(named))
    }

    /// The claims that tokens contain.
    ///
    /// # Errors
    /// [`LoginError::TokenClaimsTooLarge`]. The gateway leaves none of them out, because rules may test a claim
    /// that would be missing.
    pub fn token_claims(&self, names: &[String], groups_claim: &str) -> Result<Map<String, Value>, LoginError> {
        let mut claims = Map::new();
        let mut bytes = 0;
        for name in names {
            let value = match name.as_str() {
                "groups" => Some(Value::from(self.groups.iter().cloned().collect::<Vec<_>>())),
                "email" => self.email.clone().map(Value::from),
                name => claim(&self.claims, name).cloned(),
            };
            // Only a verified address is an address of the user, and readers of the token need to know that it is one.
            if name == "email" && value.is_some() {
                claims.insert(EMAIL_VERIFIED.to_owned(), Value::Bool(true));
            }
            if let (Some(value), Ok(name)) = (value, carried_as(name, groups_claim)) {
                bytes += name.len() + value.to_string().len();
                claims.insert(name.to_owned(), value);
            }
        }
        if bytes > TOKEN_CLAIMS_BYTES {
            return Err(LoginError::TokenClaimsTooLarge(bytes));
        }
        Ok(claims)
    }
}

/// The name of an entry of `token_claims` in tokens: the whole entry, or what follows its last `/`.
///
/// # Errors
/// [`TokenClaimError`] if tokens cannot contain it.
pub fn carried_as<'a>(entry: &'a str, groups_claim: &str) -> Result<&'a str, TokenClaimError> {
    if entry == groups_claim && entry != "groups" {
        return Err(TokenClaimError::Groups(entry.to_owned()));
    }
    match entry.rsplit('/').next().unwrap_or_default() {
        "" => Err(TokenClaimError::NoName(entry.to_owned())),
        name if GATEWAY_CLAIMS.iter().any(|(reserved, _)| *reserved == name) => {
            Err(TokenClaimError::Reserved(entry.to_owned()))
        }
        name => Ok(name),
    }
}

/// Adds the verified address and the organizations of a GitHub user, which come from separate endpoints.
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
