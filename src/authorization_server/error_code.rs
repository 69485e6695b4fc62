//! The error codes of OAuth, and the codes with which the gateway logs a refusal that only a user sees.

/// An error code. All but those of pages are registered with OAuth (RFC 6749 §11.4) and are sent to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// RFC 6749 §4.1.2.1
    AccessDenied,
    /// RFC 8628 §3.5
    AuthorizationPending,
    /// A page: no call waits for approval there.
    ApprovalStale,
    /// A page: the metadata document of a client could not be fetched.
    ClientUnreachable,
    /// A page: an account could not be connected.
    ConnectionFailed,
    /// A page: the consent form is too old, or was opened in another browser.
    ConsentStale,
    /// A page: the device does not wait any more.
    DeviceGone,
    /// RFC 8628 §3.5
    ExpiredToken,
    /// A page: another site sent a form of the gateway's pages.
    ForeignForm,
    /// OpenID Connect Core §3.1.2.6
    InteractionRequired,
    /// RFC 6749 §5.2
    InvalidClient,
    /// RFC 7591 §3.2.2
    InvalidClientMetadata,
    /// RFC 9449 §5
    InvalidDpopProof,
    /// RFC 6749 §5.2
    InvalidGrant,
    /// RFC 7591 §3.2.2
    InvalidRedirectUri,
    /// RFC 6749 §5.2
    InvalidRequest,
    /// RFC 6749 §5.2
    InvalidScope,
    /// RFC 8707 §2
    InvalidTarget,
    /// RFC 6750 §3.1
    InvalidToken,
    /// A page: the link to connect an account has expired, or was used.
    LinkStale,
    /// A page: the login is not this browser's, or has expired.
    LoginStale,
    /// A page: the user may not use this server.
    NotAdmitted,
    /// A page: the user may not approve the call.
    NotApprover,
    /// A page: the link to connect an account is for another user.
    OtherUsersLink,
    /// A page: the identity provider cannot be reached.
    ProviderUnavailable,
    /// OpenID Connect Core §3.1.2.6
    RequestNotSupported,
    /// OpenID Connect Core §3.1.2.6
    RequestUriNotSupported,
    /// RFC 6749 §4.1.2.1
    ServerError,
    /// RFC 8628 §3.5
    SlowDown,
    /// RFC 6749 §4.1.2.1
    TemporarilyUnavailable,
    /// A page: too many logins from one network.
    TooManyLogins,
    /// RFC 6749 §5.2
    UnauthorizedClient,
    /// RFC 9470 §5
    UnmetAuthenticationRequirements,
    /// RFC 6749 §5.2
    UnsupportedGrantType,
    /// RFC 9449 §8
    UseDpopNonce,
    /// RFC 6749 §4.1.2.1
    UnsupportedResponseType,
}

impl ErrorCode {
    /// The code as answers and log lines have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::ApprovalStale => "approval_stale",
            Self::ClientUnreachable => "client_unreachable",
            Self::ConnectionFailed => "connection_failed",
            Self::ConsentStale => "consent_stale",
            Self::ForeignForm => "foreign_form",
            Self::InteractionRequired => "interaction_required",
            Self::InvalidClient => "invalid_client",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidToken => "invalid_token",
            Self::LinkStale => "link_stale",
            Self::LoginStale => "login_stale",
            Self::NotAdmitted => "not_admitted",
            Self::NotApprover => "not_approver",
            Self::OtherUsersLink => "other_users_link",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::TooManyLogins => "too_many_logins",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AuthorizationPending => "authorization_pending",
            Self::DeviceGone => "device_gone",
            Self::ExpiredToken => "expired_token",
            Self::SlowDown => "slow_down",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::UseDpopNonce => "use_dpop_nonce",
        }
    }
}
