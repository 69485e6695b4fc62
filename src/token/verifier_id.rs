//! The name of a verifier in memory.

/// Names a verifier in memory: its kind, and its place in configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierId {
    /// A JWT of the issuer at this place.
    Jwt(usize),
    /// A token that the issuer at this place is asked about.
    Introspection(usize),
    /// An API key of the set at this place.
    ApiKeys(usize),
    /// A credential for the custom verifier at this place.
    Custom(usize),
}
