//! Readers of claim values: strings, times, and values that a JSON Pointer finds.

use jwt_compact::Claims;
use serde_json::{Map, Value};

use crate::token::error::TokenError;

/// The last second of the year 9999. A later time is a mistake, and some libraries overflow on it.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Reads `exp`, `nbf` and `iat`. `expires` says that `exp` is required.
///
/// # Errors
/// [`TokenError`] if a value is not a plausible number, or if `exp` is required and missing.
pub(super) fn times(claims: &Map<String, Value>, expires: bool) -> Result<Claims<()>, TokenError> {
    let mut members = Map::new();
    for claim in ["exp", "nbf", "iat"] {
        match claims.get(claim) {
            None if claim == "exp" && expires => return Err(TokenError::ClaimMissing("exp")),
            None => {}
            Some(value) => {
                let plausible = value.as_f64().is_some_and(|seconds| (0.0..=LAST_SECOND).contains(&seconds));
                if !plausible {
                    return Err(TokenError::ClaimMalformed(claim));
                }
                // RFC 7519 §2 allows fractions, but the gateway compares whole seconds. Rounding makes no token expire
                // later or become valid earlier.
                let seconds = value.as_f64().map(if claim == "exp" { f64::floor } else { f64::ceil });
                #[expect(clippy::cast_possible_truncation, reason = "it is between 0 and the year 9999")]
                members.insert(claim.to_owned(), Value::from(seconds.unwrap_or_default() as i64));
            }
        }
    }
    let read: Claims<Map<String, Value>> =
        serde_json::from_value(Value::Object(members)).map_err(|_| TokenError::ClaimMalformed("claims"))?;
    let mut times = Claims::new(());
    (times.expiration, times.not_before, times.issued_at) = (read.expiration, read.not_before, read.issued_at);
    Ok(times)
}

/// Reads a claim that must be a string if it is present.
///
/// # Errors
/// [`TokenError::ClaimMalformed`] if it has another type.
pub(super) fn text<'a>(claims: &'a Map<String, Value>, claim: &'static str) -> Result<Option<&'a str>, TokenError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::ClaimMalformed(claim)),
    }
}

/// The first of `names` that is present and not empty.
pub(super) fn first_text(
    claims: &Map<String, Value>,
    names: &'static [&'static str],
) -> Result<Option<String>, TokenError> {
    for name in names {
        if let Some(text) = text(claims, name)?.filter(|text| !text.is_empty()) {
            return Ok(Some(text.to_owned()));
        }
    }
    Ok(None)
}

/// The value of a claim: by its name or, if the name begins with `/`, by JSON Pointer (RFC 6901) through objects.
#[must_use]
pub(crate) fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let Some(pointer) = name.strip_prefix('/') else { return claims.get(name) };
    let mut parts = pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&parts.next()?)?;
    parts.try_fold(first, |value, part| match value {
        Value::Object(members) => members.get(&part),
        _ => None,
    })
}

/// A string, or an array of strings.
pub(crate) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}
