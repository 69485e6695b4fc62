//! Identifies a verifier.

/// Identifies a verifier: its kind, and its index in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierId {
    /// A JWT of the issuer with this index.
    Jwt(usize),
    /// A token that the gateway introspects at the issuer with this index.
    Introspection(usize),
    /// An API key of the set with this index.
    ApiKeys(usize),
    /// A credential for the custom verifier with this index.
    Custom(usize),
}
