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
use crate::token::principal::ClaimSelection;
use crate::token::profile::TENANT;
use crate::token::signature::SignatureCheck;
use crate::token::untrusted::{TokenType, UntrustedToken};
use crate::token::verified::SignedWith;
use crate::token::verifier::{Evidence, TokenVerifier, Verification};

/// Verifies the JWT access tokens of one issuer.
pub struct JwtVerifier<'a> {
    /// The issuer: the token's `iss` is its identifier.
    pub issuer: &'a Issuer,
    /// What rules read about the subjects.
    pub interests: &'a ClaimSelection,
}

impl TokenVerifier for JwtVerifier<'_> {
    /// 1. `alg` is allowed for the issuer (RFC 8725 §3.1). The gateway checks this before it uses any key.
    /// 2. `typ` is that of an access token (RFC 9068 §4), so that no ID token passes.
    /// 3. The issuer's keys are available and fresh enough; else the verifier asks for them.
    /// 4. Exactly one key fits `kid` and `alg`. For an unknown `kid`, the verifier asks for the keys again if a fetch
    ///    is due. A key that a multi-tenant provider publishes for one tenant fits only tokens of that tenant.
    /// 5. The signature is valid.
    /// 6. The claims are valid: see `claims::read`.
    ///
    /// Not checked here: times, audience, binding, scopes and revocation.
    fn verify(&self, credential: &Credential, evidence: &Evidence<'_>) -> Verification {
        let (Ok(token), Some(keys)) = (credential.jws_of(self.issuer), evidence.keys) else {
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

/// The key that signed `token`, or what has to be done first.
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
    // A key that a multi-tenant provider publishes for one tenant signs only for that tenant.
    if issuer.is_template() && !key_may_sign(key, token) {
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

/// Whether a key may sign this token: a key of a multi-tenant provider can name the only issuer that may use it, as the
/// keys of Entra ID do.
#[must_use]
pub fn key_may_sign(key: &VerificationKey, token: &UntrustedToken) -> bool {
    key.issuer().is_none_or(|named| named.contains(TENANT) || token.claimed_issuer() == Some(named))
}
