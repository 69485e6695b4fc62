//! Who asks, and over what connection: what conditions are about.

use std::rc::Rc;

use crate::token::principal::Subject;

/// What the platform says of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// ISO 3166-1 alpha-2 code of the country.
    pub country: Option<String>,
    /// Number of the autonomous system.
    pub asn: Option<u64>,
    /// A client certificate was presented and verified.
    pub certificate: bool,
}

/// The caller of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The subject of its credential.
    pub subject: Rc<Subject>,
    /// The name of the issuer or verifier, or the prefix of the API key.
    pub source: Option<Rc<str>>,
    /// Its connection.
    pub facts: Facts,
}
