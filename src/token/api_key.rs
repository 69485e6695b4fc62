//! API keys have the form `PREFIX_ID_SECRET`. The prefix identifies the key set, and the id identifies the record. The
//! record holds a salted hash, from which the secret cannot be recovered.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac as _};
use jwt_compact::Claims;
use serde::Deserialize;
use sha2::Sha256;

use crate::limits::{API_KEY_ID_CHARS, API_KEY_SECRET_CHARS};
use crate::oauth::scope::Scope;
use crate::strict_json;
use crate::time::UnixMillis;
use crate::token::answer_error::{AnswerError, ApiKeyRecordError};
use crate::token::credential::Credential;
use crate::token::error::TokenError;
use crate::token::principal::{CredentialKind, SelectedClaims, Subject};
use crate::token::verified::{Confirmation, VerifiedToken};
use crate::token::verifier::{Evidence, TokenVerifier, Verification, VerifierAnswer};

/// A set of API keys with a common prefix.
#[derive(Debug, Clone)]
pub struct ApiKeySet {
    /// Its index in the configuration.
    pub index: usize,
    /// The prefix of its keys.
    pub prefix: String,
    /// The KV binding that holds further keys, if any.
    pub kv: Option<String>,
    /// Maximum number of seconds for which the gateway reuses a record from KV.
    pub cache_seconds: u64,
    /// The keys in the configuration.
    pub keys: Vec<ApiKeyRecord>,
}

impl ApiKeySet {
    /// Whether `text` begins with the prefix of this set.
    #[must_use]
    pub fn owns(&self, text: &str) -> bool {
        text.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with('_'))
    }
}

/// The scheme of [`ApiKeyRecord::hash`].
const HASH: &str = "hmac-sha256";

/// A stored API key: it has a salted hash in place of the secret.
#[derive(Debug, Clone)]
pub struct ApiKeyRecord {
    /// Identifies the record.
    pub id: String,
    /// Describes the owner of the key in the log.
    pub label: String,
    salt: Vec<u8>,
    hash: Vec<u8>,
    /// The scopes of the key.
    pub scopes: Vec<Scope>,
    /// When the key expires.
    pub expires: Option<DateTime<Utc>>,
}

/// A record as KV stores it. It has the same members as a key in the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRecord {
    id: String,
    label: String,
    hash: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    expires: Option<String>,
}

impl ApiKeyRecord {
    /// Makes a record from its members.
    ///
    /// # Errors
    /// [`ApiKeyRecordError`] for the first member that is invalid.
    pub fn new(
        id: &str,
        label: &str,
        hash: &str,
        scopes: &[String],
        expires: Option<&str>,
    ) -> Result<Self, ApiKeyRecordError> {
        if !is_id(id) {
            return Err(ApiKeyRecordError::Id(id.to_owned()));
        }
        if label.is_empty() || label.chars().count() > 100 || label.chars().any(char::is_control) {
            return Err(ApiKeyRecordError::Label);
        }
        let (salt, digest) = parse_hash(hash).ok_or(ApiKeyRecordError::Hash)?;
        let scopes = scopes.iter().map(|scope| Scope::parse(scope)).collect::<Result<_, _>>();
        let expires = expires
            .map(|text| DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc()))
            .transpose()
            .map_err(|_| ApiKeyRecordError::Expires)?;
        Ok(Self {
            id: id.to_owned(),
            label: label.to_owned(),
            salt,
            hash: digest,
            scopes: scopes.map_err(ApiKeyRecordError::Scopes)?,
            expires,
        })
    }

    /// Parses a record from KV.
    ///
    /// # Errors
    /// [`ApiKeyRecordError`] if it is not a valid record.
    pub fn parse(text: &[u8]) -> Result<Self, ApiKeyRecordError> {
        let value = strict_json::parse(text).map_err(ApiKeyRecordError::NotJson)?;
        let record: StoredRecord = serde_json::from_value(value).map_err(|_| ApiKeyRecordError::Members)?;
        Self::new(&record.id, &record.label, &record.hash, &record.scopes, record.expires.as_deref())
    }

    /// Whether `secret` is the secret of this key. The time of the comparison does not depend on how much of it
    /// matches.
    fn opens(&self, secret: &str) -> bool {
        mac(&self.salt, secret).is_some_and(|mac| mac.verify_slice(&self.hash).is_ok())
    }
}

