//! The claims of an access token (RFC 7519 §4.1, RFC 9068 §2.2), read after its signature was verified.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::oauth::scope::{Scope, ScopeSet};
use crate::time::UnixMillis;
use crate::token::claim_values::{claim, first_text, text, texts, times};
use crate::token::error::TokenError;
use crate::token::issuer::Issuer;
use crate::token::principal::{ClaimSelection, CredentialKind, SelectedClaims, Subject};
use crate::token::profile::Profile;
use crate::token::verified::{Confirmation, VerifiedToken};

/// Reads the claims of a signed token of `issuer`:
///
/// 1. The token is not an ID token, whatever `typ` says (RFC 8725 §3.12), and has the claims that mark the provider's
///    access tokens.
/// 2. `exp` is present. `exp`, `nbf` and `iat` are plausible numbers.
/// 3. `iss` and `aud` are present. For some providers, the client takes the place of a missing `aud`.
/// 4. `iss` is the issuer's identifier, byte for byte. For a multi-tenant issuer, it names an accepted tenant, and
///    `tid` names the same one.
/// 5. The claims that the configuration requires have accepted values.
/// 6. There is a subject.
///
/// Not checked here: the times and `aud`, which each request checks again ([`VerifiedToken::holds`]), and `cnf`.
///
/// # Errors
/// The [`TokenError`] of the first check that fails.
pub(super) fn read(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    interests: &ClaimSelection,
) -> Result<VerifiedToken, TokenError> {
    let profile = issuer.profile;
    refuse_other_tokens(claims, profile)?;
    let times = times(claims, true)?;
    for claim in ["iss", "aud"] {
        let stands_in = claim == "aud" && profile.client_is_audience();
        if !claims.contains_key(claim) && !stands_in {
            return Err(TokenError::ClaimMissing(claim));
        }
    }
    let iss = text(claims, "iss")?.unwrap_or_default();
    accept(claims, iss, issuer)?;
    let subject = first_text(claims, profile.subject_claims())?.ok_or(TokenError::ClaimMissing("sub"))?;
    let client = first_text(claims, profile.client_claims())?;
    let audiences = match claims.get("aud") {
        Some(aud) => texts(aud).ok_or(TokenError::ClaimMalformed("aud"))?,
        None => client.clone().into_iter().collect(),
    };
    let scopes = scopes(claims, profile)?.iter().chain(issuer.grant_scopes.iter()).cloned().collect();
    let kind =
        if profile == Profile::CloudflareAccess { CredentialKind::CloudflareAccess } else { CredentialKind::Jwt };
    Ok(VerifiedToken {
        subject: Rc::new(Subject {
            issuer: iss.to_owned(),
            subject,
            client,
            scopes,
            kind,
            label: None,
            rights: SelectedClaims::of(claims, interests, profile),
        }),
        audiences: Some(audiences),
        times,
        leeway: issuer.leeway,
        id: text(claims, "jti")?.map(str::to_owned),
        confirmation: Confirmation::read(claims.get("cnf")),
        signed_with: None,
        revocation_buckets: Vec::new(),
        usable_until: UnixMillis(u64::MAX),
    })
}

/// Checks what the configuration requires of every token of an issuer, whether the token is a JWT or was introspected:
///
/// 1. `iss` is the issuer's identifier. For a multi-tenant issuer, it names an accepted tenant, and `tid` names the
///    same one.
/// 2. The required claims have accepted values.
///
/// # Errors
/// The [`TokenError`] of the first check that fails.
pub(super) fn accept(claims: &Map<String, Value>, iss: &str, issuer: &Issuer) -> Result<(), TokenError> {
    let tenant = issuer.tenant_of(iss).ok_or(TokenError::UnknownIssuer)?;
    if let Some(tenant) = tenant
        && (!issuer.tenants.iter().any(|accepted| accepted == tenant) || text(claims, "tid")? != Some(tenant))
    {
        return Err(TokenError::Tenant);
    }
    for (name, accepted) in &issuer.claims {
        let holds = claim(claims, name).is_some_and(|value| equals_one_of(value, accepted));
        if !holds {
            return Err(TokenError::ClaimNotAccepted(name.clone()));
        }
    }
    Ok(())
}

fn refuse_other_tokens(claims: &Map<String, Value>, profile: Profile) -> Result<(), TokenError> {
    let says = |claim: &str, word: &str| claims.get(claim).is_some_and(|value| value == word);
    let id = says("token_use", "id") || says("typ", "ID");
    // A logout token (OpenID Connect Back-Channel Logout §2.4) or another security event (RFC 8417), which a provider may
    // sign with the same key and send under the same `typ`.
    if claims.contains_key("events") {
        return Err(TokenError::IdToken);
    }
    let foreign = profile.id_token_claims().iter().any(|claim| claims.contains_key(*claim));
    if (id || foreign) && !profile.takes_id_tokens() {
        return Err(TokenError::IdToken);
    }
    let marks = profile.marks();
    let marked = marks.iter().any(|(claim, word)| match word {
        Some(word) => says(claim, word),
        None => claims.contains_key(*claim),
    });
    if marks.is_empty() || marked { Ok(()) } else { Err(TokenError::IdToken) }
}

/// Reads the scopes. A string holds scope tokens separated by spaces (RFC 8693 §4.2). Some providers send an array,
/// each element of which may hold several.
///
/// # Errors
/// [`TokenError::ClaimMalformed`] if a scope claim is neither a string nor an array of strings.
pub fn scopes(claims: &Map<String, Value>, profile: Profile) -> Result<ScopeSet, TokenError> {
    let mut scopes = Vec::new();
    for name in profile.scope_claims() {
        let Some(value) = claims.get(*name) else { continue };
        scopes.extend(scopes_of(value).ok_or(TokenError::ClaimMalformed("scope"))?);
        // In the generic profile, `scp` is another spelling of `scope`, not an addition. In Entra ID, a token with
        // `scp` is delegated by a user, and its `roles` are the user's: the client must not act with more than the
        // delegated scopes.
        if matches!(profile, Profile::Generic | Profile::EntraId) {
            break;
        }
    }
    Ok(scopes.into_iter().collect())
}

pub(super) fn scopes_of(value: &Value) -> Option<Vec<Scope>> {
    let texts = texts(value)?;
    Some(texts.iter().flat_map(|text| text.split(' ')).filter_map(|token| Scope::parse(token).ok()).collect())
}

/// Whether a claim equals one of `accepted` or, if it is an array, contains one of them.
pub(crate) fn equals_one_of(value: &Value, accepted: &[String]) -> bool {
    match value {
        Value::String(text) => accepted.contains(text),
        Value::Bool(_) | Value::Number(_) => accepted.contains(&value.to_string()),
        Value::Array(items) => items.iter().any(|item| !item.is_array() && equals_one_of(item, accepted)),
        Value::Null | Value::Object(_) => false,
    }
}
