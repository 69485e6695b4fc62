//! What the platform says of a connection.

/// What the platform says of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// ISO 3166-1 alpha-2 code of the country.
    pub country: Option<String>,
    /// Number of the autonomous system.
    pub asn: Option<u64>,
    /// A client certificate was presented and verified.
    pub certificate: bool,
}