fn mac(salt: &[u8], secret: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(salt).ok()?;
    mac.update(secret.as_bytes());
    Some(mac)
}

fn parse_hash(text: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (salt, digest) = text.strip_prefix(HASH)?.strip_prefix('$')?.split_once('$')?;
    let salt = URL_SAFE_NO_PAD.decode(salt).ok().filter(|salt| salt.len() >= 16)?;
    let digest = URL_SAFE_NO_PAD.decode(digest).ok().filter(|digest| digest.len() == 32)?;
    Some((salt, digest))
}

fn is_id(text: &str) -> bool {
    (1..=API_KEY_ID_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The id and the secret of a key of the set with this prefix.
#[must_use]
pub fn split<'a>(text: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let (id, secret) = text.strip_prefix(prefix)?.strip_prefix('_')?.split_once('_')?;
    let secret_fits = (API_KEY_SECRET_CHARS..=128).contains(&secret.len())
        && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (is_id(id) && secret_fits).then_some((id, secret))
}

/// Verifies the keys of one set.
pub struct ApiKeyVerifier<'a> {
    /// The set.
    pub set: &'a ApiKeySet,
    /// This gateway's own URL: the issuer of its API keys.
    pub gateway: &'a str,
}

impl TokenVerifier for ApiKeyVerifier<'_> {
    /// 1. The key has the form `PREFIX_ID_SECRET`.
    /// 2. The configuration or KV has a record with this id.
    /// 3. The secret matches the record.
    fn verify(&self, credential: &Credential, evidence: &Evidence<'_>) -> Verification {
        let Some((id, secret)) = split(credential.token.expose(), &self.set.prefix) else {
            return Verification::Refused(TokenError::ApiKeyUnknown);
        };
        let fixed = self.set.keys.iter().find(|key| key.id == id);
        let stored = match (fixed, &self.set.kv, evidence.answer) {
            (Some(_), ..) | (None, None, _) => None,
            (None, Some(_), Some(VerifierAnswer::Record(record))) => match record.as_deref().map(ApiKeyRecord::parse) {
                None => None,
                Some(Ok(record)) if record.id == id => Some(record),
                Some(Ok(_)) => return Verification::Unusable(AnswerError::OtherRecord),
                Some(Err(error)) => return Verification::Unusable(AnswerError::Record(error)),
            },
            (None, Some(_), _) => return Verification::NeedAnswer,
        };
        let good = fixed.or(stored.as_ref()).filter(|record| record.opens(secret));
        match good {
            Some(record) => Verification::Verified(Box::new(self.verified(record, fixed.is_some(), evidence.now))),
            None if self.set.kv.is_some() => {
                Verification::RefusedFor(TokenError::ApiKeyUnknown, self.set.cache_seconds)
            }
            None => Verification::Refused(TokenError::ApiKeyUnknown),
        }
    }
}

impl ApiKeyVerifier<'_> {
    fn verified(&self, record: &ApiKeyRecord, fixed: bool, now: UnixMillis) -> VerifiedToken {
        let mut times = Claims::new(());
        times.expiration = record.expires;
        VerifiedToken {
            subject: Rc::new(Subject {
                issuer: self.gateway.to_owned(),
                subject: format!("apikey:{}:{}", self.set.prefix, record.id),
                client: Some(format!("apikey:{}", self.set.prefix)),
                scopes: record.scopes.iter().cloned().collect(),
                kind: CredentialKind::ApiKey,
                label: Some(record.label.clone()),
                rights: SelectedClaims::default(),
            }),
            audiences: None,
            times,
            leeway: 0,
            id: Some(format!("{}_{}", self.set.prefix, record.id)),
            confirmation: Confirmation::None,
            signed_with: None,
            revocation_buckets: Vec::new(),
            usable_until: if fixed { UnixMillis(u64::MAX) } else { now.plus_seconds(self.set.cache_seconds) },
        }
    }
}

/// The KV key of a record.
#[must_use]
pub fn store_key(prefix: &str, id: &str) -> String {
    format!("apikey:{prefix}:{id}")
}
