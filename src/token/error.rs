//! Why an access token is not accepted.

use crate::jwks::key_set::NoKey;
use crate::strict_json::StrictJsonError;

/// Why an access token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenError {
    /// `alg` is missing, `none`, symmetric, unknown, or not allowed for this issuer.
    AlgorithmNotAllowed,
    /// No API key of that prefix and id is known here, or its secret is another.
    ApiKeyUnknown,
    /// `aud` names somebody else (R2).
    Audience,
    /// It is bound to a key, and was sent as if it were not (RFC 9449 §7.2).
    BoundUnderBearer,
    /// It is bound to a certificate that the caller did not present (RFC 8705 §3).
    Certificate,
    /// A claim has a wrong type or an impossible value.
    ClaimMalformed(&'static str),
    /// A claim that must be there is not.
    ClaimMissing(&'static str),
    /// A claim does not hold what configuration asks for.
    ClaimNotAccepted(String),
    /// Too many claims.
    ClaimsTooMany,
    /// The claims are not strict JSON.
    ClaimsNotJson(StrictJsonError),
    /// `exp` has passed.
    Expired,
    /// The header has a member that must not be obeyed: `crit`, `jku`, `jwk`, `x5u`, `x5c`, `b64`.
    ForbiddenHeader(&'static str),
    /// The header is not strict JSON, or has members of wrong types.
    HeaderMalformed,
    /// An ID token: it tells a client who logged in, and opens nothing.
    IdToken,
    /// Whoever was asked about it says that it is not active.
    Inactive,
    /// `iat` lies in the future.
    IssuedInFuture,
    /// The issuer's key does not serve this token.
    Key(NoKey),
    /// Not three parts of canonical base64url.
    Malformed,
    /// It is bound to nothing, where this resource asks for a binding or the caller claims one.
    NotBound,
    /// It is a credential of a kind that other resources take.
    NotForThisResource,
    /// `nbf` lies in the future.
    NotYetValid,
    /// It is on the list of what is revoked.
    Revoked,
    /// The token is bound to a key of its owner (RFC 7800 `cnf`), and that binding cannot be checked here (R24).
    SenderConstrained,
    /// The signature is wrong.
    Signature,
    /// It is of a tenant that is not accepted, or does not say of which.
    Tenant,
    /// Larger than any token should be.
    TooLong,
    /// `typ` is not that of an access token.
    TypeNotAllowed,
    /// `iss` is none that this resource accepts.
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
