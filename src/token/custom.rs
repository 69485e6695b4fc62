//! Credentials that a Worker of the user's own knows about, asked through a service binding. Its answers are those of
//! RFC 7662 §2.2, so that there is one reading of both.

use serde_json::json;

use crate::oauth::scope::ScopeSet;
use crate::token::credential::Credential;
use crate::token::introspection::{Rules, plain, read_active, without_nulls};
use crate::token::principal::{CredentialKind, Interests};
use crate::token::profile::Profile;
use crate::token::verifier::{Answered, Evidence, TokenVerifier, Verification};
use crate::transport::provider::ProviderRequest;

/// A verifier of the user's own.
#[derive(Debug, Clone)]
pub struct CustomVerifier {
    /// Its place in configuration.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The service binding; nothing where it is compiled in.
    pub service: Option<String>,
    /// How its credentials begin.
    pub prefix: Option<String>,
    /// The most seconds that a good answer is used.
    pub cache_seconds: u64,
    /// Seconds that a bad one is.
    pub negative_seconds: u64,
    /// Seconds that it may take.
    pub timeout: u64,
}

/// Asks a service binding.
pub struct ServiceVerifier<'a> {
    /// How it is asked.
    pub custom: &'a CustomVerifier,
    /// This gateway's own URL: who vouches, where the answer does not say.
    pub gateway: &'a str,
    /// What rules read of its callers.
    pub interests: &'a Interests,
}

impl TokenVerifier for ServiceVerifier<'_> {
    fn verify(&self, credential: &Credential, evidence: &Evidence<'_>) -> Verification {
        let _ = credential;
        let Some(Answered::Provider(document)) = evidence.answer else { return Verification::NeedAnswer };
        let members = match plain(document) {
            Ok(members) => members,
            Err(why) => return Verification::Unusable(why),
        };
        let rules = Rules {
            issuer: self.gateway,
            kind: CredentialKind::Custom,
            // It was told for which resource the credential is: `aud` is its to leave out.
            audience_required: false,
            leeway: 0,
            grant_scopes: &ScopeSet::default(),
            interests: self.interests,
            profile: Profile::Generic,
            cache_seconds: self.custom.cache_seconds,
            negative_seconds: self.custom.negative_seconds,
        };
        read_active(&without_nulls(members), &rules, evidence.now)
    }
}

/// What a verifier is asked. The host is a reserved name: a service binding does not look at it.
#[must_use]
pub fn request(custom: &CustomVerifier, token: &str, resource: &str) -> ProviderRequest {
    ProviderRequest {
        url: "https://verifier.invalid/".to_owned(),
        service: custom.service.clone(),
        fields: vec![("accept", "application/json".to_owned()), ("content-type", "application/json".to_owned())],
        body: Some(json!({ "version": 1, "token": token, "resource": resource }).to_string()),
        seconds: custom.timeout,
    }
}
