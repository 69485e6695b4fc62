//! JWT access tokens (RFC 9068), with keys from an issuer's JWK set or a static one.

use crate::config::Issuer;
use crate::jwks::freshness::{Freshness, UnknownKid};
use crate::jwks::key::JwsAlgorithm;
use crate::jwks::key_set::NoKey;
use crate::rejection::TokenError;
use crate::token::claims;
use crate::token::untrusted::UntrustedToken;
use crate::token::verifier::{Evidence, SignatureCheck, TokenVerifier, Verification};

/// Verifies the JWT access tokens of one issuer.
pub struct JwtVerifier<'a> {
    /// The issuer: the token's `iss` is its identifier.
    pub issuer: &'a Issuer,
}

impl TokenVerifier for JwtVerifier<'_> {
    /// 1. `alg` is allowed for the issuer (RFC 8725 §3.1): before any key is touched;
    /// 2. `typ` is that of an access token (RFC 9068 §4), so that no ID token passes;
    /// 3. the issuer's keys may be used, else they are asked for;
    /// 4. exactly one key fits `kid` and `alg`; an unknown `kid` asks for the keys again where that is due;
    /// 5. the signature is good;
    /// 6. the claims hold: see [`claims::validate`].
    ///
    /// Not checked here: scopes, and whether the token was revoked.
    fn verify(&self, token: &UntrustedToken, audiences: &[String], evidence: &Evidence<'_>) -> Verification {
        let algorithm = match JwsAlgorithm::parse(token.algorithm()) {
            Some(algorithm) if self.issuer.algorithms.contains(&algorithm) => algorithm,
            _ => return Verification::Refused(TokenError::AlgorithmNotAllowed),
        };
        if !self.issuer.token_types.contains(token.typ()) {
            return Verification::Refused(TokenError::TypeNotAllowed);
        }
        match evidence.keys.freshness(evidence.now) {
            Freshness::Use | Freshness::UseAndRefresh => {}
            Freshness::Fetch => return Verification::NeedKeys,
            Freshness::Refuse { retry_after } => return Verification::NoKeys { retry_after },
        }
        let Some(keys) = evidence.keys.keys() else { return Verification::NeedKeys };
        let key = match keys.select(token.kid(), algorithm) {
            Ok(key) => key,
            Err(NoKey::UnknownKid) => {
                return match evidence.keys.unknown_kid(token.kid().unwrap_or_default(), evidence.now) {
                    UnknownKid::Look => Verification::NeedKeys,
                    UnknownKid::Unknown => Verification::Refused(TokenError::Key(NoKey::UnknownKid)),
                    UnknownKid::Unavailable { retry_after } => Verification::NoKeys { retry_after },
                };
            }
            Err(no_key) => return Verification::Refused(TokenError::Key(no_key)),
        };
        if !key.signature_fits(algorithm, token.signature().len()) {
            return Verification::Refused(TokenError::Signature);
        }
        if !evidence.signature.is_some_and(|proof| proof.covers(token, key)) {
            return Verification::NeedSignature(Box::new(SignatureCheck {
                key: key.clone(),
                algorithm,
                signing_input: token.signing_input().to_owned(),
                signature: token.signature().to_vec(),
            }));
        }
        match claims::validate(token.claims(), self.issuer, audiences, evidence.now) {
            Ok(subject) => Verification::Verified(subject),
            Err(error) => Verification::Refused(error),
        }
    }
}
