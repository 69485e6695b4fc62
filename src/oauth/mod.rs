//! The vocabulary of OAuth 2: bearer credentials, challenges, scopes.

pub mod bearer;
pub mod challenge;
pub mod scope;
