//! A gateway that also accepts the tickets of an in-house ticket office: `ticket_` and a JWS, signed with a key that is compiled in.
//! Its claims are not those of an access token: `holder`, and `ends` in seconds since 1970.

use portcullis::jwks::key::{JwsAlgorithm, VerificationKey};
use portcullis::oauth::scope::ScopeSet;
use portcullis::time::UnixMillis;
use portcullis::token::compiled::CompiledVerifiers;
use portcullis::token::credential::Credential;
use portcullis::token::error::TokenError;
use portcullis::token::principal::{CredentialKind, SelectedClaims, Subject};
use portcullis::token::signature::SignatureCheck;
use portcullis::token::untrusted::UntrustedToken;
use portcullis::token::verified::VerifiedToken;
use portcullis::token::verifier::{Evidence, TokenVerifier, Verification};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::worker_sys::Context;
use worker::worker_sys::web_sys::Request;

/// The public key of the ticket office, as a JWK.
const KEY: &str = include_str!("../ticket-office.jwk.json");

/// Verifies tickets.
struct Tickets {
    key: Option<VerificationKey>,
}

impl Tickets {
    fn new() -> Self {
        let jwk = serde_json::from_str(KEY).ok();
        Self { key: jwk.and_then(|jwk| VerificationKey::parse(&jwk).ok()) }
    }

    fn verify(&self, text: &str, evidence: &Evidence<'_>) -> Result<Verification, TokenError> {
        let key = self.key.as_ref().ok_or(TokenError::Signature)?;
        let ticket = UntrustedToken::parse(text.strip_prefix("ticket_").ok_or(TokenError::Malformed)?)?;
        let algorithm = JwsAlgorithm::Es256;
        if ticket.algorithm() != algorithm.as_str() {
            return Err(TokenError::AlgorithmNotAllowed);
        }
        // The first call has no proof: the gateway checks the signature with WebCrypto, and calls again.
        let Some(proof) = evidence.signature else {
            return Ok(Verification::NeedSignature(SignatureCheck::of(&ticket, key, algorithm)?));
        };
        if !proof.covers(&ticket, key) {
            return Err(TokenError::Signature);
        }
        // Claims can be read only with the proof.
        let claims = ticket.claims_with(proof).ok_or(TokenError::Signature)?;
        let holder =
            claims.get("holder").and_then(|holder| holder.as_str()).ok_or(TokenError::ClaimMissing("holder"))?;
        let ends = claims.get("ends").and_then(|ends| ends.as_u64()).ok_or(TokenError::ClaimMissing("ends"))?;
        if ends <= evidence.now.seconds() {
            return Err(TokenError::Expired);
        }
        let subject = Subject {
            issuer: "https://tickets.example".to_owned(),
            subject: holder.to_owned(),
            client: None,
            scopes: ScopeSet::of_text("mcp:tools"),
            kind: CredentialKind::Custom,
            label: Some("ticket".to_owned()),
            rights: SelectedClaims::default(),
        };
        // The gateway may remember the result until the ticket ends.
        let usable_until = UnixMillis(ends.saturating_mul(1000));
        Ok(Verification::Verified(Box::new(VerifiedToken { usable_until, ..VerifiedToken::new(subject) })))
    }
}

impl TokenVerifier for Tickets {
    fn verify(&self, credential: &Credential, evidence: &Evidence<'_>) -> Verification {
        Self::verify(self, credential.token.expose(), evidence).unwrap_or_else(Verification::Refused)
    }
}

fn verifiers() -> CompiledVerifiers {
    CompiledVerifiers::default().with("tickets", Tickets::new())
}

/// The Worker's `fetch` handler.
///
/// # Errors
/// The exception of the platform if it cannot make a response.
#[wasm_bindgen(js_name = fetchWithVerifiers)]
pub fn fetch(request: &Request, env: worker::Env, context: Context, span: JsValue) -> Result<JsValue, JsValue> {
    portcullis::worker::fetch_with(request, env, context, span, verifiers)
}
