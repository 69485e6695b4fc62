//! Every reason for which the authorization server refuses a request, and the one function that decides what the caller
//! learns of it.
//!
//! A client gets an OAuth error as JSON (RFC 6749 §5.2, RFC 7591 §3.2.2). A user gets a page, for errors that cannot be
//! sent to the client because its redirect URI is not known to be its own (RFC 6749 §4.1.2.1).

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use crate::authorization_server::authorize::{AuthorizeError, RedirectError};
use crate::authorization_server::client::{AuthMethod, GrantType};
use crate::authorization_server::client_error::{AssertionError, MetadataError, UnknownClient, UnreachableClient};
use crate::authorization_server::error_code::ErrorCode;
use crate::authorization_server::login::LoginError;
use crate::authorization_server::trusted_issuer::GrantAssertionError;
use crate::origin_credential::failure::ObtainError;
use crate::provider::ProviderError;
use crate::token::binding::proof::ProofError;

/// Why a request to an endpoint is refused.
#[derive(Debug)]
pub enum Refusal {
    /// The authorization response of the identity provider is malformed.
    AnswerUnreadable,
    /// The assertion of a token request is not accepted.
    AssertionInvalid(GrantAssertionError),
    /// The keys of the issuer of an assertion cannot be fetched now.
    IssuerUnavailable(String),
    /// The client binds all its tokens to a key, and the resource does not accept such tokens.
    BindingNotAccepted,
    /// The resource accepts tokens that are bound to a client certificate alone, and the request has none.
    CertificateMissing,
    /// The DPoP proof of a token request is not accepted.
    ProofInvalid(ProofError),
    /// The refresh token or code is bound to another key than that of the proof.
    OtherKey,
    /// The bearer token of a request about registrations or grants is missing or wrong.
    BearerInvalid(BearerSecret),
    /// The body is not a form.
    BodyNotForm,
    /// The user of a device denied.
    DeviceDenied,
    /// The device code has expired, or was used.
    DeviceExpired,
    /// The device of the user does not wait any more.
    DeviceGone,
    /// The user of a device has not decided.
    DevicePending,
    /// The request of a device is not valid.
    DeviceRequest(AuthorizeError),
    /// A device asks for its token too often.
    DeviceTooFast,
    /// A client cannot change how it authenticates.
    ClientAuthenticationFixed,
    /// A client may not use the client credentials grant.
    ClientCredentialsNotAllowed,
    /// The client may have none of the scopes that it requests with the client credentials grant.
    ClientHasNoScope,
    /// The client, or its redirect URI, was removed while its user logged in.
    ClientGone,
    /// The metadata document of the client cannot be fetched now: for a user.
    ClientUnreachable(UnreachableClient),
    /// The metadata document of the client cannot be fetched now: for the client.
    ClientTemporarilyUnreachable(UnreachableClient),
    /// The metadata with which a client replaces its own has another client id, or a secret.
    ClientMetadataNotOwn,
    /// `code_verifier` does not have the form of RFC 7636 §4.1.
    CodeVerifierMalformed,
    /// The other authorization server, or its user, refused to connect an account, with this error code.
    ConnectionDenied(String),
    /// The call does not wait for approval any more, or never did.
    ApprovalStale,
    /// The rules have changed since the call was made.
    ApprovalOutdated,
    /// The user may not approve the call.
    NotApprover,
    /// The answer to a connection is from another authorization server than the one that was asked.
    AnswerOfAnother,
    /// An account could not be connected.
    ConnectionFailed(ObtainError),
    /// The link to connect an account has expired, or was used.
    LinkStale,
    /// The link to connect an account is for another user.
    OtherUsersLink,
    /// The page was shown too long ago, or in another browser.
    ConsentStale,
    /// The credentials of the client cannot be read.
    CredentialsMalformed(CredentialsError),
    /// The consent form has neither of the two decisions.
    DecisionMissing,
    /// The gateway cannot serve the request.
    Failed(Failure, Audience),
    /// The form was sent from a page of another site.
    ForeignForm(OwnForm),
    /// The form cannot be read.
    FormUnreadable(OwnForm),
    /// The client is not registered for a grant type.
    GrantTypeNotRegistered(GrantType),
    /// The grant type is unknown.
    GrantTypeUnsupported,
    /// The client is unknown, or did not authenticate.
    InvalidClient {
        /// Why.
        error: ClientAuthenticationError,
        /// The request has an `Authorization` field; then the answer has a challenge (RFC 6749 §5.2).
        by_field: bool,
    },
    /// The code or refresh token is unknown, used, expired or another client's. The client does not learn which; the
    /// detail is for the log.
    InvalidGrant(Option<String>),
    /// The metadata of a client is not accepted.
    InvalidMetadata(MetadataError),
    /// The resource is not one of this server's (RFC 8707 §2).
    InvalidTarget(AuthorizeError),
    /// A logout token is not accepted (OpenID Connect Back-Channel Logout §2.8).
    LogoutInvalid(&'static str),
    /// The login was not begun in this browser, or has expired.
    LoginStale(&'static str),
    /// The client may not introspect tokens.
    MayNotIntrospect,
    /// The metadata is not a JSON object.
    MetadataNotJson,
    /// The login of a user for the page of grants failed.
    LoginFailed(LoginFailure, String),
    /// The user is not admitted.
    NotAdmitted,
    /// The grant is for another resource (RFC 8707 §2.2).
    OtherResource,
    /// A parameter is missing.
    ParameterMissing(&'static str),
    /// A parameter is repeated.
    ParameterRepeated {
        /// It is `resource` of a token request: the code is `invalid_target` (RFC 8707 §2).
        is_target: bool,
    },
    /// The identity provider cannot be reached.
    ProviderUnavailable(LoginError),
    /// The identity provider did not say whether the user still has access, for too long.
    RecheckImpossible(String),
    /// The redirect URI is not one of the client's.
    RedirectUriInvalid(RedirectError),
    /// Clients cannot register.
    RegistrationOff,
    /// The authorization request cannot be read.
    RequestUnreadable,
    /// The authorization request names no client.
    RequestWithoutClient,
    /// The authorization request names more than one client.
    RequestWithTwoClients,
    /// More scopes than were granted (RFC 6749 §6).
    ScopeNotGranted,
    /// Too many logins from one network.
    TooManyLogins,
    /// Too many devices begin to wait at one network.
    TooManyDevices,
    /// Too many registrations from one network.
    TooManyRegistrations,
    /// The administration endpoint has no such action.
    UnknownAction,
    /// The client of an authorization request is unknown.
    UnknownClient(UnknownClient),
    /// The grant that an administrator names is unknown.
    UnknownGrant,
    /// There is no connection of this subject to this resource.
    UnknownConnection,
    /// There is no client ID metadata document at this path.
    UnknownDocument,
}

/// Why the credentials of a client cannot be read (RFC 6749 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsError {
    /// `client_assertion` is not a JWT.
    AssertionMalformed,
    /// `client_assertion_type` is not that of RFC 7523 §2.2.
    AssertionType,
    /// `client_assertion` has no `iss`.
    AssertionWithoutIssuer,
    /// The `Authorization` field is not `Basic` with a form-encoded id and secret.
    Basic,
    /// `client_id` is missing.
    ClientIdMissing,
    /// `client_id` is another than that of the credentials.
    OtherClientId,
    /// The request authenticates the client in several ways.
    Several,
}

impl CredentialsError {
    /// `error_description`
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::AssertionMalformed => "client_assertion is not a JWT",
            Self::AssertionType => "client_assertion_type must be that of RFC 7523",
            Self::AssertionWithoutIssuer => "client_assertion has no iss",
            Self::Basic => "the Authorization field is not Basic with a form-encoded id and secret",
            Self::ClientIdMissing => "client_id is required",
            Self::OtherClientId => "client_id is another than that of the credentials",
            Self::Several => "the client authenticates in more than one way",
        }
    }
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::description(*self))
    }
}

