//! What the platform reports about a connection.

/// What the platform reports about a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// ISO 3166-1 alpha-2 code of the country.
    pub country: Option<String>,
    /// The number of the autonomous system.
    pub asn: Option<u64>,
    /// Whether the client presented a certificate that was verified.
    pub certificate: bool,
}
