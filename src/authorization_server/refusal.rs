//! Every way in which the authorization server refuses, and the one function that says what the caller gets of it.
//!
//! A client gets an error of OAuth as JSON (RFC 6749 §5.2, RFC 7591 §3.2.2). A user gets a page: an error that cannot be sent
//! to a client whose redirect URI is not known to be its own (RFC 6749 §4.1.2.1).

use std::borrow::Cow;

use crate::authorization_server::authorize::AuthorizeError;
use crate::authorization_server::client::{GrantType, MetadataError};

/// Why a request to an endpoint is refused.
#[derive(Debug)]
pub enum Refusal {
    /// The answer of the identity provider has not the form that it must have.
    AnswerUnreadable,
    /// The bearer token of a request about registrations or grants is missing or wrong.
    BearerInvalid(BearerSecret),
    /// The body is not a form.
    BodyNotForm,
    /// A client cannot change how it authenticates.
    ClientAuthenticationFixed,
    /// A client may not use the client credentials grant.
    ClientCredentialsNotAllowed,
    /// The client has no scope of those that it asks for by itself.
    ClientHasNoScope,
    /// The client, or its redirect URI, was removed while its user signed in.
    ClientGone,
    /// The client id document of the client cannot be fetched now. To a user.
    ClientUnreachable(String),
    /// The client id document of the client cannot be fetched now. To the client.
    ClientTemporarilyUnreachable(String),
    /// Metadata that replaces the client's own names another client, or a secret.
    ClientMetadataNotOwn,
    /// `code_verifier` has not the form of RFC 7636 §4.1.
    CodeVerifierMalformed,
    /// The page was shown too long ago, or in another browser.
    ConsentStale,
    /// More than one kind of client authentication, or one that cannot be read.
    CredentialsMalformed(String),
    /// Neither yes nor no.
    DecisionMissing,
    /// The gateway cannot serve the request.
    Failed(Failure, Audience),
    /// A page of another site sent the form.
    ForeignForm(OwnForm),
    /// The form cannot be read.
    FormUnreadable(OwnForm),
    /// The client is not registered for a grant type.
    GrantTypeNotRegistered(GrantType),
    /// The grant type is unknown.
    GrantTypeUnsupported,
    /// The client is unknown, or did not prove that it is that client.
    InvalidClient {
        /// Why.
        why: String,
        /// It authenticated in the `Authorization` field, which the answer then names (RFC 6749 §5.2).
        by_field: bool,
    },
    /// The code or refresh token is unknown, used, expired or another client's. The client does not learn which.
    InvalidGrant(Option<String>),
    /// The metadata of a client is not accepted.
    InvalidMetadata(MetadataError),
    /// The resource is not one of this server's (RFC 8707 §2).
    InvalidTarget(AuthorizeError),
    /// The login is not this browser's, or has expired.
    LoginStale(&'static str),
    /// The client may not introspect tokens.
    MayNotIntrospect,
    /// The metadata is not a JSON object.
    MetadataNotJson,
    /// A user of the page of grants could not be signed in.
    NotSignedIn(LoginFailure, String),
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
    ProviderUnavailable(String),
    /// The redirect URI is not one of the client's.
    RedirectUriInvalid(String),
    /// Registration is off.
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
    /// Too many registrations from one network.
    TooManyRegistrations,
    /// An action that administrators do not have.
    UnknownAction,
    /// The client of an authorization request is unknown.
    UnknownClient(String),
    /// The grant that an administrator names is unknown.
    UnknownGrant,
}

/// Who gets an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A client: JSON.
    Client,
    /// A user: a page.
    User,
}

/// What a bearer token proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BearerSecret {
    /// That its holder is an administrator.
    Administrator,
    /// That its holder may register clients.
    InitialAccess,
    /// That its holder is a registered client.
    RegistrationAccess,
}

/// A form of the gateway's own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnForm {
    /// The consent page.
    Consent,
    /// The page of grants.
    Grants,
}

/// What keeps the gateway from serving a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A record could not be read or written.
    Records,
    /// The body did not arrive.
    Body,
    /// A signature could not be made.
    Signing,
}

/// Why a login gave no user: an error that its client gets at its redirect URI (RFC 6749 §4.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginFailure {
    /// The user or the identity provider refused.
    Denied,
    /// The identity provider answered what cannot be used.
    Provider,
    /// The identity provider cannot be reached.
    Unavailable,
}