impl Error for CredentialsError {}

/// Why a request does not authenticate its client (RFC 6749 §2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuthenticationError {
    /// The client assertion is not accepted.
    Assertion(AssertionError),
    /// The client assertion of a workload is not accepted.
    Workload(GrantAssertionError),
    /// The client must authenticate with this method.
    Method(AuthMethod),
    /// The connection does not have the client's certificate.
    Certificate,
    /// The client secret is wrong.
    Secret,
    /// There is no such client.
    Unknown(UnknownClient),
}

impl ClientAuthenticationError {
    /// What the log says, if it is more than the client learns.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Assertion(AssertionError::Keys(error)) => Some(format!("{self}: {error}")),
            Self::Unknown(error) => Some(error.detail()),
            Self::Workload(error) => error.detail(),
            Self::Assertion(_) | Self::Method(_) | Self::Certificate | Self::Secret => None,
        }
    }
}

impl fmt::Display for ClientAuthenticationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assertion(error) => write!(f, "the client assertion {error}"),
            Self::Workload(error) => write!(f, "the client assertion {error}"),
            Self::Method(method) => write!(f, "the client must authenticate with {}", method.as_str()),
            Self::Certificate => f.write_str("the connection does not have the certificate of the client"),
            Self::Secret => f.write_str("the client secret is wrong"),
            Self::Unknown(error) => error.fmt(f),
        }
    }
}

