//! Reads credentials other than JWTs (introspection, API keys, custom verifiers), DPoP, and the revocation list.

use crate::config::credentials_document::ClientAuthenticationName;
use crate::config::document::{
    ApiKeySetDocument, DpopDocument, IntrospectedTokensName, IntrospectionDocument, RequirementName, RevocationTable,
    VerifierDocument,
};
use crate::config::mistakes::Mistakes;
use crate::config::ranges::{self, Range};
use crate::config::values::{Secrets, bounded, is_name, protected_url, read_binding, read_long_secret, read_secret};
use crate::jwks::signing_key::SigningKey;
use crate::limits::{API_KEYS, KV_EDGE_SECONDS};
use crate::oauth::client_authentication::ClientAuthentication;
use crate::secret::Secret;
use crate::token::api_key::{ApiKeyRecord, ApiKeySet};
use crate::token::binding::nonce::NonceKey;
use crate::token::binding::{Dpop, Requirement};
use crate::token::custom::CustomVerifier;
use crate::token::issuer::{IntrospectedTokens, Introspection};
use crate::token::revocation::list::Revocation;

impl From<RequirementName> for Requirement {
    fn from(name: RequirementName) -> Self {
        match name {
            RequirementName::Off => Self::Off,
            RequirementName::Optional => Self::Optional,
            RequirementName::Required => Self::Required,
        }
    }
}

pub(super) fn read_introspection(
    document: &IntrospectionDocument,
    at: &str,
    development: bool,
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> Option<Introspection> {
    let endpoint = document.endpoint.as_ref().map(|url| {
        protected_url(url, &format!("{at}.endpoint"), development, mistakes);
        url.clone()
    });
    if document.client_id.is_empty() {
        mistakes.note(format!("{at}.client_id"), "must not be empty");
    }
    if document.subject_claim.as_ref().is_some_and(String::is_empty) {
        mistakes.note(format!("{at}.subject_claim"), "must not be empty");
    }
    let secret_at = format!("{at}.secret");
    let secret = read_secret(&document.secret, &secret_at, secrets, mistakes);
    let authentication =
        secret.and_then(|text| read_client_authentication(document.authentication, &text, &secret_at, mistakes));
    let times = Times {
        cache: (document.cache_seconds, ranges::ANSWER_CACHE),
        negative: (document.negative_cache_seconds, ranges::NEGATIVE_ANSWER_CACHE),
        timeout: document.timeout_seconds,
    };
    let (cache_seconds, negative_seconds, timeout) = times.read(at, mistakes);
    Some(Introspection {
        endpoint,
        client_id: document.client_id.clone(),
        authentication: authentication?,
        tokens: match document.tokens {
            Some(IntrospectedTokensName::All) => IntrospectedTokens::All,
            Some(IntrospectedTokensName::Opaque) | None => IntrospectedTokens::Opaque,
        },
        prefix: read_prefix(document.token_prefix.as_ref(), at, mistakes),
        signed_response: document.signed_response.unwrap_or(false),
        allow_missing_audience: document.allow_missing_audience.unwrap_or(false),
        subject_claim: document.subject_claim.clone(),
        cache_seconds,
        negative_seconds,
        timeout,
    })
}

/// Reads how this gateway authenticates as a client, from the text of its secret.
pub(super) fn read_client_authentication(
    name: Option<ClientAuthenticationName>,
    text: &str,
    at: &str,
    mistakes: &mut Mistakes,
) -> Option<ClientAuthentication> {
    let whole = || Some(Secret::new(text.trim().to_owned())).filter(|secret| !secret.expose().is_empty());
    let read = match name.unwrap_or(ClientAuthenticationName::ClientSecretBasic) {
        ClientAuthenticationName::ClientSecretBasic => whole().map(ClientAuthentication::SecretBasic),
        ClientAuthenticationName::ClientSecretPost => whole().map(ClientAuthentication::SecretPost),
        ClientAuthenticationName::PrivateKeyJwt => {
            let key = mistakes.keep(at, SigningKey::parse(text))?;
            Some(ClientAuthentication::PrivateKeyJwt(Box::new(key)))
        }
    };
    if read.is_none() {
        mistakes.note(at, "the secret is empty");
    }
    read
}

/// `cache_seconds`, `negative_cache_seconds` and `timeout_seconds`, each with its range.
struct Times {
    cache: (Option<u64>, Range),
    negative: (Option<u64>, Range),
    timeout: Option<u64>,
}

impl Times {
    fn read(&self, at: &str, mistakes: &mut Mistakes) -> (u64, u64, u64) {
        let mut number = |key: &str, value, range| bounded(value, range, &format!("{at}.{key}"), mistakes);
        (
            number("cache_seconds", self.cache.0, self.cache.1),
            number("negative_cache_seconds", self.negative.0, self.negative.1),
            number("timeout_seconds", self.timeout, ranges::PROVIDER_TIMEOUT),
        )
    }
}

fn read_prefix(prefix: Option<&String>, at: &str, mistakes: &mut Mistakes) -> Option<String> {
    let prefix = prefix?;
    if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b)) {
        mistakes.note(
            format!("{at}.token_prefix"),
            format_args!("must have only characters that a token may have (RFC 6750 §2.1), got {prefix:?}"),
        );
    } else if prefix.len() < 2 || prefix.starts_with("ey") {
        mistakes.note(
            format!("{at}.token_prefix"),
            format_args!("must have 2 characters or more and not begin like every JWT (ey), got {prefix:?}"),
        );
    }
    Some(prefix.clone())
}

