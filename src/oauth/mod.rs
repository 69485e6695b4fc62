//! The vocabulary of OAuth 2: bearer credentials, challenges, scopes, forms, client authentication.

pub mod bearer;
pub mod challenge;
pub mod client_authentication;
pub mod endpoint;
pub mod form;
pub mod scope;
