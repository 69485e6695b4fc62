//! A login in progress at the identity provider. One browser begins it, and the same browser completes it once.

use serde::{Deserialize, Serialize};

use super::{Hash, RecordStateMachine};
use crate::authorization_server::authorize::AuthorizationRequest;

/// What a login is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Purpose {
    /// A client that the user has just approved.
    Approved(AuthorizationRequest),
    /// A client that this subject approved before.
    Remembered(AuthorizationRequest, String),
    /// The page of the user's own grants.
    Grants,
    /// The page that connects an account: the link that led to it.
    Connect(String),
    /// The pages of approvals: the id of the call that led to the login, if one did, and the second at which the login began.
    Approve(Option<String>, u64),
    /// A connection in progress at the authorization server of an origin server. It ends at another redirect URI.
    Connecting(Box<Connecting>),
}

/// A connection that a user has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connecting {
    /// Who connects.
    pub subject: String,
    /// The name of the record of the connection.
    pub id: String,
    /// The identifier of the resource.
    pub resource: String,
    /// The issuer identifier of the authorization server.
    pub issuer: String,
    /// Its token endpoint: the code goes to no other.
    pub token_endpoint: String,
    /// Whether its answer must have `iss` (RFC 9207).
    pub names_itself: bool,
    /// The client with which the user was sent there, sealed.
    pub client: String,
    /// The requested scopes.
    pub scope: String,
    /// The second at which it began.
    pub begun: u64,
}

/// A login in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// What the login is for.
    pub purpose: Purpose,
    /// The name of the login; none for the one of `login`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The hash of a secret that only the browser that began the login has.
    pub browser: Hash,
    /// The second at which it expires.
    pub until: u64,
}

/// Questions to a login.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum LoginQuestion {
    /// The login begins.
    Begin(Box<Login>),
    /// The user comes back from the provider of the login with this name, in a browser whose secret has this hash.
    Consume(Hash, Option<String>),
}

/// What the login was for, and the second at which it would have expired, if it exists and the browser is the right one. The login
/// is then deleted.
pub type LoginAnswer = Option<(Purpose, u64)>;

impl RecordStateMachine for Login {
    const KIND: &'static str = "login";
    type Question = LoginQuestion;
    type Answer = LoginAnswer;

    fn answer(record: Option<Self>, question: LoginQuestion, _: u64) -> (LoginAnswer, Option<Self>) {
        match (question, record) {
            // An existing login stays, so that no request can replace it with another one.
            (LoginQuestion::Begin(login), None) => (None, Some(*login)),
            (LoginQuestion::Begin(_), Some(login)) => (None, Some(login)),
            (LoginQuestion::Consume(browser, name), Some(login)) if login.browser == browser && login.name == name => {
                (Some((login.purpose, login.until)), None)
            }
            // Another browser, or another provider, cannot end the login.
            (LoginQuestion::Consume(..), kept) => (None, kept),
        }
    }

    fn until(&self) -> u64 {
        self.until
    }
}