pub(super) fn read_api_keys(document: &ApiKeySetDocument, index: usize, mistakes: &mut Mistakes) -> ApiKeySet {
    let at = format!("api_keys[{index}]");
    let prefix = &document.prefix;
    let fits = (2..=20).contains(&prefix.len())
        && prefix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && prefix != "ey";
    if !fits {
        let path = format!("{at}.prefix");
        mistakes.note(path, format_args!("must be 2 to 20 lower-case letters and digits, got {prefix:?}"));
    }
    if document.kv.is_none() && document.keys.as_ref().is_none_or(Vec::is_empty) {
        mistakes
            .note(format!("{at}.keys"), "must have at least one entry (or set kv): npx portcullis apikey makes one");
    }
    if document.keys.as_ref().is_some_and(|keys| keys.len() > API_KEYS) {
        mistakes.note(format!("{at}.keys"), format_args!("must have at most {API_KEYS} entries; put more into kv"));
    }
    let mut keys: Vec<ApiKeyRecord> = Vec::new();
    for (entry_index, entry) in document.keys.iter().flatten().enumerate() {
        let at = format!("{at}.keys[{entry_index}]");
        let scopes = entry.scopes.as_deref().unwrap_or_default();
        match ApiKeyRecord::new(&entry.id, &entry.label, &entry.hash, scopes, entry.expires.as_deref()) {
            Ok(key) if keys.iter().any(|other| other.id == key.id) => {
                mistakes.note(format!("{at}.id"), format_args!("{:?} is the id of another key too", key.id));
            }
            Ok(key) => keys.push(key),
            Err(error) => mistakes.note(format!("{at}.{}", error.member().unwrap_or_default()), error),
        }
    }
    let seconds = format!("{at}.cache_seconds");
    ApiKeySet {
        index,
        prefix: prefix.clone(),
        kv: read_binding(document.kv.as_ref(), &format!("{at}.kv"), mistakes),
        cache_seconds: bounded(document.cache_seconds, ranges::API_KEY_CACHE, &seconds, mistakes),
        keys,
    }
}

pub(super) fn read_verifier(document: &VerifierDocument, index: usize, mistakes: &mut Mistakes) -> CustomVerifier {
    let at = format!("verifiers[{index}]");
    let name = &document.name;
    if !is_name(name) {
        mistakes.note(format!("{at}.name"), format_args!("must be 1 to 64 letters, digits, -, _ or ., got {name:?}"));
    }
    match (&document.service, document.compiled.unwrap_or(false)) {
        (None, false) => mistakes.note(format!("{at}.service"), "is required: the name of a service binding"),
        (Some(_), true) => mistakes.note(format!("{at}.compiled"), "excludes service"),
        _ => {}
    }
    let times = Times {
        cache: (document.cache_seconds, ranges::VERIFIER_CACHE),
        negative: (document.negative_cache_seconds, ranges::NEGATIVE_VERIFIER_CACHE),
        timeout: document.timeout_seconds,
    };
    let (cache_seconds, negative_seconds, timeout) = times.read(&at, mistakes);
    CustomVerifier {
        index,
        name: name.clone(),
        service: read_binding(document.service.as_ref(), &format!("{at}.service"), mistakes),
        prefix: read_prefix(document.token_prefix.as_ref(), &at, mistakes),
        cache_seconds,
        negative_seconds,
        timeout,
    }
}

pub(super) fn read_dpop(document: Option<&DpopDocument>, secrets: &dyn Secrets, mistakes: &mut Mistakes) -> Dpop {
    let Some(document) = document else {
        return Dpop { window: ranges::PROOF_WINDOW.default, nonce_key: None, replay_binding: None };
    };
    Dpop {
        window: bounded(document.window_seconds, ranges::PROOF_WINDOW, "dpop.window_seconds", mistakes),
        nonce_key: document.nonce_secret.as_ref().and_then(|name| {
            read_long_secret(name, "dpop.nonce_secret", secrets, mistakes).map(|secret| NonceKey::new(&secret))
        }),
        replay_binding: read_binding(document.replay_binding.as_ref(), "dpop.replay_binding", mistakes),
    }
}

pub(super) fn read_revocation(document: &RevocationTable, mistakes: &mut Mistakes) -> Revocation {
    let seconds = bounded(document.seconds, ranges::REVOCATION, "revocation.seconds", mistakes);
    let key = document.key.clone().unwrap_or_else(|| "revocations".to_owned());
    if key.is_empty() || key.len() > 512 {
        mistakes.note("revocation.key", "must be 1 to 512 bytes (a limit of KV)");
    }
    let kv = read_binding(Some(&document.kv), "revocation.kv", mistakes).unwrap_or_default();
    Revocation { kv, key, seconds: seconds.saturating_sub(KV_EDGE_SECONDS) }
}
