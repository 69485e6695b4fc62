//! JWT access tokens (RFC 9068), with keys from an issuer's JWK set or a static one.

use std::rc::Rc;

use crate::jwks::freshness::{Freshness, KeyState, UnknownKid};
use crate::jwks::key::{JwsAlgorithm, VerificationKey};
use crate::jwks::key_set::NoKey;
use crate::time::UnixMillis;
use crate::token::claims;
use crate::token::credential::Credential;
use crate::token::error::TokenError;
use crate::token::issuer::Issuer;
use crate::token::principal::Interests;
use crate::token::profile::TENANT;
use crate::token::signature::SignatureCheck;
use crate::token::untrusted::{TokenType, UntrustedToken};
use crate::token::verified::SignedWith;
use crate::token::verifier::{Evidence, TokenVerifier, Verification};

/// Verifies the JWT access tokens of one issuer.
pub struct JwtVerifier<'a> {
    /// The issuer: the token's `iss` is its identifier.
    pub issuer: &'a Issuer,
    /// What rules read of tokens.
    pub interests: &'a Interests,
}

impl TokenVerifier for JwtVerifier<'_> {
    /// 1. `alg` is allowed for the issuer (RFC 8725 §3.1): before any key is touched;
    /// 2. `typ` is that of an access token (RFC 9068 §4), so that no ID token passes;
    /// 3. the issuer's keys may be used, else they are asked for;
    /// 4. exactly one key fits `kid` and `alg`; an unknown `kid` asks for the keys again where that is due;
    /// 5. the signature is good;
    /// 6. the claims hold: see `claims::read`.
    ///
    /// Not checked here: times, audience, binding, scopes, and whether the token was revoked.
    fn verify(&self, credential: &Credential, evidence: &Evidence<'_>) -> Verification {
        let (Ok(token), Some(keys)) = (credential.jws(), evidence.keys) else {
            return Verification::Refused(TokenError::Malformed);
        };
        let key = match signed(token, self.issuer, &self.issuer.token_types, keys, evidence) {
            Ok(key) => key,
            Err(verification) => return verification,
        };
        match claims::read(token.claims(), self.issuer, self.interests) {
            Ok(mut verified) => {
                let thumbprint = Rc::from(key.thumbprint());
                verified.signed_with =
                    Some(SignedWith { issuer: self.issuer.index, id: key.id().map(Rc::from), thumbprint });
                Verification::Verified(Box::new(verified))
            }
            Err(error) => Verification::Refused(error),
        }
    }
}

/// The key that signed `token`, or what to do first.
pub(super) fn signed<'a>(
    token: &UntrustedToken,
    issuer: &Issuer,
    types: &[TokenType],
    keys: &'a KeyState,
    evidence: &Evidence<'_>,
) -> Result<&'a VerificationKey, Verification> {
    let algorithm = match JwsAlgorithm::parse(token.algorithm()) {
        Some(algorithm) if issuer.algorithms.contains(&algorithm) => algorithm,
        _ => return Err(Verification::Refused(TokenError::AlgorithmNotAllowed)),
    };
    if !types.contains(token.typ()) {
        return Err(Verification::Refused(TokenError::TypeNotAllowed));
    }
    let key = select(token, algorithm, keys, evidence.now)?;
    // Keys that a provider of many tenants publishes for one of them sign for that one alone.
    if issuer.is_template() && key.issuer().is_some_and(|named| !token_may_use(token, named)) {
        return Err(Verification::Refused(TokenError::Tenant));
    }
    if evidence.signature.is_some_and(|proof| proof.covers(token, key)) {
        return Ok(key);
    }
    Err(SignatureCheck::of(token, key, algorithm).map_or_else(Verification::Refused, Verification::NeedSignature))
}

fn select<'a>(
    token: &UntrustedToken,
    algorithm: JwsAlgorithm,
    keys: &'a KeyState,
    now: UnixMillis,
) -> Result<&'a VerificationKey, Verification> {
    match keys.freshness(now) {
        Freshness::Use | Freshness::UseAndRefresh => {}
        Freshness::Fetch => return Err(Verification::NeedKeys),
        Freshness::Refuse { retry_after } => return Err(Verification::NoKeys { retry_after }),
    }
    let set = keys.keys().ok_or(Verification::NeedKeys)?;
    set.select(token.kid(), algorithm).map_err(|no_key| match no_key {
        NoKey::UnknownKid => match keys.unknown_kid(token.kid().unwrap_or_default(), now) {
            UnknownKid::Look => Verification::NeedKeys,
            UnknownKid::Wait => Verification::AwaitKeys,
            UnknownKid::Unknown => Verification::Refused(TokenError::Key(NoKey::UnknownKid)),
            UnknownKid::Unavailable { retry_after } => Verification::NoKeys { retry_after },
        },
        other => Verification::Refused(TokenError::Key(other)),
    })
}

/// Whether a key that names an issuer of its own (as Entra ID's do) may sign this token.
fn token_may_use(token: &UntrustedToken, named: &str) -> bool {
    named.contains(TENANT) || token.claimed_issuer() == Some(named)
}