impl Error for ClientAuthenticationError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Assertion(error) => Some(error),
            Self::Workload(error) => Some(error),
            Self::Unknown(error) => Some(error),
            Self::Method(_) | Self::Certificate | Self::Secret => None,
        }
    }
}

/// Who gets an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A client: JSON.
    Client,
    /// A user: a page.
    User,
}

/// Whom a bearer token identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BearerSecret {
    /// An administrator.
    Administrator,
    /// A caller who may register clients.
    InitialAccess,
    /// A registered client.
    RegistrationAccess,
}

/// A form of the gateway's own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnForm {
    /// The consent page.
    Consent,
    /// The page of grants.
    Grants,
    /// The page that connects an account.
    Connect,
    /// The page on which a person approves a call.
    Approval,
    /// The page on which a user enters the code of a device.
    Device,
}

/// Why the gateway cannot serve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A record could not be read or written.
    Records,
    /// The body did not arrive.
    Body,
    /// A signature could not be made.
    Signing,
}

/// Why a login failed, as the client learns at its redirect URI (RFC 6749 §4.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginFailure {
    /// The user or the identity provider refused.
    Denied,
    /// The identity provider gave an answer that cannot be used.
    Provider,
    /// The identity provider cannot be reached.
    Unavailable,
    /// The user did not sign in as the client asked (RFC 9470 §5).
    Unmet,
}

impl LoginFailure {
    /// What the client learns of an error.
    #[must_use]
    pub fn of(error: &LoginError) -> Self {
        match error {
            LoginError::Keys(_) | LoginError::Provider(ProviderError::NoAnswer(..)) | LoginError::Records => {
                Self::Unavailable
            }
            _ => Self::Provider,
        }
    }

    /// `error`
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Denied => ErrorCode::AccessDenied,
            Self::Provider => ErrorCode::ServerError,
            Self::Unavailable => ErrorCode::TemporarilyUnavailable,
            Self::Unmet => ErrorCode::UnmetAuthenticationRequirements,
        }
    }

    /// `error_description`
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Denied => "the user or the identity provider refused",
            Self::Provider | Self::Unavailable => "the identity provider did not identify the user",
            Self::Unmet => "the identity provider did not prove that the user signed in as max_age and acr_values ask",
        }
    }
}

/// What the caller learns of a refusal.
#[derive(Debug)]
pub struct Disclosure {
    /// Who gets it.
    pub audience: Audience,
    /// The status.
    pub status: u16,
    /// The error code, for the log and, as `error`, for a client.
    pub code: ErrorCode,
    /// `error_description`, or the text of the page.
    pub text: Cow<'static, str>,
    /// A detail for the log, which the caller does not learn.
    pub detail: Option<String>,
    /// An additional header field.
    pub field: Option<(&'static str, &'static str)>,
}

impl Disclosure {
    fn client(status: u16, code: ErrorCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { audience: Audience::Client, status, code, text: text.into(), detail: None, field: None }
    }

    fn user(status: u16, code: ErrorCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { audience: Audience::User, ..Self::client(status, code, text) }
    }

    fn because(self, detail: impl ToString) -> Self {
        Self { detail: Some(detail.to_string()), ..self }
    }

    fn with(self, name: &'static str, value: &'static str) -> Self {
        Self { field: Some((name, value)), ..self }
    }
}