impl LoginFailure {
    /// `error`
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Denied => "access_denied",
            Self::Provider => "server_error",
            Self::Unavailable => "temporarily_unavailable",
        }
    }

    /// `error_description`
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Denied => "the user, or the identity provider, said no",
            Self::Provider | Self::Unavailable => "the identity provider did not say who the user is",
        }
    }
}

/// What the caller gets of a refusal.
#[derive(Debug)]
pub struct Disclosure {
    /// Who gets it.
    pub audience: Audience,
    /// The status.
    pub status: u16,
    /// The error code of OAuth for a client; for the log in any case.
    pub code: &'static str,
    /// `error_description`, or the words of the page.
    pub text: Cow<'static, str>,
    /// More about it for the log, which the caller does not learn.
    pub detail: Option<String>,
    /// A field besides.
    pub field: Option<(&'static str, &'static str)>,
}

impl Disclosure {
    fn client(status: u16, code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { audience: Audience::Client, status, code, text: text.into(), detail: None, field: None }
    }

    fn user(status: u16, code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { audience: Audience::User, ..Self::client(status, code, text) }
    }

    fn because(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    fn with(self, name: &'static str, value: &'static str) -> Self {
        Self { field: Some((name, value)), ..self }
    }
}

impl Refusal {
    /// What the caller gets.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "it is the one table of what refusals disclose")]
    pub fn disclose(self) -> Disclosure {
        let client = |text: &'static str| Disclosure::client(400, "invalid_request", text);
        let user = |text: &'static str| Disclosure::user(400, "invalid_request", text);
        let metadata = |text: &'static str| Disclosure::client(400, "invalid_client_metadata", text);
        match self {
            Self::AnswerUnreadable => user("The answer of the sign-in cannot be read."),
            Self::BearerInvalid(secret) => {
                let text = match secret {
                    BearerSecret::Administrator => "the administrators' secret is missing or wrong",
                    BearerSecret::InitialAccess => "the initial access token is missing or wrong",
                    BearerSecret::RegistrationAccess => "the registration access token is missing or wrong",
                };
                let challenge = "Bearer error=\"invalid_token\"";
                Disclosure::client(401, "invalid_token", text).with("www-authenticate", challenge)
            }
            Self::BodyNotForm => client("the body must be application/x-www-form-urlencoded"),
            Self::ClientAuthenticationFixed => metadata("token_endpoint_auth_method cannot be changed: register anew"),
            Self::ClientCredentialsNotAllowed => {
                Disclosure::client(400, "unauthorized_client", "only a client of configuration can ask for itself")
            }
            Self::ClientHasNoScope => {
                Disclosure::client(400, "invalid_scope", "the client may have none of these scopes for itself")
            }
            Self::ClientGone => Disclosure::user(
                400,
                "invalid_client",
                "The application that sent you here is not known to this server any more.",
            ),
            Self::ClientUnreachable(why) => {
                let text = "What the application says of itself cannot be had now. Try again in a moment.";
                Disclosure::user(503, "client_unreachable", text).because(why).with("retry-after", "10")
            }
            Self::ClientTemporarilyUnreachable(why) => {
                Disclosure::client(503, "temporarily_unavailable", why).with("retry-after", "10")
            }
            Self::ClientMetadataNotOwn => {
                metadata("client_id must be the client's own, and client_secret cannot be chosen")
            }
            Self::CodeVerifierMalformed => client("code_verifier must have 43 to 128 unreserved characters"),
            Self::ConsentStale => Disclosure::user(
                400,
                "consent_stale",
                "The page is too old, or was opened in another browser. Go back to the application and begin again.",
            ),
            Self::CredentialsMalformed(why) => Disclosure::client(400, "invalid_request", why),
            Self::DecisionMissing => user("The answer is neither yes nor no."),
            Self::Failed(failure, audience) => failure.disclose(audience),
            Self::ForeignForm(form) => Disclosure::user(
                403,
                "foreign_form",
                match form {
                    OwnForm::Consent => "The answer did not come from this server's own page.",
                    OwnForm::Grants => "The request did not come from this server's own page.",
                },
            ),
            Self::FormUnreadable(OwnForm::Consent) => user("The answer cannot be read."),
            Self::FormUnreadable(OwnForm::Grants) | Self::RequestUnreadable => user("The request cannot be read."),
            Self::GrantTypeNotRegistered(grant) => {
                let text = format!("the client is not registered for {}", grant.as_str());
                Disclosure::client(400, "unauthorized_client", text)
            }
            Self::GrantTypeUnsupported => {
                Disclosure::client(400, "unsupported_grant_type", "there is no such grant type here")
            }
            Self::InvalidClient { why, by_field } => {
                let disclosure = Disclosure::client(401, "invalid_client", why);
                let realm = "Basic realm=\"portcullis\"";
                if by_field { disclosure.with("www-authenticate", realm) } else { disclosure }
            }
            Self::InvalidGrant(detail) => {
                let text = "the code or refresh token is not valid";
                Disclosure { detail, ..Disclosure::client(400, "invalid_grant", text) }
            }
            Self::InvalidMetadata(error) => Disclosure::client(400, error.code, error.description),
            Self::InvalidTarget(error) => Disclosure::client(400, error.code, error.description),
            Self::LoginStale(why) => {
                let text = "This sign-in was not begun in this browser, or is over. Go back to the application and begin again.";
                Disclosure::user(400, "login_stale", text).because(why)
            }
            Self::MayNotIntrospect => {
                Disclosure::client(403, "unauthorized_client", "the client may not ask about tokens")
            }
            Self::MetadataNotJson => metadata("the body must be a JSON object, and its media type application/json"),
            Self::NotSignedIn(failure, why) => {
                Disclosure::user(502, failure.code(), "You could not be signed in. Try again.").because(why)
            }
            Self::NotAdmitted => {
                Disclosure::user(403, "not_admitted", "Your account may not use this server.").because("not admitted")
            }
            Self::OtherResource => Disclosure::client(400, "invalid_target", "the grant is for another resource"),
            Self::ParameterMissing(name) => {
                let text = if name == "code_verifier" {
                    format!("{name} is required (PKCE)")
                } else {
                    format!("{name} is required")
                };
                Disclosure::client(400, "invalid_request", text)
            }
            Self::ParameterRepeated { is_target } => {
                let code = if is_target { "invalid_target" } else { "invalid_request" };
                Disclosure::client(400, code, "a parameter is repeated")
            }
            Self::ProviderUnavailable(why) => {
                let text = "The server where you would sign in cannot be reached now. Try again in a moment.";
                Disclosure::user(503, "provider_unavailable", text).because(why).with("retry-after", "5")
            }
            Self::RedirectUriInvalid(text) => Disclosure::user(400, "invalid_redirect_uri", text),
            Self::RegistrationOff => {
                let text = "clients do not register here: use a client ID metadata document, or ask the operator";
                Disclosure::client(403, "access_denied", text)
            }
            Self::RequestWithoutClient => user("The request does not say which application asks."),
            Self::RequestWithTwoClients => user("The request names two applications."),
            Self::ScopeNotGranted => {
                Disclosure::client(400, "invalid_scope", "the grant has less than that: ask the user again")
            }
            Self::TooManyLogins => {
                let text = "Too many sign-ins were begun from where you are. Try again in a minute.";
                Disclosure::user(429, "too_many_logins", text).with("retry-after", "60")
            }
            Self::TooManyRegistrations => {
                let text = "too many registrations: try again in a minute";
                Disclosure::client(429, "temporarily_unavailable", text).with("retry-after", "60")
            }
            Self::UnknownAction => client("action must be show or delete with a subject, or end with a grant"),
            Self::UnknownClient(why) => {
                let text = "The application that sent you here is not known to this server. Remove the connection there \
                            and add it again.";
                Disclosure::user(400, "invalid_client", text).because(why)
            }
            Self::UnknownGrant => Disclosure::client(404, "invalid_request", "there is no such grant, or no more"),
        }
    }
}

impl Failure {
    fn disclose(self, audience: Audience) -> Disclosure {
        let (status, code, text) = match self {
            Self::Records => {
                (503, "temporarily_unavailable", "records cannot be read or written now; nothing was changed")
            }
            Self::Body => (400, "invalid_request", "the body did not come whole, or is too large"),
            Self::Signing => (500, "server_error", "nothing can be signed now"),
        };
        let disclosure = match audience {
            Audience::Client => Disclosure::client(status, code, text),
            Audience::User => Disclosure::user(status, code, "The server cannot do this now. Try again in a moment."),
        };
        if status == 503 { disclosure.with("retry-after", "2") } else { disclosure }
    }
}
