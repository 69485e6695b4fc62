//! The caller of an operation and its connection, which the conditions of rules read.

use crate::transport::connection::ConnectionFacts;
use std::rc::Rc;

use crate::token::principal::Subject;

/// The caller of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The subject of its credential.
    pub subject: Rc<Subject>,
    /// The name of the issuer or verifier, or the prefix of the API key.
    pub source: Option<Rc<str>>,
    /// Its connection.
    pub facts: ConnectionFacts,
    /// The second of its request, in Unix time.
    pub now: u64,
}
