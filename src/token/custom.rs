//! Credentials that a Worker of the operator verifies. The gateway asks that Worker through a service binding. Its
//! answers have the members of RFC 7662 §2.2, so the gateway reads both kinds of answers with the same code.

use serde_json::json;

use crate::oauth::scope::ScopeSet;
use crate::token::credential::Credential;
use crate::token::introspection::{Rules, plain, read_active, without_nulls};
use crate::token::principal::{ClaimSelection, CredentialKind};
use crate::token::profile::Profile;
use crate::token::verifier::{Evidence, TokenVerifier, Verification, VerifierAnswer};
use crate::transport::provider::ProviderRequest;

/// A custom verifier.
#[derive(Debug, Clone)]
pub struct CustomVerifier {
    /// Its index in the configuration.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The service binding; `None` if the verifier is compiled in.
    pub service: Option<String>,
    /// The prefix of its credentials, if configured.
    pub prefix: Option<String>,
    /// Maximum number of seconds for which the gateway reuses a positive answer.
    pub cache_seconds: u64,
    /// Seconds for which the gateway reuses a negative answer.
    pub negative_seconds: u64,
    /// Seconds that the verifier may take to answer.
    pub timeout: u64,
}

/// Reads the answers of a custom verifier behind a service binding.
pub struct ServiceVerifier<'a> {
    /// The verifier.
    pub custom: &'a CustomVerifier,
    /// This gateway's own URL: the issuer of a subject if the answer has no `iss`.
    pub gateway: &'a str,
    /// What rules read about the subjects.
    pub interests: &'a ClaimSelection,
}

impl TokenVerifier for ServiceVerifier<'_> {
    fn verify(&self, credential: &Credential, evidence: &Evidence<'_>) -> Verification {
        let _ = credential;
        let Some(VerifierAnswer::Provider(document)) = evidence.answer else { return Verification::NeedAnswer };
        let members = match plain(document) {
            Ok(members) => members,
            Err(error) => return Verification::Unusable(error),
        };
        let rules = Rules {
            issuer: self.gateway,
            kind: CredentialKind::Custom,
            // The verifier knows the resource from the request, so it may leave out `aud`.
            audience_required: false,
            subject_claim: None,
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

/// The request to a custom verifier. The host is a reserved name, because a service binding ignores it.
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
