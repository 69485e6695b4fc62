//! A login on its way at the identity provider: begun by a browser whose user has consented, taken once by that browser.

use serde::{Deserialize, Serialize};

use super::{Hash, Machine};
use crate::authorization_server::authorize::AuthorizationRequest;

/// Who a login is for, and what follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Purpose {
    /// A client that the user has just approved.
    Approved(AuthorizationRequest),
    /// A client that this subject approved before.
    Remembered(AuthorizationRequest, String),
    /// The page of the user's own grants.
    Grants,
}

/// A login on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// What follows.
    pub purpose: Purpose,
    /// What only the browser has that began it.
    pub browser: Hash,
    /// The second at which it is over.
    pub until: u64,
}

/// Questions to a login.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum LoginQuestion {
    /// It begins.
    Begin(Box<Login>),
    /// It comes back, to a browser that has this.
    Take(Hash),
}

/// What a login is for, where it was there and the browser's own: it is gone then.
pub type LoginAnswer = Option<Purpose>;

impl Machine for Login {
    const KIND: &'static str = "login";
    type Question = LoginQuestion;
    type Answer = LoginAnswer;

    fn answer(record: Option<Self>, question: LoginQuestion, _: u64) -> (LoginAnswer, Option<Self>) {
        match (question, record) {
            // A name that is taken stays: nobody can put another login in its place.
            (LoginQuestion::Begin(login), None) => (None, Some(*login)),
            (LoginQuestion::Begin(_), Some(login)) => (None, Some(login)),
            (LoginQuestion::Take(browser), Some(login)) if login.browser == browser => (Some(login.purpose), None),
            // Another browser cannot end it.
            (LoginQuestion::Take(_), kept) => (None, kept),
        }
    }

    fn until(&self) -> u64 {
        self.until
    }
}