impl Refusal {
    /// What the caller learns.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "it is the one table of what refusals disclose")]
    pub fn disclose(self) -> Disclosure {
        let client = |text: &'static str| Disclosure::client(400, ErrorCode::InvalidRequest, text);
        let user = |text: &'static str| Disclosure::user(400, ErrorCode::InvalidRequest, text);
        let metadata = |text: &'static str| Disclosure::client(400, ErrorCode::InvalidClientMetadata, text);
        match self {
            Self::AnswerUnreadable => user("The answer of the login cannot be read."),
            Self::BearerInvalid(secret) => {
                let text = match secret {
                    BearerSecret::Administrator => "the secret of administrators is missing or wrong",
                    BearerSecret::InitialAccess => "the initial access token is missing or wrong",
                    BearerSecret::RegistrationAccess => "the registration access token is missing or wrong",
                };
                let challenge = "Bearer error=\"invalid_token\"";
                Disclosure::client(401, ErrorCode::InvalidToken, text).with("www-authenticate", challenge)
            }
            Self::AssertionInvalid(error) => {
                let detail = error.detail();
                let text = format!("the assertion {error}");
                Disclosure { detail, ..Disclosure::client(400, ErrorCode::InvalidGrant, text) }
            }
            Self::IssuerUnavailable(why) => {
                let text = "the keys of the issuer of the assertion cannot be fetched now";
                Disclosure::client(503, ErrorCode::TemporarilyUnavailable, text).because(why).with("retry-after", "10")
            }
            Self::BindingNotAccepted => {
                client("the client has dpop_bound_access_tokens, and this resource does not accept such tokens")
            }
            Self::CertificateMissing => client(
                "this resource accepts only tokens that are bound to a client certificate, and the request has none",
            ),
            Self::ProofInvalid(ProofError::Nonce) => Disclosure::client(
                400,
                ErrorCode::UseDpopNonce,
                "the DPoP proof must have the nonce of the DPoP-Nonce field (RFC 9449 §8)",
            ),
            Self::ProofInvalid(error) => {
                let text = match error {
                    ProofError::Missing => "the request must have one DPoP proof (RFC 9449 §5)",
                    _ => "the DPoP proof is not accepted (RFC 9449 §4.3)",
                };
                Disclosure::client(400, ErrorCode::InvalidDpopProof, text).because(error.reason())
            }
            Self::OtherKey => Disclosure::client(
                400,
                ErrorCode::InvalidDpopProof,
                "the code, refresh token or assertion is bound to another key than that of the DPoP proof",
            ),
            Self::BodyNotForm => client("the body must be application/x-www-form-urlencoded"),
            Self::DeviceDenied => Disclosure::client(400, ErrorCode::AccessDenied, "the user denied"),
            Self::DeviceExpired => {
                let text = "the device code has expired, or was used: begin again";
                Disclosure::client(400, ErrorCode::ExpiredToken, text)
            }
            Self::DeviceGone => {
                let text = "The device does not wait any more. Begin again on the device.";
                Disclosure::user(400, ErrorCode::DeviceGone, text)
            }
            Self::DevicePending => {
                Disclosure::client(400, ErrorCode::AuthorizationPending, "the user has not decided yet")
            }
            Self::DeviceTooFast => {
                let text = "the device asks too often: wait 5 seconds longer each time (RFC 8628 §3.5)";
                Disclosure::client(400, ErrorCode::SlowDown, text)
            }
            Self::ClientAuthenticationFixed => metadata("token_endpoint_auth_method cannot be changed: register again"),
            Self::ClientCredentialsNotAllowed => Disclosure::client(
                400,
                ErrorCode::UnauthorizedClient,
                "client_credentials is only for clients of the configuration",
            ),
            Self::ClientHasNoScope => {
                Disclosure::client(400, ErrorCode::InvalidScope, "the client may have none of the requested scopes")
            }
            Self::ClientGone => Disclosure::user(
                400,
                ErrorCode::InvalidClient,
                "This server no longer knows the application that sent you here.",
            ),
            Self::ClientUnreachable(why) => {
                let text = "The description of the application cannot be fetched now. Try again in a moment.";
                Disclosure::user(503, ErrorCode::ClientUnreachable, text).because(why).with("retry-after", "10")
            }
            Self::ClientTemporarilyUnreachable(error) => {
                Disclosure::client(503, ErrorCode::TemporarilyUnavailable, error.to_string()).with("retry-after", "10")
            }
            Self::ClientMetadataNotOwn => {
                metadata("client_id must be that of the client, and client_secret cannot be set")
            }
            Self::CodeVerifierMalformed => client("code_verifier must be 43 to 128 unreserved characters"),
            Self::ConnectionDenied(error) => {
                let text = "The other server did not allow the connection. Nothing was connected.";
                Disclosure::user(403, ErrorCode::AccessDenied, text).because(error)
            }
            Self::ApprovalStale => {
                let text = "No call waits here for approval: it was decided about, or it has expired. Let the application make the \
                            call again: it gets a new link.";
                Disclosure::user(404, ErrorCode::ApprovalStale, text)
            }
            Self::ApprovalOutdated => {
                let text = "The rules have changed since this call was made. Let the application make the call again.";
                Disclosure::user(409, ErrorCode::ApprovalStale, text).because("the policy has changed")
            }
            Self::NotApprover => {
                let text = "You are not an approver of this call. Nothing was decided. If you are logged in as the wrong user, log out \
                            at your identity provider, and open the link again.";
                Disclosure::user(403, ErrorCode::NotApprover, text)
            }
            Self::AnswerOfAnother => {
                let text = "The answer is not from the server that was asked. Nothing was connected.";
                Disclosure::user(400, ErrorCode::LoginStale, text).because("another issuer")
            }
            Self::ConnectionFailed(error) => {
                let text = "Your account could not be connected now. Try again in a moment, or tell the operator.";
                Disclosure::user(502, ErrorCode::ConnectionFailed, text).because(error)
            }
            Self::LinkStale => {
                let text =
                    "This link has expired, or was used already. Let your application try again: it gets a new link.";
                Disclosure::user(400, ErrorCode::LinkStale, text)
            }
            Self::OtherUsersLink => {
                let text = "This link is for another user. If an application of yours did not show it to you a moment ago, another \
                            person may want to connect your account to theirs: close this page. If you are logged in as the wrong user, \
                            log out at your identity provider and delete the cookies of this site, or use a private window.";
                Disclosure::user(403, ErrorCode::OtherUsersLink, text)
            }
            Self::ConsentStale => Disclosure::user(
                400,
                ErrorCode::ConsentStale,
                "The page is too old, or was opened in another browser. Go back to the application and begin again.",
            ),
            Self::CredentialsMalformed(error) => client(error.description()),
            Self::DecisionMissing => user("The form has no decision."),
            Self::Failed(failure, audience) => failure.disclose(audience),
            Self::ForeignForm(form) => Disclosure::user(
                403,
                ErrorCode::ForeignForm,
                match form {
                    OwnForm::Consent => "The form was not sent from this server's own page.",
                    OwnForm::Grants | OwnForm::Connect | OwnForm::Approval | OwnForm::Device => {
                        "The request was not sent from this server's own page."
                    }
                },
            ),
            Self::FormUnreadable(OwnForm::Consent) => user("The form cannot be read."),
            Self::FormUnreadable(OwnForm::Grants | OwnForm::Connect | OwnForm::Approval | OwnForm::Device)
            | Self::RequestUnreadable => user("The request cannot be read."),
            Self::GrantTypeNotRegistered(grant) => {
                let text = format!("the client is not registered for {}", grant.as_str());
                Disclosure::client(400, ErrorCode::UnauthorizedClient, text)
            }
            Self::GrantTypeUnsupported => {
                Disclosure::client(400, ErrorCode::UnsupportedGrantType, "the grant type is not supported")
            }
            Self::InvalidClient { error, by_field } => {
                let detail = error.detail();
                let disclosure = Disclosure::client(401, ErrorCode::InvalidClient, error.to_string());
                let disclosure = Disclosure { detail, ..disclosure };
                let realm = "Basic realm=\"portcullis\"";
                if by_field { disclosure.with("www-authenticate", realm) } else { disclosure }
            }
            Self::InvalidGrant(detail) => {
                let text = "the code or refresh token is not valid";
                Disclosure { detail, ..Disclosure::client(400, ErrorCode::InvalidGrant, text) }
            }
            Self::InvalidMetadata(error) => Disclosure::client(400, error.code(), error.to_string()),
            Self::DeviceRequest(error) | Self::InvalidTarget(error) => {
                Disclosure::client(400, error.code(), error.description())
            }
            Self::LogoutInvalid(why) => client(why),
            Self::LoginStale(why) => {
                let text = "This login was not begun in this browser, or has expired. Go back to the application and begin again.";
                Disclosure::user(400, ErrorCode::LoginStale, text).because(why)
            }
            Self::MayNotIntrospect => {
                Disclosure::client(403, ErrorCode::UnauthorizedClient, "the client may not introspect tokens")
            }
            Self::MetadataNotJson => metadata("the body must be a JSON object with the media type application/json"),
            Self::LoginFailed(failure, why) => {
                Disclosure::user(502, failure.code(), "The login failed. Try again.").because(why)
            }
            Self::NotAdmitted => Disclosure::user(403, ErrorCode::NotAdmitted, "Your account may not use this server.")
                .because("not admitted"),
            Self::OtherResource => {
                Disclosure::client(400, ErrorCode::InvalidTarget, "the grant is for another resource")
            }
            Self::ParameterMissing(name) => {
                let text = if name == "code_verifier" {
                    format!("{name} is required (PKCE)")
                } else {
                    format!("{name} is required")
                };
                Disclosure::client(400, ErrorCode::InvalidRequest, text)
            }
            Self::ParameterRepeated { is_target } => {
                let code = if is_target { ErrorCode::InvalidTarget } else { ErrorCode::InvalidRequest };
                Disclosure::client(400, code, "a parameter is repeated")
            }
            Self::ProviderUnavailable(why) => {
                let text = "The server where you log in cannot be reached now. Try again in a moment.";
                Disclosure::user(503, ErrorCode::ProviderUnavailable, text).because(why).with("retry-after", "5")
            }
            Self::RecheckImpossible(why) => {
                let text = "the identity provider does not say whether the user still has access: try again later";
                Disclosure::client(503, ErrorCode::TemporarilyUnavailable, text).because(why).with("retry-after", "30")
            }
            Self::RedirectUriInvalid(error) => Disclosure::user(400, ErrorCode::InvalidRedirectUri, error.text()),
            Self::RegistrationOff => {
                let text = "clients cannot register here: use a client ID metadata document, or ask the operator";
                Disclosure::client(403, ErrorCode::AccessDenied, text)
            }
            Self::RequestWithoutClient => user("The request does not name an application."),
            Self::RequestWithTwoClients => user("The request names two applications."),
            Self::ScopeNotGranted => Disclosure::client(
                400,
                ErrorCode::InvalidScope,
                "the grant does not have all of these scopes: ask the user again",
            ),
            Self::TooManyLogins => {
                let text = "Too many logins were begun from your network. Try again in a minute.";
                Disclosure::user(429, ErrorCode::TooManyLogins, text).with("retry-after", "60")
            }
            Self::TooManyDevices => {
                let text = "too many devices wait at this network: try again in a minute";
                Disclosure::client(429, ErrorCode::TemporarilyUnavailable, text).with("retry-after", "60")
            }
            Self::TooManyRegistrations => {
                let text = "too many registrations: try again in a minute";
                Disclosure::client(429, ErrorCode::TemporarilyUnavailable, text).with("retry-after", "60")
            }
            Self::UnknownAction => client("action must be show or delete with a subject, or end with a grant"),
            Self::UnknownClient(error) => {
                let text = "This server does not know the application that sent you here. Remove the connection there and \
                            add it again.";
                Disclosure::user(400, ErrorCode::InvalidClient, text).because(error.detail())
            }
            Self::UnknownGrant => {
                Disclosure::client(404, ErrorCode::InvalidRequest, "there is no such grant, or it has ended")
            }
            Self::UnknownConnection => Disclosure::client(
                404,
                ErrorCode::InvalidRequest,
                "the subject has connected no account for this resource",
            ),
            Self::UnknownDocument => {
                Disclosure::client(404, ErrorCode::InvalidRequest, "the configuration has nothing at this path")
            }
        }
    }
}

impl Failure {
    fn disclose(self, audience: Audience) -> Disclosure {
        let (status, code, text) = match self {
            Self::Records => {
                (503, ErrorCode::TemporarilyUnavailable, "records cannot be read or written now; nothing was changed")
            }
            Self::Body => (400, ErrorCode::InvalidRequest, "the body is not complete, or is too large"),
            Self::Signing => (500, ErrorCode::ServerError, "nothing can be signed now"),
        };
        let disclosure = match audience {
            Audience::Client => Disclosure::client(status, code, text),
            Audience::User => Disclosure::user(status, code, "The server cannot do this now. Try again in a moment."),
        };
        if status == 503 { disclosure.with("retry-after", "2") } else { disclosure }
    }
}
