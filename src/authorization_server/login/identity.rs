//! Who logged in, whether they may come in, and what their tokens say of them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::authorization_server::login::{Entitlement, Login, LoginProfile};
use crate::limits::TOKEN_CLAIMS_BYTES;
use crate::oauth::scope::{Scope, ScopeHierarchy, ScopeSet};
use crate::token::claim_values::{claim, texts};

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

    /// Whether they may be granted a scope. It must be theirs, and so must every scope that an entry names and that this one
    /// includes. A scope is for everybody unless an entry names it, or a wildcard over it; then such an entry must fit.
    #[must_use]
    pub fn is_entitled(&self, scope: &Scope, entitlements: &[Entitlement], hierarchy: &ScopeHierarchy) -> bool {
        let granted: ScopeSet = std::iter::once(scope.clone()).collect();
        let fits = |entry: &Entitlement| {
            entry.groups.iter().any(|it| self.groups.contains(it)) || self.is_one_of(&entry.users)
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
                name => claim(&self.claims, name).cloned(),
            };
            if let (Some(value), Ok(name)) = (value, carried_as(name, groups_claim)) {
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

/// The name that tokens carry an entry of `token_claims` under: all of it, or what follows its last `/`.
///
/// # Errors
/// A description where tokens cannot carry it.
pub fn carried_as<'a>(entry: &'a str, groups_claim: &str) -> Result<&'a str, String> {
    if entry == groups_claim && entry != "groups" {
        return Err(format!(
            "must be \"groups\", which tokens carry the user's groups as (login.groups_claim), got {entry:?}"
        ));
    }
    match entry.rsplit('/').next().unwrap_or_default() {
        "" => Err(format!("must be the name of a claim, or a JSON Pointer to it, got {entry:?}")),
        name if RESERVED.contains(&name) => {
            Err(format!("must not be {name:?}, which the gateway says itself, got {entry:?}"))
        }
        name => Ok(name),
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
