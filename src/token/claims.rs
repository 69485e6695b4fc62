//! The claims of an access token (RFC 7519 §4.1, RFC 9068 §2.2), after its signature was found good.

use chrono::{DateTime, TimeDelta, Utc};
use jwt_compact::{Claims, TimeOptions, ValidationError};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::Issuer;
use crate::oauth::scope::{Scope, ScopeSet};
use crate::rejection::TokenError;
use crate::time::UnixMillis;
use crate::token::principal::Subject;

/// Claims besides the times, which `jwt_compact` has.
#[derive(Debug, Deserialize)]
struct AccessTokenClaims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    #[serde(default)]
    scope: Option<OneOrMany>,
    #[serde(default)]
    scp: Option<OneOrMany>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    azp: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn iter(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match self {
            Self::One(one) => (Some(one.as_str()), &[][..]),
            Self::Many(many) => (None, many.as_slice()),
        };
        one.into_iter().chain(many.iter().map(String::as_str))
    }
}

/// Claims that only ID tokens carry (OpenID Connect Core §2), or that say so in a provider's words.
const ID_TOKEN_CLAIMS: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];

/// The last second of the year 9999: later times are mistakes, and some libraries overflow on them.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Holds the claims of a signed token to what this gateway accepts:
///
/// 1. it is no ID token, whatever `typ` says (RFC 8725 §3.12);
/// 2. it is not bound to a key of its owner, which nobody here could check (R24);
/// 3. `exp` is there and has not passed; `nbf` and `iat`, where they are there, do not lie ahead; each within the
///    issuer's leeway;
/// 4. `iss` is the issuer's identifier, byte for byte;
/// 5. `sub` is there and not empty;
/// 6. `aud` holds one of `audiences` (R2).
///
/// # Errors
/// The [`TokenError`] of the first that fails.
pub(super) fn validate(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    audiences: &[String],
    now: UnixMillis,
) -> Result<Subject, TokenError> {
    let names_itself_id =
        claims.get("token_use").is_some_and(|usage| usage == "id") || claims.get("typ").is_some_and(|typ| typ == "ID");
    if names_itself_id || ID_TOKEN_CLAIMS.iter().any(|claim| claims.contains_key(*claim)) {
        return Err(TokenError::IdToken);
    }
    if claims.contains_key("cnf") {
        return Err(TokenError::SenderConstrained);
    }
    for claim in ["exp", "nbf", "iat"] {
        match claims.get(claim) {
            None if claim == "exp" => return Err(TokenError::ClaimMissing("exp")),
            None => {}
            Some(value) => {
                let plausible = value.as_f64().is_some_and(|seconds| (0.0..=LAST_SECOND).contains(&seconds));
                if !plausible {
                    return Err(TokenError::ClaimMalformed(claim));
                }
            }
        }
    }
    for claim in ["iss", "sub", "aud"] {
        if !claims.contains_key(claim) {
            return Err(TokenError::ClaimMissing(claim));
        }
    }
    let claims: Claims<AccessTokenClaims> =
        serde_json::from_value(Value::Object(claims.clone())).map_err(|_| TokenError::ClaimMalformed("claims"))?;
    check_times(&claims, issuer.leeway, now)?;
    let custom = &claims.custom;
    if custom.iss != issuer.identifier {
        return Err(TokenError::UnknownIssuer);
    }
    if custom.sub.is_empty() {
        return Err(TokenError::ClaimMissing("sub"));
    }
    if !custom.aud.iter().any(|audience| audiences.iter().any(|accepted| accepted == audience)) {
        return Err(TokenError::Audience);
    }
    Ok(Subject {
        issuer: custom.iss.clone(),
        subject: custom.sub.clone(),
        client: custom.client_id.clone().or_else(|| custom.azp.clone()).filter(|client| !client.is_empty()),
        scopes: custom.scope.as_ref().or(custom.scp.as_ref()).map(scopes).unwrap_or_default(),
    })
}

fn check_times<T>(claims: &Claims<T>, leeway: u64, now: UnixMillis) -> Result<(), TokenError> {
    let moment = i64::try_from(now.seconds())
        .ok()
        .and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0))
        .ok_or(TokenError::ClaimMalformed("exp"))?;
    let leeway = TimeDelta::seconds(i64::try_from(leeway).unwrap_or(0));
    let options = TimeOptions::new(leeway, || moment);
    claims.validate_expiration(&options).map_err(|error| match error {
        ValidationError::Expired => TokenError::Expired,
        _ => TokenError::ClaimMissing("exp"),
    })?;
    if claims.not_before.is_some() {
        claims.validate_maturity(&options).map_err(|_| TokenError::NotYetValid)?;
    }
    if claims.issued_at.is_some_and(|issued| issued > moment + leeway) {
        return Err(TokenError::IssuedInFuture);
    }
    Ok(())
}

/// A string holds tokens between spaces (RFC 8693 §4.2); in an array each element may, as some providers send them.
fn scopes(claim: &OneOrMany) -> ScopeSet {
    claim.iter().flat_map(|text| text.split(' ')).filter_map(|token| Scope::parse(token).ok()).collect()
}
