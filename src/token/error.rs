//! Why the gateway rejects a credential.

use crate::jwks::key_set::NoKey;
use crate::strict_json::StrictJsonError;

/// Why the gateway rejects a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenError {
    /// `alg` is missing, `none`, symmetric, unknown, or not allowed for this issuer.
    AlgorithmNotAllowed,
    /// The gateway has no API key with this prefix and id, or the secret does not match.
    ApiKeyUnknown,
    /// `aud` names none of the resource's audiences (R2).
    Audience,
    /// The token is bound to a key, but was sent as a bearer token (RFC 9449 §7.2).
    BoundUnderBearer,
    /// The token is bound to a certificate that the caller did not present (RFC 8705 §3).
    Certificate,
    /// A claim has a wrong type or an impossible value.
    ClaimMalformed(&'static str),
    /// A required claim is missing.
    ClaimMissing(&'static str),
    /// A claim has none of the values that the configuration requires.
    ClaimNotAccepted(String),
    /// The token has too many claims.
    ClaimsTooMany,
    /// The claims are not strict JSON.
    ClaimsNotJson(StrictJsonError),
    /// `exp` has passed.
    Expired,
    /// The header has a member that would change how the token is verified: `crit`, `b64`, `jku`, `jwk`, `x5u`, `x5c`,
    /// `zip`.
    ForbiddenHeader(&'static str),
    /// The header is not strict JSON, has too many members or members of wrong types, or its `kid` is too long.
    HeaderMalformed,
    /// An ID token, which tells a client who logged in and authorizes nothing; or a token without the claims that mark
    /// the provider's access tokens.
    IdToken,
    /// The authorization server or the custom verifier says that the credential is not active.
    Inactive,
    /// `iat` lies in the future.
    IssuedInFuture,
    /// The issuer has no key that the gateway can use for this token.
    Key(NoKey),
    /// Not three parts in canonical base64url.
    Malformed,
    /// The token lacks a binding that the resource requires, or that the scheme `DPoP` implies.
    NotBound,
    /// The credential is of a kind that other resources accept.
    NotForThisResource,
    /// `nbf` lies in the future.
    NotYetValid,
    /// The credential is on the revocation list.
    Revoked,
    /// The token is bound by `cnf` (RFC 7800) in a way that the gateway cannot check or that the resource does not
    /// accept (R24).
    SenderConstrained,
    /// The signature is invalid.
    Signature,
    /// The token is of a tenant that is not accepted, does not name its tenant, or is signed with the key of another
    /// tenant.
    Tenant,
    /// The token is longer than [`TOKEN_BYTES`](crate::limits::TOKEN_BYTES).
    TooLong,
    /// `typ` is not that of an access token, or introspection describes another kind of token.
    TypeNotAllowed,
    /// The resource accepts no issuer with this `iss`.
    UnknownIssuer,
}

impl TokenError {
    /// The reason in the log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AlgorithmNotAllowed => "token_algorithm",
            Self::ApiKeyUnknown => "api_key_unknown",
            Self::Audience => "token_audience",
            Self::BoundUnderBearer => "token_bound_under_bearer",
            Self::Certificate => "token_certificate",
            Self::ClaimMalformed(_) => "token_claim_malformed",
            Self::ClaimMissing(_) => "token_claim_missing",
            Self::ClaimNotAccepted(_) => "token_claim_not_accepted",
            Self::ClaimsTooMany => "token_claims_too_many",
            Self::ClaimsNotJson(_) => "token_claims_not_json",
            Self::Expired => "token_expired",
            Self::ForbiddenHeader(_) => "token_forbidden_header",
            Self::HeaderMalformed => "token_header_malformed",
            Self::IdToken => "token_is_id_token",
            Self::Inactive => "token_inactive",
            Self::IssuedInFuture => "token_issued_in_future",
            Self::Key(NoKey::DoesNotFit) => "token_key_does_not_fit",
            Self::Key(NoKey::Several) => "token_key_ambiguous",
            Self::Key(NoKey::UnknownKid) => "token_key_unknown",
            Self::Key(NoKey::Unusable) => "token_key_unusable",
            Self::Malformed => "token_malformed",
            Self::NotBound => "token_not_bound",
            Self::NotForThisResource => "token_not_for_this_resource",
            Self::NotYetValid => "token_not_yet_valid",
            Self::Revoked => "token_revoked",
            Self::SenderConstrained => "token_sender_constrained",
            Self::Signature => "token_signature",
            Self::Tenant => "token_tenant",
            Self::TooLong => "token_too_long",
            Self::TypeNotAllowed => "token_type",
            Self::UnknownIssuer => "token_issuer",
        }
    }
}
