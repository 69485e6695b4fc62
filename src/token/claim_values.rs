//! Readers of claim values: strings, times, and values that a JSON Pointer finds.

use chrono::{DateTime, Utc};
use jwt_compact::Claims;
use serde_json::{Map, Value};

use crate::token::error::TokenError;

/// The last second of the year 9999. A later time is a mistake, and some libraries overflow on it.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// The whole seconds of a time claim, where it is there. RFC 7519 §2 allows fractions: a token expires no later, and becomes
/// valid no earlier, than its claims say, so `exp` is rounded down and the others up.
///
/// # Errors
/// [`TokenError::ClaimMalformed`] where it is not a plausible number.
pub fn seconds(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<i64>, TokenError> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let whole = whole_seconds(value, if claim == "exp" { f64::floor } else { f64::ceil });
    whole.map(Some).ok_or(TokenError::ClaimMalformed(claim))
}

/// A `NumericDate` (RFC 7519 §2) in whole seconds; `None` if it is not a number between 1970 and the year 9999.
pub(super) fn whole_seconds(value: &Value, round: fn(f64) -> f64) -> Option<i64> {
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST_SECOND).contains(seconds))?;
    #[expect(clippy::cast_possible_truncation, reason = "it is between 0 and the year 9999")]
    Some(round(seconds) as i64)
}

/// `exp`, `nbf`, `iat`.
///
/// # Errors
/// [`TokenError`] where one is no plausible number, or `exp` is missing and must not be.
pub(super) fn times(claims: &Map<String, Value>, expires: bool) -> Result<Claims<()>, TokenError> {
    if expires && !claims.contains_key("exp") {
        return Err(TokenError::ClaimMissing("exp"));
    }
    let time = |claim| {
        let moment = |seconds| DateTime::<Utc>::from_timestamp(seconds, 0).ok_or(TokenError::ClaimMalformed(claim));
        seconds(claims, claim)?.map(moment).transpose()
    };
    let mut times = Claims::new(());
    times.expiration = time("exp")?;
    times.not_before = time("nbf")?;
    times.issued_at = time("iat")?;
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
